/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command stats: what a device's worker has counted, since it started or in each of some
 * intervals.
 */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/sample.h"

static struct {
    double interval;
    int count;
} settings;

static const GOptionEntry options[] = {
    {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &settings.interval,
     "Show what happens in each so many seconds, until interrupted", "SECONDS"},
    {"count", 'n', 0, G_OPTION_ARG_INT, &settings.count, "End after so many intervals", "N"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const Column session_columns[] = {
    {"version", "dialect", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"msize", "msize", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"mounts", "mounts", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"uptime_us", "up", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"threads", "threads", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"threads_max", NULL, COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"fids", "fids", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"fids_max", NULL, COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"open_files", "open files", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"open_files_max", NULL, COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"locks", "locks", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"locks_max", NULL, COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"xattr_bytes", "attributes", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"xattr_bytes_max", NULL, COLUMN_BYTES, COLUMN_JSON_ONLY},
    {"in_flight", "in flight", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"in_flight_max", "at most", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"in_flight_bytes", "memory", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"in_flight_bytes_max", NULL, COLUMN_BYTES, COLUMN_JSON_ONLY},
    {"requests", "requests", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"errors", "errors", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"cancelled", "cancelled", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"flushes", "flushes", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"bytes_in", "in", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"bytes_out", "out", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"quota_files", "quota: files", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"quota_files_max", NULL, COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"quota_bytes", "space", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"quota_bytes_max", NULL, COLUMN_BYTES, COLUMN_JSON_ONLY},
    {"quota_scan", "count", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

/* Each line of the text begins with one of these. */
static const char *const line_starts[] = {"version", "fids", "in_flight", "requests",
                                          "quota_files"};

static const Column operation_columns[] = {
    {"name", "OPERATION", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"count", "COUNT", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"errors", "ERRORS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"cancelled", "CANCELLED", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"bytes_in", "IN", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"bytes_out", "OUT", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"mean_us", "MEAN", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"p50_us", "P50", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"p99_us", "P99", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"p999_us", "P99.9", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"max_us", "MAX", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

static const Column ring_columns[] = {
    {"index", "RING", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"order", "ORDER", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"requests", "REQUESTS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"replies", "REPLIES", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"out_used", "OUT-USED", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"in_used", "IN-USED", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"in_high", "IN-HIGH", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"stalls", "STALLS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"stalled_us", "STALLED", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"notifications", "NOTIFIED", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"wakeups", "WOKEN", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

/* What counts up; the rest of a record is as it is now. */
static const char *const session_counters[] = {"requests", "errors",    "cancelled", "flushes",
                                               "bytes_in", "bytes_out", NULL};
static const char *const ring_counters[] = {"requests",      "replies", "stalls", "stalled_us",
                                            "notifications", "wakeups", NULL};

/* A copy in which `counters` tell what has been added since. */
static Record *subtract(const Record *now, const Record *before, const char *const *counters)
{
    Record *record = record_new("difference");

    record_merge(record, now);
    for (size_t i = 0; counters[i] != NULL; i++) {
        if (record_get(now, counters[i]) != NULL)
            record_set_number(record, counters[i], activity_growth(now, before, counters[i]));
    }
    return record;
}

static Record *make_session(const Query *now, const Query *before)
{
    const Record *session = query_find(now, "session");

    if (session == NULL)
        return NULL;
    return subtract(session, before != NULL ? query_find(before, "session") : NULL,
                    session_counters);
}

static GPtrArray *make_rings(const Query *now, const Query *before)
{
    GPtrArray *rings = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    g_autoptr(GPtrArray) records = activity_records(now, "ring");

    for (guint i = 0; i < records->len; i++) {
        const Record *ring = g_ptr_array_index(records, i);
        const Record *earlier = activity_find(before, "ring", "index", ring);

        g_ptr_array_add(rings, subtract(ring, earlier, ring_counters));
    }
    return rings;
}

static bool starts_line(const char *field)
{
    for (size_t i = 0; i < G_N_ELEMENTS(line_starts); i++) {
        if (strcmp(line_starts[i], field) == 0)
            return true;
    }
    return false;
}

/* Of this there is no limit but the most there were. */
static const char in_flight[] = "in_flight";

/* "12", or "12 of 64" where there is a limit. */
static char *describe_value(const Column *column, const Record *session)
{
    g_autofree char *limit_field = g_strconcat(column->field, "_max", NULL);
    Column limit_column = *column;
    g_autofree char *value = column_text(column, session);
    g_autofree char *limit = NULL;

    limit_column.field = limit_field;
    if (strcmp(column->field, in_flight) == 0 || record_get_number(session, limit_field) == 0)
        return g_steal_pointer(&value);
    limit = column_text(&limit_column, session);
    return g_strdup_printf("%s of %s", value, limit);
}

/* A quota is worth a line where there is one. */
static bool is_shown(const Column *column, const Record *session)
{
    if (column->title == NULL || record_get(session, column->field) == NULL)
        return false;
    return !g_str_has_prefix(column->field, "quota_") ||
           strcmp(record_get_text(session, "quota_scan"), "off") != 0;
}

static void print_session(const Record *session)
{
    bool begun = false;

    for (const Column *column = session_columns; column->field != NULL; column++) {
        g_autofree char *value = NULL;

        if (starts_line(column->field)) {
            fputs(begun ? "\n" : "", stdout);
            begun = false;
        }
        if (!is_shown(column, session))
            continue;
        value = describe_value(column, session);
        printf("%s%s %s", begun ? ", " : "  ", column->title, value);
        begun = true;
    }
    fputs(begun ? "\n" : "", stdout);
}

static void print_device(const Query *now, const Query *before)
{
    const Record *device = now->context;
    g_autofree char *name = device_describe(device);
    g_autofree char *path = text_escape(record_get_text(device, "path"));
    g_autofree char *shown = text_escape(name);
    g_autoptr(Record) session = make_session(now, before);
    g_autoptr(GPtrArray) operations = activity_operations(now, before);
    g_autoptr(GPtrArray) rings = make_rings(now, before);
    GString *head = g_string_new(NULL);

    text_append_styled(head, text_has_colours(stdout), TEXT_HEAD, shown);
    printf("%s %s\n", head->str, path);
    g_string_free(head, TRUE);
    if (session != NULL)
        print_session(session);
    else
        puts(now->status == QUERY_COMPLETE ? "  is not connected" : "  does not answer");
    if (operations->len > 0)
        table_print(operation_columns, operations);
    if (rings->len > 0)
        table_print(ring_columns, rings);
    putchar('\n');
}

static void set_optional_text(JsonObject *object, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_text(object, name, text);
    else
        json_object_set_null_member(object, name);
}

static JsonObject *device_to_json(const Query *now, const Query *before)
{
    const Record *device = now->context;
    g_autoptr(Record) session = make_session(now, before);
    g_autoptr(GPtrArray) operations = activity_operations(now, before);
    g_autoptr(GPtrArray) rings = make_rings(now, before);
    JsonObject *object = json_object_new();

    json_object_set_text(object, "device", record_get_text(device, "device"));
    set_optional_text(object, "domain", record_get(device, "domain"));
    set_optional_text(object, "mount_tag", record_get(device, "tag"));
    set_optional_text(object, "error", now->error);
    if (session != NULL)
        json_object_set_object_member(object, "session",
                                      table_record_to_json(session_columns, session));
    else
        json_object_set_null_member(object, "session");
    json_object_set_member(object, "operations", table_to_json(operation_columns, operations));
    json_object_set_member(object, "rings", table_to_json(ring_columns, rings));
    return object;
}

static void print_json(const Sample *now, const Sample *before)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < now->queries->len; i++) {
        const Query *query = g_ptr_array_index(now->queries, i);

        json_array_add_object_element(array, device_to_json(query, sample_find(before, query)));
    }
    json_print(json_array_to_node(array), settings.interval > 0);
}

static void print_text(const Sample *now, const Sample *before)
{
    if (now->queries->len == 0)
        puts("No devices.");
    for (guint i = 0; i < now->queries->len; i++) {
        const Query *query = g_ptr_array_index(now->queries, i);

        print_device(query, sample_find(before, query));
    }
}

static void print_sample(const Tool *tool, const Sample *now, const Sample *before)
{
    if (tool->json)
        print_json(now, before);
    else
        print_text(now, before);
    fflush(stdout);
}

/* Prints what happens between samples. */
static int print_intervals(const Tool *tool, char **arguments, Sample *before)
{
    int status = TOOL_OK;

    for (int i = 0; settings.count == 0 || i < settings.count; i++) {
        Sample now = {0};

        g_usleep((gulong)(settings.interval * G_USEC_PER_SEC));
        if (!sample_take(&now, tool, arguments)) {
            status = tool_error("%s", now.error);
            sample_clear(&now);
            return status;
        }
        print_sample(tool, &now, before);
        status = MAX(status, devices_report(now.queries));
        sample_clear(before);
        *before = now;
    }
    return status;
}

static int run_stats(const Tool *tool, char **arguments)
{
    Sample first = {0};
    Sample none = {0};
    int status;

    if (settings.interval < 0 || settings.interval > 86400 || settings.count < 0)
        return tool_usage("stats: --interval is at most a day, and --count is not negative");
    if (settings.count > 0 && settings.interval <= 0)
        return tool_usage("stats: --count needs --interval");
    if (!sample_take(&first, tool, arguments)) {
        status = tool_error("%s", first.error);
    } else if (settings.interval > 0) {
        status = print_intervals(tool, arguments, &first);
    } else {
        print_sample(tool, &first, &none);
        status = devices_report(first.queries);
    }
    sample_clear(&first);
    return status;
}

const Command command_stats = {
    .name = "stats",
    .arguments = "[DEVICE...]",
    .help = "Show what devices have done: operations, times, rings",
    .description =
        "P50, P99 and P99.9 are times within which that share of the operations was done.",
    .options = options,
    .max_arguments = COMMAND_ANY_NUMBER,
    .json = true,
    .run = run_stats,
};
