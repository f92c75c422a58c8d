/* SPDX-License-Identifier: MIT */
/* An operation compiled for projection. A plan is made once per (schema,
 * document, operation name) and shared by everybody who sends it; binding
 * variables picks one of its variants, in which every @skip and @include is
 * decided, every argument checked and every masked field left out, so that
 * nothing about variables or policy is left to do per event. The variant is
 * the key under which one serialised payload is shared. One thread at a time;
 * counts are not atomic. */
#ifndef FQ_GRAPHQL_PLAN_H
#define FQ_GRAPHQL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/limits.h"
#include "graphql/mask.h"
#include "graphql/schema.h"

typedef struct fq_plan fq_plan;

/* One way to decide all @skip and @include of a plan, under one mask. */
typedef struct fq_plan_variant fq_plan_variant;

/* What is to be compiled. */
typedef struct fq_plan_request {
    fq_schema *schema; /* borrowed, the plan takes a reference; NULL: none */
    fq_str query;      /* the document */
    fq_str operation_name; /* ptr NULL: the document's only operation */
    bool label; /* a name given with one anonymous operation is a label, not
                 * an error */
} fq_plan_request;

/* Parses, validates and compiles the operation of |request|. On FQ_OK *pplan
 * holds one reference. Errors: FQ_ERR_SYNTAX (code PARSE_ERROR in |errors|),
 * FQ_ERR_INVALID (VALIDATION_ERROR: the rules, without a schema those that
 * need none; unknown or ambiguous operation name), FQ_ERR_LIMIT
 * (LIMIT_REACHED; also by its memory), FQ_ERR_NOMEM. Every failure but NOMEM leaves at least one
 * entry in |errors|. */
fq_status
fq_plan_compile(const fq_plan_request *request,
                const fq_document_limits *limits, fq_plan **pplan,
                fq_gql_errors *errors);

/* The same, with a schema, without validation and limits, for executing a
 * document once. Whatever makes no sense is left out as the reference leaves
 * it out. Of such a plan the root's name and key are not to be asked for, and
 * it is bound by fq_plan_bind_variant() only. */
fq_status
fq_plan_compile_unchecked(const fq_plan_request *request, fq_plan **pplan,
                          fq_gql_errors *errors);

fq_plan *
fq_plan_ref(fq_plan *plan);
void
fq_plan_unref(fq_plan *plan);

fq_operation_type
fq_plan_operation_type(const fq_plan *plan);

/* Whether the root of a validated plan asks for the schema, by __schema or
 * __type, and whether it asks for anything but that and __typename. */
bool
fq_plan_asks_schema(const fq_plan *plan);
bool
fq_plan_asks_data(const fq_plan *plan);

/* The name of the single root field, and the key it has in responses. Valid
 * for subscriptions. They live as long as the plan. */
fq_str
fq_plan_root_name(const fq_plan *plan);
fq_str
fq_plan_root_key(const fq_plan *plan);

/* The document as it was sent and the byte offset of the root field in it, for
 * fq_gql_error_locate(). The text lives as long as the plan. */
fq_str
fq_plan_source(const fq_plan *plan);
size_t
fq_plan_root_start(const fq_plan *plan);

/* A field node of a plan, found by fq_plan_selects(). */
typedef struct fq_plan_selection {
    fq_str name;                    /* of the field, as selected */
    fq_str key;                     /* of the field, in responses */
    size_t start;                   /* byte offset in the source */
    fq_field_coordinate coordinate; /* of the mask, that it can give */
} fq_plan_selection;

/* Whether the operation of a validated plan can give a field of |mask|, through
 * fragments, interfaces and unions too, whatever @skip and @include will say:
 * *pselection gets the first node that can, those of the operation before those
 * of its fragments. A plan with a schema and a mask without, or the other way
 * round, must not meet. No allocation. Cost: O(nodes · log fields of the mask),
 * for nodes on abstract types O(fields). */
bool
fq_plan_selects(const fq_plan *plan, const fq_field_mask *mask,
                fq_plan_selection *pselection);

/* A composite type of which a plan may return objects. */
typedef struct fq_plan_type {
    const fq_type *type;
    size_t start;    /* byte offset of the first field of that type */
    bool is_certain; /* an object of the field is of this type; else the field
                      * has an abstract type, and |type| is a possible one */
} fq_plan_type;

/* With a schema: the object, interface and union types of the fields that the
 * operation of a validated plan selects, each once; abstract ones are followed
 * by their possible object types, unless these are there already. The root type
 * itself is none of them. Without a schema there are none. Made at the first
 * call and kept with the plan. Errors: FQ_ERR_NOMEM. */
fq_status
fq_plan_types(fq_plan *plan, const fq_plan_type **ptypes, size_t *pn_types);

/* The schema, or NULL, and nodes of the document. They live as long as the
 * plan. */
fq_schema *
fq_plan_schema(const fq_plan *plan);
const fq_ast_operation *
fq_plan_operation(const fq_plan *plan);
const fq_ast_field *
fq_plan_root(const fq_plan *plan);

typedef enum fq_plan_visit {
    FQ_VISIT_ON,   /* go on, into its selection first */
    FQ_VISIT_SKIP, /* go on, but not into its selection */
    FQ_VISIT_STOP,
} fq_plan_visit;

/* |parent| is the composite type that |field| is selected on; NULL without a
 * schema. */
typedef fq_plan_visit (*fq_plan_field_cb)(void *arg, const fq_type *parent,
                                          const fq_ast_field *field);

