/*
 * lane: what a worker and one of its children agree on without a message.
 *
 * A page of memory shared by both.  Each job that is sent to the child has a
 * cell in it:
 *
 *     POSTED --child: begin--> BEGUN
 *        '----parent: revoke-> REVOKED
 *
 * Both steps are one compare-and-exchange, so a job either begins or is taken
 * back, never both; and when the child dies, what was BEGUN and not answered
 * is the one job to blame.  A cell carries its job's number, so that a frame
 * of a revoked job that still lies in the child's queue finds the cell in
 * other hands and is skipped.
 *
 * The page also names the process group of the program that the job runs, so
 * that it can be killed by whoever outlives the child; and those of standing
 * programs, which stay from job to job and must not outlive the child either.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* How many jobs may be under way in one lane. */
#define MS_LANE_CELLS 64

struct ms_lane_page;

struct ms_lane {
    struct ms_lane_page *page; /* NULL: not mapped */
    int fd;                    /* the parent's; -1 in the child */
};

/* A new page; its descriptor is close-on-exec.  Free with ms_lane_done(). */
enum ms_err ms_lane_new(struct ms_lane *out_lane, struct ms_error *error);
/* Maps a page that was handed down and takes (closes) its descriptor. */
enum ms_err ms_lane_map(int fd, struct ms_lane *out_lane,
                        struct ms_error *error);
void ms_lane_done(struct ms_lane *lane);

/* Parent: job `number` (from 1 upwards) is about to be sent. */
void ms_lane_post(struct ms_lane *lane, uint64_t number);
/* Parent: takes it back.  False: the child has begun it. */
bool ms_lane_revoke(struct ms_lane *lane, uint64_t number);
bool ms_lane_has_begun(const struct ms_lane *lane, uint64_t number);

/* Child: false when the job was taken back, and must not run. */
bool ms_lane_begin(struct ms_lane *lane, uint64_t number);

/* Child: the process group of the job's program; 0: none.  Cleared before the
 * group's leader is reaped, so that the number cannot be another's. */
void ms_lane_set_program(struct ms_lane *lane, pid_t group);
pid_t ms_lane_program(const struct ms_lane *lane);
/* Child: the group of a standing program, by its place; 0: none. */
#define MS_LANE_STANDING 64
void ms_lane_set_standing(struct ms_lane *lane, int place, pid_t group);

/* Kills every group that is named: when the child is dead. */
void ms_lane_kill_all(const struct ms_lane *lane);

/* Kills the job's group, if there is one. */
void ms_lane_kill_program(const struct ms_lane *lane, int signal);
