/* SPDX-License-Identifier: MIT */
/* 122 random bits, written as UUIDs are. */
#include "reactor/connection_id.h"

#include <stdint.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#define UUID_TEXT_LEN 36

fq_status
fq_connection_id_new(fq_rcbuf **pid)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16];
    char text[UUID_TEXT_LEN];
    *pid = NULL;
    if (getentropy(bytes, sizeof(bytes)) != 0)
        return FQ_ERR_SYSTEM;
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f)); /* version 4 */
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f)); /* variant */
    size_t n = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[n++] = '-';
        text[n++] = digits[bytes[i] >> 4];
        text[n++] = digits[bytes[i] & 0x0f];
    }
    return fq_rcbuf_new(fq_str_make(text, n), pid);
}
