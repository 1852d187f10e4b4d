/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dialects 9P2000.u and 9P2000: how they are agreed on, what their messages look like, and how
 * errors are told in each. */
#include <errno.h>

#include "tests/lib/unix_client.h"

enum { NEW = 9 };

static const Dialect dialects[] = {DIALECT_9P2000_U, DIALECT_9P2000};

/* The reply to one message, byte for byte. */
static void assert_reply(Client *c, const void *expected, size_t size)
{
    g_autofree TestReply *reply = test_session_await(c->ts, c->channel, c->tag, 10000);

    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->size, ==, size);
    g_assert_true(memcmp(reply->bytes, expected, size) == 0);
}

#define ASSERT_REPLY(c, text) assert_reply(c, text, sizeof(text) - 1)

static void send_version(Client *c, uint32_t msize, const char *version)
{
    client_send(c->ts, c->tag, P9_TVERSION, "ds", msize, version);
}

static void test_version(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    send_version(c, 8192, "9P2000.u");
    ASSERT_REPLY(c, "\x15\0\0\0\x65\1\0\0\x20\0\0\x08\0"
                    "9P2000.u");
    send_version(c, 8192, "9P2000");
    ASSERT_REPLY(c, "\x13\0\0\0\x65\1\0\0\x20\0\0\x06\0"
                    "9P2000");
    send_version(c, 8192, "9P2000.ux");
    ASSERT_REPLY(c, "\x14\0\0\0\x65\1\0\0\x20\0\0\x07\0"
                    "unknown");
    send_version(c, 8192, "9P2000.");
    ASSERT_REPLY(c, "\x14\0\0\0\x65\1\0\0\x20\0\0\x07\0"
                    "unknown");
    send_version(c, 8192, "9P1999");
    ASSERT_REPLY(c, "\x14\0\0\0\x65\1\0\0\x20\0\0\x07\0"
                    "unknown");
}

/* An error of Tversion itself comes as the client expects it from then on. */
static void test_version_error(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    send_version(c, 4095, "9P2000.u");
    ASSERT_REPLY(c, "\x1d\0\0\0\x6b\1\0\x10\0Message too long\x5a\0\0\0");
    send_version(c, 4095, "9P2000");
    ASSERT_REPLY(c, "\x19\0\0\0\x6b\1\0\x10\0Message too long");
    send_version(c, 4095, "9P2000.L");
    ASSERT_REPLY(c, "\x0b\0\0\0\x07\1\0\x5a\0\0\0");
}

static void test_error_shapes(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    UnixClient u;

    (void)unused;
    u = unix_start(s, DIALECT_9P2000_U);
    client_send(c->ts, c->tag, P9_TCLUNK, "d", 77);
    ASSERT_REPLY(&u, "\x26\0\0\0\x6b\1\0\x19\0No such file or directory\2\0\0\0");
    u = unix_start(s, DIALECT_9P2000);
    client_send(c->ts, c->tag, P9_TCLUNK, "d", 77);
    ASSERT_REPLY(&u, "\x22\0\0\0\x6b\1\0\x19\0No such file or directory");
    client_start(c, 8192, 0, 0);
    client_send(c->ts, c->tag, P9_TCLUNK, "d", 77);
    ASSERT_REPLY(c, "\x0b\0\0\0\x07\1\0\2\0\0\0");
}

/* What every client has room for: an Rerror of 7 + 2 + 126 + 4 bytes. */
static void test_error_texts(void)
{
    for (int error = 1; error < 200; error++) {
        const char *text = strerrordesc_np(error);

        g_assert_true(!text || strlen(text) <= P9_ENAME_MAX);
    }
}

/* A reply that became an error after it had outgrown the small buffer. */
static void test_error_after_large_reply(Share *s, gconstpointer unused)
{
    char data[1];

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);

        share_put(s, "file", "text");
        unix_at(&u, NEW, "file");
        g_assert_cmpint(unix_open(&u, NEW, P9_OREAD), ==, 0);
        g_assert_cmpint(unix_read(&u, NEW, UINT64_MAX, 100000, data), ==, -EINVAL);
    }
}

