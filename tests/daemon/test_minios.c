/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mini-OS as a guest, all that its frontend does: one small ring, 9P2000.u, a Tversion that is
 * numbered like any other request, an attach with afid 0 and "root", walks of one name that move
 * their fid. Files are read, written, appended to and created in pieces of the agreed size.
 */
#include "tests/daemon/fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/frontend/frontend.h"

enum { GUEST = 2, ROOT = 0, FID = 1, IO_HEADER = 24 };
enum { OREAD = 0, OWRITE = 1, ORDWR = 2, OTRUNC = 0x10 };

typedef struct Guest {
    FrontendDevice device;
    Frontend *frontend;
} Guest;

static void mount_share(Guest *g)
{
    g_assert_true(frontend_connect(g->frontend));
    g_assert_cmpint(frontend_version(g->frontend), ==, 0);
    g_assert_cmpuint(g->frontend->msize, ==, 16 * 1024);
    g_assert_cmpint(frontend_attach(g->frontend, ROOT), ==, 0);
}

static Guest guest_start(const Fixture *fixture)
{
    Guest g = {.device = frontend_minios(GUEST, fixture->export)};

    g_assert_true(toolstack_add_wait(&g.device));
    g.frontend = frontend_new(&g.device);
    mount_share(&g);
    return g;
}

static void guest_end(Guest *g)
{
    g_assert_true(frontend_disconnect(g->frontend));
    g_assert_true(toolstack_remove(&g->device));
    frontend_free(g->frontend);
}

/* First a clone, then name by name with the same fid. */
static int walk(Guest *g, uint32_t fid, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    int error = frontend_call(g->frontend, p9_twalk(1, ROOT, fid, ""), "w", NULL);

    for (char **name = names; *name && !error; name++) {
        error = frontend_call(g->frontend, p9_twalk(2, fid, fid, *name), "wQ", NULL, NULL);
        if (error)
            frontend_call(g->frontend, p9_tclunk(2, fid), "");
    }
    return error;
}

static int clunk(Guest *g, uint32_t fid)
{
    return frontend_call(g->frontend, p9_tclunk(3, fid), "");
}

/* Opens with a Twalk and a Topen, or creates when there is nothing to walk to. */
static uint32_t open_file(Guest *g, const char *dir, const char *name, int mode)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    uint32_t iounit;

    if (walk(g, FID, path) == 0) {
        g_assert_cmpint(frontend_call(g->frontend, p9_topen(4, FID, mode), "Qd", NULL, &iounit), ==,
                        0);
    } else {
        g_assert_cmpint(walk(g, FID, dir), ==, 0);
        g_assert_cmpint(frontend_call(g->frontend, p9_tcreate(4, FID, name, 0600, mode, ""), "Qd",
                                      NULL, &iounit),
                        ==, 0);
    }
    return iounit ? MIN(iounit, g->frontend->msize - IO_HEADER) : g->frontend->msize - IO_HEADER;
}

static uint64_t file_length(Guest *g)
{
    g_autoptr(P9Reply) reply = frontend_transact(g->frontend, p9_tstat(5, FID));
    P9Stat stat = {0};

    g_assert_nonnull(reply);
    g_assert_true(p9_parse_stat(reply, &stat));
    p9_stat_clear(&stat);
    return stat.length;
}

static void write_all(Guest *g, uint64_t offset, const char *data, size_t size, uint32_t piece)
{
    for (size_t done = 0; done < size;) {
        uint32_t count = (uint32_t)MIN(size - done, piece);
        uint32_t put;

        g_assert_cmpint(frontend_call(g->frontend,
                                      p9_twrite(6, FID, offset + done, count, data + done), "d",
                                      &put),
                        ==, 0);
        g_assert_cmpuint(put, ==, count);
        done += put;
    }
}

