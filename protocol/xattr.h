/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Xattr: what stands behind a fid that Txattrwalk or Txattrcreate made.
 *
 * It is either a snapshot, the value of one attribute or the list of all names as it was at the
 * walk, which Tread reads; or a value that Twrite puts together and that is stored when the fid is
 * clunked. It belongs to its Fid, which does not change; the bytes being written have a lock of
 * their own. Any thread may call.
 */
#ifndef PROTOCOL_XATTR_H
#define PROTOCOL_XATTR_H

#include "protocol/export_options.h"
#include "protocol/fs.h"

enum { XATTR_MAX_VALUE = 64 * 1024 }; /* and the longest list; Linux has the same limits */

/* How many of them a session has, and how many bytes these hold. */
typedef struct XattrQuota {
    unsigned max_count;
    size_t max_bytes;
    gint count;  /* atomic */
    gsize bytes; /* atomic */
} XattrQuota;

typedef struct Xattr Xattr;

/* A snapshot of `size` bytes, which are copied. Returns 0 and the new object, -ENOSPC when the
 * quota is used up, or -ENOMEM. `quota` must outlive the object. */
int xattr_new_snapshot(XattrQuota *quota, const void *bytes, size_t size, Xattr **xattr);

/* An attribute `name` of `size` bytes to be written; `flags` as for setxattr(2). Returns likewise. */
int xattr_new_value(XattrQuota *quota, const char *name, size_t size, int flags, Xattr **xattr);

void xattr_free(Xattr *xattr); /* NULL is allowed */

size_t xattr_size(const Xattr *xattr);

/* Copies at most `count` bytes from `offset` on. Returns how many: 0 at the end, or -EBADF when
 * this is not a snapshot. */
ssize_t xattr_read(Xattr *xattr, uint64_t offset, void *bytes, size_t count);

/* Takes bytes of the value. Returns how many: less than `count` at the end of the announced size,
 * -ENOSPC behind it, -EBADF for a snapshot or once the value is being stored. */
ssize_t xattr_write(Xattr *xattr, uint64_t offset, const void *bytes, size_t count);

/* True for a value that is still to be stored. */
bool xattr_is_pending(Xattr *xattr);

/* Gives the finished value to `node`, of an export served with `options`. Returns -EINVAL when not
 * every byte was written, or ids in it cannot be translated. Linux sends
 * the removal of an attribute as the replacement by no bytes, so that is what this means; no bytes
 * with other flags are an empty value. `by` says who stores: it may try again, while others find
 * that there is nothing to do. */
int xattr_store(Xattr *xattr, FsNode *node, const ExportOptions *options, const void *by);

#endif
