/* SPDX-License-Identifier: MIT */
/* What a client says about positions when it subscribes: that it wants them,
 * and from which one on. Thread: reactor. */
#ifndef FQ_REACTOR_RESUME_H
#define FQ_REACTOR_RESUME_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/status.h"
#include "base/str.h"
#include "graphql/errors.h"

typedef struct fq_resume {
    bool wants_position;
    fq_str after; /* anything a client may write; ptr NULL: live events only */
} fq_resume;

/* Reads `{"resume": {"after": "<position>"}}` in |extensions| (an object, or
 * NULL), from which *resume borrows. Members that are absent or null are not
 * asked for. Errors: FQ_ERR_INVALID: they have another type, see |errors|. */
fq_status
fq_resume_read(yyjson_val *extensions, fq_resume *resume,
               fq_gql_errors *errors);

#endif
