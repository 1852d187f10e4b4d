/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histogram: how long operations took, as a worker counts them: so many up to each bound, and in the
 * last bucket all others. So the last bound that the worker names is none.
 */
#ifndef XEN_9PFS_TOOL_HISTOGRAM_H
#define XEN_9PFS_TOOL_HISTOGRAM_H

#include <stddef.h>

#include "xen-9pfs/tool/record.h"

typedef struct Histogram {
    size_t n_bounds;
    uint64_t *bounds_us; /* rising */
    uint64_t *counts;    /* n_bounds + 1 */
    uint64_t max_us;     /* the longest of all; G_MAXUINT64: not known */
} Histogram;

/* Reads the bounds from a record=buckets, and the counts from a record=operation; either may be
 * NULL or make no sense, which leaves the histogram empty. Ends with histogram_free(). */
Histogram *histogram_new(const Record *bounds, const Record *operation);
void histogram_free(Histogram *histogram);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Histogram, histogram_free)

uint64_t histogram_total(const Histogram *histogram);

/* Takes away what was counted earlier, if that has the same bounds. */
void histogram_subtract(Histogram *histogram, const Histogram *before);

/* Adds what another has counted, if that has the same bounds; an empty one takes it over. */
void histogram_add(Histogram *histogram, const Histogram *other);

/* The time within which the `share` (0 ... 1) of the operations was done: the bound of the bucket
 * where it lies, so that it was at most this. Returns 0 when nothing was counted. */
uint64_t histogram_percentile(const Histogram *histogram, double share);

#endif
