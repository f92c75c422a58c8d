/* SPDX-License-Identifier: MIT */
/* Service: publishing. Thread: any that holds the GIL. */
#include "python/service_object.h"

#include "python/publish.h"

/* (channel, data, event_type, waits_for_calls) of publish and offer: the event
 * and the door, one reference each. */
static int
read_publication(fq_service_object *self, PyObject *const *args,
                 Py_ssize_t n_args, fq_event **pevent,
                 fq_publisher **ppublisher, bool *pwaits)
{
    if (n_args != 4) {
        PyErr_Format(PyExc_TypeError, "4 arguments are needed, not %zd",
                     n_args);
        return -1;
    }
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return -1;
    int waits = PyObject_IsTrue(args[3]);
    if (waits < 0)
        return -1;
    *pwaits = waits;
    /* The conversion may run code of the user that closes the service. */
    *ppublisher = fq_publisher_ref(fq_service_publisher(service));
    size_t max_bytes = fq_service_limits(service)->event_max_bytes;
    PyObject *data = args[1] == Py_None ? NULL : args[1];
    if (fq_publish_make_event(fq_state_of((PyObject *)self), args[0], data,
                              args[2], max_bytes, pevent)
        == 0)
        return 0;
    fq_publisher_unref(*ppublisher);
    return -1;
}

/* Publishes; |offers|: by fq_publish_offer. */
static PyObject *
publish(fq_service_object *self, PyObject *const *args, Py_ssize_t n_args,
        bool offers)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_event *event;
    fq_publisher *publisher;
    fq_publish_how how = {.timeout_ns = self->publish_timeout_ns};
    if (read_publication(self, args, n_args, &event, &publisher,
                         &how.waits_for_calls)
        < 0)
        return NULL;
    PyObject *result = offers ? fq_publish_offer(state, publisher, event, &how)
                              : fq_publish_blocking(state, publisher, event,
                                                    &how);
    fq_publisher_unref(publisher);
    return result;
}

PyObject *
fq_service_object_publish(fq_service_object *self, PyObject *const *args,
                          Py_ssize_t n_args)
{
    return publish(self, args, n_args, false);
}

PyObject *
fq_service_object_offer(fq_service_object *self, PyObject *const *args,
                        Py_ssize_t n_args)
{
    return publish(self, args, n_args, true);
}

PyObject *
fq_service_object_offer_all(fq_service_object *self, PyObject *const *args,
                            Py_ssize_t n_args)
{
    if (n_args != 2 || !PyTuple_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "a tuple of events and an index are needed");
        return NULL;
    }
    Py_ssize_t at = PyLong_AsSsize_t(args[1]);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_state *state = fq_state_of((PyObject *)self);
    size_t max_bytes = fq_service_limits(service)->event_max_bytes;
    if (at == 0 && fq_publish_check_events(state, args[0], max_bytes) < 0)
        return NULL;
    fq_publisher *publisher = fq_publisher_ref(fq_service_publisher(service));
    PyObject *result = fq_publish_offer_all(
        state, publisher, args[0], at, max_bytes, self->publish_timeout_ns);
    fq_publisher_unref(publisher);
    return result;
}
