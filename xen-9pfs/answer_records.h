/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers: what is in them; see answer.h. */
#ifndef XEN_9PFS_ANSWER_RECORDS_H
#define XEN_9PFS_ANSWER_RECORDS_H

#include "xen-9pfs/answer.h"

/* Appends the whole answer to a request, which may be that it is not understood; or its beginning, when
 * it has no end: then returns the number of a tracer of the session, whose lines follow. Else
 * returns -1. */
int answer_request(const AnswerSource *source, const char *request, GString *out);

#endif
