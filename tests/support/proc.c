#include "tests/support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/support/children.h"

struct ms_proc {
    pid_t pid;
    bool ended;
    int code; /* once it has ended */
    char *stdout_path, *stderr_path;
    struct ms_buf stdout_text, stderr_text;
};

/* A program of the build where there is one of that name, else one of PATH. */
static char *find_program(const char *name)
{
    char *path = ms_xasprintf("%s/%s", MS_TEST_BIN_DIR, name);

    if (strchr(name, '/') == NULL && access(path, X_OK) == 0)
        return path;
    free(path);
    return ms_xstrdup(name);
}

static const char **with_program(const char *const *argv, char *program)
{
    size_t n = 0;
    const char **copy;

    while (argv[n] != NULL)
        n++;
    copy = ms_xcalloc(n + 1, sizeof(*copy));
    memcpy(copy, argv, n * sizeof(*copy));
    copy[0] = program;
    return copy;
}

struct ms_proc *ms_proc_start(const char *const *argv, const char *const *env)
{
    static int number;
    struct ms_proc *proc = ms_xcalloc(1, sizeof(*proc));
    char *program = find_program(argv[0]);
    const char **full = with_program(argv, program);

    number++;
    proc->stdout_path = ms_xasprintf("%s/proc-%d.out", ms_test_dir(), number);
    proc->stderr_path = ms_xasprintf("%s/proc-%d.err", ms_test_dir(), number);
    proc->pid = ms_child_start(full, env, proc->stdout_path, proc->stderr_path);
    free(full);
    free(program);
    return proc;
}

pid_t ms_proc_pid(const struct ms_proc *proc)
{
    return proc->pid;
}

void ms_proc_signal(struct ms_proc *proc, int signal)
{
    if (!proc->ended) /* the number may be somebody else's by now */
        kill(proc->pid, signal);
}

int ms_proc_wait(struct ms_proc *proc, int timeout_ms)
{
    int code;

    if (proc->ended)
        return proc->code;
    code = ms_child_wait(proc->pid, timeout_ms);
    if (code >= 0) {
        proc->ended = true;
        proc->code = code;
    }
    return code;
}

static const char *read_file(const char *path, struct ms_buf *text)
{
    FILE *file = fopen(path, "re");
    size_t got;

    ms_buf_clear(text);
    if (file == NULL)
        return ms_buf_str(text);
    do {
        got = fread(ms_buf_reserve(text, 65536), 1, 65536, file);
        text->len += got;
    } while (got > 0);
    fclose(file);
    return ms_buf_str(text);
}

const char *ms_proc_stdout(struct ms_proc *proc)
{
    return read_file(proc->stdout_path, &proc->stdout_text);
}

const char *ms_proc_stderr(struct ms_proc *proc)
{
    return read_file(proc->stderr_path, &proc->stderr_text);
}

void ms_proc_free(struct ms_proc *proc)
{
    if (proc == NULL)
        return;
    if (proc->ended)
        kill(-proc->pid, SIGKILL); /* what it left behind in its group */
    else
        ms_child_end(proc->pid);
    free(proc->stdout_path);
    free(proc->stderr_path);
    ms_buf_done(&proc->stdout_text);
    ms_buf_done(&proc->stderr_text);
    free(proc);
}

int ms_proc_run(const char *const *argv, const char *const *env,
                char **out_stdout, char **out_stderr)
{
    struct ms_proc *proc = ms_proc_start(argv, env);
    int code = ms_proc_wait(proc, 60000);

    if (out_stdout != NULL)
        *out_stdout = ms_xstrdup(ms_proc_stdout(proc));
    if (out_stderr != NULL)
        *out_stderr = ms_xstrdup(ms_proc_stderr(proc));
    ms_proc_free(proc);
    return code;
}
