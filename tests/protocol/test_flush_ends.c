/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tflush and the end of things: tags used again, Tversion, the session's end, and full memory. */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

static void send_version(Scene *s, unsigned channel, uint16_t tag)
{
    client_send_on(s->ts, channel, tag, P9_TVERSION, "ds", SCENE_MSIZE, "9P2000.L");
}

static void send_getattr(Scene *s, unsigned channel, uint16_t tag)
{
    client_send_on(s->ts, channel, tag, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
}

/*
 * Tags used again
 */

static void test_reuse_after_rflush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_flush_write(s, 0, 0);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    scene_expect(s, "0:Rflush/6");
    send_getattr(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rgetattr/5 0:Rflush/6");
    scene_release_writes(s, "");
}

static void test_reuse_while_running(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    send_getattr(s, 0, 5);
    scene_expect(s, "0:Rgetattr/5");
    scene_release_writes(s, "");
}

static void test_reuse_while_queued(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 1);

    scene_block_write(s, 0, 4, 1);
    scene_send_write(s, 0, 5);
    send_getattr(s, 0, 5);
    scene_expect(s, "0:Rgetattr/5");
    scene_release_writes(s, "0:Rwrite/4");
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 1);
}

static void test_reuse_while_reply_waits(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    test_channel_hold(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    send_getattr(s, 0, 5);
    scene_expect_nothing(s);
    test_channel_hold(s->ts, 0, false);
    scene_expect(s, "0:Rgetattr/5");
}

static void test_reuse_on_another_channel(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_block_write(s, 0, 5, 1);
    send_getattr(s, 1, 5);
    scene_expect(s, "1:Rgetattr/5");
    scene_release_writes(s, "");
}

/* As a client does that was killed while it waited for Rflush: both tags are used again. */
static void test_reuse_of_both_tags(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_flush_write(s, 0, 1);
    send_getattr(s, 0, 5);
    send_getattr(s, 1, 6);
    scene_expect(s, "0:Rgetattr/5 1:Rgetattr/6");
    scene_release_writes(s, "");
}

/* The old request's Tflush is still waited for: it is answered when that one has ended. */
static void test_reuse_with_waiting_flush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_flush_write(s, 0, 1);
    send_getattr(s, 0, 5);
    scene_expect(s, "0:Rgetattr/5");
    scene_release_writes(s, "1:Rflush/6");
}

/* A Tflush after the tag was used again means the new request. */
static void test_flush_of_reused_tag(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    scene_block_write(s, 0, 5, 2);
    scene_send_flush(s, 0, 6, 5);
    scene_expect_nothing(s);
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/6");
}

static void test_reuse_of_abandoned_leaves_fids(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);

    memory_fs_close_gate(s->fs, MEMORY_WALK);
    client_send(s->ts, 5, P9_TWALK, "ddws", SCENE_ROOT, 9, 1, "file");
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WALK, 1);
    send_getattr(s, 0, 5);
    scene_expect(s, "0:Rgetattr/5");
    memory_fs_open_gate(s->fs, MEMORY_WALK);
    scene_expect_nothing(s);
    g_assert_false(client_has_fid(&s->client, 9));
}

static void test_reuse_of_queued_clunk_clunks(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 1);

    scene_block_write(s, 0, 4, 1);
    client_send(s->ts, 5, P9_TCLUNK, "d", SCENE_DIRECTORY);
    test_session_step(s->ts);
    send_getattr(s, 0, 5);
    test_session_step(s->ts);
    scene_release_writes(s, "0:Rwrite/4 0:Rgetattr/5");
    g_assert_false(client_has_fid(&s->client, SCENE_DIRECTORY));
}

/*
 * Tversion
 */

static void test_version_drops_waiting_flushes(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 0, 6, 5);
    scene_send_flush(s, 1, 7, 5);
    scene_expect_nothing(s);
    send_version(s, 1, P9_NOTAG);
    scene_expect(s, "1:Rversion/65535");
    scene_release_writes(s, "");
}

static void test_version_drops_flushes_that_take(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    send_version(s, 1, P9_NOTAG);
    scene_expect(s, "1:Rversion/65535");
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "0:Rlerror(2)/5"); /* a request of the new session, to an unknown fid */
}

