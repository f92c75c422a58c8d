/* SPDX-License-Identifier: MIT */
/* A type system (GraphQL Sep 2025, section 3), built once from SDL and never
 * changed: plain data in one arena, in the order of definition everywhere,
 * because messages, suggestions and introspection show that order. Everything
 * reached from a schema lives as long as the schema; a type is known by its
 * address. The count of references is not atomic: a schema is handed over
 * whole and then used by one thread at a time. */
#ifndef FQ_GRAPHQL_SCHEMA_H
#define FQ_GRAPHQL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/location.h"
#include "graphql/scalars.h"

/* Largest SDL text: some ten times the largest public schemas. */
#define FQ_SCHEMA_SDL_MAX (16 * 1024 * 1024)

/* Largest JSON of all default values together. Defaults of input objects nest
 * the defaults of their fields, so a small text can ask for much. */
#define FQ_SCHEMA_DEFAULTS_MAX (16 * 1024 * 1024)

/* Most memory one schema may hold: six times what the largest text makes of
 * ordinary fields. Only types wrapped in lists a hundred times reach it. */
#define FQ_SCHEMA_MEMORY_MAX (512 * 1024 * 1024)

typedef struct fq_schema fq_schema;
typedef struct fq_type fq_type;

typedef enum fq_type_kind {
    FQ_TYPE_SCALAR,
    FQ_TYPE_OBJECT,
    FQ_TYPE_INTERFACE,
    FQ_TYPE_UNION,
    FQ_TYPE_ENUM,
    FQ_TYPE_INPUT_OBJECT,
    FQ_TYPE_LIST,     /* these two wrap another type */
    FQ_TYPE_NON_NULL, /* never wraps one of its own kind */
    FQ_TYPE_N_KINDS,
} fq_type_kind;

/* Finds items of an array by name: open addressing, at most half full. Small
 * arrays have none and are searched from the start. */
typedef struct fq_name_index {
    const uint32_t *slots; /* place in the array + 1; 0: free */
    uint32_t mask;         /* number of slots - 1 */
} fq_name_index;

/* An argument or an input field. */
typedef struct fq_input_def {
    fq_str name;
    const fq_type *type;
    fq_str description;                /* ptr NULL: none */
    fq_str deprecation_reason;         /* ptr NULL: not deprecated */
    const fq_ast_value *default_value; /* the literal; NULL: none */
    fq_str default_json;               /* the same coerced; ptr NULL: none */
    const fq_ast_node *node; /* the definition in the SDL while the schema is
                              * being validated; NULL in a finished schema, as
                              * every |node| below */
} fq_input_def;

/* A field of an object or interface. */
typedef struct fq_field_def {
    fq_str name;
    const fq_type *type;
    fq_str description;        /* ptr NULL: none */
    fq_str deprecation_reason; /* ptr NULL: not deprecated */
    const fq_input_def *args;
    uint32_t n_args;
    fq_name_index arg_index;
    const fq_ast_node *node;
} fq_field_def;

typedef struct fq_enum_def {
    fq_str name;
    fq_str description;        /* ptr NULL: none */
    fq_str deprecation_reason; /* ptr NULL: not deprecated */
    const fq_ast_node *node;
} fq_enum_def;

typedef struct fq_directive_def {
    fq_str name;               /* without the @ */
    fq_str description;        /* ptr NULL: none */
    fq_str deprecation_reason; /* ptr NULL: not deprecated */
    const fq_input_def *args;
    uint32_t n_args;
    fq_name_index arg_index;
    const uint8_t *locations; /* each an fq_location, as written */
    uint32_t n_locations;
    uint32_t location_mask; /* bit 1 << fq_location for each */
    bool is_repeatable;
    const fq_ast_node *node;
} fq_directive_def;

/* A named type or a wrapper. There is one object per distinct type of a
 * schema, so equal types have equal addresses. */
struct fq_type {
    fq_type_kind kind;
    uint32_t index;       /* of a named type: place in schema->types */
    fq_str name;          /* as messages show it: `User`, `[User!]!` */
    const fq_type *of;    /* what a wrapper wraps; NULL: a named type */
    const fq_type *named; /* innermost; itself for a named type */
    fq_type *list;        /* [this]; NULL: the schema does not use it */
    fq_type *non_null;    /* this!; likewise */

    /* Named types only. */
    fq_str description;  /* ptr NULL: none */
    bool is_builtin;     /* specified scalar or introspection type */
    bool is_one_of;      /* input object with @oneOf */
    fq_scalar scalar;    /* of a scalar; FQ_SCALAR_OTHER: a custom one */
    fq_str specified_by; /* URL of a custom scalar; ptr NULL: none */

    /* Objects and interfaces: fields; input objects: input_fields; enums:
     * values. Exactly one of the three arrays is used. */
    const fq_field_def *fields;
    const fq_input_def *input_fields;
    const fq_enum_def *values;
    uint32_t n_members; /* of that array */
    fq_name_index member_index;

    /* Objects and interfaces, as written. */
    const fq_type *const *interfaces;
    uint32_t n_interfaces;

    /* Unions: their members as written; interfaces: the objects that
     * implement them, in order of definition. */
    const fq_type *const *possible_types;
    uint32_t n_possible_types;
    /* Abstract types: by index of a type, whether it is a member or
     * implements this, interfaces included. */
    const uint64_t *subtypes;

    const fq_ast_node *node; /* its definition, then its extensions */
    const fq_ast_node *const *extensions;
    uint32_t n_extensions;
};

