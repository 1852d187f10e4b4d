/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command metrics: what daemon and workers count, as text for Prometheus, in its own format or
 * in that of OpenMetrics.
 *
 * A worker may be in the hands of its guest. One that names an operation twice, or calls it what it
 * likes, must not spoil what all others say: what is not well formed, or there twice, is left out.
 */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/activity.h"
#include "xen-9pfs/tool/devices.h"

enum { MAX_NAME = 24 };

static struct {
    char *output;
    gboolean openmetrics;
} settings;

static const GOptionEntry options[] = {
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &settings.output,
     "Write to this file, as a whole or not at all", "FILE"},
    {"openmetrics", 0, 0, G_OPTION_ARG_NONE, &settings.openmetrics,
     "Use the format of OpenMetrics instead of that of Prometheus", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

typedef enum MetricType {
    METRIC_GAUGE,
    METRIC_COUNTER,
} MetricType;

typedef enum MetricUnit {
    UNIT_NONE,
    UNIT_BYTES,
    UNIT_SECONDS,      /* the field is in seconds */
    UNIT_MICROSECONDS, /* the field is, the metric in seconds */
} MetricUnit;

/* A metric with one sample for each record of a kind. */
typedef struct Metric {
    const char *name; /* behind "xen_9pfs_" and without "_total" */
    MetricType type;
    MetricUnit unit;
    const char *field; /* of the record */
    const char *help;
} Metric;

static const Metric daemon_metrics[] = {
    {"daemon_start_time_seconds", METRIC_GAUGE, UNIT_SECONDS, "since",
     "When the daemon was started, since 1970."},
    {"devices", METRIC_GAUGE, UNIT_NONE, "devices", "Devices that the daemon looks after."},
    {NULL, METRIC_GAUGE, UNIT_NONE, NULL, NULL},
};

static const Metric device_metrics[] = {
    {"device_start_time_seconds", METRIC_GAUGE, UNIT_SECONDS, "since",
     "Since when the device is in its state, since 1970."},
    {"device_restarts", METRIC_COUNTER, UNIT_NONE, "restarts", "Workers started anew."},
    {NULL, METRIC_GAUGE, UNIT_NONE, NULL, NULL},
};

static const Metric session_metrics[] = {
    {"msize_bytes", METRIC_GAUGE, UNIT_BYTES, "msize", "Size of the largest message."},
    {"mounts", METRIC_GAUGE, UNIT_NONE, "mounts", "How often the guest has mounted the device."},
    {"fids", METRIC_GAUGE, UNIT_NONE, "fids", "Files and directories that the guest holds."},
    {"fids_limit", METRIC_GAUGE, UNIT_NONE, "fids_max", "How many of them it may hold."},
    {"open_files", METRIC_GAUGE, UNIT_NONE, "open_files", "Files that the guest has open."},
    {"open_files_limit", METRIC_GAUGE, UNIT_NONE, "open_files_max", "How many it may have open."},
    {"xattr_bytes", METRIC_GAUGE, UNIT_BYTES, "xattr_bytes",
     "Extended attributes that are being read or written."},
    {"locks", METRIC_GAUGE, UNIT_NONE, "locks", "Locked ranges of files."},
    {"in_flight_requests", METRIC_GAUGE, UNIT_NONE, "in_flight", "Requests in flight."},
    {"in_flight_bytes", METRIC_GAUGE, UNIT_BYTES, "in_flight_bytes", "Memory for these."},
    {"threads", METRIC_GAUGE, UNIT_NONE, "threads", "Threads of the worker that serve requests."},
    {"uptime_seconds", METRIC_GAUGE, UNIT_MICROSECONDS, "uptime_us", "Age of the worker."},
    {"requests", METRIC_COUNTER, UNIT_NONE, "requests", "Requests taken."},
    {"errors", METRIC_COUNTER, UNIT_NONE, "errors", "Requests that were answered with an error."},
    {"cancelled", METRIC_COUNTER, UNIT_NONE, "cancelled", "Requests that the guest cancelled."},
    {"flushes", METRIC_COUNTER, UNIT_NONE, "flushes", "Requests to cancel one."},
    {"received_bytes", METRIC_COUNTER, UNIT_BYTES, "bytes_in", "What the guest has sent."},
    {"sent_bytes", METRIC_COUNTER, UNIT_BYTES, "bytes_out", "What was sent to the guest."},
    {"quota_files", METRIC_GAUGE, UNIT_NONE, "quota_files", "Files that count for max-files."},
    {"quota_files_limit", METRIC_GAUGE, UNIT_NONE, "quota_files_max", "The limit max-files."},
    {"quota_bytes", METRIC_GAUGE, UNIT_BYTES, "quota_bytes", "Space that counts for max-space."},
    {"quota_limit_bytes", METRIC_GAUGE, UNIT_BYTES, "quota_bytes_max", "The limit max-space."},
    {NULL, METRIC_GAUGE, UNIT_NONE, NULL, NULL},
};

static const Metric operation_metrics[] = {
    {"operation_errors", METRIC_COUNTER, UNIT_NONE, "errors", "Operations that failed."},
    {"operation_cancelled", METRIC_COUNTER, UNIT_NONE, "cancelled", "Operations cancelled."},
    {"operation_received_bytes", METRIC_COUNTER, UNIT_BYTES, "bytes_in", "Sizes of the requests."},
    {"operation_sent_bytes", METRIC_COUNTER, UNIT_BYTES, "bytes_out", "Sizes of the replies."},
    {NULL, METRIC_GAUGE, UNIT_NONE, NULL, NULL},
};

static const Metric ring_metrics[] = {
    {"ring_requests", METRIC_COUNTER, UNIT_NONE, "requests", "Requests taken from the ring."},
    {"ring_replies", METRIC_COUNTER, UNIT_NONE, "replies", "Replies put into the ring."},
    {"ring_out_used_bytes", METRIC_GAUGE, UNIT_BYTES, "out_used",
     "Requests in the ring that were not taken."},
    {"ring_in_used_bytes", METRIC_GAUGE, UNIT_BYTES, "in_used",
     "Replies in the ring that the guest has not read."},
    {"ring_in_high_bytes", METRIC_GAUGE, UNIT_BYTES, "in_high", "The most there have been."},
    {"ring_stalls", METRIC_COUNTER, UNIT_NONE, "stalls",
     "Replies that had to wait until the guest read others."},
    {"ring_stalled_seconds", METRIC_COUNTER, UNIT_MICROSECONDS, "stalled_us",
     "Time during which replies waited for the guest."},
    {"ring_notifications", METRIC_COUNTER, UNIT_NONE, "notifications", "Events sent."},
    {"ring_wakeups", METRIC_COUNTER, UNIT_NONE, "wakeups", "Events received."},
    {NULL, METRIC_GAUGE, UNIT_NONE, NULL, NULL},
};

/* Appends NAME="VALUE". */
static void append_label(GString *labels, const char *name, const char *value)
{
    g_autofree char *printable = text_printable(value);

    g_string_append_printf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
    for (const char *c = printable; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            g_string_append_c(labels, '\\');
        g_string_append_c(labels, *c);
    }
    g_string_append_c(labels, '"');
}

/* The labels that all samples of a device have. */
static GString *make_labels(const Record *device)
{
    GString *labels = g_string_new(NULL);

    append_label(labels, "device", record_get_text(device, "device"));
    append_label(labels, "domain", record_get_text(device, "domain"));
    append_label(labels, "tag", record_get_text(device, "tag"));
    return labels;
}

static void append_head(GString *out, const char *name, const char *type, MetricUnit unit,
                        const char *help)
{
    bool suffixed = strcmp(type, "counter") == 0 && !settings.openmetrics;
    const char *suffix = suffixed ? "_total" : "";

    g_string_append_printf(out, "# HELP xen_9pfs_%s%s %s\n", name, suffix, help);
    g_string_append_printf(out, "# TYPE xen_9pfs_%s%s %s\n", name, suffix, type);
    if (settings.openmetrics && unit != UNIT_NONE)
        g_string_append_printf(out, "# UNIT xen_9pfs_%s %s\n", name,
                               unit == UNIT_BYTES ? "bytes" : "seconds");
}

/* Exact, and the same in every locale. */
static void append_seconds(GString *out, uint64_t us)
{
    g_string_append_printf(out, "%" G_GUINT64_FORMAT, us / G_USEC_PER_SEC);
    if (us % G_USEC_PER_SEC != 0) {
        g_string_append_printf(out, ".%06u", (unsigned)(us % G_USEC_PER_SEC));
        while (out->str[out->len - 1] == '0')
            g_string_truncate(out, out->len - 1);
    }
}

static void append_sample(GString *out, const Metric *metric, const char *labels, uint64_t value)
{
    g_string_append_printf(out, "xen_9pfs_%s%s", metric->name,
                           metric->type == METRIC_COUNTER ? "_total" : "");
    if (labels[0] != '\0')
        g_string_append_printf(out, "{%s}", labels);
    g_string_append_c(out, ' ');
    if (metric->unit == UNIT_MICROSECONDS)
        append_seconds(out, value);
    else
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, value);
    g_string_append_c(out, '\n');
}

