/* SPDX-License-Identifier: MIT */
/* Reading X-Forwarded-For from its end. Any thread. */
#include "protocol/forwarded.h"

bool
fq_proxies_have(const fq_proxies *proxies, const fq_address *peer)
{
    if (proxies->has_all)
        return true;
    if (peer == NULL)
        return proxies->has_local;
    for (size_t i = 0; i < proxies->n_networks; i++) {
        if (fq_network_has(&proxies->networks[i], peer))
            return true;
    }
    return false;
}

/* Takes the last entry off |header|; false when there is none. */
static bool
take_last(fq_str *header, fq_str *pentry)
{
    if (header->ptr == NULL)
        return false;
    size_t start = header->len;
    while (start > 0 && header->ptr[start - 1] != ',')
        start--;
    const char *begin = header->ptr + start, *end = header->ptr + header->len;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (begin < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *pentry = fq_str_make(begin, (size_t)(end - begin));
    if (start == 0)
        header->ptr = NULL;
    else
        header->len = start - 1;
    return true;
}

bool
fq_forwarded_client(const fq_proxies *proxies, fq_str header,
                    fq_address *pclient)
{
    bool is_known = false;
    fq_str entry;
    for (int i = 0; i < FQ_FORWARDED_HOPS_MAX && take_last(&header, &entry);
         i++) {
        fq_address address;
        if (fq_address_parse(entry, &address) != FQ_OK)
            break;
        *pclient = address;
        is_known = true;
        if (!fq_proxies_have(proxies, &address))
            break;
    }
    return is_known;
}
