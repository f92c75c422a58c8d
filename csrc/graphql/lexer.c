/* SPDX-License-Identifier: MIT */
/* The lexer: one switch on the first byte of a token, one function per kind
 * that is more than punctuation. Text is UTF-8; a lone surrogate (three bytes
 * from ED A0 80 on, as the JSON reader keeps them) and a byte that is no
 * UTF-8 are invalid characters. One thread at a time. */
#include "graphql/lexer.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "json/utf8.h"

/* What peek_at answers past the end. */
#define LEXER_END (-1)

/* An escape `\u{...}` is at most 12 characters long. */
#define LEXER_ESCAPE_MAX 12

/* What decoding answers for bytes that are no UTF-8. */
#define LEXER_BAD_POINT 0xFFFFFFFFu

static const char *const kind_names[FQ_TOKEN_N_KINDS] = {
    [FQ_TOKEN_SOF] = "<SOF>",
    [FQ_TOKEN_EOF] = "<EOF>",
    [FQ_TOKEN_BANG] = "'!'",
    [FQ_TOKEN_DOLLAR] = "'$'",
    [FQ_TOKEN_AMP] = "'&'",
    [FQ_TOKEN_PAREN_L] = "'('",
    [FQ_TOKEN_PAREN_R] = "')'",
    [FQ_TOKEN_SPREAD] = "'...'",
    [FQ_TOKEN_COLON] = "':'",
    [FQ_TOKEN_EQUALS] = "'='",
    [FQ_TOKEN_AT] = "'@'",
    [FQ_TOKEN_BRACKET_L] = "'['",
    [FQ_TOKEN_BRACKET_R] = "']'",
    [FQ_TOKEN_BRACE_L] = "'{'",
    [FQ_TOKEN_PIPE] = "'|'",
    [FQ_TOKEN_BRACE_R] = "'}'",
    [FQ_TOKEN_NAME] = "Name",
    [FQ_TOKEN_INT] = "Int",
    [FQ_TOKEN_FLOAT] = "Float",
    [FQ_TOKEN_STRING] = "String",
    [FQ_TOKEN_BLOCK_STRING] = "BlockString",
};

const char *
fq_token_kind_str(fq_token_kind kind)
{
    FQ_CHECK(kind < FQ_TOKEN_N_KINDS);
    return kind_names[kind];
}

void
fq_lexer_init(fq_lexer *lexer, fq_str source, fq_arena *arena,
              fq_gql_errors *errors)
{
    FQ_CHECK(source.len <= UINT32_MAX);
    *lexer = (fq_lexer){.source = source, .arena = arena, .errors = errors};
}

fq_status
fq_lexer_fail(fq_lexer *lexer, size_t offset, fq_buf *message)
{
    fq_buf text;
    fq_buf_init(&text);
    fq_buf_append_str(&text, FQ_STR_LIT("Syntax Error: "));
    fq_buf_append_str(&text, fq_buf_str(message));
    fq_gql_error *error = NULL;
    if (fq_buf_status(message) == FQ_OK && fq_buf_status(&text) == FQ_OK)
        error = fq_gql_errors_add_str(lexer->errors, "PARSE_ERROR",
                                      fq_buf_str(&text));
    fq_gql_error_locate(lexer->errors, error, lexer->source, offset);
    fq_buf_fini(&text);
    fq_buf_fini(message);
    return error != NULL && lexer->errors->status == FQ_OK ? FQ_ERR_SYNTAX
                                                           : FQ_ERR_NOMEM;
}

fq_status
fq_lexer_fail_str(fq_lexer *lexer, size_t offset, const char *message)
{
    fq_buf buf;
    fq_buf_init(&buf);
    fq_buf_append_str(&buf, fq_str_of(message));
    return fq_lexer_fail(lexer, offset, &buf);
}

/* The byte at |pos|, or LEXER_END. */
static inline int
peek_at(const fq_lexer *lexer, size_t pos)
{
    if (pos >= lexer->source.len)
        return LEXER_END;
    return (unsigned char)lexer->source.ptr[pos];
}

