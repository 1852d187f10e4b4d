/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host directory through the server: names, and staying inside whatever others do to them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/share.h"

enum { SWAP_MS = 400 };

static uint64_t inode_of(const char *path)
{
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    return st.st_ino;
}

static void move(const Share *s, const char *from, const char *to)
{
    g_autofree char *from_path = share_path(s, from);
    g_autofree char *to_path = share_path(s, to);

    g_assert_cmpint(rename(from_path, to_path), ==, 0);
}

static void test_names(Share *s, gconstpointer unused)
{
    static const char *const good[] = {"with space", "new\nline",   "\xff\xfe", "...",
                                       "-rf",        "a (deleted)", "%s%n"};
    Client *c = &s->client;
    char longest[P9_NAME_MAX + 2];
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_cmpint(client_mkdir(c, SHARE_ROOT, good[i], 0755, 0), ==, 0);
        g_assert_true(share_stat(s, good[i], &st));
        g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, good[i], NULL, NULL), ==, 0);
        g_assert_cmpint(client_remove(c, 1), ==, 0);
    }
    memset(longest, 'n', sizeof(longest));
    longest[P9_NAME_MAX + 1] = '\0';
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, longest, 0755, 0), ==, -ENAMETOOLONG);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, longest, NULL, NULL), ==, -ENAMETOOLONG);
    longest[P9_NAME_MAX] = '\0';
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, longest, 0755, 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, longest, P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "", 0755, 0), ==, -ENOENT);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "a/b", 0755, 0), ==, -ENOENT);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, ".", 0755, 0), ==, -EEXIST);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "..", 0755, 0), ==, -EEXIST);
}

static void test_renamed_behind_the_back(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;
    char back[8];

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "a", 0755, 0);
    client_mkdir(c, SHARE_ROOT, "elsewhere", 0755, 0);
    client_walk(c, SHARE_ROOT, 1, "a", NULL, NULL);
    client_walk(c, 1, 2, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 2, "file", P9_L_RDWR, 0644, 0), ==, 0);
    g_assert_cmpint(client_walk(c, 1, 3, "file", NULL, NULL), ==, 0);
    move(s, "a/file", "a/renamed");
    move(s, "a", "elsewhere/b");
    g_assert_cmpint(client_write(c, 2, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_walk(c, 1, 4, "renamed", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open(c, 4, 0), ==, 0);
    g_assert_cmpint(client_read(c, 4, 0, 8, back), ==, 4);
    g_assert_cmpint(client_mkdir(c, 1, "new", 0755, 0), ==, 0);
    g_assert_true(share_stat(s, "elsewhere/b/new", &st));
    g_assert_cmpint(client_rename(c, 3, SHARE_ROOT, "again"), ==, 0);
    g_assert_true(share_stat(s, "again", &st));
    move(s, "again", "elsewhere/again");
    g_assert_cmpint(client_remove(c, 3), ==, 0);
    g_assert_false(share_stat(s, "elsewhere/again", &st));
}

static void test_remove(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);
    share_put(s, "dir/file", "text");
    client_walk(c, SHARE_ROOT, 1, "dir", NULL, NULL);
    g_assert_cmpint(client_remove(c, 1), ==, -ENOTEMPTY);
    g_assert_false(client_has_fid(c, 1));
    client_walk(c, SHARE_ROOT, 1, "dir/file", NULL, NULL);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    client_walk(c, SHARE_ROOT, 1, "dir", NULL, NULL);
    g_assert_cmpint(client_remove(c, 1), ==, 0);
    g_assert_false(share_stat(s, "dir", &st));
    client_walk(c, SHARE_ROOT, 1, "", NULL, NULL);
    g_assert_cmpint(client_remove(c, 1), ==, -EBUSY);
    g_assert_true(client_has_fid(c, SHARE_ROOT));
}

static void test_unlinkat(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);
    share_put(s, "file", "text");
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "dir", 0), ==, -EISDIR);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", P9_UNLINK_REMOVEDIR), ==, -ENOTDIR);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 1), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, ".", P9_UNLINK_REMOVEDIR), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "..", P9_UNLINK_REMOVEDIR), ==, -ENOTEMPTY);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "none", 0), ==, -ENOENT);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "../outside/secret", 0), ==, -ENOENT);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR), ==, 0);
}

