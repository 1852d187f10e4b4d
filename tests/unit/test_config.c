/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: which groups count for whom, and what is said of one that is wrong. */
#include "xen-9pfs/config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Scratch {
    char *folder;
    char *file;
} Scratch;

static void set_up(Scratch *s, gconstpointer unused)
{
    (void)unused;
    s->folder = g_dir_make_tmp("9p-config-XXXXXX", NULL);
    g_assert_nonnull(s->folder);
    s->file = g_build_filename(s->folder, "conf", NULL);
}

static void tear_down(Scratch *s, gconstpointer unused)
{
    (void)unused;
    g_remove(s->file);
    g_assert_cmpint(g_rmdir(s->folder), ==, 0);
    g_free(s->folder);
    g_free(s->file);
}

static Config *read_good(const Scratch *s, const char *text)
{
    g_autoptr(GError) error = NULL;
    Config *config;

    g_assert_true(g_file_set_contents(s->file, text, -1, NULL));
    config = config_read(s->file, true, &error);
    g_assert_no_error(error);
    return config;
}

/* The message of a text that is refused begins with the file's name. */
static void expect_bad(const Scratch *s, const char *text, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(s->file, text, -1, NULL));
    g_assert_null(config_read(s->file, false, &error));
    g_assert_true(g_str_has_prefix(error->message, s->file));
    if (!strstr(error->message, words))
        g_error("\"%s\" does not say \"%s\"", error->message, words);
}

static ExportOptions options_for(const Config *config, const char *path, const char *tag,
                                 const char *domain)
{
    ConfigTarget target = {.path = path, .tag = tag, .domain = domain};
    ExportOptions options = export_default_options;

    config_apply(config, &target, &options);
    return options;
}

static void test_missing(Scratch *s, gconstpointer unused)
{
    g_autoptr(Config) config = NULL;
    g_autoptr(GError) error = NULL;
    ExportOptions options;

    (void)unused;
    config = config_read(s->file, false, &error);
    g_assert_no_error(error);
    options = options_for(config, "/", "tag", "domain");
    g_assert_true(memcmp(&options, &export_default_options, sizeof(options)) == 0);
    g_assert_null(config_read(s->file, true, &error));
    g_assert_nonnull(strstr(error->message, s->file));
    g_assert_nonnull(strstr(error->message, "No such file"));
}

static void test_empty(Scratch *s, gconstpointer unused)
{
    static const char *const texts[] = {"", "\n", "# nothing\n", "[defaults]\n"};

    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(Config) config = read_good(s, texts[i]);
        ExportOptions options = options_for(config, "/", "tag", "domain");

        g_assert_true(memcmp(&options, &export_default_options, sizeof(options)) == 0);
    }
}

/* What is no regular file is not waited for. */
static void test_not_a_file(Scratch *s, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) of_folder = NULL;
    g_autoptr(GError) of_huge = NULL;
    g_autofree char *huge = g_strnfill(1024 * 1024 + 1, '\n');

    (void)unused;
    g_assert_null(config_read(s->folder, false, &of_folder));
    g_assert_nonnull(strstr(of_folder->message, "is not a regular file"));
    g_assert_cmpint(mkfifo(s->file, 0600), ==, 0);
    g_assert_null(config_read(s->file, false, &error));
    g_assert_nonnull(strstr(error->message, "is not a regular file"));
    g_remove(s->file);
    g_assert_true(g_file_set_contents(s->file, huge, -1, NULL));
    g_assert_null(config_read(s->file, false, &of_huge));
    g_assert_nonnull(strstr(of_huge->message, "is larger than 1 MiB"));
}

static void test_precedence(Scratch *s, gconstpointer unused)
{
    g_autoptr(Config) config = read_good(s, "[path /srv/a]\n"
                                            "max-files=4\n"
                                            "[tag t]\n"
                                            "max-files=3\n"
                                            "fmode=0666\n"
                                            "[domain d]\n"
                                            "max-files=2\n"
                                            "fmode=0644\n"
                                            "dmode=0755\n"
                                            "[defaults]\n"
                                            "max-files=1\n"
                                            "fmode=0600\n"
                                            "dmode=0700\n"
                                            "readonly=on\n"
                                            "[path /srv/*]\n"
                                            "max-space=1\n"
                                            "[path /srv/?]\n"
                                            "max-space=2\n");
    ExportOptions all = options_for(config, "/srv/a", "t", "d");

    (void)unused;
    g_assert_cmpuint(all.quota.max_files, ==, 4);
    g_assert_cmpuint(all.fmode, ==, 0666);
    g_assert_cmpuint(all.dmode, ==, 0755);
    g_assert_true(all.readonly);
    g_assert_cmpuint(all.quota.max_space, ==, 2 * 1024 * 1024);
    g_assert_cmpuint(options_for(config, "/srv/b", "t", "d").quota.max_files, ==, 3);
    g_assert_cmpuint(options_for(config, "/", "x", "d").quota.max_files, ==, 2);
    g_assert_cmpuint(options_for(config, "/", "x", "x").quota.max_files, ==, 1);
    g_assert_cmpuint(options_for(config, "/", NULL, NULL).quota.max_files, ==, 1);
    g_assert_cmpuint(options_for(config, "/srv/long", "t", "d").quota.max_space, ==, 1024 * 1024);
}

