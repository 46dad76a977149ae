#include "tests/support/tree.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define NODES_MAX 4096
#define BYTES_MAX 65536
#define ITEMS_MAX 1024 /* of one array */

static struct ms_reply nodes[NODES_MAX];
static char bytes[BYTES_MAX];
static size_t n_nodes, n_bytes;

static const char *keep(const char *text, size_t len)
{
    char *copy = bytes + n_bytes;

    ms_assert(n_bytes + len + 1 <= BYTES_MAX);
    memcpy(copy, text, len);
    copy[len] = '\0';
    n_bytes += len + 1;
    return copy;
}

static const char *parse_word(const char *at, struct ms_reply *out)
{
    bool is_quoted = *at == '\'';
    const char *from = at + is_quoted;
    size_t len = strcspn(from, is_quoted ? "'" : " ()");
    char *end;

    out->str = keep(from, len);
    out->len = len;
    out->num = strtoll(out->str, &end, 10);
    out->type = MS_REPLY_STR;
    if (!is_quoted && len > 0 && *end == '\0')
        out->type = MS_REPLY_INT;
    else if (!is_quoted && strcmp(out->str, "nil") == 0)
        out->type = MS_REPLY_NIL;
    else if (!is_quoted && out->str[0] == '!')
        *out = (struct ms_reply){.type = MS_REPLY_ERROR,
                                 .str = out->str + 1,
                                 .len = len - 1};
    return from + len + is_quoted;
}

static const char *parse(const char *at, struct ms_reply *out)
{
    struct ms_reply items[ITEMS_MAX];
    size_t n = 0;

    memset(out, 0, sizeof(*out));
    if (*at != '(')
        return parse_word(at, out);
    for (at++; *at != ')';) {
        ms_assert(*at != '\0' && n < ITEMS_MAX);
        if (*at == ' ')
            at++;
        else
            at = parse(at, &items[n++]);
    }
    ms_assert(n_nodes + n <= NODES_MAX);
    memcpy(nodes + n_nodes, items, n * sizeof(*items));
    out->type = MS_REPLY_ARRAY;
    out->items = nodes + n_nodes;
    out->n_items = n;
    n_nodes += n;
    return at + 1;
}

const struct ms_reply *ms_test_tree(const char *text)
{
    static struct ms_reply root;

    n_nodes = 0;
    n_bytes = 0;
    parse(text, &root);
    return &root;
}
