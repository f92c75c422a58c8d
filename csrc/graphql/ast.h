/* SPDX-License-Identifier: MIT */
/* The syntax tree of a document (GraphQL Sep 2025, section 2 and appendix).
 * Nodes, lists and strings live in the document's arena and die with it;
 * names and numbers are slices of the document's copy of its text, so a
 * name's location is its address. Plain data: one thread at a time. */
#ifndef FQ_GRAPHQL_AST_H
#define FQ_GRAPHQL_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/errors.h"
#include "graphql/location.h"

typedef enum fq_operation_type {
    FQ_OPERATION_QUERY,
    FQ_OPERATION_MUTATION,
    FQ_OPERATION_SUBSCRIPTION,
} fq_operation_type;

typedef enum fq_ast_kind {
    FQ_AST_DOCUMENT,
    FQ_AST_OPERATION,
    FQ_AST_FRAGMENT,
    FQ_AST_TYPE_SYSTEM, /* a definition or extension of the type system */
    FQ_AST_VARIABLE_DEFINITION,
    FQ_AST_SELECTION_SET,
    FQ_AST_FIELD,
    FQ_AST_FRAGMENT_SPREAD,
    FQ_AST_INLINE_FRAGMENT,
    FQ_AST_ARGUMENT,
    FQ_AST_DIRECTIVE,
    FQ_AST_NAMED_TYPE,
    FQ_AST_LIST_TYPE,
    FQ_AST_NON_NULL_TYPE,
    FQ_AST_VARIABLE,
    FQ_AST_INT,
    FQ_AST_FLOAT,
    FQ_AST_STRING,
    FQ_AST_BOOLEAN,
    FQ_AST_NULL,
    FQ_AST_ENUM,
    FQ_AST_LIST,
    FQ_AST_OBJECT,
    FQ_AST_OBJECT_FIELD,
    FQ_AST_FIELD_DEFINITION,
    FQ_AST_INPUT_DEFINITION,
    FQ_AST_ENUM_DEFINITION,
    FQ_AST_ROOT_DEFINITION,
    FQ_AST_LOCATION,
    FQ_AST_N_KINDS,
} fq_ast_kind;

/* What a node means in a schema (|def|, |type|, |parent_type|, |position|) is
 * entered by fq_type_info_enter(); NULL: unknown, or not entered. */
struct fq_directive_def;
struct fq_field_def;
struct fq_input_def;
struct fq_type;
struct fq_variable_position;

/* The head of every node; |kind| says which struct below it starts. */
typedef struct fq_ast_node {
    fq_ast_kind kind;
    uint32_t start;           /* byte offset of the first token */
    uint32_t end;             /* one past the last token */
    struct fq_ast_node *next; /* in the one list the node stands in */
} fq_ast_node;

/* Nodes in source order, linked through |next|. */
typedef struct fq_ast_list {
    fq_ast_node *first;
    uint32_t n_items;
} fq_ast_list;

#define FQ_AST_FOREACH(item, list)                                            \
    for (fq_ast_node *item = (list)->first; item != NULL; item = item->next)

/* FQ_AST_INT ... FQ_AST_ENUM, FQ_AST_VARIABLE: |text| is the number as
 * written, the string's value, the enum's or the variable's name ("true" or
 * "false" for Boolean). */
typedef struct fq_ast_value {
    fq_ast_node node;
    fq_str text;
    union {
        fq_ast_list items; /* of a list: values; of an object: fields */
        bool is_block;     /* of a string: written with three quotes */
        struct {
            struct fq_ast_value *next_variable; /* the document's next use */
            const struct fq_variable_position *position; /* what is expected
                                                          * there; see fq_ast_node */
            uint32_t variable_id; /* equal for equal names, below
                                   * n_variable_names; by fq_document_link */
        };
    };
} fq_ast_value;

/* FQ_AST_ARGUMENT and FQ_AST_OBJECT_FIELD: `name: value`. */
typedef struct fq_ast_argument {
    fq_ast_node node;
    fq_str name;
    fq_ast_value *value;
    struct fq_ast_argument *first_same; /* the first of that name in its
                                         * list; for the rules */
    const struct fq_input_def *def;
    uint64_t value_key; /* 0: not made yet; of OverlappingFields */
} fq_ast_argument;

typedef struct fq_ast_directive {
    fq_ast_node node;
    fq_str name; /* without the @ */
    fq_ast_list arguments;
    const struct fq_directive_def *def;
    struct fq_ast_directive *next_directive; /* the document's next */
} fq_ast_directive;

