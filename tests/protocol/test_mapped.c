/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mapped security models through the server: what holds for both, whatever the format. How the
 * formats look is for test_mapped_xattr.c and test_mapped_file.c.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/local_map.h"
#include "tests/lib/share.h"
#include "tests/lib/unix_client.h"
#include "tests/lib/xattr_client.h"

enum { OTHER_FID = 50, ROUNDS = 300 };

static LocalFs *local(Share *s)
{
    return (LocalFs *)s->fs;
}

static void assert_seen(Share *s, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    struct stat st;

    g_assert_true(share_see(s, name, &st));
    g_assert_cmphex(st.st_mode, ==, mode);
    g_assert_cmpuint(st.st_uid, ==, uid);
    g_assert_cmpuint(st.st_gid, ==, gid);
}

/* On the host everything belongs to the server, and is a file or a directory. */
static void assert_ours(Share *s, const char *name, mode_t mode)
{
    struct stat st;

    g_assert_true(share_stat(s, name, &st));
    g_assert_cmphex(st.st_mode, ==, mode);
    g_assert_cmpuint(st.st_uid, ==, geteuid());
    g_assert_cmpuint(st.st_gid, ==, getegid());
}

static uint32_t set_mode(Share *s, uint32_t fid, mode_t mode)
{
    FsChange change = {.valid = P9_SETATTR_MODE, .mode = mode};

    g_assert_cmpint(client_setattr(&s->client, fid, &change), ==, 0);
    return fid;
}

static void set_size(Share *s, uint32_t fid, uint64_t size)
{
    FsChange change = {.valid = P9_SETATTR_SIZE, .size = size};

    g_assert_cmpint(client_setattr(&s->client, fid, &change), ==, 0);
}

static void walk(Share *s, uint32_t fid, const char *name)
{
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, fid, name, NULL, NULL), ==, 0);
}

/* One of each kind. */
static void make_all(Share *s)
{
    Client *c = &s->client;

    share_create(s, 1, "file", 04755);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 01777, SHARE_GID), ==, 0);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "../x", SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0622, 0, 0, SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "sock", S_IFSOCK | 0600, 0, 0, SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "null", S_IFCHR | 0666, 1, 3, SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "disk", S_IFBLK | 0660, 259, 70000, SHARE_GID), ==,
                    0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "plain", 0640, 0, 0, SHARE_GID), ==, 0);
}

static const struct {
    const char *name;
    mode_t mode;
    uint8_t qid_type;
    int open_error;
} kinds[] = {
    {"file", S_IFREG | 0755, P9_QTFILE, 0},         {"dir", S_IFDIR | 01777, P9_QTDIR, 0},
    {"link", S_IFLNK | 0777, P9_QTSYMLINK, -ELOOP}, {"fifo", S_IFIFO | 0622, P9_QTFILE, -ENXIO},
    {"sock", S_IFSOCK | 0600, P9_QTFILE, -ENXIO},   {"null", S_IFCHR | 0666, P9_QTFILE, -ENXIO},
    {"disk", S_IFBLK | 0660, P9_QTFILE, -ENXIO},    {"plain", S_IFREG | 0640, P9_QTFILE, 0},
};

