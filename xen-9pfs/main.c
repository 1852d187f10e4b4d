/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Main: one binary, two lives. Without --worker it is the supervisor, which the toolstack or the
 * service manager starts; with it, a worker that a supervisor started.
 *
 * The supervisor never forks itself into the background: whoever started it waits for its node
 * in xenstore and watches its process.
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "xen-9pfs/options.h"
#include "xen-9pfs/sandbox.h"
#include "xen-9pfs/supervisor.h"
#include "xen-9pfs/worker.h"

/* Lets go of whatever the parent lent: its working folder and its standard streams. */
static void become_quiet(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (chdir("/") < 0)
        log_warning("cannot change to the root folder");
    if (null < 0)
        return;
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        dup2(null, stream);
    if (null > STDERR_FILENO)
        close(null);
}

/* A parent may have left signals blocked; the ones that end the daemon must get through. */
static void unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* GLib's last word, before it ends this process for want of memory, is for the log as well. */
static void log_glib_message(const char *domain, GLogLevelFlags level, const char *text,
                             void *unused)
{
    (void)domain;
    (void)unused;
    log_line(level & G_LOG_LEVEL_ERROR ? LOG_ERR : LOG_WARNING, "%s",
             text ? text : "failed to allocate a message");
}

static int supervise(const Options *options)
{
    log_init(options->foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG, options->log_level);
    g_log_set_default_handler(log_glib_message, NULL);
    if (!options->foreground)
        become_quiet();
    unblock_signals();
    sandbox_raise_descriptors(); /* each device takes a few */
    return supervisor_run(options);
}

int main(int argc, char **argv)
{
    Options options;
    int status = EXIT_SUCCESS;

    setlocale(LC_CTYPE, "");
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_RUN:
        status = options.worker ? worker_main(&options.sandbox) : supervise(&options);
        break;
    case OPTIONS_DONE:
        break;
    case OPTIONS_BAD:
        status = 2;
        break;
    }
    options_deinit(&options);
    return status;
}
