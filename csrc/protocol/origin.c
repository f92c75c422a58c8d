/* SPDX-License-Identifier: MIT */
/* Comparing origins: scheme, host and port, each as the browser means it. Any
 * thread. */
#include "protocol/origin.h"

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_same_text(fq_str a, fq_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

static uint16_t
default_port(fq_str scheme)
{
    if (is_same_text(scheme, FQ_STR_LIT("https")))
        return 443;
    return is_same_text(scheme, FQ_STR_LIT("http")) ? 80 : 0;
}

/* Reads ":8080" or "", which is |otherwise|. */
static fq_status
parse_port(fq_str text, uint16_t otherwise, uint16_t *pport)
{
    *pport = otherwise;
    if (text.len == 0)
        return FQ_OK;
    if (text.ptr[0] != ':' || text.len < 2 || text.len > 6)
        return FQ_ERR_INVALID;
    uint32_t port = 0;
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return FQ_ERR_INVALID;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *pport = (uint16_t)port;
    return port == 0 || port > UINT16_MAX ? FQ_ERR_INVALID : FQ_OK;
}

/* What a host name or an address in brackets is made of; whoever looks it up
 * knows more. */
static bool
is_host_byte(char c, bool is_in_brackets)
{
    if (is_in_brackets && c == ':')
        return true;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* Reads "host" or "host:port" into |origin|, whose scheme is set. */
static fq_status
parse_host(fq_str text, fq_origin *origin)
{
    size_t end = 0;
    if (text.len > 0 && text.ptr[0] == '[') {
        end = 1;
        while (end < text.len && is_host_byte(text.ptr[end], true))
            end++;
        if (end < 3 || end == text.len || text.ptr[end] != ']')
            return FQ_ERR_INVALID;
        end++;
    } else {
        while (end < text.len && is_host_byte(text.ptr[end], false))
            end++;
    }
    if (end == 0)
        return FQ_ERR_INVALID;
    origin->host = fq_str_make(text.ptr, end);
    return parse_port(fq_str_make(text.ptr + end, text.len - end),
                      default_port(origin->scheme), &origin->port);
}

fq_status
fq_origin_parse(fq_str text, fq_origin *porigin)
{
    memset(porigin, 0, sizeof(*porigin));
    if (text.len == 0 || text.len > FQ_ORIGIN_TEXT_MAX)
        return FQ_ERR_INVALID;
    /* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 3.1) */
    size_t n = 0;
    while (n < text.len
           && (is_host_byte(text.ptr[n], false) || text.ptr[n] == '+')
           && text.ptr[n] != '_')
        n++;
    if (n == 0 || lower(text.ptr[0]) < 'a' || lower(text.ptr[0]) > 'z'
        || text.len - n < 3 || memcmp(text.ptr + n, "://", 3) != 0)
        return FQ_ERR_INVALID;
    porigin->scheme = fq_str_make(text.ptr, n);
    return parse_host(fq_str_make(text.ptr + n + 3, text.len - n - 3),
                      porigin);
}

static bool
origin_eq(const fq_origin *a, const fq_origin *b)
{
    return a->port == b->port && is_same_text(a->host, b->host)
           && is_same_text(a->scheme, b->scheme);
}

bool
fq_origins_allow(const fq_origins *origins, fq_str origin, fq_str scheme,
                 fq_str host)
{
    if (origins->allows_all)
        return true;
    if (fq_str_eq(origin, FQ_STR_LIT("null")))
        return origins->allows_opaque;
    fq_origin asking, asked = {.scheme = scheme};
    if (fq_origin_parse(origin, &asking) != FQ_OK)
        return false;
    for (size_t i = 0; i < origins->n_items; i++) {
        if (origin_eq(&origins->items[i], &asking))
            return true;
    }
    return origins->allows_same && host.len <= FQ_ORIGIN_TEXT_MAX
           && parse_host(host, &asked) == FQ_OK && origin_eq(&asked, &asking);
}
