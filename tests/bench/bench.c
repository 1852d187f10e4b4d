/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *     bench [--quick] [--only WORKLOAD] [--backends LIST] [--placement NAME] [--depth N] [--rounds N]
 *           [--ms N] [--realtime] FILE
 *
 * Measures all workloads with all backends that this machine has, and writes one line for each
 * measurement to FILE, separated by tabs: tests/bench/report and tests/bench/plot make tables and
 * plots of it. In each round every backend is measured once, one after the other, so that what
 * disturbs the machine disturbs them alike.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/lane.h"
#include "tests/bench/workloads.h"

enum {
    MAX_LANES = 8,
    CHARGED_US = 1,
    IDLE_SETTLE_MSEC = 11000,
    FRESH_SETTLE_MSEC = 3000,
    IDLE_MSEC = 1000,
    SLOW_ROUNDS = 3,
    SLOW_MSEC = 300
};

static const char *const placement_names[N_PLACEMENTS] = {"one", "each", "free"};

static struct {
    gboolean is_quick;
    char *only;
    char *backends;
    char *placement;
    int depth;
    int rounds;
    int ms;
    gboolean realtime;
} options;

static const GOptionEntry option_entries[] = {
    {"quick", 0, 0, G_OPTION_ARG_NONE, &options.is_quick, "About two minutes in place of ten",
     NULL},
    {"only", 0, 0, G_OPTION_ARG_STRING, &options.only, "Workloads whose names begin so", "TEXT"},
    {"backends", 0, 0, G_OPTION_ARG_STRING, &options.backends, "Only these", "NAME,..."},
    {"placement", 0, 0, G_OPTION_ARG_STRING, &options.placement, "Only this: one, each or free",
     "NAME"},
    {"depth", 0, 0, G_OPTION_ARG_INT, &options.depth, "Only with so many in flight", "N"},
    {"rounds", 0, 0, G_OPTION_ARG_INT, &options.rounds, "Measurements of each kind", "N"},
    {"ms", 0, 0, G_OPTION_ARG_INT, &options.ms, "Length of a measurement", "MSEC"},
    {"realtime", 0, 0, G_OPTION_ARG_NONE, &options.realtime,
     "Keep other programs away from both CPUs while both are measured", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

typedef struct Bench {
    FILE *out;
    char *share;
    Lane *lanes[MAX_LANES];
    unsigned n_lanes;
    uint64_t begun_ns;
} Bench;

static const char *const columns =
    "round\tworkload\tdepth\tplacement\tnotify_us\tbackend\toperations_per_s\toperations_per_cpu_"
    "s\tbytes_per_s\tp50_us\t"
    "p99_us\tp999_us\tcpu_us_per_operation\tnotifications_per_operation\twakeups_per_operation\t"
    "private_kib\tthreads\tidle_wakeups_per_s\n";

static bool is_chosen(const BackendKind *kind)
{
    g_auto(GStrv) names = options.backends ? g_strsplit(options.backends, ",", -1) : NULL;

    return !names || g_strv_contains((const char *const *)names, kind->name);
}

static void start_lanes(Bench *bench, unsigned notify_us)
{
    bench->n_lanes = 0;
    for (unsigned i = 0; i < n_backend_kinds; i++) {
        g_autofree char *why = NULL;
        Lane *lane;

        if (!is_chosen(&backend_kinds[i]))
            continue;
        lane = lane_start(&backend_kinds[i], bench->share, notify_us, &why);
        if (lane)
            bench->lanes[bench->n_lanes++] = lane;
        else
            fprintf(stderr, "bench: without %s: %s\n", backend_kinds[i].name, why);
    }
}

static void stop_lanes(Bench *bench)
{
    for (unsigned i = 0; i < bench->n_lanes; i++)
        lane_stop(bench->lanes[i]);
}

static void write_result(Bench *bench, const Lane *lane, unsigned round, const char *name,
                         const LaneTask *task, const LaneResult *r)
{
    double operations = r->operations > 0 ? (double)r->operations : 1;
    double seconds = r->seconds > 0 ? r->seconds : 1;

    fprintf(bench->out, "%u\t%s\t%u\t%s\t%u\t%s\t", round, name, task->depth,
            placement_names[task->placement], lane->notify_us, lane->kind->name);
    fprintf(bench->out, "%.1f\t%.1f\t%.0f\t%.3f\t%.3f\t%.3f\t", (double)r->operations / seconds,
            r->both_cpu_ns > 0 ? (double)r->operations * 1e9 / (double)r->both_cpu_ns : 0,
            (double)r->bytes / seconds, (double)r->p50_ns / 1e3, (double)r->p99_ns / 1e3,
            (double)r->p999_ns / 1e3);
    fprintf(bench->out, "%.3f\t%.4f\t%.4f\t", (double)r->cpu_ns / 1e3 / operations,
            (double)r->notifications / operations, (double)r->wakeups / operations);
    fprintf(bench->out, "%u\t%u\t%.2f\n", r->idle.private_kib, r->idle.threads, r->idle.wakeups);
    fflush(bench->out);
}

/* Once for each lane that can: who cannot is told of and asked no more. */
static void measure_rounds(Bench *bench, const char *name, const LaneTask *task, unsigned rounds)
{
    bool can[MAX_LANES];

    memset(can, true, sizeof(can));
    if (options.only && !g_str_has_prefix(name, options.only))
        return;
    for (unsigned round = 1; round <= rounds; round++) {
        for (unsigned i = 0; i < bench->n_lanes; i++) {
            LaneResult result;

            if (!can[i])
                continue;
            lane_measure(bench->lanes[i], task, &result);
            can[i] = result.is_valid;
            if (result.is_valid)
                write_result(bench, bench->lanes[i], round, name, task, &result);
            else if (bench->lanes[i]->kind->dialect)
                fprintf(stderr, "bench: %s, %u in flight: not with %s: %s\n", name, task->depth,
                        bench->lanes[i]->kind->name, result.why);
        }
    }
}

static void measure_workload(Bench *bench, unsigned number, Placement placement, unsigned depth)
{
    const Workload *workload = &workloads[number];
    LaneTask task = {
        .type = TASK_WORKLOAD,
        .placement = placement,
        .realtime = options.realtime && placement != PLACE_ONE,
        .workload = number,
        .depth = depth,
        .ms = (unsigned)options.ms,
    };

    if (options.placement && !g_str_equal(options.placement, placement_names[placement]))
        return;
    if (options.depth != 0 && options.depth != (int)depth)
        return;
    if (workload->has_slow)
        task.ms = MAX(task.ms, SLOW_MSEC);
    measure_rounds(bench, workload->name, &task, (unsigned)options.rounds);
}

/* One after the other: each at all depths and placements. */
static void measure_common(Bench *bench)
{
    static const unsigned depths[] = {1, 8, 32};

    for (unsigned i = 0; i < n_workloads; i++) {
        if (!workloads[i].direct)
            continue;
        for (unsigned place = 0; place < N_PLACEMENTS; place++) {
            for (unsigned d = 0; d < G_N_ELEMENTS(depths); d++)
                measure_workload(bench, i, (Placement)place, depths[d]);
        }
        fprintf(stderr, "bench: %s is done, after %.0f s\n", workloads[i].name,
                (double)(now_ns() - bench->begun_ns) / 1e9);
    }
}

static void measure_idle(Bench *bench, const char *name, unsigned settle_ms)
{
    LaneTask idle = {.type = TASK_IDLE, .placement = PLACE_FREE, .ms = IDLE_MSEC};

    if (options.only && !g_str_has_prefix(name, options.only))
        return;
    g_usleep(settle_ms * 1000UL);
    measure_rounds(bench, name, &idle, 1);
}

/* One busy device beside others that are connected and do nothing. The null backend has one device. */
static void measure_beside_idle(Bench *bench)
{
    static const unsigned numbers[] = {0, 1, 10, 100};

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autofree char *name = g_strdup_printf("getattr-beside-%u-idle", numbers[i]);
        LaneTask task = {
            .type = TASK_WORKLOAD,
            .placement = PLACE_ONE,
            .workload = 0,
            .n_idle = numbers[i],
            .depth = 32,
            .ms = (unsigned)options.ms,
        };

        measure_rounds(bench, name, &task, (unsigned)options.rounds);
    }
}

static void measure_special(Bench *bench)
{
    LaneTask flush = {
        .type = TASK_FLUSH, .placement = PLACE_FREE, .depth = 1, .realtime = options.realtime};
    LaneTask connect = {.type = TASK_CONNECT, .placement = PLACE_FREE, .depth = 1, .ms = 1000};

    flush.ms = options.is_quick ? 300 : 1000;
    for (unsigned i = 0; i < n_workloads; i++) {
        if (!workloads[i].direct)
            measure_workload(bench, i, workloads[i].one_ring ? PLACE_FREE : PLACE_ONE,
                             workloads[i].one_ring ? 8 : 32);
    }
    measure_rounds(bench, "flush", &flush, SLOW_ROUNDS);
    measure_rounds(bench, "connect", &connect, SLOW_ROUNDS);
    measure_beside_idle(bench);
}

/* With a price on notifications, which on Xen are hypercalls. */
static void measure_charged(Bench *bench)
{
    for (unsigned i = 0; i < 3; i++) {
        measure_workload(bench, i, PLACE_FREE, 1);
        measure_workload(bench, i, PLACE_FREE, 32);
    }
}

static void parse_options(int *argc, char ***argv)
{
    GOptionContext *context = g_option_context_new("FILE");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, option_entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error) || *argc != 2) {
        fprintf(stderr, "bench: %s\n", error ? error->message : "needs a file to write to");
        exit(2);
    }
    g_option_context_free(context);
    if (options.rounds == 0)
        options.rounds = options.is_quick ? 3 : 5;
    if (options.ms == 0)
        options.ms = options.is_quick ? 50 : 200;
}

int main(int argc, char **argv)
{
    Bench bench = {.begun_ns = now_ns()};
    struct rlimit files;

    parse_options(&argc, &argv);
    signal(SIGPIPE, SIG_IGN); /* a lane that has ended */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    bench.out = fopen(argv[1], "w");
    if (!bench.out)
        g_error("cannot write %s", argv[1]);
    fputs(columns, bench.out);
    bench.share = share_new();
    start_lanes(&bench, 0);
    measure_idle(&bench, "idle", FRESH_SETTLE_MSEC);
    measure_common(&bench);
    measure_special(&bench);
    measure_idle(&bench, "idle-after-load", IDLE_SETTLE_MSEC);
    stop_lanes(&bench);
    start_lanes(&bench, CHARGED_US);
    measure_charged(&bench);
    stop_lanes(&bench);
    share_remove(bench.share);
    g_free(bench.share);
    return fclose(bench.out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
