/* SPDX-License-Identifier: MIT */
/* Reading answers: whatever is not clearly a yes is a no. Thread: loop. */
#include "python/auth.h"

#include "json/utf8.h"
#include "python/convert.h"
#include "python/hooks.h"
#include "python/port_object.h"
#include "python/security_context.h"

static void
refuse(fq_call *call, uint16_t code, fq_rcbuf *reason)
{
    call->close_code = code;
    fq_call_answer(call, FQ_ANSWER_ERROR, reason);
}

/* Splits (who, ack payload); *pack is NULL where there is none. Borrowed. */
static int
split_value(PyObject *value, PyObject **pwho, PyObject **pack)
{
    *pwho = value;
    *pack = NULL;
    if (!PyTuple_Check(value))
        return 0;
    if (PyTuple_GET_SIZE(value) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "a tuple must be (context, ack payload), not of %zd "
                     "items",
                     PyTuple_GET_SIZE(value));
        return -1;
    }
    *pwho = PyTuple_GET_ITEM(value, 0);
    PyObject *ack = PyTuple_GET_ITEM(value, 1);
    if (ack == Py_None)
        return 0;
    if (!PyDict_Check(ack)) {
        PyErr_Format(PyExc_TypeError,
                     "the ack payload must be a dict or None, not %.200s",
                     Py_TYPE(ack)->tp_name);
        return -1;
    }
    *pack = ack;
    return 0;
}

/* Keeps who the client is with its connection, for its resolvers. */
static int
remember(fq_state *state, const fq_call *call, fq_security_context *context)
{
    fq_port_object *owner = call->port->owner;
    if (owner == NULL)
        return 0;
    PyObject *object = fq_security_context_object_new(state, context);
    if (object == NULL)
        return -1;
    Py_XSETREF(owner->security, object);
    return 0;
}

int
fq_auth_answer(fq_state *state, fq_call *call, PyObject *value)
{
    PyObject *who, *ack;
    fq_rcbuf *text = NULL;
    fq_security_context *context = NULL;
    if (split_value(value, &who, &ack) < 0)
        return -1;
    if (who == Py_None || who == Py_False) {
        refuse(call, 0, NULL);
        return 0;
    }
    /* A mapping that names nobody is a mistake, not an anonymous client. */
    if (PyMapping_Check(who) && !PyMapping_HasKeyString(who, "user_id")) {
        PyErr_SetString(PyExc_TypeError, "the answer has no user_id");
        return -1;
    }
    if (fq_security_context_object_read(state, who, &context) < 0)
        return -1;
    if (ack != NULL) {
        text = fq_convert_answer_to_rcbuf(state, ack, "ack", 0);
        if (text == NULL)
            goto fail;
    }
    if (remember(state, call, context) < 0)
        goto fail;
    fq_port_object *owner = call->port->owner;
    if (owner != NULL && call->kind == FQ_CALL_INIT)
        fq_hooks_connected(state, owner);
    else if (owner != NULL)
        fq_hooks_renewed(state, owner);
    fq_security_context_unref(call->context);
    call->context = context;
    fq_call_answer(call, FQ_ANSWER_VALUE, text);
    return 0;
fail:
    fq_security_context_unref(context);
    fq_rcbuf_unref(text);
    return -1;
}

/* Reads a CloseConnection, whose attributes a subclass may have made into
 * anything: what cannot be sent is the default. */
static void
carry_out(fq_state *state, PyObject *exception, fq_call *call)
{
    PyObject *code = PyObject_GetAttr(exception, state->str_code);
    PyObject *reason = PyObject_GetAttr(exception, state->str_reason);
    long number = code == NULL ? 0 : PyLong_AsLong(code);
    fq_str text = {NULL, 0};
    fq_rcbuf *copy = NULL;
    if (number != 1000 && (number < 3000 || number > 4999))
        number = 0;
    if (number != 0 && reason != NULL
        && fq_convert_peek_str(reason, "reason", &text) == 0)
        fq_rcbuf_new(fq_utf8_truncate(text, FQ_CLOSE_REASON_MAX), &copy);
    PyErr_Clear();
    refuse(call, (uint16_t)number, copy);
    Py_XDECREF(code);
    Py_XDECREF(reason);
}

void
fq_auth_fail(fq_state *state, const fq_service_object *service,
             const fq_resolver *resolver, fq_call *call)
{
    if (!PyErr_ExceptionMatches(state->CloseConnection)) {
        fq_rcbuf_unref(fq_resolver_take_exception(state, service, resolver));
        refuse(call, 0, NULL);
        return;
    }
    PyObject *type, *exception, *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    carry_out(state, exception, call);
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
}
