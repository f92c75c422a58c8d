/* SPDX-License-Identifier: MIT */
/* The list and its three questions: is there a hash, is it known, does the
 * text that came with it agree. Messages and codes are those that clients of
 * Apollo's protocol react to. */
#include "engine/persisted.h"

#include <string.h>

#include "base/alloc.h"
#include "json/reader.h"

typedef struct entry {
    char hash[FQ_PERSISTED_HASH_LEN]; /* lower case */
    size_t len;                       /* of document */
    char document[];
} entry;

fq_status
fq_persisted_new(bool is_only, fq_persisted **ppersisted)
{
    fq_persisted *persisted = fq_alloc_zero(sizeof(*persisted));
    *ppersisted = persisted;
    if (persisted == NULL)
        return FQ_ERR_NOMEM;
    fq_map_init(&persisted->entries);
    persisted->is_only = is_only;
    return FQ_OK;
}

void
fq_persisted_free(fq_persisted *persisted)
{
    if (persisted == NULL)
        return;
    size_t iter = 0;
    fq_str hash;
    void *found;
    while (fq_map_next(&persisted->entries, &iter, &hash, &found))
        fq_free(found);
    fq_map_fini(&persisted->entries);
    fq_free(persisted);
}

/* Copies |hash| in lower case; false when it is no SHA-256. */
static bool
read_hash(fq_str hash, char *lower)
{
    if (hash.len != FQ_PERSISTED_HASH_LEN)
        return false;
    for (size_t i = 0; i < hash.len; i++) {
        char c = hash.ptr[i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        lower[i] = c;
    }
    return true;
}

fq_status
fq_persisted_add(fq_persisted *persisted, fq_str hash, fq_str document)
{
    char lower[FQ_PERSISTED_HASH_LEN];
    if (!read_hash(hash, lower))
        return FQ_ERR_INVALID;
    if (document.len > SIZE_MAX - sizeof(entry))
        return FQ_ERR_NOMEM;
    entry *self = fq_alloc(sizeof(*self) + document.len);
    if (self == NULL)
        return FQ_ERR_NOMEM;
    memcpy(self->hash, lower, sizeof(lower));
    self->len = document.len;
    if (document.len > 0)
        memcpy(self->document, document.ptr, document.len);
    fq_status status = fq_map_add(
        &persisted->entries, fq_str_make(self->hash, sizeof(lower)), self);
    if (status != FQ_OK)
        fq_free(self);
    return status;
}

static fq_status
refuse(fq_gql_errors *errors, const char *code, const char *message)
{
    return fq_gql_errors_add(errors, code, "%s", message) != NULL
               ? FQ_ERR_INVALID
               : FQ_ERR_NOMEM;
}

static fq_status
refuse_as_not_found(fq_gql_errors *errors)
{
    return refuse(errors, "PERSISTED_QUERY_NOT_FOUND",
                  "PersistedQueryNotFound");
}

/* |wanted| is the value of `persistedQuery`, not NULL. */
static fq_status
resolve_hash(const fq_persisted *persisted, fq_str query, yyjson_val *wanted,
             fq_str *pdocument, fq_gql_errors *errors)
{
    char lower[FQ_PERSISTED_HASH_LEN];
    yyjson_val *version = fq_json_get(wanted, FQ_STR_LIT("version"));
    fq_str hash = fq_json_str(fq_json_get(wanted, FQ_STR_LIT("sha256Hash")));
    if (!yyjson_is_num(version) || yyjson_get_num(version) != 1.0)
        return refuse(errors, "VALIDATION_ERROR",
                      "Unsupported persisted query version");
    if (!read_hash(hash, lower))
        return refuse(errors, "VALIDATION_ERROR",
                      "extensions.persistedQuery.sha256Hash must be 64 "
                      "hexadecimal digits.");
    const entry *found = fq_map_get(&persisted->entries,
                                    fq_str_make(lower, sizeof(lower)));
    if (found == NULL) {
        /* A client that offers its text for later: it is executed where any
         * text is, and not remembered. */
        if (query.len == 0 || persisted->is_only)
            return refuse_as_not_found(errors);
        *pdocument = query;
        return FQ_OK;
    }
    *pdocument = fq_str_make(found->document, found->len);
    if (query.len != 0 && !fq_str_eq(query, *pdocument))
        return refuse(errors, "VALIDATION_ERROR",
                      "provided sha does not match query");
    return FQ_OK;
}

fq_status
fq_persisted_resolve(const fq_persisted *persisted, fq_str query,
                     yyjson_val *extensions, fq_str *pdocument,
                     fq_gql_errors *errors)
{
    *pdocument = query;
    yyjson_val *wanted = fq_json_get(extensions, FQ_STR_LIT("persistedQuery"));
    if (yyjson_is_null(wanted))
        wanted = NULL;
    if (persisted == NULL) {
        /* With a text the hash does not matter. */
        if (wanted == NULL || query.len != 0)
            return FQ_OK;
        return refuse(errors, "PERSISTED_QUERY_NOT_SUPPORTED",
                      "PersistedQueryNotSupported");
    }
    if (wanted != NULL)
        return resolve_hash(persisted, query, wanted, pdocument, errors);
    if (persisted->is_only)
        return refuse(errors, "FORBIDDEN",
                      "Only persisted operations are served here.");
    return FQ_OK;
}
