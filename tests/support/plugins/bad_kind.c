/* A kind that nobody could enqueue. */
#include <muster/handler.h>

static int run(struct muster_ctx *ctx)
{
    return MUSTER_DONE;
}
MUSTER_HANDLER("no such kind", run, 0)
