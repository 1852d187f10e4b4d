/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export with maps of users and groups: what the guest sees, whose the files really are, and that
 * no message reaches anybody outside the guest's ranges.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/lib/unix_client.h"

enum {
    USERS = 100000,  /* the guest's root on the host */
    GROUPS = 200000, /* and its group */
    COUNT = 65536,
    OTHERS = 300000, /* everybody else of the guest on the host */
    NOBODY = 65534,  /* everybody else of the host in the guest */
    FID = 9,
    OTHER_ROOT = 100,
    ACL_SIZE = 4 + 5 * 8,
};

static ExportOptions mapped(SecurityModel model)
{
    ExportOptions options = export_default_options;

    options.model = model;
    options.users = (IdMap){.n_ranges = 1,
                            .ranges = {{.guest = 0, .host = USERS, .count = COUNT}},
                            .other_host = OTHERS,
                            .other_guest = NOBODY};
    options.groups = options.users;
    options.groups.ranges[0].host = GROUPS;
    return options;
}

/* Serves the share with maps, its root belonging to the guest's. Returns false, and skips the test,
 * where that cannot be. */
static bool begin_with(Share *s, SecurityModel model)
{
    ExportOptions options = mapped(model);

    if (geteuid() != 0) {
        g_test_skip("needs root");
        return false;
    }
    share_reopen(s, &options);
    g_assert_cmpint(chown(s->export, USERS, GROUPS), ==, 0);
    return true;
}

static bool begin(Share *s)
{
    return begin_with(s, MODEL_NONE);
}

static void assert_host(Share *s, const char *name, uid_t uid, gid_t gid)
{
    struct stat st;

    g_assert_true(share_stat(s, name, &st));
    g_assert_cmpuint(st.st_uid, ==, uid);
    g_assert_cmpuint(st.st_gid, ==, gid);
}

static void assert_guest(Share *s, const char *name, uint32_t uid, uint32_t gid)
{
    ClientAttr attr;

    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FID, name, NULL, NULL), ==, 0);
    g_assert_cmpint(client_getattr(&s->client, FID, &attr), ==, 0);
    g_assert_cmpuint(attr.uid, ==, uid);
    g_assert_cmpuint(attr.gid, ==, gid);
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
}

/* A file of this host's, with these permissions, that the guest did not make. */
static void put_owned(Share *s, const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    g_autofree char *path = share_path(s, name);

    share_put(s, name, "text");
    g_assert_cmpint(lchown(path, uid, gid), ==, 0);
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

static mode_t mode_of(Share *s, const char *name)
{
    struct stat st;

    g_assert_true(share_stat(s, name, &st));
    return st.st_mode & 07777;
}

static int change(Share *s, const char *name, FsChange change)
{
    int error;

    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FID, name, NULL, NULL), ==, 0);
    error = client_setattr(&s->client, FID, &change);
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    return error;
}

static int change_mode(Share *s, const char *name, mode_t mode)
{
    return change(s, name, (FsChange){.valid = P9_SETATTR_MODE, .mode = mode});
}

static int open_name(Share *s, const char *name, uint32_t flags)
{
    int error = client_open_path(&s->client, SHARE_ROOT, FID, name, flags);

    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    return error;
}

/*
 * Owners
 */

static void test_creation(Share *s, gconstpointer unused)
{
    static const char *const names[] = {"file", "dir", "link", "fifo"};
    Client *c = &s->client;

    (void)unused;
    if (!begin(s))
        return;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "dir", 0755, SHARE_GID), ==, 0);
    g_assert_cmpint(client_symlink(c, SHARE_ROOT, "link", "x", SHARE_GID), ==, 0);
    g_assert_cmpint(client_mknod(c, SHARE_ROOT, "fifo", S_IFIFO | 0644, 0, 0, SHARE_GID), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        assert_host(s, names[i], USERS + SHARE_UID, GROUPS + SHARE_GID);
        assert_guest(s, names[i], SHARE_UID, SHARE_GID);
    }
}

