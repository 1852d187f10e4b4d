/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: see ring.h.
 *
 * Barriers, and what they pair with in the frontend:
 *   load-acquire out_prod    its write barrier between a request's bytes and out_prod
 *   store-release out_cons   its read of out_cons before it overwrites the space
 *   load-acquire in_cons     its barrier between reading a reply and in_cons
 *   store-release in_prod    its read barrier between in_prod and a reply's bytes
 *
 * A reply goes pending -> reserved -> published. Space is reserved in the order of completion and
 * filled without a lock; in_prod moves over a reply when all before it are filled too.
 */
#include "xen-9pfs/ring.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/io/9pfs.h>
#include <xen/xen.h>

#include "protocol/events.h"

enum {
    PAGE_BYTES = 1 << XEN_PAGE_SHIFT,
    MAX_PAGES = 1 << RING_MAX_ORDER,
    MUCH_UNANNOUNCED = 64 * 1024, /* bytes: to take them is work that the frontend can begin with */
    LARGE_REPLY = 32 * 1024,      /* bytes: not to copy them is worth waiting for */
    LATE_TURNS = 16, /* in which the first reply is not announced, when that has not helped */
};

typedef struct xen_9pfs_data_intf Shared;

G_STATIC_ASSERT(offsetof(Shared, ref) == 132);
G_STATIC_ASSERT(offsetof(Shared, ref) + MAX_PAGES * sizeof(grant_ref_t) <= PAGE_BYTES);

/* A queue of requests by their `next`, oldest first. */
typedef struct ReplyQueue {
    Request *head;
    Request **end;
} ReplyQueue;

struct Ring {
    Channel channel; /* first: a Channel is its Ring */
    RingPeer peer;
    evtchn_port_t port; /* ours */
    GThread *reader;    /* atomic */
    Shared *shared;
    uint8_t *data;
    uint32_t n_pages;
    uint32_t size; /* of each half; a power of two */
    const uint8_t *out;
    uint8_t *in;
    const char *broken; /* atomic: what the frontend did wrong, a static text */

    /* Written by the reader only, and by it without a lock. */
    uint32_t out_cons;
    uint64_t n_requests;

    uint64_t n_wakeups; /* written by who receives events */

    uint64_t n_notified; /* atomic */

    /* Reader only. */
    uint32_t out_seen;   /* what out_prod was when ring_take() last looked, */
    uint32_t cons_seen;  /* and in_cons, */
    bool waits_for_room; /* because a reply waits, or a request for it */
    size_t turn_bytes;   /* what the requests that were taken in this turn may move */
    int64_t left_since;  /* monotonic microseconds: see is_left(); 0: no request is */
    bool in_vain;        /* one was, until in_cons had been the same for long enough: */
    uint32_t vain_cons;
    bool notify;          /* the frontend is to be told of something */
    uint32_t unannounced; /* bytes of replies that it has not been told of */
    unsigned late_turns;  /* see announce_first() */

    pthread_mutex_t lock; /* guards: */
    uint32_t in_prod;     /* published */
    uint32_t in_reserved; /* published and reserved */
    ReplyQueue pending;   /* wait for room */
    uint32_t awaited;     /* room that a request waits for in the ring; 0: none does */
    const void *stalled; /* what waited for room, when that was last looked at; see trace_stall() */
    uint32_t in_high;    /* the most that was published or reserved and not consumed */
    uint64_t n_replies;
    uint64_t n_stalls;
    uint64_t stalled_usec;   /* in all, */
    int64_t stalled_since;   /* and since when; 0: no reply waits for room */
    ReplyQueue reserved;     /* have room and are being copied */
    const Request *in_place; /* is written where its reply will be: none gets room meanwhile */
    bool closed;
};

static const ChannelOps ring_ops;
static uint32_t ring_in_published(Channel *channel);
static bool ring_in_consumed(Channel *channel, uint32_t position);
static bool is_left(Ring *ring, uint32_t reply_size);

