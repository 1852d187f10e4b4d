/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations: what each T-message does. The table that names them all is in ops.c; the functions
 * are grouped by what they work on. Each has the shape of Op.run (request.h).
 */
#ifndef PROTOCOL_OPS_H
#define PROTOCOL_OPS_H

#include "protocol/request.h"
#include "protocol/session.h"

/* ops_session.c: the conversation itself */
int op_version(Request *r);
int op_attach(Request *r);
int op_clunk(Request *r);

/* ops_walk.c: names */
int op_walk(Request *r);
int op_mkdir(Request *r);
int op_mknod(Request *r);
int op_symlink(Request *r);
int op_link(Request *r);
int op_rename(Request *r);
int op_renameat(Request *r);
int op_unlinkat(Request *r);
int op_remove(Request *r);

/* ops_file.c: open files and directories */
int op_lopen(Request *r);
bool lopen_changes(const Request *r);
int op_lcreate(Request *r);
int op_read(Request *r);
int op_write(Request *r);
int op_fsync(Request *r);
int op_readdir(Request *r);

/* ops_open.c: opening and creating as 9P2000 and 9P2000.u have it */
int op_open(Request *r);
bool open_changes(const Request *r);
int op_create(Request *r);

/* ops_stat.c: stat records */
int op_stat(Request *r);
int op_wstat(Request *r);
bool wstat_changes(const Request *r);

/* ops_xattr.c: extended attributes. The last three are what Tread, Twrite and Tclunk do with a fid
 * that has an xattr; clunk_xattr() stores what was written, and so may wait. */
int op_xattrwalk(Request *r);
int op_xattrcreate(Request *r);
int read_xattr(Request *r);
int write_xattr(Request *r);
int clunk_xattr(Request *r);

/* ops_lock.c: locks */
int op_lock(Request *r);
int op_getlock(Request *r);
void reply_lock_status(Request *r, uint8_t status);

/* ops_attr.c: attributes */
int op_getattr(Request *r);
int op_setattr(Request *r);
int op_readlink(Request *r);
int op_statfs(Request *r);

/* The payload size that is best for transfers under `msize`: a multiple of the page size. */
uint32_t iounit_for_msize(uint32_t msize);

/* The same for a file opened with host flags `flags`. Linux never wakes a writer that found the out
 * ring full, so writes are kept to a small share of the ring: it then holds as many of them as a
 * guest has at once. */
uint32_t iounit_for_open(const Request *r, int flags);

/* Whether opening a file with the host's flags `flags` changes it, or lets it be changed. */
bool open_flags_change(int flags);

/* Writes a reply that is a qid. Returns 0. */
int reply_qid(Request *r, const Qid *qid);

/* Ends an operation that has opened `file` with host flags `flags`: answers with its qid and iounit
 * and stages the opened fid. Takes over `file`. Returns 0 or a negative errno. */
int reply_opened(Request *r, FsFile *file, int flags);

/* Takes the request's fid out of the table; the request still holds it. Locks that were taken through
 * it go now. */
void clunk_fid(Request *r);

/* Every name passes one of these before a file system sees it: it is one component, not empty,
 * without a slash and no longer than NAME_MAX. Both return 0 or the error to answer; in the name of
 * something new "." and ".." are `error_for_dots`. */
int check_name(const char *name);
int check_new_name(const char *name, int error_for_dots);

/* Removes the file that `fid` stands for. The directory that a client has attached to is its root,
 * and cannot be removed: -EBUSY. */
int remove_node(const Fid *fid);

/* Takes set-id bits of `node` away before what is in it is changed, or was: as a local file system does,
 * unless the request is root's. Returns 0 or a negative errno. */
int drop_setid(const Request *r, FsNode *node);

/* ops_ids.c: users and groups */

/* The user, in the guest, on whose behalf a fid is used: root when the attach named nobody. */
uint32_t fid_user(const Fid *fid);

/* Who owns on the host what the request creates with its fid and the guest's group `gid`. */
FsOwner request_owner(const Request *r, uint32_t gid);

/* Make the ids of what the guest asks for the host's, and those of what is so the guest's. */
void change_to_host(const Request *r, FsChange *change);
void attr_to_guest(const ExportOptions *options, FsAttr *attr);

/* Whether the guest may change its fid's file so (ids are the host's), or have one with `attr` open
 * with host flags `flags`. Return 0 or the error to answer. */
int check_change(const Request *r, const FsChange *change);
int check_open(const Request *r, const FsAttr *attr, int flags);

/* Takes out of `back`, which restores a file of the guest to `attr`, what the guest could not do. */
void limit_restored(const Request *r, const FsAttr *attr, FsChange *back);

/* Takes bits out of the mode of what the request will make in its fid's directory. */
int limit_new_mode(const Request *r, mode_t *mode);

#endif
