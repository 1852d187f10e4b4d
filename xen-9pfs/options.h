/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options: the daemon's command line, read once by main() and never changed afterwards.
 *
 * One table in options.c holds each option's name, type and help; `--help` comes from it.
 */
#ifndef XEN_9PFS_OPTIONS_H
#define XEN_9PFS_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "xen-9pfs/sandbox.h"

typedef struct Options {
    gboolean foreground;
    gboolean worker; /* hidden: this process is a worker, see worker.h */
    int log_level;   /* syslog(3) priority: LOG_ERR ... LOG_DEBUG */
    char **kinds;    /* the backend kinds to serve, at least one, NULL-terminated */
    char *run_dir;   /* an absolute path */
    char *config;    /* the configuration file, likewise */
    bool config_needed; /* it was named, so that it must exist */
    Sandbox sandbox; /* of the workers */
} Options;

/* What options_parse() found. */
typedef enum OptionsResult {
    OPTIONS_RUN,  /* go on with what was parsed */
    OPTIONS_DONE, /* --version has been answered: exit with status 0 */
    OPTIONS_BAD,  /* one line on standard error said what is wrong: exit with status 2 */
} OptionsResult;

/* Fills `options` from the command line, whatever the result; the caller frees what it holds with
 * options_deinit(). `--help` is answered here and ends the process with status 0. */
OptionsResult options_parse(Options *options, int argc, char **argv);

void options_deinit(Options *options);

#endif
