/* Files that are wrong: each is refused, with its line. */
#include "tests/unit/fixture_conf.h"

static TEST(test_a_missing_file_is_named)
{
    struct ms_conf_flags flags = {.config = "/nowhere/m.yaml"};
    struct ms_conf *conf = NULL;
    struct ms_error error;

    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EIO);
    CHECK_STR(error.text,
              "cannot open '/nowhere/m.yaml': No such file or directory");
    flags.config = "/";
    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EIO);
    CHECK_CONTAINS(error.text, "'/': ");
}

static TEST(test_what_is_not_yaml_is_refused_with_its_line)
{
    bad("fleet: main\nlog: [\n", "m.yaml:3: not YAML: ", "");
    bad("fleet: main\n\tlog: x\n", "m.yaml:2: not YAML: ", "");
    bad("fleet: \"main\n", "m.yaml:2: not YAML: ", "");
    bad("fleet: main\nlog: \xff\n", "m.yaml:2: not YAML: ", "");
    bad("fleet: *nobody\n", "m.yaml:1: not YAML: ", "");
    bad("fleet: a\n---\nfleet: b\n", "m.yaml:3: ", "a second document");
    bad("fleet: a\n---\n[\n", "m.yaml:", "not YAML: ");
    bad("[a, b]\n", "m.yaml:1: ", "must be a map, not a list");
    bad("just text\n", "m.yaml:1: ", "must be a map, not a single value");
}

/* A slip of the pen must not become a default in silence. */
static TEST(test_unknown_options_are_refused_at_every_level)
{
    bad("fleet: a\nflet: b\n", "m.yaml:2: ", "unknown option 'flet'");
    bad("worker:\n  graze: 1s\n",
        "m.yaml:2: worker: ", "unknown option 'graze'");
    bad("queues:\n  - name: a\n    max_wokers: 1\n",
        "m.yaml:3: queues[0]: ", "unknown option 'max_wokers'");
    bad("queues:\n  - name: a\n    backoff: {bse: 1s}\n",
        "m.yaml:3: queues[0].backoff: ", "unknown option 'bse'");
    bad("kinds: [{prefix: a, quue: b}]\n",
        "m.yaml:1: kinds[0]: ", "unknown option 'quue'");
    bad("limits:\n- {scope: a, capacity: 1, refill_per_second: 1, x: 1}\n",
        "m.yaml:2: limits[0]: ", "unknown option 'x'");
    bad("\"fleet\\0x\": a\n", "m.yaml:1: ", "NUL");
    bad("[a]: b\n", "m.yaml:1: ", "must be a map of options");
}

static TEST(test_an_option_said_twice_is_refused)
{
    bad("fleet: a\nfleet: b\n", "m.yaml:2: ", "'fleet' is said twice");
    bad("worker:\n  grace: 2s\n  http: off\n  grace: 3s\n",
        "m.yaml:4: worker: ", "'grace' is said twice");
}

