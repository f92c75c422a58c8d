/* SPDX-License-Identifier: MIT */
/* Entries. Whoever can write to the stream can write anything, so nothing is
 * taken for granted of what is read. */
#include "bus/redis_entry.h"

#include <string.h>

#include "base/clock.h"

/* Of 64 bits. */
#define DIGITS_MAX 20

/* ── ids ── */

/* The digits of |number|, at most DIGITS_MAX; returns how many. An event has
 * four numbers, and snprintf takes longer for one than for all the rest. */
static size_t
write_digits(uint64_t number, char *text)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(text, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

void
fq_redis_id_write(fq_redis_id id, char text[FQ_REDIS_ID_MAX])
{
    text += write_digits(id.ms, text);
    *text++ = '-';
    text += write_digits(id.seq, text);
    *text = '\0';
}

/* Reads digits up to |end| or something else; false: none, a superfluous 0 or
 * too many. */
static bool
read_number(const char **pat, const char *end, uint64_t *pnumber)
{
    const char *at = *pat;
    uint64_t number = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (at == *pat || (**pat == '0' && at > *pat + 1))
        return false;
    *pat = at;
    *pnumber = number;
    return true;
}

bool
fq_redis_id_read(fq_str text, fq_redis_id *pid)
{
    *pid = (fq_redis_id){0, 0};
    const char *at = text.ptr, *end = text.ptr + text.len;
    fq_redis_id id;
    if (!read_number(&at, end, &id.ms) || at == end || *at++ != '-'
        || !read_number(&at, end, &id.seq) || at != end)
        return false;
    *pid = id;
    return true;
}

int
fq_redis_id_compare(fq_redis_id a, fq_redis_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

/* ── writing ── */

/* `$<len>\r\n<word>\r\n` */
static void
write_word(fq_buf *buf, fq_str word)
{
    fq_buf_append_char(buf, '$');
    fq_buf_append_uint(buf, word.len);
    fq_buf_append(buf, "\r\n", 2);
    fq_buf_append_str(buf, word);
    fq_buf_append(buf, "\r\n", 2);
}

static void
write_number(fq_buf *buf, uint64_t number)
{
    char digits[DIGITS_MAX];
    write_word(buf, fq_str_make(digits, write_digits(number, digits)));
}

/* A field, whose |name| is written already; no value, no field. */
static void
write_field(fq_buf *buf, fq_str name, const fq_rcbuf *value)
{
    if (value == NULL)
        return;
    fq_buf_append_str(buf, name);
    write_word(buf, fq_rcbuf_str(value));
}

void
fq_redis_xadd_write(fq_buf *buf, fq_str stream, uint64_t max_events,
                    const fq_event *event)
{
    unsigned n_fields = 4 + (event->tenant_id != NULL)
                        + (event->boundary != NULL) + (event->meta != NULL);
    fq_buf_append_char(buf, '*');
    fq_buf_append_uint(buf, 6 + 2 * n_fields);
    fq_buf_append_str(buf, FQ_STR_LIT("\r\n$4\r\nXADD\r\n"));
    write_word(buf, stream);
    fq_buf_append_str(buf, FQ_STR_LIT("$6\r\nMAXLEN\r\n$1\r\n~\r\n"));
    write_number(buf, max_events);
    fq_buf_append_str(buf, FQ_STR_LIT("$1\r\n*\r\n"));
    write_field(buf, FQ_STR_LIT("$7\r\nchannel\r\n"), event->channel);
    write_field(buf, FQ_STR_LIT("$10\r\nevent_type\r\n"), event->event_type);
    write_field(buf, FQ_STR_LIT("$4\r\ndata\r\n"), event->data);
    write_field(buf, FQ_STR_LIT("$9\r\ntenant_id\r\n"), event->tenant_id);
    write_field(buf, FQ_STR_LIT("$8\r\nboundary\r\n"), event->boundary);
    write_field(buf, FQ_STR_LIT("$4\r\nmeta\r\n"), event->meta);
    fq_buf_append_str(buf, FQ_STR_LIT("$13\r\ncreated_at_ns\r\n"));
    write_number(buf, event->created_at_ns);
}

/* ── reading ── */

static bool
is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING
           || reply->type == REDIS_REPLY_STATUS;
}

static fq_str
text_of(const redisReply *reply)
{
    return fq_str_make(reply->str, reply->len);
}

typedef struct fields {
    fq_str channel;
    fq_str event_type;
    fq_str data;
    fq_str tenant_id;
    fq_str boundary;
    fq_str meta;
    fq_str created_at;
} fields;

/* Of a name that is there twice the last one counts; others are somebody
 * else's business. */
static bool
read_fields(const redisReply *list, fields *fields)
{
    const struct {
        fq_str name;
        fq_str *into;
    } names[] = {
        {FQ_STR("channel"), &fields->channel},
        {FQ_STR("event_type"), &fields->event_type},
        {FQ_STR("data"), &fields->data},
        {FQ_STR("tenant_id"), &fields->tenant_id},
        {FQ_STR("boundary"), &fields->boundary},
        {FQ_STR("meta"), &fields->meta},
        {FQ_STR("created_at_ns"), &fields->created_at},
    };
    memset(fields, 0, sizeof(*fields));
    if (list->type != REDIS_REPLY_ARRAY || list->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < list->elements; i += 2) {
        if (!is_text(list->element[i]) || !is_text(list->element[i + 1]))
            return false;
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (fq_str_eq(text_of(list->element[i]), names[k].name))
                *names[k].into = text_of(list->element[i + 1]);
        }
    }
    return true;
}

