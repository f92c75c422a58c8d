/* SPDX-License-Identifier: MIT */
/* The mailbox of one asyncio loop, as a Python object: registered with the
 * loop's add_reader at first use, closed with its last user. What arrives is
 * handed on to those it is for: news to a port's owner, calls to resolver.h,
 * outcomes to the futures that wait for them. Thread: loop, unless a function
 * says otherwise. What the mail means is decided by its receivers. */
#ifndef FQ_PYTHON_LOOP_MAILBOX_H
#define FQ_PYTHON_LOOP_MAILBOX_H

#include "python/state.h"

#include "reactor/mailbox.h"
#include "reactor/ticket.h"

/* A pass over the mail ends after so many calls of resolvers, or so long, and
 * goes on in the loop's next turn: a thousand busy connections do not keep
 * the loop from its sockets and timers. */
#define FQ_LOOP_MAILBOX_CALLS_MAX 64
#define FQ_LOOP_MAILBOX_PASS_NS (5 * UINT64_C(1000000))

typedef struct fq_loop_mailbox fq_loop_mailbox;

/* The mailbox of the running loop, with one more user; made at first need.
 * NULL with an exception: ConfigError when no asyncio loop runs in this
 * thread, or the loop cannot watch a descriptor; OSError, MemoryError. */
fq_loop_mailbox *
fq_loop_mailbox_use(fq_state *state);

/* |self| with one more user. Thread: its loop's. */
fq_loop_mailbox *
fq_loop_mailbox_join(fq_loop_mailbox *self);

/* One user less. The last one takes the descriptor out of the loop and closes
 * it; from another thread this happens in the loop's next turn. Thread: any
 * that holds the GIL. Keeps the current exception. */
void
fq_loop_mailbox_unuse(fq_loop_mailbox *self);

/* The door itself, borrowed; valid while the caller is a user. */
fq_mailbox *
fq_loop_mailbox_peek(const fq_loop_mailbox *self);

/* The loop, borrowed; valid while the caller is a user. */
PyObject *
fq_loop_mailbox_loop(const fq_loop_mailbox *self);

/* An empty contextvars.Context for callbacks of ours that the loop is to call,
 * so that it need not copy one; borrowed, likewise. */
PyObject *
fq_loop_mailbox_context(const fq_loop_mailbox *self);

/* Another one for copies that calls without a connection run in. */
PyObject *
fq_loop_mailbox_call_context(const fq_loop_mailbox *self);

/* Keeps |object| as long as the loop, until it is released: a task that waits
 * for something of ours is known to nobody else. Returns 0, or -1 with an
 * exception. */
int
fq_loop_mailbox_hold(fq_loop_mailbox *self, PyObject *object);
/* Harmless when it is not held. Keeps the current exception. */
void
fq_loop_mailbox_release(fq_loop_mailbox *self, PyObject *object);

/* Puts the calls |first| to |last|, linked by mail.item, before all mail that
 * came later, and hands mail on: now, in a callback of the loop that is not its
 * reader, or in the next turn. Where the mailbox is closed they are answered.
 * Returns 0, or -1 with an exception that the loop must see. Thread: its
 * loop's. */
int
fq_loop_mailbox_put_back(fq_loop_mailbox *self, fq_inbox_item *first,
                         fq_inbox_item *last, bool now);

/* True when the calling thread runs this very loop. */
bool
fq_loop_mailbox_is_here(const fq_loop_mailbox *self);

/* True while the running loop has mail that it has not seen. */
bool
fq_loop_mailbox_is_behind(fq_state *state);

/* What the future of a completed |ticket| gets: a new reference, or NULL with
 * the exception to set. The ticket is borrowed. */
typedef PyObject *(*fq_ticket_result)(fq_state *state, fq_ticket *ticket);

/* A new ticket that is told to this mailbox, and the asyncio future that gets
 * what |result| makes of its outcome (NULL: None, or what fq_errors_raise
 * makes of the status). *pticket is one reference, to be given to
 * whoever completes it. The mailbox has a user until then, whether the future
 * is still wanted or not. A caller whose request failed completes the ticket
 * itself, or calls fq_loop_mailbox_forget. Returns a new reference, or NULL
 * with an exception (*pticket is NULL then). */
PyObject *
fq_loop_mailbox_await_ticket(fq_loop_mailbox *self, fq_ticket_result result,
                             fq_ticket **pticket);

/* Gives up waiting for |ticket|, which nobody will complete: its future stays
 * pending. The caller keeps its reference. */
void
fq_loop_mailbox_forget(fq_loop_mailbox *self, fq_ticket *ticket);

#endif
