/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: what people may see of it while it works, see session.h.
 *
 * All of this runs on any thread and takes only locks that are held for a few instructions, so that
 * it also tells of a session in which everything hangs.
 */
#include <limits.h>

#include "protocol/describe.h"
#include "protocol/ops.h"

/* A new string, or NULL. */
static char *inspect_path(const Fid *fid)
{
    FsNode *node = fid->node;
    char path[PATH_MAX];

    if (!node->fs->ops->path || node->fs->ops->path(node, path, sizeof(path)) != 0)
        return NULL;
    return g_strdup(path);
}

static void inspect_fid_of_request(const Fid *fid, void *context)
{
    RequestInfo *info = context;

    info->uid = fid_user(fid);
    info->path = inspect_path(fid);
}

/* The fid is that of the table now: the request's own is its owner's. Called with the tag's lock
 * held, which keeps the request and its message where they are. */
static RequestInfo inspect_request(const Request *r, int64_t now, GString *text)
{
    RequestState state = (RequestState)g_atomic_int_get(&r->state);
    bool may_wait = r->t.type == P9_TFLUSH || r->t.type == P9_TLOCK;
    RequestInfo info = {
        .id = r->id,
        .tag = r->t.tag,
        .channel = r->channel->index,
        .op = r->op ? r->op->name : NULL,
        .type = r->t.type,
        .state = state,
        .waits = may_wait && state == REQUEST_RUNNING && !r->thread,
        .cancelled = r->cancelled,
        .abandoned = r->abandoned,
        .age_usec = now - r->taken_at,
        .fid = r->op && r->op->n_fids > 0 ? r->t.fid : P9_NOFID,
    };

    if (info.fid != P9_NOFID)
        info.has_fid = fid_table_peek(r->fids, info.fid, inspect_fid_of_request, &info);
    if (r->op) {
        g_string_truncate(text, 0);
        /* A Tversion changes its own dialect, by which nothing of it is to be understood. */
        describe_request(text, &r->t, r->t.type == P9_TVERSION ? DIALECT_NONE : r->dialect);
        info.detail = g_strdup(text->str);
    }
    return info;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = ((const RequestInfo *)a)->id;
    uint64_t y = ((const RequestInfo *)b)->id;

    return x < y ? -1 : x > y;
}

static void clear_info(gpointer data)
{
    RequestInfo *info = data;

    g_free(info->path);
    g_free(info->detail);
}

GArray *session_list_requests(Session *session)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(RequestInfo));
    g_autoptr(GString) text = g_string_new(NULL);
    int64_t now = g_get_monotonic_time();

    g_array_set_clear_func(list, clear_info);
    for (uint16_t i = 0; i < TAG_LOCKS; i++) {
        tag_lock(&session->tags, i);
        for (const Request *r = session->tags.newest[i]; r; r = r->older) {
            RequestInfo info = inspect_request(r, now, text);
            g_array_append_val(list, info);
        }
        tag_unlock(&session->tags, i);
    }
    g_array_sort(list, compare_ids);
    return list;
}

static unsigned count_in_flight(Session *session)
{
    unsigned n = 0;

    for (uint16_t i = 0; i < TAG_LOCKS; i++) {
        tag_lock(&session->tags, i);
        for (const Request *r = session->tags.newest[i]; r; r = r->older)
            n++;
        tag_unlock(&session->tags, i);
    }
    return n;
}

int session_add_tracer(Session *session, TraceFilter *filter)
{
    uint64_t first = __atomic_load_n(&session->last_id, __ATOMIC_RELAXED) + 1;

    return tracers_add(&session->tracers, filter, first);
}

SessionStatus session_status(Session *session)
{
    SessionStatus status = {
        .xattr_bytes = (size_t)g_atomic_pointer_get(&session->xattrs.bytes),
        .n_lock_ranges = lock_table_n_ranges(session->locks),
        .n_in_flight = count_in_flight(session),
        .most_in_flight = __atomic_load_n(&session->most_in_flight, __ATOMIC_RELAXED),
        .inflight_bytes = (size_t)g_atomic_pointer_get(&session->inflight_bytes),
        .n_threads = pool_n_threads(session->pool),
        .n_taken = __atomic_load_n(&session->last_id, __ATOMIC_RELAXED),
        .age_usec = g_get_monotonic_time() - session->started_at,
    };
    const SessionState *state = &session->state;

    status.most_in_flight = MAX(status.most_in_flight, status.n_in_flight);
    pthread_mutex_lock(&session->state_lock);
    status.dialect = state->dialect;
    status.msize = state->msize;
    status.n_attached = fid_table_count_attached(state->fids);
    status.n_fids = fid_table_count(state->fids);
    status.n_open = fid_table_count_open(state->fids);
    pthread_mutex_unlock(&session->state_lock);
    return status;
}

static void inspect_fid(const Fid *fid, void *context)
{
    FidInfo *info = context;

    *info = (FidInfo){
        .uid = fid_user(fid),
        .type = fid->node->type,
        .is_open = fid->file,
        .is_xattr = fid->xattr,
        .flags = fid->flags,
        .path = inspect_path(fid),
    };
}

void session_each_fid(Session *session, bool (*each)(uint32_t id, const FidInfo *info, void *context),
                      void *context)
{
    g_autoptr(GArray) ids = NULL;
    bool more = true;
    FidTable *table;

    pthread_mutex_lock(&session->state_lock);
    table = fid_table_ref(session->state.fids);
    pthread_mutex_unlock(&session->state_lock);
    ids = fid_table_list(table);
    for (unsigned i = 0; i < ids->len && more; i++) {
        uint32_t id = g_array_index(ids, uint32_t, i);
        FidInfo info;

        if (!fid_table_peek(table, id, inspect_fid, &info))
            continue;
        more = each(id, &info, context);
        g_free(info.path);
    }
    session_drop_table(session, table);
}
