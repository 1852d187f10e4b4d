/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fids: see fid.h. The table is split into shards with a lock each, so that requests on different
 * fids rarely meet.
 *
 * Clients number their fids from 0 on and use numbers again. So a shard finds low numbers in an array,
 * with one look into memory however many there are, and only the others by hashing.
 */
#include "protocol/fid.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/dir_stream.h"
#include "protocol/limits.h"
#include "protocol/lock.h"

enum {
    N_SHARDS = 16,
    MIN_LOW = 16,        /* the size of the array with its first fid */
    MAX_LOW = 64 * 1024, /* and at most */
};

typedef struct Shard {
    pthread_mutex_t lock;
    Fid **low; /* by number / N_SHARDS; with references, as the next */
    uint32_t n_low;
    GHashTable *high; /* number -> Fid */
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
        table->shards[i].high = g_hash_table_new(NULL, NULL);
    }
    return table;
}

FidTable *fid_table_ref(FidTable *table)
{
    g_atomic_ref_count_inc(&table->refs);
    return table;
}

static Shard *shard_of(FidTable *table, uint32_t id)
{
    return &table->shards[id % N_SHARDS];
}

/* Where the array has this number; NULL when it does not reach so far. Called with the lock held, as
 * the next ones. */
static Fid **find_low(const Shard *shard, uint32_t id)
{
    return id / N_SHARDS < shard->n_low ? &shard->low[id / N_SHARDS] : NULL;
}

static Fid *shard_find(const Shard *shard, uint32_t id)
{
    Fid **low = find_low(shard, id);

    return low ? *low : g_hash_table_lookup(shard->high, GUINT_TO_POINTER(id));
}

/* Makes the array reach to this number, unless that is none for it. */
static void grow_low(Shard *shard, uint32_t id)
{
    uint32_t n = MAX(shard->n_low, MIN_LOW);

    if (id / N_SHARDS < shard->n_low || id / N_SHARDS >= MAX_LOW)
        return;
    while (n <= id / N_SHARDS)
        n *= 2;
    shard->low = g_renew(Fid *, shard->low, n);
    memset(shard->low + shard->n_low, 0, (n - shard->n_low) * sizeof(Fid *));
    shard->n_low = n;
}

/* Makes the number stand for `fid`, whose reference it takes over. */
static void shard_set(Shard *shard, uint32_t id, Fid *fid)
{
    Fid **low;

    grow_low(shard, id);
    low = find_low(shard, id);
    if (low)
        *low = fid;
    else
        g_hash_table_insert(shard->high, GUINT_TO_POINTER(id), fid);
}

static void shard_remove(Shard *shard, uint32_t id)
{
    Fid **low = find_low(shard, id);

    if (low)
        *low = NULL;
    else
        g_hash_table_remove(shard->high, GUINT_TO_POINTER(id));
}

Fid *fid_table_get(FidTable *table, uint32_t id)
{
    Shard *shard = shard_of(table, id);
    Fid *fid;

    pthread_mutex_lock(&shard->lock);
    fid = shard_find(shard, id);
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
    bool replaces = false;
    int error = 0;

    if (id == P9_NOFID)
        return -EINVAL;
    pthread_mutex_lock(&shard->lock);
    if (shard_find(shard, id) != expected) {
        error = -EBADF;
    } else if (!expected && !count_one(table)) {
        error = -ENFILE;
    } else {
        if (expected)
            count_kind(table, expected, -1);
        count_kind(table, fid, 1);
        replaces = expected != NULL;
        shard_set(shard, id, fid_ref(fid));
    }
    pthread_mutex_unlock(&shard->lock);
    if (error == -ENFILE)
        limit_reached(LIMIT_FIDS, table->max_fids);
    if (replaces)
        fid_unref(expected); /* the last reference must not go under the lock */
    return error;
}

Fid *fid_table_take(FidTable *table, uint32_t id)
{
    Shard *shard = shard_of(table, id);
    Fid *fid;

    pthread_mutex_lock(&shard->lock);
    fid = shard_find(shard, id);
    if (fid) {
        shard_remove(shard, id);
        g_atomic_int_add(&table->count, -1);
        count_kind(table, fid, -1);
    }
    pthread_mutex_unlock(&shard->lock);
    return fid;
}

static void take_shard(FidTable *table, Shard *shard, GPtrArray *fids)
{
    guint before = fids->len;
    GHashTableIter iter;
    gpointer fid;

    pthread_mutex_lock(&shard->lock);
    for (uint32_t i = 0; i < shard->n_low; i++) {
        if (shard->low[i])
            g_ptr_array_add(fids, shard->low[i]);
    }
    g_clear_pointer(&shard->low, g_free);
    shard->n_low = 0;
    g_hash_table_iter_init(&iter, shard->high);
    while (g_hash_table_iter_next(&iter, NULL, &fid))
        g_ptr_array_add(fids, fid);
    g_hash_table_remove_all(shard->high);
    g_atomic_int_add(&table->count, (gint)before - (gint)fids->len);
    for (guint i = before; i < fids->len; i++)
        count_kind(table, g_ptr_array_index(fids, i), -1);
    pthread_mutex_unlock(&shard->lock);
}

GPtrArray *fid_table_take_all(FidTable *table)
{
    GPtrArray *fids = g_ptr_array_new();

    for (unsigned i = 0; i < N_SHARDS; i++)
        take_shard(table, &table->shards[i], fids);
    return fids;
}

void fid_table_unref(FidTable *table)
{
    g_autoptr(GPtrArray) fids = NULL;

    if (!g_atomic_ref_count_dec(&table->refs))
        return;
    fids = fid_table_take_all(table);
    for (unsigned i = 0; i < fids->len; i++)
        fid_unref(g_ptr_array_index(fids, i));
    for (unsigned i = 0; i < N_SHARDS; i++) {
        g_hash_table_unref(table->shards[i].high);
        pthread_mutex_destroy(&table->shards[i].lock);
    }
    g_free(table);
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

static void list_shard(Shard *shard, unsigned number, GArray *ids)
{
    GHashTableIter iter;
    gpointer key;

    pthread_mutex_lock(&shard->lock);
    for (uint32_t i = 0; i < shard->n_low; i++) {
        uint32_t id = i * N_SHARDS + number;
        if (shard->low[i])
            g_array_append_val(ids, id);
    }
    g_hash_table_iter_init(&iter, shard->high);
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
        list_shard(&table->shards[i], i, ids);
    return ids;
}

bool fid_table_peek(FidTable *table, uint32_t id, void (*look)(const Fid *fid, void *context),
                    void *context)
{
    Shard *shard = shard_of(table, id);
    const Fid *fid;

    pthread_mutex_lock(&shard->lock);
    fid = shard_find(shard, id);
    if (fid)
        look(fid, context);
    pthread_mutex_unlock(&shard->lock);
    return fid != NULL;
}
