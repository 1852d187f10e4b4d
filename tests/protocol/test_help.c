/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large transfers run beside the reader when it has more to do, a limited number of them, and on it
 * when it has not. */
#include <errno.h>

#include "tests/lib/scene.h"

enum { LARGE = 128 * 1024 };

/* A scene in which at most `max` transfers run beside the reader, on a machine of any size. */
static Scene *scene_with_help(gint max)
{
    Scene *s = scene_new(FS_MEMORY, 2, 4);

    test_session_session(s->ts)->max_helped = max;
    return s;
}

static void send_read(Scene *s, unsigned channel, uint16_t tag, uint32_t count)
{
    client_send_on(s->ts, channel, tag, P9_TREAD, "dqd", SCENE_FILE, (uint64_t)0, count);
}

static void send_getattr(Scene *s, unsigned channel, uint16_t tag)
{
    client_send_on(s->ts, channel, tag, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
}

/* A request is over some time after its reply can be seen. */
static void expect_no_help(Scene *s)
{
    gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;

    while (session_is_helped(test_session_session(s->ts)) && g_get_monotonic_time() < end)
        test_session_wait(s->ts);
    g_assert_false(session_is_helped(test_session_session(s->ts)));
}

/* Were it not so, the reader would wait at the gate. */
static void test_more_to_do(gconstpointer channel)
{
    g_autoptr(Scene) s = scene_with_help(1);

    memory_fs_close_gate(s->fs, MEMORY_READ);
    send_read(s, 0, 5, LARGE);
    send_getattr(s, GPOINTER_TO_UINT(channel), 6);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_READ, 1);
    test_session_expect(s->ts, channel ? "1:Rgetattr/6" : "0:Rgetattr/6");
    g_assert_true(session_is_helped(test_session_session(s->ts)));
    memory_fs_open_gate(s->fs, MEMORY_READ);
    test_session_expect(s->ts, "0:Rread/5");
    expect_no_help(s);
}

typedef struct Seen {
    unsigned on_reader, beside;
} Seen;

static int note_thread(void *context, MemoryOp op)
{
    Seen *seen = context;
    unsigned *count = pool_thread_self() ? &seen->beside : &seen->on_reader;

    if (op == MEMORY_READ)
        g_atomic_int_inc(count);
    return 0;
}

typedef struct Case {
    const char *name;
    gint max;
    uint32_t count;   /* of each read */
    unsigned n_reads; /* published together */
    Seen expected;
} Case;

static const Case cases[] = {
    {"/help/alone", 1, LARGE, 1, {.on_reader = 1}},
    {"/help/small", 4, 4096, 3, {.on_reader = 3}},
    {"/help/last-stays", 4, LARGE, 3, {.on_reader = 1, .beside = 2}},
    {"/help/one-processor", 0, LARGE, 3, {.on_reader = 3}},
};

static void test_case(gconstpointer data)
{
    const Case *c = data;
    g_autoptr(Scene) s = scene_with_help(c->max);
    Seen seen = {0};

    memory_fs_set_hook(s->fs, note_thread, &seen);
    for (unsigned i = 0; i < c->n_reads; i++)
        send_read(s, 0, (uint16_t)i, c->count);
    test_session_await_count(s->ts, c->n_reads);
    memory_fs_set_hook(s->fs, NULL, NULL);
    g_assert_cmpuint(seen.on_reader, ==, c->expected.on_reader);
    g_assert_cmpuint(seen.beside, ==, c->expected.beside);
}

/* A transfer that fails helps no more either. */
static void test_failed(void)
{
    g_autoptr(Scene) s = scene_with_help(1);

    memory_fs_close_gate(s->fs, MEMORY_READ);
    send_read(s, 0, 5, LARGE);
    send_getattr(s, 0, 6);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_READ, 1);
    memory_fs_let_through(s->fs, MEMORY_READ, -EIO);
    test_session_expect(s->ts, "0:Rgetattr/6 0:Rlerror(5)/5");
    expect_no_help(s);
}

/* A transfer that is flushed while it waits for its turn helps no more. */
static void test_flushed(void)
{
    g_autoptr(Scene) s = scene_with_help(2);

    memory_fs_set_interruptible(s->fs, true);
    memory_fs_close_gate(s->fs, MEMORY_READ);
    send_read(s, 0, 5, LARGE);
    send_getattr(s, 0, 6);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_READ, 1);
    scene_send_flush(s, 1, 7, 5);
    test_session_expect(s->ts, "0:Rgetattr/6 1:Rflush/7");
    expect_no_help(s);
    memory_fs_open_gate(s->fs, MEMORY_READ);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/help/more-on-the-channel", GUINT_TO_POINTER(0), test_more_to_do);
    g_test_add_data_func("/help/more-on-another-channel", GUINT_TO_POINTER(1), test_more_to_do);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_test_add_data_func(cases[i].name, &cases[i], test_case);
    g_test_add_func("/help/ends-with-an-error", test_failed);
    g_test_add_func("/help/flushed", test_flushed);
    return g_test_run();
}
