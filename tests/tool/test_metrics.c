/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sub-command metrics: values, well-formed text whatever workers say, and the file. */
#include "tests/tool/server.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

/* A sample has the name of the metric whose TYPE it stands behind. */
static void check_sample(const char *line, const char *family)
{
    static const char pattern[] =
        "^[a-z_0-9]+(\\{[a-z_]+=\"([^\"\\\\]|\\\\[\"\\\\n])*\"(,[a-z_]+=\"("
        "[^\"\\\\]|\\\\[\"\\\\n])*\")*\\})?"
        " [0-9]+(\\.[0-9]+)?$";

    g_assert_true(g_str_has_prefix(line, family));
    g_assert_true(g_regex_match_simple(pattern, line, 0, 0));
}

/* The part of a sample in front of its value. */
static char *series_of(const char *line)
{
    return g_strndup(line, (gsize)(strrchr(line, ' ') - line));
}

/* The text is what Prometheus takes: each metric once with its HELP and TYPE in front of its samples,
 * no sample twice. */
static void check_text(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *family = NULL;

    for (size_t i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++) {
        if (g_str_has_prefix(lines[i], "# TYPE ")) {
            g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);

            g_assert_true(g_hash_table_add(seen, g_strdup(lines[i])));
            g_free(family);
            family = g_strdup(words[2]);
        } else if (lines[i][0] != '#') {
            check_sample(lines[i], family);
            if (!g_hash_table_add(seen, series_of(lines[i])))
                g_error("twice: %s", lines[i]);
        }
    }
}

static void expect_line(const char *text, const char *line)
{
    g_autofree char *whole = g_strconcat("\n", line, "\n", NULL);

    if (strstr(text, whole) == NULL)
        g_error("not there: %s\n%s", line, text);
}

#define SHARE "device=\"3.0\",domain=\"web\",tag=\"share\""

static void test_values(void)
{
    static const char *const expected[] = {
        "# TYPE xen_9pfs_requests_total counter",
        "xen_9pfs_requests_total{" SHARE "} 1110",
        "xen_9pfs_uptime_seconds{" SHARE "} 273840",
        "xen_9pfs_device_up{" SHARE "} 1",
        "xen_9pfs_device_up{device=\"3.1\",domain=\"web\",tag=\"logs\"} 0",
        "xen_9pfs_device_info{" SHARE ",domid=\"3\",path=\"/srv/share\","
        "security_model=\"mapped-xattr\",state=\"connected\",dialect=\"9P2000.L\"} 1",
        "# TYPE xen_9pfs_operation_duration_seconds histogram",
        "xen_9pfs_operation_duration_seconds_bucket{" SHARE
        ",operation=\"Tread\",le=\"0.00002\"} 500",
        "xen_9pfs_operation_duration_seconds_bucket{" SHARE
        ",operation=\"Tread\",le=\"0.001\"} 995",
        "xen_9pfs_operation_duration_seconds_bucket{" SHARE ",operation=\"Tread\",le=\"1\"} 999",
        "xen_9pfs_operation_duration_seconds_bucket{" SHARE
        ",operation=\"Tread\",le=\"+Inf\"} 1000",
        "xen_9pfs_operation_duration_seconds_sum{" SHARE ",operation=\"Tread\"} 0.9",
        "xen_9pfs_operation_duration_seconds_count{" SHARE ",operation=\"Tread\"} 1000",
        "xen_9pfs_ring_stalled_seconds_total{" SHARE ",ring=\"0\"} 0.0015",
    };
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    run = tool_run(server, "metrics");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_true(g_str_has_prefix(run.output, "# HELP xen_9pfs_up "));
    expect_line(run.output, "xen_9pfs_up 1");
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        expect_line(run.output, expected[i]);
    check_text(run.output);
    server_stop(server);
}

static void test_openmetrics(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    run = tool_run(server, "metrics --openmetrics");
    expect_line(run.output, "# TYPE xen_9pfs_sent_bytes counter");
    expect_line(run.output, "# UNIT xen_9pfs_sent_bytes bytes");
    expect_line(run.output, "xen_9pfs_sent_bytes_total{" SHARE "} 5368709120");
    expect_line(run.output, "xen_9pfs_operation_duration_seconds_bucket{" SHARE
                            ",operation=\"Tread\",le=\"1.0\"} 999");
    g_assert_true(g_str_has_suffix(run.output, "\n# EOF\n"));
    check_text(run.output);
    server_stop(server);
}

