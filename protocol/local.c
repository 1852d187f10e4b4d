/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: the export, nodes, qids and owners; see local.h. */
#include "protocol/local_name_cache.h"
#include "protocol/local_park.h"
#include "protocol/local_quota.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/log.h"

static const FsOps local_ops = {
    .root = local_root,
    .walk = local_walk,
    .node_free = local_node_free,
    .recall = local_recall,
    .settle = local_settle,
    .rest = local_rest,
    .getattr = local_getattr,
    .setattr = local_setattr,
    .drop_setid = local_drop_setid,
    .generation = local_generation,
    .readlink = local_readlink,
    .statfs = local_statfs,
    .open = local_open,
    .create = local_create,
    .file_free = local_file_free,
    .read = local_read,
    .write = local_write,
    .fsync = local_fsync,
    .readdir = local_readdir,
    .mkdir = local_mkdir,
    .mknod = local_mknod,
    .symlink = local_symlink,
    .link = local_link,
    .unlinkat = local_unlinkat,
    .renameat = local_renameat,
    .remove = local_remove,
    .rename = local_rename,
    .getxattr = local_getxattr,
    .listxattr = local_listxattr,
    .setxattr = local_setxattr,
    .removexattr = local_removexattr,
    .lock = local_lock,
    .test_lock = local_test_lock,
    .name = local_name,
    .path = local_path,
};

/* #syscalls openat2 openat statx fstatfs setfsuid setfsgid fchownat */

LocalFs *local_fs(const FsNode *node)
{
    return (LocalFs *)node->fs;
}

int local_fd(const FsNode *node)
{
    return ((const LocalNode *)node)->fd;
}

/*
 * Storage classes, devices and qids
 */

/* What the file system behind `fd` can be trusted with. An unknown one is taken for remote. */
static FsClass class_of(int fd)
{
    static const long local_types[] = {
        EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,      BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
        SQUASHFS_MAGIC,   REISERFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC, ISOFS_SUPER_MAGIC,
    };
    struct statfs st;

    if (UNINTERRUPTED(fstatfs(fd, &st)) != 0)
        return FS_REMOTE;
    if (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC)
        return FS_MEMORY;
    for (size_t i = 0; i < G_N_ELEMENTS(local_types); i++) {
        if (st.f_type == local_types[i])
            return FS_LOCAL;
    }
    return FS_REMOTE;
}

/* The same in this export. Where the tree is counted some operations wait, whatever it is on. */
static FsClass class_in(const LocalFs *fs, int fd)
{
    FsClass class = local_map_class(fs, class_of(fd));
    bool counted = fs->options.quota.max_files > 0 || fs->options.quota.max_space > 0;

    return counted ? MAX(class, FS_LOCAL) : class;
}

/* A number that differs between devices in its upper 24 bits and is the same after a restart. The
 * finaliser is that of MurmurHash3. */
static uint64_t salt_of(dev_t device)
{
    uint64_t h = device;

    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33;
    return (h | 1ULL << 63) & ~((1ULL << 40) - 1);
}

static bool salt_is_taken(const LocalFs *fs, uint64_t salt)
{
    for (unsigned i = 0; i < fs->n_devices; i++) {
        if (fs->devices[i].salt == salt)
            return true;
    }
    return false;
}

/* Called with the lock held, for each device but the root's. */
static void note_device(LocalFs *fs, dev_t device)
{
    dev_t root = fs->devices[0].device;

    if (fs->options.multidevs != MULTIDEVS_WARN || fs->warned)
        return;
    fs->warned = true;
    log_warning(
        "the export reaches from device %u:%u over to %u:%u: the numbers of files there are "
        "made distinct (multidevs=warn)",
        major(root), minor(root), major(device), minor(device));
}

/* Called with the lock held. Past LOCAL_MAX_DEVICES devices are no longer kept apart by more than
 * their salt's chance. */
static LocalDevice add_device(LocalFs *fs, int fd, dev_t device)
{
    LocalDevice new = {.device = device, .salt = salt_of(device), .class = class_in(fs, fd)};

    note_device(fs, device);
    while (salt_is_taken(fs, new.salt))
        new.salt = (new.salt + (1ULL << 40)) | 1ULL << 63;
    if (fs->n_devices < LOCAL_MAX_DEVICES)
        fs->devices[fs->n_devices++] = new;
    return new;
}

