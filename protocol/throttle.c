/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Throttle: see throttle.h. */
#include "protocol/throttle.h"

#include <glib.h>

enum {
    SECOND = 1000 * 1000,
    DEFAULT_PART = 10,  /* of a second's worth */
    SMALLEST_PART = 50, /* likewise */
    SMALLEST_BURST = 2,
};

void bucket_init(Bucket *b, const ThrottleRate *rate, int64_t now)
{
    uint64_t burst = rate->burst > 0 ? rate->burst : rate->rate / DEFAULT_PART;
    uint64_t least = MAX(rate->rate / SMALLEST_PART, SMALLEST_BURST);

    *b = (Bucket){.rate = rate->rate, .burst = MAX(burst, least), .time = now};
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_saturated(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* How many units leak out within `elapsed`. *fraction is what was left over before and is now. The
 * rate is split, since its product with the time may not fit. */
static uint64_t leak_in(uint64_t rate, uint64_t elapsed, uint64_t *fraction)
{
    uint64_t part = elapsed % SECOND;
    uint64_t millionths = rate % SECOND * part + *fraction;
    uint64_t units = multiply_saturated(rate, elapsed / SECOND);

    *fraction = millionths % SECOND;
    units = add_saturated(units, rate / SECOND * part);
    return add_saturated(units, millionths / SECOND);
}

/* Brings the bucket up to `now`. One that is empty saves nothing up. */
static void leak(Bucket *b, int64_t now)
{
    uint64_t units;

    if (now <= b->time)
        return;
    units = leak_in(b->rate, (uint64_t)now - (uint64_t)b->time, &b->fraction);
    b->time = now;
    if (units >= b->level) {
        b->level = 0;
        b->fraction = 0;
    } else {
        b->level -= units;
    }
}

/* How long it takes until `units` have leaked out, rounded up. */
static int64_t time_to_leak(const Bucket *b, uint64_t units)
{
    uint64_t rest = units % b->rate;
    uint64_t seconds = units / b->rate;
    uint64_t part;

    if (rest <= UINT64_MAX / SECOND)
        part = (rest * SECOND - MIN(b->fraction, rest * SECOND)) / b->rate + 1;
    else
        part = rest / (b->rate / SECOND) + 1;
    return (int64_t)MIN(add_saturated(multiply_saturated(seconds, SECOND), part), INT64_MAX);
}

int64_t bucket_delay(Bucket *b, uint64_t amount, int64_t now)
{
    uint64_t wanted =
        MIN(amount, b->burst - b->burst / 2); /* which is free when the level is low */

    if (b->rate == 0 || amount == 0)
        return 0;
    leak(b, now);
    if (b->level <= b->burst - wanted)
        return 0;
    return time_to_leak(b, b->level - (b->burst - wanted));
}

void bucket_take(Bucket *b, uint64_t amount)
{
    if (b->rate > 0)
        b->level = add_saturated(b->level, amount);
}

void bucket_give_back(Bucket *b, uint64_t amount)
{
    b->level -= MIN(b->level, amount);
}

bool throttle_is_needed(const ThrottleOptions *o)
{
    return o->bytes_total.rate || o->bytes_read.rate || o->bytes_write.rate || o->ops_total.rate ||
           o->ops_read.rate || o->ops_write.rate;
}

void throttle_init(Throttle *t, const ThrottleOptions *o, int64_t now)
{
    bucket_init(&t->bytes[THROTTLE_READ], &o->bytes_read, now);
    bucket_init(&t->bytes[THROTTLE_WRITE], &o->bytes_write, now);
    bucket_init(&t->bytes[THROTTLE_TOTAL], &o->bytes_total, now);
    bucket_init(&t->ops[THROTTLE_READ], &o->ops_read, now);
    bucket_init(&t->ops[THROTTLE_WRITE], &o->ops_write, now);
    bucket_init(&t->ops[THROTTLE_TOTAL], &o->ops_total, now);
}

int64_t throttle_delay(Throttle *t, ThrottleScope scope, uint64_t bytes, int64_t now)
{
    int64_t for_bytes = bucket_delay(&t->bytes[scope], bytes, now);
    int64_t for_op = bucket_delay(&t->ops[scope], 1, now);

    return MAX(for_bytes, for_op);
}

void throttle_take(Throttle *t, ThrottleScope kind, uint64_t bytes)
{
    bucket_take(&t->bytes[kind], bytes);
    bucket_take(&t->bytes[THROTTLE_TOTAL], bytes);
    bucket_take(&t->ops[kind], 1);
    bucket_take(&t->ops[THROTTLE_TOTAL], 1);
}

void throttle_give_back(Throttle *t, ThrottleScope kind, uint64_t bytes)
{
    bucket_give_back(&t->bytes[kind], bytes);
    bucket_give_back(&t->bytes[THROTTLE_TOTAL], bytes);
}
