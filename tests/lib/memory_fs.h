/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory fs: a tree in memory behind FsOps, for tests of the 9P core.
 *
 * It behaves as a local file system does: nodes stay usable when they are renamed or unlinked,
 * hard links share their content, a directory's offsets stay valid. Each operation passes a gate
 * first, where a test can hold it, make it fail, or watch that it ran. Any thread may call.
 */
#ifndef TESTS_LIB_MEMORY_FS_H
#define TESTS_LIB_MEMORY_FS_H

#include "protocol/fs.h"

typedef struct MemoryFs MemoryFs;

/* The operations that have a gate. */
typedef enum MemoryOp {
    MEMORY_WALK,
    MEMORY_GETATTR,
    MEMORY_SETATTR,
    MEMORY_READLINK,
    MEMORY_STATFS,
    MEMORY_OPEN,
    MEMORY_CREATE,
    MEMORY_READ,
    MEMORY_WRITE,
    MEMORY_FSYNC,
    MEMORY_READDIR,
    MEMORY_MKDIR,
    MEMORY_MKNOD,
    MEMORY_SYMLINK,
    MEMORY_LINK,
    MEMORY_UNLINKAT,
    MEMORY_RENAMEAT,
    MEMORY_REMOVE,
    MEMORY_RENAME,
    MEMORY_N_OPS,
} MemoryOp;

/* Called when an operation begins, without a lock, on the thread that runs it. Returns 0 to let it
 * go on or the negative errno that it shall return. */
typedef int MemoryHook(void *context, MemoryOp op);

/* A new tree with an empty root directory, on storage of class `class`. */
MemoryFs *memory_fs_new(FsClass class);

/* Frees the tree. No node or file of it may be held any more. */
void memory_fs_free(MemoryFs *fs);

Fs *memory_fs_base(MemoryFs *fs);

/* How many nodes and files the core holds. */
unsigned memory_fs_n_held(MemoryFs *fs);

/* From now on operations that get `nowait` return -EAGAIN. */
void memory_fs_set_waits(MemoryFs *fs, bool waits);

void memory_fs_set_hook(MemoryFs *fs, MemoryHook *hook, void *context);

/* How often `op` came through its gate. */
unsigned memory_fs_n_runs(MemoryFs *fs, MemoryOp op);

/* The next `times` runs of `op` fail with `error` (negative errno). */
void memory_fs_fail(MemoryFs *fs, MemoryOp op, int error, unsigned times);

/* Closes the gate of `op`: every run waits in front of it. */
void memory_fs_close_gate(MemoryFs *fs, MemoryOp op);

/* Waits until `n` runs wait at the gate of `op`. */
void memory_fs_await_blocked(MemoryFs *fs, MemoryOp op, unsigned n);

/* Whether who waits at a gate can be interrupted, see protocol/interrupt.h, and then fails with
 * -EINTR. At first it cannot. */
void memory_fs_set_interruptible(MemoryFs *fs, bool interruptible);

/* Lets those go on that wait now, with the result `error` when that is not 0; later runs wait. */
void memory_fs_let_through(MemoryFs *fs, MemoryOp op, int error);

/* Lets all go on, now and later. */
void memory_fs_open_gate(MemoryFs *fs, MemoryOp op);

/* Makes the file `name` in the root, with `size` bytes that count up, or the directory `name`. */
void memory_fs_add_file(MemoryFs *fs, const char *name, size_t size);
void memory_fs_add_directory(MemoryFs *fs, const char *name);

#endif
