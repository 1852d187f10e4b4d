/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tflush under load. Requests, Tflushes and Tflushes of Tflushes go out in random order on several
 * channels, operations take random times and are interrupted at random, replies wait for room. A
 * model of the client checks each reply when it appears:
 *
 *   - after an Rflush no reply comes for the request that its Tflush named;
 *   - a request, Tflush or other, that no Tflush named is answered exactly once;
 *   - fids are what the replies that came say, and nothing else.
 *
 * `--seed` of the test framework makes a run repeat.
 */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

enum {
    N_TAGS = 40,
    FIRST_FID = 1000,
    MAX_COUNT = 2000,
    INTERRUPT_PERCENT = 15,
    PATIENCE_S = 20,
};

typedef enum Phase {
    PHASE_FREE,
    PHASE_SENT,
    PHASE_DEAD, /* Rflush came before its reply: it must not be answered any more */
} Phase;

/* What one tag is used for. */
typedef struct Slot {
    Phase phase;
    uint8_t type;
    unsigned channel;
    unsigned count;     /* Twrite: tells its reply from that of another one */
    int target;         /* Tflush: the slot it named while that was in use, or -1 */
    unsigned n_flushes; /* unanswered Tflushes that named this slot */
    bool has_fid;       /* fid FIRST_FID + slot exists */
} Slot;

typedef struct Model {
    Scene *scene;
    GRand *random;
    unsigned n_channels;
    Slot slots[N_TAGS];
    unsigned n_sent;
    unsigned n_answered;
    unsigned n_cancelled;
    unsigned next_count;
} Model;

/* Runs on pool threads and on the reader. */
static int delay(void *context, MemoryOp op)
{
    (void)context;
    (void)op;
    test_random_delay();
    return g_random_int_range(0, 100) < INTERRUPT_PERCENT ? -EINTR : 0;
}

static int below(Model *m, int n)
{
    return g_rand_int_range(m->random, 0, n);
}

static int pick(Model *m, bool in_use)
{
    int first = below(m, N_TAGS);

    for (int i = 0; i < N_TAGS; i++) {
        int at = (first + i) % N_TAGS;
        Slot *s = &m->slots[at];
        bool is_free = s->phase == PHASE_FREE && s->n_flushes == 0;

        if (in_use ? s->phase == PHASE_SENT : is_free)
            return at;
    }
    return -1;
}

static Slot *begin(Model *m, int at, uint8_t type)
{
    Slot *s = &m->slots[at];

    s->phase = PHASE_SENT;
    s->type = type;
    s->channel = (unsigned)below(m, (int)m->n_channels);
    s->target = -1;
    m->n_sent++;
    return s;
}

static void send_write(Model *m, int at)
{
    static const char data[MAX_COUNT];
    Slot *s = begin(m, at, P9_TWRITE);

    s->count = m->next_count++ % MAX_COUNT + 1;
    client_send_on(m->scene->ts, s->channel, (uint16_t)at, P9_TWRITE, "dqD", SCENE_FILE,
                   (uint64_t)0, s->count, data);
}

static void send_getattr(Model *m, int at)
{
    Slot *s = begin(m, at, P9_TGETATTR);

    client_send_on(m->scene->ts, s->channel, (uint16_t)at, P9_TGETATTR, "dq", SCENE_FILE,
                   (uint64_t)0x7ff);
}

/* Makes the slot's fid, or clunks it. */
static void send_fid_change(Model *m, int at)
{
    bool clunk = m->slots[at].has_fid;
    Slot *s = begin(m, at, clunk ? P9_TCLUNK : P9_TWALK);

    if (clunk)
        client_send_on(m->scene->ts, s->channel, (uint16_t)at, P9_TCLUNK, "d", FIRST_FID + at);
    else
        client_send_on(m->scene->ts, s->channel, (uint16_t)at, P9_TWALK, "ddws", SCENE_ROOT,
                       FIRST_FID + at, 1, "file");
}

static void send_any(Model *m)
{
    int at = pick(m, false);

    if (at < 0)
        return;
    switch (below(m, 5)) {
    case 0:
        send_getattr(m, at);
        break;
    case 1:
    case 2:
        send_fid_change(m, at);
        break;
    default:
        send_write(m, at);
        break;
    }
}

static void send_flush(Model *m)
{
    int at = pick(m, false);
    int target = pick(m, true);
    Slot *s;

    if (at < 0)
        return;
    s = begin(m, at, P9_TFLUSH);
    s->target = target;
    if (target >= 0)
        m->slots[target].n_flushes++;
    client_send_on(m->scene->ts, s->channel, (uint16_t)at, P9_TFLUSH, "w",
                   target >= 0 ? (unsigned)target : 5000u);
}

/* The Tflush that named `target` is over. */
static void forget_flush(Slot *target)
{
    g_assert_cmpuint(target->n_flushes, >, 0);
    target->n_flushes--;
    if (target->phase == PHASE_DEAD && target->n_flushes == 0)
        target->phase = PHASE_FREE;
}

/* Rflush: what the Tflush named is over, with a reply or without. A Tflush that got none had no
 * effect. */
static void end_target(Model *m, Slot *flush)
{
    Slot *target = flush->target >= 0 ? &m->slots[flush->target] : NULL;

    if (!target)
        return;
    if (target->phase == PHASE_SENT) {
        target->phase = PHASE_DEAD;
        m->n_cancelled++;
        if (target->type == P9_TCLUNK)
            target->has_fid = false;
        if (target->type == P9_TFLUSH && target->target >= 0)
            forget_flush(&m->slots[target->target]);
    }
    forget_flush(target);
}

