/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: locks on byte ranges; see local_internal.h.
 *
 * They are open file description locks, which belong to one opening of a file and not to a process:
 * so the owners within one guest exclude each other, and those of other guests and the processes
 * of this domain, whichever kind of fcntl() lock these use.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "protocol/local_internal.h"

static short host_type(uint8_t type)
{
    switch (type) {
    case P9_LOCK_READ:
        return F_RDLCK;
    case P9_LOCK_WRITE:
        return F_WRLCK;
    default:
        return F_UNLCK;
    }
}

static struct flock host_lock(const FsLock *lock)
{
    return (struct flock){
        .l_type = host_type(lock->type),
        .l_whence = SEEK_SET,
        .l_start = (off_t)lock->start,
        .l_len = (off_t)lock->length,
    };
}

static int set_lock(int fd, struct flock *host)
{
    if (UNINTERRUPTED(fcntl(fd, F_OFD_SETLK, host)) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

/* The system has no exclusive locks for who may not write. */
int local_lock(FsFile *file, const FsLock *lock)
{
    struct flock host = host_lock(lock);
    int fd = ((LocalFile *)file)->fd;
    int error = set_lock(fd, &host);

    if (error == -EBADF && host.l_type == F_WRLCK) {
        host.l_type = F_RDLCK;
        error = set_lock(fd, &host);
    }
    return error;
}

int local_test_lock(FsFile *file, FsLock *lock)
{
    struct flock host = host_lock(lock);

    if (UNINTERRUPTED(fcntl(((LocalFile *)file)->fd, F_OFD_GETLK, &host)) != 0)
        return -errno;
    if (host.l_type == F_UNLCK) {
        lock->type = P9_LOCK_UNLOCK;
        return 0;
    }
    *lock = (FsLock){
        .type = host.l_type == F_RDLCK ? P9_LOCK_READ : P9_LOCK_WRITE,
        .start = (uint64_t)host.l_start,
        .length = (uint64_t)host.l_len,
        .pid = host.l_pid > 0 ? (uint32_t)host.l_pid : 0, /* -1: a description has no process */
    };
    return 0;
}
