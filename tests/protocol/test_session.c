/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conversation: Tversion, Tattach, what comes before, what makes no sense, limits. */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

/*
 * Tversion
 */

static void version(uint32_t msize, const char *dialect, uint32_t expected_msize,
                    const char *expected_dialect)
{
    MemoryFs *fs = memory_fs_new(FS_MEMORY);
    TestSession *ts = test_session_new(memory_fs_base(fs), 2, TEST_MAX_MESSAGE, NULL);
    Client c = {.ts = ts, .channel = 1, .tag = 17};
    char got_dialect[32];
    uint32_t got_msize;

    g_assert_cmpint(client_version(&c, msize, dialect, &got_msize, got_dialect), ==, 0);
    g_assert_cmpuint(got_msize, ==, expected_msize);
    g_assert_cmpstr(got_dialect, ==, expected_dialect);
    test_session_free(ts);
    memory_fs_free(fs);
}

static void test_version_msize(void)
{
    version(4096, "9P2000.L", 4096, "9P2000.L");
    version(8192, "9P2000.L", 8192, "9P2000.L");
    version(TEST_MAX_MESSAGE, "9P2000.L", TEST_MAX_MESSAGE, "9P2000.L");
    version(TEST_MAX_MESSAGE + 1, "9P2000.L", TEST_MAX_MESSAGE, "9P2000.L");
    version(UINT32_MAX, "9P2000.L", TEST_MAX_MESSAGE, "9P2000.L");
}

static void test_version_unknown_dialect(void)
{
    version(8192, "9P2000.X", 8192, "unknown");
    version(8192, "", 8192, "unknown");
    version(8192, "9P2000.Lx", 8192, "unknown");
    version(8192, "9p2000.l", 8192, "unknown");
}

/* A dialect that is not known leaves no session behind: nothing is answered but Tversion. */
static void test_version_unknown_ends_session(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    char dialect[32];
    uint32_t msize;

    g_assert_cmpint(client_version(&s->client, 8192, "9P2000.X", &msize, dialect), ==, 0);
    g_assert_cmpint(client_attach(&s->client, 0, 0, NULL), ==, -EPROTO);
    client_start(&s->client, 8192, 0, 0);
}

static void test_version_too_small(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    char dialect[32];
    uint32_t msize;

    g_assert_cmpint(client_version(&s->client, 4095, "9P2000.L", &msize, dialect), ==, -EMSGSIZE);
    g_assert_cmpint(client_version(&s->client, 0, "9P2000.L", &msize, dialect), ==, -EMSGSIZE);
    g_assert_true(client_has_fid(&s->client, SCENE_FILE));
}

static void test_version_clunks_all_fids(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    client_start(&s->client, 8192, 77, 0);
    g_assert_false(client_has_fid(&s->client, SCENE_ROOT));
    g_assert_false(client_has_fid(&s->client, SCENE_FILE));
    g_assert_cmpuint(memory_fs_n_held(s->fs), ==, 1);
}

/* Requests queued and running belong to the old session: nobody hears of them any more, and the
 * new session's tags and fids are untouched by what they do. */
static void test_version_drops_requests(void)
{
    g_autoptr(Scene) s = scene_new(FS_REMOTE, 2, 1);

    memory_fs_close_gate(s->fs, MEMORY_WALK);
    client_send(s->ts, 5, P9_TWALK, "ddws", SCENE_ROOT, 9, 1, "file");
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WALK, 1);
    scene_send_write(s, 0, 6);
    scene_send_write(s, 1, 7);
    test_session_step(s->ts);
    client_send(s->ts, P9_NOTAG, P9_TVERSION, "ds", 8192, "9P2000.L");
    scene_expect(s, "0:Rversion/65535");
    memory_fs_open_gate(s->fs, MEMORY_WALK);
    scene_expect_nothing(s);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 0);
    g_assert_cmpint(client_attach(&s->client, 0, 0, NULL), ==, 0);
    g_assert_false(client_has_fid(&s->client, 9));
    g_assert_cmpuint(memory_fs_n_held(s->fs), ==, 1);
}

static void test_version_again_and_again(void)
{
    g_autoptr(Scene) s = scene_new(FS_LOCAL, 2, 4);

    for (unsigned i = 0; i < 200; i++) {
        client_start(&s->client, 4096 + i, i, i);
        g_assert_cmpint(client_open_path(&s->client, i, 1000, "file", P9_L_RDWR), ==, 0);
        client_send(s->ts, 5, P9_TWRITE, "dqD", 1000, (uint64_t)0, 3u, "abc");
    }
    client_start(&s->client, SCENE_MSIZE, 0, 0);
}