static void queue_init(ReplyQueue *queue)
{
    queue->head = NULL;
    queue->end = &queue->head;
}

static void queue_push(ReplyQueue *queue, Request *request)
{
    request->next = NULL;
    *queue->end = request;
    queue->end = &request->next;
}

static void queue_push_first(ReplyQueue *queue, Request *request)
{
    request->next = queue->head;
    queue->head = request;
    if (!request->next)
        queue->end = &request->next;
}

static Request *queue_pop(ReplyQueue *queue)
{
    Request *request = queue->head;

    queue->head = request->next;
    if (!queue->head)
        queue->end = &queue->head;
    return request;
}

static void finish_all(ReplyQueue *queue)
{
    while (queue->head)
        request_finish(queue_pop(queue));
}

/*
 * Mapping
 */

/* The keeper (protocol/keeper.h), which is started later, has nothing to do with a guest's memory. */
static void keep_to_this_process(void *pages, size_t size)
{
    if (madvise(pages, size, MADV_DONTFORK) != 0)
        log_debug("a ring stays mapped in the keeper: %s", g_strerror(errno));
}

/* Maps the data pages that the interface page names. */
static char *map_data(Ring *ring)
{
    uint32_t order = *(volatile uint32_t *)&ring->shared->ring_order;
    uint32_t refs[MAX_PAGES];

    if (order < RING_MIN_ORDER || order > RING_MAX_ORDER)
        return g_strdup_printf("ring order %u is not one of %d ... %d", order, RING_MIN_ORDER,
                               RING_MAX_ORDER);
    ring->n_pages = 1u << order;
    for (uint32_t i = 0; i < ring->n_pages; i++)
        refs[i] = *(volatile grant_ref_t *)&ring->shared->ref[i];
    ring->data = xengnttab_map_domain_grant_refs(ring->peer.gnttab, ring->n_pages, ring->peer.domid,
                                                 refs, PROT_READ | PROT_WRITE);
    if (!ring->data)
        return g_strdup_printf("cannot map the %u pages of a ring: %s", ring->n_pages,
                               g_strerror(errno));
    keep_to_this_process(ring->data, ring->n_pages * PAGE_BYTES);
    ring->size = ring->n_pages * PAGE_BYTES / 2;
    ring->in = ring->data;
    ring->out = ring->data + ring->size;
    return NULL;
}

static char *map_interface(Ring *ring)
{
    ring->shared = xengnttab_map_grant_ref(ring->peer.gnttab, ring->peer.domid, ring->peer.ref,
                                           PROT_READ | PROT_WRITE);
    if (!ring->shared)
        return g_strdup_printf("cannot map the interface page, grant reference %u: %s",
                               ring->peer.ref, g_strerror(errno));
    keep_to_this_process(ring->shared, PAGE_BYTES);
    return NULL;
}

static char *bind_port(Ring *ring)
{
    int port = xenevtchn_bind_interdomain(ring->peer.evtchn, ring->peer.domid, ring->peer.port);

    if (port < 0)
        return g_strdup_printf("cannot bind event channel %u: %s", ring->peer.port,
                               g_strerror(errno));
    ring->port = (evtchn_port_t)port;
    return NULL;
}

/* Takes over the indices where the page says they are: 0 in a new ring. */
static void start_indices(Ring *ring)
{
    ring->out_cons = __atomic_load_n(&ring->shared->out_cons, __ATOMIC_ACQUIRE);
    ring->out_seen = ring->out_cons;
    ring->in_prod = __atomic_load_n(&ring->shared->in_prod, __ATOMIC_ACQUIRE);
    ring->in_reserved = ring->in_prod;
}

