/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client: requests and their replies, in any order; see frontend.h. */
#include "tests/frontend/frontend.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static uint16_t request_tag(const GByteArray *request)
{
    return (uint16_t)(request->data[5] | request->data[6] << 8);
}

FrontendRing *frontend_ring(Frontend *frontend, uint16_t tag)
{
    return &frontend->rings[tag % frontend->n_rings];
}

bool frontend_send_on(Frontend *frontend, unsigned ring, GByteArray *request)
{
    bool sent = ring_send(frontend, &frontend->rings[ring], request, FRONTEND_TIMEOUT_MS);

    g_byte_array_unref(request);
    return sent;
}

bool frontend_send(Frontend *frontend, GByteArray *request)
{
    return frontend_send_on(frontend, frontend_ring(frontend, request_tag(request))->number,
                            request);
}

/* Moves all replies that are there from the rings to the queue. */
static void collect_replies(Frontend *frontend)
{
    for (unsigned i = 0; i < frontend->n_rings; i++) {
        FrontendRing *ring = &frontend->rings[i];

        while (ring_has_reply(ring))
            g_queue_push_tail(&frontend->replies, ring_receive(frontend, ring, 0));
    }
}

/* Takes a reply out of the queue: the first with `tag`, or the first of all for -1. */
static P9Reply *take_queued(Frontend *frontend, int tag)
{
    for (GList *item = frontend->replies.head; item; item = item->next) {
        P9Reply *reply = item->data;

        if (tag < 0 || reply->tag == tag) {
            g_queue_delete_link(&frontend->replies, item);
            return reply;
        }
    }
    return NULL;
}

static P9Reply *wait_reply(Frontend *frontend, int tag, int timeout_ms)
{
    int64_t end = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
    P9Reply *reply;

    for (;;) {
        int64_t left = (end - g_get_monotonic_time()) / 1000;

        collect_replies(frontend);
        reply = take_queued(frontend, tag);
        if (reply || left < 0)
            return reply;
        frontend_wait_event(frontend, (int)left);
    }
}

P9Reply *frontend_wait(Frontend *frontend, uint16_t tag, int timeout_ms)
{
    return wait_reply(frontend, tag, timeout_ms);
}

P9Reply *frontend_wait_any(Frontend *frontend, int timeout_ms)
{
    return wait_reply(frontend, -1, timeout_ms);
}

P9Reply *frontend_transact(Frontend *frontend, GByteArray *request)
{
    uint16_t tag = request_tag(request);

    if (!frontend_send(frontend, request))
        return NULL;
    return frontend_wait(frontend, tag, FRONTEND_TIMEOUT_MS);
}

int frontend_call(Frontend *frontend, GByteArray *request, const char *format, ...)
{
    uint8_t expected = (uint8_t)(request->data[4] + 1);
    P9Reply *reply = frontend_transact(frontend, request);
    va_list args;
    bool whole;

    g_free(frontend->last_reply);
    frontend->last_reply = reply;
    if (!reply)
        return -ETIMEDOUT;
    if (p9_error(reply) != 0)
        return (int)p9_error(reply);
    if (reply->type != expected)
        return -EPROTO;
    if (!format)
        return 0;
    va_start(args, format);
    whole = p9_parse_va(reply, format, args);
    va_end(args);
    return whole ? 0 : -EPROTO;
}

int frontend_version(Frontend *frontend)
{
    const FrontendDevice *device = &frontend->device;
    /* Mini-OS numbers this request as any other. */
    uint16_t tag = device->close_handshake ? 0 : P9_NOTAG;
    g_autofree char *dialect = NULL;
    int error = frontend_call(frontend, p9_tversion(tag, device->msize, device->dialect), "ds",
                              &frontend->msize, &dialect);

    if (error == 0 && strcmp(dialect, device->dialect) != 0)
        error = -EPROTO;
    return error;
}

int frontend_attach(Frontend *frontend, uint32_t fid)
{
    if (frontend->device.close_handshake) /* as Mini-OS does it */
        return frontend_call(frontend, p9_tattach(0, fid, 0, "root", "root", 0), "Q", NULL);
    return frontend_call(frontend, p9_tattach(0, fid, P9_NOFID, "nobody", "", UINT32_MAX), "Q",
                         NULL);
}
