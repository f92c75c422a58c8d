/* SPDX-License-Identifier: MIT */
/* The one table of limits by name. Thread: any that holds the GIL. */
#include "python/limits.h"

#include <stddef.h>

#include "base/clock.h"

/* How a limit stands in fq_limits, and in Python. */
typedef enum limit_kind {
    LIMIT_SIZE,    /* size_t: int */
    LIMIT_RATE,    /* double, per second: float */
    LIMIT_SECONDS, /* uint64_t of nanoseconds: float of seconds */
} limit_kind;

static const struct {
    const char *name;
    limit_kind kind;
    size_t offset; /* in fq_limits */
} table[] = {
#define LIMIT(name, kind, member)                                             \
    {#name, LIMIT_##kind, offsetof(fq_limits, member)}
    LIMIT(queue_max_items, SIZE, queue_max_items),
    LIMIT(queue_max_bytes, SIZE, queue_max_bytes),
    LIMIT(message_max_bytes, SIZE, message_max_bytes),
    LIMIT(messages_per_second, RATE, messages_per_s),
    LIMIT(messages_burst, SIZE, messages_burst),
    LIMIT(event_max_bytes, SIZE, event_max_bytes),
    LIMIT(events_per_second_per_subscription, RATE,
          engine.events_per_s_per_subscription),
    LIMIT(events_per_second_per_user, RATE, engine.events_per_s_per_user),
    LIMIT(max_connections, SIZE, admission.max_connections),
    LIMIT(max_connections_per_address, SIZE,
          admission.max_connections_per_address),
    LIMIT(max_connections_per_user, SIZE, max_connections_per_user),
    LIMIT(handshakes_per_second, RATE, admission.handshakes_per_s),
    LIMIT(handshakes_per_second_per_address, RATE,
          admission.handshakes_per_s_per_address),
    LIMIT(max_subscriptions_per_connection, SIZE,
          max_subscriptions_per_connection),
    LIMIT(max_subscriptions_per_user, SIZE, engine.max_subs_per_user),
    LIMIT(memory_limit, SIZE, memory_limit),
    LIMIT(init_timeout, SECONDS, init_timeout_ns),
    LIMIT(keep_alive, SECONDS, keep_alive_ns),
    LIMIT(keep_alive_timeout, SECONDS, keep_alive_timeout_ns),
    LIMIT(document_max_bytes, SIZE, engine.document.max_bytes),
    LIMIT(document_max_tokens, SIZE, engine.document.max_tokens),
    LIMIT(document_max_depth, SIZE, engine.document.max_depth),
    LIMIT(document_max_fields, SIZE, engine.document.max_fields),
    LIMIT(document_max_aliases, SIZE, engine.document.max_aliases),
    LIMIT(document_max_directives, SIZE, engine.document.max_directives),
    LIMIT(max_plans, SIZE, engine.max_plans),
    LIMIT(max_plan_bytes, SIZE, engine.max_plan_bytes),
    LIMIT(max_pending, SIZE, engine.max_pending),
#undef LIMIT
};

/* Stores |value| where |into| points. */
static void
read_limit(PyObject *value, limit_kind kind, void *into)
{
    if (kind == LIMIT_SIZE)
        *(size_t *)into = PyLong_AsSize_t(value);
    else if (kind == LIMIT_RATE)
        *(double *)into = PyFloat_AsDouble(value);
    else
        *(uint64_t *)into = (uint64_t)(PyFloat_AsDouble(value) * FQ_NS_PER_S);
}

static PyObject *
write_limit(limit_kind kind, const void *from)
{
    if (kind == LIMIT_SIZE)
        return PyLong_FromSize_t(*(const size_t *)from);
    if (kind == LIMIT_RATE)
        return PyFloat_FromDouble(*(const double *)from);
    return PyFloat_FromDouble((double)*(const uint64_t *)from / FQ_NS_PER_S);
}

int
fq_limits_from_dict(PyObject *dict, fq_limits *limits)
{
    *limits = fq_limits_default;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(table); i++) {
        PyObject *value = PyDict_GetItemString(dict, table[i].name);
        if (value == NULL) {
            PyErr_Format(PyExc_KeyError, "%s", table[i].name);
            return -1;
        }
        read_limit(value, table[i].kind, (char *)limits + table[i].offset);
        if (PyErr_Occurred())
            return -1;
    }
    return 0;
}

PyObject *
fq_limits_to_dict(const fq_limits *limits)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < Py_ARRAY_LENGTH(table); i++) {
        PyObject *value = write_limit(table[i].kind,
                                      (const char *)limits + table[i].offset);
        if (value == NULL
            || PyDict_SetItemString(dict, table[i].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}
