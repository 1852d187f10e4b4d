/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: descriptors that are scarce; see local_park.h.
 *
 * node->base.holds decides who owns a node's descriptor. It counts the requests that use the node.
 * From 0, and only from 0, the parking thread makes it FS_NODE_AWAY; until that bit goes,
 * requests that come wait here. A node that is on its way, in either direction, is `moving`: that is
 * guarded by the lock, as is all else that is not said to be atomic.
 *
 * The nodes that can be put away are a ring, and a hand goes around it: it takes the mark of those that
 * were used since it last came by, and takes away the descriptors of the others.
 *
 * The lock `names` is held by whoever removes or renames, and exclusively while a node is put away:
 * so a file has a name when the last of its descriptors goes, and whoever takes that name finds
 * that the file is away. Who waits for it exclusively keeps nobody else out.
 */
#include "protocol/local_park.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/thread.h"
#include "protocol/keeper.h"
#include "protocol/limits.h"
#include "protocol/local_name_cache.h"

enum {
    RESERVE = 512, /* descriptors of the process that are none of files held for long */
    NO_SLOT = UINT32_MAX,
    PAUSE_MSEC = 100, /* while nothing can be put away */
};

/* A file some of whose nodes are away. */
struct LocalAway {
    dev_t device; /* device and inode are the key */
    uint64_t inode;
    unsigned users;    /* nodes, and threads that need it for a moment */
    int anchor;        /* a descriptor, or -1 */
    uint32_t slot;     /* of the keeper; NO_SLOT while the first node is on its way */
    uint32_t dir_slot; /* of the directory where it was found, or NO_SLOT */
    char *name;        /* and under which name; NULL without a dir_slot */
};

struct LocalPark {
    const LocalFs *fs;
    Keeper *keeper;  /* NULL: nothing can be put away */
    gint n_held;     /* atomic: descriptors */
    gint pressed;    /* atomic: the thread is at work, or about to be */
    gint n_away;     /* atomic: files in `away` */
    unsigned most;   /* descriptors */
    unsigned many;   /* when to begin to put nodes away, */
    unsigned enough; /* and when to stop */

    pthread_rwlock_t names;
    pthread_mutex_t lock;   /* guards: */
    pthread_cond_t work;    /* for the thread */
    pthread_cond_t changed; /* a node has arrived, or there is room, or there will be none */
    LocalNode *hand;        /* the next in the ring, or NULL */
    unsigned n_settled;     /* nodes in the ring */
    GHashTable *away;       /* of LocalAway */
    GArray *free_slots;     /* uint32_t: given back */
    uint32_t n_slots;
    uint32_t next_slot; /* never used, like those behind it */
    bool fruitless;     /* the hand went around and found nothing */
    bool has_thread;
    bool ending;
    pthread_t thread;
};

/* What the process may have. It is asked for at the beginning: a worker that has locked itself in has no
 * such call. */
static gsize process_files; /* atomic */

int local_open_error(int error)
{
    if (error == ENFILE)
        limit_reached(LIMIT_SYSTEM_FILES, 0);
    if (error != EMFILE)
        return -error;
    limit_reached(LIMIT_DESCRIPTORS, (gsize)g_atomic_pointer_get(&process_files));
    return -ENFILE;
}

/*
 * The ring. Functions here, and in the next two sections, are called with the lock held.
 */

static void list_node(LocalPark *p, LocalNode *node)
{
    LocalNode *next = p->hand ? p->hand : node;

    node->next = next;
    node->previous = p->hand ? next->previous : node;
    node->previous->next = node;
    next->previous = node;
    if (!p->hand)
        p->hand = node;
    p->n_settled++;
    node->listed = true;
}

static void unlist_node(LocalPark *p, LocalNode *node)
{
    if (!node->listed)
        return;
    if (p->hand == node)
        p->hand = node->next != node ? node->next : NULL;
    node->previous->next = node->next;
    node->next->previous = node->previous;
    p->n_settled--;
    node->listed = false;
}

/*
 * Files that are away
 */

static guint hash_away(gconstpointer key)
{
    const LocalAway *away = key;

    return (guint)(away->inode ^ away->inode >> 32);
}

static gboolean is_same_file(gconstpointer a, gconstpointer b)
{
    const LocalAway *x = a, *y = b;

    return x->inode == y->inode && x->device == y->device;
}

