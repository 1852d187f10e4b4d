/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad configurations and hostile frontends: each closes its device, with one line in the log and
 * an error node that say why, and no other device notices.
 */
#include "tests/daemon/fixture.h"

#include <string.h>

static void test_bad_config(Fixture *fixture, const void *data)
{
    static const struct {
        const char *path;
        const char *model;
        const char *reason;
    } cases[] = {
        {NULL, "none", "the device has no path"},
        {"", "none", "the path \"\" is not absolute"},
        {"tmp", "none", "the path \"tmp\" is not absolute"},
        {"/nowhere/at\nall", "none", "cannot serve the path \"/nowhere/at\\x0aall\": No such file"},
        {"/dev/null", "none", "cannot serve the path \"/dev/null\": Not a directory"},
        {"/", NULL, "the device has no security_model"},
        {"/", "Mapped",
         "unknown security_model \"Mapped\"; use none, passthrough, mapped-xattr or mapped-file"},
        {"/", "\x01\xff", "unknown security_model \"\\x01\\xff\""},
    };
    Slot *good = connected_slot(fixture, 2, 0);

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);

        slot_add(slot, cases[i].path, cases[i].model);
        expect_refused(fixture, slot, "1 5 6", cases[i].reason);
        finish(fixture, slot);
    }
    check_serves(good);
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

/* Each case overwrites one node of an otherwise good frontend with two rings. */
static void test_bad_frontend(Fixture *fixture, const void *data)
{
    static const struct {
        const char *name;
        const char *value;
        const char *reason;
    } cases[] = {
        {"version", "2", "the frontend's version is \"2\", not a number from 1 to 1"},
        {"version", NULL, "cannot read the frontend's version"},
        {"num-rings", "0", "the frontend's num-rings is \"0\", not a number from 1 to 8"},
        {"num-rings", "9", "the frontend's num-rings is \"9\""},
        {"num-rings", "8", "cannot read the frontend's ring-ref2"},
        {"num-rings", "-1", "the frontend's num-rings is \"-1\""},
        {"num-rings", "+1", "the frontend's num-rings is \"+1\""},
        {"num-rings", "1x", "the frontend's num-rings is \"1x\""},
        {"num-rings", " 1", "the frontend's num-rings is \" 1\""},
        {"num-rings", "0x1", "the frontend's num-rings is \"0x1\""},
        {"num-rings", "", "the frontend's num-rings is \"\""},
        {"num-rings", "4294967297", "the frontend's num-rings is \"4294967297\""},
        {"num-rings", NULL, "cannot read the frontend's num-rings"},
        {"ring-ref0", "0", "the frontend's ring-ref0 is \"0\""},
        {"ring-ref0", "\n\x1b[2Jx", "the frontend's ring-ref0 is \"\\x0a\\x1b[2Jx\""},
        {"ring-ref1", NULL, "cannot read the frontend's ring-ref1"},
        {"ring-ref1", "4294967295", "has failed: ring 1: "},
        {"event-channel-0", "0", "the frontend's event-channel-0 is \"0\""},
        {"event-channel-1", "99999999999", "the frontend's event-channel-1 is \"99999999999\""},
        {"event-channel-1", NULL, "cannot read the frontend's event-channel-1"},
        {"event-channel-1", "4000", "has failed: ring 1: "},
        {"tag", "a\nb", "the tag \"a\\x0ab\" is not printable text"},
        {"tag", "\xff\xfe", "the tag \"\\xff\\xfe\" is not printable text"},
    };
    Slot *good = connected_slot(fixture, 2, 0);

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);

        slot_add(slot, fixture->export, "none");
        slot_expect(slot, XenbusStateInitWait);
        slot_prepare(slot);
        frontend_write(slot->frontend, cases[i].name, cases[i].value);
        slot_set_frontend(slot, XenbusStateInitialised);
        slot_expect(slot, XenbusStateClosing);
        slot_set_frontend(slot, XenbusStateClosed);
        expect_refused(fixture, slot, "1 2 5 6", cases[i].reason);
        finish(fixture, slot);
    }
    check_serves(good);
    slot_expect_history(good, "1 2 4");
    finish(fixture, good);
}

/* What is wrong inside the shared pages, the worker finds. */
static void test_bad_ring_order(Fixture *fixture, const void *data)
{
    static const uint32_t orders[] = {0, 10, 32, 0x80000000, UINT32_MAX};

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);

        slot_add(slot, fixture->export, "none");
        slot_expect(slot, XenbusStateInitWait);
        slot_prepare(slot);
        slot->frontend->rings[1].intf->ring_order = orders[i];
        slot_set_frontend(slot, XenbusStateInitialised);
        slot_expect(slot, XenbusStateClosing);
        slot_set_frontend(slot, XenbusStateClosed);
        expect_refused(fixture, slot, "1 2 5 6", "has failed: ring 1: ");
        finish(fixture, slot);
    }
}

/* A value with a zero byte inside is not the number before it. */
static void test_zero_byte(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);
    g_autofree char *path = NULL;

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_prepare(slot);
    path = g_strconcat(slot->frontend->dir, "/num-rings", NULL);
    g_assert_true(xs_write(slot->frontend->xs, XBT_NULL, path, "1\0", 2));
    slot_set_frontend(slot, XenbusStateInitialised);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 5 6", "cannot read the frontend's num-rings");
    finish(fixture, slot);
}

/* A refused frontend that does not react is closed without it. */
static void test_refused_and_silent(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_prepare(slot);
    frontend_write(slot->frontend, "num-rings", "9");
    slot_set_frontend(slot, XenbusStateInitialised);
    slot_expect(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 5 6", "the frontend's num-rings");
    finish(fixture, slot);
}

/* A refused frontend that comes back in order is served, and the error node goes. */
static void test_refused_then_good(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_prepare(slot);
    frontend_write(slot->frontend, "num-rings", "0");
    slot_set_frontend(slot, XenbusStateInitialised);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 5 6", "the frontend's num-rings");
    slot_set_frontend(slot, XenbusStateInitialising);
    slot_expect(slot, XenbusStateInitWait);
    g_assert_null(toolstack_read_error(&slot->device));
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    check_serves(slot);
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/bad-nodes/config", test_bad_config);
    FIXTURE_TEST("/bad-nodes/frontend", test_bad_frontend);
    FIXTURE_TEST("/bad-nodes/ring-order", test_bad_ring_order);
    FIXTURE_TEST("/bad-nodes/zero-byte", test_zero_byte);
    FIXTURE_TEST("/bad-nodes/refused-and-silent", test_refused_and_silent);
    FIXTURE_TEST("/bad-nodes/refused-then-good", test_refused_then_good);
    return g_test_run();
}
