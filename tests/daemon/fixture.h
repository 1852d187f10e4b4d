/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fixture: a stand-in with domains 1 to 3 and the unmodified daemon running in it, for one test.
 * set_up and tear_down have the shape that g_test_add() wants; tear_down also checks that the
 * daemon ends as it should and takes its node with it.
 *
 * A function named expect fails the test when what it waits for does not come within 20 s.
 */
#ifndef TESTS_DAEMON_FIXTURE_H
#define TESTS_DAEMON_FIXTURE_H

#include "tests/daemon/slot.h"
#include "tests/standin/standin.h"

#define DAEMON_FOLDER "/local/domain/0/libxl/xen-9pfs"

typedef struct Fixture {
    StandinDaemon *daemon;
    struct xs_handle *xs; /* domain 0's own connection */
    char *export;         /* a directory with the file "hello", which says hello */
} Fixture;

/* `options` are the daemon's, NULL-terminated, or NULL. */
void fixture_set_up(Fixture *fixture, const void *options);
void fixture_tear_down(Fixture *fixture, const void *options);

#define FIXTURE_TEST(name, function) \
    g_test_add(name, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

/* Only the stand-in and the export, for a test that starts daemons by itself. */
void fixture_open(Fixture *fixture);
void fixture_close(Fixture *fixture);

/* The file name of the daemon that runs. */
char *fixture_program(const Fixture *fixture);

/* Writes a node as domain 0; NULL removes it. */
void fixture_write(const Fixture *fixture, const char *path, const char *value);
bool fixture_exists(const Fixture *fixture, const char *path);

/* Ends the supervisor with `number` and checks that it ends cleanly; or kills it. The workers go
 * on. Then starts the next, with workers and devices as they are. */
void fixture_end_supervisor(Fixture *fixture, int number);
void fixture_kill_supervisor(Fixture *fixture);
void fixture_start_supervisor(Fixture *fixture);

/* Waits until the daemon has so many workers. */
void expect_workers(const Fixture *fixture, unsigned expected);

void expect_log(const Fixture *fixture, const char *text);

/* How often `text` is in the log. */
unsigned count_log(const Fixture *fixture, const char *text);

/* What the daemon holds, of its system and of Xen: to find what it has not given back. */
typedef struct Footprint {
    unsigned descriptors;  /* of the supervisor */
    unsigned processes;    /* its children, those that nobody has waited for included */
    unsigned handles;      /* of domain 0, on the Xen libraries */
    unsigned ports;        /* of domain 0 */
    unsigned watches;      /* likewise */
    unsigned transactions; /* likewise */
    unsigned nodes;        /* in xenstore */
} Footprint;

/* At rest, once a device of domain 1 has come and gone, which leaves folders of the toolstack's in
 * xenstore. */
Footprint fixture_footprint(const Fixture *fixture);

/* As it is now. */
Footprint fixture_look(const Fixture *fixture);

/* Waits until the footprint is `expected`. */
void expect_footprint(const Fixture *fixture, const Footprint *expected);

/* How many descriptors a process has. */
unsigned count_descriptors(pid_t pid);

/* How many threads a process has. */
unsigned count_threads(pid_t pid);

/* The processes that `pid`, of one thread that starts any, has started. To be freed with g_array_unref(). */
GArray *list_processes(pid_t pid);

/* The process id of the worker that connected last for the device of `slot`. */
pid_t last_worker(const Fixture *fixture, const Slot *slot);

/* A device of kind xen_9pfs, for the fixture's export, whose frontend has connected. */
Slot *connected_slot(const Fixture *fixture, uint32_t domid, uint32_t devid);

/* The same for `path`, and with more nodes of the backend's unless that is NULL. */
Slot *connected_to(const char *path, uint32_t domid, uint32_t devid, const FrontendNode *nodes);

/* Makes another export, with the same file, for a device that is to notice nothing. To be freed with
 * g_free(). */
char *other_export(void);

/* The same on a disk, where making a file takes a thread; the stand-in's folder may be in memory. Whoever
 * makes it removes it, with all that is in it: a file `hello`, and what the test has made. */
char *disk_export(void);

/* Checks that the device is served: the file can be read. */
void check_serves(Slot *slot);

/* The device has closed after these states, and has said why in the log, once, and in its error
 * node. */
void expect_refused(const Fixture *fixture, Slot *slot, const char *history, const char *reason);

/* Removes the device the polite way, checks that nothing is left of it, and frees the slot. */
void finish(const Fixture *fixture, Slot *slot);

/* Has the toolstack delete the device at once, checks the same, and frees the slot. */
void finish_forced(const Fixture *fixture, Slot *slot);

#endif
