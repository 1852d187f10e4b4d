/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Test session: see test_channel.h. */
#include "tests/lib/test_channel.h"

#include <string.h>

enum {
    FIRST_POSITION = 0xffffffc0u,
    FEW_SECONDS = 30,
    QUIET_TURNS = 4,
};

typedef struct TestChannel {
    Channel channel; /* first: a Channel is its TestChannel */
    TestSession *ts;
    bool paused;
    bool held;
    bool kept;
    GByteArray *out; /* published and not taken */
    uint32_t out_cons;
    GByteArray *in; /* everything ever published */
    uint32_t in_prod;
    uint32_t in_cons;
    GQueue pending; /* Request: replies that wait for room */
} TestChannel;

struct TestSession {
    Session *session;
    GThread *reader;
    unsigned n_channels;
    TestChannel channels[SESSION_MAX_CHANNELS];
    bool stopped; /* reader only: the channels may be gone */
    void (*delay)(void);

    GMutex lock; /* guards what follows and the channels */
    GCond changed;
    unsigned n_waiting; /* for a change; to tell them costs a system call */
    bool woken;
    GQueue replies; /* TestReply, oldest first */
};

static const ChannelOps test_channel_ops;

void test_session_set_delay(TestSession *ts, void (*delay)(void))
{
    ts->delay = delay;
}

void test_random_delay(void)
{
    switch (g_random_int_range(0, 8)) {
    case 0:
        g_usleep((gulong)g_random_int_range(1, 300));
        break;
    case 1:
        g_thread_yield();
        break;
    default:
        break;
    }
}

static void delay(const TestSession *ts)
{
    if (ts->delay)
        ts->delay();
}

/* Called with the lock held, as the next. */
static void tell_of_change(TestSession *ts)
{
    if (ts->n_waiting > 0)
        g_cond_broadcast(&ts->changed);
}

static void await_change(TestSession *ts, gint64 until)
{
    ts->n_waiting++;
    g_cond_wait_until(&ts->changed, &ts->lock, until);
    ts->n_waiting--;
}

/*
 * The client's side
 */

void test_publish(TestSession *ts, unsigned channel, const void *bytes, size_t size)
{
    g_mutex_lock(&ts->lock);
    g_byte_array_append(ts->channels[channel].out, bytes, (guint)size);
    ts->woken = true;
    tell_of_change(ts);
    g_mutex_unlock(&ts->lock);
}

static void set_flag(TestSession *ts, bool *flag, bool value)
{
    g_mutex_lock(&ts->lock);
    *flag = value;
    ts->woken = true;
    tell_of_change(ts);
    g_mutex_unlock(&ts->lock);
}

void test_channel_pause(TestSession *ts, unsigned channel, bool paused)
{
    set_flag(ts, &ts->channels[channel].paused, paused);
}

void test_channel_hold(TestSession *ts, unsigned channel, bool held)
{
    set_flag(ts, &ts->channels[channel].held, held);
}

void test_channel_keep(TestSession *ts, unsigned channel, bool kept)
{
    set_flag(ts, &ts->channels[channel].kept, kept);
}

void test_channel_consume(TestSession *ts, unsigned channel)
{
    g_mutex_lock(&ts->lock);
    ts->channels[channel].in_cons = ts->channels[channel].in_prod;
    g_mutex_unlock(&ts->lock);
}

GBytes *test_channel_published(TestSession *ts, unsigned channel)
{
    GByteArray *in = ts->channels[channel].in;
    GBytes *bytes;

    g_mutex_lock(&ts->lock);
    bytes = g_bytes_new(in->data, in->len);
    g_mutex_unlock(&ts->lock);
    return bytes;
}

unsigned test_session_n_replies(TestSession *ts)
{
    unsigned n;

    g_mutex_lock(&ts->lock);
    n = g_queue_get_length(&ts->replies);
    g_mutex_unlock(&ts->lock);
    return n;
}

/*
 * Replies
 */

