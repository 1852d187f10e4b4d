/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Record: one line of an answer of the daemon, `name=value` between tabs, of which the first is
 * `record=KIND`.
 *
 * Values are as they were before the daemon escaped them, any bytes but NUL: an escaped NUL stays
 * escaped. They are not fit for a terminal, see text.h.
 */
#ifndef XEN_9PFS_TOOL_RECORD_H
#define XEN_9PFS_TOOL_RECORD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Record Record;

/* Returns NULL for a line that is no record. Ends with record_free(). */
Record *record_parse(const char *line);
Record *record_new(const char *kind);
void record_free(Record *record);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Record, record_free)

bool record_is(const Record *record, const char *kind);

/* The value of a field, which lives as long as it is not set anew; NULL when there is none. */
const char *record_get(const Record *record, const char *name);

/* The same for text: "" when there is none. */
const char *record_get_text(const Record *record, const char *name);

/* The same for a number: 0 when there is none. */
uint64_t record_get_number(const Record *record, const char *name);

/* Sets or replaces a field; a NULL value removes it. */
void record_set(Record *record, const char *name, const char *value);
void record_set_number(Record *record, const char *name, uint64_t value);

/* Copies all fields but the kind, over those of the same names. */
void record_merge(Record *record, const Record *from);

/* Appends a word of a request, escaped as the daemon expects it. */
void record_escape_word(GString *out, const char *word);

/* Undoes the escaping. The caller frees the result. */
char *record_parse_value(const char *text);

#endif