/* Whoever attaches, by number, by name, as nobody in particular: never is it somebody else. */
static void test_attach(Share *s, gconstpointer unused)
{
    static const struct {
        const char *uname;
        uint32_t n_uname;
        uid_t host;
    } cases[] = {
        {"", 0, USERS},
        {"root", P9_NOUSER, USERS},
        {"0", P9_NOUSER, USERS},
        {"", P9_NOUSER, USERS},
        {"7", P9_NOUSER, USERS + 7},
        {"7", 8, USERS + 8},
        {"", COUNT - 1, USERS + COUNT - 1},
        {"", COUNT, OTHERS},
        {"", USERS, OTHERS},
        {"", 0xfffffffe, OTHERS},
        {"4294967295", P9_NOUSER, USERS},
        {"4294967294", P9_NOUSER, OTHERS},
        {"4294967296", P9_NOUSER, USERS},
        {"-1", P9_NOUSER, USERS},
    };
    Client *c = &s->client;

    (void)unused;
    if (!begin(s))
        return;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("dir%u", i);
        g_autofree TestReply *reply = NULL;
        uint32_t root = OTHER_ROOT + i;

        g_assert_cmpint(client_call(c, &reply, P9_TATTACH, "ddssd", root, P9_NOFID, cases[i].uname,
                                    "", cases[i].n_uname),
                        ==, 0);
        g_assert_cmpint(client_mkdir(c, root, name, 0755, 0), ==, 0);
        assert_host(s, name, cases[i].host, GROUPS);
        g_assert_cmpint(client_walk(c, root, FID, name, NULL, NULL), ==, 0);
        g_assert_cmpint(client_create(c, FID, "file", P9_L_RDWR, 0600, 3), ==, 0);
        g_assert_cmpint(client_clunk(c, FID), ==, 0);
        g_free(g_steal_pointer(&name));
        name = g_strdup_printf("dir%u/file", i);
        assert_host(s, name, cases[i].host, GROUPS + 3);
    }
}

static void test_setattr(Share *s, gconstpointer unused)
{
    enum { OWNER = P9_SETATTR_UID | P9_SETATTR_GID };

    (void)unused;
    if (!begin(s))
        return;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(change(s, "file", (FsChange){.valid = OWNER, .uid = 5, .gid = 6}), ==, 0);
    assert_host(s, "file", USERS + 5, GROUPS + 6);
    assert_guest(s, "file", 5, 6);
    g_assert_cmpint(change(s, "file", (FsChange){.valid = P9_SETATTR_UID, .uid = 0}), ==, 0);
    assert_host(s, "file", USERS, GROUPS + 6);
    g_assert_cmpint(change(s, "file", (FsChange){.valid = P9_SETATTR_GID, .gid = COUNT}), ==, 0);
    assert_host(s, "file", USERS, OTHERS);
    assert_guest(s, "file", 0, NOBODY);
    g_assert_cmpint(
        change(s, "file", (FsChange){.valid = OWNER, .uid = UINT32_MAX, .gid = UINT32_MAX}), ==, 0);
    assert_host(s, "file", USERS, OTHERS);
}

/* Whatever number a guest gives, root it is not. */
static void test_no_number_is_root(Share *s, gconstpointer unused)
{
    static const uint32_t bases[] = {0,          COUNT,      USERS,       GROUPS,    OTHERS,
                                     0x80000000, 0u - USERS, 0u - GROUPS, 0u - COUNT};
    struct stat st;

    (void)unused;
    if (!begin(s))
        return;
    share_create(s, 1, "file", 0644);
    for (unsigned i = 0; i < G_N_ELEMENTS(bases) * 5; i++) {
        uint32_t id = bases[i / 5] + i % 5 - 2;

        g_assert_cmpint(
            change(s, "file",
                   (FsChange){.valid = P9_SETATTR_UID | P9_SETATTR_GID, .uid = id, .gid = id}),
            ==, 0);
        g_assert_true(share_stat(s, "file", &st));
        g_assert_true((st.st_uid >= USERS && st.st_uid < USERS + COUNT) || st.st_uid == OTHERS);
        g_assert_true((st.st_gid >= GROUPS && st.st_gid < GROUPS + COUNT) || st.st_gid == OTHERS);
    }
}

/* What others on the host own is nobody's for the guest. */
static void test_files_of_others(Share *s, gconstpointer unused)
{
    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "root", 0, 0, 0644);
    put_owned(s, "mixed", USERS + 4, 0, 0644);
    put_owned(s, "outside", 5, USERS + COUNT, 0644);
    assert_guest(s, "root", NOBODY, NOBODY);
    assert_guest(s, "mixed", 4, NOBODY);
    assert_guest(s, "outside", NOBODY, NOBODY);
}

