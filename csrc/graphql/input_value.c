/* SPDX-License-Identifier: MIT */
/* Recursion over type and value together, bounded by a look at their nesting
 * beforehand. The fields of an object are matched in one walk over its members
 * each and kept on a stack of values, so that neither many members nor many
 * fields make it slow. One thread at a time. */
#include "graphql/input_value.h"

#include <string.h>

#include "base/alloc.h"
#include "graphql/input_message.h"
#include "graphql/inspect.h"
#include "json/reader.h"
#include "json/writer.h"

/* The way to a value: a field or an index of each object or list around. */
typedef struct fq_input_path {
    const struct fq_input_path *outer;
    fq_str name; /* ptr NULL: an index */
    size_t index;
} fq_input_path;

typedef struct fq_input_coercion {
    fq_buf *json;
    fq_input_value_cb error_cb;
    void *arg;
    yyjson_val **found; /* the stack: values of fields of the open objects */
    size_t n_found;
    size_t cap;
    size_t n_fields; /* looked at so far */
    bool has_errors;
    bool is_done;
    fq_status status;
} fq_input_coercion;

/* An object while its fields are coerced. */
typedef struct fq_input_object {
    yyjson_val *value;
    const fq_type *type;
    size_t base;        /* of its fields in the stack */
    fq_str first_known; /* the first member that is a field */
    yyjson_val *first;  /* its value */
    size_t n_known;
    fq_buf text; /* the object as errors show it; empty: not made yet */
} fq_input_object;

static void
append_path(fq_buf *buf, const fq_input_path *path)
{
    if (path == NULL)
        return;
    append_path(buf, path->outer);
    if (path->name.ptr == NULL) {
        fq_buf_append_format(buf, "[%zu]", path->index);
        return;
    }
    fq_buf_append_char(buf, '.');
    fq_buf_append_str(buf, path->name);
}

/* Reports |message| and frees it. */
static void
report(fq_input_coercion *coercion, const fq_input_path *path, fq_buf *message)
{
    fq_buf path_text;
    fq_buf_init(&path_text);
    append_path(&path_text, path);
    coercion->has_errors = true;
    if (fq_buf_status(message) != FQ_OK
        || fq_buf_status(&path_text) != FQ_OK) {
        coercion->status = FQ_ERR_NOMEM;
        coercion->is_done = true;
    } else if (!coercion->is_done) {
        coercion->is_done = !coercion->error_cb(
            coercion->arg, fq_buf_str(message), fq_buf_str(&path_text));
    }
    fq_buf_fini(&path_text);
    fq_buf_fini(message);
}

static void
report_null(fq_input_coercion *coercion, const fq_input_path *path,
            const fq_type *type)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_null(&message, type);
    report(coercion, path, &message);
}

static void
report_no_object(fq_input_coercion *coercion, const fq_input_path *path,
                 const fq_type *type, yyjson_val *value)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_no_object(&message, type);
    fq_inspect_json(&message, value);
    fq_buf_append_char(&message, '.');
    report(coercion, path, &message);
}

/* Appends the object as errors show it. */
static void
append_object(fq_buf *message, fq_input_object *object)
{
    if (object->text.len == 0)
        fq_inspect_json(&object->text, object->value);
    fq_buf_append_str(message, fq_buf_str(&object->text));
    if (fq_buf_status(&object->text) != FQ_OK)
        message->status = fq_buf_status(&object->text);
}

static void
report_missing(fq_input_coercion *coercion, const fq_input_path *path,
               fq_input_object *object, const fq_input_def *field)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_missing(&message, object->type, field);
    append_object(&message, object);
    fq_buf_append_char(&message, '.');
    report(coercion, path, &message);
}

static void
report_unknown(fq_input_coercion *coercion, const fq_input_path *path,
               fq_input_object *object, fq_str name)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_unknown(&message, object->type, name);
    append_object(&message, object);
    fq_buf_append_char(&message, '.');
    report(coercion, path, &message);
}

static void
report_one_of(fq_input_coercion *coercion, const fq_input_path *path,
              const fq_type *type)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_one_of(&message, type);
    report(coercion, path, &message);
}

static void
coerce_value(fq_input_coercion *coercion, const fq_input_path *path,
             const fq_type *type, yyjson_val *value);