static void record_reply(TestChannel *c, const ByteWriter *message)
{
    TestReply *reply = g_malloc(sizeof(TestReply) + message->used);
    ByteReader r = byte_reader(message->start, message->used);

    reply->channel = c->channel.index;
    reply->size = read_u32(&r);
    reply->type = read_u8(&r);
    reply->tag = read_u16(&r);
    g_assert_cmpuint(reply->size, ==, message->used);
    memcpy(reply->bytes, message->start, message->used);
    g_queue_push_tail(&c->ts->replies, reply);
    g_byte_array_append(c->in, message->start, (guint)message->used);
    c->in_prod += reply->size;
    if (!c->kept)
        c->in_cons = c->in_prod;
}

/* Publishes what may be published. The requests go to `ended`. */
static void publish_pending(TestChannel *c, GQueue *ended)
{
    g_mutex_lock(&c->ts->lock);
    while (!c->held && !g_queue_is_empty(&c->pending)) {
        Request *request = g_queue_pop_head(&c->pending);

        if (request_retire(request))
            record_reply(c, &request->reply);
        g_queue_push_tail(ended, request);
    }
    tell_of_change(c->ts);
    g_mutex_unlock(&c->ts->lock);
}

static void pump(TestChannel *c)
{
    GQueue ended = G_QUEUE_INIT;

    publish_pending(c, &ended);
    delay(c->ts);
    while (!g_queue_is_empty(&ended))
        request_finish(g_queue_pop_head(&ended));
}

static void test_channel_send(Channel *channel, Request *request)
{
    TestChannel *c = (TestChannel *)channel;

    delay(c->ts);
    g_mutex_lock(&c->ts->lock);
    g_queue_push_tail(&c->pending, request);
    g_mutex_unlock(&c->ts->lock);
    pump(c);
}

/*
 * Requests
 */

/* The size of the message at the head of the channel, or 0 when it is not complete. */
static uint32_t complete_size(const TestChannel *c)
{
    ByteReader r = byte_reader(c->out->data, c->out->len);
    uint32_t size = read_u32(&r);

    if (r.failed)
        return 0;
    g_assert_cmpuint(size, >=, P9_HEADER_SIZE);
    g_assert_cmpuint(size, <=, c->channel.max_message);
    return size <= c->out->len ? size : 0;
}

/* Takes one request. Returns false when there is none or it is not admitted. */
static bool take_one(TestSession *ts, TestChannel *c)
{
    Request *request = NULL;
    uint32_t size = 0;

    g_mutex_lock(&ts->lock);
    if (!c->paused)
        size = complete_size(c);
    if (size > 0)
        request = session_admit(ts->session, &c->channel, c->out->data,
                                MIN(size, SESSION_PEEK_SIZE), size);
    if (request) {
        memcpy(request->message, c->out->data, size);
        g_byte_array_remove_range(c->out, 0, size);
        c->out_cons += size;
    }
    g_mutex_unlock(&ts->lock);
    delay(ts);
    if (request)
        session_take(ts->session, request);
    return request != NULL;
}

void test_session_step(TestSession *ts)
{
    g_mutex_lock(&ts->lock);
    ts->woken = false;
    g_mutex_unlock(&ts->lock);
    session_lock(ts->session);
    for (unsigned i = 0; i < ts->n_channels; i++) {
        while (take_one(ts, &ts->channels[i]))
            ;
        pump(&ts->channels[i]);
    }
    session_tend(ts->session);
    session_unlock(ts->session);
}

void test_session_wait(TestSession *ts)
{
    gint64 until = g_get_monotonic_time() + G_TIME_SPAN_MILLISECOND;

    g_mutex_lock(&ts->lock);
    if (!ts->woken)
        await_change(ts, until);
    g_mutex_unlock(&ts->lock);
}

static void wake(void *context)
{
    TestSession *ts = context;

    g_mutex_lock(&ts->lock);
    ts->woken = true;
    tell_of_change(ts);
    g_mutex_unlock(&ts->lock);
}

/*
 * Waiting for replies
 */

static TestReply *find_reply(TestSession *ts, unsigned channel, int tag)
{
    for (GList *l = ts->replies.head; l; l = l->next) {
        TestReply *reply = l->data;

        if (reply->channel == channel && (tag == TEST_ANY_TAG || reply->tag == tag)) {
            g_queue_delete_link(&ts->replies, l);
            return reply;
        }
    }
    return NULL;
}

