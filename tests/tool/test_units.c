/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes, durations, widths, histograms and words of requests. */
#include <locale.h>
#include <string.h>

#include "xen-9pfs/tool/histogram.h"
#include "xen-9pfs/tool/record.h"
#include "xen-9pfs/tool/text.h"

static void test_sizes(void)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0"},         {1023, "1023"},     {1024, "1K"},         {1536, "1.5K"},
        {10240, "10K"},   {10300, "10K"},     {1048575, "1.0M"},    {1048576, "1M"},
        {524288, "512K"}, {3221225472, "3G"}, {G_MAXUINT64, "16E"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = text_size(cases[i].bytes);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_durations(void)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "0"},
        {999, "999us"},
        {1000, "1.00ms"},
        {12345, "12.3ms"},
        {123456, "123ms"},
        {1234567, "1.23s"},
        {59900000, "59.9s"},
        {61000000, "1m01s"},
        {7500000000, "2h05m"},
        {273840000000, "3d04h"},
        {G_MAXUINT64, "213503982d08h"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = text_duration(cases[i].us);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_times(void)
{
    g_autofree char *good = text_time(1700000000);
    g_autofree char *bad = text_time(G_MAXUINT64);

    g_assert_cmpstr(good, ==, "2023-11-14 22:13:20");
    g_assert_cmpstr(bad, ==, "?");
}

static void test_cut(void)
{
    static const struct {
        const char *text;
        size_t width;
        const char *cut;
    } cases[] = {
        {"hello", 5, "hello"},
        {"hello!", 5, "he..."},
        {"hello", 3, "hel"},
        {"hello", 0, ""},
        {"\xe6\x96\x87\xe4\xbb\xb6", 4, "\xe6\x96\x87\xe4\xbb\xb6"},
        {"\xe6\x96\x87\xe4\xbb\xb6", 3, "\xe6\x96\x87"},
        {"\xe6\x96\x87\xe4\xbb\xb6-\xe4\xbb\xb6", 6, "\xe6\x96\x87..."},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *cut = text_cut(cases[i].text, cases[i].width);

        g_assert_cmpstr(cut, ==, cases[i].cut);
        g_assert_cmpuint(text_width(cut), <=, cases[i].width);
    }
}

static void test_words(void)
{
    GString *out = g_string_new(NULL);
    g_autofree char *back = NULL;

    record_escape_word(out, "path=/a b\\c\td\ne\x1b\xff\xc3\xa9");
    g_assert_cmpstr(out->str, ==, "path=/a\\x20b\\\\c\\td\\ne\\x1b\\xff\xc3\xa9");
    back = record_parse_value(out->str);
    g_assert_cmpstr(back, ==, "path=/a b\\c\td\ne\x1b\xff\xc3\xa9");
    g_string_free(out, TRUE);
}

static void test_records(void)
{
    g_autoptr(Record) record =
        record_parse("record=request\ttag=5\tpath=a\\tb=c\t\t=x\tempty=\tnone");

    g_assert_true(record_is(record, "request"));
    g_assert_cmpuint(record_get_number(record, "tag"), ==, 5);
    g_assert_cmpstr(record_get(record, "path"), ==, "a\tb=c");
    g_assert_cmpstr(record_get(record, "empty"), ==, "");
    g_assert_null(record_get(record, "none"));
    g_assert_null(record_get(record, ""));
    g_assert_null(record_parse("ok"));
    g_assert_null(record_parse("tag=5\trecord=request"));
}

static Histogram *make_histogram(const char *bounds, const char *buckets, const char *max)
{
    g_autoptr(Record) bounds_record = record_new("buckets");
    g_autoptr(Record) operation = record_new("operation");

    record_set(bounds_record, "bounds_us", bounds);
    record_set(operation, "buckets", buckets);
    record_set(operation, "max_us", max);
    return histogram_new(bounds_record, operation);
}

/* A percentile is the bound below which so many are, but never more than the largest of all; the last
 * bucket has no bound. */
static void test_percentiles(void)
{
    g_autoptr(Histogram) histogram = make_histogram("10,20,50,100", "90,9,0,1", "777");
    g_autoptr(Histogram) small = make_histogram("10,20,50,100", "0,3,0,0", "13");
    g_autoptr(Histogram) empty = make_histogram("10,20,50,100", "0,0,0,0", "0");
    g_autoptr(Histogram) bad = make_histogram("20,10", "5,5", NULL);

    g_assert_cmpuint(histogram_total(histogram), ==, 100);
    g_assert_cmpuint(histogram_percentile(histogram, 0.5), ==, 10);
    g_assert_cmpuint(histogram_percentile(histogram, 0.9), ==, 10);
    g_assert_cmpuint(histogram_percentile(histogram, 0.99), ==, 20);
    g_assert_cmpuint(histogram_percentile(histogram, 0.999), ==, 777);
    g_assert_cmpuint(histogram_percentile(small, 0.5), ==, 13);
    g_assert_cmpuint(histogram_percentile(empty, 0.5), ==, 0);
    g_assert_cmpuint(bad->n_bounds, ==, 0);
}

static void test_differences(void)
{
    g_autoptr(Histogram) now = make_histogram("10,20,50", "5,5,1", "60");
    g_autoptr(Histogram) before = make_histogram("10,20,50", "4,7,0", "15");
    g_autoptr(Histogram) other = make_histogram("11,20,50", "1,1,1", "60");
    g_autoptr(Histogram) sum = histogram_new(NULL, NULL);

    histogram_subtract(now, other);
    g_assert_cmpuint(histogram_total(now), ==, 11);
    histogram_subtract(now, before);
    g_assert_cmpuint(now->counts[0], ==, 1);
    g_assert_cmpuint(now->counts[1], ==, 0);
    g_assert_cmpuint(now->counts[2], ==, 1);
    histogram_add(sum, now);
    histogram_add(sum, before);
    histogram_add(sum, other);
    g_assert_cmpuint(histogram_total(sum), ==, 13);
    g_assert_cmpuint(sum->max_us, ==, 60);
}

int main(int argc, char **argv)
{
    g_setenv("TZ", "UTC", TRUE);
    setlocale(LC_CTYPE, "C.UTF-8");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool-units/sizes", test_sizes);
    g_test_add_func("/tool-units/durations", test_durations);
    g_test_add_func("/tool-units/times", test_times);
    g_test_add_func("/tool-units/cut", test_cut);
    g_test_add_func("/tool-units/words", test_words);
    g_test_add_func("/tool-units/records", test_records);
    g_test_add_func("/tool-units/percentiles", test_percentiles);
    g_test_add_func("/tool-units/differences", test_differences);
    return g_test_run();
}
