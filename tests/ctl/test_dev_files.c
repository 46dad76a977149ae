/* The folder of musterctl dev. */
#include "common/val.h"
#include "ctl/daemon.h"
#include "ctl/dev_files.h"
#include "ctl/doctor.h"
#include "tests/support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder_new(void)
{
    static int number;
    char *path = ms_xasprintf("%s/folder-%d", ms_test_dir(), ++number);

    mkdir(path, 0755);
    return path;
}

static char *text_of(const char *dir, const char *name)
{
    char *path = ms_xasprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "re");
    char *text = ms_xcalloc(1, 10000);

    if (file != NULL) {
        (void)!fread(text, 1, 9999, file);
        fclose(file);
    }
    free(path);
    return text;
}

static TEST(test_a_folder_is_made_with_all_above_it_and_locked)
{
    char *base = folder_new();
    char *deep = ms_xasprintf("%s/a/b//c/", base);
    char *plain = ms_xasprintf("%s/a/b/c", base);
    char *path = NULL, *again = NULL;
    struct ms_error error = {""};
    int fd = -1, other = -1;

    CHECK_INT(ms_dev_folder(deep, &path, &fd, NULL), ==, MS_OK);
    CHECK_STR(path, plain);
    CHECK_INT(ms_dev_folder(plain, &again, &other, &error), ==, MS_EBUSY);
    CHECK_CONTAINS(error.text, plain);
    close(fd);
    CHECK_INT(ms_dev_folder(plain, &again, &other, NULL), ==, MS_OK);
    close(other);
    free(again);
    free(path);
    free(plain);
    free(deep);
    free(base);
}

static TEST(test_a_folder_that_cannot_be_is_an_error)
{
    char *file = ms_test_file("plain", "x", 1);
    char *below = ms_xasprintf("%s/below", file);
    char *path = NULL;
    struct ms_error error = {""};
    int fd = -1;

    CHECK_INT(ms_dev_folder("", &path, &fd, NULL), ==, MS_EINVAL);
    CHECK_INT(ms_dev_folder(below, &path, &fd, &error), ==, MS_EIO);
    CHECK_CONTAINS(error.text, "plain");
    CHECK(path == NULL && fd == -1);
    free(below);
    free(file);
}

/* What dev writes must be what the daemons read: names that look like other
 * types of YAML included. */
static TEST(test_the_configuration_reads_back)
{
    char *dir = folder_new();
    char a[] = "default", b[] = "dump", c[] = "null", d[] = "12";
    char *queues[] = {a, b, c, d, NULL};
    char *path = NULL, *none[] = {NULL};
    struct ms_conf_flags flags = {0};
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};

    CHECK_INT(ms_dev_write_conf(dir, "true", queues, &path, NULL), ==, MS_OK);
    flags.config = path;
    if (ms_conf_load(&flags, none, &conf, &error) != MS_OK)
        print_error("%s\n", error.text);
    CHECK(conf != NULL);
    CHECK_STR(conf->fleet, "true");
    CHECK_STR(conf->worker_queues[2], "null");
    CHECK(conf->worker_queues[4] == NULL);
    CHECK_STR(conf->worker_http, "127.0.0.1:0");
    CHECK_STR(conf->coordinator_http, "127.0.0.1:0");
    CHECK_CONTAINS(conf->coordinator_staging_dir, dir);
    CHECK_INT(conf->n_queues, ==, 4);
    CHECK_INT(conf->queues[0].max_workers, ==, 4);
    CHECK_INT(conf->queues[1].max_workers, ==, 16);
    CHECK_STR(conf->queues[3].name, "12");
    ms_conf_free(conf);
    free(path);
    free(dir);
}

static TEST(test_facts_are_written_whole_and_removed)
{
    char *dir = folder_new();
    pid_t workers[] = {12, 13};
    struct ms_dev_facts facts = {.redis = "redis://127.0.0.1:1",
                                 .http = NULL,
                                 .redis_pid = 10,
                                 .coordinator_pid = 11,
                                 .worker_pids = workers,
                                 .n_workers = 2};
    char *want, *text;

    CHECK_INT(ms_dev_write_json(dir, &facts, NULL), ==, MS_OK);
    text = text_of(dir, "dev.json");
    want = ms_xasprintf("{\"redis\":\"redis://127.0.0.1:1\",\"http\":null,"
                        "\"pids\":{\"dev\":%d,\"redis\":10,"
                        "\"coordinator\":11,\"workers\":[12,13]}}\n",
                        (int)getpid());
    CHECK_STR(text, want);
    free(text);
    ms_dev_remove_json(dir);
    text = text_of(dir, "dev.json");
    CHECK_STR(text, "");
    free(text);
    free(want);
    free(dir);
}

static TEST(test_facts_that_cannot_be_written_are_an_error)
{
    struct ms_dev_facts facts = {.redis = "r"};
    struct ms_error error = {""};

    CHECK_INT(ms_dev_write_json("/no/such/folder", &facts, &error), ==, MS_EIO);
    CHECK_CONTAINS(error.text, "/no/such/folder/dev.json");
}

static void check_tail(const char *bytes, int lines, const char *want)
{
    char *path = ms_test_file("tail", bytes, strlen(bytes));
    char *tail = ms_dev_tail(path, lines);

    CHECK_STR(tail, want);
    free(tail);
    free(path);
}

