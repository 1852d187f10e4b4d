/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring thread: a second reader, for one ring.
 *
 * One reader serves all rings of a device: whatever it can do at once needs no other thread, which
 * would have to be woken first. Once several rings have more requests than it can keep up with, it
 * lends one of them to a thread that has nothing else to do. When that thread has found the ring empty for
 * a moment it returns it and sleeps.
 *
 * Lending costs a wake-up. Where a ring comes back soon it is lent ever more rarely.
 *
 * A ring that is lent belongs to the thread: all that is marked [reader] in ring.h is its business.
 */
#ifndef XEN_9PFS_RING_THREAD_H
#define XEN_9PFS_RING_THREAD_H

#include "xen-9pfs/ring.h"

typedef struct RingThread RingThread;

/* For a ring of `session`, both borrowed. `returned` is called by the thread each time when it has
 * returned the ring. The thread itself is started when the ring is first lent. */
RingThread *ring_thread_new(Session *session, Ring *ring, void (*returned)(void *context),
                            void *context);

/* Takes the ring back, when it is lent, and ends the thread. The session must not be locked. NULL is
 * allowed. [first reader, as the next ones] */
void ring_thread_free(RingThread *thread);

/* Whether the ring is lent. When it is not it is the caller's. */
bool ring_thread_has_ring(RingThread *thread);

/* Tells how a turn was in which the caller has served the ring: whether this ring and another one had
 * requests. When it was so for some turns the ring is lent. */
void ring_thread_note_turn(RingThread *thread, bool was_busy);

#endif