/* One map without the other leaves the other's ids alone. */
static void test_users_only(Share *s, gconstpointer unused)
{
    ExportOptions options = mapped(MODEL_NONE);

    (void)unused;
    if (!begin(s))
        return;
    options.groups = (IdMap){0};
    share_reopen(s, &options);
    share_create(s, 1, "file", 0644);
    assert_host(s, "file", USERS + SHARE_UID, SHARE_GID);
    assert_guest(s, "file", SHARE_UID, SHARE_GID);
}

/*
 * 9P2000.u and 9P2000
 */

static UnixStat stat_name(UnixClient *u, const char *name)
{
    UnixStat st;

    unix_at(u, FID, name);
    g_assert_cmpint(unix_stat(u, FID, &st), ==, 0);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    return st;
}

static void test_unix_creation_and_stat(Share *s, gconstpointer unused)
{
    UnixClient u;
    UnixStat st;

    (void)unused;
    if (!begin(s))
        return;
    u = unix_start(s, DIALECT_9P2000_U);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, FID, ""), ==, 0);
    g_assert_cmpint(unix_create(&u, FID, "file", 0644, P9_ORDWR, ""), ==, 0);
    g_assert_cmpint(unix_clunk(&u, FID), ==, 0);
    assert_host(s, "file", USERS + SHARE_UID, GROUPS);
    st = stat_name(&u, "file");
    g_assert_cmpuint(st.n_uid, ==, SHARE_UID);
    g_assert_cmpuint(st.n_gid, ==, 0);

    u = unix_start(s, DIALECT_9P2000); /* which has numbers as texts only */
    st = stat_name(&u, "file");
    g_assert_cmpstr(st.uid, ==, "1000");
    g_assert_cmpstr(st.gid, ==, "0");
}

static void test_unix_directory(Share *s, gconstpointer unused)
{
    uint8_t bytes[4096];
    UnixClient u;
    ByteReader r;
    ssize_t size;

    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", USERS + 3, 0, 0644);
    u = unix_start(s, DIALECT_9P2000_U);
    g_assert_cmpint(unix_walk(&u, SHARE_ROOT, FID, ""), ==, 0);
    g_assert_cmpint(unix_open(&u, FID, P9_OREAD), ==, 0);
    size = unix_read(&u, FID, 0, sizeof(bytes), bytes);
    g_assert_cmpint(size, >, 0);
    r = byte_reader(bytes, (size_t)size);
    for (unsigned i = 0; i < 3; i++) { /* ".", ".." and the file */
        UnixStat st;

        unix_take_stat(&r, u.dialect, &st);
        g_assert_cmpuint(st.n_uid, ==, g_str_equal(st.name, "file") ? 3 : 0);
        g_assert_cmpuint(st.n_gid, ==, g_str_equal(st.name, "file") ? NOBODY : 0);
    }
    g_assert_cmpuint(r.left, ==, 0);
}

static void test_unix_wstat(Share *s, gconstpointer unused)
{
    UnixStat st = unix_no_change();
    UnixClient u;

    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", USERS, GROUPS, 0644);
    u = unix_start(s, DIALECT_9P2000_U);
    unix_at(&u, FID, "file");
    st.n_uid = 5;
    st.n_gid = 6;
    g_assert_cmpint(unix_wstat(&u, FID, &st), ==, 0);
    assert_host(s, "file", USERS + 5, GROUPS + 6);
    st = unix_no_change();
    g_strlcpy(st.uid, "0", sizeof(st.uid));
    g_strlcpy(st.gid, "70000", sizeof(st.gid));
    g_assert_cmpint(unix_wstat(&u, FID, &st), ==, 0);
    assert_host(s, "file", USERS, OTHERS);
}

/*
 * Set-id bits
 */

static void test_own_set_id(Share *s, gconstpointer unused)
{
    (void)unused;
    if (!begin(s))
        return;
    share_create(s, 1, "file", 0644);
    g_assert_cmpint(change_mode(s, "file", 06755), ==, 0);
    g_assert_cmpuint(mode_of(s, "file"), ==, 06755);
    g_assert_cmpint(change(s, "file", (FsChange){.valid = P9_SETATTR_CTIME}), ==, 0);
    g_assert_cmpuint(mode_of(s, "file"), ==, 06755);
    g_assert_cmpint(open_name(s, "file", P9_L_RDWR), ==, 0);
}