static void test_rename(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    g_autofree char *text = NULL;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "a", 0755, 0);
    client_mkdir(c, SHARE_ROOT, "b", 0755, 0);
    share_put(s, "file", "one");
    share_put(s, "b/other", "two");
    client_walk(c, SHARE_ROOT, 1, "a", NULL, NULL);
    client_walk(c, SHARE_ROOT, 2, "b", NULL, NULL);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "file", 2, "other"), ==, 0);
    text = share_get(s, "b/other");
    g_assert_cmpstr(text, ==, "one");
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, -ENOTEMPTY);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", 1, "below"), ==, -EINVAL);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "none", 1, "below"), ==, -ENOENT);
    g_assert_cmpint(client_renameat(c, 1, "..", 1, "x"), ==, -EISDIR);
    g_assert_cmpint(client_rename(c, 1, 2, "../x"), ==, -ENOENT);
    g_assert_cmpint(client_rename(c, 1, 2, "moved"), ==, 0);
    g_assert_cmpint(client_walk(c, 1, 3, "..", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, 3, 4, "other", NULL, NULL), ==, 0);
    g_assert_cmpint(client_rename(c, SHARE_ROOT, 2, "root"), ==, -EBUSY);
}

static void test_hard_links(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr one, two;

    (void)unused;
    share_put(s, "one", "text");
    client_walk(c, SHARE_ROOT, 1, "one", NULL, NULL);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "two"), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "two"), ==, -EEXIST);
    client_walk(c, SHARE_ROOT, 2, "two", NULL, NULL);
    client_getattr(c, 1, &one);
    client_getattr(c, 2, &two);
    g_assert_cmpuint(one.qid.path, ==, two.qid.path);
    g_assert_cmpuint(two.nlink, ==, 2);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "one", 0), ==, 0);
    client_getattr(c, 1, &one);
    g_assert_cmpuint(one.nlink, ==, 1);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "two", 0), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "three"), ==, -ENOENT);
    g_assert_cmpint(client_link(c, SHARE_ROOT, SHARE_ROOT, "root"), ==, -EPERM);
}

/*
 * Symbolic links
 */

static void test_symlinks(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr attr;
    char target[4096];
    struct stat st;

    (void)unused;
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "../outside/secret", 0), ==, 0);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "x", 0), ==, -EEXIST);
    g_assert_true(share_see(s, "link", &st));
    g_assert_true(S_ISLNK(st.st_mode));
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "link", NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.type, ==, P9_QTSYMLINK);
    g_assert_cmpint(client_readlink(c, 1, target), ==, 0);
    g_assert_cmpstr(target, ==, "../outside/secret");
    g_assert_cmpint(client_readlink(c, SHARE_ROOT, target), ==, -EINVAL);
    g_assert_cmpint(client_open(c, 1, 0), ==, -ELOOP);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "link2"), ==, 0);
    g_assert_true(share_see(s, "link2", &st));
    g_assert_true(S_ISLNK(st.st_mode));
    g_assert_cmpint(client_remove(c, 1), ==, 0);
}

/* The longest target that the host takes. */
static void test_long_symlink(Share *s, gconstpointer unused)
{
    g_autofree char *target = g_strnfill(4000, 't');
    char back[4096];

    (void)unused;
    g_assert_cmpint(client_symlink(&s->client, SHARE_ROOT, "link", target, 0), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, 1, "link", NULL, NULL), ==, 0);
    g_assert_cmpint(client_readlink(&s->client, 1, back), ==, 0);
    g_assert_cmpstr(back, ==, target);
}

static void assert_secret_untouched(const Share *s, const struct stat *before)
{
    g_autofree char *path = g_build_filename(s->outside, "secret", NULL);
    g_autofree char *text = NULL;
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "secret");
    g_assert_cmpuint(st.st_mode, ==, before->st_mode);
    g_assert_cmpuint(st.st_uid, ==, before->st_uid);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, before->st_mtim.tv_sec);
    g_assert_cmpint(st.st_mtim.tv_nsec, ==, before->st_mtim.tv_nsec);
    g_assert_cmpint(st.st_size, ==, before->st_size);
}

