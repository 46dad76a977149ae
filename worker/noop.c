/* noop.*: jobs that do nothing, for tests, demos and measurements. */
#include "common/val.h"
#include "worker/handlers.h"

enum ms_outcome ms_handle_noop_echo(struct ms_ctx *ctx)
{
    const struct ms_held *job = ms_ctx_job(ctx);
    struct ms_buf result = MS_BUF_INIT;

    if (!job->json) { /* it is what a result is already */
        ms_ctx_set_result(ctx, job->payload.data, job->payload.len);
        return MS_DONE;
    }
    ms_val_to_msgpack(ms_ctx_payload(ctx), &result);
    ms_ctx_set_result(ctx, result.data, result.len);
    ms_buf_done(&result);
    return MS_DONE;
}

enum ms_outcome ms_handle_noop_sleep(struct ms_ctx *ctx)
{
    int64_t ms = ms_val_int(ms_ctx_payload(ctx), "ms", -1);
    enum ms_stop stop;

    if (ms < 0) {
        ms_ctx_set_error(ctx, "payload.ms must be a number of milliseconds");
        return MS_DEAD;
    }
    stop = ms_ctx_sleep(ctx, ms);
    return stop == MS_STOP_NONE ? MS_DONE : ms_stop_outcome(stop);
}
