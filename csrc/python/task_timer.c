/* SPDX-License-Identifier: MIT */
/* Lists of tasks by the time they have, and the loops' timers for them.
 * Thread: loop. */
#include "python/task_timer.h"

#include "base/alloc.h"
#include "base/clock.h"

/* The list for |timeout_ns|, or NULL. A service has a handful. */
static fq_task_timer *
find_timer(fq_task_timer *timers, uint64_t timeout_ns)
{
    while (timers != NULL && timers->timeout_ns != timeout_ns)
        timers = timers->next;
    return timers;
}

static fq_task_timer *
make_timer(fq_task_timer **timers, uint64_t timeout_ns)
{
    fq_task_timer *timer = fq_alloc_zero(sizeof(*timer));
    if (timer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    timer->handles = PyDict_New();
    if (timer->handles == NULL) {
        fq_free(timer);
        return NULL;
    }
    timer->timeout_ns = timeout_ns;
    fq_list_init(&timer->tasks);
    timer->next = *timers;
    *timers = timer;
    return timer;
}

/* Forgets the timers of loops that are closed. */
static int
prune_handles(PyObject *handles)
{
    PyObject *loops = PyDict_Keys(handles);
    if (loops == NULL)
        return -1;
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(loops) && result == 0; i++) {
        PyObject *loop = PyList_GET_ITEM(loops, i);
        PyObject *closed = PyObject_CallMethod(loop, "is_closed", NULL);
        int is_closed = closed == NULL ? -1 : PyObject_IsTrue(closed);
        Py_XDECREF(closed);
        if (is_closed < 0 || (is_closed && PyDict_DelItem(handles, loop) < 0))
            result = -1;
    }
    Py_DECREF(loops);
    return result;
}

/* Sees that |loop| looks at its oldest task at |deadline_ns|. */
static int
arm(fq_task_timer *timer, PyObject *loop, uint64_t now_ns,
    uint64_t deadline_ns, PyObject *callback)
{
    int has_handle = PyDict_Contains(timer->handles, loop);
    if (has_handle != 0)
        return has_handle < 0 ? -1 : 0;
    if (PyDict_GET_SIZE(timer->handles) > 0
        && prune_handles(timer->handles) < 0)
        return -1;
    double delay = deadline_ns > now_ns
                       ? (double)(deadline_ns - now_ns) / FQ_NS_PER_S
                       : 0.0;
    PyObject *handle = PyObject_CallMethod(
        loop, "call_later", "dOOK", delay, callback, loop,
        (unsigned long long)timer->timeout_ns);
    if (handle == NULL)
        return -1;
    int result = PyDict_SetItem(timer->handles, loop, handle);
    Py_DECREF(handle);
    return result;
}

int
fq_task_timer_start(fq_task_timer **timers, fq_timed_task *task,
                    uint64_t timeout_ns, PyObject *callback)
{
    fq_task_timer *timer = find_timer(*timers, timeout_ns);
    if (timer == NULL)
        timer = make_timer(timers, timeout_ns);
    if (timer == NULL)
        return -1;
    uint64_t now_ns = fq_clock_now_ns();
    task->deadline_ns = now_ns + timeout_ns;
    if (arm(timer, task->loop, now_ns, task->deadline_ns, callback) < 0)
        return -1;
    fq_list_push_back(&timer->tasks, &task->node);
    return 0;
}

int
fq_task_timer_run(fq_task_timer **timers, PyObject *loop, uint64_t timeout_ns,
                  PyObject *callback)
{
    fq_task_timer *timer = find_timer(*timers, timeout_ns);
    if (timer == NULL)
        return 0;
    if (PyDict_Contains(timer->handles, loop) == 1
        && PyDict_DelItem(timer->handles, loop) < 0)
        return -1;
    uint64_t now_ns = fq_clock_now_ns();
    /* User code may run in between and change the list: begin again. */
restart:
    FQ_LIST_FOREACH(node, &timer->tasks)
    {
        fq_timed_task *task = FQ_CONTAINER_OF(node, fq_timed_task, node);
        if (task->loop != loop)
            continue;
        if (task->deadline_ns > now_ns)
            return arm(timer, loop, now_ns, task->deadline_ns, callback);
        fq_list_remove(&task->node);
        task->expire(task);
        goto restart;
    }
    return 0;
}

void
fq_task_timer_cancel_all(fq_state *state, fq_task_timer *timers)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    for (; timers != NULL; timers = timers->next) {
        Py_ssize_t pos = 0;
        PyObject *loop, *handle;
        PyObject *handles = PyDict_Copy(timers->handles);
        PyDict_Clear(timers->handles);
        while (handles != NULL && PyDict_Next(handles, &pos, &loop, &handle)) {
            PyObject *cancel = PyObject_GetAttr(handle, state->str_cancel);
            PyObject *result = NULL;
            if (cancel != NULL)
                result = PyObject_CallMethodOneArg(
                    loop, state->str_call_soon_threadsafe, cancel);
            /* A closed loop runs no timer. */
            if (result == NULL)
                PyErr_Clear();
            Py_XDECREF(result);
            Py_XDECREF(cancel);
        }
        Py_XDECREF(handles);
    }
    PyErr_Restore(type, value, traceback);
}

int
fq_task_timer_traverse(fq_task_timer *timers, visitproc visit, void *arg)
{
    for (; timers != NULL; timers = timers->next)
        Py_VISIT(timers->handles);
    return 0;
}

void
fq_task_timer_free_all(fq_task_timer **timers)
{
    fq_task_timer *timer = *timers;
    *timers = NULL;
    while (timer != NULL) {
        fq_task_timer *next = timer->next;
        PyObject *handles = timer->handles;
        fq_free(timer);
        Py_XDECREF(handles);
        timer = next;
    }
}