/* With the file of somebody else the guest makes nothing that runs as that user. */
static void test_set_id_of_others(Share *s, gconstpointer unused)
{
    FsChange take = {.valid = P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE, .mode = 06755};

    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", 0, 0, 0755);
    put_owned(s, "group", USERS, 0, 0755);
    g_assert_cmpint(change_mode(s, "file", 04755), ==, -EPERM);
    g_assert_cmpint(change_mode(s, "file", 02755), ==, -EPERM);
    g_assert_cmpint(change_mode(s, "group", 02755), ==, -EPERM);
    g_assert_cmpint(change_mode(s, "group", 04755), ==, 0);
    take.valid = P9_SETATTR_UID | P9_SETATTR_MODE; /* the group stays root */
    g_assert_cmpint(change(s, "file", take), ==, -EPERM);
    take.uid = take.gid = UINT32_MAX; /* which changes neither */
    take.valid |= P9_SETATTR_GID;
    g_assert_cmpint(change(s, "file", take), ==, -EPERM);
    g_assert_cmpuint(mode_of(s, "file"), ==, 0755);
    assert_host(s, "file", 0, 0);
    g_assert_cmpint(change_mode(s, "file", 0700), ==, 0);
    take.uid = take.gid = 0;
    g_assert_cmpint(change(s, "file", take), ==, 0); /* it is the guest's then */
    assert_host(s, "file", USERS, GROUPS);
    g_assert_cmpuint(mode_of(s, "file"), ==, 06755);
}

/* Nor does it write to one that runs as that user. */
static void test_writing_to_set_id_of_others(Share *s, gconstpointer unused)
{
    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", 0, 0, 04755);
    g_assert_cmpint(open_name(s, "file", P9_L_RDWR), ==, -EPERM);
    g_assert_cmpint(open_name(s, "file", P9_L_WRONLY), ==, -EPERM);
    g_assert_cmpint(open_name(s, "file", 0), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FID, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(&s->client, FID, "file", P9_L_RDWR, 0755, 0), ==, -EPERM);
    g_assert_cmpint(client_clunk(&s->client, FID), ==, 0);
    g_assert_cmpint(change(s, "file", (FsChange){.valid = P9_SETATTR_CTIME}), ==, -EPERM);
    g_assert_cmpint(change_mode(s, "file", 0755), ==, 0);
    g_assert_cmpint(open_name(s, "file", P9_L_RDWR), ==, 0);
}

/* A new file gets the group of a set-group-id directory, and must not run as that. */
static void test_set_id_in_directory_of_others(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    UnixClient u;

    (void)unused;
    if (!begin(s))
        return;
    g_assert_cmpint(g_mkdir(dir, 0777), ==, 0);
    g_assert_cmpint(chown(dir, 0, 0), ==, 0);
    g_assert_cmpint(chmod(dir, 02777), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FID, "dir", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(&s->client, FID, "new", P9_L_RDWR, 02755, 0), ==, 0);
    assert_host(s, "dir/new", USERS + SHARE_UID, 0);
    g_assert_cmpuint(mode_of(s, "dir/new"), ==, 0755);

    u = unix_start(s, DIALECT_9P2000_U);
    g_assert_cmpint(unix_attach(&u, OTHER_ROOT, "root", 0), ==, 0);
    g_assert_cmpint(unix_walk(&u, OTHER_ROOT, FID, "dir"), ==, 0);
    g_assert_cmpint(unix_create(&u, FID, "unix", P9_DMSETGID | 0755, P9_ORDWR, ""), ==, 0);
    assert_host(s, "dir/unix", USERS, 0);
    g_assert_cmpuint(mode_of(s, "dir/unix"), ==, 0755);
    g_assert_cmpint(unix_clunk(&u, FID), ==, 0);
    g_assert_cmpint(chown(dir, USERS, GROUPS + 4), ==, 0);
    g_assert_cmpint(chmod(dir, 02777), ==, 0);
    g_assert_cmpint(unix_walk(&u, OTHER_ROOT, OTHER_ROOT + 1, "dir"), ==, 0);
    g_assert_cmpint(unix_create(&u, OTHER_ROOT + 1, "own", P9_DMSETGID | 0755, P9_ORDWR, ""), ==,
                    0);
    assert_host(s, "dir/own", USERS, GROUPS + 4);
    g_assert_cmpuint(mode_of(s, "dir/own"), ==, 02755);
}

