/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command attach: gives a running guest one more device.
 *
 * Everything that can be known to be wrong is found before anything is written. What only shows
 * afterwards, because the daemon or the guest has to act, ends with the device removed again.
 */
#include <string.h>

#include "xen-9pfs/config.h"
#include "xen-9pfs/nodes.h"
#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/directory.h"
#include "xen-9pfs/tool/hotplug.h"
#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/table.h"

enum {
    MAX_KEYS = 64,
    OFFER_SECONDS = 10, /* what the daemon gets to take the device, as from libxl */
    CLOSE_SECONDS = 10, /* and to let go of it */
    DEFAULT_WAIT_SECONDS = 30,
};

/* The command line. */
static char *tag;
static char *security_model;
static char *devid;
static char *backend;
static int wait_seconds;       /* 0: does not wait for the guest */
static char *values[MAX_KEYS]; /* of export_keys */

static gboolean take_wait(const char *name, const char *value, gpointer data, GError **error)
{
    (void)data;
    return hotplug_parse_wait(name, value, DEFAULT_WAIT_SECONDS, &wait_seconds, error);
}

/* Keeps the value of an option of exports; check_values() looks at all of them together. */
static gboolean take_value(const char *name, const char *value, gpointer data, GError **error)
{
    const ExportKey *key = export_key_find(name + strlen("--"));
    char **slot = &values[key - export_keys];

    (void)data;
    (void)error;
    g_free(*slot);
    *slot = g_strdup(value != NULL ? value : "on");
    return TRUE;
}

enum { N_OWN_OPTIONS = 5 };

static GOptionEntry options[N_OWN_OPTIONS + MAX_KEYS + 1] = {
    {"tag", 't', 0, G_OPTION_ARG_STRING, &tag, "What the guest mounts it by", "TAG"},
    {"security-model", 'm', 0, G_OPTION_ARG_STRING, &security_model,
     "How owners and modes are kept (default none)", "none|passthrough|mapped-xattr|mapped-file"},
    {"devid", 0, 0, G_OPTION_ARG_STRING, &devid, "The device's number (default the lowest free)",
     "N"},
    {"backend", 0, 0, G_OPTION_ARG_STRING, &backend,
     "The driver domain that has the directory and the daemon", "DOMAIN"},
    {"wait", 'w', G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK, take_wait,
     "Wait until the guest has connected, 30 seconds unless said otherwise", "SECONDS"},
};

static const char *describe_value(const ExportKey *key)
{
    static const char *const descriptions[] = {
        [EXPORT_KEY_SWITCH] = "on|off",
        [EXPORT_KEY_MODE] = "MODE",
        [EXPORT_KEY_MULTIDEVS] = "remap|forbid|warn",
        [EXPORT_KEY_IDS] = "MAP",
        [EXPORT_KEY_RATE] = "RATE",
        [EXPORT_KEY_BURST] = "N",
        [EXPORT_KEY_NUMBER] = "N",
        [EXPORT_KEY_NUMBER_32] = "N",
        [EXPORT_KEY_MEBIBYTES] = "MIB",
        [EXPORT_KEY_LIMIT] = "N",
        [EXPORT_KEY_LIMIT_MEBIBYTES] = "MIB",
    };

    return descriptions[key->kind];
}

/* The options of exports come out of their table, so that there is no second list of them. This
 * runs before main() does: a Command is a constant. */
static void __attribute__((constructor)) add_key_options(void)
{
    for (size_t i = 0; export_keys[i].name != NULL; i++) {
        const ExportKey *key = &export_keys[i];

        g_assert(i < MAX_KEYS);
        options[N_OWN_OPTIONS + i] = (GOptionEntry){
            .long_name = key->name,
            .flags = key->kind == EXPORT_KEY_SWITCH ? G_OPTION_FLAG_OPTIONAL_ARG : 0,
            .arg = G_OPTION_ARG_CALLBACK,
            .arg_data = (gpointer)take_value,
            .description = key->help,
            .arg_description = describe_value(key),
        };
    }
}

/*
 * What is known without looking anywhere
 */

static int check_tag(void)
{
    if (tag == NULL)
        return tool_usage("attach: --tag is missing, by which the guest mounts the device");
    if (tag[0] == '\0' || !nodes_tag_is_good(tag))
        return tool_usage("attach: the tag \"%s\" is not printable text of 1 to %d bytes", tag,
                          NODES_TAG_MAX);
    return TOOL_OK;
}

