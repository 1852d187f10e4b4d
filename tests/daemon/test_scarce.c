/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A system that has no more of something: processes, threads, memory. Whoever cannot be served is told
 * so; whoever can is; nothing is left behind, and when there is enough again all is well.
 */
#include "tests/daemon/control.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ROOT_FID = 1, FIRST_FID = 100, TAG = 7, LIVES = 10, SOON_MS = 200 };

/* The sanitizers take memory by themselves, and die when there is none. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* A device that cannot be served, and is taken away. */
static void live_in_vain(const Fixture *fixture, uint32_t devid, const char *reason)
{
    Slot *slot = slot_new("xen_9pfs", 1, devid);

    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 5 6", reason);
    finish(fixture, slot);
}

/* Several, after which the supervisor is as it was after the first. */
static void live_in_vain_often(const Fixture *fixture, const char *reason)
{
    Footprint before;

    live_in_vain(fixture, 0, reason);
    before = fixture_look(fixture);
    for (uint32_t devid = 1; devid < LIVES; devid++)
        live_in_vain(fixture, devid, reason);
    expect_footprint(fixture, &before);
}

static void check_connects(const Fixture *fixture)
{
    Slot *slot = connected_slot(fixture, 1, 50);

    check_serves(slot);
    finish(fixture, slot);
}

/* A daemon that cannot start something, in place of the fixture's. The workers go on. */
static bool restart_denied(Fixture *fixture, Deny what)
{
    if (!standin_daemon_deny(what)) {
        g_test_skip("system calls cannot be denied here");
        return false;
    }
    fixture_end_supervisor(fixture, SIGTERM);
    fixture_start_supervisor(fixture);
    standin_daemon_deny(DENY_NOTHING);
    return true;
}

static void test_processes(Fixture *fixture, const void *data)
{
    Slot *other = connected_slot(fixture, 2, 0);

    (void)data;
    slot_open_file(other, "hello");
    if (restart_denied(fixture, DENY_PROCESSES)) {
        live_in_vain_often(fixture, "cannot start a worker: Failed to fork");
        slot_read_file(other, "hello"); /* it was adopted */
        fixture_end_supervisor(fixture, SIGTERM);
        fixture_start_supervisor(fixture);
        check_connects(fixture);
        slot_read_file(other, "hello");
        slot_expect_history(other, "1 2 4");
    }
    finish(fixture, other);
}

/* A program that cannot be executed any more, as one that is being exchanged. */
static void test_program(void)
{
    Fixture fixture;
    g_autofree char *program = NULL;
    g_autofree char *copy = NULL;
    g_autofree char *bytes = NULL;
    gsize size;

    fixture_set_up(&fixture, NULL);
    program = fixture_program(&fixture);
    copy = g_build_filename(standin_dir(), "xen-9pfsd", NULL);
    g_assert_true(g_file_get_contents(program, &bytes, &size, NULL));
    g_assert_true(g_file_set_contents(copy, bytes, (gssize)size, NULL));
    g_assert_no_errno(chmod(copy, 0755));
    fixture_end_supervisor(&fixture, SIGTERM);
    g_setenv("XEN_9PFSD", copy, TRUE);
    fixture_start_supervisor(&fixture);
    check_connects(&fixture);
    g_assert_no_errno(chmod(copy, 0644));
    live_in_vain_often(&fixture, "cannot start a worker: Failed to execute");
    g_assert_no_errno(chmod(copy, 0755));
    check_connects(&fixture);
    g_unsetenv("XEN_9PFSD");
    fixture_tear_down(&fixture, NULL);
}

/* Without a keeper a device is served as well, with as many files as it may hold descriptors. */
static void test_keepers(Fixture *fixture, const void *data)
{
    Slot *slot;

    (void)data;
    if (!restart_denied(fixture, DENY_KEEPERS))
        return;
    slot = connected_slot(fixture, 1, 0);
    check_serves(slot);
    expect_log(fixture, "domain 1 device 0: descriptors cannot be put away here");
    finish(fixture, slot);
}

/*
 * A worker that gets no more memory
 */

typedef struct Poor {
    Fixture *fixture;
    char *path;
    Footprint before;
    Slot *slot;
    Slot *other;
    pid_t worker;
} Poor;

static void limit_memory_of(pid_t pid, bool limited)
{
    struct rlimit limit;

    g_assert_no_errno(prlimit(pid, RLIMIT_AS, NULL, &limit));
    limit.rlim_cur = limited ? 1 : limit.rlim_max;
    g_assert_no_errno(prlimit(pid, RLIMIT_AS, &limit, NULL));
}

static void limit_memory(const Poor *p, bool limited)
{
    limit_memory_of(p->worker, limited);
}

static void poor_begin(Poor *p, Fixture *fixture)
{
    p->fixture = fixture;
    p->other = connected_slot(fixture, 2, 0);
    slot_open_file(p->other, "hello");
    p->before = fixture_footprint(fixture);
    p->path = disk_export();
    p->slot = connected_to(p->path, 1, 0, NULL);
    p->worker = last_worker(fixture, p->slot);
    slot_open_file(p->slot, "hello");
}

static void remove_in(const char *path, const char *name)
{
    g_autofree char *file = g_build_filename(path, name, NULL);

    g_remove(file); /* not all tests have made it */
}

static void poor_end(Poor *p)
{
    finish(p->fixture, p->slot);
    remove_in(p->path, "hello");
    remove_in(p->path, "new");
    g_assert_no_errno(g_rmdir(p->path));
    g_free(p->path);
    expect_footprint(p->fixture, &p->before);
    slot_read_file(p->other, "hello");
    slot_expect_history(p->other, "1 2 4");
    check_connects(p->fixture);
    finish(p->fixture, p->other);
}

