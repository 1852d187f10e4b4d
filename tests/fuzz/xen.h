/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Xen: grants and event channels within one process, for a fuzz target that has a worker in a thread and is
 * its guest itself. It is made for speed and for one connection at a time; the hypervisor stand-in
 * (tests/standin/) is the one that resembles Xen.
 *
 * The guest's pages are there all the time. What the worker maps is mapped elsewhere, between pages that
 * cannot be touched, and really gone when it is unmapped.
 */
#ifndef TESTS_FUZZ_XEN_H
#define TESTS_FUZZ_XEN_H

#include <stdbool.h>
#include <stdint.h>

enum { XEN_N_PAGES = 64, XEN_PAGE = 4096, XEN_N_PORTS = 8, XEN_NO_FAULT = -1 };

/* The guest's pages; grant reference n is page n. */
uint8_t *xen_guest_pages(void);

/* Nothing is mapped or bound now, as it has to be at the end of every connection. From now on the library
 * call number `fault` fails, counted from 0; XEN_NO_FAULT for none. */
void xen_begin(int fault);

/* The guest notifies the worker through `port`. */
void xen_guest_notify(uint32_t port);

/* Waits until the worker has notified the guest since the last call, or for `usec`. */
void xen_guest_wait(int64_t usec);

#endif
