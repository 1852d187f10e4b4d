/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What guests that attack take from others: the latency of well-behaved devices while the other half of all
 * devices does nothing, behaves well, too, or attacks.
 *
 *     attack [DEVICES [SECONDS [ROUNDS]]]
 *
 * A well-behaved device does an operation every PERIOD_US: a Tgetattr, a Tread of 4 KiB or a walk, in
 * turns. Its latency is the time from when the operation was due to its reply. Every reply is checked,
 * and every one that is missing counts as lost.
 *
 * Guests have CPUs of their own, which no dom0 shares out. So that it is the daemon that is measured,
 * well-behaved guests go before everything else here, and attackers have what the daemon leaves: what
 * competes for the CPUs is the daemon's processes.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/histogram.h"
#include "tests/frontend/attack.h"
#include "tests/standin/standin.h"

enum {
    DEVICES = 100,
    SECONDS = 5,
    ROUNDS = 3,
    SETTLE_SECONDS = 1, /* between the beginning of a phase and measuring */
    PERIOD_US = 20000,
    N_OPERATIONS = 3, /* kinds of them */
    ROOT_FID = 0,
    FILE_FID = 1,
    WALK_FID = 2,
    TAG = 1,
    BLOCK = 4096,
    N_BLOCKS = 64,
    CROWD = 20000,
};

typedef enum Phase {
    PHASE_IDLE,
    PHASE_PEERS,
    PHASE_ATTACK,
    N_PHASES,
} Phase;

static const char *const phase_names[] = {"idle", "busy", "attacking"};

/* Shared with the process of the other half. */
typedef struct Shared {
    gint stop;    /* atomic, as the others */
    gint n_ready; /* devices that are connected and at work */
    gint n_lost;
    gint attacked[N_ATTACKS];
} Shared;

typedef struct Customer {
    FrontendDevice device;
    Frontend *frontend;
    pthread_t thread;
    unsigned number;
    gint *stop;
    uint64_t from; /* measured from this time on, in monotonic microseconds */
    uint64_t n_lost;
    Histogram latencies;
} Customer;

static char *export;
static Shared *shared;
static unsigned n_devices = DEVICES;
static unsigned seconds = SECONDS;
static unsigned rounds = ROUNDS;

static void go_first(void)
{
    const struct sched_param parameters = {.sched_priority = 1};

    if (sched_setscheduler(0, SCHED_FIFO, &parameters) != 0)
        g_error("cannot change the scheduling policy: %s", g_strerror(errno));
}

/*
 * The export
 */

static void fill_block(uint8_t *block, unsigned number)
{
    for (unsigned i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)(number * 41 + i * 7 + i / 256);
}

static void make_export(void)
{
    g_autofree char *file = g_build_filename(standin_dir(), "export", "data", NULL);
    g_autofree uint8_t *content = g_malloc(N_BLOCKS * BLOCK);

    export = g_build_filename(standin_dir(), "export", NULL);
    g_assert_no_errno(g_mkdir(export, 0755));
    for (unsigned i = 0; i < N_BLOCKS; i++)
        fill_block(content + i * BLOCK, i);
    g_assert_true(g_file_set_contents(file, (char *)content, N_BLOCKS * BLOCK, NULL));
    attack_make_crowd(export, CROWD);
}

/*
 * A well-behaved guest
 */

static bool get_attributes(Customer *c)
{
    return frontend_call(c->frontend, p9_tgetattr(TAG, ROOT_FID, P9_GETATTR_BASIC), "*") == 0;
}

static bool read_block(Customer *c, unsigned n)
{
    unsigned block = (n + c->number) % N_BLOCKS;
    uint8_t expected[BLOCK];
    const uint8_t *data;
    uint32_t size;

    if (frontend_call(c->frontend, p9_tread(TAG, FILE_FID, (uint64_t)block * BLOCK, BLOCK), "D",
                      &size, &data) != 0)
        return false;
    fill_block(expected, block);
    return size == BLOCK && memcmp(data, expected, BLOCK) == 0;
}

