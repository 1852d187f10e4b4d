/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What names led to is kept, and nobody can tell: whatever becomes of the names, a walk leads to what
 * they stand for. Tests say "kept" when they count descriptors that no fid has.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/lib/client.h"
#include "tests/lib/share.h"

enum {
    FID = 1,
    OTHER = 2,
    MANY = 1000,
    MOST_KEPT = 256,
    FEW = 64,
    ROUNDS = 2000,
    N_WALKERS = 3,
    SETTLED_USEC = 3100 * 1000
};

static bool may_mount;

static void make_tree(const Share *s)
{
    share_mkdir(s, "a");
    share_mkdir(s, "a/b");
    share_mkdir(s, "a/b/c");
    share_put(s, "a/b/c/file", "first");
}

/* Walks to `path` and back; returns the last qid's path, or 0 and sets *error. */
static uint64_t visit(Client *c, const char *path, int *error)
{
    Qid qids[16];
    unsigned n;

    *error = client_walk(c, SHARE_ROOT, FID, path, qids, &n);
    if (*error == 0 && client_clunk(c, FID) != 0)
        *error = -ENOENT; /* it did not come to the end of the path */
    return *error ? 0 : qids[n - 1].path;
}

static uint64_t visit_well(Client *c, const char *path)
{
    int error;
    uint64_t found = visit(c, path, &error);

    g_assert_cmpint(error, ==, 0);
    return found;
}

static void check_leads_to(Share *s, const char *path)
{
    struct stat st;

    g_assert_true(share_stat(s, path, &st));
    g_assert_cmpuint(visit_well(&s->client, path), ==, st.st_ino);
}

static void check_fails(Share *s, const char *path, int expected)
{
    int error;

    visit(&s->client, path, &error);
    g_assert_cmpint(error, ==, expected);
}

static void move(const Share *s, const char *from, const char *to)
{
    g_autofree char *old = share_path(s, from);
    g_autofree char *new = share_path(s, to);

    g_assert_cmpint(rename(old, new), ==, 0);
}

static void delete_name(const Share *s, const char *name)
{
    g_autofree char *path = share_path(s, name);

    g_assert_cmpint(g_remove(path), ==, 0);
}

/* What the disk may have a part in is let go of by another thread. */
static void await_descriptors(unsigned n)
{
    int64_t until = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;

    while (count_descriptors() != n && g_get_monotonic_time() < until)
        g_usleep(1000);
    g_assert_cmpuint(count_descriptors(), ==, n);
}

/* But only until the session rests. */
static void test_kept(Share *s, gconstpointer unused)
{
    unsigned before = count_descriptors();

    (void)unused;
    make_tree(s);
    g_usleep(SETTLED_USEC);
    for (unsigned i = 0; i < 3; i++) {
        check_leads_to(s, "a/b/c/file");
        g_assert_cmpuint(count_descriptors(), ==, before + 4);
    }
    session_rest(test_session_session(s->ts));
    await_descriptors(before);
    check_leads_to(s, "a/b/c/file");
}

/* All that dom0 can do to a name. */
static void test_other_directory(Share *s, gconstpointer unused)
{
    (void)unused;
    make_tree(s);
    check_leads_to(s, "a/b/c/file");
    move(s, "a/b", "a/old");
    check_fails(s, "a/b/c/file", -ENOENT);
    check_leads_to(s, "a/old/c/file");
    share_mkdir(s, "a/b");
    share_mkdir(s, "a/b/c");
    check_fails(s, "a/b/c/file", -ENOENT);
    share_put(s, "a/b/c/file", "second");
    check_leads_to(s, "a/b/c/file");
    check_leads_to(s, "a/old/c/file");
}

static void test_not_a_directory_any_more(Share *s, gconstpointer unused)
{
    g_autofree char *link = share_path(s, "a/b");

    (void)unused;
    make_tree(s);
    check_leads_to(s, "a/b/c/file");
    move(s, "a/b", "a/old");
    share_put(s, "a/b", "a file");
    check_fails(s, "a/b/c/file", -ENOENT);
    check_leads_to(s, "a/b");
    delete_name(s, "a/b");
    g_assert_cmpint(symlink("old", link), ==, 0);
    check_fails(s, "a/b/c/file", -ENOENT);
    check_leads_to(s, "a/b");
    delete_name(s, "a/b");
    g_assert_cmpint(symlink(s->outside, link), ==, 0);
    check_fails(s, "a/b/secret", -ENOENT);
    delete_name(s, "a/b");
    move(s, "a/old", "a/b");
    check_leads_to(s, "a/b/c/file");
}

