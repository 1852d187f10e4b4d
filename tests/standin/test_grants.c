/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stand-in's grants: shared pages, errors as of the real device, and counts of what is held. */
#include "tests/standin/standin.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xengnttab.h>

enum { GUEST = 3, PAGE = 4096, RW = PROT_READ | PROT_WRITE };

typedef struct Fixture {
    xengntshr_handle *guest;
    xengnttab_handle *dom0;
} Fixture;

static Fixture fixture_open(void)
{
    Fixture f;

    standin_start();
    standin_domain_create(GUEST);
    standin_set_domid(GUEST);
    f.guest = xengntshr_open(NULL, 0);
    standin_set_domid(0);
    f.dom0 = xengnttab_open(NULL, 0);
    g_assert_true(f.guest && f.dom0);
    return f;
}

static void fixture_close(Fixture *f)
{
    xengntshr_close(f->guest);
    xengnttab_close(f->dom0);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, 0);
    g_assert_cmpuint(standin_count(STANDIN_SHARED_PAGES, GUEST), ==, 0);
    standin_stop();
}

static void test_map_many(void)
{
    enum { PAGES = 513 };
    Fixture f = fixture_open();
    uint32_t refs[PAGES];
    char *shared = xengntshr_share_pages(f.guest, 0, PAGES, refs, true);
    char *mapped;

    g_assert_nonnull(shared);
    for (int i = 0; i < PAGES; i++) {
        g_assert_cmpint(shared[i * PAGE], ==, 0);
        shared[i * PAGE] = (char)i;
    }
    mapped = xengnttab_map_domain_grant_refs(f.dom0, PAGES, GUEST, refs, RW);
    g_assert_nonnull(mapped);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, PAGES);
    g_assert_cmpuint(standin_count(STANDIN_SHARED_PAGES, GUEST), ==, PAGES);
    for (int i = 0; i < PAGES; i++)
        g_assert_cmpint(mapped[i * PAGE], ==, (char)i);
    mapped[PAGE + 5] = 'x';
    g_assert_cmpint(shared[PAGE + 5], ==, 'x');
    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped, PAGES), ==, 0);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, 0);
    g_assert_cmpint(xengntshr_unshare(f.guest, shared, PAGES), ==, 0);
    fixture_close(&f);
}

/* References in any order are mapped to addresses in that order. */
static void test_map_shuffled(void)
{
    enum { PAGES = 64 };
    Fixture f = fixture_open();
    uint32_t refs[PAGES];
    uint32_t reversed[PAGES];
    char *shared = xengntshr_share_pages(f.guest, 0, PAGES, refs, true);
    char *mapped;

    for (int i = 0; i < PAGES; i++) {
        shared[i * PAGE] = (char)i;
        reversed[PAGES - 1 - i] = refs[i];
    }
    mapped = xengnttab_map_domain_grant_refs(f.dom0, PAGES, GUEST, reversed, RW);
    for (int i = 0; i < PAGES; i++)
        g_assert_cmpint(mapped[i * PAGE], ==, PAGES - 1 - i);
    fixture_close(&f);
}

static void assert_not_mapped(void *address, int error)
{
    g_assert_null(address);
    g_assert_cmpint(errno, ==, error);
}

static void test_map_errors(void)
{
    Fixture f = fixture_open();
    uint32_t refs[2];
    uint32_t read_only;
    uint32_t for_others;

    xengntshr_share_pages(f.guest, 0, 1, refs, true);
    xengntshr_share_pages(f.guest, 0, 1, &read_only, false);
    xengntshr_share_pages(f.guest, 7, 1, &for_others, true);
    refs[1] = 99999999;

    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, 0, RW), EINVAL);
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, UINT32_MAX, RW), EINVAL);
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, 77, refs[0], RW), EINVAL);
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, for_others, RW), EINVAL);
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, read_only, RW), EINVAL);
    assert_not_mapped(xengnttab_map_domain_grant_refs(f.dom0, 0, GUEST, refs, RW), EINVAL);
    /* One bad reference of two: nothing stays mapped. */
    assert_not_mapped(xengnttab_map_domain_grant_refs(f.dom0, 2, GUEST, refs, RW), EINVAL);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, 0);
    g_assert_nonnull(xengnttab_map_grant_ref(f.dom0, GUEST, read_only, PROT_READ));
    fixture_close(&f);
}

static void test_unmap_errors(void)
{
    Fixture f = fixture_open();
    uint32_t refs[2];
    char *shared = xengntshr_share_pages(f.guest, 0, 2, refs, true);
    char *mapped = xengnttab_map_domain_grant_refs(f.dom0, 2, GUEST, refs, RW);

    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped, 1), ==, -1);
    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped + PAGE, 1), ==, -1);
    g_assert_cmpint(xengnttab_unmap(f.dom0, shared, 2), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped, 2), ==, 0);
    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped, 2), ==, -1);
    fixture_close(&f);
}

