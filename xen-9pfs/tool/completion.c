/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command completion: scripts for shells, made from the table of sub-commands, and what these
 * scripts ask for while a command line is typed.
 *
 * Bash expands the words that it is offered: names go there only if they consist of characters that
 * mean nothing to a shell.
 */
#include <stdio.h>
#include <string.h>

#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/tool.h"

#define SAFE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"

/* Options in front of the sub-command that are not common ones. */
static const GOptionEntry front_options[] = {
    {"help", 'h', 0, G_OPTION_ARG_NONE, NULL, "Show the sub-commands", NULL},
    {"version", 'V', 0, G_OPTION_ARG_NONE, NULL, "Print the version of this program", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

typedef void (*OptionVisitor)(GString *out, const Command *command, const GOptionEntry *option);

static void visit_entries(GString *out, const Command *command, const GOptionEntry *options,
                          OptionVisitor visit)
{
    for (; options != NULL && options->long_name != NULL; options++) {
        bool hidden = (options->flags & G_OPTION_FLAG_HIDDEN) != 0;
        bool is_json = strcmp(options->long_name, "json") == 0;

        if (!hidden && (!is_json || command == NULL || command->json))
            visit(out, command, options);
    }
}

/* Visits the options of a sub-command; those in front of it when it is NULL. */
static void visit_options(GString *out, const Command *command, OptionVisitor visit)
{
    visit_entries(out, command, command != NULL ? command->options : front_options, visit);
    visit_entries(out, command, common_options, visit);
}

static bool takes_value(const GOptionEntry *option)
{
    return option->arg != G_OPTION_ARG_NONE &&
           !(option->arg == G_OPTION_ARG_CALLBACK && (option->flags & G_OPTION_FLAG_NO_ARG) != 0);
}

static const char *describe_value(const GOptionEntry *option)
{
    return option->arg_description != NULL ? option->arg_description : "VALUE";
}

/* The positional arguments as words without brackets: "DEVICE..." of "[DEVICE...]". */
static char *plain_arguments(const Command *command)
{
    GString *out = g_string_new(NULL);

    for (const char *c = command->arguments; *c != '\0'; c++) {
        if (*c != '[' && *c != ']')
            g_string_append_c(out, *c);
    }
    return g_string_free(out, FALSE);
}

/* Appends text within single quotes. `escaped` are characters that get a backslash. */
static void append_quoted(GString *out, const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            g_string_append(out, "'\\''");
        else if (strchr(escaped, *text) != NULL)
            g_string_append_printf(out, "\\%c", *text);
        else
            g_string_append_c(out, *text);
    }
}

/* The names of the sub-commands, with blanks between them. */
static void append_names(GString *out)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        g_string_append_printf(out, "%s%s", i > 0 ? " " : "", commands[i]->name);
}

/* ---- Bash ---- */

static const char bash_head[] =
    "# Completion of xen-9pfs for bash; made by \"xen-9pfs completion bash\".\n"
    "\n"
    "# _xen_9pfs_table COMMAND: sets what is known of it.\n"
    "_xen_9pfs_table()\n"
    "{\n"
    "    case $1 in\n";

static const char bash_values[] =
    "    esac\n"
    "}\n"
    "\n"
    "# _xen_9pfs_values KIND WORD: what such a word may become.\n"
    "_xen_9pfs_values()\n"
    "{\n"
    "    case $1 in\n"
    "    DEVICE*) compgen -W \"$(xen-9pfs completion devices 2>/dev/null)\" -- \"$2\" ;;\n"
    "    DOMAIN) compgen -W \"$(xl list 2>/dev/null |\n"
    "        awk 'NR > 1 && $1 ~ /^[A-Za-z0-9._+-]+$/ { print $1 }')\" -- \"$2\" ;;\n"
    "    DIR | PATH) compgen -d -- \"$2\" ;;\n"
    "    FILE) compgen -f -- \"$2\" ;;\n"
    "    *\\|*) compgen -W \"${1//|/ }\" -- \"$2\" ;;\n"
    "    COMMAND) compgen -W '";

