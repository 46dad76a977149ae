/* A plug-in that knows functions which this worker has not. */
#define MUSTER_HOST
#include <muster/handler.h>

extern const struct muster_plugin muster_plugin;
const struct muster_plugin muster_plugin = {MUSTER_ABI,
                                            sizeof(struct muster_api) + 8, 0,
                                            0};
