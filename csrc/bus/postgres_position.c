/* SPDX-License-Identifier: MIT */
/* Positions as texts: `p1.<tag>.<snapshot>`, or `p1.<tag>.<snapshot>.<snapshot>
 * .<id>`, numbers in hexadecimal digits. A snapshot is its xmax and then, each
 * behind a `-`, how far it is down from one transaction in progress to the
 * next, as these are mostly neighbours. */
#include "bus/postgres_position.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "bus/bus.h"

void
fq_postgres_position_init(fq_postgres_position *self)
{
    fq_postgres_snapshot_init(&self->seen);
    fq_postgres_snapshot_init(&self->next);
    self->is_between = false;
    self->id = 0;
}

void
fq_postgres_position_fini(fq_postgres_position *self)
{
    fq_postgres_snapshot_fini(&self->seen);
    fq_postgres_snapshot_fini(&self->next);
    fq_postgres_position_init(self);
}

/* FNV-1a of Fowler, Noll and Vo: nobody gains by a collision, since a position
 * gives no right. */
uint64_t
fq_postgres_position_tag(const char *epoch)
{
    uint64_t tag = UINT64_C(0xcbf29ce484222325);
    for (; *epoch != '\0'; epoch++)
        tag = (tag ^ (unsigned char)*epoch) * UINT64_C(0x100000001b3);
    return tag;
}

static void
write_snapshot(fq_buf *buf, const fq_postgres_snapshot *snapshot)
{
    uint64_t from = snapshot->xmax;
    fq_buf_append_format(buf, "%" PRIx64, from);
    for (size_t i = snapshot->n_xip; i-- > 0; from = snapshot->xip[i])
        fq_buf_append_format(buf, "-%" PRIx64, from - snapshot->xip[i]);
}

fq_status
fq_postgres_position_span(uint64_t tag, const fq_postgres_snapshot *seen,
                          const fq_postgres_snapshot *next, fq_rcbuf **pspan)
{
    *pspan = NULL;
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_format(&buf, "p1.%016" PRIx64 ".", tag);
    write_snapshot(&buf, seen);
    if (next != NULL) {
        fq_buf_append_char(&buf, '.');
        write_snapshot(&buf, next);
    }
    fq_status status = fq_buf_to_rcbuf(&buf, pspan);
    fq_buf_fini(&buf);
    return status;
}

fq_status
fq_postgres_position_make(fq_str span, uint64_t id, fq_rcbuf **pposition)
{
    *pposition = NULL;
    char text[24];
    int len = snprintf(text, sizeof(text), ".%" PRIx64, id);
    const fq_str parts[] = {span, fq_str_make(text, (size_t)len)};
    if (span.len + (size_t)len > FQ_BUS_POSITION_MAX)
        return FQ_ERR_LIMIT;
    return fq_rcbuf_concat(parts, 2, pposition);
}

/* ── reading ── */

/* Takes a number without leading zeros off the front. */
static bool
take_hex(fq_str *text, uint64_t *pvalue)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < text->len && n < 16; n++) {
        char c = text->ptr[n];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            break;
    }
    if (n == 0 || (n > 1 && text->ptr[0] == '0'))
        return false;
    *pvalue = value;
    *text = fq_str_make(text->ptr + n, text->len - n);
    return true;
}

static bool
take(fq_str *text, const char *expected)
{
    size_t len = strlen(expected);
    if (text->len < len || memcmp(text->ptr, expected, len) != 0)
        return false;
    *text = fq_str_make(text->ptr + len, text->len - len);
    return true;
}

/* Puts the numbers into the words of the server, which has a reader. */
static fq_status
take_snapshot(fq_str *text, fq_postgres_snapshot *snapshot)
{
    uint64_t xids[FQ_BUS_POSITION_MAX / 2];
    size_t n = 0;
    if (!take_hex(text, &xids[n++]))
        return FQ_ERR_INVALID;
    while (take(text, "-")) {
        uint64_t down;
        if (n == sizeof(xids) / sizeof(xids[0]) || !take_hex(text, &down)
            || down == 0 || down >= xids[n - 1])
            return FQ_ERR_INVALID;
        xids[n] = xids[n - 1] - down;
        n++;
    }
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append_uint(&buf, xids[n - 1]);
    fq_buf_append_char(&buf, ':');
    fq_buf_append_uint(&buf, xids[0]);
    fq_buf_append_char(&buf, ':');
    for (size_t i = n; i-- > 1;) {
        fq_buf_append_uint(&buf, xids[i]);
        if (i > 1)
            fq_buf_append_char(&buf, ',');
    }
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK)
        status = fq_postgres_snapshot_read(snapshot, fq_buf_str(&buf));
    fq_buf_fini(&buf);
    return status == FQ_OK || status == FQ_ERR_NOMEM ? status : FQ_ERR_INVALID;
}