static uint32_t take_slot(LocalPark *p)
{
    uint32_t slot;

    if (p->free_slots->len == 0)
        return p->next_slot < p->n_slots ? p->next_slot++ : (uint32_t)NO_SLOT;
    slot = g_array_index(p->free_slots, uint32_t, p->free_slots->len - 1);
    g_array_set_size(p->free_slots, p->free_slots->len - 1);
    return slot;
}

static void give_slot(LocalPark *p, uint32_t slot)
{
    if (slot != NO_SLOT)
        g_array_append_val(p->free_slots, slot);
}

static LocalAway *find_away(LocalPark *p, dev_t device, uint64_t inode)
{
    const LocalAway key = {.device = device, .inode = inode};

    return g_hash_table_lookup(p->away, &key);
}

static LocalAway *join_away(LocalPark *p, const LocalNode *node)
{
    LocalAway *away = find_away(p, node->device, node->inode);

    if (!away) {
        away = g_new0(LocalAway, 1);
        *away = (LocalAway){.device = node->device,
                            .inode = node->inode,
                            .anchor = -1,
                            .slot = NO_SLOT,
                            .dir_slot = NO_SLOT};
        g_hash_table_add(p->away, away);
        g_atomic_int_inc(&p->n_away);
    }
    away->users++;
    return away;
}

static void leave_away(LocalPark *p, LocalAway *away)
{
    if (--away->users > 0)
        return;
    g_hash_table_remove(p->away, away);
    g_atomic_int_add(&p->n_away, -1);
    if (away->anchor >= 0) {
        close(away->anchor);
        g_atomic_int_add(&p->n_held, -1);
    }
    give_slot(p, away->slot);
    give_slot(p, away->dir_slot);
    g_free(away->name);
    g_free(away);
}

/*
 * Putting nodes away
 */

/* The next node that was not used for a round and is not used now, on its way, or NULL. */
static LocalNode *next_victim(LocalPark *p)
{
    for (unsigned n = 2 * p->n_settled; n > 0; n--) {
        LocalNode *node = p->hand;

        p->hand = node->next;
        if (g_atomic_int_get(&node->base.recent)) {
            g_atomic_int_set(&node->base.recent, 0);
        } else if (g_atomic_int_compare_and_exchange(&node->base.holds, 0, FS_NODE_AWAY)) {
            unlist_node(p, node);
            node->moving = true;
            node->away = join_away(p, node);
            return node;
        }
    }
    return NULL;
}

/* Remembers the name of a file that is not a directory, which would find it by itself. Without the
 * lock. */
static void note_name(LocalPark *p, LocalNode *node)
{
    LocalAway *away = node->away;
    char name[P9_NAME_MAX + 1];
    uint32_t slot;
    int dir_fd;

    if (S_ISDIR(node->base.type) || local_find_name(&node->base, &dir_fd, name) != 0)
        return;
    pthread_mutex_lock(&p->lock);
    slot = take_slot(p);
    pthread_mutex_unlock(&p->lock);
    if (slot != NO_SLOT && keeper_keep(p->keeper, slot, dir_fd) == 0) {
        away->dir_slot = slot;
        away->name = g_strdup(name);
    } else {
        pthread_mutex_lock(&p->lock);
        give_slot(p, slot);
        pthread_mutex_unlock(&p->lock);
    }
    close(dir_fd);
}

/* Has the keeper remember the node's file. Without the lock, and nobody else knows of it yet: the
 * names do not change. */
static int remember_file(LocalPark *p, LocalNode *node)
{
    uint32_t slot;
    int error;

    pthread_mutex_lock(&p->lock);
    slot = take_slot(p);
    pthread_mutex_unlock(&p->lock);
    if (slot == NO_SLOT)
        return -ENOSPC;
    error = keeper_keep(p->keeper, slot, node->fd);
    if (error) {
        pthread_mutex_lock(&p->lock);
        give_slot(p, slot);
        pthread_mutex_unlock(&p->lock);
        return error;
    }
    note_name(p, node);
    node->away->slot = slot;
    return 0;
}

/* A descriptor of the file that stays, or -1. The root's is there anyway: whatever becomes of the
 * keeper, a guest can walk to all files anew. */
