/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host: the driver that makes system calls below a directory, and the program posix-suite.
 *
 * The program is one thread, which changes its effective ids to become somebody: the kernel then
 * gives and takes capabilities as it does for a process of that user. The second process of the
 * cases about locks is a child, told what to do through a pair of sockets.
 */
#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/posix/suite.h"

enum { MAX_FD = 256 };

typedef enum PeerAction { PEER_OPEN, PEER_CLOSE, PEER_CLOSE_ALL, PEER_LOCK, PEER_TEST } PeerAction;

/* What the second process is asked to do. */
typedef struct PeerCall {
    PeerAction action;
    int fd; /* or flags of open() */
    bool waits;
    LockRange range;
    char path[512];
} PeerCall;

typedef struct Host {
    Driver base;
    int base_fd;
    const User *user;
    int peer_socket; /* -1 while there is no second process */
    pid_t peer;
} Host;

static long result(long returned)
{
    return returned < 0 ? -errno : returned;
}

static Host *count(Driver *d)
{
    d->n_operations++;
    return (Host *)d;
}

/*
 * Who and where
 */

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void host_become(Driver *d, const User *user)
{
    Host *h = (Host *)d;

    if (setresuid((uid_t)-1, 0, (uid_t)-1) != 0 || setgroups(user->n_groups, user->groups) != 0 ||
        setresgid((gid_t)-1, user->gid, (gid_t)-1) != 0 ||
        setresuid((uid_t)-1, user->uid, (uid_t)-1) != 0)
        die("becoming another user");
    h->user = user;
}

static void host_set_umask(Driver *d, mode_t mask)
{
    (void)d;
    umask(mask);
}

static long host_enter(Driver *d, const char *dir)
{
    Host *h = count(d);

    if (fchdir(h->base_fd) != 0)
        return -errno;
    return dir[0] ? result(chdir(dir)) : 0;
}

/*
 * Files
 */

/* Descriptors below MAX_FD are the cases'; those of the program are above. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, MAX_FD);

    if (moved < 0)
        die("duplicating a descriptor");
    close(fd);
    return moved;
}

static long host_open(Driver *d, const char *path, int flags, mode_t mode)
{
    count(d);
    return result(open(path, flags | O_CLOEXEC, mode));
}

static long host_close(Driver *d, int fd)
{
    count(d);
    return result(close(fd));
}

static long host_read(Driver *d, int fd, void *bytes, size_t size)
{
    count(d);
    return result(read(fd, bytes, size));
}

static long host_write(Driver *d, int fd, const void *bytes, size_t size)
{
    count(d);
    return result(write(fd, bytes, size));
}

static long host_pread(Driver *d, int fd, void *bytes, size_t size, off_t offset)
{
    count(d);
    return result(pread(fd, bytes, size, offset));
}

static long host_pwrite(Driver *d, int fd, const void *bytes, size_t size, off_t offset)
{
    count(d);
    return result(pwrite(fd, bytes, size, offset));
}

static long host_lseek(Driver *d, int fd, off_t offset, int whence)
{
    count(d);
    return result(lseek(fd, offset, whence));
}

static long host_fsync(Driver *d, int fd)
{
    count(d);
    return result(fsync(fd));
}

static long host_fdatasync(Driver *d, int fd)
{
    count(d);
    return result(fdatasync(fd));
}

static long host_truncate(Driver *d, const char *path, off_t size)
{
    count(d);
    return result(truncate(path, size));
}

static long host_ftruncate(Driver *d, int fd, off_t size)
{
    count(d);
    return result(ftruncate(fd, size));
}

static long host_posix_fallocate(Driver *d, int fd, off_t offset, off_t size)
{
    count(d);
    return -posix_fallocate(fd, offset, size);
}

static long host_getdents(Driver *d, int fd, Entry *entries, unsigned max)
{
    char buffer[8192];
    unsigned n = 0;
    long got;

    count(d);
    got = result(getdents64(fd, buffer, sizeof(buffer)));
    for (long i = 0; i < got && n < max; n++) {
        const struct dirent64 *e = (const struct dirent64 *)(buffer + i);

        entries[n].ino = e->d_ino;
        entries[n].next = e->d_off;
        entries[n].type = e->d_type;
        snprintf(entries[n].name, sizeof(entries[n].name), "%s", e->d_name);
        i += e->d_reclen;
    }
    return got < 0 ? got : (long)n;
}

/*
 * Attributes
 */

static long host_stat(Driver *d, const char *path, struct stat *st)
{
    count(d);
    return result(stat(path, st));
}

