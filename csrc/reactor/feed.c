/* SPDX-License-Identifier: MIT */
/* Feeds: a subscription joined to a polled port, with no protocol between
 * them but the shape of the message. Ends as a session does: the taker's
 * disconnect or the service's close frees it. */
#include "reactor/feed.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "json/reader.h"
#include "json/writer.h"
#include "reactor/call.h"
#include "reactor/connection_id.h"
#include "reactor/delivery.h"
#include "reactor/service_state.h"
#include "reactor/sub_call.h"

#define CLOSE_FORBIDDEN 4403
#define CLOSE_FAILED 1011

/* The closing braces of a payload and of its message. */
static const fq_str feed_tail = FQ_STR("}}");

typedef struct feed {
    fq_port_peer peer;
    fq_sink sink;
    fq_service_client client;
    fq_service *service; /* one reference */
    fq_port *port;       /* the peer's reference */
    fq_sub *sub;         /* NULL before it is live and after it ended */
    fq_rcbuf *id;        /* the subscription's, as its maker gave it */
    fq_rcbuf *head;      /* around every payload, see feed_tail */
    fq_call *cancel;     /* sent or freed with the subscription */
    bool is_stream;
    fq_security_context *context; /* who it is for; one reference */
    fq_job open_job;
    fq_bus_watcher watcher; /* of a bus that connects, until it is opened */
    /* the request, until it is opened */
    fq_ticket *done; /* one reference */
    fq_rcbuf *query;
    fq_rcbuf *operation_name; /* NULL: none */
    fq_rcbuf *variables;      /* NULL: none */
    fq_rcbuf *after;          /* NULL: none */
    fq_field *field;          /* kind, returns, token and channels */
} feed;

static void
free_request(feed *self)
{
    fq_ticket_unref(self->done);
    fq_rcbuf_unref(self->query);
    fq_rcbuf_unref(self->operation_name);
    fq_rcbuf_unref(self->variables);
    fq_rcbuf_unref(self->after);
    fq_field_free(self->field);
    self->done = NULL;
    self->query = self->operation_name = self->variables = NULL;
    self->after = NULL;
    self->field = NULL;
}

static void
free_feed(feed *self)
{
    free_request(self);
    fq_rcbuf_unref(self->id);
    fq_rcbuf_unref(self->head);
    fq_call_free(self->cancel);
    fq_security_context_unref(self->context);
    fq_service_unref(self->service);
    fq_free(self);
}

static void
release_sub(feed *self, fq_end_reason reason)
{
    if (self->sub == NULL)
        return;
    fq_sub_call_cancel(self->cancel, self->sub);
    self->cancel = NULL;
    fq_engine_unsubscribe(self->service->engine, self->sub, reason);
    self->sub = NULL;
}

/* ── engine → feed ── */

static feed *
feed_of_sink(fq_sink *sink)
{
    return FQ_CONTAINER_OF(sink, feed, sink);
}

/* A full queue loses its oldest message, unless the field's policy is another
 * one, and the next one read says so. */
static void
sink_next(fq_sink *sink, fq_sub *sub, fq_rcbuf *payload)
{
    feed *self = feed_of_sink(sink);
    (void)fq_delivery_queue(self->port, &self->service->metrics, sub,
                            self->head, (uint8_t)feed_tail.len, payload);
}

static void
sink_call(fq_sink *sink, fq_sub *sub, fq_event *event)
{
    feed *self = feed_of_sink(sink);
    self->sub = sub; /* a source calls before its subscribe returns */
    fq_sub_call_send(self->service->engine, self->port, sub,
                     fq_rcbuf_str(self->id), event);
}

static bool
sink_overflow(fq_sink *sink, fq_sub *sub)
{
    (void)sink;
    (void)sub;
    return true;
}

static bool
sink_has_room(fq_sink *sink, fq_sub *sub, size_t n_items, size_t n_bytes)
{
    (void)sub;
    return fq_port_has_room(feed_of_sink(sink)->port, n_items, n_bytes);
}

static void
sink_end(fq_sink *sink, fq_sub *sub)
{
    (void)sub;
    feed *self = feed_of_sink(sink);
    self->sub = NULL;
    fq_port_close(self->port, 1000, FQ_STR_LIT("Complete"), false);
}

