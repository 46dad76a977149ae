#include "ctl/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"

static const struct ms_option globals[] = {
    {"json", NULL, "print one JSON document"},
    {"redis", "URL", "the Redis to use"},
    {"fleet", "NAME", "the fleet to look at"},
    {"config", "FILE", "read this configuration"},
    {"help", NULL, "show this"},
    {"version", NULL, "show the version"},
    {NULL, NULL, NULL},
};

/* Where the parser is: reading from `in`, packing arguments to the front. */
struct parser {
    char **in;
    struct ms_cli *line;
    struct ms_error *error;
};

/* "--name" or "--name=..." of `text`: the option of that name. */
static int option_find(const struct ms_option *options, const char *text)
{
    size_t len = strcspn(text, "=");

    for (int i = 0; options != NULL && options[i].name != NULL; i++)
        if (strlen(options[i].name) == len &&
            strncmp(options[i].name, text, len) == 0)
            return i;
    return -1;
}

/* Reads the value of the option that p->in stands on and moves past both. */
static enum ms_err option_value(struct parser *p,
                                const struct ms_option *option,
                                const char **out_value)
{
    const char *equals = strchr(*p->in, '=');

    p->in++;
    if (option->value == NULL) {
        *out_value = "";
        return equals == NULL
                   ? MS_OK
                   : ms_error_set(p->error, MS_EINVAL, "--%s takes no value",
                                  option->name);
    }
    if (equals == NULL && *p->in == NULL)
        return ms_error_set(p->error, MS_EINVAL, "--%s needs a value (%s)",
                            option->name, option->value);
    *out_value = equals != NULL ? equals + 1 : *p->in++;
    return MS_OK;
}

static void global_set(struct ms_cli *line, int i, const char *value)
{
    switch (i) {
    case 0:
        line->json = true;
        break;
    case 1:
        line->redis = value;
        break;
    case 2:
        line->fleet = value;
        break;
    case 3:
        line->config = value;
        break;
    case 4:
        line->help = true;
        break;
    default:
        line->version = true;
    }
}

static bool is_option(const char *text)
{
    return strncmp(text, "--", 2) == 0 || strcmp(text, "-h") == 0;
}

/* Reads one option, global or of the command. */
static enum ms_err option_read(struct parser *p)
{
    const struct ms_option *own =
        p->line->command != NULL ? p->line->command->options : NULL;
    const char *text =
        strcmp(*p->in, "-h") == 0 ? "help" : *p->in + strlen("--");
    const char *value = NULL;
    int i = option_find(own, text);
    enum ms_err err;

    if (i >= 0) {
        err = option_value(p, &own[i], &value);
        if (err == MS_OK)
            p->line->values[i] = value;
        return err;
    }
    i = option_find(globals, text);
    if (i < 0)
        return ms_error_set(p->error, MS_EINVAL, "unknown option '%s'", *p->in);
    err = option_value(p, &globals[i], &value);
    if (err == MS_OK)
        global_set(p->line, i, value);
    return err;
}

/* Reads options up to the next word, which is *out_word (NULL: the end). */
static enum ms_err word_next(struct parser *p, const char **out_word)
{
    while (*p->in != NULL && is_option(*p->in) && strcmp(*p->in, "--") != 0) {
        enum ms_err err = option_read(p);

        if (err != MS_OK)
            return err;
    }
    *out_word = *p->in;
    if (*p->in != NULL)
        p->in++;
    return MS_OK;
}

static const struct ms_command *
command_find(const struct ms_command *const *table, const char *noun,
             const char *verb)
{
    for (; *table != NULL; table++)
        for (const struct ms_command *c = *table; c->noun != NULL; c++)
            if (strcmp(c->noun, noun) == 0 &&
                (verb == NULL || c->verb == NULL || strcmp(c->verb, verb) == 0))
                return c;
    return NULL;
}

/* Reads noun and verb.  Leaves `command` NULL where help or version was asked
 * for before the command was complete. */
