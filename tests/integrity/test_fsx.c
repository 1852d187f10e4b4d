/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file under random operations through a guest's rings, compared after each of them with a
 * model in memory: what is read through 9P, the size that 9P tells, and the whole content as the
 * host sees it.
 *
 * The file is open through several fids at once, which are closed and opened anew in between. I/O is
 * up to several times the msize, in pieces that are sent one after the other or ahead of their
 * replies. The same --seed (printed at the start) does the same operations. When something is
 * wrong the last operations are printed. With -m slow there are a million, else as many as a few
 * seconds have room for.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    QUICK_OPERATIONS = 2000,
    LEAST_OPERATIONS = 100,
    QUICK_USEC = 2000000,
    HISTORY = 40,
    N_FIDS = 4,
    FIRST_FID = 10,
    PATH_FID = 9, /* stands for the file and is never opened */
    DIRECT_TAG = 20,
    MAX_PIECES = 400,
};

/* What a run is like. */
typedef struct Shape {
    const char *name;
    const char *dialect;
    const char *model;
    unsigned order;
    uint32_t msize;
    uint32_t max_size;        /* of the file */
    unsigned slow_operations; /* together a million */
} Shape;

static const Shape shapes[] = {
    /* A message can be as large as the half of the ring that it goes through. */
    {"/fsx/full-ring", "9P2000.L", "none", 1, 4096, 64 * 1024, 450000},
    {"/fsx/linux", "9P2000.L", "passthrough", 9, 512 * 1024, 1536 * 1024, 50000},
    {"/fsx/wide", "9P2000.L", "none", 4, 8192 + 24, 200 * 1024, 250000},
    {"/fsx/unix", "9P2000.u", "none", 3, 10000, 100 * 1024, 250000},
};

typedef struct Handle {
    bool open;
    bool readable, writable, append;
    uint32_t iounit;
} Handle;

typedef struct Fsx {
    const Shape *shape;
    bool is_unix; /* 9P2000.u */
    Guest *guest;
    int host_fd; /* the file as the host has it */
    unsigned name;
    Handle handles[N_FIDS];

    uint8_t *model; /* max_size bytes, zeros behind the end */
    uint32_t size;
    uint8_t *scratch;

    unsigned n_done;
    char history[HISTORY][120];
} Fsx;

/*
 * What was done, and what is wrong with it
 */