static void test_attach(Share *s, gconstpointer unused)
{
    TestReply *reply = NULL;
    UnixClient u = unix_start(s, DIALECT_9P2000_U);

    (void)unused;
    /* as Mini-OS does it */
    g_assert_cmpint(client_call(&u, &reply, P9_TATTACH, "ddssd", NEW, 0, "root", "root", 0), ==, 0);
    g_free(reply);
    g_assert_cmpint(unix_attach(&u, NEW, "nobody", 0), ==, -EBADF);
    /* without n_uname it is a message of the other dialect */
    g_assert_cmpint(client_call(&u, NULL, P9_TATTACH, "ddss", 1, P9_NOFID, "u", ""), ==, -EINVAL);
    u = unix_start(s, DIALECT_9P2000);
    g_assert_cmpint(client_call(&u, NULL, P9_TATTACH, "ddssd", 1, P9_NOFID, "u", "", 0), ==,
                    -EINVAL);
    g_assert_cmpint(unix_attach(&u, 1, "nobody", 0), ==, 0);
    g_assert_cmpint(unix_attach(&u, 2, "", 0), ==, 0);
}

static void test_auth_is_refused(Share *s, gconstpointer unused)
{
    UnixClient u = unix_start(s, DIALECT_9P2000_U);

    (void)unused;
    g_assert_cmpint(client_call(&u, NULL, P9_TAUTH, "dssd", 1, "user", "", 0), ==, -EOPNOTSUPP);
    u = unix_start(s, DIALECT_9P2000);
    g_assert_cmpint(client_call(&u, NULL, P9_TAUTH, "dss", 1, "user", ""), ==, -EOPNOTSUPP);
    client_start(&s->client, 8192, 0, 0);
    g_assert_cmpint(client_call(&s->client, NULL, P9_TAUTH, "dssd", 1, "user", "", 0), ==,
                    -EOPNOTSUPP);
}

/* 9P2000.u has the messages of 9P2000.L too, and the other way round; 9P2000 has only its own. */
static void test_messages_of_the_other(Share *s, gconstpointer unused)
{
    const uint64_t mask = P9_GETATTR_BASIC;
    TestReply *reply = NULL;
    UnixClient u = unix_start(s, DIALECT_9P2000_U);

    (void)unused;
    g_assert_cmpint(client_call(&u, &reply, P9_TGETATTR, "dq", SHARE_ROOT, mask), ==, 0);
    g_free(reply);
    u = unix_start(s, DIALECT_9P2000);
    for (unsigned type = 8; type < P9_TVERSION; type += 2)
        g_assert_cmpint(client_call(&u, NULL, (uint8_t)type, "dq", SHARE_ROOT, mask), <, 0);
    g_assert_cmpint(client_call(&u, NULL, P9_TGETATTR, "dq", SHARE_ROOT, mask), ==, -EOPNOTSUPP);
    g_assert_cmpint(client_call(&u, NULL, P9_TSTATFS, "d", SHARE_ROOT), ==, -EOPNOTSUPP);

    client_start(&s->client, 8192, 0, 0);
    g_assert_cmpint(client_call(&s->client, &reply, P9_TSTAT, "d", SHARE_ROOT), ==, 0);
    g_free(reply);
    g_assert_cmpint(client_call(&s->client, &reply, P9_TOPEN, "db", SHARE_ROOT, P9_OREAD), ==, 0);
    g_free(reply);
    /* but there a directory is no file */
    g_assert_cmpint(client_read(&s->client, SHARE_ROOT, 0, 1000, NULL), ==, -EISDIR);
}

/* The reader cuts a message short anywhere, adds to it, or contradicts it: always an error. */
static int decode(const GByteArray *m, Dialect dialect, size_t size)
{
    g_autofree uint8_t *copy = g_malloc(size + 1);
    Tmessage t;

    memcpy(copy, m->data, MIN(size, m->len));
    return tmessage_decode(&t, dialect, copy, size);
}

static void check_cuts(GByteArray *m, Dialect dialect)
{
    g_assert_cmpint(decode(m, dialect, m->len), ==, 0);
    for (size_t size = 0; size < m->len; size++)
        g_assert_cmpint(decode(m, dialect, size), ==, -EINVAL);
    g_byte_array_append(m, (const guint8 *)"", 1);
    g_assert_cmpint(decode(m, dialect, m->len), ==, -EINVAL);
    g_byte_array_free(m, TRUE);
}

