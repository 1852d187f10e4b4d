/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of a request, its Tflush and the rings between: what protocol/request.c, flush.c, pool.c and
 * xen-9pfs/ring.c do together, for Spin. A client uses one tag for one request after the other. It may
 * flush each, on the same ring or another, at any time. It may also give up and use the tag again, as
 * Linux 6.12 does: on the tag's own ring, and not before its Tflush was taken, since no server could
 * tell the order of what lies in different rings.
 *
 *     Client    the guest, which looks at its rings in any order
 *     Reader    session_take(), flush.c, the sleep of worker.c
 *     Thread    a thread of the pool: request_enter(), request_run(), request_respond()
 *     Watcher   the pool's, which repeats the signal
 *
 * The states of a request are those of RequestState, and `published` behind them. What is checked:
 *
 *   P1  no reply after Rflush for the request that was flushed, and none for a request whose tag has
 *       been taken again                                              assertions in Client, publish
 *   P2  every Tflush is answered, and every request that none named    no invalid end state, and the
 *                                                                     client comes to its end (LTL)
 *   P3  no wake-up is lost                                             no invalid end state
 *   P4  nothing that a request held is leaked                          assertions at the end
 *
 * Each rule that makes these hold can be broken with -D: tests/model/check shows that a property fails
 * then.
 *
 *     NO_TAKING   a Tflush of an unknown tag does not wait for the other rings           P1
 *     NO_AGAIN    a Tflush takes a request that was flushed before for its target        P1
 *     NO_SETTLE   an Rflush does not wait until the reply elsewhere is consumed          P1
 *     LATE_RETIRE a tag leaves the table after its reply is visible, not before          P1
 *     NO_ABANDON  a tag that is used again leaves its old request alone                  P1
 *     EARLY_FLUSH an Rflush does not wait for its target's end                           P1
 *     ONE_SIGNAL  the signal is not repeated                                             P2
 *     NO_RELEASE  a request that is discarded forgets the Tflush that waits for it       P2
 *     ANY_EINTR   an EINTR that nobody asked for ends a request, too                     P2
 *     LATE_CLEAR  the reader forgets an event that came while it was looking             P3
 *     NO_WAKE     a thread that ends a request does not wake the reader                  P3
 *     NO_ROOM     the client does not tell that it has made room                         P3
 *     LEAK        a discarded request keeps its memory                                   P4
 */
#ifndef ROUNDS
#define ROUNDS 2 /* requests, one after the other */
#endif
#define RINGS 2
#define ROOM  1 /* replies that fit into a ring */
#define NONE  255

mtype = { Treq, Tflush, Rreq, Rflush }; /* messages */

mtype = { unborn, taken, queued, running, done, published, discarded }; /* a request */

/* A Tflush: it waits for its target's end, then perhaps for rings. */
mtype = { attached, released, taking, settling, answered };

/*
 * Rings. Requests lie in `out`, replies in `in` and, while there is no room, in `pending`.
 */
chan out[RINGS] = [4] of { mtype, byte };
chan in[RINGS] = [ROOM] of { mtype, byte };
chan pending[RINGS] = [4] of { mtype, byte };
byte out_published[RINGS], out_taken[RINGS];
byte in_published[RINGS], in_consumed[RINGS];
bool event; /* for the reader: an event channel that fired, or a wake-up */

/*
 * Requests, by number; each has at most one Tflush, of the same number.
 */
mtype state[ROUNDS] = unborn;
byte ring_of[ROUNDS];
bool cancelled[ROUNDS], abandoned[ROUNDS];
bool patient[ROUNDS]; /* its call does not hang, and the client does not flush it */
byte slot = NONE; /* of the tag in the tag table */
byte newest = NONE; /* taken */
chan queue = [2] of { byte };

mtype flush[ROUNDS] = unborn;
byte flush_ring[ROUNDS];
bool flush_abandoned[ROUNDS], must_settle[ROUNDS];
byte target[ROUNDS] = NONE; /* the request that a Tflush waits for, or may mean */
byte mark[ROUNDS]; /* of the ring that is not the Tflush's: RINGS is 2 */
byte newest_flush = NONE;

byte charged; /* requests that hold memory */

/* The thread. */
byte runs = NONE; /* which request */
bool interrupted; /* it shall leave that */
bool signal;      /* is on its way to it */
bool client_done;

#define OTHER(r)    (1 - (r))
#define has_room(r) (len(pending[r]) > 0 && len(in[r]) < ROOM)
#define is_empty(c) (len(c[0]) == 0 && len(c[1]) == 0)

/* Lets the Tflushes go on that wait for the request `id`. */
inline release_waiter(id, was_replied)
{
    w = 0;
    do
    :: w < ROUNDS && flush[w] == attached && target[w] == id ->
        must_settle[w] = was_replied;
        flush[w] = released;
        w++
    :: w < ROUNDS && !(flush[w] == attached && target[w] == id) -> w++
    :: w == ROUNDS -> w = 0; break
    od
}

