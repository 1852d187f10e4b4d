/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Path races: while clients walk, make, move, remove and list, this host changes directories into symbolic
 * links that lead out of the export, and back, all the time, in both ways in which names can be
 * exchanged. Nothing outside may ever be read, written, listed or removed.
 *
 * The export and the outside look alike, so that a lookup that went astray would succeed:
 *
 *     export/d  ->  export/real  or  outside, by turns a directory and a symbolic link
 *     .../sub/file       "inside" in the export, "secret" outside
 *     .../sub/listed-*   a name that tells which of the two it is
 *
 * Runs for some seconds; with -m slow for ten minutes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/share.h"

enum {
    QUICK_SECONDS = 2,
    SLOW_SECONDS = 600,
    LEAST = 10, /* rounds and swaps, however slow the machine is */
    DIR_FID = 10,
    FILE_FID = 11,
    OTHER_FID = 12,
};

typedef struct Swapper {
    const Share *share;
    pthread_t thread;
    gint stop;    /* atomic */
    gint n_swaps; /* atomic */
} Swapper;

static void make_side(const char *base, const char *content)
{
    g_autofree char *sub = g_strdup_printf("%s/sub", base);
    g_autofree char *file = g_strdup_printf("%s/file", sub);
    g_autofree char *listed = g_strdup_printf("%s/listed-%s", sub, content);

    g_assert_no_errno(mkdir(sub, 0777));
    g_assert_true(g_file_set_contents(file, content, -1, NULL));
    g_assert_true(g_file_set_contents(listed, content, -1, NULL));
}

/* "d" becomes the other thing in one step, and back. */
static void exchange(const Share *s)
{
    g_autofree char *d = share_path(s, "d");
    g_autofree char *trap = share_path(s, "trap");

    g_assert_no_errno(renameat2(AT_FDCWD, d, AT_FDCWD, trap, RENAME_EXCHANGE));
}

/* The same in two steps, with a moment in which there is no "d". */
static void move(const Share *s)
{
    g_autofree char *d = share_path(s, "d");
    g_autofree char *trap = share_path(s, "trap");
    g_autofree char *aside = share_path(s, "aside");

    g_assert_no_errno(rename(d, aside));
    g_assert_no_errno(rename(trap, d));
    g_assert_no_errno(rename(aside, trap));
}

static void *swap(void *data)
{
    Swapper *swapper = data;

    while (!g_atomic_int_get(&swapper->stop)) {
        if (g_atomic_int_add(&swapper->n_swaps, 1) % 2 == 0)
            exchange(swapper->share);
        else
            move(swapper->share);
    }
    return NULL;
}

/* What came out of the export, or failed in one of the ways that a lookup may. */
static void check_error(int error)
{
    switch (error) {
    case 0:
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
    case -EEXIST:
    case -EISDIR:
    case -ENXIO:
    case -EOPNOTSUPP: /* chmod of a symbolic link */
        return;
    default:
        g_error("error %d (%s)", -error, g_strerror(-error));
    }
}

static void try_read(Client *c)
{
    char text[16] = "";

    if (client_walk(c, SHARE_ROOT, FILE_FID, "d/sub/file", NULL, NULL) != 0)
        return;
    if (client_open(c, FILE_FID, 0) == 0) {
        g_assert_cmpint(client_read(c, FILE_FID, 0, sizeof(text) - 1, text), ==, 6);
        g_assert_cmpstr(text, ==, "inside");
    }
    client_clunk(c, FILE_FID);
}

static void try_list(Client *c)
{
    GArray *entries;

    if (client_walk(c, SHARE_ROOT, DIR_FID, "d/sub", NULL, NULL) != 0)
        return;
    if (client_open(c, DIR_FID, 0) == 0) {
        entries = client_list(c, DIR_FID, 8192);
        for (guint i = 0; i < entries->len; i++)
            g_assert_cmpstr(g_array_index(entries, ClientEntry, i).name, !=, "listed-secret");
        g_array_unref(entries);
    }
    client_clunk(c, DIR_FID);
}

