/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tflush when it comes on another channel than its target, as it mostly does with two rings. */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

enum {
    SETTLE_MS = 100,
    LONG_MS = 20000,
    ATTEMPTS = 50, /* for what takes less time than SETTLE_MS on a machine that is not busy */
};

static void test_queued_elsewhere(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);

    scene_block_write(s, 0, 4, 1);
    scene_send_write(s, 0, 5);
    test_session_step(s->ts);
    scene_send_flush(s, 1, 6, 5);
    scene_expect(s, "1:Rflush/6");
    scene_release_writes(s, "0:Rwrite/4");
}

static void test_running_elsewhere_completes(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_flush_write(s, 0, 1);
    scene_release_writes(s, "0:Rwrite/5 1:Rflush/6");
}

static void test_running_elsewhere_fails(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_flush_write(s, 1, 0);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EIO);
    scene_expect(s, "1:Rlerror(5)/5 0:Rflush/6");
}

/* The target's reply goes out, but the client has not looked at it: Rflush waits until it has. */
static void test_unconsumed_reply_delays_rflush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_keep(s->ts, 0, true);
    test_channel_consume(s->ts, 0);
    scene_flush_write(s, 0, 1);
    scene_release_writes(s, "0:Rwrite/5");
    test_channel_consume(s->ts, 0);
    scene_expect(s, "1:Rflush/6");
}

/* Consumed in part is not consumed. */
static void test_unconsumed_reply_does_not_delay_for_ever(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);
    gint64 begin;
    TestReply *reply;

    test_channel_keep(s->ts, 0, true);
    scene_flush_write(s, 0, 1);
    begin = g_get_monotonic_time();
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    reply = test_session_await(s->ts, 1, 6, LONG_MS);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, SETTLE_MS * 900);
    g_assert_nonnull(reply);
    g_free(reply);
    scene_expect(s, "0:Rwrite/5");
}

/* How long the Rflush of an interrupted target takes while its channel is not consumed. */
static gint64 time_rflush_of_interrupted(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);
    gint64 begin, end;

    test_channel_keep(s->ts, 0, true);
    scene_send_write(s, 0, 4);
    scene_expect(s, "0:Rwrite/4");
    scene_flush_write(s, 0, 1);
    begin = g_get_monotonic_time();
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    scene_expect(s, "1:Rflush/6");
    end = g_get_monotonic_time();
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    return end - begin;
}

/* It leaves nothing on its channel that anybody could have to consume. */
static void test_interrupted_elsewhere_does_not_settle(void)
{
    unsigned n = 1;

    while (n < ATTEMPTS && time_rflush_of_interrupted() >= SETTLE_MS * 800)
        n++;
    g_assert_cmpuint(n, <, ATTEMPTS);
}

/* Answered before the Tflush came, and not looked at. */
static void test_answered_elsewhere_not_consumed(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_keep(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_expect(s, "0:Rwrite/5");
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_consume(s->ts, 0);
    scene_expect(s, "1:Rflush/6");
}

static void test_reply_waits_for_room_elsewhere(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 2, 4);

    test_channel_hold(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    test_session_step(s->ts);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_hold(s->ts, 0, false);
    scene_expect(s, "0:Rwrite/5 1:Rflush/6");
}

/* The Rflush itself can have to wait for room, too. */
static void test_rflush_waits_for_room(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_hold(s->ts, 1, true);
    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 1, 6, 5);
    test_session_step(s->ts);
    scene_release_writes(s, "0:Rwrite/5");
    test_channel_hold(s->ts, 1, false);
    scene_expect(s, "1:Rflush/6");
}

/* Published before the Tflush, but the reader has not come to it: it is never started. */
static void test_not_taken_yet(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 4);
    scene_send_write(s, 0, 5);
    scene_send_write(s, 0, 7);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    test_session_await_count(s->ts, 3);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 2);
    TestReply *reply = test_session_await(s->ts, 1, 6, LONG_MS);
    g_assert_nonnull(reply);
    g_free(reply);
    g_assert_null(test_session_await(s->ts, 0, 5, 5));
    g_assert_cmpuint(test_session_n_replies(s->ts), ==, 2);
}

