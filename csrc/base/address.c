/* SPDX-License-Identifier: MIT */
/* Reading addresses: inet_pton() says what one is, here is what stands around
 * it. Any thread. */
#include "base/address.h"

#include <arpa/inet.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* Reads |text|, an address and nothing else. */
static fq_status
parse_bare(fq_str text, fq_address *paddress)
{
    char terminated[FQ_ADDRESS_TEXT_MAX];
    if (text.len == 0 || text.len >= sizeof(terminated)
        || memchr(text.ptr, '\0', text.len) != NULL)
        return FQ_ERR_INVALID;
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    if (inet_pton(AF_INET6, terminated, paddress->bytes) == 1)
        return FQ_OK;
    memcpy(paddress->bytes, v4_prefix, sizeof(v4_prefix));
    if (inet_pton(AF_INET, terminated, paddress->bytes + sizeof(v4_prefix))
        == 1)
        return FQ_OK;
    return FQ_ERR_INVALID;
}

/* True for ":" and one to five digits, or for nothing. */
static bool
is_port(fq_str text)
{
    if (text.len == 0)
        return true;
    if (text.ptr[0] != ':' || text.len < 2 || text.len > 6)
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

fq_status
fq_address_parse(fq_str text, fq_address *paddress)
{
    memset(paddress, 0, sizeof(*paddress));
    if (text.len == 0)
        return FQ_ERR_INVALID;
    const char *end = text.ptr + text.len;
    fq_str bare = text;
    const char *colon = memchr(text.ptr, ':', text.len);
    if (text.ptr[0] == '[') {
        const char *bracket = memchr(text.ptr, ']', text.len);
        if (bracket == NULL
            || !is_port(fq_str_make(bracket + 1, (size_t)(end - bracket - 1))))
            return FQ_ERR_INVALID;
        bare = fq_str_make(text.ptr + 1, (size_t)(bracket - text.ptr - 1));
    } else if (colon != NULL
               && memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL) {
        /* One colon is a port's; an IPv6 address has two or more. */
        if (!is_port(fq_str_make(colon, (size_t)(end - colon))))
            return FQ_ERR_INVALID;
        bare.len = (size_t)(colon - text.ptr);
    }
    const char *zone = bare.len == 0 ? NULL : memchr(bare.ptr, '%', bare.len);
    if (zone != NULL && memchr(bare.ptr, ':', bare.len) == NULL)
        return FQ_ERR_INVALID;
    if (zone != NULL)
        bare.len = (size_t)(zone - bare.ptr);
    return parse_bare(bare, paddress);
}

fq_status
fq_network_parse(fq_str text, fq_network *pnetwork)
{
    memset(pnetwork, 0, sizeof(*pnetwork));
    const char *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
    fq_str bare = text;
    unsigned n_bits = 128;
    if (slash != NULL)
        bare.len = (size_t)(slash - text.ptr);
    fq_status status = parse_bare(bare, &pnetwork->address);
    if (status != FQ_OK)
        return status;
    if (slash != NULL) {
        /* Of 128: an IPv4 prefix follows 96 bits that all of IPv4 has. */
        bool is_v4 = memchr(bare.ptr, ':', bare.len) == NULL;
        const char *end = text.ptr + text.len;
        n_bits = 0;
        if (end - slash < 2 || end - slash > 4)
            return FQ_ERR_INVALID;
        for (const char *p = slash + 1; p < end; p++) {
            if (*p < '0' || *p > '9')
                return FQ_ERR_INVALID;
            n_bits = n_bits * 10 + (unsigned)(*p - '0');
        }
        if (n_bits > (is_v4 ? 32u : 128u))
            return FQ_ERR_INVALID;
        n_bits += is_v4 ? 96 : 0;
    }
    pnetwork->n_bits = (uint8_t)n_bits;
    for (unsigned i = n_bits; i < 128; i++)
        pnetwork->address.bytes[i / 8] &= (uint8_t)~(0x80u >> (i % 8));
    return FQ_OK;
}

bool
fq_network_has(const fq_network *network, const fq_address *address)
{
    size_t n_whole = network->n_bits / 8;
    unsigned n_rest = network->n_bits % 8;
    if (memcmp(network->address.bytes, address->bytes, n_whole) != 0)
        return false;
    return n_rest == 0
           || ((network->address.bytes[n_whole] ^ address->bytes[n_whole])
               >> (8 - n_rest))
                  == 0;
}

bool
fq_address_is_v4(const fq_address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

fq_address
fq_address_site(const fq_address *address)
{
    fq_address site = *address;
    if (!fq_address_is_v4(address))
        memset(site.bytes + 8, 0, 8);
    return site;
}

void
fq_address_write(const fq_address *address, char text[FQ_ADDRESS_TEXT_MAX])
{
    bool is_v4 = fq_address_is_v4(address);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, address->bytes + (is_v4 ? 12 : 0),
              text, FQ_ADDRESS_TEXT_MAX);
}
