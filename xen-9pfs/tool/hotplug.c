/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hotplug: see hotplug.h. */
#include "xen-9pfs/tool/hotplug.h"

#include <errno.h>
#include <string.h>

#include "xen-9pfs/nodes.h"
#include "xen-9pfs/tool/text.h"

enum { MAX_WAIT_SECONDS = 24 * 60 * 60 };

/* The kinds of backends. In the frontend's folder and in libxl's a device is always a "9pfs". */
static const char *const kinds[] = {"xen_9pfs", "9pfs"};

/* libxl writes these of the options for each device of kind xen_9pfs, given or not. */
static const char *const always_written[] = {"max-files", "max-space", "max-open-files",
                                             "auto-delete", NULL};

static char *backend_folder(uint32_t backend_domid, const char *kind, uint32_t domid)
{
    return g_strdup_printf("/local/domain/%u/backend/%s/%u", backend_domid, kind, domid);
}

static char *frontend_folder(uint32_t domid)
{
    return g_strdup_printf("/local/domain/%u/device/9pfs", domid);
}

static char *libxl_folder(uint32_t domid)
{
    return g_strdup_printf("/libxl/%u/device/9pfs", domid);
}

static char *append_number(const char *folder, uint32_t number)
{
    return g_strdup_printf("%s/%u", folder, number);
}

static void hotplug_init(Hotplug *hotplug, uint32_t domid, uint32_t devid, uint32_t backend_domid,
                         const char *kind)
{
    g_autofree char *backend = backend_folder(backend_domid, kind, domid);
    g_autofree char *frontend = frontend_folder(domid);
    g_autofree char *libxl = libxl_folder(domid);

    *hotplug = (Hotplug){
        .domid = domid,
        .devid = devid,
        .backend_domid = backend_domid,
        .kind = g_strdup(kind),
        .backend = append_number(backend, devid),
        .frontend = append_number(frontend, devid),
        .libxl = append_number(libxl, devid),
    };
}

void hotplug_deinit(Hotplug *hotplug)
{
    g_clear_pointer(&hotplug->kind, g_free);
    g_clear_pointer(&hotplug->backend, g_free);
    g_clear_pointer(&hotplug->frontend, g_free);
    g_clear_pointer(&hotplug->libxl, g_free);
}

bool hotplug_parse_wait(const char *name, const char *value, int seconds_else, int *seconds,
                        GError **error)
{
    uint64_t number = (uint64_t)seconds_else;
    bool good = value == NULL || text_parse_number(value, &number);

    if (good && number > 0 && number <= MAX_WAIT_SECONDS) {
        *seconds = (int)number;
        return true;
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "%s is \"%s\"; give seconds, from 1 to %d", name, value, MAX_WAIT_SECONDS);
    return false;
}

/*
 * Adding
 */

typedef struct Addition {
    const HotplugRequest *request;
    uint32_t devid;      /* the one that is taken */
    uint32_t tag_holder; /* the device that has the tag, if that is used */
} Addition;

/* Adds the numbers of a folder's children to `used`. */
static int note_devids(Xenstore *store, xs_transaction_t transaction, const char *folder,
                       GHashTable *used)
{
    g_auto(GStrv) names = xenstore_list(store, transaction, folder);
    uint32_t devid;

    if (names == NULL)
        return -errno;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (xenstore_parse_uint32(names[i], &devid) == 0)
            g_hash_table_add(used, GUINT_TO_POINTER(devid));
    }
    return 0;
}

/* The devids of a domain's devices, whoever has written anything of them. */
static int collect_devids(Xenstore *store, xs_transaction_t transaction, uint32_t domid,
                          uint32_t backend_domid, GHashTable *used)
{
    g_autofree char *frontend = frontend_folder(domid);
    g_autofree char *libxl = libxl_folder(domid);
    int rc = note_devids(store, transaction, frontend, used);

    if (rc == 0)
        rc = note_devids(store, transaction, libxl, used);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds) && rc == 0; i++) {
        g_autofree char *backend = backend_folder(backend_domid, kinds[i], domid);

        rc = note_devids(store, transaction, backend, used);
    }
    return rc;
}

