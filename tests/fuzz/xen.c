/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xen within one process; see xen.h. */
#include "tests/fuzz/xen.h"

#include <errno.h>
#include <glib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

typedef struct Port {
    bool bound;
    bool masked;
    bool again; /* raised while it was masked */
} Port;

static struct {
    uint8_t *pages;
    int pages_fd;
    int event_fd; /* a semaphore that counts `waiting` */

    GMutex lock; /* guards: */
    GCond notified;
    bool has_notified;
    int fault; /* calls that are left before the one that fails */
    unsigned n_mapped;
    unsigned n_bound;
    Port ports[XEN_N_PORTS];
    unsigned waiting[XEN_N_PORTS]; /* ports that were raised and not taken, oldest first */
    unsigned n_waiting;
} xen;

uint8_t *xen_guest_pages(void)
{
    if (xen.pages)
        return xen.pages;
    xen.pages_fd = memfd_create("guest", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(xen.pages_fd, XEN_N_PAGES * XEN_PAGE), ==, 0);
    xen.pages = mmap(NULL, XEN_N_PAGES * XEN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, xen.pages_fd, 0);
    g_assert_true(xen.pages != MAP_FAILED);
    xen.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    return xen.pages;
}

void xen_begin(int fault)
{
    g_assert_cmpuint(xen.n_mapped, ==, 0);
    g_assert_cmpuint(xen.n_bound, ==, 0);
    xen.fault = fault;
    xen.has_notified = false;
}

/* Whether this call of the library is the one that fails. */
static bool fails(void)
{
    bool now;

    g_mutex_lock(&xen.lock);
    now = xen.fault == 0;
    if (xen.fault >= 0)
        xen.fault--;
    g_mutex_unlock(&xen.lock);
    if (now)
        errno = ENOMEM;
    return now;
}

/*
 * Grants
 */

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return fails() ? NULL : (xengnttab_handle *)&xen;
}

int xengnttab_close(xengnttab_handle *handle)
{
    (void)handle;
    return 0;
}

/* Room for `n` pages between two that cannot be touched. */
static uint8_t *reserve(uint32_t n)
{
    uint8_t *room = mmap(NULL, (n + 2) * (size_t)XEN_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(room != MAP_FAILED);
    return room + XEN_PAGE;
}

static bool map_page(uint8_t *at, uint32_t ref, int prot)
{
    return ref < XEN_N_PAGES && mmap(at, XEN_PAGE, prot, MAP_SHARED | MAP_FIXED, xen.pages_fd,
                                     (off_t)ref * XEN_PAGE) != MAP_FAILED;
}

static void release(uint8_t *start, uint32_t n)
{
    munmap(start - XEN_PAGE, (n + 2) * (size_t)XEN_PAGE);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    uint8_t *start;

    (void)handle;
    (void)domid;
    if (fails())
        return NULL;
    start = reserve(count);
    for (uint32_t i = 0; i < count; i++) {
        if (!map_page(start + i * XEN_PAGE, refs[i], prot)) {
            release(start, count);
            errno = EINVAL;
            return NULL;
        }
    }
    xen.n_mapped += count;
    return start;
}

void *xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int prot)
{
    return xengnttab_map_domain_grant_refs(handle, 1, domid, &ref, prot);
}

int xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
    (void)handle;
    release(start, count);
    xen.n_mapped -= count;
    return 0;
}

/*
 * Event channels: a port is its own peer.
 */

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return fails() ? NULL : (xenevtchn_handle *)&xen;
}

int xenevtchn_close(xenevtchn_handle *handle)
{
    (void)handle;
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    (void)handle;
    return xen.event_fd;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    (void)handle;
    (void)domid;
    if (fails())
        return -1;
    if (remote_port >= XEN_N_PORTS || xen.ports[remote_port].bound) {
        errno = EINVAL;
        return -1;
    }
    g_mutex_lock(&xen.lock);
    xen.ports[remote_port] = (Port){.bound = true};
    xen.n_bound++;
    g_mutex_unlock(&xen.lock);
    return (int)remote_port;
}

/* Takes the oldest port that was raised. Returns -1 when there is none. Called with the lock held. */
static int take_port(void)
{
    unsigned port = xen.waiting[0];
    eventfd_t one;

    if (xen.n_waiting == 0)
        return -1;
    eventfd_read(xen.event_fd, &one);
    xen.n_waiting--;
    for (unsigned i = 0; i < xen.n_waiting; i++)
        xen.waiting[i] = xen.waiting[i + 1];
    return (int)port;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    unsigned others[XEN_N_PORTS];
    unsigned n = 0;
    int waiting;

    (void)handle;
    g_mutex_lock(&xen.lock);
    g_assert_true(port < XEN_N_PORTS && xen.ports[port].bound);
    xen.ports[port].bound = false;
    xen.n_bound--;
    while ((waiting = take_port()) >= 0) {
        if ((unsigned)waiting != port)
            others[n++] = (unsigned)waiting;
    }
    for (unsigned i = 0; i < n; i++) {
        xen.waiting[xen.n_waiting++] = others[i];
        eventfd_write(xen.event_fd, 1);
    }
    g_mutex_unlock(&xen.lock);
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
    int port;

    (void)handle;
    g_mutex_lock(&xen.lock);
    port = take_port();
    g_mutex_unlock(&xen.lock);
    if (port < 0)
        errno = EAGAIN;
    return port;
}

/* Called with the lock held. */
static void raise_port(Port *port)
{
    if (!port->bound)
        return;
    if (port->masked) {
        port->again = true;
        return;
    }
    port->masked = true;
    xen.waiting[xen.n_waiting++] = (unsigned)(port - xen.ports);
    eventfd_write(xen.event_fd, 1);
}

int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t number)
{
    Port *port = &xen.ports[number];

    (void)handle;
    g_mutex_lock(&xen.lock);
    port->masked = false;
    if (port->again) {
        port->again = false;
        raise_port(port);
    }
    g_mutex_unlock(&xen.lock);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    g_mutex_lock(&xen.lock);
    g_assert_true(port < XEN_N_PORTS && xen.ports[port].bound);
    xen.has_notified = true;
    g_cond_signal(&xen.notified);
    g_mutex_unlock(&xen.lock);
    return 0;
}

/*
 * The guest's side
 */

void xen_guest_notify(uint32_t port)
{
    g_mutex_lock(&xen.lock);
    if (port < XEN_N_PORTS)
        raise_port(&xen.ports[port]);
    g_mutex_unlock(&xen.lock);
}

void xen_guest_wait(int64_t usec)
{
    int64_t end = g_get_monotonic_time() + usec;

    g_mutex_lock(&xen.lock);
    while (!xen.has_notified && g_cond_wait_until(&xen.notified, &xen.lock, end))
        ;
    xen.has_notified = false;
    g_mutex_unlock(&xen.lock);
}
