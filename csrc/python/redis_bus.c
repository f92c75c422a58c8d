/* SPDX-License-Identifier: MIT */
/* Settings of the Redis bus. Thread: loop. */
#include "python/redis_bus.h"

#include "bus/redis.h"
#include "python/errors.h"

/* |list|, of pairs (host, port) or NULL, whose texts are borrowed. */
static int
read_sentinels(PyObject *list, fq_redis_settings *settings)
{
    Py_ssize_t n = list == NULL ? 0 : PyTuple_GET_SIZE(list);
    if (n > FQ_REDIS_SENTINELS_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many sentinels");
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        fq_redis_endpoint *to = &settings->sentinels[i];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(list, i), "sH:sentinels",
                              &to->host, &to->port))
            return -1;
    }
    settings->n_sentinels = (size_t)n;
    return 0;
}

int
fq_redis_bus_make(fq_state *state, PyObject *settings, fq_bus **pbus)
{
    static char *keywords[] = {"host",
                               "port",
                               "path",
                               "user",
                               "password",
                               "database",
                               "group",
                               "max_events",
                               "tls",
                               "ca_file",
                               "cert_file",
                               "key_file",
                               "server_name",
                               "sentinels",
                               "primary",
                               "sentinel_user",
                               "sentinel_password",
                               "shards",
                               "keep_alive",
                               "max_age",
                               NULL};
    *pbus = NULL;
    fq_redis_settings redis = {.n_shards = 1};
    PyObject *sentinels = NULL;
    double max_age = 0, keep_alive = FQ_REDIS_KEEP_ALIVE_MIN_MS / 1e3;
    int port = 0, has_tls = 0;
    unsigned int database = 0;
    unsigned long long max_events = 0;
    PyObject *none = PyTuple_New(0);
    if (none == NULL)
        return -1;
    int is_read = PyArg_ParseTupleAndKeywords(
        none, settings, "|zizzzIsKpzzzzO!zzzIdd:redis", keywords, &redis.host,
        &port, &redis.path, &redis.user, &redis.password, &database,
        &redis.group, &max_events, &has_tls, &redis.ca_file, &redis.cert_file,
        &redis.key_file, &redis.server_name, &PyTuple_Type, &sentinels,
        &redis.primary, &redis.sentinel_user, &redis.sentinel_password,
        &redis.n_shards, &keep_alive, &max_age);
    Py_DECREF(none);
    if (!is_read || read_sentinels(sentinels, &redis) < 0)
        return -1;
    redis.port = (uint16_t)port;
    redis.database = database;
    redis.max_events = max_events;
    redis.has_tls = has_tls != 0;
    redis.max_age_ms = (uint64_t)(max_age * 1e3);
    redis.keep_alive_ms = (uint32_t)(keep_alive * 1e3);
    fq_error error = {.status = FQ_OK};
    fq_status status = fq_bus_redis_new(&redis, pbus, &error);
    if (status == FQ_OK)
        return 0;
    fq_errors_raise(state, status, &error);
    return -1;
}
