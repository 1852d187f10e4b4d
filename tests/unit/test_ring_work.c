/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring's reader spins while a ring says that it has requests. What has been looked at and cannot be
 * taken, since the frontend has published only a part of it, is no reason to look again.
 *
 * A request for much data is left in the ring until there is room for its reply, but not for ever.
 */
#include <glib.h>
#include <string.h>
#include <xengnttab.h>
#include <xen/io/9pfs.h>

#include "tests/fuzz/xen.h"
#include "tests/lib/memory_fs.h"
#include "xen-9pfs/ring.h"

enum {
    REF = 0,
    PORT = 1,
    ORDER = 5,
    N_PAGES = 1 << ORDER,
    HALF = N_PAGES * XEN_PAGE / 2,
    BUDGET = 10,
    TREAD_SIZE = 23,
    READ_COUNT = 40000,
};

static const uint8_t version[] = {21,  0,   0,   0,   P9_TVERSION, 0xff, 0xff, 0,   0,   1,  0,
                                  8,   0,   '9', 'P', '2',         '0',  '0',  '0', '.', 'L'};

/* The fid is in nobody's table: the reply is small in the end. */
static const uint8_t read_much[TREAD_SIZE] = {
    TREAD_SIZE, 0, 0, 0, P9_TREAD, 1, 0, 7, 0, 0, 0,
    [19] = READ_COUNT & 0xff, READ_COUNT >> 8,
};

static int64_t test_now;

static int64_t clock_of_test(void)
{
    return test_now;
}

typedef struct Fixture {
    struct xen_9pfs_data_intf *interface;
    uint8_t *out;
    uint32_t out_prod;
    Ring *ring;
    MemoryFs *fs;
    Session *session;
} Fixture;

static void wake(void *unused)
{
    (void)unused;
}

/* `replies_waiting` points to how many bytes of replies the frontend has not taken yet, or is NULL. */
static void set_up(Fixture *f, const void *replies_waiting)
{
    RingPeer peer = {.domid = 1, .ref = REF, .port = PORT};
    SessionLimits limits = session_default_limits;
    uint8_t *pages = xen_guest_pages();
    char *why;

    memset(pages, 0, XEN_PAGE * (1 + N_PAGES));
    f->interface = (struct xen_9pfs_data_intf *)pages;
    f->interface->ring_order = ORDER;
    for (uint32_t i = 0; i < N_PAGES; i++)
        f->interface->ref[i] = 1 + i;
    if (replies_waiting)
        f->interface->in_prod = *(const uint32_t *)replies_waiting;
    f->out = pages + XEN_PAGE + HALF;
    memcpy(f->out, version, sizeof(version));
    test_now = 1;
    limits.clock = clock_of_test;
    xen_begin(XEN_NO_FAULT);
    peer.gnttab = xengnttab_open(NULL, 0);
    peer.evtchn = xenevtchn_open(NULL, 0);
    f->ring = ring_new(&peer, &why);
    g_assert_nonnull(f->ring);
    f->fs = memory_fs_new(FS_MEMORY);
    f->session =
        session_new(memory_fs_base(f->fs), &export_default_options, &limits, wake, NULL);
    session_add_channel(f->session, ring_channel(f->ring));
}

static void tear_down(Fixture *f, const void *unused)
{
    (void)unused;
    session_stop(f->session);
    ring_free(f->ring);
    session_free(f->session);
    memory_fs_free(f->fs);
    xen_begin(XEN_NO_FAULT);
}

static unsigned take(Fixture *f)
{
    bool stalled = false;
    unsigned taken = ring_take(f->ring, BUDGET, &stalled);

    g_assert_false(stalled);
    return taken;
}

static void publish(Fixture *f, uint32_t size)
{
    __atomic_store_n(&f->interface->out_prod, size, __ATOMIC_RELEASE);
}

static void test_whole(Fixture *f, const void *unused)
{
    (void)unused;
    g_assert_false(ring_has_work(f->ring));
    publish(f, sizeof(version));
    g_assert_true(ring_has_work(f->ring));
    g_assert_cmpuint(take(f), ==, 1);
    g_assert_cmpuint(take(f), ==, 0);
    g_assert_false(ring_has_work(f->ring));
}

static void test_part(Fixture *f, const void *unused)
{
    (void)unused;
    for (uint32_t size = 1; size < sizeof(version); size++) {
        publish(f, size);
        g_assert_cmpuint(take(f), ==, 0);
        g_assert_false(ring_has_work(f->ring));
    }
    publish(f, sizeof(version));
    g_assert_true(ring_has_work(f->ring));
    g_assert_cmpuint(take(f), ==, 1);
    g_assert_false(ring_has_work(f->ring));
}

static void test_part_behind_whole(Fixture *f, const void *unused)
{
    (void)unused;
    memcpy(f->out + sizeof(version), version, sizeof(version));
    publish(f, 2 * sizeof(version) - 1);
    g_assert_cmpuint(take(f), ==, 1);
    take(f);
    g_assert_false(ring_has_work(f->ring));
    publish(f, 2 * sizeof(version));
    g_assert_true(ring_has_work(f->ring));
    g_assert_cmpuint(take(f), ==, 1);
}

