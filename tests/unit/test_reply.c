#include "tests/support/support.h"

#include <stdlib.h>

#define STR(text)                                                \
    {                                                            \
        .type = MS_REPLY_STR, .str = (text), .len = strlen(text) \
    }
#define INT(number)                           \
    {                                         \
        .type = MS_REPLY_INT, .num = (number) \
    }
#define ARRAY(list)                                                           \
    {                                                                         \
        .type = MS_REPLY_ARRAY, .items = (list), .n_items = MS_COUNT_OF(list) \
    }

static TEST(test_at_answers_nil_where_nothing_is)
{
    const struct ms_reply items[] = {INT(1), STR("two")};
    const struct ms_reply list = ARRAY(items);
    const struct ms_reply text = STR("not a list");

    CHECK_INT(ms_reply_at(&list, 0)->num, ==, 1);
    CHECK_STR(ms_reply_at(&list, 1)->str, "two");
    CHECK_INT(ms_reply_at(&list, 2)->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_at(&text, 0)->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_at(ms_reply_at(&list, 9), 9)->type, ==, MS_REPLY_NIL);
}

static TEST(test_str_is_the_text_of_strings_alone)
{
    const struct ms_reply text = STR("x");
    const struct ms_reply number = INT(5);
    const struct ms_reply error = {.type = MS_REPLY_ERROR,
                                   .str = "ERR",
                                   .len = 3};

    CHECK_STR(ms_reply_str(&text, "-"), "x");
    CHECK_STR(ms_reply_str(&number, "-"), "-");
    CHECK_STR(ms_reply_str(&error, NULL), NULL);
    CHECK_STR(ms_reply_error(&error), "ERR");
    CHECK_STR(ms_reply_error(&text), "");
}

static TEST(test_int_takes_whole_decimal_numbers_alone)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"0", 0},
        {"-12", -12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9223372036854775808", -7}, /* too large */
        {"", -7},
        {"-", -7},
        {" 1", -7},
        {"+1", -7},
        {"1 ", -7},
        {"1.5", -7},
        {"0x10", -7},
        {"inf", -7},
    };
    const struct ms_reply number = INT(-3);
    const struct ms_reply nil = {.type = MS_REPLY_NIL};
    const struct ms_reply cut = {.type = MS_REPLY_STR,
                                 .str = "12\0"
                                        "34",
                                 .len = 5};

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        const struct ms_reply reply = STR(cases[i].text);

        CHECK_INT(ms_reply_int(&reply, -7), ==, cases[i].want);
    }
    CHECK_INT(ms_reply_int(&number, 9), ==, -3);
    CHECK_INT(ms_reply_int(&nil, 9), ==, 9);
    CHECK_INT(ms_reply_int(&cut, 9), ==, 9);
}

static TEST(test_is_compares_all_bytes)
{
    const struct ms_reply text = STR("ok");
    const struct ms_reply nul = {.type = MS_REPLY_STR,
                                 .str = "ok\0x",
                                 .len = 4};
    const struct ms_reply error = {.type = MS_REPLY_ERROR,
                                   .str = "ok",
                                   .len = 2};

    CHECK(ms_reply_is(&text, "ok"));
    CHECK(!ms_reply_is(&text, "okay"));
    CHECK(!ms_reply_is(&text, "o"));
    CHECK(!ms_reply_is(&nul, "ok"));
    CHECK(!ms_reply_is(&error, "ok"));
}

/* A value that equals a field's name must not be taken for the field. */
static TEST(test_field_looks_at_names_not_at_values)
{
    const struct ms_reply items[] = {STR("a"), STR("b"), STR("b"), STR("c"),
                                     STR("odd")};
    const struct ms_reply pairs = ARRAY(items);
    const struct ms_reply empty = {.type = MS_REPLY_ARRAY};

    CHECK_STR(ms_reply_field(&pairs, "a")->str, "b");
    CHECK_STR(ms_reply_field(&pairs, "b")->str, "c");
    CHECK_INT(ms_reply_field(&pairs, "c")->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_field(&pairs, "odd")->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_field(&empty, "a")->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_field(&items[0], "a")->type, ==, MS_REPLY_NIL);
}