static void check_kind(Share *s, size_t i)
{
    Client *c = &s->client;
    ClientAttr attr;
    Qid qids[16];

    g_assert_cmpint(client_walk(c, SHARE_ROOT, OTHER_FID, kinds[i].name, qids, NULL), ==, 0);
    g_assert_cmpuint(qids[0].type, ==, kinds[i].qid_type);
    g_assert_cmpint(client_getattr(c, OTHER_FID, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, kinds[i].mode);
    g_assert_cmpuint(attr.uid, ==, SHARE_UID);
    g_assert_cmpuint(attr.gid, ==, SHARE_GID);
    g_assert_cmpuint(attr.qid.type, ==, kinds[i].qid_type);
    g_assert_cmpuint(attr.qid.path, ==, qids[0].path);
    g_assert_cmpint(client_open(c, OTHER_FID, 0), ==, kinds[i].open_error);
    g_assert_cmpint(client_clunk(c, OTHER_FID), ==, 0);
    assert_ours(s, kinds[i].name, S_ISDIR(kinds[i].mode) ? S_IFDIR | 0700 : S_IFREG | 0600);
}

static void check_all(Share *s)
{
    char target[4096];
    struct stat st;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        check_kind(s, i);
    walk(s, OTHER_FID, "link");
    g_assert_cmpint(client_readlink(&s->client, OTHER_FID, target), ==, 0);
    g_assert_cmpstr(target, ==, "../x");
    g_assert_cmpint(client_walk(&s->client, OTHER_FID, OTHER_FID + 1, "a", NULL, NULL), ==,
                    -ENOTDIR);
    g_assert_cmpint(client_clunk(&s->client, OTHER_FID), ==, 0);
    g_assert_true(share_see(s, "disk", &st));
    g_assert_cmpuint(st.st_rdev, ==, makedev(259, 70000));
    g_assert_true(share_see(s, "null", &st));
    g_assert_cmpuint(st.st_rdev, ==, makedev(1, 3));
}

static void test_kinds(Share *s, gconstpointer unused)
{
    (void)unused;
    make_all(s);
    check_all(s);
}

static void test_kinds_without_nameless_files(Share *s, gconstpointer unused)
{
    (void)unused;
    local(s)->lacks_nameless = true;
    make_all(s);
    check_all(s);
}

static void test_kinds_on_an_old_kernel(Share *s, gconstpointer unused)
{
    (void)unused;
    local(s)->has_xattrat = false;
    make_all(s);
    check_all(s);
}

/* What is written once is still there for the next server. */
static void test_kinds_after_a_restart(Share *s, gconstpointer unused)
{
    ExportOptions options = export_default_options;

    (void)unused;
    make_all(s);
    options.model = s->model;
    share_reopen(s, &options);
    check_all(s);
}

/* Types in listings are the guest's. */
static void test_readdir(Share *s, gconstpointer unused)
{
    g_autoptr(GArray) entries = NULL;
    unsigned found = 0;

    (void)unused;
    make_all(s);
    g_assert_cmpint(client_open_path(&s->client, SHARE_ROOT, 1, "", 0), ==, 0);
    entries = client_list(&s->client, 1, 4096);
    g_assert_cmpuint(entries->len, ==, G_N_ELEMENTS(kinds) + 2);
    for (guint i = 0; i < entries->len; i++) {
        const ClientEntry *e = &g_array_index(entries, ClientEntry, i);

        for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) {
            if (!g_str_equal(e->name, kinds[k].name))
                continue;
            g_assert_cmpuint(e->type, ==, IFTODT(kinds[k].mode));
            g_assert_cmpuint(e->qid.type, ==, kinds[k].qid_type);
            found++;
        }
    }
    g_assert_cmpuint(found, ==, G_N_ELEMENTS(kinds));
}

static void test_modes_on_the_host(Share *s, gconstpointer unused)
{
    LocalFs *fs = local(s);

    (void)unused;
    fs->options.fmode = 0640;
    fs->options.dmode = 0750;
    share_create(s, 1, "a", 0777);
    client_mkdir(&s->client, SHARE_ROOT, "b", 0777, 0);
    assert_ours(s, "a", S_IFREG | 0640);
    assert_ours(s, "b", S_IFDIR | 0750);
    fs->options.fmode = 0044; /* what the server needs stays its own */
    fs->options.dmode = 0;
    share_create(s, 2, "c", 0777);
    client_mkdir(&s->client, SHARE_ROOT, "d", 0777, 0);
    assert_ours(s, "c", S_IFREG | 0644);
    assert_ours(s, "d", S_IFDIR | 0700);
    set_mode(s, 1, 0111);
    assert_ours(s, "a", S_IFREG | 0640);
}

