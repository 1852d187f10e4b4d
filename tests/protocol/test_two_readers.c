/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two readers of a session, of which one sees a request while the other works on it.
 *
 * The second reader takes a Tread on channel 0 and is held in it; then its turn ends with -EAGAIN, after
 * which the request would go to the pool.
 */
#include <errno.h>

#include "tests/lib/scene.h"

enum { WRITE_TAG = 5, READ_TAG = 7, FLUSH_TAG = 8, COUNT = 10 };

typedef struct Second {
    Scene *scene;
    GThread *thread;
    gint reads; /* atomic: it is in its read */
    gint goes;  /* atomic: it may go on */
} Second;

static int hold_read(void *context, MemoryOp op)
{
    Second *second = context;

    if (op != MEMORY_READ)
        return 0;
    g_atomic_int_set(&second->reads, true);
    while (!g_atomic_int_get(&second->goes))
        g_usleep(1000);
    return -EAGAIN;
}

static void *read_beside(void *context)
{
    Second *second = context;
    TestSession *ts = second->scene->ts;
    Session *session = test_session_session(ts);

    session_read_beside(session);
    test_session_step(ts);
    session_lock(session);
    session_remove_reader(session);
    session_unlock(session);
    return NULL;
}

/* Returns when the second reader is held in the Tread. From then on it takes nothing else. */
static void start_second(Second *second, Scene *s)
{
    second->scene = s;
    session_add_reader(test_session_session(s->ts));
    memory_fs_set_hook(s->fs, hold_read, second);
    client_send_on(s->ts, 0, READ_TAG, P9_TREAD, "dqd", SCENE_FILE, (uint64_t)0, COUNT);
    second->thread = g_thread_new("second", read_beside, second);
    while (!g_atomic_int_get(&second->reads))
        g_usleep(1000);
    test_channel_pause(s->ts, 0, true);
}

static void end_second(Second *second)
{
    g_atomic_int_set(&second->goes, true);
    g_thread_join(second->thread);
    test_channel_pause(second->scene->ts, 0, false);
}

/* The only thread of the pool is stuck: what goes there stays there. */
static void test_flush(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);
    Second second = {0};

    scene_block_write(s, 0, WRITE_TAG, 1);
    start_second(&second, s);
    scene_send_flush(s, 1, FLUSH_TAG, READ_TAG);
    scene_expect(s, "");
    end_second(&second);
    scene_expect(s, "1:Rflush/8");
    scene_release_writes(s, "0:Rwrite/5");
}

static void test_version(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);
    Second second = {0};

    scene_block_write(s, 0, WRITE_TAG, 1);
    start_second(&second, s);
    client_send_on(s->ts, 1, FLUSH_TAG, P9_TVERSION, "ds", 8192, "9P2000.L");
    scene_expect(s, "1:Rversion/8");
    end_second(&second);
    scene_expect(s, "");
    g_assert_cmpuint(session_status(test_session_session(s->ts)).n_in_flight, ==, 1);
    scene_release_writes(s, "");
}

static void test_reuse(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);
    Second second = {0};

    scene_block_write(s, 0, WRITE_TAG, 1);
    start_second(&second, s);
    client_send_on(s->ts, 1, READ_TAG, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    scene_expect(s, "1:Rgetattr/7");
    end_second(&second);
    scene_expect(s, "");
    g_assert_cmpuint(session_status(test_session_session(s->ts)).n_in_flight, ==, 1);
    scene_release_writes(s, "0:Rwrite/5");
}

/* Nobody has asked for its end: it goes to the pool and is read there. */
static void test_alone(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);
    Second second = {0};

    start_second(&second, s);
    memory_fs_set_hook(s->fs, NULL, NULL);
    end_second(&second);
    scene_expect(s, "0:Rread/7");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/two-readers/flush", test_flush);
    g_test_add_func("/two-readers/version", test_version);
    g_test_add_func("/two-readers/reuse", test_reuse);
    g_test_add_func("/two-readers/alone", test_alone);
    return g_test_run();
}
