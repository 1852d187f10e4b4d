/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users and groups at the edge of the file system: what is in messages and in fids are the guest's,
 * what Fs takes and returns are the host's, whatever the security model then makes of them.
 *
 * Every id of the guest becomes one of its map's, so no message gives a file to another user of the
 * host: not even back, when a change fails half-way. One way would be left to act as such a user: to
 * put something into a file that is that user's already and that runs as its owner. So where there is
 * a map, no guest sets the set-id bits of a file whose owner or group is not its own, nor opens one
 * that has them for writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "protocol/id_map.h"
#include "protocol/ops.h"

static const ExportOptions *options_of(const Request *r)
{
    return &r->session->options;
}

static bool has_map(const ExportOptions *o)
{
    return o->users.n_ranges > 0 || o->groups.n_ranges > 0;
}

uint32_t fid_user(const Fid *fid)
{
    return fid->uid == P9_NOUSER ? 0 : fid->uid;
}

FsOwner request_owner(const Request *r, uint32_t gid)
{
    const ExportOptions *o = options_of(r);

    return (FsOwner){.uid = id_map_to_host(&o->users, fid_user(r->fid)),
                     .gid = id_map_to_host(&o->groups, gid)};
}

void change_to_host(const Request *r, FsChange *change)
{
    const ExportOptions *o = options_of(r);

    change->uid = id_map_to_host(&o->users, change->uid);
    change->gid = id_map_to_host(&o->groups, change->gid);
}

void attr_to_guest(const ExportOptions *o, FsAttr *attr)
{
    attr->stx_uid = id_map_to_guest(&o->users, attr->stx_uid);
    attr->stx_gid = id_map_to_guest(&o->groups, attr->stx_gid);
}

/* Whether set-id bits in `mode` would let a file of this owner run as somebody who is not the
 * guest's. For a directory they say something else. */
static bool is_foreign(const ExportOptions *o, mode_t mode, uint32_t uid, uint32_t gid)
{
    if (S_ISDIR(mode))
        return false;
    return ((mode & S_ISUID) && !id_map_owns(&o->users, uid)) ||
           ((mode & S_ISGID) && !id_map_owns(&o->groups, gid));
}

/* What an id is after a change that may set it. */
static uint32_t id_after(const FsChange *change, uint32_t bit, uint32_t new, uint32_t now)
{
    return (change->valid & bit) && new != ID_NONE ? new : now;
}

/* To touch the time of change alone may mean to set the mode that there is once more. */
int check_change(const Request *r, const FsChange *change)
{
    const ExportOptions *o = options_of(r);
    FsNode *node = r->fid->node;
    bool touches = change->valid == P9_SETATTR_CTIME;
    bool sets = (change->valid & P9_SETATTR_MODE) && (change->mode & (S_ISUID | S_ISGID));
    uint32_t uid, gid;
    FsAttr attr;
    int error;

    if (!has_map(o) || !(touches || sets))
        return 0;
    error = node->fs->ops->getattr(node, r->fid->file, &attr, NULL);
    if (error)
        return error;
    uid = id_after(change, P9_SETATTR_UID, change->uid, attr.stx_uid);
    gid = id_after(change, P9_SETATTR_GID, change->gid, attr.stx_gid);
    return is_foreign(o, sets ? node->type | change->mode : attr.stx_mode, uid, gid) ? -EPERM : 0;
}

void limit_restored(const Request *r, const FsAttr *attr, FsChange *back)
{
    const ExportOptions *o = options_of(r);

    if (!id_map_owns(&o->users, attr->stx_uid))
        back->valid &= ~(uint32_t)P9_SETATTR_UID;
    if (!id_map_owns(&o->groups, attr->stx_gid))
        back->valid &= ~(uint32_t)P9_SETATTR_GID;
    if (is_foreign(o, attr->stx_mode, attr->stx_uid, attr->stx_gid))
        back->mode &= ~(mode_t)(S_ISUID | S_ISGID);
}

int check_open(const Request *r, const FsAttr *attr, int flags)
{
    const ExportOptions *o = options_of(r);

    if (!has_map(o) || (flags & O_ACCMODE) == O_RDONLY)
        return 0;
    return is_foreign(o, attr->stx_mode, attr->stx_uid, attr->stx_gid) ? -EPERM : 0;
}

/* A new file may get its directory's group. */
int limit_new_mode(const Request *r, mode_t *mode)
{
    const ExportOptions *o = options_of(r);
    FsNode *dir = r->fid->node;
    FsAttr attr;
    int error;

    if (!has_map(o) || !(*mode & S_ISGID))
        return 0;
    error = dir->fs->ops->getattr(dir, r->fid->file, &attr, NULL);
    if (!error && !id_map_owns(&o->groups, attr.stx_gid))
        *mode &= ~(mode_t)S_ISGID;
    return error;
}
