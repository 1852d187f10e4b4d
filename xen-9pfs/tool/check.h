/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check: what the sub-command check looks at, an item a line, and how each item turned out.
 *
 * Each check_...() function looks at one thing and adds what it found to the report. Where it finds
 * something wrong its text says first what, and behind a semicolon how to mend it.
 */
#ifndef XEN_9PFS_TOOL_CHECK_H
#define XEN_9PFS_TOOL_CHECK_H

#include "xen-9pfs/config.h"
#include "xen-9pfs/tool/control.h"
#include "xen-9pfs/tool/store.h"

typedef enum CheckResult {
    CHECK_OK,
    CHECK_WARNING, /* it works, but not all of it or not for everybody */
    CHECK_ERROR,   /* guests are not served */
} CheckResult;

typedef struct Report {
    const Tool *tool;
    const char *root;        /* in front of the names of the host's files; "" but in tests */
    const char *config_file; /* the one that was named, or NULL */
    GPtrArray *items;        /* of CheckItem */
    Store *store;            /* NULL: xenstore cannot be reached */
    Query *version;          /* the daemon's answer; without records: it does not run */
    Config *config;          /* NULL: the file is bad */
} Report;

typedef struct CheckItem {
    CheckResult result;
    const char *name;
    char *text;
} CheckItem;

/* Adds an item; `name` must be a literal. */
void report_add(Report *report, CheckResult result, const char *name, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* The name of a file of the host, for looking at it. The caller frees it. */
char *report_file(const Report *report, const char *name);

/* What the daemon says of itself, or NULL. */
const Record *report_daemon(const Report *report);

/* True when the daemon says that it serves this kind of devices. */
bool report_serves(const Report *report, const char *kind);

/* The version of Xen below which this runs. Returns false when the kernel does not say. */
bool report_xen_version(const Report *report, unsigned *major, unsigned *minor);

/* check_host.c: what the kernel and the hypervisor offer. */
void check_privileges(Report *report);
void check_device_files(Report *report);
void check_grant_limit(Report *report);
void check_kernel(Report *report);
void check_descriptors(Report *report);

/* check_xen.c: the toolstack, the daemon, others that serve. */
void check_xen_version(Report *report);
void check_xenstore(Report *report);
void check_daemon(Report *report);
void check_program_of_libxl(Report *report);
void check_qemu(Report *report);

/* check_exports.c: the configuration file and the directories. */
void check_config_file(Report *report);
void check_exports(Report *report);

#endif
