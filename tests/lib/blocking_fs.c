/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocking fs, the test's side: see blocking_fs.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/blocking_internal.h"

#define SERVER_ARGUMENT "--blocking-server"

struct BlockingFs {
    char *path;
    int command_fd;
    pid_t server;
};

static bool mounts_are_private;

void blocking_fs_main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], SERVER_ARGUMENT) == 0) {
        blocking_serve(atoi(argv[2]), atoi(argv[3]));
        exit(EXIT_SUCCESS);
    }
    mounts_are_private =
        unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int mount_fuse(const char *path)
{
    char options[128];
    int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK);

    if (fd < 0)
        return -1;
    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,max_read=%d", fd,
             BLOCKING_PIECE);
    if (mount("blocking", path, "fuse.blocking", MS_NOSUID | MS_NODEV, options) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Becomes the server, in the child. It dies with the test's main thread: one that is killed cannot
 * close its end of the socket while other threads of it hang. */
static void exec_server(int fuse_fd, int command_fd)
{
    char fuse_text[16], command_text[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(fuse_text, sizeof(fuse_text), "%d", fuse_fd);
    snprintf(command_text, sizeof(command_text), "%d", command_fd);
    execl("/proc/self/exe", "blocking-server", SERVER_ARGUMENT, fuse_text, command_text,
          (char *)NULL);
    _exit(EXIT_FAILURE);
}

BlockingFs *blocking_fs_new(const char *path, const char **why)
{
    BlockingFs *fs;
    int pair[2];
    int fuse_fd;

    *why = "mounts cannot be made here";
    if (!mounts_are_private)
        return NULL;
    *why = "FUSE cannot be mounted here";
    fuse_fd = mount_fuse(path);
    if (fuse_fd < 0)
        return NULL;
    fs = g_new0(BlockingFs, 1);
    fs->path = g_strdup(path);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), ==, 0);
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    fs->command_fd = pair[0];
    fs->server = fork();
    g_assert_cmpint(fs->server, >=, 0);
    if (fs->server == 0)
        exec_server(fuse_fd, pair[1]);
    close(pair[1]);
    close(fuse_fd);
    return fs;
}

void blocking_fs_free(BlockingFs *fs)
{
    umount2(fs->path, MNT_DETACH);
    close(fs->command_fd);
    waitpid(fs->server, NULL, 0);
    g_free(fs->path);
    g_free(fs);
}

static Answer tell(BlockingFs *fs, Command command)
{
    Answer answer;

    g_assert_cmpint(send(fs->command_fd, &command, sizeof(command), 0), ==, sizeof(command));
    g_assert_cmpint(recv(fs->command_fd, &answer, sizeof(answer), 0), ==, sizeof(answer));
    return answer;
}

void blocking_fs_hang(BlockingFs *fs, enum fuse_opcode opcode, BlockingMode mode, unsigned n_pass)
{
    tell(fs, (Command){
                 .type = COMMAND_HANG, .opcode = opcode, .mode = mode, .n_pass = n_pass});
}

void blocking_fs_await(BlockingFs *fs, enum fuse_opcode opcode, unsigned n)
{
    while (tell(fs, (Command){.type = COMMAND_COUNT, .opcode = opcode}).n_hanging < n)
        g_usleep(1000);
}

void blocking_fs_release(BlockingFs *fs, enum fuse_opcode opcode, int error)
{
    tell(fs, (Command){.type = COMMAND_RELEASE, .opcode = opcode, .error = error});
}

void blocking_fs_fail(BlockingFs *fs, enum fuse_opcode opcode, int error, unsigned n_pass)
{
    tell(fs, (Command){.type = COMMAND_FAIL, .opcode = opcode, .error = error, .n_pass = n_pass});
}

unsigned blocking_fs_n_done(BlockingFs *fs, enum fuse_opcode opcode)
{
    return tell(fs, (Command){.type = COMMAND_COUNT, .opcode = opcode}).n_done;
}

unsigned blocking_fs_n_interrupted(BlockingFs *fs)
{
    return tell(fs, (Command){.type = COMMAND_COUNT}).n_interrupted;
}
