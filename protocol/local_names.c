/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local: names; see local_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_name_cache.h"
#include "protocol/local_park.h"

#define REMOVED_MARK " (deleted)"

/* #syscalls openat openat2 readlinkat mkdirat mknodat symlinkat linkat unlinkat
 * renameat() is one or the other:
 * #syscalls renameat renameat2 */

static int result_of(int returned)
{
    return returned == 0 ? 0 : -errno;
}

/* Where `fd` is now, as an absolute path. */
static int path_of(LocalFs *fs, int fd, char path[PATH_MAX])
{
    ProcName name = local_proc_name(fd);
    ssize_t length = UNINTERRUPTED(readlinkat(fs->proc_fd, name.text, path, PATH_MAX));

    if (length < 0)
        return -errno;
    if (length == PATH_MAX)
        return -ENAMETOOLONG;
    path[length] = '\0';
    return 0;
}

/* The path of `fd` below the export's root, without a slash in front; "" for the root itself. */
static int path_below_root(LocalFs *fs, int fd, char buffer[PATH_MAX], const char **relative)
{
    char root[PATH_MAX];
    size_t length;
    int error = path_of(fs, fs->root_fd, root);

    if (!error)
        error = path_of(fs, fd, buffer);
    if (error)
        return error;
    length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(buffer, root, length) != 0 || (buffer[length] != '/' && buffer[length] != '\0'))
        return -ENOENT;
    *relative = buffer + length + (buffer[length] == '/');
    return 0;
}

/*
 * Walking
 */

static bool is_root(const LocalFs *fs, const FsAttr *attr)
{
    return attr->stx_ino == fs->root_inode && local_attr_device(attr) == fs->devices[0].device;
}

