/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Process: see process.h. */
#include "xen-9pfs/process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

enum {
    READY_TIMEOUT_SECONDS = 8, /* below the 10 s that the toolstack grants a whole set-up */
    STOP_TIMEOUT_SECONDS = 2,
    LISTEN_BACKLOG = 4,
    MESSAGES_PER_TURN = 16,
    NAME_MAX_BYTES = 40, /* of a worker's socket, with its suffix */
};

struct Process {
    ProcessState state;
    pid_t pid;
    bool child;     /* ours to reap; otherwise adopted */
    bool has_setup; /* adopted: not before HELLO */
    int link;       /* -1: hung up */
    int pidfd;
    guint link_source;
    guint pidfd_source;
    guint timer; /* kills the worker when it fires */
    struct sockaddr_un address;
    char *reason;
    char *ending;
    LogLimit lines; /* that the worker asks us to log */
    uint32_t ring_order;
    LinkSetup setup;
    ProcessChanged changed;
    void *data;
};

bool process_host_usable(const ProcessHost *host)
{
    return strlen(host->run_dir) + 1 + NAME_MAX_BYTES < sizeof(((struct sockaddr_un *)0)->sun_path);
}

static void change_state(Process *process, ProcessState state)
{
    if (process->state == state || process->state == PROCESS_GONE)
        return;
    process->state = state;
    process->changed(process->data);
}

/* Control characters cannot spoil a log. */
static char *copy_printable(const char *text)
{
    char *copy = g_strdup(text);

    for (char *c = copy; *c != '\0'; c++) {
        if (g_ascii_iscntrl(*c))
            *c = '?';
    }
    return copy;
}

/* Remembers the first reason: later ones follow from it. */
static void set_reason(Process *process, const char *reason)
{
    if (process->reason == NULL && reason[0] != '\0')
        process->reason = copy_printable(reason);
}

/* Logs a line for a worker that cannot: it is as trustworthy as its guest. */
static void log_for_worker(Process *process, const LinkMessage *message)
{
    const LogFields fields = {.has_device = process->has_setup,
                              .domid = process->setup.domid,
                              .devid = process->setup.devid};

    log_fields(&process->lines, CLAMP(message->priority, LOG_ERR, LOG_DEBUG), &fields, "%s",
               message->text);
}

static void fail(Process *process, const char *reason)
{
    set_reason(process, reason);
    if (process->state == PROCESS_STARTING || process->state == PROCESS_READY)
        change_state(process, PROCESS_FAILED);
}

static void clear_source(guint *source)
{
    if (*source != 0)
        g_source_remove(*source);
    *source = 0;
}

