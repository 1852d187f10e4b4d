/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: see device.h. One table holds the states: what the toolstack and the frontend see in
 * xenstore, which moves are allowed, and the function that chooses the next state.
 *
 *     NEW -> CHECKING -> WAITING -> STARTING -> CONNECTED -> CLOSING -> CLOSED -> GONE
 *               ^                                                         |
 *               +---------------------- the frontend is back -------------+
 *
 * A worker runs in STARTING and CONNECTED, may still serve in CLOSING, and is gone before CLOSED
 * is entered, so that the frontend can take its memory back.
 */
#include "xen-9pfs/device.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/log.h"
#include "common/record.h"
#include "common/trace.h"
#include "xen-9pfs/export.h"

enum {
    CHECK_TIMEOUT_MS = 5000,  /* a file server that has not answered by then does not */
    CLOSE_TIMEOUT_MS = 5000,  /* how long a frontend may take to close; the toolstack waits 10 s */
    ABANDONED_MS = 15000,     /* how long a toolstack may take to remove what is of a dead guest */
    RETURN_INTERVAL_MS = 250, /* between two lives of one device, lest a guest keep us busy; */
    MAX_RETURN_INTERVAL_MS = 4000, /* doubled up to this for one that is back again and again, */
    CALM_MS = 10000,               /* until a life was longer than this */
};

typedef enum DeviceState {
    DEVICE_NEW,       /* an earlier supervisor may have left it in any state */
    DEVICE_CHECKING,  /* its configuration is being looked at */
    DEVICE_WAITING,   /* for the frontend to offer its rings */
    DEVICE_STARTING,  /* a worker is being set up */
    DEVICE_CONNECTED, /* a worker serves */
    DEVICE_CLOSING,   /* the frontend and the worker are letting go */
    DEVICE_CLOSED,    /* until it is removed, or the frontend starts anew */
    DEVICE_GONE,      /* removed; waits for the end of its worker */
    DEVICE_N_STATES,
} DeviceState;

struct Device {
    const DeviceHost *host;
    DeviceKey key;
    char *name;
    Nodes nodes;
    char *tag;     /* NULL: none has been seen */
    char *watched; /* the frontend's state node, NULL: no watch is set */
    DeviceState state;
    bool marked;
    bool domain_dead;
    bool frontend_moved; /* seen in another state than Initialising since CHECKING */
    bool timed_out;      /* the timer has fired since the state was entered */
    guint timer;
    gint64 began_at;     /* monotonic time of the last life's beginning, 0 before the first */
    gint64 return_after; /* before which a frontend that is back must wait */
    int return_interval; /* milliseconds between the two */
    Process *process;    /* NULL: none */
    unsigned n_workers;  /* that were started */
    int64_t since;       /* when the state was entered: seconds of the epoch */
    NodesView view;      /* the last look */
    ExportCheck *check;  /* in CHECKING only */
    LinkSetup setup;     /* what the next worker is to serve */
    LogLimit failures;
    LogLimit events;
};

/* One look at the device, the same for all steps of one advance but for our own state. */
typedef NodesView View;

