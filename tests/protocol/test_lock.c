/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks on a host directory: between owners, sessions, and processes of this host. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "tests/lib/lock_share.h"

enum { TAG = 40, LONG_MS = 20000 };

static void expect_free(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id)
{
    LockFound found;

    g_assert_cmpint(client_getlock(c, LOCK_FID, type, start, length, proc_id, &found), ==, 0);
    g_assert_cmpuint(found.type, ==, P9_LOCK_UNLOCK);
    g_assert_cmpuint(found.start, ==, start);
    g_assert_cmpuint(found.length, ==, length);
    g_assert_cmpuint(found.proc_id, ==, proc_id);
    g_assert_cmpstr(found.client_id, ==, "guest");
}

static void expect_held(Client *c, uint8_t type, uint64_t start, uint64_t length, uint32_t proc_id,
                        LockFound expected)
{
    LockFound found;

    g_assert_cmpint(client_getlock(c, LOCK_FID, type, start, length, proc_id, &found), ==, 0);
    g_assert_cmpuint(found.type, ==, expected.type);
    g_assert_cmpuint(found.start, ==, expected.start);
    g_assert_cmpuint(found.length, ==, expected.length);
    g_assert_cmpuint(found.proc_id, ==, expected.proc_id);
    g_assert_cmpstr(found.client_id, ==, expected.client_id);
}

/*
 * Owners
 */

static void test_owners_exclude_each_other(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 10, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 10, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 19, 1, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock_for(c, LOCK_FID, P9_LOCK_READ, 10, 1, 1, "other"), ==,
                    P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 20, 0, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 10, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, LOCK_FID, P9_LOCK_READ, 0, 5, 1, "other"), ==,
                    P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_READ, 0, 0, 2, (LockFound){P9_LOCK_WRITE, 10, 10, 1, "guest"});
    expect_held(c, P9_LOCK_UNLOCK, 3, 1, 2, (LockFound){P9_LOCK_READ, 0, 5, 1, "other"});
    expect_held(c, P9_LOCK_READ, 1000, 1, 1, (LockFound){P9_LOCK_WRITE, 20, 0, 2, "guest"});
    expect_free(c, P9_LOCK_READ, 0, 10, 1);
    expect_free(c, P9_LOCK_WRITE, 10, 10, 1);
    expect_lock_counts(s->ts, 3, 4);

    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 12, 2, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 12, 2, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 14, 1, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 14, 1, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 3), ==, P9_LOCK_SUCCESS);
}

/* One fcntl() owner may turn its locks into each other; the rest stays as it was. */
static void test_upgrade_and_downgrade(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 100, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 100, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 50, 10, 1), ==, P9_LOCK_BLOCKED);
    expect_lock_counts(s->ts, 2, 2);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 50, 10, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 50, 10, 1), ==, P9_LOCK_SUCCESS);
    expect_lock_counts(s->ts, 2, 5);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 55, 1, 3), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 99, 1, 3), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 100, 1), ==, P9_LOCK_SUCCESS);
    expect_lock_counts(s->ts, 2, 3);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 55, 1, 3), ==, P9_LOCK_SUCCESS);
}

static void test_sessions_exclude_each_other(Share *s, gconstpointer unused)
{
    TwoSessions two = share_begin_two(s);

    (void)unused;
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(&two.client, P9_LOCK_READ, 5, 1, 1), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(client_lock(&two.client, P9_LOCK_READ, 10, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 10, 1, 1), ==, P9_LOCK_BLOCKED);
    expect_held(&two.client, P9_LOCK_READ, 0, 0, 1, (LockFound){P9_LOCK_WRITE, 0, 10, 0, ""});
    expect_held(&s->client, P9_LOCK_UNLOCK, 0, 0, 1, (LockFound){P9_LOCK_READ, 10, 0, 0, ""});
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(&two.client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 3, 1, 1), ==, P9_LOCK_BLOCKED);
    test_session_free(two.ts);
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 3, 1, 1), ==, P9_LOCK_SUCCESS);
}

static void test_host_processes_are_excluded(Share *s, gconstpointer unused)
{
    Locker p;
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    p = locker_start(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(locker_lock(&p, F_RDLCK, 9, 1), ==, -EAGAIN);
    g_assert_cmpint(locker_lock(&p, F_WRLCK, 10, 5), ==, 0);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 14, 1, 1), ==, P9_LOCK_BLOCKED);
    expect_held(c, P9_LOCK_READ, 0, 0, 1, (LockFound){P9_LOCK_WRITE, 10, 5, (uint32_t)p.pid, ""});
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(locker_lock(&p, F_RDLCK, 0, 0), ==, 0);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_BLOCKED);
    locker_end(&p);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
}

/* The lock is the file's, whatever its names. */
static void test_names_do_not_matter(Share *s, gconstpointer unused)
{
    g_autofree char *path = share_path(s, "file");
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 9, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_link(c, SHARE_ROOT, 9, "link"), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "link", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_lock_for(c, 2, P9_LOCK_WRITE, 0, 0, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(client_unlinkat(c, SHARE_ROOT, "link", 0), ==, 0);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 0, 2), ==, P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_WRITE, 0, 1, 1, (LockFound){P9_LOCK_READ, 0, 0, 2, "guest"});
}

/* As flock() has it: the client checks modes where they matter. */
static void test_modes_of_fids(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", 0), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "file", P9_L_WRONLY), ==, 0);
    g_assert_cmpint(client_lock_for(c, 2, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_READ, 1, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_READ, 0, 1, 2, "guest"), ==, P9_LOCK_BLOCKED);
}

