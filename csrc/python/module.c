/* SPDX-License-Identifier: MIT */
/* The extension module fraiseql_asgi._core: multi-phase initialisation, one
 * state per interpreter, parts that bring their own types (parts.h), and the
 * one door to the shared reactor. Thread: loop (holds the GIL). What the
 * module can do is in the parts; what users see is chosen in
 * fraiseql_asgi/__init__.py. */
#include "python/state.h"

#include "base/alloc.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"

static struct PyModuleDef module_def;

typedef int (*part_init)(PyObject *module, fq_state *state);

static const part_init parts[] = {
#define FQ_PART_ENTRY(part) fq_##part##_init,
    FQ_PARTS(FQ_PART_ENTRY)
#undef FQ_PART_ENTRY
};

fq_state *
fq_state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

#if PY_VERSION_HEX < 0x030B0000
/* PyType_GetModuleByDef came with 3.11: the first class on the way up that
 * belongs to our module. */
static PyObject *
module_of_type(PyTypeObject *type)
{
    PyObject *mro = type->tp_mro;
    Py_ssize_t n = PyTuple_GET_SIZE(mro);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE))
            continue;
        PyObject *module = ((PyHeapTypeObject *)base)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == &module_def)
            return module;
    }
    return NULL;
}
#else
static PyObject *
module_of_type(PyTypeObject *type)
{
    return PyType_GetModuleByDef(type, &module_def);
}
#endif

fq_state *
fq_state_of_type(PyTypeObject *type)
{
    PyObject *module = module_of_type(type);
    FQ_CHECK(module != NULL);
    return PyModule_GetState(module);
}

PyTypeObject *
fq_state_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type == NULL)
        return NULL;
    if (PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_DECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type;
}

int
fq_state_add_names(const fq_state_name *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *names[i].place = PyUnicode_InternFromString(names[i].text);
        if (*names[i].place == NULL)
            return -1;
    }
    return 0;
}

void
fq_state_after_fork(fq_state *state)
{
    fq_reactor *reactor = state->reactor;
    if (reactor == NULL || !fq_reactor_is_forked(reactor))
        return;
    state->reactor = NULL;
    fq_reactor_abandon(reactor);
    fq_reactor_unref(reactor);
}

fq_reactor *
fq_state_reactor(fq_state *state)
{
    fq_state_after_fork(state);
    if (state->is_exiting) {
        PyErr_SetString(state->ClosedError, "the interpreter is ending");
        return NULL;
    }
    if (state->reactor != NULL && fq_reactor_use(state->reactor))
        return state->reactor;

    fq_reactor *reactor;
    fq_status status = fq_reactor_new(&reactor);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        return NULL;
    }
    if (state->reactor != NULL)
        fq_reactor_unref(state->reactor);
    state->reactor = fq_reactor_ref(reactor);
    return reactor;
}

/* Runs at interpreter exit, after the hooks of those who use the reactor (they
 * are registered later and atexit runs the last one first). */
static PyObject *
module_at_exit(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of_module(module);
    state->is_exiting = true;
    if (state->reactor != NULL) {
        fq_reactor_unref(state->reactor);
        state->reactor = NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef at_exit_method = {"_at_exit", module_at_exit, METH_NOARGS,
                                     NULL};

static int
module_register_at_exit(PyObject *module)
{
    PyObject *hook = PyCFunction_New(&at_exit_method, module);
    if (hook == NULL)
        return -1;
    PyObject *atexit = PyImport_ImportModule("atexit");
    PyObject *result = NULL;
    if (atexit != NULL)
        result = PyObject_CallMethod(atexit, "register", "O", hook);
    Py_XDECREF(result);
    Py_XDECREF(atexit);
    Py_DECREF(hook);
    return result == NULL ? -1 : 0;
}

static int
module_exec(PyObject *module)
{
    fq_state *state = fq_state_of_module(module);
#define FQ_STATE_INTERN(name)                                                 \
    state->str_##name = PyUnicode_InternFromString(#name);                    \
    if (state->str_##name == NULL)                                            \
        return -1;
    FQ_STATE_STRINGS(FQ_STATE_INTERN)
#undef FQ_STATE_INTERN
    if (module_register_at_exit(module) < 0)
        return -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(parts); i++) {
        if (parts[i](module, state) < 0)
            return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    fq_state *state = fq_state_of_module(module);
#define FQ_STATE_VISIT(name) Py_VISIT(state->name);
    FQ_STATE_TYPES(FQ_STATE_VISIT)
    FQ_STATE_EXCEPTIONS(FQ_STATE_VISIT)
    FQ_STATE_OBJECTS(FQ_STATE_VISIT)
#undef FQ_STATE_VISIT
    return 0;
}

static int
module_clear(PyObject *module)
{
    fq_state *state = fq_state_of_module(module);
#define FQ_STATE_CLEAR(name) Py_CLEAR(state->name);
    FQ_STATE_TYPES(FQ_STATE_CLEAR)
    FQ_STATE_EXCEPTIONS(FQ_STATE_CLEAR)
    FQ_STATE_OBJECTS(FQ_STATE_CLEAR)
#undef FQ_STATE_CLEAR
#define FQ_STATE_CLEAR(name) Py_CLEAR(state->str_##name);
    FQ_STATE_STRINGS(FQ_STATE_CLEAR)
#undef FQ_STATE_CLEAR
    return 0;
}

static void
module_free(void *module)
{
    fq_state *state = fq_state_of_module(module);
    module_clear(module);
    fq_convert_fini(state);
    if (state->reactor != NULL)
        fq_reactor_unref(state->reactor);
    state->reactor = NULL;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    /* Each interpreter has its own state, so several may load the module; a
     * GIL of its own per interpreter has not been tried and is refused. */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},
#endif
    {0, NULL},
};

/* For tests: leaks, and what happens without memory. */
static PyObject *
module_n_live_blocks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(fq_alloc_n_live());
}

static PyObject *
module_fail_after(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long n = PyLong_AsLong(arg);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    fq_alloc_fail_after(n);
    Py_RETURN_NONE;
}

static PyMethodDef module_functions[] = {
    {"n_live_blocks", module_n_live_blocks, METH_NOARGS,
     PyDoc_STR("n_live_blocks()\n--\n\n"
               "Blocks of memory the core holds. For tests.")},
    {"fail_after", module_fail_after, METH_O,
     PyDoc_STR("fail_after(n, /)\n--\n\n"
               "Let the core's requests for memory fail after n more of "
               "them;\nnever, where n is negative. For tests.")},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(module_doc,
             "The engine behind fraiseql_asgi. Private: the names users may "
             "rely on are those of the package.");

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,         .m_name = "fraiseql_asgi._core",
    .m_doc = module_doc,           .m_size = sizeof(fq_state),
    .m_methods = module_functions, .m_slots = module_slots,
    .m_traverse = module_traverse, .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_def);
}
