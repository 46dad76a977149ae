#include "worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/child.h"
#include "worker/slot_child.h"

/* /proc/self/exe, unless what runs is an emulator: valgrind shows us our own
 * program as the link's text, but the kernel would start valgrind's.  (Where
 * the file was replaced, the text ends in "(deleted)" and names nothing.) */
static const char *what_to_execute(const char *path)
{
    static const char link[] = "/proc/self/exe";
    struct stat linked, named;

    if (stat(link, &linked) == 0 && stat(path, &named) == 0 &&
        (linked.st_ino != named.st_ino || linked.st_dev != named.st_dev))
        return path;
    return link;
}

/* When memory is short the kernel shall take a slot, which costs one job, and
 * not the worker, which costs all of them. */
static void die_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    char text[32] = "";
    long score;

    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0) {
        score = strtol(text, NULL, 10) + 200;
        snprintf(text, sizeof(text), "%ld", score > 1000 ? 1000 : score);
        if (pwrite(fd, text, strlen(text), 0) < 0)
            text[0] = '\0'; /* then not */
    }
    close(fd);
}

static void become_slot(pid_t worker, const int *fds, const char *file,
                        char *const *argv, char *const *env)
    __attribute__((noreturn));

static void become_slot(pid_t worker, const int *fds, const char *file,
                        char *const *argv, char *const *env)
{
    const struct rlimit no_core = {0, 0};

    ms_child_settle(worker);
    setsid();
    setrlimit(RLIMIT_CORE, &no_core); /* it would hold payloads */
    die_first();
    if (ms_child_set_fds(fds, MS_SLOT_LOG_FD + 1))
        execve(file, argv, env);
    _exit(127);
}

static enum ms_err fork_slot(int number, const int *fds, pid_t *out_pid,
                             struct ms_error *error)
{
    char path[PATH_MAX] = "muster-worker";
    char name[16];
    char *argv[] = {path, (char[]){"--slot"}, name, NULL};
    char **env = ms_child_env_new(true);
    pid_t worker = getpid(), pid;
    const char *file;

    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        snprintf(path, sizeof(path), "muster-worker");
    snprintf(name, sizeof(name), "%d", number);
    file = what_to_execute(path);
    pid = ms_child_fork();
    if (pid == 0)
        become_slot(worker, fds, file, argv, env);
    ms_child_env_free(env);
    if (pid < 0)
        return ms_error_set(error, MS_EIO, "cannot start a slot: %s",
                            strerror(errno));
    *out_pid = pid;
    return MS_OK;
}

void ms_spawn_init(struct ms_spawned *child)
{
    child->pid = 0;
    child->lane = (struct ms_lane){NULL, -1};
    child->output = -1;
    ms_frames_init(&child->frames, -1);
}

enum ms_err ms_spawn_slot(int number, struct ms_spawned *child,
                          struct ms_error *error)
{
    int ends[2] = {-1, -1}, output[2] = {-1, -1};
    enum ms_err err = ms_lane_new(&child->lane, error);

    if (err == MS_OK &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        err = ms_error_set(error, MS_EIO, "cannot make a channel: %s",
                           strerror(errno));
    if (err == MS_OK)
        ms_frames_init(&child->frames, ends[0]);
    if (err == MS_OK && pipe2(output, O_CLOEXEC) != 0)
        err = ms_error_set(error, MS_EIO, "cannot make a pipe: %s",
                           strerror(errno));
    child->output = output[0];
    if (err == MS_OK) {
        const int fds[] = {-1,      output[1],      output[1],
                           ends[1], child->lane.fd, STDERR_FILENO};

        err = fork_slot(number, fds, &child->pid, error);
    }
    if (ends[1] >= 0)
        close(ends[1]);
    if (output[1] >= 0)
        close(output[1]);
    if (err != MS_OK)
        ms_spawn_close(child);
    return err;
}

void ms_spawn_kill(struct ms_spawned *child, int signal)
{
    ms_lane_kill_program(&child->lane, signal);
    if (child->pid > 0)
        kill(child->pid, signal);
}

void ms_spawn_kill_rest(struct ms_spawned *child)
{
    ms_lane_kill_all(&child->lane);
    if (child->pid > 0)
        kill(-child->pid, SIGKILL); /* its session began with a group */
}

void ms_spawn_close(struct ms_spawned *child)
{
    ms_frames_done(&child->frames);
    ms_lane_done(&child->lane);
    if (child->output >= 0)
        close(child->output);
    child->output = -1;
}

/* One in the middle of a disk's time-out is left to whoever inherits it. */
void ms_spawn_end(struct ms_spawned *child)
{
    ms_spawn_kill(child, SIGKILL);
    ms_spawn_kill_rest(child);
    if (child->pid <= 0)
        return;
    for (int i = 0; i < 500 && waitpid(child->pid, NULL, WNOHANG) == 0; i++)
        usleep(1000);
    child->pid = 0;
}