static void test_what_cannot_be_locked(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    LockFound found;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_walk(c, SHARE_ROOT, 2, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_lock_for(c, 2, P9_LOCK_READ, 0, 1, 1, "guest"), ==, -EBADF);
    g_assert_cmpint(client_getlock(c, 2, P9_LOCK_READ, 0, 1, 1, &found), ==, -EBADF);
    g_assert_cmpint(client_lock_for(c, 99, P9_LOCK_READ, 0, 1, 1, "guest"), ==, -ENOENT);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "", 0), ==, 0);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_READ, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, -EBADF);
    expect_lock_counts(s->ts, 1, 1);
}

static void test_ranges_and_arguments(Share *s, gconstpointer unused)
{
    g_autofree char *long_id = g_strnfill(256, 'x');
    Client *c = &s->client;
    LockFound found;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, 3, 0, 1, 1), ==, -EINVAL);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 1ULL << 63, 1, 1), ==, -EINVAL);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 1, INT64_MAX, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 2, INT64_MAX, 1), ==, -EOVERFLOW);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, UINT64_MAX, 1), ==, -EOVERFLOW);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, INT64_MAX, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, INT64_MAX, 0, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, INT64_MAX, 2, 1), ==, -EOVERFLOW);
    g_assert_cmpint(client_lock_for(c, LOCK_FID, P9_LOCK_READ, 0, 1, 1, long_id), ==,
                    -ENAMETOOLONG);
    g_assert_cmpint(client_lock_for(c, LOCK_FID, P9_LOCK_READ, 0, 1, 2, ""), ==, P9_LOCK_SUCCESS);
    expect_held(c, P9_LOCK_WRITE, 5, 1, 3, (LockFound){P9_LOCK_READ, 1, 0, 1, "guest"});
    g_assert_cmpint(client_getlock(c, LOCK_FID, 3, 0, 1, 1, &found), ==, -EINVAL);
    g_assert_cmpint(client_getlock(c, LOCK_FID, 0, 2, INT64_MAX, 1, &found), ==, -EOVERFLOW);

    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_READ, 4, 0, 1, 1);
    g_assert_cmpint(client_await_lock(c, TAG), ==, -EINVAL);
    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_READ, P9_LOCK_FLAGS_RECLAIM, 0, 1, 1);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_SUCCESS);
}

/*
 * The end of locks
 */

static void test_clunk_frees(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 2, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_open_path(c, SHARE_ROOT, 3, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_lock_for(c, 2, P9_LOCK_WRITE, 0, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_WRITE, 1, 1, 1, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock_for(c, 3, P9_LOCK_WRITE, 2, 1, 2, "guest"), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_clunk(c, LOCK_FID), ==, 0); /* nothing was locked through this one */
    expect_lock_counts(s->ts, 2, 2);
    g_assert_cmpint(client_clunk(c, 2), ==, 0); /* the owner has another one */
    expect_lock_counts(s->ts, 2, 2);
    g_assert_cmpint(client_remove(c, 3), ==, 0);
    expect_lock_counts(s->ts, 0, 0);
}

static void test_last_unlock_closes(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    unsigned before;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    before = count_descriptors();
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 10, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 1000 + i, 1, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 10, 77), ==, P9_LOCK_BLOCKED);
    }
    g_assert_cmpuint(count_descriptors(), ==, before + 20);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 1000 + i, 1, i), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 10, i), ==, P9_LOCK_SUCCESS);
    }
    expect_lock_counts(s->ts, 0, 0);
    g_assert_cmpuint(count_descriptors(), ==, before);
}

/*
 * Limits
 */

static void test_limits(Share *s, gconstpointer unused)
{
    SessionLimits limits = session_default_limits;
    Client *c = &s->client;

    (void)unused;
    limits.device.max_lock_owners = 3;
    limits.device.max_lock_ranges = 6;
    limits.device.max_lock_waits = 1;
    share_begin_locks_with_limits(s, &limits);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 1, i), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 1, 3), ==, -ENOLCK);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 10, 1, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 20, 1, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 30, 1, 0), ==, -ENOLCK);
    expect_lock_counts(s->ts, 3, 5);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 0), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 30, 1, 3), ==, P9_LOCK_SUCCESS);

    client_send_waiting_lock(c, TAG, 0, 1, 1);
    client_send_lock(c, TAG + 1, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 1, 2);
    g_assert_cmpint(client_await_lock(c, TAG + 1), ==, P9_LOCK_BLOCKED);
    client_send_lock(c, TAG + 1, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 1, 9);
    g_assert_cmpint(client_await_lock(c, TAG + 1), ==, -ENOLCK);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 2), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_SUCCESS);
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
    share_begin_locks(s);
    check_truncated(s, P9_TLOCK,
                    message_new(P9_TLOCK, 9, "dbdqqds", LOCK_FID, P9_LOCK_READ, 0, (uint64_t)0,
                                (uint64_t)1, 1, "guest"));
    check_truncated(s, P9_TGETLOCK,
                    message_new(P9_TGETLOCK, 9, "dbqqds", LOCK_FID, P9_LOCK_READ, (uint64_t)0,
                                (uint64_t)1, 1, "guest"));
    expect_lock_counts(s->ts, 0, 0);
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
    share_add_test("/lock/limits", test_limits);
    share_add_test("/lock/malformed", test_malformed);
    return g_test_run();
}
