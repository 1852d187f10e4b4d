/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the sandbox looks on the workers of the daemon, from outside; that every operation of 9P can
 * be done in it; how a worker ends; and how it logs when it cannot. What the sandbox forbids is in
 * test_sandbox.c.
 */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-9pfs/link.h"

enum { ROOT = 1, FILE_FID, DIR_FID, WORK, TAG = 7 };

/* ---- What /proc tells ---- */

/* Checks that the line `name` of the worker's status is `value`. */
static void expect_status(pid_t pid, const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *line = g_strdup_printf("\n%s:\t%s\n", name, value);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    if (strstr(text, line) == NULL)
        g_error("%s is not %s:\n%s", name, value, text);
}

/* Whether the worker is in the same namespace of kind `name` as this process. */
static bool shares_namespace(pid_t pid, const char *name)
{
    g_autofree char *own = g_strdup_printf("/proc/self/ns/%s", name);
    g_autofree char *path = g_strdup_printf("/proc/%d/ns/%s", (int)pid, name);
    struct stat ours, its;

    g_assert_no_errno(stat(own, &ours));
    g_assert_no_errno(stat(path, &its));
    return ours.st_ino == its.st_ino;
}

static void expect_namespaces(pid_t pid, bool shared)
{
    static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpint(shares_namespace(pid, names[i]), ==, shared);
}

/* The export is the worker's root, and its only mount. */
static void expect_root(const Fixture *fixture, pid_t pid)
{
    g_autofree char *root = g_strdup_printf("/proc/%d/root", (int)pid);
    g_autofree char *mounts_path = g_strdup_printf("/proc/%d/mountinfo", (int)pid);
    g_autofree char *mounts = NULL;
    struct stat export, its;

    g_assert_no_errno(stat(fixture->export, &export));
    g_assert_no_errno(stat(root, &its));
    g_assert_cmpuint(export.st_ino, ==, its.st_ino);
    g_assert_cmpuint(export.st_dev, ==, its.st_dev);
    g_assert_true(g_file_get_contents(mounts_path, &mounts, NULL, NULL));
    g_assert_cmpuint(strcspn(mounts, "\n") + 1, ==, strlen(mounts));
    g_assert_nonnull(strstr(mounts, "nosuid,nodev,noexec"));
}

/* Neither a signal of the supervisor's terminal nor a share of the CPUs of its own, see process.c. */
static void expect_groups(const Fixture *fixture, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *stat = NULL;
    int process_group, session, terminal;

    g_assert_true(g_file_get_contents(path, &stat, NULL, NULL));
    g_assert_cmpint(
        sscanf(strrchr(stat, ')'), ") %*c %*d %d %d %d", &process_group, &session, &terminal), ==,
        3);
    g_assert_cmpint(process_group, ==, pid);
    g_assert_cmpint(session, ==, getsid(standin_daemon_pid(fixture->daemon)));
    g_assert_cmpint(terminal, ==, 0);
}

/* No directory is open but the root and /proc/self/fd, both of which are roots of their mounts. */
static void expect_descriptors(pid_t pid)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned n_folders = 0;
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        struct stat st;

        g_assert_no_errno(stat(path, &st));
        if (!S_ISDIR(st.st_mode))
            continue;
        n_folders++;
        g_assert_cmpstr(target, ==, "/");
    }
    g_assert_cmpuint(n_folders, ==, 2);
}

static void test_full(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t pid = last_worker(fixture, slot);
    g_autofree char *pids = g_strdup_printf("%d\t1", (int)pid);

    (void)data;
    expect_status(pid, "NSpid", pids);
    expect_status(pid, "Seccomp", "2");
    expect_status(pid, "NoNewPrivs", "1");
    expect_status(pid, "CapEff", "00000000880000df");
    expect_status(pid, "CapBnd", "00000000880000df");
    expect_namespaces(pid, false);
    expect_root(fixture, pid);
    expect_descriptors(pid);
    expect_groups(fixture, pid);
    check_serves(slot);
    finish(fixture, slot);
}

/* The levels below, as asked for on the command line. */
static void check_level(const char *option, const char *seccomp, const char *no_new_privs)
{
    const char *const options[] = {option, NULL};
    Fixture fixture;
    Slot *slot;
    pid_t pid;

    fixture_set_up(&fixture, options);
    slot = connected_slot(&fixture, 1, 0);
    pid = last_worker(&fixture, slot);
    expect_namespaces(pid, true);
    expect_status(pid, "Seccomp", seccomp);
    expect_status(pid, "NoNewPrivs", no_new_privs);
    check_serves(slot);
    finish(&fixture, slot);
    /* In builds with AddressSanitizer, of whose kind of process there is one with "off". */
    g_assert_cmpuint(count_log(&fixture, "LeakSanitizer"), ==, 0);
    fixture_tear_down(&fixture, NULL);
}

