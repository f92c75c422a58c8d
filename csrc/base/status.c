/* SPDX-License-Identifier: MIT */
/* Phrases for status codes. Any thread. */
#include "base/status.h"

const char *
fq_status_str(fq_status status)
{
    switch (status) {
    case FQ_OK:
        return "no error";
    case FQ_ERR_AGAIN:
        return "not ready yet";
    case FQ_ERR_SYNTAX:
        return "syntax error";
    case FQ_ERR_INVALID:
        return "not allowed";
    case FQ_ERR_NOT_FOUND:
        return "not found";
    case FQ_ERR_EXISTS:
        return "exists already";
    case FQ_ERR_LIMIT:
        return "limit reached";
    case FQ_ERR_FULL:
        return "queue is full";
    case FQ_ERR_TIMEOUT:
        return "timed out";
    case FQ_ERR_CLOSED:
        return "closed";
    case FQ_ERR_FORBIDDEN:
        return "forbidden by a policy";
    case FQ_ERR_LOST:
        return "lost";
    case FQ_ERR_SYSTEM:
        return "refused by the operating system";
    case FQ_ERR_FATAL:
        return "unusable after an earlier failure";
    case FQ_ERR_NOMEM:
        return "out of memory";
    }
    return "unknown status";
}