static void test_before_version(void)
{
    MemoryFs *fs = memory_fs_new(FS_MEMORY);
    TestSession *ts = test_session_new(memory_fs_base(fs), 1, TEST_MAX_MESSAGE, NULL);
    Client c = {.ts = ts, .tag = 17};
    TestReply *reply = NULL;

    g_assert_cmpint(client_attach(&c, 0, 0, NULL), ==, -EPROTO);
    g_assert_cmpint(client_clunk(&c, 0), ==, -EPROTO);
    g_assert_cmpint(client_call(&c, &reply, P9_TFLUSH, "w", 5), ==, -EPROTO);
    client_start(&c, 8192, 0, 0);
    test_session_free(ts);
    memory_fs_free(fs);
}

/*
 * Tattach
 */

static void test_attach(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    TestReply *reply = NULL;
    Qid one, two;

    g_assert_cmpint(client_attach(c, 10, 1, &one), ==, 0);
    g_assert_cmpint(client_attach(c, 11, P9_NOUSER, &two), ==, 0);
    g_assert_cmpuint(one.type, ==, P9_QTDIR);
    g_assert_cmpuint(one.path, ==, two.path);
    g_assert_cmpint(client_attach(c, 10, 1, NULL), ==, -EBADF);
    /* As Mini-OS attaches: afid 0, aname "root". */
    g_assert_cmpint(client_call(c, &reply, P9_TATTACH, "ddssd", 12, 0, "root", "root", 0), ==, 0);
    g_free(reply);
    g_assert_true(client_has_fid(c, 12));
}

/*
 * What cannot be understood
 */

static void test_unknown_types(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    for (unsigned type = 0; type < 256; type++) {
        GByteArray *m;

        if (op_for_type((uint8_t)type))
            continue;
        m = message_new((uint8_t)type, 5, "dd", 0, 0);
        test_publish(s->ts, 0, m->data, m->len);
        g_byte_array_free(m, TRUE);
        scene_expect(s, "0:Rlerror(95)/5");
        if (type % 32 != 0)
            continue;
        m = message_new((uint8_t)type, 6, "");
        test_publish(s->ts, 0, m->data, m->len);
        g_byte_array_free(m, TRUE);
        scene_expect(s, "0:Rlerror(95)/6");
    }
}

static void test_malformed(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    client_send(s->ts, 1, P9_TCLUNK, "w", 1);
    client_send(s->ts, 2, P9_TCLUNK, "db", 1, 0);
    client_send(s->ts, 3, P9_TWALK, "ddws", 0, 9, 2, "file");
    client_send(s->ts, 4, P9_TWALK, "ddw", 0, 9, 17);
    client_send(s->ts, 5, P9_TWRITE, "dqd", 1, (uint64_t)0, 10);
    client_send(s->ts, 6, P9_TMKDIR, "dwbdd", 0, 1, 0, 0755, 0); /* a NUL in a name */
    client_send(s->ts, 7, P9_TVERSION, "d", 8192);
    client_send(s->ts, 8, P9_TFLUSH, "");
    scene_expect(s, "0:Rlerror(22)/1 0:Rlerror(22)/2 0:Rlerror(22)/3 0:Rlerror(22)/4 "
                    "0:Rlerror(22)/5 0:Rlerror(22)/6 0:Rlerror(22)/7 0:Rlerror(22)/8");
    g_assert_true(client_has_fid(&s->client, SCENE_FILE));
}

static void test_larger_than_msize(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    g_autofree char *data = g_malloc0(SCENE_MSIZE);
    const uint32_t fits = SCENE_MSIZE - 23;

    g_assert_cmpint(client_write(&s->client, SCENE_FILE, 0, data, fits), ==, fits);
    g_assert_cmpint(client_write(&s->client, SCENE_FILE, 0, data, fits + 1), ==, -EMSGSIZE);
    g_assert_cmpint(client_write(&s->client, SCENE_FILE, fits, data, 100), ==, 100);
    g_assert_cmpint(client_read(&s->client, SCENE_FILE, 0, SCENE_MSIZE, NULL), ==,
                    SCENE_MSIZE - 11);
}

