/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xenstore: see xenstore.h. */
#include "xen-9pfs/xenstore.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum {
    /* Others that commit in between make a transaction fail; so many times in a row they don't. */
    TRANSACTION_TRIES = 100,
    /* Watch events taken in a row before other sources get their turn. */
    EVENTS_PER_TURN = 64,
};

struct Xenstore {
    struct xs_handle *handle;
    guint source;
    XenstoreEvent event;
    XenstoreLost lost;
    void *data;
};

/* After xs_check_watch() returned no event: false when none can come any more. */
static bool is_connected(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOMEM;
}

/* Hands over what has arrived; the descriptor stays readable while events are left. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    Xenstore *store = data;

    (void)fd;
    (void)condition;
    for (int i = 0; i < EVENTS_PER_TURN; i++) {
        char **event = xs_check_watch(store->handle);

        if (event == NULL && is_connected(errno))
            break;
        if (event == NULL) {
            store->source = 0;
            store->lost(store->data);
            return G_SOURCE_REMOVE;
        }
        store->event(event[XS_WATCH_PATH], event[XS_WATCH_TOKEN], store->data);
        free(event);
    }
    return G_SOURCE_CONTINUE;
}

Xenstore *xenstore_open(XenstoreEvent event, XenstoreLost lost, void *data)
{
    struct xs_handle *handle = xs_open(0);
    Xenstore *store;

    if (handle == NULL)
        return NULL;
    store = g_new0(Xenstore, 1);
    store->handle = handle;
    store->event = event;
    store->lost = lost;
    store->data = data;
    store->source = g_unix_fd_add(xs_fileno(handle), G_IO_IN, on_readable, store);
    return store;
}

void xenstore_close(Xenstore *store)
{
    if (store->source != 0)
        g_source_remove(store->source);
    xs_close(store->handle);
    g_free(store);
}

static char *node_path(const char *folder, const char *name)
{
    return g_strconcat(folder, "/", name, NULL);
}

int xenstore_read_string(Xenstore *store, xs_transaction_t transaction, const char *folder,
                         const char *name, char **value)
{
    g_autofree char *path = node_path(folder, name);
    unsigned length;
    char *raw = xs_read(store->handle, transaction, path, &length);
    int rc = 0;

    *value = NULL;
    if (raw == NULL)
        return -errno;
    if (strlen(raw) == length)
        *value = g_strdup(raw);
    else
        rc = -EINVAL;
    free(raw);
    return rc;
}

int xenstore_parse_uint32(const char *text, uint32_t *value)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, &number, NULL))
        return -EINVAL;
    if (text[0] == '0' && text[1] != '\0')
        return -EINVAL;
    *value = (uint32_t)number;
    return 0;
}

int xenstore_read_uint32(Xenstore *store, xs_transaction_t transaction, const char *folder,
                         const char *name, uint32_t *value)
{
    g_autofree char *text = NULL;
    int rc = xenstore_read_string(store, transaction, folder, name, &text);

    return rc < 0 ? rc : xenstore_parse_uint32(text, value);
}

int xenstore_write(Xenstore *store, xs_transaction_t transaction, const char *folder,
                   const char *name, const char *format, ...)
{
    g_autofree char *path = node_path(folder, name);
    g_autofree char *value = NULL;
    va_list args;

    va_start(args, format);
    value = g_strdup_vprintf(format, args);
    va_end(args);
    if (!xs_write(store->handle, transaction, path, value, (unsigned)strlen(value)))
        return -errno;
    return 0;
}

int xenstore_remove(Xenstore *store, xs_transaction_t transaction, const char *path)
{
    if (!xs_rm(store->handle, transaction, path) && errno != ENOENT)
        return -errno;
    return 0;
}

int xenstore_make_folder(Xenstore *store, xs_transaction_t transaction, const char *path,
                         uint32_t owner, uint32_t reader)
{
    struct xs_permissions permissions[] = {
        {.id = owner, .perms = XS_PERM_NONE}, /* whatever others may do, the owner may do all */
        {.id = reader, .perms = XS_PERM_READ},
    };
    int rc = xenstore_remove(store, transaction, path);

    if (rc < 0)
        return rc;
    if (!xs_mkdir(store->handle, transaction, path) ||
        !xs_set_permissions(store->handle, transaction, path, permissions,
                            G_N_ELEMENTS(permissions)))
        return -errno;
    return 0;
}

/* True when the node has neither a value nor children; also when it is not there. */
static bool is_empty(Xenstore *store, xs_transaction_t transaction, const char *path)
{
    g_auto(GStrv) children = xenstore_list(store, transaction, path);
    unsigned length = 0;

    free(xs_read(store->handle, transaction, path, &length));
    return children != NULL && children[0] == NULL && length == 0;
}

int xenstore_prune(Xenstore *store, xs_transaction_t transaction, const char *path)
{
    g_autofree char *folder = g_strdup(path);
    int rc = xenstore_remove(store, transaction, folder);
    char *slash;

    while (rc == 0 && (slash = strrchr(folder, '/')) != NULL && slash != folder) {
        *slash = '\0';
        if (strchr(folder, '/') == NULL || !is_empty(store, transaction, folder))
            break;
        rc = xenstore_remove(store, transaction, folder);
    }
    return rc;
}

char **xenstore_list(Xenstore *store, xs_transaction_t transaction, const char *folder)
{
    unsigned n_names = 0;
    char **raw = xs_directory(store->handle, transaction, folder, &n_names);
    char **names;

    if (raw == NULL && errno != ENOENT)
        return NULL;
    names = g_new0(char *, n_names + 1);
    for (unsigned i = 0; raw != NULL && i < n_names; i++)
        names[i] = g_strdup(raw[i]);
    free(raw);
    return names;
}

/* Ends a transaction whose body returned `rc`. Returns -EAGAIN when it must be run again. */
static int transaction_end(Xenstore *store, xs_transaction_t transaction, int rc)
{
    if (!xs_transaction_end(store->handle, transaction, rc < 0) && rc == 0)
        return -errno;
    return rc;
}

int xenstore_transact(Xenstore *store, XenstoreBody body, void *data)
{
    int rc = -EAGAIN;

    for (int i = 0; i < TRANSACTION_TRIES && rc == -EAGAIN; i++) {
        xs_transaction_t transaction = xs_transaction_start(store->handle);

        if (transaction == XBT_NULL)
            return -errno;
        rc = transaction_end(store, transaction, body(store, transaction, data));
    }
    return rc;
}

/* A relative path begins at one's own home. */
int xenstore_read_own_domid(Xenstore *store, uint32_t *domid)
{
    char *text = xs_read(store->handle, XBT_NULL, "domid", NULL);
    int rc = text != NULL ? xenstore_parse_uint32(text, domid) : -errno;

    free(text);
    return rc;
}

bool xenstore_knows_domain(Xenstore *store, uint32_t domid)
{
    return xs_is_domain_introduced(store->handle, domid);
}

int xenstore_watch(Xenstore *store, const char *path, const char *token)
{
    return xs_watch(store->handle, path, token) ? 0 : -errno;
}

void xenstore_unwatch(Xenstore *store, const char *path, const char *token)
{
    if (!xs_unwatch(store->handle, path, token))
        log_debug("cannot remove the watch on %s: %s", path, g_strerror(errno));
}
