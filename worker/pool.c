#include "worker/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/child.h"
#include "worker/handlers.h"
#include "worker/launch.h"
#include "worker/pool_line.h"
#include "worker/text.h"

enum {
    LOOK_MS = 50,         /* for its end, where there are no pidfds */
    LAST_WORDS_MS = 1000, /* for one that closed its output to exit */
    READ_SIZE = 64 * 1024,
    LAST_READS = 16,
    KEEP_SIZE = 256 * 1024 /* buffers above are given back */
};

/* A child, warm or not (run.pid 0). */
struct ms_pool_child {
    struct ms_launched run;
    struct ms_buf read;  /* what it wrote and was not taken */
    size_t searched;     /* so much of it holds no line end */
    struct ms_tail tail; /* of what it wrote on standard error */
    struct ms_memory memory;
};

/* One job under way in it. */
struct call {
    struct ms_ctx *ctx;
    const struct ms_pool_conf *conf;
    struct ms_pool_child *child;
    struct ms_launch launch;
    struct ms_buf line; /* the job; sent up to `sent` */
    size_t sent;
    int64_t moved_ms, kill_ms; /* kill_ms 0: TERM was not sent */
    enum ms_stop stop;         /* why TERM was sent, or timed_out */
    bool timed_out;
    bool is_answered;
    enum ms_outcome outcome;
    char broken[sizeof(((struct ms_error *)NULL)->text)]; /* "": it is not */
};

