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

/* One block: the struct, its channels, their bytes. The maximum on channels
 * keeps the sum of sizes from overflowing: texts that exist fit in memory. */
fq_status
fq_field_new(const fq_field *field, fq_field **pcopy)
{
    *pcopy = NULL;
    FQ_CHECK(field->name.len > 0);
    FQ_CHECK(field->kind != FQ_FIELD_SOURCE || field->n_channels == 0);
    if (field->n_channels > FQ_FIELD_CHANNELS_MAX)
        return FQ_ERR_LIMIT;
    size_t n_bytes = sizeof(fq_field) + field->n_channels * sizeof(fq_str)
                     + field->name.len;
    for (size_t i = 0; i < field->n_channels; i++)
        n_bytes += field->channels[i].len;
    fq_field *copy = fq_alloc(n_bytes);
    if (copy == NULL)
        return FQ_ERR_NOMEM;
    *copy = *field;
    fq_str *channels = (fq_str *)(copy + 1);
    char *to = (char *)(channels + field->n_channels);
    copy->channels = channels;
    copy->name = field_copy_str(field->name, &to);
    for (size_t i = 0; i < field->n_channels; i++)
        channels[i] = field_copy_str(field->channels[i], &to);
    *pcopy = copy;
    return FQ_OK;
}

void
fq_field_free(fq_field *field)
{
    fq_free(field);
}
