/* Whatever is typed, piped or stored: an answer, never a crash.  Bounded, and
 * by a seed that is printed. */
#include "ctl/ctl.h"
#include "ctl/dump_import.h"
#include "ctl/kinds.h"
#include "ctl/spec.h"
#include "ctl/when.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 3000

/* xorshift: the same numbers everywhere. */
static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int random_below(uint64_t *seed, int n)
{
    return (int)(random_next(seed) % (uint64_t)n);
}

/* Takes a good text and spoils a few bytes; a new string. */
static char *spoil(uint64_t *seed, const char *text)
{
    char *copy = ms_xstrdup(text);
    size_t len = strlen(copy);

    for (int i = random_below(seed, 4); i >= 0 && len > 0; i--) {
        size_t at = (size_t)random_below(seed, (int)len);

        if (random_below(seed, 3) == 0)
            copy[at] = '\0';
        else
            copy[at] = (char)(1 + random_below(seed, 255));
        len = strlen(copy);
    }
    return copy;
}

static TEST(test_spoilt_lines_of_a_batch)
{
    static const char good[] =
        "{\"kind\":\"k\",\"payload\":{\"a\":[1,2.5,\"x\"]},\"id\":\"i\","
        "\"queue\":\"q\",\"group\":\"g\",\"priority\":3,\"delay\":\"2s\","
        "\"at\":\"2026-01-31T12:30:00Z\",\"unique\":\"u\",\"timeout\":5}";
    const struct ms_conf conf = {.max_payload_bytes = 1000};
    uint64_t seed = ms_test_seed() | 1;

    for (int i = 0; i < ROUNDS; i++) {
        char *line = spoil(&seed, good);
        struct ms_spec spec;
        struct ms_error error = {""};
        enum ms_err err = ms_spec_from_json(&spec, line, strlen(line), &error);

        if (err == MS_OK)
            err = ms_spec_finish(&spec, &conf, NULL, &error);
        CHECK(err == MS_OK || (err == MS_EINVAL && error.text[0] != '\0'));
        ms_spec_done(&spec);
        free(line);
    }
}

static TEST(test_spoilt_command_lines)
{
    static const char *const words[] = {
        "job",     "enqueue", "--queue",  "q",     "--json", "--",
        "-",       "--batch", "-h",       "dump",  "import", "--max-errors=1",
        "--wait",  "status",  "--redis=", "queue", "set",    "a=b",
        "--limit", "--help",  "dataset",  "put",   "",       "--version"};
    uint64_t seed = ms_test_seed() | 1;

    for (int i = 0; i < ROUNDS; i++) {
        char *argv[12] = {NULL}, *owned[12] = {NULL};
        int n = random_below(&seed, 10);
        struct ms_cli cli;
        struct ms_buf out = MS_BUF_INIT;
        enum ms_err err;

        for (int j = 0; j <= n; j++)
            argv[j] = owned[j] =
                spoil(&seed, words[random_below(&seed, MS_COUNT_OF(words))]);
        for (int j = 1; j <= n; j++) {
            if (random_below(&seed, 5) > 0) {
                free(owned[j]);
                argv[j] = owned[j] =
                    ms_xstrdup(words[random_below(&seed, MS_COUNT_OF(words))]);
            }
        }
        err = ms_cli_parse(ms_commands, argv, &cli, NULL);
        CHECK(err == MS_OK || err == MS_EINVAL);
        CHECK(err != MS_OK || cli.command != NULL || cli.help || cli.version);
        if (err == MS_OK)
            ms_cli_help(ms_commands, &cli, &out);
        ms_cli_usage(&cli, &out);
        ms_buf_done(&out);
        for (int j = 0; j <= n; j++)
            free(owned[j]);
    }
}

static TEST(test_spoilt_times_kinds_and_names)
{
    uint64_t seed = ms_test_seed() | 1;

    for (int i = 0; i < ROUNDS; i++) {
        char *time = spoil(&seed, "2026-01-31T12:30:00.250+01:00");
        char *kinds = spoil(&seed, ",noop.echo,py.*,mail.send,");
        char *path = spoil(&seed, "/data/some folder/users-2026.ndjson.gz");
        char name[MS_NAME_MAX + 1];
        int64_t ms = 0;
        enum ms_err err = ms_when_parse(time, &ms, NULL);

        CHECK(err == MS_EINVAL || ms > 0);
        (void)ms_kinds_match(kinds, "mail.send");
        CHECK(!ms_import_name(path, name) || ms_name_is_valid(name));
        free(path);
        free(kinds);
        free(time);
    }
}

/* Documents from Redis may nest what they like. */
static TEST(test_any_document_can_be_shown)
{
    static const char good[] =
        "{\"items\":[{\"id\":\"a\",\"created_ms\":-5,\"n\":[{\"x\":1.5}]},"
        "{\"id\":null,\"created_ms\":\"text\"},5],\"next\":\"c\"}";
    static const struct ms_column columns[] = {
        {"id", "ID", MS_SHOW_PLAIN},
        {"created_ms", "CREATED", MS_SHOW_TIME},
        {"n", "N", MS_SHOW_SIZE},
        {NULL, NULL, MS_SHOW_PLAIN},
    };
    uint64_t seed = ms_test_seed() | 1;

    for (int i = 0; i < ROUNDS; i++) {
        char *json = spoil(&seed, good);
        struct ms_buf out = MS_BUF_INIT;
        struct ms_val val = {0};
        const msgpack_object *items;

        if (ms_val_from_json(json, strlen(json), &val, NULL) == MS_OK &&
            val.root.type == MSGPACK_OBJECT_MAP) {
            items = ms_val_get(&val.root, "items");
            ms_output_pairs(&val.root, &out);
            if (items != NULL && items->type == MSGPACK_OBJECT_ARRAY)
                ms_output_table(columns, items, &out);
            for (size_t j = 0; j < out.len; j++)
                CHECK((unsigned char)out.data[j] >= 32 || out.data[j] == '\n');
        }
        ms_val_done(&val);
        ms_buf_done(&out);
        free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_spoilt_lines_of_a_batch),
        RUN(test_spoilt_command_lines),
        RUN(test_spoilt_times_kinds_and_names),
        RUN(test_any_document_can_be_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
