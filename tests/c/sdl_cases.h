/* SPDX-License-Identifier: MIT */
/* Cases that are an SDL document and the errors it earns, for the tests of
 * the stages it goes through. The expected texts are the reference's. */
#ifndef FQ_TEST_SDL_CASES_H
#define FQ_TEST_SDL_CASES_H

#include "base/buf.h"
#include "graphql/errors.h"

#include "support.h"

typedef struct fq_sdl_case {
    const char *name;
    const char *sdl;
    const char *errors; /* a line each: the message, then its places as
                         * ` (line:column)` */
} fq_sdl_case;

/* Runs the stage under test. Returns FQ_OK, FQ_ERR_NOMEM, or another code
 * when there are errors. */
typedef fq_status (*fq_sdl_stage_cb)(fq_str sdl, fq_gql_errors *errors);

typedef struct fq_sdl_run {
    const fq_sdl_case *item;
    fq_sdl_stage_cb stage_cb;
} fq_sdl_run;

static inline void
fq_test_write_errors(fq_buf *buf, const fq_gql_errors *errors)
{
    for (const fq_gql_error *error = errors->head; error != NULL;
         error = error->next) {
        fq_buf_append_str(buf, error->message);
        for (size_t i = 0; i < error->n_locations; i++)
            fq_buf_append_format(buf, " (%u:%u)", error->locations[i].line,
                                 error->locations[i].column);
        fq_buf_append_char(buf, '\n');
    }
}

static inline fq_status
fq_test_sdl_body(void *arg)
{
    const fq_sdl_run *run = arg;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = run->stage_cb(fq_str_of(run->item->sdl), &errors);
    fq_buf text;
    fq_buf_init(&text);
    fq_test_write_errors(&text, &errors);
    if (fq_buf_status(&text) != FQ_OK)
        status = FQ_ERR_NOMEM;
    if (status != FQ_ERR_NOMEM) {
        fq_str expected = fq_str_of(run->item->errors);
        if (!fq_str_eq(fq_buf_str(&text), expected))
            fail_msg("%s: got\n%.*sexpected\n%.*s", run->item->name,
                     FQ_STR_FMT(fq_buf_str(&text)), FQ_STR_FMT(expected));
        assert_int_equal(status == FQ_OK, expected.len == 0);
        status = FQ_OK;
    }
    fq_buf_fini(&text);
    fq_gql_errors_fini(&errors);
    return status;
}

/* Each case once, or, when allocations are to fail, with each of its
 * requests refused once. */
static inline void
fq_test_sdl_cases(const fq_sdl_case *cases, size_t n_cases,
                  fq_sdl_stage_cb stage_cb)
{
    for (size_t i = 0; i < n_cases; i++) {
        fq_sdl_run run = {&cases[i], stage_cb};
        fq_test_body(fq_test_sdl_body, &run);
    }
}

#define FQ_TEST_SDL_CASES(cases, stage_cb)                                    \
    fq_test_sdl_cases((cases), sizeof(cases) / sizeof((cases)[0]), (stage_cb))

#endif
