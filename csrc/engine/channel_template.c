/* SPDX-License-Identifier: MIT */
/* Compiling and filling in names of channels. Any thread. */
#include "engine/channel_template.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "bus/event.h"
#include "json/reader.h"

/* -- compiling ------------------------------------------------------------ */

typedef struct compiler {
    fq_str text;
    size_t at;                 /* first byte not read yet */
    fq_channel_template *made; /* room for all parts */
    char *to;                  /* room for their texts */
    fq_error *error;
} compiler;

static bool
is_name(fq_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                         || c == '_';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

/* Names separated by dots. */
static bool
is_path(fq_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '.'
            && (i == 0 || i + 1 == path.len || path.ptr[i - 1] == '.'))
            return false;
    }
    return path.len > 0;
}

/* If |text| begins with |prefix|, *prest is what follows. */
static bool
skip_prefix(fq_str text, fq_str prefix, fq_str *prest)
{
    if (text.len < prefix.len || memcmp(text.ptr, prefix.ptr, prefix.len) != 0)
        return false;
    *prest = fq_str_make(text.ptr + prefix.len, text.len - prefix.len);
    return true;
}

/* What stands between the braces of a gap. */
static fq_status
read_gap_name(compiler *self, fq_str name, fq_channel_part *part)
{
    part->text = name;
    part->kind = FQ_CHANNEL_ARGUMENT;
    if (is_name(name))
        return FQ_OK;
    fq_str path;
    if (skip_prefix(name, FQ_STR_LIT("ctx."), &path)) {
        part->kind = FQ_CHANNEL_USER_ID;
        if (fq_str_eq(path, FQ_STR_LIT("user_id")))
            return FQ_OK;
        part->kind = FQ_CHANNEL_TENANT_ID;
        if (fq_str_eq(path, FQ_STR_LIT("tenant_id")))
            return FQ_OK;
        part->kind = FQ_CHANNEL_CLAIM;
        if (skip_prefix(path, FQ_STR_LIT("claims."), &part->text)
            && is_path(part->text))
            return FQ_OK;
        return fq_error_set(self->error, FQ_ERR_INVALID, self->at,
                            "{%.*s} is none of {ctx.user_id}, "
                            "{ctx.tenant_id}, {ctx.claims.NAME}",
                            FQ_STR_FMT(name));
    }
    return fq_error_set(self->error, FQ_ERR_INVALID, self->at,
                        "{%.*s} names neither an argument nor ctx.NAME",
                        FQ_STR_FMT(name));
}

static fq_status
read_gap(compiler *self)
{
    fq_channel_template *made = self->made;
    const char *open = self->text.ptr + self->at;
    const char *close = memchr(open, '}', self->text.len - self->at);
    if (close == NULL)
        return fq_error_set(self->error, FQ_ERR_INVALID, self->at,
                            "a \"{\" is never closed; a brace that is meant "
                            "is written twice");
    if (made->n_parts > 0
        && made->parts[made->n_parts - 1].kind != FQ_CHANNEL_TEXT)
        return fq_error_set(self->error, FQ_ERR_INVALID, self->at,
                            "between two values there must be something, "
                            "best a \":\", to tell them apart");
    fq_channel_part part = {0};
    fq_str name = fq_str_make(open + 1, (size_t)(close - open) - 1);
    fq_status status = read_gap_name(self, name, &part);
    if (status != FQ_OK)
        return status;
    memcpy(self->to, part.text.ptr, part.text.len);
    part.text.ptr = self->to;
    self->to += part.text.len;
    made->parts[made->n_parts++] = part;
    self->at = (size_t)(close - self->text.ptr) + 1;
    return FQ_OK;
}

/* The character |text| begins with. */
static fq_str
first_character(fq_str text)
{
    size_t len = 1;
    while (len < text.len && (text.ptr[len] & 0xC0) == 0x80)
        len++;
    return fq_str_make(text.ptr, len);
}

/* Text up to the next gap. */
static fq_status
read_text(compiler *self)
{
    fq_channel_template *made = self->made;
    fq_channel_part part = {.kind = FQ_CHANNEL_TEXT, .text = {self->to, 0}};
    for (; self->at < self->text.len; self->at++) {
        char c = self->text.ptr[self->at];
        if (c == '{' || c == '}') {
            bool is_double = self->at + 1 < self->text.len
                             && self->text.ptr[self->at + 1] == c;
            if (!is_double && c == '{')
                break;
            if (!is_double)
                return fq_error_set(self->error, FQ_ERR_INVALID, self->at,
                                    "a \"}\" closes nothing; a brace that is "
                                    "meant is written twice");
            self->at++;
        }
        *self->to++ = c;
        part.text.len++;
    }
    if (part.text.len == 0)
        return FQ_OK;
    if (made->n_parts > 0)
        made->parts[made->n_parts - 1].stop = first_character(part.text);
    made->parts[made->n_parts++] = part;
    return FQ_OK;
}

