/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flush matrix: each state that the target of a Tflush can be in, each way to flush it, and what
 * may happen in the middle of it. For each combination every byte that every ring carries is known.
 *
 * Ring 0 carries the target. All combinations are played once as they are, and then again with random
 * delays at every step of the core, the rings and the test: FLUSH_ROUNDS times, but for no longer than
 * FLUSH_SECONDS (environment). The states are reached and left through gates, never by waiting for a
 * time, so that delays change nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/scene.h"

enum {
    N_RINGS = 2,
    MAX_FLUSHES = 3,
    BLOCKER_TAG = 100,
    SECOND_TAG = 301, /* of further Tflushes */
    THIRD_TAG = 302,
    FIRST_NEW_FID = 77,
    SECOND_NEW_FID = 78,
    PATIENCE_S = 60,
};

typedef enum State {
    STATE_NOT_TAKEN, /* in its ring */
    STATE_QUEUED,
    STATE_RUNNING,      /* in a call that can be interrupted */
    STATE_RUNNING_DEAF, /* in one that cannot */
    STATE_DONE,         /* with a reply that waits for room */
    STATE_PUBLISHED,
    STATE_UNKNOWN, /* no such request */
} State;

typedef struct Target {
    const char *name;
    State state;
    MemoryOp op; /* where it waits, while running */
    GByteArray *(*message)(uint16_t tag);
} Target;

/* The target's tag and that of the first Tflush are the case's. */
typedef enum FlushTag {
    TAG_TARGET,
    TAG_FLUSH,
    TAG_SECOND,
    TAG_THIRD,
} FlushTag;

typedef struct Flush {
    unsigned ring;
    FlushTag tag;
    FlushTag oldtag;
} Flush;

typedef struct Way {
    const char *name;
    unsigned n;
    Flush flushes[MAX_FLUSHES];
} Way;

typedef enum Event {
    EVENT_NONE,
    EVENT_REUSE_AFTER, /* the target's tag is used again after Rflush */
    EVENT_GIVE_UP,     /* its and the first Tflush's are, without waiting for Rflush */
    EVENT_VERSION,     /* Tversion */
    EVENT_DISCONNECT,
    N_EVENTS,
} Event;

typedef struct Case {
    const Target *target;
    const Way *way;
    Event event;
    uint16_t tag;
    uint16_t flush_tag;
} Case;

typedef struct Play {
    const Case *c;
    Scene *scene;
    TestSession *ts;
    size_t start[N_RINGS];         /* bytes that each ring carried before */
    GByteArray *expected[N_RINGS]; /* and carries then */
} Play;

/*
 * The targets
 */

static GByteArray *write_message(uint16_t tag)
{
    return message_new(P9_TWRITE, tag, "dqD", SCENE_FILE, (uint64_t)0, 3u, "abc");
}

static GByteArray *read_message(uint16_t tag)
{
    return message_new(P9_TREAD, tag, "dqd", SCENE_FILE, (uint64_t)0, 10u);
}

static GByteArray *open_message(uint16_t tag)
{
    return message_new(P9_TLOPEN, tag, "dd", SCENE_DIRECTORY, P9_L_DIRECTORY);
}

static GByteArray *create_message(uint16_t tag)
{
    return message_new(P9_TLCREATE, tag, "dsddd", SCENE_DIRECTORY, "new", P9_L_RDWR, 0644u, 0u);
}

static GByteArray *fsync_message(uint16_t tag)
{
    return message_new(P9_TFSYNC, tag, "dd", SCENE_FILE, 0u);
}

static GByteArray *walk_message(uint16_t tag)
{
    return message_new(P9_TWALK, tag, "ddws", SCENE_ROOT, 9, 1u, "file");
}

static GByteArray *mkdir_message(uint16_t tag)
{
    return message_new(P9_TMKDIR, tag, "dsdd", SCENE_ROOT, "made", 0755u, 0u);
}