static int call(const Poor *p, GByteArray *request)
{
    return frontend_call(p->slot->frontend, request, "*");
}

static int start_value(const Poor *p, uint32_t fid)
{
    g_assert_cmpint(call(p, p9_twalk(TAG, ROOT_FID, fid, "hello")), ==, 0);
    return call(p, p9_build(P9_TXATTRCREATE, TAG, "dsqd", fid, "user.a", UINT64_C(60000), 0));
}

/* A thread of the pool that has nothing to do ends after ten seconds. */
static void await_one_thread(const Poor *p)
{
    for (unsigned i = 0; count_threads(p->worker) > 1 && i < FRONTEND_TIMEOUT_MS; i++)
        g_usleep(1000);
    g_assert_cmpuint(count_threads(p->worker), ==, 1);
}

/* Begins with the worker's memory limited, and one thread. Returns false, and skips the test, where it cannot be. */
static bool poor_begin_without_memory(Poor *p, Fixture *fixture)
{
    if (SANITIZED) {
        g_test_skip("the sanitizer needs memory");
        return false;
    }
    poor_begin(p, fixture);
    await_one_thread(p);
    limit_memory(p, true);
    return true;
}

/* What needs much memory is refused, and the session goes on. */
static void test_refused(Fixture *fixture, const void *data)
{
    uint32_t fid = FIRST_FID;
    int error;
    Poor p;

    (void)data;
    if (!poor_begin_without_memory(&p, fixture))
        return;
    while ((error = start_value(&p, fid)) == 0)
        fid++;
    g_assert_cmpint(error, ==, ENOMEM);
    slot_read_file(p.slot, "hello");
    limit_memory(&p, false);
    g_assert_cmpint(start_value(&p, fid + 1), ==, 0);
    slot_expect_history(p.slot, "1 2 4");
    poor_end(&p);
}

/* Threads need memory. What needs none is done, what does waits, and whoever asks is told. */
static void test_threads(Fixture *fixture, const void *data)
{
    g_autoptr(P9Reply) reply = NULL;
    Poor p;

    (void)data;
    if (!poor_begin_without_memory(&p, fixture))
        return;
    g_assert_true(frontend_send(p.slot->frontend, p9_tmkdir(TAG + 1, ROOT_FID, "new", 0755, 0)));
    slot_read_file(p.slot, "hello");
    control_expect_error(fixture, "stats 1.0", "the worker cannot start a thread to answer");
    g_assert_null(frontend_wait(p.slot->frontend, TAG + 1, SOON_MS));
    limit_memory(&p, false);
    reply = frontend_wait(p.slot->frontend, TAG + 1, FRONTEND_TIMEOUT_MS);
    g_assert_nonnull(reply);
    g_assert_cmpuint(p9_error(reply), ==, 0);
    g_assert_cmpuint(count_log(fixture, "domain 1 device 0: cannot start a thread"), ==, 1);
    slot_expect_history(p.slot, "1 2 4");
    poor_end(&p);
}

/* A worker that cannot go on dies, and says of what. */
static void test_out(Fixture *fixture, const void *data)
{
    uint32_t fid = FIRST_FID;
    char *error;
    Poor p;

    (void)data;
    poor_begin(&p, fixture);
    limit_memory(&p, true);
    while (slot_state(p.slot) == XenbusStateConnected) {
        frontend_send(p.slot->frontend, p9_twalk(TAG, ROOT_FID, fid++, "hello"));
        g_free(frontend_wait(p.slot->frontend, TAG, SOON_MS));
    }
    slot_expect(p.slot, XenbusStateClosing);
    slot_set_frontend(p.slot, XenbusStateClosed);
    slot_expect(p.slot, XenbusStateClosed);
    slot_expect_history(p.slot, "1 2 4 5 6");
    error = toolstack_read_error(&p.slot->device);
    g_assert_nonnull(error);
    g_test_message("%s", error);
    g_assert_cmpint(atoi(error), ==, EIO);
    if (!SANITIZED)
        g_assert_nonnull(strstr(error, "memory"));
    free(error);
    poor_end(&p);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    g_assert_no_errno(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG));
    return info.si_pid == pid;
}

/* A supervisor that cannot go on dies, and says of what. Its workers go on, for the next. */
static void test_supervisor(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t supervisor = standin_daemon_pid(fixture->daemon);
    g_autoptr(GPtrArray) slots = g_ptr_array_new();

    (void)data;
    slot_open_file(slot, "hello");
    limit_memory_of(supervisor, true);
    while (!has_ended(supervisor)) {
        Slot *more = slot_new("xen_9pfs", 2, slots->len);

        slot_add(more, fixture->export, "none");
        g_ptr_array_add(slots, more);
        slot_wait(more, XenbusStateInitWait, SOON_MS);
    }
    if (!SANITIZED)
        expect_log(fixture, "failed to allocate");
    slot_read_file(slot, "hello");
    fixture_kill_supervisor(fixture);
    fixture_start_supervisor(fixture);
    for (unsigned i = 0; i < slots->len; i++) {
        slot_expect(slots->pdata[i], XenbusStateInitWait);
        finish(fixture, slots->pdata[i]);
    }
    slot_read_file(slot, "hello");
    slot_expect_history(slot, "1 2 4");
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/scarce/processes", test_processes);
    g_test_add_func("/scarce/program", test_program);
    FIXTURE_TEST("/scarce/keepers", test_keepers);
    FIXTURE_TEST("/scarce/refused", test_refused);
    FIXTURE_TEST("/scarce/threads", test_threads);
    FIXTURE_TEST("/scarce/out", test_out);
    FIXTURE_TEST("/scarce/supervisor", test_supervisor);
    return g_test_run();
}
