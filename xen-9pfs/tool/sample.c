/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sample: see sample.h. */
#include "xen-9pfs/tool/sample.h"

#include <string.h>

bool sample_take(Sample *sample, const Tool *tool, char **arguments)
{
    sample->devices = devices_find(tool, arguments, &sample->error);
    if (sample->devices != NULL)
        sample->queries = devices_ask(tool, sample->devices, "stats");
    sample->time_us = g_get_monotonic_time();
    return sample->devices != NULL;
}

void sample_clear(Sample *sample)
{
    g_clear_pointer(&sample->queries, g_ptr_array_unref);
    g_clear_pointer(&sample->devices, g_ptr_array_unref);
    g_clear_pointer(&sample->error, g_free);
}

const Query *sample_find(const Sample *before, const Query *now)
{
    const char *name = record_get_text(now->context, "device");

    for (guint i = 0; before->queries != NULL && i < before->queries->len; i++) {
        const Query *query = g_ptr_array_index(before->queries, i);

        if (strcmp(record_get_text(query->context, "device"), name) == 0)
            return activity_is_continued(now, query) ? query : NULL;
    }
    return NULL;
}