fq_status
fq_postgres_position_read(fq_postgres_position *self, uint64_t tag,
                          fq_str text)
{
    fq_postgres_position_init(self);
    char head[32];
    snprintf(head, sizeof(head), "p1.%016" PRIx64 ".", tag);
    if (text.len > FQ_BUS_POSITION_MAX || !take(&text, head))
        return FQ_ERR_INVALID;
    fq_status status = take_snapshot(&text, &self->seen);
    if (status == FQ_OK && text.len > 0) {
        self->is_between = true;
        status = take(&text, ".") ? take_snapshot(&text, &self->next)
                                  : FQ_ERR_INVALID;
        if (status == FQ_OK
            && (!take(&text, ".") || !take_hex(&text, &self->id)
                || text.len > 0 || self->id > INT64_MAX
                || !fq_postgres_snapshot_includes(&self->next, &self->seen)))
            status = FQ_ERR_INVALID;
    }
    if (status != FQ_OK)
        fq_postgres_position_fini(self);
    return status;
}

/* ── comparing ── */

/* What takes its place in the order from the front of |text|: of two snapshots
 * of one server the later one has the greater xmax or, where they are equal,
 * fewer in progress. */
typedef struct rank {
    uint64_t xmax;
    size_t n_xip;
    fq_str text;
} rank;

static rank
take_rank(fq_str *text)
{
    const char *begin = text->ptr;
    rank found = {.xmax = 0};
    uint64_t down;
    (void)take_hex(text, &found.xmax);
    while (take(text, "-") && take_hex(text, &down))
        found.n_xip++;
    found.text = fq_str_make(begin, (size_t)(text->ptr - begin));
    return found;
}

static int
compare_texts(fq_str a, fq_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, len);
    if (order != 0 || a.len == b.len)
        return order;
    return a.len < b.len ? -1 : 1;
}

static int
compare_ranks(const rank *a, const rank *b)
{
    if (a->xmax != b->xmax)
        return a->xmax < b->xmax ? -1 : 1;
    if (a->n_xip != b->n_xip)
        return a->n_xip > b->n_xip ? -1 : 1;
    return compare_texts(a->text, b->text);
}

int
fq_postgres_position_compare(fq_str a, fq_str b)
{
    if (fq_str_eq(a, b))
        return 0;
    fq_str texts[] = {a, b};
    rank seen[2], next[2];
    bool is_between[2];
    uint64_t ids[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        /* The form and the tag. */
        texts[i] = fq_str_make(texts[i].ptr + 20, texts[i].len - 20);
        seen[i] = take_rank(&texts[i]);
        is_between[i] = take(&texts[i], ".");
        next[i] = take_rank(&texts[i]);
        if (take(&texts[i], "."))
            (void)take_hex(&texts[i], &ids[i]);
    }
    int order = compare_ranks(&seen[0], &seen[1]);
    if (order != 0)
        return order;
    if (is_between[0] != is_between[1])
        return is_between[0] ? 1 : -1;
    order = compare_ranks(&next[0], &next[1]);
    if (order != 0)
        return order;
    if (ids[0] != ids[1])
        return ids[0] < ids[1] ? -1 : 1;
    return compare_texts(a, b);
}

bool
fq_postgres_position_is_in(fq_str position, fq_str span, uint64_t *pid)
{
    *pid = 0;
    const char *last = memrchr(span.ptr, '.', span.len);
    if (last == NULL)
        return false;
    if (fq_str_eq(position, fq_str_make(span.ptr, (size_t)(last - span.ptr))))
        return true;
    if (position.len <= span.len
        || memcmp(position.ptr, span.ptr, span.len) != 0)
        return false;
    fq_str rest = fq_str_make(position.ptr + span.len,
                              position.len - span.len);
    return take(&rest, ".") && take_hex(&rest, pid) && rest.len == 0;
}
