/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns: how long a process has the CPU before it is another one's turn.
 *
 * The scheduler gives busy processes equal shares, whatever a guest makes its worker do. But how long
 * somebody waits who has slept, which is what a guest with few requests notices, depends on the
 * length of turns: among those that have not had their share the scheduler takes the one whose turn
 * would end first. Workers ask for short turns. That changes nobody's share, and where the CPUs are
 * not all busy it changes nothing.
 *
 * Linux knows this since 6.12. Older kernels, and the scheduler before 6.6, which favours those that
 * have slept by itself, ignore it.
 */
#ifndef XEN_9PFS_TURNS_H
#define XEN_9PFS_TURNS_H

/* Asks for short turns of this thread and of those that it starts. Policy and nice value stay. Returns
 * 0, or a negative errno; nothing is lost then. */
int turns_shorten(void);

#endif
