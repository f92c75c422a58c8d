/* SPDX-License-Identifier: MIT */
/* The life of the Redis bus, a state machine (fq_redis_phase), and publishing.
 * Thread: that of the loop.
 *
 * One attempt goes through FINDING to RUNNING; whatever goes wrong on the
 * way ends in fq_redis_fail(), which leaves both connections and begins again
 * after a while. The second connection is there because one that blocks in
 * XREAD can do nothing else. */
#include "bus/redis.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crc32.h"
#include "bus/redis_state.h"
#include "bus/redis_tls.h"

/* One attempt to connect may take so long. */
#define ATTEMPT_NS (5 * (uint64_t)FQ_NS_PER_S)
/* Memory kept for the next command. */
#define COMMAND_KEPT (64u << 10)
/* What is under way when the bus stops has so long to be answered. */
#define STOP_NS (1 * (uint64_t)FQ_NS_PER_S)

static void
attempt(fq_redis *self);

/* The clocks. Two times the keep-alive is how long a server may be gone before
 * that is noticed. It is asked five times per keep-alive, the clocks are looked
 * at twenty times, so the silence that it is given up for is shorter by the
 * time until the next question and by two looks: 8.5 s of the default's 10.
 * That is longer than a publisher waits by default, as a server that pauses for
 * a snapshot comes back. */
static uint64_t
ping_ns(const fq_redis *self)
{
    return self->settings.keep_alive_ms * (uint64_t)FQ_NS_PER_MS / 5;
}

static uint64_t
tick_ms(const fq_redis *self)
{
    return self->settings.keep_alive_ms / 20;
}

static uint64_t
silence_ns(const fq_redis *self)
{
    return 2 * self->settings.keep_alive_ms * (uint64_t)FQ_NS_PER_MS
           - ping_ns(self) - 2 * tick_ms(self) * FQ_NS_PER_MS;
}

static void
enter(fq_redis *self, fq_redis_phase phase)
{
    self->phase = phase;
    self->phase_at_ns = fq_clock_now_ns();
}

/* ── the end of an attempt, and of everything ── */

static void
on_retry(uv_timer_t *timer)
{
    attempt(FQ_CONTAINER_OF(timer, fq_redis, retry));
}

static void
on_handle_closed(uv_handle_t *handle)
{
    fq_redis *self = handle->data;
    if (--self->n_handles == 0)
        self->stopped_cb(self->stopped_arg);
}

static void
close_handles(fq_redis *self)
{
    uv_close((uv_handle_t *)&self->tick, on_handle_closed);
    uv_close((uv_handle_t *)&self->retry, on_handle_closed);
    uv_close((uv_handle_t *)&self->more, on_handle_closed);
}

static bool
are_gone(const fq_redis *self)
{
    return self->writer.context == NULL && self->reader.context == NULL
           && self->sentinel.context == NULL;
}

/* Goes on once all connections are gone. */
void
fq_redis_settle(fq_redis *self)
{
    if (!are_gone(self))
        return;
    if (self->phase == FQ_REDIS_LEAVING) {
        enter(self, FQ_REDIS_WAITING);
        uv_timer_start(&self->retry, on_retry,
                       fq_backoff_next_ms(&self->backoff, fq_clock_now_ns()),
                       0);
    } else if (self->phase == FQ_REDIS_STOPPED
               && !uv_is_closing((uv_handle_t *)&self->tick)) {
        fq_redis_look_fini(self);
        close_handles(self);
    }
}

/* Lets go of the connections; fq_redis_settle() follows, at once or when they
 * are gone. */
static void
leave(fq_redis *self, fq_redis_phase phase)
{
    enter(self, phase);
    fq_lookup_cancel(self->lookup);
    self->lookup = NULL;
    fq_redis_sentinel_close(self);
    fq_redis_connection_close(&self->reader);
    fq_redis_connection_close(&self->writer);
    fq_redis_read_fini(self);
    fq_redis_prepare_fini(self);
    fq_redis_settle(self);
}