Ring *ring_new(const RingPeer *peer, char **why)
{
    Ring *ring = g_new0(Ring, 1);

    ring->channel.ops = &ring_ops;
    ring->peer = *peer;
    ring->port = (evtchn_port_t)-1;
    ring_set_reader(ring, g_thread_self());
    pthread_mutex_init(&ring->lock, NULL);
    queue_init(&ring->pending);
    queue_init(&ring->reserved);
    *why = map_interface(ring);
    if (!*why)
        *why = map_data(ring);
    if (!*why)
        *why = bind_port(ring);
    if (*why) {
        ring_free(ring);
        return NULL;
    }
    start_indices(ring);
    ring->channel.max_message = ring->size;
    return ring;
}

void ring_free(Ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->closed = true;
    pthread_mutex_unlock(&ring->lock);
    finish_all(&ring->pending);
    assert(!ring->reserved.head);
    if (ring->port != (evtchn_port_t)-1)
        xenevtchn_unbind(ring->peer.evtchn, ring->port);
    if (ring->data)
        xengnttab_unmap(ring->peer.gnttab, ring->data, ring->n_pages);
    if (ring->shared)
        xengnttab_unmap(ring->peer.gnttab, ring->shared, 1);
    pthread_mutex_destroy(&ring->lock);
    g_free(ring);
}

Channel *ring_channel(Ring *ring)
{
    return &ring->channel;
}

void ring_set_reader(Ring *ring, GThread *reader)
{
    g_atomic_pointer_set(&ring->reader, reader);
}

unsigned ring_order(const Ring *ring)
{
    return (unsigned)__builtin_ctz(ring->n_pages);
}

evtchn_port_t ring_port(const Ring *ring)
{
    return ring->port;
}

static void set_broken(Ring *ring, const char *what)
{
    __atomic_store_n(&ring->broken, what, __ATOMIC_RELEASE);
}

const char *ring_broken(const Ring *ring)
{
    return __atomic_load_n(&ring->broken, __ATOMIC_ACQUIRE);
}

/*
 * Announcements
 */

static void notify_frontend(Ring *ring)
{
    __atomic_fetch_add(&ring->n_notified, 1, __ATOMIC_RELAXED);
    xenevtchn_notify(ring->peer.evtchn, ring->port);
}

void ring_notify(Ring *ring)
{
    if (!ring->notify)
        return;
    ring->notify = false;
    ring->unannounced = 0;
    notify_frontend(ring);
}

/* The reader has published `bytes` of replies, or has made so much room. The frontend is told at the end
 * of the reader's turn, of everything at once, but sooner of much. */
static void announce_later(Ring *ring, uint32_t bytes)
{
    ring->notify = true;
    ring->unannounced += bytes;
    if (ring->unannounced >= MUCH_UNANNOUNCED)
        ring_notify(ring);
}

/*
 * Requests: the out half
 */

static uint32_t load_in_cons(const Ring *ring)
{
    return __atomic_load_n(&ring->shared->in_cons, __ATOMIC_ACQUIRE);
}

/* Copies `size` bytes at index `position` out of the ring. */
static void copy_out(const Ring *ring, uint32_t position, void *to, uint32_t size)
{
    uint32_t at = position & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - at);

    memcpy(to, ring->out + at, first);
    memcpy((uint8_t *)to + first, ring->out, size - first);
}

/* How many bytes the frontend has published and we have not taken. 0 also when that is nonsense. */
static uint32_t bytes_published(Ring *ring)
{
    uint32_t prod = __atomic_load_n(&ring->shared->out_prod, __ATOMIC_ACQUIRE);
    uint32_t bytes = prod - ring->out_cons;

    if (bytes > ring->size) {
        set_broken(ring, "the frontend's out_prod is further ahead than the ring is large");
        return 0;
    }
    return bytes;
}

/* The size of the message whose header is at `peeked`, or 0 when `available` bytes do not hold all
 * of it. */
static uint32_t complete_size(Ring *ring, uint8_t *peeked, uint32_t available)
{
    ByteReader r = byte_reader(peeked, sizeof(uint32_t));
    uint32_t size = read_u32(&r);

    if (size < P9_HEADER_SIZE || size > ring->size) {
        set_broken(ring, "a message is smaller than its header or larger than the ring");
        return 0;
    }
    return size <= available ? size : 0;
}

