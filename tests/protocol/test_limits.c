/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one device may take of this host: below each limit all is well, at the limit there is the error
 * that docs/security.md names, and one line in the log however often that happens; what is given back
 * can be taken again. Descriptors have tests of their own: test_park.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "tests/lib/capture.h"
#include "tests/lib/scene.h"
#include "tests/lib/share.h"
#include "tests/lib/xattr_client.h"

enum {
    MANY = 20, /* times that a limit is run into */
    FID = 10,
    FILE_FID = 1,
    LATE_MS = 20 * 1000,
};

/* Begins to catch the log, in which the line about `limit` comes again at once. */
static Capture *limit_capture(Limit limit)
{
    Capture *capture = capture_begin();

    limit_forget(limit);
    return capture;
}

/* Checks that one line has come, with this text and with where to look. */
static void end_limit_capture(Capture *capture, const char *text)
{
    g_autofree char *lines = capture_end(capture);

    capture_expect_once(lines, text);
    capture_expect_once(lines, "xen-9pfs.conf(5)");
}

static Scene *limited_scene_on(FsClass class)
{
    ExportOptions options = export_default_options;
    SessionLimits limits = session_default_limits;

    limits.device.max_fids = 5; /* three are there from the start */
    limits.device.max_xattrs = 3;
    limits.device.max_xattr_bytes = 100;
    limits.device.max_inflight = 64 * 1024;
    limits.device.max_threads = 1;
    limits.device.max_spare_threads = 1;
    return scene_new_with_options(class, 1, &limits, &options);
}

static Scene *limited_scene(void)
{
    return limited_scene_on(FS_LOCAL);
}

static void test_fids(void)
{
    g_autoptr(Scene) scene = limited_scene();
    Capture *capture = limit_capture(LIMIT_FIDS);
    Client *c = &scene->client;

    for (uint32_t i = 0; i < 2; i++)
        g_assert_cmpint(client_walk(c, SCENE_ROOT, FID + i, "file", NULL, NULL), ==, 0);
    for (uint32_t i = 0; i < MANY; i++)
        g_assert_cmpint(client_walk(c, SCENE_ROOT, FID + 2, "file", NULL, NULL), ==, -ENFILE);
    g_assert_cmpint(client_clunk(c, FID), ==, 0);
    g_assert_cmpint(client_walk(c, SCENE_ROOT, FID + 2, "file", NULL, NULL), ==, 0);
    end_limit_capture(capture, "max-fids=5 is reached: further ones are refused (ENFILE)");
}

