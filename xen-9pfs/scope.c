/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope: see scope.h. One connection to the bus, made when it is first needed and anew after it was
 * lost, is a source of the main loop like everything else that the supervisor waits for.
 */
#include "xen-9pfs/scope.h"

#ifdef HAVE_LIBSYSTEMD

#include <glib.h>
#include <poll.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/log.h"

#define SLICE "xen-9pfs.slice"

/* systemd answers within milliseconds, or is busy with things that count more. */
enum { ANSWER_TIMEOUT_SECONDS = 30 };

struct Scopes {
    sd_bus *bus;     /* NULL: not connected */
    GSource *source; /* NULL likewise */
};

typedef struct BusSource {
    GSource source;
    Scopes *scopes;
    GPollFD poll;
} BusSource;

static void disconnect(Scopes *scopes)
{
    if (scopes->source != NULL) {
        g_source_destroy(scopes->source);
        g_source_unref(scopes->source);
    }
    scopes->source = NULL;
    scopes->bus = sd_bus_close_unref(scopes->bus);
}

/* When the bus has something to do without an event, in milliseconds from now; -1: never. */
static int bus_timeout(sd_bus *bus)
{
    uint64_t until = UINT64_MAX;
    uint64_t now = (uint64_t)g_get_monotonic_time();

    if (sd_bus_get_timeout(bus, &until) < 0 || until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : (int)MIN((until - now + 999) / 1000, G_MAXINT);
}

static gboolean bus_prepare(GSource *source, gint *timeout)
{
    BusSource *self = (BusSource *)source;
    int events = sd_bus_get_events(self->scopes->bus);

    self->poll.events = events > 0 ? (gushort)events : 0;
    *timeout = bus_timeout(self->scopes->bus);
    return *timeout == 0;
}

static gboolean bus_check(GSource *source)
{
    BusSource *self = (BusSource *)source;

    return self->poll.revents != 0 || bus_timeout(self->scopes->bus) == 0;
}

static gboolean bus_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    BusSource *self = (BusSource *)source;
    int result;

    (void)callback;
    (void)data;
    do
        result = sd_bus_process(self->scopes->bus, NULL);
    while (result > 0);
    if (result < 0) {
        log_debug("the connection to the message bus is lost: %s", g_strerror(-result));
        disconnect(self->scopes);
    }
    return G_SOURCE_CONTINUE;
}

static void attach_source(Scopes *scopes)
{
    static GSourceFuncs functions = {
        .prepare = bus_prepare, .check = bus_check, .dispatch = bus_dispatch};
    BusSource *self = (BusSource *)g_source_new(&functions, sizeof(BusSource));

    scopes->source = &self->source;
    self->scopes = scopes;
    self->poll.fd = sd_bus_get_fd(scopes->bus);
    g_source_add_poll(scopes->source, &self->poll);
    g_source_attach(scopes->source, NULL);
}

static bool connect_bus(Scopes *scopes)
{
    int result;

    if (scopes->bus != NULL)
        return true;
    result = sd_bus_open_system(&scopes->bus);
    if (result < 0) {
        log_debug("no message bus, so workers get no control groups: %s", g_strerror(-result));
        return false;
    }
    sd_bus_set_method_call_timeout(scopes->bus, ANSWER_TIMEOUT_SECONDS * UINT64_C(1000000));
    attach_source(scopes);
    return true;
}

/* Without systemd, and for a worker that is in its scope since an earlier supervisor, this is how
 * it should be. A worker may also have ended meanwhile. */
static bool is_expected(const sd_bus_error *error)
{
    return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                  SD_BUS_ERROR_DISCONNECTED, "org.freedesktop.systemd1.UnitExists",
                                  "org.freedesktop.systemd1.NoSuchProcess") > 0;
}

static int on_answer(sd_bus_message *answer, void *data, sd_bus_error *unused)
{
    static LogLimit limit = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const sd_bus_error *error = sd_bus_message_get_error(answer);

    (void)data;
    (void)unused;
    if (error != NULL && is_expected(error))
        log_debug("no new control group for a worker: %s", error->message);
    else if (error != NULL)
        log_limited(&limit, LOG_WARNING, "a worker has no control group of its own: %s",
                    error->message);
    return 0;
}

/* The call's arguments: name, mode, properties, auxiliary units. A unit that ended badly is
 * forgotten like any other: its worker's end is in our log. */
static int append_unit(sd_bus_message *call, const char *unit, const char *description, pid_t pid)
{
    return sd_bus_message_append(call, "ssa(sv)a(sa(sv))", unit, "fail", 4,      /* properties */
                                 "Description", "s", description,                /* */
                                 "Slice", "s", SLICE,                            /* */
                                 "CollectMode", "s", "inactive-or-failed",       /* */
                                 "PIDs", "au", 1, (uint32_t)pid, 0 /* auxiliary units */);
}

static int send_call(sd_bus *bus, const char *unit, const char *description, pid_t pid)
{
    sd_bus_message *call = NULL;
    int result = sd_bus_message_new_method_call(
        bus, &call, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager", "StartTransientUnit");

    if (result >= 0)
        result = sd_bus_message_set_auto_start(call, 0);
    if (result >= 0)
        result = append_unit(call, unit, description, pid);
    if (result >= 0)
        result = sd_bus_call_async(bus, NULL, call, on_answer, NULL, 0);
    sd_bus_message_unref(call);
    return result;
}

void scopes_add(Scopes *scopes, const char *device, pid_t pid)
{
    g_autofree char *unit = g_strdup_printf("xen-9pfs-worker-%s-%d.scope", device, (int)pid);
    g_autofree char *description = g_strdup_printf("9P server of device %s", device);
    int result;

    if (!connect_bus(scopes))
        return;
    result = send_call(scopes->bus, unit, description, pid);
    if (result < 0) {
        log_debug("cannot ask for the control group of a worker: %s", g_strerror(-result));
        disconnect(scopes);
    }
}

Scopes *scopes_new(void)
{
    return g_new0(Scopes, 1);
}

void scopes_free(Scopes *scopes)
{
    disconnect(scopes);
    g_free(scopes);
}

#else

#include <glib.h>

/* There is nobody to ask. */
struct Scopes {
    char nothing;
};

Scopes *scopes_new(void)
{
    return g_new0(Scopes, 1);
}

void scopes_free(Scopes *scopes)
{
    g_free(scopes);
}

void scopes_add(Scopes *scopes, const char *device, pid_t pid)
{
    (void)scopes;
    (void)device;
    (void)pid;
}

#endif
