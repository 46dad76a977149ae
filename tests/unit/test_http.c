/* The HTTP server on a libev loop, asked by a plain socket. */
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http.h"
#include "tests/support/support.h"

#define LARGE (3 * 1000 * 1000)

static struct ev_loop *loop;

static int asked; /* how often the handler was */

static int answer_it(const char *method, const char *path,
                     struct ms_http_answer *answer, void *arg)
{
    asked++;
    if (strcmp(path, "/large") == 0) {
        answer->content_type = "application/octet-stream";
        for (int i = 0; i < LARGE; i++)
            ms_buf_addc(&answer->body, (char)('a' + i % 26));
        return 200;
    }
    if (strcmp(path, "/healthz") != 0 && strcmp(path, "/metrics") != 0)
        return 404;
    ms_buf_addf(&answer->body, "%s ok", method);
    return 200;
}

/* The port of "127.0.0.1:80", "0.0.0.0:80" or "[::1]:80", on loopback. */
static int connect_to(const char *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6 = address[0] == '[';
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    v4.sin_port = v6.sin6_port =
        htons((uint16_t)atoi(strrchr(address, ':') + 1));
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    CHECK_INT(connect(fd,
                      is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
                      is_v6 ? sizeof(v6) : sizeof(v4)),
              ==, 0);
    return fd;
}

/* What comes until the server closes; closes as well. */
static char *read_all(int fd)
{
    struct ms_buf text = MS_BUF_INIT;
    char *copy;
    ssize_t n = 0;

    for (;;) {
        char block[512];

        WAIT_FOR(10000,
                 (ev_run(loop, EVRUN_NOWAIT),
                  (n = recv(fd, block, sizeof(block), MSG_DONTWAIT)) >= 0));
        if (n == 0)
            break;
        ms_buf_add(&text, block, (size_t)n);
    }
    close(fd);
    copy = ms_xstrdup(ms_buf_str(&text));
    ms_buf_done(&text);
    return copy;
}

/* The whole answer to a request that asks to close. */
static char *ask(struct ms_http *http, const char *request)
{
    int fd = connect_to(ms_http_address(http));

    CHECK_INT(write(fd, request, strlen(request)), ==, strlen(request));
    return read_all(fd);
}

/* One request for a path, `header` with its line end or "". */
static void check_status(struct ms_http *http, const char *method,
                         const char *path, const char *header,
                         const char *status)
{
    char *request = ms_xasprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s"
                                 "Connection: close\r\n\r\n",
                                 method, path, header);
    char *text = ask(http, request);

    CHECK_CONTAINS(text, status);
    free(text);
    free(request);
}

static struct ms_http *start(const char *address)
{
    struct ms_http *http = NULL;

    loop = ev_loop_new(0);
    CHECK_INT(ms_http_new(loop, address, answer_it, NULL, &http, NULL), ==,
              MS_OK);
    return http;
}

static void stop(struct ms_http *http)
{
    ms_http_free(http);
    ev_loop_destroy(loop);
}

static TEST(test_port_0_takes_a_free_one_and_tells_it)
{
    struct ms_http *http = start("127.0.0.1:0");

    CHECK_CONTAINS(ms_http_address(http), "127.0.0.1:");
    CHECK_INT(atoi(strrchr(ms_http_address(http), ':') + 1), >, 0);
    stop(http);
}

static TEST(test_answers_what_the_handler_said)
{
    struct ms_http *http = start("localhost:0");
    char *text = ask(http, "GET /healthz HTTP/1.1\r\nHost: x\r\n"
                           "Connection: close\r\n\r\n");

    CHECK_CONTAINS(text, "HTTP/1.1 200");
    CHECK_CONTAINS(text, "text/plain; charset=utf-8");
    CHECK_CONTAINS(text, "GET ok");
    free(text);
    stop(http);
}

