/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command list: what the supervisor knows of each device, with what its worker adds. A worker
 * that does not answer costs its line those columns, and nothing else.
 */
#include <stdio.h>

#include "xen-9pfs/tool/devices.h"
#include "xen-9pfs/tool/json.h"

static const Column columns[] = {
    {"device", "DEVICE", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "DOMAIN", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domid", "ID", COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"devid", "DEVID", COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"kind", "KIND", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {"tag", "TAG", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"path", "PATH", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"security_model", "MODEL", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"readonly", "READONLY", COLUMN_FLAG, COLUMN_JSON_ONLY},
    {"shown_state", "STATE", COLUMN_TEXT, COLUMN_TEXT_ONLY},
    {"state", "STATE", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {"frontend_state", "FRONTEND", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {"worker", "WORKER", COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"worker_error", "ERROR", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {"restarts", "RESTARTS", COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"rings", "RINGS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"ring_order", "ORDER", COLUMN_NUMBER, COLUMN_JSON_ONLY},
    {"version", "DIALECT", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"msize", "MSIZE", COLUMN_BYTES, COLUMN_EVERYWHERE},
    {"mounts", "MOUNTS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"fids", "FIDS", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"open_files", "OPEN", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"in_flight", "BUSY", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"since", "SINCE", COLUMN_TIME, COLUMN_EVERYWHERE},
    {"frontend", "FRONTEND", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {"backend", "BACKEND", COLUMN_TEXT, COLUMN_JSON_ONLY},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

/* What only the worker knows. */
static const char *const worker_fields[] = {"version",    "msize",     "mounts", "fids",
                                            "open_files", "in_flight", NULL};

/* The state for people: with what else there is to know about it. */
static void set_state(Record *line, const Query *query)
{
    const char *state = record_get_text(line, "state");
    const char *readonly = record_get_number(line, "readonly") != 0 ? ", read-only" : "";
    const char *silent = query->status != QUERY_COMPLETE ? ", no answer" : "";
    g_autofree char *shown = g_strconcat(state, readonly, silent, NULL);

    record_set(line, "shown_state", shown);
    record_set_number(line, "style", silent[0] != '\0' ? TEXT_ALERT : TEXT_PLAIN);
}

/* A line of the list. The worker's fields cannot stand in for the supervisor's. */
static Record *make_line(const Record *device, const Query *query)
{
    Record *line = record_new("line");
    const Record *session = query_find(query, "session");

    record_merge(line, device);
    for (size_t i = 0; worker_fields[i] != NULL; i++)
        record_set(line, worker_fields[i],
                   session != NULL ? record_get(session, worker_fields[i]) : NULL);
    record_set(line, "worker_error", query->error);
    set_state(line, query);
    return line;
}

static GPtrArray *make_lines(const GPtrArray *devices, const GPtrArray *queries)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);

    for (guint i = 0; i < devices->len; i++)
        g_ptr_array_add(lines,
                        make_line(g_ptr_array_index(devices, i), g_ptr_array_index(queries, i)));
    return lines;
}

static int run_list(const Tool *tool, char **arguments)
{
    g_autoptr(GPtrArray) devices = devices_select(tool, arguments);
    g_autoptr(GPtrArray) queries = NULL;
    g_autoptr(GPtrArray) lines = NULL;

    if (devices == NULL)
        return TOOL_FAILED;
    queries = devices_ask(tool, devices, "stats");
    lines = make_lines(devices, queries);
    if (tool->json)
        json_print(table_to_json(columns, lines), false);
    else if (lines->len == 0)
        puts("No devices.");
    else
        table_print(columns, lines);
    return devices_report(queries);
}

const Command command_list = {
    .name = "list",
    .arguments = "[DEVICE...]",
    .help = "List the devices and what they are doing",
    .description =
        "BUSY counts the requests that are in flight. \"no answer\" marks a device whose "
        "worker says nothing.",
    .max_arguments = COMMAND_ANY_NUMBER,
    .json = true,
    .run = run_list,
};
