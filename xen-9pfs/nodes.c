/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes: see nodes.h. */
#include "xen-9pfs/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xen/xen.h>

#include "common/log.h"

enum {
    MAX_RING_PAGE_ORDER = 9,
    NODE_NAME_SIZE = 32,
};

#define PROTOCOL_VERSION 1

G_DEFINE_QUARK(xen - 9pfs - nodes - error, nodes_error)

/* Takes the part of `*text` before the next slash; `*text` is then what follows it, or empty. */
static char *next_part(const char **text)
{
    size_t length = strcspn(*text, "/");
    char *part = g_strndup(*text, length);

    *text += length;
    if (**text == '/')
        (*text)++;
    return part;
}

bool device_key_parse(const char *text, DeviceKey *key)
{
    g_autofree char *kind = next_part(&text);
    g_autofree char *domid = next_part(&text);
    g_autofree char *devid = next_part(&text);

    if (kind[0] == '\0' || g_strlcpy(key->kind, kind, sizeof(key->kind)) >= sizeof(key->kind))
        return false;
    return xenstore_parse_uint32(domid, &key->domid) == 0 && key->domid < DOMID_FIRST_RESERVED &&
           xenstore_parse_uint32(devid, &key->devid) == 0;
}

void nodes_init(Nodes *nodes, Xenstore *store, const DeviceKey *key)
{
    nodes->store = store;
    nodes->backend = g_strdup_printf("backend/%s/%u/%u", key->kind, key->domid, key->devid);
    nodes->error = g_strconcat("error/", nodes->backend, NULL);
    nodes->frontend = NULL;
}

void nodes_deinit(Nodes *nodes)
{
    g_free(nodes->backend);
    g_free(nodes->error);
    g_free(nodes->frontend);
}

/* True for the ways in which a node can fail to have a usable value; otherwise xenstore failed. */
static bool is_about_node(int rc)
{
    return rc == -ENOENT || rc == -EACCES || rc == -EINVAL || rc == -ENOTDIR;
}

static int read_state(const Nodes *nodes, xs_transaction_t transaction, const char *folder,
                      enum xenbus_state *state)
{
    uint32_t number;
    int rc = xenstore_read_uint32(nodes->store, transaction, folder, "state", &number);

    *state = XenbusStateUnknown;
    if (rc < 0)
        return is_about_node(rc) ? 0 : rc;
    if (number <= XenbusStateReconfigured)
        *state = (enum xenbus_state)number;
    return 0;
}

/* The toolstack links the two folders; a device without that node does not exist for us. */
static int find_frontend(Nodes *nodes, bool *exists)
{
    g_autofree char *path = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->backend, "frontend", &path);

    *exists = rc == 0;
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (g_strcmp0(path, nodes->frontend) != 0) {
        g_free(nodes->frontend);
        nodes->frontend = g_steal_pointer(&path);
    }
    return 0;
}

int nodes_look(Nodes *nodes, NodesView *view)
{
    uint32_t online;
    int rc;

    memset(view, 0, sizeof(*view));
    rc = find_frontend(nodes, &view->exists);
    if (rc < 0 || !view->exists)
        return rc;
    rc = read_state(nodes, XBT_NULL, nodes->backend, &view->backend);
    if (rc < 0)
        return rc;
    rc = xenstore_read_uint32(nodes->store, XBT_NULL, nodes->backend, "online", &online);
    if (rc < 0 && !is_about_node(rc))
        return rc;
    view->online = rc < 0 || online != 0;
    return read_state(nodes, XBT_NULL, nodes->frontend, &view->frontend);
}

typedef struct Move {
    const Nodes *nodes;
    enum xenbus_state from;
    enum xenbus_state to;
} Move;

static int publish(const Nodes *nodes, xs_transaction_t transaction)
{
    static const struct {
        const char *name;
        unsigned value;
    } offers[] = {
        {"versions", PROTOCOL_VERSION},
        {"max-rings", LINK_MAX_RINGS},
        {"max-ring-page-order", MAX_RING_PAGE_ORDER},
    };
    int rc = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(offers) && rc == 0; i++)
        rc = xenstore_write(nodes->store, transaction, nodes->backend, offers[i].name, "%u",
                            offers[i].value);
    return rc;
}

