/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tlocks that wait: how they get the lock, and how else their wait ends. */
#include <errno.h>
#include <fcntl.h>

#include "tests/lib/lock_share.h"

enum { SHORT_WAIT_MS = 200, LONG_MS = 20000, TAG = 40 };

static void await_no_waits(TestSession *ts)
{
    while (lock_waits_count(test_session_session(ts)->lock_waits) > 0)
        g_usleep(1000);
}

static void test_reset_frees(Share *s, gconstpointer unused)
{
    TwoSessions two = share_begin_two(s);

    (void)unused;
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    client_send_waiting_lock(&s->client, TAG, 0, 1, 2);
    client_start(&s->client, SHARE_MSIZE, SHARE_ROOT, SHARE_UID);
    expect_lock_counts(s->ts, 0, 0);
    g_assert_cmpint(client_lock(&two.client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    await_no_waits(s->ts);
    g_assert_null(test_session_await(s->ts, 0, TAG, 5));
    client_open_lock_file(&s->client);
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 0, 0, 2), ==, P9_LOCK_BLOCKED);
    client_send_waiting_lock(&two.client, TAG, 0, 1, 2);
    test_session_free(two.ts); /* as when the guest is destroyed, with one that waits */
    g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 0, 0, 2), ==, P9_LOCK_SUCCESS);
}

/* Which of TAG and TAG + 1 has got the lock. */
static uint16_t await_either(TestSession *ts)
{
    g_autofree TestReply *reply = test_session_await(ts, 0, TEST_ANY_TAG, LONG_MS);

    g_assert_cmpint(lock_status(reply), ==, P9_LOCK_SUCCESS);
    g_assert_true(reply->tag == TAG || reply->tag == TAG + 1);
    return reply->tag;
}

/* The oldest is tried first, but another one may be being tried when the lock becomes free. */
static void test_hand_over_in_session(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    uint16_t first;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 10, 1), ==, P9_LOCK_SUCCESS);
    client_send_waiting_lock(c, TAG, 5, 1, 2);
    client_send_waiting_lock(c, TAG + 1, 5, 1, 3);
    client_send_waiting_lock(c, TAG + 2, 0, 1, 4);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 5, 1, 1), ==, P9_LOCK_SUCCESS);
    first = await_either(s->ts);
    g_assert_null(test_session_await(s->ts, 0, 2 * TAG + 1 - first, 20));
    g_assert_cmpint(client_lock(c, P9_LOCK_READ, 0, 1, 1), ==, P9_LOCK_SUCCESS);
    g_assert_null(test_session_await(s->ts, 0, TAG + 2, 20));
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 2u + first - TAG), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_await_lock(c, 2 * TAG + 1 - first), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(client_clunk(c, LOCK_FID), ==, 0);
    g_assert_cmpint(client_await_lock(c, TAG + 2), ==, -EBADF);
    expect_lock_counts(s->ts, 0, 0);
}

/* A request that need not wait does not. */
static void test_blocking_but_free(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 0, 1);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_SUCCESS);
    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_UNLOCK, P9_LOCK_FLAGS_BLOCK, 0, 0, 1);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_SUCCESS);
    expect_lock_counts(s->ts, 0, 0);
}

