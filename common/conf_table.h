/*
 * conf_table: every option of conf/muster.yaml, in its order.
 */
#pragma once

#include "common/conf_field.h"

/* The whole file; offsets are into struct ms_conf. */
extern const struct ms_field ms_conf_table[];

/* One entry of `queues`; offsets are into struct ms_queue_conf. */
extern const struct ms_field ms_queue_table[];
extern const struct ms_field ms_limit_settings[]; /* of `limit set` */

/* One entry of `schedules`; offsets are into struct ms_schedule_conf. */
extern const struct ms_field ms_schedule_table[];

/* What `queues` is where the file does not say, as the file would. */
extern const char ms_conf_default_queues[];
