#include "tests/unit/fixture_conf.h"

/* ---- defaults and the file ---- */

static void check_strings(char *const *a, char *const *b)
{
    for (; *a != NULL && *b != NULL; a++, b++)
        CHECK_STR(*a, *b);
    CHECK(*a == NULL && *b == NULL);
}

static void check_same_queue(const struct ms_queue_conf *a,
                             const struct ms_queue_conf *b)
{
    struct ms_queue_conf x = *a;
    struct ms_queue_conf y = *b;

    CHECK_STR(x.name, y.name);
    CHECK_STR(x.when_full, y.when_full);
    x.name = y.name = x.when_full = y.when_full = NULL;
    CHECK(memcmp(&x, &y, sizeof(x)) == 0);
}

static void check_same(const struct ms_conf *a, const struct ms_conf *b)
{
    /* Strings and lists first; they are cleared in copies, and what is left
     * compared as bytes, so that no option can be forgotten here. */
    struct ms_conf x = *a;
    struct ms_conf y = *b;
    char **texts_x[] = {&x.fleet,
                        &x.redis_url,
                        &x.worker_handlers_dir,
                        &x.worker_http,
                        &x.worker_prefix,
                        &x.worker_version,
                        &x.worker_id,
                        &x.coordinator_http,
                        &x.coordinator_staging_dir,
                        &x.http_token_file,
                        &x.http_readonly_token_file,
                        &x.exec_cwd_root};

    for (size_t i = 0; i < MS_COUNT_OF(texts_x); i++) {
        char **text_y =
            (char **)((char *)&y + ((char *)texts_x[i] - (char *)&x));

        CHECK_STR(*texts_x[i], *text_y);
        *texts_x[i] = *text_y = NULL;
    }
    check_strings(x.worker_queues, y.worker_queues);
    check_strings(x.exec_allow, y.exec_allow);
    x.worker_queues = y.worker_queues = NULL;
    x.exec_allow = y.exec_allow = NULL;
    CHECK_INT(x.n_queues, ==, y.n_queues);
    for (size_t i = 0; i < x.n_queues; i++)
        check_same_queue(&x.queues[i], &y.queues[i]);
    x.queues = y.queues = NULL;
    CHECK(memcmp(&x, &y, sizeof(x)) == 0);
}

/* The file in conf/ is the documentation: it must not lie. */
static TEST(test_the_file_in_conf_says_the_defaults)
{
    struct ms_conf_flags flags = {.config =
                                      MS_TEST_SOURCE_DIR "/conf/muster.yaml"};
    struct ms_conf *defaults = good(NULL, NULL);
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};
    enum ms_err err = ms_conf_load(&flags, NULL, &conf, &error);

    CHECK_STR(error.text, "");
    CHECK_INT(err, ==, MS_OK);
    check_same(conf, defaults);
    ms_conf_free(conf);
    ms_conf_free(defaults);
}

static TEST(test_defaults_are_those_of_the_interface)
{
    struct ms_conf *conf = good(NULL, NULL);

    CHECK_STR(conf->fleet, "main");
    CHECK_STR(conf->redis_url, "redis://127.0.0.1:6379");
    CHECK_INT(conf->redis_connect_timeout_ms, ==, 2000);
    CHECK_INT(conf->redis_command_timeout_ms, ==, 2500); /* 15s / 6 */
    CHECK_INT(conf->log_level, ==, MS_INFO);
    CHECK(!conf->log_json);
    CHECK(conf->worker_queues[0] == NULL);
    CHECK_INT(conf->worker_concurrency, ==, 8);
    CHECK_INT(conf->worker_grace_ms, ==, 25000);
    CHECK_INT(conf->worker_claim_ttl_ms, ==, 30000);
    CHECK_INT(conf->worker_heartbeat_ms, ==, 5000);
    CHECK_STR(conf->worker_handlers_dir, NULL);
    CHECK_STR(conf->worker_http, "127.0.0.1:7781");
    CHECK_STR(conf->coordinator_http, "127.0.0.1:7780");
    CHECK_INT(conf->coordinator_lease_ttl_ms, ==, 15000);
    CHECK_STR(conf->coordinator_staging_dir, "./var/staging");
    CHECK(!conf->coordinator_enforce);
    CHECK_STR(conf->http_token_file, NULL);
    CHECK_INT(conf->n_kinds, ==, 0);
    CHECK_INT(conf->n_pools, ==, 0);
    CHECK(conf->exec_allow[0] == NULL);
    CHECK_INT(conf->exec_timeout_ms, ==, 600000);
    CHECK_INT(conf->max_payload_bytes, ==, 1048576);
    CHECK_INT(conf->dump_chunk_size_bytes, ==, 268435456);
    CHECK_INT(conf->dump_batch_docs, ==, 200);
    CHECK_INT(conf->dump_batch_bytes, ==, 262144);
    CHECK_INT(conf->dump_max_line_bytes, ==, 16777216);
    CHECK(!conf->gc_enabled);
    CHECK_INT(conf->gc_interval_ms, ==, 60000);
    CHECK_INT(conf->uploads_ttl_ms, ==, 86400000);
    CHECK_INT(conf->certs_renew_before_ms, ==, INT64_C(2592000000));
    ms_conf_free(conf);
}

