/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Config: see config.h. */
#include "xen-9pfs/config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "protocol/export_keys.h"

enum { MAX_SIZE = 1024 * 1024 };

/* In order of precedence, the weakest first. */
typedef enum SectionKind {
    SECTION_DEFAULTS,
    SECTION_DOMAIN,
    SECTION_TAG,
    SECTION_PATH,
    SECTION_N_KINDS,
} SectionKind;

static const char *const kind_names[SECTION_N_KINDS] = {
    [SECTION_DEFAULTS] = "defaults",
    [SECTION_DOMAIN] = "domain",
    [SECTION_TAG] = "tag",
    [SECTION_PATH] = "path",
};

/* A group of the file. */
typedef struct Section {
    char *group; /* its name there */
    SectionKind kind;
    char *pattern; /* "" for defaults */
} Section;

struct Config {
    GKeyFile *file;
    GArray *sections; /* Section, as they come in the file */
};

#define CONFIG_ERROR g_quark_from_static_string("xen-9pfs-config-error")

static void section_deinit(gpointer data)
{
    Section *section = data;

    g_free(section->group);
    g_free(section->pattern);
}

/*
 * Reading
 */

/* Reads at most MAX_SIZE bytes of an open file, and one more. */
static GString *read_bytes(int fd)
{
    GString *text = g_string_new(NULL);
    char bytes[4096];
    ssize_t got;

    while ((got = read(fd, bytes, sizeof(bytes))) > 0 && text->len <= MAX_SIZE)
        g_string_append_len(text, bytes, got);
    if (got >= 0)
        return text;
    g_string_free(text, TRUE);
    return NULL;
}

/* Opens a regular file. Whatever else bears the name, the daemon does not wait for it. */
static int open_regular(const char *file, GError **error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
        return fd;
    if (fd < 0) {
        g_set_error(error, CONFIG_ERROR, errno, "cannot open %s: %s", file, g_strerror(errno));
        return -1;
    }
    g_set_error(error, CONFIG_ERROR, EINVAL, "%s is not a regular file", file);
    close(fd);
    return -1;
}

/* The content of `file`. */
static GString *read_text(const char *file, GError **error)
{
    int fd = open_regular(file, error);
    GString *text;

    if (fd < 0)
        return NULL;
    text = read_bytes(fd);
    if (!text)
        g_set_error(error, CONFIG_ERROR, errno, "cannot read %s: %s", file, g_strerror(errno));
    close(fd);
    if (text && text->len > MAX_SIZE) {
        g_set_error(error, CONFIG_ERROR, EFBIG, "%s is larger than 1 MiB", file);
        g_string_free(text, TRUE);
        text = NULL;
    }
    return text;
}

/*
 * Checking
 */

/* Finds out what the group "KIND" or "KIND PATTERN" is about. Returns false when it is neither. */
static bool parse_group(const char *group, Section *section)
{
    size_t length = strcspn(group, " ");
    const char *rest = group + length + strspn(group + length, " ");

    for (int kind = 0; kind < SECTION_N_KINDS; kind++) {
        if (strlen(kind_names[kind]) != length || strncmp(group, kind_names[kind], length) != 0)
            continue;
        if ((kind == SECTION_DEFAULTS) != (*rest == '\0') || (kind == SECTION_PATH && *rest != '/'))
            return false;
        section->kind = (SectionKind)kind;
        section->pattern =
            kind == SECTION_PATH ? g_canonicalize_filename(rest, "/") : g_strdup(rest);
        return true;
    }
    return false;
}

/* Sets what the group says, in the order of the table. Returns false at the first bad value, with
 * its key, and what would be right. */
static bool set_keys(GKeyFile *file, const char *group, ExportOptions *options,
                     const ExportKey **bad, char **right)
{
    for (const ExportKey *key = export_keys; key->name; key++) {
        g_autofree char *value = g_key_file_get_value(file, group, key->name, NULL);

        *bad = key;
        if (value && !export_key_set(key, g_strstrip(value), options, right))
            return false;
    }
    return true;
}

static bool check_names(GKeyFile *file, const char *name, const char *group, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);

    for (char **key = keys; key && *key; key++) {
        if (!export_key_find(*key)) {
            g_autofree char *shown = log_escape(*key, strlen(*key));

            g_set_error(error, CONFIG_ERROR, EINVAL,
                        "%s: [%s]: there is no key \"%s\"; xen-9pfs.conf(5) lists those there are",
                        name, group, shown);
            return false;
        }
    }
    return true;
}

