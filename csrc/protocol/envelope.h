/* SPDX-License-Identifier: MIT */
/* The JSON object that every message of a WebSocket protocol is, `{"type",
 * "id", "payload"}`: reading its members, finding what its type leads to, and
 * writing one. One thread at a time. */
#ifndef FQ_PROTOCOL_ENVELOPE_H
#define FQ_PROTOCOL_ENVELOPE_H

#include "protocol/protocol.h"

/* A type of message that a client may send. */
typedef struct fq_envelope_type {
    fq_str name;
    void (*receive)(fq_protocol *protocol, yyjson_val *message);
} fq_envelope_type;

/* Reads |text| and hands the message to its type among |types|. What is no
 * message, or of no such type, closes 4400. */
void
fq_envelope_receive(fq_protocol *protocol, fq_str text,
                    const fq_envelope_type *types, size_t n_types);

/* Member |key| of |object|, which may be an object; false: it is something
 * else. Absent and null are none (*pval is NULL), as where the reference asks
 * `payload != null && !isObject(payload)`; `0`, `false` and `""` are not. */
bool
fq_envelope_object(yyjson_val *object, fq_str key, yyjson_val **pval);

/* The same for a string; none has ptr NULL. */
bool
fq_envelope_str(yyjson_val *object, fq_str key, fq_str *pstr);

/* The id of an operation: a string that is not empty. */
bool
fq_envelope_id(yyjson_val *message, fq_str *pid);

/* The id and the request of a message that starts an operation, borrowed from
 * its document; false: they are not well formed. */
bool
fq_envelope_request(yyjson_val *message, fq_str *pid,
                    fq_protocol_request *prequest);

/* connection_init, for a table of types: introduces the client with its
 * payload, or closes 4400. */
void
fq_envelope_receive_init(fq_protocol *protocol, yyjson_val *message);

/* Sends connection_ack with |payload| (JSON text; ptr NULL: none). */
void
fq_envelope_send_ack(fq_protocol *protocol, fq_str payload);

/* Appends `{"id":"<id>","type":"complete"}`. */
void
fq_envelope_write_end(fq_buf *buf, fq_str id);

/* Appends `{"id":"<id>","type":"<type>","payload":`. */
void
fq_envelope_write_head(fq_buf *buf, fq_str id, fq_str type);

#endif
