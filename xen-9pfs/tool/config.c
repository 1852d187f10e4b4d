/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sub-command config: what the configuration comes to, and where each value is from. What it
 * prints is itself a configuration file, with the origins in its comments.
 */
#include "xen-9pfs/config.h"

#include <errno.h>
#include <string.h>

#include "xen-9pfs/nodes.h"
#include "xen-9pfs/tool/devices.h"
#include "xen-9pfs/tool/json.h"
#include "xen-9pfs/tool/store.h"

static gboolean dump;
static gboolean check;
static char *config_file;

static const GOptionEntry options[] = {
    {"dump", 0, 0, G_OPTION_ARG_NONE, &dump,
     "Print what is in force, for everybody or for DEVICE, and where it is from", NULL},
    {"check", 0, 0, G_OPTION_ARG_NONE, &check, "Tell whether FILE is free of errors", NULL},
    {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config_file,
     "The configuration file (default that of the daemon)", "FILE"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

/* Which file the daemon reads, as far as it runs and says so. The caller frees it. */
static char *choose_file(const Tool *tool)
{
    g_autoptr(Query) query = query_new("version", NULL, NULL);
    const Record *daemon;
    const char *file = "";

    if (config_file != NULL)
        return g_strdup(config_file);
    control_run(tool, &query, 1, CONTROL_LIMIT_MS, NULL, NULL);
    daemon = query_find(query, "daemon");
    if (daemon != NULL)
        file = record_get_text(daemon, "config");
    return g_strdup(file[0] != '\0' ? file : CONFIG_FILE);
}

/*
 * Values and where they are from
 */

typedef struct Value {
    const ExportKey *key;
    char *group; /* of the file; of what is in force it is "defaults" */
    char *text;
    char *origin;
} Value;

static void value_deinit(gpointer data)
{
    Value *value = data;

    g_free(value->group);
    g_free(value->text);
    g_free(value->origin);
}

static GArray *values_new(void)
{
    GArray *values = g_array_new(FALSE, FALSE, sizeof(Value));

    g_array_set_clear_func(values, value_deinit);
    return values;
}

/* The options of an export, put together as the daemon does it. */
typedef struct Effective {
    ExportOptions options;
    const char *file;
    GPtrArray *origins; /* a text for each of export_keys */
} Effective;

static void effective_init(Effective *effective, const char *file)
{
    effective->options = export_default_options;
    effective->file = file;
    effective->origins = g_ptr_array_new_with_free_func(g_free);
    for (const ExportKey *key = export_keys; key->name != NULL; key++)
        g_ptr_array_add(effective->origins, g_strdup("default"));
}

static void effective_deinit(Effective *effective)
{
    g_ptr_array_unref(effective->origins);
}

static void set_origin(Effective *effective, const ExportKey *key, const char *origin)
{
    gpointer *slot = &effective->origins->pdata[key - export_keys];

    g_free(*slot);
    *slot = g_strdup(origin);
}

/* A rate that is set takes its burst away, which stands behind it in the table. */
static bool effective_set(Effective *effective, const ExportKey *key, const char *text,
                          const char *origin)
{
    g_autofree char *right = NULL;

    if (!export_key_set(key, text, &effective->options, &right))
        return false;
    set_origin(effective, key, origin);
    if (key->kind == EXPORT_KEY_RATE)
        set_origin(effective, key + 1, origin);
    return true;
}

static void take_item(const ConfigItem *item, void *data)
{
    Effective *effective = data;
    g_autofree char *origin =
        g_strdup_printf("%s:%u [%s]", effective->file, item->line, item->group);

    /* The file has been checked. */
    if (!effective_set(effective, item->key, item->value, origin))
        g_assert_not_reached();
}

/* What the device's own nodes say, which counts for more than the file. Bad ones keep the device from
 * being served; it is told which. */
static int take_nodes(Effective *effective, Store *store, const char *folder)
{
    for (const ExportKey *key = export_keys; key->name != NULL; key++) {
        g_autofree char *name = nodes_key_name(key);
        g_autofree char *text = store_read(store, folder, name);
        g_autofree char *origin = g_strdup_printf("backend node %s", name);

        if (text == NULL || (key->zero_says_nothing && strcmp(text, "0") == 0))
            continue;
        if (!effective_set(effective, key, text, origin))
            return tool_error("the node %s/%s is \"%s\", which is no value for it", folder, name,
                              text);
    }
    return TOOL_OK;
}

static GArray *effective_values(const Effective *effective)
{
    GArray *values = values_new();

    for (size_t i = 0; export_keys[i].name != NULL; i++) {
        Value value = {.key = &export_keys[i], .group = g_strdup("defaults")};

        value.text = export_key_format(&export_keys[i], &effective->options);
        value.origin = g_strdup(g_ptr_array_index(effective->origins, i));
        g_array_append_val(values, value);
    }
    return values;
}

/*
 * Printing
 */

static void print_comment(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void print_comment(const char *format, ...)
{
    g_autofree char *raw = NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    raw = g_strdup_vprintf(format, args);
    va_end(args);
    text = text_escape(raw);
    g_print("# %s\n", text);
}

/* Names of groups are printed as they stand in the file: escaped they would be others. */
static void print_values(const GArray *values)
{
    const char *group = NULL;

    for (guint i = 0; i < values->len; i++) {
        const Value *value = &g_array_index(values, Value, i);

        if (g_strcmp0(group, value->group) != 0)
            g_print("\n[%s]\n", value->group);
        group = value->group;
        print_comment("%s", value->origin);
        g_print("%s=%s\n", value->key->name, value->text);
    }
}

static void print_json(const GArray *values, const char *file, const Record *device)
{
    JsonObject *object = json_object_new();
    JsonArray *array = json_array_new();

    json_object_set_text(object, "file", file);
    if (device != NULL)
        json_object_set_text(object, "device", record_get_text(device, "device"));
    for (guint i = 0; i < values->len; i++) {
        const Value *value = &g_array_index(values, Value, i);
        JsonObject *member = json_object_new();

        json_object_set_text(member, "group", value->group);
        json_object_set_text(member, "option", value->key->name);
        json_object_set_text(member, "value", value->text);
        json_object_set_text(member, "origin", value->origin);
        json_array_add_object_element(array, member);
    }
    json_object_set_array_member(object, "options", array);
    json_print(json_object_to_node(object), false);
}

/*
 * The sub-command
 */

/* A file that is not there is an empty one, unless it was named. */
static Config *read_file(const char *file)
{
    g_autoptr(GError) error = NULL;
    Config *config = config_read(file, config_file != NULL, &error);

    if (config == NULL)
        tool_error("%s", error->message);
    return config;
}

typedef struct GroupList {
    GArray *values;
    const char *file;
} GroupList;

static void append_item(const ConfigItem *item, void *data)
{
    const GroupList *list = data;
    Value value = {
        .key = item->key,
        .group = g_strdup(item->group),
        .text = g_strdup(item->value),
        .origin = g_strdup_printf("%s:%u", list->file, item->line),
    };

    if (strcmp(item->group, "defaults") == 0) /* it is among those in force */
        value_deinit(&value);
    else
        g_array_append_val(list->values, value);
}

/* All defaults, and then the other groups with what they set. */
static int dump_all(const Tool *tool, const char *file)
{
    const ConfigTarget nobody = {0};
    g_autoptr(Config) config = read_file(file);
    Effective effective;
    GroupList list = {.file = file};

    if (config == NULL)
        return TOOL_FAILED;
    effective_init(&effective, file);
    config_list(config, &nobody, take_item, &effective);
    list.values = effective_values(&effective);
    config_list(config, NULL, append_item, &list);
    if (tool->json) {
        print_json(list.values, file, NULL);
    } else {
        print_comment("The configuration in force, with where each value is from.");
        print_values(list.values);
    }
    g_array_unref(list.values);
    effective_deinit(&effective);
    return TOOL_OK;
}

static void print_device(const GArray *values, const Record *device)
{
    g_autofree char *shown = device_describe(device);

    print_comment("What device %s is served with from when it connects next.", shown);
    print_comment("path=%s", record_get_text(device, "path"));
    print_comment("security_model=%s", record_get_text(device, "security_model"));
    print_values(values);
}

static const char *text_or_null(const Record *device, const char *name)
{
    const char *text = record_get_text(device, name);

    return text[0] != '\0' ? text : NULL;
}

static int dump_values(const Tool *tool, const char *file, const Config *config, Store *store,
                       const Record *device)
{
    const ConfigTarget target = {
        .path = text_or_null(device, "path"),
        .tag = text_or_null(device, "tag"),
        .domain = text_or_null(device, "domain"),
    };
    Effective effective;
    int status;

    effective_init(&effective, file);
    config_list(config, &target, take_item, &effective);
    status = take_nodes(&effective, store, record_get_text(device, "backend"));
    if (status == TOOL_OK) {
        g_autoptr(GArray) values = effective_values(&effective);

        if (tool->json)
            print_json(values, file, device);
        else
            print_device(values, device);
    }
    effective_deinit(&effective);
    return status;
}

static int dump_device(const Tool *tool, const char *file, char **arguments)
{
    g_autoptr(GPtrArray) devices = devices_select(tool, arguments);
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = NULL;
    Store store;
    int status;

    if (devices == NULL)
        return TOOL_FAILED;
    if (devices->len != 1)
        return tool_error("\"%s\" means %u devices; name one of them, as DOMAIN:TAG for instance",
                          arguments[0], devices->len);
    config = read_file(file);
    if (config == NULL)
        return TOOL_FAILED;
    if (!store_open(&store, &error))
        return tool_error("%s", error->message);
    status = dump_values(tool, file, config, &store, g_ptr_array_index(devices, 0));
    store_close(&store);
    return status;
}

static int check_file(const Tool *tool, const char *file, bool needed)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_read(file, needed, &error);

    if (tool->json) {
        JsonObject *object = json_object_new();

        json_object_set_text(object, "file", file);
        json_object_set_boolean_member(object, "good", config != NULL);
        if (config == NULL)
            json_object_set_text(object, "error", error->message);
        json_print(json_object_to_node(object), false);
        return config != NULL ? TOOL_OK : TOOL_FOUND;
    }
    if (config == NULL) {
        tool_error("%s", error->message);
        return TOOL_FOUND;
    }
    g_print("%s: no errors\n", file);
    return TOOL_OK;
}

static int run_config(const Tool *tool, char **arguments)
{
    g_autofree char *file = choose_file(tool);

    if (dump == check)
        return tool_usage("config: give either --dump or --check");
    if (check && config_file != NULL && arguments[0] != NULL)
        return tool_usage("config: name the file once");
    if (check)
        return check_file(tool, arguments[0] != NULL ? arguments[0] : file,
                          config_file != NULL || arguments[0] != NULL);
    return arguments[0] != NULL ? dump_device(tool, file, arguments) : dump_all(tool, file);
}

const Command command_config = {
    .name = "config",
    .arguments = "[DEVICE|FILE]",
    .help = "Show the configuration in force, or look for errors in one",
    .description =
        "With --dump: what holds for every export and for those of each group, or for one DEVICE.\n"
        "With --check: whether FILE, or the file that the daemon reads, is one that it takes.",
    .options = options,
    .max_arguments = 1,
    .json = true,
    .run = run_config,
};
