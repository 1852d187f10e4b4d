/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations: the table of all messages that the server answers, and what several of them share. */
#include "protocol/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    IO_ALIGNMENT = 4096,
    WRITES_IN_RING = 16, /* that fit at once, at least, while each can have MIN_WRITE */
    MIN_WRITE = 8192,
};

static bool always(const Request *r)
{
    (void)r;
    return true;
}

static const Op ops[] = {
    [P9_TSTATFS] = {"Tstatfs", OP_NODE, 1, NULL, op_statfs},
    [P9_TLOPEN] = {"Tlopen", OP_TRY, 1, lopen_changes, op_lopen},
    [P9_TLCREATE] = {"Tlcreate", OP_POOL, 1, always, op_lcreate},
    [P9_TSYMLINK] = {"Tsymlink", OP_POOL, 1, always, op_symlink},
    [P9_TMKNOD] = {"Tmknod", OP_POOL, 1, always, op_mknod},
    [P9_TRENAME] = {"Trename", OP_POOL, 2, always, op_rename},
    [P9_TREADLINK] = {"Treadlink", OP_POOL, 1, NULL, op_readlink},
    [P9_TGETATTR] = {"Tgetattr", OP_LOOK, 1, NULL, op_getattr},
    [P9_TSETATTR] = {"Tsetattr", OP_POOL, 1, always, op_setattr},
    [P9_TXATTRWALK] = {"Txattrwalk", OP_TRY, 1, NULL, op_xattrwalk},
    [P9_TXATTRCREATE] = {"Txattrcreate", OP_NODE, 1, always, op_xattrcreate},
    [P9_TREADDIR] = {"Treaddir", OP_POOL, 1, NULL, op_readdir},
    [P9_TFSYNC] = {"Tfsync", OP_POOL, 1, NULL, op_fsync},
    [P9_TLOCK] = {"Tlock", OP_POOL, 1, NULL, op_lock},
    [P9_TGETLOCK] = {"Tgetlock", OP_POOL, 1, NULL, op_getlock},
    [P9_TLINK] = {"Tlink", OP_POOL, 2, always, op_link},
    [P9_TMKDIR] = {"Tmkdir", OP_POOL, 1, always, op_mkdir},
    [P9_TRENAMEAT] = {"Trenameat", OP_POOL, 2, always, op_renameat},
    [P9_TUNLINKAT] = {"Tunlinkat", OP_POOL, 1, always, op_unlinkat},
    [P9_TVERSION] = {"Tversion", OP_READER, 0, NULL, op_version},
    [P9_TATTACH] = {"Tattach", OP_LOOK, 0, NULL, op_attach},
    [P9_TFLUSH] = {"Tflush", OP_READER, 0, NULL, flush_run},
    [P9_TWALK] = {"Twalk", OP_TRY, 1, NULL, op_walk},
    [P9_TOPEN] = {"Topen", OP_TRY, 1, open_changes, op_open},
    [P9_TCREATE] = {"Tcreate", OP_POOL, 1, always, op_create},
    [P9_TREAD] = {"Tread", OP_TRY, 1, NULL, op_read},
    [P9_TWRITE] = {"Twrite", OP_POOL, 1, always, op_write},
    [P9_TCLUNK] = {"Tclunk", OP_NODE, 1, NULL, op_clunk},
    [P9_TREMOVE] = {"Tremove", OP_POOL, 1, always, op_remove},
    [P9_TSTAT] = {"Tstat", OP_TRY, 1, NULL, op_stat},
    [P9_TWSTAT] = {"Twstat", OP_POOL, 1, wstat_changes, op_wstat},
};

const Op *op_for_type(uint8_t type)
{
    return type < G_N_ELEMENTS(ops) && ops[type].run ? &ops[type] : NULL;
}

uint32_t iounit_for_msize(uint32_t msize)
{
    uint32_t payload = msize - P9_IO_OVERHEAD;

    return payload < IO_ALIGNMENT ? payload : payload - payload % IO_ALIGNMENT;
}

uint32_t iounit_for_open(const Request *r, int flags)
{
    uint32_t share = MAX(r->channel->max_message / WRITES_IN_RING, MIN_WRITE);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;

    return iounit_for_msize(writes ? MIN(r->msize, share) : r->msize);
}

bool open_flags_change(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* The kernel does not do it for us, who may do everything, and Linux without a cache leaves it to the
 * server. */
int drop_setid(const Request *r, FsNode *node)
{
    return fid_user(r->fid) == 0 ? 0 : node->fs->ops->drop_setid(node);
}

int check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/'))
        return -ENOENT;
    return strlen(name) > P9_NAME_MAX ? -ENAMETOOLONG : 0;
}

int check_new_name(const char *name, int error_for_dots)
{
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;

    return dots ? error_for_dots : check_name(name);
}

int reply_qid(Request *r, const Qid *qid)
{
    write_qid(request_reply(r, P9_QID_SIZE), qid);
    return 0;
}

void clunk_fid(Request *r)
{
    Fid *fid = fid_table_take(r->fids, r->t.fid);
    LockTable *locks;

    if (!fid)
        return;
    g_atomic_int_set(&fid->clunked, true);
    if (g_atomic_int_get(&fid->lock_waits) > 0)
        lock_waits_poke(r->session->lock_waits);
    locks = g_atomic_pointer_get(&fid->locks);
    if (locks)
        lock_table_forget_fid(locks, fid);
    fid_unref(fid);
}
