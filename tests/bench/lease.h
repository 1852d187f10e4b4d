/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lease: a file that cannot be opened for a while. Whoever opens it waits in the kernel until the
 * lease is given back, 20 ms after lease_release_later(), by a thread of its own.
 */
#ifndef BENCH_LEASE_H
#define BENCH_LEASE_H

#include <stdbool.h>

enum { LEASE_MSEC = 20 };

typedef struct Lease Lease;

/* For the file at `path`, a string that stays the caller's. */
Lease *lease_new(const char *path);
void lease_free(Lease *lease);

/* Takes the lease. Waits up to a second for others to close the file; false when they do not. */
bool lease_take(Lease *lease);

/* Lets the thread give the lease back after LEASE_MSEC. */
void lease_release_later(Lease *lease);

/* True when somebody waits in open(). Called after lease_take(), while the lease is held. */
bool lease_is_awaited(Lease *lease);

/* Gives the lease back now, unless that has happened. */
void lease_release(Lease *lease);

#endif
