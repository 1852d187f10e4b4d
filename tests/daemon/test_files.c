/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every 9P client relies on, message by message through the rings, with what the host then has
 * compared: versions, walks, files, folders, links, listings in small pieces, very deep paths, the
 * limit of extended attributes, and requests that are given up.
 *
 * Each test runs for several sizes of messages and security models. A request that has to stay
 * unanswered is a Tlock that waits for a lock of this process.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAG = GUEST_TAG, FID = 10, OTHER_FID = 11, N_FILES = 100, QUIET_MS = 100 };

typedef struct Shape {
    const char *model;
    uint32_t msize;
} Shape;

static const Shape shapes[] = {
    {"none", 4096},
    {"passthrough", 32 * 1024},
};

/* A device with an export of its own; the daemon is the same for all tests. */
typedef struct Files {
    char *export;
    Guest *guest;
} Files;

static Fixture fixture;

static void set_up(Files *f, const void *data)
{
    static unsigned last;
    const Shape *shape = data;
    g_autofree char *hello = NULL;
    FrontendDevice device;

    if (fixture.daemon == NULL)
        fixture_set_up(&fixture, NULL);
    f->export = g_strdup_printf("%s/export-%u", standin_dir(), ++last);
    g_assert_no_errno(mkdir(f->export, 0755));
    hello = g_build_filename(f->export, "hello", NULL);
    g_assert_true(g_file_set_contents(hello, "hello", -1, NULL));
    device = frontend_linux(1, f->export);
    device.order = 5;
    device.security_model = shape->model;
    device.msize = shape->msize;
    f->guest = guest_start(&device);
}

static void tear_down(Files *f, const void *data)
{
    (void)data;
    guest_end(f->guest);
    g_free(f->export);
}

static char *host_path(const Files *f, const char *name)
{
    return g_build_filename(f->export, name, NULL);
}

static bool host_stat(const Files *f, const char *name, struct stat *st)
{
    g_autofree char *path = host_path(f, name);

    return lstat(path, st) == 0;
}

static bool host_has(const Files *f, const char *name)
{
    struct stat st;

    return host_stat(f, name, &st);
}

/* Sends a request whose reply has no more to say than that it succeeded, or returns its errno. */
static int call(const Files *f, GByteArray *request)
{
    return guest_check(f->guest, frontend_call(f->guest->frontend, request, "*"));
}

static void make_folder(const Files *f, const char *name)
{
    g_assert_cmpint(call(f, p9_tmkdir(TAG, GUEST_ROOT, name, 0755, 0)), ==, 0);
}

/* Makes a file in the root, through 9P; `fid` is then open. */
static void make_file(const Files *f, uint32_t fid, const char *name)
{
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, fid, ""), ==, 0);
    g_assert_cmpint(guest_create(f->guest, fid, name, P9_L_RDWR | P9_L_EXCL, 0644), ==, 0);
}

static P9Qid qid_of(const Files *f, uint32_t fid)
{
    P9Attr attr;

    g_assert_cmpint(guest_getattr(f->guest, fid, &attr), ==, 0);
    return attr.qid;
}

/* The version may differ: others change files meanwhile. */
static bool same_file(P9Qid a, P9Qid b)
{
    return a.type == b.type && a.path == b.path;
}

/*
 * Sessions
 */

static void test_tag_node(Files *f, const void *data)
{
    char *tag = toolstack_read_frontend(&f->guest->device, "tag");

    (void)data;
    g_assert_cmpstr(tag, ==, f->guest->device.tag);
    free(tag);
}

static void test_version(Files *f, const void *data)
{
    const Shape *shape = data;
    g_autofree char *dialect = NULL;
    uint32_t msize;

    g_assert_cmpint(frontend_call(f->guest->frontend,
                                  p9_tversion(P9_NOTAG, shape->msize, "9P2000.L"), "ds", &msize,
                                  &dialect),
                    ==, 0);
    g_assert_cmpuint(msize, ==, shape->msize);
    g_assert_cmpstr(dialect, ==, "9P2000.L");
}

