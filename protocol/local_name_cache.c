/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: what names led to lately; see local_name_cache.h. */
#include "protocol/local_name_cache.h"

#include <string.h>
#include <sys/stat.h>

enum {
    N_BUCKETS = 64, /* chosen by the name alone, so that drop() has one to look at */
    N_WAYS = 4,
    SETTLED_MSEC = 100, /* more than the time stamps' resolution */
};

typedef struct Entry {
    dev_t device; /* of the directory in which the name is, and its inode */
    uint64_t inode;
    char *name;
    FsNode *node; /* a reference; NULL: free */
} Entry;

typedef struct Bucket {
    Entry entries[N_WAYS]; /* the used ones first, the latest in front */
} Bucket;

struct LocalNameCache {
    pthread_mutex_t lock; /* guards: */
    Bucket *buckets;      /* NULL until something is kept */
};

LocalNameCache *local_name_cache_new(void)
{
    LocalNameCache *cache = g_new0(LocalNameCache, 1);

    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void local_name_cache_free(LocalNameCache *cache)
{
    if (!cache)
        return;
    local_name_cache_clear(cache);
    pthread_mutex_destroy(&cache->lock);
    g_free(cache);
}

/* Called with the lock held. */
static Bucket *bucket_of(const LocalNameCache *cache, const char *name)
{
    return cache->buckets ? &cache->buckets[g_str_hash(name) % N_BUCKETS] : NULL;
}

static bool is_entry(const Entry *entry, const LocalNode *dir, const char *name)
{
    return entry->node && entry->inode == dir->inode && entry->device == dir->device &&
           strcmp(entry->name, name) == 0;
}

/* Never with the lock held: a node's end may take its time. */
static void let_go(Entry *entry)
{
    g_free(entry->name);
    fs_node_unref(entry->node);
}

/* Takes entry `i` out. Called with the lock held. */
static Entry take_entry(Bucket *bucket, unsigned i)
{
    Entry entry = bucket->entries[i];

    memmove(&bucket->entries[i], &bucket->entries[i + 1], (N_WAYS - 1 - i) * sizeof(Entry));
    bucket->entries[N_WAYS - 1] = (Entry){0};
    return entry;
}

/* Puts an entry in front. Returns the last one, which has no place any more. Called with the lock
 * held. */
static Entry put_entry(Bucket *bucket, Entry entry)
{
    Entry last = bucket->entries[N_WAYS - 1];

    memmove(&bucket->entries[1], &bucket->entries[0], (N_WAYS - 1) * sizeof(Entry));
    bucket->entries[0] = entry;
    return last;
}

/* The node that is kept for the name, a reference, or NULL. */
static FsNode *find_kept(LocalNameCache *cache, const LocalNode *dir, const char *name)
{
    FsNode *node = NULL;
    Bucket *bucket;

    pthread_mutex_lock(&cache->lock);
    bucket = bucket_of(cache, name);
    for (unsigned i = 0; bucket && !node && i < N_WAYS; i++) {
        if (is_entry(&bucket->entries[i], dir, name))
            node = fs_node_ref(bucket->entries[i].node);
    }
    pthread_mutex_unlock(&cache->lock);
    return node;
}

/* Whether the name leads to `node` now, which must not be put away meanwhile: without a descriptor its
 * inode could be another one's. */
static bool leads_to(const LocalNode *dir, const char *name, bool nowait, FsNode *node, Qid *qid)
{
    const LocalNode *kept = (const LocalNode *)node;
    FsAttr attr;
    bool same;

    if (fs_node_hold(node, true) != 0)
        return false;
    same = local_statx(dir->fd, name, nowait, &attr) == 0 && attr.stx_ino == kept->inode &&
           local_attr_device(&attr) == kept->device && attr.stx_mnt_id == kept->mount &&
           (S_ISDIR(node->type) || local_attr_changed(&attr) == kept->changed);
    if (same)
        local_fill_qid(local_fs(node), &attr, qid);
    fs_node_let_go(node);
    return same;
}

FsNode *local_name_cache_find(LocalNameCache *cache, const LocalNode *dir, const char *name,
                              bool nowait, Qid *qid)
{
    FsNode *node = find_kept(cache, dir, name);

    if (!node || leads_to(dir, name, nowait, node, qid))
        return node;
    fs_node_unref(node);
    local_name_cache_drop(cache, name);
    return NULL;
}

/* Whether the next change of the file will be seen by its time stamp. */
static bool is_settled(const LocalNode *node)
{
    int64_t now = g_get_real_time() * 1000;

    return S_ISDIR(node->base.type) || now - node->changed > SETTLED_MSEC * INT64_C(1000000);
}

void local_name_cache_add(LocalNameCache *cache, const LocalNode *dir, const char *name,
                          FsNode *node)
{
    Entry entry = {.device = dir->device, .inode = dir->inode};

    if (MAX(dir->base.class, node->class) > FS_LOCAL || !is_settled((const LocalNode *)node))
        return;
    entry.name = g_strdup(name);
    entry.node = fs_node_ref(node);
    pthread_mutex_lock(&cache->lock);
    if (!cache->buckets)
        cache->buckets = g_new0(Bucket, N_BUCKETS);
    entry = put_entry(bucket_of(cache, name), entry);
    pthread_mutex_unlock(&cache->lock);
    let_go(&entry);
}

void local_name_cache_drop(LocalNameCache *cache, const char *name)
{
    Entry dropped[N_WAYS];
    unsigned n = 0;
    Bucket *bucket;

    pthread_mutex_lock(&cache->lock);
    bucket = bucket_of(cache, name);
    for (unsigned i = N_WAYS; bucket && i-- > 0;) {
        if (bucket->entries[i].node && strcmp(bucket->entries[i].name, name) == 0)
            dropped[n++] = take_entry(bucket, i);
    }
    pthread_mutex_unlock(&cache->lock);
    while (n > 0)
        let_go(&dropped[--n]);
}

void local_name_cache_clear(LocalNameCache *cache)
{
    Bucket *buckets;

    pthread_mutex_lock(&cache->lock);
    buckets = cache->buckets;
    cache->buckets = NULL;
    pthread_mutex_unlock(&cache->lock);
    for (unsigned i = 0; buckets && i < N_BUCKETS * N_WAYS; i++)
        let_go(&buckets[i / N_WAYS].entries[i % N_WAYS]);
    g_free(buckets);
}
