/*
 * A pool's child for tests: what it does with a job is the kind's last part,
 * most of it wrong.
 *
 * `pool_child deaf` reads nothing at all.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/val.h"

static const char *id;
static const msgpack_object *job;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

static void ok(void)
{
    say("{\"id\":\"%s\",\"status\":\"ok\"}\n", id);
}

static void say_result(const msgpack_object *result)
{
    struct ms_buf out = MS_BUF_INIT;
    struct ms_json json = ms_json_on(&out);

    ms_json_open(&json, '{');
    ms_json_key(&json, "id");
    ms_json_str(&json, id);
    ms_json_key(&json, "status");
    ms_json_str(&json, "ok");
    ms_json_key(&json, "result");
    ms_json_val(&json, result);
    ms_json_close(&json);
    say("%s\n", ms_buf_str(&out));
    ms_buf_done(&out);
}

/* ---- as it should be ---- */

static void do_echo(void)
{
    say_result(ms_val_get(job, "payload"));
}

static void do_job(void)
{
    say_result(job);
}

static void do_pid(void)
{
    say("{\"id\":\"%s\",\"status\":\"ok\",\"result\":%d}\n", id, (int)getpid());
}

/* The variable that the payload names. */
static void do_env(void)
{
    char *name = ms_val_strdup(ms_val_get(job, "payload"), "name");
    const char *value = getenv(name);
    char cwd[4096];

    if (strcmp(name, "PWD") == 0)
        value = getcwd(cwd, sizeof(cwd));
    say("{\"id\":\"%s\",\"status\":\"ok\",\"result\":\"%s\"}\n", id,
        value == NULL ? "none" : value);
    free(name);
}

/* Answers with the line that the payload holds, its id put in. */
static void do_say(void)
{
    char *line = ms_val_strdup(ms_val_get(job, "payload"), "line");

    say("{\"id\":\"%s\",%s}\n", id, line);
    free(line);
}

/* Moves its cursor from where it was to 10. */
static void do_steps(void)
{
    int64_t i = ms_val_int(job, "cursor", 0);

    for (; i < 10; i++)
        say("{\"id\":\"%s\",\"progress\":%g,\"cursor\":%d}\n", id,
            (double)(i + 1) / 10, (int)i + 1);
    ok();
}

static void do_slow_steps(void)
{
    for (int i = 0; i < 20; i++) {
        say("{\"id\":\"%s\",\"cursor\":%d}\n", id, i + 1);
        usleep(50000);
    }
    ok();
}

static void do_sleep(void)
{
    say("{\"id\":\"%s\",\"cursor\":1}\n", id);
    for (;;)
        pause();
}

static void on_term(int signo)
{
    ok();
}

static void do_finish_on_term(void)
{
    signal(SIGTERM, on_term);
    say("{\"id\":\"%s\",\"cursor\":1}\n", id);
    pause();
}

/* ---- as it should not be ---- */

static void do_wrong_id(void)
{
    say("{\"id\":\"other\",\"status\":\"ok\"}\n");
}

static void do_line(void)
{
    char *line = ms_val_strdup(ms_val_get(job, "payload"), "line");

    say("%s\n", line);
    free(line);
}

static void do_long_line(void)
{
    for (int i = 0; i < 20 * 1024; i++)
        say("%01024d", 0);
    say("\n");
    pause();
}

static void do_exit(void)
{
    fprintf(stderr, "Traceback: no such thing\n");
    exit(3);
}

static void do_answer_and_exit(void)
{
    ok();
    exit(0);
}

static void do_crash(void)
{
    signal(SIGSEGV, SIG_DFL); /* sanitizers would make a story of it */
    raise(SIGSEGV);
}

static void do_twice(void)
{
    say("{\"id\":\"%s\",\"status\":\"ok\",\"result\":1}\n"
        "{\"id\":\"%s\",\"status\":\"dead\"}\n",
        id, id);
}

static void do_late_word(void)
{
    ok();
    usleep(20000);
    say("by the way\n");
}

static void do_half_line(void)
{
    say("{\"id\":\"%s\",\"sta", id);
    pause();
}

static void do_stubborn(void)
{
    signal(SIGTERM, SIG_IGN);
    say("{\"id\":\"%s\",\"cursor\":1}\n", id);
    for (;;)
        pause();
}

/* Leaves a process behind that is recognized by its name. */
static void do_fork(void)
{
    if (fork() == 0) {
        execlp("sleep", "sleep", "86399", NULL);
        _exit(1);
    }
    ok();
}

static void do_fork_and_exit(void)
{
    do_fork();
    exit(1);
}

static void do_flood(void)
{
    char line[100];

    memset(line, 'x', sizeof(line));
    line[99] = '\n';
    for (int i = 0; i < 200000; i++)
        if (write(2, line, sizeof(line)) < 0)
            break;
    ok();
}

static void do_close_stdout(void)
{
    close(1);
    pause();
}

/* Grows, and stays so big. */
static void do_leak(void)
{
    size_t size = 64 << 20;
    volatile char *memory = malloc(size);

    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    do_pid();
}

static const struct {
    const char *kind;
    void (*run)(void);
} tricks[] = {
    {"p.echo", do_echo},
    {"p.job", do_job},
    {"p.pid", do_pid},
    {"p.env", do_env},
    {"p.say", do_say},
    {"p.steps", do_steps},
    {"p.slow_steps", do_slow_steps},
    {"p.sleep", do_sleep},
    {"p.finish_on_term", do_finish_on_term},
    {"p.wrong_id", do_wrong_id},
    {"p.line", do_line},
    {"p.long_line", do_long_line},
    {"p.exit", do_exit},
    {"p.answer_and_exit", do_answer_and_exit},
    {"p.crash", do_crash},
    {"p.twice", do_twice},
    {"p.late_word", do_late_word},
    {"p.half_line", do_half_line},
    {"p.stubborn", do_stubborn},
    {"p.fork", do_fork},
    {"p.fork_and_exit", do_fork_and_exit},
    {"p.flood", do_flood},
    {"p.close_stdout", do_close_stdout},
    {"p.leak", do_leak},
};

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    prctl(PR_SET_DUMPABLE, 0);
    if (argc > 1 && strcmp(argv[1], "deaf") == 0)
        pause();
    while ((len = getline(&line, &room, stdin)) > 0) {
        struct ms_val val;
        char *kind;

        if (ms_val_from_json(line, (size_t)len, &val, NULL) != MS_OK)
            return 9;
        job = &val.root;
        id = ms_val_strdup(job, "id");
        kind = ms_val_strdup(job, "kind");
        for (size_t i = 0; i < MS_COUNT_OF(tricks); i++)
            if (strcmp(tricks[i].kind, kind) == 0)
                tricks[i].run();
        free(kind);
        free((char *)id);
        ms_val_done(&val);
    }
    free(line);
    return 0;
}