static enum ms_err command_read(const struct ms_command *const *table,
                                struct parser *p)
{
    struct ms_cli *line = p->line;
    const struct ms_command *command;
    const char *verb;
    enum ms_err err = word_next(p, &line->noun);

    if (err != MS_OK || line->version || line->noun == NULL)
        return err == MS_OK && !line->help && !line->version
                   ? ms_error_set(p->error, MS_EINVAL, "which command?")
                   : err;
    command = command_find(table, line->noun, NULL);
    if (command == NULL) {
        ms_error_set(p->error, MS_EINVAL, "unknown command '%s'", line->noun);
        line->noun = NULL; /* there is no help on it */
        return MS_EINVAL;
    }
    if (command->verb == NULL) {
        line->command = command;
        return MS_OK;
    }
    err = word_next(p, &verb);
    if (err != MS_OK)
        return err;
    if (verb == NULL)
        return line->help
                   ? MS_OK
                   : ms_error_set(p->error, MS_EINVAL, "%s what?", line->noun);
    line->command = command_find(table, line->noun, verb);
    if (line->command == NULL)
        return ms_error_set(p->error, MS_EINVAL, "unknown command '%s %s'",
                            line->noun, verb);
    return MS_OK;
}

/* Options and arguments behind the command, arguments packed at `args`. */
static enum ms_err rest_read(struct parser *p, char **args)
{
    struct ms_cli *line = p->line;
    bool options_end = false;

    while (*p->in != NULL) {
        enum ms_err err;

        if (!options_end && strcmp(*p->in, "--") == 0) {
            options_end = true;
            p->in++;
            continue;
        }
        if (options_end || !is_option(*p->in)) {
            args[line->n_args++] = *p->in++;
            continue;
        }
        err = option_read(p);
        if (err != MS_OK)
            return err;
    }
    args[line->n_args] = NULL;
    line->args = (const char **)args;
    return MS_OK;
}

static enum ms_err args_check(const struct ms_cli *line, struct ms_error *error)
{
    const struct ms_command *c = line->command;

    if (line->help || line->version)
        return MS_OK;
    if (line->n_args < c->min_args)
        return ms_error_set(error, MS_EINVAL, "missing argument: %s", c->args);
    if (c->max_args >= 0 && line->n_args > c->max_args)
        return ms_error_set(error, MS_EINVAL, "unexpected argument '%s'",
                            line->args[c->max_args]);
    return MS_OK;
}

enum ms_err ms_cli_parse(const struct ms_command *const *table, char **argv,
                         struct ms_cli *out_line, struct ms_error *error)
{
    struct parser p = {argv + 1, out_line, error};
    enum ms_err err;

    memset(out_line, 0, sizeof(*out_line));
    err = command_read(table, &p);
    if (err != MS_OK || out_line->command == NULL)
        return err;
    err = rest_read(&p, argv);
    if (err != MS_OK)
        return err;
    return args_check(out_line, error);
}

const char *ms_cli_get(const struct ms_cli *line, const char *name)
{
    int i = option_find(line->command->options, name);

    ms_assert(i >= 0 && i < MS_CLI_OPTIONS);
    return line->values[i];
}

bool ms_cli_has(const struct ms_cli *line, const char *name)
{
    return ms_cli_get(line, name) != NULL;
}

enum ms_err ms_cli_int(const struct ms_cli *line, const char *name, int64_t min,
                       int64_t max, int64_t *out, struct ms_error *error)
{
    const char *text = ms_cli_get(line, name);
    char *end;
    long long number;

    if (text == NULL)
        return MS_OK;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || isspace((unsigned char)*text) ||
        errno != 0 || number < min || number > max)
        return ms_error_set(error, MS_EINVAL,
                            "--%s wants a number from %lld to %lld, not '%s'",
                            name, (long long)min, (long long)max, text);
    *out = number;
    return MS_OK;
}

