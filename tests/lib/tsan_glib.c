/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GLib's locks and reference counts once more, for ThreadSanitizer.
 *
 * GLib builds its locks on futexes of its own, inside a library that is not instrumented, so
 * ThreadSanitizer does not see that they order anything. A program that is linked with this file
 * uses these definitions in their place: the same behaviour, on pthread locks, which it knows.
 */
#if defined(__SANITIZE_THREAD__)

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* GLib's own allocator has the same fault. It reads how to behave before any program code runs. */
__attribute__((constructor)) static void use_malloc(int argc, char **argv)
{
    (void)argc;
    if (getenv("G_SLICE"))
        return;
    setenv("G_SLICE", "always-malloc", 1);
    execv("/proc/self/exe", argv);
}

/* Programs that start others through GIO have its threads, which order what they do by means that
 * ThreadSanitizer does not see either. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libgio-2.0.so\n";
}

typedef struct Cond {
    pthread_cond_t cond;
} Cond;

static pthread_mutex_t *new_mutex(void)
{
    pthread_mutex_t *mutex = malloc(sizeof(*mutex));

    pthread_mutex_init(mutex, NULL);
    return mutex;
}

/* The lock of a GMutex, made when it is first used. */
static pthread_mutex_t *mutex_of(GMutex *g)
{
    pthread_mutex_t *mutex = __atomic_load_n(&g->p, __ATOMIC_ACQUIRE);
    void *expected = NULL;

    if (mutex)
        return mutex;
    mutex = new_mutex();
    if (__atomic_compare_exchange_n(&g->p, &expected, mutex, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mutex;
    pthread_mutex_destroy(mutex);
    free(mutex);
    return expected;
}

void(g_mutex_init)(GMutex *g)
{
    g->p = NULL;
}

void(g_mutex_clear)(GMutex *g)
{
    if (!g->p)
        return;
    pthread_mutex_destroy(g->p);
    free(g->p);
    g->p = NULL;
}

void(g_mutex_lock)(GMutex *g)
{
    pthread_mutex_lock(mutex_of(g));
}

gboolean(g_mutex_trylock)(GMutex *g)
{
    return pthread_mutex_trylock(mutex_of(g)) == 0;
}

void(g_mutex_unlock)(GMutex *g)
{
    pthread_mutex_unlock(mutex_of(g));
}

static Cond *new_cond(void)
{
    Cond *cond = malloc(sizeof(*cond));
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cond->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return cond;
}

static pthread_cond_t *cond_of(GCond *g)
{
    Cond *cond = __atomic_load_n(&g->p, __ATOMIC_ACQUIRE);
    void *expected = NULL;

    if (cond)
        return &cond->cond;
    cond = new_cond();
    if (__atomic_compare_exchange_n(&g->p, &expected, cond, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return &cond->cond;
    pthread_cond_destroy(&cond->cond);
    free(cond);
    return &((Cond *)expected)->cond;
}

void(g_cond_init)(GCond *g)
{
    g->p = NULL;
}

void(g_cond_clear)(GCond *g)
{
    if (!g->p)
        return;
    pthread_cond_destroy(cond_of(g));
    free(g->p);
    g->p = NULL;
}

void(g_cond_wait)(GCond *g, GMutex *mutex)
{
    pthread_cond_wait(cond_of(g), mutex_of(mutex));
}

gboolean(g_cond_wait_until)(GCond *g, GMutex *mutex, gint64 end_time)
{
    struct timespec until = {.tv_sec = end_time / G_USEC_PER_SEC,
                             .tv_nsec = end_time % G_USEC_PER_SEC * 1000};

    return pthread_cond_timedwait(cond_of(g), mutex_of(mutex), &until) == 0;
}

void(g_cond_signal)(GCond *g)
{
    pthread_cond_signal(cond_of(g));
}

void(g_cond_broadcast)(GCond *g)
{
    pthread_cond_broadcast(cond_of(g));
}

void(g_atomic_ref_count_init)(gatomicrefcount *count)
{
    *count = 1;
}

void(g_atomic_ref_count_inc)(gatomicrefcount *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
}

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
    return __atomic_fetch_sub(count, 1, __ATOMIC_SEQ_CST) == 1;
}

#endif

/* Keeps the file from being empty. */
extern const int tsan_glib_is_linked;
const int tsan_glib_is_linked = 1;
