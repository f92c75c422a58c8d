/* SPDX-License-Identifier: MIT */
/* Look-ups: errands to the system's resolver. */
#include "bus/lookup.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "bus/errand.h"

struct fq_lookup {
    fq_errand errand;
    fq_lookup_cb done_cb;
    void *arg;
    char host[FQ_LOOKUP_HOST_MAX];
    uint16_t port;
    /* The answer. */
    int result; /* of getaddrinfo */
    fq_lookup_address addresses[FQ_LOOKUP_ADDRESSES_MAX];
    size_t n_addresses;
};

static void
find_addresses(fq_errand *errand)
{
    fq_lookup *self = FQ_CONTAINER_OF(errand, fq_lookup, errand);
    char service[8];
    snprintf(service, sizeof(service), "%u", self->port);
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;
    self->result = getaddrinfo(self->host, service, &hints, &found);
    for (struct addrinfo *item = found;
         item != NULL && self->n_addresses < FQ_LOOKUP_ADDRESSES_MAX;
         item = item->ai_next) {
        fq_lookup_address *into = &self->addresses[self->n_addresses];
        if (item->ai_addrlen > sizeof(into->address)
            || getnameinfo(item->ai_addr, item->ai_addrlen, into->text,
                           sizeof(into->text), NULL, 0, NI_NUMERICHOST)
                   != 0)
            continue;
        memcpy(&into->address, item->ai_addr, item->ai_addrlen);
        into->len = item->ai_addrlen;
        self->n_addresses++;
    }
    if (found != NULL)
        freeaddrinfo(found);
    if (self->result == 0 && self->n_addresses == 0)
        self->result = EAI_NONAME;
}

static void
hand_over(fq_errand *errand)
{
    fq_lookup *self = FQ_CONTAINER_OF(errand, fq_lookup, errand);
    fq_error error = {.status = FQ_OK};
    fq_status status = FQ_OK;
    if (self->result != 0)
        status = fq_error_set(&error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                              "cannot find the address of host \"%s\": %s",
                              self->host, gai_strerror(self->result));
    self->done_cb(self->arg, status, self->addresses,
                  status == FQ_OK ? self->n_addresses : 0, &error);
}

static void
free_lookup(fq_errand *errand)
{
    fq_free(FQ_CONTAINER_OF(errand, fq_lookup, errand));
}

static const fq_errand_ops errand_ops = {
    .run = find_addresses,
    .done = hand_over,
    .free = free_lookup,
};

void
fq_lookup_cancel(fq_lookup *lookup)
{
    if (lookup != NULL)
        fq_errand_cancel(&lookup->errand);
}

fq_status
fq_lookup_start(uv_loop_t *loop, const char *host, uint16_t port,
                fq_lookup_cb done_cb, void *arg, fq_lookup **plookup)
{
    *plookup = NULL;
    size_t len = strlen(host);
    if (len >= FQ_LOOKUP_HOST_MAX)
        return FQ_ERR_LIMIT;
    fq_lookup *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    memcpy(self->host, host, len + 1);
    self->port = port;
    self->done_cb = done_cb;
    self->arg = arg;
    fq_status status = fq_errand_start(&self->errand, loop, &errand_ops);
    if (status == FQ_OK)
        *plookup = self;
    return status;
}
