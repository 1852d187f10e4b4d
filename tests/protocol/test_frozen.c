/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on a frozen file system: an ext4 of this host, frozen as for a snapshot. Nothing
 * interrupts what waits there, so that the Rflush waits, and nobody else does. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/local.h"
#include "tests/lib/client.h"

enum { IMAGE_SIZE = 8 * 1024 * 1024, MSIZE = 64 * 1024, ROOT = 0, FILE_FID = 1, TAG = 60000 };

typedef struct Disk {
    char *folder;
    char *image;
    char *path;
    int root_fd; /* to freeze it by */
    pid_t guard;
    Fs *fs;
    TestSession *ts;
    Client client;
} Disk;

static bool make_image(const char *path)
{
    char *command[] = {(char *)"/sbin/mkfs.ext4", (char *)"-q", (char *)"-F", (char *)path, NULL};
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int status = -1;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, IMAGE_SIZE), ==, 0);
    close(fd);
    return g_spawn_sync(NULL, command, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status,
                        NULL) &&
           status == 0;
}

/* Opens a loop device on the image; it goes when the last who holds it lets go. */
static int open_loop(const char *image, char device[32])
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(image, O_RDWR | O_CLOEXEC);
    int fd = -1;

    for (unsigned attempt = 0; control >= 0 && attempt < 50; attempt++) {
        struct loop_config config = {.fd = (uint32_t)file,
                                     .info.lo_flags = LO_FLAGS_AUTOCLEAR};
        int number = ioctl(control, LOOP_CTL_GET_FREE);

        g_snprintf(device, 32, "/dev/loop%d", number);
        fd = number >= 0 ? open(device, O_RDWR | O_CLOEXEC) : -1;
        if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) == 0)
            break;
        close(fd); /* somebody else was faster */
        fd = -1;
    }
    if (control >= 0)
        close(control);
    close(file);
    return fd;
}

static bool mount_image(Disk *d)
{
    char device[32];
    int loop = make_image(d->image) ? open_loop(d->image, device) : -1;
    bool mounted = loop >= 0 && mount(device, d->path, "ext4", MS_NOSUID | MS_NODEV, "") == 0;

    if (loop >= 0)
        close(loop);
    return mounted;
}

static void disk_free(Disk *d)
{
    if (d->ts)
        test_session_free(d->ts);
    if (d->fs)
        local_fs_free(d->fs);
    if (d->root_fd >= 0)
        close(d->root_fd);
    umount2(d->path, MNT_DETACH);
    g_unlink(d->image);
    g_rmdir(d->path);
    g_rmdir(d->folder);
    g_free(d->path);
    g_free(d->image);
    g_free(d->folder);
    g_free(d);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disk, disk_free)

/* Returns NULL where this cannot be done; the test is skipped then. */
static Disk *disk_new(void)
{
    Disk *d = g_new0(Disk, 1);
    const char *why;

    d->root_fd = -1;
    d->folder = g_dir_make_tmp("9p-frozen-XXXXXX", NULL);
    d->image = g_build_filename(d->folder, "image", NULL);
    d->path = g_build_filename(d->folder, "mount", NULL);
    g_assert_cmpint(g_mkdir(d->path, 0700), ==, 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        !mount_image(d)) {
        g_test_skip("an ext4 cannot be mounted here");
        disk_free(d);
        return NULL;
    }
    d->root_fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(local_fs_new(d->path, &export_default_options, &d->fs, &why), ==, 0);
    d->ts = test_session_new(d->fs, 2, MSIZE, NULL);
    d->client = (Client){.ts = d->ts, .channel = 0, .tag = TAG};
    client_start(&d->client, MSIZE, ROOT, 0);
    g_assert_cmpint(client_walk(&d->client, ROOT, FILE_FID, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_create(&d->client, FILE_FID, "file", P9_L_RDWR, 0644, 0), ==, 0);
    return d;
}

/* Forks a process that thaws when the test's main thread dies: else its other threads, and so the
 * whole process, would hang for ever. */
static void start_guard(Disk *d)
{
    sigset_t set;
    int number;

    d->guard = fork();
    g_assert_cmpint(d->guard, >=, 0);
    if (d->guard > 0)
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigwait(&set, &number);
    ioctl(d->root_fd, FITHAW, 0);
    _exit(0);
}

static void freeze(Disk *d)
{
    start_guard(d);
    g_assert_cmpint(ioctl(d->root_fd, FIFREEZE, 0), ==, 0);
}

static void thaw(Disk *d)
{
    g_assert_cmpint(ioctl(d->root_fd, FITHAW, 0), ==, 0);
    kill(d->guard, SIGKILL);
    waitpid(d->guard, NULL, 0);
}

static void send_write(Disk *d, uint16_t tag)
{
    client_send(d->ts, tag, P9_TWRITE, "dqD", FILE_FID, (uint64_t)0, 3u, "abc");
}

static unsigned n_running(Disk *d)
{
    g_autoptr(GArray) requests = session_list_requests(test_session_session(d->ts));
    unsigned n = 0;

    for (unsigned i = 0; i < requests->len; i++) {
        const RequestInfo *r = &g_array_index(requests, RequestInfo, i);
        n += r->state == REQUEST_RUNNING && strcmp(r->op, "Twrite") == 0;
    }
    return n;
}

static void await_running(Disk *d, unsigned n)
{
    test_session_step(d->ts);
    while (n_running(d) < n)
        test_session_wait(d->ts);
}

/* A write of tag 5 waits in it when this returns. */
static void freeze_with_a_write(Disk *d)
{
    freeze(d);
    send_write(d, 5);
    await_running(d, 1);
}

static void test_rflush_waits(void)
{
    g_autoptr(Disk) d = disk_new();

    if (!d)
        return;
    freeze_with_a_write(d);
    client_send_on(d->ts, 1, 6, P9_TFLUSH, "w", 5u);
    test_session_expect(d->ts, "");
    g_usleep(50 * 1000); /* some signals */
    test_session_expect(d->ts, "");
    thaw(d);
    test_session_expect(d->ts, "0:Rwrite/5 1:Rflush/6");
}

/* Enough writes to hold every thread of the pool; what only looks is served, on the reader and on
 * the pool's spare threads. */
static void test_others_go_on(void)
{
    g_autoptr(Disk) d = disk_new();
    unsigned n = session_default_limits.device.max_threads;
    ClientAttr attr;

    if (!d)
        return;
    freeze(d);
    for (uint16_t i = 0; i < n; i++)
        send_write(d, 100 + i);
    await_running(d, n);
    g_assert_cmpint(client_getattr(&d->client, FILE_FID, &attr), ==, 0);
    g_assert_cmpint(client_walk(&d->client, ROOT, 2, "", NULL, NULL), ==, 0);
    g_assert_cmpint(client_open(&d->client, 2, P9_L_DIRECTORY), ==, 0);
    g_array_free(client_list(&d->client, 2, 1000), TRUE); /* on the pool */
    thaw(d);
    test_session_await_count(d->ts, n);
}

/* The client gives up and begins anew; the old writes end unseen. */
static void test_version_while_frozen(void)
{
    g_autoptr(Disk) d = disk_new();

    if (!d)
        return;
    freeze_with_a_write(d);
    client_start(&d->client, MSIZE, ROOT, 0);
    thaw(d);
    test_session_expect(d->ts, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_init(LOG_TARGET_STDERR, LOG_ERR);
    g_test_add_func("/frozen/rflush-waits", test_rflush_waits);
    g_test_add_func("/frozen/others-go-on", test_others_go_on);
    g_test_add_func("/frozen/version", test_version_while_frozen);
    return g_test_run();
}
