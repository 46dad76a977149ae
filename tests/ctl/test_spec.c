#include "common/val.h"
#include "ctl/dump_import.h"
#include "ctl/kinds.h"
#include "ctl/spec.h"
#include "tests/support/support.h"

static char mail[] = "mail", mail_prefix[] = "mail.", urgent[] = "urgent";
static char urgent_prefix[] = "mail.urgent.";
static struct ms_kind_conf rules[] = {
    {mail_prefix, mail, NULL, 7, 30000},
    {urgent_prefix, urgent, NULL, -1, -1},
};
static const struct ms_conf conf = {.kinds = rules,
                                    .n_kinds = 2,
                                    .max_payload_bytes = 40};

static enum ms_err read_line(struct ms_spec *spec, const char *line,
                             struct ms_error *error)
{
    enum ms_err err = ms_spec_from_json(spec, line, strlen(line), error);

    return err == MS_OK ? ms_spec_finish(spec, &conf, NULL, error) : err;
}

static void check_bad(const char *line, const char *why)
{
    struct ms_spec spec;
    struct ms_error error = {""};

    CHECK_INT(read_line(&spec, line, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, why);
    ms_spec_done(&spec);
}

static TEST(test_a_bad_line_names_its_field)
{
    check_bad("{", "line 1");
    check_bad("[]", "no JSON object");
    check_bad("{}", "kind is missing");
    check_bad("{\"kind\":\"a b\"}", "kind 'a b'");
    check_bad("{\"kind\":5}", "kind is no string");
    check_bad("{\"kind\":\"k\",\"id\":\"x.5\"}", "x.5");
    check_bad("{\"kind\":\"k\",\"id\":5}", "id has a value of the wrong type");
    check_bad("{\"kind\":\"k\",\"queue\":\"{}\"}", "queue");
    check_bad("{\"kind\":\"k\",\"priority\":10}",
              "priority is a number from 0");
    check_bad("{\"kind\":\"k\",\"priority\":-1}", "priority");
    check_bad("{\"kind\":\"k\",\"delay\":-1}", "delay has a value");
    check_bad("{\"kind\":\"k\",\"delay\":\"-1s\"}", "delay: ");
    check_bad("{\"kind\":\"k\",\"timeout\":1.5}", "timeout has a value");
    check_bad("{\"kind\":\"k\",\"at\":-1}", "at has a value");
    check_bad("{\"kind\":\"k\",\"payload\":nan}", "line 1");
    check_bad("{\"kind\":\"k\"} {}", "line 1");
    check_bad("{\"kind\":\"k\",\"delay\":\"5\"}", "delay: ");
    check_bad("{\"kind\":\"k\",\"at\":\"noon\"}", "at: ");
    check_bad("{\"kind\":\"k\",\"expires\":\"x\"}", "expires");
    /* 0 would mean that nothing was said, and the job would live on. */
    check_bad("{\"kind\":\"k\",\"expires\":0}", "expires: must be longer");
    check_bad("{\"kind\":\"k\",\"expires\":\"0s\"}", "expires: must be");
    check_bad("{\"kind\":\"k\",\"timeout\":0}", "timeout: must be longer");
    check_bad("{\"kind\":\"k\",\"unique\":\"u\",\"unique_ttl\":0}",
              "unique_ttl: must be longer");
    check_bad("{\"kind\":\"k\",\"colour\":\"red\"}", "unknown field 'colour'");
    check_bad("{\"kind\":\"k\",\"max_attempts\":0}", "max_attempts");
    check_bad("{\"kind\":\"k\",\"unique\":\"\"}", "unique");
    check_bad("{\"kind\":\"k\",\"unique_ttl\":\"5s\"}", "without a unique");
    check_bad("{\"kind\":\"k\",\"at\":5,\"delay\":\"1s\"}", "exclude");
    check_bad("{\"kind\":\"k\",\"group\":\"a\\u0000b\"}", "zero byte");
    check_bad("{\"kind\":\"k\",\"payload\":"
              "\"0123456789012345678901234567890123456789\"}",
              "more than max_payload (40)");
}

static TEST(test_a_whole_line_becomes_a_job)
{
    struct ms_spec spec;

    CHECK_INT(read_line(&spec,
                        "{\"kind\":\"k\",\"payload\":[1],\"id\":\"me\","
                        "\"queue\":\"q\",\"group\":\"g\",\"priority\":0,"
                        "\"delay\":\"2s\",\"expires\":60000,\"unique\":\"u\","
                        "\"unique_ttl\":\"1m\",\"max_attempts\":2,"
                        "\"timeout\":1500}",
                        NULL),
              ==, MS_OK);
    CHECK_STR(spec.job.id, "me");
    CHECK(spec.job.own_id);
    CHECK_STR(spec.queue, "q");
    CHECK_STR(spec.job.group, "g");
    CHECK_INT(spec.job.priority, ==, 0);
    CHECK_INT(spec.job.delay_ms, ==, 2000);
    CHECK_INT(spec.job.expires_in_ms, ==, 60000);
    CHECK_STR(spec.job.unique, "u");
    CHECK_INT(spec.job.unique_ttl_ms, ==, 60000);
    CHECK_INT(spec.job.max_attempts, ==, 2);
    CHECK_INT(spec.job.timeout_ms, ==, 1500);
    CHECK_INT(spec.job.payload_len, ==, 2);
    assert_memory_equal(spec.job.payload, "\x91\x01", 2);
    ms_spec_done(&spec);
}

static TEST(test_a_unique_mode_is_a_word_beside_a_key)
{
    struct ms_spec spec;
    struct ms_error error = {""};

    CHECK_INT(read_line(&spec,
                        "{\"kind\":\"k\",\"unique\":\"u\","
                        "\"unique_mode\":\"debounce\"}",
                        NULL),
              ==, MS_OK);
    CHECK_INT(spec.job.unique_mode, ==, MS_UNIQUE_DEBOUNCE);
    ms_spec_done(&spec);
    check_bad("{\"kind\":\"k\",\"unique_mode\":\"replace\"}",
              "unique_mode without a unique key");
    check_bad("{\"kind\":\"k\",\"unique\":\"u\","
              "\"unique_mode\":\"often\"}",
              "refuse, replace or debounce, not 'often'");
    check_bad("{\"kind\":\"k\",\"unique\":\"u\","
              "\"unique_mode\":1}",
              "unique_mode has a value of the wrong type");
    CHECK_INT(ms_spec_begin(&spec, "k", "{}", 2, NULL), ==, MS_OK);
    CHECK_INT(ms_spec_set(&spec, "unique-mode", "replace", NULL), ==, MS_OK);
    CHECK_INT(spec.job.unique_mode, ==, MS_UNIQUE_REPLACE);
    CHECK_INT(ms_spec_set(&spec, "unique-mode", "", &error), ==, MS_EINVAL);
    ms_spec_done(&spec);
}

static TEST(test_a_bare_line_has_defaults)
{
    struct ms_spec spec;

    CHECK_INT(read_line(&spec, "{\"kind\":\"k\",\"group\":null}", NULL), ==,
              MS_OK);
    CHECK_STR(spec.queue, "default");
    CHECK_INT(strlen(spec.job.id), ==, 26);
    CHECK(!spec.job.own_id);
    CHECK_INT(spec.job.priority, ==, 5);
    CHECK(spec.job.group == NULL);
    assert_memory_equal(spec.job.payload, "\x80", 1); /* {} */
    ms_spec_done(&spec);
}

static TEST(test_the_longest_prefix_routes_a_kind)
{
    struct ms_spec spec;

    CHECK_INT(read_line(&spec, "{\"kind\":\"mail.send\"}", NULL), ==, MS_OK);
    CHECK_STR(spec.queue, "mail");
    CHECK_INT(spec.job.max_attempts, ==, 7);
    CHECK_INT(spec.job.timeout_ms, ==, 30000);
    ms_spec_done(&spec);
    CHECK_INT(read_line(&spec, "{\"kind\":\"mail.urgent.x\"}", NULL), ==,
              MS_OK);
    CHECK_STR(spec.queue, "urgent");
    CHECK_INT(spec.job.max_attempts, ==, 0);
    ms_spec_done(&spec);
    CHECK_INT(read_line(&spec,
                        "{\"kind\":\"mail.send\",\"queue\":\"q\","
                        "\"timeout\":\"1s\"}",
                        NULL),
              ==, MS_OK);
    CHECK_STR(spec.queue, "q");
    CHECK_INT(spec.job.timeout_ms, ==, 1000);
    ms_spec_done(&spec);
}

static TEST(test_the_command_line_says_the_same)
{
    struct ms_spec spec;
    struct ms_error error = {""};

    CHECK_INT(ms_spec_begin(&spec, "k", "{\"a\":", 5, &error), ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, "payload: ");
    ms_spec_done(&spec);
    CHECK_INT(ms_spec_begin(&spec, "k", "null", 4, NULL), ==, MS_OK);
    CHECK_INT(ms_spec_set(&spec, "unique", "u", NULL), ==, MS_OK);
    CHECK_INT(ms_spec_set(&spec, "unique-ttl", "5s", NULL), ==, MS_OK);
    CHECK_INT(ms_spec_set(&spec, "max-attempts", "3", NULL), ==, MS_OK);
    CHECK_INT(ms_spec_set(&spec, "expires", "2026-01-31T12:30:45Z", NULL), ==,
              MS_OK);
    CHECK_INT(ms_spec_finish(&spec, &conf, "given", NULL), ==, MS_OK);
    CHECK_STR(spec.queue, "given");
    CHECK_INT(spec.job.unique_ttl_ms, ==, 5000);
    CHECK_INT(spec.job.expires_at_ms, ==, 1769862645000);
    assert_memory_equal(spec.job.payload, "\xc0", 1);
    ms_spec_done(&spec);
}

static TEST(test_kinds_match_whole_or_by_prefix)
{
    CHECK(ms_kinds_match(",noop.echo,py.*,", "noop.echo"));
    CHECK(ms_kinds_match(",noop.echo,py.*,", "py.resize"));
    CHECK(!ms_kinds_match(",noop.echo,py.*,", "noop.echo2"));
    CHECK(!ms_kinds_match(",noop.echo,py.*,", "noop"));
    CHECK(!ms_kinds_match(",noop.echo,py.*,", "python"));
    CHECK(!ms_kinds_match("", "noop.echo"));
    CHECK(ms_kinds_match("*", "anything"));
}

static TEST(test_a_dataset_is_named_after_its_file)
{
    char name[MS_NAME_MAX + 1];

    CHECK(ms_import_name("/data/users.ndjson.gz", name));
    CHECK_STR(name, "users");
    CHECK(ms_import_name("/da.ta/My Users (2026)", name));
    CHECK_STR(name, "My-Users--2026-");
    CHECK(ms_import_name("_-x.json", name));
    CHECK_STR(name, "x");
    CHECK(!ms_import_name("/data/.hidden", name));
    CHECK(!ms_import_name("/data/---", name));
    CHECK(ms_import_name("/a/0123456789012345678901234567890123456789012345678"
                         "901234567890123456789",
                         name));
    CHECK_INT(strlen(name), ==, MS_NAME_MAX);
}

static TEST(test_a_retry_changes_max_errors_alone)
{
    static const char json[] = "{\"source\":\"/x\",\"max_errors\":0,\"n\":[1]}";
    struct ms_val val = {0};
    struct ms_buf payload = MS_BUF_INIT, changed = MS_BUF_INIT;
    struct ms_buf text = MS_BUF_INIT;
    struct ms_bytes bytes;

    CHECK_INT(ms_val_from_json(json, strlen(json), &val, NULL), ==, MS_OK);
    ms_val_to_msgpack(&val.root, &payload);
    ms_val_done(&val);
    bytes = (struct ms_bytes){payload.data, payload.len};
    CHECK_INT(ms_import_repay(&bytes, -1, &changed, NULL), ==, MS_OK);
    CHECK_INT(ms_val_from_msgpack(changed.data, changed.len, &val, NULL), ==,
              MS_OK);
    ms_val_to_json(&val.root, &text);
    CHECK_STR(ms_buf_str(&text),
              "{\"source\":\"/x\",\"n\":[1],\"max_errors\":-1}");
    ms_val_done(&val);
    bytes = (struct ms_bytes){payload.data, 1}; /* cut short */
    CHECK_INT(ms_import_repay(&bytes, 5, &changed, NULL), ==, MS_EPROTO);
    ms_buf_done(&payload);
    ms_buf_done(&changed);
    ms_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_bad_line_names_its_field),
        RUN(test_a_whole_line_becomes_a_job),
        RUN(test_a_unique_mode_is_a_word_beside_a_key),
        RUN(test_a_bare_line_has_defaults),
        RUN(test_the_longest_prefix_routes_a_kind),
        RUN(test_the_command_line_says_the_same),
        RUN(test_kinds_match_whole_or_by_prefix),
        RUN(test_a_dataset_is_named_after_its_file),
        RUN(test_a_retry_changes_max_errors_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
