/* Handlers for tests: what a kind does is its name, much of it wrong. */
#include <muster/handler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- as it should be ---- */

static int echo(struct muster_ctx *ctx)
{
    muster_result_json(ctx, muster_payload_json(ctx));
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.echo", echo, 0)

/* All that a job is, in the order of the header. */
static int job(struct muster_ctx *ctx)
{
    char text[1000];

    snprintf(text, sizeof(text), "[\"%s\",\"%s\",\"%s\",%d,%d,%d,%s]", ctx->id,
             ctx->queue, ctx->kind, (int)ctx->attempt, (int)ctx->fence,
             (int)ctx->payload_len,
             ctx->cursor == NULL ? "null" : muster_cursor_json(ctx));
    muster_result_json(ctx, text);
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.job", job, 0)

/* From the cursor to 10. */
static int steps(struct muster_ctx *ctx)
{
    const char *from = muster_cursor_json(ctx);

    for (int i = from == NULL ? 0 : atoi(from); i < 10; i++) {
        char cursor[16];

        snprintf(cursor, sizeof(cursor), "%d", i + 1);
        if (muster_checkpoint(ctx, cursor, (i + 1) / 10.) != MUSTER_OK)
            return MUSTER_DEAD;
    }
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.steps", steps, MUSTER_RESUMES)

/* Returns what the payload says. */
static int outcome(struct muster_ctx *ctx)
{
    muster_error(ctx, "outcome %s", muster_payload_json(ctx));
    muster_retry_after(ctx, 1500);
    return atoi(muster_payload_json(ctx));
}
MUSTER_HANDLER("c.outcome", outcome, 0)

static int wait_for_stop(struct muster_ctx *ctx)
{
    muster_checkpoint(ctx, "1", -1);
    switch (muster_sleep(ctx, 3600000)) {
    case MUSTER_DRAIN:
        return MUSTER_RELEASED;
    case MUSTER_GO_ON:
        return MUSTER_DONE;
    default:
        return muster_cancelled(ctx) == MUSTER_CANCEL ? MUSTER_CANCELLED
                                                      : MUSTER_DEAD;
    }
}
MUSTER_HANDLER("c.wait", wait_for_stop, MUSTER_RESUMES)
MUSTER_HANDLER("c.hold", wait_for_stop, 0)

/* Payload: how much is done, in numbers that C has and JSON has not. */
static int progress(struct muster_ctx *ctx)
{
    char text[16] = "";

    sscanf(muster_payload_json(ctx), "\"%15[^\"]", text);
    muster_progress(ctx, strtod(text, NULL));
    return muster_checkpoint(ctx, "1", strtod(text, NULL));
}
MUSTER_HANDLER("c.progress", progress, 0)

/* Wrong arguments are errors, and say so. */
static int bad_json(struct muster_ctx *ctx)
{
    struct muster_job nothing = MUSTER_JOB(NULL, NULL);

    if (muster_result_json(ctx, NULL) != MUSTER_EINVAL ||
        muster_checkpoint(ctx, NULL, -1) != MUSTER_EINVAL ||
        muster_enqueue(ctx, &nothing, NULL) != MUSTER_EINVAL ||
        muster_result_json(ctx, "{") != MUSTER_EINVAL ||
        muster_checkpoint(ctx, "nope", -1) != MUSTER_EINVAL ||
        muster_checkpoint_msgpack(ctx, "\xc1", 1, -1) != MUSTER_EINVAL)
        return MUSTER_DONE;
    return MUSTER_FAILED;
}
MUSTER_HANDLER("c.bad_json", bad_json, 0)

static int enqueue(struct muster_ctx *ctx)
{
    struct muster_job child = MUSTER_JOB("noop.echo", muster_payload_json(ctx));
    char id[MUSTER_ID_SIZE], text[200];

    child.id = "child-1";
    if (muster_enqueue(ctx, &child, id) != MUSTER_OK)
        return MUSTER_FAILED;
    child.priority = 10;
    if (muster_enqueue(ctx, &child, NULL) != MUSTER_EINVAL)
        return MUSTER_DEAD;
    snprintf(text, sizeof(text), "\"%s\"", id);
    muster_result_json(ctx, text);
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.enqueue", enqueue, 0)

static int acquire(struct muster_ctx *ctx)
{
    if (muster_acquire(ctx, "nosuch", 1) != MUSTER_ENOENT)
        return MUSTER_DEAD;
    if (muster_acquire(ctx, "few", 1) != MUSTER_OK ||
        muster_drain(ctx, "few", 100) != MUSTER_OK ||
        muster_acquire(ctx, "few", 1) != MUSTER_OK)
        return MUSTER_FAILED;
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.acquire", acquire, 0)

static int any(struct muster_ctx *ctx)
{
    muster_log(ctx, MUSTER_WARN, "of kind %s", ctx->kind);
    muster_result_json(ctx, "\"any\"");
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.any.", any, 0)

/* ---- as it should not be ---- */

static int crash(struct muster_ctx *ctx)
{
    signal(SIGSEGV, SIG_DFL); /* sanitizers would make a story of it */
    raise(SIGSEGV);
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.crash", crash, 0)

static int leave(struct muster_ctx *ctx)
{
    _exit(0);
}
MUSTER_HANDLER("c.exit", leave, 0)

static int hang(struct muster_ctx *ctx)
{
    signal(SIGTERM, SIG_IGN);
    while (pause() != 0)
        ;
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.hang", hang, 0)

/* Writes to each descriptor that it might not have. */
static int garbage(struct muster_ctx *ctx)
{
    for (int fd = 3; fd < 20; fd++)
        if (write(fd, "garbage garbage", 15) < 0)
            continue;
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.garbage", garbage, 0)

static int shut(struct muster_ctx *ctx)
{
    for (int fd = 0; fd < 20; fd++)
        close(fd);
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.close", shut, 0)

/* Payload: MiB. */
static int leak(struct muster_ctx *ctx)
{
    size_t size = (size_t)atoi(muster_payload_json(ctx)) << 20;
    volatile char *memory = malloc(size);

    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.leak", leak, 0)

/* Payload: lines of 100 bytes, then one without an end. */
static int flood(struct muster_ctx *ctx)
{
    int lines = atoi(muster_payload_json(ctx));
    char line[100];

    memset(line, 'x', sizeof(line));
    line[99] = '\n';
    for (int i = 0; i < lines; i++)
        if (write(2, line, sizeof(line)) < 0 || write(1, line, 50) < 0)
            return MUSTER_FAILED;
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.flood", flood, 0)

static int fork_off(struct muster_ctx *ctx)
{
    if (fork() == 0) {
        execlp("sleep", "sleep", "86398", (char *)NULL);
        _exit(1);
    }
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.fork", fork_off, 0)
