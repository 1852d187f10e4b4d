/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An export that hangs: the answer to "why does my guest hang?" comes all the same, while no thread
 * that the worker has for requests can move.
 */
#include "tests/daemon/control.h"
#include "tests/lib/blocking_fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_FID = 2,
    FIRST_TAG = 100,
    N_HANGING = 16, /* as many as a worker has threads */
    N_READS = 24,
};

typedef struct Hung {
    BlockingFs *fuse;
    Slot *slot;
} Hung;

/* A device for a blocking fs whose file is open. Returns false, and marks the test as skipped, where
 * there is no FUSE. */
static bool hung_open(Hung *hung, const Fixture *fixture)
{
    const char *why;

    hung->fuse = blocking_fs_new(fixture->export, &why);
    if (!hung->fuse) {
        g_test_skip(why);
        return false;
    }
    hung->slot = connected_slot(fixture, 1, 0);
    slot_open_file(hung->slot, "file");
    return true;
}

static void send_read(const Hung *hung, unsigned n)
{
    g_assert_true(
        frontend_send(hung->slot->frontend, p9_tread((uint16_t)(FIRST_TAG + n), FILE_FID, n, 1)));
}

static void expect_reply(const Hung *hung, unsigned n)
{
    g_autoptr(P9Reply) reply =
        frontend_wait(hung->slot->frontend, (uint16_t)(FIRST_TAG + n), FRONTEND_TIMEOUT_MS);

    g_assert_nonnull(reply);
    g_assert_cmpuint(p9_error(reply), ==, 0);
}

/* All threads hang in reads, and some reads find none. The first one is the oldest, also for a server that looks
 * at the other ring first. */
static void hang_all(const Hung *hung)
{
    blocking_fs_hang(hung->fuse, FUSE_READ, BLOCKING_POLITE, 0);
    send_read(hung, 0);
    blocking_fs_await(hung->fuse, FUSE_READ, 1);
    for (unsigned n = 1; n < N_READS; n++)
        send_read(hung, n);
    blocking_fs_await(hung->fuse, FUSE_READ, N_HANGING);
}

static void hung_close(Hung *hung, const Fixture *fixture)
{
    blocking_fs_release(hung->fuse, FUSE_READ, 0);
    finish(fixture, hung->slot);
    blocking_fs_free(hung->fuse);
}

static void expect_field(const char *record, const char *name, const char *expected)
{
    g_autofree char *value = control_field(record, name);

    g_assert_cmpstr(value, ==, expected);
}

/* Threads that hang for long get spare ones, so that sooner or later all reads run. */
static void check_request(const char *record)
{
    g_autofree char *state = control_field(record, "state");

    expect_field(record, "type", "Tread");
    expect_field(record, "fid", "2");
    expect_field(record, "path", "/file");
    expect_field(record, "uid", "0");
    g_assert_true(g_str_equal(state, "running") || g_str_equal(state, "queued"));
    g_assert_cmpuint(control_number(record, "tag"), >=, FIRST_TAG);
}

static void test_requests(Fixture *fixture, const void *data)
{
    g_autofree char *answer = NULL;
    g_auto(GStrv) records = NULL;
    g_autofree char *session = NULL;
    g_autofree char *fid = NULL;
    g_autofree char *first = NULL;
    g_autofree char *later = NULL;
    uint64_t age;
    Hung hung;

    (void)data;
    if (!hung_open(&hung, fixture))
        return;
    hang_all(&hung);
    answer = control_ask(fixture, "requests 1.0");
    records = control_records(answer);
    g_assert_cmpuint(g_strv_length(records), ==, N_READS);
    for (char **record = records; *record; record++)
        check_request(*record);
    expect_field(records[0], "detail", "offset=0 count=1");
    expect_field(records[0], "state", "running");

    first = control_find(records, "request", "tag", "100");
    age = control_number(first, "age_us");
    g_usleep(10000);
    later = control_record(fixture, "requests 1.0", "request", "tag", "100");
    g_assert_cmpuint(control_number(later, "age_us"), >=, age + 10000);

    session = control_record(fixture, "stats 1.0", "session", NULL, NULL);
    expect_field(session, "in_flight", "24");
    g_assert_cmpuint(control_number(session, "in_flight_max"), >=, N_READS);
    g_assert_cmpuint(control_number(session, "threads"), >=, N_HANGING);
    fid = control_record(fixture, "fids 1.0", "fid", "path", "/file");

    blocking_fs_release(hung.fuse, FUSE_READ, 0);
    for (unsigned n = 0; n < N_READS; n++)
        expect_reply(&hung, n);
    hung_close(&hung, fixture);
}

/* Reads a trace up to the event about a tag, and returns its line. */
static char *await_event(int fd, const char *event, const char *tag)
{
    for (;;) {
        char *line = control_read_line(fd);
        g_autofree char *found = NULL;
        g_autofree char *found_tag = NULL;

        g_assert_nonnull(line);
        found = control_field(line, "event");
        found_tag = control_field(line, "tag");
        if (g_strcmp0(found, event) == 0 && g_strcmp0(found_tag, tag) == 0)
            return line;
        g_free(line);
    }
}

/* A request that the guest cancels: it is shown so while it cannot be interrupted, and the trace
 * tells its end. */
static void test_cancelled(Fixture *fixture, const void *data)
{
    g_autofree char *line = NULL;
    g_autofree char *text = NULL;
    int fd;
    Hung hung;

    (void)data;
    if (!hung_open(&hung, fixture))
        return;
    fd = control_connect(fixture);
    control_send(fd, "trace 1.0\n", 10);
    line = control_read_line(fd);
    g_assert_cmpstr(line, ==, "ok");

    blocking_fs_hang(hung.fuse, FUSE_READ, BLOCKING_DEAF, 0);
    send_read(&hung, 0);
    blocking_fs_await(hung.fuse, FUSE_READ, 1);
    g_assert_true(frontend_send(hung.slot->frontend, p9_tflush(FIRST_TAG + 1, FIRST_TAG)));
    for (bool seen = false; !seen; g_usleep(1000)) {
        g_autofree char *answer = control_ask(fixture, "requests 1.0");
        g_auto(GStrv) records = control_records(answer);
        g_autofree char *read = control_find(records, "request", "tag", "100");
        g_autofree char *flush = control_find(records, "request", "tag", "101");

        g_assert_nonnull(read);
        seen = flush != NULL;
        if (seen) {
            g_autofree char *state = control_field(read, "state");

            expect_field(flush, "type", "Tflush");
            expect_field(flush, "detail", "oldtag=100");
            seen = g_str_equal(state, "cancelled");
        }
    }
    blocking_fs_release(hung.fuse, FUSE_READ, EINTR);
    expect_reply(&hung, 1);
    g_free(line);
    line = await_event(fd, "rcancel", "100");
    text = control_field(line, "text");
    g_assert_cmpstr(text, ==, "Tread tag=100 fid=2 \"/file\" offset=0 count=1 cancelled: no reply");
    close(fd);
    hung_close(&hung, fixture);
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/control-hung/requests", test_requests);
    FIXTURE_TEST("/control-hung/cancelled", test_cancelled);
    return g_test_run();
}
