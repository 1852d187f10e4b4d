/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quota: see quota.h. Unless said otherwise static functions are called with the lock held. */
#include "protocol/quota.h"

#include <errno.h>
#include <glib.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/inode_set.h"

enum {
    RECOUNT_MSEC = 60 * 1000, /* how old a count must be before something that is refused is */
    RECOUNT_FACTOR = 20,      /* worth another, and how many times what it took */
};

/* One count of the tree. */
typedef struct Count {
    InodeSet *set;
    QuotaUse use;
} Count;

struct Quota {
    QuotaOptions options;
    uint64_t root_device;
    uint64_t root_inode;

    pthread_mutex_t lock; /* guards everything below */
    GHashTable *pinned;   /* QuotaInode, its own key */
    uint64_t mark;
    uint64_t n_open;
    QuotaUse claimed;
    Count current;
    Count next; /* without a set while no count goes on */
    bool known; /* the current count is complete */

    pthread_cond_t wanted_changed; /* the counting thread waits for it */
    uint64_t n_wanted;             /* counts that were asked for, */
    uint64_t n_begun;
    uint64_t n_ended;
    uint32_t ended_word; /* n_ended, for those that wait for it; they read it without the lock */
    bool stopping;       /* written with the lock, read without */
    bool disturbed;
    bool truncated;        /* the last count knows of more files to delete than it remembers */
    bool drawn_on;         /* one of those that it remembered has been deleted */
    uint64_t n_changes;    /* that may bring other files to delete */
    uint64_t changes_then; /* n_changes when the last count began */
    uint64_t n_looked_at;
    int64_t begun_usec; /* monotonic; of the last count */
    int64_t ended_usec;
    unsigned recount_msec;
    unsigned recount_factor;
};

static guint hash_inode(gconstpointer key)
{
    const QuotaInode *inode = key;
    uint64_t h = (inode->inode ^ inode->device << 40) * 0x9e3779b97f4a7c15ULL;

    return (guint)(h >> 32);
}

static gboolean same_inode(gconstpointer a, gconstpointer b)
{
    const QuotaInode *x = a, *y = b;

    return x->inode == y->inode && x->device == y->device;
}

Quota *quota_new(const QuotaOptions *options, uint64_t root_device, uint64_t root_inode)
{
    Quota *q = g_new0(Quota, 1);

    q->options = *options;
    q->root_device = root_device;
    q->root_inode = root_inode;
    q->recount_msec = RECOUNT_MSEC;
    q->recount_factor = RECOUNT_FACTOR;
    q->pinned = g_hash_table_new(hash_inode, same_inode);
    q->current.set = inode_set_new();
    q->n_wanted = quota_counts(q) ? 1 : 0;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wanted_changed, NULL);
    return q;
}

void quota_free(Quota *q)
{
    if (!q)
        return;
    g_hash_table_unref(q->pinned);
    inode_set_free(q->current.set);
    inode_set_free(q->next.set);
    pthread_cond_destroy(&q->wanted_changed);
    pthread_mutex_destroy(&q->lock);
    g_free(q);
}

