/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options: see options.h. */
#include "xen-9pfs/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "protocol/export_keys.h"

#define DEFAULT_KINDS     "xen_9pfs"
#define DEFAULT_LOG_LEVEL "info"
#define DEFAULT_RUN_DIR   "/run/xen-9pfs"
#define DEFAULT_SANDBOX   "full"
#define DEFAULT_SECCOMP   "kill"

static const char summary[] =
    "Serves directories of this domain to Xen guests over 9P. Started by the toolstack without\n"
    "arguments, or by the service manager; never goes into the background by itself.";

/* The options as text, before they have been checked. */
typedef struct RawOptions {
    gboolean version;
    char *log_level;
    char *kinds;
    char *run_dir;
    char *config;
    char *sandbox;
    char *seccomp;
    gboolean trusted_xattr;
} RawOptions;

static void raw_options_deinit(RawOptions *raw)
{
    g_free(raw->log_level);
    g_free(raw->kinds);
    g_free(raw->run_dir);
    g_free(raw->config);
    g_free(raw->sandbox);
    g_free(raw->seccomp);
}

/* The part of `--help` about the keys of the configuration file. The caller frees it. */
static char *describe_keys(void)
{
    GString *text = g_string_new("Options of exports, in the configuration file:\n");

    for (const ExportKey *key = export_keys; key->name; key++)
        g_string_append_printf(text, "  %-26s %s\n", key->name, key->help);
    return g_string_free(text, FALSE);
}

static gboolean parse_table(Options *options, RawOptions *raw, int *argc, char ***argv,
                            GError **error)
{
    const GOptionEntry table[] = {
        {"backend-kind", 'k', 0, G_OPTION_ARG_STRING, &raw->kinds,
         "Device kinds to serve: xen_9pfs, 9pfs or both (default " DEFAULT_KINDS ")",
         "KIND[,KIND]"},
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &raw->config,
         "How exports are served (default " CONFIG_FILE ")", "FILE"},
        {"foreground", 'f', 0, G_OPTION_ARG_NONE, &options->foreground,
         "Log to standard error and leave the terminal attached", NULL},
        {"log-level", 'l', 0, G_OPTION_ARG_STRING, &raw->log_level,
         "error, warning, notice, info or debug (default " DEFAULT_LOG_LEVEL ")", "LEVEL"},
        {"run-dir", 0, 0, G_OPTION_ARG_FILENAME, &raw->run_dir,
         "Folder of the lock and the workers' sockets (default " DEFAULT_RUN_DIR ")", "DIR"},
        {"sandbox", 0, 0, G_OPTION_ARG_STRING, &raw->sandbox,
         "How workers lock themselves in: full, no-namespaces or off (default " DEFAULT_SANDBOX ")",
         "LEVEL"},
        {"seccomp", 0, 0, G_OPTION_ARG_STRING, &raw->seccomp,
         "On a system call that workers must not make: kill or log (default " DEFAULT_SECCOMP ")",
         "ACTION"},
        {"trusted-xattr", 0, 0, G_OPTION_ARG_NONE, &raw->trusted_xattr,
         "Let guests have trusted.* and all of security.*; workers keep CAP_SYS_ADMIN", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &raw->version, "Print the version and exit", NULL},
        {"worker", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &options->worker, NULL, NULL},
        {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
    };
    GOptionContext *context = g_option_context_new(NULL);
    g_autofree char *description = describe_keys();
    gboolean parsed;

    g_option_context_set_summary(context, summary);
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, table, NULL);
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    return parsed;
}

/* Splits a list of kinds; each must be one that a toolstack uses for 9P devices. */
static char **parse_kinds(const char *text)
{
    static const char *const known[] = {"xen_9pfs", "9pfs", NULL};
    g_auto(GStrv) kinds = g_strsplit(text, ",", -1);

    if (kinds[0] == NULL)
        return NULL;
    for (size_t i = 0; kinds[i] != NULL; i++) {
        if (!g_strv_contains(known, kinds[i]))
            return NULL;
        for (size_t earlier = 0; earlier < i; earlier++) {
            if (strcmp(kinds[earlier], kinds[i]) == 0)
                return NULL;
        }
    }
    return g_steal_pointer(&kinds);
}

static OptionsResult G_GNUC_PRINTF(1, 2) complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("xen-9pfsd: ", stderr);
    vfprintf(stderr, format, args);
    fputs("; see xen-9pfsd --help\n", stderr);
    va_end(args);
    return OPTIONS_BAD;
}

static OptionsResult check_sandbox(Sandbox *sandbox, const RawOptions *raw)
{
    const char *level = raw->sandbox != NULL ? raw->sandbox : DEFAULT_SANDBOX;
    const char *calls = raw->seccomp != NULL ? raw->seccomp : DEFAULT_SECCOMP;

    if (!sandbox_parse_level(level, &sandbox->level))
        return complain("--sandbox is full, no-namespaces or off, not \"%s\"", level);
    if (!sandbox_parse_calls(calls, &sandbox->calls))
        return complain("--seccomp is kill or log, not \"%s\"", calls);
    sandbox->trusted_xattr = raw->trusted_xattr;
    return OPTIONS_RUN;
}

/* Checks what was given and turns it into the types the daemon works with. */
static OptionsResult check(Options *options, const RawOptions *raw)
{
    const char *log_level = raw->log_level != NULL ? raw->log_level : DEFAULT_LOG_LEVEL;
    const char *kinds = raw->kinds != NULL ? raw->kinds : DEFAULT_KINDS;
    const char *run_dir = raw->run_dir != NULL ? raw->run_dir : DEFAULT_RUN_DIR;
    const char *config = raw->config != NULL ? raw->config : CONFIG_FILE;

    options->log_level = log_parse_level(log_level);
    if (options->log_level < 0)
        return complain("unknown log level \"%s\"", log_level);
    options->kinds = parse_kinds(kinds);
    if (options->kinds == NULL)
        return complain("\"%s\" is not a list of xen_9pfs and 9pfs", kinds);
    if (run_dir[0] == '\0')
        return complain("--run-dir needs the name of a folder");
    if (config[0] == '\0')
        return complain("--config needs the name of a file");
    options->run_dir = g_canonicalize_filename(run_dir, NULL);
    options->config = g_canonicalize_filename(config, NULL);
    options->config_needed = raw->config != NULL;
    return check_sandbox(&options->sandbox, raw);
}

OptionsResult options_parse(Options *options, int argc, char **argv)
{
    RawOptions raw = {0};
    g_autoptr(GError) error = NULL;
    OptionsResult result;

    memset(options, 0, sizeof(*options));
    if (!parse_table(options, &raw, &argc, &argv, &error)) {
        result = complain("%s", error->message);
    } else if (argc > 1) {
        result = complain("unexpected argument \"%s\"", argv[1]);
    } else if (raw.version) {
        puts("xen-9pfsd " VERSION);
        result = OPTIONS_DONE;
    } else {
        result = check(options, &raw);
    }
    raw_options_deinit(&raw);
    return result;
}

void options_deinit(Options *options)
{
    g_strfreev(options->kinds);
    g_free(options->run_dir);
    g_free(options->config);
}
