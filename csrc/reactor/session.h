/* SPDX-License-Identifier: MIT */
/* One client connection on the reactor: the protocol machine joined to its
 * subscriptions in the engine and to the port behind which its socket lives.
 * The same for every transport. */
#ifndef FQ_REACTOR_SESSION_H
#define FQ_REACTOR_SESSION_H

#include "reactor/port.h"
#include "reactor/service.h"

/* Opens a session of |service| for a client that speaks graphql-transport-ws
 * behind |mailbox|'s loop. *pport gets the caller's end: its texts go in by
 * fq_port_receive, what comes out is to be sent; it must be ended by
 * fq_port_disconnect and fq_port_unref. |owner| is the caller's own. Errors:
 * FQ_ERR_LIMIT (max_connections), FQ_ERR_CLOSED, FQ_ERR_NOMEM. Thread: loop. */
fq_status
fq_session_open(fq_service *service, fq_mailbox *mailbox, void *owner,
                fq_port **pport);

#endif
