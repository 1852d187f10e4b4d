/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check, the part about the configuration file, the directories and the devices; see check.h. */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "xen-9pfs/tool/check.h"
#include "xen-9pfs/tool/directory.h"
#include "xen-9pfs/tool/text.h"

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif

/*
 * The configuration file
 */

void check_config_file(Report *report)
{
    const Record *daemon = report_daemon(report);
    const char *said = daemon != NULL ? record_get_text(daemon, "config") : "";
    const char *file = report->config_file != NULL ? report->config_file
                       : said[0] != '\0'           ? said
                                                   : CONFIG_FILE;
    g_autoptr(GError) error = NULL;

    report->config = config_read(file, report->config_file != NULL, &error);
    if (report->config == NULL)
        report_add(report, CHECK_ERROR, "configuration",
                   "%s; until that is mended no device connects", error->message);
    else if (access(file, F_OK) != 0)
        report_add(report, CHECK_OK, "configuration", "there is no %s, and none is needed", file);
    else
        report_add(report, CHECK_OK, "configuration", "%s has no errors", file);
}

/*
 * Directories
 */

/* Kinds of file systems of which there is something to say. */
static const struct {
    unsigned long magic;
    const char *advice;
} file_systems[] = {
    {FUSE_SUPER_MAGIC,
     "FUSE: root may have no access (allow_other), and requests wait for its server"},
    {NFS_SUPER_MAGIC, "NFS: export it with no_root_squash, or owners cannot be kept"},
    {CIFS_SUPER_MAGIC, "CIFS: owners and modes are the server's; take a mapped model"},
    {SMB2_SUPER_MAGIC, "SMB: owners and modes are the server's; take a mapped model"},
    {CEPH_SUPER_MAGIC, "Ceph: requests wait for its servers when these are away"},
    {V9FS_MAGIC, "9P: locks and attributes are only what that server has"},
};

static const char *find_advice(const char *path)
{
    struct statfs info;

    if (statfs(path, &info) != 0)
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(file_systems); i++) {
        if ((unsigned long)(uint32_t)info.f_type == file_systems[i].magic)
            return file_systems[i].advice;
    }
    return NULL;
}

static bool lacks_attributes(const char *path)
{
    char value[16];

    return getxattr(path, "user.virtfs.uid", value, sizeof(value)) < 0 && errno == EOPNOTSUPP;
}

static bool is_read_only(const char *path)
{
    struct statvfs info;

    return statvfs(path, &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
}

/* An export and how it is served; `model` is NULL where that is not known. */
static void check_export(Report *report, const char *who, const char *path, const char *model,
                         bool readonly)
{
    int error = directory_check(path);
    const char *advice = error == 0 ? find_advice(path) : NULL;

    if (error != 0)
        report_add(report, CHECK_ERROR, "export", "%s: %s: %s; make it a directory or correct it",
                   who, path, g_strerror(error));
    else if (access(path, R_OK | X_OK) != 0)
        report_add(report, CHECK_ERROR, "export", "%s: %s cannot be read: %s; mend its permissions",
                   who, path, g_strerror(errno));
    else if (g_strcmp0(model, "mapped-xattr") == 0 && lacks_attributes(path))
        report_add(report, CHECK_ERROR, "export",
                   "%s: the file system of %s has no user.* attributes; take mapped-file", who,
                   path);
    else if (!readonly && is_read_only(path))
        report_add(report, CHECK_WARNING, "export",
                   "%s: %s is mounted read-only; set readonly=on, so that guests know", who, path);
    else if (advice != NULL)
        report_add(report, CHECK_WARNING, "export", "%s: %s is on %s", who, path, advice);
    else
        report_add(report, CHECK_OK, "export", "%s: %s", who, path);
}

/*
 * Devices and groups of the file
 */

typedef struct Readonly {
    bool value;
} Readonly;

static void take_readonly(const ConfigItem *item, void *data)
{
    Readonly *readonly = data;
    ExportOptions scratch = export_default_options;
    g_autofree char *right = NULL;

    if (strcmp(item->key->name, "readonly") == 0 &&
        export_key_set(item->key, item->value, &scratch, &right))
        readonly->value = scratch.readonly;
}

static bool is_served_readonly(const Report *report, const ConfigTarget *target, const char *node)
{
    Readonly readonly = {.value = false};

    if (report->config != NULL)
        config_list(report->config, target, take_readonly, &readonly);
    if (node != NULL)
        readonly.value = strcmp(node, "0") != 0 && strcmp(node, "off") != 0;
    return readonly.value;
}

/* What a backend's folder says of its device. */
static void check_device(Report *report, const char *folder, const char *kind, const char *domid,
                         const char *devid)
{
    Store *store = report->store;
    g_autofree char *who = g_strdup_printf("device %s.%s", domid, devid);
    g_autofree char *path = store_read(store, folder, "path");
    g_autofree char *model = store_read(store, folder, "security_model");
    g_autofree char *readonly = store_read(store, folder, "readonly");
    g_autofree char *errors =
        g_strdup_printf("/local/domain/%u/error/backend/%s/%s/%s", store->self, kind, domid, devid);
    g_autofree char *error = store_read(store, errors, "error");
    ConfigTarget target = {.path = path};

    if (path == NULL || path[0] != '/')
        report_add(report, CHECK_ERROR, "export", "%s has no absolute path; correct its p9 entry",
                   who);
    else
        check_export(report, who, path, model, is_served_readonly(report, &target, readonly));
    if (error != NULL)
        report_add(report, CHECK_ERROR, "device", "%s was closed: %s", who, error);
}

static void check_devices(Report *report, const char *kind)
{
    Store *store = report->store;
    g_autofree char *folder = g_strdup_printf("/local/domain/%u/backend/%s", store->self, kind);
    g_auto(GStrv) domids = xenstore_list(store->xs, XBT_NULL, folder);

    for (size_t i = 0; domids != NULL && domids[i] != NULL; i++) {
        g_autofree char *domain = g_strdup_printf("%s/%s", folder, domids[i]);
        g_auto(GStrv) devids = xenstore_list(store->xs, XBT_NULL, domain);

        for (size_t j = 0; devids != NULL && devids[j] != NULL; j++) {
            g_autofree char *device = g_strdup_printf("%s/%s", domain, devids[j]);

            check_device(report, device, kind, domids[i], devids[j]);
        }
    }
}

/* A group [path ...] without wildcards names a directory, which should be there. */
static void check_group(const ConfigItem *item, void *data)
{
    Report *report = data;
    const char *path = item->group + strlen("path");
    g_autofree char *who = NULL;
    ConfigTarget target = {0};

    if (!g_str_has_prefix(item->group, "path ") || strpbrk(path, "*?[\\") != NULL)
        return;
    path += strspn(path, " ");
    who = g_strdup_printf("[%s]", item->group);
    target.path = path;
    for (guint i = 0; i < report->items->len; i++) {
        const CheckItem *seen = g_ptr_array_index(report->items, i);

        if (g_str_has_prefix(seen->text, who)) /* a group has several values */
            return;
    }
    check_export(report, who, path, NULL, is_served_readonly(report, &target, NULL));
}

void check_exports(Report *report)
{
    if (report->config != NULL)
        config_list(report->config, NULL, check_group, report);
    if (report->store == NULL)
        return;
    check_devices(report, "xen_9pfs");
    if (report_serves(report, "9pfs"))
        check_devices(report, "9pfs");
}
