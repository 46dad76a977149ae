/*
 * pool: a warm child program in any language that does jobs, one at a time.
 *
 *     NONE --first job--> WARM --job--> BUSY --its answer--> WARM
 *       ^                  |             |
 *       '--- ended, spoke -'             +-- broken line, exit, time-out, stop
 *       '--------- killed and reaped ----'
 *
 * One child a slot and pool, which speaks JSON, a line at a time: it reads
 *
 *     {"id","queue","kind","payload","attempt","fence","cursor"}
 *
 * and writes any number of {"id","progress":0.4,"cursor":...} and at last one
 * {"id","status":"ok","result":...}, or "error" or "dead" with a "message", or
 * "throttled" with "retry_after_s".  Whatever it does otherwise fails that one
 * job, with a text that says what, and the child is replaced.  What is wrong
 * between jobs is nobody's fault that runs now: the child is replaced, the
 * next job begins on a new one.
 *
 * It runs in a process group of its own, has PATH, HOME, the locale and the
 * pool's own variables and nothing else of ours, and dies with its slot.
 */
#pragma once

#include "worker/slot_child.h"

/* The longest line that a child may write. */
#define MS_POOL_LINE_MAX (16u << 20)

/* Waits until the worker says something, and tends the children meanwhile. */
void ms_pools_wait(struct ms_slot_child *slot);

/* Between TERM and KILL. */
#define MS_POOL_KILL_MS 5000
