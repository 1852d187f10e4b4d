/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frontend: connecting and disconnecting; see frontend.h. */
#include "tests/frontend/frontend.h"
#include "tests/standin/standin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

FrontendDevice frontend_linux(uint32_t domid, const char *path)
{
    return (FrontendDevice){
        .domid = domid,
        .kind = "xen_9pfs",
        .path = path,
        .security_model = "none",
        .tag = "share",
        .n_rings = 2,
        .order = 9,
        .msize = 512 * 1024,
        .dialect = "9P2000.L",
    };
}

FrontendDevice frontend_unikraft(uint32_t domid, const char *path)
{
    FrontendDevice device = frontend_linux(domid, path);

    device.order = 6;
    device.msize = (uint32_t)XEN_FLEX_RING_SIZE(6);
    return device;
}

FrontendDevice frontend_minios(uint32_t domid, const char *path)
{
    FrontendDevice device = frontend_linux(domid, path);

    device.n_rings = 1;
    device.order = 4;
    device.msize = (uint32_t)XEN_FLEX_RING_SIZE(4) / 2;
    device.dialect = "9P2000.u";
    device.close_handshake = true;
    return device;
}

Frontend *frontend_new(const FrontendDevice *device)
{
    Frontend *frontend = g_new0(Frontend, 1);
    uint32_t self = standin_domid();

    frontend->device = *device;
    frontend->dir =
        g_strdup_printf("/local/domain/%u/device/9pfs/%u", device->domid, device->devid);
    frontend->msize = device->msize;
    g_queue_init(&frontend->replies);
    standin_set_domid(device->domid);
    frontend->xs = xs_open(0);
    frontend->evtchn = xenevtchn_open(NULL, 0);
    frontend->gntshr = xengntshr_open(NULL, 0);
    standin_set_domid(self);
    g_assert_true(frontend->xs && frontend->evtchn && frontend->gntshr);
    return frontend;
}

void frontend_free(Frontend *frontend)
{
    if (!frontend)
        return;
    frontend_unshare(frontend);
    g_queue_clear_full(&frontend->replies, g_free);
    g_free(frontend->last_reply);
    xengntshr_close(frontend->gntshr);
    xenevtchn_close(frontend->evtchn);
    xs_close(frontend->xs);
    g_free(frontend->dir);
    g_free(frontend);
}

/* ---- Sharing ---- */

static void share_ring(Frontend *frontend, FrontendRing *ring, unsigned number)
{
    const FrontendDevice *device = &frontend->device;
    uint32_t pages = 1U << device->order;
    uint8_t *data;

    *ring = (FrontendRing){.number = number, .order = device->order};
    ring->size = (uint32_t)XEN_FLEX_RING_SIZE(device->order);
    ring->intf =
        xengntshr_share_pages(frontend->gntshr, device->backend_domid, 1, &ring->intf_ref, true);
    g_assert_nonnull(ring->intf);
    data = xengntshr_share_pages(frontend->gntshr, device->backend_domid, (int)pages,
                                 ring->intf->ref, true);
    g_assert_nonnull(data);
    ring->in = data;
    ring->out = data + ring->size;
    ring->intf->ring_order = device->order;
    ring->out_prod = ring->in_cons = device->first_index;
    ring->intf->in_cons = ring->intf->in_prod = device->first_index;
    ring->intf->out_cons = ring->intf->out_prod = device->first_index;
    ring->port =
        (evtchn_port_t)xenevtchn_bind_unbound_port(frontend->evtchn, device->backend_domid);
    g_assert_cmpint((int)ring->port, >, 0);
}

void frontend_share(Frontend *frontend)
{
    g_assert_cmpuint(frontend->n_rings, ==, 0);
    for (unsigned i = 0; i < frontend->device.n_rings; i++)
        share_ring(frontend, &frontend->rings[i], i);
    frontend->n_rings = frontend->device.n_rings;
}

void frontend_unshare(Frontend *frontend)
{
    for (unsigned i = 0; i < frontend->n_rings; i++) {
        FrontendRing *ring = &frontend->rings[i];

        xenevtchn_unbind(frontend->evtchn, ring->port);
        xengntshr_unshare(frontend->gntshr, ring->in, 1U << ring->order);
        xengntshr_unshare(frontend->gntshr, ring->intf, 1);
    }
    frontend->n_rings = 0;
}

