/* muster-coordinator: shares out the work and keeps the fleet tidy.  With
 * --plan it is a child that looks at one dump. */
#include <ev.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/options.h"
#include "coordinator/coordinator.h"
#include "coordinator/planner.h"

#define PROGRAM "muster-coordinator"

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    ms_log(MS_INFO, "coordinator", "signal", "signal=%s",
           strsignal(watcher->signum));
    ms_coordinator_stop(watcher->data);
}

static void watch_signal(struct ev_loop *loop, ev_signal *watcher, int number,
                         struct ms_coordinator *coordinator)
{
    ev_signal_init(watcher, on_signal, number);
    watcher->data = coordinator;
    ev_signal_start(loop, watcher);
}

static enum ms_exit run(const struct ms_conf *conf)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct ms_coordinator *coordinator = NULL;
    struct ms_error error;
    ev_signal term, interrupt;
    enum ms_err err = ms_coordinator_new(loop, conf, &coordinator, &error);

    if (err == MS_OK) {
        watch_signal(loop, &term, SIGTERM, coordinator);
        watch_signal(loop, &interrupt, SIGINT, coordinator);
        ms_coordinator_start(coordinator);
        ev_run(loop, 0);
        ev_signal_stop(loop, &term);
        ev_signal_stop(loop, &interrupt);
        err = ms_coordinator_outcome(coordinator, &error);
    }
    ms_coordinator_free(coordinator);
    ev_loop_destroy(loop);
    if (err == MS_OK)
        return MS_EXIT_OK;
    ms_complain(PROGRAM, "%s", error.text);
    return err == MS_EINVAL || err == MS_ENOTSUP ? MS_EXIT_MISUSED
                                                 : MS_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct ms_options options;
    struct ms_conf *conf = NULL;
    enum ms_exit code;

    if (argc == 2 && strcmp(argv[1], "--plan") == 0)
        return ms_planner_main();
    switch (ms_options_parse(PROGRAM, "", argc, argv, &options)) {
    case MS_OPTIONS_DONE:
        return MS_EXIT_OK;
    case MS_OPTIONS_MISUSED:
        return MS_EXIT_MISUSED;
    case MS_OPTIONS_RUN:
        break;
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that closes is an error, no end */
    code = ms_options_load(PROGRAM, &options, NULL, NULL, &conf);
    if (code == MS_EXIT_NONE)
        code = run(conf);
    ms_conf_free(conf);
    return code;
}
