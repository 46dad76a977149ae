/*
 * dump: a dump that a test makes, and what an import of it must come to.
 *
 * Lines are added one by one, each as what it is: a document, an empty line,
 * a bad one.  So the test knows the right answer without judging any line
 * itself, and compares every document byte for byte with the dataset's export.
 */
#pragma once

#include "common/buf.h"
#include "common/val.h"
#include "tests/support/fleet.h"

/* The queue of all imports here, and one of its keys. */
#define MS_DUMP_QUEUE   "dump"
#define MS_DUMP_Q(tail) "ms:{t/dump}:" tail

struct ms_dump {
    char *path, *name;   /* of the file; of the dataset, too */
    struct ms_buf bytes; /* of the file */
    struct ms_buf docs;  /* the documents, an LF behind each */
    int64_t n_docs, n_lines, n_rejected;
    uint64_t checksum;
    uint64_t seed;
    char id[64]; /* of its import */
};

/* An empty dump NAME.ndjson in the test's folder; free with ms_dump_done(). */
void ms_dump_init(struct ms_dump *dump, const char *name);
void ms_dump_done(struct ms_dump *dump);

/* Adds one line.  `end` is "\n", "\r\n" or "". */
void ms_dump_doc(struct ms_dump *dump, const char *text, const char *end);
/* A document that another with its id writes over. */
void ms_dump_shadowed(struct ms_dump *dump, const char *text, const char *end);
void ms_dump_bad(struct ms_dump *dump, const char *text, size_t len,
                 const char *end);
void ms_dump_empty(struct ms_dump *dump, const char *end);
/* Bytes that are in no line: a byte order mark. */
void ms_dump_raw(struct ms_dump *dump, const void *bytes, size_t len);

/* Adds `n` documents with ids of their own and texts of up to twice `size`
 * bytes in several scripts, so that cuts fall between the bytes of a
 * character. */
void ms_dump_many(struct ms_dump *dump, int n, size_t size);

void ms_dump_write(struct ms_dump *dump);

/* ---- its import ---- */

/* Writes the file and runs `dump import` on it with these further words; the
 * id goes to dump->id.  Waits for nothing. */
void ms_dump_import(struct ms_dump *dump, struct ms_test_fleet *fleet,
                    const char *words);

/* A number of the import's tally; 0 where there is none. */
int64_t ms_dump_tally(const struct ms_dump *dump, struct ms_test_fleet *fleet,
                      const char *field);
/* A field of its record, or of chunk `n`'s; good until the next command. */
const char *ms_dump_field(const struct ms_dump *dump,
                          struct ms_test_fleet *fleet, const char *field);
const char *ms_dump_chunk_field(const struct ms_dump *dump,
                                struct ms_test_fleet *fleet, int64_t n,
                                const char *field);
bool ms_dump_is(const struct ms_dump *dump, struct ms_test_fleet *fleet,
                const char *state);
/* One of the queue's totals since ever. */
int64_t ms_dump_stat(struct ms_test_fleet *fleet, const char *name);

/* `dump show` of it; a path into that JSON ("result.docs"), as text. */
const char *ms_dump_show(const struct ms_dump *dump,
                         struct ms_test_fleet *fleet, const char *path);
int64_t ms_dump_show_num(const struct ms_dump *dump,
                         struct ms_test_fleet *fleet, const char *path);

/* Waits for the end as done and checks all of it: the result's numbers and
 * checksum, the count, every document, and that all records fit together. */
void ms_dump_check_done(const struct ms_dump *dump,
                        struct ms_test_fleet *fleet);
/* Is each document of the dataset one of the dump's, and none missing? */
void ms_dump_check_docs(const struct ms_dump *dump,
                        struct ms_test_fleet *fleet);
/* Walks all keys of the queue and fails where something does not fit. */
void ms_dump_check_keys(struct ms_test_fleet *fleet);
