/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt: threads of a pool are got out of system calls, whenever the signal comes. */
#include "protocol/interrupt.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "protocol/pool.h"

/* A job that reads one byte from a pipe that nobody writes to, or waits for a mutex. */
typedef struct Reader {
    Job job;
    Pool *pool;
    int pipe[2];
    pthread_mutex_t mutex;
    bool locks;        /* waits for the mutex, not for the pipe */
    bool late;         /* goes to its call only when it has been asked to end */
    PoolThread *thread; /* atomic */
    pthread_t id;       /* set before */
    gint ended;         /* atomic */
    ssize_t result;
    int error;
} Reader;

static void run_reader(Job *job)
{
    Reader *r = (Reader *)job;
    char byte;

    r->id = pthread_self();
    g_atomic_pointer_set(&r->thread, pool_thread_self());
    while (r->late && !interrupt_requested())
        g_usleep(100);
    if (r->locks) {
        r->result = interrupt_lock(&r->mutex);
        if (r->result == 0)
            pthread_mutex_unlock(&r->mutex);
    } else {
        r->result = UNINTERRUPTED(read(r->pipe[0], &byte, 1));
        r->error = r->result < 0 ? errno : 0;
    }
    pool_thread_calm();
    g_atomic_int_set(&r->ended, true);
}

static void start(Reader *r, Pool *pool)
{
    r->pool = pool;
    r->job = (Job){.run = run_reader};
    r->thread = NULL;
    r->ended = false;
    g_assert_cmpint(pipe(r->pipe), ==, 0);
    pthread_mutex_init(&r->mutex, NULL);
    if (r->locks)
        pthread_mutex_lock(&r->mutex);
    pool_submit(pool, &r->job);
    while (!g_atomic_pointer_get(&r->thread))
        g_usleep(100);
}

static void await_end(Reader *r)
{
    while (!g_atomic_int_get(&r->ended))
        g_usleep(100);
}

static void end(Reader *r)
{
    await_end(r);
    if (r->locks)
        pthread_mutex_unlock(&r->mutex);
    pool_free(r->pool);
    pthread_mutex_destroy(&r->mutex);
    close(r->pipe[0]);
    close(r->pipe[1]);
}

static void assert_interrupted(const Reader *r)
{
    g_assert_cmpint(r->result, ==, -1);
    g_assert_cmpint(r->error, ==, EINTR);
}

static void test_waiting_call(void)
{
    Reader r = {.locks = false};

    start(&r, pool_new(1, 0));
    g_usleep(20 * 1000); /* it waits by now, most likely */
    pool_thread_interrupt(r.thread);
    end(&r);
    assert_interrupted(&r);
}

/* The first signal is over before the call begins. */
static void test_before_the_call(void)
{
    for (unsigned i = 0; i < 50; i++) {
        Reader r = {.late = true};

        start(&r, pool_new(1, 0));
        pool_thread_interrupt(r.thread);
        end(&r);
        assert_interrupted(&r);
    }
}

/* At any time around the call. */
static void test_any_time(void)
{
    for (unsigned i = 0; i < 200; i++) {
        Reader r = {.locks = false};

        start(&r, pool_new(1, 0));
        g_usleep((gulong)g_test_rand_int_range(0, 200));
        pool_thread_interrupt(r.thread);
        end(&r);
        assert_interrupted(&r);
    }
}

static void test_mutex(void)
{
    Reader r = {.locks = true};

    start(&r, pool_new(1, 0));
    pool_thread_interrupt(r.thread);
    end(&r);
    g_assert_cmpint(r.result, ==, -EINTR);
}

static void test_free_mutex(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    g_assert_cmpint(interrupt_lock(&mutex), ==, 0);
    g_assert_cmpint(pthread_mutex_trylock(&mutex), ==, EBUSY);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
}

/* Signals that nobody asked for: the call goes on and gets its byte. */
static void test_unmeant_signal(void)
{
    Reader r = {.locks = false};

    start(&r, pool_new(1, 0));
    for (unsigned i = 0; i < 50; i++) {
        pthread_kill(r.id, SIGURG);
        g_usleep(200);
    }
    g_assert_false(g_atomic_int_get(&r.ended));
    g_assert_cmpint(write(r.pipe[1], "x", 1), ==, 1);
    end(&r);
    g_assert_cmpint(r.result, ==, 1);
}

/* Who comes next on that thread is not interrupted. */
static void test_next_job(void)
{
    Pool *pool = pool_new(1, 0);
    Reader first = {.locks = false}, second = {.locks = false};

    start(&first, pool);
    pool_thread_interrupt(first.thread);
    await_end(&first);
    start(&second, pool);
    g_usleep(200 * 1000); /* longer than the longest pause between signals */
    g_assert_false(g_atomic_int_get(&second.ended));
    g_assert_cmpint(write(second.pipe[1], "x", 1), ==, 1);
    end(&second);
    g_assert_cmpint(second.result, ==, 1);
    assert_interrupted(&first);
    close(first.pipe[0]);
    close(first.pipe[1]);
}

static bool is_blocked_here(void)
{
    sigset_t set;

    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, SIGURG);
}

static void *look_at_mask(void *blocked)
{
    *(bool *)blocked = is_blocked_here();
    return NULL;
}

/* A thread that a library might have started. */
static void test_other_threads_are_left_alone(void)
{
    Reader r = {.locks = false};
    bool blocked = false;
    pthread_t other;

    start(&r, pool_new(1, 0));
    g_assert_true(is_blocked_here());
    g_assert_false(interrupt_requested());
    g_assert_null(pool_thread_self());
    g_assert_cmpint(pthread_create(&other, NULL, look_at_mask, &blocked), ==, 0);
    pthread_join(other, NULL);
    g_assert_true(blocked);
    pool_thread_interrupt(r.thread);
    end(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interrupt/waiting-call", test_waiting_call);
    g_test_add_func("/interrupt/before-the-call", test_before_the_call);
    g_test_add_func("/interrupt/any-time", test_any_time);
    g_test_add_func("/interrupt/mutex", test_mutex);
    g_test_add_func("/interrupt/free-mutex", test_free_mutex);
    g_test_add_func("/interrupt/unmeant-signal", test_unmeant_signal);
    g_test_add_func("/interrupt/next-job", test_next_job);
    g_test_add_func("/interrupt/other-threads", test_other_threads_are_left_alone);
    return g_test_run();
}
