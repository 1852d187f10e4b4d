/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers, keepers and supervisors that are killed, at every point of a worker's life.
 *
 * Whenever it happens: the toolstack is told, nothing is left of the process, the device can be taken
 * away and be connected anew, and another device notices nothing. What a test waits for is a call that
 * the stand-in holds, or an operation of a blocking fs: nothing depends on who is faster.
 */
#include "tests/daemon/fixture.h"
#include "tests/lib/blocking_fs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { POLL_US = 1000, WAIT_MS = 20000, ROOT_FID = 1, FILE_FID = 2, TAG = 7, READ_TAG = 100 };

/* One device that is to suffer, and one that is not. */
typedef struct Scene {
    Fixture *fixture;
    Footprint before;
    Slot *slot;
    Slot *other;
    pid_t others_worker;
    char *other_path;
} Scene;

/* The other one has an export of its own. */
static void scene_begin(Scene *s, Fixture *fixture)
{
    s->fixture = fixture;
    s->other_path = other_export();
    s->other = connected_to(s->other_path, 2, 0, NULL);
    slot_open_file(s->other, "hello");
    s->others_worker = last_worker(fixture, s->other);
    s->before = fixture_footprint(fixture);
    s->slot = slot_new("xen_9pfs", 1, 0);
}

/* Takes the device away and checks that nothing is left of it and that the other one goes on. */
static void expect_recovery(Scene *s)
{
    finish(s->fixture, s->slot);
    expect_footprint(s->fixture, &s->before);
    slot_read_file(s->other, "hello");
    slot_expect_history(s->other, "1 2 4");
    s->slot = slot_new("xen_9pfs", 1, 0);
}

static void scene_end(Scene *s)
{
    slot_free(s->slot);
    s->slot = connected_slot(s->fixture, 1, 0);
    check_serves(s->slot);
    expect_recovery(s);
    slot_free(s->slot);
    finish(s->fixture, s->other);
    g_free(s->other_path);
}

/* The worker that is not the other device's. Waits for it. */
static pid_t find_worker(const Scene *s)
{
    gint64 end = g_get_monotonic_time() + WAIT_MS * 1000;

    while (g_get_monotonic_time() < end) {
        g_autoptr(GArray) pids = list_processes(standin_daemon_pid(s->fixture->daemon));

        for (unsigned i = 0; i < pids->len; i++) {
            pid_t pid = g_array_index(pids, pid_t, i);

            if (pid != s->others_worker)
                return pid;
        }
        g_usleep(POLL_US);
    }
    g_error("there is no worker");
}

static void kill_worker(const Scene *s)
{
    g_assert_no_errno(kill(find_worker(s), SIGKILL));
}

/* The device is closed, and why is in its error node. */
static void expect_told(const Scene *s)
{
    char *error;

    slot_expect(s->slot, XenbusStateClosing);
    slot_set_frontend(s->slot, XenbusStateClosed);
    slot_expect(s->slot, XenbusStateClosed);
    error = toolstack_read_error(&s->slot->device);
    g_assert_nonnull(error);
    g_assert_cmpint(atoi(error), ==, EIO);
    g_assert_nonnull(strstr(error, "was killed by signal 9"));
    free(error);
}

static void offer(const Scene *s)
{
    slot_add(s->slot, s->fixture->export, "none");
    slot_expect(s->slot, XenbusStateInitWait);
    slot_offer(s->slot);
}

/*
 * While it begins
 */

typedef struct Call {
    const char *function;
    unsigned nth;
} Call;

static const Call calls_of_start[] = {
    {"xengnttab_open", 1},
    {"xenevtchn_open", 1},
    {"xengnttab_map_grant_ref", 1},
    {"xengnttab_map_domain_grant_refs", 1},
    {"xenevtchn_bind_interdomain", 1},
    {"xenevtchn_bind_interdomain", 2},
};

static void test_starting(Fixture *fixture, const void *data)
{
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(calls_of_start); i++) {
        standin_hold(calls_of_start[i].function, calls_of_start[i].nth);
        offer(&s);
        if (!standin_wait_held())
            g_error("%s was not called", calls_of_start[i].function);
        kill_worker(&s);
        expect_told(&s);
        standin_clear_faults();
        expect_recovery(&s);
    }
    scene_end(&s);
}

/* The same with an export that can hang. Returns NULL, and skips the test, where there is none. */
static BlockingFs *scene_begin_fuse(Scene *s, Fixture *fixture)
{
    const char *why;
    BlockingFs *fuse = blocking_fs_new(fixture->export, &why);

    if (fuse)
        scene_begin(s, fixture);
    else
        g_test_skip(why);
    return fuse;
}

