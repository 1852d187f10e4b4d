/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Load: see load.h. */
#include "tests/bench/load.h"

#include <string.h>
#include <time.h>

#include "tests/bench/pattern.h"

enum { DATA_HEADER = P9_HEADER + 4 };

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

Load *load_new(Frontend *frontend)
{
    Load *load = g_new0(Load, 1);

    load->frontend = frontend;
    load->random = 88172645463325252;
    load->data = g_malloc(LOAD_DATA_MAX);
    for (unsigned i = 0; i < G_N_ELEMENTS(load->slots); i++)
        load->slots[i].request = g_byte_array_sized_new(LOAD_REQUEST_MAX);
    g_queue_init(&load->waiting[0]);
    g_queue_init(&load->waiting[1]);
    return load;
}

void load_free(Load *load)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(load->slots); i++)
        g_byte_array_unref(load->slots[i].request);
    g_free(load->data);
    g_free(load);
}

bool load_fail(Load *load, const char *failure, uint32_t error)
{
    if (!load->failure) {
        load->failure = failure;
        load->failure_error = error;
    }
    return false;
}

uint64_t load_random(Load *load, uint64_t limit)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random % limit;
}

/*
 * Messages
 */

static void put(Slot *slot, const void *bytes, unsigned size)
{
    g_byte_array_append(slot->request, bytes, size);
}

void slot_begin(Slot *slot, uint8_t type)
{
    g_byte_array_set_size(slot->request, 0);
    slot->payload_size = 0;
    slot->is_file = false;
    slot_put32(slot, 0);
    slot_put8(slot, type);
    slot_put16(slot, slot->tag);
}

void slot_put8(Slot *slot, uint8_t value)
{
    put(slot, &value, sizeof(value));
}

void slot_put16(Slot *slot, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    put(slot, &value, sizeof(value));
}

void slot_put32(Slot *slot, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    put(slot, &value, sizeof(value));
}

void slot_put64(Slot *slot, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    put(slot, &value, sizeof(value));
}

void slot_put_string(Slot *slot, const char *text)
{
    slot_put16(slot, (uint16_t)strlen(text));
    put(slot, text, (unsigned)strlen(text));
}

/*
 * Sending
 */

static FrontendRing *slot_ring(Load *load, const Slot *slot)
{
    return &load->frontend->rings[slot->tag % load->frontend->n_rings];
}

/* Sends the slot's message when there is room. */
static bool try_send(Load *load, Slot *slot)
{
    FrontendRing *ring = slot_ring(load, slot);
    uint32_t size = slot->request->len + slot->payload_size;
    uint32_t size_field = GUINT32_TO_LE(size);

    if (ring_out_free(ring) < size)
        return false;
    memcpy(slot->request->data, &size_field, sizeof(size_field));
    ring_write(ring, slot->request->data, slot->request->len);
    if (slot->payload_size > 0)
        ring_write(ring, slot->payload, slot->payload_size);
    ring_publish(ring);
    frontend_notify(load->frontend, ring);
    return true;
}

/* Sends the slot's message, or lets it wait behind those that wait already. */
static void send_or_wait(Load *load, Slot *slot)
{
    GQueue *waiting = &load->waiting[slot->tag % load->frontend->n_rings];

    if (!g_queue_is_empty(waiting) || !try_send(load, slot))
        g_queue_push_tail(waiting, slot);
}

static bool send_waiting(Load *load, unsigned ring)
{
    GQueue *waiting = &load->waiting[ring];
    bool any = false;

    while (!g_queue_is_empty(waiting) && try_send(load, g_queue_peek_head(waiting))) {
        g_queue_pop_head(waiting);
        any = true;
    }
    return any;
}

/* Begins an operation. One that fails before its first message ends the run. */
static void start_slot(Load *load, Slot *slot)
{
    slot->stage = 0;
    slot->begun_ns = now_ns();
    slot->is_busy = slot->step(load, slot, NULL);
    if (slot->is_busy)
        send_or_wait(load, slot);
}

/*
 * Receiving
 */

/* Copies `size` bytes that are `at` bytes behind where the frontend stands in the in ring. */
static void peek(const FrontendRing *ring, uint32_t at, void *to, uint32_t size)
{
    uint32_t start = (ring->in_cons + at) & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - start);

    memcpy(to, ring->in + start, first);
    memcpy((uint8_t *)to + first, ring->in, size - first);
}

/* The same for the data of a read: also returns whether it is what the file holds at `offset`. */
static bool peek_file(const FrontendRing *ring, uint32_t at, uint8_t *to, uint32_t size,
                      uint64_t offset)
{
    uint32_t start = (ring->in_cons + at) & (ring->size - 1);
    uint32_t first = MIN(size, ring->size - start);
    uint32_t split = first < size ? first & ~7U : first;
    uint8_t word[8];

    if (!pattern_copy(to, ring->in + start, split, offset))
        return false;
    if (split == size)
        return true;
    /* the word that lies on both sides of the ring's end, and what follows it */
    peek(ring, at + split, word, sizeof(word));
    return pattern_copy(to + split, word, sizeof(word), offset + split) &&
           pattern_copy(to + split + 8, ring->in + (8 - (first - split)), size - split - 8,
                        offset + split + 8);
}

