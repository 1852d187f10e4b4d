/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that come together are answered together: what the daemon sends of notifications, which on
 * Xen are hypercalls. */
#include "tests/daemon/fixture.h"

enum { N_REQUESTS = 20, UNKNOWN_FID = 999 };

/* Publishes all at once, as messages that are answered where they are taken. */
static void publish_together(Frontend *frontend, FrontendRing *ring)
{
    for (uint16_t tag = 0; tag < N_REQUESTS; tag++) {
        g_autoptr(GByteArray) message = p9_tclunk(tag, UNKNOWN_FID);

        ring_write(ring, message->data, message->len);
    }
    ring_publish(ring);
    frontend_notify(frontend, ring);
}

static void test_one_turn(Fixture *f, const void *data)
{
    Slot *slot = connected_slot(f, 1, 0);
    FrontendRing *ring = &slot->frontend->rings[0];
    uint32_t port = standin_port_peer(ring->port);
    uint64_t notified = standin_port_counters(port).notified;

    (void)data;
    publish_together(slot->frontend, ring);
    for (uint16_t tag = 0; tag < N_REQUESTS; tag++) {
        g_autoptr(P9Reply) reply = frontend_wait(slot->frontend, tag, FRONTEND_TIMEOUT_MS);

        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_RLERROR);
    }
    /* Of the first reply, so that the frontend wakes up meanwhile, and of all. */
    notified = standin_port_counters(port).notified - notified;
    g_assert_cmpuint(notified, >=, 1);
    g_assert_cmpuint(notified, <=, 2);
    finish(f, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/batch/one-turn", test_one_turn);
    return g_test_run();
}