static int move_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    const Move *move = data;
    const Nodes *nodes = move->nodes;
    g_autofree char *unused = NULL;
    enum xenbus_state now;
    int rc;

    rc = xenstore_read_string(store, transaction, nodes->backend, "frontend", &unused);
    if (rc == 0)
        rc = read_state(nodes, transaction, nodes->backend, &now);
    if (rc == 0 && now != move->from)
        rc = -ESTALE;
    if (rc == 0 && move->to == XenbusStateInitWait)
        rc = publish(nodes, transaction);
    if (rc == 0 && move->to != move->from)
        rc = xenstore_write(store, transaction, nodes->backend, "state", "%u", move->to);
    return rc;
}

int nodes_move(const Nodes *nodes, enum xenbus_state from, enum xenbus_state to)
{
    Move move = {.nodes = nodes, .from = from, .to = to};

    return xenstore_transact(nodes->store, move_in_transaction, &move);
}

static void set_error(GError **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void set_error(GError **error, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    *error = g_error_new_valist(NODES_ERROR, code, format, args);
    va_end(args);
}

static bool read_path(const Nodes *nodes, LinkSetup *setup, GError **error)
{
    g_autofree char *path = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->backend, "path", &path);
    g_autofree char *shown = rc == 0 ? log_escape(path, strlen(path)) : NULL;

    if (rc < 0)
        set_error(error, -rc, "the device has no path; name the directory to serve");
    else if (path[0] != '/')
        set_error(error, EINVAL, "the path \"%s\" is not absolute; give the full path", shown);
    else if (g_strlcpy(setup->path, path, sizeof(setup->path)) >= sizeof(setup->path))
        set_error(error, ENAMETOOLONG, "the path \"%s\" is too long", shown);
    return *error == NULL;
}

#define MODELS "none, passthrough, mapped-xattr or mapped-file"

static bool read_security_model(const Nodes *nodes, LinkSetup *setup, GError **error)
{
    g_autofree char *model = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->backend, "security_model", &model);

    if (rc < 0) {
        set_error(error, -rc, "the device has no security_model; use " MODELS);
        return false;
    }
    if (!security_model_parse(model, &setup->options.model)) {
        g_autofree char *shown = log_escape(model, strlen(model));

        set_error(error, EINVAL, "unknown security_model \"%s\"; use " MODELS, shown);
        return false;
    }
    return true;
}

bool nodes_read_config(const Nodes *nodes, LinkSetup *setup, GError **error)
{
    setup->options = export_default_options;
    return read_path(nodes, setup, error) && read_security_model(nodes, setup, error);
}

/* Xenstore has no points in names. */
char *nodes_key_name(const ExportKey *key)
{
    return g_strdelimit(g_strdup(key->name), ".", '-');
}

static bool read_option(const Nodes *nodes, const ExportKey *key, const char *name,
                        ExportOptions *options, GError **error)
{
    g_autofree char *text = NULL;
    g_autofree char *right = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->backend, name, &text);
    bool good = rc == 0;

    if (good && key->zero_says_nothing && strcmp(text, "0") == 0)
        return true;
    if (good)
        good = export_key_set(key, text, options, &right);
    if (rc < 0) {
        set_error(error, -rc, "cannot read the device's %s: %s", name, g_strerror(-rc));
    } else if (!good) {
        g_autofree char *shown = log_escape(text, strlen(text));

        set_error(error, EINVAL, "the device's %s is \"%s\"; %s", name, shown, right);
    }
    return good;
}

bool nodes_read_options(const Nodes *nodes, ExportOptions *options, GError **error)
{
    g_auto(GStrv) names = xenstore_list(nodes->store, XBT_NULL, nodes->backend);

    if (names == NULL) {
        set_error(error, errno, "cannot list %s: %s", nodes->backend, g_strerror(errno));
        return false;
    }
    for (const ExportKey *key = export_keys; key->name; key++) {
        g_autofree char *name = nodes_key_name(key);
        bool there = g_strv_contains((const char *const *)names, name);

        if (there && !read_option(nodes, key, name, options, error))
            return false;
    }
    return true;
}

char *nodes_read_domain_name(const Nodes *nodes, uint32_t domid)
{
    g_autofree char *folder = g_strdup_printf("/local/domain/%u", domid);
    char *name;

    xenstore_read_string(nodes->store, XBT_NULL, folder, "name", &name);
    return name;
}