static int lasting_descriptor(const LocalPark *p, const LocalAway *away)
{
    const LocalFs *fs = p->fs;
    bool is_root = away->inode == fs->root_inode && away->device == fs->devices[0].device;

    return is_root ? fs->root_fd : away->anchor;
}

/* Whether the file is found again without this descriptor; 0 if so. Without the lock. */
static int make_dispensable(LocalPark *p, LocalNode *node)
{
    FsAttr attr;
    int error;

    if (lasting_descriptor(p, node->away) >= 0)
        return 0;
    error = local_statx(node->fd, "", false, &attr);
    if (!error && attr.stx_nlink == 0)
        error = -ENOENT;
    if (error || node->away->slot != NO_SLOT)
        return error;
    return remember_file(p, node);
}

/* Frees what is left of a node. */
static void free_node(LocalPark *p, LocalNode *node)
{
    unlist_node(p, node);
    if (node->away)
        leave_away(p, node->away);
    if (node->fd >= 0) {
        close(node->fd);
        g_atomic_int_add(&p->n_held, -1);
    }
    g_free(node);
}

/* The node has arrived: away, or, after an error, where it was, and unless that was -EAGAIN it
 * stays there for good. */
static void finish_moving(LocalPark *p, LocalNode *node, int error)
{
    if (error) {
        leave_away(p, node->away);
        node->away = NULL;
        if (error == -EAGAIN)
            list_node(p, node);
        g_atomic_int_and((guint *)&node->base.holds, ~(guint)FS_NODE_AWAY);
    } else {
        close(node->fd);
        node->fd = -1;
        g_atomic_int_add(&p->n_held, -1);
    }
    node->moving = false;
    if (node->orphan)
        free_node(p, node);
    pthread_cond_broadcast(&p->changed);
}

/* Waits until no name changes, but not for one that hangs: nobody else may wait behind this
 * thread. */
static int lock_names(LocalPark *p)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PAUSE_MSEC * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_rwlock_timedwrlock(&p->names, &until) == 0 ? 0 : -EAGAIN;
}

/* Lets go of the lock in between. */
static void put_away(LocalPark *p, LocalNode *node)
{
    int busy, error;

    pthread_mutex_unlock(&p->lock);
    busy = lock_names(p);
    error = busy ? busy : make_dispensable(p, node);
    pthread_mutex_lock(&p->lock);
    finish_moving(p, node, error);
    if (!busy)
        pthread_rwlock_unlock(&p->names);
}

static void wait_for(LocalPark *p, pthread_cond_t *condition)
{
    int64_t when = g_get_monotonic_time() + PAUSE_MSEC * 1000;
    struct timespec until = {
        .tv_sec = when / G_USEC_PER_SEC,
        .tv_nsec = when % G_USEC_PER_SEC * 1000,
    };

    pthread_cond_timedwait(condition, &p->lock, &until);
}

static unsigned n_held(LocalPark *p)
{
    return (unsigned)g_atomic_int_get(&p->n_held);
}

/* Puts nodes away until there is enough room again. */
static void make_room(LocalPark *p)
{
    while (!p->ending && n_held(p) > p->enough) {
        LocalNode *victim = next_victim(p);

        p->fruitless = !victim;
        if (victim) {
            put_away(p, victim);
        } else {
            pthread_cond_broadcast(&p->changed);
            wait_for(p, &p->work);
        }
    }
}

