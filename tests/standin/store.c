/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store: see store.h. Small trees: children are found by going through them.
 *
 * Stores share nodes: a clone begins with the same root. What is to be changed is copied first, with all
 * that lies above it, if another store has it, too; so a node does not know its parent.
 */
#include "tests/standin/store.h"

#include <errno.h>
#include <string.h>
#include <xenstore.h>

typedef struct StoreNode {
    unsigned references; /* of parents and stores */
    char *name;          /* "" for the root */
    GPtrArray *children;
    GBytes *value;
    GArray *perms; /* of StorePerm */
    uint64_t generation;
} StoreNode;

struct Store {
    StoreNode *root;
    uint64_t clock; /* the last generation given out */
};

static StoreNode *node_ref(StoreNode *node)
{
    node->references++;
    return node;
}

/* Recursion is bounded by the depth of paths that the tests themselves make. */
static void node_unref(void *data)
{
    StoreNode *node = data;

    if (--node->references > 0)
        return;
    g_ptr_array_free(node->children, TRUE);
    g_bytes_unref(node->value);
    g_array_free(node->perms, TRUE);
    g_free(node->name);
    g_free(node);
}

static StoreNode *node_new(const char *name, size_t length, GArray *perms)
{
    StoreNode *node = g_new0(StoreNode, 1);

    node->references = 1;
    node->name = g_strndup(name, length);
    node->children = g_ptr_array_new_with_free_func(node_unref);
    node->value = g_bytes_new(NULL, 0);
    node->perms = g_array_copy(perms);
    return node;
}

/* Turns the caller's reference into one to the same node that nobody else has. */
static StoreNode *node_own(StoreNode *node)
{
    StoreNode *copy;

    if (node->references == 1)
        return node;
    copy = node_new(node->name, strlen(node->name), node->perms);
    g_bytes_unref(copy->value);
    copy->value = g_bytes_ref(node->value);
    copy->generation = node->generation;
    for (unsigned i = 0; i < node->children->len; i++)
        g_ptr_array_add(copy->children, node_ref(g_ptr_array_index(node->children, i)));
    node_unref(node);
    return copy;
}

static unsigned node_count(const StoreNode *node, const uint32_t *owner)
{
    unsigned count = !owner || g_array_index(node->perms, StorePerm, 0).domid == *owner;

    for (unsigned i = 0; i < node->children->len; i++)
        count += node_count(g_ptr_array_index(node->children, i), owner);
    return count;
}

/* What the node takes of its owner's quota. */
static size_t node_size(const StoreNode *node)
{
    size_t size = g_bytes_get_size(node->value) + node->perms->len * sizeof(StorePerm);

    for (unsigned i = 0; i < node->children->len; i++)
        size += strlen(((StoreNode *)g_ptr_array_index(node->children, i))->name) + 1;
    return size;
}

static uint32_t node_rights(const StoreNode *node, uint32_t domid)
{
    const StorePerm *perms = (const StorePerm *)(const void *)node->perms->data;

    if (domid == 0 || perms[0].domid == domid)
        return XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
    for (unsigned i = 1; i < node->perms->len; i++) {
        if (perms[i].domid == domid)
            return perms[i].bits;
    }
    return perms[0].bits;
}

/* The place in the node's list that refers to the child; NULL if there is none of that name. */
static gpointer *node_child(StoreNode *node, const char *name, size_t length)
{
    for (unsigned i = 0; i < node->children->len; i++) {
        const StoreNode *child = g_ptr_array_index(node->children, i);

        if (strncmp(child->name, name, length) == 0 && child->name[length] == '\0')
            return &g_ptr_array_index(node->children, i);
    }
    return NULL;
}

/* Goes down `path` as far as there are nodes. `rest` receives what is left of the path, "" when
 * the node itself was found. With `own`, no other store has the node found, which may be changed. */