static void test_version_drops_flushes_that_settle(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_keep(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_expect(s, "0:Rwrite/5");
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    send_version(s, 1, P9_NOTAG);
    scene_expect(s, "1:Rversion/65535");
    test_channel_consume(s->ts, 0);
    scene_expect_nothing(s);
}

static void test_version_drops_replies_that_wait_for_room(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    test_channel_hold(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    send_version(s, 0, 7);
    scene_expect_nothing(s);
    test_channel_hold(s->ts, 0, false);
    scene_expect(s, "0:Rversion/7");
}

/* With the tag of a request in flight, and with the one that a Tflush waits for. */
static void test_version_with_a_busy_tag(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_flush_write(s, 0, 0);
    send_version(s, 0, 5);
    scene_expect(s, "0:Rversion/5");
    scene_release_writes(s, "");
}

static void test_flush_of_version(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    send_version(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rversion/5 0:Rflush/6");
}

/*
 * The session's end
 */

/* Requests queued, running, with a reply that waits, and Tflushes that wait for each of them. */
static void test_stop_with_everything_in_flight(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 3, 2);

    test_channel_hold(s->ts, 2, true);
    scene_send_flush(s, 2, 20, 99);
    send_getattr(s, 2, 21);
    test_session_step(s->ts);
    scene_send_flush(s, 1, 22, 21);
    test_session_step(s->ts);
    scene_block_write(s, 0, 4, 1);
    scene_block_write(s, 0, 5, 2);
    scene_send_write(s, 0, 6);
    scene_send_write(s, 1, 7);
    scene_send_flush(s, 1, 8, 5);
    scene_send_flush(s, 0, 9, 8);
    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 10);
    scene_send_flush(s, 1, 11, 10);
    scene_expect_nothing(s);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
}

/* A Tflush that was let go of by its target just when the session ends. */
static void test_stop_while_flush_settles(void)
{
    Scene *s = scene_new(FS_LOCAL, 2, 4);

    test_channel_keep(s->ts, 0, true);
    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 1, 6, 5);
    test_session_step(s->ts);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    while (test_session_n_replies(s->ts) == 0)
        test_session_wait(s->ts);
    g_usleep(G_TIME_SPAN_MILLISECOND); /* the waiters go after the reply is out */
    scene_free(s);
}

static void test_stop_while_replies_wait(void)
{
    Scene *s = scene_new(FS_MEMORY, 2, 4);

    test_channel_keep(s->ts, 1, true);
    test_channel_hold(s->ts, 0, true);
    for (uint16_t tag = 1; tag < 50; tag++) {
        scene_send_write(s, 0, tag);
        scene_send_flush(s, tag % 2, (uint16_t)(tag + 100), tag);
        test_session_step(s->ts);
    }
    scene_free(s);
}

static void test_stop_with_unread_requests(void)
{
    Scene *s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 1, 6, 5);
    test_session_step(s->ts);
    scene_free(s);
}

/*
 * Full memory
 */

static void test_flush_when_memory_is_full(void)
{
    SessionLimits limits = {
        .device = {.max_fids = 100, .max_threads = 4, .max_inflight = 40 * 1024}};
    g_autoptr(Scene) s = scene_new_with_limits(FS_LOCAL, 2, &limits);
    unsigned n_blocked = 0;

    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    for (uint16_t tag = 100; tag < 120; tag++)
        scene_send_write(s, 0, tag);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, limits.device.max_threads);
    n_blocked = limits.device.max_threads;
    scene_expect_nothing(s);

    scene_send_flush(s, 1, 6, 100); /* runs */
    scene_expect_nothing(s);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    /* The other three are not cancelled: they run again and wait at the gate once more. */
    while (memory_fs_n_runs(s->fs, MEMORY_WRITE) < 2 * n_blocked - 1)
        test_session_wait(s->ts);
    TestReply *reply = test_session_await(s->ts, 1, 6, 20000);
    g_assert_nonnull(reply);
    g_free(reply);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 19);
    g_autofree char *seen = test_session_transcript(s->ts);
    g_assert_null(strstr(seen, "/100"));
    scene_expect_nothing(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/flush-ends/reuse/after-rflush", test_reuse_after_rflush);
    g_test_add_func("/flush-ends/reuse/running", test_reuse_while_running);
    g_test_add_func("/flush-ends/reuse/queued", test_reuse_while_queued);
    g_test_add_func("/flush-ends/reuse/reply-waits", test_reuse_while_reply_waits);
    g_test_add_func("/flush-ends/reuse/another-channel", test_reuse_on_another_channel);
    g_test_add_func("/flush-ends/reuse/both-tags", test_reuse_of_both_tags);
    g_test_add_func("/flush-ends/reuse/waiting-flush", test_reuse_with_waiting_flush);
    g_test_add_func("/flush-ends/reuse/then-flush", test_flush_of_reused_tag);
    g_test_add_func("/flush-ends/reuse/leaves-fids", test_reuse_of_abandoned_leaves_fids);
    g_test_add_func("/flush-ends/reuse/queued-clunk", test_reuse_of_queued_clunk_clunks);
    g_test_add_func("/flush-ends/version/waiting-flushes", test_version_drops_waiting_flushes);
    g_test_add_func("/flush-ends/version/taking-flushes", test_version_drops_flushes_that_take);
    g_test_add_func("/flush-ends/version/settling-flushes", test_version_drops_flushes_that_settle);
    g_test_add_func("/flush-ends/version/replies-that-wait",
                    test_version_drops_replies_that_wait_for_room);
    g_test_add_func("/flush-ends/version/busy-tag", test_version_with_a_busy_tag);
    g_test_add_func("/flush-ends/version/flushed", test_flush_of_version);
    g_test_add_func("/flush-ends/stop/everything-in-flight", test_stop_with_everything_in_flight);
    g_test_add_func("/flush-ends/stop/flush-settles", test_stop_while_flush_settles);
    g_test_add_func("/flush-ends/stop/replies-wait", test_stop_while_replies_wait);
    g_test_add_func("/flush-ends/stop/unread-requests", test_stop_with_unread_requests);
    g_test_add_func("/flush-ends/memory-full", test_flush_when_memory_is_full);
    return g_test_run();
}
