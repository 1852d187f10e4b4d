/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits of an export: what waits for them, in which order, and every way in which waiting ends.
 * Time stands still but where a test moves it.
 */
#include <errno.h>
#include <string.h>

#include "tests/lib/scene.h"

enum {
    MSEC = 1000,
    SECOND = 1000 * MSEC,
    LARGE = 8000, /* more than the file has */
};

static int64_t now;

static int64_t clock_of_test(void)
{
    return now;
}

static Scene *new_scene_on(FsClass class, const ThrottleOptions *throttle, size_t max_inflight)
{
    SessionLimits limits = session_default_limits;
    ExportOptions options = export_default_options;

    limits.clock = clock_of_test;
    limits.device.max_threads = 2;
    if (max_inflight > 0)
        limits.device.max_inflight = max_inflight;
    options.throttle = *throttle;
    return scene_new_with_options(class, 2, &limits, &options);
}

/* On storage where nothing waits, so that each request runs to its end when its turn comes. */
static Scene *new_scene(const ThrottleOptions *throttle)
{
    return new_scene_on(FS_MEMORY, throttle, 0);
}

/* Ten operations in a second, two at once. */
static const ThrottleOptions ten_ops = {.ops_total = {.rate = 10, .burst = 2}};

static void send_read(Scene *s, unsigned channel, uint16_t tag, unsigned count)
{
    client_send_on(s->ts, channel, tag, P9_TREAD, "dqd", SCENE_FILE, (uint64_t)0, count);
}

static void send_large_write(Scene *s, uint16_t tag)
{
    g_autofree char *bytes = g_malloc0(LARGE);

    client_send(s->ts, tag, P9_TWRITE, "dqD", SCENE_FILE, (uint64_t)0, (unsigned)LARGE, bytes);
}

/* Uses up what may go at once, and leaves writes with the tags from `first` on waiting. */
static void fill(Scene *s, uint16_t first, unsigned n_waiting)
{
    scene_send_write(s, 0, 1);
    scene_send_write(s, 0, 2);
    scene_expect(s, "0:Rwrite/1 0:Rwrite/2");
    for (unsigned i = 0; i < n_waiting; i++)
        scene_send_write(s, 0, (uint16_t)(first + i));
    scene_expect_nothing(s);
    g_assert_cmpuint(throttle_waits_count(test_session_session(s->ts)->throttle), ==, n_waiting);
}

/*
 * Waiting and going
 */

static void test_one_after_the_other(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 3);
    now += 100 * MSEC - 1;
    scene_expect_nothing(s);
    now += 1;
    scene_expect(s, "0:Rwrite/5");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/6");
    now += SECOND;
    scene_expect(s, "0:Rwrite/7");
}

/* Without limits there is nothing to ask. */
static void test_no_limits(void)
{
    g_autoptr(Scene) s = new_scene(&(ThrottleOptions){0});
    Session *session = test_session_session(s->ts);

    g_assert_null(session->throttle);
    for (uint16_t tag = 1; tag <= 3; tag++)
        scene_send_write(s, 0, tag);
    scene_expect(s, "0:Rwrite/1 0:Rwrite/2 0:Rwrite/3");
    g_assert_cmpint(session_timeout(session), ==, -1);
}

/* The reader is told for how long it may sleep. */
static void test_timeout(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);
    Session *session = test_session_session(s->ts);

    g_assert_cmpint(session_timeout(session), ==, -1);
    fill(s, 5, 1);
    g_assert_cmpint(session_timeout(session), ==, 101);
    now += 60 * MSEC;
    g_assert_cmpint(session_timeout(session), ==, 41);
    now += 40 * MSEC;
    g_assert_cmpint(session_timeout(session), ==, 0);
    scene_expect(s, "0:Rwrite/5");
    g_assert_cmpint(session_timeout(session), ==, -1);
}