/* -EEXIST: one of the devices has this tag, and `*holder` is its devid. */
static int check_tag(Xenstore *store, xs_transaction_t transaction, const HotplugRequest *request,
                     GHashTable *used, uint32_t *holder)
{
    g_autofree char *folder = frontend_folder(request->domid);
    GHashTableIter iter;
    gpointer devid;

    g_hash_table_iter_init(&iter, used);
    while (g_hash_table_iter_next(&iter, &devid, NULL)) {
        g_autofree char *frontend = append_number(folder, GPOINTER_TO_UINT(devid));
        g_autofree char *tag = NULL;
        int rc = xenstore_read_string(store, transaction, frontend, "tag", &tag);

        if (rc < 0 && rc != -ENOENT && rc != -EINVAL)
            return rc;
        *holder = GPOINTER_TO_UINT(devid);
        if (g_strcmp0(tag, request->tag) == 0)
            return -EEXIST;
    }
    return 0;
}

/* -EBUSY: the devid that was asked for is used. */
static int choose_devid(Addition *addition, GHashTable *used)
{
    const HotplugRequest *request = addition->request;

    addition->devid = request->has_devid ? request->devid : 0;
    while (!request->has_devid && g_hash_table_contains(used, GUINT_TO_POINTER(addition->devid)))
        addition->devid++;
    return g_hash_table_contains(used, GUINT_TO_POINTER(addition->devid)) ? -EBUSY : 0;
}

static int choose_place(Xenstore *store, xs_transaction_t transaction, Addition *addition)
{
    const HotplugRequest *request = addition->request;
    GHashTable *used = g_hash_table_new(NULL, NULL);
    int rc = collect_devids(store, transaction, request->domid, request->backend_domid, used);

    if (rc == 0)
        rc = check_tag(store, transaction, request, used, &addition->tag_holder);
    if (rc == 0)
        rc = choose_devid(addition, used);
    g_hash_table_destroy(used);
    return rc;
}

/* What stands for a switch is 0 or 1 in xenstore, as libxl has it. */
static const char *value_for_node(const ExportKey *key, const char *value)
{
    ExportOptions scratch = export_default_options;
    g_autofree char *right = NULL;

    if (key->kind != EXPORT_KEY_SWITCH || !export_key_set(key, value, &scratch, &right))
        return value;
    return *(const bool *)((const char *)&scratch + key->field) ? "1" : "0";
}

static int write_options(Xenstore *store, xs_transaction_t transaction, const char *folder,
                         const HotplugRequest *request)
{
    bool is_own_kind = strcmp(request->kind, kinds[0]) == 0;
    int rc = 0;

    for (size_t i = 0; export_keys[i].name != NULL && rc == 0; i++) {
        g_autofree char *name = nodes_key_name(&export_keys[i]);
        const char *value = request->values[i];

        if (value != NULL)
            value = value_for_node(&export_keys[i], value);
        else if (is_own_kind && g_strv_contains(always_written, export_keys[i].name))
            value = "0";
        if (value != NULL)
            rc = xenstore_write(store, transaction, folder, name, "%s", value);
    }
    return rc;
}

/* What libxl tells the backend; it writes the same into its own folder. */
static int write_backend_nodes(Xenstore *store, xs_transaction_t transaction, const char *folder,
                               const HotplugRequest *request)
{
    int rc = xenstore_write(store, transaction, folder, "frontend-id", "%u", request->domid);

    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "online", "1");
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "state", "%d", XenbusStateInitialising);
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "path", "%s", request->path);
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "security_model", "%s",
                            request->security_model);
    return rc == 0 ? write_options(store, transaction, folder, request) : rc;
}