/* Gives `size` bytes back to the frontend. It is told when it may be waiting for them: when there was no
 * room for another message of the largest size. */
static void release_out(Ring *ring, uint32_t size, uint32_t available)
{
    bool may_wait = ring->size - available < ring->channel.session->state.msize;

    __atomic_store_n(&ring->out_cons, ring->out_cons + size, __ATOMIC_RELAXED);
    __atomic_store_n(&ring->shared->out_cons, ring->out_cons, __ATOMIC_RELEASE);
    if (may_wait)
        announce_later(ring, size);
}

/* Takes the next request when `available` bytes hold all of it. Returns how many bytes it took. */
static uint32_t take_one(Ring *ring, uint32_t available, bool *stalled)
{
    uint8_t peeked[SESSION_PEEK_SIZE];
    uint32_t n_peeked = MIN(available, (uint32_t)sizeof(peeked));
    Request *request;
    uint32_t size;

    if (available < P9_HEADER_SIZE)
        return 0;
    copy_out(ring, ring->out_cons, peeked, n_peeked);
    size = complete_size(ring, peeked, available);
    if (size == 0)
        return 0;
    n_peeked = MIN(n_peeked, size);
    if (is_left(ring, session_expect_reply(ring->channel.session, peeked, n_peeked)))
        return 0;
    request = session_admit(ring->channel.session, &ring->channel, peeked, n_peeked, size);
    if (!request) {
        *stalled = true;
        return 0;
    }
    ring->turn_bytes += request->charge;
    copy_out(ring, ring->out_cons + n_peeked, request->message + n_peeked, size - n_peeked);
    release_out(ring, size, available);
    session_take(ring->channel.session, request);
    return size;
}

/* Adds to what others only read. */
static void add_to(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static bool is_consumed(Ring *ring)
{
    return ring_in_consumed(&ring->channel, ring_in_published(&ring->channel));
}

/* Tells the frontend of the first reply of a turn when others follow: it wakes up while we make those.
 * Where it takes that one reply before we can go on, it has our CPU or is awake, and this only costs
 * time. */
static void announce_first(Ring *ring)
{
    if (ring->late_turns > 0) {
        ring->late_turns--;
        return;
    }
    ring_notify(ring);
    if (is_consumed(ring))
        ring->late_turns = LATE_TURNS;
}

unsigned ring_take(Ring *ring, unsigned budget, bool *stalled)
{
    uint32_t available = 0;
    unsigned taken = 0;

    ring->turn_bytes = 0;
    ring->cons_seen = load_in_cons(ring);
    while (taken < budget && ring->turn_bytes < RING_TAKE_BYTES && !ring_broken(ring)) {
        uint32_t size;

        if (available < P9_HEADER_SIZE) {
            available = bytes_published(ring);
            ring->out_seen = ring->out_cons + available;
        }
        size = take_one(ring, available, stalled);
        if (size == 0)
            break;
        available -= size;
        if (taken++ == 0 && available >= P9_HEADER_SIZE)
            announce_first(ring);
    }
    add_to(&ring->n_requests, taken);
    return taken;
}

bool ring_has_work(Ring *ring)
{
    uint32_t bytes = bytes_published(ring);

    if (ring->waits_for_room && load_in_cons(ring) != ring->cons_seen)
        return true;
    return bytes >= P9_HEADER_SIZE && ring->out_cons + bytes != ring->out_seen;
}

/*
 * Replies: the in half
 */

static void copy_in(Ring *ring, uint32_t position, const void *from, uint32_t size)
{
    uint32_t at = position & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - at);

    memcpy(ring->in + at, from, first);
    memcpy(ring->in, (const uint8_t *)from + first, size - first);
}

/* How many bytes of the in half are neither reserved nor waiting to be consumed. Called with the
 * lock held. */
