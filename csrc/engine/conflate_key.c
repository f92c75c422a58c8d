/* SPDX-License-Identifier: MIT */
/* Finding an event's key. Thread: reactor. */
#include "engine/conflate_key.h"

#include <string.h>

#include "json/writer.h"

/* The value at |path|, or NULL. */
static yyjson_val *
find(fq_str path, yyjson_val *at)
{
    while (at != NULL && path.len > 0) {
        const char *dot = memchr(path.ptr, '.', path.len);
        size_t len = dot != NULL ? (size_t)(dot - path.ptr) : path.len;
        at = yyjson_obj_getn(at, path.ptr, len);
        len += dot != NULL;
        path = fq_str_make(path.ptr + len, path.len - len);
    }
    return at;
}

fq_status
fq_conflate_key_new(fq_str path, yyjson_val *data, fq_buf *scratch,
                    fq_rcbuf **pkey)
{
    *pkey = NULL;
    yyjson_val *value = find(path, data);
    if (yyjson_is_str(value))
        return fq_rcbuf_new(
            fq_str_make(yyjson_get_str(value), yyjson_get_len(value)), pkey);
    if (!yyjson_is_num(value) && !yyjson_is_bool(value)
        && !yyjson_is_raw(value))
        return FQ_OK;
    fq_buf_clear(scratch);
    fq_json_write_val(scratch, value);
    return fq_buf_to_rcbuf(scratch, pkey);
}
