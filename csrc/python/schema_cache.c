/* SPDX-License-Identifier: MIT */
/* A short array, the schema used last in front, in a capsule of the state so
 * that it goes with the module. Thread: loop (holds the GIL). */
#include "python/schema_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "python/convert.h"
#include "python/parts.h"

/* From this many bytes on an SDL is built without the GIL, as other threads
 * would notice the time it takes. */
#define UNLOCKED_BUILD_MIN (16 * 1024)

static const char capsule_name[] = "fraiseql_asgi._core.schema_cache";

typedef struct cache_entry {
    PyObject *sdl;     /* a str, one reference */
    fq_schema *schema; /* one reference */
} cache_entry;

typedef struct schema_cache {
    cache_entry entries[FQ_SCHEMA_CACHE_MAX]; /* used last first */
    size_t n_entries;
} schema_cache;

static void
cache_free(PyObject *capsule)
{
    schema_cache *cache = PyCapsule_GetPointer(capsule, capsule_name);
    for (size_t i = 0; i < cache->n_entries; i++) {
        Py_DECREF(cache->entries[i].sdl);
        fq_schema_unref(cache->entries[i].schema);
    }
    fq_free(cache);
}

/* The place of |sdl|, or n_entries. */
static size_t
cache_find(const schema_cache *cache, PyObject *sdl)
{
    for (size_t i = 0; i < cache->n_entries; i++) {
        if (cache->entries[i].sdl == sdl)
            return i;
    }
    for (size_t i = 0; i < cache->n_entries; i++) {
        PyObject *known = cache->entries[i].sdl;
        /* Neither is ready to fail: both are str. */
        if (PyUnicode_GET_LENGTH(known) == PyUnicode_GET_LENGTH(sdl)
            && PyUnicode_Compare(known, sdl) == 0)
            return i;
    }
    return cache->n_entries;
}

static void
cache_move_to_front(schema_cache *cache, size_t place)
{
    cache_entry entry = cache->entries[place];
    memmove(&cache->entries[1], &cache->entries[0],
            place * sizeof(cache->entries[0]));
    cache->entries[0] = entry;
}

/* Takes a reference to both. */
static void
cache_add(schema_cache *cache, PyObject *sdl, fq_schema *schema)
{
    if (cache->n_entries == FQ_SCHEMA_CACHE_MAX) {
        cache_entry *last = &cache->entries[--cache->n_entries];
        Py_DECREF(last->sdl);
        fq_schema_unref(last->schema);
    }
    cache->entries[cache->n_entries].sdl = Py_NewRef(sdl);
    cache->entries[cache->n_entries].schema = fq_schema_ref(schema);
    cache_move_to_front(cache, cache->n_entries++);
}

static fq_status
build(fq_str text, fq_schema **pschema, fq_gql_errors *errors)
{
    if (text.len < UNLOCKED_BUILD_MIN)
        return fq_schema_build(text, pschema, errors);
    fq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = fq_schema_build(text, pschema, errors);
    Py_END_ALLOW_THREADS
    return status;
}

fq_status
fq_schema_cache_get(fq_state *state, PyObject *sdl, fq_schema **pschema,
                    fq_gql_errors *errors)
{
    *pschema = NULL;
    fq_str text;
    if (fq_convert_peek_str(sdl, "schema_sdl", &text) < 0)
        return FQ_ERR_INVALID;
    schema_cache *cache = PyCapsule_GetPointer(state->schema_cache,
                                               capsule_name);
    size_t place = cache_find(cache, sdl);
    if (place < cache->n_entries) {
        cache_move_to_front(cache, place);
        *pschema = fq_schema_ref(cache->entries[0].schema);
        return FQ_OK;
    }
    fq_status status = build(text, pschema, errors);
    /* Another thread may have added it meanwhile; then there are two. */
    if (status == FQ_OK)
        cache_add(cache, sdl, *pschema);
    return status;
}

int
fq_schema_cache_init(PyObject *Py_UNUSED(module), fq_state *state)
{
    schema_cache *cache = fq_alloc_zero(sizeof(*cache));
    if (cache == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    state->schema_cache = PyCapsule_New(cache, capsule_name, cache_free);
    if (state->schema_cache == NULL) {
        fq_free(cache);
        return -1;
    }
    return 0;
}
