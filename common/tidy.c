#include "common/tidy.h"

#include "common/keys.h"
#include "common/mem.h"
#include "common/status.h"
#include "scripts.h"

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const char *fleet, const char *queue)
{
    ms_cmd_script(cmd, script);
    ms_keys_of_queue(cmd, fleet, queue);
}

void ms_stamp_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                    int64_t epoch)
{
    start(cmd, &ms_script_stamp, fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

void ms_reap_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   int64_t epoch, const char *gone_pod)
{
    start(cmd, &ms_script_reap, fleet, queue);
    if (gone_pod != NULL)
        ms_cmd_keyf(cmd, "ms:{%s/%s}:held:%s", fleet, queue, gone_pod);
    ms_cmd_argi(cmd, epoch);
}

void ms_unpark_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch, const char *kinds)
{
    start(cmd, &ms_script_unpark, fleet, queue);
    ms_cmd_argi(cmd, epoch);
    ms_cmd_args(cmd, kinds);
}

void ms_sweep_batches_build(struct ms_cmd *cmd, const char *fleet,
                            const char *queue, int64_t epoch)
{
    start(cmd, &ms_script_sweep, fleet, queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:sweeps", fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

void ms_retain_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                     int64_t epoch)
{
    start(cmd, &ms_script_retain, fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

void ms_roll_build(struct ms_cmd *cmd, const char *fleet, const char *queue,
                   int64_t epoch)
{
    start(cmd, &ms_script_roll, fleet, queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:minutes", fleet, queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:rolled", fleet, queue);
    ms_cmd_argi(cmd, epoch);
}

enum ms_err ms_tidy_parse(const struct ms_reply *reply,
                          struct ms_tidy_answer *out_answer,
                          struct ms_error *error)
{
    struct ms_tidy_answer answer;
    int64_t more;
    int64_t *const numbers[] = {&more, &answer.n, &answer.n_dead,
                                &answer.next_due_ms};
    enum ms_err err = ms_status_parse_numbers(reply, "tidy", numbers,
                                              MS_COUNT_OF(numbers), error);

    if (err != MS_OK)
        return err;
    answer.more = more != 0;
    *out_answer = answer;
    return MS_OK;
}
