/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks on a host directory: between owners, sessions, and processes of this host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/share.h"

enum {
    FID = 1,        /* "file", open for reading and writing, in both sessions */
    QUICK_MS = 300, /* much less than a wait, much more than a hand-over takes */
    SHORT_WAIT_MS = 200,
    LONG_MS = 8000,
    TAG = 40,
};

/* Two sessions over one export, as of two guests. The first one is the share's own. */
typedef struct Two {
    Share *s;
    TestSession *ts;
    Client client;
} Two;

typedef struct Found {
    uint8_t type;
    uint64_t start, length;
    uint32_t proc_id;
    char client_id[64];
} Found;

/*
 * The client's side
 */

static void send_lock(Client *c, uint16_t tag, uint32_t fid, uint8_t type, uint32_t flags,
                      uint64_t start, uint64_t length, uint32_t proc_id)
{
    client_send(c->ts, tag, P9_TLOCK, "dbdqqds", fid, type, flags, start, length, proc_id, "guest");
}

static int status_of(const TestReply *reply)
{
    g_assert_nonnull(reply);
    if (reply->type == P9_RLERROR)
        return -(int)(reply->bytes[P9_HEADER_SIZE]);
    g_assert_cmpuint(reply->type, ==, P9_TLOCK + 1);
    g_assert_cmpuint(reply->size, ==, P9_HEADER_SIZE + 1);
    return reply->bytes[P9_HEADER_SIZE];
}

/* Tlock without waiting. Returns the status, or the error. */
static int lock_for(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                    uint32_t proc_id, const char *client_id)
{
    g_autofree TestReply *reply = NULL;
    int error = client_call(c, &reply, P9_TLOCK, "dbdqqds", fid, type, 0, start, length, proc_id,
                            client_id);

    return error ? error : status_of(reply);
}

static int lock(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id)
{
    return lock_for(c, FID, type, start, length, proc_id, "guest");
}

static int test_lock_for(Client *c, uint32_t fid, uint8_t type, uint64_t start, uint64_t length,
                         uint32_t proc_id, Found *found)
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

static void expect_free(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id)
{
    Found found;

    g_assert_cmpint(test_lock_for(c, FID, type, start, length, proc_id, &found), ==, 0);
    g_assert_cmpuint(found.type, ==, P9_LOCK_UNLOCK);
    g_assert_cmpuint(found.start, ==, start);
    g_assert_cmpuint(found.length, ==, length);
    g_assert_cmpuint(found.proc_id, ==, proc_id);
    g_assert_cmpstr(found.client_id, ==, "guest");
}

static void expect_held(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id,
                        Found expected)
{
    Found found;

    g_assert_cmpint(test_lock_for(c, FID, type, start, length, proc_id, &found), ==, 0);
    g_assert_cmpuint(found.type, ==, expected.type);
    g_assert_cmpuint(found.start, ==, expected.start);
    g_assert_cmpuint(found.length, ==, expected.length);
    g_assert_cmpuint(found.proc_id, ==, expected.proc_id);
    g_assert_cmpstr(found.client_id, ==, expected.client_id);
}

static void expect_counts(TestSession *ts, unsigned owners, unsigned ranges)
{
    unsigned n_owners, n_ranges;

    lock_table_count(test_session_session(ts)->locks, &n_owners, &n_ranges);
    g_assert_cmpuint(n_owners, ==, owners);
    g_assert_cmpuint(n_ranges, ==, ranges);
}

/* How many descriptors this process has. */
static unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void open_file(Client *c)
{
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, FID, "file", P9_L_RDWR), ==, 0);
}

static void begin(Share *s)
{
    share_put(s, "file", "0123456789");
    open_file(&s->client);
}

/* Replaces the share's session by one with these limits. */
static void begin_with_limits(Share *s, const SessionLimits *limits)
{
    test_session_free(s->ts);
    s->ts = test_session_new(s->fs, SHARE_CHANNELS, SHARE_MAX_MESSAGE, limits);
    s->client.ts = s->ts;
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    begin(s);
}

