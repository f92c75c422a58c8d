/* SPDX-License-Identifier: MIT */
/* Control.
 *
 * Who is there is learnt from what is said. An instance says so when it gets
 * its first client, and again when the bus is back; the first time, and when
 * something was lost, it asks the others to do the same, who answer a little
 * later, once for all who have asked. So starting costs a message or two per
 * instance, and waiting for nothing costs none. One that has died is missed by
 * the first question, and forgotten a minute later. */
#include "reactor/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "json/reader.h"
#include "json/writer.h"
#include "reactor/service_state.h"

/* Others are told within so long that this one is there: asked by one of them;
 * after a reconnect, of which all know at the same time. */
#define REPLY_MS 250
#define RECONNECT_MS 500
/* The bus has so long to take what an instance says of itself. */
#define SAY_NS (10 * UINT64_C(1000000000))

#define PEER_WORDS (FQ_CONTROL_PEERS_MAX / 64)

/* A question of this instance. */
typedef struct question {
    fq_list node; /* in control->questions */
    fq_deadline deadline;
    fq_service *service; /* one reference */
    fq_ticket *done;     /* likewise */
    uint64_t number;
    uint64_t awaited[PEER_WORDS]; /* bits by place in control->peers */
    size_t n_awaited;
    uint64_t until_ns; /* its end */
    bool is_open;      /* who is there is not known yet: others may answer */
    fq_buf answers;
    fq_job job; /* asks */
    uint64_t timeout_ns;
} question;

/* A question of another one. */
typedef struct answering {
    uint64_t to;
    uint64_t number;
} answering;

static fq_publisher *
publisher_of(const fq_service *service)
{
    return service->publisher;
}

bool
fq_control_has_others(const fq_service *service)
{
    return fq_publisher_answers_later(publisher_of(service));
}

/* ── ids ── */

static void
write_id(uint64_t id, char text[FQ_CONTROL_ID_LEN + 1])
{
    snprintf(text, FQ_CONTROL_ID_LEN + 1, "%016" PRIx64, id);
}

/* 0: |val| is no id. */
static uint64_t
read_id(yyjson_val *val)
{
    fq_str text = fq_json_str(val);
    uint64_t id = 0;
    if (text.len != FQ_CONTROL_ID_LEN)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9')
            id = id << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            id = id << 4 | (uint64_t)(c - 'a' + 10);
        else
            return 0;
    }
    return id;
}

void
fq_control_write_id(const fq_service *service,
                    char text[FQ_CONTROL_ID_LEN + 1])
{
    write_id(service->control.id, text);
}

/* ── writing ── */

static void
open_body(const fq_service *service, fq_buf *buf)
{
    char id[FQ_CONTROL_ID_LEN + 1];
    write_id(service->control.id, id);
    fq_buf_append_format(buf, "{\"from\":\"%s\"", id);
}

static void
add_key(fq_buf *buf, const char *key)
{
    fq_buf_append_format(buf, ",\"%s\":", key);
}

static void
add_text(fq_buf *buf, const char *key, fq_str text)
{
    if (text.ptr == NULL)
        return;
    add_key(buf, key);
    fq_json_write_str(buf, text);
}

static void
add_query(fq_buf *buf, const fq_live_query *query)
{
    add_text(buf, "user_id", query->user_id);
    add_text(buf, "tenant_id", query->tenant_id);
    add_text(buf, "connection_id", query->connection_id);
    add_text(buf, "channel", query->channel);
}

/* The event of |body|, which is done with; counted as sent. */
static fq_status
close_body(fq_service *service, fq_str kind, fq_buf *body, fq_event **pevent)
{
    *pevent = NULL;
    fq_buf_append_char(body, '}');
    fq_status status = fq_buf_status(body);
    if (status == FQ_OK)
        status = fq_event_new(FQ_STR_LIT(FQ_EVENT_CONTROL), kind,
                              fq_buf_str(body), fq_clock_wall_ns(), 0, pevent,
                              NULL);
    if (status == FQ_OK)
        FQ_METRIC_ADD(&service->metrics, control_sent, 1);
    fq_buf_fini(body);
    return status;
}

fq_status
fq_control_new_disconnect(fq_service *service, const fq_live_query *query,
                          uint16_t code, fq_str reason, fq_event **pevent)
{
    fq_buf body = FQ_BUF_INIT;
    open_body(service, &body);
    add_query(&body, query);
    fq_buf_append_format(&body, ",\"code\":%u", (unsigned)code);
    add_text(&body, "reason", reason);
    return close_body(service, FQ_STR_LIT("disconnect"), &body, pevent);
}

