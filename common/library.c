#include "common/library.h"

#include <stdio.h>
#include <string.h>

#include "common/val.h"

void ms_library_version_build(struct ms_cmd *cmd)
{
    ms_cmd_plain(cmd, "FCALL_RO", "muster_version", "0", NULL);
}

/* A Redis from before functions were there calls the command unknown. */
enum ms_err ms_library_error_parse(enum ms_err err, const char *text,
                                   struct ms_library_found *out_found,
                                   struct ms_error *error)
{
    char why[256]; /* it may lie in `error` */

    snprintf(why, sizeof(why), "%s", text);
    if (strstr(why, "ERR Function not found") != NULL) {
        *out_found = (struct ms_library_found){.version = 0};
        return MS_OK;
    }
    if (strstr(why, "ERR unknown command") != NULL)
        err = MS_ENOTSUP;
    return ms_error_set(error, err, "%s", why);
}

static enum ms_err document_read(const char *text, size_t len,
                                 struct ms_library_found *out_found,
                                 struct ms_error *error)
{
    struct ms_val val = {0};
    enum ms_err err = ms_val_from_json(text, len, &val, NULL);
    const msgpack_object *build = NULL;
    int64_t version = -1;

    if (err == MS_OK) {
        version = ms_val_int(&val.root, "version", -1);
        build = ms_val_get(&val.root, "build");
    }
    if (version <= 0 || build == NULL || build->type != MSGPACK_OBJECT_STR ||
        build->via.str.size != sizeof(out_found->build) - 1) {
        err = ms_error_set(error, MS_EPROTO,
                           "a library 'muster' that is not ours");
    } else {
        out_found->version = version;
        memcpy(out_found->build, build->via.str.ptr, build->via.str.size);
        out_found->build[build->via.str.size] = '\0';
    }
    ms_val_done(&val);
    return err;
}

enum ms_err ms_library_version_parse(enum ms_err err,
                                     const struct ms_reply *reply,
                                     struct ms_library_found *out_found,
                                     struct ms_error *error)
{
    if (reply->type == MS_REPLY_ERROR)
        return ms_library_error_parse(err, ms_reply_error(reply), out_found,
                                      error);
    if (err != MS_OK)
        return ms_error_set(error, err, "no answer (%s)", ms_err_name(err));
    if (reply->type != MS_REPLY_STR)
        return ms_error_set(error, MS_EPROTO,
                            "a library 'muster' that is not ours");
    return document_read(reply->str, reply->len, out_found, error);
}

void ms_library_load_build(struct ms_cmd *cmd)
{
    ms_cmd_plain(cmd, "FUNCTION", "LOAD", "REPLACE", NULL);
    ms_cmd_arg(cmd, ms_library.text, ms_library.len);
}

bool ms_library_is_wanted(const struct ms_library_found *found, bool at_start)
{
    if (found->version != ms_library.version)
        return found->version < ms_library.version;
    return at_start && strcmp(found->build, ms_library.build) != 0;
}
