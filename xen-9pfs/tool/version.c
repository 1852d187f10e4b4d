/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command version: of this program, and of the daemon that runs, which may be another. */
#include <string.h>

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/table.h"

static const Column columns[] = {
    {"version", "version", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"pid", "process", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"since", "runs since", COLUMN_TIME, COLUMN_EVERYWHERE},
    {"devices", "devices", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"backend_kinds", "device kinds", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"config", "configuration", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"sandbox", "sandbox", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"seccomp", "system calls", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

static void print_text(const Record *daemon)
{
    printf("%-14s %s\n", "xen-9pfs", VERSION);
    for (const Column *column = columns; daemon != NULL && column->field != NULL; column++) {
        g_autofree char *value = column_text(column, daemon);

        printf("%-14s %s\n", column == columns ? "xen-9pfsd" : column->title, value);
    }
}

static void print_json(const Record *daemon)
{
    JsonObject *object = json_object_new();

    json_object_set_text(object, "tool", VERSION);
    if (daemon != NULL)
        json_object_set_object_member(object, "daemon", table_record_to_json(columns, daemon));
    else
        json_object_set_null_member(object, "daemon");
    json_print(json_object_to_node(object), false);
}

static int run_version(const Tool *tool, char **arguments)
{
    g_autoptr(Query) query = control_ask_daemon(tool, "version");
    const Record *daemon = query != NULL ? query_find(query, "daemon") : NULL;

    (void)arguments;
    if (tool->json)
        print_json(daemon);
    else
        print_text(daemon);
    return query != NULL ? TOOL_OK : TOOL_FAILED;
}

const Command command_version = {
    .name = "version",
    .arguments = "",
    .help = "Show the versions of this program and of the daemon that runs",
    .json = true,
    .run = run_version,
};