static TEST(test_default_queues_stand_only_where_the_file_has_none)
{
    struct ms_conf *conf = good(NULL, NULL);

    CHECK_INT(conf->n_queues, ==, 2);
    CHECK_STR(conf->queues[0].name, "default");
    CHECK_INT(conf->queues[0].max_workers, ==, 4);
    CHECK_INT(conf->queues[0].max_attempts, ==, -1); /* not said */
    CHECK_STR(conf->queues[0].when_full, NULL);
    CHECK_INT(conf->queues[1].backoff_enabled, ==, 1);
    CHECK_INT(conf->queues[1].retain_dead_ms, ==, INT64_C(2592000000));
    ms_conf_free(conf);
    conf = good("queues: []\n", NULL);
    CHECK_INT(conf->n_queues, ==, 0);
    ms_conf_free(conf);
    conf = good("queues: [{name: mine}]\n", NULL);
    CHECK_INT(conf->n_queues, ==, 1);
    CHECK_STR(conf->queues[0].name, "mine");
    ms_conf_free(conf);
}

/* A third is refused, so the default stays well below one. */
static TEST(test_the_command_timeout_follows_the_shortest_lease)
{
    struct ms_conf *conf = good("worker: {claim_ttl: 3s}\n", NULL);

    CHECK_INT(conf->redis_command_timeout_ms, ==, 500);
    ms_conf_free(conf);
    conf = good("worker: {claim_ttl: 2m}\ncoordinator: {lease_ttl: 1m}\n"
                "redis: {command_timeout: ~}\n",
                NULL);
    CHECK_INT(conf->redis_command_timeout_ms, ==, 5000);
    ms_conf_free(conf);
    conf = good("redis: {command_timeout: 1s}\n", NULL);
    CHECK_INT(conf->redis_command_timeout_ms, ==, 1000);
    ms_conf_free(conf);
}

