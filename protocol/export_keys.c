/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export keys: see export_keys.h. */
#include "protocol/export_keys.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#define MEBIBYTE (1024u * 1024u)

#define RATE(name, field, what)                                                        \
    {name, EXPORT_KEY_RATE, offsetof(ExportOptions, throttle.field), false, what},     \
    {                                                                                  \
        name "-max", EXPORT_KEY_BURST, offsetof(ExportOptions, throttle.field), false, \
            "how many of them at once, after a pause"                                  \
    }

const ExportKey export_keys[] = {
    {"readonly", EXPORT_KEY_SWITCH, offsetof(ExportOptions, readonly), false,
     "guests cannot change anything"},
    {"fmode", EXPORT_KEY_MODE, offsetof(ExportOptions, fmode), false,
     "permissions of files that mapped models make (0600)"},
    {"dmode", EXPORT_KEY_MODE, offsetof(ExportOptions, dmode), false,
     "permissions of directories that mapped models make (0700)"},
    {"multidevs", EXPORT_KEY_MULTIDEVS, offsetof(ExportOptions, multidevs), false,
     "other file systems mounted below: remap, forbid or warn"},
    {"map-users", EXPORT_KEY_IDS, offsetof(ExportOptions, users), false,
     "GUEST:HOST;... which user ids of the guest are which here"},
    {"map-groups", EXPORT_KEY_IDS, offsetof(ExportOptions, groups), false,
     "GUEST:HOST;... the same for groups"},
    RATE("throttling.bps-total", bytes_total, "bytes per second, read and written"),
    RATE("throttling.bps-read", bytes_read, "bytes per second, read"),
    RATE("throttling.bps-write", bytes_write, "bytes per second, written"),
    RATE("throttling.iops-total", ops_total, "reads and writes per second"),
    RATE("throttling.iops-read", ops_read, "reads per second"),
    RATE("throttling.iops-write", ops_write, "writes per second"),
    {"max-files", EXPORT_KEY_NUMBER, offsetof(ExportOptions, quota.max_files), true,
     "how many files there may be"},
    {"max-space", EXPORT_KEY_MEBIBYTES, offsetof(ExportOptions, quota.max_space), true,
     "how many MiB they may take"},
    {"max-open-files", EXPORT_KEY_NUMBER_32, offsetof(ExportOptions, quota.max_open_files), true,
     "how many files may be open at a time"},
    {"auto-delete", EXPORT_KEY_SWITCH, offsetof(ExportOptions, quota.auto_delete), true,
     "the oldest files make room for new ones"},
    {.name = NULL},
};

const ExportKey *export_key_find(const char *name)
{
    for (const ExportKey *key = export_keys; key->name; key++) {
        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

static bool parse_switch(const char *text, bool *value)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "0", "1"};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static const char *const multidevs_names[] = {
    [MULTIDEVS_REMAP] = "remap",
    [MULTIDEVS_FORBID] = "forbid",
    [MULTIDEVS_WARN] = "warn",
};

static bool parse_multidevs(const char *text, Multidevs *value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(multidevs_names); i++) {
        if (strcmp(text, multidevs_names[i]) == 0) {
            *value = (Multidevs)i;
            return true;
        }
    }
    return false;
}

static bool parse_mode(const char *text, uint16_t *mode)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 8, 0, 0777, &value, NULL))
        return false;
    *mode = (uint16_t)value;
    return true;
}

/* A number in units of `unit`, at most `max` of them in all. */
static bool parse_number(const char *text, uint64_t unit, uint64_t max, uint64_t *value)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, 0, max / unit, &number, NULL))
        return false;
    *value = number * unit;
    return true;
}

/* A number that may end in K, M, G or T, powers of 1024. */
static bool parse_scaled(const char *text, uint64_t *value)
{
    static const char suffixes[] = "KMGT";
    size_t length = strlen(text);
    const char *suffix = length > 0 ? strchr(suffixes, text[length - 1]) : NULL;
    g_autofree char *digits = g_strndup(text, suffix ? length - 1 : length);
    uint64_t unit = suffix ? UINT64_C(1) << (10 * (suffix - suffixes + 1)) : 1;

    return parse_number(digits, unit, INT64_MAX, value);
}

