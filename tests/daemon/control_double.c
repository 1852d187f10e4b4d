/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket of a daemon that has none; see command.h. */
#include <glib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>

#include "tests/daemon/command.h"
#include "tests/standin/standin.h"

#define BACKENDS "/local/domain/0/backend/xen_9pfs"

static GThread *server; /* NULL: the daemon has a socket of its own */
static int listener;
static atomic_uint n_mounts;

static void append_device(GString *answer, const char *domid, const char *devid)
{
    g_autofree char *path = g_strdup_printf(BACKENDS "/%s/%s/state", domid, devid);
    g_autofree char *frontend =
        g_strdup_printf("/local/domain/%s/device/9pfs/%s/tag", domid, devid);
    g_autofree char *share = g_strdup_printf(BACKENDS "/%s/%s/path", domid, devid);
    g_autofree char *state = standin_read(path);
    g_autofree char *tag = standin_read(frontend);
    g_autofree char *served = standin_read(share);

    g_string_append_printf(answer,
                           "record=device\tdevice=%s.%s\tkind=xen_9pfs\tdomid=%s\tdevid=%s\t"
                           "worker=%s\ttag=%s\tpath=%s\tsecurity_model=none\tbackend=" BACKENDS
                           "/%s/%s\n",
                           domid, devid, domid, devid, g_strcmp0(state, "4") == 0 ? "1" : "0",
                           tag != NULL ? tag : "", served != NULL ? served : "", domid, devid);
}

static void append_devices(GString *answer)
{
    struct xs_handle *xs = xs_open(0);
    unsigned n_domids = 0;
    char **domids = xs_directory(xs, XBT_NULL, BACKENDS, &n_domids);

    for (unsigned i = 0; i < n_domids; i++) {
        g_autofree char *folder = g_strdup_printf(BACKENDS "/%s", domids[i]);
        unsigned n_devids = 0;
        char **devids = xs_directory(xs, XBT_NULL, folder, &n_devids);

        for (unsigned j = 0; j < n_devids; j++)
            append_device(answer, domids[i], devids[j]);
        free(devids);
    }
    free(domids);
    xs_close(xs);
}

static void answer_request(FILE *stream, const char *request)
{
    GString *answer = g_string_new("ok\n");
    g_autofree char *config = standin_daemon_config();

    if (g_str_has_prefix(request, "version"))
        g_string_append_printf(answer,
                               "record=daemon\tversion=" VERSION "\tpid=1\tbackend_kinds=xen_9pfs\t"
                               "config=%s\n",
                               config);
    else if (g_str_has_prefix(request, "devices"))
        append_devices(answer);
    else if (g_str_has_prefix(request, "stats"))
        g_string_append_printf(answer, "record=session\tmounts=%u\topen_files=0\n", n_mounts);
    g_string_append(answer, "end\n");
    fputs(answer->str, stream);
    g_string_free(answer, TRUE);
}

static gpointer serve(gpointer unused)
{
    int fd;

    (void)unused;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        FILE *stream = fdopen(fd, "r+");
        char line[1024];

        if (fgets(line, sizeof(line), stream) != NULL)
            answer_request(stream, line);
        fclose(stream);
    }
    return NULL;
}

void control_double_start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control", standin_dir());
    server = NULL;
    n_mounts = 0;
    if (access(address.sun_path, F_OK) == 0)
        return;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(listener, 16), ==, 0);
    server = g_thread_new("control", serve, NULL);
}

void control_double_set_mounts(unsigned mounts)
{
    n_mounts = mounts;
}

void control_double_stop(void)
{
    if (server == NULL)
        return;
    shutdown(listener, SHUT_RDWR);
    g_thread_join(server);
    close(listener);
}
