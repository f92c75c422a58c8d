/* SPDX-License-Identifier: MIT */
/* Values are laid out in two passes: the first measures each list and object,
 * innermost first, because one that is longer than a line is broken up and
 * then is longer still; the second writes. One thread at a time. */
#include "graphql/print.h"

#include <string.h>

#include "json/utf8.h"

/* As in the reference: a longer list or object gets a line per item, and
 * nothing is indented further than so many levels. */
#define PRINT_LINE_MAX 80
#define PRINT_INDENT_MAX 100

/* A text for people: what is beyond is cut, as indentation can make much of
 * little. */
#define PRINT_TEXT_MAX (64 * 1024)

/* Of a block string: a longer line stands alone between its quotes. */
#define PRINT_BLOCK_LINE_MAX 70

typedef struct fq_printer {
    fq_buf *buf;
    size_t depth;         /* of indentation */
    bool keeps_variables; /* they are printed as they are written */
} fq_printer;

/* Length of a text in characters, and its line breaks. */
typedef struct fq_extent {
    size_t len;
    size_t newlines;
} fq_extent;

static size_t
count_points(fq_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

static size_t
count_newlines(fq_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '\n';
    return n;
}

/* |s| with quotes, backslashes and control characters escaped. */
static void
print_string(fq_buf *buf, fq_str s)
{
    static const char letters[] = "btn.fr"; /* from \b on; \v has none */
    fq_buf_append_char(buf, '"');
    for (size_t i = 0; i < s.len; i++) {
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

static fq_extent
measure(const fq_printer *printer, fq_ast_value *value);

static fq_extent
measure_item(const fq_printer *printer, fq_ast_node *item)
{
    if (item->kind != FQ_AST_OBJECT_FIELD)
        return measure(printer, (fq_ast_value *)item);
    const fq_ast_argument *field = (const fq_ast_argument *)item;
    fq_extent extent = measure(printer, field->value);
    extent.len += field->name.len + 2;
    return extent;
}

/* True when |value|, measured, gets a line per item. */
static bool
is_broken_up(const fq_ast_value *value)
{
    return value->print_len > PRINT_LINE_MAX;
}

static fq_extent
measure(const fq_printer *printer, fq_ast_value *value)
{
    fq_extent total = {0, 0};
    if (!is_container(value)) {
        fq_buf text;
        fq_buf_init(&text);
        print_leaf(printer, &text, value);
        total.len = count_points(fq_buf_str(&text));
        total.newlines = count_newlines(fq_buf_str(&text));
        fq_buf_fini(&text);
        return total;
    }
    size_t n_items = 0;
    FQ_AST_FOREACH(item, &value->items)
    {
        if (is_omitted(printer, item))
            continue;
        fq_extent extent = measure_item(printer, item);
        total.len += extent.len;
        total.newlines += extent.newlines;
        n_items++;
    }
    size_t n_gaps = n_items > 0 ? n_items - 1 : 0;
    size_t quotes = value->node.kind == FQ_AST_LIST ? 2 : 4;
    size_t on_one_line = total.len + 2 * n_gaps + quotes;
    if (on_one_line > PRINT_LINE_MAX) {
        total.newlines += n_gaps;
        total.len += n_gaps + 2 * (total.newlines + 1) + 4;
        total.newlines += 2;
    } else {
        total.len = on_one_line;
    }
    value->print_len = (uint32_t)total.len;
    value->print_newlines = (uint32_t)total.newlines;
    return total;
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
print_measured(fq_printer *printer, const fq_ast_value *value);

static void
print_items(fq_printer *printer, const fq_ast_value *value, bool is_broken)
{
    bool is_first = true;
    FQ_AST_FOREACH(item, &value->items)
    {
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
        print_measured(printer, inner);
    }
}

static void
print_measured(fq_printer *printer, const fq_ast_value *value)
{
    if (fq_buf_status(printer->buf) != FQ_OK)
        return;
    if (!is_container(value)) {
        print_indented(printer, value);
        return;
    }
    bool is_list = value->node.kind == FQ_AST_LIST;
    bool is_broken = is_broken_up(value);
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
    measure(&printer, value);
    print_measured(&printer, value);
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