static void test_no_namespaces(void)
{
    check_level("--sandbox=no-namespaces", "2", "1");
}

static void test_off(void)
{
    check_level("--sandbox=off", "0", "0");
}

static void test_trusted_xattr(void)
{
    const char *const options[] = {"--trusted-xattr", NULL};
    Fixture fixture;
    Slot *slot;

    fixture_set_up(&fixture, options);
    slot = connected_slot(&fixture, 1, 0);
    expect_status(last_worker(&fixture, slot), "CapEff", "00000000882000df");
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
}

/* ---- Where the full sandbox cannot be had ---- */

/* As in a container: this process may do what programs that it executes may not. */
static void drop_admin(void)
{
    g_assert_no_errno(prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN));
}

static void test_unprivileged(void)
{
    Fixture fixture;
    Slot *slot;

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return;
    }
    drop_admin();
    fixture_set_up(&fixture, NULL);
    slot = slot_new("xen_9pfs", 1, 0);
    slot_add(slot, fixture.export, "none");
    slot_expect(slot, XenbusStateInitWait);
    slot_offer(slot);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(&fixture, slot, "1 2 5 6",
                   "cannot make a pid namespace, without which there is --sandbox=no-namespaces");
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
}

static void test_unprivileged_level(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return;
    }
    drop_admin();
    test_no_namespaces();
}

/* ---- Every operation, with death as the penalty for a forbidden system call ---- */

static void expect_call(Slot *slot, GByteArray *request)
{
    uint8_t type = request->data[4];
    int error = frontend_call(slot->frontend, request, "*");

    if (error != 0)
        g_error("message %u: error %d", type, error);
}

static void walk(Slot *slot, uint32_t fid, const char *path)
{
    expect_call(slot, p9_twalk(TAG, ROOT, fid, path));
}

static void clunk(Slot *slot, uint32_t fid)
{
    expect_call(slot, p9_tclunk(TAG, fid));
}

static void make_names(Slot *slot)
{
    expect_call(slot, p9_tmkdir(TAG, ROOT, "dir", 0755, 12));
    expect_call(slot, p9_tsymlink(TAG, ROOT, "symlink", "hello", 12));
    expect_call(slot, p9_tmknod(TAG, ROOT, "fifo", S_IFIFO | 0600, 0, 0, 12));
    expect_call(slot, p9_tmknod(TAG, ROOT, "null", S_IFCHR | 0600, 1, 3, 12));
    walk(slot, WORK, "hello");
    expect_call(slot, p9_tlink(TAG, ROOT, WORK, "hard"));
    clunk(slot, WORK);
    walk(slot, WORK, "symlink");
    expect_call(slot, p9_treadlink(TAG, WORK));
    clunk(slot, WORK);
}

/* On FILE_FID, a new file that stays open. */
static void use_file(Slot *slot)
{
    walk(slot, FILE_FID, "dir");
    expect_call(slot, p9_tlcreate(TAG, FILE_FID, "new", O_RDWR, 0640, 12));
    expect_call(slot, p9_twrite(TAG, FILE_FID, 0, 4, "text"));
    expect_call(slot, p9_tread(TAG, FILE_FID, 0, 100));
    expect_call(slot, p9_tfsync(TAG, FILE_FID, 0));
    expect_call(slot, p9_tfsync(TAG, FILE_FID, 1));
    expect_call(slot, p9_tstatfs(TAG, FILE_FID));
    expect_call(slot, p9_build(P9_TLOCK, TAG, "dbdqqds", FILE_FID, 1, 0, UINT64_C(0), UINT64_C(9),
                               1, "client"));
    expect_call(slot, p9_build(P9_TGETLOCK, TAG, "dbqqds", FILE_FID, 1, UINT64_C(0), UINT64_C(9), 2,
                               "client"));
    expect_call(slot, p9_build(P9_TLOCK, TAG, "dbdqqds", FILE_FID, 2, 0, UINT64_C(0), UINT64_C(9),
                               1, "client"));
}

