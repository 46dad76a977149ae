/* functions show | load: the library for clients that are not ours. */
#include "common/library.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/view.h"

enum ms_err ms_view_library(struct ms_client *client,
                            struct ms_library_found *out_found,
                            struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_error why = {""};
    enum ms_err err;

    ms_library_version_build(&cmd);
    err = ms_client_ask(client, &cmd, &reply, &why);
    err = reply == NULL
              ? ms_library_error_parse(err, why.text, out_found, error)
              : ms_library_version_parse(err, reply, out_found, error);
    ms_reply_free(reply);
    return err;
}

static void found_write(const struct ms_library_found *found,
                        struct ms_json *json)
{
    ms_json_open(json, '{');
    ms_json_key(json, "version");
    if (found->version == 0)
        ms_json_null(json);
    else
        ms_json_int(json, found->version);
    ms_json_key(json, "build");
    ms_json_str(json, found->version == 0 ? NULL : found->build);
    ms_json_key(json, "own_version");
    ms_json_int(json, ms_library.version);
    ms_json_key(json, "own_build");
    ms_json_str(json, ms_library.build);
    ms_json_close(json);
}

static enum ms_err functions_print(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    struct ms_library_found found;
    enum ms_err err = ms_view_library(ctl->client, &found, error);

    if (err == MS_OK) {
        found_write(&found, &json);
        ms_ctl_print(ctl, &out, NULL);
    }
    ms_buf_done(&out);
    return err;
}

static enum ms_err functions_show(struct ms_ctl *ctl, struct ms_error *error)
{
    enum ms_err err = ms_ctl_connect(ctl, false, error);

    return err == MS_OK ? functions_print(ctl, error) : err;
}

/* For fleets without a coordinator, or one that may not. */
static enum ms_err functions_load(struct ms_ctl *ctl, struct ms_error *error)
{
    struct ms_cmd cmd = MS_CMD_INIT;
    struct ms_reply *reply = NULL;
    struct ms_library_found found;
    enum ms_err err = ms_ctl_connect(ctl, true, error);

    if (err == MS_OK)
        err = ms_view_library(ctl->client, &found, error);
    if (err == MS_OK && found.version > ms_library.version)
        err = ms_error_set(error, MS_ESTATE,
                           "a newer release's functions are loaded (%lld, ours "
                           "are %lld)",
                           (long long)found.version,
                           (long long)ms_library.version);
    if (err != MS_OK)
        return err;
    if (ms_library_is_wanted(&found, true)) {
        ms_library_load_build(&cmd);
        err = ms_client_ask(ctl->client, &cmd, &reply, error);
        ms_reply_free(reply);
    }
    return err == MS_OK ? functions_print(ctl, error) : err;
}

const struct ms_command ms_commands_functions[] = {
    {"functions", "show", "", 0, 0,
     "which library of functions (FCALL muster_...) Redis has", NULL,
     functions_show},
    {"functions", "load", "", 0, 0,
     "load it, unless a newer release's is there; the leader does, too", NULL,
     functions_load},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};