struct fq_schema {
    uint32_t n_refs;
    fq_arena arena;     /* everything below and the schema itself */
    fq_str description; /* ptr NULL: none */
    /* Defined ones in order of definition, each followed by the built-in
     * ones it is the first to use; then introspection types. A scalar nobody
     * uses is not there (String and Boolean always are). */
    const fq_type *const *types;
    uint32_t n_types;
    fq_name_index type_index;
    /* Defined ones, then the specified ones nobody redefined. */
    const fq_directive_def *directives;
    uint32_t n_directives;
    fq_name_index directive_index;
    const fq_type *roots[3]; /* by fq_operation_type; NULL: none */
    /* __schema, __type and __typename, which no type lists. */
    const fq_field_def *meta_schema;
    const fq_field_def *meta_type;
    const fq_field_def *meta_typename;
};

/* Parses |sdl|, checks it against the rules for SDL documents, builds the
 * schema and validates it. On FQ_OK *pschema holds one reference, else it is
 * NULL. Errors, in the reference's words, places and order: FQ_ERR_SYNTAX (one
 * entry, code PARSE_ERROR), FQ_ERR_INVALID (entries with code
 * VALIDATION_ERROR, at most FQ_GQL_ERRORS_MAX; those of one stage only),
 * FQ_ERR_LIMIT (one entry, LIMIT_REACHED), FQ_ERR_NOMEM (also beyond
 * FQ_SCHEMA_MEMORY_MAX). Cost: O(bytes) but for interfaces: O(fields of each
 * interface of each type). */
fq_status
fq_schema_build(fq_str sdl, fq_schema **pschema, fq_gql_errors *errors);

fq_schema *
fq_schema_ref(fq_schema *schema);
/* NULL is allowed. */
void
fq_schema_unref(fq_schema *schema);

/* Bytes held, for metrics. */
size_t
fq_schema_n_bytes(const fq_schema *schema);

/* Lookups by name; NULL when there is none. Cost: O(1). */
const fq_type *
fq_schema_type(const fq_schema *schema, fq_str name);
const fq_directive_def *
fq_schema_directive(const fq_schema *schema, fq_str name);
const fq_input_def *
fq_directive_arg(const fq_directive_def *directive, fq_str name);

/* A field of an object or interface as documents may select it: __typename
 * for every composite type, __schema and __type for the query root. */
const fq_field_def *
fq_schema_field(const fq_schema *schema, const fq_type *parent, fq_str name);

/* A member of |type| as it lists them; NULL also for types of other kinds. */
const fq_field_def *
fq_type_field(const fq_type *type, fq_str name);
const fq_input_def *
fq_type_input_field(const fq_type *type, fq_str name);
const fq_enum_def *
fq_type_enum_value(const fq_type *type, fq_str name);
const fq_input_def *
fq_field_arg(const fq_field_def *field, fq_str name);

/* The type a document writes as |ast|. A wrapper the schema does not use is
 * made in |arena|: it is equal to no type of the schema, which is true, but
 * may differ from its like. Errors: FQ_ERR_NOT_FOUND (no such named type;
 * *ptype is NULL), FQ_ERR_NOMEM. */
fq_status
fq_schema_type_of(const fq_schema *schema, const fq_ast_type *ast,
                  fq_arena *arena, const fq_type **ptype);

/* True when |type| is a member of union |abstract| or implements interface
 * |abstract|. */
static inline bool
fq_type_has_subtype(const fq_type *abstract, const fq_type *type)
{
    return (abstract->subtypes[type->index / 64] >> (type->index % 64) & 1)
           != 0;
}

/* True when each value of |type| is one of |super| too: equal, covariant in
 * wrappers, a member or an implementation. */
bool
fq_type_is_subtype_of(const fq_type *type, const fq_type *super);

/* True when an object can be of both composite types. Cost: O(possible types
 * of |a|). */
bool
fq_type_overlaps(const fq_type *a, const fq_type *b);

static inline bool
fq_type_is_wrapper(const fq_type *type)
{
    return type->kind >= FQ_TYPE_LIST;
}

static inline bool
fq_type_is_abstract(const fq_type *type)
{
    return type->kind == FQ_TYPE_INTERFACE || type->kind == FQ_TYPE_UNION;
}

/* Objects, interfaces, unions: what a selection set goes on. */
static inline bool
fq_type_is_composite(const fq_type *type)
{
    return type->kind == FQ_TYPE_OBJECT || fq_type_is_abstract(type);
}

static inline bool
fq_type_is_leaf(const fq_type *type)
{
    return type->kind == FQ_TYPE_SCALAR || type->kind == FQ_TYPE_ENUM;
}

/* Of any type, by what it wraps. */
static inline bool
fq_type_is_input(const fq_type *type)
{
    return fq_type_is_leaf(type->named)
           || type->named->kind == FQ_TYPE_INPUT_OBJECT;
}

static inline bool
fq_type_is_output(const fq_type *type)
{
    return type->named->kind != FQ_TYPE_INPUT_OBJECT;
}

/* |type| without its outer `!`. */
static inline const fq_type *
fq_type_nullable(const fq_type *type)
{
    return type->kind == FQ_TYPE_NON_NULL ? type->of : type;
}

/* An argument or input field that must be given: non-null, no default. */
static inline bool
fq_input_def_is_required(const fq_input_def *def)
{
    return def->type->kind == FQ_TYPE_NON_NULL && def->default_value == NULL;
}

#endif
