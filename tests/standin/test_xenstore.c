/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stand-in's xenstore answers as xenstored does. */
#include "tests/standin/standin.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenstore.h>

enum { GUEST = 3 };

typedef struct Fixture {
    struct xs_handle *dom0;
    struct xs_handle *guest;
} Fixture;

static Fixture fixture_open(void)
{
    Fixture f;

    standin_start();
    standin_domain_create(GUEST);
    f.dom0 = xs_open(0);
    standin_set_domid(GUEST);
    f.guest = xs_open(0);
    standin_set_domid(0);
    g_assert_true(f.dom0 && f.guest);
    return f;
}

static void fixture_close(Fixture *f)
{
    xs_close(f->dom0);
    xs_close(f->guest);
    g_assert_cmpuint(standin_count(STANDIN_WATCHES, 0), ==, 0);
    g_assert_cmpuint(standin_count(STANDIN_TRANSACTIONS, 0), ==, 0);
    standin_stop();
}

static bool put(struct xs_handle *xs, xs_transaction_t t, const char *path, const char *value)
{
    return xs_write(xs, t, path, value, (unsigned)strlen(value));
}

static void assert_value(struct xs_handle *xs, xs_transaction_t t, const char *path,
                         const char *expected)
{
    unsigned size = 0;
    char *value = xs_read(xs, t, path, &size);

    g_assert_cmpstr(value, ==, expected);
    if (expected)
        g_assert_cmpuint(size, ==, strlen(expected));
    else
        g_assert_cmpint(errno, ==, ENOENT);
    free(value);
}

static void assert_no_event(struct xs_handle *xs)
{
    g_assert_null(xs_check_watch(xs));
    g_assert_cmpint(errno, ==, EAGAIN);
}

static void assert_event(struct xs_handle *xs, const char *path, const char *token)
{
    struct pollfd fd = {.fd = xs_fileno(xs), .events = POLLIN};
    char **event;

    g_assert_cmpint(poll(&fd, 1, 1000), ==, 1);
    event = xs_check_watch(xs);
    g_assert_nonnull(event);
    g_assert_cmpstr(event[XS_WATCH_PATH], ==, path);
    g_assert_cmpstr(event[XS_WATCH_TOKEN], ==, token);
    free(event);
}

static void test_read_write(void)
{
    Fixture f = fixture_open();
    unsigned count;
    char **names;

    g_assert_true(put(f.dom0, XBT_NULL, "/a/b/c", "value"));
    assert_value(f.dom0, XBT_NULL, "/a/b/c", "value");
    assert_value(f.dom0, XBT_NULL, "/a/b", "");
    assert_value(f.dom0, XBT_NULL, "/a/x", NULL);
    assert_value(f.dom0, XBT_NULL, "domid", "0"); /* relative to the domain's home */
    assert_value(f.guest, XBT_NULL, "domid", "3");
    g_assert_true(xs_mkdir(f.dom0, XBT_NULL, "/a/d"));
    g_assert_true(xs_mkdir(f.dom0, XBT_NULL, "/a/d"));
    names = xs_directory(f.dom0, XBT_NULL, "/a", &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(names[0], ==, "b");
    g_assert_cmpstr(names[1], ==, "d");
    free(names);
    names = xs_directory(f.dom0, XBT_NULL, "/a/d", &count);
    g_assert_nonnull(names);
    g_assert_cmpuint(count, ==, 0);
    free(names);
    g_assert_null(xs_directory(f.dom0, XBT_NULL, "/nothing", &count));
    g_assert_cmpint(errno, ==, ENOENT);
    fixture_close(&f);
}

static void test_bad_paths(void)
{
    static const char *const bad[] = {"", "/a//b", "/a/", "/a b", "/\303\244", "@special"};
    Fixture f = fixture_open();
    g_autofree char *too_long = g_strnfill(XENSTORE_ABS_PATH_MAX, 'a');
    g_autofree char *big = g_strnfill(XENSTORE_PAYLOAD_MAX, 'x');

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(put(f.dom0, XBT_NULL, bad[i], "x"));
        g_assert_cmpint(errno, ==, EINVAL);
    }
    too_long[0] = '/';
    g_assert_false(put(f.dom0, XBT_NULL, too_long, "x"));
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_false(put(f.dom0, XBT_NULL, "/a", big));
    g_assert_cmpint(errno, ==, E2BIG);
    fixture_close(&f);
}

