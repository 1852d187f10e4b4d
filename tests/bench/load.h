/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load: a frontend under load, on the rings of a connected Frontend.
 *
 * It does on the rings what Linux does: a request goes to ring tag % 2, with a notification of its
 * own, and waits while there is no room; replies are taken as long as there are any, and then the
 * backend is notified once. What Linux spreads over processes is one thread here, which sleeps when
 * there is nothing to take.
 *
 * A slot is one of the operations that are in flight at the same time. It has one tag, and sends
 * the messages that its operation consists of one after the other. Everything is one thread's.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "tests/bench/histogram.h"
#include "tests/frontend/frontend.h"

typedef struct Load Load;
typedef struct Slot Slot;

enum {
    LOAD_MAX_DEPTH = 32,
    LOAD_MAX_TAG = 2 * LOAD_MAX_DEPTH,
    LOAD_REQUEST_MAX = 512,
    LOAD_REPLY_MAX = 256,
    LOAD_DATA_MAX = 512 * 1024,
};

/* One R-message. Data of Rread and Rreaddir is in load->data, the rest of any message in `body`. */
typedef struct LoadReply {
    uint8_t type;
    uint32_t error; /* the errno of an error reply, or 0 */
    uint32_t size;  /* of the body, as far as it is kept */
    uint32_t count; /* of the data */
    bool correct;   /* the data is what the slot's file holds at its offset */
    uint8_t body[LOAD_REPLY_MAX];
} LoadReply;

/* Builds the slot's next message; `reply` is the answer to the one before, NULL at the beginning of
 * an operation. Returns false when the operation is complete. */
typedef bool SlotStep(Load *load, Slot *slot, const LoadReply *reply);

struct Slot {
    uint16_t tag;
    SlotStep *step;
    unsigned stage; /* the step's own, as the following; 0 at the beginning */
    uint32_t fid;   /* a number that no other slot uses */
    bool is_file;   /* a read is of SHARE_FILE, from `offset` on */
    uint64_t offset;
    uint64_t count;
    bool is_measured;

    GByteArray *request;
    const void *payload; /* follows the request's bytes */
    uint32_t payload_size;
    uint64_t begun_ns;
    bool is_busy;
};

struct Load {
    Frontend *frontend;
    bool is_unix;  /* 9P2000.u */
    bool is_ours;  /* the backend is this project's */
    bool is_blind; /* the backend has nothing behind it: replies are not checked */
    uint64_t random;
    uint64_t sequence; /* for those who go through a file */
    uint8_t *data;     /* LOAD_DATA_MAX bytes: the data of the last reply */
    void *context;     /* of the workload */

    Slot slots[LOAD_MAX_DEPTH + 1];
    unsigned n_slots;
    Slot *by_tag[LOAD_MAX_TAG + 1];
    GQueue waiting[2]; /* slots whose message has no room in its ring */
    uint64_t end_ns;
    uint64_t operations;
    uint64_t bytes;
    Histogram *histogram;
    const char *failure; /* a static text; ends the run */
    uint32_t failure_error;
};

uint64_t now_ns(void);

/* A load on `frontend`, which stays the caller's. */
Load *load_new(Frontend *frontend);
void load_free(Load *load);

/* Keeps n_slots operations going for `ms` milliseconds and lets them end. load->slots has their
 * step, fid, tag and is_measured. Fills the counters and `histogram`. */
void load_run(Load *load, unsigned ms, Histogram *histogram);

/* Says that a reply was not what it should be. The run ends. Returns false, for a step. */
bool load_fail(Load *load, const char *failure, uint32_t error);

/* A number below `limit`. */
uint64_t load_random(Load *load, uint64_t limit);

/* Begins a message in the slot; the slot_put functions append to it. Its size is filled in later. */
void slot_begin(Slot *slot, uint8_t type);
void slot_put8(Slot *slot, uint8_t value);
void slot_put16(Slot *slot, uint16_t value);
void slot_put32(Slot *slot, uint32_t value);
void slot_put64(Slot *slot, uint64_t value);
void slot_put_string(Slot *slot, const char *text);

#endif
