/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backend: see backend.h. */
#include <sched.h>

#include "tests/bench/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DOMID = 1, ROOT_FID = 0, FIRST_IDLE = 2, START_MSEC = 20000, REALTIME_PRIORITY = 20 };

/* A program that lies beside the stand-in's folder. */
static char *built_program(const char *name)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(self);

    return g_build_filename(folder, name, NULL);
}

static char **null_command(const char **why)
{
    char **argv = g_new0(char *, 2);

    (void)why;
    argv[0] = built_program("null-backend");
    return argv;
}

static char **environment_command(const char *variable, const char **why)
{
    const char *command = g_getenv(variable);

    *why = "not on this machine";
    return command && *command ? g_strsplit(command, " ", -1) : NULL;
}

static char **xen_command(const char **why)
{
    return environment_command("BENCH_XEN_9PFSD", why);
}

static char **qemu_command(const char **why)
{
    return environment_command("BENCH_QEMU", why);
}

/* Without it, Xen's daemon gives a device five fids. */
static const FrontendNode many_fids[] = {{"max-open-files", "200000"}, {NULL, NULL}};

const BackendKind backend_kinds[] = {
    {.name = "direct"},
    {.name = "null",
     .kind = "null",
     .dialect = "9P2000.L",
     .is_blind = true,
     .command = null_command},
    {.name = "ours", .kind = "xen_9pfs", .dialect = "9P2000.L"},
    {.name = "xen-9pfsd",
     .kind = "xen_9pfs",
     .dialect = "9P2000.u",
     .nodes = many_fids,
     .command = xen_command},
    {.name = "qemu", .kind = "9pfs", .dialect = "9P2000.L", .command = qemu_command},
};

const unsigned n_backend_kinds = G_N_ELEMENTS(backend_kinds);

/*
 * Processes
 */

static pid_t parent_of(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    const char *after_name;
    char state;
    int parent = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return parent;
}

static bool descends_from(pid_t pid, pid_t ancestor)
{
    while (pid > 1 && pid != ancestor)
        pid = parent_of(pid);
    return pid == ancestor;
}

/* The numbers in a folder of /proc: processes, or the threads of one. */
static GArray *list_numbers(const char *path)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(pid_t));
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        pid_t number = atoi(name);

        if (number > 0)
            g_array_append_val(numbers, number);
    }
    if (dir)
        g_dir_close(dir);
    return numbers;
}

/* The processes that were started for the backend. Where there are several, the first is a
 * supervisor, which no request goes through. */
static GArray *find_processes(pid_t daemon)
{
    GArray *all = list_numbers("/proc");

    for (unsigned i = all->len; i > 0; i--) {
        if (!descends_from(g_array_index(all, pid_t, i - 1), daemon))
            g_array_remove_index(all, i - 1);
    }
    for (unsigned i = 0; all->len > 1 && i < all->len; i++) {
        if (g_array_index(all, pid_t, i) == daemon)
            g_array_remove_index(all, i--);
    }
    return all;
}

uint64_t backend_cpu_ns(const Backend *backend)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < backend->pids->len; i++) {
        struct timespec used;
        clockid_t clock;

        if (clock_getcpuclockid(g_array_index(backend->pids, pid_t, i), &clock) == 0 &&
            clock_gettime(clock, &used) == 0)
            sum += (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
    }
    return sum;
}

static GArray *list_threads(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)pid);

    return list_numbers(path);
}

void backend_set_priority(pid_t thread, bool realtime)
{
    struct sched_param param = {.sched_priority = realtime ? REALTIME_PRIORITY : 0};

    sched_setscheduler(thread, realtime ? SCHED_FIFO : SCHED_OTHER, &param);
}

void backend_place(const Backend *backend, const cpu_set_t *cpus, bool realtime)
{
    for (unsigned i = 0; i < backend->pids->len; i++) {
        GArray *threads = list_threads(g_array_index(backend->pids, pid_t, i));

        for (unsigned j = 0; j < threads->len; j++) {
            sched_setaffinity(g_array_index(threads, pid_t, j), sizeof(*cpus), cpus);
            backend_set_priority(g_array_index(threads, pid_t, j), realtime);
        }
        g_array_unref(threads);
    }
}

/* The sum of the numbers behind `key` in a file of /proc; 0 when there is none. */
static uint64_t sum_of(const char *path, const char *key)
{
    g_autofree char *text = NULL;
    uint64_t sum = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    for (const char *at = text; (at = strstr(at, key)); at += strlen(key))
        sum += at == text || at[-1] == '\n' ? strtoul(at + strlen(key), NULL, 10) : 0;
    return sum;
}

static uint64_t count_sleeps(const Backend *backend, unsigned *n_threads)
{
    uint64_t sleeps = 0;

    *n_threads = 0;
    for (unsigned i = 0; i < backend->pids->len; i++) {
        pid_t pid = g_array_index(backend->pids, pid_t, i);
        GArray *threads = list_threads(pid);

        *n_threads += threads->len;
        for (unsigned j = 0; j < threads->len; j++) {
            g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/status", (int)pid,
                                                    (int)g_array_index(threads, pid_t, j));
            sleeps += sum_of(path, "voluntary_ctxt_switches:");
        }
        g_array_unref(threads);
    }
    return sleeps;
}

