#include "tests/support/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/status.h"
#include "common/ulid.h"

#define FLEET "m"
#define QUEUE "q"

/* ---- fixtures ---- */

int ms_core_group_setup(void **state)
{
    struct ms_core *core = ms_xcalloc(1, sizeof(*core));

    core->redis = ms_test_redis_start(NULL);
    *state = core;
    return 0;
}

int ms_core_group_teardown(void **state)
{
    struct ms_core *core = *state;

    ms_test_redis_stop(core->redis);
    free(core);
    return 0;
}

int ms_core_setup(void **state)
{
    struct ms_core *core = *state;
    struct ms_test_redis *redis = core->redis;

    memset(core, 0, sizeof(*core));
    core->redis = redis;
    core->kinds = EVERYTHING;
    core->ttl_ms = TTL;
    core->epoch = 1;
    ms_test_cmd(redis, "CONFIG SET maxmemory 0");
    ms_test_cmd(redis, "FLUSHALL");
    ms_core_set(core, "max_workers", 1000);
    ms_test_cmd(redis, "DEL %s", K("wake")); /* of the raised cap */
    return 0;
}

int ms_core_teardown(void **state)
{
    ms_core_check(*state);
    return 0;
}

static char *read_invariants(void)
{
    FILE *file = fopen(MS_TEST_SOURCE_DIR "/tests/support/invariants.lua", "r");
    char *text = ms_xcalloc(1, 65536);

    ms_assert(file != NULL);
    ms_assert(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

bool ms_core_is_sound(struct ms_core *core)
{
    static char *text;
    const struct ms_reply *wrong;

    if (text == NULL)
        text = read_invariants();
    wrong = ms_test_cmd(core->redis, "EVAL %s 1 %s 1", text, K("cfg"));
    if (wrong->type != MS_REPLY_ARRAY)
        fail_msg("invariants.lua: %s", wrong->str);
    for (size_t i = 0; i < wrong->n_items; i++)
        print_error("broken: %s\n", wrong->items[i].str);
    return wrong->n_items == 0;
}

void ms_core_check(struct ms_core *core)
{
    CHECK(ms_core_is_sound(core));
}

static void broke(struct ms_core *core, const char *what, const char *why)
{
    if (!core->notes)
        fail_msg("%s: %s", what, why);
    if (core->broken[0] == '\0')
        snprintf(core->broken, sizeof(core->broken), "%s: %.250s", what, why);
}

/* An answer that is no error of Redis's. */
static const struct ms_reply *run(struct ms_core *core, struct ms_cmd *cmd)
{
    const struct ms_reply *reply = ms_test_run(core->redis, cmd);

    if (reply->type == MS_REPLY_ERROR)
        broke(core, "Redis", reply->str);
    return reply;
}

static void must(struct ms_core *core, enum ms_err err)
{
    if (err != MS_OK)
        broke(core, ms_err_name(err), core->error.text);
}

/* ---- producers ---- */

static void on_enqueued(size_t i, enum ms_enqueue_status status, const char *id,
                        void *arg)
{
    struct ms_core *core = arg;

    if (status == MS_ENQUEUED)
        core->n_changed++;
    else
        snprintf(core->dedup, sizeof(core->dedup), "%s", id);
}

int ms_core_enqueue_all(struct ms_core *core, const char *token,
                        const struct ms_new_job *jobs, size_t n)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    char fresh[MS_ULID_LEN + 1];
    enum ms_err err;

    ms_ulid_new(fresh);
    must(core,
         ms_enqueue_build(&cmd, FLEET, QUEUE, token == NULL ? fresh : token,
                          jobs, n, 1048576, &core->error));
    core->n_changed = 0;
    core->dedup[0] = '\0';
    err = ms_enqueue_parse(run(core, &cmd), n, on_enqueued, core, &core->error);
    if (err == MS_EFULL)
        return -1;
    must(core, err);
    return (int)core->n_changed;
}

void ms_core_enqueue_many(struct ms_core *core, const char *prefix,
                          const char *group, size_t n)
{
    struct ms_new_job jobs[MS_ENQUEUE_MAX];
    char ids[MS_ENQUEUE_MAX][64];

    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < MS_ENQUEUE_MAX ? n - done : MS_ENQUEUE_MAX;
        for (size_t i = 0; i < some; i++) {
            snprintf(ids[i], sizeof(ids[i]), "%s%zu", prefix, done + i);
            jobs[i] = NEW_JOB(.id = ids[i], .group = group);
        }
        CHECK_INT(ms_core_enqueue_all(core, NULL, jobs, some), ==, some);
    }
}

