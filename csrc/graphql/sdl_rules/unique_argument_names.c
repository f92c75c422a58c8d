/* SPDX-License-Identifier: MIT */
/* No argument is given twice (GraphQL Sep 2025 5.4.2). */
#include "graphql/sdl_rules/sdl_rules.h"

static fq_gql_error *
report(fq_sdl_validation *validation, void *arg, fq_str name)
{
    (void)arg;
    return fq_sdl_report(validation,
                         "There can be only one argument named '%.*s'.",
                         FQ_STR_FMT(name));
}

void
fq_sdl_unique_argument_names(fq_sdl_validation *validation,
                             const fq_ast_list *arguments)
{
    fq_sdl_each_repeated(validation, arguments, report, NULL);
}