static GByteArray *unlink_message(uint16_t tag)
{
    return message_new(P9_TUNLINKAT, tag, "dsd", SCENE_ROOT, "file", 0u);
}

static GByteArray *remove_message(uint16_t tag)
{
    return message_new(P9_TREMOVE, tag, "d", SCENE_DIRECTORY);
}

static GByteArray *setattr_message(uint16_t tag)
{
    return message_new(P9_TSETATTR, tag, "dddddqqqqq", SCENE_FILE, P9_SETATTR_MODE, 0600u, 0u, 0u,
                       (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
}

static const Target targets[] = {
    {"not-taken", STATE_NOT_TAKEN, MEMORY_WRITE, write_message},
    {"queued", STATE_QUEUED, MEMORY_WRITE, write_message},
    {"queued-create", STATE_QUEUED, MEMORY_WRITE, create_message},
    {"running-read", STATE_RUNNING, MEMORY_READ, read_message},
    {"running-write", STATE_RUNNING, MEMORY_WRITE, write_message},
    {"running-open", STATE_RUNNING, MEMORY_OPEN, open_message},
    {"running-create", STATE_RUNNING, MEMORY_CREATE, create_message},
    {"running-fsync", STATE_RUNNING, MEMORY_FSYNC, fsync_message},
    {"running-walk", STATE_RUNNING, MEMORY_WALK, walk_message},
    {"running-mkdir", STATE_RUNNING, MEMORY_MKDIR, mkdir_message},
    {"running-unlink", STATE_RUNNING, MEMORY_UNLINKAT, unlink_message},
    {"running-remove", STATE_RUNNING, MEMORY_REMOVE, remove_message},
    {"running-setattr", STATE_RUNNING, MEMORY_SETATTR, setattr_message},
    {"deaf-write", STATE_RUNNING_DEAF, MEMORY_WRITE, write_message},
    {"deaf-walk", STATE_RUNNING_DEAF, MEMORY_WALK, walk_message},
    {"done", STATE_DONE, MEMORY_WRITE, write_message},
    {"published", STATE_PUBLISHED, MEMORY_WRITE, write_message},
    {"unknown", STATE_UNKNOWN, MEMORY_WRITE, NULL},
};

static const Way ways[] = {
    {"same-ring", 1, {{0, TAG_FLUSH, TAG_TARGET}}},
    {"other-ring", 1, {{1, TAG_FLUSH, TAG_TARGET}}},
    {"several",
     3,
     {{1, TAG_FLUSH, TAG_TARGET}, {0, TAG_SECOND, TAG_TARGET}, {1, TAG_THIRD, TAG_TARGET}}},
    {"flush-of-flush", 2, {{1, TAG_FLUSH, TAG_TARGET}, {0, TAG_SECOND, TAG_FLUSH}}},
    {"itself", 1, {{1, TAG_FLUSH, TAG_FLUSH}}},
};

/* The target's tag and the Tflush's. */
static const uint16_t tags[][2] = {{5, 6}, {0, 0xfffe}, {0xfffe, 0}};

/*
 * Delays
 */

static gint delays; /* atomic: whether there are any */

static void delay(void)
{
    if (g_atomic_int_get(&delays))
        test_random_delay();
}

static int delay_operation(void *context, MemoryOp op)
{
    (void)context;
    (void)op;
    delay();
    return 0;
}

/*
 * Messages
 */

static uint16_t tag_of(const Case *c, FlushTag tag)
{
    switch (tag) {
    case TAG_TARGET:
        return c->tag;
    case TAG_FLUSH:
        return c->flush_tag;
    case TAG_SECOND:
        return SECOND_TAG;
    default:
        return THIRD_TAG;
    }
}

/* A target that is not taken lies in ring 0, where nothing behind it would be taken either. */
static unsigned ring_of(const Case *c, const Flush *flush)
{
    return c->target->state == STATE_NOT_TAKEN ? 1 : flush->ring;
}

static void send(Play *p, unsigned ring, GByteArray *message)
{
    delay();
    test_publish(p->ts, ring, message->data, message->len);
    g_byte_array_free(message, TRUE);
    delay();
    test_session_step(p->ts);
    delay();
}

static void expect(Play *p, unsigned ring, GByteArray *reply)
{
    g_byte_array_append(p->expected[ring], reply->data, reply->len);
    g_byte_array_free(reply, TRUE);
}

/* Uses a tag again, for a Twalk without names, which is answered at once. */
static void send_again(Play *p, unsigned ring, uint16_t tag, uint32_t new_fid)
{
    send(p, ring, message_new(P9_TWALK, tag, "ddw", SCENE_ROOT, new_fid, 0u));
}

static void expect_again(Play *p, unsigned ring, uint16_t tag)
{
    expect(p, ring, message_new(P9_TWALK + 1, tag, "w", 0u));
}

static void expect_rwrite(Play *p, uint16_t tag)
{
    expect(p, 0, message_new(P9_TWRITE + 1, tag, "d", 3u));
}

/* What the target would be answered in the same tree if nobody flushed it. */
static GByteArray *make_reply(const Target *target, uint16_t tag)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, N_RINGS, 1);
    GByteArray *message = target->message(tag);
    GByteArray *bytes = g_byte_array_new();
    TestReply *reply;

    memory_fs_set_waits(s->fs, true);
    test_publish(s->ts, 0, message->data, message->len);
    g_byte_array_free(message, TRUE);
    reply = test_session_await(s->ts, 0, tag, PATIENCE_S * 1000);
    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->type, !=, P9_RLERROR);
    g_byte_array_append(bytes, reply->bytes, reply->size);
    g_free(reply);
    return bytes;
}

