/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of exports as text: which values each takes, and that the manual page has them all. */
#include <glib.h>
#include <string.h>

#include "protocol/export_keys.h"

static ExportOptions set_good(const char *name, const char *value)
{
    ExportOptions options = export_default_options;
    g_autofree char *right = NULL;
    const ExportKey *key = export_key_find(name);

    g_assert_nonnull(key);
    if (!export_key_set(key, value, &options, &right))
        g_error("%s=%s is refused: %s", name, value, right);
    g_assert_null(right);
    return options;
}

/* Checks that the value is refused with these words, and that nothing has changed. */
static void set_bad(const char *name, const char *value, const char *words)
{
    ExportOptions options;
    ExportOptions before;
    g_autofree char *right = NULL;

    memset(&options, 0x5a, sizeof(options));
    memset(&options.throttle, 0, sizeof(options.throttle));
    memcpy(&before, &options, sizeof(options));
    if (export_key_set(export_key_find(name), value, &options, &right))
        g_error("%s=%s is taken", name, value);
    g_assert_nonnull(right);
    if (!strstr(right, words))
        g_error("%s=%s: \"%s\" does not say \"%s\"", name, value, right, words);
    g_assert_true(memcmp(&before, &options, sizeof(options)) == 0);
}

static void test_switches(void)
{
    static const char *const on[] = {"on", "yes", "true", "1"};
    static const char *const off[] = {"off", "no", "false", "0"};
    static const char *const bad[] = {"", "On", "2", "maybe", "on ", "onn"};

    for (size_t i = 0; i < G_N_ELEMENTS(on); i++) {
        g_assert_true(set_good("readonly", on[i]).readonly);
        g_assert_false(set_good("readonly", off[i]).readonly);
        g_assert_true(set_good("auto-delete", on[i]).quota.auto_delete);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        set_bad("readonly", bad[i], "on or off");
}

static void test_modes(void)
{
    static const char *const bad[] = {"", "1000", "8", "0x1ff", "-1", "rw", "644 ", "+644"};

    g_assert_cmpuint(set_good("fmode", "0640").fmode, ==, 0640);
    g_assert_cmpuint(set_good("fmode", "777").fmode, ==, 0777);
    g_assert_cmpuint(set_good("fmode", "0").fmode, ==, 0);
    g_assert_cmpuint(set_good("dmode", "0750").dmode, ==, 0750);
    g_assert_cmpuint(set_good("dmode", "0750").fmode, ==, EXPORT_DEFAULT_FMODE);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        set_bad("fmode", bad[i], "octal permissions from 0 to 0777");
}

static void test_multidevs(void)
{
    g_assert_cmpint(set_good("multidevs", "remap").multidevs, ==, MULTIDEVS_REMAP);
    g_assert_cmpint(set_good("multidevs", "forbid").multidevs, ==, MULTIDEVS_FORBID);
    g_assert_cmpint(set_good("multidevs", "warn").multidevs, ==, MULTIDEVS_WARN);
    set_bad("multidevs", "Remap", "remap, forbid or warn");
    set_bad("multidevs", "", "remap, forbid or warn");
}

static void test_numbers(void)
{
    static const char *const bad[] = {"", "-1", "+1", "1.5", "1e3", "many", " 1", "1K"};

    g_assert_cmpuint(set_good("max-files", "0").quota.max_files, ==, 0);
    g_assert_cmpuint(set_good("max-files", "5000000000").quota.max_files, ==, 5000000000);
    g_assert_cmpuint(set_good("max-open-files", "4294967295").quota.max_open_files, ==, UINT32_MAX);
    g_assert_cmpuint(set_good("max-space", "3").quota.max_space, ==, 3 * 1024 * 1024);
    g_assert_cmpuint(set_good("max-space", "8796093022207").quota.max_space, ==,
                     UINT64_C(8796093022207) * 1024 * 1024);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        set_bad("max-files", bad[i], "a whole number");
        set_bad("max-space", bad[i], "a whole number");
        set_bad("max-open-files", bad[i], "a whole number");
    }
    set_bad("max-open-files", "4294967296", "a whole number");
    set_bad("max-files", "9223372036854775808", "a whole number");
    set_bad("max-space", "8796093022208", "a whole number");
}