static Two begin_two(Share *s)
{
    Two two = {.s = s, .ts = test_session_new(s->fs, 1, SHARE_MAX_MESSAGE, NULL)};

    begin(s);
    two.client = (Client){.ts = two.ts, .channel = 0, .tag = 1};
    client_start(&two.client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    open_file(&two.client);
    return two;
}

/* Sends a Tlock that waits, and makes sure that it does. */
static void send_waiting(Client *c, uint16_t tag, uint64_t start, uint64_t length, uint32_t proc_id)
{
    LockWaits *waits = test_session_session(c->ts)->lock_waits;
    unsigned before = lock_waits_count(waits);

    send_lock(c, tag, FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, start, length, proc_id);
    while (lock_waits_count(waits) == before) {
        test_session_step(c->ts);
        test_session_wait(c->ts);
    }
    g_assert_cmpuint(test_session_n_replies(c->ts), ==, 0);
}

/* The status in the reply to `tag`, which must come within `milliseconds`. */
static int await_status(Client *c, uint16_t tag, unsigned milliseconds)
{
    g_autofree TestReply *reply = test_session_await(c->ts, 0, tag, milliseconds);

    return status_of(reply);
}

/*
 * Another process of this host, with POSIX locks of its own
 */

typedef struct Process {
    pid_t pid;
    int to;
    int from;
} Process;

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

static Process process_start(Share *s)
{
    g_autofree char *path = share_path(s, "file");
    int orders[2], answers[2];
    Process p;

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

static int process_lock(Process *p, short type, off_t start, off_t length)
{
    struct flock order = {.l_type = type, .l_start = start, .l_len = length};
    int result;

    g_assert_cmpint(write(p->to, &order, sizeof(order)), ==, sizeof(order));
    g_assert_cmpint(read(p->from, &result, sizeof(result)), ==, sizeof(result));
    return result;
}

static void process_end(Process *p)
{
    close(p->to);
    close(p->from);
    waitpid(p->pid, NULL, 0);
}

/*
 * Owners
 */

static void test_owners_exclude_each_other(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 10, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 10, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 19, 1, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock_for(c, FID, P9_LOCK_READ, 10, 1, 1, "other"), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 20, 0, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 10, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, FID, P9_LOCK_READ, 0, 5, 1, "other"), ==, P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_READ, 0, 0, 2, (Found){P9_LOCK_WRITE, 10, 10, 1, "guest"});
    expect_held(c, P9_LOCK_UNLOCK, 3, 1, 2, (Found){P9_LOCK_READ, 0, 5, 1, "other"});
    expect_held(c, P9_LOCK_READ, 1000, 1, 1, (Found){P9_LOCK_WRITE, 20, 0, 2, "guest"});
    expect_free(c, P9_LOCK_READ, 0, 10, 1);
    expect_free(c, P9_LOCK_WRITE, 10, 10, 1);
    expect_counts(s->ts, 3, 4);

    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 12, 2, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 12, 2, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 14, 1, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 14, 1, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 3), ==, P9_LOCK_SUCCESS);
}

/* One fcntl() owner may turn its locks into each other; the rest stays as it was. */
static void test_upgrade_and_downgrade(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 100, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 100, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 50, 10, 1), ==, P9_LOCK_BLOCKED);
    expect_counts(s->ts, 2, 2);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 50, 10, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 50, 10, 1), ==, P9_LOCK_SUCCESS);
    expect_counts(s->ts, 2, 5);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 55, 1, 3), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 99, 1, 3), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 100, 1), ==, P9_LOCK_SUCCESS);
    expect_counts(s->ts, 2, 3);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 55, 1, 3), ==, P9_LOCK_SUCCESS);
}

