/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workloads: see workloads.h.
 *
 * A step sends the message of its slot's stage and counts the stage up; an operation of one message
 * has one stage. What 9P2000.u has other messages for is decided where the message is built.
 */
#include "tests/bench/workloads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/bench/lease.h"
#include "tests/bench/pattern.h"

enum {
    ROOT_FID,
    FILE_FID,   /* SHARE_FILE, not open */
    READ_FID,   /* the same, open for reading */
    WRITE_FID,  /* SHARE_OUTPUT, open for writing */
    CREATE_FID, /* the folder SHARE_CREATE */
    LIST_FID,   /* the folder SHARE_LIST */
    SLOT_FID = 100,
    MANY_FID = 1000,

    BLOCKS = SHARE_FILE_SIZE / SHARE_BLOCK,
    BULKS = SHARE_FILE_SIZE / SHARE_BULK,
    READDIR_COUNT = 512 * 1024 - 24,
    SETUP_TAG = 60,
    SLOW_TAG = LOAD_MAX_TAG,
    ATTR_SIZE_AT = 49, /* of the size in an Rgetattr's body, and in an Rstat's */
    STAT_SIZE_AT = 35,
    STAT_RECORD = 84, /* of an entry of SHARE_LIST, without texts */
};

/* What the workloads of a Load share. */
typedef struct Context {
    const char *share;
    uint8_t *output;  /* what is written: the pattern, with a stamp at the front of each block */
    uint64_t *stamps; /* the last stamp written to each block of SHARE_OUTPUT, 0: none */
    uint32_t unit;    /* the size of the blocks */
    uint64_t stamp;
    uint32_t n_many;
    char *leased;
    Lease *lease;
    int create_dir;
} Context;

/* What is wrong with a reply of which nothing but the type is looked at, or of the data. */
static bool check_type(Load *load, const LoadReply *reply, uint8_t type)
{
    if (reply->error != 0)
        return load_fail(load, "an error reply", reply->error);
    if (reply->type != type + 1)
        return load_fail(load, "a reply of another type", reply->type);
    return true;
}

static void put_open(const Load *load, Slot *slot, uint32_t fid, uint32_t mode)
{
    slot_begin(slot, load->is_unix ? P9_TOPEN : P9_TLOPEN);
    slot_put32(slot, fid);
    if (load->is_unix)
        slot_put8(slot, (uint8_t)mode);
    else
        slot_put32(slot, mode);
}

static void put_walk(Slot *slot, uint32_t fid, unsigned n_names, const char *const *names)
{
    slot_begin(slot, P9_TWALK);
    slot_put32(slot, fid);
    slot_put32(slot, slot->fid);
    slot_put16(slot, (uint16_t)n_names);
    for (unsigned i = 0; i < n_names; i++)
        slot_put_string(slot, names[i]);
}

static void put_clunk(Slot *slot)
{
    slot_begin(slot, P9_TCLUNK);
    slot_put32(slot, slot->fid);
}

static void put_read(Slot *slot, uint8_t type, uint32_t fid, uint64_t offset, uint32_t count)
{
    slot_begin(slot, type);
    slot_put32(slot, fid);
    slot_put64(slot, offset);
    slot_put32(slot, count);
}

static void put_write(Load *load, Slot *slot, uint32_t fid, uint64_t offset, uint32_t count)
{
    Context *context = load->context;

    put_read(slot, P9_TWRITE, fid, offset, count);
    slot->payload = context->output;
    slot->payload_size = count;
}

/*
 * Attributes
 */

static bool check_attr(Load *load, const LoadReply *reply)
{
    unsigned at = load->is_unix ? STAT_SIZE_AT : ATTR_SIZE_AT;
    uint64_t size;

    if (!check_type(load, reply, load->is_unix ? P9_TSTAT : P9_TGETATTR))
        return false;
    memcpy(&size, reply->body + at, sizeof(size));
    if (!load->is_blind && (reply->size < at + 8 || GUINT64_FROM_LE(size) != SHARE_FILE_SIZE))
        return load_fail(load, "the size of the file is wrong", 0);
    return true;
}

static void put_getattr(const Load *load, Slot *slot, uint32_t fid)
{
    slot_begin(slot, load->is_unix ? P9_TSTAT : P9_TGETATTR);
    slot_put32(slot, fid);
    if (!load->is_unix)
        slot_put64(slot, P9_GETATTR_BASIC);
}

