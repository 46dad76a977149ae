#include "common/val.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void ms_val_done(struct ms_val *val)
{
    if (val->zone != NULL)
        msgpack_zone_free(val->zone);
    *val = (struct ms_val){.root.type = MSGPACK_OBJECT_NIL};
}

/* ---- msgpack ---- */

/* Our own reader, because the library's stops at 32 levels and believes the
 * length that an array claims to have before its items are there. */
struct reader {
    const unsigned char *start, *p, *end;
    msgpack_zone *zone;
    const char *wrong; /* what is wrong at `p`; NULL: nothing yet */
};

static bool fail(struct reader *r, const char *wrong)
{
    r->wrong = wrong;
    return false;
}

static bool has(struct reader *r, uint64_t bytes)
{
    if ((uint64_t)(r->end - r->p) >= bytes)
        return true;
    return fail(r, "the bytes end inside a value");
}

/* A big-endian number of `width` bytes. */
static bool read_uint(struct reader *r, int width, uint64_t *out)
{
    uint64_t value = 0;

    if (!has(r, (uint64_t)width))
        return false;
    for (int i = 0; i < width; i++)
        value = value << 8 | *r->p++;
    *out = value;
    return true;
}

static void set_int(msgpack_object *out, int64_t value)
{
    if (value < 0) {
        out->type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
        out->via.i64 = value;
    } else {
        out->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
        out->via.u64 = (uint64_t)value;
    }
}

static bool read_float(struct reader *r, int width, msgpack_object *out)
{
    uint64_t bits;
    uint32_t low;
    float narrow;

    if (!read_uint(r, width, &bits))
        return false;
    if (width == 8) {
        out->type = MSGPACK_OBJECT_FLOAT64;
        memcpy(&out->via.f64, &bits, sizeof(bits));
        return true;
    }
    low = (uint32_t)bits;
    memcpy(&narrow, &low, sizeof(low));
    out->type = MSGPACK_OBJECT_FLOAT32;
    out->via.f64 = (double)narrow;
    return true;
}

static bool read_unsigned(struct reader *r, int width, msgpack_object *out)
{
    out->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
    return read_uint(r, width, &out->via.u64);
}

static bool read_signed(struct reader *r, int width, msgpack_object *out)
{
    uint64_t bits;
    int shift = 64 - 8 * width;

    if (!read_uint(r, width, &bits))
        return false;
    set_int(out, (int64_t)(bits << shift) >> shift);
    return true;
}

static bool take_bytes(struct reader *r, msgpack_object_type type, uint64_t len,
                       msgpack_object *out)
{
    if (!has(r, len))
        return false;
    out->type = type;
    if (type == MSGPACK_OBJECT_STR) {
        out->via.str.size = (uint32_t)len;
        out->via.str.ptr = (const char *)r->p;
    } else {
        out->via.bin.size = (uint32_t)len;
        out->via.bin.ptr = (const char *)r->p;
    }
    r->p += len;
    return true;
}

static bool take_ext(struct reader *r, uint64_t len, msgpack_object *out)
{
    if (!has(r, len + 1))
        return false;
    out->type = MSGPACK_OBJECT_EXT;
    out->via.ext.type = (int8_t)r->p[0];
    out->via.ext.size = (uint32_t)len;
    out->via.ext.ptr = (const char *)r->p + 1;
    r->p += len + 1;
    return true;
}

static bool read_object(struct reader *r, int depth, msgpack_object *out);

/* `n` objects in a row; each takes a byte at least, so that a length which
 * is a lie is seen before memory is taken for it. */
static msgpack_object *read_row(struct reader *r, uint64_t n, int depth)
{
    msgpack_object *row;

    if (depth >= MS_VAL_DEPTH) {
        fail(r, "nested more than 64 levels deep");
        return NULL;
    }
    if (!has(r, n))
        return NULL;
    row = msgpack_zone_malloc(r->zone, (n + 1) * sizeof(*row));
    ms_assert(row != NULL);
    for (uint64_t i = 0; i < n; i++)
        if (!read_object(r, depth + 1, &row[i]))
            return NULL;
    return row;
}

static bool take_array(struct reader *r, uint64_t n, int depth,
                       msgpack_object *out)
{
    out->type = MSGPACK_OBJECT_ARRAY;
    out->via.array.size = (uint32_t)n;
    out->via.array.ptr = read_row(r, n, depth);
    return out->via.array.ptr != NULL;
}

static bool take_map(struct reader *r, uint64_t n, int depth,
                     msgpack_object *out)
{
    _Static_assert(sizeof(msgpack_object_kv) == 2 * sizeof(msgpack_object),
                   "a map is a row of keys and values");

    out->type = MSGPACK_OBJECT_MAP;
    out->via.map.size = (uint32_t)n;
    out->via.map.ptr = (msgpack_object_kv *)read_row(r, 2 * n, depth);
    return out->via.map.ptr != NULL;
}