static void test_sessions_exclude_each_other(Share *s, gconstpointer unused)
{
    Two two = begin_two(s);

    (void)unused;
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(&two.client, P9_LOCK_READ, 5, 1, 1), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(lock(&two.client, P9_LOCK_READ, 10, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 10, 1, 1), ==, P9_LOCK_BLOCKED);
    expect_held(&two.client, P9_LOCK_READ, 0, 0, 1, (Found){P9_LOCK_WRITE, 0, 10, 0, ""});
    expect_held(&s->client, P9_LOCK_UNLOCK, 0, 0, 1, (Found){P9_LOCK_READ, 10, 0, 0, ""});
    g_assert_cmpint(lock(&s->client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(&two.client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 3, 1, 1), ==, P9_LOCK_BLOCKED);
    test_session_free(two.ts);
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 3, 1, 1), ==, P9_LOCK_SUCCESS);
}

static void test_host_processes_are_excluded(Share *s, gconstpointer unused)
{
    Process p;
    Client *c = &s->client;

    (void)unused;
    begin(s);
    p = process_start(s);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(process_lock(&p, F_RDLCK, 9, 1), ==, -EAGAIN);
    g_assert_cmpint(process_lock(&p, F_WRLCK, 10, 5), ==, 0);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 14, 1, 1), ==, P9_LOCK_BLOCKED);
    expect_held(c, P9_LOCK_READ, 0, 0, 1, (Found){P9_LOCK_WRITE, 10, 5, (uint32_t)p.pid, ""});
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(process_lock(&p, F_RDLCK, 0, 0), ==, 0);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_BLOCKED);
    process_end(&p);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
}

/* The lock is the file's, whatever its names. */
static void test_names_do_not_matter(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 9, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 9, "link"), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "link", P9_L_RDWR), ==, 0);
    g_assert_cmpint(lock_for(c, 2, P9_LOCK_WRITE, 0, 0, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "link", 0), ==, 0);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_WRITE, 0, 1, 1, (Found){P9_LOCK_READ, 0, 0, 2, "guest"});
}

/* As flock() has it: the client checks modes where they matter. */
static void test_modes_of_fids(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", 0), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "file", P9_L_WRONLY), ==, 0);
    g_assert_cmpint(lock_for(c, 2, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_READ, 1, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_READ, 0, 1, 2, "guest"), ==, P9_LOCK_BLOCKED);
}

static void test_what_cannot_be_locked(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    Found found;

    (void)unused;
    begin(s);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(lock_for(c, 2, P9_LOCK_READ, 0, 1, 1, "guest"), ==, -EBADF);
    g_assert_cmpint(test_lock_for(c, 2, P9_LOCK_READ, 0, 1, 1, &found), ==, -EBADF);
    g_assert_cmpint(lock_for(c, 99, P9_LOCK_READ, 0, 1, 1, "guest"), ==, -ENOENT);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "", 0), ==, 0);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_READ, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, -EBADF);
    expect_counts(s->ts, 1, 1);
}

static void test_ranges_and_arguments(Share *s, gconstpointer unused)
{
    g_autofree char *long_id = g_strnfill(256, 'x');
    Client *c = &s->client;
    Found found;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, 3, 0, 1, 1), ==, -EINVAL);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 1ULL << 63, 1, 1), ==, -EINVAL);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 1, INT64_MAX, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 2, INT64_MAX, 1), ==, -EOVERFLOW);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, UINT64_MAX, 1), ==, -EOVERFLOW);
    g_assert_cmpint(lock(c, P9_LOCK_READ, INT64_MAX, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, INT64_MAX, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, INT64_MAX, 2, 1), ==, -EOVERFLOW);
    g_assert_cmpint(lock_for(c, FID, P9_LOCK_READ, 0, 1, 1, long_id), ==, -ENAMETOOLONG);
    g_assert_cmpint(lock_for(c, FID, P9_LOCK_READ, 0, 1, 2, ""), ==, P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_WRITE, 5, 1, 3, (Found){P9_LOCK_READ, 1, 0, 1, "guest"});
    g_assert_cmpint(test_lock_for(c, FID, 3, 0, 1, 1, &found), ==, -EINVAL);
    g_assert_cmpint(test_lock_for(c, FID, 0, 2, INT64_MAX, 1, &found), ==, -EOVERFLOW);

    send_lock(c, TAG, FID, P9_LOCK_READ, 4, 0, 1, 1);
    g_assert_cmpint(await_status(c, TAG, LONG_MS), ==, -EINVAL);
    send_lock(c, TAG, FID, P9_LOCK_READ, P9_LOCK_FLAGS_RECLAIM, 0, 1, 1);
    g_assert_cmpint(await_status(c, TAG, LONG_MS), ==, P9_LOCK_SUCCESS);
}

