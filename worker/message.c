#include "worker/message.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/val.h"
#include "worker/frame.h"

/* More in one frame is no checkpoint of ours. */
#define REJECTS_MAX 100000

/* ---- writing ---- */

/* A frame under construction. */
struct writer {
    struct ms_buf *out;
    size_t at;
    msgpack_packer pack;
};

static void begin(struct writer *w, struct ms_buf *out,
                  enum ms_message_type type, size_t items)
{
    w->out = out;
    w->at = ms_frame_open(out);
    ms_val_packer_init(&w->pack, out);
    msgpack_pack_array(&w->pack, items + 1);
    msgpack_pack_int(&w->pack, (int)type);
}

static void end(struct writer *w)
{
    ms_frame_close(w->out, w->at);
}

static void put_int(struct writer *w, int64_t value)
{
    msgpack_pack_int64(&w->pack, value);
}

static void put_number(struct writer *w, uint64_t number)
{
    msgpack_pack_uint64(&w->pack, number);
}

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
    if (bytes == NULL) {
        msgpack_pack_nil(&w->pack);
        return;
    }
    msgpack_pack_bin(&w->pack, len);
    msgpack_pack_bin_body(&w->pack, bytes, len);
}

static void put_text(struct writer *w, const char *text)
{
    put_bytes(w, text, text == NULL ? 0 : strlen(text));
}

static void put_sums(struct writer *w, const struct ms_sum *sums, size_t n)
{
    msgpack_pack_array(&w->pack, 2 * n);
    for (size_t i = 0; i < n; i++) {
        put_text(w, sums[i].name);
        put_int(w, sums[i].value);
    }
}

void ms_message_put_hello(struct ms_buf *out, const struct ms_hello *hello)
{
    struct writer w;

    begin(&w, out, MS_MSG_HELLO, 5);
    put_text(&w, hello->build);
    put_text(&w, hello->pod);
    put_text(&w, hello->conf_path);
    put_text(&w, hello->redis_url);
    put_text(&w, hello->fleet);
    end(&w);
}

static void put_one_text(struct ms_buf *out, enum ms_message_type type,
                         const char *text)
{
    struct writer w;

    begin(&w, out, type, 1);
    put_text(&w, text);
    end(&w);
}

void ms_message_put_ready(struct ms_buf *out, const char *build)
{
    put_one_text(out, MS_MSG_READY, build);
}

void ms_message_put_refused(struct ms_buf *out, const char *why)
{
    put_one_text(out, MS_MSG_REFUSED, why);
}

void ms_message_put_job(struct ms_buf *out, uint64_t number,
                        const struct ms_held *held)
{
    struct writer w;

    begin(&w, out, MS_MSG_JOB, 14);
    put_number(&w, number);
    put_text(&w, held->id);
    put_text(&w, held->kind);
    put_text(&w, held->queue);
    put_bytes(&w, held->payload.data, held->payload.len);
    put_int(&w, held->json);
    put_int(&w, held->attempt);
    put_int(&w, held->fence);
    put_int(&w, held->timeout_ms);
    put_bytes(&w, held->cursor.data, held->cursor.len);
    put_int(&w, held->seq);
    put_sums(&w, held->sums, held->n_sums);
    put_text(&w, held->parent);
    put_int(&w, held->chunk);
    end(&w);
}

static void put_two(struct ms_buf *out, enum ms_message_type type,
                    uint64_t number, int64_t value)
{
    struct writer w;

    begin(&w, out, type, 2);
    put_number(&w, number);
    put_int(&w, value);
    end(&w);
}

void ms_message_put_stop(struct ms_buf *out, uint64_t number,
                         enum ms_stop reason)
{
    put_two(out, MS_MSG_STOP, number, reason);
}

void ms_message_put_committed(struct ms_buf *out, uint64_t number, int64_t seq)
{
    put_two(out, MS_MSG_COMMITTED, number, seq);
}

void ms_message_put_clock(struct ms_buf *out, uint64_t number, bool stopped)
{
    put_two(out, MS_MSG_CLOCK, number, stopped);
}

