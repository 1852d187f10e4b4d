/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topen, Tcreate, Tclunk, Tremove and reading directories in 9P2000.u and 9P2000. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/unix_client.h"

enum { FID = 9, OTHER = 10, MAX_COUNT = 8192 };

static const Dialect dialects[] = {DIALECT_9P2000_U, DIALECT_9P2000};

/*
 * Topen
 */

static void test_open_modes(Share *s, gconstpointer unused)
{
    static const struct {
        unsigned mode;
        bool reads, writes;
    } cases[] = {
        {P9_OREAD, true, false}, {P9_OWRITE, false, true},           {P9_ORDWR, true, true},
        {P9_OEXEC, true, false}, {P9_ORDWR | P9_OCEXEC, true, true},
    };
    char data[16];

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects) * G_N_ELEMENTS(cases); i++) {
        unsigned c = i / G_N_ELEMENTS(dialects);
        UnixClient u = unix_start(s, dialects[i % G_N_ELEMENTS(dialects)]);

        share_put(s, "file", "text");
        unix_at(&u, FID, "file");
        g_assert_cmpint(unix_open(&u, FID, cases[c].mode), ==, 0);
        g_assert_cmpint(unix_open(&u, FID, cases[c].mode), ==, -EINVAL);
        g_assert_cmpint(unix_read(&u, FID, 0, 16, data), ==, cases[c].reads ? 4 : -EBADF);
        g_assert_cmpint(unix_write(&u, FID, 0, "TE"), ==, cases[c].writes ? 2 : -EBADF);
    }
}

static void test_open_flags(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    g_autofree char *text = NULL;
    struct stat st;

    (void)unused;
    share_put(s, "file", "text");
    unix_at(&u, FID, "file");
    g_assert_cmpint(unix_open(&u, FID, P9_OWRITE | P9_OAPPEND), ==, 0);
    g_assert_cmpint(unix_write(&u, FID, 0, "more"), ==, 4);
    text = share_get(s, "file");
    g_assert_cmpstr(text, ==, "textmore");
    unix_at(&u, OTHER, "file");
    g_assert_cmpint(unix_open(&u, OTHER, P9_OWRITE | P9_OTRUNC), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 0);
    /* 9P2000 does not know the bit */
    u = unix_start(s, DIALECT_9P2000);
    unix_at(&u, FID, "file");
    g_assert_cmpint(unix_open(&u, FID, P9_OWRITE | P9_OAPPEND), ==, 0);
    g_assert_cmpint(unix_write(&u, FID, 0, "ab"), ==, 2);
    g_assert_cmpint(unix_write(&u, FID, 0, "c"), ==, 1);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpint(st.st_size, ==, 2);
}

static void test_open_others(Share *s, gconstpointer unused)
{
    g_autofree char *fifo = share_path(s, "fifo");
    g_autofree char *symbolic = share_path(s, "symlink");
    UnixClient u = unix_start(s, DIALECT_9P2000_U);

    (void)unused;
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(symlink("fifo", symbolic), ==, 0);
    unix_at(&u, FID, "fifo");
    g_assert_cmpint(unix_open(&u, FID, P9_OREAD), ==, -ENXIO);
    unix_at(&u, OTHER, "symlink");
    g_assert_cmpint(unix_open(&u, OTHER, P9_OREAD), ==, -ELOOP);
    g_assert_cmpint(unix_open(&u, SHARE_ROOT, P9_OWRITE), ==, -EISDIR);
    g_assert_cmpint(unix_open(&u, SHARE_ROOT, P9_OREAD | P9_OTRUNC), ==, -EISDIR);
}

