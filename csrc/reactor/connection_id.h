/* SPDX-License-Identifier: MIT */
/* What tells one client from all others, on every instance. Thread: any. */
#ifndef FQ_REACTOR_CONNECTION_ID_H
#define FQ_REACTOR_CONNECTION_ID_H

#include "base/rcbuf.h"
#include "base/status.h"

/* A random UUID (RFC 9562 5.4) as text; *pid gets one reference. Errors:
 * FQ_ERR_NOMEM, FQ_ERR_SYSTEM (the system gives no random bytes). */
fq_status
fq_connection_id_new(fq_rcbuf **pid);

#endif
