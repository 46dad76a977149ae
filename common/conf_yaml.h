/*
 * conf_yaml: reads a YAML text by a table of fields.
 *
 * libyaml's document keeps where each node began, so every complaint is
 * "name:line: option: what is wrong".
 */
#pragma once

#include "common/conf_field.h"

/* Called for each option that the text says, with its offset in `base` and the
 * line; not for what lies in lists. */
typedef void ms_conf_said_fn(size_t at, size_t line, void *arg);

/* `name` is what complaints call the text.  An empty text says nothing, which
 * is fine.  On failure `base` holds some of what was read. */
enum ms_err ms_conf_yaml_read(const char *name, const char *text, size_t len,
                              const struct ms_field *table, void *base,
                              ms_conf_said_fn *said, void *arg,
                              struct ms_error *error);