static void not_taken_yet_clunks(uint8_t type)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    client_send(s->ts, 5, type, "d", SCENE_DIRECTORY);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/6");
    g_assert_false(client_has_fid(&s->client, SCENE_DIRECTORY));
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_REMOVE), ==, 0);
}

static void test_clunk_not_taken_yet_clunks(void)
{
    not_taken_yet_clunks(P9_TCLUNK);
}

static void test_remove_not_taken_yet_clunks(void)
{
    not_taken_yet_clunks(P9_TREMOVE);
}

static void test_malformed_not_taken_yet(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    client_send(s->ts, 5, P9_TCLUNK, "b", 1);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/6");
    g_assert_true(client_has_fid(&s->client, SCENE_FILE));
}

/* What is published after the Tflush is another request with the same tag. */
static void test_published_after_the_flush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 4);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    client_send(s->ts, 5, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    test_channel_pause(s->ts, 0, false);
    test_session_await_count(s->ts, 3);
    for (unsigned i = 0; i < 3; i++) {
        static const struct {
            unsigned channel;
            int tag;
        } expected[] = {{0, 4}, {0, 5}, {1, 6}};
        TestReply *reply = test_session_await(s->ts, expected[i].channel, expected[i].tag, LONG_MS);
        g_assert_nonnull(reply);
        g_free(reply);
    }
    scene_expect_nothing(s);
}

/* Half a message is not a published request: the Tflush does not wait for its other half. */
static void test_half_published(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);
    GByteArray *write = message_new(P9_TWRITE, 5, "dqD", SCENE_FILE, (uint64_t)0, 3u, "abc");

    for (guint half = 1; half < write->len; half += 5) {
        test_publish(s->ts, 0, write->data, half);
        scene_send_flush(s, 1, 6, 5);
        scene_expect(s, "1:Rflush/6");
        test_publish(s->ts, 0, write->data + half, write->len - half);
        scene_expect(s, "0:Rwrite/5");
    }
    g_byte_array_free(write, TRUE);
}

/* Whole requests in front of the half one are waited for. */
static void test_half_published_behind_the_target(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);
    GByteArray *write = message_new(P9_TWRITE, 7, "dqD", SCENE_FILE, (uint64_t)0, 3u, "abc");

    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    test_publish(s->ts, 0, write->data, write->len - 2);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/6");
    test_publish(s->ts, 0, write->data + write->len - 2, 2);
    scene_expect(s, "0:Rwrite/7");
    g_byte_array_free(write, TRUE);
}

/* A Tflush that was flushed before it ran is cancelled like any other request: it gets no reply,
 * since one after the other Rflush would belong to nobody. */
static void test_flush_of_flush_not_taken_yet(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_flush(s, 0, 5, 99);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/6");
}

static void test_each_other_across_channels(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_send_flush(s, 0, 6, 7);
    scene_send_flush(s, 1, 7, 6);
    scene_expect(s, "0:Rflush/6");
}

static void test_each_other_not_taken_yet(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    test_channel_pause(s->ts, 0, true);
    scene_send_flush(s, 0, 6, 7);
    scene_send_flush(s, 1, 7, 6);
    test_session_step(s->ts);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/7");
}

static void test_flushes_from_three_channels(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 3, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 2, 8, 5);
    test_session_step(s->ts);
    scene_send_flush(s, 1, 7, 5);
    test_session_step(s->ts);
    scene_send_flush(s, 0, 6, 5);
    scene_expect_nothing(s);
    scene_release_writes(s, "0:Rwrite/5 2:Rflush/8 1:Rflush/7 0:Rflush/6");
}

/* An unknown tag may have been answered on any channel: all have to be consumed. */
static void test_unknown_waits_for_all_channels(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 4, 4);

    for (unsigned i = 1; i < 4; i++) {
        test_channel_keep(s->ts, i, true);
        client_send_on(s->ts, i, (uint16_t)(10 + i), P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    }
    scene_expect(s, "1:Rgetattr/11 2:Rgetattr/12 3:Rgetattr/13");
    scene_send_flush(s, 0, 6, 99);
    scene_expect_nothing(s);
    test_channel_consume(s->ts, 1);
    test_channel_consume(s->ts, 3);
    scene_expect_nothing(s);
    test_channel_consume(s->ts, 2);
    scene_expect(s, "0:Rflush/6");
}

