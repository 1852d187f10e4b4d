/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sample: what the workers of some devices have said at one time. Two of them tell what happened. */
#ifndef XEN_9PFS_TOOL_SAMPLE_H
#define XEN_9PFS_TOOL_SAMPLE_H

#include "xen-9pfs/tool/activity.h"
#include "xen-9pfs/tool/devices.h"

typedef struct Sample {
    int64_t time_us;    /* monotonic */
    GPtrArray *devices; /* NULL: see `error` */
    GPtrArray *queries; /* their answers to "stats", in the same order */
    char *error;        /* why there are no devices */
} Sample;

/* Asks. Returns false when the daemon does not answer, or an argument means no device. Either way
 * the sample ends with sample_clear(). */
bool sample_take(Sample *sample, const Tool *tool, char **arguments);

/* Makes it an empty one, as {0} is. */
void sample_clear(Sample *sample);

/* The answer in `before` of the worker that `now` is an answer of; NULL when there is none. */
const Query *sample_find(const Sample *before, const Query *now);

#endif
