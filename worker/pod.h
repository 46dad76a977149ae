/*
 * pod: who this worker is, and its heartbeat.
 *
 * A pod is one boot of one worker; its id is a fresh ULID, never a host name.
 * Each beat tells Redis what the pod does and brings back its share of every
 * queue.  Beats go out every `heartbeat`, when the share may have changed
 * ("slots" in the inbox), when it starts to drain, and after a reconnect.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "common/conf.h"
#include "common/redis.h"
#include "common/ulid.h"
#include "worker/slots.h"

struct ms_pod;

struct ms_pod_options {
    const struct ms_conf *conf; /* borrowed */
    struct ms_redis *redis;     /* borrowed */
    const char *id;             /* borrowed, a ULID */
    /* The share of queue number `queue`; see ms_share_fn. */
    void (*share)(size_t queue, int64_t assigned, int64_t pods, void *arg);
    void *arg;
};

struct ms_pod *ms_pod_new(struct ev_loop *loop,
                          const struct ms_pod_options *options);
void ms_pod_free(struct ms_pod *pod); /* takes NULL */

/* What the beat tells besides; both borrowed, set before the first beat. */
void ms_pod_set_slots(struct ms_pod *pod, const struct ms_slots *slots);
void ms_pod_set_http(struct ms_pod *pod, const char *address);
void ms_pod_set_draining(struct ms_pod *pod);

/* Begins to beat; and beats now, once more if a beat is under way. */
void ms_pod_start(struct ms_pod *pod);
void ms_pod_beat(struct ms_pod *pod);

/* Takes the pod's records away, at the end; calls back when that is done or
 * has failed. */
void ms_pod_leave(struct ms_pod *pod, void (*done)(void *arg), void *arg);

const char *ms_pod_label(const struct ms_pod *pod);