static void *run(void *argument)
{
    LocalPark *p = argument;

    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        make_room(p);
        g_atomic_int_set(&p->pressed, 0);
        if (n_held(p) <= p->many && !p->ending)
            pthread_cond_wait(&p->work, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/*
 * Counting
 */

static bool start_thread(LocalPark *p)
{
    if (!p->has_thread)
        p->has_thread = thread_start(&p->thread, run, p) == 0;
    return p->has_thread;
}

/* Has the thread look for nodes to put away. */
static void press(LocalPark *p)
{
    if (g_atomic_int_get(&p->pressed))
        return;
    pthread_mutex_lock(&p->lock);
    if (start_thread(p)) {
        g_atomic_int_set(&p->pressed, 1);
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
}

static bool take_room(LocalPark *p)
{
    if ((unsigned)g_atomic_int_add(&p->n_held, 1) < p->most)
        return true;
    g_atomic_int_add(&p->n_held, -1);
    return false;
}

/* Waits until a descriptor has been put away. The hand goes around once more before this says that
 * there is none. */
static int wait_for_room(LocalPark *p)
{
    int error = 0;

    pthread_mutex_lock(&p->lock);
    p->fruitless = !p->has_thread;
    pthread_cond_signal(&p->work);
    while (!error && !take_room(p)) {
        if (p->fruitless)
            error = -ENFILE;
        else if (interrupt_requested())
            error = -EINTR;
        else
            wait_for(p, &p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return error;
}

/* Claims a descriptor when there are not plenty any more. */
static int claim_scarce(LocalPark *p, bool nowait)
{
    int error = -ENFILE;

    if (p->keeper)
        press(p);
    if (n_held(p) <= p->most)
        return 0;
    g_atomic_int_add(&p->n_held, -1);
    if (p->keeper)
        error = nowait ? -EAGAIN : wait_for_room(p);
    if (error == -ENFILE)
        limit_reached(LIMIT_DESCRIPTORS, p->most);
    return error;
}

int local_claim(LocalFs *fs, bool nowait)
{
    LocalPark *p = fs->park;

    if ((unsigned)g_atomic_int_add(&p->n_held, 1) < p->many)
        return 0;
    if (fs->name_cache && local_name_cache_clear(fs->name_cache, nowait) != 0) {
        local_unclaim(fs);
        return -EAGAIN;
    }
    return claim_scarce(p, nowait);
}

bool local_has_plenty(const LocalFs *fs)
{
    return n_held(fs->park) < fs->park->many;
}

void local_unclaim(LocalFs *fs)
{
    g_atomic_int_add(&fs->park->n_held, -1);
}

/*
 * Bringing back
 */

/* A copy of what is remembered of a file, to be used without the lock. */
typedef struct Trace {
    uint32_t slot, dir_slot;
    char *name;
} Trace;

static Trace trace_of(const LocalAway *away)
{
    return (Trace){away->slot, away->dir_slot, g_strdup(away->name)};
}

static bool is_same_inode(int a, int b)
{
    FsAttr x, y;

    return local_statx(a, "", false, &x) == 0 && local_statx(b, "", false, &y) == 0 &&
           x.stx_ino == y.stx_ino && local_attr_device(&x) == local_attr_device(&y);
}

/* Opens the file under its name, if it still has that; `fd` is the file. Returns a descriptor in
 * place of `fd`. */
static int fetch_by_name(LocalPark *p, const Trace *trace, int fd)
{
    int dir_fd = keeper_fetch(p->keeper, trace->dir_slot);
    int named = dir_fd < 0 ? dir_fd : local_open_name(dir_fd, trace->name, false);

    if (dir_fd >= 0)
        close(dir_fd);
    if (named < 0)
        return fd;
    if (!is_same_inode(named, fd)) {
        close(named);
        return fd;
    }
    close(fd);
    return named;
}

/* Opens the file that `away`, which the caller uses, stands for. Lets go of the lock in between. */
static int fetch(LocalPark *p, const LocalAway *away)
{
    int fd = lasting_descriptor(p, away);
    Trace trace;

    if (fd >= 0) {
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return fd < 0 ? local_open_error(errno) : fd;
    }
    trace = trace_of(away);
    pthread_mutex_unlock(&p->lock);
    fd = keeper_fetch(p->keeper, trace.slot);
    if (fd >= 0 && trace.name)
        fd = fetch_by_name(p, &trace, fd);
    g_free(trace.name);
    pthread_mutex_lock(&p->lock);
    return fd == -EMFILE || fd == -ENFILE ? local_open_error(-fd) : fd;
}

/* Finds the file of a node that is lost through one that is open. Takes no time. */
static int fetch_from_open(LocalFs *fs, const LocalNode *node)
{
    return node->open ? local_reopen(fs, node->open->fd, O_PATH) : -EIO;
}

/* Brings the node back, which is away. Returns whether it has taken the claimed descriptor. */
static bool bring_back(LocalPark *p, LocalNode *node, int *error)
{
    int fd;

    node->moving = true;
    fd = fetch(p, node->away);
    if (fd == -EIO && keeper_is_gone(p->keeper))
        fd = fetch_from_open(local_fs(&node->base), node);
    node->moving = false;
    *error = MIN(fd, 0);
    if (fd >= 0) {
        node->fd = fd;
        leave_away(p, node->away);
        node->away = NULL;
        list_node(p, node);
        g_atomic_int_and((guint *)&node->base.holds, ~(guint)FS_NODE_AWAY);
    }
    pthread_cond_broadcast(&p->changed);
    return fd >= 0;
}

int local_recall(FsNode *base, bool nowait)
{
    LocalNode *node = (LocalNode *)base;
    LocalFs *fs = local_fs(base);
    LocalPark *p = fs->park;
    bool taken = false;
    int error;

    if (nowait)
        return -EAGAIN;
    error = local_claim(fs, false);
    if (error)
        return error;
    pthread_mutex_lock(&p->lock);
    while (node->moving)
        pthread_cond_wait(&p->changed, &p->lock);
    if (g_atomic_int_get(&base->holds) & FS_NODE_AWAY)
        taken = bring_back(p, node, &error);
    pthread_mutex_unlock(&p->lock);
    if (!taken)
        local_unclaim(fs);
    return error;
}

/*
 * Nodes
 */

void local_settle(FsNode *base)
{
    LocalPark *p = local_fs(base)->park;

    if (!p->keeper || base->class == FS_REMOTE)
        return;
    pthread_mutex_lock(&p->lock);
    if (!g_atomic_int_get(&base->settled)) {
        g_atomic_int_set(&base->settled, 1);
        list_node(p, (LocalNode *)base);
    }
    pthread_mutex_unlock(&p->lock);
}

void local_park_add_open(LocalFile *file)
{
    LocalNode *node = (LocalNode *)file->base.node;
    LocalPark *p = local_fs(&node->base)->park;

    if (!p->keeper)
        return;
    pthread_mutex_lock(&p->lock);
    file->next_open = node->open;
    file->open_at = &node->open;
    if (node->open)
        node->open->open_at = &file->next_open;
    node->open = file;
    pthread_mutex_unlock(&p->lock);
}

void local_park_remove_open(LocalFile *file)
{
    LocalPark *p = local_fs(file->base.node)->park;

    if (!p->keeper)
        return;
    pthread_mutex_lock(&p->lock);
    *file->open_at = file->next_open;
    if (file->next_open)
        file->next_open->open_at = file->open_at;
    pthread_mutex_unlock(&p->lock);
}

void local_park_free_node(LocalNode *node)
{
    LocalFs *fs = local_fs(&node->base);

    if (!g_atomic_int_get(&node->base.settled)) {
        close(node->fd);
        local_unclaim(fs);
        g_free(node);
        return;
    }
    pthread_mutex_lock(&fs->park->lock);
    if (node->moving)
        node->orphan = true;
    else
        free_node(fs->park, node);
    pthread_mutex_unlock(&fs->park->lock);
}

/*
 * Changes of names
 */

/* The file that has the name, in use by the caller, when nodes of it are away; or NULL. Takes and
 * keeps the lock. */
static LocalAway *use_away(LocalPark *p, LocalName at, FsAttr *attr)
{
    bool found = local_statx(at.dir_fd, at.name, false, attr) == 0;
    LocalAway *away = NULL;

    pthread_mutex_lock(&p->lock);
    if (found)
        away = find_away(p, local_attr_device(attr), attr->stx_ino);
    if (away)
        away->users++;
    return away;
}

/* Gives the file that is about to lose `lost` an anchor if it needs one. A descriptor is claimed.
 * Returns whether it has been taken. */
static bool anchor_file(LocalPark *p, LocalName lost, int *error)
{
    FsAttr attr = {0};
    LocalAway *away = use_away(p, lost, &attr);
    bool last_name = S_ISDIR(attr.stx_mode) || attr.stx_nlink <= 1;
    int fd = -1;

    if (away && last_name && away->anchor < 0 && away->slot != NO_SLOT) {
        fd = fetch(p, away);
        if (fd != -ESTALE && !keeper_is_gone(p->keeper)) /* otherwise it is lost anyway */
            *error = MIN(fd, 0);
    }
    if (fd >= 0 && away->anchor >= 0) { /* another thread was */
        close(fd);
        fd = -1;
    }
    if (fd >= 0)
        away->anchor = fd;
    if (away)
        leave_away(p, away);
    pthread_mutex_unlock(&p->lock);
    return fd >= 0;
}

/* Waiting for a descriptor is not possible with the lock `names`, without which nobody gets one. */
static int begin_with_claim(LocalFs *fs, LocalName lost)
{
    LocalPark *p = fs->park;
    int error = local_claim(fs, false);

    if (error)
        return error;
    pthread_rwlock_rdlock(&p->names);
    if (!anchor_file(p, lost, &error))
        local_unclaim(fs);
    if (error)
        pthread_rwlock_unlock(&p->names);
    return error;
}

int local_park_begin_change(LocalFs *fs, LocalName lost)
{
    LocalPark *p = fs->park;

    if (!p->keeper)
        return 0;
    pthread_rwlock_rdlock(&p->names);
    if (g_atomic_int_get(&p->n_away) == 0)
        return 0;
    pthread_rwlock_unlock(&p->names);
    return begin_with_claim(fs, lost);
}

void local_park_end_change(LocalFs *fs)
{
    if (fs->park->keeper)
        pthread_rwlock_unlock(&fs->park->names);
}

/* What is remembered of the name of `away` is wrong now: the keeper has the new directory in a slot
 * that nobody reads. */
static void change_trace(LocalPark *p, LocalAway *away, uint32_t slot, const char *name)
{
    give_slot(p, away->dir_slot);
    g_free(away->name);
    away->dir_slot = slot;
    away->name = slot == NO_SLOT ? NULL : g_strdup(name);
}

void local_park_renamed(LocalFs *fs, LocalName to)
{
    LocalPark *p = fs->park;
    LocalAway *away;
    FsAttr attr;
    uint32_t slot;
    bool known, kept;

    if (!p->keeper || g_atomic_int_get(&p->n_away) == 0)
        return;
    away = use_away(p, to, &attr);
    known = away && away->slot != NO_SLOT; /* otherwise its name is not remembered yet */
    slot = known && !S_ISDIR(attr.stx_mode) ? take_slot(p) : (uint32_t)NO_SLOT;
    pthread_mutex_unlock(&p->lock);
    kept = slot != NO_SLOT && keeper_keep(p->keeper, slot, to.dir_fd) == 0;
    pthread_mutex_lock(&p->lock);
    if (!kept) {
        give_slot(p, slot);
        slot = NO_SLOT;
    }
    if (known)
        change_trace(p, away, slot, to.name);
    if (away)
        leave_away(p, away);
    pthread_mutex_unlock(&p->lock);
}

/*
 * The export
 */

static void init_conditions(LocalPark *p)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &attributes);
    pthread_cond_init(&p->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* The device's limit, or what the process may have. */
static unsigned most_descriptors(const LocalFs *fs)
{
    unsigned most = fs->options.limits.max_descriptors;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return most;
    g_atomic_pointer_set(&process_files, (gsize)files.rlim_cur);
    if (files.rlim_cur == RLIM_INFINITY)
        return most;
    return (unsigned)MIN(most, files.rlim_cur - MIN(RESERVE, files.rlim_cur / 2));
}

void local_park_begin(LocalFs *fs)
{
    LocalPark *p = g_new0(LocalPark, 1);

    p->fs = fs;
    p->most = most_descriptors(fs);
    p->many = p->most - p->most / 8;
    p->enough = p->most - p->most / 4;
    pthread_rwlock_init(&p->names, NULL);
    init_conditions(p);
    pthread_mutex_init(&p->lock, NULL);
    p->away = g_hash_table_new(hash_away, is_same_file);
    p->free_slots = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    fs->park = p;
}

int local_fs_start_keeper(Fs *base)
{
    LocalFs *fs = (LocalFs *)base;
    LocalPark *p = fs->park;

    if (base->class == FS_REMOTE)
        return -EOPNOTSUPP;
    p->n_slots = 2 * fs->options.limits.max_fids; /* of files, and of their directories */
    return keeper_new(fs->root_fd, p->n_slots, &p->keeper);
}

void local_park_end(LocalFs *fs)
{
    LocalPark *p = fs->park;

    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (p->has_thread)
        pthread_join(p->thread, NULL);
    if (p->keeper)
        keeper_free(p->keeper);
    g_hash_table_unref(p->away);
    g_array_unref(p->free_slots);
    pthread_rwlock_destroy(&p->names);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    g_free(p);
}