static void expect_reply(Play *p)
{
    static GByteArray *known[G_N_ELEMENTS(targets)][G_N_ELEMENTS(tags)];
    size_t target = (size_t)(p->c->target - targets);
    size_t tag = 0;

    while (tags[tag][0] != p->c->tag)
        tag++;
    if (!known[target][tag])
        known[target][tag] = make_reply(p->c->target, p->c->tag);
    expect(p, 0, g_byte_array_append(g_byte_array_new(), known[target][tag]->data,
                                     known[target][tag]->len));
}

static void expect_rflush(Play *p, const Flush *flush)
{
    expect(p, ring_of(p->c, flush),
           message_new(P9_TFLUSH + 1, tag_of(p->c, flush->tag), ""));
}

/* All of them; or, when the client gave the first one up, only the others. */
static void expect_rflushes(Play *p, bool first_too)
{
    for (unsigned i = first_too ? 0 : 1; i < p->c->way->n; i++)
        expect_rflush(p, &p->c->way->flushes[i]);
}

/*
 * Waiting
 */

static bool is_busy(const RequestInfo *r)
{
    return r->state != REQUEST_DONE;
}

static bool is_there(const RequestInfo *r)
{
    (void)r;
    return true;
}

static unsigned count(Play *p, bool (*counts)(const RequestInfo *r))
{
    g_autoptr(GArray) requests = session_list_requests(test_session_session(p->ts));
    unsigned n = 0;

    for (unsigned i = 0; i < requests->len; i++)
        n += counts(&g_array_index(requests, RequestInfo, i));
    return n;
}

/* Turns until `n` requests are left that `counts`. */
static void turn_until(Play *p, unsigned n, bool (*counts)(const RequestInfo *r))
{
    gint64 until = g_get_monotonic_time() + PATIENCE_S * G_TIME_SPAN_SECOND;

    test_session_step(p->ts);
    while (count(p, counts) > n) {
        if (g_get_monotonic_time() > until)
            g_error("requests do not end");
        test_session_wait(p->ts);
        test_session_step(p->ts);
    }
}

/*
 * A case
 */

