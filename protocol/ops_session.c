/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on the conversation: Tversion, Tattach, Tclunk. */
#include <errno.h>
#include <string.h>

#include "common/trace.h"
#include "protocol/ops.h"

enum { VERSION_REPLY_SIZE = 32 };

static const char *const version_l = "9P2000.L";
static const char *const version_unknown = "unknown";

/* Tversion begins a new conversation, whatever the old one was doing (version(5) of Plan 9). */
int op_version(Request *r)
{
    SessionState *state = &r->session->state;
    bool known = strcmp(r->t.version.version, version_l) == 0;
    const char *version = known ? version_l : version_unknown;
    ByteWriter *w = request_reply(r, VERSION_REPLY_SIZE);

    if (r->t.version.msize < P9_MSIZE_MIN)
        return -EMSGSIZE;
    session_reset(r->session, r);
    state->msize = MIN(r->t.version.msize, state->msize);
    state->negotiated = known;
    write_u32(w, state->msize);
    write_string(w, version, strlen(version));
    TRACE2(version, version, state->msize);
    return 0;
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
        request_stage_fid(r, r->t.fid, NULL, fid_new(r->t.attach.n_uname, root, NULL, 0));
        reply_qid(r, &qid);
    }
    fs_node_unref(root);
    return error;
}

int op_clunk(Request *r)
{
    clunk_fid(r);
    return 0;
}
