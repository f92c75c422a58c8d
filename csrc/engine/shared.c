/* SPDX-License-Identifier: MIT */
/* Classes of a shared field. Thread: reactor.
 *
 * A class behaves as one subscription does in caller.c: one call in flight,
 * later events wait in line. So each of its subscriptions gets its answers in
 * the order of events, and a burst costs no more than one call at a time.
 *
 * An event need not match every member (a row filter may look at the user), so
 * it is walked past them as usual, and those it matches are written down; when
 * it has met everybody they become the targets of one job. In the rule these
 * are the same from event to event, and then the jobs share one array: ten
 * thousand subscribers with a hundred events in line are 80 KB, not 8 MB.
 *
 * Targets are ids. Whoever has ended meanwhile is not found, and whoever is of
 * another class by now (its security context was replaced) is passed by: no
 * byte that was made for one class reaches another. It lost those events when
 * it left, and they stay lost if it comes back before the answer: each job has
 * the number of its event, each member that of the last one it met elsewhere.
 *
 * Callbacks may end all members and with the last one the class; it is looked
 * up by its id after each, as a subscription is. */
#include "engine/shared.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/conflate_key.h"
#include "engine/gap.h"
#include "engine/internal.h"
#include "engine/payload.h"
#include "engine/renewal.h"
#include "engine/security/class.h"

/* Room for matches that a class keeps between events: 8 KiB. */
#define SHARED_MATCHED_KEPT 1024

/* Whom an event is for; shared by jobs. */
typedef struct fq_shared_targets {
    uint32_t n_refs;
    size_t n_ids;
    fq_sub_id ids[];
} shared_targets;

/* An event whose value is asked for, now or later. */
typedef struct fq_shared_job {
    fq_list node;    /* in shared->waiting */
    fq_event *event; /* one reference */
    uint64_t seq;    /* its number */
    shared_targets *targets;
} shared_job;

void
fq_shared_table_init(fq_shared_table *table)
{
    *table = (fq_shared_table){0};
    fq_map_init(&table->by_key);
    fq_map_init(&table->by_id);
    fq_list_init(&table->matched);
}

void
fq_shared_table_fini(fq_shared_table *table)
{
    FQ_CHECK(table->by_key.n_items == 0 && table->by_id.n_items == 0);
    FQ_CHECK(fq_list_is_empty(&table->matched));
    fq_map_fini(&table->by_key);
    fq_map_fini(&table->by_id);
}

/* ── classes ── */

static fq_str
id_key(const uint64_t *pid)
{
    return fq_str_make((const char *)pid, sizeof(*pid));
}

static fq_shared *
shared_find(fq_engine *engine, uint64_t id)
{
    return fq_map_get(&engine->shared.by_id, id_key(&id));
}

static void
append_counted(fq_buf *buf, const fq_rcbuf *rcbuf)
{
    size_t len = rcbuf != NULL ? rcbuf->len : 0;
    fq_buf_append(buf, &len, sizeof(len));
    if (len > 0)
        fq_buf_append(buf, rcbuf->bytes, len);
}

/* Everything two members have equal, in one line of bytes. */
static fq_status
write_key(const fq_sub *sub, const fq_binding *binding, fq_buf *buf)
{
    fq_buf_clear(buf);
    fq_buf_append(buf, &sub->token, sizeof(sub->token));
    fq_buf_append(buf, &sub->returns, sizeof(sub->returns));
    fq_buf_append(buf, &sub->sink->route, sizeof(sub->sink->route));
    fq_buf_append(buf, &binding->variant, sizeof(binding->variant));
    append_counted(buf, binding->variables);
    append_counted(buf, binding->args);
    fq_security_class_write(sub->context, buf);
    return fq_buf_status(buf);
}

static fq_rcbuf *
ref_or_null(fq_rcbuf *rcbuf)
{
    return rcbuf == NULL ? NULL : fq_rcbuf_ref(rcbuf);
}

static void
targets_unref(shared_targets *targets)
{
    if (targets != NULL && --targets->n_refs == 0)
        fq_free(targets);
}

