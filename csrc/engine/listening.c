/* SPDX-License-Identifier: MIT */
/* Filling in the names of channels for one subscription, and saying what is
 * wrong with a value that cannot be part of one. Thread: reactor. */
#include "engine/listening.h"

#include "engine/channel_template.h"
#include "engine/internal.h"
#include "json/reader.h"

/* What the client is told when |part| of a template, or for NULL the whole
 * name, must be other than it is. Of the context it learns nothing. */
static fq_status
listening_refuse(const fq_listening_request *request,
                 const fq_channel_part *part, const fq_error *reason,
                 fq_gql_errors *errors)
{
    fq_str name = request->spec->name;
    fq_gql_error *error;
    if (part != NULL && part->kind != FQ_CHANNEL_ARGUMENT)
        error = fq_gql_errors_add(errors, "FORBIDDEN",
                                  "Not allowed to subscribe to field "
                                  "\"%.*s\".",
                                  FQ_STR_FMT(name));
    else if (part != NULL)
        error = fq_gql_errors_add(errors, "VALIDATION_ERROR",
                                  "Argument \"%.*s\" of field \"%.*s\" "
                                  "selects a channel: it %s.",
                                  FQ_STR_FMT(part->text), FQ_STR_FMT(name),
                                  reason->message);
    else
        error = fq_gql_errors_add(errors, "VALIDATION_ERROR",
                                  "The arguments of field \"%.*s\" select a "
                                  "channel: its name %s.",
                                  FQ_STR_FMT(name), reason->message);
    if (error == NULL)
        return FQ_ERR_NOMEM;
    fq_gql_error_locate(errors, error, fq_plan_source(request->plan),
                        fq_plan_root_start(request->plan));
    return FQ_ERR_INVALID;
}

/* The arguments as a tree, if some template asks for one. */
static fq_status
listening_read_args(fq_listening *self, const fq_listening_request *request)
{
    const fq_field *spec = request->spec;
    for (size_t i = 0; i < spec->n_channels; i++) {
        if (fq_channel_template_asks_args(spec->templates[i]))
            return fq_json_read(fq_rcbuf_str(request->binding->args),
                                FQ_JSON_LONE_SURROGATES, &self->args, NULL);
    }
    return FQ_OK;
}

static void
listening_add(fq_listening *self, fq_str name)
{
    for (size_t i = 0; i < self->n_names; i++) {
        if (fq_str_eq(self->names[i], name))
            return;
    }
    self->names[self->n_names++] = name;
}

/* The names that templates make are written one after the other; they are
 * taken for names when the buffer has come to rest. */
static fq_status
listening_expand(fq_listening *self, const fq_listening_request *request,
                 fq_buf *buf, fq_gql_errors *errors)
{
    const fq_field *spec = request->spec;
    size_t ends[FQ_FIELD_CHANNELS_MAX];
    yyjson_val *args = yyjson_doc_get_root(self->args);
    fq_buf_clear(buf);
    for (size_t i = 0; i < spec->n_channels; i++) {
        const fq_channel_part *part;
        fq_error reason;
        if (fq_channel_template_expand(spec->templates[i], args,
                                       request->context, buf, &part, &reason)
            != FQ_OK)
            return listening_refuse(request, part, &reason, errors);
        ends[i] = buf->len;
    }
    if (fq_buf_status(buf) != FQ_OK)
        return fq_buf_status(buf);
    size_t start = 0;
    for (size_t i = 0; i < spec->n_channels; start = ends[i], i++)
        listening_add(self, fq_str_make(buf->ptr + start, ends[i] - start));
    return FQ_OK;
}

fq_status
fq_listening_init(fq_listening *self, fq_engine *engine,
                  const fq_listening_request *request, fq_gql_errors *errors)
{
    const fq_field *spec = request->spec;
    *self = (fq_listening){.n_names = 0};
    if (spec->templates != NULL) {
        fq_status status = listening_read_args(self, request);
        if (status == FQ_OK)
            status = listening_expand(self, request, &engine->scratch, errors);
        return status;
    }
    for (size_t i = 0; i < spec->n_channels; i++)
        listening_add(self, spec->channels[i]);
    return FQ_OK;
}

void
fq_listening_fini(fq_listening *self)
{
    if (self->args != NULL)
        fq_json_free(self->args);
    self->args = NULL;
}

fq_status
fq_listening_enter(const fq_listening *self, fq_engine *engine, fq_sub *sub)
{
    for (size_t i = 0; i < self->n_names; i++) {
        fq_status status = fq_channel_index_add(
            &engine->channels, self->names[i], sub, &sub->listeners[i]);
        if (status != FQ_OK)
            return status;
        sub->n_listeners++;
    }
    return FQ_OK;
}