static int write_libxl(Xenstore *store, xs_transaction_t transaction, const Hotplug *hotplug,
                       const HotplugRequest *request)
{
    int rc = xenstore_remove(store, transaction, hotplug->libxl);

    if (rc == 0)
        rc =
            xenstore_write(store, transaction, hotplug->libxl, "frontend", "%s", hotplug->frontend);
    if (rc == 0)
        rc = xenstore_write(store, transaction, hotplug->libxl, "backend", "%s", hotplug->backend);
    return rc == 0 ? write_backend_nodes(store, transaction, hotplug->libxl, request) : rc;
}

static int write_frontend(Xenstore *store, xs_transaction_t transaction, const Hotplug *hotplug,
                          const HotplugRequest *request)
{
    const char *folder = hotplug->frontend;
    int rc =
        xenstore_make_folder(store, transaction, folder, hotplug->domid, hotplug->backend_domid);

    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "backend", "%s", hotplug->backend);
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "backend-id", "%u", hotplug->backend_domid);
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "state", "%d", XenbusStateInitialising);
    if (rc == 0)
        rc = xenstore_write(store, transaction, folder, "tag", "%s", request->tag);
    return rc;
}

static int write_backend(Xenstore *store, xs_transaction_t transaction, const Hotplug *hotplug,
                         const HotplugRequest *request)
{
    int rc = xenstore_make_folder(store, transaction, hotplug->backend, hotplug->backend_domid,
                                  hotplug->domid);

    if (rc == 0)
        rc = xenstore_write(store, transaction, hotplug->backend, "frontend", "%s",
                            hotplug->frontend);
    return rc == 0 ? write_backend_nodes(store, transaction, hotplug->backend, request) : rc;
}

static int add_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    Addition *addition = data;
    const HotplugRequest *request = addition->request;
    int rc = choose_place(store, transaction, addition);
    Hotplug hotplug;

    if (rc < 0)
        return rc;
    hotplug_init(&hotplug, request->domid, addition->devid, request->backend_domid, request->kind);
    rc = write_libxl(store, transaction, &hotplug, request);
    if (rc == 0)
        rc = write_frontend(store, transaction, &hotplug, request);
    if (rc == 0)
        rc = write_backend(store, transaction, &hotplug, request);
    hotplug_deinit(&hotplug);
    return rc;
}

static bool set_add_error(int rc, const Addition *addition, GError **error)
{
    const HotplugRequest *request = addition->request;

    if (rc == -EEXIST)
        g_set_error(error, STORE_ERROR, EEXIST,
                    "domain %u has a device with the tag \"%s\" already, %u.%u; take another --tag",
                    request->domid, request->tag, request->domid, addition->tag_holder);
    else if (rc == -EBUSY)
        g_set_error(error, STORE_ERROR, EBUSY,
                    "domain %u has a device %u already; leave --devid out to get a free one",
                    request->domid, addition->devid);
    else
        g_set_error(error, STORE_ERROR, -rc, "cannot write the device to xenstore: %s",
                    g_strerror(-rc));
    return false;
}

bool hotplug_add(Store *store, const HotplugRequest *request, Hotplug *hotplug, GError **error)
{
    Addition addition = {.request = request};
    int rc = xenstore_transact(store->xs, add_in_transaction, &addition);

    if (rc < 0)
        return set_add_error(rc, &addition, error);
    hotplug_init(hotplug, request->domid, addition.devid, request->backend_domid, request->kind);
    return true;
}

/*
 * Finding
 */

/* Fills in `hotplug` from the path of the backend's folder, if that is one of this very device. */
static bool parse_backend(const char *path, uint32_t domid, uint32_t devid, Hotplug *hotplug)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    uint32_t backend_domid;

    if (g_strv_length(parts) < 6 || xenstore_parse_uint32(parts[3], &backend_domid) < 0)
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(parts[5], kinds[i]) != 0)
            continue;
        hotplug_init(hotplug, domid, devid, backend_domid, kinds[i]);
        if (strcmp(hotplug->backend, path) == 0)
            return true;
        hotplug_deinit(hotplug);
    }
    return false;
}

