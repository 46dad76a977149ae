#include "common/doc.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <yajl/yajl_parse.h>

#include "common/mem.h"
#include "common/utf8.h"

/*
 * One yajl handle reads line after line as values of one stream, because a
 * handle a line costs five allocations.  Every line is followed by an LF of
 * ours: it ends a number that would stay pending, and is an error inside a
 * string, so that nothing of one line can leak into the next.  After any
 * reject the handle is thrown away, as its state is unknown.
 */
enum id_state { ID_NONE, ID_STRING, ID_INTEGER, ID_WRONG };

struct ms_doc_reader {
    char *field;
    size_t field_len;
    yajl_handle yajl; /* NULL: make one for the next line */
    int64_t depth;
    int values;     /* at the top of the line */
    bool is_object; /* the first of them */
    bool id_next;   /* the next value at depth 1 is the id's */
    size_t key_end; /* offset behind that key, in the line */
    enum id_state id_state;
    const char *line;
    bool escaped_id; /* id bytes are in `id`, not in the line */
    bool lone;       /* the id has half of a surrogate pair */
    const char *id_at;
    size_t id_len;
    char id[MS_DOC_ID_MAX];
};

/* ---- what the parser tells ---- */

/* A value begins or stands at this depth.  True: it is the id's. */
static bool value_begins(struct ms_doc_reader *r)
{
    bool is_id = r->depth == 1 && r->id_next;

    r->values += r->depth == 0;
    if (is_id) {
        r->id_next = false;
        r->id_state = ID_WRONG;
    }
    return is_id;
}

static int on_scalar(void *ctx)
{
    value_begins(ctx);
    return 1;
}

static int on_boolean(void *ctx, int value)
{
    value_begins(ctx);
    return 1;
}

/* Keeps the id.  What yajl had to unescape stays in its own buffer only until
 * the next string, so that is copied; the rest points into the line. */
static void keep_id(struct ms_doc_reader *r, const char *text, size_t len,
                    enum id_state state, bool escaped)
{
    r->id_state = state;
    r->escaped_id = escaped;
    r->id_len = len;
    r->id_at = text;
    if (escaped && len <= sizeof(r->id)) {
        memcpy(r->id, text, len);
        r->id_at = r->id;
    }
}