static void add_link(const Share *s, const char *from, const char *to)
{
    g_autofree char *old = share_path(s, from);
    g_autofree char *new = share_path(s, to);

    g_assert_cmpint(link(old, new), ==, 0);
}

/* Has the file "a" kept, and then another name. */
static void keep_and_link(Share *s, const char *name)
{
    unsigned before;

    share_put(s, "a", "content");
    g_usleep(SETTLED_USEC);
    before = count_descriptors();
    check_leads_to(s, "a");
    g_assert_cmpuint(count_descriptors(), ==, before + 1);
    add_link(s, "a", name);
}

/* Tremove removes the name that was walked to, whatever other names the file has or had. */
static void check_removes_a(Share *s)
{
    struct stat st;

    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FID, "a", NULL, NULL), ==, 0);
    g_assert_cmpint(client_remove(&s->client, FID), ==, 0);
    g_assert_false(share_stat(s, "a", &st));
}

static void test_other_name(Share *s, gconstpointer unused)
{
    g_autofree char *kept = NULL;

    (void)unused;
    keep_and_link(s, "b");
    move(s, "a", "c");
    add_link(s, "c", "a");
    check_removes_a(s);
    kept = share_get(s, "c");
    g_assert_cmpstr(kept, ==, "content");
}

static void test_name_made_again(Share *s, gconstpointer unused)
{
    (void)unused;
    keep_and_link(s, "b");
    delete_name(s, "a");
    move(s, "b", "a");
    check_removes_a(s);
}

/* The inode of a directory that was removed is mostly the next one's. */
static void test_inode_is_used_again(Share *s, gconstpointer unused)
{
    (void)unused;
    share_mkdir(s, "a");
    for (unsigned i = 0; i < 100; i++) {
        g_autofree char *name = g_strdup_printf("a/file-%u", i);

        share_mkdir(s, "a/b");
        check_leads_to(s, "a/b");
        delete_name(s, "a/b");
        share_put(s, name, "a file");
        check_fails(s, "a/b", -ENOENT);
    }
}

/* What a client removes or renames does not take up room for having been seen. */
static void test_removed(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    unsigned before = count_descriptors();

    (void)unused;
    share_mkdir(s, "a");
    share_mkdir(s, "b");
    share_mkdir(s, "c");
    visit_well(c, "a");
    visit_well(c, "b");
    visit_well(c, "c");
    g_assert_cmpuint(count_descriptors(), ==, before + 3);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "a", AT_REMOVEDIR), ==, 0);
    g_assert_cmpuint(count_descriptors(), ==, before + 2);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "b", SHARE_ROOT, "c"), ==, 0);
    g_assert_cmpuint(count_descriptors(), ==, before);
    check_fails(s, "b", -ENOENT);
    check_leads_to(s, "c");
}

static void test_bounded(Share *s, gconstpointer unused)
{
    unsigned before = count_descriptors();

    (void)unused;
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("d%u", i);

        share_mkdir(s, name);
        check_leads_to(s, name);
    }
    g_assert_cmpuint(count_descriptors(), <=, before + MOST_KEPT);
    g_assert_cmpuint(count_descriptors(), >, before + MOST_KEPT / 2);
}

static int walk_to_number(Share *s, unsigned n)
{
    g_autofree char *name = g_strdup_printf("d%u", n);

    return client_walk(&s->client, SHARE_ROOT, FID + n, name, NULL, NULL);
}

/* A descriptor that is kept hinders nobody who needs one. */
static void test_makes_room(Share *s, gconstpointer unused)
{
    ExportOptions options = export_default_options;
    unsigned n = 0;

    (void)unused;
    options.limits.max_descriptors = FEW;
    share_reopen(s, &options);
    for (unsigned i = 0; i < FEW; i++) {
        g_autofree char *name = g_strdup_printf("d%u", i);

        share_mkdir(s, name);
        check_leads_to(s, name);
    }
    while (n < FEW && walk_to_number(s, n) == 0)
        n++;
    g_assert_cmpuint(n, ==, FEW - 1); /* the root has one */
}