static void use_attributes(Slot *slot)
{
    P9SetAttr all = {.valid = P9_SET_MODE | P9_SET_UID | P9_SET_GID | P9_SET_SIZE | P9_SET_ATIME |
                              P9_SET_ATIME_SET | P9_SET_MTIME,
                     .mode = 0600,
                     .uid = 12,
                     .gid = 34,
                     .size = 2,
                     .atime_sec = 5};
    P9SetAttr size = {.valid = P9_SET_SIZE, .size = 1};

    expect_call(slot, p9_tsetattr(TAG, FILE_FID, &all));
    expect_call(slot, p9_tgetattr(TAG, FILE_FID, P9_GETATTR_ALL));
    walk(slot, WORK, "hard"); /* not open */
    expect_call(slot, p9_tsetattr(TAG, WORK, &size));
    expect_call(slot, p9_tsetattr(TAG, WORK, &(P9SetAttr){.valid = P9_SET_CTIME}));
    clunk(slot, WORK);
}

static void use_xattr(Slot *slot)
{
    walk(slot, WORK, "hello");
    expect_call(slot, p9_build(P9_TXATTRCREATE, TAG, "dsqd", WORK, "user.a", UINT64_C(3), 0));
    expect_call(slot, p9_twrite(TAG, WORK, 0, 3, "abc"));
    clunk(slot, WORK);
    walk(slot, WORK, "hello");
    expect_call(slot, p9_build(P9_TXATTRWALK, TAG, "dds", WORK, DIR_FID, ""));
    expect_call(slot, p9_tread(TAG, DIR_FID, 0, 100));
    clunk(slot, DIR_FID);
    expect_call(slot, p9_build(P9_TXATTRWALK, TAG, "dds", WORK, DIR_FID, "user.a"));
    clunk(slot, DIR_FID);
    expect_call(slot, p9_build(P9_TXATTRCREATE, TAG, "dsqd", WORK, "user.a", UINT64_C(0), 2));
    clunk(slot, WORK);
}

static void list_folders(Slot *slot)
{
    walk(slot, DIR_FID, "dir");
    expect_call(slot, p9_tlopen(TAG, DIR_FID, O_DIRECTORY));
    expect_call(slot, p9_treaddir(TAG, DIR_FID, 0, 1000));
    clunk(slot, DIR_FID);
    walk(slot, DIR_FID, "dir/..");
    clunk(slot, DIR_FID);
}

static void move_and_remove(Slot *slot)
{
    expect_call(slot, p9_trenameat(TAG, ROOT, "fifo", ROOT, "pipe"));
    walk(slot, WORK, "pipe");
    walk(slot, DIR_FID, "dir");
    expect_call(slot, p9_trename(TAG, WORK, DIR_FID, "fifo"));
    expect_call(slot, p9_tremove(TAG, WORK));
    expect_call(slot, p9_tunlinkat(TAG, DIR_FID, "new", 0));
    expect_call(slot, p9_tunlinkat(TAG, ROOT, "dir", AT_REMOVEDIR));
    expect_call(slot, p9_tunlinkat(TAG, ROOT, "null", 0));
    expect_call(slot, p9_tunlinkat(TAG, ROOT, "symlink", 0));
    expect_call(slot, p9_tunlinkat(TAG, ROOT, "hard", 0));
    clunk(slot, DIR_FID);
    expect_call(slot, p9_tgetattr(TAG, FILE_FID, P9_GETATTR_ALL)); /* removed, and still open */
    clunk(slot, FILE_FID);
    expect_call(slot, p9_tflush(TAG, 99));
}

static void do_everything(Slot *slot)
{
    g_assert_cmpint(frontend_version(slot->frontend), ==, 0);
    expect_call(slot, p9_tattach(TAG, ROOT, P9_NOFID, "user", "", 12));
    make_names(slot);
    use_file(slot);
    use_attributes(slot);
    use_xattr(slot);
    list_folders(slot);
    move_and_remove(slot);
}

static void test_operations(Fixture *fixture, const void *data)
{
    static const char *const models[] = {"none", "passthrough"};

    (void)data;
    for (uint32_t i = 0; i < G_N_ELEMENTS(models); i++) {
        Slot *slot = slot_new("xen_9pfs", 1, i);

        slot_add(slot, fixture->export, models[i]);
        slot_expect(slot, XenbusStateInitWait);
        slot_offer(slot);
        slot_expect(slot, XenbusStateConnected);
        slot_set_frontend(slot, XenbusStateConnected);
        do_everything(slot);
        finish(fixture, slot);
    }
}

