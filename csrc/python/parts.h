/* SPDX-License-Identifier: MIT */
/* The parts of the extension module, in the order they are initialised: each
 * file csrc/python/<part>.c has `int fq_<part>_init(PyObject *module, fq_state
 * *state)`, which makes its types and fills its members of the state. It
 * returns 0, or -1 with an exception. One line per part, nothing else. */
#ifndef FQ_PYTHON_PARTS_H
#define FQ_PYTHON_PARTS_H

#define FQ_PARTS(X)                                                           \
    X(errors)

#endif
