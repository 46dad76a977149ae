/*
 * dump: what an import is and how far it has come, read from its records.
 */
#pragma once

#include "common/job.h"
#include "common/parent.h"
#include "ctl/client.h"

/* An import that has moved no byte for so long is stalled. */
#define MS_DUMP_STALLED_MS 60000

struct ms_dump_facts {
    const char *state;
    int64_t size;                 /* of the source; -1: not planned yet */
    int64_t started_ms, ended_ms; /* 0: not */
    int64_t now_ms;               /* Redis's clock */
    int64_t moved_ms; /* when a chunk's cursor moved last; 0: never */
    struct ms_tally tally;
};

/* The import's job (for ms_job_free()) and facts.  MS_EINVAL for a job that is
 * no import. */
enum ms_err ms_dump_read(struct ms_client *client, const char *queue,
                         const char *id, struct ms_job **out_job,
                         struct ms_dump_facts *out_facts,
                         struct ms_error *error);

/* Documents a second since the start; -1: nothing to tell yet. */
double ms_dump_rate(const struct ms_dump_facts *facts);

/* Milliseconds that the rest will take at the speed since the start, by bytes;
 * 0 when ended, -1: nothing to tell yet. */
int64_t ms_dump_eta_ms(const struct ms_dump_facts *facts);

/* Has no byte moved for MS_DUMP_STALLED_MS although there is work to do?  A
 * paused queue stalls its imports too. */
bool ms_dump_is_stalled(const struct ms_dump_facts *facts);

/* The JSON object of any job; of an import `chunks` is filled in from its
 * tally (the record alone does not know it). */
enum ms_err ms_dump_job_to_json(struct ms_client *client,
                                const struct ms_job *job, struct ms_json *json,
                                struct ms_error *error);

/* The JSON object of `dump show`: the job's fields and the import's. */
enum ms_err ms_dump_to_json(struct ms_client *client, const struct ms_job *job,
                            const struct ms_dump_facts *facts,
                            struct ms_json *json, struct ms_error *error);
