/*
 * redis_url: what stands in --redis, MUSTER_REDIS_URL and redis.url.
 *
 *     redis://[user:password@]host:port[/db]
 *     unix://[user:password@]/path/redis.sock[?db=N]
 *     rediss://... as redis://, over TLS
 *     redis-sentinel://host:port,host:port/master-name
 *     redis-cluster://host:port,host:port
 *
 * User and password may be percent-encoded.  IPv6 hosts stand in brackets.
 */
#pragma once

#include <stddef.h>

#include "common/err.h"

enum ms_redis_scheme {
    MS_REDIS_TCP,
    MS_REDIS_TLS,
    MS_REDIS_UNIX,
    MS_REDIS_SENTINEL,
    MS_REDIS_CLUSTER
};

struct ms_redis_host {
    char *host;
    int port;
};

struct ms_redis_url {
    enum ms_redis_scheme scheme;
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    char *path;     /* UNIX: the socket; SENTINEL: the master's name */
    int db;
    struct ms_redis_host *hosts; /* one for TCP and TLS */
    size_t n_hosts;
};

/* On success the caller frees it with ms_redis_url_done(). */
enum ms_err ms_redis_url_parse(const char *text, struct ms_redis_url *out_url,
                               struct ms_error *error);
void ms_redis_url_done(struct ms_redis_url *url);

/* Writes the URL with its password as "***", for logs and replies. */
const char *ms_redis_url_redact(const char *text, char *out, size_t size);