/* A large iounit for reading, a share of the ring for writing, as in 9P2000.L. */
static void test_iounit(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    uint32_t iounits[2];

    (void)unused;
    share_put(s, "file", "text");
    for (unsigned i = 0; i < 2; i++) {
        g_autofree TestReply *reply = NULL;
        ByteReader r;

        unix_at(&u, FID + i, "file");
        g_assert_cmpint(client_call(&u, &reply, P9_TOPEN, "db", FID + i, i), ==, 0);
        r = byte_reader(reply->bytes + P9_HEADER_SIZE + P9_QID_SIZE, 4);
        iounits[i] = read_u32(&r);
    }
    g_assert_cmpuint(iounits[0], ==, SHARE_MSIZE - 4096);
    g_assert_cmpuint(iounits[1], <=, SHARE_MAX_MESSAGE / 16);
    g_assert_cmpuint(iounits[1], >, 0);
}

static void test_remove_on_clunk(Share *s, gconstpointer unused)
{
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        g_autofree char *path = share_path(s, "file");

        share_put(s, "file", "text");
        unix_at(&u, FID, "file");
        g_assert_cmpint(unix_open(&u, FID, P9_OREAD | P9_ORCLOSE), ==, 0);
        g_assert_true(share_stat(s, "file", &st));
        g_assert_cmpint(unix_clunk(&u, FID), ==, 0);
        g_assert_false(share_stat(s, "file", &st));
        unix_at(&u, FID, "");
        g_assert_cmpint(unix_create(&u, FID, "new", 0644, P9_ORDWR | P9_ORCLOSE, ""), ==, 0);
        g_assert_true(share_stat(s, "new", &st));
        g_assert_cmpint(unix_clunk(&u, FID), ==, 0);
        g_assert_false(share_stat(s, "new", &st));
        /* somebody else was faster: the fid is gone all the same */
        share_put(s, "file", "text");
        unix_at(&u, FID, "file");
        g_assert_cmpint(unix_open(&u, FID, P9_OREAD | P9_ORCLOSE), ==, 0);
        g_assert_cmpint(unlink(path), ==, 0);
        g_assert_cmpint(unix_clunk(&u, FID), ==, -ENOENT);
        g_assert_cmpint(unix_clunk(&u, FID), ==, -ENOENT);
        unix_at(&u, FID, "");
    }
}

static void test_remove(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);

        g_assert_cmpint(mkdir(dir, 0755), ==, 0);
        share_put(s, "dir/file", "");
        unix_at(&u, FID, "dir");
        g_assert_cmpint(unix_walk(&u, FID, OTHER, "file"), ==, 0);
        g_assert_cmpint(unix_remove(&u, FID), ==, -ENOTEMPTY);
        g_assert_cmpint(unix_clunk(&u, FID), ==, -ENOENT);
        g_assert_cmpint(unix_remove(&u, OTHER), ==, 0);
        unix_at(&u, FID, "dir");
        g_assert_cmpint(unix_remove(&u, FID), ==, 0);
        g_assert_false(share_stat(s, "dir", &st));
    }
}

/*
 * Tcreate
 */

static int create(UnixClient *u, const char *name, uint32_t perm, unsigned mode,
                  const char *extension)
{
    int error;

    unix_at(u, FID, "");
    error = unix_create(u, FID, name, perm, mode, extension);
    g_assert_cmpint(unix_clunk(u, FID), ==, 0);
    return error;
}