/* What a Twstat that fails half-way has taken is not given back to somebody else. */
static void test_unix_wstat_gives_nothing_back(Share *s, gconstpointer unused)
{
    UnixStat st = unix_no_change();
    UnixClient u;

    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", 0, 0, 06755);
    put_owned(s, "own", USERS, GROUPS, 06755);
    u = unix_start(s, DIALECT_9P2000_U);
    st.n_uid = st.n_gid = 5;
    st.length = UINT64_MAX - 1; /* refused, when the owner is changed */
    unix_at(&u, FID, "file");
    g_assert_cmpint(unix_wstat(&u, FID, &st), ==, -EINVAL);
    assert_host(s, "file", USERS + 5, GROUPS + 5);
    g_assert_cmpuint(mode_of(s, "file") & 06000, ==, 0);
    unix_at(&u, FID + 1, "own");
    g_assert_cmpint(unix_wstat(&u, FID + 1, &st), ==, -EINVAL);
    assert_host(s, "own", USERS, GROUPS);
    st = unix_no_change();
    st.mode = P9_DMSETUID | 0755;
    put_owned(s, "root", 0, 0, 0755);
    unix_at(&u, FID + 2, "root");
    g_assert_cmpint(unix_wstat(&u, FID + 2, &st), ==, -EPERM);
    g_assert_cmpuint(mode_of(s, "root"), ==, 0755);
}

/*
 * Extended attributes
 */

/* Sets an attribute of the file "file" as the guest. */
static int set(Share *s, const char *name, const void *value, uint32_t size)
{
    Client *c = &s->client;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_call(c, NULL, P9_TXATTRCREATE, "dsqd", FID, name, (uint64_t)size, 0), ==,
                    0);
    g_assert_cmpint(client_write(c, FID, 0, value, size), ==, size);
    return client_clunk(c, FID);
}

/* Its value for the guest. Returns the size. */
static ssize_t get(Share *s, const char *name, void *value, uint32_t room)
{
    Client *c = &s->client;
    ssize_t size;

    g_assert_cmpint(client_walk(c, SHARE_ROOT, FID, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_call(c, NULL, P9_TXATTRWALK, "dds", FID, FID + 1, name), ==, 0);
    size = client_read(c, FID + 1, 0, room, value);
    g_assert_cmpint(client_clunk(c, FID + 1), ==, 0);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    return size;
}

static void put_entry(ByteWriter *w, uint16_t tag, uint32_t id)
{
    write_u16(w, tag);
    write_u16(w, 7);
    write_u32(w, id);
}

/* An ACL as small as one that names a user can be. */
static void new_acl(uint8_t acl[ACL_SIZE], uint32_t user)
{
    ByteWriter w = byte_writer(acl, ACL_SIZE);

    write_u32(&w, 2);
    put_entry(&w, 0x01, UINT32_MAX);
    put_entry(&w, 0x02, user);
    put_entry(&w, 0x04, UINT32_MAX);
    put_entry(&w, 0x10, UINT32_MAX);
    put_entry(&w, 0x20, UINT32_MAX);
    g_assert_false(w.failed);
}

static void test_acl(Share *s, gconstpointer unused)
{
    static const char *const name = "system.posix_acl_access";
    g_autofree char *path = share_path(s, "file");
    uint8_t acl[ACL_SIZE], expected[ACL_SIZE], got[ACL_SIZE];

    (void)unused;
    if (!begin_with(s, MODEL_PASSTHROUGH))
        return;
    put_owned(s, "file", USERS, GROUPS, 0644);
    new_acl(acl, 0); /* root of this host: for the guest it is nobody */
    if (setxattr(path, name, acl, sizeof(acl), 0) != 0) {
        g_test_skip("no ACLs here");
        return;
    }
    g_assert_cmpint(get(s, name, got, sizeof(got)), ==, sizeof(got));
    new_acl(expected, NOBODY);
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);

    new_acl(acl, 5);
    g_assert_cmpint(set(s, name, acl, sizeof(acl)), ==, 0);
    g_assert_cmpint(getxattr(path, name, got, sizeof(got)), ==, sizeof(got));
    new_acl(expected, USERS + 5);
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);
    g_assert_cmpint(get(s, name, got, sizeof(got)), ==, sizeof(got));
    g_assert_true(memcmp(got, acl, sizeof(got)) == 0);

    /* what is malformed leaves everything as it was */
    g_assert_cmpint(set(s, name, acl, sizeof(acl) - 1), ==, -EINVAL);
    acl[0] = 3;
    g_assert_cmpint(set(s, name, acl, sizeof(acl)), ==, -EINVAL);
    new_acl(acl, UINT32_MAX);
    g_assert_cmpint(set(s, name, acl, sizeof(acl)), ==, -EINVAL);
    g_assert_cmpint(getxattr(path, name, got, sizeof(got)), ==, sizeof(got));
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);
}

