/* SPDX-License-Identifier: MIT */
/* CRC-32 as zlib, PNG and Ethernet have it (reflected, polynomial 0xEDB88320):
 * a hash that every language's library computes alike. Not against people who
 * choose what is hashed. One thread at a time. */
#ifndef FQ_BASE_CRC32_H
#define FQ_BASE_CRC32_H

#include <stdint.h>

#include "base/str.h"

uint32_t
fq_crc32(fq_str bytes);

#endif
