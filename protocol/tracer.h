/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracers: people who watch what happens in a session, line by line.
 *
 * Where something happens, that thread puts together a line and leaves it in the buffer of each
 * tracer that wants it; somebody else takes it from there. A buffer that is full loses lines, and
 * counts them: nothing ever waits for a tracer. While there is none, the one cost is a look at
 * `active`. Any thread may call anything.
 */
#ifndef PROTOCOL_TRACER_H
#define PROTOCOL_TRACER_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TRACERS_MAX = 4 };

/* What a tracer wants to see: what passes all that is set. */
typedef struct TraceFilter {
    uint64_t types[4]; /* bit t of these 256: messages of type t; all zero: of any */
    bool has_fid;
    uint32_t fid;
    char *path;  /* a pattern of fnmatch(3), for the path that a message is about; NULL: any */
    bool errors; /* only requests that fail, when they do */
} TraceFilter;

/* What is matched with filters. */
typedef struct TraceSubject {
    uint8_t type;     /* of the request */
    uint32_t fids[2]; /* that it names, or P9_NOFID */
    const char *path; /* what it is about, and what its first fid is; NULL: not known */
    const char *fid_path;
} TraceSubject;

typedef struct Tracer {
    bool used;
    TraceFilter filter;
    uint64_t first; /* the id of the first request that counts */
    GString *lines;
    uint64_t n_lost; /* lines, since the last that was kept */
} Tracer;

typedef struct Tracers {
    unsigned active;      /* atomic: bit i: tracer i is there */
    pthread_mutex_t lock; /* guards: */
    Tracer tracers[TRACERS_MAX];
    void (*ready)(void *context); /* there are lines in a buffer that had none; must not wait */
    void *context;
} Tracers;

void tracers_init(Tracers *tracers);
void tracers_deinit(Tracers *tracers);

/* Who is told that there are lines; NULL: nobody. */
void tracers_set_ready(Tracers *tracers, void (*ready)(void *context), void *context);

/* Adds a tracer, which takes over what the filter holds, for requests from the id `first` on. Returns
 * its number, or -1 when there are TRACERS_MAX. */
int tracers_add(Tracers *tracers, TraceFilter *filter, uint64_t first);
void tracers_remove(Tracers *tracers, int number);

void trace_filter_deinit(TraceFilter *filter);

static inline bool tracers_active(const Tracers *tracers)
{
    return __builtin_expect(__atomic_load_n(&tracers->active, __ATOMIC_RELAXED) != 0, false);
}

/* Which tracers want to see a request, as bits. */
unsigned tracers_match(Tracers *tracers, const TraceSubject *subject);

/* Gives a line, a whole record, to those of the tracers in `mask` who want it: about the request with
 * this id, when it fails (`is_error`) or for another reason. */
void tracers_tell(Tracers *tracers, unsigned mask, uint64_t id, bool is_error, const GString *line);

/* The same for what is about no request: to those who want to see everything. */
void tracers_tell_all(Tracers *tracers, const GString *line);

/* Moves the lines of a tracer to the end of `out`. */
void tracers_take(Tracers *tracers, int number, GString *out);

#endif
