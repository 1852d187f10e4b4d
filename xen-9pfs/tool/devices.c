/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices: see devices.h. */
#include "xen-9pfs/tool/devices.h"

#include <string.h>

static bool names_domain(const Record *device, const char *name)
{
    return name[0] != '\0' && (strcmp(record_get_text(device, "domain"), name) == 0 ||
                               strcmp(record_get_text(device, "domid"), name) == 0);
}

/* The name of a domain and a tag may have colons, so that each of them may be the right one. */
static bool names_tag(const Record *device, const char *name)
{
    for (const char *colon = strchr(name, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        g_autofree char *domain = g_strndup(name, (size_t)(colon - name));

        if (names_domain(device, domain) && strcmp(record_get_text(device, "tag"), colon + 1) == 0)
            return true;
    }
    return false;
}

static bool is_meant(const Record *device, const char *name)
{
    g_autofree char *number = g_strdup_printf("%s.%s", record_get_text(device, "domid"),
                                              record_get_text(device, "devid"));

    return strcmp(record_get_text(device, "device"), name) == 0 || strcmp(number, name) == 0 ||
           names_domain(device, name) || names_tag(device, name);
}

static gint compare_devices(gconstpointer a, gconstpointer b)
{
    static const char *const fields[] = {"domid", "devid"};
    const Record *left = *(Record *const *)a;
    const Record *right = *(Record *const *)b;

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        uint64_t x = record_get_number(left, fields[i]);
        uint64_t y = record_get_number(right, fields[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return strcmp(record_get_text(left, "device"), record_get_text(right, "device"));
}

void devices_filter(GPtrArray *records, bool (*keep)(const Record *record))
{
    gsize n = 0;
    g_autofree gpointer *all = g_ptr_array_steal(records, &n);

    for (gsize i = 0; i < n; i++) {
        if (keep(all[i]))
            g_ptr_array_add(records, all[i]);
        else
            record_free(all[i]);
    }
}

static bool is_device(const Record *record)
{
    return record_is(record, "device") && record_get(record, "device") != NULL;
}

static GPtrArray *ask_for_all(const Tool *tool, char **error)
{
    g_autoptr(Query) query = query_new("devices", NULL, NULL);
    GPtrArray *devices;

    control_run(tool, &query, 1, CONTROL_DAEMON_LIMIT_MS, NULL, NULL);
    if (query->status != QUERY_COMPLETE) {
        *error = g_strdup(query->error);
        return NULL;
    }
    devices = g_ptr_array_ref(query->records);
    devices_filter(devices, is_device);
    g_ptr_array_sort(devices, compare_devices);
    return devices;
}

static char *describe_unknown(const GPtrArray *all, const char *name)
{
    GString *text = g_string_new(NULL);

    if (all->len == 0)
        g_string_printf(text, "no device is \"%s\": there is none at all", name);
    else
        g_string_printf(text, "no device is \"%s\"; there are:", name);
    for (guint i = 0; i < all->len; i++) {
        g_autofree char *device = device_describe(g_ptr_array_index(all, i));

        g_string_append_printf(text, "%s %s", i > 0 ? "," : "", device);
    }
    return g_string_free(text, FALSE);
}

/* Adds the devices that `name` means. False when there is none. */
static bool add_meant(GHashTable *meant, const GPtrArray *devices, const char *name)
{
    bool found = false;

    for (guint i = 0; i < devices->len; i++) {
        if (is_meant(g_ptr_array_index(devices, i), name)) {
            g_hash_table_add(meant, g_ptr_array_index(devices, i));
            found = true;
        }
    }
    return found;
}

GPtrArray *devices_find(const Tool *tool, char **arguments, char **error)
{
    g_autoptr(GPtrArray) all = ask_for_all(tool, error);
    g_autoptr(GHashTable) meant = g_hash_table_new(NULL, NULL);

    for (char **name = arguments; all != NULL && *name != NULL; name++) {
        if (!add_meant(meant, all, *name)) {
            *error = describe_unknown(all, *name);
            return NULL;
        }
    }
    for (guint i = all != NULL && arguments[0] != NULL ? all->len : 0; i > 0; i--) {
        if (!g_hash_table_contains(meant, g_ptr_array_index(all, i - 1)))
            g_ptr_array_remove_index(all, i - 1);
    }
    return g_steal_pointer(&all);
}

GPtrArray *devices_select(const Tool *tool, char **arguments)
{
    g_autofree char *error = NULL;
    GPtrArray *devices = devices_find(tool, arguments, &error);

    if (devices == NULL)
        tool_error("%s", error);
    return devices;
}

bool device_is_served(const Record *device)
{
    return record_get_number(device, "worker") != 0;
}

GPtrArray *devices_ask(const Tool *tool, const GPtrArray *devices, const char *command)
{
    GPtrArray *queries = g_ptr_array_new_with_free_func((GDestroyNotify)query_free);
    g_autoptr(GPtrArray) asked = g_ptr_array_new();

    for (guint i = 0; i < devices->len; i++) {
        Record *device = g_ptr_array_index(devices, i);
        Query *query = query_new(command, record_get(device, "device"), NULL);

        query->context = device;
        query->status = QUERY_COMPLETE;
        g_ptr_array_add(queries, query);
        if (device_is_served(device))
            g_ptr_array_add(asked, query);
    }
    control_run(tool, (Query *const *)asked->pdata, asked->len, (int)(tool->timeout * 1000), NULL,
                NULL);
    return queries;
}

char *device_describe(const Record *device)
{
    const char *domain = record_get_text(device, "domain");
    const char *tag = record_get_text(device, "tag");

    if (domain[0] == '\0' && tag[0] == '\0')
        return g_strdup(record_get_text(device, "device"));
    return g_strdup_printf("%s (%s:%s)", record_get_text(device, "device"), domain, tag);
}

int devices_report(const GPtrArray *queries)
{
    int status = TOOL_OK;

    for (guint i = 0; i < queries->len; i++) {
        const Query *query = g_ptr_array_index(queries, i);
        g_autofree char *device = device_describe(query->context);

        if (query->status != QUERY_COMPLETE)
            status = tool_error("device %s: %s", device, query->error);
    }
    return status;
}

void device_label(Record *record, const Record *device)
{
    record_set(record, "device", record_get(device, "device"));
    record_set(record, "domain", record_get(device, "domain"));
    record_set(record, "domid", record_get(device, "domid"));
    record_set(record, "mount_tag", record_get(device, "tag"));
}

GPtrArray *devices_collect(const GPtrArray *queries, const char *kind)
{
    GPtrArray *collected = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);

    for (guint i = 0; i < queries->len; i++) {
        const Query *query = g_ptr_array_index(queries, i);

        for (guint j = 0; j < query->records->len; j++) {
            const Record *record = g_ptr_array_index(query->records, j);
            Record *copy;

            if (!record_is(record, kind))
                continue;
            copy = record_new(kind);
            record_merge(copy, record);
            device_label(copy, query->context);
            g_ptr_array_add(collected, copy);
        }
    }
    return collected;
}
