/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grants: pages of a domain's memory that others may map.
 *
 * What one call shares lies together in the domain's memory, but its references do not follow
 * each other, so that nobody gets away with assuming they do: a reference is its frame's number
 * times a factor, modulo the prime number of frames.
 */
#include "tests/standin/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FIRST_REF = 8, REF_FACTOR = 7919, REF_INVERSE = 229533 };

_Static_assert((uint64_t)REF_FACTOR *REF_INVERSE % DOMAIN_FRAMES == 1, "not each other's inverse");

/* What is to happen to a page when whoever mapped or shared it lets go. */
typedef struct Notify {
    uint32_t offset; /* a byte of the page to clear, or UINT32_MAX */
    uint32_t port;   /* of the same program, to be notified through, or UINT32_MAX */
} Notify;

typedef struct Share {
    Domain *domain;
    uint32_t first;
    uint32_t count;
    Notify notify;
} Share;

typedef struct Mapping {
    Domain *domain;
    GArray *frames;
    Notify notify;
} Mapping;

static uint32_t frame_to_ref(uint32_t frame)
{
    return FIRST_REF + (uint32_t)((uint64_t)frame * REF_FACTOR % DOMAIN_FRAMES);
}

/* The frame of `ref`, or -1. */
static int64_t ref_to_frame(uint32_t ref)
{
    if (ref < FIRST_REF || ref - FIRST_REF >= DOMAIN_FRAMES)
        return -1;
    return (int64_t)((uint64_t)(ref - FIRST_REF) * REF_INVERSE % DOMAIN_FRAMES);
}

static void notify_fire(const Notify *notify, Domain *domain, uint32_t frame)
{
    static const char zero = 0;

    if (notify->offset < DOMAIN_PAGE_SIZE) {
        off_t at = (off_t)frame * DOMAIN_PAGE_SIZE + notify->offset;
        if (pwrite(domain->memory_fd, &zero, 1, at) != 1)
            g_warning("cannot clear the notify byte of domain %u", domain->domid);
    }
    if (notify->port < SHARED_PORTS)
        events_notify(notify->port);
}

/* Frees a frame that is neither shared nor mapped. */
static void frame_check_free(Domain *domain, uint32_t number)
{
    Frame *frame = &domain->frames[number];

    if (!frame->used || !frame->revoked || frame->mapped > 0)
        return;
    *frame = (Frame){0};
    fallocate(domain->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              (off_t)number * DOMAIN_PAGE_SIZE, DOMAIN_PAGE_SIZE);
}

static void frame_revoke(Domain *domain, uint32_t number)
{
    domain->frames[number].revoked = true;
    frame_check_free(domain, number);
}

static void share_free(void *data)
{
    Share *share = data;

    notify_fire(&share->notify, share->domain, share->first);
    for (uint32_t i = 0; i < share->count; i++)
        frame_revoke(share->domain, share->first + i);
    domain_unref(share->domain);
    g_free(share);
}

static void mapping_free(void *data)
{
    Mapping *mapping = data;
    Domain *domain = mapping->domain;

    notify_fire(&mapping->notify, domain, g_array_index(mapping->frames, uint32_t, 0));
    for (unsigned i = 0; i < mapping->frames->len; i++) {
        uint32_t number = g_array_index(mapping->frames, uint32_t, i);
        domain->frames[number].mapped--;
        domain->mapped_pages--;
        frame_check_free(domain, number);
    }
    domain_check_gone(domain);
    domain_unref(domain);
    g_array_free(mapping->frames, TRUE);
    g_free(mapping);
}

void grants_init_client(Client *client)
{
    client->shares = g_hash_table_new_full(NULL, NULL, NULL, share_free);
    client->mappings = g_hash_table_new_full(NULL, NULL, NULL, mapping_free);
}

void grants_drop_client(Client *client)
{
    g_hash_table_destroy(client->mappings);
    g_hash_table_destroy(client->shares);
}

void grants_revoke_domain(Domain *domain)
{
    for (uint32_t i = 0; i < DOMAIN_FRAMES; i++) {
        if (domain->frames[i].used)
            frame_revoke(domain, i);
    }
}

unsigned grants_count_shared(const Domain *domain)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < DOMAIN_FRAMES; i++)
        count += domain->frames[i].used;
    return count;
}

