/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process under test: see standin.h. It runs with the stand-in's libraries in
 * LD_LIBRARY_PATH, in a process group of its own, and is killed when the test's process dies.
 * What it starts is found in /proc: all descendants of this process but the broker and what the
 * test started by itself.
 */
#include "tests/standin/process.h"
#include "tests/standin/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { 
    START_TIMEOUT_MS = 30000,
    STOP_TIMEOUT_MS = 30000,
    CHILDREN_TIMEOUT_MS = 20000,
    POLL_US = 2000,
 };

static Deny denied; /* to daemons that are started */

struct StandinDaemon {
    pid_t pid;
    char *run_dir;
    char *log;
};

/* In the child. */
static _Noreturn void exec_program(const char *const *argv, const char *log, pid_t parent)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || fd < 0)
        _exit(126);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setpgid(0, 0);
    if (deny_starting(denied) != 0)
        _exit(126);
    execv(argv[0], (char *const *)argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The machine's own systemd is no part of the stand-in: a bus is there only if a test plays one. */
static void set_environment(void)
{
    g_autofree char *folder = standin_build_path("");
    g_autofree char *bus = g_strdup_printf("unix:path=%s/bus", standin_dir());

    setenv("LD_LIBRARY_PATH", folder, 1);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", bus, 1);
}

StandinDaemon *standin_daemon_spawn(const char *const *argv)
{
    static unsigned last;
    StandinDaemon *daemon = g_new0(StandinDaemon, 1);
    pid_t parent = getpid();

    daemon->run_dir = g_strdup_printf("%s/run", standin_dir());
    daemon->log = g_strdup_printf("%s/log-%u", standin_dir(), ++last);
    g_mkdir_with_parents(daemon->run_dir, 0700);
    set_environment();
    daemon->pid = fork();
    if (daemon->pid < 0)
        g_error("cannot fork");
    if (daemon->pid == 0)
        exec_program(argv, daemon->log, parent);
    return daemon;
}

/* Whether this system has such filters is seen in a child. */
bool standin_daemon_deny(Deny what)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(deny_starting(what) == 0 ? 0 : 1);
    waitpid(pid, &status, 0);
    if (status == 0)
        denied = what;
    return status == 0;
}

/* The daemon's program: XEN_9PFSD, or what was built beside the stand-in. */
static char *daemon_program(void)
{
    const char *program = getenv("XEN_9PFSD");

    return program ? g_strdup(program) : standin_build_path("../../xen-9pfsd");
}

static bool is_claimed(void)
{
    g_autofree char *state = standin_read("/local/domain/0/libxl/xen-9pfs/state");

    return g_strcmp0(state, "running") == 0;
}

/* Waits until the daemon says in xenstore that it runs. When a predecessor that was killed has
 * left that behind, the daemon's log decides. */
static void wait_running(const StandinDaemon *daemon, bool was_claimed)
{
    int64_t end = g_get_monotonic_time() + START_TIMEOUT_MS * 1000;

    while (!is_claimed() || (was_claimed && !standin_daemon_wait_log(daemon, " is ready", 0))) {
        if (waitpid(daemon->pid, NULL, WNOHANG) != 0 || g_get_monotonic_time() >= end) {
            g_autofree char *log = standin_daemon_log(daemon);
            g_error("the daemon does not run; its log:\n%s", log);
        }
        g_usleep(POLL_US);
    }
}

char *standin_daemon_config(void)
{
    char *file = g_strdup_printf("%s/xen-9pfs.conf", standin_dir());

    if (!g_file_test(file, G_FILE_TEST_EXISTS))
        g_assert_true(g_file_set_contents(file, "", 0, NULL));
    return file;
}

/* How workers lock themselves in where a test does not say: NULL for the daemon's own default. */
static const char *sandbox_level(void)
{
    const char *level = getenv("XEN_9PFSD_SANDBOX");

    if (level)
        return level;
    return geteuid() == 0 ? NULL : "no-namespaces"; /* who may not make namespaces */
}

StandinDaemon *standin_daemon_start(const char *const *options)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *config = standin_daemon_config();
    bool was_claimed = is_claimed();
    StandinDaemon *daemon;

    g_ptr_array_add(argv, daemon_program());
    g_ptr_array_add(argv, g_strdup("--foreground"));
    g_ptr_array_add(argv, g_strdup_printf("--run-dir=%s/run", standin_dir()));
    g_ptr_array_add(argv, g_strdup_printf("--config=%s", config));
    g_ptr_array_add(argv, g_strdup("--log-level=debug"));
    if (sandbox_level())
        g_ptr_array_add(argv, g_strdup_printf("--sandbox=%s", sandbox_level()));
    for (unsigned i = 0; options && options[i]; i++)
        g_ptr_array_add(argv, g_strdup(options[i]));
    g_ptr_array_add(argv, NULL);
    daemon = standin_daemon_spawn((const char *const *)argv->pdata);
    wait_running(daemon, was_claimed);
    return daemon;
}

