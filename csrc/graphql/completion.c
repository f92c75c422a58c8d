/* SPDX-License-Identifier: MIT */
/* Text is written as if all went well. Where an error turns a place into null,
 * what was written since is cut off again, so nothing is built in between and
 * an event without errors costs no more than copying it. Errors are text as
 * well, in a buffer of their own that most events never touch.
 *
 * A place is a field or an item of a list. Each has its link on the stack, for
 * the path of errors. Recursion is bounded by the nesting of the data
 * (FQ_JSON_DEPTH_MAX): what is no object has no members, and what is no list
 * is an error. One thread at a time. */
#include "graphql/completion.h"

#include <string.h>

#include "graphql/inspect.h"
#include "graphql/leaf.h"
#include "json/reader.h"
#include "json/writer.h"

typedef struct fq_completion {
    fq_projection *projection;
    fq_buf *buf;
    fq_buf errors; /* `{…},{…}` */
    size_t n_errors;
    fq_status status; /* not FQ_OK: give up */
} fq_completion;

/* A place in the response. */
typedef struct fq_place {
    const struct fq_place *outer; /* NULL: a root field */
    const fq_shape *shape;        /* of the object whose field it is, or in
                                   * whose field the item is */
    const fq_shape_field *field;
    bool is_item;
    size_t index; /* of an item */
} fq_place;

static void
append_field_name(fq_buf *buf, const fq_place *place)
{
    fq_buf_append_str(buf, place->shape->type->name);
    fq_buf_append_char(buf, '.');
    fq_buf_append_str(buf, place->field->def->name);
}

static void
write_path(fq_buf *buf, const fq_place *place)
{
    if (place->outer != NULL) {
        write_path(buf, place->outer);
        fq_buf_append_char(buf, ',');
    }
    if (place->is_item)
        fq_buf_append_uint(buf, place->index);
    else
        /* The key with its quotes, between a comma and a colon. */
        fq_buf_append(buf, place->field->prefix + 1,
                      place->field->prefix_len - 2);
}

static void
write_location(fq_buf *buf, fq_gql_location at)
{
    fq_buf_append_str(buf, FQ_STR_LIT("{\"line\":"));
    fq_buf_append_uint(buf, at.line);
    fq_buf_append_str(buf, FQ_STR_LIT(",\"column\":"));
    fq_buf_append_uint(buf, at.column);
    fq_buf_append_char(buf, '}');
}

/* The places of the nodes of |field|. */
static void
write_nodes(fq_completion *completion, const fq_shape_field *field)
{
    fq_buf *buf = &completion->errors;
    fq_str source = completion->projection->source->document->source;
    for (fq_field_ref *ref = field->nodes; ref != NULL; ref = ref->next) {
        if (ref->location.line == 0)
            ref->location = fq_gql_locate(source, ref->start);
        if (ref != field->nodes)
            fq_buf_append_char(buf, ',');
        write_location(buf, ref->location);
    }
}

/* Records |message| at |place|. |error|, if not NULL, knows where in the
 * document it is. */
static void
add_error(fq_completion *completion, const fq_place *place, fq_str message,
          const fq_shape_error *error)
{
    fq_buf *buf = &completion->errors;
    if (completion->n_errors == FQ_COMPLETION_ERRORS_MAX
        || buf->len > FQ_COMPLETION_ERRORS_BYTES_MAX)
        return;
    completion->n_errors++;
    if (buf->len > 0)
        fq_buf_append_char(buf, ',');
    fq_buf_append_str(buf, FQ_STR_LIT("{\"message\":"));
    fq_json_write_str(buf, message);
    bool has_place = error != NULL && error->has_place;
    if (!has_place || error->location.line > 0) {
        fq_buf_append_str(buf, FQ_STR_LIT(",\"locations\":["));
        if (has_place)
            write_location(buf, error->location);
        else
            write_nodes(completion, place->field);
        fq_buf_append_char(buf, ']');
    }
    fq_buf_append_str(buf, FQ_STR_LIT(",\"path\":["));
    write_path(buf, place);
    fq_buf_append_str(buf, FQ_STR_LIT("]}"));
    if (fq_buf_status(buf) != FQ_OK)
        completion->status = fq_buf_status(buf);
}

/* Records |message|, which is freed, at |place|. Always false. */
static bool
fail(fq_completion *completion, const fq_place *place, fq_buf *message)
{
    if (fq_buf_status(message) == FQ_OK)
        add_error(completion, place, fq_buf_str(message), NULL);
    else
        completion->status = fq_buf_status(message);
    fq_buf_fini(message);
    return false;
}

static bool
fail_status(fq_completion *completion, fq_status status)
{
    completion->status = status;
    return false;
}