static void test_what_mknod_and_symlink_refuse(Share *s, gconstpointer unused)
{
    g_autofree char *too_long = g_strnfill(4096, 't');
    Client *c = &s->client;
    struct stat st;

    (void)unused;
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "a", S_IFDIR | 0755, 0, 0, 0), ==, -EPERM);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "a", S_IFLNK | 0755, 0, 0, 0), ==, -EINVAL);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "a", S_IFCHR | 0600, 4096, 0, 0), ==, -EINVAL);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "a", S_IFCHR | 0600, 0, 1 << 20, 0), ==, -EINVAL);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "a", "", 0), ==, -ENOENT);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "a", too_long, 0), ==, -ENAMETOOLONG);
    g_assert_false(share_stat(s, "a", &st));
}

/*
 * Changes
 */

static void test_owner_and_mode(Share *s, gconstpointer unused)
{
    FsChange owner = {.valid = P9_SETATTR_UID | P9_SETATTR_GID, .uid = 4000000000u, .gid = 7};
    FsChange group = {.valid = P9_SETATTR_GID, .gid = 8};
    FsChange both = {.valid = P9_SETATTR_UID | P9_SETATTR_MODE, .uid = 9, .mode = 06755};

    (void)unused;
    make_all(s);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        mode_t type = kinds[i].mode & S_IFMT;

        walk(s, 1, kinds[i].name);
        set_mode(s, 1, 07757);
        assert_seen(s, kinds[i].name, type | 07757, SHARE_UID, SHARE_GID);
        g_assert_cmpint(client_setattr(&s->client, 1, &owner), ==, 0);
        assert_seen(s, kinds[i].name, type | (S_ISDIR(type) ? 07757 : 01757), 4000000000u, 7);
        set_mode(s, 1, 06745); /* without x for the group that bit means something else */
        g_assert_cmpint(client_setattr(&s->client, 1, &group), ==, 0);
        assert_seen(s, kinds[i].name, type | (S_ISDIR(type) ? 06745 : 02745), 4000000000u, 8);
        g_assert_cmpint(client_setattr(&s->client, 1, &both), ==, 0);
        assert_seen(s, kinds[i].name, type | 06755, 9, 8);
        assert_ours(s, kinds[i].name, S_ISDIR(type) ? S_IFDIR | 0700 : S_IFREG | 0600);
        g_assert_cmpint(client_clunk(&s->client, 1), ==, 0);
    }
}

static void test_root_of_the_export(Share *s, gconstpointer unused)
{
    FsChange owner = {.valid = P9_SETATTR_UID | P9_SETATTR_GID, .uid = 11, .gid = 12};

    (void)unused;
    set_mode(s, SHARE_ROOT, 01771);
    g_assert_cmpint(client_setattr(&s->client, SHARE_ROOT, &owner), ==, 0);
    assert_seen(s, "", S_IFDIR | 01771, 11, 12);
}

/* Changing data takes set-id bits away, whichever way it is changed. */
static void test_data_drops_privileges(Share *s, gconstpointer unused)
{
    FsChange size_and_mode = {.valid = P9_SETATTR_SIZE | P9_SETATTR_MODE, .size = 1, .mode = 04711};
    Client *c = &s->client;

    (void)unused;
    share_create(s, 1, "file", 0644);
    set_mode(s, 1, 06775);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    assert_seen(s, "file", S_IFREG | 0775, SHARE_UID, SHARE_GID);
    set_mode(s, 1, 06775);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    assert_seen(s, "file", S_IFREG | 0775, SHARE_UID, SHARE_GID);
    set_mode(s, 1, 02644);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    assert_seen(s, "file", S_IFREG | 02644, SHARE_UID, SHARE_GID);
    set_mode(s, 1, 06775);
    set_size(s, 1, 2);
    assert_seen(s, "file", S_IFREG | 0775, SHARE_UID, SHARE_GID);
    set_mode(s, 1, 06775);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", P9_L_WRONLY | P9_L_TRUNC), ==, 0);
    assert_seen(s, "file", S_IFREG | 0775, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_setattr(c, 1, &size_and_mode), ==, 0);
    assert_seen(s, "file", S_IFREG | 04711, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_read(c, 1, 0, 1, &(char){0}), ==, 1);
    assert_seen(s, "file", S_IFREG | 04711, SHARE_UID, SHARE_GID);
}

