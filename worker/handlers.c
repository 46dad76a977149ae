#include "worker/handlers.h"

#include "worker/dump_chunk.h"

const struct ms_handler ms_handlers[] = {
    {"noop.echo", ms_handle_noop_echo, false},
    {"noop.sleep", ms_handle_noop_sleep, false},
    {"cmd.exec", ms_handle_cmd_exec, false},
    {"dump.chunk", ms_handle_dump_chunk, true},
    {NULL, NULL, false},
};