static void test_removal(void)
{
    Fixture f = fixture_open();

    put(f.dom0, XBT_NULL, "/a/b/c", "1");
    g_assert_true(xs_rm(f.dom0, XBT_NULL, "/a/b"));
    assert_value(f.dom0, XBT_NULL, "/a/b/c", NULL);
    g_assert_true(xs_rm(f.dom0, XBT_NULL, "/a/b")); /* its parent is there */
    g_assert_false(xs_rm(f.dom0, XBT_NULL, "/x/y"));
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_false(xs_rm(f.dom0, XBT_NULL, "/"));
    g_assert_cmpint(errno, ==, EINVAL);
    fixture_close(&f);
}

static void test_permissions(void)
{
    Fixture f = fixture_open();
    struct xs_permissions mine[] = {{.id = GUEST, .perms = XS_PERM_NONE}};
    struct xs_permissions *perms;
    unsigned count;

    g_assert_false(put(f.guest, XBT_NULL, "/local/domain/0/x", "1"));
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_false(put(f.guest, XBT_NULL, "device/9pfs/0/state", "1"));
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_true(put(f.guest, XBT_NULL, "data/x", "1"));

    g_assert_true(xs_mkdir(f.dom0, XBT_NULL, "/local/domain/3/device/9pfs/0"));
    g_assert_true(xs_set_permissions(f.dom0, XBT_NULL, "/local/domain/3/device/9pfs/0", mine, 1));
    g_assert_true(put(f.guest, XBT_NULL, "device/9pfs/0/state", "1"));
    perms = xs_get_permissions(f.guest, XBT_NULL, "device/9pfs/0/state", &count);
    g_assert_nonnull(perms);
    g_assert_cmpuint(perms[0].id, ==, GUEST);
    free(perms);
    g_assert_true(xs_rm(f.guest, XBT_NULL, "device/9pfs/0/state"));

    put(f.dom0, XBT_NULL, "/secret", "1");
    mine[0].id = 0;
    g_assert_true(xs_set_permissions(f.dom0, XBT_NULL, "/secret", mine, 1));
    g_assert_null(xs_read(f.guest, XBT_NULL, "/secret", &count));
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_null(xs_read(f.guest, XBT_NULL, "/secret/below", &count));
    g_assert_cmpint(errno, ==, EACCES);
    g_assert_false(xs_set_permissions(f.guest, XBT_NULL, "data", mine, 1));
    g_assert_cmpint(errno, ==, EPERM); /* not to give away */
    fixture_close(&f);
}

static void test_quota(void)
{
    Fixture f = fixture_open();
    g_autofree char *big = g_strnfill(2100, 'x');
    int made = 0;

    g_assert_false(put(f.guest, XBT_NULL, "data/big", big));
    g_assert_cmpint(errno, ==, ENOSPC);
    g_assert_true(put(f.dom0, XBT_NULL, "/big", big));
    for (int i = 0; i < 2000; i++) {
        g_autofree char *path = g_strdup_printf("data/%d/%d", i / 50, i);
        if (!put(f.guest, XBT_NULL, path, "1"))
            break;
        made++;
    }
    g_assert_cmpint(errno, ==, ENOSPC);
    g_assert_cmpint(made, >, 800);
    g_assert_cmpint(made, <, 1000);
    fixture_close(&f);
}

static void test_watches(void)
{
    Fixture f = fixture_open();

    g_assert_true(xs_watch(f.dom0, "/a", "token"));
    assert_event(f.dom0, "/a", "token"); /* once at first */
    assert_no_event(f.dom0);
    put(f.dom0, XBT_NULL, "/a/b/c", "1");
    assert_event(f.dom0, "/a/b/c", "token");
    put(f.dom0, XBT_NULL, "/aa", "1");
    assert_no_event(f.dom0);
    xs_rm(f.dom0, XBT_NULL, "/a/b");
    assert_event(f.dom0, "/a/b", "token");
    assert_no_event(f.dom0);

    g_assert_true(xs_watch(f.dom0, "data/x", "relative"));
    assert_event(f.dom0, "data/x", "relative");
    put(f.dom0, XBT_NULL, "/local/domain/0/data/x/y", "1");
    assert_event(f.dom0, "data/x/y", "relative");
    xs_rm(f.dom0, XBT_NULL, "data"); /* what is watched goes with what is above it */
    assert_event(f.dom0, "data/x", "relative");
    assert_no_event(f.dom0);

    g_assert_false(xs_watch(f.dom0, "/a", "token"));
    g_assert_cmpint(errno, ==, EEXIST);
    g_assert_true(xs_unwatch(f.dom0, "/a", "token"));
    g_assert_false(xs_unwatch(f.dom0, "/a", "token"));
    g_assert_cmpint(errno, ==, ENOENT);
    put(f.dom0, XBT_NULL, "/a", "1");
    assert_no_event(f.dom0);
    fixture_close(&f);
}