/* FQ_AST_NAMED_TYPE has a name, the two others wrap |of|. */
typedef struct fq_ast_type {
    fq_ast_node node;
    fq_str name;
    struct fq_ast_type *of;
    uint32_t name_id;           /* of a type condition, as in fq_ast_field */
    const struct fq_type *type; /* of a type condition or a variable's type */
} fq_ast_type;

typedef struct fq_ast_variable_definition {
    fq_ast_node node;
    fq_ast_value *description; /* or NULL */
    fq_ast_value *variable;    /* FQ_AST_VARIABLE */
    fq_ast_type *type;
    fq_ast_value *default_value; /* or NULL */
    fq_ast_list directives;
} fq_ast_variable_definition;

typedef struct fq_ast_selection_set {
    fq_ast_node node;
    fq_ast_list selections;               /* never empty */
    const struct fq_type *parent_type;    /* a composite type */
    struct fq_ast_selection_set *pending; /* for walks of the validator */
    struct fq_overlap_fields *overlap;    /* of OverlappingFields */
} fq_ast_selection_set;

typedef struct fq_ast_field {
    fq_ast_node node;
    fq_str name;
    uint32_t alias_len;   /* 0: without one */
    uint32_t alias_start; /* so many bytes before the name */
    fq_ast_list arguments;
    fq_ast_list directives;
    fq_ast_selection_set *selection_set; /* NULL for a leaf */
    uint32_t key_id;  /* response key and name as numbers: equal for equal */
    uint32_t name_id; /* names of a document, below n_names; set by
                       * fq_document_link */
    uint64_t arguments_key; /* 0: not made yet; of OverlappingFields */
    const struct fq_field_def *def;
    struct fq_ast_field *next_field; /* the document's next field */
} fq_ast_field;

typedef struct fq_ast_fragment {
    fq_ast_node node;
    fq_ast_value *description; /* or NULL */
    fq_str name;
    fq_ast_type *type_condition;
    fq_ast_list directives;
    fq_ast_selection_set *selection_set;
    fq_ast_value *first_variable; /* the first use of a variable from here on,
                                   * maybe beyond the end; or NULL */
    uint32_t index;               /* among the document's fragments */
    struct fq_ast_fragment *next_def;  /* the next fragment definition */
    struct fq_ast_fragment *effective; /* the last one of that name, which
                                        * counts; by fq_document_link */
} fq_ast_fragment;

typedef struct fq_ast_spread {
    fq_ast_node node;
    fq_str name;
    fq_ast_list directives;
    fq_ast_fragment *fragment; /* set by fq_document_link; NULL: unknown */
    uint32_t name_id; /* equal for equal names, below n_spread_names; by
                       * fq_document_link */
    struct fq_ast_spread *next_spread; /* the document's next spread */
} fq_ast_spread;

typedef struct fq_ast_inline_fragment {
    fq_ast_node node;
    fq_ast_type *type_condition; /* or NULL */
    fq_ast_list directives;
    fq_ast_selection_set *selection_set;
    struct fq_ast_inline_fragment *next_inline; /* the document's next */
} fq_ast_inline_fragment;

typedef struct fq_ast_operation {
    fq_ast_node node;
    fq_operation_type type;
    fq_ast_value *description; /* or NULL */
    fq_str name;               /* ptr NULL when anonymous */
    fq_ast_list variable_definitions;
    fq_ast_list directives;
    fq_ast_selection_set *selection_set;
    fq_ast_value *first_variable; /* as in fq_ast_fragment */
    uint32_t index;               /* among the document's operations */
} fq_ast_operation;

/* Which definition of the type system it is; those of types are in the order
 * of fq_type_kind. */
typedef enum fq_definition_kind {
    FQ_DEFINITION_SCALAR,
    FQ_DEFINITION_OBJECT,
    FQ_DEFINITION_INTERFACE,
    FQ_DEFINITION_UNION,
    FQ_DEFINITION_ENUM,
    FQ_DEFINITION_INPUT_OBJECT,
    FQ_DEFINITION_SCHEMA,
    FQ_DEFINITION_DIRECTIVE,
} fq_definition_kind;

/* FQ_AST_TYPE_SYSTEM: any definition or extension. What a kind does not have
 * is empty. */
