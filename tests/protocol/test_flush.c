/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tflush when everything is on one channel: what it does to its target in each of its states. */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

static void assert_root_is_alone(Scene *s, uint32_t fid)
{
    g_assert_true(client_has_fid(&s->client, SCENE_ROOT));
    g_assert_false(client_has_fid(&s->client, fid));
}

static void test_unknown_tag(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_flush(s, 0, 6, 99);
    scene_expect(s, "0:Rflush/6");
}

static void test_highest_tags(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_flush(s, 0, 0xfffe, P9_NOTAG);
    scene_send_flush(s, 0, P9_NOTAG, 0);
    scene_send_flush(s, 0, 0, 0xfffd);
    scene_expect(s, "0:Rflush/65534 0:Rflush/65535 0:Rflush/0");
}

static void test_itself(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_flush(s, 0, 6, 6);
    scene_expect(s, "0:Rflush/6");
}

static void test_answered_target(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_write(s, 0, 5);
    scene_expect(s, "0:Rwrite/5");
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rflush/6");
}

static void test_target_that_never_waits(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    scene_send_write(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rwrite/5 0:Rflush/6");
}

static void test_queued_target_never_runs(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 1);

    scene_block_write(s, 0, 4, 1);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rflush/6");
    scene_release_writes(s, "0:Rwrite/4");
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 1);
}

static void test_queued_target_leaves_fids(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 1);

    scene_block_write(s, 0, 4, 1);
    client_send(s->ts, 5, P9_TLCREATE, "dsddd", SCENE_DIRECTORY, "new", P9_L_RDWR, 0644, 0);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rflush/6");
    scene_release_writes(s, "0:Rwrite/4");
    g_assert_cmpint(client_walk(&s->client, SCENE_DIRECTORY, 9, "new", NULL, NULL), ==, -ENOENT);
}

/* Every byte of both replies, and nothing else on the channel. */
static void test_running_target_completes(void)
{
    static const uint8_t expected[] = {
        11, 0, 0, 0, P9_TWRITE + 1, 5, 0, 3, 0, 0, 0, /* Rwrite, 3 bytes */
        7,  0, 0, 0, P9_TFLUSH + 1, 6, 0,             /* Rflush */
    };
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);
    g_autoptr(GBytes) before = test_channel_published(s->ts, 0);
    size_t n_before = g_bytes_get_size(before);
    g_autoptr(GBytes) after = NULL;

    scene_flush_write(s, 0, 0);
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/6");

    after = test_channel_published(s->ts, 0);
    g_assert_cmpuint(g_bytes_get_size(after), ==, n_before + sizeof(expected));
    g_assert_true(memcmp((const uint8_t *)g_bytes_get_data(after, NULL) + n_before, expected,
                         sizeof(expected)) == 0);
}

static void test_running_target_interrupted(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_flush_write(s, 0, 0);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    scene_expect(s, "0:Rflush/6");
    scene_release_writes(s, "");
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 1);
}

static void test_running_target_fails(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_flush_write(s, 0, 0);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -ENOSPC);
    scene_expect(s, "0:Rlerror(28)/5 0:Rflush/6");
}

/* Nobody asked for it to be cancelled: an EINTR is an accident, and the operation runs again. */
static void test_interruption_without_flush_is_retried(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    memory_fs_fail(s->fs, MEMORY_WRITE, -EINTR, 3);
    scene_send_write(s, 0, 5);
    scene_expect(s, "0:Rwrite/5");
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 4);
}

static void test_interruption_before_flush_is_retried(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    while (memory_fs_n_runs(s->fs, MEMORY_WRITE) < 2)
        test_session_wait(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, 1);
    scene_send_flush(s, 0, 6, 5);
    scene_expect_nothing(s);
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/6");
}

/* Runs `type`, flushes it while it waits at the gate of `op`, and lets it end with EINTR. */
static void interrupt(Scene *s, MemoryOp op, GByteArray *message)
{
    memory_fs_close_gate(s->fs, op);
    test_publish(s->ts, 0, message->data, message->len);
    g_byte_array_free(message, TRUE);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, op, 1);
    scene_send_flush(s, 0, 6, 5);
    scene_expect_nothing(s);
    memory_fs_let_through(s->fs, op, -EINTR);
    scene_expect(s, "0:Rflush/6");
    memory_fs_open_gate(s->fs, op);
}

static void test_interrupted_walk_makes_no_fid(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);

    interrupt(s, MEMORY_WALK, message_new(P9_TWALK, 5, "ddws", SCENE_ROOT, 9, 1, "file"));
    assert_root_is_alone(s, 9);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "file", NULL, NULL), ==, 0);
}