/* True when the bytes from |pos| on are |bytes|. */
static inline bool
starts_with(const fq_lexer *lexer, size_t pos, fq_str bytes)
{
    return lexer->source.len - pos >= bytes.len
           && memcmp(lexer->source.ptr + pos, bytes.ptr, bytes.len) == 0;
}

static inline bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool
is_name_start(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline int
hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static inline bool
is_continuation(int c)
{
    return c >= 0x80 && c <= 0xBF;
}

/* The code point at |pos| (before the end) and its length in bytes.
 * Surrogates are decoded like any other; a byte that starts no character is
 * LEXER_BAD_POINT of length 1. */
static uint32_t
decode_at(const fq_lexer *lexer, size_t pos, uint32_t *plen)
{
    int c0 = peek_at(lexer, pos);
    *plen = 1;
    if (c0 < 0x80)
        return (uint32_t)c0;
    int c1 = peek_at(lexer, pos + 1);
    if (!is_continuation(c1))
        return LEXER_BAD_POINT;
    if (c0 >= 0xC2 && c0 <= 0xDF) {
        *plen = 2;
        return (uint32_t)((c0 & 0x1F) << 6 | (c1 & 0x3F));
    }
    int c2 = peek_at(lexer, pos + 2);
    if (!is_continuation(c2))
        return LEXER_BAD_POINT;
    if (c0 >= 0xE0 && c0 <= 0xEF && !(c0 == 0xE0 && c1 < 0xA0)) {
        *plen = 3;
        return (uint32_t)((c0 & 0x0F) << 12 | (c1 & 0x3F) << 6 | (c2 & 0x3F));
    }
    int c3 = peek_at(lexer, pos + 3);
    if (!is_continuation(c3) || c0 < 0xF0 || c0 > 0xF4
        || (c0 == 0xF0 && c1 < 0x90) || (c0 == 0xF4 && c1 > 0x8F))
        return LEXER_BAD_POINT;
    *plen = 4;
    return (uint32_t)((c0 & 0x07) << 18 | (c1 & 0x3F) << 12 | (c2 & 0x3F) << 6
                      | (c3 & 0x3F));
}

static inline bool
is_scalar_value(uint32_t point)
{
    return point <= 0xD7FF || (point >= 0xE000 && point <= 0x10FFFF);
}

/* Appends the character at |pos| as messages name it: quoted where it is
 * printable ASCII, U+1234 otherwise, <EOF> at the end. */
static void
describe_at(const fq_lexer *lexer, size_t pos, fq_buf *message)
{
    if (pos >= lexer->source.len) {
        fq_buf_append_str(message, FQ_STR_LIT("<EOF>"));
        return;
    }
    uint32_t len;
    uint32_t point = decode_at(lexer, pos, &len);
    if (point == '"')
        fq_buf_append_str(message, FQ_STR_LIT("'\"'"));
    else if (point >= 0x20 && point <= 0x7E)
        fq_buf_append_format(message, "'%c'", (char)point);
    else
        fq_buf_append_format(message, "U+%04X",
                             point == LEXER_BAD_POINT ? 0xFFFD : point);
}

/* Fails at |pos| with |before|, the character there, and a full stop. */
static fq_status
fail_at_char(fq_lexer *lexer, size_t pos, const char *before)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, fq_str_of(before));
    describe_at(lexer, pos, &message);
    fq_buf_append_char(&message, '.');
    return fq_lexer_fail(lexer, pos, &message);
}

/* Fails at |pos| with |before| and the |n_points| characters there, quoted. */
static fq_status
fail_at_text(fq_lexer *lexer, size_t pos, const char *before, size_t n_points)
{
    size_t end = pos;
    for (size_t i = 0; i < n_points && end < lexer->source.len; i++) {
        uint32_t len;
        decode_at(lexer, end, &len);
        end += len;
    }
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, fq_str_of(before));
    fq_buf_append(&message, lexer->source.ptr + pos, end - pos);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    return fq_lexer_fail(lexer, pos, &message);
}

