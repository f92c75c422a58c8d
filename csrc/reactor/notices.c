/* SPDX-License-Identifier: MIT */
/* Notices. The lock is held for a copy of some hundred bytes, by whoever that
 * is; so who fills the ring never waits for who writes the log. */
#include "reactor/notices.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/rate_limit.h"
#include "json/utf8.h"

struct fq_notices {
    _Atomic uint32_t n_refs;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t cond;
    bool is_closed;
    size_t head; /* of the ring: the oldest */
    size_t n_texts;
    uint64_t n_suppressed; /* since one was let in */
    fq_rate_limit limit;
    fq_notice ring[FQ_NOTICES_MAX];
};

fq_status
fq_notices_new(fq_notices **pnotices)
{
    *pnotices = NULL;
    fq_notices *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        fq_free(self);
        return FQ_ERR_NOMEM;
    }
    if (pthread_cond_init(&self->cond, NULL) != 0) {
        pthread_mutex_destroy(&self->lock);
        fq_free(self);
        return FQ_ERR_NOMEM;
    }
    atomic_init(&self->n_refs, 1);
    *pnotices = self;
    return FQ_OK;
}

fq_notices *
fq_notices_ref(fq_notices *notices)
{
    atomic_fetch_add_explicit(&notices->n_refs, 1, memory_order_relaxed);
    return notices;
}

void
fq_notices_unref(fq_notices *notices)
{
    if (notices == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&notices->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    pthread_cond_destroy(&notices->cond);
    pthread_mutex_destroy(&notices->lock);
    fq_free(notices);
}

/* Whether one more may be said now; else it is counted. */
static bool
is_let_in(fq_notices *self, uint64_t now_ns)
{
    fq_rate rate = fq_rate_make(FQ_NOTICES_PER_S, FQ_NOTICES_BURST);
    if (!self->is_closed && self->n_texts < FQ_NOTICES_MAX
        && fq_rate_limit_take(&self->limit, &rate, now_ns))
        return true;
    self->n_suppressed++;
    return false;
}

/* Puts |text| at the end, with how many before it were not said. */
static void
push(fq_notices *self, fq_str text)
{
    size_t at = (self->head + self->n_texts++) % FQ_NOTICES_MAX;
    char *into = self->ring[at].text;
    int len = 0;
    if (self->n_suppressed > 0)
        len = snprintf(into, FQ_NOTICE_TEXT_MAX, "(%llu more not shown) ",
                       (unsigned long long)self->n_suppressed);
    self->n_suppressed = 0;
    text = fq_utf8_truncate(text, FQ_NOTICE_TEXT_MAX - 1 - (size_t)len);
    memcpy(into + len, text.ptr, text.len);
    into[(size_t)len + text.len] = '\0';
}

void
fq_notices_add(fq_notices *notices, uint64_t now_ns, const char *format, ...)
{
    if (notices == NULL)
        return;
    /* A character longer than what is kept, so as to cut between two. */
    char text[FQ_NOTICE_TEXT_MAX + 4];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        return;
    size_t n = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    pthread_mutex_lock(&notices->lock);
    bool is_in = is_let_in(notices, now_ns);
    if (is_in)
        push(notices, fq_str_make(text, n));
    pthread_mutex_unlock(&notices->lock);
    if (is_in)
        pthread_cond_signal(&notices->cond);
}

fq_status
fq_notices_take(fq_notices *notices, fq_notice *pnotice)
{
    fq_status status = FQ_ERR_CLOSED;
    pthread_mutex_lock(&notices->lock);
    while (notices->n_texts == 0 && !notices->is_closed)
        pthread_cond_wait(&notices->cond, &notices->lock);
    if (notices->n_texts > 0) {
        *pnotice = notices->ring[notices->head];
        notices->head = (notices->head + 1) % FQ_NOTICES_MAX;
        notices->n_texts--;
        status = FQ_OK;
    }
    pthread_mutex_unlock(&notices->lock);
    return status;
}

void
fq_notices_close(fq_notices *notices)
{
    if (notices == NULL)
        return;
    pthread_mutex_lock(&notices->lock);
    notices->is_closed = true;
    pthread_mutex_unlock(&notices->lock);
    pthread_cond_broadcast(&notices->cond);
}
