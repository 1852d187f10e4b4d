/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histogram: latencies in nanoseconds, up to a minute, told apart to 1.6 %. Plain memory without
 * pointers, so that one process can hand it to another.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_OCTAVES = 31 };

typedef struct Histogram {
    uint64_t count;
    uint32_t buckets[HISTOGRAM_OCTAVES * HISTOGRAM_STEPS];
} Histogram;

void histogram_add(Histogram *histogram, uint64_t ns);

/* Adds all of `other`. */
void histogram_merge(Histogram *histogram, const Histogram *other);

/* The latency that `share` (0 to 1) of all do not exceed, in nanoseconds; 0 when there are none. */
uint64_t histogram_quantile(const Histogram *histogram, double share);

#endif
