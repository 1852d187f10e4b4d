/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Suite: running and recording cases; see suite.h. The short forms of steps are in steps.c. */
#include "tests/posix/suite.h"

#include <ctype.h>
#include <stdlib.h>

#include "tests/posix/differences.h"
#include "tests/posix/steps.h"

Driver *driver;

const char suite_usage[] =
    "  --tap                 say ok or not ok for each case, as TAP (this is what happens anyway)\n"
    "  --quiet               show failures and a summary only\n"
    "  --representative      run the cases that together use every operation\n"
    "  --only NAME           run one group or one case\n"
    "  --transcript FILE     write every step and its result there\n"
    "  --differences FILE    known differences: these steps may fail ...\n"
    "  --as TAG,...          ... in a run that has these tags\n";

static struct {
    Case *cases;
    const SuiteOptions *options;
    Difference *differences;
    char name[128]; /* of the case, with its group */
    const User *user;
    unsigned n_cases;        /* in all runs */
    unsigned n_steps;        /* in this run */
    unsigned n_forced;       /* of these, what failed as the list says */
    unsigned n_failed_steps; /* of this case */
} suite;

/*
 * Cases, in the order of group and name
 */

static void name_case(const Case *one, char name[128])
{
    const char *base = strrchr(one->file, '/');

    base = base ? base + 1 : one->file;
    snprintf(name, 128, "%.*s/%s", (int)strcspn(base, "."), base, one->name);
}

static int compare_cases(const Case *a, const Case *b)
{
    char one[128], other[128];

    name_case(a, one);
    name_case(b, other);
    return strcmp(one, other);
}

void suite_add_case(Case *one)
{
    Case **place = &suite.cases;

    while (*place && compare_cases(*place, one) < 0)
        place = &(*place)->next;
    one->next = *place;
    *place = one;
}

/* What the driver lacks for a case, or NULL. */
static const char *why_not(const Case *one)
{
    static const struct {
        unsigned bit;
        const char *reason;
    } needs[] = {
        {HAS_XATTRS, "no extended attributes"},
        {HAS_ACLS, "no ACLs"},
        {HAS_LOCKS, "no locks"},
        {HAS_FINE_TIMES, "no times below a second"},
        {HAS_STATVFS, "no statvfs"},
        {HAS_LITTLE_ROOM, "too much room"},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (one->flags & needs[i].bit & ~driver->has)
            return needs[i].reason;
    }
    return NULL;
}

static bool is_selected(const Case *one, const SuiteOptions *options)
{
    char name[128];
    size_t group;

    if (options->representative && !(one->flags & REPRESENTATIVE))
        return false;
    if (options->possible && why_not(one))
        return false;
    if (!options->only)
        return true;
    name_case(one, name);
    group = strcspn(name, "/");
    return strcmp(name, options->only) == 0 || strcmp(one->name, options->only) == 0 ||
           (strlen(options->only) == group && strncmp(name, options->only, group) == 0);
}

/*
 * Steps
 */

/* A value as people read it: modes in octal, errors by name. */
static void describe(const char *step, long value, char text[64])
{
    const char *name = value < 0 ? strerrorname_np((int)-value) : NULL;

    if (name)
        snprintf(text, 64, "-%s", name);
    else if (strncmp(step, "mode_of", 7) == 0)
        snprintf(text, 64, "%#lo", (unsigned long)value);
    else
        snprintf(text, 64, "%ld", value);
}

static void write_line(const char *step, const char *result)
{
    suite.n_steps++;
    if (suite.options->transcript)
        fprintf(suite.options->transcript, "  %s: %s = %s\n", suite.user->name, step, result);
}

static void fail(int line, const char *step, const char *expected, const char *got)
{
    char whole[1024];

    snprintf(whole, sizeof(whole), "%s: %s", suite.user->name, step);
    if (differences_find(suite.differences, suite.options->tags, suite.name, whole)) {
        suite.n_forced++;
        return;
    }
    suite.n_failed_steps++;
    printf("# %s, line %d: %s is %s, not %s\n", suite.name, line, whole, got, expected);
}

void suite_record(const char *step, long got)
{
    char text[64];

    describe(step, got, text);
    write_line(step, text);
}

void suite_check(int line, const char *step, long expected, long got)
{
    char wanted[64], text[64];

    suite_record(step, got);
    describe(step, expected, wanted);
    describe(step, got, text);
    if (got != expected)
        fail(line, step, wanted, text);
}

