/* SPDX-License-Identifier: MIT */
/* Who a session's client is: asked of Python at connection_init and when a
 * ping brings a new authorization, until when it holds, and what becomes of
 * the subscriptions when it changes or ends. Thread: reactor. */
#ifndef FQ_REACTOR_AUTHENTICATION_H
#define FQ_REACTOR_AUTHENTICATION_H

#include <yyjson.h>

#include "reactor/call.h"
#include "reactor/session_state.h"

/* To be called once, before the session's first text. */
void
fq_authentication_init(fq_session *session);

/* Lets go of everything; nothing expires any more. Harmless twice. */
void
fq_authentication_fini(fq_session *session);

/* connection_init came: acknowledged at once, or when Python has answered. */
void
fq_authentication_start(fq_session *session, yyjson_val *payload);

/* A ping came with |payload|: one that has an authorization goes to Python
 * where there is a handler. One at a time; of those that come meanwhile the
 * last is kept. */
void
fq_authentication_ping(fq_session *session, yyjson_val *payload);

/* The answer to either. May close the session. */
void
fq_authentication_answer(fq_session *session, const fq_call *call);

/* Sets the session's one deadline: for connection_init, for the answer of
 * Python, for the end of what the client may. To be called when any of them
 * may have changed. */
void
fq_authentication_arm(fq_session *session);

#endif
