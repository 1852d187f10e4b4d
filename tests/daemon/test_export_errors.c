/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export that fails: the guest gets exactly the error that the file system gave, whichever operation
 * it was, everything is as if the request had never come, and the session goes on. Nothing is left
 * open, and another device notices nothing.
 *
 * The file system is a blocking fs, whose operations fail on demand, and a tmpfs that is full.
 */
#include "tests/daemon/fixture.h"
#include "tests/lib/blocking_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum {
    ROOT = 1,     /* fids: of slot_open_file() */
    FILE_FID = 2, /* "file", open for both */
    PLAIN,        /* "file", not open */
    LINK,         /* "link" */
    OPEN_ROOT,    /* the root, open */
    SPARE,        /* of one case */
    TAG = 7,
    LARGE = 3000, /* bytes of a piece */
};

/* How a case begins; each is undone by clunking SPARE. */
typedef enum Start {
    START_NOTHING,
    START_CLONE_ROOT,  /* SPARE is the root */
    START_CLONE_FILE,  /* SPARE is "file" */
    START_MAKE_FILE,   /* there is "victim" */
    START_WRITE_VALUE, /* SPARE is an attribute, written and not stored */
} Start;

typedef struct Case {
    const char *name;
    enum fuse_opcode opcode;
    GByteArray *(*request)(void);
    Start start;
    bool clunks; /* the request takes SPARE away, whatever becomes of it */
    bool fails;  /* the blocking fs cannot do it at all */
} Case;

static GByteArray *walk(void)
{
    return p9_twalk(TAG, ROOT, SPARE, "file");
}

static GByteArray *get_attributes(void)
{
    return p9_tgetattr(TAG, PLAIN, P9_GETATTR_ALL);
}

static GByteArray *set_attributes(void)
{
    P9SetAttr mode = {.valid = P9_SET_MODE, .mode = 0600};

    return p9_tsetattr(TAG, PLAIN, &mode);
}

static GByteArray *truncate_open(void)
{
    P9SetAttr size = {.valid = P9_SET_SIZE, .size = 100};

    return p9_tsetattr(TAG, FILE_FID, &size);
}

static GByteArray *open_file(void)
{
    return p9_tlopen(TAG, SPARE, O_RDWR);
}

static GByteArray *open_directory(void)
{
    return p9_tlopen(TAG, SPARE, O_DIRECTORY);
}

static GByteArray *create(void)
{
    return p9_tlcreate(TAG, SPARE, "victim", O_RDWR, 0644, 0);
}

static GByteArray *make_directory(void)
{
    return p9_tmkdir(TAG, ROOT, "victim", 0755, 0);
}

static GByteArray *make_node(void)
{
    return p9_tmknod(TAG, ROOT, "victim", S_IFIFO | 0644, 0, 0, 0);
}

static GByteArray *make_symlink(void)
{
    return p9_tsymlink(TAG, ROOT, "victim", "target", 0);
}

static GByteArray *make_link(void)
{
    return p9_tlink(TAG, ROOT, PLAIN, "victim");
}

static GByteArray *read_file(void)
{
    return p9_tread(TAG, FILE_FID, 0, 100);
}

static GByteArray *write_file(void)
{
    static const char bytes[LARGE];

    return p9_twrite(TAG, FILE_FID, 0, LARGE, bytes);
}

static GByteArray *sync_file(void)
{
    return p9_tfsync(TAG, FILE_FID, 0);
}

static GByteArray *list(void)
{
    return p9_treaddir(TAG, OPEN_ROOT, 0, 1000);
}

static GByteArray *read_link(void)
{
    return p9_treadlink(TAG, LINK);
}

static GByteArray *look_at_space(void)
{
    return p9_tstatfs(TAG, ROOT);
}

static GByteArray *remove_name(void)
{
    return p9_tunlinkat(TAG, ROOT, "victim", 0);
}

static GByteArray *move_name(void)
{
    return p9_trenameat(TAG, ROOT, "victim", ROOT, "moved");
}

static GByteArray *lock(void)
{
    return p9_build(P9_TLOCK, TAG, "dbdqqds", FILE_FID, P9_LOCK_WRITE, 0, UINT64_C(0), UINT64_C(9),
                    1, "client");
}

static GByteArray *get_value(void)
{
    return p9_build(P9_TXATTRWALK, TAG, "dds", PLAIN, SPARE, "user.a");
}

static GByteArray *list_values(void)
{
    return p9_build(P9_TXATTRWALK, TAG, "dds", PLAIN, SPARE, "");
}

static GByteArray *clunk(void)
{
    return p9_tclunk(TAG, SPARE);
}