static size_t read_all(Guest *g, char *data, size_t size, uint32_t piece)
{
    size_t done = 0;
    uint32_t got = 1;

    while (got > 0 && done < size) {
        const uint8_t *bytes;

        g_assert_cmpint(
            frontend_call(g->frontend, p9_tread(7, FID, done, piece), "D", &got, &bytes), ==, 0);
        g_assert_cmpuint(got, <=, size - done);
        memcpy(data + done, bytes, got);
        done += got;
    }
    return done;
}

static void test_files(Fixture *fixture, const void *unused)
{
    enum { SIZE = 100000 };
    g_autofree char *data = g_malloc(SIZE);
    g_autofree char *back = g_malloc(2 * SIZE);
    g_autofree char *path = g_build_filename(fixture->export, "state", NULL);
    Guest g = guest_start(fixture);
    uint32_t piece;
    struct stat st;

    (void)unused;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 + i / 251);
    piece = open_file(&g, "", "state", ORDWR);
    write_all(&g, 0, data, SIZE, piece);
    g_assert_cmpint(clunk(&g, FID), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, SIZE);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0600);
    g_assert_cmpuint(st.st_uid, ==, geteuid() == 0 ? 0 : geteuid());

    /* appending means asking for the length first */
    piece = open_file(&g, "", "state", OWRITE);
    write_all(&g, file_length(&g), data, SIZE, piece);
    g_assert_cmpint(clunk(&g, FID), ==, 0);

    piece = open_file(&g, "", "state", OREAD);
    g_assert_cmpuint(read_all(&g, back, 2 * SIZE, piece), ==, 2 * SIZE);
    g_assert_true(memcmp(back, data, SIZE) == 0 && memcmp(back + SIZE, data, SIZE) == 0);
    g_assert_cmpint(clunk(&g, FID), ==, 0);

    open_file(&g, "", "state", OWRITE | OTRUNC);
    g_assert_cmpuint(file_length(&g), ==, 0);
    g_assert_cmpint(clunk(&g, FID), ==, 0);
    guest_end(&g);
}

static void test_folder(Fixture *fixture, const void *unused)
{
    g_autofree char *folder = g_build_filename(fixture->export, "folder", NULL);
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    g_autofree char *text = NULL;
    Guest g = guest_start(fixture);
    uint32_t piece;

    (void)unused;
    g_assert_cmpint(mkdir(folder, 0755), ==, 0);
    piece = open_file(&g, "folder", "file", OWRITE);
    write_all(&g, 0, "text", 4, piece);
    g_assert_cmpint(clunk(&g, FID), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "text");
    guest_end(&g);
}

static void test_errors(Fixture *fixture, const void *unused)
{
    Guest g = guest_start(fixture);
    g_autoptr(P9Reply) reply = NULL;
    g_autofree char *text = NULL;
    uint32_t number;

    (void)unused;
    g_assert_cmpint(walk(&g, FID, "missing"), ==, ENOENT);
    g_assert_cmpint(walk(&g, FID, "hello/missing"), ==, ENOTDIR);
    reply = frontend_transact(g.frontend, p9_topen(8, 99, OREAD));
    g_assert_nonnull(reply);
    g_assert_cmpuint(reply->type, ==, P9_RERROR);
    g_assert_true(p9_parse(reply, "sd", &text, &number));
    g_assert_cmpstr(text, ==, "No such file or directory");
    g_assert_cmpuint(number, ==, ENOENT);
    guest_end(&g);
}

/* Its next life uses the same device, with the handshake that it insists on. */
static void test_again(Fixture *fixture, const void *unused)
{
    Guest g = guest_start(fixture);
    char data[8];

    (void)unused;
    for (int i = 0; i < 3; i++) {
        g_assert_true(frontend_disconnect(g.frontend));
        mount_share(&g);
        open_file(&g, "", "hello", OREAD);
        g_assert_cmpuint(read_all(&g, data, sizeof(data), sizeof(data)), ==, 5);
    }
    guest_end(&g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    FIXTURE_TEST("/minios/files", test_files);
    FIXTURE_TEST("/minios/folder", test_folder);
    FIXTURE_TEST("/minios/errors", test_errors);
    FIXTURE_TEST("/minios/again", test_again);
    return g_test_run();
}
