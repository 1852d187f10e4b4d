/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inode set: which inodes of a tree have been seen. Inode numbers come in clusters, so that it is a
 * hash table of small bitmaps: a million files take less than a megabyte, and 64 bytes each at
 * the very worst. Not locked: its user does that.
 */
#ifndef PROTOCOL_INODE_SET_H
#define PROTOCOL_INODE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct InodeSet InodeSet;

InodeSet *inode_set_new(void);
void inode_set_free(InodeSet *set); /* NULL is allowed */

/* Adds an inode, or takes it out. Each returns false when there was nothing to do. */
bool inode_set_add(InodeSet *set, uint64_t device, uint64_t inode);
bool inode_set_remove(InodeSet *set, uint64_t device, uint64_t inode);

bool inode_set_has(const InodeSet *set, uint64_t device, uint64_t inode);

/* How many bytes of memory it takes. */
size_t inode_set_memory(const InodeSet *set);

#endif
