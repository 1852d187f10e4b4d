/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stats: see stats.h. */
#include "protocol/stats.h"

#include <glib.h>
#include <sys/mman.h>

enum {
    N_SHARED = 8, /* sets of the threads that are not the first reader */
    READER = N_SHARED,
    N_SETS,
    N_TYPES = 64, /* those of requests are even */
    LINE_BYTES = 64,
};

typedef struct Counters {
    OpStats op;
} __attribute__((aligned(LINE_BYTES))) Counters;

typedef struct Set {
    uint64_t n_ended;
    Counters ops[N_TYPES];
} __attribute__((aligned(LINE_BYTES))) Set;

struct Stats {
    Set sets[N_SETS];
};

/* Which of the shared sets this thread counts in, and one more; 0: it has none yet. */
static __thread unsigned own_set;

static unsigned shared_set(void)
{
    static unsigned last;

    if (own_set == 0)
        own_set = 1 + __atomic_fetch_add(&last, 1, __ATOMIC_RELAXED) % N_SHARED;
    return own_set - 1;
}

/* Most of it is never touched, and so takes no memory. */
Stats *stats_new(void)
{
    void *memory =
        mmap(NULL, sizeof(Stats), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        g_error("no memory for statistics");
    return memory;
}

void stats_free(Stats *stats)
{
    munmap(stats, sizeof(*stats));
}

uint8_t stats_type(uint8_t type)
{
    return type / 2 < N_TYPES && type % 2 == 0 ? type : 0;
}

/* Adds to a counter: of the reader, which needs no atomic operation for what only it writes; or of a
 * set that several threads may share. */
static void add(uint64_t *counter, uint64_t n, bool reader)
{
    if (reader)
        __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
    else
        __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *counter, uint64_t n)
{
    uint64_t old = __atomic_load_n(counter, __ATOMIC_RELAXED);

    while (old < n &&
           !__atomic_compare_exchange_n(counter, &old, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
}

static unsigned bucket_of(uint64_t usec)
{
    unsigned octave, index;

    if (usec < STATS_LINEAR)
        return (unsigned)usec;
    octave = 63 - (unsigned)__builtin_clzll(usec);
    index = STATS_LINEAR + (octave - 3) * STATS_PER_OCTAVE + (unsigned)(usec >> (octave - 2) & 3);
    return MIN(index, STATS_BUCKETS - 1);
}

uint64_t stats_bound(unsigned index)
{
    unsigned octave = (index - STATS_LINEAR) / STATS_PER_OCTAVE + 3;
    unsigned step = (index - STATS_LINEAR) % STATS_PER_OCTAVE;

    if (index < STATS_LINEAR)
        return index;
    return (((uint64_t)STATS_PER_OCTAVE + step + 1) << (octave - 2)) - 1;
}

static void count_latency(OpStats *op, bool reader, uint64_t usec)
{
    add(&op->total_usec, usec, reader);
    add(&op->buckets[bucket_of(usec)], 1, reader);
    raise_to(&op->max_usec, usec);
}

void stats_count(Stats *stats, bool reader, const StatsEvent *event)
{
    Set *set = &stats->sets[reader ? READER : shared_set()];
    OpStats *op = &set->ops[stats_type(event->type) / 2].op;

    add(&set->n_ended, 1, reader);
    add(&op->count, 1, reader);
    add(&op->bytes_in, event->bytes_in, reader);
    if (event->cancelled) {
        add(&op->cancelled, 1, reader);
        return;
    }
    add(&op->bytes_out, event->bytes_out, reader);
    if (event->error)
        add(&op->errors, 1, reader);
    count_latency(op, reader, (uint64_t)MAX(event->usec, 0));
}

static uint64_t get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void stats_read(const Stats *stats, uint8_t type, OpStats *sum)
{
    *sum = (OpStats){0};
    for (unsigned i = 0; i < N_SETS; i++) {
        const OpStats *op = &stats->sets[i].ops[stats_type(type) / 2].op;

        sum->count += get(&op->count);
        sum->errors += get(&op->errors);
        sum->cancelled += get(&op->cancelled);
        sum->bytes_in += get(&op->bytes_in);
        sum->bytes_out += get(&op->bytes_out);
        sum->total_usec += get(&op->total_usec);
        sum->max_usec = MAX(sum->max_usec, get(&op->max_usec));
        for (unsigned b = 0; b < STATS_BUCKETS; b++)
            sum->buckets[b] += get(&op->buckets[b]);
    }
}

uint64_t stats_n_ended(const Stats *stats)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < N_SETS; i++)
        n += get(&stats->sets[i].n_ended);
    return n;
}