static TEST(test_every_section_is_read)
{
    struct ms_conf *conf =
        good("fleet: blue\n"
             "log: { level: debug, format: json }\n"
             "worker:\n  queues: [a, b, a]\n  handlers_dir: ./h\n"
             "coordinator: { reconcile: enforce, staging_dir: /s }\n"
             "kinds:\n"
             "  - { prefix: 'mail.', queue: mail, max_attempts: 3,\n"
             "      timeout: 30s, limit: smtp }\n"
             "  - prefix: x\n"
             "exec: { allow: [/bin/ls, /bin/ls], cwd_root: /srv }\n"
             "pools:\n"
             "  - { kinds: ['py.'], argv: [python3, -u, -u],\n"
             "      env: { A: 1, B: 'x y' }, timeout: 5s }\n"
             "limits: [{scope: smtp, capacity: 30, refill_per_second: 0.5}]\n"
             "schedules: [{name: n, cron: '0 3 * * *', tz: Europe/Berlin,\n"
             "  kind: cmd.exec, queue: default, payload: {a: [1]},\n"
             "  misfire: catch-up 3, overlap: allow, enabled: true}]\n"
             "locations: [{name: exports, path: ./var/exports}]\n"
             "health: {checks: [{anything: 1}]}\n"
             "gc_scheduling: {enabled: true}\n",
             NULL);

    CHECK_STR(conf->fleet, "blue");
    CHECK_INT(conf->log_level, ==, MS_DEBUG);
    CHECK(conf->log_json);
    CHECK_STR(conf->worker_queues[0], "a");
    CHECK_STR(conf->worker_queues[1], "b");
    CHECK(conf->worker_queues[2] == NULL); /* no repeats */
    CHECK_STR(conf->worker_handlers_dir, "./h");
    CHECK(conf->coordinator_enforce);
    CHECK_INT(conf->n_kinds, ==, 2);
    CHECK_STR(conf->kinds[0].prefix, "mail.");
    CHECK_STR(conf->kinds[0].limit, "smtp");
    CHECK_INT(conf->kinds[0].timeout_ms, ==, 30000);
    CHECK_INT(conf->n_limits, ==, 1);
    CHECK_STR(conf->limits[0].scope, "smtp");
    CHECK_INT(conf->limits[0].capacity, ==, 30);
    CHECK(conf->limits[0].refill_per_second == 0.5);
    CHECK_STR(conf->kinds[1].queue, NULL);
    CHECK_INT(conf->kinds[1].max_attempts, ==, -1);
    CHECK_STR(conf->exec_allow[1], "/bin/ls");
    CHECK_STR(conf->exec_cwd_root, "/srv");
    CHECK_INT(conf->n_pools, ==, 1);
    CHECK_STR(conf->pools[0].kinds[0], "py.");
    CHECK_STR(conf->pools[0].argv[2], "-u"); /* repeats are kept here */
    CHECK_STR(conf->pools[0].env[1], "B=x y");
    CHECK_STR(conf->pools[0].cwd, NULL);
    CHECK_INT(conf->pools[0].timeout_ms, ==, 5000);
    CHECK(conf->gc_enabled);
    ms_conf_free(conf);
}

static TEST(test_schedules_are_read_with_their_defaults)
{
    struct ms_conf *conf =
        good("kinds: [{prefix: mail., queue: mail}]\nschedules:\n"
             "  - { name: a, cron: '@daily', kind: mail.send }\n"
             "  - { name: b, cron: '*/5 * * * *', tz: Europe/Berlin, kind: k,\n"
             "      queue: q, misfire: catch-up 3, overlap: allow,\n"
             "      enabled: false, payload: [1] }\n",
             NULL);
    const struct ms_schedule_conf *a = &conf->schedules[0], *b = a + 1;

    CHECK_INT(conf->n_schedules, ==, 2);
    CHECK_STR(a->name, "a");
    CHECK_STR(a->cron, "@daily");
    CHECK_STR(a->tz, "UTC");
    CHECK_STR(a->queue, "mail"); /* as its kind says */
    CHECK_STR(a->payload, "{}");
    CHECK_STR(a->misfire, "once");
    CHECK_STR(a->overlap, "skip");
    CHECK_INT(a->enabled, ==, 1);
    CHECK_STR(b->tz, "Europe/Berlin");
    CHECK_STR(b->queue, "q");
    CHECK_STR(b->payload, "[1]");
    CHECK_STR(b->misfire, "catch-up 3");
    CHECK_STR(b->overlap, "allow");
    CHECK_INT(b->enabled, ==, 0);
    ms_conf_free(conf);
}

