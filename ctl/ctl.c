#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "ctl/commands.h"
#include "muster_version.h"

const struct ms_command *const ms_commands[] = {
    ms_commands_dev,
    ms_commands_status,
    ms_commands_events,
    ms_commands_top,
    ms_commands_metrics,
    ms_commands_queue,
    ms_commands_enqueue,
    ms_commands_job,
    ms_commands_bulk,
    ms_commands_dump,
    ms_commands_dataset,
    ms_commands_pod,
    ms_commands_cron,
    ms_commands_task,
    ms_commands_limit,
    ms_commands_functions,
    NULL,
};

enum ms_err ms_ctl_connect(struct ms_ctl *ctl, bool writes,
                           struct ms_error *error)
{
    enum ms_err err = ms_client_open(ctl->conf, &ctl->client, error);

    if (err != MS_OK)
        return err;
    return ms_client_check_schema(ctl->client, writes, error);
}

void ms_ctl_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("musterctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- printing ---- */

static void write_all(struct ms_buf *text)
{
    fwrite(text->data, 1, text->len, stdout);
    fflush(stdout);
    ms_buf_done(text);
}

/* A page {"items", "next"} as a table and how to go on. */
static void page_write(const msgpack_object *page,
                       const struct ms_column *columns, struct ms_buf *out)
{
    const msgpack_object *items = ms_val_get(page, "items");
    char *next = ms_val_strdup(page, "next");

    ms_output_table(columns, items, out);
    if (next != NULL)
        ms_buf_addf(out, "more: --cursor %s\n", next);
    free(next);
}

static void people_write(const msgpack_object *root,
                         const struct ms_column *columns, struct ms_buf *out)
{
    if (root->type == MSGPACK_OBJECT_ARRAY && columns != NULL)
        ms_output_table(columns, root, out);
    else if (root->type == MSGPACK_OBJECT_MAP && columns != NULL)
        page_write(root, columns, out);
    else if (root->type == MSGPACK_OBJECT_MAP)
        ms_output_pairs(root, out);
    else
        ms_val_to_json_pretty(root, out);
}

void ms_ctl_print(const struct ms_ctl *ctl, struct ms_buf *json,
                  const struct ms_column *columns)
{
    struct ms_buf text = MS_BUF_INIT;
    struct ms_val val = {0};
    struct ms_error error;

    if (ctl->line->json) {
        ms_buf_addc(json, '\n');
        write_all(json);
        return;
    }
    if (ms_val_from_json(json->data, json->len, &val, &error) != MS_OK)
        ms_buf_add(&text, json->data, json->len); /* nested too deep */
    else
        people_write(&val.root, columns, &text);
    ms_val_done(&val);
    ms_buf_done(json);
    write_all(&text);
}

void ms_ctl_print_result(const struct ms_ctl *ctl, const char *key,
                         const char *id, const char *result)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    if (!ctl->line->json) {
        ms_buf_addf(&out, "%s %s\n", id, result);
        write_all(&out);
        return;
    }
    ms_json_open(&json, '{');
    ms_json_key(&json, key);
    ms_json_str(&json, id);
    ms_json_key(&json, "result");
    ms_json_str(&json, result);
    ms_json_close(&json);
    ms_ctl_print(ctl, &out, NULL);
}

enum ms_err ms_ctl_limit(const struct ms_ctl *ctl, int64_t *out_limit,
                         struct ms_error *error)
{
    *out_limit = 50;
    return ms_cli_int(ctl->line, "limit", 1, 1000, out_limit, error);
}

/* ---- the run ---- */

static int print_error(const struct ms_cli *line, enum ms_err err,
                       const struct ms_error *error, bool usage)
{
    struct ms_buf text = MS_BUF_INIT;

    ms_buf_addf(&text, "musterctl: %s\n", error->text);
    if (usage)
        ms_cli_usage(line, &text);
    fputs(ms_buf_str(&text), stderr);
    ms_buf_done(&text);
    return err == MS_EINVAL || err == MS_ENOTSUP ? MS_EXIT_MISUSED
                                                 : MS_EXIT_FAILED;
}

/* What cannot be written must not look like success: a full disk, say. */
static int flush_check(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    ms_ctl_warn("cannot write to standard output: %s", strerror(errno));
    return code == MS_EXIT_OK ? MS_EXIT_FAILED : code;
}

static int command_run(const struct ms_cli *line, char *const *environment)
{
    struct ms_conf_flags flags = {line->config, line->redis, line->fleet};
    struct ms_ctl ctl = {.line = line};
    struct ms_error error = {""};
    enum ms_err err = ms_conf_load(&flags, environment, &ctl.conf, &error);

    if (err != MS_OK)
        return print_error(line, MS_EINVAL, &error, false);
    err = line->command->run(&ctl, &error);
    if (err != MS_OK)
        ctl.exit_code = print_error(line, err, &error, false);
    ms_client_close(ctl.client);
    ms_conf_free(ctl.conf);
    return flush_check(ctl.exit_code);
}

static int help_print(const struct ms_cli *line)
{
    struct ms_buf text = MS_BUF_INIT;

    if (line->version)
        ms_buf_addf(&text, "musterctl %s\n", MUSTER_VERSION);
    else
        ms_cli_help(ms_commands, line, &text);
    write_all(&text);
    return flush_check(MS_EXIT_OK);
}

int ms_ctl_main(char **argv, char *const *environment)
{
    struct ms_cli line;
    struct ms_error error = {""};
    enum ms_err err = ms_cli_parse(ms_commands, argv, &line, &error);

    ms_log_configure(MS_WARN, false);
    if (err != MS_OK)
        return print_error(&line, err, &error, true);
    if (line.help || line.version)
        return help_print(&line);
    return command_run(&line, environment);
}