bool
fq_redis_is_passing(const char *message)
{
    static const char *const words[] = {
        "LOADING ", "READONLY ", "MASTERDOWN ", "UNBLOCKED ", "BUSY ",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(message, words[i], strlen(words[i])) == 0)
            return true;
    }
    return false;
}

/* Says that the bus is not up because of |message|. */
static void
say_down(fq_redis *self, const char *message, bool is_passing)
{
    fq_error error;
    (void)fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS, "%s", message);
    bool is_first = self->bus.state == FQ_BUS_CONNECTING;
    fq_bus_set_state(&self->bus,
                     is_first && is_passing ? FQ_BUS_CONNECTING : FQ_BUS_DOWN,
                     &error);
}

void
fq_redis_fail(fq_redis *self, const char *message, bool is_passing)
{
    if (self->phase >= FQ_REDIS_LEAVING)
        return;
    bool is_up = self->phase == FQ_REDIS_RUNNING
                 || self->phase == FQ_REDIS_DRAINING;
    if (is_up && self->writer.context != NULL
        && !fq_list_is_empty(&self->in_flight)) {
        /* What becomes of these is still to be heard. */
        if (self->phase == FQ_REDIS_RUNNING)
            enter(self, FQ_REDIS_DRAINING);
        say_down(self, message, is_passing);
        return;
    }
    enter(self, FQ_REDIS_LEAVING); /* whatever the state makes others do */
    say_down(self, message, is_passing);
    if (self->phase == FQ_REDIS_LEAVING)
        leave(self, FQ_REDIS_LEAVING);
}

/* ── an attempt ── */

static void
on_gone(fq_redis *self, const fq_redis_connection *connection)
{
    if (self->phase < FQ_REDIS_LEAVING)
        fq_redis_fail(self, connection->error.message,
                      fq_redis_is_passing(connection->error.message));
    else
        fq_redis_settle(self);
}

static void
on_writer_gone(fq_redis_connection *connection)
{
    on_gone(FQ_CONTAINER_OF(connection, fq_redis, writer), connection);
}

static void
on_reader_gone(fq_redis_connection *connection)
{
    on_gone(FQ_CONTAINER_OF(connection, fq_redis, reader), connection);
}

static void
on_reader_ready(fq_redis_connection *connection)
{
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, reader);
    if (self->phase != FQ_REDIS_JOINING)
        return;
    enter(self, FQ_REDIS_RUNNING);
    fq_backoff_note_up(&self->backoff, fq_clock_now_ns());
    self->has_ping = false;
    self->ping_at_ns = fq_clock_now_ns();
    fq_redis_read_on(self);
    fq_bus_set_state(&self->bus, FQ_BUS_UP, NULL);
    fq_redis_look_on(self);
}

static void
on_writer_ready(fq_redis_connection *connection)
{
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, writer);
    if (self->phase != FQ_REDIS_CONNECTING)
        return;
    enter(self, FQ_REDIS_PREPARING);
    self->n_creations = 0;
    fq_redis_prepare(self);
}

static void
open_connection(fq_redis *self, fq_redis_connection *connection,
                const fq_lookup_address *address)
{
    fq_status status = fq_redis_connection_open(
        connection, self->loop, &self->settings, address, self->tls);
    if (status != FQ_OK)
        fq_redis_fail(self,
                      status == FQ_ERR_NOMEM ? fq_status_str(status)
                                             : connection->error.message,
                      false);
}

/* Both connections go to the address that answered first. */
void
fq_redis_prepared(fq_redis *self)
{
    if (self->phase == FQ_REDIS_RUNNING) {
        fq_redis_read_on(self);
        fq_redis_look_on(self);
        return;
    }
    enter(self, FQ_REDIS_JOINING);
    if (self->settings.host == NULL) {
        open_connection(self, &self->reader, NULL);
        return;
    }
    open_connection(self, &self->reader, &self->address);
}

