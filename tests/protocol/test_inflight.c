/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of requests in flight: each state that a request can be seen in, and its age. */
#include <string.h>

#include "tests/lib/scene.h"

static GArray *list(Scene *s)
{
    return session_list_requests(test_session_session(s->ts));
}

static unsigned n_listed(Scene *s)
{
    g_autoptr(GArray) requests = list(s);

    return requests->len;
}

/* The list in the form "0:Twrite/5 running cancelled, 1:Tflush/6 running". */
static char *describe(Scene *s)
{
    static const char *const states[] = {
        [REQUEST_TAKEN] = "taken",
        [REQUEST_QUEUED] = "queued",
        [REQUEST_RUNNING] = "running",
        [REQUEST_DONE] = "done",
    };
    g_autoptr(GArray) requests = list(s);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < requests->len; i++) {
        const RequestInfo *r = &g_array_index(requests, RequestInfo, i);

        g_string_append_printf(text, "%s%u:%s/%u %s%s%s", i > 0 ? ", " : "", r->channel,
                               r->op ? r->op : "?", r->tag, states[r->state],
                               r->cancelled ? " cancelled" : "", r->abandoned ? " abandoned" : "");
    }
    return g_string_free(text, FALSE);
}

static void expect_list(Scene *s, const char *expected)
{
    g_autofree char *seen = describe(s);

    g_assert_cmpstr(seen, ==, expected);
}

static void test_states(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 1);

    expect_list(s, "");
    scene_block_write(s, 0, 5, 1);
    scene_send_write(s, 0, 6);
    test_session_step(s->ts);
    test_channel_hold(s->ts, 1, true);
    client_send_on(s->ts, 1, 7, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    client_send_on(s->ts, 1, 8, 55, "");
    test_session_step(s->ts);
    expect_list(s, "0:Twrite/5 running, 0:Twrite/6 queued, 1:Tgetattr/7 done, 1:?/8 done");

    scene_send_flush(s, 0, 9, 5);
    test_session_step(s->ts);
    expect_list(s, "0:Twrite/5 running cancelled, 0:Twrite/6 queued, 1:Tgetattr/7 done, 1:?/8 done, "
                   "0:Tflush/9 running");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_channel_hold(s->ts, 1, false);
    test_session_await_count(s->ts, 5);
    expect_list(s, "");
}

/* A tag that was used again: both are there, under the same number. */
static void test_abandoned(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 2);

    scene_block_write(s, 0, 5, 1);
    scene_block_write(s, 0, 5, 2);
    expect_list(s, "0:Twrite/5 running abandoned, 0:Twrite/5 running");
    client_send(s->ts, P9_NOTAG, P9_TVERSION, "ds", SCENE_MSIZE, "9P2000.L");
    scene_expect(s, "0:Rversion/65535");
    expect_list(s, "0:Twrite/5 running abandoned, 0:Twrite/5 running abandoned");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    while (n_listed(s) > 0)
        test_session_wait(s->ts);
}

static void test_age(void)
{
    enum { WHILE_USEC = 20 * 1000 };
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 1, 2);
    g_autoptr(GArray) requests = NULL;

    scene_block_write(s, 0, 5, 1);
    g_usleep(WHILE_USEC);
    scene_block_write(s, 0, 6, 2);
    requests = list(s);
    g_assert_cmpuint(requests->len, ==, 2);
    const RequestInfo *older = &g_array_index(requests, RequestInfo, 0);
    const RequestInfo *newer = &g_array_index(requests, RequestInfo, 1);
    g_assert_cmpuint(older->id, <, newer->id);
    g_assert_cmpint(newer->age_usec, >=, 0);
    g_assert_cmpint(older->age_usec, >=, newer->age_usec + WHILE_USEC);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 2); /* in any order */
}

/* Tags of all groups, on as many threads as there are, listed by another one meanwhile. */
typedef struct Lister {
    Scene *scene;
    gint stop;
} Lister;

static gpointer list_again_and_again(gpointer data)
{
    Lister *lister = data;

    while (!g_atomic_int_get(&lister->stop))
        g_array_unref(list(lister->scene));
    return NULL;
}

static void test_listing_beside_work(void)
{
    enum { ROUNDS = 20, TAGS = 200 };
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);
    Lister lister = {.scene = s};
    GThread *thread = g_thread_new("lister", list_again_and_again, &lister);

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint16_t tag = 0; tag < TAGS; tag++)
            scene_send_write(s, tag % 2, tag);
        test_session_await_count(s->ts, TAGS);
        g_free(test_session_transcript(s->ts));
    }
    g_atomic_int_set(&lister.stop, true);
    g_thread_join(thread);
    expect_list(s, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/inflight/states", test_states);
    g_test_add_func("/inflight/abandoned", test_abandoned);
    g_test_add_func("/inflight/age", test_age);
    g_test_add_func("/inflight/beside-work", test_listing_beside_work);
    return g_test_run();
}