/* Ends the token that started at ptoken->start. */
static fq_status
finish(fq_lexer *lexer, fq_token *ptoken, fq_token_kind kind, size_t end,
       fq_str value)
{
    ptoken->kind = kind;
    ptoken->end = (uint32_t)end;
    ptoken->value = value;
    lexer->pos = (uint32_t)end;
    return FQ_OK;
}

static fq_status
read_punctuator(fq_lexer *lexer, fq_token *ptoken, fq_token_kind kind,
                size_t len)
{
    return finish(lexer, ptoken, kind, ptoken->start + len,
                  fq_str_make(NULL, 0));
}

static fq_status
read_name(fq_lexer *lexer, fq_token *ptoken)
{
    size_t start = ptoken->start;
    size_t pos = start + 1;
    while (is_name_start(peek_at(lexer, pos)) || is_digit(peek_at(lexer, pos)))
        pos++;
    return finish(lexer, ptoken, FQ_TOKEN_NAME, pos,
                  fq_str_make(lexer->source.ptr + start, pos - start));
}

/* Moves *ppos over one or more digits. */
static fq_status
read_digits(fq_lexer *lexer, size_t *ppos)
{
    if (!is_digit(peek_at(lexer, *ppos)))
        return fail_at_char(lexer, *ppos,
                            "Invalid number, expected digit but got: ");
    do
        ++*ppos;
    while (is_digit(peek_at(lexer, *ppos)));
    return FQ_OK;
}

/* Sep 2025 2.10.1 and 2.10.2: no leading zeros, and neither a dot nor a name
 * may follow at once. */
static fq_status
read_number(fq_lexer *lexer, fq_token *ptoken)
{
    size_t start = ptoken->start;
    size_t pos = start;
    bool is_float = false;
    fq_status status;
    if (peek_at(lexer, pos) == '-')
        pos++;
    if (peek_at(lexer, pos) == '0') {
        pos++;
        if (is_digit(peek_at(lexer, pos)))
            return fail_at_char(lexer, pos,
                                "Invalid number, unexpected digit after 0: ");
    } else if ((status = read_digits(lexer, &pos)) != FQ_OK) {
        return status;
    }
    if (peek_at(lexer, pos) == '.') {
        is_float = true;
        pos++;
        if ((status = read_digits(lexer, &pos)) != FQ_OK)
            return status;
    }
    if (peek_at(lexer, pos) == 'e' || peek_at(lexer, pos) == 'E') {
        is_float = true;
        pos++;
        if (peek_at(lexer, pos) == '+' || peek_at(lexer, pos) == '-')
            pos++;
        if ((status = read_digits(lexer, &pos)) != FQ_OK)
            return status;
    }
    if (peek_at(lexer, pos) == '.' || is_name_start(peek_at(lexer, pos)))
        return fail_at_char(lexer, pos,
                            "Invalid number, expected digit but got: ");
    return finish(lexer, ptoken, is_float ? FQ_TOKEN_FLOAT : FQ_TOKEN_INT, pos,
                  fq_str_make(lexer->source.ptr + start, pos - start));
}

/* Four hexadecimal digits at |pos|, or -1. */
static int32_t
hex4_at(const fq_lexer *lexer, size_t pos)
{
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(peek_at(lexer, pos + i));
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* `\u{...}` at |pos|. */
static fq_status
read_escape_braced(fq_lexer *lexer, size_t pos, uint32_t *ppoint, size_t *plen)
{
    uint32_t point = 0;
    size_t len = 3;
    while (len < LEXER_ESCAPE_MAX && pos + len < lexer->source.len) {
        int c = peek_at(lexer, pos + len++);
        if (c == '}') {
            if (len < 5 || !is_scalar_value(point))
                break;
            *ppoint = point;
            *plen = len;
            return FQ_OK;
        }
        /* At most eight digits are read, so nothing is shifted out. */
        int digit = hex_digit(c);
        if (digit < 0 || (point & 0x08000000) != 0)
            break;
        point = point << 4 | (uint32_t)digit;
    }
    return fail_at_text(lexer, pos, "Invalid Unicode escape sequence: '", len);
}

/* `\uXXXX` at |pos|, or a surrogate pair of two. */
static fq_status
read_escape_fixed(fq_lexer *lexer, size_t pos, uint32_t *ppoint, size_t *plen)
{
    int32_t code = hex4_at(lexer, pos + 2);
    if (code >= 0 && is_scalar_value((uint32_t)code)) {
        *ppoint = (uint32_t)code;
        *plen = 6;
        return FQ_OK;
    }
    if (code >= 0xD800 && code <= 0xDBFF && peek_at(lexer, pos + 6) == '\\'
        && peek_at(lexer, pos + 7) == 'u') {
        int32_t low = hex4_at(lexer, pos + 8);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *ppoint = 0x10000
                      + ((uint32_t)(code - 0xD800) << 10
                         | (uint32_t)(low - 0xDC00));
            *plen = 12;
            return FQ_OK;
        }
    }
    return fail_at_text(lexer, pos, "Invalid Unicode escape sequence: '", 6);
}

