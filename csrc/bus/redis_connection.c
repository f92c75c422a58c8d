/* SPDX-License-Identifier: MIT */
/* Connections by hiredis. Thread: that of the loop. */
#include "bus/redis_connection.h"

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "bus/hiredis_uv.h"
#include "bus/redis_tls.h"

/* Seconds without traffic after which the system asks whether the other side
 * is there, and between such questions. */
#define KEEP_ALIVE_S 5

const char *
fq_redis_reply_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR ? reply->str : NULL;
}

static void
note_error(fq_redis_connection *self, const char *message)
{
    if (self->error.status == FQ_OK)
        (void)fq_error_set(&self->error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS, "%s",
                           message);
}

/* hiredis frees the context next; all callbacks have been called. */
static void
on_gone(void *data)
{
    fq_redis_connection *self = data;
    if (!self->is_closing) {
        if (self->ssl != NULL)
            fq_redis_tls_explain(self->ssl, &self->error);
        const char *message = self->context->errstr;
        note_error(self, message != NULL && message[0] != '\0'
                             ? message
                             : "the connection was closed by the server");
    }
    self->context = NULL;
    self->ssl = NULL;
    atomic_store_explicit(&self->fd, -1, memory_order_relaxed);
    self->is_ready = false;
    self->gone_cb(self);
}

void
fq_redis_connection_init(fq_redis_connection *self)
{
    atomic_init(&self->fd, -1);
}

void
fq_redis_connection_abandon(fq_redis_connection *self)
{
    int fd = atomic_load_explicit(&self->fd, memory_order_relaxed);
    if (fd >= 0)
        close(fd);
}

/* A server that cannot save says so even to PING; it can be read from all the
 * same, and publishers are told by their own commands. */
static bool
is_usable(const char *message)
{
    return message == NULL || strncmp(message, "MISCONF ", 8) == 0;
}

static void
on_setup(redisAsyncContext *context, void *data, void *ignored)
{
    fq_redis_connection *self = context->data;
    redisReply *reply = data;
    (void)ignored;
    if (reply == NULL)
        return;
    const char *message = fq_redis_reply_error(reply);
    if (!is_usable(message)) {
        note_error(self, message);
        redisAsyncFree(context);
    } else if (--self->n_setup == 0 && !self->is_closing) {
        self->is_ready = true;
        self->ready_cb(self);
    }
    fq_redis_reply_free(reply);
}

static void
set_up(fq_redis_connection *self, const char *const *words, int n_words)
{
    self->n_setup++;
    (void)redisAsyncCommandArgv(self->context, on_setup, NULL, n_words,
                                (const char **)words, NULL);
}

/* The commands wait in hiredis until there is a connection. */
static void
log_in(fq_redis_connection *self, const fq_redis_settings *settings)
{
    if (settings->password != NULL && settings->user != NULL) {
        const char *words[] = {"AUTH", settings->user, settings->password};
        set_up(self, words, 3);
    } else if (settings->password != NULL) {
        const char *words[] = {"AUTH", settings->password};
        set_up(self, words, 2);
    }
    if (settings->database != 0) {
        char number[16];
        snprintf(number, sizeof(number), "%u", settings->database);
        const char *words[] = {"SELECT", number};
        set_up(self, words, 2);
    }
    const char *words[] = {"PING"};
    set_up(self, words, 1);
}

static fq_status
begin_tls(fq_redis_connection *self, const fq_redis_settings *settings,
          struct ssl_ctx_st *tls)
{
    SSL *ssl = fq_redis_tls_begin(tls, settings);
    if (ssl == NULL)
        return FQ_ERR_NOMEM;
    if (redisInitiateSSL(&self->context->c, ssl) != REDIS_OK) {
        /* A server nearby may have answered already. */
        fq_redis_tls_explain(ssl, &self->error);
        note_error(self, self->context->c.errstr);
        SSL_free(ssl);
        return FQ_ERR_SYSTEM;
    }
    self->ssl = ssl;
    return FQ_OK;
}

static void
on_connect(const redisAsyncContext *context, int status)
{
    fq_redis_connection *self = context->data;
    if (status == REDIS_OK)
        redisEnableKeepAliveWithInterval(
            (redisContext *)&((redisAsyncContext *)context)->c, KEEP_ALIVE_S);
    else
        note_error(self, context->errstr);
}

fq_status
fq_redis_connection_open(fq_redis_connection *self, uv_loop_t *loop,
                         const fq_redis_settings *settings,
                         const fq_lookup_address *address,
                         struct ssl_ctx_st *tls)
{
    redisOptions options;
    memset(&options, 0, sizeof(options));
    options.options = REDIS_OPT_NOAUTOFREEREPLIES | REDIS_OPT_SET_SOCK_CLOEXEC;
    if (address != NULL) {
        REDIS_OPTIONS_SET_TCP(&options, address->text, settings->port);
    } else {
        REDIS_OPTIONS_SET_UNIX(&options, settings->path);
    }
    self->error = (fq_error){.status = FQ_OK};
    self->is_closing = self->is_ready = false;
    self->n_setup = 0;
    self->ssl = NULL;
    self->context = redisAsyncConnectWithOptions(&options);
    if (self->context == NULL)
        return FQ_ERR_NOMEM;
    fq_redis_reply_use(&self->context->c);
    fq_status status = FQ_OK;
    if (self->context->err != 0) {
        note_error(self, self->context->errstr);
        status = FQ_ERR_SYSTEM;
    }
    if (status == FQ_OK && tls != NULL)
        status = begin_tls(self, settings, tls);
    if (status == FQ_OK)
        status = fq_hiredis_uv_attach(self->context, loop);
    if (status != FQ_OK) {
        redisAsyncFree(self->context);
        self->context = NULL;
        return status;
    }
    atomic_store_explicit(&self->fd, self->context->c.fd,
                          memory_order_relaxed);
    self->context->data = self;
    self->context->dataCleanup = on_gone;
    redisAsyncSetConnectCallback(self->context, on_connect);
    log_in(self, settings);
    return FQ_OK;
}

void
fq_redis_connection_close(fq_redis_connection *self)
{
    if (self->context == NULL || self->is_closing)
        return;
    self->is_closing = true;
    redisAsyncFree(self->context);
}