static void
on_address(void *arg, fq_status status, const fq_lookup_address *addresses,
           size_t n_addresses, const fq_error *error)
{
    fq_redis *self = arg;
    self->lookup = NULL;
    if (status != FQ_OK) {
        fq_redis_fail(self, error->message, false);
        return;
    }
    /* Each attempt takes the next one, so that all have their turn. */
    self->address = addresses[self->n_attempts++ % n_addresses];
    enter(self, FQ_REDIS_CONNECTING);
    open_connection(self, &self->writer, &self->address);
}

void
fq_redis_found(fq_redis *self)
{
    self->bus.n_attempts++;
    if (self->settings.host == NULL) {
        enter(self, FQ_REDIS_CONNECTING);
        open_connection(self, &self->writer, NULL);
        return;
    }
    enter(self, FQ_REDIS_LOOKING_UP);
    fq_status status = fq_lookup_start(self->loop, self->settings.host,
                                       self->settings.port, on_address, self,
                                       &self->lookup);
    if (status != FQ_OK)
        fq_redis_fail(self, fq_status_str(status), true);
}

static void
attempt(fq_redis *self)
{
    enter(self, FQ_REDIS_FINDING);
    if (self->settings.n_sentinels > 0)
        fq_redis_find(self);
    else
        fq_redis_found(self);
}

/* ── publishing ── */

/* Answers |publication|, which is not in flight any more. */
static void
answer(fq_bus_publication *publication, fq_status status, const char *what,
       const char *message)
{
    fq_error error;
    if (what != NULL)
        (void)fq_error_set(&error, status, FQ_ERROR_NO_POS, "%s%s", what,
                           message);
    publication->done_cb(publication, status, what != NULL ? &error : NULL);
}

/* By the channel, with a hash that programs in every language have at hand
 * (docs/guide/redis.md). */
static unsigned
shard_of(const fq_redis *self, const fq_bus_publication *publication)
{
    if (self->n_shards == 1)
        return 0;
    return fq_crc32(fq_rcbuf_str(publication->event->channel))
           % self->n_shards;
}

static void
on_added(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, writer);
    fq_bus_publication *publication = arg;
    redisReply *reply = data;
    fq_list_remove(&publication->node);
    const char *message = reply == NULL ? NULL : fq_redis_reply_error(reply);
    if (reply == NULL) {
        if (self->phase <= FQ_REDIS_DRAINING)
            say_down(self, context->errstr, false);
        answer(publication, FQ_ERR_SYSTEM,
               "the connection to Redis was lost, and whether it has taken "
               "the event is not known: ",
               self->bus.error.message);
        return;
    }
    if (message == NULL) {
        fq_redis_id id;
        if (fq_redis_id_read(fq_str_make(reply->str, reply->len), &id)) {
            unsigned shard = shard_of(self, publication);
            self->shards[shard].added = id;
            fq_redis_id_write(id, publication->id);
            fq_redis_name_event(self, shard, publication->id);
        }
        answer(publication, FQ_OK, NULL, NULL);
    } else if (fq_redis_is_passing(message)) {
        if (self->phase == FQ_REDIS_RUNNING)
            enter(self, FQ_REDIS_DRAINING);
        if (self->phase == FQ_REDIS_DRAINING)
            say_down(self, message, false);
        answer(publication, FQ_ERR_AGAIN, NULL, NULL);
    } else {
        answer(publication, FQ_ERR_SYSTEM, "", message);
    }
    fq_redis_reply_free(reply);
    if (!fq_list_is_empty(&self->in_flight))
        return;
    if (self->phase == FQ_REDIS_DRAINING)
        leave(self, FQ_REDIS_LEAVING);
    else if (self->phase == FQ_REDIS_STOPPING)
        leave(self, FQ_REDIS_STOPPED);
}

