/*
 * handlers: the functions behind the built-in kinds, each in a file of its
 * own; docs/jobs.md says what their payloads are.
 */
#pragma once

#include "worker/handler.h"

/* noop.c */
ms_handler_fn ms_handle_noop_echo;  /* the result is the payload */
ms_handler_fn ms_handle_noop_sleep; /* {"ms": n} */

/* pool.c: kinds of the pools, by ms_ctx_route() */
ms_handler_fn ms_handle_pool;

/* plugin_call.c: kinds of plug-ins, likewise */
ms_handler_fn ms_handle_plugin;

/* exec.c */
ms_handler_fn ms_handle_cmd_exec;
