/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: making, linking, moving and removing; see p9.h. */
#include <unistd.h>

#include "tests/posix/p9.h"

/*
 * Making
 */

/* Finds where a new name goes. On success the caller drops the directory. */
static int begin_new(P9 *p9, const char *path, bool directory, P9Last *last)
{
    P9File file;
    int error = p9_find_last(p9, path, last);

    if (error)
        return error;
    error = p9_is_dots(last->name) ? -EEXIST : p9_lookup(p9, &last->dir, last->name, &file);
    if (!error) {
        p9_drop(p9, &file);
        error = -EEXIST;
    } else if (error == -ENOENT) {
        error = last->slash && !directory ? -ENOENT : 0;
    }
    if (error)
        p9_drop(p9, &last->dir);
    return error;
}

/* The same for what is made at once, with the permission to do so. */
static int begin_make(P9 *p9, const char *path, bool directory, P9Last *last)
{
    int error = begin_new(p9, path, directory, last);

    if (error)
        return error;
    error = p9_may(p9, &last->dir, W_OK | X_OK);
    if (error)
        p9_drop(p9, &last->dir);
    return error;
}

static long p9_mkdir(Driver *d, const char *path, mode_t mode)
{
    P9 *p9 = p9_of(d);
    P9Last last;
    int error = begin_make(p9, path, true, &last);

    if (error)
        return error;
    mode = p9_new_mode(p9, &last.dir, S_IFDIR | (mode & 01777)) & 07777;
    if (last.dir.st.st_mode & S_ISGID)
        mode |= S_ISGID;
    error = p9->remote->mkdir(p9, last.dir.fid, last.name, mode, p9_new_gid(p9, &last.dir));
    p9_drop(p9, &last.dir);
    return error;
}

static int check_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return 0;
    default:
        return S_ISDIR(mode) ? -EPERM : -EINVAL;
    }
}

static long p9_mknod(Driver *d, const char *path, mode_t mode, dev_t device)
{
    P9 *p9 = p9_of(d);
    P9Last last;
    int error = check_type(mode);

    if (!error)
        error = begin_make(p9, path, false, &last);
    if (error)
        return error;
    if (!(mode & S_IFMT))
        mode |= S_IFREG;
    if ((S_ISCHR(mode) || S_ISBLK(mode)) && !p9_is_root(p9))
        error = -EPERM;
    mode = p9_new_mode(p9, &last.dir, mode);
    if (!error)
        error =
            p9->remote->mknod(p9, last.dir.fid, last.name, mode, device, p9_new_gid(p9, &last.dir));
    p9_drop(p9, &last.dir);
    return error;
}

static long p9_symlink(Driver *d, const char *target, const char *path)
{
    P9 *p9 = p9_of(d);
    P9Last last;
    int error;

    if (target[0] == '\0')
        return -ENOENT;
    if (strlen(target) >= PATH_MAX)
        return -ENAMETOOLONG;
    error = begin_make(p9, path, false, &last);
    if (error)
        return error;
    error = p9->remote->symlink(p9, last.dir.fid, last.name, target, p9_new_gid(p9, &last.dir));
    p9_drop(p9, &last.dir);
    return error;
}

static long p9_readlink(Driver *d, const char *path, char *target, size_t size)
{
    P9 *p9 = p9_of(d);
    char whole[PATH_MAX];
    P9File file;
    int error = p9_find(p9, path, false, &file);

    if (error)
        return error;
    error = S_ISLNK(file.st.st_mode) ? p9->remote->readlink(p9, file.fid, whole) : -EINVAL;
    p9_drop(p9, &file);
    if (error)
        return error;
    size = MIN(size, strlen(whole));
    memcpy(target, whole, size);
    return (long)size;
}

/* As Linux with fs.protected_hardlinks, which this machine may have or not. */
static bool links_are_protected(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents("/proc/sys/fs/protected_hardlinks", &text, NULL, NULL) &&
           text[0] != '0';
}

static int check_link(P9 *p9, const P9Last *last, const P9File *file)
{
    mode_t mode = file->st.st_mode;
    bool is_setid = (mode & S_ISUID) || ((mode & S_ISGID) && (mode & S_IXGRP));
    int error;

    if (!p9_is_owner(p9, &file->st) && links_are_protected() &&
        (!S_ISREG(mode) || is_setid || p9_may(p9, file, R_OK | W_OK) != 0))
        return -EPERM;
    error = p9_may(p9, &last->dir, W_OK | X_OK);
    return !error && S_ISDIR(mode) ? -EPERM : error;
}

static long p9_link(Driver *d, const char *old_path, const char *new_path)
{
    P9 *p9 = p9_of(d);
    P9File file;
    P9Last last;
    int error = p9_find(p9, old_path, false, &file);

    if (error)
        return error;
    error = begin_new(p9, new_path, false, &last);
    if (!error) {
        error = check_link(p9, &last, &file);
        if (!error)
            error = p9->remote->link(p9, last.dir.fid, last.name, file.fid);
        p9_drop(p9, &last.dir);
    }
    p9_drop(p9, &file);
    return error;
}

/*
 * Moving and removing
 */

