#include "worker/handlers.h"

#include "worker/dump_chunk.h"

const struct ms_handler ms_handlers[] = {
    {"noop.echo", ms_handle_noop_echo},
    {"noop.sleep", ms_handle_noop_sleep},
    {"cmd.exec", ms_handle_cmd_exec},
    {"dump.chunk", ms_handle_dump_chunk},
    {NULL, NULL},
};