static int check_command_line(const char *path, HotplugRequest *request)
{
    SecurityModel model;
    int status = check_tag();

    if (status != TOOL_OK)
        return status;
    if (path[0] != '/')
        return tool_usage("attach: the path \"%s\" is not absolute; give the full path", path);
    if (strlen(path) >= PATH_MAX)
        return tool_usage("attach: the path is longer than %d bytes", PATH_MAX - 1);
    if (!security_model_parse(request->security_model, &model))
        return tool_usage("attach: there is no security model \"%s\"; give none, passthrough, "
                          "mapped-xattr or mapped-file",
                          request->security_model);
    request->has_devid = devid != NULL;
    if (devid != NULL &&
        (xenstore_parse_uint32(devid, &request->devid) < 0 || request->devid > INT32_MAX))
        return tool_usage("attach: --devid is \"%s\"; give a number from 0 on", devid);
    return TOOL_OK;
}

/* Goes through the options as the daemon will, on top of what its configuration file says. */
static int check_values(ExportOptions *scratch)
{
    for (size_t i = 0; export_keys[i].name != NULL; i++) {
        g_autofree char *right = NULL;

        if (values[i] != NULL && !export_key_set(&export_keys[i], values[i], scratch, &right))
            return tool_usage("attach: --%s is \"%s\"; %s", export_keys[i].name, values[i], right);
    }
    return TOOL_OK;
}

/*
 * The daemon
 */

/* Returns what it says of itself, or NULL after an error that was told. */
static Query *ask_daemon(const Tool *tool, Store *store)
{
    g_autofree char *folder = g_strdup_printf("/local/domain/%u/libxl/xen-9pfs", store->self);
    g_autofree char *state = store_read(store, folder, "state");
    g_autoptr(Query) query = query_new("version", NULL, NULL);

    control_run(tool, &query, 1, CONTROL_DAEMON_LIMIT_MS, NULL, NULL);
    if (query->status == QUERY_COMPLETE && query_find(query, "daemon") != NULL)
        return g_steal_pointer(&query);
    if (state != NULL)
        tool_error("xenstore says that an xen-9pfsd runs, but: %s (\"xen-9pfs check\" tells more)",
                   query->error);
    else
        tool_error("%s", query->error != NULL ? query->error : "the daemon's answer is empty");
    return NULL;
}

/* Of another domain's daemon only xenstore tells. */
static int check_remote_daemon(Store *store, const StoreDomain *domain)
{
    g_autofree char *folder = g_strdup_printf("/local/domain/%u/libxl/xen-9pfs", domain->domid);
    g_autofree char *state = store_read(store, folder, "state");
    g_autofree char *shown = store_domain_describe(domain);

    if (g_strcmp0(state, "running") == 0)
        return TOOL_OK;
    return tool_error("no xen-9pfsd runs in the backend domain %s: start it there, as root, with "
                      "\"systemctl start xen-9pfsd\"",
                      shown);
}

/* Xen's own kind if the daemon serves it; else the one that QEMU serves too, where a guest has one
 * in this domain. Returns NULL after an error that was told. */
static const char *choose_kind(Store *store, const HotplugRequest *request, const Record *daemon)
{
    g_auto(GStrv) served = g_strsplit(record_get_text(daemon, "backend_kinds"), ",", -1);
    g_autofree char *folder =
        g_strdup_printf("/local/domain/%u/device-model/%u", store->self, request->domid);
    g_autofree char *model = store_read(store, folder, "state");

    if (!g_strv_contains((const char *const *)served, "9pfs") ||
        g_strv_contains((const char *const *)served, "xen_9pfs"))
        return "xen_9pfs";
    if (model == NULL)
        return "9pfs";
    tool_error("the daemon serves the kind 9pfs alone, and domain %u has a QEMU that would serve "
               "the device as well; start xen-9pfsd with --backend-kind=xen_9pfs",
               request->domid);
    return NULL;
}

