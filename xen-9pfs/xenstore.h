/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Xenstore: the supervisor's connection to xenstored, with values checked as they are read.
 *
 * Thin: every call is one request and waits for its answer. A node is named by its folder and its
 * name; a relative folder belongs to this domain. Every function that can fail returns 0 or a
 * negative errno, -ENOENT meaning that the node does not exist. Whatever a guest may write is
 * read through functions that accept one spelling only.
 *
 * The supervisor's thread only. Watch events are delivered from the main loop and never from
 * inside another call.
 */
#ifndef XEN_9PFS_XENSTORE_H
#define XEN_9PFS_XENSTORE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

typedef struct Xenstore Xenstore;

/* A watch fired: `path` is the node that changed or the watched node itself, `token` the watch's.
 * A watch also fires once when it is set, and may fire for nothing. */
typedef void (*XenstoreEvent)(const char *path, const char *token, void *data);

/* The connection is lost: nothing will come any more, and every call fails. */
typedef void (*XenstoreLost)(void *data);

/* The body of a transaction: returns 0 to commit or a negative errno to abort. It may run several
 * times, so it must not change anything but the store. */
typedef int (*XenstoreBody)(Xenstore *store, xs_transaction_t transaction, void *data);

/* Connects to xenstored and delivers watch events to `event` from the default main context.
 * Returns NULL with errno set on failure. */
Xenstore *xenstore_open(XenstoreEvent event, XenstoreLost lost, void *data);
void xenstore_close(Xenstore *store);

/* Reads a value as text. A value with a zero byte inside is -EINVAL. The caller frees `*value`
 * with g_free(). */
int xenstore_read_string(Xenstore *store, xs_transaction_t transaction, const char *folder,
                         const char *name, char **value);

/* Reads a number: decimal digits without sign, space or leading zeros, at most UINT32_MAX.
 * Anything else is -EINVAL. */
int xenstore_read_uint32(Xenstore *store, xs_transaction_t transaction, const char *folder,
                         const char *name, uint32_t *value);

/* Parses such a number from `text`, the whole of it. Returns 0 or -EINVAL. */
int xenstore_parse_uint32(const char *text, uint32_t *value);

int xenstore_write(Xenstore *store, xs_transaction_t transaction, const char *folder,
                   const char *name, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Makes an empty folder in the place of what is there, for domain `owner` to write and domain
 * `reader` to read. So are the nodes that are written into it from then on. */
int xenstore_make_folder(Xenstore *store, xs_transaction_t transaction, const char *path,
                         uint32_t owner, uint32_t reader);

/* Removes a node and all below it. One that does not exist is success. */
int xenstore_remove(Xenstore *store, xs_transaction_t transaction, const char *path);

/* The same, and each folder above it that has nothing left in it, but for those right below this
 * domain's home when the path is relative: they are not this domain's to remove. */
int xenstore_prune(Xenstore *store, xs_transaction_t transaction, const char *path);

/* The names of a folder's children, NULL-terminated; a folder that does not exist has none. The
 * caller frees them with g_strfreev(). Returns NULL with errno set on failure. */
char **xenstore_list(Xenstore *store, xs_transaction_t transaction, const char *folder);

/* Runs `body` in a transaction, again whenever others changed what it had touched. Returns what
 * the body returned, or why the transaction could not be opened or committed. */
int xenstore_transact(Xenstore *store, XenstoreBody body, void *data);

/* The number of the domain that this program runs in. */
int xenstore_read_own_domid(Xenstore *store, uint32_t *domid);

/* True while the domain runs, as far as xenstored knows: it has been introduced and does not die. */
bool xenstore_knows_domain(Xenstore *store, uint32_t domid);

int xenstore_watch(Xenstore *store, const char *path, const char *token);
void xenstore_unwatch(Xenstore *store, const char *path, const char *token);

#endif
