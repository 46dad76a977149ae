/*
 * plugin: handlers in C, from the shared objects of worker.handlers_dir.
 *
 * What a plug-in does while it is loaded may crash or hang, so the worker never
 * loads one: at its start a child does (the probe), and says what kinds there
 * are.  The slots load them for good.  A plug-in that cannot be used keeps the
 * worker from starting: were it left out in silence, its jobs would wait for a
 * handler that everybody believes is there.
 *
 * include/muster/handler.h is the other side.
 */
#pragma once

#include "common/err.h"
#include "worker/routes.h"

/* Loads every *.so of the folder, in the order of their names, and adds its
 * kinds.  They stay loaded.  MS_EIO, MS_EINVAL name the file. */
enum ms_err ms_plugins_load(const char *dir, struct ms_routes *routes,
                            struct ms_error *error);

/* The same, in a child: the routes know the kinds and cannot run them.  Waits
 * ten seconds at most; for the start of a program, outside of its loop. */
enum ms_err ms_plugins_probe(const char *dir, struct ms_routes *routes,
                             struct ms_error *error);