static fq_str
sink_name(fq_sink *sink, const fq_sub *sub)
{
    (void)sub;
    return fq_rcbuf_str(feed_of_sink(sink)->id);
}

/* The application is told by the close alone: what it reads are messages of
 * the protocol to a client that is still there. */
static void
sink_refuse(fq_sink *sink, fq_sub *sub, fq_end_reason reason, fq_str errors)
{
    (void)sub;
    (void)errors;
    feed *self = feed_of_sink(sink);
    release_sub(self, reason);
    if (reason == FQ_END_POSITION_LOST)
        fq_port_close(self->port, FQ_FEED_POSITION_LOST,
                      FQ_STR_LIT("Position lost"), false);
    else if (reason == FQ_END_MANAGED)
        fq_port_close(self->port, CLOSE_FORBIDDEN, FQ_STR_LIT("Forbidden"),
                      true);
    else
        fq_port_close(self->port, CLOSE_FAILED,
                      FQ_STR_LIT("Internal server error"), false);
}

static const fq_sink_ops sink_ops = {
    .next = sink_next,
    .call = sink_call,
    .overflow = sink_overflow,
    .has_room = sink_has_room,
    .end = sink_end,
    .name = sink_name,
    .refuse = sink_refuse,
};

/* ── port → feed ── */

static feed *
feed_of_peer(fq_port_peer *peer)
{
    return FQ_CONTAINER_OF(peer, feed, peer);
}

static void
peer_receive(fq_port_peer *peer, fq_str text)
{
    (void)peer;
    (void)text;
}

/* Nothing is received, so nothing too fast. */
static void
peer_held(fq_port_peer *peer, uint64_t at_ns)
{
    (void)peer;
    (void)at_ns;
}

static void
peer_flooded(fq_port_peer *peer)
{
    (void)peer;
}

static void
peer_answer(fq_port_peer *peer, fq_call *call)
{
    fq_sub_call_answer(feed_of_peer(peer)->service, call);
}

static void
peer_room(fq_port_peer *peer)
{
    feed *self = feed_of_peer(peer);
    if (self->sub != NULL && self->sub->is_stalled)
        fq_engine_resume(self->service->engine, self->sub->id);
}

/* Says what became of the request, |text| being stolen. */
static void
answer_request(feed *self, fq_status status, fq_rcbuf *text)
{
    fq_bus_unwatch(&self->watcher);
    if (status != FQ_OK)
        FQ_METRIC_ADD(&self->service->metrics, subscriptions_refused, 1);
    FQ_METRIC_SUB(&self->service->metrics, subscriptions_pending, 1);
    fq_ticket_complete(self->done, status, text);
    free_request(self);
}

/* Lets go of everything. */
static void
end_feed(feed *self, fq_end_reason reason)
{
    if (self->done != NULL)
        answer_request(self, FQ_ERR_CLOSED, NULL);
    release_sub(self, reason);
    fq_list_remove(&self->client.node);
    fq_port_peer_gone(self->port);
    free_feed(self);
}

static void
peer_disconnect(fq_port_peer *peer)
{
    end_feed(feed_of_peer(peer), FQ_END_COMPLETE);
}

static const fq_port_peer_ops peer_ops = {
    .receive = peer_receive,
    .held = peer_held,
    .flooded = peer_flooded,
    .answer = peer_answer,
    .room = peer_room,
    .disconnect = peer_disconnect,
};

/* ── service → feed ── */

static void
client_end(fq_service_client *client, uint16_t code, fq_str reason,
           fq_end_reason why)
{
    feed *self = FQ_CONTAINER_OF(client, feed, client);
    fq_port_close(self->port, code, reason, false);
    end_feed(self, why);
}

static const fq_security_context *
client_who(fq_service_client *client)
{
    feed *self = FQ_CONTAINER_OF(client, feed, client);
    return self->sub != NULL ? self->context : NULL;
}

/* ── life ── */