/* ---- Nodes ---- */

static bool write_node(Frontend *frontend, xs_transaction_t t, const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("%s/%s", frontend->dir, name);

    if (!value)
        return xs_rm(frontend->xs, t, path);
    return xs_write(frontend->xs, t, path, value, (unsigned)strlen(value));
}

static bool write_number(Frontend *frontend, xs_transaction_t t, const char *name, uint32_t value)
{
    g_autofree char *text = g_strdup_printf("%u", value);

    return write_node(frontend, t, name, text);
}

void frontend_write(Frontend *frontend, const char *name, const char *value)
{
    g_assert_true(write_node(frontend, XBT_NULL, name, value));
}

void frontend_set_state(Frontend *frontend, enum xenbus_state state)
{
    g_assert_true(write_number(frontend, XBT_NULL, "state", state));
}

static bool publish_rings(Frontend *frontend, xs_transaction_t t)
{
    bool written = write_number(frontend, t, "version", 1) &&
                   write_number(frontend, t, "num-rings", frontend->n_rings);

    for (unsigned i = 0; i < frontend->n_rings; i++) {
        g_autofree char *ref = g_strdup_printf("ring-ref%u", i);
        g_autofree char *port = g_strdup_printf("event-channel-%u", i);

        written = written && write_number(frontend, t, ref, frontend->rings[i].intf_ref) &&
                  write_number(frontend, t, port, frontend->rings[i].port);
    }
    return written;
}

void frontend_publish(Frontend *frontend)
{
    xs_transaction_t t;

    do {
        t = xs_transaction_start(frontend->xs);
        g_assert_true(publish_rings(frontend, t));
    } while (!xs_transaction_end(frontend->xs, t, false) && errno == EAGAIN);
}

enum xenbus_state frontend_backend_state(const Frontend *frontend)
{
    const FrontendDevice *device = &frontend->device;
    g_autofree char *path =
        g_strdup_printf("/local/domain/%u/backend/%s/%u/%u/state", device->backend_domid,
                        device->kind, device->domid, device->devid);
    char *text = xs_read(frontend->xs, XBT_NULL, path, NULL);
    enum xenbus_state state = text ? (enum xenbus_state)atoi(text) : XenbusStateUnknown;

    free(text);
    return state;
}

bool frontend_wait_backend(Frontend *frontend, enum xenbus_state state, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

    while (frontend_backend_state(frontend) != state) {
        if (g_get_monotonic_time() >= end)
            return false;
        g_usleep(500);
    }
    return true;
}

/* ---- The whole way ---- */

bool frontend_connect(Frontend *frontend)
{
    if (!frontend_wait_backend(frontend, XenbusStateInitWait, FRONTEND_TIMEOUT_MS))
        return false;
    frontend_share(frontend);
    frontend_publish(frontend);
    frontend_set_state(frontend, XenbusStateInitialised);
    if (!frontend_wait_backend(frontend, XenbusStateConnected, FRONTEND_TIMEOUT_MS))
        return false;
    frontend_set_state(frontend, XenbusStateConnected);
    return true;
}

bool frontend_disconnect(Frontend *frontend)
{
    bool closed = true;

    if (frontend->device.close_handshake) {
        frontend_set_state(frontend, XenbusStateClosing);
        closed = frontend_wait_backend(frontend, XenbusStateClosing, FRONTEND_TIMEOUT_MS);
    }
    frontend_set_state(frontend, XenbusStateClosed);
    closed = frontend_wait_backend(frontend, XenbusStateClosed, FRONTEND_TIMEOUT_MS) && closed;
    frontend_unshare(frontend);
    g_queue_clear_full(&frontend->replies, g_free);
    frontend_set_state(frontend, XenbusStateInitialising);
    return closed;
}

bool frontend_follow_close(Frontend *frontend)
{
    bool asked = frontend_wait_backend(frontend, XenbusStateClosing, FRONTEND_TIMEOUT_MS);

    frontend_unshare(frontend);
    frontend_set_state(frontend, XenbusStateClosed);
    return asked;
}

bool frontend_remove(Frontend *frontend)
{
    bool asked;

    toolstack_ask_remove(&frontend->device);
    asked = frontend_follow_close(frontend);
    return toolstack_finish_remove(&frontend->device) && asked;
}
