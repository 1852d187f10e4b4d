/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Differences: see differences.h. */
#include "tests/posix/differences.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *path, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", path, line, what);
    exit(2);
}

/* Makes an entry of one line, which it cuts up. */
static Difference *parse_entry(char *text, const char *path, int line)
{
    Difference *one = calloc(1, sizeof(*one));
    char *rest = text;

    text[strcspn(text, "\n")] = '\0';
    one->where = strdup(strsep(&rest, " "));
    one->name = rest ? strdup(strsep(&rest, " ")) : NULL;
    while (rest && *rest == ' ')
        rest++;
    if (!rest || *rest == '\0')
        fail(path, line, "an entry is WHERE GROUP/CASE STEP");
    one->step = strdup(rest);
    one->line = line;
    return one;
}

Difference *differences_load(const char *path)
{
    FILE *file = fopen(path, "re");
    Difference *first = NULL, **end = &first, *last = NULL;
    char text[512];

    if (!file)
        fail(path, 0, "cannot be read");
    for (int line = 1; fgets(text, sizeof(text), file); line++) {
        if (text[0] == '#' || text[0] == '\n')
            continue;
        if (isspace((unsigned char)text[0])) {
            for (Difference *one = first; one; one = one->next)
                one->has_reason = true; /* entries that follow each other share a reason */
            continue;
        }
        *end = last = parse_entry(text, path, line);
        end = &last->next;
    }
    fclose(file);
    if (last && !last->has_reason)
        fail(path, last->line, "there is no reason");
    return first;
}

static bool has_tag(const char *tags, const char *tag, size_t length)
{
    while (*tags) {
        size_t n = strcspn(tags, ",");

        if (n == length && strncmp(tags, tag, n) == 0)
            return true;
        tags += n + (tags[n] == ',');
    }
    return false;
}

/* All tags of one alternative, which ends at `end`. */
static bool alternative_applies(const char *where, const char *end, const char *tags)
{
    while (where < end) {
        size_t n = strcspn(where, "+,");

        if (!has_tag(tags, where, n))
            return false;
        where += n + 1;
    }
    return true;
}

bool difference_applies(const Difference *one, const char *tags)
{
    const char *where = one->where;

    if (strcmp(where, "*") == 0)
        return true;
    for (;;) {
        const char *end = where + strcspn(where, ",");

        if (alternative_applies(where, end, tags))
            return true;
        if (*end == '\0')
            return false;
        where = end + 1;
    }
}

Difference *differences_find(Difference *list, const char *tags, const char *name, const char *step)
{
    for (Difference *one = list; one; one = one->next) {
        if (difference_applies(one, tags) && fnmatch(one->name, name, 0) == 0 &&
            fnmatch(one->step, step, 0) == 0) {
            one->used = true;
            return one;
        }
    }
    return NULL;
}
