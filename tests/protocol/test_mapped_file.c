/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The security model mapped-file: its format in both directions, and that nobody can misuse it. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/share.h"
#include "tests/lib/unix_client.h"

#define FOLDER ".virtfs_metadata"
#define ROOT   ".virtfs_metadata_root"

enum { ROUNDS = 300 };

static char *side_path(const Share *s, const char *dir, const char *name)
{
    return g_build_filename(s->export, dir, FOLDER, name, NULL);
}

/* Writes a side file as QEMU does. */
static void put_side(const Share *s, const char *dir, const char *name, const char *text)
{
    g_autofree char *folder = side_path(s, dir, NULL);
    g_autofree char *path = side_path(s, dir, name);

    g_assert_true(g_mkdir(folder, 0700) == 0 || errno == EEXIST);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

/* The content of a side file, or NULL; both it and its folder are for the server only. */
static char *get_side(const Share *s, const char *dir, const char *name)
{
    g_autofree char *folder = side_path(s, dir, NULL);
    g_autofree char *path = side_path(s, dir, name);
    struct stat st;
    char *text;

    if (lstat(path, &st) != 0)
        return NULL;
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0600);
    g_assert_cmpint(lstat(folder, &st), ==, 0);
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 0700);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void expect_side(const Share *s, const char *dir, const char *name, const char *expected)
{
    g_autofree char *text = get_side(s, dir, name);

    g_assert_cmpstr(text, ==, expected);
}

static struct stat see(Share *s, const char *name)
{
    struct stat st;

    g_assert_true(share_see(s, name, &st));
    return st;
}

static void walk(Share *s, uint32_t fid, const char *name)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, name, NULL, NULL), ==, 0);
}

static int set_mode(Share *s, uint32_t fid, mode_t mode)
{
    FsChange change = {.valid = P9_SETATTR_MODE, .mode = mode};

    return client_setattr(&s->client, fid, &change);
}

/*
 * The format
 */

static void test_tree_of_qemu(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    char target[4096];
    struct stat st;

    (void)unused;
    share_put(s, "file", "text");
    put_side(s, "", "file", "virtfs.uid=1001\nvirtfs.gid=-2\nvirtfs.mode=35309\n");
    st = see(s, "file");
    g_assert_cmpuint(st.st_uid, ==, 1001);
    g_assert_cmpuint(st.st_gid, ==, 4294967294u);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 04755);

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    put_side(s, "", "dir", "virtfs.mode=17407\n");
    st = see(s, "dir");
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 01777);
    g_assert_cmpuint(st.st_uid, ==, geteuid()); /* not kept: the host's */

    share_put(s, "dir/link", "../where/to");
    put_side(s, "dir", "link", "virtfs.uid=0\nvirtfs.gid=0\nvirtfs.mode=41471\n");
    walk(s, 1, "dir/link");
    g_assert_cmpint(client_readlink(&s->client, 1, target), ==, 0);
    g_assert_cmpstr(target, ==, "../where/to");

    share_put(s, "disk", "");
    put_side(s, "", "disk", "virtfs.mode=25008\nvirtfs.rdev=-1610608076\n");
    st = see(s, "disk");
    g_assert_cmphex(st.st_mode, ==, S_IFBLK | 0660);
    g_assert_cmpuint(st.st_rdev, ==, (uint32_t)-1610608076);

    share_put(s, ROOT, "virtfs.uid=12\nvirtfs.gid=34\nvirtfs.mode=16877");
    st = see(s, "");
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 0755);
    g_assert_cmpuint(st.st_uid, ==, 12);
    g_assert_cmpuint(st.st_gid, ==, 34);
}

