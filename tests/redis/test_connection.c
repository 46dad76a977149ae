/* How a connection comes up, goes down and comes back. */
#include "tests/redis/probe.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ms_test_redis *server;

static const char *url(void)
{
    return ms_test_redis_url(server);
}

static int start_server(void **state)
{
    server = ms_test_redis_start(NULL);
    return 0;
}

static int stop_server(void **state)
{
    ms_test_redis_stop(server);
    return 0;
}

/* ---- what cannot be used at all ---- */

static TEST(test_urls_that_cannot_be_used_are_refused_at_once)
{
    static const struct {
        const char *url;
        enum ms_err want;
        const char *why;
    } cases[] = {
        {"nonsense", MS_EINVAL, "must start with"},
        {"redis://h:0", MS_EINVAL, "port"},
        {"rediss://h:6380", MS_ENOTSUP, "TLS"},
        {"redis-sentinel://h:1/m", MS_ENOTSUP, "redis-sentinel://"},
        {"redis-cluster://h:1", MS_ENOTSUP, "redis-cluster://"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        const struct ms_redis_options options = {.url = cases[i].url};
        struct ms_redis *redis = NULL;
        struct ms_error error = {""};

        CHECK_INT(ms_redis_new(EV_DEFAULT, &options, &redis, &error), ==,
                  cases[i].want);
        CHECK_CONTAINS(error.text, cases[i].why);
        CHECK(redis == NULL);
    }
}

/* Redis would refuse it at each connect, and nobody would see why. */
static TEST(test_client_name_with_a_space_is_refused)
{
    const struct ms_redis_options options = {.url = "redis://h:1",
                                             .client_name = "a b"};
    struct ms_redis *redis;
    struct ms_error error;

    CHECK_INT(ms_redis_new(EV_DEFAULT, &options, &redis, &error), ==,
              MS_EINVAL);
    CHECK_CONTAINS(error.text, "name");
}

static TEST(test_free_before_start_and_of_null)
{
    const struct ms_redis_options options = {.url = url()};
    struct ms_redis *redis;

    CHECK_INT(ms_redis_new(EV_DEFAULT, &options, &redis, NULL), ==, MS_OK);
    ms_redis_free(redis);
    ms_redis_free(NULL);
}

/* ---- coming up ---- */

static TEST(test_up_is_told_once)
{
    struct probe probe;

    probe_up(&probe, url());
    CHECK(ms_redis_is_up(probe.redis));
    CHECK_INT(probe.n_down, ==, 0);
    CHECK_INT(probe.last_err, ==, MS_OK);
    CHECK_STR(probe.last_why, "");
    CHECK_INT(ms_redis_why(probe.redis, NULL), ==, MS_OK);
    CHECK_INT(ms_redis_reconnects(probe.redis), ==, 0);
    ms_redis_start(probe.redis); /* once more changes nothing */
    CHECK(ms_redis_is_up(probe.redis));
    probe_done(&probe);
}

/* A daemon that starts before its Redis must be able to say what it waits
 * for, once and not at each try. */
static TEST(test_first_failure_is_told_with_its_reason)
{
    struct probe probe;
    const char *why;

    probe_init(&probe, "unix:///nowhere/redis.sock");
    RUN_UNTIL(&probe, ms_redis_failures(probe.redis) >= 3);
    CHECK_INT(probe.n_down, ==, 1);
    CHECK_INT(probe.n_up, ==, 0);
    CHECK_INT(probe.last_err, ==, MS_EDOWN);
    CHECK_CONTAINS(probe.last_why, "/nowhere/redis.sock");
    CHECK_CONTAINS(probe.last_why, "No such file");
    CHECK_INT(ms_redis_why(probe.redis, &why), ==, MS_EDOWN);
    CHECK_CONTAINS(why, "No such file");
    probe_done(&probe);
}

/* A port that nothing listens on. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static TEST(test_refused_connection_is_tried_again)
{
    char text[64];
    struct probe probe;

    snprintf(text, sizeof(text), "redis://127.0.0.1:%d", free_port());
    probe_init(&probe, text);
    RUN_UNTIL(&probe, ms_redis_failures(probe.redis) >= 2);
    CHECK_CONTAINS(probe.last_why, "Connection refused");
    probe_done(&probe);
}

static TEST(test_wait_up_says_why_it_was_in_vain)
{
    struct probe probe;
    struct ms_error error;

    probe_init(&probe, "unix:///nowhere/redis.sock");
    CHECK_INT(ms_redis_wait_up(probe.redis, 100, &error), ==, MS_EDOWN);
    CHECK_CONTAINS(error.text, "No such file");
    probe_done(&probe);
}

static TEST(test_wait_up_starts_the_connection)
{
    const struct ms_redis_options options = {.url = url()};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct ms_redis *redis;

    CHECK_INT(ms_redis_new(loop, &options, &redis, NULL), ==, MS_OK);
    CHECK_INT(ms_redis_wait_up(redis, 20000, NULL), ==, MS_OK);
    CHECK_INT(ms_redis_wait_up(redis, 0, NULL), ==, MS_OK);
    ms_redis_free(redis);
    ev_loop_destroy(loop);
}

static TEST(test_name_is_seen_in_client_list)
{
    const struct ms_redis_options options = {.url = url(),
                                             .client_name = "probe:01ABC"};
    struct probe probe;

    probe_init_with(&probe, &options);
    RUN_UNTIL(&probe, probe.n_up == 1);
    CHECK_CONTAINS(ms_test_text(server, "CLIENT LIST"), "name=probe:01ABC");
    probe_done(&probe);
}

static TEST(test_database_is_selected)
{
    char text[256];
    struct probe probe;
    struct got got;

    snprintf(text, sizeof(text), "%s?db=7", url());
    probe_up(&probe, text);
    probe_send(&probe, &got, 0, "SET", "where", "seven", NULL);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_STR(ms_test_text(server, "GET where"), "(nil)");
    CHECK_CONTAINS(ms_test_text(server, "INFO keyspace"), "db7:keys=1");
    got_done(&got);
    probe_done(&probe);
}

static TEST(test_database_out_of_range_ends_the_wait)
{
    char text[256];
    struct probe probe;
    struct ms_error error;

    snprintf(text, sizeof(text), "%s?db=9999", url());
    probe_init(&probe, text);
    CHECK_INT(ms_redis_wait_up(probe.redis, 20000, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "SELECT");
    probe_done(&probe);
}

/* ---- logging in ---- */

static struct ms_test_redis *start_with_password(void)
{
    const char *const extra[] = {"--requirepass", "s3cret", NULL};
    struct ms_test_redis *locked = ms_test_redis_start(extra);

    ms_test_cmd(locked, "ACL SETUSER ann on >pw@1 ~* +@all");
    return locked;
}

/* The socket's URL with another login. */
static const char *url_as(struct ms_test_redis *of, const char *login)
{
    static char text[256];

    snprintf(text, sizeof(text), "unix://%s%s", login,
             strchr(ms_test_redis_url(of), '@'));
    return text;
}

static TEST(test_login_by_password_and_by_user)
{
    struct ms_test_redis *locked = start_with_password();
    struct probe probe;
    struct got got;

    probe_up(&probe, url_as(locked, ":s3cret"));
    probe_done(&probe);
    probe_up(&probe, url_as(locked, "ann:pw%401"));
    probe_send(&probe, &got, 0, "ACL", "WHOAMI", NULL, NULL);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_STR(got.reply->str, "ann");
    got_done(&got);
    probe_done(&probe);
    ms_test_redis_stop(locked);
}

static TEST(test_wrong_password_ends_the_wait_and_stays_secret)
{
    struct ms_test_redis *locked = start_with_password();
    struct probe probe;
    struct ms_error error;

    probe_init(&probe, url_as(locked, ":hunter2"));
    CHECK_INT(ms_redis_wait_up(probe.redis, 20000, &error), ==, MS_EAUTH);
    CHECK_CONTAINS(error.text, "WRONGPASS");
    CHECK(strstr(error.text, "hunter2") == NULL);
    CHECK_INT(probe.last_err, ==, MS_EAUTH);
    probe_done(&probe);
    ms_test_redis_stop(locked);
}

static TEST(test_missing_password_is_an_auth_error)
{
    struct ms_test_redis *locked = start_with_password();
    char text[256];
    struct probe probe;
    struct ms_error error;

    snprintf(text, sizeof(text), "unix://%s",
             strchr(ms_test_redis_url(locked), '@') + 1);
    probe_init(&probe, text);
    CHECK_INT(ms_redis_wait_up(probe.redis, 20000, &error), ==, MS_EAUTH);
    CHECK_CONTAINS(error.text, "NOAUTH");
    probe_done(&probe);
    ms_test_redis_stop(locked);
}

/* An operator who mends the password must not have to restart the fleet. */
static TEST(test_password_that_becomes_right_is_taken)
{
    struct ms_test_redis *locked = start_with_password();
    struct probe probe;

    probe_init(&probe, url_as(locked, ":later"));
    RUN_UNTIL(&probe, probe.last_err == MS_EAUTH);
    ms_test_cmd(locked, "ACL SETUSER default >later");
    CHECK_INT(ms_redis_wait_up(probe.redis, 20000, NULL), ==, MS_OK);
    probe_done(&probe);
    ms_test_redis_stop(locked);
}

static TEST(test_password_where_none_is_set_is_an_auth_error)
{
    char text[256];
    struct probe probe;

    snprintf(text, sizeof(text), "unix://:pw@%s", url() + strlen("unix://"));
    probe_init(&probe, text);
    CHECK_INT(ms_redis_wait_up(probe.redis, 20000, NULL), ==, MS_EAUTH);
    probe_done(&probe);
}

/* ---- a Redis that is not ready, or not ours ---- */

static TEST(test_too_many_clients_is_busy_and_tried_again)
{
    const char *const extra[] = {"--maxclients", "1", NULL};
    struct ms_test_redis *full = ms_test_redis_start(extra);
    struct probe probe;

    probe_init(&probe, ms_test_redis_url(full));
    RUN_UNTIL(&probe, probe.n_down == 1);
    CHECK_INT(probe.last_err, ==, MS_EBUSY);
    CHECK_CONTAINS(probe.last_why, "max number of clients");
    ms_test_cmd(full, "CONFIG SET maxclients 10");
    RUN_UNTIL(&probe, probe.n_up == 1);
    probe_done(&probe);
    ms_test_redis_stop(full);
}

/* Keys are loaded slowly, and Redis answers meanwhile with LOADING. */
static TEST(test_loading_redis_is_waited_for)
{
    const char *const extra[] = {"--key-load-delay", "5000",
                                 "--loading-process-events-interval-bytes",
                                 "1024", NULL};
    struct ms_test_redis *slow = ms_test_redis_start(extra);
    char dir[256];
    const char *argv[] = {"redis-server",
                          "--port",
                          "0",
                          "--dir",
                          dir,
                          "--unixsocket",
                          NULL,
                          "--key-load-delay",
                          "5000",
                          "--loading-process-events-interval-bytes",
                          "1024",
                          NULL};
    struct ms_proc *again;
    struct probe probe;
    char value[1024];

    memset(value, 'x', sizeof(value));
    for (int i = 0; i < 300; i++)
        ms_test_cmd(slow, "SET key:%d %b", i, value, sizeof(value));
    CHECK_STR(ms_test_text(slow, "SAVE"), "OK");
    snprintf(dir, sizeof(dir), "%s",
             ms_test_redis_url(slow) + strlen("unix://"));
    argv[6] = ms_test_redis_url(slow) + strlen("unix://");
    *strrchr(dir, '/') = '\0';
    ms_test_redis_down(slow, SIGKILL);
    again = ms_proc_start(argv, NULL);
    probe_init(&probe, ms_test_redis_url(slow));
    RUN_UNTIL(&probe, ms_redis_why(probe.redis, NULL) == MS_ELOADING);
    RUN_UNTIL(&probe, probe.n_up == 1);
    probe_done(&probe);
    ms_proc_free(again);
    ms_test_redis_stop(slow);
}

/* After a failover the old master's address may be a replica's: connecting
 * anew is what finds the new one. */
static TEST(test_readonly_reply_breaks_the_connection)
{
    struct ms_test_redis *replica = ms_test_redis_start(NULL);
    struct probe probe;
    struct got first;
    struct got second;

    probe_up(&probe, ms_test_redis_url(replica));
    ms_test_cmd(replica, "REPLICAOF 127.0.0.1 1");
    probe_send(&probe, &first, 0, "SET", "a", "b", NULL);
    probe_send(&probe, &second, 0, "BLPOP", "nothing", "0", NULL);
    RUN_UNTIL(&probe, second.n == 1);
    CHECK_INT(first.err, ==, MS_EREADONLY);
    CHECK_CONTAINS(first.reply->str, "READONLY");
    CHECK(second.err != MS_OK);
    CHECK_INT(probe.n_down, ==, 1);
    CHECK_INT(probe.last_err, ==, MS_EREADONLY);
    ms_test_cmd(replica, "REPLICAOF NO ONE");
    RUN_UNTIL(&probe, probe.n_up == 2);
    got_done(&first);
    got_done(&second);
    probe_done(&probe);
    ms_test_redis_stop(replica);
}

/* ---- going down and coming back ---- */

static TEST(test_comes_back_after_a_restart)
{
    struct ms_test_redis *own = ms_test_redis_start(NULL);
    struct probe probe;
    struct got got;

    probe_up(&probe, ms_test_redis_url(own));
    ms_test_redis_down(own, SIGTERM);
    RUN_UNTIL(&probe, probe.n_down == 1);
    CHECK(!ms_redis_is_up(probe.redis));
    CHECK_INT(probe.last_err, ==, MS_EDOWN);
    ms_test_redis_up(own);
    RUN_UNTIL(&probe, probe.n_up == 2);
    CHECK_INT(ms_redis_reconnects(probe.redis), ==, 1);
    probe_send(&probe, &got, 0, "ECHO", "again", NULL, NULL);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_STR(got.reply->str, "again");
    got_done(&got);
    probe_done(&probe);
    ms_test_redis_stop(own);
}

struct order {
    struct probe probe; /* first, for probe_on_state() */
    struct got blocked;
    bool was_answered_before_down;
};

static void note_order(bool up, enum ms_err err, const char *why, void *arg)
{
    struct order *order = arg;

    if (!up)
        order->was_answered_before_down = order->blocked.n == 1;
    probe_on_state(up, err, why, &order->probe);
}

static TEST(test_killed_connection_answers_requests_then_tells)
{
    struct order order = {0};
    struct got later;

    probe_up(&order.probe, url());
    ms_redis_on_state(order.probe.redis, note_order, &order);
    probe_send(&order.probe, &order.blocked, 0, "BLPOP", "nothing", "0", NULL);
    probe_send(&order.probe, &later, 0, "ECHO", "x", NULL, NULL);
    RUN_UNTIL(&order.probe,
              strstr(ms_test_text(server, "CLIENT LIST"), "cmd=blpop") != NULL);
    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&order.probe, order.probe.n_down == 1);
    CHECK(order.was_answered_before_down);
    CHECK_INT(order.blocked.err, ==, MS_EDOWN);
    CHECK_INT(later.err, ==, MS_EDOWN);
    CHECK_INT(later.n, ==, 1);
    CHECK_INT(later.reply->type, ==, MS_REPLY_NIL);
    CHECK_CONTAINS(order.probe.last_why, "closed");
    RUN_UNTIL(&order.probe, order.probe.n_up == 2);
    got_done(&order.blocked);
    got_done(&later);
    probe_done(&order.probe);
}