/* Step by step, so that the swap comes in between. */
static void try_change(Client *c)
{
    FsChange change = {.valid = P9_SETATTR_MODE, .mode = 0751};

    if (client_walk(c, SHARE_ROOT, DIR_FID, "d", NULL, NULL) != 0)
        return;
    check_error(client_mkdir(c, DIR_FID, "made", 0755, 0));
    check_error(client_unlinkat(c, DIR_FID, "made", P9_UNLINK_REMOVEDIR));
    check_error(client_symlink(c, DIR_FID, "soft", "/", 0));
    check_error(client_renameat(c, DIR_FID, "soft", DIR_FID, "moved"));
    check_error(client_unlinkat(c, DIR_FID, "moved", 0));
    check_error(client_setattr(c, DIR_FID, &change));
    if (client_walk(c, DIR_FID, OTHER_FID, "sub", NULL, NULL) == 0) {
        if (client_create(c, OTHER_FID, "created", P9_L_RDWR, 0644, 0) == 0)
            g_assert_cmpint(client_write(c, OTHER_FID, 0, "x", 1), ==, 1);
        check_error(client_remove(c, OTHER_FID));
    }
    client_clunk(c, DIR_FID);
}

static void try_climb(Client *c)
{
    if (client_walk(c, SHARE_ROOT, DIR_FID, "d/sub/../../../outside/sub/file", NULL, NULL) == 0)
        g_error("the walk came out of the export");
}

static void check_outside(const Share *s)
{
    g_autofree char *command =
        g_strdup_printf("cd '%s' && find . | sort | tr '\\n' ' '", s->outside);
    g_autofree char *names = NULL;
    g_autofree char *file = g_strdup_printf("%s/sub/file", s->outside);
    g_autofree char *text = NULL;
    const char *argv[] = {"sh", "-c", command, NULL};
    struct stat st;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &names,
                               NULL, NULL, NULL));
    g_assert_cmpstr(names, ==, ". ./secret ./sub ./sub/file ./sub/listed-secret ");
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "secret");
    g_assert_no_errno(stat(s->outside, &st));
    g_assert_cmpuint(st.st_mode & 07777, ==, 0755);
}

/* `target` is how the link names the outside. */
static void race(Share *s, const char *target)
{
    gint64 seconds = g_test_slow() ? SLOW_SECONDS : QUICK_SECONDS;
    gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    g_autofree char *d = share_path(s, "d");
    g_autofree char *trap = share_path(s, "trap");
    Swapper swapper = {.share = s};
    unsigned n = 0;

    g_assert_no_errno(mkdir(d, 0777));
    make_side(d, "inside");
    make_side(s->outside, "secret");
    g_assert_no_errno(symlink(target, trap));
    g_assert_no_errno(chmod(s->outside, 0755));
    pthread_create(&swapper.thread, NULL, swap, &swapper);
    while (g_get_monotonic_time() < end || n <= LEAST ||
           g_atomic_int_get(&swapper.n_swaps) <= LEAST) {
        try_read(&s->client);
        try_list(&s->client);
        try_change(&s->client);
        try_climb(&s->client);
        n++;
    }
    g_atomic_int_set(&swapper.stop, 1);
    pthread_join(swapper.thread, NULL);
    check_outside(s);
    g_test_message("%u rounds, %d swaps", n, swapper.n_swaps);
}

static void test_absolute_links(Share *s, gconstpointer unused)
{
    (void)unused;
    race(s, s->outside);
}

static void test_relative_links(Share *s, gconstpointer unused)
{
    (void)unused;
    race(s, "../outside");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/path-races/absolute-links", test_absolute_links);
    share_add_test("/path-races/relative-links", test_relative_links);
    return g_test_run();
}
