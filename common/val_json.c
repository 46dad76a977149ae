/*
 * The JSON side of val.  yajl gives events; values gather on one stack, and
 * the end of an array or map moves those above its mark into the zone.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "common/mem.h"
#include "common/utf8.h"
#include "common/val.h"

struct parser {
    const char *text;
    size_t len;
    yajl_handle yajl;
    msgpack_zone *zone;
    msgpack_object *stack;
    size_t n_stack, cap_stack;
    size_t marks[MS_VAL_DEPTH]; /* where each open array or map begins */
    int depth;
    size_t wrong_at;   /* offset of what we found wrong ourselves */
    const char *wrong; /* NULL: nothing */
};

static msgpack_object *push(struct parser *p, msgpack_object_type type)
{
    msgpack_object *top;

    if (p->n_stack == p->cap_stack) {
        p->cap_stack = p->cap_stack == 0 ? 32 : 2 * p->cap_stack;
        p->stack = ms_xrealloc(p->stack, p->cap_stack * sizeof(*p->stack));
    }
    top = &p->stack[p->n_stack++];
    memset(top, 0, sizeof(*top));
    top->type = type;
    return top;
}

static int fail_at(struct parser *p, size_t at, const char *wrong)
{
    p->wrong_at = at;
    p->wrong = wrong;
    return 0; /* yajl stops */
}

static int on_null(void *ctx)
{
    push(ctx, MSGPACK_OBJECT_NIL);
    return 1;
}

static int on_boolean(void *ctx, int value)
{
    push(ctx, MSGPACK_OBJECT_BOOLEAN)->via.boolean = value != 0;
    return 1;
}

/* A number at the very end is lexed in yajl's own memory. */
static size_t number_at(const struct parser *p, const char *text, size_t len)
{
    uintptr_t at = (uintptr_t)text - (uintptr_t)p->text;

    return at < p->len ? (size_t)at : p->len - len;
}

static int push_double(struct parser *p, const char *text, const char *digits)
{
    double value = strtod(digits, NULL);

    if (!isfinite(value))
        return fail_at(p, number_at(p, text, strlen(digits)),
                       "a number too large for a double");
    push(p, MSGPACK_OBJECT_FLOAT64)->via.f64 = value;
    return 1;
}

static int push_integer(struct parser *p, const char *text, const char *digits)
{
    int64_t low;
    uint64_t high;

    errno = 0;
    if (digits[0] != '-') {
        high = strtoull(digits, NULL, 10);
        if (errno == 0)
            push(p, MSGPACK_OBJECT_POSITIVE_INTEGER)->via.u64 = high;
    } else {
        low = strtoll(digits, NULL, 10);
        if (errno == 0 && low < 0)
            push(p, MSGPACK_OBJECT_NEGATIVE_INTEGER)->via.i64 = low;
        else if (errno == 0)
            push(p, MSGPACK_OBJECT_POSITIVE_INTEGER)->via.u64 = 0;
    }
    if (errno == 0)
        return 1;
    return fail_at(p, number_at(p, text, strlen(digits)),
                   "an integer beyond 64 bits");
}

static int on_number(void *ctx, const char *text, size_t len)
{
    char small[64];
    char *digits = len < sizeof(small) ? small : ms_xmalloc(len + 1);
    int go_on;

    memcpy(digits, text, len);
    digits[len] = '\0';
    if (strpbrk(digits, ".eE") != NULL)
        go_on = push_double(ctx, text, digits);
    else
        go_on = push_integer(ctx, text, digits);
    if (digits != small)
        free(digits);
    return go_on;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct parser *p = ctx;
    char *copy = msgpack_zone_malloc_no_align(p->zone, len + 1);
    msgpack_object *top;

    ms_assert(copy != NULL);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    top = push(p, MSGPACK_OBJECT_STR);
    top->via.str.size = (uint32_t)len;
    top->via.str.ptr = copy;
    return 1;
}

static int on_open(void *ctx)
{
    struct parser *p = ctx;

    if (p->depth == MS_VAL_DEPTH)
        return fail_at(p, yajl_get_bytes_consumed(p->yajl) - 1,
                       "nested more than 64 levels deep");
    p->marks[p->depth++] = p->n_stack;
    return 1;
}

/* Takes what stands above the last mark off the stack; it stays readable
 * until the next push. */
static const msgpack_object *pop(struct parser *p, size_t *out_n)
{
    size_t mark = p->marks[--p->depth];

    *out_n = p->n_stack - mark;
    p->n_stack = mark;
    return *out_n == 0 ? NULL : p->stack + mark;
}

