/* SPDX-License-Identifier: MIT */
/* Gaps: events of the bus were lost, nobody can say which, and every
 * subscription is told in its place of them. Thread: reactor. */
#ifndef FQ_ENGINE_GAP_H
#define FQ_ENGINE_GAP_H

#include "engine/engine.h"

/* Makes what tells of one. Errors: FQ_ERR_NOMEM. */
fq_status
fq_gap_init(fq_engine *engine);

/* An event that |sub| had called for has been answered, and what came of that
 * delivered. */
void
fq_gap_note_answer(fq_sub *sub);
/* The oldest event that waits for the resolver of |sub| will not be called
 * for, or has just been asked for in vain. */
void
fq_gap_note_waiting(fq_sub *sub);
/* The newest call of |sub|, which still counts, could not be made. */
void
fq_gap_note_newest(fq_sub *sub);
/* Tells |sub| if nothing that came before the gap is left. |sub|, or NULL if
 * that has ended it. */
fq_sub *
fq_gap_tell_due(fq_engine *engine, fq_sub *sub);

/* The oldest job of the class |id| is done: tells its members if none is left
 * that came before the gap. Members and the class may be gone afterwards. */
void
fq_gap_note_shared(fq_engine *engine, uint64_t id);
/* |sub| is of another class from now on: what it waited for is lost to it. */
void
fq_gap_leave_shared(fq_engine *engine, fq_sub *sub);

#endif
