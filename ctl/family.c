#include "ctl/family.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/family.h"
#include "common/mem.h"
#include "common/name.h"
#include "ctl/kinds.h"
#include "ctl/spec.h"

#define CALL_BYTES (1024 * 1024)

enum { ON_COMPLETE, ON_SUCCESS, ON_FAILURE, N_CALLBACKS };

struct run {
    struct ms_ctl *ctl;
    FILE *file;
    off_t start; /* where the lines begin in it */
    char *text;  /* getline's */
    size_t cap;
    int64_t line;  /* that was read last */
    int64_t total; /* children in the file */
    struct ms_spec parent;
    struct ms_spec callbacks[N_CALLBACKS];
    struct ms_family family;
    struct ms_kinds kinds;
    struct ms_spec children[MS_FAMILY_MAX]; /* of the next call */
    size_t n_children, bytes;
    int64_t first; /* number of the first of them */
    bool made;     /* the batch is there, and open */
    struct ms_family_result *result;
};

static void children_clear(struct run *run)
{
    for (size_t i = 0; i < run->n_children; i++)
        ms_spec_done(&run->children[i]);
    run->n_children = run->bytes = 0;
}

static void run_free(struct run *run)
{
    children_clear(run);
    ms_spec_done(&run->parent);
    for (size_t i = 0; i < N_CALLBACKS; i++)
        ms_spec_done(&run->callbacks[i]);
    ms_kinds_done(&run->kinds);
    free(run->text);
    free(run);
}

/* ---- the order ---- */

static enum ms_err parent_read(struct run *run, struct ms_error *error)
{
    const struct ms_cli *line = run->ctl->line;
    const char *id = ms_cli_get(line, "id");
    enum ms_err err =
        ms_spec_begin(&run->parent, ms_cli_get(line, "parent"), "{}", 2, error);

    if (err == MS_OK && id != NULL)
        err = ms_spec_set(&run->parent, "id", id, error);
    if (err == MS_OK)
        err = ms_spec_finish(&run->parent, run->ctl->conf,
                             ms_cli_get(line, "queue"), error);
    if (err != MS_OK)
        return err;
    run->family = (struct ms_family){
        .fleet = run->ctl->conf->fleet,
        .queue = run->parent.queue,
        .id = run->parent.job.id,
        .own_id = run->parent.job.own_id,
        .kind = run->parent.kind,
        .payload = run->parent.payload.data,
        .payload_len = run->parent.payload.len,
    };
    run->result->id = ms_xstrdup(run->family.id);
    run->result->queue = ms_xstrdup(run->family.queue);
    return MS_OK;
}

/* "KIND" or "KIND=PAYLOAD". */
static enum ms_err callback_read(struct run *run, const char *option,
                                 struct ms_spec *spec,
                                 const struct ms_new_job **out_job,
                                 struct ms_error *error)
{
    const char *text = ms_cli_get(run->ctl->line, option);
    const char *payload = text != NULL ? strchr(text, '=') : NULL;
    struct ms_error why = {""};
    enum ms_err err;
    char *kind;

    if (text == NULL)
        return MS_OK;
    kind = ms_xstrndup(text, payload != NULL ? (size_t)(payload - text)
                                             : strlen(text));
    err = ms_spec_begin(spec, kind, payload != NULL ? payload + 1 : "{}",
                        payload != NULL ? strlen(payload + 1) : 2, &why);
    if (err == MS_OK)
        err = ms_spec_finish(spec, run->ctl->conf, run->family.queue, &why);
    free(kind);
    if (err != MS_OK)
        return ms_error_set(error, err, "--%s: %.400s", option, why.text);
    if (payload == NULL) { /* it is told how the batch ended */
        spec->job.payload = NULL;
        spec->job.payload_len = 0;
    }
    *out_job = &spec->job;
    return MS_OK;
}

static enum ms_err order_read(struct run *run, struct ms_error *error)
{
    const char *policy = ms_cli_get(run->ctl->line, "policy");
    struct ms_family *family = &run->family;
    enum ms_err err = parent_read(run, error);

    if (err == MS_OK)
        err = callback_read(run, "on-complete", &run->callbacks[ON_COMPLETE],
                            &family->on_complete, error);
    if (err == MS_OK)
        err = callback_read(run, "on-success", &run->callbacks[ON_SUCCESS],
                            &family->on_success, error);
    if (err == MS_OK)
        err = callback_read(run, "on-failure", &run->callbacks[ON_FAILURE],
                            &family->on_failure, error);
    if (err != MS_OK || policy == NULL)
        return err;
    family->fail_fast = strcmp(policy, "fail-fast") == 0;
    if (!family->fail_fast && strcmp(policy, "continue") != 0)
        return ms_error_set(error, MS_EINVAL,
                            "--policy is continue or fail-fast, not '%.60s'",
                            policy);
    return MS_OK;
}

