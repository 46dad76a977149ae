/*
 * cmd.exec: runs a program.
 *
 * Only programs of the list exec.allow: an entry with a slash allows exactly
 * that path as argv[0], one without allows that name, looked up in the
 * worker's PATH.  The list keeps jobs from running just anything; it is no
 * sandbox for what an allowed program does with its arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/val.h"
#include "worker/child.h"
#include "worker/handlers.h"
#include "worker/program.h"

enum { EXIT_DEAD = 65, EXIT_THROTTLED = 75 }; /* sysexits: DATAERR, TEMPFAIL */

/* The payload, read. */
struct exec {
    char **argv; /* NULL-terminated, as is env */
    char **env;
    char *cwd, *in; /* NULL: not said */
    size_t in_len;
    int64_t timeout_ms;
    int cwd_fd; /* -1: none */
};

static void exec_done(struct exec *exec)
{
    ms_child_env_free(exec->argv); /* a list of strings as well */
    ms_child_env_free(exec->env);
    free(exec->cwd);
    free(exec->in);
    if (exec->cwd_fd >= 0)
        close(exec->cwd_fd);
}

/* ---- reading the payload ---- */

/* A string without NUL, as programs take them. */
static bool is_word(const msgpack_object *val)
{
    return val->type == MSGPACK_OBJECT_STR &&
           memchr(val->via.str.ptr, 0, val->via.str.size) == NULL;
}

static char *word_new(const msgpack_object *val)
{
    return ms_xstrndup(val->via.str.ptr, val->via.str.size);
}

static enum ms_err read_argv(struct exec *exec, const msgpack_object *val,
                             struct ms_error *error)
{
    const msgpack_object_array *list = &val->via.array;

    if (val->type != MSGPACK_OBJECT_ARRAY || list->size == 0)
        return ms_error_set(error, MS_EINVAL,
                            "payload.argv must be a list of strings, the "
                            "program first");
    free(exec->argv);
    exec->argv = ms_xcalloc(list->size + 1, sizeof(*exec->argv));
    for (uint32_t i = 0; i < list->size; i++) {
        if (!is_word(&list->ptr[i]) ||
            (i == 0 && list->ptr[0].via.str.size == 0))
            return ms_error_set(error, MS_EINVAL,
                                "payload.argv[%u] must be a string%s", i,
                                i == 0 ? " that names a program"
                                       : " without NUL");
        exec->argv[i] = word_new(&list->ptr[i]);
    }
    return MS_OK;
}

/* LD_PRELOAD and its kin would turn any allowed program into any other. */
static bool is_env_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '=') == NULL &&
           strncmp(name, "LD_", 3) != 0;
}

static enum ms_err read_env(struct exec *exec, const msgpack_object *val,
                            struct ms_error *error)
{
    const msgpack_object_map *map = &val->via.map;

    if (val->type != MSGPACK_OBJECT_MAP)
        return ms_error_set(error, MS_EINVAL,
                            "payload.env must be an object of strings");
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_kv *pair = &map->ptr[i];
        char *name = is_word(&pair->key) ? word_new(&pair->key) : NULL;
        char *value = is_word(&pair->val) ? word_new(&pair->val) : NULL;
        enum ms_err err = MS_OK;

        if (name == NULL || !is_env_name(name))
            err = ms_error_set(error, MS_EINVAL,
                               "payload.env: '%s' is no name that may be set",
                               name == NULL ? "?" : name);
        else if (value == NULL)
            err = ms_error_set(error, MS_EINVAL,
                               "payload.env.%s must be a string", name);
        else
            ms_child_env_set(&exec->env, name, value);
        free(name);
        free(value);
        if (err != MS_OK)
            return err;
    }
    return MS_OK;
}

static enum ms_err read_cwd(struct exec *exec, const msgpack_object *val,
                            struct ms_error *error)
{
    if (!is_word(val))
        return ms_error_set(error, MS_EINVAL, "payload.cwd must be a string");
    free(exec->cwd);
    exec->cwd = val->via.str.size == 0 ? NULL : word_new(val);
    return MS_OK;
}

static enum ms_err read_stdin(struct exec *exec, const msgpack_object *val,
                              struct ms_error *error)
{
    bool is_bin = val->type == MSGPACK_OBJECT_BIN;

    if (!is_bin && val->type != MSGPACK_OBJECT_STR)
        return ms_error_set(error, MS_EINVAL, "payload.stdin must be a string");
    free(exec->in);
    exec->in_len = is_bin ? val->via.bin.size : val->via.str.size;
    exec->in = exec->in_len == 0
                   ? NULL
                   : ms_xstrndup(is_bin ? val->via.bin.ptr : val->via.str.ptr,
                                 exec->in_len);
    return MS_OK;
}