static uint32_t free_space(Ring *ring)
{
    uint32_t cons = load_in_cons(ring);

    if (ring->in_prod - cons > ring->size) {
        set_broken(ring, "the frontend's in_cons is not within what was published");
        return 0;
    }
    return ring->size - (ring->in_reserved - cons);
}

/* Replies begin to wait for room, or none does any more. Called with the lock held. */
static void count_stalled_time(Ring *ring)
{
    int64_t now = g_get_monotonic_time();

    if (ring->stalled)
        ring->stalled_usec += (uint64_t)(now - ring->stalled_since);
    ring->stalled_since = ring->stalled ? 0 : now;
}

/* Tells of a reply that begins to wait for room, made or not. Called with the lock held. */
static void trace_stall(Ring *ring)
{
    const Request *reply = ring->pending.head;
    const void *waits = ring->awaited > 0 ? &ring->awaited : NULL;

    if (reply && ring->in_place)
        return; /* they wait for that, not for room */
    if (reply)
        waits = reply;
    if (waits && waits != ring->stalled) {
        ring->n_stalls++;
        event_ring_stall(ring->channel.session, ring->channel.index,
                         reply ? request_reply_size(reply) : ring->awaited);
    }
    if (!waits != !ring->stalled)
        count_stalled_time(ring);
    ring->stalled = waits;
}

/* Reserves room for pending replies as long as it lasts. Returns how many, the first in *first;
 * those that must not be sent any more go to `dropped`. Called with the lock held. */
static unsigned reserve_replies(Ring *ring, Request **first, ReplyQueue *dropped)
{
    unsigned n = 0;
    bool may_send = ring->pending.head && !ring->closed && !ring->in_place;
    uint32_t room = may_send ? free_space(ring) : 0;

    while (ring->pending.head && request_reply_size(ring->pending.head) <= room) {
        Request *request = queue_pop(&ring->pending);
        uint32_t size = request_reply_size(request);

        if (!request_retire(request)) {
            queue_push(dropped, request);
            continue;
        }
        request->position = ring->in_reserved;
        request->copied = false;
        ring->in_reserved += size;
        room -= size;
        queue_push(&ring->reserved, request);
        if (n++ == 0)
            *first = request;
    }
    if (n > 0)
        ring->in_high = MAX(ring->in_high, ring->size - room);
    trace_stall(ring);
    return n;
}

/* Marks the `n` replies from `first` as copied and publishes all that have nothing uncopied before
 * them; these go to `published`. Returns how many bytes they have. Called with the lock held. */
static uint32_t publish_replies(Ring *ring, Request *first, unsigned n, ReplyQueue *published)
{
    uint32_t before = ring->in_prod;
    uint32_t bytes;

    for (; n > 0; n--, first = first->next)
        first->copied = true;
    while (ring->reserved.head && ring->reserved.head->copied) {
        Request *request = queue_pop(&ring->reserved);
        ring->in_prod += request_reply_size(request);
        ring->n_replies++;
        queue_push(published, request);
    }
    bytes = ring->in_prod - before;
    if (bytes > 0)
        __atomic_store_n(&ring->shared->in_prod, ring->in_prod, __ATOMIC_RELEASE);
    return bytes;
}

/* Copies the `n` replies from `first` into the room that they have, but for what is there already. */
static void copy_replies(Ring *ring, Request *first, unsigned n)
{
    for (Request *r = first; n > 0; n--) {
        copy_in(ring, r->position, r->reply.start, (uint32_t)r->reply.used);
        if (n > 1)
            r = r->next; /* the last one's `next` may be changing */
    }
}

