/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-in: see standin.h. This file starts the broker and talks to it for the test. */
#include "tests/standin/standin.h"
#include "tests/standin/core.h"
#include "tests/standin/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT_SECONDS = 20 };

static struct {
    char *dir;
    char *socket;
    pid_t broker;
    int lifeline; /* the broker ends when this is closed */
    CoreHandle *control;
} standin = {.lifeline = -1};

char *standin_build_path(const char *name)
{
    Dl_info info;
    g_autofree char *folder = NULL;

    if (dladdr((void *)standin_build_path, &info) == 0)
        g_error("cannot find the stand-in's own library");
    folder = g_path_get_dirname(info.dli_fname);
    return g_build_filename(folder, name, NULL);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(sock, 128) != 0)
        g_error("cannot listen at %s: %s", path, g_strerror(errno));
    return sock;
}

/* In the child: the two descriptors that the broker expects, then the broker. */
static _Noreturn void exec_broker(const char *program, int listener, int lifeline)
{
    int spare = fcntl(lifeline, F_DUPFD, 10);

    setpgid(0, 0); /* a signal to the test's process group is not for the broker */
    listener = fcntl(listener, F_DUPFD, 10);
    dup2(listener, 3);
    dup2(spare, 4);
    close(listener);
    close(spare);
    execl(program, program, standin.dir, NULL);
    _exit(127);
}

static void start_broker(void)
{
    g_autofree char *program = standin_build_path("standin-broker");
    int listener = listen_at(standin.socket);
    int lifeline[2];

    if (pipe2(lifeline, O_CLOEXEC) != 0)
        g_error("cannot make a pipe");
    standin.broker = fork();
    if (standin.broker < 0)
        g_error("cannot fork");
    if (standin.broker == 0)
        exec_broker(program, listener, lifeline[0]);
    close(listener);
    close(lifeline[0]);
    standin.lifeline = lifeline[1];
}

/* Makes the control connection one to xenstore too. Nobody watches through it, so the descriptor
 * for events can be any. */
static void open_control(void)
{
    int events = open("/dev/null", O_WRONLY | O_CLOEXEC);

    standin.control = core_open(__func__);
    if (!standin.control)
        g_error("cannot reach the broker: %s", g_strerror(errno));
    core_begin(standin.control, WIRE_XS_OPEN);
    if (core_exchange(standin.control, events, NULL) != 0)
        g_error("cannot open xenstore: %s", g_strerror(errno));
    core_end(standin.control);
    close(events);
}