static int64_t epoch_seconds(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static LogFields device_fields(const Device *device)
{
    return (LogFields){
        .has_device = true, .domid = device->key.domid, .devid = device->key.devid};
}

static void log_event(Device *device, LogLimit *limit, int priority, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void log_event(Device *device, LogLimit *limit, int priority, const char *format, ...)
{
    LogFields fields = device_fields(device);
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    log_fields(limit, priority, &fields, "%s", text);
}

/* Says what went wrong, in the log and in xenstore. */
static void report(Device *device, const GError *error)
{
    LogFields fields = device_fields(device);

    if (error->domain == NODES_ERROR)
        fields.error = error->code;
    log_fields(&device->failures, LOG_ERR, &fields, "%s", error->message);
    nodes_write_error(&device->nodes, error);
}

static void on_changed(void *data)
{
    device_mark(data);
}

static gboolean on_timer(gpointer data)
{
    Device *device = data;

    device->timer = 0;
    device->timed_out = true;
    device_mark(device);
    return G_SOURCE_REMOVE;
}

static void set_timer(Device *device, guint milliseconds)
{
    if (device->timer != 0)
        g_source_remove(device->timer);
    device->timer = milliseconds > 0 ? g_timeout_add(milliseconds, on_timer, device) : 0;
    device->timed_out = false;
}

/* Sockets are named after devices, as far as a file name can be. */
static char *socket_name(const Device *device)
{
    return g_strdelimit(g_strdup(device->name), "/", '-');
}

/* True while the frontend says that its rings are in use, or about to be. */
static bool frontend_is_up(const View *view)
{
    return view->frontend == XenbusStateInitialised || view->frontend == XenbusStateConnected;
}

/* The toolstack takes the device away by writing online = 0 and state = Closing. */
static bool is_removed(const View *view)
{
    return !view->online || view->backend == XenbusStateClosing;
}

/* Where a device goes that is not to be served: never from Closed back to Closing. */
static DeviceState way_out(const Device *device, const View *view)
{
    if (device->state == DEVICE_CHECKING && view->backend == XenbusStateClosed)
        return DEVICE_CLOSED;
    return DEVICE_CLOSING;
}

static DeviceState fail(Device *device, const View *view, GError *error)
{
    report(device, error);
    g_error_free(error);
    return way_out(device, view);
}

/* The worker is gone or useless. Says which and why. */
static DeviceState fail_worker(Device *device, const View *view)
{
    const char *reason = process_reason(device->process);
    GString *text = g_string_new(NULL);
    GError *error;

    g_string_printf(text, "worker %d ", (int)process_pid(device->process));
    if (process_state(device->process) == PROCESS_GONE)
        g_string_append(text, process_ending(device->process));
    else
        g_string_append(text, "has failed");
    if (reason != NULL)
        g_string_append_printf(text, ": %s", reason);
    error = g_error_new_literal(NODES_ERROR, EIO, text->str);
    g_string_free(text, TRUE);
    return fail(device, view, error);
}

/* Tells the worker to end, if there is one. Returns true when none is left. */
static bool worker_is_out(Device *device)
{
    if (device->process == NULL)
        return true;
    process_stop(device->process);
    if (process_state(device->process) != PROCESS_GONE)
        return false;
    g_clear_pointer(&device->process, process_free);
    return true;
}

/* True when the adopted worker serves what xenstore asks for now. */
static bool worker_fits(Device *device)
{
    g_autoptr(GError) error = NULL;
    LinkSetup asked = {.domid = device->key.domid, .devid = device->key.devid};
    const LinkSetup *served = process_setup(device->process);

    return served != NULL && nodes_read_config(&device->nodes, &asked, &error) &&
           nodes_read_frontend(&device->nodes, &asked, &error) && link_setup_equal(served, &asked);
}

/* A device that an earlier supervisor had connected goes on, if its worker does. */
static DeviceState resume(Device *device, const View *view)
{
    if (device->process == NULL) {
        log_event(device, &device->failures, LOG_ERR,
                  "was connected, but no worker serves it any more");
        return DEVICE_CLOSING;
    }
    if (process_state(device->process) != PROCESS_READY)
        return fail_worker(device, view);
    if (!worker_fits(device)) {
        log_event(device, &device->failures, LOG_ERR, "worker %d serves other rings than these",
                  (int)process_pid(device->process));
        process_stop(device->process);
        return DEVICE_CLOSING;
    }
    log_event(device, &device->events, LOG_NOTICE, "worker %d goes on serving",
              (int)process_pid(device->process));
    return DEVICE_CONNECTED;
}

static DeviceState step_new(Device *device, const View *view)
{
    bool adopting = device->process != NULL && process_state(device->process) == PROCESS_STARTING;

    if (adopting && view->backend != XenbusStateClosing)
        return DEVICE_NEW;
    if (view->backend == XenbusStateConnected)
        return resume(device, view);
    if (!worker_is_out(device))
        return DEVICE_NEW;
    device->frontend_moved = true;
    if (view->backend == XenbusStateClosed)
        return DEVICE_CLOSED;
    return is_removed(view) ? DEVICE_CLOSING : DEVICE_CHECKING;
}

static GError *path_error(const Device *device, int code)
{
    g_autofree char *shown = log_escape(device->setup.path, strlen(device->setup.path));

    return g_error_new(NODES_ERROR, code,
                       "cannot serve the path \"%s\": %s; make it a directory or correct the path",
                       shown, g_strerror(code));
}

/* The mount tag, by which groups of the file may be chosen. The toolstack writes it before the guest
 * runs. The guest can change it later, so what was found first holds for the device's life. */
static const char *read_tag(Device *device)
{
    if (device->tag == NULL)
        device->tag = nodes_read_tag(&device->nodes);
    return device->tag;
}

/* Sets the options that the configuration file has for this device. It is read each time: it counts
 * as it is when a frontend connects, and one that has been broken since then is an error for the
 * devices that connect, rather than a surprise with the next start of the daemon. */
static bool apply_config(Device *device, GError **error)
{
    const Config *config;
    g_autoptr(GError) failure = NULL;
    g_autofree char *domain = nodes_read_domain_name(&device->nodes, device->key.domid);
    ConfigTarget target = {.path = device->setup.path, .tag = read_tag(device), .domain = domain};

    config = config_file_get(device->host->config, &failure);
    if (config == NULL) {
        *error = g_error_new_literal(NODES_ERROR, EINVAL, failure->message);
        return false;
    }
    config_apply(config, &target, &device->setup.options);
    return true;
}

/* Finds out what is to be served, and how; nodes count for more than the file. */
static bool read_config(Device *device, GError **error)
{
    return nodes_read_config(&device->nodes, &device->setup, error) &&
           apply_config(device, error) &&
           nodes_read_options(&device->nodes, &device->setup.options, error);
}

/* Starts the look at the export, and takes the answer once it is there. */
static DeviceState step_checking(Device *device, const View *view)
{
    GError *error = NULL;
    int code = 0;

    if (is_removed(view))
        return way_out(device, view);
    if (device->check == NULL) {
        if (!read_config(device, &error))
            return fail(device, view, error);
        device->check = export_check_new(device->setup.path, on_changed, device);
    }
    if (!export_check_result(device->check, &code)) {
        if (!device->timed_out)
            return DEVICE_CHECKING;
        code = ETIMEDOUT;
    }
    if (code == 0)
        return DEVICE_WAITING;
    return fail(device, view, path_error(device, code));
}

static DeviceState start_worker(Device *device, const View *view)
{
    g_autofree char *name = socket_name(device);
    GError *error = NULL;

    if (!nodes_read_frontend(&device->nodes, &device->setup, &error))
        return fail(device, view, error);
    device->setup.since = epoch_seconds();
    device->n_workers++;
    device->process =
        process_start(&device->host->process, name, &device->setup, on_changed, device, &error);
    if (device->process != NULL)
        return DEVICE_STARTING;
    g_prefix_error(&error, "cannot start a worker: ");
    return fail(device, view, error);
}

static DeviceState step_waiting(Device *device, const View *view)
{
    if (is_removed(view) || view->frontend == XenbusStateClosing ||
        view->frontend == XenbusStateClosed)
        return DEVICE_CLOSING;
    return frontend_is_up(view) ? start_worker(device, view) : DEVICE_WAITING;
}

static DeviceState step_starting(Device *device, const View *view)
{
    if (is_removed(view) || !frontend_is_up(view))
        return DEVICE_CLOSING;
    switch (process_state(device->process)) {
    case PROCESS_STARTING:
        return DEVICE_STARTING;
    case PROCESS_READY:
        return DEVICE_CONNECTED;
    default:
        return fail_worker(device, view);
    }
}

static DeviceState step_connected(Device *device, const View *view)
{
    if (process_state(device->process) != PROCESS_READY)
        return fail_worker(device, view);
    return is_removed(view) || !frontend_is_up(view) ? DEVICE_CLOSING : DEVICE_CONNECTED;
}

/* True while there is reason to wait for the frontend. One that is closing of its own accord may
 * take its time, as long as the toolstack does not wait for it. */
static bool frontend_is_awaited(const Device *device, const View *view)
{
    if (view->frontend == XenbusStateClosing)
        return view->online || !device->timed_out;
    return frontend_is_up(view) && !device->timed_out;
}

/* The worker goes on serving a frontend that has been told to close and not yet begun to. */
static DeviceState step_closing(Device *device, const View *view)
{
    bool awaited = frontend_is_awaited(device, view);
    bool serves = device->process != NULL && process_state(device->process) == PROCESS_READY;

    if (awaited && serves && frontend_is_up(view))
        return DEVICE_CLOSING;
    if (!worker_is_out(device) || awaited)
        return DEVICE_CLOSING;
    if (frontend_is_up(view) || view->frontend == XenbusStateClosing)
        log_event(device, &device->events, LOG_WARNING,
                  "the frontend did not close in time and was cut off");
    return DEVICE_CLOSED;
}

/* libxl before Xen 4.19 does not know the kind xen_9pfs: when it destroys a guest it leaves the devices
 * that were attached to it while it ran. The next look finds this one gone. */
static void remove_abandoned(Device *device)
{
    int rc = nodes_remove(&device->nodes);

    log_event(device, &device->events, rc < 0 ? LOG_ERR : LOG_NOTICE,
              "its domain is gone and nobody removed it: %s",
              rc < 0 ? g_strerror(-rc) : "removed from xenstore");
}

static DeviceState step_abandoned(Device *device)
{
    if (device->timed_out)
        remove_abandoned(device);
    if (device->timed_out || device->timer == 0)
        set_timer(device, ABANDONED_MS);
    return DEVICE_CLOSED;
}

/* A frontend that could not be served where it stands must first move before it is tried again,
 * and none is tried again at once. */
static DeviceState step_closed(Device *device, const View *view)
{
    gint64 wait = device->return_after - g_get_monotonic_time();

    if (view->backend == XenbusStateClosing)
        return DEVICE_CLOSING;
    if (device->domain_dead)
        return step_abandoned(device);
    if (view->frontend != XenbusStateInitialising || !device->frontend_moved || !view->online)
        return DEVICE_CLOSED;
    if (wait <= 0)
        return DEVICE_CHECKING;
    set_timer(device, (guint)(wait / 1000 + 1));
    return DEVICE_CLOSED;
}

/* The folder may come back while the old worker is still ending. */
static DeviceState step_gone(Device *device, const View *view)
{
    return worker_is_out(device) && view->exists ? DEVICE_NEW : DEVICE_GONE;
}

/* A life begins. Says when the next one may, at the earliest. */
static void limit_return(Device *device)
{
    gint64 now = g_get_monotonic_time();

    if (device->began_at == 0 || now - device->began_at > CALM_MS * 1000)
        device->return_interval = RETURN_INTERVAL_MS;
    else
        device->return_interval = MIN(2 * device->return_interval, MAX_RETURN_INTERVAL_MS);
    device->began_at = now;
    device->return_after = now + device->return_interval * 1000;
}

static void enter_checking(Device *device)
{
    device->frontend_moved = false;
    limit_return(device);
    memset(&device->setup, 0, sizeof(device->setup));
    device->setup.domid = device->key.domid;
    device->setup.devid = device->key.devid;
    set_timer(device, CHECK_TIMEOUT_MS);
    nodes_clear_error(&device->nodes);
}

static void enter_connected(Device *device)
{
    const LinkSetup *setup = process_setup(device->process);
    g_autofree char *path = log_escape(setup->path, strlen(setup->path));

    log_event(device, &device->events, LOG_INFO, "connected: worker %d serves %s on %u rings",
              (int)process_pid(device->process), path, setup->n_rings);
}

static void enter_closing(Device *device)
{
    set_timer(device, CLOSE_TIMEOUT_MS);
}

static void enter_closed(Device *device)
{
    log_event(device, &device->events, LOG_INFO, "closed");
}

static void set_watch(Device *device, const char *folder);

static void enter_gone(Device *device)
{
    device->domain_dead = false;
    g_clear_pointer(&device->tag, g_free);
    set_watch(device, NULL);
    nodes_clear_error(&device->nodes);
}

#define TO(state) (1U << DEVICE_##state)

static const struct {
    const char *name;
    enum xenbus_state xenbus; /* what our state node says; Unknown: it is left as it is */
    DeviceState (*step)(Device *device, const View *view); /* chooses the next state */
    void (*enter)(Device *device);                         /* NULL: nothing to do on entry */
    unsigned moves;                                        /* the states that may follow */
} states[DEVICE_N_STATES] = {
    [DEVICE_NEW] = {"new", XenbusStateUnknown, step_new, NULL,
                    TO(CHECKING) | TO(CONNECTED) | TO(CLOSING) | TO(CLOSED) | TO(GONE)},
    [DEVICE_CHECKING] = {"checking", XenbusStateUnknown, step_checking, enter_checking,
                         TO(WAITING) | TO(CLOSING) | TO(CLOSED) | TO(GONE)},
    [DEVICE_WAITING] = {"waiting", XenbusStateInitWait, step_waiting, NULL,
                        TO(STARTING) | TO(CLOSING) | TO(GONE)},
    [DEVICE_STARTING] = {"starting", XenbusStateUnknown, step_starting, NULL,
                         TO(CONNECTED) | TO(CLOSING) | TO(GONE)},
    [DEVICE_CONNECTED] = {"connected", XenbusStateConnected, step_connected, enter_connected,
                          TO(CLOSING) | TO(GONE)},
    [DEVICE_CLOSING] = {"closing", XenbusStateClosing, step_closing, enter_closing,
                        TO(CLOSED) | TO(GONE)},
    [DEVICE_CLOSED] = {"closed", XenbusStateClosed, step_closed, enter_closed,
                       TO(CHECKING) | TO(CLOSING) | TO(GONE)},
    [DEVICE_GONE] = {"gone", XenbusStateUnknown, step_gone, enter_gone, TO(NEW)},
};

/* Watches the frontend's state below `frontend`, and nothing any more if that is NULL. Setting a
 * watch fires it, so no change between the last look and now is missed. */
static void set_watch(Device *device, const char *frontend)
{
    g_autofree char *path = frontend != NULL ? g_strconcat(frontend, "/state", NULL) : NULL;
    int rc;

    if (g_strcmp0(path, device->watched) == 0)
        return;
    if (device->watched != NULL)
        xenstore_unwatch(device->host->store, device->watched, device->name);
    g_clear_pointer(&device->watched, g_free);
    if (path == NULL)
        return;
    rc = xenstore_watch(device->host->store, path, device->name);
    if (rc < 0)
        log_event(device, &device->failures, LOG_ERR, "cannot watch %s: %s", path, g_strerror(-rc));
    else
        device->watched = g_steal_pointer(&path);
}

static int look(Device *device, View *view)
{
    int rc = nodes_look(&device->nodes, view);

    if (rc < 0) {
        log_event(device, &device->failures, LOG_ERR, "cannot read %s: %s", device->nodes.backend,
                  g_strerror(-rc));
        return rc;
    }
    if (view->exists)
        set_watch(device, device->nodes.frontend);
    if (device->domain_dead)
        view->frontend = XenbusStateClosed;
    if (view->frontend != XenbusStateInitialising)
        device->frontend_moved = true;
    return 0;
}

/* Writes the state node for `next`. When somebody else has changed the device in between, nothing
 * is written and the device is marked for a new look. */
static bool write_state(Device *device, DeviceState next, View *view)
{
    enum xenbus_state xenbus = states[next].xenbus;
    int rc;

    if (xenbus == XenbusStateUnknown)
        return true;
    rc = nodes_move(&device->nodes, view->backend, xenbus);
    if (rc == -ESTALE || rc == -ENOENT || rc == -EAGAIN)
        device_mark(device);
    else if (rc < 0)
        log_event(device, &device->failures, LOG_ERR, "cannot write to %s: %s",
                  device->nodes.backend, g_strerror(-rc));
    if (rc == 0)
        view->backend = xenbus;
    return rc == 0;
}

static bool enter(Device *device, DeviceState next, View *view)
{
    assert((states[device->state].moves & (1U << next)) != 0);
    if (!write_state(device, next, view))
        return false;
    TRACE3(state, device->name, states[device->state].name, states[next].name);
    log_debug("%s: %s -> %s", device->name, states[device->state].name, states[next].name);
    set_timer(device, 0);
    g_clear_pointer(&device->check, export_check_free);
    device->state = next;
    device->since = epoch_seconds();
    if (states[next].enter != NULL)
        states[next].enter(device);
    return true;
}

bool device_advance(Device *device)
{
    DeviceState next;
    View view;

    device->marked = false;
    if (look(device, &view) < 0)
        return true;
    do {
        if (view.exists || device->state == DEVICE_GONE)
            next = states[device->state].step(device, &view);
        else
            next = DEVICE_GONE;
    } while (next != device->state && enter(device, next, &view));
    device->view = view;
    return device->state != DEVICE_GONE || device->process != NULL;
}

Device *device_new(const DeviceHost *host, const DeviceKey *key)
{
    Device *device = g_new0(Device, 1);

    device->host = host;
    device->key = *key;
    device->name = g_strdup_printf("%s/%u/%u", key->kind, key->domid, key->devid);
    nodes_init(&device->nodes, host->store, key);
    device->since = epoch_seconds();
    device_mark(device);
    return device;
}

void device_free(Device *device)
{
    set_timer(device, 0);
    set_watch(device, NULL);
    g_clear_pointer(&device->check, export_check_free);
    g_clear_pointer(&device->process, process_free);
    nodes_deinit(&device->nodes);
    g_free(device->tag);
    g_free(device->name);
    g_free(device);
}

bool device_adopt_worker(Device *device)
{
    g_autofree char *name = socket_name(device);

    device->process = process_adopt(&device->host->process, name, on_changed, device);
    return device->process != NULL;
}

void device_mark(Device *device)
{
    device->marked = true;
    device->host->wake(device->host->data);
}

bool device_is_marked(const Device *device)
{
    return device->marked;
}

bool device_is_connected(const Device *device)
{
    return device->state == DEVICE_CONNECTED;
}

void device_set_domain_dead(Device *device)
{
    device->domain_dead = true;
    device_mark(device);
}

const char *device_name(const Device *device)
{
    return device->name;
}

uint32_t device_domid(const Device *device)
{
    return device->key.domid;
}

const DeviceKey *device_key(const Device *device)
{
    return &device->key;
}

bool device_exists(const Device *device)
{
    return device->view.exists;
}

static const char *xenbus_name(enum xenbus_state state)
{
    static const char *const names[] = {
        [XenbusStateUnknown] = "unknown",
        [XenbusStateInitialising] = "initialising",
        [XenbusStateInitWait] = "initwait",
        [XenbusStateInitialised] = "initialised",
        [XenbusStateConnected] = "connected",
        [XenbusStateClosing] = "closing",
        [XenbusStateClosed] = "closed",
        [XenbusStateReconfiguring] = "reconfiguring",
        [XenbusStateReconfigured] = "reconfigured",
    };

    return state < G_N_ELEMENTS(names) ? names[state] : names[XenbusStateUnknown];
}

/* What the worker serves, or what the next one will. */
static const LinkSetup *shown_setup(const Device *device)
{
    const LinkSetup *served = device->process ? process_setup(device->process) : NULL;

    return served ? served : &device->setup;
}

static void report_worker(const Device *device, const LinkSetup *setup, GString *out)
{
    if (!device->process)
        return;
    record_number(out, "worker", (uint64_t)process_pid(device->process));
    record_number(out, "rings", setup->n_rings);
    record_number(out, "ring_order", process_ring_order(device->process));
}

void device_report(const Device *device, bool with_kind, GString *out)
{
    const DeviceKey *key = &device->key;
    const LinkSetup *setup = shown_setup(device);
    bool serves = device->state == DEVICE_CONNECTED && setup->since > 0;
    g_autofree char *domain = nodes_read_domain_name(&device->nodes, key->domid);
    g_autofree char *tag = device->tag ? g_strdup(device->tag) : nodes_read_tag(&device->nodes);

    record_begin(out, "device");
    record_format(out, "device", "%s%s%u.%u", with_kind ? key->kind : "", with_kind ? ":" : "",
                  key->domid, key->devid);
    record_text(out, "kind", key->kind);
    record_number(out, "domid", key->domid);
    record_text(out, "domain", domain);
    record_number(out, "devid", key->devid);
    record_text(out, "tag", tag);
    record_text(out, "path", setup->path[0] ? setup->path : NULL);
    record_text(out, "security_model", security_model_name(setup->options.model));
    record_bool(out, "readonly", setup->options.readonly);
    record_text(out, "state", xenbus_name(device->view.backend));
    record_text(out, "frontend_state", xenbus_name(device->view.frontend));
    report_worker(device, setup, out);
    record_number(out, "since", (uint64_t)(serves ? setup->since : device->since));
    record_text(out, "frontend", device->nodes.frontend);
    record_text(out, "backend", device->nodes.backend);
    record_number(out, "restarts", device->n_workers > 0 ? device->n_workers - 1 : 0);
    record_end(out);
}

int device_pass_client(const Device *device, int client, const char *request)
{
    return device->process ? process_pass_client(device->process, client, request) : -ENOTCONN;
}