/* Puts the option's name before what the unit's reader said. */
static enum ms_err option_error(const char *name, enum ms_err err,
                                const struct ms_error *inner,
                                struct ms_error *error)
{
    return err == MS_OK ? MS_OK
                        : ms_error_set(error, MS_EINVAL, "--%s: %.400s", name,
                                       inner->text);
}

enum ms_err ms_cli_duration(const struct ms_cli *line, const char *name,
                            int64_t *out_ms, struct ms_error *error)
{
    const char *text = ms_cli_get(line, name);
    struct ms_error inner = {""};

    if (text == NULL)
        return MS_OK;
    return option_error(name, ms_duration_parse(text, out_ms, &inner), &inner,
                        error);
}

enum ms_err ms_cli_size(const struct ms_cli *line, const char *name,
                        int64_t *out_bytes, struct ms_error *error)
{
    const char *text = ms_cli_get(line, name);
    struct ms_error inner = {""};

    if (text == NULL)
        return MS_OK;
    return option_error(name, ms_size_parse(text, out_bytes, &inner), &inner,
                        error);
}

/* ---- help ---- */

static void command_name(const struct ms_command *c, struct ms_buf *out)
{
    ms_buf_adds(out, c->noun);
    if (c->verb != NULL)
        ms_buf_addf(out, " %s", c->verb);
    if (c->args[0] != '\0')
        ms_buf_addf(out, " %s", c->args);
}

static void options_help(const struct ms_option *options, struct ms_buf *out)
{
    for (; options != NULL && options->name != NULL; options++) {
        size_t at = out->len;

        ms_buf_addf(out, "  --%s", options->name);
        if (options->value != NULL)
            ms_buf_addf(out, " %s", options->value);
        ms_buf_addf(out, "%*s%s\n",
                    out->len - at < 26 ? (int)(26 - (out->len - at)) : 2, "",
                    options->help);
    }
}

static void commands_help(const struct ms_command *const *table,
                          const char *noun, struct ms_buf *out)
{
    for (; *table != NULL; table++)
        for (const struct ms_command *c = *table; c->noun != NULL; c++) {
            size_t at = out->len;

            if (noun != NULL && strcmp(noun, c->noun) != 0)
                continue;
            ms_buf_adds(out, "  ");
            command_name(c, out);
            ms_buf_addf(out, "%*s%s\n",
                        out->len - at < 38 ? (int)(38 - (out->len - at)) : 2,
                        "", c->help);
        }
}

void ms_cli_help(const struct ms_command *const *table,
                 const struct ms_cli *line, struct ms_buf *out)
{
    const struct ms_command *c = line->command;

    if (c == NULL) {
        ms_buf_addf(out, "usage: musterctl %s%s [--option ...]\n\n",
                    line->noun != NULL ? line->noun : "NOUN", " VERB");
        commands_help(table, line->noun, out);
    } else {
        ms_cli_usage(line, out);
        ms_buf_addf(out, "\n%c%s.\n", toupper((unsigned char)c->help[0]),
                    c->help + 1);
        if (c->options != NULL)
            ms_buf_adds(out, "\noptions:\n");
        options_help(c->options, out);
    }
    ms_buf_adds(out, "\neverywhere:\n");
    options_help(globals, out);
}

void ms_cli_usage(const struct ms_cli *line, struct ms_buf *out)
{
    const struct ms_command *c = line->command;

    ms_buf_adds(out, "usage: musterctl ");
    if (c == NULL) {
        ms_buf_addf(out, "%s VERB [--option ...]; see musterctl%s%s --help\n",
                    line->noun != NULL ? line->noun : "NOUN",
                    line->noun != NULL ? " " : "",
                    line->noun != NULL ? line->noun : "");
        return;
    }
    command_name(c, out);
    for (const struct ms_option *o = c->options; o != NULL && o->name != NULL;
         o++)
        ms_buf_addf(out, " [--%s%s%s]", o->name, o->value != NULL ? " " : "",
                    o->value != NULL ? o->value : "");
    ms_buf_addc(out, '\n');
}
