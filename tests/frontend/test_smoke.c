/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each kind of frontend connects to the unmodified daemon, asks for its root's attributes, goes
 * away again, and leaves nothing behind. */
#include "tests/frontend/frontend.h"
#include "tests/standin/standin.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

enum { GUEST = 3 };

typedef struct Fixture {
    StandinDaemon *daemon;
    char *export;
    unsigned nodes; /* before any device was added */
} Fixture;

static Fixture fixture_open(void)
{
    Fixture f;

    standin_start();
    standin_domain_create(GUEST);
    f.export = g_build_filename(standin_dir(), "export", NULL);
    g_assert_cmpint(g_mkdir(f.export, 0755), ==, 0);
    f.daemon = standin_daemon_start(NULL);
    f.nodes = standin_count(STANDIN_NODES, 0);
    return f;
}

static void fixture_close(Fixture *f)
{
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, GUEST, 0), ==, 0);
    g_assert_cmpuint(standin_count_wait(STANDIN_PORTS, 0, 0), ==, 0);
    g_assert_cmpuint(standin_daemon_children_wait(f->daemon, 0), ==, 0);
    g_assert_cmpint(standin_daemon_stop(f->daemon), ==, 0);
    g_free(f->export);
    standin_stop();
}

static void assert_root_attributes(Frontend *frontend, const char *export)
{
    g_autoptr(P9Reply) reply = NULL;
    struct stat st;
    P9Attr attr;

    g_assert_cmpint(frontend_version(frontend), ==, 0);
    g_assert_cmpint(frontend_attach(frontend, 1), ==, 0);
    reply = frontend_transact(frontend, p9_tgetattr(7, 1, P9_GETATTR_ALL));
    g_assert_nonnull(reply);
    g_assert_true(p9_parse_attr(reply, &attr));
    g_assert_cmpint(stat(export, &st), ==, 0);
    g_assert_cmpuint(attr.mode, ==, st.st_mode);
    g_assert_cmpuint(attr.uid, ==, st.st_uid);
    g_assert_cmpint(frontend_call(frontend, p9_tclunk(8, 1), ""), ==, 0);
    for (unsigned i = 0; i < frontend->n_rings; i++)
        g_assert_cmpuint(frontend->rings[i].partial, ==, 0);
}

/* Connects, works, disconnects and connects again as `device` does. */
static void run_device(const Fixture *f, FrontendDevice device)
{
    Frontend *frontend;

    device.path = f->export;
    g_assert_true(toolstack_add_wait(&device));
    frontend = frontend_new(&device);
    for (int i = 0; i < 2; i++) {
        g_assert_true(frontend_connect(frontend));
        g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==,
                         device.n_rings * ((1U << device.order) + 1));
        assert_root_attributes(frontend, f->export);
        g_assert_true(frontend_disconnect(frontend));
    }
    frontend_free(frontend);
    g_assert_true(toolstack_remove(&device));
    g_assert_cmpuint(standin_count_wait(STANDIN_MAPPED_PAGES, GUEST, 0), ==, 0);
}

static void test_linux(void)
{
    Fixture f = fixture_open();

    run_device(&f, frontend_linux(GUEST, NULL));
    fixture_close(&f);
}

static void test_unikraft(void)
{
    Fixture f = fixture_open();

    run_device(&f, frontend_unikraft(GUEST, NULL));
    fixture_close(&f);
}

/* Mini-OS's transport and handshake, in the dialect that Tgetattr belongs to. */
static void test_minios(void)
{
    Fixture f = fixture_open();
    FrontendDevice device = frontend_minios(GUEST, NULL);

    device.dialect = "9P2000.L";
    run_device(&f, device);
    fixture_close(&f);
}

/* All at once, and indices that wrap around. */
static void test_three_devices(void)
{
    Fixture f = fixture_open();
    FrontendDevice devices[] = {
        frontend_linux(GUEST, f.export),
        frontend_unikraft(GUEST, f.export),
        frontend_linux(GUEST, f.export),
    };
    Frontend *frontends[G_N_ELEMENTS(devices)];

    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        devices[i].devid = i;
        devices[i].first_index = UINT32_MAX - 10;
        g_assert_true(toolstack_add_wait(&devices[i]));
        frontends[i] = frontend_new(&devices[i]);
        g_assert_true(frontend_connect(frontends[i]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++)
        assert_root_attributes(frontends[i], f.export);
    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        g_assert_true(frontend_remove(frontends[i]));
        frontend_free(frontends[i]);
    }
    fixture_close(&f);
}

/* The guest is destroyed: its device goes, and the domain does not stay as a zombie. */
static void test_destroyed_guest(void)
{
    Fixture f = fixture_open();
    FrontendDevice device = frontend_linux(GUEST, f.export);
    Frontend *frontend;

    g_assert_true(toolstack_add_wait(&device));
    frontend = frontend_new(&device);
    g_assert_true(frontend_connect(frontend));
    assert_root_attributes(frontend, f.export);
    standin_domain_set_state(GUEST, STANDIN_DYING);
    toolstack_delete(&device);
    frontend_free(frontend);
    for (int i = 0; i < 1000 && standin_domain_exists(GUEST); i++)
        g_usleep(2000);
    g_assert_false(standin_domain_exists(GUEST));
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frontend/smoke/linux", test_linux);
    g_test_add_func("/frontend/smoke/unikraft", test_unikraft);
    g_test_add_func("/frontend/smoke/minios", test_minios);
    g_test_add_func("/frontend/smoke/three-devices", test_three_devices);
    g_test_add_func("/frontend/smoke/destroyed-guest", test_destroyed_guest);
    return g_test_run();
}
