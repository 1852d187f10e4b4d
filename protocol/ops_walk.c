/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on names: walking, making, moving and removing them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "protocol/ops.h"

static int check_removed_name(const char *name)
{
    if (strcmp(name, ".") == 0)
        return -EINVAL;
    return strcmp(name, "..") == 0 ? -ENOTEMPTY : check_name(name);
}

/* Counts the names that can be walked at all. Returns the error of the first that cannot. */
static int count_valid_names(const Request *r, unsigned *n)
{
    for (*n = 0; *n < r->t.walk.n_names; ++*n) {
        int error = check_name(r->t.walk.names[*n]);
        if (error)
            return error;
    }
    return 0;
}

static void write_walked(ByteWriter *w, const Qid *qids, unsigned n)
{
    write_u16(w, (uint16_t)n);
    for (unsigned i = 0; i < n; i++)
        write_qid(w, &qids[i]);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* True when the `n` names may come to the top of a fid that has one of its own. */
static bool may_reach_top(const Request *r, unsigned n)
{
    for (unsigned i = 0; r->fid->top && i < n; i++) {
        if (is_dots(r->t.walk.names[i]))
            return true;
    }
    return false;
}

/* One step of a walk below `top`: it ends at the top's own node when it comes there. */
static int step_below_top(FsNode *top, const Qid *top_qid, FsNode *at, char *name, bool nowait,
                          FsNode **next, Qid *qid)
{
    unsigned n_walked;
    int error;

    if (at == top && is_dots(name)) {
        *next = fs_node_ref(top);
        *qid = *top_qid;
        return 0;
    }
    error = at->fs->ops->walk(at, 1, &name, nowait, next, qid, &n_walked);
    if (!error && qid->path == top_qid->path) {
        fs_node_unref(*next);
        *next = fs_node_ref(top);
    }
    return error;
}

/* As FsOps.walk, for a client whose root is another directory than the file system's. */
static int walk_below_top(Request *r, FsNode *from, unsigned n, FsNode **node, Qid *qids,
                          unsigned *n_walked)
{
    FsNode *top = r->fid->top;
    FsNode *at = fs_node_ref(from);
    FsNode *next;
    Qid top_qid;
    int error = top->fs->ops->getattr(top, NULL, NULL, &top_qid);

    *n_walked = 0;
    while (!error && *n_walked < n) {
        error = step_below_top(top, &top_qid, at, r->t.walk.names[*n_walked], r->nowait, &next,
                               &qids[*n_walked]);
        if (error)
            break;
        fs_node_unref(at);
        at = next;
        ++*n_walked;
    }
    *node = error ? NULL : fs_node_ref(at);
    fs_node_unref(at);
    return *n_walked == 0 || error == -EAGAIN || error == -EINTR ? error : 0;
}

/* Walks the `n` valid names of the message. On complete success *node is where they lead. */
static int walk_names(Request *r, FsNode *from, unsigned n, FsNode **node, Qid *qids,
                      unsigned *n_walked)
{
    int error;

    if (r->t.walk.n_names == 0) {
        *node = fs_node_ref(from);
        return 0;
    }
    if (may_reach_top(r, n))
        error = walk_below_top(r, from, n, node, qids, n_walked);
    else
        error = from->fs->ops->walk(from, n, r->t.walk.names, r->nowait, node, qids, n_walked);
    if (!error && *node && n < r->t.walk.n_names) { /* an invalid name comes next */
        fs_node_unref(*node);
        *node = NULL;
    }
    return error;
}

/* Twalk: a walk that fails later than at its first name tells how far it came, and changes nothing.
 * fid == newfid moves an unopened fid. Without names it clones, also an open fid. */
int op_walk(Request *r)
{
    Fid *fid = r->fid;
    bool moves = r->t.walk.newfid == r->t.fid;
    ByteWriter *w = request_reply(r, sizeof(uint16_t) + P9_MAX_WALK * P9_QID_SIZE);
    FsNode *node = NULL;
    Qid qids[P9_MAX_WALK];
    unsigned n, n_walked = 0;
    int error;

    if (moves && fid->file)
        return -EINVAL;
    error = count_valid_names(r, &n);
    if (error && n == 0)
        return error;
    error = walk_names(r, fid->node, n, &node, qids, &n_walked);
    if (error)
        return error;
    if (node)
        request_stage_fid(r, r->t.walk.newfid, moves ? fid : NULL,
                          fid_new_from(fid, node, NULL, 0));
    fs_node_unref(node);
    write_walked(w, qids, n_walked);
    return 0;
}

int op_mkdir(Request *r)
{
    FsNode *dir = r->fid->node;
    const char *name = r->t.lcreate.name;
    FsOwner owner = request_owner(r, r->t.lcreate.gid);
    Qid qid;
    int error = check_new_name(name, -EEXIST);

    if (!error)
        error = dir->fs->ops->mkdir(dir, name, r->t.lcreate.mode & 07777, owner, &qid);
    return error ? error : reply_qid(r, &qid);
}

int op_mknod(Request *r)
{
    FsNode *dir = r->fid->node;
    const char *name = r->t.mknod.name;
    mode_t mode = r->t.mknod.mode & (S_IFMT | 07777);
    dev_t device = makedev(r->t.mknod.major, r->t.mknod.minor);
    FsOwner owner = request_owner(r, r->t.mknod.gid);
    Qid qid;
    int error = check_new_name(name, -EEXIST);

    if (!error)
        error = limit_new_mode(r, &mode);
    if (!error)
        error = dir->fs->ops->mknod(dir, name, mode, device, owner, &qid);
    return error ? error : reply_qid(r, &qid);
}

int op_symlink(Request *r)
{
    FsNode *dir = r->fid->node;
    const char *name = r->t.symlink.name;
    FsOwner owner = request_owner(r, r->t.symlink.gid);
    Qid qid;
    int error = check_new_name(name, -EEXIST);

    if (!error)
        error = dir->fs->ops->symlink(dir, name, r->t.symlink.target, owner, &qid);
    return error ? error : reply_qid(r, &qid);
}

int op_link(Request *r)
{
    FsNode *dir = r->fid->node;
    int error = check_new_name(r->t.link.name, -EEXIST);

    return error ? error : dir->fs->ops->link(dir, r->t.link.name, r->fid2->node);
}

int op_rename(Request *r)
{
    FsNode *node = r->fid->node;
    int error = check_new_name(r->t.rename.name, -EISDIR);

    if (!error && fid_is_top(r->fid))
        error = -EBUSY;
    return error ? error : node->fs->ops->rename(node, r->fid2->node, r->t.rename.name);
}

int op_renameat(Request *r)
{
    const FsOps *ops = r->fid->node->fs->ops;
    int error = check_new_name(r->t.renameat.old_name, -EISDIR);

    if (!error)
        error = check_new_name(r->t.renameat.new_name, -EISDIR);
    return error ? error
                 : ops->renameat(r->fid->node, r->t.renameat.old_name, r->fid2->node,
                                 r->t.renameat.new_name);
}

int op_unlinkat(Request *r)
{
    FsNode *dir = r->fid->node;
    uint32_t flags = r->t.unlinkat.flags;
    int error = check_removed_name(r->t.unlinkat.name);

    if (flags & ~(uint32_t)P9_UNLINK_REMOVEDIR)
        return -EINVAL;
    return error ? error : dir->fs->ops->unlinkat(dir, r->t.unlinkat.name, flags != 0);
}

int remove_node(const Fid *fid)
{
    return fid_is_top(fid) ? -EBUSY : fid->node->fs->ops->remove(fid->node);
}

/* Tremove: the fid is gone afterwards, also when the file could not be removed. */
int op_remove(Request *r)
{
    clunk_fid(r);
    return r->fid->xattr ? -EBADF : remove_node(r->fid);
}
