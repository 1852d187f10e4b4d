/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Workers that end when they should not, and what one supervisor leaves to the next. */
#include "tests/daemon/fixture.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- Workers that are killed or stuck ---- */

static void test_worker_killed(Fixture *fixture, const void *data)
{
    Slot *other = connected_slot(fixture, 2, 0);
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    g_assert_no_errno(kill(last_worker(fixture, slot), SIGKILL));
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 4 5 6", "was killed by signal 9 (Killed)");
    check_serves(other);
    slot_expect_history(other, "1 2 4");
    finish(fixture, slot);
    finish(fixture, other);
}

/* A worker that does nothing any more cannot hold up a removal. */
static void test_worker_stuck(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    g_assert_no_errno(kill(last_worker(fixture, slot), SIGSTOP));
    slot_ask_remove(slot);
    slot_set_frontend(slot, XenbusStateClosed);
    g_assert_false(slot_wait(slot, XenbusStateClosed, 1500));
    slot_expect(slot, XenbusStateClosed);
    finish(fixture, slot);
}

/* ---- From one supervisor to the next ---- */

static void restart_supervisor(Fixture *fixture)
{
    fixture_kill_supervisor(fixture);
    fixture_start_supervisor(fixture);
}

/* Guests notice nothing: what they had opened stays open, in the same worker. */
static void test_adoption(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autofree char *line =
        g_strdup_printf("domain 1 device 0: worker %d goes on serving", (int)last_worker(fixture, slot));

    (void)data;
    slot_open_file(slot, "hello");
    for (int i = 0; i < 3; i++) {
        restart_supervisor(fixture);
        expect_log(fixture, line);
        slot_read_file(slot, "hello");
    }
    slot_expect_history(slot, "1 2 4");
    slot_set_frontend(slot, XenbusStateClosing);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    finish(fixture, slot);
}

/* The same after a clean end. */
static void test_adoption_after_end(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_open_file(slot, "hello");
    fixture_end_supervisor(fixture, SIGTERM);
    slot_read_file(slot, "hello");
    fixture_start_supervisor(fixture);
    expect_log(fixture, "goes on serving");
    slot_read_file(slot, "hello");
    slot_expect_history(slot, "1 2 4");
    finish(fixture, slot);
}

static void test_adopted_worker_killed(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t worker = last_worker(fixture, slot);

    (void)data;
    restart_supervisor(fixture);
    expect_log(fixture, "goes on serving");
    g_assert_no_errno(kill(worker, SIGKILL));
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 4 5 6", "has ended");
    finish(fixture, slot);
}

static void test_adopted_worker_stuck(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    g_assert_no_errno(kill(last_worker(fixture, slot), SIGSTOP));
    restart_supervisor(fixture);
    slot_ask_remove(slot);
    slot_expect(slot, XenbusStateClosed);
    finish(fixture, slot);
}

/* What changed while no supervisor looked. */
static void test_worker_lost_meanwhile(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t worker = last_worker(fixture, slot);

    (void)data;
    fixture_kill_supervisor(fixture);
    g_assert_no_errno(kill(worker, SIGKILL));
    waitpid(worker, NULL, 0);
    fixture_start_supervisor(fixture);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    expect_log(fixture, "was connected, but no worker serves it any more");
    finish(fixture, slot);
}

static void test_device_lost_meanwhile(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    fixture_kill_supervisor(fixture);
    slot_delete(slot);
    fixture_start_supervisor(fixture);
    expect_workers(fixture, 0);
    finish_forced(fixture, slot);
}

static void test_rings_changed_meanwhile(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    fixture_kill_supervisor(fixture);
    frontend_write(slot->frontend, "ring-ref0", "12345");
    fixture_start_supervisor(fixture);
    slot_expect(slot, XenbusStateClosing);
    expect_workers(fixture, 0);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    finish(fixture, slot);
}

static void test_frontend_closed_meanwhile(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    fixture_kill_supervisor(fixture);
    slot_set_frontend(slot, XenbusStateClosed);
    fixture_start_supervisor(fixture);
    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/workers/worker-killed", test_worker_killed);
    FIXTURE_TEST("/workers/worker-stuck", test_worker_stuck);
    FIXTURE_TEST("/workers/adoption", test_adoption);
    FIXTURE_TEST("/workers/adoption-after-end", test_adoption_after_end);
    FIXTURE_TEST("/workers/adopted-worker-killed", test_adopted_worker_killed);
    FIXTURE_TEST("/workers/adopted-worker-stuck", test_adopted_worker_stuck);
    FIXTURE_TEST("/workers/worker-lost-meanwhile", test_worker_lost_meanwhile);
    FIXTURE_TEST("/workers/device-lost-meanwhile", test_device_lost_meanwhile);
    FIXTURE_TEST("/workers/rings-changed-meanwhile", test_rings_changed_meanwhile);
    FIXTURE_TEST("/workers/frontend-closed-meanwhile", test_frontend_closed_meanwhile);
    return g_test_run();
}