static const char bash_tail[] =
    "' -- \"$2\" ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_xen_9pfs()\n"
    "{\n"
    "    local word i n=0 kind='' command='' options='' kinds='' arguments=''\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
    "\n"
    "    _xen_9pfs_table ''\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        kind=\n"
    "        if [[ \" $kinds \" == *\" $word=\"* ]]; then\n"
    "            kind=${kinds#*\"$word=\"}\n"
    "            kind=${kind%% *}\n"
    "            [[ ${COMP_WORDS[i + 1]} != '=' ]] || i=$((i + 1))\n"
    "            i=$((i + 1))\n"
    "        elif [[ $word == -* ]]; then\n"
    "            continue\n"
    "        elif [[ -z $command ]]; then\n"
    "            command=$word\n"
    "            _xen_9pfs_table \"$command\"\n"
    "        else\n"
    "            n=$((n + 1))\n"
    "        fi\n"
    "        ((i < COMP_CWORD)) || break\n"
    "        kind=\n"
    "    done\n"
    "    [[ $cur != '=' ]] || cur=\n"
    "    if [[ -z $kind && $cur == -* ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
    "        [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace\n"
    "        return\n"
    "    fi\n"
    "    if [[ -z $kind ]]; then\n"
    "        [[ -n $command ]] || arguments=COMMAND\n"
    "        read -ra arguments <<<\"$arguments\"\n"
    "        kind=${arguments[n]}\n"
    "        [[ -n $kind || ${arguments[-1]} != *... ]] || kind=${arguments[-1]}\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(_xen_9pfs_values \"$kind\" \"$cur\")\n"
    "}\n"
    "\n"
    "complete -o filenames -F _xen_9pfs xen-9pfs\n";

static void bash_option(GString *out, const Command *command, const GOptionEntry *option)
{
    (void)command;
    g_string_append_printf(out, " --%s%s", option->long_name, takes_value(option) ? "=" : "");
}

static void bash_kind(GString *out, const Command *command, const GOptionEntry *option)
{
    (void)command;
    if (!takes_value(option))
        return;
    g_string_append_printf(out, " --%s=%s", option->long_name, describe_value(option));
    if (option->short_name != '\0')
        g_string_append_printf(out, " -%c=%s", option->short_name, describe_value(option));
}

static void bash_command(GString *out, const Command *command)
{
    g_autofree char *arguments = command != NULL ? plain_arguments(command) : g_strdup("COMMAND");

    g_string_append_printf(out, "    %s)\n        options='", command ? command->name : "''");
    visit_options(out, command, bash_option);
    g_string_append(out, "'\n        kinds='");
    visit_options(out, command, bash_kind);
    g_string_append_printf(out, "'\n        arguments='%s'\n        ;;\n", arguments);
}

static void make_bash(GString *out)
{
    g_string_append(out, bash_head);
    bash_command(out, NULL);
    for (size_t i = 0; commands[i] != NULL; i++)
        bash_command(out, commands[i]);
    g_string_append(out, bash_values);
    append_names(out);
    g_string_append(out, bash_tail);
}

/* ---- Zsh ---- */

static const char zsh_head[] =
    "#compdef xen-9pfs\n"
    "# Completion of xen-9pfs for zsh; made by \"xen-9pfs completion zsh\".\n"
    "\n"
    "_xen_9pfs_devices()\n"
    "{\n"
    "    local -a devices\n"
    "\n"
    "    devices=(${(f)\"$(xen-9pfs completion devices 2>/dev/null)\"})\n"
    "    compadd -- $devices\n"
    "}\n"
    "\n"
    "_xen_9pfs_domains()\n"
    "{\n"
    "    local -a domains\n"
    "\n"
    "    domains=(${(f)\"$(xl list 2>/dev/null | awk 'NR > 1 { print $1 }')\"})\n"
    "    compadd -- $domains\n"
    "}\n"
    "\n"
    "_xen_9pfs_commands()\n"
    "{\n"
    "    local -a commands\n"
    "\n"
    "    commands=(\n";

static const char zsh_tail[] = "        esac\n"
                               "        ;;\n"
                               "    esac\n"
                               "}\n"
                               "\n"
                               "_xen_9pfs \"$@\"\n";

/* What completes such a word. */
static const char *zsh_action(const char *word)
{
    if (g_str_has_prefix(word, "DEVICE"))
        return "_xen_9pfs_devices";
    if (strcmp(word, "DOMAIN") == 0)
        return "_xen_9pfs_domains";
    if (strcmp(word, "COMMAND") == 0)
        return "_xen_9pfs_commands";
    if (strcmp(word, "DIR") == 0 || strcmp(word, "PATH") == 0)
        return "_files -/";
    return strcmp(word, "FILE") == 0 ? "_files" : "";
}

