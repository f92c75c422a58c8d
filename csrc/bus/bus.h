/* SPDX-License-Identifier: MIT */
/* What the engine expects of a bus, whoever carries the events: that they come
 * to listeners in one order, and that what came can be read again from a
 * position on. A bus is shared by the engines that listen to it. Thread:
 * reactor, except where a function says any. */
#ifndef FQ_BUS_BUS_H
#define FQ_BUS_BUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "bus/history.h"

/* The longest text of a position; one of PostgreSQL names transactions. It
 * consists of characters that need no escape in JSON, URLs and headers. */
#define FQ_BUS_POSITION_MAX 1024

typedef struct fq_bus fq_bus;
/* As uv.h has it, which the engine, that sees this, does not. */
typedef struct uv_loop_s uv_loop_t;

/* One engine's ear. Embedded in its owner; in the bus's list while it
 * listens. */
typedef struct fq_bus_listener {
    fq_list node;
    /* Every event of the bus, in bus order. Borrows |event|. */
    void (*event_cb)(struct fq_bus_listener *listener, fq_event *event);
} fq_bus_listener;

/* How it stands with the server. */
typedef enum fq_bus_state {
    FQ_BUS_IDLE,       /* start() was not called yet */
    FQ_BUS_CONNECTING, /* for the first time */
    FQ_BUS_UP,         /* it takes events; the embedded one always does */
    FQ_BUS_DOWN,       /* an attempt failed, or the connection was lost, and
                        * it tries again; |error| says why */
    FQ_BUS_CLOSED,     /* stop() was called */
} fq_bus_state;

/* Who wants to know how the bus does. Embedded in its owner; in the bus's list
 * while it watches. */
typedef struct fq_bus_watcher {
    fq_list node;
    /* bus->state is another one. May be NULL. */
    void (*state_cb)(struct fq_bus_watcher *watcher);
    /* The state is the same, and bus->error says why, again. May be NULL. */
    void (*error_cb)(struct fq_bus_watcher *watcher);
    /* Between the events delivered before and those that come now others are
     * missing, nobody can say which; |reason| is a sentence. May be NULL. */
    void (*gap_cb)(struct fq_bus_watcher *watcher, fq_str reason);
    /* An entry of the server is no event; |reason| is a sentence. May be
     * NULL. */
    void (*unreadable_cb)(struct fq_bus_watcher *watcher, fq_str reason);
} fq_bus_watcher;

/* One event on its way to the server, owned by who publishes. */
typedef struct fq_bus_publication {
    fq_list node;    /* the bus's until the answer */
    fq_event *event; /* kept by the owner until the answer, and not changed */
    char id[FQ_EVENT_ID_MAX]; /* FQ_OK: what the bus calls it */
    /* The answer, once, before publish() returns or later. FQ_OK: the bus has
     * it. FQ_ERR_AGAIN: it was certainly not taken, the state is not UP any
     * more; to be given again when it is. Others: with |error|, in the words
     * of the server; unless those tell it is not known whether it was taken.
     */
    void (*done_cb)(struct fq_bus_publication *self, fq_status status,
                    const fq_error *error);
} fq_bus_publication;
/* One look into the history, owned by who asks. */
typedef struct fq_bus_read {
    fq_rcbuf *after;   /* position; one reference of the owner */
    fq_event **events; /* gets those behind |after|, oldest first, one
                        * reference each: the owner's from the answer on */
    size_t max_events; /* at most, > 0 */
    fq_list node;      /* the bus's until the answer, as is the next */
    uint64_t since_ns; /* when it was asked */
    /* The answer. FQ_OK: |n_events| are in |events|, and with |is_end| nothing
     * has been delivered behind the last of them by now; none are given that
     * have not. FQ_ERR_LOST: the history does not reach back to |after|,
     * or never had it. Others: there is no telling now. */
    void (*done_cb)(struct fq_bus_read *read, fq_status status,
                    size_t n_events, bool is_end);
} fq_bus_read;