/* Every message with a fid says ENOENT for one that there is not. */
static void test_unknown_fids(void)
{
    static const struct {
        uint8_t type;
        const char *format;
    } messages[] = {
        {P9_TSTATFS, "d"},     {P9_TLOPEN, "dd"},    {P9_TLCREATE, "dsddd"}, {P9_TSYMLINK, "dssd"},
        {P9_TMKNOD, "dsdddd"}, {P9_TREADLINK, "d"},  {P9_TGETATTR, "dq"},    {P9_TMKDIR, "dsdd"},
        {P9_TUNLINKAT, "dsd"}, {P9_TREADDIR, "dqd"}, {P9_TFSYNC, "dd"},      {P9_TREAD, "dqd"},
        {P9_TCLUNK, "d"},      {P9_TREMOVE, "d"},
    };
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);
    Client *c = &s->client;
    FsChange change = {0};

    for (unsigned i = 0; i < G_N_ELEMENTS(messages); i++) {
        GByteArray *m = message_new(messages[i].type, 5, "d", 99);

        for (const char *f = messages[i].format + 1; *f; f++) {
            unsigned n = *f == 'd' ? 4 : *f == 'q' ? 8 : 3;
            g_byte_array_append(m, *f == 's' ? (const guint8 *)"\1\0x" : (const guint8[8]){0}, n);
        }
        write_header(m->data, m->len, messages[i].type, 5);
        test_publish(s->ts, 0, m->data, m->len);
        g_byte_array_free(m, TRUE);
        scene_expect(s, "0:Rlerror(2)/5");
    }
    g_assert_cmpint(client_setattr(c, 99, &change), ==, -ENOENT);
    g_assert_cmpint(client_write(c, 99, 0, "x", 1), ==, -ENOENT);
    g_assert_cmpint(client_walk(c, 99, 98, "", NULL, NULL), ==, -ENOENT);
    g_assert_cmpint(client_link(c, SCENE_ROOT, 99, "x"), ==, -ENOENT);
    g_assert_cmpint(client_link(c, 99, SCENE_FILE, "x"), ==, -ENOENT);
    g_assert_cmpint(client_rename(c, SCENE_FILE, 99, "x"), ==, -ENOENT);
    g_assert_cmpint(client_renameat(c, SCENE_ROOT, "file", 99, "x"), ==, -ENOENT);
}

/* NOFID is no number that a file can have. */
static void test_nofid(void)
{
    g_autoptr(Scene) s = scene_new(FS_MEMORY, 1, 4);

    g_assert_cmpint(client_attach(&s->client, P9_NOFID, 0, NULL), ==, -EINVAL);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, P9_NOFID, "file", NULL, NULL), ==, -EINVAL);
    g_assert_false(client_has_fid(&s->client, P9_NOFID));
}

/*
 * Limits
 */

static void test_max_fids(void)
{
    SessionLimits limits = {
        .device = {.max_fids = 10, .max_threads = 4, .max_inflight = 1024 * 1024}};
    g_autoptr(Scene) s = scene_new_with_limits(FS_MEMORY, 1, &limits);
    Client *c = &s->client;

    for (uint32_t fid = 3; fid < 10; fid++)
        g_assert_cmpint(client_walk(c, SCENE_ROOT, fid, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, 10, "file", NULL, NULL), ==, -ENFILE);
    g_assert_cmpint(client_attach(c, 10, 0, NULL), ==, -ENFILE);
    g_assert_cmpint(client_open(c, 9, 0), ==, 0);
    g_assert_cmpint(client_walk(c, 8, 8, "..", NULL, NULL), <, 0);
    g_assert_cmpint(client_clunk(c, 3), ==, 0);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, 10, "file", NULL, NULL), ==, 0);
    client_start(c, 8192, 0, 0); /* counts from the beginning again */
    for (uint32_t fid = 1; fid < 10; fid++)
        g_assert_cmpint(client_walk(c, 0, fid, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, 0, 10, "file", NULL, NULL), ==, -ENFILE);
}

static size_t inflight_bytes(const Scene *s)
{
    return (size_t)g_atomic_pointer_get(&test_session_session(s->ts)->inflight_bytes);
}

static int n_reserved(const Scene *s)
{
    return g_atomic_int_get(&test_session_session(s->ts)->n_reserved);
}

/* Waits until all memory is given back, which is a moment after the last reply is out. */
static void await_no_charge(const Scene *s)
{
    for (unsigned i = 0; i < 5000 && inflight_bytes(s) + (size_t)n_reserved(s) > 0; i++)
        test_session_wait(s->ts);
    g_assert_cmpuint(inflight_bytes(s), ==, 0);
    g_assert_cmpint(n_reserved(s), ==, 0);
}

