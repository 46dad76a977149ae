/*
 * deb2ndjson: Debian's package index as NDJSON, real data for the demo.
 *
 *     apt-cache dumpavail | deb2ndjson [COPIES]
 *
 * Each paragraph becomes one object: `id` is the package's name, and all of its
 * fields follow with lower-case names, the numbers among them as numbers.  With
 * several suites a name repeats: the second one's id ends in "#2".  With COPIES
 * the whole is written as often, under ids that begin with "2/", "3/" ... from
 * the second time on.  No id stands twice.
 */
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"

#define NAMES_MAX  2000000
#define COPIES_MAX 1000

/* One record: what stands behind `{"id":"`, in a run of all of them. */
struct record {
    size_t at, len;
};

struct records {
    struct ms_buf text;
    struct record *items;
    size_t n, cap;
};

/* A paragraph under way: pairs of pointers into `text` would move. */
struct paragraph {
    struct ms_buf text; /* "name\0value\0..." */
};

/* How often this name came until now, this time included. */
static int count_name(const char *name)
{
    ENTRY wanted = {.key = (char *)name}, *found = hsearch(wanted, FIND);

    if (found == NULL) {
        wanted.key = ms_xstrdup(name);
        found = hsearch(wanted, ENTER);
        ms_assert(found != NULL); /* more than NAMES_MAX */
    }
    found->data = (void *)((uintptr_t)found->data + 1);
    return (int)(uintptr_t)found->data;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static void write_value(struct ms_json *json, const char *value)
{
    size_t len = strlen(value);

    if (len > 0 && len < 16 && strspn(value, "0123456789") == len &&
        (value[0] != '0' || len == 1))
        ms_json_int(json, strtoll(value, NULL, 10));
    else
        ms_json_strn(json, value, len);
}

static const char *find(const struct paragraph *paragraph, const char *wanted)
{
    const char *at = paragraph->text.data;
    const char *end = at + paragraph->text.len;

    while (at < end) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, wanted) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

static void write_record(const struct paragraph *paragraph, const char *package,
                         struct ms_buf *out)
{
    const char *at = paragraph->text.data;
    const char *end = at + paragraph->text.len;
    struct ms_json json = ms_json_on(out);
    int nth = count_name(package);
    char *id =
        nth == 1 ? ms_xstrdup(package) : ms_xasprintf("%s#%d", package, nth);

    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, id);
    while (at < end) {
        const char *value = at + strlen(at) + 1;

        ms_json_key(&json, at);
        write_value(&json, value);
        at = value + strlen(value) + 1;
    }
    ms_json_close(&json);
    ms_buf_add(out, "\n", 1);
    free(id);
}

static void keep_record(struct records *records, size_t from)
{
    size_t skip = strlen("{\"id\":\"");

    if (records->n == records->cap) {
        records->cap = records->cap == 0 ? 1024 : records->cap * 2;
        records->items =
            ms_xrealloc(records->items, records->cap * sizeof(*records->items));
    }
    records->items[records->n++] =
        (struct record){.at = from + skip,
                        .len = records->text.len - from - skip};
}

static void end_paragraph(struct paragraph *paragraph, struct records *records)
{
    const char *package = find(paragraph, "package");
    size_t from = records->text.len;

    if (package != NULL && package[0] != '\0') {
        write_record(paragraph, package, &records->text);
        keep_record(records, from);
    }
    ms_buf_clear(&paragraph->text);
}

/* "Name: value" begins a field, a leading space goes on with the last one. */
static void add_line(struct paragraph *paragraph, char *line)
{
    struct ms_buf *text = &paragraph->text;
    char *colon = strchr(line, ':');

    if (line[0] == ' ' && text->len > 0) {
        text->len--; /* its NUL */
        ms_buf_add(text, "\n", 1);
        ms_buf_add(text, line + 1, strlen(line));
    } else if (line[0] != ' ' && colon != NULL) {
        *colon = '\0';
        lower(line);
        ms_buf_add(text, line, strlen(line) + 1);
        colon += 1 + strspn(colon + 1, " ");
        ms_buf_add(text, colon, strlen(colon) + 1);
    }
}

static void read_all(FILE *file, struct records *records)
{
    struct paragraph paragraph = {.text = MS_BUF_INIT};
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;

    while ((got = getline(&line, &cap, file)) > 0) {
        if (line[got - 1] == '\n')
            line[got - 1] = '\0';
        if (line[0] == '\0')
            end_paragraph(&paragraph, records);
        else
            add_line(&paragraph, line);
    }
    end_paragraph(&paragraph, records);
    ms_buf_done(&paragraph.text);
    free(line);
}

static void write_copy(const struct records *records, long copy)
{
    for (size_t i = 0; i < records->n; i++) {
        fputs("{\"id\":\"", stdout);
        if (copy > 1)
            printf("%ld/", copy);
        fwrite(records->text.data + records->items[i].at, 1,
               records->items[i].len, stdout);
    }
}

int main(int argc, char **argv)
{
    struct records records = {.text = MS_BUF_INIT};
    long copies = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

    if (argc > 2 || copies < 1 || copies > COPIES_MAX) {
        fprintf(stderr, "usage: deb2ndjson [COPIES, 1 to %d] < INDEX\n",
                COPIES_MAX);
        return 2;
    }
    ms_assert(hcreate(NAMES_MAX) != 0);
    read_all(stdin, &records);
    for (long copy = 1; copy <= copies; copy++)
        write_copy(&records, copy);
    free(records.items);
    ms_buf_done(&records.text);
    return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
