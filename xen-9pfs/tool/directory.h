/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory: looks at a directory that may lie on a file server which does not answer. */
#ifndef XEN_9PFS_TOOL_DIRECTORY_H
#define XEN_9PFS_TOOL_DIRECTORY_H

/* Returns 0 for a directory, or an errno value; ETIMEDOUT after 5 seconds without an answer. */
int directory_check(const char *path);

#endif