static long host_lstat(Driver *d, const char *path, struct stat *st)
{
    count(d);
    return result(lstat(path, st));
}

static long host_fstat(Driver *d, int fd, struct stat *st)
{
    count(d);
    return result(fstat(fd, st));
}

static long host_statvfs(Driver *d, const char *path, struct statvfs *st)
{
    count(d);
    return result(statvfs(path, st));
}

static long host_access(Driver *d, const char *path, int mode)
{
    count(d);
    return result(faccessat(AT_FDCWD, path, mode, AT_EACCESS));
}

static long host_chmod(Driver *d, const char *path, mode_t mode)
{
    count(d);
    return result(chmod(path, mode));
}

static long host_fchmod(Driver *d, int fd, mode_t mode)
{
    count(d);
    return result(fchmod(fd, mode));
}

static long host_chown(Driver *d, const char *path, uid_t uid, gid_t gid)
{
    count(d);
    return result(chown(path, uid, gid));
}

static long host_lchown(Driver *d, const char *path, uid_t uid, gid_t gid)
{
    count(d);
    return result(lchown(path, uid, gid));
}

static long host_fchown(Driver *d, int fd, uid_t uid, gid_t gid)
{
    count(d);
    return result(fchown(fd, uid, gid));
}

static long host_utimens(Driver *d, const char *path, const struct timespec times[2])
{
    count(d);
    return result(utimensat(AT_FDCWD, path, times, 0));
}

static long host_lutimens(Driver *d, const char *path, const struct timespec times[2])
{
    count(d);
    return result(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

static long host_futimens(Driver *d, int fd, const struct timespec times[2])
{
    count(d);
    return result(futimens(fd, times));
}

/*
 * Names
 */

static long host_mkdir(Driver *d, const char *path, mode_t mode)
{
    count(d);
    return result(mkdir(path, mode));
}

static long host_mknod(Driver *d, const char *path, mode_t mode, dev_t device)
{
    count(d);
    return result(mknod(path, mode, device));
}

static long host_symlink(Driver *d, const char *target, const char *path)
{
    count(d);
    return result(symlink(target, path));
}

static long host_readlink(Driver *d, const char *path, char *target, size_t size)
{
    count(d);
    return result(readlink(path, target, size));
}

static long host_link(Driver *d, const char *old_path, const char *new_path)
{
    count(d);
    return result(link(old_path, new_path));
}

static long host_unlink(Driver *d, const char *path)
{
    count(d);
    return result(unlink(path));
}

static long host_rmdir(Driver *d, const char *path)
{
    count(d);
    return result(rmdir(path));
}

static long host_rename(Driver *d, const char *old_path, const char *new_path)
{
    count(d);
    return result(rename(old_path, new_path));
}

static long host_renameat2(Driver *d, const char *old_path, const char *new_path, unsigned flags)
{
    count(d);
    return result(renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, flags));
}

/*
 * Extended attributes
 */

static long host_getxattr(Driver *d, const char *path, const char *name, void *value, size_t size)
{
    count(d);
    return result(getxattr(path, name, value, size));
}

static long host_lgetxattr(Driver *d, const char *path, const char *name, void *value, size_t size)
{
    count(d);
    return result(lgetxattr(path, name, value, size));
}

static long host_fgetxattr(Driver *d, int fd, const char *name, void *value, size_t size)
{
    count(d);
    return result(fgetxattr(fd, name, value, size));
}

static long host_setxattr(Driver *d, const char *path, const char *name, const void *value,
                          size_t size, int flags)
{
    count(d);
    return result(setxattr(path, name, value, size, flags));
}

static long host_lsetxattr(Driver *d, const char *path, const char *name, const void *value,
                           size_t size, int flags)
{
    count(d);
    return result(lsetxattr(path, name, value, size, flags));
}

static long host_fsetxattr(Driver *d, int fd, const char *name, const void *value, size_t size,
                           int flags)
{
    count(d);
    return result(fsetxattr(fd, name, value, size, flags));
}

static long host_listxattr(Driver *d, const char *path, char *names, size_t size)
{
    count(d);
    return result(listxattr(path, names, size));
}

static long host_removexattr(Driver *d, const char *path, const char *name)
{
    count(d);
    return result(removexattr(path, name));
}

/*
 * Locks
 */

static long set_lock(int fd, LockRange range, bool waits)
{
    struct flock lock = {.l_type = range.type, .l_start = range.start, .l_len = range.length};

    if (range.kind == LOCK_WHOLE_FILE) {
        int how = range.type == F_UNLCK ? LOCK_UN : range.type == F_RDLCK ? LOCK_SH : LOCK_EX;
        return result(flock(fd, how | (waits ? 0 : LOCK_NB)));
    }
    if (range.kind == LOCK_OPENING)
        return result(fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &lock));
    return result(fcntl(fd, waits ? F_SETLKW : F_SETLK, &lock));
}