/* Publishes pending replies as long as there is room. Called with the lock held, which it gives up. */
static void pump_and_unlock(Ring *ring)
{
    ReplyQueue published, dropped;
    Request *first = NULL;
    uint32_t bytes = 0;
    unsigned n;

    queue_init(&published);
    queue_init(&dropped);
    while ((n = reserve_replies(ring, &first, &dropped)) > 0) {
        pthread_mutex_unlock(&ring->lock);
        copy_replies(ring, first, n);
        pthread_mutex_lock(&ring->lock);
        bytes += publish_replies(ring, first, n, &published);
    }
    pthread_mutex_unlock(&ring->lock);
    finish_all(&published);
    finish_all(&dropped);
    if (bytes == 0)
        return;
    if (g_thread_self() == g_atomic_pointer_get(&ring->reader))
        announce_later(ring, bytes);
    else
        notify_frontend(ring);
}

static void ring_send(Channel *channel, Request *request)
{
    Ring *ring = (Ring *)channel;

    pthread_mutex_lock(&ring->lock);
    if (ring->in_place == request) {
        ring->in_place = NULL;
        queue_push_first(&ring->pending, request); /* the room behind is its own */
    } else {
        queue_push(&ring->pending, request);
    }
    pump_and_unlock(ring);
}

/*
 * Requests for much data: see ring_take()
 */

/* Whether the frontend can be expected to make room soon: not when it has been waited for in vain and has
 * taken nothing since. */
static bool has_patience(Ring *ring)
{
    int64_t now = ring->channel.session->limits.clock();

    if (ring->in_vain && ring->vain_cons == ring->cons_seen)
        return false;
    if (ring->left_since == 0)
        ring->left_since = now;
    ring->in_vain = now - ring->left_since >= RING_PATIENCE_USEC;
    ring->vain_cons = ring->cons_seen;
    return !ring->in_vain;
}

/* How much room a request whose reply may have `reply_size` bytes is left in the ring for; 0: it is taken.
 * Called with the lock held. */
static uint32_t room_to_await(Ring *ring, uint32_t reply_size)
{
    bool has_room = !ring->pending.head && free_space(ring) >= reply_size;

    if (reply_size >= LARGE_REPLY && !has_room && has_patience(ring))
        return reply_size;
    ring->left_since = 0;
    return 0;
}

static bool is_left(Ring *ring, uint32_t reply_size)
{
    bool waits;

    if (reply_size < LARGE_REPLY && ring->left_since == 0)
        return false;
    pthread_mutex_lock(&ring->lock);
    ring->awaited = room_to_await(ring, reply_size);
    waits = ring->awaited > 0;
    trace_stall(ring);
    pthread_mutex_unlock(&ring->lock);
    return waits;
}

/*
 * Replies in place
 */

static bool take_place(Ring *ring, const Request *request, uint32_t size, uint32_t *position)
{
    bool is_free;

    pthread_mutex_lock(&ring->lock);
    is_free = !ring->pending.head && !ring->in_place && !ring->closed && free_space(ring) >= size;
    if (is_free)
        ring->in_place = request;
    *position = ring->in_reserved;
    pthread_mutex_unlock(&ring->lock);
    return is_free;
}

static bool ring_begin_in_place(Channel *channel, Request *request, uint32_t size,
                                struct iovec place[2])
{
    Ring *ring = (Ring *)channel;
    uint32_t data_size = size - P9_RREAD_OVERHEAD;
    uint32_t position, at, first;

    if (!take_place(ring, request, size, &position))
        return false;
    at = (position + P9_RREAD_OVERHEAD) & (ring->size - 1);
    first = MIN(data_size, ring->size - at);
    place[0] = (struct iovec){.iov_base = ring->in + at, .iov_len = first};
    place[1] = (struct iovec){.iov_base = ring->in, .iov_len = data_size - first};
    return true;
}

static void ring_end_in_place(Channel *channel, Request *request)
{
    Ring *ring = (Ring *)channel;

    pthread_mutex_lock(&ring->lock);
    assert(ring->in_place == request);
    ring->in_place = NULL;
    pump_and_unlock(ring);
}

bool ring_pump(Ring *ring)
{
    bool waiting;

    pthread_mutex_lock(&ring->lock);
    if (ring->pending.head) {
        pump_and_unlock(ring);
        pthread_mutex_lock(&ring->lock);
    }
    waiting = ring->pending.head || ring->awaited > 0;
    pthread_mutex_unlock(&ring->lock);
    ring->waits_for_room = waiting;
    return waiting;
}