static bool check_values(GKeyFile *file, const char *name, const char *group, GError **error)
{
    ExportOptions scratch = export_default_options;
    g_autofree char *right = NULL;
    const ExportKey *bad;

    if (!set_keys(file, group, &scratch, &bad, &right)) {
        g_autofree char *value = g_key_file_get_value(file, group, bad->name, NULL);
        g_autofree char *shown = log_escape(value, strlen(value));

        g_set_error(error, CONFIG_ERROR, EINVAL, "%s: [%s]: %s is \"%s\"; %s", name, group,
                    bad->name, shown, right);
        return false;
    }
    return true;
}

/* Checks a group and notes it. */
static bool add_section(Config *config, const char *name, const char *group, GError **error)
{
    g_autofree char *shown = log_escape(group, strlen(group));
    Section section = {0};

    if (!parse_group(group, &section)) {
        g_set_error(error, CONFIG_ERROR, EINVAL,
                    "%s: there is no group [%s]; give [defaults], [domain NAME], [tag TAG] or "
                    "[path /PATH]",
                    name, shown);
        return false;
    }
    section.group = g_strdup(group);
    g_array_append_val(config->sections, section);
    return check_names(config->file, name, group, error) &&
           check_values(config->file, name, group, error);
}

static bool parse(Config *config, const char *name, const GString *text, GError **error)
{
    const GKeyFileFlags all = G_KEY_FILE_KEEP_TRANSLATIONS; /* else "key[de]" is passed over */
    g_auto(GStrv) groups = NULL;

    if (text->len > 0 &&
        !g_key_file_load_from_data(config->file, text->str, text->len, all, error)) {
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    groups = g_key_file_get_groups(config->file, NULL);
    for (char **group = groups; *group; group++) {
        if (!add_section(config, name, *group, error))
            return false;
    }
    return true;
}

Config *config_read(const char *file, bool needed, GError **error)
{
    g_autoptr(Config) config = g_new0(Config, 1);
    GError *failure = NULL;
    GString *text = read_text(file, &failure);
    bool good;

    config->file = g_key_file_new();
    config->sections = g_array_new(FALSE, FALSE, sizeof(Section));
    g_array_set_clear_func(config->sections, section_deinit);
    if (!text && failure->code == ENOENT && !needed) {
        g_error_free(failure);
        return g_steal_pointer(&config);
    }
    if (!text) {
        g_propagate_error(error, failure);
        return NULL;
    }
    good = parse(config, file, text, error);
    g_string_free(text, TRUE);
    return good ? g_steal_pointer(&config) : NULL;
}

void config_free(Config *config)
{
    g_key_file_unref(config->file);
    g_array_unref(config->sections);
    g_free(config);
}

/*
 * Applying
 */

static bool matches(const Section *section, const ConfigTarget *target)
{
    const char *const texts[SECTION_N_KINDS] = {
        [SECTION_DOMAIN] = target->domain,
        [SECTION_TAG] = target->tag,
        [SECTION_PATH] = target->path,
    };
    const char *text = texts[section->kind];
    bool is_path = section->kind == SECTION_PATH;

    if (section->kind == SECTION_DEFAULTS)
        return true;
    return text && fnmatch(section->pattern, text, is_path ? FNM_PATHNAME : 0) == 0;
}

static void apply_section(const Config *config, const Section *section, ExportOptions *options)
{
    const ExportKey *bad;
    char *right;

    /* All values have been checked when the file was read. */
    if (!set_keys(config->file, section->group, options, &bad, &right))
        g_assert_not_reached();
}

void config_apply(const Config *config, const ConfigTarget *target, ExportOptions *options)
{
    g_autofree char *path = target->path ? g_canonicalize_filename(target->path, "/") : NULL;
    ConfigTarget plain = {.path = path, .tag = target->tag, .domain = target->domain};

    for (int kind = 0; kind < SECTION_N_KINDS; kind++) {
        for (guint i = 0; i < config->sections->len; i++) {
            const Section *section = &g_array_index(config->sections, Section, i);

            if (section->kind == (SectionKind)kind && matches(section, &plain))
                apply_section(config, section, options);
        }
    }
}
