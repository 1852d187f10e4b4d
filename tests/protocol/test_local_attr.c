/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host directory through the server: owners, modes, times, qids, file system figures. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/lib/share.h"

enum { OTHER_UID = 1001, OTHER_ROOT = 100 };

static bool skipped_without_root(void)
{
    if (geteuid() == 0)
        return false;
    g_test_skip("needs root");
    return true;
}

static void assert_owner(Share *s, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    struct stat st;

    g_assert_true(share_see(s, name, &st));
    g_assert_cmpuint(st.st_mode, ==, mode);
    g_assert_cmpuint(st.st_uid, ==, uid);
    g_assert_cmpuint(st.st_gid, ==, gid);
}

/* The user is the fid's, the group the message's; no umask takes bits away. */
static void test_owner_of_new_files(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    share_create(s, 1, "file", 0666);
    client_mkdir(c, SHARE_ROOT, "dir", 0777, SHARE_GID);
    client_symlink(c, SHARE_ROOT, "link", "x", SHARE_GID);
    client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0622, 0, 0, SHARE_GID);
    assert_owner(s, "file", S_IFREG | 0666, SHARE_UID, SHARE_GID);
    assert_owner(s, "dir", S_IFDIR | 0777, SHARE_UID, SHARE_GID);
    assert_owner(s, "link", S_IFLNK | 0777, SHARE_UID, SHARE_GID);
    assert_owner(s, "fifo", S_IFIFO | 0622, SHARE_UID, SHARE_GID);
}

static void test_umask_has_no_effect(Share *s, gconstpointer unused)
{
    (void)unused;
    share_create(s, 1, "file", 07777);
    client_mkdir(&s->client, SHARE_ROOT, "dir", 01777, 0);
    struct stat st;
    g_assert_true(share_see(s, "file", &st));
    g_assert_cmpuint(st.st_mode & 0777, ==, 0777);
    g_assert_true(share_see(s, "dir", &st));
    g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 01777);
}

/* Two users take turns, on whatever threads: nobody gets the other's files. */
static void test_users_take_turns(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    g_assert_cmpint(client_attach(c, OTHER_ROOT, OTHER_UID, NULL), ==, 0);
    g_assert_cmpint(client_attach(c, OTHER_ROOT + 1, P9_NOUSER, NULL), ==, 0);
    for (unsigned i = 0; i < 40; i++) {
        g_autofree char *name = g_strdup_printf("dir%u", i);
        static const uid_t uids[] = {SHARE_UID, OTHER_UID, 0};
        static const uint32_t roots[] = {SHARE_ROOT, OTHER_ROOT, OTHER_ROOT + 1};

        g_assert_cmpint(client_mkdir(c, roots[i % 3], name, 0700, i), ==, 0);
        assert_owner(s, name, S_IFDIR | 0700, uids[i % 3], i);
    }
}

/* A fid passes its user on to what is walked and created from it. */
static void test_user_stays_with_the_fid(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    client_mkdir(c, SHARE_ROOT, "dir", 0700, 5);
    client_attach(c, OTHER_ROOT, OTHER_UID, NULL);
    g_assert_cmpint(client_walk(c, OTHER_ROOT, 1, "dir", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, 1, 2, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(c, 2, "file", P9_L_RDWR, 0600, 6), ==, 0);
    assert_owner(s, "dir/file", S_IFREG | 0600, OTHER_UID, 6);
    /* Permissions are the client's kernel's business: another user's 0700 is no obstacle. */
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 3, "dir/file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open(c, 3, P9_L_RDWR), ==, 0);
}

static void test_setgid_directory(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_GID | P9_SETATTR_MODE, .gid = 77, .mode = 02775};
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, SHARE_GID);
    client_walk(c, SHARE_ROOT, 1, "dir", NULL, NULL);
    g_assert_cmpint(client_setattr(c, 1, &change), ==, 0);
    assert_owner(s, "dir", S_IFDIR | 02775, SHARE_UID, 77);
    client_mkdir(c, 1, "sub", 0755, SHARE_GID);
    assert_owner(s, "dir/sub", S_IFDIR | 02755, SHARE_UID, 77);
    client_walk(c, 1, 2, "", NULL, NULL);
    client_create(c, 2, "file", P9_L_RDWR, 0644, SHARE_GID);
    assert_owner(s, "dir/file", S_IFREG | 0644, SHARE_UID, 77);
    client_symlink(c, 1, "link", "x", SHARE_GID);
    assert_owner(s, "dir/link", S_IFLNK | 0777, SHARE_UID, 77);
}

