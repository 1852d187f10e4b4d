/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pool: see pool.h.
 *
 * One lock guards the queue, the counters and the list of threads. Threads are detached; pool_free()
 * waits until the last one has left, which is the last thing a thread does under the lock.
 *
 * The watcher is one more thread, which exists only while there is something to watch: a thread that
 * is being interrupted gets the signal again, after longer and longer pauses, until it is calm; and
 * when jobs wait although all threads are busy, some of these may turn out to be stuck.
 */
#include "protocol/pool.h"

#include <assert.h>
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "common/log.h"
#include "common/thread.h"
#include "protocol/interrupt.h"
#include "protocol/limits.h"

enum {
    IDLE_SECONDS = 10,
    STUCK_USEC = 1000 * 1000,
    LOOK_FOR_STUCK_USEC = 100 * 1000,
    FIRST_PAUSE_USEC = 500, /* between signals to one thread; doubled each time */
    LAST_PAUSE_USEC = 100 * 1000,
};

/* Lives on its thread's stack. Guarded by the pool's lock. */
struct PoolThread {
    Pool *pool;
    PoolThread *next;
    Interruptible interruptible;
    int64_t busy_since; /* monotonic microseconds, like all times here; 0 while idle */
    int64_t signal_at;  /* the next one, while it is being interrupted; else 0 */
    int64_t pause;      /* until then */
};

struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* a job was queued, or the pool ends */
    pthread_cond_t watched; /* the watcher has something to look at */
    pthread_cond_t drained; /* the last thread has left */
    Job queue;              /* ring of jobs: queue.next is the oldest */
    PoolThread *threads;
    unsigned n_threads; /* also those that are not in the list yet */
    unsigned n_idle;
    unsigned n_queued;
    unsigned max_threads;
    unsigned max_spare;
    bool watching; /* the watcher exists */
    gint starved;  /* atomic: jobs wait and there is no thread */
    bool ending;
};

static __thread PoolThread *self;

static LogLimit no_thread_limit = {.burst = 1};

