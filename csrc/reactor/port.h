/* SPDX-License-Identifier: MIT */
/* Where one client's traffic crosses between the reactor and an event loop
 * (or a polling thread). The reactor puts deliveries into the queue, the other
 * side takes them; texts from the client go the other way as jobs. The port's
 * lock guards the queue and the flags and is held for a few stores only.
 * Counted atomically by both sides and by the mail on its way. */
#ifndef FQ_REACTOR_PORT_H
#define FQ_REACTOR_PORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/metrics.h"
#include "engine/queue.h"
#include "reactor/backlog.h"
#include "reactor/mailbox.h"
#include "reactor/message_rate.h"
#include "reactor/reactor.h"

/* A close reason's maximum (RFC 6455 5.5: 125 bytes less the code). */
#define FQ_CLOSE_REASON_MAX 123
/* Texts posted and not yet read by the reactor: at the first number the loop
 * side stops receiving, at the second it goes on. */
#define FQ_PORT_UNREAD_MAX 64
#define FQ_PORT_UNREAD_LOW 16
#define FQ_PORT_UNREAD_BYTES_MAX (1u << 20)
/* A queue shorter than this has room for another value of a source, and for
 * more of what a client missed. */
#define FQ_PORT_ROOM 64

typedef struct fq_port fq_port;

struct fq_call;
struct fq_ticket;

/* Who stands behind the port on the reactor: a session or a feed. */
typedef struct fq_port_peer fq_port_peer;
typedef struct fq_port_peer_ops {
    /* One text from the client, borrowed. */
    void (*receive)(fq_port_peer *peer, fq_str text);
    /* The client sends too fast: nothing more of it is received until
     * fq_port_let_go(), to be called at |at_ns|. */
    void (*held)(fq_port_peer *peer, uint64_t at_ns);
    /* It has done so for too long, and is to be closed. */
    void (*flooded)(fq_port_peer *peer);
    /* The answer to a call the peer made; the call is borrowed. */
    void (*answer)(fq_port_peer *peer, struct fq_call *call);
    /* The queue has room again (asked for by fq_port_has_room). */
    void (*room)(fq_port_peer *peer);
    /* The client is gone: the peer lets go of the port and frees itself. */
    void (*disconnect)(fq_port_peer *peer);
} fq_port_peer_ops;

struct fq_port_peer {
    const fq_port_peer_ops *ops;
};

typedef struct fq_close {
    uint16_t code; /* 0: none asked for */
    uint8_t reason_len;
    char reason[FQ_CLOSE_REASON_MAX];
} fq_close;

struct fq_port {
    fq_mail mail; /* kind FQ_MAIL_PORT; one reference while in the mailbox */
    _Atomic uint32_t n_refs;
    fq_reactor *reactor; /* one memory reference */
    fq_mailbox *mailbox; /* one reference; where calls and news go. NULL: no
                           * loop, calls cannot be made */
    _Atomic uint64_t deadline_ns; /* when the peer may act by itself;
                                   * UINT64_MAX: never. Relaxed */
    bool is_polled; /* news are not posted: the taker comes by itself */
    void *owner;    /* loop: the Python side; NULL once it let go */
    fq_rcbuf *connection_id; /* one reference; set before the port is used */
    fq_port_peer *peer;      /* reactor: NULL once it let go */
    pthread_mutex_t lock;    /* guards what follows */
    fq_queue out;
    fq_backlog *backlog; /* counts what is in |out|; one reference */
    fq_close close;      /* to be carried out once out is empty */
    bool is_posted;      /* the mail is on its way */
    bool is_dead;        /* the loop side let go: push nothing more */
    bool is_lost;        /* the loop side is to let go: nobody is there */
    bool wants_room;
    bool is_room_posted;
    bool is_paused;               /* the loop side waits to receive */
    bool is_held;                 /* the same, because of |message_rate| */
    fq_message_rate message_rate; /* of what was received */
    uint32_t n_unread;
    size_t n_unread_bytes;
    struct fq_ticket *done; /* completed once the peer is gone, or NULL */
    fq_job room_job;       /* on its way while is_room_posted; one reference */
    fq_job disconnect_job; /* sent once, by the taker; one reference */
};