/* As a person who writes YAML means them. */
static TEST(test_a_payload_in_yaml_becomes_json)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"{a: 1, b: [x, '2', 2.5, -3e2], c: {d: null, e: true}}",
         "{\"a\":1,\"b\":[\"x\",\"2\",2.5,-3e2],\"c\":{\"d\":null,\"e\":true}"
         "}"},
        {"null", "null"},
        {"''", "\"\""},
        {"yes", "\"yes\""},
        {"007", "\"007\""}, /* no number of JSON's: a house number, say */
        {"1.", "\"1.\""},
        {"1e", "\"1e\""},
        {"--", "\"--\""},
        {"-1", "-1"},
        {"False", "false"},
        {"{\"1\": \"a\\\"b\\n\"}", "{\"1\":\"a\\\"b\\n\"}"},
        {"[&x {a: 1}, *x]", "[{\"a\":1},{\"a\":1}]"},
        {"2026-11-21", "\"2026-11-21\""},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char *yaml = ms_xasprintf("schedules:\n  - name: a\n    kind: k\n"
                                  "    cron: '@daily'\n    payload: %s\n",
                                  cases[i].yaml);
        struct ms_conf *conf = good(yaml, NULL);

        CHECK_STR(conf->schedules[0].payload, cases[i].json);
        ms_conf_free(conf);
        free(yaml);
    }
}

