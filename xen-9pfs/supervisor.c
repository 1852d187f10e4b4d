/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Supervisor: see supervisor.h.
 *
 * Every event only leaves a mark: on a device, or on one of the supervisor's two questions (which
 * devices are there? which domains still live?). One source works the marks off. A storm of
 * events therefore costs no memory, and as much work as the devices it touches.
 */
#include "xen-9pfs/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "xen-9pfs/commands.h"
#include "xen-9pfs/config_file.h"
#include "xen-9pfs/control.h"
#include "xen-9pfs/device.h"
#include "xen-9pfs/domain.h"
#include "xen-9pfs/service.h"
#include "xen-9pfs/xenstore.h"

#define BACKEND_FOLDER "backend"
#define DAEMON_FOLDER  "libxl/xen-9pfs" /* where the toolstack looks for this daemon */
#define LOCK_NAME      "xen-9pfsd.lock"

enum {
    LOCK_RETRY_USEC = 20 * 1000,
    LOCK_TRIES = 3000,         /* a minute, as long as the toolstack waits */
    LINGER_USEC = 3 * 1000000, /* the toolstack looks at xenstore in the meantime */
};

/* Tokens of the watches that no device owns; a device's is its name. */
#define TOKEN_BACKEND "backend"
#define TOKEN_RELEASE "release"

typedef struct Supervisor {
    const Options *options;
    DeviceHost host;
    Xenstore *store;
    DomainQuery *domains;
    ConfigFile *config;
    CommandHost commands;
    Control *control; /* NULL: there is none */
    GMainLoop *loop;
    GHashTable *devices; /* name -> Device, which owns the name */
    guint work_source;   /* 0: nothing is marked */
    bool scan_wanted;
    bool domains_wanted;
    int lock;
    bool claimed; /* our node is in xenstore */
    bool lost;    /* xenstore does not answer any more */
} Supervisor;

static bool serves_kind(const Supervisor *supervisor, const char *kind)
{
    return g_strv_contains((const char *const *)supervisor->options->kinds, kind);
}

static void free_device(gpointer data)
{
    device_free(data);
}

/* The device that `key` names, made if there is none yet. It may turn out not to exist. */
static Device *find_device(Supervisor *supervisor, const DeviceKey *key)
{
    g_autofree char *name = g_strdup_printf("%s/%u/%u", key->kind, key->domid, key->devid);
    Device *device = g_hash_table_lookup(supervisor->devices, name);

    if (device == NULL) {
        device = device_new(&supervisor->host, key);
        g_hash_table_insert(supervisor->devices, (gpointer)device_name(device), device);
    }
    return device;
}

static void scan_domain(Supervisor *supervisor, const char *kind, const char *domid)
{
    g_autofree char *folder = g_strdup_printf(BACKEND_FOLDER "/%s/%s", kind, domid);
    g_auto(GStrv) devids = xenstore_list(supervisor->store, XBT_NULL, folder);

    for (size_t i = 0; devids != NULL && devids[i] != NULL; i++) {
        g_autofree char *name = g_strdup_printf("%s/%s/%s", kind, domid, devids[i]);
        DeviceKey key;

        if (device_key_parse(name, &key))
            find_device(supervisor, &key);
    }
}

static void scan_kind(Supervisor *supervisor, const char *kind)
{
    g_autofree char *folder = g_strdup_printf(BACKEND_FOLDER "/%s", kind);
    g_auto(GStrv) domids = xenstore_list(supervisor->store, XBT_NULL, folder);

    for (size_t i = 0; domids != NULL && domids[i] != NULL; i++)
        scan_domain(supervisor, kind, domids[i]);
}

static void mark_all(Supervisor *supervisor)
{
    GHashTableIter iter;
    gpointer device;

    g_hash_table_iter_init(&iter, supervisor->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device))
        device_mark(device);
}

/* Finds the devices that are not known yet; the known ones look for themselves. The domain of a
 * new device may have died already. */
static void scan(Supervisor *supervisor)
{
    supervisor->scan_wanted = false;
    supervisor->domains_wanted = true;
    for (char **kind = supervisor->options->kinds; *kind != NULL; kind++)
        scan_kind(supervisor, *kind);
}

