/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-in for libxengnttab: grants as shared memory.
 *
 * Each domain's memory is one file that the broker holds; a grant reference names one page of it.
 * Pages are mapped at once (MAP_POPULATE), as the real device does, and what is mapped is counted
 * by the broker until it is unmapped or the handle goes. Where the real libraries fail, these
 * fail with the same errno.
 */
#include "tests/standin/core.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xengnttab.h>

enum { PAGE = 4096, MAX_PAGES_PER_CALL = 65536, REFS_PER_REQUEST = WIRE_PAYLOAD_MAX / 4 };

/* What one call mapped or shared. */
typedef struct Region {
    uint32_t count; /* pages */
    GArray *ids;    /* the broker's mapping ids, or the first frame of what is shared */
} Region;

struct xengntdev_handle {
    CoreHandle *core;
    GMutex lock;
    GHashTable *regions; /* address -> Region */
    uint32_t max_pages;
};

static void region_free(void *data)
{
    Region *region = data;

    g_array_free(region->ids, TRUE);
    g_free(region);
}

static Region *region_new(uint32_t count)
{
    Region *region = g_new0(Region, 1);

    region->count = count;
    region->ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    return region;
}

static xengnttab_handle *handle_open(const char *function)
{
    CoreHandle *core = core_open(function);
    xengnttab_handle *handle;

    if (!core)
        return NULL;
    handle = g_new0(xengnttab_handle, 1);
    handle->core = core;
    handle->max_pages = MAX_PAGES_PER_CALL;
    handle->regions = g_hash_table_new_full(NULL, NULL, NULL, region_free);
    g_mutex_init(&handle->lock);
    return handle;
}

static int handle_close(xengnttab_handle *handle)
{
    GHashTableIter iter;
    void *address;
    void *region;

    if (!handle)
        return 0;
    g_hash_table_iter_init(&iter, handle->regions);
    while (g_hash_table_iter_next(&iter, &address, &region))
        munmap(address, (size_t)((Region *)region)->count * PAGE);
    g_hash_table_destroy(handle->regions);
    g_mutex_clear(&handle->lock);
    core_close(handle->core);
    g_free(handle);
    return 0;
}

static void handle_add(xengnttab_handle *handle, void *address, Region *region)
{
    g_mutex_lock(&handle->lock);
    g_hash_table_insert(handle->regions, address, region);
    g_mutex_unlock(&handle->lock);
}

/* Tells the broker that what `region` holds is given back. */
static void handle_release(xengnttab_handle *handle, WireOp op, const Region *region)
{
    for (unsigned i = 0; i < region->ids->len; i++)
        core_call(handle->core, op, g_array_index(region->ids, uint32_t, i), 0, NULL);
}

/* Unmaps a region given by exactly its address and length. */
static int handle_remove(xengnttab_handle *handle, WireOp op, void *address, uint32_t count)
{
    Region *region;

    g_mutex_lock(&handle->lock);
    region = count > 0 ? g_hash_table_lookup(handle->regions, address) : NULL;
    if (region && region->count == count)
        g_hash_table_steal(handle->regions, address);
    else
        region = NULL;
    g_mutex_unlock(&handle->lock);
    if (!region) {
        errno = EINVAL;
        return -1;
    }
    munmap(address, (size_t)count * PAGE);
    handle_release(handle, op, region);
    region_free(region);
    return 0;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return handle_open(__func__);
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return handle_close(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
    return xgt->core->sock;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    xgt->max_pages = MIN(nr_grants, MAX_PAGES_PER_CALL);
    return 0;
}

/* As on a system without grant copies: programs try one of no segments to find that out. */
int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t *segs)
{
    (void)xgt;
    (void)count;
    (void)segs;
    errno = ENOSYS;
    return -1;
}

/* Asks the broker for `count` grants of one domain. `frames` receives where the pages are in the
 * domain's memory, which is returned, or -1. */
static int request_map(xengnttab_handle *xgt, uint32_t domid, uint32_t count, const uint32_t *refs,
                       int prot, const uint32_t notify[2], uint32_t *frames, uint32_t *id)
{
    WireMessage *message = core_begin(xgt->core, WIRE_MAP);
    int fd = -1;

    message->args[0] = domid;
    message->args[1] = (prot & PROT_WRITE) != 0;
    message->args[2] = notify[0];
    message->args[3] = notify[1];
    wire_append(message, refs, count * sizeof(*refs));
    if (core_exchange(xgt->core, -1, &fd) == 0) {
        *id = message->args[0];
        memcpy(frames, message->payload, count * sizeof(*frames));
    }
    core_end(xgt->core);
    return fd;
}

/* Maps pages `frames` of `fd` to `address`, each run of neighbours with one call. */
static int map_frames(char *address, int fd, const uint32_t *frames, uint32_t count, int prot)
{
    uint32_t run;

    for (uint32_t i = 0; i < count; i += run) {
        run = 1;
        while (i + run < count && frames[i + run] == frames[i] + run)
            run++;
        if (mmap(address + (size_t)i * PAGE, (size_t)run * PAGE, prot,
                 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, (off_t)frames[i] * PAGE) == MAP_FAILED)
            return -1;
    }
    return 0;
}

