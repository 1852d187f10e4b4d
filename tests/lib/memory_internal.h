/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory fs, inside: what memory_fs.c (the tree and its gates) and memory_ops.c (the operations)
 * share. Functions on inodes are called with the tree's lock held.
 */
#ifndef TESTS_LIB_MEMORY_INTERNAL_H
#define TESTS_LIB_MEMORY_INTERNAL_H

#include "tests/lib/memory_fs.h"

typedef struct Inode Inode;

typedef struct Entry {
    char *name;
    Inode *inode;
    uint64_t offset; /* behind the entry */
} Entry;

/* A file, whatever its names. It lives as long as it has a name or a node. */
struct Inode {
    uint64_t number;
    unsigned n_nodes;
    uint32_t n_links;
    uint32_t version;
    mode_t mode;
    FsOwner owner;
    dev_t device;
    struct timespec times[3]; /* atime, mtime, ctime */
    GByteArray *data;         /* regular files, and the targets of symlinks */
    GArray *entries;          /* directories: Entry, by offset */
    uint64_t next_offset;
    Inode *parent; /* directories */
};

typedef struct MemoryNode {
    FsNode base;
    Inode *inode;
} MemoryNode;

typedef struct MemoryFile {
    FsFile base;
    int flags;
} MemoryFile;

typedef struct Gate {
    bool closed;
    unsigned n_blocked;
    unsigned generation; /* counts memory_fs_let_through() */
    int through_error;
    int error;
    unsigned error_times;
    unsigned n_runs;
} Gate;

struct MemoryFs {
    Fs base;
    gint n_held; /* atomic */
    gint waits;  /* atomic */
    MemoryHook *hook;
    void *hook_context;

    GMutex lock; /* guards: */
    Inode *root;
    GPtrArray *directories; /* that have a name */
    uint64_t next_number;

    GMutex gate_lock; /* guards: */
    bool interruptible;
    GCond gate_changed;
    Gate gates[MEMORY_N_OPS];
};

extern const FsOps memory_ops;

/* Passes the gate of `op`: returns 0 or the error that it shall return. */
int memory_gate(MemoryFs *fs, MemoryOp op);
int memory_gate_nowait(MemoryFs *fs, MemoryOp op, bool nowait);

/* A new inode without a name. */
Inode *memory_inode_new(MemoryFs *fs, mode_t mode, FsOwner owner);

/* Frees an inode that has neither a name nor a node. */
void memory_inode_free_unused(Inode *inode);

/* A change of the inode, or of its content. */
void memory_touch(Inode *inode, bool content);

Entry *memory_entry_at(Inode *dir, unsigned i);
void memory_add_entry(MemoryFs *fs, Inode *dir, const char *name, Inode *inode);
void memory_delete_entry(MemoryFs *fs, Inode *dir, unsigned i);

#endif
