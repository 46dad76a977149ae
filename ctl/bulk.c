#include "ctl/bulk.h"

#include "common/admin.h"

enum ms_err ms_bulk_run(struct ms_client *client, const char *queue,
                        const char *verb, const char *state, const char *kind,
                        int64_t *out_n, struct ms_error *error)
{
    char cursor[64] = "";
    enum ms_err err;

    do {
        struct ms_cmd cmd = MS_CMD_INIT;
        struct ms_reply *reply = NULL;
        int64_t n = 0;

        ms_bulk_build(&cmd, ms_client_fleet(client), queue, verb, state, kind,
                      cursor);
        err = ms_client_ask(client, &cmd, &reply, error);
        if (err == MS_OK)
            err = ms_bulk_parse(reply, &n, cursor, error);
        ms_reply_free(reply);
        *out_n += n;
    } while (err == MS_OK && cursor[0] != '\0');
    return err;
}