fq_status
fq_control_new_invalidate(fq_service *service, fq_str where, fq_event **pevent)
{
    fq_buf body = FQ_BUF_INIT;
    open_body(service, &body);
    add_key(&body, "where");
    fq_buf_append_str(&body, where);
    return close_body(service, FQ_STR_LIT("invalidate"), &body, pevent);
}

fq_status
fq_control_new_question(fq_service *service, uint64_t number,
                        const fq_live_query *query, size_t limit,
                        fq_event **pevent)
{
    fq_buf body = FQ_BUF_INIT;
    open_body(service, &body);
    add_query(&body, query);
    fq_buf_append_format(&body, ",\"question\":%" PRIu64 ",\"limit\":%zu",
                         number, limit);
    return close_body(service, FQ_STR_LIT("subscriptions"), &body, pevent);
}

/* Gives what was made with |status| to the bus. Nobody waits for it: one that
 * does not get there is missed, or said again. */
static void
say(fq_service *service, fq_status status, fq_event *event)
{
    char id[FQ_EVENT_ID_MAX];
    if (status != FQ_OK)
        return;
    status = fq_publisher_publish(publisher_of(service), event,
                                  FQ_PUBLISH_ACCEPTED,
                                  fq_clock_now_ns() + SAY_NS, NULL, NULL, id);
    if (status != FQ_OK)
        fq_event_unref(event);
}

/* ── who is there ── */

static void
set_awaited(question *self, size_t at, bool is_awaited)
{
    uint64_t bit = UINT64_C(1) << (at % 64);
    bool was_awaited = (self->awaited[at / 64] & bit) != 0;
    if (is_awaited == was_awaited)
        return;
    self->awaited[at / 64] ^= bit;
    self->n_awaited += is_awaited ? 1 : (size_t)-1;
}

static bool
is_awaited(const question *self, size_t at)
{
    return (self->awaited[at / 64] >> (at % 64) & 1) != 0;
}

static void
finish_if_done(question *self);

/* The place of |id|; peers_cap: it is not known. */
static size_t
find_peer(const fq_control *self, uint64_t id)
{
    size_t at = 0;
    while (at < self->peers_cap && self->peers[at].id != id)
        at++;
    return at;
}

/* A free place; peers_cap: there is none. */
static size_t
make_room(fq_control *self)
{
    size_t at = find_peer(self, 0);
    if (at < self->peers_cap || self->peers_cap == FQ_CONTROL_PEERS_MAX)
        return at;
    size_t cap = self->peers_cap == 0 ? 16 : self->peers_cap * 2;
    fq_control_peer *peers = fq_realloc(self->peers, cap * sizeof(*peers));
    if (peers == NULL)
        return at;
    memset(peers + self->peers_cap, 0,
           (cap - self->peers_cap) * sizeof(*peers));
    self->peers = peers;
    self->peers_cap = cap;
    return at;
}

/* |id| has said something. */
static void
hear(fq_service *service, uint64_t id)
{
    fq_control *self = &service->control;
    if (id == 0)
        return;
    size_t at = find_peer(self, id);
    if (at == self->peers_cap) {
        at = make_room(self);
        if (at == self->peers_cap)
            return;
        self->peers[at].id = id;
        FQ_METRIC_ADD(&service->metrics, control_instances, 1);
    }
    self->peers[at].missed_ns = 0;
}

/* Nobody waits for the one at |at| any more. */
static void
forget(fq_service *service, size_t at)
{
    fq_control *self = &service->control;
    self->peers[at] = (fq_control_peer){.id = 0};
    FQ_METRIC_SUB(&service->metrics, control_instances, 1);
    FQ_LIST_FOREACH(node, &self->questions)
    {
        question *asked = FQ_CONTAINER_OF(node, question, node);
        set_awaited(asked, at, false);
        finish_if_done(asked);
    }
}

