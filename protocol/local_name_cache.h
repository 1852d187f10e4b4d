/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: what names led to lately, so that most steps of a walk open nothing.
 *
 * An entry only says what to look for. A step finds out what its name is now, with one statx(), and
 * uses the node that is kept when it is that: its descriptor keeps the inode from becoming another
 * one's, so the same device, inode and mount are the same file. Nothing here has to be told of changes.
 *
 * A descriptor also stands for the name by which it was opened, which Tremove, Twstat and Tstat need.
 * A directory has no other; a file that was changed in any way, so also linked or renamed, is opened
 * again. Time stamps tell, once they are too old to be those of another change.
 *
 * A file that somebody removes takes its room for as long as it is kept: that is until a session
 * rests, every few seconds, and not at all when it was removed through this server. Only what is looked at without waiting for
 * another machine is kept; for the disk a step may wait when somebody else has just changed the name. When descriptors become scarce, these are the first to go.
 */
#ifndef PROTOCOL_LOCAL_NAME_CACHE_H
#define PROTOCOL_LOCAL_NAME_CACHE_H

#include "protocol/local_internal.h"

LocalNameCache *local_name_cache_new(void);
void local_name_cache_free(LocalNameCache *cache); /* NULL is allowed */

/* The node that `name` in `dir`, which is held, leads to now, if it is kept; *qid receives what it
 * is. Returns a reference, or NULL. */
FsNode *local_name_cache_find(LocalNameCache *cache, const LocalNode *dir, const char *name,
                              bool nowait, Qid *qid);

/* Keeps `node`, which was just made, and to which `name` in `dir` leads. */
void local_name_cache_add(LocalNameCache *cache, const LocalNode *dir, const char *name,
                          FsNode *node);

/* Lets go of what is kept under `name`, in whatever directory: one of these is about to be removed. */
void local_name_cache_drop(LocalNameCache *cache, const char *name);

/* Lets go of all. */
void local_name_cache_clear(LocalNameCache *cache);

#endif