static int on_number(void *ctx, const char *text, size_t len)
{
    struct ms_doc_reader *r = ctx;
    size_t i;

    if (!value_begins(r))
        return 1;
    for (i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return 1;
    if (len == 2 && text[0] == '-' && text[1] == '0')
        keep_id(r, "0", 1, ID_INTEGER, true);
    else /* copied: yajl may hold it in a buffer of its own */
        keep_id(r, text, len, ID_INTEGER, true);
    return 1;
}

static unsigned hex4(const char *text)
{
    unsigned value = 0;
    int i;

    for (i = 0; i < 4; i++) {
        unsigned c = (unsigned char)text[i];

        value = value << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

/* Does this string, as it stands in the line, escape half of a surrogate
 * pair?  yajl would make '?' of it, and two ids could become one. */
static bool has_lone_surrogate(const char *text, const char *end)
{
    unsigned unit;

    for (; text < end; text++) {
        if (*text != '\\')
            continue;
        text++;
        if (*text != 'u')
            continue;
        unit = hex4(text + 1);
        text += 4;
        if (unit < 0xD800 || unit > 0xDFFF)
            continue;
        if (unit > 0xDBFF || end - text < 7 || text[1] != '\\' ||
            text[2] != 'u' || (hex4(text + 3) & 0xFC00) != 0xDC00)
            return true;
        text += 6;
    }
    return false;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct ms_doc_reader *r = ctx;
    const char *raw, *end;

    if (!value_begins(r))
        return 1;
    end = r->line + yajl_get_bytes_consumed(r->yajl) - 1; /* its quote */
    raw = memchr(r->line + r->key_end, '"', (size_t)(end - r->line));
    ms_assert(raw != NULL && raw < end);
    raw++;
    r->lone = (const char *)text != raw && has_lone_surrogate(raw, end);
    keep_id(r, (const char *)text, len, ID_STRING, (const char *)text != raw);
    return 1;
}

static int on_key(void *ctx, const unsigned char *key, size_t len)
{
    struct ms_doc_reader *r = ctx;

    if (r->depth == 1 && len == r->field_len &&
        memcmp(key, r->field, len) == 0) {
        r->id_next = true;
        r->key_end = yajl_get_bytes_consumed(r->yajl);
    }
    return 1;
}

static int on_open_map(void *ctx)
{
    struct ms_doc_reader *r = ctx;

    value_begins(r);
    if (r->depth == 0 && r->values == 1)
        r->is_object = true;
    r->depth++;
    return 1;
}

static int on_open_array(void *ctx)
{
    struct ms_doc_reader *r = ctx;

    value_begins(r);
    r->depth++;
    return 1;
}

static int on_close(void *ctx)
{
    struct ms_doc_reader *r = ctx;

    r->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_scalar,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close,
};

/* ---- the reader ---- */

struct ms_doc_reader *ms_doc_reader_new(const char *id_field)
{
    struct ms_doc_reader *r = ms_xcalloc(1, sizeof(*r));

    r->field = ms_xstrdup(id_field);
    r->field_len = strlen(id_field);
    return r;
}

static void drop_parser(struct ms_doc_reader *r)
{
    if (r->yajl != NULL)
        yajl_free(r->yajl);
    r->yajl = NULL;
}

void ms_doc_reader_free(struct ms_doc_reader *r)
{
    if (r == NULL)
        return;
    drop_parser(r);
    free(r->field);
    free(r);
}

static void begin_line(struct ms_doc_reader *r, const char *line)
{
    if (r->yajl == NULL) {
        r->yajl = yajl_alloc(&callbacks, NULL, r);
        ms_assert(r->yajl != NULL);
        yajl_config(r->yajl, yajl_allow_multiple_values, 1);
        /* yajl lets overlong forms and surrogates pass: ours is stricter. */
        yajl_config(r->yajl, yajl_dont_validate_strings, 1);
    }
    r->line = line;
    r->depth = 0;
    r->values = 0;
    r->is_object = r->id_next = r->lone = false;
    r->id_state = ID_NONE;
}

/* Writes "not JSON: ..." from yajl's own words, which come as "lexical error:
 * invalid char in json text.\n". */
static void explain(struct ms_doc_reader *r, struct ms_doc *doc)
{
    unsigned char *text =
        yajl_get_error(r->yajl, 0, (const unsigned char *)doc->bytes, doc->len);
    const char *words = (const char *)text;
    const char *colon = words == NULL ? NULL : strchr(words, ':');
    size_t at = yajl_get_bytes_consumed(r->yajl), len;

    if (colon != NULL)
        words = colon + 2;
    len = words == NULL ? 0 : strcspn(words, ".\n");
    snprintf(doc->reason, sizeof(doc->reason), "not JSON: %.*s (byte %zu)",
             (int)len, words == NULL ? "" : words, at);
    if (text != NULL)
        yajl_free_error(r->yajl, text);
}

/* False: `doc->reason` says what is wrong with the JSON. */
static bool parse(struct ms_doc_reader *r, struct ms_doc *doc)
{
    static const unsigned char end = '\n';

    if (yajl_parse(r->yajl, (const unsigned char *)doc->bytes, doc->len) !=
        yajl_status_ok) {
        explain(r, doc);
        return false;
    }
    if (r->depth > 0 || yajl_parse(r->yajl, &end, 1) != yajl_status_ok) {
        snprintf(doc->reason, sizeof(doc->reason),
                 "not JSON: the line ends too early");
        return false;
    }
    if (r->values != 1) {
        snprintf(doc->reason, sizeof(doc->reason), "not JSON: %s",
                 r->values == 0 ? "only blanks" : "more than one value");
        return false;
    }
    return true;
}

static const char *judge_id(const struct ms_doc_reader *r)
{
    if (!r->is_object)
        return "not an object";
    if (r->id_state == ID_NONE)
        return "no id";
    if (r->id_state == ID_WRONG)
        return "id is no string or integer";
    if (r->id_len > MS_DOC_ID_MAX)
        return "id longer than 512 bytes";
    if (r->lone)
        return "id has half of a surrogate pair";
    return NULL;
}

static enum ms_doc_kind reject(struct ms_doc_reader *r, struct ms_doc *doc,
                               const char *reason)
{
    if (reason != NULL)
        snprintf(doc->reason, sizeof(doc->reason), "%s", reason);
    drop_parser(r);
    return MS_DOC_REJECT;
}

enum ms_doc_kind ms_doc_read(struct ms_doc_reader *r, const char *line,
                             size_t len, struct ms_doc *out_doc)
{
    const char *why;

    if (len > 0 && line[len - 1] == '\n') {
        len--;
        if (len > 0 && line[len - 1] == '\r')
            len--;
    }
    out_doc->bytes = line;
    out_doc->len = len;
    if (len == 0)
        return MS_DOC_EMPTY;
    if (!ms_utf8_is_valid(line, len))
        return reject(r, out_doc, "not UTF-8");
    begin_line(r, line);
    if (!parse(r, out_doc))
        return reject(r, out_doc, NULL);
    why = judge_id(r);
    if (why != NULL)
        return reject(r, out_doc, why);
    out_doc->id = r->id_at;
    out_doc->id_len = r->id_len;
    out_doc->hash = XXH3_64bits(line, len);
    return MS_DOC_OK;
}

/* ---- checksum ---- */

void ms_checksum_add(struct ms_checksum *sum, uint64_t hash)
{
    int i;

    for (i = 0; i < 4; i++)
        sum->lanes[i] += (int64_t)(hash >> (16 * i) & 0xFFFF);
}

uint64_t ms_checksum_value(const struct ms_checksum *sum)
{
    uint64_t value = 0;
    int i;

    for (i = 0; i < 4; i++)
        value += (uint64_t)sum->lanes[i] << (16 * i);
    return value;
}
