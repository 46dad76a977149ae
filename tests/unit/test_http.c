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

static struct ev_loop *loop;

static int answer_it(const char *method, const char *path,
                     struct ms_http_answer *answer, void *arg)
{
    if (strcmp(path, "/healthz") != 0)
        return 404;
    ms_buf_addf(&answer->body, "%s ok", method);
    return 200;
}

static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(connect(fd, (struct sockaddr *)&to, sizeof(to)), ==, 0);
    return fd;
}

/* The whole answer to a request that asks to close. */
static char *ask(struct ms_http *http, const char *request)
{
    int fd = connect_to(ms_http_address(http));
    struct ms_buf text = MS_BUF_INIT;
    char *copy;
    ssize_t n = 0;

    CHECK_INT(write(fd, request, strlen(request)), ==, strlen(request));
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

static TEST(test_a_body_is_read_and_dropped)
{
    struct ms_http *http = start("127.0.0.1:0");
    char *text = ask(http, "POST /healthz HTTP/1.1\r\nHost: x\r\n"
                           "Content-Length: 5\r\nConnection: close\r\n\r\n"
                           "hello");

    CHECK_CONTAINS(text, "POST ok");
    free(text);
    stop(http);
}

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
        RUN(test_a_body_is_read_and_dropped),
        RUN(test_an_unknown_path_is_404),
        RUN(test_what_is_no_address_is_refused),
        RUN(test_a_port_in_use_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
