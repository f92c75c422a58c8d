/* SPDX-License-Identifier: MIT */
/* Filling in the details of a failure without allocating. Any thread. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops the character that |message|, cut after |len| bytes, may end in the
 * middle of. |next| is the byte after the cut. */
static void
error_mend_cut(char *message, size_t len, unsigned char next)
{
    if ((next & 0xC0) != 0x80)
        return;
    while (len > 0 && ((unsigned char)message[len - 1] & 0xC0) == 0x80)
        len--;
    message[len > 0 ? len - 1 : 0] = '\0';
}

fq_status
fq_error_set(fq_error *error, fq_status status, size_t pos, const char *format,
             ...)
{
    if (error == NULL)
        return status;
    /* One byte more than fits shows whether the cut hits a character. */
    char text[FQ_ERROR_MESSAGE_MAX + 1];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);

    size_t len = strlen(text);
    size_t n_kept = len < FQ_ERROR_MESSAGE_MAX ? len
                                               : FQ_ERROR_MESSAGE_MAX - 1;
    error->status = status;
    error->pos = pos;
    memcpy(error->message, text, n_kept);
    error->message[n_kept] = '\0';
    if (n_kept < len)
        error_mend_cut(error->message, n_kept, (unsigned char)text[n_kept]);
    return status;
}
