/*
 * yaml_json: a value of a YAML document as JSON text.
 *
 * Words without quotes are null, true, false or numbers where they look like
 * it (YAML's core schema); all others, and whatever is quoted, are strings.
 */
#pragma once

#include <yaml.h>

#include "common/buf.h"
#include "common/err.h"

/* Appends.  MS_EINVAL says what JSON cannot have (a key that is no string, a
 * value that contains itself); *out_where is the node at fault. */
enum ms_err ms_yaml_to_json(yaml_document_t *document, const yaml_node_t *node,
                            struct ms_buf *out, const yaml_node_t **out_where,
                            struct ms_error *error);