static void
redis_publish(fq_bus *bus, fq_bus_publication *publication)
{
    fq_redis *self = fq_redis_of(bus);
    FQ_CHECK(self->phase == FQ_REDIS_RUNNING);
    fq_buf *command = &self->command;
    fq_buf_clear(command);
    fq_redis_xadd_write(command,
                        self->shards[shard_of(self, publication)].stream,
                        self->settings.max_events, publication->event);
    /* hiredis looks at the command's name with functions for C strings. */
    fq_buf_append_char(command, '\0');
    bool is_sent = fq_buf_status(command) == FQ_OK
                   && redisAsyncFormattedCommand(
                          self->writer.context, on_added, publication,
                          command->ptr, command->len - 1)
                          == REDIS_OK;
    if (command->cap > COMMAND_KEPT)
        fq_buf_fini(command);
    if (is_sent)
        fq_list_push_back(&self->in_flight, &publication->node);
    else
        answer(publication, FQ_ERR_NOMEM, "out of memory", "");
}

/* ── clocks ── */

static void
on_pong(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, writer);
    (void)arg;
    if (data == NULL)
        return;
    self->has_ping = false;
    fq_redis_reply_free(data);
}

/* Asks whether the server is there, or notices that it is not. */
static void
watch_server(fq_redis *self, uint64_t now_ns)
{
    uint64_t limit_ns = silence_ns(self);
    if ((self->has_ping && now_ns - self->ping_at_ns > limit_ns)
        || (self->n_reads > 0 && now_ns - self->read_at_ns > limit_ns)) {
        fq_error error;
        (void)fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                           "Redis has not answered for %.1f seconds",
                           (double)limit_ns / FQ_NS_PER_S);
        fq_redis_fail(self, error.message, true);
        return;
    }
    if (self->has_ping || now_ns - self->ping_at_ns < ping_ns(self))
        return;
    self->ping_at_ns = now_ns;
    self->has_ping = redisAsyncCommand(self->writer.context, on_pong, NULL,
                                       "PING")
                     == REDIS_OK;
}

static void
on_tick(uv_timer_t *timer)
{
    fq_redis *self = FQ_CONTAINER_OF(timer, fq_redis, tick);
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t passed_ns = now_ns - self->phase_at_ns;
    fq_redis_sentinel_tick(self, now_ns);
    switch (self->phase) {
    case FQ_REDIS_LOOKING_UP:
    case FQ_REDIS_CONNECTING:
    case FQ_REDIS_PREPARING:
    case FQ_REDIS_JOINING:
        if (passed_ns > ATTEMPT_NS)
            fq_redis_fail(self, "Redis has not answered for 5 seconds", true);
        break;
    case FQ_REDIS_RUNNING:
        watch_server(self, now_ns);
        if (self->phase == FQ_REDIS_RUNNING)
            fq_redis_trim_tick(self, now_ns);
        break;
    case FQ_REDIS_DRAINING:
        if (passed_ns > STOP_NS)
            leave(self, FQ_REDIS_LEAVING);
        break;
    case FQ_REDIS_STOPPING:
        if (passed_ns > STOP_NS)
            leave(self, FQ_REDIS_STOPPED);
        break;
    default:
        break;
    }
}

/* ── the table ── */

static void
redis_start(fq_bus *bus, uv_loop_t *loop)
{
    fq_redis *self = fq_redis_of(bus);
    self->loop = loop;
    uv_timer_init(loop, &self->tick);
    uv_timer_init(loop, &self->retry);
    uv_idle_init(loop, &self->more);
    self->tick.data = self->retry.data = self->more.data = self;
    self->n_handles = 3;
    uv_timer_start(&self->tick, on_tick, tick_ms(self), tick_ms(self));
    fq_bus_set_state(bus, FQ_BUS_CONNECTING, NULL);
    attempt(self);
}

static void
redis_stop(fq_bus *bus, void (*stopped_cb)(void *arg), void *arg)
{
    fq_redis *self = fq_redis_of(bus);
    self->stopped_cb = stopped_cb;
    self->stopped_arg = arg;
    bool is_waiting = !fq_list_is_empty(&self->in_flight)
                      && self->phase <= FQ_REDIS_DRAINING;
    enter(self, FQ_REDIS_STOPPING);
    uv_timer_stop(&self->retry);
    fq_bus_set_state(bus, FQ_BUS_CLOSED, NULL);
    if (!is_waiting)
        leave(self, FQ_REDIS_STOPPED);
}

