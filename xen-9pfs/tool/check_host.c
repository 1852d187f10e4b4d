/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check, the part about what the kernel and the hypervisor offer; see check.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xen-9pfs/tool/check.h"
#include "xen-9pfs/tool/text.h"

enum {
    RING_PAGES = 512,               /* of one ring of the largest order, which are mapped at once */
    GOOD_DESCRIPTORS = 1024 * 1024, /* a guest holds one with each of its fids */
};

/* A number that is all of a file, or -1. */
static int64_t read_number(const Report *report, const char *name)
{
    g_autofree char *file = report_file(report, name);
    g_autofree char *text = NULL;
    uint64_t number;

    if (!g_file_get_contents(file, &text, NULL, NULL) ||
        !text_parse_number(g_strstrip(text), &number) || number > INT64_MAX)
        return -1;
    return (int64_t)number;
}

/*
 * Privileges
 */

/* The effective set of this process. */
static uint64_t read_capabilities(void)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
        return 0;
    line = strstr(text, "\nCapEff:");
    return line != NULL ? g_ascii_strtoull(line + strlen("\nCapEff:"), NULL, 16) : 0;
}

void check_privileges(Report *report)
{
    uint64_t set = read_capabilities();

    if (geteuid() != 0)
        report_add(report, CHECK_WARNING, "privileges",
                   "user %u cannot see all of this; run it as root", (unsigned)geteuid());
    else if (!(set >> CAP_SYS_ADMIN & 1))
        report_add(
            report, CHECK_WARNING, "privileges",
            "root has no CAP_SYS_ADMIN here, which workers need to lock themselves in; start "
            "xen-9pfsd where it has, or with --sandbox=no-namespaces");
    else
        report_add(report, CHECK_OK, "privileges", "root, with CAP_SYS_ADMIN");
}

/*
 * Device files
 */

static const struct {
    const char *name;
    const char *module;
    const char *other; /* an older place of the same, or NULL */
    CheckResult without;
} device_files[] = {
    {"/dev/xen/gntdev", "xen-gntdev", NULL, CHECK_ERROR},
    {"/dev/xen/evtchn", "xen-evtchn", "/proc/xen/evtchn", CHECK_ERROR},
    {"/dev/xen/privcmd", "xen-privcmd", "/proc/xen/privcmd", CHECK_WARNING},
};

static bool can_open(const Report *report, const char *name)
{
    g_autofree char *file = report_file(report, name);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    return fd >= 0;
}

void check_device_files(Report *report)
{
    for (size_t i = 0; i < G_N_ELEMENTS(device_files); i++) {
        const char *name = device_files[i].name;
        const char *other = device_files[i].other;
        int error;

        if (can_open(report, name) || (other != NULL && can_open(report, other))) {
            report_add(report, CHECK_OK, "device files", "%s can be opened", name);
            continue;
        }
        can_open(report, name);
        error = errno;
        if (error == ENOENT)
            report_add(report, device_files[i].without, "device files",
                       "%s is missing; \"modprobe %s\", now and at each boot", name,
                       device_files[i].module);
        else
            report_add(report, device_files[i].without, "device files", "cannot open %s: %s", name,
                       g_strerror(error));
    }
}

/* How many pages one call may map. */
void check_grant_limit(Report *report)
{
    int64_t limit = read_number(report, "/sys/module/xen_gntdev/parameters/limit");

    if (limit < 0)
        report_add(report, CHECK_OK, "grants", "gntdev has no limit that could be read");
    else if (limit < RING_PAGES)
        report_add(report, CHECK_ERROR, "grants",
                   "gntdev maps at most %" G_GINT64_FORMAT
                   " pages at once, a Linux guest's ring has "
                   "%d; load xen-gntdev with limit=65536",
                   limit, RING_PAGES);
    else
        report_add(report, CHECK_OK, "grants",
                   "gntdev maps %" G_GINT64_FORMAT " pages at once, a ring has at most %d", limit,
                   RING_PAGES);
}

/*
 * The kernel
 */

/* Asks for the file "/", by the rules that names of guests are looked up by. */
static bool has_openat2(void)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool has_pidfd(void)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Without sensible arguments these fail, but not with ENOSYS where they are there. */
static bool has_mount_api(void)
{
    return !(syscall(SYS_open_tree, -1, NULL, 0) < 0 && errno == ENOSYS) &&
           !(syscall(SYS_move_mount, -1, NULL, -1, NULL, 0) < 0 && errno == ENOSYS) &&
           !(syscall(SYS_mount_setattr, -1, NULL, 0, NULL, 0) < 0 && errno == ENOSYS);
}

static bool has_seccomp(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static bool has_namespaces(void)
{
    static const char *const names[] = {"mnt", "net", "ipc", "uts", "pid"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = g_strconcat("/proc/self/ns/", names[i], NULL);

        if (access(file, F_OK) != 0)
            return false;
    }
    return true;
}

static const struct {
    bool (*is_there)(void);
    const char *what;
    const char *mend;
} features[] = {
    {has_openat2, "openat2(), by which all names are looked up", "Linux 5.6 or newer has it"},
    {has_pidfd, "pidfd_open(), by which workers are watched", "Linux 5.3 or newer has it"},
    {has_mount_api,
     "open_tree(), move_mount() and mount_setattr(), which make the export a worker's root",
     "Linux 5.14 or newer has them; --sandbox=no-namespaces does without"},
    {has_seccomp, "seccomp, by which workers limit their system calls",
     "take a kernel with CONFIG_SECCOMP_FILTER; --sandbox=off does without"},
    {has_namespaces, "mount, network, IPC, UTS and PID namespaces",
     "take a kernel with them; --sandbox=no-namespaces does without"},
};

void check_kernel(Report *report)
{
    bool complete = true;

    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].is_there())
            continue;
        complete = false;
        report_add(report, CHECK_ERROR, "kernel", "no %s; %s", features[i].what, features[i].mend);
    }
    if (complete)
        report_add(report, CHECK_OK, "kernel", "it has what serving and the workers' sandbox take");
}

/* Workers raise their own limit to what the kernel grants. */
void check_descriptors(Report *report)
{
    int64_t each = read_number(report, "/proc/sys/fs/nr_open");
    int64_t all = read_number(report, "/proc/sys/fs/file-max");

    if (each >= 0 && each < GOOD_DESCRIPTORS)
        report_add(report, CHECK_WARNING, "descriptors",
                   "a worker can have %" G_GINT64_FORMAT
                   " at most, and a guest as many files of it "
                   "in use; \"sysctl fs.nr_open=%d\"",
                   each, GOOD_DESCRIPTORS);
    else if (all >= 0 && all < GOOD_DESCRIPTORS)
        report_add(report, CHECK_WARNING, "descriptors",
                   "all processes can have %" G_GINT64_FORMAT
                   " together; \"sysctl fs.file-max=%d\"",
                   all, GOOD_DESCRIPTORS);
    else
        report_add(report, CHECK_OK, "descriptors", "a worker can have %" G_GINT64_FORMAT, each);
}
