#include "worker/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUSTER_HOST
#include "common/clock.h"
#include "common/mem.h"
#include "include/muster/handler.h"
#include "worker/child.h"
#include "worker/handlers.h"

#define PROBE_MS 10000

/* Called for each file before it is loaded, and for each kind in it. */
struct visitor {
    void (*file)(const char *name, void *arg);
    enum ms_err (*kind)(const char *name, const struct muster_kind *kind,
                        void *arg, struct ms_error *error);
    void *arg;
};

/* ---- loading ---- */

static enum ms_err check_table(const char *name,
                               const struct muster_plugin *plugin,
                               struct ms_error *error)
{
    if (plugin == NULL)
        return ms_error_set(error, MS_EINVAL,
                            "'%s' is no plug-in of muster: it has no symbol "
                            "muster_plugin (see muster/handler.h)",
                            name);
    if (plugin->abi != MUSTER_ABI)
        return ms_error_set(error, MS_EINVAL,
                            "'%s' was built for version %u of "
                            "muster/handler.h, this worker has version %u",
                            name, plugin->abi, MUSTER_ABI);
    if (plugin->api_size > sizeof(struct muster_api))
        return ms_error_set(error, MS_EINVAL,
                            "'%s' was built for a newer worker than this one",
                            name);
    if (plugin->first == plugin->end)
        return ms_error_set(error, MS_EINVAL,
                            "'%s' has no handlers: none is registered with "
                            "MUSTER_HANDLER",
                            name);
    return MS_OK;
}

static enum ms_err check_kind(const struct muster_kind *kind,
                              struct ms_error *error)
{
    enum ms_err err =
        ms_kind_check(kind->kind == NULL ? "" : kind->kind, error);

    if (err == MS_OK && kind->run == NULL)
        return ms_error_set(error, MS_EINVAL, "kind '%s' has no function",
                            kind->kind);
    return err;
}

static enum ms_err load_file(const char *dir, const char *name,
                             const struct visitor *visitor,
                             struct ms_error *error)
{
    char *path = ms_xasprintf("%s/%s", dir, name);
    const struct muster_plugin *plugin;
    struct ms_error why;
    enum ms_err err;
    void *handle;

    visitor->file(name, visitor->arg);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    free(path);
    if (handle == NULL)
        return ms_error_set(error, MS_EINVAL, "'%s' cannot be loaded: %s", name,
                            dlerror());
    plugin = dlsym(handle, "muster_plugin");
    err = check_table(name, plugin, error);
    if (err != MS_OK)
        return err;
    for (const struct muster_kind *const *kind = plugin->first;
         err == MS_OK && kind != plugin->end; kind++) {
        err = check_kind(*kind, &why);
        if (err == MS_OK)
            err = visitor->kind(name, *kind, visitor->arg, &why);
    }
    if (err != MS_OK)
        ms_error_set(error, err, "'%s': %s", name, why.text);
    return err;
}

