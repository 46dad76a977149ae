#include "common/conf_yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/yaml_json.h"

/* Where the walk is.  `option` grows and shrinks with it: "worker.grace". */
struct walk {
    yaml_document_t *document;
    const char *name;
    char option[200];
    const void *base;
    ms_conf_said_fn *said;
    void *arg;
    struct ms_error *error;
};

static enum ms_err complain(struct walk *w, const yaml_node_t *node,
                            const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum ms_err complain(struct walk *w, const yaml_node_t *node,
                            const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return ms_error_set(w->error, MS_EINVAL, "%s:%zu: %s%s%s", w->name,
                        node->start_mark.line + 1, w->option,
                        w->option[0] == '\0' ? "" : ": ", text);
}

/* Returns the length to give to leave(). */
static size_t enter(struct walk *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static size_t enter(struct walk *w, const char *format, ...)
{
    size_t len = strlen(w->option);
    va_list args;

    va_start(args, format);
    vsnprintf(w->option + len, sizeof(w->option) - len, format, args);
    va_end(args);
    return len;
}

static size_t enter_key(struct walk *w, const char *key)
{
    return enter(w, "%s%s", w->option[0] == '\0' ? "" : ".", key);
}

static void leave(struct walk *w, size_t len)
{
    w->option[len] = '\0';
}

static yaml_node_t *node_at(struct walk *w, int index)
{
    return yaml_document_get_node(w->document, index);
}

static const char *node_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; is_plain(node) && i < MS_COUNT_OF(words); i++)
        if (strcmp(node_text(node), words[i]) == 0)
            return true;
    return false;
}

static const char *type_name(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a map";
    default:
        return is_null(node) ? "null" : "a single value";
    }
}

static enum ms_err expect(struct walk *w, const yaml_node_t *node,
                          yaml_node_type_t type, const char *wanted)
{
    if (node->type != type)
        return complain(w, node, "must be %s, not %s", wanted, type_name(node));
    if (type == YAML_SCALAR_NODE &&
        strlen(node_text(node)) != node->data.scalar.length)
        return complain(w, node, "must not hold a NUL byte");
    return MS_OK;
}

/* ---- scalars and lists of strings ---- */

static bool wants_plain(const struct ms_field *field)
{
    return field->type == MS_FIELD_COUNT || field->type == MS_FIELD_FLAG ||
           field->type == MS_FIELD_BOOL || field->type == MS_FIELD_DOUBLE;
}

static enum ms_err walk_scalar(struct walk *w, const yaml_node_t *node,
                               const struct ms_field *field, void *base)
{
    struct ms_error why;
    enum ms_err err = expect(w, node, YAML_SCALAR_NODE, "a single value");

    if (err != MS_OK)
        return err;
    if (wants_plain(field) && !is_plain(node))
        return complain(w, node, "must not be quoted");
    err =
        ms_field_set(field, is_null(node) ? NULL : node_text(node), base, &why);
    return err == MS_OK ? MS_OK : complain(w, node, "%s", why.text);
}

/* Any value. */
static enum ms_err walk_json(struct walk *w, const yaml_node_t *node,
                             const struct ms_field *field, void *base)
{
    struct ms_buf json = MS_BUF_INIT;
    const yaml_node_t *where = node;
    struct ms_error why;
    enum ms_err err = ms_yaml_to_json(w->document, node, &json, &where, &why);

    if (err == MS_OK)
        err = ms_field_set(field, ms_buf_str(&json), base, &why);
    ms_buf_done(&json);
    return err == MS_OK ? MS_OK : complain(w, where, "%s", why.text);
}

static enum ms_err check_string(const struct ms_field *field, const char *text,
                                struct ms_error *why)
{
    if (field->type == MS_FIELD_NAMES)
        return ms_name_check("the value", text, why);
    return field->type == MS_FIELD_KINDS ? ms_kind_check(text, why) : MS_OK;
}

static enum ms_err walk_strings(struct walk *w, const yaml_node_t *node,
                                const struct ms_field *field, char ***list)
{
    yaml_node_item_t *item;
    struct ms_error why;
    enum ms_err err = expect(w, node, YAML_SEQUENCE_NODE, "a list");

    if (err != MS_OK)
        return err;
    for (item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = node_at(w, *item);

        err = expect(w, one, YAML_SCALAR_NODE, "a list of single values");
        if (err != MS_OK)
            return err;
        if (check_string(field, node_text(one), &why) != MS_OK)
            return complain(w, one, "%s", why.text);
        if (field->type == MS_FIELD_TEXTS ||
            !ms_strings_have(*list, node_text(one)))
            *list = ms_strings_add(*list, node_text(one));
    }
    if (field->required && (*list)[0] == NULL)
        return complain(w, node, "must not be empty");
    return MS_OK;
}

