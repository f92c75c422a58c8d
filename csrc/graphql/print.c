/* SPDX-License-Identifier: MIT */
/* A list or object that is longer than a line is broken up, and then so is all
 * around it. Whether it is can be told from its first few items, so it is asked
 * when it is written, and the cost does not depend on what is cut. One thread
 * at a time. */
#include "graphql/print.h"

#include <string.h>

#include "json/utf8.h"

/* As in the reference: a longer list or object gets a line per item, and
 * nothing is indented further than so many levels. */
#define PRINT_LINE_MAX 80
#define PRINT_INDENT_MAX 100

/* A text for people: what is beyond is cut, as one document can ask for a
 * hundred of them. */
#define PRINT_TEXT_MAX (8 * 1024)

/* Of a block string: a longer line stands alone between its quotes. */
#define PRINT_BLOCK_LINE_MAX 70

typedef struct fq_printer {
    fq_buf *buf;
    size_t depth;         /* of indentation */
    bool keeps_variables; /* they are printed as they are written */
} fq_printer;

static size_t
count_points(fq_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* |s| with quotes, backslashes and control characters escaped. */
static void
print_string(fq_buf *buf, fq_str s)
{
    static const char letters[] = "btn.fr"; /* from \b on; \v has none */
    fq_buf_append_char(buf, '"');
    for (size_t i = 0; i < s.len && fq_buf_status(buf) == FQ_OK; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        unsigned char next = i + 1 < s.len ? (unsigned char)s.ptr[i + 1] : 0;
        if (c == '"' || c == '\\')
            fq_buf_append_format(buf, "\\%c", c);
        else if (c >= '\b' && c <= '\r' && c != '\v')
            fq_buf_append_format(buf, "\\%c", letters[c - '\b']);
        else if (c < 0x20 || c == 0x7F)
            fq_buf_append_format(buf, "\\u%04X", c);
        else if (c == 0xC2 && next >= 0x80 && next <= 0x9F)
            fq_buf_append_format(buf, "\\u%04X", s.ptr[++i] & 0xFFu);
        else
            fq_buf_append_char(buf, (char)c);
    }
    fq_buf_append_char(buf, '"');
}

static bool
ends_with(fq_str s, const char *end)
{
    size_t len = strlen(end);
    return s.len >= len && memcmp(s.ptr + s.len - len, end, len) == 0;
}

/* True when all lines of |s| but the first are empty or indented, and there
 * are such: read back, they would lose that indentation. */
static bool
is_indented(fq_str s)
{
    bool has_lines = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\n')
            continue;
        has_lines = true;
        if (i + 1 < s.len && s.ptr[i + 1] != '\n' && s.ptr[i + 1] != ' '
            && s.ptr[i + 1] != '\t')
            return false;
    }
    return has_lines;
}

/* A block string's value never has a \r of its own: they were line breaks. */
static void
print_block_string(fq_buf *buf, fq_str s)
{
    bool has_lines = memchr(s.len > 0 ? s.ptr : "", '\n', s.len) != NULL;
    bool is_quoted = ends_with(s, "\"\"\"");
    bool needs_end = (ends_with(s, "\"") && !is_quoted) || ends_with(s, "\\");
    bool needs_start = is_indented(s);
    bool is_broken = has_lines || count_points(s) > PRINT_BLOCK_LINE_MAX
                     || needs_end || needs_start || is_quoted;
    bool starts_blank = !has_lines && s.len > 0
                        && (s.ptr[0] == ' ' || s.ptr[0] == '\t');
    fq_buf_append_str(buf, FQ_STR_LIT("\"\"\""));
    if ((is_broken && !starts_blank) || needs_start)
        fq_buf_append_char(buf, '\n');
    for (size_t i = 0; i < s.len; i++) {
        if (s.len - i >= 3 && memcmp(s.ptr + i, "\"\"\"", 3) == 0) {
            fq_buf_append_str(buf, FQ_STR_LIT("\\\"\"\""));
            i += 2;
        } else {
            fq_buf_append_char(buf, s.ptr[i]);
        }
    }
    if (is_broken)
        fq_buf_append_char(buf, '\n');
    fq_buf_append_str(buf, FQ_STR_LIT("\"\"\""));
}

