/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: the file system that serves a directory of this host (an export).
 *
 * A node holds a descriptor, most of the time an O_PATH one, and never a path: it follows its file
 * through renames and survives its removal, whoever did that. Names are only ever resolved as a
 * single component below a descriptor, without following symbolic links, so that nothing a guest
 * says leads out of the export. Only regular files and directories are ever opened for I/O.
 */
#ifndef PROTOCOL_LOCAL_H
#define PROTOCOL_LOCAL_H

#include "protocol/export_options.h"
#include "protocol/fs.h"
#include "protocol/quota.h"

/* Opens the export at the absolute path `path`. Sets process-wide state (umask, and securebits
 * that keep capabilities while a thread creates files for other users), so it is called before
 * other threads are started. Returns 0 and the file system, or a negative errno with *why a static
 * text that says which step failed. */
int local_fs_new(const char *path, const ExportOptions *options, Fs **fs, const char **why);

/* Starts the process by which descriptors that are scarce are put away; see local_park.h. Called at
 * most once, while this process has one thread and still has the right to open by handle. Returns 0, or a
 * negative errno: then max-descriptors is how many files there can be. */
int local_fs_start_keeper(Fs *fs);

/* The descriptor of the export's root, which the file system keeps. When the system allowed it, it
 * is the root of a detached mount of its own, with what is mounted below: see open_tree(2). */
int local_fs_root(const Fs *fs);

/* What its limits know; NULL for an export without limits. */
Quota *local_fs_quota(const Fs *fs);

/* Frees a file system none of whose nodes is left. */
void local_fs_free(Fs *fs);

#endif
