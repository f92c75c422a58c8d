/* SPDX-License-Identifier: MIT */
/* Service: its numbers. Thread: loop (any thread that holds the GIL). */
#include "python/service_object.h"

#include "base/clock.h"
#include "python/convert.h"
#include "python/errors.h"

/* Sets |name| in |dict| to |value|, which is stolen and may be NULL. */
static int
set_metric(PyObject *dict, const char *name, PyObject *value)
{
    if (value == NULL)
        return -1;
    int result = PyDict_SetItemString(dict, name, value);
    Py_DECREF(value);
    return result;
}

/* Bounds in seconds to the number of values up to each. */
static PyObject *
make_buckets(const fq_histogram_snapshot *snapshot)
{
    PyObject *buckets = PyDict_New();
    for (uint32_t i = 0; i <= FQ_HISTOGRAM_BOUNDS && buckets != NULL; i++) {
        double bound = i < FQ_HISTOGRAM_BOUNDS
                           ? (double)fq_histogram_bound_ns(i) / FQ_NS_PER_S
                           : Py_HUGE_VAL;
        PyObject *key = PyFloat_FromDouble(bound);
        PyObject *value = PyLong_FromUnsignedLongLong(snapshot->cumulative[i]);
        if (key == NULL || value == NULL
            || PyDict_SetItem(buckets, key, value) < 0)
            Py_CLEAR(buckets);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return buckets;
}

static PyObject *
make_histogram(const fq_histogram *histogram)
{
    fq_histogram_snapshot snapshot;
    fq_histogram_read(histogram, &snapshot);
    PyObject *buckets = make_buckets(&snapshot);
    if (buckets == NULL)
        return NULL;
    return Py_BuildValue(
        "{s:K,s:d,s:d,s:d,s:d,s:N}", "count",
        (unsigned long long)snapshot.count, "sum",
        (double)snapshot.sum_ns / FQ_NS_PER_S, "p50",
        fq_histogram_quantile_ns(&snapshot, 0.50) / FQ_NS_PER_S, "p90",
        fq_histogram_quantile_ns(&snapshot, 0.90) / FQ_NS_PER_S, "p99",
        fq_histogram_quantile_ns(&snapshot, 0.99) / FQ_NS_PER_S, "buckets",
        buckets);
}

static int
add_counts(PyObject *dict, fq_service *service)
{
    const fq_metrics *metrics = fq_service_metrics(service);
    fq_publisher *publisher = fq_service_publisher(service);
    const fq_bus *bus = fq_publisher_bus(publisher);
    uint64_t n_queued, n_queued_bytes;
    uint64_t n_history, n_history_bytes;
    fq_service_n_queued(service, &n_queued, &n_queued_bytes);
    fq_publisher_n_history(publisher, &n_history, &n_history_bytes);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
#define BUS_COUNT(name) atomic_load_explicit(&bus->name, memory_order_relaxed)
#define METRIC_ROW(name, help) {#name, FQ_METRIC_GET(metrics, name)},
        FQ_METRICS(METRIC_ROW)
#undef METRIC_ROW
            {"events_published", fq_publisher_n_published(publisher)},
        {"events_waiting", fq_publisher_n_waiting(publisher)},
        {"events_publish_failed", fq_publisher_n_failed(publisher)},
        {"bus_up", atomic_load_explicit(&bus->is_up, memory_order_relaxed)},
        {"bus_reconnects", BUS_COUNT(n_reconnects)},
        {"bus_gaps", BUS_COUNT(n_gaps)},
        {"bus_unreadable", BUS_COUNT(n_unreadable)},
        {"bus_lag_ms", BUS_COUNT(lag_ns) / FQ_NS_PER_MS},
        {"queued_messages", n_queued},
        {"queued_bytes", n_queued_bytes},
        {"history_events", n_history},
        {"history_bytes", n_history_bytes},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(rows); i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(rows[i].value);
        if (set_metric(dict, rows[i].name, value) < 0)
            return -1;
    }
    return 0;
}
#undef BUS_COUNT

static int
add_histograms(PyObject *dict, fq_service *service)
{
    const fq_metrics *metrics = fq_service_metrics(service);
    const struct {
        const char *name;
        const fq_histogram *histogram;
    } rows[] = {
#define HISTOGRAM_ROW(name, help) {#name, &metrics->name},
        FQ_HISTOGRAMS(HISTOGRAM_ROW)
#undef HISTOGRAM_ROW
            {"publish_seconds",
             fq_publisher_latency(fq_service_publisher(service))},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(rows); i++) {
        if (set_metric(dict, rows[i].name, make_histogram(rows[i].histogram))
            < 0)
            return -1;
    }
    return 0;
}

PyObject *
fq_service_object_metrics(fq_service_object *self,
                          PyObject *Py_UNUSED(ignored))
{
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    PyObject *dict = PyDict_New();
    if (dict != NULL
        && (add_counts(dict, service) < 0
            || add_histograms(dict, service) < 0))
        Py_CLEAR(dict);
    return dict;
}

PyObject *
fq_service_object_count(fq_service_object *self, PyObject *channel)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_str name;
    if (fq_convert_peek_str(channel, "channel", &name) < 0)
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_ticket *done;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, NULL);
    PyObject *number = NULL;
    status = fq_service_count(service, name, done);
    if (fq_service_object_await(state, status, done) == 0)
        number = PyLong_FromString(done->text->bytes, NULL, 10);
    fq_ticket_unref(done);
    return number;
}
