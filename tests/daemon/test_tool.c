/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control tool with the daemon that runs, while a guest does something. */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/wait.h>

enum { EXPECT_MS = 20000, POLL_US = 20000 };

/* What a run of the tool has left. */
typedef struct Run {
    int status;
    char *output;
    char *errors;
} Run;

static void run_clear(Run *run)
{
    g_free(run->output);
    g_free(run->errors);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

/* The tool is in $(BUILD)/bin/, beside the daemon's program in $(BUILD)/. */
static char *tool_program(const Fixture *fixture)
{
    g_autofree char *daemon = fixture_program(fixture);
    g_autofree char *folder = g_path_get_dirname(daemon);

    return g_build_filename(folder, "bin", "xen-9pfs", NULL);
}

/* The words of a command line; the caller frees it. */
static char **make_argv(const Fixture *fixture, const char *command)
{
    g_autofree char *program = tool_program(fixture);
    g_autofree char *line = g_strdup_printf("'%s' --run-dir '%s' %s", program,
                                            standin_daemon_run_dir(fixture->daemon), command);
    char **argv;

    g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    return argv;
}

static Run run_tool(const Fixture *fixture, const char *command)
{
    g_auto(GStrv) argv = make_argv(fixture, command);
    Run run = {0};
    int status;

    g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &run.output,
                               &run.errors, &status, NULL));
    g_assert_true(WIFEXITED(status));
    run.status = WEXITSTATUS(status);
    return run;
}

/* Runs it until its output has the text: a worker counts a request when its reply is on the way. */
static void expect_output(const Fixture *fixture, const char *command, const char *text)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;

    for (;;) {
        g_auto(Run) run = run_tool(fixture, command);

        if (strstr(run.output, text) != NULL)
            return;
        if (g_get_monotonic_time() > end)
            g_error("%s does not print \"%s\" but: %s%s", command, text, run.output, run.errors);
        g_usleep(POLL_US);
    }
}

static void test_version(Fixture *fixture, const void *data)
{
    g_auto(Run) run = run_tool(fixture, "version");

    (void)data;
    g_assert_cmpint(run.status, ==, 0);
    g_assert_nonnull(strstr(run.output, "xen-9pfsd      " VERSION "\n"));
    g_assert_nonnull(strstr(run.output, "device kinds   xen_9pfs\n"));
}

static void test_no_devices(Fixture *fixture, const void *data)
{
    g_auto(Run) run = run_tool(fixture, "list");

    (void)data;
    g_assert_cmpstr(run.output, ==, "No devices.\n");
    g_assert_cmpint(run.status, ==, 0);
}

static JsonObject *first_object(JsonParser *parser, const char *json)
{
    JsonArray *array;

    g_assert_true(json_parser_load_from_data(parser, json, -1, NULL));
    array = json_node_get_array(json_parser_get_root(parser));
    g_assert_cmpuint(json_array_get_length(array), ==, 1);
    return json_array_get_object_element(array, 0);
}

static void test_list(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_auto(Run) run = {0};
    JsonObject *object;

    (void)data;
    check_serves(slot);
    run = run_tool(fixture, "list --json guest-1:share");
    g_assert_cmpstr(run.errors, ==, "");
    object = first_object(parser, run.output);
    g_assert_cmpstr(json_object_get_string_member(object, "device"), ==, "1.0");
    g_assert_cmpstr(json_object_get_string_member(object, "path"), ==, fixture->export);
    g_assert_cmpstr(json_object_get_string_member(object, "state"), ==, "connected");
    g_assert_cmpstr(json_object_get_string_member(object, "version"), ==, "9P2000.L");
    g_assert_cmpint(json_object_get_int_member(object, "worker"), ==, last_worker(fixture, slot));
    g_assert_cmpint(json_object_get_int_member(object, "mounts"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(object, "open_files"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(object, "since"), >, 1600000000);
    finish(fixture, slot);
}

/* What the guest has done can be seen everywhere. */
static void test_activity(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    check_serves(slot);
    g_assert_cmpint(frontend_call(slot->frontend, p9_twalk(7, 1, 9, "missing"), "*"), ==, ENOENT);
    expect_output(fixture, "stats", "  requests 6, errors 1, cancelled 0, flushes 0,");
    expect_output(fixture, "stats guest-1", "\nTwalk          2       1          0  ");
    expect_output(fixture, "metrics",
                  "\nxen_9pfs_operation_errors_total{device=\"1.0\",domain=\"guest-1\","
                  "tag=\"share\",operation=\"Twalk\"} 1\n");
    expect_output(fixture, "fids --open", "/hello\n");
    expect_output(fixture, "requests", "No request is in flight.\n");
    expect_output(fixture, "top --once --interval=0.1", "\n1.0     guest-1  share ");
    finish(fixture, slot);
}

/* Reads lines of a pipe until one has the text. */
static void expect_line(GDataInputStream *lines, const char *text)
{
    for (;;) {
        g_autofree char *line = g_data_input_stream_read_line(lines, NULL, NULL, NULL);

        if (line == NULL)
            g_error("no line has \"%s\"", text);
        if (strstr(line, text) != NULL)
            return;
    }
}

/* The trace begins at some time: walks to what is not there until it has. */
static void walk_until_told(Slot *slot, GSubprocess *tool)
{
    GInputStream *pipe = g_subprocess_get_stdout_pipe(tool);
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;

    while (!g_pollable_input_stream_is_readable(G_POLLABLE_INPUT_STREAM(pipe))) {
        g_assert_cmpint(frontend_call(slot->frontend, p9_twalk(7, 1, 9, "missing"), "*"), ==,
                        ENOENT);
        if (g_get_monotonic_time() > end)
            g_error("nothing is traced");
        g_usleep(POLL_US);
    }
}

/* A walk that fails is traced, with why; then the device goes, and so does the tool. */
static void test_trace(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    g_auto(GStrv) argv = make_argv(fixture, "trace --ops=walk 1.0");
    g_autoptr(GSubprocess) tool = NULL;
    g_autoptr(GDataInputStream) lines = NULL;

    (void)data;
    check_serves(slot);
    tool = g_subprocess_newv((const char *const *)argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE, NULL);
    g_assert_nonnull(tool);
    lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(tool));
    walk_until_told(slot, tool);
    expect_line(lines, "missing");
    expect_line(lines, "ENOENT");
    finish(fixture, slot);
    g_assert_true(g_subprocess_wait(tool, NULL, NULL));
    g_assert_cmpint(g_subprocess_get_exit_status(tool), ==, 1);
}

static void test_reload(Fixture *fixture, const void *data)
{
    g_autofree char *config = standin_daemon_config();
    g_auto(Run) good = {0};
    g_auto(Run) bad = {0};

    (void)data;
    g_assert_true(g_file_set_contents(config, "[defaults]\nreadonly=on\n", -1, NULL));
    good = run_tool(fixture, "reload");
    g_assert_cmpint(good.status, ==, 0);
    g_assert_true(g_file_set_contents(config, "[defaults]\nreadonly=perhaps\n", -1, NULL));
    bad = run_tool(fixture, "reload");
    g_assert_cmpint(bad.status, ==, 1);
    g_assert_nonnull(strstr(bad.errors, "readonly"));
    g_assert_nonnull(strstr(bad.errors, config));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/tool/version", test_version);
    FIXTURE_TEST("/tool/no-devices", test_no_devices);
    FIXTURE_TEST("/tool/list", test_list);
    FIXTURE_TEST("/tool/activity", test_activity);
    FIXTURE_TEST("/tool/trace", test_trace);
    FIXTURE_TEST("/tool/reload", test_reload);
    return g_test_run();
}
