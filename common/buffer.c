/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers: see buffer.h. A free buffer holds the link of its free list in its own first bytes. */
#include "common/buffer.h"

#include <assert.h>
#include <glib.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { N_CLASSES = 11 }; /* BUFFER_MIN << 0 ... BUFFER_MIN << 10 */

typedef struct FreeBuffer {
    struct FreeBuffer *next;
} FreeBuffer;

struct BufferPool {
    pthread_mutex_t lock;
    FreeBuffer *free[N_CLASSES];
    size_t kept; /* bytes on the free lists */
    size_t keep;
};

G_STATIC_ASSERT((size_t)BUFFER_MIN << (N_CLASSES - 1) == BUFFER_MAX);

BufferPool *buffer_pool_new(size_t keep)
{
    BufferPool *pool = g_new0(BufferPool, 1);

    pthread_mutex_init(&pool->lock, NULL);
    pool->keep = keep;
    return pool;
}

void buffer_pool_free(BufferPool *pool)
{
    buffer_pool_trim(pool);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool);
}

static unsigned class_of_size(size_t size)
{
    unsigned order = 0;

    while (((size_t)BUFFER_MIN << order) < size)
        order++;
    return order;
}

void *buffer_pool_get(BufferPool *pool, size_t size, size_t *actual)
{
    unsigned order = class_of_size(size);
    FreeBuffer *buffer;

    assert(size <= BUFFER_MAX);
    *actual = (size_t)BUFFER_MIN << order;
    pthread_mutex_lock(&pool->lock);
    buffer = pool->free[order];
    if (buffer) {
        pool->free[order] = buffer->next;
        pool->kept -= *actual;
    }
    pthread_mutex_unlock(&pool->lock);
    return buffer ? (void *)buffer : malloc(*actual);
}

void buffer_pool_put(BufferPool *pool, void *buffer, size_t actual)
{
    FreeBuffer *entry = buffer;

    if (!buffer)
        return;
    pthread_mutex_lock(&pool->lock);
    if (pool->kept + actual <= pool->keep) {
        unsigned order = class_of_size(actual);
        entry->next = pool->free[order];
        pool->free[order] = entry;
        pool->kept += actual;
        entry = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    free(entry);
}

void buffer_pool_trim(BufferPool *pool)
{
    FreeBuffer *lists[N_CLASSES];

    pthread_mutex_lock(&pool->lock);
    for (unsigned order = 0; order < N_CLASSES; order++) {
        lists[order] = pool->free[order];
        pool->free[order] = NULL;
    }
    pool->kept = 0;
    pthread_mutex_unlock(&pool->lock);

    for (unsigned order = 0; order < N_CLASSES; order++) {
        while (lists[order]) {
            FreeBuffer *next = lists[order]->next;
            free(lists[order]);
            lists[order] = next;
        }
    }
    malloc_trim(0);
}