/* A section whose options are all commented out is an empty map to people. */
static TEST(test_limit_set_checks_its_words)
{
    static const struct {
        const char *key, *text, *want, *why;
    } cases[] = {
        {"capacity", "30", "30", NULL},
        {"refill_per_second", "0.5", "0.5", NULL},
        {"refill_per_second", "0", "0", NULL},
        {"refill_per_second", "10", "10", NULL},
        {"refill_per_second", "0.33333333", "0.333333", NULL},
        {"refill_per_second", "1e3", "1000", NULL},
        {"tokens", "1000000", "1000000", NULL},
        {"capacity", "0", NULL, "capacity: must be from 1"},
        {"capacity", "0.5", NULL, "capacity: '0.5' is not a whole number"},
        {"tokens", "-1", NULL, "tokens: '-1' is not a number"},
        {"refill_per_second", "nan", NULL, "refill_per_second: 'nan' is not"},
        {"scope", "x", NULL, "'scope' is not capacity"},
        {"refill", "1", NULL, "'refill' is not capacity"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char value[64] = "";
        struct ms_error error = {""};
        enum ms_err err = ms_limit_conf_parse(cases[i].key, cases[i].text,
                                              value, sizeof(value), &error);

        CHECK_INT(err, ==, cases[i].want != NULL ? MS_OK : MS_EINVAL);
        if (cases[i].want != NULL)
            CHECK_STR(value, cases[i].want);
        else
            CHECK_CONTAINS(error.text, cases[i].why);
    }
}

static TEST(test_empty_files_sections_and_lists_say_nothing)
{
    static const char *const files[] = {
        "",
        "# only a comment\n",
        "---\n",
        "worker:\n",
        "queues:\n",
        "pools:\nlimits:\nschedules:\nbootstrap:\nworker:\n  queues:\n",
    };

    for (size_t i = 0; i < MS_COUNT_OF(files); i++)
        ms_conf_free(good(files[i], NULL));
}

/* ---- environment and flags ---- */

static TEST(test_wrong_variables_are_named)
{
    static const char *const cases[][3] = {
        {"MUSTER_FLEET=a b", "MUSTER_FLEET: ", "is not a name"},
        {"MUSTER_REDIS_URL=nope", "MUSTER_REDIS_URL: ", "redis"},
        {"MUSTER_CONCURRENCY=0", "MUSTER_CONCURRENCY: ", "from 1 to 1024"},
        {"MUSTER_CONCURRENCY=x", "MUSTER_CONCURRENCY: ", "whole number"},
        {"MUSTER_QUEUES=a,b c", "MUSTER_QUEUES: ", "'b c' is not a name"},
        {"MUSTER_WORKER_PREFIX=a b", "MUSTER_WORKER_PREFIX: ", "printable"},
        {"MUSTER_WORKER_ID=a\n", "MUSTER_WORKER_ID: ", "printable"},
        {"MUSTER_WORKER__GRAZE=1s", "MUSTER_WORKER__GRAZE: ", "no option"},
        {"MUSTER_WORKR__GRACE=1s", "MUSTER_WORKR__GRACE: ", "no option"},
        {"MUSTER__FLEET=a", "MUSTER__FLEET: ", "no option"},
        {"MUSTER_FLEET__X=a", "MUSTER_FLEET__X: ", "no option"},
        {"MUSTER_WORKER__=a", "MUSTER_WORKER__: ", "no option"},
        {"MUSTER_WORKER__GRACE=25", "MUSTER_WORKER__GRACE: ", "needs a unit"},
        {"MUSTER_WORKER__GRACE=null", "MUSTER_WORKER__GRACE: ", "duration"},
        {"MUSTER_WORKER__QUEUES=a", "MUSTER_WORKER__QUEUES: ", "is a list"},
        {"MUSTER_WORKER__HTTP=0.0.0.0:1", "MUSTER_WORKER__HTTP: worker.http",
         "token_file"},
        {"MUSTER_REDIS__COMMAND_TIMEOUT=1m",
         "MUSTER_REDIS__COMMAND_TIMEOUT: ", "less than a third"},
        {"MUSTER_GC_SCHEDULING__ENABLED=1",
         "MUSTER_GC_SCHEDULING__ENABLED: ", "true or false"},
        {"MUSTER_MAX_PAYLOAD=lots", "MUSTER_MAX_PAYLOAD: ", "is not a size"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        bad_variable(cases[i][0], cases[i][1], cases[i][2]);
}

/* Kubernetes and cmd.exec put variables of their own beside ours. */
static TEST(test_other_variables_are_ignored)
{
    const char *const environment[] = {"MUSTER_JOB_ID=x",
                                       "MUSTER_PORT=tcp://10.0.0.1:80",
                                       "MUSTER_FLEET=",
                                       "MUSTER_QUEUES=",
                                       "MUSTER_CONFIG=",
                                       "MUSTER_",
                                       "XMUSTER_WORKER__GRAZE=1",
                                       "NOEQUALS",
                                       NULL};
    struct ms_conf *conf = good(NULL, environment);

    CHECK_STR(conf->fleet, "main");
    ms_conf_free(conf);
}

static TEST(test_environment_beats_the_file)
{
    const char *const environment[] = {
        "MUSTER_REDIS_URL=unix:///tmp/r.sock",
        "MUSTER_FLEET=env",
        "MUSTER_QUEUES= b , a,,b ",
        "MUSTER_CONCURRENCY=3",
        "MUSTER_WORKER__CONCURRENCY=4", /* the other name stands */
        "MUSTER_WORKER__HTTP=off",
        "MUSTER_DUMP_IMPORT__BATCH_DOCS=7",
        "MUSTER_LOG__LEVEL=error",
        "MUSTER_REDIS__COMMAND_TIMEOUT=null",
        "MUSTER_MAX_PAYLOAD=2MiB",
        NULL};
    struct ms_conf *conf = good("fleet: file\n"
                                "redis: {command_timeout: 1s}\n"
                                "worker: {queues: [x], concurrency: 9}\n",
                                environment);

    CHECK_STR(conf->redis_url, "unix:///tmp/r.sock");
    CHECK_STR(conf->fleet, "env");
    CHECK_STR(conf->worker_queues[0], "b");
    CHECK_STR(conf->worker_queues[1], "a");
    CHECK(conf->worker_queues[2] == NULL);
    CHECK_INT(conf->worker_concurrency, ==, 3);
    CHECK_STR(conf->worker_http, "off");
    CHECK_INT(conf->dump_batch_docs, ==, 7);
    CHECK_INT(conf->log_level, ==, MS_ERROR);
    CHECK_INT(conf->redis_command_timeout_ms, ==, 2500);
    CHECK_INT(conf->max_payload_bytes, ==, 2097152);
    ms_conf_free(conf);
}

static TEST(test_flags_beat_the_environment)
{
    const char *const environment[] = {"MUSTER_FLEET=env",
                                       "MUSTER_REDIS_URL=unix:///env", NULL};
    struct ms_conf_flags flags = {.fleet = "flag", .redis = "unix:///flag"};
    struct ms_conf *conf = NULL;
    struct ms_error error;

    CHECK_INT(ms_conf_load(&flags, (char *const *)environment, &conf, NULL), ==,
              MS_OK);
    CHECK_STR(conf->fleet, "flag");
    CHECK_STR(conf->redis_url, "unix:///flag");
    ms_conf_free(conf);
    conf = NULL;
    flags.fleet = "no name";
    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "--fleet: ");
    flags.fleet = NULL;
    flags.redis = "nope";
    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "--redis: ");
    CHECK(conf == NULL);
}

static TEST(test_muster_config_names_the_file_unless_a_flag_does)
{
    char *one = ms_test_file("one.yaml", "fleet: one\n", 11);
    char *two = ms_test_file("two.yaml", "fleet: two\n", 11);
    char *variable = ms_xasprintf("MUSTER_CONFIG=%s", one);
    const char *const environment[] = {variable, NULL};
    struct ms_conf_flags flags = {.config = two};
    struct ms_conf *conf = good(NULL, environment);

    CHECK_STR(conf->fleet, "one");
    ms_conf_free(conf);
    CHECK_INT(ms_conf_load(&flags, (char *const *)environment, &conf, NULL), ==,
              MS_OK);
    CHECK_STR(conf->fleet, "two");
    ms_conf_free(conf);
    free(variable);
    free(one);
    free(two);
}

/* A password must not go where errors go. */
static TEST(test_a_wrong_url_is_not_repeated)
{
    struct ms_conf_flags flags = {.redis = "redis://u:secret@host:port/"};
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};

    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EINVAL);
    CHECK(strstr(error.text, "secret") == NULL);
}

