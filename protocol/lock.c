/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks: see lock.h. Unless said otherwise functions here are called with the mutex held. */
#include "protocol/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "protocol/interrupt.h"
#include "protocol/limits.h"

#define RANGE_END ((uint64_t)INT64_MAX)

typedef struct Range {
    uint64_t start;
    uint64_t end; /* the last byte; RANGE_END: however long the file becomes */
    uint8_t type;
} Range;

typedef struct LockFile LockFile;

/* One owner on one file. It exists while it has ranges or waits for one. */
typedef struct Owner {
    LockFile *file;
    uint32_t proc_id;
    char *client_id;
    FsFile *description;
    bool writable;    /* the description is good for exclusive locks */
    GArray *ranges;   /* Range, in order, neither overlapping nor to be joined */
    GHashTable *fids; /* those through which it took locks; not references */
    unsigned n_waits;
} Owner;

struct LockFile {
    uint64_t path;
    GPtrArray *owners;
};

struct LockTable {
    pthread_mutex_t mutex;
    LockLimits limits;
    void (*released)(void *context);
    void *context;
    FidTable *fids;    /* of the conversation; not a reference */
    GHashTable *files; /* path -> LockFile */
    unsigned n_owners;
    unsigned n_ranges; /* also read without the mutex */
    unsigned n_notes;  /* fids that owners have noted */
};

/*
 * Ranges
 */

static Range range_of(const FsLock *lock)
{
    uint64_t end = lock->length > 0 ? lock->start + lock->length - 1 : RANGE_END;

    return (Range){.start = lock->start, .end = end, .type = lock->type};
}

static FsLock lock_of(const Range *range)
{
    uint64_t length = range->end == RANGE_END ? 0 : range->end - range->start + 1;

    return (FsLock){.type = range->type, .start = range->start, .length = length};
}

static bool overlap(const Range *a, const Range *b)
{
    return a->start <= b->end && b->start <= a->end;
}

/* Adds a range behind the last one, or to it. */
static void append_range(GArray *ranges, Range range)
{
    Range *last = ranges->len > 0 ? &g_array_index(ranges, Range, ranges->len - 1) : NULL;

    if (range.type == P9_LOCK_UNLOCK)
        return;
    if (last && last->type == range.type && last->end + 1 == range.start)
        last->end = range.end;
    else
        g_array_append_val(ranges, range);
}

/* What `old` becomes when `new` is set: what it covers of the others is cut out of them. */
static GArray *replace_range(const GArray *old, Range new)
{
    GArray *ranges = g_array_sized_new(FALSE, FALSE, sizeof(Range), old->len + 2);
    bool placed = false;

    for (unsigned i = 0; i < old->len; i++) {
        const Range *range = &g_array_index(old, Range, i);

        if (range->start < new.start)
            append_range(ranges,
                         (Range){range->start, MIN(range->end, new.start - 1), range->type});
        if (range->end <= new.end)
            continue;
        if (!placed)
            append_range(ranges, new);
        placed = true;
        append_range(ranges, (Range){MAX(range->start, new.end + 1), range->end, range->type});
    }
    if (!placed)
        append_range(ranges, new);
    return ranges;
}

/* `change` is modulo 2^32, as the number is. */
static void change_n_ranges(LockTable *t, unsigned change)
{
    __atomic_store_n(&t->n_ranges, t->n_ranges + change, __ATOMIC_RELAXED);
}

static void set_range(LockTable *t, Owner *owner, Range new)
{
    GArray *ranges = replace_range(owner->ranges, new);

    change_n_ranges(t, ranges->len - owner->ranges->len);
    g_array_unref(owner->ranges);
    owner->ranges = ranges;
}

/*
 * Files and owners
 */

static LockFile *find_file(LockTable *t, uint64_t path)
{
    return g_hash_table_lookup(t->files, &path);
}

static LockFile *find_or_add_file(LockTable *t, uint64_t path)
{
    LockFile *file = find_file(t, path);

    if (!file) {
        file = g_new0(LockFile, 1);
        file->path = path;
        file->owners = g_ptr_array_new();
        g_hash_table_insert(t->files, &file->path, file);
    }
    return file;
}

static bool is_owner(const Owner *owner, const Lock *lock)
{
    return owner->proc_id == lock->proc_id && strcmp(owner->client_id, lock->client_id) == 0;
}

