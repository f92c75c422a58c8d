/* SPDX-License-Identifier: MIT */
/* The functions by which hiredis builds a reply. The outermost part is one
 * block with its text, which is all there is to the answer of an XADD; what is
 * inside of a list is in an arena that the outermost part holds. */
#include "bus/redis_reply.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"

typedef struct whole {
    redisReply reply; /* first: what hiredis and its users see */
    fq_arena arena;   /* of what is inside */
    char text[];
} whole;

/* The arena of what |task| is a part of, or NULL: it is the whole. */
static fq_arena *
arena_of(const redisReadTask *task)
{
    if (task->parent == NULL)
        return NULL;
    while (task->parent != NULL)
        task = task->parent;
    return &((whole *)task->obj)->arena;
}

/* A reply of the task's type, zero else, in its place; with room for a text
 * of |len| at *ptext. NULL without memory. */
static redisReply *
new_reply(const redisReadTask *task, size_t len, char **ptext)
{
    fq_arena *arena = arena_of(task);
    redisReply *reply;
    if (len > SIZE_MAX / 2)
        return NULL;
    if (arena == NULL) {
        whole *self = fq_alloc(sizeof(*self) + len);
        if (self == NULL)
            return NULL;
        fq_arena_init(&self->arena, 0);
        reply = &self->reply;
        *ptext = self->text;
    } else {
        reply = fq_arena_alloc(arena, sizeof(*reply) + len);
        if (reply == NULL)
            return NULL;
        *ptext = (char *)(reply + 1);
        redisReply *list = task->parent->obj;
        list->element[task->idx] = reply;
    }
    memset(reply, 0, sizeof(*reply));
    reply->type = task->type;
    return reply;
}

static void *
create_string(const redisReadTask *task, char *text, size_t len)
{
    char *copy;
    redisReply *reply = new_reply(task, len + 1, &copy);
    if (reply == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    reply->str = copy;
    reply->len = len;
    return reply;
}

/* The elements follow, each in its place; nobody looks at them before. */
static void *
create_array(const redisReadTask *task, size_t n_elements)
{
    char *unused;
    redisReply *reply = new_reply(task, 0, &unused);
    if (reply == NULL || n_elements == 0)
        return reply;
    fq_arena *arena = arena_of(task);
    if (arena == NULL)
        arena = &((whole *)reply)->arena;
    reply->element = fq_arena_alloc_array(arena, sizeof(redisReply *),
                                          n_elements);
    reply->elements = n_elements;
    if (reply->element != NULL)
        return reply;
    if (task->parent == NULL)
        fq_redis_reply_free(reply);
    return NULL;
}

static void *
create_integer(const redisReadTask *task, long long value)
{
    char *unused;
    redisReply *reply = new_reply(task, 0, &unused);
    if (reply != NULL)
        reply->integer = value;
    return reply;
}

static void *
create_double(const redisReadTask *task, double value, char *text, size_t len)
{
    redisReply *reply = create_string(task, text, len);
    if (reply != NULL)
        reply->dval = value;
    return reply;
}

/* The task's type is that of what is missing. */
static void *
create_nil(const redisReadTask *task)
{
    redisReply *reply = create_integer(task, 0);
    if (reply != NULL)
        reply->type = REDIS_REPLY_NIL;
    return reply;
}

static void *
create_bool(const redisReadTask *task, int value)
{
    return create_integer(task, value != 0);
}

size_t
fq_redis_reply_n_bytes(const redisReply *reply)
{
    const whole *self = (const whole *)reply;
    return sizeof(*self) + self->arena.n_bytes;
}

void
fq_redis_reply_free(void *reply)
{
    if (reply == NULL)
        return;
    whole *self = reply;
    fq_arena_fini(&self->arena);
    fq_free(self);
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createDouble = create_double,
    .createNil = create_nil,
    .createBool = create_bool,
    .freeObject = fq_redis_reply_free,
};

void
fq_redis_reply_use(redisContext *context)
{
    context->reader->fn = &functions;
    context->reader->maxelements = FQ_REDIS_ELEMENTS_MAX;
}