static int is_plugin(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 3 &&
           strcmp(entry->d_name + len - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum ms_err load_all(const char *dir, const struct visitor *visitor,
                            struct ms_error *error)
{
    struct dirent **entries = NULL;
    struct ms_error why;
    int n = scandir(dir, &entries, is_plugin, by_name);
    enum ms_err err = MS_OK;

    if (n < 0)
        return ms_error_set(error, MS_EIO,
                            "worker.handlers_dir: cannot read '%s': %s", dir,
                            strerror(errno));
    for (int i = 0; i < n; i++) {
        if (err == MS_OK)
            err = load_file(dir, entries[i]->d_name, visitor, &why);
        free(entries[i]);
    }
    free(entries);
    if (err != MS_OK)
        ms_error_set(error, err, "worker.handlers_dir: %s", why.text);
    return err;
}

static void add_route_of(const struct muster_kind *kind, const char *name,
                         struct ms_route *out)
{
    *out = (struct ms_route){.from = (char *)name,
                             .run = ms_handle_plugin,
                             .resumes = (kind->flags & MUSTER_RESUMES) != 0,
                             .plugin = kind};
}

static void ignore_file(const char *name, void *arg)
{
}

static enum ms_err add_kind(const char *name, const struct muster_kind *kind,
                            void *arg, struct ms_error *error)
{
    struct ms_route route;

    add_route_of(kind, name, &route);
    return ms_routes_add(arg, kind->kind, &route, error);
}

enum ms_err ms_plugins_load(const char *dir, struct ms_routes *routes,
                            struct ms_error *error)
{
    const struct visitor visitor = {ignore_file, add_kind, routes};

    return load_all(dir, &visitor, error);
}

/* ---- the probe: lines of a letter and a text ---- */

/* F file (about to be loaded), K flags and kind, E error, D done. */
static void say(int fd, char letter, const char *text)
{
    dprintf(fd, "%c%s\n", letter, text);
}

static void say_file(const char *name, void *arg)
{
    say(*(int *)arg, 'F', name);
}

static enum ms_err say_kind(const char *name, const struct muster_kind *kind,
                            void *arg, struct ms_error *error)
{
    char text[128];

    snprintf(text, sizeof(text), "%u %.100s", kind->flags, kind->kind);
    say(*(int *)arg, 'K', text);
    return MS_OK;
}

static void probe_main(const char *dir, int fd, pid_t worker)
    __attribute__((noreturn));

static void probe_main(const char *dir, int fd, pid_t worker)
{
    const int fds[] = {-1, STDERR_FILENO, STDERR_FILENO, fd};
    const struct rlimit no_core = {0, 0};
    const struct visitor visitor = {say_file, say_kind, &fd};
    struct ms_error error;

    setpgid(0, 0);
    ms_child_settle(worker);
    setrlimit(RLIMIT_CORE, &no_core);
    fd = 3;
    if (!ms_child_set_fds(fds, MS_COUNT_OF(fds)))
        _exit(1);
    if (load_all(dir, &visitor, &error) == MS_OK)
        say(fd, 'D', "");
    else
        say(fd, 'E', error.text);
    _exit(0); /* without what plug-ins do at exit */
}

/* What the probe says, all of it; false: it took too long. */
static bool read_all(int fd, struct ms_buf *out)
{
    int64_t end_ms = ms_clock_mono_ms() + PROBE_MS;
    struct pollfd readable = {fd, POLLIN, 0};

    for (;;) {
        int64_t left = end_ms - ms_clock_mono_ms();
        ssize_t n;

        if (left <= 0 || poll(&readable, 1, (int)left) == 0)
            return false;
        n = read(fd, ms_buf_reserve(out, 4096), 4096);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return true;
        out->len += n > 0 ? (size_t)n : 0;
    }
}

/* Copies: the name in the text is gone when the table is used. */
static enum ms_err take_kind(const char *text, const char *file,
                             struct ms_routes *routes, struct ms_error *error)
{
    struct muster_kind kind = {.run = NULL};
    struct ms_route route;
    char *name;
    enum ms_err err;

    kind.flags = (unsigned)strtoul(text, &name, 10);
    kind.kind = name + 1;
    add_route_of(&kind, file, &route);
    route.plugin = NULL;
    err = ms_routes_add(routes, kind.kind, &route, error);
    return err;
}

/* MS_ECRASHED: the text ends without an end; *out_file was loaded last. */
static enum ms_err take_words(char *text, struct ms_routes *routes,
                              const char **out_file, struct ms_error *error)
{
    enum ms_err err = MS_OK;
    char *rest = NULL;

    *out_file = "";
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == 'F')
            *out_file = line + 1;
        else if (line[0] == 'K' && err == MS_OK)
            err = take_kind(line + 1, *out_file, routes, error);
        else if (line[0] == 'E')
            return ms_error_set(error, MS_EINVAL, "%s", line + 1);
        else if (line[0] == 'D')
            return err;
    }
    return MS_ECRASHED;
}

static enum ms_err judge(char *text, bool in_time, int status,
                         struct ms_routes *routes, struct ms_error *error)
{
    const char *file;
    enum ms_err err = take_words(text, routes, &file, error);

    if (err != MS_ECRASHED)
        return err;
    if (!in_time)
        return ms_error_set(error, MS_EINVAL,
                            "worker.handlers_dir: '%s' took more than %d "
                            "seconds to load",
                            file, PROBE_MS / 1000);
    return ms_error_set(error, MS_EINVAL,
                        "worker.handlers_dir: '%s' ended the program that "
                        "loaded it (%s %d)",
                        file, WIFSIGNALED(status) ? "signal" : "exit status",
                        WIFSIGNALED(status) ? WTERMSIG(status)
                                            : WEXITSTATUS(status));
}

enum ms_err ms_plugins_probe(const char *dir, struct ms_routes *routes,
                             struct ms_error *error)
{
    struct ms_buf text = MS_BUF_INIT;
    pid_t worker = getpid(), pid;
    int ends[2], status = 0;
    enum ms_err err;
    bool in_time;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return ms_error_set(error, MS_EIO, "cannot make a pipe: %s",
                            strerror(errno));
    pid = ms_child_fork();
    if (pid == 0)
        probe_main(dir, ends[1], worker);
    close(ends[1]);
    in_time = pid > 0 && read_all(ends[0], &text);
    close(ends[0]);
    if (pid < 0)
        return ms_error_set(error, MS_EIO, "cannot start a process: %s",
                            strerror(errno));
    kill(-pid, SIGKILL); /* what a plug-in began at its loading, too */
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    ms_buf_str(&text);
    err = judge(text.data, in_time, status, routes, error);
    ms_buf_done(&text);
    return err;
}
