/* SPDX-License-Identifier: MIT */
/* A bounded table of plans. One thread at a time.
 *
 * Entries hang in buckets by the hash of all that went into compiling, and in
 * a list by last use. The hash is under a key of the process, and an entry
 * counts only if its texts are equal, so neither a collision nor a client can
 * get somebody a plan that is not his. */
#include "graphql/plan.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"

/* Buckets at most: a table is made in one go and never grows. */
#define CACHE_BUCKETS_MAX 65536

typedef struct fq_cache_entry {
    fq_list node;                /* in fq_plan_cache.by_use */
    struct fq_cache_entry *next; /* in its bucket */
    uint64_t hash;
    fq_plan *plan;  /* one reference */
    size_t n_bytes; /* charged: the plan when it was made, and this */
    /* What it was made from; the plan holds the schema. */
    fq_plan_request request;
    char text[]; /* query and operation name */
} fq_cache_entry;

struct fq_plan_cache {
    fq_list by_use; /* the least recently used first */
    size_t n_plans;
    size_t n_bytes;
    size_t max_plans;
    size_t max_bytes;
    size_t mask;
    fq_cache_entry *buckets[];
};

fq_status
fq_plan_cache_new(size_t max_plans, size_t max_bytes, fq_plan_cache **pcache)
{
    size_t n_buckets = 1;
    while (n_buckets < max_plans && n_buckets < CACHE_BUCKETS_MAX)
        n_buckets *= 2;
    fq_plan_cache *cache = *pcache = fq_alloc_zero(
        sizeof(*cache) + n_buckets * sizeof(cache->buckets[0]));
    if (cache == NULL)
        return FQ_ERR_NOMEM;
    fq_list_init(&cache->by_use);
    cache->max_plans = max_plans;
    cache->max_bytes = max_bytes;
    cache->mask = n_buckets - 1;
    return FQ_OK;
}

static void
cache_remove(fq_plan_cache *cache, fq_cache_entry *entry)
{
    fq_cache_entry **link = &cache->buckets[entry->hash & cache->mask];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    fq_list_remove(&entry->node);
    cache->n_plans--;
    cache->n_bytes -= entry->n_bytes;
    fq_plan_unref(entry->plan);
    fq_free(entry);
}

void
fq_plan_cache_free(fq_plan_cache *cache)
{
    if (cache == NULL)
        return;
    FQ_LIST_FOREACH(node, &cache->by_use)
    cache_remove(cache, FQ_CONTAINER_OF(node, fq_cache_entry, node));
    fq_free(cache);
}

static uint64_t
cache_hash(const fq_plan_request *request)
{
    fq_str name = request->operation_name;
    uint64_t parts[4] = {
        fq_hash_bytes(request->query.ptr, request->query.len),
        name.ptr != NULL ? fq_hash_bytes(name.ptr, name.len) : 0,
        request->label,
        (uintptr_t)request->schema,
    };
    return fq_hash_bytes(parts, sizeof(parts));
}

static bool
is_same_name(fq_str a, fq_str b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && fq_str_eq(a, b);
}

static bool
is_same_request(const fq_plan_request *a, const fq_plan_request *b)
{
    return a->schema == b->schema && a->label == b->label
           && is_same_name(a->operation_name, b->operation_name)
           && fq_str_eq(a->query, b->query);
}

static fq_cache_entry *
cache_find(const fq_plan_cache *cache, uint64_t hash,
           const fq_plan_request *request)
{
    fq_cache_entry *entry = cache->buckets[hash & cache->mask];
    while (
        entry != NULL
        && !(entry->hash == hash && is_same_request(&entry->request, request)))
        entry = entry->next;
    return entry;
}

/* Keeps |plan| if there is memory for it; a cache may forget. */
static void
cache_add(fq_plan_cache *cache, uint64_t hash, const fq_plan_request *request,
          fq_plan *plan)
{
    fq_str query = request->query;
    fq_str operation_name = request->operation_name;
    size_t n_bytes = sizeof(fq_cache_entry) + query.len + operation_name.len;
    size_t n_charged = n_bytes + fq_plan_n_bytes(plan);
    if (n_charged > cache->max_bytes || cache->max_plans == 0)
        return;
    fq_cache_entry *entry = fq_alloc(n_bytes);
    if (entry == NULL)
        return;
    while (cache->n_plans >= cache->max_plans
           || cache->n_bytes > cache->max_bytes - n_charged)
        cache_remove(
            cache, FQ_CONTAINER_OF(cache->by_use.next, fq_cache_entry, node));
    *entry = (fq_cache_entry){
        .hash = hash,
        .plan = fq_plan_ref(plan),
        .n_bytes = n_charged,
        .request = *request,
    };
    entry->request.query = fq_str_make(entry->text, query.len);
    if (query.len > 0)
        memcpy(entry->text, query.ptr, query.len);
    if (operation_name.ptr != NULL) {
        entry->request.operation_name = fq_str_make(entry->text + query.len,
                                                    operation_name.len);
        memcpy(entry->text + query.len, operation_name.ptr,
               operation_name.len);
    }
    entry->next = cache->buckets[hash & cache->mask];
    cache->buckets[hash & cache->mask] = entry;
    fq_list_push_back(&cache->by_use, &entry->node);
    cache->n_plans++;
    cache->n_bytes += n_charged;
}

fq_status
fq_plan_cache_get(fq_plan_cache *cache, const fq_plan_request *request,
                  const fq_document_limits *limits, fq_plan **pplan,
                  fq_gql_errors *errors)
{
    uint64_t hash = cache_hash(request);
    fq_cache_entry *entry = cache_find(cache, hash, request);
    if (entry != NULL) {
        fq_list_remove(&entry->node);
        fq_list_push_back(&cache->by_use, &entry->node);
        *pplan = fq_plan_ref(entry->plan);
        return FQ_OK;
    }
    fq_status status = fq_plan_compile(request, limits, pplan, errors);
    if (status == FQ_OK)
        cache_add(cache, hash, request, *pplan);
    return status;
}

size_t
fq_plan_cache_n_plans(const fq_plan_cache *cache)
{
    return cache->n_plans;
}

size_t
fq_plan_cache_n_bytes(const fq_plan_cache *cache)
{
    return cache->n_bytes;
}
