/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox, from inside: a forked process goes through the phases as a worker does and then
 * tries one thing that it must not be able to do. Each wall is also tried without the last one,
 * the list of system calls, so that none stands only because another does.
 *
 * How the sandbox looks on a worker of the daemon is in test_locked_worker.c.
 */
#include "xen-9pfs/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/mount.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xen/xen.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#include "common/log.h"
#include "common/syscall_numbers.h"
#include "protocol/local_internal.h"

enum { EXIT_PHASE = 99, OTHER_ID = 4321 };

/* Where the test listens. */
static const char abstract_name[] = "\0xen-9pfs-test-sandbox";

typedef struct Scene {
    char *dir;    /* with "secret" in it, beside: */
    char *export; /* with "file", "link" to it, "program", and "device" if that can be made */
    pid_t outer;  /* the test's process */
    int listener; /* at abstract_name */
} Scene;

/* How the process locks itself in. */
typedef struct Cage {
    SandboxLevel level;
    SecurityModel model;
    bool readonly;
    bool trusted_xattr;
    bool root_is_no_mount; /* as on a system that runs from its initial ramdisk */
    bool log;              /* what is not on the list is only logged */
    bool open;             /* any system call may be made */
} Cage;

static Scene scene;
static LocalFs *fs; /* in the child */

/* Something that is tried in there. Returns 0 when all is as it should be, or else a line
 * number. */
typedef int (*Attempt)(const void *argument);

#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

#define CHECK_FAILS(call, error) CHECK((call) < 0 && errno == (error))

static void write_file(const char *folder, const char *name, int mode)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_set_contents(path, name, -1, NULL));
    g_assert_no_errno(chmod(path, (mode_t)mode));
}

static void listen_abstract(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, abstract_name, sizeof(abstract_name));
    scene.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_no_errno(bind(scene.listener, (struct sockaddr *)&address, sizeof(address)));
    g_assert_no_errno(listen(scene.listener, 8));
}

static void scene_set_up(void)
{
    g_autofree char *link_path = NULL;
    g_autofree char *device = NULL;
    g_autofree char *proc = NULL;

    g_assert_no_errno(unshare(CLONE_NEWNS));
    g_assert_no_errno(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    g_assert_no_errno(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL));
    scene.dir = g_dir_make_tmp("sandbox-XXXXXX", NULL);
    scene.export = g_build_filename(scene.dir, "export", NULL);
    scene.outer = getpid();
    proc = g_build_filename(scene.dir, "proc", NULL);
    g_assert_no_errno(g_mkdir(scene.export, 0755));
    g_assert_no_errno(g_mkdir(proc, 0755));
    write_file(scene.dir, "secret", 0644);
    write_file(scene.export, "file", 0644);
    write_file(scene.export, "program", 0755);
    link_path = g_build_filename(scene.export, "link", NULL);
    g_assert_no_errno(symlink("file", link_path));
    device = g_build_filename(scene.export, "device", NULL);
    g_assert_no_errno(mknod(device, S_IFCHR | 0666, makedev(1, 3)));
    listen_abstract();
}

static void scene_tear_down(void)
{
    static const char *const files[] = {"export/file",   "export/link", "export/program",
                                        "export/device", "export",      "proc",
                                        "secret"};

    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(scene.dir, files[i], NULL);

        g_assert_no_errno(g_remove(path));
    }
    g_assert_no_errno(g_rmdir(scene.dir));
    g_free(scene.export);
    g_free(scene.dir);
    close(scene.listener);
}

/* Makes the scene's folder the root, which is no mount and so cannot be exchanged. */
static void enter_folder(void)
{
    g_autofree char *proc = g_build_filename(scene.dir, "proc", NULL);

    g_assert_no_errno(mount("proc", proc, "proc", 0, NULL));
    g_assert_no_errno(chroot(scene.dir));
    g_assert_no_errno(chdir("/"));
    scene.export = "/export";
}