/* Whoever waits does so without a thread: others still get one. */
static void test_threads_are_free(void)
{
    g_autoptr(Scene) s = new_scene_on(FS_LOCAL, &ten_ops, 0);

    for (uint16_t tag = 1; tag <= 10; tag++)
        scene_send_write(s, 0, tag);
    test_session_await_count(s->ts, 2);
    g_free(test_session_transcript(s->ts));
    client_send(s->ts, 20, P9_TFSYNC, "dd", SCENE_FILE, 0);
    client_send(s->ts, 21, P9_TMKDIR, "dsdd", SCENE_ROOT, "new", 0755, 0);
    test_session_await_count(s->ts, 2);
    g_assert_cmpuint(test_session_n_replies(s->ts), ==, 2);
    g_free(test_session_transcript(s->ts));
    now += SECOND;
    test_session_await_count(s->ts, 2);
    g_assert_cmpuint(test_session_n_replies(s->ts), ==, 2);
}

static void test_what_is_not_limited(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);
    ClientAttr attr;

    fill(s, 5, 1);
    g_assert_cmpint(client_getattr(&s->client, SCENE_FILE, &attr), ==, 0);
    g_assert_cmpint(client_fsync(&s->client, SCENE_FILE, false), ==, 0);
    g_assert_cmpint(client_open_path(&s->client, SCENE_ROOT, 9, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_clunk(&s->client, 9), ==, 0);
    /* what fails at once anyway does not wait either */
    g_assert_cmpint(client_read(&s->client, 77, 0, 10, NULL), ==, -ENOENT);
    g_assert_cmpint(client_read(&s->client, SCENE_DIRECTORY, 0, 10, NULL), ==, -EBADF);
    scene_expect_nothing(s);
}

/* Reading a directory is an operation of reading; its bytes are not counted. */
static void test_directories(void)
{
    static const ThrottleOptions options = {.ops_read = {.rate = 10, .burst = 2},
                                            .bytes_read = {.rate = 100, .burst = 100}};
    g_autoptr(Scene) s = new_scene(&options);

    g_assert_cmpint(client_open_path(&s->client, SCENE_ROOT, 9, "", P9_L_DIRECTORY), ==, 0);
    for (uint16_t tag = 1; tag <= 3; tag++)
        client_send(s->ts, tag, P9_TREADDIR, "dqd", 9, (uint64_t)0, LARGE);
    scene_expect(s, "0:Rreaddir/1 0:Rreaddir/2");
    now += 100 * MSEC;
    scene_expect(s, "0:Rreaddir/3");
}