TestReply *test_session_await(TestSession *ts, unsigned channel, int tag, unsigned milliseconds)
{
    gint64 until = g_get_monotonic_time() + milliseconds * G_TIME_SPAN_MILLISECOND;
    bool is_reader = g_thread_self() == ts->reader;
    TestReply *reply;

    g_mutex_lock(&ts->lock);
    while (!(reply = find_reply(ts, channel, tag)) && g_get_monotonic_time() < until) {
        if (is_reader) {
            g_mutex_unlock(&ts->lock);
            test_session_step(ts);
            g_mutex_lock(&ts->lock);
            reply = find_reply(ts, channel, tag);
            if (reply)
                break;
        }
        if (!is_reader || !ts->woken)
            await_change(ts, g_get_monotonic_time() + G_TIME_SPAN_MILLISECOND);
    }
    g_mutex_unlock(&ts->lock);
    return reply;
}

void test_session_await_count(TestSession *ts, unsigned n)
{
    gint64 until = g_get_monotonic_time() + FEW_SECONDS * G_TIME_SPAN_SECOND;

    test_session_step(ts);
    while (test_session_n_replies(ts) < n && g_get_monotonic_time() < until) {
        test_session_wait(ts);
        test_session_step(ts);
    }
}

static void turn_for_a_while(TestSession *ts)
{
    for (unsigned i = 0; i < QUIET_TURNS; i++) {
        test_session_step(ts);
        test_session_wait(ts);
    }
}

static unsigned count_words(const char *text)
{
    unsigned n = *text ? 1 : 0;

    for (; *text; text++)
        n += *text == ' ';
    return n;
}

void test_session_expect(TestSession *ts, const char *transcript)
{
    g_autofree char *seen = NULL;

    test_session_await_count(ts, count_words(transcript));
    turn_for_a_while(ts);
    seen = test_session_transcript(ts);
    g_assert_cmpstr(seen, ==, transcript);
}

TestReply *test_session_take_reply(TestSession *ts)
{
    TestReply *reply;

    g_mutex_lock(&ts->lock);
    reply = g_queue_pop_head(&ts->replies);
    g_mutex_unlock(&ts->lock);
    return reply;
}

static void append_reply(GString *text, TestReply *reply)
{
    const char *name = tmessage_name((uint8_t)(reply->type - 1)) + 1;

    if (text->len > 0)
        g_string_append_c(text, ' ');
    if (reply->type == P9_RLERROR) {
        ByteReader r = byte_reader(reply->bytes + P9_HEADER_SIZE, reply->size - P9_HEADER_SIZE);
        g_string_append_printf(text, "%u:Rlerror(%u)/%u", reply->channel, read_u32(&r), reply->tag);
    } else {
        g_string_append_printf(text, "%u:R%s/%u", reply->channel, name, reply->tag);
    }
}

char *test_session_transcript(TestSession *ts)
{
    GString *text = g_string_new(NULL);
    TestReply *reply;

    g_mutex_lock(&ts->lock);
    while ((reply = g_queue_pop_head(&ts->replies))) {
        append_reply(text, reply);
        g_free(reply);
    }
    g_mutex_unlock(&ts->lock);
    return g_string_free(text, FALSE);
}

/*
 * Positions
 */

static uint32_t out_published(Channel *channel)
{
    TestChannel *c = (TestChannel *)channel;
    uint32_t position;

    g_assert_false(c->ts->stopped);
    g_mutex_lock(&c->ts->lock);
    position = c->out_cons + c->out->len;
    g_mutex_unlock(&c->ts->lock);
    return position;
}

static bool out_taken(Channel *channel, uint32_t position)
{
    TestChannel *c = (TestChannel *)channel;
    bool taken;

    g_assert_false(c->ts->stopped);
    g_mutex_lock(&c->ts->lock);
    uint32_t left = position - c->out_cons;
    uint32_t size = (int32_t)left > 0 ? complete_size(c) : 0;
    taken = (int32_t)left <= 0 || size == 0 || size > left;
    g_mutex_unlock(&c->ts->lock);
    return taken;
}

