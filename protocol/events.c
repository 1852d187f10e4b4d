/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events: the lines of the text trace; see events.h. */
#include "protocol/events.h"

#include <limits.h>
#include <string.h>

#include "common/record.h"
#include "protocol/describe.h"

/* A request that somebody wants to see. Its message and its fid may have gone by the time that there
 * is more to tell of it. */
struct Traced {
    unsigned tracers; /* bit i: tracer i */
    char *path;       /* what it is about; NULL: not known */
    char *text;       /* the request in words */
};

void traced_free(Traced *traced)
{
    if (!traced)
        return;
    g_free(traced->path);
    g_free(traced->text);
    g_free(traced);
}

/*
 * What a message is about
 */

/* The name that a message has for something in the directory of its first fid, or NULL. */
static const char *name_in(const Tmessage *t)
{
    switch (t->type) {
    case P9_TCREATE:
        return t->create.name;
    case P9_TLCREATE:
    case P9_TMKDIR:
        return t->lcreate.name;
    case P9_TSYMLINK:
        return t->symlink.name;
    case P9_TMKNOD:
        return t->mknod.name;
    case P9_TLINK:
        return t->link.name;
    case P9_TRENAMEAT:
        return t->renameat.old_name;
    case P9_TUNLINKAT:
        return t->unlinkat.name;
    default:
        return NULL;
    }
}

static uint32_t second_fid(const Tmessage *t)
{
    switch (t->type) {
    case P9_TWALK:
        return t->walk.newfid;
    case P9_TXATTRWALK:
        return t->xattrwalk.newfid;
    case P9_TLINK:
        return t->link.fid;
    case P9_TRENAME:
        return t->rename.dfid;
    case P9_TRENAMEAT:
        return t->renameat.new_dfid;
    default:
        return P9_NOFID;
    }
}

static void append_name(GString *path, const char *name)
{
    if (path->len == 0 || path->str[path->len - 1] != '/')
        g_string_append_c(path, '/');
    g_string_append(path, name);
}

/* The path that the message is about, a new string: that of its fid, and what it names in it. */
static char *path_of_message(const Tmessage *t, const char *fid_path)
{
    GString *path = g_string_new(fid_path);
    const char *name = name_in(t);

    if (name)
        append_name(path, name);
    for (unsigned i = 0; t->type == P9_TWALK && i < t->walk.n_names; i++)
        append_name(path, t->walk.names[i]);
    return g_string_free(path, FALSE);
}

static void look_at_path(const Fid *fid, void *context)
{
    FsNode *node = fid->node;
    char path[PATH_MAX];

    if (node->fs->ops->path && node->fs->ops->path(node, path, sizeof(path)) == 0)
        *(char **)context = g_strdup(path);
}

/* Where the fid of a request is now, or what it attaches to: a new string, or NULL. */
static char *path_of_fid(const Request *r)
{
    char *path = NULL;

    if (r->op && r->t.type == P9_TATTACH)
        return g_strdup(r->t.attach.aname);
    if (r->op && r->op->n_fids > 0)
        fid_table_peek(r->fids, r->t.fid, look_at_path, &path);
    return path;
}

static bool has_fid(const Request *r)
{
    return r->op && (r->op->n_fids > 0 || r->t.type == P9_TATTACH);
}

/*
 * Lines
 */

/* Begins a line with what all have. */
static GString *begin_line(const char *event)
{
    GString *line = g_string_new(NULL);

    record_begin(line, "trace");
    record_number(line, "time_us", (uint64_t)g_get_real_time());
    record_text(line, "event", event);
    return line;
}

/* Begins one about a request. */
static GString *begin_request_line(const Request *r, const char *event, const char *type)
{
    GString *line = begin_line(event);

    record_number(line, "tag", r->t.tag);
    record_text(line, "type", type);
    if (has_fid(r))
        record_number(line, "fid", r->t.fid);
    if (r->op)
        record_text(line, "name", name_in(&r->t));
    record_text(line, "path", r->traced->path);
    record_number(line, "ring", r->channel->index);
    return line;
}

/* Ends a line with its readable text, which is freed, and gives it to those who want it. */
static void tell(const Request *r, GString *line, bool is_error, GString *text)
{
    record_bytes(line, "text", text->str, text->len);
    record_end(line);
    tracers_tell(&r->session->tracers, r->traced->tracers, r->id, is_error, line);
    g_string_free(text, TRUE);
    g_string_free(line, TRUE);
}