/* request_finish() of one that gets no reply. */
inline discard(id)
{
    state[id] = discarded;
    if
    :: slot == id -> slot = NONE
    :: else
    fi;
#ifndef LEAK
    charged--;
#endif
#ifndef NO_RELEASE
    release_waiter(id, false);
#endif
#ifndef NO_WAKE
    event = true
#endif
}

/* ring_pump(): reserves room and publishes, one reply at a time; then request_finish(). The sender may
 * be any thread. */
inline publish(r)
{
    atomic {
        if
        :: has_room(r) -> pending[r]?kind, id
        :: else -> id = NONE /* another thread was faster */
        fi;
        if
        :: id == NONE
        :: id != NONE && kind == Rreq && abandoned[id] ->
            discard(id);
            id = NONE
        :: id != NONE && kind == Rflush && flush_abandoned[id] ->
            flush[id] = answered;
            charged--;
            id = NONE
        :: else ->
            assert(kind == Rflush || id == newest); /* P1 */
#ifndef LATE_RETIRE
            if
            :: kind == Rreq && slot == id -> slot = NONE
            :: else
            fi;
#endif
            in[r]!kind, id;
            in_published[r]++
        fi
    };
    atomic {
        if
        :: id != NONE && kind == Rreq ->
#ifdef LATE_RETIRE
            slot = NONE;
#endif
            state[id] = published;
            charged--;
            release_waiter(id, true);
#ifndef NO_WAKE
            event = true
#endif
        :: id != NONE && kind == Rflush ->
            flush[id] = answered;
            charged--
        :: else
        fi;
        id = NONE
    }
}

/*
 * The client
 */
proctype Client()
{
    byte now = 0;  /* the request that it is at */
    byte id, ring, flush_on;
    mtype kind;
    bool flushed = false;         /* it has sent a Tflush for this one */
    bool replied[ROUNDS], over[ROUNDS]; /* over: it has seen the Rflush */
    bool gave_up[ROUNDS];

    if
    :: flush_on = 0
    :: flush_on = 1
    fi;
    do
    :: now < ROUNDS ->
        if
        :: patient[now] = true
        :: skip
        fi;
        atomic { out[0]!Treq, now; out_published[0]++ };
        event = true;
        flushed = false;
        do
        :: !flushed && !patient[now] ->
            atomic {
                out[flush_on]!Tflush, now;
                out_published[flush_on]++;
                flushed = true
            };
            event = true
        :: flushed && now + 1 < ROUNDS && flush[now] != unborn -> /* both tags are free to it */
            gave_up[now] = true;
            break
        :: !is_empty(in) ->
            atomic {
                if
                :: in[0]?kind, id -> ring = 0
                :: in[1]?kind, id -> ring = 1
                fi;
                in_consumed[ring]++;
                if
                :: kind == Rreq ->
                    assert(!replied[id] && !over[id]); /* P1 */
                    assert(id == now || gave_up[id]);
                    replied[id] = true
                :: kind == Rflush ->
                    assert(!over[id] && (id == now || gave_up[id]));
                    over[id] = true
                fi
            };
#ifndef NO_ROOM
            event = true
#endif
        :: (replied[now] && !flushed) || over[now] -> break
        od;
        now++
    :: now == ROUNDS -> break
    od;
    client_done = true;
end:
    do /* a guest looks at its rings as long as it runs */
    :: atomic { in[0]?kind, id; in_consumed[0]++ };
#ifndef NO_ROOM
        event = true
#endif
    :: atomic { in[1]?kind, id; in_consumed[1]++ };
#ifndef NO_ROOM
        event = true
#endif
    od
}

/*
 * The reader
 */

/* register_tag(), flush_discards(), run_or_queue() */
inline take_request(r, new)
{
    charged++;
    ring_of[new] = r;
    state[new] = taken;
#ifndef NO_ABANDON
    if
    :: slot != NONE ->
        id = slot;
        abandoned[id] = true;
        slot = NONE;
        if
        :: state[id] == queued -> queue??eval(id); discard(id)
        :: runs == id -> interrupted = true; signal = true
        :: else
        fi
    :: else
    fi;
#endif
    slot = new;
    newest = new;
    if
    :: flush[new] == taking && flush_ring[new] != r && out_taken[r] <= mark[new] ->
        discard(new)
    :: else ->
        state[new] = queued;
        queue!new
    fi
}

/* flush_run(): a client that uses the Tflush's tag again gave up on the old one. */
inline take_flush(r, new)
{
    charged++;
    flush_ring[new] = r;
    if
    :: newest_flush != NONE -> flush_abandoned[newest_flush] = true
    :: else
    fi;
    newest_flush = new;
    id = slot;
    if
    :: id == NONE ->
#ifdef NO_TAKING
        answer(new)
#else
        flush[new] = taking;
        mark[new] = out_published[OTHER(r)]
#endif
    :: id != NONE && !cancelled[id] && state[id] == queued ->
        queue??eval(id);
        discard(id);
        answer(new)
#ifndef NO_AGAIN
    :: id != NONE && cancelled[id] ->
        target[new] = id;
        flush[new] = taking;
        mark[new] = out_published[OTHER(r)]
    :: id != NONE && !cancelled[id] && state[id] != queued ->
#else
    :: id != NONE && state[id] != queued ->
#endif
        cancelled[id] = true;
        if
        :: runs == id -> interrupted = true; signal = true
        :: else
        fi;
#ifdef EARLY_FLUSH
        answer(new)
#else
        target[new] = id;
        flush[new] = attached
#endif
    fi
}