static void wake_waiters(Quota *q)
{
    __atomic_add_fetch(&q->ended_word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &q->ended_word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void quota_stop(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    __atomic_store_n(&q->stopping, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&q->wanted_changed);
    wake_waiters(q);
    pthread_mutex_unlock(&q->lock);
}

bool quota_is_stopping(const Quota *q)
{
    return __atomic_load_n(&q->stopping, __ATOMIC_RELAXED);
}

bool quota_counts(const Quota *q)
{
    return q->options.max_files > 0 || q->options.max_space > 0;
}

bool quota_counts_space(const Quota *q)
{
    return q->options.max_space > 0;
}

const QuotaOptions *quota_options(const Quota *q)
{
    return &q->options;
}

/*
 * The counts
 */

/* 1 for an inode that is a file in the sense of the limit. */
static uint64_t files_of(const Quota *q, uint64_t device, uint64_t inode)
{
    return inode == q->root_inode && device == q->root_device ? 0 : 1;
}

/* Foreign changes can make less of the count than we know of. */
static uint64_t without(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static bool enter(Quota *q, Count *count, uint64_t device, uint64_t inode, uint64_t charge)
{
    if (!count->set || !inode_set_add(count->set, device, inode))
        return false;
    count->use.files += files_of(q, device, inode);
    count->use.bytes += charge;
    return true;
}

static void enter_in_all(Quota *q, uint64_t device, uint64_t inode, uint64_t charge)
{
    if (enter(q, &q->current, device, inode, charge))
        q->n_changes++;
    enter(q, &q->next, device, inode, charge);
}

static void change_bytes(Count *count, uint64_t before, uint64_t now)
{
    count->use.bytes = without(count->use.bytes + now, before);
}

/* An inode leaves a count; that it is no file any more was seen before. */
static void leave(Count *count, const QuotaInode *inode)
{
    if (count->set && inode_set_remove(count->set, inode->device, inode->inode))
        change_bytes(count, inode->charge, 0);
}

/*
 * Inodes
 */

uint64_t quota_mark(Quota *q)
{
    uint64_t mark;

    pthread_mutex_lock(&q->lock);
    mark = q->mark;
    pthread_mutex_unlock(&q->lock);
    return mark;
}

static QuotaInode *find(Quota *q, uint64_t device, uint64_t inode)
{
    QuotaInode key = {.device = device, .inode = inode};

    return g_hash_table_lookup(q->pinned, &key);
}

static QuotaInode *add(Quota *q, uint64_t device, uint64_t inode, uint64_t charge)
{
    QuotaInode *new = g_new0(QuotaInode, 1);

    pthread_mutex_init(&new->order, NULL);
    new->device = device;
    new->inode = inode;
    new->charge = charge;
    g_hash_table_add(q->pinned, new);
    enter_in_all(q, device, inode, charge);
    return new;
}

QuotaInode *quota_pin(Quota *q, uint64_t device, uint64_t inode, uint64_t charge, uint64_t mark)
{
    QuotaInode *pinned;

    pthread_mutex_lock(&q->lock);
    pinned = find(q, device, inode);
    if (!pinned && mark == q->mark)
        pinned = add(q, device, inode, charge);
    if (pinned)
        pinned->pins++;
    pthread_mutex_unlock(&q->lock);
    return pinned;
}

static void remove_inode(Quota *q, QuotaInode *inode)
{
    if (inode->changed)
        q->mark++;
    if (inode->gone) {
        leave(&q->current, inode);
        leave(&q->next, inode);
    }
    g_hash_table_remove(q->pinned, inode);
    pthread_mutex_destroy(&inode->order);
    g_free(inode);
}

void quota_unpin(Quota *q, QuotaInode *inode)
{
    pthread_mutex_lock(&q->lock);
    if (--inode->pins == 0)
        remove_inode(q, inode);
    pthread_mutex_unlock(&q->lock);
}

void quota_note(Quota *q, uint64_t device, uint64_t inode, uint64_t charge)
{
    pthread_mutex_lock(&q->lock);
    enter_in_all(q, device, inode, charge);
    pthread_mutex_unlock(&q->lock);
}

uint64_t quota_begin_measure(Quota *q, QuotaInode *inode)
{
    uint64_t ticket;

    pthread_mutex_lock(&q->lock);
    ticket = ++inode->asked;
    pthread_mutex_unlock(&q->lock);
    return ticket;
}

void quota_end_measure(Quota *q, QuotaInode *inode, uint64_t ticket, uint64_t charge)
{
    pthread_mutex_lock(&q->lock);
    if (ticket > inode->applied) {
        inode->applied = ticket;
        if (charge != inode->charge) {
            change_bytes(&q->current, inode->charge, charge);
            change_bytes(&q->next, inode->charge, charge);
            inode->charge = charge;
            inode->changed = true;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

void quota_set_gone(Quota *q, QuotaInode *inode)
{
    pthread_mutex_lock(&q->lock);
    if (!inode->gone) {
        q->current.use.files = without(q->current.use.files, 1);
        q->next.use.files = without(q->next.use.files, 1);
        inode->gone = inode->changed = true;
    }
    pthread_mutex_unlock(&q->lock);
}

uint64_t quota_charge(Quota *q, QuotaInode *inode)
{
    uint64_t charge;

    pthread_mutex_lock(&q->lock);
    charge = inode->charge;
    pthread_mutex_unlock(&q->lock);
    return charge;
}

bool quota_is_shared(Quota *q, QuotaInode *inode)
{
    bool shared;

    pthread_mutex_lock(&q->lock);
    shared = inode->pins > 1;
    pthread_mutex_unlock(&q->lock);
    return shared;
}

void quota_hold(Quota *q, QuotaInode *inode)
{
    pthread_mutex_lock(&q->lock);
    inode->opens++;
    pthread_mutex_unlock(&q->lock);
}

void quota_let_go(Quota *q, QuotaInode *inode)
{
    pthread_mutex_lock(&q->lock);
    if (--inode->opens == 0)
        q->n_changes++;
    pthread_mutex_unlock(&q->lock);
}

bool quota_is_held(Quota *q, uint64_t device, uint64_t inode)
{
    const QuotaInode *pinned;
    bool held;

    pthread_mutex_lock(&q->lock);
    pinned = find(q, device, inode);
    held = pinned && pinned->opens > 0;
    pthread_mutex_unlock(&q->lock);
    return held;
}

bool quota_has(Quota *q, uint64_t device, uint64_t inode)
{
    bool has;

    pthread_mutex_lock(&q->lock);
    has = inode_set_has(q->current.set, device, inode);
    pthread_mutex_unlock(&q->lock);
    return has;
}

int quota_add_open(Quota *q)
{
    bool fits;

    pthread_mutex_lock(&q->lock);
    fits = q->options.max_open_files == 0 || q->n_open < q->options.max_open_files;
    if (fits)
        q->n_open++;
    pthread_mutex_unlock(&q->lock);
    return fits ? 0 : -EMFILE;
}

void quota_remove_open(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    q->n_open--;
    pthread_mutex_unlock(&q->lock);
}

/*
 * Room
 */

/* What is left of `limit`. */
static uint64_t room_below(uint64_t limit, uint64_t used, uint64_t claimed)
{
    return limit == 0 ? UINT64_MAX : without(without(limit, used), claimed);
}

/* What needs nothing fits also where limits are passed. */
static bool fits(const Quota *q, uint64_t files, uint64_t bytes)
{
    uint64_t free_files = room_below(q->options.max_files, q->current.use.files, q->claimed.files);
    uint64_t free_bytes = room_below(q->options.max_space, q->current.use.bytes, q->claimed.bytes);

    return files <= free_files && bytes <= free_bytes;
}

int quota_claim(Quota *q, uint64_t files, uint64_t bytes)
{
    int error = 0;

    pthread_mutex_lock(&q->lock);
    if (!q->known && (files > 0 || bytes > 0)) {
        error = -EAGAIN;
    } else if (!fits(q, files, bytes)) {
        error = -ENOSPC;
    } else {
        q->claimed.files += files;
        q->claimed.bytes += bytes;
    }
    pthread_mutex_unlock(&q->lock);
    return error;
}

void quota_unclaim(Quota *q, uint64_t files, uint64_t bytes)
{
    pthread_mutex_lock(&q->lock);
    q->claimed.files -= files;
    q->claimed.bytes -= bytes;
    pthread_mutex_unlock(&q->lock);
}

bool quota_has_room(Quota *q, uint64_t files, uint64_t bytes)
{
    bool has;

    pthread_mutex_lock(&q->lock);
    has = q->known && fits(q, files, bytes);
    pthread_mutex_unlock(&q->lock);
    return has;
}

bool quota_can_fit(const Quota *q, uint64_t files, uint64_t bytes)
{
    return files <= room_below(q->options.max_files, 0, 0) &&
           bytes <= room_below(q->options.max_space, 0, 0);
}

uint64_t quota_room(Quota *q)
{
    uint64_t room;

    pthread_mutex_lock(&q->lock);
    room = room_below(q->options.max_space, q->current.use.bytes, q->claimed.bytes);
    pthread_mutex_unlock(&q->lock);
    return room;
}

QuotaUse quota_use(Quota *q)
{
    QuotaUse use;

    pthread_mutex_lock(&q->lock);
    use = q->known || !q->next.set ? q->current.use : q->next.use;
    pthread_mutex_unlock(&q->lock);
    return use;
}

/*
 * Counting
 */

/* Waits until `n` counts have ended. Called without the lock. */
static int wait_for_count(Quota *q, uint64_t n)
{
    for (;;) {
        uint32_t word = __atomic_load_n(&q->ended_word, __ATOMIC_ACQUIRE);
        bool ended;

        pthread_mutex_lock(&q->lock);
        ended = q->n_ended >= n;
        pthread_mutex_unlock(&q->lock);
        if (ended)
            return 0;
        if (quota_is_stopping(q))
            return -ESHUTDOWN;
        if (syscall(SYS_futex, &q->ended_word, FUTEX_WAIT_PRIVATE, word, NULL, NULL, 0) != 0 &&
            errno == EINTR)
            return -EINTR;
    }
}

QuotaStatus quota_status(Quota *q)
{
    QuotaStatus status;

    pthread_mutex_lock(&q->lock);
    status = (QuotaStatus){
        .use = q->current.use,
        .n_open = q->n_open,
        .known = q->known,
        .counting = q->n_ended < q->n_wanted,
    };
    pthread_mutex_unlock(&q->lock);
    return status;
}

int quota_wait_counted(Quota *q)
{
    return wait_for_count(q, 1);
}

static bool is_worth_recounting(const Quota *q, QuotaReason reason)
{
    int64_t enough = (q->ended_usec - q->begun_usec) * q->recount_factor;
    int64_t age = g_get_monotonic_time() - q->ended_usec;

    switch (reason) {
    case QUOTA_SEARCH:
        return (q->truncated && q->drawn_on) || q->n_changes != q->changes_then;
    case QUOTA_MOVED:
        return age >= enough;
    default:
        return age >= MAX((int64_t)q->recount_msec * 1000, enough);
    }
}

int quota_recount(Quota *q, QuotaReason reason)
{
    uint64_t n = 0;

    pthread_mutex_lock(&q->lock);
    if (is_worth_recounting(q, reason)) {
        n = q->n_begun + 1;
        q->n_wanted = MAX(q->n_wanted, n);
        pthread_cond_signal(&q->wanted_changed);
    }
    pthread_mutex_unlock(&q->lock);
    return n > 0 ? wait_for_count(q, n) : -EALREADY;
}

void quota_note_change(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    q->n_changes++;
    pthread_mutex_unlock(&q->lock);
}

void quota_note_deletion(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    q->drawn_on = true;
    pthread_mutex_unlock(&q->lock);
}

void quota_set_recount_age(Quota *q, unsigned msec, unsigned factor)
{
    pthread_mutex_lock(&q->lock);
    q->recount_msec = msec;
    q->recount_factor = factor;
    pthread_mutex_unlock(&q->lock);
}

bool quota_await_count(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->n_wanted <= q->n_begun && !quota_is_stopping(q))
        pthread_cond_wait(&q->wanted_changed, &q->lock);
    pthread_mutex_unlock(&q->lock);
    return !quota_is_stopping(q);
}

/* What is pinned is in the count from the start. */
void quota_begin_count(Quota *q)
{
    GHashTableIter iter;
    gpointer key;

    pthread_mutex_lock(&q->lock);
    q->n_begun++;
    q->begun_usec = g_get_monotonic_time();
    q->changes_then = q->n_changes;
    q->disturbed = false;
    q->next = (Count){.set = inode_set_new()};
    g_hash_table_iter_init(&iter, q->pinned);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const QuotaInode *inode = key;

        enter(q, &q->next, inode->device, inode->inode, inode->charge);
        if (inode->gone)
            q->next.use.files--;
    }
    pthread_mutex_unlock(&q->lock);
}

bool quota_count_inode(Quota *q, uint64_t device, uint64_t inode, uint64_t charge, uint64_t mark)
{
    bool done = true;

    pthread_mutex_lock(&q->lock);
    if (!inode_set_has(q->next.set, device, inode)) {
        done = mark == q->mark;
        if (done)
            enter(q, &q->next, device, inode, charge);
    }
    if (done)
        q->n_looked_at++;
    pthread_mutex_unlock(&q->lock);
    return done;
}

void quota_disturb(Quota *q)
{
    pthread_mutex_lock(&q->lock);
    q->disturbed = true;
    pthread_mutex_unlock(&q->lock);
}

bool quota_was_disturbed(Quota *q)
{
    bool disturbed;

    pthread_mutex_lock(&q->lock);
    disturbed = q->disturbed;
    q->disturbed = false;
    pthread_mutex_unlock(&q->lock);
    return disturbed;
}

void quota_end_count(Quota *q, bool truncated)
{
    pthread_mutex_lock(&q->lock);
    inode_set_free(q->current.set);
    q->current = q->next;
    q->next = (Count){0};
    q->known = true;
    q->truncated = truncated;
    q->drawn_on = false;
    q->n_ended++;
    q->ended_usec = g_get_monotonic_time();
    wake_waiters(q);
    pthread_mutex_unlock(&q->lock);
}

uint64_t quota_n_looked_at(Quota *q)
{
    uint64_t n;

    pthread_mutex_lock(&q->lock);
    n = q->n_looked_at;
    pthread_mutex_unlock(&q->lock);
    return n;
}
