/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tags: which request a tag stands for now.
 *
 * A slot for each of the 2^16 tags, guarded by a few locks. The lock of a tag also guards the
 * fields of its request that say so. A request leaves its slot before its reply becomes visible,
 * since the client may use the tag again from then on.
 */
#ifndef PROTOCOL_TAGS_H
#define PROTOCOL_TAGS_H

#include <pthread.h>
#include <stdint.h>

typedef struct Request Request;

enum { TAG_COUNT = 65536, TAG_LOCKS = 64 };

typedef struct TagTable {
    pthread_mutex_t locks[TAG_LOCKS];
    Request *newest[TAG_LOCKS]; /* all requests in flight with tags of that lock, see Request.older */
    Request **slots;            /* TAG_COUNT of them; untouched ones take no memory */
} TagTable;

void tag_table_init(TagTable *table);
void tag_table_deinit(TagTable *table);

static inline void tag_lock(TagTable *table, uint16_t tag)
{
    pthread_mutex_lock(&table->locks[tag % TAG_LOCKS]);
}

static inline void tag_unlock(TagTable *table, uint16_t tag)
{
    pthread_mutex_unlock(&table->locks[tag % TAG_LOCKS]);
}

/* Keep the list of requests in flight, which also has those that have lost their slot. Called with
 * the lock of the request's tag held; removing again what was removed does nothing. */
void tag_table_add(TagTable *table, Request *request);
void tag_table_remove(TagTable *table, Request *request);

#endif
