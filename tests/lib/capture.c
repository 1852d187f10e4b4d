/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capture: see capture.h. */
#include "tests/lib/capture.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

struct Capture {
    char *path;
    int saved; /* standard error as it was */
};

Capture *capture_begin(void)
{
    Capture *capture = g_new0(Capture, 1);
    int file = g_file_open_tmp("capture-XXXXXX", &capture->path, NULL);

    g_assert_cmpint(file, >=, 0);
    capture->saved = dup(STDERR_FILENO);
    g_assert_cmpint(dup2(file, STDERR_FILENO), >=, 0);
    close(file);
    return capture;
}

char *capture_text(const Capture *capture)
{
    char *text;

    g_assert_true(g_file_get_contents(capture->path, &text, NULL, NULL));
    return text;
}

char *capture_end(Capture *capture)
{
    char *text = capture_text(capture);

    g_assert_cmpint(dup2(capture->saved, STDERR_FILENO), >=, 0);
    close(capture->saved);
    g_unlink(capture->path);
    g_free(capture->path);
    g_free(capture);
    return text;
}

void capture_expect_once(const char *text, const char *part)
{
    const char *found = strstr(text, part);

    if (!found || strstr(found + 1, part))
        g_error("the log has \"%s\", not \"%s\" once", text, part);
}