/* No handler is asked that thinks of GET alone. */
static TEST(test_other_methods_are_refused_and_their_body_dropped)
{
    static const char *const methods[] = {"POST",    "PUT",   "DELETE",
                                          "OPTIONS", "PATCH", "BREW"};
    struct ms_http *http = start("127.0.0.1:0");
    char *text;

    asked = 0;
    text = ask(http, "POST /healthz HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 5\r\nConnection: close\r\n\r\n"
                     "hello");
    CHECK_CONTAINS(text, "HTTP/1.1 405");
    CHECK_CONTAINS(text, "Allow: GET, HEAD");
    CHECK_CONTAINS(text, "{\"error\":{\"code\":\"method_not_allowed\"");
    free(text);
    for (size_t i = 0; i < MS_COUNT_OF(methods); i++)
        check_status(http, methods[i], "/healthz", "", "HTTP/1.1 405");
    CHECK_INT(asked, ==, 0);
    stop(http);
}

static TEST(test_head_gets_the_headers_alone)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *text = ask(http, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n"
                           "Connection: close\r\n\r\n");

    CHECK_CONTAINS(text, "HTTP/1.1 200");
    CHECK_CONTAINS(text, "Content-Length: 7");
    CHECK(strstr(text, "HEAD ok") == NULL);
    free(text);
    stop(http);
}

/* Metrics of a large fleet do not fit into one write of a socket. */
static TEST(test_a_large_answer_arrives_whole)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *text = ask(http, "GET /large HTTP/1.1\r\nHost: x\r\n"
                           "Connection: close\r\n\r\n");
    const char *body = strstr(text, "\r\n\r\n") + 4;

    CHECK_INT(strlen(body), ==, LARGE);
    for (int i = 0; i < LARGE; i++)
        if (body[i] != 'a' + i % 26)
            CHECK_INT(i, ==, -1);
    free(text);
    stop(http);
}

/* Prometheus keeps its connection; a prober may dribble. */
static TEST(test_one_connection_takes_requests_in_pieces)
{
    static const char *const pieces[] = {
        "GET /hea", "lthz HTTP/1.1\r\nHo", "st: x\r\n\r\nGET /metrics HTT",
        "P/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"};
    struct ms_http *http = start("127.0.0.1:0");
    int fd = connect_to(ms_http_address(http));
    char *text;

    asked = 0;
    for (size_t i = 0; i < MS_COUNT_OF(pieces); i++) {
        CHECK_INT(write(fd, pieces[i], strlen(pieces[i])), ==,
                  strlen(pieces[i]));
        for (int k = 0; k < 10; k++)
            ev_run(loop, EVRUN_NOWAIT);
    }
    text = read_all(fd);
    CHECK_INT(asked, ==, 2);
    CHECK_CONTAINS(strstr(text, "GET ok") + 1, "GET ok");
    free(text);
    stop(http);
}

static TEST(test_what_is_not_http_is_closed_and_harms_nobody)
{
    struct ms_http *http = start("127.0.0.1:0");
    int idle = connect_to(ms_http_address(http));

    free(ask(http, "\x16\x03\x01 this is TLS\r\n\r\n"));
    free(ask(http, "GET /healthz HTTP/9.9\r\n\r\n"));
    check_status(http, "GET", "/healthz", "", "HTTP/1.1 200");
    stop(http); /* with a connection that never asked */
    close(idle);
}

static TEST(test_ipv6_loopback_is_served)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6,
                               .sin6_addr = in6addr_loopback};
    bool have = bind(probe, (struct sockaddr *)&any, sizeof(any)) == 0;
    struct ms_http *http;

    close(probe);
    if (!have)
        skip(); /* a host without IPv6 */
    http = start("[::1]:0");
    CHECK_CONTAINS(ms_http_address(http), "[::1]:");
    check_status(http, "GET", "/metrics", "", "HTTP/1.1 200");
    stop(http);
}

/* ---- tokens ---- */

#define BEARER(token) "Authorization: Bearer " token "\r\n"

/* Whoever forgot to load the tokens has locked the door, not opened it. */
static TEST(test_beyond_loopback_only_probes_are_answered_without_a_token)
{
    struct ms_http *http = start("0.0.0.0:0");

    check_status(http, "GET", "/metrics", "", "HTTP/1.1 401");
    check_status(http, "GET", "/nowhere", "", "HTTP/1.1 401");
    check_status(http, "POST", "/metrics", "", "HTTP/1.1 401");
    check_status(http, "GET", "/metrics", BEARER(""), "HTTP/1.1 401");
    check_status(http, "GET", "/healthz/x", "", "HTTP/1.1 401");
    check_status(http, "GET", "/healthz", "", "HTTP/1.1 200");
    check_status(http, "GET", "/readyz", "", "HTTP/1.1 404"); /* asked */
    stop(http);
}