/* When requests in flight fill the memory no more are taken, but those that free something. */
static void test_memory_limit(void)
{
    SessionLimits limits = {
        .device = {.max_fids = 100, .max_threads = 2, .max_inflight = 64 * 1024}};
    g_autoptr(Scene) s = scene_new_with_limits(FS_LOCAL, 2, &limits);
    g_autofree char *seen = NULL;
    unsigned n_answered = 0;

    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    for (uint16_t tag = 100; tag < 200; tag++)
        scene_send_write(s, 0, tag);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, 2);
    client_send_on(s->ts, 1, 5, P9_TGETATTR, "dq", SCENE_FILE, (uint64_t)0);
    scene_expect_nothing(s);
    g_assert_cmpuint(inflight_bytes(s), <=, limits.device.max_inflight);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 101);
    seen = test_session_transcript(s->ts);
    for (const char *p = seen; (p = strstr(p, "Rwrite/")); p++)
        n_answered++;
    g_assert_cmpuint(n_answered, ==, 100);
    g_assert_nonnull(strstr(seen, "1:Rgetattr/5"));
    await_no_charge(s);
}

static void test_memory_limit_has_a_reserve(void)
{
    SessionLimits limits = {
        .device = {.max_fids = 100, .max_threads = 1, .max_inflight = 32 * 1024}};
    g_autoptr(Scene) s = scene_new_with_limits(FS_LOCAL, 2, &limits);

    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    for (uint16_t tag = 100; tag < 120; tag++)
        scene_send_write(s, 0, tag);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, 1);
    client_send_on(s->ts, 1, 5, P9_TCLUNK, "d", SCENE_DIRECTORY);
    scene_expect(s, "1:Rclunk/5");
    scene_send_flush(s, 1, 6, 101); /* queued */
    scene_expect(s, "1:Rflush/6");
    test_channel_pause(s->ts, 0, true);
    client_send_on(s->ts, 1, 7, P9_TVERSION, "ds", 8192, "9P2000.L");
    scene_expect(s, "1:Rversion/7");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    await_no_charge(s);
}

/* The reserve has an end, too, and is given back. Nor may Tflushes fill all other memory: they wait
 * for requests that still need some. */
static void test_reserve_is_limited(void)
{
    SessionLimits limits = {
        .device = {.max_fids = 1000, .max_threads = 1, .max_inflight = 32 * 1024}};
    g_autoptr(Scene) s = scene_new_with_limits(FS_LOCAL, 2, &limits);

    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    for (uint16_t tag = 100; tag < 120; tag++)
        scene_send_write(s, 0, tag);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, 1);
    for (uint16_t tag = 1000; tag < 1500; tag++)
        scene_send_flush(s, 1, tag, 100);
    scene_expect_nothing(s);
    g_assert_cmpint(n_reserved(s), <=, 64);
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    test_session_await_count(s->ts, 520);
    g_assert_cmpuint(test_session_n_replies(s->ts), ==, 520);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/session/version/msize", test_version_msize);
    g_test_add_func("/session/version/unknown-dialect", test_version_unknown_dialect);
    g_test_add_func("/session/version/unknown-ends-session", test_version_unknown_ends_session);
    g_test_add_func("/session/version/too-small", test_version_too_small);
    g_test_add_func("/session/version/clunks-all-fids", test_version_clunks_all_fids);
    g_test_add_func("/session/version/drops-requests", test_version_drops_requests);
    g_test_add_func("/session/version/again-and-again", test_version_again_and_again);
    g_test_add_func("/session/before-version", test_before_version);
    g_test_add_func("/session/attach", test_attach);
    g_test_add_func("/session/unknown-types", test_unknown_types);
    g_test_add_func("/session/malformed", test_malformed);
    g_test_add_func("/session/larger-than-msize", test_larger_than_msize);
    g_test_add_func("/session/unknown-fids", test_unknown_fids);
    g_test_add_func("/session/nofid", test_nofid);
    g_test_add_func("/session/limits/fids", test_max_fids);
    g_test_add_func("/session/limits/memory", test_memory_limit);
    g_test_add_func("/session/limits/reserve", test_memory_limit_has_a_reserve);
    g_test_add_func("/session/limits/reserve-is-limited", test_reserve_is_limited);
    return g_test_run();
}
