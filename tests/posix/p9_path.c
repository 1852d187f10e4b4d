/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P9: paths and permissions; see p9.h. */
#include <endian.h>
#include <unistd.h>

#include "tests/posix/p9.h"

enum { MAX_LINKS = 40 };

/*
 * Permissions
 */

bool p9_is_root(const P9 *p9)
{
    return p9->user->uid == 0;
}

bool p9_is_owner(const P9 *p9, const struct stat *st)
{
    return p9_is_root(p9) || st->st_uid == p9->user->uid;
}

bool p9_in_group(const P9 *p9, gid_t gid)
{
    for (unsigned i = 0; i < p9->user->n_groups; i++) {
        if (p9->user->groups[i] == gid)
            return true;
    }
    return p9->user->gid == gid;
}

enum { ACL_USER = 0x02, ACL_GROUP_OBJ = 0x04, ACL_GROUP = 0x08, ACL_MASK = 0x10, ACL_OTHER = 0x20 };

typedef struct AclEntry {
    uint16_t tag, permissions;
    uint32_t id;
} AclEntry;

static unsigned mask_of(const AclEntry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (le16toh(entries[i].tag) == ACL_MASK)
            return le16toh(entries[i].permissions);
    }
    return 07;
}

/* Whether an entry speaks for the present user, who is not the owner. */
static bool entry_is_for(const P9 *p9, const AclEntry *e, const struct stat *st)
{
    switch (le16toh(e->tag)) {
    case ACL_USER:
        return le32toh(e->id) == p9->user->uid;
    case ACL_GROUP_OBJ:
        return p9_in_group(p9, st->st_gid);
    case ACL_GROUP:
        return p9_in_group(p9, le32toh(e->id));
    default:
        return false;
    }
}

/* As acl(5) describes the access check algorithm, for others than the owner. */
static int check_acl(const P9 *p9, const AclEntry *entries, size_t n, const struct stat *st,
                     unsigned want)
{
    unsigned mask = mask_of(entries, n);
    bool in_some_group = false;

    for (size_t i = 0; i < n; i++) {
        unsigned tag = le16toh(entries[i].tag), has = le16toh(entries[i].permissions);

        if (tag == ACL_OTHER && !in_some_group)
            return (has & want) == want ? 0 : -EACCES;
        if (!entry_is_for(p9, &entries[i], st))
            continue;
        if ((has & want) == want || tag == ACL_USER)
            return (has & mask & want) == want ? 0 : -EACCES;
        in_some_group = true;
    }
    return -EACCES;
}

/* Returns 1 when the file has no ACL. */
static int may_by_acl(P9 *p9, const P9File *file, unsigned want)
{
    AclEntry value[64];
    ssize_t size = p9_get_xattr(p9, file->fid, "system.posix_acl_access", value, sizeof(value));
    const char *entries = (const char *)value + sizeof(uint32_t); /* behind the version */

    if (size < 0)
        return 1;
    return check_acl(p9, (const AclEntry *)entries, (size_t)size / sizeof(AclEntry), &file->st,
                     want);
}

static int may_by_mode(P9 *p9, const P9File *file, unsigned want)
{
    mode_t mode = file->st.st_mode;

    if (file->st.st_uid == p9->user->uid) {
        mode >>= 6;
    } else {
        if (p9->acls && !S_ISLNK(mode) && (mode & S_IRWXG)) {
            int result = may_by_acl(p9, file, want);
            if (result != 1)
                return result;
        }
        if (p9_in_group(p9, file->st.st_gid))
            mode >>= 3;
    }
    return (mode & want) == want ? 0 : -EACCES;
}

int p9_may(P9 *p9, const P9File *file, int mask)
{
    mode_t mode = file->st.st_mode;
    int error = may_by_mode(p9, file, (unsigned)mask);

    if (!error || !p9_is_root(p9))
        return error;
    return S_ISDIR(mode) || !(mask & X_OK) || (mode & 0111) ? 0 : -EACCES;
}

bool p9_has_default_acl(P9 *p9, const P9File *dir)
{
    return p9->acls && p9_get_xattr(p9, dir->fid, "system.posix_acl_default", NULL, 0) > 0;
}

mode_t p9_new_mode(P9 *p9, const P9File *dir, mode_t mode)
{
    bool keeps_setgid = p9_is_root(p9) || p9_in_group(p9, dir->st.st_gid);

    if ((dir->st.st_mode & S_ISGID) && !S_ISDIR(mode) && (mode & S_ISGID) && (mode & S_IXGRP) &&
        !keeps_setgid)
        mode &= ~(mode_t)S_ISGID;
    return p9_has_default_acl(p9, dir) ? mode : mode & ~p9->umask;
}

gid_t p9_new_gid(const P9 *p9, const P9File *dir)
{
    return dir->st.st_mode & S_ISGID ? dir->st.st_gid : p9->user->gid;
}