/* The phases in the order of the worker. Returns 0 or a negative errno. */
static int lock_in(Sandbox *sandbox, const Cage *cage)
{
    ExportOptions options = export_default_options;
    Fs *base;
    int error = sandbox_limit_process(sandbox, STDERR_FILENO);

    options.model = cage->model;
    options.readonly = cage->readonly;
    if (!error)
        error = sandbox_leave_namespaces(sandbox);
    if (!error && cage->root_is_no_mount)
        enter_folder();
    if (!error)
        error = local_fs_new(scene.export, &options, &base, &sandbox->why);
    if (error)
        return error;
    fs = (LocalFs *)base;
    error = sandbox_enter_root(sandbox, local_fs_root(base));
    if (!error)
        error = sandbox_drop_capabilities(sandbox, cage->model);
    sandbox_warm_up();
    if (!error && !cage->open)
        error = sandbox_forbid_calls(sandbox);
    return error;
}

static _Noreturn void run_child(const Cage *cage, Attempt attempt, const void *argument)
{
    Sandbox sandbox = {
        .level = cage->level,
        .calls = cage->log ? SANDBOX_CALLS_LOG : SANDBOX_CALLS_KILL,
        .trusted_xattr = cage->trusted_xattr,
    };
    int error = lock_in(&sandbox, cage);
    int line;

    if (error) {
        log_error("%s: %s", sandbox.why, g_strerror(-error));
        _exit(EXIT_PHASE);
    }
    line = attempt(argument);
    if (line != 0)
        log_error("%s: line %d: %s", __FILE__, line, g_strerror(errno));
    _exit(line != 0);
}

/* Starts a process that locks itself in and then runs `attempt`. */
static pid_t start_locked(const Cage *cage, Attempt attempt, const void *argument)
{
    int spawn = cage->level == SANDBOX_FULL ? sandbox_begin_spawn() : -1;
    pid_t pid = fork();

    if (pid == 0)
        run_child(cage, attempt, argument);
    if (spawn >= 0)
        sandbox_end_spawn(spawn);
    g_assert_no_errno(pid);
    return pid;
}

/* Returns how it ended, as waitpid() does. */
static int wait_for(pid_t pid)
{
    int status = -1;

    g_assert_no_errno(waitpid(pid, &status, 0));
    return status;
}

static int run_locked(const Cage *cage, Attempt attempt, const void *argument)
{
    return wait_for(start_locked(cage, attempt, argument));
}

/* ---- The list of system calls ---- */

typedef struct Forbidden {
    const char *name;
    long number;
    long arguments[6];
} Forbidden;

#define OTHER_PROCESS 2 /* whether there is one or not */

