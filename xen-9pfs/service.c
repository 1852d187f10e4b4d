/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Service: see service.h, and sd_notify(3) for what is said. */
#include "xen-9pfs/service.h"

#ifdef HAVE_LIBSYSTEMD

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>

static struct {
    bool started;
    unsigned connected;
    guint watchdog; /* 0: nobody watches */
} service;

static gboolean on_watchdog(gpointer data)
{
    (void)data;
    sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

/* Twice as often as is asked for, as sd_watchdog_enabled(3) recommends. */
static void start_watchdog(void)
{
    uint64_t usec = 0;

    if (sd_watchdog_enabled(0, &usec) > 0)
        service.watchdog =
            g_timeout_add((guint)CLAMP(usec / 2000, 1, G_MAXUINT), on_watchdog, NULL);
}

static void tell_status(const char *first)
{
    sd_notifyf(0, "%sSTATUS=%u connected device%s", first, service.connected,
               service.connected == 1 ? "" : "s");
}

void service_start(void)
{
    service.started = true;
    tell_status("READY=1\n");
    start_watchdog();
}

void service_set_devices(unsigned connected)
{
    if (service.connected == connected)
        return;
    service.connected = connected;
    if (service.started)
        tell_status("");
}

void service_stop(void)
{
    if (!service.started)
        return;
    service.started = false;
    if (service.watchdog != 0)
        g_source_remove(service.watchdog);
    service.watchdog = 0;
    sd_notify(0, "STOPPING=1\nSTATUS=Ending; workers go on");
}

#else

void service_start(void)
{
}

void service_set_devices(unsigned connected)
{
    (void)connected;
}

void service_stop(void)
{
}

#endif
