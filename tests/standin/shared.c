/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared: see shared.h. All atomics are sequentially consistent: the steps of a raise and of a
 * take are argued as one order that every process agrees on. */
#include "tests/standin/shared.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *port_word(Shared *shared, uint32_t slot, uint32_t port)
{
    return &shared->handles[slot % SHARED_HANDLES].words[port / SHARED_PORTS_PER_WORD];
}

static uint64_t port_bit(uint32_t port)
{
    return UINT64_C(1) << (port % SHARED_PORTS_PER_WORD);
}

/* Enters `port` in its handle's bitmap. Returns true when the handle has to be woken. */
static bool handle_post(Shared *shared, uint32_t port)
{
    SharedPort *p = &shared->ports[port];
    uint64_t before =
        atomic_fetch_or(port_word(shared, p->handle, port), port_bit(port) | SHARED_SIGNALLED);

    atomic_fetch_add_explicit(&p->delivered, 1, memory_order_relaxed);
    if (before & SHARED_SIGNALLED)
        return false;
    atomic_fetch_add_explicit(&p->wakeups, 1, memory_order_relaxed);
    return true;
}

/* The flags of a port that had `flags` when it is raised. */
static uint32_t flags_raised(uint32_t flags)
{
    if ((flags & PORT_MASKED) || !(flags & PORT_PENDING))
        return flags | PORT_PENDING;
    return flags | PORT_AGAIN;
}

bool shared_port_raise(Shared *shared, uint32_t port)
{
    _Atomic uint32_t *flags = &shared->ports[port].flags;
    uint32_t before = atomic_load(flags);
    uint32_t after;

    do {
        after = flags_raised(before);
        if (after == before)
            return false;
    } while (!atomic_compare_exchange_weak(flags, &before, after));
    return before == 0 && handle_post(shared, port);
}

bool shared_port_unmask(Shared *shared, uint32_t port)
{
    uint32_t before = atomic_fetch_and(&shared->ports[port].flags, ~(uint32_t)PORT_MASKED);

    return before == (PORT_PENDING | PORT_MASKED) && handle_post(shared, port);
}

bool shared_port_accept(Shared *shared, uint32_t port)
{
    _Atomic uint32_t *flags = &shared->ports[port].flags;
    uint32_t before = atomic_load(flags);
    uint32_t after;

    do {
        if ((before & PORT_MASKED) || !(before & PORT_PENDING))
            return false;
        after = PORT_MASKED | (before & PORT_AGAIN ? PORT_PENDING : 0);
    } while (!atomic_compare_exchange_weak(flags, &before, after));
    return true;
}

bool shared_port_repair(Shared *shared, uint32_t port)
{
    uint32_t flags = atomic_load(&shared->ports[port].flags);
    uint32_t slot = atomic_load(&shared->ports[port].handle);

    if ((flags & PORT_PENDING) && !(flags & PORT_MASKED) && handle_post(shared, port))
        return true;
    return atomic_load(port_word(shared, slot, port)) & SHARED_SIGNALLED;
}

/* The lowest bit of `bits` at or above `from`, or 0. */
static uint64_t lowest_bit(uint64_t bits, uint32_t from)
{
    bits &= ~UINT64_C(0) << from;
    return bits & -bits;
}

/* Takes one port out of a word. Returns its bit, or 0 when there is none at or above `from`. */
static uint64_t word_take(_Atomic uint64_t *word, uint32_t from, bool *emptied)
{
    uint64_t before = atomic_load(word);
    uint64_t bit;

    do {
        bit = lowest_bit(before & ~SHARED_SIGNALLED, from);
        if (bit == 0)
            return 0;
    } while (!atomic_compare_exchange_weak(word, &before, before & ~bit));
    *emptied = (before & ~bit) == SHARED_SIGNALLED;
    return bit;
}

uint32_t shared_handle_take(Shared *shared, uint32_t slot, uint32_t last, uint32_t *cursor,
                            bool *emptied)
{
    SharedHandle *handle = &shared->handles[slot];
    uint32_t n_words = last / SHARED_PORTS_PER_WORD + 1;
    uint32_t first = *cursor / SHARED_PORTS_PER_WORD % n_words;
    uint32_t from = *cursor % SHARED_PORTS_PER_WORD;

    /* The first word comes again at the end, for the ports before the cursor. */
    for (uint32_t i = 0; i <= n_words; i++) {
        uint32_t word = (first + i) % n_words;
        uint64_t bit = word_take(&handle->words[word], i == 0 ? from : 0, emptied);

        if (bit != 0) {
            uint32_t port = word * SHARED_PORTS_PER_WORD + (uint32_t)__builtin_ctzll(bit);
            *cursor = (port + 1) % SHARED_PORTS;
            return port;
        }
    }
    return 0;
}

bool shared_handle_release(Shared *shared, uint32_t slot, uint32_t port)
{
    uint64_t expected = SHARED_SIGNALLED;

    return !atomic_compare_exchange_strong(port_word(shared, slot, port), &expected, 0);
}

void shared_handle_reset(Shared *shared, uint32_t slot)
{
    SharedHandle *handle = &shared->handles[slot];

    for (unsigned i = 0; i < SHARED_WORDS; i++)
        atomic_store(&handle->words[i], 0);
}

/* Counts one call of the function that `fault` is for. Returns true when it is to fail. */
static bool fault_count_call(Shared *shared, SharedFault *fault)
{
    if (atomic_fetch_sub(&fault->until_first, 1) > 0)
        return false;
    int32_t left = atomic_fetch_sub(&fault->times, 1);
    if (left == 1) {
        atomic_store(&fault->in_use, 0);
        atomic_fetch_sub(&shared->faults_in_use, 1);
    }
    return left > 0;
}

/* Until whoever asked for it lets go. No call is made that a worker may not make. */
static void fault_hold(SharedFault *fault)
{
    const struct timespec pause = {.tv_nsec = 1000 * 1000};

    atomic_store(&fault->held, 1);
    while (atomic_load(&fault->held))
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

bool shared_fault_take(Shared *shared, const char *function, int *error)
{
    if (atomic_load_explicit(&shared->faults_in_use, memory_order_relaxed) == 0)
        return false;
    for (unsigned i = 0; i < SHARED_FAULTS; i++) {
        SharedFault *fault = &shared->faults[i];

        if (!atomic_load(&fault->in_use) || strcmp(fault->function, function) != 0)
            continue;
        if (fault->spared_pid == getpid() || !fault_count_call(shared, fault))
            continue;
        if (fault->error != SHARED_HOLD) {
            *error = fault->error;
            return true;
        }
        fault_hold(fault);
    }
    return false;
}
