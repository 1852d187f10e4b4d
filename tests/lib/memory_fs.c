/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory fs: the tree and its gates; see memory_fs.h. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/interrupt.h"
#include "tests/lib/memory_internal.h"

enum {
    FIRST_OFFSET = 3, /* behind "." and ".." */
    ROOT_INODE = 2,
    SLICE_USEC = 1000, /* after which who waits looks whether it was interrupted */
};

/*
 * Gates
 */

/* Waits at a closed gate. Called with the gate lock held. */
static int wait_at_gate(MemoryFs *fs, Gate *gate)
{
    unsigned generation = gate->generation;
    bool interrupted = false;
    bool through;

    gate->n_blocked++;
    g_cond_broadcast(&fs->gate_changed);
    while (gate->closed && gate->generation == generation && !interrupted) {
        g_cond_wait_until(&fs->gate_changed, &fs->gate_lock, g_get_monotonic_time() + SLICE_USEC);
        interrupted = fs->interruptible && interrupt_requested();
    }
    through = gate->generation != generation;
    gate->n_blocked--;
    g_cond_broadcast(&fs->gate_changed);
    if (interrupted)
        return -EINTR;
    return through ? gate->through_error : 0;
}

int memory_gate(MemoryFs *fs, MemoryOp op)
{
    Gate *gate = &fs->gates[op];
    int error = fs->hook ? fs->hook(fs->hook_context, op) : 0;

    g_mutex_lock(&fs->gate_lock);
    gate->n_runs++;
    if (!error && gate->closed)
        error = wait_at_gate(fs, gate);
    if (!error && gate->error_times > 0) {
        gate->error_times--;
        error = gate->error;
    }
    g_mutex_unlock(&fs->gate_lock);
    return error;
}

/* The gate of an operation that has `nowait`. */
int memory_gate_nowait(MemoryFs *fs, MemoryOp op, bool nowait)
{
    if (nowait && g_atomic_int_get(&fs->waits))
        return -EAGAIN;
    return memory_gate(fs, op);
}

unsigned memory_fs_n_runs(MemoryFs *fs, MemoryOp op)
{
    unsigned n;

    g_mutex_lock(&fs->gate_lock);
    n = fs->gates[op].n_runs;
    g_mutex_unlock(&fs->gate_lock);
    return n;
}

void memory_fs_fail(MemoryFs *fs, MemoryOp op, int error, unsigned times)
{
    g_mutex_lock(&fs->gate_lock);
    fs->gates[op].error = error;
    fs->gates[op].error_times = times;
    g_mutex_unlock(&fs->gate_lock);
}

void memory_fs_close_gate(MemoryFs *fs, MemoryOp op)
{
    g_mutex_lock(&fs->gate_lock);
    fs->gates[op].closed = true;
    g_mutex_unlock(&fs->gate_lock);
}

void memory_fs_await_blocked(MemoryFs *fs, MemoryOp op, unsigned n)
{
    g_mutex_lock(&fs->gate_lock);
    while (fs->gates[op].n_blocked < n)
        g_cond_wait(&fs->gate_changed, &fs->gate_lock);
    g_mutex_unlock(&fs->gate_lock);
}

void memory_fs_set_interruptible(MemoryFs *fs, bool interruptible)
{
    g_mutex_lock(&fs->gate_lock);
    fs->interruptible = interruptible;
    g_mutex_unlock(&fs->gate_lock);
}

void memory_fs_let_through(MemoryFs *fs, MemoryOp op, int error)
{
    Gate *gate = &fs->gates[op];

    g_mutex_lock(&fs->gate_lock);
    gate->generation++;
    gate->through_error = error;
    g_cond_broadcast(&fs->gate_changed);
    g_mutex_unlock(&fs->gate_lock);
}

void memory_fs_open_gate(MemoryFs *fs, MemoryOp op)
{
    g_mutex_lock(&fs->gate_lock);
    fs->gates[op].closed = false;
    g_cond_broadcast(&fs->gate_changed);
    g_mutex_unlock(&fs->gate_lock);
}

/*
 * Inodes. All of these are called with the tree's lock held.
 */

void memory_touch(Inode *inode, bool content)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    inode->times[2] = now;
    if (content)
        inode->times[1] = now;
    inode->version++;
}

Inode *memory_inode_new(MemoryFs *fs, mode_t mode, FsOwner owner)
{
    Inode *inode = g_new0(Inode, 1);

    inode->number = fs->next_number++;
    inode->mode = mode;
    inode->owner = owner;
    inode->next_offset = FIRST_OFFSET;
    if (S_ISDIR(mode))
        inode->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    else
        inode->data = g_byte_array_new();
    memory_touch(inode, true);
    inode->times[0] = inode->times[1];
    return inode;
}

