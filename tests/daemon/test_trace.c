/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text trace: what it says, whom it shows what, and that nobody waits for it. */
#include "tests/daemon/control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ROOT_FID = 1, TAG = 7 };

/* A connection whose request has been accepted: what happens from now on is traced. */
static int start_trace(const Fixture *fixture, const char *request)
{
    int fd = control_connect(fixture);
    g_autofree char *line = NULL;

    control_send(fd, request, strlen(request));
    control_send(fd, "\n", 1);
    line = control_read_line(fd);
    g_assert_cmpstr(line, ==, "ok");
    return fd;
}

static char *field(const char *record, const char *name)
{
    char *value = control_field(record, name);

    if (!value)
        g_error("no %s in \"%s\"", name, record);
    return value;
}

/* The next line must be such an event, about such a message unless that is NULL. */
static char *expect_event(int fd, const char *event, const char *type)
{
    char *line = control_read_line(fd);
    g_autofree char *kind = NULL;
    g_autofree char *found = NULL;

    if (!line)
        g_error("the trace has ended before %s %s", event, type);
    kind = field(line, "record");
    found = field(line, "event");
    if (strcmp(kind, "trace") != 0 || strcmp(found, event) != 0)
        g_error("\"%s\", not %s %s", line, event, type);
    g_assert_cmpuint(control_number(line, "time_us"), >, 0);
    if (type) {
        g_autofree char *name = field(line, "type");

        g_assert_cmpstr(name, ==, type);
    }
    return line;
}

static void expect_text(int fd, const char *event, const char *type, const char *text)
{
    g_autofree char *line = expect_event(fd, event, type);
    g_autofree char *found = field(line, "text");

    if (!g_str_has_prefix(found, text))
        g_error("\"%s\", not \"%s\"", found, text);
}

static void pass_event(int fd, const char *event, const char *type)
{
    g_free(expect_event(fd, event, type));
}

static int call(Slot *slot, GByteArray *request)
{
    return frontend_call(slot->frontend, request, "*");
}

/* A conversation of which every line is known. */
static void test_conversation(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0");

    (void)data;
    check_serves(slot);
    expect_text(fd, "request", "Tversion", "Tversion tag=65535 msize=4096 version=\"9P2000.L\"");
    expect_text(fd, "version", "Tversion", "a session begins: 9P2000.L msize=4096");
    expect_text(fd, "reply", "Rversion", "Rversion tag=65535 msize=4096 version=\"9P2000.L\" (");
    expect_text(fd, "request", "Tattach", "Tattach tag=");
    expect_text(fd, "reply", "Rattach", "Rattach tag=");
    expect_text(fd, "request", "Twalk", "Twalk tag=7 fid=1 \"/\" newfid=2 names=\"hello\"");
    pass_event(fd, "reply", "Rwalk");
    expect_text(fd, "request", "Tlopen", "Tlopen tag=7 fid=2 \"/hello\" flags=O_RDONLY");
    pass_event(fd, "reply", "Rlopen");
    expect_text(fd, "request", "Tread", "Tread tag=7 fid=2 \"/hello\" offset=0 count=1024");
    expect_text(fd, "reply", "Rread", "Rread tag=7 count=5 (");
    g_assert_cmpint(call(slot, p9_twalk(TAG, ROOT_FID, 9, "none")), ==, ENOENT);
    pass_event(fd, "request", "Twalk");
    expect_text(fd, "rerror", "Twalk",
                "Twalk tag=7 fid=1 \"/\" newfid=9 names=\"none\" failed: ENOENT (No such file or "
                "directory)");
    expect_text(fd, "reply", "Rlerror", "Rlerror tag=7 ENOENT (");
    finish(fixture, slot);
    close(fd);
}

/* ---- Filters ---- */

static void read_hello(Slot *slot)
{
    check_serves(slot);
    g_assert_cmpint(call(slot, p9_twalk(TAG, ROOT_FID, 9, "none")), ==, ENOENT);
}

/* An event, and the message that it is about; the last of a list is {NULL, NULL}. */
typedef struct Expected {
    const char *event, *type;
} Expected;

