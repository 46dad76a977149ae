#include "tests/support/support.h"

#include "common/redis_url.h"

static TEST(test_tcp_url_with_everything)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis://me:p%40s%3a%2F@db.example:6380/3",
                                 &url, NULL),
              ==, MS_OK);
    CHECK_INT(url.scheme, ==, MS_REDIS_TCP);
    CHECK_STR(url.user, "me");
    CHECK_STR(url.password, "p@s:/");
    CHECK_INT(url.n_hosts, ==, 1);
    CHECK_STR(url.hosts[0].host, "db.example");
    CHECK_INT(url.hosts[0].port, ==, 6380);
    CHECK_INT(url.db, ==, 3);
    CHECK_STR(url.path, NULL);
    ms_redis_url_done(&url);
    CHECK(url.hosts == NULL && url.password == NULL);
}

static TEST(test_least_tcp_url)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis://h:1", &url, NULL), ==, MS_OK);
    CHECK_STR(url.user, NULL);
    CHECK_STR(url.password, NULL);
    CHECK_INT(url.db, ==, 0);
    ms_redis_url_done(&url);
    CHECK_INT(ms_redis_url_parse("rediss://h:65535/", &url, NULL), ==, MS_OK);
    CHECK_INT(url.scheme, ==, MS_REDIS_TLS);
    CHECK_INT(url.hosts[0].port, ==, 65535);
    ms_redis_url_done(&url);
}

static TEST(test_password_of_the_default_user)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis://:secret@h:1", &url, NULL), ==, MS_OK);
    CHECK_STR(url.user, NULL);
    CHECK_STR(url.password, "secret");
    ms_redis_url_done(&url);
}

/* People forget to escape; where it can only mean one thing, it works. */
static TEST(test_password_may_hold_at_colon_and_slash)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis://u:a@b:c/d@h:1/2", &url, NULL), ==,
              MS_OK);
    CHECK_STR(url.user, "u");
    CHECK_STR(url.password, "a@b:c/d");
    CHECK_STR(url.hosts[0].host, "h");
    CHECK_INT(url.db, ==, 2);
    ms_redis_url_done(&url);
}

static TEST(test_ipv6_host_stands_in_brackets)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis://[::1]:6380/1", &url, NULL), ==,
              MS_OK);
    CHECK_STR(url.hosts[0].host, "::1");
    CHECK_INT(url.hosts[0].port, ==, 6380);
    CHECK_INT(url.db, ==, 1);
    ms_redis_url_done(&url);
}

static TEST(test_unix_socket_with_and_without_db)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("unix:///run/redis.sock", &url, NULL), ==,
              MS_OK);
    CHECK_INT(url.scheme, ==, MS_REDIS_UNIX);
    CHECK_STR(url.path, "/run/redis.sock");
    CHECK_INT(url.db, ==, 0);
    ms_redis_url_done(&url);
    CHECK_INT(ms_redis_url_parse("unix:///run/r.sock?db=12", &url, NULL), ==,
              MS_OK);
    CHECK_STR(url.path, "/run/r.sock");
    CHECK_INT(url.db, ==, 12);
    ms_redis_url_done(&url);
    CHECK_INT(ms_redis_url_parse("unix://u:p@/run/a@/r", &url, NULL), ==,
              MS_OK);
    CHECK_STR(url.user, "u");
    CHECK_STR(url.password, "p");
    CHECK_STR(url.path, "/run/a@/r");
    ms_redis_url_done(&url);
    CHECK_INT(ms_redis_url_parse("unix:///run/a@/r", &url, NULL), ==, MS_OK);
    CHECK_STR(url.password, NULL);
    CHECK_STR(url.path, "/run/a@/r");
    ms_redis_url_done(&url);
}

static TEST(test_sentinels_and_their_master)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse(
                  "redis-sentinel://:pw@a:26379,[fe80::1]:26380,c:1/mymaster",
                  &url, NULL),
              ==, MS_OK);
    CHECK_INT(url.scheme, ==, MS_REDIS_SENTINEL);
    CHECK_INT(url.n_hosts, ==, 3);
    CHECK_STR(url.hosts[1].host, "fe80::1");
    CHECK_INT(url.hosts[1].port, ==, 26380);
    CHECK_STR(url.hosts[2].host, "c");
    CHECK_STR(url.path, "mymaster");
    CHECK_STR(url.password, "pw");
    ms_redis_url_done(&url);
}

static TEST(test_cluster_hosts)
{
    struct ms_redis_url url;

    CHECK_INT(ms_redis_url_parse("redis-cluster://a:1,b:2", &url, NULL), ==,
              MS_OK);
    CHECK_INT(url.scheme, ==, MS_REDIS_CLUSTER);
    CHECK_INT(url.n_hosts, ==, 2);
    CHECK_INT(url.hosts[1].port, ==, 2);
    ms_redis_url_done(&url);
}