/* Something that listens and is no Redis. */
static int listen_as(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(fd, 8) == 0);
    return fd;
}

static TEST(test_garbage_instead_of_replies_breaks_the_connection)
{
    char path[256];
    char text[300];
    struct probe probe;
    int fd;
    int peer = -1;

    snprintf(path, sizeof(path), "%s/garbage.sock", ms_test_dir());
    snprintf(text, sizeof(text), "unix://%s", path);
    fd = listen_as(path);
    probe_init(&probe, text);
    RUN_UNTIL(&probe, (peer = accept(fd, NULL, NULL)) >= 0);
    CHECK(write(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
    RUN_UNTIL(&probe, probe.n_down == 1);
    CHECK_INT(probe.last_err, ==, MS_EDOWN);
    CHECK_CONTAINS(probe.last_why, "rotocol error");
    close(peer);
    close(fd);
    probe_done(&probe);
}

static TEST(test_silence_instead_of_a_greeting_is_given_up)
{
    char path[256];
    char text[300];
    const struct ms_redis_options options = {.url = text,
                                             .connect_timeout_ms = 50};
    struct probe probe;
    int fd;

    snprintf(path, sizeof(path), "%s/silent.sock", ms_test_dir());
    snprintf(text, sizeof(text), "unix://%s", path);
    fd = listen_as(path);
    probe_init_with(&probe, &options);
    RUN_UNTIL(&probe, ms_redis_failures(probe.redis) >= 2);
    CHECK_INT(probe.last_err, ==, MS_EDOWN);
    CHECK_CONTAINS(probe.last_why, "in time");
    close(fd);
    probe_done(&probe);
}

static TEST(test_frozen_redis_times_out_and_is_found_again)
{
    struct ms_test_redis *frozen = ms_test_redis_start(NULL);
    const struct ms_redis_options options = {.url = ms_test_redis_url(frozen),
                                             .connect_timeout_ms = 100};
    struct probe probe;
    struct got got;

    probe_init_with(&probe, &options);
    RUN_UNTIL(&probe, probe.n_up == 1);
    kill(ms_test_redis_pid(frozen), SIGSTOP);
    probe_send(&probe, &got, 50, "PING", NULL, NULL, NULL);
    RUN_UNTIL(&probe, got.n == 1);
    CHECK_INT(got.err, ==, MS_ETIMEOUT);
    CHECK_INT(probe.last_err, ==, MS_ETIMEOUT);
    kill(ms_test_redis_pid(frozen), SIGCONT);
    RUN_UNTIL(&probe, probe.n_up == 2);
    got_done(&got);
    probe_done(&probe);
    ms_test_redis_stop(frozen);
}

/* ---- TCP, names, descriptors ---- */

static struct ms_test_redis *start_on_port(int port)
{
    char text[16];
    const char *const extra[] = {"--port", text, "--bind", "127.0.0.1", NULL};

    snprintf(text, sizeof(text), "%d", port);
    return ms_test_redis_start(extra);
}

/* Where "localhost" is ::1 first, that is refused and 127.0.0.1 tried next. */
static TEST(test_name_is_resolved_and_leaves_no_child)
{
    int port = free_port();
    struct ms_test_redis *tcp = start_on_port(port);
    char text[64];
    struct probe probe;

    snprintf(text, sizeof(text), "redis://localhost:%d", port);
    probe_up(&probe, text);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), ==, 0); /* none but the servers */
    probe_done(&probe);
    snprintf(text, sizeof(text), "redis://127.0.0.1:%d", port);
    probe_up(&probe, text);
    probe_done(&probe);
    ms_test_redis_stop(tcp);
}