/* No message reaches what a link points at, neither as its last name nor in the middle. */
static void test_symlinks_are_not_followed(Share *s, gconstpointer unused)
{
    FsChange owner = {.valid = P9_SETATTR_UID, .uid = 1234};
    FsChange mode = {.valid = P9_SETATTR_MODE, .mode = 0777};
    FsChange size = {.valid = P9_SETATTR_SIZE};
    FsChange times = {.valid = P9_SETATTR_MTIME};
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    Client *c = &s->client;
    struct stat before, st;
    unsigned n;

    (void)unused;
    g_assert_cmpint(lstat(secret, &before), ==, 0);
    client_symlink(c, SHARE_ROOT, "file", "../outside/secret", 0);
    client_symlink(c, SHARE_ROOT, "dir", "../outside", 0);
    client_symlink(c, SHARE_ROOT, "absolute", s->outside, 0);
    client_walk(c, SHARE_ROOT, 1, "file", NULL, NULL);
    g_assert_cmpint(client_setattr(c, 1, &owner), ==, 0);
    g_assert_cmpint(client_setattr(c, 1, &times), ==, 0);
    g_assert_cmpint(client_setattr(c, 1, &size), ==, -EINVAL);
    client_setattr(c, 1, &mode);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpuint(st.st_uid, ==, 1234);

    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "dir/secret", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_false(client_has_fid(c, 2));
    client_walk(c, SHARE_ROOT, 3, "absolute", NULL, NULL);
    g_assert_cmpint(client_walk(c, 3, 4, "secret", NULL, NULL), <, 0);
    g_assert_cmpint(client_mkdir(c, 3, "new", 0755, 0), <, 0);
    g_assert_cmpint(client_create(c, 3, "new", P9_L_RDWR, 0644, 0), <, 0);
    g_assert_cmpint(client_unlinkat(c, 3, "secret", 0), <, 0);
    g_assert_cmpint(client_renameat(c, 3, "secret", SHARE_ROOT, "stolen"), <, 0);
    g_assert_cmpint(client_symlink(c, 3, "new", "x", 0), <, 0);
    client_walk(c, SHARE_ROOT, 5, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 5, "file", P9_L_RDWR | P9_L_TRUNC, 0644, 0), ==, -ELOOP);
    client_symlink(c, SHARE_ROOT, "dangling", "../outside/new", 0);
    g_assert_cmpint(client_create(c, 5, "dangling", P9_L_RDWR, 0644, 0), ==, -ELOOP);
    assert_secret_untouched(s, &before);
}

/*
 * Staying inside
 */

static void test_dotdot(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    Qid root, qids[16];
    unsigned n;

    (void)unused;
    client_attach(c, 9, 0, &root);
    client_mkdir(c, SHARE_ROOT, "a", 0755, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "..", qids, &n), ==, 0);
    g_assert_cmpuint(qids[0].path, ==, root.path);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "../../a/../..", qids, &n), ==, 0);
    g_assert_cmpuint(n, ==, 5);
    g_assert_cmpuint(qids[4].path, ==, root.path);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 3, "../outside", NULL, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(client_walk(c, 1, 4, "outside", NULL, NULL), ==, -ENOENT);
}

/* A directory that is moved out of the export is no way to what lies around it. */
static void test_moved_out(Share *s, gconstpointer unused)
{
    g_autofree char *inside = share_path(s, "a");
    g_autofree char *moved = g_build_filename(s->outside, "a", NULL);
    uint64_t outside = inode_of(s->outside), above = inode_of(s->base);
    Client *c = &s->client;
    ClientAttr attr;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "a", 0755, 0);
    share_put(s, "a/file", "text");
    client_walk(c, SHARE_ROOT, 1, "a", NULL, NULL);
    client_walk(c, SHARE_ROOT, 5, "a/file", NULL, NULL);
    g_assert_cmpint(rename(inside, moved), ==, 0);
    for (uint32_t fid = 2; fid < 4; fid++) {
        static const char *const paths[] = {"..", "../.."};

        if (client_walk(c, 1, fid, paths[fid - 2], NULL, NULL) != 0)
            continue;
        g_assert_cmpint(client_getattr(c, fid, &attr), ==, 0);
        g_assert_cmpuint(attr.qid.path, !=, outside);
        g_assert_cmpuint(attr.qid.path, !=, above);
    }
    g_assert_cmpint(client_remove(c, 5), <, 0);
    g_assert_true(g_file_test(moved, G_FILE_TEST_IS_DIR));
}

typedef struct Swapper {
    char *directory;
    char *link;
    gint stop; /* atomic */
} Swapper;

/* Swaps a directory and a link that points outside, as fast as it can. */
static gpointer swap(gpointer argument)
{
    Swapper *swapper = argument;

    while (!g_atomic_int_get(&swapper->stop))
        g_assert_cmpint(
            renameat2(AT_FDCWD, swapper->directory, AT_FDCWD, swapper->link, RENAME_EXCHANGE), ==,
            0);
    return NULL;
}

