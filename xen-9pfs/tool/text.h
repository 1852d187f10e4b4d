/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text: how names, numbers and times appear on a terminal.
 *
 * Guests choose names of files and of their devices' tags: a control character, an escape sequence
 * or a mark that turns the direction of writing around never gets through.
 */
#ifndef XEN_9PFS_TOOL_TEXT_H
#define XEN_9PFS_TOOL_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum TextStyle {
    TEXT_PLAIN,
    TEXT_HEAD,  /* headings */
    TEXT_GOOD,  /* all is well */
    TEXT_NOTE,  /* worth a look */
    TEXT_ALERT, /* something is wrong */
} TextStyle;

/* True when `file` is a terminal that can show colours, and NO_COLOR is not set to anything. */
bool text_has_colours(FILE *file);

/* Appends `text` in `style`; `colours` false: as TEXT_PLAIN. The text is not escaped. */
void text_append_styled(GString *out, bool colours, TextStyle style, const char *text);

/* A copy in which everything is \xHH that is not printable in the character set of the locale, and
 * a backslash is doubled. The caller frees it. */
char *text_escape(const char *text);

/* The same for what a program has written, in which names are escaped already: a backslash stays. */
char *text_escape_words(const char *text);

/* The same for what is no terminal but UTF-8 all the same, such as labels of metrics: whatever the
 * locale, and a backslash stays as it is. */
char *text_printable(const char *text);

/* How many columns of a terminal `text` takes, which is escaped already. */
size_t text_width(const char *text);

/* The longest beginning of `text`, which is escaped already, that takes at most `width` columns; it
 * ends with "..." if something is cut off and there is room for that. The caller frees it. */
char *text_cut(const char *text, size_t width);

/* "734", "1.5K", "12M", "3.0G": bytes, in powers of 1024. The caller frees it. */
char *text_size(uint64_t bytes);

/* "0", "37us", "1.25ms", "12.3s", "4m10s", "2h03m", "3d04h". The caller frees it. */
char *text_duration(uint64_t microseconds);

/* "2026-11-22 21:43:05" in the local time zone. The caller frees it. */
char *text_time(uint64_t epoch_seconds);

/* Parses a decimal number without sign, blanks or anything behind it. */
bool text_parse_number(const char *text, uint64_t *value);

#endif
