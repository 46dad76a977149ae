#include "common/redis_url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/mem.h"

/*
 * No message here quotes more of the text than a host, a port or a number:
 * anything else may be, or contain, a password that was not escaped.
 */

#define DB_MAX 1000000

static const struct {
    const char *prefix;
    enum ms_redis_scheme scheme;
} schemes[] = {
    {"redis://", MS_REDIS_TCP},
    {"rediss://", MS_REDIS_TLS},
    {"unix://", MS_REDIS_UNIX},
    {"redis-sentinel://", MS_REDIS_SENTINEL},
    {"redis-cluster://", MS_REDIS_CLUSTER},
};

static bool parse_number(const char *text, size_t len, long max, int *out)
{
    long number = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
        if (number > max)
            return false;
    }
    *out = (int)number;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Returns a new string, NULL for a broken escape or one of a NUL. */
static char *decode(const char *text, size_t len)
{
    char *out = ms_xmalloc(len + 1);
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        int high;
        int low;

        if (text[i] != '%') {
            out[used++] = text[i];
            continue;
        }
        high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            free(out);
            return NULL;
        }
        out[used++] = (char)(high * 16 + low);
        i += 2;
    }
    out[used] = '\0';
    return out;
}

/* "user:password", "user" or ":password", without the '@'. */
static enum ms_err parse_login(const char *text, size_t len,
                               struct ms_redis_url *url, struct ms_error *error)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon == NULL ? len : (size_t)(colon - text);

    if (colon == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: what stands before '@' must be "
                            "user:password or :password");
    url->user = decode(text, user_len);
    url->password = decode(colon + 1, len - user_len - 1);
    if (url->user == NULL || url->password == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: broken %%-escape in user or password");
    if (url->password[0] == '\0')
        return ms_error_set(error, MS_EINVAL, "redis url: empty password");
    if (url->user[0] == '\0') { /* the password of the default user */
        free(url->user);
        url->user = NULL;
    }
    return MS_OK;
}

static bool is_host_text(const char *text, size_t len, bool is_ipv6)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9');

        if (!is_alnum && strchr(is_ipv6 ? ":.%-_" : ".-_", c) == NULL)
            return false;
    }
    return len > 0 && len < 256;
}

static void add_host(struct ms_redis_url *url, const char *host, size_t len,
                     int port)
{
    struct ms_redis_host *grown =
        ms_xrealloc(url->hosts, (url->n_hosts + 1) * sizeof(*url->hosts));

    grown[url->n_hosts].host = ms_xstrndup(host, len);
    grown[url->n_hosts].port = port;
    url->hosts = grown;
    url->n_hosts++;
}

/* "host:port" or "[ipv6]:port" */
static enum ms_err parse_host(const char *text, size_t len,
                              struct ms_redis_url *url, struct ms_error *error)
{
    bool is_ipv6 = len > 0 && text[0] == '[';
    const char *end = memchr(text, is_ipv6 ? ']' : ':', len);
    const char *host = is_ipv6 ? text + 1 : text;
    const char *colon = end;
    size_t host_len;
    int port = 0;

    if (len == 0)
        return ms_error_set(error, MS_EINVAL, "redis url: no host");
    if (is_ipv6 && end == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: '[' without a ']' behind the host");
    if (is_ipv6)
        colon = end + 1 < text + len && end[1] == ':' ? end + 1 : NULL;
    host_len = end == NULL ? len : (size_t)(end - host);
    if (!is_host_text(host, host_len, is_ipv6))
        return ms_error_set(error, MS_EINVAL,
                            "redis url: the host is missing or not a host name "
                            "(escape '@', ':' and '/' of a password as %%40, "
                            "%%3A, %%2F; IPv6 hosts stand in brackets)");
    if (colon == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: no port behind host '%.*s'",
                            (int)host_len, host);
    if (!parse_number(colon + 1, (size_t)(text + len - colon - 1), 65535,
                      &port) ||
        port == 0)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: the port of host '%.*s' is not a "
                            "number from 1 to 65535",
                            (int)host_len, host);
    add_host(url, host, host_len, port);
    return MS_OK;
}

static enum ms_err parse_hosts(const char *text, size_t len,
                               struct ms_redis_url *url, struct ms_error *error)
{
    bool may_be_many =
        url->scheme == MS_REDIS_SENTINEL || url->scheme == MS_REDIS_CLUSTER;

    for (;;) {
        const char *comma = may_be_many ? memchr(text, ',', len) : NULL;
        size_t one = comma == NULL ? len : (size_t)(comma - text);
        enum ms_err err = parse_host(text, one, url, error);

        if (err != MS_OK || comma == NULL)
            return err;
        text += one + 1;
        len -= one + 1;
    }
}

static enum ms_err parse_db(const char *text, struct ms_redis_url *url,
                            struct ms_error *error)
{
    if (!parse_number(text, strlen(text), DB_MAX, &url->db))
        return ms_error_set(error, MS_EINVAL,
                            "redis url: the database is not a number");
    return MS_OK;
}

