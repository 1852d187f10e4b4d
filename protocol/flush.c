/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flush: cancellation. Everything here runs on a reader, in its turn.
 *
 * The rule: a request that a Tflush cancelled is answered with nothing, and what it held is
 * released; a request that completed is answered; Rflush comes after either. A Tflush goes through
 * these steps, most of the time through one:
 *
 *  1. Its target is in the tag table. A queued target is taken out of the queue, and that was all.
 *     A running one is marked and its thread interrupted, see interrupt.h; the Tflush joins its
 *     waiters and comes back when it has ended.
 *  2. Its target is unknown. It may still lie on another channel, since a client may send the
 *     Tflush elsewhere: the Tflush waits until whatever was published there before it has been
 *     taken. A target that shows up meanwhile is discarded before it starts. The same goes for one
 *     whose target has been flushed before: the client may have given up on that, and mean another
 *     request with the tag.
 *  3. Its target was answered on another channel. The client may look at that one later than at
 *     the channel of the Rflush, so the Rflush waits until that reply has been consumed - for
 *     SETTLE_USEC at most, since a client is free not to look.
 *
 * Several Tflushes of one tag are answered in their order, unless the tag was used again in between.
 *
 * A Tflush whose target is a Tflush waits for its end like for any other, and one that is flushed
 * before it was taken is discarded like any other: so no two ever wait for each other.
 */
#include <errno.h>

#include "common/trace.h"
#include "protocol/session.h"

enum { SETTLE_USEC = 100 * 1000 };

static void append_waiter(Request *target, Request *flush)
{
    Request **end = &target->waiters;

    while (*end)
        end = &(*end)->next_waiter;
    flush->next_waiter = NULL;
    *end = flush;
}

typedef enum Attach {
    ATTACH_UNKNOWN, /* no such request */
    ATTACH_WAITS,   /* the flush waits for it */
    ATTACH_REMOVED, /* the request was queued and is gone */
    ATTACH_AGAIN,   /* it has been flushed before: may be the one, or a predecessor of it */
} Attach;

/* Step 1: finds the request that `flush` names and cancels it. In step 2 that may only be the one with
 * the id `only`; else 0. */
static Attach attach(Session *session, Request *flush, uint64_t only)
{
    uint16_t tag = flush->t.flush.oldtag;
    Attach result = ATTACH_WAITS;
    Request *target;

    tag_lock(&session->tags, tag);
    target = session->tags.slots[tag];
    if (!target || (only && target->id != only)) {
        result = ATTACH_UNKNOWN;
    } else if (target->cancelled && !only) {
        flush->flush.target = target->id;
        result = ATTACH_AGAIN;
    } else if (session_unqueue(session, target)) {
        result = ATTACH_REMOVED;
    } else {
        target->cancelled = true;
        request_interrupt(target);
        append_waiter(target, flush);
    }
    tag_unlock(&session->tags, tag);

    if (result == ATTACH_REMOVED)
        request_cancel(target);
    else if (result == ATTACH_WAITS)
        lock_waits_poke(session->lock_waits);
    return result;
}

/* Lets `flush` wait until channel `c` has passed `position`. */
static void wait_for(Request *flush, const Channel *c, uint32_t position)
{
    flush->flush.on_channels |= 1u << c->index;
    flush->flush.mark[c->index] = position;
}

static void begin_taking(Session *session, Request *flush)
{
    flush->flush.taking = true;
    for (unsigned i = 0; i < session->n_channels; i++) {
        Channel *c = session->channels[i];
        if (c != flush->channel)
            wait_for(flush, c, c->ops->out_published(c));
    }
    session->n_flushes_taking++;
}

/* Step 3. `answered_on` is the channel of the target's reply, or NULL when it may be any. */
static void begin_settling(Session *session, Request *flush, const Channel *answered_on)
{
    flush->flush.taking = false;
    flush->flush.on_channels = 0;
    flush->flush.deadline = g_get_monotonic_time() + SETTLE_USEC;
    for (unsigned i = 0; i < session->n_channels; i++) {
        Channel *c = session->channels[i];
        if (c != flush->channel && (!answered_on || c == answered_on))
            wait_for(flush, c, c->ops->in_published(c));
    }
}

static bool channel_passed(const Request *flush, Channel *c)
{
    uint32_t mark = flush->flush.mark[c->index];

    return flush->flush.taking ? c->ops->out_taken(c, mark) : c->ops->in_consumed(c, mark);
}

/* True when every channel that `flush` waits for has passed its mark. */
static bool all_passed(Session *session, Request *flush)
{
    for (unsigned i = 0; i < session->n_channels; i++) {
        unsigned bit = 1u << i;
        if ((flush->flush.on_channels & bit) && channel_passed(flush, session->channels[i]))
            flush->flush.on_channels &= ~bit;
    }
    return flush->flush.on_channels == 0;
}

/* Notes that `flush` comes after the Tflush of the same tag that waits already, if there is one. */
static void follow_earlier(Session *session, Request *flush)
{
    gpointer tag = GUINT_TO_POINTER(flush->t.flush.oldtag);
    Request *earlier = g_hash_table_lookup(session->latest_flush, tag);

    flush->earlier_flush = earlier;
    if (earlier)
        earlier->later_flush = flush;
    g_hash_table_insert(session->latest_flush, tag, flush);
}