enum ms_err ms_core_family(struct ms_core *core, const struct ms_family *family,
                           int64_t first, const struct ms_new_job *children,
                           size_t n, bool seal)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    must(core, ms_family_build(&cmd, family, first, children, n, seal, 1048576,
                               &core->error));
    return ms_family_parse(run(core, &cmd), &core->family, &core->error);
}

void ms_core_batch(struct ms_core *core, size_t n, bool fail_fast)
{
    struct ms_family family = FAMILY(.fail_fast = fail_fast);
    struct ms_new_job jobs[MS_FAMILY_MAX];

    for (size_t i = 0; i < MS_FAMILY_MAX; i++)
        jobs[i] = NEW_JOB(.payload = "x", .payload_len = 1);
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < MS_FAMILY_MAX ? n - at : MS_FAMILY_MAX;
        must(core, ms_core_family(core, &family, (int64_t)at, jobs, some,
                                  at + some == n));
    }
}

/* ---- pods ---- */

static struct ms_tenant tenant(const char *pod)
{
    return (struct ms_tenant){FLEET, QUEUE, pod};
}

static void on_claimed(const struct ms_claimed *job, void *arg)
{
    struct ms_core *core = arg;
    struct ms_core_job *to = &core->jobs[core->n_changed++];

    snprintf(to->id, sizeof(to->id), "%s", job->id);
    to->fence = job->fence;
    to->attempt = job->attempt;
    to->timeout_ms = job->timeout_ms;
    to->n_fields = job->fields->n_items / 2;
}

int ms_core_claim(struct ms_core *core, const char *pod, int limit)
{
    struct ms_tenant who = tenant(pod);
    struct ms_claim_ask ask = {limit, core->ttl_ms, core->kinds};
    struct ms_cmd cmd = MS_CMD_INIT;

    core->n_changed = 0;
    ms_claim_build(&cmd, &who, &ask);
    must(core, ms_claim_parse(run(core, &cmd), &core->answer, on_claimed, core,
                              &core->error));
    CHECK_INT(core->answer.n_jobs, ==, core->n_changed);
    return (int)core->answer.n_jobs;
}

int64_t ms_core_claim_one(struct ms_core *core, const char *pod, const char *id)
{
    CHECK_INT(ms_core_claim(core, pod, 1), ==, 1);
    CHECK_STR(core->jobs[0].id, id);
    return core->jobs[0].fence;
}

struct finishing {
    struct ms_core *core;
    enum ms_finish_status *out;
};

static void on_finished(size_t i, enum ms_finish_status status, void *arg)
{
    ((struct finishing *)arg)->out[i] = status;
}

static void on_next_claimed(const struct ms_claimed *job, void *arg)
{
    on_claimed(job, ((struct finishing *)arg)->core);
}

int ms_core_finish_all(struct ms_core *core, const char *pod,
                       const struct ms_finish *jobs, size_t n, int limit,
                       enum ms_finish_status *out)
{
    struct finishing finishing = {core, out};
    struct ms_tenant who = tenant(pod);
    struct ms_claim_ask ask = {limit, core->ttl_ms, core->kinds};
    struct ms_cmd cmd = MS_CMD_INIT;

