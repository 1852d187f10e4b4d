/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The token buckets: rates over time, bursts, what is too large, and numbers at their limits. */
#include "protocol/throttle.h"

#include <glib.h>

enum { SECOND = 1000 * 1000, HOUR = 3600 };

static const int64_t start = 5000000000;

static Bucket new_bucket(uint64_t rate, uint64_t burst)
{
    Bucket b;

    bucket_init(&b, &(ThrottleRate){.rate = rate, .burst = burst}, start);
    return b;
}

/* Takes `amount` as often as possible until `end`, coming `late` microseconds late each time.
 * Returns how often. */
static uint64_t run_until(Bucket *b, uint64_t amount, int64_t end, int64_t late)
{
    int64_t now = b->time;
    uint64_t n = 0;

    while (now < end) {
        int64_t delay = bucket_delay(b, amount, now);

        if (delay == 0) {
            bucket_take(b, amount);
            n++;
        } else {
            now += delay + late;
        }
    }
    return n;
}

static void test_no_limit(void)
{
    Bucket b = new_bucket(0, 5);

    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpint(bucket_delay(&b, UINT64_MAX, start), ==, 0);
        bucket_take(&b, UINT64_MAX);
    }
    bucket_give_back(&b, UINT64_MAX);
    g_assert_cmpint(bucket_delay(&b, 1, start), ==, 0);
}

/* A burst at once, and not one unit more; then exactly the rate. */
static void test_burst_then_rate(void)
{
    Bucket b = new_bucket(1000, 100);

    g_assert_cmpuint(run_until(&b, 1, start + 1, 0), ==, 100);
    g_assert_cmpint(bucket_delay(&b, 1, start + 1), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, start + 999), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, start + 1000), ==, 0);
    bucket_take(&b, 1);
    g_assert_cmpint(bucket_delay(&b, 1, start + 1999), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, start + 2000), ==, 0);
}

static void test_default_burst(void)
{
    Bucket b = new_bucket(1000 * 1000, 0);

    g_assert_cmpuint(b.burst, ==, 100 * 1000);
    b = new_bucket(3, 0);
    g_assert_cmpuint(b.burst, ==, 2);
    b = new_bucket(1000 * 1000, 1);
    g_assert_cmpuint(b.burst, ==, 20 * 1000);
}

/* What is not used is not saved up beyond the burst. */
static void test_idle_credit_is_capped(void)
{
    Bucket b = new_bucket(1000, 100);
    int64_t later = start + (int64_t)HOUR * SECOND;

    g_assert_cmpint(bucket_delay(&b, 1, later), ==, 0);
    g_assert_cmpuint(run_until(&b, 1, later + 1, 0), ==, 100);
}

/* Over an hour the rate is met to within the burst and one thing more, whatever the sizes. */
static void test_rate_over_an_hour(void)
{
    static const struct {
        uint64_t rate, burst, amount;
    } cases[] = {
        {7, 0, 1},        {1, 0, 1},          {1000 * 1000 * 1000, 0, 1000 * 1000},
        {3333, 50, 7},    {999999, 0, 12345}, {5000, 100, 4000},
        {1000003, 0, 64}, {50, 1, 1},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Bucket b = new_bucket(cases[i].rate, cases[i].burst);
        uint64_t seconds = cases[i].rate / cases[i].amount > 10000 ? 60 : HOUR;
        uint64_t taken =
            run_until(&b, cases[i].amount, start + (int64_t)seconds * SECOND, 0) * cases[i].amount;

        g_assert_cmpuint(taken, <=, seconds * cases[i].rate + b.burst + cases[i].amount);
        g_assert_cmpuint(taken + b.burst + cases[i].amount, >=, seconds * cases[i].rate);
    }
}

/* Who comes a little late each time loses nothing. */
static void test_late_timers_lose_nothing(void)
{
    static const uint64_t amounts[] = {1000, 60 * 1000, 512 * 1024};

    for (size_t i = 0; i < G_N_ELEMENTS(amounts); i++) {
        Bucket b = new_bucket(1000 * 1000, 0);
        uint64_t expected = (uint64_t)HOUR * 1000 * 1000;
        uint64_t taken =
            run_until(&b, amounts[i], start + (int64_t)HOUR * SECOND, 1700) * amounts[i];

        g_assert_cmpuint(taken + 2 * amounts[i] + b.burst, >=, expected);
        g_assert_cmpuint(taken, <=, expected + amounts[i] + b.burst);
    }
}

/* Something larger than the burst goes, and those behind it wait until it is paid for. */
static void test_larger_than_burst(void)
{
    Bucket b = new_bucket(1000, 100);

    g_assert_cmpint(bucket_delay(&b, 5000, start), ==, 0);
    bucket_take(&b, 5000);
    g_assert_cmpint(bucket_delay(&b, 1, start), ==, (5000 - 99) * 1000 + 1);
    g_assert_cmpint(bucket_delay(&b, 5000, start), ==, (5000 - 50) * 1000 + 1);
    g_assert_cmpint(bucket_delay(&b, 5000, start + 4950 * 1000), ==, 0);
}

/* What takes no unit does not wait for those who took too many. */
static void test_nothing_waits_for_nothing(void)
{
    Bucket b = new_bucket(1000, 100);

    bucket_take(&b, 5000);
    g_assert_cmpint(bucket_delay(&b, 0, start), ==, 0);
}

