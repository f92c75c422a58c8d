/* SPDX-License-Identifier: MIT */
/* A context's class as bytes: every text is preceded by its length, every set
 * by its number of names, so that no two classes read alike. Thread: any. */
#include "engine/security/class.h"

static void
write_str(fq_buf *buf, fq_str s)
{
    fq_buf_append(buf, &s.len, sizeof(s.len));
    if (s.len > 0)
        fq_buf_append(buf, s.ptr, s.len);
}

/* The names are sorted and unique. */
static void
write_set(fq_buf *buf, const fq_name_set *set)
{
    fq_buf_append(buf, &set->n_names, sizeof(set->n_names));
    for (size_t i = 0; i < set->n_names; i++)
        write_str(buf, set->names[i]);
}

void
fq_security_class_write(const fq_security_context *context, fq_buf *buf)
{
    fq_buf_append_char(buf, context == NULL ? '-' : '+');
    if (context == NULL)
        return;
    write_str(buf, context->tenant_id);
    write_set(buf, &context->roles);
    write_set(buf, &context->boundaries);
    fq_buf_append_char(buf, context->has_fields ? '+' : '-');
    if (context->has_fields)
        write_set(buf, &context->fields);
}

bool
fq_security_class_eq(const fq_security_context *a,
                     const fq_security_context *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return fq_str_eq(a->tenant_id, b->tenant_id)
           && fq_name_set_eq(&a->roles, &b->roles)
           && fq_name_set_eq(&a->boundaries, &b->boundaries)
           && a->has_fields == b->has_fields
           && fq_name_set_eq(&a->fields, &b->fields);
}