static void note(Fsx *f, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void note(Fsx *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_vsnprintf(f->history[f->n_done % HISTORY], sizeof(f->history[0]), format, args);
    va_end(args);
}

static void fail(const Fsx *f, const char *format, ...) G_GNUC_PRINTF(2, 3) G_GNUC_NORETURN;
static void fail(const Fsx *f, const char *format, ...)
{
    unsigned first = f->n_done >= HISTORY ? f->n_done - HISTORY + 1 : 0;
    g_autofree char *text = NULL;
    va_list args;

    for (unsigned i = first; i <= f->n_done; i++)
        g_printerr("# %u: %s\n", i, f->history[i % HISTORY]);
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_error("operation %u: %s", f->n_done, text);
}

static void check_call(const Fsx *f, int error)
{
    if (error != 0)
        fail(f, "answered with %d (%s)", error, g_strerror(ABS(error)));
}

static void compare(const Fsx *f, const uint8_t *bytes, uint32_t offset, uint32_t size,
                    const char *where)
{
    if (memcmp(bytes, f->model + offset, size) == 0)
        return;
    for (uint32_t i = 0; i < size; i++) {
        if (bytes[i] != f->model[offset + i])
            fail(f, "byte %u is %02x, not %02x, %s", offset + i, bytes[i], f->model[offset + i],
                 where);
    }
}

static void check_host(const Fsx *f)
{
    struct stat st;

    g_assert_no_errno(fstat(f->host_fd, &st));
    if (st.st_size != f->size)
        fail(f, "the host has %lld bytes, not %u", (long long)st.st_size, f->size);
    if (pread(f->host_fd, f->scratch, f->size, 0) != (ssize_t)f->size)
        fail(f, "the host reads less than %u bytes", f->size);
    compare(f, f->scratch, 0, f->size, "on the host");
}

/* The size as 9P tells it for one of the fids. */
static void check_size(const Fsx *f)
{
    uint32_t fid = PATH_FID + (uint32_t)g_test_rand_int_range(0, N_FIDS + 1);
    uint64_t size;

    if (fid != PATH_FID && !f->handles[fid - FIRST_FID].open)
        return;
    if (f->is_unix) {
        P9Stat stat = {0};

        check_call(f, frontend_call(f->guest->frontend, p9_tstat(DIRECT_TAG, fid), "*"));
        if (!p9_parse_stat(f->guest->frontend->last_reply, &stat))
            fail(f, "a stat record that is none");
        size = stat.length;
        p9_stat_clear(&stat);
    } else {
        P9Attr attr;

        check_call(f, guest_getattr(f->guest, fid, &attr));
        size = attr.size;
    }
    if (size != f->size)
        fail(f, "fid %u has %" G_GUINT64_FORMAT " bytes, not %u", fid, size, f->size);
}

/*
 * The operations
 */

static uint32_t random_below(uint32_t limit)
{
    return limit > 0 ? (uint32_t)g_test_rand_int_range(0, (gint32)limit) : 0;
}

/* An open fid for which `fits`, or NULL. */
static Handle *pick(Fsx *f, bool (*fits)(const Handle *handle))
{
    unsigned first = random_below(N_FIDS);

    for (unsigned i = 0; i < N_FIDS; i++) {
        Handle *handle = &f->handles[(first + i) % N_FIDS];

        if (handle->open && fits(handle))
            return handle;
    }
    return NULL;
}

static bool can_read(const Handle *handle)
{
    return handle->readable;
}

static bool can_write(const Handle *handle)
{
    return handle->writable && !handle->append;
}

static bool can_append(const Handle *handle)
{
    return handle->append;
}

static bool can_any(const Handle *handle)
{
    return handle->open;
}

static uint32_t fid_of(const Fsx *f, const Handle *handle)
{
    return FIRST_FID + (uint32_t)(handle - f->handles);
}

/* At most `limit`: mostly small, sometimes several messages, often just around one. */
static uint32_t random_size(const Fsx *f, uint32_t limit)
{
    uint32_t size = random_below(2048);

    switch (random_below(4)) {
    case 0:
        size = random_below(limit + 1);
        break;
    case 1:
        size = f->guest->frontend->msize - 48 + random_below(96);
        break;
    }
    return MIN(size, limit);
}

/* How large the pieces are, and how many are sent ahead: as Linux does it, as much as goes into a
 * message, or any size that does not make too many. */
static uint32_t choose_pieces(Fsx *f, uint32_t iounit, uint32_t size)
{
    uint32_t piece = random_below(3) ? iounit : 0;

    f->guest->window = random_below(2) ? 1 : 1 + random_below(GUEST_MAX_WINDOW);
    if (random_below(8) == 0)
        piece = 1 + random_below(f->guest->frontend->msize);
    return piece > 0 && size / piece > MAX_PIECES ? 0 : piece;
}

static void do_read(Fsx *f)
{
    const Handle *handle = pick(f, can_read);
    uint32_t offset = random_below(f->size + 1000);
    uint32_t size = random_size(f, f->shape->max_size);
    uint32_t expected = offset < f->size ? MIN(size, f->size - offset) : 0;
    uint32_t piece, done;

    if (handle == NULL)
        return;
    piece = choose_pieces(f, handle->iounit, size);
    note(f, "read fid %u: %u bytes at %u, pieces of %u, %u at once", fid_of(f, handle), size,
         offset, piece, f->guest->window);
    check_call(f, guest_read(f->guest, fid_of(f, handle), offset, f->scratch, size, piece, &done));
    if (done != expected)
        fail(f, "%u bytes were read, not %u", done, expected);
    compare(f, f->scratch, offset, done, "through 9P");
}

/* Writes bytes that no other operation writes there. */
static void write_at(Fsx *f, const Handle *handle, uint32_t offset, uint32_t size, uint32_t piece)
{
    uint32_t stamp = (uint32_t)g_test_rand_int();

    for (uint32_t i = 0; i < size; i++) {
        stamp = stamp * 1664525 + 1013904223;
        f->model[offset + i] = (uint8_t)(stamp >> 24);
    }
    f->size = MAX(f->size, offset + size);
    check_call(f, guest_write(f->guest, fid_of(f, handle), handle->append ? 0 : offset,
                              f->model + offset, size, piece));
}

static void do_write(Fsx *f)
{
    const Handle *handle = pick(f, can_write);
    uint32_t offset = random_below(MIN(f->size + 5000, f->shape->max_size));
    uint32_t size = random_size(f, f->shape->max_size - offset);
    uint32_t piece;

    if (handle == NULL || size == 0)
        return;
    piece = choose_pieces(f, handle->iounit, size);
    note(f, "write fid %u: %u bytes at %u, pieces of %u, %u at once", fid_of(f, handle), size,
         offset, piece, f->guest->window);
    write_at(f, handle, offset, size, piece);
}

/* The pieces of one append have to come in order. */
static void do_append(Fsx *f)
{
    const Handle *handle = pick(f, can_append);
    uint32_t size = random_size(f, f->shape->max_size - f->size);

    if (handle == NULL || size == 0)
        return;
    f->guest->window = 1;
    note(f, "append fid %u: %u bytes to %u", fid_of(f, handle), size, f->size);
    write_at(f, handle, f->size, size, 0);
}

static void model_truncate(Fsx *f, uint32_t size)
{
    if (size < f->size)
        memset(f->model + size, 0, f->size - size);
    f->size = size;
}

static void do_truncate(Fsx *f)
{
    const Handle *handle = pick(f, can_any);
    uint32_t fid = handle && random_below(2) ? fid_of(f, handle) : PATH_FID;
    uint32_t size = random_below(3) ? random_below(f->size + 1) : random_below(f->shape->max_size);
    P9SetAttr attr = {.valid = P9_SET_SIZE, .size = size};

    note(f, "truncate fid %u: from %u to %u", fid, f->size, size);
    check_call(f, frontend_call(f->guest->frontend,
                                f->is_unix
                                    ? p9_twstat(DIRECT_TAG, fid, UINT32_MAX, UINT32_MAX, size, "")
                                    : p9_tsetattr(DIRECT_TAG, fid, &attr),
                                ""));
    model_truncate(f, size);
}

static void do_fsync(Fsx *f)
{
    const Handle *handle = pick(f, can_any);
    uint32_t fid;

    if (handle == NULL)
        return;
    fid = fid_of(f, handle);
    note(f, "fsync fid %u", fid);
    check_call(f, frontend_call(f->guest->frontend,
                                f->is_unix ? p9_twstat(DIRECT_TAG, fid, UINT32_MAX, UINT32_MAX,
                                                       UINT64_MAX, "")
                                           : p9_tfsync(DIRECT_TAG, fid, random_below(2)),
                                ""));
}

static void open_handle(Fsx *f, Handle *handle)
{
    uint32_t access = random_below(3);
    bool append = access != P9_L_RDONLY && random_below(3) == 0;
    bool truncate = access != P9_L_RDONLY && random_below(8) == 0;
    uint32_t fid = fid_of(f, handle);

    *handle = (Handle){.open = true,
                       .readable = access != P9_L_WRONLY,
                       .writable = access != P9_L_RDONLY,
                       .append = append};
    note(f, "open fid %u:%s%s%s%s", fid, handle->readable ? " read" : "",
         handle->writable ? " write" : "", append ? " append" : "", truncate ? " truncate" : "");
    check_call(f, guest_walk(f->guest, PATH_FID, fid, ""));
    if (f->is_unix)
        access |= (append ? P9_OAPPEND : 0U) | (truncate ? P9_OTRUNC : 0U);
    else
        access |= (append ? P9_L_APPEND : 0U) | (truncate ? P9_L_TRUNC : 0U);
    check_call(f, frontend_call(f->guest->frontend,
                                f->is_unix ? p9_topen(DIRECT_TAG, fid, (int)access)
                                           : p9_tlopen(DIRECT_TAG, fid, access),
                                "Qd", NULL, &handle->iounit));
    if (truncate)
        model_truncate(f, 0);
}

static void do_reopen(Fsx *f)
{
    Handle *handle = &f->handles[random_below(N_FIDS)];

    if (!handle->open) {
        open_handle(f, handle);
        return;
    }
    note(f, "clunk fid %u", fid_of(f, handle));
    check_call(f, guest_clunk(f->guest, fid_of(f, handle)));
    handle->open = false;
}

/* The fids go with the file. */
static void do_rename(Fsx *f)
{
    g_autofree char *name = g_strdup_printf("file-%u", ++f->name % 7);

    note(f, "rename to %s", name);
    check_call(f, frontend_call(f->guest->frontend,
                                f->is_unix ? p9_twstat(DIRECT_TAG, PATH_FID, UINT32_MAX, UINT32_MAX,
                                                       UINT64_MAX, name)
                                           : p9_trename(DIRECT_TAG, PATH_FID, GUEST_ROOT, name),
                                ""));
}

static const struct {
    unsigned weight;
    void (*run)(Fsx *f);
} operations[] = {
    {300, do_read},   {300, do_write}, {120, do_append}, {120, do_truncate},
    {120, do_reopen}, {10, do_rename}, {2, do_fsync},
};

static void try_one(Fsx *f)
{
    unsigned total = 0, at;

    for (unsigned i = 0; i < G_N_ELEMENTS(operations); i++)
        total += operations[i].weight;
    at = random_below(total);
    for (unsigned i = 0; i < G_N_ELEMENTS(operations); i++) {
        if (at < operations[i].weight) {
            operations[i].run(f);
            return;
        }
        at -= operations[i].weight;
    }
}

/* Some operations have nothing to do while no fid is open that they need. */
static void do_one(Fsx *f)
{
    char *text = f->history[f->n_done % HISTORY];

    for (*text = '\0'; *text == '\0';)
        try_one(f);
}

/*
 * A run
 */

static void fsx_open(Fsx *f, const Fixture *fixture, const Shape *shape)
{
    FrontendDevice device = frontend_linux(1, fixture->export);
    g_autofree char *path = g_build_filename(fixture->export, "file-0", NULL);

    device.order = shape->order;
    device.msize = shape->msize;
    device.dialect = shape->dialect;
    device.security_model = shape->model;
    *f = (Fsx){.shape = shape, .is_unix = g_str_has_suffix(shape->dialect, ".u")};
    f->model = g_malloc0(shape->max_size);
    f->scratch = g_malloc(shape->max_size);
    f->host_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    g_assert_cmpint(f->host_fd, >=, 0);
    f->guest = guest_start(&device);
    g_assert_cmpuint(f->guest->frontend->msize, ==, shape->msize);
    check_call(f, guest_walk(f->guest, GUEST_ROOT, PATH_FID, "file-0"));
}

static void fsx_close(Fsx *f)
{
    guest_end(f->guest);
    close(f->host_fd);
    g_free(f->model);
    g_free(f->scratch);
}

/* A slow machine may do less than others, but not nothing. */
static bool is_done(const Fsx *f, int64_t start)
{
    if (g_test_slow())
        return f->n_done == f->shape->slow_operations;
    return f->n_done == QUICK_OPERATIONS ||
           (f->n_done >= LEAST_OPERATIONS && g_get_monotonic_time() - start > QUICK_USEC);
}

static void test_fsx(Fixture *fixture, const void *data)
{
    const Shape *shape = data;
    int64_t start;
    Fsx f;

    fsx_open(&f, fixture, shape);
    start = g_get_monotonic_time();
    for (f.n_done = 0; !is_done(&f, start); f.n_done++) {
        do_one(&f);
        check_size(&f);
        check_host(&f);
    }
    g_test_message("%u operations, %.0f per second", f.n_done,
                   (double)f.n_done * 1e6 / (double)(g_get_monotonic_time() - start));
    fsx_close(&f);
}

static void set_up(Fixture *fixture, const void *data)
{
    (void)data;
    fixture_set_up(fixture, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(shapes); i++)
        g_test_add(shapes[i].name, Fixture, &shapes[i], set_up, test_fsx, fixture_tear_down);
    return g_test_run();
}
