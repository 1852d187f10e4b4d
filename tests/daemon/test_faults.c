/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of the Xen libraries that fail, each function at its first call during a device's life, then at
 * its second, and so on until the device's life has no call that far. And a worker that is killed at
 * any moment of its life.
 *
 * Whatever fails: the daemon goes on, the toolstack can take the device away, a device that is not
 * served says so, nothing is left of it, and the next device works as if nothing had been.
 */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { TRY_MS = 300, MAX_CALLS = 25, N_KILLS = 25, POLL_US = 2000 };

typedef struct Fault {
    const char *function;
    int error;
} Fault;

static const Fault faults[] = {
    {"xs_read", EIO},
    {"xs_write", EIO},
    {"xs_directory", ENOMEM},
    {"xs_watch", ENOMEM},
    {"xs_unwatch", EIO},
    {"xs_rm", EIO},
    {"xs_transaction_start", ENOSPC},
    {"xs_transaction_end", EAGAIN},
    {"xs_transaction_end", EIO},
    {"xc_domain_getinfolist", EPERM},
    {"xengnttab_open", ENODEV},
    {"xengnttab_map_grant_ref", ENOMEM},
    {"xengnttab_map_domain_grant_refs", ENOMEM},
    {"xengnttab_unmap", EINVAL},
    {"xenevtchn_open", EMFILE},
    {"xenevtchn_bind_interdomain", ENOSPC},
    {"xenevtchn_unbind", EINVAL},
    {"xenevtchn_notify", EINVAL},
    {"xenevtchn_pending", EIO},
    {"xenevtchn_unmask", EINVAL},
};

static bool is_over(const Slot *slot)
{
    enum xenbus_state state = slot_state(slot);

    return state == XenbusStateClosing || state == XenbusStateClosed;
}

/* Waits for `state`, or for the daemon to give the device up. */
static bool comes_to(const Slot *slot, enum xenbus_state state)
{
    for (int i = 0; i < TRY_MS; i++) {
        if (slot_wait(slot, state, 1))
            return true;
        if (is_over(slot))
            return false;
    }
    return false;
}

/* Until the device works, or does not. */
static void live(Slot *slot, const char *export)
{
    slot_add(slot, export, "none");
    if (!comes_to(slot, XenbusStateInitWait))
        return;
    slot_offer(slot);
    if (!comes_to(slot, XenbusStateConnected))
        return;
    slot_set_frontend(slot, XenbusStateConnected);
    frontend_send(slot->frontend, p9_tversion(P9_NOTAG, 4096, "9P2000.L"));
    g_free(frontend_wait(slot->frontend, P9_NOTAG, TRY_MS));
}

static void leave(const Fixture *fixture, Slot *slot)
{
    uint32_t domid = slot->device.domid;

    slot_ask_remove(slot);
    slot_set_frontend(slot, XenbusStateClosed);
    comes_to(slot, XenbusStateClosed);
    slot_delete(slot);
    slot_free(slot);
    expect_workers(fixture, 0);
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, domid, 0), ==, 0);
}

/* Returns false when the function is not called `nth` times in a device's life. */
static bool fail_once(const Fixture *fixture, const Fault *fault, unsigned nth)
{
    Slot *slot = slot_new("xen_9pfs", 1, nth);
    bool used;

    standin_fail(fault->function, nth, 1, fault->error);
    live(slot, fixture->export);
    leave(fixture, slot);
    used = standin_faults_left() == 0;
    standin_clear_faults();
    return used;
}

/* What xenstore refuses to take back stays there. */
static bool takes_back(const Fault *fault)
{
    return g_str_equal(fault->function, "xs_unwatch") || g_str_equal(fault->function, "xs_rm");
}

static void test_each_call(Fixture *fixture, const void *data)
{
    const Fault *fault = data;
    Footprint before = fixture_footprint(fixture);
    unsigned n = 1;
    Slot *good;

    while (n <= MAX_CALLS && fail_once(fixture, fault, n))
        n++;
    /* A failure after the last look may have kept an empty folder of the domain: its next device takes it along. */
    finish(fixture, connected_slot(fixture, 1, MAX_CALLS + 1));
    if (!takes_back(fault))
        expect_footprint(fixture, &before);
    g_test_message("%u calls of %s were made to fail", n - 1, fault->function);
    good = connected_slot(fixture, 2, 0);
    check_serves(good);
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

/* A device that is not served because of a fault says why. */
static void test_toolstack_is_told(Fixture *fixture, const void *data)
{
    static const char *const functions[] = {"xengnttab_open", "xengnttab_map_grant_ref",
                                            "xengnttab_map_domain_grant_refs", "xenevtchn_open",
                                            "xenevtchn_bind_interdomain"};

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(functions); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);
        char *error;

        standin_fail(functions[i], 1, 1, ENOMEM);
        slot_add(slot, fixture->export, "none");
        slot_expect(slot, XenbusStateInitWait);
        slot_offer(slot);
        slot_expect(slot, XenbusStateClosing);
        slot_set_frontend(slot, XenbusStateClosed);
        slot_expect(slot, XenbusStateClosed);
        error = toolstack_read_error(&slot->device);
        g_assert_nonnull(error);
        g_assert_cmpint(atoi(error), >, 0);
        free(error);
        leave(fixture, slot);
    }
}

/* Kills every process of the daemon but the supervisor. */
static void kill_workers(const Fixture *fixture)
{
    g_autoptr(GArray) pids = list_processes(standin_daemon_pid(fixture->daemon));

    for (unsigned i = 0; i < pids->len; i++)
        kill(g_array_index(pids, pid_t, i), SIGKILL);
}

static void *kill_later(void *data)
{
    const Fixture *fixture = data;

    for (int i = 0; i < 40; i++) {
        g_usleep((gulong)g_random_int_range(100, 3000));
        kill_workers(fixture);
    }
    return NULL;
}

/* From the moment when it is started on. */
static void test_killed_any_time(Fixture *fixture, const void *data)
{
    Footprint before = fixture_footprint(fixture);

    (void)data;
    for (uint32_t i = 0; i < N_KILLS; i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);
        GThread *killer = g_thread_new("killer", kill_later, fixture);

        live(slot, fixture->export);
        g_thread_join(killer);
        leave(fixture, slot);
    }
    expect_footprint(fixture, &before);
    finish(fixture, connected_slot(fixture, 2, 0));
}

/* What a test of one fault is given is not for the daemon. */
static void set_up(Fixture *fixture, const void *fault)
{
    (void)fault;
    fixture_set_up(fixture, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *name =
            g_strdup_printf("/faults/%s/%s", faults[i].function, g_strerror(faults[i].error));

        g_test_add(name, Fixture, &faults[i], set_up, test_each_call, fixture_tear_down);
    }
    FIXTURE_TEST("/faults/toolstack-is-told", test_toolstack_is_told);
    FIXTURE_TEST("/faults/killed-any-time", test_killed_any_time);
    return g_test_run();
}
