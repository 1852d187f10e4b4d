/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool: order, cancellation, how many threads there are, and its end. */
#include "protocol/pool.h"

#include <glib.h>
#include <pthread.h>

#include "tests/lib/deny.h"

enum { N_JOBS = 200 };

/* A place where jobs write down that they ran, and where they can be made to wait. */
typedef struct Book {
    GMutex lock;
    GCond changed;
    bool hold;
    unsigned n_waiting;
    unsigned n_ran;
    unsigned ran[N_JOBS];
} Book;

typedef struct NumberedJob {
    Job job;
    Book *book;
    unsigned number;
} NumberedJob;

static void run(Job *job)
{
    NumberedJob *numbered = (NumberedJob *)job;
    Book *book = numbered->book;

    g_mutex_lock(&book->lock);
    book->n_waiting++;
    g_cond_broadcast(&book->changed);
    while (book->hold)
        g_cond_wait(&book->changed, &book->lock);
    book->n_waiting--;
    book->ran[book->n_ran++] = numbered->number;
    g_cond_broadcast(&book->changed);
    g_mutex_unlock(&book->lock);
}

static void set_hold(Book *book, bool hold)
{
    g_mutex_lock(&book->lock);
    book->hold = hold;
    g_cond_broadcast(&book->changed);
    g_mutex_unlock(&book->lock);
}

static void await_waiting(Book *book, unsigned n)
{
    g_mutex_lock(&book->lock);
    while (book->n_waiting < n)
        g_cond_wait(&book->changed, &book->lock);
    g_mutex_unlock(&book->lock);
}

static void await_ran(Book *book, unsigned n)
{
    g_mutex_lock(&book->lock);
    while (book->n_ran < n)
        g_cond_wait(&book->changed, &book->lock);
    g_mutex_unlock(&book->lock);
}

static void submit(Pool *pool, Book *book, NumberedJob *jobs, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        jobs[i] = (NumberedJob){.job.run = run, .book = book, .number = i};
        pool_submit(pool, &jobs[i].job);
    }
}

static void test_order(void)
{
    Book book = {0};
    NumberedJob jobs[N_JOBS];
    Pool *pool = pool_new(1, 0);

    submit(pool, &book, jobs, 0, N_JOBS);
    pool_free(pool);
    g_assert_cmpuint(book.n_ran, ==, N_JOBS);
    for (unsigned i = 0; i < N_JOBS; i++)
        g_assert_cmpuint(book.ran[i], ==, i);
}

static void test_no_thread_before_work(void)
{
    Pool *pool = pool_new(4, 0);

    g_assert_cmpuint(pool_n_threads(pool), ==, 0);
    pool_free(pool);
}

/* A thread for each job that finds none idle, up to the limit. */
static void test_growth(void)
{
    Book book = {.hold = true};
    NumberedJob jobs[8];
    Pool *pool = pool_new(4, 0);

    for (unsigned i = 0; i < 8; i++) {
        submit(pool, &book, jobs, i, i + 1);
        g_assert_cmpuint(pool_n_threads(pool), ==, MIN(i + 1, 4));
    }
    await_waiting(&book, 4);
    set_hold(&book, false);
    pool_free(pool);
    g_assert_cmpuint(book.n_ran, ==, 8);
}

/* How many threads there are after jobs that came one after the other. */
static unsigned count_threads_of_sequence(void)
{
    Book book = {0};
    NumberedJob jobs[20];
    Pool *pool = pool_new(4, 0);
    unsigned n_threads;

    for (unsigned i = 0; i < 20; i++) {
        submit(pool, &book, jobs, i, i + 1);
        await_ran(&book, i + 1);
        g_usleep(2000); /* the thread goes idle after its job, unless the machine is busy */
    }
    n_threads = pool_n_threads(pool);
    pool_free(pool);
    return n_threads;
}

/* One job after the other needs one thread only. */
static void test_idle_thread_is_used(void)
{
    enum { ATTEMPTS = 50 };
    unsigned n = 1;

    while (n < ATTEMPTS && count_threads_of_sequence() > 1)
        n++;
    g_assert_cmpuint(n, <, ATTEMPTS);
}

/* A job that waits does not keep others from running while there may be more threads. */
static void test_blocked_job_blocks_nobody(void)
{
    Book held = {.hold = true}, book = {0};
    NumberedJob blocked[1], jobs[20];
    Pool *pool = pool_new(2, 0);

    submit(pool, &held, blocked, 0, 1);
    await_waiting(&held, 1);
    submit(pool, &book, jobs, 0, 20);
    await_ran(&book, 20);
    set_hold(&held, false);
    pool_free(pool);
    g_assert_cmpuint(held.n_ran, ==, 1);
}

/* Threads that are stuck are replaced, up to a limit; the spare ones go when there is no need. */
static void test_spare_threads(void)
{
    Book stuck = {.hold = true}, more = {.hold = true}, book = {0};
    NumberedJob first[2], second[2], jobs[20];
    Pool *pool = pool_new(2, 3);

    submit(pool, &stuck, first, 0, 2);
    await_waiting(&stuck, 2);
    submit(pool, &more, second, 0, 2);
    await_waiting(&more, 2); /* in the place of the first two */
    g_assert_cmpuint(pool_n_threads(pool), ==, 4);
    submit(pool, &book, jobs, 0, 20);
    await_ran(&book, 20); /* these are on the third spare one */
    g_assert_cmpuint(pool_n_threads(pool), ==, 5);

    set_hold(&stuck, false);
    set_hold(&more, false);
    await_ran(&stuck, 2);
    await_ran(&more, 2);
    while (pool_n_threads(pool) > 2)
        g_usleep(1000);
    pool_free(pool);
}