static bool walk(Customer *c)
{
    return frontend_call(c->frontend, p9_twalk(TAG, ROOT_FID, WALK_FID, "crowd/1"), "*") == 0 &&
           frontend_call(c->frontend, p9_tclunk(TAG, WALK_FID), "") == 0;
}

static bool operate(Customer *c, unsigned n)
{
    switch (n % N_OPERATIONS) {
    case 0:
        return get_attributes(c);
    case 1:
        return read_block(c, n);
    default:
        return walk(c);
    }
}

static void customer_connect(Customer *c, uint32_t domid)
{
    c->device = frontend_linux(domid, export);
    c->device.order = 4;
    c->device.msize = 16384;
    c->number = domid;
    g_assert_true(toolstack_add_wait(&c->device));
    c->frontend = frontend_new(&c->device);
    g_assert_true(frontend_connect(c->frontend));
    g_assert_cmpint(frontend_version(c->frontend), ==, 0);
    g_assert_cmpint(frontend_attach(c->frontend, ROOT_FID), ==, 0);
    g_assert_cmpint(frontend_call(c->frontend, p9_twalk(TAG, ROOT_FID, FILE_FID, "data"), "*"), ==,
                    0);
    g_assert_cmpint(frontend_call(c->frontend, p9_tlopen(TAG, FILE_FID, 0), "*"), ==, 0);
}

static void customer_disconnect(Customer *c)
{
    toolstack_delete(&c->device);
    frontend_free(c->frontend);
}

static void sleep_until(gint64 when)
{
    const struct timespec time = {
        .tv_sec = when / G_USEC_PER_SEC,
        .tv_nsec = when % G_USEC_PER_SEC * 1000,
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        continue;
}

static void *customer_run(void *data)
{
    Customer *c = data;
    gint64 due = g_get_monotonic_time() + PERIOD_US * (c->number % n_devices) / n_devices;

    go_first();
    for (unsigned n = 0; !g_atomic_int_get(c->stop); n++, due += PERIOD_US) {
        gint64 now;

        sleep_until(due);
        if (!operate(c, n))
            c->n_lost++;
        now = g_get_monotonic_time();
        if (due >= (gint64)c->from)
            histogram_add(&c->latencies, (uint64_t)(now - due) * 1000);
    }
    return NULL;
}

static void customer_start(Customer *c, gint *stop, gint64 from)
{
    c->stop = stop;
    c->from = (uint64_t)from;
    c->n_lost = 0;
    memset(&c->latencies, 0, sizeof(c->latencies));
    if (pthread_create(&c->thread, NULL, customer_run, c) != 0)
        g_error("cannot start a thread");
}

/*
 * The other half, in a process of its own
 */

static void *attacker_thread(void *data)
{
    const struct sched_param parameters = {0};
    Attacker *a = data;

    if (sched_setscheduler(0, SCHED_IDLE, &parameters) != 0)
        g_error("cannot change the scheduling policy: %s", g_strerror(errno));
    attack_run(a);
    g_atomic_int_add(&shared->attacked[a->kind], g_atomic_int_get(&a->n));
    return NULL;
}

static void be_attackers(uint32_t first_domid, unsigned n)
{
    Attacker *attackers = g_new0(Attacker, n);
    pthread_t *threads = g_new(pthread_t, n);

    for (unsigned i = 0; i < n; i++) {
        AttackKind kind = i % N_ATTACKS;

        attackers[i].kind = kind;
        attackers[i].device = attack_device(kind, first_domid + i, export);
        attackers[i].stop = &shared->stop;
        if (pthread_create(&threads[i], NULL, attacker_thread, &attackers[i]) != 0)
            g_error("cannot start a thread");
    }
    g_atomic_int_set(&shared->n_ready, (gint)n);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void be_customers(uint32_t first_domid, unsigned n, bool idle)
{
    Customer *customers = g_new0(Customer, n);

    for (unsigned i = 0; i < n; i++)
        customer_connect(&customers[i], first_domid + i);
    for (unsigned i = 0; i < n && !idle; i++)
        customer_start(&customers[i], &shared->stop, 0);
    g_atomic_int_set(&shared->n_ready, (gint)n);
    while (!g_atomic_int_get(&shared->stop))
        g_usleep(10000);
    for (unsigned i = 0; i < n; i++) {
        if (!idle)
            pthread_join(customers[i].thread, NULL);
        g_atomic_int_add(&shared->n_lost, (gint)customers[i].n_lost);
        customer_disconnect(&customers[i]);
    }
}

static pid_t start_others(Phase phase, uint32_t first_domid, unsigned n)
{
    pid_t pid;

    memset(shared, 0, sizeof(*shared));
    fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid;
    if (phase == PHASE_ATTACK)
        be_attackers(first_domid, n);
    else
        be_customers(first_domid, n, phase == PHASE_IDLE);
    _exit(0);
}

static void end_others(pid_t pid)
{
    int status;

    g_atomic_int_set(&shared->stop, 1);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (status != 0)
        g_error("the other half ended with status %#x", (unsigned)status);
}

/*
 * CPU time
 */

typedef struct Usage {
    uint64_t attacked[N_ATTACKS]; /* by the workers of each kind of attack */
    uint64_t good;                /* by those of well-behaved devices */
    uint64_t supervisor;
    uint64_t ended; /* by workers that are gone */
} Usage;

/* Of the process, in clock ticks: its own, and that of its children that are gone. *name is what
 * it calls itself. */
static uint64_t process_ticks(const char *pid, char name[32], uint64_t *ended)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", pid);
    g_autofree char *text = NULL;
    unsigned long user = 0, system = 0, ended_user = 0, ended_system = 0;
    const char *after;

    name[0] = '\0';
    *ended = 0;
    if (!g_file_get_contents(path, &text, NULL, NULL) || !(after = strrchr(text, ')')))
        return 0;
    sscanf(text, "%*d (%31[^)]", name);
    sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &user,
           &system, &ended_user, &ended_system);
    *ended = ended_user + ended_system;
    return user + system;
}

