/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stats: what a session has done, by type of message.
 *
 * Counting takes no lock. The first reader has counters of its own, which nobody else writes; the other
 * threads spread over a few sets. Who reads adds them all up, and sees each number as it was at
 * some time during the call.
 *
 * Latencies are counted in a log-linear histogram: up to 7 microseconds each has a bucket, and each
 * power of two above has four, so that a bound is never wrong by more than a quarter.
 */
#ifndef PROTOCOL_STATS_H
#define PROTOCOL_STATS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STATS_LINEAR = 8,   /* buckets of one microsecond each */
    STATS_OCTAVES = 24, /* from 8 us to 134 s */
    STATS_PER_OCTAVE = 4,
    STATS_BUCKETS = STATS_LINEAR + STATS_OCTAVES * STATS_PER_OCTAVE,
};

/* What has become of the requests of one type. A request that will get no reply is cancelled, and
 * neither in bytes_out nor in the latencies. */
typedef struct OpStats {
    uint64_t count;      /* requests that have ended */
    uint64_t errors;     /* of these, answered with an error */
    uint64_t cancelled;  /* and not answered */
    uint64_t bytes_in;   /* of requests */
    uint64_t bytes_out;  /* of replies */
    uint64_t total_usec; /* of all latencies: from taking a request to publishing its reply */
    uint64_t max_usec;
    uint64_t buckets[STATS_BUCKETS]; /* how many latencies were in each */
} OpStats;

typedef struct Stats Stats;

/* How a request has ended. */
typedef struct StatsEvent {
    uint8_t type; /* of the message */
    bool error;
    bool cancelled;
    uint32_t bytes_in;
    uint32_t bytes_out;
    int64_t usec;
} StatsEvent;

Stats *stats_new(void);
void stats_free(Stats *stats);

/* Counts a request. `reader`: the calling thread is the one that has a set of its own. */
void stats_count(Stats *stats, bool reader, const StatsEvent *event);

/* What was counted for a type of message. What is none is the type 0. */
void stats_read(const Stats *stats, uint8_t type, OpStats *sum);

/* How many requests have ended. */
uint64_t stats_n_ended(const Stats *stats);

/* The type that stands for `type` here: itself, or 0. */
uint8_t stats_type(uint8_t type);

/* The largest latency that belongs into bucket `index`; the last one has all that are larger, too. */
uint64_t stats_bound(unsigned index);

#endif