static void test_setgid_directory(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 77);
    walk(s, 1, "dir");
    set_mode(s, 1, 02775);
    client_mkdir(c, 1, "sub", 0755, SHARE_GID);
    client_symlink(c, 1, "link", "x", SHARE_GID);
    client_mknod(c, 1, "fifo", S_IFIFO | 0644, 0, 0, SHARE_GID);
    client_walk(c, 1, 2, "", NULL, NULL);
    client_create(c, 2, "file", P9_L_RDWR, 0644, SHARE_GID);
    assert_seen(s, "dir/sub", S_IFDIR | 02755, SHARE_UID, 77);
    assert_seen(s, "dir/link", S_IFLNK | 0777, SHARE_UID, 77);
    assert_seen(s, "dir/fifo", S_IFIFO | 0644, SHARE_UID, 77);
    assert_seen(s, "dir/file", S_IFREG | 0644, SHARE_UID, 77);
}

/* A change is news for a client that caches. */
static void test_changes_show_in_ctime_and_qid(Share *s, gconstpointer unused)
{
    ClientAttr before, after;

    (void)unused;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(client_getattr(&s->client, 1, &before), ==, 0);
    do { /* the clock of time stamps has ticks */
        set_mode(s, 1, 0600);
        g_assert_cmpint(client_getattr(&s->client, 1, &after), ==, 0);
    } while (after.ctime.tv_sec == before.ctime.tv_sec &&
             after.ctime.tv_nsec == before.ctime.tv_nsec);
    g_assert_cmpuint(after.qid.version, !=, before.qid.version);
    g_assert_cmpint(after.mtime.tv_nsec, ==, before.mtime.tv_nsec);
}

/*
 * Names
 */

static void test_metadata_follows_names(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    make_all(s);
    walk(s, 1, "dir");
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "null", SHARE_ROOT, "zero"), ==, 0);
    assert_seen(s, "zero", S_IFCHR | 0666, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "link", 1, "l"), ==, 0);
    assert_seen(s, "dir/l", S_IFLNK | 0777, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "fifo", SHARE_ROOT, "sock"), ==, 0);
    assert_seen(s, "sock", S_IFIFO | 0622, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "dir", SHARE_ROOT, "moved"), ==, 0);
    assert_seen(s, "moved", S_IFDIR | 01777, SHARE_UID, SHARE_GID);
    assert_seen(s, "moved/l", S_IFLNK | 0777, SHARE_UID, SHARE_GID);
    walk(s, 2, "plain");
    g_assert_cmpint(client_rename(c, 2, 1, "p"), ==, 0);
    assert_seen(s, "moved/p", S_IFREG | 0640, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_remove(c, 2), ==, 0);
    share_create(s, 2, "plain", 0600);
    assert_seen(s, "plain", S_IFREG | 0600, SHARE_UID, SHARE_GID);
    /* A name that is used again has nothing of its former file. */
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "zero", 0), ==, 0);
    share_put(s, "zero", "");
    assert_seen(s, "zero", S_IFREG | 0666, geteuid(), getegid());
}

static void test_rename_over_an_unmapped_file(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    umask(022);
    share_put(s, "host", "");
    umask(0);
    share_create(s, 1, "guest", 0604);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "host", SHARE_ROOT, "guest"), ==, 0);
    assert_seen(s, "guest", S_IFREG | 0644, geteuid(), getegid());
    share_put(s, "host", "");
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "none", SHARE_ROOT, "host"), ==, -ENOENT);
    share_create(s, 2, "other", 0601);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "other", SHARE_ROOT, "host"), ==, 0);
    assert_seen(s, "host", S_IFREG | 0601, SHARE_UID, SHARE_GID);
}