/*
 * Requests for much data
 */

/* Bytes of replies that the frontend has not taken: they leave too little. */
static const uint32_t no_room = HALF - READ_COUNT;

static void publish_read(Fixture *f)
{
    memcpy(f->out + f->out_prod, read_much, TREAD_SIZE);
    f->out_prod += TREAD_SIZE;
    publish(f, f->out_prod);
}

static void consume(Fixture *f, uint32_t position)
{
    __atomic_store_n(&f->interface->in_cons, position, __ATOMIC_RELEASE);
}

static uint32_t published(const Fixture *f)
{
    return __atomic_load_n(&f->interface->in_prod, __ATOMIC_ACQUIRE);
}

/* Negotiates; the reply stays in the ring. */
static void begin(Fixture *f)
{
    f->out_prod = sizeof(version);
    publish(f, f->out_prod);
    g_assert_cmpuint(take(f), ==, 1);
    g_assert_false(ring_pump(f->ring));
    g_assert_false(ring_has_work(f->ring));
}

static void assert_left(Fixture *f)
{
    g_assert_cmpuint(take(f), ==, 0);
    g_assert_true(ring_pump(f->ring));
    g_assert_false(ring_has_work(f->ring));
}

static void assert_taken(Fixture *f, unsigned n)
{
    g_assert_cmpuint(take(f), ==, n);
    g_assert_false(ring_pump(f->ring));
    g_assert_false(ring_has_work(f->ring));
}

static void test_left_until_room(Fixture *f, const void *unused)
{
    (void)unused;
    begin(f);
    publish_read(f);
    publish_read(f);
    g_assert_true(ring_has_work(f->ring));
    assert_left(f);
    g_assert_cmpuint(ring_stats(f->ring).stalls, ==, 1);
    test_now += RING_PATIENCE_USEC - 1;
    assert_left(f);
    g_assert_cmpuint(ring_stats(f->ring).stalls, ==, 1);
    consume(f, 10);
    g_assert_true(ring_has_work(f->ring));
    assert_left(f);
    consume(f, published(f));
    g_assert_true(ring_has_work(f->ring));
    assert_taken(f, 2);
    g_assert_cmpuint(ring_stats(f->ring).stalls, ==, 1);
}

static void test_not_left_for_ever(Fixture *f, const void *unused)
{
    (void)unused;
    begin(f);
    publish_read(f);
    assert_left(f);
    test_now += RING_PATIENCE_USEC;
    assert_taken(f, 1);
    publish_read(f); /* nothing was consumed meanwhile */
    publish_read(f);
    assert_taken(f, 2);
    consume(f, 10);
    publish_read(f);
    assert_left(f);
    test_now += RING_PATIENCE_USEC;
    assert_taken(f, 1);
}

static void test_not_left_with_room(Fixture *f, const void *unused)
{
    (void)unused;
    begin(f);
    publish_read(f);
    publish_read(f);
    assert_taken(f, 2);
    g_assert_cmpuint(ring_stats(f->ring).stalls, ==, 0);
}

/* A turn is over when its requests may move much, so that other rings have theirs. */
static void test_turn_of_large(Fixture *f, const void *unused)
{
    enum { MANY = 2 * RING_TAKE_BYTES / READ_COUNT };
    bool stalled = false;
    unsigned taken;

    (void)unused;
    begin(f);
    for (unsigned i = 0; i < MANY; i++)
        publish_read(f);
    taken = ring_take(f->ring, 2 * MANY, &stalled);
    g_assert_cmpuint(taken, <=, RING_TAKE_BYTES / READ_COUNT + 1);
    g_assert_cmpuint(taken, >, MANY / 4);
    taken += ring_take(f->ring, 2 * MANY, &stalled);
    taken += ring_take(f->ring, 2 * MANY, &stalled);
    g_assert_cmpuint(taken, ==, MANY);
    g_assert_false(stalled);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/ring-work/left-until-room", Fixture, &no_room, set_up, test_left_until_room,
               tear_down);
    g_test_add("/ring-work/not-left-for-ever", Fixture, &no_room, set_up, test_not_left_for_ever,
               tear_down);
    g_test_add("/ring-work/not-left-with-room", Fixture, NULL, set_up, test_not_left_with_room,
               tear_down);
    g_test_add("/ring-work/turn-of-large", Fixture, NULL, set_up, test_turn_of_large, tear_down);
    g_test_add("/ring-work/whole", Fixture, NULL, set_up, test_whole, tear_down);
    g_test_add("/ring-work/part", Fixture, NULL, set_up, test_part, tear_down);
    g_test_add("/ring-work/part-behind-whole", Fixture, NULL, set_up, test_part_behind_whole,
               tear_down);
    return g_test_run();
}