/* In the phase in which it locks itself in: the export does not answer. */
static void test_entering(Fixture *fixture, const void *data)
{
    Scene s;
    BlockingFs *fuse = scene_begin_fuse(&s, fixture);

    (void)data;
    if (!fuse)
        return;
    slot_add(s.slot, fixture->export, "none");
    slot_expect(s.slot, XenbusStateInitWait);
    blocking_fs_hang(fuse, FUSE_STATFS, BLOCKING_POLITE, 0);
    slot_offer(s.slot);
    blocking_fs_await(fuse, FUSE_STATFS, 1);
    kill_worker(&s);
    expect_told(&s);
    expect_recovery(&s);
    blocking_fs_free(fuse);
    scene_end(&s);
}

/* It has said that it is ready, and the supervisor has not heard it yet. */
static void test_ready(Fixture *fixture, const void *data)
{
    pid_t supervisor = standin_daemon_pid(fixture->daemon);
    pid_t worker;
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    standin_hold("xenevtchn_bind_interdomain", 1);
    offer(&s);
    g_assert_true(standin_wait_held());
    worker = find_worker(&s);
    g_assert_no_errno(kill(supervisor, SIGSTOP));
    standin_clear_faults();
    expect_log(fixture, "domain 1 device 0: serving");
    g_assert_no_errno(kill(worker, SIGKILL));
    g_assert_no_errno(kill(supervisor, SIGCONT));
    expect_told(&s);
    expect_recovery(&s);
    scene_end(&s);
}

/*
 * While it serves
 */

/* With requests that wait in the ring. */
static void test_serving(Fixture *fixture, const void *data)
{
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    slot_free(s.slot);
    s.slot = connected_slot(fixture, 1, 0);
    slot_open_file(s.slot, "hello");
    for (uint16_t tag = 0; tag < 20; tag++)
        g_assert_true(
            frontend_send(s.slot->frontend, p9_tread((uint16_t)(READ_TAG + tag), FILE_FID, 0, 10)));
    g_assert_no_errno(kill(last_worker(fixture, s.slot), SIGKILL));
    expect_told(&s);
    slot_expect_history(s.slot, "1 2 4 5 6");
    expect_recovery(&s);
    scene_end(&s);
}

/* In a system call that cannot be interrupted a process cannot die either: the device closes once the
 * call has ended, and nobody else waits for that. */
static void test_blocked(Fixture *fixture, const void *data)
{
    static const BlockingMode modes[] = {BLOCKING_POLITE, BLOCKING_DEAF};
    Scene s;
    BlockingFs *fuse = scene_begin_fuse(&s, fixture);

    (void)data;
    if (!fuse)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        slot_free(s.slot);
        s.slot = connected_slot(fixture, 1, 0);
        slot_open_file(s.slot, "file");
        blocking_fs_hang(fuse, FUSE_READ, modes[i], 0);
        g_assert_true(frontend_send(s.slot->frontend, p9_tread(READ_TAG, FILE_FID, 0, 10)));
        blocking_fs_await(fuse, FUSE_READ, 1);
        g_assert_no_errno(kill(last_worker(fixture, s.slot), SIGKILL));
        slot_read_file(s.other, "hello");
        if (modes[i] == BLOCKING_DEAF)
            blocking_fs_release(fuse, FUSE_READ, EIO);
        expect_told(&s);
        blocking_fs_release(fuse, FUSE_READ, 0);
        expect_recovery(&s);
    }
    blocking_fs_free(fuse);
    scene_end(&s);
}

/* While it lets go of the rings: it was to end anyway. */
static void test_disconnecting(Fixture *fixture, const void *data)
{
    static const Call calls[] = {
        {"xenevtchn_unbind", 1},
        {"xenevtchn_unbind", 2},
        {"xengnttab_unmap", 1},
        {"xengnttab_unmap", 3},
    };
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        slot_free(s.slot);
        s.slot = connected_slot(fixture, 1, 0);
        check_serves(s.slot);
        standin_hold(calls[i].function, calls[i].nth);
        slot_ask_remove(s.slot);
        slot_set_frontend(s.slot, XenbusStateClosed);
        if (!standin_wait_held())
            g_error("%s was not called", calls[i].function);
        kill_worker(&s);
        slot_expect(s.slot, XenbusStateClosed);
        slot_expect_history(s.slot, "1 2 4 5 6");
        standin_clear_faults();
        expect_recovery(&s);
    }
    scene_end(&s);
}

/*
 * From one supervisor to the next
 */

typedef struct Killer {
    pid_t worker;
    GThread *thread;
} Killer;

static void *kill_when_held(void *data)
{
    const Killer *killer = data;

    if (standin_wait_held())
        kill(killer->worker, SIGKILL);
    standin_clear_faults();
    return NULL;
}

/* The next supervisor has adopted it, and not looked at its device yet. */
static void test_adopting(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    Slot *other = connected_slot(fixture, 2, 0);
    Killer killer = {.worker = last_worker(fixture, slot)};
    char *error;

    (void)data;
    slot_open_file(other, "hello");
    fixture_kill_supervisor(fixture);
    standin_hold("xs_watch", 1);
    killer.thread = g_thread_new("killer", kill_when_held, &killer);
    fixture_start_supervisor(fixture);
    g_thread_join(killer.thread);
    g_assert_no_errno(waitpid(killer.worker, NULL, 0));
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    error = toolstack_read_error(&slot->device);
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error, "has ended"));
    free(error);
    slot_read_file(other, "hello");
    slot_expect_history(other, "1 2 4");
    finish(fixture, slot);
    finish(fixture, other);
}

