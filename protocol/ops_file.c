/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on open files and directories: opening, data, entries. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/dir_stream.h"
#include "protocol/ops.h"

/* The host's flags for Tlopen and Tlcreate flags, by name and not by value. What makes no sense
 * over the wire (O_DIRECT, O_NONBLOCK, O_CLOEXEC ...) is left out. */
static int host_flags(uint32_t wire)
{
    static const struct {
        uint32_t wire;
        int host;
    } map[] = {
        {P9_L_EXCL, O_EXCL},           {P9_L_TRUNC, O_TRUNC},     {P9_L_APPEND, O_APPEND},
        {P9_L_DIRECTORY, O_DIRECTORY}, {P9_L_NOATIME, O_NOATIME},
    };
    static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
    int host = access[wire & P9_L_ACCMODE];

    for (size_t i = 0; i < G_N_ELEMENTS(map); i++) {
        if (wire & map[i].wire)
            host |= map[i].host;
    }
    if (wire & P9_L_SYNC)
        host |= O_SYNC;
    else if (wire & P9_L_DSYNC)
        host |= O_DSYNC;
    return host;
}

/* Completes an Rread or Rreaddir whose count was not known at its start. */
static void write_count(ByteWriter *w)
{
    ByteWriter at_count = byte_writer(w->start + P9_HEADER_SIZE, sizeof(uint32_t));

    write_u32(&at_count, (uint32_t)(w->used - P9_RREAD_OVERHEAD));
}

int reply_opened(Request *r, FsFile *file, int flags)
{
    ByteWriter *w = request_reply(r, P9_QID_SIZE + sizeof(uint32_t));
    FsNode *node = file->node;
    Fid *fid = r->fid;
    FsAttr attr;
    Qid qid;
    int error = flags & O_TRUNC ? drop_setid(r, node) : 0;

    if (!error)
        error = node->fs->ops->getattr(node, file, &attr, &qid);
    if (!error)
        error = check_open(r, &attr, flags);
    if (!error) {
        request_stage_fid(r, r->t.fid, fid, fid_new_from(fid, node, file, flags));
        write_qid(w, &qid);
        write_u32(w, S_ISDIR(node->type) ? 0 : iounit_for_open(r, flags));
    }
    fs_file_unref(file);
    return error;
}

static int lopen_flags(const Request *r)
{
    return host_flags(r->t.lopen.flags) & ~O_EXCL;
}

bool lopen_changes(const Request *r)
{
    return open_flags_change(lopen_flags(r));
}

int op_lopen(Request *r)
{
    FsNode *node = r->fid->node;
    int flags = lopen_flags(r);
    FsFile *file;
    int error;

    if (r->fid->file)
        return -EINVAL;
    error = node->fs->ops->open(node, flags, r->nowait, &file);
    return error ? error : reply_opened(r, file, flags);
}

int op_lcreate(Request *r)
{
    FsNode *dir = r->fid->node;
    const char *name = r->t.lcreate.name;
    int flags = host_flags(r->t.lcreate.flags);
    FsOwner owner = request_owner(r, r->t.lcreate.gid);
    mode_t mode = r->t.lcreate.mode & 07777;
    FsFile *file;
    int error;

    if (r->fid->file)
        return -EINVAL;
    error = check_new_name(name, -EEXIST);
    if (!error)
        error = limit_new_mode(r, &mode);
    if (!error)
        error = dir->fs->ops->create(dir, name, flags, mode, owner, &file);
    return error ? error : reply_opened(r, file, flags);
}

/* Tread of a directory opened by Topen. */
static int read_directory(Request *r, uint32_t count)
{
    ByteWriter *w = request_reply(r, sizeof(uint32_t) + count);
    int error;

    if (!w)
        return -ENOMEM;
    if (r->nowait)
        return -EAGAIN;
    write_u32(w, 0); /* the count, known at the end */
    error = dir_stream_read(r->fid->stream, r->t.io.offset, count, w);
    if (!error)
        write_count(w);
    return error;
}

/* Notes that `n` bytes of what the request was counted with were transferred. */
static void use_bytes(Request *r, ssize_t n)
{
    r->throttle.unused -= MIN(r->throttle.unused, (uint32_t)n);
}

/* Reads to where the channel publishes the data, so that it need not be copied there. Returns 1 where that is
 * not possible, and 0 or -EAGAIN: what has failed is left to somebody who may wait. */
