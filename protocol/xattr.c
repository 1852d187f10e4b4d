/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xattr: see xattr.h. */
#include "protocol/xattr.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/xattr.h>

#include "protocol/id_xattr.h"
#include "protocol/limits.h"

struct Xattr {
    XattrQuota *quota;
    size_t size;
    uint8_t *bytes;
    char *name; /* NULL: a snapshot */
    int flags;
    pthread_mutex_t lock; /* guards, and the bytes until `by` is set: */
    uint8_t *missing;     /* one for each byte: not written yet */
    const void *by;       /* who stores it */
};

/* Counts in any case: what does not fit is taken back by uncharge_quota(). */
static bool charge_quota(XattrQuota *quota, size_t size)
{
    unsigned count = (unsigned)g_atomic_int_add(&quota->count, 1);
    gsize bytes = (gsize)g_atomic_pointer_add(&quota->bytes, (gssize)size);

    return count < quota->max_count && bytes + size <= quota->max_bytes;
}

/* Says which of the two is used up. */
static void report_quota(XattrQuota *quota)
{
    if ((unsigned)g_atomic_int_get(&quota->count) > quota->max_count)
        limit_reached(LIMIT_XATTRS, quota->max_count);
    else
        limit_reached(LIMIT_XATTR_MEMORY, quota->max_bytes);
}

static void uncharge_quota(XattrQuota *quota, size_t size)
{
    g_atomic_int_add(&quota->count, -1);
    g_atomic_pointer_add(&quota->bytes, -(gssize)size);
}

static int new_xattr(XattrQuota *quota, size_t size, Xattr **xattr)
{
    Xattr *x;

    if (!charge_quota(quota, size)) {
        report_quota(quota);
        uncharge_quota(quota, size);
        return -ENOSPC;
    }
    x = g_new0(Xattr, 1);
    x->quota = quota;
    x->size = size;
    pthread_mutex_init(&x->lock, NULL);
    x->bytes = g_try_malloc0(size + 1); /* no bytes need a place, too */
    if (!x->bytes) {
        xattr_free(x);
        return -ENOMEM;
    }
    *xattr = x;
    return 0;
}

int xattr_new_snapshot(XattrQuota *quota, const void *bytes, size_t size, Xattr **xattr)
{
    int error = new_xattr(quota, size, xattr);

    if (!error && size > 0)
        memcpy((*xattr)->bytes, bytes, size);
    return error;
}

int xattr_new_value(XattrQuota *quota, const char *name, size_t size, int flags, Xattr **xattr)
{
    Xattr *x;
    int error = new_xattr(quota, size, &x);

    if (error)
        return error;
    x->missing = g_try_malloc(size + 1);
    if (!x->missing) {
        xattr_free(x);
        return -ENOMEM;
    }
    memset(x->missing, true, size);
    x->name = g_strdup(name);
    x->flags = flags;
    *xattr = x;
    return 0;
}

void xattr_free(Xattr *x)
{
    if (!x)
        return;
    uncharge_quota(x->quota, x->size);
    pthread_mutex_destroy(&x->lock);
    g_free(x->missing);
    g_free(x->bytes);
    g_free(x->name);
    g_free(x);
}

size_t xattr_size(const Xattr *x)
{
    return x->size;
}

ssize_t xattr_read(Xattr *x, uint64_t offset, void *bytes, size_t count)
{
    if (x->name)
        return -EBADF;
    if (offset >= x->size)
        return 0;
    count = MIN(count, x->size - (size_t)offset);
    memcpy(bytes, x->bytes + offset, count);
    return (ssize_t)count;
}

/* Called with the lock held. */
static ssize_t take_bytes(Xattr *x, uint64_t offset, const void *bytes, size_t count)
{
    if (x->by)
        return -EBADF;
    if (count == 0)
        return 0;
    if (offset >= x->size)
        return -ENOSPC;
    count = MIN(count, x->size - (size_t)offset);
    memcpy(x->bytes + offset, bytes, count);
    memset(x->missing + offset, false, count);
    return (ssize_t)count;
}

ssize_t xattr_write(Xattr *x, uint64_t offset, const void *bytes, size_t count)
{
    ssize_t taken;

    if (!x->name)
        return -EBADF;
    pthread_mutex_lock(&x->lock);
    taken = take_bytes(x, offset, bytes, count);
    pthread_mutex_unlock(&x->lock);
    return taken;
}

bool xattr_is_pending(Xattr *x)
{
    return x->name != NULL;
}

/* Claims the value for `by`. From then on nobody changes it. */
static bool claim(Xattr *x, const void *by)
{
    bool mine;

    pthread_mutex_lock(&x->lock);
    if (!x->by)
        x->by = by;
    mine = x->by == by;
    pthread_mutex_unlock(&x->lock);
    return mine;
}

/* Sets the attribute, to the value as the host has it: x->bytes is the guest's, and is kept so that
 * this can be done again. */
static int set_value(const Xattr *x, FsNode *node, const ExportOptions *options)
{
    g_autofree uint8_t *copy = NULL;
    ssize_t size;

    if (!id_xattr_concerns(options, x->name))
        return node->fs->ops->setxattr(node, x->name, x->bytes, x->size, x->flags);
    copy = g_try_malloc(x->size + ID_XATTR_GROWTH);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, x->bytes, x->size);
    size = id_xattr_to_host(options, x->name, copy, x->size);
    if (size < 0)
        return (int)size;
    return node->fs->ops->setxattr(node, x->name, copy, (size_t)size, x->flags);
}

int xattr_store(Xattr *x, FsNode *node, const ExportOptions *options, const void *by)
{
    const FsOps *ops = node->fs->ops;

    if (!x->name || !claim(x, by))
        return 0;
    if (memchr(x->missing, true, x->size))
        return -EINVAL;
    if (!ops->setxattr)
        return -EOPNOTSUPP;
    if (x->size == 0 && x->flags == XATTR_REPLACE)
        return ops->removexattr(node, x->name);
    return set_value(x, node, options);
}
