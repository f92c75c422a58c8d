/* SPDX-License-Identifier: MIT */
/* graphql-transport-ws: one handler per message a client may send, and a close
 * code for everything else. One thread at a time.
 *
 * Every handler first looks at the whole message and only then at the state,
 * as the reference does: what is malformed closes 4400 even where a
 * well-formed message of its type would close 4401 or 4429. */
#include "protocol/graphql_transport_ws.h"

#include "json/writer.h"
#include "protocol/envelope.h"

/* ── what a client sends ── */

static void
receive_ping(fq_protocol *self, yyjson_val *message)
{
    yyjson_val *payload;
    if (!fq_envelope_object(message, FQ_STR_LIT("payload"), &payload)) {
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
        return;
    }
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"type\":\"pong\""));
    if (payload != NULL) {
        fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
        fq_json_write_val(&buf, payload);
    }
    fq_buf_append_char(&buf, '}');
    fq_protocol_send(self, &buf);
    if (payload != NULL && self->owner->ping != NULL
        && self->state != FQ_PROTOCOL_CLOSED)
        self->owner->ping(self->ctx, payload);
}

/* An answer to a ping of ours, or a heartbeat nobody asked for: both are
 * fine and need nothing. */
static void
receive_pong(fq_protocol *self, yyjson_val *message)
{
    yyjson_val *payload;
    if (!fq_envelope_object(message, FQ_STR_LIT("payload"), &payload))
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
}

static void
receive_subscribe(fq_protocol *self, yyjson_val *message)
{
    fq_str id;
    fq_protocol_request request;
    if (!fq_envelope_request(message, &id, &request))
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
    else if (self->state != FQ_PROTOCOL_READY)
        fq_protocol_close_as(self, FQ_PROTOCOL_UNAUTHORIZED);
    else
        fq_protocol_start(self, id, &request);
}

/* In any state: an id that nobody knows, or no longer, is no error. */
static void
receive_complete(fq_protocol *self, yyjson_val *message)
{
    fq_str id;
    if (fq_envelope_id(message, &id))
        (void)fq_protocol_stop(self, id);
    else
        fq_protocol_close_as(self, FQ_PROTOCOL_INVALID);
}

/* Types of the server alone are as unknown here as any other word. */
static const fq_envelope_type types[] = {
    {FQ_STR("subscribe"), receive_subscribe},
    {FQ_STR("complete"), receive_complete},
    {FQ_STR("ping"), receive_ping},
    {FQ_STR("pong"), receive_pong},
    {FQ_STR("connection_init"), fq_envelope_receive_init},
};

static void
receive(fq_protocol *self, fq_str text)
{
    fq_envelope_receive(self, text, types, sizeof(types) / sizeof(*types));
}

/* ── what it is sent ── */

static void
write_error(fq_buf *buf, fq_str id, fq_str errors)
{
    fq_envelope_write_head(buf, id, FQ_STR_LIT("error"));
    fq_buf_append_str(buf, errors);
    fq_buf_append_char(buf, '}');
}

static void
write_next_head(fq_buf *buf, fq_str id)
{
    fq_envelope_write_head(buf, id, FQ_STR_LIT("next"));
}

static void
write_ping(fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"type\":\"ping\"}"));
}

const fq_protocol_kind fq_graphql_transport_ws = {
    .name = FQ_STR("graphql-transport-ws"),
    .receive = receive,
    .ack = fq_envelope_send_ack,
    .write_error = write_error,
    .write_end = fq_envelope_write_end,
    .write_next_head = write_next_head,
    .next_tail = FQ_STR("}"),
    .write_ping = write_ping,
};