static void test_interrupted_attach_makes_no_fid(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);

    interrupt(s, MEMORY_GETATTR, message_new(P9_TATTACH, 5, "ddssd", 9, P9_NOFID, "root", "", 0));
    assert_root_is_alone(s, 9);
}

static void test_interrupted_open_leaves_fid_closed(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);

    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "file", NULL, NULL), ==, 0);
    interrupt(s, MEMORY_OPEN, message_new(P9_TLOPEN, 5, "dd", 9, 0));
    g_assert_cmpint(client_read(&s->client, 9, 0, 10, NULL), ==, -EBADF);
    g_assert_cmpint(client_open(&s->client, 9, 0), ==, 0);
    g_assert_cmpint(client_read(&s->client, 9, 0, 10, NULL), ==, 10);
}

/* The operation has opened its file before the interruption comes: the open is undone. */
static void test_late_interruption_undoes_open(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);
    unsigned held;

    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "file", NULL, NULL), ==, 0);
    held = memory_fs_n_held(s->fs);
    interrupt(s, MEMORY_GETATTR, message_new(P9_TLOPEN, 5, "dd", 9, 0));
    g_assert_cmpint(client_read(&s->client, 9, 0, 10, NULL), ==, -EBADF);
    g_assert_cmpuint(memory_fs_n_held(s->fs), ==, held);
}

static void test_interrupted_create_leaves_directory(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);
    GArray *entries;

    interrupt(s, MEMORY_CREATE,
              message_new(P9_TLCREATE, 5, "dsddd", SCENE_DIRECTORY, "new", P9_L_RDWR, 0644, 0));
    g_assert_cmpint(client_open(&s->client, SCENE_DIRECTORY, P9_L_DIRECTORY), ==, 0);
    entries = client_list(&s->client, SCENE_DIRECTORY, 1000);
    g_assert_cmpuint(entries->len, ==, 2);
    g_array_free(entries, TRUE);
}

static void test_interrupted_move_keeps_fid(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 4);
    ClientAttr attr;

    interrupt(s, MEMORY_WALK,
              message_new(P9_TWALK, 5, "ddws", SCENE_DIRECTORY, SCENE_DIRECTORY, 1, ".."));
    g_assert_cmpint(client_getattr(&s->client, SCENE_DIRECTORY, &attr), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "directory", NULL, NULL), ==, 0);
    g_assert_cmpuint(attr.qid.path, !=, 2);
}

/* Whatever becomes of it, a Tremove or Tclunk takes its fid away. */
static void test_interrupted_remove_clunks(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    interrupt(s, MEMORY_REMOVE, message_new(P9_TREMOVE, 5, "d", SCENE_DIRECTORY));
    assert_root_is_alone(s, SCENE_DIRECTORY);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "directory", NULL, NULL), ==, 0);
}

static void flush_queued(uint8_t type)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 1, 1);

    scene_block_write(s, 0, 4, 1);
    client_send(s->ts, 5, type, "d", SCENE_DIRECTORY);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rflush/6");
    scene_release_writes(s, "0:Rwrite/4");
    assert_root_is_alone(s, SCENE_DIRECTORY);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, 9, "directory", NULL, NULL), ==, 0);
}

static void test_queued_clunk_clunks(void)
{
    flush_queued(P9_TCLUNK);
}

static void test_queued_remove_clunks(void)
{
    flush_queued(P9_TREMOVE);
}

static void test_reply_waits_for_room(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    test_channel_hold(s->ts, 0, true);
    scene_send_write(s, 0, 5);
    scene_send_flush(s, 0, 6, 5);
    scene_expect_nothing(s);
    test_channel_hold(s->ts, 0, false);
    scene_expect(s, "0:Rwrite/5 0:Rflush/6");
}

static void test_several_flushes_of_one_tag(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 0, 9, 5);
    scene_send_flush(s, 0, 8, 5);
    scene_send_flush(s, 0, 7, 5);
    scene_expect_nothing(s);
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/9 0:Rflush/8 0:Rflush/7");
}

static void test_flush_of_flush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 0, 6, 5);
    scene_send_flush(s, 0, 7, 6);
    scene_expect_nothing(s);
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/6 0:Rflush/7");
}

static void test_chain_of_flushes_after_interruption(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 0, 6, 5);
    scene_send_flush(s, 0, 7, 6);
    scene_send_flush(s, 0, 8, 7);
    scene_send_flush(s, 0, 9, 5);
    scene_expect_nothing(s);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    scene_expect(s, "0:Rflush/6 0:Rflush/9 0:Rflush/7 0:Rflush/8");
}