static void test_attach(Files *f, const void *data)
{
    P9Qid qid;

    (void)data;
    g_assert_cmpint(
        frontend_call(f->guest->frontend, p9_tattach(TAG, FID, P9_NOFID, "", "", 1000), "Q", &qid),
        ==, 0);
    g_assert_cmpuint(qid.type, ==, 0x80);
    g_assert_true(same_file(qid, qid_of(f, GUEST_ROOT)));
}

/*
 * Walks
 */

static void test_walk_sixteen(Files *f, const void *data)
{
    g_autoptr(GString) path = g_string_new("");
    uint16_t n_qids;

    (void)data;
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, path->str), ==, 0);
        g_string_append_printf(path, "%sfolder%u", i > 0 ? "/" : "", i);
        g_assert_cmpint(call(f, p9_tmkdir(TAG, FID, strrchr(path->str, 'f'), 0755, 0)), ==, 0);
        g_assert_cmpint(guest_clunk(f->guest, FID), ==, 0);
    }
    g_assert_cmpint(
        frontend_call(f->guest->frontend, p9_twalk(TAG, GUEST_ROOT, FID, path->str), "w*", &n_qids),
        ==, 0);
    g_assert_cmpuint(n_qids, ==, 16);
    g_assert_cmpint(call(f, p9_tmkdir(TAG, FID, "x", 0755, 0)), ==, 0);
    g_string_append(path, "/x");
    g_assert_true(host_has(f, path->str));
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, OTHER_FID, path->str), ==, EINVAL);
}

static void test_walk_slash(Files *f, const void *data)
{
    const char *const name = " /";

    (void)data;
    g_assert_cmpint(call(f, p9_twalk_names(TAG, GUEST_ROOT, FID, 1, &name)), ==, ENOENT);
    g_assert_cmpint(guest_clunk(f->guest, FID), !=, 0);
}

static void test_walk_nowhere(Files *f, const void *data)
{
    uint16_t n_qids;

    (void)data;
    g_assert_cmpint(
        frontend_call(f->guest->frontend, p9_twalk(TAG, GUEST_ROOT, FID, ""), "w", &n_qids), ==, 0);
    g_assert_cmpuint(n_qids, ==, 0);
    g_assert_true(same_file(qid_of(f, FID), qid_of(f, GUEST_ROOT)));
}

/* Above the root is the root: the qid has the same bytes, version and all. */
static void test_walk_above_root(Files *f, const void *data)
{
    g_autoptr(P9Reply) attach = NULL;
    g_autoptr(P9Reply) walk = NULL;

    (void)data;
    attach = frontend_transact(f->guest->frontend, p9_tattach(TAG, FID, P9_NOFID, "", "", 0));
    walk = frontend_transact(f->guest->frontend, p9_twalk(TAG, FID, OTHER_FID, ".."));
    g_assert_cmpuint(attach->size, ==, P9_HEADER + 13);
    g_assert_cmpuint(walk->size, ==, P9_HEADER + 2 + 13);
    g_assert_true(memcmp(walk->bytes + P9_HEADER + 2, attach->bytes + P9_HEADER, 13) == 0);
}

static void test_walk_missing(Files *f, const void *data)
{
    (void)data;
    g_assert_cmpint(call(f, p9_twalk(TAG, GUEST_ROOT, FID, "missing")), ==, ENOENT);
}

/* The walk says how far it came, and makes no fid. */
static void test_walk_second_missing(Files *f, const void *data)
{
    uint16_t n_qids;
    P9Qid qid;

    (void)data;
    make_folder(f, "folder");
    g_assert_cmpint(frontend_call(f->guest->frontend,
                                  p9_twalk(TAG, GUEST_ROOT, FID, "folder/missing"), "wQ", &n_qids,
                                  &qid),
                    ==, 0);
    g_assert_cmpuint(n_qids, ==, 1);
    g_assert_false(same_file(qid, qid_of(f, GUEST_ROOT)));
    g_assert_cmpint(call(f, p9_tgetattr(TAG, FID, P9_GETATTR_BASIC)), ==, ENOENT);
}

/*
 * Files, folders and links
 */