static uint64_t
next_random(fq_control *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

/* Says within |ms| that it is here, or as soon as was meant before. */
static void
announce_within(fq_service *service, uint64_t ms)
{
    fq_control *self = &service->control;
    uint64_t at_ns = fq_clock_now_ns();
    if (ms > 0)
        at_ns += next_random(self) % (ms * FQ_NS_PER_MS);
    if (!fq_timer_is_set(&self->announce.timer)
        || self->announce.timer.at_ns > at_ns)
        fq_deadlines_set(&service->deadlines, &self->announce, at_ns);
}

static void
on_announce(fq_deadline *deadline, uint64_t now_ns)
{
    fq_service *service = FQ_CONTAINER_OF(deadline, fq_service,
                                          control.announce);
    fq_control *self = &service->control;
    if (fq_publisher_bus(publisher_of(service))->state != FQ_BUS_UP)
        return; /* when it is */
    fq_buf body = FQ_BUF_INIT;
    fq_event *event;
    open_body(service, &body);
    fq_buf_append_format(&body, ",\"is_asking\":%s",
                         self->is_asking ? "true" : "false");
    if (self->is_asking)
        self->asked_ns = now_ns;
    self->is_asking = false;
    fq_status status = close_body(service, FQ_STR_LIT("here"), &body, &event);
    say(service, status, event);
}

static void
on_state(fq_bus_watcher *watcher)
{
    fq_service *service = FQ_CONTAINER_OF(watcher, fq_service,
                                          control.watcher);
    bool is_up = fq_publisher_bus(publisher_of(service))->state == FQ_BUS_UP;
    if (is_up && service->control.is_wanted)
        announce_within(service, RECONNECT_MS);
}

/* From now on others should know of this one. */
static void
want_to_be_known(fq_service *service)
{
    fq_control *self = &service->control;
    if (self->is_wanted || !fq_control_has_others(service))
        return;
    self->is_wanted = true;
    announce_within(service, 0);
}

void
fq_control_note_client(fq_service *service)
{
    want_to_be_known(service);
}

void
fq_control_note_gap(fq_service *service)
{
    service->control.is_asking = true;
    if (service->control.is_wanted)
        announce_within(service, REPLY_MS);
    /* Where nobody is authenticated, coming back would change nothing. */
    if (service->auth.token != 0)
        fq_lockdown_begin(service);
}

/* ── asking ── */

static void
free_question(question *self)
{
    fq_list_remove(&self->node);
    fq_deadlines_set(&self->service->deadlines, &self->deadline, UINT64_MAX);
    fq_buf_fini(&self->answers);
    fq_ticket_unref(self->done);
    fq_service_unref(self->service);
    fq_free(self);
}

/* Completes it with what has come, and says who is missing. */
static void
finish(question *self)
{
    fq_control *control = &self->service->control;
    uint64_t now_ns = fq_clock_now_ns();
    fq_buf *buf = &self->answers;
    bool is_first = true;
    buf->max = 0;
    fq_buf_append_str(buf, FQ_STR_LIT("],\"missing\":["));
    for (size_t i = 0; i < control->peers_cap; i++) {
        if (!is_awaited(self, i))
            continue;
        char id[FQ_CONTROL_ID_LEN + 1];
        write_id(control->peers[i].id, id);
        fq_buf_append_format(buf, "%s\"%s\"", is_first ? "" : ",", id);
        is_first = false;
        if (control->peers[i].missed_ns == 0)
            control->peers[i].missed_ns = now_ns;
    }
    fq_buf_append_str(buf, FQ_STR_LIT("]}"));
    fq_rcbuf *text;
    fq_status status = fq_buf_to_rcbuf(buf, &text);
    fq_ticket_complete(self->done, status, text);
    free_question(self);
}

static void
finish_if_done(question *self)
{
    if (self->n_awaited == 0 && !self->is_open)
        finish(self);
}

static void
on_deadline(fq_deadline *deadline, uint64_t now_ns)
{
    question *self = FQ_CONTAINER_OF(deadline, question, deadline);
    if (!self->is_open || now_ns >= self->until_ns) {
        finish(self);
        return;
    }
    self->is_open = false;
    fq_deadlines_set(&self->service->deadlines, deadline, self->until_ns);
    finish_if_done(self);
}

/* Who owes an answer for long is dead. */
static void
forget_dead(fq_service *service, uint64_t now_ns)
{
    fq_control *self = &service->control;
    for (size_t i = 0; i < self->peers_cap; i++) {
        const fq_control_peer *peer = &self->peers[i];
        if (peer->missed_ns != 0
            && now_ns - peer->missed_ns >= FQ_CONTROL_FORGET_NS)
            forget(service, i);
    }
}

static void
run_ask(fq_job *job)
{
    question *self = FQ_CONTAINER_OF(job, question, job);
    fq_service *service = self->service;
    fq_control *control = &service->control;
    if (service->is_closed) {
        fq_ticket_complete(self->done, FQ_ERR_CLOSED, NULL);
        free_question(self);
        return;
    }
    uint64_t now_ns = fq_clock_now_ns();
    forget_dead(service, now_ns);
    want_to_be_known(service);
    for (size_t i = 0; i < control->peers_cap; i++)
        set_awaited(self, i, control->peers[i].id != 0);
    uint64_t asked_ns = control->asked_ns == 0 ? now_ns : control->asked_ns;
    uint64_t settled_ns = asked_ns + FQ_CONTROL_SETTLE_NS;
    self->until_ns = now_ns + self->timeout_ns;
    self->is_open = now_ns < settled_ns;
    fq_list_push_back(&control->questions, &self->node);
    fq_deadlines_set(&service->deadlines, &self->deadline,
                     self->is_open && settled_ns < self->until_ns
                         ? settled_ns
                         : self->until_ns);
    finish_if_done(self);
}

fq_status
fq_control_ask(fq_service *service, uint64_t timeout_ns, fq_ticket *done,
               uint64_t *pquestion)
{
    question *self = fq_alloc_zero(sizeof(*self));
    *pquestion = 0;
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->job.run = run_ask;
    fq_list_init(&self->node);
    fq_timer_init(&self->deadline.timer);
    self->deadline.expire = on_deadline;
    self->service = fq_service_ref(service);
    self->done = fq_ticket_ref(done);
    self->timeout_ns = timeout_ns;
    fq_buf_init(&self->answers);
    self->answers.max = FQ_CONTROL_ANSWERS_MAX;
    fq_buf_append_str(&self->answers, FQ_STR_LIT("{\"answers\":["));
    /* Relaxed: a number that no other question has. */
    self->number = 1
                   + atomic_fetch_add_explicit(&service->control.n_questions,
                                               1, memory_order_relaxed);
    *pquestion = self->number;
    fq_status status = fq_reactor_post(service->reactor, &self->job);
    if (status == FQ_OK)
        return FQ_OK;
    fq_buf_fini(&self->answers);
    fq_ticket_unref(done);
    fq_service_unref(service);
    fq_free(self);
    return status;
}

/* ── what others say: each takes |data|, of |from|, 0 if that is not said.
 * Errors: FQ_ERR_INVALID (it makes no sense), FQ_ERR_NOMEM. ── */

typedef fq_status (*take_fn)(fq_service *service, uint64_t from,
                             yyjson_val *data);

/* ptr NULL: it is not there. False: it is no text. */
static bool
read_text(yyjson_val *data, const char *key, fq_str *ptext)
{
    yyjson_val *val = fq_json_get(data, fq_str_of(key));
    *ptext = fq_json_str(val);
    return val == NULL || yyjson_is_null(val) || yyjson_is_str(val);
}

static bool
read_query(yyjson_val *data, fq_live_query *query)
{
    return read_text(data, "user_id", &query->user_id)
           && read_text(data, "tenant_id", &query->tenant_id)
           && read_text(data, "connection_id", &query->connection_id)
           && read_text(data, "channel", &query->channel);
}

static bool
read_flag(yyjson_val *data, fq_str key)
{
    return yyjson_is_true(fq_json_get(data, key));
}

static fq_status
take_disconnect(fq_service *service, uint64_t from, yyjson_val *data)
{
    (void)from;
    fq_live_query query;
    fq_str reason;
    yyjson_val *val = fq_json_get(data, FQ_STR_LIT("code"));
    uint64_t code = val == NULL ? 4403 : yyjson_get_uint(val);
    if (!read_query(data, &query) || !read_text(data, "reason", &reason))
        return FQ_ERR_INVALID;
    /* Without any it would be about everybody. */
    if (query.user_id.ptr == NULL && query.tenant_id.ptr == NULL
        && query.connection_id.ptr == NULL)
        return FQ_ERR_INVALID;
    if (code != 1000 && (code < 3000 || code > 4999))
        return FQ_ERR_INVALID;
    if (reason.ptr == NULL)
        reason = FQ_STR_LIT("Forbidden");
    return fq_management_disconnect(service, &query, (uint16_t)code, reason);
}

static bool
refuse_path(const fq_filter_path *path, void *arg)
{
    (void)path;
    (void)arg;
    return false;
}

static fq_status
take_invalidate(fq_service *service, uint64_t from, yyjson_val *data)
{
    (void)from;
    fq_filter *where;
    fq_error error;
    fq_status status = fq_filter_compile(
        fq_json_get(data, FQ_STR_LIT("where")), &where, &error);
    if (status != FQ_OK)
        return status == FQ_ERR_NOMEM ? status : FQ_ERR_INVALID;
    if (fq_filter_each_path(where, refuse_path, NULL))
        status = fq_management_invalidate(service, where);
    else
        status = FQ_ERR_INVALID;
    fq_filter_unref(where);
    return status;
}

static void
on_listed(fq_service *service, void *arg, fq_status status, fq_rcbuf *rows,
          bool is_whole)
{
    answering *self = arg;
    char to[FQ_CONTROL_ID_LEN + 1];
    fq_buf body = FQ_BUF_INIT;
    fq_event *event;
    service->control.n_answering--;
    if (status == FQ_OK) {
        write_id(self->to, to);
        open_body(service, &body);
        fq_buf_append_format(
            &body, ",\"to\":\"%s\",\"question\":%" PRIu64 ",\"is_whole\":%s",
            to, self->number, is_whole ? "true" : "false");
        add_key(&body, "rows");
        fq_buf_append_str(&body, fq_rcbuf_str(rows));
        status = close_body(service, FQ_STR_LIT("answer"), &body, &event);
        say(service, status, event);
    }
    fq_rcbuf_unref(rows);
    fq_free(self);
}

static fq_status
take_question(fq_service *service, uint64_t from, yyjson_val *data)
{
    fq_control *control = &service->control;
    fq_live_query query;
    yyjson_val *number = fq_json_get(data, FQ_STR_LIT("question"));
    yyjson_val *limit = fq_json_get(data, FQ_STR_LIT("limit"));
    if (from == 0 || !yyjson_is_uint(number) || !yyjson_is_uint(limit)
        || !read_query(data, &query)
        || control->n_answering >= FQ_CONTROL_ANSWERING_MAX)
        return FQ_ERR_INVALID;
    want_to_be_known(service);
    answering *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_OK; /* it will be missed */
    self->to = from;
    self->number = yyjson_get_uint(number);
    control->n_answering++;
    if (fq_management_list(service, &query, yyjson_get_uint(limit),
                           FQ_CONTROL_ANSWER_MAX, on_listed, self)
        != FQ_OK) {
        control->n_answering--;
        fq_free(self);
    }
    return FQ_OK;
}

static question *
find_question(fq_control *self, uint64_t number)
{
    FQ_LIST_FOREACH(node, &self->questions)
    {
        question *asked = FQ_CONTAINER_OF(node, question, node);
        if (asked->number == number)
            return asked;
    }
    return NULL;
}

/* Adds the answer of |from| to |self|; false: there is no room for it. */
static bool
add_answer(question *self, uint64_t from, yyjson_val *data)
{
    fq_buf *buf = &self->answers;
    size_t len = buf->len;
    char id[FQ_CONTROL_ID_LEN + 1];
    write_id(from, id);
    if (buf->ptr != NULL && buf->ptr[len - 1] != '[')
        fq_buf_append_char(buf, ',');
    fq_buf_append_format(
        buf, "{\"instance_id\":\"%s\",\"is_whole\":%s,\"rows\":", id,
        read_flag(data, FQ_STR_LIT("is_whole")) ? "true" : "false");
    fq_json_write_val(buf, fq_json_get(data, FQ_STR_LIT("rows")));
    fq_buf_append_char(buf, '}');
    if (fq_buf_status(buf) != FQ_ERR_LIMIT)
        return true;
    buf->len = len;
    buf->status = FQ_OK;
    return false;
}

static fq_status
take_answer(fq_service *service, uint64_t from, yyjson_val *data)
{
    fq_control *control = &service->control;
    if (from == 0 || !yyjson_is_arr(fq_json_get(data, FQ_STR_LIT("rows"))))
        return FQ_ERR_INVALID;
    if (read_id(fq_json_get(data, FQ_STR_LIT("to"))) != control->id)
        return FQ_OK;
    question *asked = find_question(
        control, yyjson_get_uint(fq_json_get(data, FQ_STR_LIT("question"))));
    size_t at = find_peer(control, from);
    /* Too late; or one more than the table has room for. */
    if (asked == NULL || at == control->peers_cap)
        return FQ_OK;
    /* Each answers once. */
    if (!is_awaited(asked, at) && !asked->is_open)
        return FQ_OK;
    if (add_answer(asked, from, data)) {
        set_awaited(asked, at, false);
        finish_if_done(asked);
    }
    return FQ_OK;
}

static fq_status
take_here(fq_service *service, uint64_t from, yyjson_val *data)
{
    if (from == 0)
        return FQ_ERR_INVALID;
    if (service->control.is_wanted && read_flag(data, FQ_STR_LIT("is_asking")))
        announce_within(service, REPLY_MS);
    return FQ_OK;
}

static fq_status
take_bye(fq_service *service, uint64_t from, yyjson_val *data)
{
    (void)data;
    size_t at = find_peer(&service->control, from);
    if (from != 0 && at < service->control.peers_cap)
        forget(service, at);
    return from != 0 ? FQ_OK : FQ_ERR_INVALID;
}

static const struct {
    fq_str kind;
    take_fn take;
} kinds[] = {
    {FQ_STR("disconnect"), take_disconnect},
    {FQ_STR("invalidate"), take_invalidate},
    {FQ_STR("subscriptions"), take_question},
    {FQ_STR("answer"), take_answer},
    {FQ_STR("here"), take_here},
    {FQ_STR("bye"), take_bye},
};

static take_fn
find_kind(const fq_event *event)
{
    if (!fq_str_eq(fq_rcbuf_str(event->channel), FQ_STR_LIT(FQ_EVENT_CONTROL)))
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (fq_str_eq(fq_rcbuf_str(event->event_type), kinds[i].kind))
            return kinds[i].take;
    }
    return NULL;
}