static const Forbidden forbidden[] = {
    {"network socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"unix socket", SYS_socket, {AF_UNIX, SOCK_DGRAM, 0}},
    {"socket pair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0}},
    {"connect", SYS_connect, {0}},
    {"bind", SYS_bind, {0}},
    {"listen", SYS_listen, {0}},
    {"datagrams to anybody", SYS_sendto, {0, 0, 0, 0, (long)abstract_name, 20}},
    {"passing descriptors", SYS_sendmsg, {0}},
    {"receiving descriptors", SYS_recvmsg, {0}},
    {"execve", SYS_execve, {(long)"/program"}},
    {"execveat", SYS_execveat, {AT_FDCWD, (long)"/program"}},
    {"fork", SYS_clone, {SIGCHLD}},
    {"process that shares memory", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {"user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"unshare of a user namespace", SYS_unshare, {CLONE_NEWUSER}},
    {"unshare of mounts", SYS_unshare, {CLONE_NEWNS | CLONE_FS}},
    {"setns", SYS_setns, {0}},
    {"kill", SYS_kill, {OTHER_PROCESS, SIGKILL}},
    {"kill of everybody", SYS_kill, {-1, SIGKILL}},
    {"tgkill", SYS_tgkill, {OTHER_PROCESS, OTHER_PROCESS, SIGKILL}},
    {"tkill", SYS_tkill, {OTHER_PROCESS, SIGKILL}},
    {"queued signal", SYS_rt_sigqueueinfo, {OTHER_PROCESS, SIGKILL}},
    {"pidfd", SYS_pidfd_open, {1}},
    {"pidfd signal", SYS_pidfd_send_signal, {0}},
    {"others' descriptors", SYS_pidfd_getfd, {0}},
    {"signals by descriptors", SYS_fcntl, {0, F_SETOWN, OTHER_PROCESS}},
    {"leases", SYS_fcntl, {0, F_SETLEASE, F_RDLCK}},
    {"ptrace", SYS_ptrace, {PTRACE_ATTACH, OTHER_PROCESS}},
    {"others' memory", SYS_process_vm_readv, {OTHER_PROCESS}},
    {"mount", SYS_mount, {(long)"none", (long)"/", (long)"tmpfs"}},
    {"umount", SYS_umount2, {(long)"/", MNT_DETACH}},
    {"open_tree", SYS_open_tree, {AT_FDCWD, (long)"/", OPEN_TREE_CLONE}},
    {"move_mount", SYS_move_mount, {0}},
    {"fsopen", SYS_fsopen, {(long)"proc"}},
    {"mount_setattr", SYS_mount_setattr, {AT_FDCWD, (long)"/"}},
    {"pivot_root", SYS_pivot_root, {(long)".", (long)"."}},
    {"chroot", SYS_chroot, {(long)"/"}},
    {"file handles", SYS_open_by_handle_at, {AT_FDCWD}},
    {"executable memory", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANON, -1}},
    {"writable code",
     SYS_mmap,
     {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANON, -1}},
    {"mprotect", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"pkey_mprotect", SYS_pkey_mprotect, {0, 4096, PROT_READ | PROT_EXEC, -1}},
    {"memory file", SYS_memfd_create, {(long)"x"}},
    {"shared memory", SYS_shmget, {0, 4096, 0600}},
    {"personality", SYS_personality, {0x0400000 /* READ_IMPLIES_EXEC */}},
    {"terminal input", SYS_ioctl, {0, 0x5412 /* TIOCSTI */}},
    {"mapping of grants", SYS_ioctl, {0, IOCTL_GNTDEV_MAP_GRANT_REF}},
    {"copy of grants", SYS_ioctl, {0, IOCTL_GNTDEV_GRANT_COPY}},
    {"binding of events", SYS_ioctl, {0, IOCTL_EVTCHN_BIND_INTERDOMAIN}},
    {"virtual interrupt", SYS_ioctl, {0, IOCTL_EVTCHN_BIND_VIRQ}},
    {"file attributes", SYS_ioctl, {0, 0x40086602 /* FS_IOC_SETFLAGS */}},
    {"user id", SYS_setresuid, {0, 0, 0}},
    {"groups", SYS_setgroups, {0, 0}},
    {"capset", SYS_capset, {0}},
    {"dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"securebits", SYS_prctl, {PR_SET_SECUREBITS, 0}},
    {"limits", SYS_prlimit64, {0, RLIMIT_CORE}},
    {"another filter", SYS_seccomp, {0}},
    {"bpf", SYS_bpf, {0}},
    {"perf", SYS_perf_event_open, {0}},
    {"io_uring", SYS_io_uring_setup, {1}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"keys", SYS_keyctl, {0}},
    {"modules", SYS_finit_module, {0}},
    {"clock", SYS_clock_settime, {0}},
    {"host name", SYS_sethostname, {(long)"x", 1}},
    {"reboot", SYS_reboot, {0}},
    {"quota", SYS_quotactl, {0}},
    {"swap", SYS_swapoff, {(long)"/file"}},
    {"fanotify", SYS_fanotify_init, {0}},
    {"kernel log", SYS_syslog, {0}},
};

static int make_call(const void *argument)
{
    const Forbidden *call = argument;
    const long *a = call->arguments;

    syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return __LINE__;
}

static void check_killed(int status, const char *name)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        g_error("%s: the status is %#x, not death by SIGSYS", name, (unsigned)status);
}

static void test_forbidden(const void *data)
{
    const Cage *cage = data;

    for (size_t i = 0; i < G_N_ELEMENTS(forbidden); i++)
        check_killed(run_locked(cage, make_call, &forbidden[i]), forbidden[i].name);
}

static void *make_call_in_thread(void *argument)
{
    make_call(argument);
    return NULL;
}

static int call_in_thread(const void *argument)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, make_call_in_thread, (void *)argument) == 0);
    pthread_join(thread, NULL);
    return __LINE__;
}

/* What one thread must not do ends the whole process. */
static void test_forbidden_in_thread(const void *data)
{
    check_killed(run_locked(data, call_in_thread, &forbidden[0]), forbidden[0].name);
}

