#include "common/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* 20 digits and a sign; no NUL. */
#define DIGITS_MAX 21

/* A batch of 1,000 jobs formats some 10,000 numbers (each argument has its
 * length), and printf would be the most expensive part of a request. */
static size_t format_u64(uint64_t number, char *out)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

static size_t format_i64(int64_t number, char *out)
{
    if (number >= 0)
        return format_u64((uint64_t)number, out);
    out[0] = '-';
    return 1 + format_u64(-(uint64_t)number, out + 1);
}

/* "*3\r\n", "$5\r\n" */
static void add_count(struct ms_buf *out, char mark, size_t count)
{
    char *at = ms_buf_reserve(out, DIGITS_MAX + 3);
    size_t len = 1 + format_u64(count, at + 1);

    at[0] = mark;
    memcpy(at + len, "\r\n", 2);
    out->len += len + 2;
}

static void add_bulk(struct ms_buf *out, const void *bytes, size_t len)
{
    char *at;

    add_count(out, '$', len);
    at = ms_buf_reserve(out, len + 2);
    if (len > 0)
        memcpy(at, bytes, len);
    memcpy(at + len, "\r\n", 2);
    out->len += len + 2;
}

void ms_cmd_done(struct ms_cmd *cmd)
{
    ms_buf_done(&cmd->body);
    *cmd = (struct ms_cmd)MS_CMD_INIT;
}

void ms_cmd_script(struct ms_cmd *cmd, const struct ms_script *script)
{
    ms_assert(cmd->script == NULL && cmd->n_args == 0);
    cmd->script = script;
}

static void count_key(struct ms_cmd *cmd)
{
    if (cmd->script == NULL) /* a plain command has nothing but arguments */
        return;
    ms_assert(cmd->n_keys == cmd->n_args);
    cmd->n_keys++;
}

void ms_cmd_key(struct ms_cmd *cmd, const char *key)
{
    count_key(cmd);
    ms_cmd_args(cmd, key);
}

/* Short texts, and that is nearly all, are formatted without an allocation. */
static void add_formatted(struct ms_cmd *cmd, const char *format, va_list args)
{
    char text[256];
    char *longer = NULL;
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(text, sizeof(text), format, args);
    ms_assert(len >= 0);
    if ((size_t)len >= sizeof(text)) {
        longer = ms_xmalloc((size_t)len + 1);
        vsnprintf(longer, (size_t)len + 1, format, again);
    }
    ms_cmd_arg(cmd, longer != NULL ? longer : text, (size_t)len);
    free(longer);
    va_end(again);
}

void ms_cmd_keyf(struct ms_cmd *cmd, const char *format, ...)
{
    va_list args;

    count_key(cmd);
    va_start(args, format);
    add_formatted(cmd, format, args);
    va_end(args);
}

void ms_cmd_arg(struct ms_cmd *cmd, const void *bytes, size_t len)
{
    add_bulk(&cmd->body, bytes, len);
    cmd->n_args++;
}

void ms_cmd_args(struct ms_cmd *cmd, const char *text)
{
    ms_cmd_arg(cmd, text, strlen(text));
}

void ms_cmd_argi(struct ms_cmd *cmd, int64_t number)
{
    char digits[DIGITS_MAX];

    ms_cmd_arg(cmd, digits, format_i64(number, digits));
}

void ms_cmd_argf(struct ms_cmd *cmd, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_formatted(cmd, format, args);
    va_end(args);
}

void ms_cmd_append(struct ms_cmd *cmd, const struct ms_cmd *from)
{
    ms_buf_add(&cmd->body, from->body.data, from->body.len);
    cmd->n_args += from->n_args;
}

void ms_cmd_plain(struct ms_cmd *cmd, const char *first, ...)
{
    va_list args;

    ms_assert(cmd->script == NULL);
    va_start(args, first);
    for (const char *text = first; text != NULL;
         text = va_arg(args, const char *))
        ms_cmd_args(cmd, text);
    va_end(args);
}

void ms_cmd_encode(const struct ms_cmd *cmd, struct ms_buf *out)
{
    char digits[DIGITS_MAX];

    if (cmd->script == NULL) {
        ms_assert(cmd->n_args > 0);
        add_count(out, '*', cmd->n_args);
    } else {
        add_count(out, '*', cmd->n_args + 3);
        add_bulk(out, "EVALSHA", 7);
        add_bulk(out, cmd->script->sha1, strlen(cmd->script->sha1));
        add_bulk(out, digits, format_u64(cmd->n_keys, digits));
    }
    ms_buf_add(out, cmd->body.data, cmd->body.len);
}

const char *ms_cmd_peek(const struct ms_cmd *cmd, size_t i, size_t *out_len)
{
    const char *at = cmd->body.data;
    char *end;

    if (i >= cmd->n_args)
        return NULL;
    for (;; i--) {
        size_t len = strtoul(at + 1, &end, 10);

        if (i == 0) {
            *out_len = len;
            return end + 2;
        }
        at = end + 2 + len + 2;
    }
}
