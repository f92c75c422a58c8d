/* SPDX-License-Identifier: MIT */
/* Where a Redis is, how to get in, and how the bus lives there. Plain data;
 * config.py has checked it. */
#ifndef FQ_BUS_REDIS_SETTINGS_H
#define FQ_BUS_REDIS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* Sentinels that are asked in turn: deployments have three or five. */
#define FQ_REDIS_SENTINELS_MAX 16

/* Streams of one deployment: more than the threads of a server's input and
 * output are of no use, and a position names an entry of each. */
#define FQ_REDIS_SHARDS_MAX 16

/* A round of reading waits 250 ms for entries, and that is no silence yet. */
#define FQ_REDIS_KEEP_ALIVE_MIN_MS 1000

typedef struct fq_redis_endpoint {
    const char *host;
    uint16_t port;
} fq_redis_endpoint;

/* Texts are terminated; NULL: not given. */
typedef struct fq_redis_settings {
    const char *host; /* NULL: |path| is a unix socket, or Sentinel is asked */
    const char *path;
    const char *user;
    const char *password;
    const char *group;       /* the consumer group, which names the keys */
    bool has_tls;            /* and with it: */
    const char *ca_file;     /* whom to trust; NULL: whom the system does */
    const char *cert_file;   /* who we are */
    const char *key_file;    /* likewise */
    const char *server_name; /* in its certificate; NULL: |host| */
    uint64_t max_events;     /* kept in each stream, about */
    uint64_t max_age_ms;     /* of what is kept, about; 0: any */
    unsigned n_shards;       /* streams, from 1 on */
    uint32_t keep_alive_ms;  /* a server that is gone is noticed within two of
                              * these; at least FQ_REDIS_KEEP_ALIVE_MIN_MS */
    uint32_t database;
    uint16_t port;
    fq_redis_endpoint sentinels[FQ_REDIS_SENTINELS_MAX];
    size_t n_sentinels;  /* 0: |host| or |path| is the server; else: */
    const char *primary; /* what they call it */
    const char *sentinel_user;
    const char *sentinel_password;
} fq_redis_settings;

/* *into is |from| with its texts in |arena|. Errors: FQ_ERR_NOMEM. */
fq_status
fq_redis_settings_copy(const fq_redis_settings *from, fq_arena *arena,
                       fq_redis_settings *into);

#endif
