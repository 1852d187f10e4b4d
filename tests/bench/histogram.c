/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histogram: see histogram.h.
 *
 * Bucket numbers count on from octave to octave: the first octave holds 0 to 63 as they are, each
 * later one has as many steps for twice the range.
 */
#include "tests/bench/histogram.h"

enum { STEP_BITS = 6, N_BUCKETS = HISTOGRAM_OCTAVES * HISTOGRAM_STEPS };

static unsigned bucket_of(uint64_t ns)
{
    unsigned octave = ns < HISTOGRAM_STEPS ? 0 : 63 - STEP_BITS - (unsigned)__builtin_clzll(ns) + 1;
    unsigned step = (unsigned)(octave == 0 ? ns : (ns >> (octave - 1)) - HISTOGRAM_STEPS);
    unsigned bucket = octave * HISTOGRAM_STEPS + step;

    return bucket < N_BUCKETS ? bucket : N_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t bucket_value(unsigned bucket)
{
    unsigned octave = bucket / HISTOGRAM_STEPS;
    uint64_t step = bucket % HISTOGRAM_STEPS;

    if (octave == 0)
        return step;
    return ((step + HISTOGRAM_STEPS) << (octave - 1)) + (UINT64_C(1) << (octave - 1)) / 2;
}

void histogram_add(Histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(ns)]++;
}

void histogram_merge(Histogram *histogram, const Histogram *other)
{
    histogram->count += other->count;
    for (unsigned i = 0; i < N_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
}

uint64_t histogram_quantile(const Histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)(share * (double)histogram->count);
    uint64_t seen = 0;

    for (unsigned i = 0; i < N_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > rank)
            return bucket_value(i);
    }
    return 0;
}