/* Any escape at |pos| as a code point and the length of what was read. */
static fq_status
read_escape(fq_lexer *lexer, size_t pos, uint32_t *ppoint, size_t *plen)
{
    *plen = 2;
    switch (peek_at(lexer, pos + 1)) {
    case 'u':
        if (peek_at(lexer, pos + 2) == '{')
            return read_escape_braced(lexer, pos, ppoint, plen);
        return read_escape_fixed(lexer, pos, ppoint, plen);
    case '"':
        *ppoint = '"';
        return FQ_OK;
    case '\\':
        *ppoint = '\\';
        return FQ_OK;
    case '/':
        *ppoint = '/';
        return FQ_OK;
    case 'b':
        *ppoint = '\b';
        return FQ_OK;
    case 'f':
        *ppoint = '\f';
        return FQ_OK;
    case 'n':
        *ppoint = '\n';
        return FQ_OK;
    case 'r':
        *ppoint = '\r';
        return FQ_OK;
    case 't':
        *ppoint = '\t';
        return FQ_OK;
    default:
        return fail_at_text(lexer, pos, "Invalid character escape sequence: '",
                            2);
    }
}

/* Moves *ppos over one character inside a string. */
static inline fq_status
skip_char(fq_lexer *lexer, size_t *ppos)
{
    uint32_t len = 1;
    uint32_t point = (unsigned char)lexer->source.ptr[*ppos];
    if (point >= 0x80)
        point = decode_at(lexer, *ppos, &len);
    if (!is_scalar_value(point))
        return fail_at_char(lexer, *ppos, "Invalid character within String: ");
    *ppos += len;
    return FQ_OK;
}

/* The value of a string with escapes, whose text runs from |pos| to the
 * closing quote at |end| and has been checked. */
static fq_status
decode_string(fq_lexer *lexer, size_t pos, size_t end, fq_str *pvalue)
{
    /* No escape is shorter than what it stands for. */
    char *out = fq_arena_alloc(lexer->arena, end - pos);
    if (out == NULL)
        return FQ_ERR_NOMEM;
    size_t len = 0;
    while (pos < end) {
        if (lexer->source.ptr[pos] != '\\') {
            out[len++] = lexer->source.ptr[pos++];
            continue;
        }
        uint32_t point = 0;
        size_t escape_len;
        fq_status status = read_escape(lexer, pos, &point, &escape_len);
        FQ_CHECK(status == FQ_OK);
        (void)status;
        len += fq_utf8_encode(point, out + len);
        pos += escape_len;
    }
    *pvalue = fq_str_make(out, len);
    return FQ_OK;
}

