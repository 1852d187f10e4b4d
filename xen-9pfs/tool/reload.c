/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command reload. */
#include <stdio.h>

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/json.h"

static int run_reload(const Tool *tool, char **arguments)
{
    g_autoptr(Query) query = control_ask_daemon(tool, "reload");

    (void)arguments;
    if (query == NULL)
        return TOOL_FAILED;
    if (tool->json) {
        JsonObject *object = json_object_new();

        json_object_set_boolean_member(object, "reloaded", TRUE);
        json_print(json_object_to_node(object), false);
    } else {
        puts("The daemon has read its configuration. It is used for devices that connect from now "
             "on.");
    }
    return TOOL_OK;
}

const Command command_reload = {
    .name = "reload",
    .arguments = "",
    .help = "Have the daemon read its configuration file again",
    .description = "Devices that are connected keep what they have. If the file is bad the daemon "
                   "keeps what it "
                   "has read\nbefore, and what is wrong is told.",
    .json = true,
    .run = run_reload,
};
