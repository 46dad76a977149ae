/*
 * doctor: checks what muster needs of its Redis and its pods, one finding each,
 * and says what to do about it.
 */
#pragma once

#include <stdbool.h>

#include "common/json.h"
#include "ctl/client.h"

/* Appends {"check", "status", "detail", "advice"} for each check to an open
 * array; status is ok, warn or fail, advice null where all is well.
 * *out_healthy turns false where something fails. */
void ms_doctor_run(struct ms_client *client, struct ms_json *json,
                   bool *out_healthy);

/* "7.0.15" -> 7; 0 for what is no version.  *out_minor too. */
int ms_doctor_version(const char *text, int *out_minor);