    core->n_changed = 0;
    ms_finish_build(&cmd, &who, jobs, n, &ask);
    /* claimed gets the same argument as finished */
    must(core, ms_finish_parse(run(core, &cmd), n, on_finished, &core->answer,
                               on_next_claimed, &finishing, &core->error));
    return (int)core->answer.n_jobs;
}

enum ms_finish_status ms_core_finish_with(struct ms_core *core, const char *pod,
                                          const struct ms_finish *finish)
{
    enum ms_finish_status status = MS_FINISH_OK;

    ms_core_finish_all(core, pod, finish, 1, 0, &status);
    return status;
}

enum ms_finish_status ms_core_finish(struct ms_core *core, const char *pod,
                                     const char *id, int64_t fence,
                                     enum ms_finish_kind kind)
{
    const char *text = kind == MS_FINISH_DONE ? "" : "it broke";
    struct ms_finish finish = {
        .id = id,
        .fence = fence,
        .kind = kind,
        .text = text,
        .text_len = strlen(text),
        .move = NO_MOVE,
    };

    return ms_core_finish_with(core, pod, &finish);
}

struct renewing {
    struct ms_core *core;
    enum ms_renew_status *out;
};

static void on_renewed(size_t i, enum ms_renew_status status, void *arg)
{
    ((struct renewing *)arg)->out[i] = status;
}

static void on_unmentioned(const char *id, int64_t fence, void *arg)
{
    struct ms_core *core = ((struct renewing *)arg)->core;
    struct ms_core_job *job = &core->unmentioned[core->n_unmentioned++];

    snprintf(job->id, sizeof(job->id), "%s", id);
    job->fence = fence;
}

static void renew(struct ms_core *core, const char *pod, bool complete,
                  const struct ms_renewal *jobs, size_t n,
                  enum ms_renew_status *out)
{
    struct renewing renewing = {core, out};
    struct ms_tenant who = tenant(pod);
    struct ms_cmd cmd = MS_CMD_INIT;

    core->n_unmentioned = 0;
    ms_renew_build(&cmd, &who, core->ttl_ms, complete, jobs, n);
    must(core, ms_renew_parse(run(core, &cmd), n, on_renewed, on_unmentioned,
                              &renewing, &core->error));
}

void ms_core_renew_all(struct ms_core *core, const char *pod,
                       const struct ms_renewal *jobs, size_t n,
                       enum ms_renew_status *out)
{
    renew(core, pod, true, jobs, n, out);
}

enum ms_renew_status ms_core_renew_move(struct ms_core *core, const char *pod,
                                        const char *id, int64_t fence,
                                        const struct ms_lease_move *move)
{
    struct ms_renewal job = {id, fence, *move};
    enum ms_renew_status status = MS_RENEW_OK;

    renew(core, pod, false, &job, 1, &status);
    return status;
}

enum ms_renew_status ms_core_renew(struct ms_core *core, const char *pod,
                                   const char *id, int64_t fence)
{
    return ms_core_renew_move(core, pod, id, fence, &NO_MOVE);
}

static void on_released(size_t i, enum ms_finish_status status, void *arg)
{
    *(enum ms_finish_status *)arg = status;
}

enum ms_finish_status ms_core_release_with(struct ms_core *core,
                                           const char *pod,
                                           const struct ms_release *release)
{
    enum ms_finish_status status = MS_FINISH_OK;
    struct ms_tenant who = tenant(pod);
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_release_build(&cmd, &who, release, 1);
    must(core, ms_release_parse(run(core, &cmd), 1, on_released, &status,
                                &core->error));
    return status;
}

enum ms_finish_status ms_core_release(struct ms_core *core, const char *pod,
                                      const char *id, int64_t fence,
                                      int64_t delay_ms)
{
    struct ms_release release = {id, fence, delay_ms, "", NO_MOVE};

    return ms_core_release_with(core, pod, &release);
}

