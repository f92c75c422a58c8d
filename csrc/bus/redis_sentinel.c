/* SPDX-License-Identifier: MIT */
/* Where the primary is, by Redis Sentinel. Thread: that of the loop.
 *
 * The sentinels are asked in turn, each attempt beginning with another one, so
 * that one which is behind the times does not have the say for long: what it
 * names is asked for its role, too (redis_prepare.c). The one that has answered
 * is asked again every second while the bus is running. A failover away from a
 * primary that stands still, or that only we can reach, is noticed that way,
 * where waiting for the connection to break would take longer, or for ever. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/redis_state.h"

/* One that has said nothing for so long is not waited for: there are others. */
#define ANSWER_NS (1 * (uint64_t)FQ_NS_PER_S)
/* How often it is asked whether the primary is the same. */
#define ASK_NS (1 * (uint64_t)FQ_NS_PER_S)

static void
reach(fq_redis *self);

static fq_redis *
redis_of(fq_redis_connection *connection)
{
    return FQ_CONTAINER_OF(connection, fq_redis, sentinel);
}

/* Notes what is wrong with this one, unless something is noted already. */
static void
note(fq_redis *self, const char *message)
{
    fq_error *error = &self->sentinel.error;
    if (error->status == FQ_OK)
        (void)fq_error_set(error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS, "%s",
                           message);
}

static void
fail(fq_redis *self)
{
    const fq_redis_settings *settings = &self->settings;
    fq_error error;
    if (self->is_unknown)
        (void)fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                           "no Sentinel knows a primary named \"%s\"",
                           settings->primary);
    else
        (void)fq_error_set(
            &error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
            "no Sentinel says where the primary \"%s\" is; %s:%u: %s",
            settings->primary, self->sentinel_login.host,
            (unsigned)self->sentinel_login.port, self->sentinel.error.message);
    fq_redis_fail(self, error.message, false);
}

/* This one, to which there is no connection any more, was of no use. */
static void
ask_next(fq_redis *self)
{
    if (self->phase != FQ_REDIS_FINDING)
        return; /* the clock goes on to another one */
    if (++self->n_asked_in_vain == self->settings.n_sentinels)
        fail(self);
    else
        reach(self);
}

static void
on_gone(fq_redis_connection *connection)
{
    fq_redis *self = redis_of(connection);
    self->has_question = false;
    if (self->phase < FQ_REDIS_LEAVING)
        ask_next(self);
    else
        fq_redis_settle(self);
}

/* ── the question ── */

/* Reads `[host, port]`. */
static bool
read_address(const redisReply *reply, char host[FQ_LOOKUP_HOST_MAX],
             uint16_t *pport)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    const redisReply *name = reply->element[0], *port = reply->element[1];
    if (name->type != REDIS_REPLY_STRING || port->type != REDIS_REPLY_STRING
        || name->len == 0 || name->len >= FQ_LOOKUP_HOST_MAX
        || memchr(name->str, '\0', name->len) != NULL)
        return false;
    char *end;
    unsigned long number = strtoul(port->str, &end, 10);
    if (*end != '\0' || number == 0 || number > UINT16_MAX)
        return false;
    memcpy(host, name->str, name->len + 1);
    *pport = (uint16_t)number;
    return true;
}

/* What the sentinel says is another primary than ours, or the first. */
static void
take_address(fq_redis *self, const char *host, uint16_t port)
{
    fq_redis_settings *settings = &self->settings;
    if (self->phase == FQ_REDIS_FINDING) {
        snprintf(self->primary_host, sizeof(self->primary_host), "%s", host);
        settings->host = self->primary_host;
        settings->port = port;
        fq_redis_found(self);
    } else if (strcmp(host, settings->host) != 0 || port != settings->port) {
        fq_redis_fail(self, "Sentinel has made another server the primary",
                      true);
    }
}