static void test_watch_filter(void)
{
    Fixture f = fixture_open();
    struct xs_handle *xs = xs_open(XS_UNWATCH_FILTER);

    xs_watch(xs, "/a", "a");
    xs_watch(xs, "/b", "b");
    put(f.dom0, XBT_NULL, "/a/1", "");
    put(f.dom0, XBT_NULL, "/b/1", "");
    g_assert_true(xs_unwatch(xs, "/a", "a"));
    assert_event(xs, "/b", "b");
    assert_event(xs, "/b/1", "b");
    assert_no_event(xs);
    xs_close(xs);
    fixture_close(&f);
}

/* A reader that does not read loses nothing, and holds up nobody. */
static void test_slow_watcher(void)
{
    Fixture f = fixture_open();

    xs_watch(f.dom0, "/a", "token");
    for (int i = 0; i < 5000; i++)
        put(f.dom0, XBT_NULL, "/a", "1");
    for (int i = 0; i < 5001; i++)
        assert_event(f.dom0, "/a", "token");
    assert_no_event(f.dom0);
    fixture_close(&f);
}

static void test_watch_permissions(void)
{
    Fixture f = fixture_open();
    struct xs_permissions secret[] = {{.id = 0, .perms = XS_PERM_NONE}};

    put(f.dom0, XBT_NULL, "/a", "1");
    xs_set_permissions(f.dom0, XBT_NULL, "/a", secret, 1);
    xs_watch(f.guest, "/a", "token");
    assert_event(f.guest, "/a", "token");
    put(f.dom0, XBT_NULL, "/a", "2");
    assert_no_event(f.guest);
    fixture_close(&f);
}

static void test_special_watches(void)
{
    Fixture f = fixture_open();

    xs_watch(f.dom0, "@releaseDomain", "r");
    xs_watch(f.dom0, "@introduceDomain", "i");
    assert_event(f.dom0, "@releaseDomain", "r");
    assert_event(f.dom0, "@introduceDomain", "i");
    standin_domain_create(9);
    assert_event(f.dom0, "@introduceDomain", "i");
    g_assert_true(xs_is_domain_introduced(f.dom0, 9));
    standin_domain_set_state(9, STANDIN_DYING);
    assert_event(f.dom0, "@releaseDomain", "r"); /* dying, then gone */
    assert_event(f.dom0, "@releaseDomain", "r");
    assert_no_event(f.dom0);
    g_assert_false(xs_is_domain_introduced(f.dom0, 9));
    fixture_close(&f);
}

static void test_transactions(void)
{
    Fixture f = fixture_open();
    xs_transaction_t t = xs_transaction_start(f.dom0);

    g_assert_cmpuint(t, !=, XBT_NULL);
    xs_watch(f.guest, "data", "token");
    assert_event(f.guest, "data", "token");
    g_assert_true(put(f.dom0, t, "/local/domain/3/data/x", "1"));
    g_assert_true(put(f.dom0, t, "/local/domain/3/data/x", "2"));
    assert_value(f.dom0, t, "/local/domain/3/data/x", "2");
    assert_value(f.guest, XBT_NULL, "data/x", NULL); /* not seen outside */
    assert_no_event(f.guest);
    g_assert_true(xs_transaction_end(f.dom0, t, false));
    assert_event(f.guest, "data/x", "token");
    assert_no_event(f.guest);
    assert_value(f.guest, XBT_NULL, "data/x", "2");

    t = xs_transaction_start(f.dom0);
    put(f.dom0, t, "/gone", "1");
    g_assert_true(xs_transaction_end(f.dom0, t, true));
    assert_value(f.dom0, XBT_NULL, "/gone", NULL);
    g_assert_false(xs_transaction_end(f.dom0, t, false));
    g_assert_cmpint(errno, ==, ENOENT);
    g_assert_false(put(f.dom0, 12345, "/x", "1"));
    g_assert_cmpint(errno, ==, ENOENT);
    fixture_close(&f);
}