/* No more than that: what comes then waits. */
static void test_spare_limit(void)
{
    Book stuck = {.hold = true}, book = {0};
    NumberedJob first[3], jobs[1];
    Pool *pool = pool_new(1, 2);

    submit(pool, &stuck, first, 0, 3);
    await_waiting(&stuck, 3);
    submit(pool, &book, jobs, 0, 1);
    g_usleep(1500 * 1000); /* all are stuck by now */
    g_assert_cmpuint(pool_n_threads(pool), ==, 3);
    set_hold(&stuck, false);
    await_ran(&book, 1);
    pool_free(pool);
}

static void test_cancel(void)
{
    Book book = {.hold = true};
    NumberedJob jobs[6];
    Job never = {0};
    Pool *pool = pool_new(1, 0);

    g_assert_false(pool_cancel(pool, &never));
    submit(pool, &book, jobs, 0, 6);
    await_waiting(&book, 1);
    g_assert_false(pool_cancel(pool, &jobs[0].job)); /* runs */
    g_assert_true(pool_cancel(pool, &jobs[1].job));
    g_assert_true(pool_cancel(pool, &jobs[3].job));
    g_assert_true(pool_cancel(pool, &jobs[5].job));
    g_assert_false(pool_cancel(pool, &jobs[3].job));
    pool_submit(pool, &jobs[1].job); /* again, at the end of the queue */
    set_hold(&book, false);
    pool_free(pool);
    g_assert_cmpuint(book.n_ran, ==, 4);
    g_assert_cmpuint(book.ran[0], ==, 0);
    g_assert_cmpuint(book.ran[1], ==, 2);
    g_assert_cmpuint(book.ran[2], ==, 4);
    g_assert_cmpuint(book.ran[3], ==, 1);
}

/* The end waits for what was submitted, and jobs may free themselves. */
static void run_and_free(Job *job)
{
    NumberedJob *numbered = (NumberedJob *)job;

    g_mutex_lock(&numbered->book->lock);
    numbered->book->n_ran++;
    g_mutex_unlock(&numbered->book->lock);
    g_free(numbered);
}

/* A pool, and jobs for it, of a thread that cannot start any other. */
typedef struct Starved {
    Book book;
    NumberedJob jobs[2];
    Pool *pool;
    int error;
} Starved;

static void *submit_in_vain(void *data)
{
    Starved *s = data;

    s->error = deny_starting(DENY_THREADS);
    if (s->error)
        return NULL;
    submit(s->pool, &s->book, s->jobs, 0, 2);
    g_assert_cmpuint(pool_n_threads(s->pool), ==, 0);
    g_assert_true(pool_tend(s->pool));
    return NULL;
}

static bool begin_starved(Starved *s, unsigned max_threads)
{
    pthread_t thread;

    *s = (Starved){.pool = pool_new(max_threads, 0)};
    g_assert_false(pool_tend(s->pool));
    g_assert_cmpint(pthread_create(&thread, NULL, submit_in_vain, s), ==, 0);
    pthread_join(thread, NULL);
    if (s->error) {
        g_test_skip("system calls cannot be denied here");
        pool_free(s->pool);
    }
    return s->error == 0;
}

/* Jobs wait for a thread that could not be started until one can, and no longer. */
static void test_no_thread(void)
{
    Starved s;

    if (!begin_starved(&s, 4))
        return;
    g_assert_cmpuint(s.book.n_ran, ==, 0);
    g_assert_false(pool_tend(s.pool));
    await_ran(&s.book, 2);
    g_assert_false(pool_tend(s.pool));
    pool_free(s.pool);
}

/* Whoever takes the jobs back need not care for threads any more. */
static void test_no_thread_and_cancelled(void)
{
    Starved s;

    if (!begin_starved(&s, 1))
        return;
    g_assert_true(pool_cancel(s.pool, &s.jobs[0].job));
    g_assert_true(pool_cancel(s.pool, &s.jobs[1].job));
    g_assert_false(pool_tend(s.pool));
    g_assert_cmpuint(pool_n_threads(s.pool), ==, 0);
    pool_free(s.pool);
    g_assert_cmpuint(s.book.n_ran, ==, 0);
}

/* The end of a pool does not lose jobs. */
static void test_no_thread_until_end(void)
{
    Starved s;

    if (!begin_starved(&s, 1))
        return;
    pool_free(s.pool);
    g_assert_cmpuint(s.book.n_ran, ==, 2);
}

static void test_end(void)
{
    for (unsigned round = 0; round < 100; round++) {
        Book book = {0};
        Pool *pool = pool_new(3, 0);

        for (unsigned i = 0; i < round % 7; i++) {
            NumberedJob *job = g_new0(NumberedJob, 1);
            *job = (NumberedJob){.job.run = run_and_free, .book = &book};
            pool_submit(pool, &job->job);
        }
        pool_free(pool);
        g_assert_cmpuint(book.n_ran, ==, round % 7);
        g_mutex_clear(&book.lock);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/order", test_order);
    g_test_add_func("/pool/no-thread-before-work", test_no_thread_before_work);
    g_test_add_func("/pool/growth", test_growth);
    g_test_add_func("/pool/idle-thread-is-used", test_idle_thread_is_used);
    g_test_add_func("/pool/blocked-job", test_blocked_job_blocks_nobody);
    g_test_add_func("/pool/spare-threads", test_spare_threads);
    g_test_add_func("/pool/spare-limit", test_spare_limit);
    g_test_add_func("/pool/cancel", test_cancel);
    g_test_add_func("/pool/no-thread", test_no_thread);
    g_test_add_func("/pool/no-thread-and-cancelled", test_no_thread_and_cancelled);
    g_test_add_func("/pool/no-thread-until-end", test_no_thread_until_end);
    g_test_add_func("/pool/end", test_end);
    return g_test_run();
}
