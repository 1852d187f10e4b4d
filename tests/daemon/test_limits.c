/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of xl.cfg(5) and those of what a device may take, as nodes of a device: they are in force
 * over rings, in each of the device's lives, and for that device alone. */
#include "tests/daemon/control.h"
#include "tests/daemon/fixture.h"
#include "tests/lib/blocking_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { ROOT_FID = 1, TAG = 7 };

static Slot *connected_with(const Fixture *fixture, const FrontendNode *nodes)
{
    return connected_to(fixture->export, 1, 0, nodes);
}

static int make_directory(Slot *slot, const char *name)
{
    return frontend_call(slot->frontend, p9_tmkdir(TAG, ROOT_FID, name, 0755, 0), "*");
}

static bool has(const Fixture *fixture, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->export, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* There is one file from the start. What a device has made counts when it is connected again. */
static void test_max_files(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {
        {"max-files", "3"},   {"max-space", "0"}, {"max-open-files", "0"},
        {"auto-delete", "0"}, {NULL, NULL},
    };
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    check_serves(slot);
    g_assert_cmpint(make_directory(slot, "a"), ==, 0);
    g_assert_cmpint(make_directory(slot, "b"), ==, 0);
    g_assert_cmpint(make_directory(slot, "c"), ==, ENOSPC);
    finish(fixture, slot);
    slot = connected_with(fixture, nodes);
    check_serves(slot);
    g_assert_cmpint(make_directory(slot, "c"), ==, ENOSPC);
    g_assert_cmpint(frontend_call(slot->frontend, p9_tunlinkat(TAG, ROOT_FID, "a", 0x200), ""), ==,
                    0);
    g_assert_cmpint(make_directory(slot, "c"), ==, 0);
    finish(fixture, slot);
}

static void test_auto_delete(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-files", "1"}, {"auto-delete", "1"}, {NULL, NULL}};
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    slot_open_file(slot, "hello");
    g_assert_cmpint(make_directory(slot, "a"), ==, ENOSPC);
    g_assert_true(has(fixture, "hello"));
    finish(fixture, slot);
    slot = connected_with(fixture, nodes);
    slot_open_file(slot, ".");
    g_assert_cmpint(make_directory(slot, "a"), ==, 0);
    g_assert_false(has(fixture, "hello"));
    expect_log(fixture, "deleted the oldest file that is not open, hello");
    finish(fixture, slot);
}

/*
 * What a device may take
 */

enum { FID = 100, MANY_FILES = 300, CALLS = 100 };

static int call(Slot *slot, GByteArray *message)
{
    return frontend_call(slot->frontend, message, "*");
}

static int walk(Slot *slot, uint32_t fid, const char *path)
{
    return call(slot, p9_twalk(TAG, ROOT_FID, fid, path));
}

static int lock(Slot *slot, uint32_t fid, unsigned owner, unsigned start)
{
    return call(slot, p9_build(P9_TLOCK, TAG, "dbdqqds", fid, P9_LOCK_READ, 0, (uint64_t)start,
                               UINT64_C(1), owner, "guest"));
}

/* Runs into the limits of fids, open files, attributes and locks, each a hundred times. */
static void run_into_limits(Slot *slot)
{
    unsigned n = 0;

    g_assert_cmpint(walk(slot, FID, "hello"), ==, 0);
    g_assert_cmpint(call(slot, p9_tlopen(TAG, FID, 0)), ==, 0);
    for (unsigned i = 0; i < CALLS; i++)
        n += lock(slot, FID, 1, 2 * i) == ENOLCK;
    g_assert_cmpuint(n, ==, CALLS - 3);
    for (unsigned i = 2; i < CALLS; i++)
        g_assert_cmpint(lock(slot, FID, i, 0), ==, ENOLCK);
    for (unsigned i = 0; i < CALLS; i++) {
        g_assert_cmpint(walk(slot, FID + 1 + i, "hello"), ==, 0);
        n = (unsigned)call(
            slot, p9_build(P9_TXATTRCREATE, TAG, "dsqd", FID + 1 + i, "user.a", UINT64_C(1), 0));
        g_assert_cmpuint(n, ==, i < 2 ? 0 : ENOSPC);
    }
    for (unsigned i = CALLS + 1; i < 190; i++)
        g_assert_cmpint(walk(slot, FID + i, "hello"), ==, 0);
    for (unsigned i = 190; i < 2 * CALLS; i++)
        g_assert_cmpint(walk(slot, FID + 1000 + i, "hello"), ==, i < 198 ? 0 : ENFILE);
}

/* A device that is at all its limits harms no other, and says once which they are. */
static void test_own_limits(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {
        {"max-fids", "200"},      {"max-xattrs", "2"}, {"max-locks", "4"},
        {"max-lock-owners", "1"}, {NULL, NULL},
    };
    static const char *const keys[] = {"max-fids=200", "max-xattrs=2", "max-locks=4",
                                       "max-lock-owners=1"};
    Slot *slot = connected_with(fixture, nodes);
    Slot *other = connected_slot(fixture, 2, 0);

    (void)data;
    check_serves(slot);
    check_serves(other);
    run_into_limits(slot);
    for (unsigned i = 0; i < 2 * CALLS; i++)
        g_assert_cmpint(walk(other, FID + i, "hello"), ==, 0);
    g_assert_cmpint(call(other, p9_tlopen(TAG, FID, 0)), ==, 0);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(lock(other, FID, i, 2 * i), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *line =
            g_strdup_printf("domain 1 device 0: the limit %s is reached", keys[i]);

        expect_log(fixture, line);
        g_assert_cmpuint(count_log(fixture, line), ==, 1);
    }
    g_assert_cmpuint(count_log(fixture, "domain 2 device 0: the limit"), ==, 0);
    finish(fixture, slot);
    finish(fixture, other);
}

/* A worker that has locked itself in puts descriptors away: more files than it may hold can be used. */
static void test_descriptors(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-descriptors", "64"}, {NULL, NULL}};
    Slot *slot = connected_with(fixture, nodes);

    (void)data;
    check_serves(slot);
    if (count_log(fixture, "descriptors cannot be put away here") > 0) {
        g_test_skip("no handles, or no right to open them");
        finish(fixture, slot);
        return;
    }
    for (unsigned i = 0; i < MANY_FILES; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(make_directory(slot, name), ==, 0);
        g_assert_cmpint(walk(slot, FID + i, name), ==, 0);
    }
    g_assert_cmpuint(count_descriptors(last_worker(fixture, slot)), <, 64 + 40);
    for (unsigned i = 0; i < MANY_FILES; i++) {
        g_autofree char *name = g_strdup_printf("%u/below", i);

        g_assert_cmpint(call(slot, p9_tmkdir(TAG, FID + i, "below", 0755, 0)), ==, 0);
        g_assert_true(has(fixture, name));
    }
    g_assert_cmpuint(count_log(fixture, "is reached"), ==, 0);
    finish(fixture, slot);
}

/*
 * Each limit by itself
 */

enum { FILE_FID = 2, FIRST_TAG = 100, LARGE_MSIZE = 512 * 1024, LARGE_ORDER = 9 };

/* A device at one of its limits, and one with an export of its own that is to notice nothing. */
typedef struct Pair {
    const Fixture *fixture;
    BlockingFs *fuse; /* NULL: the fixture's export is a folder */
    Slot *slot;
    Slot *other;
    char *other_path;
} Pair;

/* With `nodes`. Of a large device each request may be large. */
static void pair_connect(Pair *p, const FrontendNode *nodes, bool large)
{
    p->other_path = other_export();
    p->other = connected_to(p->other_path, 2, 0, NULL);
    slot_open_file(p->other, "hello");
    p->slot = slot_new("xen_9pfs", 1, 0);
    p->slot->device.nodes = nodes;
    if (large) {
        p->slot->frontend->device.order = LARGE_ORDER;
        p->slot->frontend->device.msize = LARGE_MSIZE;
    }
    slot_add(p->slot, p->fixture->export, "none");
    slot_expect(p->slot, XenbusStateInitWait);
    slot_offer(p->slot);
    slot_expect(p->slot, XenbusStateConnected);
    slot_set_frontend(p->slot, XenbusStateConnected);
    slot_open_file(p->slot, p->fuse ? "file" : "hello");
}

/* On an export that hangs, or fails, on demand. Returns false, and marks the test as skipped, where
 * there is none. */
static bool pair_connect_fuse(Pair *p, const FrontendNode *nodes, bool large)
{
    const char *why;

    p->fuse = blocking_fs_new(p->fixture->export, &why);
    if (!p->fuse) {
        g_test_skip(why);
        return false;
    }
    pair_connect(p, nodes, large);
    return true;
}

/* The limit was reported once; the other device has neither reached one nor noticed. */
static void pair_end(Pair *p, const char *line)
{
    g_autofree char *whole = g_strconcat("domain 1 device 0: ", line, NULL);

    slot_read_file(p->other, "hello");
    expect_log(p->fixture, whole);
    g_assert_cmpuint(count_log(p->fixture, whole), ==, 1);
    g_assert_cmpuint(count_log(p->fixture, "domain 2 device 0: the"), ==, 0);
    slot_expect_history(p->slot, "1 2 4");
    slot_expect_history(p->other, "1 2 4");
    finish(p->fixture, p->slot);
    finish(p->fixture, p->other);
    g_free(p->other_path);
    if (p->fuse)
        blocking_fs_free(p->fuse);
}

/* On one ring: they are taken in this order. */
static void send_read(const Pair *p, unsigned n, uint32_t count)
{
    g_assert_true(frontend_send_on(p->slot->frontend, 0,
                                   p9_tread((uint16_t)(FIRST_TAG + n), FILE_FID, 0, count)));
}

/* The reply to any request with this tag, which is none of an error. */
static P9Reply *take_reply(const Pair *p, unsigned n)
{
    P9Reply *reply =
        frontend_wait(p->slot->frontend, (uint16_t)(FIRST_TAG + n), FRONTEND_TIMEOUT_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(p9_error(reply), ==, 0);
    return reply;
}

static void expect_replies(const Pair *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        g_free(take_reply(p, i));
}

/* Requests that do not fit into the memory stay in the ring. They come to their turn, and none is
 * refused; a Tflush is taken on the other ring all the same. */
static void test_request_memory(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-request-memory", "8"}, {NULL, NULL}};
    enum { N = 60, FLUSH = N + 1 };
    Pair p = {.fixture = fixture};

    (void)data;
    if (!pair_connect_fuse(&p, nodes, true))
        return;
    blocking_fs_hang(p.fuse, FUSE_READ, BLOCKING_POLITE, 0);
    for (unsigned i = 0; i < N; i++) {
        g_assert_true(
            frontend_send_on(p.slot->frontend, 0,
                             p9_tread((uint16_t)(FIRST_TAG + i), FILE_FID, 0, LARGE_MSIZE - 24)));
    }
    blocking_fs_await(p.fuse, FUSE_READ, 1);
    expect_log(fixture, "max-request-memory=8 is reached: no more are taken until some are done");
    slot_read_file(p.other, "hello");
    g_assert_true(frontend_send_on(p.slot->frontend, 1, p9_tflush(FIRST_TAG + FLUSH, FIRST_TAG)));
    g_free(take_reply(&p, FLUSH));
    blocking_fs_release(p.fuse, FUSE_READ, 0);
    for (unsigned i = 1; i < N; i++)
        g_free(take_reply(&p, i));
    pair_end(&p, "the limit max-request-memory=8 is reached");
}

/* All threads hang, the spare one too. Others wait for one, and can be cancelled meanwhile. */
static void test_threads(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {
        {"max-threads", "2"}, {"max-spare-threads", "1"}, {NULL, NULL}};
    enum { N = 6, FLUSH = N };
    Pair p = {.fixture = fixture};

    (void)data;
    if (!pair_connect_fuse(&p, nodes, false))
        return;
    blocking_fs_hang(p.fuse, FUSE_READ, BLOCKING_DEAF, 0);
    for (unsigned i = 0; i < N; i++)
        send_read(&p, i, 10);
    expect_log(fixture, "max-spare-threads=1 is reached: all threads are stuck and requests wait");
    blocking_fs_await(p.fuse, FUSE_READ, 3);
    slot_read_file(p.other, "hello");
    g_assert_true(frontend_send(p.slot->frontend,
                                p9_tflush(FIRST_TAG + FLUSH, (uint16_t)(FIRST_TAG + N - 1))));
    g_free(take_reply(&p, FLUSH));
    blocking_fs_release(p.fuse, FUSE_READ, 0);
    expect_replies(&p, N - 1);
    pair_end(&p, "the limit max-spare-threads=1 is reached");
}

/* The status in the Rlock of a request for the whole file that may wait. */
static void send_lock(const Pair *p, unsigned n)
{
    g_assert_true(
        frontend_send(p->slot->frontend,
                      p9_build(P9_TLOCK, (uint16_t)(FIRST_TAG + n), "dbdqqds", FILE_FID,
                               P9_LOCK_WRITE, 1 /* wait */, UINT64_C(0), UINT64_C(0), n, "guest")));
}

/* Waits until the request waits without a thread. */
static void await_waiting(const Fixture *fixture, unsigned n)
{
    g_autofree char *tag = g_strdup_printf("%u", FIRST_TAG + n);
    bool waits = false;

    while (!waits) {
        g_autofree char *answer = control_ask(fixture, "requests 1.0");
        g_auto(GStrv) records = control_records(answer);
        g_autofree char *record = control_find(records, "request", "tag", tag);
        g_autofree char *state = record ? control_field(record, "state") : NULL;

        waits = g_strcmp0(state, "waiting") == 0;
        g_usleep(1000);
    }
}

static unsigned take_status(const Pair *p, unsigned n)
{
    g_autofree P9Reply *reply = take_reply(p, n);
    uint8_t status = 255;

    g_assert_true(p9_parse(reply, "b", &status));
    return status;
}

/* A Tlock too many is answered as one that may not wait. */
static void test_waiting_locks(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-waiting-locks", "1"}, {NULL, NULL}};
    enum { SUCCESS, BLOCKED };
    g_autofree char *file = g_build_filename(fixture->export, "hello", NULL);
    struct flock all = {.l_type = F_WRLCK};
    int fd = open(file, O_RDWR | O_CLOEXEC);
    Pair p = {.fixture = fixture};

    (void)data;
    pair_connect(&p, nodes, false);
    g_assert_no_errno(fcntl(fd, F_OFD_SETLK, &all));
    send_lock(&p, 0);
    await_waiting(fixture, 0);
    for (unsigned i = 1; i < CALLS; i++) {
        send_lock(&p, i);
        g_assert_cmpuint(take_status(&p, i), ==, BLOCKED);
    }
    close(fd);
    g_assert_cmpuint(take_status(&p, 0), ==, SUCCESS);
    pair_end(&p, "the limit max-waiting-locks=1 is reached: further ones do not wait");
}

/* Files that are open cannot do without descriptors. */
static void test_open_descriptors(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-descriptors", "64"}, {NULL, NULL}};
    Pair p = {.fixture = fixture};
    int error = 0;
    unsigned n = 0;

    (void)data;
    pair_connect(&p, nodes, false);
    while (!error && n < CALLS) {
        error = walk(p.slot, FID + n, "hello");
        if (!error)
            error = call(p.slot, p9_tlopen(TAG, FID + n, 0));
        n++;
    }
    g_assert_cmpint(error, ==, ENFILE);
    g_assert_cmpuint(n, >, 20);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(walk(p.slot, FID + CALLS, "hello"), ==, ENFILE);
    slot_read_file(p.slot, "hello");
    g_assert_cmpint(call(p.slot, p9_tclunk(TAG, FID)), ==, 0);
    g_assert_cmpint(walk(p.slot, FID, "hello"), ==, 0);
    pair_end(&p, "the limit max-descriptors=64 is reached: further files are refused (ENFILE)");
}

/* The worker's own limit, where the system does not let it have more: about as many as it has. */
static void test_process_descriptors(Fixture *fixture, const void *data)
{
    enum { FEW = 16 };
    Pair p = {.fixture = fixture};
    struct rlimit before, none;
    uint32_t fid = FID;
    int error = 0;
    pid_t worker;

    (void)data;
    pair_connect(&p, NULL, false);
    worker = last_worker(fixture, p.slot);
    g_assert_no_errno(prlimit(worker, RLIMIT_NOFILE, NULL, &before));
    none = (struct rlimit){.rlim_cur = FEW, .rlim_max = before.rlim_max};
    g_assert_no_errno(prlimit(worker, RLIMIT_NOFILE, &none, NULL));
    while (!error && fid < FID + FEW)
        error = walk(p.slot, ++fid, "hello");
    g_assert_cmpint(error, ==, ENFILE);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(walk(p.slot, fid, "hello"), ==, ENFILE);
    slot_read_file(p.slot, "hello");
    g_assert_no_errno(prlimit(worker, RLIMIT_NOFILE, &before, NULL));
    g_assert_cmpint(walk(p.slot, fid, "hello"), ==, 0);
    pair_end(&p, "the limit max-descriptors=");
}

/* The system's limit counts all its processes, so that here the file system plays the system. */
static void test_system_files(Fixture *fixture, const void *data)
{
    Pair p = {.fixture = fixture};

    (void)data;
    if (!pair_connect_fuse(&p, NULL, false))
        return;
    g_assert_cmpint(walk(p.slot, FID, "file"), ==, 0);
    blocking_fs_fail(p.fuse, FUSE_OPEN, ENFILE, 0);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(call(p.slot, p9_tlopen(TAG, FID, 0)), ==, ENFILE);
    blocking_fs_fail(p.fuse, FUSE_OPEN, 0, 0);
    g_assert_cmpint(call(p.slot, p9_tlopen(TAG, FID, 0)), ==, 0);
    pair_end(&p, "the system has no more open files: further files are refused (ENFILE)");
}

static int start_value(Slot *slot, uint32_t fid, uint64_t size)
{
    g_assert_cmpint(walk(slot, fid, "hello"), ==, 0);
    return call(slot, p9_build(P9_TXATTRCREATE, TAG, "dsqd", fid, "user.a", size, 0));
}

/* Sixteen values of the greatest size. */
static void test_xattr_memory(Fixture *fixture, const void *data)
{
    static const FrontendNode nodes[] = {{"max-xattr-memory", "1"}, {NULL, NULL}};
    enum { VALUE = 64 * 1024, FITTING = 16 };
    Pair p = {.fixture = fixture};

    (void)data;
    pair_connect(&p, nodes, false);
    for (unsigned i = 0; i < FITTING; i++)
        g_assert_cmpint(start_value(p.slot, FID + i, VALUE), ==, 0);
    for (unsigned i = 0; i < CALLS; i++)
        g_assert_cmpint(start_value(p.slot, FID + FITTING + i, 1), ==, ENOSPC);
    slot_read_file(p.slot, "hello");
    g_assert_cmpint(call(p.slot, p9_tclunk(TAG, FID)), !=, ETIMEDOUT); /* nothing was written */
    g_assert_cmpint(start_value(p.slot, FID, VALUE), ==, 0);
    pair_end(&p, "the limit max-xattr-memory=1 is reached: further ones are refused (ENOSPC)");
}

/* The soft and the hard limit of open files of a process. */
static void check_raised(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/limits", (int)pid);
    g_autofree char *text = NULL;
    const char *line;
    guint64 soft, hard;
    char *end;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    line = strstr(text, "Max open files");
    g_assert_nonnull(line);
    soft = g_ascii_strtoull(line + strlen("Max open files"), &end, 10);
    hard = g_ascii_strtoull(end, NULL, 10);
    g_assert_cmpuint(soft, >, 0);
    g_assert_cmpuint(soft, ==, hard);
}

/* The supervisor and its workers raise their limit, whatever it was when the daemon was started. */
static void test_raised(Fixture *fixture, const void *data)
{
    struct rlimit before, low;
    Slot *slot;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    low = (struct rlimit){.rlim_cur = MIN(before.rlim_max, 256), .rlim_max = before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    fixture_start_supervisor(fixture);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    slot = connected_with(fixture, NULL);
    check_serves(slot);
    check_raised(standin_daemon_pid(fixture->daemon));
    check_raised(last_worker(fixture, slot));
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/limits/max-files", test_max_files);
    FIXTURE_TEST("/limits/auto-delete", test_auto_delete);
    FIXTURE_TEST("/limits/raised", test_raised);
    FIXTURE_TEST("/limits/own", test_own_limits);
    FIXTURE_TEST("/limits/descriptors", test_descriptors);
    FIXTURE_TEST("/limits/request-memory", test_request_memory);
    FIXTURE_TEST("/limits/threads", test_threads);
    FIXTURE_TEST("/limits/waiting-locks", test_waiting_locks);
    FIXTURE_TEST("/limits/open-descriptors", test_open_descriptors);
    FIXTURE_TEST("/limits/process-descriptors", test_process_descriptors);
    FIXTURE_TEST("/limits/system-files", test_system_files);
    FIXTURE_TEST("/limits/xattr-memory", test_xattr_memory);
    return g_test_run();
}
