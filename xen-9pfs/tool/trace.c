/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command trace: the 9P conversation of devices, live. The workers choose what they send by the
 * filters; a worker that has nobody to tell spends nothing on it.
 */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/devices.h"
#include "xen-9pfs/tool/json.h"

static struct {
    char *ops;
    char *fid;
    char *path;
    gboolean errors;
    int count;
} settings;

static const GOptionEntry options[] = {
    {"ops", 0, 0, G_OPTION_ARG_STRING, &settings.ops,
     "Only these operations, such as Tlopen,Tread or lopen,read", "OPERATION[,OPERATION]"},
    {"fid", 0, 0, G_OPTION_ARG_STRING, &settings.fid, "Only requests about this fid", "FID"},
    {"path", 0, 0, G_OPTION_ARG_FILENAME, &settings.path,
     "Only requests about files whose path matches, with * and ?", "PATTERN"},
    {"errors", 'e', 0, G_OPTION_ARG_NONE, &settings.errors, "Only what ends with an error", NULL},
    {"count", 'n', 0, G_OPTION_ARG_INT, &settings.count, "End after so many lines", "N"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const Column columns[] = {
    {"device", "DEVICE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "DOMAIN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"mount_tag", "MOUNT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"time_us", "TIME", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"event", "EVENT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"tag", "TAG", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"type", "OPERATION", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"fid", "FID", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"name", "NAME", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"path", "PATH", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"error", "ERROR", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"ring", "RING", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"bytes", "BYTES", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"latency_us", "LATENCY", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"text", "TEXT", COLUMN_WORDS, COLUMN_EVERYWHERE},
    {"lost", "LOST", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

/* What goes on while lines come. */
typedef struct Trace {
    const Tool *tool;
    bool several; /* devices, so that lines need their names */
    bool colours;
    int n_lines;
} Trace;

/* "21:43:05.123456", in the local time zone. */
static char *describe_moment(uint64_t time_us)
{
    g_autoptr(GDateTime) time =
        time_us / G_USEC_PER_SEC <= G_MAXINT32
            ? g_date_time_new_from_unix_local((gint64)(time_us / G_USEC_PER_SEC))
            : NULL;
    g_autofree char *clock = time != NULL ? g_date_time_format(time, "%H:%M:%S") : g_strdup("?");

    return g_strdup_printf("%s.%06u", clock, (unsigned)(time_us % G_USEC_PER_SEC));
}

/* A line made of the fields, escaped, for a worker that has sent none. */
static char *describe_event(const Record *record)
{
    static const char *const fields[] = {"event", "type", "tag", "fid", "name", "path", "error"};
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *value = text_escape(record_get_text(record, fields[i]));

        if (value[0] != '\0')
            g_string_append_printf(text, "%s%s=%s", i > 0 ? " " : "", fields[i], value);
    }
    return g_string_free(text, FALSE);
}

static TextStyle choose_style(const Record *record)
{
    const char *event = record_get_text(record, "event");

    if (strcmp(event, "rerror") == 0)
        return TEXT_ALERT;
    return strcmp(event, "rcancel") == 0 || strcmp(event, "ring_stall") == 0 ? TEXT_NOTE
                                                                             : TEXT_PLAIN;
}

static void append_name(const Trace *trace, GString *line, const Record *device)
{
    g_autofree char *name = device_describe(device);
    g_autofree char *shown = text_escape(name);

    if (trace->several) {
        g_string_append_c(line, ' ');
        text_append_styled(line, trace->colours, TEXT_HEAD, shown);
    }
}

static void print_text(const Trace *trace, const Record *device, const Record *record)
{
    g_autofree char *moment = describe_moment(record_get_number(record, "time_us"));
    const char *given = record_get(record, "text");
    g_autofree char *text = given != NULL ? text_escape_words(given) : describe_event(record);
    GString *line = g_string_new(moment);

    append_name(trace, line, device);
    g_string_append_c(line, ' ');
    text_append_styled(line, trace->colours, choose_style(record), text);
    puts(line->str);
    g_string_free(line, TRUE);
}

static void print_lost(const Trace *trace, const Record *device, const Record *record)
{
    g_autofree char *text =
        g_strdup_printf("(%" G_GUINT64_FORMAT " lines were lost: this program reads too slowly)",
                        record_get_number(record, "count"));
    GString *line = g_string_new("--------");

    append_name(trace, line, device);
    g_string_append_c(line, ' ');
    text_append_styled(line, trace->colours, TEXT_NOTE, text);
    puts(line->str);
    g_string_free(line, TRUE);
}

static void print_json(const Record *device, Record *record)
{
    device_label(record, device);
    if (record_is(record, "lost"))
        record_set(record, "lost", record_get_text(record, "count"));
    json_print(json_object_to_node(table_record_to_json(columns, record)), true);
}

static bool take_record(Query *query, Record *record, void *data)
{
    Trace *trace = data;
    bool lost = record_is(record, "lost");

    if (lost || record_is(record, "trace")) {
        trace->n_lines++;
        if (trace->tool->json)
            print_json(query->context, record);
        else if (lost)
            print_lost(trace, query->context, record);
        else
            print_text(trace, query->context, record);
        fflush(stdout);
    }
    record_free(record);
    return settings.count == 0 || trace->n_lines < settings.count;
}

/* "Tread" of "Tread" or "read". */
static void append_operation(GString *out, const char *name)
{
    g_string_append(out, out->str[out->len - 1] == '=' ? "" : ",");
    g_string_append(out, name[0] == 'T' ? "" : "T");
    g_string_append(out, name);
}

static char *make_ops(const char *list)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);
    GString *out = g_string_new("ops=");

    for (size_t i = 0; names[i] != NULL; i++)
        append_operation(out, names[i]);
    return g_string_free(out, FALSE);
}

/* The filters as words of the request. */
static GStrv make_filters(void)
{
    GPtrArray *words = g_ptr_array_new();

    if (settings.ops != NULL)
        g_ptr_array_add(words, make_ops(settings.ops));
    if (settings.fid != NULL)
        g_ptr_array_add(words, g_strconcat("fid=", settings.fid, NULL));
    if (settings.path != NULL)
        g_ptr_array_add(words, g_strconcat("path=", settings.path, NULL));
    if (settings.errors)
        g_ptr_array_add(words, g_strdup("errors=1"));
    g_ptr_array_add(words, NULL);
    return (GStrv)g_ptr_array_free(words, FALSE);
}

static GPtrArray *make_queries(const GPtrArray *devices)
{
    g_auto(GStrv) filters = make_filters();
    GPtrArray *queries = g_ptr_array_new_with_free_func((GDestroyNotify)query_free);

    for (guint i = 0; i < devices->len; i++) {
        Record *device = g_ptr_array_index(devices, i);
        Query *query =
            query_new("trace", record_get(device, "device"), (const char *const *)filters);

        query->context = device;
        g_ptr_array_add(queries, query);
    }
    return queries;
}

/* The answers end when the workers do. */
static int report_ends(const GPtrArray *queries)
{
    int status = TOOL_OK;

    for (guint i = 0; i < queries->len; i++) {
        const Query *query = g_ptr_array_index(queries, i);
        g_autofree char *device = device_describe(query->context);

        if (query->status == QUERY_CUT)
            status = tool_error("device %s: its worker has ended", device);
        else if (query->error != NULL)
            status = tool_error("device %s: %s", device, query->error);
    }
    return status;
}

static int check_settings(void)
{
    uint64_t fid;

    if (settings.ops != NULL && settings.ops[0] == '\0')
        return tool_usage("trace: --ops needs the name of an operation");
    if (settings.fid != NULL && !text_parse_number(settings.fid, &fid))
        return tool_usage("trace: \"%s\" is not the number of a fid", settings.fid);
    if (settings.count < 0)
        return tool_usage("trace: --count is not negative");
    return TOOL_OK;
}

static int run_trace(const Tool *tool, char **arguments)
{
    Trace trace = {.tool = tool, .colours = text_has_colours(stdout)};
    g_autoptr(GPtrArray) devices = NULL;
    g_autoptr(GPtrArray) queries = NULL;
    int status = check_settings();

    if (status != TOOL_OK)
        return status;
    devices = devices_select(tool, arguments);
    if (devices == NULL)
        return TOOL_FAILED;
    devices_filter(devices, device_is_served);
    if (devices->len == 0)
        return tool_error("no device is connected that could be traced");
    trace.several = devices->len > 1;
    queries = make_queries(devices);
    control_run(tool, (Query *const *)queries->pdata, queries->len, CONTROL_NO_LIMIT, take_record,
                &trace);
    return report_ends(queries);
}

const Command command_trace = {
    .name = "trace",
    .arguments = "[DEVICE...]",
    .help = "Show the 9P conversation of devices, live",
    .description = "It ends with the devices' workers, or when it is interrupted.",
    .options = options,
    .max_arguments = COMMAND_ANY_NUMBER,
    .json = true,
    .run = run_trace,
};
