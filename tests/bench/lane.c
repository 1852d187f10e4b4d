/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lane: see lane.h.
 *
 * Task and result are packets of exactly their size on a socket. The process ends when it is closed.
 */
#include <sched.h>

#include "tests/bench/lane.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/workloads.h"

enum {
    MAX_THREADS = 2, /* of `direct`, when it may use both CPUs */
    WATCHDOG_SECONDS = 30,
};

/* What the lane's own process has. */
typedef struct LaneSelf {
    const BackendKind *kind;
    const char *share;
    Backend *backend; /* NULL: direct */
    Load *load;
    Histogram histogram;
} LaneSelf;

static cpu_set_t cpus_for(Placement placement, bool is_backend)
{
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    if (placement == PLACE_FREE) {
        for (size_t i = 0; i < (size_t)n_cpus; i++)
            CPU_SET(i, &cpus);
    } else {
        CPU_SET((size_t)(placement == PLACE_EACH && is_backend && n_cpus > 1), &cpus);
    }
    return cpus;
}

static uint64_t own_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/*
 * Direct
 */

typedef struct DirectThread {
    Direct direct;
    const Workload *workload;
    uint64_t end_ns;
    uint64_t operations;
    bool is_wrong;
    Histogram histogram;
} DirectThread;

static gpointer run_direct(gpointer context)
{
    DirectThread *thread = context;
    uint64_t begun = now_ns();

    while (begun < thread->end_ns && !thread->is_wrong) {
        uint64_t now;

        thread->is_wrong = !thread->workload->direct(&thread->direct);
        now = now_ns();
        histogram_add(&thread->histogram, now - begun);
        thread->operations++;
        begun = now;
    }
    return NULL;
}

static void set_quantiles(LaneResult *result, const Histogram *histogram)
{
    result->p50_ns = histogram_quantile(histogram, 0.5);
    result->p99_ns = histogram_quantile(histogram, 0.99);
    result->p999_ns = histogram_quantile(histogram, 0.999);
}

static void collect_direct(LaneSelf *self, LaneResult *result, const DirectThread *thread)
{
    result->operations += thread->operations;
    result->bytes += thread->direct.bytes;
    histogram_merge(&self->histogram, &thread->histogram);
    if (thread->is_wrong)
        g_strlcpy(result->why, "a system call failed", sizeof(result->why));
}

