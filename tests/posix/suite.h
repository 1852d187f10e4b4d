/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Suite: how cases are written, run and recorded.
 *
 * A case is a function of steps. Each step is one operation of the driver, or a question that takes
 * several, with the result that POSIX or, where POSIX leaves it open, Linux gives it. A step that
 * ends otherwise is a failure, and the case goes on. Every step becomes one line of the transcript,
 * which so can be compared with that of another driver.
 *
 * A case starts as root with umask 0 in an empty directory that everybody may write to, and
 * leaves nothing behind: the suite closes what is open and removes the directory.
 */
#ifndef TESTS_POSIX_SUITE_H
#define TESTS_POSIX_SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/posix/driver.h"

/* Flags of cases: what they need, as HAS_ bits, and: */
enum { REPRESENTATIVE = 1 << 16 }; /* one of the few that together use every operation */

typedef struct Case {
    const char *file; /* __FILE__; its last part names the group */
    const char *name;
    unsigned flags;
    void (*run)(void);
    struct Case *next;
} Case;

void suite_add_case(Case *one);

/* CASE(name, flags) { steps } */
#define CASE(name, flags)                                                \
    static void name(void);                                              \
    static Case case_of_##name = {__FILE__, #name, (flags), name, NULL}; \
    static __attribute__((constructor)) void add_case_of_##name(void)    \
    {                                                                    \
        suite_add_case(&case_of_##name);                                 \
    }                                                                    \
    static void name(void)

/* What the cases are run against now. */
extern Driver *driver;

#define CALL(op, ...) ((long)driver->ops->op(driver, __VA_ARGS__))

/* The operation gives exactly this: a value, or a negative errno. */
#define IS(expected, op, ...) \
    suite_check(__LINE__, #op "(" #__VA_ARGS__ ")", (expected), CALL(op, __VA_ARGS__))

/* It gives one of two: POSIX names both. */
#define IS_EITHER(one, other, op, ...) \
    suite_check_either(__LINE__, #op "(" #__VA_ARGS__ ")", (one), (other), CALL(op, __VA_ARGS__))

/* POSIX says nothing: it is only recorded, to be the same elsewhere. */
#define SHOW(op, ...) suite_record(#op "(" #__VA_ARGS__ ")", CALL(op, __VA_ARGS__))

/* The operation gives a file descriptor, which is the macro's value. */
#define FD(op, ...) suite_take_fd(__LINE__, #op "(" #__VA_ARGS__ ")", CALL(op, __VA_ARGS__))

/* The same for an expression. */
#define EQ(expected, expression) suite_check(__LINE__, #expression, (expected), (expression))

void suite_check(int line, const char *step, long expected, long got);
void suite_check_either(int line, const char *step, long one, long other, long got);
void suite_record(const char *step, long got);
int suite_take_fd(int line, const char *step, long got);

/* Users. staff is a supplementary group of alice and of bob. */
enum {
    ALICE_UID = 10001,
    BOB_UID = 10002,
    CAROL_UID = 10003,
    ALICE_GID = 20001,
    BOB_GID = 20002,
    CAROL_GID = 20003,
    STAFF_GID = 30001,
    OTHER_GID = 30002, /* nobody's */
};
extern const User root, alice, bob, carol;

/* Who takes the next steps. */
void as(const User *user);
void with_umask(mode_t mask);

/*
 * Questions and short forms. All return a value or a negative errno.
 */

/* Of the file itself, also if it is a symbolic link. mode_of() is the permissions alone. */
long mode_of(const char *path);
long type_of(const char *path);
long uid_of(const char *path);
long gid_of(const char *path);
long size_of(const char *path);
long n_links_of(const char *path);
long same_file(const char *one, const char *other);

/* Make a file that contains "hello", or a directory, with exactly this mode whatever the umask. */
long make_file(const char *path, mode_t mode);
long make_dir(const char *path, mode_t mode);

/* As root, whoever acts: gives it away, and sets the mode. */
long give(const char *path, const User *user, gid_t gid, mode_t mode);

/* Whether the content is `text`. */
long content_is(const char *path, const char *text);
long bytes_are(int fd, off_t offset, const char *text);

/* Appends or writes a text through a new descriptor. */
long write_text(const char *path, int flags, const char *text);

/* Whether readlink() gives `target`. */
long link_is(const char *path, const char *target);

/* How many entries a directory has, "." and ".." not counted; whether it has this one. */
long n_entries(const char *path);
long has_entry(const char *path, const char *name);

/* Sets access and modification time to a past moment, and lets so much time pass that a change of
 * the ctime can be seen. moved() says which of these three are no longer as they were then. */
enum { ATIME = 1, MTIME = 2, CTIME = 4 };
long age(const char *path);
long moved(const char *path);

/* The times of a file, in seconds or the nanoseconds beside them. */
long atime_of(const char *path);
long atime_nsec_of(const char *path);
long mtime_of(const char *path);
long mtime_nsec_of(const char *path);

/* What utimensat() takes; valid until the next call. */
const struct timespec *times(long atime, long atime_nsec, long mtime, long mtime_nsec);

/* A text of `length` times `c`; kept until the case ends. */
const char *text_of(char c, size_t length);

/* A name and a path that are one byte too long, and a path of the greatest length that leads to
 * `name` in the case's directory. */
const char *long_name(void);
const char *long_path(void);
const char *longest_path(const char *name);

/* What path_errors_begin() makes is there for PATH_ERRORS(): the errors that every call gives that
 * takes a path, which is the first argument. */
void path_errors_begin(void);
#define PATH_ERRORS(op, ...)                                           \
    do {                                                               \
        path_errors_begin();                                           \
        IS(-ENOENT, op, "none/f" __VA_OPT__(, ) __VA_ARGS__);          \
        IS(-ENOENT, op, "" __VA_OPT__(, ) __VA_ARGS__);                \
        IS(-ENOTDIR, op, "file/f" __VA_OPT__(, ) __VA_ARGS__);         \
        IS(-ENAMETOOLONG, op, long_name() __VA_OPT__(, ) __VA_ARGS__); \
        IS(-ENAMETOOLONG, op, long_path() __VA_OPT__(, ) __VA_ARGS__); \
        IS(-ELOOP, op, "loop/f" __VA_OPT__(, ) __VA_ARGS__);           \
        as(&alice);                                                    \
        IS(-EACCES, op, "closed/f" __VA_OPT__(, ) __VA_ARGS__);        \
        as(&root);                                                     \
    } while (0)

/* Locks. */
LockRange posix_lock(short type, off_t start, off_t length);
LockRange opening_lock(short type, off_t start, off_t length);
LockRange whole_lock(short type);

/*
 * Running
 */

typedef struct SuiteOptions {
    const char *label; /* in front of the names of cases, or "" */
    const char *only;  /* a group, a case, or NULL */
    bool representative;
    bool possible;           /* leave out what the driver cannot do, instead of skipping it */
    bool quiet;              /* failures and a summary, no TAP */
    FILE *transcript;        /* or NULL */
    const char *differences; /* a file of known differences, or NULL */
    const char *tags;        /* what of it counts, see differences.h */
} SuiteOptions;

/* Takes --tap, --quiet, --representative, --only, --transcript, --differences and --as out of the
 * arguments. Returns the index of the first other one, or -1 when something is wrong. */
int suite_parse_options(int argc, char **argv, SuiteOptions *options);
extern const char suite_usage[];

/* Runs the cases in `on`, in the order of their names. Returns an exit status. */
int suite_run(Driver *on, const SuiteOptions *options);

/* Ends the output of one or several runs. */
void suite_finish(const SuiteOptions *options);

#endif
