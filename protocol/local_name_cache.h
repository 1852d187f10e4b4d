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
 * Nodes that are kept belong to no fid, and so are never put away (local_park.h): a fid gets one of its
 * own, with a copy of the descriptor. Those of file systems that are mounted below the export are not
 * kept, which would be busy then; nor those of exports where more belongs to a node, or where to look at
 * one means to wait for another machine.
 *
 * A file that somebody removes takes its room for as long as it is kept. All are let go of when a
 * session rests, every few seconds, by a thread that may wait; and when descriptors become scarce.
 *
 * With `nowait` the look-up of a name that was kept may wait after all, once, when somebody else has
 * just changed that name: for the disk, and for whoever is changing the directory.
 */
#ifndef PROTOCOL_LOCAL_NAME_CACHE_H
#define PROTOCOL_LOCAL_NAME_CACHE_H

#include "protocol/local_internal.h"

/* For the mount `mount` (stx_mnt_id) only, on which looking does not wait for another machine. */
LocalNameCache *local_name_cache_new(uint64_t mount);
void local_name_cache_free(LocalNameCache *cache); /* NULL is allowed */

/* The node that `name` in `dir` leads to now, if it is kept; *attr receives what it is. Returns a
 * reference, or NULL. */
FsNode *local_name_cache_find(LocalNameCache *cache, const LocalNode *dir, const char *name,
                              bool nowait, FsAttr *attr);

/* Whether `node`, which was made after `opened` (seconds of the clock), can be kept as `name`. */
bool local_name_cache_wants(LocalNameCache *cache, const char *name, const LocalNode *node,
                            time_t opened);

/* Keeps `node`, to which `name` in `dir` leads, and which is no fid's; if there is room. */
void local_name_cache_add(LocalNameCache *cache, const LocalNode *dir, const char *name,
                          FsNode *node);

/* Lets go of what is kept under `name`, in whatever directory: one of these was removed or renamed. */
void local_name_cache_drop(LocalNameCache *cache, const char *name);

/* Lets go of all. With `nowait` that is -EAGAIN if there is any. */
int local_name_cache_clear(LocalNameCache *cache, bool nowait);

#endif
