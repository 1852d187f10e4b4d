/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export check: see export.h. The job is shared by the check and the thread; the one that lets
 * go last frees it. The thread writes `error` and then queues job_finish() on the main loop,
 * which orders the write before every later look.
 */
#include "xen-9pfs/export.h"

#include <errno.h>
#include <glib.h>
#include <sys/stat.h>

/* Threads that may wait at a time: those of a server that is gone never come back. */
enum { MAX_RUNNING = 64 };

typedef struct Job {
    gatomicrefcount refs;
    char *path;
    int error;
    ExportCheck *check; /* main loop only; NULL: nobody waits any more */
} Job;

struct ExportCheck {
    Job *job;
    bool finished;
    void (*done)(void *data);
    void *data;
};

static unsigned n_running; /* jobs that have not finished; main loop only */

static void job_unref(Job *job)
{
    if (!g_atomic_ref_count_dec(&job->refs))
        return;
    g_free(job->path);
    g_free(job);
}

static gboolean job_finish(gpointer data)
{
    Job *job = data;
    ExportCheck *check = job->check;

    n_running--;
    if (check != NULL) {
        check->finished = true;
        check->done(check->data);
    }
    job_unref(job);
    return G_SOURCE_REMOVE;
}

static gpointer job_run(gpointer data)
{
    Job *job = data;
    struct stat info;

    if (stat(job->path, &info) < 0)
        job->error = errno;
    else if (!S_ISDIR(info.st_mode))
        job->error = ENOTDIR;
    g_idle_add_full(G_PRIORITY_DEFAULT, job_finish, job, NULL);
    return NULL;
}

static void job_start(Job *job)
{
    GThread *thread = NULL;

    g_atomic_ref_count_inc(&job->refs);
    if (n_running++ < MAX_RUNNING)
        thread = g_thread_try_new("export-check", job_run, job, NULL);
    if (thread != NULL) {
        g_thread_unref(thread);
        return;
    }
    job->error = EAGAIN;
    g_idle_add_full(G_PRIORITY_DEFAULT, job_finish, job, NULL);
}

ExportCheck *export_check_new(const char *path, void (*done)(void *data), void *data)
{
    ExportCheck *check = g_new0(ExportCheck, 1);

    check->done = done;
    check->data = data;
    check->job = g_new0(Job, 1);
    check->job->path = g_strdup(path);
    check->job->check = check;
    g_atomic_ref_count_init(&check->job->refs);
    job_start(check->job);
    return check;
}

void export_check_free(ExportCheck *check)
{
    if (check == NULL)
        return;
    check->job->check = NULL;
    job_unref(check->job);
    g_free(check);
}

bool export_check_result(const ExportCheck *check, int *error)
{
    if (check->finished)
        *error = check->job->error;
    return check->finished;
}