static TEST(test_copy_outlives_its_source)
{
    char text[] = "first";
    struct ms_reply inner[] = {STR(text), INT(42), {.type = MS_REPLY_NIL}};
    struct ms_reply outer[] = {STR("head"),
                               ARRAY(inner),
                               {.type = MS_REPLY_ARRAY}};
    struct ms_reply list = ARRAY(outer);
    struct ms_reply *copy = ms_reply_copy(&list);
    const struct ms_reply *sub = ms_reply_at(copy, 1);

    memset(text, 'x', sizeof(text));
    memset(inner, 0, sizeof(inner));
    memset(outer, 0, sizeof(outer));
    CHECK_STR(ms_reply_at(copy, 0)->str, "head");
    CHECK_STR(ms_reply_at(sub, 0)->str, "first");
    CHECK_INT(ms_reply_at(sub, 1)->num, ==, 42);
    CHECK_INT(ms_reply_at(sub, 2)->type, ==, MS_REPLY_NIL);
    CHECK_INT(ms_reply_at(copy, 2)->type, ==, MS_REPLY_ARRAY);
    CHECK_INT(ms_reply_at(copy, 2)->n_items, ==, 0);
    ms_reply_free(copy);
    ms_reply_free(NULL);
}

static TEST(test_copy_keeps_nul_bytes_and_errors)
{
    const struct ms_reply items[] = {
        {.type = MS_REPLY_STR, .str = "a\0b", .len = 3},
        {.type = MS_REPLY_ERROR, .str = "ERR no", .len = 6}};
    const struct ms_reply list = ARRAY(items);
    struct ms_reply *copy = ms_reply_copy(&list);

    CHECK_INT(copy->items[0].len, ==, 3);
    CHECK(memcmp(copy->items[0].str, "a\0b", 4) == 0);
    CHECK_INT(copy->items[1].type, ==, MS_REPLY_ERROR);
    CHECK_STR(copy->items[1].str, "ERR no");
    ms_reply_free(copy);
}

static TEST(test_classify_knows_each_class_by_its_code)
{
    static const struct {
        const char *text;
        enum ms_err want;
    } cases[] = {
        {"OOM command not allowed when used memory > 'maxmemory'.", MS_EFULL},
        {"MISCONF Redis is configured to save RDB snapshots", MS_EFULL},
        {"LOADING Redis is loading the dataset in memory", MS_ELOADING},
        {"MASTERDOWN Link with MASTER is down", MS_ELOADING},
        {"READONLY You can't write against a read only replica.", MS_EREADONLY},
        {"BUSY Redis is busy running a script.", MS_EBUSY},
        {"NOREPLICAS Not enough good replicas to write.", MS_EBUSY},
        {"ERR max number of clients reached", MS_EBUSY},
        {"NOAUTH Authentication required.", MS_EAUTH},
        {"WRONGPASS invalid username-password pair", MS_EAUTH},
        {"NOPERM this user has no permissions", MS_EAUTH},
        {"MOVED 3999 127.0.0.1:6381", MS_EMOVED},
        {"ASK 3999 127.0.0.1:6381", MS_EMOVED},
        {"TRYAGAIN Multiple keys request during rehashing", MS_EMOVED},
        {"CLUSTERDOWN The cluster is down", MS_EDOWN},
        {"ERR unknown command", MS_ESCRIPT},
        {"WRONGTYPE Operation against a key", MS_ESCRIPT},
        {"BUSYGROUP Consumer Group name already exists", MS_ESCRIPT},
        {"OOMPH", MS_ESCRIPT},
        {"OOM", MS_EFULL},
        {"", MS_ESCRIPT},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        enum ms_err err = ms_reply_classify(cases[i].text);

        if (err != cases[i].want)
            print_error("%s\n", cases[i].text);
        CHECK_INT(err, ==, cases[i].want);
    }
}

static TEST(test_classify_looks_into_what_older_servers_wrap)
{
    CHECK_INT(ms_reply_classify("ERR Error running script (call to f_9b1): "
                                "@user_script:3: -OOM command not allowed"),
              ==, MS_EFULL);
    CHECK_INT(ms_reply_classify("ERR Error running script (call to f_9b1): "
                                "@user_script:3: attempt to index a nil value"),
              ==, MS_ESCRIPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_at_answers_nil_where_nothing_is),
        RUN(test_str_is_the_text_of_strings_alone),
        RUN(test_int_takes_whole_decimal_numbers_alone),
        RUN(test_is_compares_all_bytes),
        RUN(test_field_looks_at_names_not_at_values),
        RUN(test_copy_outlives_its_source),
        RUN(test_copy_keeps_nul_bytes_and_errors),
        RUN(test_classify_knows_each_class_by_its_code),
        RUN(test_classify_looks_into_what_older_servers_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
