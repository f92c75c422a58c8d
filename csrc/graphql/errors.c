/* SPDX-License-Identifier: MIT */
/* The error list: everything in one arena, nothing freed singly. One thread
 * at a time.
 *
 * A hostile document can earn an error with thousands of places, so finding
 * line and column of each by walking the text would be quadratic. Instead the
 * first place asked for makes a table of marks, one per ERRORS_MARK_STEP
 * bytes, and each place walks from the mark before it. */
#include "graphql/errors.h"

#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "json/writer.h"

/* A walk of this many bytes costs about as much as a line of output. */
#define ERRORS_MARK_STEP 64

void
fq_gql_errors_init(fq_gql_errors *errors)
{
    *errors = (fq_gql_errors){.status = FQ_OK};
    fq_arena_init(&errors->arena, 0);
    errors->tail = &errors->head;
}

void
fq_gql_errors_fini(fq_gql_errors *errors)
{
    fq_arena_fini(&errors->arena);
    fq_gql_errors_init(errors);
}

static fq_gql_error *
errors_append(fq_gql_errors *errors, const char *code, fq_str message)
{
    fq_gql_error *error = FQ_ARENA_NEW(&errors->arena, fq_gql_error);
    if (error == NULL) {
        errors->status = FQ_ERR_NOMEM;
        return NULL;
    }
    error->message = message;
    error->code = code;
    *errors->tail = error;
    errors->tail = &error->next;
    errors->n_items++;
    return error;
}

fq_gql_error *
fq_gql_errors_add_str(fq_gql_errors *errors, const char *code, fq_str message)
{
    if (errors->n_items >= FQ_GQL_ERRORS_MAX)
        return NULL;
    fq_str copy = fq_arena_copy(&errors->arena, message);
    if (copy.ptr == NULL) {
        errors->status = FQ_ERR_NOMEM;
        return NULL;
    }
    return errors_append(errors, code, copy);
}

fq_gql_error *
fq_gql_errors_add(fq_gql_errors *errors, const char *code, const char *format,
                  ...)
{
    if (errors->n_items >= FQ_GQL_ERRORS_MAX)
        return NULL;
    va_list args;
    va_start(args, format);
    fq_str message = fq_arena_format_va(&errors->arena, format, args);
    va_end(args);
    if (message.ptr == NULL) {
        errors->status = FQ_ERR_NOMEM;
        return NULL;
    }
    return errors_append(errors, code, message);
}

/* Moves |at| from byte |from| to byte |to| of |source|. */
static fq_gql_location
walk(fq_gql_location at, fq_str source, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)source.ptr[i];
        if (c == '\n'
            || (c == '\r'
                && !(i + 1 < source.len && source.ptr[i + 1] == '\n'))) {
            at.line++;
            at.column = 1;
        } else if (c < 0x80 || c >= 0xC0) {
            /* The \r of \r\n counts too; nothing is ever between the two. */
            at.column++;
        }
    }
    return at;
}

/* Makes the table of marks for |source|. */
static fq_status
errors_mark(fq_gql_errors *errors, fq_str source)
{
    size_t n_marks = source.len / ERRORS_MARK_STEP + 1;
    fq_gql_location *marks = FQ_ARENA_NEW_N(&errors->arena, fq_gql_location,
                                            n_marks);
    if (marks == NULL)
        return FQ_ERR_NOMEM;
    marks[0] = (fq_gql_location){.line = 1, .column = 1};
    for (size_t i = 1; i < n_marks; i++)
        marks[i] = walk(marks[i - 1], source, (i - 1) * ERRORS_MARK_STEP,
                        i * ERRORS_MARK_STEP);
    errors->marks = marks;
    errors->marked = source;
    return FQ_OK;
}

void
fq_gql_error_locate(fq_gql_errors *errors, fq_gql_error *error, fq_str source,
                    size_t offset)
{
    FQ_CHECK(offset <= source.len);
    if (error == NULL)
        return;
    bool is_marked = errors->marks != NULL && errors->marked.ptr == source.ptr
                     && errors->marked.len == source.len;
    /* Capacity is the next power of two, so growth copies little. */
    size_t n = error->n_locations;
    fq_gql_location *locations = error->locations;
    if ((n & (n - 1)) == 0) {
        locations = FQ_ARENA_NEW_N(&errors->arena, fq_gql_location,
                                   n == 0 ? 1 : 2 * n);
        if (locations != NULL && n > 0)
            memcpy(locations, error->locations, n * sizeof(*locations));
    }
    if (locations == NULL
        || (!is_marked && errors_mark(errors, source) != FQ_OK)) {
        errors->status = FQ_ERR_NOMEM;
        return;
    }
    size_t mark = offset / ERRORS_MARK_STEP;
    locations[n] = walk(errors->marks[mark], source, mark * ERRORS_MARK_STEP,
                        offset);
    error->locations = locations;
    error->n_locations = n + 1;
}

fq_gql_location
fq_gql_locate(fq_str source, size_t offset)
{
    FQ_CHECK(offset <= source.len);
    fq_gql_location start = {.line = 1, .column = 1};
    return walk(start, source, 0, offset);
}

static void
write_error(const fq_gql_error *error, fq_buf *buf)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"message\":"));
    fq_json_write_str(buf, error->message);
    for (size_t i = 0; i < error->n_locations; i++) {
        fq_buf_append_str(buf, i == 0
                                   ? FQ_STR_LIT(",\"locations\":[{\"line\":")
                                   : FQ_STR_LIT(",{\"line\":"));
        fq_buf_append_uint(buf, error->locations[i].line);
        fq_buf_append_str(buf, FQ_STR_LIT(",\"column\":"));
        fq_buf_append_uint(buf, error->locations[i].column);
        fq_buf_append_char(buf, '}');
    }
    if (error->n_locations > 0)
        fq_buf_append_char(buf, ']');
    if (error->path.ptr != NULL) {
        fq_buf_append_str(buf, FQ_STR_LIT(",\"path\":"));
        fq_buf_append_str(buf, error->path);
    }
    if (error->code != NULL) {
        fq_buf_append_str(buf, FQ_STR_LIT(",\"extensions\":{\"code\":"));
        fq_json_write_str(buf, fq_str_of(error->code));
        fq_buf_append_char(buf, '}');
    }
    fq_buf_append_char(buf, '}');
}

void
fq_gql_errors_write(const fq_gql_errors *errors, fq_buf *buf)
{
    fq_buf_append_char(buf, '[');
    for (fq_gql_error *error = errors->head; error; error = error->next) {
        if (error != errors->head)
            fq_buf_append_char(buf, ',');
        write_error(error, buf);
    }
    fq_buf_append_char(buf, ']');
}
