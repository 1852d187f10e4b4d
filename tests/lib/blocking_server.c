/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocking fs, the server: one thread, which reads the kernel's requests and answers them, but for
 * those that hang. These are kept as they came, and done when they are released.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/blocking_internal.h"

enum {
    MAX_OPCODE = 64,
    MAX_REQUEST = 256 * 1024,
    PATTERN = 251,
    ROOT = FUSE_ROOT_ID,
};

#define XATTR_NAME  "user.a"
#define XATTR_VALUE "value"
#define LINK_TARGET "file"

typedef struct Inode {
    uint64_t parent;
    char *name; /* NULL: it has none (any more) */
    uint32_t mode;
    uint64_t size;
} Inode;

typedef struct Server {
    int fuse_fd;
    GArray *inodes; /* Inode; node number n is at n - 1 */
    GQueue hanging; /* GBytes: whole requests, oldest first */
    BlockingMode mode[MAX_OPCODE];
    int error[MAX_OPCODE]; /* with which they fail, or 0 */
    unsigned n_pass[MAX_OPCODE];
    unsigned n_done[MAX_OPCODE];
    unsigned n_interrupted;
} Server;

/* A request's header, and what follows it. */
typedef struct Call {
    const struct fuse_in_header *in;
    const void *body;
} Call;

/*
 * Inodes
 */

static Inode *inode_at(Server *s, uint64_t number)
{
    g_assert_cmpuint(number, >=, 1);
    g_assert_cmpuint(number, <=, s->inodes->len);
    return &g_array_index(s->inodes, Inode, number - 1);
}

static uint64_t add_inode(Server *s, uint64_t parent, const char *name, uint32_t mode,
                          uint64_t size)
{
    Inode inode = {.parent = parent, .name = g_strdup(name), .mode = mode, .size = size};

    g_array_append_val(s->inodes, inode);
    return s->inodes->len;
}

/* The number of `name` in `dir`, or 0. */
static uint64_t find(Server *s, uint64_t dir, const char *name)
{
    for (uint64_t n = 2; n <= s->inodes->len; n++) {
        Inode *inode = inode_at(s, n);
        if (inode->parent == dir && inode->name && strcmp(inode->name, name) == 0)
            return n;
    }
    return 0;
}

static struct fuse_attr attr_of(Server *s, uint64_t number)
{
    const Inode *inode = inode_at(s, number);

    return (struct fuse_attr){.ino = number,
                              .size = inode->size,
                              .mode = inode->mode,
                              .nlink = inode->name ? 1 : 0,
                              .blksize = BLOCKING_PIECE};
}

/*
 * Replies
 */

static void reply_parts(Server *s, const Call *c, const void *a, size_t a_size, const void *b,
                        size_t b_size)
{
    struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + a_size + b_size),
                                  .unique = c->in->unique};
    struct iovec parts[] = {{&out, sizeof(out)}, {(void *)a, a_size}, {(void *)b, b_size}};
    ssize_t written = writev(s->fuse_fd, parts, G_N_ELEMENTS(parts));

    (void)written; /* the caller may be gone */
}

static void reply(Server *s, const Call *c, const void *data, size_t size)
{
    reply_parts(s, c, data, size, NULL, 0);
}

static void reply_error(Server *s, const Call *c, int error)
{
    struct fuse_out_header out = {
        .len = sizeof(out), .unique = c->in->unique, .error = -error};
    ssize_t written = write(s->fuse_fd, &out, sizeof(out));

    (void)written;
}

static void reply_ok(Server *s, const Call *c)
{
    reply_error(s, c, 0);
}

static void reply_attr(Server *s, const Call *c, uint64_t number)
{
    struct fuse_attr_out out = {.attr = attr_of(s, number)};

    reply(s, c, &out, sizeof(out));
}

static struct fuse_entry_out entry_of(Server *s, uint64_t number)
{
    return (struct fuse_entry_out){.nodeid = number, .attr = attr_of(s, number)};
}

static void reply_entry(Server *s, const Call *c, uint64_t number)
{
    struct fuse_entry_out out = entry_of(s, number);

    reply(s, c, &out, sizeof(out));
}

/*
 * Operations
 */

static void do_init(Server *s, const Call *c)
{
    const struct fuse_init_in *in = c->body;
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = MIN(in->minor, FUSE_KERNEL_MINOR_VERSION),
        .flags = in->flags & (FUSE_POSIX_LOCKS | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS),
        .max_write = BLOCKING_PIECE,
    };

    reply(s, c, &out, sizeof(out));
}