static void test_what_is_written(Share *s, gconstpointer unused)
{
    FsChange change = {
        .valid = P9_SETATTR_UID | P9_SETATTR_MODE, .uid = 4294967294u, .mode = 01640};
    g_autofree char *text = NULL;
    Client *c = &s->client;
    char *root;

    (void)unused;
    share_create(s, 1, "file", 04755);
    expect_side(s, "", "file", "virtfs.uid=1000\nvirtfs.gid=2000\nvirtfs.mode=35309\n");
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    expect_side(s, "", "file", "virtfs.uid=-2\nvirtfs.gid=2000\nvirtfs.mode=33696\n");
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0750, 1), ==, 0);
    expect_side(s, "", "dir", "virtfs.uid=1000\nvirtfs.gid=1\nvirtfs.mode=16872\n");
    walk(s, 2, "dir");
    g_assert_cmpint(client_symlink(c, 2, "link", "a/b", 1), ==, 0);
    expect_side(s, "dir", "link", "virtfs.uid=1000\nvirtfs.gid=1\nvirtfs.mode=41471\n");
    text = share_get(s, "dir/link");
    g_assert_cmpstr(text, ==, "a/b");
    g_assert_cmpint(client_mknod(c, 2, "dev", S_IFCHR | 0600, 4, 64, 1), ==, 0);
    expect_side(s, "dir", "dev",
                "virtfs.uid=1000\nvirtfs.gid=1\nvirtfs.mode=8576\nvirtfs.rdev=1088\n");
    g_assert_cmpint(set_mode(s, SHARE_ROOT, 0711), ==, 0);
    root = share_get(s, ROOT);
    g_assert_cmpstr(root, ==, "virtfs.mode=16841\n");
    g_free(root);
}

/* Lines that mean nothing are passed over, values out of range are not kept. */
static void test_strange_text(Share *s, gconstpointer unused)
{
    g_autoptr(GString) huge = g_string_new("virtfs.mode=33152\n");
    struct stat st;

    (void)unused;
    share_put(s, "a", "");
    put_side(s, "", "a",
             "\n=\nvirtfs.uid\nvirtfs.uid=\nvirtfs.uid=x\nvirtfs.uid=1x\nvirtfs.uid= 1\n"
             "virtfs.uid=4294967296\nvirtfs.uid=-2147483649\nvirtfs.uid=99999999999999999999\n"
             "virtfs.gid=-1\nvirtfs.mode=65536\nvirtfs.mode=-1\nother.uid=5\n");
    st = see(s, "a");
    g_assert_cmpuint(st.st_uid, ==, geteuid());
    g_assert_cmpuint(st.st_gid, ==, getegid());
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0666);
    put_side(s, "", "a", "virtfs.uid=1\nvirtfs.uid=4294967295\nvirtfs.gid=4294967294\r\n");
    st = see(s, "a");
    g_assert_cmpuint(st.st_uid, ==, 1);
    g_assert_cmpuint(st.st_gid, ==, 4294967294u);
    for (unsigned i = 0; i < 100000; i++)
        g_string_append(huge, "virtfs.uid=77\n");
    put_side(s, "", "a", huge->str);
    st = see(s, "a");
    g_assert_cmpuint(st.st_uid, ==, 77);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0600);
    walk(s, 1, "a");
    g_assert_cmpint(set_mode(s, 1, 0640), ==, 0);
    expect_side(s, "", "a", "virtfs.uid=77\nvirtfs.mode=33184\n");
}

/*
 * Names that guests do not have
 */

static void refuse_in(Share *s, uint32_t dir, const char *name)
{
    Client *c = &s->client;

    g_assert_cmpint(client_walk(c, dir, 100, name, NULL, NULL), ==, -EINVAL);
    g_assert_cmpint(client_walk(c, dir, 100, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, 100, name, P9_L_RDWR, 0600, 0), ==, -EINVAL);
    g_assert_cmpint(client_clunk(c, 100), ==, 0);
    g_assert_cmpint(client_mkdir(c, dir, name, 0700, 0), ==, -EINVAL);
    g_assert_cmpint(client_mknod(c, dir, name, S_IFIFO | 0600, 0, 0, 0), ==, -EINVAL);
    g_assert_cmpint(client_symlink(c, dir, name, "x", 0), ==, -EINVAL);
    g_assert_cmpint(client_link(c, dir, 1, name), ==, -EINVAL);
    g_assert_cmpint(client_rename(c, 1, dir, name), ==, -EINVAL);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "file", dir, name), ==, -EINVAL);
    g_assert_cmpint(client_renameat(c, dir, name, SHARE_ROOT, "new"), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, dir, name, 0), ==, -EINVAL);
    g_assert_cmpint(client_unlinkat(c, dir, name, P9_UNLINK_REMOVEDIR), ==, -EINVAL);
}