/* The supervisor goes while a worker begins: whether or not that one comes to serve, its device is
 * connected in the end, and by one worker. */
static void test_supervisor(Fixture *fixture, const void *data)
{
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(calls_of_start); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, (uint32_t)i);

        slot_add(slot, fixture->export, "none");
        slot_expect(slot, XenbusStateInitWait);
        standin_hold(calls_of_start[i].function, calls_of_start[i].nth);
        slot_offer(slot);
        g_assert_true(standin_wait_held());
        fixture_kill_supervisor(fixture);
        standin_clear_faults();
        fixture_start_supervisor(fixture);
        slot_expect(slot, XenbusStateConnected);
        slot_set_frontend(slot, XenbusStateConnected);
        check_serves(slot);
        expect_workers(fixture, 1);
        finish(fixture, slot);
        expect_workers(fixture, 0);
    }
}

/*
 * Keepers
 */

enum { FIRST_FID = 100, MANY = 300 };

static int look(const Slot *slot, uint32_t fid)
{
    return frontend_call(slot->frontend, p9_tgetattr(TAG, fid, P9_GETATTR_ALL), "*");
}

/* Many fids on few descriptors. */
static void walk_to_many(const Slot *slot)
{
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(frontend_call(slot->frontend, p9_tmkdir(TAG, ROOT_FID, name, 0755, 0), "*"),
                        ==, 0);
        g_assert_cmpint(
            frontend_call(slot->frontend, p9_twalk(TAG, ROOT_FID, FIRST_FID + i, name), "*"), ==,
            0);
    }
}

/* What the keeper had is lost; the device goes on, and says so once. */
static void test_keeper(Fixture *fixture, const void *data)
{
    static const FrontendNode few[] = {{"max-descriptors", "64"}, {NULL, NULL}};
    g_autoptr(GArray) keepers = NULL;
    unsigned n_lost = 0;
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    s.slot->device.nodes = few;
    offer(&s);
    slot_expect(s.slot, XenbusStateConnected);
    slot_set_frontend(s.slot, XenbusStateConnected);
    keepers = list_processes(last_worker(fixture, s.slot));
    if (keepers->len == 0) {
        g_test_skip("no handles, or no right to open them");
    } else {
        check_serves(s.slot);
        walk_to_many(s.slot);
        g_assert_cmpuint(keepers->len, ==, 1);
        g_assert_no_errno(kill(g_array_index(keepers, pid_t, 0), SIGKILL));
        for (unsigned i = 0; i < MANY; i++) {
            int error = look(s.slot, FIRST_FID + i);

            g_assert_true(error == 0 || error == EIO);
            n_lost += error == EIO;
        }
        g_assert_cmpuint(n_lost, >=, MANY - 64);
        slot_read_file(s.slot, "hello");
        check_serves(s.slot); /* a new session */
        g_assert_cmpuint(count_log(fixture, "domain 1 device 0: the keeper has ended"), ==, 1);
        slot_expect_history(s.slot, "1 2 4");
    }
    expect_recovery(&s);
    scene_end(&s);
}

/* A keeper does not outlive its worker. */
static void test_keepers_worker(Fixture *fixture, const void *data)
{
    g_autoptr(GArray) keepers = NULL;
    Scene s;

    (void)data;
    scene_begin(&s, fixture);
    slot_free(s.slot);
    s.slot = connected_slot(fixture, 1, 0);
    keepers = list_processes(last_worker(fixture, s.slot));
    g_assert_no_errno(kill(last_worker(fixture, s.slot), SIGKILL));
    expect_told(&s);
    for (unsigned i = 0; i < keepers->len; i++)
        g_assert_cmpint(kill(g_array_index(keepers, pid_t, i), 0), ==, -1);
    expect_recovery(&s);
    scene_end(&s);
}

int main(int argc, char **argv)
{
    blocking_fs_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/killed/starting", test_starting);
    FIXTURE_TEST("/killed/entering", test_entering);
    FIXTURE_TEST("/killed/ready", test_ready);
    FIXTURE_TEST("/killed/serving", test_serving);
    FIXTURE_TEST("/killed/blocked", test_blocked);
    FIXTURE_TEST("/killed/disconnecting", test_disconnecting);
    FIXTURE_TEST("/killed/adopting", test_adopting);
    FIXTURE_TEST("/killed/supervisor", test_supervisor);
    FIXTURE_TEST("/killed/keeper", test_keeper);
    FIXTURE_TEST("/killed/keepers-worker", test_keepers_worker);
    return g_test_run();
}