/* Appends ":WORD:ACTION". */
static void zsh_value(GString *out, const char *word)
{
    if (strchr(word, '|') != NULL) {
        g_auto(GStrv) choices = g_strsplit(word, "|", -1);
        g_autofree char *joined = g_strjoinv(" ", choices);

        g_string_append_printf(out, ":value:(%s)", joined);
    } else {
        g_string_append_printf(out, ":%s:%s", word, zsh_action(word));
    }
}

static void zsh_option(GString *out, const Command *command, const GOptionEntry *option)
{
    const char *equals = takes_value(option) ? "=" : "";

    (void)command;
    g_string_append(out, " \\\n                ");
    if (option->short_name != '\0')
        g_string_append_printf(out, "'(-%c --%s)'{-%c,--%s%s}", option->short_name,
                               option->long_name, option->short_name, option->long_name, equals);
    else
        g_string_append_printf(out, "--%s%s", option->long_name, equals);
    g_string_append(out, "'[");
    append_quoted(out, option->description, "[]:\\");
    g_string_append_c(out, ']');
    if (takes_value(option))
        zsh_value(out, describe_value(option));
    g_string_append_c(out, '\'');
}

static void zsh_arguments(GString *out, const Command *command)
{
    g_autofree char *plain = plain_arguments(command);
    g_auto(GStrv) words = g_strsplit(plain, " ", -1);

    for (size_t i = 0; words[i] != NULL; i++) {
        g_string_append(out, " \\\n                '");
        if (g_str_has_suffix(words[i], "..."))
            g_string_append_c(out, '*');
        else
            g_string_append_printf(out, "%zu", i + 1);
        zsh_value(out, words[i]);
        g_string_append_c(out, '\'');
    }
}

static void make_zsh(GString *out)
{
    g_string_append(out, zsh_head);
    for (size_t i = 0; commands[i] != NULL; i++) {
        g_string_append_printf(out, "        '%s:", commands[i]->name);
        append_quoted(out, commands[i]->help, ":\\");
        g_string_append(out, "'\n");
    }
    g_string_append(out, "    )\n"
                         "    _describe sub-command commands\n"
                         "}\n"
                         "\n"
                         "_xen_9pfs()\n"
                         "{\n"
                         "    local state\n"
                         "\n"
                         "    _arguments -C");
    visit_options(out, NULL, zsh_option);
    g_string_append(
        out, " \\\n                '1:COMMAND:_xen_9pfs_commands' '*::ARGUMENT:->arguments'\n"
             "    case $state in\n"
             "    arguments)\n"
             "        case $words[1] in\n");
    for (size_t i = 0; commands[i] != NULL; i++) {
        g_string_append_printf(out, "        %s)\n            _arguments", commands[i]->name);
        visit_options(out, commands[i], zsh_option);
        zsh_arguments(out, commands[i]);
        g_string_append(out, "\n            ;;\n");
    }
    g_string_append(out, zsh_tail);
}

/* ---- Fish ---- */

/* What `complete` is told about such a word; "" when nothing is known of it. The caller frees it. */
static char *fish_action(const char *word)
{
    if (g_str_has_prefix(word, "DEVICE"))
        return g_strdup("-a '(xen-9pfs completion devices 2>/dev/null)'");
    if (strcmp(word, "DOMAIN") == 0)
        return g_strdup("-a '(xl list 2>/dev/null | string match -rv \"^Name \" |"
                        " string replace -r \" .*\" \"\")'");
    if (strcmp(word, "COMMAND") == 0)
        return g_strdup("-a \"$commands\"");
    if (strcmp(word, "DIR") == 0 || strcmp(word, "PATH") == 0)
        return g_strdup("-a '(__fish_complete_directories)'");
    if (strcmp(word, "FILE") == 0)
        return g_strdup("-F");
    if (strchr(word, '|') != NULL) {
        g_autofree char *choices = g_strdelimit(g_strdup(word), "|", ' ');

        return g_strdup_printf("-a '%s'", choices);
    }
    return g_strdup("");
}

