/* SPDX-License-Identifier: MIT */
/* Copying declared fields. Thread: any; a copy is immutable. */
#include "engine/field.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* Copies |s| to *pto and moves that on. */
static fq_str
field_copy_str(fq_str s, char **pto)
{
    fq_str copy = fq_str_make(*pto, s.len);
    if (s.len > 0)
        memcpy(*pto, s.ptr, s.len);
    *pto += s.len;
    return copy;
}

static fq_status
field_compile_templates(fq_field *copy)
{
    for (size_t i = 0; i < copy->n_channels; i++) {
        fq_status status = fq_channel_template_new(copy->channels[i],
                                                   &copy->templates[i], NULL);
        if (status != FQ_OK)
            return status;
    }
    return FQ_OK;
}

/* One block: the struct, its channels, places for their templates, their
 * bytes. The maximum on channels keeps the sum of sizes from overflowing:
 * texts that exist fit in memory. */
fq_status
fq_field_new(const fq_field *field, fq_field **pcopy)
{
    *pcopy = NULL;
    FQ_CHECK(field->name.len > 0);
    FQ_CHECK(field->kind != FQ_FIELD_SOURCE || field->n_channels == 0);
    if (field->n_channels > FQ_FIELD_CHANNELS_MAX)
        return FQ_ERR_LIMIT;
    size_t n_bytes = sizeof(fq_field)
                     + field->n_channels
                           * (sizeof(fq_str) + sizeof(fq_channel_template *))
                     + field->name.len + field->client_filter.len;
    for (size_t i = 0; i < field->n_channels; i++)
        n_bytes += field->channels[i].len;
    fq_field *copy = fq_alloc_zero(n_bytes);
    if (copy == NULL)
        return FQ_ERR_NOMEM;
    *copy = *field;
    fq_str *channels = (fq_str *)(copy + 1);
    if (copy->conflate_path != NULL)
        fq_rcbuf_ref(copy->conflate_path);
    copy->templates = NULL;
    if (field->has_templates)
        copy->templates = (fq_channel_template **)(channels
                                                   + field->n_channels);
    char *to = (char *)(channels + field->n_channels)
               + field->n_channels * sizeof(fq_channel_template *);
    copy->channels = channels;
    copy->name = field_copy_str(field->name, &to);
    if (field->client_filter.ptr != NULL)
        copy->client_filter = field_copy_str(field->client_filter, &to);
    for (size_t i = 0; i < field->n_channels; i++)
        channels[i] = field_copy_str(field->channels[i], &to);
    if (field->where != NULL)
        fq_filter_ref(field->where);
    fq_status status = FQ_OK;
    if (field->has_templates)
        status = field_compile_templates(copy);
    if (status != FQ_OK)
        fq_field_free(copy);
    else
        *pcopy = copy;
    return status;
}

void
fq_field_free(fq_field *field)
{
    if (field == NULL)
        return;
    for (size_t i = 0; field->templates != NULL && i < field->n_channels; i++)
        fq_free(field->templates[i]);
    fq_filter_unref(field->where);
    fq_rcbuf_unref(field->conflate_path);
    fq_free(field);
}
