/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command fids: the files that guests hold. */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/devices.h"
#include "xen-9pfs/tool/json.h"

static struct {
    gboolean open;
} settings;

static const GOptionEntry options[] = {
    {"open", 'o', 0, G_OPTION_ARG_NONE, &settings.open, "Only those that are open", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const Column columns[] = {
    {"device", "DEVICE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "DOMAIN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"mount_tag", "MOUNT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"fid", "FID", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"type", "TYPE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"open", "OPEN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"uid", "UID", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"path", "PATH", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

static bool is_open(const Record *fid)
{
    const char *open = record_get_text(fid, "open");

    return open[0] != '\0' && strcmp(open, "-") != 0;
}

static gint compare_fids(gconstpointer a, gconstpointer b)
{
    const Record *left = *(Record *const *)a;
    const Record *right = *(Record *const *)b;
    uint64_t x = record_get_number(left, "fid");
    uint64_t y = record_get_number(right, "fid");
    int order = strcmp(record_get_text(left, "device"), record_get_text(right, "device"));

    if (order != 0)
        return order;
    return x == y ? 0 : x < y ? -1 : 1;
}

/* Tells of lists that are too long for the worker to show. */
static void report_cuts(const GPtrArray *queries)
{
    g_autoptr(GPtrArray) cuts = devices_collect(queries, "cut");

    for (guint i = 0; i < cuts->len; i++) {
        const Record *cut = g_ptr_array_index(cuts, i);

        tool_error("device %s: only %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " fids are listed",
                   record_get_text(cut, "device"), record_get_number(cut, "listed"),
                   record_get_number(cut, "fids"));
    }
}

static int run_fids(const Tool *tool, char **arguments)
{
    g_autoptr(GPtrArray) devices = devices_select(tool, arguments);
    g_autoptr(GPtrArray) queries = NULL;
    g_autoptr(GPtrArray) fids = NULL;

    if (devices == NULL)
        return TOOL_FAILED;
    queries = devices_ask(tool, devices, "fids");
    fids = devices_collect(queries, "fid");
    if (settings.open)
        devices_filter(fids, is_open);
    g_ptr_array_sort(fids, compare_fids);
    if (tool->json)
        json_print(table_to_json(columns, fids), false);
    else if (fids->len > 0)
        table_print(columns, fids);
    else
        puts(settings.open ? "No fid is open." : "There are no fids.");
    report_cuts(queries);
    return devices_report(queries);
}

const Command command_fids = {
    .name = "fids",
    .arguments = "[DEVICE...]",
    .help = "List the files that guests hold",
    .description = "A fid is what a guest has for a file or directory that it knows. An answer "
                   "with very many is cut.",
    .options = options,
    .max_arguments = COMMAND_ANY_NUMBER,
    .json = true,
    .run = run_fids,
};