/* Names of devices are the administrator's, operations a worker's: neither breaks the text. */
static void test_hostile(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, false);
    server_answer(server, "devices",
                  "ok\nrecord=device\tdevice=3.0\tdomain=web\tdomid=3\tdevid=0\tworker=1\t"
                  "tag=a\"b\\\\c\\nd\tpath=/\\x1b\\xff\tstate=connected\nend\n");
    server_answer(server, "stats 3.0",
                  "ok\n"
                  "record=session\trequests=1\tmsize=x\tversion=\"}\\n\n"
                  "record=session\trequests=2\n"
                  "record=buckets\tbounds_us=10,20,30\n"
                  "record=operation\tname=Tread\tcount=1\terrors=1\tbuckets=1,0,0\n"
                  "record=operation\tname=Tread\tcount=1\terrors=2\tbuckets=1,0,0\n"
                  "record=operation\tname=\"} 1\\nevil 1\\n\tcount=1\terrors=3\tbuckets=1,0,0\n"
                  "record=operation\tname=\tcount=1\terrors=4\tbuckets=1,0,0\n"
                  "record=operation\tname=T<unknown>\tcount=1\terrors=5\tbuckets=1,0,0\n"
                  "record=ring\tindex=0\trequests=1\n"
                  "record=ring\tindex=0\trequests=2\n"
                  "end\n");
    run = tool_run(server, "metrics");
    g_assert_cmpint(run.status, ==, 0);
    check_text(run.output);
    g_assert_null(strstr(run.output, "\nevil"));
    expect_line(run.output, "xen_9pfs_requests_total{device=\"3.0\",domain=\"web\","
                            "tag=\"a\\\"b\\\\c\\\\x0ad\"} 1");
    g_assert_nonnull(strstr(run.output, "operation=\"T<unknown>\"} 5\n"));
    g_assert_null(strstr(run.output, "msize"));
    server_stop(server);
}

/* A worker that says nothing is down, and all others are there. */
static void test_silent_worker(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = {0};

    server_add_devices(server, true);
    run = tool_run(server, "metrics --timeout=5");
    g_assert_cmpint(run.status, ==, 0);
    expect_line(run.output, "xen_9pfs_device_up{device=\"12.0\",domain=\"db\",tag=\"data\"} 0");
    expect_line(run.output, "xen_9pfs_device_up{" SHARE "} 1");
    server_stop(server);
}

/* So is a daemon that does not run. */
static void test_no_daemon(void)
{
    Server *server = server_start();
    g_auto(ToolRun) run = tool_run(server, "metrics");

    g_assert_cmpint(run.status, ==, 1);
    g_assert_true(g_str_has_suffix(run.output, "\nxen_9pfs_up 0\n"));
    check_text(run.output);
    server_stop(server);
}

/* The file changes as a whole, may be read by others, and nothing is left beside it. */
static void test_file(void)
{
    Server *server = server_start();
    g_autofree char *folder = g_dir_make_tmp("tool-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "xen-9pfs.prom", NULL);
    g_autofree char *command = g_strdup_printf("metrics --output=%s", file);
    g_autofree char *elsewhere = g_strdup_printf("metrics --output=%s/none/x.prom", folder);
    g_autofree char *text = NULL;
    g_auto(ToolRun) run = {0};
    g_auto(ToolRun) failed = {0};
    GStatBuf before;
    GStatBuf after;

    server_add_devices(server, false);
    g_assert_true(g_file_set_contents(file, "old", -1, NULL));
    g_assert_no_errno(g_stat(file, &before));
    run = tool_run(server, command);
    g_assert_cmpint(run.status, ==, 0);
    g_assert_cmpstr(run.output, ==, "");
    g_assert_no_errno(g_stat(file, &after));
    g_assert_true(before.st_ino != after.st_ino);
    g_assert_cmpint(after.st_mode & 0777, ==, 0644);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    check_text(text);
    failed = tool_run(server, elsewhere);
    g_assert_cmpint(failed.status, ==, 1);
    g_assert_nonnull(strstr(failed.errors, "/none/x.prom"));
    g_assert_no_errno(g_unlink(file));
    g_assert_no_errno(g_rmdir(folder));
    server_stop(server);
}

/* The one that is installed, or the one that tests/setup has put aside for this work tree. */
static char *find_promtool(void)
{
    g_autofree char *test = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(test);
    g_autofree char *own = g_build_filename(folder, "..", "..", "..", ".cache", "promtool", NULL);

    if (g_file_test(own, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&own);
    return g_find_program_in_path("promtool");
}

/* Prometheus's own check, which also has opinions on names. */
static void test_promtool(void)
{
    g_autofree char *promtool = find_promtool();
    g_autofree char *program = tool_program();
    g_autofree char *command = NULL;
    g_autofree char *output = NULL;
    Server *server = server_start();
    const char *argv[] = {"sh", "-c", NULL, NULL};
    int status = -1;

    server_add_devices(server, true);
    command = g_strdup_printf("%s --run-dir=%s --timeout=5 metrics | %s check metrics 2>&1",
                              program, server_run_dir(server), promtool);
    argv[2] = command;
    if (promtool == NULL) {
        g_test_skip("there is no promtool");
    } else {
        g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                                   &output, NULL, &status, NULL));
        g_assert_cmpstr(output, ==, "");
        g_assert_cmpint(status, ==, 0);
    }
    server_stop(server);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool-metrics/values", test_values);
    g_test_add_func("/tool-metrics/openmetrics", test_openmetrics);
    g_test_add_func("/tool-metrics/hostile", test_hostile);
    g_test_add_func("/tool-metrics/silent-worker", test_silent_worker);
    g_test_add_func("/tool-metrics/no-daemon", test_no_daemon);
    g_test_add_func("/tool-metrics/file", test_file);
    g_test_add_func("/tool-metrics/promtool", test_promtool);
    return g_test_run();
}
