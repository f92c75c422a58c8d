/* SPDX-License-Identifier: MIT */
/* The inside of the Redis bus, for its own files: redis.c (its life, and
 * publishing), redis_sentinel.c (where the server is), redis_prepare.c (what it
 * finds in the keys), redis_reader.c (what it reads), redis_history.c
 * (positions, and what was before) and redis_trim.c (what is too old). Thread:
 * that of the loop. */
#ifndef FQ_BUS_REDIS_STATE_H
#define FQ_BUS_REDIS_STATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "bus/backoff.h"
#include "bus/bus.h"
#include "bus/lookup.h"
#include "bus/redis_connection.h"
#include "bus/redis_entry.h"
#include "bus/redis_settings.h"

/* The longest text of the epoch's key: ours have 16 digits, another program's
 * may have more; and the number of shards. */
#define FQ_REDIS_EPOCH_MAX 40

/* Questions of one look at the keys. */
enum {
    FQ_REDIS_ASK_CLUSTER,
    FQ_REDIS_ASK_ROLE,
    FQ_REDIS_ASK_EPOCH,
    FQ_REDIS_ASK_TRIM,   /* whether we may, if there is a maximum age */
    FQ_REDIS_ASK_SHARDS, /* the following, for the first of them */
};

/* Of one shard. */
enum {
    FQ_REDIS_ASK_LAST,
    FQ_REDIS_ASK_CURSOR,
    FQ_REDIS_ASK_ADDED,
    FQ_REDIS_ASKS_OF_SHARD,
};
#define FQ_REDIS_ASKS_MAX                                                     \
    (FQ_REDIS_ASK_SHARDS + FQ_REDIS_ASKS_OF_SHARD * FQ_REDIS_SHARDS_MAX)

/* Of one round of reading. */
enum {
    FQ_REDIS_READ_ENTRIES,
    FQ_REDIS_READ_EPOCH,
    FQ_REDIS_READ_CURSORS, /* of the first shard */
};
#define FQ_REDIS_READS_MAX (FQ_REDIS_READ_CURSORS + FQ_REDIS_SHARDS_MAX)

/* One stream, and how far we are in it. */
typedef struct fq_redis_shard {
    fq_str stream;      /* the name of its key */
    fq_redis_id cursor; /* everything up to it was read */
    bool is_unchecked;  /* it is not in the stream, which is known and told */
    fq_redis_id delivered; /* everything up to it was delivered */
    fq_redis_id added;     /* the last one that the server has acknowledged to
                            * us, or before the cursor */
    fq_redis_id kept;      /* what was delivered when it was trimmed last */
} fq_redis_shard;

/* Where events of one shard are that follow each other while the others stand
 * still: the text of their positions, without their own ids. */
typedef struct fq_redis_span {
    fq_rcbuf *text; /* NULL: there was no memory */
    size_t hole;    /* the bytes before the id */
    unsigned shard;
} fq_redis_span;

typedef enum fq_redis_phase {
    FQ_REDIS_FINDING,    /* Sentinel is asked where the server is */
    FQ_REDIS_LOOKING_UP, /* the address of the host */
    FQ_REDIS_CONNECTING, /* the writer */
    FQ_REDIS_PREPARING,  /* the keys are looked at */
    FQ_REDIS_JOINING,    /* the reader is connected */
    FQ_REDIS_RUNNING,    /* UP */
    FQ_REDIS_DRAINING,   /* the server takes no events: answers are awaited */
    FQ_REDIS_LEAVING,    /* until both connections are gone */
    FQ_REDIS_WAITING,    /* for the next attempt */
    FQ_REDIS_STOPPING,   /* answers are awaited */
    FQ_REDIS_STOPPED,    /* until everything is gone */
} fq_redis_phase;

typedef struct fq_redis {
    fq_bus bus;
    fq_bus_ops ops; /* of this one */
    fq_arena arena; /* of the settings and names */
    fq_redis_settings settings;
    fq_str epoch_key;
    unsigned n_shards;
    fq_redis_shard shards[FQ_REDIS_SHARDS_MAX];
    struct ssl_ctx_st *tls; /* NULL: none */
    uv_loop_t *loop;
    uv_timer_t tick;
    uv_timer_t retry;
    uv_idle_t more;     /* while there is a batch to be delivered */
    unsigned n_handles; /* of the three that are not closed */
    fq_redis_phase phase;
    uint64_t phase_at_ns; /* when it began */
    fq_lookup *lookup;
    fq_lookup_address address; /* of this attempt */
    unsigned n_attempts;
    fq_backoff backoff;
    void (*stopped_cb)(void *arg);
    void *stopped_arg;

    /* sentinel, of which there need be none */
    fq_redis_connection sentinel;
    fq_redis_settings sentinel_login; /* host and port: the one that is asked,
                                       * settings.sentinels[sentinel_at] */
    size_t sentinel_at;
    fq_lookup *sentinel_lookup;
    uint64_t sentinel_asked_at_ns; /* or begun to be connected */
    bool has_question;             /* it is not answered */
    unsigned n_asked_in_vain;      /* in this attempt */
    bool is_unknown; /* one of these does not know the primary's name */
    char primary_host[FQ_LOOKUP_HOST_MAX]; /* what settings.host is then */

    fq_redis_connection writer;
    fq_buf command;      /* the one that is being written */
    fq_list in_flight;   /* fq_bus_publication by node, oldest first */
    uint64_t ping_at_ns; /* the last one */
    bool has_ping;       /* it is not answered */
    uint64_t trimmed_at_ns;

    /* prepare */
    redisReply *answers[FQ_REDIS_ASKS_MAX];
    unsigned n_asked;     /* not answered */
    unsigned n_creations; /* of keys, one after the other */

    /* reader */
    fq_redis_connection reader;
    bool has_epoch;                 /* and with it cursors */
    char epoch[FQ_REDIS_EPOCH_MAX]; /* the text of the key */
    size_t epoch_len;               /* without the number of shards */
    redisReply *reads[FQ_REDIS_READS_MAX];
    unsigned n_reads; /* not answered */
    uint64_t read_at_ns;
    uint64_t count;    /* entries asked for of each stream; 0: none yet */
    redisReply *batch; /* streams whose entries are being delivered, or NULL */
    size_t at_stream;  /* one of them, of which this is the */
    fq_redis_span span; /* or none yet */
    size_t at;          /* its next entry */
    bool is_held;

    fq_list looks; /* into the history, see redis_history.c */
} fq_redis;