static TEST(test_wrong_types_are_refused)
{
    static const struct {
        const char *yaml, *place, *why;
    } cases[] = {
        {"fleet: [a]\n", "m.yaml:1: fleet: ", "a single value, not a list"},
        {"fleet: {a: b}\n", "m.yaml:1: fleet: ", "not a map"},
        {"fleet: null\n", "m.yaml:1: fleet: ", "must not be null"},
        {"fleet:\n", "m.yaml:1: fleet: ", "must not be null"},
        {"fleet: \"\"\n", "m.yaml:1: fleet: ", "is not a name"},
        {"fleet: a b\n", "m.yaml:1: fleet: ", "is not a name"},
        {"fleet: \"a\\0b\"\n", "m.yaml:1: fleet: ", "NUL"},
        {"redis: x\n", "m.yaml:1: redis: ", "a map, not a single value"},
        {"redis: []\n", "m.yaml:1: redis: ", "a map, not a list"},
        {"log:\n  level: loud\n",
         "m.yaml:2: log.level: ", "'loud' is not one of debug|info|warn|error"},
        {"log: {format: xml}\n", "m.yaml:1: log.format: ", "logfmt|json"},
        {"log: {level: inf}\n", "m.yaml:1: log.level: ", "not one of"},
        {"worker:\n  concurrency: many\n",
         "m.yaml:2: worker.concurrency: ", "'many' is not a whole number"},
        {"worker: {concurrency: 1.5}\n", "worker.concurrency: ", "whole"},
        {"worker: {concurrency: 0x10}\n", "worker.concurrency: ", "whole"},
        {"worker: {concurrency: \"8\"}\n",
         "worker.concurrency: ", "must not be quoted"},
        {"worker: {concurrency: 99999999999999999999}\n",
         "worker.concurrency: ", "whole"},
        {"worker: {queues: a}\n",
         "worker.queues: ", "a list, not a single value"},
        {"worker: {queues: [a, [b]]}\n",
         "worker.queues: ", "a list of single values"},
        {"worker:\n  queues:\n    - ok\n    - not ok\n",
         "m.yaml:4: worker.queues: ", "'not ok' is not a name"},
        {"worker: {handlers_dir: [x]}\n", "worker.handlers_dir: ", "a list"},
        {"worker: {handlers_dir: \"\"}\n", "worker.handlers_dir: ", "empty"},
        {"coordinator: {reconcile: force}\n",
         "coordinator.reconcile: ", "observe|enforce"},
        {"gc_scheduling: {enabled: yes}\n",
         "gc_scheduling.enabled: ", "'yes' is not true or false"},
        {"gc_scheduling: {enabled: 1}\n", "gc_scheduling.enabled: ", "true"},
        {"queues: {a: b}\n", "m.yaml:1: queues: ", "a list, not a map"},
        {"queues: [a]\n", "m.yaml:1: queues[0]: ", "a map, not a single"},
        {"queues:\n-\n", "queues[0]: ", "a map, not null"},
        {"queues: [{name: [a]}]\n", "queues[0].name: ", "a list"},
        {"queues: [{max_workers: 4}]\n", "queues[0]: ", "'name' is missing"},
        {"queues: [{name: a, backoff: 5s}]\n", "queues[0].backoff: ", "a map"},
        {"queues: [{name: a, backoff: {enabled: 5}}]\n",
         "queues[0].backoff.enabled: ", "true or false"},
        {"queues: [{name: a, when_full: panic}]\n",
         "queues[0].when_full: ", "refuse|drop_oldest"},
        {"exec: {allow: /bin/ls}\n", "exec.allow: ", "a list"},
        {"pools: [{argv: [x]}]\n", "pools[0]: ", "'kinds' is missing"},
        {"pools: [{kinds: [a]}]\n", "pools[0]: ", "'argv' is missing"},
        {"pools: [{kinds: [a], argv: []}]\n", "pools[0].argv: ", "empty"},
        {"pools: [{kinds: [a], argv: null}]\n", "pools[0].argv: ", "null"},
        {"pools: [{kinds: [a], argv: [x], env: [y]}]\n",
         "pools[0].env: ", "a map, not a list"},
        {"pools: [{kinds: [a], argv: [x], env: {Y: [z]}}]\n",
         "pools[0].env: ", "a map of strings"},
        {"pools: [{kinds: [a], argv: [x], env: {A=B: z}}]\n",
         "pools[0].env: ", "no name of a variable"},
        {"pools: [{kinds: ['a*b'], argv: [x]}]\n", "pools[0].kinds: ", "a*b"},
        {"pools: [{kinds: ['.*'], argv: [x]}]\n", "pools[0].kinds: ", "'.'"},
        {"pools: [{kinds: ['a.**'], argv: [x]}]\n", "pools[0].kinds: ", "a.*"},
        {"pools: [{kinds: [''], argv: [x]}]\n", "pools[0].kinds: ", "''"},
        {"pools: [{kinds: [a], argv: [x], resumes: 1}]\n",
         "pools[0].resumes: ", "true or false"},
        {"limits: [{scope: a, capacity: 0, refill_per_second: 1}]\n",
         "limits[0].capacity: ", "from 1 to 1000000"},
        {"limits: [{scope: a, capacity: 1, refill_per_second: fast}]\n",
         "limits[0].refill_per_second: ", "is not a number"},
        {"limits: [{scope: a, capacity: 1, refill_per_second: -1}]\n",
         "limits[0].refill_per_second: ", "is not a number"},
        {"limits: [{scope: a, capacity: 1, refill_per_second: .inf}]\n",
         "limits[0].refill_per_second: ", "is not a number"},
        {"schedules: [{name: a, kind: b}]\n",
         "schedules[0]: ", "'cron' is missing"},
        {"schedules:\n  - name: a\n    kind: b\n    cron: 0 3 30 2 *\n",
         "schedules[0].cron: ", "this line never fires"},
        {"schedules: [{name: a, kind: b, cron: 0 3 * *}]\n",
         "schedules[0].cron: ", "five fields"},
        {"schedules: [{name: a, kind: b, cron: '@daily', tz: Mars}]\n",
         "schedules[0].tz: ", "'Mars' is not known here"},
        {"schedules: [{name: a, kind: b, cron: '@daily',\n"
         "  payload: {[1]: 2}}]\n",
         "schedules[0].payload: ", "a key must be a string"},
        {"schedules: [{name: a, kind: b, cron: '@daily', payload: &x [*x]}]\n",
         "schedules[0].payload: ", "nested too deep"},
        {"schedules: [{name: a, kind: b, cron: '@daily',\n"
         "  payload: 99999999999999999999}]\n",
         "schedules[0].payload: ", "beyond 64 bits"},
        {"max_payload: 3\nschedules:\n"
         "  - {name: a, kind: b, cron: '@daily', payload: abc}\n",
         "m.yaml:2: schedules[0]: payload: ", "more than max_payload"},
        {"schedules: [{name: a, kind: b, cron: '@daily', misfire: never}]\n",
         "schedules[0].misfire: ", "skip, once or catch-up K"},
        {"schedules: [{name: a, kind: b, cron: '@daily', misfire: catch-up "
         "0}]\n",
         "schedules[0].misfire: ", "catch-up K"},
        {"schedules: [{name: a, kind: b, cron: '@daily', overlap: maybe}]\n",
         "schedules[0].overlap: ", "skip|allow"},
        {"locations: [{name: a}]\n", "locations[0]: ", "'path' is missing"},
        {"health: {checks: 5}\n", "health.checks: ", "a list"},
        {"certs: {watch: {}}\n", "certs.watch: ", "a list"},
        {"bootstrap: yes\n", "bootstrap: ", "a list"},
        {"redis: {url: \"http://x:1\"}\n", "m.yaml:1: redis.url: ", ""},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++)
        bad(cases[i].yaml, cases[i].place, cases[i].why);
}