/* Whether a name may be taken out of its directory. */
static int check_removal(P9 *p9, const P9File *dir, const P9File *file, bool directory)
{
    bool is_directory = S_ISDIR(file->st.st_mode);
    int error = p9_may(p9, dir, W_OK | X_OK);

    if (error)
        return error;
    if ((dir->st.st_mode & S_ISVTX) && !p9_is_owner(p9, &file->st) && !p9_is_owner(p9, &dir->st))
        return -EPERM;
    if (directory != is_directory)
        return directory ? -ENOTDIR : -EISDIR;
    return 0;
}

static int remove_file(P9 *p9, const P9Last *last, bool directory)
{
    P9File file;
    int error = p9_lookup(p9, &last->dir, last->name, &file);

    if (error)
        return error;
    if (last->slash && !directory)
        error = S_ISDIR(file.st.st_mode) ? -EISDIR : -ENOTDIR;
    if (!error)
        error = check_removal(p9, &last->dir, &file, directory);
    if (!error)
        error = p9->remote->unlink(p9, last, &file);
    p9_drop(p9, &file);
    return error;
}

static long p9_unlink(Driver *d, const char *path)
{
    P9 *p9 = p9_of(d);
    P9Last last;
    int error = p9_find_last(p9, path, &last);

    if (error)
        return error;
    error = p9_is_dots(last.name) ? -EISDIR : remove_file(p9, &last, false);
    p9_drop(p9, &last.dir);
    return error;
}

static long p9_rmdir(Driver *d, const char *path)
{
    P9 *p9 = p9_of(d);
    P9Last last;
    int error = p9_find_last(p9, path, &last);

    if (error)
        return error;
    if (p9_is_dots(last.name))
        error = strcmp(last.name, ".") == 0 ? -EINVAL : -ENOTEMPTY;
    else
        error = remove_file(p9, &last, true);
    p9_drop(p9, &last.dir);
    return error;
}

static bool is_same(const P9File *one, const P9File *other)
{
    return one->st.st_ino == other->st.st_ino;
}

/* Checks a rename of `file` to a name that nothing has, or `target`. */
static int check_rename(P9 *p9, const P9Last *old, const P9File *file, const P9Last *new,
                        const P9File *target)
{
    bool directory = S_ISDIR(file->st.st_mode);
    int error = check_removal(p9, &old->dir, file, directory);

    if (!error)
        error = target ? check_removal(p9, &new->dir, target, directory)
                       : p9_may(p9, &new->dir, W_OK | X_OK);
    if (!error && directory && !is_same(&old->dir, &new->dir))
        error = p9_may(p9, file, W_OK);
    return error;
}

/* Linux looks for a directory that would end up below itself before it checks permissions; the
 * server has to find out, since only it sees how directories lie. */
static int rename_found(P9 *p9, const P9Last *old, const P9File *file, const P9Last *new,
                        unsigned flags)
{
    P9File target;
    int found = p9_lookup(p9, &new->dir, new->name, &target);
    int error = 0;

    if (found && found != -ENOENT)
        return found;
    if (!found && (flags & RENAME_NOREPLACE))
        error = -EEXIST;
    else if (!S_ISDIR(file->st.st_mode) && (old->slash || new->slash))
        error = -ENOTDIR;
    else if (flags)
        error = -EINVAL; /* what Linux says for every file system that has no flags */
    else if (found || !is_same(file, &target))
        error = check_rename(p9, old, file, new, found ? NULL : &target);
    if (!error && (found || !is_same(file, &target)))
        error = p9->remote->rename(p9, old, file, new);
    if (!found)
        p9_drop(p9, &target);
    return error;
}

static int rename_last(P9 *p9, const P9Last *old, const P9Last *new, unsigned flags)
{
    P9File file;
    int error;

    if (p9_is_dots(old->name) || p9_is_dots(new->name))
        return -EBUSY;
    error = p9_lookup(p9, &old->dir, old->name, &file);
    if (error)
        return error;
    error = rename_found(p9, old, &file, new, flags);
    p9_drop(p9, &file);
    return error;
}

static long p9_renameat2(Driver *d, const char *old_path, const char *new_path, unsigned flags)
{
    P9 *p9 = p9_of(d);
    P9Last old, new;
    int error;

    if ((flags & RENAME_EXCHANGE) && (flags & RENAME_NOREPLACE))
        return -EINVAL;
    error = p9_find_last(p9, old_path, &old);
    if (error)
        return error;
    error = p9_find_last(p9, new_path, &new);
    if (!error) {
        error = rename_last(p9, &old, &new, flags);
        p9_drop(p9, &new.dir);
    }
    p9_drop(p9, &old.dir);
    return error;
}

static long p9_rename(Driver *d, const char *old_path, const char *new_path)
{
    return p9_renameat2(d, old_path, new_path, 0);
}

void p9_add_names(DriverOps *ops)
{
    ops->mkdir = p9_mkdir;
    ops->mknod = p9_mknod;
    ops->symlink = p9_symlink;
    ops->readlink = p9_readlink;
    ops->link = p9_link;
    ops->unlink = p9_unlink;
    ops->rmdir = p9_rmdir;
    ops->rename = p9_rename;
    ops->renameat2 = p9_renameat2;
}