static void
print_variable(const fq_printer *printer, fq_buf *buf,
               const fq_ast_value *value)
{
    if (printer->keeps_variables) {
        fq_buf_append_char(buf, '$');
        fq_buf_append_str(buf, value->text);
    } else {
        fq_buf_append_str(buf, FQ_STR_LIT("null"));
    }
}

static void
print_leaf(const fq_printer *printer, fq_buf *buf, const fq_ast_value *value)
{
    if (value->node.kind == FQ_AST_VARIABLE)
        print_variable(printer, buf, value);
    else if (value->node.kind != FQ_AST_STRING)
        fq_buf_append_str(buf, value->text);
    else if (value->is_block)
        print_block_string(buf, value->text);
    else
        print_string(buf, value->text);
}

static bool
is_container(const fq_ast_value *value)
{
    return value->node.kind == FQ_AST_LIST
           || value->node.kind == FQ_AST_OBJECT;
}

/* True for an input field that is left out. */
static bool
is_omitted(const fq_printer *printer, const fq_ast_node *item)
{
    return !printer->keeps_variables && item->kind == FQ_AST_OBJECT_FIELD
           && ((const fq_ast_argument *)item)->value->node.kind
                  == FQ_AST_VARIABLE;
}

/* The characters of |value| on one line, or anything above |max| if they are
 * more than that. */
static size_t
measure(const fq_printer *printer, const fq_ast_value *value, size_t max);

static size_t
measure_leaf(const fq_printer *printer, const fq_ast_value *value, size_t max)
{
    /* A character has four bytes at most, and escapes only add. */
    if (value->text.len > 4 * max)
        return max + 1;
    fq_buf text;
    fq_buf_init(&text);
    print_leaf(printer, &text, value);
    size_t len = count_points(fq_buf_str(&text));
    if (fq_buf_status(&text) != FQ_OK)
        printer->buf->status = fq_buf_status(&text);
    fq_buf_fini(&text);
    return len;
}

static size_t
measure(const fq_printer *printer, const fq_ast_value *value, size_t max)
{
    if (!is_container(value))
        return measure_leaf(printer, value, max);
    size_t len = value->node.kind == FQ_AST_LIST ? 2 : 4;
    bool is_first = true;
    FQ_AST_FOREACH(item, &value->items)
    {
        const fq_ast_value *inner = (const fq_ast_value *)item;
        if (is_omitted(printer, item))
            continue;
        if (!is_first)
            len += 2;
        is_first = false;
        if (item->kind == FQ_AST_OBJECT_FIELD) {
            const fq_ast_argument *field = (const fq_ast_argument *)item;
            len += field->name.len + 2;
            inner = field->value;
        }
        if (len <= max)
            len += measure(printer, inner, max - len);
        if (len > max)
            break;
    }
    return len;
}

static void
print_newline(fq_printer *printer)
{
    if (printer->depth >= PRINT_INDENT_MAX) {
        fq_buf_append_char(printer->buf, ' ');
        return;
    }
    fq_buf_append_char(printer->buf, '\n');
    for (size_t i = 0; i < printer->depth; i++)
        fq_buf_append_str(printer->buf, FQ_STR_LIT("  "));
}

