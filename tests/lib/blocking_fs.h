/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocking fs: a mounted FUSE file system whose operations hang, or fail, when a test says so.
 *
 *     file        1 MiB, byte i is i modulo 251
 *     directory   empty
 *     link        a symlink to "file"
 *
 * It speaks the kernel's protocol itself (linux/fuse.h) and runs in a process of its own, so that a
 * test that dies takes it along and nothing stays stuck: blocking_fs_main() starts it. Nothing is
 * cached, locks are the server's, and data goes in pieces of BLOCKING_PIECE bytes.
 *
 * Operations are named by their FUSE opcodes. An operation that hangs waits for
 * blocking_fs_release(). When its caller is interrupted, one that is BLOCKING_POLITE ends with
 * EINTR; one that is BLOCKING_DEAF goes on, as a system call does that cannot be interrupted.
 */
#ifndef TESTS_LIB_BLOCKING_FS_H
#define TESTS_LIB_BLOCKING_FS_H

#include <linux/fuse.h>
#include <stdbool.h>

typedef struct BlockingFs BlockingFs;

typedef enum BlockingMode {
    BLOCKING_NOT,
    BLOCKING_POLITE,
    BLOCKING_DEAF,
} BlockingMode;

enum { BLOCKING_PIECE = 4096, BLOCKING_FILE_SIZE = 1024 * 1024 };

/* The first thing in a test's main(): in the process of the server it does not return. In the test's
 * own, makes mounts private to it. */
void blocking_fs_main(int argc, char **argv);

/* Mounts one on `path`. Returns NULL, and says why, where that cannot be done. */
BlockingFs *blocking_fs_new(const char *path, const char **why);

/* Unmounts it, letting go of everything that hangs. */
void blocking_fs_free(BlockingFs *fs);

/* Makes operations `opcode` hang from now on, after the next `n_pass` of them. */
void blocking_fs_hang(BlockingFs *fs, enum fuse_opcode opcode, BlockingMode mode, unsigned n_pass);

/* Waits until `n` operations hang. */
void blocking_fs_await(BlockingFs *fs, enum fuse_opcode opcode, unsigned n);

/* Does the operations that hang, or, with a positive errno, lets them fail; none hangs any more. */
void blocking_fs_release(BlockingFs *fs, enum fuse_opcode opcode, int error);

/* Makes operations `opcode` fail with `error` from now on, after the next `n_pass` of them; with 0 they
 * are done again. */
void blocking_fs_fail(BlockingFs *fs, enum fuse_opcode opcode, int error, unsigned n_pass);

/* How many operations were done or failed, and how many callers of any were interrupted. */
unsigned blocking_fs_n_done(BlockingFs *fs, enum fuse_opcode opcode);
unsigned blocking_fs_n_interrupted(BlockingFs *fs);

#endif
