/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Throttle waits: the requests of a session that wait until the limits of the export let them go.
 *
 * Limited are Tread and Twrite of files, by their bytes and as operations, and Treaddir and the
 * Tread of a directory, as operations of reading. Values of extended attributes are not: these are
 * in memory, and their number is limited.
 *
 * Requests of one kind, reading or writing, go in the order in which they came. Where both kinds wait
 * for the limits on the total, who came first goes first; what only its own kind's limits hold up
 * does not hold up the other kind.
 *
 * A request that waits has not begun: it is cancelled like one that waits for a thread, by taking it
 * out. When its turn comes it is run, whatever has become of its fid's number meanwhile. What it does
 * not use in the end - at the end of a file, after an error - it gives back when it is freed.
 *
 * All is a reader's in its turn but throttle_waits_give_back(). The reader is also the timer: it asks before
 * it sleeps for how long it may.
 */
#ifndef PROTOCOL_THROTTLE_WAIT_H
#define PROTOCOL_THROTTLE_WAIT_H

#include "protocol/throttle.h"

typedef struct Request Request;
typedef struct ThrottleWaits ThrottleWaits;

/* Returns NULL when `options` limit nothing. `clock` tells the monotonic time in microseconds. */
ThrottleWaits *throttle_waits_new(const ThrottleOptions *options, int64_t (*clock)(void));

/* Frees what no request waits in any more. NULL is allowed. */
void throttle_waits_free(ThrottleWaits *waits);

/* Whether a request, whose fids are known, is one of those that are limited. */
bool throttle_waits_concern(const Request *request);

/* Takes over a request that is limited. It is handed out again when its turn comes. */
void throttle_waits_add(ThrottleWaits *waits, Request *request);

/* The next request whose turn it is: the caller's, and counted against the limits. NULL when there
 * is none. */
Request *throttle_waits_next(ThrottleWaits *waits);

/* Takes a request out. Returns false when it does not wait here. */
bool throttle_waits_remove(ThrottleWaits *waits, Request *request);

/* How many microseconds may pass until throttle_waits_next() has something, if no request comes or
 * ends meanwhile; -1 when none waits. */
int64_t throttle_waits_delay(ThrottleWaits *waits);

/* Gives back what a request that was handed out has not used. Any thread. Returns true when some
 * wait, who may be able to go on now. */
bool throttle_waits_give_back(ThrottleWaits *waits, const Request *request);

/* How many requests wait. */
unsigned throttle_waits_count(ThrottleWaits *waits);

#endif
