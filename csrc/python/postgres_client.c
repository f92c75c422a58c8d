/* SPDX-License-Identifier: MIT */
/* PostgresClient: one connection for the command line, which waits for each
 * answer. Servers use bus/postgres_*, which never wait. Thread: loop (any
 * thread that holds the GIL), one at a time; the GIL is released while it
 * waits, and signals are looked at. */
#include "python/state.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <structmember.h>

#include <libpq-fe.h>

#include "base/clock.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"

/* How often a wait is interrupted to look for signals that another thread
 * than this one was given. */
#define SIGNAL_CHECK_MS 200
/* Parameters of one statement: the command line knows each by name. */
#define PARAMETERS_MAX 16

typedef struct postgres_client {
    PyObject_HEAD
    PGconn *conn;      /* NULL once closed */
    PyObject *notices; /* list of str: what the server said meanwhile */
    bool is_busy;      /* inside connect() or execute() */
} postgres_client;

/* The server's text without the line ends around it, as an exception. */
static PyObject *
raise_text(fq_state *state, const char *text, const char *sqlstate)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, "replace");
    PyObject *context = PyDict_New();
    PyObject *reason = sqlstate == NULL ? Py_NewRef(Py_None)
                                        : PyUnicode_FromString(sqlstate);
    if (message != NULL && context != NULL && reason != NULL
        && PyDict_SetItemString(context, "reason", reason) == 0) {
        const char *utf8 = PyUnicode_AsUTF8(message);
        if (utf8 != NULL)
            fq_errors_raise_class(state->BusError, utf8, context);
    }
    Py_XDECREF(reason);
    Py_XDECREF(context);
    Py_XDECREF(message);
    return NULL;
}

/* Waits until the connection's socket is ready for |events| or |deadline_ns|
 * is over (0: none). Returns 1, 0 for the deadline, -1 with an exception. */
static int
wait_socket(postgres_client *self, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(self->conn), .events = events};
        int n;
        Py_BEGIN_ALLOW_THREADS
        n = poll(&fd, 1, SIGNAL_CHECK_MS);
        Py_END_ALLOW_THREADS
        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
        if (deadline_ns != 0 && fq_clock_now_ns() > deadline_ns)
            return 0;
    }
}

static void
take_notice(void *arg, const PGresult *result)
{
    postgres_client *self = arg;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (text == NULL)
        return;
    PyObject *notice = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text),
                                            "replace");
    if (notice == NULL || PyList_Append(self->notices, notice) < 0)
        PyErr_Clear();
    Py_XDECREF(notice);
}

/* Looks names up in this thread and therefore with the GIL released; the rest
 * does not block. Returns 0, or -1 with an exception. */
