/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Core: what the four stand-in libraries share, in libxen-standin.so.
 *
 * A CoreHandle is the connection of one open handle to the broker. Any thread may call; one
 * exchange is made at a time. After fork() a child may only close what it inherited, as with the
 * real libraries, or call exec(), which closes everything.
 */
#ifndef STANDIN_CORE_H
#define STANDIN_CORE_H

#include "tests/standin/shared.h"
#include "tests/standin/wire.h"

#include <glib.h>

typedef struct CoreHandle {
    int sock;
    uint32_t domid; /* the domain that this handle belongs to */
    Shared *shared;
    GMutex lock;
    WireMessage *message;
} CoreHandle;

/* Connects to the broker that XEN_STANDIN names, for the calling thread's domain. `function` is
 * the name that a fault may have been asked for. Returns NULL and sets errno on failure. */
CoreHandle *core_open(const char *function);

/* Closes the connection, and with it all that the broker holds for it. */
void core_close(CoreHandle *handle);

/* Takes the handle's lock and begins a request; core_exchange() sends it and receives the reply
 * into the same message; core_end() gives the lock back. */
WireMessage *core_begin(CoreHandle *handle, WireOp op);
void core_end(CoreHandle *handle);

/* Returns 0, or -1 with errno set to the broker's error. `fd` receives the reply's descriptor, or
 * -1; NULL when there can be none. `send_fd` goes with the request unless it is -1. */
int core_exchange(CoreHandle *handle, int send_fd, int *fd);

/* A request that is numbers only, up to the first result. `result` may be NULL. */
int core_call(CoreHandle *handle, WireOp op, uint32_t arg0, uint32_t arg1, uint32_t *result);

/* True when this call of `function` was asked to fail; errno is set. */
bool core_fault(CoreHandle *handle, const char *function);

/* Keeps the CPU busy for as long as XEN_STANDIN_NOTIFY_US says that a notification costs. */
void core_charge_notify(void);

/* Ends the process with a message: a function of the real library that has no stand-in. */
_Noreturn void core_unsupported(const char *function);

#endif
