/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: one shared data ring of a 9pfs frontend, as a channel of a session.
 *
 * Layout and protocol are those of Xen's public io/9pfs.h: an interface page with indices, order
 * and grant references, and a data area of which the first half carries replies (in) and the
 * second half requests (out).
 *
 * Everything in shared memory belongs to a guest that may be hostile. ring.c is the only file that
 * touches it, and does so by these rules: the indices that are ours are kept privately and only
 * written to the page; an index of the frontend is read once per decision; a message is copied to
 * private memory before it is looked at; order and references are read once, when mapping.
 *
 * One thread at a time, its reader, takes requests; any thread publishes replies. A ring that finds its protocol
 * broken says so once and does nothing any more.
 */
#ifndef XEN_9PFS_RING_H
#define XEN_9PFS_RING_H

#include <xenevtchn.h>
#include <xengnttab.h>

#include "protocol/session.h"

enum {
    RING_MIN_ORDER = 1,
    RING_MAX_ORDER = 9,
    RING_TAKE_BUDGET = 32,             /* requests of one ring before another has its turn, */
    RING_TAKE_BYTES = 2 * 1024 * 1024, /* or those that may move so much */
    RING_PATIENCE_USEC = 1000,         /* for which a request waits in the ring, see ring_take() */
};

typedef struct Ring Ring;

typedef struct RingPeer {
    xengnttab_handle *gnttab; /* borrowed, as the next */
    xenevtchn_handle *evtchn;
    uint32_t domid;
    uint32_t ref;  /* grant reference of the interface page */
    uint32_t port; /* the frontend's event channel */
} RingPeer;

/* Maps the ring and binds its event channel. Returns the ring, or NULL with *why a text that the
 * caller frees. */
Ring *ring_new(const RingPeer *peer, char **why);

/* Lets go of everything; replies not published yet are dropped. */
void ring_free(Ring *ring);

Channel *ring_channel(Ring *ring);

/* Who calls the functions marked [reader] from now on: NULL for nobody. The thread that has made the ring is
 * the first. */
void ring_set_reader(Ring *ring, GThread *reader);

/* The order of its number of pages. */
unsigned ring_order(const Ring *ring);

/* The local event channel port. */
evtchn_port_t ring_port(const Ring *ring);

/* Takes at most `budget` requests and hands them to the session. Returns how many; *stalled is set
 * when there are more that the session cannot take now.
 *
 * A request for much data is left where it is while there is no room for its reply, which nobody would get
 * sooner: when there is, the data is read straight to its place. A frontend that makes no room for
 * RING_PATIENCE_USEC has its requests taken all the same, until it takes replies again. [reader] */
unsigned ring_take(Ring *ring, unsigned budget, bool *stalled);

/* True when the frontend has published something since ring_take() last looked, or has made room for a reply
 * that waits for it. What was not taken, since it was published only in part, is no reason
 * to look again. [reader] */
bool ring_has_work(Ring *ring);

/* Publishes replies that wait for room. Returns true when some still wait, or a request for its reply.
 * Called after ring_take(). [reader] */
bool ring_pump(Ring *ring);

/* Tells the frontend what the reader thread has done since the last call. [reader] */
void ring_notify(Ring *ring);

/* What has happened on a ring since it was mapped, and how it is now. */
typedef struct RingStats {
    unsigned order;         /* of its number of pages */
    uint32_t size;          /* bytes of each half */
    uint32_t in_used;       /* bytes of replies that the frontend has not consumed, */
    uint32_t in_high;       /* the most there were, with those about to be published */
    uint32_t out_used;      /* bytes of requests that were not taken */
    uint64_t requests;      /* taken */
    uint64_t replies;       /* published */
    uint64_t stalls;        /* replies that had to wait for room, some before they were made, */
    uint64_t stalled_usec;  /* and for how long any did */
    uint64_t notifications; /* events sent */
    uint64_t wakeups;       /* events received */
} RingStats;

/* Any thread. */
RingStats ring_stats(Ring *ring);

/* Counts an event from the frontend. One thread at a time. */
void ring_count_wakeup(Ring *ring);

/* What the frontend broke, or NULL. Any thread. */
const char *ring_broken(const Ring *ring);

#endif