/* Frees |shared|, which is in no table; its events are let go already. */
static void
shared_free(fq_shared *shared)
{
    fq_list_remove(&shared->matched_node);
    fq_binding_fini(&shared->binding);
    fq_security_context_unref(shared->context);
    fq_rcbuf_unref(shared->operation_name);
    targets_unref(shared->last);
    fq_free(shared->matched);
    fq_free(shared);
}

static fq_status
shared_new(const fq_sub *sub, const fq_binding *binding, fq_str key,
           fq_shared **pshared)
{
    fq_shared *shared = *pshared = fq_alloc_zero(sizeof(*shared) + key.len);
    if (shared == NULL)
        return FQ_ERR_NOMEM;
    fq_list_init(&shared->waiting);
    fq_list_init(&shared->matched_node);
    memcpy(shared + 1, key.ptr, key.len);
    shared->key = fq_str_make((char *)(shared + 1), key.len);
    shared->route = sub->sink->route;
    shared->token = sub->token;
    shared->returns = sub->returns;
    shared->binding.variant = fq_plan_variant_ref(binding->variant);
    shared->binding.variables = ref_or_null(binding->variables);
    shared->binding.args = ref_or_null(binding->args);
    shared->operation_name = ref_or_null(sub->operation_name);
    if (sub->context != NULL)
        shared->context = fq_security_context_ref(sub->context);
    return FQ_OK;
}

/* Enters a new class everywhere, or frees it. */
static fq_status
shared_enter(fq_shared_table *table, fq_shared *shared)
{
    shared->id = ++table->last_id;
    fq_status status = fq_map_add(&table->by_key, shared->key, shared);
    if (status != FQ_OK)
        goto fail_key;
    status = fq_map_add(&table->by_id, id_key(&shared->id), shared);
    if (status != FQ_OK)
        goto fail_id;
    status = table->ops->open(table->ctx, shared);
    if (status == FQ_OK)
        return FQ_OK;
    fq_map_remove(&table->by_id, id_key(&shared->id));
fail_id:
    fq_map_remove(&table->by_key, shared->key);
fail_key:
    shared_free(shared);
    return status;
}

fq_status
fq_shared_join(fq_engine *engine, fq_sub *sub, const fq_binding *binding)
{
    fq_shared_table *table = &engine->shared;
    if (table->ops == NULL)
        return FQ_OK;
    fq_status status = write_key(sub, binding, &engine->scratch);
    if (status != FQ_OK)
        return status;
    fq_str key = fq_buf_str(&engine->scratch);
    fq_shared *shared = fq_map_get(&table->by_key, key);
    if (shared == NULL)
        status = shared_new(sub, binding, key, &shared);
    if (status == FQ_OK && shared->id == 0)
        status = shared_enter(table, shared);
    if (status != FQ_OK)
        return status;
    shared->n_members++;
    sub->shared = shared;
    return FQ_OK;
}

static void
job_free(shared_job *job)
{
    fq_event *event = job->event;
    targets_unref(job->targets);
    fq_free(job);
    fq_event_unref(event);
}

void
fq_shared_leave(fq_engine *engine, fq_shared *shared)
{
    fq_shared_table *table = &engine->shared;
    FQ_CHECK(shared->n_members > 0);
    if (--shared->n_members > 0)
        return;
    fq_map_remove(&table->by_key, shared->key);
    fq_map_remove(&table->by_id, id_key(&shared->id));
    table->ops->close(table->ctx, shared);
    fq_list jobs;
    fq_list_init(&jobs);
    if (shared->called != NULL)
        fq_list_push_back(&jobs, &shared->called->node);
    fq_list_splice(&jobs, &shared->waiting);
    shared_free(shared);
    fq_list *node;
    while ((node = fq_list_pop_front(&jobs)) != NULL)
        job_free(FQ_CONTAINER_OF(node, shared_job, node));
}

