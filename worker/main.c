/* muster-worker: runs jobs.  With --slot it is a child that runs one. */
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/options.h"
#include "worker/slot_child.h"
#include "worker/worker.h"

#define PROGRAM "muster-worker"

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    ms_log(MS_INFO, "worker", "signal", "signal=%s",
           strsignal(watcher->signum));
    ms_worker_stop(watcher->data);
}

static int run(struct ms_conf *conf, const char *conf_path)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct ms_worker *worker = NULL;
    struct ms_error error;
    ev_signal term, interrupt;
    enum ms_err err = ms_worker_new(loop, conf, conf_path, &worker, &error);

    signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error, no end */
    if (err == MS_OK) {
        ev_signal_init(&term, on_signal, SIGTERM);
        ev_signal_init(&interrupt, on_signal, SIGINT);
        term.data = interrupt.data = worker;
        ev_signal_start(loop, &term);
        ev_signal_start(loop, &interrupt);
        ms_worker_start(worker);
        ev_run(loop, 0);
        ev_signal_stop(loop, &term);
        ev_signal_stop(loop, &interrupt);
        err = ms_worker_outcome(worker, &error);
    }
    ms_worker_free(worker);
    ev_loop_destroy(loop);
    if (err != MS_OK)
        ms_complain(PROGRAM, "%s", error.text);
    if (err == MS_OK)
        return MS_EXIT_OK;
    return err == MS_EINVAL || err == MS_ENOTSUP ? MS_EXIT_MISUSED
                                                 : MS_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct ms_options options;
    struct ms_conf *conf = NULL;
    int code;

    if (argc > 1 && strcmp(argv[1], "--slot") == 0)
        return ms_slot_main(argc, argv);
    switch (ms_options_parse(PROGRAM, "", argc, argv, &options)) {
    case MS_OPTIONS_DONE:
        return MS_EXIT_OK;
    case MS_OPTIONS_MISUSED:
        return MS_EXIT_MISUSED;
    case MS_OPTIONS_RUN:
        break;
    }
    code = ms_options_load(PROGRAM, &options, ms_conf_check_worker,
                           ms_worker_check_handlers, &conf);
    if (code == MS_EXIT_NONE)
        code =
            run(conf, options.flags.config != NULL ? options.flags.config
                                                   : getenv("MUSTER_CONFIG"));
    ms_conf_free(conf);
    return code;
}