/* The length of the free run at `start`, up to `count`. */
static uint32_t free_run(const Domain *domain, uint32_t start, uint32_t count)
{
    uint32_t run = 0;

    while (run < count && start + run < DOMAIN_FRAMES && !domain->frames[start + run].used)
        run++;
    return run;
}

/* Finds `count` free frames in a row, going on from where the last were found so that a reference
 * is not used again soon. Returns the first, or -1. */
static int64_t find_frames(Domain *domain, uint32_t count)
{
    uint32_t start = domain->next_frame;
    uint32_t tried = 0;

    while (tried < 2 * DOMAIN_FRAMES) {
        uint32_t run = free_run(domain, start, count);

        if (run == count) {
            domain->next_frame = start + count;
            return start;
        }
        tried += run + 1;
        start += run + 1;
        if (start >= DOMAIN_FRAMES)
            start = 0;
    }
    return -1;
}

int handle_share(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    Domain *domain = domain_find(client->domid);
    uint32_t count = message->args[0];
    Frame frame = {
        .to_domid = message->args[1],
        .writable = message->args[2],
        .used = true,
    };
    Notify notify = {.offset = message->args[3], .port = message->args[4]};
    int64_t first;
    Share *share;

    (void)in_fd;
    if (!domain || domain->state == STANDIN_DYING)
        return -ESRCH;
    first = find_frames(domain, count);
    if (first < 0)
        return -ENOSPC;
    share = g_new0(Share, 1);
    *share = (Share){domain_ref(domain), (uint32_t)first, count, notify};
    g_hash_table_insert(client->shares, GUINT_TO_POINTER(share->first + 1), share);
    wire_init(message, WIRE_SHARE);
    message->args[0] = share->first;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ref = frame_to_ref(share->first + i);
        domain->frames[share->first + i] = frame;
        wire_append(message, &ref, sizeof(ref));
    }
    *out_fd = domain->memory_fd;
    return 0;
}

int handle_unshare(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)in_fd;
    (void)out_fd;
    return g_hash_table_remove(client->shares, GUINT_TO_POINTER(message->args[0] + 1)) ? 0
                                                                                       : -EINVAL;
}

/* True when `client` may map the frame as it wants to. */
static bool may_map(const Client *client, const Domain *domain, int64_t number, bool writable)
{
    const Frame *frame;

    if (number < 0)
        return false;
    frame = &domain->frames[number];
    return frame->used && !frame->revoked && frame->to_domid == client->domid &&
           (frame->writable || !writable);
}

/* The frames of the references in a request, or NULL when one of them cannot be mapped. */
static GArray *resolve_refs(const Client *client, const Domain *domain, const WireMessage *message)
{
    const uint32_t *refs = (const uint32_t *)(const void *)message->payload;
    uint32_t count = message->size / (uint32_t)sizeof(*refs);
    GArray *frames = g_array_sized_new(FALSE, FALSE, sizeof(uint32_t), count);

    for (uint32_t i = 0; i < count; i++) {
        int64_t number = ref_to_frame(refs[i]);
        uint32_t frame = (uint32_t)number;

        if (!may_map(client, domain, number, message->args[1])) {
            g_array_free(frames, TRUE);
            return NULL;
        }
        g_array_append_val(frames, frame);
    }
    return frames;
}

int handle_map(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    static uint32_t last_id;
    Domain *domain = domain_find(message->args[0]);
    GArray *frames = domain ? resolve_refs(client, domain, message) : NULL;
    Notify notify = {.offset = message->args[2], .port = message->args[3]};
    Mapping *mapping;

    (void)in_fd;
    if (!frames)
        return -EINVAL;
    for (unsigned i = 0; i < frames->len; i++)
        domain->frames[g_array_index(frames, uint32_t, i)].mapped++;
    domain->mapped_pages += frames->len;
    mapping = g_new0(Mapping, 1);
    *mapping = (Mapping){domain_ref(domain), frames, notify};
    g_hash_table_insert(client->mappings, GUINT_TO_POINTER(++last_id), mapping);
    wire_init(message, WIRE_MAP);
    message->args[0] = last_id;
    wire_append(message, frames->data, frames->len * sizeof(uint32_t));
    *out_fd = domain->memory_fd;
    return 0;
}

int handle_unmap(Client *client, WireMessage *message, int in_fd, int *out_fd)
{
    (void)in_fd;
    (void)out_fd;
    return g_hash_table_remove(client->mappings, GUINT_TO_POINTER(message->args[0])) ? 0 : -EINVAL;
}
