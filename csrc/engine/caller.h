/* SPDX-License-Identifier: MIT */
/* Calls to resolvers and sources, which live elsewhere and answer later, in
 * the order of events.
 * Thread: reactor. */
#ifndef FQ_ENGINE_CALLER_H
#define FQ_ENGINE_CALLER_H

#include <stdint.h>

#include "base/str.h"
#include "bus/event.h"
#include "engine/engine.h"

/* |sub| wants the value its resolver makes for |event| (borrowed): asks for
 * it, or lets it wait behind those that came before. May end any
 * subscription. */
void
fq_caller_event(fq_engine *engine, fq_sub *sub, fq_event *event);

/* Asks the source of |sub| for its first value. May end it. */
void
fq_caller_start(fq_engine *engine, fq_sub *sub);

/* See fq_engine_answer and fq_engine_resume. */
void
fq_caller_answer(fq_engine *engine, fq_sub_id id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns);
void
fq_caller_resume(fq_engine *engine, fq_sub_id id);

/* Debug builds: asserts what holds for |sub| between callbacks. */
void
fq_caller_check(const fq_sub *sub);

#endif
