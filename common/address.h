/*
 * address: "host:port", as the HTTP servers' options have it.
 *
 * The host is a number ("127.0.0.1", "[::1]") or "localhost": resolving a name
 * would block the loop.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "common/err.h"

struct ms_address {
    struct sockaddr_storage sock;
    socklen_t len;
};

/* MS_EINVAL for anything else; port 0 is fine. */
enum ms_err ms_address_parse(const char *text, struct ms_address *out_address,
                             struct ms_error *error);

/* Does it answer to this host alone?  127.0.0.0/8 and ::1. */
bool ms_address_is_loopback(const struct ms_address *address);

/* "127.0.0.1:80" or "[::1]:80".  Returns `out`. */
#define MS_ADDRESS_MAX 64
const char *ms_address_format(const struct ms_address *address,
                              char out[MS_ADDRESS_MAX]);