static void new_capability(uint8_t value[XATTR_CAPS_SZ_3], uint32_t root)
{
    ByteWriter w = byte_writer(value, XATTR_CAPS_SZ_3);

    write_u32(&w, (root ? VFS_CAP_REVISION_3 : VFS_CAP_REVISION_2) | VFS_CAP_FLAGS_EFFECTIVE);
    write_u64(&w, 1u << CAP_NET_RAW);
    write_u64(&w, 0);
    write_u32(&w, root);
}

/* Capabilities that a guest gives away are worth nothing outside its ranges. */
static void test_capability(Share *s, gconstpointer unused)
{
    static const char *const name = "security.capability";
    g_autofree char *path = share_path(s, "file");
    uint8_t value[XATTR_CAPS_SZ_3], expected[XATTR_CAPS_SZ_3], got[XATTR_CAPS_SZ_3];

    (void)unused;
    if (!begin(s))
        return;
    put_owned(s, "file", USERS, GROUPS, 0755);
    new_capability(value, 0);
    if (setxattr(path, name, value, XATTR_CAPS_SZ_2, 0) != 0) {
        g_test_skip("no capabilities of files here");
        return;
    }
    g_assert_cmpint(get(s, name, got, sizeof(got)), ==, XATTR_CAPS_SZ_3);
    new_capability(expected, NOBODY);
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);

    g_assert_cmpint(set(s, name, value, XATTR_CAPS_SZ_2), ==, 0);
    g_assert_cmpint(getxattr(path, name, got, sizeof(got)), ==, XATTR_CAPS_SZ_3);
    new_capability(expected, USERS);
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);
    g_assert_cmpint(get(s, name, got, sizeof(got)), ==, XATTR_CAPS_SZ_2);
    g_assert_true(memcmp(got, value, XATTR_CAPS_SZ_2) == 0);

    new_capability(value, 5); /* of a container in the guest */
    g_assert_cmpint(set(s, name, value, XATTR_CAPS_SZ_3), ==, 0);
    g_assert_cmpint(getxattr(path, name, got, sizeof(got)), ==, XATTR_CAPS_SZ_3);
    new_capability(expected, USERS + 5);
    g_assert_true(memcmp(got, expected, sizeof(got)) == 0);
    g_assert_cmpint(set(s, name, value, XATTR_CAPS_SZ_3 - 1), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/id-map/creation", test_creation);
    share_add_test("/id-map/attach", test_attach);
    share_add_test("/id-map/setattr", test_setattr);
    share_add_test("/id-map/no-number-is-root", test_no_number_is_root);
    share_add_test("/id-map/files-of-others", test_files_of_others);
    share_add_test("/id-map/users-only", test_users_only);
    share_add_test("/id-map/unix/creation-and-stat", test_unix_creation_and_stat);
    share_add_test("/id-map/unix/directory", test_unix_directory);
    share_add_test("/id-map/unix/wstat", test_unix_wstat);
    share_add_test("/id-map/set-id/own", test_own_set_id);
    share_add_test("/id-map/set-id/of-others", test_set_id_of_others);
    share_add_test("/id-map/set-id/writing-to-that-of-others", test_writing_to_set_id_of_others);
    share_add_test("/id-map/set-id/in-directory-of-others", test_set_id_in_directory_of_others);
    share_add_test("/id-map/set-id/unix-wstat-gives-nothing-back",
                   test_unix_wstat_gives_nothing_back);
    share_add_test("/id-map/acl", test_acl);
    share_add_test("/id-map/capability", test_capability);
    return g_test_run();
}
