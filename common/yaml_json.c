#include "common/yaml_json.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/val.h"

#define LEN_MAX ((size_t)16 * 1024 * 1024) /* aliases can multiply */

struct writer {
    yaml_document_t *document;
    struct ms_buf *out;
    int depth;
    const yaml_node_t *where;
    struct ms_error *error;
};

static enum ms_err refuse(struct writer *w, const yaml_node_t *node,
                          const char *why)
{
    w->where = node;
    return ms_error_set(w->error, MS_EINVAL, "%s", why);
}

/* ---- scalars ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* What JSON calls a number; YAML's other spellings (0x1f, .5, +3) are none that
 * it could be written as. */
static bool is_number(const char *text)
{
    static const char digits[] = "0123456789";
    const char *p = text + (*text == '-');
    size_t n = strspn(p, digits);

    if (n == 0 || (n > 1 && *p == '0'))
        return false;
    p += n;
    if (*p == '.') {
        n = strspn(++p, digits);
        p += n;
        if (n == 0)
            return false;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        n = strspn(p, digits);
        p += n;
        if (n == 0)
            return false;
    }
    return *p == '\0';
}

static void write_scalar(struct writer *w, const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    const char *text = (const char *)node->data.scalar.value;
    size_t len = node->data.scalar.length;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                 strlen(text) == len;

    if (plain && is_one_of(text, nulls))
        ms_buf_adds(w->out, "null");
    else if (plain && is_one_of(text, yes))
        ms_buf_adds(w->out, "true");
    else if (plain && is_one_of(text, no))
        ms_buf_adds(w->out, "false");
    else if (plain && is_number(text))
        ms_buf_adds(w->out, text);
    else
        ms_json_add_str(w->out, text, len);
}

/* ---- lists and maps ---- */

static enum ms_err write_node(struct writer *w, const yaml_node_t *node);

static enum ms_err write_list(struct writer *w, const yaml_node_t *node)
{
    enum ms_err err = MS_OK;

    ms_buf_addc(w->out, '[');
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         err == MS_OK && item < node->data.sequence.items.top; item++) {
        if (item > node->data.sequence.items.start)
            ms_buf_addc(w->out, ',');
        err = write_node(w, yaml_document_get_node(w->document, *item));
    }
    ms_buf_addc(w->out, ']');
    return err;
}

static enum ms_err write_map(struct writer *w, const yaml_node_t *node)
{
    enum ms_err err = MS_OK;

    ms_buf_addc(w->out, '{');
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         err == MS_OK && pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(w->document, pair->key);

        if (key->type != YAML_SCALAR_NODE)
            return refuse(w, key, "a key must be a string");
        if (pair > node->data.mapping.pairs.start)
            ms_buf_addc(w->out, ',');
        ms_json_add_str(w->out, (const char *)key->data.scalar.value,
                        key->data.scalar.length);
        ms_buf_addc(w->out, ':');
        err = write_node(w, yaml_document_get_node(w->document, pair->value));
    }
    ms_buf_addc(w->out, '}');
    return err;
}

static enum ms_err write_node(struct writer *w, const yaml_node_t *node)
{
    enum ms_err err = MS_OK;

    if (w->depth >= MS_VAL_DEPTH)
        return refuse(w, node, "nested too deep");
    if (w->out->len > LEN_MAX)
        return refuse(w, node, "over 16 MiB as JSON");
    w->depth++;
    if (node->type == YAML_SEQUENCE_NODE)
        err = write_list(w, node);
    else if (node->type == YAML_MAPPING_NODE)
        err = write_map(w, node);
    else
        write_scalar(w, node);
    w->depth--;
    return err;
}

enum ms_err ms_yaml_to_json(yaml_document_t *document, const yaml_node_t *node,
                            struct ms_buf *out, const yaml_node_t **out_where,
                            struct ms_error *error)
{
    struct writer w = {.document = document,
                       .out = out,
                       .where = node,
                       .error = error};
    enum ms_err err = write_node(&w, node);

    *out_where = w.where;
    return err;
}