/* Limits of a device have bounds: without any, or with nothing, it could not be served. */
static void test_limits(void)
{
    static const char *const bad[] = {"", "-1", "0", "15", "16777217", "many", "1K"};

    g_assert_cmpuint(set_good("max-fids", "16").limits.max_fids, ==, 16);
    g_assert_cmpuint(set_good("max-descriptors", "4096").limits.max_descriptors, ==, 4096);
    g_assert_cmpuint(set_good("max-request-memory", "100").limits.max_inflight, ==, 100 << 20);
    g_assert_cmpuint(set_good("max-threads", "1").limits.max_threads, ==, 1);
    g_assert_cmpuint(set_good("max-xattr-memory", "1").limits.max_xattr_bytes, ==, 1 << 20);
    g_assert_cmpuint(set_good("max-locks", "2").limits.max_lock_ranges, ==, 2);
    g_assert_cmpuint(set_good("max-waiting-locks", "0").limits.max_lock_waits, ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        set_bad("max-fids", bad[i], "a whole number from 16 to 16777216");
    set_bad("max-request-memory", "7", "a whole number from 8 to 65536");
    set_bad("max-threads", "0", "a whole number from 1 to 1024");
}

static void test_rates(void)
{
    static const char *const bad[] = {"", "K", "1k", "1KK", "-1", "1.5M", "8388608T", "1 M"};
    ExportOptions options;

    options = set_good("throttling.bps-total", "200M");
    g_assert_cmpuint(options.throttle.bytes_total.rate, ==, 200 * 1024 * 1024);
    g_assert_cmpuint(options.throttle.bytes_total.burst, ==, 0);
    g_assert_cmpuint(set_good("throttling.bps-read", "1K").throttle.bytes_read.rate, ==, 1024);
    g_assert_cmpuint(set_good("throttling.bps-write", "2G").throttle.bytes_write.rate, ==,
                     UINT64_C(2) << 30);
    g_assert_cmpuint(set_good("throttling.iops-total", "1T").throttle.ops_total.rate, ==,
                     UINT64_C(1) << 40);
    g_assert_cmpuint(set_good("throttling.iops-read", "7").throttle.ops_read.rate, ==, 7);
    g_assert_cmpuint(set_good("throttling.iops-write", "0").throttle.ops_write.rate, ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        set_bad("throttling.bps-total", bad[i], "K, M, G or T");
        set_bad("throttling.bps-total-max", bad[i], "K, M, G or T");
    }
}

/* A burst belongs to a rate: it needs one, and goes when another one comes. */
static void test_bursts(void)
{
    const ExportKey *burst = export_key_find("throttling.iops-write-max");
    const ExportKey *rate = export_key_find("throttling.iops-write");
    ExportOptions options = set_good("throttling.iops-write", "10");
    g_autofree char *right = NULL;

    g_assert_true(export_key_set(burst, "50", &options, &right));
    g_assert_cmpuint(options.throttle.ops_write.rate, ==, 10);
    g_assert_cmpuint(options.throttle.ops_write.burst, ==, 50);
    g_assert_true(export_key_set(rate, "20", &options, &right));
    g_assert_cmpuint(options.throttle.ops_write.burst, ==, 0);
    set_bad("throttling.iops-write-max", "5", "give throttling.iops-write, too");
    set_good("throttling.iops-write-max", "0");
}

static void check_range(const IdMap *map, unsigned i, uint32_t guest, uint32_t host, uint32_t count)
{
    g_assert_cmpuint(i, <, map->n_ranges);
    g_assert_cmpuint(map->ranges[i].guest, ==, guest);
    g_assert_cmpuint(map->ranges[i].host, ==, host);
    g_assert_cmpuint(map->ranges[i].count, ==, count);
}

static void test_ids(void)
{
    IdMap map = set_good("map-users", "0-65535:100000").users;

    g_assert_cmpuint(map.n_ranges, ==, 1);
    check_range(&map, 0, 0, 100000, 65536);
    g_assert_cmpuint(map.other_host, ==, 65534);
    g_assert_cmpuint(map.other_guest, ==, 65534);

    map = set_good("map-groups", " 1000:500 ; 10-10:10;*:99;77:*;").groups;
    g_assert_cmpuint(map.n_ranges, ==, 2);
    check_range(&map, 0, 1000, 500, 1);
    check_range(&map, 1, 10, 10, 1);
    g_assert_cmpuint(map.other_host, ==, 99);
    g_assert_cmpuint(map.other_guest, ==, 77);

    map = set_good("map-users", "0-4294967294:0").users;
    check_range(&map, 0, 0, 0, UINT32_MAX);
    map = set_good("map-users", "0-9:10;10-19:0;20:20;4294967294:4294967294").users;
    g_assert_cmpuint(map.n_ranges, ==, 4);
    map = set_good("map-users", " ; ").users;
    g_assert_cmpuint(map.n_ranges, ==, 0);
}

static void test_bad_ids(void)
{
    static const struct {
        const char *value;
        const char *words;
    } cases[] = {
        {"1000", "a list such as"},
        {"1000:", "a list such as"},
        {":1000", "a list such as"},
        {"10-5:0", "a list such as"},
        {"0-5", "a list such as"},
        {"-5:0", "a list such as"},
        {"0-:0", "a list such as"},
        {"a:b", "a list such as"},
        {"0:0:0", "a list such as"},
        {"0 :0", "a list such as"},
        {"0:0,1:1", "a list such as"},
        {"4294967295:0", "a list such as"},
        {"0:4294967295", "a list such as"},
        {"0-9:4294967290", "a list such as"},
        {"99999999999999999999:0", "a list such as"},
        {"0:0;*", "a list such as"},
        {"0:0;*:*", "a list such as"},
        {"0:0;*:1;*:2", "a list such as"},
        {"0:0;1:*;2:*", "a list such as"},
        {"0:0;1-2:*", "a list such as"},
        {"0-9:100;*:0", "not root's"},
        {"0-9:100;9:500", "overlap neither"},
        {"0-9:100;20-29:109", "overlap neither"},
        {"5:5;0-9:100", "overlap neither"},
        {"*:1000", "give a range, too"},
        {"0:0;1:1;2:2;3:3;4:4;5:5;6:6;7:7;8:8;9:9;10:10;11:11;12:12;13:13;14:14;15:15;16:16",
         "at most 16"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        set_bad("map-users", cases[i].value, cases[i].words);
}

/* The table itself: names differ, each option has a place of its own and a help. */
static void test_table(void)
{
    for (const ExportKey *key = export_keys; key->name; key++) {
        g_assert_cmpint(key->help[0], !=, '\0');
        g_assert_cmpuint(key->field, <, sizeof(ExportOptions));
        g_assert_true(export_key_find(key->name) == key);
        for (const ExportKey *other = export_keys; other != key; other++) {
            bool pair = key->kind == EXPORT_KEY_BURST && other->kind == EXPORT_KEY_RATE;

            g_assert_true(pair || other->field != key->field);
        }
    }
    g_assert_null(export_key_find("security_model"));
    g_assert_null(export_key_find(""));
}

/* Every key begins an item of the manual page, and no item is about anything else. */
static void test_manual(void)
{
    g_autofree char *page = NULL;
    g_auto(GStrv) marks = NULL;
    unsigned n_keys = 0, n_documented = 0;

    g_assert_true(g_file_get_contents("docs/xen-9pfs.conf.5", &page, NULL, NULL));
    for (const ExportKey *key = export_keys; key->name; key++) {
        g_autofree char *mark = g_strdup_printf(" Cm %s Ns = Ns ", key->name);

        if (!strstr(page, mark))
            g_error("docs/xen-9pfs.conf.5 does not say what %s is", key->name);
        n_keys++;
    }
    marks = g_strsplit(page, " Ns = Ns ", -1);
    n_documented = g_strv_length(marks) - 1;
    g_assert_nonnull(strstr(page, " Cm control-group Ns = Ns ")); /* the daemon's own */
    g_assert_cmpuint(n_documented, ==, n_keys + 1);
}

/* What is formatted is taken again, and means the same. */
static void expect_same(const ExportOptions *options)
{
    ExportOptions again = export_default_options;

    for (const ExportKey *key = export_keys; key->name; key++) {
        g_autofree char *text = export_key_format(key, options);
        g_autofree char *second = NULL;
        g_autofree char *right = NULL;

        if (!export_key_set(key, text, &again, &right))
            g_error("%s=%s is refused: %s", key->name, text, right);
        second = export_key_format(key, &again);
        g_assert_cmpstr(text, ==, second);
    }
    again.model = options->model;
    g_assert_true(memcmp(&again, options, sizeof(again)) == 0);
}

static void test_format(void)
{
    static const char *const values[][2] = {
        {"readonly", "on"},
        {"fmode", "0640"},
        {"dmode", "0"},
        {"multidevs", "forbid"},
        {"map-users", "0-65535:100000;70000:500;*:7;9:*"},
        {"map-groups", "1:1"},
        {"throttling.bps-total", "3M"},
        {"throttling.bps-total-max", "7G"},
        {"throttling.iops-write", "11"},
        {"max-files", "9223372036854775807"},
        {"max-space", "5"},
        {"max-open-files", "4294967295"},
        {"auto-delete", "1"},
        {"max-fids", "16777216"},
        {"max-request-memory", "8"},
        {"max-spare-threads", "0"},
    };
    ExportOptions options = export_default_options;

    expect_same(&options);
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *right = NULL;

        g_assert_true(
            export_key_set(export_key_find(values[i][0]), values[i][1], &options, &right));
        expect_same(&options);
    }
}

static void test_format_text(void)
{
    ExportOptions options = set_good("map-users", " 0-9:100 ; 20:30 ");
    g_autofree char *ids = export_ids_format(&options.users);
    g_autofree char *none = export_ids_format(&options.groups);
    g_autofree char *mode = export_key_format(export_key_find("fmode"), &options);
    g_autofree char *devices = export_key_format(export_key_find("multidevs"), &options);

    g_assert_cmpstr(ids, ==, "0-9:100;20:30;*:65534;65534:*");
    g_assert_cmpstr(none, ==, "");
    g_assert_cmpstr(mode, ==, "0600");
    g_assert_cmpstr(devices, ==, "remap");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export-keys/switches", test_switches);
    g_test_add_func("/export-keys/modes", test_modes);
    g_test_add_func("/export-keys/multidevs", test_multidevs);
    g_test_add_func("/export-keys/numbers", test_numbers);
    g_test_add_func("/export-keys/limits", test_limits);
    g_test_add_func("/export-keys/rates", test_rates);
    g_test_add_func("/export-keys/bursts", test_bursts);
    g_test_add_func("/export-keys/ids", test_ids);
    g_test_add_func("/export-keys/bad-ids", test_bad_ids);
    g_test_add_func("/export-keys/format", test_format);
    g_test_add_func("/export-keys/format-text", test_format_text);
    g_test_add_func("/export-keys/table", test_table);
    g_test_add_func("/export-keys/manual", test_manual);
    return g_test_run();
}