static void test_directories(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr attr;

    (void)unused;
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "a", 0751, 5), ==, 0);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "b", 0752, 6), ==, 0);
    walk(s, 1, "a");
    g_assert_cmpint(client_mkdir(c, 1, "sub", 0700, 5), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    if (attr.nlink != 1) /* which says that nobody counts */
        g_assert_cmpuint(attr.nlink, ==, 3);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "a", P9_UNLINK_REMOVEDIR), ==, -ENOTEMPTY);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "b", SHARE_ROOT, "a"), ==, -ENOTEMPTY);
    assert_seen(s, "b", S_IFDIR | 0752, SHARE_UID, 6);
    g_assert_cmpint(client_unlinkat(c, 1, "sub", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "b", SHARE_ROOT, "a"), ==, 0);
    assert_seen(s, "a", S_IFDIR | 0752, SHARE_UID, 6);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "a", 0), ==, -EISDIR);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "a", P9_UNLINK_REMOVEDIR), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0); /* the one that was replaced */
    g_assert_cmphex(attr.mode, ==, S_IFDIR | 0751);
}

/* Everything goes on without a name, and all fids of the file agree. */
static void test_unlinked(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    FsChange owner = {.valid = P9_SETATTR_UID, .uid = 33};
    ClientAttr attr;

    (void)unused;
    share_create(s, 1, "file", 0640);
    walk(s, 2, "file");
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(client_getattr(c, 2, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 0640);
    set_mode(s, 1, 04711);
    g_assert_cmpint(client_getattr(c, 2, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 04711);
    g_assert_cmpint(client_write(c, 1, 0, "text", 4), ==, 4);
    g_assert_cmpint(client_setattr(c, 2, &owner), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 0711);
    g_assert_cmpuint(attr.uid, ==, 33);
    g_assert_cmpuint(attr.size, ==, 4);
}

static void test_hard_links(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    ClientAttr attr;

    (void)unused;
    share_create(s, 1, "a", 0640);
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);
    walk(s, 2, "dir");
    g_assert_cmpint(client_link(c, 2, 1, "b"), ==, 0);
    g_assert_cmpint(client_link(c, 2, 1, "b"), ==, -EEXIST);
    assert_seen(s, "dir/b", S_IFREG | 0640, SHARE_UID, SHARE_GID);
    set_mode(s, 1, 0600);
    assert_seen(s, "dir/b", S_IFREG | 0600, SHARE_UID, SHARE_GID);
    walk(s, 3, "dir/b");
    set_mode(s, 3, 0604);
    assert_seen(s, "a", S_IFREG | 0604, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_renameat(c, SHARE_ROOT, "a", 2, "b"), ==, 0); /* does nothing */
    assert_seen(s, "a", S_IFREG | 0604, SHARE_UID, SHARE_GID);
    assert_seen(s, "dir/b", S_IFREG | 0604, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "a", 0), ==, 0);
    g_assert_cmpint(client_getattr(c, 1, &attr), ==, 0);
    g_assert_cmphex(attr.mode, ==, S_IFREG | 0604);
    set_mode(s, 1, 0620); /* by the fid whose name is gone */
    assert_seen(s, "dir/b", S_IFREG | 0620, SHARE_UID, SHARE_GID);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "l", "target", 0), ==, 0);
    walk(s, 4, "l");
    g_assert_cmpint(client_link(c, SHARE_ROOT, 4, "l2"), ==, 0);
    assert_seen(s, "l2", S_IFLNK | 0777, SHARE_UID, 0);
}

/* Tcreate's kinds. */
static void test_unix_create(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    static const struct {
        uint32_t perm;
        const char *extension;
        uint32_t mode;
        const char *shown;
    } cases[] = {
        {P9_DMSYMLINK | 0777, "to/where", P9_DMSYMLINK | 0777, "to/where"},
        {P9_DMNAMEDPIPE | 0640, "", P9_DMNAMEDPIPE | 0640, ""},
        {P9_DMSOCKET | 0600, "", P9_DMSOCKET | 0600, ""},
        {P9_DMDEVICE | 0660, "b 8 17", P9_DMDEVICE | 0660, "b 8 17"},
        {P9_DMDIR | 0755, "", P9_DMDIR | 0755, NULL},
        {0604, "", 0604, ""},
    };

    (void)unused;
    for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("name%u", i);
        UnixStat st;

        g_assert_cmpint(unix_walk(&u, SHARE_ROOT, 10 + i, ""), ==, 0);
        g_assert_cmpint(unix_create(&u, 10 + i, name, cases[i].perm, P9_OREAD, cases[i].extension),
                        ==, 0);
        g_assert_cmpint(unix_stat(&u, 10 + i, &st), ==, 0);
        g_assert_cmphex(st.mode, ==, cases[i].mode);
        g_assert_cmpuint(st.n_uid, ==, SHARE_UID);
        g_assert_cmpstr(st.name, ==, name);
        if (cases[i].shown)
            g_assert_cmpstr(st.extension, ==, cases[i].shown);
        assert_ours(s, name, cases[i].perm & P9_DMDIR ? S_IFDIR | 0700 : S_IFREG | 0600);
    }
}

