/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: writing to an export with limits; see quota.h and local_quota.h. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "protocol/local_quota.h"

/* The most that a write can allocate. */
static uint64_t growth_of_write(FsFile *file, size_t size, uint64_t offset)
{
    LocalFs *fs = local_fs(file->node);
    uint64_t charge;

    if (((LocalFile *)file)->appends)
        return local_round_up(fs, size) + fs->quota->block;
    if (file->node->class != FS_REMOTE)
        return local_round_up(fs, offset + size) - local_round_down(fs, offset);
    charge = quota_charge(quota_of(file->node), inode_of(file->node));
    return local_round_up(fs, offset + size) - MIN(charge, local_round_up(fs, offset + size));
}

/* lseek() for SEEK_DATA or SEEK_HOLE, with `end` for anything at or behind it. */
static uint64_t seek_below(int fd, uint64_t from, int whence, uint64_t end)
{
    off_t found = lseek(fd, (off_t)from, whence);

    return found < 0 ? end : MIN((uint64_t)found, end);
}

/* How many bytes the holes in a range take when they are filled. *fit receives how much of the range
 * can be written when at most `room` bytes are filled. */
static uint64_t holes_in(const LocalFs *fs, int fd, uint64_t offset, size_t size, uint64_t room,
                         size_t *fit)
{
    uint64_t end = local_round_up(fs, offset + size);
    uint64_t at = local_round_down(fs, offset);
    uint64_t need = 0;

    *fit = size;
    while (at < end) {
        uint64_t data = local_round_down(fs, seek_below(fd, at, SEEK_DATA, end));

        if (data - at > room - need) {
            uint64_t limit = at + local_round_down(fs, room - need);

            *fit = limit > offset ? (size_t)(limit - offset) : 0;
            return local_round_down(fs, room);
        }
        need += data - at;
        at = data < end ? local_round_up(fs, seek_below(fd, data, SEEK_HOLE, end)) : end;
    }
    return need;
}

/* The same where the charge is the size. */
static uint64_t growth_of_size(const LocalFs *fs, uint64_t charge, uint64_t offset, size_t size,
                               uint64_t room, size_t *fit)
{
    uint64_t end = local_round_up(fs, offset + size);
    uint64_t limit = charge + local_round_down(fs, MIN(room, (uint64_t)INT64_MAX - charge));

    *fit = size;
    if (end <= charge)
        return 0;
    if (end <= limit)
        return end - charge;
    *fit = limit > offset ? (size_t)(limit - offset) : 0;
    return limit - charge;
}

/* What a write needs at least, with the order held. */
static uint64_t exact_growth(FsFile *file, uint64_t offset, size_t size, uint64_t room, size_t *fit)
{
    const LocalFs *fs = local_fs(file->node);
    uint64_t charge;

    if (file->node->class != FS_REMOTE)
        return holes_in(fs, ((LocalFile *)file)->fd, offset, size, room, fit);
    charge = quota_charge(quota_of(file->node), inode_of(file->node));
    return growth_of_size(fs, charge, offset, size, room, fit);
}

static ssize_t write_and_settle(FsFile *file, const void *data, size_t size, uint64_t offset,
                                uint64_t claimed)
{
    ssize_t put = local_write(file, data, size, offset);

    local_quota_settle(file->node);
    quota_unclaim(quota_of(file->node), 0, claimed);
    return put;
}

/* Where an appending write will begin. */
static uint64_t end_of_file(FsFile *file, uint64_t offset)
{
    FsAttr attr;

    if (!((LocalFile *)file)->appends)
        return offset;
    return local_statx(((LocalFile *)file)->fd, "", false, &attr) == 0 ? attr.stx_size : offset;
}

/* One attempt to write while there is little room, with the order held. With `cut` what does not fit
 * is left out. Returns true when that was it; else *result is the error of a claim of *need bytes. */
static bool try_tight_write(FsFile *file, const void *data, size_t size, uint64_t offset, bool cut,
                            uint64_t *need, ssize_t *result)
{
    Quota *quota = quota_of(file->node);
    uint64_t at = end_of_file(file, offset);
    uint64_t room = cut ? quota_room(quota) : UINT64_MAX;
    size_t fit;

    *result = -EFBIG;
    if (at > INT64_MAX - size)
        return true;
    *need = exact_growth(file, at, size, room, &fit);
    *result = fit == 0 ? -ENOSPC : quota_claim(quota, 0, *need);
    if (fit == 0 || *result < 0)
        return fit == 0;
    *result = write_and_settle(file, data, fit, offset, *need);
    return true;
}

/* A write when there is not enough room for the most that it can take: finds out what it really
 * takes. At the limit as much is written as fits, as on a full disk. */
static ssize_t write_tightly(FsFile *file, const void *data, size_t size, uint64_t offset)
{
    LocalFs *fs = local_fs(file->node);
    uint64_t max = quota_options(fs->quota->quota)->max_space;
    bool doubted = false;
    bool cut = false;

    for (;;) {
        uint64_t need;
        ssize_t result;
        int error;
        bool done;

        lock_order(file->node);
        done = try_tight_write(file, data, size, offset, cut, &need, &result);
        unlock_order(file->node);
        if (done)
            return result;
        if (cut && result == -ENOSPC)
            continue; /* others took the room meanwhile */
        error = local_quota_mend_claim(fs, 0, MIN(need, max), (int)result, &doubted);
        if (error && error != -ENOSPC)
            return error;
        cut = error == -ENOSPC || need > max; /* that much there is never */
    }
}

ssize_t local_quota_write(FsFile *file, const void *data, size_t size, uint64_t offset)
{
    Quota *quota = quota_of(file->node);
    uint64_t growth;

    if (!quota_counts_space(quota) || size == 0 || offset > INT64_MAX - size)
        return local_write(file, data, size, offset);
    growth = growth_of_write(file, size, offset);
    if (quota_claim(quota, 0, growth) == 0)
        return write_and_settle(file, data, size, offset, growth);
    return write_tightly(file, data, size, offset);
}
