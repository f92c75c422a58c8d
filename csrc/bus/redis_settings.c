/* SPDX-License-Identifier: MIT */
/* Copies of settings. */
#include "bus/redis_settings.h"

static fq_status
copy(fq_arena *arena, const char **ptext)
{
    if (*ptext == NULL)
        return FQ_OK;
    *ptext = fq_arena_copy(arena, fq_str_of(*ptext)).ptr;
    return *ptext == NULL ? FQ_ERR_NOMEM : FQ_OK;
}

fq_status
fq_redis_settings_copy(const fq_redis_settings *from, fq_arena *arena,
                       fq_redis_settings *into)
{
    *into = *from;
    const char **texts[] = {
        &into->host,      &into->path,          &into->user,
        &into->password,  &into->group,         &into->ca_file,
        &into->cert_file, &into->key_file,      &into->server_name,
        &into->primary,   &into->sentinel_user, &into->sentinel_password,
    };
    fq_status status = FQ_OK;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (status == FQ_OK)
            status = copy(arena, texts[i]);
    }
    for (size_t i = 0; i < into->n_sentinels; i++) {
        if (status == FQ_OK)
            status = copy(arena, &into->sentinels[i].host);
    }
    return status;
}
