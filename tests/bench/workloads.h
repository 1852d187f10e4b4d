/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workloads: the operations that are measured, as messages of 9P2000.L and 9P2000.u, and each as the
 * system calls that a server makes for it, in this process.
 */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "tests/bench/load.h"
#include "tests/bench/share.h"

/* One thread that does an operation without a server. */
typedef struct Direct {
    int root;   /* the share */
    int node;   /* an O_PATH descriptor of SHARE_FILE */
    int file;   /* SHARE_FILE, for reading */
    int output; /* SHARE_OUTPUT, for writing */
    int create; /* the folder SHARE_CREATE */
    unsigned number;
    uint64_t random;
    uint64_t sequence;
    uint64_t bytes;
    uint8_t *user;   /* LOAD_DATA_MAX bytes: where data comes from or goes to in the end */
    uint8_t *bounce; /* LOAD_DATA_MAX bytes: what the server's own memory would be */
} Direct;

typedef struct Workload {
    const char *name;
    SlotStep *step;           /* for all slots, with the numbers of fids below */
    bool (*direct)(Direct *); /* one operation; false when something is wrong */
    bool needs_linux;         /* has no counterpart in 9P2000.u */
    bool one_ring;            /* all requests on the first ring */
    bool has_slow;            /* beside them a request that takes 20 ms, again and again */
    unsigned n_fids;          /* fids that the operations use, in no order; 0: one */
} Workload;

extern const Workload workloads[];
extern const unsigned n_workloads;

/* Opens what the workloads use, through a frontend that has attached as fid 0. Returns NULL, or the
 * name of the message that failed. */
const char *workloads_open(Load *load, const char *share);

/* Prepares load->slots for `depth` operations at once of this workload. Returns NULL, or why it
 * cannot be done with this backend. */
const char *workload_prepare(Load *load, const Workload *workload, unsigned depth);

/* Ends what workload_prepare() began, and checks what was written. */
const char *workload_finish(Load *load, const Workload *workload);

void direct_open(Direct *direct, const char *share, unsigned number);
void direct_close(Direct *direct);

/* Sends Tflushes for opens that wait for a lease, for `ms` milliseconds, and notes how long each
 * waits for its Rflush. Returns NULL or why this backend cannot do it. */
const char *flush_measure(Load *load, unsigned ms, Histogram *histogram);

#endif
