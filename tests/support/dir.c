/*
 * The folder of a test program.
 *
 * It is removed by a child (the janitor) that reads from a pipe whose other
 * end we hold: whatever ends the test, a failed check, an assertion, a
 * sanitizer or kill -9, closes the pipe.
 */
#include "tests/support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/children.h"

static char *folder;

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at)
{
    return remove(path);
}

static bool is_gone(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return access(folder, F_OK) != 0;
}

/* A Redis that dies at this moment may still write, so more than once. */
static void remove_folder(void)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    for (int i = 0; i < 100 && !is_gone(); i++)
        nanosleep(&pause, NULL);
}

static void close_all_but(int fd)
{
    for (int other = 0; other < 1024; other++)
        if (other != fd)
            close(other);
}

static void janitor(int alive)
{
    char byte;

    setsid(); /* Ctrl-C is for the test */
    signal(SIGTERM, SIG_IGN);
    close_all_but(alive);
    while (read(alive, &byte, 1) < 0 && errno == EINTR)
        continue;
    remove_folder();
    _exit(0);
}

/* Forked twice, so that the test never finds a child it did not start. */
static void janitor_start(void)
{
    int ends[2];
    pid_t middle;

    ms_assert(pipe2(ends, O_CLOEXEC) == 0);
    middle = fork();
    ms_assert(middle >= 0);
    if (middle == 0) {
        close(ends[1]);
        if (fork() == 0)
            janitor(ends[0]);
        _exit(0);
    }
    close(ends[0]);
    while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static pid_t owner;

static void at_exit(void)
{
    if (getpid() != owner)
        return;
    ms_children_kill();
    remove_folder();
    free(folder);
    folder = NULL;
}

const char *ms_test_dir(void)
{
    const char *base = getenv("TMPDIR");

    if (folder != NULL)
        return folder;
    folder = ms_xasprintf("%s/ms-XXXXXX",
                          base == NULL || base[0] == '\0' ? "/tmp" : base);
    ms_assert(mkdtemp(folder) != NULL);
    owner = getpid();
    janitor_start();
    atexit(at_exit);
    return folder;
}

char *ms_test_file(const char *name, const void *bytes, size_t len)
{
    char *path = ms_xasprintf("%s/%s", ms_test_dir(), name);
    FILE *file = fopen(path, "we");

    ms_assert(file != NULL);
    ms_assert(fwrite(bytes, 1, len, file) == len);
    ms_assert(fclose(file) == 0);
    return path;
}
