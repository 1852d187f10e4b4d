/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sandbox: how a worker locks itself in before it reads the first byte that a guest can write.
 *
 * The phases are functions, called in the order in which they stand here, by the one thread that
 * the worker then has. Each returns 0, or a negative errno with `why` set to a static text that
 * says what could not be done; the worker must not serve then. Which phases do something depends
 * on the level.
 */
#ifndef XEN_9PFS_SANDBOX_H
#define XEN_9PFS_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/export_options.h"

typedef enum SandboxLevel {
    SANDBOX_FULL,
    SANDBOX_NO_NAMESPACES, /* the rest: for a daemon that may not make namespaces and mounts */
    SANDBOX_OFF,           /* only the limits of the process; for debugging */
} SandboxLevel;

/* What becomes of a system call that is not on the list. */
typedef enum SandboxCalls {
    SANDBOX_CALLS_KILL, /* it ends the worker */
    SANDBOX_CALLS_LOG,  /* it is made, and the kernel logs it */
} SandboxCalls;

typedef struct Sandbox {
    SandboxLevel level;
    SandboxCalls calls;
    bool trusted_xattr; /* guests may have trusted.* and all of security.*: costs CAP_SYS_ADMIN */
    const char *why;    /* what failed */
} Sandbox;

/* The value called `name`. Returns false when there is none. */
bool sandbox_parse_level(const char *name, SandboxLevel *level);
bool sandbox_parse_calls(const char *name, SandboxCalls *calls);

const char *sandbox_level_name(SandboxLevel level);
const char *sandbox_calls_name(SandboxCalls calls);

/* [supervisor] What this thread forks next is the first process of a new pid namespace. Returns a
 * descriptor that sandbox_end_spawn() takes, or a negative errno. Must not be called when the level
 * is not SANDBOX_FULL. */
int sandbox_begin_spawn(void);
void sandbox_end_spawn(int spawn);

/* Raises the limit of descriptors as far as the system lets this process. */
void sandbox_raise_descriptors(void);

/* Leaves nothing open above descriptor `last_fd`, and sets the limits of the process. */
int sandbox_limit_process(Sandbox *sandbox, int last_fd);

/* Leaves the mount, network, IPC and UTS namespaces of the system; its files are still there. */
int sandbox_leave_namespaces(Sandbox *sandbox);

/* Makes the detached mount behind `root_fd` all that there is of the file system, without set-id
 * programs, devices and programs. */
int sandbox_enter_root(Sandbox *sandbox, int root_fd);

/* Keeps no capability but those that serving under `model` takes. */
int sandbox_drop_capabilities(Sandbox *sandbox, SecurityModel model);

/* The capabilities that are kept, as a set of bits. */
uint64_t sandbox_capabilities(const Sandbox *sandbox, SecurityModel model);

/* Does what the libraries do only once and could not do later. */
void sandbox_warm_up(void);

/* From here on only the system calls on the list can be made, by all threads. */
int sandbox_forbid_calls(Sandbox *sandbox);

#endif