BackendIdle backend_look_idle(const Backend *backend, unsigned ms)
{
    BackendIdle idle = {0};
    uint64_t before, after;
    gint64 begun;

    begun = g_get_monotonic_time();
    before = count_sleeps(backend, &idle.threads);
    g_usleep(ms * 1000UL);
    after = count_sleeps(backend, &idle.threads);
    idle.wakeups = (double)(after - before) * 1e6 / (double)(g_get_monotonic_time() - begun);
    for (unsigned i = 0; i < backend->pids->len; i++) {
        g_autofree char *path =
            g_strdup_printf("/proc/%d/smaps_rollup", (int)g_array_index(backend->pids, pid_t, i));
        idle.private_kib +=
            (unsigned)(sum_of(path, "Private_Clean:") + sum_of(path, "Private_Dirty:"));
    }
    return idle;
}

/*
 * Starting and connecting
 */

static bool start_program(Backend *backend, const char **why)
{
    g_auto(GStrv) argv = NULL;

    if (!backend->kind->command) {
        static const char *const options[] = {"--log-level=warning", NULL};
        backend->daemon = standin_daemon_start(options);
        return true;
    }
    argv = backend->kind->command(why);
    if (argv)
        backend->daemon = standin_daemon_spawn((const char *const *)argv);
    return argv != NULL;
}

/* Sets *frontend, also when that fails later. */
static const char *connect_device(const FrontendDevice *device, Frontend **frontend)
{
    toolstack_add(device);
    if (!toolstack_wait_state(device, XenbusStateInitWait, START_MSEC))
        return "it does not offer the device";
    *frontend = frontend_new(device);
    if (!frontend_connect(*frontend))
        return "it does not connect";
    if (frontend_version(*frontend) != 0)
        return "Tversion fails";
    if (frontend_attach(*frontend, ROOT_FID) != 0)
        return "Tattach fails";
    return NULL;
}

/*
 * More devices
 */

/* Like the first device, with small rings, of another guest. */
static FrontendDevice small_device(const Backend *backend, uint32_t domid)
{
    FrontendDevice device = backend->frontend->device;

    if (!standin_domain_exists(domid))
        standin_domain_create(domid);
    device.domid = domid;
    device.order = 1;
    device.msize = 4096;
    return device;
}

const char *backend_keep_idle(Backend *backend, unsigned n)
{
    while (backend->idle->len > n) {
        frontend_remove(g_ptr_array_index(backend->idle, backend->idle->len - 1));
        g_ptr_array_set_size(backend->idle, (int)backend->idle->len - 1);
    }
    while (backend->idle->len < n) {
        FrontendDevice device = small_device(backend, FIRST_IDLE + backend->idle->len);
        Frontend *frontend = NULL;
        const char *failure = connect_device(&device, &frontend);

        if (frontend)
            g_ptr_array_add(backend->idle, frontend);
        if (failure)
            return failure;
    }
    return NULL;
}

const char *backend_connect_once(Backend *backend, uint64_t *took_ns)
{
    FrontendDevice device = small_device(backend, FIRST_IDLE + backend->idle->len);
    g_autoptr(Frontend) frontend = NULL;
    gint64 begun = g_get_monotonic_time();
    const char *failure = connect_device(&device, &frontend);

    *took_ns = (uint64_t)(g_get_monotonic_time() - begun) * 1000;
    if (frontend && !frontend_remove(frontend) && !failure)
        failure = "it does not let go of the device";
    return failure;
}

Backend *backend_start(const BackendKind *kind, const char *share, char **why)
{
    Backend *backend = g_new0(Backend, 1);
    FrontendDevice device = frontend_linux(DOMID, share);
    const char *failure = NULL;

    backend->kind = kind;
    backend->idle = g_ptr_array_new_with_free_func((GDestroyNotify)frontend_free);
    device.kind = kind->kind;
    device.dialect = kind->dialect;
    device.nodes = kind->nodes;
    standin_start();
    standin_domain_create(DOMID);
    if (start_program(backend, &failure))
        failure = connect_device(&device, &backend->frontend);
    if (failure) {
        g_autofree char *log = backend->daemon ? standin_daemon_log(backend->daemon) : g_strdup("");

        *why = g_strdup_printf("%s%s%s", failure, *log ? "; it says:\n" : "", log);
        backend_stop(backend);
        return NULL;
    }
    backend->pids = find_processes(standin_daemon_pid(backend->daemon));
    return backend;
}

void backend_stop(Backend *backend)
{
    g_ptr_array_unref(backend->idle);
    frontend_free(backend->frontend);
    if (backend->daemon)
        standin_daemon_kill(backend->daemon);
    if (backend->pids)
        g_array_unref(backend->pids);
    standin_stop();
    g_free(backend);
}
