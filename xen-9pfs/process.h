/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process: one worker, as the supervisor sees it.
 *
 * A worker is started, or found alive by its socket and adopted; from the first HELLO on both are
 * the same. The link (link.h) tells what the worker says of itself. A pidfd tells when it is
 * gone, and nothing else does: whatever the link reports, PROCESS_GONE comes exactly once, last,
 * and after everything the worker had said was read.
 *
 * Every worker is on a clock until it is ready and again once it was told to stop; one that
 * overstays is killed. Freeing a Process leaves a living worker alone, for the next supervisor to
 * adopt. The supervisor's thread only.
 */
#ifndef XEN_9PFS_PROCESS_H
#define XEN_9PFS_PROCESS_H

#include <glib.h>
#include <stdbool.h>

#include "xen-9pfs/link.h"
#include "xen-9pfs/sandbox.h"
#include "xen-9pfs/scope.h"

typedef struct Process Process;

typedef enum ProcessState {
    PROCESS_STARTING, /* has not said yet how it is */
    PROCESS_READY,    /* serves its setup */
    PROCESS_FAILED,   /* serves nothing, see process_reason() */
    PROCESS_STOPPING, /* was told to stop, or is being killed */
    PROCESS_GONE,     /* has ended, see process_ending() */
} ProcessState;

/* What all workers of one supervisor have in common. */
typedef struct ProcessHost {
    const char *run_dir;
    int log_level;   /* syslog(3) priority */
    bool foreground; /* workers log to the supervisor's standard error, not to syslog */
    Sandbox sandbox; /* how they lock themselves in */
    Scopes *scopes;  /* who gives them their control groups */
} ProcessHost;

/* False when the run folder's name leaves no room for that of a socket. */
bool process_host_usable(const ProcessHost *host);

/* Called from the main loop whenever the state has changed. May not free the process. */
typedef void (*ProcessChanged)(void *data);

/* Starts a worker for `setup`. `name` is its socket's file name below the run folder without the
 * suffix PROCESS_SOCKET_SUFFIX; no living worker may have it. Returns NULL on failure. */
Process *process_start(const ProcessHost *host, const char *name, const LinkSetup *setup,
                       ProcessChanged changed, void *data, GError **error);

/* Connects to the worker that an earlier supervisor left behind under `name`. Returns NULL when
 * there is none; its socket, if any, has then been removed. */
Process *process_adopt(const ProcessHost *host, const char *name, ProcessChanged changed,
                       void *data);

#define PROCESS_SOCKET_SUFFIX ".sock"

/* Asks the worker to let go of everything and exit; it is killed when it has not within 2 s. */
void process_stop(Process *process);

void process_free(Process *process);

ProcessState process_state(const Process *process);
pid_t process_pid(const Process *process);

/* What the worker serves: the setup it was started with, or told of when it was adopted. */
const LinkSetup *process_setup(const Process *process);

/* The order of its largest ring, as it says; 0 while it has said nothing. */
uint32_t process_ring_order(const Process *process);

/* Has the worker answer `request`, a line of the control protocol without its end, to the connection
 * `client`, which stays the caller's to close. Never waits. Returns 0 or a negative errno: -ENOTCONN
 * when it does not serve, -EAGAIN when it does not take what it is sent, -EMSGSIZE. */
int process_pass_client(const Process *process, int client, const char *request);

/* Why it failed, in the worker's words or the supervisor's; NULL if nothing is known. */
const char *process_reason(const Process *process);

/* How it ended, such as "was killed by signal 9 (Killed)". PROCESS_GONE only. */
const char *process_ending(const Process *process);

#endif