static TEST(test_either_token_opens)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *full = ms_test_file("full", "f00\n", 4);
    char *readonly = ms_test_file("readonly", "r00", 3);

    check_status(http, "GET", "/metrics", "", "HTTP/1.1 200");
    CHECK_INT(ms_http_load_tokens(http, full, readonly, NULL), ==, MS_OK);
    check_status(http, "GET", "/metrics", "", "WWW-Authenticate: Bearer");
    check_status(http, "GET", "/metrics", BEARER("f0"), "HTTP/1.1 401");
    check_status(http, "GET", "/metrics", BEARER("f00"), "HTTP/1.1 200");
    check_status(http, "GET", "/metrics", BEARER("r00"), "HTTP/1.1 200");
    check_status(http, "GET", "/healthz", "", "HTTP/1.1 200");
    free(full);
    free(readonly);
    stop(http);
}

static TEST(test_a_token_file_that_cannot_be_used_is_an_error)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *empty = ms_test_file("empty", "\n", 1);
    struct ms_error error = {""};

    CHECK_INT(ms_http_load_tokens(http, NULL, NULL, NULL), ==, MS_OK);
    check_status(http, "GET", "/metrics", "", "HTTP/1.1 200");
    CHECK_INT(ms_http_load_tokens(http, NULL, empty, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "empty");
    CHECK_INT(ms_http_load_tokens(http, "/nowhere/t", NULL, &error), ==,
              MS_EIO);
    CHECK_CONTAINS(error.text, "/nowhere/t");
    free(empty);
    stop(http);
}

/* ---- paths and addresses ---- */

static TEST(test_an_unknown_path_is_404)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *text = ask(http, "GET /x HTTP/1.1\r\nHost: x\r\n"
                           "Connection: close\r\n\r\n");

    CHECK_CONTAINS(text, "HTTP/1.1 404");
    free(text);
    stop(http);
}

static TEST(test_what_is_no_address_is_refused)
{
    static const char *const wrong[] = {
        "", "x", ":1", "127.0.0.1:", "127.0.0.1:70000", "host.name:1"};
    struct ms_http *http = NULL;
    struct ms_error error;

    loop = ev_loop_new(0);
    for (size_t i = 0; i < MS_COUNT_OF(wrong); i++) {
        CHECK_INT(ms_http_new(loop, wrong[i], answer_it, NULL, &http, &error),
                  ==, MS_EINVAL);
        CHECK(http == NULL);
    }
    ev_loop_destroy(loop);
}

static TEST(test_a_port_in_use_is_an_error_that_names_it)
{
    struct ms_http *http = start("127.0.0.1:0"), *second = NULL;
    struct ms_error error = {""};

    CHECK_INT(ms_http_new(loop, ms_http_address(http), answer_it, NULL, &second,
                          &error),
              ==, MS_EIO);
    CHECK_CONTAINS(error.text, ms_http_address(http));
    stop(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_port_0_takes_a_free_one_and_tells_it),
        RUN(test_answers_what_the_handler_said),
        RUN(test_other_methods_are_refused_and_their_body_dropped),
        RUN(test_head_gets_the_headers_alone),
        RUN(test_a_large_answer_arrives_whole),
        RUN(test_one_connection_takes_requests_in_pieces),
        RUN(test_what_is_not_http_is_closed_and_harms_nobody),
        RUN(test_ipv6_loopback_is_served),
        RUN(test_beyond_loopback_only_probes_are_answered_without_a_token),
        RUN(test_either_token_opens),
        RUN(test_a_token_file_that_cannot_be_used_is_an_error),
        RUN(test_an_unknown_path_is_404),
        RUN(test_what_is_no_address_is_refused),
        RUN(test_a_port_in_use_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
