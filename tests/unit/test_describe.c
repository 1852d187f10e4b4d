/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages in words: each type, flags by name, and names that a client has chosen. */
#include "protocol/describe.h"

#include <errno.h>
#include <string.h>

static void expect_request(const Tmessage *t, const char *expected)
{
    g_autoptr(GString) out = g_string_new(NULL);

    describe_request(out, t, DIALECT_9P2000_L);
    g_assert_cmpstr(out->str, ==, expected);
}

static void test_requests(void)
{
    static const struct {
        Tmessage t;
        const char *expected;
    } cases[] = {
        {{.type = P9_TCLUNK}, ""},
        {{.type = P9_TVERSION, .version = {8192, (char *)"9P2000.L"}},
         "msize=8192 version=\"9P2000.L\""},
        {{.type = P9_TATTACH, .attach = {P9_NOFID, (char *)"", (char *)"/a", 1000}},
         "aname=\"/a\" uname=\"\" n_uname=1000"},
        {{.type = P9_TATTACH, .attach = {P9_NOFID, (char *)"u", (char *)"", P9_NOUSER}},
         "aname=\"\" uname=\"u\" n_uname=none"},
        {{.type = P9_TFLUSH, .flush = {7}}, "oldtag=7"},
        {{.type = P9_TWALK, .walk = {.newfid = 3, .n_names = 0}}, "newfid=3 names=none"},
        {{.type = P9_TWALK, .walk = {3, 2, {(char *)"a", (char *)".."}}},
         "newfid=3 names=\"a\"/\"..\""},
        {{.type = P9_TLOPEN, .lopen = {0}}, "flags=O_RDONLY"},
        {{.type = P9_TLOPEN, .lopen = {P9_L_RDWR | P9_L_TRUNC | P9_L_APPEND | 0x40000000}},
         "flags=O_RDWR|O_TRUNC|O_APPEND|0x40000000"},
        {{.type = P9_TOPEN, .open = {P9_OWRITE | P9_OTRUNC}}, "mode=OWRITE|OTRUNC"},
        {{.type = P9_TCREATE, .create = {(char *)"f", 0644, P9_ORDWR, (char *)""}},
         "name=\"f\" perm=0644 mode=ORDWR"},
        {{.type = P9_TLCREATE, .lcreate = {(char *)"f", P9_L_WRONLY | P9_L_EXCL, 0600, 5}},
         "name=\"f\" flags=O_WRONLY|O_EXCL mode=0600 gid=5"},
        {{.type = P9_TMKDIR, .lcreate = {(char *)"d", 0, 0755, 0}}, "name=\"d\" mode=0755 gid=0"},
        {{.type = P9_TSYMLINK, .symlink = {(char *)"l", (char *)"to", 1}},
         "name=\"l\" target=\"to\" gid=1"},
        {{.type = P9_TMKNOD, .mknod = {(char *)"n", 0020666, 1, 3, 0}},
         "name=\"n\" mode=020666 major=1 minor=3 gid=0"},
        {{.type = P9_TRENAME, .rename = {4, (char *)"n"}}, "dfid=4 name=\"n\""},
        {{.type = P9_TLINK, .link = {4, (char *)"n"}}, "file=4 name=\"n\""},
        {{.type = P9_TRENAMEAT, .renameat = {(char *)"a", 5, (char *)"b"}},
         "old_name=\"a\" new_dfid=5 new_name=\"b\""},
        {{.type = P9_TUNLINKAT, .unlinkat = {(char *)"a", P9_UNLINK_REMOVEDIR}},
         "name=\"a\" flags=AT_REMOVEDIR"},
        {{.type = P9_TUNLINKAT, .unlinkat = {(char *)"a", 0}}, "name=\"a\" flags=0"},
        {{.type = P9_TXATTRWALK, .xattrwalk = {9, (char *)"user.a"}}, "newfid=9 name=\"user.a\""},
        {{.type = P9_TXATTRCREATE, .xattrcreate = {(char *)"user.a", 3, P9_XATTR_CREATE}},
         "name=\"user.a\" size=3 flags=XATTR_CREATE"},
        {{.type = P9_TLOCK, .lock = {P9_LOCK_WRITE, P9_LOCK_FLAGS_BLOCK, 1, 2, 3, (char *)"c"}},
         "type=write flags=BLOCK start=1 length=2 proc_id=3 client_id=\"c\""},
        {{.type = P9_TGETLOCK, .lock = {9, 0, 0, 0, 3, (char *)""}},
         "type=9 start=0 length=0 proc_id=3 client_id=\"\""},
        {{.type = P9_TGETATTR, .getattr = {0x7ff}}, "mask=0x7ff"},
        {{.type = P9_TSETATTR,
          .setattr = {.valid = P9_SETATTR_MODE | P9_SETATTR_SIZE, .mode = 0600}},
         "valid=mode|size mode=0600 size=0"},
        {{.type = P9_TREAD, .io = {4096, 512, NULL}}, "offset=4096 count=512"},
        {{.type = P9_TFSYNC, .fsync = {1}}, "datasync=1"},
        {{.type = P9_TUNLINKAT, .unlinkat = {(char *)"a\"\\\n\x1b", 0}},
         "name=\"a\\\"\\\\\\n\\x1b\" flags=0"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        expect_request(&cases[i].t, cases[i].expected);
}

/* Only what a Twstat would change is told. */
static void test_wstat(void)
{
    Tmessage t = {.type = P9_TWSTAT};

    memset(&t.wstat, 0xff, sizeof(t.wstat));
    t.wstat.name = "new";
    t.wstat.gid = t.wstat.uid = t.wstat.muid = t.wstat.extension = "";
    t.wstat.length = 0;
    expect_request(&t, "name=\"new\" length=0");
}

static void expect_reply(uint8_t type, const char *body, size_t size, const char *expected)
{
    g_autoptr(GString) out = g_string_new(NULL);
    uint8_t bytes[128] = {0};

    memcpy(bytes + P9_HEADER_SIZE, body, size);
    describe_reply(out, type, bytes, P9_HEADER_SIZE + size);
    g_assert_cmpstr(out->str, ==, expected);
}

static void test_replies(void)
{
    expect_reply(P9_TCLUNK, "", 0, "");
    expect_reply(P9_TREAD, "\x05\0\0\0hello", 9, "count=5");
    expect_reply(P9_TATTACH, "\x80\x01\0\0\0\x02\0\0\0\0\0\0\0", 13, "qid=80.00000001.2");
    expect_reply(P9_TWALK, "\0\0", 2, "n_qids=0");
    expect_reply(P9_TREADLINK, "\x02\0a\n", 4, "target=\"a\\n\"");
    expect_reply(P9_TLOCK, "\x01", 1, "status=1");
}

static void test_errors(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    describe_error(out, ENOENT);
    g_string_append_c(out, ' ');
    describe_error(out, 99999);
    g_assert_cmpstr(out->str, ==, "ENOENT errno 99999");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/describe/requests", test_requests);
    g_test_add_func("/describe/wstat", test_wstat);
    g_test_add_func("/describe/replies", test_replies);
    g_test_add_func("/describe/errors", test_errors);
    return g_test_run();
}
