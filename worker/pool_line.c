#include "worker/pool_line.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "worker/text.h"

/* ---- to the child ---- */

/* Line ends between JSON's tokens mean as much as a space; inside of a string
 * there are none. */
static void put_raw(struct ms_json *json, const struct ms_bytes *payload)
{
    struct ms_buf text = MS_BUF_INIT;

    ms_buf_add(&text, payload->data, payload->len);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n' || text.data[i] == '\r')
            text.data[i] = ' ';
    ms_json_raw(json, text.data, text.len);
    ms_buf_done(&text);
}

static void put_cursor(struct ms_json *json, const struct ms_bytes *cursor)
{
    struct ms_val val = {.zone = NULL};

    if (cursor->len > 0 &&
        ms_val_from_msgpack(cursor->data, cursor->len, &val, NULL) == MS_OK)
        ms_json_val(json, &val.root);
    else
        ms_json_null(json);
    ms_val_done(&val);
}

void ms_pool_line_job(const struct ms_held *job, const msgpack_object *payload,
                      struct ms_buf *out)
{
    struct ms_json json = ms_json_on(out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, job->id);
    ms_json_key(&json, "queue");
    ms_json_str(&json, job->queue);
    ms_json_key(&json, "kind");
    ms_json_str(&json, job->kind);
    ms_json_key(&json, "payload");
    if (job->json && job->payload.len > 0)
        put_raw(&json, &job->payload);
    else
        ms_json_val(&json, payload);
    ms_json_key(&json, "attempt");
    ms_json_int(&json, job->attempt);
    ms_json_key(&json, "fence");
    ms_json_int(&json, job->fence);
    ms_json_key(&json, "cursor");
    put_cursor(&json, &job->cursor);
    ms_json_close(&json);
    ms_buf_addc(out, '\n');
}

/* ---- from the child ---- */

static bool is_null(const msgpack_object *val)
{
    return val == NULL || val->type == MSGPACK_OBJECT_NIL;
}

/* False unless it is a number. */
static bool read_number(const msgpack_object *val, double *out)
{
    switch (val->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *out = (double)val->via.u64;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *out = (double)val->via.i64;
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *out = val->via.f64;
        return isfinite(*out);
    default:
        return false;
    }
}

static enum ms_err check_id(const msgpack_object *root, const char *id,
                            struct ms_error *error)
{
    const msgpack_object *said = ms_val_get(root, "id");
    char shown[80] = "?";

    if (said == NULL)
        return ms_error_set(error, MS_EPROTO, "wrote a line without an id");
    if (ms_val_is_str(said, id))
        return MS_OK;
    if (said->type == MSGPACK_OBJECT_STR)
        snprintf(shown, sizeof(shown), "%.*s", (int)said->via.str.size,
                 said->via.str.ptr);
    ms_text_scrub(shown, strlen(shown));
    return ms_error_set(error, MS_EPROTO, "wrote a line of another job, '%s'",
                        shown);
}

static enum ms_err read_progress(const msgpack_object *root,
                                 struct ms_pool_word *word,
                                 struct ms_error *error)
{
    const msgpack_object *progress = ms_val_get(root, "progress");
    const msgpack_object *cursor = ms_val_get(root, "cursor");

    if (is_null(progress) && is_null(cursor))
        return ms_error_set(error, MS_EPROTO,
                            "wrote a line with neither status nor progress "
                            "nor cursor");
    word->cursor = is_null(cursor) ? NULL : cursor;
    if (is_null(progress))
        return MS_OK;
    if (!read_number(progress, &word->progress))
        return ms_error_set(error, MS_EPROTO,
                            "wrote a progress that is no number");
    word->progress = fmin(fmax(word->progress, 0), 1);
    return MS_OK;
}

static void read_message(const msgpack_object *root, struct ms_pool_word *word)
{
    const msgpack_object *message = ms_val_get(root, "message");
    size_t len = 0;

    if (message != NULL && message->type == MSGPACK_OBJECT_STR) {
        len = message->via.str.size;
        if (len > sizeof(word->message) - 1)
            len = sizeof(word->message) - 1;
        memcpy(word->message, message->via.str.ptr, len);
    }
    word->message[len] = '\0';
    ms_text_scrub(word->message, len);
}

static const struct {
    const char *word;
    enum ms_outcome outcome;
} statuses[] = {{"ok", MS_DONE},
                {"error", MS_FAILED},
                {"dead", MS_DEAD},
                {"throttled", MS_THROTTLED}};

static enum ms_err read_last(const msgpack_object *root,
                             const msgpack_object *status,
                             struct ms_pool_word *word, struct ms_error *error)
{
    const msgpack_object *result = ms_val_get(root, "result");
    const msgpack_object *after = ms_val_get(root, "retry_after_s");
    double seconds = 0;
    size_t i = 0;

    while (i < MS_COUNT_OF(statuses) &&
           !ms_val_is_str(status, statuses[i].word))
        i++;
    if (i == MS_COUNT_OF(statuses))
        return ms_error_set(error, MS_EPROTO,
                            "wrote a status that is none of ok, error, dead "
                            "and throttled");
    word->is_last = true;
    word->outcome = statuses[i].outcome;
    word->result = is_null(result) ? NULL : result;
    read_message(root, word);
    if (!is_null(after) && (!read_number(after, &seconds) || seconds < 0))
        return ms_error_set(error, MS_EPROTO,
                            "wrote a retry_after_s that is no number of "
                            "seconds");
    word->delay_ms = (int64_t)(fmin(seconds, 86400) * 1000);
    return MS_OK;
}

static enum ms_err read_word(const msgpack_object *root, const char *id,
                             struct ms_pool_word *word, struct ms_error *error)
{
    const msgpack_object *status;
    enum ms_err err;

    if (root->type != MSGPACK_OBJECT_MAP)
        return ms_error_set(error, MS_EPROTO,
                            "wrote a line that is no JSON object");
    err = check_id(root, id, error);
    if (err != MS_OK)
        return err;
    status = ms_val_get(root, "status");
    return is_null(status) ? read_progress(root, word, error)
                           : read_last(root, status, word, error);
}

enum ms_err ms_pool_line_read(const char *text, size_t len, const char *id,
                              struct ms_pool_word *out_word,
                              struct ms_error *error)
{
    struct ms_pool_word word = {.progress = -1, .outcome = MS_FAILED};
    struct ms_error why;
    enum ms_err err;

    if (ms_val_from_json(text, len, &word.val, &why) != MS_OK)
        return ms_error_set(error, MS_EPROTO,
                            "wrote a line that is no JSON (%s)", why.text);
    err = read_word(&word.val.root, id, &word, error);
    if (err != MS_OK) {
        ms_val_done(&word.val);
        return err;
    }
    *out_word = word; /* the objects lie in the zone, not in here */
    return MS_OK;
}

void ms_pool_word_done(struct ms_pool_word *word)
{
    ms_val_done(&word->val);
}
