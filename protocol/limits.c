/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits: see limits.h. */
#include "protocol/limits.h"

#include <inttypes.h>

#include "common/log.h"

static const struct {
    const char *key;
    const char *consequence;
    uint64_t unit;
} limits[N_LIMITS] = {
    [LIMIT_FIDS] = {"max-fids", "further ones are refused (ENFILE)", 1},
    [LIMIT_DESCRIPTORS] = {"max-descriptors", "further files are refused (ENFILE)", 1},
    [LIMIT_SYSTEM_FILES] = {"fs.file-max", "further files are refused (ENFILE)", 1},
    [LIMIT_REQUEST_MEMORY] = {"max-request-memory", "no more are taken until some are done",
                              1024 * 1024},
    [LIMIT_THREADS] = {"max-spare-threads", "all threads are stuck and requests wait", 1},
    [LIMIT_XATTRS] = {"max-xattrs", "further ones are refused (ENOSPC)", 1},
    [LIMIT_XATTR_MEMORY] = {"max-xattr-memory", "further ones are refused (ENOSPC)", 1024 * 1024},
    [LIMIT_LOCK_OWNERS] = {"max-lock-owners", "further ones are refused (ENOLCK)", 1},
    [LIMIT_LOCK_RANGES] = {"max-locks", "further ones are refused (ENOLCK)", 1},
    [LIMIT_LOCK_WAITS] = {"max-waiting-locks", "further ones do not wait", 1},
};

static LogLimit lines[N_LIMITS] = {
    [0 ... N_LIMITS - 1] = {.burst = 1, .seconds = LIMIT_LOG_SECONDS},
};

void limit_reached(Limit limit, uint64_t max)
{
    if (limit == LIMIT_SYSTEM_FILES)
        log_limited(&lines[limit], LOG_WARNING,
                    "the system has no more open files: %s; sysctl fs.file-max raises its limit",
                    limits[limit].consequence);
    else
        log_limited(&lines[limit], LOG_WARNING,
                    "the limit %s=%" PRIu64
                    " is reached: %s; xen-9pfs.conf(5) tells how to raise it",
                    limits[limit].key, max / limits[limit].unit, limits[limit].consequence);
}

void limit_forget(Limit limit)
{
    pthread_mutex_lock(&lines[limit].lock);
    lines[limit].window_start = 0;
    lines[limit].left_out = 0;
    pthread_mutex_unlock(&lines[limit].lock);
}