/* The first reason stands: what follows is its consequence. */
static void break_off(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void break_off(struct call *call, const char *format, ...)
{
    va_list args;

    if (call->broken[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(call->broken, sizeof(call->broken), format, args);
    va_end(args);
}

/* ---- the child's life ---- */

static char **env_of(const struct ms_pool_conf *conf)
{
    char **env = ms_child_env_new(false);

    for (char **pair = conf->env; *pair != NULL; pair++) {
        const char *equals = strchr(*pair, '=');
        char *name = ms_xstrndup(*pair, (size_t)(equals - *pair));

        ms_child_env_set(&env, name, equals + 1);
        free(name);
    }
    return env;
}

static enum ms_err start_child(struct call *call, struct ms_error *error)
{
    char **env = env_of(call->conf);
    enum ms_err err = MS_OK;

    call->launch.env = env;
    if (call->conf->cwd != NULL) {
        call->launch.cwd_fd =
            open(call->conf->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (call->launch.cwd_fd < 0)
            err = ms_error_set(error, MS_EIO, "cannot enter '%s': %s",
                               call->conf->cwd, strerror(errno));
    }
    if (err == MS_OK)
        err = ms_launch(call->ctx->child, &call->launch, &call->child->run,
                        error);
    ms_launched_shut(&call->launch.cwd_fd);
    ms_child_env_free(env);
    call->launch.env = NULL;
    return err;
}

/* ---- what it writes ---- */

/* What it says on standard error goes on to where ours goes; its end is kept,
 * for the text of a failure.  False: nothing came. */
static bool take_stderr(struct ms_pool_child *child)
{
    char bytes[READ_SIZE];
    ssize_t n =
        child->run.err < 0 ? 0 : read(child->run.err, bytes, sizeof(bytes));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        ms_launched_shut(&child->run.err);
    if (n <= 0)
        return false;
    ms_tail_add(&child->tail, bytes, (size_t)n);
    return write(STDERR_FILENO, bytes, (size_t)n) > 0;
}

/* Kills it if it lives, and returns how it ended, as wait() says it. */
static int end_child(struct ms_slot_child *slot, struct ms_pool_child *child)
{
    int place = (int)(child - slot->pools);
    int status = ms_launched_reap(slot, place, &child->run);

    /* Its last words; somebody who left its group may go on for ever. */
    for (int i = 0; i < LAST_READS && take_stderr(child); i++)
        ;
    ms_launched_close(&child->run);
    ms_buf_done(&child->read);
    child->searched = 0;
    child->memory = (struct ms_memory){0};
    return status;
}

static void report(struct call *call, const struct ms_pool_word *word)
{
    struct ms_buf cursor = MS_BUF_INIT;
    struct ms_checkpoint checkpoint = {.seq = call->ctx->seq + 1,
                                       .progress = word->progress};

    if (word->cursor == NULL) {
        ms_ctx_progress(call->ctx, word->progress);
        return;
    }
    ms_val_to_msgpack(word->cursor, &cursor);
    checkpoint.cursor = (struct ms_bytes){cursor.data, cursor.len};
    ms_ctx_checkpoint(call->ctx, &checkpoint, 0);
    ms_buf_done(&cursor);
    call->moved_ms = ms_clock_mono_ms();
}

static void answer(struct call *call, const struct ms_pool_word *word)
{
    struct ms_buf result = MS_BUF_INIT;

    call->is_answered = true;
    call->outcome = word->outcome;
    if (word->outcome == MS_DONE && word->result != NULL) {
        ms_val_to_msgpack(word->result, &result);
        ms_ctx_set_result(call->ctx, result.data, result.len);
        ms_buf_done(&result);
    }
    if (word->outcome != MS_DONE)
        ms_ctx_set_error(call->ctx, "%s",
                         word->message[0] == '\0' ? "no message"
                                                  : word->message);
    if (word->outcome == MS_THROTTLED)
        ms_ctx_set_delay(call->ctx, word->delay_ms);
}

static void take_line(struct call *call, const char *text, size_t len)
{
    struct ms_pool_word word;
    struct ms_error error;

    if (ms_pool_line_read(text, len, call->ctx->job->id, &word, &error) !=
        MS_OK) {
        break_off(call, "%s", error.text);
        return;
    }
    if (word.is_last)
        answer(call, &word);
    else
        report(call, &word);
    ms_pool_word_done(&word);
}

/* Takes the whole lines of what was read. */
static void take_lines(struct call *call)
{
    struct ms_buf *in = &call->child->read;
    size_t at = 0, from = call->child->searched;
    const char *end;

    while (!call->is_answered && call->broken[0] == '\0' && from < in->len &&
           (end = memchr(in->data + from, '\n', in->len - from)) != NULL) {
        take_line(call, in->data + at, (size_t)(end - in->data) - at);
        at = from = (size_t)(end - in->data) + 1;
    }
    ms_buf_consume(in, at);
    call->child->searched = in->len;
    if (in->len > MS_POOL_LINE_MAX)
        break_off(call, "wrote a line of more than %u bytes", MS_POOL_LINE_MAX);
    else if (call->is_answered && in->len > 0)
        break_off(call, "wrote more after its answer");
}

/* False: nothing came. */
static bool take_stdout(struct call *call)
{
    struct ms_pool_child *child = call->child;
    char *room = ms_buf_reserve(&child->read, READ_SIZE);
    ssize_t n = read(child->run.out, room, READ_SIZE);

    if (n > 0) {
        child->read.len += (size_t)n;
        take_lines(call);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        ms_launched_shut(&child->run.out);
    }
    return n > 0;
}

/* ---- while a job runs ---- */

static void feed(struct call *call)
{
    struct ms_launched *run = &call->child->run;
    ssize_t n = write(run->in, call->line.data + call->sent,
                      call->line.len - call->sent);

    if (n > 0)
        call->sent += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        /* It may be about to exit: that says more. */
        ms_launched_shut(&run->in);
}

/* How it ended, where it has. */
static void explain_end(struct call *call, int status)
{
    const char *last = ms_tail_text(&call->child->tail);

    break_off(call, "%s %d before it answered%s%s",
              WIFEXITED(status) ? "exited with status" : "was killed by signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
              last[0] == '\0' ? "" : ": ", last);
}

/* It has closed a pipe: most likely it is exiting.  Waits a little for that. */
static bool is_leaving(const struct call *call)
{
    const struct ms_launched *run = &call->child->run;

    for (int i = 0; i < LAST_WORDS_MS / LOOK_MS; i++) {
        struct pollfd end = {run->pidfd, POLLIN, 0};

        if (ms_launched_has_ended(run))
            return true;
        poll(&end, 1, LOOK_MS);
    }
    return false;
}

/* Says when to look again at the latest. */
static int64_t check_limits(struct call *call)
{
    int64_t now_ms = ms_clock_mono_ms();
    int64_t deadline_ms = call->moved_ms + call->conf->timeout_ms;
    enum ms_stop stop = ms_ctx_stop_wanted(call->ctx);

    if (call->kill_ms != 0) {
        if (now_ms >= call->kill_ms)
            kill(-call->child->run.pid, SIGKILL);
        return now_ms >= call->kill_ms ? now_ms + LOOK_MS : call->kill_ms;
    }
    if (stop == MS_STOP_NONE && now_ms < deadline_ms)
        return deadline_ms;
    call->stop = stop;
    call->timed_out = stop == MS_STOP_NONE;
    call->kill_ms = now_ms + MS_POOL_KILL_MS;
    ms_launched_term(&call->child->run);
    return call->kill_ms;
}

static void wait_for_something(struct call *call, int64_t until_ms)
{
    struct ms_launched *run = &call->child->run;
    bool is_fed = call->sent == call->line.len;
    int64_t left = until_ms - ms_clock_mono_ms();
    struct pollfd fds[] = {{ms_ctx_fd(call->ctx), POLLIN, 0},
                           {run->out, POLLIN, 0},
                           {run->err, POLLIN, 0},
                           {is_fed ? -1 : run->in, POLLOUT, 0},
                           {run->pidfd, POLLIN, 0}};

    if (left > 60000)
        left = 60000;
    if (run->pidfd < 0 && left > LOOK_MS)
        left = LOOK_MS;
    if (poll(fds, MS_COUNT_OF(fds), left < 0 ? 0 : (int)left) <= 0)
        return;
    if (fds[2].revents != 0)
        take_stderr(call->child);
    if (fds[1].revents != 0)
        take_stdout(call);
    if (fds[3].revents != 0)
        feed(call);
}

/* Its answer, or until it cannot be followed any more. */
static void follow(struct call *call)
{
    struct ms_launched *run = &call->child->run;

    while (!call->is_answered && call->broken[0] == '\0') {
        bool has_ended = ms_launched_has_ended(run);

        /* What it wrote last counts, also when it has exited since. */
        while (has_ended && !call->is_answered && call->broken[0] == '\0' &&
               run->out >= 0 && take_stdout(call))
            ;
        if (has_ended || call->is_answered || call->broken[0] != '\0')
            break;
        if (run->out < 0 && call->kill_ms == 0 && !is_leaving(call))
            break_off(call, "closed its output");
        else if (run->in < 0 && call->sent < call->line.len &&
                 call->kill_ms == 0 && !is_leaving(call))
            break_off(call, "closed its input");
        else
            wait_for_something(call, check_limits(call));
    }
}

/* ---- before and after ---- */

/* Looks at a child that has no job: it may exit, and write to standard error;
 * anything else ends it.  False: there is none, or none any more. */
static bool tend(struct ms_slot_child *slot, struct ms_pool_child *child)
{
    char byte;

    if (child->run.pid == 0)
        return false;
    for (int i = 0; i < LAST_READS && take_stderr(child); i++)
        ;
    if (!ms_launched_has_ended(&child->run)) {
        if (read(child->run.out, &byte, 1) < 0 && errno == EAGAIN)
            return true;
        ms_log(MS_WARN, "pool", "spoke_between_jobs", "pid=%d program=%s",
               (int)child->run.pid,
               slot->conf->pools[child - slot->pools].argv[0]);
    }
    end_child(slot, child);
    return false;
}

void ms_pools_wait(struct ms_slot_child *slot)
{
    struct pollfd fds[1 + 3 * MS_POOLS_MAX];
    struct ms_pool_child *of[1 + 3 * MS_POOLS_MAX];

    for (;;) {
        nfds_t n = 1;

        fds[0] = (struct pollfd){slot->frames.fd, POLLIN, 0};
        for (size_t i = 0; slot->pools != NULL && i < slot->conf->n_pools; i++)
            for (int k = 0; k < 3 && slot->pools[i].run.pid != 0; k++) {
                const struct ms_launched *run = &slot->pools[i].run;
                const int watched[] = {run->out, run->err, run->pidfd};

                of[n] = &slot->pools[i];
                fds[n++] = (struct pollfd){watched[k], POLLIN, 0};
            }
        if (n == 1 || (poll(fds, n, -1) > 0 && fds[0].revents != 0))
            return;
        for (nfds_t i = 1; i < n; i++)
            if (fds[i].revents != 0)
                tend(slot, of[i]);
    }
}

static enum ms_err make_ready(struct call *call, struct ms_error *error)
{
    bool is_there = tend(call->ctx->child, call->child);

    call->child->tail.len = 0;
    return is_there ? MS_OK : start_child(call, error);
}

static enum ms_outcome judge(struct call *call)
{
    if (call->is_answered && call->outcome == MS_DONE)
        return MS_DONE; /* whoever was faster */
    if (call->timed_out) {
        ms_ctx_set_error(call->ctx, "timed out after %lld ms",
                         (long long)call->conf->timeout_ms);
        return MS_FAILED;
    }
    if (call->stop != MS_STOP_NONE) {
        ms_ctx_set_error(call->ctx, "stopped");
        return ms_stop_outcome(call->stop);
    }
    if (call->is_answered)
        return call->outcome;
    ms_ctx_set_error(call->ctx, "%s %s", call->conf->argv[0], call->broken);
    return MS_FAILED;
}

/* Replaces a child that is not to be trusted with another job. */
static void clean_up(struct call *call)
{
    char quoted[300];
    int status;

    if (call->is_answered && call->broken[0] == '\0' && call->kill_ms == 0)
        return;
    status = end_child(call->ctx->child, call->child);
    if (!call->is_answered && call->kill_ms == 0)
        explain_end(call, status);
    ms_log(MS_INFO, "pool", "replaced", "job=%s program=%s reason=%s",
           call->ctx->job->id, call->conf->argv[0],
           ms_log_quote(call->kill_ms != 0 ? "stopped" : call->broken, quoted,
                        sizeof(quoted)));
}

static void check_memory(struct call *call)
{
    struct ms_pool_child *child = call->child;

    if (child->run.pid == 0 ||
        !ms_memory_has_grown(&child->memory, child->run.pid,
                             call->ctx->child->conf->worker_slot_memory_bytes))
        return;
    ms_log(MS_INFO, "pool", "grown", "pid=%d program=%s", (int)child->run.pid,
           call->conf->argv[0]);
    end_child(call->ctx->child, child);
}

/* It ended between two jobs, before it saw this one: that is nobody's failure.
 * What lies unread in the pipe tells. */
static bool has_missed_the_job(const struct call *call)
{
    const struct ms_launched *run = &call->child->run;
    int unread = -1;

    if (call->is_answered || call->broken[0] != '\0' || call->kill_ms != 0)
        return false;
    return call->sent == 0 ||
           (run->in >= 0 && ioctl(run->in, FIONREAD, &unread) == 0 &&
            (size_t)unread == call->sent);
}

static void run_in_child(struct call *call)
{
    ms_ctx_set_program(call->ctx, call->child->run.pid);
    call->moved_ms = ms_clock_mono_ms();
    call->sent = 0;
    follow(call);
    ms_ctx_set_program(call->ctx, 0);
}

/* MS_EIO: there is no child to run it. */
static enum ms_err run_job(struct call *call, struct ms_error *error)
{
    enum ms_err err = make_ready(call, error);

    if (err != MS_OK)
        return err;
    run_in_child(call);
    if (has_missed_the_job(call)) {
        end_child(call->ctx->child, call->child);
        err = start_child(call, error);
        if (err != MS_OK)
            return err;
        run_in_child(call);
    }
    clean_up(call);
    check_memory(call);
    if (call->child->read.cap > KEEP_SIZE)
        ms_buf_done(&call->child->read);
    return MS_OK;
}

static struct ms_pool_child *child_of(struct ms_slot_child *slot, size_t pool)
{
    if (slot->pools == NULL) {
        slot->pools = ms_xcalloc(slot->conf->n_pools, sizeof(*slot->pools));
        for (size_t i = 0; i < slot->conf->n_pools; i++)
            slot->pools[i].run = (struct ms_launched)MS_LAUNCHED_NONE;
    }
    return &slot->pools[pool];
}

enum ms_outcome ms_handle_pool(struct ms_ctx *ctx)
{
    size_t pool = ms_ctx_route(ctx)->pool;
    const struct ms_pool_conf *conf = &ms_ctx_conf(ctx)->pools[pool];
    struct call call = {.ctx = ctx,
                        .conf = conf,
                        .child = child_of(ctx->child, pool),
                        .launch = {.argv = conf->argv,
                                   .cwd_fd = -1,
                                   .with_in = true,
                                   .with_err = true,
                                   .standing = (int)pool}};
    struct ms_error error;
    enum ms_err err;

    ms_pool_line_job(ctx->job, ms_ctx_payload(ctx), &call.line);
    err = run_job(&call, &error);
    ms_buf_done(&call.line);
    if (err == MS_OK)
        return judge(&call);
    ms_ctx_set_error(ctx, "%s", error.text);
    return MS_FAILED;
}
