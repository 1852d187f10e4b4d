/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spin: how long to look for more work before going to sleep.
 *
 * A wake-up costs more than most requests. When the next request comes soon after we went to
 * sleep, looking at the ring a little longer would have saved it: so short sleeps switch spinning
 * on, long ones switch it off. Where spinning does not help it is tried ever more rarely.
 *
 * Whoever else wants the CPU has it first: when that is the other side, its next requests are there
 * afterwards, and neither has slept. When it is somebody who keeps the CPU for long, we do not offer it
 * again soon: one who was woken gets it back earlier than one who gave it away.
 */
#ifndef XEN_9PFS_SPIN_H
#define XEN_9PFS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Spin {
    bool on;
    bool missed;       /* the last spin found nothing */
    unsigned hold_off; /* sleeps to pass before the next try */
    unsigned penalty;  /* what hold_off becomes when spinning does not help */
    int64_t asleep_at; /* monotonic microseconds */
} Spin;

/* Calls `has_work` until it returns true or it is time to sleep. Returns what it returned last. */
bool spin_for_work(Spin *spin, bool (*has_work)(void *context), void *context);

/* To be called before a sleep, and after one that ended with an event. They look at the clock only
 * while that decides anything: under some hypervisors it is a system call. */
void spin_before_sleep(Spin *spin);
void spin_after_sleep(Spin *spin);

#endif
