/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps: the users, and the questions and short forms of suite.h. */
#include "tests/posix/steps.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>

enum {
    PAST = 1000000000,    /* 2001: no file is as old as that by itself */
    TICK_NSEC = 25000000, /* longer than the time between two values of a file's clock */
    LIST_MAX = 512,       /* entries that are looked at in one go */
};

const User root = {"root", 0, 0, 0, {0}};
const User alice = {"alice", ALICE_UID, ALICE_GID, 1, {STAFF_GID}};
const User bob = {"bob", BOB_UID, BOB_GID, 1, {STAFF_GID}};
const User carol = {"carol", CAROL_UID, CAROL_GID, 0, {0}};

static char *texts[64];
static unsigned n_texts;
static struct timespec noted_ctime;

/*
 * A case's directory
 */

static Entry *list(int fd, long *n)
{
    Entry *entries = malloc(LIST_MAX * sizeof(Entry));

    *n = entries ? CALL(getdents, fd, entries, LIST_MAX) : -ENOMEM;
    return entries;
}

static bool is_dots(const Entry *entry)
{
    return strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0;
}

static void remove_tree(const char *path);

static void remove_entry(const char *dir, const Entry *entry)
{
    char *path = NULL;

    if (is_dots(entry) || asprintf(&path, "%s/%s", dir, entry->name) < 0)
        return;
    if (CALL(unlink, path) == -EISDIR)
        remove_tree(path);
    free(path);
}

/* Removes what is in a directory, in rounds, since entries may be skipped when others go. */
static void remove_tree(const char *path)
{
    for (unsigned round = 0; round < 10 && CALL(rmdir, path) == -ENOTEMPTY; round++) {
        int fd = (int)CALL(open, path, O_RDONLY | O_DIRECTORY, 0);
        long n = 1;

        while (fd >= 0 && n > 0) {
            Entry *entries = list(fd, &n);

            for (long i = 0; i < n; i++)
                remove_entry(path, &entries[i]);
            free(entries);
        }
        CALL(close, fd);
    }
}

void steps_begin(const char *name)
{
    as(&root);
    with_umask(0);
    CALL(enter, "");
    remove_tree(name);
    EQ(0, CALL(mkdir, name, 0777));
    EQ(0, CALL(enter, name));
}

void steps_end(const char *name)
{
    struct stat st;

    as(&root);
    with_umask(0);
    driver->ops->close_all(driver);
    CALL(enter, "");
    remove_tree(name);
    EQ(-ENOENT, CALL(lstat, name, &st));
    while (n_texts > 0)
        free(texts[--n_texts]);
}

/*
 * Questions
 */

long mode_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)(st.st_mode & 07777);
}

long type_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)(st.st_mode & S_IFMT);
}

long uid_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_uid;
}

long gid_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_gid;
}

long size_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_size;
}

long n_links_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_nlink;
}

long same_file(const char *one, const char *other)
{
    struct stat a, b;
    long error = CALL(lstat, one, &a);

    if (!error)
        error = CALL(lstat, other, &b);
    return error ? error : a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

long atime_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_atim.tv_sec;
}

long atime_nsec_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : st.st_atim.tv_nsec;
}

long mtime_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : (long)st.st_mtim.tv_sec;
}

long mtime_nsec_of(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);

    return error ? error : st.st_mtim.tv_nsec;
}

long bytes_are(int fd, off_t offset, const char *text)
{
    size_t length = strlen(text);
    char bytes[4096];
    long got = CALL(pread, fd, bytes, length + 1, offset);

    return got < 0 ? got : got == (long)length && memcmp(bytes, text, length) == 0;
}

long content_is(const char *path, const char *text)
{
    long fd = CALL(open, path, O_RDONLY, 0);
    long result = fd < 0 ? fd : bytes_are((int)fd, 0, text);

    if (fd >= 0)
        CALL(close, (int)fd);
    return result;
}

long link_is(const char *path, const char *target)
{
    char text[4096];
    long got = CALL(readlink, path, text, sizeof(text));

    return got < 0 ? got : got == (long)strlen(target) && memcmp(text, target, (size_t)got) == 0;
}

/* Counts the entries called `name`, or all that are not dots for NULL. */
static long count_entries(const char *path, const char *name)
{
    long fd = CALL(open, path, O_RDONLY | O_DIRECTORY, 0);
    long count = 0;
    long n = 1;

    if (fd < 0)
        return fd;
    while (n > 0) {
        Entry *entries = list((int)fd, &n);

        for (long i = 0; i < n; i++)
            count += name ? strcmp(entries[i].name, name) == 0 : !is_dots(&entries[i]);
        free(entries);
    }
    CALL(close, (int)fd);
    return n < 0 ? n : count;
}