static void test_open_and_write(Files *f, const void *data)
{
    const Shape *shape = data;
    uint32_t size = shape->msize / 2;
    g_autofree uint8_t *bytes = g_malloc(size);
    g_autofree char *path = host_path(f, "hello");
    g_autofree char *content = NULL;
    gsize length;
    uint32_t count;

    memset(bytes, 'w', size);
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "hello"), ==, 0);
    g_assert_cmpint(guest_open(f->guest, FID, P9_L_WRONLY), ==, 0);
    g_assert_cmpint(
        frontend_call(f->guest->frontend, p9_twrite(TAG, FID, 0, size, bytes), "d", &count), ==, 0);
    g_assert_cmpuint(count, ==, size);
    g_assert_true(g_file_get_contents(path, &content, &length, NULL));
    g_assert_cmpuint(length, ==, size);
    g_assert_true(memcmp(content, bytes, size) == 0);
}

static void test_folder(Files *f, const void *data)
{
    struct stat st;

    (void)data;
    make_folder(f, "folder");
    g_assert_true(host_stat(f, "folder", &st));
    g_assert_true(S_ISDIR(st.st_mode));
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "folder", 0)), ==, EISDIR);
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "folder", P9_REMOVEDIR)), ==, 0);
    g_assert_false(host_has(f, "folder"));
}

static void test_file(Files *f, const void *data)
{
    struct stat st;

    (void)data;
    make_file(f, FID, "file");
    g_assert_true(host_stat(f, "file", &st));
    g_assert_true(S_ISREG(st.st_mode));
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "file", P9_REMOVEDIR)), ==, ENOTDIR);
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "file", 0)), ==, 0);
    g_assert_false(host_has(f, "file"));
}

static void test_symlink(Files *f, const void *data)
{
    g_autofree char *target = NULL;

    (void)data;
    g_assert_cmpint(call(f, p9_tsymlink(TAG, GUEST_ROOT, "link", "hello", 0)), ==, 0);
    g_assert_true(host_has(f, "link"));
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "link"), ==, 0);
    g_assert_cmpuint(qid_of(f, FID).type, ==, 2);
    g_assert_cmpint(guest_readlink(f->guest, FID, &target), ==, 0);
    g_assert_cmpstr(target, ==, "hello");
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "link", 0)), ==, 0);
    g_assert_false(host_has(f, "link"));
    g_assert_true(host_has(f, "hello"));
}

static void test_hard_link(Files *f, const void *data)
{
    struct stat hello, link;

    (void)data;
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "hello"), ==, 0);
    g_assert_cmpint(call(f, p9_tlink(TAG, GUEST_ROOT, FID, "link")), ==, 0);
    g_assert_true(host_stat(f, "hello", &hello) && host_stat(f, "link", &link));
    g_assert_cmpuint(hello.st_dev, ==, link.st_dev);
    g_assert_cmpuint(hello.st_ino, ==, link.st_ino);
    g_assert_cmpuint(link.st_nlink, ==, 2);
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "link", 0)), ==, 0);
    g_assert_true(host_stat(f, "hello", &hello) && !host_has(f, "link"));
    g_assert_cmpuint(hello.st_nlink, ==, 1);
}

static void test_use_after_unlink(Files *f, const void *data)
{
    const Shape *shape = data;
    P9SetAttr attr = {.valid = P9_SET_SIZE, .size = 2001};
    g_autofree uint8_t *bytes = g_malloc0(shape->msize / 2);
    P9Attr found;

    make_file(f, FID, "file");
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, OTHER_FID, "file"), ==, 0);
    g_assert_cmpint(guest_open(f->guest, OTHER_FID, P9_L_WRONLY), ==, 0);
    g_assert_cmpint(call(f, p9_tunlinkat(TAG, GUEST_ROOT, "file", 0)), ==, 0);
    g_assert_false(host_has(f, "file"));
    g_assert_cmpint(guest_getattr(f->guest, OTHER_FID, &found), ==, 0);
    g_assert_cmpuint(found.nlink, ==, 0);
    g_assert_cmpint(guest_write(f->guest, OTHER_FID, 0, bytes, shape->msize / 2, 0), ==, 0);
    g_assert_cmpint(call(f, p9_tsetattr(TAG, OTHER_FID, &attr)), ==, 0);
    g_assert_cmpint(guest_getattr(f->guest, OTHER_FID, &found), ==, 0);
    g_assert_cmpuint(found.size, ==, 2001);
}