#ifdef __x86_64__
static int call_as_i386(const void *argument)
{
    long result;

    (void)argument;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
    return __LINE__;
}

static int call_as_x32(const void *argument)
{
    (void)argument;
    syscall(0x40000000 | SYS_getpid);
    return __LINE__;
}

/* The same processor speaks other dialects of system calls, with other numbers. */
static void test_other_architectures(const void *data)
{
    check_killed(run_locked(data, call_as_i386, NULL), "i386");
    check_killed(run_locked(data, call_as_x32, NULL), "x32");
}
#endif

static int be_logged(const void *argument)
{
    (void)argument;
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    return 0;
}

/* As long as an administrator looks for what is missing. */
static void test_log_only(void)
{
    const Cage cage = {.log = true};

    g_assert_cmpint(run_locked(&cage, be_logged, NULL), ==, 0);
}

/* ---- What serving takes ---- */

static void *use_thread(void *argument)
{
    (void)argument;
    g_free(g_malloc(1 << 22));
    return local_become(fs, (FsOwner){OTHER_ID, OTHER_ID}) == 0 ? NULL : argument;
}

static int work_in_thread(void)
{
    pthread_t thread;
    void *result;

    CHECK(pthread_create(&thread, NULL, use_thread, fs) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == NULL);
    return 0;
}

static int use_attributes(FsNode *node)
{
    char value[8];

    CHECK(local_setxattr(node, "user.a", "value", 5, 0) == 0);
    CHECK(local_getxattr(node, "user.a", value, sizeof(value), false) == 5);
    CHECK(local_removexattr(node, "user.a") == 0);
    return 0;
}

/* With the calls of Linux 6.13 where there are any, and without them. */
static int use_attributes_both_ways(FsNode *node)
{
    int line = use_attributes(node);

    fs->has_xattrat = false;
    return line != 0 ? line : use_attributes(node);
}

static int serve(const void *argument)
{
    FsOwner owner = {OTHER_ID, OTHER_ID};
    FsNode *root;
    FsFile *file;
    int line;

    (void)argument;
    CHECK(fs->base.ops->root(&fs->base, &root) == 0);
    CHECK(local_create(root, "made", O_RDWR, 0600, owner, &file) == 0);
    CHECK(local_write(file, "text", 4, 0) == 4);
    line = use_attributes_both_ways(file->node);
    CHECK(unlinkat(fs->root_fd, "made", 0) == 0);
    return line != 0 ? line : work_in_thread();
}

static void test_serves(const void *data)
{
    g_assert_cmpint(run_locked(data, serve, NULL), ==, 0);
}

/* Whatever is looked up by name from here on kills. */
static int forbid_names(void)
{
    static const int calls[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2),
                                SCMP_SYS(newfstatat), SCMP_SYS(readlink)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int error = filter ? 0 : -ENOMEM;

    for (size_t i = 0; i < G_N_ELEMENTS(calls) && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0);
    return error ? error : seccomp_load(filter);
}

/* What the libraries would otherwise read from files of the export. */
static int use_libraries(const void *argument)
{
    int error = forbid_names();

    (void)argument;
    CHECK(error == 0);
    for (int number = 1; number < 134; number++)
        CHECK(g_strerror(number) != NULL);
    log_init(LOG_TARGET_SOCKET, LOG_INFO);
    log_info("nobody hears this");
    return work_in_thread();
}

static void test_warm_up(void)
{
    const Cage cage = {.open = true};

    g_assert_cmpint(run_locked(&cage, use_libraries, NULL), ==, 0);
}

/* ---- The walls that stand without the list ---- */

static int look_outside(const void *argument)
{
    struct stat root, above;
    struct stat st;

    (void)argument;
    CHECK(stat("/file", &st) == 0);
    CHECK_FAILS(open("/etc/passwd", O_RDONLY), ENOENT);
    CHECK_FAILS(open("/proc/self/status", O_RDONLY), ENOENT);
    CHECK_FAILS(open("/dev/null", O_RDONLY), ENOENT);
    CHECK_FAILS(openat(fs->root_fd, "../secret", O_RDONLY), ENOENT);
    CHECK(fstatat(fs->root_fd, ".", &root, 0) == 0 && fstatat(fs->root_fd, "..", &above, 0) == 0);
    CHECK(root.st_ino == above.st_ino && root.st_dev == above.st_dev);
    CHECK(stat("/../..", &above) == 0 && root.st_ino == above.st_ino);
    return 0;
}