static void test_create_file(Share *s, gconstpointer unused)
{
    char data[16];
    struct stat st;
    UnixStat got;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        g_autofree char *path = share_path(s, "new");

        unix_at(&u, FID, "");
        g_assert_cmpint(unix_create(&u, FID, "new", 0640, P9_ORDWR, ""), ==, 0);
        g_assert_cmpint(unix_stat(&u, FID, &got), ==, 0);
        g_assert_cmpstr(got.name, ==, "new");
        g_assert_cmpint(unix_write(&u, FID, 0, "text"), ==, 4);
        g_assert_cmpint(unix_read(&u, FID, 0, 16, data), ==, 4);
        g_assert_cmpint(unix_create(&u, FID, "below", 0640, P9_ORDWR, ""), ==, -EINVAL);
        g_assert_cmpint(unix_clunk(&u, FID), ==, 0);
        g_assert_true(share_stat(s, "new", &st));
        g_assert_cmphex(st.st_mode, ==, S_IFREG | 0640);
        if (geteuid() == 0)
            g_assert_cmpuint(st.st_uid, ==, SHARE_UID);
        /* what is there is never opened by it */
        g_assert_cmpint(create(&u, "new", 0640, P9_ORDWR | P9_OTRUNC, ""), ==, -EEXIST);
        g_assert_true(share_stat(s, "new", &st));
        g_assert_cmpint(st.st_size, ==, 4);
        g_assert_cmpint(create(&u, ".", 0640, P9_OREAD, ""), ==, -EEXIST);
        g_assert_cmpint(create(&u, "a/b", 0640, P9_OREAD, ""), ==, -ENOENT);
        g_assert_cmpint(create(&u, "x", P9_DMEXCL | 0640, P9_OREAD, ""), ==, -EINVAL);
        g_assert_cmpint(create(&u, "x", P9_DMAPPEND | 0640, P9_OREAD, ""), ==, -EINVAL);
        g_assert_cmpint(unlink(path), ==, 0);
    }
}

/* A fid that could not create stays what it was. */
static void test_create_failed(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);

    (void)unused;
    share_put(s, "file", "");
    unix_at(&u, FID, "");
    g_assert_cmpint(unix_create(&u, FID, "file", 0644, P9_OREAD, ""), ==, -EEXIST);
    g_assert_cmpint(unix_walk(&u, FID, OTHER, "file"), ==, 0);
    g_assert_cmpint(unix_create(&u, OTHER, "below", 0644, P9_OREAD, ""), ==, -ENOTDIR);
}

/* The group is the directory's; a set-group-id bit only root gets. */
static void test_create_owner(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_assert_cmpint(chown(s->export, 11, 22), ==, 0);
    g_assert_cmpint(create(&u, "a", P9_DMSETUID | P9_DMSETGID | 0755, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "a", &st));
    g_assert_cmpuint(st.st_uid, ==, SHARE_UID);
    g_assert_cmpuint(st.st_gid, ==, 22);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 04755);
    g_assert_cmpint(unix_attach(&u, OTHER, "root", 0), ==, 0);
    g_assert_cmpint(unix_create(&u, OTHER, "b", P9_DMSETGID | 0755, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "b", &st));
    g_assert_cmpuint(st.st_uid, ==, 0);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 02755);
    /* below a set-group-id directory all goes on as usual */
    g_assert_cmpint(chmod(s->export, 02777), ==, 0);
    g_assert_cmpint(create(&u, "d", P9_DMDIR | 0755, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "d", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 02755);
    g_assert_cmpuint(st.st_gid, ==, 22);
}

