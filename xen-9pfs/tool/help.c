/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command help. */
#include <stdio.h>

#include "xen-9pfs/tool/tool.h"

static int run_help(const Tool *tool, char **arguments)
{
    const Command *command = command_find(arguments[0]);
    g_autofree char *text = NULL;

    (void)tool;
    if (command == NULL)
        return tool_usage("there is no sub-command \"%s\"", arguments[0]);
    text = command_describe(command);
    fputs(text, stdout);
    return TOOL_OK;
}

const Command command_help = {
    .name = "help",
    .arguments = "COMMAND",
    .help = "Tell more of a sub-command",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_help,
};