static Owner *find_owner(LockTable *t, const Lock *lock)
{
    LockFile *file = find_file(t, lock->file);

    for (unsigned i = 0; file && i < file->owners->len; i++) {
        Owner *owner = g_ptr_array_index(file->owners, i);
        if (is_owner(owner, lock))
            return owner;
    }
    return NULL;
}

/* Takes over `description`. */
static Owner *add_owner(LockTable *t, const Lock *lock, FsFile *description, bool writable)
{
    Owner *owner = g_new0(Owner, 1);

    owner->file = find_or_add_file(t, lock->file);
    owner->proc_id = lock->proc_id;
    owner->client_id = g_strdup(lock->client_id);
    owner->description = description;
    owner->writable = writable;
    owner->ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    owner->fids = g_hash_table_new(NULL, NULL);
    g_ptr_array_add(owner->file->owners, owner);
    t->n_owners++;
    return owner;
}

/* Closing the description releases what is locked through it. */
static void free_owner(LockTable *t, Owner *owner)
{
    LockFile *file = owner->file;

    t->n_owners--;
    change_n_ranges(t, -owner->ranges->len);
    t->n_notes -= g_hash_table_size(owner->fids);
    g_ptr_array_remove_fast(file->owners, owner);
    if (file->owners->len == 0) {
        g_hash_table_remove(t->files, &file->path);
        g_ptr_array_unref(file->owners);
        g_free(file);
    }
    fs_file_unref(owner->description);
    g_array_unref(owner->ranges);
    g_hash_table_unref(owner->fids);
    g_free(owner->client_id);
    g_free(owner);
}

static void free_if_idle(LockTable *t, Owner *owner)
{
    if (owner->ranges->len == 0 && owner->n_waits == 0)
        free_owner(t, owner);
}

static int try_lock(FsFile *description, const FsLock *lock)
{
    return description->node->fs->ops->lock(description, lock);
}

/* Releases everything that the owner holds. */
static void unlock_all(LockTable *t, Owner *owner)
{
    const FsLock all = {.type = P9_LOCK_UNLOCK};

    if (owner->n_waits > 0)
        try_lock(owner->description, &all);
    set_range(t, owner, range_of(&all));
    t->n_notes -= g_hash_table_size(owner->fids);
    g_hash_table_remove_all(owner->fids);
    free_if_idle(t, owner);
}

/* Opens the file anew, so that a lock of this type can be set. On what is read-only, exclusive locks
 * hold within this table and are shared ones to the system. Called without the mutex. */
static int open_description(const Fid *fid, uint8_t type, FsFile **description)
{
    const FsOps *ops = fid->node->fs->ops;
    int flags = type == P9_LOCK_WRITE ? O_RDWR : O_RDONLY;
    int error = ops->open(fid->node, flags | FS_OPEN_OWN, false, description);

    if (error == -EROFS)
        error = ops->open(fid->node, O_RDONLY | FS_OPEN_OWN, false, description);
    switch (error) {
    case -EACCES:
    case -EPERM:
    case -EROFS:
    case -EISDIR:
    case -ETXTBSY:
        return -EBADF;
    case -EMFILE:
    case -ENFILE:
        return -ENOLCK;
    default:
        return error;
    }
}

/* Moves an owner that has only read locks so far to a description that can also be written. The
 * read locks are set there before they go here. Takes over `description`. */
static int upgrade_owner(Owner *owner, FsFile *description)
{
    int error = 0;

    for (unsigned i = 0; !error && i < owner->ranges->len; i++) {
        FsLock lock = lock_of(&g_array_index(owner->ranges, Range, i));
        error = try_lock(description, &lock);
    }
    if (error) {
        fs_file_unref(description);
        return error;
    }
    fs_file_unref(owner->description);
    owner->description = description;
    owner->writable = true;
    return 0;
}

static bool suits(const Owner *owner, uint8_t type)
{
    return owner && (type == P9_LOCK_READ || owner->writable);
}

