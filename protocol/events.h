/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: what happens to requests and sessions, for those who watch.
 *
 * Each function here is a trace point (common/trace.h) and, while somebody traces the session in
 * text (tracer.h), a line of that: so the two never tell different things. While nobody does, a
 * function costs a look at a flag. Any thread, with any lock held.
 */
#ifndef PROTOCOL_EVENTS_H
#define PROTOCOL_EVENTS_H

#include "common/trace.h"
#include "protocol/session.h"

void events_tell_request(Request *request);
void events_tell_rerror(const Request *request, int error);
void events_tell_rcancel(const Request *request);
void events_tell_reply(const Request *request);
void events_tell_version(const Request *request, const char *dialect, uint32_t msize);
void events_tell_stall(Session *session, unsigned ring, size_t bytes);
void events_tell_state(Session *session, const char *old, const char *new);

/* A request was taken. Its message has been decoded. */
static inline void event_request(Request *r)
{
    TRACE3(request, r->t.type, r->t.tag, r->id);
    if (tracers_active(&r->session->tracers))
        events_tell_request(r);
}

/* It failed with an errno value. */
static inline void event_rerror(const Request *r, int error)
{
    TRACE3(rerror, r->t.tag, r->id, error);
    if (r->traced)
        events_tell_rerror(r, error);
}

/* It was cancelled. */
static inline void event_rcancel(const Request *r)
{
    TRACE2(rcancel, r->t.tag, r->id);
    if (r->traced)
        events_tell_rcancel(r);
}

/* Its reply is about to be published. */
static inline void event_reply(const Request *r)
{
    TRACE3(reply, r->t.tag, r->id, request_reply_size(r));
    if (r->traced)
        events_tell_reply(r);
}

/* A session begins with the Tversion `r`. */
static inline void event_version(const Request *r, const char *dialect, uint32_t msize)
{
    TRACE2(version, dialect, msize);
    if (r->traced)
        events_tell_version(r, dialect, msize);
}

/* A reply of so many bytes begins to wait for room in a ring. */
static inline void event_ring_stall(Session *session, unsigned ring, size_t bytes)
{
    TRACE2(ring_stall, ring, bytes);
    if (tracers_active(&session->tracers))
        events_tell_stall(session, ring, bytes);
}

/* The device goes from one state to another. */
static inline void event_state(Session *session, const char *device, const char *old,
                               const char *new)
{
    TRACE3(state, device, old, new);
    if (tracers_active(&session->tracers))
        events_tell_state(session, old, new);
}

/* Frees what was kept of a traced request. */
void traced_free(Traced *traced); /* NULL is allowed */

#endif
