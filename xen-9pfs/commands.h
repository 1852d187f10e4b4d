/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands: what the supervisor answers on the control socket, docs/control-protocol.md. What only a
 * worker knows is the worker's to answer, to the client itself.
 *
 * The supervisor's thread only.
 */
#ifndef XEN_9PFS_COMMANDS_H
#define XEN_9PFS_COMMANDS_H

#include "xen-9pfs/config_file.h"
#include "xen-9pfs/control.h"
#include "xen-9pfs/options.h"

/* What is asked about and acted on; all of it is borrowed. */
typedef struct CommandHost {
    const Options *options;
    ConfigFile *config;
    GHashTable *devices; /* name -> Device */
    int64_t since;       /* when the supervisor was started: seconds of the epoch */
    Control *control;
} CommandHost;

/* A ControlAnswer; `host` is a CommandHost. */
void commands_answer(ControlCall *call, void *host);

#endif