static StoreNode *store_walk(Store *store, const char *path, bool own, const char **rest)
{
    StoreNode *node = store->root;

    if (own)
        store->root = node = node_own(node);
    *rest = path + strspn(path, "/");
    while (**rest) {
        size_t length = strcspn(*rest, "/");
        gpointer *child = node_child(node, *rest, length);

        if (!child)
            break;
        if (own)
            *child = node_own(*child);
        node = *child;
        *rest += length;
        *rest += strspn(*rest, "/");
    }
    return node;
}

/* Finds a node that `domid` has `right` to. Without one: -EACCES if that must not be known, else
 * -ENOENT. */
static int store_find(Store *store, uint32_t domid, const char *path, uint32_t right,
                      StoreNode **found)
{
    const char *rest;
    StoreNode *node = store_walk(store, path, right & XS_PERM_WRITE, &rest);

    if (!(node_rights(node, domid) & right))
        return -EACCES;
    if (*rest)
        return -ENOENT;
    *found = node;
    return 0;
}

static void store_touch(Store *store, StoreNode *node)
{
    node->generation = ++store->clock;
}

static void add_change(GPtrArray *changes, char *path, bool exact)
{
    StoreChange *change;

    if (!changes) {
        g_free(path);
        return;
    }
    change = g_new(StoreChange, 1);
    change->path = path;
    change->exact = exact;
    g_ptr_array_add(changes, change);
}

static void change_free(void *data)
{
    StoreChange *change = data;

    g_free(change->path);
    g_free(change);
}

GPtrArray *store_changes_new(void)
{
    return g_ptr_array_new_with_free_func(change_free);
}

Store *store_new(void)
{
    Store *store = g_new0(Store, 1);
    g_autoptr(GArray) perms = g_array_new(FALSE, FALSE, sizeof(StorePerm));
    StorePerm everybody = {.domid = 0, .bits = XS_PERM_READ};

    g_array_append_val(perms, everybody);
    store->root = node_new("", 0, perms);
    store_touch(store, store->root);
    return store;
}

Store *store_clone(const Store *store)
{
    Store *copy = g_new0(Store, 1);

    copy->root = node_ref(store->root);
    copy->clock = store->clock;
    return copy;
}

void store_free(Store *store)
{
    node_unref(store->root);
    g_free(store);
}

int store_read(Store *store, uint32_t domid, const char *path, GBytes **value)
{
    StoreNode *node;
    int error = store_find(store, domid, path, XS_PERM_READ, &node);

    if (error == 0)
        *value = node->value;
    return error;
}

int store_directory(Store *store, uint32_t domid, const char *path, GByteArray *names)
{
    StoreNode *node;
    int error = store_find(store, domid, path, XS_PERM_READ, &node);

    if (error != 0)
        return error;
    for (unsigned i = 0; i < node->children->len; i++) {
        StoreNode *child = g_ptr_array_index(node->children, i);
        g_byte_array_append(names, (const guint8 *)child->name, (guint)strlen(child->name) + 1);
    }
    return 0;
}

/* Creates the nodes of `rest` below `node`. A node belongs to the domain that creates it, unless
 * that is privileged. */
static int store_create(Store *store, uint32_t domid, StoreNode *node, const char *rest,
                        StoreNode **created)
{
    while (*rest) {
        size_t length = strcspn(rest, "/");
        StoreNode *child;

        if (domid != 0 && (node_count(store->root, &domid) >= STORE_NODES_PER_DOMAIN ||
                           node_size(node) + length + 1 > STORE_NODE_SIZE))
            return -ENOSPC;
        store_touch(store, node);
        child = node_new(rest, length, node->perms);
        g_ptr_array_add(node->children, child);
        node = child;
        store_touch(store, node);
        if (domid != 0)
            g_array_index(node->perms, StorePerm, 0).domid = domid;
        rest += length;
        rest += strspn(rest, "/");
    }
    *created = node;
    return 0;
}

