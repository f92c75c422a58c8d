/* SPDX-License-Identifier: MIT */
/* Who a client is and what it may reach: made once, at connection_init, and
 * replaced only whole. Immutable, so that any thread reads it; counted, so
 * that subscriptions keep the one they were let in with. */
#ifndef FQ_ENGINE_SECURITY_CONTEXT_H
#define FQ_ENGINE_SECURITY_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/status.h"
#include "base/str.h"

/* A set of names, sorted by bytes, each once. */
typedef struct fq_name_set {
    const fq_str *names;
    size_t n_names;
} fq_name_set;

typedef struct fq_security_context {
    _Atomic uint32_t n_refs; /* release on unref pairs with acquire at 0 */
    bool has_fields;         /* |fields| limits what may be selected */
    fq_str user_id;          /* ptr NULL: none; never empty */
    fq_str tenant_id;        /* ptr NULL: none; never empty */
    fq_name_set roles;
    fq_name_set boundaries; /* subgraphs it may reach */
    fq_name_set fields;     /* root fields and types it may select */
    yyjson_doc *claims;     /* an object; NULL: none */
    fq_str claims_text;     /* its JSON text; empty for none */
    int64_t expires_at_ms;  /* Unix time; 0: never */
} fq_security_context;

/* Texts and lists are copied; lists may be in any order and name things
 * twice. An empty user_id or tenant_id is none. */
typedef struct fq_security_context_args {
    fq_str user_id;   /* ptr NULL: none */
    fq_str tenant_id; /* likewise */
    const fq_str *roles;
    size_t n_roles;
    const fq_str *boundaries;
    size_t n_boundaries;
    bool has_fields;
    const fq_str *fields;
    size_t n_fields;
    fq_str claims; /* JSON text of an object; ptr NULL: none */
    int64_t expires_at_ms;
} fq_security_context_args;

/* *pcontext gets one reference. Errors: FQ_ERR_INVALID (claims are no JSON
 * object), FQ_ERR_NOMEM. Thread: any. */
fq_status
fq_security_context_new(const fq_security_context_args *args,
                        fq_security_context **pcontext);

fq_security_context *
fq_security_context_ref(fq_security_context *context);
/* NULL is allowed. */
void
fq_security_context_unref(fq_security_context *context);

/* Whether both say the same; members of claims may differ in order. */
bool
fq_security_context_eq(const fq_security_context *a,
                       const fq_security_context *b);

/* O(log n). */
bool
fq_name_set_has(const fq_name_set *set, fq_str name);
bool
fq_name_set_eq(const fq_name_set *a, const fq_name_set *b);

#endif
