/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns: see turns.h. */
#include "xen-9pfs/turns.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Several requests' worth: no request is split, mostly. */
enum { TURN_NSEC = 200 * 1000 };

/* struct sched_attr in its first version. The C libraries and headers of some systems have none, and
 * those of others two. */
typedef struct Attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of policies that share: the length of a turn, in nanoseconds */
    uint64_t deadline;
    uint64_t period;
} Attributes;

int turns_shorten(void)
{
    Attributes attributes = {.size = sizeof(attributes)};

    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0)
        return -errno;
    if (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH)
        return -EINVAL; /* the administrator has chosen otherwise */
    attributes.runtime = TURN_NSEC;
    return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 ? 0 : -errno;
}