void memory_inode_free_unused(Inode *inode)
{
    if (inode->n_links > 0 || inode->n_nodes > 0)
        return;
    if (inode->entries)
        g_array_free(inode->entries, TRUE);
    if (inode->data)
        g_byte_array_free(inode->data, TRUE);
    g_free(inode);
}

Entry *memory_entry_at(Inode *dir, unsigned i)
{
    return &g_array_index(dir->entries, Entry, i);
}

void memory_add_entry(MemoryFs *fs, Inode *dir, const char *name, Inode *inode)
{
    Entry entry = {.name = g_strdup(name), .inode = inode, .offset = dir->next_offset++};

    g_array_append_val(dir->entries, entry);
    inode->n_links++;
    if (S_ISDIR(inode->mode)) {
        inode->parent = dir;
        g_ptr_array_add(fs->directories, inode);
    }
    memory_touch(dir, true);
    memory_touch(inode, false);
}

void memory_delete_entry(MemoryFs *fs, Inode *dir, unsigned i)
{
    Entry entry = *memory_entry_at(dir, i);

    g_array_remove_index(dir->entries, i);
    g_free(entry.name);
    entry.inode->n_links--;
    if (S_ISDIR(entry.inode->mode)) {
        g_ptr_array_remove(fs->directories, entry.inode);
        entry.inode->parent = fs->root; /* which outlives who still holds it */
    }
    memory_touch(dir, true);
    memory_touch(entry.inode, false);
    memory_inode_free_unused(entry.inode);
}

/*
 * The tree
 */

MemoryFs *memory_fs_new(FsClass class)
{
    MemoryFs *fs = g_new0(MemoryFs, 1);

    fs->base.ops = &memory_ops;
    fs->base.class = class;
    g_mutex_init(&fs->lock);
    g_mutex_init(&fs->gate_lock);
    g_cond_init(&fs->gate_changed);
    fs->directories = g_ptr_array_new();
    fs->next_number = ROOT_INODE;
    fs->root = memory_inode_new(fs, S_IFDIR | 0755, (FsOwner){0});
    fs->root->n_links = 2;
    g_ptr_array_add(fs->directories, fs->root);
    return fs;
}

/* Lets go of the names in `dir`, and of what is no directory itself. */
static void drop_names(Inode *dir)
{
    for (unsigned i = 0; i < dir->entries->len; i++) {
        Inode *inode = memory_entry_at(dir, i)->inode;

        g_free(memory_entry_at(dir, i)->name);
        inode->n_links--;
        if (!S_ISDIR(inode->mode))
            memory_inode_free_unused(inode);
    }
}

void memory_fs_free(MemoryFs *fs)
{
    assert(g_atomic_int_get(&fs->n_held) == 0);
    fs->root->n_links = 0;
    for (unsigned i = 0; i < fs->directories->len; i++)
        drop_names(g_ptr_array_index(fs->directories, i));
    for (unsigned i = 0; i < fs->directories->len; i++)
        memory_inode_free_unused(g_ptr_array_index(fs->directories, i));
    g_ptr_array_free(fs->directories, TRUE);
    g_mutex_clear(&fs->lock);
    g_mutex_clear(&fs->gate_lock);
    g_cond_clear(&fs->gate_changed);
    g_free(fs);
}

Fs *memory_fs_base(MemoryFs *fs)
{
    return &fs->base;
}

unsigned memory_fs_n_held(MemoryFs *fs)
{
    return (unsigned)g_atomic_int_get(&fs->n_held);
}

void memory_fs_set_waits(MemoryFs *fs, bool waits)
{
    g_atomic_int_set(&fs->waits, waits);
}

void memory_fs_set_hook(MemoryFs *fs, MemoryHook *hook, void *context)
{
    fs->hook_context = context;
    fs->hook = hook;
}

void memory_fs_add_file(MemoryFs *fs, const char *name, size_t size)
{
    Inode *inode = memory_inode_new(fs, S_IFREG | 0644, (FsOwner){0});

    for (size_t i = 0; i < size; i++) {
        guint8 byte = (guint8)i;
        g_byte_array_append(inode->data, &byte, 1);
    }
    memory_add_entry(fs, fs->root, name, inode);
}

void memory_fs_add_directory(MemoryFs *fs, const char *name)
{
    memory_add_entry(fs, fs->root, name, memory_inode_new(fs, S_IFDIR | 0755, (FsOwner){0}));
}
