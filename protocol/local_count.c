/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local: counting what is in the tree; see quota.h and local_quota.h.
 *
 * A walk without recursion that holds one descriptor, whatever the depth. A directory is read to its
 * end, which collects the names of its subdirectories, and left for the first of these; the way back
 * is "..", which must lead to where the walk came from. When it does not, a directory was moved, and
 * the walk goes on from the root to the nearest directory that is still where it was. What it may
 * have missed then, another walk finds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/local_quota.h"

enum {
    ENTRIES_BUFFER = 32 * 1024,
    MAX_WALKS = 8, /* of one count, when each is disturbed */
};

/* A directory on the way from the root to where the walk is. */
typedef struct Level {
    uint64_t device;
    uint64_t inode;
    size_t path_length; /* of the path of this directory */
    GPtrArray *subdirs; /* names that were not entered yet */
} Level;

typedef struct Walk {
    LocalFs *fs;
    Quota *quota;
    int fd;         /* the directory where the walk is; -1 when it has lost its way */
    GString *path;  /* of it, below the root, with a slash at the end; "" for the root */
    GArray *levels; /* Level; the last is that directory */
    char *entries;
    GSequence *list; /* of files that can be deleted, or NULL */
    bool truncated;
    bool unreadable;
} Walk;

static Level *last_level(Walk *w)
{
    return &g_array_index(w->levels, Level, w->levels->len - 1);
}

static void clear_level(gpointer level)
{
    g_ptr_array_unref(((Level *)level)->subdirs);
}

/* Opens directory `name` of `dir_fd` for reading. */
static int open_directory(int dir_fd, const char *name)
{
    int path_fd = local_open_name(dir_fd, name, false);
    int fd;

    if (path_fd < 0)
        return path_fd;
    fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
    if (fd < 0 && errno == EPERM)
        fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = fd < 0 ? -errno : fd;
    close(path_fd);
    return fd;
}

static void move_to(Walk *w, int fd)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
}

/* What can be deleted is remembered by its path, as far as that can be used in a system call. */
static void remember_file(Walk *w, const char *name, const FsAttr *attr)
{
    size_t length = w->path->len;

    if (!w->list || !S_ISREG(attr->stx_mode) || length + strlen(name) >= PATH_MAX)
        return;
    g_string_append(w->path, name);
    if (!local_reclaim_add(w->list, w->path->str, attr))
        w->truncated = true;
    g_string_truncate(w->path, length);
}

/* Whether guests can reach what is on this device. */
static bool is_served(const LocalFs *fs, const FsAttr *attr)
{
    return fs->options.multidevs != MULTIDEVS_FORBID ||
           local_attr_device(attr) == fs->devices[0].device;
}

/* Counts what `name` in the present directory is ("": the directory itself). Returns 0 and what it
 * is, or a negative errno. */
static int count_entry(Walk *w, const char *name, FsAttr *attr)
{
    uint64_t mark;
    int error;

    do {
        mark = quota_mark(w->quota);
        error = local_statx(w->fd, name, false, attr);
        if (error)
            return error;
        if (!is_served(w->fs, attr))
            return -EXDEV;
    } while (!quota_count_inode(w->quota, local_attr_device(attr), attr->stx_ino,
                                local_quota_charge(w->fs, w->fd, attr), mark));
    return 0;
}

static void visit_entry(Walk *w, const char *name)
{
    FsAttr attr;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || local_map_hides(w->fs, name) ||
        count_entry(w, name, &attr) != 0)
        return;
    if (S_ISDIR(attr.stx_mode))
        g_ptr_array_add(last_level(w)->subdirs, g_strdup(name));
    else
        remember_file(w, name, &attr);
}

/* Reads the present directory to its end. */
static void visit_entries(Walk *w)
{
    ssize_t got;

    while ((got = getdents64(w->fd, w->entries, ENTRIES_BUFFER)) > 0) {
        for (ssize_t at = 0; at < got && !quota_is_stopping(w->quota);) {
            const struct dirent64 *d = (const struct dirent64 *)(w->entries + at);

            visit_entry(w, d->d_name);
            at += d->d_reclen;
        }
        if (quota_is_stopping(w->quota))
            return;
    }
    if (got < 0)
        w->unreadable = true;
}

/* Goes into directory `fd`, whose path is set, and visits it. Takes over `fd`. */
static void enter_directory(Walk *w, int fd)
{
    Level level = {.path_length = w->path->len};
    FsAttr attr;

    move_to(w, fd);
    if (local_statx(fd, "", false, &attr) == 0) {
        level.device = local_attr_device(&attr);
        level.inode = attr.stx_ino;
    }
    level.subdirs = g_ptr_array_new_with_free_func(g_free);
    g_array_append_val(w->levels, level);
    visit_entries(w);
}

