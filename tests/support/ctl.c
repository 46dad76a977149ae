#include "tests/support/ctl.h"

#include <stdio.h>
#include <stdlib.h>

static struct ms_ctl_run last_run;
static struct ms_buf last_at;

void ms_ctl_forget(void)
{
    free(last_run.out);
    free(last_run.err);
    ms_val_done(&last_run.json);
    ms_buf_done(&last_at);
    memset(&last_run, 0, sizeof(last_run));
}

const struct ms_ctl_run *ms_ctl_run(struct ms_test_redis *redis,
                                    const char *words, const char *last)
{
    const char *argv[64] = {"musterctl", "--fleet", "m", "--redis",
                            ms_test_redis_url(redis)};
    char *text = ms_xstrdup(words), *rest = NULL;
    size_t n = 5;

    for (char *word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        ms_assert(n < MS_COUNT_OF(argv) - 1);
        argv[n++] = strcmp(word, "%") == 0 ? last : word;
    }
    ms_ctl_forget();
    last_run.code = ms_proc_run(argv, NULL, &last_run.out, &last_run.err);
    ms_val_from_json(last_run.out, strlen(last_run.out), &last_run.json, NULL);
    free(text);
    return &last_run;
}

const struct ms_ctl_run *ms_ctl_json(struct ms_test_redis *redis, int code,
                                     const char *words, const char *last)
{
    char *all = ms_xasprintf("--json %s", words);
    const struct ms_ctl_run *run = ms_ctl_run(redis, all, last);

    if (run->code != code)
        print_error("musterctl %s\n%s%s", words, run->out, run->err);
    CHECK_INT(run->code, ==, code);
    if (code == 0 && run->json.zone == NULL)
        print_error("musterctl %s: no JSON document:\n%s", words, run->out);
    CHECK(code != 0 || run->json.zone != NULL);
    free(all);
    return run;
}

static const msgpack_object *step(const msgpack_object *at, const char *name)
{
    if (at->type == MSGPACK_OBJECT_MAP)
        return ms_val_get(at, name);
    if (at->type == MSGPACK_OBJECT_ARRAY &&
        (size_t)atoi(name) < at->via.array.size)
        return &at->via.array.ptr[atoi(name)];
    return NULL;
}

const char *ms_ctl_at(const struct ms_ctl_run *run, const char *path)
{
    const msgpack_object *at = &run->json.root;
    char *text = ms_xstrdup(path), *rest = NULL;

    for (char *name = strtok_r(text, ".", &rest); name != NULL && at != NULL;
         name = strtok_r(NULL, ".", &rest))
        at = step(at, name);
    ms_buf_clear(&last_at);
    if (at == NULL)
        ms_buf_adds(&last_at, "absent");
    else
        ms_val_to_json(at, &last_at);
    free(text);
    return ms_buf_str(&last_at);
}