/* What read_hello() shows to such a tracer: these, and nothing else. */
static void expect_filtered(Fixture *fixture, const char *request, const Expected *expected)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, request);

    read_hello(slot);
    for (; expected->event; expected++)
        pass_event(fd, expected->event, expected->type);
    finish(fixture, slot);
    g_assert_null(control_read_line(fd));
    close(fd);
}

static void test_filter_ops(Fixture *fixture, const void *data)
{
    static const Expected expected[] = {{"request", "Tlopen"},
                                        {"reply", "Rlopen"},
                                        {"request", "Tread"},
                                        {"reply", "Rread"},
                                        {NULL, NULL}};

    (void)data;
    expect_filtered(fixture, "trace 1.0 ops=Tread,Tlopen", expected);
}

/* Also messages that make the fid, or name it as their second one. */
static void test_filter_fid(Fixture *fixture, const void *data)
{
    static const Expected expected[] = {
        {"request", "Twalk"}, {"rerror", "Twalk"}, {"reply", "Rlerror"}, {NULL, NULL}};

    (void)data;
    expect_filtered(fixture, "trace 1.0 fid=9", expected);
}

/* What a message names counts, and what its fid is. */
static void test_filter_path(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0 path=/h*o");

    (void)data;
    read_hello(slot);
    expect_text(fd, "request", "Twalk", "Twalk tag=7 fid=1 \"/\" newfid=2 names=\"hello\"");
    pass_event(fd, "reply", "Rwalk");
    pass_event(fd, "request", "Tlopen");
    pass_event(fd, "reply", "Rlopen");
    pass_event(fd, "request", "Tread");
    pass_event(fd, "reply", "Rread");
    finish(fixture, slot);
    g_assert_null(control_read_line(fd));
    close(fd);
}

static void test_filter_errors(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0 errors=1 path=/n\\x6fne");
    g_autofree char *line = NULL;
    g_autofree char *error = NULL;
    g_autofree char *path = NULL;

    (void)data;
    read_hello(slot);
    g_assert_cmpint(call(slot, p9_tread(TAG, ROOT_FID, 0, 10)), !=, 0);
    finish(fixture, slot);
    line = expect_event(fd, "rerror", "Twalk");
    error = field(line, "error");
    path = field(line, "path");
    g_assert_cmpstr(error, ==, "ENOENT");
    g_assert_cmpstr(path, ==, "/none");
    g_assert_null(control_read_line(fd));
    close(fd);
}

static void test_bad_arguments(Fixture *fixture, const void *data)
{
    static const struct {
        const char *arguments;
        const char *error;
    } cases[] = {
        {"ops=", "ops: names of messages"},
        {"ops=Tread,", "ops: names of messages"},
        {"ops=Rread", "ops: names of messages"},
        {"fid=", "fid: a number"},
        {"fid=-1", "fid: a number"},
        {"fid=4294967296", "fid: a number"},
        {"fid=1x", "fid: a number"},
        {"errors=yes", "errors: 0 or 1"},
        {"path=/ ops=x", "ops: names of messages"},
        {"path", "the arguments are ops=, fid=, path= and errors="},
        {"something=else", "the arguments are ops=, fid=, path= and errors="},
    };
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *request = g_strdup_printf("trace 1.0 %s", cases[i].arguments);

        control_expect_error(fixture, request, cases[i].error);
    }
    finish(fixture, slot);
}

/* ---- Names ---- */

/* What a guest sends cannot end a field, a line or a quotation. */
static void test_escaping(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0 ops=Tmkdir");
    g_autofree char *line = NULL;
    g_autofree char *name = NULL;
    g_autofree char *text = NULL;

    (void)data;
    check_serves(slot);
    g_assert_cmpint(call(slot, p9_tmkdir(TAG, ROOT_FID, "a\n\t\\\"b\x1b\xc3\xa4\xff", 0755, 0)), ==,
                    0);
    line = expect_event(fd, "request", "Tmkdir");
    name = field(line, "name");
    text = field(line, "text");
    g_assert_cmpstr(name, ==, "a\\n\\t\\\\\"b\\x1b\xc3\xa4\\xff");
    g_assert_nonnull(
        strstr(text, "name=\"a\\\\n\\\\t\\\\\\\\\\\\\"b\\\\x1b\xc3\xa4\\\\xff\" mode=0755 gid=0"));
    finish(fixture, slot);
    close(fd);
}

