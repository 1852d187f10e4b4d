/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Config: see config.h. */
#include "xen-9pfs/config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

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
    char *control_group; /* NULL: not given */
    unsigned n_groups;
    GArray *sections; /* Section, as they come in the file */
    char *text;       /* the whole of it; NULL: there is no file */
};

#define DAEMON_GROUP      "daemon"
#define CONTROL_GROUP_KEY "control-group"

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

/* A file that is being checked. */
typedef struct Check {
    Config *config;
    const char *name;
    const char *text;
    GError **error;
} Check;

/* Whether a line is that of `key`; the group's own when it is NULL. */
static bool is_line_of(const char *line, const char *group, const char *key)
{
    size_t length = strlen(key ? key : group);

    if (!key)
        return line[0] == '[' && strncmp(line + 1, group, length) == 0 && line[1 + length] == ']';
    return strncmp(line, key, length) == 0 && line[length + strspn(line + length, " \t")] == '=';
}

/* The number of the line where a group gives the value of `key` that counts, or where it begins. */
static unsigned find_line(const char *text, const char *group, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    bool inside = false;
    unsigned found = 1;

    for (unsigned i = 0; lines[i]; i++) {
        const char *line = g_strchug(lines[i]);

        if (line[0] == '[')
            inside = is_line_of(line, group, NULL);
        if (inside && is_line_of(line, group, key))
            found = i + 1;
    }
    return found;
}

