/* SPDX-License-Identifier: MIT */
/* The type system half of the grammar (GraphQL Sep 2025, section 3); part of
 * the parser, which calls it by keyword. One thread at a time. */
#ifndef FQ_GRAPHQL_SDL_PARSER_H
#define FQ_GRAPHQL_SDL_PARSER_H

#include <stdbool.h>

#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/parser_common.h"

/* True for the keywords a type system definition starts with; `extend`, which
 * takes no description, is none of them. */
bool
fq_sdl_parser_knows(const fq_token *keyword);

/* A definition, from its description or keyword on. */
fq_status
fq_sdl_parser_definition(fq_parser *parser, fq_ast_node **pnode);

/* An extension, from `extend` on. */
fq_status
fq_sdl_parser_extension(fq_parser *parser, fq_ast_node **pnode);

#endif
