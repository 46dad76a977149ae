#include "coordinator/presence.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fleet.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/ulid.h"
#include "coordinator/gate.h"

#define EVERY_MS     400
#define BYTES_A_MS   500    /* longer lists are read less often */
#define GONE_MS      1200   /* not seen for so long */
#define FORGET_MS    600000 /* and for so long: not even remembered */
#define NAME_PATTERN " name=" MS_POD_CLIENT_PREFIX

struct sighting {
    char pod[MS_ULID_LEN + 1];
    int64_t at_ms;
    bool gone;
};

struct ms_presence {
    struct ev_loop *loop;
    struct ms_redis *redis;
    struct ms_gate *gate;
    ms_presence_fn *fn;
    void *arg;
    ev_timer timer;
    struct sighting *sightings;
    size_t n;
    uint64_t reconnects; /* of our connection, when the first was made */
};

static struct sighting *find(const struct ms_presence *presence,
                             const char *pod, size_t len)
{
    for (size_t i = 0; i < presence->n; i++)
        if (strncmp(presence->sightings[i].pod, pod, len) == 0 &&
            presence->sightings[i].pod[len] == '\0')
            return &presence->sightings[i];
    return NULL;
}

static void saw(struct ms_presence *presence, const char *pod, int64_t now_ms)
{
    struct sighting *sighting;

    if (strnlen(pod, MS_ULID_LEN) < MS_ULID_LEN)
        return; /* the list ends here */
    sighting = find(presence, pod, MS_ULID_LEN);
    if (sighting == NULL) {
        presence->sightings =
            ms_xrealloc(presence->sightings,
                        (presence->n + 1) * sizeof(*presence->sightings));
        sighting = &presence->sightings[presence->n++];
        memcpy(sighting->pod, pod, MS_ULID_LEN);
        sighting->pod[MS_ULID_LEN] = '\0';
    }
    sighting->at_ms = now_ms;
    sighting->gone = false;
}

bool ms_presence_read(struct ms_presence *presence, const char *list,
                      int64_t now_ms)
{
    const size_t skip = sizeof(NAME_PATTERN) - 1;
    bool news = false;
    size_t kept = 0;

    for (const char *at = strstr(list, NAME_PATTERN); at != NULL;
         at = strstr(at + skip, NAME_PATTERN))
        saw(presence, at + skip, now_ms);
    for (size_t i = 0; i < presence->n; i++) {
        struct sighting sighting = presence->sightings[i];

        if (now_ms - sighting.at_ms >= GONE_MS && !sighting.gone)
            sighting.gone = news = true;
        if (now_ms - sighting.at_ms < FORGET_MS)
            presence->sightings[kept++] = sighting;
    }
    presence->n = kept;
    return news;
}

bool ms_presence_is_gone(const struct ms_presence *presence, const char *pod)
{
    const struct sighting *sighting = find(presence, pod, strlen(pod));

    return sighting != NULL && sighting->gone;
}

/* ---- asking ---- */

static void arm(struct ms_presence *presence, size_t list_len)
{
    size_t ms = list_len / BYTES_A_MS;

    ev_timer_set(&presence->timer,
                 (double)(ms > EVERY_MS ? ms : EVERY_MS) / 1000, 0);
    ev_timer_start(presence->loop, &presence->timer);
}

/* Nobody was seen yet. */
static void forget_all(struct ms_presence *presence)
{
    presence->n = 0;
    presence->reconnects = ms_redis_reconnects(presence->redis);
}

static void on_list(enum ms_err err, const struct ms_reply *reply, void *arg)
{
    struct ms_presence *presence = arg;

    if (err == MS_EAUTH || err == MS_ESCRIPT) {
        ms_log(MS_INFO, "presence", "client_list_refused", "err=%s",
               ms_err_name(err));
        return;
    }
    arm(presence, err == MS_OK ? reply->len : 0);
    if (err != MS_OK ||
        presence->reconnects != ms_redis_reconnects(presence->redis))
        forget_all(presence);
    else if (ms_presence_read(presence, ms_reply_str(reply, ""),
                              ms_clock_mono_ms()))
        presence->fn(presence->arg);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ms_presence *presence = timer->data;
    struct ms_cmd cmd = MS_CMD_INIT;

    ms_cmd_plain(&cmd, "CLIENT", "LIST", "TYPE", "normal", NULL);
    ms_gate_send(presence->gate, &cmd, on_list, presence);
}

struct ms_presence *ms_presence_new(struct ev_loop *loop,
                                    struct ms_redis *redis,
                                    const struct ms_term *term,
                                    ms_presence_fn *fn, void *arg)
{
    struct ms_presence *presence = ms_xcalloc(1, sizeof(*presence));

    presence->loop = loop;
    presence->redis = redis;
    presence->gate = ms_gate_new(loop, redis, term);
    presence->fn = fn;
    presence->arg = arg;
    ev_timer_init(&presence->timer, on_timer, 0, 0);
    presence->timer.data = presence;
    return presence;
}

void ms_presence_start(struct ms_presence *presence)
{
    forget_all(presence);
    arm(presence, 0);
}

void ms_presence_stop(struct ms_presence *presence)
{
    ev_timer_stop(presence->loop, &presence->timer);
    ms_gate_cancel(presence->gate);
    presence->n = 0;
}

void ms_presence_free(struct ms_presence *presence)
{
    if (presence == NULL)
        return;
    ms_presence_stop(presence);
    ms_gate_free(presence->gate);
    free(presence->sightings);
    free(presence);
}
