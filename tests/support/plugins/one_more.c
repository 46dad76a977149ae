/* Takes a kind that tricks.so has, too; its second file is this one twice. */
#include <muster/handler.h>

static int run(struct muster_ctx *ctx)
{
    return MUSTER_DONE;
}
MUSTER_HANDLER("c.echo", run, 0)
