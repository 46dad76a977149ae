#include "common/lease.h"

#include <string.h>

#include "common/keys.h"
#include "common/status.h"
#include "scripts.h"

static void start(struct ms_cmd *cmd, const struct ms_script *script,
                  const struct ms_tenant *who)
{
    ms_cmd_script(cmd, script);
    ms_keys_of_queue(cmd, who->fleet, who->queue);
    ms_cmd_keyf(cmd, "ms:{%s/%s}:held:%s", who->fleet, who->queue, who->pod);
}

/* "<offset> <reason>\n"; a reason is one line, whatever is in it. */
static void add_reject(struct ms_buf *text,
                       const struct ms_lease_reject *reject)
{
    size_t from;

    ms_buf_addf(text, "%lld ", (long long)reject->offset);
    from = text->len;
    ms_buf_adds(text, reject->reason);
    for (size_t i = from; i < text->len; i++)
        if (text->data[i] == '\n')
            text->data[i] = ' ';
    ms_buf_addc(text, '\n');
}

/* A move as lua/_move.lua reads it. */
static void add_move(struct ms_cmd *cmd, const struct ms_lease_move *move)
{
    struct ms_buf text = MS_BUF_INIT;

    if (move->seq == 0 && move->progress < 0) {
        ms_cmd_args(cmd, "0");
        return;
    }
    ms_cmd_args(cmd, "1");
    ms_cmd_argi(cmd, move->seq);
    ms_cmd_arg(cmd, move->cursor, move->cursor_len);
    if (move->progress < 0)
        ms_cmd_args(cmd, "");
    else
        ms_cmd_argf(cmd, "%.4f", move->progress);
    for (size_t i = 0; i < move->n_sums; i++)
        ms_buf_addf(&text, "%s=%lld ", move->sums[i].name,
                    (long long)move->sums[i].value);
    ms_cmd_arg(cmd, text.data, text.len);
    ms_buf_clear(&text);
    for (size_t i = 0; i < move->n_rejects; i++)
        add_reject(&text, &move->rejects[i]);
    ms_cmd_arg(cmd, text.data, text.len);
    ms_buf_done(&text);
}

/* ---- claim ---- */

void ms_claim_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                    const struct ms_claim_ask *ask)
{
    start(cmd, &ms_script_claim, who);
    ms_cmd_args(cmd, who->pod);
    ms_cmd_argi(cmd, ask->limit);
    ms_cmd_argi(cmd, ask->ttl_ms);
    ms_cmd_args(cmd, ask->kinds);
}

static bool parse_claim_status(const struct ms_reply *word,
                               enum ms_claim_status *out_status)
{
    static const char *const words[] = {
        [MS_CLAIM_OK] = "ok",
        [MS_CLAIM_PAUSED] = "paused",
        [MS_CLAIM_COOLING] = "cooling",
        [MS_CLAIM_FULL] = "full",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ms_reply_is(word, words[i])) {
            *out_status = (enum ms_claim_status)i;
            return true;
        }
    }
    return false;
}

static bool is_claimed_job(const struct ms_reply *job)
{
    const struct ms_reply *fields = ms_reply_at(job, 4);

    return job->type == MS_REPLY_ARRAY && job->n_items == 5 &&
           ms_reply_at(job, 0)->type == MS_REPLY_STR &&
           ms_reply_int(ms_reply_at(job, 1), 0) > 0 &&
           ms_reply_int(ms_reply_at(job, 2), 0) > 0 &&
           fields->type == MS_REPLY_ARRAY && fields->n_items % 2 == 0 &&
           ms_reply_field(fields, "kind")->type == MS_REPLY_STR;
}

static void tell_claimed(const struct ms_reply *job, ms_claimed_fn *fn,
                         void *arg)
{
    const struct ms_claimed claimed = {
        .id = ms_reply_str(ms_reply_at(job, 0), ""),
        .fence = ms_reply_int(ms_reply_at(job, 1), 0),
        .attempt = ms_reply_int(ms_reply_at(job, 2), 0),
        .timeout_ms = ms_reply_int(ms_reply_at(job, 3), 0),
        .fields = ms_reply_at(job, 4),
    };

    fn(&claimed, arg);
}

static enum ms_err check_claim(const struct ms_reply *reply,
                               struct ms_claim_answer *out_answer,
                               struct ms_error *error)
{
    const struct ms_reply *jobs = ms_reply_at(reply, 5);