static gboolean on_overstayed(gpointer data)
{
    Process *process = data;

    process->timer = 0;
    set_reason(process, process->state == PROCESS_STARTING ? "it was not ready in time"
                                                           : "it did not end when it should");
    if (pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        log_error("cannot kill worker %d: %s", (int)process->pid, g_strerror(errno));
    change_state(process, PROCESS_STOPPING);
    return G_SOURCE_REMOVE;
}

static void set_timer(Process *process, guint seconds)
{
    clear_source(&process->timer);
    process->timer = g_timeout_add_seconds(seconds, on_overstayed, process);
}

static int send_message(Process *process, LinkType type)
{
    LinkMessage message = {.version = LINK_VERSION, .type = type};

    if (process->link < 0)
        return -ENOTCONN;
    if (type == LINK_SETUP)
        message.setup = process->setup;
    return link_send(process->link, &message);
}

/* An adopted worker says what it serves; a fresh one is told. */
static void on_hello(Process *process, const LinkMessage *message)
{
    if (process->state != PROCESS_STARTING)
        return;
    process->ring_order = message->ring_order;
    if (!process->has_setup && message->state != LINK_STATE_EMPTY) {
        process->setup = message->setup;
        process->has_setup = true;
    }
    if (process->child && message->state == LINK_STATE_EMPTY) {
        if (send_message(process, LINK_SETUP) < 0)
            fail(process, "it did not take its setup");
    } else if (!process->child && message->state == LINK_STATE_READY) {
        clear_source(&process->timer);
        change_state(process, PROCESS_READY);
    } else {
        fail(process, message->text[0] != '\0' ? message->text : "it serves nothing");
    }
}

static void on_message(Process *process, const LinkMessage *message)
{
    switch (message->type) {
    case LINK_HELLO:
        on_hello(process, message);
        break;
    case LINK_READY:
        if (process->state != PROCESS_STARTING)
            break;
        process->ring_order = message->ring_order;
        clear_source(&process->timer);
        change_state(process, PROCESS_READY);
        break;
    case LINK_FAILED:
        fail(process, message->text);
        break;
    case LINK_LOG:
        log_for_worker(process, message);
        break;
    default:
        if (message->version == LINK_VERSION)
            fail(process, "it sent a message of an unknown type");
        break;
    }
}

static void hang_up(Process *process)
{
    clear_source(&process->link_source);
    if (process->link >= 0)
        close(process->link);
    process->link = -1;
}

/* Takes the messages that are waiting, but lets no worker keep the supervisor busy. Returns false
 * when no more can ever come. */
static bool read_link(Process *process)
{
    LinkMessage message;
    int rc = process->link < 0 ? 0 : 1;

    for (int i = 0; i < MESSAGES_PER_TURN && rc == 1; i++) {
        rc = link_receive(process->link, &message, NULL);
        if (rc == 1)
            on_message(process, &message);
    }
    if (rc == -EPROTO)
        set_reason(process, "it speaks a version of the link that is too old");
    return rc == 1 || rc == -EAGAIN;
}

/* A worker that has hung up is ending; how, its pidfd tells. It is not given long to do so. */
static gboolean on_link(gint fd, GIOCondition condition, gpointer data)
{
    Process *process = data;

    (void)fd;
    (void)condition;
    if (read_link(process))
        return G_SOURCE_CONTINUE;
    process->link_source = 0;
    hang_up(process);
    set_timer(process, STOP_TIMEOUT_SECONDS);
    return G_SOURCE_REMOVE;
}

static char *describe_ending(const Process *process)
{
    static const char forbidden[] =
        ", for a system call that the sandbox forbids and the kernel's log names";
    siginfo_t info = {0};

    if (!process->child)
        return g_strdup("has ended");
    if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0)
        return g_strdup_printf("has ended, its status is unknown (%s)", g_strerror(errno));
    if (info.si_code == CLD_EXITED)
        return g_strdup_printf("exited with status %d", info.si_status);
    return g_strdup_printf("was killed by signal %d (%s)%s", info.si_status,
                           g_strsignal(info.si_status), info.si_status == SIGSYS ? forbidden : "");
}

static gboolean on_exit_of_worker(gint fd, GIOCondition condition, gpointer data)
{
    Process *process = data;

    (void)fd;
    (void)condition;
    process->pidfd_source = 0;
    read_link(process);
    hang_up(process);
    clear_source(&process->timer);
    unlink(process->address.sun_path);
    process->ending = describe_ending(process);
    change_state(process, PROCESS_GONE);
    return G_SOURCE_REMOVE;
}

static Process *process_new(const ProcessHost *host, const char *name, ProcessChanged changed,
                            void *data)
{
    Process *process = g_new0(Process, 1);

    process->state = PROCESS_STARTING;
    process->link = -1;
    process->pidfd = -1;
    log_limit_init(&process->lines);
    process->changed = changed;
    process->data = data;
    process->address.sun_family = AF_UNIX;
    snprintf(process->address.sun_path, sizeof(process->address.sun_path), "%s/%s%s", host->run_dir,
             name, PROCESS_SOCKET_SUFFIX);
    return process;
}

void process_free(Process *process)
{
    clear_source(&process->timer);
    clear_source(&process->pidfd_source);
    hang_up(process);
    if (process->pidfd >= 0)
        close(process->pidfd);
    log_limit_deinit(&process->lines);
    g_free(process->reason);
    g_free(process->ending);
    g_free(process);
}

static bool set_errno_error(GError **error, const char *what)
{
    g_set_error(error, G_FILE_ERROR, errno, "%s: %s", what, g_strerror(errno));
    return false;
}