static void test_patterns(Scratch *s, gconstpointer unused)
{
    static const struct {
        const char *group;
        ConfigTarget target;
        bool matches;
    } cases[] = {
        {"path /srv/share", {.path = "/srv/share"}, true},
        {"path /srv/share", {.path = "/srv/share/"}, true},
        {"path /srv/share/", {.path = "/srv/share"}, true},
        {"path /srv/share", {.path = "/srv//./share"}, true},
        {"path   /srv/share", {.path = "/srv/share"}, true},
        {"path /srv/share", {.path = "/srv/share2"}, false},
        {"path /srv/share", {.path = "/srv/share/sub"}, false},
        {"path /srv/share", {.path = "/srv/share/.."}, false},
        {"path /srv/*", {.path = "/srv/.hidden"}, true},
        {"path /srv/*", {.path = "/srv/a/b"}, false},
        {"path /srv/*/*", {.path = "/srv/a/b"}, true},
        {"path /srv/?", {.path = "/srv/ab"}, false},
        {"path /with space/x", {.path = "/with space/x"}, true},
        {"path /", {.path = "/"}, true},
        {"path /srv/*", {.tag = "/srv/a", .domain = "/srv/a"}, false},
        {"tag build-*", {.tag = "build-7"}, true},
        {"tag build-*", {.tag = "rebuild-7"}, false},
        {"tag build-*", {.domain = "build-7"}, false},
        {"tag *", {.tag = "a/b"}, true},
        {"tag *", {.tag = NULL, .path = "/", .domain = "d"}, false},
        {"domain web*", {.domain = "web"}, true},
        {"domain web*", {.domain = "Web1"}, false},
        {"domain my guest", {.domain = "my guest"}, true},
        {"domain *", {.path = "/"}, false},
        {"defaults", {.path = NULL}, true},
    };

    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("[%s]\nreadonly = on \n", cases[i].group);
        g_autoptr(Config) config = read_good(s, text);
        ExportOptions options = export_default_options;

        config_apply(config, &cases[i].target, &options);
        if (options.readonly != cases[i].matches)
            g_error("case %zu: [%s]", i, cases[i].group);
    }
}

/* A rate in a stronger group does away with the burst of a weaker one, whatever the order. */
static void test_rates(Scratch *s, gconstpointer unused)
{
    g_autoptr(Config) config = read_good(s, "[defaults]\n"
                                            "throttling.bps-read-max=2M\n"
                                            "throttling.bps-read=1M\n"
                                            "[tag fast]\n"
                                            "throttling.bps-read=0\n"
                                            "[tag other]\n"
                                            "throttling.bps-read=5M\n");
    ExportOptions options = options_for(config, "/", NULL, NULL);

    (void)unused;
    g_assert_cmpuint(options.throttle.bytes_read.rate, ==, 1024 * 1024);
    g_assert_cmpuint(options.throttle.bytes_read.burst, ==, 2 * 1024 * 1024);
    options = options_for(config, "/", "fast", NULL);
    g_assert_cmpuint(options.throttle.bytes_read.rate, ==, 0);
    g_assert_cmpuint(options.throttle.bytes_read.burst, ==, 0);
    options = options_for(config, "/", "other", NULL);
    g_assert_cmpuint(options.throttle.bytes_read.rate, ==, 5 * 1024 * 1024);
    g_assert_cmpuint(options.throttle.bytes_read.burst, ==, 0);
}

static void test_bad(Scratch *s, gconstpointer unused)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"readonly=on\n", "does not start with a group"},
        {"[defaults]\nnonsense\n", "which is not a key-value pair"},
        {"[default]\n",
         "there is no group [default]; give [defaults], [domain NAME], [tag TAG] or "},
        {"[defaults x]\n", "there is no group [defaults x]"},
        {"[path]\n", "there is no group [path]"},
        {"[path srv]\n", "there is no group [path srv]; give [defaults]"},
        {"[path *]\n", "there is no group [path *]"},
        {"[tag]\n", "there is no group [tag]"},
        {"[tag ]\n", "there is no group [tag ]"},
        {"[Path /srv]\n", "there is no group [Path /srv]"},
        {"[defaults]\nreadonly=maybe\n", ": [defaults]: readonly is \"maybe\"; give on or off"},
        {"[path /srv/*]\nfmode=999\n", ": [path /srv/*]: fmode is \"999\"; give octal permissions"},
        {"[tag x]\nread-only=on\n", ": [tag x]: there is no key \"read-only\"; xen-9pfs.conf(5)"},
        {"[tag x]\nreadonly[de]=on\n", "there is no key \"readonly[de]\""},
        {"[tag x]\nsecurity_model=none\n", "there is no key \"security_model\""},
        {"[domain d]\nmap-users=0-5:1;3:3\n", "map-users is \"0-5:1;3:3\"; give ranges that"},
        {"[defaults]\nthrottling.bps-total=1\n[tag x]\nthrottling.bps-total-max=5\n",
         ": [tag x]: throttling.bps-total-max is \"5\"; give throttling.bps-total, too"},
        {"[defaults]\nmultidevs=\x01\n", "multidevs is \"\\x01\"; give remap"},
        /* also where it comes to nothing */
        {"[path /nowhere]\nreadonly=x\n[defaults]\nreadonly=on\n", "readonly is \"x\""},
    };

    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        expect_bad(s, cases[i].text, cases[i].words);
}