void ms_core_end_lease(struct ms_core *core, const char *id, int64_t ms_ago)
{
    int64_t end = ms_core_now(core) - ms_ago;

    CHECK_INT(ms_test_num(core->redis, "ZADD %s XX CH %lld %s", K("leases"),
                          (long long)end, id),
              ==, 1);
}

/* ---- operators ---- */

enum ms_cancel_result ms_core_cancel(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    enum ms_cancel_result result = MS_CANCEL_UNKNOWN;
    char pod[MS_KEY_MAX];

    ms_cancel_build(&cmd, FLEET, QUEUE, id, "tester");
    must(core, ms_cancel_parse(run(core, &cmd), &result, pod, &core->error));
    snprintf(core->dedup, sizeof(core->dedup), "%.64s", pod);
    return result;
}

enum ms_err ms_core_retry(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_retry_build(&cmd, FLEET, QUEUE, id, NULL, 0);
    return ms_job_status_parse(run(core, &cmd), id, &core->error);
}

enum ms_err ms_core_run_now(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_run_now_build(&cmd, FLEET, QUEUE, id);
    return ms_job_status_parse(run(core, &cmd), id, &core->error);
}

enum ms_err ms_core_delete(struct ms_core *core, const char *id)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_delete_build(&cmd, FLEET, QUEUE, id);
    return ms_job_status_parse(run(core, &cmd), id, &core->error);
}

int64_t ms_core_bulk(struct ms_core *core, const char *verb, const char *state,
                     const char *kind)
{
    char cursor[64] = "";
    int64_t n = 0;
    int64_t some;

    do {
        struct ms_cmd cmd = MS_CMD_INIT;
        enum ms_err err;

        ms_bulk_build(&cmd, FLEET, QUEUE, verb, state, kind, cursor);
        err = ms_bulk_parse(run(core, &cmd), &some, cursor, &core->error);
        if (err == MS_ESTATE)
            return -1;
        must(core, err);
        n += some;
    } while (cursor[0] != '\0');
    return n;
}

void ms_core_set(struct ms_core *core, const char *field, int64_t value)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    const struct ms_reply *pairs;
    char text[32];
    const char *const pair[] = {field, text};

    snprintf(text, sizeof(text), "%lld", (long long)value);
    ms_configure_build(&cmd, FLEET, QUEUE, false, pair, 1);
    must(core, ms_configure_parse(run(core, &cmd), &pairs, &core->error));
    CHECK_INT(ms_reply_int(ms_reply_field(pairs, field), -1), ==, value);
}

void ms_core_pause(struct ms_core *core, bool paused)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_pause_build(&cmd, FLEET, QUEUE, paused);
    must(core, ms_status_parse(run(core, &cmd), "pause", &core->error));
}

struct ms_queue_info ms_core_info(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_queue_info info;

    ms_queue_info_build(&cmd, FLEET, QUEUE);
    must(core, ms_queue_info_parse(run(core, &cmd), &info, &core->error));
    return info;
}

/* ---- the leader ---- */

static enum ms_err tidy(struct ms_core *core, struct ms_cmd *cmd)
{
    return ms_tidy_parse(run(core, cmd), &core->tidy, &core->error);
}

enum ms_err ms_core_reap(struct ms_core *core, const char *gone_pod)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_reap_build(&cmd, FLEET, QUEUE, core->epoch, gone_pod);
    return tidy(core, &cmd);
}

enum ms_err ms_core_unpark(struct ms_core *core, const char *kinds)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_unpark_build(&cmd, FLEET, QUEUE, core->epoch, kinds);
    return tidy(core, &cmd);
}

enum ms_err ms_core_retain(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_retain_build(&cmd, FLEET, QUEUE, core->epoch);
    return tidy(core, &cmd);
}