/* So deep that the path has more bytes than any buffer for paths. Each level has a fid, through
 * which it is removed again: the host could not even name it. */
static void test_deep_path(Files *f, const void *data)
{
    enum { N_LEVELS = 257, NAME_SIZE = 255, FIRST = 1000 };
    char name[NAME_SIZE + 1] = "";

    (void)data;
    memset(name, 'd', NAME_SIZE);
    g_assert_cmpint(N_LEVELS * (NAME_SIZE + 1), >, 65536);
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FIRST, ""), ==, 0);
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        g_assert_cmpint(call(f, p9_tmkdir(TAG, FIRST + i, name, 0755, 0)), ==, 0);
        g_assert_cmpint(guest_walk(f->guest, FIRST + i, FIRST + i + 1, name), ==, 0);
    }
    g_assert_cmpuint(qid_of(f, FIRST + N_LEVELS).type, ==, 0x80);
    for (uint32_t i = N_LEVELS; i-- > 0;)
        g_assert_cmpint(call(f, p9_tunlinkat(TAG, FIRST + i, name, P9_REMOVEDIR)), ==, 0);
}

/*
 * Listings
 */

static void make_listed_files(const Files *f)
{
    g_autofree char *folder = host_path(f, "list");

    make_folder(f, "list");
    for (unsigned i = 0; i < N_FILES; i++) {
        g_autofree char *path = g_strdup_printf("%s/file-%u", folder, i);

        g_assert_true(g_file_set_contents(path, "", 0, NULL));
    }
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "list"), ==, 0);
    g_assert_cmpint(guest_open(f->guest, FID, P9_L_RDONLY), ==, 0);
}

/* All are there once, with "." and "..", in any order. */
static void check_listed(const GPtrArray *list)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    g_assert_cmpuint(list->len, ==, N_FILES + 2);
    for (guint i = 0; i < list->len; i++)
        g_assert_true(g_hash_table_add(seen, list->pdata[i]));
    g_assert_true(g_hash_table_contains(seen, ".") && g_hash_table_contains(seen, ".."));
    for (unsigned i = 0; i < N_FILES; i++) {
        g_autofree char *name = g_strdup_printf("file-%u", i);

        g_assert_true(g_hash_table_contains(seen, name));
    }
}

static void test_list_at_once(Files *f, const void *data)
{
    const Shape *shape = data;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    const uint8_t *bytes;
    uint32_t size, at = 0;
    char *name;

    make_listed_files(f);
    g_assert_cmpint(frontend_call(f->guest->frontend, p9_treaddir(TAG, FID, 0, shape->msize - 11),
                                  "D", &size, &bytes),
                    ==, 0);
    while (p9_next_entry(bytes, size, &at, NULL, NULL, NULL, &name))
        g_ptr_array_add(list, name);
    check_listed(list);
}

static void test_list_split(Files *f, const void *data)
{
    static const uint32_t counts[] = {512, 256, 128};

    (void)data;
    make_listed_files(f);
    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(GPtrArray) list = NULL;

        g_assert_cmpint(guest_list(f->guest, FID, counts[i], &list), ==, 0);
        check_listed(list);
    }
}

/*
 * Extended attributes
 */

