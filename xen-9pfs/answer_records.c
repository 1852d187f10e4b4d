/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers: what is in them; see answer.h and docs/control-protocol.md. */
#include "xen-9pfs/answer_records.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/record.h"
#include "protocol/local.h"

enum {
    N_TYPES = 128,                    /* of messages */
    MAX_LIST_BYTES = 8 * 1024 * 1024, /* of a list of fids */
};

/*
 * stats
 */

static void add_totals(const Session *session, GString *out)
{
    OpStats sum = {0}, op, flushes;

    for (unsigned type = 0; type < N_TYPES; type += 2) {
        stats_read(session->stats, (uint8_t)type, &op);
        sum.errors += op.errors;
        sum.cancelled += op.cancelled;
        sum.bytes_in += op.bytes_in;
        sum.bytes_out += op.bytes_out;
    }
    stats_read(session->stats, P9_TFLUSH, &flushes);
    record_number(out, "cancelled", sum.cancelled);
    record_number(out, "flushes", flushes.count);
    record_number(out, "errors", sum.errors);
    record_number(out, "bytes_in", sum.bytes_in);
    record_number(out, "bytes_out", sum.bytes_out);
}

static void add_quota(const AnswerSource *source, GString *out)
{
    const QuotaOptions *options = &source->session->options.quota;
    Quota *quota = local_fs_quota(source->fs);
    bool counts = quota && quota_counts(quota);
    QuotaStatus status = {0};

    if (quota)
        status = quota_status(quota);
    record_number(out, "quota_files", status.use.files);
    record_number(out, "quota_files_max", options->max_files);
    record_number(out, "quota_bytes", status.use.bytes);
    record_number(out, "quota_bytes_max", options->max_space);
    record_text(out, "quota_scan", !counts ? "off" : status.counting ? "running" : "done");
}

static void add_session(const AnswerSource *source, GString *out)
{
    Session *session = source->session;
    const SessionLimits *limits = &session->limits;
    SessionStatus status = session_status(session);

    record_begin(out, "session");
    record_text(out, "version", status.dialect ? dialect_name(status.dialect) : "none");
    record_number(out, "msize", status.msize);
    record_number(out, "mounts", status.n_attached);
    record_number(out, "fids", status.n_fids);
    record_number(out, "fids_max", limits->device.max_fids);
    record_number(out, "open_files", status.n_open);
    record_number(out, "open_files_max", session->options.quota.max_open_files);
    record_number(out, "xattr_bytes", status.xattr_bytes);
    record_number(out, "xattr_bytes_max", limits->device.max_xattr_bytes);
    record_number(out, "locks", status.n_lock_ranges);
    record_number(out, "locks_max", limits->device.max_lock_ranges);
    record_number(out, "in_flight", status.n_in_flight);
    record_number(out, "in_flight_max", status.most_in_flight);
    record_number(out, "in_flight_bytes", status.inflight_bytes);
    record_number(out, "in_flight_bytes_max", limits->device.max_inflight);
    record_number(out, "threads", status.n_threads);
    record_number(out, "threads_max",
                  limits->device.max_threads + limits->device.max_spare_threads);
    record_number(out, "requests", status.n_taken);
    add_totals(session, out);
    add_quota(source, out);
    record_number(out, "uptime_us", (uint64_t)status.age_usec);
    record_end(out);
}

static void append_numbers(GString *out, const char *name, uint64_t (*get)(unsigned, const void *),
                           const void *context)
{
    g_string_append_printf(out, "\t%s=", name);
    for (unsigned i = 0; i < STATS_BUCKETS; i++)
        g_string_append_printf(out, "%s%" G_GUINT64_FORMAT, i > 0 ? "," : "", get(i, context));
}

static uint64_t get_bound(unsigned index, const void *context)
{
    (void)context;
    return stats_bound(index);
}

static uint64_t get_bucket(unsigned index, const void *context)
{
    return ((const OpStats *)context)->buckets[index];
}

static void add_bounds(GString *out)
{
    record_begin(out, "buckets");
    append_numbers(out, "bounds_us", get_bound, NULL);
    record_end(out);
}

