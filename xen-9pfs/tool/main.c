/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Main: finds the sub-command, parses its options, runs it; and the help. See tool.h. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/text.h"
#include "xen-9pfs/tool/tool.h"

#define DEFAULT_RUN_DIR "/run/xen-9pfs"

enum { MAX_TIMEOUT_SECONDS = 3600 };

static const char summary[] =
    "Shows and changes what xen-9pfsd, the 9P file server for Xen guests, does.\n"
    "DEVICE is DOMAIN, DOMAIN:TAG or DOMID.DEVID; all devices are meant when none is named.";

static Tool tool = {.timeout = CONTROL_LIMIT_MS / 1000.0};

const Command *const commands[] = {
    &command_attach,  &command_check,  &command_completion, &command_config,
    &command_detach,  &command_fids,   &command_help,       &command_list,
    &command_metrics, &command_reload, &command_requests,   &command_stats,
    &command_top,     &command_trace,  &command_version,    NULL,
};

const GOptionEntry common_options[] = {
    {"run-dir", 0, 0, G_OPTION_ARG_FILENAME, &tool.run_dir,
     "Folder of the daemon's sockets (default " DEFAULT_RUN_DIR ")", "DIR"},
    {"timeout", 0, 0, G_OPTION_ARG_DOUBLE, &tool.timeout,
     "How long a worker may take to answer (default 2)", "SECONDS"},
    {"json", 'j', 0, G_OPTION_ARG_NONE, &tool.json, "Print JSON, for programs", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

/* Prints a message with "xen-9pfs: " in front of it. */
static void G_GNUC_PRINTF(1, 0) complain(const char *format, va_list args, const char *end)
{
    g_autofree char *raw = g_strdup_vprintf(format, args);
    g_autofree char *text = text_escape(raw);
    GString *line = g_string_new(NULL);

    fflush(stdout);
    text_append_styled(line, text_has_colours(stderr), TEXT_ALERT, "xen-9pfs:");
    g_string_append_printf(line, " %s%s\n", text, end);
    fputs(line->str, stderr);
    g_string_free(line, TRUE);
}

int tool_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args, "");
    va_end(args);
    return TOOL_FAILED;
}

int tool_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args, "; see xen-9pfs --help");
    va_end(args);
    return TOOL_USAGE;
}

const Command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

/* The common options that a sub-command has: --json, the last, is not for all of them. */
static void add_common_options(GOptionContext *context, bool json)
{
    GOptionEntry entries[G_N_ELEMENTS(common_options)];

    memcpy(entries, common_options, sizeof(entries));
    if (!json)
        memset(&entries[G_N_ELEMENTS(entries) - 2], 0, sizeof(entries[0]));
    g_option_context_add_main_entries(context, entries, NULL);
}

static GOptionContext *make_context(const Command *command)
{
    GOptionContext *context = g_option_context_new(command->arguments);
    g_autofree char *text = g_strdup_printf("%s.", command->help);

    g_option_context_set_summary(context, text);
    if (command->description != NULL)
        g_option_context_set_description(context, command->description);
    if (command->options != NULL)
        g_option_context_add_main_entries(context, command->options, NULL);
    add_common_options(context, command->json);
    return context;
}

char *command_describe(const Command *command)
{
    GOptionContext *context = make_context(command);
    g_autofree char *name = g_strdup_printf("xen-9pfs %s", command->name);
    g_autofree char *before = g_strdup(g_get_prgname());
    char *text;

    g_set_prgname(name);
    text = g_option_context_get_help(context, TRUE, NULL);
    g_set_prgname(before);
    g_option_context_free(context);
    return text;
}

/* Parses what stands behind the name of the sub-command. A folder that was named in front of it is in
 * force if none is named now. */
static bool parse_behind(const Command *command, int *argc, char ***argv, GError **error)
{
    GOptionContext *context = make_context(command);
    g_autofree char *name = g_strdup_printf("xen-9pfs %s", command->name);
    g_autofree char *run_dir = g_steal_pointer(&tool.run_dir);
    gboolean parsed;

    g_set_prgname(name);
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    if (tool.run_dir == NULL)
        tool.run_dir = run_dir != NULL ? g_steal_pointer(&run_dir) : g_strdup(DEFAULT_RUN_DIR);
    return parsed;
}

static int run_command(const Command *command, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    unsigned n_arguments;

    if (!parse_behind(command, &argc, &argv, &error))
        return tool_usage("%s: %s", command->name, error->message);
    if (!(tool.timeout >= 0.001 && tool.timeout <= MAX_TIMEOUT_SECONDS))
        return tool_usage("%s: --timeout is 0.001 to %d", command->name, MAX_TIMEOUT_SECONDS);
    if (argc > 1 && strcmp(argv[1], "--") == 0) {
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    n_arguments = (unsigned)argc - 1;
    if (n_arguments < command->min_arguments)
        return tool_usage("%s: an argument is missing: %s", command->name, command->arguments);
    if (n_arguments > command->max_arguments)
        return tool_usage("%s: unexpected argument \"%s\"", command->name,
                          argv[command->max_arguments + 1]);
    return command->run(&tool, argv + 1);
}

static char *list_commands(void)
{
    GString *text = g_string_new("Sub-commands:\n");

    for (size_t i = 0; commands[i] != NULL; i++)
        g_string_append_printf(text, "  %-12s %s\n", commands[i]->name, commands[i]->help);
    g_string_append(text, "\n\"xen-9pfs help COMMAND\" tells more of one.");
    return g_string_free(text, FALSE);
}

/* Parses the options in front of the sub-command and leaves it in argv[1]. */
static bool parse_front(int *argc, char ***argv, gboolean *version, GError **error)
{
    const GOptionEntry table[] = {
        {"version", 'V', 0, G_OPTION_ARG_NONE, version, "Print the version of this program", NULL},
        {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
    };
    GOptionContext *context = g_option_context_new("COMMAND [ARGUMENT...]");
    g_autofree char *description = list_commands();
    gboolean parsed;

    g_option_context_set_strict_posix(context, TRUE);
    g_option_context_set_summary(context, summary);
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, table, NULL);
    add_common_options(context, true);
    g_set_prgname("xen-9pfs");
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    return parsed;
}

static int run(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    gboolean version = FALSE;
    const Command *command;

    if (!parse_front(&argc, &argv, &version, &error))
        return tool_usage("%s", error->message);
    if (version) {
        puts("xen-9pfs " VERSION);
        return TOOL_OK;
    }
    if (argc < 2)
        return tool_usage("a sub-command is missing");
    command = command_find(argv[1]);
    if (command == NULL)
        return tool_usage("there is no sub-command \"%s\"", argv[1]);
    if (tool.json && !command->json)
        return tool_usage("%s: it has no --json", command->name);
    return run_command(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    int status;

    setlocale(LC_CTYPE, "");
    status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = tool_error("cannot write the output: %s", g_strerror(errno));
    g_free(tool.run_dir);
    return status;
}
