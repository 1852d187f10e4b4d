/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spin: see spin.h. */
#include "xen-9pfs/spin.h"

#include <glib.h>
#include <sched.h>

/* #syscalls sched_yield */

enum {
    SPIN_USEC = 50,         /* about what the wake-ups of both sides cost */
    LONG_YIELD_USEC = 1000, /* somebody else has work for this CPU, and not for us */
    SHORT_SLEEP_USEC = 100, /* a sleep that spinning might have saved */
    LONG_HOLD_OFF = 8,      /* sleeps that are not measured after a long one */
    MIN_PENALTY = 16,
    MAX_PENALTY = 4096,
};

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Spinning did not help, and is not tried again for a while. */
static void give_up(Spin *spin)
{
    spin->on = false;
    spin->penalty = CLAMP(spin->penalty * 2, MIN_PENALTY, MAX_PENALTY);
    spin->hold_off = spin->penalty;
}

bool spin_for_work(Spin *spin, bool (*has_work)(void *context), void *context)
{
    int64_t begin, now;

    if (!spin->on)
        return false;
    begin = g_get_monotonic_time();
    sched_yield();
    do {
        now = g_get_monotonic_time();
        if (has_work(context)) {
            spin->missed = false;
            if (now - begin < LONG_YIELD_USEC)
                spin->penalty = MIN_PENALTY;
            else
                give_up(spin);
            return true;
        }
        cpu_relax();
    } while (now - begin < SPIN_USEC);
    spin->missed = true;
    return false;
}

void spin_before_sleep(Spin *spin)
{
    if (spin->hold_off == 0)
        spin->asleep_at = g_get_monotonic_time();
}

void spin_after_sleep(Spin *spin)
{
    bool was_short;

    if (spin->hold_off > 0) {
        spin->hold_off--;
        return;
    }
    was_short = g_get_monotonic_time() - spin->asleep_at <= SHORT_SLEEP_USEC;
    if (was_short && spin->on && spin->missed) {
        give_up(spin);
    } else {
        spin->on = was_short;
        spin->hold_off = was_short ? 0 : LONG_HOLD_OFF;
    }
}