/* Finds or creates a node that `domid` may write. */
static int store_find_or_create(Store *store, uint32_t domid, const char *path, StoreNode **found,
                                bool *created)
{
    const char *rest;
    StoreNode *node = store_walk(store, path, true, &rest);

    if (!(node_rights(node, domid) & XS_PERM_WRITE))
        return -EACCES;
    *created = *rest != '\0';
    return store_create(store, domid, node, rest, found);
}

int store_write(Store *store, uint32_t domid, const char *path, GBytes *value, GPtrArray *changes)
{
    StoreNode *node;
    bool created;
    int error;

    if (domid != 0 && g_bytes_get_size(value) > STORE_NODE_SIZE)
        return -ENOSPC;
    error = store_find_or_create(store, domid, path, &node, &created);
    if (error != 0)
        return error;
    g_bytes_unref(node->value);
    node->value = g_bytes_ref(value);
    store_touch(store, node);
    add_change(changes, g_strdup(path), false);
    return 0;
}

int store_mkdir(Store *store, uint32_t domid, const char *path, GPtrArray *changes)
{
    StoreNode *node;
    bool created;
    int error = store_find_or_create(store, domid, path, &node, &created);

    if (error == 0 && created)
        add_change(changes, g_strdup(path), false);
    return error;
}

static void report_removed(const StoreNode *node, const char *path, GPtrArray *changes, bool exact)
{
    add_change(changes, g_strdup(path), exact);
    for (unsigned i = 0; i < node->children->len; i++) {
        const StoreNode *child = g_ptr_array_index(node->children, i);
        g_autofree char *child_path = g_strconcat(path, "/", child->name, NULL);

        report_removed(child, child_path, changes, true);
    }
}

int store_rm(Store *store, uint32_t domid, const char *path, GPtrArray *changes)
{
    g_autofree char *above = g_path_get_dirname(path);
    const char *rest;
    StoreNode *node = store_walk(store, path, false, &rest), *parent;

    if (node == store->root && !*rest)
        return -EINVAL;
    if (!(node_rights(node, domid) & XS_PERM_WRITE))
        return -EACCES;
    if (*rest) /* what is not there is removed already, if it could be there */
        return strchr(rest, '/') ? -ENOENT : 0;
    report_removed(node, path, changes, false);
    parent = store_walk(store, above, true, &rest);
    store_touch(store, parent);
    g_ptr_array_remove(parent->children, node);
    return 0;
}

int store_get_perms(Store *store, uint32_t domid, const char *path, GArray **perms)
{
    StoreNode *node;
    int error = store_find(store, domid, path, XS_PERM_READ, &node);

    if (error == 0)
        *perms = node->perms;
    return error;
}

int store_set_perms(Store *store, uint32_t domid, const char *path, const StorePerm *perms,
                    unsigned count, GPtrArray *changes)
{
    StoreNode *node;
    int error = store_find(store, domid, path, XS_PERM_READ | XS_PERM_WRITE, &node);

    if (error != 0)
        return error;
    if (count == 0)
        return -EINVAL;
    if (!(node_rights(node, domid) & XS_PERM_OWNER))
        return -EACCES;
    if (domid != 0 && perms[0].domid != domid)
        return -EPERM;
    g_array_set_size(node->perms, 0);
    g_array_append_vals(node->perms, perms, count);
    store_touch(store, node);
    add_change(changes, g_strdup(path), false);
    return 0;
}

bool store_may_read(Store *store, uint32_t domid, const char *path)
{
    const char *rest;

    return node_rights(store_walk(store, path, false, &rest), domid) & XS_PERM_READ;
}

uint64_t store_generation(Store *store, const char *path)
{
    const char *rest;
    const StoreNode *node = store_walk(store, path, false, &rest);

    return *rest ? 0 : node->generation;
}

unsigned store_count_nodes(const Store *store)
{
    return node_count(store->root, NULL);
}
