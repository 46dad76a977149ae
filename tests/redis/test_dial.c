/* Sockets that connect, or say why not, and names in between. */
#include "common/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/resolve.h"
#include "tests/support/support.h"

static struct ev_loop *loop;

struct result {
    int n;
    int fd;
    char why[512];
    struct ms_dial *dial; /* freed by the callback, where set */
};

static int make_loop(void **state)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    return 0;
}

static int drop_loop(void **state)
{
    ev_loop_destroy(loop);
    return 0;
}

#define RUN_UNTIL(cond) WAIT_FOR(20000, (ev_run(loop, EVRUN_NOWAIT), (cond)))

static void on_dialed(int fd, const char *why, void *arg)
{
    struct result *result = arg;

    result->n++;
    result->fd = fd;
    snprintf(result->why, sizeof(result->why), "%s", why);
    ms_dial_free(result->dial);
    result->dial = NULL;
}

static void dial(struct result *result, const struct ms_dial_to *to,
                 int timeout_ms)
{
    *result = (struct result){.fd = -2};
    result->dial = ms_dial_start(loop, to, timeout_ms, on_dialed, result);
    CHECK_INT(result->n, ==, 0); /* never from inside */
    RUN_UNTIL(result->n == 1);
}

static int listen_tcp(int *out_port, int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0);
    CHECK(listen(fd, backlog) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

static TEST(test_socket_is_nonblocking_and_closed_on_exec)
{
    struct ms_dial_to to = {.host = "127.0.0.1"};
    int listener = listen_tcp(&to.port, 5);
    struct result result;
    int on = 0;
    socklen_t len = sizeof(on);

    dial(&result, &to, 10000);
    CHECK_INT(result.fd, >=, 0);
    CHECK_STR(result.why, "");
    CHECK(fcntl(result.fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(result.fd, F_GETFD) & FD_CLOEXEC);
    CHECK(getsockopt(result.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0);
    CHECK(on);
    close(result.fd);
    close(listener);
}

static TEST(test_refused_address_says_so)
{
    struct ms_dial_to to = {.host = "127.0.0.1"};
    struct result result;

    close(listen_tcp(&to.port, 5));
    dial(&result, &to, 10000);
    CHECK_INT(result.fd, ==, -1);
    CHECK_CONTAINS(result.why, "cannot connect to 127.0.0.1:");
    CHECK_CONTAINS(result.why, "refused");
}

static TEST(test_ipv6_address_in_digits)
{
    const struct ms_dial_to to = {.host = "::1", .port = 1};
    struct result result;

    dial(&result, &to, 10000);
    CHECK_INT(result.fd, ==, -1);
    CHECK_CONTAINS(result.why, "cannot connect to ::1:1");
}

/* A listener whose queue is full answers nothing, as a host behind a wall. */
static TEST(test_silent_address_times_out)
{
    struct ms_dial_to to = {.host = "127.0.0.1"};
    int listener = listen_tcp(&to.port, 0);
    struct result result;
    int held[64];
    int n = 0;

    do {
        dial(&result, &to, 100);
        if (result.fd >= 0)
            held[n++] = result.fd;
    } while (result.fd >= 0 && n < 64);
    CHECK_INT(result.fd, ==, -1);
    CHECK_CONTAINS(result.why, "timed out");
    while (n > 0)
        close(held[--n]);
    close(listener);
}

static TEST(test_unix_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct ms_dial_to to = {.path = address.sun_path};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct result result;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", ms_test_dir());
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 5) == 0);
    dial(&result, &to, 10000);
    CHECK_INT(result.fd, >=, 0);
    close(result.fd);
    close(listener);
    dial(&result, &to, 10000); /* the file is there, nobody listens */
    CHECK_CONTAINS(result.why, "refused");
}

static TEST(test_overlong_path_is_an_error)
{
    char path[200];
    const struct ms_dial_to to = {.path = path};
    struct result result;

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    dial(&result, &to, 10000);
    CHECK_INT(result.fd, ==, -1);
    CHECK_CONTAINS(result.why, "too long");
}

/* ---- names ---- */

struct found {
    int n_calls;
    enum ms_err err;
    size_t n;
    int families[MS_RESOLVE_MAX];
    char why[128];
    struct ms_resolve *resolve;
};

static void on_resolved(enum ms_err err, const struct ms_address *addresses,
                        size_t n, const char *why, void *arg)
{
    struct found *found = arg;

    found->n_calls++;
    found->err = err;
    found->n = n;
    for (size_t i = 0; i < n; i++)
        found->families[i] = addresses[i].to.ss_family;
    snprintf(found->why, sizeof(found->why), "%s", why);
    ms_resolve_free(found->resolve);
    found->resolve = NULL;
}

static void resolve(struct found *found, const char *host)
{
    memset(found, 0, sizeof(*found));
    CHECK_INT(ms_resolve_start(loop, host, 80, on_resolved, found,
                               &found->resolve, NULL),
              ==, MS_OK);
    CHECK_INT(found->n_calls, ==, 0);
}

static TEST(test_localhost_is_found_without_a_child_of_ours)
{
    struct found found;

    resolve(&found, "localhost");
    RUN_UNTIL(found.n_calls == 1);
    CHECK_INT(found.err, ==, MS_OK);
    CHECK_INT(found.n, >=, 1);
    CHECK(found.families[0] == AF_INET || found.families[0] == AF_INET6);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static TEST(test_name_that_cannot_be_is_an_error)
{
    struct found found;

    resolve(&found, "");
    RUN_UNTIL(found.n_calls == 1);
    if (found.err != MS_OK) /* some systems take "" for this host */
        CHECK(found.why[0] != '\0');
    resolve(&found, "not a host name");
    RUN_UNTIL(found.n_calls == 1);
    CHECK_INT(found.err, ==, MS_EDOWN);
    CHECK(found.why[0] != '\0');
}

static TEST(test_freed_resolve_calls_nobody)
{
    struct found found;

    resolve(&found, "localhost");
    ms_resolve_free(found.resolve);
    ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(found.n_calls, ==, 0);
    ms_resolve_free(NULL);
}

static TEST(test_digits_need_no_process)
{
    struct ms_address address;

    CHECK(ms_resolve_numeric("10.1.2.3", 80, &address));
    CHECK_INT(address.to.ss_family, ==, AF_INET);
    CHECK(ms_resolve_numeric("::1", 80, &address));
    CHECK_INT(address.to.ss_family, ==, AF_INET6);
    CHECK(!ms_resolve_numeric("localhost", 80, &address));
    CHECK(!ms_resolve_numeric("10.1.2.3.4", 80, &address));
}

/* The child must not keep the test's, or a daemon's, descriptors open: a
 * socket that we close while a slow name is looked up must be closed. */
static TEST(test_name_look_up_holds_no_descriptor_of_ours)
{
    struct found found;
    int ends[2];
    char byte;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    resolve(&found, "no-such-host.invalid"); /* may take long */
    close(ends[1]);
    WAIT_FOR(5000, read(ends[0], &byte, 1) == 0);
    ms_resolve_free(found.resolve);
    close(ends[0]);
}

static TEST(test_freed_dial_calls_nobody)
{
    const struct ms_dial_to name = {.host = "localhost", .port = 1};
    const struct ms_dial_to digits = {.host = "127.0.0.1", .port = 1};
    struct result result = {0};

    ms_dial_free(ms_dial_start(loop, &name, 1000, on_dialed, &result));
    result.dial = ms_dial_start(loop, &name, 1000, on_dialed, &result);
    ev_run(loop, EVRUN_NOWAIT);
    ms_dial_free(result.dial);
    ms_dial_free(ms_dial_start(loop, &digits, 1000, on_dialed, &result));
    ev_run(loop, EVRUN_NOWAIT);
    CHECK_INT(result.n, ==, 0);
    ms_dial_free(NULL);
}

#define RUN_LOOP(name) \
    cmocka_unit_test_setup_teardown(name, make_loop, drop_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_LOOP(test_socket_is_nonblocking_and_closed_on_exec),
        RUN_LOOP(test_refused_address_says_so),
        RUN_LOOP(test_ipv6_address_in_digits),
        RUN_LOOP(test_silent_address_times_out),
        RUN_LOOP(test_unix_socket),
        RUN_LOOP(test_overlong_path_is_an_error),
        RUN_LOOP(test_localhost_is_found_without_a_child_of_ours),
        RUN_LOOP(test_name_that_cannot_be_is_an_error),
        RUN_LOOP(test_freed_resolve_calls_nobody),
        RUN_LOOP(test_digits_need_no_process),
        RUN_LOOP(test_name_look_up_holds_no_descriptor_of_ours),
        RUN_LOOP(test_freed_dial_calls_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
