/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocking fs, inside: what the test's side (blocking_fs.c) and the server (blocking_server.c) say to
 * each other, over a socket that keeps messages apart. Each command is answered.
 */
#ifndef TESTS_LIB_BLOCKING_INTERNAL_H
#define TESTS_LIB_BLOCKING_INTERNAL_H

#include <stdint.h>

#include "tests/lib/blocking_fs.h"

typedef enum CommandType {
    COMMAND_COUNT,
    COMMAND_HANG,
    COMMAND_RELEASE,
    COMMAND_FAIL,
} CommandType;

typedef struct Command {
    CommandType type;
    uint32_t opcode;
    BlockingMode mode; /* of COMMAND_HANG */
    uint32_t n_pass;   /* likewise, and of COMMAND_FAIL */
    int32_t error;     /* of COMMAND_RELEASE and COMMAND_FAIL */
} Command;

typedef struct Answer {
    uint32_t n_hanging; /* of that opcode */
    uint32_t n_done;    /* likewise */
    uint32_t n_interrupted;
} Answer;

/* Serves until the file system is unmounted or the test is gone. */
void blocking_serve(int fuse_fd, int command_fd);

#endif