static void
refuse(fq_service *service, const fq_event *event)
{
    FQ_METRIC_ADD(&service->metrics, control_refused, 1);
    fq_notices_add(fq_publisher_notices(publisher_of(service)),
                   fq_clock_now_ns(),
                   "a control message that makes no sense was ignored: "
                   "event %s, %.64s",
                   event->id, event->event_type->bytes);
}

void
fq_control_take(fq_service *service, fq_event *event)
{
    yyjson_val *data = yyjson_doc_get_root(event->doc);
    uint64_t from = read_id(fq_json_get(data, FQ_STR_LIT("from")));
    if (from == service->control.id || !fq_control_has_others(service))
        return;
    take_fn take = find_kind(event);
    FQ_METRIC_ADD(&service->metrics, control_received, 1);
    if (take == NULL) {
        refuse(service, event);
        return;
    }
    hear(service, from);
    fq_status status = take(service, from, data);
    if (status == FQ_ERR_INVALID)
        refuse(service, event);
    else if (status == FQ_ERR_NOMEM)
        fq_lockdown_begin(service);
}

/* ── life ── */

fq_status
fq_control_init(fq_control *self)
{
    while (self->id == 0) {
        if (getentropy(&self->id, sizeof(self->id)) != 0)
            return FQ_ERR_SYSTEM;
    }
    atomic_init(&self->n_questions, 0);
    self->random = self->id;
    self->watcher.state_cb = on_state;
    fq_list_init(&self->watcher.node);
    fq_list_init(&self->questions);
    fq_timer_init(&self->announce.timer);
    self->announce.expire = on_announce;
    self->is_asking = true;
    return FQ_OK;
}

void
fq_control_fini(fq_control *self)
{
    fq_free(self->peers);
}

void
fq_control_begin(fq_service *service)
{
    fq_bus_watch(fq_publisher_bus(publisher_of(service)),
                 &service->control.watcher);
}

/* Says goodbye, if the bus is there to hear it: nobody waits for one that is
 * away. */
void
fq_control_end(fq_service *service)
{
    fq_control *self = &service->control;
    fq_bus_unwatch(&self->watcher);
    fq_list *node;
    while ((node = fq_list_pop_front(&self->questions)) != NULL) {
        question *asked = FQ_CONTAINER_OF(node, question, node);
        fq_ticket_complete(asked->done, FQ_ERR_CLOSED, NULL);
        free_question(asked);
    }
    fq_lockdown_end(service);
    if (!self->is_wanted
        || fq_publisher_bus(publisher_of(service))->state != FQ_BUS_UP)
        return;
    fq_buf body = FQ_BUF_INIT;
    fq_event *event;
    open_body(service, &body);
    fq_status status = close_body(service, FQ_STR_LIT("bye"), &body, &event);
    say(service, status, event);
}
