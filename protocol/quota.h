/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quota: how much the tree of an export holds, and whether more fits. It touches no file: the local
 * file system tells it what happens (local_quota.c), and a thread counts what is there
 * (local_count.c).
 *
 * What counts
 *   Files are inodes: regular files, directories, symlinks, special files, each once however many
 *   names it has. The root of the export is none: the limits are about what is below.
 *   Space is what du(1) shows, the allocated blocks, of directories and symlinks too. There is one
 *   difference: blocks that a file system has set aside behind the end of a regular file (XFS does
 *   this to files that grow) do not count. So holes are free, overwriting is free, and a guest has
 *   no way to allocate what is not counted: names cost the space of their directory, and 9P has no
 *   fallocate. On ext4, XFS, btrfs, f2fs and tmpfs the blocks that fstat(2) tells include what is
 *   not on the disk yet. Where that is not known (network file systems, ZFS, FUSE) a regular file
 *   counts as its size. Extended attributes do not count.
 *   An inode without a name is no file any more, but its space counts as long as something in the
 *   guest refers to it and so keeps it allocated.
 *
 * How the limits hold
 *   What may grow the tree first claims the most that it can take, and gives the claim back when
 *   the real growth has been measured and counted. Files, space and claims together never pass a
 *   limit, whoever runs at the same time. (Blocks of a file system's own, such as those of extents,
 *   and what it had set aside where a file is then made longer, are seen when they are measured: a
 *   limit can be passed by these once, and nothing grows after that.)
 *
 * How the count is kept
 *   An inode that anything is held of is pinned: it has one QuotaInode, whose charge is what of the
 *   count is its own. Measuring replaces the charge, so that errors do not add up, and of several
 *   measurements the one that began last wins. What is not pinned is not changed by us.
 *   A set holds the inodes that are in the count. Pinning one that is not puts it in: somebody else
 *   has made it. So the count is right about all that the guest touches, and other daemons and the
 *   processes of this domain make it wrong only by what they do to inodes that are counted already,
 *   or that the guest does not touch. That is mended by counting anew: when the device connects,
 *   and before something is refused, unless the last count is younger than a minute or twenty times
 *   what it took.
 *
 * Counting goes on beside the guest's work, into a second count that becomes the first at the end.
 *   What is pinned is put into both, and changes go to both, so it makes no difference whether the
 *   counting thread comes before or after. What it looks at may change, or be replaced, before it is
 *   entered: every end of a pin under which something changed moves a mark, and what was looked at
 *   before is then looked at again. A directory that is moved may be missed: the tree is then walked
 *   once more, into the same set.
 *   Until the first count is there nobody knows what fits. What would grow the tree waits for it,
 *   what does not (reading, overwriting, truncating, removing) goes on. The wait can be interrupted
 *   by a signal. Only threads of a pool may wait.
 *
 * Errors: -ENOSPC at a limit of files or space, which is what programs know how to handle; -EMFILE
 * at that of open files. Open files are regular files, and each opening counts: directories, which
 * guests keep open while they list them, would fill up a small limit.
 *
 * One mutex guards everything, for a few instructions. Any thread may call anything.
 */
#ifndef PROTOCOL_QUOTA_H
#define PROTOCOL_QUOTA_H

#include <pthread.h>

#include "protocol/export_options.h"

typedef struct Quota Quota;

/* A pinned inode. Only `order` is for others: of a directory, it is held while names in it change;
 * of a file, while it is truncated, and while what a write can take is found out from its holes. A
 * directory's comes before a file's, and that of the directory at the lower address first. */
typedef struct QuotaInode {
    pthread_mutex_t order;
    uint64_t device;
    uint64_t inode;
    unsigned pins;
    unsigned opens;   /* regular files: how often it is open */
    uint64_t charge;  /* bytes of the count that are its own */
    uint64_t asked;   /* the last measurement that began, */
    uint64_t applied; /* and the last one that counted */
    bool gone;        /* it has no name any more */
    bool changed;
} QuotaInode;

/* What the tree holds. */
typedef struct QuotaUse {
    uint64_t files;
    uint64_t bytes;
} QuotaUse;

/* The root is what the count begins with. */
Quota *quota_new(const QuotaOptions *options, uint64_t root_device, uint64_t root_inode);

/* Frees a quota of which nothing is pinned or claimed and in which nobody waits. */
void quota_free(Quota *quota); /* NULL is allowed */

/* Ends all waiting, now and later, with -ESHUTDOWN, and counting. */
void quota_stop(Quota *quota);

/* Whether there is a limit that the tree has to be counted for; and the one of space. */
bool quota_counts(const Quota *quota);
bool quota_counts_space(const Quota *quota);
const QuotaOptions *quota_options(const Quota *quota);

/*
 * Inodes
 */

