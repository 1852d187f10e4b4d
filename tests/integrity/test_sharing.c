/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two guests and the host share one directory: locks exclude all of them from each other, records
 * that they append stay whole, and when they race for a name the end is one that POSIX allows.
 */
#include "tests/daemon/fixture.h"
#include "tests/daemon/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAG = GUEST_TAG, FILE_FID = 10, DIR_FID = 11, OTHER_FID = 12, N_PARTIES = 3, HOST = 2 };

static Guest *start_guest(const Fixture *fixture, uint32_t domid)
{
    FrontendDevice device = frontend_linux(domid, fixture->export);

    device.order = 4;
    device.msize = 8192;
    return guest_start(&device);
}

static char *host_path(const Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->export, name, NULL);
}

static int host_open(const Fixture *fixture, const char *name, int flags)
{
    g_autofree char *path = host_path(fixture, name);
    int fd = open(path, flags | O_CLOEXEC, 0666);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* A file of the host that a guest then has open. */
static void open_in_guest(Guest *g, const char *name, uint32_t flags)
{
    g_assert_cmpint(guest_walk(g, GUEST_ROOT, FILE_FID, name), ==, 0);
    g_assert_cmpint(guest_open(g, FILE_FID, flags), ==, 0);
}

/*
 * Locks
 */

/* Returns the status of Rlock. */
static uint8_t guest_lock(Guest *g, int type, uint32_t flags, uint64_t start, uint64_t length)
{
    uint8_t status;

    g_assert_cmpint(frontend_call(g->frontend,
                                  p9_build(P9_TLOCK, TAG, "dbdqqds", FILE_FID, type, flags, start,
                                           length, 42U, "guest"),
                                  "b", &status),
                    ==, 0);
    return status;
}

/* Returns the type of lock that is in the way. */
static uint8_t guest_getlock(Guest *g, int type, uint64_t start, uint64_t length)
{
    uint8_t found;

    g_assert_cmpint(frontend_call(g->frontend,
                                  p9_build(P9_TGETLOCK, TAG, "dbqqds", FILE_FID, type, start,
                                           length, 42U, "guest"),
                                  "bqqds", &found, NULL, NULL, NULL, NULL),
                    ==, 0);
    return found;
}

static int host_lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = {.l_type = type, .l_start = start, .l_len = length};

    return fcntl(fd, command, &lock) == 0 ? 0 : errno;
}

static void test_ranges(Fixture *fixture, const void *data)
{
    Guest *one = start_guest(fixture, 1);
    Guest *two = start_guest(fixture, 2);
    int fd = host_open(fixture, "hello", O_RDWR);

    (void)data;
    open_in_guest(one, "hello", P9_L_RDWR);
    open_in_guest(two, "hello", P9_L_RDWR);
    g_assert_cmpuint(guest_lock(one, P9_LOCK_WRITE, 0, 100, 100), ==, P9_LOCK_GRANTED);
    g_assert_cmpint(host_lock(fd, F_OFD_SETLK, F_RDLCK, 150, 1), ==, EAGAIN);
    g_assert_cmpint(host_lock(fd, F_SETLK, F_WRLCK, 199, 10), ==, EAGAIN);
    g_assert_cmpint(host_lock(fd, F_OFD_SETLK, F_WRLCK, 200, 100), ==, 0);
    g_assert_cmpuint(guest_lock(two, P9_LOCK_READ, 0, 250, 1), ==, P9_LOCK_BLOCKED);
    g_assert_cmpuint(guest_lock(two, P9_LOCK_READ, 0, 150, 1), ==, P9_LOCK_BLOCKED);
    g_assert_cmpuint(guest_getlock(two, P9_LOCK_READ, 150, 1), ==, P9_LOCK_WRITE);
    g_assert_cmpuint(guest_getlock(two, P9_LOCK_READ, 250, 1), ==, P9_LOCK_WRITE);
    g_assert_cmpuint(guest_getlock(two, P9_LOCK_READ, 0, 100), ==, P9_LOCK_NONE);
    g_assert_cmpuint(guest_lock(two, P9_LOCK_WRITE, 0, 0, 100), ==, P9_LOCK_GRANTED);
    g_assert_cmpint(host_lock(fd, F_OFD_SETLK, F_RDLCK, 0, 1), ==, EAGAIN);

    /* What a guest held goes with it, and what the host held with its unlock. */
    guest_end(one);
    g_assert_cmpuint(guest_lock(two, P9_LOCK_WRITE, P9_LOCK_WAIT, 150, 1), ==, P9_LOCK_GRANTED);
    g_assert_cmpint(host_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0), ==, 0);
    g_assert_cmpuint(guest_lock(two, P9_LOCK_WRITE, P9_LOCK_WAIT, 200, 100), ==, P9_LOCK_GRANTED);
    close(fd);
    guest_end(two);
}