/* ---- How workers end ---- */

/* The first process of a pid namespace has to be made to hear it. */
static void test_terminated(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    g_assert_no_errno(kill(last_worker(fixture, slot), SIGTERM));
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(fixture, slot, "1 2 4 5 6", "exited with status 143");
    finish(fixture, slot);
}

/* What an administrator reads when the list of system calls lacks one. */
static void test_forbidden_call(void)
{
    const char *const options[] = {"--sandbox=no-namespaces", NULL};
    Fixture fixture;
    Slot *slot;

    fixture_set_up(&fixture, options);
    slot = connected_slot(&fixture, 1, 0);
    g_assert_no_errno(kill(last_worker(&fixture, slot), SIGSYS));
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    expect_refused(&fixture, slot, "1 2 4 5 6", "for a system call that the sandbox forbids");
    finish(&fixture, slot);
    fixture_tear_down(&fixture, NULL);
}

/* The next worker of the same device is in namespaces of its own again. */
static void test_again(Fixture *fixture, const void *data)
{
    (void)data;
    for (int i = 0; i < 3; i++) {
        Slot *slot = connected_slot(fixture, 1, 0);

        expect_namespaces(last_worker(fixture, slot), false);
        check_serves(slot);
        finish(fixture, slot);
    }
    g_assert_true(shares_namespace(standin_daemon_pid(fixture->daemon), "pid"));
}

/* ---- Lines that a worker has the supervisor log ---- */

/* A worker of another mind: says one thing and no more. Writes to `ready` when it can be
 * reached. */
static _Noreturn void play_worker(const char *path, int ready)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    LinkMessage message = {
        .version = LINK_VERSION, .type = LINK_LOG, .priority = 99, .text = "a line\nof a worker"};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int fd;

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 1) != 0 || write(ready, "", 1) != 1)
        _exit(1);
    fd = accept(listener, NULL, NULL);
    if (fd < 0 || link_send(fd, &message) != 0)
        _exit(1);
    for (;;)
        pause();
}

static void test_log_relay(Fixture *fixture, const void *data)
{
    g_autofree char *path =
        g_build_filename(standin_daemon_run_dir(fixture->daemon), "xen_9pfs-1-0.sock", NULL);
    int ready[2];
    char byte;
    pid_t pid;

    (void)data;
    fixture_kill_supervisor(fixture);
    g_assert_no_errno(pipe2(ready, O_CLOEXEC));
    pid = fork();
    if (pid == 0)
        play_worker(path, ready[1]);
    close(ready[1]);
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    close(ready[0]);
    fixture_start_supervisor(fixture);
    expect_log(fixture, "debug: a line?of a worker");
    g_assert_no_errno(kill(pid, SIGKILL));
    g_assert_no_errno(waitpid(pid, NULL, 0));
}

/* ---- Supervisors and workers of several versions ---- */

/* A message as another version might send it: with something behind. */
typedef struct OtherMessage {
    LinkMessage message;
    char more[100];
} OtherMessage;

static struct sockaddr_un worker_address(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/xen_9pfs-1-0.sock",
               standin_dir());
    return address;
}

/* Meets the worker of device 0 of domain 1 as its supervisor. Returns the link, and what the worker
 * says of itself. */
static int meet_worker(LinkMessage *hello)
{
    struct sockaddr_un address = worker_address();
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int result;

    g_assert_no_errno(connect(fd, (struct sockaddr *)&address, sizeof(address)));
    while ((result = link_receive(fd, hello, NULL)) == -EAGAIN)
        g_usleep(1000);
    g_assert_cmpint(result, ==, 1);
    g_assert_cmpuint(hello->type, ==, LINK_HELLO);
    return fd;
}

/* A worker of another version, which exits with 0 once it was told to stop. */
static _Noreturn void play_other(int listener, const OtherMessage *hello, size_t size)
{
    LinkMessage message;
    int fd = accept(listener, NULL, NULL);

    if (fd < 0 || send(fd, hello, size, 0) != (ssize_t)size)
        _exit(1);
    while (recv(fd, &message, sizeof(message), 0) > 0) {
        if (message.type == LINK_STOP)
            _exit(0);
    }
    _exit(2);
}

/* Puts a worker of another version in the place of the one that serves the device, between two
 * supervisors. Returns when it can be reached. */