static bool find_device(const LocalFs *fs, dev_t device, LocalDevice *found)
{
    for (unsigned i = 0; i < fs->n_devices; i++) {
        if (fs->devices[i].device == device) {
            *found = fs->devices[i];
            return true;
        }
    }
    return false;
}

LocalDevice local_device(LocalFs *fs, int fd, dev_t device)
{
    LocalDevice found;

    if (device == fs->devices[0].device)
        return fs->devices[0];
    pthread_mutex_lock(&fs->device_lock);
    if (!find_device(fs, device, &found))
        found = add_device(fs, fd, device);
    pthread_mutex_unlock(&fs->device_lock);
    return found;
}

dev_t local_attr_device(const FsAttr *attr)
{
    return makedev(attr->stx_dev_major, attr->stx_dev_minor);
}

uint8_t local_qid_type(mode_t mode)
{
    if (S_ISDIR(mode))
        return P9_QTDIR;
    return S_ISLNK(mode) ? P9_QTSYMLINK : P9_QTFILE;
}

/* Changes with every change that moves a time stamp or the size; 0 would mean "do not cache". */
static uint32_t qid_version(const FsAttr *attr)
{
    uint64_t v = (uint64_t)attr->stx_ctime.tv_sec * 1000000007u + attr->stx_ctime.tv_nsec;

    v = v * 31 + (uint64_t)attr->stx_mtime.tv_sec * 1000000007u + attr->stx_mtime.tv_nsec;
    v = v * 31 + attr->stx_size;
    v ^= v >> 32;
    return (uint32_t)v ? (uint32_t)v : 1;
}

void local_fill_qid(LocalFs *fs, const FsAttr *attr, Qid *qid)
{
    LocalDevice device = local_device(fs, fs->root_fd, local_attr_device(attr));

    qid->type = local_qid_type(attr->stx_mode);
    qid->version = qid_version(attr);
    qid->path = attr->stx_ino ^ device.salt;
}

int local_statx(int dir_fd, const char *name, bool nowait, FsAttr *attr)
{
    int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    int result;

    if (nowait)
        flags |= AT_STATX_DONT_SYNC;
    result = UNINTERRUPTED(statx(dir_fd, name, flags, LOCAL_ATTR_MASK, (struct statx *)attr));
    return result == 0 ? 0 : -errno;
}

/*
 * Nodes
 */

/* With multidevs=forbid nothing on another device becomes a node, so that nobody reaches it. */
static int check_device(const LocalFs *fs, const FsAttr *attr)
{
    bool forbidden = fs->options.multidevs == MULTIDEVS_FORBID &&
                     local_attr_device(attr) != fs->devices[0].device;

    return forbidden ? -ENODEV : 0;
}

/* What is kept for the file may be on the disk. */
static int map_new_node(LocalNode *node, const LocalName *at, bool nowait, FsAttr *attr)
{
    if (!local_fs(&node->base)->mapping)
        return 0;
    if (nowait && node->base.class != FS_MEMORY)
        return -EAGAIN;
    return local_map_node(node, at, attr);
}

int local_node_new(LocalFs *fs, int fd, const LocalName *at, bool nowait, FsNode **node, Qid *qid)
{
    uint64_t mark = local_quota_mark(fs);
    LocalDevice device;
    FsAttr attr, of_host;
    LocalNode *new;
    int error = local_statx(fd, "", nowait, &attr);

    if (!error)
        error = check_device(fs, &attr);
    if (!error)
        error = local_claim(fs, nowait);
    if (error) {
        close(fd);
        return error;
    }
    device = local_device(fs, fd, local_attr_device(&attr));
    new = g_new0(LocalNode, 1);
    fs_node_init(&new->base, &fs->base, device.class, attr.stx_mode);
    new->fd = fd;
    new->device = device.device;
    new->inode = attr.stx_ino;
    new->mount = attr.stx_mnt_id;
    new->changed = attr.stx_ctime;
    of_host = attr;
    error = map_new_node(new, at, nowait, &attr);
    if (!error && fs->quota)
        error = local_quota_pin(new, mark, nowait, &of_host);
    if (error) {
        local_node_free(&new->base);
        return error;
    }
    if (qid)
        local_fill_qid(fs, &attr, qid);
    *node = &new->base;
    return 0;
}