/* Each way to reach "swapped/secret", which exists outside only. Counts those that led there. */
static unsigned attack(Share *s, uint64_t secret)
{
    Client *c = &s->client;
    unsigned n_reached = 0;
    ClientAttr attr;

    if (client_walk(c, SHARE_ROOT, 1, "swapped/secret", NULL, NULL) == 0) {
        client_getattr(c, 1, &attr);
        n_reached += attr.qid.path == secret;
        client_clunk(c, 1);
    }
    if (client_walk(c, SHARE_ROOT, 2, "swapped", NULL, NULL) == 0) {
        if (client_walk(c, 2, 3, "", NULL, NULL) == 0) {
            client_create(c, 3, "made", P9_L_RDWR, 0644, 0);
            client_clunk(c, 3);
        }
        client_mkdir(c, 2, "made-dir", 0755, 0);
        client_unlinkat(c, 2, "secret", 0);
        client_renameat(c, 2, "secret", SHARE_ROOT, "stolen");
        client_unlinkat(c, 2, "made", 0);
        client_unlinkat(c, 2, "made-dir", P9_UNLINK_REMOVEDIR);
        client_clunk(c, 2);
    }
    return n_reached;
}

static unsigned count_entries(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    g_dir_close(dir);
    return n;
}

static void test_swapped_for_a_symlink(Share *s, gconstpointer unused)
{
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    Swapper swapper = {.directory = share_path(s, "swapped"), .link = share_path(s, "link")};
    gint64 until = g_get_monotonic_time() + SWAP_MS * G_TIME_SPAN_MILLISECOND;
    unsigned n_reached = 0;
    struct stat before;
    GThread *thread;

    (void)unused;
    g_assert_cmpint(g_mkdir(swapper.directory, 0777), ==, 0);
    g_assert_cmpint(symlink(s->outside, swapper.link), ==, 0);
    g_assert_cmpint(lstat(secret, &before), ==, 0);
    thread = g_thread_new("swap", swap, &swapper);
    while (g_get_monotonic_time() < until)
        n_reached += attack(s, before.st_ino);
    g_atomic_int_set(&swapper.stop, 1);
    g_thread_join(thread);
    g_assert_cmpuint(n_reached, ==, 0);
    g_assert_cmpuint(count_entries(s->outside), ==, 1);
    assert_secret_untouched(s, &before);
    g_free(swapper.directory);
    g_free(swapper.link);
}

/* 300 directories below each other: a path of 75,000 bytes, which the host knows no name for. */
static void test_deep_path(Share *s, gconstpointer unused)
{
    enum { LEVELS = 300, NAME_LENGTH = 250 };
    g_autofree char *name = g_strnfill(NAME_LENGTH, 'd');
    Client *c = &s->client;
    ClientAttr attr;
    Qid parent;

    (void)unused;
    client_walk(c, SHARE_ROOT, 1, "", NULL, NULL);
    for (unsigned i = 0; i < LEVELS; i++) {
        client_getattr(c, 1, &attr);
        parent = attr.qid;
        g_assert_cmpint(client_mkdir(c, 1, name, 0755, 0), ==, 0);
        g_assert_cmpint(client_walk(c, 1, 1, name, NULL, NULL), ==, 0);
    }
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_true(S_ISDIR(attr.mode));
    g_assert_cmpint(client_walk(c, 1, 2, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, 2, "file", P9_L_RDWR, 0644, 0), ==, 0);
    g_assert_cmpint(client_write(c, 2, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_renameat(c, 1, "file", 1, "renamed"), ==, 0);
    g_assert_cmpint(client_open_path(c, 1, 3, "renamed", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, 1, "renamed", 0), ==, 0);
    g_assert_cmpint(client_walk(c, 1, 4, "..", NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(c, 4, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.path, ==, parent.path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test_for_models("/local-names/names", test_names);
    share_add_test_for_models("/local-names/renamed-behind-the-back", test_renamed_behind_the_back);
    share_add_test_for_models("/local-names/remove", test_remove);
    share_add_test_for_models("/local-names/unlinkat", test_unlinkat);
    share_add_test_for_models("/local-names/rename", test_rename);
    share_add_test_for_models("/local-names/hard-links", test_hard_links);
    share_add_test_for_models("/local-names/symlinks", test_symlinks);
    share_add_test_for_models("/local-names/long-symlink", test_long_symlink);
    share_add_test("/local-names/symlinks-not-followed", test_symlinks_are_not_followed);
    share_add_test_for_models("/local-names/dotdot", test_dotdot);
    share_add_test_for_models("/local-names/moved-out", test_moved_out);
    share_add_test_for_models("/local-names/swapped-for-a-symlink", test_swapped_for_a_symlink);
    share_add_test_for_models("/local-names/deep-path", test_deep_path);
    return g_test_run();
}