/* In 9P2000 the directory's permissions limit those of what is made in it. */
static void test_create_permissions(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000);
    struct stat st;

    (void)unused;
    g_assert_cmpint(chmod(s->export, 0750), ==, 0);
    g_assert_cmpint(create(&u, "file", 0777, P9_OREAD, ""), ==, 0);
    g_assert_cmpint(create(&u, "dir", P9_DMDIR | 0777, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0751);
    g_assert_true(share_stat(s, "dir", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFDIR | 0750);
    u = unix_start(s, DIALECT_9P2000_U);
    g_assert_cmpint(create(&u, "other", 0777, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "other", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0777);
}

static void test_create_directory(Share *s, gconstpointer unused)
{
    uint8_t data[1000];

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        const char *name = unix_dialect_name(dialects[i]);
        struct stat st;

        g_assert_cmpint(create(&u, name, P9_DMDIR | 0755, P9_ORDWR, ""), ==, -EISDIR);
        g_assert_false(share_stat(s, name, &st));
        unix_at(&u, FID, "");
        g_assert_cmpint(unix_create(&u, FID, name, P9_DMDIR | 0755, P9_OREAD, ""), ==, 0);
        g_assert_true(share_stat(s, name, &st));
        g_assert_cmphex(st.st_mode, ==, S_IFDIR | 0755);
        /* it is open: empty but for what 9P2000.u lists */
        g_assert_true((unix_read(&u, FID, 0, 1000, data) > 0) == (i == 0));
    }
}

static void test_create_special(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    g_autofree char *symbolic = share_path(s, "symlink");
    g_autofree char *target = NULL;
    UnixStat got;
    struct stat st;

    (void)unused;
    g_assert_cmpint(create(&u, "fifo", P9_DMNAMEDPIPE | 0640, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "fifo", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFIFO | 0640);
    g_assert_cmpint(create(&u, "socket", P9_DMSOCKET | 0600, P9_OREAD, ""), ==, 0);
    g_assert_true(share_stat(s, "socket", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFSOCK | 0600);
    unix_at(&u, OTHER, "");
    g_assert_cmpint(unix_create(&u, OTHER, "symlink", P9_DMSYMLINK | 0777, P9_OREAD, "/a/b"), ==,
                    0);
    target = g_file_read_link(symbolic, NULL);
    g_assert_cmpstr(target, ==, "/a/b");
    g_assert_cmpint(unix_stat(&u, OTHER, &got), ==, 0); /* the fid stands for it now */
    g_assert_cmpstr(got.extension, ==, "/a/b");
    g_assert_cmpint(create(&u, "symlink", P9_DMSYMLINK | 0777, P9_OREAD, "x"), ==, -EEXIST);
    g_assert_cmpint(create(&u, "empty", P9_DMSYMLINK | 0777, P9_OREAD, ""), ==, -ENOENT);
    g_assert_cmpint(create(&u, "both", P9_DMDIR | P9_DMSYMLINK, P9_OREAD, "x"), ==, -EINVAL);
    u = unix_start(s, DIALECT_9P2000);
    g_assert_cmpint(create(&u, "new", P9_DMSYMLINK | 0777, P9_OREAD, "x"), ==, -EINVAL);
}

static void test_create_device(Share *s, gconstpointer unused)
{
    static const char *const bad[] = {"",       "b",      "b 1",      "x 1 3",       "c 1 3 4",
                                      "c 1 -3", "c -1 3", "c 4096 3", "c 1 1048576", "cc 1 3",
                                      "c 1 z",  "c  1 3", "c1 3"};
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_cmpint(create(&u, "bad", P9_DMDEVICE | 0600, P9_OREAD, bad[i]), ==, -EINVAL);
    if (create(&u, "null", P9_DMDEVICE | 0620, P9_OREAD, "c 1 3") == -EPERM) {
        g_test_skip("device nodes cannot be made here");
        return;
    }
    g_assert_true(share_stat(s, "null", &st));
    g_assert_cmphex(st.st_mode, ==, S_IFCHR | 0620);
    g_assert_cmpuint(st.st_rdev, ==, makedev(1, 3));
    g_assert_cmpint(create(&u, "loop", P9_DMDEVICE | 0620, P9_OREAD, "b 7 300\n"), ==, 0);
    g_assert_true(share_stat(s, "loop", &st));
    g_assert_true(S_ISBLK(st.st_mode));
    g_assert_cmpuint(st.st_rdev, ==, makedev(7, 300));
}

/* The extension is the number of a fid, in Linux's way with a newline. */
static void test_create_link(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    struct stat st;

    (void)unused;
    share_put(s, "file", "");
    unix_at(&u, 77, "file");
    g_assert_cmpint(create(&u, "one", P9_DMLINK, P9_OREAD, "77"), ==, 0);
    g_assert_cmpint(create(&u, "two", P9_DMLINK | 0644, P9_OREAD, "77\n"), ==, 0);
    g_assert_true(share_stat(s, "file", &st));
    g_assert_cmpuint(st.st_nlink, ==, 3);
    g_assert_cmpint(create(&u, "one", P9_DMLINK, P9_OREAD, "77"), ==, -EEXIST);
    g_assert_cmpint(create(&u, "three", P9_DMLINK, P9_OREAD, "78"), ==, -ENOENT);
    g_assert_cmpint(create(&u, "three", P9_DMLINK, P9_OREAD, "file"), ==, -EINVAL);
    g_assert_cmpint(create(&u, "three", P9_DMLINK, P9_OREAD, "-1"), ==, -EINVAL);
    g_assert_cmpint(create(&u, "three", P9_DMLINK, P9_OREAD, "4294967373"), ==, -EINVAL);
    g_assert_cmpint(create(&u, "three", P9_DMLINK, P9_OREAD, "0"), ==, -EPERM);
}

/*
 * Reading directories
 */

typedef struct Listing {
    GPtrArray *names;
    GArray *offsets; /* uint64_t: of each record, and of the end */
} Listing;

static void listing_clear(Listing *l)
{
    g_ptr_array_unref(l->names);
    g_array_unref(l->offsets);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Listing, listing_clear)

static Listing listing_new(void)
{
    Listing l = {.names = g_ptr_array_new_with_free_func(g_free),
                 .offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t))};

    return l;
}

/* Reads from `offset` on with reads of `count` bytes to the end. */
static Listing list(UnixClient *u, uint32_t fid, uint64_t offset, uint32_t count)
{
    Listing l = listing_new();
    uint8_t data[MAX_COUNT];
    ssize_t got;

    while ((got = unix_read(u, fid, offset, count, data)) > 0) {
        ByteReader r = byte_reader(data, (size_t)got);

        while (r.left > 0) {
            UnixStat s;
            uint64_t at = offset + (uint64_t)got - r.left;

            unix_take_stat(&r, u->dialect, &s);
            g_ptr_array_add(l.names, g_strdup(s.name));
            g_array_append_val(l.offsets, at);
        }
        offset += (uint64_t)got;
    }
    g_assert_cmpint(got, ==, 0);
    g_array_append_val(l.offsets, offset);
    return l;
}

static bool has_name(const Listing *l, const char *name)
{
    return g_ptr_array_find_with_equal_func(l->names, name, g_str_equal, NULL);
}

static void fill(Share *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("file%u", i);
        share_put(s, name, "");
    }
}

