/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store: xenstore as sub-commands use it: domains by name or number, and waiting for nodes.
 *
 * Errors are GErrors of the domain STORE_ERROR, whose messages are whole lines for a person. One
 * thread, and nothing else runs in its main context meanwhile.
 */
#ifndef XEN_9PFS_TOOL_STORE_H
#define XEN_9PFS_TOOL_STORE_H

#include "xen-9pfs/xenstore.h"

#define STORE_ERROR g_quark_from_static_string("xen-9pfs-store-error")

typedef struct Store {
    Xenstore *xs;
    uint32_t self; /* the domain that the program runs in */
    bool changed;  /* a watch has fired */
    bool lost;     /* the connection has ended: nothing changes any more */
} Store;

/* A domain of this host. */
typedef struct StoreDomain {
    uint32_t domid;
    char *name; /* NULL: it has none */
} StoreDomain;

/* Connects to xenstored. Returns false with an error; store_close() is then not called. */
bool store_open(Store *store, GError **error);
void store_close(Store *store);

/* Finds the running domain that `text` names, by its number or its name. The caller ends `domain`
 * with store_domain_deinit(), whatever the result. */
bool store_find_domain(Store *store, const char *text, StoreDomain *domain, GError **error);
void store_domain_deinit(StoreDomain *domain);

/* "web (3)", or "3" for a domain without a name. The caller frees it. */
char *store_domain_describe(const StoreDomain *domain);

/* A node's value, NULL when there is none that is text. The caller frees it. */
char *store_read(Store *store, const char *folder, const char *name);

/* Whether what is waited for is there. */
typedef bool (*StoreCondition)(Store *store, void *data);

/* Waits at most `seconds` for the condition, which is asked anew whenever something changes below
 * one of the two paths; `second` may be NULL. Returns whether it holds. */
bool store_wait(Store *store, const char *first, const char *second, StoreCondition condition,
                void *data, unsigned seconds);

#endif
