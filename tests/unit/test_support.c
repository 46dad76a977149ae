/* What all tests lean on must itself be tested: a fixture that leaves a
 * process or a folder behind would do so hundreds of times. */
#include "tests/support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run(const char *script, char **out, char **err)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const char *const env[] = {"MS_PROBE=seen", NULL};

    return ms_proc_run(argv, env, out, err);
}

static TEST(test_run_keeps_both_streams_and_the_exit_code)
{
    char *out;
    char *err;

    CHECK_INT(run("echo $MS_PROBE; echo bad >&2; exit 3", &out, &err), ==, 3);
    CHECK_STR(out, "seen\n");
    CHECK_STR(err, "bad\n");
    free(out);
    free(err);
}

static TEST(test_death_by_signal_is_128_and_the_signal)
{
    CHECK_INT(run("kill -TERM $$", NULL, NULL), ==, 128 + SIGTERM);
}

static TEST(test_missing_program_exits_with_127)
{
    const char *const argv[] = {"no-such-program-anywhere", NULL};

    CHECK_INT(ms_proc_run(argv, NULL, NULL, NULL), ==, 127);
}

static TEST(test_wait_answers_minus_one_while_it_runs)
{
    const char *const argv[] = {"sleep", "100", NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    CHECK_INT(ms_proc_wait(proc, 0), ==, -1);
    ms_proc_signal(proc, SIGKILL);
    CHECK_INT(ms_proc_wait(proc, 10000), ==, 128 + SIGKILL);
    CHECK_INT(ms_proc_wait(proc, 0), ==, 128 + SIGKILL);
    ms_proc_free(proc);
}

static bool is_running(pid_t pid)
{
    char *path = ms_xasprintf("/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    char state = 'X';

    free(path);
    if (file == NULL)
        return false;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static TEST(test_free_kills_the_whole_group)
{
    const char *const argv[] = {"sh", "-c", "sleep 100 & echo $!; wait", NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);
    pid_t grandchild;

    WAIT_FOR(10000, strchr(ms_proc_stdout(proc), '\n') != NULL);
    grandchild = (pid_t)atoi(ms_proc_stdout(proc));
    CHECK(is_running(grandchild));
    ms_proc_free(proc);
    WAIT_FOR(10000, !is_running(grandchild));
}

/* This program again, as one that holds a process and a folder. */
static struct ms_proc *start_victim(const char *how, char *folder, pid_t *child)
{
    const char *const argv[] = {"/proc/self/exe", how, NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    WAIT_FOR(10000, strchr(ms_proc_stdout(proc), '\n') != NULL);
    CHECK(sscanf(ms_proc_stdout(proc), "%d %255s", child, folder) == 2);
    return proc;
}

static TEST(test_killed_test_leaves_no_process_and_no_folder)
{
    char folder[256];
    pid_t child;
    struct ms_proc *victim = start_victim("--wait", folder, &child);

    CHECK(is_running(child));
    CHECK_INT(access(folder, F_OK), ==, 0);
    ms_proc_signal(victim, SIGKILL);
    CHECK_INT(ms_proc_wait(victim, 10000), ==, 128 + SIGKILL);
    WAIT_FOR(10000, !is_running(child));
    WAIT_FOR(10000, access(folder, F_OK) != 0);
    ms_proc_free(victim);
}

static TEST(test_ended_test_leaves_no_process_and_no_folder)
{
    char folder[256];
    pid_t child;
    struct ms_proc *victim = start_victim("--exit", folder, &child);

    CHECK_INT(ms_proc_wait(victim, 10000), ==, 0);
    CHECK(!is_running(child));
    CHECK(access(folder, F_OK) != 0);
    ms_proc_free(victim);
}

static int be_victim(const char *how)
{
    const char *const argv[] = {"sleep", "100", NULL};
    struct ms_proc *proc = ms_proc_start(argv, NULL);

    printf("%d %s\n", (int)ms_proc_pid(proc), ms_test_dir());
    fflush(stdout);
    free(ms_test_file("some", "bytes", 5));
    if (strcmp(how, "--wait") == 0)
        pause();
    exit(0); /* without ms_proc_free(), as after a failed check */
}

static TEST(test_file_holds_the_bytes)
{
    char *path = ms_test_file("bytes", "a\0b", 3);
    char got[8];
    FILE *file = fopen(path, "re");

    CHECK(file != NULL);
    CHECK_INT(fread(got, 1, sizeof(got), file), ==, 3);
    CHECK(memcmp(got, "a\0b", 3) == 0);
    CHECK(strncmp(path, ms_test_dir(), strlen(ms_test_dir())) == 0);
    fclose(file);
    free(path);
}

static TEST(test_wait_for_sees_a_condition_come_true)
{
    int calls = 0;

    WAIT_FOR(10000, ++calls == 3);
    CHECK_INT(calls, ==, 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        RUN(test_run_keeps_both_streams_and_the_exit_code),
        RUN(test_death_by_signal_is_128_and_the_signal),
        RUN(test_missing_program_exits_with_127),
        RUN(test_wait_answers_minus_one_while_it_runs),
        RUN(test_free_kills_the_whole_group),
        RUN(test_killed_test_leaves_no_process_and_no_folder),
        RUN(test_ended_test_leaves_no_process_and_no_folder),
        RUN(test_file_holds_the_bytes),
        RUN(test_wait_for_sees_a_condition_come_true),
    };

    if (argc > 1)
        return be_victim(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
