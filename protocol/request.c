/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Request: see request.h. */
#include "protocol/request.h"

#include <errno.h>
#include <string.h>

#include "protocol/events.h"
#include "protocol/ops.h"

/* Gives the reply's writer room for `size` bytes, header included. */
static bool reserve_reply(Request *r, size_t size)
{
    void *buffer = r->small_reply;
    size_t actual = 0;

    if (r->reply.size < size) {
        if (size > sizeof(r->small_reply)) {
            buffer = buffer_pool_get(r->session->buffers, size, &actual);
            if (!buffer)
                return false;
        }
        if (r->reply_actual > 0)
            buffer_pool_put(r->session->buffers, r->reply.start, r->reply_actual);
        r->reply_actual = actual;
        r->reply = byte_writer(buffer, size);
    }
    r->reply.failed = false;
    r->reply.used = P9_HEADER_SIZE;
    return true;
}

ByteWriter *request_reply(Request *r, size_t size)
{
    return reserve_reply(r, P9_HEADER_SIZE + size) ? &r->reply : NULL;
}

bool request_begin_in_place(Request *r, uint32_t size, struct iovec place[2])
{
    const ChannelOps *ops = r->channel->ops;

    if (!ops->begin_in_place)
        return false;
    r->has_place = ops->begin_in_place(r->channel, r, P9_RREAD_OVERHEAD + size, place);
    return r->has_place;
}

void request_end_in_place(Request *r)
{
    if (r->has_place)
        r->channel->ops->end_in_place(r->channel, r);
    r->has_place = false;
    r->in_place = 0;
}

void request_stage_fid(Request *r, uint32_t id, Fid *expected, Fid *fid)
{
    r->stage.id = id;
    r->stage.expected = expected;
    r->stage.fid = fid;
}

/* Drops what an attempt to run the operation has staged. */
static void drop_stage(Request *r)
{
    fid_unref(r->stage.fid);
    r->stage.fid = NULL;
}

/* Tclunk works with the node only for what the fid leaves to its end, and must not fail without
 * it. */
static bool needs_nodes(const Request *r)
{
    if (!r->fid)
        return false;
    if (r->t.type != P9_TCLUNK)
        return true;
    return r->fid->remove_on_clunk || (r->fid->xattr && xattr_is_pending(r->fid->xattr));
}

/* Holds the nodes of the request's fids until it ends. */
static int hold_nodes(Request *r)
{
    int error;

    if (r->holds || !needs_nodes(r))
        return 0;
    error = fs_node_hold(r->fid->node, r->nowait);
    if (!error && r->fid2) {
        error = fs_node_hold(r->fid2->node, r->nowait);
        if (error)
            fs_node_let_go(r->fid->node);
    }
    r->holds = error == 0;
    return error;
}

static void let_go_of_nodes(Request *r)
{
    if (!r->holds)
        return;
    fs_node_let_go(r->fid->node);
    if (r->fid2)
        fs_node_let_go(r->fid2->node);
    r->holds = false;
}

static void release_fids(Request *r)
{
    drop_stage(r);
    let_go_of_nodes(r);
    session_drop_fid(r->session, r->fid);
    session_drop_fid(r->session, r->fid2);
    r->fid = r->fid2 = NULL;
}

bool request_is_cancelled(Request *r)
{
    bool cancelled;

    tag_lock(&r->session->tags, r->t.tag);
    cancelled = r->cancelled || r->abandoned;
    tag_unlock(&r->session->tags, r->t.tag);
    return cancelled;
}

bool request_enter(Request *r)
{
    bool wanted;

    tag_lock(&r->session->tags, r->t.tag);
    wanted = !r->cancelled && !r->abandoned;
    if (wanted) {
        r->thread = pool_thread_self();
        g_atomic_int_set(&r->state, REQUEST_RUNNING);
    }
    tag_unlock(&r->session->tags, r->t.tag);
    return wanted;
}

void request_leave(Request *r)
{
    tag_lock(&r->session->tags, r->t.tag);
    r->thread = NULL;
    tag_unlock(&r->session->tags, r->t.tag);
    pool_thread_calm();
}

void request_interrupt(Request *r)
{
    if (r->thread)
        pool_thread_interrupt(r->thread);
}

/* What a read-only export answers. Tremove takes its fid away all the same. */
static int refuse_change(Request *r)
{
    if (r->t.type == P9_TREMOVE)
        clunk_fid(r);
    return -EROFS;
}

/* Tclunk and Tremove take the fid away whatever has become of its node. */
static int run_without_nodes(Request *r, int error)
{
    bool ends_fid = r->t.type == P9_TCLUNK || r->t.type == P9_TREMOVE;

    if (ends_fid && error != -EINTR && error != -EAGAIN)
        clunk_fid(r);
    return error;
}

static int run_op(Request *r)
{
    bool refused = r->session->options.readonly && r->op->changes && r->op->changes(r);
    int error;

    if (refused)
        return refuse_change(r);
    error = hold_nodes(r);
    return error ? run_without_nodes(r, error) : r->op->run(r);
}

