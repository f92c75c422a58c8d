/* SPDX-License-Identifier: MIT */
/* Broken invariants end the process and say what broke. */
#include "base/check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static void
test_check_passes_when_true(void **state)
{
    (void)state;
    FQ_CHECK(1 + 1 == 2);
}

static void
test_check_aborts_and_says_what_broke(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        fq_check_failed("a < b", "some.c", 42);
    }
    close(ends[1]);
    char said[256] = "";
    size_t len = 0;
    ssize_t n;
    while ((n = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0)
        len += (size_t)n;
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), SIGABRT);
    assert_string_equal(said, "some.c:42: broken invariant: a < b\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_check_passes_when_true),
        FQ_TEST(test_check_aborts_and_says_what_broke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
