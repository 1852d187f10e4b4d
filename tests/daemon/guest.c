/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest: see guest.h. */
#include "tests/daemon/guest.h"

#include <errno.h>
#include <string.h>

enum { IO_HEADER = 24 };

Guest *guest_start(const FrontendDevice *device)
{
    Guest *g = g_new0(Guest, 1);

    g->device = *device;
    g->window = 1;
    g_assert_true(toolstack_add_wait(&g->device));
    g->frontend = frontend_new(&g->device);
    g_assert_true(frontend_connect(g->frontend));
    g_assert_cmpint(frontend_version(g->frontend), ==, 0);
    g_assert_cmpint(frontend_attach(g->frontend, GUEST_ROOT), ==, 0);
    return g;
}

void guest_end(Guest *g)
{
    g_assert_true(frontend_remove(g->frontend));
    frontend_free(g->frontend);
    g_free(g);
}

int guest_check(Guest *g, int error)
{
    const P9Reply *reply = g->frontend->last_reply;

    if (error == -ETIMEDOUT)
        g_error("domain %u: no reply", g->device.domid);
    if (error < 0)
        g_error("domain %u: a reply of type %u with %u bytes", g->device.domid, reply->type,
                reply->size);
    return error;
}

int guest_walk(Guest *g, uint32_t fid, uint32_t newfid, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    uint16_t n_qids;
    int error = guest_check(
        g, frontend_call(g->frontend, p9_twalk(GUEST_TAG, fid, newfid, path), "w*", &n_qids));

    return error == 0 && n_qids < g_strv_length(names) ? ENOENT : error;
}

int guest_open(Guest *g, uint32_t fid, uint32_t flags)
{
    return guest_check(
        g, frontend_call(g->frontend, p9_tlopen(GUEST_TAG, fid, flags), "Qd", NULL, NULL));
}

int guest_create(Guest *g, uint32_t fid, const char *name, uint32_t flags, uint32_t mode)
{
    return guest_check(g,
                       frontend_call(g->frontend, p9_tlcreate(GUEST_TAG, fid, name, flags, mode, 0),
                                     "Qd", NULL, NULL));
}

int guest_clunk(Guest *g, uint32_t fid)
{
    return guest_check(g, frontend_call(g->frontend, p9_tclunk(GUEST_TAG, fid), ""));
}

int guest_getattr(Guest *g, uint32_t fid, P9Attr *attr)
{
    int error = guest_check(
        g, frontend_call(g->frontend, p9_tgetattr(GUEST_TAG, fid, P9_GETATTR_ALL), "*"));

    if (error == 0)
        g_assert_true(p9_parse_attr(g->frontend->last_reply, attr));
    return error;
}

int guest_readlink(Guest *g, uint32_t fid, char **target)
{
    return guest_check(g, frontend_call(g->frontend, p9_treadlink(GUEST_TAG, fid), "s", target));
}

/* A read or a write that is more than one message. */
typedef struct Transfer {
    uint32_t fid;
    uint64_t offset;
    uint8_t *to;         /* where a read goes, or NULL */
    const uint8_t *from; /* what is written, or NULL */
    uint32_t size;
    uint32_t piece;
    uint32_t done; /* without a gap */
    int error;
} Transfer;

static uint32_t piece_size(const Transfer *t, uint32_t number)
{
    return MIN(t->piece, t->size - number * t->piece);
}

static void send_piece(Guest *g, const Transfer *t, uint32_t number)
{
    uint32_t at = number * t->piece;
    uint32_t size = piece_size(t, number);
    uint16_t tag = (uint16_t)(number % g->window);
    GByteArray *request = t->from ? p9_twrite(tag, t->fid, t->offset + at, size, t->from + at)
                                  : p9_tread(tag, t->fid, t->offset + at, size);

    g_assert_true(frontend_send(g->frontend, request));
}

/* Takes the reply to the piece `number`. A read that is short ends the file there. */
static void take_piece(Guest *g, Transfer *t, uint32_t number)
{
    uint16_t tag = (uint16_t)(number % g->window);
    g_autoptr(P9Reply) reply = frontend_wait(g->frontend, tag, FRONTEND_TIMEOUT_MS);
    const uint8_t *data = NULL;
    uint32_t count = 0;

    if (reply == NULL)
        g_error("domain %u: no reply to a part of %u bytes", g->device.domid, t->size);
    if (p9_error(reply) != 0) {
        t->error = (int)p9_error(reply);
        return;
    }
    g_assert_cmpuint(reply->type, ==, t->from ? P9_TWRITE + 1 : P9_TREAD + 1);
    g_assert_true(t->from ? p9_parse(reply, "d", &count) : p9_parse(reply, "D", &count, &data));
    g_assert_cmpuint(count, <=, piece_size(t, number));
    if (t->from)
        g_assert_cmpuint(count, ==, piece_size(t, number));
    else
        memcpy(t->to + number * t->piece, data, count);
    if (t->done == number * t->piece)
        t->done += count;
}

/* Pieces are sent up to a window ahead and taken in order, so that each finds its tag free. */
static int transfer(Guest *g, Transfer *t)
{
    uint32_t most = g->frontend->msize - IO_HEADER;
    uint32_t n, sent = 0;

    g_assert_cmpuint(g->window, <=, GUEST_MAX_WINDOW);
    t->piece = t->piece > 0 ? MIN(t->piece, most) : most;
    n = (t->size + t->piece - 1) / t->piece;
    for (uint32_t taken = 0; taken < n; taken++) {
        for (; sent < n && sent - taken < g->window; sent++)
            send_piece(g, t, sent);
        take_piece(g, t, taken);
    }
    return t->error;
}

int guest_read(Guest *g, uint32_t fid, uint64_t offset, void *bytes, uint32_t size, uint32_t piece,
               uint32_t *done)
{
    Transfer t = {.fid = fid, .offset = offset, .to = bytes, .size = size, .piece = piece};
    int error = transfer(g, &t);

    *done = t.done;
    return error;
}

int guest_write(Guest *g, uint32_t fid, uint64_t offset, const void *bytes, uint32_t size,
                uint32_t piece)
{
    Transfer t = {.fid = fid, .offset = offset, .from = bytes, .size = size, .piece = piece};

    return transfer(g, &t);
}

int guest_list(Guest *g, uint32_t fid, uint32_t count, GPtrArray **names)
{
    uint64_t offset = 0;
    const uint8_t *data;
    uint32_t size, at;

    *names = g_ptr_array_new_with_free_func(g_free);
    do {
        int error =
            guest_check(g, frontend_call(g->frontend, p9_treaddir(GUEST_TAG, fid, offset, count),
                                         "D", &size, &data));
        char *name;

        if (error != 0)
            return error;
        g_assert_cmpuint(size, <=, count);
        for (at = 0; p9_next_entry(data, size, &at, NULL, &offset, NULL, &name);)
            g_ptr_array_add(*names, name);
        g_assert_cmpuint(at, ==, size);
    } while (size > 0);
    return 0;
}
