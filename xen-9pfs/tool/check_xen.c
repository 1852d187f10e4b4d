/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check, the part about the toolstack, the daemon and others that serve; see check.h. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-9pfs/tool/check.h"
#include "xen-9pfs/tool/text.h"

enum {
    /* Since then xl knows type=xen_9pfsd. */
    FIRST_MAJOR = 4,
    FIRST_MINOR = 19,
};

/* A word that only our daemon has in it; `make install` goes by the same. */
#define MARK "XEN_9PFS_LOG_TARGET"

/*
 * Xen
 */

static bool read_number(const Report *report, const char *name, unsigned *number)
{
    g_autofree char *file = report_file(report, name);
    g_autofree char *text = NULL;
    uint64_t value;

    if (!g_file_get_contents(file, &text, NULL, NULL) ||
        !text_parse_number(g_strstrip(text), &value) || value > UINT32_MAX)
        return false;
    *number = (unsigned)value;
    return true;
}

bool report_xen_version(const Report *report, unsigned *major, unsigned *minor)
{
    return read_number(report, "/sys/hypervisor/version/major", major) &&
           read_number(report, "/sys/hypervisor/version/minor", minor);
}

static bool runs_under_xen(const Report *report)
{
    g_autofree char *file = report_file(report, "/sys/hypervisor/type");
    g_autofree char *folder = report_file(report, "/proc/xen");
    g_autofree char *text = NULL;

    return (g_file_get_contents(file, &text, NULL, NULL) && strcmp(g_strstrip(text), "xen") == 0) ||
           access(folder, F_OK) == 0;
}

void check_xen_version(Report *report)
{
    unsigned major;
    unsigned minor;

    if (!runs_under_xen(report))
        report_add(
            report, CHECK_ERROR, "Xen",
            "this system does not run under Xen; boot the hypervisor, and Linux as its dom0");
    else if (!report_xen_version(report, &major, &minor))
        report_add(report, CHECK_OK, "Xen", "the kernel does not say which version");
    else if (major < FIRST_MAJOR || (major == FIRST_MAJOR && minor < FIRST_MINOR))
        report_add(
            report, CHECK_WARNING, "Xen",
            "version %u.%u, whose xl has no type=xen_9pfsd; use \"xen-9pfs attach\" once the "
            "guest runs, or xen-9pfsd --backend-kind=9pfs where no QEMU serves that kind",
            major, minor);
    else
        report_add(report, CHECK_OK, "Xen", "version %u.%u, whose xl has type=xen_9pfsd", major,
                   minor);
}

void check_xenstore(Report *report)
{
    if (report->store != NULL)
        report_add(report, CHECK_OK, "xenstore", "it answers; this is domain %u",
                   report->store->self);
    else
        report_add(report, CHECK_ERROR, "xenstore",
                   "it cannot be reached; be root, and start xenstored: \"systemctl start "
                   "xenstored\"");
}

/*
 * The daemon
 */

/* Does the file hold these bytes? */
static bool has_mark(const char *file)
{
    g_autoptr(GMappedFile) mapped = g_mapped_file_new(file, FALSE, NULL);

    return mapped != NULL && g_mapped_file_get_length(mapped) > 0 &&
           memmem(g_mapped_file_get_contents(mapped), g_mapped_file_get_length(mapped), MARK,
                  strlen(MARK)) != NULL;
}

/* Workers go on without a supervisor. */
static bool is_worker(const char *folder, const char *pid)
{
    g_autofree char *file = g_build_filename(folder, pid, "cmdline", NULL);
    g_autofree char *text = NULL;
    gsize size = 0;

    return g_file_get_contents(file, &text, &size, NULL) &&
           memmem(text, size, "worker", strlen("worker")) != NULL;
}

/* The first process that executes a file called xen-9pfsd, and whether that is ours; workers do not
 * count. Returns 0 for none. */
static unsigned find_process(const Report *report, bool *ours)
{
    g_autofree char *folder = report_file(report, "/proc");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *link = g_build_filename(folder, name, "exe", NULL);
        g_autofree char *program = g_ascii_isdigit(*name) ? g_file_read_link(link, NULL) : NULL;
        g_autofree char *base = program != NULL ? g_path_get_basename(program) : NULL;

        if (base == NULL || !g_str_has_prefix(base, "xen-9pfsd") || is_worker(folder, name))
            continue;
        *ours = has_mark(link);
        return (unsigned)atoi(name);
    }
    return 0;
}

static bool says_running(const Report *report)
{
    g_autofree char *folder = NULL;
    g_autofree char *state = NULL;

    if (report->store == NULL)
        return false;
    folder = g_strdup_printf("/local/domain/%u/libxl/xen-9pfs", report->store->self);
    state = store_read(report->store, folder, "state");
    return state != NULL;
}

static void report_running(Report *report, const Record *daemon)
{
    const char *version = record_get_text(daemon, "version");

    if (strcmp(version, VERSION) != 0)
        report_add(
            report, CHECK_WARNING, "daemon",
            "process %s is version %s, but installed is %s; \"systemctl restart xen-9pfsd\", "
            "guests do not notice",
            record_get_text(daemon, "pid"), version, VERSION);
    else
        report_add(report, CHECK_OK, "daemon", "process %s, version %s, answers",
                   record_get_text(daemon, "pid"), version);
    if (!says_running(report) && report->store != NULL)
        report_add(
            report, CHECK_ERROR, "daemon",
            "xenstore does not say that it runs, so that xl would start another; \"systemctl "
            "restart xen-9pfsd\"");
}

