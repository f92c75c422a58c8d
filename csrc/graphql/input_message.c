/* SPDX-License-Identifier: MIT */
/* Words about input values. One thread at a time. */
#include "graphql/input_message.h"

#include "graphql/suggestion.h"

void
fq_input_message_null(fq_buf *message, const fq_type *type)
{
    fq_buf_append_format(
        message, "Expected value of non-null type '%.*s' not to be None.",
        FQ_STR_FMT(type->name));
}

void
fq_input_message_no_object(fq_buf *message, const fq_type *type)
{
    fq_buf_append_format(message,
                         "Expected value of type '%.*s' to be an object, "
                         "found: ",
                         FQ_STR_FMT(type->name));
}

void
fq_input_message_missing(fq_buf *message, const fq_type *type,
                         const fq_input_def *field)
{
    fq_buf_append_format(message,
                         "Expected value of type '%.*s' to include required "
                         "field '%.*s', found: ",
                         FQ_STR_FMT(type->name), FQ_STR_FMT(field->name));
}

/* A name in JSON may hold a NUL, at which a format would stop. */
void
fq_input_message_unknown(fq_buf *message, const fq_type *type, fq_str name)
{
    fq_suggestion suggestion;
    fq_suggestion_init(&suggestion, name);
    for (uint32_t i = 0; i < type->n_members; i++)
        fq_suggestion_offer(&suggestion, type->input_fields[i].name);
    fq_buf_append_format(message,
                         "Expected value of type '%.*s' not to include "
                         "unknown field '",
                         FQ_STR_FMT(type->name));
    fq_buf_append_str(message, name);
    fq_buf_append_char(message, '\'');
    if (suggestion.n_best > 0) {
        fq_buf_append_char(message, '.');
        fq_suggestion_write(&suggestion, NULL, message);
        fq_buf_append_str(message, FQ_STR_LIT(" Found: "));
    } else {
        fq_buf_append_str(message, FQ_STR_LIT(", found: "));
    }
    if (suggestion.status != FQ_OK)
        message->status = suggestion.status;
    fq_suggestion_fini(&suggestion);
}

void
fq_input_message_one_of(fq_buf *message, const fq_type *type)
{
    fq_buf_append_format(message,
                         "Within OneOf Input Object type '%.*s', exactly one "
                         "field must be specified, and the value for that "
                         "field must be non-null.",
                         FQ_STR_FMT(type->name));
}

void
fq_input_message_near(fq_buf *message, const fq_type *type, fq_str text)
{
    fq_suggestion suggestion;
    fq_suggestion_init(&suggestion, text);
    for (uint32_t i = 0; i < type->n_members; i++)
        fq_suggestion_offer(&suggestion, type->values[i].name);
    fq_suggestion_write(&suggestion, "the enum value", message);
    fq_suggestion_fini(&suggestion);
}