static void count_worker(Usage *usage, const char *pid, unsigned n_good)
{
    char name[32];
    uint64_t ended, ticks = process_ticks(pid, name, &ended);
    unsigned domid;

    if (sscanf(name, "9pfs %u.", &domid) != 1)
        return;
    if (domid > n_good)
        usage->attacked[(domid - n_good - 1) % N_ATTACKS] += ticks;
    else
        usage->good += ticks;
}

static Usage count_usage(unsigned n_good, pid_t supervisor)
{
    g_autofree char *number = g_strdup_printf("%d", (int)supervisor);
    g_autofree char *path = g_strdup_printf("/proc/%s/task/%s/children", number, number);
    g_autofree char *children = NULL;
    g_auto(GStrv) pids = NULL;
    Usage usage = {.good = 0};
    char name[32];

    usage.supervisor = process_ticks(number, name, &usage.ended);
    g_assert_true(g_file_get_contents(path, &children, NULL, NULL));
    pids = g_strsplit(children, " ", -1);
    for (char **pid = pids; *pid; pid++)
        count_worker(&usage, *pid, n_good);
    return usage;
}

static void print_percent(const char *name, uint64_t before, uint64_t after)
{
    double ticks = (double)sysconf(_SC_CLK_TCK) * seconds;

    printf(" %s %.0f", name, after > before ? 100 * (double)(after - before) / ticks : 0.0);
}

