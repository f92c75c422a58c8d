/* SPDX-License-Identifier: MIT */
/* One poll handle per connection. It outlives the connection by the turn of
 * the loop that closes it. Thread: that of the loop. */
#include "bus/hiredis_uv.h"

#include <hiredis/async.h>

#include "base/alloc.h"
#include "base/list.h"

typedef struct watch {
    uv_poll_t poll;
    redisAsyncContext *context; /* NULL once it is freed */
    int events;                 /* UV_READABLE, UV_WRITABLE */
} watch;

/* Either call may free the context, which detaches itself then. */
static void
on_poll(uv_poll_t *poll, int status, int events)
{
    watch *self = FQ_CONTAINER_OF(poll, watch, poll);
    /* hiredis finds out itself what is wrong with the socket. */
    if (status != 0)
        events = self->events;
    if (self->context != NULL && (events & UV_READABLE) != 0)
        redisAsyncHandleRead(self->context);
    if (self->context != NULL && (events & UV_WRITABLE) != 0)
        redisAsyncHandleWrite(self->context);
}

static void
set_events(watch *self, int events)
{
    if (events == self->events)
        return;
    self->events = events;
    if (events == 0)
        uv_poll_stop(&self->poll);
    else
        uv_poll_start(&self->poll, events, on_poll);
}

static void
add_read(void *data)
{
    watch *self = data;
    set_events(self, self->events | UV_READABLE);
}

static void
del_read(void *data)
{
    watch *self = data;
    set_events(self, self->events & ~UV_READABLE);
}

static void
add_write(void *data)
{
    watch *self = data;
    set_events(self, self->events | UV_WRITABLE);
}

static void
del_write(void *data)
{
    watch *self = data;
    set_events(self, self->events & ~UV_WRITABLE);
}

static void
on_closed(uv_handle_t *handle)
{
    fq_free(FQ_CONTAINER_OF((uv_poll_t *)handle, watch, poll));
}

/* hiredis closes the socket next. */
static void
cleanup(void *data)
{
    watch *self = data;
    self->context = NULL;
    uv_close((uv_handle_t *)&self->poll, on_closed);
}

fq_status
fq_hiredis_uv_attach(redisAsyncContext *context, uv_loop_t *loop)
{
    watch *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    if (uv_poll_init_socket(loop, &self->poll, context->c.fd) != 0) {
        fq_free(self);
        return FQ_ERR_SYSTEM;
    }
    self->context = context;
    context->ev.data = self;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = cleanup;
    return FQ_OK;
}
