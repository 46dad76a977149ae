#include "ctl/dev_files.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"

#define TAIL_BYTES 4096

/* Makes each missing folder on the way. */
static enum ms_err folders_make(const char *dir, struct ms_error *error)
{
    char *path = ms_xstrdup(dir);
    enum ms_err err = MS_OK;

    for (char *at = path + 1; err == MS_OK; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            err = ms_error_set(error, MS_EIO, "cannot make '%s': %s", path,
                               strerror(errno));
        *at = c;
        if (c == '\0')
            break;
    }
    free(path);
    return err;
}

enum ms_err ms_dev_folder(const char *dir, char **out_path, int *out_fd,
                          struct ms_error *error)
{
    enum ms_err err = dir[0] != '\0'
                          ? folders_make(dir, error)
                          : ms_error_set(error, MS_EINVAL, "--dir is empty");
    char *path, *lock;
    int fd;

    if (err != MS_OK)
        return err;
    path = realpath(dir, NULL);
    if (path == NULL)
        return ms_error_set(error, MS_EIO, "cannot use '%s': %s", dir,
                            strerror(errno));
    lock = ms_xasprintf("%s/dev.lock", path);
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        err = ms_error_set(error, MS_EIO, "cannot write '%s': %s", lock,
                           strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = ms_error_set(error, MS_EBUSY, "another musterctl dev uses '%s'",
                           path);
    free(lock);
    if (err != MS_OK) {
        if (fd >= 0)
            close(fd);
        free(path);
        return err;
    }
    *out_path = path;
    *out_fd = fd;
    return MS_OK;
}

/* Whole or not at all: a reader never sees half of it. */
static enum ms_err file_write(const char *path, struct ms_buf *text,
                              struct ms_error *error)
{
    char *part = ms_xasprintf("%s.part", path);
    FILE *file = fopen(part, "we");
    enum ms_err err = MS_OK;

    if (file == NULL || fwrite(text->data, 1, text->len, file) != text->len ||
        fflush(file) != 0 || rename(part, path) != 0)
        err = ms_error_set(error, MS_EIO, "cannot write '%s': %s", path,
                           strerror(errno));
    if (file != NULL)
        fclose(file);
    free(part);
    return err;
}

static void quoted(struct ms_buf *out, const char *text)
{
    ms_json_add_str(out, text, strlen(text)); /* YAML reads it the same */
}

enum ms_err ms_dev_write_conf(const char *dir, const char *fleet,
                              char *const *queues, char **out_path,
                              struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    char *staging = ms_xasprintf("%s/staging", dir);
    char *path = ms_xasprintf("%s/muster.yaml", dir);
    enum ms_err err;

    ms_buf_adds(&out, "# Written by musterctl dev at each start.\nfleet: ");
    quoted(&out, fleet);
    ms_buf_adds(&out, "\nworker:\n  queues: [");
    for (size_t i = 0; queues[i] != NULL; i++) {
        ms_buf_adds(&out, i > 0 ? ", " : "");
        quoted(&out, queues[i]);
    }
    ms_buf_adds(&out, "]\n  http: 127.0.0.1:0\ncoordinator:\n"
                      "  http: 127.0.0.1:0\n  staging_dir: ");
    quoted(&out, staging);
    ms_buf_adds(&out, "\nqueues:\n");
    for (size_t i = 0; queues[i] != NULL; i++) {
        ms_buf_adds(&out, "  - { name: ");
        quoted(&out, queues[i]);
        ms_buf_addf(&out, ", max_workers: %d }\n",
                    strcmp(queues[i], "dump") == 0 ? 16 : 4);
    }
    err = file_write(path, &out, error);
    ms_buf_done(&out);
    free(staging);
    if (err == MS_OK)
        *out_path = path;
    else
        free(path);
    return err;
}

enum ms_err ms_dev_write_json(const char *dir, const struct ms_dev_facts *facts,
                              struct ms_error *error)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);
    char *path = ms_xasprintf("%s/dev.json", dir);
    enum ms_err err;

    ms_json_open(&json, '{');
    ms_json_key(&json, "redis");
    ms_json_str(&json, facts->redis);
    ms_json_key(&json, "http");
    ms_json_str(&json, facts->http);
    ms_json_key(&json, "pids");
    ms_json_open(&json, '{');
    ms_json_key(&json, "dev");
    ms_json_int(&json, getpid());
    ms_json_key(&json, "redis");
    ms_json_int(&json, facts->redis_pid);
    ms_json_key(&json, "coordinator");
    ms_json_int(&json, facts->coordinator_pid);
    ms_json_key(&json, "workers");
    ms_json_open(&json, '[');
    for (size_t i = 0; i < facts->n_workers; i++)
        ms_json_int(&json, facts->worker_pids[i]);
    ms_json_close(&json);
    ms_json_close(&json);
    ms_json_close(&json);
    ms_buf_addc(&out, '\n');
    err = file_write(path, &out, error);
    ms_buf_done(&out);
    free(path);
    return err;
}

void ms_dev_remove_json(const char *dir)
{
    char *path = ms_xasprintf("%s/dev.json", dir);

    unlink(path);
    free(path);
}

int ms_dev_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = 0;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

char *ms_dev_program(const char *name)
{
    char *self = realpath("/proc/self/exe", NULL);
    char *slash = self != NULL ? strrchr(self, '/') : NULL;
    char *path = NULL;

    if (slash != NULL)
        path = ms_xasprintf("%.*s/%s", (int)(slash - self), self, name);
    if (path == NULL || access(path, X_OK) != 0) {
        free(path);
        path = ms_xstrdup(name);
    }
    free(self);
    return path;
}

char *ms_dev_tail(const char *path, int lines)
{
    char *text = ms_xcalloc(1, TAIL_BYTES + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
    ssize_t got = fd < 0 ? 0 : pread(fd, text, TAIL_BYTES, from);
    char *at = text + (got > 0 ? got : 0);

    if (fd >= 0)
        close(fd);
    while (at > text && (at[-1] != '\n' || lines-- > 0))
        at--;
    memmove(text, at, strlen(at) + 1);
    return text;
}