static void open_root(UnixClient *u, uint32_t fid)
{
    unix_at(u, fid, "");
    g_assert_cmpint(unix_open(u, fid, P9_OREAD), ==, 0);
}

/* Accessed after it was modified: most mounts do not note then that it is read. */
static void keep_access_time(const char *path)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = 1000000000}};

    g_assert_no_errno(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

/* The records say what Tstat says. */
static void test_read_records(Share *s, gconstpointer unused)
{
    g_autofree char *symbolic = share_path(s, "symlink");
    g_autofree char *dir = share_path(s, "dir");
    uint8_t data[MAX_COUNT];

    (void)unused;
    fill(s, 3);
    g_assert_cmpint(symlink("target", symbolic), ==, 0);
    keep_access_time(symbolic);
    g_assert_cmpint(mkdir(dir, 0755), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        unsigned n = 0;
        ByteReader r;

        open_root(&u, FID);
        r = byte_reader(data, (size_t)unix_read(&u, FID, 0, MAX_COUNT, data));
        for (; r.left > 0; n++) {
            UnixStat record, got;

            unix_take_stat(&r, dialects[i], &record);
            if (record.name[0] == '.') {
                g_assert_cmphex(record.qid.type, ==, P9_QTDIR);
                continue;
            }
            unix_at(&u, OTHER, record.name);
            g_assert_cmpint(unix_stat(&u, OTHER, &got), ==, 0);
            g_assert_cmpint(unix_clunk(&u, OTHER), ==, 0);
            g_assert_true(memcmp(&record, &got, sizeof(got)) == 0);
        }
        g_assert_cmpuint(n, ==, dialects[i] == DIALECT_9P2000_U ? 7 : 5);
    }
}

/* "." and ".." are the root in the root, and where they belong below it. */
static void test_read_dots(Share *s, gconstpointer unused)
{
    g_autofree char *dir = share_path(s, "dir");
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    uint8_t data[MAX_COUNT];
    UnixStat root, own;
    ByteReader r;

    (void)unused;
    g_assert_cmpint(mkdir(dir, 0755), ==, 0);
    g_assert_cmpint(unix_stat(&u, SHARE_ROOT, &root), ==, 0);
    unix_at(&u, OTHER, "dir");
    g_assert_cmpint(unix_stat(&u, OTHER, &own), ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t fid = i == 0 ? SHARE_ROOT : OTHER;

        g_assert_cmpint(unix_open(&u, fid, P9_OREAD), ==, 0);
        r = byte_reader(data, (size_t)unix_read(&u, fid, 0, MAX_COUNT, data));
        while (r.left > 0) {
            UnixStat record;

            unix_take_stat(&r, u.dialect, &record);
            if (strcmp(record.name, "..") == 0)
                g_assert_cmpuint(record.qid.path, ==, root.qid.path);
            else if (strcmp(record.name, ".") == 0)
                g_assert_cmpuint(record.qid.path, ==, i == 0 ? root.qid.path : own.qid.path);
        }
    }
}

/* Every count that holds the longest record lists all; a smaller one is an error at some record. */
static void test_read_counts(Share *s, gconstpointer unused)
{
    enum { N = 30 };
    char data[MAX_COUNT];

    (void)unused;
    fill(s, N);
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        unsigned dots = dialects[i] == DIALECT_9P2000_U ? 2 : 0;

        open_root(&u, FID);
        for (uint32_t count = 90; count < 700; count++) {
            g_auto(Listing) l = list(&u, FID, 0, count);

            g_assert_cmpuint(l.names->len, ==, N + dots);
            for (unsigned f = 0; f < N; f++) {
                g_autofree char *name = g_strdup_printf("file%u", f);
                g_assert_true(has_name(&l, name));
            }
            g_assert_true(has_name(&l, "..") == (dots > 0));
        }
        for (uint32_t count = 0; count < 49; count++)
            g_assert_cmpint(unix_read(&u, FID, 0, count, data), ==, -EINVAL);
    }
}

