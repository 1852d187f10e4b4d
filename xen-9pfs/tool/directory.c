/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory: see directory.h. */
#include "xen-9pfs/tool/directory.h"

#include <errno.h>
#include <glib.h>

#include "xen-9pfs/export.h"

enum { SECONDS = 5 };

static void on_checked(void *data)
{
    (void)data; /* whoever waits looks at the answer itself */
}

static gboolean on_late(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

int directory_check(const char *path)
{
    bool late = false;
    ExportCheck *check = export_check_new(path, on_checked, NULL);
    guint timer = g_timeout_add_seconds(SECONDS, on_late, &late);
    int error = ETIMEDOUT;

    while (!export_check_result(check, &error) && !late)
        g_main_context_iteration(NULL, TRUE);
    if (!late)
        g_source_remove(timer);
    export_check_free(check);
    return error;
}