static void add_operation(const Session *session, uint8_t type, GString *out)
{
    OpStats op;

    stats_read(session->stats, type, &op);
    if (op.count == 0)
        return;
    record_begin(out, "operation");
    record_text(out, "name", tmessage_name(type));
    record_number(out, "count", op.count);
    record_number(out, "errors", op.errors);
    record_number(out, "cancelled", op.cancelled);
    record_number(out, "bytes_in", op.bytes_in);
    record_number(out, "bytes_out", op.bytes_out);
    record_number(out, "total_us", op.total_usec);
    record_number(out, "max_us", op.max_usec);
    append_numbers(out, "buckets", get_bucket, &op);
    record_end(out);
}

static void add_ring(Ring *ring, unsigned index, GString *out)
{
    RingStats stats = ring_stats(ring);

    record_begin(out, "ring");
    record_number(out, "index", index);
    record_number(out, "order", stats.order);
    record_number(out, "size", stats.size);
    record_number(out, "requests", stats.requests);
    record_number(out, "replies", stats.replies);
    record_number(out, "in_used", stats.in_used);
    record_number(out, "out_used", stats.out_used);
    record_number(out, "in_high", stats.in_high);
    record_number(out, "stalls", stats.stalls);
    record_number(out, "stalled_us", stats.stalled_usec);
    record_number(out, "notifications", stats.notifications);
    record_number(out, "wakeups", stats.wakeups);
    record_end(out);
}

static void answer_stats(const AnswerSource *source, GString *out)
{
    add_session(source, out);
    add_bounds(out);
    for (unsigned type = 0; type < N_TYPES; type += 2)
        add_operation(source->session, (uint8_t)type, out);
    for (unsigned i = 0; i < source->n_rings; i++)
        add_ring(source->rings[i], i, out);
}

/*
 * requests
 */

static const char *state_name(const RequestInfo *r)
{
    if (r->state == REQUEST_DONE)
        return "done";
    if (r->cancelled || r->abandoned)
        return "cancelled";
    if (r->waits)
        return "waiting";
    return r->state == REQUEST_RUNNING ? "running" : "queued";
}

static void add_request(const RequestInfo *r, GString *out)
{
    record_begin(out, "request");
    record_number(out, "tag", r->tag);
    record_text(out, "type", tmessage_name(r->type));
    record_number(out, "age_us", (uint64_t)r->age_usec);
    record_text(out, "state", state_name(r));
    if (r->fid != P9_NOFID)
        record_number(out, "fid", r->fid);
    record_text(out, "path", r->path);
    record_number(out, "ring", r->channel);
    if (r->has_fid)
        record_number(out, "uid", r->uid);
    record_text(out, "detail", r->detail);
    record_end(out);
}

static void answer_requests(const AnswerSource *source, GString *out)
{
    g_autoptr(GArray) requests = session_list_requests(source->session);

    for (unsigned i = 0; i < requests->len; i++)
        add_request(&g_array_index(requests, RequestInfo, i), out);
}

/*
 * fids
 */

static const char *type_name(mode_t type)
{
    switch (type & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "dir";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "char";
    default:
        return "block";
    }
}

static const char *access_name(const FidInfo *info)
{
    static const char *const names[] = {"r", "w", "rw", "-"};

    return info->is_open ? names[info->flags & O_ACCMODE] : "-";
}

/* What was listed so far. */
typedef struct FidList {
    GString *out;
    size_t n;
} FidList;

static bool add_fid(uint32_t id, const FidInfo *info, void *context)
{
    FidList *list = context;

    if (list->out->len > MAX_LIST_BYTES)
        return false;
    list->n++;
    record_begin(list->out, "fid");
    record_number(list->out, "fid", id);
    record_text(list->out, "path", info->path);
    record_text(list->out, "type", info->is_xattr ? "xattr" : type_name(info->type));
    record_text(list->out, "open", access_name(info));
    record_number(list->out, "uid", info->uid);
    record_end(list->out);
    return true;
}

