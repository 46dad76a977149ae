#include "coordinator/leader.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/ulid.h"

enum state { STOPPED, ASKING, STANDBY, LEADING, RESIGNING };

static const char *const state_names[] = {"stopped", "asking", "standby",
                                          "leading", "resigning"};

struct ms_leader {
    struct ev_loop *loop;
    struct ms_redis *redis;
    char *fleet, *host, *url;
    char id[MS_ULID_LEN + 1];
    int64_t ttl_ms;
    ms_leader_fn *on_change;
    void *arg;

    enum state state;
    struct ms_term term;
    struct ms_request *request; /* of a lead or a resign, under way */
    int64_t asked_ms;           /* when it was sent */
    bool failing;               /* the last one failed: it was told once */
    bool stands_by;             /* another leads: it was told once */
    ev_timer ask;               /* time to ask again */
    ev_timer trust;             /* the end of what we were promised */
    void (*resigned)(void *arg);
    void *resigned_arg;
};

bool ms_term_is_trusted(const struct ms_term *term)
{
    return term->leads && ms_clock_mono_ms() < term->trusted_until_ms;
}

static void leader_set_state(struct ms_leader *leader, enum state state)
{
    ms_assert(leader->state != RESIGNING || state == STOPPED);
    if (leader->state == state)
        return;
    ms_log(MS_DEBUG, "leader", "state", "from=%s to=%s",
           state_names[leader->state], state_names[state]);
    leader->state = state;
}

static void arm(struct ms_leader *leader, ev_timer *timer, int64_t in_ms)
{
    ev_timer_stop(leader->loop, timer);
    ev_now_update(leader->loop);
    ev_timer_set(timer, in_ms > 0 ? (double)in_ms / 1000 : 0, 0);
    ev_timer_start(leader->loop, timer);
}

/* Standbys that saw the same lease must not all ask in the same instant. */
static int64_t jitter(int64_t ms)
{
    return ms <= 0 ? 0 : (int64_t)(drand48() * (double)ms);
}

static void term_end(struct ms_leader *leader, const char *why)
{
    if (!leader->term.leads)
        return;
    leader->term.leads = false;
    ev_timer_stop(leader->loop, &leader->trust);
    ms_log(leader->state == RESIGNING ? MS_INFO : MS_WARN, "leader",
           "term_ended", "epoch=%lld why=%s", (long long)leader->term.epoch,
           why);
    leader->on_change(false, leader->term.epoch, leader->arg);
}

static void term_begin(struct ms_leader *leader, int64_t epoch)
{
    leader->term.leads = true;
    leader->term.epoch = epoch;
    leader->stands_by = false;
    ms_log(MS_INFO, "leader", "term_began", "epoch=%lld id=%s",
           (long long)epoch, leader->id);
    leader->on_change(true, epoch, leader->arg);
}

/* The margin covers the difference between how fast two clocks run, and the
 * way from a check of the trust to the wire. */
static int64_t trust_ends(const struct ms_leader *leader)
{
    return leader->asked_ms + leader->ttl_ms - leader->ttl_ms / 10;
}

static void on_ours(struct ms_leader *leader, int64_t epoch)
{
    int64_t until = trust_ends(leader), now = ms_clock_mono_ms();

    if (leader->term.leads && leader->term.epoch != epoch)
        term_end(leader, "epoch_moved"); /* it was lost in between */
    if (leader->state == RESIGNING)
        return; /* the observer had enough */
    if (now >= until) {
        leader_set_state(leader, STANDBY); /* the answer came too late */
        arm(leader, &leader->ask, 0);
        return;
    }
    leader->term.trusted_until_ms = until;
    leader_set_state(leader, LEADING);
    arm(leader, &leader->trust, until - now);
    arm(leader, &leader->ask, leader->asked_ms + leader->ttl_ms / 3 - now);
    if (!leader->term.leads)
        term_begin(leader, epoch);
}

static void on_not_ours(struct ms_leader *leader, int64_t left_ms)
{
    int64_t poll_ms = leader->ttl_ms / 6 < 1000 ? leader->ttl_ms / 6 : 1000;

    if (left_ms < 0)
        left_ms = 0;
    if (!leader->stands_by)
        ms_log(MS_INFO, "leader", "stands_by", "id=%s", leader->id);
    leader->stands_by = true;
    leader_set_state(leader, STANDBY);
    arm(leader, &leader->ask,
        left_ms < poll_ms ? left_ms + jitter(poll_ms / 4)
                          : poll_ms - jitter(poll_ms / 4));
    term_end(leader, "another_leads");
}

/* A failed renewal does not end the term: the lease is ours until the trust
 * runs out. */