static void fish_option(GString *out, const Command *command, const GOptionEntry *option)
{
    if (command == NULL)
        g_string_append(out, "complete -c xen-9pfs -n __fish_use_subcommand");
    else
        g_string_append_printf(out, "complete -c xen-9pfs -n '__fish_seen_subcommand_from %s'",
                               command->name);
    g_string_append_printf(out, " -l %s", option->long_name);
    if (option->short_name != '\0')
        g_string_append_printf(out, " -s %c", option->short_name);
    if (takes_value(option)) {
        g_autofree char *action = fish_action(describe_value(option));

        g_string_append_printf(out, " -r%s%s", action[0] != '\0' ? " " : "", action);
    }
    g_string_append(out, " -d '");
    append_quoted(out, option->description, "\\");
    g_string_append(out, "'\n");
}

static void fish_command(GString *out, const Command *command)
{
    g_autofree char *plain = plain_arguments(command);
    g_auto(GStrv) words = g_strsplit(plain, " ", -1);

    g_string_append_printf(out, "complete -c xen-9pfs -n __fish_use_subcommand -a %s -d '",
                           command->name);
    append_quoted(out, command->help, "\\");
    g_string_append(out, "'\n");
    visit_options(out, command, fish_option);
    for (size_t i = 0; words[i] != NULL; i++) {
        g_autofree char *action = fish_action(words[i]);

        if (action[0] != '\0')
            g_string_append_printf(out,
                                   "complete -c xen-9pfs -n '__fish_seen_subcommand_from %s' %s\n",
                                   command->name, action);
    }
}

static void make_fish(GString *out)
{
    g_string_append(out,
                    "# Completion of xen-9pfs for fish; made by \"xen-9pfs completion fish\".\n"
                    "\n"
                    "set -l commands ");
    append_names(out);
    g_string_append(out, "\n\ncomplete -c xen-9pfs -f\n");
    visit_options(out, NULL, fish_option);
    for (size_t i = 0; commands[i] != NULL; i++)
        fish_command(out, commands[i]);
}

/* ---- What scripts ask for ---- */

static void list_option(GString *out, const Command *command, const GOptionEntry *option)
{
    g_string_append_printf(out, "option %s --%s\n", command != NULL ? command->name : "-",
                           option->long_name);
}

/* For the check of the manual page: every sub-command and every option. */
static void make_table(GString *out)
{
    visit_options(out, NULL, list_option);
    for (size_t i = 0; commands[i] != NULL; i++) {
        g_string_append_printf(out, "command %s\n", commands[i]->name);
        visit_options(out, commands[i], list_option);
    }
}

static void add_name(GHashTable *names, const char *name)
{
    if (name[0] != '\0' && name[0] != '-' && strspn(name, SAFE_CHARACTERS) == strlen(name))
        g_hash_table_add(names, g_strdup(name));
}

/* The devices' names without those that the shell would take apart. Says nothing of errors: this
 * runs while somebody types. */
static void list_devices(const Tool *tool, GString *out)
{
    g_autoptr(Query) query = query_new("devices", NULL, NULL);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GList) sorted = NULL;

    control_run(tool, &query, 1, CONTROL_LIMIT_MS, NULL, NULL);
    for (guint i = 0; i < query->records->len; i++) {
        add_name(names, record_get_text(g_ptr_array_index(query->records, i), "device"));
        add_name(names, record_get_text(g_ptr_array_index(query->records, i), "domain"));
    }
    sorted = g_list_sort(g_hash_table_get_keys(names), (GCompareFunc)strcmp);
    for (GList *name = sorted; name != NULL; name = name->next)
        g_string_append_printf(out, "%s\n", (const char *)name->data);
}

static int run_completion(const Tool *tool, char **arguments)
{
    GString *out = g_string_new(NULL);
    int status = TOOL_OK;

    if (strcmp(arguments[0], "bash") == 0)
        make_bash(out);
    else if (strcmp(arguments[0], "zsh") == 0)
        make_zsh(out);
    else if (strcmp(arguments[0], "fish") == 0)
        make_fish(out);
    else if (strcmp(arguments[0], "devices") == 0)
        list_devices(tool, out);
    else if (strcmp(arguments[0], "table") == 0)
        make_table(out);
    else
        status = tool_usage("completion: there is none for \"%s\"", arguments[0]);
    fputs(out->str, stdout);
    g_string_free(out, TRUE);
    return status;
}

const Command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .help = "Print the completion script of a shell",
    .description = "Installed by \"make install\"; for a shell that does not find it there:\n"
                   "  source <(xen-9pfs completion bash)",
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_completion,
};
