/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scene: see scene.h. */
#include "tests/lib/scene.h"

enum { FILE_SIZE = 100 };

Scene *scene_new_with_options(FsClass class, unsigned n_channels, const SessionLimits *limits,
                              const ExportOptions *options)
{
    Scene *s = g_new0(Scene, 1);

    s->fs = memory_fs_new(class);
    memory_fs_add_file(s->fs, "file", FILE_SIZE);
    memory_fs_add_directory(s->fs, "directory");
    s->ts = test_session_new_with_options(memory_fs_base(s->fs), options, n_channels,
                                          TEST_MAX_MESSAGE, limits);
    s->client = (Client){.ts = s->ts, .channel = 0, .tag = SCENE_TAG};
    client_start(&s->client, SCENE_MSIZE, SCENE_ROOT, 0);
    g_assert_cmpint(client_open_path(&s->client, SCENE_ROOT, SCENE_FILE, "file", P9_L_RDWR), ==, 0);
    g_assert_cmpint(client_walk(&s->client, SCENE_ROOT, SCENE_DIRECTORY, "directory", NULL, NULL),
                    ==, 0);
    return s;
}

Scene *scene_new_with_limits(FsClass class, unsigned n_channels, const SessionLimits *limits)
{
    return scene_new_with_options(class, n_channels, limits, &export_default_options);
}

Scene *scene_new(FsClass class, unsigned n_channels, unsigned max_threads)
{
    SessionLimits limits = session_default_limits;

    limits.device.max_threads = max_threads;
    limits.device.max_spare_threads = 0; /* none comes on a busy machine */
    return scene_new_with_limits(class, n_channels, &limits);
}

void scene_stop(Scene *s)
{
    if (s->ts)
        test_session_free(s->ts);
    s->ts = NULL;
}

void scene_free(Scene *s)
{
    scene_stop(s);
    g_assert_cmpuint(memory_fs_n_held(s->fs), ==, 0);
    memory_fs_free(s->fs);
    g_free(s);
}

void scene_send_write(Scene *s, unsigned channel, uint16_t tag)
{
    client_send_on(s->ts, channel, tag, P9_TWRITE, "dqD", SCENE_FILE, (uint64_t)0, 3u, "abc");
}

void scene_send_flush(Scene *s, unsigned channel, uint16_t tag, uint16_t oldtag)
{
    client_send_on(s->ts, channel, tag, P9_TFLUSH, "w", oldtag);
}

void scene_block_write(Scene *s, unsigned channel, uint16_t tag, unsigned n)
{
    memory_fs_close_gate(s->fs, MEMORY_WRITE);
    scene_send_write(s, channel, tag);
    test_session_step(s->ts);
    memory_fs_await_blocked(s->fs, MEMORY_WRITE, n);
}

void scene_expect(Scene *s, const char *transcript)
{
    test_session_expect(s->ts, transcript);
}

void scene_expect_nothing(Scene *s)
{
    scene_expect(s, "");
}

void scene_flush_write(Scene *s, unsigned channel, unsigned flush_channel)
{
    scene_block_write(s, channel, 5, 1);
    scene_send_flush(s, flush_channel, 6, 5);
    scene_expect_nothing(s);
}

void scene_release_writes(Scene *s, const char *transcript)
{
    memory_fs_open_gate(s->fs, MEMORY_WRITE);
    scene_expect(s, transcript);
}