/* What was counted and not read is given back at once. */
static void test_short_read_gives_back(void)
{
    static const ThrottleOptions options = {.bytes_read = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene(&options);

    for (uint16_t tag = 1; tag <= 6; tag++)
        send_read(s, 0, tag, LARGE); /* 100 bytes each, until less than half of the burst is free */
    scene_expect(s, "0:Rread/1 0:Rread/2 0:Rread/3 0:Rread/4 0:Rread/5 0:Rread/6");
    send_read(s, 0, 7, LARGE);
    scene_expect_nothing(s);
    now += 100 * MSEC;
    scene_expect(s, "0:Rread/7");
}

static void test_failed_write_gives_back(void)
{
    static const ThrottleOptions options = {.bytes_write = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene(&options);

    memory_fs_fail(s->fs, MEMORY_WRITE, -EIO, 1);
    send_large_write(s, 1);
    send_large_write(s, 2);
    send_large_write(s, 3);
    scene_expect(s, "0:Rlerror(5)/1 0:Rwrite/2");
    now += 7500 * MSEC;
    scene_expect(s, "0:Rwrite/3");
}

/* The same from another thread, while somebody waits and the reader sleeps. */
static void test_thread_gives_back(void)
{
    static const ThrottleOptions options = {.bytes_read = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene_on(FS_LOCAL, &options, 0);

    memory_fs_set_waits(s->fs, true);
    memory_fs_close_gate(s->fs, MEMORY_READ);
    send_read(s, 0, 5, LARGE);
    send_read(s, 0, 6, LARGE);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_READ, 1);
    scene_expect_nothing(s);
    memory_fs_open_gate(s->fs, MEMORY_READ);
    scene_expect(s, "0:Rread/5 0:Rread/6");
}

/*
 * Order and fairness
 */

static void test_order_of_arrival(void)
{
    static const ThrottleOptions options = {.bytes_write = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene(&options);

    send_large_write(s, 1);
    scene_expect(s, "0:Rwrite/1");
    send_large_write(s, 2);
    scene_send_write(s, 1, 3); /* a small one, on another channel */
    test_session_step(s->ts);
    send_large_write(s, 4);
    now += 7400 * MSEC;
    scene_expect_nothing(s);
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/2");
    now += 7503 * MSEC;
    scene_expect(s, "1:Rwrite/3");
    now += 500 * MSEC;
    scene_expect(s, "0:Rwrite/4");
}

/* The limits of one kind do not hold up the other. */
static void test_kinds_are_apart(void)
{
    static const ThrottleOptions options = {.bytes_read = {.rate = 100, .burst = 100},
                                            .ops_write = {.rate = 10, .burst = 2}};
    g_autoptr(Scene) s = new_scene(&options);

    send_read(s, 0, 1, 100);
    send_read(s, 0, 2, 100);
    scene_expect(s, "0:Rread/1");
    scene_send_write(s, 0, 3);
    scene_send_write(s, 0, 4);
    scene_send_write(s, 0, 5);
    scene_expect(s, "0:Rwrite/3 0:Rwrite/4");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/5");
    now += 400 * MSEC;
    scene_expect(s, "0:Rread/2");
}

/* Limits on the total are shared in the order of arrival. */
static void test_kinds_share_the_total(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 1);
    send_read(s, 0, 6, 10);
    scene_send_write(s, 0, 7);
    scene_send_write(s, 0, 8);
    send_read(s, 0, 9, 10);
    static const char *const expected[] = {"0:Rwrite/5", "0:Rread/6", "0:Rwrite/7", "0:Rwrite/8",
                                           "0:Rread/9"};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        now += 100 * MSEC;
        scene_expect(s, expected[i]);
    }
}

/* Small reads that could go at once do not keep a large write waiting for ever. */
static void test_large_is_not_overtaken(void)
{
    static const ThrottleOptions options = {.bytes_total = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene(&options);

    for (uint16_t tag = 1; tag <= 6; tag++)
        send_read(s, 0, tag, 100);
    scene_expect(s, "0:Rread/1 0:Rread/2 0:Rread/3 0:Rread/4 0:Rread/5 0:Rread/6");
    send_large_write(s, 7);
    send_read(s, 0, 8, 100); /* there would be room for it */
    scene_expect_nothing(s);
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/7");
    now += 8 * SECOND;
    scene_expect(s, "0:Rread/8");
}

/* Somebody whom its own limit holds up does not keep others from the total. */
static void test_own_limit_leaves_the_total(void)
{
    static const ThrottleOptions options = {.ops_read = {.rate = 1, .burst = 2},
                                            .ops_total = {.rate = 10, .burst = 4}};
    g_autoptr(Scene) s = new_scene(&options);

    for (uint16_t tag = 1; tag <= 3; tag++)
        send_read(s, 0, tag, 10);
    for (uint16_t tag = 4; tag <= 6; tag++)
        scene_send_write(s, 0, tag);
    scene_expect(s, "0:Rread/1 0:Rread/2 0:Rwrite/4 0:Rwrite/5");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/6");
    now += 900 * MSEC;
    scene_expect(s, "0:Rread/3");
}

/*
 * Cancellation
 */

static void test_flush(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 3);
    scene_send_flush(s, 0, 10, 5);
    scene_expect(s, "0:Rflush/10");
    scene_send_flush(s, 1, 11, 6); /* from the other channel */
    scene_expect(s, "1:Rflush/11");
    g_assert_cmpuint(throttle_waits_count(test_session_session(s->ts)->throttle), ==, 1);
    now += 100 * MSEC; /* as if those had never been there */
    scene_expect(s, "0:Rwrite/7");
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 3);
    now += SECOND;
    scene_expect_nothing(s);
}

