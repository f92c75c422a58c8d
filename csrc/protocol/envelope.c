/* SPDX-License-Identifier: MIT */
/* Envelopes. One thread at a time. */
#include "protocol/envelope.h"

#include "json/reader.h"
#include "json/writer.h"

/* The entry of |message|'s type, or NULL for anything that has none. */
static const fq_envelope_type *
find_type(yyjson_val *message, const fq_envelope_type *types, size_t n_types)
{
    fq_str name = fq_json_str(fq_json_get(message, FQ_STR_LIT("type")));
    for (size_t i = 0; i < n_types; i++) {
        if (fq_str_eq(types[i].name, name))
            return &types[i];
    }
    return NULL;
}

/* Callbacks may re-enter; only the document outlives them, on this stack. */
void
fq_envelope_receive(fq_protocol *protocol, fq_str text,
                    const fq_envelope_type *types, size_t n_types)
{
    yyjson_doc *doc;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL);
    if (status <= FQ_ERR_FATAL) {
        fq_protocol_close_as(protocol, FQ_PROTOCOL_NO_MEMORY);
        return;
    }
    yyjson_val *message = yyjson_doc_get_root(doc);
    const fq_envelope_type *type = find_type(message, types, n_types);
    if (type != NULL)
        type->receive(protocol, message);
    else
        fq_protocol_close_as(protocol, FQ_PROTOCOL_INVALID);
    fq_json_free(doc);
}

bool
fq_envelope_object(yyjson_val *object, fq_str key, yyjson_val **pval)
{
    yyjson_val *val = fq_json_get(object, key);
    *pval = yyjson_is_obj(val) ? val : NULL;
    return *pval != NULL || val == NULL || yyjson_is_null(val);
}

bool
fq_envelope_str(yyjson_val *object, fq_str key, fq_str *pstr)
{
    yyjson_val *val = fq_json_get(object, key);
    *pstr = yyjson_is_str(val) ? fq_json_str(val) : fq_str_make(NULL, 0);
    return yyjson_is_str(val) || val == NULL || yyjson_is_null(val);
}

bool
fq_envelope_id(yyjson_val *message, fq_str *pid)
{
    return fq_envelope_str(message, FQ_STR_LIT("id"), pid) && pid->len > 0;
}

bool
fq_envelope_request(yyjson_val *message, fq_str *pid,
                    fq_protocol_request *prequest)
{
    yyjson_val *payload;
    return fq_envelope_id(message, pid)
           && fq_envelope_object(message, FQ_STR_LIT("payload"), &payload)
           && payload != NULL
           && fq_envelope_str(payload, FQ_STR_LIT("query"), &prequest->query)
           && prequest->query.ptr != NULL
           && fq_envelope_str(payload, FQ_STR_LIT("operationName"),
                              &prequest->operation_name)
           && fq_envelope_object(payload, FQ_STR_LIT("variables"),
                                 &prequest->variables)
           && fq_envelope_object(payload, FQ_STR_LIT("extensions"),
                                 &prequest->extensions);
}

void
fq_envelope_receive_init(fq_protocol *protocol, yyjson_val *message)
{
    yyjson_val *payload;
    if (fq_envelope_object(message, FQ_STR_LIT("payload"), &payload))
        fq_protocol_introduce(protocol, payload);
    else
        fq_protocol_close_as(protocol, FQ_PROTOCOL_INVALID);
}

void
fq_envelope_send_ack(fq_protocol *protocol, fq_str payload)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_str(&buf, FQ_STR_LIT("{\"type\":\"connection_ack\""));
    if (payload.ptr != NULL) {
        fq_buf_append_str(&buf, FQ_STR_LIT(",\"payload\":"));
        fq_buf_append_str(&buf, payload);
    }
    fq_buf_append_char(&buf, '}');
    fq_protocol_send(protocol, &buf);
}

/* Appends `{"id":"<id>","type":"<type>"`. */
static void
write_id_and_type(fq_buf *buf, fq_str id, fq_str type)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"id\":"));
    fq_json_write_str(buf, id);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"type\":\""));
    fq_buf_append_str(buf, type);
    fq_buf_append_char(buf, '"');
}

void
fq_envelope_write_end(fq_buf *buf, fq_str id)
{
    write_id_and_type(buf, id, FQ_STR_LIT("complete"));
    fq_buf_append_char(buf, '}');
}

void
fq_envelope_write_head(fq_buf *buf, fq_str id, fq_str type)
{
    write_id_and_type(buf, id, type);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"payload\":"));
}
