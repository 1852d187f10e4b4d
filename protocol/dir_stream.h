/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dir stream: an open directory as Tread sees it, a row of stat records.
 *
 * Offsets count the bytes of the records before. A read returns whole records only. It may begin at
 * 0, where the last one ended or began, or at any other record's start: that is found by going
 * through the directory again, so it takes longer. Every other offset is -EINVAL.
 *
 * 9P2000.u lists "." and "..", since Linux leaves them to the server; 9P2000 does not know them.
 */
#ifndef PROTOCOL_DIR_STREAM_H
#define PROTOCOL_DIR_STREAM_H

#include "protocol/stat.h"

typedef struct DirStream DirStream;

/* A new stream over an open directory, at its start; the file and the options are borrowed. ".." in a
 * directory that `is_top`, the root for its client, is the directory itself. */
DirStream *dir_stream_new(FsFile *dir, bool is_top, Dialect dialect, const ExportOptions *options);
void dir_stream_free(DirStream *stream); /* NULL is allowed */

/* Appends the records from `offset` on to `w`, at most `count` bytes. Nothing appended means the
 * end. Returns 0 or a negative errno: -EINVAL when the next record does not fit at all. May wait.
 * Several threads may call. */
int dir_stream_read(DirStream *stream, uint64_t offset, uint32_t count, ByteWriter *w);

#endif