/* A fid that is opened, or walked to somewhere else, is no further one. */
static void test_fids_in_place(void)
{
    g_autoptr(Scene) scene = limited_scene();
    Client *c = &scene->client;

    for (uint32_t i = 0; i < 2; i++)
        g_assert_cmpint(client_walk(c, SCENE_ROOT, FID + i, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_walk(c, FID, FID, "file", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open(c, FID, 0), ==, 0);
}

static void clunk_all(Client *c, uint32_t fid, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        client_clunk(c, fid + i);
}

static void reopen_limited(Share *s)
{
    ExportOptions options = export_default_options;

    options.model = s->model;
    options.limits.max_xattrs = 3;
    options.limits.max_xattr_bytes = 100;
    share_reopen(s, &options);
    share_put(s, "file", "content");
    g_assert_cmpint(client_walk(&s->client, SHARE_ROOT, FILE_FID, "file", NULL, NULL), ==, 0);
}

static int start_value(Client *c, uint32_t fid, uint64_t size)
{
    g_assert_cmpint(client_walk(c, FILE_FID, fid, "", NULL, NULL), ==, 0);
    return client_create_xattr(c, fid, "user.a", size, 0);
}

static void test_xattrs(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    Capture *capture;

    (void)unused;
    reopen_limited(s);
    capture = limit_capture(LIMIT_XATTRS);
    for (uint32_t i = 0; i < 3; i++)
        g_assert_cmpint(start_value(c, FID + i, 1), ==, 0);
    for (uint32_t i = 0; i < MANY; i++)
        g_assert_cmpint(start_value(c, FID + 3 + i, 1), ==, -ENOSPC);
    client_clunk(c, FID);
    g_assert_cmpint(start_value(c, 100, 1), ==, 0);
    end_limit_capture(capture, "max-xattrs=3 is reached: further ones are refused (ENOSPC)");
    clunk_all(c, FID + 1, MANY + 2);
}

static void test_xattr_memory(Share *s, gconstpointer unused)
{
    Client *c = &s->client;
    Capture *capture;

    (void)unused;
    reopen_limited(s);
    capture = limit_capture(LIMIT_XATTR_MEMORY);
    g_assert_cmpint(start_value(c, FID, 60), ==, 0);
    for (uint32_t i = 0; i < MANY; i++)
        g_assert_cmpint(start_value(c, FID + 1 + i, 41), ==, -ENOSPC);
    g_assert_cmpint(start_value(c, 100, 40), ==, 0);
    client_clunk(c, FID);
    g_assert_cmpint(start_value(c, 101, 60), ==, 0);
    end_limit_capture(capture, "max-xattr-memory=0 is reached: further ones are refused (ENOSPC)");
    clunk_all(c, FID + 1, MANY);
}

/* Requests that are not taken are taken later: no reply is missing, and none is an error. */
static void test_request_memory(void)
{
    g_autoptr(Scene) scene = limited_scene();
    Capture *capture = limit_capture(LIMIT_REQUEST_MEMORY);

    memory_fs_close_gate(scene->fs, MEMORY_WRITE);
    for (uint16_t tag = 1; tag <= 5 * MANY; tag++)
        scene_send_write(scene, 0, tag);
    for (unsigned i = 0; i < MANY; i++)
        test_session_step(scene->ts);
    memory_fs_await_blocked(scene->fs, MEMORY_WRITE, 1);
    g_assert_cmpuint(test_session_session(scene->ts)->inflight_bytes, <=, 64 * 1024);
    g_assert_cmpuint(test_session_n_replies(scene->ts), ==, 0);
    memory_fs_open_gate(scene->fs, MEMORY_WRITE);
    test_session_await_count(scene->ts, 5 * MANY);
    for (unsigned i = 0; i < 5 * MANY; i++) {
        g_autofree TestReply *reply = test_session_take_reply(scene->ts);

        g_assert_nonnull(reply);
        g_assert_cmpuint(reply->type, ==, P9_TWRITE + 1);
    }
    end_limit_capture(capture, "max-request-memory=0 is reached: no more are taken");
}

/* A read counts with what its reply may take, which is most of it. */
static void test_memory_of_reads(void)
{
    enum { N_READS = 4 };
    g_autoptr(Scene) scene = limited_scene_on(FS_REMOTE); /* the reader reads nothing itself */
    Session *session = test_session_session(scene->ts);
    uint32_t count = session->state.msize / 2; /* of which three fit */
    Capture *capture = limit_capture(LIMIT_REQUEST_MEMORY);

    memory_fs_close_gate(scene->fs, MEMORY_READ);
    for (uint16_t tag = 1; tag <= N_READS; tag++)
        client_send_on(scene->ts, 0, tag, P9_TREAD, "dqd", SCENE_FILE, (uint64_t)0, count);
    for (unsigned i = 0; i < N_READS; i++)
        test_session_step(scene->ts);
    memory_fs_await_blocked(scene->fs, MEMORY_READ, 1);
    g_assert_cmpuint(session->inflight_bytes, <=, 64 * 1024);
    g_assert_cmpuint(session->inflight_bytes, >=, 3 * count);
    memory_fs_open_gate(scene->fs, MEMORY_READ);
    test_session_await_count(scene->ts, N_READS);
    end_limit_capture(capture, "max-request-memory=0 is reached: no more are taken");
}

/* All threads hang, the spare one too. */
static void test_threads(void)
{
    g_autoptr(Scene) scene = limited_scene();
    Capture *capture = limit_capture(LIMIT_THREADS);
    int64_t late = g_get_monotonic_time() + LATE_MS * 1000;
    g_autofree char *lines = NULL;

    memory_fs_close_gate(scene->fs, MEMORY_WRITE);
    for (uint16_t tag = 1; tag <= 5; tag++)
        scene_send_write(scene, 0, tag);
    do {
        g_free(lines);
        test_session_step(scene->ts);
        test_session_wait(scene->ts);
        lines = capture_text(capture);
    } while (*lines == '\0' && g_get_monotonic_time() < late);
    memory_fs_open_gate(scene->fs, MEMORY_WRITE);
    test_session_await_count(scene->ts, 5);
    end_limit_capture(capture, "max-spare-threads=1 is reached: all threads are stuck");
}

/* The keys, the options' defaults and the session's are the same numbers. */
static void test_defaults(void)
{
    g_assert_true(memcmp(&session_default_limits.device, &export_default_options.limits,
                         sizeof(DeviceLimits)) == 0);
    g_assert_cmpuint(export_default_options.limits.max_fids, ==, 1024 * 1024);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limits/defaults", test_defaults);
    g_test_add_func("/limits/fids", test_fids);
    g_test_add_func("/limits/fids-in-place", test_fids_in_place);
    share_add_test_on("/limits/xattrs", "memory", test_xattrs);
    share_add_test_on("/limits/xattr-memory", "memory", test_xattr_memory);
    g_test_add_func("/limits/request-memory", test_request_memory);
    g_test_add_func("/limits/memory-of-reads", test_memory_of_reads);
    g_test_add_func("/limits/threads", test_threads);
    return g_test_run();
}