/* The 1,025th value at once is refused, and after the others have gone it is not. */
static void test_xattr_limit(Files *f, const void *data)
{
    enum { LIMIT = 1024, FIRST = 2000, SIZE = 8192 };
    uint8_t bytes[SIZE] = {0};

    (void)data;
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "hello"), ==, 0);
    for (uint32_t i = 0; i <= LIMIT; i++) {
        GByteArray *create =
            p9_build(P9_TXATTRCREATE, TAG, "dsqd", FIRST + i, "user.test", (uint64_t)SIZE, 0U);

        g_assert_cmpint(guest_walk(f->guest, FID, FIRST + i, ""), ==, 0);
        g_assert_cmpint(call(f, create), ==, i < LIMIT ? 0 : ENOSPC);
        if (i < LIMIT)
            g_assert_cmpint(guest_write(f->guest, FIRST + i, 0, bytes, SIZE, 0), ==, 0);
    }
    /* Whether the host's file system has room for such a value is another matter. */
    for (uint32_t i = 0; i <= LIMIT; i++)
        guest_clunk(f->guest, FIRST + i);
    g_assert_cmpint(guest_walk(f->guest, FID, FIRST, ""), ==, 0);
    g_assert_cmpint(
        call(f, p9_build(P9_TXATTRCREATE, TAG, "dsqd", FIRST, "user.test", (uint64_t)4, 0U)), ==,
        0);
}

/*
 * Requests that are given up
 */

/* Takes a lock on "hello" for the host, and opens the file for a Tlock that has to wait for it. */
static int hold_lock(const Files *f)
{
    g_autofree char *path = host_path(f, "hello");
    struct flock lock = {.l_type = F_WRLCK};
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_no_errno(fcntl(fd, F_OFD_SETLK, &lock));
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "hello"), ==, 0);
    g_assert_cmpint(guest_open(f->guest, FID, P9_L_RDWR), ==, 0);
    return fd;
}

static void send_lock(const Files *f, unsigned ring, uint16_t tag)
{
    g_assert_true(frontend_send_on(f->guest->frontend, ring,
                                   p9_build(P9_TLOCK, tag, "dbdqqds", FID, P9_LOCK_WRITE,
                                            P9_LOCK_WAIT, (uint64_t)0, (uint64_t)0, 1U, "guest")));
}

static void send_flush(const Files *f, unsigned ring, uint16_t tag, uint16_t oldtag)
{
    g_assert_true(frontend_send_on(f->guest->frontend, ring, p9_tflush(tag, oldtag)));
}

/* The next reply is this one. */
static void expect_reply(const Files *f, uint16_t tag, uint8_t type)
{
    g_autoptr(P9Reply) reply = frontend_wait_any(f->guest->frontend, FRONTEND_TIMEOUT_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->tag, ==, tag);
    g_assert_cmpuint(reply->type, ==, type);
}

static void expect_quiet(const Files *f)
{
    g_autoptr(P9Reply) reply = frontend_wait_any(f->guest->frontend, QUIET_MS);

    g_assert_null(reply);
}

/* The lock that nobody waits for any more is not taken when it could be. */
static void release_lock(const Files *f, int fd)
{
    struct flock lock = {.l_type = F_UNLCK};

    g_assert_no_errno(fcntl(fd, F_OFD_SETLK, &lock));
    expect_quiet(f);
    lock.l_type = F_WRLCK;
    g_assert_no_errno(fcntl(fd, F_OFD_SETLK, &lock));
    close(fd);
}

static void test_flush_waiting(Files *f, const void *data)
{
    int fd = hold_lock(f);

    (void)data;
    send_lock(f, 0, 1);
    expect_quiet(f);
    send_flush(f, 1, 2, 1);
    expect_reply(f, 2, P9_TFLUSH + 1);
    release_lock(f, fd);
}

/* Either the write is done and answered, then comes Rflush, or it was given up and is not done. */
static void test_flush_write(Files *f, const void *data)
{
    g_autofree char *path = host_path(f, "hello");
    char before = 'h';
    unsigned n_written = 0;

    (void)data;
    g_assert_cmpint(guest_walk(f->guest, GUEST_ROOT, FID, "hello"), ==, 0);
    g_assert_cmpint(guest_open(f->guest, FID, P9_L_RDWR), ==, 0);
    for (unsigned i = 0; i < 200; i++) {
        char byte = before == 'x' ? 'y' : 'x';
        g_autofree char *content = NULL;
        g_autoptr(P9Reply) reply = NULL;

        g_assert_true(frontend_send_on(f->guest->frontend, 0, p9_twrite(1, FID, 0, 1, &byte)));
        send_flush(f, 0, 2, 1);
        reply = frontend_wait_any(f->guest->frontend, FRONTEND_TIMEOUT_MS);
        if (reply->tag == 1) {
            g_assert_cmpuint(reply->type, ==, P9_TWRITE + 1);
            expect_reply(f, 2, P9_TFLUSH + 1);
        }
        g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
        before = content[0];
        g_assert_cmpint(before == byte, ==, reply->tag == 1);
        n_written += before == byte;
    }
    g_test_message("%u of 200 were written", n_written);
    expect_quiet(f);
}