static void check_domains(Supervisor *supervisor)
{
    GHashTableIter iter;
    gpointer device;

    supervisor->domains_wanted = false;
    g_hash_table_iter_init(&iter, supervisor->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device)) {
        if (domain_query_life(supervisor->domains, device_domid(device)) == DOMAIN_DEAD)
            device_set_domain_dead(device);
    }
}

static void advance_devices(Supervisor *supervisor)
{
    GHashTableIter iter;
    gpointer device;

    g_hash_table_iter_init(&iter, supervisor->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device)) {
        if (device_is_marked(device) && !device_advance(device))
            g_hash_table_iter_remove(&iter);
    }
}

static unsigned count_connected(Supervisor *supervisor)
{
    GHashTableIter iter;
    gpointer device;
    unsigned n = 0;

    g_hash_table_iter_init(&iter, supervisor->devices);
    while (g_hash_table_iter_next(&iter, NULL, &device))
        n += device_is_connected(device);
    return n;
}

static gboolean on_work(gpointer data)
{
    Supervisor *supervisor = data;

    supervisor->work_source = 0;
    if (supervisor->scan_wanted)
        scan(supervisor);
    if (supervisor->domains_wanted)
        check_domains(supervisor);
    advance_devices(supervisor);
    service_set_devices(count_connected(supervisor));
    return G_SOURCE_REMOVE;
}

/* Events and their work take turns: both run at the same priority. */
static void wake(void *data)
{
    Supervisor *supervisor = data;

    if (supervisor->work_source == 0)
        supervisor->work_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_work, supervisor, NULL);
}

/* Something below the backend folder has changed. A path that names no device, because it is
 * above them, may stand for any of them. */
static void on_backend_event(Supervisor *supervisor, const char *path)
{
    DeviceKey key;

    if (!g_str_has_prefix(path, BACKEND_FOLDER "/"))
        return;
    if (device_key_parse(path + strlen(BACKEND_FOLDER "/"), &key)) {
        if (serves_kind(supervisor, key.kind))
            device_mark(find_device(supervisor, &key));
        return;
    }
    supervisor->scan_wanted = true;
    mark_all(supervisor);
    wake(supervisor);
}

static void on_event(const char *path, const char *token, void *data)
{
    Supervisor *supervisor = data;
    Device *device;

    if (strcmp(token, TOKEN_BACKEND) == 0) {
        on_backend_event(supervisor, path);
    } else if (strcmp(token, TOKEN_RELEASE) == 0) {
        supervisor->domains_wanted = true;
        wake(supervisor);
    } else {
        device = g_hash_table_lookup(supervisor->devices, token);
        if (device != NULL)
            device_mark(device);
    }
}

/* Without xenstore nothing can be done; the workers go on, and so may a new supervisor. */
static void on_lost(void *data)
{
    Supervisor *supervisor = data;

    log_error("the connection to xenstore is lost");
    supervisor->lost = true;
    g_main_loop_quit(supervisor->loop);
}

static gboolean on_end_signal(gpointer data)
{
    Supervisor *supervisor = data;

    log_notice("ending on a signal; workers that serve go on without a supervisor");
    g_main_loop_quit(supervisor->loop);
    return G_SOURCE_CONTINUE;
}

/* Takes over the worker behind one socket, or removes what nobody listens on. */
static void adopt_worker(Supervisor *supervisor, const char *file)
{
    g_autofree char *name = g_strndup(file, strlen(file) - strlen(PROCESS_SOCKET_SUFFIX));
    DeviceKey key;

    g_strdelimit(name, "-", '/');
    if (!device_key_parse(name, &key)) {
        log_notice("left alone: the file %s in the run folder", file);
    } else if (!serves_kind(supervisor, key.kind)) {
        log_notice("left alone: the worker of device %s, whose kind is not served", name);
    } else {
        device_adopt_worker(find_device(supervisor, &key));
    }
}

static void adopt_workers(Supervisor *supervisor)
{
    g_autoptr(GDir) dir = g_dir_open(supervisor->options->run_dir, 0, NULL);
    const char *file;

    while (dir != NULL && (file = g_dir_read_name(dir)) != NULL) {
        if (g_str_has_suffix(file, PROCESS_SOCKET_SUFFIX))
            adopt_worker(supervisor, file);
    }
}

static bool complain(const char *what, int error)
{
    log_error("%s: %s", what, g_strerror(error));
    return false;
}