/* Creates the socket that the worker inherits and will listen on. It is for this user only, whoever
 * may enter the run folder. Returns the descriptor, or -1
 * with errno set. */
static int bind_socket(const Process *process)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    unlink(process->address.sun_path);
    if (bind(fd, (const struct sockaddr *)&process->address, sizeof(process->address)) == 0 &&
        chmod(process->address.sun_path, 0600) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Connects to the worker's socket. Returns 0, or -1 with errno set. */
static int connect_link(Process *process)
{
    process->link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (process->link < 0)
        return -1;
    return connect(process->link, (const struct sockaddr *)&process->address,
                   sizeof(process->address));
}

/* Signals of a terminal are for the supervisor, and nothing here has to do with it. That takes no session of
 * its own: the scheduler shares the CPUs out among sessions (sched_autogroup_enabled), and there a guest that
 * asks for little waited ten times as long for its turn beside others that are busy. */
static void leave_terminal(void)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);

    setpgid(0, 0);
    if (terminal < 0)
        return;
    ioctl(terminal, TIOCNOTTY);
    close(terminal);
}

/* Runs in the child just before the exec, so only calls that are safe there. The child is the one
 * to call listen() because a Unix socket names to its clients the process that did: an adopting
 * supervisor learns the worker's process id from the kernel, not from the worker. */
static void prepare_child(gpointer data)
{
    sigset_t none;

    (void)data;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    leave_terminal();
    listen(LINK_LISTEN_FD, LISTEN_BACKLOG);
}

static char **worker_environment(const ProcessHost *host)
{
    /* The conversation with the service manager is the supervisor's. */
    static const char *const private[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};
    char **environment = g_get_environ();

    for (size_t i = 0; i < G_N_ELEMENTS(private); i++)
        environment = g_environ_unsetenv(environment, private[i]);
    environment =
        g_environ_setenv(environment, "XEN_9PFS_LOG_LEVEL", log_level_name(host->log_level), TRUE);
    return g_environ_setenv(environment, "XEN_9PFS_LOG_TARGET",
                            host->foreground ? "stderr" : "syslog", TRUE);
}

/* Forks and executes this program once more, with nothing but `listener` and perhaps standard
 * error inherited. */
static bool execute_worker(Process *process, const ProcessHost *host, int listener, GError **error)
{
    const Sandbox *sandbox = &host->sandbox;
    g_autofree char *level = g_strconcat("--sandbox=", sandbox_level_name(sandbox->level), NULL);
    g_autofree char *calls = g_strconcat("--seccomp=", sandbox_calls_name(sandbox->calls), NULL);
    const char *trusted = sandbox->trusted_xattr ? "--trusted-xattr" : NULL;
    const char *const argv[] = {"/proc/self/exe", "xen-9pfsd", "--worker", level, calls,
                                trusted,          NULL};
    static const int target = LINK_LISTEN_FD;
    g_auto(GStrv) environment = worker_environment(host);
    GSpawnFlags flags =
        G_SPAWN_FILE_AND_ARGV_ZERO | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL;

    if (!host->foreground)
        flags |= G_SPAWN_STDERR_TO_DEV_NULL;
    process->child = true;
    return g_spawn_async_with_pipes_and_fds("/", argv, (const char *const *)environment, flags,
                                            prepare_child, NULL, -1, -1, -1, &listener, &target, 1,
                                            &process->pid, NULL, NULL, NULL, error);
}

/* The same, in a pid namespace of its own unless that is not wanted. */
static bool spawn_worker(Process *process, const ProcessHost *host, int listener, GError **error)
{
    bool spawned;
    int spawn;

    if (host->sandbox.level != SANDBOX_FULL)
        return execute_worker(process, host, listener, error);
    spawn = sandbox_begin_spawn();
    if (spawn < 0) {
        errno = -spawn;
        return set_errno_error(error, "cannot make a pid namespace, without which there is "
                                      "--sandbox=no-namespaces");
    }
    spawned = execute_worker(process, host, listener, error);
    sandbox_end_spawn(spawn);
    return spawned;
}

