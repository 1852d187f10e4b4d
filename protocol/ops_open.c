/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening and creating as 9P2000 and 9P2000.u have it: Topen, Tcreate.
 *
 * Tcreate never opens what exists already: that is create(5) of Plan 9, and Linux, whose O_EXCL does
 * not fit into the mode byte, depends on it.
 *
 * No message tells the group of a new file. It is that of the directory, one of the two that POSIX
 * allows and the only one that is known here. Its user may not be a member, so a set-group-id bit
 * is granted to nobody but root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "protocol/dir_stream.h"
#include "protocol/ops.h"

/* The bits of Tcreate's perm that say what to make. */
#define KIND_BITS (P9_DMDIR | P9_DMSYMLINK | P9_DMLINK | P9_DMDEVICE | P9_DMNAMEDPIPE | P9_DMSOCKET)

/* And those that promise what no file here keeps. */
#define REFUSED_BITS (P9_DMAPPEND | P9_DMEXCL | P9_DMMOUNT | P9_DMAUTH)

static int host_mode(uint8_t mode, Dialect dialect)
{
    static const int access[] = {
        [P9_OREAD] = O_RDONLY, [P9_OWRITE] = O_WRONLY, [P9_ORDWR] = O_RDWR, [P9_OEXEC] = O_RDONLY};
    int flags = access[mode & P9_OACCMODE];

    if (mode & P9_OTRUNC)
        flags |= O_TRUNC;
    if ((mode & P9_OAPPEND) && dialect != DIALECT_9P2000)
        flags |= O_APPEND;
    return flags;
}

/* Answers and stages the opened file. Takes over `file`. */
static int finish_open(Request *r, FsFile *file, int flags, uint8_t mode)
{
    bool directory = S_ISDIR(file->node->type);
    int error = reply_opened(r, file, flags);

    if (error)
        return error;
    if (directory && r->dialect != DIALECT_9P2000_L)
        r->stage.fid->stream = dir_stream_new(r->stage.fid->file, fid_is_top(r->stage.fid),
                                              r->dialect, &r->session->options);
    r->stage.fid->remove_on_clunk = mode & P9_ORCLOSE;
    return 0;
}

bool open_changes(const Request *r)
{
    uint8_t mode = r->t.open.mode;

    return open_flags_change(host_mode(mode, r->dialect)) || (mode & P9_ORCLOSE);
}

int op_open(Request *r)
{
    FsNode *node = r->fid->node;
    uint8_t mode = r->t.open.mode;
    int flags = host_mode(mode, r->dialect);
    FsFile *file;
    int error;

    if (r->fid->file)
        return -EINVAL;
    error = node->fs->ops->open(node, flags, r->nowait, &file);
    return error ? error : finish_open(r, file, flags, mode);
}

/*
 * Tcreate
 */

/* Who owns what the request creates, and with which permissions. */
static int find_owner(const Request *r, FsOwner *owner, mode_t *permissions)
{
    FsNode *dir = r->fid->node;
    uint32_t perm = r->t.create.perm;
    FsAttr attr;
    int error = dir->fs->ops->getattr(dir, r->fid->file, &attr, NULL);

    if (error)
        return error;
    *owner = (FsOwner){.uid = request_owner(r, 0).uid, .gid = attr.stx_gid};
    *permissions = stat_permissions(perm);
    if (fid_user(r->fid) != 0)
        *permissions &= ~(mode_t)S_ISGID;
    if (r->dialect == DIALECT_9P2000) /* as open(5) of Plan 9 wants it */
        *permissions &= attr.stx_mode | (perm & P9_DMDIR ? 07000 : 07111);
    return perm & P9_DMDIR ? 0 : limit_new_mode(r, permissions);
}

/* Makes the fid stand for what was created and cannot be opened. */
static void finish_create(Request *r, FsNode *node, const Qid *qid)
{
    ByteWriter *w = request_reply(r, P9_QID_SIZE + sizeof(uint32_t));

    write_qid(w, qid);
    write_u32(w, 0);
    request_stage_fid(r, r->t.fid, r->fid, fid_new_from(r->fid, node, NULL, 0));
}

/* The same for what bears the name now. */
static int finish_create_name(Request *r)
{
    FsNode *dir = r->fid->node;
    unsigned n_walked;
    FsNode *node;
    Qid qid;
    int error = dir->fs->ops->walk(dir, 1, &r->t.create.name, false, &node, &qid, &n_walked);

    if (error)
        return error;
    finish_create(r, node, &qid);
    fs_node_unref(node);
    return 0;
}

static int create_file(Request *r, FsOwner owner, mode_t permissions)
{
    FsNode *dir = r->fid->node;
    int flags = host_mode(r->t.create.mode, r->dialect);
    FsFile *file;
    int error =
        dir->fs->ops->create(dir, r->t.create.name, flags | O_EXCL, permissions, owner, &file);

    return error ? error : finish_open(r, file, flags, r->t.create.mode);
}