/* The descriptor of /proc/self/fd leads to this process's descriptors and nowhere else. */
static int look_around_proc(const void *argument)
{
    ProcName own = local_proc_name(fs->root_fd);
    struct stat here, above;

    (void)argument;
    CHECK(faccessat(fs->proc_fd, own.text, R_OK, 0) == 0);
    CHECK(fstat(fs->proc_fd, &here) == 0 && fstatat(fs->proc_fd, "..", &above, 0) == 0);
    CHECK(here.st_ino == above.st_ino && here.st_dev == above.st_dev);
    CHECK_FAILS(openat(fs->proc_fd, "../mem", O_RDWR), ENOENT);
    CHECK_FAILS(openat(fs->proc_fd, "../../self/status", O_RDONLY), ENOENT);
    CHECK_FAILS(openat(fs->proc_fd, "../../sys/kernel/core_pattern", O_RDONLY), ENOENT);
    return 0;
}

static int reach_processes(const void *argument)
{
    (void)argument;
    CHECK(getpid() == 1 && getppid() == 0);
    CHECK_FAILS(kill(scene.outer, 0), ESRCH);
    CHECK_FAILS(kill(-1, 0), ESRCH);
    CHECK_FAILS(ptrace(PTRACE_ATTACH, scene.outer, NULL, NULL), ESRCH);
    CHECK_FAILS(syscall(SYS_pidfd_open, scene.outer, 0), ESRCH);
    return 0;
}

static int reach_network(const void *argument)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr_in loopback = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)argument;
    CHECK(fd >= 0);
    CHECK_FAILS(connect(fd, (const struct sockaddr *)&loopback, sizeof(loopback)), ENETUNREACH);
    memcpy(address.sun_path, abstract_name, sizeof(abstract_name));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_FAILS(connect(fd, (struct sockaddr *)&address, sizeof(address)), ECONNREFUSED);
    return 0;
}

static int change_system(const void *argument)
{
    struct rlimit core;

    (void)argument;
    CHECK_FAILS(mount("none", "/", "tmpfs", 0, NULL), EPERM);
    CHECK_FAILS(umount2("/", MNT_DETACH), EPERM);
    CHECK_FAILS(chroot("/"), EPERM);
    CHECK_FAILS(unshare(CLONE_NEWNS), EPERM);
    CHECK_FAILS(sethostname("x", 1), EPERM);
    CHECK_FAILS(prctl(PR_SET_SECUREBITS, 0), EPERM);
    CHECK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_DUMPABLE) == 0);
    return 0;
}

/* A guest can put anything into the export: none of it works here. */
static int use_traps(const void *argument)
{
    char *const argv[] = {(char *)"program", NULL};

    (void)argument;
    CHECK_FAILS(execv("/program", argv), EACCES);
    CHECK_FAILS(open("/device", O_RDONLY), EACCES);
    CHECK_FAILS(open("/link", O_RDONLY), ELOOP);
    return 0;
}

static int use_trusted(const void *argument)
{
    const Cage *cage = argument;

    if (!cage->trusted_xattr) {
        CHECK_FAILS(setxattr("/file", "trusted.a", "v", 1, 0), EPERM);
        CHECK_FAILS(setxattr("/file", "security.a", "v", 1, 0), EPERM);
        return 0;
    }
    CHECK(setxattr("/file", "trusted.a", "v", 1, 0) == 0 && removexattr("/file", "trusted.a") == 0);
    CHECK(setxattr("/file", "security.a", "v", 1, 0) == 0 &&
          removexattr("/file", "security.a") == 0);
    return 0;
}

static int change_files(const void *argument)
{
    const Cage *cage = argument;
    int fd = open("/new", O_CREAT | O_WRONLY, 0600);

    if (cage->readonly) {
        CHECK(fd < 0 && errno == EROFS);
        return 0;
    }
    CHECK(fd >= 0);
    CHECK(unlink("/new") == 0);
    return 0;
}