static bool prepare_run_dir(const Supervisor *supervisor)
{
    const char *run_dir = supervisor->options->run_dir;

    if (!process_host_usable(&supervisor->host.process)) {
        log_error("the name of the run folder %s is too long; give a shorter --run-dir", run_dir);
        return false;
    }
    if (g_mkdir_with_parents(run_dir, 0700) == 0)
        return true;
    log_error("cannot create the run folder %s: %s", run_dir, g_strerror(errno));
    return false;
}

/* Takes the lock that makes this the only supervisor. Sets `*taken` when somebody else has it.
 * The file stays for ever: removing it would let two hold a lock of that name. */
static bool take_lock(Supervisor *supervisor, bool *taken)
{
    g_autofree char *path = g_build_filename(supervisor->options->run_dir, LOCK_NAME, NULL);

    if (supervisor->lock < 0)
        supervisor->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (supervisor->lock < 0)
        return complain("cannot open the lock in the run folder", errno);
    *taken = flock(supervisor->lock, LOCK_EX | LOCK_NB) != 0;
    if (!*taken || errno == EWOULDBLOCK)
        return !*taken;
    *taken = false;
    return complain("cannot take the lock in the run folder", errno);
}

static bool says_running(const Supervisor *supervisor)
{
    g_autofree char *state = NULL;

    return xenstore_read_string(supervisor->store, XBT_NULL, DAEMON_FOLDER, "state", &state) == 0;
}

/* Takes the lock, or waits until its holder says that it runs, with `*taken` set. For a guest with
 * several devices the toolstack starts several daemons at once, and takes the end of one of them
 * for a failure until it has seen in xenstore that a daemon runs. */
static bool wait_for_lock(Supervisor *supervisor, bool *taken)
{
    for (unsigned tries = 0; !take_lock(supervisor, taken); tries++) {
        if (!*taken)
            return false;
        if (says_running(supervisor)) {
            if (!supervisor->options->foreground)
                g_usleep(LINGER_USEC);
            return false;
        }
        if (tries == LOCK_TRIES) {
            *taken = false;
            return complain("another xen-9pfsd holds the lock and never says that it runs", EBUSY);
        }
        g_usleep(LOCK_RETRY_USEC);
    }
    return true;
}

static bool set_watches(const Supervisor *supervisor)
{
    int rc = xenstore_watch(supervisor->store, "@releaseDomain", TOKEN_RELEASE);

    for (char **kind = supervisor->options->kinds; *kind != NULL && rc == 0; kind++) {
        g_autofree char *root = g_strconcat(BACKEND_FOLDER "/", *kind, NULL);

        rc = xenstore_watch(supervisor->store, root, TOKEN_BACKEND);
    }
    return rc == 0 || complain("cannot watch xenstore", -rc);
}

/* Writes the node that tells the toolstack that the daemon runs. Sets the flag at `data` when the
 * node was there: whoever wrote it does not hold the lock any more. */
static int claim_in_transaction(Xenstore *store, xs_transaction_t transaction, void *data)
{
    g_autofree char *found = NULL;
    bool *stale = data;
    int rc = xenstore_read_string(store, transaction, DAEMON_FOLDER, "state", &found);

    if (rc < 0 && rc != -ENOENT)
        return rc;
    *stale = rc == 0;
    return xenstore_write(store, transaction, DAEMON_FOLDER, "state", "running");
}

static bool claim(Supervisor *supervisor)
{
    bool stale = false;
    int rc = xenstore_transact(supervisor->store, claim_in_transaction, &stale);

    if (rc < 0)
        return complain("cannot write " DAEMON_FOLDER "/state to xenstore", -rc);
    if (stale)
        log_notice("took over the xenstore node of a daemon that ended without removing it");
    supervisor->claimed = true;
    return true;
}

/* Lets the toolstack know that a new daemon must be started. */
static void unclaim(const Supervisor *supervisor)
{
    int rc = xenstore_remove(supervisor->store, XBT_NULL, DAEMON_FOLDER);

    if (rc < 0)
        log_warning("cannot remove %s from xenstore: %s", DAEMON_FOLDER, g_strerror(-rc));
}

