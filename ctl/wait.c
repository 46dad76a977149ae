#include "ctl/wait.h"

#include <string.h>

#include "common/clock.h"
#include "common/keys.h"
#include "ctl/dump.h"
#include "ctl/view.h"

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 500

enum ms_err ms_wait_timeout(const struct ms_ctl *ctl, int64_t fallback_ms,
                            int64_t *out_ms, struct ms_error *error)
{
    const char *text = ms_cli_get(ctl->line, "timeout");

    *out_ms = fallback_ms;
    if (text == NULL || strcmp(text, "none") != 0)
        return ms_cli_duration(ctl->line, "timeout", out_ms, error);
    *out_ms = -1;
    return MS_OK;
}

enum ms_err ms_wait_print_job(const struct ms_ctl *ctl,
                              const struct ms_job *job, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    enum ms_err err = ms_dump_job_to_json(ctl->client, job, &json, error);

    if (err == MS_OK)
        ms_ctl_print(ctl, &out, NULL);
    ms_buf_done(&out);
    return err;
}

/* Is the job done or dead?  Payloads may be large, so only two small fields
 * are read. */
static enum ms_err ended_ask(struct ms_client *client, const char *queue,
                             const char *id, bool *out_ended,
                             struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    char key[MS_KEY_MAX];
    const char *state;
    enum ms_err err;

    ms_cmd_plain(&cmd, "HMGET",
                 ms_key_queue(key, ms_client_fleet(client), queue, "job:%s",
                              id),
                 "state", "kind", NULL);
    err = ms_client_ask(client, &cmd, &reply, error);
    if (err != MS_OK)
        return err;
    state = ms_reply_str(ms_reply_at(reply, 0), "ready");
    *out_ended = strcmp(state, "done") == 0 || strcmp(state, "dead") == 0;
    if (ms_reply_at(reply, 1)->type == MS_REPLY_NIL)
        err = ms_error_set(error, MS_ENOENT,
                           "no job '%s' in queue '%s' (deleted, or done and "
                           "not kept)",
                           id, queue);
    ms_reply_free(reply);
    return err;
}

static enum ms_err wait_end(struct ms_ctl *ctl, const char *queue,
                            const char *id, struct ms_error *error)
{
    struct ms_job *job = NULL;
    enum ms_err err = ms_view_job(ctl->client, queue, id, &job, error);

    if (err != MS_OK)
        return err;
    err = ms_wait_print_job(ctl, job, error);
    ctl->exit_code = strcmp(job->state, "done") == 0   ? MS_EXIT_OK
                     : strcmp(job->state, "dead") == 0 ? MS_EXIT_DEAD
                                                       : MS_EXIT_TIMEOUT;
    ms_job_free(job);
    return err;
}

enum ms_err ms_wait_job(struct ms_ctl *ctl, const char *queue, const char *id,
                        int64_t timeout_ms, ms_wait_fn *round, void *arg,
                        struct ms_error *error)
{
    int64_t start = ms_clock_mono_ms();
    int64_t pause = PAUSE_MIN_MS;
    bool ended = false;

    for (;;) {
        int64_t left = timeout_ms - (ms_clock_mono_ms() - start);
        enum ms_err err = ended_ask(ctl->client, queue, id, &ended, error);
        bool last = ended || (timeout_ms >= 0 && left <= 0);

        if (err == MS_OK && round != NULL)
            err = round(arg, last, error);
        if (err != MS_OK)
            return err;
        if (last)
            return wait_end(ctl, queue, id, error);
        if (timeout_ms >= 0 && left < pause)
            pause = left;
        if (ms_client_sleep(ctl->client, pause)) {
            ctl->exit_code = MS_EXIT_SIGINT;
            return MS_OK;
        }
        pause = pause * 3 / 2 < PAUSE_MAX_MS ? pause * 3 / 2 + 1 : PAUSE_MAX_MS;
    }
}