static void tell_everybody(Session *session, GString *line, const char *text)
{
    record_text(line, "text", text);
    record_end(line);
    tracers_tell_all(&session->tracers, line);
    g_string_free(line, TRUE);
}

/* A request in words: `Tlopen tag=1 fid=2 "/a" flags=O_RDWR`. */
static char *put_in_words(const Request *r, const char *path)
{
    GString *text = g_string_new(tmessage_name(r->t.type));

    g_string_append_printf(text, " tag=%u", r->t.tag);
    if (!r->op)
        g_string_append_printf(text, " (unknown or malformed, %u bytes)", r->size);
    if (has_fid(r))
        g_string_append_printf(text, " fid=%u", r->t.fid);
    if (path) {
        g_string_append_c(text, ' ');
        describe_quoted(text, path);
    }
    if (r->op)
        describe_request(text, &r->t, r->dialect);
    return g_string_free(text, FALSE);
}

void events_tell_request(Request *r)
{
    g_autofree char *fid_path = path_of_fid(r);
    g_autofree char *path = fid_path ? path_of_message(&r->t, fid_path) : NULL;
    TraceSubject subject = {
        .type = r->t.type,
        .fids = {has_fid(r) ? r->t.fid : P9_NOFID, r->op ? second_fid(&r->t) : P9_NOFID},
        .path = path,
        .fid_path = fid_path,
    };
    unsigned mask = tracers_match(&r->session->tracers, &subject);

    if (!mask)
        return;
    r->traced = g_new0(Traced, 1);
    r->traced->tracers = mask;
    r->traced->text = put_in_words(r, fid_path);
    r->traced->path = g_steal_pointer(&path);
    tell(r, begin_request_line(r, "request", tmessage_name(r->t.type)), false,
         g_string_new(r->traced->text));
}

void events_tell_rerror(const Request *r, int error)
{
    GString *line = begin_request_line(r, "rerror", tmessage_name(r->t.type));
    GString *text = g_string_new(r->traced->text);
    GString *name = g_string_new(NULL);

    describe_error(name, error);
    record_text(line, "error", name->str);
    g_string_append_printf(text, " failed: %s", name->str);
    if (strerrordesc_np(error))
        g_string_append_printf(text, " (%s)", strerrordesc_np(error));
    g_string_free(name, TRUE);
    tell(r, line, true, text);
}

void events_tell_rcancel(const Request *r)
{
    GString *text = g_string_new(r->traced->text);

    g_string_append(text, " cancelled: no reply");
    tell(r, begin_request_line(r, "rcancel", tmessage_name(r->t.type)), false, text);
}

/* "Rread" for "Tread". */
static char *reply_name(const Request *r)
{
    char *name;

    if (r->error)
        return g_strdup(r->reply.start[4] == P9_RLERROR ? "Rlerror" : "Rerror");
    name = g_strdup(tmessage_name(r->t.type));
    name[0] = 'R';
    return name;
}

void events_tell_reply(const Request *r)
{
    g_autofree char *type = reply_name(r);
    GString *line = begin_request_line(r, "reply", type);
    GString *text = g_string_new(type);
    int64_t usec = g_get_monotonic_time() - r->taken_at;

    g_string_append_printf(text, " tag=%u", r->t.tag);
    if (r->error) {
        g_string_append_c(text, ' ');
        describe_error(text, r->error);
    } else {
        describe_reply(text, r->t.type, r->reply.start, r->reply.used);
    }
    g_string_append_printf(text, " (%" G_GINT64_FORMAT " us)", usec);
    record_number(line, "bytes", request_reply_size(r));
    record_number(line, "latency_us", (uint64_t)usec);
    tell(r, line, false, text);
}

void events_tell_version(const Request *r, const char *dialect, uint32_t msize)
{
    GString *text = g_string_new("a session begins:");

    g_string_append_printf(text, " %s msize=%u", dialect, msize);
    tell(r, begin_request_line(r, "version", tmessage_name(r->t.type)), false, text);
}

void events_tell_stall(Session *session, unsigned ring, size_t bytes)
{
    GString *line = begin_line("ring_stall");
    g_autofree char *text =
        g_strdup_printf("a reply of %zu bytes waits for room in ring %u", bytes, ring);

    record_number(line, "ring", ring);
    record_number(line, "bytes", bytes);
    tell_everybody(session, line, text);
}

void events_tell_state(Session *session, const char *old, const char *new)
{
    g_autofree char *text = g_strdup_printf("the device was %s and is %s", old, new);

    tell_everybody(session, begin_line("state"), text);
}
