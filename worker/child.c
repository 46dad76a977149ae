#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/mem.h"

pid_t ms_child_fork(void)
{
    sigset_t all, before;
    pid_t pid;
    int saved;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    saved = errno;
    if (pid != 0)
        sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

void ms_child_settle(pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before the line above could tell us */
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL); /* fails for KILL and STOP, as it may */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void ms_child_close_from(int fd)
{
    if (close_range((unsigned)fd, ~0u, 0) == 0)
        return;
    for (long top = sysconf(_SC_OPEN_MAX); fd < top; fd++)
        close(fd);
}

bool ms_child_set_fds(const int *fds, int n)
{
    int high[8];

    ms_assert(n <= (int)MS_COUNT_OF(high));
    /* First out of each other's way, then into place. */
    for (int i = 0; i < n; i++) {
        high[i] = fds[i] < 0 ? open("/dev/null", O_RDWR) : fds[i];
        if (high[i] < 0)
            return false;
        high[i] = fcntl(high[i], F_DUPFD, 16);
        if (high[i] < 0)
            return false;
    }
    for (int i = 0; i < n; i++)
        if (dup2(high[i], i) < 0)
            return false;
    ms_child_close_from(n);
    return true;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *variable, const char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++)
        if (starts_with(variable, *prefixes))
            return true;
    return false;
}

static bool may_pass(const char *variable, bool own)
{
    static const char *const open_to_all[] = {
        "PATH=",     "HOME=", "USER=", "LOGNAME=", "LANG=",
        "LANGUAGE=", "LC_",   "TZ=",   "TMPDIR=",  NULL};
    static const char *const ours[] = {"MUSTER_",
                                       "SSL_CERT_",
                                       "LD_LIBRARY_PATH=",
                                       "ASAN_OPTIONS=",
                                       "LSAN_OPTIONS=",
                                       "UBSAN_OPTIONS=",
                                       NULL};

    return is_one_of(variable, open_to_all) ||
           (own && is_one_of(variable, ours));
}

static size_t env_count(char *const *env)
{
    size_t n = 0;

    while (env[n] != NULL)
        n++;
    return n;
}

char **ms_child_env_new(bool own)
{
    char **env = ms_xcalloc(env_count(environ) + 1, sizeof(*env));
    size_t n = 0;

    for (char **at = environ; *at != NULL; at++)
        if (may_pass(*at, own))
            env[n++] = ms_xstrdup(*at);
    return env;
}

void ms_child_env_set(char ***env, const char *name, const char *value)
{
    size_t n = env_count(*env), len = strlen(name), i;
    char *entry = ms_xasprintf("%s=%s", name, value);

    for (i = 0; i < n; i++)
        if (strncmp((*env)[i], entry, len + 1) == 0)
            break;
    if (i == n) {
        *env = ms_xrealloc(*env, (n + 2) * sizeof(**env));
        (*env)[n + 1] = NULL;
    } else {
        free((*env)[i]);
    }
    (*env)[i] = entry;
}

void ms_child_env_free(char **env)
{
    if (env == NULL)
        return;
    for (char **at = env; *at != NULL; at++)
        free(*at);
    free(env);
}
