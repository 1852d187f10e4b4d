/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export check: see export.h. The job outlives the check while its thread runs: the thread writes
 * `error` and then the eventfd, touches nothing else, and the main loop takes it from there.
 */
#include "xen-9pfs/export.h"

#include <errno.h>
#include <glib-unix.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Threads that may wait at a time: those of a server that is gone never come back. */
enum { MAX_RUNNING = 64 };

typedef struct Job {
    char *path;
    int answered; /* an eventfd: `error` is there */
    int error;
    ExportCheck *check; /* NULL: nobody waits any more */
} Job;

struct ExportCheck {
    Job *job; /* NULL once it has finished */
    int error;
    void (*done)(void *data);
    void *data;
};

static unsigned n_running; /* jobs that have not finished */

static gboolean job_finish(gint fd, GIOCondition condition, gpointer data)
{
    Job *job = data;
    ExportCheck *check = job->check;
    eventfd_t answers;

    (void)condition;
    eventfd_read(fd, &answers); /* pairs with the thread's eventfd_write() */
    n_running--;
    if (check != NULL) {
        check->job = NULL;
        check->error = job->error;
        check->done(check->data);
    }
    close(fd);
    g_free(job->path);
    g_free(job);
    return G_SOURCE_REMOVE;
}

static void *job_run(void *data)
{
    Job *job = data;
    struct stat info;

    if (stat(job->path, &info) < 0)
        job->error = errno;
    else if (!S_ISDIR(info.st_mode))
        job->error = ENOTDIR;
    eventfd_write(job->answered, 1);
    return NULL;
}

static int start_thread(Job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, job_run, job);
    pthread_attr_destroy(&attributes);
    return error;
}

/* Without a thread the answer is there at once, and it is EAGAIN. */
static void job_start(Job *job)
{
    if (n_running++ < MAX_RUNNING && start_thread(job) == 0)
        return;
    job->error = EAGAIN;
    eventfd_write(job->answered, 1);
}

ExportCheck *export_check_new(const char *path, void (*done)(void *data), void *data)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ExportCheck *check = g_new0(ExportCheck, 1);

    check->done = done;
    check->data = data;
    if (fd < 0) {
        check->error = errno; /* the caller looks for an answer before it waits for one */
        return check;
    }
    check->job = g_new0(Job, 1);
    check->job->path = g_strdup(path);
    check->job->answered = fd;
    check->job->check = check;
    g_unix_fd_add(fd, G_IO_IN, job_finish, check->job);
    job_start(check->job);
    return check;
}

void export_check_free(ExportCheck *check)
{
    if (check == NULL)
        return;
    if (check->job != NULL)
        check->job->check = NULL;
    g_free(check);
}

bool export_check_result(const ExportCheck *check, int *error)
{
    if (check->job == NULL)
        *error = check->error;
    return check->job == NULL;
}
