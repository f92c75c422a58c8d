/* SPDX-License-Identifier: MIT */
/* Replies of hiredis in memory that dies together: a batch of 1,000 entries
 * has some 20,000 texts and lists, whose making and freeing one by one was a
 * third of what reading cost. Plain data: one thread at a time. */
#ifndef FQ_BUS_REDIS_REPLY_H
#define FQ_BUS_REDIS_REPLY_H

#include <hiredis/hiredis.h>

/* Elements of one list, at most: far beyond what is asked for. */
#define FQ_REDIS_ELEMENTS_MAX (1 << 20)

/* Makes |context| build its replies so, from now on; each is freed by
 * fq_redis_reply_free(). Without memory the connection ends. */
void
fq_redis_reply_use(redisContext *context);

/* Bytes that |reply|, a whole one, holds, but those of its own text. */
size_t
fq_redis_reply_n_bytes(const redisReply *reply);

/* |reply|: a whole one, not a part of it; NULL is allowed. */
void
fq_redis_reply_free(void *reply);

/* It would free the parts one by one. */
#pragma GCC poison freeReplyObject

#endif
