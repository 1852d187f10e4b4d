/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Terminal: see terminal.h. */
#include "xen-9pfs/tool/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* the other screen, without a cursor */
#define SCREEN_END   "\033[?25h\033[?1049l"
#define LINE_END     "\033[K\r\n" /* clears what is left of the line */

enum { DEFAULT_WIDTH = 80, DEFAULT_HEIGHT = 24 };

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};

static struct termios saved;
static bool shown;
static int signal_fd = -1;

bool terminal_is_usable(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term != NULL && term[0] != '\0' &&
           strcmp(term, "dumb") != 0;
}

static void show(void)
{
    struct termios raw;

    tcgetattr(STDIN_FILENO, &saved);
    raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs(SCREEN_BEGIN, stdout);
    fflush(stdout);
    shown = true;
}

static void hide(void)
{
    if (!shown)
        return;
    shown = false;
    fputs(SCREEN_END, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

static void make_signal_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaddset(set, signals[i]);
}

void terminal_open(void)
{
    sigset_t set;

    make_signal_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    atexit(hide);
    show();
}

void terminal_close(void)
{
    sigset_t set;

    hide();
    close(signal_fd);
    signal_fd = -1;
    make_signal_set(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void terminal_get_size(unsigned *width, unsigned *height)
{
    struct winsize size = {0};

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *width = size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
    *height = size.ws_row > 0 ? size.ws_row : DEFAULT_HEIGHT;
}

void terminal_paint(const GString *text)
{
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);

    fputs("\033[H", stdout);
    for (size_t i = 0; lines[i] != NULL && lines[i + 1] != NULL; i++)
        printf("%s%s", i > 0 ? LINE_END : "", lines[i]);
    fputs("\033[K", stdout);
    fputs("\033[J", stdout);
    fflush(stdout);
}

/* Lets a signal do what it does to programs that do not catch it. Returns if that is to stop. */
static void suffer(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int take_signal(void)
{
    struct signalfd_siginfo info;

    if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
        return TERMINAL_CHANGED;
    switch (info.ssi_signo) {
    case SIGWINCH:
    case SIGCONT:
        break;
    case SIGTSTP:
        hide();
        suffer(SIGTSTP);
        show();
        break;
    default:
        hide();
        suffer((int)info.ssi_signo);
    }
    return TERMINAL_CHANGED;
}

static int take_key(void)
{
    unsigned char key;
    ssize_t size = read(STDIN_FILENO, &key, 1);

    if (size == 1)
        return key;
    return size < 0 && (errno == EINTR || errno == EAGAIN) ? TERMINAL_CHANGED : TERMINAL_GONE;
}

int terminal_wait(gint64 wait_us)
{
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    int wait_ms = (int)((MAX(wait_us, 0) + 999) / 1000);

    if (poll(fds, G_N_ELEMENTS(fds), wait_ms) <= 0)
        return TERMINAL_TIMEOUT;
    return fds[0].revents != 0 ? take_signal() : take_key();
}
