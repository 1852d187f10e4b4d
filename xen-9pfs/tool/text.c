/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: see text.h. */
#include "xen-9pfs/tool/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USEC_PER_MSEC = 1000, USEC_PER_SEC = 1000000 };

bool text_has_colours(FILE *file)
{
    const char *off = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (off != NULL && off[0] != '\0')
        return false;
    if (term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(file));
}

void text_append_styled(GString *out, bool colours, TextStyle style, const char *text)
{
    static const char *const codes[] = {
        [TEXT_HEAD] = "1", [TEXT_GOOD] = "32", [TEXT_NOTE] = "33", [TEXT_ALERT] = "1;31"};

    if (colours && style != TEXT_PLAIN)
        g_string_append_printf(out, "\033[%sm%s\033[0m", codes[style], text);
    else
        g_string_append(out, text);
}

/* Line and paragraph separators count as printable for GLib, but end lines. */
static bool is_shown(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);

    return g_unichar_isprint(c) && type != G_UNICODE_LINE_SEPARATOR &&
           type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void escape_bytes(GString *out, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        g_string_append_printf(out, "\\x%02x", (unsigned char)bytes[i]);
}

/* Appends the first character of `text`. Returns how many bytes it has. */
static size_t escape_character(GString *out, const char *text, bool utf8)
{
    gunichar c = g_utf8_get_char_validated(text, -1);
    size_t size = 1;

    if (c != (gunichar)-1 && c != (gunichar)-2)
        size = (size_t)(g_utf8_next_char(text) - text);
    if (c >= 0x20 && c < 0x7f)
        g_string_append_c(out, (char)c);
    else if (size > 1 && utf8 && is_shown(c))
        g_string_append_len(out, text, (gssize)size);
    else
        escape_bytes(out, text, size);
    return size;
}

static char *escape(const char *text, bool utf8, bool doubled)
{
    GString *out = g_string_new(NULL);

    while (*text != '\0') {
        if (*text == '\\' && doubled)
            g_string_append_c(out, '\\');
        text += escape_character(out, text, utf8);
    }
    return g_string_free(out, FALSE);
}

char *text_escape(const char *text)
{
    return escape(text, g_get_charset(NULL), true);
}

char *text_escape_words(const char *text)
{
    return escape(text, g_get_charset(NULL), false);
}

char *text_printable(const char *text)
{
    return escape(text, true, false);
}

static size_t character_width(gunichar c)
{
    if (g_unichar_iszerowidth(c))
        return 0;
    return g_unichar_iswide(c) ? 2 : 1;
}

size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text = g_utf8_next_char(text))
        width += character_width(g_utf8_get_char(text));
    return width;
}

/* The longest beginning of `text` within `width` columns. */
static size_t measure_beginning(const char *text, size_t width)
{
    const char *end = text;
    size_t used = 0;

    for (; *end != '\0'; end = g_utf8_next_char(end)) {
        used += character_width(g_utf8_get_char(end));
        if (used > width)
            break;
    }
    return (size_t)(end - text);
}

char *text_cut(const char *text, size_t width)
{
    static const char dots[] = "...";
    size_t n_dots = sizeof(dots) - 1;

    if (text_width(text) <= width)
        return g_strdup(text);
    if (width <= n_dots)
        return g_strndup(text, measure_beginning(text, width));
    return g_strdup_printf("%.*s%s", (int)measure_beginning(text, width - n_dots), text, dots);
}

char *text_size(uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    double value = (double)bytes;
    int unit = -1;

    if (bytes < 1024)
        return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
    for (; value >= 1023.5 && unit < (int)sizeof(units) - 2; unit++)
        value /= 1024;
    if (value < 9.95 && value * 1024 != (double)((uint64_t)value * 1024))
        return g_strdup_printf("%.1f%c", value, units[unit]);
    return g_strdup_printf("%.0f%c", value, units[unit]);
}

/* Below a minute: three digits that say something. */
static char *describe_short(uint64_t us)
{
    if (us == 0)
        return g_strdup("0");
    if (us < USEC_PER_MSEC)
        return g_strdup_printf("%uus", (unsigned)us);
    if (us < 10 * USEC_PER_MSEC)
        return g_strdup_printf("%.2fms", (double)us / USEC_PER_MSEC);
    if (us < 100 * USEC_PER_MSEC)
        return g_strdup_printf("%.1fms", (double)us / USEC_PER_MSEC);
    if (us < USEC_PER_SEC)
        return g_strdup_printf("%ums", (unsigned)(us / USEC_PER_MSEC));
    if (us < 10 * USEC_PER_SEC)
        return g_strdup_printf("%.2fs", (double)us / USEC_PER_SEC);
    return g_strdup_printf("%.1fs", (double)us / USEC_PER_SEC);
}

char *text_duration(uint64_t microseconds)
{
    uint64_t seconds = microseconds / USEC_PER_SEC;
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;

    if (minutes == 0)
        return describe_short(microseconds);
    if (hours == 0)
        return g_strdup_printf("%um%02us", (unsigned)minutes, (unsigned)(seconds % 60));
    if (hours < 24)
        return g_strdup_printf("%uh%02um", (unsigned)hours, (unsigned)(minutes % 60));
    return g_strdup_printf("%" G_GUINT64_FORMAT "d%02uh", hours / 24, (unsigned)(hours % 24));
}

char *text_time(uint64_t epoch_seconds)
{
    g_autoptr(GDateTime) time = NULL;

    if (epoch_seconds <= G_MAXINT64)
        time = g_date_time_new_from_unix_local((gint64)epoch_seconds);
    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

bool text_parse_number(const char *text, uint64_t *value)
{
    guint64 number;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL))
        return false;
    *value = number;
    return true;
}