/*
 * The end of locks
 */

static void test_clunk_frees(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(lock_for(c, 2, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_WRITE, 1, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock_for(c, 3, P9_LOCK_WRITE, 2, 1, 2, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_clunk(c, FID), ==, 0); /* nothing was locked through this one */
    expect_counts(s->ts, 2, 2);
    g_assert_cmpint(client_clunk(c, 2), ==, 0); /* the owner has another one */
    expect_counts(s->ts, 2, 2);
    g_assert_cmpint(client_remove(c, 3), ==, 0);
    expect_counts(s->ts, 0, 0);
}

static void test_last_unlock_closes(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    unsigned before;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    before = count_descriptors();
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 10, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(lock(c, P9_LOCK_WRITE, 1000 + i, 1, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 10, 77), ==, P9_LOCK_BLOCKED);
    }
    g_assert_cmpuint(count_descriptors(), ==, before + 20);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 1000 + i, 1, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 10, i), ==, P9_LOCK_SUCCESS);
    }
    expect_counts(s->ts, 0, 0);
    g_assert_cmpuint(count_descriptors(), ==, before);
}

static void test_reset_frees(Share *s, gconstpointer unused)
{
    Two two = begin_two(s);

    (void)unused;
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    send_waiting(&s->client, TAG, 0, 1, 2);
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    expect_counts(s->ts, 0, 0);
    g_assert_cmpint(lock(&two.client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_null(test_session_await(s->ts, 0, TAG, 50));
    g_assert_cmpuint(lock_waits_count(test_session_session(s->ts)->lock_waits), ==, 0);
    open_file(&s->client);
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    send_waiting(&two.client, TAG, 0, 1, 2);
    test_session_free(two.ts); /* as when the guest is destroyed, with one that waits */
    g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 0, 0, 2), ==, P9_LOCK_SUCCESS);
}

/*
 * Waiting
 */

static void test_hand_over_in_session(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    send_waiting(c, TAG, 5, 1, 2);
    send_waiting(c, TAG + 1, 5, 1, 3);
    send_waiting(c, TAG + 2, 0, 1, 4);
    g_usleep(20 * 1000); /* until none of them is being tried */
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 5, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS); /* the oldest */
    g_assert_null(test_session_await(s->ts, 0, TAG + 1, 20));
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_null(test_session_await(s->ts, 0, TAG + 2, 20));
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(await_status(c, TAG + 1, QUICK_MS), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    g_assert_cmpint(await_status(c, TAG + 2, QUICK_MS), ==, -EBADF);
    expect_counts(s->ts, 0, 0);
}

/* A request that need not wait does not. */
static void test_blocking_but_free(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    send_lock(c, TAG, FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 0, 1);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS);
    send_lock(c, TAG, FID, P9_LOCK_UNLOCK, P9_LOCK_FLAGS_BLOCK, 0, 0, 1);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS);
    expect_counts(s->ts, 0, 0);
}