/* A device that libxl does not know is one of this domain's, or unknown to us as well. */
static bool find_own_backend(Store *store, uint32_t domid, uint32_t devid, Hotplug *hotplug)
{
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *state = NULL;

        hotplug_init(hotplug, domid, devid, store->self, kinds[i]);
        state = store_read(store, hotplug->backend, "frontend");
        if (state != NULL)
            return true;
        hotplug_deinit(hotplug);
    }
    return false;
}

static bool locate(Store *store, uint32_t domid, uint32_t devid, Hotplug *hotplug)
{
    g_autofree char *folder = libxl_folder(domid);
    g_autofree char *libxl = append_number(folder, devid);
    g_autofree char *backend = store_read(store, libxl, "backend");

    if (backend != NULL && parse_backend(backend, domid, devid, hotplug))
        return true;
    return find_own_backend(store, domid, devid, hotplug);
}

char *hotplug_read_tag(Store *store, const Hotplug *hotplug)
{
    return store_read(store, hotplug->frontend, "tag");
}

/* How many devices of the domain have the tag; `*devid` is one of them. */
static unsigned count_tag(Store *store, uint32_t domid, GHashTable *used, const char *tag,
                          uint32_t *devid)
{
    g_autofree char *folder = frontend_folder(domid);
    unsigned found = 0;
    GHashTableIter iter;
    gpointer number;

    g_hash_table_iter_init(&iter, used);
    while (g_hash_table_iter_next(&iter, &number, NULL)) {
        g_autofree char *frontend = append_number(folder, GPOINTER_TO_UINT(number));
        g_autofree char *other = store_read(store, frontend, "tag");

        if (g_strcmp0(other, tag) != 0)
            continue;
        *devid = GPOINTER_TO_UINT(number);
        found++;
    }
    return found;
}

bool hotplug_find(Store *store, uint32_t domid, const char *text, Hotplug *hotplug, GError **error)
{
    GHashTable *used = g_hash_table_new(NULL, NULL);
    int rc = collect_devids(store->xs, XBT_NULL, domid, store->self, used);
    uint32_t devid = 0;
    unsigned n_tags = count_tag(store, domid, used, text, &devid);
    bool is_known = n_tags == 1 || (n_tags == 0 && xenstore_parse_uint32(text, &devid) == 0);

    g_hash_table_destroy(used);
    if (rc < 0)
        g_set_error(error, STORE_ERROR, -rc, "cannot read xenstore: %s", g_strerror(-rc));
    else if (n_tags > 1)
        g_set_error(error, STORE_ERROR, EEXIST,
                    "domain %u has %u devices with the tag \"%s\"; name one by its number, which "
                    "`xen-9pfs list` shows behind the point",
                    domid, n_tags, text);
    else if (!is_known || !locate(store, domid, devid, hotplug))
        g_set_error(error, STORE_ERROR, ENOENT,
                    "domain %u has no 9pfs device \"%s\"; `xen-9pfs list` shows those there are",
                    domid, text);
    else
        return true;
    return false;
}

/*
 * Looking and waiting
 */

static enum xenbus_state read_state(Store *store, const char *folder)
{
    uint32_t number;

    if (xenstore_read_uint32(store->xs, XBT_NULL, folder, "state", &number) < 0 ||
        number > XenbusStateReconfigured)
        return XenbusStateUnknown;
    return (enum xenbus_state)number;
}

void hotplug_look(Store *store, const Hotplug *hotplug, HotplugView *view)
{
    g_autofree char *folder =
        g_strdup_printf("/local/domain/%u/error/backend/%s/%u/%u", hotplug->backend_domid,
                        hotplug->kind, hotplug->domid, hotplug->devid);

    view->backend = read_state(store, hotplug->backend);
    view->frontend = read_state(store, hotplug->frontend);
    view->error = store_read(store, folder, "error");
}

