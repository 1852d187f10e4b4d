/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices: see devices.h. */
#include "xen-9pfs/tool/devices.h"

#include <string.h>

static bool names_domain(const Record *device, const char *name)
{
    return name[0] != '\0' && (strcmp(record_text(device, "domain"), name) == 0 ||
                               strcmp(record_text(device, "domid"), name) == 0);
}

/* The name of a domain and a tag may have colons, so that each of them may be the right one. */
static bool names_tag(const Record *device, const char *name)
{
    const char *colon = name;

    while ((colon = strchr(colon, ':')) != NULL) {
        g_autofree char *domain = g_strndup(name, (size_t)(colon - name));

        if (names_domain(device, domain) && strcmp(record_text(device, "tag"), ++colon) == 0)
            return true;
    }
    return false;
}

static bool is_meant(const Record *device, const char *name)
{
    g_autofree char *number =
        g_strdup_printf("%s.%s", record_text(device, "domid"), record_text(device, "devid"));

    return strcmp(record_text(device, "device"), name) == 0 || strcmp(number, name) == 0 ||
           names_domain(device, name) || names_tag(device, name);
}

static gint compare_devices(gconstpointer a, gconstpointer b)
{
    static const char *const fields[] = {"domid", "devid"};
    const Record *left = *(Record *const *)a;
    const Record *right = *(Record *const *)b;

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        uint64_t x = record_number(left, fields[i]);
        uint64_t y = record_number(right, fields[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return strcmp(record_text(left, "device"), record_text(right, "device"));
}

static GPtrArray *ask_for_all(const Tool *tool)
{
    g_autoptr(Query) query = control_ask_daemon(tool, "devices");
    GPtrArray *devices;

    if (query == NULL)
        return NULL;
    devices = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    while (query->records->len > 0) {
        Record *record = g_ptr_array_steal_index(query->records, 0);

        if (record_is(record, "device") && record_get(record, "device") != NULL)
            g_ptr_array_add(devices, record);
        else
            record_free(record);
    }
    g_ptr_array_sort(devices, compare_devices);
    return devices;
}

static void complain_unknown(const GPtrArray *all, const char *name)
{
    GString *known = g_string_new(NULL);

    for (guint i = 0; i < all->len; i++) {
        g_autofree char *text = device_describe(g_ptr_array_index(all, i));

        g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", text);
    }
    if (all->len > 0)
        tool_error("no device is \"%s\"; there are: %s", name, known->str);
    else
        tool_error("no device is \"%s\": there is none at all", name);
    g_string_free(known, TRUE);
}

/* Removes those that none of the arguments means. False when one of these means none. */
static bool select_meant(GPtrArray *devices, char **arguments)
{
    g_autoptr(GHashTable) meant = g_hash_table_new(NULL, NULL);

    for (char **name = arguments; *name != NULL; name++) {
        bool found = false;

        for (guint i = 0; i < devices->len; i++) {
            if (is_meant(g_ptr_array_index(devices, i), *name)) {
                g_hash_table_add(meant, g_ptr_array_index(devices, i));
                found = true;
            }
        }
        if (!found) {
            complain_unknown(devices, *name);
            return false;
        }
    }
    for (guint i = devices->len; i > 0; i--) {
        if (!g_hash_table_contains(meant, g_ptr_array_index(devices, i - 1)))
            g_ptr_array_remove_index(devices, i - 1);
    }
    return true;
}

GPtrArray *devices_select(const Tool *tool, char **arguments)
{
    g_autoptr(GPtrArray) devices = ask_for_all(tool);

    if (devices == NULL || (arguments[0] != NULL && !select_meant(devices, arguments)))
        return NULL;
    return g_steal_pointer(&devices);
}

bool device_is_served(const Record *device)
{
    return record_number(device, "worker") != 0;
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
    control_run(tool, (Query *const *)asked->pdata, asked->len, CONTROL_LIMIT_MS, NULL, NULL);
    return queries;
}

char *device_describe(const Record *device)
{
    const char *domain = record_text(device, "domain");
    const char *tag = record_text(device, "tag");

    if (domain[0] == '\0' && tag[0] == '\0')
        return g_strdup(record_text(device, "device"));
    return g_strdup_printf("%s (%s:%s)", record_text(device, "device"), domain, tag);
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
    static const char *const fields[] = {"device", "domain", "domid", "tag"};

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        record_set(record, fields[i], record_get(device, fields[i]));
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
