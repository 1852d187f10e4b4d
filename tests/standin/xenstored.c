/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Xenstored: connections to the store, their watches and transactions.
 *
 * A transaction works on a copy of the store and notes for every node it looked at how old that
 * was. It is committed by doing its changes again on the store itself, if none of those nodes
 * changed meanwhile; otherwise it ends with EAGAIN. Watch events go out in the order of the
 * changes; what a slow reader does not take is kept.
 */
#include "tests/standin/broker.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xenstore.h>

enum { WATCHES_PER_DOMAIN = 128, TRANSACTIONS_PER_DOMAIN = 10 };

typedef struct Watch {
    char *path; /* absolute, or that of a special watch */
    char *token;
    bool relative; /* was asked for, and is reported, relative to the domain's home */
} Watch;

typedef struct Access {
    char *path;
    uint64_t generation;
} Access;

/* One change, kept to be done again. */
typedef struct Change {
    WireOp op;
    char *path;
    GBytes *data; /* what was written, or the permissions */
} Change;

typedef struct Transaction {
    uint32_t id;
    Store *store;
    GArray *accesses;   /* of Access */
    GPtrArray *changes; /* of Change */
} Transaction;

typedef struct XsConnection {
    Client *client;
    int event_fd;
    unsigned event_source; /* waits until events can be written; 0: none wait */
    GQueue events;         /* of GBytes */
    GPtrArray *watches;
    GPtrArray *transactions;
    char *home;
} XsConnection;

static Store *main_store;

