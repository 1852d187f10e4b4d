/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt: see interrupt.h. */
#include "protocol/interrupt.h"

#include <signal.h>
#include <time.h>

enum {
    INTERRUPT_SIGNAL = SIGURG, /* ignored by default: nothing dies of one too many */
    LOCK_PAUSE_MSEC = 20,      /* after which who waits for a mutex looks whether it still should */
};

static __thread Interruptible *interruptible;
static __thread bool is_held;

static void do_nothing(int number)
{
    (void)number;
}

static void change_mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, INTERRUPT_SIGNAL);
    pthread_sigmask(how, &set, NULL);
}

/* Without SA_RESTART: the interrupted call returns. */
static void install_handler(void)
{
    struct sigaction action = {.sa_handler = do_nothing};

    sigemptyset(&action.sa_mask);
    sigaction(INTERRUPT_SIGNAL, &action, NULL);
}

void interrupt_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install_handler);
    change_mask(SIG_BLOCK);
}

void interrupt_accept(Interruptible *self)
{
    self->thread = pthread_self();
    g_atomic_int_set(&self->requested, false);
    interruptible = self;
    change_mask(SIG_UNBLOCK);
}

void interrupt_send(Interruptible *thread)
{
    g_atomic_int_set(&thread->requested, true);
    pthread_kill(thread->thread, INTERRUPT_SIGNAL);
}

bool interrupt_requested(void)
{
    return interruptible && !is_held && g_atomic_int_get(&interruptible->requested);
}

bool interrupt_begin_hold(void)
{
    bool was_held = is_held;

    is_held = true;
    return was_held;
}

void interrupt_end_hold(const bool *was_held)
{
    is_held = *was_held;
}

/* pthread_mutex_lock() goes on waiting after a signal, so this waits in slices. */
int interrupt_lock(pthread_mutex_t *mutex)
{
    struct timespec until;

    if (pthread_mutex_trylock(mutex) == 0)
        return 0;
    do {
        if (interrupt_requested())
            return -EINTR;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOCK_PAUSE_MSEC * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (pthread_mutex_timedlock(mutex, &until) != 0);
    return 0;
}