static void
redis_hold(fq_bus *bus)
{
    fq_redis_of(bus)->is_held = true;
}

static void
redis_resume(fq_bus *bus)
{
    fq_redis *self = fq_redis_of(bus);
    self->is_held = false;
    if (self->phase == FQ_REDIS_RUNNING)
        fq_redis_deliver_on(self);
}

static void
redis_abandon(fq_bus *bus)
{
    fq_redis *self = fq_redis_of(bus);
    fq_redis_connection_abandon(&self->sentinel);
    fq_redis_connection_abandon(&self->writer);
    fq_redis_connection_abandon(&self->reader);
}

static void
redis_free(fq_bus *bus)
{
    fq_redis *self = fq_redis_of(bus);
    fq_redis_tls_free(self->tls);
    fq_arena_fini(&self->arena);
    fq_buf_fini(&self->command);
    fq_free(self);
}

static const fq_bus_ops redis_ops = {
    .bus_type = "redis",
    .publish = redis_publish,
    .start = redis_start,
    .stop = redis_stop,
    .hold = redis_hold,
    .resume = redis_resume,
    .position = fq_redis_position,
    .position_of = fq_redis_position_of,
    .is_position = fq_redis_is_position,
    .compare = fq_redis_compare,
    .count_before = fq_redis_count_before,
    .read = fq_redis_read,
    .cancel = fq_redis_cancel,
    .abandon = redis_abandon,
    .free = redis_free,
};

/* |group|:|name| */
static fq_status
make_name(fq_redis *self, const char *name, fq_str *pname)
{
    size_t len = strlen(self->settings.group) + 1 + strlen(name);
    char *text = fq_arena_alloc(&self->arena, len + 1);
    *pname = fq_str_make(text, len);
    if (text == NULL)
        return FQ_ERR_NOMEM;
    snprintf(text, len + 1, "%s:%s", self->settings.group, name);
    return FQ_OK;
}

fq_status
fq_bus_redis_new(const fq_redis_settings *settings, fq_bus **pbus,
                 fq_error *error)
{
    *pbus = NULL;
    uint64_t seed;
    if (getentropy(&seed, sizeof(seed)) != 0)
        return fq_error_set(error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                            "the system gives no random numbers");
    fq_redis *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_bus_init(&self->bus, &redis_ops);
    fq_arena_init(&self->arena, 0);
    fq_buf_init(&self->command);
    fq_backoff_init(&self->backoff, seed);
    fq_list_init(&self->in_flight);
    fq_list_init(&self->looks);
    fq_redis_connection_init(&self->writer);
    fq_redis_connection_init(&self->reader);
    self->writer.ready_cb = on_writer_ready;
    self->writer.gone_cb = on_writer_gone;
    self->reader.ready_cb = on_reader_ready;
    self->reader.gone_cb = on_reader_gone;
    fq_status status = fq_redis_settings_copy(settings, &self->arena,
                                              &self->settings);
    fq_redis_sentinel_init(self);
    FQ_CHECK(settings->keep_alive_ms >= FQ_REDIS_KEEP_ALIVE_MIN_MS);
    self->n_shards = self->settings.n_shards;
    FQ_CHECK(self->n_shards >= 1 && self->n_shards <= FQ_REDIS_SHARDS_MAX);
    self->ops = redis_ops;
    self->ops.is_partial = self->n_shards > 1;
    self->bus.ops = &self->ops;
    for (unsigned i = 0; i < self->n_shards && status == FQ_OK; i++) {
        char name[24] = "events";
        if (self->n_shards > 1)
            snprintf(name, sizeof(name), "events:%u", i);
        status = make_name(self, name, &self->shards[i].stream);
    }
    if (status == FQ_OK)
        status = make_name(self, "epoch", &self->epoch_key);
    if (status == FQ_OK && settings->has_tls)
        status = fq_redis_tls_new(&self->settings, &self->tls, error);
    if (status != FQ_OK) {
        redis_free(&self->bus);
        return status;
    }
    *pbus = &self->bus;
    return FQ_OK;
}
