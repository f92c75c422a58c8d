/* SPDX-License-Identifier: MIT */
/* Whether there is somebody at the other end of a session. A client that has
 * said nothing for Limits.keep_alive is pinged, where its protocol lets it be
 * asked, and closed when nothing comes back; a close that cannot be carried
 * out, because the client does not read what was sent before it, is given up.
 * Part of a session, whose one deadline is authentication.c's. Thread:
 * reactor. */
#ifndef FQ_REACTOR_LIVENESS_H
#define FQ_REACTOR_LIVENESS_H

#include <stdint.h>

struct fq_session;

/* The session was opened. */
void
fq_liveness_init(struct fq_session *session, uint64_t now_ns);

/* A message came; or none will before |at_ns|, as nothing is read until
 * then. */
void
fq_liveness_hear(struct fq_session *session, uint64_t at_ns);

/* It was closed from here; arms the deadline. */
void
fq_liveness_note_closed(struct fq_session *session, uint64_t now_ns);

/* When fq_liveness_tick has something to do, or UINT64_MAX. */
uint64_t
fq_liveness_deadline_ns(const struct fq_session *session);

/* Asks, closes, gives up. */
void
fq_liveness_tick(struct fq_session *session, uint64_t now_ns);

#endif
