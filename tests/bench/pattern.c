/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pattern: see pattern.h. */
#include "tests/bench/pattern.h"

#include <string.h>

/* Four words at a time: gcc makes of this what the processor has. */
typedef uint64_t Words __attribute__((vector_size(32)));

enum { WORD = sizeof(uint64_t) };

void pattern_fill(void *to, size_t size, uint64_t offset)
{
    for (size_t at = 0; at < size; at += WORD) {
        uint64_t word = offset + at;

        memcpy((uint8_t *)to + at, &word, WORD);
    }
}

static bool copy_words(uint8_t *to, const uint8_t *from, size_t size, uint64_t offset)
{
    uint64_t wrong = 0;

    for (size_t at = 0; at < size; at += WORD) {
        uint64_t word;

        memcpy(&word, from + at, WORD);
        memcpy(to + at, &word, WORD);
        wrong |= word ^ (offset + at);
    }
    return wrong == 0;
}

#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
bool pattern_copy(void *to, const void *from, size_t size, uint64_t offset)
{
    size_t whole = size - size % sizeof(Words);
    Words expected = {offset, offset + 8, offset + 16, offset + 24};
    Words wrong = {0};

    for (size_t at = 0; at < whole; at += sizeof(Words)) {
        Words words;

        memcpy(&words, (const uint8_t *)from + at, sizeof(Words));
        memcpy((uint8_t *)to + at, &words, sizeof(Words));
        wrong |= words ^ expected;
        expected += sizeof(Words);
    }
    return (wrong[0] | wrong[1] | wrong[2] | wrong[3]) == 0 &&
           copy_words((uint8_t *)to + whole, (const uint8_t *)from + whole, size - whole,
                      offset + whole);
}
