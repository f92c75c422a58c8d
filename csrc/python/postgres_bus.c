/* SPDX-License-Identifier: MIT */
/* From a dict of settings to a bus. Thread: loop. */
#include "python/postgres_bus.h"

#include "bus/postgres.h"
#include "python/errors.h"

int
fq_postgres_bus_make(fq_state *state, PyObject *settings, fq_bus **pbus)
{
    PyObject *dsn = PyDict_GetItemString(settings, "dsn");
    PyObject *listen_dsn = PyDict_GetItemString(settings, "listen_dsn");
    const char *texts[2] = {NULL, NULL};
    if (dsn == NULL || (texts[0] = PyUnicode_AsUTF8(dsn)) == NULL
        || (listen_dsn != NULL
            && (texts[1] = PyUnicode_AsUTF8(listen_dsn)) == NULL)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_KeyError, "dsn");
        return -1;
    }
    fq_status status = fq_bus_postgres_new(texts[0], texts[1], pbus);
    if (status == FQ_OK)
        return 0;
    fq_errors_raise(state, status, NULL);
    return -1;
}