/* A leaf, whose own line breaks (in a block string) are indented. */
static void
print_indented(fq_printer *printer, const fq_ast_value *value)
{
    fq_buf text;
    fq_buf_init(&text);
    text.max = PRINT_TEXT_MAX;
    print_leaf(printer, &text, value);
    for (size_t i = 0; i < text.len; i++) {
        fq_buf_append_char(printer->buf, text.ptr[i]);
        if (text.ptr[i] != '\n')
            continue;
        for (size_t d = 0; d < printer->depth && d < PRINT_INDENT_MAX; d++)
            fq_buf_append_str(printer->buf, FQ_STR_LIT("  "));
    }
    if (fq_buf_status(&text) != FQ_OK)
        printer->buf->status = fq_buf_status(&text);
    fq_buf_fini(&text);
}

static void
print_laid_out(fq_printer *printer, const fq_ast_value *value);

static void
print_items(fq_printer *printer, const fq_ast_value *value, bool is_broken)
{
    bool is_first = true;
    FQ_AST_FOREACH(item, &value->items)
    {
        if (fq_buf_status(printer->buf) != FQ_OK)
            return;
        if (is_omitted(printer, item))
            continue;
        if (!is_first && !is_broken)
            fq_buf_append_str(printer->buf, FQ_STR_LIT(", "));
        if (is_broken)
            print_newline(printer);
        is_first = false;
        const fq_ast_value *inner = (const fq_ast_value *)item;
        if (item->kind == FQ_AST_OBJECT_FIELD) {
            const fq_ast_argument *field = (const fq_ast_argument *)item;
            fq_buf_append_str(printer->buf, field->name);
            fq_buf_append_str(printer->buf, FQ_STR_LIT(": "));
            inner = field->value;
        }
        print_laid_out(printer, inner);
    }
}

static void
print_laid_out(fq_printer *printer, const fq_ast_value *value)
{
    if (fq_buf_status(printer->buf) != FQ_OK)
        return;
    if (!is_container(value)) {
        print_indented(printer, value);
        return;
    }
    bool is_list = value->node.kind == FQ_AST_LIST;
    bool is_broken = measure(printer, value, PRINT_LINE_MAX) > PRINT_LINE_MAX;
    fq_buf_append_char(printer->buf, is_list ? '[' : '{');
    if (is_broken) {
        printer->depth++;
        print_items(printer, value, true);
        printer->depth--;
        print_newline(printer);
    } else {
        if (!is_list)
            fq_buf_append_char(printer->buf, ' ');
        print_items(printer, value, false);
        if (!is_list)
            fq_buf_append_char(printer->buf, ' ');
    }
    fq_buf_append_char(printer->buf, is_list ? ']' : '}');
}

static void
print_text(fq_buf *buf, fq_ast_value *value, bool keeps_variables)
{
    fq_buf text;
    fq_buf_init(&text);
    text.max = PRINT_TEXT_MAX;
    fq_printer printer = {.buf = &text, .keeps_variables = keeps_variables};
    print_laid_out(&printer, value);
    if (fq_buf_status(&text) == FQ_ERR_NOMEM)
        buf->status = FQ_ERR_NOMEM;
    fq_buf_append_str(buf, fq_utf8_truncate(fq_buf_str(&text), text.len));
    if (fq_buf_status(&text) == FQ_ERR_LIMIT)
        fq_buf_append_str(buf, FQ_STR_LIT("..."));
    fq_buf_fini(&text);
}

void
fq_print_value(fq_buf *buf, fq_ast_value *value)
{
    print_text(buf, value, false);
}

void
fq_print_literal(fq_buf *buf, fq_ast_value *value)
{
    print_text(buf, value, true);
}

void
fq_print_type(fq_buf *buf, const fq_ast_type *type)
{
    bool is_list = type->node.kind == FQ_AST_LIST_TYPE;
    if (is_list)
        fq_buf_append_char(buf, '[');
    if (type->node.kind == FQ_AST_NAMED_TYPE)
        fq_buf_append_str(buf, type->name);
    else
        fq_print_type(buf, type->of);
    if (is_list)
        fq_buf_append_char(buf, ']');
    else if (type->node.kind == FQ_AST_NON_NULL_TYPE)
        fq_buf_append_char(buf, '!');
}