/* The records of a kind that make sense as samples of a device: each with another value of the field
 * `key`, which is a number or the name of an operation. A NULL key: the first record. */
static GPtrArray *choose_records(const Query *query, const char *kind, const char *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzT0123456789<>";
    g_autoptr(GPtrArray) records = activity_records(query, kind);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *chosen = g_ptr_array_new();

    for (guint i = 0; i < records->len; i++) {
        Record *record = g_ptr_array_index(records, i);
        const char *value = key != NULL ? record_get_text(record, key) : "one";

        if (value[0] != '\0' && strlen(value) <= MAX_NAME &&
            strspn(value, letters) == strlen(value) && g_hash_table_add(seen, (gpointer)value))
            g_ptr_array_add(chosen, record);
    }
    return chosen;
}

static void append_device_samples(GString *out, const Metric *metric, const Query *query,
                                  const char *kind, const char *key, const char *label)
{
    g_autoptr(GPtrArray) records = choose_records(query, kind, key);

    for (guint i = 0; i < records->len; i++) {
        const Record *record = g_ptr_array_index(records, i);
        GString *labels = make_labels(query->context);
        uint64_t value;

        if (key != NULL)
            append_label(labels, label, record_get_text(record, key));
        if (text_parse_number(record_get(record, metric->field), &value))
            append_sample(out, metric, labels->str, value);
        g_string_free(labels, TRUE);
    }
}