bool request_run(Request *r)
{
    int result;

    do {
        drop_stage(r);
        result = run_op(r);
    } while (result == -EINTR && !request_is_cancelled(r));

    if (result == -EAGAIN && r->nowait) {
        drop_stage(r);
        return false;
    }
    if (result != OP_LATER)
        request_respond(r, result);
    return true;
}

/* Puts the staged fid in its place. The root of a client stays at hand: walks look at it. */
static int commit_fid(Request *r)
{
    Fid *fid = r->stage.fid;
    int error;

    if (!fid)
        return 0;
    error = fid_table_put(r->fids, r->stage.id, r->stage.expected, fid);
    if (!error && !fid_is_top(fid))
        fs_node_settle(fid->node);
    return error;
}

static const char *error_text(int error)
{
    const char *text = strerrordesc_np(error);

    return text ? text : "Unknown error";
}

/* The texts are the C library's untranslated ones: Linux knows most of them by heart and finds the
 * number when 9P2000 has no room for it. */
static void encode_error(Request *r, int error)
{
    bool numeric = r->dialect == DIALECT_9P2000_L || r->dialect == DIALECT_NONE;

    request_end_in_place(r);
    reserve_reply(r, REQUEST_SMALL_REPLY); /* which every request has */
    if (!numeric) {
        const char *text = error_text(-error);
        write_string(&r->reply, text, MIN(strlen(text), P9_ENAME_MAX));
    }
    if (r->dialect != DIALECT_9P2000)
        write_u32(&r->reply, (uint32_t)-error);
    write_header(r->reply.start, (uint32_t)r->reply.used, numeric ? P9_RLERROR : P9_RERROR,
                 r->t.tag);
    r->error = -error;
    event_rerror(r, -error);
}

static void encode_reply(Request *r, int error)
{
    if (error == 0 && r->reply.used == 0)
        reserve_reply(r, P9_HEADER_SIZE);
    if (error == 0 && (r->reply.failed || request_reply_size(r) > r->msize))
        error = -EMSGSIZE;
    if (error)
        encode_error(r, error);
    else
        write_header(r->reply.start, request_reply_size(r), (uint8_t)(r->t.type + 1), r->t.tag);
}

void request_respond(Request *r, int error)
{
    bool discard;

    if (!r->stage.fid)
        release_fids(r); /* while closing a file can still be interrupted */
    tag_lock(&r->session->tags, r->t.tag);
    g_atomic_int_set(&r->state, REQUEST_DONE);
    r->thread = NULL;
    discard = r->abandoned || (r->cancelled && error == -EINTR);
    tag_unlock(&r->session->tags, r->t.tag);
    pool_thread_calm();

    if (discard) {
        request_end_in_place(r);
        request_finish(r);
        return;
    }
    if (error == 0)
        error = commit_fid(r);
    release_fids(r);
    encode_reply(r, error);
    r->channel->ops->send(r->channel, r);
}

/* Takes the request out of the tag table: no Tflush can join its waiters any more. Called with the
 * tag's lock held. */
static void unregister(Request *r)
{
    if (r->registered)
        g_atomic_pointer_set(&r->session->tags.slots[r->t.tag], NULL);
    r->registered = false;
}

bool request_retire(Request *r)
{
    tag_lock(&r->session->tags, r->t.tag);
    r->published = !r->abandoned;
    if (r->published) {
        unregister(r);
        tag_table_remove(&r->session->tags, r);
    }
    tag_unlock(&r->session->tags, r->t.tag);
    if (r->published)
        event_reply(r); /* before the client can send something that is traced first */
    return r->published;
}

static void end_without_reply(Request *r)
{
    tag_lock(&r->session->tags, r->t.tag);
    unregister(r);
    tag_table_remove(&r->session->tags, r);
    tag_unlock(&r->session->tags, r->t.tag);
    event_rcancel(r);
}

static void count(const Request *r)
{
    StatsEvent event = {
        .type = r->t.type,
        .error = r->error != 0,
        .cancelled = !r->published,
        .bytes_in = r->size,
        .bytes_out = request_reply_size(r),
        .usec = session_clock(r->session) - r->taken_at,
    };

    stats_count(r->session->stats, session_is_first_reader(r->session), &event);
}

void request_finish(Request *r)
{
    count(r);
    if (!r->published)
        end_without_reply(r);
    for (Request *w = r->waiters; w; w = w->next_waiter)
        w->settle = r->published ? r->channel : NULL;
    if (r->waiters)
        session_release_waiters(r->session, r->waiters);
    request_free(r);
}

void request_cancel(Request *r)
{
    if (r->op && (r->t.type == P9_TCLUNK || r->t.type == P9_TREMOVE))
        session_drop_fid(r->session, fid_table_take(r->fids, r->t.fid));
    request_finish(r);
}

void request_free(Request *r)
{
    Session *session = r->session;
    BufferPool *buffers = session->buffers;

    release_fids(r);
    fid_table_unref(r->fids);
    traced_free(r->traced);
    if (r->message_actual > 0)
        buffer_pool_put(buffers, r->message, r->message_actual);
    if (r->reply_actual > 0)
        buffer_pool_put(buffers, r->reply.start, r->reply_actual);
    session_uncharge(session, r);
    buffer_pool_put(buffers, r, BUFFER_MIN);
}
