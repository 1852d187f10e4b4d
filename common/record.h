/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Record: the lines of the control protocol, docs/control-protocol.md.
 *
 * A record is a line of fields `name=value`, separated by tabs, of which the first is
 * `record=KIND`. Values are escaped, so that no value, whoever has chosen it, can end a field, a
 * record or an answer. Functions append to a string that is the caller's.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define RECORD_OK  "ok\n"  /* the first line of an answer that is none of an error */
#define RECORD_END "end\n" /* its last one */

void record_begin(GString *out, const char *kind);
void record_end(GString *out);

/* Fields. A NULL is no field. */
void record_text(GString *out, const char *name, const char *value);
void record_bytes(GString *out, const char *name, const void *value, size_t size);
void record_number(GString *out, const char *name, uint64_t value);
void record_bool(GString *out, const char *name, bool value);
void record_format(GString *out, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The whole answer of a request that has failed: one line. */
void record_error(GString *out, const char *text);

/* Appends `size` bytes with everything escaped that is not printable text: a backslash, control
 * characters, what is no valid UTF-8, and characters of Unicode that show nothing. */
void record_escape(GString *out, const void *bytes, size_t size);

/* Appends what `size` bytes at `text` stand for. Returns false when they are not well escaped, or
 * stand for a NUL. */
bool record_unescape(GString *out, const char *text, size_t size);

/* The words of a request, which single spaces separate, without their escapes: a new vector, or NULL
 * when the line is none. Spaces in a word are escaped as \\x20. */
char **record_split_request(const char *line);

#endif
