/* What a starting daemon writes, and what it refuses. */
#include "common/seed.h"
#include "tests/redis/probe.h"

#define CFG "ms:{f/mail}:cfg"

static struct ms_test_redis *server;
static struct probe probe;
static struct ms_conf *conf;

struct seeded {
    struct ms_seed *seed;
    int n_done;
    enum ms_err err;
    char why[512];
    int64_t caps[4];
    int n_caps;
};

static void on_cap(size_t queue, int64_t max_workers, void *arg)
{
    struct seeded *seeded = arg;

    CHECK_INT(queue, <, MS_COUNT_OF(seeded->caps));
    seeded->caps[queue] = max_workers;
    seeded->n_caps++;
}

static void on_done(enum ms_err err, const struct ms_error *why, void *arg)
{
    struct seeded *seeded = arg;

    seeded->n_done++;
    seeded->err = err;
    if (err != MS_OK)
        snprintf(seeded->why, sizeof(seeded->why), "%s", why->text);
}

static void load_conf(const char *yaml)
{
    char *path = ms_test_file("seed.yaml", yaml, strlen(yaml));
    const struct ms_conf_flags flags = {.config = path};
    char *const none[] = {NULL};

    ms_conf_free(conf);
    CHECK_INT(ms_conf_load(&flags, none, &conf, NULL), ==, MS_OK);
    free(path);
}

static int setup_with(const char *const *redis_args)
{
    server = ms_test_redis_start(redis_args);
    probe_up(&probe, ms_test_redis_url(server));
    load_conf("fleet: f\nqueues:\n"
              "  - { name: mail, max_workers: 7, timeout: 30s }\n");
    return 0;
}

static int setup(void **state)
{
    return setup_with(NULL);
}

static int teardown(void **state)
{
    probe_done(&probe);
    ms_conf_free(conf);
    conf = NULL;
    ms_test_redis_stop(server);
    return 0;
}

static void begin(struct seeded *seeded, char *const *queues)
{
    const struct ms_seed_options options = {
        .conf = conf,
        .redis = probe.redis,
        .queues = queues,
        .cap = on_cap,
        .done = on_done,
        .arg = seeded,
    };

    memset(seeded, 0, sizeof(*seeded));
    seeded->seed = ms_seed_new(&options);
    ms_seed_start(seeded->seed);
}

static void run(struct seeded *seeded, char *const *queues)
{
    begin(seeded, queues);
    RUN_UNTIL(&probe, seeded->n_done == 1);
    ms_seed_free(seeded->seed);
}

static TEST(test_an_empty_redis_gets_schema_queues_and_settings)
{
    struct seeded seeded;

    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_STR(ms_test_text(server, "GET ms:{f}:schema"), "1");
    CHECK_INT(ms_test_num(server, "SISMEMBER ms:{f}:queues mail"), ==, 1);
    CHECK_STR(ms_test_text(server, "HGET " CFG " max_workers"), "7");
    CHECK_STR(ms_test_text(server, "HGET " CFG " timeout_ms"), "30000");
    CHECK_INT(ms_test_num(server, "HLEN " CFG), ==, 2); /* no defaults */
    CHECK_INT(seeded.caps[0], ==, 7);
}

/* Field by field: what an operator changed stays. */
static TEST(test_what_is_there_already_stays)
{
    struct seeded seeded;

    ms_test_text(server, "HSET " CFG " max_workers 2 crash_limit 9");
    run(&seeded, NULL);
    CHECK_STR(ms_test_text(server, "HGET " CFG " max_workers"), "2");
    CHECK_STR(ms_test_text(server, "HGET " CFG " crash_limit"), "9");
    CHECK_STR(ms_test_text(server, "HGET " CFG " timeout_ms"), "30000");
    CHECK_INT(seeded.caps[0], ==, 2);
}

/* A worker's queues need no settings in its file. */
static TEST(test_queues_without_settings_are_made_known)
{
    static char other[] = "other", mail[] = "mail";
    char *const queues[] = {other, mail, NULL};
    struct seeded seeded;

    run(&seeded, queues);
    CHECK_INT(ms_test_num(server, "SCARD ms:{f}:queues"), ==, 2);
    CHECK_INT(ms_test_num(server, "EXISTS ms:{f/other}:cfg"), ==, 0);
    CHECK_INT(seeded.n_caps, ==, 2);
    CHECK_INT(seeded.caps[0], ==, 1);
    CHECK_INT(seeded.caps[1], ==, 7);
}

#define LIMITS                                                     \
    "fleet: f\nqueues: [{ name: mail }]\nlimits:\n"                \
    "  - { scope: smtp, capacity: 30, refill_per_second: 0.25 }\n" \
    "  - { scope: web, capacity: 5, refill_per_second: 0 }\n"

static TEST(test_limits_of_the_file_are_made)
{
    struct seeded seeded;

    load_conf(LIMITS);
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_INT(ms_test_num(server, "SCARD ms:{f}:limits"), ==, 2);
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:smtp capacity"), "30");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:smtp refill_per_second"),
              "0.25");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:web tokens"), "5");
}

static TEST(test_limits_that_are_there_stay_field_by_field)
{
    struct seeded seeded;

    load_conf(LIMITS);
    ms_test_text(server, "HSET ms:{f}:limit:smtp capacity 2 tokens 1");
    run(&seeded, NULL);
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:smtp capacity"), "2");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:smtp refill_per_second"),
              "0.25");
    run(&seeded, NULL); /* the next daemon fills no bucket */
    ms_test_text(server, "HSET ms:{f}:limit:web tokens 0");
    run(&seeded, NULL);
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:limit:web tokens"), "0");
}