static inline fq_redis *
fq_redis_of(fq_bus *bus)
{
    return FQ_CONTAINER_OF(bus, fq_redis, bus);
}

/* Gives the connections up because of |message|, and tries again later. With
 * |is_passing| a first connection is still being made. Harmless when that is
 * under way. */
void
fq_redis_fail(fq_redis *self, const char *message, bool is_passing);

/* Asks the sentinels in turn, and calls fq_redis_found() with settings.host and
 * .port set, or fq_redis_fail(). */
void
fq_redis_find(fq_redis *self);
void
fq_redis_found(fq_redis *self);
/* Looks at the clock: at the sentinel that does not answer, and, while the bus
 * is running, at whether the primary is still the same one. */
void
fq_redis_sentinel_tick(fq_redis *self, uint64_t now_ns);
/* Lets go of the connection. */
void
fq_redis_sentinel_close(fq_redis *self);
void
fq_redis_sentinel_init(fq_redis *self);
/* Once the bus leaves; |self->sentinel| is gone. */
void
fq_redis_settle(fq_redis *self);

/* Whether |message|, an error of the server, says that it cannot serve now but
 * soon will: it loads its data, or is no primary. */
bool
fq_redis_is_passing(const char *message);

/* Looks at the keys through the writer, makes them if need be, tells of a gap
 * if there is one, and sets the cursor; then calls fq_redis_prepared(). */
void
fq_redis_prepare(fq_redis *self);
void
fq_redis_prepared(fq_redis *self);
/* Frees the answers that are there. */
void
fq_redis_prepare_fini(fq_redis *self);

/* How many entries of a stream to ask for when the last |count| brought
 * |n_entries| of together |n_bytes|. Redis bounds an answer by number alone; so it begins with
 * a few, goes on with more while there are as many, and with fewer the larger
 * they are. */
uint64_t
fq_redis_next_count(uint64_t count, size_t n_entries, size_t n_bytes);

/* Reads on through the reader, which is ready, unless it does already. */
void
fq_redis_read_on(fq_redis *self);
/* Deliveries go on. */
void
fq_redis_deliver_on(fq_redis *self);
/* Frees what was read and not delivered, which will be read again. */
void
fq_redis_read_fini(fq_redis *self);

/* Makes of |id|, that of an entry of |shard|, what users know the event by:
 * with several shards their ids may be the same, so that is added. */
void
fq_redis_name_event(const fq_redis *self, unsigned shard,
                    char id[FQ_EVENT_ID_MAX]);

/* *pspan is where the events of |shard| are while everything up to |ids|, one
 * for each shard, was delivered. */
void
fq_redis_span_init(fq_redis_span *pspan, const fq_redis *self,
                   const fq_redis_id *ids, unsigned shard);
void
fq_redis_span_fini(fq_redis_span *span);
/* Says that |event|, which has the id of its entry, is there. */
void
fq_redis_span_stamp(const fq_redis_span *span, const fq_redis *self,
                    fq_event *event);

/* While the bus is running: removes what is too old, now and then. */
void
fq_redis_trim_tick(fq_redis *self, uint64_t now_ns);

/* Of the table, see fq_bus_ops. */
fq_status
fq_redis_position(fq_bus *bus, fq_rcbuf **pposition);
fq_status
fq_redis_position_of(fq_bus *bus, const fq_event *event, fq_rcbuf **pposition);
bool
fq_redis_is_position(fq_bus *bus, fq_str text);
int
fq_redis_compare(fq_bus *bus, fq_str a, fq_str b);
size_t
fq_redis_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                      fq_str position);
void
fq_redis_read(fq_bus *bus, fq_bus_read *read);
void
fq_redis_cancel(fq_bus *bus, fq_bus_read *read);
/* Goes on with looks that waited for the connection or for a delivery. */
void
fq_redis_look_on(fq_redis *self);
/* Ends those that are left, when the connections are gone. */
void
fq_redis_look_fini(fq_redis *self);

#endif
