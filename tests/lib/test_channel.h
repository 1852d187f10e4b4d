/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test session: a session with channels in memory, as rings would carry it, under a test's hand.
 *
 * The thread that makes a TestSession is its first reader: requests are taken, and waiting Tflushes go
 * on, only inside test_session_step() and what calls it. A test so decides what the reader sees
 * first. Publishing and looking at replies is for any thread; so is test_session_step() for one that
 * is a reader, too.
 *
 * The positions of every channel start just below 2^32, so that they wrap around in each test.
 */
#ifndef TESTS_LIB_TEST_CHANNEL_H
#define TESTS_LIB_TEST_CHANNEL_H

#include "protocol/session.h"

typedef struct TestSession TestSession;

/* A published reply. */
typedef struct TestReply {
    unsigned channel;
    uint8_t type;
    uint16_t tag;
    uint32_t size; /* of the whole message */
    uint8_t bytes[];
} TestReply;

enum { TEST_MAX_MESSAGE = 64 * 1024 };

/* A session over `fs` with `n_channels` channels whose messages have at most `max_message` bytes.
 * `limits` may be NULL. */
TestSession *test_session_new(Fs *fs, unsigned n_channels, uint32_t max_message,
                              const SessionLimits *limits);

/* The same for an export that is served with `options`; those above have none. */
TestSession *test_session_new_with_options(Fs *fs, const ExportOptions *options,
                                           unsigned n_channels, uint32_t max_message,
                                           const SessionLimits *limits);

/* Stops the session, as when the frontend goes away, and frees it. Checks that no request is left
 * over. Replies that nobody looked at are dropped. */
void test_session_free(TestSession *ts);

Session *test_session_session(TestSession *ts);

/* Publishes `size` bytes for the reader: a message, several, or a piece of one. */
void test_publish(TestSession *ts, unsigned channel, const void *bytes, size_t size);

/* As publishing and reading at the other end of a ring: while set, the reader does not look at
 * this channel; no reply is published on it; replies are not consumed as they appear. */
void test_channel_pause(TestSession *ts, unsigned channel, bool paused);
void test_channel_hold(TestSession *ts, unsigned channel, bool held);
void test_channel_keep(TestSession *ts, unsigned channel, bool kept);

/* Consumes every reply on a channel that is kept. */
void test_channel_consume(TestSession *ts, unsigned channel);

/* Calls `delay`, without a lock and on any thread, at each step of a request's way through a channel:
 * before it is taken, before its reply is sent, and between publication and what follows. */
void test_session_set_delay(TestSession *ts, void (*delay)(void));

/* Such a delay: a random one of less than a third of a millisecond, or, mostly, none. */
void test_random_delay(void);

/* One turn of the reader. */
void test_session_step(TestSession *ts);

/* Waits until the reader is woken, or something is published, or for a millisecond. */
void test_session_wait(TestSession *ts);

/* The oldest reply on `channel` with `tag`, or any for P9_ANY_TAG; waits `milliseconds` for it, on
 * the reader by turning. Returns NULL when there is none. The caller frees it with g_free(). */
enum { TEST_ANY_TAG = -1 };
TestReply *test_session_await(TestSession *ts, unsigned channel, int tag, unsigned milliseconds);

/* What was published since the last call, oldest first, in the form "0:Rwrite/5 1:Rflush/6"; an
 * error as "0:Rlerror(2)/5". Takes these replies. The caller frees the text. */
char *test_session_transcript(TestSession *ts);

/* Waits for as many replies as `transcript` names, and a little longer for one too many, and checks
 * that they are these, in this order. */
void test_session_expect(TestSession *ts, const char *transcript);

/* The oldest reply that nobody looked at, or NULL. The caller frees it with g_free(). */
TestReply *test_session_take_reply(TestSession *ts);

/* Turns until `n` replies are there or thirty seconds have passed. */
void test_session_await_count(TestSession *ts, unsigned n);

/* How many replies were published and not looked at. */
unsigned test_session_n_replies(TestSession *ts);

/* All bytes that were ever published on `channel`. The caller unrefs them. */
GBytes *test_channel_published(TestSession *ts, unsigned channel);

#endif
