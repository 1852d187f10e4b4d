/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Describe: messages in readable text, for people who watch.
 *
 * What a client has chosen stands in quotation marks and is escaped as common/record.h does it, so
 * that it can neither look like something else nor do anything to a terminal.
 */
#ifndef PROTOCOL_DESCRIBE_H
#define PROTOCOL_DESCRIBE_H

#include <glib.h>

#include "protocol/codec.h"

/* Appends what a decoded message says beside its type, tag and first fid, such as
 * `name="a" flags=O_RDWR|O_TRUNC`; nothing when that is all. `dialect` is that of the session. */
void describe_request(GString *out, const Tmessage *t, Dialect dialect);

/* Appends what a reply says beside its type and tag: numbers and qids, but no payload. `bytes` is the
 * whole of a reply that this server has made to a message of type `type`. */
void describe_reply(GString *out, uint8_t type, uint8_t *bytes, size_t size);

/* Appends `text` in quotation marks. */
void describe_quoted(GString *out, const char *text);

/* The name of an errno value, such as "ENOENT"; the number where there is none. */
void describe_error(GString *out, int error);

#endif
