/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hold: keeps something of a file for a while, for the checks between guests and dom0.
 *
 *     hold range FILE START LENGTH now SECONDS    a lock on these bytes, if it is free
 *     hold range FILE START LENGTH wait SECONDS   the same, waiting for it
 *     hold lease FILE SECONDS                     a lease: whoever opens the file waits
 *
 * Prints "held" when it has it, "busy" when somebody else has it; another error is told. The exit
 * status is 0 only after "held". It is linked statically, so that it runs in any guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take_range(int fd, char **argv)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = atoll(argv[3]),
                         .l_len = atoll(argv[4])};
    int command = strcmp(argv[5], "wait") == 0 ? F_SETLKW : F_SETLK;

    return fcntl(fd, command, &lock) == 0 ? 0 : errno;
}

/* Somebody who opens the file is told about by a signal, which is of no interest. */
static int take_lease(int fd)
{
    signal(SIGIO, SIG_IGN);
    return fcntl(fd, F_SETLEASE, F_WRLCK) == 0 ? 0 : errno;
}

/* Keeps `fd` for that many seconds, signals or not. */
static void keep(unsigned seconds)
{
    while (seconds > 0)
        seconds = sleep(seconds);
}

int main(int argc, char **argv)
{
    int is_range = argc == 7 && strcmp(argv[1], "range") == 0;
    int is_lease = argc == 4 && strcmp(argv[1], "lease") == 0;
    int fd, error;

    if (!is_range && !is_lease) {
        fprintf(stderr, "usage: hold range FILE START LENGTH now|wait SECONDS\n"
                        "       hold lease FILE SECONDS\n");
        return 2;
    }
    fd = open(argv[2], O_RDWR | O_CREAT, 0666);
    if (fd < 0) {
        perror(argv[2]);
        return 2;
    }
    error = is_range ? take_range(fd, argv) : take_lease(fd);
    if (error == EAGAIN || error == EACCES) {
        puts("busy");
        return 1;
    }
    if (error) {
        fprintf(stderr, "%s: %s\n", argv[2], strerror(error));
        return 2;
    }
    puts("held");
    fflush(stdout);
    keep((unsigned)atoi(argv[argc - 1]));
    return 0;
}
