/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers: memory for messages in flight, kept for reuse.
 *
 * Sizes are rounded up to a power of two, BUFFER_MIN ... BUFFER_MAX. A released buffer goes to the
 * pool's free list of its size, so that a steady load allocates nothing; buffer_pool_trim() gives
 * everything that is free back to the system. Any thread may call.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stddef.h>

enum {
    BUFFER_MIN = 2048,
    BUFFER_MAX = 2 * 1024 * 1024,
};

typedef struct BufferPool BufferPool;

/* A new pool that keeps at most `keep` bytes of released buffers. */
BufferPool *buffer_pool_new(size_t keep);

/* Frees the pool. Every buffer must have been released. */
void buffer_pool_free(BufferPool *pool);

/* A buffer of at least `size` bytes (at most BUFFER_MAX), content undefined; `*actual` receives
 * its real size. Returns NULL when the system has no memory. */
void *buffer_pool_get(BufferPool *pool, size_t size, size_t *actual);

/* Releases a buffer; `actual` is what buffer_pool_get() said. NULL is allowed. */
void buffer_pool_put(BufferPool *pool, void *buffer, size_t actual);

/* Returns all free buffers to the system. */
void buffer_pool_trim(BufferPool *pool);

#endif
