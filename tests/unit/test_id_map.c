/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps of ids: ranges at their edges, what is outside, and which maps are refused. */
#include "protocol/id_map.h"

#include <glib.h>

enum { NOBODY = 65534, OTHER_GUEST = 65533 };

#define MAP(...)                                                             \
    ((IdMap){.n_ranges = sizeof((IdRange[]){__VA_ARGS__}) / sizeof(IdRange), \
             .ranges = {__VA_ARGS__},                                        \
             .other_host = NOBODY,                                           \
             .other_guest = OTHER_GUEST})

static const uint32_t edges[] = {0,          1,          2,          999,        1000,
                                 99999,      100000,     100001,     0x7fffffff, 0x80000000,
                                 0x80000001, 0xfffffffd, 0xfffffffe, 0xffffffff};

static void test_no_ranges(void)
{
    IdMap map = {.other_host = 5, .other_guest = 6};

    g_assert_cmpint(id_map_validate(&map), ==, -1);
    g_assert_cmpint(id_map_validate(&(IdMap){0}), ==, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(edges); i++) {
        g_assert_cmpuint(id_map_to_host(&map, edges[i]), ==, edges[i]);
        g_assert_cmpuint(id_map_to_guest(&map, edges[i]), ==, edges[i]);
        g_assert_true(id_map_owns(&map, edges[i]));
    }
}

static void test_edges_of_a_range(void)
{
    IdMap map = MAP({.guest = 10, .host = 100000, .count = 5});

    g_assert_cmpuint(id_map_to_host(&map, 9), ==, NOBODY);
    g_assert_cmpuint(id_map_to_host(&map, 10), ==, 100000);
    g_assert_cmpuint(id_map_to_host(&map, 14), ==, 100004);
    g_assert_cmpuint(id_map_to_host(&map, 15), ==, NOBODY);
    g_assert_cmpuint(id_map_to_guest(&map, 99999), ==, OTHER_GUEST);
    g_assert_cmpuint(id_map_to_guest(&map, 100000), ==, 10);
    g_assert_cmpuint(id_map_to_guest(&map, 100004), ==, 14);
    g_assert_cmpuint(id_map_to_guest(&map, 100005), ==, OTHER_GUEST);
    g_assert_false(id_map_owns(&map, 0));
    g_assert_false(id_map_owns(&map, 99999));
    g_assert_true(id_map_owns(&map, 100000));
    g_assert_true(id_map_owns(&map, 100004));
    g_assert_false(id_map_owns(&map, 100005));
    g_assert_true(id_map_owns(&map, NOBODY));
}

/* There and back again for every id of several ranges that touch each other and cross over. */
static void test_several_ranges(void)
{
    IdMap map =
        MAP({.guest = 0, .host = 100000, .count = 1000}, {.guest = 1000, .host = 5000, .count = 1},
            {.guest = 1001, .host = 0, .count = 1000});

    g_assert_cmpint(id_map_validate(&map), ==, -1);
    for (uint32_t guest = 0; guest < 2001; guest++) {
        uint32_t host = id_map_to_host(&map, guest);
        g_assert_cmpuint(host, ==,
                         guest < 1000    ? 100000 + guest
                         : guest == 1000 ? 5000
                                         : guest - 1001);
        g_assert_cmpuint(id_map_to_guest(&map, host), ==, guest);
    }
}

/* The highest ids, where a sum would begin anew at 0. */
static void test_extremes(void)
{
    IdMap high = MAP({.guest = 0xfffffffe, .host = 0, .count = 1},
                     {.guest = 0, .host = 0xfffffff0, .count = 15});
    IdMap all = MAP({.guest = 0, .host = 0, .count = UINT32_MAX});

    g_assert_cmpint(id_map_validate(&high), ==, -1);
    g_assert_cmpuint(id_map_to_host(&high, 0xfffffffe), ==, 0);
    g_assert_cmpuint(id_map_to_host(&high, 14), ==, 0xfffffffe);
    g_assert_cmpuint(id_map_to_host(&high, 15), ==, NOBODY);
    g_assert_cmpuint(id_map_to_guest(&high, 0xfffffffe), ==, 14);
    g_assert_cmpuint(id_map_to_guest(&high, 0), ==, 0xfffffffe);
    g_assert_cmpint(id_map_validate(&all), ==, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(edges); i++) {
        g_assert_cmpuint(id_map_to_host(&all, edges[i]), ==, edges[i]);
        g_assert_cmpuint(id_map_to_guest(&all, edges[i]), ==, edges[i]);
    }
}

