#include "tests/support/fleet.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"

static char *last_stdout, *last_stderr;

struct ms_test_fleet *ms_test_fleet_new(const char *const *redis_args,
                                        const char *yaml)
{
    struct ms_test_fleet *fleet = ms_xcalloc(1, sizeof(*fleet));
    struct ms_buf text = MS_BUF_INIT;
    static int number;
    char name[32];

    fleet->redis = ms_test_redis_start(redis_args);
    snprintf(name, sizeof(name), "fleet-%d.yaml", number++);
    ms_buf_addf(&text, "fleet: t\nredis: { url: %s }\n%s",
                ms_test_redis_url(fleet->redis), yaml);
    fleet->conf = ms_test_file(name, text.data, text.len);
    ms_buf_done(&text);
    return fleet;
}

void ms_test_fleet_free(struct ms_test_fleet *fleet)
{
    if (fleet == NULL)
        return;
    ms_test_redis_stop(fleet->redis);
    free(fleet->conf);
    free(fleet);
    free(last_stdout);
    free(last_stderr);
    last_stdout = last_stderr = NULL;
}

static struct ms_proc *start(struct ms_test_fleet *fleet, const char *program)
{
    const char *const argv[] = {program, "--config", fleet->conf, NULL};

    return ms_proc_start(argv, NULL);
}

struct ms_proc *ms_test_worker(struct ms_test_fleet *fleet)
{
    struct ms_proc *proc = start(fleet, "muster-worker");

    WAIT_FOR(20000, strstr(ms_proc_stderr(proc), "event=working") != NULL);
    return proc;
}

struct ms_proc *ms_test_coordinator(struct ms_test_fleet *fleet)
{
    struct ms_proc *proc = start(fleet, "muster-coordinator");

    WAIT_FOR(20000,
             strstr(ms_proc_stderr(proc), "event=term_began") != NULL ||
                 strstr(ms_proc_stderr(proc), "event=stands_by") != NULL);
    return proc;
}

int ms_test_ctl(struct ms_test_fleet *fleet, const char *format, ...)
{
    const char *argv[64] = {"musterctl", "--config", fleet->conf};
    char line[4096];
    int n = 3;
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n] = NULL;
    free(last_stdout);
    free(last_stderr);
    return ms_proc_run(argv, NULL, &last_stdout, &last_stderr);
}

const char *ms_test_ctl_stdout(void)
{
    return last_stdout == NULL ? "" : last_stdout;
}

const char *ms_test_ctl_stderr(void)
{
    return last_stderr == NULL ? "" : last_stderr;
}

const char *ms_test_ctl_field(const char *name)
{
    static char value[512];
    char key[128];
    const char *at;
    size_t len;

    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(ms_test_ctl_stdout(), key);
    if (at == NULL)
        return "";
    at += strlen(key);
    at += strspn(at, " \"");
    len = strcspn(at, "\",}]\n");
    snprintf(value, sizeof(value), "%.*s", (int)len, at);
    return value;
}

const char *ms_test_pod_id(struct ms_proc *worker)
{
    static char id[64];
    const char *at = strstr(ms_proc_stderr(worker), " pod=");

    id[0] = '\0';
    if (at != NULL)
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(at + 5, " \n"), at + 5);
    return id;
}

static pid_t parent_of(pid_t pid, char *out_state)
{
    char path[64], text[512] = "";
    const char *behind;
    int parent = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    fclose(file);
    behind = strrchr(text, ')'); /* the name may hold anything */
    if (behind == NULL || sscanf(behind + 1, " %c %d", out_state, &parent) != 2)
        return 0;
    return parent;
}

int ms_test_children(pid_t parent, pid_t *out_pids, int max)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int n = 0;

    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        char state;

        if (pid > 0 && n < max && parent_of(pid, &state) == parent)
            out_pids[n++] = pid;
    }
    closedir(dir);
    return n;
}

bool ms_test_alive(pid_t pid)
{
    char state = 'Z';

    return parent_of(pid, &state) > 0 && state != 'Z';
}