/* Puts the fields of |object| on the stack; false when that is too much. */
static bool
match_fields(fq_input_coercion *coercion, fq_input_object *object)
{
    size_t n_fields = object->type->n_members;
    object->base = coercion->n_found;
    coercion->n_fields += n_fields;
    if (coercion->n_fields > FQ_INPUT_FIELDS_MAX) {
        coercion->status = FQ_ERR_LIMIT;
        coercion->is_done = true;
        return false;
    }
    yyjson_val **found = fq_alloc_grow(coercion->found, sizeof(*found),
                                       coercion->n_found + n_fields, 16,
                                       &coercion->cap);
    if (found == NULL) {
        coercion->status = FQ_ERR_NOMEM;
        coercion->is_done = true;
        return false;
    }
    coercion->found = found;
    coercion->n_found += n_fields;
    memset(found + object->base, 0, n_fields * sizeof(*found));
    yyjson_obj_iter iter = yyjson_obj_iter_with(object->value);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        const fq_input_def *field = fq_type_input_field(object->type,
                                                        fq_json_str(key));
        if (field == NULL)
            continue;
        /* The last of several members counts. */
        found[object->base + (size_t)(field - object->type->input_fields)]
            = yyjson_obj_iter_get_val(key);
    }
    return true;
}

/* Writes the fields in order of definition. */
static void
coerce_fields(fq_input_coercion *coercion, const fq_input_path *path,
              fq_input_object *object)
{
    bool has_fields = false;
    for (uint32_t i = 0; i < object->type->n_members && !coercion->is_done;
         i++) {
        const fq_input_def *field = &object->type->input_fields[i];
        yyjson_val *value = coercion->found[object->base + i];
        if (value == NULL && fq_input_def_is_required(field)) {
            report_missing(coercion, path, object, field);
            continue;
        }
        if (value == NULL && field->default_value == NULL)
            continue;
        if (has_fields)
            fq_buf_append_char(coercion->json, ',');
        has_fields = true;
        fq_json_write_str(coercion->json, field->name);
        fq_buf_append_char(coercion->json, ':');
        fq_input_path field_path = {.outer = path, .name = field->name};
        if (value != NULL)
            coerce_value(coercion, &field_path, field->type, value);
        else
            fq_buf_append_str(coercion->json, field->default_json);
    }
}

/* Reports members that are no fields, and finds the first that is one. */
static void
check_members(fq_input_coercion *coercion, const fq_input_path *path,
              fq_input_object *object)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object->value);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL && !coercion->is_done) {
        fq_str name = fq_json_str(key);
        const fq_input_def *field = fq_type_input_field(object->type, name);
        if (field == NULL) {
            report_unknown(coercion, path, object, name);
        } else if (object->first_known.ptr == NULL) {
            object->first_known = field->name;
            object->first
                = coercion
                      ->found[object->base
                              + (size_t)(field - object->type->input_fields)];
        }
    }
    for (uint32_t i = 0; i < object->type->n_members; i++)
        if (coercion->found[object->base + i] != NULL)
            object->n_known++;
}

static void
check_one_of(fq_input_coercion *coercion, const fq_input_path *path,
             const fq_input_object *object)
{
    if (object->n_known != 1)
        report_one_of(coercion, path, object->type);
    if (object->n_known == 0 || !yyjson_is_null(object->first))
        return;
    fq_input_path field_path = {.outer = path, .name = object->first_known};
    report_one_of(coercion, &field_path, object->type);
}

static void
coerce_object(fq_input_coercion *coercion, const fq_input_path *path,
              const fq_type *type, yyjson_val *value)
{
    if (!yyjson_is_obj(value)) {
        report_no_object(coercion, path, type, value);
        return;
    }
    fq_input_object object = {.value = value, .type = type};
    fq_buf_init(&object.text);
    if (!match_fields(coercion, &object))
        return;
    fq_buf_append_char(coercion->json, '{');
    coerce_fields(coercion, path, &object);
    fq_buf_append_char(coercion->json, '}');
    check_members(coercion, path, &object);
    if (type->is_one_of && !coercion->is_done)
        check_one_of(coercion, path, &object);
    coercion->n_found = object.base;
    fq_buf_fini(&object.text);
}

static void
coerce_enum(fq_input_coercion *coercion, const fq_input_path *path,
            const fq_type *type, yyjson_val *value)
{
    fq_str name = fq_json_str(value);
    if (yyjson_is_str(value) && fq_type_enum_value(type, name) != NULL) {
        fq_json_write_str(coercion->json, name);
        return;
    }
    fq_buf text, message;
    fq_buf_init(&text);
    fq_buf_init(&message);
    if (yyjson_is_str(value)) {
        fq_buf_append_str(&text, name);
        fq_buf_append_str(&message, FQ_STR_LIT("Value '"));
        fq_buf_append_str(&message, name);
        fq_buf_append_format(&message, "' does not exist in '%.*s' enum.",
                             FQ_STR_FMT(type->name));
    } else {
        fq_inspect_json(&text, value);
        fq_buf_append_format(&message,
                             "Enum '%.*s' cannot represent non-string value: ",
                             FQ_STR_FMT(type->name));
        fq_buf_append_str(&message, fq_buf_str(&text));
        fq_buf_append_char(&message, '.');
    }
    fq_input_message_near(&message, type, fq_buf_str(&text));
    if (fq_buf_status(&text) != FQ_OK)
        message.status = fq_buf_status(&text);
    fq_buf_fini(&text);
    report(coercion, path, &message);
}

