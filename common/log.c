#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"

static enum ms_log_level lowest = MS_INFO;
static bool as_json;
static int log_fd = STDERR_FILENO;

static const char *const words[] = {"debug", "info", "warn", "error"};

void ms_log_configure(enum ms_log_level level, bool json)
{
    lowest = level;
    as_json = json;
}

void ms_log_to(int fd)
{
    log_fd = fd;
}

bool ms_log_parse_level(const char *word, enum ms_log_level *out_level)
{
    for (size_t i = 0; i < MS_COUNT_OF(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *out_level = (enum ms_log_level)i;
            return true;
        }
    }
    return false;
}

bool ms_log_is_on(enum ms_log_level level)
{
    return level >= lowest;
}

static size_t escape(char c, char out[7])
{
    if (c == '"' || c == '\\')
        return (size_t)sprintf(out, "\\%c", c);
    if (c == '\n')
        return (size_t)sprintf(out, "\\n");
    if ((unsigned char)c < 0x20)
        return (size_t)sprintf(out, "\\u%04x", (unsigned)c);
    out[0] = c;
    out[1] = '\0';
    return 1;
}

/* Control characters would drive the terminal that shows the log. */
static bool is_plain(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || strchr("\"\\=", *p) != NULL)
            return false;
    return text[0] != '\0';
}

const char *ms_log_quote(const char *text, char *out, size_t size)
{
    size_t used = 0;
    char piece[7];

    ms_assert(size >= 10);
    if (is_plain(text) && strlen(text) < size)
        return strcpy(out, text);
    out[used++] = '"';
    for (; *text != '\0'; text++) {
        size_t len = escape(*text, piece);

        if (used + len + 2 > size)
            break;
        memcpy(out + used, piece, len);
        used += len;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

static void add_stamp(struct ms_buf *line)
{
    struct timespec now;
    struct tm utc;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    ms_buf_addf(line, "ts=%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
}

/* Where the value that starts at `p` ends: at a space outside of quotes. */
static const char *value_end(const char *p)
{
    if (*p != '"')
        return p + strcspn(p, " ");
    for (p++; *p != '\0' && *p != '"'; p++)
        if (*p == '\\' && p[1] != '\0')
            p++;
    return *p == '"' ? p + 1 : p;
}

static void add_json_value(struct ms_buf *out, const char *p, const char *end)
{
    char piece[7];

    if (*p == '"') { /* ms_log_quote() has escaped it as JSON wants it */
        ms_buf_add(out, p, (size_t)(end - p));
        return;
    }
    ms_buf_addc(out, '"');
    for (; p < end; p++)
        ms_buf_add(out, piece, escape(*p, piece));
    ms_buf_addc(out, '"');
}

static void to_json(const char *line, struct ms_buf *out)
{
    const char *p = line;

    ms_buf_addc(out, '{');
    while (*p != '\0') {
        const char *eq = p + strcspn(p, "= ");
        const char *end;

        if (*eq != '=')
            break;
        end = value_end(eq + 1);
        if (p != line)
            ms_buf_addc(out, ',');
        ms_buf_addf(out, "\"%.*s\":", (int)(eq - p), p);
        add_json_value(out, eq + 1, end);
        p = end;
        while (*p == ' ')
            p++;
    }
    ms_buf_addc(out, '}');
}

void ms_log(enum ms_log_level level, const char *mod, const char *event,
            const char *fields, ...)
{
    struct ms_buf line = MS_BUF_INIT;
    struct ms_buf json = MS_BUF_INIT;
    struct ms_buf *shown = &line;
    va_list args;

    if (!ms_log_is_on(level))
        return;
    add_stamp(&line);
    ms_buf_addf(&line, " level=%s mod=%s event=%s", words[level], mod, event);
    if (fields[0] != '\0')
        ms_buf_addc(&line, ' ');
    va_start(args, fields);
    ms_buf_addv(&line, fields, args);
    va_end(args);
    if (as_json) {
        to_json(ms_buf_str(&line), &json);
        shown = &json;
    }
    ms_buf_addc(shown, '\n');
    /* One write a line, so that lines of several processes never mix.  A log
     * that cannot be written has nowhere to complain. */
    if (write(log_fd, shown->data, shown->len) < 0)
        shown->len = 0;
    ms_buf_done(&line);
    ms_buf_done(&json);
}
