/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-in for libxenevtchn: event channels without a broker on the data path.
 *
 * A port's bits are in memory that all processes share (shared.h), and whoever sends knows the
 * eventfd of the handle at the other end: the one that binds to a waiting port learns it at once,
 * the one that waited asks for it when it first notifies. So notify is at most one write(2),
 * and pending and unmask need nothing but read(2) and write(2).
 */
#include "tests/standin/core.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenevtchn.h>

enum { PROMISED_READS = 1000 }; /* only a sender that was killed leaves so many in vain */

/* One port that is bound on a handle. */
typedef struct LocalPort {
    /* The peer's eventfd in the lower half, the binding that it belongs to in the upper. */
    _Atomic uint64_t peer;
    GArray *fds; /* every eventfd that this port ever had: another thread may still use one */
} LocalPort;

struct xenevtchn_handle {
    CoreHandle *core;
    int event_fd;
    uint32_t slot;
    uint32_t cursor;
    uint32_t last_port;     /* the highest that was ever bound here */
    uint32_t restricted_to; /* UINT32_MAX: to no domain */
    LocalPort *ports[SHARED_PORTS];
};

static uint64_t peer_pack(uint32_t binding, int fd)
{
    return (uint64_t)binding << 32 | (uint32_t)fd;
}

static void signal_fd(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));

    (void)written;
}

static void clear_fd_array(GArray *fds)
{
    for (unsigned i = 0; i < fds->len; i++)
        close(g_array_index(fds, int, i));
    g_array_free(fds, TRUE);
}

static void port_free(LocalPort *port)
{
    if (!port)
        return;
    clear_fd_array(port->fds);
    g_free(port);
}

static void port_set_peer(LocalPort *port, uint32_t binding, int fd)
{
    g_array_append_val(port->fds, fd);
    atomic_store(&port->peer, peer_pack(binding, fd));
}

static LocalPort *port_new(void)
{
    LocalPort *port = g_new0(LocalPort, 1);

    port->fds = g_array_new(FALSE, FALSE, sizeof(int));
    atomic_store(&port->peer, peer_pack(0, -1));
    return port;
}

static void handle_add_port(xenevtchn_handle *xce, uint32_t port, LocalPort *local)
{
    xce->ports[port] = local;
    xce->last_port = MAX(xce->last_port, port);
}

static LocalPort *handle_find(xenevtchn_handle *xce, uint32_t port)
{
    LocalPort *local = port < SHARED_PORTS ? xce->ports[port] : NULL;

    if (!local)
        errno = ENOTCONN;
    return local;
}

/* Gives the broker the descriptor that is written to when a port of this handle is delivered. */
static int handle_register(xenevtchn_handle *xce)
{
    WireMessage *message = core_begin(xce->core, WIRE_EVENT_OPEN);
    int result = core_exchange(xce->core, xce->event_fd, NULL);

    if (result == 0)
        xce->slot = message->args[0];
    core_end(xce->core);
    return result;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    CoreHandle *core = core_open(__func__);
    xenevtchn_handle *xce;

    (void)logger;
    if (!core)
        return NULL;
    xce = g_new0(xenevtchn_handle, 1);
    xce->core = core;
    xce->restricted_to = UINT32_MAX;
    xce->event_fd = eventfd(0, EFD_SEMAPHORE | (flags & XENEVTCHN_NO_CLOEXEC ? 0 : EFD_CLOEXEC));
    if (xce->event_fd < 0 || handle_register(xce) != 0) {
        int error = errno;
        xenevtchn_close(xce);
        errno = error;
        return NULL;
    }
    return xce;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    if (!xce)
        return 0;
    core_close(xce->core);
    for (unsigned i = 0; i < SHARED_PORTS; i++)
        port_free(xce->ports[i]);
    if (xce->event_fd >= 0)
        close(xce->event_fd);
    g_free(xce);
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->event_fd;
}

static bool may_bind(xenevtchn_handle *xce, uint32_t domid)
{
    if (xce->restricted_to == UINT32_MAX || xce->restricted_to == domid)
        return true;
    errno = EACCES;
    return false;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
    uint32_t port;

    if (core_fault(xce->core, __func__) || !may_bind(xce, domid) ||
        core_call(xce->core, WIRE_BIND_UNBOUND, domid, 0, &port) != 0)
        return -1;
    handle_add_port(xce, port, port_new());
    return (xenevtchn_port_or_error_t)port;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    WireMessage *message;
    LocalPort *local;
    int result;
    int fd = -1;

    if (core_fault(xce->core, __func__) || !may_bind(xce, domid))
        return -1;
    message = core_begin(xce->core, WIRE_BIND_INTERDOMAIN);
    message->args[0] = domid;
    message->args[1] = remote_port;
    result = core_exchange(xce->core, -1, &fd);
    if (result == 0) {
        local = port_new();
        port_set_peer(local, message->args[1], fd);
        result = (int)message->args[0];
        handle_add_port(xce, message->args[0], local);
    }
    core_end(xce->core);
    return result;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    LocalPort *local = handle_find(xce, port);

    if (!local || core_fault(xce->core, __func__))
        return -1;
    xce->ports[port] = NULL;
    port_free(local);
    return core_call(xce->core, WIRE_UNBIND, port, 0, NULL);
}