/* ---- Tracers that come and go ---- */

static void test_state(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0");

    (void)data;
    finish(fixture, slot);
    expect_text(fd, "state", NULL, "the device was connected and is closing");
    g_assert_null(control_read_line(fd));
    close(fd);
}

/* A worker that is asked by many at once, which may have hung up meanwhile, gives some no answer. */
static void await_fifth_tracer(const Fixture *fixture)
{
    gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    for (;;) {
        int fd = control_connect(fixture);
        g_autofree char *line = NULL;

        control_send(fd, "trace 1.0\n", 10);
        line = control_read_line(fd);
        close(fd);
        if (g_strcmp0(line, "ok") == 0)
            return;
        if (line)
            g_assert_cmpstr(line, ==, "error there are four tracers already");
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* There are four at a time; one that hangs up makes room. */
static void test_four(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);
    int fds[4];

    (void)data;
    for (unsigned i = 0; i < 4; i++)
        fds[i] = start_trace(fixture, "trace 1.0");
    control_expect_error(fixture, "trace 1.0", "there are four tracers already");
    check_serves(slot);
    for (unsigned i = 0; i < 4; i++) {
        pass_event(fds[i], "request", "Tversion");
        pass_event(fds[i], "version", "Tversion");
    }
    close(fds[2]);
    await_fifth_tracer(fixture);
    close(fds[0]);
    close(fds[1]);
    close(fds[3]);
    check_serves(slot);
    finish(fixture, slot);
}

/* Reads until the trace has had `n` lines, those that were lost included, of which there are some. */
static void expect_lines(int fd, uint64_t n)
{
    uint64_t n_lost = 0;

    for (uint64_t found = 0; found < n;) {
        g_autofree char *line = control_read_line(fd);
        bool lost;

        g_assert_nonnull(line);
        lost = g_str_has_prefix(line, "record=lost\t");
        found += lost ? control_number(line, "count") : 1;
        n_lost += lost;
        g_assert_cmpuint(found, <=, n);
    }
    g_assert_cmpuint(n_lost, >, 0);
}

/* A tracer that does not read loses lines, and is told how many; the guest notices nothing. */
static void test_not_reading(Fixture *fixture, const void *data)
{
    enum { N_READS = 20000 };
    Slot *slot = connected_slot(fixture, 1, 0);
    int fd = start_trace(fixture, "trace 1.0 ops=Tread");

    (void)data;
    slot_open_file(slot, "hello");
    for (unsigned i = 0; i < N_READS; i++)
        slot_read_file(slot, "hello");
    expect_lines(fd, 2 * N_READS);
    slot_read_file(slot, "hello");
    pass_event(fd, "request", "Tread");
    pass_event(fd, "reply", "Rread");
    close(fd);
    finish(fixture, slot);
}

/* Hanging up at every moment is no trouble to anybody. */
static void test_hang_up(Fixture *fixture, const void *data)
{
    Slot *slot = connected_slot(fixture, 1, 0);

    (void)data;
    slot_open_file(slot, "hello");
    for (unsigned i = 0; i < 100; i++) {
        int fd = control_connect(fixture);

        control_send(fd, "trace 1.0\n", 10);
        if (i % 3 == 0)
            slot_read_file(slot, "hello");
        close(fd);
        slot_read_file(slot, "hello");
    }
    await_fifth_tracer(fixture);
    finish(fixture, slot);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/trace/conversation", test_conversation);
    FIXTURE_TEST("/trace/filter-ops", test_filter_ops);
    FIXTURE_TEST("/trace/filter-fid", test_filter_fid);
    FIXTURE_TEST("/trace/filter-path", test_filter_path);
    FIXTURE_TEST("/trace/filter-errors", test_filter_errors);
    FIXTURE_TEST("/trace/bad-arguments", test_bad_arguments);
    FIXTURE_TEST("/trace/escaping", test_escaping);
    FIXTURE_TEST("/trace/state", test_state);
    FIXTURE_TEST("/trace/four", test_four);
    FIXTURE_TEST("/trace/not-reading", test_not_reading);
    FIXTURE_TEST("/trace/hang-up", test_hang_up);
    return g_test_run();
}
