/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tool: the program `xen-9pfs`, with which an administrator looks at the daemon and its devices.
 *
 * Each sub-command is a Command in a file of its own. From the table of them in main.c come
 * `--help`, the completions of the shells, and the check that the manual page tells all of it.
 *
 * To add a sub-command:
 *   - write xen-9pfs/tool/NAME.c with `const Command command_NAME = {...}`; its options point to
 *     static variables of that file, because a run of the program has one sub-command;
 *   - declare it below, and add it to the table in main.c; both are in alphabetical order;
 *   - give it a subsection `.Ss xen-9pfs NAME` in docs/xen-9pfs.8, with an `.It` for each option.
 *
 * What comes from a worker is as trustworthy as its guest: it reaches the terminal through the
 * functions of text.h and table.h only, and --json output through those of json.h.
 */
#ifndef XEN_9PFS_TOOL_TOOL_H
#define XEN_9PFS_TOOL_TOOL_H

#include <glib.h>
#include <stdbool.h>

/* The exit status of the program, which every sub-command returns. */
enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* what was asked for could not be done, or not completely */
    TOOL_USAGE = 2,  /* the command line is wrong */
    TOOL_FOUND = 3,  /* a sub-command that looks for trouble has found some */
};

/* What the options that all sub-commands share say. */
typedef struct Tool {
    char *run_dir;  /* where the daemon has its sockets */
    double timeout; /* seconds that a worker has to answer */
    gboolean json;  /* print JSON; only for a Command with .json */
} Tool;

/* A sub-command. The words in `arguments` and in the options' arg_description tell the shells how
 * to complete what stands there: DEVICE a device, DOMAIN a guest, DIR and PATH a directory, FILE a
 * file, COMMAND a sub-command; words in lower case with | between them are the values to choose
 * from. */
typedef struct Command {
    const char *name;
    const char *arguments;       /* as the usage line shows them, such as "[DEVICE...]", or "" */
    const char *help;            /* one line, without a full stop */
    const char *description;     /* more of it, for `xen-9pfs help NAME`; may be NULL */
    const GOptionEntry *options; /* ends with an entry without a name; NULL for none */
    unsigned min_arguments;
    unsigned max_arguments;
    bool json; /* it has the option --json */

    /* Does the work. `arguments` is NULL-terminated and within the limits above. Returns the exit
     * status, and has told of errors. */
    int (*run)(const Tool *tool, char **arguments);
} Command;

enum { COMMAND_ANY_NUMBER = G_MAXUINT };

extern const Command command_attach;
extern const Command command_check;
extern const Command command_completion;
extern const Command command_config;
extern const Command command_detach;
extern const Command command_fids;
extern const Command command_help;
extern const Command command_list;
extern const Command command_metrics;
extern const Command command_reload;
extern const Command command_requests;
extern const Command command_stats;
extern const Command command_top;
extern const Command command_trace;
extern const Command command_version;

/* All sub-commands in alphabetical order; ends with NULL. */
extern const Command *const commands[];

/* The options that stand in front of the sub-command or behind it. Ends with an entry without a
 * name; the last of the others is --json. */
extern const GOptionEntry common_options[];

/* Returns NULL when there is no such sub-command. */
const Command *command_find(const char *name);

/* What `xen-9pfs NAME --help` shows. The caller frees it. */
char *command_describe(const Command *command);

/* One line on standard error: "xen-9pfs: ". The text is escaped as text_escape() does. Returns
 * TOOL_FAILED. */
int tool_error(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The same for what is wrong with the command line; names the help. Returns TOOL_USAGE. */
int tool_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
