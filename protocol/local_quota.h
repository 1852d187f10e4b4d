/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local, limits: what the files local_quota.c, local_count.c and local_reclaim.c share.
 *
 * An export with limits has a table of operations of its own: each does what the plain one does and
 * tells the Quota (quota.h) about it. One without limits has nothing of all this.
 */
#ifndef PROTOCOL_LOCAL_QUOTA_H
#define PROTOCOL_LOCAL_QUOTA_H

#include "common/log.h"
#include "protocol/local_internal.h"

/* Files that may be deleted to make room, oldest first, as the last count found them. */
typedef struct LocalReclaim {
    pthread_mutex_t lock; /* held while one is chosen and deleted; guards: */
    GSequence *oldest;    /* Candidate */
    LogLimit log_limit;
} LocalReclaim;

struct LocalQuota {
    Quota *quota;
    FsOps ops;
    uint64_t block; /* what space is allocated in, in bytes; a power of two */
    LocalReclaim reclaim;
    pthread_mutex_t thread_lock; /* guards: */
    bool has_thread;
    pthread_t thread; /* counts */
};

static inline Quota *quota_of(const FsNode *node)
{
    return local_fs(node)->quota->quota;
}

static inline QuotaInode *inode_of(const FsNode *node)
{
    return ((const LocalNode *)node)->quota;
}

static inline void lock_order(FsNode *node)
{
    pthread_mutex_lock(&inode_of(node)->order);
}

static inline void unlock_order(FsNode *node)
{
    pthread_mutex_unlock(&inode_of(node)->order);
}

/* local_quota.c */

/* Gives the export its limits, if it has any, and ends them. */
void local_quota_begin(LocalFs *fs);
void local_quota_end(LocalFs *fs);

/* quota_mark(); 0 where nothing is counted. */
uint64_t local_quota_mark(const LocalFs *fs);

/* Pins a new node, if the tree is counted. `attr` was looked at after `mark`, and is again when that
 * has moved. Returns 0 or a negative errno. */
int local_quota_pin(LocalNode *node, uint64_t mark, bool nowait, FsAttr *attr);

/* Bytes in whole blocks. What is rounded up is below 2^63. */
uint64_t local_round_down(const LocalFs *fs, uint64_t bytes);
uint64_t local_round_up(const LocalFs *fs, uint64_t bytes);

/* After a claim of so much gave `error`: waits or makes room. Returns 0 when it is worth trying
 * again, else what to answer. *doubted, false at first, keeps in mind that the count was doubted:
 * once is enough for a claim. */
int local_quota_mend_claim(LocalFs *fs, uint64_t files, uint64_t bytes, int error, bool *doubted);

/* What an inode counts as; `fd` is any descriptor on its device. */
uint64_t local_quota_charge(LocalFs *fs, int fd, const FsAttr *attr);

/* Notices what became of a node whose name was removed. Returns true when it has none any more. */
bool local_quota_settle_removed(FsNode *node);

/* Measures a node anew. */
void local_quota_settle(FsNode *node);

/* local_quota_write.c: FsOps.write. */
ssize_t local_quota_write(FsFile *file, const void *data, size_t size, uint64_t offset);

/* local_count.c: the thread that counts, whenever the quota wants it. */
void *local_count_run(void *fs);

/* local_reclaim.c */
void local_reclaim_init(LocalReclaim *reclaim);
void local_reclaim_deinit(LocalReclaim *reclaim);

/* Of a count: a list, what belongs into it, and the end, which makes it the one that is used. Adding
 * returns false when the list was full and so something, not necessarily this, was left out. */
GSequence *local_reclaim_new_list(void);
bool local_reclaim_add(GSequence *list, const char *path, const FsAttr *attr);
void local_reclaim_use_list(LocalReclaim *reclaim, GSequence *list);

/* Deletes the oldest file that is not open, unless there is room for so much by now. Returns 0 when
 * it is worth trying again, -ENOSPC when there is nothing to delete, -EINTR or -ESHUTDOWN. */
int local_reclaim_make_room(LocalFs *fs, uint64_t files, uint64_t bytes);

#endif