static void expect_hidden(Share *s, uint32_t dir, unsigned n)
{
    g_autoptr(GArray) entries = NULL;

    g_assert_cmpint(client_open_path(&s->client, dir, 101, "", 0), ==, 0);
    entries = client_list(&s->client, 101, 512);
    g_assert_cmpuint(entries->len, ==, n + 2);
    for (guint i = 0; i < entries->len; i++)
        g_assert_null(strstr(g_array_index(entries, ClientEntry, i).name, "virtfs"));
    g_assert_cmpint(client_clunk(&s->client, 101), ==, 0);
}

static void test_names_are_hidden(Share *s, gconstpointer unused)
{
    static const char *const names[] = {FOLDER, ROOT};
    Client *c = &s->client;
    unsigned n;
    Qid qids[16];

    (void)unused;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, 0);
    walk(s, 2, "dir");
    g_assert_cmpint(client_mkdir(c, 2, "sub", 0755, 0), ==, 0);
    g_assert_cmpint(set_mode(s, SHARE_ROOT, 0755), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *deeper = g_strconcat("dir/", names[i], NULL);

        refuse_in(s, SHARE_ROOT, names[i]);
        refuse_in(s, 2, names[i]);
        g_assert_cmpint(client_walk(c, SHARE_ROOT, 100, deeper, qids, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
    }
    expect_hidden(s, SHARE_ROOT, 2);
    expect_hidden(s, 2, 1);
    /* Names that are only alike are anybody's. */
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, FOLDER "_", 0755, 0), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, ".virtfs", 0755, 0), ==, 0);
}

static void test_names_are_hidden_in_unix(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    UnixStat change = unix_no_change();

    (void)unused;
    share_put(s, "file", "");
    put_side(s, "", "file", "virtfs.uid=1\n");
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, 1, FOLDER), ==, -EINVAL);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, 1, ""), ==, 0);
    g_assert_cmpint(unix_create(&u, 1, FOLDER, 0600, P9_OREAD, ""), ==, -EINVAL);
    g_assert_cmpint(unix_create(&u, 1, ROOT, P9_DMSYMLINK | 0777, P9_OREAD, "x"), ==, -EINVAL);
    unix_at(&u, 2, "file");
    g_strlcpy(change.name, ROOT, sizeof(change.name));
    g_assert_cmpint(unix_wstat(&u, 2, &change), ==, -EINVAL);
}

/*
 * Following names
 */

static void test_side_files_follow(Share *s, gconstpointer unused)
{
    static const char *const text = "virtfs.uid=1000\nvirtfs.gid=2000\nvirtfs.mode=33188\n";
    Client *c = &s->client;

    (void)unused;
    share_create(s, 1, "a", 0644);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, 0);
    walk(s, 2, "dir");
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, 0);
    expect_side(s, "", "a", NULL);
    expect_side(s, "", "b", text);
    g_assert_cmpint(client_rename(c, 1, 2, "c"), ==, 0);
    expect_side(s, "", "b", NULL);
    expect_side(s, "dir", "c", text);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 1, "d"), ==, 0);
    expect_side(s, "", "d", text);
    g_assert_cmpint(client_unlinkat(c, 2, "c", 0), ==, 0);
    expect_side(s, "dir", "c", NULL);
    expect_side(s, "", "d", text);
    walk(s, 3, "d");
    g_assert_cmpint(client_remove(c, 3), ==, 0);
    expect_side(s, "", "d", NULL);
    /* A rename that fails leaves all as it was. */
    share_create(s, 4, "e", 0644);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "e", SHARE_ROOT, "dir"), ==, -EISDIR);
    expect_side(s, "", "e", text);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "dir", SHARE_ROOT, "e"), ==, -ENOTDIR);
    expect_side(s, "", "e", text);
}

