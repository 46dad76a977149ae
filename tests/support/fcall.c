#include "tests/support/fcall.h"

#include "common/library.h"

void ms_fcall_load(struct ms_test_redis *redis)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *reply;

    ms_library_load_build(&cmd);
    reply = ms_test_run(redis, &cmd);
    if (reply->type == MS_REPLY_ERROR)
        fail_msg("the library: %s", reply->str);
    CHECK_STR(reply->str, "muster");
}

const struct ms_reply *ms_fcall_args(struct ms_test_redis *redis,
                                     const char *name, const char *key,
                                     const struct ms_bytes *args, size_t n)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "FCALL", NULL);
    ms_cmd_argf(&cmd, "muster_%s", name);
    ms_cmd_argi(&cmd, key != NULL);
    if (key != NULL)
        ms_cmd_args(&cmd, key);
    for (size_t i = 0; i < n; i++)
        ms_cmd_arg(&cmd, args[i].data, args[i].len);
    return ms_test_run(redis, &cmd);
}

const char *ms_fcall_texts(struct ms_test_redis *redis, const char *name,
                           const char *key, const char *const *args)
{
    struct ms_bytes bytes[64];
    const struct ms_reply *reply;
    size_t n = 0;

    for (; args[n] != NULL; n++) {
        CHECK(n < MS_COUNT_OF(bytes));
        bytes[n].data = (char *)(uintptr_t)args[n];
        bytes[n].len = strlen(args[n]);
    }
    reply = ms_fcall_args(redis, name, key, bytes, n);
    CHECK(reply->type == MS_REPLY_STR || reply->type == MS_REPLY_ERROR);
    return reply->str;
}
