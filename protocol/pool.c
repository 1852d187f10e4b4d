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
#include <signal.h>

#include "common/log.h"

enum {
    IDLE_SECONDS = 10,
    STACK_BYTES = 128 * 1024,
};

struct Pool {
    GMutex lock;
    GCond work;    /* a job was queued, or the pool ends */
    GCond drained; /* the last thread has left */
    Job queue;     /* ring of jobs: queue.next is the oldest */
    unsigned n_threads;
    unsigned n_idle;
    unsigned n_queued;
    unsigned max_threads;
    bool ending;
};

static LogLimit no_thread_limit;

Pool *pool_new(unsigned max_threads)
{
    Pool *pool = g_new0(Pool, 1);

    assert(max_threads > 0);
    g_mutex_init(&pool->lock);
    g_cond_init(&pool->work);
    g_cond_init(&pool->drained);
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
    gint64 until = g_get_monotonic_time() + IDLE_SECONDS * G_TIME_SPAN_SECOND;
    Job *job;

    while (pool->n_queued == 0) {
        bool waited;

        if (pool->ending)
            return NULL;
        pool->n_idle++;
        waited = g_cond_wait_until(&pool->work, &pool->lock, until);
        pool->n_idle--;
        if (!waited && pool->n_queued == 0)
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

    g_mutex_lock(&pool->lock);
    while ((job = next_job(pool))) {
        g_mutex_unlock(&pool->lock);
        job->run(job);
        g_mutex_lock(&pool->lock);
    }
    pool->n_threads--;
    if (pool->n_threads == 0)
        g_cond_signal(&pool->drained);
    g_mutex_unlock(&pool->lock);
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
    g_mutex_lock(&pool->lock);
    assert(!pool->ending && !job->queued);
    job->queued = true;
    job->next = &pool->queue;
    job->previous = pool->queue.previous;
    job->previous->next = job;
    pool->queue.previous = job;
    pool->n_queued++;
    if (pool->n_queued > pool->n_idle && pool->n_threads < pool->max_threads)
        start_thread(pool);
    g_cond_signal(&pool->work);
    g_mutex_unlock(&pool->lock);
}

bool pool_cancel(Pool *pool, Job *job)
{
    bool cancelled;

    g_mutex_lock(&pool->lock);
    cancelled = job->queued;
    if (cancelled)
        unlink_job(pool, job);
    g_mutex_unlock(&pool->lock);
    return cancelled;
}

unsigned pool_n_threads(Pool *pool)
{
    unsigned n_threads;

    g_mutex_lock(&pool->lock);
    n_threads = pool->n_threads;
    g_mutex_unlock(&pool->lock);
    return n_threads;
}

void pool_free(Pool *pool)
{
    g_mutex_lock(&pool->lock);
    pool->ending = true;
    g_cond_broadcast(&pool->work);
    while (pool->n_threads > 0)
        g_cond_wait(&pool->drained, &pool->lock);
    g_mutex_unlock(&pool->lock);
    g_mutex_clear(&pool->lock);
    g_cond_clear(&pool->work);
    g_cond_clear(&pool->drained);
    g_free(pool);
}
