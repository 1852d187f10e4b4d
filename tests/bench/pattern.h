/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pattern: what the benchmark's files hold, so that every byte that is read can be checked in the
 * pass that copies it: each word of eight bytes is its own offset in the file.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills `size` bytes, a multiple of eight, with what a file holds from `offset` on. */
void pattern_fill(void *to, size_t size, uint64_t offset);

/* Copies `size` bytes, a multiple of eight, that are said to be a file's from `offset` on. Returns
 * whether they are. */
bool pattern_copy(void *to, const void *from, size_t size, uint64_t offset);

#endif