/* Makes "file" with this mode and opens it as fid 1 and, for root, as fid 2. */
static void begin_setid(Share *s, mode_t mode)
{
    Client *c = &s->client;
    g_autofree char *path = share_path(s, "file");

    share_create(s, 1, "file", 0777);
    g_assert_cmpint(client_attach(c, OTHER_ROOT, 0, NULL), ==, 0);
    g_assert_cmpint(client_open_path(c, OTHER_ROOT, 2, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

static void expect_mode(Share *s, mode_t mode)
{
    struct stat st;

    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFREG | mode);
}

/* The kernel would drop them when a user writes, and does not know that it is one. */
static void test_writing_drops_setid(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    begin_setid(s, 07755);
    g_assert_cmpint(client_write(c, 1, 0, "", 0), ==, 0);
    expect_mode(s, 07755);
    g_assert_cmpint(client_write(c, 2, 0, "x", 1), ==, 1);
    expect_mode(s, 07755);
    g_assert_cmpint(client_write(c, 1, 0, "x", 1), ==, 1);
    expect_mode(s, 01755);
    g_assert_cmpint(chmod(path, 02745), ==, 0); /* no set-id bit without the right to execute */
    g_assert_cmpint(client_write(c, 1, 0, "x", 1), ==, 1);
    expect_mode(s, 02745);
}

static void test_truncating_drops_setid(Share *s, gconstpointer unused)
{
    FsChange size = {.valid = P9_SETATTR_SIZE, .size = 1};
    FsChange both = {.valid = P9_SETATTR_SIZE | P9_SETATTR_MODE, .size = 1, .mode = 04711};
    Client *c = &s->client;

    (void)unused;
    if (skipped_without_root())
        return;
    begin_setid(s, 06755);
    g_assert_cmpint(client_setattr(c, 2, &size), ==, 0);
    expect_mode(s, 06755);
    g_assert_cmpint(client_setattr(c, 1, &size), ==, 0);
    expect_mode(s, 0755);
    g_assert_cmpint(client_setattr(c, 1, &both), ==, 0);
    expect_mode(s, 04711);
}

/* What a change of owner takes away a mode in the same message brings back. */
static void test_owner_before_mode(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE,
                       .uid = 11,
                       .gid = 12,
                       .mode = 06755};
    FsChange owner = {.valid = P9_SETATTR_UID, .uid = 13};

    (void)unused;
    if (skipped_without_root())
        return;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(client_setattr(&s->client, 1, &change), ==, 0);
    assert_owner(s, "file", S_IFREG | 06755, 11, 12);
    g_assert_cmpint(client_setattr(&s->client, 1, &owner), ==, 0);
    assert_owner(s, "file", S_IFREG | 0755, 13, 12);
}

/* A change of size moves the times, which the same message then sets. */
static void test_size_before_times(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_SIZE | P9_SETATTR_ATIME | P9_SETATTR_MTIME |
                                P9_SETATTR_ATIME_SET | P9_SETATTR_MTIME_SET,
                       .size = 5000,
                       .atime = {.tv_sec = 1000000000, .tv_nsec = 123456789},
                       .mtime = {.tv_sec = 1200000000, .tv_nsec = 987654321}};
    struct stat st;

    (void)unused;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(client_setattr(&s->client, 1, &change), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 5000);
    g_assert_cmpint(st.st_atim.tv_sec, ==, 1000000000);
    g_assert_cmpint(st.st_atim.tv_nsec, ==, 123456789);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, 1200000000);
    g_assert_cmpint(st.st_mtim.tv_nsec, ==, 987654321);
}

