/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Throttle: how fast the data of an export may be read and written. Pure arithmetic: whoever asks
 * says what time it is, and no two threads ask at once.
 *
 * A bucket fills with what is taken and leaks at its rate. What would make it run over waits, unless
 * that is large: such a thing goes when at least half of the bucket is free, and those behind it
 * wait until its excess has leaked out as well. So nothing is too large to go at all, and who comes
 * a little late loses nothing: there is still something in the bucket then, which goes on leaking.
 *
 * Times are monotonic microseconds. Fractions of a unit are kept, so that no rate drifts.
 */
#ifndef PROTOCOL_THROTTLE_H
#define PROTOCOL_THROTTLE_H

#include "protocol/export_options.h"

typedef struct Bucket {
    uint64_t rate;     /* units per second; 0: no limit */
    uint64_t burst;    /* how much it holds, 2 or more */
    uint64_t level;    /* how much is in it; more than burst after something large */
    uint64_t fraction; /* millionths of a unit that have leaked out besides */
    int64_t time;      /* of all this */
} Bucket;

/* An empty bucket. It holds a tenth of a second's worth unless `rate` says otherwise, and never less
 * than a fiftieth or than two units: timers are not exact. */
void bucket_init(Bucket *bucket, const ThrottleRate *rate, int64_t now);

/* For how long `amount` still has to wait: 0 when it may be taken now. A wait that is over in less
 * than a microsecond counts as one. */
int64_t bucket_delay(Bucket *bucket, uint64_t amount, int64_t now);

/* Takes `amount`, whatever bucket_delay() says. */
void bucket_take(Bucket *bucket, uint64_t amount);

/* Gives back what was taken and not used. */
void bucket_give_back(Bucket *bucket, uint64_t amount);

/* What a limit is for. */
typedef enum ThrottleScope {
    THROTTLE_READ,
    THROTTLE_WRITE,
    THROTTLE_TOTAL,
    THROTTLE_N_SCOPES,
    THROTTLE_N_KINDS = THROTTLE_TOTAL, /* an operation is of one of the kinds before */
} ThrottleScope;

/* All limits of an export. */
typedef struct Throttle {
    Bucket bytes[THROTTLE_N_SCOPES];
    Bucket ops[THROTTLE_N_SCOPES];
} Throttle;

/* Whether there is any limit. */
bool throttle_is_needed(const ThrottleOptions *options);

void throttle_init(Throttle *throttle, const ThrottleOptions *options, int64_t now);

/* For how long the limits of `scope` make an operation of `bytes` wait; see bucket_delay(). */
int64_t throttle_delay(Throttle *throttle, ThrottleScope scope, uint64_t bytes, int64_t now);

/* Counts an operation of `bytes`, against the limits of its kind and the total ones. */
void throttle_take(Throttle *throttle, ThrottleScope kind, uint64_t bytes);

/* An operation of this kind that was counted has used `bytes` less. */
void throttle_give_back(Throttle *throttle, ThrottleScope kind, uint64_t bytes);

#endif
