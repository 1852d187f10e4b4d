/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Terminal: a live screen with plain escape sequences, and the keys that are pressed.
 *
 * However the program ends while the screen is shown, the terminal is as it was before: the signals
 * that end, stop and continue a program are taken in terminal_wait(), which puts things right first.
 */
#ifndef XEN_9PFS_TOOL_TERMINAL_H
#define XEN_9PFS_TOOL_TERMINAL_H

#include <glib.h>
#include <stdbool.h>

/* What terminal_wait() returns beside keys, which are characters. */
enum {
    TERMINAL_TIMEOUT = -1, /* the time is over */
    TERMINAL_CHANGED = -2, /* another size, or back from a stop: paint again */
    TERMINAL_GONE = -3,    /* nobody is there any more: end */
};

/* True when standard input and output are a terminal that has such sequences. */
bool terminal_is_usable(void);

/* Takes the terminal, and gives it back. There is one at most. */
void terminal_open(void);
void terminal_close(void);

void terminal_get_size(unsigned *width, unsigned *height);

/* Shows text of whole lines, which fit, from the first line of the screen on; all else on it goes. */
void terminal_paint(const GString *text);

/* Waits for a key, for at most `wait_us`. Does not return from a signal that ends the program. */
int terminal_wait(gint64 wait_us);

#endif
