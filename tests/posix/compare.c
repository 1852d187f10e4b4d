/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compare: what a share did otherwise than a local file system, by the transcripts of two runs of
 * the POSIX suite.
 *
 *     compare DIFFERENCES TAGS LOCAL SHARE [TAGS LOCAL SHARE]...
 *
 * Each case of each pair is one result of TAP. It is "ok" when all its steps ended alike, or when
 * those that did not are in the list of differences. The last result is about that list: it names
 * no difference that there is not, as far as it is about what was compared.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/posix/differences.h"

enum { MAX_LINE = 8192 };

/* A case of a transcript: its steps with their results, "USER: STEP = RESULT". */
typedef struct Record {
    char *name;
    char **lines;
    unsigned n_lines;
    struct Record *next;
} Record;

static unsigned n_results, n_failed, n_forced;
static Difference *differences;

static _Noreturn void fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

static void *must(void *allocated)
{
    if (!allocated)
        fail("compare", "no memory");
    return allocated;
}

/*
 * Transcripts
 */

static void add_line(Record *record, const char *line)
{
    record->lines = must(realloc(record->lines, (record->n_lines + 1) * sizeof(*record->lines)));
    record->lines[record->n_lines++] = must(strdup(line));
}

static Record *add_record(Record ***end, const char *name)
{
    Record *record = must(calloc(1, sizeof(*record)));

    record->name = must(strdup(name));
    **end = record;
    *end = &record->next;
    return record;
}

static Record *load(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[MAX_LINE];
    Record *first = NULL, **end = &first, *now = NULL;

    if (!file)
        fail(path, "cannot be read");
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "case ", 5) == 0)
            now = add_record(&end, line + 5);
        else if (now && strncmp(line, "  ", 2) == 0)
            add_line(now, line + 2);
        else
            fail(path, "is no transcript");
    }
    fclose(file);
    return first;
}

static void unload(Record *record)
{
    while (record) {
        Record *next = record->next;

        for (unsigned i = 0; i < record->n_lines; i++)
            free(record->lines[i]);
        free(record->lines);
        free(record->name);
        free(record);
        record = next;
    }
}

static const Record *find(const Record *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return list;
}

/*
 * Comparing
 */

static void result(bool ok, const char *format, ...)
{
    va_list args;

    n_failed += !ok;
    printf("%s %u - ", ok ? "ok" : "not ok", ++n_results);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Where " = RESULT" begins. */
static size_t step_length(const char *line)
{
    const char *at = NULL;

    for (const char *next = strstr(line, " = "); next; next = strstr(next + 1, " = "))
        at = next;
    return at ? (size_t)(at - line) : strlen(line);
}

/* Whether the step at the start of a line may end otherwise. */
static bool is_forced(const char *tags, const char *name, const char *line)
{
    char step[MAX_LINE];

    snprintf(step, sizeof(step), "%.*s", (int)step_length(line), line);
    if (!differences_find(differences, tags, name, step))
        return false;
    n_forced++;
    return true;
}

static bool same_step(const char *one, const char *other)
{
    size_t length = step_length(one);

    return length == step_length(other) && strncmp(one, other, length) == 0;
}

static bool compare_lines(const char *tags, const char *name, const char *local, const char *share)
{
    if (strcmp(local, share) == 0)
        return true;
    if (!same_step(local, share)) {
        printf("# local: %s\n# share: %s\n", local, share);
        return false;
    }
    if (is_forced(tags, name, local))
        return true;
    printf("# %s, local%s\n", share, local + step_length(local));
    return false;
}

static bool compare_steps(const char *tags, const Record *local, const Record *share)
{
    unsigned n = local->n_lines < share->n_lines ? local->n_lines : share->n_lines;
    bool same = true;

    for (unsigned i = 0; i < n; i++)
        same = compare_lines(tags, local->name, local->lines[i], share->lines[i]) && same;
    if (local->n_lines != share->n_lines) {
        printf("# %u steps, local %u\n", share->n_lines, local->n_lines);
        same = false;
    }
    return same;
}

static bool is_skipped(const Record *record)
{
    return record->n_lines == 1 && strncmp(record->lines[0], "skipped", 7) == 0;
}

static void compare_case(const char *tags, const Record *local, const Record *share)
{
    bool ok;

    if (!share) {
        result(false, "%s %s is missing", tags, local->name);
        return;
    }
    if (is_skipped(share) && !is_skipped(local)) {
        ok = is_forced(tags, local->name, share->lines[0]);
        result(ok, "%s %s, %s", tags, local->name, share->lines[0]);
        return;
    }
    ok = compare_steps(tags, local, share);
    result(ok, "%s %s", tags, local->name);
}

static void compare_runs(const char *tags, const char *local_path, const char *share_path)
{
    Record *local = load(local_path), *share = load(share_path);

    if (!local)
        fail(local_path, "has no cases");
    for (const Record *one = local; one; one = one->next)
        compare_case(tags, one, find(share, one->name));
    unload(local);
    unload(share);
}

/* Entries that no run needs any more would hide the next mistake. */
static void check_list(int n_runs, char **runs)
{
    bool ok = true;

    for (const Difference *one = differences; one; one = one->next) {
        bool applies = false;

        for (int i = 0; i < n_runs; i += 3)
            applies = applies || difference_applies(one, runs[i]);
        if (applies && !one->used) {
            printf("# line %d is not needed: %s %s %s\n", one->line, one->where, one->name,
                   one->step);
            ok = false;
        }
    }
    result(ok, "each known difference is one");
}

int main(int argc, char **argv)
{
    if (argc < 5 || (argc - 2) % 3 != 0) {
        fprintf(stderr, "Usage: %s DIFFERENCES TAGS LOCAL SHARE [TAGS LOCAL SHARE]...\n", argv[0]);
        return 2;
    }
    differences = differences_load(argv[1]);
    for (int i = 2; i < argc; i += 3)
        compare_runs(argv[i], argv[i + 1], argv[i + 2]);
    check_list(argc - 2, argv + 2);
    printf("# %u results, %u failed; %u steps differ as they must\n1..%u\n", n_results, n_failed,
           n_forced, n_results);
    return n_failed > 0;
}
