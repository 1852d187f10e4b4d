/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xattr client: extended attributes as Linux asks for them; see client.h. */
#ifndef TESTS_LIB_XATTR_CLIENT_H
#define TESTS_LIB_XATTR_CLIENT_H

#include "tests/lib/client.h"

enum { XATTR_FID = 0xfff1 }; /* used by the functions that send several messages */

/* Txattrwalk. Returns the size, or the error. */
ssize_t client_walk_xattr(Client *c, uint32_t fid, uint32_t newfid, const char *name);
int client_create_xattr(Client *c, uint32_t fid, const char *name, uint64_t size, uint32_t flags);

/* Reads an attribute, or the list for "". Returns its size, or the error. */
ssize_t client_get_xattr(Client *c, uint32_t fid, const char *name, void *value, size_t room);
int client_set_xattr(Client *c, uint32_t fid, const char *name, const void *value, size_t size,
                     uint32_t flags);
int client_remove_xattr(Client *c, uint32_t fid, const char *name);

/* Whether a list of `size` bytes names `name`. */
bool xattr_list_has(const char *list, ssize_t size, const char *name);

#endif
