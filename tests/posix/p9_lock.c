/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * P9: locks and the second process; see p9.h.
 *
 * Linux keeps apart the locks of its own processes and open files before it asks the server. Here
 * the server does all of it: each process and each open file that locks is an owner of its own.
 */
#include "tests/posix/p9.h"

enum {
    WAIT_TAG = 77,        /* of the second process's Tlock */
    OPENING_OWNERS = 100, /* owners that are open files; below are processes */
};

#define CLIENT_ID "posix-suite"

static const char *locker_key(const P9Handle *h, char text[48])
{
    snprintf(text, 48, "%u:%" G_GUINT64_FORMAT, h->process, (guint64)h->ino);
    return text;
}

static uint32_t owner_of(P9 *p9, const P9Handle *h, LockKind kind)
{
    return kind == LOCK_POSIX ? h->process : OPENING_OWNERS + (uint32_t)(h - p9->handles);
}

static uint8_t wire_type(short type)
{
    return type == F_UNLCK ? P9_LOCK_UNLOCK : type == F_RDLCK ? P9_LOCK_READ : P9_LOCK_WRITE;
}

/* As fcntl() checks and reads a range. */
static int read_range(const P9Handle *h, LockRange *range)
{
    int mode = h->flags & O_ACCMODE;

    if (range->kind == LOCK_WHOLE_FILE)
        return 0;
    if (range->length < 0) {
        range->start += range->length;
        range->length = -range->length;
    }
    if (range->start < 0)
        return -EINVAL;
    if (range->length > 0 && range->length - 1 > INT64_MAX - range->start)
        return -EOVERFLOW;
    if ((range->type == F_RDLCK && mode == O_WRONLY) ||
        (range->type == F_WRLCK && mode == O_RDONLY))
        return -EBADF;
    return 0;
}

static void send_lock(P9 *p9, uint16_t tag, const P9Handle *h, LockRange range, unsigned flags)
{
    client_send(p9->ts, tag, P9_TLOCK, "dbdqqds", h->fid, wire_type(range.type), flags,
                (uint64_t)range.start, (uint64_t)range.length, owner_of(p9, h, range.kind),
                CLIENT_ID);
}

/* The result of a Tlock, or -EINPROGRESS when there is none yet. */
static int take_status(P9 *p9, uint16_t tag, unsigned milliseconds)
{
    g_autofree TestReply *reply = test_session_await(p9->ts, 0, tag, milliseconds);

    if (!reply)
        return -EINPROGRESS;
    if (reply->type == P9_RLERROR) {
        ByteReader r = byte_reader(reply->bytes + P9_HEADER_SIZE, sizeof(uint32_t));
        return -(int)read_u32(&r);
    }
    g_assert_cmpuint(reply->type, ==, P9_TLOCK + 1);
    switch (reply->bytes[P9_HEADER_SIZE]) {
    case P9_LOCK_SUCCESS:
        return 0;
    case P9_LOCK_BLOCKED:
        return -EAGAIN;
    default:
        return -ENOLCK;
    }
}

static void note_locker(P9 *p9, P9Handle *h, LockKind kind)
{
    char key[48];

    if (kind == LOCK_POSIX)
        g_hash_table_add(p9->lockers, g_strdup(locker_key(h, key)));
    else
        h->locked = true;
}

static int set_lock(P9 *p9, P9Handle *h, LockRange range)
{
    uint16_t tag = p9->wire.tag;
    int error = h ? read_range(h, &range) : -EBADF;

    if (error)
        return error;
    send_lock(p9, tag, h, range, 0);
    error = take_status(p9, tag, 10 * 1000);
    if (!error)
        note_locker(p9, h, range.kind);
    return error;
}

/* Linux does not say which type it would like to have: any lock is then in the way. */
static int test_lock(P9 *p9, const P9Handle *h, LockRange range)
{
    g_autofree TestReply *reply = NULL;
    int error = h ? read_range(h, &range) : -EBADF;

    if (!error)
        error = client_call(&p9->wire, &reply, P9_TGETLOCK, "dbqqds", h->fid, P9_LOCK_UNLOCK,
                            (uint64_t)range.start, (uint64_t)range.length,
                            owner_of(p9, h, range.kind), CLIENT_ID);
    if (error)
        return error;
    switch (reply->bytes[P9_HEADER_SIZE]) {
    case P9_LOCK_READ:
        return F_RDLCK;
    case P9_LOCK_WRITE:
        return F_WRLCK;
    default:
        return F_UNLCK;
    }
}

/* A process loses its locks on a file with the first close, an open file with its own. */
void p9_unlock_handle(P9 *p9, const P9Handle *h)
{
    LockRange all = {.kind = LOCK_POSIX, .type = F_UNLCK};
    uint16_t tag = p9->wire.tag;
    char key[48];

    if (g_hash_table_remove(p9->lockers, locker_key(h, key))) {
        send_lock(p9, tag, h, all, 0);
        g_assert_cmpint(take_status(p9, tag, 10 * 1000), ==, 0);
    }
    all.kind = LOCK_OPENING;
    if (h->locked) {
        send_lock(p9, tag, h, all, 0);
        g_assert_cmpint(take_status(p9, tag, 10 * 1000), ==, 0);
    }
}

static long p9_lock(Driver *d, int fd, LockRange range)
{
    P9 *p9 = p9_of(d);

    return set_lock(p9, p9_handle(p9, fd), range);
}

static long p9_test_lock(Driver *d, int fd, LockRange range)
{
    P9 *p9 = p9_of(d);

    return test_lock(p9, p9_handle(p9, fd), range);
}

/*
 * The second process
 */

static long p9_peer_open(Driver *d, const char *path, int flags)
{
    P9 *p9 = p9_of(d);
    const User *user = p9->user;
    long fd;

    p9->user = &root;
    fd = d->ops->open(d, path, flags, 0);
    p9->user = user;
    if (fd >= 0)
        p9_handle(p9, (int)fd)->process = 2;
    return fd;
}

static long p9_peer_close(Driver *d, int fd)
{
    return d->ops->close(d, fd);
}

static long p9_peer_start(Driver *d, int fd, LockRange range)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, fd);
    int error = h ? read_range(h, &range) : -EBADF;

    if (error)
        return error;
    p9->waiting = (P9Waiting){.fd = fd, .range = range};
    send_lock(p9, WAIT_TAG, h, range, P9_LOCK_FLAGS_BLOCK);
    return 0;
}

static long p9_peer_finish(Driver *d, unsigned milliseconds)
{
    P9 *p9 = p9_of(d);
    P9Handle *h = p9_handle(p9, p9->waiting.fd);
    int error = take_status(p9, WAIT_TAG, milliseconds);

    if (!error)
        note_locker(p9, h, p9->waiting.range.kind);
    return error;
}

void p9_add_locks(DriverOps *ops)
{
    ops->lock = p9_lock;
    ops->test_lock = p9_test_lock;
    ops->peer_open = p9_peer_open;
    ops->peer_close = p9_peer_close;
    ops->peer_lock = p9_lock;
    ops->peer_test_lock = p9_test_lock;
    ops->peer_start = p9_peer_start;
    ops->peer_finish = p9_peer_finish;
}