void ms_message_put_checkpoint(struct ms_buf *out, uint64_t number,
                               const struct ms_checkpoint *checkpoint)
{
    struct writer w;

    ms_assert(checkpoint->n_rejects <= REJECTS_MAX);
    begin(&w, out, MS_MSG_CHECKPOINT, 6);
    put_number(&w, number);
    put_int(&w, checkpoint->seq);
    put_bytes(&w, checkpoint->cursor.data, checkpoint->cursor.len);
    msgpack_pack_double(&w.pack, checkpoint->progress);
    put_sums(&w, checkpoint->sums, checkpoint->n_sums);
    msgpack_pack_array(&w.pack, 2 * checkpoint->n_rejects);
    for (size_t i = 0; i < checkpoint->n_rejects; i++) {
        put_int(&w, checkpoint->rejects[i].offset);
        put_text(&w, checkpoint->rejects[i].reason);
    }
    end(&w);
}

void ms_message_put_end(struct ms_buf *out, uint64_t number,
                        const struct ms_ending *ending, int64_t run_us)
{
    struct writer w;

    begin(&w, out, MS_MSG_END, 6);
    put_number(&w, number);
    put_int(&w, ending->outcome);
    put_bytes(&w, ending->result.data, ending->result.len);
    put_text(&w, ending->error);
    put_int(&w, ending->delay_ms);
    put_int(&w, run_us);
    end(&w);
}

/* ---- reading ---- */

/* What is left of a frame, taken item by item.  `bad` sticks, so that a message
 * is read straight through and judged once.  Read here and not by msgpack-c,
 * which believes any length that it is told and asks for the memory. */
struct items {
    const unsigned char *at, *end;
    uint32_t left; /* items of the array that we are in */
    struct ms_buf *texts;
    bool bad;
};

void ms_reader_init(struct ms_reader *reader)
{
    *reader = (struct ms_reader){.texts = MS_BUF_INIT};
}

void ms_reader_done(struct ms_reader *reader)
{
    ms_buf_done(&reader->texts);
}

/* The next `n` bytes, zeros where there are not as many. */
static const unsigned char *take_raw(struct items *items, size_t n)
{
    static const unsigned char zeros[8];
    const unsigned char *at = items->at;

    if (items->bad || (size_t)(items->end - at) < n) {
        items->bad = true;
        return n <= sizeof(zeros) ? zeros : NULL;
    }
    items->at += n;
    return at;
}

