/* SPDX-License-Identifier: MIT */
/* Projection by memoised shapes. One thread at a time.
 *
 * An object is projected in two steps. First its members are walked once and
 * each value is put into the slot its key has in the shape. The walk tries
 * the slot after the last hit first, because data mostly has its keys in one
 * order; a later duplicate overwrites an earlier one, which is what "the last
 * counts" asks for. Then the fields are written in order, each from its slot.
 * So an object costs its members plus its fields, whatever the order.
 *
 * The slots belong to the shape. That is safe because a shape is never
 * entered again before it is left: what is below it is other selections. */
#include "graphql/projection.h"

#include <string.h>

#include "graphql/shape.h"
#include "json/reader.h"
#include "json/writer.h"

void
fq_projection_init(fq_projection *projection, fq_projection_source *source,
                   uint64_t *states, const fq_field_mask *mask)
{
    *projection = (fq_projection){
        .source = source,
        .mask = mask,
        .variables = {.table = source->variables, .words = states},
    };
    fq_arena_init(&projection->memo, 0);
}

void
fq_projection_fini(fq_projection *projection)
{
    fq_arena_fini(&projection->memo);
    projection->root = NULL;
}

void
fq_projection_trim(fq_projection *projection)
{
    if (projection->memo.n_bytes > FQ_PROJECTION_MEMO_MAX)
        fq_projection_fini(projection);
}

static fq_status
write_value(fq_projection *projection, fq_selection *selection,
            yyjson_val *value, fq_buf *buf);

static fq_status
write_object(fq_projection *projection, fq_selection *selection,
             yyjson_val *object, fq_buf *buf)
{
    fq_shape *shape = selection->untyped;
    fq_status status = FQ_OK;
    if (shape == NULL)
        status = fq_selection_shape_named(projection, selection,
                                          fq_str_make(NULL, 0), &shape);
    if (status == FQ_OK && selection->cases != NULL) {
        yyjson_val *type_name = fq_json_get(object, FQ_STR_LIT("__typename"));
        if (yyjson_is_str(type_name))
            status = fq_selection_shape_named(projection, selection,
                                              fq_json_str(type_name), &shape);
    }
    if (status != FQ_OK)
        return status;
    fq_shape_load(shape, object);
    for (uint32_t i = 0; i < shape->n_fields; i++) {
        const fq_shape_field *field = &shape->fields[i];
        yyjson_val *value = shape->values[field->slot];
        /* The comma of the first prefix turns into the opening brace. */
        char *out = fq_buf_reserve(buf, field->prefix_len);
        if (out == NULL)
            return fq_buf_status(buf);
        memcpy(out, field->prefix, field->prefix_len);
        if (i == 0)
            *out = '{';
        buf->len += field->prefix_len;
        if (field->is_typename && !yyjson_is_str(value))
            value = NULL;
        if (field->child == NULL)
            fq_json_write_val(buf, value);
        else if ((status = write_value(projection, field->child, value, buf))
                 != FQ_OK)
            return status;
    }
    fq_buf_append_str(buf, shape->n_fields == 0 ? FQ_STR_LIT("{}")
                                                : FQ_STR_LIT("}"));
    return FQ_OK;
}

static fq_status
write_list(fq_projection *projection, fq_selection *selection,
           yyjson_val *list, fq_buf *buf)
{
    fq_buf_append_char(buf, '[');
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        if (iter.idx > 1)
            fq_buf_append_char(buf, ',');
        fq_status status = write_value(projection, selection, item, buf);
        if (status != FQ_OK)
            return status;
    }
    fq_buf_append_char(buf, ']');
    return FQ_OK;
}

/* Recursion is bounded by the document's nesting for objects and by
 * FQ_JSON_DEPTH_MAX for lists. */
static fq_status
write_value(fq_projection *projection, fq_selection *selection,
            yyjson_val *value, fq_buf *buf)
{
    if (fq_buf_status(buf) != FQ_OK)
        return fq_buf_status(buf);
    if (yyjson_is_obj(value))
        return write_object(projection, selection, value, buf);
    if (yyjson_is_arr(value))
        return write_list(projection, selection, value, buf);
    fq_json_write_val(buf, NULL);
    return FQ_OK;
}

fq_status
fq_projection_write(fq_projection *projection, yyjson_val *value, fq_buf *buf)
{
    fq_projection_trim(projection);
    fq_selection *selection;
    fq_shape *root = NULL;
    fq_status status = fq_selection_root(projection, &selection);
    /* The root type's name is unknown, so every condition there holds. */
    if (status == FQ_OK)
        status = fq_selection_shape_named(projection, selection,
                                          fq_str_make(NULL, 0), &root);
    if (status != FQ_OK)
        return status;
    if (root->n_fields > 0 && root->fields[0].child != NULL)
        status = write_value(projection, root->fields[0].child, value, buf);
    else
        fq_json_write_val(buf, value);
    return status != FQ_OK ? status : fq_buf_status(buf);
}