static bool flushes_itself(const Case *c)
{
    return c->way->flushes[0].oldtag == TAG_FLUSH;
}

/* The second Tflush waits until the Rflush of the first is published. */
static bool flushes_flush(const Case *c)
{
    return c->way->n > 1 && c->way->flushes[1].oldtag == TAG_FLUSH;
}

/* The Rflushes come at once: the first Tflush finds nothing that it has to wait for. */
static bool is_answered_early(const Case *c)
{
    State state = c->target->state;

    return flushes_itself(c) || state == STATE_QUEUED || state == STATE_PUBLISHED ||
           state == STATE_UNKNOWN;
}

/* An interrupted target ends in its own time. In the middle of that is where nothing is published. */
static bool holds_rings(const Case *c)
{
    bool in_the_middle = c->event != EVENT_NONE && c->event != EVENT_REUSE_AFTER;

    return c->target->state == STATE_RUNNING && in_the_middle && !flushes_itself(c);
}

static void hold_rings(Play *p, bool held)
{
    for (unsigned i = 0; i < N_RINGS; i++)
        test_channel_hold(p->ts, i, held);
}

/* Brings the target into its state. */
static void begin_target(Play *p)
{
    const Target *target = p->c->target;

    if (target->state == STATE_UNKNOWN)
        return;
    test_channel_pause(p->ts, 0, target->state == STATE_NOT_TAKEN);
    test_channel_hold(p->ts, 0, target->state == STATE_DONE);
    if (target->state == STATE_QUEUED) {
        memory_fs_close_gate(p->scene->fs, MEMORY_WRITE);
        send(p, 0, write_message(BLOCKER_TAG));
        memory_fs_await_blocked(p->scene->fs, MEMORY_WRITE, 1);
    }
    if (target->state == STATE_RUNNING || target->state == STATE_RUNNING_DEAF)
        memory_fs_close_gate(p->scene->fs, target->op);
    memory_fs_set_interruptible(p->scene->fs, target->state == STATE_RUNNING);
    send(p, 0, target->message(p->c->tag));
    if (target->state == STATE_RUNNING || target->state == STATE_RUNNING_DEAF)
        memory_fs_await_blocked(p->scene->fs, target->op, 1);
    if (target->state == STATE_DONE)
        turn_until(p, 0, is_busy);
    if (target->state == STATE_PUBLISHED) {
        turn_until(p, 0, is_there);
        expect_reply(p);
    }
}

static void send_flushes(Play *p)
{
    for (unsigned i = 0; i < p->c->way->n; i++) {
        const Flush *f = &p->c->way->flushes[i];
        send(p, ring_of(p->c, f),
             message_new(P9_TFLUSH, tag_of(p->c, f->tag), "w", tag_of(p->c, f->oldtag)));
    }
    if (is_answered_early(p->c))
        expect_rflushes(p, true);
}

/* Lets the target go on, whatever state it is in. */
static void resolve(Play *p)
{
    if (p->c->target->state != STATE_UNKNOWN)
        memory_fs_open_gate(p->scene->fs, p->c->target->op);
    memory_fs_open_gate(p->scene->fs, MEMORY_WRITE);
    test_channel_pause(p->ts, 0, false);
    hold_rings(p, false);
    turn_until(p, 0, is_there);
}

/* What comes when nothing happens in between. */
static void expect_end(Play *p)
{
    State state = p->c->target->state;
    bool cancelled = state == STATE_RUNNING || state == STATE_NOT_TAKEN;

    if (state == STATE_QUEUED)
        expect_rwrite(p, BLOCKER_TAG);
    if (state != STATE_UNKNOWN && state != STATE_PUBLISHED &&
        (flushes_itself(p->c) || (!cancelled && state != STATE_QUEUED)))
        expect_reply(p);
    if (!is_answered_early(p->c))
        expect_rflushes(p, true);
}