/* Tags 0xc4 and up whose length stands in the next bytes. */
static bool read_sized(struct reader *r, unsigned tag, int depth,
                       msgpack_object *out)
{
    static const struct {
        unsigned char first, width;
    } families[] = {{0xc4, 0}, {0xc7, 0}, {0xd9, 0}, {0xdc, 1}, {0xde, 1}};
    size_t i = MS_COUNT_OF(families) - 1;
    uint64_t len;

    while (tag < families[i].first)
        i--;
    if (!read_uint(r, 1 << (tag - families[i].first + families[i].width), &len))
        return false;
    switch (families[i].first) {
    case 0xc4:
        return take_bytes(r, MSGPACK_OBJECT_BIN, len, out);
    case 0xc7:
        return take_ext(r, len, out);
    case 0xd9:
        return take_bytes(r, MSGPACK_OBJECT_STR, len, out);
    case 0xdc:
        return take_array(r, len, depth, out);
    default:
        return take_map(r, len, depth, out);
    }
}

static bool read_tagged(struct reader *r, unsigned tag, int depth,
                        msgpack_object *out)
{
    switch (tag) {
    case 0xc0:
        out->type = MSGPACK_OBJECT_NIL;
        return true;
    case 0xc1:
        r->p--;
        return fail(r, "byte 0xc1 begins no value");
    case 0xc2:
    case 0xc3:
        out->type = MSGPACK_OBJECT_BOOLEAN;
        out->via.boolean = tag == 0xc3;
        return true;
    case 0xca:
    case 0xcb:
        return read_float(r, tag == 0xca ? 4 : 8, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_unsigned(r, 1 << (tag - 0xcc), out);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_signed(r, 1 << (tag - 0xd0), out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(r, 1u << (tag - 0xd4), out);
    default:
        return read_sized(r, tag, depth, out);
    }
}

static bool read_object(struct reader *r, int depth, msgpack_object *out)
{
    unsigned tag;

    if (!has(r, 1))
        return false;
    tag = *r->p++;
    if (tag < 0x80 || tag >= 0xe0) {
        set_int(out, (int8_t)tag);
        return true;
    }
    if (tag < 0x90)
        return take_map(r, tag & 0x0f, depth, out);
    if (tag < 0xa0)
        return take_array(r, tag & 0x0f, depth, out);
    if (tag < 0xc0)
        return take_bytes(r, MSGPACK_OBJECT_STR, tag & 0x1f, out);
    return read_tagged(r, tag, depth, out);
}

enum ms_err ms_val_from_msgpack(const void *bytes, size_t len,
                                struct ms_val *out_val, struct ms_error *error)
{
    struct ms_val val = {.zone = msgpack_zone_new(len + 1024)};
    struct reader r = {.zone = val.zone};
    unsigned char *copy;
    enum ms_err err = MS_OK;

    ms_assert(val.zone != NULL);
    copy = msgpack_zone_malloc_no_align(val.zone, len + 1);
    ms_assert(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    r.start = r.p = copy;
    r.end = copy + len;
    if (read_object(&r, 0, &val.root) && r.p != r.end)
        fail(&r, "more than one value");
    if (r.wrong != NULL)
        err = ms_error_set(error, MS_EPROTO, "offset %zu: %s",
                           (size_t)(r.p - r.start), r.wrong);
    if (err == MS_OK)
        *out_val = val;
    else
        ms_val_done(&val);
    return err;
}

static int write_to_buf(void *buf, const char *bytes, size_t len)
{
    ms_buf_add(buf, bytes, len);
    return 0;
}

void ms_val_packer_init(msgpack_packer *packer, struct ms_buf *out)
{
    msgpack_packer_init(packer, out, write_to_buf);
}

void ms_val_to_msgpack(const msgpack_object *val, struct ms_buf *out)
{
    msgpack_packer packer;

    ms_val_packer_init(&packer, out);
    ms_assert(msgpack_pack_object(&packer, *val) == 0);
}

/* ---- reading a map ---- */

bool ms_val_is_str(const msgpack_object *val, const char *text)
{
    size_t len = strlen(text);

    return val != NULL && val->type == MSGPACK_OBJECT_STR &&
           val->via.str.size == len && memcmp(val->via.str.ptr, text, len) == 0;
}

const msgpack_object *ms_val_get(const msgpack_object *map, const char *key)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    /* From the end: what others wrote as msgpack may hold a key twice. */
    for (uint32_t i = map->via.map.size; i > 0; i--)
        if (ms_val_is_str(&map->via.map.ptr[i - 1].key, key))
            return &map->via.map.ptr[i - 1].val;
    return NULL;
}

int64_t ms_val_int(const msgpack_object *map, const char *key, int64_t fallback)
{
    const msgpack_object *val = ms_val_get(map, key);

    if (val == NULL)
        return fallback;
    if (val->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return val->via.i64;
    if (val->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
        val->via.u64 <= INT64_MAX)
        return (int64_t)val->via.u64;
    return fallback;
}

double ms_val_double(const msgpack_object *map, const char *key,
                     double fallback)
{
    const msgpack_object *val = ms_val_get(map, key);

    if (val == NULL)
        return fallback;
    switch (val->type) {
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return val->via.f64;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return (double)val->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return (double)val->via.i64;
    default:
        return fallback;
    }
}

bool ms_val_bool(const msgpack_object *map, const char *key, bool fallback)
{
    const msgpack_object *val = ms_val_get(map, key);

    if (val == NULL || val->type != MSGPACK_OBJECT_BOOLEAN)
        return fallback;
    return val->via.boolean;
}

char *ms_val_strdup(const msgpack_object *map, const char *key)
{
    const msgpack_object *val = ms_val_get(map, key);

    if (val == NULL || val->type != MSGPACK_OBJECT_STR)
        return NULL;
    return ms_xstrndup(val->via.str.ptr, val->via.str.size);
}
