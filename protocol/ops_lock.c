/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on locks: Tlock, Tgetlock. */
#include <errno.h>
#include <string.h>

#include "protocol/ops.h"

/* As fcntl() checks the range of a struct flock. */
static int check_lock(const Tmessage *t)
{
    if (t->lock.type > P9_LOCK_UNLOCK || t->lock.start > INT64_MAX)
        return -EINVAL;
    if (t->lock.length > 0 && t->lock.length - 1 > INT64_MAX - t->lock.start)
        return -EOVERFLOW;
    return strlen(t->lock.client_id) > P9_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* The lock that a Tlock or Tgetlock is about. */
static int lock_of_message(const Request *r, Lock *lock)
{
    FsNode *node = r->fid->node;
    Qid qid;
    int error = r->fid->file ? check_lock(&r->t) : -EBADF;

    if (!error)
        error = node->fs->ops->getattr(node, r->fid->file, NULL, &qid);
    if (error)
        return error;
    *lock = (Lock){
        .file = qid.path,
        .range = {.type = r->t.lock.type, .start = r->t.lock.start, .length = r->t.lock.length},
        .proc_id = r->t.lock.proc_id,
        .client_id = r->t.lock.client_id,
    };
    return 0;
}

void reply_lock_status(Request *r, uint8_t status)
{
    write_u8(request_reply(r, sizeof(uint8_t)), status);
}

static int set_lock(Request *r, const Lock *lock)
{
    bool in_table;
    int error = lock_table_set(r->session->locks, r->fids, r->fid, lock, &in_table);

    if (!error || error == -EAGAIN)
        reply_lock_status(r, error ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    return error == -EAGAIN ? 0 : error;
}

/* As set_lock(), but what is held makes the request wait. */
static int wait_for_lock(Request *r, const Lock *lock)
{
    LockTable *locks = r->session->locks;
    bool in_table;
    int error = lock_table_begin_wait(locks, r->fids, r->fid, lock);

    if (error)
        return error;
    error = lock_table_set(locks, r->fids, r->fid, lock, &in_table);
    request_leave(r); /* who tries next is another thread */
    if (error == -EAGAIN && lock_waits_add(r->session->lock_waits, r, lock))
        return OP_LATER;
    lock_table_end_wait(locks, r->fids, lock);
    if (!error || error == -EAGAIN)
        reply_lock_status(r, error ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    return error == -EAGAIN ? 0 : error;
}

/* Tlock. There is no time of grace after a restart: a reclaimed lock is asked for like any other. */
int op_lock(Request *r)
{
    bool waits = (r->t.lock.flags & P9_LOCK_FLAGS_BLOCK) && r->t.lock.type != P9_LOCK_UNLOCK;
    Lock lock;
    int error;

    if (r->t.lock.flags & ~(uint32_t)(P9_LOCK_FLAGS_BLOCK | P9_LOCK_FLAGS_RECLAIM))
        return -EINVAL;
    error = lock_of_message(r, &lock);
    if (error)
        return error;
    return waits ? wait_for_lock(r, &lock) : set_lock(r, &lock);
}

/* Rgetlock: the lock that is in the way, or, with type "unlocked", what was asked for. */
static int reply_found(Request *r, const FsLock *found, const char *client_id)
{
    bool none = found->type == P9_LOCK_UNLOCK;
    const char *id = none ? r->t.lock.client_id : client_id ? client_id : "";
    size_t length = strlen(id);
    ByteWriter *w = request_reply(r, 1 + 8 + 8 + 4 + 2 + length);

    write_u8(w, found->type);
    write_u64(w, none ? r->t.lock.start : found->start);
    write_u64(w, none ? r->t.lock.length : found->length);
    write_u32(w, none ? r->t.lock.proc_id : found->pid);
    write_string(w, id, length);
    return 0;
}

/* Tgetlock. Linux loses the type on its way here and sends "unlocked": then every lock counts. */
int op_getlock(Request *r)
{
    g_autofree char *client_id = NULL;
    FsLock found;
    Lock lock;
    int error = lock_of_message(r, &lock);

    if (error)
        return error;
    if (lock.range.type == P9_LOCK_UNLOCK)
        lock.range.type = P9_LOCK_WRITE;
    error = lock_table_test(r->session->locks, r->fid, &lock, &found, &client_id);
    return error ? error : reply_found(r, &found, client_id);
}
