/* SPDX-License-Identifier: MIT */
/* A service and clients on a running reactor, the test standing where an event
 * loop would: texts in, texts and calls out. Header only. */
#ifndef FQ_TESTS_SESSION_FIXTURE_H
#define FQ_TESTS_SESSION_FIXTURE_H

#include <poll.h>

#include "base/clock.h"
#include "reactor/call.h"
#include "reactor/service.h"
#include "protocol/graphql_transport_ws.h"
#include "reactor/session.h"
#include "support.h"

#define DEADLINE_MS 10000
#define INIT "{\"type\":\"connection_init\"}"
#define ACK "{\"type\":\"connection_ack\"}"

/* A service on a bus, the embedded one unless it is opened on another. */
typedef struct world {
    fq_reactor *reactor;
    fq_publisher *publisher;
    fq_service *service;
} world;

/* One client and the loop it lives on. */
typedef struct client {
    fq_mailbox *mailbox;
    fq_port *port;
    fq_call *calls[16]; /* oldest first */
    size_t n_calls;
} client;

static inline void
world_open_on(world *self, fq_bus *bus, const fq_limits *limits)
{
    assert_int_equal(fq_reactor_new(&self->reactor), FQ_OK);
    assert_int_equal(fq_publisher_new(self->reactor, bus, &self->publisher),
                     FQ_OK);
    assert_int_equal(fq_service_new(self->reactor, self->publisher, limits,
                                    false, &self->service),
                     FQ_OK);
}

static inline void
world_open(world *self, const fq_limits *limits)
{
    fq_bus *bus;
    assert_int_equal(fq_bus_memory_new(&fq_history_limits_default, &bus),
                     FQ_OK);
    world_open_on(self, bus, limits);
}

static inline void
world_end_service(world *self)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_service_close(self->service, 1012,
                                      FQ_STR_LIT("Service restart"), done),
                     FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_ticket_unref(done);
}

static inline void
world_close(world *self)
{
    world_end_service(self);
    fq_service_unref(self->service);
    fq_publisher_close(self->publisher);
    fq_publisher_unref(self->publisher);
    fq_reactor_release(self->reactor);
}

static inline void
world_add_field(world *self, const char *name, fq_field_kind kind,
                uint64_t token)
{
    fq_str channel = fq_str_of(name);
    fq_field field = {
        .name = channel,
        .kind = kind,
        .token = token,
        .channels = kind == FQ_FIELD_SOURCE ? NULL : &channel,
        .n_channels = kind == FQ_FIELD_SOURCE ? 0 : 1,
    };
    assert_int_equal(fq_service_field_add(self->service, &field, NULL), FQ_OK);
}

/* Publishes; the ticket is done as |wait| says. */
static inline fq_ticket *
world_publish_as(world *self, const char *channel, const char *data,
                 fq_publish_wait wait)
{
    fq_event *event;
    fq_ticket *done;
    char id[FQ_EVENT_ID_MAX];
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_event_new(fq_str_of(channel), FQ_STR_LIT("test"),
                                  fq_str_of(data), fq_clock_wall_ns(), 0,
                                  &event, NULL),
                     FQ_OK);
    assert_int_equal(fq_publisher_publish(self->publisher, event, wait,
                                          UINT64_MAX, done, NULL, id),
                     FQ_OK);
    assert_true(id[0] != '\0');
    return done;
}

static inline void
world_publish(world *self, const char *channel, const char *data)
{
    fq_ticket *done = world_publish_as(self, channel, data,
                                       FQ_PUBLISH_ACCEPTED);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_ticket_unref(done);
}

/* Returns after the reactor has run all that was posted before. */
static inline void
world_flush(world *self)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    assert_int_equal(fq_service_count(self->service, FQ_STR_LIT("x"), done),
                     FQ_OK);
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_test_assert_str(fq_rcbuf_str(done->text), "0");
    fq_ticket_unref(done);
}

/* One more may come in. */
static inline fq_visitor *
world_visitor(world *self)
{
    fq_visitor *visitor;
    fq_refusal refusal;
    assert_int_equal(fq_admission_enter(fq_service_admission(self->service),
                                        NULL, fq_clock_now_ns(), &visitor,
                                        &refusal),
                     FQ_OK);
    return visitor;
}

static inline void
client_open_as(client *self, world *world, const fq_protocol_kind *kind)
{
    memset(self, 0, sizeof(*self));
    assert_int_equal(fq_mailbox_new(&self->mailbox), FQ_OK);
    assert_int_equal(fq_session_open(world->service, kind, self->mailbox, self,
                                     world_visitor(world), &self->port),
                     FQ_OK);
}

