#include "common/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static const struct ms_reply nil = {.type = MS_REPLY_NIL};

const struct ms_reply *ms_reply_at(const struct ms_reply *reply, size_t i)
{
    if (reply->type != MS_REPLY_ARRAY || i >= reply->n_items)
        return &nil;
    return &reply->items[i];
}

const char *ms_reply_str(const struct ms_reply *reply, const char *fallback)
{
    return reply->type == MS_REPLY_STR ? reply->str : fallback;
}

const char *ms_reply_error(const struct ms_reply *reply)
{
    return reply->type == MS_REPLY_ERROR ? reply->str : "";
}

int64_t ms_reply_int(const struct ms_reply *reply, int64_t fallback)
{
    char *end;
    long long number;

    if (reply->type == MS_REPLY_INT)
        return reply->num;
    if (reply->type != MS_REPLY_STR || reply->len == 0 ||
        strchr("-0123456789", reply->str[0]) == NULL) /* no space, no plus */
        return fallback;
    errno = 0;
    number = strtoll(reply->str, &end, 10);
    if (errno != 0 || end != reply->str + reply->len || end[-1] == '-')
        return fallback;
    return number;
}

static bool equals(const struct ms_reply *reply, const char *word, size_t len)
{
    return reply->type == MS_REPLY_STR && reply->len == len &&
           memcmp(reply->str, word, len) == 0;
}

bool ms_reply_is(const struct ms_reply *reply, const char *word)
{
    return equals(reply, word, strlen(word));
}

const struct ms_reply *ms_reply_field(const struct ms_reply *pairs,
                                      const char *field)
{
    size_t len = strlen(field);

    if (pairs->type != MS_REPLY_ARRAY)
        return &nil;
    for (size_t i = 0; i + 1 < pairs->n_items; i += 2)
        if (equals(&pairs->items[i], field, len))
            return &pairs->items[i + 1];
    return &nil;
}

/* A copy is one block: all nodes in front, their texts behind. */
static void measure(const struct ms_reply *reply, size_t *nodes, size_t *bytes)
{
    *nodes += 1;
    if (reply->type == MS_REPLY_STR || reply->type == MS_REPLY_ERROR)
        *bytes += reply->len + 1;
    if (reply->type != MS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < reply->n_items; i++)
        measure(&reply->items[i], nodes, bytes);
}

struct block {
    struct ms_reply *nodes;
    char *bytes;
};

static void copy_into(struct block *block, struct ms_reply *to,
                      const struct ms_reply *from)
{
    struct ms_reply *items;

    *to = *from;
    if (from->type == MS_REPLY_STR || from->type == MS_REPLY_ERROR) {
        to->str = block->bytes;
        memcpy(block->bytes, from->str, from->len);
        block->bytes[from->len] = '\0';
        block->bytes += from->len + 1;
    }
    if (from->type != MS_REPLY_ARRAY)
        return;
    items = block->nodes;
    block->nodes += from->n_items;
    to->items = items;
    for (size_t i = 0; i < from->n_items; i++)
        copy_into(block, &items[i], &from->items[i]);
}

struct ms_reply *ms_reply_copy(const struct ms_reply *reply)
{
    size_t nodes = 0;
    size_t bytes = 0;
    struct ms_reply *copy;
    struct block block;

    measure(reply, &nodes, &bytes);
    copy = ms_xmalloc(nodes * sizeof(*copy) + bytes);
    block.nodes = copy + 1;
    block.bytes = (char *)(copy + nodes);
    copy_into(&block, copy, reply);
    return copy;
}

void ms_reply_free(struct ms_reply *reply)
{
    free(reply);
}

static const struct {
    const char *code;
    enum ms_err err;
} classes[] = {
    {"OOM", MS_EFULL},
    {"MISCONF", MS_EFULL},
    {"LOADING", MS_ELOADING},
    {"MASTERDOWN", MS_ELOADING},
    {"READONLY", MS_EREADONLY},
    {"BUSY", MS_EBUSY},
    {"NOREPLICAS", MS_EBUSY},
    {"NOAUTH", MS_EAUTH},
    {"WRONGPASS", MS_EAUTH},
    {"NOPERM", MS_EAUTH},
    {"MOVED", MS_EMOVED},
    {"ASK", MS_EMOVED},
    {"TRYAGAIN", MS_EMOVED},
    {"CLUSTERDOWN", MS_EDOWN},
    {"ERR max number of clients", MS_EBUSY},
};

static enum ms_err classify(const char *text)
{
    for (size_t i = 0; i < MS_COUNT_OF(classes); i++) {
        size_t len = strlen(classes[i].code);

        if (strncmp(text, classes[i].code, len) == 0 &&
            (text[len] == ' ' || text[len] == '\0'))
            return classes[i].err;
    }
    return MS_ESCRIPT;
}

enum ms_err ms_reply_classify(const char *error_text)
{
    const char *inner;

    /* Before version 7 Redis wrapped what a script met:
     * "ERR Error running script (call to f_1b...): @user_script:3: -OOM ..." */
    if (strncmp(error_text, "ERR Error running script", 24) == 0) {
        inner = strstr(error_text, ": -");
        if (inner != NULL)
            return classify(inner + 3);
    }
    return classify(error_text);
}
