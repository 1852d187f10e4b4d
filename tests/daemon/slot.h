/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slot: the place of one device, for tests of its xenbus life: the toolstack's end, the
 * frontend's end, and a recorder that counts every write of the backend's state node.
 *
 * A function named expect fails the test when what it waits for does not come within 20 s.
 */
#ifndef TESTS_DAEMON_SLOT_H
#define TESTS_DAEMON_SLOT_H

#include "tests/frontend/frontend.h"

typedef struct Recorder Recorder;

typedef struct Slot {
    FrontendDevice device;
    Frontend *frontend;
    Recorder *recorder;
} Slot;

/* A place for a small device of `kind`; nothing is written yet. Recording begins. */
Slot *slot_new(const char *kind, uint32_t domid, uint32_t devid);
void slot_free(Slot *slot);

/* Adds the device as the toolstack does. A NULL leaves the node out. */
void slot_add(Slot *slot, const char *path, const char *security_model);

/* The toolstack asks for removal; deletes the nodes of both ends. */
void slot_ask_remove(const Slot *slot);
void slot_delete(const Slot *slot);

/* Shares new rings and writes their nodes, in place of those there were. */
void slot_prepare(Slot *slot);

/* The same, and says Initialised. */
void slot_offer(Slot *slot);

void slot_set_frontend(Slot *slot, enum xenbus_state state);

/* Has the toolstack delete the frontend's folder. */
void slot_delete_frontend(const Slot *slot);

enum xenbus_state slot_state(const Slot *slot);
bool slot_wait(const Slot *slot, enum xenbus_state state, int timeout_ms);
void slot_expect(const Slot *slot, enum xenbus_state state);

/* Fails the test unless the states were written in this order, such as "1 2 4 5 6", each once:
 * a state that was soon followed by the next need not have been seen, but is counted. */
void slot_expect_history(const Slot *slot, const char *history);

/* Begins a 9P session and opens `name` in the root; reads it whole through that fid. */
void slot_open_file(Slot *slot, const char *name);
void slot_read_file(Slot *slot, const char *content);

#endif