static void check_attempt(SandboxLevel level, Attempt attempt)
{
    const Cage cage = {.level = level, .open = true};

    g_assert_cmpint(run_locked(&cage, attempt, &cage), ==, 0);
}

static void test_outside(void)
{
    const Cage covered = {.open = true, .root_is_no_mount = true};

    check_attempt(SANDBOX_FULL, look_outside);
    g_assert_cmpint(run_locked(&covered, look_outside, NULL), ==, 0);
}

static void test_proc(void)
{
    check_attempt(SANDBOX_FULL, look_around_proc);
    check_attempt(SANDBOX_NO_NAMESPACES, look_around_proc);
}

static void test_processes(void)
{
    check_attempt(SANDBOX_FULL, reach_processes);
}

static void test_network(void)
{
    check_attempt(SANDBOX_FULL, reach_network);
}

static void test_system(void)
{
    check_attempt(SANDBOX_FULL, change_system);
    check_attempt(SANDBOX_NO_NAMESPACES, change_system);
}

static void test_traps(void)
{
    check_attempt(SANDBOX_FULL, use_traps);
}

static void test_trusted(void)
{
    const Cage cage = {.open = true, .trusted_xattr = true};

    check_attempt(SANDBOX_FULL, use_trusted);
    g_assert_cmpint(run_locked(&cage, use_trusted, &cage), ==, 0);
}

static void test_readonly(void)
{
    const Cage cage = {.open = true, .readonly = true};

    check_attempt(SANDBOX_FULL, change_files);
    g_assert_cmpint(run_locked(&cage, change_files, &cage), ==, 0);
}

/* Waits for the mount on /mounted to go. */
static int lose_mount(const void *argument)
{
    const int *ready = argument;
    struct stat root, mounted;

    CHECK(stat("/", &root) == 0 && stat("/mounted", &mounted) == 0);
    CHECK(root.st_dev != mounted.st_dev);
    CHECK(write(*ready, "", 1) == 1);
    for (unsigned i = 0; i < 1000 && root.st_dev != mounted.st_dev; i++) {
        g_usleep(10000);
        CHECK(stat("/mounted", &mounted) == 0);
    }
    CHECK(root.st_dev == mounted.st_dev);
    return 0;
}

/* What the administrator unmounts is not kept busy. The test has mounts of its own for this,
 * shared as systemd shares the system's. The child keeps standard input, which is a pipe to
 * here. */
static void test_unmount(void)
{
    const Cage cage = {.open = true};
    g_autofree char *folder = g_build_filename(scene.export, "mounted", NULL);
    int input = dup(STDIN_FILENO);
    int in_child = STDIN_FILENO;
    int ready[2];
    pid_t pid;
    char byte;

    g_assert_no_errno(g_mkdir(folder, 0755));
    g_assert_no_errno(mount("none", folder, "tmpfs", 0, NULL));
    g_assert_no_errno(pipe2(ready, O_CLOEXEC));
    g_assert_no_errno(dup2(ready[1], STDIN_FILENO));
    pid = start_locked(&cage, lose_mount, &in_child);
    g_assert_no_errno(dup2(input, STDIN_FILENO));
    close(ready[1]);
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    g_assert_no_errno(umount(folder));
    g_assert_cmpint(wait_for(pid), ==, 0);
    g_assert_no_errno(g_rmdir(folder));
    close(ready[0]);
    close(input);
}

/* ---- Capabilities ---- */

/* The sets of this process, as the kernel shows them: effective, permitted, bounding, and those
 * that a program would inherit. */
