/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command: see command.h. */
#include "tests/daemon/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/standin/standin.h"

enum { LIMIT_SECONDS = 120 }; /* a run that hangs must not hang the test */

struct Command {
    GPid pid;
    int out;
    int err;
};

/* A file beside the folder of the test's own program. */
static char *build_path(const char *name)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(program);

    return g_build_filename(folder, name, NULL);
}

Command *command_start(const char *const *arguments)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *libraries = build_path("../standin");
    g_auto(GStrv) environment = g_get_environ();
    g_autoptr(GError) error = NULL;
    Command *command = g_new0(Command, 1);

    environment = g_environ_setenv(environment, "LD_LIBRARY_PATH", libraries, TRUE);
    g_ptr_array_add(argv, build_path("../../bin/xen-9pfs"));
    for (size_t i = 0; arguments[i] != NULL; i++)
        g_ptr_array_add(argv, g_strdup(arguments[i]));
    g_ptr_array_add(argv, g_strdup_printf("--run-dir=%s/run", standin_dir()));
    g_ptr_array_add(argv, NULL);
    g_spawn_async_with_pipes(NULL, (char **)argv->pdata, environment, G_SPAWN_DO_NOT_REAP_CHILD,
                             NULL, NULL, &command->pid, NULL, &command->out, &command->err, &error);
    g_assert_no_error(error);
    return command;
}

static char *read_all(int fd)
{
    GString *text = g_string_new(NULL);
    char bytes[4096];
    ssize_t got;

    while ((got = read(fd, bytes, sizeof(bytes))) > 0)
        g_string_append_len(text, bytes, got);
    close(fd);
    return g_string_free(text, FALSE);
}

/* What the tool prints fits in the pipes, so it can end before they are read. */
CommandResult *command_finish(Command *command)
{
    gint64 end = g_get_monotonic_time() + LIMIT_SECONDS * G_USEC_PER_SEC;
    CommandResult *result = g_new0(CommandResult, 1);
    int status;

    while (waitpid(command->pid, &status, WNOHANG) == 0) {
        if (g_get_monotonic_time() > end)
            kill(command->pid, SIGKILL);
        g_usleep(1000);
    }
    result->out = read_all(command->out);
    result->err = read_all(command->err);
    if (!WIFEXITED(status))
        g_error("the tool ended with status %#x\n%s%s", (unsigned)status, result->out, result->err);
    result->status = WEXITSTATUS(status);
    g_free(command);
    return result;
}

CommandResult *command_run(const char *const *arguments)
{
    return command_finish(command_start(arguments));
}

void command_result_free(CommandResult *result)
{
    g_free(result->out);
    g_free(result->err);
    g_free(result);
}

void expect_result(CommandResult *result, int status, const char *words)
{
    const char *said = status == 0 ? result->out : result->err;

    if (result->status != status || strstr(said, words) == NULL)
        g_error("status %d, not %d, or \"%s\" is missing; it said:\n%s%s", result->status, status,
                words, result->out, result->err);
    command_result_free(result);
}