/* Reads a number that must lie between `min` and `max`. */
static bool read_number(const Nodes *nodes, const char *name, uint32_t min, uint32_t max,
                        uint32_t *value, GError **error)
{
    g_autofree char *text = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->frontend, name, &text);

    if (rc < 0) {
        set_error(error, -rc, "cannot read the frontend's %s: %s", name, g_strerror(-rc));
        return false;
    }
    if (xenstore_parse_uint32(text, value) < 0 || *value < min || *value > max) {
        g_autofree char *shown = log_escape(text, strlen(text));

        set_error(error, EINVAL, "the frontend's %s is \"%s\", not a number from %u to %u", name,
                  shown, min, max);
        return false;
    }
    return true;
}

static bool read_ring(const Nodes *nodes, unsigned ring, LinkSetup *setup, GError **error)
{
    char ref[NODE_NAME_SIZE];
    char port[NODE_NAME_SIZE];

    snprintf(ref, sizeof(ref), "ring-ref%u", ring);
    snprintf(port, sizeof(port), "event-channel-%u", ring);
    return read_number(nodes, ref, 1, UINT32_MAX, &setup->ring_ref[ring], error) &&
           read_number(nodes, port, 1, UINT32_MAX, &setup->event_channel[ring], error);
}

bool nodes_tag_is_good(const char *tag)
{
    bool good = strlen(tag) <= NODES_TAG_MAX && g_utf8_validate(tag, -1, NULL);

    for (const char *c = tag; good && *c != '\0'; c = g_utf8_next_char(c))
        good = !g_unichar_iscntrl(g_utf8_get_char(c));
    return good;
}

char *nodes_read_tag(const Nodes *nodes)
{
    g_autofree char *tag = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->frontend, "tag", &tag);

    return rc == 0 && nodes_tag_is_good(tag) ? g_steal_pointer(&tag) : NULL;
}

/* The mount tag is the frontend's own business; but one that is not text says that the frontend
 * is broken, and would spoil every list it appears in. A missing one harms nobody. */
static bool check_tag(const Nodes *nodes, GError **error)
{
    g_autofree char *tag = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->frontend, "tag", &tag);
    bool good = rc == 0 ? nodes_tag_is_good(tag) : rc == -ENOENT;

    if (!good) {
        g_autofree char *shown = log_escape(tag != NULL ? tag : "", tag != NULL ? strlen(tag) : 0);

        set_error(error, EINVAL, "the tag \"%s\" is not printable text of at most %d bytes", shown,
                  NODES_TAG_MAX);
    }
    return good;
}

bool nodes_read_frontend(const Nodes *nodes, LinkSetup *setup, GError **error)
{
    uint32_t version;

    if (!read_number(nodes, "version", PROTOCOL_VERSION, PROTOCOL_VERSION, &version, error) ||
        !read_number(nodes, "num-rings", 1, LINK_MAX_RINGS, &setup->n_rings, error) ||
        !check_tag(nodes, error))
        return false;
    for (unsigned ring = 0; ring < setup->n_rings; ring++) {
        if (!read_ring(nodes, ring, setup, error))
            return false;
    }
    return true;
}

void nodes_write_error(const Nodes *nodes, const GError *error)
{
    int code = error->domain == NODES_ERROR ? error->code : EIO;
    int rc = xenstore_write(nodes->store, XBT_NULL, nodes->error, "error", "%d %s", code,
                            error->message);

    if (rc < 0)
        log_warning("cannot write %s/error: %s", nodes->error, g_strerror(-rc));
}

static int prune_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    return xenstore_prune(store, transaction, data);
}

int nodes_remove(const Nodes *nodes)
{
    return xenstore_transact(nodes->store, prune_in_transaction, nodes->backend);
}

void nodes_clear_error(const Nodes *nodes)
{
    g_autofree char *text = NULL;
    int rc = xenstore_read_string(nodes->store, XBT_NULL, nodes->error, "error", &text);

    if (rc == -ENOENT)
        return;
    rc = xenstore_transact(nodes->store, prune_in_transaction, nodes->error);
    if (rc < 0)
        log_warning("cannot remove %s: %s", nodes->error, g_strerror(-rc));
}