/* Where the mark is. Taken before an inode is looked at that may not be pinned. */
uint64_t quota_mark(Quota *quota);

/* Pins the inode, whose charge was `charge` when it was looked at after `mark`. Returns NULL when it
 * has to be looked at again. */
QuotaInode *quota_pin(Quota *quota, uint64_t device, uint64_t inode, uint64_t charge,
                      uint64_t mark);
void quota_unpin(Quota *quota, QuotaInode *inode); /* before its descriptor is closed */

/* Counts an inode that was just made, while the order of its directory is held. */
void quota_note(Quota *quota, uint64_t device, uint64_t inode, uint64_t charge);

/* A measurement: begun, then the inode is looked at, then the charge that it has now. */
uint64_t quota_begin_measure(Quota *quota, QuotaInode *inode);
void quota_end_measure(Quota *quota, QuotaInode *inode, uint64_t ticket, uint64_t charge);

/* The inode's last name was removed. Once is enough, more are harmless. */
void quota_set_gone(Quota *quota, QuotaInode *inode);

/* What of the count is the inode's. */
uint64_t quota_charge(Quota *quota, QuotaInode *inode);

/* Whether somebody else has pinned the inode too. */
bool quota_is_shared(Quota *quota, QuotaInode *inode);

/* Keeps an inode from being deleted to make room. */
void quota_hold(Quota *quota, QuotaInode *inode);
void quota_let_go(Quota *quota, QuotaInode *inode);
bool quota_is_held(Quota *quota, uint64_t device, uint64_t inode);

/* Whether the inode is in the count, wherever it is. */
bool quota_has(Quota *quota, uint64_t device, uint64_t inode);

/* Counts an open file. Returns 0 or -EMFILE. */
int quota_add_open(Quota *quota);
void quota_remove_open(Quota *quota);

/*
 * Room
 */

/* Claims room. Returns 0, -ENOSPC, or -EAGAIN while nobody knows. */
int quota_claim(Quota *quota, uint64_t files, uint64_t bytes);
void quota_unclaim(Quota *quota, uint64_t files, uint64_t bytes);

/* Whether so much fits now, and whether it would fit into an empty tree. */
bool quota_has_room(Quota *quota, uint64_t files, uint64_t bytes);
bool quota_can_fit(const Quota *quota, uint64_t files, uint64_t bytes);

/* How many bytes fit now. */
uint64_t quota_room(Quota *quota);

/* What the tree holds, as far as it is known. */
QuotaUse quota_use(Quota *quota);

/* What is known now. */
typedef struct QuotaStatus {
    QuotaUse use;
    uint64_t n_open;
    bool known;    /* the tree has been counted */
    bool counting; /* and is just being counted, for the first time or again */
} QuotaStatus;

QuotaStatus quota_status(Quota *quota);

/*
 * Counting
 */

/* Waits for the first count. Returns 0, -EINTR or -ESHUTDOWN. */
int quota_wait_counted(Quota *quota);

/* Why the tree should be counted again. */
typedef enum QuotaReason {
    QUOTA_DOUBT,  /* something is about to be refused */
    QUOTA_MOVED,  /* a file that is to be deleted is elsewhere */
    QUOTA_SEARCH, /* no file is known that can be deleted */
} QuotaReason;

/* Has the tree counted anew, beginning after this call, and waits for the end, if that is worth it.
 * Returns 0, -EALREADY when it is not, -EINTR or -ESHUTDOWN. */
int quota_recount(Quota *quota, QuotaReason reason);

/* A count may find other files to delete than before. */
void quota_note_change(Quota *quota);

/* A file that the last count has found was deleted. Until one was, a list of which nothing could be
 * deleted is not asked for again. */
void quota_note_deletion(Quota *quota);

/* How old a count must be before something that is refused is worth another, and how many times
 * what the last one took; for tests. */
void quota_set_recount_age(Quota *quota, unsigned msec, unsigned factor);

/* For the counting thread. Waits until a count is wanted; false at the end. */
bool quota_await_count(Quota *quota);
void quota_begin_count(Quota *quota);

/* Enters an inode that was looked at after `mark`. Returns false when that has to be done again. */
bool quota_count_inode(Quota *quota, uint64_t device, uint64_t inode, uint64_t charge,
                       uint64_t mark);

/* A directory was moved: another walk is needed. Any thread; nothing happens when none counts. */
void quota_disturb(Quota *quota);

/* Whether a walk was disturbed since the last call. */
bool quota_was_disturbed(Quota *quota);

/* The count is complete, or as complete as it will become. `truncated`: it has found more files that
 * can be deleted than it remembers. */
void quota_end_count(Quota *quota, bool truncated);
bool quota_is_stopping(const Quota *quota);

/* How many inodes counting has looked at in all. */
uint64_t quota_n_looked_at(Quota *quota);

#endif