static bool
has_id(const fq_sub_id *ids, size_t n_ids, fq_sub_id id)
{
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* The subscription |sub_id|, if event number |seq| is its as a member of the
 * class |id|; else NULL. */
static fq_sub *
find_member(const fq_engine *engine, uint64_t id, uint64_t seq,
            fq_sub_id sub_id)
{
    fq_sub *sub = fq_registry_find(&engine->registry, sub_id);
    bool is_member = sub != NULL && sub->shared != NULL
                     && sub->shared->id == id && seq > sub->joined_seq;
    return is_member ? sub : NULL;
}

static void
lose_job(fq_engine *engine, const shared_job *job, fq_sub *sub)
{
    if (job->seq > sub->joined_seq
        && has_id(job->targets->ids, job->targets->n_ids, sub->id))
        fq_engine_lose(engine, sub);
}

/* |sub| loses what |old| has not answered it. */
static void
lose_unanswered(fq_engine *engine, const fq_shared *old, fq_sub *sub)
{
    if (old->called != NULL)
        lose_job(engine, old->called, sub);
    FQ_LIST_FOREACH(node, &old->waiting)
    {
        lose_job(engine, FQ_CONTAINER_OF(node, shared_job, node), sub);
    }
    if (engine->dispatch.event_seq > sub->joined_seq
        && has_id(old->matched, old->n_matched, sub->id))
        fq_engine_lose(engine, sub);
}

fq_status
fq_shared_rejoin(fq_engine *engine, fq_sub *sub, const fq_binding *binding)
{
    fq_shared *old = sub->shared;
    if (old == NULL)
        return FQ_OK;
    fq_status status = fq_shared_join(engine, sub, binding);
    if (status != FQ_OK)
        return status;
    if (sub->shared == old) {
        old->n_members--;
        return FQ_OK;
    }
    lose_unanswered(engine, old, sub);
    fq_gap_leave_shared(engine, sub);
    /* One that catches up has met nothing behind what was accepted last. */
    sub->joined_seq = sub->replay != NULL ? engine->dispatch.accepted_seq
                                          : sub->since_seq;
    fq_shared_leave(engine, old);
    return FQ_OK;
}

/* ── events ── */

void
fq_shared_match(fq_engine *engine, fq_sub *sub)
{
    fq_shared *shared = sub->shared;
    fq_sub_id *matched = fq_alloc_grow(shared->matched, sizeof(*matched),
                                       shared->n_matched + 1, 8,
                                       &shared->matched_cap);
    if (matched == NULL) {
        fq_engine_lose(engine, sub);
        return;
    }
    shared->matched = matched;
    matched[shared->n_matched++] = sub->id;
    if (shared->n_matched == 1)
        fq_list_push_back(&engine->shared.matched, &shared->matched_node);
}

/* The matches so far as targets, one reference: those of the last job where
 * they are the same. NULL without memory. */
static shared_targets *
take_targets(fq_shared *shared)
{
    size_t n_bytes = shared->n_matched * sizeof(fq_sub_id);
    shared_targets *last = shared->last;
    bool is_same = last != NULL && last->n_ids == shared->n_matched
                   && memcmp(last->ids, shared->matched, n_bytes) == 0;
    if (!is_same) {
        targets_unref(last);
        shared->last = last = fq_alloc(sizeof(*last) + n_bytes);
        if (last == NULL)
            return NULL;
        last->n_refs = 1;
        last->n_ids = shared->n_matched;
        memcpy(last->ids, shared->matched, n_bytes);
    }
    last->n_refs++;
    return last;
}

static void
forget_matched(fq_shared *shared)
{
    shared->n_matched = 0;
    if (shared->matched_cap > SHARED_MATCHED_KEPT) {
        fq_free(shared->matched);
        shared->matched = NULL;
        shared->matched_cap = 0;
    }
}

static void
lose_matched(fq_engine *engine, const fq_shared *shared)
{
    for (size_t i = 0; i < shared->n_matched; i++) {
        fq_sub *sub = find_member(engine, shared->id,
                                  engine->dispatch.event_seq,
                                  shared->matched[i]);
        if (sub != NULL)
            fq_engine_lose(engine, sub);
    }
}

/* A job for |event| and whom it matched in |shared|; NULL without memory, all
 * of them have lost it then. */
static shared_job *
new_job(fq_engine *engine, fq_shared *shared, fq_event *event)
{
    shared_targets *targets = take_targets(shared);
    shared_job *job = targets == NULL ? NULL : fq_alloc_zero(sizeof(*job));
    if (job == NULL) {
        targets_unref(targets);
        lose_matched(engine, shared);
    } else {
        fq_list_init(&job->node);
        job->event = fq_event_ref(event);
        job->seq = engine->dispatch.event_seq;
        job->targets = targets;
    }
    forget_matched(shared);
    return job;
}

/* Makes calls while there are some to make. |shared| may be gone afterwards. */
static void
shared_pump(fq_engine *engine, fq_shared *shared)
{
    if (shared->is_pumping)
        return;
    shared->is_pumping = true;
    uint64_t id = shared->id;
    while (shared != NULL && shared->called == NULL) {
        fq_list *node = fq_list_pop_front(&shared->waiting);
        if (node == NULL)
            break;
        shared->n_waiting--;
        shared->called = FQ_CONTAINER_OF(node, shared_job, node);
        FQ_METRIC_ADD(engine->metrics, resolver_calls, 1);
        engine->shared.ops->call(engine->shared.ctx, shared,
                                 shared->called->event);
        shared = shared_find(engine, id);
    }
    if (shared != NULL)
        shared->is_pumping = false;
}

/* The event of |job| is lost for |sub_id| of the class |id|, if it still is of
 * it; where none may be lost, its connection is. */
static void
lose_one(fq_engine *engine, uint64_t id, const shared_job *job,
         fq_sub_id sub_id)
{
    fq_sub *sub = find_member(engine, id, job->seq, sub_id);
    if (sub == NULL)
        return;
    if (sub->overflow == FQ_OVERFLOW_DISCONNECT
        && !sub->sink->ops->overflow(sub->sink, sub))
        return;
    sub = fq_registry_find(&engine->registry, sub_id);
    if (sub == NULL)
        return;
    fq_engine_lose(engine, sub);
    FQ_METRIC_ADD(engine->metrics, dropped_oldest, 1);
}

/* The oldest event in line gives way. */
static void
drop_oldest(fq_engine *engine, fq_shared *shared)
{
    uint64_t id = shared->id;
    fq_list *node = fq_list_pop_front(&shared->waiting);
    if (node == NULL)
        return;
    shared->n_waiting--;
    shared_job *job = FQ_CONTAINER_OF(node, shared_job, node);
    for (size_t i = 0; i < job->targets->n_ids; i++)
        lose_one(engine, id, job, job->targets->ids[i]);
    job_free(job);
}

static void
shared_call_for(fq_engine *engine, fq_shared *shared, fq_event *event)
{
    uint64_t id = shared->id;
    shared_job *job = new_job(engine, shared, event);
    if (job == NULL)
        return;
    fq_list_push_back(&shared->waiting, &job->node);
    shared->n_waiting++;
    size_t max = engine->limits.max_pending;
    if (max != 0 && shared->called != NULL && shared->n_waiting > max)
        drop_oldest(engine, shared);
    shared = shared_find(engine, id);
    if (shared != NULL)
        shared_pump(engine, shared);
}

void
fq_shared_call_matched(fq_engine *engine, fq_event *event)
{
    fq_list *node;
    while ((node = fq_list_pop_front(&engine->shared.matched)) != NULL)
        shared_call_for(engine, FQ_CONTAINER_OF(node, fq_shared, matched_node),
                        event);
}

/* ── answers ── */

/* Says what the delivery of |event| to |sub| conflates by: *pkey, made for the
 * first that asks. */
static void
set_key(fq_engine *engine, fq_sub *sub, const fq_event *event, fq_rcbuf **pkey)
{
    /* Without memory for a key it is not conflated, that is all. */
    if (*pkey == NULL)
        (void)fq_conflate_key_new(fq_rcbuf_str(sub->conflate_path),
                                  yyjson_doc_get_root(event->doc),
                                  &engine->scratch, pkey);
    fq_rcbuf_unref(sub->next_key);
    sub->next_key = ref_or_null(*pkey);
}

/* Hands |payload| (NULL: lost) to all whom |job| is for. */
static void
deliver_all(fq_engine *engine, uint64_t id, const shared_job *job,
            fq_rcbuf *payload, uint64_t now_ns)
{
    const shared_targets *targets = job->targets;
    fq_rcbuf *key = NULL;
    for (size_t i = 0; i < targets->n_ids; i++) {
        fq_sub *sub = find_member(engine, id, job->seq, targets->ids[i]);
        if (sub == NULL)
            continue;
        if (now_ns >= sub->security.expires_at_ns) {
            FQ_METRIC_ADD(engine->metrics, security_expired_denied, 1);
            continue;
        }
        if (!fq_renewal_allows(engine, sub, job->event, now_ns))
            continue;
        if (payload == NULL) {
            fq_engine_lose(engine, sub);
            continue;
        }
        if (sub->conflate_path != NULL)
            set_key(engine, sub, job->event, &key);
        fq_engine_set_position(sub, job->event);
        fq_engine_deliver(engine, sub, payload);
    }
    fq_rcbuf_unref(key);
}

/* A job is done: those who wait to be told of a gap behind it are, unless
 * others come first. */
static void
tell_gap(fq_engine *engine, fq_shared *shared)
{
    if (shared->gap_seq == 0)
        return;
    const fq_list *head = shared->waiting.next;
    if (head != &shared->waiting
        && FQ_CONTAINER_OF(head, shared_job, node)->seq <= shared->gap_seq)
        return;
    shared->gap_seq = 0;
    fq_gap_note_shared(engine, shared->id);
}

void
fq_shared_answer(fq_engine *engine, uint64_t id, fq_answer_kind kind,
                 fq_str text, uint64_t now_ns)
{
    fq_shared *shared = shared_find(engine, id);
    if (shared == NULL || shared->called == NULL)
        return;
    shared_job *job = shared->called;
    shared->called = NULL;
    /* What comes from callbacks below waits until all have this one. */
    bool was_pumping = shared->is_pumping;
    shared->is_pumping = true;
    bool is_lost;
    fq_rcbuf *payload = fq_payload_of_answer(engine, shared->binding.variant,
                                             shared->returns, kind, text,
                                             &is_lost);
    if (payload != NULL || is_lost)
        deliver_all(engine, id, job, payload, now_ns);
    fq_rcbuf_unref(payload);
    shared = shared_find(engine, id);
    if (shared != NULL)
        tell_gap(engine, shared);
    shared = shared_find(engine, id);
    if (shared != NULL) {
        shared->is_pumping = was_pumping;
        shared_pump(engine, shared);
    }
    shared = shared_find(engine, id);
    if (shared != NULL)
        fq_replay_note_shared(engine, shared);
    job_free(job);
}

void
fq_shared_check(const fq_engine *engine, const fq_sub *sub)
{
#ifndef NDEBUG
    const fq_shared *shared = sub->shared;
    if (shared == NULL)
        return;
    FQ_CHECK(sub->kind == FQ_FIELD_RESOLVER && sub->called_for == NULL);
    FQ_CHECK(shared->n_members > 0 && !shared->is_pumping);
    FQ_CHECK(fq_map_get(&engine->shared.by_key, shared->key) == shared);
    FQ_CHECK(fq_map_get(&engine->shared.by_id, id_key(&shared->id)) == shared);
    FQ_CHECK(shared->called != NULL || shared->n_waiting == 0);
    FQ_CHECK(fq_list_is_empty(&shared->waiting) == (shared->n_waiting == 0));
#else
    (void)engine;
    (void)sub;
#endif
}