    if (!parse_claim_status(ms_reply_at(reply, 0), &out_answer->status) ||
        ms_reply_int(ms_reply_at(reply, 1), 0) <= 0 ||
        jobs->type != MS_REPLY_ARRAY)
        return ms_error_set(error, MS_EPROTO,
                            "claim: an answer of unknown shape");
    for (size_t i = 0; i < jobs->n_items; i++)
        if (!is_claimed_job(&jobs->items[i]))
            return ms_error_set(error, MS_EPROTO,
                                "claim: job %zu has an unknown shape", i + 1);
    out_answer->now_ms = ms_reply_int(ms_reply_at(reply, 1), 0);
    out_answer->more = ms_reply_int(ms_reply_at(reply, 2), 0) != 0;
    out_answer->next_due_ms = ms_reply_int(ms_reply_at(reply, 3), 0);
    out_answer->max_workers = ms_reply_int(ms_reply_at(reply, 4), 0);
    out_answer->n_jobs = jobs->n_items;
    return MS_OK;
}

static void tell_all_claimed(const struct ms_reply *reply, ms_claimed_fn *fn,
                             void *arg)
{
    const struct ms_reply *jobs = ms_reply_at(reply, 5);

    for (size_t i = 0; i < jobs->n_items; i++)
        tell_claimed(&jobs->items[i], fn, arg);
}

enum ms_err ms_claim_parse(const struct ms_reply *reply,
                           struct ms_claim_answer *out_answer,
                           ms_claimed_fn *fn, void *arg, struct ms_error *error)
{
    struct ms_claim_answer answer;
    enum ms_err err = check_claim(reply, &answer, error);

    if (err != MS_OK)
        return err;
    tell_all_claimed(reply, fn, arg);
    *out_answer = answer;
    return MS_OK;
}

/* ---- renew ---- */

void ms_renew_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                    int64_t ttl_ms, bool complete,
                    const struct ms_renewal *jobs, size_t n_jobs)
{
    start(cmd, &ms_script_renew, who);
    for (size_t i = 0; i < n_jobs; i++)
        ms_keys_add_job(cmd, who->fleet, who->queue, jobs[i].id);
    ms_cmd_args(cmd, who->pod);
    ms_cmd_argi(cmd, ttl_ms);
    ms_cmd_argi(cmd, complete);
    for (size_t i = 0; i < n_jobs; i++) {
        ms_cmd_argi(cmd, jobs[i].fence);
        add_move(cmd, &jobs[i].move);
    }
}

/* A list of (index from 1, word) that names the exceptions, in order: all jobs
 * not named are well, so what is not such a list must not pass for one. */
static bool is_exceptions(const struct ms_reply *list, size_t n_jobs,
                          const char *word_a, const char *word_b)
{
    int64_t last = 0;

    if (list->type != MS_REPLY_ARRAY || list->n_items % 2 != 0)
        return false;
    for (size_t i = 0; i < list->n_items; i += 2) {
        int64_t index = ms_reply_int(&list->items[i], 0);
        const struct ms_reply *word = &list->items[i + 1];

        if (index <= last || index > (int64_t)n_jobs ||
            (!ms_reply_is(word, word_a) && !ms_reply_is(word, word_b)))
            return false;
        last = index;
    }
    return true;
}

/* Returns the word for job `i`, or NULL, and steps over it. */
static const struct ms_reply *exception(const struct ms_reply *list, size_t i,
                                        size_t *next)
{
    if (ms_reply_int(ms_reply_at(list, *next), 0) != (int64_t)i + 1)
        return NULL;
    *next += 2;
    return ms_reply_at(list, *next - 1);
}

/* Pairs of id and fence. */
static bool is_unmentioned(const struct ms_reply *list)
{
    if (list->type != MS_REPLY_ARRAY || list->n_items % 2 != 0)
        return false;
    for (size_t i = 0; i < list->n_items; i += 2)
        if (list->items[i].type != MS_REPLY_STR ||
            ms_reply_int(&list->items[i + 1], 0) <= 0)
            return false;
    return true;
}

enum ms_err ms_renew_parse(const struct ms_reply *reply, size_t n_jobs,
                           ms_renewed_fn *renewed,
                           ms_unmentioned_fn *unmentioned, void *arg,
                           struct ms_error *error)
{
    const struct ms_reply *told = ms_reply_at(reply, 1);
    const struct ms_reply *rest = ms_reply_at(reply, 2);
    enum ms_err err = ms_status_parse(reply, "renew", error);
    size_t next = 0;

    if (err != MS_OK)
        return err;
    if (!is_exceptions(told, n_jobs, "cancel", "lost") || !is_unmentioned(rest))
        return ms_error_set(error, MS_EPROTO,
                            "renew: an answer of unknown shape");
    for (size_t i = 0; i < n_jobs; i++) {
        const struct ms_reply *word = exception(told, i, &next);

        if (word == NULL)
            renewed(i, MS_RENEW_OK, arg);
        else
            renewed(i,
                    ms_reply_is(word, "cancel") ? MS_RENEW_CANCEL
                                                : MS_RENEW_LOST,
                    arg);
    }
    for (size_t i = 0; i + 1 < rest->n_items; i += 2)
        unmentioned(ms_reply_str(ms_reply_at(rest, i), ""),
                    ms_reply_int(ms_reply_at(rest, i + 1), 0), arg);
    return MS_OK;
}