/* Asks the broker who is at the other end now. */
static int port_refresh_peer(xenevtchn_handle *xce, uint32_t port, LocalPort *local)
{
    WireMessage *message = core_begin(xce->core, WIRE_PEER);
    int fd = -1;

    message->args[0] = port;
    if (core_exchange(xce->core, -1, &fd) == 0)
        port_set_peer(local, message->args[0], fd);
    core_end(xce->core);
    return fd;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    LocalPort *local = handle_find(xce, port);
    SharedPort *shared = &xce->core->shared->ports[port % SHARED_PORTS];
    uint64_t peer;
    int fd;

    if (!local || core_fault(xce->core, __func__))
        return -1;
    core_charge_notify();
    /* Also the barrier that a hypercall is: what the caller wrote to a ring before is seen by
     * whoever takes a port that the raise below finds pending already. */
    atomic_fetch_add(&shared->notified, 1);
    if (atomic_load(&shared->state) != PORT_INTERDOMAIN)
        return 0; /* nobody is there yet, or any more: the hypervisor drops it */
    if (!shared_port_raise(xce->core->shared, shared->peer))
        return 0;
    peer = atomic_load(&local->peer);
    if (peer >> 32 == shared->binding)
        fd = (int)(uint32_t)peer;
    else
        fd = port_refresh_peer(xce, port, local);
    if (fd >= 0)
        signal_fd(fd);
    return 0;
}

/* Consumes one write to the descriptor. Returns false with errno set when there was none and the
 * descriptor does not block. */
static bool handle_read(xenevtchn_handle *xce)
{
    uint64_t count;

    return read(xce->event_fd, &count, sizeof(count)) == sizeof(count);
}

/* Consumes the write that somebody has undertaken to do, and may not have done yet. */
static bool handle_read_promised(xenevtchn_handle *xce)
{
    for (unsigned i = 0; i < PROMISED_READS; i++) {
        if (handle_read(xce))
            return true;
    }
    return false;
}

/* Takes a delivered port. When it is a word's last, the write for that word is consumed, unless
 * the caller has read one already. */
static uint32_t handle_take(xenevtchn_handle *xce, bool has_read)
{
    Shared *shared = xce->core->shared;
    bool emptied = false;
    uint32_t port = shared_handle_take(shared, xce->slot, xce->last_port, &xce->cursor, &emptied);

    if (port == 0)
        return 0;
    if (emptied && (has_read || handle_read_promised(xce))) {
        if (shared_handle_release(shared, xce->slot, port))
            signal_fd(xce->event_fd);
    } else if (has_read) {
        signal_fd(xce->event_fd); /* what was read was for the ports that are left */
    }
    return port;
}

/* A write has come for which there is no port: the one that was promised for a word whose ports
 * were all taken without waiting for it any longer. */
static void handle_settle(xenevtchn_handle *xce)
{
    for (uint32_t port = 0; port <= xce->last_port; port += SHARED_PORTS_PER_WORD) {
        if (!shared_handle_release(xce->core->shared, xce->slot, port))
            return;
    }
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    uint32_t port;

    if (core_fault(xce->core, __func__))
        return -1;
    port = handle_take(xce, false);
    while (port == 0 || !xce->ports[port] || !shared_port_accept(xce->core->shared, port)) {
        if (port == 0 && !handle_read(xce))
            return -1;
        port = handle_take(xce, port == 0);
        if (port == 0) {
            handle_settle(xce);
            errno = EAGAIN; /* woken for a port that was unbound, or by a process that died */
            return -1;
        }
    }
    return (xenevtchn_port_or_error_t)port;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    if (core_fault(xce->core, __func__))
        return -1;
    if (port < SHARED_PORTS && xce->ports[port] && shared_port_unmask(xce->core->shared, port))
        signal_fd(xce->event_fd);
    return 0;
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
    if (xce->restricted_to != UINT32_MAX) {
        errno = EACCES;
        return -1;
    }
    xce->restricted_to = domid;
    return 0;
}
