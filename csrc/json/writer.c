/* SPDX-License-Identifier: MIT */
/* Trees and scalars to JSON text. One thread at a time.
 *
 * Strings are nearly all of the work. Most hold nothing to escape, so a
 * string is searched eight bytes at a time for the first byte that does, and
 * what lies before it is copied whole. The one byte above 0x7F that stops the
 * search is 0xED: Hangul from U+D000 begins with it, which is written as it
 * is, and so does a lone surrogate in WTF-8, which is not.
 *
 * Duplicate keys cost a look at every object. Up to WRITER_SMALL_MAX members
 * a key is compared with those before it, unless a filter of 64 bits shows
 * that it is new. A larger object goes through a map of its keys, as a hostile
 * one may have 100,000 members. Either way the cost of a tree is linear in its
 * text. */
#include "json/writer.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "json/reader.h"

/* Members of an object for which comparing all pairs of keys, at worst, costs
 * less than a map of them: 50 ns each, most of it memory. */
#define WRITER_SMALL_MAX 32

/* More than yyjson asks for to write one number (42 bytes in 0.10). */
#define WRITER_NUMBER_MAX 128

/* How a byte leaves a string: 0, as it is; 'u', as \u00XX; UNIT, maybe as a
 * surrogate; else after a backslash, as this letter. */
#define UNIT 1
static const unsigned char writer_escapes[256] = {
    'u',         'u',           'u',           'u',
    'u',         'u',           'u',           'u', /* 0x00 */
    'b',         't',           'n',           'u',
    'f',         'r',           'u',           'u', /* 0x08 */
    'u',         'u',           'u',           'u',
    'u',         'u',           'u',           'u', /* 0x10 */
    'u',         'u',           'u',           'u',
    'u',         'u',           'u',           'u', /* 0x18 */
    ['"'] = '"', ['\\'] = '\\', [0xED] = UNIT,
};

static const char writer_hex[] = "0123456789abcdef";

/* Each byte of the result has its high bit set if the byte of |word| equals
 * |byte|; bytes above a match may be wrong, so only "none" is reliable. */
static inline uint64_t
writer_match(uint64_t word, uint64_t byte)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = word ^ (ones * byte);
    return (x - ones) & ~x;
}

/* True when all eight bytes of |word| leave a string as they are. */
static inline bool
writer_is_clean(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t control = (word - ones * 0x20) & ~word;
    uint64_t found = control | writer_match(word, '"')
                     | writer_match(word, '\\') | writer_match(word, 0xED);
    return (found & (ones * 0x80)) == 0;
}

/* Eight bytes of |s|, which has four to seven: some appear twice. */
static inline uint64_t
writer_load_short(fq_str s)
{
    uint32_t first, last;
    memcpy(&first, s.ptr, sizeof(first));
    memcpy(&last, s.ptr + s.len - sizeof(last), sizeof(last));
    return (uint64_t)first << 32 | last;
}

/* The length of the longest prefix of |s| that needs no look. The end of |s|
 * is taken in one step too, by reading bytes once more that came before. */
static inline size_t
writer_clean_len(fq_str s)
{
    size_t i = 0;
    uint64_t word;
    if (s.len >= sizeof(word)) {
        size_t last = s.len - sizeof(word);
        for (; i < last; i += sizeof(word)) {
            memcpy(&word, s.ptr + i, sizeof(word));
            if (!writer_is_clean(word))
                break;
        }
        memcpy(&word, s.ptr + last, sizeof(word));
        if (i >= last && writer_is_clean(word))
            return s.len;
    } else if (s.len >= 4 && writer_is_clean(writer_load_short(s))) {
        return s.len;
    }
    while (i < s.len && writer_escapes[(unsigned char)s.ptr[i]] == 0)
        i++;
    return i;
}

/* Writes |unit| as \uXXXX. */
static void
writer_put_unit(fq_buf *buf, uint32_t unit)
{
    const char escape[6] = {
        '\\',
        'u',
        writer_hex[unit >> 12 & 15],
        writer_hex[unit >> 8 & 15],
        writer_hex[unit >> 4 & 15],
        writer_hex[unit & 15],
    };
    fq_buf_append(buf, escape, sizeof(escape));
}

/* Writes what begins |s|, whose first byte is in writer_escapes; returns how
 * many bytes that was. */
