/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Activity: see activity.h. */
#include "xen-9pfs/tool/activity.h"

#include <string.h>

enum { MAX_RECORDS = 256 };

bool activity_is_continued(const Query *now, const Query *before)
{
    const Record *session = query_find(now, "session");
    const Record *earlier = before != NULL ? query_find(before, "session") : NULL;

    return session != NULL && earlier != NULL &&
           record_get_number(session, "uptime_us") >= record_get_number(earlier, "uptime_us");
}

uint64_t activity_growth(const Record *now, const Record *before, const char *field)
{
    uint64_t value = record_get_number(now, field);
    uint64_t earlier = before != NULL ? record_get_number(before, field) : 0;

    return value - MIN(value, earlier);
}

GPtrArray *activity_records(const Query *query, const char *kind)
{
    GPtrArray *records = g_ptr_array_new();

    for (guint i = 0; i < query->records->len && records->len < MAX_RECORDS; i++) {
        if (record_is(g_ptr_array_index(query->records, i), kind))
            g_ptr_array_add(records, g_ptr_array_index(query->records, i));
    }
    return records;
}

const Record *activity_find(const Query *query, const char *kind, const char *key,
                            const Record *record)
{
    g_autoptr(GPtrArray) records = query != NULL ? activity_records(query, kind) : NULL;

    for (guint i = 0; records != NULL && i < records->len; i++) {
        const Record *other = g_ptr_array_index(records, i);

        if (strcmp(record_get_text(other, key), record_get_text(record, key)) == 0)
            return other;
    }
    return NULL;
}

static Histogram *make_histogram(const Query *now, const Query *before, const Record *operation,
                                 const Record *earlier)
{
    Histogram *histogram = histogram_new(query_find(now, "buckets"), operation);

    if (earlier != NULL) {
        g_autoptr(Histogram) old = histogram_new(query_find(before, "buckets"), earlier);

        histogram_subtract(histogram, old);
    }
    return histogram;
}

/* NULL when there was none of it. */
static Record *make_operation(const Query *now, const Query *before, const Record *operation)
{
    static const char *const grown[] = {"errors", "cancelled", "bytes_in", "bytes_out"};
    const Record *earlier = activity_find(before, "operation", "name", operation);
    g_autoptr(Histogram) histogram = make_histogram(now, before, operation, earlier);
    uint64_t count = activity_growth(operation, earlier, "count");
    Record *record;

    if (count == 0)
        return NULL;
    record = record_new("operation");
    record_set(record, "name", record_get_text(operation, "name"));
    record_set_number(record, "count", count);
    for (size_t i = 0; i < G_N_ELEMENTS(grown); i++)
        record_set_number(record, grown[i], activity_growth(operation, earlier, grown[i]));
    record_set_number(record, "mean_us", activity_growth(operation, earlier, "total_us") / count);
    if (histogram_total(histogram) > 0) {
        record_set_number(record, "p50_us", histogram_percentile(histogram, 0.5));
        record_set_number(record, "p99_us", histogram_percentile(histogram, 0.99));
        record_set_number(record, "p999_us", histogram_percentile(histogram, 0.999));
    }
    if (earlier == NULL)
        record_set(record, "max_us", record_get(operation, "max_us"));
    else if (histogram_total(histogram) > 0)
        record_set_number(record, "max_us", histogram_percentile(histogram, 1));
    return record;
}

static gint compare_counts(gconstpointer a, gconstpointer b)
{
    const Record *left = *(Record *const *)a;
    const Record *right = *(Record *const *)b;
    uint64_t x = record_get_number(left, "count");
    uint64_t y = record_get_number(right, "count");

    if (x != y)
        return x > y ? -1 : 1;
    return strcmp(record_get_text(left, "name"), record_get_text(right, "name"));
}

GPtrArray *activity_operations(const Query *now, const Query *before)
{
    GPtrArray *operations = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    g_autoptr(GPtrArray) records = activity_records(now, "operation");

    if (!activity_is_continued(now, before))
        before = NULL;
    for (guint i = 0; i < records->len; i++) {
        Record *operation = make_operation(now, before, g_ptr_array_index(records, i));

        if (operation != NULL)
            g_ptr_array_add(operations, operation);
    }
    g_ptr_array_sort(operations, compare_counts);
    return operations;
}

Histogram *activity_histogram(const Query *now, const Query *before)
{
    Histogram *sum = histogram_new(NULL, NULL);
    g_autoptr(GPtrArray) records = activity_records(now, "operation");

    if (!activity_is_continued(now, before))
        before = NULL;
    for (guint i = 0; i < records->len; i++) {
        const Record *record = g_ptr_array_index(records, i);
        const Record *earlier = activity_find(before, "operation", "name", record);
        g_autoptr(Histogram) histogram = make_histogram(now, before, record, earlier);

        histogram_add(sum, histogram);
    }
    return sum;
}
