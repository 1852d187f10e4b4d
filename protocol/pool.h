/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pool: threads that run what may have to wait.
 *
 * Jobs start in the order of submission. A thread is started when a job finds none idle and the
 * limit allows one more; a thread that was idle for a while ends. A job is the caller's memory:
 * the pool touches it only until it has called `run`.
 */
#ifndef PROTOCOL_POOL_H
#define PROTOCOL_POOL_H

#include <stdbool.h>

typedef struct Pool Pool;

typedef struct Job {
    struct Job *next;
    struct Job *previous;
    bool queued;
    void (*run)(struct Job *job); /* on a pool thread; may free the job */
} Job;

/* A new pool of at most `max_threads` threads. None is started before there is work. */
Pool *pool_new(unsigned max_threads);

/* Waits until every submitted job has run, then frees the pool. */
void pool_free(Pool *pool);

/* Queues `job`, whose `run` is set. Any thread may call. When no thread can be started and none
 * exists the job stays queued until one can. */
void pool_submit(Pool *pool, Job *job);

/* Takes a job back that has not started. Returns true when it will not run any more, false when
 * it runs, has run, or was never submitted. */
bool pool_cancel(Pool *pool, Job *job);

/* The number of threads there are now. */
unsigned pool_n_threads(Pool *pool);

#endif
