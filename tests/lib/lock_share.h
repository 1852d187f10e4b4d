/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lock share: a Share (share.h) with a file to lock, a second session over it, and another process of
 * this host.
 *
 * What returns a status returns an Rlock's, or the negative errno of an error.
 */
#ifndef TESTS_LIB_LOCK_SHARE_H
#define TESTS_LIB_LOCK_SHARE_H

#include "tests/lib/share.h"

enum { LOCK_FID = 1 }; /* "file", open for reading and writing, in all sessions */

/* Two sessions over one export, as of two guests. The first one is the share's own. */
typedef struct TwoSessions {
    Share *s;
    TestSession *ts;
    Client client;
} TwoSessions;

/* What an Rgetlock says. */
typedef struct LockFound {
    uint8_t type;
    uint64_t start, length;
    uint32_t proc_id;
    char client_id[64];
} LockFound;

/* Makes the file and opens it; with a new session that has these limits; in two sessions. */
void share_begin_locks(Share *share);
void share_begin_locks_with_limits(Share *share, const SessionLimits *limits);
TwoSessions share_begin_two(Share *share);

void client_open_lock_file(Client *c);

/* Sends a Tlock and returns at once. */
void client_send_lock(Client *c, uint16_t tag, uint32_t fid, uint8_t type, uint32_t flags,
                      uint64_t start, uint64_t length, uint32_t proc_id);

/* Sends a Tlock for writing that waits, and makes sure that it does. */
void client_send_waiting_lock(Client *c, uint16_t tag, uint64_t start, uint64_t length,
                              uint32_t proc_id);

/* The status in the reply to `tag`, which must come before a wait is given up. */
int client_await_lock(Client *c, uint16_t tag);
int lock_status(const TestReply *reply);

/* Tlock without waiting: of LOCK_FID for client "guest", or of anything. Returns the status. */
int client_lock(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id);
int client_lock_for(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                    uint32_t proc_id, const char *client_id);

/* Tgetlock. Returns 0 or a negative errno. */
int client_getlock(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                   uint32_t proc_id, LockFound *found);

/* How many owners and ranges the session has. */
void expect_lock_counts(TestSession *ts, unsigned owners, unsigned ranges);

/* Another process of this host, with POSIX locks of its own on the file. */
typedef struct Locker {
    pid_t pid;
    int to;
    int from;
} Locker;

Locker locker_start(Share *share);
int locker_lock(Locker *locker, short type, off_t start, off_t length);
void locker_end(Locker *locker);

#endif
