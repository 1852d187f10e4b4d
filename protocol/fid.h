/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fids: the client's numbers for files, and the table of one session.
 *
 * A fid is immutable and reference-counted: what changes is the table. An operation that opens or
 * moves a fid makes a new Fid and puts it in the old one's place when it has succeeded; one that
 * failed or was cancelled leaves the table as it was. A request that still runs on a replaced or
 * clunked fid keeps it alive. Only what follows a fid to its end is noted in it: its locks, and that
 * it was clunked.
 *
 * The table is reference-counted too: Tversion gives the session a new one, and requests of the
 * time before finish against the old one, unseen.
 */
#ifndef PROTOCOL_FID_H
#define PROTOCOL_FID_H

#include "protocol/xattr.h"

typedef struct DirStream DirStream; /* dir_stream.h */

typedef struct Fid {
    gatomicrefcount refs;
    uint32_t uid; /* n_uname of the attach it descends from: the guest's number */
    FsNode *top;  /* the directory of that attach, where ".." ends; NULL: the root of the tree */
    FsNode *node;
    FsFile *file; /* NULL unless open */
    int flags;    /* host open flags, when open */

    /* Of a fid opened by Topen or Tcreate; set before the fid is staged. */
    DirStream *stream;    /* of a directory: what Tread reads; NULL for others */
    bool remove_on_clunk; /* opened with P9_ORCLOSE */

    bool attached; /* made by Tattach; set before the fid is staged */

    Xattr *xattr; /* of a fid made by Txattrwalk or Txattrcreate; set before the fid is staged */

    struct LockTable *locks; /* atomic: where locks were taken through it; NULL: none ever were */
    uint64_t lock_file;      /* and on which file; set before */
    gint lock_waits;         /* atomic: how many Tlocks wait */
    gint clunked;            /* atomic */
} Fid;

typedef struct FidTable FidTable;

/* A new fid for `node` (and `file`, or NULL), owned by user `uid`; takes a reference on each. */
Fid *fid_new(uint32_t uid, FsNode *node, FsFile *file, int flags);

/* The same, in the name of `from`: for its user, and with its root. */
Fid *fid_new_from(const Fid *from, FsNode *node, FsFile *file, int flags);

/* Whether the fid stands for the directory below the root that its client has attached to. As long
 * as it does, fid->node is fid->top itself. */
bool fid_is_top(const Fid *fid);

Fid *fid_ref(Fid *fid);
void fid_unref(Fid *fid); /* NULL is allowed */

/* A new table with one reference, which holds at most `max_fids`. */
FidTable *fid_table_new(unsigned max_fids);
FidTable *fid_table_ref(FidTable *table);
void fid_table_unref(FidTable *table); /* the last one lets go of every fid */

/* The fid numbered `id`, with a reference for the caller, or NULL. */
Fid *fid_table_get(FidTable *table, uint32_t id);

/* Enters `fid` as `id`, taking a reference. `expected` is what must be there now: NULL for a new
 * number. Returns 0, -EINVAL for P9_NOFID, -EBADF when something else is there, -ENFILE when the
 * table is full. */
int fid_table_put(FidTable *table, uint32_t id, Fid *expected, Fid *fid);

/* Takes `id` out. Returns the fid with the table's reference, now the caller's, or NULL. */
Fid *fid_table_take(FidTable *table, uint32_t id);

/* Takes out all fids, in the same way: a new array, of references that are the caller's. */
GPtrArray *fid_table_take_all(FidTable *table);

unsigned fid_table_count(FidTable *table);

/* How many of the fids Tattach has made, and how many stand for open regular files. */
unsigned fid_table_count_attached(FidTable *table);
unsigned fid_table_count_open(FidTable *table);

/* The numbers of all fids, as they are at some time during the call: a new array of uint32_t. */
GArray *fid_table_list(FidTable *table);

/* Has `look` look at the fid numbered `id`, with a lock held: it must not wait, nor call back. Unlike
 * a reference, which may turn out to be the last, this never leaves the caller with a file to close.
 * Returns false when there is no such fid. */
bool fid_table_peek(FidTable *table, uint32_t id, void (*look)(const Fid *fid, void *context),
                    void *context);

#endif