/* In the middle and at the end of the queue; the tag can be used again at once. */
static void test_flush_in_the_middle(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 4);
    scene_send_flush(s, 0, 10, 6);
    scene_send_flush(s, 0, 11, 8);
    scene_expect(s, "0:Rflush/10 0:Rflush/11");
    scene_send_write(s, 0, 6);
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/5");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/7");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/6");
}

static void test_flush_of_flush(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 1);
    scene_send_flush(s, 0, 10, 5);
    scene_send_flush(s, 0, 11, 10);
    scene_send_flush(s, 0, 12, 5);
    scene_expect(s, "0:Rflush/10 0:Rflush/11 0:Rflush/12");
}

/* It has had its turn and is cancelled while it runs: what it did not use comes back. */
static void test_flush_after_its_turn(void)
{
    static const ThrottleOptions options = {.bytes_write = {.rate = 1000, .burst = 1000}};
    g_autoptr(Scene) s = new_scene_on(FS_LOCAL, &options, 0);

    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    send_large_write(s, 5);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, 1);
    scene_send_flush(s, 0, 10, 5);
    send_large_write(s, 6);
    scene_expect_nothing(s);
    memory_fs_let_through(s->fs, MEMORY_WRITE, -EINTR);
    scene_expect(s, "0:Rflush/10");
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    scene_expect(s, "0:Rwrite/6");
}

/* A client that uses a tag again has given up on the request that had it. */
static void test_tag_used_again(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 2);
    client_send(s->ts, 5, P9_TFSYNC, "dd", SCENE_FILE, 0);
    scene_expect(s, "0:Rfsync/5");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/6");
    now += SECOND;
    scene_expect_nothing(s);
}

/* A new conversation has nothing of the old one in it, but the limits are not new. */
static void test_version(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 3);
    client_start(&s->client, SCENE_MSIZE, SCENE_ROOT, 0);
    g_assert_cmpuint(throttle_waits_count(test_session_session(s->ts)->throttle), ==, 0);
    g_assert_cmpint(client_open_path(&s->client, SCENE_ROOT, SCENE_FILE, "file", P9_L_RDWR), ==, 0);
    scene_send_write(s, 0, 5);
    scene_expect_nothing(s);
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/5");
    now += SECOND;
    scene_expect_nothing(s);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 3);
}

static void test_stop(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 5);
    send_read(s, 1, 20, 10);
    scene_send_flush(s, 0, 10, 5);
    test_session_step(s->ts); /* scene_free() checks that nothing is left over or answered */
}

/* The request holds its fid: it is done in its turn, as one that waits for a thread is. */
static void test_clunk_meanwhile(void)
{
    g_autoptr(Scene) s = new_scene(&ten_ops);

    fill(s, 5, 1);
    g_assert_cmpint(client_clunk(&s->client, SCENE_FILE), ==, 0);
    scene_send_write(s, 0, 6);
    scene_expect(s, "0:Rlerror(2)/6");
    now += 100 * MSEC;
    scene_expect(s, "0:Rwrite/5");
}

/*
 * Memory
 */

/* As much as fits of what has to wait. Returns how many. */
static unsigned fill_memory(Scene *s)
{
    enum { ENOUGH = 100 };
    ThrottleWaits *waits = test_session_session(s->ts)->throttle;

    for (uint16_t tag = 1; tag <= ENOUGH; tag++)
        send_large_write(s, tag);
    scene_expect(s, "0:Rwrite/1");
    g_assert_cmpuint(throttle_waits_count(waits), <, ENOUGH / 2);
    g_assert_cmpuint(throttle_waits_count(waits), >, 1);
    return throttle_waits_count(waits);
}

static const ThrottleOptions slow = {.bytes_write = {.rate = LARGE, .burst = 2 * LARGE / 3}};

