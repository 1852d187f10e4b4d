/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Differences: the list of what a share does otherwise than a local file system, because 9P leaves
 * nothing else.
 *
 * An entry is a line that begins at its start, with the reason in indented lines below it:
 *
 *     WHERE GROUP/CASE STEP
 *
 * WHERE says which runs it is about: tags joined by "+", all of which the run must have, and
 * alternatives joined by ","; "*" is every run. GROUP/CASE and STEP are patterns as of fnmatch(3);
 * STEP goes to the end of the line and is compared with a step without its result.
 */
#ifndef TESTS_POSIX_DIFFERENCES_H
#define TESTS_POSIX_DIFFERENCES_H

#include <stdbool.h>

typedef struct Difference {
    char *where;
    char *name; /* of the case */
    char *step;
    int line;
    bool used;
    bool has_reason;
    struct Difference *next;
} Difference;

/* Reads a list. Exits with a message when it cannot be read or makes no sense. */
Difference *differences_load(const char *path);

/* The entry for a step in a run with these tags, joined by ",", or NULL; it is marked as used. */
Difference *differences_find(Difference *list, const char *tags, const char *name,
                             const char *step);

/* Whether an entry is about runs with these tags. */
bool difference_applies(const Difference *one, const char *tags);

#endif