/* From every record's start the rest can be read, in any order; from nowhere else. */
static void test_read_offsets(Share *s, gconstpointer unused)
{
    enum { N = 20 };
    uint8_t data[MAX_COUNT];

    (void)unused;
    fill(s, N);
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        g_auto(Listing) all = {0};
        uint64_t end;

        open_root(&u, FID);
        all = list(&u, FID, 0, MAX_COUNT);
        end = g_array_index(all.offsets, uint64_t, all.names->len);
        for (unsigned n = all.names->len + 1; n-- > 0;) {
            uint64_t offset = g_array_index(all.offsets, uint64_t, n);
            g_auto(Listing) rest = list(&u, FID, offset, 300);

            g_assert_cmpuint(rest.names->len, ==, all.names->len - n);
            for (unsigned k = 0; k < rest.names->len; k++)
                g_assert_cmpstr(rest.names->pdata[k], ==, all.names->pdata[n + k]);
            if (offset > 0)
                g_assert_cmpint(unix_read(&u, FID, offset - 1, 300, data), ==, -EINVAL);
            g_assert_cmpint(unix_read(&u, FID, offset + 1, 300, data), ==, -EINVAL);
        }
        g_assert_cmpint(unix_read(&u, FID, UINT64_MAX, 300, data), ==, -EINVAL);
        g_assert_cmpint(unix_read(&u, FID, end, 300, data), ==, 0);
    }
}

