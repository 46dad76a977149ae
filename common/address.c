#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ms_err refuse(const char *text, struct ms_error *error)
{
    return ms_error_set(error, MS_EINVAL,
                        "'%.80s' is not an address such as 127.0.0.1:7780, "
                        "[::1]:7780 or localhost:0",
                        text);
}

static bool parse_port(const char *text, in_port_t *out_port)
{
    size_t len = strspn(text, "0123456789");
    long port = strtol(text, NULL, 10);

    if (len == 0 || len > 5 || text[len] != '\0' || port > 65535)
        return false;
    *out_port = htons((uint16_t)port);
    return true;
}

/* `host` without its brackets. */
static bool parse_host(const char *host, bool brackets, in_port_t port,
                       struct ms_address *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sock;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sock;

    if (brackets) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        out->len = sizeof(*v6);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    out->len = sizeof(*v4);
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

enum ms_err ms_address_parse(const char *text, struct ms_address *out_address,
                             struct ms_error *error)
{
    struct ms_address address = {.len = 0};
    const char *colon = strrchr(text, ':');
    char host[MS_ADDRESS_MAX];
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    in_port_t port;

    if (len == 0 || len >= sizeof(host) || !parse_port(colon + 1, &port))
        return refuse(text, error);
    if (brackets) {
        text++;
        len -= 2;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (!parse_host(host, brackets, port, &address))
        return refuse(text - (brackets ? 1 : 0), error);
    *out_address = address;
    return MS_OK;
}

bool ms_address_is_loopback(const struct ms_address *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->sock;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->sock;

    if (address->sock.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return address->sock.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

const char *ms_address_format(const struct ms_address *address,
                              char out[MS_ADDRESS_MAX])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->sock;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->sock;
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->sock.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(out, MS_ADDRESS_MAX, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(out, MS_ADDRESS_MAX, "%s:%d", host, ntohs(v4->sin_port));
    }
    return out;
}
