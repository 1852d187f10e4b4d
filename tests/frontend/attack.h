/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attack: guests that do one bad thing to their device, over and over and as fast as they can, to take
 * from other guests what these need.
 *
 * All of it is within what the hypervisor lets a guest do. Nothing that the backend does ends an
 * attack or fails the test: a device that was closed is connected again.
 */
#ifndef FRONTEND_ATTACK_H
#define FRONTEND_ATTACK_H

#include "tests/frontend/frontend.h"

typedef enum AttackKind {
    ATTACK_EVENTS,  /* notifications without requests */
    ATTACK_GARBAGE, /* bytes that are no message, which close the device, and back again */
    ATTACK_FULL,    /* requests whose replies nobody takes */
    ATTACK_CHURN,   /* connects, and disconnects */
    ATTACK_FLIGHT,  /* as many reads in flight as there is room for */
    ATTACK_FIDS,    /* a million fids, and all of them gone at once */
    ATTACK_FLUSH,   /* each request is flushed */
    ATTACK_QUOTA,   /* files beyond the limit, before whose refusal all are counted */
    N_ATTACKS,
} AttackKind;

typedef struct Attacker {
    AttackKind kind;
    FrontendDevice device;
    gint *stop; /* atomic; ends the attack when it becomes true */
    Frontend *frontend;
    gint n; /* atomic: what was done, by the kind's own measure */
    uint32_t next_fid;
    uint16_t next_tag;
} Attacker;

const char *attack_name(AttackKind kind);

enum { ATTACK_MAX_FILES = 1000 };

/* The device for an attack of this kind on the export `path`, which has a file "data" and at least
 * ATTACK_MAX_FILES others. The first function makes a folder "crowd" with so many. */
void attack_make_crowd(const char *path, unsigned n_files);
FrontendDevice attack_device(AttackKind kind, uint32_t domid, const char *path);

/* Adds the device, attacks until it is told to stop, and has the device deleted at once. Nothing is
 * waited for after that. */
void attack_run(Attacker *attacker);

#endif
