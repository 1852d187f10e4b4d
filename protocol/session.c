/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session: see session.h. */
#include "protocol/session.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "protocol/events.h"
#include "protocol/id_map.h"
#include "protocol/limits.h"

enum {
    RESERVED_REQUESTS = 64,          /* admitted beyond the limit, when they release something */
    REPLY_ESTIMATE = 4096,           /* of everything but reads */
    KEPT_BUFFERS = 24 * 1024 * 1024, /* free buffers kept for reuse, as long as there is work */
};

G_STATIC_ASSERT(sizeof(Request) <= BUFFER_MIN);

/* The session of which the calling thread is a reader, but not the first one. */
static __thread const Session *read_beside;

const SessionLimits session_default_limits = {
    .device = DEVICE_DEFAULT_LIMITS,
    .max_lock_wait_msec = 10 * 1000,
    .clock = g_get_monotonic_time,
};

/* A lock that somebody waits for may be free now. */
static void lock_released(void *context)
{
    Session *session = context;

    if (session->lock_waits) /* NULL at the very end */
        lock_waits_poke(session->lock_waits);
}

/* For a lock that is held for less than going to sleep costs. */
static void init_adaptive(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

Session *session_new(Fs *fs, const ExportOptions *options, const SessionLimits *limits,
                     void (*wake)(void *), void *context)
{
    const LockLimits lock_limits = {.max_owners = limits->device.max_lock_owners,
                                    .max_ranges = limits->device.max_lock_ranges};
    Session *session = g_new0(Session, 1);

    assert(id_map_validate(&options->users) < 0 && id_map_validate(&options->groups) < 0);
    session->fs = fs;
    session->options = *options;
    session->limits = *limits;
    session->pool = pool_new(limits->device.max_threads, limits->device.max_spare_threads);
    session->buffers = buffer_pool_new(KEPT_BUFFERS);
    session->state.fids = fid_table_new(limits->device.max_fids);
    session->xattrs.max_count = limits->device.max_xattrs;
    session->xattrs.max_bytes = limits->device.max_xattr_bytes;
    session->locks = lock_table_new(session->state.fids, lock_limits, lock_released, session);
    session->lock_waits =
        lock_waits_new(session->locks, limits->device.max_lock_waits, limits->max_lock_wait_msec);
    session->throttle = throttle_waits_new(&options->throttle, limits->clock);
    tracers_init(&session->tracers);
    tag_table_init(&session->tags);
    g_queue_init(&session->flushes);
    session->latest_flush = g_hash_table_new(NULL, NULL);
    pthread_mutex_init(&session->state_lock, NULL);
    session->stats = stats_new();
    session->started_at = g_get_monotonic_time();
    pthread_mutex_init(&session->released_lock, NULL);
    session->released_end = &session->released;
    log_limit_init(&session->malformed_limit);
    log_limit_init(&session->reuse_limit);
    session->wake = wake;
    session->wake_context = context;
    session->reader = g_thread_self();
    init_adaptive(&session->reader_lock);
    session->n_readers = 1;
    return session;
}

void session_lock(Session *session)
{
    pthread_mutex_lock(&session->reader_lock);
}

void session_unlock(Session *session)
{
    pthread_mutex_unlock(&session->reader_lock);
}

void session_add_reader(Session *session)
{
    session->n_readers++;
}

void session_remove_reader(Session *session)
{
    session->n_readers--;
}

void session_read_beside(const Session *session)
{
    read_beside = session;
}

bool session_is_first_reader(const Session *session)
{
    return g_thread_self() == session->reader;
}

static bool is_reader(const Session *session)
{
    return session_is_first_reader(session) || read_beside == session;
}

void session_add_channel(Session *session, Channel *channel)
{
    assert(session->n_channels < SESSION_MAX_CHANNELS);
    channel->session = session;
    channel->index = session->n_channels;
    session->channels[session->n_channels++] = channel;
    session->state.msize = session_max_message(session);
}

uint32_t session_max_message(const Session *session)
{
    uint32_t max = UINT32_MAX;

    for (unsigned i = 0; i < session->n_channels; i++)
        max = MIN(max, session->channels[i]->max_message);
    return max;
}

static void wake_reader(Session *session)
{
    if (!session_is_first_reader(session))
        session->wake(session->wake_context);
}

uint32_t session_expect_reply(const Session *session, uint8_t *peeked, size_t n_peeked)
{
    ByteReader r = byte_reader(peeked, n_peeked);
    uint32_t count;
    uint8_t type;

    read_bytes(&r, sizeof(uint32_t));
    type = read_u8(&r);
    if (type != P9_TREAD && type != P9_TREADDIR)
        return 0;
    read_bytes(&r, sizeof(uint16_t) + sizeof(uint32_t) + sizeof(uint64_t));
    count = read_u32(&r);
    return (uint32_t)MIN((uint64_t)count + P9_RREAD_OVERHEAD, session->state.msize);
}

/* What a request will take in memory, from the first bytes of its message. */
static size_t estimate_charge(const Session *session, uint8_t *peeked, size_t n_peeked,
                              uint32_t size)
{
    uint32_t reply = session_expect_reply(session, peeked, n_peeked);

    return sizeof(Request) + size + MAX(reply, REPLY_ESTIMATE);
}

static bool may_use_reserve(uint8_t type, uint32_t size)
{
    bool releases = type == P9_TFLUSH || type == P9_TCLUNK || type == P9_TVERSION;

    return releases && size <= REQUEST_SMALL_MESSAGE;
}

/* What requests of this type may fill. A Tflush may wait until other requests have been taken, so
 * that some memory must always be left for those. */
static size_t limit_for_type(const Session *session, uint8_t type)
{
    size_t max = session->limits.device.max_inflight;

    return type == P9_TFLUSH ? max / 2 : max;
}

/* Counts `charge` against `limit`. Returns false when it does not fit. */
static bool charge_memory(Session *session, size_t charge, size_t limit)
{
    gsize before = (gsize)g_atomic_pointer_add(&session->inflight_bytes, (gssize)charge);

    if (before + charge <= limit)
        return true;
    g_atomic_pointer_add(&session->inflight_bytes, -(gssize)charge);
    return false;
}

/* As charge_memory(); when it does not fit, whoever frees a request will wake the reader. */
static bool charge_or_starve(Session *session, size_t charge, size_t limit)
{
    if (charge_memory(session, charge, limit))
        return true;
    g_atomic_int_set(&session->starved, 1);
    if (!charge_memory(session, charge, limit))
        return false;
    g_atomic_int_set(&session->starved, 0);
    return true;
}

static bool take_reserve(Session *session)
{
    if (g_atomic_int_add(&session->n_reserved, 1) < RESERVED_REQUESTS)
        return true;
    g_atomic_int_add(&session->n_reserved, -1);
    return false;
}

void session_uncharge(Session *session, const Request *request)
{
    if (request->reserved)
        g_atomic_int_add(&session->n_reserved, -1);
    else
        g_atomic_pointer_add(&session->inflight_bytes, -(gssize)request->charge);
    if (request->throttle.unused > 0 && throttle_waits_give_back(session->throttle, request))
        wake_reader(session);
    if (g_atomic_int_get(&session->starved) &&
        g_atomic_int_compare_and_exchange(&session->starved, 1, 0))
        wake_reader(session);
}

/* Gives `request` room for its message and one byte more, for the last string's terminator. */
static bool get_message_buffer(Request *request, uint32_t size)
{
    request->message = request->small_message;
    if (size < REQUEST_SMALL_MESSAGE)
        return true;
    request->message =
        buffer_pool_get(request->session->buffers, (size_t)size + 1, &request->message_actual);
    return request->message != NULL;
}

int64_t session_clock(Session *session)
{
    int64_t now = g_get_monotonic_time();

    if (session_is_first_reader(session))
        session->now = now;
    return now;
}

/* When a request is taken. */
static int64_t turn_time(Session *session)
{
    bool known = session_is_first_reader(session) && session->now;

    return known ? session->now : session_clock(session);
}

static Request *new_request(Session *session, Channel *channel, uint32_t size)
{
    size_t actual;
    Request *request = buffer_pool_get(session->buffers, sizeof(Request), &actual);

    if (!request)
        return NULL;
    memset(request, 0, offsetof(Request, small_message));
    request->session = session;
    request->channel = channel;
    request->size = size;
    if (!get_message_buffer(request, size)) {
        buffer_pool_put(session->buffers, request, actual);
        return NULL;
    }
    request->id = session->last_id + 1;
    __atomic_store_n(&session->last_id, request->id, __ATOMIC_RELAXED);
    request->taken_at = turn_time(session);
    request->fids = fid_table_ref(session->state.fids);
    request->msize = session->state.msize;
    request->dialect = session->state.dialect;
    return request;
}

Request *session_admit(Session *session, Channel *channel, const uint8_t *peeked, size_t n_peeked,
                       uint32_t size)
{
    uint8_t header[SESSION_PEEK_SIZE];
    bool reserved = false;
    Request *request;
    size_t charge;

    assert(n_peeked >= P9_HEADER_SIZE && n_peeked <= sizeof(header));
    memcpy(header, peeked, n_peeked);
    charge = estimate_charge(session, header, n_peeked, size);
    if (!charge_or_starve(session, charge, limit_for_type(session, header[4]))) {
        reserved = may_use_reserve(header[4], size) && take_reserve(session);
        if (!reserved) {
            limit_reached(LIMIT_REQUEST_MEMORY, session->limits.device.max_inflight);
            return NULL;
        }
    }
    request = new_request(session, channel, size);
    if (!request) {
        if (reserved)
            g_atomic_int_add(&session->n_reserved, -1);
        else
            g_atomic_pointer_add(&session->inflight_bytes, -(gssize)charge);
        return NULL;
    }
    request->reserved = reserved;
    request->charge = charge;
    memcpy(request->message, header, n_peeked);
    return request;
}

bool session_unqueue(Session *session, Request *request)
{
    if (session->throttle && throttle_waits_remove(session->throttle, request))
        return true;
    return pool_cancel(session->pool, &request->job);
}

/* Stops a request that was cancelled or abandoned. Returns it when it was still queued and is the
 * caller's to end. Called with the tag's lock held. */
static Request *take_or_interrupt(Session *session, Request *request)
{
    if (session_unqueue(session, request))
        return request;
    request_interrupt(request);
    return NULL;
}

/* Enters the request in the tag table. A client that uses a tag again has given up on the request
 * that had it: that one gets no reply any more. */
static void register_tag(Session *session, Request *request)
{
    uint16_t tag = request->t.tag;
    Request *cancelled = NULL;
    Request *old;

    tag_lock(&session->tags, tag);
    old = session->tags.slots[tag];
    if (old) {
        old->abandoned = true;
        old->registered = false;
        flush_leave_order(session, old->waiters);
        cancelled = take_or_interrupt(session, old);
    }
    tag_table_add(&session->tags, request);
    session->tags.slots[tag] = request;
    request->registered = true;
    tag_unlock(&session->tags, tag);

    if (old)
        log_limited(&session->reuse_limit, LOG_NOTICE,
                    "tag %u was used again before its request ended: that one gets no reply", tag);
    if (cancelled)
        request_cancel(cancelled);
    else if (old)
        lock_waits_poke(session->lock_waits);
}

/* The slowest storage that the request can touch. */
static FsClass storage_class(const Session *session, const Request *request)
{
    FsClass class = request->fid ? request->fid->node->class : session->fs->class;

    return request->fid2 ? MAX(class, request->fid2->node->class) : class;
}

/* True when the request may run on the reader, which must never wait. */
static bool runs_on_reader(const Session *session, const Request *request)
{
    OpPlace place = request->op->place;

    if (place == OP_READER)
        return true;
    switch (storage_class(session, request)) {
    case FS_MEMORY:
        return true;
    case FS_LOCAL:
        return place == OP_NODE || place == OP_LOOK || place == OP_TRY;
    case FS_MAPPED:
        return place == OP_NODE || place == OP_TRY;
    default:
        return false;
    }
}

static void run_on_pool(Job *job)
{
    Request *request = (Request *)job;

    if (request_enter(request))
        request_run(request);
    else
        request_cancel(request);
}

/* Runs the request on this thread, a reader. Other readers have their turns meanwhile, unless it
 * changes what is the readers'. Returns false when it would have waited. */
static bool run_at_once(Session *session, Request *request)
{
    bool is_shared = session->n_readers > 1 && request->op->place != OP_READER;
    bool has_ended;

    g_atomic_int_set(&request->state, REQUEST_RUNNING);
    request->nowait = true;
    if (is_shared)
        session_unlock(session);
    has_ended = request_run(request);
    if (!is_shared)
        return has_ended;
    session_lock(session);
    if (session_is_first_reader(session))
        session->now = 0; /* others had their turns */
    return has_ended;
}

/* Runs the request, or queues it for the pool, unless another reader has cancelled it meanwhile. */
static void run_or_queue(Session *session, Request *request)
{
    if (runs_on_reader(session, request)) {
        if (run_at_once(session, request))
            return;
        request->nowait = false;
        if (request_is_cancelled(request)) {
            request_cancel(request);
            return;
        }
    }
    g_atomic_int_set(&request->state, REQUEST_QUEUED);
    session->left_some = true;
    request->job.run = run_on_pool;
    pool_submit(session->pool, &request->job);
}

/* Runs those whose turn it is. */
static void release_throttled(Session *session)
{
    Request *request;

    while ((request = throttle_waits_next(session->throttle)))
        run_or_queue(session, request);
}

/* Runs a request when the export's limits allow it, which may be at once. */
static void run_throttled(Session *session, Request *request)
{
    g_atomic_int_set(&request->state, REQUEST_QUEUED);
    throttle_waits_add(session->throttle, request);
    release_throttled(session);
}

static uint32_t second_fid(const Tmessage *t)
{
    switch (t->type) {
    case P9_TLINK:
        return t->link.fid;
    case P9_TRENAME:
        return t->rename.dfid;
    default:
        return t->renameat.new_dfid;
    }
}

/* Looks up the fids that the message names. */
static int find_fids(Request *request)
{
    unsigned n = request->op->n_fids;

    if (n > 0)
        request->fid = fid_table_get(request->fids, request->t.fid);
    if (n > 1)
        request->fid2 = fid_table_get(request->fids, second_fid(&request->t));
    return (n > 0 && !request->fid) || (n > 1 && !request->fid2) ? -ENOENT : 0;
}

/* A fid that stands for an extended attribute is good for few things. */
static int check_xattr_fids(const Request *request)
{
    bool any = (request->fid && request->fid->xattr) || (request->fid2 && request->fid2->xattr);

    switch (request->t.type) {
    case P9_TREAD:
    case P9_TWRITE:
    case P9_TCLUNK:
    case P9_TREMOVE:
        return 0;
    default:
        return any ? -EBADF : 0;
    }
}

/* 9P2000 has its own messages only. The others have all: what belongs to one of them means the same
 * in the other, and a client that sends it wants it done. */
static bool dialect_has(Dialect dialect, uint8_t type)
{
    return dialect != DIALECT_9P2000 || type >= P9_TVERSION;
}

static void log_malformed(Session *session, const Request *request)
{
    const LogFields fields = {.operation = tmessage_name(request->t.type), .error = EINVAL};

    log_fields(&session->malformed_limit, LOG_WARNING, &fields, "malformed %s of %u bytes, tag %u",
               fields.operation, request->size, request->t.tag);
}

/* Says why a request cannot be run at all, or 0. */
static int check_request(Session *session, Request *request, int decode_error)
{
    int error;

    if (decode_error == -EINVAL)
        log_malformed(session, request);
    if (decode_error)
        return decode_error;
    if (!request->op || !dialect_has(request->dialect, request->t.type))
        return -EOPNOTSUPP;
    if (request->t.type == P9_TVERSION)
        return 0;
    if (request->dialect == DIALECT_NONE)
        return -EPROTO;
    if (request->size > request->msize)
        return -EMSGSIZE;
    error = find_fids(request);
    return error ? error : check_xattr_fids(request);
}

void session_take(Session *session, Request *request)
{
    int error = tmessage_decode(&request->t, request->dialect, request->message, request->size);

    request->op = error ? NULL : op_for_type(request->t.type);
    event_request(request);
    register_tag(session, request);
    if (session->n_flushes_taking > 0 && flush_discards(session, request))
        return;
    flush_begin_tag(session, request->t.tag);
    error = check_request(session, request, error);
    if (error)
        request_respond(request, error);
    else if (session->throttle && throttle_waits_concern(request))
        run_throttled(session, request);
    else
        run_or_queue(session, request);
}

static uint64_t count_in_flight(const Session *session)
{
    return session->last_id - stats_n_ended(session->stats);
}

bool session_is_idle(const Session *session)
{
    return count_in_flight(session) == 0;
}

/* Notes how many requests are left when a turn of the reader ends. */
static void note_in_flight(Session *session)
{
    uint64_t in_flight = count_in_flight(session);

    if (in_flight > session->most_in_flight)
        __atomic_store_n(&session->most_in_flight, in_flight, __ATOMIC_RELAXED);
    session->left_some = false;
}

bool session_tend(Session *session)
{
    bool waiting;

    if (session->throttle)
        release_throttled(session);
    waiting = flush_tend(session);
    if (session->pool)
        waiting = pool_tend(session->pool) || waiting;
    if (session->left_some)
        note_in_flight(session);
    if (session_is_first_reader(session))
        session->now = 0;
    return waiting;
}

int session_timeout(Session *session)
{
    int64_t usec = session->throttle ? throttle_waits_delay(session->throttle) : -1;

    if (usec <= 0)
        return (int)usec;
    return (int)MIN(usec / 1000 + 1, INT_MAX);
}

void session_release_waiters(Session *session, Request *waiters)
{
    pthread_mutex_lock(&session->released_lock);
    *session->released_end = waiters;
    while (*session->released_end)
        session->released_end = &(*session->released_end)->next_waiter;
    pthread_mutex_unlock(&session->released_lock);
    wake_reader(session);
}

/*
 * Letting go
 */

/* What must not be let go of here, on its way to the pool: a fid or a table. */
typedef struct Drop {
    Job job;
    Fid *fid;
    FidTable *table;
} Drop;

static void run_drop(Job *job)
{
    Drop *drop = (Drop *)job;

    fid_unref(drop->fid);
    if (drop->table)
        fid_table_unref(drop->table);
    g_free(drop);
}

static void submit_drop(Session *session, Fid *fid, FidTable *table)
{
    Drop *drop = g_new0(Drop, 1);

    drop->job.run = run_drop;
    drop->fid = fid;
    drop->table = table;
    pool_submit(session->pool, &drop->job);
}

void session_drop_table(Session *session, FidTable *table)
{
    submit_drop(session, NULL, table);
}

/* True when letting go of `fid` may keep this thread, a reader, waiting. The readers own
 * session->pool, which is gone at the end. */
static bool drop_may_wait(const Session *session, const Fid *fid)
{
    return fid->node->class == FS_REMOTE && is_reader(session) && session->pool;
}

void session_drop_fid(Session *session, Fid *fid)
{
    if (fid && drop_may_wait(session, fid))
        submit_drop(session, fid, NULL);
    else
        fid_unref(fid);
}

/* Lets go of all fids of a conversation that is over. */
static void drop_all_fids(Session *session, FidTable *table)
{
    g_autoptr(GPtrArray) fids = fid_table_take_all(table);

    for (unsigned i = 0; i < fids->len; i++)
        session_drop_fid(session, g_ptr_array_index(fids, i));
    fid_table_unref(table);
}

/*
 * Beginning anew and ending
 */

/* Takes the requests with tags of one group out of the conversation, but for `keep`. Returns those
 * that are the caller's to end, by `next`. */
static Request *abandon_group(Session *session, uint16_t group, const Request *keep)
{
    Request *cancelled = NULL;

    tag_lock(&session->tags, group);
    for (Request *r = session->tags.newest[group]; r; r = r->older) {
        if (r == keep || r->abandoned)
            continue;
        r->abandoned = true;
        r->registered = false;
        session->tags.slots[r->t.tag] = NULL;
        if (take_or_interrupt(session, r)) {
            r->next = cancelled;
            cancelled = r;
        }
    }
    tag_unlock(&session->tags, group);
    return cancelled;
}

/* Nothing of the conversation so far is published after this. */
static void finish_publishing(Session *session)
{
    for (unsigned i = 0; i < session->n_channels; i++) {
        Channel *channel = session->channels[i];

        if (channel->ops->finish_publishing)
            channel->ops->finish_publishing(channel);
    }
}

void session_reset(Session *session, Request *keep)
{
    FidTable *old = session->state.fids;

    for (uint16_t group = 0; group < TAG_LOCKS; group++) {
        Request *next;

        for (Request *r = abandon_group(session, group, keep); r; r = next) {
            next = r->next;
            request_finish(r);
        }
    }
    finish_publishing(session);
    flush_forget_all(session);
    pthread_mutex_lock(&session->state_lock);
    session->state.fids = fid_table_new(session->limits.device.max_fids);
    pthread_mutex_unlock(&session->state_lock);
    lock_table_reset(session->locks, session->state.fids);
    drop_all_fids(session, old);
    session_agree(session, DIALECT_NONE, session_max_message(session));
}

void session_agree(Session *session, Dialect dialect, uint32_t msize)
{
    pthread_mutex_lock(&session->state_lock);
    session->state.dialect = dialect;
    session->state.msize = msize;
    pthread_mutex_unlock(&session->state_lock);
}

typedef struct Rest {
    Job job;
    Fs *fs;
} Rest;

static void run_rest(Job *job)
{
    Rest *rest = (Rest *)job;

    rest->fs->ops->rest(rest->fs, false);
    g_free(rest);
}

void session_rest(Session *session)
{
    Fs *fs = session->fs;
    Rest *rest;

    if (!fs->ops->rest || fs->ops->rest(fs, true) != -EAGAIN)
        return;
    rest = g_new0(Rest, 1);
    rest->job.run = run_rest;
    rest->fs = fs;
    pool_submit(session->pool, &rest->job);
}

void session_stop(Session *session)
{
    session_reset(session, NULL);
    if (session->fs->ops->stop)
        session->fs->ops->stop(session->fs);
    pool_free(session->pool);
    session->pool = NULL;
    lock_waits_free(session->lock_waits);
    session->lock_waits = NULL;
    flush_tend(session);
}

void session_free(Session *session)
{
    flush_tend(session); /* the channels may have let go of requests that a Tflush waited for */
    g_hash_table_unref(session->latest_flush);
    fid_table_unref(session->state.fids);
    lock_table_free(session->locks);
    throttle_waits_free(session->throttle);
    tag_table_deinit(&session->tags);
    tracers_deinit(&session->tracers);
    buffer_pool_free(session->buffers);
    stats_free(session->stats);
    pthread_mutex_destroy(&session->state_lock);
    pthread_mutex_destroy(&session->reader_lock);
    pthread_mutex_destroy(&session->released_lock);
    log_limit_deinit(&session->malformed_limit);
    log_limit_deinit(&session->reuse_limit);
    g_free(session);
}