typedef struct fq_ast_type_system {
    fq_ast_node node;
    fq_definition_kind what;
    bool is_extension;
    bool is_repeatable;        /* of a directive */
    fq_ast_value *description; /* or NULL */
    fq_str name;               /* ptr NULL: a schema definition or extension */
    fq_ast_list interfaces;    /* fq_ast_type */
    fq_ast_list arguments;     /* of a directive: fq_ast_input_definition */
    fq_ast_list directives;
    /* Of an object or interface: fq_ast_field_definition; input object:
     * fq_ast_input_definition; enum: fq_ast_enum_definition; union:
     * fq_ast_type; schema: fq_ast_root_definition; directive:
     * fq_ast_location. */
    fq_ast_list members;
} fq_ast_type_system;

/* A field of an object or interface. */
typedef struct fq_ast_field_definition {
    fq_ast_node node;
    fq_ast_value *description; /* or NULL */
    fq_str name;
    fq_ast_list arguments; /* fq_ast_input_definition */
    fq_ast_type *type;
    fq_ast_list directives;
} fq_ast_field_definition;

/* An argument of a field or directive, or a field of an input object. */
typedef struct fq_ast_input_definition {
    fq_ast_node node;
    fq_ast_value *description; /* or NULL */
    fq_str name;
    fq_ast_type *type;
    fq_ast_value *default_value; /* or NULL */
    fq_ast_list directives;
} fq_ast_input_definition;

typedef struct fq_ast_enum_definition {
    fq_ast_node node;
    fq_ast_value *description; /* or NULL */
    fq_str name;
    fq_ast_list directives;
} fq_ast_enum_definition;

/* `query: Query` of a schema definition. */
typedef struct fq_ast_root_definition {
    fq_ast_node node;
    fq_operation_type operation;
    fq_ast_type *type;
} fq_ast_root_definition;

/* `FIELD` of a directive definition. */
typedef struct fq_ast_location {
    fq_ast_node node;
    fq_str name;
    fq_location location;
} fq_ast_location;

/* True when |definition| defines or extends a type. */
static inline bool
fq_ast_defines_type(const fq_ast_type_system *definition)
{
    return definition->what <= FQ_DEFINITION_INPUT_OBJECT;
}

typedef struct fq_document {
    fq_arena arena;
    fq_str source; /* the arena's own copy of the text, terminated */
    fq_ast_node node;
    fq_ast_list definitions;
    fq_ast_fragment *fragments; /* all, in source order, by next_def */
    fq_ast_field *fields;       /* all, by next_field */
    fq_ast_spread *spreads;     /* all, by next_spread */
    fq_ast_inline_fragment *inline_fragments; /* all, by next_inline */
    fq_ast_value *variables;                  /* all uses, by next_variable */
    fq_ast_directive *directives;             /* all, by next_directive */
    uint32_t n_fragments;
    uint32_t n_operations;
    uint32_t n_fields;
    uint32_t n_spreads;
    uint32_t n_inline_fragments;
    uint32_t n_spread_names;   /* distinct; set by fq_document_link */
    uint32_t n_variables;      /* uses */
    uint32_t n_definitions;    /* of variables */
    uint32_t n_variable_names; /* distinct; set by fq_document_link */
    uint32_t n_names; /* distinct keys, names of fields and type conditions;
                       * set by fq_document_link */
} fq_document;

/* The first of |directives| named |name|, or NULL. */
const fq_ast_directive *
fq_ast_directive_find(const fq_ast_list *directives, fq_str name);

/* The key of |field| in a response. */
static inline fq_str
fq_ast_field_key(const fq_ast_field *field)
{
    if (field->alias_len == 0)
        return field->name;
    return fq_str_make(field->name.ptr - field->alias_start, field->alias_len);
}

/* The byte offset of |slice|, a name or number of |document|. */
static inline size_t
fq_document_offset(const fq_document *document, fq_str slice)
{
    return (size_t)(slice.ptr - document->source.ptr);
}

/* Numbers the names of fields, type conditions and variables and gives every
 * spread its fragment; of several fragments of one name the last counts. Errors:
 * FQ_ERR_LIMIT (one entry in |errors|), FQ_ERR_NOMEM. Cost: O(fields + spreads
 * + fragments). */
fq_status
fq_document_link(fq_document *document, fq_gql_errors *errors);

/* |status| of something done to |document|; where it is FQ_ERR_NOMEM because
 * the document has used up the memory allowed to it, FQ_ERR_LIMIT with an entry
 * (LIMIT_REACHED) in |errors|. */
fq_status
fq_document_check(const fq_document *document, fq_status status,
                  fq_gql_errors *errors);

/* Frees everything of |document|. */
void
fq_document_fini(fq_document *document);

#endif
