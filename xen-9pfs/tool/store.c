/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Store: see store.h. */
#include "xen-9pfs/tool/store.h"

#include <errno.h>
#include <xen/xen.h>

#define DOMAINS "/local/domain"

static void on_event(const char *path, const char *token, void *data)
{
    Store *store = data;

    (void)path;
    (void)token;
    store->changed = true;
}

static void on_lost(void *data)
{
    Store *store = data;

    store->lost = true;
}

/* A dom0 whose boot scripts never wrote its number is 0. */
static bool find_self(Store *store, GError **error)
{
    int rc = xenstore_read_own_domid(store->xs, &store->self);

    if (rc == -ENOENT)
        store->self = 0;
    if (rc == 0 || rc == -ENOENT)
        return true;
    g_set_error(error, STORE_ERROR, -rc, "cannot read xenstore: %s", g_strerror(-rc));
    return false;
}

bool store_open(Store *store, GError **error)
{
    *store = (Store){.xs = xenstore_open(on_event, on_lost, store)};
    if (store->xs == NULL) {
        g_set_error(
            error, STORE_ERROR, errno,
            "cannot connect to xenstore: %s; this needs root, in a domain with xenstored or "
            "/dev/xen/xenbus",
            g_strerror(errno));
        return false;
    }
    if (find_self(store, error))
        return true;
    xenstore_close(store->xs);
    return false;
}

void store_close(Store *store)
{
    xenstore_close(store->xs);
}

char *store_read(Store *store, const char *folder, const char *name)
{
    char *value;

    xenstore_read_string(store->xs, XBT_NULL, folder, name, &value);
    return value;
}

static char *read_name(Store *store, const char *domid)
{
    g_autofree char *home = g_strconcat(DOMAINS "/", domid, NULL);

    return store_read(store, home, "name");
}

/* The number of the domain called `name`, as text, or NULL. */
static char *find_name(Store *store, const char *name)
{
    g_auto(GStrv) domids = xenstore_list(store->xs, XBT_NULL, DOMAINS);

    for (size_t i = 0; domids != NULL && domids[i] != NULL; i++) {
        g_autofree char *other = read_name(store, domids[i]);

        if (g_strcmp0(other, name) == 0)
            return g_strdup(domids[i]);
    }
    return NULL;
}

/* A name of digits alone is the number first, as it is for xl. */
bool store_find_domain(Store *store, const char *text, StoreDomain *domain, GError **error)
{
    bool is_number = xenstore_parse_uint32(text, &domain->domid) == 0;
    g_autofree char *found = is_number ? NULL : find_name(store, text);

    domain->name = NULL;
    if (!is_number && (found == NULL || xenstore_parse_uint32(found, &domain->domid) < 0)) {
        g_set_error(error, STORE_ERROR, ENOENT,
                    "there is no domain called \"%s\"; `xl list` shows those there are", text);
        return false;
    }
    if (domain->domid >= DOMID_FIRST_RESERVED || !xenstore_knows_domain(store->xs, domain->domid)) {
        g_set_error(
            error, STORE_ERROR, ESRCH,
            "domain %s does not run, or is being destroyed; `xl list` shows those there are", text);
        return false;
    }
    if (found == NULL)
        found = g_strdup_printf("%u", domain->domid);
    domain->name = read_name(store, found);
    return true;
}

void store_domain_deinit(StoreDomain *domain)
{
    g_clear_pointer(&domain->name, g_free);
}

char *store_domain_describe(const StoreDomain *domain)
{
    return domain->name != NULL ? g_strdup_printf("%s (%u)", domain->name, domain->domid)
                                : g_strdup_printf("%u", domain->domid);
}

static gboolean on_time_over(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Setting a watch fires it, so that no change before it is missed. */
bool store_wait(Store *store, const char *first, const char *second, StoreCondition condition,
                void *data, unsigned seconds)
{
    bool over = false;
    guint timer = g_timeout_add_seconds(seconds, on_time_over, &over);
    bool met;

    xenstore_watch(store->xs, first, "first");
    if (second != NULL)
        xenstore_watch(store->xs, second, "second");
    while (!(met = condition(store, data)) && !over && !store->lost) {
        store->changed = false;
        while (!store->changed && !over && !store->lost)
            g_main_context_iteration(NULL, TRUE);
    }
    xenstore_unwatch(store->xs, first, "first");
    if (second != NULL)
        xenstore_unwatch(store->xs, second, "second");
    if (!over)
        g_source_remove(timer);
    return met;
}
