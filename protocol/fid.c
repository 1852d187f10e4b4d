/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fids: see fid.h. The table is split into shards with a lock each, so that requests on different
 * fids rarely meet.
 */
#include "protocol/fid.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include "protocol/dir_stream.h"
#include "protocol/lock.h"

enum { N_SHARDS = 16 };

typedef struct Shard {
    pthread_mutex_t lock;
    GHashTable *fids; /* number -> Fid, with a reference */
} Shard;

struct FidTable {
    gatomicrefcount refs;
    unsigned max_fids;
    gint count;      /* atomic, like the next */
    gint n_attached; /* of these, fids that Tattach has made */
    gint n_open;     /* and open regular files */
    Shard shards[N_SHARDS];
};

Fid *fid_new(uint32_t uid, FsNode *node, FsFile *file, int flags)
{
    Fid *fid = g_new0(Fid, 1);

    g_atomic_ref_count_init(&fid->refs);
    fid->uid = uid;
    fid->node = fs_node_ref(node);
    fid->file = file ? fs_file_ref(file) : NULL;
    fid->flags = flags;
    return fid;
}

Fid *fid_new_from(const Fid *from, FsNode *node, FsFile *file, int flags)
{
    Fid *fid = fid_new(from->uid, node, file, flags);

    fid->top = from->top ? fs_node_ref(from->top) : NULL;
    return fid;
}

bool fid_is_top(const Fid *fid)
{
    return fid->node == fid->top;
}

Fid *fid_ref(Fid *fid)
{
    g_atomic_ref_count_inc(&fid->refs);
    return fid;
}

void fid_unref(Fid *fid)
{
    LockTable *locks;

    if (!fid || !g_atomic_ref_count_dec(&fid->refs))
        return;
    dir_stream_free(fid->stream);
    locks = g_atomic_pointer_get(&fid->locks);
    if (locks)
        lock_table_forget_fid(locks, fid);
    xattr_free(fid->xattr);
    fs_file_unref(fid->file);
    fs_node_unref(fid->node);
    fs_node_unref(fid->top);
    g_free(fid);
}

FidTable *fid_table_new(unsigned max_fids)
{
    FidTable *table = g_new0(FidTable, 1);

    g_atomic_ref_count_init(&table->refs);
    table->max_fids = max_fids;
    for (unsigned i = 0; i < N_SHARDS; i++) {
        pthread_mutex_init(&table->shards[i].lock, NULL);
        table->shards[i].fids = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)fid_unref);
    }
    return table;
}

FidTable *fid_table_ref(FidTable *table)
{
    g_atomic_ref_count_inc(&table->refs);
    return table;
}

void fid_table_unref(FidTable *table)
{
    if (!g_atomic_ref_count_dec(&table->refs))
        return;
    for (unsigned i = 0; i < N_SHARDS; i++) {
        g_hash_table_unref(table->shards[i].fids);
        pthread_mutex_destroy(&table->shards[i].lock);
    }
    g_free(table);
}

static Shard *shard_of(FidTable *table, uint32_t id)
{
    return &table->shards[id % N_SHARDS];
}

Fid *fid_table_get(FidTable *table, uint32_t id)
{
    Shard *shard = shard_of(table, id);
    Fid *fid;

    pthread_mutex_lock(&shard->lock);
    fid = g_hash_table_lookup(shard->fids, GUINT_TO_POINTER(id));
    if (fid)
        fid_ref(fid);
    pthread_mutex_unlock(&shard->lock);
    return fid;
}

/* Counts one fid more. Returns false at the limit. */
static bool count_one(FidTable *table)
{
    if ((unsigned)g_atomic_int_add(&table->count, 1) < table->max_fids)
        return true;
    g_atomic_int_add(&table->count, -1);
    return false;
}

/* Counts a fid that is what somebody may want to know the number of. */
static void count_kind(FidTable *table, const Fid *fid, int n)
{
    if (fid->attached)
        g_atomic_int_add(&table->n_attached, n);
    if (fid->file && S_ISREG(fid->node->type))
        g_atomic_int_add(&table->n_open, n);
}

int fid_table_put(FidTable *table, uint32_t id, Fid *expected, Fid *fid)
{
    Shard *shard = shard_of(table, id);
    Fid *replaced = NULL;
    int error = 0;

    if (id == P9_NOFID)
        return -EINVAL;
    pthread_mutex_lock(&shard->lock);
    if (g_hash_table_lookup(shard->fids, GUINT_TO_POINTER(id)) != expected) {
        error = -EBADF;
    } else if (!expected && !count_one(table)) {
        error = -ENFILE;
    } else {
        if (expected) {
            replaced = fid_ref(expected); /* its last reference must not go under the lock */
            count_kind(table, expected, -1);
        }
        count_kind(table, fid, 1);
        g_hash_table_insert(shard->fids, GUINT_TO_POINTER(id), fid_ref(fid));
    }
    pthread_mutex_unlock(&shard->lock);
    fid_unref(replaced);
    return error;
}

Fid *fid_table_take(FidTable *table, uint32_t id)
{
    Shard *shard = shard_of(table, id);
    gpointer fid = NULL;

    pthread_mutex_lock(&shard->lock);
    if (g_hash_table_steal_extended(shard->fids, GUINT_TO_POINTER(id), NULL, &fid)) {
        g_atomic_int_add(&table->count, -1);
        count_kind(table, fid, -1);
    }
    pthread_mutex_unlock(&shard->lock);
    return fid;
}

static void take_shard(FidTable *table, Shard *shard, GPtrArray *fids)
{
    GHashTableIter iter;
    gpointer fid;

    pthread_mutex_lock(&shard->lock);
    g_hash_table_iter_init(&iter, shard->fids);
    while (g_hash_table_iter_next(&iter, NULL, &fid)) {
        g_hash_table_iter_steal(&iter);
        g_atomic_int_add(&table->count, -1);
        count_kind(table, fid, -1);
        g_ptr_array_add(fids, fid);
    }
    pthread_mutex_unlock(&shard->lock);
}

GPtrArray *fid_table_take_all(FidTable *table)
{
    GPtrArray *fids = g_ptr_array_new();

    for (unsigned i = 0; i < N_SHARDS; i++)
        take_shard(table, &table->shards[i], fids);
    return fids;
}

unsigned fid_table_count(FidTable *table)
{
    return (unsigned)g_atomic_int_get(&table->count);
}

unsigned fid_table_count_attached(FidTable *table)
{
    return (unsigned)g_atomic_int_get(&table->n_attached);
}

unsigned fid_table_count_open(FidTable *table)
{
    return (unsigned)g_atomic_int_get(&table->n_open);
}

static void list_shard(Shard *shard, GArray *ids)
{
    GHashTableIter iter;
    gpointer key;

    pthread_mutex_lock(&shard->lock);
    g_hash_table_iter_init(&iter, shard->fids);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint32_t id = GPOINTER_TO_UINT(key);
        g_array_append_val(ids, id);
    }
    pthread_mutex_unlock(&shard->lock);
}

GArray *fid_table_list(FidTable *table)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (unsigned i = 0; i < N_SHARDS; i++)
        list_shard(&table->shards[i], ids);
    return ids;
}

bool fid_table_peek(FidTable *table, uint32_t id, void (*look)(const Fid *fid, void *context),
                    void *context)
{
    Shard *shard = shard_of(table, id);
    const Fid *fid;

    pthread_mutex_lock(&shard->lock);
    fid = g_hash_table_lookup(shard->fids, GUINT_TO_POINTER(id));
    if (fid)
        look(fid, context);
    pthread_mutex_unlock(&shard->lock);
    return fid != NULL;
}