int local_node_copy(const LocalNode *node, bool nowait, FsNode **copy)
{
    LocalFs *fs = local_fs(&node->base);
    LocalNode *new;
    int error = local_claim(fs, nowait);
    int fd;

    if (error)
        return error;
    fd = fcntl(node->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        local_unclaim(fs);
        return local_open_error(errno);
    }
    new = g_new0(LocalNode, 1);
    fs_node_init(&new->base, &fs->base, node->base.class, node->base.type);
    new->fd = fd;
    new->device = node->device;
    new->inode = node->inode;
    new->mount = node->mount;
    new->changed = node->changed;
    *copy = &new->base;
    return 0;
}

bool local_is_root(const LocalNode *node)
{
    const LocalFs *fs = local_fs(&node->base);

    return node->inode == fs->root_inode && node->device == fs->devices[0].device;
}

void local_node_free(FsNode *node)
{
    if (local_fs(node)->mapping)
        local_map_node_free((LocalNode *)node);
    local_park_free_node((LocalNode *)node);
}

static int open_once(int dir_fd, const char *name, struct open_how *how)
{
    long fd = UNINTERRUPTED(syscall(SYS_openat2, dir_fd, name, how, sizeof(*how)));

    return fd < 0 ? local_open_error(errno) : (int)fd;
}

int local_openat2(int dir_fd, const char *name, struct open_how *how)
{
    int fd;

    do {
        fd = open_once(dir_fd, name, how);
    } while (fd == -EAGAIN && !interrupt_requested()); /* a rename elsewhere disturbed the lookup */
    return fd == -EAGAIN ? -EINTR : fd;
}

int local_open_name(int dir_fd, const char *name, bool nowait)
{
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };

    if (nowait)
        how.resolve |= RESOLVE_CACHED;
    return nowait ? open_once(dir_fd, name, &how) : local_openat2(dir_fd, name, &how);
}

ProcName local_proc_name(int fd)
{
    ProcName name;

    snprintf(name.text, sizeof(name.text), "%d", fd);
    return name;
}

int local_reopen(LocalFs *fs, int fd, int flags)
{
    ProcName name = local_proc_name(fd);
    int opened = UNINTERRUPTED(openat(fs->proc_fd, name.text, flags | O_CLOEXEC | O_NOCTTY));

    return opened < 0 ? local_open_error(errno) : opened;
}

int local_root(Fs *base, FsNode **node)
{
    LocalFs *fs = (LocalFs *)base;
    int fd = UNINTERRUPTED(openat(fs->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));

    return fd < 0 ? local_open_error(errno) : local_node_new(fs, fd, NULL, false, node, NULL);
}

/*
 * Owners
 *
 * A thread creates files as its file-system user and group ids. Each thread remembers which it has
 * and changes them only when the next creation is somebody else's. The securebit set at the start
 * keeps the thread's capabilities meanwhile: it is the guest's kernel that checks permissions.
 */

static __thread bool owner_is_known;
static __thread FsOwner current_owner;

/* True when this thread may take other identities; it keeps the ones it has. */
static bool can_set_owner(void)
{
    enum { OTHER_ID = 12345 };
    uid_t uid = (uid_t)syscall(SYS_setfsuid, OTHER_ID);
    bool can = (uid_t)syscall(SYS_setfsuid, uid) == OTHER_ID;

    gid_t gid = (gid_t)syscall(SYS_setfsgid, OTHER_ID);
    return (gid_t)syscall(SYS_setfsgid, gid) == OTHER_ID && can;
}

int local_become(LocalFs *fs, FsOwner owner)
{
    if (!fs->sets_owner)
        return fs->options.model == MODEL_NONE ? 0 : -EPERM;
    if (owner_is_known && owner.uid == current_owner.uid && owner.gid == current_owner.gid)
        return 0;
    syscall(SYS_setfsgid, owner.gid);
    syscall(SYS_setfsuid, owner.uid);
    owner_is_known = false;
    if ((uint32_t)syscall(SYS_setfsuid, -1) != owner.uid ||
        (uint32_t)syscall(SYS_setfsgid, -1) != owner.gid)
        return -EPERM;
    current_owner = owner;
    owner_is_known = true;
    return 0;
}

void local_give_away(LocalFs *fs, int dir_fd, const char *name, FsOwner owner)
{
    int result;

    if (fs->sets_owner)
        return;
    result = UNINTERRUPTED(
        fchownat(dir_fd, name, owner.uid, owner.gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
    (void)result; /* model "none": what cannot be given away stays ours */
}

/*
 * The export
 */

/* Makes a mount of our own read-only, with all below it. The session refuses changes before they come
 * here: this is for what it might miss, and for times of last access. */
static void seal_export(int fd)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) != 0)
        log_notice("the read-only export's mount stays writable: %s", g_strerror(errno));
}