/* From here on the process is watched. Returns false with errno set. */
static bool watch_process(Process *process)
{
    process->pidfd = pidfd_open(process->pid, 0);
    if (process->pidfd < 0)
        return false;
    process->pidfd_source = g_unix_fd_add(process->pidfd, G_IO_IN, on_exit_of_worker, process);
    process->link_source =
        g_unix_fd_add(process->link, G_IO_IN | G_IO_HUP | G_IO_ERR, on_link, process);
    set_timer(process, READY_TIMEOUT_SECONDS);
    return true;
}

/* The child could not be watched: it must not outlive its start. */
static void discard_child(const Process *process)
{
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
}

/* The spawn returns when the child has executed, so it listens by the time of the connect. */
static bool start(Process *process, const ProcessHost *host, const char *name, GError **error)
{
    int listener = bind_socket(process);
    bool started;

    if (listener < 0)
        return set_errno_error(error, "cannot create the worker's socket");
    started = spawn_worker(process, host, listener, error);
    close(listener);
    if (started && (connect_link(process) < 0 || !watch_process(process))) {
        started = set_errno_error(error, "cannot connect to the worker");
        discard_child(process);
    }
    if (started)
        scopes_add(host->scopes, name, process->pid);
    if (!started)
        unlink(process->address.sun_path);
    return started;
}

Process *process_start(const ProcessHost *host, const char *name, const LinkSetup *setup,
                       ProcessChanged changed, void *data, GError **error)
{
    Process *process = process_new(host, name, changed, data);

    process->setup = *setup;
    process->has_setup = true;
    if (start(process, host, name, error))
        return process;
    process_free(process);
    return NULL;
}

/* The process at the other end, as the kernel knows it: the one that listens. */
static bool find_peer(Process *process)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(process->link, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    process->pid = peer.pid;
    return true;
}

/* True while the worker holds its end. A process id is only known to be the worker's, and not one
 * given out again, if the worker was alive after the pidfd had been opened. */
static bool is_connected(const Process *process)
{
    struct pollfd poll_fd = {.fd = process->link, .events = POLLIN};

    return poll(&poll_fd, 1, 0) >= 0 && (poll_fd.revents & (POLLHUP | POLLERR)) == 0;
}

Process *process_adopt(const ProcessHost *host, const char *name, ProcessChanged changed,
                       void *data)
{
    Process *process = process_new(host, name, changed, data);

    if (connect_link(process) == 0 && find_peer(process) && watch_process(process) &&
        is_connected(process)) {
        scopes_add(host->scopes, name, process->pid);
        return process;
    }
    log_debug("no worker behind %s", process->address.sun_path);
    unlink(process->address.sun_path);
    process_free(process);
    return NULL;
}

void process_stop(Process *process)
{
    if (process->state == PROCESS_STOPPING || process->state == PROCESS_GONE)
        return;
    process->state = PROCESS_STOPPING;
    if (send_message(process, LINK_STOP) < 0)
        log_debug("worker %d cannot be told to stop", (int)process->pid);
    set_timer(process, STOP_TIMEOUT_SECONDS);
}

ProcessState process_state(const Process *process)
{
    return process->state;
}

pid_t process_pid(const Process *process)
{
    return process->pid;
}

const LinkSetup *process_setup(const Process *process)
{
    return process->has_setup ? &process->setup : NULL;
}

const char *process_reason(const Process *process)
{
    return process->reason;
}

const char *process_ending(const Process *process)
{
    return process->ending;
}

uint32_t process_ring_order(const Process *process)
{
    return MIN(process->ring_order, (uint32_t)LINK_MAX_ORDER);
}

int process_pass_client(const Process *process, int client, const char *request)
{
    LinkMessage message = {.version = LINK_VERSION, .type = LINK_QUERY};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec span = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr header = {.msg_iov = &span,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

    if (process->state != PROCESS_READY || process->link < 0)
        return -ENOTCONN;
    if (g_strlcpy(message.text, request, sizeof(message.text)) >= sizeof(message.text))
        return -EMSGSIZE;
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &client, sizeof(client));
    return sendmsg(process->link, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
