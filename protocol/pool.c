/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pool: see pool.h.
 *
 * One lock guards the queue and the counters. Threads are detached; pool_free() waits until the
 * last one has left, which is the last thing a thread does under the lock.
 */
#include "protocol/pool.h"

#include <assert.h>
#include <glib.h>
#include <pthread.h>
#include <time.h>

#include "common/log.h"

enum {
    IDLE_SECONDS = 10,
    STACK_BYTES = 128 * 1024,
};

struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* a job was queued, or the pool ends */
    pthread_cond_t drained; /* the last thread has left */
    Job queue;              /* ring of jobs: queue.next is the oldest */
    unsigned n_threads;
    unsigned n_idle;
    unsigned n_queued;
    unsigned max_threads;
    bool ending;
};

static LogLimit no_thread_limit;

static void init_monotonic(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

Pool *pool_new(unsigned max_threads)
{
    Pool *pool = g_new0(Pool, 1);

    assert(max_threads > 0);
    pthread_mutex_init(&pool->lock, NULL);
    init_monotonic(&pool->work);
    init_monotonic(&pool->drained);
    pool->queue.next = pool->queue.previous = &pool->queue;
    pool->max_threads = max_threads;
    return pool;
}

static void unlink_job(Pool *pool, Job *job)
{
    job->previous->next = job->next;
    job->next->previous = job->previous;
    job->queued = false;
    pool->n_queued--;
}

/* Waits for a job. Returns NULL when the thread should end. Called with the lock held. */
static Job *next_job(Pool *pool)
{
    struct timespec until;
    Job *job;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    while (pool->n_queued == 0) {
        int error;

        if (pool->ending)
            return NULL;
        pool->n_idle++;
        error = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
        pool->n_idle--;
        if (error && pool->n_queued == 0)
            return NULL;
    }
    job = pool->queue.next;
    unlink_job(pool, job);
    return job;
}

static void *pool_thread(void *argument)
{
    Pool *pool = argument;
    Job *job;

    pthread_mutex_lock(&pool->lock);
    while ((job = next_job(pool))) {
        pthread_mutex_unlock(&pool->lock);
        job->run(job);
        pthread_mutex_lock(&pool->lock);
    }
    pool->n_threads--;
    if (pool->n_threads == 0)
        pthread_cond_signal(&pool->drained);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts one thread. Called with the lock held, so that the count is right when it runs. */
static void start_thread(Pool *pool)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    error = pthread_create(&thread, &attributes, pool_thread, pool);
    pthread_attr_destroy(&attributes);
    if (error)
        log_limited(&no_thread_limit, LOG_WARNING, "cannot start a thread: %s", g_strerror(error));
    else
        pool->n_threads++;
}

void pool_submit(Pool *pool, Job *job)
{
    pthread_mutex_lock(&pool->lock);
    assert(!pool->ending && !job->queued);
    job->queued = true;
    job->next = &pool->queue;
    job->previous = pool->queue.previous;
    job->previous->next = job;
    pool->queue.previous = job;
    pool->n_queued++;
    if (pool->n_queued > pool->n_idle && pool->n_threads < pool->max_threads)
        start_thread(pool);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_cancel(Pool *pool, Job *job)
{
    bool cancelled;

    pthread_mutex_lock(&pool->lock);
    cancelled = job->queued;
    if (cancelled)
        unlink_job(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return cancelled;
}

unsigned pool_n_threads(Pool *pool)
{
    unsigned n_threads;

    pthread_mutex_lock(&pool->lock);
    n_threads = pool->n_threads;
    pthread_mutex_unlock(&pool->lock);
    return n_threads;
}

void pool_free(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->n_threads > 0)
        pthread_cond_wait(&pool->drained, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->drained);
    g_free(pool);
}