/* Opens a directory: as a mount of our own where we may make one, so that its root is a root. */
static int open_contained(const char *path, unsigned flags, bool *contained)
{
    int fd =
        (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);

    *contained = fd >= 0;
    if (fd < 0)
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int open_export(LocalFs *fs, const char *path)
{
    int fd = open_contained(path, AT_RECURSIVE, &fs->contained);

    if (fs->contained && fs->options.readonly)
        seal_export(fd);
    return fd;
}

/* Opens /proc/self/fd. From a mount of it alone ".." leads nowhere: not to this process's memory,
 * not to other processes. */
static int open_proc(void)
{
    bool contained;

    return open_contained("/proc/self/fd", 0, &contained);
}

static int identify_root(LocalFs *fs)
{
    FsAttr attr;
    int error = local_statx(fs->root_fd, "", false, &attr);

    if (error)
        return error;
    if (!S_ISDIR(attr.stx_mode))
        return -ENOTDIR;
    fs->root_inode = attr.stx_ino;
    fs->root_mount = attr.stx_mnt_id;
    fs->base.class = class_in(fs, fs->root_fd);
    fs->devices[0] =
        (LocalDevice){.device = local_attr_device(&attr), .salt = 0, .class = fs->base.class};
    fs->n_devices = 1;
    return 0;
}

/* Whether the export can be served only with the right to create files for other users. */
static bool needs_owner(const ExportOptions *o)
{
    bool mapped = o->users.n_ranges > 0 || o->groups.n_ranges > 0;

    return o->model == MODEL_PASSTHROUGH || (o->model == MODEL_NONE && mapped);
}

static int open_all(LocalFs *fs, const char *path, const char **why)
{
    int error;

    *why = "cannot open the export";
    fs->root_fd = open_export(fs, path);
    if (fs->root_fd < 0)
        return fs->root_fd;
    error = identify_root(fs);
    if (error)
        return error;
    *why = "cannot open /proc/self/fd";
    fs->proc_fd = open_proc();
    if (fs->proc_fd < 0)
        return fs->proc_fd;
    fs->has_xattrat = local_has_xattrat(fs->proc_fd, fs->root_fd);
    *why = "security_model=mapped-xattr needs a file system with user.* attributes";
    if (fs->options.model == MODEL_MAPPED_XATTR && !local_has_user_xattrs(fs))
        return -EOPNOTSUPP;
    *why = "security_model=passthrough, or a map of ids, needs the right to set owners";
    return needs_owner(&fs->options) && !fs->sets_owner ? -EPERM : 0;
}

int local_fs_new(const char *path, const ExportOptions *options, Fs **fs, const char **why)
{
    LocalFs *new = g_new0(LocalFs, 1);
    int error;

    new->base.ops = &local_ops;
    new->options = *options;
    new->mapping = local_mapping(options->model);
    new->root_fd = new->proc_fd = -1;
    pthread_mutex_init(&new->device_lock, NULL);
    pthread_mutex_init(&new->kept_lock, NULL);
    umask(0);
    interrupt_init(); /* before the first thread of an export with limits */
    prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | SECBIT_NO_SETUID_FIXUP);
    new->sets_owner = can_set_owner();

    local_park_begin(new);
    error = open_all(new, path, why);
    if (error) {
        local_fs_free(&new->base);
        return error;
    }
    local_quota_begin(new);
    if (!new->mapping && !new->quota && new->base.class <= FS_LOCAL)
        new->name_cache = local_name_cache_new(new->root_mount);
    *fs = &new->base;
    return 0;
}

int local_rest(Fs *base, bool nowait)
{
    const LocalFs *fs = (const LocalFs *)base;

    return fs->name_cache
               ? local_name_cache_clear(fs->name_cache, nowait && base->class != FS_MEMORY)
               : 0;
}

int local_fs_root(const Fs *fs)
{
    return ((const LocalFs *)fs)->root_fd;
}

void local_fs_free(Fs *base)
{
    LocalFs *fs = (LocalFs *)base;

    local_name_cache_free(fs->name_cache);
    local_quota_end(fs);
    local_park_end(fs);
    if (fs->root_fd >= 0)
        close(fs->root_fd);
    if (fs->proc_fd >= 0)
        close(fs->proc_fd);
    pthread_mutex_destroy(&fs->device_lock);
    pthread_mutex_destroy(&fs->kept_lock);
    g_free(fs);
}