static enum ms_err read_timeout(struct exec *exec, const msgpack_object *val,
                                struct ms_error *error)
{
    double seconds = -1;

    if (val->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        seconds = (double)val->via.u64;
    else if (val->type == MSGPACK_OBJECT_FLOAT32 ||
             val->type == MSGPACK_OBJECT_FLOAT64)
        seconds = val->via.f64;
    if (!(seconds > 0))
        return ms_error_set(error, MS_EINVAL,
                            "payload.timeout_s must be a number above 0");
    /* The configuration bounds it. */
    if (seconds * 1000 < (double)exec->timeout_ms)
        exec->timeout_ms = (int64_t)ceil(seconds * 1000);
    return MS_OK;
}

static const struct field {
    const char *name;
    enum ms_err (*read)(struct exec *exec, const msgpack_object *val,
                        struct ms_error *error);
} fields[] = {{"argv", read_argv},
              {"env", read_env},
              {"cwd", read_cwd},
              {"stdin", read_stdin},
              {"timeout_s", read_timeout}};

static const struct field *field_find(const msgpack_object *key)
{
    for (size_t i = 0; i < MS_COUNT_OF(fields); i++)
        if (ms_val_is_str(key, fields[i].name))
            return &fields[i];
    return NULL;
}

static enum ms_err unknown_field(const msgpack_object *key,
                                 struct ms_error *error)
{
    bool is_str = key->type == MSGPACK_OBJECT_STR;

    return ms_error_set(error, MS_EINVAL,
                        "payload.%.*s is not known; there are argv, env, cwd, "
                        "stdin and timeout_s",
                        is_str && key->via.str.size < 64
                            ? (int)key->via.str.size
                            : 1,
                        is_str ? key->via.str.ptr : "?");
}

static enum ms_err read_payload(struct exec *exec, const msgpack_object *val,
                                struct ms_error *error)
{
    const msgpack_object_map *map = &val->via.map;
    enum ms_err err = MS_OK;

