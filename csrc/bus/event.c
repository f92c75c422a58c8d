/* SPDX-License-Identifier: MIT */
/* Making, counting and freeing events. Made on the publishing thread, counted
 * and freed on the reactor; the bus fills in the id. */
#include "bus/event.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "json/reader.h"
#include "json/utf8.h"

bool
fq_event_is_reserved(fq_str channel)
{
    const size_t len = sizeof(FQ_EVENT_RESERVED) - 1;
    return channel.len >= len
           && memcmp(channel.ptr, FQ_EVENT_RESERVED, len) == 0;
}

/* Refuses a |name| no bus could carry; |what| names it to the user. */
static fq_status
event_check_name(fq_str name, const char *what, fq_error *error)
{
    if (name.len == 0)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "%s cannot be empty", what);
    if (name.len > FQ_EVENT_NAME_MAX)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "%s is %zu bytes long; at most %d are allowed",
                            what, name.len, FQ_EVENT_NAME_MAX);
    if (!fq_utf8_is_valid(name))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "%s is not valid UTF-8", what);
    return FQ_OK;
}

static fq_status
event_check(fq_str channel, fq_str event_type, fq_str data, size_t max_bytes,
            fq_error *error)
{
    fq_status status = event_check_name(channel, "channel", error);
    if (status == FQ_OK)
        status = event_check_name(event_type, "event_type", error);
    if (status == FQ_OK && max_bytes > 0 && data.len > max_bytes)
        status = fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                              "data is %zu bytes of JSON; at most %zu are "
                              "allowed",
                              data.len, max_bytes);
    return status;
}

static void
event_free(fq_event *event)
{
    fq_rcbuf_unref(event->channel);
    fq_rcbuf_unref(event->event_type);
    fq_rcbuf_unref(event->data);
    fq_rcbuf_unref(event->tenant_id);
    fq_rcbuf_unref(event->boundary);
    fq_rcbuf_unref(event->meta);
    fq_rcbuf_unref(event->span);
    fq_rcbuf_unref(event->position);
    if (event->doc != NULL)
        fq_json_free(event->doc);
    fq_free(event);
}

fq_status
fq_event_new(fq_str channel, fq_str event_type, fq_str data,
             uint64_t created_at_ns, size_t max_bytes, fq_event **pevent,
             fq_error *error)
{
    *pevent = NULL;
    fq_status status = event_check(channel, event_type, data, max_bytes,
                                   error);
    if (status != FQ_OK)
        return status;
    fq_event *event = fq_alloc_zero(sizeof(*event));
    if (event == NULL)
        goto nomem;
    event->n_refs = 1;
    event->created_at_ns = created_at_ns;
    event->is_reserved = fq_event_is_reserved(channel);
    status = fq_json_read(data, FQ_JSON_LONE_SURROGATES, &event->doc, error);
    if (status != FQ_OK)
        goto fail;
    if (!yyjson_is_obj(yyjson_doc_get_root(event->doc))) {
        status = fq_error_set(error, FQ_ERR_INVALID, 0,
                              "data must be a JSON object");
        goto fail;
    }
    if (fq_rcbuf_new(channel, &event->channel) != FQ_OK
        || fq_rcbuf_new(event_type, &event->event_type) != FQ_OK
        || fq_rcbuf_new(data, &event->data) != FQ_OK)
        goto nomem;
    *pevent = event;
    return FQ_OK;

nomem:
    status = fq_error_set(error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                          "out of memory");
fail:
    if (event != NULL)
        event_free(event);
    return status;
}

fq_status
fq_event_new_unreadable(fq_str channel, uint64_t created_at_ns,
                        fq_event **pevent)
{
    fq_status status = fq_event_new(channel, channel, FQ_STR_LIT("{}"),
                                    created_at_ns, 0, pevent, NULL);
    if (status == FQ_OK)
        (*pevent)->is_unreadable = true;
    return status;
}

static fq_status
event_copy_label(fq_str text, const char *what, fq_rcbuf **pcopy,
                 fq_error *error)
{
    if (text.len == 0)
        return FQ_OK;
    fq_status status = event_check_name(text, what, error);
    return status == FQ_OK ? fq_rcbuf_new(text, pcopy) : status;
}

static fq_status
event_copy_meta(fq_str meta, fq_rcbuf **pcopy, fq_error *error)
{
    if (meta.len == 0)
        return FQ_OK;
    if (meta.len > FQ_EVENT_META_MAX)
        return fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "meta is %zu bytes of JSON; at most %d are "
                            "allowed",
                            meta.len, FQ_EVENT_META_MAX);
    yyjson_doc *doc;
    fq_status status = fq_json_read(meta, FQ_JSON_LONE_SURROGATES, &doc,
                                    error);
    if (status == FQ_OK && !yyjson_is_obj(yyjson_doc_get_root(doc)))
        status = fq_error_set(error, FQ_ERR_INVALID, 0,
                              "meta must be a JSON object");
    fq_json_free(doc);
    return status == FQ_OK ? fq_rcbuf_new(meta, pcopy) : status;
}

fq_status
fq_event_label(fq_event *event, fq_str tenant_id, fq_str boundary, fq_str meta,
               fq_error *error)
{
    FQ_CHECK(event->tenant_id == NULL && event->boundary == NULL
             && event->meta == NULL);
    fq_status status = event_copy_label(tenant_id, "tenant_id",
                                        &event->tenant_id, error);
    if (status == FQ_OK)
        status = event_copy_label(boundary, "boundary", &event->boundary,
                                  error);
    if (status == FQ_OK)
        status = event_copy_meta(meta, &event->meta, error);
    return status;
}

fq_event *
fq_event_ref(fq_event *event)
{
    FQ_CHECK(event->n_refs + event->n_kept > 0 && event->n_refs < UINT32_MAX);
    event->n_refs++;
    return event;
}

void
fq_event_unref(fq_event *event)
{
    FQ_CHECK(event->n_refs > 0);
    if (--event->n_refs > 0)
        return;
    void (*done_cb)(fq_event *event, void *arg) = event->done_cb;
    event->done_cb = NULL;
    /* The callback may make a history drop it. */
    event->n_kept++;
    if (done_cb != NULL)
        done_cb(event, event->done_arg);
    fq_event_unkeep(event);
}

void
fq_event_keep(fq_event *event)
{
    FQ_CHECK(event->n_refs > 0);
    event->n_kept++;
}

void
fq_event_unkeep(fq_event *event)
{
    FQ_CHECK(event->n_kept > 0);
    if (--event->n_kept == 0 && event->n_refs == 0)
        event_free(event);
}

static size_t
rcbuf_n_bytes(const fq_rcbuf *rcbuf)
{
    return rcbuf != NULL ? sizeof(*rcbuf) + rcbuf->len + 1 : 0;
}

size_t
fq_event_n_bytes(const fq_event *event)
{
    /* The reader keeps a copy of the text and a value for each of its own. */
    size_t n_doc = yyjson_doc_get_val_count(event->doc) * sizeof(yyjson_val)
                   + yyjson_doc_get_read_size(event->doc);
    return sizeof(*event) + n_doc + rcbuf_n_bytes(event->channel)
           + rcbuf_n_bytes(event->event_type) + rcbuf_n_bytes(event->data)
           + rcbuf_n_bytes(event->tenant_id) + rcbuf_n_bytes(event->boundary)
           + rcbuf_n_bytes(event->meta);
}