/* Says what is wrong with a group, or with a key in it. Returns false. */
static bool refuse(const Check *check, const char *group, const char *key, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static bool refuse(const Check *check, const char *group, const char *key, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(check->error, CONFIG_ERROR, EINVAL, "%s:%u: %s", check->name,
                find_line(check->text, group, key), what);
    return false;
}

static bool check_names(const Check *check, const char *group)
{
    g_auto(GStrv) keys = g_key_file_get_keys(check->config->file, group, NULL, NULL);

    for (char **key = keys; key && *key; key++) {
        if (!export_key_find(*key)) {
            g_autofree char *shown = log_escape(*key, strlen(*key));

            return refuse(check, group, *key,
                          "[%s]: there is no key \"%s\"; xen-9pfs.conf(5) lists those there are",
                          group, shown);
        }
    }
    return true;
}

static bool check_values(const Check *check, const char *group)
{
    ExportOptions scratch = export_default_options;
    GKeyFile *file = check->config->file;
    g_autofree char *right = NULL;
    const ExportKey *bad;

    if (!set_keys(file, group, &scratch, &bad, &right)) {
        g_autofree char *value = g_key_file_get_value(file, group, bad->name, NULL);
        g_autofree char *shown = log_escape(value, strlen(value));

        return refuse(check, group, bad->name, "[%s]: %s is \"%s\"; %s", group, bad->name, shown,
                      right);
    }
    return true;
}

/* The group about the daemon itself, which has one key. */
static bool read_daemon_group(const Check *check)
{
    GKeyFile *file = check->config->file;
    g_auto(GStrv) keys = g_key_file_get_keys(file, DAEMON_GROUP, NULL, NULL);

    for (char **key = keys; key && *key; key++) {
        if (strcmp(*key, CONTROL_GROUP_KEY) != 0) {
            g_autofree char *shown = log_escape(*key, strlen(*key));

            return refuse(check, DAEMON_GROUP, *key,
                          "[" DAEMON_GROUP "]: there is no key \"%s\"; give " CONTROL_GROUP_KEY,
                          shown);
        }
        check->config->control_group =
            g_strstrip(g_key_file_get_value(file, DAEMON_GROUP, *key, NULL));
        if (check->config->control_group[0] == '\0')
            return refuse(check, DAEMON_GROUP, *key,
                          "[" DAEMON_GROUP "]: " CONTROL_GROUP_KEY " is \"\"; give a group");
    }
    return true;
}

/* Checks a group and notes it. */
static bool add_section(const Check *check, const char *group)
{
    g_autofree char *shown = log_escape(group, strlen(group));
    Section section = {0};

    if (strcmp(group, DAEMON_GROUP) == 0)
        return read_daemon_group(check);
    if (!parse_group(group, &section))
        return refuse(check, group, NULL,
                      "there is no group [%s]; give [defaults], [domain NAME], [tag TAG] or "
                      "[path /PATH], or [daemon]",
                      shown);
    section.group = g_strdup(group);
    g_array_append_val(check->config->sections, section);
    return check_names(check, group) && check_values(check, group);
}

static bool load(GKeyFile *file, const char *text, size_t size, GError **error)
{
    const GKeyFileFlags all = G_KEY_FILE_KEEP_TRANSLATIONS; /* else "key[de]" is passed over */

    return size == 0 || g_key_file_load_from_data(file, text, size, all, error);
}

/* Where the first `n` lines of a text end. */
static size_t end_of_lines(const char *text, unsigned n)
{
    const char *at = text;

    for (; n > 0 && *at; n--)
        at += strcspn(at, "\n") + (strchr(at, '\n') != NULL);
    return (size_t)(at - text);
}

/* The first line with which a text cannot be loaded, which it can without: found by halving. */
static unsigned find_broken_line(const char *text)
{
    unsigned good = 0, bad = 1;

    for (const char *at = text; (at = strchr(at, '\n')); at++)
        bad++;
    while (bad - good > 1) {
        unsigned middle = good + (bad - good) / 2;
        g_autoptr(GKeyFile) file = g_key_file_new();

        if (load(file, text, end_of_lines(text, middle), NULL))
            good = middle;
        else
            bad = middle;
    }
    return bad;
}

static bool parse(Config *config, const char *name, const GString *text, GError **error)
{
    const Check check = {.config = config, .name = name, .text = text->str, .error = error};
    g_auto(GStrv) groups = NULL;

    if (!load(config->file, text->str, text->len, error)) {
        g_prefix_error(error, "%s:%u: ", name, find_broken_line(text->str));
        return false;
    }
    config->text = g_strdup(text->str);
    groups = g_key_file_get_groups(config->file, NULL);
    config->n_groups = g_strv_length(groups);
    for (char **group = groups; *group; group++) {
        if (!add_section(&check, *group))
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
    g_free(config->control_group);
    g_array_unref(config->sections);
    g_free(config->text);
    g_free(config);
}

const char *config_control_group(const Config *config)
{
    return config->control_group;
}

unsigned config_n_groups(const Config *config)
{
    return config->n_groups;
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

static void apply_section(const Config *config, const Section *section, void *options)
{
    const ExportKey *bad;
    char *right;

    /* All values have been checked when the file was read. */
    if (!set_keys(config->file, section->group, options, &bad, &right))
        g_assert_not_reached();
}

/* Calls `visit` for each section that counts for `target`, in order of precedence. */
static void for_each_match(const Config *config, const ConfigTarget *target,
                           void (*visit)(const Config *, const Section *, void *), void *data)
{
    g_autofree char *path = target->path ? g_canonicalize_filename(target->path, "/") : NULL;
    ConfigTarget plain = {.path = path, .tag = target->tag, .domain = target->domain};

    for (int kind = 0; kind < SECTION_N_KINDS; kind++) {
        for (guint i = 0; i < config->sections->len; i++) {
            const Section *section = &g_array_index(config->sections, Section, i);

            if (section->kind == (SectionKind)kind && matches(section, &plain))
                visit(config, section, data);
        }
    }
}

void config_apply(const Config *config, const ConfigTarget *target, ExportOptions *options)
{
    for_each_match(config, target, apply_section, options);
}

/*
 * Listing
 */

typedef struct Listing {
    ConfigSeen seen;
    void *data;
} Listing;

static void list_section(const Config *config, const Section *section, void *data)
{
    const Listing *listing = data;

    for (const ExportKey *key = export_keys; key->name; key++) {
        g_autofree char *value =
            g_key_file_get_value(config->file, section->group, key->name, NULL);
        ConfigItem item = {.group = section->group, .key = key, .value = value};

        if (value == NULL)
            continue;
        g_strstrip(value);
        item.line = find_line(config->text, section->group, key->name);
        listing->seen(&item, listing->data);
    }
}

void config_list(const Config *config, const ConfigTarget *target, ConfigSeen seen, void *data)
{
    Listing listing = {.seen = seen, .data = data};

    if (target != NULL) {
        for_each_match(config, target, list_section, &listing);
        return;
    }
    for (guint i = 0; i < config->sections->len; i++)
        list_section(config, &g_array_index(config->sections, Section, i), &listing);
}