static void do_lookup(Server *s, const Call *c)
{
    uint64_t number = find(s, c->in->nodeid, c->body);

    if (number > 0)
        reply_entry(s, c, number);
    else
        reply_error(s, c, ENOENT);
}

static void do_setattr(Server *s, const Call *c)
{
    const struct fuse_setattr_in *in = c->body;
    Inode *inode = inode_at(s, c->in->nodeid);

    if (in->valid & FATTR_SIZE)
        inode->size = in->size;
    if (in->valid & FATTR_MODE)
        inode->mode = in->mode;
    reply_attr(s, c, c->in->nodeid);
}

static void do_readlink(Server *s, const Call *c)
{
    reply(s, c, LINK_TARGET, strlen(LINK_TARGET));
}

static void do_mkdir(Server *s, const Call *c)
{
    const struct fuse_mkdir_in *in = c->body;

    reply_entry(s, c, add_inode(s, c->in->nodeid, (const char *)(in + 1), S_IFDIR | in->mode, 0));
}

static void do_unlink(Server *s, const Call *c)
{
    uint64_t number = find(s, c->in->nodeid, c->body);

    if (number > 0)
        g_clear_pointer(&inode_at(s, number)->name, g_free);
    reply_error(s, c, number > 0 ? 0 : ENOENT);
}

static void move(Server *s, const Call *c, uint64_t new_dir, const char *names)
{
    uint64_t number = find(s, c->in->nodeid, names);

    if (number > 0) {
        Inode *inode = inode_at(s, number);
        g_free(inode->name);
        inode->name = g_strdup(names + strlen(names) + 1);
        inode->parent = new_dir;
    }
    reply_error(s, c, number > 0 ? 0 : ENOENT);
}

static void do_rename(Server *s, const Call *c)
{
    const struct fuse_rename_in *in = c->body;

    move(s, c, in->newdir, (const char *)(in + 1));
}

static void do_open(Server *s, const Call *c)
{
    struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};

    reply(s, c, &out, sizeof(out));
}

static void do_opendir(Server *s, const Call *c)
{
    struct fuse_open_out out = {0};

    reply(s, c, &out, sizeof(out));
}

static void do_create(Server *s, const Call *c)
{
    const struct fuse_create_in *in = c->body;
    uint64_t number = add_inode(s, c->in->nodeid, (const char *)(in + 1), in->mode, 0);
    struct fuse_entry_out entry = entry_of(s, number);
    struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO};

    reply_parts(s, c, &entry, sizeof(entry), &open, sizeof(open));
}