/* A directory takes its folder along, whatever was left in there. */
static void test_rmdir(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, 0);
    put_side(s, "dir", "orphan", "virtfs.uid=1\n");
    share_put(s, "dir/" ROOT, "virtfs.uid=1\n");
    share_put(s, "dir/file", "");
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR), ==, -ENOTEMPTY);
    expect_side(s, "dir", "orphan", "virtfs.uid=1\n");
    walk(s, 1, "dir");
    g_assert_cmpint(client_unlinkat(c, 1, "file", 0), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_false(share_stat(s, "dir", &st));
    expect_side(s, "", "dir", NULL);
}

/* What is left of a name says nothing about a file that gets it later from the server. */
static void test_orphan(Share *s, gconstpointer unused)
{
    (void)unused;
    put_side(s, "", "file", "virtfs.uid=1\nvirtfs.rdev=5\n");
    put_side(s, "", "link", "virtfs.uid=1\n");
    share_create(s, 1, "file", 0644);
    expect_side(s, "", "file", "virtfs.uid=1000\nvirtfs.gid=2000\nvirtfs.mode=33188\n");
    g_assert_cmpint(client_link(&s->client, SHARE_ROOT, 1, "link"), ==, 0);
    expect_side(s, "", "link", "virtfs.uid=1000\nvirtfs.gid=2000\nvirtfs.mode=33188\n");
    share_put(s, "plain", "");
    walk(s, 2, "plain");
    put_side(s, "", "moved", "virtfs.uid=1\n");
    g_assert_cmpint(client_rename(&s->client, 2, SHARE_ROOT, "moved"), ==, 0);
    expect_side(s, "", "moved", NULL);
}

/* Names whose side files are not links of each other go on their own. */
static void test_copied_hard_links(Share *s, gconstpointer unused)
{
    g_autofree char *a = share_path(s, "a");
    g_autofree char *b = share_path(s, "b");

    (void)unused;
    share_put(s, "a", "");
    g_assert_cmpint(link(a, b), ==, 0);
    put_side(s, "", "a", "virtfs.mode=33188\n");
    put_side(s, "", "b", "virtfs.mode=33188\n");
    walk(s, 1, "a");
    g_assert_cmpint(set_mode(s, 1, 0600), ==, 0);
    expect_side(s, "", "a", "virtfs.mode=33152\n");
    expect_side(s, "", "b", "virtfs.mode=33188\n");
}

/*
 * Hostile neighbours
 */

/* Neither as a side file nor as the folder is a symlink followed, or anything else waited for. */
static void test_symlinks_are_not_followed(Share *s, gconstpointer unused)
{
    g_autofree char *side = side_path(s, "", "file");
    g_autofree char *secret = g_build_filename(s->outside, "secret", NULL);
    g_autofree char *text = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(secret, "virtfs.uid=666\n", -1, NULL));
    share_put(s, "file", "");
    put_side(s, "", "file", "");
    g_assert_cmpint(g_unlink(side), ==, 0);
    g_assert_cmpint(symlink(secret, side), ==, 0);
    g_assert_cmpuint(see(s, "file").st_uid, ==, geteuid());
    walk(s, 1, "file");
    g_assert_cmpint(set_mode(s, 1, 0640), ==, 0);
    expect_side(s, "", "file", "virtfs.mode=33184\n");
    g_assert_true(g_file_get_contents(secret, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "virtfs.uid=666\n");
}

