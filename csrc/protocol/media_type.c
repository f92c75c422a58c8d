/* SPDX-License-Identifier: MIT */
/* Lists of media types with parameters, cut apart without copying. Any
 * thread. */
#include "protocol/media_type.h"

#include <stdint.h>

/* ── cutting ── */

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

static fq_str
trim(fq_str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Cuts what is before the next |separator| outside of quotes off *prest. */
static fq_str
next_part(fq_str *prest, char separator)
{
    bool is_quoted = false;
    size_t i = 0;
    for (; i < prest->len; i++) {
        char c = prest->ptr[i];
        if (is_quoted && c == '\\')
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == separator && !is_quoted)
            break;
    }
    if (i > prest->len)
        i = prest->len;
    fq_str part = fq_str_make(prest->ptr, i);
    size_t n_taken = i < prest->len ? i + 1 : i;
    *prest = fq_str_make(prest->ptr + n_taken, prest->len - n_taken);
    return trim(part);
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* |word| is in lower case. */
static bool
equals(fq_str s, const char *word)
{
    size_t i = 0;
    while (i < s.len && word[i] != '\0' && lower(s.ptr[i]) == word[i])
        i++;
    return i == s.len && word[i] == '\0';
}

/* A parameter `name=value`; quotes around the value go. */
static void
split_parameter(fq_str parameter, fq_str *pname, fq_str *pvalue)
{
    fq_str rest = parameter;
    *pname = next_part(&rest, '=');
    fq_str value = trim(rest);
    if (value.len >= 2 && value.ptr[0] == '"'
        && value.ptr[value.len - 1] == '"')
        value = fq_str_make(value.ptr + 1, value.len - 2);
    *pvalue = value;
}

/* ── one media range ── */

#define WEIGHT_MAX 1000

/* Of `q=0.8`, in thousandths (RFC 9110 12.4.2). What is none is the most, as
 * if it were not there. */
static int
weight_of(fq_str text)
{
    if (text.len == 0 || text.ptr[0] < '0' || text.ptr[0] > '1')
        return WEIGHT_MAX;
    int weight = (text.ptr[0] - '0') * WEIGHT_MAX;
    int unit = WEIGHT_MAX / 10;
    for (size_t i = 2; i < text.len && i < 5 && text.ptr[1] == '.'; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return WEIGHT_MAX;
        weight += (text.ptr[i] - '0') * unit;
        unit /= 10;
    }
    return weight < WEIGHT_MAX ? weight : WEIGHT_MAX;
}

typedef struct media_range {
    fq_str name; /* `type/subtype` */
    int weight;
    bool is_utf8;          /* it names no other charset */
    bool is_subscriptions; /* subscriptionSpec is 1.0 */
} media_range;

static media_range
read_range(fq_str text)
{
    media_range range = {.weight = WEIGHT_MAX, .is_utf8 = true};
    range.name = next_part(&text, ';');
    while (text.len > 0) {
        fq_str name, value;
        split_parameter(next_part(&text, ';'), &name, &value);
        if (equals(name, "q"))
            range.weight = weight_of(value);
        else if (equals(name, "charset"))
            range.is_utf8 = equals(value, "utf-8") || equals(value, "utf8");
        else if (equals(name, "subscriptionspec"))
            range.is_subscriptions = equals(value, "1.0");
    }
    return range;
}

/* How exactly |range| names |type|: 0 not at all, 3 by its own name. */
static int
exactness(const media_range *range, fq_media_type type)
{
    bool is_json = !fq_media_is_stream(type);
    if (is_json && !range->is_utf8)
        return 0;
    switch (type) {
    case FQ_MEDIA_JSON:
        if (equals(range->name, "application/json"))
            return 3;
        break;
    case FQ_MEDIA_RESPONSE_JSON:
        if (equals(range->name, "application/graphql-response+json"))
            return 3;
        break;
    case FQ_MEDIA_EVENT_STREAM:
        return equals(range->name, "text/event-stream") ? 3 : 0;
    case FQ_MEDIA_MULTIPART:
        return equals(range->name, "multipart/mixed")
                       && range->is_subscriptions
                   ? 3
                   : 0;
    case FQ_MEDIA_NONE:
        return 0;
    }
    if (equals(range->name, "application/*"))
        return 2;
    return equals(range->name, "*/*") ? 1 : 0;
}

/* ── the header ── */

/* What the header says of one type: the most exact range counts. */
typedef struct opinion {
    int exactness;
    int weight;
    int position; /* of the range in the header */
} opinion;

static bool
is_better(const opinion *a, const opinion *b)
{
    if (a->weight != b->weight)
        return a->weight > b->weight;
    if (a->exactness != b->exactness)
        return a->exactness > b->exactness;
    return a->position < b->position;
}

/* The better of two types, where any is wanted. */
static fq_media_type
choose(const opinion *opinions, fq_media_type one, fq_media_type other)
{
    fq_media_type best = is_better(&opinions[other], &opinions[one]) ? other
                                                                     : one;
    return opinions[best].exactness > 0 && opinions[best].weight > 0
               ? best
               : FQ_MEDIA_NONE;
}

fq_media_accept
fq_media_accept_read(fq_str header)
{
    opinion opinions[FQ_MEDIA_MULTIPART + 1] = {{0, 0, 0}};
    if (header.ptr == NULL)
        header = FQ_STR_LIT("*/*");
    for (int position = 0; header.len > 0; position++) {
        media_range range = read_range(next_part(&header, ','));
        for (int type = FQ_MEDIA_JSON; type <= FQ_MEDIA_MULTIPART; type++) {
            int exact = exactness(&range, (fq_media_type)type);
            if (exact > opinions[type].exactness)
                opinions[type] = (opinion){exact, range.weight, position};
        }
    }
    fq_media_accept accept = {
        .result = choose(opinions, FQ_MEDIA_JSON, FQ_MEDIA_RESPONSE_JSON),
        .stream = choose(opinions, FQ_MEDIA_EVENT_STREAM, FQ_MEDIA_MULTIPART),
    };
    if (accept.result == FQ_MEDIA_NONE)
        accept.result = accept.stream;
    return accept;
}

bool
fq_media_is_json(fq_str content_type)
{
    media_range range = read_range(content_type);
    return equals(range.name, "application/json") && range.is_utf8;
}

fq_str
fq_media_content_type(fq_media_type type)
{
    switch (type) {
    case FQ_MEDIA_JSON:
        return FQ_STR_LIT("application/json; charset=utf-8");
    case FQ_MEDIA_RESPONSE_JSON:
        return FQ_STR_LIT("application/graphql-response+json; charset=utf-8");
    case FQ_MEDIA_EVENT_STREAM:
        return FQ_STR_LIT("text/event-stream; charset=utf-8");
    case FQ_MEDIA_MULTIPART:
        /* As Apollo's own router writes it. */
        return FQ_STR_LIT(
            "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"");
    case FQ_MEDIA_NONE:
        break;
    }
    return FQ_STR_LIT("");
}
