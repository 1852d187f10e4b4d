/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Supervisor: the process that looks after all devices and serves none itself.
 *
 * It alone talks to xenstore. There is at most one per run folder, which a lock decides. When it
 * ends, however it ends, the workers go on, and the next supervisor adopts them.
 */
#ifndef XEN_9PFS_SUPERVISOR_H
#define XEN_9PFS_SUPERVISOR_H

#include "xen-9pfs/options.h"

/* Runs until SIGTERM, SIGINT or SIGHUP. Returns the process's exit status: 0 after a clean end,
 * and at once when another supervisor runs already; 1 when it could not start, or has lost its
 * connection to xenstore. */
int supervisor_run(const Options *options);

#endif
