/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Throttle waits: see throttle_wait.h. */
#include "protocol/throttle_wait.h"

#include <assert.h>

#include "protocol/request.h"

struct ThrottleWaits {
    int64_t (*clock)(void);
    Throttle throttle;
    GQueue queues[THROTTLE_N_KINDS]; /* Request, oldest first, by their throttle.link */
    gint count;                      /* atomic: of all who wait */
    gsize unused[THROTTLE_N_KINDS];  /* atomic: bytes that were given back and not looked at yet */
};

ThrottleWaits *throttle_waits_new(const ThrottleOptions *options, int64_t (*clock)(void))
{
    ThrottleWaits *waits;

    if (!throttle_is_needed(options))
        return NULL;
    waits = g_new0(ThrottleWaits, 1);
    waits->clock = clock;
    throttle_init(&waits->throttle, options, clock());
    for (unsigned i = 0; i < THROTTLE_N_KINDS; i++)
        g_queue_init(&waits->queues[i]);
    return waits;
}

void throttle_waits_free(ThrottleWaits *waits)
{
    assert(!waits || waits->count == 0);
    g_free(waits);
}

bool throttle_waits_concern(const Request *r)
{
    bool transfer = r->t.type == P9_TREAD || r->t.type == P9_TWRITE || r->t.type == P9_TREADDIR;

    return transfer && r->fid && r->fid->file;
}

static ThrottleScope kind_of(const Request *r)
{
    return r->t.type == P9_TWRITE ? THROTTLE_WRITE : THROTTLE_READ;
}

/* The bytes of a file that the request may transfer. */
static uint32_t bytes_of(const Request *r)
{
    if (r->t.type == P9_TREADDIR || r->fid->stream)
        return 0;
    return r->t.type == P9_TREAD ? MIN(r->t.io.count, r->msize - P9_RREAD_OVERHEAD) : r->t.io.count;
}

void throttle_waits_add(ThrottleWaits *waits, Request *r)
{
    r->throttle.link.data = r;
    g_queue_push_tail_link(&waits->queues[kind_of(r)], &r->throttle.link);
    g_atomic_int_inc(&waits->count);
}

static void unlink_request(ThrottleWaits *waits, Request *r)
{
    g_queue_unlink(&waits->queues[kind_of(r)], &r->throttle.link);
    r->throttle.link.data = NULL;
    g_atomic_int_add(&waits->count, -1);
}

bool throttle_waits_remove(ThrottleWaits *waits, Request *r)
{
    if (!r->throttle.link.data)
        return false;
    unlink_request(waits, r);
    return true;
}

/* Brings the buckets up to what other threads have given back. */
static void collect_unused(ThrottleWaits *waits)
{
    for (unsigned kind = 0; kind < THROTTLE_N_KINDS; kind++) {
        gsize bytes = g_atomic_pointer_get(&waits->unused[kind]);

        if (bytes == 0)
            continue;
        g_atomic_pointer_add(&waits->unused[kind], -(gssize)bytes);
        throttle_give_back(&waits->throttle, kind, bytes);
    }
}

/* The first of each queue, who came first in front; NULL for nobody. */
static void find_heads(ThrottleWaits *waits, Request *heads[THROTTLE_N_KINDS])
{
    Request *reads = g_queue_peek_head(&waits->queues[THROTTLE_READ]);
    Request *writes = g_queue_peek_head(&waits->queues[THROTTLE_WRITE]);
    bool swap = !reads || (writes && writes->id < reads->id);

    heads[0] = swap ? writes : reads;
    heads[1] = swap ? reads : writes;
}

/* Finds whose turn it is next and returns for how long that one still waits: 0 when it may go now,
 * -1 when there is none. Who is held up by the limits on the total holds up all who came later, so
 * that a large request is not overtaken by small ones for ever. */
static int64_t find_next(ThrottleWaits *waits, Request **next)
{
    Request *heads[THROTTLE_N_KINDS];
    int64_t now = waits->clock();
    int64_t first = -1;

    collect_unused(waits);
    find_heads(waits, heads);
    for (unsigned i = 0; i < THROTTLE_N_KINDS && heads[i]; i++) {
        uint32_t bytes = bytes_of(heads[i]);
        int64_t own = throttle_delay(&waits->throttle, kind_of(heads[i]), bytes, now);
        int64_t total = throttle_delay(&waits->throttle, THROTTLE_TOTAL, bytes, now);
        int64_t delay = MAX(own, total);

        if (first < 0 || delay < first) {
            first = delay;
            *next = heads[i];
        }
        if (own == 0)
            break;
    }
    return first;
}

Request *throttle_waits_next(ThrottleWaits *waits)
{
    Request *r = NULL;

    if (waits->count == 0 || find_next(waits, &r) != 0)
        return NULL;
    unlink_request(waits, r);
    r->throttle.unused = bytes_of(r);
    throttle_take(&waits->throttle, kind_of(r), r->throttle.unused);
    return r;
}

int64_t throttle_waits_delay(ThrottleWaits *waits)
{
    Request *next;

    return waits->count > 0 ? find_next(waits, &next) : -1;
}

bool throttle_waits_give_back(ThrottleWaits *waits, const Request *r)
{
    g_atomic_pointer_add(&waits->unused[kind_of(r)], (gssize)r->throttle.unused);
    return g_atomic_int_get(&waits->count) > 0;
}

unsigned throttle_waits_count(ThrottleWaits *waits)
{
    return (unsigned)g_atomic_int_get(&waits->count);
}
