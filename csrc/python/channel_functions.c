/* SPDX-License-Identifier: MIT */
/* What Python asks about templates of channels when fields are declared.
 * Thread: loop (any thread that holds the GIL). */
#include "python/state.h"

#include "base/alloc.h"
#include "engine/channel_template.h"
#include "graphql/schema.h"
#include "python/convert.h"
#include "python/graphql_common.h"
#include "python/parts.h"

PyDoc_STRVAR(
    channel_arguments_doc,
    "channel_arguments(template, /)\n--\n\n"
    "The arguments that the template of a channel asks for, in order; "
    "a ValueError says why it is none.\n"
    "Private.");

static PyObject *
channel_arguments(PyObject *Py_UNUSED(module), PyObject *text)
{
    fq_str template_text;
    if (fq_convert_peek_str(text, "channel", &template_text) < 0)
        return NULL;
    fq_channel_template *template;
    fq_error error;
    fq_status status = fq_channel_template_new(template_text, &template,
                                               &error);
    if (status == FQ_ERR_NOMEM)
        return PyErr_NoMemory();
    if (status != FQ_OK) {
        PyErr_SetString(PyExc_ValueError, error.message);
        return NULL;
    }
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names != NULL && i < template->n_parts; i++) {
        if (template->parts[i].kind != FQ_CHANNEL_ARGUMENT)
            continue;
        PyObject *name = fq_convert_str(template->parts[i].text);
        if (name == NULL || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    fq_free(template);
    return names;
}

/* Whether a value of |type| can be part of a channel's name. */
static bool
can_name_channel(const fq_type *type)
{
    type = fq_type_nullable(type);
    return type->kind == FQ_TYPE_ENUM
           || (type->kind == FQ_TYPE_SCALAR
               && type->scalar != FQ_SCALAR_FLOAT);
}

static PyObject *
describe_arguments(const fq_field_def *field)
{
    PyObject *result = PyDict_New();
    for (uint32_t i = 0; result != NULL && i < field->n_args; i++) {
        const fq_input_def *arg = &field->args[i];
        PyObject *name = fq_convert_str(arg->name);
        PyObject *type = fq_convert_str(arg->type->name);
        PyObject *item = NULL;
        if (name != NULL && type != NULL)
            item = Py_BuildValue("(OO)", type,
                                 can_name_channel(arg->type) ? Py_True
                                                             : Py_False);
        if (item == NULL || PyDict_SetItem(result, name, item) < 0)
            Py_CLEAR(result);
        Py_XDECREF(item);
        Py_XDECREF(type);
        Py_XDECREF(name);
    }
    return result;
}

PyDoc_STRVAR(
    schema_arguments_doc,
    "schema_arguments(sdl, field, /)\n--\n\n"
    "The arguments of a schema's subscription field, in order: {name: "
    "(type, whether it can be part of a channel's name)}; a KeyError "
    "if there is no such field.\n"
    "Private.");

static PyObject *
schema_arguments(PyObject *module, PyObject *args)
{
    PyObject *sdl, *field_name;
    fq_str name;
    if (!PyArg_ParseTuple(args, "OO:schema_arguments", &sdl, &field_name)
        || fq_convert_peek_str(field_name, "field", &name) < 0)
        return NULL;
    fq_schema *schema = fq_graphql_schema(fq_state_of_module(module), sdl);
    if (schema == NULL)
        return NULL;
    const fq_type *root = schema->roots[FQ_OPERATION_SUBSCRIPTION];
    const fq_field_def *field = root != NULL ? fq_type_field(root, name)
                                             : NULL;
    PyObject *result = NULL;
    if (field != NULL)
        result = describe_arguments(field);
    else
        PyErr_SetObject(PyExc_KeyError, field_name);
    fq_schema_unref(schema);
    return result;
}

static PyMethodDef channel_functions[] = {
    {"channel_arguments", channel_arguments, METH_O, channel_arguments_doc},
    {"schema_arguments", schema_arguments, METH_VARARGS, schema_arguments_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_channel_functions_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, channel_functions);
}