void hotplug_view_deinit(HotplugView *view)
{
    g_clear_pointer(&view->error, g_free);
}

const char *hotplug_state_name(enum xenbus_state state)
{
    static const char *const names[] = {
        [XenbusStateUnknown] = "gone",
        [XenbusStateInitialising] = "Initialising",
        [XenbusStateInitWait] = "InitWait",
        [XenbusStateInitialised] = "Initialised",
        [XenbusStateConnected] = "Connected",
        [XenbusStateClosing] = "Closing",
        [XenbusStateClosed] = "Closed",
        [XenbusStateReconfiguring] = "Reconfiguring",
        [XenbusStateReconfigured] = "Reconfigured",
    };

    return names[state];
}

typedef struct Wait {
    const Hotplug *hotplug;
    bool offered;
} Wait;

/* A backend that is not Initialising any more has either got on or given up. */
static bool has_got_on(Store *store, void *data)
{
    const Wait *wait = data;

    switch (read_state(store, wait->hotplug->backend)) {
    case XenbusStateInitialising:
        return false;
    case XenbusStateInitWait:
    case XenbusStateInitialised:
        return wait->offered;
    default:
        return true;
    }
}

static bool is_closed(Store *store, void *data)
{
    const Wait *wait = data;
    enum xenbus_state state = read_state(store, wait->hotplug->backend);

    return state == XenbusStateClosed || state == XenbusStateUnknown;
}

static bool wait_for(Store *store, StoreCondition condition, Wait *wait, unsigned seconds)
{
    const Hotplug *hotplug = wait->hotplug;

    return store_wait(store, hotplug->backend, hotplug->frontend, condition, wait, seconds);
}

bool hotplug_wait_connected(Store *store, const Hotplug *hotplug, bool offered, unsigned seconds)
{
    Wait wait = {.hotplug = hotplug, .offered = offered};

    return wait_for(store, has_got_on, &wait, seconds);
}

bool hotplug_wait_closed(Store *store, const Hotplug *hotplug, unsigned seconds)
{
    Wait wait = {.hotplug = hotplug};

    return wait_for(store, is_closed, &wait, seconds);
}

/*
 * Removing
 */

static int close_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    const Hotplug *hotplug = data;
    uint32_t state = XenbusStateUnknown;
    int rc = xenstore_read_uint32(store, transaction, hotplug->backend, "state", &state);

    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EINVAL)
        return rc;
    rc = xenstore_write(store, transaction, hotplug->backend, "online", "0");
    if (rc == 0 && state != XenbusStateClosed)
        rc =
            xenstore_write(store, transaction, hotplug->backend, "state", "%d", XenbusStateClosing);
    return rc;
}

static int remove_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    const Hotplug *hotplug = data;
    int rc = xenstore_prune(store, transaction, hotplug->frontend);

    if (rc == 0)
        rc = xenstore_prune(store, transaction, hotplug->libxl);
    if (rc == 0)
        rc = xenstore_prune(store, transaction, hotplug->backend);
    return rc;
}

static bool transact(Store *store, XenstoreBody body, const Hotplug *hotplug, const char *what,
                     GError **error)
{
    int rc = xenstore_transact(store->xs, body, (gpointer)hotplug);

    if (rc < 0)
        g_set_error(error, STORE_ERROR, -rc, "cannot %s device %u.%u in xenstore: %s", what,
                    hotplug->domid, hotplug->devid, g_strerror(-rc));
    return rc == 0;
}

bool hotplug_ask_close(Store *store, const Hotplug *hotplug, GError **error)
{
    return transact(store, close_in_transaction, hotplug, "close", error);
}

bool hotplug_remove(Store *store, const Hotplug *hotplug, GError **error)
{
    return transact(store, remove_in_transaction, hotplug, "remove", error);
}
