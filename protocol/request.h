/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request: one T-message on its way from the channel it came on to the reply that goes back there.
 *
 * Its life is taken -> queued -> running -> done -> published; a request that runs at once on the
 * reader is never queued. Exactly one owner holds it at any time: the reader, the pool's queue, the
 * throttle's queue, the thread that runs it, the flush list, the locks' waiting list, or the channel
 * that will publish its reply. Other threads reach it only through the tag table, under the tag's
 * lock, for the fields that say so.
 *
 * request_respond() is where every request ends: it commits the staged fid change or drops it,
 * sends the reply or discards it, and lets go of what the request held.
 */
#ifndef PROTOCOL_REQUEST_H
#define PROTOCOL_REQUEST_H

#include <sys/uio.h>

#include "common/bytes.h"
#include "protocol/codec.h"
#include "protocol/fid.h"
#include "protocol/pool.h"

typedef struct Session Session;
typedef struct Channel Channel;
typedef struct Request Request;
typedef struct Traced Traced; /* events.c */

/* tests/model/flush.pml has the same states, and `published` behind them. */
typedef enum RequestState {
    REQUEST_TAKEN,
    REQUEST_QUEUED,  /* waits for a pool thread, or until the export's limits let it go */
    REQUEST_RUNNING, /* an operation works on it, or a Tflush waits for its target */
    REQUEST_DONE,    /* has its reply, or will get none; it is not published yet */
} RequestState;

/* Where an operation may run. */
typedef enum OpPlace {
    OP_READER, /* always on the reader: touches no file */
    OP_NODE,   /* touches or drops a held node: waits on remote file systems only */
    OP_LOOK,   /* looks at attributes of a held node or the root: waits where they are mapped */
    OP_TRY,    /* takes nowait: tried on the reader, repeated on the pool if it would wait */
    OP_POOL,   /* may wait wherever there is a disk */
} OpPlace;

/* Returned by an operation whose reply comes later. */
enum { OP_LATER = 1 };

typedef struct Op {
    const char *name;
    OpPlace place;
    unsigned n_fids; /* how many fids of the message must exist: request->fid, request->fid2 */
    /* Whether what this request asks for would change the export: a read-only one then answers EROFS
     * and `run` is not called. NULL: it never would. */
    bool (*changes)(const Request *request);
    /* Does the work and writes the reply's body. Returns 0, a negative errno, or OP_LATER. With
     * request->nowait set it may return -EAGAIN and is run again without. */
    int (*run)(Request *request);
} Op;

/* What a waiting Tflush waits for; see flush.c. Used by readers in their turns only. */
typedef struct FlushWait {
    bool taking;          /* other channels still hold requests published before it */
    uint64_t target;      /* while taking: id of the request that it may mean; 0: none is known */
    unsigned on_channels; /* bit i: channel i must pass mark[i] */
    uint32_t mark[8];
    int64_t deadline; /* monotonic microseconds, while replies must be consumed */
} FlushWait;

enum {
    REQUEST_SMALL_MESSAGE = 512,
    REQUEST_SMALL_REPLY = 512,
    REQUEST_SMALL_BODY = REQUEST_SMALL_REPLY - P9_HEADER_SIZE,
};

struct Request {
    Job job; /* first: a Job is its Request */
    Session *session;
    Channel *channel; /* where it came from and its reply goes to */
    FidTable *fids;   /* the table in force when it was taken */
    const Op *op;
    uint64_t id; /* unique in this session */
    uint32_t msize;
    Dialect dialect; /* of the session when it was taken */
    uint32_t size;   /* of the message */
    size_t charge;   /* bytes counted against the session's limit */
    bool reserved;   /* admitted from the reserve */
    bool nowait;     /* runs on the reader: must not wait */

    int64_t taken_at; /* monotonic microseconds */
    int error;        /* of the reply: an errno value, or 0 */
    Traced *traced;   /* somebody wants to see what becomes of it; NULL: nobody */
    gint state;       /* atomic: RequestState */
    bool has_place;   /* see ChannelOps.begin_in_place */