fq_status
fq_channel_template_new(fq_str text, fq_channel_template **ptemplate,
                        fq_error *error)
{
    *ptemplate = NULL;
    if (text.len == 0)
        return fq_error_set(error, FQ_ERR_INVALID, 0, "it is empty");
    if (text.len > FQ_EVENT_NAME_MAX)
        return fq_error_set(error, FQ_ERR_LIMIT, 0,
                            "it is longer than %d bytes", FQ_EVENT_NAME_MAX);
    size_t n_parts = 1;
    for (size_t i = 0; i < text.len; i++)
        n_parts += 2 * (text.ptr[i] == '{');
    fq_channel_template *made = fq_alloc(
        sizeof(*made) + n_parts * sizeof(fq_channel_part) + text.len);
    if (made == NULL)
        return fq_error_set(error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                            "out of memory");
    made->n_parts = 0;
    compiler self = {
        .text = text,
        .made = made,
        .to = (char *)(made->parts + n_parts),
        .error = error,
    };
    fq_status status = FQ_OK;
    while (status == FQ_OK && self.at < text.len) {
        status = read_text(&self);
        if (status == FQ_OK && self.at < text.len)
            status = read_gap(&self);
    }
    if (status != FQ_OK) {
        fq_free(made);
        return status;
    }
    *ptemplate = made;
    return FQ_OK;
}

bool
fq_channel_template_asks_args(const fq_channel_template *self)
{
    for (size_t i = 0; i < self->n_parts; i++) {
        if (self->parts[i].kind == FQ_CHANNEL_ARGUMENT)
            return true;
    }
    return false;
}

/* -- filling in ----------------------------------------------------------- */

/* The claim at |path|, or NULL. */
static yyjson_val *
find_claim(const fq_security_context *context, fq_str path)
{
    if (context == NULL || context->claims == NULL)
        return NULL;
    yyjson_val *value = yyjson_doc_get_root(context->claims);
    while (value != NULL && path.ptr != NULL) {
        const char *dot = memchr(path.ptr, '.', path.len);
        size_t len = dot != NULL ? (size_t)(dot - path.ptr) : path.len;
        value = fq_json_get(value, fq_str_make(path.ptr, len));
        path = dot != NULL ? fq_str_make(dot + 1, path.len - len - 1)
                           : fq_str_make(NULL, 0);
    }
    return value;
}

/* The text of |value|; what is no string is written to |room|. */
static fq_status
text_of_value(yyjson_val *value, char room[24], fq_str *ptext, fq_error *error)
{
    *ptext = fq_str_make(NULL, 0);
    if (value == NULL || yyjson_is_null(value))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must not be null");
    int len = 0;
    if (yyjson_is_str(value)) {
        *ptext = fq_json_str(value);
        return FQ_OK;
    } else if (yyjson_is_bool(value)) {
        len = sprintf(room, "%s", yyjson_get_bool(value) ? "true" : "false");
    } else if (yyjson_is_uint(value)) {
        len = sprintf(room, "%llu",
                      (unsigned long long)yyjson_get_uint(value));
    } else if (yyjson_is_sint(value)) {
        len = sprintf(room, "%lld", (long long)yyjson_get_sint(value));
    } else {
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must be a string, ID, Int, Boolean or enum");
    }
    *ptext = fq_str_make(room, (size_t)len);
    return FQ_OK;
}

static fq_status
text_of_part(const fq_channel_part *part, yyjson_val *args,
             const fq_security_context *context, char room[24], fq_str *ptext,
             fq_error *error)
{
    switch (part->kind) {
    case FQ_CHANNEL_TEXT:
        *ptext = part->text;
        return FQ_OK;
    case FQ_CHANNEL_ARGUMENT:
        return text_of_value(fq_json_get(args, part->text), room, ptext,
                             error);
    case FQ_CHANNEL_CLAIM:
        return text_of_value(find_claim(context, part->text), room, ptext,
                             error);
    case FQ_CHANNEL_USER_ID:
    case FQ_CHANNEL_TENANT_ID:
        break;
    }
    *ptext = fq_str_make(NULL, 0);
    if (context != NULL)
        *ptext = part->kind == FQ_CHANNEL_USER_ID ? context->user_id
                                                  : context->tenant_id;
    return ptext->ptr != NULL
               ? FQ_OK
               : fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                              "must not be null");
}

static bool
has_text(fq_str text, fq_str part)
{
    return part.len > 0 && text.len > 0
           && memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

/* Whether |text| may go into the gap |part|. */
static fq_status
check_text(const fq_channel_part *part, fq_str text, fq_error *error)
{
    static const fq_str colon = FQ_STR(":");
    if (text.len > FQ_CHANNEL_VALUE_MAX)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must not be longer than %d bytes",
                            FQ_CHANNEL_VALUE_MAX);
    bool has_colon = part->stop.len > 0 && has_text(text, colon);
    if (has_colon || has_text(text, part->stop))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must not contain \"%.*s\"",
                            FQ_STR_FMT(has_colon ? colon : part->stop));
    return FQ_OK;
}

fq_status
fq_channel_template_expand(const fq_channel_template *self, yyjson_val *args,
                           const fq_security_context *context, fq_buf *buf,
                           const fq_channel_part **ppart, fq_error *error)
{
    size_t start = buf->len;
    for (size_t i = 0; i < self->n_parts; i++) {
        const fq_channel_part *part = &self->parts[i];
        *ppart = part;
        char room[24];
        fq_str text;
        fq_status status = text_of_part(part, args, context, room, &text,
                                        error);
        if (status == FQ_OK && part->kind != FQ_CHANNEL_TEXT)
            status = check_text(part, text, error);
        if (status != FQ_OK)
            return status;
        fq_buf_append_str(buf, text);
    }
    *ppart = NULL;
    if (fq_buf_status(buf) != FQ_OK)
        return FQ_OK;
    if (buf->len == start)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must not be empty");
    if (buf->len - start > FQ_EVENT_NAME_MAX)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "must not be longer than %d bytes",
                            FQ_EVENT_NAME_MAX);
    return FQ_OK;
}