/* What stands behind the hosts, from the '/' on. */
static enum ms_err parse_tail(const char *tail, struct ms_redis_url *url,
                              struct ms_error *error)
{
    const char *name = tail[0] == '/' ? tail + 1 : tail;

    switch (url->scheme) {
    case MS_REDIS_SENTINEL:
        if (name[0] == '\0' || strpbrk(name, "/?#") != NULL)
            return ms_error_set(error, MS_EINVAL,
                                "redis url: redis-sentinel:// ends in "
                                "/master-name");
        url->path = ms_xstrdup(name);
        return MS_OK;
    case MS_REDIS_CLUSTER:
        if (name[0] != '\0')
            return ms_error_set(error, MS_EINVAL,
                                "redis url: a cluster has no databases, "
                                "nothing may stand behind the hosts");
        return MS_OK;
    default:
        return name[0] == '\0' ? MS_OK : parse_db(name, url, error);
    }
}

/* "[user:password@]hosts[/tail]".  The last '@' ends the password: hosts hold
 * none, and people forget to escape theirs. */
static enum ms_err parse_net(const char *rest, struct ms_redis_url *url,
                             struct ms_error *error)
{
    const char *at = strrchr(rest, '@');
    const char *hosts = at == NULL ? rest : at + 1;
    size_t len = strcspn(hosts, "/?#");
    enum ms_err err = MS_OK;

    if (at != NULL)
        err = parse_login(rest, (size_t)(at - rest), url, error);
    if (err != MS_OK)
        return err;
    err = parse_hosts(hosts, len, url, error);
    if (err != MS_OK)
        return err;
    if (hosts[len] == '?' || hosts[len] == '#')
        return ms_error_set(error, MS_EINVAL,
                            "redis url: '%c' is not known here", hosts[len]);
    return parse_tail(hosts + len, url, error);
}

static enum ms_err parse_path(const char *path, struct ms_redis_url *url,
                              struct ms_error *error)
{
    size_t len = strcspn(path, "?");
    struct sockaddr_un address;

    if (path[0] != '/')
        return ms_error_set(error, MS_EINVAL,
                            "redis url: unix:// needs an absolute path "
                            "(unix:///path/redis.sock)");
    if (len >= sizeof(address.sun_path))
        return ms_error_set(error, MS_EINVAL,
                            "redis url: the path of a socket is at most %zu "
                            "bytes long, this one %zu",
                            sizeof(address.sun_path) - 1, len);
    url->path = ms_xstrndup(path, len);
    if (path[len] == '\0')
        return MS_OK;
    if (strncmp(path + len, "?db=", 4) != 0)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: only ?db=N may stand behind the path");
    return parse_db(path + len + 4, url, error);
}

/* "[user:password@]/path/redis.sock[?db=N]".  A path may hold an '@', so one
 * that starts at once has no login before it. */
static enum ms_err parse_unix(const char *rest, struct ms_redis_url *url,
                              struct ms_error *error)
{
    const char *at = rest[0] == '/' ? NULL : strstr(rest, "@/");
    enum ms_err err;

    if (at == NULL)
        return parse_path(rest, url, error);
    err = parse_login(rest, (size_t)(at - rest), url, error);
    if (err != MS_OK)
        return err;
    return parse_path(at + 1, url, error);
}

enum ms_err ms_redis_url_parse(const char *text, struct ms_redis_url *out_url,
                               struct ms_error *error)
{
    struct ms_redis_url url = {0};
    const char *rest = NULL;
    enum ms_err err;

    for (size_t i = 0; i < MS_COUNT_OF(schemes) && rest == NULL; i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncmp(text, schemes[i].prefix, len) == 0) {
            url.scheme = schemes[i].scheme;
            rest = text + len;
        }
    }
    if (rest == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "redis url: must start with redis://, rediss://, "
                            "unix://, redis-sentinel:// or redis-cluster://");
    err = url.scheme == MS_REDIS_UNIX ? parse_unix(rest, &url, error)
                                      : parse_net(rest, &url, error);
    if (err != MS_OK) {
        ms_redis_url_done(&url);
        return err;
    }
    *out_url = url;
    return MS_OK;
}

void ms_redis_url_done(struct ms_redis_url *url)
{
    for (size_t i = 0; i < url->n_hosts; i++)
        free(url->hosts[i].host);
    free(url->hosts);
    free(url->user);
    free(url->password);
    free(url->path);
    *url = (struct ms_redis_url){0};
}

/* Works on any text, also one that does not parse: what cannot be understood
 * may be a password just the same. */
const char *ms_redis_url_redact(const char *text, char *out, size_t size)
{
    const char *start = strstr(text, "://");
    const char *at = strrchr(text, '@');
    const char *colon;

    start = start == NULL ? text : start + 3;
    if (at == NULL || at < start || strncmp(text, "unix:///", 8) == 0) {
        snprintf(out, size, "%s", text);
        return out;
    }
    colon = memchr(start, ':', (size_t)(at - start));
    if (colon == NULL) /* "redis://secret@host" was meant as a password */
        snprintf(out, size, "%.*s***%s", (int)(start - text), text, at);
    else
        snprintf(out, size, "%.*s***%s", (int)(colon + 1 - text), text, at);
    return out;
}