/* Two references: the caller's and the peer's to be. |mailbox| may be NULL.
 * What waits in the queue is counted in |backlog|. Thread: any. */
fq_status
fq_port_new(fq_reactor *reactor, fq_mailbox *mailbox, bool is_polled,
            void *owner, size_t max_items, size_t max_bytes,
            fq_backlog *backlog, fq_port **pport);
/* From a client that speaks through |port| come at most |per_s| messages a
 * second (0: any number), |burst| at once. To be called before any. */
void
fq_port_limit_messages(fq_port *port, double per_s, uint32_t burst);
fq_port *
fq_port_ref(fq_port *port);
void
fq_port_unref(fq_port *port);

/* ── the taker's side (loop or polling thread) ── */

/* Gives one text of the client (one reference, stolen in any case) to the
 * peer. *ppause is true when the taker should stop receiving until
 * fq_port_may_receive. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_port_receive(fq_port *port, fq_rcbuf *text, bool *ppause);

/* False: keep waiting; a port mail comes when it changes. */
bool
fq_port_may_receive(fq_port *port);

/* To be called for each port mail before taking; drops the mail's reference
 * (so hold one of your own). */
void
fq_port_mail_taken(fq_port *port);

/* Moves up to |max| items out, to be freed by fq_queue_item_fini. When nothing
 * is left, *pclose gets the close to carry out, code 0: none. */
size_t
fq_port_take(fq_port *port, fq_queue_item *items, size_t max,
             fq_close *pclose);

/* Completes |done| (one more reference is taken) after the peer has had all
 * texts received before. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. */
fq_status
fq_port_flush(fq_port *port, struct fq_ticket *done);

/* True when fq_port_take would give an item or a close. */
bool
fq_port_is_ready(fq_port *port);

/* True after fq_port_lose(): disconnect without sending anything more. */
bool
fq_port_is_lost(fq_port *port);

/* The client is gone: nothing is pushed any more, the peer is told. The
 * caller keeps its reference. When |pdone| is not NULL it is completed after
 * the peer is gone (one reference, stolen). Harmless twice: only the first call's
 * ticket waits, a later one is completed at once. */
void
fq_port_disconnect(fq_port *port, struct fq_ticket *done);

/* ── the peer's side (reactor) ── */

/* Queues *item, stealing its references on FQ_OK only, and tells the taker;
 * see fq_queue_offer for |key| and what is dropped for it. |metrics| counts
 * what was dropped and, if |is_delivery|, the delivery, before anybody can take
 * it: who has read a message finds it counted. Errors: FQ_ERR_FULL,
 * FQ_ERR_NOMEM, FQ_ERR_CLOSED (dead or closing). */
fq_status
fq_port_offer(fq_port *port, const fq_queue_item *item, fq_rcbuf *key,
              fq_metrics *metrics, bool is_delivery);

/* See queue.h; under the port's lock. */
size_t
fq_port_purge(fq_port *port, uint64_t sub_id);

/* Closes behind what is queued; |discard| drops that first. The first close
 * counts. |reason| is at most FQ_CLOSE_REASON_MAX bytes. */
void
fq_port_close(fq_port *port, uint16_t code, fq_str reason, bool discard);

/* Tells the taker to let go at once, whatever it is sending: nobody reads. */
void
fq_port_lose(fq_port *port);

/* The taker may receive again, if it is time; 0 then, else when to call
 * again. */
uint64_t
fq_port_let_go(fq_port *port, uint64_t now_ns);

/* True while the queue is short, and |n_items| more of some |n_bytes| together
 * (0: unknown) would not fill it; when false, the peer's room() is called once
 * it is shorter. */
bool
fq_port_has_room(fq_port *port, size_t n_items, size_t n_bytes);

/* The peer lets go of the port, dropping its reference. */
void
fq_port_peer_gone(fq_port *port);

#endif