/* Shows |cb| every field node that the operation of a validated plan reaches:
 * those of the operation, then those of each of its fragments, once, wherever
 * it is spread. Returns true if |cb| has stopped it. */
bool
fq_plan_each_field(const fq_plan *plan, fq_plan_field_cb cb, void *arg);

/* |args| are the coerced arguments of |field|, an object, valid during the
 * call; NULL: they cannot be coerced. */
typedef fq_status (*fq_plan_args_cb)(void *arg, const fq_ast_field *field,
                                     yyjson_val *args);

/* Shows |cb| the root field of a validated plan and every other field node
 * that is given arguments, or with a schema has some, with what |variables|,
 * which were good for fq_plan_bind(), and defaults make of them. Ends with the
 * first status that is not FQ_OK. Errors: that, FQ_ERR_NOMEM. */
fq_status
fq_plan_each_args(fq_plan *plan, yyjson_val *variables, fq_plan_args_cb cb,
                  void *arg);

/* Bytes held by the plan and its variants, for metrics. */
size_t
fq_plan_n_bytes(const fq_plan *plan);

/* The result of fq_plan_bind: all a subscription keeps of its variables. */
typedef struct fq_binding {
    fq_plan_variant *variant; /* one reference (keeps the plan too) */
    fq_rcbuf *variables;      /* the coerced variables, a JSON object */
    fq_rcbuf *args; /* the root field's coerced arguments, likewise */
} fq_binding;

/* Coerces |variables| (an object, or NULL for none) and selects the variant.
 *
 * Fields of |mask| (NULL: none) are null in every response, silently and
 * unread, however they are selected: what counts is the type of the object.
 * Bindings share a variant only if their masks hold the same fields. The
 * variant takes a reference. A mask with a non-null field, or of another
 * schema, is refused (FORBIDDEN): a policy must have been checked before.
 *
 * Without a schema built-in scalars and lists of them are coerced by their
 * rules, other types pass as JSON; missing required variables and null for a
 * non-null type are errors. So are, with a schema, bad arguments of the root
 * field; those of other fields are errors of each event. Errors:
 * FQ_ERR_INVALID (entries in |errors|, a request error: `next` with errors and
 * no data), FQ_ERR_NOMEM. */
fq_status
fq_plan_bind(fq_plan *plan, yyjson_val *variables, const fq_field_mask *mask,
             fq_binding *pbinding, fq_gql_errors *errors);
void
fq_binding_fini(fq_binding *binding);

/* The variant alone, for executing once: arguments of root fields are no
 * different from others here. *pvariant gets one reference. */
fq_status
fq_plan_bind_variant(fq_plan *plan, yyjson_val *variables,
                     fq_plan_variant **pvariant, fq_gql_errors *errors);

fq_plan_variant *
fq_plan_variant_ref(fq_plan_variant *variant);
void
fq_plan_variant_unref(fq_plan_variant *variant);
fq_plan *
fq_plan_variant_plan(const fq_plan_variant *variant);

/* Appends `{"data":{"<root key>":<value projected>}` WITHOUT the closing brace
 * of the payload, so that extensions can be spliced per delivery; after the
 * data `,"errors":[…]` where there are any. NULL |value| is null.
 *
 * With a schema the value is completed as the types ask, see completion.h.
 * Without one keys come in order of first appearance, a missing key is null, a
 * field without a selection gives its JSON whole, a list is projected item by
 * item, a value that is no object under a selection is null; fragments with a
 * type condition apply when the value's `__typename` equals it or is absent.
 *
 * No allocation but |buf|'s own growth, except for errors and the first time a
 * type is met. Cost: O(selected fields + members looked at). */
fq_status
fq_plan_variant_project(fq_plan_variant *variant, yyjson_val *value,
                        fq_buf *buf);

/* Appends `{"data":{"<root key>":null},"errors":[{"message":…,"locations":
 * [root field],"path":["<root key>"],"extensions":{"code":…}}]` without the
 * closing brace: what one failed event gives. If the root field must not be
 * null, `data` is. If it is masked, there is nothing to tell: no errors. */
void
fq_plan_variant_write_root_error(fq_plan_variant *variant, fq_str message,
                                 const char *code, fq_buf *buf);

/* A slot of the engine's own on each variant: the payload last made from it
 * and the number of the event it was made from. The payload is one reference,
 * dropped with the variant. */
typedef struct fq_plan_share {
    uint64_t event_seq; /* 0: none yet */
    fq_rcbuf *payload;  /* for that event, or NULL */
} fq_plan_share;

fq_plan_share *
fq_plan_variant_share(fq_plan_variant *variant);

/* Plans by the hash of (schema, document, operation name), least recently used
 * out first once more than |max_plans| or |max_bytes| are held; a plan in use
 * lives on with its users. */
typedef struct fq_plan_cache fq_plan_cache;

fq_status
fq_plan_cache_new(size_t max_plans, size_t max_bytes, fq_plan_cache **pcache);
void
fq_plan_cache_free(fq_plan_cache *cache);

/* As fq_plan_compile, from the cache where it can; failures are not cached. */
fq_status
fq_plan_cache_get(fq_plan_cache *cache, const fq_plan_request *request,
                  const fq_document_limits *limits, fq_plan **pplan,
                  fq_gql_errors *errors);
size_t
fq_plan_cache_n_plans(const fq_plan_cache *cache);
/* Bytes charged for them, of max_bytes. */
size_t
fq_plan_cache_n_bytes(const fq_plan_cache *cache);

#endif
