/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control client: asks the daemon on its control socket, as docs/control-protocol.md says.
 *
 * Functions fail the test when the daemon does not answer in time, or not as the protocol has it.
 */
#ifndef TESTS_DAEMON_CONTROL_H
#define TESTS_DAEMON_CONTROL_H

#include "tests/daemon/fixture.h"

/* The file name of the socket; to be freed with g_free(). */
char *control_socket(const Fixture *fixture);

/* A connection; the caller closes it. */
int control_connect(const Fixture *fixture);

void control_send(int fd, const void *bytes, size_t size);

/* Everything that comes until the other end hangs up. */
char *control_read_all(int fd);

/* The next line, without its end; NULL at the end. */
char *control_read_line(int fd);

/* Sends a request, without the end of the line, and returns the answer: text with all of it. */
char *control_ask(const Fixture *fixture, const char *request);

/* The records of a complete answer, each as it came; NULL-terminated. */
char **control_records(const char *answer);

/* The value of a field of a record, without escapes, or NULL. */
char *control_field(const char *record, const char *name);

/* The same as a number, which must be there. */
uint64_t control_number(const char *record, const char *name);

/* The first record of that kind, with that value of a field unless the name is NULL; or NULL. To be
 * freed with g_free(). */
char *control_find(char **records, const char *kind, const char *name, const char *value);

/* Asks and finds: a record that must be there. */
char *control_record(const Fixture *fixture, const char *request, const char *kind,
                     const char *name, const char *value);

/* The answer must be an error that says so. */
void control_expect_error(const Fixture *fixture, const char *request, const char *text);

#endif