static int compare_capabilities(const void *argument)
{
    static const char *const sets[] = {"CapEff:\t", "CapPrm:\t", "CapBnd:\t"};
    const uint64_t *expected = argument;
    g_autofree char *status = NULL;

    CHECK(g_file_get_contents("/proc/self/status", &status, NULL, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(sets); i++) {
        const char *at = strstr(status, sets[i]);

        CHECK(at && g_ascii_strtoull(at + strlen(sets[i]), NULL, 16) == *expected);
    }
    CHECK(strstr(status, "CapInh:\t0000000000000000\n") != NULL);
    CHECK(strstr(status, "CapAmb:\t0000000000000000\n") != NULL);
    return 0;
}

static void test_capabilities(void)
{
    static const struct {
        SecurityModel model;
        bool trusted_xattr;
        uint64_t expected;
    } cases[] = {
        {MODEL_NONE, false, 0x880000df},       {MODEL_PASSTHROUGH, false, 0x880000df},
        {MODEL_PASSTHROUGH, true, 0x882000df}, /* CAP_SYS_ADMIN */
        {MODEL_MAPPED_XATTR, true, 0},         {MODEL_MAPPED_FILE, false, 0},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Cage cage = {.level = SANDBOX_NO_NAMESPACES,
                           .open = true,
                           .model = cases[i].model,
                           .trusted_xattr = cases[i].trusted_xattr};

        g_assert_cmpint(run_locked(&cage, compare_capabilities, &cases[i].expected), ==, 0);
    }
}

/* ---- Where it cannot be had ---- */

/* Nobody serves in half a sandbox. */
static void test_fails_closed(void)
{
    Sandbox sandbox = {.level = SANDBOX_FULL};
    int folder = open(scene.export, O_PATH | O_DIRECTORY | O_CLOEXEC);

    g_assert_cmpint(sandbox_leave_namespaces(&sandbox), ==, -ESRCH);
    g_assert_nonnull(strstr(sandbox.why, "pid namespace"));
    sandbox.why = NULL;
    g_assert_cmpint(sandbox_enter_root(&sandbox, folder), <, 0); /* no mount of its own */
    g_assert_nonnull(sandbox.why);
    close(folder);
}

static int open_descriptors(const void *argument)
{
    (void)argument;
    CHECK(fcntl(STDERR_FILENO, F_GETFD) >= 0);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        CHECK(fcntl(fd, F_GETFD) < 0 || fd == fs->root_fd || fd == fs->proc_fd);
    return 0;
}

/* What the supervisor had open is closed, whatever it was. */
static void test_descriptors(void)
{
    int left = fcntl(scene.listener, F_DUPFD, 40); /* not close-on-exec */

    check_attempt(SANDBOX_FULL, open_descriptors);
    check_attempt(SANDBOX_OFF, open_descriptors);
    close(left);
}

int main(int argc, char **argv)
{
    static const Cage full = {.level = SANDBOX_FULL};
    static const Cage no_namespaces = {.level = SANDBOX_NO_NAMESPACES};
    int result;

    g_test_init(&argc, &argv, NULL);
    if (geteuid() != 0) {
        g_print("1..0 # SKIP the sandbox needs root\n");
        return 0;
    }
    scene_set_up();
    g_test_add_data_func("/sandbox/full/calls", &full, test_forbidden);
    g_test_add_data_func("/sandbox/full/calls-in-thread", &full, test_forbidden_in_thread);
    g_test_add_data_func("/sandbox/full/serves", &full, test_serves);
    g_test_add_data_func("/sandbox/no-namespaces/calls", &no_namespaces, test_forbidden);
    g_test_add_data_func("/sandbox/no-namespaces/serves", &no_namespaces, test_serves);
#ifdef __x86_64__
    g_test_add_data_func("/sandbox/full/architectures", &full, test_other_architectures);
#endif
    g_test_add_func("/sandbox/log-only", test_log_only);
    g_test_add_func("/sandbox/warm-up", test_warm_up);
    g_test_add_func("/sandbox/outside", test_outside);
    g_test_add_func("/sandbox/proc", test_proc);
    g_test_add_func("/sandbox/processes", test_processes);
    g_test_add_func("/sandbox/network", test_network);
    g_test_add_func("/sandbox/system", test_system);
    g_test_add_func("/sandbox/traps", test_traps);
    g_test_add_func("/sandbox/trusted-attributes", test_trusted);
    g_test_add_func("/sandbox/readonly", test_readonly);
    g_test_add_func("/sandbox/unmount", test_unmount);
    g_test_add_func("/sandbox/capabilities", test_capabilities);
    g_test_add_func("/sandbox/fails-closed", test_fails_closed);
    g_test_add_func("/sandbox/descriptors", test_descriptors);
    result = g_test_run();
    scene_tear_down();
    return result;
}
