/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits: what one device may take of this host, and what is said when it has taken that.
 *
 * How much it is comes with the export's options (DeviceLimits). Whoever counts is where the thing
 * is made: there the guest's request is refused, or waits, and limit_reached() says so in the log, once
 * in a while, with the key that raises the limit. The counts are those of the process, which serves
 * one device: none has a share in another one's.
 *
 * The table in docs/security.md has the same rows.
 */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

#include <stdint.h>

typedef enum Limit {
    LIMIT_FIDS,           /* ENFILE */
    LIMIT_DESCRIPTORS,    /* ENFILE, unless idle files can do without theirs: see local_park.c */
    LIMIT_SYSTEM_FILES,   /* ENFILE: not the device's limit but the system's */
    LIMIT_REQUEST_MEMORY, /* the rings are not read until some are done */
    LIMIT_THREADS,        /* requests wait until one is free */
    LIMIT_XATTRS,         /* ENOSPC */
    LIMIT_XATTR_MEMORY,   /* ENOSPC */
    LIMIT_LOCK_OWNERS,    /* ENOLCK */
    LIMIT_LOCK_RANGES,    /* ENOLCK */
    LIMIT_LOCK_WAITS,     /* "blocked", at once */
    N_LIMITS
} Limit;

enum { LIMIT_LOG_SECONDS = 600 }; /* between two lines about the same limit */

/* Says in the log that a limit is reached, which is `max`. Any thread. */
void limit_reached(Limit limit, uint64_t max);

/* The line about `limit` may come again at once; for tests. */
void limit_forget(Limit limit);

#endif