static pid_t exchange_worker(pid_t worker, uint32_t version, size_t size)
{
    struct sockaddr_un address = worker_address();
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    OtherMessage hello = {.more = "something new"};
    int ready[2];
    char byte;
    pid_t pid;

    close(meet_worker(&hello.message));
    hello.message.version = version;
    g_assert_no_errno(kill(worker, SIGKILL));
    g_assert_no_errno(unlink(address.sun_path));
    g_assert_no_errno(bind(listener, (struct sockaddr *)&address, sizeof(address)));
    g_assert_no_errno(pipe2(ready, O_CLOEXEC));
    pid = fork();
    if (pid == 0) {
        if (listen(listener, 1) != 0 || write(ready[1], "", 1) != 1)
            _exit(3);
        play_other(listener, &hello, size);
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    close(ready[0]);
    close(ready[1]);
    close(listener);
    return pid;
}

/* An upgrade under a running guest: what the new supervisor needs to know of an older worker, or
 * after going back of a newer one, both understand. */
static void test_other_version(Fixture *fixture, const void *data)
{
    static const struct {
        uint32_t version;
        size_t size;
    } others[] = {
        {LINK_VERSION + 1, sizeof(OtherMessage)},
        {LINK_VERSION + 7, LINK_COMMON_SIZE},
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        Slot *slot = connected_slot(fixture, 1, 0);
        pid_t worker = last_worker(fixture, slot);
        int status = -1;
        pid_t pid;

        fixture_end_supervisor(fixture, SIGTERM);
        pid = exchange_worker(worker, others[i].version, others[i].size);
        fixture_start_supervisor(fixture);
        expect_log(fixture, "goes on serving");
        slot_expect(slot, XenbusStateConnected);
        finish(fixture, slot);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0); /* it was told to stop, and nothing else happened to it */
    }
}

/* What a worker says that is older than any that is understood is not believed. */
static void test_too_old(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    pid_t worker = last_worker(fixture, slot);
    pid_t pid;

    (void)data;
    fixture_end_supervisor(fixture, SIGTERM);
    pid = exchange_worker(worker, LINK_OLDEST - 1, sizeof(OtherMessage));
    fixture_start_supervisor(fixture);
    slot_expect(slot, XenbusStateClosing);
    expect_log(fixture, "it speaks a version of the link that is too old");
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    slot_set_frontend(slot, XenbusStateClosed);
    finish(fixture, slot);
}

/* A worker stops for a supervisor of any version, and takes nothing else from it. */
static void test_stopped_by_other_version(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    OtherMessage stop = {.message = {.version = LINK_VERSION + 1, .type = 99}};
    LinkMessage hello;
    char byte;
    int fd;

    (void)data;
    fixture_kill_supervisor(fixture);
    fd = meet_worker(&hello);
    g_assert_cmpint(send(fd, &stop, sizeof(stop), 0), ==, sizeof(stop));
    check_serves(slot);
    stop.message.type = LINK_STOP;
    g_assert_cmpint(send(fd, &stop, sizeof(stop), 0), ==, sizeof(stop));
    g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 0); /* it is gone */
    close(fd);
    fixture_start_supervisor(fixture);
    slot_expect(slot, XenbusStateClosing);
    slot_set_frontend(slot, XenbusStateClosed);
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (geteuid() != 0) {
        g_print("1..0 # SKIP the sandbox needs root\n");
        return 0;
    }
    FIXTURE_TEST("/locked-worker/full", test_full);
    FIXTURE_TEST("/locked-worker/operations", test_operations);
    FIXTURE_TEST("/locked-worker/terminated", test_terminated);
    FIXTURE_TEST("/locked-worker/again", test_again);
    FIXTURE_TEST("/locked-worker/log-relay", test_log_relay);
    FIXTURE_TEST("/locked-worker/other-version", test_other_version);
    FIXTURE_TEST("/locked-worker/too-old", test_too_old);
    FIXTURE_TEST("/locked-worker/stopped-by-other-version", test_stopped_by_other_version);
    g_test_add_func("/locked-worker/no-namespaces", test_no_namespaces);
    g_test_add_func("/locked-worker/off", test_off);
    g_test_add_func("/locked-worker/unprivileged", test_unprivileged);
    g_test_add_func("/locked-worker/unprivileged-level", test_unprivileged_level);
    g_test_add_func("/locked-worker/trusted-xattr", test_trusted_xattr);
    g_test_add_func("/locked-worker/forbidden-call", test_forbidden_call);
    return g_test_run();
}
