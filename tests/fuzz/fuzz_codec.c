/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the codec. Half of the inputs are a message as it is, half are some that are built by
 * chance; each is decoded in every dialect. What was decoded must lie inside the message, and a stat
 * record that was read must be written as the same bytes.
 *
 * Messages lie in one buffer whose other bytes AddressSanitizer keeps from being touched: as good as
 * a block of memory for each, and many times faster.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#ifndef __has_feature /* clang's */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#include "protocol/codec.h"
#include "tests/fuzz/fuzz.h"

enum { BUFFER_SIZE = 64 * 1024 };

static uint8_t buffer[BUFFER_SIZE];

/* Strings are terminated and part of the message; reading them makes AddressSanitizer look. */
static void check_string(const char *string, size_t size)
{
    g_assert_true((const uint8_t *)string >= buffer);
    g_assert_true((const uint8_t *)string + strlen(string) <= buffer + size);
}

static void check_walk(const Tmessage *t, size_t size)
{
    g_assert_cmpuint(t->walk.n_names, <=, P9_MAX_WALK);
    for (unsigned i = 0; i < t->walk.n_names; i++)
        check_string(t->walk.names[i], size);
}

/* Whatever a record asks for, of a file or of a directory, no other change comes of it than one that it asks for. */
static void check_change(const StatRecord *record, Dialect dialect)
{
    const mode_t modes[] = {S_IFREG | 0644, S_IFDIR | 02755};

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        FsAttr attr = {.stx_mode = (uint16_t)modes[i]};
        FsChange change;
        int error = stat_read_change(record, dialect, &attr, &change);

        g_assert_true(error == 0 || error == -EIO || error == -EINVAL || error == -EISDIR);
        g_assert_true(stat_asks_change(record) || (error == 0 && change.valid == 0));
    }
}

/* A record is all that follows in its message, and is written as it was read. */
static void check_stat(const StatRecord *record, Dialect dialect, const uint8_t *message, size_t size)
{
    const size_t before = P9_HEADER_SIZE + sizeof(uint32_t) + sizeof(uint16_t);
    const char *texts[] = {record->name, record->uid, record->gid, record->muid};
    static uint8_t written[BUFFER_SIZE];
    ByteWriter w = byte_writer(written, sizeof(written));

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        check_string(texts[i], size);
    write_stat(&w, record, dialect);
    g_assert_false(w.failed);
    g_assert_cmpuint(w.used, ==, size - before);
    g_assert_cmpuint(w.used, ==, stat_size(record, dialect));
    g_assert_cmpint(memcmp(written, message + before, w.used), ==, 0);
    check_change(record, dialect);
}

/* `message` is as it came. */
static void check_decoded(const Tmessage *t, Dialect dialect, const uint8_t *message, size_t size)
{
    switch (t->type) {
    case P9_TVERSION:
        return check_string(t->version.version, size);
    case P9_TWALK:
        return check_walk(t, size);
    case P9_TWRITE:
        g_assert_true(t->io.data >= buffer && t->io.count <= size);
        g_assert_true(t->io.data + t->io.count <= buffer + size);
        break;
    case P9_TATTACH:
        check_string(t->attach.uname, size);
        return check_string(t->attach.aname, size);
    case P9_TCREATE:
        return check_string(t->create.name, size);
    case P9_TLCREATE:
    case P9_TMKDIR:
        return check_string(t->lcreate.name, size);
    case P9_TMKNOD:
        return check_string(t->mknod.name, size);
    case P9_TRENAME:
        return check_string(t->rename.name, size);
    case P9_TLINK:
        return check_string(t->link.name, size);
    case P9_TRENAMEAT:
        check_string(t->renameat.old_name, size);
        return check_string(t->renameat.new_name, size);
    case P9_TUNLINKAT:
        return check_string(t->unlinkat.name, size);
    case P9_TSYMLINK:
        check_string(t->symlink.name, size);
        return check_string(t->symlink.target, size);
    case P9_TXATTRWALK:
        return check_string(t->xattrwalk.name, size);
    case P9_TXATTRCREATE:
        return check_string(t->xattrcreate.name, size);
    case P9_TLOCK:
    case P9_TGETLOCK:
        return check_string(t->lock.client_id, size);
    case P9_TWSTAT:
        return check_stat(&t->wstat, dialect, message, size);
    default:
        break;
    }
}

static void decode(Dialect dialect, const uint8_t *bytes, size_t size)
{
    Tmessage t = {0};
    int error;

    ASAN_UNPOISON_MEMORY_REGION(buffer, size + 1);
    memcpy(buffer, bytes, size);
    buffer[size] = 0xff; /* the codec may overwrite it */
    error = tmessage_decode(&t, dialect, buffer, size);
    g_assert_true(error == 0 || error == -EINVAL || error == -EOPNOTSUPP);
    g_assert_cmpuint(t.type, ==, bytes[4]);
    g_assert_nonnull(tmessage_name(t.type));
    if (!error)
        check_decoded(&t, dialect, bytes, size);
    ASAN_POISON_MEMORY_REGION(buffer, size + 1);
}

static void decode_in_all_dialects(const uint8_t *bytes, size_t size)
{
    if (size < P9_HEADER_SIZE || size >= BUFFER_SIZE)
        return;
    for (Dialect dialect = DIALECT_9P2000; dialect <= DIALECT_9P2000_L; dialect++)
        decode(dialect, bytes, size);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    static GByteArray *message;
    FuzzInput input = {bytes, size};

    if (!message) {
        message = g_byte_array_new();
        ASAN_POISON_MEMORY_REGION(buffer, sizeof(buffer));
    }
    if (fuzz_chance(&input, 2)) {
        decode_in_all_dialects(input.next, input.left);
        return;
    }
    do {
        fuzz_message(&input, message);
        decode_in_all_dialects(message->data, message->len);
    } while (input.left > 0);
}
