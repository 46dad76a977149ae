#include "worker/handlers.h"

const struct ms_handler ms_handlers[] = {
    {"noop.echo", ms_handle_noop_echo},
    {"noop.sleep", ms_handle_noop_sleep},
    {"cmd.exec", ms_handle_cmd_exec},
    {NULL, NULL},
};
