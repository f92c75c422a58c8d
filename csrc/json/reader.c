/* SPDX-License-Identifier: MIT */
/* JSON text to a yyjson tree. One thread at a time per document.
 *
 * Lone surrogates. JSON text may escape half a surrogate pair ("\ud800"),
 * which is no character and has no UTF-8. JavaScript clients send such text
 * when they cut a string in the wrong place, and graphql-js echoes it. yyjson
 * refuses it, so a client's message is read in up to two goes: as it is, and
 * if that fails, once more from a copy in which each lone escape is replaced
 * by the three bytes UTF-8 would have for it (WTF-8), now with yyjson's own
 * look at UTF-8 switched off. The switch also lets raw malformed UTF-8 and
 * control characters through, so both are looked for before. A message
 * without an error never pays for any of this.
 *
 * The copy differs from the text in nothing but these replacements, six bytes
 * by three, so a position in it is easily taken back to the text. */
#include "json/reader.h"

#include <string.h>

#include "base/alloc.h"
#include "json/utf8.h"

/* "\ud800" in the text and its WTF-8. */
#define ESCAPE_LEN 6
#define WTF8_LEN 3

/* Far beyond what is ever accepted and low enough that no size computed from
 * it, by yyjson or here, can overflow. */
#define READER_TEXT_MAX (PTRDIFF_MAX / 64)

static void *
reader_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return fq_alloc(size);
}

static void *
reader_realloc(void *ctx, void *block, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return fq_realloc(block, size);
}

static void
reader_free(void *ctx, void *block)
{
    (void)ctx;
    fq_free(block);
}

static const yyjson_alc reader_alc = {
    .malloc = reader_malloc,
    .realloc = reader_realloc,
    .free = reader_free,
    .ctx = NULL,
};

/* True when containers nest deeper than FQ_JSON_DEPTH_MAX. yyjson keeps all
 * values of a document in one array in the order of the text, and gives for
 * each container the first value after it: so one pass and a stack of these
 * ends will do. A document cannot be deeper than it has values, which spares
 * all ordinary ones the pass. */
static bool
reader_is_too_deep(yyjson_doc *doc)
{
    size_t n_values = yyjson_doc_get_val_count(doc);
    if (n_values <= FQ_JSON_DEPTH_MAX)
        return false;
    const yyjson_val *ends[FQ_JSON_DEPTH_MAX];
    size_t n_open = 0;
    yyjson_val *val = yyjson_doc_get_root(doc);
    const yyjson_val *end = val + n_values;
    for (; val < end; val++) {
        while (n_open > 0 && val >= ends[n_open - 1])
            n_open--;
        /* |val| is at depth n_open + 1. */
        if (n_open == FQ_JSON_DEPTH_MAX)
            return true;
        if (yyjson_is_ctn(val) && unsafe_yyjson_get_len(val) > 0)
            ends[n_open++] = unsafe_yyjson_get_next(val);
    }
    return false;
}