static bool
fail_null(fq_completion *completion, const fq_place *place)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(
        &message, FQ_STR_LIT("Cannot return null for non-nullable field "));
    append_field_name(&message, place);
    fq_buf_append_char(&message, '.');
    return fail(completion, place, &message);
}

static bool
fail_list(fq_completion *completion, const fq_place *place)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(
        &message,
        FQ_STR_LIT("Expected Iterable, but did not find one for field '"));
    append_field_name(&message, place);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    return fail(completion, place, &message);
}

/* |name| is no type that |abstract| may be: it is not there, no object type
 * or not a possible one. Absent (ptr NULL), it should be. */
static bool
fail_type(fq_completion *completion, const fq_place *place,
          const fq_type *abstract, fq_str name, const fq_type *found)
{
    fq_str is = abstract->name;
    fq_buf message;
    fq_buf_init(&message);
    if (name.ptr == NULL) {
        fq_buf_append_format(&message,
                             "Abstract type '%.*s' must resolve to an Object "
                             "type at runtime for field '",
                             FQ_STR_FMT(is));
        append_field_name(&message, place);
        fq_buf_append_format(
            &message,
            "'. Either the '%.*s' type should provide a 'resolve_type' "
            "function or each possible type should provide an 'is_type_of' "
            "function.",
            FQ_STR_FMT(is));
    } else if (found != NULL && found->kind == FQ_TYPE_OBJECT) {
        fq_buf_append_format(&message,
                             "Runtime Object type '%.*s' is not a possible "
                             "type for '%.*s'.",
                             FQ_STR_FMT(found->name), FQ_STR_FMT(is));
    } else {
        fq_buf_append_format(&message, "Abstract type '%.*s' was resolved to ",
                             FQ_STR_FMT(is));
        fq_buf_append_str(&message, found != NULL
                                        ? FQ_STR_LIT("a non-object type '")
                                        : FQ_STR_LIT("a type '"));
        fq_buf_append_str(&message, name);
        fq_buf_append_str(
            &message,
            found != NULL
                ? FQ_STR_LIT("'.")
                : FQ_STR_LIT("' that does not exist inside the schema."));
    }
    return fail(completion, place, &message);
}

static bool
complete(fq_completion *completion, const fq_place *place, const fq_type *type,
         yyjson_val *value);

/* The fields of |shape|, whose slots are loaded, or the root fields, which
 * all have |root| (NULL: no root fields) as their value. */
static bool
complete_fields(fq_completion *completion, const fq_place *outer,
                const fq_shape *shape, bool is_root, yyjson_val *root)
{
    fq_buf *buf = completion->buf;
    for (uint32_t i = 0; i < shape->n_fields; i++) {
        const fq_shape_field *field = &shape->fields[i];
        /* The comma of the first prefix turns into the opening brace. */
        char *out = fq_buf_reserve(buf, field->prefix_len);
        if (out == NULL)
            return fail_status(completion, fq_buf_status(buf));
        memcpy(out, field->prefix, field->prefix_len);
        if (i == 0)
            *out = '{';
        buf->len += field->prefix_len;
        if (field->slot == FQ_SLOT_NONE)
            continue;
        fq_place place = {.outer = outer, .shape = shape, .field = field};
        if (!complete(completion, &place, field->def->type,
                      is_root ? root : shape->values[field->slot]))
            return false;
    }
    fq_buf_append_str(buf, shape->n_fields == 0 ? FQ_STR_LIT("{}")
                                                : FQ_STR_LIT("}"));
    return true;
}

static bool
complete_object(fq_completion *completion, const fq_place *place,
                const fq_type *type, yyjson_val *value)
{
    fq_shape *shape;
    fq_status status = fq_selection_shape(completion->projection,
                                          place->field->child, type, &shape);
    if (status != FQ_OK)
        return fail_status(completion, status);
    if (shape->error != NULL) {
        add_error(completion, place, shape->error->message, shape->error);
        return false;
    }
    fq_shape_load(shape, value);
    return complete_fields(completion, place, shape, false, NULL);
}

static bool
complete_abstract(fq_completion *completion, const fq_place *place,
                  const fq_type *type, yyjson_val *value)
{
    fq_str name = fq_json_str(fq_json_get(value, FQ_STR_LIT("__typename")));
    const fq_type *found = NULL;
    const fq_shape_case *last = place->field->child->cases;
    if (last != NULL && name.ptr != NULL && fq_str_eq(last->type_name, name))
        found = last->type;
    else if (name.ptr != NULL)
        found = fq_schema_type(completion->projection->source->schema, name);
    if (found == NULL || found->kind != FQ_TYPE_OBJECT
        || !fq_type_has_subtype(type, found))
        return fail_type(completion, place, type, name, found);
    return complete_object(completion, place, found, value);
}

