/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared: the part of the stand-in hypervisor that every process maps: event channels and the
 * plan of faults.
 *
 * A port is raised as Xen and Linux's evtchn device raise it. One that is masked becomes PENDING.
 * One that is not is delivered: it becomes PENDING, is entered in its handle's bitmap, and the
 * handle's descriptor is written to; what is raised until the owner takes it is remembered as
 * AGAIN. Taken, it is MASKED until it is unmasked, and PENDING if it was raised again; unmasked, a
 * PENDING port is delivered anew.
 *
 * Each word of the bitmap has a bit more, SHARED_SIGNALLED, set together with a port's: whoever
 * sets it undertakes to write 1 to the handle's eventfd, which is a semaphore. It stays until the
 * reader, who has taken the word's last port, has consumed that write. So a descriptor is readable
 * only while ports wait, and many ports cost one write.
 *
 * A process that dies between two of these steps leaves work undone, which the broker does in its
 * place; the broker alone binds and closes ports.
 */
#ifndef STANDIN_SHARED_H
#define STANDIN_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SHARED_PORTS = 4096, /* port 0 is never used */
    SHARED_PORTS_PER_WORD = 63,
    SHARED_WORDS = SHARED_PORTS / SHARED_PORTS_PER_WORD + 1,
    SHARED_HANDLES = 1024, /* slot 0 is never used */
    SHARED_FAULTS = 32,
    SHARED_NAME_SIZE = 48,
    SHARED_HOLD = -1, /* a call is not to fail but to wait */
};

typedef enum PortState {
    PORT_CLOSED,
    PORT_UNBOUND, /* waits for a peer to bind */
    PORT_INTERDOMAIN,
} PortState;

enum { PORT_PENDING = 1, PORT_MASKED = 2, PORT_AGAIN = 4 };

#define SHARED_SIGNALLED (UINT64_C(1) << SHARED_PORTS_PER_WORD)

/* Written by the broker, but for the flags and the counters. */
typedef struct SharedPort {
    _Alignas(128) _Atomic uint32_t state; /* PortState */
    _Atomic uint32_t flags;
    _Atomic uint32_t peer;      /* the port at the other end, or 0 */
    _Atomic uint32_t handle;    /* the slot of the handle that receives */
    _Atomic uint32_t binding;   /* counts up whenever the peer changes */
    _Atomic uint64_t notified;  /* calls of xenevtchn_notify() on this port */
    _Atomic uint64_t delivered; /* events that this port's owner was given */
    _Atomic uint64_t wakeups;   /* those of them that cost a write to its descriptor */
} SharedPort;

typedef struct SharedHandle {
    _Alignas(64) _Atomic uint64_t words[SHARED_WORDS];
} SharedHandle;

typedef struct SharedFault {
    _Atomic uint32_t in_use;
    _Atomic int32_t until_first; /* calls left before the first that fails */
    _Atomic int32_t times;       /* calls that still fail */
    int32_t error;               /* or SHARED_HOLD */
    _Atomic uint32_t held;       /* a call waits until this is 0 */
    int32_t spared_pid; /* the process that asked for it */
    char function[SHARED_NAME_SIZE];
} SharedFault;

typedef struct Shared {
    _Atomic uint32_t faults_in_use;
    SharedFault faults[SHARED_FAULTS];
    SharedPort ports[SHARED_PORTS];
    SharedHandle handles[SHARED_HANDLES];
} Shared;

/* Raises `port`. Returns true when the caller must write to its handle's descriptor. */
bool shared_port_raise(Shared *shared, uint32_t port);

/* Unmasks `port`. Returns true when the caller must write to its handle's descriptor. */
bool shared_port_unmask(Shared *shared, uint32_t port);

/* What the owner does with a port that it took out of its handle's bitmap: masks it. Returns false
 * for one that has nothing to tell. */
bool shared_port_accept(Shared *shared, uint32_t port);

/* Finishes what a process that died may have left half done on `port`. Returns true when its
 * handle's descriptor must be written to unless it is readable. */
bool shared_port_repair(Shared *shared, uint32_t port);

/* Takes one delivered port, up to the port `last`, out of the bitmap of handle `slot`, going round
 * from `cursor` so that each port has its turn. Returns the port or 0. When `emptied` is set, the
 * caller must read the handle's descriptor once and then call shared_handle_release(). */
uint32_t shared_handle_take(Shared *shared, uint32_t slot, uint32_t last, uint32_t *cursor,
                            bool *emptied);

/* Ends what taking the last port of a word began. Returns true when others have come meanwhile,
 * and the caller must write to the descriptor. */
bool shared_handle_release(Shared *shared, uint32_t slot, uint32_t port);

/* Forgets all that was delivered to handle `slot`. */
void shared_handle_reset(Shared *shared, uint32_t slot);

/* True when this call of `function` is to fail; the errno to fail with is stored in `error`. Waits first
 * if it is to be held. */
bool shared_fault_take(Shared *shared, const char *function, int *error);

#endif