static void
coerce_scalar(fq_input_coercion *coercion, const fq_input_path *path,
              const fq_type *type, yyjson_val *value)
{
    fq_buf refusal;
    fq_buf_init(&refusal);
    if (!fq_scalar_coerce_value(type->scalar, value, coercion->json, &refusal))
        report(coercion, path, &refusal);
}

static void
coerce_list(fq_input_coercion *coercion, const fq_input_path *path,
            const fq_type *type, yyjson_val *value)
{
    fq_buf_append_char(coercion->json, '[');
    if (!yyjson_is_arr(value)) {
        /* A list of one. */
        coerce_value(coercion, path, type->of, value);
    } else {
        fq_input_path item_path = {.outer = path};
        yyjson_arr_iter iter = yyjson_arr_iter_with(value);
        yyjson_val *item;
        while ((item = yyjson_arr_iter_next(&iter)) != NULL
               && !coercion->is_done) {
            item_path.index = iter.idx - 1;
            if (item_path.index > 0)
                fq_buf_append_char(coercion->json, ',');
            coerce_value(coercion, &item_path, type->of, item);
        }
    }
    fq_buf_append_char(coercion->json, ']');
}

static void
coerce_value(fq_input_coercion *coercion, const fq_input_path *path,
             const fq_type *type, yyjson_val *value)
{
    if (fq_buf_status(coercion->json) != FQ_OK) {
        coercion->is_done = true;
        return;
    }
    if (type->kind == FQ_TYPE_NON_NULL) {
        if (yyjson_is_null(value)) {
            report_null(coercion, path, type);
            return;
        }
        type = type->of;
    }
    if (yyjson_is_null(value))
        fq_buf_append_str(coercion->json, FQ_STR_LIT("null"));
    else if (type->kind == FQ_TYPE_LIST)
        coerce_list(coercion, path, type, value);
    else if (type->kind == FQ_TYPE_INPUT_OBJECT)
        coerce_object(coercion, path, type, value);
    else if (type->kind == FQ_TYPE_ENUM)
        coerce_enum(coercion, path, type, value);
    else
        coerce_scalar(coercion, path, type, value);
}

/* True when |value|, as far as |type| follows it, nests deeper than allowed
 * below level |depth|. */
static bool
nests_too_deeply(yyjson_val *value, const fq_type *type, int depth)
{
    if (depth > FQ_INPUT_NESTING_MAX)
        return true;
    type = fq_type_nullable(type);
    if (type->kind == FQ_TYPE_LIST) {
        if (!yyjson_is_arr(value))
            return nests_too_deeply(value, type->of, depth + 1);
        yyjson_arr_iter iter = yyjson_arr_iter_with(value);
        yyjson_val *item;
        while ((item = yyjson_arr_iter_next(&iter)) != NULL)
            if (nests_too_deeply(item, type->of, depth + 1))
                return true;
    } else if (type->kind == FQ_TYPE_INPUT_OBJECT) {
        yyjson_obj_iter iter = yyjson_obj_iter_with(value);
        yyjson_val *key;
        while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
            const fq_input_def *field = fq_type_input_field(type,
                                                            fq_json_str(key));
            if (field != NULL
                && nests_too_deeply(yyjson_obj_iter_get_val(key), field->type,
                                    depth + 1))
                return true;
        }
    }
    return false;
}

bool
fq_input_value_is_too_deep(yyjson_val *value, const fq_type *type)
{
    return nests_too_deeply(value, type, 0);
}

fq_status
fq_input_value_coerce(yyjson_val *value, const fq_type *type, fq_buf *json,
                      fq_input_value_cb error_cb, void *arg)
{
    fq_input_coercion coercion = {
        .json = json,
        .error_cb = error_cb,
        .arg = arg,
    };
    coerce_value(&coercion, NULL, type, value);
    fq_free(coercion.found);
    if (coercion.status != FQ_OK)
        return coercion.status;
    return coercion.has_errors ? FQ_ERR_INVALID : FQ_OK;
}