static void test_two_flushes_of_each_other(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_flush(s, 0, 6, 7);
    scene_send_flush(s, 0, 7, 6);
    scene_expect(s, "0:Rflush/6 0:Rflush/7");
}

static void test_ring_of_flushes(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_send_flush(s, 0, 6, 7);
    scene_send_flush(s, 0, 7, 8);
    scene_send_flush(s, 0, 8, 6);
    scene_expect(s, "0:Rflush/6 0:Rflush/7 0:Rflush/8");
}

/* A failure found before anything runs is a completed request like any other. */
static void test_refused_target(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    client_send(s->ts, 5, P9_TREAD, "dqd", 77, (uint64_t)0, 10);
    scene_send_flush(s, 0, 6, 5);
    scene_expect(s, "0:Rlerror(2)/5 0:Rflush/6");
}

static void test_others_go_on_meanwhile(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);

    scene_block_write(s, 0, 5, 1);
    scene_send_flush(s, 0, 6, 5);
    client_send(s->ts, 7, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    client_send(s->ts, 8, P9_TREAD, "dqd", SCENE_FILE, (uint64_t)0, 10);
    scene_expect(s, "0:Rgetattr/7 0:Rread/8");
    scene_release_writes(s, "0:Rwrite/5 0:Rflush/6");
}

/* A hundred requests in flight, one of them flushed. */
static void test_one_of_a_hundred(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 4);
    g_autofree char *seen = NULL;

    scene_block_write(s, 0, 100, 1);
    for (uint16_t tag = 101; tag < 200; tag++)
        scene_send_write(s, 0, tag);
    test_session_step(s->ts);
    scene_send_flush(s, 0, 6, 150);
    scene_expect(s, "0:Rflush/6");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 99);
    seen = test_session_transcript(s->ts);
    g_assert_null(strstr(seen, "/150"));
    scene_expect_nothing(s);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 99);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/flush/unknown-tag", test_unknown_tag);
    g_test_add_func("/flush/highest-tags", test_highest_tags);
    g_test_add_func("/flush/itself", test_itself);
    g_test_add_func("/flush/answered-target", test_answered_target);
    g_test_add_func("/flush/target-that-never-waits", test_target_that_never_waits);
    g_test_add_func("/flush/queued/never-runs", test_queued_target_never_runs);
    g_test_add_func("/flush/queued/leaves-fids", test_queued_target_leaves_fids);
    g_test_add_func("/flush/queued/clunk-clunks", test_queued_clunk_clunks);
    g_test_add_func("/flush/queued/remove-clunks", test_queued_remove_clunks);
    g_test_add_func("/flush/running/completes", test_running_target_completes);
    g_test_add_func("/flush/running/interrupted", test_running_target_interrupted);
    g_test_add_func("/flush/running/fails", test_running_target_fails);
    g_test_add_func("/flush/interruption/without-flush",
                    test_interruption_without_flush_is_retried);
    g_test_add_func("/flush/interruption/before-flush", test_interruption_before_flush_is_retried);
    g_test_add_func("/flush/interrupted/walk", test_interrupted_walk_makes_no_fid);
    g_test_add_func("/flush/interrupted/attach", test_interrupted_attach_makes_no_fid);
    g_test_add_func("/flush/interrupted/open", test_interrupted_open_leaves_fid_closed);
    g_test_add_func("/flush/interrupted/open-late", test_late_interruption_undoes_open);
    g_test_add_func("/flush/interrupted/create", test_interrupted_create_leaves_directory);
    g_test_add_func("/flush/interrupted/move", test_interrupted_move_keeps_fid);
    g_test_add_func("/flush/interrupted/remove", test_interrupted_remove_clunks);
    g_test_add_func("/flush/reply-waits-for-room", test_reply_waits_for_room);
    g_test_add_func("/flush/several-of-one-tag", test_several_flushes_of_one_tag);
    g_test_add_func("/flush/of-flush", test_flush_of_flush);
    g_test_add_func("/flush/chain-after-interruption", test_chain_of_flushes_after_interruption);
    g_test_add_func("/flush/each-other", test_two_flushes_of_each_other);
    g_test_add_func("/flush/ring", test_ring_of_flushes);
    g_test_add_func("/flush/refused-target", test_refused_target);
    g_test_add_func("/flush/others-go-on", test_others_go_on_meanwhile);
    g_test_add_func("/flush/one-of-a-hundred", test_one_of_a_hundred);
    return g_test_run();
}