static TEST(test_unknown_name_says_so)
{
    struct probe probe;

    probe_init(&probe, "redis://no-such-host.invalid:6390");
    RUN_UNTIL(&probe, probe.n_down == 1);
    CHECK_INT(probe.last_err, ==, MS_EDOWN);
    CHECK_CONTAINS(probe.last_why, "cannot resolve 'no-such-host.invalid'");
    probe_done(&probe);
}

static TEST(test_free_while_resolving_and_connecting)
{
    struct probe probe;

    probe_init(&probe, "redis://localhost:1");
    probe_done(&probe);
    probe_init(&probe, "redis://localhost:1");
    ev_run(probe.loop, EVRUN_ONCE);
    probe_done(&probe);
    probe_init(&probe, url());
    ev_run(probe.loop, EVRUN_ONCE);
    probe_done(&probe);
}

/* An executed program that inherits the socket keeps a dead worker's BLPOP
 * alive, and is logged in. */
static TEST(test_socket_is_closed_in_executed_programs)
{
    const char *const argv[] = {"ls", "-l", "/proc/self/fd", NULL};
    struct probe probe;
    char *out;

    probe_up(&probe, url());
    CHECK_INT(ms_proc_run(argv, NULL, &out, NULL), ==, 0);
    CHECK_CONTAINS(out, "/proc/");
    CHECK(strstr(out, "socket:") == NULL);
    free(out);
    probe_done(&probe);
}