static void
on_answer(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis *self = redis_of(context->data);
    redisReply *reply = data;
    (void)arg;
    self->has_question = false;
    if (reply == NULL)
        return;
    char host[FQ_LOOKUP_HOST_MAX];
    uint16_t port;
    if (self->phase > FQ_REDIS_RUNNING) {
        /* Whatever it says, the bus asks again. */
    } else if (read_address(reply, host, &port)) {
        take_address(self, host, port);
    } else {
        const char *message = fq_redis_reply_error(reply);
        bool is_unknown = reply->type == REDIS_REPLY_NIL;
        self->is_unknown |= is_unknown;
        note(self, message != NULL ? message
                   : is_unknown    ? "it does not know the name"
                                   : "it has answered something else");
        fq_redis_connection_close(&self->sentinel);
    }
    fq_redis_reply_free(reply);
}

static void
ask(fq_redis *self)
{
    self->sentinel_asked_at_ns = fq_clock_now_ns();
    self->has_question = redisAsyncCommand(
                             self->sentinel.context, on_answer, NULL,
                             "SENTINEL get-master-addr-by-name %s",
                             self->settings.primary)
                         == REDIS_OK;
}

static void
on_ready(fq_redis_connection *connection)
{
    ask(redis_of(connection));
}

/* ── the way there ── */

static void
on_address(void *arg, fq_status status, const fq_lookup_address *addresses,
           size_t n_addresses, const fq_error *error)
{
    fq_redis *self = arg;
    self->sentinel_lookup = NULL;
    if (status == FQ_OK) {
        /* One name may stand for all of them. */
        status = fq_redis_connection_open(
            &self->sentinel, self->loop, &self->sentinel_login,
            &addresses[self->n_attempts % n_addresses], self->tls);
        if (status == FQ_OK)
            return;
        note(self, fq_status_str(status));
    } else {
        note(self, error->message);
    }
    ask_next(self);
}

/* Begins with the next sentinel. */
static void
reach(fq_redis *self)
{
    const fq_redis_settings *settings = &self->settings;
    self->sentinel_at = (self->sentinel_at + 1) % settings->n_sentinels;
    const fq_redis_endpoint *to = &settings->sentinels[self->sentinel_at];
    self->sentinel_login.host = to->host;
    self->sentinel_login.port = to->port;
    self->sentinel.error = (fq_error){.status = FQ_OK};
    self->sentinel_asked_at_ns = fq_clock_now_ns();
    fq_status status = fq_lookup_start(self->loop, to->host, to->port,
                                       on_address, self,
                                       &self->sentinel_lookup);
    if (status != FQ_OK) {
        note(self, fq_status_str(status));
        ask_next(self);
    }
}

void
fq_redis_find(fq_redis *self)
{
    self->n_asked_in_vain = 0;
    self->is_unknown = false;
    reach(self);
}

void
fq_redis_sentinel_tick(fq_redis *self, uint64_t now_ns)
{
    if (self->settings.n_sentinels == 0 || self->phase > FQ_REDIS_RUNNING)
        return;
    uint64_t passed_ns = now_ns - self->sentinel_asked_at_ns;
    bool is_open = self->sentinel.context != NULL;
    if (self->sentinel_lookup != NULL || self->has_question
        || (is_open && !self->sentinel.is_ready)) {
        if (passed_ns <= ANSWER_NS)
            return;
        note(self, "it has not answered for 1 second");
        fq_redis_sentinel_close(self);
        if (!is_open)
            ask_next(self);
    } else if (self->phase == FQ_REDIS_RUNNING && passed_ns > ASK_NS) {
        if (is_open)
            ask(self);
        else
            reach(self);
    }
}

void
fq_redis_sentinel_close(fq_redis *self)
{
    fq_lookup_cancel(self->sentinel_lookup);
    self->sentinel_lookup = NULL;
    fq_redis_connection_close(&self->sentinel);
}

void
fq_redis_sentinel_init(fq_redis *self)
{
    const fq_redis_settings *settings = &self->settings;
    fq_redis_connection_init(&self->sentinel);
    self->sentinel.ready_cb = on_ready;
    self->sentinel.gone_cb = on_gone;
    self->sentinel_login = *settings;
    self->sentinel_login.user = settings->sentinel_user;
    self->sentinel_login.password = settings->sentinel_password;
    self->sentinel_login.database = 0;
    /* The next one is the first. */
    if (settings->n_sentinels > 0)
        self->sentinel_at = settings->n_sentinels - 1;
}