/* { NAME: value } as "NAME=value". */
static enum ms_err walk_pairs(struct walk *w, const yaml_node_t *node,
                              char ***list)
{
    yaml_node_pair_t *pair;
    enum ms_err err = expect(w, node, YAML_MAPPING_NODE, "a map");

    if (err != MS_OK)
        return err;
    for (pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(w, pair->key);
        const yaml_node_t *val = node_at(w, pair->value);
        char *both;

        if (expect(w, key, YAML_SCALAR_NODE, "a map of strings") != MS_OK ||
            expect(w, val, YAML_SCALAR_NODE, "a map of strings") != MS_OK)
            return MS_EINVAL;
        if (node_text(key)[0] == '\0' || strchr(node_text(key), '='))
            return complain(w, key, "'%.60s' is no name of a variable",
                            node_text(key));
        both = ms_xasprintf("%s=%s", node_text(key), node_text(val));
        *list = ms_strings_add(*list, both);
        free(both);
    }
    return MS_OK;
}

/* What is only checked goes into a list that is thrown away. */
static enum ms_err walk_list(struct walk *w, const yaml_node_t *node,
                             const struct ms_field *field, void *base)
{
    char **list = ms_strings_new();
    enum ms_err err = MS_OK;

    if (is_null(node) && !field->required)
        ; /* an empty list, spelt `key:` with its entries commented out */
    else if (field->type == MS_FIELD_PAIRS)
        err = walk_pairs(w, node, &list);
    else
        err = walk_strings(w, node, field, &list);
    if (err == MS_OK && base != NULL && field->at != MS_FIELD_NOWHERE) {
        char ***place = (char ***)((char *)base + field->at);

        ms_strings_free(*place);
        *place = list;
        list = NULL;
    }
    ms_strings_free(list);
    return err;
}

/* ---- maps and lists of maps ---- */

static enum ms_err walk_field(struct walk *w, const yaml_node_t *node,
                              const struct ms_field *field, void *base);

/* The value of `key` in a map, NULL where it is missing. */
static yaml_node_t *map_get(struct walk *w, const yaml_node_t *map,
                            const char *key)
{
    yaml_node_pair_t *pair;

    for (pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *node = node_at(w, pair->key);

        if (node->type == YAML_SCALAR_NODE && strcmp(node_text(node), key) == 0)
            return node_at(w, pair->value);
    }
    return NULL;
}

static enum ms_err check_required(struct walk *w, const yaml_node_t *map,
                                  const struct ms_field *fields)
{
    for (; fields->name != NULL; fields++)
        if (fields->required && map_get(w, map, fields->name) == NULL)
            return complain(w, map, "'%s' is missing", fields->name);
    return MS_OK;
}

static enum ms_err walk_pair(struct walk *w, const yaml_node_t *map,
                             const yaml_node_pair_t *pair,
                             const struct ms_field *fields, void *base)
{
    const yaml_node_t *key = node_at(w, pair->key);
    const struct ms_field *field;
    enum ms_err err = expect(w, key, YAML_SCALAR_NODE, "a map of options");
    size_t len;

    if (err != MS_OK)
        return err;
    field = ms_field_find(fields, node_text(key), key->data.scalar.length);
    if (field == NULL)
        return complain(w, key, "unknown option '%.60s'", node_text(key));
    if (map_get(w, map, field->name) != node_at(w, pair->value))
        return complain(w, key, "'%s' is said twice", field->name);
    len = enter_key(w, field->name);
    if (base == w->base && w->said != NULL && field->at != MS_FIELD_NOWHERE)
        w->said(field->at, key->start_mark.line + 1, w->arg);
    err = walk_field(w, node_at(w, pair->value), field, base);
    leave(w, len);
    return err;
}

static enum ms_err walk_map(struct walk *w, const yaml_node_t *node,
                            const struct ms_field *fields, void *base)
{
    yaml_node_pair_t *pair;
    enum ms_err err = MS_OK;

    if (is_null(node)) /* `section:` with its options commented out */
        return MS_OK;
    err = expect(w, node, YAML_MAPPING_NODE, "a map");
    if (err != MS_OK)
        return err;
    for (pair = node->data.mapping.pairs.start;
         err == MS_OK && pair < node->data.mapping.pairs.top; pair++)
        err = walk_pair(w, node, pair, fields, base);
    return err;
}

/* Has an entry before the `i`th the same value for `field`? */
static enum ms_err check_unique(struct walk *w, const yaml_node_t *list,
                                size_t i, const struct ms_field *field)
{
    const yaml_node_item_t *items = list->data.sequence.items.start;
    const yaml_node_t *mine = map_get(w, node_at(w, items[i]), field->name);

    for (size_t k = 0; k < i; k++) {
        const yaml_node_t *other =
            map_get(w, node_at(w, items[k]), field->name);

        if (strcmp(node_text(other), node_text(mine)) == 0)
            return complain(w, mine, "another entry has the %s '%s'",
                            field->name, node_text(mine));
    }
    return MS_OK;
}