static void test_special_side_files(Share *s, gconstpointer unused)
{
    g_autofree char *fifo = side_path(s, "", "fifo");
    g_autofree char *dir = side_path(s, "", "dir");

    (void)unused;
    share_put(s, "fifo", "");
    share_put(s, "dir", "");
    put_side(s, "", "other", "");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    g_assert_cmpuint(see(s, "fifo").st_uid, ==, geteuid());
    g_assert_cmpuint(see(s, "dir").st_uid, ==, geteuid());
    walk(s, 1, "fifo");
    g_assert_cmpint(set_mode(s, 1, 0640), ==, 0);
    expect_side(s, "", "fifo", "virtfs.mode=33184\n");
    walk(s, 2, "dir");
    g_assert_cmpint(set_mode(s, 2, 0640), ==, -EISDIR);
}

static void check_bad_folder(Share *s)
{
    Client *c = &s->client;
    struct stat st;

    g_assert_cmpuint(see(s, "file").st_uid, ==, geteuid());
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 1, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(set_mode(s, 1, 0640), <, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "new", 0755, 0), <, 0);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "new", "x", 0), <, 0);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, 2, "new", P9_L_RDWR, 0600, 0), <, 0);
    g_assert_false(share_stat(s, "new", &st));
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpint(client_clunk(c, 2), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    share_put(s, "file", "");
}

/* Without a folder nothing can be made, since nothing can be kept. */
static void test_no_folder(Share *s, gconstpointer unused)
{
    g_autofree char *folder = share_path(s, FOLDER);
    g_autofree char *stolen = g_build_filename(s->outside, "file", NULL);

    (void)unused;
    share_put(s, "file", "");
    share_put(s, FOLDER, "no folder");
    check_bad_folder(s);
    g_assert_cmpint(g_unlink(folder), ==, 0);
    g_assert_true(g_file_set_contents(stolen, "virtfs.uid=666\n", -1, NULL));
    g_assert_cmpint(symlink("../outside", folder), ==, 0);
    check_bad_folder(s);
    g_assert_true(g_file_test(stolen, G_FILE_TEST_EXISTS));
}

/* What a crash has left is no obstacle. */
static void test_left_over_temporaries(Share *s, gconstpointer unused)
{
    (void)unused;
    put_side(s, "", FOLDER, "virtfs.uid=");
    put_side(s, "", ROOT, "virtfs.uid=7\n");
    share_create(s, 1, "a", 0644);
    g_assert_cmpint(set_mode(s, 1, 0600), ==, 0);
    g_assert_cmpint(client_renameat(&s->client, SHARE_ROOT, "a", SHARE_ROOT, "b"), ==, 0);
    expect_side(s, "", "b", "virtfs.uid=1000\nvirtfs.gid=2000\nvirtfs.mode=33152\n");
    expect_side(s, "", FOLDER, NULL);
    expect_side(s, "", ROOT, NULL);
}

/*
 * Several at once
 */

typedef struct Changer {
    Client client;
    gint ended;
} Changer;

/* Owner, group and mode always belong together. */
static void *change_all(void *data)
{
    Changer *changer = data;
    Client *c = &changer->client;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, 200, "dir/two", NULL, NULL), ==, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned n = i % 2 == 0 ? 7 : 0777;
        FsChange change = {.valid = P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE,
                           .uid = n,
                           .gid = n,
                           .mode = n};

        g_assert_cmpint(client_setattr(c, 200, &change), ==, 0);
    }
    g_atomic_int_set(&changer->ended, true);
    return NULL;
}

/* Readers see each change as a whole: under the name it is made through, and under another one,
 * whose side file lies in another folder. */
static void test_changes_are_whole(Share *s, gconstpointer unused)
{
    Changer changer = {.client = {.ts = s->ts, .channel = 1, .tag = 2}};
    Client *c = &s->client;
    pthread_t thread;

    (void)unused;
    share_create(s, 1, "one", 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, 0);
    walk(s, 2, "dir");
    g_assert_cmpint(client_link(c, 2, 1, "two"), ==, 0);
    g_assert_cmpint(pthread_create(&thread, NULL, change_all, &changer), ==, 0);
    while (!g_atomic_int_get(&changer.ended)) {
        static const char *const names[] = {"one", "dir/two"};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
            struct stat st = see(s, names[i]);

            if (st.st_uid == SHARE_UID)
                continue; /* not yet */
            g_assert_cmpuint(st.st_uid, ==, st.st_gid);
            g_assert_cmpuint(st.st_uid, ==, st.st_mode & 07777);
        }
    }
    pthread_join(thread, NULL);
}

