/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command detach: takes a device away from a running guest.
 *
 * A frontend cannot refuse. Linux's says Closed as soon as the backend is Closing, mounted or not,
 * and whoever uses the mount gets errors from then on or hangs. So whether it is mounted is asked
 * of the worker beforehand, and nothing is begun while it is.
 */
#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/hotplug.h"
#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/text.h"

enum {
    CLOSE_SECONDS = 10,  /* as long as libxl waits */
    WORKER_SECONDS = 15, /* a worker that hangs is killed by then */
    DEFAULT_WAIT_SECONDS = 60,
    POLL_USEC = 200 * 1000,
};

static gboolean force;
static int wait_seconds; /* 0: does not wait until it is unmounted */

static gboolean take_wait(const char *name, const char *value, gpointer data, GError **error)
{
    (void)data;
    return hotplug_parse_wait(name, value, DEFAULT_WAIT_SECONDS, &wait_seconds, error);
}

static const GOptionEntry options[] = {
    {"force", 'f', 0, G_OPTION_ARG_NONE, &force, "Cut it off even if the guest has it mounted",
     NULL},
    {"wait", 'w', G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK, take_wait,
     "Wait until the guest has unmounted it, 60 seconds unless said otherwise", "SECONDS"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

/*
 * What the daemon knows of the device
 */

/* Whether the guest has it mounted. */
typedef struct Use {
    uint64_t mounts;
    uint64_t open_files;
    char *unknown; /* why it cannot be told; NULL when it can */
} Use;

static bool is_device(const Record *record, const Hotplug *hotplug)
{
    return record_is(record, "device") && record_get_number(record, "domid") == hotplug->domid &&
           record_get_number(record, "devid") == hotplug->devid &&
           g_strcmp0(record_get_text(record, "kind"), hotplug->kind) == 0;
}

/* The daemon's record of the device, out of an answer; NULL when it has none. */
static const Record *find_device(const Query *query, const Hotplug *hotplug)
{
    for (guint i = 0; i < query->records->len; i++) {
        const Record *record = g_ptr_array_index(query->records, i);

        if (is_device(record, hotplug))
            return record;
    }
    return NULL;
}

static Query *ask(const Tool *tool, const char *command, const char *device, int limit_ms)
{
    Query *query = query_new(command, device, NULL);

    control_run(tool, &query, 1, limit_ms, NULL, NULL);
    return query;
}

/* A device without a worker has no mount. */
static void ask_worker(const Tool *tool, const Record *device, Use *use)
{
    g_autoptr(Query) query = NULL;
    const Record *session;

    if (device == NULL || record_get_number(device, "worker") == 0)
        return;
    query = ask(tool, "stats", record_get_text(device, "device"), CONTROL_LIMIT_MS);
    session = query_find(query, "session");
    if (session != NULL) {
        use->mounts = record_get_number(session, "mounts");
        use->open_files = record_get_number(session, "open_files");
    } else {
        use->unknown =
            g_strdup_printf("its worker, process %s: %s", record_get_text(device, "worker"),
                            query->error != NULL ? query->error : "no answer");
    }
}

static void look_at_use(const Tool *tool, Store *store, const Hotplug *hotplug, Use *use)
{
    g_autoptr(Query) query = NULL;
    HotplugView view;

    *use = (Use){0};
    hotplug_look(store, hotplug, &view);
    hotplug_view_deinit(&view);
    if (view.backend != XenbusStateConnected)
        return;
    if (hotplug->backend_domid != store->self) {
        use->unknown = g_strdup_printf("it is served by domain %u, whose daemon cannot be asked "
                                       "from here",
                                       hotplug->backend_domid);
        return;
    }
    query = ask(tool, "devices", NULL, CONTROL_DAEMON_LIMIT_MS);
    if (query->status == QUERY_COMPLETE)
        ask_worker(tool, find_device(query, hotplug), use);
    else
        use->unknown = g_strdup(query->error);
}

/* Looks until the guest has unmounted it or the time is over. */
static void wait_for_unmount(const Tool *tool, Store *store, const Hotplug *hotplug, Use *use)
{
    gint64 end = g_get_monotonic_time() + (gint64)wait_seconds * G_USEC_PER_SEC;

    look_at_use(tool, store, hotplug, use);
    while (use->unknown == NULL && use->mounts > 0 && g_get_monotonic_time() < end) {
        g_usleep(POLL_USEC);
        look_at_use(tool, store, hotplug, use);
    }
}

/* Refuses what --force alone does. */
static int check_use(const Use *use, const Hotplug *hotplug, const StoreDomain *domain)
{
    g_autofree char *shown = store_domain_describe(domain);

    if (force)
        return TOOL_OK;
    if (use->unknown != NULL)
        return tool_error("device %u.%u: cannot find out whether domain %s has it mounted: %s; "
                          "--force detaches it in any case",
                          hotplug->domid, hotplug->devid, shown, use->unknown);
    if (use->mounts > 0)
        return tool_error("device %u.%u: domain %s has it mounted (mounts: %" G_GUINT64_FORMAT
                          ", open files: %" G_GUINT64_FORMAT "); unmount it in the guest%s, or cut "
                          "it off with --force",
                          hotplug->domid, hotplug->devid, shown, use->mounts, use->open_files,
                          wait_seconds > 0 ? "" : ", for which --wait waits");
    return TOOL_OK;
}

/*
 * Detaching
 */

/* The daemon lets go of a device some moments after its nodes are gone. */
static int wait_for_worker(const Tool *tool, const Hotplug *hotplug)
{
    gint64 end = g_get_monotonic_time() + (gint64)WORKER_SECONDS * G_USEC_PER_SEC;

    for (;;) {
        g_autoptr(Query) query = ask(tool, "devices", NULL, CONTROL_DAEMON_LIMIT_MS);
        const Record *device = find_device(query, hotplug);

        if (query->status != QUERY_COMPLETE || device == NULL)
            return TOOL_OK;
        if (g_get_monotonic_time() > end)
            return tool_error("device %u.%u is gone from xenstore, but the daemon still has it; "
                              "its worker is process %s",
                              hotplug->domid, hotplug->devid, record_get_text(device, "worker"));
        g_usleep(POLL_USEC);
    }
}

static int complain_open(Store *store, const Hotplug *hotplug)
{
    HotplugView view;

    hotplug_look(store, hotplug, &view);
    hotplug_view_deinit(&view);
    return tool_error("device %u.%u has not closed within %d s: the backend is %s and the frontend "
                      "%s; is the daemon running? --force removes it in any case",
                      hotplug->domid, hotplug->devid, CLOSE_SECONDS,
                      hotplug_state_name(view.backend), hotplug_state_name(view.frontend));
}

static int take_away(const Tool *tool, Store *store, const Hotplug *hotplug)
{
    g_autoptr(GError) error = NULL;

    if (!hotplug_ask_close(store, hotplug, &error))
        return tool_error("%s", error->message);
    if (!hotplug_wait_closed(store, hotplug, CLOSE_SECONDS) && !force)
        return complain_open(store, hotplug);
    if (!hotplug_remove(store, hotplug, &error))
        return tool_error("%s", error->message);
    return hotplug->backend_domid == store->self ? wait_for_worker(tool, hotplug) : TOOL_OK;
}

static void print_json(const Hotplug *hotplug, const StoreDomain *domain, const Use *use)
{
    g_autofree char *name = g_strdup_printf("%u.%u", hotplug->domid, hotplug->devid);
    JsonObject *object = json_object_new();

    json_object_set_text(object, "device", name);
    if (domain->name != NULL)
        json_object_set_text(object, "domain", domain->name);
    else
        json_object_set_null_member(object, "domain");
    json_object_set_int_member(object, "domid", hotplug->domid);
    json_object_set_int_member(object, "devid", hotplug->devid);
    json_object_set_boolean_member(object, "cut_off", use->mounts > 0);
    json_print(json_object_to_node(object), false);
}

static void print_text(const Hotplug *hotplug, const StoreDomain *domain, const Use *use)
{
    g_autofree char *raw = store_domain_describe(domain);
    g_autofree char *shown = text_escape(raw);

    g_print("Device %u.%u: domain %s has it no more%s.\n", hotplug->domid, hotplug->devid, shown,
            use->mounts > 0 ? "; it was mounted and has been cut off" : "");
}

static int detach(const Tool *tool, Store *store, const Hotplug *hotplug, const StoreDomain *domain)
{
    Use use;
    int status;

    wait_for_unmount(tool, store, hotplug, &use);
    status = check_use(&use, hotplug, domain);
    if (status == TOOL_OK)
        status = take_away(tool, store, hotplug);
    if (status == TOOL_OK && tool->json)
        print_json(hotplug, domain, &use);
    else if (status == TOOL_OK)
        print_text(hotplug, domain, &use);
    g_free(use.unknown);
    return status;
}

/* Of a domain that is gone something may be left, to be named by its number. */
static bool find_domain(Store *store, const char *name, StoreDomain *domain, GError **error)
{
    if (store_find_domain(store, name, domain, error))
        return true;
    if (xenstore_parse_uint32(name, &domain->domid) < 0)
        return false;
    g_clear_error(error);
    return true;
}

static int run_detach(const Tool *tool, char **arguments)
{
    g_autoptr(GError) error = NULL;
    int status = TOOL_FAILED;
    StoreDomain domain = {0};
    Hotplug hotplug = {0};
    Store store;

    if (!store_open(&store, &error))
        return tool_error("%s", error->message);
    if (find_domain(&store, arguments[0], &domain, &error) &&
        hotplug_find(&store, domain.domid, arguments[1], &hotplug, &error))
        status = detach(tool, &store, &hotplug, &domain);
    else
        tool_error("%s", error->message);
    hotplug_deinit(&hotplug);
    store_domain_deinit(&domain);
    store_close(&store);
    return status;
}

const Command command_detach = {
    .name = "detach",
    .arguments = "DOMAIN TAG|DEVID",
    .help = "Take a device away from a running guest",
    .description =
        "A device that the guest has mounted stays unless --force is given: then whoever uses the "
        "mount\nin the guest gets errors.",
    .options = options,
    .min_arguments = 2,
    .max_arguments = 2,
    .json = true,
    .run = run_detach,
};