static const Case cases[] = {
    {"walk", FUSE_LOOKUP, .request = walk},
    {"getattr", FUSE_GETATTR, .request = get_attributes},
    {"setattr", FUSE_SETATTR, .request = set_attributes},
    {"truncate", FUSE_SETATTR, .request = truncate_open},
    {"open", FUSE_OPEN, .request = open_file, .start = START_CLONE_FILE},
    {"opendir", FUSE_OPENDIR, .request = open_directory, .start = START_CLONE_ROOT},
    {"create", FUSE_CREATE, .request = create, .start = START_CLONE_ROOT},
    {"mkdir", FUSE_MKDIR, .request = make_directory},
    {"mknod", FUSE_MKNOD, .request = make_node, .fails = true},
    {"symlink", FUSE_SYMLINK, .request = make_symlink, .fails = true},
    {"link", FUSE_LINK, .request = make_link, .fails = true},
    {"read", FUSE_READ, .request = read_file},
    {"write", FUSE_WRITE, .request = write_file},
    {"fsync", FUSE_FSYNC, .request = sync_file},
    {"readdir", FUSE_READDIR, .request = list},
    {"readlink", FUSE_READLINK, .request = read_link},
    {"statfs", FUSE_STATFS, .request = look_at_space},
    {"unlink", FUSE_UNLINK, .request = remove_name, .start = START_MAKE_FILE},
    {"rename", FUSE_RENAME, .request = move_name, .start = START_MAKE_FILE},
    {"lock", FUSE_SETLK, .request = lock},
    {"getxattr", FUSE_GETXATTR, .request = get_value},
    {"listxattr", FUSE_LISTXATTR, .request = list_values},
    {"setxattr", FUSE_SETXATTR, .request = clunk, .start = START_WRITE_VALUE, .clunks = true},
};

/* What file systems on broken or full disks, and across a network, say. */
static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS, ESTALE, ETIMEDOUT};

typedef struct Broken {
    BlockingFs *fuse;
    Slot *slot;
    Slot *other; /* for another export, that works */
    char *other_path;
} Broken;

static int call(const Broken *b, GByteArray *request)
{
    return frontend_call(b->slot->frontend, request, "*");
}

static void expect_done(const Broken *b, GByteArray *request)
{
    uint8_t type = request->data[4];
    int error = call(b, request);

    if (error)
        g_error("message %u: error %d", type, error);
}

/* Fids that stay. */
static void open_fids(const Broken *b)
{
    g_assert_cmpint(frontend_version(b->slot->frontend), ==, 0);
    g_assert_cmpint(frontend_attach(b->slot->frontend, ROOT), ==, 0);
    expect_done(b, p9_twalk(TAG, ROOT, FILE_FID, "file"));
    expect_done(b, p9_tlopen(TAG, FILE_FID, O_RDWR));
    expect_done(b, p9_twalk(TAG, ROOT, PLAIN, "file"));
    expect_done(b, p9_twalk(TAG, ROOT, LINK, "link"));
    expect_done(b, p9_twalk(TAG, ROOT, OPEN_ROOT, ""));
    expect_done(b, p9_tlopen(TAG, OPEN_ROOT, O_DIRECTORY));
}

/* Returns false, and marks the test as skipped, where there is no FUSE. */
static bool broken_open(Broken *b, const Fixture *fixture)
{
    const char *why;

    b->fuse = blocking_fs_new(fixture->export, &why);
    if (!b->fuse) {
        g_test_skip(why);
        return false;
    }
    b->other_path = other_export();
    b->slot = connected_slot(fixture, 1, 0);
    b->other = connected_to(b->other_path, 2, 0, NULL);
    slot_open_file(b->other, "hello");
    open_fids(b);
    return true;
}

static void broken_close(Broken *b, const Fixture *fixture)
{
    slot_read_file(b->other, "hello");
    slot_expect_history(b->slot, "1 2 4");
    slot_expect_history(b->other, "1 2 4");
    finish(fixture, b->slot);
    finish(fixture, b->other);
    blocking_fs_free(b->fuse);
    g_free(b->other_path);
}

static void begin(const Broken *b, Start start)
{
    switch (start) {
    case START_NOTHING:
        break;
    case START_CLONE_ROOT:
        expect_done(b, p9_twalk(TAG, ROOT, SPARE, ""));
        break;
    case START_CLONE_FILE:
        expect_done(b, p9_twalk(TAG, PLAIN, SPARE, ""));
        break;
    case START_MAKE_FILE:
        expect_done(b, p9_twalk(TAG, ROOT, SPARE, ""));
        expect_done(b, p9_tlcreate(TAG, SPARE, "victim", O_RDWR, 0644, 0));
        break;
    case START_WRITE_VALUE:
        expect_done(b, p9_twalk(TAG, PLAIN, SPARE, ""));
        expect_done(b, p9_build(P9_TXATTRCREATE, TAG, "dsqd", SPARE, "user.b", UINT64_C(1), 0));
        expect_done(b, p9_twrite(TAG, SPARE, 0, 1, "v"));
        break;
    }
}