void standin_start(void)
{
    g_autoptr(GError) error = NULL;

    g_assert(!standin.control);
    standin.dir = g_dir_make_tmp("standin-XXXXXX", &error);
    if (!standin.dir)
        g_error("cannot make a folder: %s", error->message);
    standin.socket = g_build_filename(standin.dir, "broker", NULL);
    /* Whatever the daemon leaves behind becomes a child of this process. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    start_broker();
    setenv(STANDIN_ENV_SOCKET, standin.socket, 1);
    open_control();
}

void standin_stop(void)
{
    int status;

    core_close(standin.control);
    standin.control = NULL;
    close(standin.lifeline);
    while (waitpid(standin.broker, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        g_error("the broker ended with status %#x", (unsigned)status);
    unsetenv(STANDIN_ENV_SOCKET);
    g_clear_pointer(&standin.dir, g_free);
    g_clear_pointer(&standin.socket, g_free);
}

const char *standin_dir(void)
{
    return standin.dir;
}

pid_t standin_broker_pid(void)
{
    return standin.broker;
}

static uint32_t control_call(WireOp op, uint32_t arg0, uint32_t arg1)
{
    uint32_t result = 0;

    if (core_call(standin.control, op, arg0, arg1, &result) != 0)
        g_error("the broker refuses request %d (%u, %u): %s", op, arg0, arg1, g_strerror(errno));
    return result;
}

void standin_domain_create(uint32_t domid)
{
    control_call(WIRE_DOMAIN_CREATE, domid, false);
}

void standin_domain_create_driver(uint32_t domid)
{
    control_call(WIRE_DOMAIN_CREATE, domid, true);
}

void standin_domain_set_state(uint32_t domid, StandinDomainState state)
{
    control_call(WIRE_DOMAIN_SET_STATE, domid, state);
}

bool standin_domain_exists(uint32_t domid)
{
    WireMessage *message = core_begin(standin.control, WIRE_DOMAINS);
    bool exists = false;

    message->args[0] = domid;
    if (core_exchange(standin.control, -1, NULL) != 0)
        g_error("the broker does not list domains");
    if (message->size > 0)
        exists = *(const uint32_t *)(const void *)message->payload == domid;
    core_end(standin.control);
    return exists;
}

char *standin_read(const char *path)
{
    WireMessage *message = core_begin(standin.control, WIRE_XS_READ);
    char *value = NULL;

    wire_append(message, path, strlen(path) + 1);
    if (core_exchange(standin.control, -1, NULL) == 0)
        value = g_strndup(message->payload, message->size);
    core_end(standin.control);
    return value;
}

unsigned standin_count(StandinCount what, uint32_t domid)
{
    return control_call(WIRE_COUNT, what, domid);
}

unsigned standin_count_wait(StandinCount what, uint32_t domid, unsigned expected)
{
    int64_t end = g_get_monotonic_time() + COUNT_SECONDS * G_USEC_PER_SEC;
    unsigned count = standin_count(what, domid);

    while (count != expected && g_get_monotonic_time() < end) {
        g_usleep(2000);
        count = standin_count(what, domid);
    }
    return count;
}

StandinPortCounters standin_port_counters(uint32_t port)
{
    SharedPort *shared = &standin.control->shared->ports[port % SHARED_PORTS];

    return (StandinPortCounters){
        .notified = atomic_load(&shared->notified),
        .delivered = atomic_load(&shared->delivered),
        .wakeups = atomic_load(&shared->wakeups),
    };
}

uint32_t standin_port_peer(uint32_t port)
{
    return atomic_load(&standin.control->shared->ports[port % SHARED_PORTS].peer);
}

static SharedFault *find_free_fault(void)
{
    for (unsigned i = 0; i < SHARED_FAULTS; i++) {
        SharedFault *fault = &standin.control->shared->faults[i];

        if (!atomic_load(&fault->in_use) && !atomic_load(&fault->held))
            return fault;
    }
    g_error("too many faults at once");
}

void standin_fail(const char *function, unsigned nth, unsigned times, int error)
{
    SharedFault *fault = find_free_fault();

    g_assert(nth > 0 && times > 0 && strlen(function) < sizeof(fault->function));
    g_strlcpy(fault->function, function, sizeof(fault->function));
    fault->error = error;
    fault->spared_pid = getpid();
    atomic_store(&fault->until_first, (int32_t)nth - 1);
    atomic_store(&fault->times, (int32_t)times);
    atomic_store(&fault->in_use, 1);
    atomic_fetch_add(&standin.control->shared->faults_in_use, 1);
}

void standin_hold(const char *function, unsigned nth)
{
    standin_fail(function, nth, 1, SHARED_HOLD);
}

static bool any_held(void)
{
    for (unsigned i = 0; i < SHARED_FAULTS; i++) {
        if (atomic_load(&standin.control->shared->faults[i].held))
            return true;
    }
    return false;
}

bool standin_wait_held(void)
{
    int64_t end = g_get_monotonic_time() + COUNT_SECONDS * G_USEC_PER_SEC;

    while (!any_held() && g_get_monotonic_time() < end)
        g_usleep(1000);
    return any_held();
}

unsigned standin_faults_left(void)
{
    return atomic_load(&standin.control->shared->faults_in_use);
}

void standin_clear_faults(void)
{
    Shared *shared = standin.control->shared;

    for (unsigned i = 0; i < SHARED_FAULTS; i++) {
        atomic_store(&shared->faults[i].in_use, 0);
        atomic_store(&shared->faults[i].held, 0);
    }
    atomic_store(&shared->faults_in_use, 0);
}
