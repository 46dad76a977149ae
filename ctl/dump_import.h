/*
 * dump_import: what `dump import` asks for, checked, with its dataset at hand,
 * as the payload of the parent job.
 */
#pragma once

#include "common/dataset.h"
#include "common/job.h"
#include "ctl/ctl.h"

struct ms_import {
    char *source; /* an absolute path without links */
    char dataset[MS_NAME_MAX + 1];
    const char *id_field; /* NULL: as the dataset has it */
    int64_t shards;       /* 0: as the dataset has it */
    int64_t chunk_size;
    int64_t max_errors; /* -1: unlimited */
    const char *queue;
};

/* Reads the command line of `dump import`; free with ms_import_done(), also
 * after an error.  MS_EIO or MS_ENOENT: the file cannot be read. */
enum ms_err ms_import_read(const struct ms_ctl *ctl, struct ms_import *import,
                           struct ms_error *error);
void ms_import_done(struct ms_import *import);

/* "/data/Users 2026.ndjson.gz" -> "Users-2026"; false where nothing of the name
 * can be used. */
bool ms_import_name(const char *path, char out_name[MS_NAME_MAX + 1]);

/* Reads --max-errors: a number, or "unlimited". */
enum ms_err ms_import_max_errors(const struct ms_cli *line, int64_t *out,
                                 struct ms_error *error);

/* Finds the dataset, or makes it.  MS_EEXIST: it has another id field, or
 * another number of shards than was asked for. */
enum ms_err ms_import_open(struct ms_ctl *ctl, const struct ms_import *import,
                           struct ms_dataset *out_map, struct ms_error *error);

/* Appends the payload, msgpack. */
void ms_import_payload(const struct ms_ctl *ctl, const struct ms_import *import,
                       const struct ms_dataset *map, struct ms_buf *out);

/* Appends `payload` (msgpack) with another max_errors.  MS_EPROTO for one that
 * is no import's. */
enum ms_err ms_import_repay(const struct ms_bytes *payload, int64_t max_errors,
                            struct ms_buf *out, struct ms_error *error);
