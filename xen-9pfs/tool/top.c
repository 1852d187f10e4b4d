/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command top: a live screen of what devices do, busiest first. It shows the differences of two
 * samples; a worker that does not answer keeps its line.
 */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/sample.h"
#include "xen-9pfs/tool/terminal.h"

typedef struct Order {
    const char *name;
    const char *field; /* largest first; NULL: by name */
} Order;

static const Order orders[] = {
    {"requests", "requests"}, {"bytes", "bytes"},   {"busy", "in_flight"},
    {"time", "p99_us"},       {"stalls", "stalls"}, {"name", NULL},
};

static struct {
    double interval;
    int count;
    gboolean batch;
    gboolean once;
    char *sort;
} settings = {.interval = 2};

static const GOptionEntry options[] = {
    {"batch", 'b', 0, G_OPTION_ARG_NONE, &settings.batch,
     "Print one screen after the other; needs no terminal", NULL},
    {"count", 'n', 0, G_OPTION_ARG_INT, &settings.count, "End after so many screens", "N"},
    {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &settings.interval,
     "Time between screens (default 2)", "SECONDS"},
    {"once", '1', 0, G_OPTION_ARG_NONE, &settings.once, "The same as --batch --count=1", NULL},
    {"sort", 's', 0, G_OPTION_ARG_STRING, &settings.sort, "What is shown first (default requests)",
     "requests|bytes|busy|time|stalls|name"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const Column device_columns[] = {
    {"device", "DEVICE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "DOMAIN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"mount_tag", "MOUNT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"request_rate", "REQ/S", COLUMN_RATE, COLUMN_EVERYWHERE},
    {"error_rate", "ERR/S", COLUMN_RATE, COLUMN_EVERYWHERE},
    {"in_rate", "IN/S", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"out_rate", "OUT/S", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"in_flight", "BUSY", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"p50_us", "P50", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"p99_us", "P99", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"stalls", "STALLS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"mostly", "MOSTLY", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

/* What a screen is made of. */
typedef struct Top {
    const Tool *tool;
    char **arguments;
    size_t order; /* of orders */
    bool paused;
    bool colours;
    Sample before;
    Sample now;
    GPtrArray *lines; /* of Record */
} Top;

static void set_rate(Record *line, const char *field, uint64_t growth, double seconds)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    record_set(line, field, g_ascii_dtostr(text, sizeof(text), (double)growth / seconds));
}

static void set_byte_rate(Record *line, const char *field, uint64_t growth, double seconds)
{
    record_set_number(line, field, (uint64_t)((double)growth / seconds));
}

static void set_session(Record *line, const Query *now, const Query *before, double seconds)
{
    const Record *session = query_find(now, "session");
    const Record *earlier = query_find(before, "session");
    uint64_t requests = activity_growth(session, earlier, "requests");
    uint64_t in = activity_growth(session, earlier, "bytes_in");
    uint64_t out = activity_growth(session, earlier, "bytes_out");

    record_set_number(line, "requests", requests);
    record_set_number(line, "bytes", in + out);
    record_set(line, "in_flight", record_get(session, "in_flight"));
    set_rate(line, "request_rate", requests, seconds);
    set_rate(line, "error_rate", activity_growth(session, earlier, "errors"), seconds);
    set_byte_rate(line, "in_rate", in, seconds);
    set_byte_rate(line, "out_rate", out, seconds);
}

static void set_times(Record *line, const Query *now, const Query *before)
{
    g_autoptr(Histogram) histogram = activity_histogram(now, before);

    if (histogram_total(histogram) == 0)
        return;
    record_set_number(line, "p50_us", histogram_percentile(histogram, 0.5));
    record_set_number(line, "p99_us", histogram_percentile(histogram, 0.99));
}

/* "Tread 80%, Tgetattr 20%": at most three. */
static void set_mostly(Record *line, const Query *now, const Query *before)
{
    g_autoptr(GPtrArray) operations = activity_operations(now, before);
    GString *text = g_string_new(NULL);
    double total = 0;

    for (guint i = 0; i < operations->len; i++)
        total += (double)record_get_number(g_ptr_array_index(operations, i), "count");
    for (guint i = 0; i < MIN(operations->len, 3); i++) {
        const Record *operation = g_ptr_array_index(operations, i);

        g_string_append_printf(text, "%s%s %.0f%%", i > 0 ? ", " : "",
                               record_get_text(operation, "name"),
                               (double)record_get_number(operation, "count") * 100 / total);
    }
    record_set(line, "mostly", text->str);
    g_string_free(text, TRUE);
}

static void set_stalls(Record *line, const Query *now, const Query *before)
{
    g_autoptr(GPtrArray) rings = activity_records(now, "ring");
    uint64_t stalls = 0;

    for (guint i = 0; i < rings->len; i++) {
        const Record *ring = g_ptr_array_index(rings, i);

        stalls += activity_growth(ring, activity_find(before, "ring", "index", ring), "stalls");
    }
    record_set_number(line, "stalls", stalls);
    if (stalls > 0)
        record_set_number(line, "style", TEXT_NOTE);
}

/* The line of a device. Without an earlier answer there is nothing to compare yet. */
static Record *make_line(const Query *now, const Query *before, double seconds)
{
    Record *line = record_new("line");

    device_label(line, now->context);
    if (now->status != QUERY_COMPLETE) {
        record_set(line, "mostly", now->error);
        record_set_number(line, "style", TEXT_ALERT);
    } else if (!device_is_served(now->context)) {
        record_set(line, "mostly", record_get(now->context, "state"));
    } else if (before != NULL) {
        set_session(line, now, before, seconds);
        set_times(line, now, before);
        set_mostly(line, now, before);
        set_stalls(line, now, before);
    }
    return line;
}

static gint compare_lines(gconstpointer a, gconstpointer b, gpointer data)
{
    const Order *order = data;
    const Record *left = *(Record *const *)a;
    const Record *right = *(Record *const *)b;
    uint64_t x = order->field != NULL ? record_get_number(left, order->field) : 0;
    uint64_t y = order->field != NULL ? record_get_number(right, order->field) : 0;
    int names = strcmp(record_get_text(left, "domain"), record_get_text(right, "domain"));

    if (x != y)
        return x > y ? -1 : 1;
    if (names != 0)
        return names;
    return strcmp(record_get_text(left, "device"), record_get_text(right, "device"));
}

static void top_make_lines(Top *top)
{
    double seconds = (double)(top->now.time_us - top->before.time_us) / G_USEC_PER_SEC;

    g_clear_pointer(&top->lines, g_ptr_array_unref);
    top->lines = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    for (guint i = 0; top->now.queries != NULL && i < top->now.queries->len; i++) {
        const Query *query = g_ptr_array_index(top->now.queries, i);

        g_ptr_array_add(top->lines,
                        make_line(query, sample_find(&top->before, query), MAX(seconds, 1e-3)));
    }
}

/* Takes the next sample. Returns false when there is none. */
static bool top_advance(Top *top)
{
    bool taken;

    sample_clear(&top->before);
    top->before = top->now;
    memset(&top->now, 0, sizeof(top->now));
    taken = sample_take(&top->now, top->tool, top->arguments);
    top_make_lines(top);
    return taken;
}

static void append_title(const Top *top, GString *out)
{
    g_autoptr(GDateTime) time = g_date_time_new_now_local();
    g_autofree char *clock = g_date_time_format(time, "%H:%M:%S");

    if (top->now.error != NULL) {
        g_autofree char *error = text_escape(top->now.error);

        g_string_append_printf(out, "%s  %s\n", clock, error);
        return;
    }
    g_string_append_printf(out, "%s  %u device%s, by %s%s\n", clock, top->lines->len,
                           top->lines->len == 1 ? "" : "s", orders[top->order].name,
                           top->paused ? ", paused" : "");
}

/* The whole text, without styles: a title, a blank line, headings, and a line for each device. */
static char *top_describe(Top *top)
{
    GString *out = g_string_new(NULL);

    g_ptr_array_sort_with_data(top->lines, compare_lines, (gpointer)&orders[top->order]);
    append_title(top, out);
    g_string_append_c(out, '\n');
    if (top->lines->len > 0)
        table_append(out, false, device_columns, top->lines);
    return g_string_free(out, FALSE);
}

enum { LINES_BEFORE_DEVICES = 3 };

static TextStyle style_of(const Top *top, size_t line)
{
    if (line < LINES_BEFORE_DEVICES)
        return line == 0 && top->now.error != NULL ? TEXT_ALERT : TEXT_HEAD;
    return (TextStyle)MIN(
        record_get_number(g_ptr_array_index(top->lines, line - LINES_BEFORE_DEVICES), "style"),
        TEXT_ALERT);
}

static void top_paint(Top *top)
{
    static const char keys[] = "q quit   s sort   p pause";
    g_autofree char *text = top_describe(top);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *screen = g_string_new(NULL);
    unsigned width;
    unsigned height;

    terminal_get_size(&width, &height);
    for (size_t i = 0; lines[i + 1] != NULL && i + 2 < height; i++) {
        g_autofree char *line = text_cut(lines[i], width);

        text_append_styled(screen, top->colours, style_of(top, i), line);
        g_string_append_c(screen, '\n');
    }
    if (height > 1) {
        g_autofree char *line = text_cut(keys, width);

        g_string_append_printf(screen, "\n%s\n", line);
    }
    terminal_paint(screen);
    g_string_free(screen, TRUE);
}

/* Returns false to end. */
static bool top_take_key(Top *top, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
    case 4: /* Control-D */
    case TERMINAL_GONE:
        return false;
    case 's':
        top->order = (top->order + 1) % G_N_ELEMENTS(orders);
        break;
    case 'p':
    case ' ':
        top->paused = !top->paused;
        break;
    default:
        break;
    }
    return true;
}

/* Shows a screen and takes keys until the next is due. Returns false to end. */
static bool top_show(Top *top)
{
    gint64 end = g_get_monotonic_time() + (gint64)(settings.interval * G_USEC_PER_SEC);

    for (;;) {
        gint64 left = end - g_get_monotonic_time();
        int key;

        top_paint(top);
        key = terminal_wait(top->paused ? MAX(left, G_USEC_PER_SEC) : left);
        if (key == TERMINAL_TIMEOUT && !top->paused)
            return true;
        if (!top_take_key(top, key))
            return false;
    }
}

static int run_live(Top *top)
{
    terminal_open();
    for (int i = 0; settings.count == 0 || i < settings.count; i++) {
        if (!top_show(top))
            break;
        top_advance(top);
    }
    terminal_close();
    return TOOL_OK;
}

static int run_batch(Top *top)
{
    for (int i = 0; settings.count == 0 || i < settings.count; i++) {
        g_autofree char *text = NULL;

        g_usleep((gulong)(settings.interval * G_USEC_PER_SEC));
        if (!top_advance(top))
            return tool_error("%s", top->now.error);
        text = top_describe(top);
        printf("%s%s", i > 0 ? "\n" : "", text);
        fflush(stdout);
    }
    return TOOL_OK;
}

static bool choose_order(Top *top)
{
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        if (settings.sort == NULL || strcmp(orders[i].name, settings.sort) == 0) {
            top->order = i;
            return true;
        }
    }
    return false;
}

static int check_settings(Top *top)
{
    if (settings.once) {
        settings.batch = TRUE;
        settings.count = 1;
    }
    if (!(settings.interval >= 0.1 && settings.interval <= 86400) || settings.count < 0)
        return tool_usage("top: --interval is 0.1 to 86400, and --count is not negative");
    if (!choose_order(top))
        return tool_usage("top: nothing can be sorted by \"%s\"", settings.sort);
    if (!settings.batch && !terminal_is_usable())
        return tool_usage("top: this is no terminal; use --batch or --once");
    return TOOL_OK;
}

static int run_top(const Tool *tool, char **arguments)
{
    Top top = {.tool = tool, .arguments = arguments, .colours = text_has_colours(stdout)};
    int status = check_settings(&top);

    if (status != TOOL_OK)
        return status;
    if (!top_advance(&top))
        status = tool_error("%s", top.now.error);
    else
        status = settings.batch ? run_batch(&top) : run_live(&top);
    sample_clear(&top.before);
    sample_clear(&top.now);
    g_ptr_array_unref(top.lines);
    return status;
}

const Command command_top = {
    .name = "top",
    .arguments = "[DEVICE...]",
    .help = "Show live what devices do, busiest first",
    .description = "Keys: q ends, s sorts by something else, p pauses.",
    .options = options,
    .max_arguments = COMMAND_ANY_NUMBER,
    .run = run_top,
};
