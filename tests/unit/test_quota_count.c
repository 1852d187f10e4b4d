/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The quota by itself, with a count that the test makes up: claims, pins, waiting, counting. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "protocol/quota.h"

enum { ROOT = 1, DEVICE = 7 };

static Quota *new_quota(uint64_t max_files, uint64_t max_space)
{
    QuotaOptions options = {.max_files = max_files, .max_space = max_space};

    return quota_new(&options, DEVICE, ROOT);
}

/* A count that finds the root, which takes 10 bytes, and `files` files of 100 bytes. */
static void count(Quota *q, unsigned files)
{
    g_assert_true(quota_await_count(q));
    quota_begin_count(q);
    for (unsigned i = 0; i <= files; i++)
        g_assert_true(quota_count_inode(q, DEVICE, ROOT + i, i == 0 ? 10 : 100, quota_mark(q)));
    quota_end_count(q, false);
}

static void check_use(Quota *q, uint64_t files, uint64_t bytes)
{
    QuotaUse use = quota_use(q);

    g_assert_cmpuint(use.files, ==, files);
    g_assert_cmpuint(use.bytes, ==, bytes);
}

static void test_claims(void)
{
    Quota *q = new_quota(5, 1000);

    g_assert_cmpint(quota_claim(q, 1, 0), ==, -EAGAIN);
    g_assert_cmpint(quota_claim(q, 0, 0), ==, 0);
    count(q, 3);
    check_use(q, 3, 310);
    g_assert_cmpint(quota_claim(q, 2, 600), ==, 0);
    g_assert_cmpint(quota_claim(q, 1, 0), ==, -ENOSPC);
    g_assert_cmpint(quota_claim(q, 0, 91), ==, -ENOSPC);
    g_assert_cmpuint(quota_room(q), ==, 90);
    g_assert_cmpint(quota_claim(q, 0, 90), ==, 0);
    g_assert_cmpuint(quota_room(q), ==, 0);
    g_assert_cmpint(quota_claim(q, 0, 0), ==, 0);
    quota_unclaim(q, 2, 690);
    g_assert_true(quota_has_room(q, 2, 690));
    g_assert_false(quota_has_room(q, 3, 0));
    g_assert_false(quota_has_room(q, 0, UINT64_MAX));
    g_assert_true(quota_can_fit(q, 5, 1000));
    g_assert_false(quota_can_fit(q, 6, 0));
    g_assert_false(quota_can_fit(q, 0, 1001));
    quota_free(q);
}

static void test_no_limit_of_one_kind(void)
{
    Quota *q = new_quota(0, 1000);

    g_assert_true(quota_counts_space(q));
    count(q, 1);
    g_assert_cmpint(quota_claim(q, 1000000, 0), ==, 0);
    g_assert_cmpint(quota_claim(q, 0, 891), ==, -ENOSPC);
    quota_unclaim(q, 1000000, 0);
    quota_free(q);
    q = new_quota(1, 0);
    g_assert_false(quota_counts_space(q));
    count(q, 1);
    g_assert_cmpint(quota_claim(q, 0, UINT64_MAX / 2), ==, 0);
    g_assert_cmpint(quota_claim(q, 1, 0), ==, -ENOSPC);
    quota_unclaim(q, 0, UINT64_MAX / 2);
    quota_free(q);
}

/* Of several measurements the one that began last counts, in whichever order they end. */
static void test_measuring(void)
{
    Quota *q = new_quota(0, 1000);
    QuotaInode *inode;
    uint64_t first, second;

    count(q, 2);
    inode = quota_pin(q, DEVICE, ROOT + 1, 100, quota_mark(q));
    g_assert_true(quota_pin(q, DEVICE, ROOT + 1, 55, 12345) == inode);
    g_assert_true(quota_is_shared(q, inode));
    first = quota_begin_measure(q, inode);
    second = quota_begin_measure(q, inode);
    quota_end_measure(q, inode, second, 300);
    check_use(q, 2, 410);
    quota_end_measure(q, inode, first, 200);
    check_use(q, 2, 410);
    g_assert_cmpuint(quota_charge(q, inode), ==, 300);
    quota_unpin(q, inode);
    g_assert_false(quota_is_shared(q, inode));
    quota_unpin(q, inode);
    check_use(q, 2, 410);
    quota_free(q);
}

