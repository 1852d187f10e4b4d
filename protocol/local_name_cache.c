/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: what names led to lately; see local_name_cache.h. */
#include "protocol/local_name_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
    N_BUCKETS = 64, /* chosen by the name alone, so that drop() has one to look at */
    N_WAYS = 4,
    SETTLED_SECONDS = 2, /* more than the resolution of any file system's time stamps */
};

typedef struct Entry {
    dev_t device; /* of the directory in which the name is, and its inode */
    uint64_t inode;
    char *name;   /* NULL: does not lead to the node any more */
    FsNode *node; /* a reference; NULL: free */
} Entry;

typedef struct Bucket {
    Entry entries[N_WAYS]; /* the used ones first */
} Bucket;

struct LocalNameCache {
    uint64_t mount;
    pthread_mutex_t lock; /* guards: */
    Bucket *buckets;      /* NULL until something is kept */
};

LocalNameCache *local_name_cache_new(uint64_t mount)
{
    LocalNameCache *cache = g_new0(LocalNameCache, 1);

    cache->mount = mount;
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void local_name_cache_free(LocalNameCache *cache)
{
    if (!cache)
        return;
    local_name_cache_clear(cache, false);
    pthread_mutex_destroy(&cache->lock);
    g_free(cache);
}

/* The lock is held by whoever calls the next two. */
static Bucket *bucket_of(const LocalNameCache *cache, const char *name)
{
    return cache->buckets ? &cache->buckets[g_str_hash(name) % N_BUCKETS] : NULL;
}

static Entry *find_entry(const LocalNameCache *cache, const LocalNode *dir, const char *name)
{
    Bucket *bucket = bucket_of(cache, name);

    for (unsigned i = 0; bucket && i < N_WAYS && bucket->entries[i].node; i++) {
        Entry *entry = &bucket->entries[i];

        if (entry->name && entry->inode == dir->inode && entry->device == dir->device &&
            strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

/* The node that is kept for the name, a reference, or NULL. */
static FsNode *find_kept(LocalNameCache *cache, const LocalNode *dir, const char *name)
{
    const Entry *entry;
    FsNode *node;

    pthread_mutex_lock(&cache->lock);
    entry = find_entry(cache, dir, name);
    node = entry ? fs_node_ref(entry->node) : NULL;
    pthread_mutex_unlock(&cache->lock);
    return node;
}

/* The name does not lead to `node`. That is let go of later, by somebody who may wait. */
static void mark_wrong(LocalNameCache *cache, const LocalNode *dir, const char *name,
                       const FsNode *node)
{
    Entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = find_entry(cache, dir, name);
    if (entry && entry->node == node) {
        g_free(entry->name);
        entry->name = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
}

static bool is_same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_node(const FsAttr *attr, const LocalNode *node)
{
    return attr->stx_ino == node->inode && local_attr_device(attr) == node->device &&
           attr->stx_mnt_id == node->mount &&
           (S_ISDIR(node->base.type) || is_same_time(&attr->stx_ctime, &node->changed));
}

FsNode *local_name_cache_find(LocalNameCache *cache, const LocalNode *dir, const char *name,
                              bool nowait, FsAttr *attr)
{
    FsNode *node = find_kept(cache, dir, name);

    if (!node ||
        (local_statx(dir->fd, name, nowait, attr) == 0 && is_node(attr, (const LocalNode *)node)))
        return node;
    mark_wrong(cache, dir, name, node);
    fs_node_unref(node);
    return NULL;
}

static bool has_room(LocalNameCache *cache, const char *name)
{
    const Bucket *bucket;
    bool has;

    pthread_mutex_lock(&cache->lock);
    bucket = bucket_of(cache, name);
    has = !bucket || !bucket->entries[N_WAYS - 1].node;
    pthread_mutex_unlock(&cache->lock);
    return has;
}

/* The next change of a file must be seen by its time stamp. */
bool local_name_cache_wants(LocalNameCache *cache, const char *name, const LocalNode *node,
                            time_t opened)
{
    bool is_settled = S_ISDIR(node->base.type) || node->changed.tv_sec < opened - SETTLED_SECONDS;

    return is_settled && node->mount == cache->mount && has_room(cache, name);
}

void local_name_cache_add(LocalNameCache *cache, const LocalNode *dir, const char *name,
                          FsNode *node)
{
    Bucket *bucket;
    unsigned i = 0;

    pthread_mutex_lock(&cache->lock);
    if (!cache->buckets)
        cache->buckets = g_new0(Bucket, N_BUCKETS);
    bucket = bucket_of(cache, name);
    while (i < N_WAYS && bucket->entries[i].node)
        i++;
    if (i < N_WAYS)
        bucket->entries[i] = (Entry){.device = dir->device,
                                     .inode = dir->inode,
                                     .name = g_strdup(name),
                                     .node = fs_node_ref(node)};
    pthread_mutex_unlock(&cache->lock);
}

void local_name_cache_drop(LocalNameCache *cache, const char *name)
{
    Entry dropped[N_WAYS];
    unsigned n_dropped = 0, n_kept = 0;
    Bucket *bucket;

    pthread_mutex_lock(&cache->lock);
    bucket = bucket_of(cache, name);
    for (unsigned i = 0; bucket && i < N_WAYS && bucket->entries[i].node; i++) {
        Entry entry = bucket->entries[i];

        bucket->entries[i] = (Entry){0};
        if (entry.name && strcmp(entry.name, name) == 0)
            dropped[n_dropped++] = entry;
        else
            bucket->entries[n_kept++] = entry;
    }
    pthread_mutex_unlock(&cache->lock);
    while (n_dropped-- > 0) {
        g_free(dropped[n_dropped].name);
        fs_node_unref(dropped[n_dropped].node);
    }
}

int local_name_cache_clear(LocalNameCache *cache, bool nowait)
{
    Bucket *buckets;

    pthread_mutex_lock(&cache->lock);
    buckets = cache->buckets;
    if (!nowait)
        cache->buckets = NULL;
    pthread_mutex_unlock(&cache->lock);
    if (!buckets || nowait)
        return buckets ? -EAGAIN : 0;
    for (unsigned i = 0; i < N_BUCKETS * N_WAYS; i++) {
        Entry *entry = &buckets[i / N_WAYS].entries[i % N_WAYS];

        g_free(entry->name);
        fs_node_unref(entry->node);
    }
    g_free(buckets);
    return 0;
}
