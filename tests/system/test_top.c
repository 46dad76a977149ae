/* musterctl top on a terminal of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/val.h"
#include "tests/support/fleet.h"

#define ENTER "\033[?1049h"
#define LEAVE "\033[?1049l"

static struct ms_test_fleet *fleet;

/* musterctl behind a terminal, and all that it wrote there. */
struct term {
    pid_t pid;
    int fd, code; /* code -1: it runs */
    struct ms_buf text;
};

static void begin(void)
{
    fleet = ms_test_fleet_new(NULL, "worker: { queues: [q], concurrency: 4, "
                                    "http: \"off\" }\n");
}

static void finish(void)
{
    ms_test_fleet_free(fleet);
}

static void exec_top(void)
{
    char *path = ms_xasprintf("%s/musterctl", MS_TEST_BIN_DIR);

    setenv("TERM", "xterm", 1);
    execl(path, "musterctl", "--config", fleet->conf, "top", "--interval",
          "100ms", (char *)NULL);
    _exit(127);
}

static void term_start(struct term *term)
{
    struct winsize size = {.ws_row = 24, .ws_col = 120};

    *term = (struct term){.code = -1};
    term->pid = forkpty(&term->fd, NULL, NULL, &size);
    if (term->pid == 0)
        exec_top();
    CHECK_INT(term->pid, >, 0);
    CHECK_INT(fcntl(term->fd, F_SETFL, O_NONBLOCK), ==, 0);
}

static const char *term_text(struct term *term)
{
    char bytes[4096];
    ssize_t n;

    while ((n = read(term->fd, bytes, sizeof(bytes))) > 0)
        ms_buf_add(&term->text, bytes, (size_t)n);
    return ms_buf_str(&term->text);
}

static void term_forget(struct term *term)
{
    term_text(term);
    ms_buf_clear(&term->text);
}

static bool term_shows(struct term *term, const char *text)
{
    return strstr(term_text(term), text) != NULL;
}

static bool term_ended(struct term *term)
{
    int status;

    term_text(term);
    if (term->code < 0 && waitpid(term->pid, &status, WNOHANG) == term->pid)
        term->code =
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return term->code >= 0;
}

/* It has ended well, and the terminal is as it was. */
static void term_finish(struct term *term)
{
    struct termios now;

    WAIT_FOR(20000, term_ended(term));
    CHECK_INT(term->code, ==, 0);
    CHECK(term_shows(term, LEAVE));
    CHECK_CONTAINS(ms_buf_str(&term->text), "\033[?25h");
    CHECK_INT(tcgetattr(term->fd, &now), ==, 0);
    CHECK((now.c_lflag & ECHO) != 0);
    CHECK((now.c_lflag & ICANON) != 0);
    CHECK((now.c_lflag & ISIG) != 0);
    close(term->fd);
    ms_buf_done(&term->text);
}

static void term_keys(struct term *term, const char *keys)
{
    CHECK_INT(write(term->fd, keys, strlen(keys)), ==, strlen(keys));
}

static TEST(test_it_shows_what_changes_until_q)
{
    struct term term;

    begin();
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue first"), ==,
              0);
    term_start(&term);
    WAIT_FOR(20000, term_shows(&term, "first"));
    CHECK(term_shows(&term, ENTER));
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue second"), ==,
              0);
    WAIT_FOR(20000, term_shows(&term, "second"));
    CHECK(!term_shows(&term, LEAVE));
    term_keys(&term, "x\033[Aq"); /* other keys mean nothing */
    term_finish(&term);
    finish();
}

static TEST(test_ctrl_c_and_signals_put_the_terminal_right)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    struct term term;

    begin();
    term_start(&term);
    WAIT_FOR(20000, term_shows(&term, "no queues"));
    term_keys(&term, "\003");
    term_finish(&term);
    for (size_t i = 0; i < MS_COUNT_OF(signals); i++) {
        term_start(&term);
        WAIT_FOR(20000, term_shows(&term, "no queues"));
        CHECK_INT(kill(term.pid, signals[i]), ==, 0);
        term_finish(&term);
    }
    finish();
}

