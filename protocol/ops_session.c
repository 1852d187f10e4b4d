/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on the conversation: Tversion, Tattach, Tclunk. */
#include <errno.h>
#include <string.h>

#include "common/trace.h"
#include "protocol/ops.h"

enum { VERSION_REPLY_SIZE = 32 };

static const char *const dialect_names[] = {
    [DIALECT_NONE] = "unknown",
    [DIALECT_9P2000] = "9P2000",
    [DIALECT_9P2000_U] = "9P2000.u",
    [DIALECT_9P2000_L] = "9P2000.L",
};

/* Only a whole name counts. version(5) of Plan 9 would also allow to answer 9P2000 to what only
 * begins like it, but a client of such a dialect cannot be relied on to know the plain one. */
static Dialect find_dialect(const char *name)
{
    for (size_t i = DIALECT_9P2000; i < G_N_ELEMENTS(dialect_names); i++) {
        if (strcmp(name, dialect_names[i]) == 0)
            return (Dialect)i;
    }
    return DIALECT_NONE;
}

/* Tversion begins a new conversation, whatever the old one was doing (version(5) of Plan 9). An
 * error is already told in the new dialect. */
int op_version(Request *r)
{
    SessionState *state = &r->session->state;
    Dialect dialect = find_dialect(r->t.version.version);
    const char *version = dialect_names[dialect];
    ByteWriter *w = request_reply(r, VERSION_REPLY_SIZE);

    r->dialect = dialect;
    if (r->t.version.msize < P9_MSIZE_MIN)
        return -EMSGSIZE;
    session_reset(r->session, r);
    state->msize = MIN(r->t.version.msize, state->msize);
    state->dialect = dialect;
    write_u32(w, state->msize);
    write_string(w, version, strlen(version));
    TRACE2(version, version, state->msize);
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

int op_attach(Request *r)
{
    Fs *fs = r->session->fs;
    FsNode *root;
    Qid qid;
    int error;

    error = fs->ops->root(fs, &root);
    if (error)
        return error;
    error = fs->ops->getattr(root, NULL, NULL, &qid);
    if (!error) {
        request_stage_fid(r, r->t.fid, NULL, fid_new(attached_user(r), root, NULL, 0));
        reply_qid(r, &qid);
    }
    fs_node_unref(root);
    return error;
}

/* Tclunk: the fid is gone afterwards, also when the file that goes with it could not be removed, or
 * the attribute that was written could not be stored. */
int op_clunk(Request *r)
{
    FsNode *node = r->fid->node;
    bool removes = r->fid->remove_on_clunk;
    bool stores = r->fid->xattr && xattr_is_pending(r->fid->xattr);

    if ((removes || stores) && r->nowait)
        return -EAGAIN;
    clunk_fid(r);
    if (stores)
        return clunk_xattr(r);
    return removes ? node->fs->ops->remove(node) : 0;
}