static void test_hand_over_between_sessions(Share *s, gconstpointer unused)
{
    Two two = begin_two(s);

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpint(lock(&s->client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
        send_waiting(&two.client, TAG, 0, 0, 1);
        g_usleep(i * 5000);
        g_assert_cmpint(lock(&s->client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(await_status(&two.client, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(lock(&two.client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    }
    test_session_free(two.ts);
}

static void test_hand_over_from_process(Share *s, gconstpointer unused)
{
    Process p;
    Client *c = &s->client;

    (void)unused;
    begin(s);
    p = process_start(s);
    g_assert_cmpint(process_lock(&p, F_WRLCK, 0, 0), ==, 0);
    send_waiting(c, TAG, 3, 1, 1);
    g_usleep(50 * 1000);
    g_assert_cmpint(process_lock(&p, F_UNLCK, 0, 0), ==, 0);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(process_lock(&p, F_RDLCK, 3, 1), ==, -EAGAIN);
    process_end(&p);
}

static void test_wait_is_bounded(Share *s, gconstpointer unused)
{
    SessionLimits limits = session_default_limits;
    gint64 before;
    Client *c = &s->client;

    (void)unused;
    limits.max_lock_wait_msec = SHORT_WAIT_MS;
    begin_with_limits(s, &limits);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    before = g_get_monotonic_time();
    send_waiting(c, TAG, 0, 0, 2);
    g_assert_cmpint(await_status(c, TAG, LONG_MS), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(g_get_monotonic_time() - before, >=, SHORT_WAIT_MS * 1000 - 1000);
    expect_counts(s->ts, 1, 1);
}

/* At once, without a reply, and without the lock. */
static void test_flush_ends_the_wait(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *seen = NULL;

        send_waiting(c, TAG, 0, 0, 2);
        client_send_on(s->ts, i % SHARE_CHANNELS, TAG + 1, P9_TFLUSH, "w", TAG);
        g_free(test_session_await(s->ts, i % SHARE_CHANNELS, TAG + 1, QUICK_MS));
        g_assert_null(test_session_await(s->ts, 0, TAG, 5));
        seen = test_session_transcript(s->ts);
        g_assert_cmpstr(seen, ==, "");
        expect_counts(s->ts, 1, 1);
    }
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    expect_counts(s->ts, 0, 0);
}

/* A tag that is used again ends the wait of its old request, too. */
static void test_tag_reuse_ends_the_wait(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    begin(s);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    send_waiting(c, TAG, 0, 0, 2);
    send_lock(c, TAG, FID, P9_LOCK_WRITE, 0, 0, 0, 3);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_BLOCKED);
    while (lock_waits_count(test_session_session(s->ts)->lock_waits) > 0)
        g_usleep(1000);
    g_assert_null(test_session_await(s->ts, 0, TAG, 5));
}

/* Many wait, and everything else goes on. Each gets the lock in the end. */
static void test_waits_take_no_threads(Share *s, gconstpointer unused)
{
    enum { N = 200 };
    SessionLimits limits = session_default_limits;
    Client *c = &s->client;

    (void)unused;
    limits.max_threads = 2;
    begin_with_limits(s, &limits);
    g_assert_cmpint(lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < N; i++)
        send_waiting(c, (uint16_t)(TAG + i), 0, 0, 100 + i);
    expect_counts(s->ts, N + 1, 1);
    g_assert_cmpint(client_write(c, FID, 0, "x", 1), ==, 1);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "directory", 0755, SHARE_GID), ==, 0);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < N; i++) {
        g_autofree TestReply *reply = test_session_await(s->ts, 0, TEST_ANY_TAG, LONG_MS);

        g_assert_cmpint(status_of(reply), ==, P9_LOCK_SUCCESS);
        g_assert_cmpuint(test_session_n_replies(s->ts), ==, 0);
        g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 100u + reply->tag - TAG), ==,
                        P9_LOCK_SUCCESS);
    }
    expect_counts(s->ts, 0, 0);
}

/*
 * Limits
 */

static void test_limits(Share *s, gconstpointer unused)
{
    SessionLimits limits = session_default_limits;
    Client *c = &s->client;

    (void)unused;
    limits.locks = (LockLimits){.max_owners = 3, .max_ranges = 6};
    limits.max_lock_waits = 1;
    begin_with_limits(s, &limits);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 1, i), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 0, 1, 3), ==, -ENOLCK);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 10, 1, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 20, 1, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 30, 1, 0), ==, -ENOLCK);
    expect_counts(s->ts, 3, 5);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(lock(c, P9_LOCK_READ, 30, 1, 3), ==, P9_LOCK_SUCCESS);

    send_waiting(c, TAG, 0, 1, 1);
    send_lock(c, TAG + 1, FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 1, 2);
    g_assert_cmpint(await_status(c, TAG + 1, QUICK_MS), ==, P9_LOCK_BLOCKED);
    send_lock(c, TAG + 1, FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 1, 9);
    g_assert_cmpint(await_status(c, TAG + 1, QUICK_MS), ==, -ENOLCK);
    g_assert_cmpint(lock(c, P9_LOCK_UNLOCK, 0, 0, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(await_status(c, TAG, QUICK_MS), ==, P9_LOCK_SUCCESS);
}

/*
 * Against a model: one byte of owners and types for each byte of the file
 */

enum { MODEL_BYTES = 24, MODEL_OWNERS = 4, MODEL_STEPS = 3000 };

typedef struct Model {
    uint8_t held[MODEL_OWNERS][MODEL_BYTES]; /* P9_LOCK_ value */
} Model;

static bool model_conflicts(const Model *m, unsigned owner, uint8_t type, unsigned start,
                            unsigned end)
{
    for (unsigned o = 0; o < MODEL_OWNERS; o++) {
        for (unsigned i = start; o != owner && i < end; i++) {
            uint8_t held = m->held[o][i];
            if (held == P9_LOCK_WRITE || (held == P9_LOCK_READ && type == P9_LOCK_WRITE))
                return true;
        }
    }
    return false;
}

static unsigned model_ranges(const Model *m)
{
    unsigned n = 0;

    for (unsigned o = 0; o < MODEL_OWNERS; o++) {
        for (unsigned i = 0; i < MODEL_BYTES; i++) {
            uint8_t before = i == 0 ? P9_LOCK_UNLOCK : m->held[o][i - 1];
            n += m->held[o][i] != P9_LOCK_UNLOCK && m->held[o][i] != before;
        }
    }
    return n;
}

static void model_check(Share *s, const Model *m)
{
    unsigned n_owners, n_ranges;

    lock_table_count(test_session_session(s->ts)->locks, &n_owners, &n_ranges);
    g_assert_cmpuint(n_ranges, ==, model_ranges(m));
}

/* The last byte of the model stands for all behind it, too. */
static void model_step(Share *s, Two *two, Model *m)
{
    unsigned owner = (unsigned)g_random_int_range(0, MODEL_OWNERS);
    uint8_t type = (uint8_t)g_random_int_range(0, 3);
    unsigned start = (unsigned)g_random_int_range(0, MODEL_BYTES);
    unsigned end = (unsigned)g_random_int_range((int)start + 1, MODEL_BYTES + 1);
    uint64_t length = end == MODEL_BYTES ? 0 : end - start;
    bool conflict = type != P9_LOCK_UNLOCK && model_conflicts(m, owner, type, start, end);
    Found found;

    g_assert_cmpint(test_lock_for(&s->client, FID, type, start, length, owner, &found), ==, 0);
    g_assert_cmpint(
        found.type != P9_LOCK_UNLOCK, ==,
        model_conflicts(m, owner, type == P9_LOCK_READ ? type : P9_LOCK_WRITE, start, end));
    g_assert_cmpint(lock(&s->client, type, start, length, owner), ==,
                    conflict ? P9_LOCK_BLOCKED : P9_LOCK_SUCCESS);
    if (!conflict)
        memset(m->held[owner] + start, type, end - start);
    model_check(s, m);

    /* What the host's kernel thinks, from outside. */
    start = (unsigned)g_random_int_range(0, MODEL_BYTES);
    g_assert_cmpint(test_lock_for(&two->client, FID, P9_LOCK_READ, start, 1, 0, &found), ==, 0);
    g_assert_cmpint(found.type != P9_LOCK_UNLOCK, ==,
                    model_conflicts(m, MODEL_OWNERS, P9_LOCK_READ, start, start + 1));
    g_assert_cmpint(test_lock_for(&two->client, FID, P9_LOCK_WRITE, start, 1, 0, &found), ==, 0);
    g_assert_cmpint(found.type != P9_LOCK_UNLOCK, ==,
                    model_conflicts(m, MODEL_OWNERS, P9_LOCK_WRITE, start, start + 1));
}

static void test_model(Share *s, gconstpointer unused)
{
    Two two = begin_two(s);
    Model m;

    (void)unused;
    memset(&m, P9_LOCK_UNLOCK, sizeof(m));
    for (unsigned i = 0; i < MODEL_STEPS; i++)
        model_step(s, &two, &m);
    test_session_free(two.ts);
}

/*
 * Many at once
 */

enum { CROWD = 24, CROWD_TURNS = 1500 };

/* Owners that ask, wait, are cancelled and let go, at random. There is one lock: whoever has a
 * reply "success" is the only one to hold it. */
typedef struct Crowd {
    enum { RESTS, WAITS, FLUSHED, HOLDS, UNLOCKS } state[CROWD];
    bool flushing[CROWD]; /* the Rflush is still to come */
    unsigned n_granted;
} Crowd;

static void crowd_act(Share *s, Crowd *crowd, unsigned i)
{
    Client *c = &s->client;
    uint16_t tag = (uint16_t)(TAG + i);

    if (crowd->flushing[i])
        return;
    switch (crowd->state[i]) {
    case RESTS:
        send_lock(c, tag, FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 0, i);
        crowd->state[i] = WAITS;
        break;
    case WAITS:
        client_send_on(s->ts, i % SHARE_CHANNELS, (uint16_t)(tag + CROWD), P9_TFLUSH, "w", tag);
        crowd->state[i] = FLUSHED;
        crowd->flushing[i] = true;
        break;
    case HOLDS:
        send_lock(c, tag, FID, P9_LOCK_UNLOCK, 0, 0, 0, i);
        crowd->state[i] = UNLOCKS;
        break;
    default:
        break;
    }
}

static void crowd_hear(Crowd *crowd, const TestReply *reply)
{
    unsigned i = (unsigned)(reply->tag - TAG) % CROWD;

    if (reply->type == P9_TFLUSH + 1) {
        crowd->flushing[i] = false;
        if (crowd->state[i] == FLUSHED)
            crowd->state[i] = RESTS; /* no reply came: it has not got the lock */
        return;
    }
    g_assert_cmpint(status_of(reply), ==, P9_LOCK_SUCCESS);
    if (crowd->state[i] == UNLOCKS) {
        crowd->state[i] = RESTS;
        return;
    }
    for (unsigned other = 0; other < CROWD; other++)
        g_assert_cmpint(crowd->state[other], !=, HOLDS);
    crowd->state[i] = HOLDS;
    crowd->n_granted++;
}

static void crowd_listen(Share *s, Crowd *crowd)
{
    TestReply *reply;

    test_session_step(s->ts);
    while ((reply = test_session_take_reply(s->ts))) {
        crowd_hear(crowd, reply);
        g_free(reply);
    }
}

static bool crowd_rests(const Crowd *crowd)
{
    for (unsigned i = 0; i < CROWD; i++) {
        if (crowd->state[i] != RESTS)
            return false;
    }
    return true;
}

static void test_crowd(Share *s, gconstpointer unused)
{
    Crowd crowd = {0};
    gint64 until = g_get_monotonic_time() + LONG_MS * 1000;

    (void)unused;
    begin(s);
    for (unsigned turn = 0; turn < CROWD_TURNS; turn++) {
        unsigned i = (unsigned)g_random_int_range(0, CROWD);

        if (crowd.state[i] != WAITS || turn % 4 == 0)
            crowd_act(s, &crowd, i);
        for (i = 0; i < CROWD; i++) {
            if (crowd.state[i] == HOLDS)
                crowd_act(s, &crowd, i);
        }
        crowd_listen(s, &crowd);
    }
    while (!crowd_rests(&crowd) && g_get_monotonic_time() < until) {
        for (unsigned i = 0; i < CROWD; i++) {
            if (crowd.state[i] == HOLDS)
                crowd_act(s, &crowd, i);
        }
        crowd_listen(s, &crowd);
        test_session_wait(s->ts);
    }
    g_assert_true(crowd_rests(&crowd));
    expect_counts(s->ts, 0, 0);
    g_test_message("granted %u times", crowd.n_granted);
}

/*
 * Malformed messages
 */

static void check_truncated(Share *s, uint8_t type, GByteArray *m)
{
    for (guint length = P9_HEADER_SIZE; length <= m->len + 1; length++) {
        g_autofree uint8_t *bytes = g_malloc0(m->len + 1);
        g_autofree TestReply *reply = NULL;

        if (length == m->len)
            continue;
        memcpy(bytes, m->data, MIN(length, m->len));
        write_header(bytes, length, type, 9);
        test_publish(s->ts, 0, bytes, length);
        reply = test_session_await(s->ts, 0, 9, LONG_MS);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_RLERROR);
        g_assert_cmpuint(reply->bytes[P9_HEADER_SIZE], ==, EINVAL);
    }
    g_byte_array_free(m, TRUE);
}

