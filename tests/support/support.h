/*
 * support: what the tests share: checks, a Redis of their own, processes,
 * waiting for conditions.
 *
 * A test program is a cmocka group.  Every Redis and every process started
 * here belongs to the test program and dies with it (PR_SET_PDEATHSIG), also
 * when a check fails; folders under $TMPDIR go away at exit.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/redis.h"

/* static TEST(test_claim_skips_an_id_without_a_record) { ... } */
#define TEST(name) void name(void **state __attribute__((unused)))
#define RUN(name)  cmocka_unit_test(name)

/* CHECK_INT(ms_backoff_next_ms(&a), !=, 5) shows both values on failure. */
#define CHECK(cond) ms_check((cond), #cond, __FILE__, __LINE__)
#define CHECK_INT(a, op, b)                                                    \
    do {                                                                       \
        int64_t check_a = (int64_t)(a), check_b = (int64_t)(b);                \
        if (!(check_a op check_b))                                             \
            ms_check_int_failed(#a " " #op " " #b, check_a, check_b, __FILE__, \
                                __LINE__);                                     \
    } while (0)
#define CHECK_STR(a, b) ms_check_str((a), (b), #a, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) \
    ms_check_contains((text), (part), #text, __FILE__, __LINE__)

void ms_check(bool ok, const char *what, const char *file, int line);
void ms_check_int_failed(const char *what, int64_t a, int64_t b,
                         const char *file, int line);
void ms_check_str(const char *a, const char *b, const char *what,
                  const char *file, int line); /* NULL equals NULL alone */
void ms_check_contains(const char *text, const char *part, const char *what,
                       const char *file, int line);

/* A folder of this test program's own, made on first use. */
const char *ms_test_dir(void);

/* A file in it with these bytes; returns its path, for free(). */
char *ms_test_file(const char *name, const void *bytes, size_t len);

/* ---- a Redis ---- */

struct ms_test_redis; /* one redis-server on a Unix socket in our folder */

/* `extra` are further arguments of redis-server, NULL-terminated, or NULL.
 * Waits until it answers. */
struct ms_test_redis *ms_test_redis_start(const char *const *extra);
void ms_test_redis_stop(struct ms_test_redis *server); /* KILL; takes NULL */
/* Stops it with SIGTERM or SIGKILL and starts it again on the same folder. */
void ms_test_redis_down(struct ms_test_redis *server, int signal);
void ms_test_redis_up(struct ms_test_redis *server);
pid_t ms_test_redis_pid(const struct ms_test_redis *server);
const char *ms_test_redis_url(const struct ms_test_redis *server); /* unix:// */

/* One command over a connection of the fixture's own; the words are split at
 * spaces ("HGET key field"), %b takes (const void *, size_t).  The reply is
 * good until the next call; an error reply is a reply. */
const struct ms_reply *ms_test_cmd(struct ms_test_redis *server,
                                   const char *format, ...);
/* The same as text: "(nil)" for nil, decimal for a number. */
const char *ms_test_text(struct ms_test_redis *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t ms_test_num(struct ms_test_redis *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Runs a built command there (a script is loaded when needed) and takes it. */
const struct ms_reply *ms_test_run(struct ms_test_redis *server,
                                   struct ms_cmd *cmd);

/* ---- processes ---- */

struct ms_proc;

/* Starts argv (argv[0] without a slash: a program of the build's bin/);
 * standard output and error are kept in files.  `env` adds "NAME=value". */
struct ms_proc *ms_proc_start(const char *const *argv, const char *const *env);
pid_t ms_proc_pid(const struct ms_proc *proc);
void ms_proc_signal(struct ms_proc *proc, int signal);
/* Waits up to timeout_ms for its end; returns the exit code, 128 + signal, or
 * -1 while it runs on. */
int ms_proc_wait(struct ms_proc *proc, int timeout_ms);
/* What it wrote until now; good until the next call on this process. */
const char *ms_proc_stdout(struct ms_proc *proc);
const char *ms_proc_stderr(struct ms_proc *proc);
void ms_proc_free(struct ms_proc *proc); /* kills it, group and all */

/* Runs argv to its end (60 s at most) and returns its exit code; *out_stdout
 * and *out_stderr, where not NULL, are new strings for free(). */
int ms_proc_run(const char *const *argv, const char *const *env,
                char **out_stdout, char **out_stderr);

/* ---- waiting ---- */

/* Evaluates `cond` every 5 ms until true; fails the test after timeout_ms with
 * the condition's text.  The time-out is generous, never the measure. */
#define WAIT_FOR(timeout_ms, cond)                             \
    do {                                                       \
        int64_t wait_end = ms_wait_deadline(timeout_ms);       \
        while (!(cond))                                        \
            ms_wait_tick(wait_end, #cond, __FILE__, __LINE__); \
    } while (0)
int64_t ms_wait_deadline(int timeout_ms);
void ms_wait_tick(int64_t deadline, const char *what, const char *file,
                  int line);

/* The seed of randomised tests: $MUSTER_TEST_SEED or random; printed once. */
uint64_t ms_test_seed(void);
