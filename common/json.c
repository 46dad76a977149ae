#include "common/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/utf8.h"
#include "common/val.h"

static void add_escape(struct ms_buf *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *found = strchr(from, c);

    if (c != '\0' && found != NULL)
        ms_buf_addf(out, "\\%c", to[found - from]);
    else
        ms_buf_addf(out, "\\u%04x", (unsigned)c);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void ms_json_add_str(struct ms_buf *out, const char *text, size_t len)
{
    size_t i = 0;

    ms_buf_addc(out, '"');
    while (i < len) {
        size_t start = i;

        while (i < len && is_plain((unsigned char)text[i]))
            i++;
        ms_buf_add(out, text + start, i - start);
        if (i == len)
            break;
        start = i;
        if ((unsigned char)text[i] < 0x80) {
            add_escape(out, (unsigned char)text[i++]);
            continue;
        }
        i += ms_utf8_char(text + i, len - i);
        if (i > start)
            ms_buf_add(out, text + start, i - start);
        else
            ms_buf_add(out, "\xef\xbf\xbd", 3), i++;
    }
    ms_buf_addc(out, '"');
}

void ms_json_add_double(struct ms_buf *out, double value)
{
    char text[40];

    if (!isfinite(value)) {
        ms_buf_adds(out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    ms_buf_adds(out, text);
    if (strpbrk(text, ".e") == NULL)
        ms_buf_adds(out, ".0");
}

struct ms_json ms_json_on(struct ms_buf *out)
{
    return (struct ms_json){.out = out};
}

/* What stands before the next value or key. */
static void separate(struct ms_json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->depth == 0)
        return;
    if (!json->first[json->depth - 1])
        ms_buf_addc(json->out, ',');
    json->first[json->depth - 1] = false;
}

void ms_json_open(struct ms_json *json, char kind)
{
    ms_assert(kind == '{' || kind == '[');
    ms_assert(json->depth < MS_JSON_DEPTH);
    separate(json);
    json->kind[json->depth] = kind;
    json->first[json->depth] = true;
    json->depth++;
    ms_buf_addc(json->out, kind);
}

void ms_json_close(struct ms_json *json)
{
    ms_assert(json->depth > 0 && !json->after_key);
    json->depth--;
    ms_buf_addc(json->out, json->kind[json->depth] == '{' ? '}' : ']');
}

void ms_json_key(struct ms_json *json, const char *key)
{
    ms_assert(json->depth > 0 && json->kind[json->depth - 1] == '{');
    separate(json);
    ms_json_add_str(json->out, key, strlen(key));
    ms_buf_addc(json->out, ':');
    json->after_key = true;
}

void ms_json_null(struct ms_json *json)
{
    ms_json_raw(json, "null", 4);
}

void ms_json_bool(struct ms_json *json, bool value)
{
    ms_json_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void ms_json_int(struct ms_json *json, int64_t value)
{
    separate(json);
    ms_buf_addf(json->out, "%" PRId64, value);
}

void ms_json_double(struct ms_json *json, double value)
{
    separate(json);
    ms_json_add_double(json->out, value);
}

void ms_json_str(struct ms_json *json, const char *text)
{
    if (text == NULL)
        ms_json_null(json);
    else
        ms_json_strn(json, text, strlen(text));
}

void ms_json_strn(struct ms_json *json, const char *text, size_t len)
{
    separate(json);
    ms_json_add_str(json->out, text, len);
}

void ms_json_val(struct ms_json *json, const msgpack_object *val)
{
    separate(json);
    ms_val_to_json(val, json->out);
}

void ms_json_raw(struct ms_json *json, const char *text, size_t len)
{
    separate(json);
    ms_buf_add(json->out, text, len);
}