void suite_check_either(int line, const char *step, long one, long other, long got)
{
    char wanted[64], text[64];

    suite_record(step, got);
    describe(step, one, wanted);
    describe(step, got, text);
    if (got != one && got != other)
        fail(line, step, wanted, text);
}

int suite_take_fd(int line, const char *step, long got)
{
    char text[64];

    if (got >= 0) {
        write_line(step, "open");
        return (int)got;
    }
    suite_record(step, got);
    describe(step, got, text);
    fail(line, step, "open", text);
    return -1;
}

void as(const User *user)
{
    suite.user = user;
    driver->ops->become(driver, user);
}

const User *suite_user(void)
{
    return suite.user;
}

void with_umask(mode_t mask)
{
    driver->ops->set_umask(driver, mask);
}

/*
 * Running
 */

/* A case that cannot run is one step of the transcript, "skipped". */
static void skip_case(const char *reason)
{
    const SuiteOptions *o = suite.options;

    if (o->transcript)
        fprintf(o->transcript, "  skipped = %s\n", reason);
    if (!o->quiet)
        printf("ok %u - %s%s # SKIP %s\n", suite.n_cases, o->label, suite.name, reason);
}

static bool run_case(const Case *one)
{
    const SuiteOptions *o = suite.options;
    const char *reason = why_not(one);

    suite.n_cases++;
    suite.n_failed_steps = 0;
    name_case(one, suite.name);
    if (o->transcript)
        fprintf(o->transcript, "case %s\n", suite.name);
    if (reason) {
        skip_case(reason);
        return true;
    }
    steps_begin(one->name);
    one->run();
    steps_end(one->name);
    if (suite.n_failed_steps > 0)
        printf("not ok %u - %s%s\n", suite.n_cases, o->label, suite.name);
    else if (!o->quiet)
        printf("ok %u - %s%s\n", suite.n_cases, o->label, suite.name);
    fflush(stdout);
    return suite.n_failed_steps == 0;
}

/* Says what a group has cost, when its last case has run. */
static void report_group(const Case *one, unsigned long *n_operations)
{
    char name[128], next[128];

    name_case(one, name);
    if (one->next)
        name_case(one->next, next);
    if (one->next && strncmp(name, next, strcspn(name, "/") + 1) == 0)
        return;
    if (driver->n_operations > *n_operations)
        printf("# %.*s: %lu operations\n", (int)strcspn(name, "/"), name,
               driver->n_operations - *n_operations);
    *n_operations = driver->n_operations;
}

int suite_run(Driver *on, const SuiteOptions *options)
{
    unsigned long n_operations = on->n_operations;
    unsigned n = 0, n_failed = 0;

    driver = on;
    suite.options = options;
    suite.n_steps = suite.n_forced = 0;
    if (options->differences && !suite.differences)
        suite.differences = differences_load(options->differences);
    for (const Case *one = suite.cases; one; one = one->next) {
        if (is_selected(one, options)) {
            n_failed += !run_case(one);
            n++;
        }
        report_group(one, &n_operations);
    }
    printf("# %s%u cases, %u failed; %u steps, %u of them forced by 9P; %lu operations\n",
           options->label, n, n_failed, suite.n_steps, suite.n_forced, on->n_operations);
    if (options->transcript)
        fflush(options->transcript);
    return n_failed > 0 || n == 0;
}

void suite_finish(const SuiteOptions *options)
{
    if (!options->quiet)
        printf("1..%u\n", suite.n_cases);
}

/*
 * Options
 */

static bool open_transcript(const char *path, SuiteOptions *options)
{
    options->transcript = fopen(path, "we");
    if (!options->transcript)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return options->transcript != NULL;
}

/* Takes an option that has a value. */
static bool take_value(const char *option, char *value, SuiteOptions *options)
{
    if (!value)
        return false;
    if (strcmp(option, "--only") == 0)
        options->only = value;
    else if (strcmp(option, "--transcript") == 0)
        return open_transcript(value, options);
    else if (strcmp(option, "--differences") == 0)
        options->differences = value;
    else if (strcmp(option, "--as") == 0)
        options->tags = value;
    else
        return false;
    return true;
}

int suite_parse_options(int argc, char **argv, SuiteOptions *options)
{
    int i;

    *options = (SuiteOptions){.label = "", .tags = ""};
    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--tap") == 0)
            options->quiet = false;
        else if (strcmp(argv[i], "--quiet") == 0)
            options->quiet = true;
        else if (strcmp(argv[i], "--representative") == 0)
            options->representative = true;
        else if (!take_value(argv[i], argv[i + 1], options))
            return -1;
        else
            i++;
    }
    return i;
}