/* ---- reading lines ---- */

static enum ms_err child_check(const struct run *run,
                               const struct ms_spec *spec,
                               struct ms_error *error)
{
    if (spec->own_id != NULL)
        return ms_error_set(error, MS_EINVAL,
                            "id: a child's follows from its batch's");
    if (spec->unique != NULL)
        return ms_error_set(error, MS_EINVAL,
                            "unique: a child of a batch has no unique key");
    if (strcmp(spec->queue, run->family.queue) != 0)
        return ms_error_set(error, MS_EINVAL,
                            "queue: the children of a batch are in its queue, "
                            "'%s'",
                            run->family.queue);
    if (strcmp(spec->kind, "dump.import") == 0)
        return ms_error_set(error, MS_EINVAL,
                            "kind: an import cannot be a child of a batch");
    return MS_OK;
}

static enum ms_err child_read(const struct run *run, size_t len,
                              struct ms_spec *out_spec, struct ms_error *error)
{
    struct ms_error why = {""};
    enum ms_err err = ms_spec_from_json(out_spec, run->text, len, &why);

    if (err == MS_OK)
        err = ms_spec_finish(out_spec, run->ctl->conf, run->family.queue, &why);
    if (err == MS_OK)
        err = child_check(run, out_spec, &why);
    if (err == MS_OK) {
        out_spec->job.id = NULL; /* the script names it */
        return MS_OK;
    }
    ms_spec_done(out_spec);
    return ms_error_set(error, MS_EINVAL, "line %" PRId64 ": %.400s", run->line,
                        why.text);
}

/* The next line that is not blank; *out_len 0 at the end. */
static enum ms_err line_next(struct run *run, size_t *out_len,
                             struct ms_error *error)
{
    ssize_t len;

    errno = 0;
    while ((len = getline(&run->text, &run->cap, run->file)) >= 0) {
        run->line++;
        while (len > 0 && isspace((unsigned char)run->text[len - 1]))
            len--;
        if (len > 0) {
            *out_len = (size_t)len;
            return MS_OK;
        }
    }
    *out_len = 0;
    return ferror(run->file)
               ? ms_error_set(error, MS_EIO, "cannot read the batch: %s",
                              strerror(errno))
               : MS_OK;
}

static enum ms_err check_all(struct run *run, struct ms_error *error)
{
    for (;;) {
        struct ms_spec spec = {0};
        size_t len;
        enum ms_err err = line_next(run, &len, error);

        if (err != MS_OK || len == 0)
            return err;
        err = child_read(run, len, &spec, error);
        if (err != MS_OK)
            return err;
        ms_spec_done(&spec);
        run->total++;
    }
}

/* What comes through a pipe is kept, so that it can be read twice. */
static enum ms_err spool(FILE *from, FILE **out_file, struct ms_error *error)
{
    FILE *file = tmpfile();
    char bytes[65536];
    size_t n;

    while (file != NULL && (n = fread(bytes, 1, sizeof(bytes), from)) > 0)
        if (fwrite(bytes, 1, n, file) != n)
            break;
    if (file == NULL || ferror(from) || ferror(file) || !feof(from) ||
        fflush(file) != 0) {
        if (file != NULL)
            fclose(file);
        return ms_error_set(error, MS_EIO, "cannot keep the batch's lines: %s",
                            strerror(errno));
    }
    *out_file = file;
    return MS_OK;
}

/* Back to the first line, and past the first `n` children. */
static enum ms_err seek_child(struct run *run, int64_t n,
                              struct ms_error *error)
{
    size_t len = 1;
    enum ms_err err = MS_OK;

    if (fseeko(run->file, run->start, SEEK_SET) != 0)
        return ms_error_set(error, MS_EIO, "cannot read the batch again: %s",
                            strerror(errno));
    run->line = 0;
    run->first = n;
    for (int64_t i = 0; i < n && err == MS_OK && len > 0; i++)
        err = line_next(run, &len, error);
    return err;
}

/* ---- sending ---- */

static enum ms_err call_send(struct run *run, bool seal,
                             struct ms_family_answer *out_answer,
                             struct ms_error *error)
{
    struct ms_new_job *jobs = ms_xcalloc(run->n_children + 1, sizeof(*jobs));
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    for (size_t i = 0; i < run->n_children; i++)
        jobs[i] = run->children[i].job;
    err = ms_family_build(&cmd, &run->family, run->first, jobs, run->n_children,
                          seal, run->ctl->conf->max_payload_bytes, error);
    free(jobs);
    if (err == MS_OK)
        err = ms_client_ask(run->ctl->client, &cmd, &reply, error);
    if (err == MS_OK)
        err = ms_family_parse(reply, out_answer, error);
    ms_cmd_done(&cmd);
    ms_reply_free(reply);
    return err;
}