/* The client gives up, uses the tag again and flushes the new request, which lies unread on the
 * tag's channel: the Tflush means that one, although the old one still has the tag here. */
static void test_reused_not_taken_yet(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 1, 6, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/6"); /* although the old one still runs */
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    scene_expect_nothing(s);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 1);
}

/* The same with another tag for the second Tflush: the first one is still waited for. */
static void test_reused_not_taken_yet_other_tag(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 1, 6, 5);
    test_session_step(s->ts);
    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 1, 7, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect(s, "1:Rflush/7");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    scene_expect(s, "1:Rflush/6");
}

/* One Tflush more of a request that hangs waits for it like the first. */
static void test_second_flush_waits_too(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 1, 6, 5);
    test_session_step(s->ts);
    test_channel_pause(s->ts, 0, true);
    scene_send_write(s, 0, 8); /* has nothing to do with it */
    scene_send_flush(s, 1, 7, 5);
    scene_expect_nothing(s);
    test_channel_pause(s->ts, 0, false);
    scene_expect_nothing(s);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 3);
    g_autofree char *seen = test_session_transcript(s->ts);
    g_assert_nonnull(strstr(seen, "0:Rwrite/8"));
    g_assert_nonnull(strstr(seen, "1:Rflush/6"));
    g_assert_true(strstr(seen, "1:Rflush/6") < strstr(seen, "1:Rflush/7"));
    g_assert_null(strstr(seen, "/5"));
}

static void test_eight_channels(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, SESSION_MAX_CHANNELS, 4);

    scene_flush_write(s, 7, 3);
    scene_release_writes(s, "7:Rwrite/5 3:Rflush/6");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/flush-channels/queued", test_queued_elsewhere);
    g_test_add_func("/flush-channels/running-completes", test_running_elsewhere_completes);
    g_test_add_func("/flush-channels/running-fails", test_running_elsewhere_fails);
    g_test_add_func("/flush-channels/unconsumed-delays", test_unconsumed_reply_delays_rflush);
    g_test_add_func("/flush-channels/unconsumed-not-for-ever",
                    test_unconsumed_reply_does_not_delay_for_ever);
    g_test_add_func("/flush-channels/interrupted-does-not-settle",
                    test_interrupted_elsewhere_does_not_settle);
    g_test_add_func("/flush-channels/answered-not-consumed", test_answered_elsewhere_not_consumed);
    g_test_add_func("/flush-channels/reply-waits-for-room", test_reply_waits_for_room_elsewhere);
    g_test_add_func("/flush-channels/rflush-waits-for-room", test_rflush_waits_for_room);
    g_test_add_func("/flush-channels/not-taken", test_not_taken_yet);
    g_test_add_func("/flush-channels/not-taken-clunk", test_clunk_not_taken_yet_clunks);
    g_test_add_func("/flush-channels/not-taken-remove", test_remove_not_taken_yet_clunks);
    g_test_add_func("/flush-channels/not-taken-malformed", test_malformed_not_taken_yet);
    g_test_add_func("/flush-channels/published-after", test_published_after_the_flush);
    g_test_add_func("/flush-channels/half-published", test_half_published);
    g_test_add_func("/flush-channels/half-published-behind", test_half_published_behind_the_target);
    g_test_add_func("/flush-channels/not-taken-flush", test_flush_of_flush_not_taken_yet);
    g_test_add_func("/flush-channels/each-other", test_each_other_across_channels);
    g_test_add_func("/flush-channels/each-other-not-taken", test_each_other_not_taken_yet);
    g_test_add_func("/flush-channels/three-channels", test_flushes_from_three_channels);
    g_test_add_func("/flush-channels/unknown-waits-for-all", test_unknown_waits_for_all_channels);
    g_test_add_func("/flush-channels/reused-not-taken", test_reused_not_taken_yet);
    g_test_add_func("/flush-channels/reused-not-taken-other-tag",
                    test_reused_not_taken_yet_other_tag);
    g_test_add_func("/flush-channels/second-flush", test_second_flush_waits_too);
    g_test_add_func("/flush-channels/eight-channels", test_eight_channels);
    return g_test_run();
}