/* No other Tflush comes after this one any more. */
static void leave_order(Session *session, Request *flush)
{
    gpointer tag = GUINT_TO_POINTER(flush->t.flush.oldtag);

    if (flush->earlier_flush)
        flush->earlier_flush->later_flush = flush->later_flush;
    if (flush->later_flush)
        flush->later_flush->earlier_flush = flush->earlier_flush;
    flush->earlier_flush = flush->later_flush = NULL;
    if (g_hash_table_lookup(session->latest_flush, tag) == flush)
        g_hash_table_remove(session->latest_flush, tag);
}

/* The tag of the request that these wait for is used again. Called with the tag's lock held. */
void flush_leave_order(Session *session, Request *flushes)
{
    for (Request *flush = flushes; flush; flush = flush->next_waiter)
        leave_order(session, flush);
}

/* Ends a Tflush that has waited. */
static void end_flush(Session *session, Request *flush)
{
    leave_order(session, flush);
    request_respond(flush, 0);
}

/* A request with `tag` begins: later Tflushes mean this one, and have nothing to do with those of its
 * predecessors. */
void flush_begin_tag(Session *session, uint16_t tag)
{
    if (g_hash_table_size(session->latest_flush) > 0)
        g_hash_table_remove(session->latest_flush, GUINT_TO_POINTER(tag));
}

/* Ends the Tflushes that wait for channels. They are abandoned, so that none is answered; those that
 * wait for their target end when it does. */
void flush_forget_all(Session *session)
{
    Request *flush;

    g_hash_table_remove_all(session->latest_flush);
    while ((flush = g_queue_pop_head(&session->flushes)))
        end_flush(session, flush);
    session->n_flushes_taking = 0;
}

int flush_run(Request *flush)
{
    Session *session = flush->session;

    if (flush->t.flush.oldtag == flush->t.tag)
        return 0;
    switch (attach(session, flush, 0)) {
    case ATTACH_REMOVED:
        return 0;
    case ATTACH_WAITS:
        break;
    case ATTACH_UNKNOWN:
    case ATTACH_AGAIN:
        begin_taking(session, flush);
        g_queue_push_tail(&session->flushes, flush);
        break;
    }
    follow_earlier(session, flush);
    return OP_LATER;
}

/* True when `flush` waits for requests that were published before it, and `r` is its target. */
static bool flush_wants(const Request *flush, Request *r)
{
    const Channel *c = r->channel;

    if (!flush->flush.taking || flush->t.flush.oldtag != r->t.tag)
        return false;
    if (!(flush->flush.on_channels & (1u << c->index)))
        return false;
    return (int32_t)(flush->flush.mark[c->index] - r->channel->ops->out_position(r->channel)) >= 0;
}

bool flush_discards(Session *session, Request *r)
{
    for (GList *l = session->flushes.head; l; l = l->next) {
        if (flush_wants(l->data, r)) {
            request_cancel(r);
            return true;
        }
    }
    return false;
}

/* Takes the Tflushes whose targets have ended into the list of those that settle. Returns false
 * when there was none. */
static bool collect_released(Session *session)
{
    Request *released;

    pthread_mutex_lock(&session->released_lock);
    released = session->released;
    session->released = NULL;
    session->released_end = &session->released;
    pthread_mutex_unlock(&session->released_lock);

    for (Request *flush = released, *next; flush; flush = next) {
        next = flush->next_waiter;
        flush->next_waiter = NULL;
        if (flush->settle && !flush->abandoned)
            begin_settling(session, flush, flush->settle);
        else
            flush->flush = (FlushWait){0}; /* there is no reply to wait for, or nobody to wait */
        g_queue_push_tail(&session->flushes, flush);
    }
    return released != NULL;
}

/* The end of step 2. Returns true when the Tflush waits for its target after all. */
static bool end_taking(Session *session, Request *flush)
{
    uint64_t target = flush->flush.target;

    session->n_flushes_taking--;
    begin_settling(session, flush, NULL);
    return target && attach(session, flush, target) == ATTACH_WAITS;
}

/* Moves one waiting Tflush on. Returns true when it has left the list. */
static bool advance(Session *session, Request *flush, int64_t now)
{
    bool passed = all_passed(session, flush);

    if (flush->flush.taking && passed) {
        if (end_taking(session, flush))
            return true;
        passed = all_passed(session, flush);
    }
    if (!passed && (flush->flush.taking || now < flush->flush.deadline))
        return false;
    if (flush->earlier_flush)
        return false;
    end_flush(session, flush);
    return true;
}

/* Moves all on. Returns true when one has left the list, which others may have waited for. */
static bool advance_all(Session *session)
{
    int64_t now = g_get_monotonic_time();
    bool any = false;
    GList *next;

    for (GList *l = session->flushes.head; l; l = next) {
        next = l->next;
        if (!advance(session, l->data, now))
            continue;
        g_queue_delete_link(&session->flushes, l);
        any = true;
    }
    return any;
}

bool flush_tend(Session *session)
{
    bool advanced;

    /* A Tflush that ends here may release another one that waited for it. */
    do {
        advanced = advance_all(session);
    } while (collect_released(session) || advanced);
    return !g_queue_is_empty(&session->flushes);
}
