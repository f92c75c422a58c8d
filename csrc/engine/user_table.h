/* SPDX-License-Identifier: MIT */
/* What each user has open in one engine, over all of its connections: caps on
 * it, and the bucket of events they share. A user is a (tenant_id, user_id) of
 * a security context; who is anonymous is no user: strangers share neither a
 * cap nor a bucket. An entry goes with the last thing its user has open.
 * Thread: reactor. */
#ifndef FQ_ENGINE_USER_TABLE_H
#define FQ_ENGINE_USER_TABLE_H

#include <stddef.h>

#include "base/map.h"
#include "base/status.h"
#include "engine/rate_limit.h"
#include "engine/security/context.h"

/* What is counted of a user. */
typedef enum fq_user_count {
    FQ_USER_CONNECTIONS,
    FQ_USER_SUBS,
    FQ_USER_N_COUNTS,
} fq_user_count;

typedef struct fq_user {
    fq_str key; /* tenant and user, behind the struct */
    size_t counts[FQ_USER_N_COUNTS];
    fq_rate_limit event_limit; /* of all their subscriptions together */
} fq_user;

typedef struct fq_user_table {
    fq_map users; /* key -> fq_user */
} fq_user_table;

void
fq_user_table_init(fq_user_table *table);
/* Everybody must have left. */
void
fq_user_table_fini(fq_user_table *table);

/* Counts one more |what| for the user of |context|; *puser is to be given back
 * to fq_user_table_leave, and NULL for nobody in particular. Errors:
 * FQ_ERR_LIMIT (|max| are open; 0: no maximum), FQ_ERR_NOMEM. Cost: O(1),
 * memory for a user's first. */
fq_status
fq_user_table_enter(fq_user_table *table, const fq_security_context *context,
                    fq_user_count what, size_t max, fq_user **puser);

/* Counts the |what| of *puser (NULL: nobody's) for the user of |context|
 * instead. On failure, which is that of fq_user_table_enter, it stays. */
fq_status
fq_user_table_move(fq_user_table *table, const fq_security_context *context,
                   fq_user_count what, size_t max, fq_user **puser);

/* One |what| less of |user|, which may be NULL; the entry of who has nothing
 * left is freed. Never fails. */
void
fq_user_table_leave(fq_user_table *table, fq_user *user, fq_user_count what);

/* Users who have something open. */
static inline size_t
fq_user_table_n_users(const fq_user_table *table)
{
    return table->users.n_items;
}

#endif
