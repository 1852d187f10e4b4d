/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: one client's conversation over one or several channels (rings).
 *
 * The reader takes requests from all channels and calls the functions here marked [reader]; it never
 * waits. What must wait runs on the session's pool. Any thread publishes replies.
 *
 * While there is more to do than one thread can, there may be several readers, each with channels of
 * its own. Then they take turns: who is in a function marked [reader] holds the session's lock, see
 * session_lock(), and session_take() lets go of it while an operation runs. So what is the reader's is
 * never touched by two at once, and operations run side by side.
 *
 * What makes up the session itself is in SessionState: dialect, msize and fid table.
 */
#ifndef PROTOCOL_SESSION_H
#define PROTOCOL_SESSION_H

#include <sys/uio.h>

#include "common/buffer.h"
#include "common/log.h"
#include "protocol/export_options.h"
#include "protocol/lock_wait.h"
#include "protocol/request.h"
#include "protocol/stats.h"
#include "protocol/tags.h"
#include "protocol/throttle_wait.h"
#include "protocol/tracer.h"

enum {
    SESSION_MAX_CHANNELS = 8,
    SESSION_PEEK_SIZE = 23, /* bytes of a message that say what it will cost: up to Tread's count */
};

/* A way for messages in both directions. Positions are counts of bytes modulo 2^32. */
typedef struct ChannelOps {
    /* Takes over a request whose reply is complete: publishes it, now or when there is room, and
     * ends with request_finish(). Any thread. Never waits. */
    void (*send)(Channel *channel, Request *request);

    /* Lends the place where the reply to `request`, of at most `size` bytes, would be published, without
     * its first P9_RREAD_OVERHEAD bytes: an Rread's data. Until send() or end_in_place(), by the same
     * thread and soon, no other reply is published. Returns false when that cannot be had at once.
     * NULL where there is no such place. */
    bool (*begin_in_place)(Channel *channel, Request *request, uint32_t size,
                           struct iovec place[2]);

    /* There is nothing in the place after all. */
    void (*end_in_place)(Channel *channel, Request *request);

    /* Position behind the last request that the client has published. [reader] */
    uint32_t (*out_published)(Channel *channel);

    /* True when every complete request before `position` has been taken. [reader] */
    bool (*out_taken)(Channel *channel, uint32_t position);

    /* Position behind the last request that was taken. [reader] */
    uint32_t (*out_position)(Channel *channel);

    /* Position behind the last published reply; no publication is half-way when it returns. */
    uint32_t (*in_published)(Channel *channel);

    /* Waits for replies that other threads are about to publish: no longer than copying takes. NULL where
     * there are none. [reader] */
    void (*finish_publishing)(Channel *channel);

    /* True when the client has consumed every reply before `position`. [reader] */
    bool (*in_consumed)(Channel *channel, uint32_t position);
} ChannelOps;

struct Channel {
    const ChannelOps *ops;
    Session *session;
    uint32_t max_message; /* no message can be larger, in either direction */
    unsigned index;       /* in the session */
};

typedef struct SessionLimits {
    DeviceLimits device;
    unsigned max_lock_wait_msec; /* how long a Tlock waits */

    int64_t (*clock)(void); /* monotonic microseconds, for what is held up; tests have their own */
} SessionLimits;

extern const SessionLimits session_default_limits;

typedef struct SessionState {
    Dialect dialect; /* DIALECT_NONE until a Tversion has chosen one */
    uint32_t msize;
    FidTable *fids;
} SessionState;

/* What is the reader's is touched by readers in their turns. */
struct Session {
    Fs *fs;          /* borrowed */
    Tracers tracers; /* see events.h */
    ExportOptions options;
    Pool *pool;
    BufferPool *buffers;
    XattrQuota xattrs;
    LockTable *locks;
    LockWaits *lock_waits;
    ThrottleWaits *throttle; /* NULL without limits */
    SessionLimits limits;
    pthread_mutex_t state_lock; /* the reader changes the state with it held, others may look so */
    SessionState state;         /* reader only, but for that; requests carry what they need of it */
    TagTable tags;
    Channel *channels[SESSION_MAX_CHANNELS]; /* borrowed */
    unsigned n_channels;
    uint64_t last_id; /* written by the reader only */
    Stats *stats;
    int64_t started_at; /* monotonic microseconds, as the next */
    int64_t now;        /* since the first reader's turn began; 0: it has to be read. Its own */
    bool left_some;     /* in this turn not all requests ended at once; reader only */
    uint64_t most_in_flight; /* at the end of a turn; written by the reader only */

