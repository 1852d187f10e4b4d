/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target without a fuzzing engine, as a test that prints TAP:
 *
 *     fuzz_X [--tap] [--seconds N] [--seed N] [FILE|FOLDER]...
 *
 * First the inputs in the files and folders, tests/fuzz/corpus/X where none is named, then random ones and random changes of those, for as long as
 * it was told. The seed is printed: with it the same inputs come again. An input that fails is written
 * to ./fuzz-failed before it runs.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { LARGEST_INPUT = 2048 };

static int seconds = 3;
static int64_t seed = -1;
static char **paths;
static gboolean tap;

static const GOptionEntry entries[] = {
    {"tap", 0, 0, G_OPTION_ARG_NONE, &tap, "Accepted from test runners", NULL},
    {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "How long to try random inputs", "N"},
    {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Where they start", "N"},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, "FILE|FOLDER"},
    G_OPTION_ENTRY_NULL,
};

/* The failing input is on disk when the process dies of it. */
static void run(int failed_fd, const uint8_t *bytes, size_t size)
{
    if (ftruncate(failed_fd, 0) != 0 || pwrite(failed_fd, bytes, size, 0) != (ssize_t)size)
        fprintf(stderr, "# the next input cannot be kept\n");
    fuzz_one(bytes, size);
}

static int open_failed(const char *name)
{
    int low = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int fd = fcntl(low, F_DUPFD_CLOEXEC, FUZZ_FIRST_FD);

    close(low);
    return fd;
}

static void load(GPtrArray *corpus, const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    char *text;
    gsize size;

    while (dir && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        load(corpus, file);
    }
    if (!dir && g_file_get_contents(path, &text, &size, NULL))
        g_ptr_array_add(corpus, g_bytes_new_take(text, size));
}

/* Random bytes, or one of the corpus with random bytes in some places. */
static size_t make_input(GRand *rand, GPtrArray *corpus, uint8_t bytes[LARGEST_INPUT])
{
    size_t size = (size_t)g_rand_int_range(rand, 1, LARGEST_INPUT);

    if (corpus->len > 0 && g_rand_boolean(rand)) {
        GBytes *old = corpus->pdata[g_rand_int_range(rand, 0, (gint32)corpus->len)];
        size = MIN(g_bytes_get_size(old), LARGEST_INPUT);
        memcpy(bytes, g_bytes_get_data(old, NULL), size);
        for (int n = g_rand_int_range(rand, 1, 20); n > 0 && size > 0; n--)
            bytes[g_rand_int_range(rand, 0, (gint32)size)] = (uint8_t)g_rand_int(rand);
        return size;
    }
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)g_rand_int(rand);
    return size;
}

/* The corpus of the tree, from whose top tests are run. */
static void load_default(GPtrArray *corpus, const char *program)
{
    g_autofree char *name = g_path_get_basename(program);
    g_autofree char *path = NULL;

    g_assert_true(g_str_has_prefix(name, "fuzz_"));
    path = g_build_filename("tests/fuzz/corpus", name + strlen("fuzz_"), NULL);
    load(corpus, path);
}

static unsigned run_random(int failed_fd, GPtrArray *corpus)
{
    gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)seed);
    uint8_t bytes[LARGEST_INPUT];
    unsigned n = 0;

    while (g_get_monotonic_time() < end) {
        size_t size = make_input(rand, corpus, bytes);
        run(failed_fd, bytes, size);
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GPtrArray) corpus = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autofree char *name = g_strdup_printf("%s/fuzz-failed-%d", g_get_tmp_dir(), (int)getpid());
    g_autoptr(GError) error = NULL;
    int failed_fd;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    failed_fd = open_failed(name);
    if (seed < 0)
        seed = g_random_int();
    printf("# seed %" G_GINT64_FORMAT "; an input that fails is in %s\n1..2\n", seed, name);
    fflush(stdout);
    for (char **path = paths; path && *path; path++)
        load(corpus, *path);
    if (!paths)
        load_default(corpus, argv[0]);
    for (unsigned i = 0; i < corpus->len; i++)
        run(failed_fd, g_bytes_get_data(corpus->pdata[i], NULL), g_bytes_get_size(corpus->pdata[i]));
    printf("ok 1 the %u inputs of the corpus\n", corpus->len);
    printf("ok 2 %u random inputs\n", run_random(failed_fd, corpus));
    close(failed_fd);
    g_unlink(name);
    return 0;
}
