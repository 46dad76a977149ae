/*
 * A ms_client of the test's own beside the core fixture's connection: fleet "m"
 * on the same Redis.
 */
#pragma once

#include "ctl/client.h"
#include "tests/support/core.h"

static inline struct ms_conf client_conf(struct ms_core *core)
{
    static char fleet[] = "m";

    return (struct ms_conf){
        .fleet = fleet,
        .redis_url = (char *)ms_test_redis_url(core->redis),
        .redis_connect_timeout_ms = 5000,
        .redis_command_timeout_ms = 5000,
        .worker_heartbeat_ms = 5000,
        .max_payload_bytes = 1 << 20,
    };
}

static inline struct ms_client *client_open(const struct ms_conf *conf)
{
    struct ms_client *client = NULL;
    struct ms_error error = {""};

    if (ms_client_open(conf, &client, &error) != MS_OK)
        print_error("%s\n", error.text);
    CHECK(client != NULL);
    return client;
}