/* The options as the daemon would put them together now. */
static int check_options(const HotplugRequest *request, const StoreDomain *domain,
                         const Record *daemon)
{
    ConfigTarget target = {.path = request->path, .tag = tag, .domain = domain->name};
    ExportOptions scratch = export_default_options;
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = NULL;
    const char *file = daemon != NULL ? record_get_text(daemon, "config") : "";

    if (file[0] != '\0') {
        config = config_read(file, false, &error);
        if (config == NULL)
            return tool_error("the daemon would not serve the device: %s", error->message);
        config_apply(config, &target, &scratch);
    }
    return check_values(&scratch);
}

static int check_path(const char *path)
{
    int error = directory_check(path);

    if (error == 0)
        return TOOL_OK;
    return tool_error("cannot share %s: %s; make it a directory or correct the path", path,
                      g_strerror(error));
}

/*
 * Attaching
 */

static const Column columns[] = {
    {"device", "device", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domain", "domain", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"domid", "domid", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"devid", "devid", COLUMN_NUMBER, COLUMN_EVERYWHERE},
    {"kind", "kind", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"tag", "tag", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"path", "path", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"security_model", "security_model", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {"state", "state", COLUMN_TEXT, COLUMN_EVERYWHERE},
    {NULL, NULL, COLUMN_TEXT, COLUMN_EVERYWHERE},
};

static void print_json(const HotplugRequest *request, const StoreDomain *domain,
                       const Hotplug *hotplug, enum xenbus_state state)
{
    g_autoptr(Record) record = record_new("device");
    g_autofree char *name = g_strdup_printf("%u.%u", hotplug->domid, hotplug->devid);

    record_set(record, "device", name);
    record_set(record, "domain", domain->name);
    record_set_number(record, "domid", hotplug->domid);
    record_set_number(record, "devid", hotplug->devid);
    record_set(record, "kind", hotplug->kind);
    record_set(record, "tag", request->tag);
    record_set(record, "path", request->path);
    record_set(record, "security_model", request->security_model);
    record_set(record, "state", hotplug_state_name(state));
    json_print(json_object_to_node(table_record_to_json(columns, record)), false);
}

static void print_text(const HotplugRequest *request, const StoreDomain *domain,
                       const Hotplug *hotplug, enum xenbus_state state)
{
    g_autofree char *raw = store_domain_describe(domain);
    g_autofree char *shown = text_escape(raw);
    g_autofree char *path = text_escape(request->path);
    g_autofree char *quoted = g_shell_quote(request->tag);
    g_autofree char *mount_tag = text_escape(quoted);

    g_print("Device %u.%u: domain %s has %s%s.\n", hotplug->domid, hotplug->devid, shown, path,
            state == XenbusStateConnected ? ", connected" : ", once its kernel connects");
    g_print("In the guest: mount -t 9p -o trans=xen,version=9p2000.L %s /mnt\n", mount_tag);
}

/* What keeps the device from being served. The caller frees it. */
static char *describe_failure(const HotplugView *view, unsigned seconds)
{
    const char *frontend = hotplug_state_name(view->frontend);

    if (view->error != NULL) {
        const char *text = strchr(view->error, ' '); /* behind the number of the error */

        return g_strdup_printf("the daemon refuses it: %s", text != NULL ? text + 1 : view->error);
    }
    if (view->backend == XenbusStateInitWait && view->frontend == XenbusStateInitialising)
        return g_strdup_printf("the guest has not connected within %u s, its frontend stays "
                               "Initialising; its kernel may lack the 9pfs frontend: \"modprobe "
                               "9pnet_xen\" in a Linux guest",
                               seconds);
    if (view->backend == XenbusStateInitialising)
        return g_strdup_printf("xen-9pfsd has not taken it within %u s", seconds);
    return g_strdup_printf("the backend is %s and the frontend %s after %u s at most",
                           hotplug_state_name(view->backend), frontend, seconds);
}

static int take_back(Store *store, const Hotplug *hotplug, const HotplugView *view,
                     unsigned seconds)
{
    g_autofree char *why = describe_failure(view, seconds);
    g_autoptr(GError) error = NULL;

    if (hotplug_ask_close(store, hotplug, &error) &&
        (hotplug_wait_closed(store, hotplug, CLOSE_SECONDS), true) &&
        hotplug_remove(store, hotplug, &error))
        return tool_error("device %u.%u: %s. It has been removed again", hotplug->domid,
                          hotplug->devid, why);
    tool_error("device %u.%u: %s", hotplug->domid, hotplug->devid, why);
    return tool_error("%s", error->message);
}

/* True when the device is as far as was asked for. */
static bool is_there(const HotplugView *view)
{
    if (view->backend == XenbusStateConnected)
        return true;
    return wait_seconds == 0 &&
           (view->backend == XenbusStateInitWait || view->backend == XenbusStateInitialised);
}

static int attach(const Tool *tool, Store *store, const HotplugRequest *request,
                  const StoreDomain *domain)
{
    unsigned seconds = wait_seconds > 0 ? (unsigned)wait_seconds : OFFER_SECONDS;
    g_autoptr(GError) error = NULL;
    int status = TOOL_OK;
    Hotplug hotplug;
    HotplugView view;

    if (!hotplug_add(store, request, &hotplug, &error))
        return tool_error("%s", error->message);
    hotplug_wait_connected(store, &hotplug, wait_seconds == 0, seconds);
    hotplug_look(store, &hotplug, &view);
    if (!is_there(&view))
        status = take_back(store, &hotplug, &view, seconds);
    else if (tool->json)
        print_json(request, domain, &hotplug, view.backend);
    else
        print_text(request, domain, &hotplug, view.backend);
    hotplug_view_deinit(&view);
    hotplug_deinit(&hotplug);
    return status;
}

/* The directory and the daemon are here. */
static int attach_here(const Tool *tool, Store *store, HotplugRequest *request,
                       const StoreDomain *domain)
{
    g_autoptr(Query) query = ask_daemon(tool, store);
    const Record *daemon = query != NULL ? query_find(query, "daemon") : NULL;
    int status;

    if (daemon == NULL)
        return TOOL_FAILED;
    request->kind = choose_kind(store, request, daemon);
    if (request->kind == NULL)
        return TOOL_FAILED;
    status = check_options(request, domain, daemon);
    if (status == TOOL_OK)
        status = check_path(request->path);
    return status == TOOL_OK ? attach(tool, store, request, domain) : status;
}

/* They are in a driver domain, where nothing can be looked at from here. */
static int attach_elsewhere(const Tool *tool, Store *store, HotplugRequest *request,
                            const StoreDomain *domain, const StoreDomain *server)
{
    int status = check_remote_daemon(store, server);

    request->kind = "xen_9pfs";
    if (status == TOOL_OK)
        status = check_options(request, domain, NULL);
    return status == TOOL_OK ? attach(tool, store, request, domain) : status;
}

/* Finds the domains. */
static int attach_named(const Tool *tool, Store *store, const char *name, HotplugRequest *request)
{
    StoreDomain domain = {0};
    StoreDomain server = {.domid = store->self};
    g_autoptr(GError) error = NULL;
    int status = TOOL_FAILED;

    if (!store_find_domain(store, name, &domain, &error) ||
        (backend != NULL && !store_find_domain(store, backend, &server, &error))) {
        tool_error("%s", error->message);
    } else {
        request->domid = domain.domid;
        request->backend_domid = server.domid;
        status = server.domid == store->self
                     ? attach_here(tool, store, request, &domain)
                     : attach_elsewhere(tool, store, request, &domain, &server);
    }
    store_domain_deinit(&domain);
    store_domain_deinit(&server);
    return status;
}

static int run_attach(const Tool *tool, char **arguments)
{
    HotplugRequest request = {
        .path = arguments[1],
        .security_model = security_model != NULL ? security_model : "none",
        .tag = tag,
        .values = (const char *const *)values,
    };
    g_autoptr(GError) error = NULL;
    int status = check_command_line(arguments[1], &request);
    Store store;

    if (status != TOOL_OK)
        return status;
    if (!store_open(&store, &error))
        return tool_error("%s", error->message);
    status = attach_named(tool, &store, arguments[0], &request);
    store_close(&store);
    return status;
}

const Command command_attach = {
    .name = "attach",
    .arguments = "DOMAIN PATH",
    .help = "Give a running guest a directory",
    .description =
        "The device is one as xl makes them, and \"xl destroy\" removes it. It is not kept in the "
        "guest's\n"
        "configuration: one that is shut down and created again has it no more.\n"
        "The options that are not told of above are those of xen-9pfs.conf(5), for this device.",
    .options = options,
    .min_arguments = 2,
    .max_arguments = 2,
    .json = true,
    .run = run_attach,
};