enum { COUNTER_ROUNDS = 25 };

/* Counts in a file, under its lock: nobody's step may be lost. */
static void *count_as_guest(void *data)
{
    Guest *g = data;

    for (unsigned i = 0; i < COUNTER_ROUNDS; i++) {
        uint32_t value, done;

        while (guest_lock(g, P9_LOCK_WRITE, P9_LOCK_WAIT, 0, 0) != P9_LOCK_GRANTED) {
        }
        g_assert_cmpint(guest_read(g, FILE_FID, 0, &value, sizeof(value), 0, &done), ==, 0);
        g_assert_cmpuint(done, ==, sizeof(value));
        value++;
        g_assert_cmpint(guest_write(g, FILE_FID, 0, &value, sizeof(value), 0), ==, 0);
        g_assert_cmpuint(guest_lock(g, P9_LOCK_NONE, 0, 0, 0), ==, P9_LOCK_GRANTED);
    }
    return NULL;
}

/* The same on the host; `command` is F_SETLKW or F_OFD_SETLKW. Returns false when anything fails:
 * it also runs in a child that must not do more than system calls. */
static bool count_as_host(int fd, int command)
{
    for (unsigned i = 0; i < COUNTER_ROUNDS; i++) {
        uint32_t value;

        if (host_lock(fd, command, F_WRLCK, 0, 0) != 0 ||
            pread(fd, &value, sizeof(value), 0) != sizeof(value))
            return false;
        value++;
        if (pwrite(fd, &value, sizeof(value), 0) != sizeof(value) ||
            host_lock(fd, command, F_UNLCK, 0, 0) != 0)
            return false;
    }
    return true;
}

static void test_counter(Fixture *fixture, const void *data)
{
    Guest *guests[2] = {start_guest(fixture, 1), start_guest(fixture, 2)};
    int fd = host_open(fixture, "counter", O_RDWR | O_CREAT);
    uint32_t value = 0;
    pthread_t threads[2];
    pid_t child;
    int status;

    (void)data;
    g_assert_cmpint(pwrite(fd, &value, sizeof(value), 0), ==, sizeof(value));
    for (unsigned i = 0; i < 2; i++)
        open_in_guest(guests[i], "counter", P9_L_RDWR);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0)
        _exit(count_as_host(fd, F_SETLKW) ? 0 : 1);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, count_as_guest, guests[i]), ==, 0);
    g_assert_true(count_as_host(fd, F_OFD_SETLKW));
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(pread(fd, &value, sizeof(value), 0), ==, sizeof(value));
    g_assert_cmpuint(value, ==, 4 * COUNTER_ROUNDS);
    close(fd);
    for (unsigned i = 0; i < 2; i++)
        guest_end(guests[i]);
}

/*
 * Appending
 */

enum { N_RECORDS = 400, MAX_RECORD = 3000 };

typedef struct Record {
    uint32_t party;
    uint32_t number;
    uint32_t size; /* with this header; the rest are bytes of value party + number */
} Record;

typedef struct Appender {
    uint32_t party;
    Guest *guest; /* NULL for the host */
    int fd;
} Appender;

static void *append_records(void *data)
{
    const Appender *a = data;
    uint8_t bytes[MAX_RECORD];

    for (uint32_t i = 0; i < N_RECORDS; i++) {
        Record record = {a->party, i, (uint32_t)sizeof(Record) + i * 131 % 2900};

        memset(bytes, (int)(a->party + i) & 0xff, sizeof(bytes));
        memcpy(bytes, &record, sizeof(record));
        if (a->guest)
            g_assert_cmpint(guest_write(a->guest, FILE_FID, 0, bytes, record.size, 0), ==, 0);
        else
            g_assert_cmpint(write(a->fd, bytes, record.size), ==, (ssize_t)record.size);
    }
    return NULL;
}

/* The file is made of whole records, each party's in its order. */
static void check_records(const char *path)
{
    g_autofree char *text = NULL;
    uint32_t next[N_PARTIES] = {0};
    gsize size, at = 0;

    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    while (at < size) {
        Record record;

        g_assert_cmpuint(size - at, >=, sizeof(record));
        memcpy(&record, text + at, sizeof(record));
        g_assert_cmpuint(record.party, <, N_PARTIES);
        g_assert_cmpuint(record.number, ==, next[record.party]++);
        g_assert_cmpuint(record.size, <=, size - at);
        for (gsize i = sizeof(record); i < record.size; i++)
            g_assert_cmpuint((uint8_t)text[at + i], ==, (record.party + record.number) & 0xff);
        at += record.size;
    }
    for (unsigned i = 0; i < N_PARTIES; i++)
        g_assert_cmpuint(next[i], ==, N_RECORDS);
}

