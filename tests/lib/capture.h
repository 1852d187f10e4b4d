/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capture: what this process writes to standard error, where the log goes, caught in a file. One at a
 * time.
 */
#ifndef TESTS_LIB_CAPTURE_H
#define TESTS_LIB_CAPTURE_H

typedef struct Capture Capture;

Capture *capture_begin(void);

/* All that has come until now; to be freed with g_free(). */
char *capture_text(const Capture *capture);

/* Lets standard error go where it went before. Returns all that has come, likewise. */
char *capture_end(Capture *capture);

/* Fails the test unless `part` is in `text`, and once only. */
void capture_expect_once(const char *text, const char *part);

#endif