enum ms_err ms_core_sweep(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_sweep_batches_build(&cmd, FLEET, QUEUE, core->epoch);
    return tidy(core, &cmd);
}

enum ms_err ms_core_stamp(struct ms_core *core)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_stamp_build(&cmd, FLEET, QUEUE, core->epoch);
    return tidy(core, &cmd);
}

enum ms_err ms_core_spawn(struct ms_core *core, const char *parent,
                          int64_t first, size_t n)
{
    struct ms_chunk_new chunks[MS_SPAWN_MAX];
    struct ms_spawn spawn = {
        .fleet = FLEET,
        .queue = QUEUE,
        .parent = parent,
        .epoch = core->epoch,
        .first = first,
        .kind = "chunk",
        .plan = "plan",
        .plan_len = 4,
        .chunks = chunks,
        .n_chunks = n,
    };
    struct ms_cmd cmd = MS_CMD_INIT;

    for (size_t i = 0; i < n; i++)
        chunks[i] = (struct ms_chunk_new){"piece", 5};
    ms_spawn_build(&cmd, &spawn);
    return ms_spawn_parse(run(core, &cmd), &core->n_changed, &core->error);
}

enum ms_err ms_core_phase(struct ms_core *core, const char *parent,
                          const char *phase, const char *why)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_phase_build(&cmd, FLEET, QUEUE, parent, core->epoch, phase, why);
    return ms_parent_status_parse(run(core, &cmd), &core->error);
}

enum ms_err ms_core_conclude(struct ms_core *core, const char *parent,
                             bool done, const char *text)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_conclude_build(&cmd, FLEET, QUEUE, parent, core->epoch, done, text,
                      strlen(text));
    return ms_parent_status_parse(run(core, &cmd), &core->error);
}

int64_t ms_core_children(struct ms_core *core, const char *parent, bool revive,
                         int64_t from, enum ms_err *out_err)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    int64_t next = -1;

    ms_children_build(&cmd, FLEET, QUEUE, parent, core->epoch, revive, from);
    *out_err = ms_children_parse(run(core, &cmd), &next, &core->n_changed,
                                 &core->error);
    return next;
}

struct ms_tally ms_core_tally(struct ms_core *core, const char *parent)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_tally tally;

    ms_tally_build(&cmd, FLEET, QUEUE, parent);
    must(core, ms_tally_parse(run(core, &cmd), &tally, &core->error));
    return tally;
}

/* ---- looking ---- */

const char *ms_core_field(struct ms_core *core, const char *id,
                          const char *field)
{
    const struct ms_reply *reply =
        ms_test_cmd(core->redis, "HGET " K("job:%s") " %s", id, field);

    return ms_reply_str(reply, "");
}

int64_t ms_core_number(struct ms_core *core, const char *id, const char *field)
{
    return ms_reply_int(ms_test_cmd(core->redis, "HGET " K("job:%s") " %s", id,
                                    field),
                        0);
}

const char *ms_core_state(struct ms_core *core, const char *id)
{
    const char *state;

    if (ms_test_num(core->redis, "EXISTS " K("job:%s"), id) == 0)
        return "gone";
    state = ms_core_field(core, id, "state");
    return state[0] == '\0' ? "ready" : state;
}

int64_t ms_core_stat(struct ms_core *core, const char *name)
{
    return ms_reply_int(ms_test_cmd(core->redis, "HGET " K("stats") " %s",
                                    name),
                        0);
}

int64_t ms_core_depth(struct ms_core *core, const char *kind)
{
    return ms_reply_int(ms_test_cmd(core->redis, "HGET " K("depth") " %s",
                                    kind),
                        0);
}

int64_t ms_core_now(struct ms_core *core)
{
    const struct ms_reply *reply = ms_test_cmd(core->redis, "TIME");

    return ms_reply_int(ms_reply_at(reply, 0), 0) * 1000 +
           ms_reply_int(ms_reply_at(reply, 1), 0) / 1000;
}