/* ---- finish ---- */

static const char *finish_word(enum ms_finish_kind kind)
{
    static const char *const words[] = {
        [MS_FINISH_DONE] = "done",
        [MS_FINISH_FAILED] = "failed",
        [MS_FINISH_DEAD] = "dead",
        [MS_FINISH_CANCELLED] = "cancelled",
        [MS_FINISH_THROTTLED] = "throttled",
    };

    return words[kind];
}

void ms_finish_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                     const struct ms_finish *jobs, size_t n_jobs,
                     const struct ms_claim_ask *ask)
{
    start(cmd, &ms_script_finish, who);
    for (size_t i = 0; i < n_jobs; i++)
        ms_keys_add_job(cmd, who->fleet, who->queue, jobs[i].id);
    ms_cmd_args(cmd, who->pod);
    ms_cmd_argi(cmd, ask->limit);
    ms_cmd_argi(cmd, ask->ttl_ms);
    ms_cmd_args(cmd, ask->kinds);
    for (size_t i = 0; i < n_jobs; i++) {
        ms_cmd_argi(cmd, jobs[i].fence);
        ms_cmd_args(cmd, finish_word(jobs[i].kind));
        ms_cmd_arg(cmd, jobs[i].text, jobs[i].text_len);
        ms_cmd_argi(cmd, jobs[i].kind == MS_FINISH_FAILED ? jobs[i].max_attempts
                                                          : jobs[i].delay_ms);
        add_move(cmd, &jobs[i].move);
    }
}

static bool is_finished(const struct ms_reply *told, size_t n_jobs)
{
    return is_exceptions(told, n_jobs, "gone", "stale");
}

static void tell_finished(const struct ms_reply *told, size_t n_jobs,
                          ms_finished_fn *fn, void *arg)
{
    size_t next = 0;

    for (size_t i = 0; i < n_jobs; i++) {
        const struct ms_reply *word = exception(told, i, &next);

        if (word == NULL)
            fn(i, MS_FINISH_OK, arg);
        else
            fn(i, ms_reply_is(word, "gone") ? MS_FINISH_GONE : MS_FINISH_STALE,
               arg);
    }
}

enum ms_err ms_finish_parse(const struct ms_reply *reply, size_t n_jobs,
                            ms_finished_fn *finished,
                            struct ms_claim_answer *out_answer,
                            ms_claimed_fn *claimed, void *arg,
                            struct ms_error *error)
{
    const struct ms_reply *told = ms_reply_at(reply, 1);
    const struct ms_reply *claim = ms_reply_at(reply, 2);
    struct ms_claim_answer answer = {0};
    enum ms_err err = ms_status_parse(reply, "finish", error);

    if (err != MS_OK)
        return err;
    if (!is_finished(told, n_jobs) || claim->type != MS_REPLY_ARRAY)
        return ms_error_set(error, MS_EPROTO,
                            "finish: an answer of unknown shape");
    if (claim->n_items > 0)
        err = check_claim(claim, &answer, error);
    if (err != MS_OK)
        return err;
    tell_finished(told, n_jobs, finished, arg);
    tell_all_claimed(claim, claimed, arg);
    *out_answer = answer;
    return MS_OK;
}

/* ---- release ---- */

void ms_release_build(struct ms_cmd *cmd, const struct ms_tenant *who,
                      const struct ms_release *jobs, size_t n_jobs)
{
    start(cmd, &ms_script_release, who);
    for (size_t i = 0; i < n_jobs; i++)
        ms_keys_add_job(cmd, who->fleet, who->queue, jobs[i].id);
    ms_cmd_args(cmd, who->pod);
    for (size_t i = 0; i < n_jobs; i++) {
        ms_cmd_argi(cmd, jobs[i].fence);
        ms_cmd_argi(cmd, jobs[i].delay_ms);
        ms_cmd_args(cmd, jobs[i].why);
        add_move(cmd, &jobs[i].move);
    }
}

enum ms_err ms_release_parse(const struct ms_reply *reply, size_t n_jobs,
                             ms_finished_fn *released, void *arg,
                             struct ms_error *error)
{
    enum ms_err err = ms_status_parse(reply, "release", error);

    if (err != MS_OK)
        return err;
    if (!is_finished(ms_reply_at(reply, 1), n_jobs))
        return ms_error_set(error, MS_EPROTO,
                            "release: an answer of unknown shape");
    tell_finished(ms_reply_at(reply, 1), n_jobs, released, arg);
    return MS_OK;
}