/* When the event was made: what the entry says, else when the server took it.
 */
static fq_status
read_time(const fields *fields, fq_redis_id id, uint64_t *pcreated_at_ns,
          fq_error *error)
{
    *pcreated_at_ns = id.ms > UINT64_MAX / FQ_NS_PER_MS ? UINT64_MAX
                                                        : id.ms * FQ_NS_PER_MS;
    const char *at = fields->created_at.ptr;
    if (at == NULL)
        return FQ_OK;
    const char *end = at + fields->created_at.len;
    uint64_t created_at_ns;
    if (!read_number(&at, end, &created_at_ns) || at != end)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "created_at_ns is no number");
    *pcreated_at_ns = created_at_ns;
    return FQ_OK;
}

static fq_status
read_event(const fields *fields, uint64_t created_at_ns, size_t max_bytes,
           fq_event **pevent, fq_error *error)
{
    if (fields->data.ptr == NULL)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "it has no data");
    fq_status status = fq_event_new(
        fields->channel,
        fields->event_type.ptr != NULL ? fields->event_type : fields->channel,
        fields->data, created_at_ns, max_bytes, pevent, error);
    if (status != FQ_OK)
        return status;
    status = fq_event_label(*pevent, fields->tenant_id, fields->boundary,
                            fields->meta, error);
    if (status != FQ_OK) {
        fq_event_unref(*pevent);
        *pevent = NULL;
    }
    return status;
}

fq_status
fq_redis_entry_read(const redisReply *entry, size_t max_bytes,
                    fq_redis_id *pid, fq_event **pevent, fq_error *error)
{
    *pevent = NULL;
    *pid = (fq_redis_id){0, 0};
    fields fields;
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || !is_text(entry->element[0])
        || !fq_redis_id_read(text_of(entry->element[0]), pid)
        || !read_fields(entry->element[1], &fields))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "it is no list of names and values");
    if (fields.channel.ptr == NULL)
        return FQ_ERR_NOT_FOUND;
    uint64_t created_at_ns;
    fq_status status = read_time(&fields, *pid, &created_at_ns, error);
    if (status == FQ_OK)
        status = read_event(&fields, created_at_ns, max_bytes, pevent, error);
    if (status != FQ_OK && status != FQ_ERR_NOMEM)
        status = fq_event_new_unreadable(fields.channel, created_at_ns,
                                         pevent);
    if (status == FQ_OK)
        fq_redis_id_write(*pid, (*pevent)->id);
    return status;
}