/* Opens the parent of directory `fd`; the root's is the root. */
static int open_parent(LocalFs *fs, int fd)
{
    char buffer[PATH_MAX];
    const char *relative;
    FsAttr attr;
    int error = local_statx(fd, "", false, &attr);
    int parent;

    if (error)
        return error;
    parent = UNINTERRUPTED(
        openat(fd, is_root(fs, &attr) ? "." : "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (parent < 0)
        return local_open_error(errno);
    /* A directory that was moved out of the export has a parent there. */
    if (!fs->contained && path_below_root(fs, parent, buffer, &relative) != 0) {
        close(parent);
        return -EXDEV;
    }
    return parent;
}

static int walk_up(FsNode *dir, bool nowait, FsNode **node, Qid *qid)
{
    LocalFs *fs = local_fs(dir);
    int fd = nowait ? -EAGAIN : open_parent(fs, local_fd(dir));

    return fd < 0 ? fd : local_node_new(fs, fd, NULL, nowait, node, qid);
}

static int walk_down(FsNode *dir, const char *name, bool nowait, FsNode **node, Qid *qid)
{
    LocalFs *fs = local_fs(dir);
    LocalName at = {local_fd(dir), name};
    int fd;

    if (local_map_hides(fs, name))
        return -EINVAL;
    fd = local_open_name(at.dir_fd, name, nowait);
    return fd < 0 ? fd : local_node_new(fs, fd, &at, nowait, node, qid);
}

/* Keeps what a walk has come to: the node itself, or, when it is to be a fid's, a copy. */
static void keep_node(LocalFs *fs, FsNode *dir, const char *name, FsNode *node, time_t opened,
                      bool is_last)
{
    FsNode *kept = node;

    if (!local_name_cache_wants(fs->name_cache, name, (LocalNode *)node, opened) ||
        !local_has_plenty(fs))
        return;
    if (is_last && local_node_copy((LocalNode *)node, true, &kept) != 0)
        return;
    local_name_cache_add(fs->name_cache, (LocalNode *)dir, name, kept);
    if (is_last)
        fs_node_unref(kept);
}

/* The node that is kept for the name: itself, or, when it is to be a fid's, a copy. */
static int use_kept(LocalFs *fs, FsNode *kept, const FsAttr *attr, bool nowait, bool is_last,
                    FsNode **node, Qid *qid)
{
    int error;

    local_fill_qid(fs, attr, qid);
    *node = kept;
    if (!is_last)
        return 0;
    error = local_node_copy((LocalNode *)kept, nowait, node);
    fs_node_unref(kept);
    return error;
}

static int walk_kept(FsNode *dir, const char *name, bool nowait, bool is_last, FsNode **node,
                     Qid *qid)
{
    LocalFs *fs = local_fs(dir);
    time_t before = time(NULL);
    FsAttr attr;
    FsNode *kept = local_name_cache_find(fs->name_cache, (LocalNode *)dir, name, nowait, &attr);
    int error;

    if (kept)
        return use_kept(fs, kept, &attr, nowait, is_last, node, qid);
    error = walk_down(dir, name, nowait, node, qid);
    if (!error)
        keep_node(fs, dir, name, *node, before, is_last);
    return error;
}

/* One step: the node called `name` in `from`. */
static int walk_step(FsNode *from, const char *name, bool nowait, bool is_last, FsNode **node,
                     Qid *qid)
{
    if (strcmp(name, "..") == 0)
        return walk_up(from, nowait, node, qid);
    if (local_fs(from)->name_cache)
        return walk_kept(from, name, nowait, is_last, node, qid);
    return walk_down(from, name, nowait, node, qid);
}

int local_walk(FsNode *from, unsigned n, char *const names[], bool nowait, FsNode **node,
               Qid qids[], unsigned *n_walked)
{
    FsNode *at = fs_node_ref(from);
    int error = 0;
    unsigned i;

    for (i = 0; i < n; i++) {
        FsNode *next;

        error = interrupt_requested()
                    ? -EINTR
                    : walk_step(at, names[i], nowait, i + 1 == n, &next, &qids[i]);
        if (error)
            break;
        fs_node_unref(at);
        at = next;
    }
    *n_walked = i;
    *node = NULL;
    if (!error)
        *node = at;
    else
        fs_node_unref(at);
    return i == 0 || error == -EAGAIN || error == -EINTR ? error : 0;
}

/*
 * Making
 */

/* The qid of what was just made. */
static int qid_of_name(LocalFs *fs, int dir_fd, const char *name, Qid *qid)
{
    FsAttr attr;
    int error = local_statx(dir_fd, name, false, &attr);

    if (!error)
        local_fill_qid(fs, &attr, qid);
    return error;
}

static int finish_make(LocalFs *fs, int dir_fd, const char *name, FsOwner owner, Qid *qid)
{
    local_give_away(fs, dir_fd, name, owner);
    return qid_of_name(fs, dir_fd, name, qid);
}

/* Makes anything but a regular file to be opened, in a mapped export. */
static int make_mapped(FsNode *dir, const LocalNew *new, Qid *qid)
{
    LocalFs *fs = local_fs(dir);
    FsAttr attr;
    int fd, error;

    if (local_map_hides(fs, new->name))
        return -EINVAL;
    error = local_map_make(dir, new, &attr, &fd);
    if (error)
        return error;
    local_fill_qid(fs, &attr, qid);
    close(fd);
    return 0;
}

int local_mkdir(FsNode *dir, const char *name, mode_t mode, FsOwner owner, Qid *qid)
{
    LocalNew new = {.name = name, .mode = S_IFDIR | mode, .owner = owner};
    LocalFs *fs = local_fs(dir);
    int fd = local_fd(dir);
    int error;

    if (fs->mapping)
        return make_mapped(dir, &new, qid);
    error = local_become(fs, owner);
    if (!error)
        error = result_of(UNINTERRUPTED(mkdirat(fd, name, mode)));
    return error ? error : finish_make(fs, fd, name, owner, qid);
}

int local_mknod(FsNode *dir, const char *name, mode_t mode, dev_t device, FsOwner owner, Qid *qid)
{
    mode_t type = mode & S_IFMT ? 0 : S_IFREG; /* no type means a regular file */
    LocalNew new = {
        .name = name, .mode = type | mode, .owner = owner, .is_node = true, .device = device};
    LocalFs *fs = local_fs(dir);
    int fd = local_fd(dir);
    int error;

    if (fs->mapping)
        return make_mapped(dir, &new, qid);
    error = local_become(fs, owner);
    if (!error)
        error = result_of(UNINTERRUPTED(mknodat(fd, name, mode, device)));
    return error ? error : finish_make(fs, fd, name, owner, qid);
}

int local_symlink(FsNode *dir, const char *name, const char *target, FsOwner owner, Qid *qid)
{
    LocalNew new = {.name = name, .mode = S_IFLNK | 0777, .owner = owner, .target = target};
    LocalFs *fs = local_fs(dir);
    int fd = local_fd(dir);
    int error;

    if (fs->mapping)
        return make_mapped(dir, &new, qid);
    error = local_become(fs, owner);
    if (!error)
        error = result_of(UNINTERRUPTED(symlinkat(target, fd, name)));
    return error ? error : finish_make(fs, fd, name, owner, qid);
}

int local_link_fd(const LocalNode *node, LocalName to)
{
    ProcName old = local_proc_name(node->fd);
    const LocalFs *fs = local_fs(&node->base);

    return result_of(
        UNINTERRUPTED(linkat(fs->proc_fd, old.text, to.dir_fd, to.name, AT_SYMLINK_FOLLOW)));
}

int local_link(FsNode *dir, const char *name, FsNode *node)
{
    LocalFs *fs = local_fs(dir);
    LocalName to = {local_fd(dir), name};

    if (dir->fs != node->fs)
        return -EXDEV;
    if (!fs->mapping)
        return local_link_fd((LocalNode *)node, to);
    return local_map_hides(fs, name) ? -EINVAL : local_map_link((LocalNode *)node, to);
}

/*
 * Moving and removing
 */

static int unlink_really(LocalFs *fs, LocalName at, bool directory)
{
    int flags = directory ? AT_REMOVEDIR : 0;

    return fs->mapping ? local_map_unlink(fs, at, flags)
                       : result_of(UNINTERRUPTED(unlinkat(at.dir_fd, at.name, flags)));
}

/* Something else, or nothing, has the name now. */
static void forget_name(LocalFs *fs, const char *name)
{
    if (fs->name_cache)
        local_name_cache_drop(fs->name_cache, name);
}

static int unlink_name(LocalFs *fs, LocalName at, bool directory)
{
    int error;

    if (local_map_hides(fs, at.name))
        return -EINVAL;
    error = local_park_begin_change(fs, at);
    if (error)
        return error;
    error = unlink_really(fs, at, directory);
    local_park_end_change(fs);
    forget_name(fs, at.name);
    return error;
}

static int rename_really(LocalFs *fs, LocalName from, LocalName to)
{
    return fs->mapping
               ? local_map_rename(fs, from, to)
               : result_of(UNINTERRUPTED(renameat(from.dir_fd, from.name, to.dir_fd, to.name)));
}

static int rename_name(LocalFs *fs, LocalName from, LocalName to)
{
    int error;

    if (local_map_hides(fs, from.name) || local_map_hides(fs, to.name))
        return -EINVAL;
    error = local_park_begin_change(fs, to);
    if (error)
        return error;
    error = rename_really(fs, from, to);
    if (!error)
        local_park_renamed(fs, to);
    local_park_end_change(fs);
    forget_name(fs, from.name);
    forget_name(fs, to.name);
    return error;
}

int local_unlinkat(FsNode *dir, const char *name, bool directory)
{
    return unlink_name(local_fs(dir), (LocalName){local_fd(dir), name}, directory);
}

int local_renameat(FsNode *old_dir, const char *old_name, FsNode *new_dir, const char *new_name)
{
    return rename_name(local_fs(old_dir), (LocalName){local_fd(old_dir), old_name},
                       (LocalName){local_fd(new_dir), new_name});
}

int local_open_below_root(LocalFs *fs, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };

    return local_openat2(fs->root_fd, path, &how);
}

int local_check_name(int dir_fd, const char *name, const LocalNode *node)
{
    FsAttr attr;
    int error = local_statx(dir_fd, name, false, &attr);

    if (error)
        return error == -EINTR ? error : -ENOENT;
    return attr.stx_ino == node->inode && local_attr_device(&attr) == node->device ? 0 : -ENOENT;
}

int local_find_name(FsNode *node, int *dir_fd, char name[P9_NAME_MAX + 1])
{
    LocalFs *fs = local_fs(node);
    char path[PATH_MAX];
    const char *relative, *base;
    g_autofree char *parent = NULL;
    int error = path_below_root(fs, local_fd(node), path, &relative);

    if (error)
        return error;
    if (relative[0] == '\0')
        return -EBUSY; /* the export's root */
    base = strrchr(relative, '/');
    parent = base ? g_strndup(relative, (gsize)(base - relative)) : g_strdup(".");
    base = base ? base + 1 : relative;
    if (g_strlcpy(name, base, NAME_MAX + 1) > NAME_MAX)
        return -ENOENT;
    *dir_fd = local_open_below_root(fs, parent);
    if (*dir_fd < 0)
        return *dir_fd;
    error = local_check_name(*dir_fd, name, (LocalNode *)node);
    if (error)
        close(*dir_fd);
    return error;
}

int local_remove(FsNode *node)
{
    char name[NAME_MAX + 1];
    int dir_fd;
    int error = local_find_name(node, &dir_fd, name);

    if (error)
        return error;
    error = unlink_name(local_fs(node), (LocalName){dir_fd, name}, S_ISDIR(node->type));
    close(dir_fd);
    return error;
}

int local_rename(FsNode *node, FsNode *new_dir, const char *new_name)
{
    char name[NAME_MAX + 1];
    int dir_fd;
    int error = local_find_name(node, &dir_fd, name);

    if (error)
        return error;
    error = rename_name(local_fs(node), (LocalName){dir_fd, name},
                        (LocalName){new_dir ? local_fd(new_dir) : dir_fd, new_name});
    close(dir_fd);
    return error;
}

/* The kernel appends this to the path of a file that was removed. A file may also be called so: the
 * name is then looked up. */
static int strip_removed_mark(FsNode *node, char name[NAME_MAX + 1])
{
    char found[NAME_MAX + 1];
    int dir_fd;
    int error = local_find_name(node, &dir_fd, found);

    if (error == -EINTR)
        return error;
    if (error)
        name[strlen(name) - strlen(REMOVED_MARK)] = '\0';
    else
        close(dir_fd);
    return 0;
}

int local_name(FsNode *node, bool nowait, char name[P9_NAME_MAX + 1])
{
    LocalFs *fs = local_fs(node);
    char path[PATH_MAX];
    const char *base;
    int error;

    if (nowait && fs->mapping && node->class != FS_MEMORY)
        return -EAGAIN; /* the caller will want the attributes too */
    if (local_is_root((LocalNode *)node)) {
        g_strlcpy(name, "/", P9_NAME_MAX + 1);
        return 0;
    }
    error = path_of(fs, local_fd(node), path);
    if (error)
        return error;
    base = strrchr(path, '/');
    g_strlcpy(name, base ? base + 1 : path, P9_NAME_MAX + 1);
    if (!g_str_has_suffix(name, REMOVED_MARK))
        return 0;
    if (nowait)
        return -EAGAIN;
    return strip_removed_mark(node, name);
}

/* Only the kernel's names of directories are asked for, which no file system is needed for. */
/* Who asks need not be working with the node: it may be away, which is no reason to bring it back. */
int local_path(FsNode *node, char *path, size_t size)
{
    char buffer[PATH_MAX];
    const char *relative;
    int error = fs_node_hold(node, true);

    if (error)
        return error;
    error = path_below_root(local_fs(node), local_fd(node), buffer, &relative);
    if (!error)
        g_snprintf(path, size, "/%s", relative);
    fs_node_let_go(node);
    return error;
}