static void report_silent(Report *report)
{
    bool ours = false;
    unsigned pid = find_process(report, &ours);

    if (pid > 0 && !ours)
        report_add(report, CHECK_ERROR, "daemon",
                   "process %u is Xen's own xen-9pfsd, which cannot serve Linux guests; end it and "
                   "\"systemctl start xen-9pfsd\"",
                   pid);
    else if (pid > 0)
        report_add(report, CHECK_ERROR, "daemon", "process %u does not answer: %s", pid,
                   report->version->error);
    else if (says_running(report))
        report_add(report, CHECK_ERROR, "daemon",
                   "xenstore says that it runs, but it does not, so that xl will not start it; "
                   "\"systemctl start xen-9pfsd\" sets that right");
    else
        report_add(report, CHECK_WARNING, "daemon",
                   "it does not run; xl starts it with the first guest that needs it, \"systemctl "
                   "start xen-9pfsd\" does it now");
}

void check_daemon(Report *report)
{
    const Record *daemon = report_daemon(report);

    if (daemon != NULL)
        report_running(report, daemon);
    else
        report_silent(report);
}

/*
 * What xl would start
 */

/* Folders that may be a Xen's LIBEXEC_BIN. */
static const char *const libexec_folders[] = {
    "/usr/lib/xen-*/bin",     "/usr/lib/xen/bin",           "/usr/libexec/xen/bin",
    "/usr/local/lib/xen/bin", "/usr/local/libexec/xen/bin",
};

/* Debian has a folder for each version of Xen: of these only the running one's counts. */
static bool is_of_other_version(const Report *report, const char *folder)
{
    unsigned major;
    unsigned minor;
    g_autofree char *own = NULL;

    if (strstr(folder, "/xen-") == NULL || !report_xen_version(report, &major, &minor))
        return false;
    own = g_strdup_printf("/xen-%u.%u/", major, minor);
    return strstr(folder, own) == NULL;
}

/* A folder in which no part of a toolstack lies is none. */
static bool is_libexec(const char *folder)
{
    static const char *const parts[] = {"libxl-save-helper", "xl", "xenstored", "xen-init-dom0"};

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *file = g_build_filename(folder, parts[i], NULL);

        if (access(file, F_OK) == 0)
            return true;
    }
    return false;
}

static void report_program(Report *report, const char *folder)
{
    const char *shown = folder + strlen(report->root);
    g_autofree char *program = g_build_filename(folder, "xen-9pfsd", NULL);

    if (access(program, X_OK) != 0)
        report_add(report, CHECK_WARNING, "xl's daemon",
                   "xl finds no xen-9pfsd in %s; install there: \"make install "
                   "XEN_LIBEXEC_BIN=%s\", or start xen-9pfsd before the guests",
                   shown, shown);
    else if (!has_mark(program))
        report_add(report, CHECK_WARNING, "xl's daemon",
                   "%s/xen-9pfsd is Xen's own, which cannot serve Linux guests; \"make install "
                   "XEN_LIBEXEC_BIN=%s\", or start xen-9pfsd before the guests",
                   shown, shown);
    else
        report_add(report, CHECK_OK, "xl's daemon", "%s/xen-9pfsd is this one", shown);
}

void check_program_of_libxl(Report *report)
{
    bool found = false;

    for (size_t i = 0; i < G_N_ELEMENTS(libexec_folders); i++) {
        g_autofree char *pattern = report_file(report, libexec_folders[i]);
        glob_t matches = {0};

        if (glob(pattern, 0, NULL, &matches) == 0) {
            for (size_t j = 0; j < matches.gl_pathc; j++) {
                const char *folder = matches.gl_pathv[j];

                if (!is_libexec(folder) || is_of_other_version(report, folder))
                    continue;
                report_program(report, folder);
                found = true;
            }
        }
        globfree(&matches);
    }
    if (!found)
        report_add(report, CHECK_WARNING, "xl's daemon",
                   "no toolstack is where one is expected; start xen-9pfsd before the guests");
}

/*
 * QEMU
 */

/* A QEMU of this domain that serves the guest. */
static bool has_qemu(const Report *report, const char *domid)
{
    g_autofree char *folder =
        g_strdup_printf("/local/domain/%u/device-model/%s", report->store->self, domid);
    g_autofree char *state = store_read(report->store, folder, "state");

    return state != NULL;
}

void check_qemu(Report *report)
{
    bool ours = report_serves(report, "9pfs");
    g_autofree char *folder = NULL;
    g_auto(GStrv) domids = NULL;
    bool found = false;

    if (report->store == NULL)
        return;
    folder = g_strdup_printf("/local/domain/%u/backend/9pfs", report->store->self);
    domids = xenstore_list(report->store->xs, XBT_NULL, folder);
    for (size_t i = 0; domids != NULL && domids[i] != NULL; i++) {
        bool qemu = has_qemu(report, domids[i]);

        if (ours != qemu)
            continue;
        found = true;
        report_add(report, ours ? CHECK_ERROR : CHECK_WARNING, "QEMU", "%s %s%s",
                   ours ? "xen-9pfsd and a QEMU both serve the devices of kind 9pfs of domain"
                        : "nobody serves the devices of kind 9pfs of domain",
                   domids[i],
                   ours ? "; start xen-9pfsd without --backend-kind=9pfs"
                        : "; write type=xen_9pfsd in its p9 list");
    }
    if (!found)
        report_add(report, CHECK_OK, "QEMU", "no device is both its and this daemon's");
}
