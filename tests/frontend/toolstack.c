/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Toolstack: what libxl does in xenstore for a 9pfs device; see frontend.h. */
#include "tests/frontend/frontend.h"
#include "tests/standin/standin.h"

#include <stdlib.h>
#include <string.h>

enum { ADD_TIMEOUT_MS = 20000, REMOVE_TIMEOUT_MS = 20000, POLL_US = 500 };

/* A connection as domain 0, for as long as one function needs it. */
static struct xs_handle *open_as_toolstack(void)
{
    uint32_t self = standin_domid();
    struct xs_handle *xs;

    standin_set_domid(0);
    xs = xs_open(0);
    standin_set_domid(self);
    g_assert_nonnull(xs);
    return xs;
}

static char *backend_dir(const FrontendDevice *device)
{
    return g_strdup_printf("/local/domain/%u/backend/%s/%u/%u", device->backend_domid, device->kind,
                           device->domid, device->devid);
}

static char *frontend_dir(const FrontendDevice *device)
{
    return g_strdup_printf("/local/domain/%u/device/9pfs/%u", device->domid, device->devid);
}

/* Makes a directory that belongs to `owner` and that `reader` may read. */
static void make_dir(struct xs_handle *xs, xs_transaction_t t, const char *dir, uint32_t owner,
                     uint32_t reader)
{
    struct xs_permissions perms[] = {
        {.id = owner, .perms = XS_PERM_NONE},
        {.id = reader, .perms = XS_PERM_READ},
    };

    xs_rm(xs, t, dir);
    g_assert_true(xs_mkdir(xs, t, dir));
    g_assert_true(xs_set_permissions(xs, t, dir, perms, G_N_ELEMENTS(perms)));
}

static void write_node(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *name,
                       const char *value)
{
    g_autofree char *path = g_strdup_printf("%s/%s", dir, name);

    if (value)
        g_assert_true(xs_write(xs, t, path, value, (unsigned)strlen(value)));
    else
        xs_rm(xs, t, path);
}

static void write_number(struct xs_handle *xs, xs_transaction_t t, const char *dir,
                         const char *name, uint32_t value)
{
    g_autofree char *text = g_strdup_printf("%u", value);

    write_node(xs, t, dir, name, text);
}

static void write_backend_nodes(struct xs_handle *xs, xs_transaction_t t, const char *dir,
                                const char *other_dir, const FrontendDevice *device)
{
    make_dir(xs, t, dir, device->backend_domid, device->domid);
    write_node(xs, t, dir, "frontend", other_dir);
    write_number(xs, t, dir, "frontend-id", device->domid);
    write_number(xs, t, dir, "online", 1);
    write_number(xs, t, dir, "state", XenbusStateInitialising);
    write_node(xs, t, dir, "path", device->path);
    write_node(xs, t, dir, "security_model", device->security_model);
    if (strcmp(device->kind, "xen_9pfs") == 0) {
        write_number(xs, t, dir, "max-space", 0);
        write_number(xs, t, dir, "max-files", 0);
        write_number(xs, t, dir, "max-open-files", 0);
        write_number(xs, t, dir, "auto-delete", 0);
    }
    for (const FrontendNode *node = device->nodes; node && node->name; node++)
        write_node(xs, t, dir, node->name, node->value);
}

static void write_frontend_nodes(struct xs_handle *xs, xs_transaction_t t, const char *dir,
                                 const char *other_dir, const FrontendDevice *device)
{
    make_dir(xs, t, dir, device->domid, device->backend_domid);
    write_node(xs, t, dir, "backend", other_dir);
    write_number(xs, t, dir, "backend-id", device->backend_domid);
    write_number(xs, t, dir, "state", XenbusStateInitialising);
    write_node(xs, t, dir, "tag", device->tag);
}

void toolstack_add(const FrontendDevice *device)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *front = frontend_dir(device);
    g_autofree char *back = backend_dir(device);
    xs_transaction_t t;

    do {
        t = xs_transaction_start(xs);
        write_frontend_nodes(xs, t, front, back, device);
        write_backend_nodes(xs, t, back, front, device);
    } while (!xs_transaction_end(xs, t, false) && errno == EAGAIN);
    xs_close(xs);
}

bool toolstack_add_wait(const FrontendDevice *device)
{
    toolstack_add(device);
    return toolstack_wait_state(device, XenbusStateInitWait, ADD_TIMEOUT_MS);
}

static char *read_node(const char *dir, const char *name)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
    char *value = xs_read(xs, XBT_NULL, path, NULL);

    xs_close(xs);
    return value;
}

char *toolstack_read_backend(const FrontendDevice *device, const char *name)
{
    g_autofree char *dir = backend_dir(device);

    return read_node(dir, name);
}

char *toolstack_read_frontend(const FrontendDevice *device, const char *name)
{
    g_autofree char *dir = frontend_dir(device);

    return read_node(dir, name);
}

char *toolstack_read_error(const FrontendDevice *device)
{
    g_autofree char *dir =
        g_strdup_printf("/local/domain/%u/error/backend/%s/%u/%u", device->backend_domid,
                        device->kind, device->domid, device->devid);

    return read_node(dir, "error");
}

void toolstack_write_backend(const FrontendDevice *device, const char *name, const char *value)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *dir = backend_dir(device);

    write_node(xs, XBT_NULL, dir, name, value);
    xs_close(xs);
}

enum xenbus_state toolstack_backend_state(const FrontendDevice *device)
{
    char *text = toolstack_read_backend(device, "state");
    enum xenbus_state state = text ? (enum xenbus_state)atoi(text) : XenbusStateUnknown;

    free(text);
    return state;
}

bool toolstack_wait_state(const FrontendDevice *device, enum xenbus_state state, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

    while (toolstack_backend_state(device) != state) {
        if (g_get_monotonic_time() >= end)
            return false;
        g_usleep(POLL_US);
    }
    return true;
}

void toolstack_ask_remove(const FrontendDevice *device)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *dir = backend_dir(device);
    xs_transaction_t t;

    do {
        t = xs_transaction_start(xs);
        write_number(xs, t, dir, "online", 0);
        write_number(xs, t, dir, "state", XenbusStateClosing);
    } while (!xs_transaction_end(xs, t, false) && errno == EAGAIN);
    xs_close(xs);
}

void toolstack_delete(const FrontendDevice *device)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *front = frontend_dir(device);
    g_autofree char *back = backend_dir(device);

    xs_rm(xs, XBT_NULL, front);
    xs_rm(xs, XBT_NULL, back);
    xs_close(xs);
}

bool toolstack_finish_remove(const FrontendDevice *device)
{
    bool closed = toolstack_wait_state(device, XenbusStateClosed, REMOVE_TIMEOUT_MS);

    toolstack_delete(device);
    return closed;
}

bool toolstack_remove(const FrontendDevice *device)
{
    toolstack_ask_remove(device);
    return toolstack_finish_remove(device);
}

void toolstack_delete_domain(uint32_t domid)
{
    struct xs_handle *xs = open_as_toolstack();
    g_autofree char *home = g_strdup_printf("/local/domain/%u", domid);

    xs_rm(xs, XBT_NULL, home);
    xs_close(xs);
}