/* The example in the manual page is one that works. */
static void test_example(Scratch *s, gconstpointer unused)
{
    g_autofree char *page = NULL;
    g_autoptr(Config) config = NULL;
    ExportOptions options;
    char *begin, *end;

    (void)unused;
    g_assert_true(g_file_get_contents("docs/xen-9pfs.conf.5", &page, NULL, NULL));
    begin = strstr(page, ".Sh EXAMPLES\n.Bd -literal\n");
    g_assert_nonnull(begin);
    begin += strlen(".Sh EXAMPLES\n.Bd -literal\n");
    end = strstr(begin, ".Ed\n");
    g_assert_nonnull(end);
    *end = '\0';
    g_assert_null(strchr(begin, '\\')); /* nothing in it that the page shows otherwise */
    config = read_good(s, begin);

    options = options_for(config, "/srv/images/debian", "scratch", "web1");
    g_assert_true(options.readonly);
    g_assert_cmpint(options.multidevs, ==, MULTIDEVS_FORBID);
    g_assert_cmpuint(options.users.n_ranges, ==, 1);
    g_assert_cmpuint(options.groups.ranges[0].host, ==, 100000);
    g_assert_true(options.quota.auto_delete);
    g_assert_cmpuint(options.throttle.bytes_total.burst, ==, UINT64_C(1) << 30);
    g_assert_cmpuint(options_for(config, "/", NULL, NULL).quota.max_open_files, ==, 4096);
}

static void append_item(const ConfigItem *item, void *data)
{
    g_string_append_printf(data, "%u [%s] %s=%s\n", item->line, item->group, item->key->name,
                           item->value);
}

static void expect_list(const Config *config, const ConfigTarget *target, const char *expected)
{
    GString *found = g_string_new(NULL);

    config_list(config, target, append_item, found);
    g_assert_cmpstr(found->str, ==, expected);
    g_string_free(found, TRUE);
}

/* Where each value stands, for one target and for the whole file. */
static void test_list(Scratch *s, gconstpointer unused)
{
    const ConfigTarget web = {.path = "/srv/web", .tag = "www", .domain = "web1"};
    const ConfigTarget other = {.path = "/srv/web"};
    g_autoptr(Config) config = read_good(s, "# first\n"
                                            "[tag www]\n"
                                            "max-files = 7\n"
                                            "\n"
                                            "[domain web*]\n"
                                            "  fmode =0640  \n"
                                            "#fmode=0600\n"
                                            "max-files=1\n"
                                            "max-files=2\n"
                                            "[defaults]\n"
                                            "readonly=off\n"
                                            "[tag www]\n"
                                            "readonly=on");

    (void)unused;
    expect_list(config, &web,
                "11 [defaults] readonly=off\n"
                "6 [domain web*] fmode=0640\n"
                "9 [domain web*] max-files=2\n"
                "13 [tag www] readonly=on\n"
                "3 [tag www] max-files=7\n");
    expect_list(config, &other, "11 [defaults] readonly=off\n");
    expect_list(config, NULL,
                "13 [tag www] readonly=on\n"
                "3 [tag www] max-files=7\n"
                "6 [domain web*] fmode=0640\n"
                "9 [domain web*] max-files=2\n"
                "11 [defaults] readonly=off\n");
}

#define SCRATCH_TEST(name, function) g_test_add(name, Scratch, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    SCRATCH_TEST("/config/missing", test_missing);
    SCRATCH_TEST("/config/empty", test_empty);
    SCRATCH_TEST("/config/not-a-file", test_not_a_file);
    SCRATCH_TEST("/config/precedence", test_precedence);
    SCRATCH_TEST("/config/patterns", test_patterns);
    SCRATCH_TEST("/config/rates", test_rates);
    SCRATCH_TEST("/config/bad", test_bad);
    SCRATCH_TEST("/config/example", test_example);
    SCRATCH_TEST("/config/list", test_list);
    return g_test_run();
}