/* The same directory in two places, one of which cannot be written to. */
static void test_two_mounts(Share *s, gconstpointer unused)
{
    g_autofree char *here = share_path(s, "a");
    g_autofree char *there = share_path(s, "there");
    Client *c = &s->client;

    (void)unused;
    if (!may_mount) {
        g_test_skip("this process may not make mounts");
        return;
    }
    make_tree(s);
    share_mkdir(s, "there");
    g_assert_cmpint(mount(here, there, NULL, MS_BIND, NULL), ==, 0);
    g_assert_cmpint(mount(NULL, there, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
    share_reopen(s, &export_default_options);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "a/b/c", NULL, NULL), ==, 0);
        g_assert_cmpint(client_walk(c, SHARE_ROOT, OTHER, "there/b/c", NULL, NULL), ==, 0);
        g_assert_cmpint(client_mkdir(c, OTHER, "no", 0755, 0), ==, -EROFS);
        g_assert_cmpint(client_mkdir(c, FID, "yes", 0755, 0), ==, i == 0 ? 0 : -EEXIST);
        g_assert_cmpint(client_clunk(c, FID), ==, 0);
        g_assert_cmpint(client_clunk(c, OTHER), ==, 0);
    }
    g_assert_cmpint(umount2(there, MNT_DETACH), ==, 0);
}

/* Whoever wants to unmount something below the export is not told that it is busy. */
static void test_mounted_below(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "mounted");
    unsigned before;

    (void)unused;
    if (!may_mount) {
        g_test_skip("this process may not make mounts");
        return;
    }
    share_mkdir(s, "mounted");
    g_assert_cmpint(mount("tmpfs", path, "tmpfs", 0, NULL), ==, 0);
    share_mkdir(s, "mounted/a");
    share_reopen(s, &export_default_options);
    before = count_descriptors();
    visit_well(&s->client, "mounted/a");
    g_assert_cmpuint(count_descriptors(), ==, before);
    g_assert_cmpint(umount2(path, MNT_DETACH), ==, 0);
}

typedef struct Walker {
    GThread *thread;
    Client client;
    gint *n_walking; /* atomic */
} Walker;

/* Whatever happens to the names: a file that is found is one of the two. */
static gpointer walk_around(gpointer argument)
{
    Walker *w = argument;
    uint32_t fid = FID + w->client.channel;

    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[16] = "";

        if (client_open_path(&w->client, SHARE_ROOT, fid, "a/b/c/file", 0) == 0) {
            g_assert_cmpint(client_read(&w->client, fid, 0, sizeof(text) - 1, text), >, 0);
            g_assert_true(g_str_equal(text, "first") || g_str_equal(text, "second"));
        }
        if (client_has_fid(&w->client, fid))
            g_assert_cmpint(client_clunk(&w->client, fid), ==, 0);
    }
    g_atomic_int_add(w->n_walking, -1);
    return NULL;
}

/* The two trees change places, and their directory is away for a moment. */
static void change_names(Share *s)
{
    move(s, "a/b", "a/away");
    move(s, "b", "a/b");
    move(s, "a/away", "b");
    g_assert_cmpint(client_renameat(&s->client, SHARE_ROOT, "a", SHARE_ROOT, "e"), ==, 0);
    g_assert_cmpint(client_renameat(&s->client, SHARE_ROOT, "e", SHARE_ROOT, "a"), ==, 0);
}

static void test_names_that_change(Share *s, gconstpointer unused)
{
    Walker walkers[N_WALKERS];
    gint n_walking = N_WALKERS;

    (void)unused;
    make_tree(s);
    share_mkdir(s, "b");
    share_mkdir(s, "b/c");
    share_put(s, "b/c/file", "second");
    for (unsigned i = 0; i < N_WALKERS; i++) {
        walkers[i].client = (Client){.ts = s->ts, .channel = 1 + i, .tag = (uint16_t)(2 + i)};
        walkers[i].n_walking = &n_walking;
        walkers[i].thread = g_thread_new("walker", walk_around, &walkers[i]);
    }
    while (g_atomic_int_get(&n_walking) > 0) {
        change_names(s);
        for (unsigned i = 0; i < 20; i++)
            test_session_step(s->ts);
    }
    for (unsigned i = 0; i < N_WALKERS; i++)
        g_thread_join(walkers[i].thread);
    check_leads_to(s, "a/b/c/file");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    may_mount = unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    share_add_test("/name-cache/kept", test_kept);
    share_add_test("/name-cache/other-directory", test_other_directory);
    share_add_test("/name-cache/not-a-directory-any-more", test_not_a_directory_any_more);
    share_add_test("/name-cache/other-name", test_other_name);
    share_add_test("/name-cache/name-made-again", test_name_made_again);
    share_add_test("/name-cache/inode-is-used-again", test_inode_is_used_again);
    share_add_test("/name-cache/removed", test_removed);
    share_add_test("/name-cache/bounded", test_bounded);
    share_add_test("/name-cache/makes-room", test_makes_room);
    share_add_test("/name-cache/two-mounts", test_two_mounts);
    share_add_test("/name-cache/mounted-below", test_mounted_below);
    share_add_test("/name-cache/names-that-change", test_names_that_change);
    return g_test_run();
}
