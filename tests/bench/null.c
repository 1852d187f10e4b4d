/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *     null-backend
 *
 * A 9pfs backend with nothing behind it: it answers every request of 9P2000.L at once, with a reply of
 * the right type and size and senseless content. Data is copied, once, from and to a buffer of its
 * own, as it must be by any backend. What it costs is the floor of the transport and of whoever sends the requests. It serves device 0 of domain 1 of kind
 * "null" until it is killed, one connection.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/io/9pfs.h>
#include <xen/io/xenbus.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "tests/frontend/p9.h"

enum { DOMID = 1, N_RINGS = 2, ORDER = 9, IO_HEADER = 11, PEEKED = 24, REPLY_MAX = 256 };

#define BACKEND_DIR  "/local/domain/0/backend/null/1/0"
#define FRONTEND_DIR "/local/domain/1/device/9pfs/0"

typedef struct NullRing {
    struct xen_9pfs_data_intf *intf;
    uint8_t *in;
    uint8_t *out;
    uint32_t size;
    uint32_t out_cons;
    uint32_t in_prod;
    int port;
} NullRing;

static xenevtchn_handle *evtchn;
static xengnttab_handle *gnttab;
static struct xs_handle *xs;
static NullRing rings[N_RINGS];
static uint8_t data[1 << 20]; /* what is read and written */

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "null-backend: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/*
 * Connecting
 */

static void write_number(const char *dir, const char *name, unsigned value)
{
    char path[128], text[16];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(text, sizeof(text), "%u", value);
    if (!xs_write(xs, XBT_NULL, path, text, (unsigned)strlen(text)))
        die(path);
}

/* A number in xenstore, 0 when there is none. */
static unsigned read_number(const char *dir, const char *name)
{
    char path[128];
    char *text;
    unsigned value;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    text = xs_read(xs, XBT_NULL, path, NULL);
    value = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    free(text);
    return value;
}

static void wait_number(const char *dir, const char *name, unsigned expected)
{
    while (read_number(dir, name) != expected)
        usleep(1000);
}

static void connect_ring(NullRing *ring, unsigned number)
{
    char name[32];

    snprintf(name, sizeof(name), "ring-ref%u", number);
    ring->intf = xengnttab_map_grant_ref(gnttab, DOMID, read_number(FRONTEND_DIR, name),
                                         PROT_READ | PROT_WRITE);
    if (!ring->intf)
        die("mapping an interface page");
    ring->in = xengnttab_map_domain_grant_refs(gnttab, 1U << ORDER, DOMID, ring->intf->ref,
                                               PROT_READ | PROT_WRITE);
    if (!ring->in)
        die("mapping a ring");
    ring->size = (uint32_t)XEN_FLEX_RING_SIZE(ORDER);
    ring->out = ring->in + ring->size;
    snprintf(name, sizeof(name), "event-channel-%u", number);
    ring->port = xenevtchn_bind_interdomain(evtchn, DOMID, read_number(FRONTEND_DIR, name));
    if (ring->port < 0)
        die("binding an event channel");
}

static void connect_device(void)
{
    xs = xs_open(0);
    evtchn = xenevtchn_open(NULL, 0);
    gnttab = xengnttab_open(NULL, 0);
    if (!xs || !evtchn || !gnttab)
        die("opening the Xen libraries");
    wait_number(BACKEND_DIR, "state", XenbusStateInitialising);
    write_number(BACKEND_DIR, "max-rings", N_RINGS);
    write_number(BACKEND_DIR, "max-ring-page-order", ORDER);
    write_number(BACKEND_DIR, "state", XenbusStateInitWait);
    wait_number(FRONTEND_DIR, "state", XenbusStateInitialised);
    for (unsigned i = 0; i < N_RINGS; i++)
        connect_ring(&rings[i], i);
    write_number(BACKEND_DIR, "state", XenbusStateConnected);
}

/*
 * Replies
 */

static void ring_read(const NullRing *ring, void *to, uint32_t size)
{
    uint32_t at = ring->out_cons & (ring->size - 1);
    uint32_t first = size < ring->size - at ? size : ring->size - at;

    memcpy(to, ring->out + at, first);
    memcpy((uint8_t *)to + first, ring->out, size - first);
}

static void ring_write(NullRing *ring, uint32_t position, const void *from, uint32_t size)
{
    uint32_t at = position & (ring->size - 1);
    uint32_t first = size < ring->size - at ? size : ring->size - at;

    memcpy(ring->in + at, from, first);
    memcpy(ring->in, (const uint8_t *)from + first, size - first);
}

