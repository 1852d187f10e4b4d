/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands: see commands.h. */
#include "xen-9pfs/commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/record.h"
#include "xen-9pfs/device.h"

/* Returns the answer's records, or false with the text of an error. */
typedef bool (*Run)(CommandHost *host, GString *records, char **why);

/*
 * The supervisor's
 */

static unsigned count_devices(const CommandHost *host)
{
    unsigned n = 0;
    GHashTableIter iter;
    gpointer device;

    g_hash_table_iter_init(&iter, host->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device))
        n += device_exists(device);
    return n;
}

static bool run_version(CommandHost *host, GString *out, char **why)
{
    const Options *options = host->options;
    g_autofree char *kinds = g_strjoinv(",", options->kinds);

    (void)why;
    record_begin(out, "daemon");
    record_text(out, "version", VERSION);
    record_number(out, "pid", (uint64_t)getpid());
    record_number(out, "since", (uint64_t)host->since);
    record_number(out, "devices", count_devices(host));
    record_text(out, "backend_kinds", kinds);
    record_text(out, "config", options->config);
    record_text(out, "run_dir", options->run_dir);
    record_text(out, "sandbox", sandbox_level_name(options->sandbox.level));
    record_text(out, "seccomp", sandbox_calls_name(options->sandbox.calls));
    record_end(out);
    return true;
}

/* Whether devices of two kinds have the same numbers. */
static bool clashes(const CommandHost *host, const Device *device)
{
    const DeviceKey *key = device_key(device);
    GHashTableIter iter;
    gpointer other;

    g_hash_table_iter_init(&iter, host->devices);
    while (g_hash_table_iter_next(&iter, NULL, &other)) {
        const DeviceKey *k = device_key(other);

        if (other != device && k->domid == key->domid && k->devid == key->devid &&
            device_exists(other))
            return true;
    }
    return false;
}

static int compare_devices(gconstpointer a, gconstpointer b)
{
    const DeviceKey *x = device_key(*(Device *const *)a);
    const DeviceKey *y = device_key(*(Device *const *)b);

    if (x->domid != y->domid)
        return x->domid < y->domid ? -1 : 1;
    if (x->devid != y->devid)
        return x->devid < y->devid ? -1 : 1;
    return strcmp(x->kind, y->kind);
}

static bool run_devices(CommandHost *host, GString *out, char **why)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new();
    GHashTableIter iter;
    gpointer device;

    (void)why;
    g_hash_table_iter_init(&iter, host->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device)) {
        if (device_exists(device))
            g_ptr_array_add(devices, device);
    }
    g_ptr_array_sort(devices, compare_devices);
    for (unsigned i = 0; i < devices->len; i++) {
        const Device *d = g_ptr_array_index(devices, i);

        device_report(d, clashes(host, d), out);
    }
    return true;
}

static bool run_reload(CommandHost *host, GString *out, char **why)
{
    g_autoptr(GError) error = NULL;
    const Config *config = NULL;

    if (config_file_reload(host->config, &error))
        config = config_file_get(host->config, &error);
    if (!config || !control_set_group(host->control, config_control_group(config), &error)) {
        *why = g_strdup(error->message);
        return false;
    }
    log_notice("the configuration was read anew");
    record_begin(out, "config");
    record_text(out, "config", config_file_name(host->config));
    record_number(out, "groups", config_n_groups(config));
    record_end(out);
    return true;
}

/*
 * The workers'
 */

/* Finds the device that "DOMID.DEVID" or "KIND:DOMID.DEVID" names. */
static Device *find_device(const CommandHost *host, const char *name, char **why)
{
    const char *colon = strchr(name, ':');
    GHashTableIter iter;
    gpointer device;
    Device *found = NULL;

    g_hash_table_iter_init(&iter, host->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device)) {
        const DeviceKey *key = device_key(device);
        g_autofree char *numbers = g_strdup_printf("%u.%u", key->domid, key->devid);
        g_autofree char *full = g_strconcat(key->kind, ":", numbers, NULL);

        if (!device_exists(device) || strcmp(name, colon ? full : numbers) != 0)
            continue;
        if (found) {
            *why = g_strdup_printf("there are several devices %s; give KIND:%s", name, name);
            return NULL;
        }
        found = device;
    }
    if (!found)
        *why = g_strdup_printf("there is no device %s", name);
    return found;
}

static char *passing_error(const char *name, int error)
{
    switch (error) {
    case -ENOTCONN:
        return g_strdup_printf("device %s is not connected", name);
    case -EAGAIN:
        return g_strdup_printf("the worker of device %s does not take requests", name);
    default:
        return g_strdup_printf("cannot reach the worker of device %s: %s", name,
                               g_strerror(-error));
    }
}

/* Returns false with the text of an error. */
static bool pass_to_worker(CommandHost *host, ControlCall *call, char **why)
{
    const char *name = call->words[1];
    const Device *device;
    int error;

    if (!name) {
        *why = g_strdup_printf("%s: of which device? give DOMID.DEVID", call->words[0]);
        return false;
    }
    device = find_device(host, name, why);
    if (!device)
        return false;
    error = device_pass_client(device, call->client, call->line);
    call->passed = error == 0;
    if (error)
        *why = passing_error(name, error);
    return call->passed;
}

/*
 * All
 */

static const struct {
    const char *name;
    Run run; /* NULL: the worker of the device that is the first argument answers */
} commands[] = {
    {"version", run_version}, {"devices", run_devices}, {"reload", run_reload}, {"stats", NULL},
    {"requests", NULL},       {"fids", NULL},           {"trace", NULL},
};

static bool run_own(CommandHost *host, Run run, ControlCall *call, char **why)
{
    g_autoptr(GString) records = g_string_new(NULL);

    if (call->words[1]) {
        *why = g_strdup_printf("%s: this command has no arguments", call->words[0]);
        return false;
    }
    if (!run(host, records, why))
        return false;
    g_string_append_printf(call->answer, "%s%s%s", RECORD_OK, records->str, RECORD_END);
    return true;
}

static bool run_command(CommandHost *host, ControlCall *call, char **why)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(call->words[0], commands[i].name) != 0)
            continue;
        return commands[i].run ? run_own(host, commands[i].run, call, why)
                               : pass_to_worker(host, call, why);
    }
    *why = g_strdup_printf("there is no command \"%s\"", call->words[0]);
    return false;
}

void commands_answer(ControlCall *call, void *host)
{
    g_autofree char *why = NULL;

    if (!run_command(host, call, &why))
        record_error(call->answer, why);
}
