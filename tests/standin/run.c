/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *     standin-run COMMAND [ARGUMENT...]
 *
 * Starts the stand-in, runs a command in it and stops it. The command and all that it starts find
 * the stand-in's libraries in place of the real ones; XEN_STANDIN_DOMID says which domain a
 * program belongs to. The exit status is the command's.
 */
#include "tests/standin/standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_library_path(const char *program)
{
    char *folder = realpath(program, NULL);

    if (!folder)
        return;
    *strrchr(folder, '/') = '\0';
    setenv("LD_LIBRARY_PATH", folder, 1);
    free(folder);
}

int main(int argc, char **argv)
{
    int status = 0;
    pid_t pid;

    if (argc < 2) {
        fprintf(stderr, "usage: standin-run COMMAND [ARGUMENT...]\n");
        return 2;
    }
    standin_start();
    set_library_path("/proc/self/exe");
    pid = fork();
    if (pid == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    standin_stop();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
