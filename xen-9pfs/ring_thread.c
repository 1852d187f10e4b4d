/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ring thread: see ring_thread.h. */
#include "xen-9pfs/ring_thread.h"

#include <pthread.h>
#include <sched.h>

#include "common/thread.h"
#include "xen-9pfs/spin.h"

enum {
    SHORT_USEC = 300,     /* for which lending is not worth it */
    MIN_BUSY_TURNS = 8,   /* before the ring is lent, */
    MAX_BUSY_TURNS = 512, /* and after it came back too soon again and again */
};

struct RingThread {
    Session *session;
    Ring *ring;
    void (*returned)(void *context);
    void *context;

    /* Of the first reader, and of nobody while the ring is lent. */
    unsigned busy_turns; /* in a row, up to now */
    unsigned patience;   /* how many it takes */
    bool was_lent;       /* when the first reader last looked */
    bool has_thread;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t lent; /* the ring was lent, or the thread is to end */
    gint is_lent;        /* atomic, and set with the lock held */
    gint is_ending;      /* likewise */
    int64_t lent_usec;   /* for how long the ring was last lent; the thread's */
};

/*
 * The thread
 */

static bool has_work(void *context)
{
    RingThread *t = context;

    return g_atomic_int_get(&t->is_ending) || ring_has_work(t->ring);
}

/* One turn. Returns how many requests it took; *stalled is set when there are more, which the first
 * reader has to look after. */
static unsigned serve_turn(RingThread *t, bool *stalled)
{
    unsigned taken;

    *stalled = false;
    session_lock(t->session);
    taken = ring_take(t->ring, RING_TAKE_BUDGET, stalled);
    ring_pump(t->ring);
    session_tend(t->session);
    session_unlock(t->session);
    ring_notify(t->ring);
    return taken;
}

/* Serves the ring until it has nothing to do for a moment, or for good. */
static void serve_ring(RingThread *t)
{
    int64_t begin = g_get_monotonic_time();
    Spin spin = {.on = true};

    session_read_beside(t->session);
    ring_set_reader(t->ring, g_thread_self());
    while (!g_atomic_int_get(&t->is_ending) && !ring_broken(t->ring)) {
        bool stalled;
        unsigned taken = serve_turn(t, &stalled);

        if (taken == 0 && (stalled || !spin_for_work(&spin, has_work, t)))
            break;
    }
    session_lock(t->session);
    session_remove_reader(t->session);
    session_unlock(t->session);
    session_read_beside(NULL);
    t->lent_usec = g_get_monotonic_time() - begin;
}

static void *ring_thread(void *argument)
{
    RingThread *t = argument;

    pthread_mutex_lock(&t->lock);
    while (t->is_lent || !t->is_ending) {
        if (!t->is_lent) {
            pthread_cond_wait(&t->lent, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        serve_ring(t);
        pthread_mutex_lock(&t->lock);
        g_atomic_int_set(&t->is_lent, false);
        t->returned(t->context);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/*
 * For the first reader
 */

RingThread *ring_thread_new(Session *session, Ring *ring, void (*returned)(void *context),
                            void *context)
{
    RingThread *t = g_new0(RingThread, 1);

    t->session = session;
    t->ring = ring;
    t->returned = returned;
    t->context = context;
    t->patience = MIN_BUSY_TURNS;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->lent, NULL);
    return t;
}

void ring_thread_free(RingThread *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    g_atomic_int_set(&t->is_ending, true);
    pthread_cond_signal(&t->lent);
    pthread_mutex_unlock(&t->lock);
    if (t->has_thread)
        pthread_join(t->thread, NULL);
    ring_set_reader(t->ring, g_thread_self());
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->lent);
    g_free(t);
}

/* The ring is back. */
static void take_back(RingThread *t)
{
    ring_set_reader(t->ring, g_thread_self());
    t->was_lent = false;
    if (t->lent_usec < SHORT_USEC)
        t->patience = MIN(t->patience * 2, MAX_BUSY_TURNS);
    else
        t->patience = MIN_BUSY_TURNS;
}

bool ring_thread_has_ring(RingThread *t)
{
    if (g_atomic_int_get(&t->is_lent))
        return true;
    if (t->was_lent)
        take_back(t);
    return false;
}

static bool start_thread(RingThread *t)
{
    if (!t->has_thread)
        t->has_thread = thread_start(&t->thread, ring_thread, t) == 0;
    return t->has_thread;
}

/* Whether this process may run on more than one. */
static bool has_processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) > 1;
}

/* From the moment at which the ring is lent the other readers leave the thread its turns. */
static void lend(RingThread *t)
{
    session_lock(t->session);
    session_add_reader(t->session);
    session_unlock(t->session);
    ring_set_reader(t->ring, NULL);
    t->was_lent = true;
    pthread_mutex_lock(&t->lock);
    g_atomic_int_set(&t->is_lent, true);
    pthread_cond_signal(&t->lent);
    pthread_mutex_unlock(&t->lock);
}

void ring_thread_note_turn(RingThread *t, bool was_busy)
{
    t->busy_turns = was_busy ? t->busy_turns + 1 : 0;
    if (t->busy_turns < t->patience)
        return;
    t->busy_turns = 0;
    if (!has_processors())
        return;
    if (start_thread(t))
        lend(t);
    else
        t->patience = MAX_BUSY_TURNS;
}