static TEST(test_the_tail_of_a_log)
{
    char *tail;

    check_tail("", 3, "");
    check_tail("one\ntwo\nthree\n", 2, "two\nthree\n");
    check_tail("one\ntwo\nthree\n", 9, "one\ntwo\nthree\n");
    check_tail("no end", 1, "no end");
    check_tail("one\n", 0, "");
    tail = ms_dev_tail("/no/such/file", 3);
    CHECK_STR(tail, "");
    free(tail);
}

static TEST(test_ports_and_programs_are_found)
{
    char *beside = ms_dev_program("musterctl");
    char *elsewhere = ms_dev_program("no-such-program");
    int port = ms_dev_free_port();

    CHECK(port > 1023 && port < 65536);
    CHECK_STR(beside, MS_TEST_BIN_DIR "/musterctl"); /* tests stand there too */
    CHECK_STR(elsewhere, "no-such-program");
    free(beside);
    free(elsewhere);
}

static TEST(test_versions_are_read)
{
    int minor = -1;

    CHECK_INT(ms_doctor_version("7.0.15", &minor), ==, 7);
    CHECK_INT(minor, ==, 0);
    CHECK_INT(ms_doctor_version("6.2", &minor), ==, 6);
    CHECK_INT(minor, ==, 2);
    CHECK_INT(ms_doctor_version("255.255.255", &minor), ==, 255);
    CHECK_INT(ms_doctor_version("unstable", &minor), ==, 0);
    CHECK_INT(ms_doctor_version("", &minor), ==, 0);
    CHECK_INT(ms_doctor_version(NULL, &minor), ==, 0);
}

/* ---- daemons ---- */

static void daemon_wait(struct ev_loop *loop, struct ms_daemon *daemon)
{
    while (daemon->running)
        ev_run(loop, EVRUN_ONCE);
}

static enum ms_err shell(struct ms_daemon *daemon, const char *log,
                         const char *script, struct ms_error *error)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", "GREETING=hello", NULL};

    return ms_daemon_start(daemon, ev_default_loop(0), "shell", log, argv, env,
                           SIGKILL, error);
}

static TEST(test_a_daemon_writes_to_its_log_and_its_end_is_told)
{
    char *dir = folder_new();
    char *log = ms_xasprintf("%s/log", dir);
    struct ms_daemon daemon;
    char how[64], *text;

    CHECK_INT(shell(&daemon, log, "echo $GREETING; echo oops >&2; exit 3",
                    NULL),
              ==, MS_OK);
    daemon_wait(ev_default_loop(0), &daemon);
    CHECK_STR(ms_daemon_end(&daemon, how, sizeof(how)), "exited with 3");
    ms_daemon_done(&daemon);
    CHECK_INT(shell(&daemon, log, "kill -9 $$", NULL), ==, MS_OK);
    daemon_wait(ev_default_loop(0), &daemon);
    CHECK_STR(ms_daemon_end(&daemon, how, sizeof(how)),
              "was killed by signal 9");
    ms_daemon_done(&daemon);
    text = text_of(dir, "log"); /* the second start has not emptied it */
    CHECK_STR(text, "hello\noops\n");
    free(text);
    free(log);
    free(dir);
}

static TEST(test_a_daemon_stands_in_a_group_of_its_own_and_can_be_stopped)
{
    char *dir = folder_new();
    char *log = ms_xasprintf("%s/log", dir);
    struct ms_daemon daemon;
    char how[64];

    CHECK_INT(shell(&daemon, log, "exec sleep 60", NULL), ==, MS_OK);
    CHECK_INT(getpgid(daemon.pid), ==, daemon.pid);
    ms_daemon_signal(&daemon, SIGTERM);
    daemon_wait(ev_default_loop(0), &daemon);
    CHECK_STR(ms_daemon_end(&daemon, how, sizeof(how)),
              "was killed by signal 15");
    ms_daemon_signal(&daemon, SIGTERM); /* it has ended: nobody is hit */
    ms_daemon_done(&daemon);
    free(log);
    free(dir);
}

static TEST(test_a_program_that_is_not_there_is_an_error)
{
    char *dir = folder_new();
    char *log = ms_xasprintf("%s/log", dir);
    const char *argv[] = {"/no/such/program", NULL};
    const char *env[] = {NULL};
    struct ms_daemon daemon;
    struct ms_error error = {""};

    CHECK_INT(ms_daemon_start(&daemon, ev_default_loop(0), "x", log, argv, env,
                              SIGKILL, &error),
              ==, MS_ENOENT);
    CHECK_CONTAINS(error.text, "/no/such/program");
    daemon_wait(ev_default_loop(0), &daemon);
    ms_daemon_done(&daemon);
    CHECK_INT(shell(&daemon, "/no/such/folder/log", "true", &error), ==,
              MS_EIO);
    CHECK_CONTAINS(error.text, "/no/such/folder/log");
    ms_daemon_done(&daemon);
    free(log);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_a_folder_is_made_with_all_above_it_and_locked),
        RUN(test_a_folder_that_cannot_be_is_an_error),
        RUN(test_the_configuration_reads_back),
        RUN(test_facts_are_written_whole_and_removed),
        RUN(test_facts_that_cannot_be_written_are_an_error),
        RUN(test_the_tail_of_a_log),
        RUN(test_ports_and_programs_are_found),
        RUN(test_versions_are_read),
        RUN(test_a_daemon_writes_to_its_log_and_its_end_is_told),
        RUN(test_a_daemon_stands_in_a_group_of_its_own_and_can_be_stopped),
        RUN(test_a_program_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