static TEST(test_a_missing_unit_is_refused)
{
    bad("worker:\n  grace: 25\n",
        "m.yaml:2: worker.grace: ", "'25' needs a unit");
    bad("queues: [{name: a, timeout: 600}]\n",
        "queues[0].timeout: ", "needs a unit");
    bad("uploads: {ttl: forever}\n", "uploads.ttl: ", "is not a duration");
    bad("max_payload: 1MB1\n", "max_payload: ", "is not a size");
}

/* A lease of milliseconds would be renewed without end, and lost. */
static TEST(test_unsafe_durations_are_refused)
{
    bad("worker: {grace: 999ms}\n", "worker.grace: ", "at least 1s");
    bad("worker: {claim_ttl: 500ms}\n", "worker.claim_ttl: ", "at least 1s");
    bad("coordinator: {lease_ttl: 0s}\n",
        "coordinator.lease_ttl: ", "at least 1s");
    bad("queues: [{name: a, timeout: 0s}]\n",
        "queues[0].timeout: ", "at least 1ms");
    ms_conf_free(good("worker: {grace: 1s, claim_ttl: 1s}\n"
                      "coordinator: {lease_ttl: 1s}\n",
                      NULL));
}

static TEST(test_counts_and_sizes_have_their_ranges)
{
    bad("worker: {concurrency: 0}\n",
        "worker.concurrency: ", "must be from 1 to 1024");
    bad("worker: {concurrency: 1025}\n", "worker.concurrency: ", "1024");
    bad("worker: {concurrency: -1}\n", "worker.concurrency: ", "1024");
    bad("queues: [{name: a, max_workers: -1}]\n",
        "queues[0].max_workers: ", "at least 0");
    bad("queues: [{name: a, crash_limit: 0}]\n",
        "queues[0].crash_limit: ", "at least 1");
    bad("dump_import: {chunk_size_bytes: 4095}\n",
        "dump_import.chunk_size_bytes: ", "at least 4096");
    bad("dump_import: {batch_docs: 0}\n", "dump_import.batch_docs: ", "1");
    ms_conf_free(good("dump_import: {chunk_size_bytes: 4KiB}\n", NULL));
}

static TEST(test_a_command_timeout_of_a_third_of_a_lease_is_refused)
{
    bad("redis:\n  command_timeout: 5s\n",
        "m.yaml:2: redis.command_timeout: ", "less than a third");
    bad("worker: {claim_ttl: 3s}\nredis:\n  command_timeout: 1s\n",
        "m.yaml:3: redis.command_timeout: ", "less than a third");
    bad("redis: {command_timeout: 0ms}\n", "redis.command_timeout: ", "1ms");
    ms_conf_free(good("redis: {command_timeout: 4999ms}\n", NULL));
}

