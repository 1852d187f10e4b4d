/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: deleting old files to make room (auto-delete); see quota.h and local_quota.h.
 *
 * Each count leaves a list of the regular files that were modified longest ago. What is on it may be
 * open, changed, moved or removed by the time it is needed: an open file is passed over and stays
 * on the list; of the others, only one that still is the file that was counted, with the same time,
 * is deleted. When the list is used up and there may be others, the tree is counted again: a list
 * is long, so that this costs little for each file that is deleted. A list of which no file could be
 * deleted would come again, and ends the search. The tree is counted again as well when
 * the oldest file has been moved, unless that was done a moment ago: then others go before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_quota.h"

enum { MAX_CANDIDATES = 4096 };

typedef struct Candidate {
    struct statx_timestamp mtime;
    uint64_t device;
    uint64_t inode;
    char path[]; /* below the root */
} Candidate;

/*
 * Lists
 */

static int compare_times(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

static gint compare_candidates(gconstpointer a, gconstpointer b, gpointer unused)
{
    (void)unused;
    return compare_times(&((const Candidate *)a)->mtime, &((const Candidate *)b)->mtime);
}

GSequence *local_reclaim_new_list(void)
{
    return g_sequence_new(g_free);
}

static Candidate *candidate_new(const char *path, const FsAttr *attr)
{
    Candidate *new = g_malloc(sizeof(Candidate) + strlen(path) + 1);

    new->mtime = attr->stx_mtime;
    new->device = local_attr_device(attr);
    new->inode = attr->stx_ino;
    strcpy(new->path, path);
    return new;
}

/* The youngest file of a full list. */
static GSequenceIter *last_of(GSequence *list)
{
    return g_sequence_iter_prev(g_sequence_get_end_iter(list));
}

bool local_reclaim_add(GSequence *list, const char *path, const FsAttr *attr)
{
    bool full = g_sequence_get_length(list) >= MAX_CANDIDATES;

    if (full) {
        const Candidate *last = g_sequence_get(last_of(list));

        if (compare_times(&attr->stx_mtime, &last->mtime) >= 0)
            return false;
        g_sequence_remove(last_of(list));
    }
    g_sequence_insert_sorted(list, candidate_new(path, attr), compare_candidates, NULL);
    return !full;
}

void local_reclaim_init(LocalReclaim *reclaim)
{
    pthread_mutex_init(&reclaim->lock, NULL);
    reclaim->oldest = local_reclaim_new_list();
    log_limit_init(&reclaim->log_limit);
}

void local_reclaim_deinit(LocalReclaim *reclaim)
{
    g_sequence_free(reclaim->oldest);
    pthread_mutex_destroy(&reclaim->lock);
    log_limit_deinit(&reclaim->log_limit);
}

void local_reclaim_use_list(LocalReclaim *reclaim, GSequence *list)
{
    pthread_mutex_lock(&reclaim->lock);
    g_sequence_free(reclaim->oldest);
    reclaim->oldest = list;
    pthread_mutex_unlock(&reclaim->lock);
}

/*
 * Deleting
 */

/* The directory that a candidate is in, pinned, and its name there. */
static int find_directory(LocalFs *fs, const Candidate *c, FsNode **dir, const char **name)
{
    const char *slash = strrchr(c->path, '/');
    g_autofree char *parent = slash ? g_strndup(c->path, (gsize)(slash - c->path)) : g_strdup(".");
    int fd = local_open_below_root(fs, parent);

    *name = slash ? slash + 1 : c->path;
    return fd < 0 ? fd : local_node_new(fs, fd, NULL, false, dir, NULL);
}

/* Whether the node is what was counted, as it was then. */
static bool is_candidate(const FsNode *node, const Candidate *c)
{
    FsAttr attr;

    return local_statx(local_fd(node), "", false, &attr) == 0 &&
           attr.stx_ino == c->inode && local_attr_device(&attr) == c->device &&
           compare_times(&attr.stx_mtime, &c->mtime) == 0;
}

/* A guest that remembers the file, without having it open, would keep its space allocated. */
static void empty_file(FsNode *node)
{
    static const FsChange empty = {.valid = P9_SETATTR_SIZE};

    if (!quota_is_shared(quota_of(node), inode_of(node)))
        return;
    lock_order(node);
    local_setattr(node, NULL, &empty);
    local_quota_settle(node);
    unlock_order(node);
}

typedef enum Outcome {
    OUTCOME_ROOM,    /* there is more room now, or enough */
    OUTCOME_MOVED,   /* the file is not where it was */
    OUTCOME_CHANGED, /* it is there, but in use, or no longer as it was */
    OUTCOME_REFUSED, /* it cannot be deleted, nor could it after another count */
    OUTCOME_NOTHING, /* nothing can be deleted */
} Outcome;

/* Deletes `name`, with its directory's order held, if it is still the candidate and not open. Who
 * opens it from here on opens a file that was deleted before. To guests of the mapped models it may be
 * no regular file; then it stays. */
static Outcome delete_name(FsNode *dir, const char *name, const Candidate *c)
{
    LocalName at = {local_fd(dir), name};
    int fd = local_open_name(at.dir_fd, name, false);
    Outcome outcome = OUTCOME_REFUSED;
    FsNode *node;

    if (fd < 0 || local_node_new(local_fs(dir), fd, &at, false, &node, NULL) != 0)
        return outcome;
    if (!is_candidate(node, c) || quota_is_held(quota_of(dir), c->device, c->inode)) {
        outcome = OUTCOME_CHANGED;
    } else if (S_ISREG(node->type) && local_unlinkat(dir, name, false) == 0) {
        outcome = OUTCOME_ROOM;
        if (local_quota_settle_removed(node))
            empty_file(node);
    }
    fs_node_unref(node);
    return outcome;
}

/* Whether `name` is still the file that was counted, whatever was done to it. */
static bool is_there(FsNode *dir, const char *name, const Candidate *c)
{
    FsAttr attr;

    return local_statx(local_fd(dir), name, false, &attr) == 0 && attr.stx_ino == c->inode &&
           local_attr_device(&attr) == c->device;
}

static Outcome delete_in_order(FsNode *dir, const char *name, const Candidate *c)
{
    Outcome outcome = OUTCOME_MOVED;

    lock_order(dir);
    if (is_there(dir, name, c))
        outcome = delete_name(dir, name, c);
    local_quota_settle(dir);
    unlock_order(dir);
    return outcome;
}

static void log_deletion(LocalFs *fs, const Candidate *c)
{
    g_autofree char *path = log_escape(c->path, strlen(c->path));

    log_limited(&fs->quota->reclaim.log_limit, LOG_NOTICE,
                "a limit is reached: deleted the oldest file that is not open, %s", path);
}

/* Whether `error`, of finding a directory, tells that it is not where it was; else something is in
 * the way that another count would not change, such as too many open files. */
static bool is_elsewhere(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EXDEV;
}

static Outcome delete_candidate(LocalFs *fs, const Candidate *c)
{
    const char *name;
    FsNode *dir;
    int error = find_directory(fs, c, &dir, &name);
    Outcome outcome = is_elsewhere(error) ? OUTCOME_MOVED : OUTCOME_REFUSED;

    if (!error) {
        outcome = delete_in_order(dir, name, c);
        fs_node_unref(dir);
    }
    if (outcome == OUTCOME_ROOM) {
        quota_note_deletion(fs->quota->quota);
        log_deletion(fs, c);
    } else if (!quota_has(fs->quota->quota, c->device, c->inode)) {
        outcome = OUTCOME_NOTHING; /* the guest has removed it */
    } else if (outcome != OUTCOME_REFUSED) {
        quota_note_change(fs->quota->quota);
    }
    return outcome;
}

/* Tries the candidates in their order until one was deleted, and takes what cannot be deleted off the
 * list. `drop`: also what was moved. Called with the lock. */
static Outcome delete_oldest(LocalFs *fs, bool drop)
{
    GSequenceIter *next;

    for (GSequenceIter *i = g_sequence_get_begin_iter(fs->quota->reclaim.oldest);
         !g_sequence_iter_is_end(i); i = next) {
        const Candidate *c = g_sequence_get(i);
        Outcome outcome;

        next = g_sequence_iter_next(i);
        if (quota_is_held(fs->quota->quota, c->device, c->inode))
            continue;
        outcome = delete_candidate(fs, c);
        if (outcome == OUTCOME_MOVED && !drop)
            return outcome;
        g_sequence_remove(i);
        if (outcome == OUTCOME_ROOM)
            return outcome;
    }
    return OUTCOME_NOTHING;
}

static Outcome delete_unless_room(LocalFs *fs, uint64_t files, uint64_t bytes, bool drop)
{
    LocalReclaim *reclaim = &fs->quota->reclaim;
    Outcome outcome = OUTCOME_ROOM;

    pthread_mutex_lock(&reclaim->lock);
    if (!quota_has_room(fs->quota->quota, files, bytes))
        outcome = delete_oldest(fs, drop);
    pthread_mutex_unlock(&reclaim->lock);
    return outcome;
}

int local_reclaim_make_room(LocalFs *fs, uint64_t files, uint64_t bytes)
{
    Quota *quota = fs->quota->quota;
    Outcome outcome = delete_unless_room(fs, files, bytes, false);
    int error;

    if (outcome == OUTCOME_MOVED) {
        error = quota_recount(quota, QUOTA_MOVED);
        if (error != -EALREADY)
            return error;
        outcome = delete_unless_room(fs, files, bytes, true);
    }
    if (outcome == OUTCOME_ROOM)
        return 0;
    error = quota_recount(quota, QUOTA_SEARCH);
    return error == -EALREADY ? -ENOSPC : error;
}