static void test_malformed(Share *s, gconstpointer unused)
{
    (void)unused;
    begin(s);
    check_truncated(s, P9_TLOCK,
                    message_new(P9_TLOCK, 9, "dbdqqds", FID, P9_LOCK_READ, 0, (uint64_t)0,
                                (uint64_t)1, 1, "guest"));
    check_truncated(s, P9_TGETLOCK,
                    message_new(P9_TGETLOCK, 9, "dbqqds", FID, P9_LOCK_READ, (uint64_t)0,
                                (uint64_t)1, 1, "guest"));
    expect_counts(s->ts, 0, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/lock/owners-exclude-each-other", test_owners_exclude_each_other);
    share_add_test("/lock/upgrade-and-downgrade", test_upgrade_and_downgrade);
    share_add_test("/lock/sessions-exclude-each-other", test_sessions_exclude_each_other);
    share_add_test("/lock/host-processes-are-excluded", test_host_processes_are_excluded);
    share_add_test("/lock/names-do-not-matter", test_names_do_not_matter);
    share_add_test("/lock/modes-of-fids", test_modes_of_fids);
    share_add_test("/lock/what-cannot-be-locked", test_what_cannot_be_locked);
    share_add_test("/lock/ranges-and-arguments", test_ranges_and_arguments);
    share_add_test("/lock/clunk-frees", test_clunk_frees);
    share_add_test("/lock/last-unlock-closes", test_last_unlock_closes);
    share_add_test("/lock/reset-frees", test_reset_frees);
    share_add_test("/lock/hand-over-in-session", test_hand_over_in_session);
    share_add_test("/lock/blocking-but-free", test_blocking_but_free);
    share_add_test("/lock/hand-over-between-sessions", test_hand_over_between_sessions);
    share_add_test("/lock/hand-over-from-process", test_hand_over_from_process);
    share_add_test("/lock/wait-is-bounded", test_wait_is_bounded);
    share_add_test("/lock/flush-ends-the-wait", test_flush_ends_the_wait);
    share_add_test("/lock/tag-reuse-ends-the-wait", test_tag_reuse_ends_the_wait);
    share_add_test("/lock/waits-take-no-threads", test_waits_take_no_threads);
    share_add_test("/lock/limits", test_limits);
    share_add_test("/lock/model", test_model);
    share_add_test("/lock/crowd", test_crowd);
    share_add_test("/lock/malformed", test_malformed);
    return g_test_run();
}