static uint32_t read32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static uint32_t reply_error(const LoadReply *reply)
{
    if (reply->type == P9_RLERROR)
        return read32(reply->body);
    if (reply->type == P9_RERROR)
        return reply->size >= 4 ? read32(reply->body + reply->size - 4) : UINT32_MAX;
    return 0;
}

static void peek_data(Load *load, const FrontendRing *ring, const Slot *slot, uint32_t size,
                      LoadReply *reply)
{
    uint8_t count[4];

    peek(ring, P9_HEADER, count, sizeof(count));
    reply->count = read32(count);
    reply->correct = load->is_blind;
    if (reply->count != size - DATA_HEADER || reply->count > LOAD_DATA_MAX)
        load_fail(load, "the count of a reply is not its size", 0);
    else if (slot->is_file && reply->count % 8 == 0 && !load->is_blind)
        reply->correct = peek_file(ring, DATA_HEADER, load->data, reply->count, slot->offset);
    else
        peek(ring, DATA_HEADER, load->data, reply->count);
}

/* The slot's operation goes on with this reply, or is complete and makes place for the next. */
static void advance_slot(Load *load, Slot *slot, const LoadReply *reply)
{
    uint64_t now;

    if (slot->step(load, slot, reply)) {
        send_or_wait(load, slot);
        return;
    }
    now = now_ns();
    slot->is_busy = false;
    if (slot->is_measured && !load->failure) {
        histogram_add(load->histogram, now - slot->begun_ns);
        load->operations++;
    }
    if (now < load->end_ns && !load->failure)
        start_slot(load, slot);
}

/* Takes the reply of `size` bytes at the front of the ring. Returns the slot it is for. */
static Slot *take_reply(Load *load, FrontendRing *ring, uint32_t size, LoadReply *reply)
{
    uint8_t header[P9_HEADER];
    Slot *slot = NULL;
    unsigned tag;

    peek(ring, 0, header, sizeof(header));
    tag = header[5] | (unsigned)header[6] << 8;
    slot = tag < G_N_ELEMENTS(load->by_tag) ? load->by_tag[tag] : NULL;
    if (!slot || !slot->is_busy) {
        slot = NULL;
        load_fail(load, "a reply with a tag that is not in use", tag);
    } else {
        reply->type = header[4];
        reply->size = MIN(size - P9_HEADER, LOAD_REPLY_MAX);
        if (reply->type == P9_TREAD + 1 || reply->type == P9_TREADDIR + 1)
            peek_data(load, ring, slot, size, reply);
        else
            peek(ring, P9_HEADER, reply->body, reply->size);
        reply->error = reply_error(reply);
    }
    ring->in_cons += size;
    ring_set(&ring->intf->in_cons, ring->in_cons);
    return slot;
}

/* The size of the whole reply at the front of the ring, or 0. */
static uint32_t next_reply(const FrontendRing *ring)
{
    uint32_t used = ring_in_used(ring);
    uint8_t bytes[4];
    uint32_t size;

    if (used < P9_HEADER)
        return 0;
    peek(ring, 0, bytes, sizeof(bytes));
    size = read32(bytes);
    return size >= P9_HEADER && size <= used ? size : 0;
}

typedef struct Taken {
    Slot *slot;
    LoadReply reply;
} Taken;

/* Takes all replies that are there, says so, and only then lets the slots go on: as in Linux, where
 * taking replies wakes the processes that send the next requests. The data of a reply is checked
 * when it is taken; a step never looks at the data of more than one. */
static bool serve_ring(Load *load, unsigned number)
{
    FrontendRing *ring = &load->frontend->rings[number];
    Taken taken[LOAD_MAX_DEPTH + 1];
    unsigned n = 0;
    uint32_t size;

    while (n < G_N_ELEMENTS(taken) && (size = next_reply(ring)) > 0) {
        taken[n].slot = take_reply(load, ring, size, &taken[n].reply);
        n += taken[n].slot != NULL;
        if (n > 0 && taken[n - 1].reply.type == P9_TREADDIR + 1)
            break; /* its data must be looked at before the next comes */
    }
    if (n > 0)
        frontend_notify(load->frontend, ring);
    for (unsigned i = 0; i < n; i++)
        advance_slot(load, taken[i].slot, &taken[i].reply);
    return send_waiting(load, number) || n > 0;
}

static bool any_busy(const Load *load)
{
    for (unsigned i = 0; i < load->n_slots; i++) {
        if (load->slots[i].is_busy)
            return true;
    }
    return false;
}

static void sleep_until_event(Load *load)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(load->frontend->evtchn);

    if (port > 0)
        xenevtchn_unmask(load->frontend->evtchn, (evtchn_port_t)port);
}

void load_run(Load *load, unsigned ms, Histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    load->histogram = histogram;
    load->operations = load->bytes = 0;
    load->failure = NULL;
    load->end_ns = now_ns() + (uint64_t)ms * 1000000;
    memset(load->by_tag, 0, sizeof(load->by_tag));
    for (unsigned i = 0; i < load->n_slots; i++)
        load->by_tag[load->slots[i].tag] = &load->slots[i];
    for (unsigned i = 0; i < load->n_slots && !load->failure; i++)
        start_slot(load, &load->slots[i]);
    while (any_busy(load)) {
        bool any = false;

        for (unsigned ring = 0; ring < load->frontend->n_rings; ring++)
            any = serve_ring(load, ring) || any;
        if (!any && any_busy(load))
            sleep_until_event(load);
    }
}