static fq_status
read_string(fq_lexer *lexer, fq_token *ptoken)
{
    size_t first = ptoken->start + 1;
    size_t pos = first;
    bool has_escapes = false;
    fq_status status;
    for (;;) {
        int c = peek_at(lexer, pos);
        if (c == '"')
            break;
        if (c == LEXER_END || c == '\n' || c == '\r')
            return fq_lexer_fail_str(lexer, pos, "Unterminated string.");
        if (c == '\\') {
            uint32_t point;
            size_t len;
            has_escapes = true;
            status = read_escape(lexer, pos, &point, &len);
            pos += len;
        } else {
            status = skip_char(lexer, &pos);
        }
        if (status != FQ_OK)
            return status;
    }
    fq_str value = fq_str_make(lexer->source.ptr + first, pos - first);
    if (has_escapes
        && (status = decode_string(lexer, first, pos, &value)) != FQ_OK)
        return status;
    return finish(lexer, ptoken, FQ_TOKEN_STRING, pos + 1, value);
}

/* The line of a block string from |pos| on, without what ends it; *pnext is
 * where the next one starts, beyond |end| after the last. */
static fq_str
block_line(const fq_lexer *lexer, size_t pos, size_t end, size_t *pnext)
{
    const char *text = lexer->source.ptr;
    size_t line_end = pos;
    while (line_end < end && text[line_end] != '\n' && text[line_end] != '\r')
        line_end++;
    *pnext = line_end + 1;
    if (line_end + 1 < end && text[line_end] == '\r'
        && text[line_end + 1] == '\n')
        ++*pnext;
    return fq_str_make(text + pos, line_end - pos);
}

static size_t
leading_white_space(fq_str line)
{
    size_t n = 0;
    while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t'))
        n++;
    return n;
}

/* Copies |line| to |out| with `\"""` unescaped; returns the bytes written. */
static size_t
copy_block_line(char *out, fq_str line)
{
    size_t len = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (line.len - i >= 4 && memcmp(line.ptr + i, "\\\"\"\"", 4) == 0) {
            memcpy(out + len, "\"\"\"", 3);
            len += 3;
            i += 3;
        } else {
            out[len++] = line.ptr[i];
        }
    }
    return len;
}

/* BlockStringValue() of Sep 2025 2.10.4 for the text from |first| to |end|:
 * the indentation common to all lines but the first goes, then blank lines
 * at both ends. `\"""` is no white space, so it may be resolved after. */
static fq_status
decode_block_string(fq_lexer *lexer, size_t first, size_t end, fq_str *pvalue)
{
    size_t common = SIZE_MAX;
    size_t first_line = SIZE_MAX;
    size_t last_line = 0;
    size_t next;
    size_t i = 0;
    for (size_t pos = first; pos <= end; pos = next, i++) {
        fq_str line = block_line(lexer, pos, end, &next);
        size_t indent = leading_white_space(line);
        if (indent == line.len)
            continue;
        if (first_line == SIZE_MAX)
            first_line = i;
        last_line = i;
        if (i > 0 && indent < common)
            common = indent;
    }
    char *out = fq_arena_alloc(lexer->arena, end - first + 1);
    if (out == NULL)
        return FQ_ERR_NOMEM;
    size_t len = 0;
    i = 0;
    for (size_t pos = first;
         first_line != SIZE_MAX && pos <= end && i <= last_line;
         pos = next, i++) {
        fq_str line = block_line(lexer, pos, end, &next);
        if (i < first_line)
            continue;
        if (i > first_line)
            out[len++] = '\n';
        size_t cut = i == 0 ? 0 : common < line.len ? common : line.len;
        len += copy_block_line(out + len,
                               fq_str_make(line.ptr + cut, line.len - cut));
    }
    *pvalue = fq_str_make(out, len);
    return FQ_OK;
}

static fq_status
read_block_string(fq_lexer *lexer, fq_token *ptoken)
{
    static const fq_str quotes = FQ_STR("\"\"\"");
    static const fq_str escape = FQ_STR("\\\"\"\"");
    size_t first = ptoken->start + 3;
    size_t pos = first;
    fq_status status;
    while (pos < lexer->source.len) {
        int c = peek_at(lexer, pos);
        if (c == '"' && starts_with(lexer, pos, quotes)) {
            fq_str value;
            status = decode_block_string(lexer, first, pos, &value);
            if (status != FQ_OK)
                return status;
            return finish(lexer, ptoken, FQ_TOKEN_BLOCK_STRING, pos + 3,
                          value);
        }
        if (c == '\\' && starts_with(lexer, pos, escape))
            pos += escape.len;
        else if ((status = skip_char(lexer, &pos)) != FQ_OK)
            return status;
    }
    return fq_lexer_fail_str(lexer, pos, "Unterminated string.");
}