/* Two workers serve one export to two guests. */
static void test_two_servers(Share *s, gconstpointer unused)
{
    ExportOptions options = export_default_options;
    FsChange owner = {.valid = P9_SETATTR_UID, .uid = 5};
    TestSession *other;
    const char *why;
    ClientAttr attr;
    Client c;
    Fs *fs;

    (void)unused;
    options.model = MODEL_MAPPED_FILE;
    g_assert_cmpint(local_fs_new(s->export, &options, &fs, &why), ==, 0);
    other = test_session_new(fs, 1, SHARE_MAX_MESSAGE, NULL);
    c = (Client){.ts = other, .channel = 0, .tag = 1};
    client_start(&c, SHARE_MSIZE, SHARE_ROOT, 9);
    share_create(s, 1, "file", 0640);
    g_assert_cmpint(client_walk(&c, SHARE_ROOT, 1, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_setattr(&c, 1, &owner), ==, 0);
    g_assert_cmpint(set_mode(s, 1, 0604), ==, 0);
    g_assert_cmpint(client_getattr(&c, 1, &attr), ==, 0);
    g_assert_cmpuint(attr.uid, ==, 5);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 0604);
    g_assert_cmpuint(see(s, "file").st_uid, ==, 5);
    g_assert_cmpint(client_unlinkat(&c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_getattr(&s->client, 1, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 0604);
    test_session_free(other);
    local_fs_free(fs);
}

/* The names of the host's entry and of its side file change together for everybody: as long as
 * somebody holds the folder's lock, nothing does. */
static void test_folder_is_locked(Share *s, gconstpointer unused)
{
    g_autofree char *folder = side_path(s, "", NULL);
    g_autofree TestReply *reply = NULL;
    struct stat st;
    int fd;

    (void)unused;
    share_create(s, 1, "a", 0644);
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
    client_send(s->ts, 7, P9_TUNLINKAT, "dsd", SHARE_ROOT, "a", 0);
    g_assert_null(test_session_await(s->ts, 0, 7, 50));
    g_assert_true(share_stat(s, "a", &st));
    close(fd);
    reply = test_session_await(s->ts, 0, 7, 10000);
    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->type, ==, P9_TUNLINKAT + 1);
    g_assert_false(share_stat(s, "a", &st));
}

static void add(const char *name, ShareTest *test)
{
    share_add_test_with_model(name, MODEL_MAPPED_FILE, test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/mapped-file/tree-of-qemu", test_tree_of_qemu);
    add("/mapped-file/what-is-written", test_what_is_written);
    add("/mapped-file/strange-text", test_strange_text);
    add("/mapped-file/names-are-hidden", test_names_are_hidden);
    add("/mapped-file/names-are-hidden-in-unix", test_names_are_hidden_in_unix);
    add("/mapped-file/side-files-follow", test_side_files_follow);
    add("/mapped-file/rmdir", test_rmdir);
    add("/mapped-file/orphan", test_orphan);
    add("/mapped-file/copied-hard-links", test_copied_hard_links);
    add("/mapped-file/symlinks-are-not-followed", test_symlinks_are_not_followed);
    add("/mapped-file/special-side-files", test_special_side_files);
    add("/mapped-file/no-folder", test_no_folder);
    add("/mapped-file/left-over-temporaries", test_left_over_temporaries);
    add("/mapped-file/changes-are-whole", test_changes_are_whole);
    add("/mapped-file/two-servers", test_two_servers);
    add("/mapped-file/folder-is-locked", test_folder_is_locked);
    return g_test_run();
}
