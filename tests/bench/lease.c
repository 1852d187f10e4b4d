/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lease: see lease.h. The lock guards the descriptor and the time. */
#include "tests/bench/lease.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <unistd.h>

enum { TAKE_MSEC = 1000 };

struct Lease {
    const char *path;
    GMutex lock;
    GCond changed;
    int fd;            /* -1 while the lease is not held */
    gint64 release_at; /* monotonic microseconds, 0: not asked for */
    bool ending;
    GThread *thread;
};

/* Called with the lock held. */
static void give_back(Lease *lease)
{
    if (lease->fd >= 0)
        close(lease->fd);
    lease->fd = -1;
    lease->release_at = 0;
}

static gpointer release_in_time(gpointer context)
{
    Lease *lease = context;

    g_mutex_lock(&lease->lock);
    while (!lease->ending) {
        if (lease->release_at == 0)
            g_cond_wait(&lease->changed, &lease->lock);
        else if (!g_cond_wait_until(&lease->changed, &lease->lock, lease->release_at))
            give_back(lease);
    }
    give_back(lease);
    g_mutex_unlock(&lease->lock);
    return NULL;
}

Lease *lease_new(const char *path)
{
    Lease *lease = g_new0(Lease, 1);

    signal(SIGIO, SIG_IGN); /* which tells the holder that somebody waits */
    lease->path = path;
    lease->fd = -1;
    g_mutex_init(&lease->lock);
    g_cond_init(&lease->changed);
    lease->thread = g_thread_new("lease", release_in_time, lease);
    return lease;
}

void lease_free(Lease *lease)
{
    g_mutex_lock(&lease->lock);
    lease->ending = true;
    g_cond_signal(&lease->changed);
    g_mutex_unlock(&lease->lock);
    g_thread_join(lease->thread);
    g_mutex_clear(&lease->lock);
    g_cond_clear(&lease->changed);
    g_free(lease);
}

bool lease_take(Lease *lease)
{
    int fd = open(lease->path, O_RDWR | O_CLOEXEC);
    bool taken = false;

    for (int i = 0; fd >= 0 && !taken && i < TAKE_MSEC; i++) {
        taken = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
        if (!taken)
            g_usleep(1000);
    }
    if (!taken && fd >= 0)
        close(fd);
    g_mutex_lock(&lease->lock);
    lease->fd = taken ? fd : -1;
    g_mutex_unlock(&lease->lock);
    return taken;
}

void lease_release_later(Lease *lease)
{
    g_mutex_lock(&lease->lock);
    lease->release_at = g_get_monotonic_time() + LEASE_MSEC * 1000;
    g_cond_signal(&lease->changed);
    g_mutex_unlock(&lease->lock);
}

bool lease_is_awaited(Lease *lease)
{
    bool awaited;

    g_mutex_lock(&lease->lock);
    /* while it is being broken, the kernel tells what it is to become */
    awaited = lease->fd >= 0 && fcntl(lease->fd, F_GETLEASE) != F_WRLCK;
    g_mutex_unlock(&lease->lock);
    return awaited;
}

void lease_release(Lease *lease)
{
    g_mutex_lock(&lease->lock);
    give_back(lease);
    g_mutex_unlock(&lease->lock);
}
