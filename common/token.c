#include "common/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

#define TOKEN_MAX 1024

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

enum ms_err ms_token_read(const char *path, char **out_token,
                          struct ms_error *error)
{
    char text[TOKEN_MAX + 64];
    FILE *file = fopen(path, "re");
    const char *start = text;
    size_t len;
    bool failed;

    if (file == NULL)
        return ms_error_set(error, MS_EIO, "cannot open token file '%s': %s",
                            path, strerror(errno));
    len = fread(text, 1, sizeof(text), file);
    failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return ms_error_set(error, MS_EIO, "cannot read token file '%s'", path);
    while (len > 0 && is_space(text[len - 1]))
        len--;
    while (len > 0 && is_space(*start)) {
        start++;
        len--;
    }
    if (len == 0 || len > TOKEN_MAX || !is_printable(start, len))
        return ms_error_set(error, MS_EINVAL,
                            "token file '%s' must hold 1 to %d printable "
                            "characters without a space",
                            path, TOKEN_MAX);
    *out_token = ms_xstrndup(start, len);
    return MS_OK;
}

bool ms_token_matches(const char *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    size_t len = strlen(token);
    const char *given;
    size_t given_len;
    unsigned differs;

    if (authorization == NULL ||
        strncasecmp(authorization, scheme, strlen(scheme)) != 0)
        return false;
    given = authorization + strlen(scheme);
    given_len = strlen(given);
    differs = len != given_len;
    for (size_t i = 0; i < given_len; i++)
        differs |= (unsigned char)(given[i] ^ token[i % len]);
    return differs == 0;
}