/* Puts the description where it belongs: another thread may have been faster. Takes it over. */
static int place_description(LockTable *t, const Lock *lock, FsFile *description, Owner **owner)
{
    bool full = t->n_owners >= t->limits.max_owners;

    *owner = find_owner(t, lock);
    if (*owner && !suits(*owner, lock->range.type))
        return upgrade_owner(*owner, description);
    if (!*owner && full)
        limit_reached(LIMIT_LOCK_OWNERS, t->limits.max_owners);
    if (*owner || full) {
        fs_file_unref(description);
        return *owner ? 0 : -ENOLCK;
    }
    *owner = add_owner(t, lock, description, lock->range.type == P9_LOCK_WRITE);
    return 0;
}

/* Makes sure that the owner has a description for `lock`. Lets go of the mutex in between. */
static int get_owner(LockTable *t, FidTable *fids, const Fid *fid, const Lock *lock, Owner **owner)
{
    FsFile *description;
    int error;

    *owner = find_owner(t, lock);
    if (suits(*owner, lock->range.type))
        return 0;

    pthread_mutex_unlock(&t->mutex);
    error = open_description(fid, lock->range.type, &description);
    pthread_mutex_lock(&t->mutex);
    if (error)
        return error;
    if (fids != t->fids) {
        fs_file_unref(description);
        return -EBADF;
    }
    return place_description(t, lock, description, owner);
}

/*
 * Locking
 */

/* A range of another owner of the file that `lock` cannot stand beside, or NULL. */
static const Range *find_conflict(LockTable *t, const Lock *lock, const Owner **holder)
{
    LockFile *file = find_file(t, lock->file);
    Range wanted = range_of(&lock->range);

    for (unsigned i = 0; file && i < file->owners->len; i++) {
        const Owner *owner = g_ptr_array_index(file->owners, i);

        if (is_owner(owner, lock))
            continue;
        for (unsigned j = 0; j < owner->ranges->len; j++) {
            const Range *held = &g_array_index(owner->ranges, Range, j);
            bool exclusive = held->type == P9_LOCK_WRITE || wanted.type == P9_LOCK_WRITE;

            if (exclusive && overlap(held, &wanted)) {
                *holder = owner;
                return held;
            }
        }
    }
    return NULL;
}

static int unlock(LockTable *t, const Lock *lock)
{
    Owner *owner = find_owner(t, lock);
    int error;

    if (!owner || owner->ranges->len == 0)
        return 0;
    error = try_lock(owner->description, &lock->range);
    if (!error)
        set_range(t, owner, range_of(&lock->range));
    free_if_idle(t, owner);
    t->released(t->context);
    return error;
}

static void note_fid(LockTable *t, Owner *owner, Fid *fid)
{
    if (g_hash_table_add(owner->fids, fid))
        t->n_notes++;
    fid->lock_file = owner->file->path;
    g_atomic_pointer_set(&fid->locks, t);
}

/* A range that is put into another makes two more. The fids of an owner take memory, too. */
static bool is_full(const LockTable *t)
{
    return t->n_ranges + 2 > t->limits.max_ranges || t->n_notes >= t->limits.max_ranges;
}

static int take(LockTable *t, Owner *owner, Fid *fid, const Lock *lock)
{
    bool had_locks = owner->ranges->len > 0;
    int error;

    if (is_full(t)) {
        limit_reached(LIMIT_LOCK_RANGES, t->limits.max_ranges);
        return -ENOLCK;
    }
    error = try_lock(owner->description, &lock->range);
    if (error)
        return error;
    set_range(t, owner, range_of(&lock->range));
    note_fid(t, owner, fid);
    if (had_locks)
        t->released(t->context); /* a read lock may have taken the place of a write lock */
    return 0;
}

static bool has_locks(const Fid *fid)
{
    return fid->node->fs->ops->lock != NULL;
}

int lock_table_set(LockTable *t, FidTable *fids, Fid *fid, const Lock *lock, bool *in_table)
{
    const Owner *holder;
    Owner *owner;
    int error;

    *in_table = false;
    if (!has_locks(fid))
        return -EOPNOTSUPP;
    if (interrupt_lock(&t->mutex) != 0)
        return -EINTR;
    if (fids != t->fids) {
        error = -EBADF;
    } else if (lock->range.type == P9_LOCK_UNLOCK) {
        error = unlock(t, lock);
    } else if (find_conflict(t, lock, &holder)) {
        *in_table = true;
        error = -EAGAIN;
    } else {
        error = get_owner(t, fids, fid, lock, &owner);
        if (!error) {
            error = take(t, owner, fid, lock);
            free_if_idle(t, owner);
        }
    }
    pthread_mutex_unlock(&t->mutex);
    return error;
}

