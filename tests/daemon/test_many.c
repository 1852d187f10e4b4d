/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices many times and many at once, under disorder: nothing leaks, nothing is left over. */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <string.h>

static unsigned count_fds(const Fixture *fixture)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/fd", (int)standin_daemon_pid(fixture->daemon));
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

typedef struct Usage {
    unsigned fds;
    unsigned watches;
    unsigned nodes;
    unsigned ports;
} Usage;

/* What domain 0 holds: the daemon, and this program, which holds the same each time. */
static Usage measure(const Fixture *fixture)
{
    return (Usage){.fds = count_fds(fixture),
                   .watches = standin_count(STANDIN_WATCHES, 0),
                   .nodes = standin_count(STANDIN_NODES, 0),
                   .ports = standin_count(STANDIN_PORTS, 0)};
}

static bool usage_is(const Fixture *fixture, const Usage *expected)
{
    Usage now = measure(fixture);

    return memcmp(&now, expected, sizeof(now)) == 0;
}

/* Waits for the daemon to have let go of everything but `expected`. */
static void expect_usage(const Fixture *fixture, const Usage *expected)
{
    for (int i = 0; i < 1000 && !usage_is(fixture, expected); i++)
        g_usleep(5000);
    g_assert_cmpuint(count_fds(fixture), ==, expected->fds);
    g_assert_true(usage_is(fixture, expected));
}

static void test_cycles(Fixture *fixture, const void *data)
{
    Usage before;

    (void)data;
    finish(fixture, connected_slot(fixture, 1, 0));
    expect_workers(fixture, 0);
    before = measure(fixture);
    for (uint32_t i = 0; i < (g_test_slow() ? 2000U : 50U); i++) {
        Slot *slot = connected_slot(fixture, 1, i % 4);

        if (i % 2 == 0)
            finish(fixture, slot);
        else
            finish_forced(fixture, slot);
    }
    expect_usage(fixture, &before);
    expect_workers(fixture, 0);
    g_assert_cmpuint(standin_count(STANDIN_TRANSACTIONS, 0), ==, 0);
}

/* Several devices at once, some of which go away at once. */
static void test_crowd(Fixture *fixture, const void *data)
{
    enum { N_SLOTS = 12 };
    Slot *slots[N_SLOTS];

    (void)data;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        slots[i] = slot_new("xen_9pfs", 1 + i % 3, i / 3);
        slot_add(slots[i], fixture->export, "passthrough");
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        slot_expect(slots[i], XenbusStateInitWait);
        slot_offer(slots[i]);
        if (i % 4 == 0)
            slot_delete(slots[i]);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (i % 4 != 0) {
            slot_expect(slots[i], XenbusStateConnected);
            check_serves(slots[i]);
        }
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        slot_delete(slots[i]);
        slot_free(slots[i]);
    }
    expect_workers(fixture, 0);
}

/* One random change to what the device, its worker and its frontend say. */
static void disturb(const Fixture *fixture, Slot *slot)
{
    g_autofree char *number = g_strdup_printf("%d", g_test_rand_int_range(0, 10));

    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        slot_delete(slot);
        slot_add(slot, fixture->export, "none");
        break;
    case 1:
        toolstack_write_backend(&slot->device, "state", number);
        break;
    case 2:
        toolstack_write_backend(&slot->device, "online", number);
        break;
    case 3:
        toolstack_write_backend(&slot->device, "path", number[0] < '5' ? number : fixture->export);
        break;
    case 4:
        slot_offer(slot);
        break;
    default:
        frontend_write(slot->frontend, "state", number);
        break;
    }
    g_usleep((gulong)g_test_rand_int_range(0, 20000));
}

/* Whatever a toolstack and a guest do, the supervisor goes on, and the device can be taken away
 * and had anew. */
static void test_disorder(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    Slot *other = connected_slot(fixture, 2, 0);
    int rounds = g_test_slow() ? 20000 : 300;

    (void)data;
    for (int i = 0; i < rounds; i++)
        disturb(fixture, slot);
    check_serves(other);
    slot_expect_history(other, "1 2 4");
    finish_forced(fixture, slot);
    slot = connected_slot(fixture, 1, 0);
    check_serves(slot);
    finish(fixture, slot);
    finish(fixture, other);
    expect_workers(fixture, 0);
}

/* Transactions that fail because of others, and reads that fail once. */
static void test_xenstore_trouble(Fixture *fixture, const void *data)
{
    Slot *slot = slot_new("xen_9pfs", 1, 0);

    (void)data;
    standin_fail("xs_transaction_end", 1, 20, EAGAIN);
    slot_add(slot, fixture->export, "none");
    slot_expect(slot, XenbusStateInitWait);
    g_assert_cmpuint(standin_faults_left(), ==, 0);
    slot_offer(slot);
    slot_expect(slot, XenbusStateConnected);
    standin_fail("xs_read", 1, 3, EIO);
    for (int i = 0; i < 100 && standin_faults_left() > 0; i++) {
        slot_set_frontend(slot, XenbusStateConnected);
        g_usleep(10000);
    }
    slot_expect_history(slot, "1 2 4");
    check_serves(slot);
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/many/cycles", test_cycles);
    FIXTURE_TEST("/many/crowd", test_crowd);
    FIXTURE_TEST("/many/disorder", test_disorder);
    FIXTURE_TEST("/many/xenstore-trouble", test_xenstore_trouble);
    return g_test_run();
}
