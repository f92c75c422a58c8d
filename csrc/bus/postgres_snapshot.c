/* SPDX-License-Identifier: MIT */
/* Snapshots of PostgreSQL as text and as sorted numbers. */
#include "bus/postgres_snapshot.h"

#include <string.h>

#include "base/alloc.h"

void
fq_postgres_snapshot_init(fq_postgres_snapshot *self)
{
    *self = (fq_postgres_snapshot){.xmax = 0};
}

void
fq_postgres_snapshot_fini(fq_postgres_snapshot *self)
{
    fq_free(self->xip);
    fq_postgres_snapshot_init(self);
}

/* Takes a number off the front of |text|. */
static bool
take_number(fq_str *text, uint64_t *pvalue)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text->ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *pvalue = value;
    *text = fq_str_make(text->ptr + i, text->len - i);
    return i > 0;
}

static bool
take_char(fq_str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = fq_str_make(text->ptr + 1, text->len - 1);
    return true;
}

static fq_status
add_xid(fq_postgres_snapshot *self, uint64_t xid)
{
    if (self->n_xip > 0 && xid <= self->xip[self->n_xip - 1])
        return FQ_ERR_SYNTAX;
    if (self->n_xip == FQ_POSTGRES_XIDS_MAX)
        return FQ_ERR_LIMIT;
    uint64_t *xip = fq_alloc_grow(self->xip, sizeof(*xip), self->n_xip + 1, 16,
                                  &self->cap);
    if (xip == NULL)
        return FQ_ERR_NOMEM;
    self->xip = xip;
    self->xip[self->n_xip++] = xid;
    return FQ_OK;
}

fq_status
fq_postgres_snapshot_read(fq_postgres_snapshot *self, fq_str text)
{
    fq_postgres_snapshot new;
    fq_postgres_snapshot_init(&new);
    uint64_t xmin;
    fq_status status = FQ_ERR_SYNTAX;
    if (!take_number(&text, &xmin) || !take_char(&text, ':')
        || !take_number(&text, &new.xmax) || !take_char(&text, ':')
        || xmin == 0 || xmin > new.xmax)
        return status;
    while (text.len > 0) {
        uint64_t xid;
        if ((new.n_xip > 0 && !take_char(&text, ','))
            || !take_number(&text, &xid) || xid < xmin || xid >= new.xmax)
            goto fail;
        status = add_xid(&new, xid);
        if (status != FQ_OK)
            goto fail;
        status = FQ_ERR_SYNTAX;
    }
    fq_postgres_snapshot_swap(self, &new);
    fq_postgres_snapshot_fini(&new);
    return FQ_OK;

fail:
    fq_postgres_snapshot_fini(&new);
    return status;
}

fq_status
fq_postgres_snapshot_copy(fq_postgres_snapshot *to,
                          const fq_postgres_snapshot *from)
{
    uint64_t *xip = NULL;
    if (from->n_xip > 0) {
        xip = fq_alloc(from->n_xip * sizeof(*xip));
        if (xip == NULL)
            return FQ_ERR_NOMEM;
        memcpy(xip, from->xip, from->n_xip * sizeof(*xip));
    }
    fq_free(to->xip);
    *to = (fq_postgres_snapshot){from->xmax, xip, from->n_xip, from->n_xip};
    return FQ_OK;
}

void
fq_postgres_snapshot_swap(fq_postgres_snapshot *to, fq_postgres_snapshot *from)
{
    fq_postgres_snapshot was = *to;
    *to = *from;
    *from = was;
}

bool
fq_postgres_snapshot_contains(const fq_postgres_snapshot *self, uint64_t xid)
{
    if (xid >= self->xmax)
        return false;
    size_t low = 0;
    size_t high = self->n_xip;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->xip[middle] < xid)
            low = middle + 1;
        else
            high = middle;
    }
    return low == self->n_xip || self->xip[low] != xid;
}

/* What had not ended in |self|, below other->xmax, must be in other->xip. */
bool
fq_postgres_snapshot_includes(const fq_postgres_snapshot *self,
                              const fq_postgres_snapshot *other)
{
    size_t at = 0;
    for (size_t i = 0; i < self->n_xip && self->xip[i] < other->xmax; i++) {
        while (at < other->n_xip && other->xip[at] < self->xip[i])
            at++;
        if (at == other->n_xip || other->xip[at] != self->xip[i])
            return false;
    }
    /* From self->xmax on nothing had ended in |self|: each of these that had
     * started in |other| must have been in progress there. */
    if (self->xmax >= other->xmax)
        return true;
    while (at < other->n_xip && other->xip[at] < self->xmax)
        at++;
    return other->n_xip - at == other->xmax - self->xmax;
}

uint64_t
fq_postgres_snapshot_xmin(const fq_postgres_snapshot *self)
{
    return self->n_xip > 0 ? self->xip[0] : self->xmax;
}

static void
write_xip(const fq_postgres_snapshot *self, fq_buf *buf)
{
    for (size_t i = 0; i < self->n_xip; i++) {
        if (i > 0)
            fq_buf_append_char(buf, ',');
        fq_buf_append_uint(buf, self->xip[i]);
    }
}

void
fq_postgres_snapshot_write(const fq_postgres_snapshot *self, fq_buf *buf)
{
    fq_buf_append_uint(buf, fq_postgres_snapshot_xmin(self));
    fq_buf_append_char(buf, ':');
    fq_buf_append_uint(buf, self->xmax);
    fq_buf_append_char(buf, ':');
    write_xip(self, buf);
}

void
fq_postgres_snapshot_write_xip(const fq_postgres_snapshot *self, fq_buf *buf)
{
    fq_buf_append_char(buf, '{');
    write_xip(self, buf);
    fq_buf_append_char(buf, '}');
}
