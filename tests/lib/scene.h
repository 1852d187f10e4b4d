/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scene: what most protocol tests start from. A tree in memory with a session over it:
 *
 *     fid 0   the root
 *     fid 1   "file", 100 bytes, open for reading and writing
 *     fid 2   "directory", not open
 */
#ifndef TESTS_LIB_SCENE_H
#define TESTS_LIB_SCENE_H

#include "tests/lib/client.h"
#include "tests/lib/memory_fs.h"

typedef struct Scene {
    MemoryFs *fs;
    TestSession *ts;
    Client client; /* on channel 0, with a tag that no test uses */
} Scene;

enum {
    SCENE_ROOT = 0,
    SCENE_FILE = 1,
    SCENE_DIRECTORY = 2,
    SCENE_MSIZE = 32 * 1024,
    SCENE_TAG = 60000,
};

/* A scene on storage of class `class` with `n_channels` channels and exactly `max_threads` threads. */
Scene *scene_new(FsClass class, unsigned n_channels, unsigned max_threads);
Scene *scene_new_with_limits(FsClass class, unsigned n_channels, const SessionLimits *limits);

Scene *scene_new_with_options(FsClass class, unsigned n_channels, const SessionLimits *limits,
                              const ExportOptions *options);

/* Ends the session and checks that nothing is left over. */
void scene_free(Scene *scene);

/* Ends the session only; the file system is still there. */
void scene_stop(Scene *scene);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scene, scene_free)

/* Sends a Twrite of three bytes to fid 1, or a Tflush of `oldtag`. */
void scene_send_write(Scene *scene, unsigned channel, uint16_t tag);
void scene_send_flush(Scene *scene, unsigned channel, uint16_t tag, uint16_t oldtag);

/* Sends a Twrite that waits at its gate when this returns; `n` do then. */
void scene_block_write(Scene *scene, unsigned channel, uint16_t tag, unsigned n);

/* Sends a Twrite with tag 5 that waits at its gate, and a Tflush of it with tag 6 on a channel of its
 * own; checks that neither is answered. */
void scene_flush_write(Scene *scene, unsigned channel, unsigned flush_channel);

/* Lets all Twrites go on, and expects `transcript`, "" for nothing. */
void scene_release_writes(Scene *scene, const char *transcript);

/* As test_session_expect(). */
void scene_expect(Scene *scene, const char *transcript);

/* Checks that nothing is published for a while. */
void scene_expect_nothing(Scene *scene);

#endif