/* A new directory is open, for reading. */
static int create_directory(Request *r, FsOwner owner, mode_t permissions)
{
    FsNode *dir = r->fid->node;
    uint8_t mode = r->t.create.mode;
    unsigned n_walked;
    FsNode *node;
    FsFile *file;
    Qid qid;
    int error;

    if ((mode & P9_OACCMODE) != P9_OREAD || (mode & P9_OTRUNC))
        return -EISDIR;
    error = dir->fs->ops->mkdir(dir, r->t.create.name, permissions, owner, &qid);
    if (!error)
        error = dir->fs->ops->walk(dir, 1, &r->t.create.name, false, &node, &qid, &n_walked);
    if (error)
        return error;
    error = dir->fs->ops->open(node, O_RDONLY | O_DIRECTORY, false, &file);
    fs_node_unref(node);
    return error ? error : finish_open(r, file, O_RDONLY | O_DIRECTORY, mode);
}

static int create_node(Request *r, mode_t type_and_permissions, dev_t device, FsOwner owner)
{
    FsNode *dir = r->fid->node;
    Qid qid;
    int error =
        dir->fs->ops->mknod(dir, r->t.create.name, type_and_permissions, device, owner, &qid);

    return error ? error : finish_create_name(r);
}

/* "b 8 1" or "c 1 3". */
static int parse_device(const char *text, mode_t *type, dev_t *device)
{
    enum { MAJORS = 1 << 12, MINORS = 1 << 20 };
    g_auto(GStrv) words = g_strsplit_set(text, " \t\n", 4);
    uint32_t major, minor;

    if (g_strv_length(words) < 3 || strlen(words[0]) != 1 || !strchr("bc", words[0][0]))
        return -EINVAL;
    if (words[3] && words[3][0] != '\0')
        return -EINVAL;
    if (!parse_number(words[1], &major) || !parse_number(words[2], &minor))
        return -EINVAL;
    if (major >= MAJORS || minor >= MINORS)
        return -EINVAL;
    *type = words[0][0] == 'b' ? S_IFBLK : S_IFCHR;
    *device = makedev(major, minor);
    return 0;
}

static int create_device(Request *r, FsOwner owner, mode_t permissions)
{
    mode_t type;
    dev_t device;
    int error = parse_device(r->t.create.extension, &type, &device);

    return error ? error : create_node(r, type | permissions, device, owner);
}

static int create_symlink(Request *r, FsOwner owner)
{
    FsNode *dir = r->fid->node;
    Qid qid;
    int error = dir->fs->ops->symlink(dir, r->t.create.name, r->t.create.extension, owner, &qid);

    return error ? error : finish_create_name(r);
}

/* A further name for the file whose fid's number is the extension. */
static int create_link(Request *r)
{
    FsNode *dir = r->fid->node;
    Fid *target;
    uint32_t id;
    Qid qid;
    int error;

    if (!parse_number(r->t.create.extension, &id))
        return -EINVAL;
    target = fid_table_get(r->fids, id);
    if (!target)
        return -ENOENT;
    error = dir->fs->ops->link(dir, r->t.create.name, target->node);
    if (!error)
        error = dir->fs->ops->getattr(target->node, target->file, NULL, &qid);
    if (!error)
        finish_create(r, target->node, &qid);
    fid_unref(target);
    return error;
}

static int create_kind(Request *r, FsOwner owner, mode_t permissions)
{
    switch (r->t.create.perm & KIND_BITS) {
    case 0:
        return create_file(r, owner, permissions);
    case P9_DMDIR:
        return create_directory(r, owner, permissions);
    case P9_DMSYMLINK:
        return create_symlink(r, owner);
    case P9_DMLINK:
        return create_link(r);
    case P9_DMDEVICE:
        return create_device(r, owner, permissions);
    case P9_DMNAMEDPIPE:
        return create_node(r, S_IFIFO | permissions, 0, owner);
    case P9_DMSOCKET:
        return create_node(r, S_IFSOCK | permissions, 0, owner);
    default:
        return -EINVAL;
    }
}

static int check_perm(const Request *r)
{
    uint32_t refused = REFUSED_BITS;

    if (r->dialect == DIALECT_9P2000)
        refused |= KIND_BITS & ~P9_DMDIR;
    return r->t.create.perm & refused ? -EINVAL : 0;
}

int op_create(Request *r)
{
    mode_t permissions;
    FsOwner owner;
    int error = check_perm(r);

    if (r->fid->file)
        return -EINVAL;
    if (!error)
        error = check_new_name(r->t.create.name, -EEXIST);
    if (!error)
        error = find_owner(r, &owner, &permissions);
    return error ? error : create_kind(r, owner, permissions);
}
