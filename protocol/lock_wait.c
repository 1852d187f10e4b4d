/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lock waits: see lock_wait.h.
 *
 * The mutex is held for a few instructions only: the thread takes the whole queue out, tries
 * without it, and puts back what still waits, in front of what has come meanwhile.
 */
#include "protocol/lock_wait.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "protocol/limits.h"
#include "protocol/ops.h"

enum {
    FIRST_PAUSE_MSEC = 1, /* between tries for what others hold; doubled each time */
    LAST_PAUSE_MSEC = 10,
};

typedef struct Waiter {
    Request *request;
    Lock lock;
    int64_t deadline; /* monotonic microseconds, like all times here */
    int64_t try_at;   /* not before; 0 while the holder is in the table, which tells when it goes */
    unsigned pause_msec; /* until try_at, the last time */
} Waiter;

struct LockWaits {
    LockTable *table;
    unsigned max_waits;
    unsigned max_msec;
    Pool *pool; /* of one thread */
    gint count; /* atomic */

    pthread_mutex_t mutex; /* guards: */
    pthread_cond_t changed;
    Job job;
    bool running; /* the job runs, or will soon */
    bool poked;
    GQueue waiters; /* Waiter, oldest first; not those being tried just now */
};

/*
 * What becomes of a waiter
 */

/* Ends a request: with `error`, or with the reply `status`. */
static void end(LockWaits *waits, Waiter *w, int error, uint8_t status)
{
    Request *r = w->request;

    lock_table_end_wait(waits->table, r->fids, &w->lock);
    if (!error)
        reply_lock_status(r, status);
    g_atomic_int_add(&r->fid->lock_waits, -1);
    g_atomic_int_add(&waits->count, -1);
    g_free(w);
    request_respond(r, error);
}

/* Notes when to try again. */
static void go_on_waiting(Waiter *w, bool in_table, int64_t now)
{
    w->pause_msec = in_table ? 0 : CLAMP(w->pause_msec * 2, FIRST_PAUSE_MSEC, LAST_PAUSE_MSEC);
    w->try_at = in_table ? 0 : now + w->pause_msec * 1000;
}

/* Takes the lock if it is free. A file system on another machine may let even this wait, so that it
 * can be interrupted; what was not meant is as good as a lock that is held. */
static int try_lock(LockWaits *waits, Waiter *w, bool *in_table)
{
    Request *r = w->request;
    int error = -EINTR;

    if (request_enter(r))
        error = lock_table_set(waits->table, r->fids, r->fid, &w->lock, in_table);
    request_leave(r);
    return error == -EINTR && !request_is_cancelled(r) ? -EAGAIN : error;
}

/* Tries once more. Returns false when the request has ended. */
static bool try_waiter(LockWaits *waits, Waiter *w, int64_t now)
{
    Request *r = w->request;
    bool in_table = false;
    int error;

    if (request_is_cancelled(r)) {
        error = -EINTR;
    } else if (g_atomic_int_get(&r->fid->clunked)) {
        error = -EBADF;
    } else if (now < w->try_at && now < w->deadline) {
        return true;
    } else {
        error = try_lock(waits, w, &in_table);
        if (error == -EAGAIN && now < w->deadline) {
            go_on_waiting(w, in_table, now);
            return true;
        }
    }
    if (error == -EAGAIN)
        end(waits, w, 0, P9_LOCK_BLOCKED);
    else
        end(waits, w, error, P9_LOCK_SUCCESS);
    return false;
}

/* Tries all of `waiters` and leaves those that go on waiting. */
static void try_all(LockWaits *waits, GQueue *waiters)
{
    int64_t now = g_get_monotonic_time();
    GList *next;

    for (GList *l = waiters->head; l; l = next) {
        next = l->next;
        if (!try_waiter(waits, l->data, now))
            g_queue_delete_link(waiters, l);
    }
}

/*
 * The thread
 */

/* When something has to be done next unless somebody pokes. Called with the mutex held. */
static int64_t next_time(const LockWaits *waits)
{
    int64_t first = INT64_MAX;

    for (GList *l = waits->waiters.head; l; l = l->next) {
        const Waiter *w = l->data;
        first = MIN(first, w->try_at > 0 ? MIN(w->try_at, w->deadline) : w->deadline);
    }
    return first;
}