/* request_respond() of a Tflush */
inline answer(f)
{
    flush[f] = done;
    pending[flush_ring[f]]!Rflush, f
}

/* flush_tend(): moves the Tflush `f` on. */
inline tend(f)
{
    atomic {
        if
        :: flush[f] == released && must_settle[f] && ring_of[target[f]] != flush_ring[f] ->
            flush[f] = settling;
            mark[f] = in_published[OTHER(flush_ring[f])]
        :: flush[f] == released && !(must_settle[f] && ring_of[target[f]] != flush_ring[f]) -> answer(f)
        :: flush[f] == taking && out_taken[OTHER(flush_ring[f])] >= mark[f] ->
            if
            :: target[f] != NONE && slot == target[f] -> flush[f] = attached
            :: else ->
                flush[f] = settling;
                mark[f] = in_published[OTHER(flush_ring[f])]
            fi
#ifdef NO_SETTLE
        :: flush[f] == settling -> answer(f)
#else
        :: flush[f] == settling && in_consumed[OTHER(flush_ring[f])] >= mark[f] -> answer(f)
#endif
        fi
    }
}

#define can_tend(f)                                                                            \
    (flush[f] == released ||                                                                   \
     (flush[f] == taking && out_taken[OTHER(flush_ring[f])] >= mark[f]) ||                     \
     (flush[f] == settling && SETTLED(f)))
#ifdef NO_SETTLE
#define SETTLED(f) true
#else
#define SETTLED(f) (in_consumed[OTHER(flush_ring[f])] >= mark[f])
#endif

/* A Tflush that waits for rings makes the reader look every millisecond. */
#define polls(f) (flush[f] == taking || flush[f] == settling)

#define has_work                                                                               \
    (!is_empty(out) || has_room(0) || has_room(1) || can_tend(0) || can_tend(1))

proctype Reader()
{
    mtype kind;
    byte id = NONE, new, r, w;

    do
    :: !is_empty(out) ->
        atomic {
            if
            :: out[0]?kind, new -> r = 0
            :: out[1]?kind, new -> r = 1
            fi;
            out_taken[r]++; /* the room is the client's again */
            if
            :: kind == Treq -> take_request(r, new)
            :: kind == Tflush -> take_flush(r, new)
            fi;
            id = NONE
        }
    :: has_room(0) -> publish(0)
    :: has_room(1) -> publish(1)
    :: can_tend(0) -> tend(0)
    :: can_tend(1) -> tend(1)
    :: else ->
#ifndef LATE_CLEAR
        event = false; /* before the last look */
#endif
        if
        :: has_work
        :: else ->
#ifdef LATE_CLEAR
            event = false;
#endif
end:
            (event || polls(0) || polls(1))
        fi
    od
}

/*
 * A thread of the pool
 */
proctype Thread()
{
    byte my, id = NONE, w;
    mtype kind;
    bool eintr;
    bool accident; /* one signal of somebody else may come */

end:
    do
    :: atomic {
            queue?my;
            runs = my;
            state[my] = running
        };
        accident = true;
again:
        eintr = false;
        if
        :: signal = false /* the handler runs just before the call, and the signal is gone */
        :: skip
        fi;
        if
        :: skip /* the call comes to its end */
        :: !patient[my] -> /* or hangs until the signal comes */
            atomic { signal -> signal = false; eintr = true }
        :: accident -> eintr = true; accident = false /* or ends for a signal of somebody else */
        fi;
#ifndef ANY_EINTR
        if
        :: eintr && !interrupted -> goto again /* UNINTERRUPTED() */
        :: else
        fi;
#endif
        atomic { /* request_respond() */
            runs = NONE;
            interrupted = false; /* pool_thread_calm() */
            signal = false;
            state[my] = done;
            if
#ifdef ANY_EINTR
            :: abandoned[my] || eintr ->
#else
            :: abandoned[my] || (cancelled[my] && eintr) ->
#endif
                discard(my)
            :: else -> pending[ring_of[my]]!Rreq, my
            fi
        };
        if
        :: has_room(ring_of[my]) -> publish(ring_of[my])
        :: else
        fi
    od
}

#ifndef ONE_SIGNAL
/* pool.c's, until the thread is calm. */
proctype Watcher()
{
end:
    do
    :: atomic { interrupted && !signal -> signal = true }
    od
}
#endif

/* P4: when all has come to rest, nothing is held. */
proctype Auditor()
{
    timeout ->
        assert(client_done);
        assert(charged == 0);
        assert(slot == NONE);
        assert(len(queue) == 0 && is_empty(pending) && is_empty(in) && is_empty(out))
}

init {
    atomic {
        run Client();
        run Reader();
        run Thread();
#ifndef ONE_SIGNAL
        run Watcher();
#endif
        run Auditor()
    }
}

ltl answered_at_last { <> client_done }