static enum ms_err walk_entry(struct walk *w, const yaml_node_t *list, size_t i,
                              const struct ms_field *fields, void *base)
{
    const yaml_node_t *node = node_at(w, list->data.sequence.items.start[i]);
    enum ms_err err = expect(w, node, YAML_MAPPING_NODE, "a map");

    if (err == MS_OK)
        err = check_required(w, node, fields);
    if (err == MS_OK)
        err = walk_map(w, node, fields, base);
    for (; err == MS_OK && fields->name != NULL; fields++)
        if (fields->unique)
            err = check_unique(w, list, i, fields);
    return err;
}

/* Room for one more struct, at its defaults; NULL where none are kept. */
static void *add_entry(const struct ms_field *field, void *base)
{
    char **entries;
    size_t *n;
    char *entry;

    if (base == NULL || field->at == MS_FIELD_NOWHERE)
        return NULL;
    entries = (char **)((char *)base + field->at);
    n = (size_t *)((char *)base + field->n_at);
    *entries = ms_xrealloc(*entries, (*n + 1) * field->size);
    entry = *entries + *n * field->size;
    memset(entry, 0, field->size);
    ms_fields_init(field->fields, entry);
    ++*n;
    return entry;
}

static enum ms_err walk_maps(struct walk *w, const yaml_node_t *node,
                             const struct ms_field *field, void *base)
{
    enum ms_err err = MS_OK;
    size_t n;

    if (is_null(node))
        return MS_OK;
    err = expect(w, node, YAML_SEQUENCE_NODE, "a list");
    if (err != MS_OK)
        return err;
    n = (size_t)(node->data.sequence.items.top -
                 node->data.sequence.items.start);
    for (size_t i = 0; err == MS_OK && i < n; i++) {
        size_t len = enter(w, "[%zu]", i);

        err = walk_entry(w, node, i, field->fields, add_entry(field, base));
        leave(w, len);
    }
    return err;
}

static enum ms_err walk_field(struct walk *w, const yaml_node_t *node,
                              const struct ms_field *field, void *base)
{
    switch (field->type) {
    case MS_FIELD_NAMES:
    case MS_FIELD_KINDS:
    case MS_FIELD_TEXTS:
    case MS_FIELD_PAIRS:
        return walk_list(w, node, field, base);
    case MS_FIELD_MAP:
        return walk_map(w, node, field->fields, base);
    case MS_FIELD_MAPS:
        return walk_maps(w, node, field, base);
    case MS_FIELD_ANYS:
        if (is_null(node))
            return MS_OK;
        return expect(w, node, YAML_SEQUENCE_NODE, "a list");
    case MS_FIELD_JSON:
        return walk_json(w, node, field, base);
    default:
        return walk_scalar(w, node, field, base);
    }
}

/* ---- the document ---- */

/* The text that is read, and by what. */
struct source {
    const char *name, *text;
    size_t len;
    yaml_parser_t parser;
};

static size_t line_at(const struct source *source, size_t offset)
{
    size_t line = 1;

    for (size_t i = 0; i < offset && i < source->len; i++)
        line += source->text[i] == '\n';
    return line;
}

/* What libyaml could not read.  For bytes that are no characters it has an
 * offset in place of a mark. */
static enum ms_err complain_yaml(const struct source *source,
                                 struct ms_error *error)
{
    const yaml_parser_t *parser = &source->parser;
    size_t line = parser->problem_mark.line + 1;

    if (parser->error == YAML_READER_ERROR)
        line = line_at(source, parser->problem_offset);
    return ms_error_set(error, MS_EINVAL, "%s:%zu: not YAML: %s", source->name,
                        line, parser->problem == NULL ? "?" : parser->problem);
}

static enum ms_err check_end(struct source *source, struct ms_error *error)
{
    yaml_document_t more;
    yaml_node_t *root;
    enum ms_err err = MS_OK;

    if (!yaml_parser_load(&source->parser, &more))
        return complain_yaml(source, error);
    root = yaml_document_get_root_node(&more);
    if (root != NULL)
        err = ms_error_set(error, MS_EINVAL, "%s:%zu: a second document",
                           source->name, root->start_mark.line + 1);
    yaml_document_delete(&more);
    return err;
}

enum ms_err ms_conf_yaml_read(const char *name, const char *text, size_t len,
                              const struct ms_field *table, void *base,
                              ms_conf_said_fn *said, void *arg,
                              struct ms_error *error)
{
    yaml_document_t document;
    struct walk w = {.document = &document,
                     .name = name,
                     .base = base,
                     .said = said,
                     .arg = arg,
                     .error = error};
    struct source source = {.name = name, .text = text, .len = len};
    yaml_node_t *root;
    enum ms_err err = MS_OK;

    ms_assert(yaml_parser_initialize(&source.parser));
    yaml_parser_set_input_string(&source.parser, (const unsigned char *)text,
                                 len);
    if (!yaml_parser_load(&source.parser, &document)) {
        err = complain_yaml(&source, error);
        goto out;
    }
    root = yaml_document_get_root_node(&document);
    if (root != NULL)
        err = walk_map(&w, root, table, base);
    if (root != NULL && err == MS_OK)
        err = check_end(&source, error);
    yaml_document_delete(&document);
out:
    yaml_parser_delete(&source.parser);
    return err;
}
