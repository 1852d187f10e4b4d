/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store: the tree of xenstore nodes, with who may do what.
 *
 * Paths are absolute and have been checked by the caller. Functions return 0 or a negative errno
 * as xenstored would answer. `domid` is the domain that asks; domain 0 may do everything. Those
 * that change the tree append to `changes`, if that is not NULL, what watches have to be told.
 */
#ifndef STANDIN_STORE_H
#define STANDIN_STORE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Store Store;

/* The layout of struct xs_permissions. */
typedef struct StorePerm {
    uint32_t domid;
    uint32_t bits; /* XS_PERM_READ, XS_PERM_WRITE */
} StorePerm;

/* A node that changed. Watches of the node see it, and unless `exact` those of its ancestors. */
typedef struct StoreChange {
    char *path;
    bool exact;
} StoreChange;

enum { STORE_NODES_PER_DOMAIN = 1000, STORE_NODE_SIZE = 2048 };

/* A store with the root alone. */
Store *store_new(void);
/* The same tree, which changes from now on for itself. */
Store *store_clone(const Store *store);
void store_free(Store *store);

/* An array that frees its StoreChanges. */
GPtrArray *store_changes_new(void);

/* `value` stays the store's. */
int store_read(Store *store, uint32_t domid, const char *path, GBytes **value);

/* Appends the names of the children to `names`, each with its NUL. */
int store_directory(Store *store, uint32_t domid, const char *path, GByteArray *names);

/* Creates the node, and what is missing above it, if needed. */
int store_write(Store *store, uint32_t domid, const char *path, GBytes *value, GPtrArray *changes);
int store_mkdir(Store *store, uint32_t domid, const char *path, GPtrArray *changes);

/* Removes the node and all below it. */
int store_rm(Store *store, uint32_t domid, const char *path, GPtrArray *changes);

/* `perms` (of StorePerm) stays the store's; the first entry is the owner and everybody else. */
int store_get_perms(Store *store, uint32_t domid, const char *path, GArray **perms);
int store_set_perms(Store *store, uint32_t domid, const char *path, const StorePerm *perms,
                    unsigned count, GPtrArray *changes);

/* True when `domid` may read the node, or what is nearest above it if there is none. */
bool store_may_read(Store *store, uint32_t domid, const char *path);

/* A number that changes with each change of the node or of its list of children; 0 for none. */
uint64_t store_generation(Store *store, const char *path);

unsigned store_count_nodes(const Store *store);

#endif