/* "None" is nobody's number, in no map. */
static void test_none(void)
{
    IdMap map = MAP({.guest = 0, .host = 1, .count = UINT32_MAX - 1});

    g_assert_cmpint(id_map_validate(&map), ==, -1);
    g_assert_cmpuint(id_map_to_host(&map, ID_NONE), ==, ID_NONE);
    g_assert_cmpuint(id_map_to_guest(&map, ID_NONE), ==, ID_NONE);
    g_assert_cmpuint(id_map_to_host(&map, 0xfffffffe), ==, NOBODY);
}

/* No id of a guest whose ranges leave out root is root. */
static void test_never_root(void)
{
    IdMap map = MAP({.guest = 0, .host = 100000, .count = 65536},
                    {.guest = 0x80000000, .host = 0x80000000, .count = 0x7fffffff});

    g_assert_cmpint(id_map_validate(&map), ==, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(edges); i++)
        g_assert_cmpuint(id_map_to_host(&map, edges[i]), !=, 0);
    for (uint32_t shift = 0; shift < 32; shift++) {
        g_assert_cmpuint(id_map_to_host(&map, 1u << shift), !=, 0);
        g_assert_cmpuint(id_map_to_host(&map, 0u - (1u << shift)), !=, 0);
    }
}

static void test_refused_ranges(void)
{
    static const struct {
        IdRange range;
        int wrong;
    } cases[] = {
        {{.guest = 5000, .host = 5000, .count = 0}, 1},
        {{.guest = UINT32_MAX, .host = 5000, .count = 1}, 1},
        {{.guest = 5000, .host = UINT32_MAX, .count = 1}, 1},
        {{.guest = 0xfffffffe, .host = 5000, .count = 1}, -1},
        {{.guest = 0xfffffffe, .host = 5000, .count = 2}, 1},
        {{.guest = 5000, .host = 0xfffffffe, .count = 2}, 1},
        {{.guest = 5000, .host = 5000, .count = UINT32_MAX}, 1},
        {{.guest = 5000, .host = 5000, .count = UINT32_MAX - 5000}, 1}, /* holds the first's host */
        {{.guest = 1099, .host = 5000, .count = 1}, 1},                 /* the first's last guest */
        {{.guest = 1100, .host = 5000, .count = 1}, -1},
        {{.guest = 999, .host = 5000, .count = 1}, -1},
        {{.guest = 999, .host = 5000, .count = 2}, 1},
        {{.guest = 0, .host = 5000, .count = 4000}, 1}, /* around it */
        {{.guest = 5000, .host = 200099, .count = 1}, 1},
        {{.guest = 5000, .host = 200100, .count = 1}, -1},
        {{.guest = 5000, .host = 199999, .count = 1}, -1},
        {{.guest = 5000, .host = 199999, .count = 2}, 1},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        IdMap map = MAP({.guest = 1000, .host = 200000, .count = 100}, cases[i].range);
        g_assert_cmpint(id_map_validate(&map), ==, cases[i].wrong);
    }
}

/* The first that is wrong is named. */
static void test_which_is_wrong(void)
{
    IdMap map = MAP({.guest = 0, .host = 0, .count = 10}, {.guest = 20, .host = 20, .count = 10},
                    {.guest = 40, .host = 25, .count = 10}, {.guest = 1, .host = 1, .count = 0});

    g_assert_cmpint(id_map_validate(&map), ==, 2);
    map.n_ranges = 2;
    g_assert_cmpint(id_map_validate(&map), ==, -1);
    map.n_ranges = EXPORT_MAX_ID_RANGES + 1;
    g_assert_cmpint(id_map_validate(&map), ==, EXPORT_MAX_ID_RANGES);
}

static void test_refused_others(void)
{
    IdMap map = MAP({.guest = 0, .host = 100000, .count = 10});

    g_assert_cmpint(id_map_validate(&map), ==, -1);
    map.other_host = 0;
    g_assert_cmpint(id_map_validate(&map), ==, 1);
    map.other_host = ID_NONE;
    g_assert_cmpint(id_map_validate(&map), ==, 1);
    map.other_host = NOBODY;
    map.other_guest = ID_NONE;
    g_assert_cmpint(id_map_validate(&map), ==, 1);
    map.other_guest = 0; /* of which the host has nothing to fear */
    g_assert_cmpint(id_map_validate(&map), ==, -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/id-map/no-ranges", test_no_ranges);
    g_test_add_func("/id-map/edges-of-a-range", test_edges_of_a_range);
    g_test_add_func("/id-map/several-ranges", test_several_ranges);
    g_test_add_func("/id-map/extremes", test_extremes);
    g_test_add_func("/id-map/none", test_none);
    g_test_add_func("/id-map/never-root", test_never_root);
    g_test_add_func("/id-map/refused-ranges", test_refused_ranges);
    g_test_add_func("/id-map/which-is-wrong", test_which_is_wrong);
    g_test_add_func("/id-map/refused-others", test_refused_others);
    return g_test_run();
}