static int on_end_array(void *ctx)
{
    struct parser *p = ctx;
    size_t n;
    const msgpack_object *items = pop(p, &n);
    msgpack_object *row = msgpack_zone_malloc(p->zone, (n + 1) * sizeof(*row));
    msgpack_object *top;

    ms_assert(row != NULL);
    if (n > 0)
        memcpy(row, items, n * sizeof(*row));
    top = push(p, MSGPACK_OBJECT_ARRAY);
    top->via.array.size = (uint32_t)n;
    top->via.array.ptr = row;
    return 1;
}

static int compare_keys(const void *left, const void *right)
{
    const msgpack_object_kv *a = *(const msgpack_object_kv *const *)left;
    const msgpack_object_kv *b = *(const msgpack_object_kv *const *)right;
    uint32_t a_len = a->key.via.str.size, b_len = b->key.via.str.size;
    int order = memcmp(a->key.via.str.ptr, b->key.via.str.ptr,
                       a_len < b_len ? a_len : b_len);

    if (order != 0)
        return order;
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool same_key(const msgpack_object_kv *a, const msgpack_object_kv *b)
{
    return a->key.via.str.size == b->key.via.str.size &&
           memcmp(a->key.via.str.ptr, b->key.via.str.ptr,
                  a->key.via.str.size) == 0;
}

/* Of equal keys the last value stands, in the place of the first.  Sorted, so
 * that a hostile map of 100,000 keys costs no quadratic time. */
static size_t drop_repeats(msgpack_object_kv *map, size_t n)
{
    msgpack_object_kv **sorted = ms_xmalloc(n * sizeof(*sorted));
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        sorted[i] = &map[i];
    qsort(sorted, n, sizeof(*sorted), compare_keys);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (!same_key(sorted[i], sorted[first]))
            first = i;
        if (i == first)
            continue;
        sorted[first]->val = sorted[i]->val;
        sorted[i]->key.type = MSGPACK_OBJECT_NIL; /* a hole */
    }
    for (size_t i = 0; i < n; i++)
        if (map[i].key.type != MSGPACK_OBJECT_NIL)
            map[kept++] = map[i];
    free(sorted);
    return kept;
}

static int on_end_map(void *ctx)
{
    struct parser *p = ctx;
    size_t n;
    const msgpack_object *items = pop(p, &n);
    msgpack_object_kv *map =
        msgpack_zone_malloc(p->zone, (n + 1) * sizeof(msgpack_object));
    msgpack_object *top;

    ms_assert(map != NULL && n % 2 == 0);
    if (n > 0)
        memcpy(map, items, n * sizeof(*items));
    n /= 2;
    if (n > 1)
        n = drop_repeats(map, n);
    top = push(p, MSGPACK_OBJECT_MAP);
    top->via.map.size = (uint32_t)n;
    top->via.map.ptr = map;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open,
    .yajl_map_key = on_string,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_open,
    .yajl_end_array = on_end_array,
};

/* The code unit of "uXXXX" at `p`, or -1; yajl complains about those. */
static int code_unit(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 5 || p[0] != 'u')
        return -1;
    for (int i = 1; i <= 4; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = strchr(digits, p[i] | 0x20);

        if (found == NULL || *found == '\0')
            return -1;
        value = value * 16 + (int)(found - digits);
    }
    return value;
}

/* yajl lets through what is no character: it checks neither the ranges of
 * UTF-8 nor that surrogates come in pairs. */
static bool check_characters(struct parser *p)
{
    const char *end = p->text + p->len;
    const char *at = p->text;
    size_t good = ms_utf8_span(p->text, p->len);

    if (good < p->len)
        return fail_at(p, good, "not UTF-8");
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        int unit = code_unit(at + 1, end);

        if (unit >= 0xd800 && unit < 0xdc00 && end - at > 6 && at[6] == '\\') {
            int low = code_unit(at + 7, end);

            if (low >= 0xdc00 && low < 0xe000) {
                at += 12;
                continue;
            }
        }
        if (unit >= 0xd800 && unit < 0xe000)
            return fail_at(p, (size_t)(at - p->text), "half a surrogate pair");
        at += at + 1 < end ? 2 : 1;
    }
    return true;
}

static enum ms_err report(const struct parser *p, size_t at, const char *what,
                          struct ms_error *error)
{
    size_t line = 1;
    size_t column = 1;