    gsize inflight_bytes; /* atomic: charges of all requests */
    gint n_reserved;      /* atomic: requests admitted from the reserve */
    gint starved;         /* atomic: the reader waits for memory */

    GQueue flushes; /* Tflush requests that wait for channels, oldest first; reader only */
    unsigned n_flushes_taking;     /* of these, how many wait for requests to be taken */
    GHashTable *latest_flush;      /* tag -> the last Tflush of it, while it waits; reader only */
    pthread_mutex_t released_lock; /* guards: */
    Request *released;             /* Tflush requests whose target has ended, oldest first */
    Request **released_end;        /* where the next goes */

    void (*wake)(void *context); /* makes the first reader call session_tend(); any thread */
    void *wake_context;
    GThread *reader;             /* the first one */
    pthread_mutex_t reader_lock; /* held by the reader whose turn it is */
    unsigned n_readers;          /* changed by readers */

    LogLimit malformed_limit;
    LogLimit reuse_limit;
};

/* A new session over `fs`, without channels. `wake` must make the reader call session_tend() soon,
 * also when it sleeps. */
Session *session_new(Fs *fs, const ExportOptions *options, const SessionLimits *limits,
                     void (*wake)(void *), void *context);

/* Adds a channel, before the first request. `channel` must outlive the session. */
void session_add_channel(Session *session, Channel *channel);

/* Begins and ends a turn of a reader. They may be left out as long as there is only one. */
void session_lock(Session *session);
void session_unlock(Session *session);

/* There will be one more reader beside those there are, for channels that no other takes requests from
 * meanwhile; or one less. [reader] */
void session_add_reader(Session *session);
void session_remove_reader(Session *session);

/* The calling thread is one of those that were added; or none any more (NULL). */
void session_read_beside(const Session *session);

/* How large the reply to the message that begins with the `n_peeked` bytes at `peeked`, at least the header,
 * can be when it is one that carries much: Rread or Rreaddir. 0 for other messages. [reader] */
uint32_t session_expect_reply(const Session *session, uint8_t *peeked, size_t n_peeked);

/* Makes a request for the message of `size` bytes whose first `n_peeked` bytes, at least the
 * header, are at `peeked`; they are copied. The caller fills in the rest of request->message.
 * Returns NULL while requests in flight hold all the memory that the session may use: the caller
 * tries again after wake. The reserve admits Tflush, Tclunk and Tversion then. [reader] */
Request *session_admit(Session *session, Channel *channel, const uint8_t *peeked, size_t n_peeked,
                       uint32_t size);

/* Takes over a complete request: runs it, or queues it. [reader] */
void session_take(Session *session, Request *request);

/* Lets waiting Tflushes go on, and requests that the export's limits have held up. Returns true when
 * Tflushes still wait, to be called again within a millisecond even when nothing wakes the reader.
 * [reader] */
bool session_tend(Session *session);

/* For how many milliseconds the reader may otherwise sleep before it calls session_tend() again, as
 * poll() takes it: -1 is for ever. [reader] */
int session_timeout(Session *session);

/* How the session is. */
typedef struct SessionStatus {
    Dialect dialect;
    uint32_t msize;
    unsigned n_attached; /* fids that Tattach has made and that are not clunked */
    unsigned n_fids;
    unsigned n_open; /* fids of open regular files */
    size_t xattr_bytes;
    unsigned n_lock_ranges;
    unsigned n_in_flight;
    uint64_t most_in_flight; /* that were left when the reader had done what it could do at once */
    size_t inflight_bytes;
    unsigned n_threads;
    uint64_t n_taken; /* requests */
    int64_t age_usec;
} SessionStatus;

/* Any thread. Never waits for a file system, as the next ones. */
SessionStatus session_status(Session *session);