/* The widest line drawn since; escape sequences take no room. */
static int widest(const char *text)
{
    int most = 0, columns = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\033') {
            text += strcspn(text, "HKJhl");
            if (*text == '\0')
                break;
            if (*text == 'H')
                columns = 0;
        } else if (*text == '\r' || *text == '\n') {
            columns = 0;
        } else if (++columns > most) {
            most = columns;
        }
    }
    return most;
}

static TEST(test_a_new_size_is_drawn_in)
{
    struct winsize size = {.ws_row = 10, .ws_col = 30};
    struct term term;

    begin();
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q"), ==, 0);
    term_start(&term);
    WAIT_FOR(20000, term_shows(&term, "STATE"));
    CHECK_INT(widest(ms_buf_str(&term.text)), >, 30);
    CHECK_INT(ioctl(term.fd, TIOCSWINSZ, &size), ==, 0);
    /* What was on its way is still of the old size. */
    WAIT_FOR(20000, (term_forget(&term), usleep(300000),
                     term_shows(&term, "fleet t")) &&
                        widest(ms_buf_str(&term.text)) <= 30);
    term_keys(&term, "q");
    term_finish(&term);
    finish();
}

static TEST(test_it_waits_for_a_redis_that_is_away)
{
    struct term term;

    begin();
    term_start(&term);
    WAIT_FOR(20000, term_shows(&term, "no leader"));
    ms_test_redis_down(fleet->redis, SIGKILL);
    WAIT_FOR(20000, term_shows(&term, "cannot use the Redis"));
    ms_test_redis_up(fleet->redis);
    term_forget(&term);
    WAIT_FOR(20000, term_shows(&term, "no leader"));
    ms_test_redis_down(fleet->redis, SIGKILL);
    WAIT_FOR(20000, term_shows(&term, "cannot use the Redis"));
    term_keys(&term, "q"); /* also then */
    term_finish(&term);
    ms_test_redis_up(fleet->redis);
    finish();
}

static TEST(test_without_a_terminal_there_is_one_look_or_none)
{
    struct ms_val val = {0};
    struct ms_proc *worker;
    struct ms_error error;

    begin();
    CHECK_INT(ms_test_ctl(fleet, "top"), ==, 2);
    CHECK_CONTAINS(ms_test_ctl_stderr(), "no terminal");
    CHECK_INT(ms_test_ctl(fleet, "top --interval 1ms --once"), ==, 2);
    worker = ms_test_worker(fleet);
    CHECK_INT(ms_test_ctl(fleet, "job enqueue noop.echo 1 --queue q"), ==, 0);
    CHECK_INT(ms_test_ctl(fleet, "top --once"), ==, 0);
    CHECK(strchr(ms_test_ctl_stdout(), 27) == NULL);
    CHECK_CONTAINS(ms_test_ctl_stdout(), ms_test_pod_id(worker));
    CHECK_INT(ms_test_ctl(fleet, "top --json"), ==, 0);
    CHECK_INT(ms_val_from_json(ms_test_ctl_stdout(),
                               strlen(ms_test_ctl_stdout()), &val, &error),
              ==, MS_OK);
    CHECK_STR(ms_test_ctl_field("fleet"), "t");
    CHECK_STR(ms_test_ctl_field("enqueued_total"), "1");
    ms_val_done(&val);
    ms_proc_free(worker);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_it_shows_what_changes_until_q),
        RUN(test_ctrl_c_and_signals_put_the_terminal_right),
        RUN(test_a_new_size_is_drawn_in),
        RUN(test_it_waits_for_a_redis_that_is_away),
        RUN(test_without_a_terminal_there_is_one_look_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