pid_t standin_daemon_pid(const StandinDaemon *daemon)
{
    return daemon->pid;
}

const char *standin_daemon_run_dir(const StandinDaemon *daemon)
{
    return daemon->run_dir;
}

char *standin_daemon_log(const StandinDaemon *daemon)
{
    char *text = NULL;

    if (!g_file_get_contents(daemon->log, &text, NULL, NULL))
        text = g_strdup("");
    return text;
}

bool standin_daemon_wait_log(const StandinDaemon *daemon, const char *text, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + timeout_ms * 1000;

    for (;;) {
        g_autofree char *log = standin_daemon_log(daemon);

        if (strstr(log, text))
            return true;
        if (g_get_monotonic_time() >= end)
            return false;
        g_usleep(POLL_US);
    }
}

/* ---- Descendants ---- */

/* The parent of process `pid`, or 0. */
static pid_t parent_of(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    const char *after_name;
    char state;
    int parent;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return state == 'Z' ? 0 : parent;
}

/* True when `pid` was started by the daemon: it descends from the daemon, or, once the daemon has
 * gone, it has become a child of this process without having been started by it. */
static bool is_daemons(pid_t pid, pid_t daemon)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)pid);
    g_autofree char *environ_text = NULL;
    gsize size = 0;
    pid_t ancestor = pid;

    if (pid == daemon || pid == standin_broker_pid())
        return false;
    while (ancestor > 1 && ancestor != daemon && ancestor != getpid())
        ancestor = parent_of(ancestor);
    if (ancestor == daemon)
        return true;
    if (ancestor != getpid() || pid == ancestor)
        return false;
    /* An adopted one: it was given the stand-in's libraries, as only the daemon is. */
    return g_file_get_contents(path, &environ_text, &size, NULL) &&
           memmem(environ_text, size, standin_dir(), strlen(standin_dir())) != NULL;
}

/* The processes that the daemon started and that are there. */
static GArray *list_children(pid_t daemon)
{
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        pid_t pid = atoi(name);

        if (pid > 0 && is_daemons(pid, daemon))
            g_array_append_val(pids, pid);
    }
    return pids;
}

static bool has_pid(const GArray *pids, pid_t pid)
{
    for (unsigned i = 0; i < pids->len; i++) {
        if (g_array_index(pids, pid_t, i) == pid)
            return true;
    }
    return false;
}

/* What a child has started belongs to it, and counts only when it outlives it. */
unsigned standin_daemon_children(const StandinDaemon *daemon)
{
    g_autoptr(GArray) pids = list_children(daemon->pid);
    unsigned count = 0;

    for (unsigned i = 0; i < pids->len; i++)
        count += !has_pid(pids, parent_of(g_array_index(pids, pid_t, i)));
    return count;
}

unsigned standin_daemon_children_wait(const StandinDaemon *daemon, unsigned expected)
{
    int64_t end = g_get_monotonic_time() + CHILDREN_TIMEOUT_MS * 1000;
    unsigned count = standin_daemon_children(daemon);

    while (count != expected && g_get_monotonic_time() < end) {
        g_usleep(POLL_US);
        count = standin_daemon_children(daemon);
    }
    return count;
}

/* Kills what the daemon has left behind, and takes in what became of it. */
static void kill_children(pid_t daemon)
{
    g_autoptr(GArray) pids = list_children(daemon);

    for (unsigned i = 0; i < pids->len; i++)
        kill(g_array_index(pids, pid_t, i), SIGKILL);
    for (unsigned i = 0; i < pids->len; i++)
        waitpid(g_array_index(pids, pid_t, i), NULL, 0);
}

static int wait_ended(pid_t pid)
{
    int64_t end = g_get_monotonic_time() + STOP_TIMEOUT_MS * 1000;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (g_get_monotonic_time() >= end)
            kill(pid, SIGKILL);
        g_usleep(POLL_US);
    }
    return status;
}

static void daemon_free(StandinDaemon *daemon)
{
    g_free(daemon->run_dir);
    g_free(daemon->log);
    g_free(daemon);
}

int standin_daemon_stop(StandinDaemon *daemon)
{
    int status;

    kill(daemon->pid, SIGTERM);
    status = wait_ended(daemon->pid);
    kill_children(daemon->pid);
    if (status != 0) {
        g_autofree char *log = standin_daemon_log(daemon);
        g_printerr("the daemon ended with status %#x; its log:\n%s", (unsigned)status, log);
    }
    daemon_free(daemon);
    return status;
}

void standin_daemon_kill(StandinDaemon *daemon)
{
    kill(daemon->pid, SIGKILL);
    wait_ended(daemon->pid);
    daemon_free(daemon);
}