/* True when `path` is `above` or lies below it. */
static bool is_at_or_below(const char *above, const char *path)
{
    size_t length = strlen(above);

    return strcmp(above, "/") == 0 ||
           (strncmp(above, path, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

/* ---- Events ---- */

static gboolean write_events(int fd, GIOCondition condition, void *data)
{
    XsConnection *xs = data;
    GBytes *event;

    (void)condition;
    while ((event = g_queue_peek_head(&xs->events))) {
        gsize size;
        const void *bytes = g_bytes_get_data(event, &size);

        if (send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
            return G_SOURCE_CONTINUE;
        g_bytes_unref(g_queue_pop_head(&xs->events));
    }
    xs->event_source = 0;
    return G_SOURCE_REMOVE;
}

static void queue_event(XsConnection *xs, const Watch *watch, const char *path)
{
    size_t skip = watch->relative ? strlen(xs->home) + 1 : 0;
    GByteArray *event = g_byte_array_new();

    path += MIN(skip, strlen(path));
    g_byte_array_append(event, (const guint8 *)path, (guint)strlen(path) + 1);
    g_byte_array_append(event, (const guint8 *)watch->token, (guint)strlen(watch->token) + 1);
    g_queue_push_tail(&xs->events, g_byte_array_free_to_bytes(event));
    if (xs->event_source == 0 && write_events(xs->event_fd, G_IO_OUT, xs) == G_SOURCE_CONTINUE)
        xs->event_source = g_unix_fd_add(xs->event_fd, G_IO_OUT, write_events, xs);
}

static void fire_connection(XsConnection *xs, const char *path, bool exact)
{
    for (unsigned i = 0; i < xs->watches->len; i++) {
        const Watch *watch = g_ptr_array_index(xs->watches, i);
        bool match = exact ? strcmp(watch->path, path) == 0 : is_at_or_below(watch->path, path);

        if (match && (path[0] == '@' || store_may_read(main_store, xs->client->domid, path)))
            queue_event(xs, watch, path);
    }
}

static void fire(const char *path, bool exact)
{
    for (unsigned i = 0; i < broker.clients->len; i++) {
        Client *client = g_ptr_array_index(broker.clients, i);

        if (client->xs)
            fire_connection(client->xs, path, exact);
    }
}

void xenstored_fire_special(const char *path)
{
    fire(path, true);
}

static bool change_seen(GPtrArray *changes, unsigned count, const StoreChange *change)
{
    for (unsigned i = 0; i < count; i++) {
        const StoreChange *other = g_ptr_array_index(changes, i);

        if (strcmp(other->path, change->path) == 0 && (!other->exact || change->exact))
            return true;
    }
    return false;
}

/* Fires once for each node that changed. */
static void fire_changes(GPtrArray *changes)
{
    for (unsigned i = 0; i < changes->len; i++) {
        const StoreChange *change = g_ptr_array_index(changes, i);

        if (!change_seen(changes, i, change))
            fire(change->path, change->exact);
    }
}

/* ---- Watches ---- */

static void watch_free(void *data)
{
    Watch *watch = data;

    g_free(watch->path);
    g_free(watch->token);
    g_free(watch);
}

static Watch *find_watch(XsConnection *xs, const char *path, const char *token)
{
    for (unsigned i = 0; i < xs->watches->len; i++) {
        Watch *watch = g_ptr_array_index(xs->watches, i);

        if (strcmp(watch->path, path) == 0 && strcmp(watch->token, token) == 0)
            return watch;
    }
    return NULL;
}

static int add_watch(XsConnection *xs, const char *path, const char *token, bool relative)
{
    Watch *watch;

    if (find_watch(xs, path, token))
        return -EEXIST;
    if (xs->client->domid != 0 && xs->watches->len >= WATCHES_PER_DOMAIN)
        return -E2BIG;
    watch = g_new0(Watch, 1);
    watch->path = g_strdup(path);
    watch->token = g_strdup(token);
    watch->relative = relative;
    g_ptr_array_add(xs->watches, watch);
    queue_event(xs, watch, path);
    return 0;
}

/* ---- Transactions ---- */

static void access_clear(void *data)
{
    g_free(((Access *)data)->path);
}

static void change_free(void *data)
{
    Change *change = data;

    g_free(change->path);
    g_bytes_unref(change->data);
    g_free(change);
}

static void transaction_free(void *data)
{
    Transaction *transaction = data;

    store_free(transaction->store);
    g_array_free(transaction->accesses, TRUE);
    g_ptr_array_free(transaction->changes, TRUE);
    g_free(transaction);
}

static int transaction_start(XsConnection *xs, uint32_t *id)
{
    static uint32_t last_id;
    Transaction *transaction;

    if (xs->client->domid != 0 && xs->transactions->len >= TRANSACTIONS_PER_DOMAIN)
        return -ENOSPC;
    transaction = g_new0(Transaction, 1);
    transaction->id = *id = ++last_id;
    transaction->store = store_clone(main_store);
    transaction->accesses = g_array_new(FALSE, FALSE, sizeof(Access));
    g_array_set_clear_func(transaction->accesses, access_clear);
    transaction->changes = g_ptr_array_new_with_free_func(change_free);
    g_ptr_array_add(xs->transactions, transaction);
    return 0;
}

static Transaction *find_transaction(XsConnection *xs, uint32_t id)
{
    for (unsigned i = 0; i < xs->transactions->len; i++) {
        Transaction *transaction = g_ptr_array_index(xs->transactions, i);

        if (transaction->id == id)
            return transaction;
    }
    return NULL;
}

static void note_access(Transaction *transaction, const char *path)
{
    Access access = {.path = g_strdup(path)};

    for (unsigned i = 0; i < transaction->accesses->len; i++) {
        if (strcmp(g_array_index(transaction->accesses, Access, i).path, path) == 0) {
            g_free(access.path);
            return;
        }
    }
    access.generation = store_generation(transaction->store, path);
    g_array_append_val(transaction->accesses, access);
}

/* Notes the node itself and, for one that is to be made or removed, those above it that this
 * changes: up to the first that exists. */
static void note_accesses(Transaction *transaction, WireOp op, const char *path)
{
    g_autofree char *above = g_strdup(path);
    bool exists = store_generation(transaction->store, path) != 0;
    bool changes_parent =
        op == WIRE_XS_RM || (!exists && (op == WIRE_XS_WRITE || op == WIRE_XS_MKDIR));

    note_access(transaction, path);
    while (changes_parent) {
        char *slash = strrchr(above, '/');

        slash[slash == above] = '\0';
        note_access(transaction, above);
        changes_parent = store_generation(transaction->store, above) == 0;
    }
}

static void note_change(Transaction *transaction, WireOp op, const char *path, GBytes *data)
{
    Change *change = g_new0(Change, 1);

    change->op = op;
    change->path = g_strdup(path);
    change->data = g_bytes_ref(data);
    g_ptr_array_add(transaction->changes, change);
}

static int change_store(Store *store, uint32_t domid, WireOp op, const char *path, GBytes *data,
                        GPtrArray *changes)
{
    gsize size;
    const void *bytes = g_bytes_get_data(data, &size);

    switch (op) {
    case WIRE_XS_WRITE:
        return store_write(store, domid, path, data, changes);
    case WIRE_XS_MKDIR:
        return store_mkdir(store, domid, path, changes);
    case WIRE_XS_RM:
        return store_rm(store, domid, path, changes);
    default:
        return store_set_perms(store, domid, path, bytes, (unsigned)(size / sizeof(StorePerm)),
                               changes);
    }
}

static bool transaction_conflicts(const Transaction *transaction)
{
    for (unsigned i = 0; i < transaction->accesses->len; i++) {
        const Access *access = &g_array_index(transaction->accesses, Access, i);

        if (store_generation(main_store, access->path) != access->generation)
            return true;
    }
    return false;
}

static int transaction_commit(const Transaction *transaction, uint32_t domid)
{
    g_autoptr(GPtrArray) changes = store_changes_new();

    if (transaction_conflicts(transaction))
        return -EAGAIN;
    for (unsigned i = 0; i < transaction->changes->len; i++) {
        const Change *change = g_ptr_array_index(transaction->changes, i);
        change_store(main_store, domid, change->op, change->path, change->data, changes);
    }
    fire_changes(changes);
    return 0;
}

static int transaction_end(XsConnection *xs, uint32_t id, bool abort_it)
{
    Transaction *transaction = find_transaction(xs, id);
    int error;

    if (!transaction)
        return -ENOENT;
    error = abort_it ? 0 : transaction_commit(transaction, xs->client->domid);
    g_ptr_array_remove(xs->transactions, transaction);
    return error;
}

/* ---- Requests ---- */

/* Makes a path absolute. Returns NULL for one that xenstored would refuse. */
static char *canonical_path(const XsConnection *xs, const char *path, bool special)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@";
    size_t length = strlen(path);
    bool absolute = path[0] == '/';

    if (path[0] == '@')
        return special ? g_strdup(path) : NULL;
    if (length == 0 || strspn(path, allowed) != length || strstr(path, "//") ||
        length >= (absolute ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX) ||
        (length > 1 && path[length - 1] == '/'))
        return NULL;
    return absolute ? g_strdup(path) : g_strconcat(xs->home, "/", path, NULL);
}

static int handle_change(XsConnection *xs, WireMessage *message, Transaction *transaction,
                         const char *path, size_t path_size)
{
    g_autoptr(GBytes) data = g_bytes_new(message->payload + path_size, message->size - path_size);
    g_autoptr(GPtrArray) changes = store_changes_new();
    uint32_t domid = xs->client->domid;
    int error;

    message->size = 0;
    if (!transaction) {
        error = change_store(main_store, domid, message->op, path, data, changes);
        fire_changes(changes);
        return error;
    }
    note_accesses(transaction, message->op, path);
    error = change_store(transaction->store, domid, message->op, path, data, NULL);
    if (error == 0)
        note_change(transaction, message->op, path, data);
    return error;
}

static int handle_read(XsConnection *xs, WireMessage *message, Transaction *transaction,
                       const char *path)
{
    Store *store = transaction ? transaction->store : main_store;
    g_autoptr(GByteArray) names = g_byte_array_new();
    uint32_t domid = xs->client->domid;
    GBytes *value = NULL;
    GArray *perms = NULL;
    int error;

    if (transaction)
        note_accesses(transaction, message->op, path);
    message->size = 0;
    if (message->op == WIRE_XS_READ) {
        error = store_read(store, domid, path, &value);
        if (error == 0)
            wire_append(message, g_bytes_get_data(value, NULL), g_bytes_get_size(value));
        return error;
    }
    if (message->op == WIRE_XS_GET_PERMS) {
        error = store_get_perms(store, domid, path, &perms);
        if (error == 0)
            wire_append(message, perms->data, perms->len * sizeof(StorePerm));
        return error;
    }
    error = store_directory(store, domid, path, names);
    return error == 0 && !wire_append(message, names->data, names->len) ? -E2BIG : error;
}

static int handle_watch(XsConnection *xs, WireMessage *message, const char *asked, const char *path,
                        size_t path_size)
{
    g_autofree char *token = g_strndup(message->payload + path_size, message->size - path_size);
    Watch *watch;

    message->size = 0;
    if (message->op == WIRE_XS_WATCH)
        return add_watch(xs, path, token, asked[0] != '/' && asked[0] != '@');
    watch = find_watch(xs, path, token);
    if (!watch)
        return -ENOENT;
    g_ptr_array_remove(xs->watches, watch);
    return 0;
}

/* The requests that begin with a path. */
static int handle_path(XsConnection *xs, WireMessage *message)
{
    size_t path_size = strnlen(message->payload, message->size) + 1;
    bool is_watch = message->op == WIRE_XS_WATCH || message->op == WIRE_XS_UNWATCH;
    Transaction *transaction = NULL;
    g_autofree char *asked = NULL;
    g_autofree char *path = NULL;

    if (path_size > message->size)
        return -EINVAL;
    if (message->size > XENSTORE_PAYLOAD_MAX)
        return -E2BIG;
    asked = g_strdup(message->payload);
    path = canonical_path(xs, asked, is_watch);
    if (!path)
        return -EINVAL;
    if (message->args[0] != XBT_NULL && !is_watch) {
        transaction = find_transaction(xs, message->args[0]);
        if (!transaction)
            return -ENOENT;
    }
    switch (message->op) {
    case WIRE_XS_WATCH:
    case WIRE_XS_UNWATCH:
        return handle_watch(xs, message, asked, path, path_size);
    case WIRE_XS_READ:
    case WIRE_XS_DIRECTORY:
    case WIRE_XS_GET_PERMS:
        return handle_read(xs, message, transaction, path);
    default:
        return handle_change(xs, message, transaction, path, path_size);
    }
}

static int open_connection(Client *client, int in_fd)
{
    XsConnection *xs;

    if (in_fd < 0 || client->xs)
        return -EINVAL;
    xs = g_new0(XsConnection, 1);
    xs->client = client;
    xs->event_fd = dup(in_fd);
    xs->home = g_strdup_printf("/local/domain/%u", client->domid);
    xs->watches = g_ptr_array_new_with_free_func(watch_free);
    xs->transactions = g_ptr_array_new_with_free_func(transaction_free);
    g_queue_init(&xs->events);
    client->xs = xs;
    return 0;
}

int handle_xs(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)out_fd;
    if (message->op == WIRE_XS_OPEN)
        return open_connection(client, in_fd);
    if (!client->xs)
        return -EINVAL;
    switch (message->op) {
    case WIRE_XS_TRANSACTION_START:
        return transaction_start(client->xs, &message->args[0]);
    case WIRE_XS_TRANSACTION_END:
        return transaction_end(client->xs, message->args[0], message->args[1] != 0);
    case WIRE_XS_IS_INTRODUCED:
        message->args[0] = domain_find(message->args[1]) != NULL;
        return 0;
    default:
        return handle_path(client->xs, message);
    }
}

void xenstored_drop_client(Client *client)
{
    XsConnection *xs = client->xs;

    if (!xs)
        return;
    if (xs->event_source != 0)
        g_source_remove(xs->event_source);
    g_queue_clear_full(&xs->events, (GDestroyNotify)g_bytes_unref);
    g_ptr_array_free(xs->watches, TRUE);
    g_ptr_array_free(xs->transactions, TRUE);
    close(xs->event_fd);
    g_free(xs->home);
    g_free(xs);
    client->xs = NULL;
}

void xenstored_init(void)
{
    main_store = store_new();
    xenstored_make_node("/tool/xenstored", "", 0, 0);
}

unsigned xenstored_count_watches(uint32_t domid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < broker.clients->len; i++) {
        Client *client = g_ptr_array_index(broker.clients, i);
        count += client->xs && client->domid == domid ? client->xs->watches->len : 0;
    }
    return count;
}

unsigned xenstored_count_transactions(uint32_t domid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < broker.clients->len; i++) {
        Client *client = g_ptr_array_index(broker.clients, i);
        count += client->xs && client->domid == domid ? client->xs->transactions->len : 0;
    }
    return count;
}

unsigned xenstored_count_nodes(void)
{
    return store_count_nodes(main_store);
}

void xenstored_make_node(const char *path, const char *value, uint32_t owner, uint32_t reader)
{
    StorePerm perms[] = {{owner, XS_PERM_NONE}, {reader, XS_PERM_READ}};
    g_autoptr(GPtrArray) changes = store_changes_new();
    g_autoptr(GBytes) bytes = g_bytes_new(value, strlen(value));

    store_write(main_store, 0, path, bytes, changes);
    store_set_perms(main_store, 0, path, perms, G_N_ELEMENTS(perms), changes);
    fire_changes(changes);
}