static void do_read(Server *s, const Call *c)
{
    const struct fuse_read_in *in = c->body;
    uint64_t size = inode_at(s, c->in->nodeid)->size;
    uint64_t count = in->offset < size ? MIN(in->size, size - in->offset) : 0;
    uint8_t bytes[BLOCKING_PIECE];

    count = MIN(count, sizeof(bytes));
    for (uint64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((in->offset + i) % PATTERN);
    reply(s, c, bytes, count);
}

static void do_write(Server *s, const Call *c)
{
    const struct fuse_write_in *in = c->body;
    struct fuse_write_out out = {.size = in->size};
    Inode *inode = inode_at(s, c->in->nodeid);

    inode->size = MAX(inode->size, in->offset + in->size);
    reply(s, c, &out, sizeof(out));
}

static void do_statfs(Server *s, const Call *c)
{
    struct fuse_statfs_out out = {.st = {.bsize = BLOCKING_PIECE, .namelen = 255}};

    reply(s, c, &out, sizeof(out));
}

/* What the caller of getxattr() or listxattr() gets. */
static void reply_xattr(Server *s, const Call *c, const char *bytes, uint32_t size)
{
    const struct fuse_getxattr_in *in = c->body;
    struct fuse_getxattr_out out = {.size = size};

    if (in->size == 0)
        reply(s, c, &out, sizeof(out));
    else if (in->size < size)
        reply_error(s, c, ERANGE);
    else
        reply(s, c, bytes, size);
}

static void do_getxattr(Server *s, const Call *c)
{
    const struct fuse_getxattr_in *in = c->body;

    if (strcmp((const char *)(in + 1), XATTR_NAME) == 0)
        reply_xattr(s, c, XATTR_VALUE, strlen(XATTR_VALUE));
    else
        reply_error(s, c, ENODATA);
}

static void do_listxattr(Server *s, const Call *c)
{
    reply_xattr(s, c, XATTR_NAME, sizeof(XATTR_NAME));
}

static void do_getlk(Server *s, const Call *c)
{
    struct fuse_lk_out out = {.lk = {.type = F_UNLCK}};

    reply(s, c, &out, sizeof(out));
}

static void append_dirent(GByteArray *list, uint64_t number, uint64_t next, const char *name)
{
    static const guint8 zeros[8];
    struct fuse_dirent entry = {
        .ino = number, .off = next, .namelen = (uint32_t)strlen(name), .type = DT_UNKNOWN};

    g_byte_array_append(list, (const guint8 *)&entry, offsetof(struct fuse_dirent, name));
    g_byte_array_append(list, (const guint8 *)name, entry.namelen);
    g_byte_array_append(list, zeros, (guint)(FUSE_DIRENT_ALIGN(list->len) - list->len));
}

/* Offset n is that of the inode number n, so that "." and ".." need none of their own: they are left
 * out, as a file system may. */
static void do_readdir(Server *s, const Call *c)
{
    const struct fuse_read_in *in = c->body;
    g_autoptr(GByteArray) list = g_byte_array_new();

    for (uint64_t n = MAX(in->offset, 2); n <= s->inodes->len; n++) {
        const Inode *inode = inode_at(s, n);

        if (!inode->name || inode->parent != c->in->nodeid)
            continue;
        if (list->len + FUSE_DIRENT_SIZE(&(struct fuse_dirent){.namelen = 255}) > in->size)
            break;
        append_dirent(list, n, n + 1, inode->name);
    }
    reply(s, c, list->data, list->len);
}

static void do_getattr(Server *s, const Call *c)
{
    reply_attr(s, c, c->in->nodeid);
}

typedef void Operation(Server *s, const Call *c);

static Operation *const operations[MAX_OPCODE] = {
    [FUSE_INIT] = do_init,           [FUSE_LOOKUP] = do_lookup,     [FUSE_GETATTR] = do_getattr,
    [FUSE_SETATTR] = do_setattr,     [FUSE_READLINK] = do_readlink, [FUSE_MKDIR] = do_mkdir,
    [FUSE_UNLINK] = do_unlink,       [FUSE_RMDIR] = do_unlink,      [FUSE_RENAME] = do_rename,
    [FUSE_OPEN] = do_open,           [FUSE_OPENDIR] = do_opendir,   [FUSE_CREATE] = do_create,
    [FUSE_READ] = do_read,           [FUSE_WRITE] = do_write,       [FUSE_READDIR] = do_readdir,
    [FUSE_STATFS] = do_statfs,       [FUSE_GETXATTR] = do_getxattr, [FUSE_LISTXATTR] = do_listxattr,
    [FUSE_GETLK] = do_getlk,         [FUSE_SETLK] = reply_ok,       [FUSE_RELEASE] = reply_ok,
    [FUSE_RELEASEDIR] = reply_ok,    [FUSE_FSYNC] = reply_ok,       [FUSE_FSYNCDIR] = reply_ok,
    [FUSE_FLUSH] = reply_ok,         [FUSE_SETXATTR] = reply_ok,    [FUSE_REMOVEXATTR] = reply_ok,
    [FUSE_DESTROY] = reply_ok,
};

static Call call_of(GBytes *request)
{
    const struct fuse_in_header *in = g_bytes_get_data(request, NULL);

    return (Call){.in = in, .body = in + 1};
}

static void perform(Server *s, const Call *c)
{
    uint32_t opcode = c->in->opcode;

    if (opcode >= MAX_OPCODE || !operations[opcode]) {
        reply_error(s, c, ENOSYS);
        return;
    }
    s->n_done[opcode]++;
    operations[opcode](s, c);
}

/*
 * Hanging
 */

/* Whether it is this one's turn to hang, or to fail, if any is to. */
static bool is_due(Server *s, uint32_t opcode)
{
    if (s->n_pass[opcode] == 0)
        return true;
    s->n_pass[opcode]--;
    return false;
}

static bool shall_hang(Server *s, uint32_t opcode)
{
    return opcode < MAX_OPCODE && s->mode[opcode] != BLOCKING_NOT && is_due(s, opcode);
}

static bool shall_fail(Server *s, uint32_t opcode)
{
    return opcode < MAX_OPCODE && s->error[opcode] && is_due(s, opcode);
}

/* The caller of `unique` was interrupted. */
static void interrupt(Server *s, uint64_t unique)
{
    for (GList *l = s->hanging.head; l; l = l->next) {
        Call c = call_of(l->data);

        if (c.in->unique != unique)
            continue;
        s->n_interrupted++;
        if (s->mode[c.in->opcode] == BLOCKING_POLITE) {
            reply_error(s, &c, EINTR);
            g_bytes_unref(l->data);
            g_queue_delete_link(&s->hanging, l);
        }
        return;
    }
}

static void release(Server *s, const Command *command)
{
    GList *next;

    s->mode[command->opcode] = BLOCKING_NOT;
    for (GList *l = s->hanging.head; l; l = next) {
        Call c = call_of(l->data);

        next = l->next;
        if (c.in->opcode != command->opcode)
            continue;
        if (command->error)
            reply_error(s, &c, command->error);
        else
            perform(s, &c);
        g_bytes_unref(l->data);
        g_queue_delete_link(&s->hanging, l);
    }
}

static void handle_request(Server *s, const void *data, size_t size)
{
    g_autoptr(GBytes) request = g_bytes_new(data, size);
    Call c = call_of(request);

    switch (c.in->opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
        break;
    case FUSE_INTERRUPT:
        interrupt(s, ((const struct fuse_interrupt_in *)c.body)->unique);
        break;
    default:
        if (shall_hang(s, c.in->opcode))
            g_queue_push_tail(&s->hanging, g_bytes_ref(request));
        else if (shall_fail(s, c.in->opcode))
            reply_error(s, &c, s->error[c.in->opcode]);
        else
            perform(s, &c);
        break;
    }
}

/*
 * The loop
 */

static uint32_t count_hanging(Server *s, uint32_t opcode)
{
    uint32_t n = 0;

    for (GList *l = s->hanging.head; l; l = l->next)
        n += call_of(l->data).in->opcode == opcode;
    return n;
}

/* Returns false when the test is gone. */
static bool handle_command(Server *s, int fd)
{
    Command command;
    Answer answer;

    if (recv(fd, &command, sizeof(command), 0) != sizeof(command))
        return false;
    g_assert_cmpuint(command.opcode, <, MAX_OPCODE);
    if (command.type == COMMAND_HANG) {
        s->mode[command.opcode] = command.mode;
        s->n_pass[command.opcode] = command.n_pass;
    } else if (command.type == COMMAND_RELEASE) {
        release(s, &command);
    } else if (command.type == COMMAND_FAIL) {
        s->error[command.opcode] = command.error;
        s->n_pass[command.opcode] = command.n_pass;
    }
    answer = (Answer){.n_hanging = count_hanging(s, command.opcode),
                      .n_done = s->n_done[command.opcode],
                      .n_interrupted = s->n_interrupted};
    return send(fd, &answer, sizeof(answer), 0) == sizeof(answer);
}

static void free_inode(gpointer inode)
{
    g_free(((Inode *)inode)->name);
}

void blocking_serve(int fuse_fd, int command_fd)
{
    g_autofree uint8_t *buffer = g_malloc(MAX_REQUEST);
    Server s = {.fuse_fd = fuse_fd, .inodes = g_array_new(FALSE, FALSE, sizeof(Inode))};
    struct pollfd fds[] = {{.fd = fuse_fd, .events = POLLIN}, {.fd = command_fd, .events = POLLIN}};

    g_array_set_clear_func(s.inodes, free_inode);
    add_inode(&s, 0, "", S_IFDIR | 0755, 0);
    add_inode(&s, ROOT, "file", S_IFREG | 0644, BLOCKING_FILE_SIZE);
    add_inode(&s, ROOT, "directory", S_IFDIR | 0755, 0);
    add_inode(&s, ROOT, "link", S_IFLNK | 0777, strlen(LINK_TARGET));
    while (poll(fds, G_N_ELEMENTS(fds), -1) > 0) {
        if (fds[0].revents) {
            ssize_t got = read(fuse_fd, buffer, MAX_REQUEST);
            if (got >= (ssize_t)sizeof(struct fuse_in_header))
                handle_request(&s, buffer, (size_t)got);
            else if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
                break;
        }
        if (fds[1].revents && !handle_command(&s, command_fd))
            break;
    }
    g_queue_clear_full(&s.hanging, (GDestroyNotify)g_bytes_unref);
    g_array_unref(s.inodes);
}