    /* Under the tag's lock: */
    PoolThread *thread; /* works on it, and can be interrupted; NULL: none, or the reader */
    Request *older;     /* requests in flight with a tag of the same lock, abandoned ones too */
    Request *newer;
    bool listed;      /* is among them */
    bool cancelled;   /* a Tflush waits for its end */
    bool abandoned;   /* its client does not expect a reply any more: it gets none */
    bool registered;  /* is in the tag table */
    bool published;   /* its reply is, or is about to be, visible */
    Request *waiters; /* Tflush requests for this tag, oldest first, by next_waiter */

    Request *next_waiter;
    Channel *settle; /* of a Tflush: the channel its target was answered on, or NULL */
    FlushWait flush;
    Request *earlier_flush; /* Tflushes of the same tag that wait too; likewise */
    Request *later_flush;

    struct {
        GList link;      /* of the queue it waits in; without data while it waits in none */
        uint32_t unused; /* bytes that were counted against the limits and not transferred */
    } throttle;

    Fid *fid; /* references: the message's first fid, and its second one */
    Fid *fid2;
    bool holds; /* their nodes, until it lets go of them */

    /* The fid change that succeeds with the request: `fid` takes the place of `expected`. */
    struct {
        uint32_t id;
        Fid *expected; /* not a reference */
        Fid *fid;      /* a reference, or NULL when nothing changes */
    } stage;

    /* Of the channel, between send and publication. */
    Request *next;
    uint32_t position;
    bool copied;

    uint8_t *message;
    size_t message_actual; /* as buffer_pool_get() said; 0 when in small_message */
    ByteWriter reply;      /* the whole R-message, header included, but for: */
    uint32_t in_place;     /* bytes of an Rread's data that are where they will be published */
    size_t reply_actual;   /* likewise; 0 when in small_reply */

    Tmessage t;
    uint8_t small_message[REQUEST_SMALL_MESSAGE];
    uint8_t small_reply[REQUEST_SMALL_REPLY];
};

/* Room for a reply with a body of at most `size` bytes. Returns a writer placed at the body, or
 * NULL when there is no memory, which cannot happen up to REQUEST_SMALL_BODY. */
ByteWriter *request_reply(Request *request, size_t size);

/* Borrows the place of an Rread's data on the channel, for at most `size` bytes of it. Returns false
 * when it is not to be had: the data goes into request_reply(). */
bool request_begin_in_place(Request *request, uint32_t size, struct iovec place[2]);

/* Gives it back unused. request_respond() does the same for an error. */
void request_end_in_place(Request *request);

/* Of the whole R-message, in bytes. */
static inline uint32_t request_reply_size(const Request *request)
{
    return (uint32_t)request->reply.used + request->in_place;
}

/* Stages the fid change that makes `id` stand for `fid` (taking over the caller's reference) where
 * now `expected` stands, or nothing when that is NULL. */
void request_stage_fid(Request *request, uint32_t id, Fid *expected, Fid *fid);

/* Runs the request's operation to its end, and responds unless the reply comes later. Returns
 * false when request->nowait was set and the operation would have waited: nothing has happened. */
bool request_run(Request *request);

/* Whether a Tflush waits for the request's end, or its client does not expect a reply any more. */
bool request_is_cancelled(Request *request);

/* The calling thread, a pool's, begins to work on the request: cancelling it interrupts the thread's
 * system calls from now on. Returns false when it has been cancelled already. */
bool request_enter(Request *request);

/* The calling thread, which still owns the request, goes no further with it. request_respond() does
 * the same. */
void request_leave(Request *request);

/* Interrupts the thread that works on the request, which is cancelled or abandoned, if there is one.
 * Called with the tag's lock held. */
void request_interrupt(Request *request);

/* Ends the request with `error` (0 or negative errno). Takes it over. Any thread. */
void request_respond(Request *request, int error);

/* Called by a channel, just before it makes the reply visible: returns false when the reply must
 * not be sent any more. After it returned true the tag is the client's again. */
bool request_retire(Request *request);

/* Called by a channel when the reply is visible, or must not be sent: lets waiting Tflushes go on
 * and frees the request. */
void request_finish(Request *request);

/* Ends a request that was cancelled before it ran: no reply. Tclunk and Tremove take their fid away
 * all the same. */
void request_cancel(Request *request);

/* Frees a request that nobody knows or will hear of. */
void request_free(Request *request);

#endif