static void test_cut_messages(void)
{
    const uint64_t q = 1;

    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        check_cuts(message_new(P9_TOPEN, 1, "db", 1, 2), dialects[i]);
        check_cuts(message_new(P9_TSTAT, 1, "d", 1), dialects[i]);
        check_cuts(message_new(P9_TREMOVE, 1, "d", 1), dialects[i]);
    }
    check_cuts(message_new(P9_TATTACH, 1, "ddss", 1, 2, "user", "name"), DIALECT_9P2000);
    check_cuts(message_new(P9_TATTACH, 1, "ddssd", 1, 2, "user", "name", 3), DIALECT_9P2000_U);
    check_cuts(message_new(P9_TCREATE, 1, "dsdb", 1, "name", 2, 3), DIALECT_9P2000);
    check_cuts(message_new(P9_TCREATE, 1, "dsdbs", 1, "name", 2, 3, "ext"), DIALECT_9P2000_U);
    check_cuts(message_new(P9_TWSTAT, 1, "dwwwdbdqdddqssss", 1, 53, 51, 1, 2, 3, 4, q, 5, 6, 7, q,
                           "n", "u", "g", "m"),
               DIALECT_9P2000);
    check_cuts(message_new(P9_TWSTAT, 1, "dwwwdbdqdddqsssssddd", 1, 68, 66, 1, 2, 3, 4, q, 5, 6, 7,
                           q, "n", "u", "g", "m", "e", 8, 9, 10),
               DIALECT_9P2000_U);
}

/* Both sizes of a Twstat, and each length in it, must be the true ones. */
static void test_wrong_sizes(void)
{
    static const unsigned at[] = {11, 13, 54, 57, 60, 63, 66};
    const uint64_t q = 1;
    GByteArray *m = message_new(P9_TWSTAT, 1, "dwwwdbdqdddqsssssddd", 1, 68, 66, 1, 2, 3, 4, q, 5,
                                6, 7, q, "n", "u", "g", "m", "e", 8, 9, 10);

    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        for (unsigned bit = 0; bit < 16; bit++) {
            m->data[at[i] + bit / 8] ^= (guint8)(1u << (bit % 8));
            g_assert_cmpint(decode(m, DIALECT_9P2000_U, m->len), ==, -EINVAL);
            m->data[at[i] + bit / 8] ^= (guint8)(1u << (bit % 8));
        }
    }
    g_assert_cmpint(decode(m, DIALECT_9P2000_U, m->len), ==, 0);
    g_byte_array_free(m, TRUE);
}

/* A Tflush of a directory's Tread, and the end of the session while one is open. */
static void test_flush_and_reset(Share *s, gconstpointer unused)
{
    Client *c = &s->client;

    (void)unused;
    for (unsigned i = 0; i < G_N_ELEMENTS(dialects); i++) {
        UnixClient u = unix_start(s, dialects[i]);
        g_autofree TestReply *reply = NULL;

        unix_at(&u, NEW, "");
        g_assert_cmpint(unix_open(&u, NEW, P9_OREAD), ==, 0);
        client_send(c->ts, 40, P9_TREAD, "dqd", NEW, (uint64_t)0, 8000);
        client_send(c->ts, 41, P9_TFLUSH, "w", 40);
        reply = test_session_await(c->ts, 0, 41, 10000);
        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_TFLUSH + 1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    share_add_test_on("/unix/version", "memory", test_version);
    share_add_test_on("/unix/version-error", "memory", test_version_error);
    share_add_test_on("/unix/error/shapes", "memory", test_error_shapes);
    g_test_add_func("/unix/error/texts", test_error_texts);
    share_add_test_for_models("/unix/error/after-large-reply", test_error_after_large_reply);
    share_add_test_on("/unix/attach", "memory", test_attach);
    share_add_test_on("/unix/auth-is-refused", "memory", test_auth_is_refused);
    share_add_test_on("/unix/messages-of-the-other", "memory", test_messages_of_the_other);
    g_test_add_func("/unix/codec/cut-messages", test_cut_messages);
    g_test_add_func("/unix/codec/wrong-sizes", test_wrong_sizes);
    share_add_test_for_models("/unix/flush-and-reset", test_flush_and_reset);
    return g_test_run();
}
