/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope: a control group for each worker. systemd is asked for one, over the system's message bus:
 * a transient unit "xen-9pfs-worker-DEVICE-PID.scope" in the slice xen-9pfs.slice. So a worker is
 * no part of the service, or of the session, that started the supervisor, and is not ended with
 * it. How much it may use is not said here but in unit files for that name, which an
 * administrator can change.
 *
 * It is asked without waiting for the answer. Where there is no systemd, or no way to it, workers
 * stay where they were started. The supervisor's thread only.
 */
#ifndef XEN_9PFS_SCOPE_H
#define XEN_9PFS_SCOPE_H

#include <sys/types.h>

typedef struct Scopes Scopes;

Scopes *scopes_new(void);

/* What could not be asked yet is left to the next supervisor, which asks for all that it adopts. */
void scopes_free(Scopes *scopes);

/* Has the worker `pid` moved to a scope of its own, unless it is in one. `device` names what it
 * serves, in characters that a unit name may have. */
void scopes_add(Scopes *scopes, const char *device, pid_t pid);

#endif
