/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend: one of the servers that are compared, running in a stand-in of its own, with a frontend
 * connected to it.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include "tests/frontend/frontend.h"
#include "tests/standin/standin.h"

typedef struct BackendKind {
    const char *name;
    const char *kind;          /* of the device */
    const char *dialect;       /* NULL: no server at all */
    bool is_blind;             /* has nothing behind it */
    const FrontendNode *nodes; /* more of the device's, or NULL */
    /* The command line, NULL-terminated, to be freed with g_strfreev(); or NULL with *why a static
     * text when this machine does not have it. NULL: our own daemon. */
    char **(*command)(const char **why);
} BackendKind;

extern const BackendKind backend_kinds[];
extern const unsigned n_backend_kinds;

typedef struct Backend {
    const BackendKind *kind;
    StandinDaemon *daemon;
    Frontend *frontend;
    GArray *pids;    /* of the processes that serve */
    GPtrArray *idle; /* Frontend: devices that are connected and do nothing */
} Backend;

/* Starts the stand-in and the backend, connects and attaches as fid 0. One for each process. On
 * failure returns NULL and *why, to be freed. */
Backend *backend_start(const BackendKind *kind, const char *share, char **why);
void backend_stop(Backend *backend);

/* Sees to it that there are `n` more devices that are connected and idle. Returns NULL or a static text
 * that says why there are not. */
const char *backend_keep_idle(Backend *backend, unsigned n);

/* Adds a device, connects it, begins a conversation and removes it again. Sets *took_ns to the time from
 * the toolstack's word to the first Rattach. Returns as backend_keep_idle(). */
const char *backend_connect_once(Backend *backend, uint64_t *took_ns);

/* CPU time of all threads of the backend that serve its first device, in nanoseconds. */
uint64_t backend_cpu_ns(const Backend *backend);

/* Puts a thread (0: the calling one) above all that other programs do, or among them as usual. Without
 * the right to do so nothing changes. */
void backend_set_priority(pid_t thread, bool realtime);

/* Lets all threads of the backend run on the CPUs of `cpus` only, with that priority. */
void backend_place(const Backend *backend, const cpu_set_t *cpus, bool realtime);

typedef struct BackendIdle {
    unsigned private_kib;
    unsigned threads;
    double wakeups; /* per second */
} BackendIdle;

/* Leaves the backend alone for `ms` milliseconds and tells what its processes did and have. */
BackendIdle backend_look_idle(const Backend *backend, unsigned ms);

#endif