static void set_old_times(Share *s, uint32_t fid)
{
    FsChange old = {.valid = P9_SETATTR_ATIME | P9_SETATTR_MTIME | P9_SETATTR_ATIME_SET |
                             P9_SETATTR_MTIME_SET,
                    .atime = {.tv_sec = 1},
                    .mtime = {.tv_sec = 2}};

    g_assert_cmpint(client_setattr(&s->client, fid, &old), ==, 0);
}

static void test_times(Share *s, gconstpointer unused)
{
    FsChange atime = {.valid = P9_SETATTR_ATIME};
    FsChange mtime = {.valid = P9_SETATTR_MTIME};
    FsChange bad = {.valid = P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET,
                    .mtime = {.tv_nsec = 1000 * 1000 * 1000}};
    FsChange before_1970 = {.valid = P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET,
                            .mtime = {.tv_sec = -5, .tv_nsec = 1}};
    Client *c = &s->client;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    struct stat st;

    (void)unused;
    share_create(s, 1, "file", 0644);
    set_old_times(s, 1);
    g_assert_cmpint(client_setattr(c, 1, &atime), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_atim.tv_sec, >=, now - 1);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, 2);
    set_old_times(s, 1);
    g_assert_cmpint(client_setattr(c, 1, &mtime), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_atim.tv_sec, ==, 1);
    g_assert_cmpint(st.st_mtim.tv_sec, >=, now - 1);
    g_assert_cmpint(client_setattr(c, 1, &bad), ==, -EINVAL);
    g_assert_cmpint(client_setattr(c, 1, &before_1970), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_mtim.tv_sec, ==, -5);
}

static void test_ctime_only(Share *s, gconstpointer unused)
{
    FsChange change = {.valid = P9_SETATTR_CTIME};
    struct stat before, after;

    (void)unused;
    share_create(s, 1, "file", 0640);
    g_assert_true(share_stat(s, "file", &before));
    g_usleep(20 * G_TIME_SPAN_MILLISECOND);
    g_assert_cmpint(client_setattr(&s->client, 1, &change), ==, 0);
    g_assert_true(share_stat(s, "file", &after));
    g_assert_true(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
                  after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
    g_assert_cmpint(after.st_mtim.tv_nsec, ==, before.st_mtim.tv_nsec);
    g_assert_cmpuint(after.st_mode, ==, before.st_mode);
    g_assert_cmpuint(after.st_uid, ==, before.st_uid);
}

/* To touch a ctime is not a reason to drop set-id bits. */
static void test_ctime_only_keeps_setid(Share *s, gconstpointer unused)
{
    FsChange mode = {.valid = P9_SETATTR_MODE, .mode = 06755};
    FsChange ctime = {.valid = P9_SETATTR_CTIME};
    struct stat st;

    (void)unused;
    if (skipped_without_root())
        return;
    share_create(s, 1, "file", 0755);
    g_assert_cmpint(client_setattr(&s->client, 1, &mode), ==, 0);
    g_assert_cmpint(client_setattr(&s->client, 1, &ctime), ==, 0);
    g_assert_true(share_see(s, "file", &st));
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 06755);
}

static void test_nothing_and_unknown_bits(Share *s, gconstpointer unused)
{
    FsChange nothing = {0};
    FsChange unknown = {.valid = 0x200};

    (void)unused;
    share_create(s, 1, "file", 0640);
    g_assert_cmpint(client_setattr(&s->client, 1, &nothing), ==, 0);
    g_assert_cmpint(client_setattr(&s->client, 1, &unknown), ==, -EINVAL);
}

