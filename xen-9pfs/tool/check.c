/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command check; see check.h. */
#include "xen-9pfs/tool/check.h"

#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/text.h"

enum { RESULT_WIDTH = 8, NAME_WIDTH = 14 };

static char *root;
static char *config_file;

static const GOptionEntry options[] = {
    {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config_file,
     "The configuration file (default that of the daemon)", "FILE"},
    {"root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &root, NULL, NULL}, /* for tests */
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const struct {
    const char *name;
    TextStyle style;
} results[] = {
    [CHECK_OK] = {"ok", TEXT_GOOD},
    [CHECK_WARNING] = {"warning", TEXT_NOTE},
    [CHECK_ERROR] = {"error", TEXT_ALERT},
};

/* In the order in which one thing relies on another. */
static void (*const checks[])(Report *report) = {
    check_privileges,       check_xen_version, check_xenstore,    check_device_files,
    check_grant_limit,      check_kernel,      check_descriptors, check_daemon,
    check_program_of_libxl, check_qemu,        check_config_file, check_exports,
};

static void item_free(gpointer data)
{
    CheckItem *item = data;

    g_free(item->text);
    g_free(item);
}

void report_add(Report *report, CheckResult result, const char *name, const char *format, ...)
{
    CheckItem *item = g_new0(CheckItem, 1);
    va_list args;

    item->result = result;
    item->name = name;
    va_start(args, format);
    item->text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(report->items, item);
}

char *report_file(const Report *report, const char *name)
{
    return g_strconcat(report->root, name, NULL);
}

const Record *report_daemon(const Report *report)
{
    return query_find(report->version, "daemon");
}

bool report_serves(const Report *report, const char *kind)
{
    const Record *daemon = report_daemon(report);
    const char *list = daemon != NULL ? record_get_text(daemon, "backend_kinds") : "";
    g_auto(GStrv) kinds = g_strsplit(list, ",", -1);

    return g_strv_contains((const char *const *)kinds, kind);
}

static void print_item(const CheckItem *item)
{
    g_autofree char *text = text_escape(item->text);
    g_autofree char *result = g_strdup_printf("%-*s", RESULT_WIDTH, results[item->result].name);
    GString *line = g_string_new(NULL);

    text_append_styled(line, text_has_colours(stdout), results[item->result].style, result);
    g_string_append_printf(line, " %-*s %s\n", NAME_WIDTH, item->name, text);
    fputs(line->str, stdout);
    g_string_free(line, TRUE);
}

static void print_json(const Report *report)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < report->items->len; i++) {
        const CheckItem *item = g_ptr_array_index(report->items, i);
        JsonObject *object = json_object_new();

        json_object_set_text(object, "result", results[item->result].name);
        json_object_set_text(object, "item", item->name);
        json_object_set_text(object, "text", item->text);
        json_array_add_object_element(array, object);
    }
    json_print(json_array_to_node(array), false);
}

static int print_report(const Report *report)
{
    int status = TOOL_OK;

    for (guint i = 0; i < report->items->len; i++) {
        const CheckItem *item = g_ptr_array_index(report->items, i);

        if (item->result == CHECK_ERROR)
            status = TOOL_FOUND;
        if (!report->tool->json)
            print_item(item);
    }
    if (report->tool->json)
        print_json(report);
    return status;
}

/* What cannot be reached is told by the check of that item. */
static int run_checks(Report *report)
{
    Store store;

    report->items = g_ptr_array_new_with_free_func(item_free);
    report->store = store_open(&store, NULL) ? &store : NULL;
    report->version = query_new("version", NULL, NULL);
    control_run(report->tool, &report->version, 1, CONTROL_DAEMON_LIMIT_MS, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++)
        checks[i](report);
    if (report->store != NULL)
        store_close(report->store);
    return print_report(report);
}

static int run_check(const Tool *tool, char **arguments)
{
    Report report = {
        .tool = tool,
        .root = root != NULL ? root : "",
        .config_file = config_file,
    };
    int status = run_checks(&report);

    (void)arguments;
    g_clear_pointer(&report.config, config_free);
    query_free(report.version);
    g_ptr_array_unref(report.items);
    return status;
}

const Command command_check = {
    .name = "check",
    .arguments = "",
    .help = "Look for what keeps guests from being served, and tell how to mend it",
    .description =
        "Nothing is changed. The exit status is 0 when there is no error, and 3 when there is one.",
    .options = options,
    .json = true,
    .run = run_check,
};