/* Metrics of what workers say. A metric without samples is left out. */
static void append_worker_metrics(GString *out, const Metric *metrics, const GPtrArray *queries,
                                  const char *kind, const char *key, const char *label)
{
    for (const Metric *metric = metrics; metric->name != NULL; metric++) {
        GString *samples = g_string_new(NULL);

        for (guint i = 0; i < queries->len; i++)
            append_device_samples(samples, metric, g_ptr_array_index(queries, i), kind, key, label);
        if (samples->len > 0) {
            append_head(out, metric->name, metric->type == METRIC_COUNTER ? "counter" : "gauge",
                        metric->unit, metric->help);
            g_string_append(out, samples->str);
        }
        g_string_free(samples, TRUE);
    }
}

/* The buckets of the worker are finer than is of use here: a bound at least doubles the one before. */
static void append_buckets(GString *out, const char *labels, const Histogram *histogram)
{
    uint64_t count = 0;
    uint64_t last_bound = 0;

    for (size_t i = 0; i < histogram->n_bounds; i++) {
        uint64_t bound = histogram->bounds_us[i];

        count += histogram->counts[i];
        if (bound < 2 * last_bound)
            continue;
        g_string_append_printf(out, "xen_9pfs_operation_duration_seconds_bucket{%s,le=\"", labels);
        append_seconds(out, bound);
        if (settings.openmetrics && bound % G_USEC_PER_SEC == 0)
            g_string_append(out, ".0");
        g_string_append_printf(out, "\"} %" G_GUINT64_FORMAT "\n", count);
        last_bound = bound;
    }
    g_string_append_printf(out,
                           "xen_9pfs_operation_duration_seconds_bucket{%s,le=\"+Inf\"} "
                           "%" G_GUINT64_FORMAT "\n",
                           labels, histogram_total(histogram));
}

static void append_histogram(GString *out, const Query *query, const Record *operation)
{
    g_autoptr(Histogram) histogram = histogram_new(query_find(query, "buckets"), operation);
    GString *labels;

    if (histogram_total(histogram) == 0)
        return;
    labels = make_labels(query->context);
    append_label(labels, "operation", record_get_text(operation, "name"));
    append_buckets(out, labels->str, histogram);
    g_string_append_printf(out, "xen_9pfs_operation_duration_seconds_sum{%s} ", labels->str);
    append_seconds(out, record_get_number(operation, "total_us"));
    g_string_append_printf(
        out, "\nxen_9pfs_operation_duration_seconds_count{%s} %" G_GUINT64_FORMAT "\n", labels->str,
        histogram_total(histogram));
    g_string_free(labels, TRUE);
}

static void append_histograms(GString *out, const GPtrArray *queries)
{
    GString *samples = g_string_new(NULL);

    for (guint i = 0; i < queries->len; i++) {
        const Query *query = g_ptr_array_index(queries, i);
        g_autoptr(GPtrArray) operations = choose_records(query, "operation", "name");

        for (guint j = 0; j < operations->len; j++)
            append_histogram(samples, query, g_ptr_array_index(operations, j));
    }
    if (samples->len > 0) {
        append_head(out, "operation_duration_seconds", "histogram", UNIT_SECONDS,
                    "How long operations took.");
        g_string_append(out, samples->str);
    }
    g_string_free(samples, TRUE);
}

static void append_up(GString *out, bool up)
{
    append_head(out, "up", "gauge", UNIT_NONE, "1 when the daemon answers.");
    g_string_append_printf(out, "xen_9pfs_up %d\n", up);
}