/* A comment ends before a line terminator or an invalid character. */
static size_t
skip_comment(const fq_lexer *lexer, size_t pos)
{
    while (pos < lexer->source.len) {
        uint32_t len;
        uint32_t point = decode_at(lexer, pos, &len);
        if (point == '\n' || point == '\r' || !is_scalar_value(point))
            break;
        pos += len;
    }
    return pos;
}

/* A dot that starts no `...`. */
static fq_status
fail_at_dot(fq_lexer *lexer, size_t pos)
{
    if (peek_at(lexer, pos + 1) == '.')
        return fq_lexer_fail_str(lexer, pos,
                                 "Unexpected '..', did you mean '...'?");
    if (!is_digit(peek_at(lexer, pos + 1)))
        return fail_at_char(lexer, pos, "Unexpected character: ");
    size_t end = pos + 1;
    while (is_digit(peek_at(lexer, end)))
        end++;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message,
                      FQ_STR_LIT("Invalid number, expected digit before '.', "
                                 "did you mean '0"));
    fq_buf_append(&message, lexer->source.ptr + pos, end - pos);
    fq_buf_append_str(&message, FQ_STR_LIT("'?"));
    return fq_lexer_fail(lexer, pos, &message);
}

static fq_status
fail_at_other(fq_lexer *lexer, size_t pos)
{
    if (peek_at(lexer, pos) == '\'')
        return fq_lexer_fail_str(lexer, pos,
                                 "Unexpected single quote character ('), "
                                 "did you mean to use a double quote (\")?");
    uint32_t len;
    return fail_at_char(lexer, pos,
                        is_scalar_value(decode_at(lexer, pos, &len))
                            ? "Unexpected character: "
                            : "Invalid character: ");
}

fq_status
fq_lexer_next(fq_lexer *lexer, fq_token *ptoken)
{
    size_t pos = lexer->pos;
    for (;;) {
        int c = peek_at(lexer, pos);
        ptoken->start = (uint32_t)pos;
        if (is_name_start(c))
            return read_name(lexer, ptoken);
        switch (c) {
        case LEXER_END:
            return read_punctuator(lexer, ptoken, FQ_TOKEN_EOF, 0);
        case ' ':
        case '\t':
        case ',':
        case '\n':
        case '\r':
            pos++;
            continue;
        case '#':
            pos = skip_comment(lexer, pos + 1);
            continue;
        case '!':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_BANG, 1);
        case '$':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_DOLLAR, 1);
        case '&':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_AMP, 1);
        case '(':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_PAREN_L, 1);
        case ')':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_PAREN_R, 1);
        case ':':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_COLON, 1);
        case '=':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_EQUALS, 1);
        case '@':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_AT, 1);
        case '[':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_BRACKET_L, 1);
        case ']':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_BRACKET_R, 1);
        case '{':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_BRACE_L, 1);
        case '|':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_PIPE, 1);
        case '}':
            return read_punctuator(lexer, ptoken, FQ_TOKEN_BRACE_R, 1);
        case '.':
            if (!starts_with(lexer, pos, FQ_STR_LIT("...")))
                return fail_at_dot(lexer, pos);
            return read_punctuator(lexer, ptoken, FQ_TOKEN_SPREAD, 3);
        case '"':
            if (starts_with(lexer, pos, FQ_STR_LIT("\"\"\"")))
                return read_block_string(lexer, ptoken);
            return read_string(lexer, ptoken);
        default:
            if (is_digit(c) || c == '-')
                return read_number(lexer, ptoken);
            /* U+FEFF, the byte order mark, is ignored anywhere. */
            if (c == 0xEF
                && starts_with(lexer, pos, FQ_STR_LIT("\xEF\xBB\xBF"))) {
                pos += 3;
                continue;
            }
            return fail_at_other(lexer, pos);
        }
    }
}