static long find_lock(int fd, LockRange range)
{
    struct flock lock = {.l_type = range.type, .l_start = range.start, .l_len = range.length};
    int command = range.kind == LOCK_OPENING ? F_OFD_GETLK : F_GETLK;

    return fcntl(fd, command, &lock) == 0 ? lock.l_type : -errno;
}

static long host_lock(Driver *d, int fd, LockRange range)
{
    count(d);
    return set_lock(fd, range, false);
}

static long host_test_lock(Driver *d, int fd, LockRange range)
{
    count(d);
    return find_lock(fd, range);
}

/*
 * The second process
 */

static void close_range_of_cases(void)
{
    for (int fd = STDERR_FILENO + 1; fd < MAX_FD; fd++)
        close(fd);
}

static long peer_do(const PeerCall *call)
{
    switch (call->action) {
    case PEER_OPEN:
        return result(open(call->path, call->fd | O_CLOEXEC));
    case PEER_CLOSE:
        return result(close(call->fd));
    case PEER_CLOSE_ALL:
        close_range_of_cases();
        return 0;
    case PEER_LOCK:
        return set_lock(call->fd, call->range, call->waits);
    case PEER_TEST:
        return find_lock(call->fd, call->range);
    }
    return -ENOSYS;
}

static _Noreturn void peer_serve(int socket)
{
    PeerCall call;
    long answer;

    close_range_of_cases();
    while (recv(socket, &call, sizeof(call), 0) == (ssize_t)sizeof(call)) {
        answer = peer_do(&call);
        if (send(socket, &answer, sizeof(answer), 0) < 0)
            break;
    }
    _exit(0);
}

/* Starts the second process where this one is now, as root. */
static void peer_begin(Host *h)
{
    const User *user = h->user;
    int pair[2];

    if (h->peer_socket >= 0)
        return;
    host_become(&h->base, &root);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        die("socketpair");
    pair[0] = move_up(pair[0]);
    pair[1] = move_up(pair[1]);
    h->peer = fork();
    if (h->peer < 0)
        die("fork");
    if (h->peer == 0)
        peer_serve(pair[1]);
    close(pair[1]);
    h->peer_socket = pair[0];
    host_become(&h->base, user);
}

static void peer_end(Host *h)
{
    if (h->peer_socket < 0)
        return;
    kill(h->peer, SIGKILL);
    close(h->peer_socket);
    waitpid(h->peer, NULL, 0);
    h->peer_socket = -1;
}

static long peer_ask(Host *h, const PeerCall *call)
{
    peer_begin(h);
    return result(send(h->peer_socket, call, sizeof(*call), 0));
}

static long peer_answer(Host *h, int milliseconds)
{
    struct pollfd ready = {.fd = h->peer_socket, .events = POLLIN};
    long answer;

    if (poll(&ready, 1, milliseconds) <= 0)
        return -EINPROGRESS;
    if (recv(h->peer_socket, &answer, sizeof(answer), 0) != (ssize_t)sizeof(answer))
        return -EPIPE;
    return answer;
}

static long peer_call(Driver *d, const PeerCall *call)
{
    Host *h = count(d);
    long sent = peer_ask(h, call);

    return sent < 0 ? sent : peer_answer(h, -1);
}

static long host_peer_open(Driver *d, const char *path, int flags)
{
    PeerCall call = {.action = PEER_OPEN, .fd = flags};

    snprintf(call.path, sizeof(call.path), "%s", path);
    return peer_call(d, &call);
}

static long host_peer_close(Driver *d, int fd)
{
    return peer_call(d, &(PeerCall){.action = PEER_CLOSE, .fd = fd});
}

static long host_peer_lock(Driver *d, int fd, LockRange range)
{
    return peer_call(d, &(PeerCall){.action = PEER_LOCK, .fd = fd, .range = range});
}

static long host_peer_test_lock(Driver *d, int fd, LockRange range)
{
    return peer_call(d, &(PeerCall){.action = PEER_TEST, .fd = fd, .range = range});
}

