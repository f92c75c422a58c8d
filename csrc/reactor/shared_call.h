/* SPDX-License-Identifier: MIT */
/* The calls a class of subscriptions makes: see engine/shared.h. They go to a
 * loop's mailbox, not to a client's port, and come back to the service.
 * Thread: reactor. */
#ifndef FQ_REACTOR_SHARED_CALL_H
#define FQ_REACTOR_SHARED_CALL_H

#include "engine/engine.h"

/* For fq_engine_set_shared(); its ctx is the fq_service, the route of sinks is
 * the fq_mailbox of their port. */
extern const fq_shared_ops fq_shared_call_ops;

#endif
