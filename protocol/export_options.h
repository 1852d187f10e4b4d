/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export options: how one export is to be served, beside its path. Plain data without pointers: the
 * supervisor puts it together and hands it to the worker as it is. Zeroed before it is filled in, so
 * that all zeros means "nothing special" for every field but the modes and the limits.
 */
#ifndef PROTOCOL_EXPORT_OPTIONS_H
#define PROTOCOL_EXPORT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { EXPORT_MAX_ID_RANGES = 16 };

/* How ownership and modes are kept; the names are those of the security_model node. */
typedef enum SecurityModel {
    MODEL_NONE,         /* as passthrough, but a new file's owner may stay ours if it must */
    MODEL_PASSTHROUGH,  /* owners and modes are the real ones; needs privileges */
    MODEL_MAPPED_XATTR, /* they are in extended attributes of files that are all ours */
    MODEL_MAPPED_FILE,  /* they are in files in hidden directories */
} SecurityModel;

/* What becomes of inode numbers where an export spans several devices. */
typedef enum Multidevs {
    MULTIDEVS_REMAP,  /* each device's are made distinct */
    MULTIDEVS_FORBID, /* what is on another device than the root cannot be reached */
    MULTIDEVS_WARN,   /* as remap, and the log says once that it happens */
} Multidevs;

/* `count` ids of the guest from `guest` on are those of the host from `host` on. */
typedef struct IdRange {
    uint32_t guest;
    uint32_t host;
    uint32_t count;
} IdRange;

/* Without ranges every id is itself. With ranges an id outside all of them is `other`; the map must
 * then be one that id_map_validate() finds good. */
typedef struct IdMap {
    uint32_t n_ranges;
    IdRange ranges[EXPORT_MAX_ID_RANGES];
    uint32_t other_host;  /* what other ids of the guest are on the host */
    uint32_t other_guest; /* what other ids of the host are for the guest */
} IdMap;

/* A token bucket: `rate` per second on average (0: no limit), up to `burst` at once (0: a tenth of
 * a second's worth; never less than a fiftieth). */
typedef struct ThrottleRate {
    uint64_t rate;
    uint64_t burst;
} ThrottleRate;

typedef struct ThrottleOptions {
    ThrottleRate bytes_total, bytes_read, bytes_write;
    ThrottleRate ops_total, ops_read, ops_write;
} ThrottleOptions;

/* xl.cfg(5): what the tree below the path may hold. 0 means no limit. */
typedef struct QuotaOptions {
    uint64_t max_space; /* bytes */
    uint64_t max_files;
    uint32_t max_open_files; /* at a time; each open counts */
    bool auto_delete;        /* at a limit, the oldest files that are not open make room */
} QuotaOptions;

/* What one device may take of this host; see limits.h. */
typedef struct DeviceLimits {
    uint32_t max_fids;
    uint32_t max_descriptors; /* of files; never more than the process may have */
    uint64_t max_inflight; /* bytes of memory for requests that are not published yet */
    uint32_t max_threads;
    uint32_t max_spare_threads; /* in the place of threads that hang in a system call */
    uint32_t max_xattrs;        /* fids that stand for an extended attribute */
    uint64_t max_xattr_bytes;   /* of their values */
    uint32_t max_lock_owners;   /* counted for each file */
    uint32_t max_lock_ranges;
    uint32_t max_lock_waits; /* Tlocks that wait */
} DeviceLimits;

#define DEVICE_DEFAULT_LIMITS                                                                     \
    {                                                                                             \
        .max_fids = 1024 * 1024, .max_descriptors = 128 * 1024, .max_inflight = 64 * 1024 * 1024, \
        .max_threads = 16, .max_spare_threads = 48, .max_xattrs = 1024,                           \
        .max_xattr_bytes = 16 * 1024 * 1024, .max_lock_owners = 4096,                             \
        .max_lock_ranges = 64 * 1024, .max_lock_waits = 1024,                                     \
    }

typedef struct ExportOptions {
    SecurityModel model;
    bool readonly;
    uint16_t fmode; /* permissions of what the mapped models make on the host */
    uint16_t dmode; /* and of directories */
    Multidevs multidevs;
    IdMap users;
    IdMap groups;
    ThrottleOptions throttle;
    QuotaOptions quota;
    DeviceLimits limits;
} ExportOptions;

enum {
    EXPORT_DEFAULT_FMODE = 0600,
    EXPORT_DEFAULT_DMODE = 0700,
};

/* Model none, the default modes and limits, nothing else. */
extern const ExportOptions export_default_options;

/* The model called `name`. Returns false when there is none. */
bool security_model_parse(const char *name, SecurityModel *model);

/* The name of a model. */
const char *security_model_name(SecurityModel model);

#endif
