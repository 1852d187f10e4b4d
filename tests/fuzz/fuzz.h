/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: what the fuzz targets share.
 *
 * A target is one function, fuzz_one(), that takes any bytes and must come back without a sanitizer's
 * report or a failed assertion. The bytes are a source of decisions, not messages: a target builds
 * mostly valid messages from them, so that chance reaches what is behind the checks, and spoils some.
 * One input is one execution: some messages for the codec, a conversation for the session, the life of a
 * frontend for the rings.
 *
 * The same targets run in two ways: linked with standalone.c, for the test suite, over the corpus and
 * random inputs; and with libFuzzer, which looks for inputs that execute new lines (`make fuzz`).
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A target may do as it likes with the descriptors below, standard ones excepted. */
enum { FUZZ_FIRST_FD = 1000 };

/* The bytes that decide. Behind the last one everything is 0. */
typedef struct FuzzInput {
    const uint8_t *next;
    size_t left;
} FuzzInput;

uint64_t fuzz_number(FuzzInput *input, unsigned n_bytes);

/* A number below `n`. */
unsigned fuzz_pick(FuzzInput *input, unsigned n);

/* True once in `n` times. */
bool fuzz_chance(FuzzInput *input, unsigned n);

/*
 * Appends a T-message that is valid in form but for chance: its type is any that wire.h knows, its
 * fids are of a few numbers, its names of a few names, most of them of files that exist now and then.
 */
void fuzz_message(FuzzInput *input, GByteArray *message);

/* The target. */
void fuzz_one(const uint8_t *bytes, size_t size);

#endif