static int
connect_client(fq_state *state, postgres_client *self, const char *dsn,
               double timeout)
{
    uint64_t deadline_ns = fq_clock_now_ns() + (uint64_t)(timeout * 1e9);
    const char *const keywords[] = {"dbname", "fallback_application_name",
                                    "client_encoding", NULL};
    const char *const values[] = {dsn, "fraiseql-asgi", "UTF8", NULL};
    Py_BEGIN_ALLOW_THREADS
    self->conn = PQconnectStartParams(keywords, values, 1);
    Py_END_ALLOW_THREADS
    if (self->conn == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PostgresPollingStatusType polling = PGRES_POLLING_WRITING;
    while (PQstatus(self->conn) != CONNECTION_BAD
           && polling != PGRES_POLLING_OK) {
        if (polling == PGRES_POLLING_FAILED)
            break;
        int is_ready = wait_socket(
            self, polling == PGRES_POLLING_READING ? POLLIN : POLLOUT,
            deadline_ns);
        if (is_ready < 0)
            return -1;
        if (is_ready == 0) {
            raise_text(state, "the PostgreSQL server did not answer in time",
                       NULL);
            return -1;
        }
        Py_BEGIN_ALLOW_THREADS
        polling = PQconnectPoll(self->conn);
        Py_END_ALLOW_THREADS
    }
    if (PQstatus(self->conn) != CONNECTION_OK) {
        raise_text(state, PQerrorMessage(self->conn), NULL);
        return -1;
    }
    PQsetNoticeReceiver(self->conn, take_notice, self);
    return 0;
}

static PyObject *
postgres_client_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"dsn", "timeout", NULL};
    const char *dsn;
    double timeout = 10.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|d:PostgresClient",
                                     keywords, &dsn, &timeout))
        return NULL;
    if (!(timeout > 0 && timeout <= 86400)) {
        PyErr_SetString(PyExc_ValueError,
                        "timeout must be above 0 and at most 86400 seconds");
        return NULL;
    }
    postgres_client *self = (postgres_client *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->notices = PyList_New(0);
    if (self->notices == NULL
        || connect_client(fq_state_of_type(type), self, dsn, timeout) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void
postgres_client_dealloc(postgres_client *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PQfinish(self->conn);
    Py_XDECREF(self->notices);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The rows of |result|, each a tuple of str or None. */
static PyObject *
rows_of(const PGresult *result)
{
    int n_rows = PQntuples(result);
    int n_columns = PQnfields(result);
    PyObject *rows = PyList_New(n_rows);
    for (int i = 0; rows != NULL && i < n_rows; i++) {
        PyObject *row = PyTuple_New(n_columns);
        for (int j = 0; row != NULL && j < n_columns; j++) {
            PyObject *value = PQgetisnull(result, i, j)
                                  ? Py_NewRef(Py_None)
                                  : PyUnicode_DecodeUTF8(
                                        PQgetvalue(result, i, j),
                                        PQgetlength(result, i, j), "replace");
            if (value == NULL)
                Py_CLEAR(row);
            else
                PyTuple_SET_ITEM(row, j, value);
        }
        if (row == NULL)
            Py_CLEAR(rows);
        else
            PyList_SET_ITEM(rows, i, row);
    }
    return rows;
}

/* Asks the server to stop; the answer that follows is waited for as usual. */
static void
cancel_statement(postgres_client *self)
{
    PGcancel *cancel = PQgetCancel(self->conn);
    if (cancel == NULL)
        return;
    char message[256];
    Py_BEGIN_ALLOW_THREADS
    PQcancel(cancel, message, sizeof(message));
    Py_END_ALLOW_THREADS
    PQfreeCancel(cancel);
}

/* The results of what was sent: the rows of the last statement, or NULL with
 * the exception of the first that failed. */
static PyObject *
take_results(fq_state *state, postgres_client *self)
{
    PyObject *rows = NULL;
    bool is_failed = false;
    for (;;) {
        while (PQflush(self->conn) == 1 || PQisBusy(self->conn)) {
            short events = PQflush(self->conn) == 1 ? POLLIN | POLLOUT
                                                    : POLLIN;
            if (wait_socket(self, events, 0) < 0) {
                cancel_statement(self);
                Py_XDECREF(rows);
                /* The rest of its answer is never looked at. */
                PQfinish(self->conn);
                self->conn = NULL;
                return NULL;
            }
            if (!PQconsumeInput(self->conn))
                break;
        }
        PGresult *result = PQgetResult(self->conn);
        if (result == NULL)
            break;
        ExecStatusType status = PQresultStatus(result);
        if (!is_failed && status != PGRES_TUPLES_OK
            && status != PGRES_COMMAND_OK) {
            is_failed = true;
            raise_text(state, PQresultErrorMessage(result),
                       PQresultErrorField(result, PG_DIAG_SQLSTATE));
        } else if (!is_failed) {
            Py_XDECREF(rows);
            rows = rows_of(result);
            is_failed = rows == NULL;
        }
        PQclear(result);
    }
    if (is_failed)
        Py_CLEAR(rows);
    else if (rows == NULL)
        raise_text(state, PQerrorMessage(self->conn), NULL);
    return rows;
}

static PyObject *
execute_locked(fq_state *state, postgres_client *self, const char *sql,
               PyObject *parameters)
{
    const char *values[PARAMETERS_MAX];
    Py_ssize_t n = parameters == NULL ? 0 : PyTuple_GET_SIZE(parameters);
    if (n > PARAMETERS_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many parameters");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *value = PyTuple_GET_ITEM(parameters, i);
        values[i] = value == Py_None ? NULL : PyUnicode_AsUTF8(value);
        if (values[i] == NULL && value != Py_None)
            return NULL;
        if (values[i] != NULL
            && strlen(values[i]) != (size_t)PyUnicode_GET_LENGTH(value)
            && PyUnicode_FindChar(value, 0, 0, PyUnicode_GET_LENGTH(value), 1)
                   >= 0) {
            PyErr_SetString(PyExc_ValueError,
                            "PostgreSQL cannot hold the character U+0000");
            return NULL;
        }
    }
    int is_sent = n == 0 ? PQsendQuery(self->conn, sql)
                         : PQsendQueryParams(self->conn, sql, (int)n, NULL,
                                             values, NULL, NULL, 0);
    if (!is_sent)
        return raise_text(state, PQerrorMessage(self->conn), NULL);
    return take_results(state, self);
}

PyDoc_STRVAR(
    execute_doc,
    "execute($self, sql, parameters=(), /)\n--\n\n"
    "Run statements; returns the rows of the last one, values as text.\n"
    "\n"
    "Several statements in one text are one transaction; parameters ($1 …)\n"
    "go with one statement only.\n"
    "\n"
    "Raises:\n"
    "    BusError: the server's own text; reason is its SQLSTATE.");

static PyObject *
postgres_client_execute(postgres_client *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    const char *sql;
    PyObject *parameters = NULL;
    if (!PyArg_ParseTuple(args, "s|O!:execute", &sql, &PyTuple_Type,
                          &parameters))
        return NULL;
    if (self->conn == NULL)
        return fq_errors_raise_class(state->ClosedError,
                                     "the connection is closed", NULL);
    if (self->is_busy) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread uses this connection");
        return NULL;
    }
    self->is_busy = true;
    PyObject *rows = execute_locked(state, self, sql, parameters);
    self->is_busy = false;
    return rows;
}

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\n"
                        "End the connection. Harmless twice.");

static PyObject *
postgres_client_close(postgres_client *self, PyObject *Py_UNUSED(ignored))
{
    if (self->is_busy) {
        PyErr_SetString(PyExc_RuntimeError,
                        "another thread uses this connection");
        return NULL;
    }
    PQfinish(self->conn);
    self->conn = NULL;
    Py_RETURN_NONE;
}

static PyObject *
postgres_client_server_version(postgres_client *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(self->conn == NULL ? 0
                                              : PQserverVersion(self->conn));
}

static PyMethodDef postgres_client_methods[] = {
    {"execute", (PyCFunction)postgres_client_execute, METH_VARARGS,
     execute_doc},
    {"close", (PyCFunction)postgres_client_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef postgres_client_members[] = {
    {"notices", T_OBJECT_EX, offsetof(postgres_client, notices), READONLY,
     "What the server said besides answers."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef postgres_client_getset[] = {
    {"server_version", (getter)postgres_client_server_version, NULL,
     "150004 for 15.4; 0 once closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(postgres_client_doc,
             "PostgresClient(dsn, timeout=10.0)\n--\n\n"
             "A connection to PostgreSQL, for the command line. `dsn` is "
             "what libpq\ntakes; `timeout`: seconds to connect in.\n"
             "\n"
             "Raises:\n"
             "    BusError: no connection; the server's or libpq's text.");

static PyType_Slot postgres_client_slots[] = {
    {Py_tp_new, postgres_client_new},
    {Py_tp_dealloc, postgres_client_dealloc},
    {Py_tp_methods, postgres_client_methods},
    {Py_tp_members, postgres_client_members},
    {Py_tp_getset, postgres_client_getset},
    {Py_tp_doc, (void *)postgres_client_doc},
    {0, NULL},
};

static PyType_Spec postgres_client_spec = {
    .name = "fraiseql_asgi._core.PostgresClient",
    .basicsize = sizeof(postgres_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = postgres_client_slots,
};

int
fq_postgres_client_init(PyObject *module, fq_state *state)
{
    state->postgres_client_type = fq_state_add_type(
        module, &postgres_client_spec, NULL);
    return state->postgres_client_type == NULL ? -1 : 0;
}