static inline void
client_open(client *self, world *world)
{
    client_open_as(self, world, &fq_graphql_transport_ws);
}

static inline void
client_take_mail(client *self, fq_mail *mail)
{
    while (mail != NULL) {
        fq_mail *next = (fq_mail *)mail->item.next;
        if (mail->kind == FQ_MAIL_PORT) {
            fq_port_mail_taken((fq_port *)mail);
        } else if (mail->kind == FQ_MAIL_CALL) {
            assert_true(self->n_calls < 16);
            self->calls[self->n_calls++] = (fq_call *)mail;
        } else {
            fq_ticket_unref((fq_ticket *)mail);
        }
        mail = next;
    }
}

static inline void
client_wait(client *self)
{
    struct pollfd fd = {.fd = fq_mailbox_fd(self->mailbox), .events = POLLIN};
    if (poll(&fd, 1, DEADLINE_MS) != 1)
        fail_msg("nothing came in %d ms", DEADLINE_MS);
    client_take_mail(self, fq_mailbox_take(self->mailbox));
}

static inline void
client_send(client *self, const char *text)
{
    fq_rcbuf *rcbuf;
    bool pause;
    assert_int_equal(fq_rcbuf_new(fq_str_of(text), &rcbuf), FQ_OK);
    assert_int_equal(fq_port_receive(self->port, rcbuf, &pause), FQ_OK);
}

static inline void
client_expect(client *self, const char *expected)
{
    fq_queue_item item;
    fq_close close;
    while (fq_port_take(self->port, &item, 1, &close) == 0) {
        if (close.code != 0)
            fail_msg("closed %d instead of %s", close.code, expected);
        client_wait(self);
    }
    char scratch[FQ_QUEUE_SCRATCH_MAX];
    fq_str parts[FQ_QUEUE_PARTS_MAX];
    size_t n = fq_queue_item_parts(&item, scratch, parts);
    fq_buf buf = FQ_BUF_INIT;
    for (size_t i = 0; i < n; i++)
        fq_buf_append_str(&buf, parts[i]);
    fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
    fq_queue_item_fini(&item);
}

static inline void
client_expect_close(client *self, uint16_t code, const char *reason)
{
    fq_queue_item item;
    fq_close close;
    for (;;) {
        size_t n = fq_port_take(self->port, &item, 1, &close);
        if (close.code != 0 && n == 0)
            break;
        if (n == 1)
            fq_queue_item_fini(&item);
        else
            client_wait(self);
    }
    assert_int_equal(close.code, code);
    fq_test_assert_str(fq_str_make(close.reason, close.reason_len), reason);
}

static inline fq_call *
client_expect_call(client *self, fq_call_kind kind)
{
    while (self->n_calls == 0)
        client_wait(self);
    fq_call *call = self->calls[0];
    self->n_calls--;
    memmove(self->calls, self->calls + 1,
            self->n_calls * sizeof(self->calls[0]));
    assert_int_equal(call->kind, kind);
    return call;
}

static inline void
answer(fq_call *call, fq_answer_kind kind, const char *text)
{
    fq_rcbuf *rcbuf = NULL;
    if (text != NULL)
        assert_int_equal(fq_rcbuf_new(fq_str_of(text), &rcbuf), FQ_OK);
    fq_call_answer(call, kind, rcbuf);
}

static inline void
client_close(client *self)
{
    fq_ticket *done;
    assert_int_equal(fq_ticket_new(NULL, NULL, &done), FQ_OK);
    fq_port_disconnect(self->port, fq_ticket_ref(done));
    assert_int_equal(fq_ticket_wait(done, DEADLINE_MS * FQ_NS_PER_MS), FQ_OK);
    fq_ticket_unref(done);
    client_take_mail(self, fq_mailbox_close(self->mailbox));
    for (size_t i = 0; i < self->n_calls; i++)
        fq_call_free(self->calls[i]);
    fq_mailbox_unref(self->mailbox);
    fq_port_unref(self->port);
}

static inline uint64_t
metric(world *self, const char *name)
{
    const fq_metrics *metrics = fq_service_metrics(self->service);
#define RETURN_METRIC(member, help)                                           \
    if (strcmp(name, #member) == 0)                                           \
        return FQ_METRIC_GET(metrics, member);
    FQ_METRICS(RETURN_METRIC)
#undef RETURN_METRIC
    fail_msg("no metric %s", name);
    return 0;
}

#endif