static void test_appends(Fixture *fixture, const void *data)
{
    g_autofree char *path = host_path(fixture, "log");
    Appender appenders[N_PARTIES];
    pthread_t threads[N_PARTIES];

    (void)data;
    appenders[HOST] =
        (Appender){.party = HOST, .fd = host_open(fixture, "log", O_WRONLY | O_CREAT | O_APPEND)};
    for (uint32_t i = 0; i < HOST; i++) {
        appenders[i] = (Appender){.party = i, .guest = start_guest(fixture, 1 + i)};
        open_in_guest(appenders[i].guest, "log", P9_L_WRONLY | P9_L_APPEND);
    }
    for (unsigned i = 0; i < N_PARTIES; i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, append_records, &appenders[i]), ==, 0);
    for (unsigned i = 0; i < N_PARTIES; i++)
        pthread_join(threads[i], NULL);
    check_records(path);
    close(appenders[HOST].fd);
    for (unsigned i = 0; i < HOST; i++)
        guest_end(appenders[i].guest);
}

/*
 * Races for names
 */

typedef enum Verb { CREATE, MKDIR, LINK, RENAME, UNLINK, RMDIR } Verb;

typedef struct Step {
    Verb verb;
    const char *from, *to; /* `to` for LINK and RENAME; at most one folder deep */
} Step;

/* What three parties do at once, from which state, and whether they may end where they did.
 * `results` are 0 or an errno. */
typedef struct Race {
    const char *name;
    const char *files; /* there before; folders end with a slash */
    Step steps[N_PARTIES];
    void (*check)(const char *folder, const int results[N_PARTIES]);
} Race;

static bool file_exists(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat st;

    return lstat(path, &st) == 0;
}

static unsigned count_links(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat st;

    return lstat(path, &st) == 0 ? (unsigned)st.st_nlink : 0;
}

static unsigned count_results(const int results[N_PARTIES], int result)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_PARTIES; i++)
        n += results[i] == result;
    return n;
}

/* One party has done it; for the others it was too late. */
static void check_one_winner(const int results[N_PARTIES], int too_late)
{
    g_assert_cmpuint(count_results(results, 0), ==, 1);
    g_assert_cmpuint(count_results(results, too_late), ==, N_PARTIES - 1);
}

static void check_unlink(const char *folder, const int results[N_PARTIES])
{
    check_one_winner(results, ENOENT);
    g_assert_false(file_exists(folder, "x"));
}

static void check_rename_away(const char *folder, const int results[N_PARTIES])
{
    static const char *const targets[] = {"t0", "t1", "t2"};

    check_one_winner(results, ENOENT);
    g_assert_false(file_exists(folder, "x"));
    for (unsigned i = 0; i < N_PARTIES; i++)
        g_assert_true(file_exists(folder, targets[i]) == (results[i] == 0));
}

static void check_rename_onto(const char *folder, const int results[N_PARTIES])
{
    g_assert_cmpuint(count_results(results, 0), ==, N_PARTIES);
    g_assert_cmpuint(count_links(folder, "t"), ==, 1);
    g_assert_false(file_exists(folder, "s0") || file_exists(folder, "s1") ||
                   file_exists(folder, "s2"));
}

static void check_link(const char *folder, const int results[N_PARTIES])
{
    check_one_winner(results, EEXIST);
    g_assert_cmpuint(count_links(folder, "x"), ==, 2);
    g_assert_cmpuint(count_links(folder, "y"), ==, 2);
}

static void check_create(const char *folder, const int results[N_PARTIES])
{
    check_one_winner(results, EEXIST);
    g_assert_true(file_exists(folder, "x"));
}

/* Either the folder went first and nothing was made in it, or it stays. */
static void check_rmdir(const char *folder, const int results[N_PARTIES])
{
    if (results[0] == 0) {
        g_assert_cmpint(results[1], ==, ENOENT);
        g_assert_cmpint(results[2], ==, ENOENT);
        g_assert_false(file_exists(folder, "d"));
        return;
    }
    g_assert_cmpint(results[0], ==, ENOTEMPTY);
    g_assert_cmpint(results[1], ==, 0);
    g_assert_cmpint(results[2], ==, 0);
    g_assert_true(file_exists(folder, "d/f") && file_exists(folder, "d/g"));
}

