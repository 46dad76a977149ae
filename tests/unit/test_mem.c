#include "common/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/arena.h"
#include "tests/support/support.h"

static TEST(test_nothing_is_something_to_free)
{
    free(ms_xmalloc(0));
    free(ms_xcalloc(0, 8));
    free(ms_xrealloc(NULL, 0));
}

static TEST(test_calloc_is_zeroed)
{
    char *bytes = ms_xcalloc(100, 10);

    for (int i = 0; i < 1000; i++)
        CHECK_INT(bytes[i], ==, 0);
    free(bytes);
}

static TEST(test_strings_are_copied)
{
    char text[] = "abcdef";
    char *whole = ms_xstrdup(text);
    char *part = ms_xstrndup(text, 3);
    char *none = ms_xstrndup(text, 0);
    char *formatted = ms_xasprintf("%s/%d", text, 7);

    memset(text, 'x', 6);
    CHECK_STR(whole, "abcdef");
    CHECK_STR(part, "abc");
    CHECK_STR(none, "");
    CHECK_STR(formatted, "abcdef/7");
    free(whole);
    free(part);
    free(none);
    free(formatted);
}

/* Runs `fn` in a child whose standard error is silent; how it died. */
static int signal_of(void (*fn)(void))
{
    const struct rlimit no_core = {0, 0};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void fail_assertion(void)
{
    ms_assert(1 == 2);
}

static void pass_assertion(void)
{
    ms_assert(1 == 1);
}

/* It stays on in releases: a wrong state is worse than a restart. */
static TEST(test_assertion_aborts)
{
    CHECK_INT(signal_of(fail_assertion), ==, SIGABRT);
    CHECK_INT(signal_of(pass_assertion), ==, 0);
}

#if !defined(__SANITIZE_ADDRESS__) /* which aborts in its own way */
static void ask_too_much(void)
{
    free(ms_xmalloc(SIZE_MAX / 4));
}

static TEST(test_out_of_memory_aborts)
{
    CHECK_INT(signal_of(ask_too_much), ==, SIGABRT);
}
#endif

static TEST(test_arena_gives_aligned_memory_that_does_not_overlap)
{
    struct ms_arena arena = {0};
    unsigned char *parts[300];

    for (size_t i = 0; i < MS_COUNT_OF(parts); i++) {
        parts[i] = ms_arena_alloc(&arena, i * 7);
        CHECK_INT((uintptr_t)parts[i] % _Alignof(max_align_t), ==, 0);
        memset(parts[i], (int)(i % 256), i * 7);
    }
    for (size_t i = 0; i < MS_COUNT_OF(parts); i++)
        for (size_t j = 0; j < i * 7; j++)
            CHECK_INT(parts[i][j], ==, i % 256);
    ms_arena_done(&arena);
    ms_arena_done(&arena);
}

static TEST(test_arena_uses_its_memory_again)
{
    struct ms_arena arena = {0};
    void *first = ms_arena_alloc(&arena, 100);

    ms_arena_reset(&arena);
    CHECK(ms_arena_alloc(&arena, 100) == first);
    ms_arena_done(&arena);
}

/* One reply of 100 MB must not be held for ever. */
static TEST(test_arena_keeps_no_large_block)
{
    struct ms_arena arena = {0};

    memset(ms_arena_alloc(&arena, 10 * 1024 * 1024), 1, 10 * 1024 * 1024);
    ms_arena_reset(&arena);
    CHECK(arena.blocks == NULL);
    memset(ms_arena_alloc(&arena, 10), 1, 10);
    memset(ms_arena_alloc(&arena, 10 * 1024 * 1024), 1, 10 * 1024 * 1024);
    ms_arena_reset(&arena);
    ms_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_nothing_is_something_to_free),
        RUN(test_calloc_is_zeroed),
        RUN(test_strings_are_copied),
        RUN(test_assertion_aborts),
#if !defined(__SANITIZE_ADDRESS__)
        RUN(test_out_of_memory_aborts),
#endif
        RUN(test_arena_gives_aligned_memory_that_does_not_overlap),
        RUN(test_arena_uses_its_memory_again),
        RUN(test_arena_keeps_no_large_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