/*
 * Statistics
 */

void ring_count_wakeup(Ring *ring)
{
    add_to(&ring->n_wakeups, 1);
}

/* How far the frontend's index is ahead or behind, which is nonsense beyond the ring's size. */
static uint32_t distance(const Ring *ring, uint32_t ahead, uint32_t behind)
{
    return MIN(ahead - behind, ring->size);
}

RingStats ring_stats(Ring *ring)
{
    const Shared *shared = ring->shared;
    RingStats stats = {
        .order = ring_order(ring),
        .size = ring->size,
        .requests = __atomic_load_n(&ring->n_requests, __ATOMIC_RELAXED),
        .notifications = __atomic_load_n(&ring->n_notified, __ATOMIC_RELAXED),
        .wakeups = __atomic_load_n(&ring->n_wakeups, __ATOMIC_RELAXED),
    };

    stats.out_used = distance(ring, __atomic_load_n(&shared->out_prod, __ATOMIC_RELAXED),
                              __atomic_load_n(&ring->out_cons, __ATOMIC_RELAXED));
    pthread_mutex_lock(&ring->lock);
    stats.in_used =
        distance(ring, ring->in_prod, __atomic_load_n(&shared->in_cons, __ATOMIC_RELAXED));
    stats.in_high = ring->in_high;
    stats.replies = ring->n_replies;
    stats.stalls = ring->n_stalls;
    stats.stalled_usec = ring->stalled_usec;
    if (ring->stalled)
        stats.stalled_usec += (uint64_t)(g_get_monotonic_time() - ring->stalled_since);
    pthread_mutex_unlock(&ring->lock);
    return stats;
}

/*
 * Positions, for Tflush across rings
 */

static uint32_t ring_out_published(Channel *channel)
{
    Ring *ring = (Ring *)channel;

    return ring->out_cons + bytes_published(ring);
}

/* What is left behind the last complete request was not published whole: it does not count. */
static bool ring_out_taken(Channel *channel, uint32_t position)
{
    Ring *ring = (Ring *)channel;
    uint32_t left = position - ring->out_cons;
    uint8_t header[P9_HEADER_SIZE];
    ByteReader r = byte_reader(header, sizeof(uint32_t));

    if ((int32_t)left < P9_HEADER_SIZE)
        return true;
    copy_out(ring, ring->out_cons, header, sizeof(header));
    return read_u32(&r) > left;
}

static uint32_t ring_out_position(Channel *channel)
{
    return ((Ring *)channel)->out_cons;
}

static uint32_t ring_in_published(Channel *channel)
{
    Ring *ring = (Ring *)channel;
    uint32_t position;

    pthread_mutex_lock(&ring->lock);
    position = ring->in_reserved;
    pthread_mutex_unlock(&ring->lock);
    return position;
}

static void ring_finish_publishing(Channel *channel)
{
    Ring *ring = (Ring *)channel;

    pthread_mutex_lock(&ring->lock);
    while (ring->reserved.head) {
        pthread_mutex_unlock(&ring->lock);
        sched_yield();
        pthread_mutex_lock(&ring->lock);
    }
    pthread_mutex_unlock(&ring->lock);
}

static bool ring_in_consumed(Channel *channel, uint32_t position)
{
    Ring *ring = (Ring *)channel;

    return (int32_t)(load_in_cons(ring) - position) >= 0;
}

static const ChannelOps ring_ops = {
    .send = ring_send,
    .begin_in_place = ring_begin_in_place,
    .end_in_place = ring_end_in_place,
    .out_published = ring_out_published,
    .out_taken = ring_out_taken,
    .out_position = ring_out_position,
    .in_published = ring_in_published,
    .finish_publishing = ring_finish_publishing,
    .in_consumed = ring_in_consumed,
};
