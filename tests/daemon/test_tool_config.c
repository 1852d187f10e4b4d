/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen-9pfs config: what is in force, where it is from, and that the output means the same again. */
#include <string.h>

#include "tests/daemon/command.h"
#include "tests/daemon/fixture.h"

static const char text[] = "# of a test\n"
                           "[defaults]\n"
                           "fmode=0640\n"
                           "throttling.bps-total=1M\n"
                           "throttling.bps-total-max=4M\n"
                           "\n"
                           "[tag share]\n"
                           "throttling.bps-total=2M\n"
                           "readonly=on\n"
                           "[domain other*]\n"
                           "map-users=0-9:100\n";

static void set_up(Fixture *f, const void *unused)
{
    g_autofree char *config = NULL;

    fixture_set_up(f, unused);
    config = standin_daemon_config();
    g_assert_true(g_file_set_contents(config, text, -1, NULL));
}

static CommandResult *run_well(const char *const *arguments)
{
    CommandResult *result = command_run(arguments);

    if (result->status != 0)
        g_error("status %d\n%s%s", result->status, result->out, result->err);
    return result;
}

#define RUN_WELL(...) run_well((const char *const[]){__VA_ARGS__, NULL})

/* The option's line and the comment in front of it. `file` stands for the one of the test. */
static void expect_value(const CommandResult *result, const char *origin, const char *line)
{
    g_autofree char *config = standin_daemon_config();
    g_auto(GStrv) parts = g_strsplit(origin, "FILE", -1);
    g_autofree char *real = g_strjoinv(config, parts);
    g_autofree char *both = g_strdup_printf("\n# %s\n%s\n", real, line);

    if (strstr(result->out, both) == NULL)
        g_error("not in the output:%s\n%s", both, result->out);
}

/* Puts the output in the place of the file. */
static void use_output(const CommandResult *result)
{
    g_autofree char *config = standin_daemon_config();

    g_assert_true(g_file_set_contents(config, result->out, -1, NULL));
    expect_result(COMMAND_RUN("config", "--check"), 0, "no errors");
}

/* The lines that are no comments. */
static char *strip_comments(const char *out)
{
    g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
    GString *kept = g_string_new(NULL);

    for (char **line = lines; *line != NULL; line++) {
        if (**line != '#' && **line != '\0')
            g_string_append_printf(kept, "%s\n", *line);
    }
    return g_string_free(kept, FALSE);
}

static void expect_same_again(const CommandResult *result, const char *const *arguments)
{
    g_autoptr(CommandResult) again = NULL;
    g_autofree char *before = strip_comments(result->out);
    g_autofree char *after = NULL;

    use_output(result);
    again = run_well(arguments);
    after = strip_comments(again->out);
    g_assert_cmpstr(before, ==, after);
}

static void test_all(Fixture *f, const void *unused)
{
    g_autoptr(CommandResult) result = RUN_WELL("config", "--dump");

    (void)f;
    (void)unused;
    expect_value(result, "FILE:3 [defaults]", "fmode=0640");
    expect_value(result, "FILE:5 [defaults]", "throttling.bps-total-max=4194304");
    expect_value(result, "default", "readonly=off");
    expect_value(result, "FILE:9", "readonly=on");
    expect_value(result, "FILE:11", "map-users=0-9:100");
    g_assert_nonnull(strstr(result->out, "\n[defaults]\n"));
    g_assert_nonnull(strstr(result->out, "\n[tag share]\n"));
    g_assert_nonnull(strstr(result->out, "\n[domain other*]\n"));
    expect_same_again(result, (const char *const[]){"config", "--dump", NULL});
}

static void test_device(Fixture *f, const void *unused)
{
    const char *const again[] = {"config", "--dump", "1.0", NULL};
    g_autoptr(CommandResult) result = NULL;

    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "share", "--max-files=5",
                              "--throttling.iops-read=9"),
                  0, "1.0");
    result = run_well(again);
    expect_value(result, "FILE:3 [defaults]", "fmode=0640");
    expect_value(result, "FILE:8 [tag share]", "throttling.bps-total=2097152");
    expect_value(result, "FILE:8 [tag share]", "throttling.bps-total-max=0"); /* taken away */
    expect_value(result, "FILE:9 [tag share]", "readonly=on");
    expect_value(result, "backend node max-files", "max-files=5");
    expect_value(result, "backend node throttling-iops-read", "throttling.iops-read=9");
    expect_value(result, "default", "max-space=0"); /* its node says nothing */
    expect_value(result, "default", "map-users=");
    expect_same_again(result, again);
    expect_result(COMMAND_RUN("detach", "1", "share"), 0, "1.0");
}

static void test_bad_node(Fixture *f, const void *unused)
{
    (void)unused;
    expect_result(COMMAND_RUN("attach", "1", f->export, "-t", "share"), 0, "1.0");
    fixture_write(f, "/local/domain/0/backend/xen_9pfs/1/0/fmode", "rw");
    expect_result(COMMAND_RUN("config", "--dump", "1.0"), 1, "fmode is \"rw\"");
    expect_result(COMMAND_RUN("config", "--dump", "1.7"), 1, "1.7");
    expect_result(COMMAND_RUN("detach", "1", "share"), 0, "1.0");
}

static void test_check(Fixture *f, const void *unused)
{
    g_autofree char *bad = g_build_filename(standin_dir(), "bad.conf", NULL);

    (void)f;
    (void)unused;
    expect_result(COMMAND_RUN("config", "--check"), 0, "no errors");
    g_assert_true(g_file_set_contents(bad, "[defaults]\nfmode=rw\n", -1, NULL));
    expect_result(COMMAND_RUN("config", "--check", bad), 3, "[defaults]: fmode is \"rw\"");
    expect_result(COMMAND_RUN("config", "--check", "/no/such"), 3, "cannot open /no/such");
    expect_result(COMMAND_RUN("config", "--dump", "--config=/no/such"), 1, "cannot open /no/such");
    expect_result(COMMAND_RUN("config"), 2, "either --dump or --check");
    expect_result(COMMAND_RUN("config", "--dump", "--check"), 2, "either --dump or --check");
    expect_result(COMMAND_RUN("config", "--check", "--config=a", "b"), 2, "name the file once");
}

static void test_json(Fixture *f, const void *unused)
{
    (void)f;
    (void)unused;
    expect_result(COMMAND_RUN("config", "--dump", "--json"), 0, "\"origin\" : \"default\"");
    expect_result(COMMAND_RUN("config", "--check", "--json"), 0, "\"good\" : true");
}

#define CONFIG_TEST(name, function) \
    g_test_add("/tool-config/" name, Fixture, NULL, set_up, function, fixture_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CONFIG_TEST("all", test_all);
    CONFIG_TEST("device", test_device);
    CONFIG_TEST("bad-node", test_bad_node);
    CONFIG_TEST("check", test_check);
    CONFIG_TEST("json", test_json);
    return g_test_run();
}
