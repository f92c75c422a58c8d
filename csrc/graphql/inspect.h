/* SPDX-License-Identifier: MIT */
/* JSON values as error messages show them, in the notation of the reference:
 * Python's, cut to a readable size. One thread at a time. */
#ifndef FQ_GRAPHQL_INSPECT_H
#define FQ_GRAPHQL_INSPECT_H

#include <yyjson.h>

#include "base/buf.h"

/* Appends |value|: strings and numbers of more than 240 characters, lists and
 * objects of more than 10 items and all below the second level are cut. */
void
fq_inspect_json(fq_buf *buf, yyjson_val *value);

#endif
