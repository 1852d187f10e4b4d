/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tracers: see tracer.h. */
#include "protocol/tracer.h"

#include <fnmatch.h>
#include <string.h>

#include "common/record.h"

enum { MAX_BYTES = 256 * 1024 }; /* of lines that wait, for each tracer */

void tracers_init(Tracers *tracers)
{
    *tracers = (Tracers){.active = 0};
    pthread_mutex_init(&tracers->lock, NULL);
}

void tracers_deinit(Tracers *tracers)
{
    for (int i = 0; i < TRACERS_MAX; i++)
        tracers_remove(tracers, i);
    pthread_mutex_destroy(&tracers->lock);
}

void tracers_set_ready(Tracers *tracers, void (*ready)(void *context), void *context)
{
    pthread_mutex_lock(&tracers->lock);
    tracers->ready = ready;
    tracers->context = context;
    pthread_mutex_unlock(&tracers->lock);
}

void trace_filter_deinit(TraceFilter *filter)
{
    g_free(filter->path);
    filter->path = NULL;
}

/* Called with the lock held. */
static int find_unused(const Tracers *tracers)
{
    for (int i = 0; i < TRACERS_MAX; i++) {
        if (!tracers->tracers[i].used)
            return i;
    }
    return -1;
}

int tracers_add(Tracers *tracers, TraceFilter *filter, uint64_t first)
{
    int number;

    pthread_mutex_lock(&tracers->lock);
    number = find_unused(tracers);
    if (number >= 0) {
        tracers->tracers[number] =
            (Tracer){.used = true, .filter = *filter, .first = first, .lines = g_string_new(NULL)};
        filter->path = NULL;
        __atomic_fetch_or(&tracers->active, 1U << number, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&tracers->lock);
    return number;
}

void tracers_remove(Tracers *tracers, int number)
{
    Tracer *tracer = &tracers->tracers[number];

    pthread_mutex_lock(&tracers->lock);
    if (tracer->used) {
        __atomic_fetch_and(&tracers->active, ~(1U << number), __ATOMIC_RELAXED);
        trace_filter_deinit(&tracer->filter);
        g_string_free(tracer->lines, TRUE);
        tracer->used = false;
    }
    pthread_mutex_unlock(&tracers->lock);
}

/*
 * Filters
 */

static bool has_types(const TraceFilter *filter)
{
    return filter->types[0] || filter->types[1] || filter->types[2] || filter->types[3];
}

static bool fits(const char *pattern, const char *path)
{
    return path && fnmatch(pattern, path, 0) == 0;
}

static bool filter_matches(const TraceFilter *filter, const TraceSubject *s)
{
    if (has_types(filter) && !(filter->types[s->type / 64] >> s->type % 64 & 1))
        return false;
    if (filter->has_fid && filter->fid != s->fids[0] && filter->fid != s->fids[1])
        return false;
    return !filter->path || fits(filter->path, s->path) || fits(filter->path, s->fid_path);
}

static bool wants_everything(const TraceFilter *filter)
{
    return !has_types(filter) && !filter->has_fid && !filter->path && !filter->errors;
}

unsigned tracers_match(Tracers *tracers, const TraceSubject *subject)
{
    unsigned mask = 0;

    pthread_mutex_lock(&tracers->lock);
    for (unsigned i = 0; i < TRACERS_MAX; i++) {
        const Tracer *tracer = &tracers->tracers[i];

        if (tracer->used && filter_matches(&tracer->filter, subject))
            mask |= 1U << i;
    }
    pthread_mutex_unlock(&tracers->lock);
    return mask;
}

/*
 * Lines
 */

/* Called with the lock held. */
static void keep_line(Tracers *tracers, Tracer *tracer, const GString *line)
{
    bool was_empty = tracer->lines->len == 0;

    if (tracer->lines->len + line->len > MAX_BYTES) {
        tracer->n_lost++;
        return;
    }
    g_string_append_len(tracer->lines, line->str, (gssize)line->len);
    if (was_empty && tracers->ready)
        tracers->ready(tracers->context);
}

void tracers_tell(Tracers *tracers, unsigned mask, uint64_t id, bool is_error, const GString *line)
{
    pthread_mutex_lock(&tracers->lock);
    for (unsigned i = 0; i < TRACERS_MAX; i++) {
        Tracer *tracer = &tracers->tracers[i];

        if ((mask >> i & 1) && tracer->used && id >= tracer->first &&
            (is_error || !tracer->filter.errors))
            keep_line(tracers, tracer, line);
    }
    pthread_mutex_unlock(&tracers->lock);
}

void tracers_tell_all(Tracers *tracers, const GString *line)
{
    pthread_mutex_lock(&tracers->lock);
    for (unsigned i = 0; i < TRACERS_MAX; i++) {
        Tracer *tracer = &tracers->tracers[i];

        if (tracer->used && wants_everything(&tracer->filter))
            keep_line(tracers, tracer, line);
    }
    pthread_mutex_unlock(&tracers->lock);
}

void tracers_take(Tracers *tracers, int number, GString *out)
{
    Tracer *tracer = &tracers->tracers[number];

    pthread_mutex_lock(&tracers->lock);
    g_string_append_len(out, tracer->lines->str, (gssize)tracer->lines->len);
    g_string_truncate(tracer->lines, 0);
    if (tracer->n_lost > 0) {
        record_begin(out, "lost");
        record_number(out, "count", tracer->n_lost);
        record_end(out);
        tracer->n_lost = 0;
    }
    pthread_mutex_unlock(&tracers->lock);
}