/* What is kept for its subscription outside of the engine. */
static size_t
feed_n_bytes(const feed *self)
{
    return sizeof(*self) + sizeof(fq_port) + 2 * sizeof(fq_rcbuf)
           + self->head->len + self->id->len
           + (self->cancel != NULL ? sizeof(fq_call) : 0);
}

/* Subscribes; *ptext gets the JSON array of errors when that fails. */
static fq_status
subscribe(feed *self, fq_rcbuf **ptext)
{
    *ptext = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    yyjson_doc *variables = NULL;
    fq_status status = FQ_OK;
    if (self->variables != NULL)
        status = fq_json_read(fq_rcbuf_str(self->variables), FQ_JSON_STRICT,
                              &variables, NULL);
    if (status != FQ_OK)
        goto out;
    fq_subscribe_args args = {
        .query = fq_rcbuf_str(self->query),
        .operation_label = !self->is_stream,
        .variables = yyjson_doc_get_root(variables),
        .has_override = !self->is_stream,
        .is_polled = true,
        .kind = self->field->kind,
        .returns = self->field->returns,
        .token = self->field->token,
        .channels = self->field->n_channels == 0 ? NULL
                                                 : self->field->channels,
        .n_channels = self->field->n_channels,
        .position_as = self->is_stream ? FQ_POSITION_EXTENSION : 0,
        .context = self->context,
        .now_ns = fq_clock_now_ns(),
        .wall_ns = fq_clock_wall_ns(),
    };
    if (self->operation_name != NULL)
        args.operation_name = fq_rcbuf_str(self->operation_name);
    if (self->after != NULL)
        args.after = fq_rcbuf_str(self->after);
    bool is_request_error;
    fq_sub *sub = NULL;
    status = fq_outage_admit(self->service, &errors);
    if (status == FQ_OK)
        status = fq_service_admit_memory(self->service, &errors);
    if (status == FQ_OK)
        status = fq_engine_subscribe(self->service->engine, &self->sink, &args,
                                     &sub, &errors, &is_request_error);
    self->sub = sub;
    if (sub != NULL) {
        fq_sub_call_spare(&self->cancel, sub);
        fq_engine_hold_bytes(self->service->engine, sub, feed_n_bytes(self));
    }
    if (status != FQ_OK && errors.n_items > 0) {
        fq_buf buf = FQ_BUF_INIT;
        fq_gql_errors_write(&errors, &buf);
        if (fq_buf_to_rcbuf(&buf, ptext) != FQ_OK)
            status = FQ_ERR_NOMEM;
        fq_buf_fini(&buf);
    }
out:
    fq_json_free(variables);
    fq_gql_errors_fini(&errors);
    return status;
}

/* Where the stream begins; NULL: it has no positions, or there is no memory
 * for this one. */
static fq_rcbuf *
read_position(const feed *self)
{
    if (self->sub == NULL || self->sub->position_as == 0)
        return NULL;
    if (self->after != NULL)
        return fq_rcbuf_ref(self->after);
    fq_bus *bus = fq_publisher_bus(self->service->publisher);
    fq_rcbuf *position;
    (void)bus->ops->position(bus, &position);
    return position;
}

static void
go_live(feed *self)
{
    fq_rcbuf *text;
    fq_status status = subscribe(self, &text);
    if (status == FQ_OK && self->is_stream)
        text = read_position(self);
    answer_request(self, status, text);
}

static bool
is_connecting(const feed *self)
{
    fq_bus_state state = fq_publisher_bus(self->service->publisher)->state;
    return state == FQ_BUS_IDLE || state == FQ_BUS_CONNECTING;
}

static void
on_bus_state(fq_bus_watcher *watcher)
{
    feed *self = FQ_CONTAINER_OF(watcher, feed, watcher);
    if (!is_connecting(self))
        go_live(self);
}