    if (val->type != MSGPACK_OBJECT_MAP)
        return ms_error_set(error, MS_EINVAL,
                            "payload must be an object with argv");
    for (uint32_t i = 0; i < map->size && err == MS_OK; i++) {
        const struct field *field = field_find(&map->ptr[i].key);

        if (field == NULL)
            return unknown_field(&map->ptr[i].key, error);
        if (map->ptr[i].val.type != MSGPACK_OBJECT_NIL)
            err = field->read(exec, &map->ptr[i].val, error);
    }
    if (err == MS_OK && exec->argv == NULL)
        err = ms_error_set(error, MS_EINVAL, "payload.argv is missing");
    return err;
}

/* ---- what is allowed ---- */

static enum ms_err check_allowed(const struct exec *exec,
                                 const struct ms_conf *conf,
                                 struct ms_error *error)
{
    for (char **entry = conf->exec_allow; entry != NULL && *entry != NULL;
         entry++)
        if (strcmp(*entry, exec->argv[0]) == 0)
            return MS_OK;
    return ms_error_set(error, MS_EINVAL,
                        "payload.argv[0]: '%s' is not in exec.allow",
                        exec->argv[0]);
}

static bool is_under(const char *path, const char *root)
{
    size_t len = strlen(root);

    if (strcmp(root, "/") == 0)
        return true;
    return strncmp(path, root, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

/* Where the open folder really is, whatever links led there. */
static bool is_fd_under(int fd, const char *root)
{
    char link[64], at[PATH_MAX], real_root[PATH_MAX];
    ssize_t len;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, at, sizeof(at) - 1);
    if (len < 0 || realpath(root, real_root) == NULL)
        return false;
    at[len] = '\0';
    return is_under(at, real_root);
}

/* Opens the folder and looks then, so that nobody can swap it in between. */
static enum ms_err open_cwd(struct exec *exec, const char *root,
                            struct ms_error *error)
{
    const char *cwd = exec->cwd == NULL ? "." : exec->cwd;
    char *path;

    if (root == NULL && exec->cwd == NULL)
        return MS_OK;
    path = root == NULL || cwd[0] == '/' ? ms_xstrdup(cwd)
                                         : ms_xasprintf("%s/%s", root, cwd);
    exec->cwd_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (exec->cwd_fd < 0)
        return ms_error_set(error, MS_EIO, "payload.cwd: cannot enter '%s': %s",
                            cwd, strerror(errno));
    if (root != NULL && !is_fd_under(exec->cwd_fd, root))
        return ms_error_set(error, MS_EINVAL,
                            "payload.cwd: '%s' is not under exec.cwd_root",
                            cwd);
    return MS_OK;
}

/* After the payload's, so that no job can pose as another. */
static void add_identity(struct exec *exec, const struct ms_held *job)
{
    char number[24];

    ms_child_env_set(&exec->env, "MUSTER_JOB_ID", job->id);
    ms_child_env_set(&exec->env, "MUSTER_QUEUE", job->queue);
    snprintf(number, sizeof(number), "%lld", (long long)job->fence);
    ms_child_env_set(&exec->env, "MUSTER_FENCE", number);
    snprintf(number, sizeof(number), "%lld", (long long)job->attempt);
    ms_child_env_set(&exec->env, "MUSTER_ATTEMPT", number);
}

static enum ms_err prepare(struct exec *exec, struct ms_ctx *ctx,
                           struct ms_error *error)
{
    const struct ms_conf *conf = ms_ctx_conf(ctx);
    enum ms_err err;

    exec->timeout_ms = conf->exec_timeout_ms;
    exec->env = ms_child_env_new(false);
    err = read_payload(exec, ms_ctx_payload(ctx), error);
    if (err == MS_OK)
        err = check_allowed(exec, conf, error);
    if (err == MS_OK)
        err = open_cwd(exec, conf->exec_cwd_root, error);
    add_identity(exec, ms_ctx_job(ctx));
    return err;
}

/* ---- how it ended ---- */

static void set_result(struct ms_ctx *ctx, const char *output)
{
    msgpack_sbuffer result;
    msgpack_packer pack;
    size_t len = strlen(output);

    msgpack_sbuffer_init(&result);
    msgpack_packer_init(&pack, &result, msgpack_sbuffer_write);
    msgpack_pack_map(&pack, 2);
    msgpack_pack_str_with_body(&pack, "exit", 4);
    msgpack_pack_int(&pack, 0);
    msgpack_pack_str_with_body(&pack, "output", 6);
    msgpack_pack_str_with_body(&pack, output, len);
    ms_ctx_set_result(ctx, result.data, result.size);
    msgpack_sbuffer_destroy(&result);
}

/* "exit status 3: the last words" */
static void set_error(struct ms_ctx *ctx, const char *what, int64_t number,
                      const char *unit, const char *output)
{
    ms_ctx_set_error(ctx, "%s %lld%s%s%s", what, (long long)number, unit,
                     output[0] == '\0' ? "" : ": ", output);
}

static enum ms_outcome judge(struct ms_ctx *ctx, struct ms_program_end *end,
                             int64_t timeout_ms)
{
    const char *output = ms_tail_text(&end->tail);
    int code = WEXITSTATUS(end->status);

    if (end->timed_out) {
        set_error(ctx, "timed out after", timeout_ms, " ms", output);
        return MS_FAILED;
    }
    if (end->stop != MS_STOP_NONE) {
        ms_ctx_set_error(ctx, "stopped");
        return ms_stop_outcome(end->stop);
    }
    if (!WIFEXITED(end->status)) {
        set_error(ctx, "killed by signal", WTERMSIG(end->status), "", output);
        return MS_FAILED;
    }
    if (code == 0) {
        set_result(ctx, output);
        return MS_DONE;
    }
    set_error(ctx, "exit status", code, "", output);
    return code == EXIT_THROTTLED ? MS_THROTTLED
           : code == EXIT_DEAD    ? MS_DEAD
                                  : MS_FAILED;
}

enum ms_outcome ms_handle_cmd_exec(struct ms_ctx *ctx)
{
    struct exec exec = {.cwd_fd = -1};
    struct ms_program program;
    struct ms_program_end end;
    struct ms_error error;
    enum ms_outcome outcome;
    enum ms_err err = prepare(&exec, ctx, &error);

    if (err == MS_OK) {
        program = (struct ms_program){.argv = exec.argv,
                                      .env = exec.env,
                                      .cwd_fd = exec.cwd_fd,
                                      .in = exec.in,
                                      .in_len = exec.in_len,
                                      .timeout_ms = exec.timeout_ms};
        err = ms_program_run(ctx, &program, &end, &error);
    }
    if (err == MS_OK) {
        outcome = judge(ctx, &end, exec.timeout_ms);
    } else {
        ms_ctx_set_error(ctx, "%s", error.text);
        outcome = err == MS_EINVAL ? MS_DEAD : MS_FAILED;
    }
    exec_done(&exec);
    return outcome;
}