/* The same read once more gives the same, also when another fid reads in between. */
static void test_read_again(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    uint8_t first[300], again[300];
    uint64_t offset = 0;
    ssize_t got;

    (void)unused;
    fill(s, 20);
    open_root(&u, FID);
    open_root(&u, OTHER);
    while ((got = unix_read(&u, FID, offset, 300, first)) > 0) {
        g_assert_cmpint(unix_read(&u, OTHER, 0, 300, again), >, 0);
        g_assert_cmpint(unix_read(&u, FID, offset, 300, again), ==, got);
        g_assert_true(memcmp(first, again, (size_t)got) == 0);
        offset += (uint64_t)got;
    }
}

/* A directory that is emptied while it is read, as rm -r does it. */
static void test_read_and_remove(Share *s, gconstpointer unused)
{
    enum { N = 500 };
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    uint8_t data[1000];
    uint64_t offset = 0;
    unsigned n = 0;
    ssize_t got;

    (void)unused;
    fill(s, N);
    open_root(&u, FID);
    while ((got = unix_read(&u, FID, offset, sizeof(data), data)) > 0) {
        ByteReader r = byte_reader(data, (size_t)got);

        offset += (uint64_t)got;
        while (r.left > 0) {
            UnixStat record;

            unix_take_stat(&r, u.dialect, &record);
            if (record.name[0] == '.')
                continue;
            unix_at(&u, OTHER, record.name);
            g_assert_cmpint(unix_remove(&u, OTHER), ==, 0);
            n++;
        }
    }
    g_assert_cmpint(got, ==, 0);
    g_assert_cmpuint(n, ==, N);
}

/* One that has more entries than are taken from the file system at once. */
static void test_read_many(Share *s, gconstpointer unused)
{
    enum { N = 10000 };
    UnixClient u = unix_start(s, DIALECT_9P2000_U);
    g_auto(Listing) l = {0};
    uint64_t middle;

    (void)unused;
    fill(s, N);
    open_root(&u, FID);
    l = list(&u, FID, 0, MAX_COUNT);
    g_assert_cmpuint(l.names->len, ==, N + 2);
    middle = g_array_index(l.offsets, uint64_t, 9000);
    g_auto(Listing) rest = list(&u, FID, middle, MAX_COUNT);
    g_assert_cmpuint(rest.names->len, ==, N + 2 - 9000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test_for_models("/unix-open/modes", test_open_modes);
    share_add_test_for_models("/unix-open/flags", test_open_flags);
    share_add_test_for_models("/unix-open/others", test_open_others);
    share_add_test_for_models("/unix-open/iounit", test_iounit);
    share_add_test_for_models("/unix-open/remove-on-clunk", test_remove_on_clunk);
    share_add_test_for_models("/unix-remove", test_remove);
    share_add_test("/unix-create/file", test_create_file);
    share_add_test_for_models("/unix-create/failed", test_create_failed);
    share_add_test("/unix-create/owner", test_create_owner);
    share_add_test("/unix-create/permissions", test_create_permissions);
    share_add_test("/unix-create/directory", test_create_directory);
    share_add_test("/unix-create/special", test_create_special);
    share_add_test("/unix-create/device", test_create_device);
    share_add_test_for_models("/unix-create/link", test_create_link);
    share_add_test_for_models("/unix-read/records", test_read_records);
    share_add_test_for_models("/unix-read/dots", test_read_dots);
    share_add_test_for_models("/unix-read/counts", test_read_counts);
    share_add_test_for_models("/unix-read/offsets", test_read_offsets);
    share_add_test_for_models("/unix-read/again", test_read_again);
    share_add_test_for_models("/unix-read/and-remove", test_read_and_remove);
    share_add_test_for_models("/unix-read/many", test_read_many);
    return g_test_run();
}