/* A file that is wrong is better noticed now than by the first guest. */
static bool check_config(const Supervisor *supervisor)
{
    g_autoptr(GError) error = NULL;
    const Config *config = config_file_get(supervisor->config, &error);

    if (config == NULL)
        log_error("%s", error->message);
    return config != NULL;
}

/* Guests can be served without a control socket, or one for root only. */
static void open_control(Supervisor *supervisor)
{
    g_autoptr(GError) error = NULL;
    const Config *config;

    supervisor->control = control_new(supervisor->options->run_dir, commands_answer,
                                      &supervisor->commands, &error);
    supervisor->commands.control = supervisor->control;
    if (supervisor->control == NULL) {
        log_error("there is no control socket: %s", error->message);
        return;
    }
    config = config_file_get(supervisor->config, &error);
    if (config == NULL ||
        !control_set_group(supervisor->control, config_control_group(config), &error))
        log_error("the control socket is for root only: %s", error->message);
}

static bool connect_xenstore(Supervisor *supervisor)
{
    supervisor->store = xenstore_open(on_event, on_lost, supervisor);
    supervisor->host.store = supervisor->store;
    if (supervisor->store == NULL)
        log_error("cannot connect to xenstore: %s; is xenstored running?", g_strerror(errno));
    return supervisor->store != NULL;
}

/* From here on these signals end the daemon cleanly, from the main loop. */
static void catch_signals(Supervisor *supervisor)
{
    static const int end_signals[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < G_N_ELEMENTS(end_signals); i++)
        g_unix_signal_add(end_signals[i], on_end_signal, supervisor);
}

/* The claim comes last: who sees it may rely on the daemon, and may end it. */
static bool start(Supervisor *supervisor, bool *taken)
{
    if (!prepare_run_dir(supervisor) || !connect_xenstore(supervisor) ||
        !wait_for_lock(supervisor, taken) || !check_config(supervisor))
        return false;
    supervisor->domains = domain_query_new();
    adopt_workers(supervisor);
    catch_signals(supervisor);
    open_control(supervisor);
    return set_watches(supervisor) && claim(supervisor);
}

static void supervisor_init(Supervisor *supervisor, const Options *options)
{
    memset(supervisor, 0, sizeof(*supervisor));
    supervisor->options = options;
    supervisor->lock = -1;
    supervisor->config = config_file_new(options->config, options->config_needed);
    supervisor->host = (DeviceHost){
        .process = {.run_dir = options->run_dir,
                    .log_level = options->log_level,
                    .foreground = options->foreground,
                     .sandbox = options->sandbox,
                     .scopes = scopes_new()},
        .config = supervisor->config,
        .wake = wake,
        .data = supervisor,
    };
    supervisor->loop = g_main_loop_new(NULL, FALSE);
    supervisor->devices = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_device);
    supervisor->commands = (CommandHost){
        .options = options,
        .config = supervisor->config,
        .devices = supervisor->devices,
        .since = g_get_real_time() / G_USEC_PER_SEC,
    };
}

/* Everything goes but the workers. The lock goes last: the next supervisor finds nothing half
 * done. */
static void supervisor_deinit(Supervisor *supervisor)
{
    if (supervisor->claimed && !supervisor->lost)
        unclaim(supervisor);
    control_free(supervisor->control);
    g_hash_table_destroy(supervisor->devices);
    if (supervisor->work_source != 0)
        g_source_remove(supervisor->work_source);
    if (supervisor->domains != NULL)
        domain_query_free(supervisor->domains);
    if (supervisor->store != NULL)
        xenstore_close(supervisor->store);
    scopes_free(supervisor->host.process.scopes);
    config_file_free(supervisor->config);
    g_main_loop_unref(supervisor->loop);
    if (supervisor->lock >= 0)
        close(supervisor->lock);
}

int supervisor_run(const Options *options)
{
    Supervisor supervisor;
    bool taken = false;
    int status = EXIT_SUCCESS;

    supervisor_init(&supervisor, options);
    if (start(&supervisor, &taken)) {
        log_notice("xen-9pfsd " VERSION " is ready");
        service_start();
        g_main_loop_run(supervisor.loop);
        service_stop();
    } else if (taken) {
        log_debug("another supervisor holds the lock, nothing to do");
    } else {
        status = EXIT_FAILURE;
    }
    if (supervisor.lost)
        status = EXIT_FAILURE;
    supervisor_deinit(&supervisor);
    return status;
}