static bool step_getattr(Load *load, Slot *slot, const LoadReply *reply)
{
    Context *context = load->context;

    if (reply) {
        check_attr(load, reply);
        return false;
    }
    put_getattr(load, slot,
                context->n_many > 0 ? MANY_FID + (uint32_t)load_random(load, context->n_many)
                                    : FILE_FID);
    return true;
}

static bool step_xattr(Load *load, Slot *slot, const LoadReply *reply)
{
    if (reply) {
        if (reply->error != ENODATA && reply->error != EOPNOTSUPP)
            load_fail(load, "an absent attribute is not ENODATA", reply->error);
        return false;
    }
    slot_begin(slot, P9_TXATTRWALK);
    slot_put32(slot, FILE_FID);
    slot_put32(slot, slot->fid);
    slot_put_string(slot, "security.capability");
    return true;
}

/*
 * Data
 */

static bool check_read(Load *load, const Slot *slot, const LoadReply *reply)
{
    if (!check_type(load, reply, P9_TREAD))
        return false;
    if (!reply->correct || reply->count != slot->count)
        return load_fail(load, "what was read is not what the file holds", 0);
    load->bytes += reply->count;
    return true;
}

static bool step_read(Load *load, Slot *slot, const LoadReply *reply)
{
    if (reply) {
        check_read(load, slot, reply);
        return false;
    }
    slot->offset = load_random(load, BLOCKS) * SHARE_BLOCK;
    slot->count = SHARE_BLOCK;
    put_read(slot, P9_TREAD, READ_FID, slot->offset, SHARE_BLOCK);
    slot->is_file = true;
    return true;
}

static bool step_read_bulk(Load *load, Slot *slot, const LoadReply *reply)
{
    if (reply) {
        check_read(load, slot, reply);
        return false;
    }
    slot->offset = load->sequence++ % BULKS * SHARE_BULK;
    slot->count = SHARE_BULK;
    put_read(slot, P9_TREAD, READ_FID, slot->offset, SHARE_BULK);
    slot->is_file = true;
    return true;
}

/* A block is stamped when its message is built, and sent before the next is built; only one that
 * waits for room in its ring may get a later block's stamp. So a stamp is checked to be there and
 * not to be older than the block's own. */
static bool step_write_unit(Load *load, Slot *slot, const LoadReply *reply, uint64_t block,
                            uint32_t unit)
{
    Context *context = load->context;
    uint32_t count;

    if (reply) {
        memcpy(&count, reply->body, sizeof(count));
        if (check_type(load, reply, P9_TWRITE) && GUINT32_FROM_LE(count) != unit)
            load_fail(load, "less was written than was sent", count);
        load->bytes += unit;
        return false;
    }
    context->unit = unit;
    context->stamp++;
    context->stamps[block] = context->stamp;
    memcpy(context->output, &context->stamp, sizeof(context->stamp));
    put_write(load, slot, WRITE_FID, block * unit, unit);
    return true;
}

/* Each slot has its share of the blocks, so that no two writes to one block are in flight. */
static bool step_write(Load *load, Slot *slot, const LoadReply *reply)
{
    uint64_t turn = reply ? 0 : load_random(load, BLOCKS / load->n_slots);

    return step_write_unit(load, slot, reply, turn * load->n_slots + slot->tag, SHARE_BLOCK);
}

static bool step_write_bulk(Load *load, Slot *slot, const LoadReply *reply)
{
    return step_write_unit(load, slot, reply, reply ? 0 : load->sequence++ % BULKS, SHARE_BULK);
}

