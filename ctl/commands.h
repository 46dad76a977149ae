/*
 * commands: every command's table, one a cmd_*.c file.  Each ends with an entry
 * whose noun is NULL.
 */
#pragma once

#include "ctl/command.h"

extern const struct ms_command ms_commands_dev[];
extern const struct ms_command ms_commands_status[]; /* and doctor */
extern const struct ms_command ms_commands_queue[];
extern const struct ms_command ms_commands_enqueue[];
extern const struct ms_command ms_commands_job[];
extern const struct ms_command ms_commands_bulk[]; /* job retry-all ... */
extern const struct ms_command ms_commands_dump[];
extern const struct ms_command ms_commands_dataset[];
extern const struct ms_command ms_commands_pod[];
extern const struct ms_command ms_commands_cron[];
extern const struct ms_command ms_commands_task[];
extern const struct ms_command ms_commands_limit[];
extern const struct ms_command ms_commands_functions[];
extern const struct ms_command ms_commands_events[];
extern const struct ms_command ms_commands_top[];
extern const struct ms_command ms_commands_metrics[];