static bool is_level(int fd, const Level *level)
{
    FsAttr attr;

    return fd >= 0 && local_statx(fd, "", false, &attr) == 0 && attr.stx_ino == level->inode &&
           local_attr_device(&attr) == level->device;
}

/* Opens the directory of level `n`, whose parent is `parent`, if it is still there. Returns -1 when
 * it is not. */
static int open_level(Walk *w, int parent, unsigned n)
{
    const Level *level = &g_array_index(w->levels, Level, n);
    size_t start = g_array_index(w->levels, Level, n - 1).path_length;
    g_autofree char *name = g_strndup(w->path->str + start, level->path_length - start - 1);
    int fd = open_directory(parent, name);

    if (is_level(fd, level))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Finds the way from the root to the last level again, or as far as it is still there. */
static void find_way(Walk *w)
{
    int fd = open_directory(w->fs->root_fd, ".");

    for (unsigned n = 1; n < w->levels->len && fd >= 0; n++) {
        int next = open_level(w, fd, n);

        if (next < 0) {
            g_array_set_size(w->levels, n);
            break;
        }
        close(fd);
        fd = next;
    }
    move_to(w, fd < 0 ? -1 : fd);
}

/* Goes back to the parent of the present directory. */
static void leave_directory(Walk *w)
{
    int parent;

    g_array_set_size(w->levels, w->levels->len - 1);
    if (w->levels->len == 0)
        return;
    parent = openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (is_level(parent, last_level(w))) {
        move_to(w, parent);
    } else {
        if (parent >= 0)
            close(parent);
        quota_disturb(w->quota);
        find_way(w);
    }
    g_string_truncate(w->path, last_level(w)->path_length);
}

/* Goes into the next subdirectory that is still there. Returns false when none is left. */
static bool enter_next(Walk *w)
{
    GPtrArray *subdirs = last_level(w)->subdirs;

    while (subdirs->len > 0 && w->fd >= 0) {
        g_autofree char *name = g_ptr_array_steal_index(subdirs, subdirs->len - 1);
        int fd = open_directory(w->fd, name);

        if (fd >= 0) {
            g_string_append_printf(w->path, "%s/", name);
            enter_directory(w, fd);
            return true;
        }
        if (fd != -ENOENT && fd != -ENOTDIR)
            w->unreadable = true;
    }
    return false;
}

/* One walk through the whole tree. */
static void walk_tree(Walk *w)
{
    int fd = open_directory(w->fs->root_fd, ".");
    FsAttr attr;

    w->unreadable = fd < 0;
    if (fd < 0)
        return;
    g_string_truncate(w->path, 0);
    enter_directory(w, fd);
    count_entry(w, "", &attr);
    while (w->levels->len > 0 && !quota_is_stopping(w->quota)) {
        if (!enter_next(w))
            leave_directory(w);
    }
    g_array_set_size(w->levels, 0);
    move_to(w, -1);
}

/* A list begins anew with every walk: paths of the one before may lead nowhere now. */
static void walk_with_list(Walk *w)
{
    if (w->list)
        g_sequence_free(w->list);
    w->list = quota_options(w->quota)->auto_delete ? local_reclaim_new_list() : NULL;
    w->truncated = false;
    walk_tree(w);
}

static void end_count(Walk *w, bool disturbed)
{
    QuotaUse use;

    if (w->unreadable)
        log_warning("limits: some directories of the export cannot be read and are not counted");
    if (disturbed)
        log_notice("limits: directories were moved all the time while they were counted");
    if (w->list)
        local_reclaim_use_list(&w->fs->quota->reclaim, w->list);
    w->list = NULL;
    quota_end_count(w->quota, w->truncated);
    use = quota_use(w->quota);
    log_debug("limits: the export holds %" G_GUINT64_FORMAT " files, %" G_GUINT64_FORMAT " bytes",
              use.files, use.bytes);
}

static void count_tree(LocalFs *fs)
{
    Walk w = {
        .fs = fs,
        .quota = fs->quota->quota,
        .fd = -1,
        .path = g_string_new(NULL),
        .levels = g_array_new(FALSE, FALSE, sizeof(Level)),
        .entries = g_malloc(ENTRIES_BUFFER),
    };
    unsigned n_walks = 0;
    bool disturbed;

    g_array_set_clear_func(w.levels, clear_level);
    quota_begin_count(w.quota);
    do {
        walk_with_list(&w);
        disturbed = quota_was_disturbed(w.quota);
    } while (disturbed && ++n_walks < MAX_WALKS && !quota_is_stopping(w.quota));
    if (!quota_is_stopping(w.quota))
        end_count(&w, disturbed);
    if (w.list)
        g_sequence_free(w.list);
    g_array_unref(w.levels);
    g_string_free(w.path, TRUE);
    g_free(w.entries);
}

void *local_count_run(void *argument)
{
    LocalFs *fs = argument;

    while (quota_await_count(fs->quota->quota))
        count_tree(fs);
    return NULL;
}