void p9_kill_setid(const P9 *p9, const struct stat *st, bool by_chown, FsChange *change)
{
    mode_t mode = st->st_mode & 07777;

    if (S_ISDIR(st->st_mode) || (!by_chown && (p9_is_root(p9) || !S_ISREG(st->st_mode))))
        return;
    mode &= ~(mode_t)S_ISUID;
    if ((mode & S_IXGRP) || !(p9_is_root(p9) || p9_in_group(p9, st->st_gid)))
        mode &= ~(mode_t)S_ISGID;
    if (mode == (st->st_mode & 07777))
        return;
    change->valid |= P9_SETATTR_MODE;
    change->mode = mode;
}

/*
 * Paths
 */

uint32_t p9_new_fid(P9 *p9)
{
    return p9->next_fid++;
}

void p9_drop(P9 *p9, const P9File *file)
{
    g_assert_cmpint(p9->remote->clunk(p9, file->fid), ==, 0);
}

bool p9_is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int p9_lookup(P9 *p9, const P9File *dir, const char *name, P9File *file)
{
    int error;

    file->fid = p9_new_fid(p9);
    error = p9->remote->walk(p9, dir->fid, file->fid, strcmp(name, ".") == 0 ? "" : name);
    if (error)
        return error;
    error = p9->remote->getattr(p9, file->fid, &file->st);
    if (error)
        p9_drop(p9, file);
    return error;
}

/* A path on its way: what is left of it, from where. */
typedef struct Walk {
    P9 *p9;
    P9File at;
    char *path; /* owned */
    char *rest;
    unsigned *n_links;
    char name[NAME_MAX + 1];
    bool slash; /* behind the name */
    bool last;  /* nothing comes behind it but slashes */
} Walk;

/* Cuts the next name off. Returns false when there is none. */
static bool take_name(Walk *w, int *error)
{
    size_t length;

    w->rest += strspn(w->rest, "/");
    length = strcspn(w->rest, "/");
    *error = length > NAME_MAX ? -ENAMETOOLONG : 0;
    if (length == 0 || *error)
        return length > 0;
    memcpy(w->name, w->rest, length);
    w->name[length] = '\0';
    w->rest += length;
    w->slash = *w->rest == '/';
    w->last = w->rest[strspn(w->rest, "/")] == '\0';
    return true;
}

/* Puts the target of a symbolic link in front of the rest. */
static int follow_link(Walk *w, const P9File *link)
{
    char target[PATH_MAX];
    char *path;
    int error;

    if (++*w->n_links > MAX_LINKS)
        return -ELOOP;
    error = w->p9->remote->readlink(w->p9, link->fid, target);
    if (error)
        return error;
    if (target[0] == '/') /* another file system, where nothing is */
        return -ENOENT;
    path = g_strconcat(target, w->rest, NULL);
    g_free(w->path);
    w->path = w->rest = path;
    return 0;
}

/* Goes on to the next file, or into the text of a link. */
static int step(Walk *w, bool follow)
{
    P9File next;
    int error = p9_lookup(w->p9, &w->at, w->name, &next);

    if (error)
        return error;
    if (S_ISLNK(next.st.st_mode) && (!w->last || w->slash || follow)) {
        error = follow_link(w, &next);
        p9_drop(w->p9, &next);
        return error;
    }
    p9_drop(w->p9, &w->at);
    w->at = next;
    return w->slash && !S_ISDIR(next.st.st_mode) ? -ENOTDIR : 0;
}

/* Walks to the end, or, for `last`, to the directory of the last name. */
static int walk(Walk *w, bool follow, P9Last *last)
{
    int error = 0;

    while (!error && take_name(w, &error)) {
        bool too_long = error != 0;

        error = S_ISDIR(w->at.st.st_mode) ? p9_may(w->p9, &w->at, X_OK) : -ENOTDIR;
        if (!error && too_long)
            error = -ENAMETOOLONG;
        if (error)
            break;
        if (w->last && last) {
            strcpy(last->name, w->name);
            last->slash = w->slash;
            last->dir = w->at;
            return 0;
        }
        if (strcmp(w->name, ".") != 0)
            error = step(w, follow);
    }
    return error ? error : last ? -ENOENT : 0;
}

static int walk_path(P9 *p9, const P9File *start, const char *path, bool follow, unsigned *n_links,
                     P9Last *last, P9File *file)
{
    Walk w = {.p9 = p9, .n_links = n_links};
    int error;

    if (path[0] == '\0')
        return -ENOENT;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    error = p9_lookup(p9, start, ".", &w.at);
    if (error)
        return error;
    w.path = w.rest = g_strdup(path);
    error = walk(&w, follow, last);
    g_free(w.path);
    if (error)
        p9_drop(p9, &w.at);
    else if (!last)
        *file = w.at;
    return error;
}

int p9_find(P9 *p9, const char *path, bool follow, P9File *file)
{
    unsigned n_links = 0;
    P9File start;
    int error = p9_start(p9, &start.fid);

    return error ? error : walk_path(p9, &start, path, follow, &n_links, NULL, file);
}

int p9_find_last_from(P9 *p9, const P9File *start, const char *path, unsigned *n_links,
                      P9Last *last)
{
    return walk_path(p9, start, path, false, n_links, last, NULL);
}

int p9_find_last(P9 *p9, const char *path, P9Last *last)
{
    unsigned n_links = 0;
    P9File start;
    int error = p9_start(p9, &start.fid);

    return error ? error : p9_find_last_from(p9, &start, path, &n_links, last);
}
