/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random-file: random operations on one file, through two descriptors, against a model in memory.
 *
 *     random-file FILE OPERATIONS [SEED]
 *
 * Every read, and the size after every operation, must be what the model says; at the end the whole
 * file is compared. Prints the seed, and on failure the operation. It is linked statically, so that it
 * runs in any guest.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SIZE = 3 << 20, MAX_PIECE = 700 << 10 };

static unsigned char model[MAX_SIZE];
static size_t model_size;
static unsigned char piece[MAX_PIECE];
static unsigned long number; /* of the operation */
static const char *file;
static int fd, appending;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
    va_list args;

    printf("operation %lu: ", number);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    exit(1);
}

static size_t below(size_t n)
{
    return n > 0 ? (size_t)random() % n : 0;
}

/* Mostly small, now and then much larger than a page or a message. */
static size_t some_length(size_t most)
{
    size_t length = below(8) ? below(20000) + 1 : below(MAX_PIECE) + 1;

    return length < most ? length : most;
}

static void fill_piece(size_t length)
{
    unsigned char byte = (unsigned char)random();

    for (size_t i = 0; i < length; i++)
        piece[i] = byte++;
}

static void extend_model(size_t size)
{
    if (size > model_size) {
        memset(model + model_size, 0, size - model_size);
        model_size = size;
    }
}

static void do_write(void)
{
    size_t offset = below(MAX_SIZE - 1);
    size_t length = some_length(MAX_SIZE - offset);

    fill_piece(length);
    if (pwrite(fd, piece, length, (off_t)offset) != (ssize_t)length)
        fail("write of %zu at %zu: %m", length, offset);
    extend_model(offset);
    memcpy(model + offset, piece, length);
    if (offset + length > model_size)
        model_size = offset + length;
}

static void do_append(void)
{
    size_t length = some_length(MAX_SIZE - model_size);

    fill_piece(length);
    if (write(appending, piece, length) != (ssize_t)length)
        fail("append of %zu: %m", length);
    memcpy(model + model_size, piece, length);
    model_size += length;
}

static void do_read(void)
{
    size_t offset = below(model_size + 1000);
    size_t length = some_length(MAX_PIECE);
    size_t expected = offset >= model_size ? 0 : model_size - offset;
    ssize_t got = pread(below(2) ? fd : appending, piece, length, (off_t)offset);

    if (expected > length)
        expected = length;
    if (got != (ssize_t)expected)
        fail("read of %zu at %zu gave %zd, not %zu: %m", length, offset, got, expected);
    for (size_t i = 0; i < expected; i++) {
        if (piece[i] != model[offset + i])
            fail("byte %zu is %u, not %u", offset + i, piece[i], model[offset + i]);
    }
}

static void do_truncate(void)
{
    size_t size = below(3) ? below(model_size + 1) : below(MAX_SIZE);
    int result = below(2) ? ftruncate(fd, (off_t)size) : truncate(file, (off_t)size);

    if (result != 0)
        fail("truncate to %zu: %m", size);
    extend_model(size);
    model_size = size;
}

static void open_both(void)
{
    fd = open(file, O_RDWR | O_CREAT, 0644);
    appending = open(file, O_RDWR | O_APPEND);
    if (fd < 0 || appending < 0)
        fail("open: %m");
}

static void do_reopen(void)
{
    if (close(fd) != 0 || close(appending) != 0)
        fail("close: %m");
    open_both();
}

static void do_sync(void)
{
    if ((below(2) ? fsync(fd) : fdatasync(appending)) != 0)
        fail("sync: %m");
}

static void check_size(void)
{
    struct stat st;

    if (fstat(below(2) ? fd : appending, &st) != 0 || (size_t)st.st_size != model_size)
        fail("the size is %lld, not %zu", (long long)st.st_size, model_size);
}

static void check_whole(void)
{
    for (size_t at = 0; at < model_size; at += MAX_PIECE) {
        size_t length = model_size - at < MAX_PIECE ? model_size - at : MAX_PIECE;

        if (pread(fd, piece, length, (off_t)at) != (ssize_t)length ||
            memcmp(piece, model + at, length) != 0)
            fail("at the end the file is not what it should be, near %zu", at);
    }
}

int main(int argc, char **argv)
{
    static void (*const operations[])(void) = {do_write, do_write,    do_append, do_read, do_read,
                                               do_read,  do_truncate, do_reopen, do_sync};
    unsigned seed = argc > 3 ? (unsigned)atol(argv[3]) : (unsigned)time(NULL);
    unsigned long end;

    if (argc < 3) {
        fprintf(stderr, "usage: random-file FILE OPERATIONS [SEED]\n");
        return 2;
    }
    printf("seed %u\n", seed);
    srandom(seed);
    file = argv[1];
    end = strtoul(argv[2], NULL, 10);
    open_both();
    if (ftruncate(fd, 0) != 0)
        fail("truncate: %m");
    for (number = 1; number <= end; number++) {
        operations[below(sizeof(operations) / sizeof(*operations))]();
        check_size();
    }
    check_whole();
    return 0;
}
