/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest: a device whose frontend has connected, with a 9P session over it.
 *
 * A function named after a message sends it and waits for its reply; it returns 0 or the errno of
 * the reply, and fails the test when nothing comes or anything that is no reply to it. A Guest
 * belongs to one thread at a time. What is tested differently in each dialect is sent by
 * frontend_call() instead.
 */
#ifndef TESTS_DAEMON_GUEST_H
#define TESTS_DAEMON_GUEST_H

#include "tests/frontend/frontend.h"

enum {
    GUEST_ROOT = 0,        /* the fid of the export's root */
    GUEST_MAX_WINDOW = 16, /* tags of requests that carry data: 0 ... 15 */
    GUEST_TAG = 16,        /* of all others */
};

typedef struct Guest {
    FrontendDevice device;
    Frontend *frontend;
    unsigned window; /* how many Treads or Twrites of one call are in flight at once */
} Guest;

/* Adds the device, connects, agrees on the device's dialect and attaches. */
Guest *guest_start(const FrontendDevice *device);

/* Removes the device and frees the guest. */
void guest_end(Guest *guest);

/* Fails the test for what is no reply; returns the errno of the others. */
int guest_check(Guest *guest, int error);

/* Walks `path`, "" for a clone; a walk that ends early is ENOENT. Replaces nothing. */
int guest_walk(Guest *guest, uint32_t fid, uint32_t newfid, const char *path);
int guest_open(Guest *guest, uint32_t fid, uint32_t flags);
int guest_create(Guest *guest, uint32_t fid, const char *name, uint32_t flags, uint32_t mode);
int guest_clunk(Guest *guest, uint32_t fid);
int guest_getattr(Guest *guest, uint32_t fid, P9Attr *attr);
int guest_readlink(Guest *guest, uint32_t fid, char **target);

/* Reads or writes `size` bytes in pieces of at most `piece` bytes, 0 for what the msize allows.
 * Reading ends at the end of the file: `*done` says where. A write is complete or an error. */
int guest_read(Guest *guest, uint32_t fid, uint64_t offset, void *bytes, uint32_t size,
               uint32_t piece, uint32_t *done);
int guest_write(Guest *guest, uint32_t fid, uint64_t offset, const void *bytes, uint32_t size,
                uint32_t piece);

/* The names in the open directory `fid`, "." and ".." included, with Treaddirs of `count` bytes. A
 * directory that was removed meanwhile is ENOENT. The caller unrefs `*names`, also after an error. */
int guest_list(Guest *guest, uint32_t fid, uint32_t count, GPtrArray **names);

#endif