/* The nodes that two transactions and the store share stay apart when one of them changes. */
static void test_transactions_apart(void)
{
    Fixture f = fixture_open();
    xs_transaction_t writes, removes;

    g_assert_true(put(f.dom0, XBT_NULL, "/a/b/c", "old"));
    g_assert_true(put(f.dom0, XBT_NULL, "/a/b/d", "kept"));
    writes = xs_transaction_start(f.dom0);
    removes = xs_transaction_start(f.dom0);
    g_assert_true(put(f.dom0, writes, "/a/b/c", "new"));
    g_assert_true(put(f.dom0, writes, "/a/b/e", "made"));
    g_assert_true(xs_rm(f.dom0, removes, "/a/b"));
    assert_value(f.dom0, writes, "/a/b/c", "new");
    assert_value(f.dom0, writes, "/a/b/d", "kept");
    assert_value(f.dom0, removes, "/a/b/d", NULL);
    assert_value(f.dom0, XBT_NULL, "/a/b/c", "old");
    assert_value(f.dom0, XBT_NULL, "/a/b/e", NULL);
    g_assert_true(put(f.dom0, XBT_NULL, "/a/b/d", "later"));
    assert_value(f.dom0, writes, "/a/b/d", "kept");
    g_assert_true(xs_transaction_end(f.dom0, writes, true));
    g_assert_true(xs_transaction_end(f.dom0, removes, true));
    assert_value(f.dom0, XBT_NULL, "/a/b/c", "old");
    assert_value(f.dom0, XBT_NULL, "/a/b/d", "later");
    fixture_close(&f);
}

static void assert_end(struct xs_handle *xs, xs_transaction_t t, int error)
{
    bool ended = xs_transaction_end(xs, t, false);

    g_assert_cmpint(ended ? 0 : errno, ==, error);
}

static void test_conflicts(void)
{
    Fixture f = fixture_open();
    xs_transaction_t t = xs_transaction_start(f.dom0);

    put(f.dom0, t, "/a", "mine");
    put(f.dom0, XBT_NULL, "/a", "theirs"); /* both write */
    assert_end(f.dom0, t, EAGAIN);
    assert_value(f.dom0, XBT_NULL, "/a", "theirs");

    t = xs_transaction_start(f.dom0);
    assert_value(f.dom0, t, "/claim", NULL); /* what was read as absent has come */
    put(f.dom0, t, "/claimed", "mine");
    put(f.dom0, XBT_NULL, "/claim", "theirs");
    assert_end(f.dom0, t, EAGAIN);

    t = xs_transaction_start(f.dom0); /* elsewhere: no conflict */
    assert_value(f.dom0, t, "/claim", "theirs");
    put(f.dom0, t, "/claim", "mine");
    put(f.dom0, XBT_NULL, "/local/domain/0/other", "1");
    assert_end(f.dom0, t, 0);
    assert_value(f.dom0, XBT_NULL, "/claim", "mine");
    fixture_close(&f);
}

static void test_domain_list(void)
{
    Fixture f = fixture_open();
    xc_interface *xch = xc_interface_open(NULL, NULL, 0);
    xc_domaininfo_t info[4];

    g_assert_cmpint(xc_domain_getinfolist(xch, 0, 4, info), ==, 2);
    g_assert_cmpuint(info[1].domain, ==, GUEST);
    g_assert_true(info[1].flags & XEN_DOMINF_running);
    standin_domain_set_state(GUEST, STANDIN_SHUTDOWN);
    g_assert_cmpint(xc_domain_getinfolist(xch, 1, 4, info), ==, 1);
    g_assert_true(info[0].flags & XEN_DOMINF_shutdown);
    standin_domain_set_state(GUEST, STANDIN_DYING);
    g_assert_cmpint(xc_domain_getinfolist(xch, 1, 4, info), ==, 0);
    xc_interface_close(xch);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/standin/xenstore/read-write", test_read_write);
    g_test_add_func("/standin/xenstore/bad-paths", test_bad_paths);
    g_test_add_func("/standin/xenstore/removal", test_removal);
    g_test_add_func("/standin/xenstore/permissions", test_permissions);
    g_test_add_func("/standin/xenstore/quota", test_quota);
    g_test_add_func("/standin/xenstore/watches", test_watches);
    g_test_add_func("/standin/xenstore/watch-filter", test_watch_filter);
    g_test_add_func("/standin/xenstore/slow-watcher", test_slow_watcher);
    g_test_add_func("/standin/xenstore/watch-permissions", test_watch_permissions);
    g_test_add_func("/standin/xenstore/special-watches", test_special_watches);
    g_test_add_func("/standin/xenstore/transactions", test_transactions);
    g_test_add_func("/standin/xenstore/transactions-apart", test_transactions_apart);
    g_test_add_func("/standin/xenstore/conflicts", test_conflicts);
    g_test_add_func("/standin/xenstore/domain-list", test_domain_list);
    return g_test_run();
}
