#include "common/address.h"
#include "tests/support/support.h"

static TEST(test_what_is_no_numeric_address_is_refused)
{
    static const char *const bad[] = {
        "",
        "80",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:000080",
        "127.0.0.1:80 ",
        "127.0.0:80",
        "256.0.0.1:80",
        "example.org:80",
        "::1:80", /* where does the host end? */
        "[::1]",
        "[]:80",
        "[::1:80",
        "::1]:80",
        "[127.0.0.1]:80",
        "[::1]x:80",
        "*:80",
        "1111111111111111111111111111111111111111111111111111111111111111:80",
    };

    for (size_t i = 0; i < MS_COUNT_OF(bad); i++) {
        struct ms_address address = {.len = 7};
        struct ms_error error = {""};

        if (ms_address_parse(bad[i], &address, &error) == MS_OK)
            print_error("%s\n", bad[i]);
        CHECK_CONTAINS(error.text, "is not an address");
        CHECK_CONTAINS(error.text, bad[i]);
        CHECK_INT(address.len, ==, 7);
    }
}

/* Anything but loopback needs a token: what counts as loopback is a wall. */
static TEST(test_loopback_is_told_from_the_rest)
{
    static const struct {
        const char *text, *shown;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:7780", "127.0.0.1:7780", true},
        {"127.9.8.7:0", "127.9.8.7:0", true},
        {"localhost:65535", "127.0.0.1:65535", true},
        {"[::1]:1", "[::1]:1", true},
        {"0.0.0.0:80", "0.0.0.0:80", false},
        {"128.0.0.1:80", "128.0.0.1:80", false},
        {"10.0.0.1:80", "10.0.0.1:80", false},
        {"[::]:80", "[::]:80", false},
        {"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", false},
        {"[fe80::1]:80", "[fe80::1]:80", false},
    };

    for (size_t i = 0; i < MS_COUNT_OF(cases); i++) {
        struct ms_address address;
        char shown[MS_ADDRESS_MAX];

        CHECK_INT(ms_address_parse(cases[i].text, &address, NULL), ==, MS_OK);
        CHECK_INT(ms_address_is_loopback(&address), ==, cases[i].loopback);
        CHECK_STR(ms_address_format(&address, shown), cases[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_what_is_no_numeric_address_is_refused),
        RUN(test_loopback_is_told_from_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