#define SCHEDULES                                                 \
    "fleet: f\nqueues: [{ name: mail }]\n"                        \
    "limits: [{ scope: s, capacity: 1, refill_per_second: 1 }]\n" \
    "schedules:\n"                                                \
    "  - { name: a, cron: '@daily', kind: k, queue: mail }\n"     \
    "  - { name: b, cron: '@hourly', kind: k, payload: [1] }\n"

static TEST(test_schedules_of_the_file_are_made)
{
    struct seeded seeded;

    load_conf(SCHEDULES);
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_INT(ms_test_num(server, "ZCARD ms:{f}:crons"), ==, 2);
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:a queue"), "mail");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:b queue"), "default");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:b payload"), "[1]");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:b next_ms"), "0");
}

static TEST(test_schedules_that_are_there_stay_field_by_field)
{
    struct seeded seeded;

    load_conf(SCHEDULES);
    run(&seeded, NULL);
    ms_test_text(server, "HSET ms:{f}:cron:a cron @yearly next_ms 7");
    ms_test_text(server, "HDEL ms:{f}:cron:b tz");
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:a cron"), "@yearly");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:a next_ms"), "7");
    CHECK_STR(ms_test_text(server, "HGET ms:{f}:cron:b tz"), "UTC");
}

/* Functions know no configuration. */
static TEST(test_the_bound_of_payloads_goes_with_the_queue)
{
    static char other[] = "other", mail[] = "mail";
    char *const queues[] = {other, mail, NULL};
    struct seeded seeded;

    load_conf("fleet: f\nmax_payload: 5MiB\nqueues: [ { name: mail } ]\n");
    run(&seeded, queues);
    CHECK_INT(ms_test_num(server, "HGET " CFG " max_payload"), ==, 5 << 20);
    CHECK_INT(ms_test_num(server, "HGET ms:{f/other}:cfg max_payload"), ==,
              5 << 20);
}

static TEST(test_an_unknown_layout_is_refused_and_left_alone)
{
    struct seeded seeded;

    ms_test_text(server, "SET ms:{f}:schema 2");
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_ESCHEMA);
    CHECK_CONTAINS(seeded.why, "'2'");
    CHECK_STR(ms_test_text(server, "GET ms:{f}:schema"), "2");
    CHECK_INT(ms_test_num(server, "EXISTS " CFG), ==, 0);
    CHECK_INT(ms_test_num(server, "DBSIZE"), ==, 1);
}

static TEST(test_a_lost_connection_is_not_the_end)
{
    struct seeded seeded;

    begin(&seeded, NULL);
    ms_test_text(server, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(&probe, probe.n_down >= 1 && probe.n_up == 2);
    CHECK_INT(seeded.n_done, ==, 0);
    ms_seed_start(seeded.seed); /* as its owner does */
    RUN_UNTIL(&probe, seeded.n_done == 1);
    CHECK_INT(seeded.err, ==, MS_OK);
    ms_seed_free(seeded.seed);
}

/* What will pass is waited for; the daemon need not be started again. */
static TEST(test_a_busy_redis_is_asked_again)
{
    struct seeded seeded;
    struct got got;

    ms_test_text(server, "CONFIG SET busy-reply-threshold 1");
    run(&seeded, NULL); /* its scripts are known */
    ms_test_text(server, "DEL " CFG);
    probe_send(&probe, &got, 0, "EVAL", "while true do end", "0", NULL);
    ev_run(probe.loop, EVRUN_NOWAIT);
    WAIT_FOR(20000, strncmp(ms_test_text(server, "GET x"), "BUSY", 4) == 0);
    begin(&seeded, NULL);
    for (int i = 0; i < 20; i++)
        RUN_UNTIL(&probe, seeded.n_done == 0);
    ms_test_text(server, "SCRIPT KILL");
    RUN_UNTIL(&probe, seeded.n_done == 1);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET " CFG " max_workers"), "7");
    ms_seed_free(seeded.seed);
    got_done(&got);
}

/* Workers must be able to start, or nothing would ever empty it. */
static TEST(test_a_full_redis_can_be_started_on)
{
    struct seeded seeded;

    ms_test_text(server, "CONFIG SET maxmemory 1");
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
    CHECK_STR(ms_test_text(server, "HGET " CFG " max_workers"), "7");
    load_conf(LIMITS);
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_OK);
}

static TEST(test_why_it_failed_is_told)
{
    struct seeded seeded;

    ms_test_text(server, "SET " CFG " spoilt");
    run(&seeded, NULL);
    CHECK_INT(seeded.err, ==, MS_ESCRIPT);
    CHECK_CONTAINS(seeded.why, "WRONGTYPE");
}

static TEST(test_it_can_be_freed_under_way)
{
    struct seeded seeded;

    begin(&seeded, NULL);
    ms_seed_free(seeded.seed);
    ms_test_text(server, "PING");
    for (int i = 0; i < 10; i++)
        ev_run(probe.loop, EVRUN_NOWAIT);
    CHECK_INT(seeded.n_done, ==, 0);
}

#define SEED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEED(test_an_empty_redis_gets_schema_queues_and_settings),
        SEED(test_what_is_there_already_stays),
        SEED(test_queues_without_settings_are_made_known),
        SEED(test_limits_of_the_file_are_made),
        SEED(test_limits_that_are_there_stay_field_by_field),
        SEED(test_schedules_of_the_file_are_made),
        SEED(test_schedules_that_are_there_stay_field_by_field),
        SEED(test_the_bound_of_payloads_goes_with_the_queue),
        SEED(test_an_unknown_layout_is_refused_and_left_alone),
        SEED(test_a_lost_connection_is_not_the_end),
        SEED(test_a_busy_redis_is_asked_again),
        SEED(test_a_full_redis_can_be_started_on),
        SEED(test_why_it_failed_is_told),
        SEED(test_it_can_be_freed_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