/*
 * Failure and concurrency
 */

static int fail_to_dress(LocalFs *fs, int fd, const MapMeta *meta)
{
    (void)fs;
    (void)fd;
    (void)meta;
    return -ENOSPC;
}

static void expect_nothing_made(Share *s)
{
    static const char *const names[] = {"file", "dir", "link", "fifo"};
    Client *c = &s->client;
    struct stat st;

    client_walk(c, SHARE_ROOT, 1, "", NULL, NULL);
    g_assert_cmpint(client_create(c, 1, "file", P9_L_RDWR, 0644, 0), ==, -ENOSPC);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, 0), ==, -ENOSPC);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "x", 0), ==, -ENOSPC);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0600, 0, 0, 0), ==, -ENOSPC);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *side = g_strconcat(SIDE_DIR "/", names[i], NULL);

        g_assert_false(share_stat(s, names[i], &st));
        g_assert_false(share_stat(s, side, &st));
    }
    g_assert_cmpint(client_clunk(c, 1), ==, 0);
}

static void test_all_or_nothing(Share *s, gconstpointer unused)
{
    LocalFs *fs = local(s);
    LocalMapping failing = *fs->mapping;

    (void)unused;
    failing.dress = fail_to_dress;
    fs->mapping = &failing;
    expect_nothing_made(s);
    fs->lacks_nameless = true;
    expect_nothing_made(s);
    fs->mapping = local_mapping(s->model);
}

/* Runs beside the test, as another client. */
typedef struct Looker {
    Client client;
    gint stop;
    gint ended;
    unsigned n_seen;
} Looker;

/* The test's thread is the server's reader, so it goes on until the others have their replies. */
static void join(Share *s, pthread_t thread, gint *ended)
{
    while (!g_atomic_int_get(ended)) {
        test_session_step(s->ts);
        test_session_wait(s->ts);
    }
    pthread_join(thread, NULL);
}

static void *look_at_link(void *data)
{
    Looker *l = data;
    Qid qids[16];

    while (!g_atomic_int_get(&l->stop)) {
        ClientAttr attr;

        if (client_walk(&l->client, SHARE_ROOT, 900, "link", qids, NULL) != 0)
            continue;
        g_assert_cmpuint(qids[0].type, ==, P9_QTSYMLINK);
        g_assert_cmpint(client_getattr(&l->client, 900, &attr), ==, 0);
        g_assert_cmphex(attr.mode, ==, S_IFLNK | 0777);
        g_assert_cmpuint(attr.uid, ==, SHARE_UID);
        g_assert_cmpuint(attr.gid, ==, SHARE_GID);
        g_assert_cmpint(client_clunk(&l->client, 900), ==, 0);
        l->n_seen++;
    }
    g_atomic_int_set(&l->ended, true);
    return NULL;
}

/* Whoever looks while a name comes, moves and goes sees the whole of it or nothing. */
static void test_nobody_sees_half_a_file(Share *s, gconstpointer unused)
{
    Looker l = {.client = {.ts = s->ts, .channel = 1, .tag = 2}};
    Client *c = &s->client;
    pthread_t thread;

    (void)unused;
    client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);
    walk(s, 1, "dir");
    g_assert_cmpint(pthread_create(&thread, NULL, look_at_link, &l), ==, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "a", SHARE_GID), ==, 0);
        g_assert_cmpint(client_symlink(c, 1, "link", "b", SHARE_GID), ==, 0);
        g_assert_cmpint(client_renameat(c, 1, "link", SHARE_ROOT, "link"), ==, 0);
        g_assert_cmpint(client_renameat(c, SHARE_ROOT, "link", 1, "other"), ==, 0);
        g_assert_cmpint(client_renameat(c, 1, "other", SHARE_ROOT, "link"), ==, 0);
        g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "link", 0), ==, 0);
    }
    g_atomic_int_set(&l.stop, true);
    join(s, thread, &l.ended);
    g_test_message("seen %u times", l.n_seen);
}