/* The file has the names that it was given, and its old one went once. */
static void check_mixed(const char *folder, const int results[N_PARTIES])
{
    unsigned n_names = (results[0] == 0 ? 1U : 0U) + (results[2] == 0 ? 1U : 0U);

    g_assert_cmpint((results[0] == 0) + (results[1] == 0), ==, 1);
    g_assert_cmpuint(count_results(results, 0) + count_results(results, ENOENT), ==, N_PARTIES);
    g_assert_false(file_exists(folder, "x"));
    g_assert_cmpuint(count_links(folder, "y"), ==, results[0] == 0 ? n_names : 0);
    g_assert_cmpuint(count_links(folder, "z"), ==, results[2] == 0 ? n_names : 0);
}

/* No folder gets below itself. */
static void check_loop(const char *folder, const int results[N_PARTIES])
{
    g_assert_cmpint((results[0] == 0) + (results[1] == 0), ==, 1);
    g_assert_true(file_exists(folder, results[0] == 0 ? "b/a" : "a/b"));
    for (unsigned i = 0; i < 2; i++)
        g_assert_true(results[i] == 0 || results[i] == ENOENT || results[i] == EINVAL);
    g_assert_true(results[2] == 0 || results[2] == ENOENT);
}

static const Race races[] = {
    {"unlink", "x", {{UNLINK, "x", NULL}, {UNLINK, "x", NULL}, {UNLINK, "x", NULL}}, check_unlink},
    {"rename-away",
     "x",
     {{RENAME, "x", "t0"}, {RENAME, "x", "t1"}, {RENAME, "x", "t2"}},
     check_rename_away},
    {"rename-onto",
     "s0 s1 s2",
     {{RENAME, "s0", "t"}, {RENAME, "s1", "t"}, {RENAME, "s2", "t"}},
     check_rename_onto},
    {"link", "x", {{LINK, "x", "y"}, {LINK, "x", "y"}, {LINK, "x", "y"}}, check_link},
    {"create", "", {{CREATE, "x", NULL}, {CREATE, "x", NULL}, {CREATE, "x", NULL}}, check_create},
    {"mkdir", "", {{MKDIR, "x", NULL}, {MKDIR, "x", NULL}, {CREATE, "x", NULL}}, check_create},
    {"rmdir", "d/", {{RMDIR, "d", NULL}, {CREATE, "d/f", NULL}, {MKDIR, "d/g", NULL}}, check_rmdir},
    {"mixed", "x", {{RENAME, "x", "y"}, {UNLINK, "x", NULL}, {LINK, "x", "z"}}, check_mixed},
    {"loop",
     "a/ b/",
     {{RENAME, "a", "b/a"}, {RENAME, "b", "a/b"}, {MKDIR, "b/c", NULL}},
     check_loop},
};

/* One who races. Each round its step is told by the one who judges, between two barriers. */
typedef struct Party {
    Guest *guest; /* NULL for the host */
    const char *folder;
    pthread_barrier_t *barrier;
    const Step *step; /* NULL: the end */
    int result;
} Party;

/* Walks to the folder that `name` is in, as `fid`. Returns what is left of the name. */
static int walk_to_folder(Guest *g, uint32_t fid, const char *name, const char **last)
{
    const char *slash = strchr(name, '/');
    g_autofree char *first = slash ? g_strndup(name, (gsize)(slash - name)) : g_strdup("");
    g_autofree char *path = g_strdup_printf("races%s%s", slash ? "/" : "", first);

    *last = slash ? slash + 1 : name;
    return guest_walk(g, GUEST_ROOT, fid, path);
}

static int step_in_folders(Guest *g, const Step *step, const char *from, const char *to)
{
    int error = 0;

    switch (step->verb) {
    case CREATE:
        return guest_create(g, DIR_FID, from, P9_L_RDWR | P9_L_EXCL, 0644);
    case LINK:
        error = guest_walk(g, DIR_FID, FILE_FID, from);
        if (error == 0)
            error = frontend_call(g->frontend, p9_tlink(TAG, OTHER_FID, FILE_FID, to), "");
        break;
    case MKDIR:
        error = frontend_call(g->frontend, p9_tmkdir(TAG, DIR_FID, from, 0755, 0), "Q", NULL);
        break;
    case RENAME:
        error = frontend_call(g->frontend, p9_trenameat(TAG, DIR_FID, from, OTHER_FID, to), "");
        break;
    case UNLINK:
        error = frontend_call(g->frontend, p9_tunlinkat(TAG, DIR_FID, from, 0), "");
        break;
    case RMDIR:
        error = frontend_call(g->frontend, p9_tunlinkat(TAG, DIR_FID, from, P9_REMOVEDIR), "");
        break;
    }
    return guest_check(g, error);
}