static void answer_fids(const AnswerSource *source, GString *out)
{
    FidList list = {.out = out};

    session_each_fid(source->session, add_fid, &list);
    if (out->len > MAX_LIST_BYTES) {
        record_begin(out, "cut");
        record_number(out, "listed", list.n);
        record_number(out, "fids", session_status(source->session).n_fids);
        record_end(out);
    }
}

/*
 * trace
 */

/* Adds the message that is called `name` to those that a filter lets through. */
static bool add_type(TraceFilter *filter, const char *name)
{
    for (unsigned type = 0; type < N_TYPES; type += 2) {
        if (strcmp(tmessage_name((uint8_t)type), name) == 0) {
            filter->types[type / 64] |= UINT64_C(1) << type % 64;
            return true;
        }
    }
    return false;
}

/* Each of these returns NULL, or what is wrong. */
static const char *parse_types(const char *value, TraceFilter *filter)
{
    g_auto(GStrv) names = g_strsplit(value, ",", -1);

    for (char **name = names; *name; name++) {
        if (!add_type(filter, *name))
            return "ops: names of messages, separated by commas, such as Tread,Twrite";
    }
    return *names ? NULL : "ops: names of messages, such as Tread";
}

static const char *parse_fid(const char *value, TraceFilter *filter)
{
    guint64 fid;

    if (!g_ascii_string_to_unsigned(value, 10, 0, UINT32_MAX, &fid, NULL))
        return "fid: a number";
    filter->has_fid = true;
    filter->fid = (uint32_t)fid;
    return NULL;
}

static const char *parse_path(const char *value, TraceFilter *filter)
{
    g_free(filter->path);
    filter->path = g_strdup(value);
    return NULL;
}

static const char *parse_errors(const char *value, TraceFilter *filter)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return "errors: 0 or 1";
    filter->errors = value[0] == '1';
    return NULL;
}

static const struct {
    const char *name;
    const char *(*parse)(const char *value, TraceFilter *filter);
} trace_arguments[] = {
    {"ops=", parse_types},
    {"fid=", parse_fid},
    {"path=", parse_path},
    {"errors=", parse_errors},
};

static const char *parse_argument(const char *word, TraceFilter *filter)
{
    for (size_t i = 0; i < G_N_ELEMENTS(trace_arguments); i++) {
        const char *name = trace_arguments[i].name;

        if (g_str_has_prefix(word, name))
            return trace_arguments[i].parse(word + strlen(name), filter);
    }
    return "trace: the arguments are ops=, fid=, path= and errors=";
}

/* Begins to trace. Returns the tracer, or -1. */
static int answer_trace(const AnswerSource *source, char **arguments, GString *out)
{
    const char *why = NULL;
    TraceFilter filter = {.has_fid = false};
    int tracer = -1;

    for (; *arguments && !why; arguments++)
        why = parse_argument(*arguments, &filter);
    if (!why) {
        tracer = session_add_tracer(source->session, &filter);
        why = "there are four tracers already";
    }
    trace_filter_deinit(&filter);
    if (tracer < 0)
        record_error(out, why);
    else
        g_string_append(out, RECORD_OK);
    return tracer;
}

/*
 * All
 */

static const struct {
    const char *name;
    void (*answer)(const AnswerSource *source, GString *out);
} commands[] = {
    {"stats", answer_stats},
    {"requests", answer_requests},
    {"fids", answer_fids},
};

/* One of those without arguments but the device, at which the supervisor has looked. */
static void answer_command(const AnswerSource *source, char **words, GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        if (g_strv_length(words) != 2) {
            record_error(out, "this command has no arguments but the device");
            return;
        }
        g_string_append(out, RECORD_OK);
        commands[i].answer(source, out);
        g_string_append(out, RECORD_END);
        return;
    }
    record_error(out, "the worker does not know this command");
}

int answer_request(const AnswerSource *source, const char *request, GString *out)
{
    g_auto(GStrv) words = record_split_request(request);

    if (!words || !words[1])
        record_error(out, "the request is malformed");
    else if (strcmp(words[0], "trace") == 0)
        return answer_trace(source, words + 2, out);
    else
        answer_command(source, words, out);
    return -1;
}