typedef struct fq_bus_ops {
    const char *bus_type; /* "memory", "redis", "postgresql" */
    /* Gives |event| its id at the door, where the bus can do that without
     * asking anybody; NULL otherwise. Thread: any, one at a time (the
     * reactor's publish lock is held), in the order of publish(). */
    void (*stamp)(fq_bus *bus, fq_event *event);
    /* Takes the event to the server, in the order of the calls, many at a
     * time, and sees that it reaches every listener, here and elsewhere. Only
     * while UP. Never blocks. */
    void (*publish)(fq_bus *bus, fq_bus_publication *publication);
    /* Connects, and goes on trying until stop(). NULL: there is nothing to
     * connect to, and no loop, stop, hold or resume. */
    void (*start)(fq_bus *bus, uv_loop_t *loop);
    /* Answers what was published, waiting a little for the server when it is
     * UP, closes all handles and says so, not before this returns. */
    void (*stop)(fq_bus *bus, void (*stopped_cb)(void *arg), void *arg);
    /* Between the two nothing is delivered; publishing goes on. */
    void (*hold)(fq_bus *bus);
    void (*resume)(fq_bus *bus);
    /* ── history; where read is NULL the bus has none ── */
    /* Where it is: behind what has been delivered. Errors: FQ_ERR_SYSTEM (it
     * does not know yet), FQ_ERR_NOMEM; *pposition is NULL then. */
    fq_status (*position)(fq_bus *bus, fq_rcbuf **pposition);
    /* Behind |event|, which it has delivered, or given as history. Errors:
     * FQ_ERR_NOMEM. */
    fq_status (*position_of)(fq_bus *bus, const fq_event *event,
                             fq_rcbuf **pposition);
    /* Whether |text|, which may be anything, is a position in this history;
     * one that passes may be lost all the same, which read() tells. Only what
     * has passed is given to the functions below. */
    bool (*is_position)(fq_bus *bus, fq_str text);
    /* Below 0 if |a| comes before |b|, 0 if it is the same, above 0 if it comes
     * after it. */
    int (*compare)(fq_bus *bus, fq_str a, fq_str b);
    /* compare() only tells whether two are the same. */
    bool is_partial;
    /* Where a position is lost, one that comes before it may well be known. */
    bool loses_alone;
    /* How many of |events|, an answer of read(), the first ones, are not
     * behind |position|, which compares at or above what was asked for, and
     * is not the same. SIZE_MAX: it can do nothing with that answer. */
    size_t (*count_before)(fq_bus *bus, fq_event *const *events,
                           size_t n_events, fq_str position);
    /* Reads the history: done_cb is called once, before this returns or later,
     * never from within fq_bus_deliver(), unless cancel() comes first. */
    void (*read)(fq_bus *bus, fq_bus_read *read);
    /* Forgets |read|, which has not been answered. */
    void (*cancel)(fq_bus *bus, fq_bus_read *read);
    /* In a forked child: closes the copies of its descriptors, and nothing
     * more (a farewell would be the parent's). NULL: it has none. Thread: any,
     * once. */
    void (*abandon)(fq_bus *bus);
    /* After stopped_cb, or without a start(). Thread: any. */
    void (*free)(fq_bus *bus);
} fq_bus_ops;

struct fq_bus {
    const fq_bus_ops *ops;
    fq_list listeners;
    fq_list watchers;
    bool is_delivering; /* inside fq_bus_deliver */
    fq_bus_state state; /* set by fq_bus_set_state() */
    bool was_up;
    fq_error error;      /* why it is not UP */
    unsigned n_attempts; /* to connect, since it was UP; the adapter counts */
    /* Counted for metrics; any thread reads. Relaxed: they are numbers,
     * nothing is read after them. */
    _Atomic uint64_t n_reconnects; /* times it was UP again */
    _Atomic uint64_t n_gaps;       /* times fq_bus_tell_gap() was called */
    _Atomic uint64_t
        n_unreadable;        /* entries of the server that are no event */
    _Atomic uint64_t lag_ns; /* age of the last event when it was delivered,
                               * by the clocks of two machines */
    _Atomic bool is_up;      /* state is FQ_BUS_UP */
    /* What the history holds in this process; any thread reads. Relaxed: they
     * are numbers, nothing is read after them. */
    _Atomic uint64_t history_events;
    _Atomic uint64_t history_bytes;
};

/* For adapters: sets up the part of a bus that all have; UP if there is no
 * start(), else IDLE. */
void
fq_bus_init(fq_bus *bus, const fq_bus_ops *ops);

/* The embedded bus: ids are offsets from 1, given by stamp(), which must have
 * seen an event before publish(); that reaches the listeners before it
 * returns and never fails. Its history is one ring within |limits|, which
 * read() answers from at once; its epoch is drawn here. Errors: FQ_ERR_NOMEM,
 * FQ_ERR_SYSTEM (no random numbers). */
fq_status
fq_bus_memory_new(const fq_history_limits *limits, fq_bus **pbus);

void
fq_bus_listen(fq_bus *bus, fq_bus_listener *listener);
/* Harmless when not listening. */
void
fq_bus_unlisten(fq_bus_listener *listener);

void
fq_bus_watch(fq_bus *bus, fq_bus_watcher *watcher);
/* Harmless when not watching. */
void
fq_bus_unwatch(fq_bus_watcher *watcher);

/* For adapters: says how it stands, with |error| when that is not UP (NULL: as
 * before), and tells the watchers if the state is another one. These may come
 * and go meanwhile; the first to watch is the first to know. */
void
fq_bus_set_state(fq_bus *bus, fq_bus_state state, const fq_error *error);
/* For adapters: tells the watchers of a gap, before the events behind it. */
void
fq_bus_tell_gap(fq_bus *bus, fq_str reason);

/* For adapters: counts an entry that is no event, and tells the watchers that
 * what the server calls |entry| is none, with the words of |error|. To those who
 * listen to its channel, if it has one, it is delivered all the same, as one
 * that is_unreadable. */
void
fq_bus_note_unreadable(fq_bus *bus, const char *entry, const fq_error *error);

/* For adapters: hands |event| (which has its id) to every listener. Listeners
 * may join and leave meanwhile: one that left is not called any more, one
 * that joined is called from the next event on. Not to be called from within
 * itself, or later listeners would see the inner event first; so event_cb
 * never publishes on the spot. */
void
fq_bus_deliver(fq_bus *bus, fq_event *event);

/* The position behind |event|, made when it is first asked for; borrowed from
 * the event. NULL without memory, or when no bus has delivered it. */
fq_rcbuf *
fq_bus_position_of(fq_event *event);

/* Frees a bus that has no listener left, and is stopped if it was started; not
 * from within a delivery. */
void
fq_bus_free(fq_bus *bus);

#endif