static void test_hand_over_between_sessions(Share *s, gconstpointer unused)
{
    TwoSessions two = share_begin_two(s);

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpint(client_lock(&s->client, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
        client_send_waiting_lock(&two.client, TAG, 0, 0, 1);
        g_usleep(i * 5000);
        g_assert_cmpint(client_lock(&s->client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(client_await_lock(&two.client, TAG), ==, P9_LOCK_SUCCESS);
        g_assert_cmpint(client_lock(&two.client, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    }
    test_session_free(two.ts);
}

static void test_hand_over_from_process(Share *s, gconstpointer unused)
{
    Locker p;
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    p = locker_start(s);
    g_assert_cmpint(locker_lock(&p, F_WRLCK, 0, 0), ==, 0);
    client_send_waiting_lock(c, TAG, 3, 1, 1);
    g_usleep(50 * 1000);
    g_assert_cmpint(locker_lock(&p, F_UNLCK, 0, 0), ==, 0);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_SUCCESS);
    g_assert_cmpint(locker_lock(&p, F_RDLCK, 3, 1), ==, -EAGAIN);
    locker_end(&p);
}

static void test_wait_is_bounded(Share *s, gconstpointer unused)
{
    SessionLimits limits = session_default_limits;
    gint64 before;
    Client *c = &s->client;

    (void)unused;
    limits.max_lock_wait_msec = SHORT_WAIT_MS;
    share_begin_locks_with_limits(s, &limits);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    before = g_get_monotonic_time();
    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 0, 2);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_BLOCKED);
    g_assert_cmpint(g_get_monotonic_time() - before, >=, SHORT_WAIT_MS * 1000 - 1000);
    expect_lock_counts(s->ts, 1, 1);
}

/* At once, without a reply, and without the lock. */
static void test_flush_ends_the_wait(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree TestReply *flushed = NULL;
        g_autofree char *seen = NULL;

        client_send_waiting_lock(c, TAG, 0, 0, 2);
        client_send_on(s->ts, i % SHARE_CHANNELS, TAG + 1, P9_TFLUSH, "w", TAG);
        flushed = test_session_await(s->ts, i % SHARE_CHANNELS, TAG + 1, LONG_MS);
        g_assert_nonnull(flushed);
        g_assert_null(test_session_await(s->ts, 0, TAG, 5));
        seen = test_session_transcript(s->ts);
        g_assert_cmpstr(seen, ==, "");
        expect_lock_counts(s->ts, 1, 1);
    }
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    expect_lock_counts(s->ts, 0, 0);
}

/* A tag that is used again ends the wait of its old request, too. */
static void test_tag_reuse_ends_the_wait(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    share_begin_locks(s);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    client_send_waiting_lock(c, TAG, 0, 0, 2);
    client_send_lock(c, TAG, LOCK_FID, P9_LOCK_WRITE, 0, 0, 0, 3);
    g_assert_cmpint(client_await_lock(c, TAG), ==, P9_LOCK_BLOCKED);
    await_no_waits(s->ts);
    g_assert_null(test_session_await(s->ts, 0, TAG, 5));
}

/* Many wait, and everything else goes on. Each gets the lock in the end. */
static void test_waits_take_no_threads(Share *s, gconstpointer unused)
{
    enum { N = 200 };
    SessionLimits limits = session_default_limits;
    Client *c = &s->client;

    (void)unused;
    limits.device.max_threads = 2;
    share_begin_locks_with_limits(s, &limits);
    g_assert_cmpint(client_lock(c, P9_LOCK_WRITE, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < N; i++)
        client_send_waiting_lock(c, (uint16_t)(TAG + i), 0, 0, 100 + i);
    expect_lock_counts(s->ts, N + 1, 1);
    g_assert_cmpint(client_write(c, LOCK_FID, 0, "x", 1), ==, 1);
    g_assert_cmpint(client_mkdir(c, SHARE_ROOT, "directory", 0755, SHARE_GID), ==, 0);
    g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 1), ==, P9_LOCK_SUCCESS);
    for (unsigned i = 0; i < N; i++) {
        g_autofree TestReply *reply = test_session_await(s->ts, 0, TEST_ANY_TAG, LONG_MS);

        g_assert_cmpint(lock_status(reply), ==, P9_LOCK_SUCCESS);
        g_assert_cmpuint(test_session_n_replies(s->ts), ==, 0);
        g_assert_cmpint(client_lock(c, P9_LOCK_UNLOCK, 0, 0, 100u + reply->tag - TAG), ==,
                        P9_LOCK_SUCCESS);
    }
    expect_lock_counts(s->ts, 0, 0);
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
        client_send_lock(c, tag, LOCK_FID, P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 0, 0, i);
        crowd->state[i] = WAITS;
        break;
    case WAITS:
        client_send_on(s->ts, i % SHARE_CHANNELS, (uint16_t)(tag + CROWD), P9_TFLUSH, "w", tag);
        crowd->state[i] = FLUSHED;
        crowd->flushing[i] = true;
        break;
    case HOLDS:
        client_send_lock(c, tag, LOCK_FID, P9_LOCK_UNLOCK, 0, 0, 0, i);
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
    g_assert_cmpint(lock_status(reply), ==, P9_LOCK_SUCCESS);
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
    share_begin_locks(s);
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
    expect_lock_counts(s->ts, 0, 0);
    g_test_message("granted %u times", crowd.n_granted);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test("/lock-wait/reset-frees", test_reset_frees);
    share_add_test("/lock-wait/hand-over-in-session", test_hand_over_in_session);
    share_add_test("/lock-wait/blocking-but-free", test_blocking_but_free);
    share_add_test("/lock-wait/hand-over-between-sessions", test_hand_over_between_sessions);
    share_add_test("/lock-wait/hand-over-from-process", test_hand_over_from_process);
    share_add_test("/lock-wait/wait-is-bounded", test_wait_is_bounded);
    share_add_test("/lock-wait/flush-ends-the-wait", test_flush_ends_the_wait);
    share_add_test("/lock-wait/tag-reuse-ends-the-wait", test_tag_reuse_ends_the_wait);
    share_add_test("/lock-wait/waits-take-no-threads", test_waits_take_no_threads);
    share_add_test("/lock-wait/crowd", test_crowd);
    return g_test_run();
}