/* A request that was taken and is not published yet. */
typedef struct RequestInfo {
    uint64_t id;
    uint16_t tag;
    unsigned channel;
    const char *op; /* the message's name; NULL for one that is unknown or malformed */
    uint8_t type;   /* of the message */
    RequestState state;
    bool waits;     /* runs on no thread: a Tflush waits for its target, or a Tlock for its lock */
    bool cancelled; /* a Tflush waits for its end */
    bool abandoned; /* it will get no reply; its tag may have been used again */
    int64_t age_usec;
    uint32_t fid; /* the message's first one, or P9_NOFID */
    bool has_fid; /* it is in the fid table, so that these are known: */
    uint32_t uid; /* whom it is for: the guest's number, see fid_user() */
    char *path;   /* see FsOps.path; NULL where it is not known */
    char *detail; /* the rest of the message, see describe.h */
} RequestInfo;

/* The requests in flight, oldest first: a new array of RequestInfo, with their texts. Each is as it
 * was at some time during the call. Any thread. */
GArray *session_list_requests(Session *session);

/* Begins to trace requests that are taken from now on, see tracers_add(). Any thread. */
int session_add_tracer(Session *session, TraceFilter *filter);

/* A fid in the table. */
typedef struct FidInfo {
    uint32_t uid;
    mode_t type; /* S_IFMT part */
    bool is_open;
    bool is_xattr;
    int flags;  /* host open flags, when open */
    char *path; /* as above */
} FidInfo;

/* Hands the fids of the session to `each`, in no order, until it returns false. Fids that come or go
 * meanwhile may be missed. Any thread. */
void session_each_fid(Session *session,
                      bool (*each)(uint32_t id, const FidInfo *info, void *context), void *context);

/* Lets go of files that are only kept to be faster: called when the client asks nothing, and every few
 * seconds. [reader] */
void session_rest(Session *session);

/* Whether no request is in flight. [reader] */
bool session_is_idle(const Session *session);

/* Stops: nothing is queued or runs any more when it returns, and nothing will be sent. [reader] */
void session_stop(Session *session);

/* Frees a stopped session whose channels hold no request any more. [reader] */
void session_free(Session *session);

/* For operations. Forgets everything about the conversation so far: requests in flight get no
 * reply, all fids are clunked. `keep` is the Tversion that asks for it. [reader] */
void session_reset(Session *session, Request *keep);

/* For operations: what Tversion has agreed on. [reader] */
void session_agree(Session *session, Dialect dialect, uint32_t msize);

/* Whether the calling thread is the session's first reader. */
bool session_is_first_reader(const Session *session);

/* The monotonic time, in microseconds. On the first reader it also is when the next requests are
 * taken, up to the end of its turn: so the clock is read once for each. */
int64_t session_clock(Session *session);

/* The largest message that fits all channels. */
uint32_t session_max_message(const Session *session);

/* For requests: gives back what session_admit() charged, and what it has not used of what the
 * export's limits allow. Any thread. */
void session_uncharge(Session *session, const Request *request);

/* Takes back a request that has not begun. Returns false when it has, and true when it is the
 * caller's to end. [reader] */
bool session_unqueue(Session *session, Request *request);

/* For requests: lets go of a reference, or of nothing when it is NULL. Closing a remote file may
 * wait, which the reader must not: what it lets go of is left to the pool. Any thread. */
void session_drop_fid(Session *session, Fid *fid);

/* Lets go of a reference to a table, which may be the last, on the pool. Any thread. */
void session_drop_table(Session *session, FidTable *table);

/* For requests: Tflush requests that waited for an ended request go on. Any thread. */
void session_release_waiters(Session *session, Request *waiters);

/* The operation for a message type, or NULL. */
const Op *op_for_type(uint8_t type);

/* flush.c */
int flush_run(Request *flush);                              /* [reader] */
bool flush_discards(Session *session, Request *request);    /* [reader] */
void flush_begin_tag(Session *session, uint16_t tag);       /* [reader] */
void flush_leave_order(Session *session, Request *flushes); /* [reader] */
void flush_forget_all(Session *session);                    /* [reader] */
bool flush_tend(Session *session);                          /* [reader] */

#endif
