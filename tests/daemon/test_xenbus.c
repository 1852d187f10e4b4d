/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The xenbus life of a device: what the backend says, in which order, and that it says it once. */
#include "tests/daemon/fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLOSE_SECONDS = 4 }; /* a frontend has a little more than that to close */

static void expect_node(const Slot *slot, const char *name, const char *value)
{
    char *found = toolstack_read_backend(&slot->device, name);

    g_assert_cmpstr(found, ==, value);
    free(found);
}

static void test_offers(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    expect_node(slot, "versions", "1");
    expect_node(slot, "max-rings", "8");
    expect_node(slot, "max-ring-page-order", "9");
    slot_expect_history(slot, "1 2");
    finish(fixture, slot);
}

/* Mini-OS says Closing, waits for exactly Closing, says Closed and waits for Closed. */
static void test_life(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    check_serves(slot);
    expect_workers(fixture, 1);
    slot_set_frontend(slot, XenbusStateClosing);
    slot_expect(slot, XenbusStateClosing);
    expect_workers(fixture, 0);
    g_assert_false(slot_wait(slot, XenbusStateClosed, 300));
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

/* As often as it likes; but each time after a pause twice as long. */
static void test_reconnect(Fixture *fixture, const void *data)
{
    gint64 start = g_get_monotonic_time();
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    for (int i = 0; i < 3; i++) {
        slot_set_frontend(slot, XenbusStateClosing);
        slot_expect(slot, XenbusStateClosing);
        slot_set_frontend(slot, XenbusStateClosed);
        slot_expect(slot, XenbusStateClosed);
        slot_set_frontend(slot, XenbusStateInitialising);
        slot_expect(slot, XenbusStateInitWait);
        slot_offer(slot);
        slot_expect(slot, XenbusStateConnected);
        check_serves(slot);
    }
    g_assert_cmpint(g_get_monotonic_time() - start, >=, (250 + 500 + 1000) * 1000);
    slot_expect_history(slot, "1 2 4 5 6 2 4 5 6 2 4 5 6 2 4");
    finish(fixture, slot);
}

/* A frontend that starts anew without a word, as after a crash of its kernel: the changes of its
 * state were merged into one event, or never were. */
static void test_restart_of_frontend(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_set_frontend(slot, XenbusStateInitialising);
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    check_serves(slot);
    slot_expect_history(slot, "1 2 4 5 6 2 4");
    finish(fixture, slot);
}

/* A frontend that does not wait for the backend's offer. */
static void test_early_frontend(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    check_serves(slot);
    slot_expect_history(slot, "1 2 4");
    finish(fixture, slot);
}

/* Events that mean nothing change nothing; neither do paths that no toolstack writes. */
static void test_spurious_events(Fixture *fixture, const void *data)
{
    static const char *const folders[] = {"x",    "01",    "-1",          "99999",
                                          "1/00", "1/0/x", "1/4294967296"};
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    for (size_t i = 0; i < 300; i++) {
        g_autofree char *path = g_strdup_printf("/local/domain/0/backend/xen_9pfs/%s",
                                                folders[i % G_N_ELEMENTS(folders)]);

        slot_set_frontend(slot, XenbusStateConnected);
        fixture_write(fixture, path, "noise");
        fixture_write(fixture, path, NULL);
    }
    check_serves(slot);
    slot_expect_history(slot, "1 2 4");
    g_assert_cmpuint(count_log(fixture, "connected: worker "), ==, 1);
    finish(fixture, slot);
}

static void test_frontend_vanishes(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_delete_frontend(slot);
    slot_expect(slot, XenbusStateClosed);
    expect_workers(fixture, 0);
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

static void test_frontend_state_garbage(Fixture *fixture, const void *data)
{
    static const char *const states[] = {"", "99", "-4", " 4", "4 ", "04", "four", "4294967300"};

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(states); i++) {
        Slot *slot = connected_slot(fixture, 1, i);

        frontend_write(slot->frontend, "state", states[i]);
        slot_expect(slot, XenbusStateClosed);
        slot_expect_history(slot, "1 2 4 5 6");
        finish(fixture, slot);
    }
}

/* As Linux does it: Closing by the toolstack, answered with Closed. It is served until then. */
static void test_remove_polite(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_ask_remove(slot);
    slot_expect(slot, XenbusStateClosing);
    check_serves(slot);
    slot_set_frontend(slot, XenbusStateClosed);
    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

static void test_remove_stubborn(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    gint64 start = g_get_monotonic_time();

    (void)data;
    slot_ask_remove(slot);
    slot_expect(slot, XenbusStateClosed);
    g_assert_cmpint(g_get_monotonic_time() - start, >, CLOSE_SECONDS * G_TIME_SPAN_SECOND);
    expect_log(fixture, "domain 1 device 0: the frontend did not close in time");
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

/* A frontend that begins to close and never finishes. */
static void test_remove_half_closed(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_ask_remove(slot);
    slot_set_frontend(slot, XenbusStateClosing);
    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, "1 2 4 5 6");
    finish(fixture, slot);
}

static void test_remove_before_connect(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_ask_remove(slot);
    slot_expect(slot, XenbusStateClosed);
    slot_expect_history(slot, "1 2 5 6");
    finish(fixture, slot);
}

/* The folder disappears, with the frontend still connected, and comes back at once. */
static void test_remove_forced(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    finish_forced(fixture, slot);
    slot = connected_slot(fixture, 1, 0);
    check_serves(slot);
    slot_delete(slot);
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    check_serves(slot);
    finish_forced(fixture, slot);
}

/* xl destroy: the frontend's folder goes first, then the backend is asked to close. */
static void test_remove_destroyed(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_delete_frontend(slot);
    slot_ask_remove(slot);
    slot_expect(slot, XenbusStateClosed);
    finish(fixture, slot);
}

/* Its device ends although nobody says so in xenstore; another domain's does not notice. */
static void test_domain_dies(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    Slot *other = connected_slot(fixture, 2, 0);

    (void)data;
    standin_domain_set_state(1, STANDIN_DYING);
    slot_expect(slot, XenbusStateClosed);
    expect_workers(fixture, 1);
    slot_expect_history(slot, "1 2 4 5 6");
    check_serves(other);
    slot_expect_history(other, "1 2 4");
    finish_forced(fixture, slot);
    finish(fixture, other);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/xenbus/offers", test_offers);
    FIXTURE_TEST("/xenbus/life", test_life);
    FIXTURE_TEST("/xenbus/reconnect", test_reconnect);
    FIXTURE_TEST("/xenbus/restart-of-frontend", test_restart_of_frontend);
    FIXTURE_TEST("/xenbus/early-frontend", test_early_frontend);
    FIXTURE_TEST("/xenbus/spurious-events", test_spurious_events);
    FIXTURE_TEST("/xenbus/frontend-vanishes", test_frontend_vanishes);
    FIXTURE_TEST("/xenbus/frontend-state-garbage", test_frontend_state_garbage);
    FIXTURE_TEST("/xenbus/remove-polite", test_remove_polite);
    FIXTURE_TEST("/xenbus/remove-stubborn", test_remove_stubborn);
    FIXTURE_TEST("/xenbus/remove-half-closed", test_remove_half_closed);
    FIXTURE_TEST("/xenbus/remove-before-connect", test_remove_before_connect);
    FIXTURE_TEST("/xenbus/remove-forced", test_remove_forced);
    FIXTURE_TEST("/xenbus/remove-destroyed", test_remove_destroyed);
    FIXTURE_TEST("/xenbus/domain-dies", test_domain_dies);
    return g_test_run();
}
