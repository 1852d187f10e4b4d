/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring's reader spins while a ring says that it has requests. What has been looked at and cannot be
 * taken, since the frontend has published only a part of it, is no reason to look again.
 */
#include <glib.h>
#include <string.h>
#include <xengnttab.h>
#include <xen/io/9pfs.h>

#include "tests/fuzz/xen.h"
#include "tests/lib/memory_fs.h"
#include "xen-9pfs/ring.h"

enum { REF = 0, PORT = 1, ORDER = 1, BUDGET = 10 };

static const uint8_t version[] = {21,  0,   0,   0,   P9_TVERSION, 0xff, 0xff, 0,   16,  0,  0,
                                  8,   0,   '9', 'P', '2',         '0',  '0',  '0', '.', 'L'};

typedef struct Fixture {
    struct xen_9pfs_data_intf *interface;
    uint8_t *out;
    Ring *ring;
    MemoryFs *fs;
    Session *session;
} Fixture;

static void wake(void *unused)
{
    (void)unused;
}

static void set_up(Fixture *f, const void *unused)
{
    RingPeer peer = {.domid = 1, .ref = REF, .port = PORT};
    uint8_t *pages = xen_guest_pages();
    char *why;

    (void)unused;
    memset(pages, 0, XEN_PAGE * 3);
    f->interface = (struct xen_9pfs_data_intf *)pages;
    f->interface->ring_order = ORDER;
    f->interface->ref[0] = 1;
    f->interface->ref[1] = 2;
    f->out = pages + 2 * XEN_PAGE;
    memcpy(f->out, version, sizeof(version));
    xen_begin(XEN_NO_FAULT);
    peer.gnttab = xengnttab_open(NULL, 0);
    peer.evtchn = xenevtchn_open(NULL, 0);
    f->ring = ring_new(&peer, &why);
    g_assert_nonnull(f->ring);
    f->fs = memory_fs_new(FS_MEMORY);
    f->session = session_new(memory_fs_base(f->fs), &export_default_options, &session_default_limits,
                             wake, NULL);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/ring-work/whole", Fixture, NULL, set_up, test_whole, tear_down);
    g_test_add("/ring-work/part", Fixture, NULL, set_up, test_part, tear_down);
    g_test_add("/ring-work/part-behind-whole", Fixture, NULL, set_up, test_part_behind_whole,
               tear_down);
    return g_test_run();
}