/* A page that is no longer shared stays with whoever maps it, but cannot be mapped again. */
static void test_unshare_while_mapped(void)
{
    Fixture f = fixture_open();
    uint32_t ref;
    char *shared = xengntshr_share_pages(f.guest, 0, 1, &ref, true);
    char *mapped = xengnttab_map_grant_ref(f.dom0, GUEST, ref, RW);

    shared[0] = 'x';
    g_assert_cmpint(xengntshr_unshare(f.guest, shared, 1), ==, 0);
    g_assert_cmpint(mapped[0], ==, 'x');
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, ref, RW), EINVAL);
    g_assert_cmpuint(standin_count(STANDIN_SHARED_PAGES, GUEST), ==, 1);
    g_assert_cmpint(xengnttab_unmap(f.dom0, mapped, 1), ==, 0);
    g_assert_cmpuint(standin_count(STANDIN_SHARED_PAGES, GUEST), ==, 0);
    fixture_close(&f);
}

static void test_killed_process(void)
{
    Fixture f = fixture_open();
    uint32_t refs[8];
    int ready[2];
    char byte;
    pid_t pid;

    g_assert_nonnull(xengntshr_share_pages(f.guest, 0, 8, refs, true));
    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    if (pid == 0) {
        xengnttab_handle *xgt = xengnttab_open(NULL, 0);
        char *mapped = xengnttab_map_domain_grant_refs(xgt, 8, GUEST, refs, RW);
        if (!mapped || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, 8);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_assert_cmpuint(standin_count(STANDIN_MAPPED_PAGES, GUEST), ==, 0);
    fixture_close(&f);
}

/* A dying domain goes when the last of its pages has been unmapped. */
static void test_dying_domain(void)
{
    Fixture f = fixture_open();
    uint32_t refs[2];
    char *mapped;

    g_assert_nonnull(xengntshr_share_pages(f.guest, 0, 2, refs, true));
    mapped = xengnttab_map_grant_ref(f.dom0, GUEST, refs[0], RW);
    standin_domain_set_state(GUEST, STANDIN_DYING);
    g_assert_true(standin_domain_exists(GUEST));
    assert_not_mapped(xengnttab_map_grant_ref(f.dom0, GUEST, refs[1], RW), EINVAL);
    mapped[0] = 'x';
    xengnttab_unmap(f.dom0, mapped, 1);
    g_assert_false(standin_domain_exists(GUEST));
    fixture_close(&f);
}

/* The notify byte is cleared when the process that maps the page ends. */
static void test_notify_byte(void)
{
    Fixture f = fixture_open();
    uint32_t ref;
    char *shared = xengntshr_share_pages(f.guest, 0, 1, &ref, true);
    char *mapped = xengnttab_map_grant_ref_notify(f.dom0, GUEST, ref, RW, 100, UINT32_MAX);

    mapped[100] = 1;
    g_assert_cmpint(shared[100], ==, 1);
    xengnttab_unmap(f.dom0, mapped, 1);
    g_assert_cmpint(shared[100], ==, 0);
    fixture_close(&f);
}

/* Faults strike the process under test, here a child, and not the one that asks for them. */
static void test_faults(void)
{
    Fixture f = fixture_open();
    uint32_t ref;
    int status;
    pid_t pid;

    g_assert_nonnull(xengntshr_share_pages(f.guest, 0, 1, &ref, true));
    standin_fail("xengnttab_map_grant_ref", 2, 1, ENOMEM);
    g_assert_nonnull(xengnttab_map_grant_ref(f.dom0, GUEST, ref, RW));
    g_assert_nonnull(xengnttab_map_grant_ref(f.dom0, GUEST, ref, RW));
    pid = fork();
    if (pid == 0) {
        xengnttab_handle *xgt = xengnttab_open(NULL, 0);
        bool as_asked = xengnttab_map_grant_ref(xgt, GUEST, ref, RW) != NULL &&
                        xengnttab_map_grant_ref(xgt, GUEST, ref, RW) == NULL && errno == ENOMEM &&
                        xengnttab_map_grant_ref(xgt, GUEST, ref, RW) != NULL;
        _exit(as_asked ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpuint(standin_faults_left(), ==, 0);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/standin/grants/map-many", test_map_many);
    g_test_add_func("/standin/grants/map-shuffled", test_map_shuffled);
    g_test_add_func("/standin/grants/map-errors", test_map_errors);
    g_test_add_func("/standin/grants/unmap-errors", test_unmap_errors);
    g_test_add_func("/standin/grants/unshare-while-mapped", test_unshare_while_mapped);
    g_test_add_func("/standin/grants/killed-process", test_killed_process);
    g_test_add_func("/standin/grants/dying-domain", test_dying_domain);
    g_test_add_func("/standin/grants/notify-byte", test_notify_byte);
    g_test_add_func("/standin/grants/faults", test_faults);
    return g_test_run();
}
