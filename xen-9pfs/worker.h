/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker: the process that serves one connected device and nothing else.
 *
 * Entered by the supervisor's fork and exec of its own binary with `--worker`, with the listening
 * link socket as descriptor LINK_LISTEN_FD. One worker life is one connection: it never serves a
 * second setup.
 */
#ifndef XEN_9PFS_WORKER_H
#define XEN_9PFS_WORKER_H

#include "xen-9pfs/sandbox.h"

/* Runs the worker to its end, locked in as `sandbox` says. Returns the process's exit status: 0
 * after STOP, 1 when it could not be set up at all. */
int worker_main(const Sandbox *sandbox);

#endif
