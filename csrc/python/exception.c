/* SPDX-License-Identifier: MIT */
/* PyErr_GetRaisedException for every Python from 3.10. Thread: loop. */
#include "python/exception.h"

#if PY_VERSION_HEX >= 0x030C0000

PyObject *
fq_exception_take(void)
{
    return PyErr_GetRaisedException();
}

void
fq_exception_raise(PyObject *exception)
{
    PyErr_SetRaisedException(exception);
}

#else

PyObject *
fq_exception_take(void)
{
    PyObject *type, *exception, *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(exception, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return exception;
}

void
fq_exception_raise(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
}

#endif
