/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Statistics: buckets, sums over threads, what counts as what. */
#include "protocol/stats.h"

#include <glib.h>

#include "protocol/wire.h"

enum { N_THREADS = 4, N_EVENTS = 20000 };

/* Each latency is in the first bucket whose bound is not below it. */
static void test_buckets(void)
{
    for (unsigned i = 0; i + 1 < STATS_BUCKETS; i++) {
        Stats *stats = stats_new();
        OpStats op;

        g_assert_cmpuint(stats_bound(i), <, stats_bound(i + 1));
        stats_count(stats, true, &(StatsEvent){.type = P9_TREAD, .usec = (int64_t)stats_bound(i)});
        stats_count(stats, true,
                    &(StatsEvent){.type = P9_TREAD, .usec = (int64_t)stats_bound(i) + 1});
        stats_read(stats, P9_TREAD, &op);
        g_assert_cmpuint(op.buckets[i], ==, 1);
        g_assert_cmpuint(op.buckets[i + 1], ==, 1);
        g_assert_cmpuint(op.max_usec, ==, stats_bound(i) + 1);
        stats_free(stats);
    }
}

static void test_extremes(void)
{
    Stats *stats = stats_new();
    OpStats op;

    stats_count(stats, true, &(StatsEvent){.type = P9_TREAD, .usec = INT64_MAX});
    stats_count(stats, true, &(StatsEvent){.type = P9_TREAD, .usec = -1});
    stats_count(stats, true, &(StatsEvent){.type = 255, .usec = 0});
    stats_count(stats, true, &(StatsEvent){.type = P9_TREAD + 1, .usec = 0});
    stats_read(stats, P9_TREAD, &op);
    g_assert_cmpuint(op.buckets[STATS_BUCKETS - 1], ==, 1);
    g_assert_cmpuint(op.buckets[0], ==, 1);
    stats_read(stats, 0, &op);
    g_assert_cmpuint(op.count, ==, 2);
    g_assert_cmpuint(stats_n_ended(stats), ==, 4);
    stats_free(stats);
}

static void test_kinds(void)
{
    Stats *stats = stats_new();
    OpStats op;

    stats_count(stats, true,
                &(StatsEvent){.type = P9_TREAD, .bytes_in = 23, .bytes_out = 100, .usec = 5});
    stats_count(
        stats, false,
        &(StatsEvent){.type = P9_TREAD, .error = true, .bytes_in = 23, .bytes_out = 11, .usec = 7});
    stats_count(
        stats, false,
        &(StatsEvent){
            .type = P9_TREAD, .cancelled = true, .bytes_in = 23, .bytes_out = 1000, .usec = 1000});
    stats_read(stats, P9_TREAD, &op);
    g_assert_cmpuint(op.count, ==, 3);
    g_assert_cmpuint(op.errors, ==, 1);
    g_assert_cmpuint(op.cancelled, ==, 1);
    g_assert_cmpuint(op.bytes_in, ==, 69);
    g_assert_cmpuint(op.bytes_out, ==, 111);
    g_assert_cmpuint(op.total_usec, ==, 12);
    g_assert_cmpuint(op.max_usec, ==, 7);
    g_assert_cmpuint(op.buckets[5], ==, 1);
    g_assert_cmpuint(op.buckets[7], ==, 1);
    stats_read(stats, P9_TWRITE, &op);
    g_assert_cmpuint(op.count, ==, 0);
    stats_free(stats);
}

static gpointer count_many(gpointer stats)
{
    for (unsigned i = 0; i < N_EVENTS; i++)
        stats_count(stats, false, &(StatsEvent){.type = P9_TWALK, .bytes_in = 1, .usec = i % 10});
    return NULL;
}

/* Nothing is lost when many count at once. */
static void test_threads(void)
{
    GThread *threads[N_THREADS];
    Stats *stats = stats_new();
    OpStats op;

    for (unsigned i = 0; i < N_THREADS; i++)
        threads[i] = g_thread_new("count", count_many, stats);
    for (unsigned i = 0; i < N_EVENTS; i++)
        stats_count(stats, true, &(StatsEvent){.type = P9_TWALK, .bytes_in = 1, .usec = i % 10});
    for (unsigned i = 0; i < N_THREADS; i++)
        g_thread_join(threads[i]);
    stats_read(stats, P9_TWALK, &op);
    g_assert_cmpuint(op.count, ==, (N_THREADS + 1) * N_EVENTS);
    g_assert_cmpuint(op.bytes_in, ==, (N_THREADS + 1) * N_EVENTS);
    g_assert_cmpuint(op.buckets[3], ==, (N_THREADS + 1) * N_EVENTS / 10);
    g_assert_cmpuint(stats_n_ended(stats), ==, (N_THREADS + 1) * N_EVENTS);
    stats_free(stats);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stats/buckets", test_buckets);
    g_test_add_func("/stats/extremes", test_extremes);
    g_test_add_func("/stats/kinds", test_kinds);
    g_test_add_func("/stats/threads", test_threads);
    return g_test_run();
}