static void test_give_back(void)
{
    Bucket b = new_bucket(1000, 100);

    bucket_take(&b, 5000);
    bucket_give_back(&b, 4951);
    g_assert_cmpint(bucket_delay(&b, 50, start), ==, 0);
    bucket_take(&b, 2);
    g_assert_cmpint(bucket_delay(&b, 50, start), >, 0);
    bucket_give_back(&b, 4950); /* more than there is, after a leak for instance */
    g_assert_cmpuint(run_until(&b, 1, start + 1, 0), ==, 100);
}

static void test_clock_that_stands_or_goes_back(void)
{
    Bucket b = new_bucket(1000, 100);

    bucket_take(&b, 100);
    g_assert_cmpint(bucket_delay(&b, 1, start + 5000), ==, 0);
    bucket_take(&b, 5);
    g_assert_cmpint(bucket_delay(&b, 1, start + 5000), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, start - 5000), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, INT64_MIN), >, 0);
    g_assert_cmpint(bucket_delay(&b, 1, start + 6000), ==, 0);
}

static void test_extremes(void)
{
    static const uint64_t values[] = {1, 2, 999999, 1000001, UINT64_MAX / 2 + 1, UINT64_MAX};
    enum { N = G_N_ELEMENTS(values) };

    for (unsigned i = 0; i < N * N * N; i++) {
        uint64_t rate = values[i % N], amount = values[i / N % N];
        Bucket b = new_bucket(rate, values[i / N / N]);
        int64_t delay;

        for (unsigned n = 0; n < 3; n++)
            bucket_take(&b, amount);
        g_assert_cmpuint(b.level, >=, amount);
        delay = bucket_delay(&b, amount, start);
        g_assert_cmpint(delay, >=, 0);
        if (delay < INT64_MAX - start)
            g_assert_cmpint(bucket_delay(&b, amount, start + delay), ==, 0);
        g_assert_cmpint(bucket_delay(&b, 1, INT64_MAX), >=, 0);
    }
}

/* A time span of all that 64 bits can say empties what can be emptied. */
static void test_longest_time(void)
{
    Bucket b;

    bucket_init(&b, &(ThrottleRate){.rate = UINT64_MAX}, INT64_MIN);
    bucket_take(&b, UINT64_MAX);
    g_assert_cmpint(bucket_delay(&b, 1, INT64_MAX), ==, 0);
    g_assert_cmpuint(b.level, ==, 0);
    bucket_init(&b, &(ThrottleRate){.rate = 1}, INT64_MIN);
    bucket_take(&b, UINT64_MAX);
    g_assert_cmpint(bucket_delay(&b, 1, INT64_MAX), >, 0);
    g_assert_cmpuint(b.level, ==, UINT64_MAX - UINT64_MAX / SECOND);
}

static void test_scopes(void)
{
    ThrottleOptions options = {.bytes_read = {.rate = 1000, .burst = 100},
                               .ops_total = {.rate = 10, .burst = 5}};
    Throttle t;

    g_assert_false(throttle_is_needed(&(ThrottleOptions){.ops_read.burst = 7}));
    g_assert_true(throttle_is_needed(&options));
    throttle_init(&t, &options, start);
    throttle_take(&t, THROTTLE_READ, 1000);
    g_assert_cmpint(throttle_delay(&t, THROTTLE_READ, 1, start), ==, 901 * 1000 + 1);
    g_assert_cmpint(throttle_delay(&t, THROTTLE_READ, 0, start), ==, 0);
    g_assert_cmpint(throttle_delay(&t, THROTTLE_WRITE, 1, start), ==, 0);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpint(throttle_delay(&t, THROTTLE_TOTAL, 1000, start), ==, 0);
        throttle_take(&t, THROTTLE_WRITE, 1000 * 1000);
    }
    g_assert_cmpint(throttle_delay(&t, THROTTLE_WRITE, 1000, start), ==, 0);
    g_assert_cmpint(throttle_delay(&t, THROTTLE_TOTAL, 0, start), ==, SECOND / 10 + 1);
    throttle_give_back(&t, THROTTLE_READ, 1000);
    g_assert_cmpint(throttle_delay(&t, THROTTLE_READ, 1, start), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/throttle/no-limit", test_no_limit);
    g_test_add_func("/throttle/burst-then-rate", test_burst_then_rate);
    g_test_add_func("/throttle/default-burst", test_default_burst);
    g_test_add_func("/throttle/idle-credit-is-capped", test_idle_credit_is_capped);
    g_test_add_func("/throttle/rate-over-an-hour", test_rate_over_an_hour);
    g_test_add_func("/throttle/late-timers-lose-nothing", test_late_timers_lose_nothing);
    g_test_add_func("/throttle/larger-than-burst", test_larger_than_burst);
    g_test_add_func("/throttle/nothing-waits-for-nothing", test_nothing_waits_for_nothing);
    g_test_add_func("/throttle/give-back", test_give_back);
    g_test_add_func("/throttle/clock-that-stands-or-goes-back",
                    test_clock_that_stands_or_goes_back);
    g_test_add_func("/throttle/extremes", test_extremes);
    g_test_add_func("/throttle/longest-time", test_longest_time);
    g_test_add_func("/throttle/scopes", test_scopes);
    return g_test_run();
}
