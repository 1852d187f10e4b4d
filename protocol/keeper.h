/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeper: a process beside this one that opens files anew which this one has held before.
 *
 * A file that nobody works with can do without a descriptor: its handle, of a few bytes, leads back to
 * it, whatever it is called by then. But a handle is only a number, and who may open by handle may
 * open every file of the file system, also those outside the export. So this process may not: it is
 * the keeper alone that has the right, CAP_DAC_READ_SEARCH, and it makes the handles itself.
 *
 *     keep    the handle of what descriptor `fd` stands for goes into a slot of the keeper's memory
 *     fetch   a new O_PATH descriptor of what is in a slot
 *
 * The two processes have one table of descriptors and nothing else in common: the kernel makes a
 * handle out of a descriptor, and a descriptor out of a handle, in one system call each, and no
 * descriptor has to be sent. Whoever has taken this process over can have slots filled with what it
 * holds anyway and get that back. It can exchange descriptors under the keeper's hands; the mount
 * by which the keeper opens is not one of them, but the keeper's working directory.
 *
 * The keeper must end with this process, since descriptors stay open as long as it lives. It does so
 * when this process is the first of a pid namespace; otherwise soon afterwards.
 */
#ifndef PROTOCOL_KEEPER_H
#define PROTOCOL_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Keeper Keeper;

/* Starts a keeper of `n_slots` slots for files on the mount of the directory `dir_fd`. Called while
 * this process has one thread, and the right to open by handle. Returns 0 or a negative errno:
 * -EOPNOTSUPP where the file system has no handles, -EPERM without the right. */
int keeper_new(int dir_fd, uint32_t n_slots, Keeper **keeper);

/* Ends the keeper and waits until it is gone. */
void keeper_free(Keeper *keeper);

/* Any thread. Returns 0, -EOPNOTSUPP for a file without a handle, -EXDEV for one on another mount,
 * or -EIO when the keeper is gone. */
int keeper_keep(Keeper *keeper, uint32_t slot, int fd);

/* Any thread. Returns a descriptor, -ESTALE when the file is not there any more, -EIO when the keeper is
 * gone, or another negative errno. */
int keeper_fetch(Keeper *keeper, uint32_t slot);

/* Any thread. Whether the keeper has ended by itself, which was found, and logged, by one of the calls
 * above. What it has kept is lost. */
bool keeper_is_gone(Keeper *keeper);

#endif