static uint32_t get32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

static void put32(uint8_t *bytes, uint32_t value)
{
    memcpy(bytes, &value, sizeof(value));
}

/* How large the body of the reply to a request is; -1 for an error reply. `request` is its first
 * PEEKED bytes. */
static int body_size(const uint8_t *request)
{
    switch (request[4]) {
    case P9_TVERSION:
        return (int)get32(request) - P9_HEADER;
    case P9_TATTACH:
        return 13;
    case P9_TWALK:
        return 2 + 13 * request[15];
    case P9_TLOPEN:
    case P9_TLCREATE:
        return 17;
    case P9_TGETATTR:
        return 153;
    case P9_TREAD:
        return 4 + (int)get32(request + 19);
    case P9_TREADDIR:
    case P9_TWRITE:
        return 4;
    case P9_TCLUNK:
    case P9_TUNLINKAT:
        return 0;
    default:
        return -1;
    }
}

/* What a client looks at: msize and dialect, the names that were walked, the bytes transferred. */
static void put_counts(const uint8_t *request, uint8_t *body)
{
    switch (request[4]) {
    case P9_TVERSION:
        memcpy(body, request + P9_HEADER, PEEKED - P9_HEADER);
        break;
    case P9_TWALK:
        memcpy(body, request + 15, 2);
        break;
    case P9_TREAD:
    case P9_TWRITE:
        memcpy(body, request + 19, 4);
        break;
    default:
        break;
    }
}

/* The request is at the front of the ring. Returns the size of the reply, which is put into `reply`,
 * all but the data of a read. */
static uint32_t make_reply(const NullRing *ring, uint32_t size, uint8_t reply[REPLY_MAX])
{
    uint8_t request[PEEKED] = {0};
    int body;

    ring_read(ring, request, size < PEEKED ? size : PEEKED);
    body = body_size(request);
    memcpy(reply, request, P9_HEADER);
    reply[4] = (uint8_t)(request[4] + 1);
    if (body < 0) {
        reply[4] = P9_RLERROR;
        put32(reply + P9_HEADER, request[4] == P9_TXATTRWALK ? ENODATA : EOPNOTSUPP);
        body = 4;
    }
    put_counts(request, reply + P9_HEADER);
    put32(reply, (uint32_t)(P9_HEADER + body));
    return (uint32_t)(P9_HEADER + body);
}

/* Answers the request at the front of the ring if it is complete and there is room. */
static bool answer_one(NullRing *ring)
{
    uint32_t used = __atomic_load_n(&ring->intf->out_prod, __ATOMIC_ACQUIRE) - ring->out_cons;
    uint8_t reply[REPLY_MAX] = {0};
    uint8_t size_field[4];
    uint32_t size, reply_size, room;

    if (used < P9_HEADER)
        return false;
    ring_read(ring, size_field, sizeof(size_field));
    size = get32(size_field);
    if (size > used)
        return false;
    reply_size = make_reply(ring, size, reply);
    room = ring->size - (ring->in_prod - __atomic_load_n(&ring->intf->in_cons, __ATOMIC_ACQUIRE));
    if (reply_size > room)
        return false;
    if (reply[4] == P9_TREAD + 1)
        ring_write(ring, ring->in_prod + IO_HEADER, data, reply_size - IO_HEADER);
    else if (reply[4] == P9_TWRITE + 1)
        ring_read(ring, data, size);
    ring_write(ring, ring->in_prod, reply, reply[4] == P9_TREAD + 1 ? IO_HEADER : reply_size);
    ring->out_cons += size;
    ring->in_prod += reply_size;
    __atomic_store_n(&ring->intf->out_cons, ring->out_cons, __ATOMIC_RELEASE);
    __atomic_store_n(&ring->intf->in_prod, ring->in_prod, __ATOMIC_RELEASE);
    return true;
}

static bool serve_ring(NullRing *ring)
{
    bool any = false;

    while (answer_one(ring))
        any = true;
    if (any)
        xenevtchn_notify(evtchn, (evtchn_port_t)ring->port);
    return any;
}

int main(void)
{
    connect_device();
    for (;;) {
        bool any = false;
        int port;

        for (unsigned i = 0; i < N_RINGS; i++)
            any = serve_ring(&rings[i]) || any;
        if (any)
            continue;
        port = xenevtchn_pending(evtchn);
        if (port >= 0)
            xenevtchn_unmask(evtchn, (evtchn_port_t)port);
    }
}