/* ---- freed by its own callbacks ---- */

static void free_on_state(bool up, enum ms_err err, const char *why, void *arg)
{
    struct probe *probe = arg;

    probe_on_state(up, err, why, arg);
    ms_redis_free(probe->redis);
    probe->redis = NULL;
}

static TEST(test_freed_when_it_comes_up)
{
    struct probe probe;

    probe_init(&probe, url());
    ms_redis_on_state(probe.redis, free_on_state, &probe);
    RUN_UNTIL(&probe, probe.redis == NULL);
    CHECK_INT(probe.n_up, ==, 1);
    probe_done(&probe);
}

static TEST(test_freed_when_it_goes_down)
{
    struct probe probe;

    probe_up(&probe, url());
    ms_redis_on_state(probe.redis, free_on_state, &probe);
    ms_test_cmd(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.redis == NULL);
    CHECK_INT(probe.n_down, ==, 1);
    probe_done(&probe);
}

static TEST(test_freed_when_the_first_try_fails)
{
    struct probe probe;

    probe_init(&probe, "unix:///nowhere/redis.sock");
    ms_redis_on_state(probe.redis, free_on_state, &probe);
    RUN_UNTIL(&probe, probe.redis == NULL);
    probe_done(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_urls_that_cannot_be_used_are_refused_at_once),
        RUN(test_client_name_with_a_space_is_refused),
        RUN(test_free_before_start_and_of_null),
        RUN(test_up_is_told_once),
        RUN(test_first_failure_is_told_with_its_reason),
        RUN(test_refused_connection_is_tried_again),
        RUN(test_wait_up_says_why_it_was_in_vain),
        RUN(test_wait_up_starts_the_connection),
        RUN(test_name_is_seen_in_client_list),
        RUN(test_database_is_selected),
        RUN(test_database_out_of_range_ends_the_wait),
        RUN(test_login_by_password_and_by_user),
        RUN(test_wrong_password_ends_the_wait_and_stays_secret),
        RUN(test_missing_password_is_an_auth_error),
        RUN(test_password_that_becomes_right_is_taken),
        RUN(test_password_where_none_is_set_is_an_auth_error),
        RUN(test_too_many_clients_is_busy_and_tried_again),
        RUN(test_loading_redis_is_waited_for),
        RUN(test_readonly_reply_breaks_the_connection),
        RUN(test_comes_back_after_a_restart),
        RUN(test_killed_connection_answers_requests_then_tells),
        RUN(test_garbage_instead_of_replies_breaks_the_connection),
        RUN(test_silence_instead_of_a_greeting_is_given_up),
        RUN(test_frozen_redis_times_out_and_is_found_again),
        RUN(test_name_is_resolved_and_leaves_no_child),
        RUN(test_unknown_name_says_so),
        RUN(test_free_while_resolving_and_connecting),
        RUN(test_socket_is_closed_in_executed_programs),
        RUN(test_freed_when_it_comes_up),
        RUN(test_freed_when_it_goes_down),
        RUN(test_freed_when_the_first_try_fails),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
