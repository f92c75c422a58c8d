/* SPDX-License-Identifier: MIT */
/* What makes an SDL document a possible one (GraphQL Sep 2025, section 3),
 * before there is a schema: one file per rule, called by sdl_validator.c with
 * each node the rule is about, in the reference's order. One thread at a
 * time. */
#ifndef FQ_GRAPHQL_SDL_RULES_H
#define FQ_GRAPHQL_SDL_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/location.h"
#include "graphql/suggestion.h"

/* What must be unique within |owner|; part of the key of what was seen. */
typedef enum fq_sdl_scope {
    FQ_SDL_TYPES,
    FQ_SDL_DIRECTIVES,
    FQ_SDL_ENUM_VALUES,  /* of the enum |owner| */
    FQ_SDL_FIELDS,       /* of the type |owner| */
    FQ_SDL_ON_SCHEMA,    /* directives on the schema */
    FQ_SDL_ON_TYPE,      /* directives on the type |owner| */
    FQ_SDL_ON_DIRECTIVE, /* directives on the directive |owner| */
    FQ_SDL_HERE,         /* in one list or object, by its number */
} fq_sdl_scope;

typedef struct fq_sdl_validation {
    const fq_document *document;
    fq_gql_errors *errors;
    fq_status status;      /* FQ_ERR_NOMEM: the validation is over */
    bool is_done;          /* nothing more can be reported */
    fq_arena arena;        /* dies with the validation */
    fq_map standard_types; /* specified scalars and introspection types */
    fq_map types;      /* name to the last fq_ast_type_system defining it */
    fq_map directives; /* likewise, or to the specified one */
    fq_map seen;       /* by scope, owner and name */
    uint64_t n_scopes; /* numbers given for FQ_SDL_HERE */
    const fq_ast_type_system *schema;       /* the first schema definition */
    const fq_ast_root_definition *roots[3]; /* the first of each operation */
} fq_sdl_validation;

/* Adds an error without a place; NULL when none is kept. */
fq_gql_error *
fq_sdl_report(fq_sdl_validation *validation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, ending with what |suggestion| says, which is freed. */
fq_gql_error *
fq_sdl_report_suggestion(fq_sdl_validation *validation,
                         fq_suggestion *suggestion, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the place of |node|, or of the name |name|, to |error| (or NULL). */
void
fq_sdl_locate(fq_sdl_validation *validation, fq_gql_error *error,
              const fq_ast_node *node);
void
fq_sdl_locate_name(fq_sdl_validation *validation, fq_gql_error *error,
                   fq_str name);

/* What was kept before under |name| in that scope, or NULL: then |value| is
 * kept from now on. */
void *
fq_sdl_seen(fq_sdl_validation *validation, fq_sdl_scope scope, fq_str owner,
            fq_str name, const void *value);

/* A new number for FQ_SDL_HERE; as |owner| it is valid until the next one. */
fq_str
fq_sdl_scope_here(fq_sdl_validation *validation);

/* Calls |report_cb| for every name that several items of |list| have, in the
 * order of their first ones, and adds the places of all to the error it
 * returns. The items are arguments or definitions of arguments. */
void
fq_sdl_each_repeated(fq_sdl_validation *validation, const fq_ast_list *list,
                     fq_gql_error *(*report_cb)(fq_sdl_validation *validation,
                                                void *arg, fq_str name),
                     void *arg);

/* The definition of |name|, or NULL. */
const fq_ast_type_system *
fq_sdl_directive(const fq_sdl_validation *validation, fq_str name);

/* The rules, in the reference's order. */
void
fq_sdl_lone_schema_definition(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition);
void
fq_sdl_unique_operation_types(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition);
void
fq_sdl_unique_type_names(fq_sdl_validation *validation,
                         const fq_ast_type_system *definition);
void
fq_sdl_unique_enum_value_names(fq_sdl_validation *validation,
                               const fq_ast_type_system *definition);
void
fq_sdl_unique_field_definition_names(fq_sdl_validation *validation,
                                     const fq_ast_type_system *definition);
void
fq_sdl_unique_argument_definition_names(fq_sdl_validation *validation,
                                        const fq_ast_type_system *definition);
void
fq_sdl_unique_directive_names(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition);
void
fq_sdl_known_type_names(fq_sdl_validation *validation, const fq_ast_type *type,
                        bool is_type_system);
void
fq_sdl_known_directives(fq_sdl_validation *validation,
                        const fq_ast_directive *directive,
                        fq_location location);
void
fq_sdl_unique_directives_per_location(fq_sdl_validation *validation,
                                      fq_sdl_scope scope, fq_str owner,
                                      const fq_ast_list *directives);
void
fq_sdl_possible_type_extensions(fq_sdl_validation *validation,
                                const fq_ast_type_system *definition);
void
fq_sdl_known_argument_names(fq_sdl_validation *validation,
                            const fq_ast_directive *directive);
void
fq_sdl_unique_argument_names(fq_sdl_validation *validation,
                             const fq_ast_list *arguments);
void
fq_sdl_unique_input_field_names(fq_sdl_validation *validation, fq_str here,
                                const fq_ast_argument *field);
void
fq_sdl_provided_required_arguments(fq_sdl_validation *validation,
                                   const fq_ast_directive *directive);

#endif