/* Called with the mutex held. */
static void sleep_until(LockWaits *waits, int64_t when)
{
    struct timespec time = {
        .tv_sec = when / G_USEC_PER_SEC,
        .tv_nsec = when % G_USEC_PER_SEC * 1000,
    };
    int error = 0;

    while (!waits->poked && !error)
        error = pthread_cond_timedwait(&waits->changed, &waits->mutex, &time);
}

/* Puts what still waits back in front. Called with the mutex held. */
static void put_back(LockWaits *waits, GQueue *waiters)
{
    while (!g_queue_is_empty(waiters))
        g_queue_push_head(&waits->waiters, g_queue_pop_tail(waiters));
}

static void run_waits(Job *job)
{
    LockWaits *waits = (LockWaits *)((char *)job - offsetof(LockWaits, job));

    pthread_mutex_lock(&waits->mutex);
    while (!g_queue_is_empty(&waits->waiters)) {
        GQueue waiters = waits->waiters;

        g_queue_init(&waits->waiters);
        waits->poked = false;
        pthread_mutex_unlock(&waits->mutex);
        try_all(waits, &waiters);
        pthread_mutex_lock(&waits->mutex);
        put_back(waits, &waiters);
        if (!g_queue_is_empty(&waits->waiters))
            sleep_until(waits, next_time(waits));
    }
    waits->running = false;
    pthread_mutex_unlock(&waits->mutex);
}

/* Makes sure that the thread runs. Called with the mutex held. */
static bool start(LockWaits *waits)
{
    if (waits->running)
        return true;
    waits->job.run = run_waits;
    pool_submit(waits->pool, &waits->job);
    waits->running = pool_n_threads(waits->pool) > 0 || !pool_cancel(waits->pool, &waits->job);
    return waits->running;
}

/*
 * From other threads
 */

bool lock_waits_add(LockWaits *waits, Request *request, const Lock *lock)
{
    Waiter *w = NULL;
    bool full;

    pthread_mutex_lock(&waits->mutex);
    full = (unsigned)g_atomic_int_get(&waits->count) >= waits->max_waits;
    if (!full && start(waits)) {
        w = g_new0(Waiter, 1);
        w->request = request;
        w->lock = *lock;
        w->deadline = g_get_monotonic_time() + (int64_t)waits->max_msec * 1000;
        g_queue_push_tail(&waits->waiters, w);
        g_atomic_int_add(&request->fid->lock_waits, 1);
        g_atomic_int_add(&waits->count, 1);
        waits->poked = true;
        pthread_cond_signal(&waits->changed);
    }
    pthread_mutex_unlock(&waits->mutex);
    if (full)
        limit_reached(LIMIT_LOCK_WAITS, waits->max_waits);
    return w != NULL;
}

void lock_waits_poke(LockWaits *waits)
{
    if (g_atomic_int_get(&waits->count) == 0)
        return;
    pthread_mutex_lock(&waits->mutex);
    waits->poked = true;
    pthread_cond_signal(&waits->changed);
    pthread_mutex_unlock(&waits->mutex);
}

unsigned lock_waits_count(LockWaits *waits)
{
    return (unsigned)g_atomic_int_get(&waits->count);
}

LockWaits *lock_waits_new(LockTable *table, unsigned max_waits, unsigned max_msec)
{
    LockWaits *waits = g_new0(LockWaits, 1);
    pthread_condattr_t attributes;

    waits->table = table;
    waits->max_waits = max_waits;
    waits->max_msec = max_msec;
    waits->pool = pool_new(1, 0);
    g_queue_init(&waits->waiters);
    pthread_mutex_init(&waits->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waits->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return waits;
}

void lock_waits_free(LockWaits *waits)
{
    lock_waits_poke(waits);
    pool_free(waits->pool);
    pthread_cond_destroy(&waits->changed);
    pthread_mutex_destroy(&waits->mutex);
    g_free(waits);
}