static void on_ask_failed(struct ms_leader *leader, enum ms_err err)
{
    int64_t retry_ms = leader->ttl_ms / 20 < 250 ? leader->ttl_ms / 20 : 250;

    retry_ms += jitter(retry_ms);
    ms_log(leader->term.leads && !leader->failing ? MS_WARN : MS_DEBUG,
           "leader", "renew_failed", "err=%s retry_ms=%lld", ms_err_name(err),
           (long long)retry_ms);
    leader->failing = true;
    leader_set_state(leader, leader->term.leads ? LEADING : STANDBY);
    arm(leader, &leader->ask, retry_ms);
}

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg);

static void lead_ask(struct ms_leader *leader)
{
    struct ms_lead lead = {.fleet = leader->fleet,
                           .id = leader->id,
                           .host = leader->host,
                           .url = leader->url,
                           .pid = getpid(),
                           .ttl_ms = leader->ttl_ms};
    struct ms_cmd cmd = MS_CMD_INIT;

    if (!leader->term.leads)
        leader_set_state(leader, ASKING);
    ms_lead_build(&cmd, &lead);
    leader->asked_ms = ms_clock_mono_ms();
    leader->request =
        ms_redis_send(leader->redis, &cmd, (int)(leader->ttl_ms / 3), on_answer,
                      leader);
}

static void on_answer(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_leader *leader = arg;
    struct ms_lead_answer answer;

    leader->request = NULL;
    if (err == MS_OK)
        err = ms_lead_parse(reply, &answer, NULL);
    if (err != MS_OK) {
        on_ask_failed(leader, err);
        return;
    }
    leader->failing = false;
    if (answer.leads)
        on_ours(leader, answer.epoch);
    else
        on_not_ours(leader, answer.left_ms);
}

static void on_ask_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_leader *leader = timer->data;

    if (leader->request == NULL)
        lead_ask(leader);
}

static void on_trust_ended(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_leader *leader = timer->data;

    leader_set_state(leader, STANDBY);
    if (leader->request == NULL)
        arm(leader, &leader->ask, 0);
    term_end(leader, "trust_ran_out");
}

struct ms_leader *ms_leader_new(struct ev_loop *loop, struct ms_redis *redis,
                                const struct ms_leader_options *options)
{
    struct ms_leader *leader = ms_xcalloc(1, sizeof(*leader));

    leader->loop = loop;
    leader->redis = redis;
    leader->fleet = ms_xstrdup(options->fleet);
    leader->host = ms_xstrdup(options->host);
    leader->url = ms_xstrdup(options->url);
    leader->ttl_ms = options->ttl_ms;
    leader->on_change = options->on_change;
    leader->arg = options->arg;
    ms_ulid_new(leader->id);
    srand48((long)(ms_clock_mono_us() ^ getpid()));
    ev_timer_init(&leader->ask, on_ask_timer, 0, 0);
    ev_timer_init(&leader->trust, on_trust_ended, 0, 0);
    leader->ask.data = leader->trust.data = leader;
    return leader;
}

static void leader_quiet(struct ms_leader *leader)
{
    ev_timer_stop(leader->loop, &leader->ask);
    ev_timer_stop(leader->loop, &leader->trust);
    if (leader->request != NULL)
        ms_redis_cancel(leader->request);
    leader->request = NULL;
}

void ms_leader_free(struct ms_leader *leader)
{
    if (leader == NULL)
        return;
    leader_quiet(leader);
    free(leader->fleet);
    free(leader->host);
    free(leader->url);
    free(leader);
}

void ms_leader_start(struct ms_leader *leader)
{
    ms_assert(leader->state == STOPPED);
    leader_set_state(leader, STANDBY);
    arm(leader, &leader->ask, 0);
}

static void on_resigned(enum ms_err err, const struct ms_reply *reply,
                        void *arg)
{
    struct ms_leader *leader = arg;

    leader->request = NULL;
    leader_set_state(leader, STOPPED);
    leader->resigned(leader->resigned_arg);
}

/* Sent whether or not we know of a lease: an answer that says so may be under
 * way, and requests keep their order. */
void ms_leader_resign(struct ms_leader *leader, void (*done)(void *arg),
                      void *arg)
{
    struct ms_cmd cmd = MS_CMD_INIT;

    leader_quiet(leader);
    leader_set_state(leader, RESIGNING);
    leader->resigned = done;
    leader->resigned_arg = arg;
    term_end(leader, "resigned");
    ms_resign_build(&cmd, leader->fleet, leader->id);
    leader->request =
        ms_redis_send(leader->redis, &cmd, (int)(leader->ttl_ms / 3),
                      on_resigned, leader);
}

const struct ms_term *ms_leader_term(const struct ms_leader *leader)
{
    return &leader->term;
}

const char *ms_leader_id(const struct ms_leader *leader)
{
    return leader->id;
}
