/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lock share: see lock_share.h. */
#include "tests/lib/lock_share.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 9000 }; /* a Tlock that waits is answered "blocked" after ten seconds */

void client_send_lock(Client *c, uint16_t tag, uint32_t fid, uint8_t type, uint32_t flags,
                      uint64_t start, uint64_t length, uint32_t proc_id)
{
    client_send(c->ts, tag, P9_TLOCK, "dbdqqds", fid, type, flags, start, length, proc_id, "guest");
}

int lock_status(const TestReply *reply)
{
    g_assert_nonnull(reply);
    if (reply->type == P9_RLERROR)
        return -(int)(reply->bytes[P9_HEADER_SIZE]);
    g_assert_cmpuint(reply->type, ==, P9_TLOCK + 1);
    g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + 1);
    return reply->bytes[P9_HEADER_SIZE];
}

/* Tlock without waiting. Returns the status, or the error. */
int client_lock_for(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                    uint32_t proc_id, const char *client_id)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TLOCK, "dbdqqds", fid, type, 0, start, length, proc_id,
                            client_id);

    return error ? error : lock_status(reply);
}

int client_lock(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id)
{
    return client_lock_for(c, LOCK_FID, type, start, length, proc_id, "guest");
}

int client_getlock(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                   uint32_t proc_id, LockFound *found)
{
    g_autofree TestReply *reply = NULL;
    int error =
        client_call(c, &reply, P9_TGETLOCK, "dbqqds", fid, type, start, length, proc_id, "guest");
    ByteReader r;
    size_t size;

    if (error)
        return error;
    r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
    found->type = read_u8(&r);
    found->start = read_u64(&r);
    found->length = read_u64(&r);
    found->proc_id = read_u32(&r);
    size = read_u16(&r);
    g_assert_cmpuint(size, ==, r.left);
    g_assert_cmpuint(size, <, sizeof(found->client_id));
    memcpy(found->client_id, read_bytes(&r, size), size);
    found->client_id[size] = '\0';
    return 0;
}

void expect_lock_counts(TestSession *ts, unsigned owners, unsigned ranges)
{
    unsigned n_owners, n_ranges;

    lock_table_count(test_session_session(ts)->locks, &n_owners, &n_ranges);
    g_assert_cmpuint(n_owners, ==, owners);
    g_assert_cmpuint(n_ranges, ==, ranges);
}

void client_open_lock_file(Client *c)
{
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, LOCK_FID, "file", P9_L_RDWR), ==, 0);
}

void share_begin_locks(Share *s)
{
    share_put(s, "file", "0123456789");
    client_open_lock_file(&s->client);
}

/* Replaces the share's session by one with these limits. */
void share_begin_locks_with_limits(Share *s, const SessionLimits *limits)
{
    test_session_free(s->ts);
    s->ts = test_session_new(s->fs, SHARE_CHANNELS, SHARE_MAX_MESSAGE, limits);
    s->client.ts = s->ts;
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    share_begin_locks(s);
}

TwoSessions share_begin_two(Share *s)
{
    TwoSessions two = {.s = s, .ts = test_session_new(s->fs, 1, SHARE_MAX_MESSAGE, NULL)};

    share_begin_locks(s);
    two.client = (Client){.ts = two.ts, .channel = 0, .tag = 1};
    client_start(&two.client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    client_open_lock_file(&two.client);
    return two;
}

/* Sends a Tlock that waits, and makes sure that it does. */
void client_send_waiting_lock(Client *c, uint16_t tag, uint64_t start, uint64_t length,
                              uint32_t proc_id)
{
    LockWaits *waits = test_session_session(c->ts)->lock_waits;
    unsigned before = lock_waits_count(waits);

    client_send_lock(c, tag, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, start, length, proc_id);
    while (lock_waits_count(waits) == before) {
        test_session_step(c->ts);
        test_session_wait(c->ts);
    }
    g_assert_cmpuint(test_session_n_replies(c->ts), ==, 0);
}

int client_await_lock(Client *c, uint16_t tag)
{
    g_autofree TestReply *reply = test_session_await(c->ts, 0, tag, PATIENCE_MS);

    return lock_status(reply);
}

/*
 * Another process
 */

static void answer_orders(const char *path, int orders, int answers)
{
    int fd = open(path, O_RDWR);
    struct flock order;

    while (fd >= 0 && read(orders, &order, sizeof(order)) == (ssize_t)sizeof(order)) {
        int result = fcntl(fd, F_SETLK, &order) == 0 ? 0 : -errno;
        if (write(answers, &result, sizeof(result)) != (ssize_t)sizeof(result))
            break;
    }
    _exit(0);
}

Locker locker_start(Share *s)
{
    g_autofree char *path = share_path(s, "file");
    int orders[2], answers[2];
    Locker p;

    g_assert_cmpint(pipe2(orders, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(answers, O_CLOEXEC), ==, 0);
    p.pid = fork();
    if (p.pid == 0) {
        close(orders[1]);
        answer_orders(path, orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    p.to = orders[1];
    p.from = answers[0];
    return p;
}

int locker_lock(Locker *p, short type, off_t start, off_t length)
{
    struct flock order = {.l_type = type, .l_start = start, .l_len = length};
    int result;

    g_assert_cmpint(write(p->to, &order, sizeof(order)), ==, sizeof(order));
    g_assert_cmpint(read(p->from, &result, sizeof(result)), ==, sizeof(result));
    return result;
}

void locker_end(Locker *p)
{
    close(p->to);
    close(p->from);
    waitpid(p->pid, NULL, 0);
}
