/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Export keys: see export_keys.h. */
#include "protocol/export_keys.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#define MEBIBYTE (1024u * 1024u)

#define KEY(name_, kind_, field_, what)                                                      \
    {                                                                                        \
        .name = name_, .kind = EXPORT_KEY_##kind_, .field = offsetof(ExportOptions, field_), \
        .help = what                                                                         \
    }

/* One that libxl writes in any case. */
#define XL_KEY(name_, kind_, field_, what)                                                   \
    {                                                                                        \
        .name = name_, .kind = EXPORT_KEY_##kind_, .field = offsetof(ExportOptions, field_), \
        .zero_says_nothing = true, .help = what                                              \
    }

#define RATE(name, field, what)            \
    KEY(name, RATE, throttle.field, what), \
        KEY(name "-max", BURST, throttle.field, "how many of them at once, after a pause")

#define LIMIT(name_, kind_, field_, least_, most_, what)                                \
    {                                                                                   \
        .name = name_, .kind = EXPORT_KEY_##kind_,                                      \
        .field = offsetof(ExportOptions, limits.field_), .help = what, .least = least_, \
        .most = most_                                                                   \
    }

const ExportKey export_keys[] = {
    KEY("readonly", SWITCH, readonly, "guests cannot change anything"),
    KEY("fmode", MODE, fmode, "permissions of files that mapped models make (0600)"),
    KEY("dmode", MODE, dmode, "permissions of directories that mapped models make (0700)"),
    KEY("multidevs", MULTIDEVS, multidevs,
        "other file systems mounted below: remap, forbid or warn"),
    KEY("map-users", IDS, users, "GUEST:HOST;... which user ids of the guest are which here"),
    KEY("map-groups", IDS, groups, "GUEST:HOST;... the same for groups"),
    RATE("throttling.bps-total", bytes_total, "bytes per second, read and written"),
    RATE("throttling.bps-read", bytes_read, "bytes per second, read"),
    RATE("throttling.bps-write", bytes_write, "bytes per second, written"),
    RATE("throttling.iops-total", ops_total, "reads and writes per second"),
    RATE("throttling.iops-read", ops_read, "reads per second"),
    RATE("throttling.iops-write", ops_write, "writes per second"),
    XL_KEY("max-files", NUMBER, quota.max_files, "how many files there may be"),
    XL_KEY("max-space", MEBIBYTES, quota.max_space, "how many MiB they may take"),
    XL_KEY("max-open-files", NUMBER_32, quota.max_open_files,
           "how many files may be open at a time"),
    XL_KEY("auto-delete", SWITCH, quota.auto_delete, "the oldest files make room for new ones"),
    LIMIT("max-fids", LIMIT, max_fids, 16, 16 * 1024 * 1024, "how many fids a guest may have"),
    LIMIT("max-descriptors", LIMIT, max_descriptors, 64, 16 * 1024 * 1024,
          "how many files are held at a time"),
    LIMIT("max-request-memory", LIMIT_MEBIBYTES, max_inflight, 8, 64 * 1024,
          "MiB of memory for requests in flight"),
    LIMIT("max-threads", LIMIT, max_threads, 1, 1024, "how many requests are worked on at once"),
    LIMIT("max-spare-threads", LIMIT, max_spare_threads, 0, 1024,
          "how many more, in the place of those that hang"),
    LIMIT("max-xattrs", LIMIT, max_xattrs, 1, 1024 * 1024,
          "how many attributes may be read or written at a time"),
    LIMIT("max-xattr-memory", LIMIT_MEBIBYTES, max_xattr_bytes, 1, 64 * 1024,
          "MiB of memory for them"),
    LIMIT("max-lock-owners", LIMIT, max_lock_owners, 1, 1024 * 1024,
          "how many owners of locks there may be"),
    LIMIT("max-locks", LIMIT, max_lock_ranges, 2, 16 * 1024 * 1024,
          "how many byte ranges may be locked"),
    LIMIT("max-waiting-locks", LIMIT, max_lock_waits, 0, 16 * 1024,
          "how many locks may be waited for"),
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

/* A limit, counted in units of `unit`. */
static bool parse_limit(const ExportKey *key, const char *text, uint64_t unit, uint64_t *value)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, key->least, key->most, &number, NULL))
        return false;
    *value = number * unit;
    return true;
}

static bool set_limit(const ExportKey *key, const char *text, uint32_t *value)
{
    uint64_t number;

    if (!parse_limit(key, text, 1, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

/* What would be a value of `key`: a new string. */
static char *describe_value(const ExportKey *key)
{
    switch (key->kind) {
    case EXPORT_KEY_SWITCH:
        return g_strdup("give on or off");
    case EXPORT_KEY_MODE:
        return g_strdup("give octal permissions from 0 to 0777");
    case EXPORT_KEY_MULTIDEVS:
        return g_strdup("give remap, forbid or warn");
    case EXPORT_KEY_RATE:
    case EXPORT_KEY_BURST:
        return g_strdup("give a number, which may end in K, M, G or T; 0 for no limit");
    case EXPORT_KEY_LIMIT:
    case EXPORT_KEY_LIMIT_MEBIBYTES:
        return g_strdup_printf("give a whole number from %u to %u", key->least, key->most);
    default:
        return g_strdup("give a whole number, 0 for no limit");
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
    case EXPORT_KEY_LIMIT:
        set = set_limit(key, text, field);
        break;
    case EXPORT_KEY_LIMIT_MEBIBYTES:
        set = parse_limit(key, text, MEBIBYTE, field);
        break;
    }
    if (!set && !*right)
        *right = describe_value(key);
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
    case EXPORT_KEY_LIMIT:
        return g_strdup_printf("%" PRIu32, *(const uint32_t *)field);
    case EXPORT_KEY_MEBIBYTES:
    case EXPORT_KEY_LIMIT_MEBIBYTES:
        return g_strdup_printf("%" PRIu64, *(const uint64_t *)field / MEBIBYTE);
    default:
        return g_strdup_printf("%" PRIu64, *(const uint64_t *)field);
    }
}
