/* A plug-in of a version to come. */
#include <stdint.h>

extern const struct {
    uint32_t abi, api_size;
    const void *first, *end;
} muster_plugin;
__typeof__(muster_plugin) muster_plugin = {2, 8, 0, 0};