int lock_table_begin_wait(LockTable *t, FidTable *fids, Fid *fid, const Lock *lock)
{
    Owner *owner;
    int error;

    if (!has_locks(fid))
        return -EOPNOTSUPP;
    if (interrupt_lock(&t->mutex) != 0)
        return -EINTR;
    error = fids == t->fids ? get_owner(t, fids, fid, lock, &owner) : -EBADF;
    if (!error)
        owner->n_waits++;
    pthread_mutex_unlock(&t->mutex);
    return error;
}

void lock_table_end_wait(LockTable *t, FidTable *fids, const Lock *lock)
{
    Owner *owner;

    pthread_mutex_lock(&t->mutex);
    owner = fids == t->fids ? find_owner(t, lock) : NULL;
    if (owner) {
        owner->n_waits--;
        free_if_idle(t, owner);
    }
    pthread_mutex_unlock(&t->mutex);
}

int lock_table_test(LockTable *t, Fid *fid, const Lock *lock, FsLock *found, char **client_id)
{
    const Range *held;
    const Owner *holder;
    Owner *owner;
    int error = 0;

    *client_id = NULL;
    if (!has_locks(fid))
        return -EOPNOTSUPP;
    if (interrupt_lock(&t->mutex) != 0)
        return -EINTR;
    held = find_conflict(t, lock, &holder);
    if (held) {
        *found = lock_of(held);
        found->pid = holder->proc_id;
        *client_id = g_strdup(holder->client_id);
    } else {
        /* Nobody locks through the description of a fid: every lock is another's to it. */
        owner = find_owner(t, lock);
        *found = lock->range;
        error = fid->node->fs->ops->test_lock(owner ? owner->description : fid->file, found);
    }
    pthread_mutex_unlock(&t->mutex);
    return error;
}

/*
 * The end of locks
 */

void lock_table_forget_fid(LockTable *t, Fid *fid)
{
    LockFile *file;

    pthread_mutex_lock(&t->mutex);
    file = find_file(t, fid->lock_file);
    for (unsigned i = file ? file->owners->len : 0; i-- > 0;) {
        Owner *owner = g_ptr_array_index(file->owners, i);

        if (!g_hash_table_remove(owner->fids, fid))
            continue;
        t->n_notes--;
        if (g_hash_table_size(owner->fids) > 0)
            continue;
        unlock_all(t, owner); /* with the last owner the file goes, too */
        t->released(t->context);
    }
    pthread_mutex_unlock(&t->mutex);
}

void lock_table_reset(LockTable *t, FidTable *fids)
{
    GHashTableIter iter;
    gpointer file;

    pthread_mutex_lock(&t->mutex);
    t->fids = fids;
    while (g_hash_table_iter_init(&iter, t->files), g_hash_table_iter_next(&iter, NULL, &file))
        free_owner(t, g_ptr_array_index(((LockFile *)file)->owners, 0));
    t->released(t->context);
    pthread_mutex_unlock(&t->mutex);
}

unsigned lock_table_n_ranges(LockTable *t)
{
    return __atomic_load_n(&t->n_ranges, __ATOMIC_RELAXED);
}

void lock_table_count(LockTable *t, unsigned *n_owners, unsigned *n_ranges)
{
    pthread_mutex_lock(&t->mutex);
    *n_owners = t->n_owners;
    *n_ranges = t->n_ranges;
    pthread_mutex_unlock(&t->mutex);
}

LockTable *lock_table_new(FidTable *fids, LockLimits limits, void (*released)(void *context),
                          void *context)
{
    LockTable *t = g_new0(LockTable, 1);

    pthread_mutex_init(&t->mutex, NULL);
    t->limits = limits;
    t->released = released;
    t->context = context;
    t->fids = fids;
    t->files = g_hash_table_new(g_int64_hash, g_int64_equal);
    return t;
}

void lock_table_free(LockTable *t)
{
    lock_table_reset(t, NULL);
    g_hash_table_unref(t->files);
    pthread_mutex_destroy(&t->mutex);
    g_free(t);
}
