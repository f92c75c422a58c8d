/* SPDX-License-Identifier: MIT */
/* Telling the application of connections and operations: calls of the methods
 * of fraiseql_asgi.hooks.Hooks, in a copy of the connection's contextvars.
 * Nothing is done where the service has no hooks. Thread: loop. */
#ifndef FQ_PYTHON_HOOKS_H
#define FQ_PYTHON_HOOKS_H

#include "python/port_object.h"

/* The client was let in; owner->connection is made. */
void
fq_hooks_connected(fq_state *state, fq_port_object *owner);

/* Its security context was replaced. */
void
fq_hooks_renewed(fq_state *state, fq_port_object *owner);

/* The operation that on_subscribe let in as |id| has ended. */
void
fq_hooks_completed(fq_state *state, fq_port_object *owner, fq_sub_id id);

/* The client is gone. To be called once, before |owner| lets go of anything;
 * from any thread that holds the GIL. Keeps the current exception. */
void
fq_hooks_disconnected(fq_state *state, fq_port_object *owner);

#endif