static void test_getattr(Share *s, gconstpointer unused)
{
    ClientAttr attr;
    struct stat st;

    (void)unused;
    share_put(s, "file", "some text");
    client_walk(&s->client, SHARE_ROOT, 1, "file", NULL, NULL);
    g_assert_cmpint(client_getattr(&s->client, 1, &attr), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpuint(attr.valid & P9_GETATTR_BASIC, ==, P9_GETATTR_BASIC);
    g_assert_cmpuint(attr.mode, ==, st.st_mode);
    g_assert_cmpuint(attr.uid, ==, st.st_uid);
    g_assert_cmpuint(attr.gid, ==, st.st_gid);
    g_assert_cmpuint(attr.nlink, ==, st.st_nlink);
    g_assert_cmpuint(attr.size, ==, (uint64_t)st.st_size);
    g_assert_cmpuint(attr.blocks, ==, (uint64_t)st.st_blocks);
    g_assert_cmpint(attr.mtime.tv_sec, ==, st.st_mtim.tv_sec);
    g_assert_cmpint(attr.mtime.tv_nsec, ==, st.st_mtim.tv_nsec);
    g_assert_cmpint(attr.ctime.tv_nsec, ==, st.st_ctim.tv_nsec);
    g_assert_cmpuint(attr.blksize, >=, 64 * 1024);
    g_assert_cmpuint(attr.qid.type, ==, P9_QTFILE);
    g_assert_cmpuint(attr.qid.version, !=, 0);
}

static void test_statfs(Share *s, gconstpointer unused)
{
    struct statfs st;
    uint32_t type, name_max;
    uint64_t blocks;

    (void)unused;
    g_assert_cmpint(statfs(s->export, &st), ==, 0);
    g_assert_cmpint(client_statfs(&s->client, SHARE_ROOT, &type, &blocks, &name_max), ==, 0);
    g_assert_cmpuint(type, ==, (uint32_t)st.f_type);
    g_assert_cmpuint(blocks, ==, st.f_blocks);
    g_assert_cmpuint(name_max, ==, 255);
    client_mknod(&s->client, SHARE_ROOT, "fifo", S_IFIFO | 0600, 0, 0, 0);
    client_walk(&s->client, SHARE_ROOT, 1, "fifo", NULL, NULL);
    g_assert_cmpint(client_statfs(&s->client, 1, &type, &blocks, &name_max), ==, 0);
}

/*
 * Qids
 */

static Qid qid_of(Client *c, const char *path)
{
    ClientAttr attr;
    Qid qids[16];
    unsigned n;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, 50, path, qids, &n), ==, 0);
    g_assert_cmpint(client_getattr(c, 50, &attr), ==, 0);
    g_assert_cmpuint(attr.qid.path, ==, qids[n - 1].path);
    g_assert_cmpuint(attr.qid.version, ==, qids[n - 1].version);
    client_clunk(c, 50);
    return attr.qid;
}

static void test_qid_version_changes(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    uint32_t last;

    (void)unused;
    share_create(s, 1, "file", 0644);
    last = qid_of(c, "file").version;
    for (unsigned i = 0; i < 5; i++) {
        g_usleep(12 * G_TIME_SPAN_MILLISECOND); /* time stamps have the kernel's tick */
        client_write(c, 1, 0, "x", 1);
        uint32_t version = qid_of(c, "file").version;
        g_assert_cmpuint(version, !=, last);
        g_assert_cmpuint(version, !=, 0);
        last = version;
    }
    g_assert_cmpuint(qid_of(c, "file").version, ==, last);
}

/* In a listing, from a walk, and in attributes: always the same number. */
static void test_qids_agree(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    GArray *entries;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);
    client_symlink(c, SHARE_ROOT, "link", "x", 0);
    share_put(s, "file", "text");
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 1, "", 0), ==, 0);
    entries = client_list(c, 1, 8000);
    g_assert_cmpuint(entries->len, ==, 5);
    for (unsigned i = 0; i < entries->len; i++) {
        ClientEntry *e = &g_array_index(entries, ClientEntry, i);
        Qid qid = qid_of(c, e->name);

        g_assert_cmpuint(e->qid.path, ==, qid.path);
        g_assert_cmpuint(e->qid.type, ==, qid.type);
    }
    g_array_free(entries, TRUE);
}