/* What is gone is no file; its space goes with the last pin. Its number may come again. */
static void test_gone(void)
{
    Quota *q = new_quota(10, 1000);
    QuotaInode *inode;

    count(q, 2);
    inode = quota_pin(q, DEVICE, ROOT + 2, 100, quota_mark(q));
    quota_set_gone(q, inode);
    quota_set_gone(q, inode);
    check_use(q, 1, 210);
    g_assert_true(quota_has(q, DEVICE, ROOT + 2));
    quota_unpin(q, inode);
    check_use(q, 1, 110);
    g_assert_false(quota_has(q, DEVICE, ROOT + 2));
    quota_note(q, DEVICE, ROOT + 2, 40);
    check_use(q, 2, 150);
    quota_note(q, DEVICE, ROOT + 2, 40);
    check_use(q, 2, 150);
    quota_free(q);
}

/* An inode that changed after it was looked at cannot be entered, nor pinned, as it was then. */
static void test_mark(void)
{
    Quota *q = new_quota(10, 1000);
    uint64_t mark;
    QuotaInode *inode;

    count(q, 2);
    mark = quota_mark(q);
    inode = quota_pin(q, DEVICE, ROOT + 1, 100, mark);
    quota_end_measure(q, inode, quota_begin_measure(q, inode), 500);
    quota_unpin(q, inode);
    g_assert_null(quota_pin(q, DEVICE, ROOT + 1, 100, mark));
    inode = quota_pin(q, DEVICE, ROOT + 1, 500, quota_mark(q));
    g_assert_nonnull(inode);
    mark = quota_mark(q);
    quota_unpin(q, inode); /* nothing has changed */
    g_assert_cmpuint(quota_mark(q), ==, mark);
    quota_free(q);
}

/* Changes while a count goes on, before and after it has come to the inode. */
static void test_counting_beside_changes(void)
{
    Quota *q = new_quota(10, 10000);
    QuotaInode *before, *after, *gone;
    uint64_t mark;

    g_assert_true(quota_await_count(q));
    gone = quota_pin(q, DEVICE, ROOT + 9, 70, quota_mark(q));
    quota_set_gone(q, gone);
    quota_begin_count(q);
    g_assert_true(quota_count_inode(q, DEVICE, ROOT, 10, quota_mark(q)));
    before = quota_pin(q, DEVICE, ROOT + 1, 100, quota_mark(q));
    quota_end_measure(q, before, quota_begin_measure(q, before), 150);
    g_assert_true(quota_count_inode(q, DEVICE, ROOT + 1, 100, 0)); /* is pinned: no matter */
    quota_unpin(q, before);
    mark = quota_mark(q);
    g_assert_true(quota_count_inode(q, DEVICE, ROOT + 2, 100, mark));
    after = quota_pin(q, DEVICE, ROOT + 2, 100, mark);
    quota_end_measure(q, after, quota_begin_measure(q, after), 30);
    quota_unpin(q, after);
    g_assert_false(quota_count_inode(q, DEVICE, ROOT + 3, 100, mark));
    g_assert_true(quota_count_inode(q, DEVICE, ROOT + 3, 100, quota_mark(q)));
    check_use(q, 3, 10 + 150 + 30 + 100 + 70);
    quota_end_count(q, false);
    check_use(q, 3, 10 + 150 + 30 + 100 + 70);
    quota_unpin(q, gone);
    check_use(q, 3, 10 + 150 + 30 + 100);
    g_assert_cmpuint(quota_n_looked_at(q), ==, 4);
    quota_free(q);
}

static void test_open_files(void)
{
    QuotaOptions options = {.max_open_files = 2};
    Quota *q = quota_new(&options, DEVICE, ROOT);

    g_assert_false(quota_counts(q));
    g_assert_cmpint(quota_add_open(q), ==, 0);
    g_assert_cmpint(quota_add_open(q), ==, 0);
    g_assert_cmpint(quota_add_open(q), ==, -EMFILE);
    quota_remove_open(q);
    g_assert_cmpint(quota_add_open(q), ==, 0);
    g_assert_cmpint(quota_add_open(q), ==, -EMFILE);
    quota_free(q);
}

