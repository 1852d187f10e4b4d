/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: the frontend's side of the shared rings; see frontend.h.
 *
 * The indices are free-running; a position is an index modulo the ring's size. Bytes are written
 * before out_prod is published (release, read by the backend with acquire), and read after in_prod
 * was seen (acquire, published by the backend with release).
 */
#include "tests/frontend/frontend.h"

#include <poll.h>
#include <string.h>

uint32_t ring_get(const uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

void ring_set(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

uint32_t ring_out_free(const FrontendRing *ring)
{
    return ring->size - (ring->out_prod - ring_get(&ring->intf->out_cons));
}

uint32_t ring_in_used(const FrontendRing *ring)
{
    return ring_get(&ring->intf->in_prod) - ring->in_cons;
}

void ring_write(FrontendRing *ring, const void *bytes, uint32_t size)
{
    uint32_t at = ring->out_prod & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - at);

    g_assert_cmpuint(size, <=, ring_out_free(ring));
    memcpy(ring->out + at, bytes, first);
    memcpy(ring->out, (const uint8_t *)bytes + first, size - first);
    ring->out_prod += size;
}

void ring_publish(FrontendRing *ring)
{
    ring_set(&ring->intf->out_prod, ring->out_prod);
}

void frontend_notify(Frontend *frontend, const FrontendRing *ring)
{
    xenevtchn_notify(frontend->evtchn, ring->port);
}

static FrontendRing *find_ring(Frontend *frontend, evtchn_port_t port)
{
    for (unsigned i = 0; i < frontend->n_rings; i++) {
        if (frontend->rings[i].port == port)
            return &frontend->rings[i];
    }
    return NULL;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) > 0;
}

unsigned frontend_take_events(Frontend *frontend)
{
    unsigned taken = 0;

    while (is_readable(xenevtchn_fd(frontend->evtchn), 0)) {
        xenevtchn_port_or_error_t port = xenevtchn_pending(frontend->evtchn);
        FrontendRing *ring = port > 0 ? find_ring(frontend, (evtchn_port_t)port) : NULL;

        if (!ring)
            continue;
        ring->events++;
        taken++;
        xenevtchn_unmask(frontend->evtchn, (evtchn_port_t)port);
    }
    return taken;
}

bool frontend_wait_event(Frontend *frontend, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
    int64_t left = timeout_ms;

    while (left >= 0 && is_readable(xenevtchn_fd(frontend->evtchn), (int)left)) {
        if (frontend_take_events(frontend) > 0)
            return true;
        left = (end - g_get_monotonic_time()) / 1000;
    }
    return false;
}

bool ring_send(Frontend *frontend, FrontendRing *ring, const GByteArray *message, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

    while (ring_out_free(ring) < message->len) {
        int64_t left = (end - g_get_monotonic_time()) / 1000;

        if (left <= 0)
            return false;
        frontend_wait_event(frontend, (int)MIN(left, 10));
    }
    ring_write(ring, message->data, message->len);
    ring_publish(ring);
    if (!frontend->quiet)
        frontend_notify(frontend, ring);
    return true;
}

/* Copies `size` bytes from where the frontend stands in the in ring. */
static void ring_peek(const FrontendRing *ring, void *bytes, uint32_t size)
{
    uint32_t at = ring->in_cons & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - at);

    memcpy(bytes, ring->in + at, first);
    memcpy((uint8_t *)bytes + first, ring->in, size - first);
}

/* The size of the message at the front of the in ring, 0 when it is not known yet. */
static uint32_t next_size(const FrontendRing *ring)
{
    uint8_t bytes[4];

    if (ring_in_used(ring) < sizeof(bytes))
        return 0;
    ring_peek(ring, bytes, sizeof(bytes));
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

bool ring_has_reply(FrontendRing *ring)
{
    uint32_t used = ring_in_used(ring);
    uint32_t size = next_size(ring);

    g_assert_cmpuint(used, <=, ring->size);
    if (size != 0 && size <= used) {
        g_assert_cmpuint(size, >=, P9_HEADER);
        return true;
    }
    if (used > 0)
        ring->partial++;
    return false;
}

/* Takes the message at the front of the in ring, which is there. */
static P9Reply *take_reply(FrontendRing *ring)
{
    uint32_t size = next_size(ring);
    P9Reply *reply = g_malloc(sizeof(P9Reply) + size);

    ring_peek(ring, reply->bytes, size);
    reply->ring = ring->number;
    reply->size = size;
    reply->type = reply->bytes[4];
    reply->tag = (uint16_t)(reply->bytes[5] | reply->bytes[6] << 8);
    ring->in_cons += size;
    ring_set(&ring->intf->in_cons, ring->in_cons);
    return reply;
}

P9Reply *ring_receive(Frontend *frontend, FrontendRing *ring, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
    P9Reply *reply;

    while (!ring_has_reply(ring)) {
        int64_t left = (end - g_get_monotonic_time()) / 1000;

        if (left < 0)
            return NULL;
        frontend_wait_event(frontend, (int)left);
    }
    reply = take_reply(ring);
    if (ring_in_used(ring) < P9_HEADER && !frontend->quiet)
        frontend_notify(frontend, ring);
    return reply;
}
