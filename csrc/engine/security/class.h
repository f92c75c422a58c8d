/* SPDX-License-Identifier: MIT */
/* The security class of a context: what decides which events and fields it
 * gets, apart from who it is. Thread: any. */
#ifndef FQ_ENGINE_SECURITY_CLASS_H
#define FQ_ENGINE_SECURITY_CLASS_H

#include "base/buf.h"
#include "engine/security/context.h"

/* Appends bytes that are equal for two contexts exactly when their tenant,
 * roles, boundaries and fields are; no prefix of another class's. NULL: a class
 * of its own. Failure stays in |buf|. */
void
fq_security_class_write(const fq_security_context *context, fq_buf *buf);

/* Whether these bytes would be equal. */
bool
fq_security_class_eq(const fq_security_context *a,
                     const fq_security_context *b);

#endif
