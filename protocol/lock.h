/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks: who holds which byte ranges of which files, in one session.
 *
 * An owner is a client's process, (proc_id, client_id), and has the same rights whichever fid it
 * asks through. For each file on which it holds a lock it has an open file description of its own,
 * and the lock is a real one there, taken through FsOps.lock: so the system keeps owners apart,
 * those of this table, of other sessions and the processes of this host alike. The table knows
 * the same ranges again, to tell who holds one, and when the last is gone and the description can
 * be closed.
 *
 * An owner keeps its locks as long as one of the fids is there through which it took locks on that
 * file. A lock's mode has nothing to do with that of the fid: the client's system has checked
 * that where it matters, and flock() may take an exclusive lock on a file open for reading.
 *
 * One mutex guards a table. Locks are tried with it held, and files are opened without.
 */
#ifndef PROTOCOL_LOCK_H
#define PROTOCOL_LOCK_H

#include "protocol/fid.h"

typedef struct LockTable LockTable;

typedef struct LockLimits {
    unsigned max_owners; /* owners x files */
    unsigned max_ranges;
} LockLimits;

/* What a Tlock asks for. */
typedef struct Lock {
    uint64_t file; /* the path of the file's qid */
    FsLock range;
    uint32_t proc_id;
    const char *client_id;
} Lock;

/* A new table for the conversation that `fids` belongs to. `released` is called, on any thread and
 * with the mutex held, when somebody else's lock may have become possible; it must not call back. */
LockTable *lock_table_new(FidTable *fids, LockLimits limits, void (*released)(void *context),
                          void *context);

/* Frees a table. No fid may be left that a lock was taken through. */
void lock_table_free(LockTable *table);

/* Releases every lock and begins a new conversation. Requests of the old one find no lock any more
 * and get none. */
void lock_table_reset(LockTable *table, FidTable *fids);

/* Takes, changes or releases a lock through `fid`, which is open, in the conversation of `fids`.
 * Does not wait for other owners. Returns 0, -EAGAIN when somebody else holds what is in the way
 * (*in_table: an owner in this table), -ENOLCK at a limit, -EBADF when the file cannot be opened
 * as this lock needs it, -EOPNOTSUPP when the file system has no locks. */
int lock_table_set(LockTable *table, FidTable *fids, Fid *fid, const Lock *lock, bool *in_table);

/* While an owner waits for a lock it keeps its description, with or without other locks. Each
 * begin that returned 0 needs its end. Errors as of lock_table_set(). */
int lock_table_begin_wait(LockTable *table, FidTable *fids, Fid *fid, const Lock *lock);
void lock_table_end_wait(LockTable *table, FidTable *fids, const Lock *lock);

/* Finds a lock that keeps lock->proc_id from taking `lock`. *found is that one, or has the type
 * P9_LOCK_UNLOCK when there is none. When an owner in this table holds it, *client_id is a new
 * string and found->pid its proc_id; otherwise *client_id is NULL and found->pid a process of this
 * host, or 0 when that is not known. */
int lock_table_test(LockTable *table, Fid *fid, const Lock *lock, FsLock *found, char **client_id);

/* `fid` is no more: releases the locks of owners that have no other fid on its file. Also called
 * when a Fid is freed. */
void lock_table_forget_fid(LockTable *table, Fid *fid);

/* How many ranges there are. Unlike all others this never waits: a file system may let those that
 * hold the mutex wait after all. */
unsigned lock_table_n_ranges(LockTable *table);

/* How many owners and ranges there are. */
void lock_table_count(LockTable *table, unsigned *n_owners, unsigned *n_ranges);

#endif