/* The cap holds: what does not fit stays where it is. Those who wait can be cancelled nonetheless. */
static void test_cap_and_flush(void)
{
    g_autoptr(Scene) s = new_scene_on(FS_MEMORY, &slow, 256 * 1024);
    Session *session = test_session_session(s->ts);
    unsigned n = fill_memory(s);

    g_assert_cmpuint(session->inflight_bytes, <=, session->limits.device.max_inflight);
    scene_send_flush(s, 1, 200, 3);
    scene_expect(s, "1:Rflush/200");
    g_assert_cmpuint(throttle_waits_count(session->throttle), ==, n); /* the next one fitted */
    g_assert_cmpuint(session->inflight_bytes, <=, session->limits.device.max_inflight);
    for (unsigned i = 0; i < 98; i++) {
        now += SECOND;
        test_session_await_count(s->ts, i + 1);
    }
    g_assert_cmpuint(test_session_n_replies(s->ts), ==, 98);
    g_assert_cmpuint(memory_fs_n_runs(s->fs, MEMORY_WRITE), ==, 99);
}

static void test_cap_and_clunk(void)
{
    g_autoptr(Scene) s = new_scene_on(FS_MEMORY, &slow, 256 * 1024);

    fill_memory(s);
    client_send_on(s->ts, 1, 200, P9_TCLUNK, "d", SCENE_DIRECTORY);
    scene_expect(s, "1:Rclunk/200");
}

static void test_cap_and_version(void)
{
    g_autoptr(Scene) s = new_scene_on(FS_MEMORY, &slow, 256 * 1024);
    Session *session = test_session_session(s->ts);

    fill_memory(s);
    test_channel_pause(s->ts, 0, true);
    client_send_on(s->ts, 1, P9_NOTAG, P9_TVERSION, "ds", SCENE_MSIZE, "9P2000.L");
    scene_expect(s, "1:Rversion/65535");
    g_assert_cmpuint(throttle_waits_count(session->throttle), ==, 0);
    g_assert_cmpuint(session->inflight_bytes, ==, 0);
}

/*
 * With a real clock
 */

static void test_real_time(void)
{
    static const ThrottleOptions throttle = {.bytes_total = {.rate = 20 * LARGE, .burst = LARGE}};
    ExportOptions options = export_default_options;
    g_autofree char *bytes = g_malloc0(LARGE);
    g_autoptr(Scene) s = NULL;
    int64_t begin;

    options.throttle = throttle;
    s = scene_new_with_options(FS_LOCAL, 1, NULL, &options);
    begin = g_get_monotonic_time();
    for (unsigned i = 0; i < 8; i++)
        g_assert_cmpint(client_write(&s->client, SCENE_FILE, 0, bytes, LARGE), ==, LARGE);
    /* one at once; each of the others pays for the one before, but the last half of the burst */
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 6 * SECOND / 20);
}

static void add(const char *name, GTestFunc test)
{
    g_autofree char *path = g_strconcat("/throttle/", name, NULL);

    g_test_add_func(path, test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("one-after-the-other", test_one_after_the_other);
    add("no-limits", test_no_limits);
    add("timeout", test_timeout);
    add("threads-are-free", test_threads_are_free);
    add("what-is-not-limited", test_what_is_not_limited);
    add("directories", test_directories);
    add("short-read-gives-back", test_short_read_gives_back);
    add("failed-write-gives-back", test_failed_write_gives_back);
    add("thread-gives-back", test_thread_gives_back);
    add("order-of-arrival", test_order_of_arrival);
    add("kinds-are-apart", test_kinds_are_apart);
    add("kinds-share-the-total", test_kinds_share_the_total);
    add("large-is-not-overtaken", test_large_is_not_overtaken);
    add("own-limit-leaves-the-total", test_own_limit_leaves_the_total);
    add("flush", test_flush);
    add("flush-in-the-middle", test_flush_in_the_middle);
    add("flush-of-flush", test_flush_of_flush);
    add("flush-after-its-turn", test_flush_after_its_turn);
    add("tag-used-again", test_tag_used_again);
    add("version", test_version);
    add("stop", test_stop);
    add("clunk-meanwhile", test_clunk_meanwhile);
    add("cap-and-flush", test_cap_and_flush);
    add("cap-and-clunk", test_cap_and_clunk);
    add("cap-and-version", test_cap_and_version);
    add("real-time", test_real_time);
    return g_test_run();
}