long n_entries(const char *path)
{
    return count_entries(path, NULL);
}

long has_entry(const char *path, const char *name)
{
    return count_entries(path, name);
}

/*
 * Short forms
 */

long write_text(const char *path, int flags, const char *text)
{
    long fd = CALL(open, path, O_WRONLY | flags, 0666);
    long put = fd < 0 ? fd : CALL(write, (int)fd, text, strlen(text));

    if (fd >= 0)
        CALL(close, (int)fd);
    return put;
}

long make_file(const char *path, mode_t mode)
{
    long put = write_text(path, O_CREAT | O_EXCL, "hello");

    return put < 0 ? put : CALL(chmod, path, mode);
}

long make_dir(const char *path, mode_t mode)
{
    long error = CALL(mkdir, path, 0700);

    return error ? error : CALL(chmod, path, mode);
}

long give(const char *path, const User *user, gid_t gid, mode_t mode)
{
    const User *now = suite_user();
    struct stat st;
    long error;

    driver->ops->become(driver, &root);
    error = CALL(lchown, path, user->uid, gid);
    if (!error)
        error = CALL(lstat, path, &st);
    if (!error && !S_ISLNK(st.st_mode))
        error = CALL(chmod, path, mode);
    driver->ops->become(driver, now);
    return error;
}

const char *text_of(char c, size_t length)
{
    char *text = malloc(length + 1);

    if (!text || n_texts == sizeof(texts) / sizeof(texts[0]))
        abort();
    memset(text, c, length);
    text[length] = '\0';
    texts[n_texts++] = text;
    return text;
}

const char *long_name(void)
{
    return text_of('n', NAME_MAX + 1);
}

const char *long_path(void)
{
    char *path = (char *)text_of('p', PATH_MAX);

    for (size_t i = 100; i < PATH_MAX; i += 100)
        path[i] = '/';
    return path;
}

const char *longest_path(const char *name)
{
    char *path = (char *)text_of('/', PATH_MAX - 1);

    path[0] = '.';
    memcpy(path + PATH_MAX - 1 - strlen(name), name, strlen(name));
    return path;
}

void path_errors_begin(void)
{
    EQ(0, make_file("file", 0644));
    EQ(0, make_dir("closed", 0700));
    IS(0, symlink, "loop", "loop");
}

LockRange posix_lock(short type, off_t start, off_t length)
{
    return (LockRange){.kind = LOCK_POSIX, .type = type, .start = start, .length = length};
}

LockRange opening_lock(short type, off_t start, off_t length)
{
    return (LockRange){.kind = LOCK_OPENING, .type = type, .start = start, .length = length};
}

LockRange whole_lock(short type)
{
    return (LockRange){.kind = LOCK_WHOLE_FILE, .type = type};
}

/*
 * Times
 */

const struct timespec *times(long atime, long atime_nsec, long mtime, long mtime_nsec)
{
    static struct timespec both[2];

    both[0] = (struct timespec){.tv_sec = atime, .tv_nsec = atime_nsec};
    both[1] = (struct timespec){.tv_sec = mtime, .tv_nsec = mtime_nsec};
    return both;
}

long age(const char *path)
{
    static const struct timespec past[2] = {{.tv_sec = PAST}, {.tv_sec = PAST}};
    const struct timespec tick = {.tv_nsec = TICK_NSEC};
    const User *now = suite_user();
    struct stat st;
    long error;

    driver->ops->become(driver, &root);
    error = CALL(lutimens, path, past);
    if (!error)
        error = CALL(lstat, path, &st);
    driver->ops->become(driver, now);
    if (error)
        return error;
    noted_ctime = st.st_ctim;
    if (driver->has & HAS_FINE_TIMES)
        nanosleep(&tick, NULL);
    return 0;
}

long moved(const char *path)
{
    struct stat st;
    long error = CALL(lstat, path, &st);
    long which = 0;

    if (error)
        return error;
    if (st.st_atim.tv_sec != PAST)
        which |= ATIME;
    if (st.st_mtim.tv_sec != PAST)
        which |= MTIME;
    if ((driver->has & HAS_FINE_TIMES) &&
        (st.st_ctim.tv_sec != noted_ctime.tv_sec || st.st_ctim.tv_nsec != noted_ctime.tv_nsec))
        which |= CTIME;
    return which;
}