/* Looks from the host at each block that was written. */
static const char *check_output(Context *context)
{
    g_autofree char *path = g_build_filename(context->share, SHARE_OUTPUT, NULL);
    g_autofree uint8_t *block = g_malloc(SHARE_BULK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *wrong = NULL;

    for (uint64_t i = 0; i < BLOCKS && !wrong; i++) {
        uint64_t stamp = 0;

        if (context->stamps[i] == 0)
            continue;
        if (pread(fd, block, context->unit, (off_t)(i * context->unit)) != context->unit)
            wrong = "what was written cannot be read";
        memcpy(&stamp, block, sizeof(stamp));
        if (stamp < context->stamps[i] || stamp > context->stamp)
            wrong = "a write was lost";
        if (memcmp(block + 8, context->output + 8, context->unit - 8) != 0)
            wrong = "other bytes were written than were sent";
    }
    close(fd);
    return wrong;
}

/*
 * Names
 */

/* 9P2000.u in the size that the peer has it knows no Tremove: the file goes without a message. */
static void remove_created(Context *context, const char *name)
{
    unlinkat(context->create_dir, name, 0);
}

static void put_create(const Load *load, Slot *slot, const char *name)
{
    slot_begin(slot, load->is_unix ? P9_TCREATE : P9_TLCREATE);
    slot_put32(slot, slot->fid);
    slot_put_string(slot, name);
    if (load->is_unix) {
        slot_put32(slot, 0644);
        slot_put8(slot, P9_L_RDWR);
        slot_put_string(slot, "");
        return;
    }
    slot_put32(slot, P9_L_RDWR);
    slot_put32(slot, 0644);
    slot_put32(slot, 0);
}

static bool step_create(Load *load, Slot *slot, const LoadReply *reply)
{
    static const uint8_t sent[] = {P9_TWALK, P9_TLCREATE, P9_TWRITE, P9_TCLUNK, P9_TUNLINKAT};
    uint8_t last = slot->stage > 0 ? sent[slot->stage - 1] : 0;
    char name[16];

    if (load->is_unix && last == P9_TLCREATE)
        last = P9_TCREATE;
    if (reply && !check_type(load, reply, last))
        return false;
    g_snprintf(name, sizeof(name), "c%u", slot->tag);
    switch (slot->stage++) {
    case 0:
        put_walk(slot, CREATE_FID, 0, NULL);
        return true;
    case 1:
        put_create(load, slot, name);
        return true;
    case 2:
        put_write(load, slot, slot->fid, 0, SHARE_BLOCK);
        return true;
    case 3:
        put_clunk(slot);
        return true;
    case 4:
        if (load->is_unix) {
            remove_created(load->context, name);
            return false;
        }
        slot_begin(slot, P9_TUNLINKAT);
        slot_put32(slot, CREATE_FID);
        slot_put_string(slot, name);
        slot_put32(slot, 0);
        return true;
    default:
        return false;
    }
}

static bool step_open(Load *load, Slot *slot, const LoadReply *reply)
{
    static const char *const names[] = {"a", "b", "c", "f"};
    uint8_t open_type = load->is_unix ? P9_TOPEN : P9_TLOPEN;
    const uint8_t sent[] = {0, P9_TWALK, open_type, P9_TCLUNK};

    if (reply && !check_type(load, reply, sent[slot->stage]))
        return false;
    switch (slot->stage++) {
    case 0:
        put_walk(slot, ROOT_FID, G_N_ELEMENTS(names), names);
        return true;
    case 1:
        if (!load->is_blind && reply->body[0] != G_N_ELEMENTS(names))
            return load_fail(load, "a walk ended early", reply->body[0]);
        put_open(load, slot, slot->fid, P9_L_RDONLY);
        return true;
    case 2:
        put_clunk(slot);
        return true;
    default:
        return false;
    }
}

/*
 * Listing: slot->offset is where the directory goes on, slot->count how many entries have come.
 */

/* The entries in an Rreaddir; the offset of the last one is where the next message begins. */
static uint64_t count_entries(const uint8_t *data, uint32_t size, uint64_t *offset)
{
    uint64_t n = 0;
    uint32_t at = 0;

    while (at + 24 <= size) {
        uint16_t name;

        memcpy(offset, data + at + 13, sizeof(*offset));
        memcpy(&name, data + at + 22, sizeof(name));
        *offset = GUINT64_FROM_LE(*offset);
        at += 24 + (uint32_t)GUINT16_FROM_LE(name);
        n++;
    }
    return at == size ? n : UINT64_MAX;
}

static void put_list(const Load *load, Slot *slot)
{
    put_read(slot, load->is_unix ? P9_TREAD : P9_TREADDIR, slot->fid, slot->offset, READDIR_COUNT);
}

/* Not every server lists "." and "..". The stat records of 9P2000.u are only counted by their bytes:
 * those of Xen's daemon say that they are larger than they are. */
static void check_listing(Load *load, const Slot *slot)
{
    uint64_t expected = load->is_unix ? SHARE_ENTRIES * STAT_RECORD : SHARE_ENTRIES;
    uint64_t extra = load->is_unix ? 2 * STAT_RECORD : 2;

    if (!load->is_blind && (slot->count < expected || slot->count > expected + extra))
        load_fail(load, "a listing is not complete", (uint32_t)slot->count);
}

static bool go_on_listing(Load *load, Slot *slot, const LoadReply *reply)
{
    if (!check_type(load, reply, load->is_unix ? P9_TREAD : P9_TREADDIR))
        return false;
    if (reply->count == 0 || load->is_blind) {
        check_listing(load, slot);
        slot->stage++;
        put_clunk(slot);
        return true;
    }
    if (load->is_unix)
        slot->count = slot->offset += reply->count;
    else
        slot->count += count_entries(load->data, reply->count, &slot->offset);
    put_list(load, slot);
    return true;
}

static bool step_list(Load *load, Slot *slot, const LoadReply *reply)
{
    switch (slot->stage) {
    case 0:
        slot->offset = slot->count = 0;
        put_walk(slot, LIST_FID, 0, NULL);
        break;
    case 1:
        if (!check_type(load, reply, P9_TWALK))
            return false;
        put_open(load, slot, slot->fid, P9_L_RDONLY);
        break;
    case 2:
        put_list(load, slot);
        break;
    case 3:
        return go_on_listing(load, slot, reply);
    default:
        return false;
    }
    slot->stage++;
    return true;
}

/*
 * A request that takes 20 ms
 */

static bool step_slow(Load *load, Slot *slot, const LoadReply *reply)
{
    static const char *const names[] = {SHARE_LEASED};
    Context *context = load->context;

    if (reply && reply->error != 0)
        return load_fail(load, "an error reply to the slow request", reply->error);
    switch (slot->stage++) {
    case 0:
        if (!lease_take(context->lease))
            return load_fail(load, "the file for the slow request stays open", 0);
        put_walk(slot, ROOT_FID, 1, names);
        return true;
    case 1:
        lease_release_later(context->lease);
        put_open(load, slot, slot->fid, P9_L_RDONLY);
        return true;
    case 2:
        put_clunk(slot);
        return true;
    default:
        return false;
    }
}

/*
 * The table
 */

static uint64_t direct_random(Direct *d, uint64_t limit)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random % limit;
}