static long host_peer_start(Driver *d, int fd, LockRange range)
{
    PeerCall call = {.action = PEER_LOCK, .fd = fd, .range = range, .waits = true};
    long sent = peer_ask(count(d), &call);

    return sent < 0 ? sent : 0;
}

static long host_peer_finish(Driver *d, unsigned milliseconds)
{
    return peer_answer((Host *)d, (int)milliseconds);
}

static void host_close_all(Driver *d)
{
    peer_end((Host *)d);
    close_range_of_cases();
}

/*
 * The program
 */

static const DriverOps host_ops = {
    .become = host_become,
    .set_umask = host_set_umask,
    .enter = host_enter,
    .close_all = host_close_all,
    .open = host_open,
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .pread = host_pread,
    .pwrite = host_pwrite,
    .lseek = host_lseek,
    .fsync = host_fsync,
    .fdatasync = host_fdatasync,
    .truncate = host_truncate,
    .ftruncate = host_ftruncate,
    .posix_fallocate = host_posix_fallocate,
    .getdents = host_getdents,
    .stat = host_stat,
    .lstat = host_lstat,
    .fstat = host_fstat,
    .statvfs = host_statvfs,
    .access = host_access,
    .chmod = host_chmod,
    .fchmod = host_fchmod,
    .chown = host_chown,
    .lchown = host_lchown,
    .fchown = host_fchown,
    .utimens = host_utimens,
    .lutimens = host_lutimens,
    .futimens = host_futimens,
    .mkdir = host_mkdir,
    .mknod = host_mknod,
    .symlink = host_symlink,
    .readlink = host_readlink,
    .link = host_link,
    .unlink = host_unlink,
    .rmdir = host_rmdir,
    .rename = host_rename,
    .renameat2 = host_renameat2,
    .getxattr = host_getxattr,
    .lgetxattr = host_lgetxattr,
    .fgetxattr = host_fgetxattr,
    .setxattr = host_setxattr,
    .lsetxattr = host_lsetxattr,
    .fsetxattr = host_fsetxattr,
    .listxattr = host_listxattr,
    .removexattr = host_removexattr,
    .lock = host_lock,
    .test_lock = host_test_lock,
    .peer_open = host_peer_open,
    .peer_close = host_peer_close,
    .peer_lock = host_peer_lock,
    .peer_test_lock = host_peer_test_lock,
    .peer_start = host_peer_start,
    .peer_finish = host_peer_finish,
};

/* Finds out what the file system has, with a file of our own. */
static unsigned probe(int base_fd)
{
    static const struct timespec times[2] = {{.tv_sec = 1, .tv_nsec = 1}, {.tv_sec = 1}};
    unsigned has = HAS_LOCKS | HAS_STATVFS;
    struct statvfs room;
    struct stat st;
    int fd = openat(base_fd, ".probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        die("making a file");
    if (fsetxattr(fd, "user.probe", "1", 1, 0) == 0)
        has |= HAS_XATTRS;
    if (fgetxattr(fd, "system.posix_acl_access", NULL, 0) >= 0 || errno == ENODATA)
        has |= HAS_ACLS;
    if (futimens(fd, times) == 0 && fstat(fd, &st) == 0 && st.st_atim.tv_nsec == 1)
        has |= HAS_FINE_TIMES;
    if (fstatvfs(fd, &room) == 0 && room.f_blocks > 0 && room.f_bfree <= LITTLE_ROOM / room.f_bsize)
        has |= HAS_LITTLE_ROOM;
    close(fd);
    unlinkat(base_fd, ".probe", 0);
    return has;
}

static int usage(const char *program)
{
    fprintf(stderr, "Usage: %s [OPTION...] DIRECTORY\n\n%s", program, suite_usage);
    return 2;
}

int main(int argc, char **argv)
{
    Host host = {.base.ops = &host_ops, .user = &root, .peer_socket = -1};
    SuiteOptions options;
    int at = suite_parse_options(argc, argv, &options);
    int status;

    if (at < 0 || at != argc - 1)
        return usage(argv[0]);
    if (geteuid() != 0) {
        printf("1..0 # SKIP needs root\n");
        return 0;
    }
    host.base_fd = open(argv[at], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host.base_fd < 0)
        die(argv[at]);
    host.base_fd = move_up(host.base_fd);
    if (options.transcript) /* out of the range that cases own */
        options.transcript = fdopen(move_up(dup(fileno(options.transcript))), "w");
    host.base.has = probe(host.base_fd);
    status = suite_run(&host.base, &options);
    suite_finish(&options);
    return status;
}
