/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pool: threads that run what may have to wait.
 *
 * Jobs start in the order of submission. A thread is started when a job finds none idle and the
 * limit allows one more; a thread that was idle for a while ends. A job is the caller's memory:
 * the pool touches it only until it has called `run`.
 *
 * A thread that has been in one job for a second counts as stuck: it may hang in a call that nothing
 * can interrupt. While jobs wait, each stuck thread allows a spare one, up to a limit of its own.
 */
#ifndef PROTOCOL_POOL_H
#define PROTOCOL_POOL_H

#include <stdbool.h>

typedef struct Pool Pool;
typedef struct PoolThread PoolThread;

typedef struct Job {
    struct Job *next;
    struct Job *previous;
    bool queued;
    void (*run)(struct Job *job); /* on a pool thread; may free the job */
} Job;

/* A new pool of at most `max_threads` threads, and of `max_spare` more when others are stuck. None is
 * started before there is work. */
Pool *pool_new(unsigned max_threads, unsigned max_spare);

/* Waits until every submitted job has run, then frees the pool. Those that never got a thread run on
 * this one. */
void pool_free(Pool *pool);

/* Queues `job`, whose `run` is set. Any thread may call. When no thread can be started and none
 * exists the job stays queued until pool_tend() can start one. */
void pool_submit(Pool *pool, Job *job);

/* Tries once more to start a thread for jobs that have none. Returns true while that fails, and is to
 * be called again. Any thread. */
bool pool_tend(Pool *pool);

/* Takes a job back that has not started. Returns true when it will not run any more, false when
 * it runs, has run, or was never submitted. */
bool pool_cancel(Pool *pool, Job *job);

/* The number of threads there are now. */
unsigned pool_n_threads(Pool *pool);

/* The calling thread, or NULL when it is no pool's. */
PoolThread *pool_thread_self(void);

/* Interrupts the system call that `thread` waits in, see interrupt.h, and those that it goes to
 * next, until it says pool_thread_calm(). The caller knows that it has not said so yet and makes it
 * wait before it does. Never waits. */
void pool_thread_interrupt(PoolThread *thread);

/* The calling thread has ended what it may have been interrupted in. Also done after each job. */
void pool_thread_calm(void);

#endif