static void play_to_the_end(Play *p)
{
    resolve(p);
    expect_end(p);
    if (p->c->event != EVENT_REUSE_AFTER)
        return;
    send_again(p, 0, p->c->tag, FIRST_NEW_FID);
    expect_again(p, 0, p->c->tag);
}

/* The new requests are answered as if the old ones had never been; Tflushes that were not given up
 * are answered when the target has ended. */
static void play_give_up(Play *p)
{
    State state = p->c->target->state;
    bool rflushes_first = state == STATE_RUNNING && !flushes_flush(p->c);

    send_again(p, 0, p->c->tag, FIRST_NEW_FID);
    send_again(p, 1, p->c->flush_tag, SECOND_NEW_FID);
    resolve(p);
    if (!is_answered_early(p->c) && rflushes_first)
        expect_rflushes(p, false);
    expect_again(p, 0, p->c->tag);
    expect_again(p, 1, p->c->flush_tag);
    if (!is_answered_early(p->c) && !rflushes_first)
        expect_rflushes(p, false);
    if (state == STATE_QUEUED)
        expect_rwrite(p, BLOCKER_TAG);
}

/* A request that is taken after the Tversion belongs to the new conversation, which has no fids. */
static void play_version(Play *p)
{
    send(p, 1, message_new(P9_TVERSION, P9_NOTAG, "ds", SCENE_MSIZE, "9P2000.L"));
    resolve(p);
    expect(p, 1, message_new(P9_TVERSION + 1, P9_NOTAG, "ds", SCENE_MSIZE, "9P2000.L"));
    if (p->c->target->state == STATE_NOT_TAKEN)
        expect(p, 0, message_new(P9_RLERROR, p->c->tag, "d", ENOENT));
}

/* The end of the session checks that nothing comes any more; the gates are opened while it waits. */
static gpointer open_gates_later(gpointer data)
{
    delay();
    for (int op = 0; op < MEMORY_N_OPS; op++)
        memory_fs_open_gate(data, (MemoryOp)op);
    return NULL;
}

static void play_event(Play *p)
{
    switch (p->c->event) {
    case EVENT_GIVE_UP:
        play_give_up(p);
        break;
    case EVENT_VERSION:
        play_version(p);
        break;
    case EVENT_DISCONNECT:
        break;
    default:
        play_to_the_end(p);
        break;
    }
}

static void check_rings(Play *p)
{
    for (unsigned i = 0; i < N_RINGS; i++) {
        g_autoptr(GBytes) all = test_channel_published(p->ts, i);
        g_autoptr(GBytes) seen = g_bytes_new_from_bytes(all, p->start[i],
                                                        g_bytes_get_size(all) - p->start[i]);
        g_autoptr(GBytes) expected = g_bytes_new(p->expected[i]->data, p->expected[i]->len);

        if (!g_bytes_equal(seen, expected))
            g_error("%s, %s, event %d, tags %u %u: ring %u carries %zu bytes, expected %zu: %s",
                    p->c->target->name, p->c->way->name, p->c->event, p->c->tag, p->c->flush_tag, i,
                    g_bytes_get_size(seen), g_bytes_get_size(expected),
                    test_session_transcript(p->ts));
    }
}

static void end_play(Play *p)
{
    GThread *opener = NULL;

    if (p->c->event == EVENT_DISCONNECT && p->c->target->state == STATE_NOT_TAKEN)
        g_assert_cmpuint(count(p, is_there), ==, flushes_itself(p->c) ? 0 : p->c->way->n);
    if (p->c->event == EVENT_DISCONNECT)
        opener = g_thread_new("opener", open_gates_later, p->scene->fs);
    scene_stop(p->scene);
    if (opener)
        g_thread_join(opener);
    scene_free(p->scene);
    for (unsigned i = 0; i < N_RINGS; i++)
        g_byte_array_free(p->expected[i], TRUE);
}