/* Whoever reaches the API can delete every job. */
static TEST(test_listening_beyond_loopback_needs_a_token)
{
    static const char *const open[] = {"0.0.0.0:80", "\"[::]:80\"",
                                       "192.168.0.1:80"};
    char yaml[200];

    for (size_t i = 0; i < MS_COUNT_OF(open); i++) {
        snprintf(yaml, sizeof(yaml), "fleet: a\nworker:\n  http: %s\n",
                 open[i]);
        bad(yaml, "m.yaml:3: worker.http: ", "needs http.token_file");
        snprintf(yaml, sizeof(yaml), "coordinator: {http: %s}\n", open[i]);
        bad(yaml, "m.yaml:1: coordinator.http: ", "needs http.token_file");
        snprintf(yaml, sizeof(yaml),
                 "worker: {http: %s}\nhttp: {token_file: /etc/t}\n", open[i]);
        ms_conf_free(good(yaml, NULL));
    }
    bad("worker: {http: example.org:80}\n",
        "worker.http: ", "is not an address");
    bad("worker: {http: null}\n", "worker.http: ", "must not be null");
    ms_conf_free(good("worker: {http: off}\n"
                      "coordinator: {http: \"[::1]:0\"}\n",
                      NULL));
}

static TEST(test_entries_of_one_name_are_refused)
{
    bad("queues:\n- name: a\n- name: b\n- name: a\n",
        "m.yaml:4: queues[2]: ", "another entry has the name 'a'");
    bad("limits:\n- {scope: a, capacity: 1, refill_per_second: 1}\n"
        "- {scope: a, capacity: 2, refill_per_second: 1}\n",
        "m.yaml:3: limits[1]: ", "another entry has the scope 'a'");
}

/* What an attacker may not do anyway, but a generator of files might. */
/* Redis counts rates in whole millionths of a token a second. */
static TEST(test_a_limit_has_its_ranges)
{
    bad("limits:\n- {scope: a, capacity: 1000001, refill_per_second: 1}\n",
        "m.yaml:2: limits[0].capacity: ", "from 1 to 1000000");
    bad("limits:\n- {scope: a, capacity: 1, refill_per_second: 1000001}\n",
        "m.yaml:2: limits[0].refill_per_second: ", "at most 1000000");
    bad("limits:\n- {scope: a, capacity: 1, refill_per_second: 0.0000001}\n",
        "m.yaml:2: limits[0].refill_per_second: ", "at least 0.000001");
    bad("limits:\n- {scope: a b, capacity: 1, refill_per_second: 1}\n",
        "m.yaml:2: limits[0].scope: ", "'a b'");
}

/* A slip of the pen would let jobs wait for tokens that never come. */
static TEST(test_a_kind_or_pool_must_name_a_limit_of_the_file)
{
    bad("limits: [{scope: smtp, capacity: 1, refill_per_second: 1}]\n"
        "kinds:\n- {prefix: mail., limit: smpt}\n",
        "m.yaml:", "kinds: limit 'smpt' is not among the limits");
    bad("limits: [{scope: smtp, capacity: 1, refill_per_second: 1}]\n"
        "pools:\n- {kinds: [py.], argv: [python3], limit: smpt}\n",
        "m.yaml:", "pools: limit 'smpt' is not among the limits");
}

static TEST(test_a_very_large_file_is_refused)
{
    size_t len = (size_t)5 * 1024 * 1024;
    char *text = ms_xmalloc(len);
    struct ms_conf_flags flags = {.config = NULL};
    struct ms_conf *conf = NULL;
    struct ms_error error;
    char *path;

    memset(text, '#', len);
    path = ms_test_file("large.yaml", text, len);
    flags.config = path;
    CHECK_INT(ms_conf_load(&flags, NULL, &conf, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "large.yaml");
    free(path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_missing_file_is_named),
        RUN(test_what_is_not_yaml_is_refused_with_its_line),
        RUN(test_unknown_options_are_refused_at_every_level),
        RUN(test_an_option_said_twice_is_refused),
        RUN(test_wrong_types_are_refused),
        RUN(test_a_missing_unit_is_refused),
        RUN(test_unsafe_durations_are_refused),
        RUN(test_counts_and_sizes_have_their_ranges),
        RUN(test_a_command_timeout_of_a_third_of_a_lease_is_refused),
        RUN(test_listening_beyond_loopback_needs_a_token),
        RUN(test_entries_of_one_name_are_refused),
        RUN(test_a_limit_has_its_ranges),
        RUN(test_a_kind_or_pool_must_name_a_limit_of_the_file),
        RUN(test_a_very_large_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