static void test_flush_unknown(Files *f, const void *data)
{
    (void)data;
    send_flush(f, 0, 1, 77);
    expect_reply(f, 1, P9_TFLUSH + 1);
    send_flush(f, 1, 1, P9_NOTAG);
    expect_reply(f, 1, P9_TFLUSH + 1);
    send_flush(f, 0, 5, 5);
    expect_reply(f, 5, P9_TFLUSH + 1);
    expect_quiet(f);
}

/* A flush of a flush, and two of one tag: each is answered, in their order. */
static void test_flush_chain(Files *f, const void *data)
{
    int fd = hold_lock(f);

    (void)data;
    send_lock(f, 0, 1);
    expect_quiet(f);
    send_flush(f, 0, 2, 1);
    send_flush(f, 0, 3, 1);
    send_flush(f, 0, 4, 2);
    expect_reply(f, 2, P9_TFLUSH + 1);
    expect_reply(f, 3, P9_TFLUSH + 1);
    expect_reply(f, 4, P9_TFLUSH + 1);
    release_lock(f, fd);
}

/* A tag is used again once it is free, and also by a client that gave up without saying so. */
static void test_tag_reuse(Files *f, const void *data)
{
    int fd = hold_lock(f);

    (void)data;
    send_lock(f, 0, 1);
    send_flush(f, 1, 2, 1);
    expect_reply(f, 2, P9_TFLUSH + 1);
    g_assert_true(frontend_send_on(f->guest->frontend, 0, p9_tstatfs(1, GUEST_ROOT)));
    expect_reply(f, 1, P9_TSTATFS + 1);
    send_lock(f, 0, 1);
    expect_quiet(f);
    g_assert_true(frontend_send_on(f->guest->frontend, 1, p9_tstatfs(1, GUEST_ROOT)));
    expect_reply(f, 1, P9_TSTATFS + 1);
    release_lock(f, fd);
}

static const struct {
    const char *name;
    void (*run)(Files *f, const void *shape);
} tests[] = {
    {"tag-node", test_tag_node},
    {"version", test_version},
    {"attach", test_attach},
    {"walk-sixteen", test_walk_sixteen},
    {"walk-slash", test_walk_slash},
    {"walk-nowhere", test_walk_nowhere},
    {"walk-above-root", test_walk_above_root},
    {"walk-missing", test_walk_missing},
    {"walk-second-missing", test_walk_second_missing},
    {"open-and-write", test_open_and_write},
    {"folder", test_folder},
    {"file", test_file},
    {"symlink", test_symlink},
    {"hard-link", test_hard_link},
    {"use-after-unlink", test_use_after_unlink},
    {"deep-path", test_deep_path},
    {"list-at-once", test_list_at_once},
    {"list-split", test_list_split},
    {"xattr-limit", test_xattr_limit},
    {"flush-waiting", test_flush_waiting},
    {"flush-write", test_flush_write},
    {"flush-unknown", test_flush_unknown},
    {"flush-chain", test_flush_chain},
    {"tag-reuse", test_tag_reuse},
};

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    umask(022);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests) * G_N_ELEMENTS(shapes); i++) {
        const Shape *shape = &shapes[i / G_N_ELEMENTS(tests)];
        g_autofree char *name =
            g_strdup_printf("/files/%s/%s", tests[i % G_N_ELEMENTS(tests)].name, shape->model);

        g_test_add(name, Files, shape, set_up, tests[i % G_N_ELEMENTS(tests)].run, tear_down);
    }
    status = g_test_run();
    if (fixture.daemon != NULL)
        fixture_tear_down(&fixture, NULL);
    return status;
}