static uint64_t take_big_endian(struct items *items, size_t n)
{
    const unsigned char *p = take_raw(items, n);
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* The first byte of an item says what it is. */
static unsigned take_tag(struct items *items)
{
    if (items->left == 0)
        items->bad = true;
    else
        items->left--;
    return *take_raw(items, 1);
}

static int64_t read_int(struct items *items, unsigned tag)
{
    uint64_t wide;

    if (tag < 0x80)
        return (int64_t)tag;
    if (tag >= 0xe0)
        return (int8_t)tag;
    switch (tag) {
    case 0xcc:
    case 0xcd:
    case 0xce:
        return (int64_t)take_big_endian(items, (size_t)1 << (tag - 0xcc));
    case 0xcf:
        wide = take_big_endian(items, 8);
        items->bad |= wide > INT64_MAX;
        return (int64_t)wide;
    case 0xd0:
        return (int8_t)take_big_endian(items, 1);
    case 0xd1:
        return (int16_t)take_big_endian(items, 2);
    case 0xd2:
        return (int32_t)take_big_endian(items, 4);
    case 0xd3:
        return (int64_t)take_big_endian(items, 8);
    default:
        items->bad = true;
        return 0;
    }
}

static int64_t take_int(struct items *items, int64_t min, int64_t max)
{
    int64_t value = read_int(items, take_tag(items));

    if (value < min || value > max)
        items->bad = true;
    return items->bad ? min : value;
}

static double take_double(struct items *items)
{
    uint64_t bits;
    double value;

    if (take_tag(items) != 0xcb)
        items->bad = true;
    bits = take_big_endian(items, sizeof(bits));
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Bytes inside of the frame; NULL for nil. */
static const char *take_view(struct items *items, size_t *out_len)
{
    unsigned tag = take_tag(items);
    const unsigned char *view;
    size_t len = 0;

    *out_len = 0;
    if (tag >= 0xc4 && tag <= 0xc6)
        len = take_big_endian(items, (size_t)1 << (tag - 0xc4));
    else if (tag != 0xc0)
        items->bad = true;
    if (items->bad || tag == 0xc0)
        return NULL;
    view = take_raw(items, len);
    if (items->bad)
        return NULL;
    *out_len = len;
    return (const char *)view;
}

/* Enters an array; returns how many items it has. */
static uint32_t take_array(struct items *items)
{
    unsigned tag = take_tag(items);

    if (tag >= 0x90 && tag <= 0x9f)
        return tag & 0x0f;
    if (tag == 0xdc || tag == 0xdd)
        return (uint32_t)take_big_endian(items, tag == 0xdc ? 2 : 4);
    items->bad = true;
    return 0;
}

/* The same as a new one, with a NUL behind. */
static struct ms_bytes take_new(struct items *items)
{
    struct ms_bytes bytes;
    const char *view = take_view(items, &bytes.len);

    bytes.data = view == NULL ? NULL : ms_xstrndup(view, bytes.len);
    return bytes;
}

/* The same in the reader's memory, which has room for the whole frame and so
 * does not move. */
static struct ms_bytes take_kept(struct items *items)
{
    struct ms_bytes bytes = {NULL, 0};
    const char *view = take_view(items, &bytes.len);

    if (view == NULL)
        return bytes;
    ms_assert(items->texts->cap - items->texts->len > bytes.len);
    bytes.data = items->texts->data + items->texts->len;
    ms_buf_add(items->texts, view, bytes.len);
    ms_buf_addc(items->texts, '\0');
    return bytes;
}

static char *take_text(struct items *items)
{
    char *text = take_kept(items).data;

    if (text == NULL)
        items->bad = true;
    return text;
}

/* Into an array of chars, cut to fit. */
static void take_chars(struct items *items, char *out, size_t size)
{
    size_t len;
    const char *view = take_view(items, &len);

    if (view == NULL)
        items->bad = true;
    if (len >= size)
        len = size - 1;
    if (len > 0)
        memcpy(out, view, len);
    out[len] = '\0';
}

/* Enters an array of pairs: how many of them, at most `max`.  What is left of
 * the array around it goes to *out_left, for leave_pairs(). */
static size_t take_pairs(struct items *items, size_t max, uint32_t *out_left)
{
    uint32_t n = take_array(items);

    *out_left = items->left;
    if (n % 2 != 0 || n / 2 > max)
        items->bad = true;
    items->left = items->bad ? 0 : n;
    return items->left / 2;
}

static void leave_pairs(struct items *items, uint32_t left)
{
    items->left = left;
}

static size_t take_sums(struct items *items, struct ms_sum *out)
{
    uint32_t left;
    size_t n = take_pairs(items, MS_SUMS_MAX, &left);

    for (size_t i = 0; i < n; i++) {
        take_chars(items, out[i].name, sizeof(out[i].name));
        out[i].value = take_int(items, INT64_MIN, INT64_MAX);
    }
    leave_pairs(items, left);
    return n;
}

/* Grown as they come: a count alone is no reason to ask for memory. */
static void take_rejects(struct items *items, struct ms_checkpoint *out)
{
    uint32_t left;
    size_t n = take_pairs(items, REJECTS_MAX, &left), room = 0;

    for (size_t i = 0; i < n && !items->bad; i++) {
        if (i == room) {
            room = room == 0 ? 4 : 2 * room;
            out->rejects =
                ms_xrealloc(out->rejects, room * sizeof(*out->rejects));
        }
        out->rejects[i].offset = take_int(items, 0, INT64_MAX);
        take_chars(items, out->rejects[i].reason,
                   sizeof(out->rejects[i].reason));
        out->n_rejects = i + 1;
    }
    leave_pairs(items, left);
}

static void read_hello(struct items *items, struct ms_hello *hello)
{
    hello->build = take_text(items);
    hello->pod = take_text(items);
    hello->conf_path = take_kept(items).data;
    hello->redis_url = take_text(items);
    hello->fleet = take_text(items);
}

static void read_job(struct items *items, struct ms_held *job)
{
    *job = (struct ms_held){.state = MS_HELD_RUNNING};
    job->id = take_text(items);
    job->kind = take_text(items);
    job->queue = take_text(items);
    job->payload = take_kept(items);
    job->json = take_int(items, 0, 1) != 0;
    job->attempt = take_int(items, 0, INT64_MAX);
    job->fence = take_int(items, INT64_MIN, INT64_MAX);
    job->timeout_ms = take_int(items, INT64_MIN, INT64_MAX);
    job->cursor = take_kept(items);
    job->seq = take_int(items, 0, INT64_MAX);
    job->n_sums = take_sums(items, job->sums);
    job->parent = take_kept(items).data;
    job->chunk = take_int(items, INT64_MIN, INT64_MAX);
}

static void read_checkpoint(struct items *items, struct ms_checkpoint *out)
{
    *out = (struct ms_checkpoint){.seq = take_int(items, 0, INT64_MAX)};
    out->cursor = take_new(items);
    out->progress = take_double(items);
    out->n_sums = take_sums(items, out->sums);
    take_rejects(items, out);
}

static void read_end(struct items *items, struct ms_message *message)
{
    struct ms_ending *ending = &message->end.ending;

    ending->outcome = (enum ms_outcome)take_int(items, MS_DONE, MS_RELEASED);
    ending->result = take_new(items);
    take_chars(items, ending->error, sizeof(ending->error));
    ending->delay_ms = take_int(items, 0, INT64_MAX);
    ending->crashed = false;
    message->end.run_us = take_int(items, 0, INT64_MAX);
}

static void read_body(struct items *items, struct ms_message *message)
{
    if (message->type >= MS_MSG_JOB)
        message->number = (uint64_t)take_int(items, 1, INT64_MAX);
    switch (message->type) {
    case MS_MSG_HELLO:
        read_hello(items, &message->hello);
        break;
    case MS_MSG_READY:
    case MS_MSG_REFUSED:
        message->text = take_text(items);
        break;
    case MS_MSG_JOB:
        read_job(items, &message->job);
        break;
    case MS_MSG_STOP:
        message->stop =
            (enum ms_stop)take_int(items, MS_STOP_NONE, MS_STOP_LOST);
        break;
    case MS_MSG_COMMITTED:
        message->seq = take_int(items, 0, INT64_MAX);
        break;
    case MS_MSG_CLOCK:
        message->stopped = take_int(items, 0, 1) != 0;
        break;
    case MS_MSG_CHECKPOINT:
        read_checkpoint(items, &message->checkpoint);
        break;
    case MS_MSG_END:
        read_end(items, message);
        break;
    }
}

/* What the caller would have freed. */
static void drop(struct ms_message *message)
{
    if (message->type == MS_MSG_CHECKPOINT)
        ms_checkpoint_done(&message->checkpoint);
    else if (message->type == MS_MSG_END)
        free(message->end.ending.result.data);
}

int ms_message_peek(const char *body, size_t len)
{
    /* A short array and a small number take a byte each. */
    if (len < 2 || ((unsigned char)body[0] & 0xf0) != 0x90 || body[1] < 0 ||
        body[1] > MS_MSG_END)
        return -1;
    return body[1];
}

enum ms_err ms_message_read(struct ms_reader *reader, const char *body,
                            size_t len, struct ms_message **out_message,
                            struct ms_error *error)
{
    struct items items = {.at = (const unsigned char *)body,
                          .end = (const unsigned char *)body + len,
                          .left = 1,
                          .texts = &reader->texts};
    struct ms_message *message = &reader->message;
    int type = ms_message_peek(body, len);

    if (type < 0)
        return ms_error_set(error, MS_EPROTO, "a frame of no known type");
    ms_buf_clear(&reader->texts);
    if (type <= MS_MSG_JOB) /* has texts; a NUL for each one's header byte */
        ms_buf_reserve(&reader->texts, len + 1);
    items.left = take_array(&items);
    take_tag(&items); /* the type, seen already */
    message->type = (enum ms_message_type)type;
    read_body(&items, message);
    if (items.bad || items.left > 0 || items.at != items.end) {
        drop(message);
        return ms_error_set(error, MS_EPROTO,
                            "a frame of type %d with wrong items", type);
    }
    *out_message = message;
    return MS_OK;
}
