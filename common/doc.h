/*
 * doc: one line of a dump, judged: a document, an empty line, or a reject.
 *
 * A document is one JSON object in valid UTF-8 with a usable id at its top
 * level: a string (its unescaped bytes) or an integer (its digits; -0 is 0) of
 * at most 512 bytes.  Of two id fields in one object the last stands.  The
 * line is checked in place by a streaming parser: no tree, no copy, and no
 * memory but for what nesting and escaped strings need.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MS_DOC_ID_MAX 512

enum ms_doc_kind { MS_DOC_OK, MS_DOC_EMPTY, MS_DOC_REJECT };

/* Bytes point into the line or into the reader: good until its next call. */
struct ms_doc {
    const char *bytes; /* the line without its LF or CRLF */
    size_t len;
    const char *id; /* OK: any bytes, no NUL behind them */
    size_t id_len;
    uint64_t hash;    /* OK: XXH3-64 (seed 0) of the bytes */
    char reason[120]; /* REJECT: a short text for people */
};

/* A warm parser; one reader serves any number of lines, one at a time. */
struct ms_doc_reader;

/* `id_field` is a name of any bytes but NUL; copied. */
struct ms_doc_reader *ms_doc_reader_new(const char *id_field);
void ms_doc_reader_free(struct ms_doc_reader *reader); /* takes NULL */

/* Judges one line, with or without its line end.  Only a CR that stands
 * before an LF belongs to the line end. */
enum ms_doc_kind ms_doc_read(struct ms_doc_reader *reader, const char *line,
                             size_t len, struct ms_doc *out_doc);

/*
 * The checksum of many documents: the sum of their hashes modulo 2^64, kept in
 * four lanes of 16 bits, because Redis and Lua have no unsigned 64-bit
 * numbers.  A lane holds 2^47 documents before it overflows.
 */
struct ms_checksum {
    int64_t lanes[4];
};
void ms_checksum_add(struct ms_checksum *sum, uint64_t hash);
uint64_t ms_checksum_value(const struct ms_checksum *sum);
