/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on stat records: Tstat, Twstat.
 *
 * A Twstat is done as a whole or not at all, as far as that can be: everything that can be refused
 * is refused before anything is changed, the new name, which fails most easily, comes first, and
 * what was changed before a later step failed is changed back.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/ops.h"

int op_stat(Request *r)
{
    FsNode *node = r->fid->node;
    char name[P9_NAME_MAX + 1];
    StatRecord record;
    StatText text;
    ByteWriter *w;
    size_t size;
    int error;

    if (r->nowait && S_ISLNK(node->type)) /* its target may have to be read */
        return -EAGAIN;
    error = fid_is_top(r->fid) ? 0 : node->fs->ops->name(node, r->nowait, name);
    if (error == -EAGAIN || error == -EINTR)
        return error;
    if (fid_is_top(r->fid))
        g_strlcpy(name, "/", sizeof(name));
    if (error) /* it lies too deep for a path: better no name than no attributes */
        name[0] = '\0';
    error =
        stat_describe(node, r->fid->file, name, r->dialect, &r->session->options, &text, &record);
    if (error)
        return error;
    size = stat_size(&record, r->dialect);
    w = request_reply(r, sizeof(uint16_t) + size);
    if (!w)
        return -ENOMEM;
    write_u16(w, (uint16_t)size);
    write_stat(w, &record, r->dialect);
    return 0;
}

/*
 * Twstat
 */

/* A Twstat that changes nothing asks for the file to be on the disk. */
static int sync_node(const Fid *fid)
{
    FsNode *node = fid->node;
    const FsOps *ops = node->fs->ops;
    FsFile *file;
    int error;

    if (fid->file)
        return ops->fsync(fid->file, false);
    if (!S_ISREG(node->type) && !S_ISDIR(node->type))
        return 0;
    error = ops->open(node, O_RDONLY | FS_OPEN_OWN, false, &file);
    if (error)
        return error;
    error = ops->fsync(file, false);
    fs_file_unref(file);
    return error;
}

/* Gives back what `change` may have taken before it failed. Size and times cannot have been changed
 * when a later step fails, but for the times themselves. */
static void restore(const Request *r, const FsChange *change, const FsAttr *attr)
{
    FsNode *node = r->fid->node;
    FsChange back = {
        .valid = change->valid & (P9_SETATTR_UID | P9_SETATTR_GID | P9_SETATTR_MODE),
        .mode = attr->stx_mode & 07777,
        .uid = attr->stx_uid,
        .gid = attr->stx_gid,
    };

    limit_restored(r, attr, &back);
    if (back.valid != 0)
        node->fs->ops->setattr(node, r->fid->file, &back);
}

static int rename_node(FsNode *node, const char *name)
{
    return node->fs->ops->rename(node, NULL, name);
}

/* Changes name (unless NULL) and attributes of the fid's file, which now are as `attr` says. */
static int change_file(const Request *r, const char *name, const FsChange *change,
                       const FsAttr *attr)
{
    FsNode *node = r->fid->node;
    char old_name[P9_NAME_MAX + 1];
    int error = 0;

    if (name) {
        error = node->fs->ops->name(node, false, old_name);
        if (!error)
            error = rename_node(node, name);
    }
    if (error || change->valid == 0)
        return error;
    error = node->fs->ops->setattr(node, r->fid->file, change);
    if (error) {
        restore(r, change, attr);
        if (name)
            rename_node(node, old_name);
    }
    return error;
}

bool wstat_changes(const Request *r)
{
    return stat_asks_change(&r->t.wstat);
}

/* A user who changes the length takes set-id bits away, and what fails gives them back. */
static void add_loss_of_setid(const Request *r, const FsAttr *attr, FsChange *change)
{
    mode_t mode = fs_mode_without_setid(attr->stx_mode);

    if (fid_user(r->fid) == 0 || !S_ISREG(attr->stx_mode) || mode == attr->stx_mode ||
        (change->valid & (P9_SETATTR_SIZE | P9_SETATTR_MODE)) != P9_SETATTR_SIZE)
        return;
    change->mode = mode & 07777;
    change->valid |= P9_SETATTR_MODE;
}

int op_wstat(Request *r)
{
    FsNode *node = r->fid->node;
    const StatRecord *record = &r->t.wstat;
    const char *name = record->name[0] ? record->name : NULL;
    FsChange change;
    FsAttr attr;
    int error;

    error = node->fs->ops->getattr(node, r->fid->file, &attr, NULL);
    if (!error)
        error = stat_read_change(record, r->dialect, &attr, &change);
    if (!error) {
        change_to_host(r, &change);
        error = check_change(r, &change);
    }
    if (!error && name)
        error = fid_is_top(r->fid) ? -EBUSY : check_new_name(name, -EISDIR);
    if (error)
        return error;
    add_loss_of_setid(r, &attr, &change);
    return name || change.valid ? change_file(r, name, &change, &attr) : sync_node(r->fid);
}