static TEST(test_malformed_urls_say_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "must start with"},
        {"localhost:6379", "must start with"},
        {"http://localhost:6379", "must start with"},
        {"REDIS://h:1", "must start with"},
        {"redis:/h:1", "must start with"},
        {"redis://", "no host"},
        {"redis:///3", "no host"},
        {"redis://h", "no port behind host 'h'"},
        {"redis://h/3", "no port behind host 'h'"},
        {"redis://:6379", "host is missing"},
        {"redis://h:", "port of host 'h'"},
        {"redis://h:0", "1 to 65535"},
        {"redis://h:65536", "1 to 65535"},
        {"redis://h:99999999999999999999", "1 to 65535"},
        {"redis://h:6379x", "port of host 'h'"},
        {"redis://h:-1", "port of host 'h'"},
        {"redis://h h:1", "not a host name"},
        {"redis://a:1,b:2", "port of host 'a'"},
        {"redis://h:1/x", "database is not a number"},
        {"redis://h:1/-1", "database is not a number"},
        {"redis://h:1/1/2", "database is not a number"},
        {"redis://h:1/99999999999", "database is not a number"},
        {"redis://h:1?db=1", "'?' is not known"},
        {"redis://h:1#x", "'#' is not known"},
        {"redis://::1:6379", "host is missing"},
        {"redis://[::1:6379", "without a ']'"},
        {"redis://[::1]", "no port behind host '::1'"},
        {"redis://[::1]6379", "no port behind host '::1'"},
        {"redis://[]:1", "host is missing"},
        {"redis://user@h:1", "user:password"},
        {"redis://@h:1", "user:password"},
        {"redis://u:@h:1", "empty password"},
        {"redis://u:%4@h:1", "%-escape"},
        {"redis://u:%zz@h:1", "%-escape"},
        {"redis://u:a%00b@h:1", "%-escape"},
        {"redis://%:a@h:1", "%-escape"},
        {"unix://redis.sock", "absolute path"},
        {"unix://", "absolute path"},
        {"unix:///r.sock?db=x", "database is not a number"},
        {"unix:///r.sock?db=", "database is not a number"},
        {"unix:///r.sock?password=p", "only ?db=N"},
        {"redis-sentinel://a:1", "/master-name"},
        {"redis-sentinel://a:1/", "/master-name"},
        {"redis-sentinel://a:1/m/n", "/master-name"},
        {"redis-sentinel://a:1,/m", "no host"},
        {"redis-sentinel://a:1,b/m", "no port behind host 'b'"},
        {"redis-cluster://a:1/0", "no databases"},
        {"redis-cluster://,a:1", "no host"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_redis_url url = {.db = -5};
        struct ms_error error = {""};
        enum ms_err err = ms_redis_url_parse(cases[i].text, &url, &error);

        if (err != MS_EINVAL || strstr(error.text, cases[i].why) == NULL)
            print_error("url: %s\n", cases[i].text);
        CHECK_INT(err, ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, cases[i].why);
        CHECK_INT(url.db, ==, -5); /* outputs are written on success alone */
        CHECK_INT(ms_redis_url_parse(cases[i].text, &url, NULL), ==, MS_EINVAL);
    }
}

/* Error texts go into logs and terminals. */
static TEST(test_password_is_in_no_error_text)
{
    static const char *const texts[] = {
        "redis://u:hunter2@h",
        "redis://u:hunter2@h:x",
        "redis://u:hunter2@",
        "redis://u:hunter2@h:1/x",
        "redis://hunter2@h:1",
        "redis://u:hunter2%@h:1",
        "redis//u:hunter2@h:1",
        "redis://u:hunter2@h:1?x",
        "redis-sentinel://u:hunter2@h:1",
    };

    for (size_t i = 0; i < MS_COUNT_OF(texts); i++) {
        struct ms_redis_url url;
        struct ms_error error = {""};

        CHECK_INT(ms_redis_url_parse(texts[i], &url, &error), ==, MS_EINVAL);
        CHECK(strstr(error.text, "hunter2") == NULL);
    }
}

static TEST(test_overlong_socket_path_is_refused)
{
    char text[300] = "unix:///";
    struct ms_redis_url url;
    struct ms_error error;

    memset(text + 8, 'x', 107);
    CHECK_INT(ms_redis_url_parse(text, &url, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "at most 107");
    text[8 + 106] = '\0';
    CHECK_INT(ms_redis_url_parse(text, &url, &error), ==, MS_OK);
    ms_redis_url_done(&url);
}

static TEST(test_redact_hides_the_password_and_nothing_else)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"redis://u:pw@h:1/2", "redis://u:***@h:1/2"},
        {"redis://:pw@h:1", "redis://:***@h:1"},
        {"redis://u:p@w:x@h:1", "redis://u:***@h:1"},
        {"redis://pw@h:1", "redis://***@h:1"},
        {"redis://h:1/2", "redis://h:1/2"},
        {"unix:///run/redis.sock", "unix:///run/redis.sock"},
        {"redis-sentinel://:pw@a:1,b:2/m", "redis-sentinel://:***@a:1,b:2/m"},
        {"u:pw@h", "u:***@h"},
        {"unix://u:pw@/run/r", "unix://u:***@/run/r"},
        {"unix:///run/a:b@c", "unix:///run/a:b@c"},
        {"redis:///u:pw@h:1", "redis:///u:***@h:1"},
        {"", ""},
    };
    char out[64];

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        CHECK_STR(ms_redis_url_redact(cases[i].text, out, sizeof(out)),
                  cases[i].want);
    CHECK_STR(ms_redis_url_redact("redis://u:pw@host:1", out, 12),
              "redis://u:*");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_tcp_url_with_everything),
        RUN(test_least_tcp_url),
        RUN(test_password_of_the_default_user),
        RUN(test_password_may_hold_at_colon_and_slash),
        RUN(test_ipv6_host_stands_in_brackets),
        RUN(test_unix_socket_with_and_without_db),
        RUN(test_sentinels_and_their_master),
        RUN(test_cluster_hosts),
        RUN(test_malformed_urls_say_what_is_wrong),
        RUN(test_password_is_in_no_error_text),
        RUN(test_overlong_socket_path_is_refused),
        RUN(test_redact_hides_the_password_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