static void print_usage(const Usage *before, const Usage *after)
{
    printf("CPU %%:");
    for (AttackKind kind = 0; kind < N_ATTACKS; kind++)
        print_percent(attack_name(kind), before->attacked[kind], after->attacked[kind]);
    print_percent("well-behaved", before->good, after->good);
    print_percent("ended", before->ended, after->ended);
    print_percent("supervisor", before->supervisor, after->supervisor);
    printf("\ndone:");
    for (AttackKind kind = 0; kind < N_ATTACKS; kind++)
        printf(" %s %d", attack_name(kind), g_atomic_int_get(&shared->attacked[kind]));
    printf("\n");
}

/*
 * Phases
 */

typedef struct Result {
    Histogram latencies;
    uint64_t n_lost;
} Result;

static void measure(Phase phase, Customer *customers, unsigned n, pid_t supervisor, Result *result)
{
    Usage before, after;
    pid_t others = start_others(phase, n + 1, n_devices - n);
    gint stop = 0;
    gint64 from;

    while (g_atomic_int_get(&shared->n_ready) == 0)
        g_usleep(10000);
    from = g_get_monotonic_time() + SETTLE_SECONDS * G_USEC_PER_SEC;
    for (unsigned i = 0; i < n; i++)
        customer_start(&customers[i], &stop, from);
    sleep_until(from);
    before = count_usage(n, supervisor);
    sleep_until(from + (gint64)seconds * G_USEC_PER_SEC);
    after = count_usage(n, supervisor);
    g_atomic_int_set(&stop, 1);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(customers[i].thread, NULL);
        histogram_merge(&result->latencies, &customers[i].latencies);
        result->n_lost += customers[i].n_lost;
    }
    end_others(others);
    result->n_lost += (uint64_t)g_atomic_int_get(&shared->n_lost);
    if (phase == PHASE_ATTACK)
        print_usage(&before, &after);
}

static double quantile_us(const Result *r, double share)
{
    return (double)histogram_quantile(&r->latencies, share) / 1000;
}

static void print_result(Phase phase, const Result *r, const Result *all)
{
    printf("%-10s %9lu %6lu %8.0f %8.0f %8.0f %8.0f %7.2f\n", phase_names[phase],
           (unsigned long)r->latencies.count, (unsigned long)r->n_lost, quantile_us(r, 0.5),
           quantile_us(r, 0.99), quantile_us(r, 0.999), quantile_us(r, 1),
           quantile_us(r, 0.99) / quantile_us(&all[PHASE_IDLE], 0.99));
}

static unsigned argument(int argc, char **argv, int n, unsigned otherwise)
{
    return argc > n ? (unsigned)strtoul(argv[n], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static Result results[N_PHASES];
    StandinDaemon *daemon;
    Customer *customers;
    unsigned n;
    bool lost = false;

    n_devices = MAX(argument(argc, argv, 1, DEVICES), 2);
    seconds = MAX(argument(argc, argv, 2, SECONDS), 1);
    rounds = MAX(argument(argc, argv, 3, ROUNDS), 1);
    n = n_devices / 2;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_true(shared != MAP_FAILED);
    standin_start();
    make_export();
    for (uint32_t domid = 1; domid <= n_devices; domid++)
        standin_domain_create(domid);
    daemon = standin_daemon_start(NULL);
    customers = g_new0(Customer, n);
    for (unsigned i = 0; i < n; i++)
        customer_connect(&customers[i], i + 1);
    for (unsigned round = 0; round < rounds; round++) {
        for (Phase phase = 0; phase < N_PHASES; phase++)
            measure(phase, customers, n, standin_daemon_pid(daemon), &results[phase]);
    }
    printf("%u devices behave well; latencies in microseconds\n", n);
    printf("%-10s %9s %6s %8s %8s %8s %8s %7s\n", "the others", "requests", "lost", "p50", "p99",
           "p99.9", "max", "p99 x");
    for (Phase phase = 0; phase < N_PHASES; phase++) {
        print_result(phase, &results[phase], results);
        lost = lost || results[phase].n_lost > 0;
    }
    for (unsigned i = 0; i < n; i++)
        customer_disconnect(&customers[i]);
    standin_daemon_stop(daemon);
    standin_stop();
    return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