static bool set_rate(const char *text, ThrottleRate *rate)
{
    uint64_t value;

    if (!parse_scaled(text, &value))
        return false;
    *rate = (ThrottleRate){.rate = value};
    return true;
}

static bool set_burst(const ExportKey *key, const char *text, ThrottleRate *rate, char **right)
{
    uint64_t value;

    if (!parse_scaled(text, &value))
        return false;
    if (value > 0 && rate->rate == 0) {
        size_t length = strlen(key->name) - strlen("-max");

        *right = g_strdup_printf("give %.*s, too", (int)length, key->name);
        return false;
    }
    rate->burst = value;
    return true;
}

static bool set_number_32(const char *text, uint32_t *value)
{
    uint64_t number;

    if (!parse_number(text, 1, UINT32_MAX, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static const char *describe_kind(ExportKeyKind kind)
{
    switch (kind) {
    case EXPORT_KEY_SWITCH:
        return "give on or off";
    case EXPORT_KEY_MODE:
        return "give octal permissions from 0 to 0777";
    case EXPORT_KEY_MULTIDEVS:
        return "give remap, forbid or warn";
    case EXPORT_KEY_RATE:
    case EXPORT_KEY_BURST:
        return "give a number, which may end in K, M, G or T; 0 for no limit";
    default:
        return "give a whole number, 0 for no limit";
    }
}

bool export_key_set(const ExportKey *key, const char *text, ExportOptions *options, char **right)
{
    void *field = (char *)options + key->field;
    bool set = false;

    *right = NULL;
    switch (key->kind) {
    case EXPORT_KEY_SWITCH:
        set = parse_switch(text, field);
        break;
    case EXPORT_KEY_MODE:
        set = parse_mode(text, field);
        break;
    case EXPORT_KEY_MULTIDEVS:
        set = parse_multidevs(text, field);
        break;
    case EXPORT_KEY_IDS:
        set = export_ids_parse(text, field, right);
        break;
    case EXPORT_KEY_RATE:
        set = set_rate(text, field);
        break;
    case EXPORT_KEY_BURST:
        set = set_burst(key, text, field, right);
        break;
    case EXPORT_KEY_NUMBER:
        set = parse_number(text, 1, INT64_MAX, field);
        break;
    case EXPORT_KEY_NUMBER_32:
        set = set_number_32(text, field);
        break;
    case EXPORT_KEY_MEBIBYTES:
        set = parse_number(text, MEBIBYTE, INT64_MAX, field);
        break;
    }
    if (!set && !*right)
        *right = g_strdup(describe_kind(key->kind));
    return set;
}

char *export_key_format(const ExportKey *key, const ExportOptions *options)
{
    const void *field = (const char *)options + key->field;

    switch (key->kind) {
    case EXPORT_KEY_SWITCH:
        return g_strdup(*(const bool *)field ? "on" : "off");
    case EXPORT_KEY_MODE:
        return g_strdup_printf("%04o", *(const uint16_t *)field);
    case EXPORT_KEY_MULTIDEVS:
        return g_strdup(multidevs_names[*(const Multidevs *)field]);
    case EXPORT_KEY_IDS:
        return export_ids_format(field);
    case EXPORT_KEY_RATE:
        return g_strdup_printf("%" PRIu64, ((const ThrottleRate *)field)->rate);
    case EXPORT_KEY_BURST:
        return g_strdup_printf("%" PRIu64, ((const ThrottleRate *)field)->burst);
    case EXPORT_KEY_NUMBER_32:
        return g_strdup_printf("%" PRIu32, *(const uint32_t *)field);
    case EXPORT_KEY_MEBIBYTES:
        return g_strdup_printf("%" PRIu64, *(const uint64_t *)field / MEBIBYTE);
    default:
        return g_strdup_printf("%" PRIu64, *(const uint64_t *)field);
    }
}
