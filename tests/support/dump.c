#include "tests/support/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "tests/support/ctl.h"

#define END_MS 120000 /* far more than any import here takes */

void ms_dump_init(struct ms_dump *dump, const char *name)
{
    memset(dump, 0, sizeof(*dump));
    dump->name = ms_xstrdup(name);
    dump->path = ms_xasprintf("%s/%s.ndjson", ms_test_dir(), name);
}

void ms_dump_done(struct ms_dump *dump)
{
    free(dump->name);
    free(dump->path);
    ms_buf_done(&dump->bytes);
    ms_buf_done(&dump->docs);
    memset(dump, 0, sizeof(*dump));
}

/* ---- lines ---- */

void ms_dump_raw(struct ms_dump *dump, const void *bytes, size_t len)
{
    ms_buf_add(&dump->bytes, bytes, len);
}

static void add_line(struct ms_dump *dump, const char *text, size_t len,
                     const char *end)
{
    ms_dump_raw(dump, text, len);
    ms_dump_raw(dump, end, strlen(end));
    dump->n_lines++;
}

void ms_dump_shadowed(struct ms_dump *dump, const char *text, const char *end)
{
    size_t len = strlen(text);

    add_line(dump, text, len, end);
    dump->n_docs++;
    dump->checksum += XXH3_64bits(text, len);
}

void ms_dump_doc(struct ms_dump *dump, const char *text, const char *end)
{
    ms_dump_shadowed(dump, text, end);
    ms_buf_adds(&dump->docs, text);
    ms_buf_addc(&dump->docs, '\n');
}

void ms_dump_bad(struct ms_dump *dump, const char *text, size_t len,
                 const char *end)
{
    add_line(dump, text, len, end);
    dump->n_rejected++;
}

void ms_dump_empty(struct ms_dump *dump, const char *end)
{
    add_line(dump, "", 0, end);
}

static uint64_t next_random(struct ms_dump *dump)
{
    dump->seed = dump->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return dump->seed >> 33;
}

void ms_dump_many(struct ms_dump *dump, int n, size_t size)
{
    static const char *const words[] = {"alpha ",
                                        "Stra\xC3\x9F"
                                        "e ",
                                        "\xE6\x97\xA5\xE6\x9C\xAC ",
                                        "\xF0\x9F\x90\x98",
                                        "\\u00e9\\n",
                                        "x"};
    struct ms_buf text = MS_BUF_INIT;

    for (int i = 0; i < n; i++) {
        size_t len = 1 + next_random(dump) % (2 * size);

        ms_buf_clear(&text);
        ms_buf_addf(&text, "{\"id\":\"%s-%lld\",\"text\":\"", dump->name,
                    (long long)dump->n_lines);
        for (size_t from = text.len; text.len - from < len;)
            ms_buf_adds(&text, words[next_random(dump) % MS_COUNT_OF(words)]);
        ms_buf_adds(&text, "\"}");
        ms_dump_doc(dump, ms_buf_str(&text), "\n");
    }
    ms_buf_done(&text);
}

void ms_dump_write(struct ms_dump *dump)
{
    FILE *file = fopen(dump->path, "we");

    CHECK(file != NULL);
    if (dump->bytes.len > 0) /* an empty buffer has no bytes to point at */
        CHECK_INT(fwrite(dump->bytes.data, 1, dump->bytes.len, file), ==,
                  dump->bytes.len);
    CHECK_INT(fclose(file), ==, 0);
}

/* ---- the import ---- */

void ms_dump_import(struct ms_dump *dump, struct ms_test_fleet *fleet,
                    const char *words)
{
    ms_dump_write(dump);
    if (ms_test_ctl(fleet, "--json dump import %s --dataset %s %s", dump->path,
                    dump->name, words) != 0)
        fail_msg("dump import: %s", ms_test_ctl_stderr());
    CHECK_STR(ms_test_ctl_field("queue"), MS_DUMP_QUEUE);
    snprintf(dump->id, sizeof(dump->id), "%s", ms_test_ctl_field("id"));
    CHECK(dump->id[0] != '\0');
}

static int64_t number(const char *text)
{
    return strcmp(text, "(nil)") == 0 ? 0 : atoll(text);
}

int64_t ms_dump_tally(const struct ms_dump *dump, struct ms_test_fleet *fleet,
                      const char *field)
{
    return number(ms_test_text(fleet->redis, "HGET " MS_DUMP_Q("tally:%s %s"),
                               dump->id, field));
}

const char *ms_dump_field(const struct ms_dump *dump,
                          struct ms_test_fleet *fleet, const char *field)
{
    return ms_test_text(fleet->redis, "HGET " MS_DUMP_Q("job:%s %s"), dump->id,
                        field);
}

const char *ms_dump_chunk_field(const struct ms_dump *dump,
                                struct ms_test_fleet *fleet, int64_t n,
                                const char *field)
{
    return ms_test_text(fleet->redis, "HGET " MS_DUMP_Q("job:%s.%lld %s"),
                        dump->id, (long long)n, field);
}

bool ms_dump_is(const struct ms_dump *dump, struct ms_test_fleet *fleet,
                const char *state)
{
    return strcmp(ms_dump_field(dump, fleet, "state"), state) == 0;
}

int64_t ms_dump_stat(struct ms_test_fleet *fleet, const char *name)
{
    return number(
        ms_test_text(fleet->redis, "HGET " MS_DUMP_Q("stats %s"), name));
}

const char *ms_dump_show(const struct ms_dump *dump,
                         struct ms_test_fleet *fleet, const char *path)
{
    struct ms_ctl_run run = {0};
    const char *text;

