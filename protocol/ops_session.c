/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on the conversation: Tversion, Tattach, Tclunk. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/events.h"
#include "protocol/ops.h"

enum { VERSION_REPLY_SIZE = 32 };

/* Only a whole name counts. version(5) of Plan 9 would also allow to answer 9P2000 to what only
 * begins like it, but a client of such a dialect cannot be relied on to know the plain one. */
static Dialect find_dialect(const char *name)
{
    for (Dialect d = DIALECT_9P2000; d <= DIALECT_9P2000_L; d++) {
        if (strcmp(name, dialect_name(d)) == 0)
            return d;
    }
    return DIALECT_NONE;
}

/* Tversion begins a new conversation, whatever the old one was doing (version(5) of Plan 9). An
 * error is already told in the new dialect. */
int op_version(Request *r)
{
    Dialect dialect = find_dialect(r->t.version.version);
    const char *version = dialect_name(dialect);
    ByteWriter *w = request_reply(r, VERSION_REPLY_SIZE);
    uint32_t msize;

    r->dialect = dialect;
    if (r->t.version.msize < P9_MSIZE_MIN)
        return -EMSGSIZE;
    session_reset(r->session, r);
    msize = MIN(r->t.version.msize, session_max_message(r->session));
    session_agree(r->session, dialect, msize);
    write_u32(w, msize);
    write_string(w, version, strlen(version));
    event_version(r, version, msize);
    return 0;
}

/* The user that an attach is for: by number, or by a name that is one. Nobody else is known here. */
static uint32_t attached_user(const Request *r)
{
    uint32_t uid = r->t.attach.n_uname;

    if (uid == P9_NOUSER && !parse_number(r->t.attach.uname, &uid))
        uid = P9_NOUSER;
    return uid;
}

/* Clients without a wish say so in one of these ways. */
static bool means_root(const char *aname)
{
    return *aname == '\0' || strcmp(aname, "/") == 0 || strcmp(aname, "root") == 0;
}

/* Moves *at, a reference, to what is called `name` in it. "." and no name are what it is. */
static int step(FsNode **at, char *name)
{
    unsigned n_walked;
    FsNode *next;
    Qid qid;
    int error;

    if (*name == '\0')
        return 0;
    error = check_name(name);
    if (!error)
        error = (*at)->fs->ops->walk(*at, 1, &name, false, &next, &qid, &n_walked);
    if (error)
        return error;
    fs_node_unref(*at);
    *at = next;
    return 0;
}

/* Moves *at, a reference to the root, to the directory at the path `aname`. No symbolic link is
 * followed, and ".." does not leave the tree. */
static int walk_path(FsNode **at, const char *aname)
{
    g_auto(GStrv) names = NULL;
    int error = 0;

    if (strlen(aname) >= PATH_MAX)
        return -ENAMETOOLONG;
    names = g_strsplit(aname, "/", -1);
    for (char **name = names; *name && !error; name++)
        error = step(at, *name);
    if (!error && !S_ISDIR((*at)->type))
        error = -ENOTDIR;
    return error;
}

/* Makes a fid for the directory `node`. `is_root` tells that it is the tree's root. */
static int attach(Request *r, FsNode *node, bool is_root)
{
    Fid *fid;
    Qid qid;
    int error = node->fs->ops->getattr(node, NULL, NULL, &qid);

    if (error)
        return error;
    fid = fid_new(attached_user(r), node, NULL, 0);
    fid->attached = true;
    if (!is_root)
        fid->top = fs_node_ref(node);
    request_stage_fid(r, r->t.fid, NULL, fid);
    return reply_qid(r, &qid);
}

/* Tattach: aname is the path of a directory below the root, which then is the root for the client.
 * There may be several at the same time. */
int op_attach(Request *r)
{
    Fs *fs = r->session->fs;
    bool is_root = means_root(r->t.attach.aname);
    FsNode *node;
    int error;

    if (!is_root && r->nowait)
        return -EAGAIN;
    error = fs->ops->root(fs, &node);
    if (error)
        return error;
    if (!is_root)
        error = walk_path(&node, r->t.attach.aname);
    if (!error)
        error = attach(r, node, is_root);
    fs_node_unref(node);
    return error;
}

/* Tclunk: the fid is gone afterwards, also when the file that goes with it could not be removed, or
 * the attribute that was written could not be stored. */
int op_clunk(Request *r)
{
    bool removes = r->fid->remove_on_clunk;
    bool stores = r->fid->xattr && xattr_is_pending(r->fid->xattr);

    if ((removes || stores) && r->nowait)
        return -EAGAIN;
    clunk_fid(r);
    if (stores)
        return clunk_xattr(r);
    return removes ? remove_node(r->fid) : 0;
}
