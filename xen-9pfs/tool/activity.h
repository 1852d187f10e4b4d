/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activity: what a worker's answers to "stats" say about a time, which is the one between two of them
 * or all the time since the worker started.
 */
#ifndef XEN_9PFS_TOOL_ACTIVITY_H
#define XEN_9PFS_TOOL_ACTIVITY_H

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/histogram.h"

/* True when `before` is an earlier answer of the same worker. Both may be incomplete, or `before`
 * NULL. */
bool activity_is_continued(const Query *now, const Query *before);

/* The records of a kind, at most 256: there are not as many operations or rings, whatever a worker
 * says. They stay the query's; the caller unrefs the array. */
GPtrArray *activity_records(const Query *query, const char *kind);

/* By how much a field of a record has grown; its value when `before` is NULL. */
uint64_t activity_growth(const Record *now, const Record *before, const char *field);

/* The one of those whose field `key` is the same as that of `record`, or NULL; also when `query` is. */
const Record *activity_find(const Query *query, const char *kind, const char *key,
                            const Record *record);

/* The operations that were done, most frequent first: records with the fields name, count, errors,
 * cancelled, bytes_in, bytes_out, and in microseconds mean_us, p50_us, p99_us, p999_us, max_us.
 * `before` may be NULL. The caller unrefs the array. */
GPtrArray *activity_operations(const Query *now, const Query *before);

/* Of all operations together. Ends with histogram_free(). */
Histogram *activity_histogram(const Query *now, const Query *before);

#endif