    if (ms_test_ctl(fleet, "--json dump show %s", dump->id) != 0)
        fail_msg("dump show: %s", ms_test_ctl_stderr());
    CHECK_INT(ms_val_from_json(ms_test_ctl_stdout(),
                               strlen(ms_test_ctl_stdout()), &run.json, NULL),
              ==, MS_OK);
    text = ms_ctl_at(&run, path);
    ms_val_done(&run.json);
    return text;
}

int64_t ms_dump_show_num(const struct ms_dump *dump,
                         struct ms_test_fleet *fleet, const char *path)
{
    const char *text = ms_dump_show(dump, fleet, path);
    char *end;
    long long value = strtoll(text, &end, 10);

    if (*end != '\0')
        fail_msg("dump show: %s is '%s', no number", path, text);
    return value;
}

/* ---- what came of it ---- */

struct line {
    const char *text;
    size_t len;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* The lines of a text in order; for free(). */
static struct line *sort_lines(const char *text, size_t len, size_t *out_n)
{
    const char *end = text + len;
    struct line *lines;
    size_t n = 0;

    for (const char *at = text; at < end; at++)
        n += *at == '\n';
    lines = ms_xcalloc(n + 1, sizeof(*lines));
    *out_n = n;
    for (size_t i = 0; i < n; i++) {
        const char *lf = memchr(text, '\n', (size_t)(end - text));

        lines[i] = (struct line){text, (size_t)(lf - text)};
        text = lf + 1;
    }
    qsort(lines, n, sizeof(*lines), compare_lines);
    return lines;
}

/* Names the first that is here and not there. */
static void compare_docs(const struct line *want, size_t n_want,
                         const struct line *got, size_t n_got)
{
    size_t i = 0;

    while (i < n_want && i < n_got && compare_lines(&want[i], &got[i]) == 0)
        i++;
    if (i == n_want && i == n_got)
        return;
    if (i < n_want)
        print_error("expected: %.*s\n", (int)want[i].len, want[i].text);
    if (i < n_got)
        print_error("came:     %.*s\n", (int)got[i].len, got[i].text);
    fail_msg("%zu documents instead of %zu, the %zu. differs", n_got, n_want,
             i + 1);
}

static void read_file(const char *path, struct ms_buf *out)
{
    FILE *file = fopen(path, "re");
    size_t got;

    CHECK(file != NULL);
    do {
        got = fread(ms_buf_reserve(out, 65536), 1, 65536, file);
        out->len += got;
    } while (got > 0);
    fclose(file);
}

void ms_dump_check_docs(const struct ms_dump *dump, struct ms_test_fleet *fleet)
{
    char *path = ms_xasprintf("%s.out", dump->path);
    struct ms_buf export = MS_BUF_INIT;
    struct line *want, *got;
    size_t n_want, n_got;

    if (ms_test_ctl(fleet, "dataset export %s --to %s", dump->name, path) != 0)
        fail_msg("dataset export: %s", ms_test_ctl_stderr());
    read_file(path, &export);
    want = sort_lines(ms_buf_str((struct ms_buf *)&dump->docs), dump->docs.len,
                      &n_want);
    got = sort_lines(ms_buf_str(&export), export.len, &n_got);
    compare_docs(want, n_want, got, n_got);
    free(want);
    free(got);
    ms_buf_done(&export);
    remove(path);
    free(path);
}

void ms_dump_check_keys(struct ms_test_fleet *fleet)
{
    char *path = ms_xstrdup(MS_TEST_SOURCE_DIR "/tests/support/invariants.lua");
    struct ms_buf script = MS_BUF_INIT;
    const struct ms_reply *wrong;

    read_file(path, &script);
    wrong = ms_test_cmd(fleet->redis, "EVAL %b 1 %s 1", script.data, script.len,
                        MS_DUMP_Q("cfg"));
    if (wrong->type != MS_REPLY_ARRAY)
        fail_msg("invariants.lua: %s", ms_reply_str(wrong, "no answer"));
    for (size_t i = 0; i < wrong->n_items; i++)
        print_error("broken: %s\n", wrong->items[i].str);
    CHECK_INT(wrong->n_items, ==, 0);
    ms_buf_done(&script);
    free(path);
}

static bool has_ended(const struct ms_dump *dump, struct ms_test_fleet *fleet)
{
    return ms_dump_is(dump, fleet, "done") || ms_dump_is(dump, fleet, "dead");
}

void ms_dump_check_done(const struct ms_dump *dump, struct ms_test_fleet *fleet)
{
    char checksum[24];

    snprintf(checksum, sizeof(checksum), "\"%016llx\"",
             (unsigned long long)dump->checksum);
    WAIT_FOR(END_MS, has_ended(dump, fleet));
    if (!ms_dump_is(dump, fleet, "done"))
        fail_msg("the import of %s is dead: %s", dump->name,
                 ms_dump_field(dump, fleet, "error"));
    CHECK_INT(ms_dump_show_num(dump, fleet, "result.docs"), ==, dump->n_docs);
    CHECK_INT(ms_dump_show_num(dump, fleet, "result.lines"), ==, dump->n_lines);
    CHECK_INT(ms_dump_show_num(dump, fleet, "result.rejected"), ==,
              dump->n_rejected);
    CHECK_INT(ms_dump_show_num(dump, fleet, "result.bytes"), ==,
              dump->bytes.len);
    CHECK_STR(ms_dump_show(dump, fleet, "result.checksum"), checksum);
    ms_dump_check_docs(dump, fleet);
    ms_dump_check_keys(fleet);
}