static size_t
writer_put_escape(fq_buf *buf, fq_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned char escape = writer_escapes[p[0]];
    if (escape == UNIT) {
        if (s.len < 3 || p[1] < 0xA0) {
            fq_buf_append(buf, p, 1);
            return 1;
        }
        writer_put_unit(buf, 0xD000u | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu));
        return 3;
    }
    if (escape == 'u') {
        writer_put_unit(buf, p[0]);
    } else {
        const char pair[2] = {'\\', (char)escape};
        fq_buf_append(buf, pair, sizeof(pair));
    }
    return 1;
}

static inline void
writer_put_char(fq_buf *buf, char c)
{
    if (buf->len < buf->cap && buf->max == 0 && buf->status == FQ_OK)
        buf->ptr[buf->len++] = c;
    else
        fq_buf_append_char(buf, c);
}

void
fq_json_write_str(fq_buf *buf, fq_str s)
{
    /* Nothing leaves a string shorter than it was, so this much is needed in
     * any case; for a clean string it is all. */
    char *out = fq_buf_reserve(buf,
                               s.len <= PTRDIFF_MAX ? s.len + 2 : SIZE_MAX);
    if (out == NULL)
        return;
    size_t n_clean = writer_clean_len(s);
    *out = '"';
    if (n_clean > 0)
        memcpy(out + 1, s.ptr, n_clean);
    if (n_clean == s.len) {
        out[1 + n_clean] = '"';
        buf->len += s.len + 2;
        return;
    }
    buf->len += 1 + n_clean;
    s = fq_str_make(s.ptr + n_clean, s.len - n_clean);
    while (s.len > 0) {
        size_t n_done = writer_put_escape(buf, s);
        s = fq_str_make(s.ptr + n_done, s.len - n_done);
        n_clean = writer_clean_len(s);
        fq_buf_append(buf, s.ptr, n_clean);
        s = fq_str_make(s.ptr + n_clean, s.len - n_clean);
    }
    fq_buf_append_char(buf, '"');
}

/* An allocator that hands out the WRITER_NUMBER_MAX bytes at |ctx|. */
static void *
scratch_malloc(void *ctx, size_t size)
{
    return size <= WRITER_NUMBER_MAX ? ctx : NULL;
}

static void *
scratch_realloc(void *ctx, void *block, size_t old_size, size_t size)
{
    (void)block;
    (void)old_size;
    return scratch_malloc(ctx, size);
}

static void
scratch_free(void *ctx, void *block)
{
    (void)ctx;
    (void)block;
}

void
fq_json_write_double(fq_buf *buf, double value)
{
    if (!isfinite(value)) {
        fq_buf_append(buf, "null", 4);
        return;
    }
    /* yyjson has the algorithm but, before 0.11, no other door to it. */
    char text[WRITER_NUMBER_MAX];
    const yyjson_alc alc = {
        .malloc = scratch_malloc,
        .realloc = scratch_realloc,
        .free = scratch_free,
        .ctx = text,
    };
    yyjson_val val;
    memset(&val, 0, sizeof(val));
    yyjson_set_real(&val, value);
    size_t len = 0;
    const char *written = yyjson_val_write_opts(&val, YYJSON_WRITE_NOFLAG,
                                                &alc, &len, NULL);
    FQ_CHECK(written != NULL);
    fq_buf_append(buf, written, len);
}

/* As fq_json_write_val; |val| is at |depth|, 1 for the root. */
static void
writer_put_val(fq_buf *buf, yyjson_val *val, size_t depth);

static void
writer_put_array(fq_buf *buf, yyjson_val *array, size_t depth)
{
    writer_put_char(buf, '[');
    yyjson_arr_iter iter = yyjson_arr_iter_with(array);
    yyjson_val *val;
    while (buf->status == FQ_OK
           && (val = yyjson_arr_iter_next(&iter)) != NULL) {
        if (iter.idx > 1)
            writer_put_char(buf, ',');
        writer_put_val(buf, val, depth + 1);
    }
    writer_put_char(buf, ']');
}

/* One bit of 64 for |name|, from its length and its last eight bytes: keys of
 * one object differ there, if by a number. */
static uint64_t
writer_key_bit(fq_str name)
{
    uint64_t word = 0;
    if (name.len >= sizeof(word))
        memcpy(&word, name.ptr + name.len - sizeof(word), sizeof(word));
    else if (name.len >= 4)
        word = writer_load_short(name);
    else
        for (size_t i = 0; i < name.len; i++)
            word = word << 8 | (unsigned char)name.ptr[i];
    /* The top bits of a product depend on all of its factor; this one is 2^64
     * divided by the golden ratio. */
    word = (word ^ name.len) * UINT64_C(0x9E3779B97F4A7C15);
    return UINT64_C(1) << (word >> 58);
}