static uint32_t out_position(Channel *channel)
{
    return ((TestChannel *)channel)->out_cons;
}

static uint32_t in_published(Channel *channel)
{
    TestChannel *c = (TestChannel *)channel;
    uint32_t position;

    g_assert_false(c->ts->stopped);
    g_mutex_lock(&c->ts->lock);
    position = c->in_prod;
    g_mutex_unlock(&c->ts->lock);
    return position;
}

static bool in_consumed(Channel *channel, uint32_t position)
{
    TestChannel *c = (TestChannel *)channel;
    bool consumed;

    g_assert_false(c->ts->stopped);
    g_mutex_lock(&c->ts->lock);
    consumed = (int32_t)(c->in_cons - position) >= 0;
    g_mutex_unlock(&c->ts->lock);
    return consumed;
}

static const ChannelOps test_channel_ops = {
    .send = test_channel_send,
    .out_published = out_published,
    .out_taken = out_taken,
    .out_position = out_position,
    .in_published = in_published,
    .in_consumed = in_consumed,
};

/*
 * Life
 */

static void init_channel(TestSession *ts, TestChannel *c, uint32_t max_message)
{
    c->ts = ts;
    c->channel.ops = &test_channel_ops;
    c->channel.max_message = max_message;
    c->out = g_byte_array_new();
    c->in = g_byte_array_new();
    c->out_cons = c->in_prod = c->in_cons = (uint32_t)FIRST_POSITION;
    g_queue_init(&c->pending);
    session_add_channel(ts->session, &c->channel);
}

TestSession *test_session_new_with_options(Fs *fs, const ExportOptions *options,
                                           unsigned n_channels, uint32_t max_message,
                                           const SessionLimits *limits)
{
    TestSession *ts = g_new0(TestSession, 1);

    g_mutex_init(&ts->lock);
    g_cond_init(&ts->changed);
    g_queue_init(&ts->replies);
    ts->reader = g_thread_self();
    ts->session = session_new(fs, options, limits ? limits : &session_default_limits, wake, ts);
    ts->n_channels = n_channels;
    for (unsigned i = 0; i < n_channels; i++)
        init_channel(ts, &ts->channels[i], max_message);
    return ts;
}

TestSession *test_session_new(Fs *fs, unsigned n_channels, uint32_t max_message,
                              const SessionLimits *limits)
{
    return test_session_new_with_options(fs, &export_default_options, n_channels, max_message,
                                         limits);
}

Session *test_session_session(TestSession *ts)
{
    return ts->session;
}

/* After session_stop(): what still waited for room must not be published any more. */
static void drop_pending(TestChannel *c)
{
    while (!g_queue_is_empty(&c->pending)) {
        Request *request = g_queue_pop_head(&c->pending);

        g_assert_false(request_retire(request));
        request_finish(request);
    }
}

/* The only requests that may be left after session_stop() and drop_pending() are Tflushes whose
 * targets were let go of just now; session_free() ends them. */
static void free_session(Session *session)
{
    fid_table_ref(session->state.fids);
    FidTable *fids = session->state.fids;

    session_free(session);
    g_assert_cmpuint(fid_table_count(fids), ==, 0);
    fid_table_unref(fids);
}

void test_session_free(TestSession *ts)
{
    unsigned n_replies;

    session_stop(ts->session);
    n_replies = test_session_n_replies(ts);
    for (unsigned i = 0; i < ts->n_channels; i++)
        drop_pending(&ts->channels[i]);
    ts->stopped = true; /* as when rings are unmapped before session_free() */
    session_tend(ts->session);
    g_assert_cmpuint(ts->session->inflight_bytes, ==, 0);
    g_assert_cmpint(ts->session->n_reserved, ==, 0);
    free_session(ts->session);
    g_assert_cmpuint(test_session_n_replies(ts), ==, n_replies);

    for (unsigned i = 0; i < ts->n_channels; i++) {
        g_byte_array_free(ts->channels[i].out, TRUE);
        g_byte_array_free(ts->channels[i].in, TRUE);
    }
    g_queue_clear_full(&ts->replies, g_free);
    g_mutex_clear(&ts->lock);
    g_cond_clear(&ts->changed);
    g_free(ts);
}