static void append_daemon(GString *out, const Record *daemon)
{
    GString *labels = g_string_new(NULL);

    append_label(labels, "version", record_get_text(daemon, "version"));
    append_label(labels, "sandbox", record_get_text(daemon, "sandbox"));
    append_label(labels, "seccomp", record_get_text(daemon, "seccomp"));
    append_head(out, "daemon_info", "gauge", UNIT_NONE, "What runs.");
    g_string_append_printf(out, "xen_9pfs_daemon_info{%s} 1\n", labels->str);
    g_string_free(labels, TRUE);
    for (const Metric *metric = daemon_metrics; metric->name != NULL; metric++) {
        append_head(out, metric->name, "gauge", metric->unit, metric->help);
        append_sample(out, metric, "", record_get_number(daemon, metric->field));
    }
}

static void append_device_info(GString *out, const Query *query)
{
    static const char *const fields[] = {"domid", "path", "security_model", "state"};
    const Record *device = query->context;
    const Record *session = query_find(query, "session");
    GString *labels = make_labels(device);

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        append_label(labels, fields[i], record_get_text(device, fields[i]));
    append_label(labels, "dialect", session != NULL ? record_get_text(session, "version") : "");
    g_string_append_printf(out, "xen_9pfs_device_info{%s} 1\n", labels->str);
    g_string_free(labels, TRUE);
}

/* Whether a device has a worker that answers. */
static void append_device_up(GString *out, const Query *query)
{
    static const Metric up = {"device_up", METRIC_GAUGE, UNIT_NONE, NULL, NULL};
    GString *labels = make_labels(query->context);

    append_sample(out, &up, labels->str,
                  device_is_served(query->context) && query->status == QUERY_COMPLETE);
    g_string_free(labels, TRUE);
}

static void append_device_metric(GString *out, const Metric *metric, const Query *query)
{
    GString *labels = make_labels(query->context);
    uint64_t value;

    if (text_parse_number(record_get(query->context, metric->field), &value))
        append_sample(out, metric, labels->str, value);
    g_string_free(labels, TRUE);
}

static void append_devices(GString *out, const GPtrArray *queries)
{
    if (queries->len == 0)
        return;
    append_head(out, "device_info", "gauge", UNIT_NONE, "How a device is served.");
    for (guint i = 0; i < queries->len; i++)
        append_device_info(out, g_ptr_array_index(queries, i));
    append_head(out, "device_up", "gauge", UNIT_NONE,
                "1 when the device is connected and its worker answers.");
    for (guint i = 0; i < queries->len; i++)
        append_device_up(out, g_ptr_array_index(queries, i));
    for (const Metric *metric = device_metrics; metric->name != NULL; metric++) {
        append_head(out, metric->name, metric->type == METRIC_COUNTER ? "counter" : "gauge",
                    metric->unit, metric->help);
        for (guint i = 0; i < queries->len; i++)
            append_device_metric(out, metric, g_ptr_array_index(queries, i));
    }
}

static void append_all(GString *out, const Tool *tool, const Record *daemon,
                       const GPtrArray *devices)
{
    g_autoptr(GPtrArray) queries = devices_ask(tool, devices, "stats");

    append_daemon(out, daemon);
    append_devices(out, queries);
    append_worker_metrics(out, session_metrics, queries, "session", NULL, NULL);
    append_histograms(out, queries);
    append_worker_metrics(out, operation_metrics, queries, "operation", "name", "operation");
    append_worker_metrics(out, ring_metrics, queries, "ring", "index", "ring");
}

static int deliver(const GString *text)
{
    g_autoptr(GError) error = NULL;

    if (settings.output == NULL)
        fputs(text->str, stdout);
    else if (!g_file_set_contents(settings.output, text->str, (gssize)text->len, &error))
        return tool_error("%s", error->message);
    return TOOL_OK;
}

/* A daemon that does not answer is a metric too. */
static int run_metrics(const Tool *tool, char **arguments)
{
    static char *all[] = {NULL};
    g_autoptr(Query) query = control_ask_daemon(tool, "version");
    const Record *daemon = query != NULL ? query_find(query, "daemon") : NULL;
    g_autoptr(GPtrArray) devices = daemon != NULL ? devices_select(tool, all) : NULL;
    GString *text = g_string_new(NULL);
    int status;

    (void)arguments;
    append_up(text, devices != NULL);
    if (devices != NULL)
        append_all(text, tool, daemon, devices);
    if (settings.openmetrics)
        g_string_append(text, "# EOF\n");
    status = deliver(text);
    g_string_free(text, TRUE);
    return devices != NULL ? status : TOOL_FAILED;
}

const Command command_metrics = {
    .name = "metrics",
    .arguments = "",
    .help = "Print metrics for Prometheus",
    .description = "Fit for the textfile collector of Prometheus's node exporter:\n"
                   "  xen-9pfs metrics --output=/var/lib/prometheus/node-exporter/xen-9pfs.prom",
    .options = options,
    .run = run_metrics,
};
