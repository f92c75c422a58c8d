/* SPDX-License-Identifier: MIT */
/* Python values to JSON text and back: what is published, what resolvers are
 * given and return, what is sent. Thread: loop (holds the GIL); converting to
 * JSON may run code of the user (properties, model_dump).
 *
 * To JSON go dict (str keys), list, tuple, str, int of any size, float, bool,
 * None; NamedTuple, dataclass, attrs and Pydantic objects as objects; Enum as
 * its value; datetime, date, time in ISO 8601; UUID and Decimal as str; bytes
 * and bytearray in base64. Subclasses of these too. Everything else is a
 * TypeError, NaN, infinities, lone surrogates and nesting beyond
 * FQ_CONVERT_DEPTH_MAX (so also a cycle) are a ValueError, a key that is no
 * str is a TypeError; the text begins with the path: `data.items[3].price:
 * NaN is not valid JSON`. */
#ifndef FQ_PYTHON_CONVERT_H
#define FQ_PYTHON_CONVERT_H

#include "python/state.h"

#include <yyjson.h>

#include "base/buf.h"
#include "base/rcbuf.h"
#include "base/str.h"
#include "engine/queue.h"

/* Deepest nesting of containers taken from Python: ample for data, and less
 * than FQ_JSON_DEPTH_MAX, so what was converted can be read and wrapped. */
#define FQ_CONVERT_DEPTH_MAX 200

/* Appends |value| as JSON to |buf|. |root| is its name in errors ("data",
 * "variables"). Beyond buf->max: ValueError. Returns 0, or -1 with an
 * exception; what |buf| holds is then of no use. */
int
fq_convert_to_json(fq_state *state, PyObject *value, const char *root,
                   fq_buf *buf);

/* The same as counted bytes of at most |max_bytes| (0: no maximum). Returns
 * one reference, or NULL with an exception. */
fq_rcbuf *
fq_convert_to_rcbuf(fq_state *state, PyObject *value, const char *root,
                    size_t max_bytes);

/* The same for what an application answers a client: it may say what the
 * client said, so lone surrogates are no error and leave as escapes. */
fq_rcbuf *
fq_convert_answer_to_rcbuf(fq_state *state, PyObject *value, const char *root,
                           size_t max_bytes);

/* The value of JSON |text|, equal to json.loads of it: the last duplicate key
 * wins, integers are exact, lone surrogates stay. ValueError when it is not
 * JSON. */
PyObject *
fq_convert_from_json(fq_state *state, fq_str text);

/* The same for a tree; NULL gives None. */
PyObject *
fq_convert_from_val(fq_state *state, yyjson_val *val);

/* A str of |text|, which is UTF-8 (lone surrogates allowed). */
PyObject *
fq_convert_str(fq_str text);
/* The same, by a plain copy where the bytes are known to be ASCII. NULL gives
 * None. */
PyObject *
fq_convert_rcbuf_str(const fq_rcbuf *rcbuf);

/* Borrows the UTF-8 of |text|, valid as long as the object. |name| is for the
 * errors: TypeError when it is no str, ValueError for a lone surrogate.
 * Returns 0, or -1 with an exception. */
int
fq_convert_peek_str(PyObject *text, const char *name, fq_str *pstr);
/* The same, where None gives a slice with ptr NULL. */
int
fq_convert_peek_optional_str(PyObject *text, const char *name, fq_str *pstr);

/* The text of an outgoing message as str, and as bytes. */
PyObject *
fq_convert_item_text(const fq_queue_item *item);
PyObject *
fq_convert_item_bytes(const fq_queue_item *item);

/* Frees what the part keeps in the state outside of Python objects. */
void
fq_convert_fini(fq_state *state);

#endif
