/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lane: a process for each backend that is compared, which does one measurement whenever it is told
 * to. So that the backends can take turns, all lanes live from beginning to end, and all but one
 * sleep.
 */
#ifndef BENCH_LANE_H
#define BENCH_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/backend.h"

typedef enum Placement {
    PLACE_ONE,  /* frontend and backend on one CPU */
    PLACE_EACH, /* a CPU for the frontend and one for the backend */
    PLACE_FREE, /* where the scheduler likes */
    N_PLACEMENTS,
} Placement;

typedef enum TaskType {
    TASK_WORKLOAD,
    TASK_FLUSH,   /* flush_measure() */
    TASK_IDLE,    /* backend_look_idle() */
    TASK_CONNECT, /* backend_connect_once(), again and again */
} TaskType;

typedef struct LaneTask {
    TaskType type;
    Placement placement;
    bool realtime;     /* at a real-time priority, so that other programs stand still */
    unsigned workload; /* in workloads[] */
    unsigned n_idle;   /* other devices of the backend that are connected and idle */
    unsigned depth;
    unsigned ms;
} LaneTask;

typedef struct LaneResult {
    bool is_valid;
    char why[256]; /* if it is not */
    uint64_t operations;
    uint64_t bytes;
    double seconds;
    uint64_t cpu_ns;        /* of the backend */
    uint64_t both_cpu_ns;   /* of the backend and of the frontend */
    uint64_t notifications; /* that the backend sent */
    uint64_t wakeups;       /* of the backend by notifications */
    uint64_t p50_ns, p99_ns, p999_ns;
    BackendIdle idle;
} LaneResult;

typedef struct Lane {
    const BackendKind *kind;
    unsigned notify_us; /* what each notification costs more */
    int sock;
    pid_t pid;
} Lane;

/* Starts a lane. Returns NULL and *why, to be freed, when its backend does not start. */
Lane *lane_start(const BackendKind *kind, const char *share, unsigned notify_us, char **why);
void lane_stop(Lane *lane);

/* Lets the lane do a measurement and waits for it. One that takes much too long, or whose backend
 * ends, ends the lane: this and all later results are then not valid. */
void lane_measure(Lane *lane, const LaneTask *task, LaneResult *result);

#endif