    for (size_t i = 0; i < at && i < p->len; i++) {
        column++;
        if (p->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return ms_error_set(error, MS_EINVAL, "line %zu, column %zu: %.*s", line,
                        column, (int)strcspn(what, "\n"), what);
}

static enum ms_err report_yajl(const struct parser *p, struct ms_error *error)
{
    unsigned char *text = yajl_get_error(p->yajl, 0, NULL, 0);
    size_t behind = yajl_get_bytes_consumed(p->yajl);
    size_t at = behind == 0 ? 0 : behind - 1; /* where the bad token ends */
    enum ms_err err = report(p, at, (const char *)text, error);

    yajl_free_error(p->yajl, text);
    return err;
}

static enum ms_err parse(struct parser *p, struct ms_error *error)
{
    yajl_status status = yajl_status_client_canceled;

    if (check_characters(p))
        status = yajl_parse(p->yajl, (const unsigned char *)p->text, p->len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(p->yajl);
        if (status == yajl_status_error)
            return report(p, p->len, "the text ends too early", error);
    }
    if (status == yajl_status_client_canceled)
        return report(p, p->wrong_at, p->wrong, error);
    if (status == yajl_status_error)
        return report_yajl(p, error);
    ms_assert(p->n_stack == 1);
    return MS_OK;
}

enum ms_err ms_val_from_json(const char *text, size_t len,
                             struct ms_val *out_val, struct ms_error *error)
{
    struct parser p = {.text = text == NULL ? "" : text, .len = len};
    enum ms_err err;

    p.zone = msgpack_zone_new(len + 1024);
    p.yajl = yajl_alloc(&callbacks, NULL, &p);
    ms_assert(p.zone != NULL && p.yajl != NULL);
    err = parse(&p, error);
    if (err == MS_OK)
        *out_val = (struct ms_val){.root = p.stack[0], .zone = p.zone};
    else
        msgpack_zone_free(p.zone);
    yajl_free(p.yajl);
    free(p.stack);
    return err;
}

/* ---- writing ---- */

struct printer {
    struct ms_buf *out;
    int indent; /* spaces a level; 0: on one line */
};

static void new_line(const struct printer *p, int depth)
{
    if (p->indent == 0)
        return;
    ms_buf_addc(p->out, '\n');
    for (int i = 0; i < p->indent * depth; i++)
        ms_buf_addc(p->out, ' ');
}

static void print(const struct printer *p, const msgpack_object *val,
                  int depth);

static void print_array(const struct printer *p,
                        const msgpack_object_array *array, int depth)
{
    ms_buf_addc(p->out, '[');
    for (uint32_t i = 0; i < array->size; i++) {
        if (i > 0)
            ms_buf_addc(p->out, ',');
        new_line(p, depth + 1);
        print(p, &array->ptr[i], depth + 1);
    }
    if (array->size > 0)
        new_line(p, depth);
    ms_buf_addc(p->out, ']');
}

/* JSON knows keys of text alone: other ones stand as their own JSON, quoted. */
static void print_key(const struct printer *p, const msgpack_object *key)
{
    struct ms_buf text = MS_BUF_INIT;

    if (key->type == MSGPACK_OBJECT_STR || key->type == MSGPACK_OBJECT_BIN) {
        print(p, key, 0);
    } else {
        ms_val_to_json(key, &text);
        ms_json_add_str(p->out, text.data, text.len);
        ms_buf_done(&text);
    }
    ms_buf_adds(p->out, p->indent == 0 ? ":" : ": ");
}

static void print_map(const struct printer *p, const msgpack_object_map *map,
                      int depth)
{
    ms_buf_addc(p->out, '{');
    for (uint32_t i = 0; i < map->size; i++) {
        if (i > 0)
            ms_buf_addc(p->out, ',');
        new_line(p, depth + 1);
        print_key(p, &map->ptr[i].key);
        print(p, &map->ptr[i].val, depth + 1);
    }
    if (map->size > 0)
        new_line(p, depth);
    ms_buf_addc(p->out, '}');
}

static void print(const struct printer *p, const msgpack_object *val, int depth)
{
    switch (val->type) {
    case MSGPACK_OBJECT_BOOLEAN:
        ms_buf_adds(p->out, val->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        ms_buf_addf(p->out, "%" PRIu64, val->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        ms_buf_addf(p->out, "%" PRId64, val->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        ms_json_add_double(p->out, val->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        ms_json_add_str(p->out, val->via.str.ptr, val->via.str.size);
        break;
    case MSGPACK_OBJECT_BIN:
        ms_json_add_str(p->out, val->via.bin.ptr, val->via.bin.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        print_array(p, &val->via.array, depth);
        break;
    case MSGPACK_OBJECT_MAP:
        print_map(p, &val->via.map, depth);
        break;
    default:
        ms_buf_adds(p->out, "null");
    }
}

void ms_val_to_json(const msgpack_object *val, struct ms_buf *out)
{
    const struct printer p = {.out = out};

    print(&p, val, 0);
}

void ms_val_to_json_pretty(const msgpack_object *val, struct ms_buf *out)
{
    const struct printer p = {.out = out, .indent = 2};

    print(&p, val, 0);
}