/* SPARE is there if the case has made it, and so is "victim", or "moved". */
static void end(const Broken *b)
{
    call(b, p9_tclunk(TAG, SPARE));
    call(b, p9_tunlinkat(TAG, ROOT, "victim", 0));
    call(b, p9_tunlinkat(TAG, ROOT, "victim", AT_REMOVEDIR));
    call(b, p9_tunlinkat(TAG, ROOT, "moved", 0));
}

/* A request that fails, and then the same again, which does not. */
static void try_case(const Broken *b, const Case *c, int error)
{
    int got;

    begin(b, c->start);
    blocking_fs_fail(b->fuse, c->opcode, error, 0);
    got = call(b, c->request());
    if (got != error)
        g_error("%s: error %d, not %d", c->name, got, error);
    blocking_fs_fail(b->fuse, c->opcode, 0, 0);
    if (c->clunks)
        begin(b, c->start);
    if (!c->fails)
        expect_done(b, c->request());
    end(b);
}

static void test_each(Fixture *fixture, const void *data)
{
    Broken b;
    unsigned descriptors = 0;
    pid_t worker;

    (void)data;
    if (!broken_open(&b, fixture))
        return;
    worker = last_worker(fixture, b.slot);
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(cases); j++) {
            try_case(&b, &cases[j], errors[i]);
            slot_read_file(b.other, "hello");
        }
        if (i == 0)
            descriptors = count_descriptors(worker); /* there is one for the lock now */
    }
    g_assert_cmpuint(count_descriptors(worker), ==, descriptors);
    broken_close(&b, fixture);
}

/* Tclunk and Tremove always clunk, also where closing the file fails. What closing says is nothing that
 * a guest could act on. */
static void test_close(Fixture *fixture, const void *data)
{
    Broken b;

    (void)data;
    if (!broken_open(&b, fixture))
        return;
    blocking_fs_fail(b.fuse, FUSE_FLUSH, EIO, 0);
    begin(&b, START_MAKE_FILE);
    g_assert_cmpint(call(&b, p9_tclunk(TAG, SPARE)), ==, 0);
    g_assert_cmpint(call(&b, p9_tclunk(TAG, SPARE)), ==, ENOENT);
    expect_done(&b, p9_twalk(TAG, ROOT, SPARE, "victim"));
    blocking_fs_fail(b.fuse, FUSE_UNLINK, EIO, 0);
    g_assert_cmpint(call(&b, p9_tremove(TAG, SPARE)), ==, EIO);
    g_assert_cmpint(call(&b, p9_tclunk(TAG, SPARE)), ==, ENOENT);
    blocking_fs_fail(b.fuse, FUSE_UNLINK, 0, 0);
    blocking_fs_fail(b.fuse, FUSE_FLUSH, 0, 0);
    end(&b);
    broken_close(&b, fixture);
}

/* What was written before the disk failed counts; only then comes the error. */
static void test_short_write(Fixture *fixture, const void *data)
{
    enum { SIZE = 2 * BLOCKING_PIECE };
    g_autofree char *bytes = g_malloc0(SIZE);
    FrontendDevice device = frontend_linux(3, fixture->export);
    uint32_t count = 0;
    Frontend *frontend;
    Broken b;

    (void)data;
    if (!broken_open(&b, fixture))
        return;
    g_assert_true(toolstack_add_wait(&device));
    frontend = frontend_new(&device);
    g_assert_true(frontend_connect(frontend));
    g_assert_cmpint(frontend_version(frontend), ==, 0);
    g_assert_cmpint(frontend_attach(frontend, ROOT), ==, 0);
    g_assert_cmpint(frontend_call(frontend, p9_twalk(TAG, ROOT, FILE_FID, "file"), "*"), ==, 0);
    g_assert_cmpint(frontend_call(frontend, p9_tlopen(TAG, FILE_FID, O_RDWR), "*"), ==, 0);
    blocking_fs_fail(b.fuse, FUSE_WRITE, ENOSPC, 1);
    g_assert_cmpint(frontend_call(frontend, p9_twrite(TAG, FILE_FID, 0, SIZE, bytes), "d", &count),
                    ==, 0);
    g_assert_cmpuint(count, ==, BLOCKING_PIECE);
    g_assert_cmpint(frontend_call(frontend, p9_twrite(TAG, FILE_FID, 0, SIZE, bytes), "d", &count),
                    ==, ENOSPC);
    blocking_fs_fail(b.fuse, FUSE_WRITE, 0, 0);
    g_assert_true(frontend_remove(frontend));
    frontend_free(frontend);
    broken_close(&b, fixture);
}