/* Success or one of two errors. */
static void expect(int error, int this, int that)
{
    if (error != this && error != that)
        g_assert_cmpint(error, ==, 0);
}

static void *make_and_remove(void *data)
{
    Looker *l = data;
    Client *c = &l->client;
    uint32_t fid = 1000 + c->channel;

    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        FsChange change = {.valid = P9_SETATTR_MODE, .mode = i};
        int error = client_mkdir(c, SHARE_ROOT, "dir", 0755, 0);

        expect(error, -EEXIST, -EEXIST);
        if (client_walk(c, SHARE_ROOT, fid, "dir", NULL, NULL) != 0)
            continue;
        error = client_mknod(c, fid, "x", S_IFIFO | 0600, 0, 0, 0);
        expect(error, -EEXIST, -ENOENT);
        error = client_setattr(c, fid, &change);
        expect(error, -ENOENT, -ENOENT); /* ext4: no attributes of a directory that is gone */
        error = client_renameat(c, fid, "x", SHARE_ROOT, "y");
        expect(error, -ENOENT, -ENOENT);
        error = client_unlinkat(c, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR);
        expect(error, -ENOENT, -ENOTEMPTY);
        g_assert_cmpint(client_clunk(c, fid), ==, 0);
    }
    g_atomic_int_set(&l->ended, true);
    return NULL;
}

/* Directories come and go under those who use them: nobody waits for ever, and nothing stays. */
static void test_clients_in_each_others_way(Share *s, gconstpointer unused)
{
    Looker clients[SHARE_CHANNELS - 1] = {0};
    pthread_t threads[SHARE_CHANNELS - 1];
    int error;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
        clients[i].client = (Client){.ts = s->ts, .channel = i + 1, .tag = (uint16_t)(i + 2)};
        g_assert_cmpint(pthread_create(&threads[i], NULL, make_and_remove, &clients[i]), ==, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
        join(s, threads[i], &clients[i].ended);
    if (client_walk(&s->client, SHARE_ROOT, 1, "dir", NULL, NULL) == 0)
        client_unlinkat(&s->client, 1, "x", 0);
    error = client_unlinkat(&s->client, SHARE_ROOT, "dir", P9_UNLINK_REMOVEDIR);
    expect(error, -ENOENT, -ENOENT);
    error = client_unlinkat(&s->client, SHARE_ROOT, "y", 0);
    expect(error, -ENOENT, -ENOENT);
}

/* Attributes of the kinds that have none here either. */
static void test_xattrs(Share *s, gconstpointer unused)
{
    static const char *const refused[] = {"security.capability", "security.selinux", "trusted.a",
                                          "system.other"};
    Client *c = &s->client;
    char value[64];

    (void)unused;
    make_all(s);
    walk(s, 1, "file");
    g_assert_cmpint(client_set_xattr(c, 1, "user.a", "v", 1, 0), ==, 0);
    g_assert_cmpint(client_get_xattr(c, 1, "user.a", value, sizeof(value)), ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_assert_cmpint(client_get_xattr(c, 1, refused[i], value, sizeof(value)), ==, -EOPNOTSUPP);
        g_assert_cmpint(client_set_xattr(c, 1, refused[i], "v", 1, 0), ==, -EOPNOTSUPP);
        g_assert_cmpint(client_remove_xattr(c, 1, refused[i]), ==, -EOPNOTSUPP);
    }
    walk(s, 2, "link");
    walk(s, 3, "fifo");
    for (uint32_t fid = 2; fid <= 3; fid++) {
        g_assert_cmpint(client_set_xattr(c, fid, "user.a", "v", 1, 0), ==, -EPERM);
        g_assert_cmpint(client_get_xattr(c, fid, "user.a", value, sizeof(value)), ==, -ENODATA);
        g_assert_cmpint(client_remove_xattr(c, fid, "user.a"), ==, -EPERM);
        g_assert_cmpint(client_get_xattr(c, fid, "", value, sizeof(value)), ==, 0);
    }
    g_assert_cmpint(client_get_xattr(c, 2, "system.posix_acl_access", value, sizeof(value)), ==,
                    -EOPNOTSUPP);
}

/* The server's own attributes: not to be seen, not to be touched. */
static void test_hidden_xattrs(Share *s, gconstpointer unused)
{
    static const char *const names[] = {"user.virtfs.uid", "user.virtfs.mode", "user.virtfs.",
                                        "user.virtfs.system.posix_acl_access"};
    Client *c = &s->client;
    char list[256];

    (void)unused;
    share_create(s, 1, "file", 0644);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpint(client_get_xattr(c, 1, names[i], list, sizeof(list)), ==, -ENODATA);
        g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "file", NULL, NULL), ==, 0);
        g_assert_cmpint(client_set_xattr(c, 2, names[i], "v", 1, 0), ==, -EACCES);
        g_assert_cmpint(client_remove_xattr(c, 2, names[i]), ==, -EACCES);
        g_assert_cmpint(client_clunk(c, 2), ==, 0);
    }
    g_assert_cmpint(client_get_xattr(c, 1, "", list, sizeof(list)), ==, 0);
}

