/*
 * task_functions: keeps the library of functions loaded (common/library.h).
 *
 *     IDLE --start--> ASKING (which is loaded?) --ours, or newer--> IDLE
 *                       '--none, or older--> LOADING -----------> IDLE
 *
 * It asks at the start of a term and every fifteen seconds, because a Redis
 * may lose its functions (FUNCTION FLUSH, a restart without its files).  A
 * Redis that forbids it, or knows no functions, is warned about once a term
 * and is no failure: muster's own programs need no functions.
 */
#pragma once

#include "coordinator/duty.h"

struct ms_functions;

/* Adds the task "functions" to the duty's registry.  Free after the
 * registry. */
struct ms_functions *ms_functions_new(const struct ms_duty *duty);
void ms_functions_free(struct ms_functions *functions); /* takes NULL */