static void measure_direct(LaneSelf *self, const LaneTask *task, LaneResult *result)
{
    unsigned n = task->placement == PLACE_ONE ? 1 : MIN(task->depth, MAX_THREADS);
    g_autofree DirectThread *threads = g_new0(DirectThread, MAX_THREADS);
    GThread *handles[MAX_THREADS];
    uint64_t begun = now_ns();
    uint64_t own_before = own_cpu_ns();

    if (!workloads[task->workload].direct) {
        g_strlcpy(result->why, "not a system call", sizeof(result->why));
        return;
    }
    memset(&self->histogram, 0, sizeof(self->histogram));
    for (unsigned i = 0; i < n; i++) {
        direct_open(&threads[i].direct, self->share, i);
        threads[i].workload = &workloads[task->workload];
        threads[i].end_ns = begun + (uint64_t)task->ms * 1000000;
        handles[i] = g_thread_new("direct", run_direct, &threads[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        g_thread_join(handles[i]);
        collect_direct(self, result, &threads[i]);
        direct_close(&threads[i].direct);
    }
    result->seconds = (double)(now_ns() - begun) / 1e9;
    result->both_cpu_ns = own_cpu_ns() - own_before;
    result->is_valid = result->why[0] == '\0';
    set_quantiles(result, &self->histogram);
}

/*
 * Through a backend
 */

/* What the backend has done to the event channels. */
typedef struct PortSum {
    uint64_t notified, wakeups;
} PortSum;

static PortSum sum_ports(const Frontend *frontend)
{
    PortSum sum = {0};

    for (unsigned i = 0; i < frontend->n_rings; i++) {
        StandinPortCounters peer =
            standin_port_counters(standin_port_peer(frontend->rings[i].port));

        sum.notified += peer.notified;
        sum.wakeups += peer.wakeups;
    }
    return sum;
}

static const char *run_task(LaneSelf *self, const LaneTask *task)
{
    if (task->type == TASK_FLUSH)
        return flush_measure(self->load, task->ms, &self->histogram);
    load_run(self->load, task->ms, &self->histogram);
    return self->load->failure;
}

static void fail_result(LaneResult *result, const LaneSelf *self, const char *why)
{
    g_snprintf(result->why, sizeof(result->why), "%s (%u)", why, self->load->failure_error);
}

static void measure_backend(LaneSelf *self, const LaneTask *task, LaneResult *result)
{
    cpu_set_t cpus = cpus_for(task->placement, true);
    PortSum before, after;
    uint64_t cpu_before, own_before, begun;
    const char *why = NULL;

    if (task->type == TASK_WORKLOAD)
        why = workload_prepare(self->load, &workloads[task->workload], task->depth);
    if (why) {
        fail_result(result, self, why);
        return;
    }
    backend_place(self->backend, &cpus, task->realtime);
    before = sum_ports(self->backend->frontend);
    cpu_before = backend_cpu_ns(self->backend);
    own_before = own_cpu_ns();
    begun = now_ns();
    why = run_task(self, task);
    result->seconds = (double)(now_ns() - begun) / 1e9;
    result->cpu_ns = backend_cpu_ns(self->backend) - cpu_before;
    result->both_cpu_ns = result->cpu_ns + own_cpu_ns() - own_before;
    after = sum_ports(self->backend->frontend);
    result->notifications = after.notified - before.notified;
    result->wakeups = after.wakeups - before.wakeups;
    result->operations = self->load->operations;
    result->bytes = self->load->bytes;
    if (!why && task->type == TASK_WORKLOAD) /* which takes longer than the measurement */
        why = workload_finish(self->load, &workloads[task->workload]);
    result->is_valid = !why;
    if (why)
        fail_result(result, self, why);
    set_quantiles(result, &self->histogram);
}

static void measure_connect(LaneSelf *self, const LaneTask *task, LaneResult *result)
{
    uint64_t begun = now_ns();
    const char *why = NULL;

    memset(&self->histogram, 0, sizeof(self->histogram));
    while (!why && now_ns() - begun < (uint64_t)task->ms * 1000000) {
        uint64_t took_ns;

        why = backend_connect_once(self->backend, &took_ns);
        histogram_add(&self->histogram, took_ns);
        result->operations++;
    }
    result->seconds = (double)(now_ns() - begun) / 1e9;
    result->is_valid = !why;
    if (why)
        fail_result(result, self, why);
    set_quantiles(result, &self->histogram);
}

/* With other devices of the same backend. The peers are not asked for any: some end when one is added or
 * removed here. */
static void measure_beside(LaneSelf *self, const LaneTask *task, LaneResult *result)
{
    bool needs_more = task->n_idle > 0 || task->type == TASK_CONNECT;
    const char *why = needs_more && !self->load->is_ours
                          ? "only one device"
                          : backend_keep_idle(self->backend, task->n_idle);

    if (why)
        fail_result(result, self, why);
    else if (task->type == TASK_CONNECT)
        measure_connect(self, task, result);
    else
        measure_backend(self, task, result);
}

static void measure(LaneSelf *self, const LaneTask *task, LaneResult *result)
{
    cpu_set_t cpus = cpus_for(task->placement, false);

    sched_setaffinity(0, sizeof(cpus), &cpus);
    backend_set_priority(0, task->realtime);
    alarm(WATCHDOG_SECONDS + task->n_idle + task->ms / 1000);
    if (task->type == TASK_IDLE && self->backend) {
        result->idle = backend_look_idle(self->backend, task->ms);
        result->is_valid = true;
    } else if (self->backend) {
        measure_beside(self, task, result);
    } else if (task->type == TASK_WORKLOAD && task->n_idle == 0) {
        measure_direct(self, task, result);
    } else {
        g_strlcpy(result->why, "there is no server", sizeof(result->why));
    }
    alarm(0);
}

/*
 * The process
 */

/* Returns NULL or why there is nothing to measure, to be freed. */
static char *open_lane(LaneSelf *self)
{
    const char *failed;
    char *why = NULL;

    if (!self->kind->dialect)
        return NULL;
    self->backend = backend_start(self->kind, self->share, &why);
    if (!self->backend)
        return why;
    self->load = load_new(self->backend->frontend);
    self->load->is_unix = g_str_equal(self->kind->dialect, "9P2000.u");
    self->load->is_ours = !self->kind->command;
    self->load->is_blind = self->kind->is_blind;
    failed = workloads_open(self->load, self->share);
    return failed ? g_strdup_printf("%s fails", failed) : NULL;
}

static _Noreturn void run_lane(LaneSelf *self, int sock)
{
    LaneResult result = {.is_valid = true};
    g_autofree char *why = open_lane(self);
    LaneTask task;

    if (why) {
        result.is_valid = false;
        g_strlcpy(result.why, why, sizeof(result.why));
    }
    while (write(sock, &result, sizeof(result)) == sizeof(result) && !why &&
           read(sock, &task, sizeof(task)) == sizeof(task)) {
        memset(&result, 0, sizeof(result));
        measure(self, &task, &result);
    }
    if (self->backend)
        backend_stop(self->backend);
    _exit(0);
}

Lane *lane_start(const BackendKind *kind, const char *share, unsigned notify_us, char **why)
{
    Lane *lane = g_new0(Lane, 1);
    LaneSelf self = {.kind = kind, .share = share};
    LaneResult result = {0};
    int socks[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) != 0)
        g_error("cannot make a socket");
    lane->kind = kind;
    lane->notify_us = notify_us;
    lane->sock = socks[0];
    lane->pid = fork();
    if (lane->pid == 0) {
        g_autofree char *cost = g_strdup_printf("%u", notify_us);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(socks[0]);
        if (notify_us > 0)
            g_setenv(STANDIN_ENV_NOTIFY_US, cost, TRUE);
        run_lane(&self, socks[1]);
    }
    close(socks[1]);
    if (read(lane->sock, &result, sizeof(result)) == sizeof(result) && result.is_valid)
        return lane;
    *why = g_strdup(result.why[0] ? result.why : "its process ended");
    lane_stop(lane);
    return NULL;
}

void lane_stop(Lane *lane)
{
    shutdown(lane->sock, SHUT_RDWR); /* lanes that were started later have copies of it */
    close(lane->sock);
    waitpid(lane->pid, NULL, 0);
    g_free(lane);
}

void lane_measure(Lane *lane, const LaneTask *task, LaneResult *result)
{
    if (write(lane->sock, task, sizeof(*task)) == sizeof(*task) &&
        read(lane->sock, result, sizeof(*result)) == sizeof(*result))
        return;
    memset(result, 0, sizeof(*result));
    g_strlcpy(result->why, "no answer in time, or the backend's end", sizeof(result->why));
}
