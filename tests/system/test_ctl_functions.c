/* musterctl functions, and what the doctor says of them. */
#include <stdlib.h>

#include "common/library.h"
#include "tests/support/core.h"
#include "tests/support/ctl.h"

static int setup(void **state)
{
    int code = ms_core_setup(state);
    struct ms_core *core = *state;

    ms_test_cmd(core->redis, "FUNCTION FLUSH");
    return code;
}

static const char *shown(struct ms_core *core, const char *field)
{
    return ms_ctl_at(ms_ctl_json(core->redis, 0, "functions show", NULL),
                     field);
}

static void load_other(struct ms_core *core, long long version)
{
    char *text =
        ms_xasprintf("#!lua name=muster\n"
                     "redis.register_function{function_name='muster_version', "
                     "callback=function() return '{\"version\":%lld,\"build\":"
                     "\"0123456789012345678901234567890123456789\"}' end, "
                     "flags={'no-writes'}}\n",
                     version);

    CHECK_STR(ms_test_text(core->redis, "FUNCTION LOAD REPLACE %s", text),
              "muster");
    free(text);
}

static TEST(test_it_is_shown_and_loaded)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    CHECK_STR(shown(core, "version"), "null");
    run = ms_ctl_json(core->redis, 0, "functions load", NULL);
    CHECK_INT(atoll(ms_ctl_at(run, "version")), ==, ms_library.version);
    CHECK_CONTAINS(shown(core, "build"), ms_library.build);
    ms_ctl_json(core->redis, 0, "functions load", NULL); /* once more */
    CHECK_INT(atoll(shown(core, "own_version")), ==, ms_library.version);
    CHECK_INT(
        ms_test_cmd(core->redis, "FCALL muster_queue 1 %s", K("cfg"))->type, ==,
        MS_REPLY_STR);
}

static TEST(test_an_older_one_is_replaced_and_a_newer_stays)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    load_other(core, ms_library.version - 1);
    ms_ctl_json(core->redis, 0, "functions load", NULL);
    CHECK_CONTAINS(shown(core, "build"), ms_library.build);
    load_other(core, ms_library.version + 1);
    run = ms_ctl_json(core->redis, 1, "functions load", NULL);
    CHECK_CONTAINS(run->err, "newer release");
    CHECK_INT(atoll(shown(core, "version")), ==, ms_library.version + 1);
}

static TEST(test_a_user_who_may_not_is_told)
{
    struct ms_core *core = *state;
    const struct ms_ctl_run *run;

    ms_test_cmd(core->redis, "ACL SETUSER default -function");
    run = ms_ctl_json(core->redis, 1, "functions load", NULL);
    ms_test_cmd(core->redis, "ACL SETUSER default +function");
    CHECK_CONTAINS(run->err, "function|load");
}

static TEST(test_the_doctor_looks_for_them)
{
    struct ms_core *core = *state;

    CHECK_CONTAINS(ms_ctl_json(core->redis, 0, "doctor", NULL)->out,
                   "functions load");
    ms_ctl_json(core->redis, 0, "functions load", NULL);
    CHECK(strstr(ms_ctl_json(core->redis, 0, "doctor", NULL)->out,
                 "functions load") == NULL);
}

#define FUNCTIONS(name) \
    cmocka_unit_test_setup_teardown(name, setup, ms_core_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FUNCTIONS(test_it_is_shown_and_loaded),
        FUNCTIONS(test_an_older_one_is_replaced_and_a_newer_stays),
        FUNCTIONS(test_a_user_who_may_not_is_told),
        FUNCTIONS(test_the_doctor_looks_for_them),
    };
    int failed = RUN_CORE(tests);

    ms_ctl_forget();
    return failed;
}