static bool direct_getattr(Direct *d)
{
    struct statx st;

    return statx(d->node, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
           st.stx_size == SHARE_FILE_SIZE;
}

static bool direct_read_at(Direct *d, uint64_t offset, uint32_t count)
{
    d->bytes += count;
    return pread(d->file, d->bounce, count, (off_t)offset) == (ssize_t)count &&
           pattern_copy(d->user, d->bounce, count, offset);
}

static bool direct_read(Direct *d)
{
    return direct_read_at(d, direct_random(d, BLOCKS) * SHARE_BLOCK, SHARE_BLOCK);
}

static bool direct_read_bulk(Direct *d)
{
    return direct_read_at(d, d->sequence++ % BULKS * SHARE_BULK, SHARE_BULK);
}

static bool direct_write_at(Direct *d, uint64_t offset, uint32_t count)
{
    d->bytes += count;
    memcpy(d->bounce, d->user, count);
    return pwrite(d->output, d->bounce, count, (off_t)offset) == (ssize_t)count;
}

static bool direct_write(Direct *d)
{
    return direct_write_at(d, direct_random(d, BLOCKS) * SHARE_BLOCK, SHARE_BLOCK);
}

static bool direct_write_bulk(Direct *d)
{
    return direct_write_at(d, d->sequence++ % BULKS * SHARE_BULK, SHARE_BULK);
}

static bool direct_create(Direct *d)
{
    char name[16];
    bool written;
    int fd;

    g_snprintf(name, sizeof(name), "d%u", d->number);
    fd = openat(d->create, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    written = pwrite(fd, d->user, SHARE_BLOCK, 0) == SHARE_BLOCK;
    return close(fd) == 0 && written && unlinkat(d->create, name, 0) == 0;
}

static bool direct_open_deep(Direct *d)
{
    int fd = openat(d->root, SHARE_DEEP, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && close(fd) == 0;
}

static bool direct_list(Direct *d)
{
    int fd = openat(d->root, SHARE_LIST, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned n = 0;
    ssize_t size;

    while ((size = getdents64(fd, d->user, LOAD_DATA_MAX)) > 0) {
        for (ssize_t at = 0; at < size; n++)
            at += ((const struct dirent64 *)(const void *)(d->user + at))->d_reclen;
    }
    return close(fd) == 0 && n == SHARE_ENTRIES + 2;
}

static bool direct_xattr(Direct *d)
{
    char value[64];

    return fgetxattr(d->file, "security.capability", value, sizeof(value)) < 0 && errno == ENODATA;
}

const Workload workloads[] = {
    {.name = "getattr", .step = step_getattr, .direct = direct_getattr},
    {.name = "read-4k", .step = step_read, .direct = direct_read},
    {.name = "write-4k", .step = step_write, .direct = direct_write},
    {.name = "read-508k", .step = step_read_bulk, .direct = direct_read_bulk},
    {.name = "write-508k", .step = step_write_bulk, .direct = direct_write_bulk},
    {.name = "create", .step = step_create, .direct = direct_create},
    {.name = "walk-open", .step = step_open, .direct = direct_open_deep},
    {.name = "list", .step = step_list, .direct = direct_list},
    {.name = "xattr-absent", .step = step_xattr, .direct = direct_xattr, .needs_linux = true},
    {.name = "getattr-1-fid", .step = step_getattr, .n_fids = 1},
    {.name = "getattr-3000-fids", .step = step_getattr, .n_fids = 3000},
    {.name = "getattr-100000-fids", .step = step_getattr, .n_fids = 100000},
    {.name = "read-4k-one-ring", .step = step_read, .one_ring = true},
    {.name = "read-4k-beside-slow", .step = step_read, .one_ring = true, .has_slow = true},
};

const unsigned n_workloads = G_N_ELEMENTS(workloads);

/*
 * Preparing
 */

static int call(Load *load, GByteArray *request)
{
    return frontend_call(load->frontend, request, "*");
}

static int open_fid(Load *load, uint32_t fid, uint32_t mode)
{
    return call(load, load->is_unix ? p9_topen(SETUP_TAG, fid, (int)mode)
                                    : p9_tlopen(SETUP_TAG, fid, mode));
}

static bool walk(Load *load, uint32_t fid, uint32_t newfid, const char *path)
{
    return call(load, p9_twalk(SETUP_TAG, fid, newfid, path)) == 0;
}

static Context *context_new(const char *share)
{
    Context *context = g_new0(Context, 1);
    g_autofree char *create = g_build_filename(share, SHARE_CREATE, NULL);

    context->share = share;
    context->output = g_malloc(LOAD_DATA_MAX);
    pattern_fill(context->output, LOAD_DATA_MAX, 0);
    context->stamps = g_new0(uint64_t, BLOCKS);
    context->leased = g_build_filename(share, SHARE_LEASED, NULL);
    context->lease = lease_new(context->leased);
    context->create_dir = open(create, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return context;
}

const char *workloads_open(Load *load, const char *share)
{
    load->context = context_new(share);
    if (!walk(load, ROOT_FID, FILE_FID, SHARE_FILE) ||
        !walk(load, ROOT_FID, READ_FID, SHARE_FILE) ||
        !walk(load, ROOT_FID, WRITE_FID, SHARE_OUTPUT) ||
        !walk(load, ROOT_FID, CREATE_FID, SHARE_CREATE) ||
        !walk(load, ROOT_FID, LIST_FID, SHARE_LIST))
        return "Twalk";
    if (open_fid(load, READ_FID, P9_L_RDONLY) != 0 || open_fid(load, WRITE_FID, P9_L_RDWR) != 0)
        return "Tlopen";
    return NULL;
}

/* Makes or drops fids until there are `n` of the many. */
static bool set_many(Load *load, uint32_t n)
{
    Context *context = load->context;

    while (context->n_many < n) {
        if (!walk(load, FILE_FID, MANY_FID + context->n_many, NULL))
            return false;
        context->n_many++;
    }
    while (context->n_many > n)
        call(load, p9_tclunk(SETUP_TAG, MANY_FID + --context->n_many));
    return true;
}

const char *workload_prepare(Load *load, const Workload *workload, unsigned depth)
{
    Context *context = load->context;

    if (workload->needs_linux && load->is_unix)
        return "9P2000.u has no such message";
    if (workload->n_fids > 0 && !load->is_ours)
        return "compared with itself only";
    if (!set_many(load, workload->n_fids)) {
        set_many(load, 0);
        return "so many fids are refused";
    }
    memset(context->stamps, 0, BLOCKS * sizeof(*context->stamps));
    load->n_slots = depth;
    for (unsigned i = 0; i < depth; i++) {
        Slot *slot = &load->slots[i];

        slot->tag = (uint16_t)(workload->one_ring ? 2 * i : i);
        slot->fid = SLOT_FID + i;
        slot->step = workload->step;
        slot->is_measured = true;
    }
    if (workload->has_slow) {
        Slot *slot = &load->slots[load->n_slots++];

        slot->tag = SLOW_TAG;
        slot->fid = SLOT_FID + depth;
        slot->step = step_slow;
        slot->is_measured = false;
    }
    return NULL;
}

const char *workload_finish(Load *load, const Workload *workload)
{
    bool writes = workload->step == step_write || workload->step == step_write_bulk;

    if (load->failure || !writes || load->is_blind)
        return load->failure;
    return check_output(load->context);
}

/*
 * Directly
 */

void direct_open(Direct *d, const char *share, unsigned number)
{
    *d = (Direct){.number = number, .random = 88172645463325252 + number, .sequence = number * 7};
    d->root = open(share, O_PATH | O_DIRECTORY | O_CLOEXEC);
    d->node = openat(d->root, SHARE_FILE, O_PATH | O_CLOEXEC);
    d->file = openat(d->root, SHARE_FILE, O_RDONLY | O_CLOEXEC);
    d->output = openat(d->root, SHARE_OUTPUT, O_RDWR | O_CLOEXEC);
    d->create = openat(d->root, SHARE_CREATE, O_PATH | O_DIRECTORY | O_CLOEXEC);
    d->user = g_malloc(LOAD_DATA_MAX);
    d->bounce = g_malloc(LOAD_DATA_MAX);
    pattern_fill(d->user, LOAD_DATA_MAX, 0);
}

void direct_close(Direct *d)
{
    close(d->root);
    close(d->node);
    close(d->file);
    close(d->output);
    close(d->create);
    g_free(d->user);
    g_free(d->bounce);
}

/*
 * Tflush
 */

enum { OPEN_TAG = 62, FLUSH_TAG = 61, AWAIT_MSEC = 1000 };

static const char *flush_once(Load *load, Lease *lease, Histogram *histogram)
{
    g_autoptr(P9Reply) flushed = NULL;
    g_autoptr(P9Reply) opened = NULL;
    uint64_t begun;

    if (!walk(load, ROOT_FID, SLOT_FID, SHARE_LEASED) || !lease_take(lease))
        return "the file cannot be prepared";
    frontend_send(load->frontend, load->is_unix ? p9_topen(OPEN_TAG, SLOT_FID, 0)
                                                : p9_tlopen(OPEN_TAG, SLOT_FID, 0));
    for (int i = 0; i < AWAIT_MSEC && !lease_is_awaited(lease); i++)
        g_usleep(1000);
    lease_release_later(lease);
    begun = now_ns();
    frontend_send(load->frontend, p9_tflush(FLUSH_TAG, OPEN_TAG));
    flushed = frontend_wait(load->frontend, FLUSH_TAG, FRONTEND_TIMEOUT_MS);
    if (flushed && flushed->type == P9_TFLUSH + 1)
        histogram_add(histogram, now_ns() - begun);
    lease_release(lease);
    if (!flushed || flushed->type != P9_TFLUSH + 1) {
        opened = frontend_wait(load->frontend, OPEN_TAG, FRONTEND_TIMEOUT_MS);
    } else {
        opened = frontend_wait(load->frontend, OPEN_TAG, 0);
    }
    call(load, p9_tclunk(SETUP_TAG, SLOT_FID));
    return flushed && flushed->type == P9_TFLUSH + 1 ? NULL : "Tflush is refused";
}

const char *flush_measure(Load *load, unsigned ms, Histogram *histogram)
{
    Context *context = load->context;
    uint64_t end = now_ns() + (uint64_t)ms * 1000000;
    const char *why = NULL;

    memset(histogram, 0, sizeof(*histogram));
    while (!why && now_ns() < end)
        why = flush_once(load, context->lease, histogram);
    load->operations = histogram->count;
    load->bytes = 0;
    return why;
}