/* An export whose file system fails when a device wants to connect: the toolstack hears of it. */
static void test_connect(Fixture *fixture, const void *data)
{
    Footprint before = fixture_footprint(fixture);
    BlockingFs *fuse;
    const char *why;
    Slot *slot;

    (void)data;
    fuse = blocking_fs_new(fixture->export, &why);
    if (!fuse) {
        g_test_skip(why);
        return;
    }
    blocking_fs_fail(fuse, FUSE_GETATTR, EIO, 0);
    slot = slot_new("xen_9pfs", 1, 0);
    slot_add(slot, fixture->export, "none");
    expect_refused(fixture, slot, "1 5 6", "Input/output error");
    blocking_fs_fail(fuse, FUSE_GETATTR, 0, 0);
    finish(fixture, slot);

    slot = slot_new("xen_9pfs", 1, 1);
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    blocking_fs_fail(fuse, FUSE_GETATTR, EIO, 0);
    slot_offer(slot);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 5 6", "Input/output error");
    blocking_fs_fail(fuse, FUSE_GETATTR, 0, 0);
    finish(fixture, slot);
    expect_footprint(fixture, &before);
    blocking_fs_free(fuse);
}

/*
 * A disk that is full
 */

/* Writes until nothing fits any more. Returns how much did. */
static uint64_t fill(const Broken *b, uint32_t fid)
{
    static const char bytes[LARGE];
    uint64_t offset = 0;
    uint32_t count;
    int error;

    while ((error = frontend_call(b->slot->frontend, p9_twrite(TAG, fid, offset, LARGE, bytes), "d",
                                  &count)) == 0) {
        g_assert_cmpuint(count, >, 0);
        offset += count;
    }
    g_assert_cmpint(error, ==, ENOSPC);
    return offset;
}

static void expect_full(const Broken *b)
{
    expect_done(b, p9_twalk(TAG, ROOT, PLAIN, ""));
    g_assert_cmpint(call(b, p9_tlcreate(TAG, PLAIN, "no", O_RDWR, 0644, 0)), ==, ENOSPC);
    g_assert_cmpint(call(b, p9_tmkdir(TAG, ROOT, "no", 0755, 0)), ==, ENOSPC);
    g_assert_cmpint(call(b, p9_tsymlink(TAG, ROOT, "no", "where", 0)), ==, ENOSPC);
    g_assert_cmpint(call(b, p9_tmknod(TAG, ROOT, "no", S_IFIFO | 0644, 0, 0, 0)), ==, ENOSPC);
    expect_done(b, p9_tclunk(TAG, PLAIN)); /* still there, and not open */
    g_assert_cmpint(call(b, p9_twalk(TAG, ROOT, SPARE, "no")), ==, ENOENT);
}

static void test_full(Fixture *fixture, const void *data)
{
    Broken b = {0};
    unsigned n = 0;

    (void)data;
    if (mount("full", fixture->export, "tmpfs", 0, "size=64k,nr_inodes=8") != 0) {
        g_test_skip("mounts cannot be made here");
        return;
    }
    b.slot = connected_slot(fixture, 1, 0);
    g_assert_cmpint(frontend_version(b.slot->frontend), ==, 0);
    g_assert_cmpint(frontend_attach(b.slot->frontend, ROOT), ==, 0);
    expect_done(&b, p9_twalk(TAG, ROOT, FILE_FID, ""));
    expect_done(&b, p9_tlcreate(TAG, FILE_FID, "large", O_RDWR, 0644, 0));
    g_assert_cmpuint(fill(&b, FILE_FID), ==, 64 * 1024);
    for (int error = 0; !error; n++) {
        g_autofree char *name = g_strdup_printf("%u", n);

        error = call(&b, p9_tmkdir(TAG, ROOT, name, 0755, 0));
        g_assert_true(error == 0 || error == ENOSPC);
    }
    g_assert_cmpuint(n, >, 1);
    expect_full(&b);
    expect_done(&b, p9_tunlinkat(TAG, ROOT, "large", 0));
    expect_done(&b, p9_tclunk(TAG, FILE_FID));
    expect_done(&b, p9_twalk(TAG, ROOT, FILE_FID, ""));
    expect_done(&b, p9_tlcreate(TAG, FILE_FID, "again", O_RDWR, 0644, 0));
    g_assert_cmpuint(fill(&b, FILE_FID), ==, 64 * 1024);
    finish(fixture, b.slot);
    g_assert_no_errno(umount2(fixture->export, MNT_DETACH));
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/export-errors/each", test_each);
    FIXTURE_TEST("/export-errors/close", test_close);
    FIXTURE_TEST("/export-errors/short-write", test_short_write);
    FIXTURE_TEST("/export-errors/connect", test_connect);
    FIXTURE_TEST("/export-errors/full", test_full);
    return g_test_run();
}