static void init_monotonic(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

Pool *pool_new(unsigned max_threads, unsigned max_spare)
{
    Pool *pool = g_new0(Pool, 1);

    assert(max_threads > 0);
    interrupt_init();
    pthread_mutex_init(&pool->lock, NULL);
    init_monotonic(&pool->work);
    init_monotonic(&pool->watched);
    init_monotonic(&pool->drained);
    pool->queue.next = pool->queue.previous = &pool->queue;
    pool->max_threads = max_threads;
    pool->max_spare = max_spare;
    return pool;
}

/* Waits for `condition` until `when`. Returns an error number when that has come. Called with the
 * lock held. */
static int wait_until(Pool *pool, pthread_cond_t *condition, int64_t when)
{
    struct timespec time = {
        .tv_sec = when / G_USEC_PER_SEC,
        .tv_nsec = when % G_USEC_PER_SEC * 1000,
    };

    return pthread_cond_timedwait(condition, &pool->lock, &time);
}

/*
 * Threads and jobs
 */

/* How many threads there may be now. Called with the lock held. */
static unsigned thread_limit(const Pool *pool, int64_t now)
{
    unsigned n_stuck = 0;

    if (pool->n_threads < pool->max_threads)
        return pool->max_threads;
    for (const PoolThread *t = pool->threads; t; t = t->next)
        n_stuck += t->busy_since > 0 && now - t->busy_since >= STUCK_USEC;
    return pool->max_threads + MIN(n_stuck, pool->max_spare);
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
    int64_t now = g_get_monotonic_time();
    Job *job;

    if (pool->n_threads > pool->max_threads && pool->n_threads > thread_limit(pool, now))
        return NULL; /* the stuck threads that allowed a spare one go on */
    while (pool->n_queued == 0) {
        int error;

        if (pool->ending)
            return NULL;
        pool->n_idle++;
        error = wait_until(pool, &pool->work, now + IDLE_SECONDS * G_USEC_PER_SEC);
        pool->n_idle--;
        if (error && pool->n_queued == 0)
            return NULL;
    }
    job = pool->queue.next;
    unlink_job(pool, job);
    return job;
}

static void add_thread(Pool *pool, PoolThread *thread)
{
    thread->next = pool->threads;
    pool->threads = thread;
}

static void remove_thread(Pool *pool, const PoolThread *thread)
{
    PoolThread **at = &pool->threads;

    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
    pool->n_threads--;
    if (pool->n_threads > 0)
        return;
    pthread_cond_signal(&pool->drained);
    pthread_cond_signal(&pool->watched);
}

static void *pool_thread(void *argument)
{
    Pool *pool = argument;
    PoolThread thread = {.pool = pool};
    Job *job;

    interrupt_accept(&thread.interruptible);
    self = &thread;
    pthread_mutex_lock(&pool->lock);
    add_thread(pool, &thread);
    while ((job = next_job(pool))) {
        thread.busy_since = g_get_monotonic_time();
        pthread_mutex_unlock(&pool->lock);
        job->run(job);
        pool_thread_calm();
        pthread_mutex_lock(&pool->lock);
        thread.busy_since = 0;
    }
    remove_thread(pool, &thread);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static bool start_detached(void *(*run)(void *), Pool *pool)
{
    pthread_t thread;
    int error = thread_start(&thread, run, pool);

    if (error)
        log_limited(&no_thread_limit, LOG_WARNING, "cannot start a thread: %s", g_strerror(error));
    else
        pthread_detach(thread);
    return error == 0;
}

/* Starts one thread. Called with the lock held, so that the count is right when it runs. */
static void start_thread(Pool *pool)
{
    if (start_detached(pool_thread, pool))
        pool->n_threads++;
    g_atomic_int_set(&pool->starved, pool->n_threads == 0);
}

bool pool_tend(Pool *pool)
{
    bool starved;

    if (!g_atomic_int_get(&pool->starved))
        return false;
    pthread_mutex_lock(&pool->lock);
    if (pool->n_queued > 0 && pool->n_threads == 0)
        start_thread(pool);
    starved = pool->n_queued > 0 && pool->n_threads == 0;
    g_atomic_int_set(&pool->starved, starved);
    pthread_mutex_unlock(&pool->lock);
    return starved;
}

/*
 * The watcher
 */

/* Reminds the threads that are being interrupted. Returns when to do so next. Called with the lock
 * held, so that none of them ends meanwhile. */
static int64_t signal_threads(Pool *pool, int64_t now)
{
    int64_t next = INT64_MAX;

    for (PoolThread *t = pool->threads; t; t = t->next) {
        if (t->signal_at == 0)
            continue;
        if (t->signal_at <= now) {
            interrupt_send(&t->interruptible);
            t->pause = MIN(t->pause * 2, LAST_PAUSE_USEC);
            t->signal_at = now + t->pause;
        }
        next = MIN(next, t->signal_at);
    }
    return next;
}

/* Jobs wait, and a stuck thread would allow a spare one. Called with the lock held. */
static bool may_need_spare(const Pool *pool)
{
    return pool->n_queued > pool->n_idle && pool->n_threads >= pool->max_threads &&
           pool->n_threads < pool->max_threads + pool->max_spare;
}

/* Starts threads for jobs that wait. Returns when to look again. Called with the lock held. */
static int64_t start_spare_threads(Pool *pool, int64_t now)
{
    unsigned limit = thread_limit(pool, now);

    for (unsigned n = pool->n_idle; n < pool->n_queued && pool->n_threads < limit; n++)
        start_thread(pool);
    if (pool->n_queued > 0 && pool->n_threads == pool->max_threads + pool->max_spare)
        limit_reached(LIMIT_THREADS, pool->max_spare);
    return may_need_spare(pool) ? now + LOOK_FOR_STUCK_USEC : INT64_MAX;
}

static void *watch(void *argument)
{
    Pool *pool = argument;

    pthread_mutex_lock(&pool->lock);
    while (true) {
        int64_t now = g_get_monotonic_time();
        int64_t next = MIN(signal_threads(pool, now), start_spare_threads(pool, now));

        if (next == INT64_MAX)
            break;
        wait_until(pool, &pool->watched, next);
    }
    pool->watching = false;
    pthread_cond_signal(&pool->drained);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Makes the watcher look, now and as long as there is something. Called with the lock held. */
static void start_watching(Pool *pool)
{
    if (pool->watching)
        pthread_cond_signal(&pool->watched);
    else
        pool->watching = start_detached(watch, pool);
}

PoolThread *pool_thread_self(void)
{
    return self;
}

void pool_thread_interrupt(PoolThread *thread)
{
    Pool *pool = thread->pool;

    pthread_mutex_lock(&pool->lock);
    thread->pause = FIRST_PAUSE_USEC;
    thread->signal_at = g_get_monotonic_time() + thread->pause;
    interrupt_send(&thread->interruptible);
    start_watching(pool);
    pthread_mutex_unlock(&pool->lock);
}

void pool_thread_calm(void)
{
    if (!self || !interrupt_requested())
        return;
    pthread_mutex_lock(&self->pool->lock);
    self->signal_at = 0;
    g_atomic_int_set(&self->interruptible.requested, false);
    if (self->pool->watching)
        pthread_cond_signal(&self->pool->watched);
    pthread_mutex_unlock(&self->pool->lock);
}

/*
 * From other threads
 */

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
    else if (!pool->watching && may_need_spare(pool))
        start_watching(pool);
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

/* Nobody else knows the pool any more. */
static void run_left_over(Pool *pool)
{
    while (pool->n_queued > 0) {
        Job *job = pool->queue.next;

        unlink_job(pool, job);
        job->run(job);
    }
}

void pool_free(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->n_threads > 0 || pool->watching)
        pthread_cond_wait(&pool->drained, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    run_left_over(pool);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->watched);
    pthread_cond_destroy(&pool->drained);
    g_free(pool);
}
