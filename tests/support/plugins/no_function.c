/* A plug-in whose handler was forgotten. */
#include <muster/handler.h>

MUSTER_HANDLER("c.nothing", NULL, 0)