/* Somebody (this command, called before) has come further. */
static enum ms_err go_on_at(struct run *run,
                            const struct ms_family_answer *answer,
                            bool *out_is_over, struct ms_error *error)
{
    children_clear(run);
    *out_is_over = answer->sealed && answer->planned == run->total;
    if (*out_is_over) {
        run->result->ended = strcmp(answer->state, "waiting") != 0;
        return MS_OK;
    }
    if (answer->sealed || answer->planned > run->total)
        return ms_error_set(error, MS_EEXIST,
                            "batch '%s' has %" PRId64
                            " children%s, the file has %" PRId64,
                            run->family.id, answer->planned,
                            answer->sealed ? " and is sealed" : "", run->total);
    return seek_child(run, answer->planned, error);
}

static void kinds_warn(struct run *run)
{
    for (size_t i = 0; i < run->n_children; i++)
        ms_kinds_warn(&run->kinds, run->ctl->client, run->family.queue,
                      run->children[i].kind);
    for (size_t i = 0; i < N_CALLBACKS; i++)
        if (run->callbacks[i].kind != NULL)
            ms_kinds_warn(&run->kinds, run->ctl->client, run->family.queue,
                          run->callbacks[i].kind);
}

/* Sends what was gathered; the file's last child seals. */
static enum ms_err gathered_send(struct run *run, bool at_end,
                                 bool *out_is_over, struct ms_error *error)
{
    int64_t next = run->first + (int64_t)run->n_children;
    struct ms_family_answer answer;
    enum ms_err err;

    if (at_end && next < run->total)
        return ms_error_set(error, MS_EIO,
                            "the file of the batch became shorter");
    err = call_send(run, next >= run->total, &answer, error);

    if (err != MS_OK)
        return err;
    run->made = !answer.sealed;
    if (answer.ahead)
        return go_on_at(run, &answer, out_is_over, error);
    kinds_warn(run);
    children_clear(run);
    run->result->enqueued += answer.added;
    run->first = next;
    *out_is_over = next >= run->total;
    run->result->ended = strcmp(answer.state, "waiting") != 0;
    return MS_OK;
}

static enum ms_err send_all(struct run *run, struct ms_error *error)
{
    bool is_over = false;
    enum ms_err err = seek_child(run, 0, error);

    while (err == MS_OK && !is_over) {
        size_t len;

        err = line_next(run, &len, error);
        if (err == MS_OK && len > 0) {
            err = child_read(run, len, &run->children[run->n_children], error);
            if (err != MS_OK)
                return err;
            run->bytes += run->children[run->n_children++].payload.len;
        }
        if (err == MS_OK && (len == 0 || run->n_children == MS_FAMILY_MAX ||
                             run->bytes >= CALL_BYTES))
            err = gathered_send(run, len == 0, &is_over, error);
    }
    return err;
}

static enum ms_err queue_register(struct run *run, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    enum ms_err err;

    ms_enqueue_register_build(&cmd, run->family.fleet, run->family.queue);
    err = ms_client_ask(run->ctl->client, &cmd, &reply, error);
    ms_reply_free(reply);
    return err;
}

enum ms_err ms_family_run(struct ms_ctl *ctl, FILE *file,
                          struct ms_family_result *out_result,
                          struct ms_error *error)
{
    struct run *run = ms_xcalloc(1, sizeof(*run));
    enum ms_err err;

    memset(out_result, 0, sizeof(*out_result));
    run->ctl = ctl;
    run->result = out_result;
    run->start = ftello(file);
    run->file = run->start >= 0 ? file : NULL;
    err = order_read(run, error);
    if (err == MS_OK && run->file == NULL) {
        run->start = 0;
        err = spool(file, &run->file, error);
    }
    if (err == MS_OK)
        err = seek_child(run, 0, error);
    if (err == MS_OK)
        err = check_all(run, error);
    if (err == MS_OK)
        err = queue_register(run, error);
    if (err == MS_OK)
        err = send_all(run, error);
    if (err == MS_OK)
        out_result->deduplicated = run->total - out_result->enqueued;
    else if (run->made)
        ms_ctl_warn("batch %s is open: to go on, run the same with --id %s; to "
                    "end it, musterctl job cancel %s",
                    run->family.id, run->family.id, run->family.id);
    if (run->file != NULL && run->file != file)
        fclose(run->file);
    run_free(run);
    return err;
}

void ms_family_result_done(struct ms_family_result *result)
{
    free(result->id);
    free(result->queue);
    *result = (struct ms_family_result){0};
}
