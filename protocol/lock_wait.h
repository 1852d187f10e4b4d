/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lock waits: the Tlock requests of a session that wait until somebody else lets go.
 *
 * They wait without a thread each: one thread, which exists only while there are any, tries them
 * again, oldest first - at once when a lock of this session is released, and every few
 * milliseconds those that a process of this host or another session is in the way of, of whose
 * locks nobody tells. A request that is cancelled ends at once, with -EINTR, and so does one whose
 * fid was clunked, with -EBADF.
 *
 * The server does not wait for ever: at its deadline a request is answered "blocked", and the client
 * asks again if it still wants to. In between its process can be interrupted by any signal,
 * whereas a client that waits for a reply can only be killed.
 */
#ifndef PROTOCOL_LOCK_WAIT_H
#define PROTOCOL_LOCK_WAIT_H

#include "protocol/lock.h"

typedef struct Request Request;
typedef struct LockWaits LockWaits;

/* At most `max_waits` requests wait at a time, each for at most `max_msec`. */
LockWaits *lock_waits_new(LockTable *table, unsigned max_waits, unsigned max_msec);

/* Ends: the requests that wait are the session's and have been abandoned. Nothing is left when it
 * returns. */
void lock_waits_free(LockWaits *waits);

/* Takes over a request that found `lock` held; lock_table_begin_wait() was called for it, and
 * lock->client_id lives as long as the request. Returns false, having done nothing, when no more
 * can wait. */
bool lock_waits_add(LockWaits *waits, Request *request, const Lock *lock);

/* A lock was released, a request cancelled, or a fid clunked: has a look at all. Any thread; never waits long. */
void lock_waits_poke(LockWaits *waits);

/* How many requests wait. */
unsigned lock_waits_count(LockWaits *waits);

#endif
