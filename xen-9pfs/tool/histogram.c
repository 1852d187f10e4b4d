/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histogram: see histogram.h. */
#include "xen-9pfs/tool/histogram.h"

#include <string.h>

#include "xen-9pfs/tool/text.h"

enum { MAX_BOUNDS = 4096 };

/* Parses "N,N,...". Returns how many there are, at most MAX_BOUNDS; the caller frees `*numbers`. */
static size_t parse_numbers(const char *text, uint64_t **numbers)
{
    g_auto(GStrv) words = g_strsplit(text, ",", MAX_BOUNDS + 2);
    size_t n = 0;

    *numbers = g_new0(uint64_t, MAX_BOUNDS + 1);
    while (n < MAX_BOUNDS && words[n] != NULL && text_parse_number(words[n], &(*numbers)[n]))
        n++;
    return n;
}

static bool is_rising(const uint64_t *numbers, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (numbers[i] <= numbers[i - 1])
            return false;
    }
    return true;
}

Histogram *histogram_new(const Record *bounds, const Record *operation)
{
    Histogram *histogram = g_new0(Histogram, 1);
    size_t n_buckets = parse_numbers(bounds != NULL ? record_get_text(bounds, "bounds_us") : "",
                                     &histogram->bounds_us);

    if (n_buckets > 0 && is_rising(histogram->bounds_us, n_buckets))
        histogram->n_bounds = n_buckets - 1;
    histogram->max_us = G_MAXUINT64;
    if (operation == NULL) {
        histogram->counts = g_new0(uint64_t, histogram->n_bounds + 1);
        return histogram;
    }
    parse_numbers(record_get_text(operation, "buckets"), &histogram->counts);
    if (record_get(operation, "max_us") != NULL)
        histogram->max_us = record_get_number(operation, "max_us");
    return histogram;
}

void histogram_free(Histogram *histogram)
{
    if (histogram == NULL)
        return;
    g_free(histogram->bounds_us);
    g_free(histogram->counts);
    g_free(histogram);
}

uint64_t histogram_total(const Histogram *histogram)
{
    uint64_t total = 0;

    for (size_t i = 0; i <= histogram->n_bounds; i++)
        total += histogram->counts[i];
    return total;
}

static bool has_bounds_of(const Histogram *histogram, const Histogram *other)
{
    return histogram->n_bounds == other->n_bounds &&
           (other->n_bounds == 0 || memcmp(histogram->bounds_us, other->bounds_us,
                                           other->n_bounds * sizeof(other->bounds_us[0])) == 0);
}

void histogram_subtract(Histogram *histogram, const Histogram *before)
{
    if (!has_bounds_of(histogram, before))
        return;
    for (size_t i = 0; i <= histogram->n_bounds; i++)
        histogram->counts[i] -= MIN(histogram->counts[i], before->counts[i]);
}

static void take_over(Histogram *histogram, const Histogram *other)
{
    g_free(histogram->bounds_us);
    g_free(histogram->counts);
    histogram->n_bounds = other->n_bounds;
    histogram->bounds_us = g_new(uint64_t, other->n_bounds + 1);
    histogram->counts = g_new(uint64_t, other->n_bounds + 1);
    histogram->max_us = other->max_us;
    memcpy(histogram->counts, other->counts, (other->n_bounds + 1) * sizeof(other->counts[0]));
    if (other->n_bounds > 0)
        memcpy(histogram->bounds_us, other->bounds_us,
               other->n_bounds * sizeof(other->bounds_us[0]));
}

void histogram_add(Histogram *histogram, const Histogram *other)
{
    if (histogram_total(histogram) == 0) {
        take_over(histogram, other);
        return;
    }
    if (!has_bounds_of(histogram, other))
        return;
    for (size_t i = 0; i <= histogram->n_bounds; i++)
        histogram->counts[i] += other->counts[i];
    histogram->max_us = MAX(histogram->max_us, other->max_us);
}

uint64_t histogram_percentile(const Histogram *histogram, double share)
{
    double wanted = share * (double)histogram_total(histogram);
    uint64_t seen = 0;
    size_t last = 0;

    for (size_t i = 0; i <= histogram->n_bounds; i++) {
        if (histogram->counts[i] == 0)
            continue;
        seen += histogram->counts[i];
        last = i;
        if ((double)seen >= wanted)
            break;
    }
    if (seen == 0)
        return 0;
    return last < histogram->n_bounds ? MIN(histogram->bounds_us[last], histogram->max_us)
                                      : histogram->max_us;
}
