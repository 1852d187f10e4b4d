/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on attributes: Tgetattr, Tsetattr, Treadlink, Tstatfs. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "protocol/ops.h"

enum {
    GETATTR_SIZE = 8 + P9_QID_SIZE + 3 * 4 + 15 * 8,
    STATFS_SIZE = 2 * 4 + 6 * 8 + 4,
};

static void write_timestamp(ByteWriter *w, const struct statx_timestamp *t)
{
    write_u64(w, (uint64_t)t->tv_sec);
    write_u64(w, t->tv_nsec);
}

/* Rgetattr. st_blksize is the size of transfers that suits the client, not the disk. */
static void write_attr(ByteWriter *w, uint64_t valid, const Qid *qid, const FsAttr *attr,
                       uint32_t generation, uint32_t msize)
{
    write_u64(w, valid);
    write_qid(w, qid);
    write_u32(w, attr->stx_mode);
    write_u32(w, attr->stx_uid);
    write_u32(w, attr->stx_gid);
    write_u64(w, attr->stx_nlink);
    write_u64(w, makedev(attr->stx_rdev_major, attr->stx_rdev_minor));
    write_u64(w, attr->stx_size);
    write_u64(w, S_ISREG(attr->stx_mode) ? iounit_for_msize(msize) : attr->stx_blksize);
    write_u64(w, attr->stx_blocks);
    write_timestamp(w, &attr->stx_atime);
    write_timestamp(w, &attr->stx_mtime);
    write_timestamp(w, &attr->stx_ctime);
    write_timestamp(w, &attr->stx_btime);
    write_u64(w, generation);
    write_u64(w, 0); /* data_version: the kernel keeps its change counter to itself */
}

/* Linux asks for it, and takes a file whose generation has changed for another one. */
static bool find_generation(FsNode *node, uint64_t mask, uint32_t *generation)
{
    const FsOps *ops = node->fs->ops;

    *generation = 0;
    return (mask & P9_GETATTR_GEN) && ops->generation && ops->generation(node, generation);
}

int op_getattr(Request *r)
{
    FsNode *node = r->fid->node;
    ByteWriter *w = request_reply(r, GETATTR_SIZE);
    uint64_t mask = r->t.getattr.mask;
    uint64_t valid = mask & P9_GETATTR_BASIC;
    uint32_t generation = 0;
    FsAttr attr;
    Qid qid;
    int error;

    error = node->fs->ops->getattr(node, r->fid->file, &attr, &qid);
    if (error)
        return error;
    attr_to_guest(&r->session->options, &attr);
    if (attr.stx_mask & STATX_BTIME)
        valid |= mask & P9_GETATTR_BTIME;
    else
        attr.stx_btime = (struct statx_timestamp){0};
    if (find_generation(node, mask, &generation))
        valid |= P9_GETATTR_GEN;
    write_attr(w, valid, &qid, &attr, generation, r->msize);
    return 0;
}

static int read_time(uint64_t sec, uint64_t nsec, struct timespec *time)
{
    if (nsec >= 1000 * 1000 * 1000)
        return -EINVAL;
    time->tv_sec = (time_t)sec;
    time->tv_nsec = (long)nsec;
    return 0;
}

int op_setattr(Request *r)
{
    FsNode *node = r->fid->node;
    FsChange change = {
        .valid = r->t.setattr.valid,
        .mode = r->t.setattr.mode & 07777,
        .uid = r->t.setattr.uid,
        .gid = r->t.setattr.gid,
        .size = r->t.setattr.size,
    };
    int error = 0;

    if (change.valid & ~(uint32_t)P9_SETATTR_ALL)
        return -EINVAL;
    if (change.valid & P9_SETATTR_ATIME_SET)
        error = read_time(r->t.setattr.atime_sec, r->t.setattr.atime_nsec, &change.atime);
    if (!error && (change.valid & P9_SETATTR_MTIME_SET))
        error = read_time(r->t.setattr.mtime_sec, r->t.setattr.mtime_nsec, &change.mtime);
    change_to_host(r, &change);
    if (!error)
        error = check_change(r, &change);
    if (!error && (change.valid & (P9_SETATTR_SIZE | P9_SETATTR_MODE)) == P9_SETATTR_SIZE)
        error = drop_setid(r, node);
    return error ? error : node->fs->ops->setattr(node, r->fid->file, &change);
}

int op_readlink(Request *r)
{
    FsNode *node = r->fid->node;
    char target[PATH_MAX];
    size_t length;
    ByteWriter *w;
    int error;

    error = node->fs->ops->readlink(node, target, sizeof(target), &length);
    if (error)
        return error;
    w = request_reply(r, sizeof(uint16_t) + length);
    if (!w)
        return -ENOMEM;
    write_string(w, target, length);
    return 0;
}

int op_statfs(Request *r)
{
    FsNode *node = r->fid->node;
    ByteWriter *w = request_reply(r, STATFS_SIZE);
    struct statfs st;
    int error;

    error = node->fs->ops->statfs(node, &st);
    if (error)
        return error;
    write_u32(w, (uint32_t)st.f_type);
    write_u32(w, (uint32_t)st.f_bsize);
    write_u64(w, st.f_blocks);
    write_u64(w, st.f_bfree);
    write_u64(w, st.f_bavail);
    write_u64(w, st.f_files);
    write_u64(w, st.f_ffree);
    write_u64(w, (uint32_t)st.f_fsid.__val[0] | (uint64_t)(uint32_t)st.f_fsid.__val[1] << 32);
    write_u32(w, (uint32_t)st.f_namelen);
    return 0;
}