static void add(const char *name, ShareTest *test)
{
    share_add_test_with_model(name, MODEL_MAPPED_XATTR, test);
    share_add_test_with_model(name, MODEL_MAPPED_FILE, test);
}

static void add_unprivileged(const char *name, ShareTest *test)
{
    share_add_unprivileged_test(name, MODEL_MAPPED_XATTR, test);
    share_add_unprivileged_test(name, MODEL_MAPPED_FILE, test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/mapped/kinds", test_kinds);
    add("/mapped/kinds-without-nameless-files", test_kinds_without_nameless_files);
    add("/mapped/kinds-on-an-old-kernel", test_kinds_on_an_old_kernel);
    add("/mapped/kinds-after-a-restart", test_kinds_after_a_restart);
    add("/mapped/readdir", test_readdir);
    add("/mapped/modes-on-the-host", test_modes_on_the_host);
    add("/mapped/refused", test_what_mknod_and_symlink_refuse);
    add("/mapped/owner-and-mode", test_owner_and_mode);
    add("/mapped/root", test_root_of_the_export);
    add("/mapped/data-drops-privileges", test_data_drops_privileges);
    add("/mapped/setgid-directory", test_setgid_directory);
    add("/mapped/ctime-and-qid", test_changes_show_in_ctime_and_qid);
    add("/mapped/follows-names", test_metadata_follows_names);
    add("/mapped/rename-over-unmapped", test_rename_over_an_unmapped_file);
    add("/mapped/directories", test_directories);
    add("/mapped/unlinked", test_unlinked);
    add("/mapped/hard-links", test_hard_links);
    add("/mapped/unix-create", test_unix_create);
    add("/mapped/all-or-nothing", test_all_or_nothing);
    add("/mapped/nobody-sees-half-a-file", test_nobody_sees_half_a_file);
    add("/mapped/in-each-others-way", test_clients_in_each_others_way);
    add("/mapped/xattrs", test_xattrs);
    add("/mapped/hidden-xattrs", test_hidden_xattrs);
    add_unprivileged("/mapped/kinds", test_kinds);
    add_unprivileged("/mapped/modes-on-the-host", test_modes_on_the_host);
    add_unprivileged("/mapped/owner-and-mode", test_owner_and_mode);
    add_unprivileged("/mapped/data-drops-privileges", test_data_drops_privileges);
    add_unprivileged("/mapped/follows-names", test_metadata_follows_names);
    add_unprivileged("/mapped/directories", test_directories);
    add_unprivileged("/mapped/hard-links", test_hard_links);
    add_unprivileged("/mapped/unix-create", test_unix_create);
    add_unprivileged("/mapped/xattrs", test_xattrs);
    return g_test_run();
}