/* Maps grants of one domain to reserved addresses and notes what the broker counts. */
static int map_group(xengnttab_handle *xgt, char *address, uint32_t domid, uint32_t count,
                     const uint32_t *refs, int prot, const uint32_t notify[2], Region *region)
{
    g_autofree uint32_t *frames = g_new(uint32_t, count);
    uint32_t id = 0;
    int fd = request_map(xgt, domid, count, refs, prot, notify, frames, &id);
    int result;

    if (fd < 0)
        return -1;
    g_array_append_val(region->ids, id);
    result = map_frames(address, fd, frames, count, prot);
    close(fd);
    return result;
}

/* The pages from `start` on that are of the same domain and fit one request. */
static uint32_t group_size(uint32_t start, uint32_t count, const uint32_t *domids)
{
    uint32_t size = 1;

    while (start + size < count && size < REFS_PER_REQUEST && domids[start + size] == domids[start])
        size++;
    return size;
}

static void *map_refs(xengnttab_handle *xgt, uint32_t count, const uint32_t *domids,
                      const uint32_t *refs, int prot, uint32_t notify_offset, uint32_t notify_port)
{
    uint32_t notify[2] = {notify_offset, notify_port};
    char *address;
    Region *region;
    uint32_t size;
    int error;

    if (count == 0 || count > xgt->max_pages) {
        errno = EINVAL;
        return NULL;
    }
    address = mmap(NULL, (size_t)count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
        return NULL;
    region = region_new(count);
    for (uint32_t i = 0; i < count; i += size) {
        size = group_size(i, count, domids);
        if (map_group(xgt, address + (size_t)i * PAGE, domids[i], size, refs + i, prot, notify,
                      region) != 0)
            goto undo;
    }
    handle_add(xgt, address, region);
    return address;

undo:
    error = errno;
    handle_release(xgt, WIRE_UNMAP, region);
    region_free(region);
    munmap(address, (size_t)count * PAGE);
    errno = error;
    return NULL;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    if (core_fault(xgt->core, __func__))
        return NULL;
    return map_refs(xgt, 1, &domid, &ref, prot, UINT32_MAX, UINT32_MAX);
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port)
{
    if (core_fault(xgt->core, __func__))
        return NULL;
    return map_refs(xgt, 1, &domid, &ref, prot, notify_offset, notify_port);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids,
                               uint32_t *refs, int prot)
{
    if (core_fault(xgt->core, __func__))
        return NULL;
    return map_refs(xgt, count, domids, refs, prot, UINT32_MAX, UINT32_MAX);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    g_autofree uint32_t *domids = g_new(uint32_t, MIN(count, MAX_PAGES_PER_CALL));

    if (core_fault(xgt->core, __func__))
        return NULL;
    for (uint32_t i = 0; i < MIN(count, MAX_PAGES_PER_CALL); i++)
        domids[i] = domid;
    return map_refs(xgt, count, domids, refs, prot, UINT32_MAX, UINT32_MAX);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
    if (core_fault(xgt->core, __func__))
        return -1;
    return handle_remove(xgt, WIRE_UNMAP, start_address, count);
}

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    (void)open_flags;
    return handle_open(__func__);
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return handle_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
    return xgs->core->sock;
}

/* Asks the broker for pages to share. Returns the domain's memory, or -1. */
static int request_share(xengntshr_handle *xgs, uint32_t domid, uint32_t count, uint32_t *refs,
                         int writable, const uint32_t notify[2], uint32_t *frame)
{
    WireMessage *message = core_begin(xgs->core, WIRE_SHARE);
    int fd = -1;

    message->args[0] = count;
    message->args[1] = domid;
    message->args[2] = writable != 0;
    message->args[3] = notify[0];
    message->args[4] = notify[1];
    if (core_exchange(xgs->core, -1, &fd) == 0) {
        *frame = message->args[0];
        memcpy(refs, message->payload, count * sizeof(*refs));
    }
    core_end(xgs->core);
    return fd;
}

static void *share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                         int writable, uint32_t notify_offset, uint32_t notify_port)
{
    uint32_t notify[2] = {notify_offset, notify_port};
    uint32_t frame = 0;
    Region *region;
    void *address;
    int fd;

    if (count <= 0 || count > REFS_PER_REQUEST) {
        errno = EINVAL;
        return NULL;
    }
    fd = request_share(xgs, domid, (uint32_t)count, refs, writable, notify, &frame);
    if (fd < 0)
        return NULL;
    address = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                   fd, (off_t)frame * PAGE);
    close(fd);
    if (address == MAP_FAILED) {
        core_call(xgs->core, WIRE_UNSHARE, frame, 0, NULL);
        errno = ENOMEM;
        return NULL;
    }
    region = region_new((uint32_t)count);
    g_array_append_val(region->ids, frame);
    handle_add(xgs, address, region);
    return address;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                            int writable)
{
    if (core_fault(xgs->core, __func__))
        return NULL;
    return share_pages(xgs, domid, count, refs, writable, UINT32_MAX, UINT32_MAX);
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
                                  int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
    if (core_fault(xgs->core, __func__))
        return NULL;
    return share_pages(xgs, domid, 1, ref, writable, notify_offset, notify_port);
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    return handle_remove(xgs, WIRE_UNSHARE, start_address, count);
}
