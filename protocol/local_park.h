/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: descriptors that are scarce; see local_internal.h.
 *
 * Nodes, open files and a few others hold descriptors, and each counts against one limit of the
 * device. As long as there are plenty, that is all that happens. When seven eighths are in use, a
 * thread takes the descriptors of nodes away that nobody has used for a while, those used longest ago
 * first, and the keeper (keeper.h) remembers their handles. The next request for such a node
 * brings its descriptor back (fs_node_hold(), local_recall()). Without a keeper, or where nothing can be
 * put away, the limit is ENFILE.
 *
 * A node whose file has no name any more keeps its descriptor: nothing else keeps the file. What
 * is about to lose its last name through this server, while nodes of it are away, gets a descriptor
 * first that stands in for all of these: the anchor. A file that somebody else removes while all
 * its nodes are away is gone for them: ESTALE.
 *
 * A handle leads to a file but not to its name, which Tremove, Twstat, Tstat and the format
 * mapped-file need. So the directory and the name are remembered too. They are tried first, count
 * only when they lead to the same file, and follow what is renamed through this server.
 */
#ifndef PROTOCOL_LOCAL_PARK_H
#define PROTOCOL_LOCAL_PARK_H

#include "protocol/local_internal.h"

/* Counts descriptors for `fs`, whose options and root are known. */
void local_park_begin(LocalFs *fs);
void local_park_end(LocalFs *fs);

/* Counts a descriptor that is, or will be, held for long. Waits for one to be put away; with `nowait`
 * that is -EAGAIN. -ENFILE: there are too many. */
int local_claim(LocalFs *fs, bool nowait);
void local_unclaim(LocalFs *fs);

/* Whether descriptors may be held for what only saves time. */
bool local_has_plenty(const LocalFs *fs);

/* FsOps. */
int local_recall(FsNode *node, bool nowait);
void local_settle(FsNode *node);

/* The node's last reference is gone: closes its descriptor and frees it, now or soon. */
void local_park_free_node(LocalNode *node);

/* A file has been opened, or is about to be closed. Its descriptor leads to its node's file, whatever
 * becomes of the keeper. */
void local_park_add_open(LocalFile *file);
void local_park_remove_open(LocalFile *file);

/* Before and after a change that takes the name `lost` away from whatever has it. Returns 0, or an
 * error after which there is no after. Does not nest. */
int local_park_begin_change(LocalFs *fs, LocalName lost);
void local_park_end_change(LocalFs *fs);

/* In between: what was renamed is called `to` now. */
void local_park_renamed(LocalFs *fs, LocalName to);

/* The error, as it goes to the guest, of a call that could not open a file for `error` (an errno). */
int local_open_error(int error);

#endif
