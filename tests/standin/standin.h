/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-in: a hypervisor and a xenstore for tests, on a machine without Xen.
 *
 * A test starts it, acts as the guests and as the toolstack through the usual Xen libraries, and
 * starts the unmodified daemon in it. All of these find the stand-in's libraries in place of the
 * real ones, and they find the broker, the process that connects them, through the environment.
 * When the test's process ends, the broker kills what is still connected to it and removes its
 * folder.
 *
 * The functions end the process with a message when the stand-in itself does not work; a test
 * need not check for that. Any thread may call them once standin_start() has returned.
 */
#ifndef STANDIN_STANDIN_H
#define STANDIN_STANDIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lib/deny.h"

#define STANDIN_ENV_SOCKET    "XEN_STANDIN"           /* where the broker listens */
#define STANDIN_ENV_DOMID     "XEN_STANDIN_DOMID"     /* a program's domain; default 0 */
#define STANDIN_ENV_NOTIFY_US "XEN_STANDIN_NOTIFY_US" /* cost of a notification, a decimal */

/* Starts the broker: an empty xenstore and domain 0. Sets XEN_STANDIN for this process. */
void standin_start(void);

/* Stops the broker and removes its folder. What is still connected gets errors from then on. */
void standin_stop(void);

/* The broker's folder, a place for a test's own files; gone after standin_stop(). */
const char *standin_dir(void);

/* ---- Who one is ---- */

/* Makes the handles that this thread opens from now on those of domain `domid`. */
void standin_set_domid(uint32_t domid);

/* The domain for which this thread opens handles. */
uint32_t standin_domid(void);

/* ---- Domains ---- */

typedef enum StandinDomainState {
    STANDIN_RUNNING = 1,
    STANDIN_PAUSED,
    STANDIN_SHUTDOWN,
    STANDIN_DYING,
} StandinDomainState;

/* Creates a domain with its home in xenstore, which it may read and of which it may write what a
 * toolstack lets it write. @introduceDomain fires. */
void standin_domain_create(uint32_t domid);

/* Creates a domain that may also write its own backend and libxl directories. */
void standin_domain_create_driver(uint32_t domid);

/* Sets a domain's state; @releaseDomain fires for STANDIN_SHUTDOWN and STANDIN_DYING. A dying
 * domain's ports are closed and its pages can no longer be mapped; it is gone, and @releaseDomain
 * fires again, when the last page of it that was mapped elsewhere has been unmapped. Its nodes
 * stay until the toolstack removes them. */
void standin_domain_set_state(uint32_t domid, StandinDomainState state);

/* True until the domain is gone. */
bool standin_domain_exists(uint32_t domid);

/* The value of a xenstore node, as domain 0 reads it, or NULL; to be freed with g_free(). */
char *standin_read(const char *path);

/* ---- What is held ---- */

typedef enum StandinCount {
    STANDIN_MAPPED_PAGES = 1, /* pages of the domain that others map, each mapping counted */
    STANDIN_SHARED_PAGES,     /* pages that the domain shares or that are still mapped */
    STANDIN_PORTS,            /* event channels of the domain, bound or not */
    STANDIN_WATCHES,          /* xenstore watches of the domain's connections */
    STANDIN_TRANSACTIONS,     /* xenstore transactions that they have open */
    STANDIN_HANDLES,          /* handles that the domain's processes have open */
    STANDIN_NODES,            /* xenstore nodes, of all domains */
} StandinCount;

/* Counts what `domid` holds. What belonged to a process that was waited for is not counted. */
unsigned standin_count(StandinCount what, uint32_t domid);

/* As standin_count(), but waits up to 20 s for the count to be `expected`. */
unsigned standin_count_wait(StandinCount what, uint32_t domid, unsigned expected);

typedef struct StandinPortCounters {
    uint64_t notified;  /* calls of xenevtchn_notify() on this port */
    uint64_t delivered; /* events that this port's owner was given */
    uint64_t wakeups;   /* those of them that cost a system call */
} StandinPortCounters;

/* The counters of `port`, since it was bound. */
StandinPortCounters standin_port_counters(uint32_t port);

/* The port at the other end of `port`, or 0. */
uint32_t standin_port_peer(uint32_t port);

/* ---- Faults ---- */

/* Makes calls of `function` (say "xengnttab_map_domain_grant_refs") fail with `error`: the nth
 * from now, counted from 1, and the times - 1 that follow. Calls that this process makes do not
 * count. Several faults may be asked for at once. */
void standin_fail(const char *function, unsigned nth, unsigned times, int error);

/* Makes the nth call of `function` from now wait until standin_clear_faults(), and then go on: for what
 * a test does to a process at that very moment. */
void standin_hold(const char *function, unsigned nth);

/* Waits up to 20 s until a call waits so. Returns whether one does. */
bool standin_wait_held(void);

/* How many of the faults asked for have not been used up. */
unsigned standin_faults_left(void);

/* Forgets all faults, and lets go of what is held. */
void standin_clear_faults(void);

/* ---- The process under test ---- */

typedef struct StandinDaemon StandinDaemon;

/* Starts the daemon with a run folder and a configuration file of its own and `options` (NULL-terminated, may be NULL), and
 * waits until it says in xenstore that it runs. Its log goes to a file. The daemon is killed when
 * the thread that started it ends. */
StandinDaemon *standin_daemon_start(const char *const *options);

/* What daemons that are started from now on, and their workers, cannot start. Returns false where that
 * is not possible. */
bool standin_daemon_deny(Deny what);

/* As standin_daemon_start(), for another program: `argv` is complete. Waits for nothing. */
StandinDaemon *standin_daemon_spawn(const char *const *argv);

pid_t standin_daemon_pid(const StandinDaemon *daemon);

/* The folder given to the daemon as --run-dir. */
const char *standin_daemon_run_dir(const StandinDaemon *daemon);

/* The file given to the daemon as --config, also to those that are started later; to be freed with
 * g_free(). It is empty unless a test writes to it. */
char *standin_daemon_config(void);

/* All that the daemon and its workers have logged; to be freed with g_free(). */
char *standin_daemon_log(const StandinDaemon *daemon);

/* Waits up to `timeout_ms` for `text` in the log. Returns whether it came. */
bool standin_daemon_wait_log(const StandinDaemon *daemon, const char *text, int timeout_ms);

/* Asks the daemon to end (SIGTERM) and waits; after half a minute it is killed. Whatever it
 * started and left behind is killed too. Frees `daemon`. Returns the status that waitpid() gave:
 * 0 when the daemon ended as it should; for any other the log is shown. */
int standin_daemon_stop(StandinDaemon *daemon);

/* Kills the daemon (SIGKILL) and waits for it, but leaves its children running. Frees `daemon`
 * and keeps its run folder, which the next standin_daemon_start() uses. */
void standin_daemon_kill(StandinDaemon *daemon);

/* Processes of `daemon`, itself not counted, that are still there. */
unsigned standin_daemon_children(const StandinDaemon *daemon);

/* As standin_daemon_children(), but waits up to 20 s for there to be `expected`. */
unsigned standin_daemon_children_wait(const StandinDaemon *daemon, unsigned expected);

#endif
