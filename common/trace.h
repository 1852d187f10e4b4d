/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace points: places where perf, bpftrace or gdb can attach (USDT, provider xen_9pfs).
 *
 *     request type tag id      a request was taken from its ring
 *     reply tag id size        its reply is about to be published
 *     rerror tag id errno      it failed; the reply says so
 *     rcancel tag id           it was cancelled: no reply, everything that it held is released
 *     version dialect msize    a session began; the dialect is a string
 *     ring_stall ring bytes    a reply of that size begins to wait for space in the ring
 *     state device old new     a device went from one state to another; all are strings
 *
 * A trace point costs one no-op instruction. Where <sys/sdt.h> is missing there are none.
 */
#ifndef COMMON_TRACE_H
#define COMMON_TRACE_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define TRACE2(name, a, b)    DTRACE_PROBE2(xen_9pfs, name, a, b)
#define TRACE3(name, a, b, c) DTRACE_PROBE3(xen_9pfs, name, a, b, c)
#else
#define TRACE2(name, a, b)    ((void)(a), (void)(b))
#define TRACE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