/* Files on another file system below the export never share a number with others, and numbers are
 * the same when the server starts anew. */
static void test_qids_across_mounts(Share *s, gconstpointer unused)
{
    g_autofree char *mount_a = share_path(s, "a");
    g_autofree char *mount_b = share_path(s, "b");
    static const char *const paths[] = {"a", "a/file", "b", "b/file", "file"};
    uint64_t seen[G_N_ELEMENTS(paths)];
    const char *why;

    (void)unused;
    if (skipped_without_root())
        return;
    g_mkdir(mount_a, 0755);
    g_mkdir(mount_b, 0755);
    if (mount("tmpfs", mount_a, "tmpfs", 0, NULL) != 0) {
        g_test_skip("cannot mount");
        return;
    }
    g_assert_cmpint(mount("tmpfs", mount_b, "tmpfs", 0, NULL), ==, 0);
    share_put(s, "file", "x");
    share_put(s, "a/file", "x");
    share_put(s, "b/file", "x");
    for (unsigned round = 0; round < 2; round++) {
        Fs *fs;
        g_assert_cmpint(local_fs_new(s->export, &export_default_options, &fs, &why), ==, 0);
        TestSession *ts = test_session_new(fs, 1, TEST_MAX_MESSAGE, NULL);
        Client c = {.ts = ts, .tag = 1};

        client_start(&c, 8192, SHARE_ROOT, 0);
        for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
            uint64_t path = qid_of(&c, paths[(i + round * 3) % G_N_ELEMENTS(paths)]).path;
            unsigned at = (i + round * 3) % G_N_ELEMENTS(paths);

            if (round == 1)
                g_assert_cmpuint(path, ==, seen[at]);
            seen[at] = path;
        }
        test_session_free(ts);
        local_fs_free(fs);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
        for (unsigned j = 0; j < i; j++)
            g_assert_cmpuint(seen[i], !=, seen[j]);
    }
    umount2(mount_a, MNT_DETACH);
    umount2(mount_b, MNT_DETACH);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    share_add_test_for_models("/local-attr/owner-of-new-files", test_owner_of_new_files);
    share_add_test_for_models("/local-attr/umask", test_umask_has_no_effect);
    share_add_test_for_models("/local-attr/users-take-turns", test_users_take_turns);
    share_add_test_for_models("/local-attr/user-stays-with-the-fid", test_user_stays_with_the_fid);
    share_add_test_for_models("/local-attr/setgid-directory", test_setgid_directory);
    share_add_test("/local-attr/writing-drops-setid", test_writing_drops_setid);
    share_add_test("/local-attr/truncating-drops-setid", test_truncating_drops_setid);
    share_add_test_for_models("/local-attr/owner-before-mode", test_owner_before_mode);
    share_add_test_for_models("/local-attr/size-before-times", test_size_before_times);
    share_add_test_for_models("/local-attr/times", test_times);
    share_add_test_for_models("/local-attr/ctime-only", test_ctime_only);
    share_add_test_for_models("/local-attr/ctime-only-keeps-setid", test_ctime_only_keeps_setid);
    share_add_test_for_models("/local-attr/nothing-and-unknown-bits", test_nothing_and_unknown_bits);
    share_add_test_for_models("/local-attr/getattr", test_getattr);
    share_add_test_for_models("/local-attr/statfs", test_statfs);
    share_add_test_for_models("/local-attr/qid-version", test_qid_version_changes);
    share_add_test_for_models("/local-attr/qids-agree", test_qids_agree);
    share_add_test_for_models("/local-attr/qids-across-mounts", test_qids_across_mounts);
    return g_test_run();
}
