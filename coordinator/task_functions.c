#include "coordinator/task_functions.h"

#include <stdlib.h>

#include "common/library.h"
#include "common/log.h"
#include "common/mem.h"
#include "coordinator/gate.h"

struct ms_functions {
    struct ms_duty duty;
    struct ms_gate *gate;
    struct ms_task *task;
    int64_t begun_epoch;  /* the term whose first look is done */
    int64_t warned_epoch; /* the term in which a refusal was told */
};

static void functions_stop(void *arg)
{
    struct ms_functions *functions = arg;

    ms_gate_cancel(functions->gate);
}

/* Nothing of it will pass by itself, and nothing else needs functions. */
static bool is_forbidden(enum ms_err err)
{
    return err == MS_EAUTH || err == MS_ENOTSUP || err == MS_EPROTO;
}

static void functions_end(struct ms_functions *functions, enum ms_err err,
                          const char *why)
{
    int64_t epoch = functions->duty.term->epoch;
    char text[256];

    if (!is_forbidden(err)) {
        ms_task_finish(functions->task, err, why);
        return;
    }
    if (functions->warned_epoch != epoch)
        ms_log(MS_WARN, "functions", "not_loaded", "err=%s why=%s",
               ms_err_name(err), ms_log_quote(why, text, sizeof(text)));
    functions->warned_epoch = epoch;
    ms_task_finish(functions->task, MS_OK, NULL);
}

static void on_loaded(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_functions *functions = arg;

    if (err == MS_OK)
        ms_log(MS_INFO, "functions", "loaded",
               "version=%lld actor=system:functions",
               (long long)ms_library.version);
    functions_end(functions, err,
                  reply->type == MS_REPLY_ERROR ? ms_reply_error(reply)
                                                : "no answer");
}

static void on_version(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_functions *functions = arg;
    int64_t epoch = functions->duty.term->epoch;
    struct ms_library_found found;
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_error error = {""};
    bool at_start = functions->begun_epoch != epoch;

    err = ms_library_version_parse(err, reply, &found, &error);
    if (err == MS_OK)
        functions->begun_epoch = epoch;
    if (err != MS_OK || !ms_library_is_wanted(&found, at_start)) {
        functions_end(functions, err, error.text);
        return;
    }
    ms_library_load_build(&cmd);
    ms_gate_send(functions->gate, &cmd, on_loaded, functions);
}

static void functions_start(struct ms_task *task, void *arg)
{
    struct ms_functions *functions = arg;
    struct ms_cmd cmd = MS_CMD_INIT;

    functions->task = task;
    ms_library_version_build(&cmd);
    ms_gate_send(functions->gate, &cmd, on_version, functions);
}

struct ms_functions *ms_functions_new(const struct ms_duty *duty)
{
    struct ms_functions *functions = ms_xcalloc(1, sizeof(*functions));
    struct ms_task_def def = {.name = "functions",
                              .interval_ms = 15000,
                              .deadline_ms = 10000,
                              .start = functions_start,
                              .stop = functions_stop,
                              .arg = functions};

    functions->duty = *duty;
    functions->gate = ms_gate_new(duty->loop, duty->redis, duty->term);
    ms_tasks_add(duty->tasks, &def);
    return functions;
}

void ms_functions_free(struct ms_functions *functions)
{
    if (functions == NULL)
        return;
    ms_gate_free(functions->gate);
    free(functions);
}
