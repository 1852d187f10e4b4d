/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slot: see slot.h. */
#include "tests/daemon/slot.h"

#include <stdlib.h>
#include <string.h>

enum { EXPECT_MS = 20000, POLL_US = 1000, SETTLE_US = 20000, ROOT_FID = 1, FILE_FID = 2, TAG = 7 };

/* One write of the state node gives one watch event; what the node says when the event is read
 * may be the value of a later write. */
struct Recorder {
    struct xs_handle *xs;
    unsigned writes;
    GString *history;
    unsigned last;
};

static Recorder *recorder_new(const FrontendDevice *device)
{
    g_autofree char *path =
        g_strdup_printf("/local/domain/%u/backend/%s/%u/%u/state", device->backend_domid,
                        device->kind, device->domid, device->devid);
    Recorder *recorder = g_new0(Recorder, 1);

    recorder->xs = xs_open(0);
    recorder->history = g_string_new(NULL);
    g_assert_true(xs_watch(recorder->xs, path, "recorder"));
    free(xs_check_watch(recorder->xs));
    return recorder;
}

static void recorder_free(Recorder *recorder)
{
    xs_close(recorder->xs);
    g_string_free(recorder->history, TRUE);
    g_free(recorder);
}

/* Takes in the events that have come. */
static void record(const Slot *slot)
{
    Recorder *recorder = slot->recorder;
    char **event;

    while ((event = xs_check_watch(recorder->xs)) != NULL) {
        enum xenbus_state state = slot_state(slot);

        free(event);
        recorder->writes++;
        if (state == recorder->last || state == XenbusStateUnknown)
            continue;
        recorder->last = state;
        g_string_append_printf(recorder->history, "%s%u", recorder->history->len > 0 ? " " : "",
                               state);
    }
}

Slot *slot_new(const char *kind, uint32_t domid, uint32_t devid)
{
    Slot *slot = g_new0(Slot, 1);

    slot->device = frontend_linux(domid, NULL);
    slot->device.kind = kind;
    slot->device.devid = devid;
    slot->device.order = 1;
    slot->device.msize = 4096;
    slot->frontend = frontend_new(&slot->device);
    slot->recorder = recorder_new(&slot->device);
    return slot;
}

void slot_free(Slot *slot)
{
    recorder_free(slot->recorder);
    frontend_free(slot->frontend);
    g_free(slot);
}

void slot_add(Slot *slot, const char *path, const char *security_model)
{
    slot->device.path = path;
    slot->device.security_model = security_model;
    toolstack_add(&slot->device);
}

void slot_ask_remove(const Slot *slot)
{
    toolstack_ask_remove(&slot->device);
}

void slot_delete(const Slot *slot)
{
    toolstack_delete(&slot->device);
}

void slot_prepare(Slot *slot)
{
    frontend_unshare(slot->frontend);
    frontend_share(slot->frontend);
    frontend_publish(slot->frontend);
}

void slot_offer(Slot *slot)
{
    slot_prepare(slot);
    slot_set_frontend(slot, XenbusStateInitialised);
}

void slot_set_frontend(Slot *slot, enum xenbus_state state)
{
    frontend_set_state(slot->frontend, state);
}

void slot_delete_frontend(const Slot *slot)
{
    g_assert_true(xs_rm(slot->recorder->xs, XBT_NULL, slot->frontend->dir));
}

enum xenbus_state slot_state(const Slot *slot)
{
    return toolstack_backend_state(&slot->device);
}

bool slot_wait(const Slot *slot, enum xenbus_state state, int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    while (slot_state(slot) != state) {
        record(slot);
        if (g_get_monotonic_time() > end)
            return false;
        g_usleep(POLL_US);
    }
    return true;
}

void slot_expect(const Slot *slot, enum xenbus_state state)
{
    if (!slot_wait(slot, state, EXPECT_MS))
        g_error("domain %u device %u: the state is %u, not %u", slot->device.domid,
                slot->device.devid, slot_state(slot), state);
}

/* True when `seen` is `expected` with states left out, but for the last. */
static bool is_history(char **seen, char **expected)
{
    while (*expected != NULL) {
        if (*seen != NULL && strcmp(*seen, *expected) == 0)
            seen++;
        else if (expected[1] == NULL)
            return false;
        expected++;
    }
    return *seen == NULL;
}

/* Takes in events until there were so many writes. Then there is some time for one too many. */
static void record_writes(const Slot *slot, unsigned expected)
{
    gint64 end = g_get_monotonic_time() + EXPECT_MS * 1000;

    record(slot);
    while (slot->recorder->writes < expected && g_get_monotonic_time() < end) {
        g_usleep(POLL_US);
        record(slot);
    }
    g_usleep(SETTLE_US);
    record(slot);
}

void slot_expect_history(const Slot *slot, const char *history)
{
    g_auto(GStrv) expected = g_strsplit(history, " ", -1);
    g_auto(GStrv) seen = NULL;

    record_writes(slot, g_strv_length(expected));
    seen = g_strsplit(slot->recorder->history->str, " ", -1);
    if (!is_history(seen, expected) || slot->recorder->writes != g_strv_length(expected))
        g_error("domain %u device %u: the states were %s in %u writes, not %s", slot->device.domid,
                slot->device.devid, slot->recorder->history->str, slot->recorder->writes, history);
}

void slot_open_file(Slot *slot, const char *name)
{
    Frontend *frontend = slot->frontend;

    g_assert_cmpint(frontend_version(frontend), ==, 0);
    g_assert_cmpint(frontend_attach(frontend, ROOT_FID), ==, 0);
    g_assert_cmpint(frontend_call(frontend, p9_twalk(TAG, ROOT_FID, FILE_FID, name), "*"), ==, 0);
    g_assert_cmpint(frontend_call(frontend, p9_tlopen(TAG, FILE_FID, 0), "*"), ==, 0);
}

void slot_read_file(Slot *slot, const char *content)
{
    const uint8_t *data;
    uint32_t size;

    g_assert_cmpint(
        frontend_call(slot->frontend, p9_tread(TAG, FILE_FID, 0, 1024), "D", &size, &data), ==, 0);
    g_assert_cmpuint(size, ==, strlen(content));
    g_assert_true(memcmp(data, content, size) == 0);
}