static bool
complete_list(fq_completion *completion, const fq_place *place,
              const fq_type *type, yyjson_val *value)
{
    if (!yyjson_is_arr(value))
        return fail_list(completion, place);
    fq_buf *buf = completion->buf;
    fq_place item_place = {
        .outer = place,
        .shape = place->shape,
        .field = place->field,
        .is_item = true,
    };
    fq_buf_append_char(buf, '[');
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        item_place.index = iter.idx - 1;
        if (item_place.index > 0)
            fq_buf_append_char(buf, ',');
        if (!complete(completion, &item_place, type->of, item))
            return false;
    }
    fq_buf_append_char(buf, ']');
    return true;
}

static bool
complete_leaf(fq_completion *completion, const fq_place *place,
              const fq_type *type, yyjson_val *value)
{
    if (fq_leaf_write(type, value, completion->buf))
        return true;
    if (fq_buf_status(completion->buf) != FQ_OK)
        return fail_status(completion, fq_buf_status(completion->buf));
    fq_buf message;
    fq_buf_init(&message);
    fq_leaf_write_refusal(type, value, &message);
    return fail(completion, place, &message);
}

/* |value|, not null, where a nullable |type| is expected. */
static bool
complete_nullable(fq_completion *completion, const fq_place *place,
                  const fq_type *type, yyjson_val *value)
{
    switch (type->kind) {
    case FQ_TYPE_LIST:
        return complete_list(completion, place, type, value);
    case FQ_TYPE_OBJECT:
        return complete_object(completion, place, type, value);
    case FQ_TYPE_INTERFACE:
    case FQ_TYPE_UNION:
        return complete_abstract(completion, place, type, value);
    default:
        return complete_leaf(completion, place, type, value);
    }
}

/* Writes |value| (NULL: null) at |place|, where |type| is expected. False:
 * what is around becomes null, if there is nothing worse in the status. */
static bool
complete(fq_completion *completion, const fq_place *place, const fq_type *type,
         yyjson_val *value)
{
    fq_buf *buf = completion->buf;
    size_t mark = buf->len;
    bool is_non_null = type->kind == FQ_TYPE_NON_NULL;
    bool is_done;
    if (is_non_null)
        type = type->of;
    if (!place->is_item && place->field->error != NULL) {
        add_error(completion, place, place->field->error->message,
                  place->field->error);
        is_done = false;
    } else if (value != NULL && !yyjson_is_null(value)) {
        is_done = complete_nullable(completion, place, type, value);
    } else if (is_non_null) {
        return fail_null(completion, place);
    } else {
        fq_buf_append_str(buf, FQ_STR_LIT("null"));
        return true;
    }
    if (is_done || is_non_null || completion->status != FQ_OK)
        return is_done;
    buf->len = mark;
    fq_buf_append_str(buf, FQ_STR_LIT("null"));
    return true;
}

static fq_status
root_shape(fq_projection *projection, fq_shape **pshape)
{
    const fq_projection_source *source = projection->source;
    fq_selection *root;
    fq_status status = fq_selection_root(projection, &root);
    if (status != FQ_OK)
        return status;
    return fq_selection_shape(projection, root,
                              source->schema->roots[source->operation->type],
                              pshape);
}

fq_status
fq_completion_check(fq_projection *projection, const fq_shape_error **perror)
{
    fq_shape *shape;
    fq_status status = root_shape(projection, &shape);
    *perror = status == FQ_OK ? shape->error : NULL;
    return status;
}

fq_status
fq_completion_write(fq_projection *projection, yyjson_val *value, fq_buf *buf)
{
    fq_projection_trim(projection);
    fq_shape *shape;
    fq_status status = root_shape(projection, &shape);
    if (status != FQ_OK)
        return status;
    fq_completion completion = {.projection = projection, .buf = buf};
    fq_buf_init(&completion.errors);
    fq_buf_append_str(buf, FQ_STR_LIT("{\"data\":"));
    size_t mark = buf->len;
    if (!complete_fields(&completion, NULL, shape, true, value)
        && completion.status == FQ_OK) {
        buf->len = mark;
        fq_buf_append_str(buf, FQ_STR_LIT("null"));
    }
    if (completion.errors.len > 0) {
        fq_buf_append_str(buf, FQ_STR_LIT(",\"errors\":["));
        fq_buf_append_str(buf, fq_buf_str(&completion.errors));
        fq_buf_append_char(buf, ']');
    }
    fq_buf_fini(&completion.errors);
    return completion.status != FQ_OK ? completion.status : fq_buf_status(buf);
}
