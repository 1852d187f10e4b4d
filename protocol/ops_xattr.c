/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on extended attributes: Txattrwalk, Txattrcreate, and what other messages do with the
 * fids that these make. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "protocol/id_xattr.h"
#include "protocol/ops.h"

enum {
    FIRST_TRY = 512, /* bytes: most values and lists are small, and the kernel clears the room */
    XATTR_NAME_LIMIT = 255,
};

G_STATIC_ASSERT((int)P9_XATTR_CREATE == (int)XATTR_CREATE &&
                (int)P9_XATTR_REPLACE == (int)XATTR_REPLACE);

/* The value of attribute `name`, or the list of all for "". Returns its size, -ERANGE when that is
 * more than `size`, or another error. */
static ssize_t get(Request *r, const char *name, void *bytes, size_t size)
{
    FsNode *node = r->fid->node;
    const FsOps *ops = node->fs->ops;

    if (!ops->getxattr)
        return -EOPNOTSUPP;
    return *name ? ops->getxattr(node, name, bytes, size, r->nowait)
                 : ops->listxattr(node, bytes, size, r->nowait);
}

/* Takes the names that only root sees out of a list. Returns its new size. The kernel would do it for
 * a user, and Linux does not do it for a list that comes from a server. */
static ssize_t hide_trusted(const Fid *fid, char *names, ssize_t size)
{
    static const char prefix[] = "trusted.";
    ssize_t kept = 0;
    ssize_t length;

    if (fid_user(fid) == 0)
        return size;
    for (ssize_t i = 0; i < size; i += length) {
        length = (ssize_t)strlen(names + i) + 1;
        if (strncmp(names + i, prefix, strlen(prefix)) == 0)
            continue;
        memmove(names + kept, names + i, (size_t)length);
        kept += length;
    }
    return size < 0 ? size : kept;
}

static int take_snapshot(Request *r, const char *name, Xattr **xattr)
{
    const ExportOptions *options = &r->session->options;
    g_autofree uint8_t *large = NULL;
    uint8_t small[FIRST_TRY + ID_XATTR_GROWTH];
    uint8_t *bytes = small;
    ssize_t size = get(r, name, bytes, FIRST_TRY);

    if (size == -ERANGE) {
        bytes = large = g_try_malloc(XATTR_MAX_VALUE + ID_XATTR_GROWTH);
        size = large ? get(r, name, bytes, XATTR_MAX_VALUE) : -ENOMEM;
    }
    if (size >= 0 && id_xattr_concerns(options, name))
        size = id_xattr_to_guest(options, name, bytes, (size_t)size);
    if (*name == '\0')
        size = hide_trusted(r->fid, (char *)bytes, size);
    return size < 0 ? (int)size
                    : xattr_new_snapshot(&r->session->xattrs, bytes, (size_t)size, xattr);
}

static Fid *new_xattr_fid(Request *r, Xattr *xattr)
{
    Fid *fid = fid_new_from(r->fid, r->fid->node, NULL, 0);

    fid->xattr = xattr;
    return fid;
}

/* Txattrwalk: newfid stands for the value as it is now, also when it changes later. */
int op_xattrwalk(Request *r)
{
    const char *name = r->t.xattrwalk.name;
    Xattr *xattr;
    int error;

    if (strlen(name) > XATTR_NAME_LIMIT)
        return -ERANGE;
    error = take_snapshot(r, name, &xattr);
    if (error)
        return error;
    request_stage_fid(r, r->t.xattrwalk.newfid, NULL, new_xattr_fid(r, xattr));
    write_u64(request_reply(r, sizeof(uint64_t)), xattr_size(xattr));
    return 0;
}

/* Txattrcreate: fid does not stand for its file any more, but for a value to be written. */
int op_xattrcreate(Request *r)
{
    const char *name = r->t.xattrcreate.name;
    uint32_t flags = r->t.xattrcreate.flags;
    uint64_t size = r->t.xattrcreate.size;
    Xattr *xattr;
    int error;

    if (r->fid->file || (flags & ~(uint32_t)(P9_XATTR_CREATE | P9_XATTR_REPLACE)))
        return -EINVAL;
    if (*name == '\0' || strlen(name) > XATTR_NAME_LIMIT)
        return -ERANGE;
    if (size > XATTR_MAX_VALUE)
        return -E2BIG;
    error = xattr_new_value(&r->session->xattrs, name, (size_t)size, (int)flags, &xattr);
    if (!error)
        request_stage_fid(r, r->t.fid, r->fid, new_xattr_fid(r, xattr));
    return error;
}

int read_xattr(Request *r)
{
    uint32_t count = MIN(r->t.io.count, r->msize - P9_RREAD_OVERHEAD);
    size_t room = MIN(count, xattr_size(r->fid->xattr));
    ByteWriter *w = request_reply(r, sizeof(uint32_t) + room);
    ssize_t got;

    if (!w)
        return -ENOMEM;
    got = xattr_read(r->fid->xattr, r->t.io.offset, w->start + P9_RREAD_OVERHEAD, room);
    if (got < 0)
        return (int)got;
    write_u32(w, (uint32_t)got);
    write_space(w, (size_t)got);
    return 0;
}

int write_xattr(Request *r)
{
    ssize_t put = xattr_write(r->fid->xattr, r->t.io.offset, r->t.io.data, r->t.io.count);

    if (put < 0)
        return (int)put;
    write_u32(request_reply(r, sizeof(uint32_t)), (uint32_t)put);
    return 0;
}

int clunk_xattr(Request *r)
{
    return xattr_store(r->fid->xattr, r->fid->node, &r->session->options, r);
}