static int read_in_place(Request *r, FsFile *file, uint32_t count)
{
    struct iovec place[2];
    size_t done = 0;

    if (!r->nowait || count <= REQUEST_SMALL_BODY || !request_begin_in_place(r, count, place))
        return 1;
    for (unsigned i = 0; i < 2 && place[i].iov_len > 0; i++) {
        ssize_t got = file->node->fs->ops->read(file, place[i].iov_base, place[i].iov_len,
                                                r->t.io.offset + done, true);

        if (got < 0) {
            request_end_in_place(r);
            return -EAGAIN;
        }
        done += (size_t)got;
        if ((size_t)got < place[i].iov_len)
            break;
    }
    write_u32(request_reply(r, sizeof(uint32_t)), (uint32_t)done);
    r->in_place = (uint32_t)done;
    use_bytes(r, (ssize_t)done);
    return 0;
}

int op_read(Request *r)
{
    uint32_t count = MIN(r->t.io.count, r->msize - P9_RREAD_OVERHEAD);
    FsFile *file = r->fid->file;
    ByteWriter *w;
    ssize_t got;
    int error;

    if (r->fid->xattr)
        return read_xattr(r);
    if (!file)
        return -EBADF;
    if (r->fid->stream)
        return read_directory(r, count);
    error = read_in_place(r, file, count);
    if (error <= 0)
        return error;
    w = request_reply(r, sizeof(uint32_t) + count);
    if (!w)
        return -ENOMEM;
    got = file->node->fs->ops->read(file, w->start + P9_RREAD_OVERHEAD, count, r->t.io.offset,
                                    r->nowait);
    if (got < 0)
        return (int)got;
    use_bytes(r, got);
    write_u32(w, (uint32_t)got);
    write_space(w, (size_t)got);
    return 0;
}

int op_write(Request *r)
{
    FsFile *file = r->fid->file;
    ssize_t put;
    int error;

    if (r->fid->xattr)
        return write_xattr(r);
    if (!file || (r->fid->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    error = r->t.io.count > 0 ? drop_setid(r, file->node) : 0;
    if (error)
        return error;
    put = file->node->fs->ops->write(file, r->t.io.data, r->t.io.count, r->t.io.offset);
    if (put < 0)
        return (int)put;
    use_bytes(r, put);
    write_u32(request_reply(r, sizeof(uint32_t)), (uint32_t)put);
    return 0;
}

int op_fsync(Request *r)
{
    FsFile *file = r->fid->file;

    return file ? file->node->fs->ops->fsync(file, r->t.fsync.datasync != 0) : -EBADF;
}

/* Where Treaddir's entries go. */
typedef struct EntryList {
    const Qid *parent; /* of "..", when the client's root is not the file system's; or NULL */
    ByteWriter *w;
    size_t end; /* what w->used may reach */
    bool refused;
} EntryList;

static bool add_entry(void *context, const FsEntry *entry)
{
    EntryList *list = context;
    size_t length = strlen(entry->name);
    bool parent = list->parent && strcmp(entry->name, "..") == 0;

    if (list->w->used + P9_DIRENT_OVERHEAD + length > list->end) {
        list->refused = true;
        return false;
    }
    write_qid(list->w, parent ? list->parent : &entry->qid);
    write_u64(list->w, entry->next);
    write_u8(list->w, entry->type);
    write_string(list->w, entry->name, length);
    return true;
}

/* Treaddir: an empty reply means the end, so an entry that cannot fit at all is an error. */
int op_readdir(Request *r)
{
    uint32_t count = MIN(r->t.io.count, r->msize - P9_RREAD_OVERHEAD);
    EntryList list = {.end = P9_RREAD_OVERHEAD + (size_t)count};
    FsFile *file = r->fid->file;
    int error = 0;
    Qid top;

    if (!file)
        return -EBADF;
    if (!S_ISDIR(file->node->type))
        return -ENOTDIR;
    if (fid_is_top(r->fid)) {
        error = file->node->fs->ops->getattr(file->node, file, NULL, &top);
        list.parent = &top;
    }
    if (error)
        return error;
    list.w = request_reply(r, sizeof(uint32_t) + count);
    if (!list.w)
        return -ENOMEM;
    write_u32(list.w, 0); /* the count, known at the end */
    error = file->node->fs->ops->readdir(file, r->t.io.offset, add_entry, &list);
    if (error)
        return error;
    if (list.refused && list.w->used == P9_RREAD_OVERHEAD)
        return -EINVAL;
    write_count(list.w);
    return 0;
}