/* The value of the four hexadecimal digits at |p|, or -1. */
static long
reader_hex4(const char *p)
{
    long value = 0;
    for (int i = 0; i < 4; i++) {
        int digit;
        if (p[i] >= '0' && p[i] <= '9')
            digit = p[i] - '0';
        else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')
            digit = (p[i] | 0x20) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The code unit of the \uXXXX at |pos|, or -1. */
static long
reader_unit_at(fq_str text, size_t pos)
{
    if (pos > text.len || text.len - pos < ESCAPE_LEN || text.ptr[pos] != '\\'
        || text.ptr[pos + 1] != 'u')
        return -1;
    return reader_hex4(text.ptr + pos + 2);
}

/* The offset of the next lone surrogate escape at or after |pos|, or
 * text.len; *punit gets its code unit, or -1. |pos| is not within an escape.
 * In text that yyjson accepts a backslash stands only in strings, so there is
 * no need to know where these begin; in other text anything will do. */
static size_t
reader_next_lone(fq_str text, size_t pos, long *punit)
{
    while (pos < text.len) {
        const char *found = memchr(text.ptr + pos, '\\', text.len - pos);
        if (found == NULL)
            break;
        pos = (size_t)(found - text.ptr);
        long unit = reader_unit_at(text, pos);
        if (unit < 0) {
            pos += 2; /* also steps over an escaped backslash */
            continue;
        }
        if (unit < 0xD800 || unit > 0xDFFF) {
            pos += ESCAPE_LEN;
            continue;
        }
        long next = reader_unit_at(text, pos + ESCAPE_LEN);
        if (unit >= 0xDC00 || next < 0xDC00 || next > 0xDFFF) {
            *punit = unit;
            return pos;
        }
        pos += 2 * ESCAPE_LEN;
    }
    *punit = -1;
    return text.len;
}

/* Copies |text| to |out|, of as many bytes, with lone surrogate escapes made
 * WTF-8; returns the new length. */
static size_t
reader_rewrite(fq_str text, char *out)
{
    size_t len = 0;
    size_t pos = 0;
    while (pos < text.len) {
        long unit;
        size_t lone = reader_next_lone(text, pos, &unit);
        memcpy(out + len, text.ptr + pos, lone - pos);
        len += lone - pos;
        pos = lone;
        if (unit >= 0) {
            len += fq_utf8_encode((uint32_t)unit, out + len);
            pos += ESCAPE_LEN;
        }
    }
    return len;
}

/* The offset in |text| that became |pos| in the copy. */
static size_t
reader_pos_in_text(fq_str text, size_t pos)
{
    long unit;
    size_t lone = reader_next_lone(text, 0, &unit);
    /* Each round puts |pos| where it would be had the escape stayed. */
    while (unit >= 0 && lone + WTF8_LEN <= pos) {
        pos += ESCAPE_LEN - WTF8_LEN;
        lone = reader_next_lone(text, lone + ESCAPE_LEN, &unit);
    }
    return pos;
}

/* The offset of the first control character within a string, or text.len.
 * Exact up to the first fault in the text. */
static size_t
reader_find_control(fq_str text)
{
    bool is_in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"')
            is_in_string = !is_in_string;
        else if (is_in_string && c == '\\')
            i++;
        else if (is_in_string && c < 0x20)
            return i;
    }
    return text.len;
}

static fq_status
reader_fail(const yyjson_read_err *err, size_t pos, fq_error *error)
{
    if (err->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return fq_error_set(error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS, "%s",
                            fq_status_str(FQ_ERR_NOMEM));
    return fq_error_set(error, FQ_ERR_SYNTAX, pos, "%s", err->msg);
}

/* yyjson itself; |text| is not empty. It takes a pointer to non-const for the
 * sake of its in-place mode, which is not used. */
static yyjson_doc *
reader_parse(fq_str text, yyjson_read_flag flags, yyjson_read_err *err)
{
    return yyjson_read_opts((char *)text.ptr, text.len,
                            YYJSON_READ_BIGNUM_AS_RAW | flags, &reader_alc,
                            err);
}

/* The second go, after |err| from the first. */
static fq_status
reader_read_lone(fq_str text, const yyjson_read_err *first_err,
                 yyjson_doc **pdoc, fq_error *error)
{
    long unit;
    reader_next_lone(text, 0, &unit);
    if (unit < 0)
        return reader_fail(first_err, first_err->pos, error);
    size_t pos = fq_utf8_find_invalid(text);
    if (pos < text.len)
        return fq_error_set(error, FQ_ERR_SYNTAX, pos,
                            "invalid UTF-8 encoding");
    pos = reader_find_control(text);
    if (pos < text.len)
        return fq_error_set(error, FQ_ERR_SYNTAX, pos,
                            "unexpected control character in string");

    yyjson_read_err err = {.code = YYJSON_READ_ERROR_MEMORY_ALLOCATION};
    char *copy = fq_alloc(text.len);
    if (copy == NULL)
        return reader_fail(&err, FQ_ERROR_NO_POS, error);
    size_t len = reader_rewrite(text, copy);
    *pdoc = reader_parse(fq_str_make(copy, len),
                         YYJSON_READ_ALLOW_INVALID_UNICODE, &err);
    fq_free(copy);
    if (*pdoc == NULL)
        return reader_fail(&err, reader_pos_in_text(text, err.pos), error);
    return FQ_OK;
}

fq_status
fq_json_read(fq_str text, fq_json_mode mode, yyjson_doc **pdoc,
             fq_error *error)
{
    *pdoc = NULL;
    if (text.len == 0)
        return fq_error_set(error, FQ_ERR_SYNTAX, 0, "input data is empty");
    if (text.len > READER_TEXT_MAX)
        return fq_error_set(error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS, "%s",
                            fq_status_str(FQ_ERR_NOMEM));

    yyjson_read_err err;
    fq_status status = FQ_OK;
    *pdoc = reader_parse(text, YYJSON_READ_NOFLAG, &err);
    if (*pdoc == NULL) {
        if (mode == FQ_JSON_LONE_SURROGATES
            && err.code != YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            status = reader_read_lone(text, &err, pdoc, error);
        else
            status = reader_fail(&err, err.pos, error);
    }
    if (status == FQ_OK && reader_is_too_deep(*pdoc)) {
        fq_json_free(*pdoc);
        *pdoc = NULL;
        status = fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                              "nested deeper than %d levels",
                              FQ_JSON_DEPTH_MAX);
    }
    return status;
}

void
fq_json_free(yyjson_doc *doc)
{
    yyjson_doc_free(doc);
}

yyjson_val *
fq_json_get(yyjson_val *object, fq_str key)
{
    yyjson_val *last = NULL;
    yyjson_obj_iter iter;
    if (!yyjson_obj_iter_init(object, &iter))
        return NULL;
    yyjson_val *name;
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        if (fq_str_eq(fq_json_str(name), key))
            last = yyjson_obj_iter_get_val(name);
    }
    return last;
}
