/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *     metadata FOLDER N
 *
 * Makes N files in the folder, looks at each, lists them, opens each and removes each, and prints how many
 * of each it did in a second: "create 1234", or "create -: the error" for what does not work. Linked
 * statically, for guests.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef bool Step(const char *name);

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool step_create(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

    return fd >= 0 && close(fd) == 0;
}

static bool step_stat(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0;
}

static bool step_open(const char *name)
{
    int fd = open(name, O_RDONLY);

    return fd >= 0 && close(fd) == 0;
}

static bool step_unlink(const char *name)
{
    return unlink(name) == 0;
}

static void measure(const char *what, Step *step, unsigned n)
{
    double begun = now();
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "metadata.%u", i);
        if (!step(name)) {
            printf("%s -: %s\n", what, strerror(errno));
            return;
        }
    }
    printf("%s %.0f\n", what, n / (now() - begun));
}

static unsigned count_entries(void)
{
    DIR *dir = opendir(".");
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Entries in a second. */
static void measure_list(unsigned n)
{
    double begun = now();
    unsigned listed = 0;

    for (unsigned i = 0; i < 5; i++)
        listed += count_entries();
    if (listed < 5 * n)
        printf("list -: %u entries\n", listed);
    else
        printf("list %.0f\n", listed / (now() - begun));
}

int main(int argc, char **argv)
{
    unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    if (n == 0 || chdir(argv[1]) != 0) {
        fprintf(stderr, "metadata: needs a folder and a number\n");
        return 2;
    }
    measure("create", step_create, n);
    measure("stat", step_stat, n);
    measure("open", step_open, n);
    measure_list(n);
    measure("unlink", step_unlink, n);
    return 0;
}
