/* dev: an embedded fleet in the foreground */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/dev.h"

#define QUEUES_MAX  64
#define WORKERS_MAX 64

/* "a, b,a" -> {"a", "b"}, as MUSTER_QUEUES is read. */
static enum ms_err queues_read(const char *text, char **queues,
                               struct ms_error *error)
{
    size_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        size_t from = strspn(text, " ");
        size_t to = len;
        bool again = false;
        char *name;
        enum ms_err err;

        while (to > from && text[to - 1] == ' ')
            to--;
        name = to > from ? ms_xstrndup(text + from, to - from) : NULL;
        text += len + (text[len] == ',');
        if (name == NULL)
            continue;
        for (size_t i = 0; i < n; i++)
            again |= strcmp(queues[i], name) == 0;
        err = n < QUEUES_MAX ? ms_name_check("queue", name, error)
                             : ms_error_set(error, MS_EINVAL,
                                            "more than %d queues", QUEUES_MAX);
        if (err != MS_OK || again)
            free(name);
        else
            queues[n++] = name;
        if (err != MS_OK)
            return err;
    }
    return n > 0 ? MS_OK
                 : ms_error_set(error, MS_EINVAL, "--queues names no queue");
}

/* What the workers serve: --queues; else what the user's configuration
 * (or MUSTER_QUEUES) declares; else the two that everybody needs. */
static enum ms_err queues_choose(const struct ms_ctl *ctl, char **queues,
                                 struct ms_error *error)
{
    const char *text = ms_cli_get(ctl->line, "queues");

    if (text == NULL && ctl->conf->worker_queues != NULL &&
        ctl->conf->worker_queues[0] != NULL) {
        for (size_t i = 0;
             i < QUEUES_MAX && ctl->conf->worker_queues[i] != NULL; i++)
            queues[i] = ms_xstrdup(ctl->conf->worker_queues[i]);
        return MS_OK;
    }
    return queues_read(text != NULL ? text : "default,dump", queues, error);
}

static enum ms_err dev(struct ms_ctl *ctl, struct ms_error *error)
{
    char *queues[QUEUES_MAX + 1] = {NULL};
    const char *dir = ms_cli_get(ctl->line, "dir");
    struct ms_dev_options options = {.dir = dir != NULL ? dir : "./var",
                                     .n_workers = 1,
                                     .queues = queues};
    enum ms_err err = ms_cli_int(ctl->line, "workers", 0, WORKERS_MAX,
                                 &options.n_workers, error);

    if (err == MS_OK)
        err = ms_cli_int(ctl->line, "port", 1, 65535, &options.port, error);
    if (err == MS_OK)
        err = queues_choose(ctl, queues, error);
    if (err == MS_OK)
        err = ms_dev_run(ctl, &options, error);
    for (size_t i = 0; queues[i] != NULL; i++)
        free(queues[i]);
    return err;
}

static const struct ms_option dev_options[] = {
    {"workers", "N", "how many workers (default 1)"},
    {"queues", "A,B", "what they serve (default: default,dump)"},
    {"dir", "DIR", "data and logs (default ./var)"},
    {"port", "P", "Redis's port (default: a free one)"},
    {NULL, NULL, NULL},
};

const struct ms_command ms_commands_dev[] = {
    {"dev", NULL, "", 0, 0, "run a fleet here: Redis, coordinator, workers",
     dev_options, dev},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};
