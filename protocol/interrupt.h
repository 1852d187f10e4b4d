/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt: how a thread is got out of a system call that it waits in.
 *
 * A signal does it: the call returns EINTR, or what it has done so far. The signal may also come
 * just before the call, and is lost then; so whoever wants the thread out sends it again until the
 * thread has left what it was doing. Sooner or later one meets the wrong call. Therefore:
 *
 *   - Every call that may wait stands in UNINTERRUPTED(), which repeats it unless the interruption
 *     was meant. No other EINTR is ever seen.
 *   - What takes several calls asks interrupt_requested() between them.
 *
 * Only threads that have called interrupt_accept() take the signal; all others have it blocked, and
 * so have the libraries' threads.
 */
#ifndef PROTOCOL_INTERRUPT_H
#define PROTOCOL_INTERRUPT_H

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

/* A thread that can be interrupted. */
typedef struct Interruptible {
    pthread_t thread;
    gint requested; /* atomic: what it does now shall end with -EINTR */
} Interruptible;

/* Installs the handler, once, and blocks the signal in the calling thread and so in those that it
 * starts. */
void interrupt_init(void);

/* Makes the calling thread take the signal. `self` is its own and lives as long as it. */
void interrupt_accept(Interruptible *self);

/* Asks `thread` to end what it does, or, called again, reminds it. It must not have ended. */
void interrupt_send(Interruptible *thread);

/* Whether the calling thread shall end what it does. False on one that takes no signal. */
bool interrupt_requested(void);

/* Until the end of the block, interrupt_requested() is false: what belongs together is not broken off
 * half-way, and a cancelled request waits for it. */
#define INTERRUPT_HOLD() \
    __attribute__((cleanup(interrupt_end_hold))) const bool interrupt_held_ = interrupt_begin_hold()
bool interrupt_begin_hold(void);
void interrupt_end_hold(const bool *was_held);

/* Locks a mutex that may be held for long. Returns 0, or -EINTR when the wait was interrupted. */
int interrupt_lock(pthread_mutex_t *mutex);

/* The result of `call`, which returns -1 and sets errno as system calls do. */
#define UNINTERRUPTED(call)                                                      \
    ({                                                                           \
        __typeof__(call) result_;                                                \
        do                                                                       \
            result_ = (call);                                                    \
        while (result_ == -1 && errno == EINTR && !interrupt_requested());       \
        result_;                                                                 \
    })

#endif