static void check_reply(Model *m, TestReply *reply)
{
    Slot *s = &m->slots[reply->tag];
    ByteReader r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);

    g_assert_cmpuint(reply->tag, <, N_TAGS);
    if (s->phase != PHASE_SENT)
        g_error("a reply of type %u to tag %u, which %s", reply->type, reply->tag,
                s->phase == PHASE_DEAD ? "was flushed" : "is not in use");
    g_assert_cmpuint(reply->type, ==, s->type + 1u);
    g_assert_cmpuint(reply->channel, ==, s->channel);
    if (s->type == P9_TWRITE)
        g_assert_cmpuint(read_u32(&r), ==, s->count);
    if (s->type == P9_TWALK)
        s->has_fid = true;
    if (s->type == P9_TCLUNK)
        s->has_fid = false;
    s->phase = PHASE_FREE;
    m->n_answered++;
    if (s->type == P9_TFLUSH)
        end_target(m, s);
}

static void check_replies(Model *m)
{
    TestReply *reply;

    while ((reply = test_session_take_reply(m->scene->ts))) {
        check_reply(m, reply);
        g_free(reply);
    }
}

static bool all_ended(const Model *m)
{
    for (unsigned i = 0; i < N_TAGS; i++) {
        if (m->slots[i].phase != PHASE_FREE)
            return false;
    }
    return true;
}

/* Now and then a channel is as if its ring were full, or the reader were slow to come to it. */
static void disturb(Model *m)
{
    unsigned channel = (unsigned)below(m, (int)m->n_channels);

    test_channel_hold(m->scene->ts, channel, below(m, 4) == 0);
    test_channel_pause(m->scene->ts, channel, below(m, 4) == 0);
    test_channel_keep(m->scene->ts, channel, below(m, 4) == 0);
    test_channel_consume(m->scene->ts, channel);
}

static void play(Model *m, unsigned n_rounds)
{
    for (unsigned round = 0; round < n_rounds; round++) {
        for (int n = below(m, 6); n > 0; n--)
            send_any(m);
        for (int n = below(m, 3); n > 0; n--)
            send_flush(m);
        if (below(m, 8) == 0)
            disturb(m);
        test_session_step(m->scene->ts);
        check_replies(m);
        if (below(m, 4) == 0)
            test_session_wait(m->scene->ts);
    }
}

static void drain(Model *m)
{
    gint64 until = g_get_monotonic_time() + PATIENCE_S * G_TIME_SPAN_SECOND;

    for (unsigned i = 0; i < m->n_channels; i++) {
        test_channel_hold(m->scene->ts, i, false);
        test_channel_pause(m->scene->ts, i, false);
        test_channel_keep(m->scene->ts, i, false);
        test_channel_consume(m->scene->ts, i);
    }
    while (!all_ended(m) && g_get_monotonic_time() < until) {
        test_session_wait(m->scene->ts);
        test_session_step(m->scene->ts);
        check_replies(m);
    }
    g_assert_true(all_ended(m));
    scene_expect_nothing(m->scene);
}

static void check_fids(Model *m)
{
    memory_fs_set_hook(m->scene->fs, NULL, NULL);
    for (unsigned i = 0; i < N_TAGS; i++)
        g_assert_cmpint(client_has_fid(&m->scene->client, FIRST_FID + i), ==, m->slots[i].has_fid);
}

static void run(FsClass class, unsigned n_channels, unsigned n_threads, unsigned n_rounds)
{
    Model m = {.scene = scene_new(class, n_channels, n_threads), .n_channels = n_channels};

    m.random = g_rand_new_with_seed((guint32)g_test_rand_int());
    memory_fs_set_waits(m.scene->fs, class != FS_MEMORY);
    memory_fs_set_hook(m.scene->fs, delay, NULL);
    do
        play(&m, n_rounds);
    while (m.n_cancelled == 0);
    drain(&m);
    check_fids(&m);
    g_test_message("%u requests, %u answered, %u cancelled", m.n_sent, m.n_answered, m.n_cancelled);
    g_assert_cmpuint(m.n_sent, ==, m.n_answered + m.n_cancelled);
    scene_free(m.scene);
    g_rand_free(m.random);
}

static void test_one_channel(void)
{
    run(FS_LOCAL, 1, 4, 4000);
}

static void test_two_channels(void)
{
    run(FS_LOCAL, 2, 4, 6000);
}

static void test_remote(void)
{
    run(FS_REMOTE, 3, 8, 4000);
}

static void test_one_thread(void)
{
    run(FS_REMOTE, 2, 1, 2000);
}

/* The session ends in the middle of it, again and again. */
static void test_stops(void)
{
    for (unsigned i = 0; i < 60; i++) {
        Model m = {.scene = scene_new(FS_REMOTE, 2, 4), .n_channels = 2};

        m.random = g_rand_new_with_seed((guint32)g_test_rand_int());
        memory_fs_set_waits(m.scene->fs, true);
        memory_fs_set_hook(m.scene->fs, delay, NULL);
        play(&m, (unsigned)below(&m, 60));
        scene_free(m.scene);
        g_rand_free(m.random);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/flush-stress/one-channel", test_one_channel);
    g_test_add_func("/flush-stress/two-channels", test_two_channels);
    g_test_add_func("/flush-stress/remote", test_remote);
    g_test_add_func("/flush-stress/one-thread", test_one_thread);
    g_test_add_func("/flush-stress/stops", test_stops);
    return g_test_run();
}