static int step_as_guest(Guest *g, const Step *step)
{
    const char *from, *to = NULL;
    int error = walk_to_folder(g, DIR_FID, step->from, &from);

    if (error == 0 && step->to)
        error = walk_to_folder(g, OTHER_FID, step->to, &to);
    if (error == 0)
        error = step_in_folders(g, step, from, to);
    for (uint32_t fid = FILE_FID; fid <= OTHER_FID; fid++)
        guest_clunk(g, fid);
    return error;
}

static int step_as_host(const char *folder, const Step *step)
{
    g_autofree char *from = g_build_filename(folder, step->from, NULL);
    g_autofree char *to = g_build_filename(folder, step->to ? step->to : "", NULL);
    int result = -1;

    switch (step->verb) {
    case CREATE:
        result = open(from, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (result >= 0)
            result = close(result);
        break;
    case MKDIR:
        result = mkdir(from, 0755);
        break;
    case LINK:
        result = link(from, to);
        break;
    case RENAME:
        result = rename(from, to);
        break;
    case UNLINK:
        result = unlink(from);
        break;
    case RMDIR:
        result = rmdir(from);
        break;
    }
    return result == 0 ? 0 : errno;
}

static void *run_party(void *data)
{
    Party *p = data;

    for (;;) {
        pthread_barrier_wait(p->barrier);
        if (p->step == NULL)
            return NULL;
        p->result = p->guest ? step_as_guest(p->guest, p->step) : step_as_host(p->folder, p->step);
        pthread_barrier_wait(p->barrier);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void prepare(const char *folder, const char *files)
{
    g_auto(GStrv) names = g_strsplit(files, " ", -1);

    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    g_assert_no_errno(mkdir(folder, 0755));
    for (char **name = names; *name && **name; name++) {
        g_autofree char *path = g_build_filename(folder, *name, NULL);

        if (g_str_has_suffix(*name, "/"))
            g_assert_no_errno(mkdir(path, 0755));
        else
            g_assert_true(g_file_set_contents(path, *name, -1, NULL));
    }
}

/* Every party has every part once in three rounds. */
static void run_race(const Race *race, Party parties[N_PARTIES], unsigned n_rounds)
{
    for (unsigned round = 0; round < n_rounds; round++) {
        int results[N_PARTIES];

        prepare(parties[HOST].folder, race->files);
        for (unsigned i = 0; i < N_PARTIES; i++)
            parties[i].step = &race->steps[(i + round) % N_PARTIES];
        pthread_barrier_wait(parties[0].barrier);
        pthread_barrier_wait(parties[0].barrier);
        for (unsigned i = 0; i < N_PARTIES; i++)
            results[(i + round) % N_PARTIES] = parties[i].result;
        g_test_message("%s: %d %d %d", race->name, results[0], results[1], results[2]);
        race->check(parties[HOST].folder, results);
    }
}

static void test_races(Fixture *fixture, const void *data)
{
    g_autofree char *folder = host_path(fixture, "races");
    Party parties[N_PARTIES];
    pthread_t threads[N_PARTIES];
    pthread_barrier_t barrier;

    (void)data;
    pthread_barrier_init(&barrier, NULL, N_PARTIES + 1);
    for (uint32_t i = 0; i < N_PARTIES; i++) {
        parties[i] = (Party){.folder = folder, .barrier = &barrier};
        if (i != HOST)
            parties[i].guest = start_guest(fixture, 1 + i);
        g_assert_cmpint(pthread_create(&threads[i], NULL, run_party, &parties[i]), ==, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(races); i++)
        run_race(&races[i], parties, g_test_slow() ? 1200 : 15);
    for (unsigned i = 0; i < N_PARTIES; i++)
        parties[i].step = NULL;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < N_PARTIES; i++) {
        pthread_join(threads[i], NULL);
        if (parties[i].guest)
            guest_end(parties[i].guest);
    }
    pthread_barrier_destroy(&barrier);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/sharing/ranges", test_ranges);
    FIXTURE_TEST("/sharing/counter", test_counter);
    FIXTURE_TEST("/sharing/appends", test_appends);
    FIXTURE_TEST("/sharing/races", test_races);
    return g_test_run();
}