/* ---- workers ---- */

static TEST(test_a_worker_without_queues_is_refused)
{
    const char *const blank[] = {"MUSTER_QUEUES= , ", NULL};
    const char *const one[] = {"MUSTER_QUEUES=a", NULL};
    struct ms_error error = {""};
    struct ms_conf *conf = good(NULL, NULL);

    CHECK_INT(ms_conf_check_worker(conf, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "MUSTER_QUEUES");
    ms_conf_free(conf);
    conf = good("worker: {queues: [x]}\n", blank);
    CHECK_INT(ms_conf_check_worker(conf, NULL), ==, MS_EINVAL);
    ms_conf_free(conf);
    conf = good(NULL, one);
    CHECK_INT(ms_conf_check_worker(conf, NULL), ==, MS_OK);
    ms_conf_free(conf);
    ms_conf_free(NULL);
}

static void check_label(const char *const *environment, const char *want)
{
    struct ms_conf *conf = good(NULL, environment);
    char *label = ms_conf_worker_label(conf, "01J0000000000000000000POD1");

    CHECK_STR(label, want);
    free(label);
    ms_conf_free(conf);
}

static TEST(test_the_label_is_made_of_what_was_said)
{
    const char *const none[] = {"MUSTER_WORKER_VERSION=1", NULL};
    const char *const no_version[] = {"MUSTER_WORKER_PREFIX=eu",
                                      "MUSTER_WORKER_ID=7", NULL};
    const char *const all[] = {"MUSTER_WORKER_PREFIX=eu",
                               "MUSTER_WORKER_VERSION=1.2+b",
                               "MUSTER_WORKER_ID=7", NULL};

    check_label(none, NULL);
    check_label(no_version, "eu-worker-7");
    check_label(all, "eu-worker-1.2+b-7");
}

static TEST(test_a_label_without_an_id_takes_four_digits_of_the_pod)
{
    const char *const environment[] = {"MUSTER_WORKER_PREFIX=eu", NULL};
    struct ms_conf *conf = good(NULL, environment);
    char *one = ms_conf_worker_label(conf, "01J0000000000000000000POD1");
    char *again = ms_conf_worker_label(conf, "01J0000000000000000000POD1");
    char *other = ms_conf_worker_label(conf, "01J0000000000000000000POD2");

    CHECK_STR(one, again);
    CHECK(strcmp(one, other) != 0);
    CHECK_INT(strlen(one), ==, strlen("eu-worker-0123"));
    CHECK_INT(strspn(one + 10, "0123456789abcdef"), ==, 4);
    free(one);
    free(again);
    free(other);
    ms_conf_free(conf);
}

/* ---- settings of a queue ---- */

static void on_field(const char *field, const char *value, void *arg)
{
    strcat(strcat(strcat(strcat(arg, field), "="), value), " ");
}

static TEST(test_a_seed_holds_only_what_was_said)
{
    struct ms_conf *conf =
        good("queues:\n"
             "- { name: a, max_workers: 3, backoff: { enabled: false } }\n"
             "- { name: b, max_attempts: 2, timeout: 1m, retain_done: 0s,\n"
             "    backoff: { base: 1s, max: 1m }, retain_dead: 1h,\n"
             "    retain_done_max: 0, max_length: 9, when_full: drop_oldest,\n"
             "    group_max: 4, crash_limit: 1 }\n"
             "- name: c\n",
             NULL);
    char text[500] = "";

    ms_queue_conf_each(&conf->queues[0], on_field, text);
    CHECK_STR(text, "max_workers=3 backoff_enabled=0 ");
    text[0] = '\0';
    ms_queue_conf_each(&conf->queues[1], on_field, text);
    CHECK_STR(text, "max_attempts=2 timeout_ms=60000 backoff_base_ms=1000 "
                    "backoff_max_ms=60000 retain_done_ms=0 "
                    "retain_dead_ms=3600000 retain_done_max=0 max_length=9 "
                    "when_full=drop_oldest group_max=4 crash_limit=1 ");
    text[0] = '\0';
    ms_queue_conf_each(&conf->queues[2], on_field, text);
    CHECK_STR(text, "");
    ms_conf_free(conf);
}

static TEST(test_queue_set_refuses_unknown_keys_and_bad_values)
{
    static const char *const cases[][3] = {
        {"max_worker", "1", "no setting is called 'max_worker': max_workers "},
        {"max", "1", " backoff.enabled backoff.base backoff.max "},
        {"name", "x", "no setting is called 'name'"},
        {"backoff", "5s", "no setting is called 'backoff'"},
        {"backoff.bse", "5s", "no setting"},
        {"backof.base", "5s", "no setting"},
        {"max_workers.x", "5", "no setting"},
        {"", "5", "no setting"},
        {"max_workers", "", "max_workers: '' is not a whole number"},
        {"max_workers", "-1", "max_workers: must be at least 0"},
        {"max_attempts", "0", "at least 1"},
        {"timeout", "5", "timeout: '5' needs a unit"},
        {"when_full", "x", "when_full: 'x' is not one of"},
        {"backoff.enabled", "1", "backoff.enabled: '1' is not true or false"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char field[40] = "-", value[40] = "-";
        struct ms_error error = {""};

        CHECK_INT(ms_queue_conf_parse(cases[i][0], cases[i][1], field, 40,
                                      value, 40, &error),
                  ==, MS_EINVAL);
        CHECK_CONTAINS(error.text, cases[i][2]);
        CHECK_STR(field, "-");
        CHECK_STR(value, "-");
    }
}

static TEST(test_queue_set_speaks_as_the_file_and_writes_as_redis)
{
    static const char *const cases[][4] = {
        {"max_workers", "12", "max_workers", "12"},
        {"max_workers", "0", "max_workers", "0"},
        {"max_attempts", "3", "max_attempts", "3"},
        {"timeout", "1m30s", "timeout_ms", "90000"},
        {"backoff.enabled", "true", "backoff_enabled", "1"},
        {"backoff.enabled", "false", "backoff_enabled", "0"},
        {"backoff.base", "5s", "backoff_base_ms", "5000"},
        {"backoff.max", "1h", "backoff_max_ms", "3600000"},
        {"retain_done", "7d", "retain_done_ms", "604800000"},
        {"retain_dead", "0s", "retain_dead_ms", "0"},
        {"retain_done_max", "0", "retain_done_max", "0"},
        {"max_length", "1000", "max_length", "1000"},
        {"when_full", "drop_oldest", "when_full", "drop_oldest"},
        {"group_max", "2", "group_max", "2"},
        {"crash_limit", "5", "crash_limit", "5"},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        char field[40], value[40];

        CHECK_INT(ms_queue_conf_parse(cases[i][0], cases[i][1], field, 40,
                                      value, 40, NULL),
                  ==, MS_OK);
        CHECK_STR(field, cases[i][2]);
        CHECK_STR(value, cases[i][3]);
    }
}

/* ---- what is said of a kind ---- */

static TEST(test_a_pattern_is_a_kind_or_the_start_of_kinds)
{
    CHECK_INT(ms_kind_fit("py.mail", "py.mail"), ==, SIZE_MAX);
    CHECK_INT(ms_kind_fit("py.mail", "py.mails"), ==, 0);
    CHECK_INT(ms_kind_fit("py.", "py.mail"), ==, 4);
    CHECK_INT(ms_kind_fit("py.*", "py.mail"), ==, 4);
    CHECK_INT(ms_kind_fit("py*", "py.mail"), ==, 3);
    CHECK_INT(ms_kind_fit("*", "py.mail"), ==, 1);
    CHECK_INT(ms_kind_fit("py.", "pyx"), ==, 0);
    CHECK_INT(ms_kind_fit("", "py"), ==, 0);
}

static TEST(test_the_longest_prefix_says_how_a_kind_runs)
{
    struct ms_conf *conf =
        good("kinds:\n"
             "- { prefix: mail, timeout: 1s, limit: smtp }\n"
             "- { prefix: mail.bulk., max_attempts: 9 }\n"
             "- { prefix: mail.bulk, timeout: 3s }\n"
             "pools:\n"
             "- { kinds: ['*'], argv: [a], resumes: true }\n"
             "- { kinds: [x, mail.], argv: [b], limit: slow }\n"
             "- { kinds: [mail.one], argv: [c] }\n",
             NULL);

    CHECK(ms_conf_kind(conf, "mai") == NULL);
    CHECK_INT(ms_conf_kind(conf, "mail")->timeout_ms, ==, 1000);
    CHECK_INT(ms_conf_kind(conf, "mail.bulk.a")->max_attempts, ==, 9);
    CHECK_INT(ms_conf_kind(conf, "mail.bulky")->timeout_ms, ==, 3000);
    CHECK_STR(ms_conf_pool(conf, "anything")->argv[0], "a");
    CHECK(ms_conf_pool(conf, "anything")->resumes);
    CHECK_STR(ms_conf_pool(conf, "mail.two")->argv[0], "b");
    CHECK_STR(ms_conf_pool(conf, "mail.one")->argv[0], "c");
    CHECK_STR(ms_conf_limit(conf, "mail.two"), "smtp"); /* kinds first */
    CHECK_STR(ms_conf_limit(conf, "x"), "slow");
    CHECK_STR(ms_conf_limit(conf, "y"), NULL);
    ms_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_limit_set_checks_its_words),
        RUN(test_the_file_in_conf_says_the_defaults),
        RUN(test_defaults_are_those_of_the_interface),
        RUN(test_default_queues_stand_only_where_the_file_has_none),
        RUN(test_the_command_timeout_follows_the_shortest_lease),
        RUN(test_every_section_is_read),
        RUN(test_schedules_are_read_with_their_defaults),
        RUN(test_a_payload_in_yaml_becomes_json),
        RUN(test_empty_files_sections_and_lists_say_nothing),
        RUN(test_wrong_variables_are_named),
        RUN(test_other_variables_are_ignored),
        RUN(test_environment_beats_the_file),
        RUN(test_flags_beat_the_environment),
        RUN(test_muster_config_names_the_file_unless_a_flag_does),
        RUN(test_a_wrong_url_is_not_repeated),
        RUN(test_a_worker_without_queues_is_refused),
        RUN(test_the_label_is_made_of_what_was_said),
        RUN(test_a_label_without_an_id_takes_four_digits_of_the_pod),
        RUN(test_a_seed_holds_only_what_was_said),
        RUN(test_queue_set_refuses_unknown_keys_and_bad_values),
        RUN(test_queue_set_speaks_as_the_file_and_writes_as_redis),
        RUN(test_a_pattern_is_a_kind_or_the_start_of_kinds),
        RUN(test_the_longest_prefix_says_how_a_kind_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