static void
run_open(fq_job *job)
{
    feed *self = FQ_CONTAINER_OF(job, feed, open_job);
    fq_list_init(&self->client.node);
    fq_list_init(&self->watcher.node);
    self->watcher.state_cb = on_bus_state;
    self->client.end = client_end;
    self->client.who = client_who;
    self->client.connection_id = self->port->connection_id;
    self->sink.connection_id = fq_rcbuf_str(self->port->connection_id);
    self->port->peer = &self->peer;
    if (self->service->is_closed) {
        client_end(&self->client, 1012, FQ_STR_LIT("Service restart"),
                   FQ_END_SHUTDOWN);
        return;
    }
    fq_service_add_client(self->service, &self->client);
    if (is_connecting(self))
        fq_bus_watch(fq_publisher_bus(self->service->publisher),
                     &self->watcher);
    else
        go_live(self);
}

static fq_status
copy_optional(fq_str s, fq_rcbuf **pcopy)
{
    *pcopy = NULL;
    return s.ptr == NULL ? FQ_OK : fq_rcbuf_new(s, pcopy);
}

/* `{"type":"next","id":"<id>","payload":`, or the last of it, and the tail. */
static fq_status
make_head(const fq_feed_args *args, fq_rcbuf **phead)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_char(&buf, '{');
    if (!args->is_stream) {
        fq_buf_append_str(&buf, FQ_STR_LIT("\"type\":\"next\",\"id\":"));
        fq_json_write_str(&buf, args->subscription_id);
        fq_buf_append_char(&buf, ',');
    }
    fq_buf_append_str(&buf, FQ_STR_LIT("\"payload\":"));
    fq_buf_append_str(&buf, feed_tail);
    fq_status status = fq_buf_to_rcbuf(&buf, phead);
    fq_buf_fini(&buf);
    return status;
}

static fq_status
copy_request(feed *self, const fq_feed_args *args)
{
    fq_field field = {
        .name = args->subscription_id,
        .kind = args->kind,
        .returns = args->returns,
        .token = args->token,
        .channels = (fq_str *)args->channels,
        .n_channels = args->channels == NULL ? 0 : args->n_channels,
    };
    fq_status status = make_head(args, &self->head);
    if (status == FQ_OK)
        status = fq_rcbuf_new(args->subscription_id, &self->id);
    if (status == FQ_OK)
        status = fq_rcbuf_new(args->query, &self->query);
    if (status == FQ_OK)
        status = copy_optional(args->operation_name, &self->operation_name);
    if (status == FQ_OK)
        status = copy_optional(args->variables, &self->variables);
    if (status == FQ_OK)
        status = copy_optional(args->after, &self->after);
    if (status == FQ_OK)
        status = fq_field_new(&field, &self->field);
    return status;
}

fq_status
fq_feed_open(fq_service *service, const fq_feed_args *args,
             fq_mailbox *mailbox, void *owner, fq_ticket *done,
             fq_port **pport)
{
    *pport = NULL;
    feed *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    self->peer.ops = &peer_ops;
    self->sink.ops = &sink_ops;
    fq_list_init(&self->sink.subs);
    self->open_job.run = run_open;
    self->service = fq_service_ref(service);
    self->context = fq_security_context_ref(
        args->context != NULL ? args->context : service->anonymous);
    self->done = fq_ticket_ref(done);
    self->is_stream = args->is_stream;
    fq_port *port = NULL;
    fq_status status = copy_request(self, args);
    if (status == FQ_OK)
        status = fq_port_new(service->reactor, mailbox, !args->is_stream,
                             owner, service->limits.queue_max_items,
                             service->limits.queue_max_bytes, service->backlog,
                             &port);
    if (status == FQ_OK)
        status = args->connection_id.ptr != NULL
                     ? fq_rcbuf_new(args->connection_id, &port->connection_id)
                     : fq_connection_id_new(&port->connection_id);
    if (status == FQ_OK)
        status = fq_call_new(FQ_CALL_CANCEL, port, 0, &self->cancel);
    self->port = port;
    FQ_METRIC_ADD(&service->metrics, subscriptions_pending, 1);
    self->sink.route = mailbox;
    if (status == FQ_OK)
        status = fq_reactor_post(service->reactor, &self->open_job);
    if (status == FQ_OK) {
        *pport = port;
        return FQ_OK;
    }
    FQ_METRIC_SUB(&service->metrics, subscriptions_pending, 1);
    free_feed(self);
    fq_port_unref(port);
    fq_port_unref(port);
    return status;
}
