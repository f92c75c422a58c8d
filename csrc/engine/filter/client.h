/* SPDX-License-Identifier: MIT */
/* Filters that clients send as an argument: the same programs, read from an
 * object in which keys lead into the event's data and end in operators:
 *
 *     {"total": {"ge": 10, "lt": 20},
 *      "customer": {"region": {"in": ["eu", "us"]}},
 *      "or": [{"vip": {"eq": true}}, {"not": {"state": {"eq": "new"}}}]}
 *
 * All members of an object must hold. Operators are eq ne lt le gt ge in
 * contains startsWith between (a list of two) exists (true or false), beside
 * and, or (lists of objects), not (an object); their names lead nowhere. One
 * thread at a time. */
#ifndef FQ_ENGINE_FILTER_CLIENT_H
#define FQ_ENGINE_FILTER_CLIENT_H

#include <yyjson.h>

#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/filter/filter.h"
#include "graphql/schema.h"

/* What one client's filter may take: a form with a few dozen fields. Each
 * comparison costs time per event, all of it memory per subscription. */
#define FQ_CLIENT_FILTER_COMPARISONS_MAX 64
#define FQ_CLIENT_FILTER_OBJECTS_MAX 256
#define FQ_CLIENT_FILTER_DEPTH_MAX 16
#define FQ_CLIENT_FILTER_BYTES_MAX (16 * 1024)

/* Which paths a client may filter by. Of each step is asked for the type it
 * starts from and the field it takes. */
typedef struct fq_client_filter_scope {
    bool has_schema;     /* else every path will do */
    const fq_type *type; /* of the root field; NULL: not known */
    /* NULL: nobody forbids any. A step that is forbidden, and one that the
     * type does not have, is refused as if it did not exist. */
    bool (*allows)(const fq_type *type, const fq_field_def *field, void *arg);
    void *arg;
} fq_client_filter_scope;

/* Compiles |value|, which is not needed after. Errors: FQ_ERR_INVALID (it is
 * no filter, or uses a path outside of |scope|), FQ_ERR_LIMIT, FQ_ERR_NOMEM;
 * |error| has a sentence for the client. */
fq_status
fq_client_filter_compile(yyjson_val *value,
                         const fq_client_filter_scope *scope,
                         fq_filter **pfilter, fq_error *error);

#endif
