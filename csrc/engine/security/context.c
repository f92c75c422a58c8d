/* SPDX-License-Identifier: MIT */
/* Making security contexts: one block of memory, and the claims as a tree for
 * filters that read them. Thread: any. */
#include "engine/security/context.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "json/reader.h"

static int
compare_names(const void *a, const void *b)
{
    return fq_str_cmp(*(const fq_str *)a, *(const fq_str *)b);
}

/* Copies |s| to *pto and moves that on. */
static fq_str
copy_text(fq_str s, char **pto)
{
    if (s.ptr == NULL)
        return s;
    fq_str copy = fq_str_make(*pto, s.len);
    if (s.len > 0)
        memcpy(*pto, s.ptr, s.len);
    *pto += s.len;
    return copy;
}

/* Copies |names| to *pnames and their texts to *pto, sorted and each once;
 * moves both on. */
static fq_name_set
copy_names(const fq_str *names, size_t n_names, fq_str **pnames, char **pto)
{
    fq_str *copies = *pnames;
    *pnames += n_names;
    for (size_t i = 0; i < n_names; i++)
        copies[i] = copy_text(names[i], pto);
    if (n_names > 1)
        qsort(copies, n_names, sizeof(*copies), compare_names);
    size_t n_kept = 0;
    for (size_t i = 0; i < n_names; i++) {
        if (n_kept == 0 || !fq_str_eq(copies[n_kept - 1], copies[i]))
            copies[n_kept++] = copies[i];
    }
    return (fq_name_set){.names = copies, .n_names = n_kept};
}

static size_t
texts_len(const fq_str *texts, size_t n_texts)
{
    size_t len = 0;
    for (size_t i = 0; i < n_texts; i++)
        len += texts[i].len;
    return len;
}

static fq_status
read_claims(fq_str text, yyjson_doc **pdoc)
{
    *pdoc = NULL;
    if (text.ptr == NULL)
        return FQ_OK;
    fq_status status = fq_json_read(text, FQ_JSON_STRICT, pdoc, NULL);
    if (status == FQ_ERR_NOMEM)
        return status;
    if (status == FQ_OK && yyjson_is_obj(yyjson_doc_get_root(*pdoc)))
        return FQ_OK;
    if (status == FQ_OK)
        fq_json_free(*pdoc);
    *pdoc = NULL;
    return FQ_ERR_INVALID;
}

/* One block: the struct, the names, the texts, all of which exist in memory
 * already, so that the sum of their sizes does not overflow. */
fq_status
fq_security_context_new(const fq_security_context_args *args,
                        fq_security_context **pcontext)
{
    *pcontext = NULL;
    yyjson_doc *claims;
    fq_status status = read_claims(args->claims, &claims);
    if (status != FQ_OK)
        return status;
    size_t n_names = args->n_roles + args->n_boundaries + args->n_fields;
    size_t len = args->user_id.len + args->tenant_id.len + args->claims.len
                 + texts_len(args->roles, args->n_roles)
                 + texts_len(args->boundaries, args->n_boundaries)
                 + texts_len(args->fields, args->n_fields);
    fq_security_context *self = fq_alloc_zero(
        sizeof(*self) + n_names * sizeof(fq_str) + len);
    if (self == NULL) {
        fq_json_free(claims);
        return FQ_ERR_NOMEM;
    }
    fq_str *names = (fq_str *)(self + 1);
    char *to = (char *)(names + n_names);
    atomic_init(&self->n_refs, 1);
    self->has_fields = args->has_fields;
    if (args->user_id.len > 0)
        self->user_id = copy_text(args->user_id, &to);
    if (args->tenant_id.len > 0)
        self->tenant_id = copy_text(args->tenant_id, &to);
    self->roles = copy_names(args->roles, args->n_roles, &names, &to);
    self->boundaries = copy_names(args->boundaries, args->n_boundaries, &names,
                                  &to);
    self->fields = copy_names(args->fields, args->n_fields, &names, &to);
    self->claims = claims;
    self->claims_text = copy_text(args->claims, &to);
    self->expires_at_ms = args->expires_at_ms;
    *pcontext = self;
    return FQ_OK;
}

fq_security_context *
fq_security_context_ref(fq_security_context *context)
{
    atomic_fetch_add_explicit(&context->n_refs, 1, memory_order_relaxed);
    return context;
}

void
fq_security_context_unref(fq_security_context *context)
{
    if (context == NULL
        || atomic_fetch_sub_explicit(&context->n_refs, 1, memory_order_release)
               != 1)
        return;
    atomic_thread_fence(memory_order_acquire);
    fq_json_free(context->claims);
    fq_free(context);
}

static bool
is_same_text(fq_str a, fq_str b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && fq_str_eq(a, b);
}

/* All but claims and expiry. */
static bool
is_same_name(const fq_security_context *a, const fq_security_context *b)
{
    return is_same_text(a->user_id, b->user_id)
           && is_same_text(a->tenant_id, b->tenant_id)
           && a->has_fields == b->has_fields
           && fq_name_set_eq(&a->fields, &b->fields)
           && fq_name_set_eq(&a->roles, &b->roles)
           && fq_name_set_eq(&a->boundaries, &b->boundaries);
}

bool
fq_security_context_eq(const fq_security_context *a,
                       const fq_security_context *b)
{
    if (a == b)
        return true;
    return is_same_name(a, b) && a->expires_at_ms == b->expires_at_ms
           && (a->claims == NULL) == (b->claims == NULL)
           && (a->claims == NULL
               || yyjson_equals(yyjson_doc_get_root(a->claims),
                                yyjson_doc_get_root(b->claims)));
}

bool
fq_name_set_has(const fq_name_set *set, fq_str name)
{
    return set->n_names > 0
           && bsearch(&name, set->names, set->n_names, sizeof(fq_str),
                      compare_names)
                  != NULL;
}

bool
fq_name_set_eq(const fq_name_set *a, const fq_name_set *b)
{
    if (a->n_names != b->n_names)
        return false;
    for (size_t i = 0; i < a->n_names; i++) {
        if (!fq_str_eq(a->names[i], b->names[i]))
            return false;
    }
    return true;
}
