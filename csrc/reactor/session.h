/* SPDX-License-Identifier: MIT */
/* One client connection on the reactor: the protocol machine joined to its
 * subscriptions in the engine and to the port behind which its socket lives.
 * The same for every transport. */
#ifndef FQ_REACTOR_SESSION_H
#define FQ_REACTOR_SESSION_H

#include "protocol/protocol.h"
#include "reactor/port.h"
#include "reactor/service.h"

/* Opens a session of |service| for a client that speaks the protocol |kind|
 * behind |mailbox|'s loop. *pport gets the caller's end: its texts go in by
 * fq_port_receive, what comes out is to be sent; it must be ended by
 * fq_port_disconnect and fq_port_unref. |owner| is the caller's own.
 * |visitor| is what fq_admission_enter() of the service gave: it is given back
 * when the session is gone, and here in any case of failure. Errors:
 * FQ_ERR_CLOSED, FQ_ERR_NOMEM. Thread: loop. */
fq_status
fq_session_open(fq_service *service, const fq_protocol_kind *kind,
                fq_mailbox *mailbox, void *owner, fq_visitor *visitor,
                fq_port **pport);

#endif