static void test_held(void)
{
    Quota *q = new_quota(10, 0);
    QuotaInode *inode;

    count(q, 2);
    inode = quota_pin(q, DEVICE, ROOT + 1, 100, quota_mark(q));
    g_assert_false(quota_is_held(q, DEVICE, ROOT + 1));
    quota_hold(q, inode);
    quota_hold(q, inode);
    quota_let_go(q, inode);
    g_assert_true(quota_is_held(q, DEVICE, ROOT + 1));
    g_assert_false(quota_is_held(q, DEVICE, ROOT + 2));
    g_assert_cmpint(quota_recount(q, QUOTA_DOUBT), ==, -EALREADY);
    g_assert_cmpint(quota_recount(q, QUOTA_SEARCH), ==, -EALREADY);
    quota_let_go(q, inode);
    g_assert_false(quota_is_held(q, DEVICE, ROOT + 1));
    quota_unpin(q, inode);
    quota_free(q);
}

/*
 * Waiting
 */

typedef struct Waiter {
    Quota *quota;
    bool recounts;
    int result;
    gint ended; /* atomic */
} Waiter;

static void *wait_for_count(void *argument)
{
    Waiter *w = argument;

    w->result = w->recounts ? quota_recount(w->quota, QUOTA_DOUBT) : quota_wait_counted(w->quota);
    g_atomic_int_set(&w->ended, 1);
    return NULL;
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Until a count has ended nobody knows: it is waited for, and a signal ends the wait. */
static void test_waiting_for_the_first_count(void)
{
    struct sigaction action = {.sa_handler = ignore_signal};
    Quota *q = new_quota(10, 0);
    Waiter w = {.quota = q};
    pthread_t thread;

    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, wait_for_count, &w);
    while (!g_atomic_int_get(&w.ended)) {
        pthread_kill(thread, SIGUSR1);
        g_usleep(1000);
    }
    pthread_join(thread, NULL);
    g_assert_cmpint(w.result, ==, -EINTR);

    w = (Waiter){.quota = q};
    pthread_create(&thread, NULL, wait_for_count, &w);
    g_usleep(10 * 1000);
    g_assert_false(g_atomic_int_get(&w.ended));
    count(q, 1);
    pthread_join(thread, NULL);
    g_assert_cmpint(w.result, ==, 0);
    g_assert_cmpint(quota_wait_counted(q), ==, 0);
    quota_free(q);
}

/* A count that goes on already may have missed what somebody doubts: another one is made. */
static void test_waiting_for_another_count(void)
{
    Quota *q = new_quota(10, 0);
    Waiter w = {.quota = q, .recounts = true};
    pthread_t thread;

    count(q, 5);
    quota_set_recount_age(q, 0, 0);
    pthread_create(&thread, NULL, wait_for_count, &w);
    g_assert_true(quota_await_count(q));
    quota_begin_count(q);
    g_assert_true(quota_count_inode(q, DEVICE, ROOT + 1, 100, quota_mark(q)));
    check_use(q, 5, 510); /* the old one is in force meanwhile */
    g_assert_false(g_atomic_int_get(&w.ended));
    quota_end_count(q, false);
    pthread_join(thread, NULL);
    g_assert_cmpint(w.result, ==, 0);
    check_use(q, 1, 100);
    quota_free(q);
}

static void test_stopping(void)
{
    Quota *q = new_quota(10, 0);
    Waiter w = {.quota = q};
    pthread_t thread;

    pthread_create(&thread, NULL, wait_for_count, &w);
    g_usleep(1000);
    quota_stop(q);
    pthread_join(thread, NULL);
    g_assert_cmpint(w.result, ==, -ESHUTDOWN);
    g_assert_cmpint(quota_wait_counted(q), ==, -ESHUTDOWN);
    g_assert_false(quota_await_count(q));
    quota_free(q);
    quota_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/quota-count/claims", test_claims);
    g_test_add_func("/quota-count/no-limit-of-one-kind", test_no_limit_of_one_kind);
    g_test_add_func("/quota-count/measuring", test_measuring);
    g_test_add_func("/quota-count/gone", test_gone);
    g_test_add_func("/quota-count/mark", test_mark);
    g_test_add_func("/quota-count/beside-changes", test_counting_beside_changes);
    g_test_add_func("/quota-count/open-files", test_open_files);
    g_test_add_func("/quota-count/held", test_held);
    g_test_add_func("/quota-count/waiting/first", test_waiting_for_the_first_count);
    g_test_add_func("/quota-count/waiting/another", test_waiting_for_another_count);
    g_test_add_func("/quota-count/waiting/stop", test_stopping);
    return g_test_run();
}
