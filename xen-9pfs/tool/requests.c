/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command requests: what is in flight now, oldest first, which tells why a guest hangs.
 */
#include <stdio.h>

#include "xen-9pfs/tool/devices.h"
#include "xen-9pfs/tool/json.h"

enum { LONG_US = 1000000, VERY_LONG_US = 10000000 };

static struct {
    double older_than;
} settings = {.older_than = -1};

static const GOptionEntry options[] = {
    {"older-than", 'o', 0, G_OPTION_ARG_DOUBLE, &settings.older_than,
     "Only those in flight for longer than this; the exit status is 3 if there is one", "SECONDS"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static const Column columns[] = {
    {"device", "DEVICE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "DOMAIN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"mount_tag", "MOUNT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"age_us", "AGE", COLUMN_DURATION, COLUMN_EVERYWHERE},
    {"state", "STATE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"type", "OPERATION", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"tag", "TAG", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"ring", "RING", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"uid", "UID", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"fid", "FID", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"path", "PATH", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"detail", "DETAIL", COLUMN_WORDS, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

static gint compare_ages(gconstpointer a, gconstpointer b)
{
    uint64_t left = record_get_number(*(Record *const *)a, "age_us");
    uint64_t right = record_get_number(*(Record *const *)b, "age_us");

    return left == right ? 0 : left > right ? -1 : 1;
}

static TextStyle choose_style(uint64_t age_us)
{
    return age_us >= VERY_LONG_US ? TEXT_ALERT : age_us >= LONG_US ? TEXT_NOTE : TEXT_PLAIN;
}

static bool is_wanted(const Record *request)
{
    return (double)record_get_number(request, "age_us") > settings.older_than * 1e6;
}

/* Sorts the requests, marks the old ones, and drops those that are not asked for. */
static void arrange(GPtrArray *requests)
{
    devices_filter(requests, is_wanted);
    g_ptr_array_sort(requests, compare_ages);
    for (guint i = 0; i < requests->len; i++) {
        Record *request = g_ptr_array_index(requests, i);

        record_set_number(request, "style", choose_style(record_get_number(request, "age_us")));
    }
}

static void print(const Tool *tool, const GPtrArray *requests)
{
    if (tool->json)
        json_print(table_to_json(columns, requests), false);
    else if (requests->len > 0)
        table_print(columns, requests);
    else if (settings.older_than >= 0)
        printf("No request is in flight for longer than %g s.\n", settings.older_than);
    else
        puts("No request is in flight.");
}

static int run_requests(const Tool *tool, char **arguments)
{
    g_autoptr(GPtrArray) devices = devices_select(tool, arguments);
    g_autoptr(GPtrArray) queries = NULL;
    g_autoptr(GPtrArray) requests = NULL;
    int status;

    if (devices == NULL)
        return TOOL_FAILED;
    queries = devices_ask(tool, devices, "requests");
    requests = devices_collect(queries, "request");
    arrange(requests);
    print(tool, requests);
    status = devices_report(queries);
    if (settings.older_than >= 0 && requests->len > 0)
        status = TOOL_FOUND;
    return status;
}

const Command command_requests = {
    .name = "requests",
    .arguments = "[DEVICE...]",
    .help = "Show which requests are in flight, oldest first: why a guest hangs",
    .description =
        "A request that stays \"running\" waits for the file system here; one that is \"waiting\" "
        "waits\n"
        "for a lock, a limit or another request; one that is \"done\" waits for the guest to read.",
    .options = options,
    .max_arguments = COMMAND_ANY_NUMBER,
    .json = true,
    .run = run_requests,
};