/* True when a member of |object| before |key| has its name. */
static bool
writer_is_repeated(yyjson_val *object, yyjson_val *key)
{
    fq_str name = fq_json_str(key);
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *earlier;
    while ((earlier = yyjson_obj_iter_next(&iter)) != key) {
        if (fq_str_eq(fq_json_str(earlier), name))
            return true;
    }
    return false;
}

/* True when a name in |object| is there twice. A name whose bit is new is
 * itself new, and is spared the comparisons. */
static bool
writer_small_has_duplicate(yyjson_val *object)
{
    uint64_t seen = 0;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        uint64_t bit = writer_key_bit(fq_json_str(key));
        if ((seen & bit) != 0 && writer_is_repeated(object, key))
            return true;
        seen |= bit;
    }
    return false;
}

/* Fills |last| with the last value of each key; true when there are fewer
 * than |object| has members. Without memory, buf->status is set. */
static bool
writer_large_has_duplicate(fq_buf *buf, yyjson_val *object, fq_map *last)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *val = yyjson_obj_iter_get_val(key);
        fq_str name = fq_json_str(key);
        fq_status status = fq_map_add(last, name, val);
        if (status == FQ_ERR_EXISTS) {
            fq_map_remove(last, name);
            status = fq_map_add(last, name, val);
        }
        if (status != FQ_OK) {
            buf->status = status;
            return false;
        }
    }
    return last->n_items < yyjson_obj_size(object);
}

/* The value to write for |key|, or NULL when that has been done at an earlier
 * member of the same name. |last|, if not NULL, is what
 * writer_large_has_duplicate filled, less the names done. */
static yyjson_val *
writer_take_last(yyjson_val *object, yyjson_val *key, fq_map *last)
{
    if (last != NULL)
        return fq_map_remove(last, fq_json_str(key));
    if (writer_is_repeated(object, key))
        return NULL;
    return fq_json_get(object, fq_json_str(key));
}

static void
writer_put_object(fq_buf *buf, yyjson_val *object, size_t depth)
{
    fq_map last;
    fq_map_init(&last);
    bool is_large = yyjson_obj_size(object) > WRITER_SMALL_MAX;
    bool has_duplicate = is_large
                             ? writer_large_has_duplicate(buf, object, &last)
                             : writer_small_has_duplicate(object);
    if (!has_duplicate)
        fq_map_fini(&last);

    writer_put_char(buf, '{');
    bool is_first = true;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    while (buf->status == FQ_OK
           && (key = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *val = yyjson_obj_iter_get_val(key);
        if (has_duplicate)
            val = writer_take_last(object, key, is_large ? &last : NULL);
        if (val == NULL)
            continue;
        if (!is_first)
            writer_put_char(buf, ',');
        is_first = false;
        fq_json_write_str(buf, fq_json_str(key));
        writer_put_char(buf, ':');
        writer_put_val(buf, val, depth + 1);
    }
    writer_put_char(buf, '}');
    fq_map_fini(&last);
}

static void
writer_put_number(fq_buf *buf, yyjson_val *val)
{
    if (yyjson_is_uint(val))
        fq_buf_append_uint(buf, unsafe_yyjson_get_uint(val));
    else if (yyjson_is_sint(val))
        fq_buf_append_int(buf, unsafe_yyjson_get_sint(val));
    else
        fq_json_write_double(buf, unsafe_yyjson_get_real(val));
}

static void
writer_put_val(fq_buf *buf, yyjson_val *val, size_t depth)
{
    FQ_CHECK(depth <= FQ_JSON_DEPTH_MAX);
    switch (yyjson_get_type(val)) {
    case YYJSON_TYPE_OBJ:
        writer_put_object(buf, val, depth);
        break;
    case YYJSON_TYPE_ARR:
        writer_put_array(buf, val, depth);
        break;
    case YYJSON_TYPE_STR:
        fq_json_write_str(buf, fq_json_str(val));
        break;
    case YYJSON_TYPE_NUM:
        writer_put_number(buf, val);
        break;
    case YYJSON_TYPE_RAW:
        fq_buf_append(buf, unsafe_yyjson_get_raw(val),
                      unsafe_yyjson_get_len(val));
        break;
    case YYJSON_TYPE_BOOL:
        if (unsafe_yyjson_get_bool(val))
            fq_buf_append(buf, "true", 4);
        else
            fq_buf_append(buf, "false", 5);
        break;
    default:
        fq_buf_append(buf, "null", 4);
        break;
    }
}

void
fq_json_write_val(fq_buf *buf, yyjson_val *val)
{
    writer_put_val(buf, val, 1);
}