static void play(const Case *c)
{
    unsigned threads = c->target->state == STATE_QUEUED ? 1 : 4;
    Play p = {.c = c, .scene = scene_new(FS_LOCAL, N_RINGS, threads)};

    p.ts = p.scene->ts;
    g_free(test_session_transcript(p.ts));
    for (unsigned i = 0; i < N_RINGS; i++) {
        g_autoptr(GBytes) before = test_channel_published(p.ts, i);
        p.start[i] = g_bytes_get_size(before);
        p.expected[i] = g_byte_array_new();
    }
    memory_fs_set_waits(p.scene->fs, true);
    memory_fs_set_hook(p.scene->fs, delay_operation, NULL);
    test_session_set_delay(p.ts, delay);

    begin_target(&p);
    if (holds_rings(c))
        hold_rings(&p, true);
    send_flushes(&p);
    if (holds_rings(c))
        turn_until(&p, flushes_flush(c) ? 1 : 0, is_busy);
    play_event(&p);
    check_rings(&p);
    end_play(&p);
}

/*
 * The matrix
 */

/* A target that is not taken cannot be flushed on its own ring. One that is taken together with its
 * successor under the same tag ends before it or not at all. */
static bool is_possible(const Target *target, const Way *way, Event event)
{
    if (target->state != STATE_NOT_TAKEN)
        return true;
    if (g_str_equal(way->name, "same-ring"))
        return false;
    return !(g_str_equal(way->name, "itself") && event == EVENT_GIVE_UP);
}

static unsigned play_events(const Target *target, const Way *way, unsigned round)
{
    unsigned n = 0;

    for (Event event = EVENT_NONE; event < N_EVENTS; event++) {
        const uint16_t *pair = tags[(round + event) % G_N_ELEMENTS(tags)];
        Case c = {.target = target,
                  .way = way,
                  .event = event,
                  .tag = pair[0],
                  .flush_tag = pair[1]};

        if (!is_possible(target, way, event))
            continue;
        play(&c);
        n++;
    }
    return n;
}

typedef struct Cell {
    const Target *target;
    const Way *way;
} Cell;

static void test_cell(gconstpointer data)
{
    const Cell *cell = data;

    for (unsigned round = 0; round < G_N_ELEMENTS(tags); round++)
        play_events(cell->target, cell->way, round);
}

static unsigned number_from_environment(const char *name, unsigned otherwise)
{
    const char *text = g_getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void test_with_delays(void)
{
    unsigned rounds = number_from_environment("FLUSH_ROUNDS", 2);
    gint64 until = g_get_monotonic_time() +
                   number_from_environment("FLUSH_SECONDS", 60) * G_TIME_SPAN_SECOND;
    unsigned n = 0, round;

    g_atomic_int_set(&delays, true);
    for (round = 0; round < rounds && g_get_monotonic_time() < until; round++) {
        for (size_t t = 0; t < G_N_ELEMENTS(targets); t++) {
            for (size_t w = 0; w < G_N_ELEMENTS(ways); w++)
                n += play_events(&targets[t], &ways[w], round);
        }
    }
    g_atomic_int_set(&delays, false);
    g_test_message("%u rounds, %u cases", round, n);
    g_assert_cmpuint(round, >, 0);
}

static void add_cells(void)
{
    static Cell cells[G_N_ELEMENTS(targets)][G_N_ELEMENTS(ways)];

    for (size_t t = 0; t < G_N_ELEMENTS(targets); t++) {
        for (size_t w = 0; w < G_N_ELEMENTS(ways); w++) {
            g_autofree char *path =
                g_strdup_printf("/flush-matrix/%s/%s", targets[t].name, ways[w].name);

            cells[t][w] = (Cell){&targets[t], &ways[w]};
            if (is_possible(&targets[t], &ways[w], EVENT_NONE))
                g_test_add_data_func(path, &cells[t][w], test_cell);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    add_cells();
    g_test_add_func("/flush-matrix/with-delays", test_with_delays);
    return g_test_run();
}
