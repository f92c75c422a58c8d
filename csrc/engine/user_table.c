/* SPDX-License-Identifier: MIT */
/* The table of users. Thread: reactor. */
#include "engine/user_table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* The name of whom nobody authenticated (service.c). */
static const fq_str text_anonymous = FQ_STR("anonymous");

/* Keys up to this length are put together on the stack. */
#define USER_KEY_SHORT 256

void
fq_user_table_init(fq_user_table *table)
{
    fq_map_init(&table->users);
}

void
fq_user_table_fini(fq_user_table *table)
{
    FQ_CHECK(table->users.n_items == 0);
    fq_map_fini(&table->users);
}

static bool
is_nobody(const fq_security_context *context)
{
    return context == NULL || context->user_id.len == 0
           || fq_str_eq(context->user_id, text_anonymous);
}

/* The tenant's length, the tenant, the user: no two pairs have one key. */
static size_t
key_len(const fq_security_context *context)
{
    return sizeof(size_t) + context->tenant_id.len + context->user_id.len;
}

static fq_str
write_key(const fq_security_context *context, char *key)
{
    fq_str tenant = context->tenant_id;
    memcpy(key, &tenant.len, sizeof(size_t));
    if (tenant.len > 0)
        memcpy(key + sizeof(size_t), tenant.ptr, tenant.len);
    memcpy(key + sizeof(size_t) + tenant.len, context->user_id.ptr,
           context->user_id.len);
    return fq_str_make(key, key_len(context));
}

static fq_status
user_new(const fq_security_context *context, fq_user **puser)
{
    fq_user *user = fq_alloc_zero(sizeof(*user) + key_len(context));
    *puser = user;
    if (user == NULL)
        return FQ_ERR_NOMEM;
    user->key = write_key(context, (char *)(user + 1));
    return FQ_OK;
}

/* The entry of |context|'s user, made when there is none. */
static fq_status
table_find_or_add(fq_user_table *table, const fq_security_context *context,
                  fq_user **puser)
{
    *puser = NULL;
    if (key_len(context) <= USER_KEY_SHORT) {
        char key[USER_KEY_SHORT];
        *puser = fq_map_get(&table->users, write_key(context, key));
        if (*puser != NULL)
            return FQ_OK;
    }
    fq_user *user;
    fq_status status = user_new(context, &user);
    if (status != FQ_OK)
        return status;
    status = fq_map_add(&table->users, user->key, user);
    if (status == FQ_OK) {
        *puser = user;
        return FQ_OK;
    }
    if (status == FQ_ERR_EXISTS) { /* a long key */
        *puser = fq_map_get(&table->users, user->key);
        status = FQ_OK;
    }
    fq_free(user);
    return status;
}

static void
table_remove_idle(fq_user_table *table, fq_user *user)
{
    for (size_t i = 0; i < FQ_USER_N_COUNTS; i++) {
        if (user->counts[i] > 0)
            return;
    }
    fq_map_remove(&table->users, user->key);
    fq_free(user);
}

fq_status
fq_user_table_enter(fq_user_table *table, const fq_security_context *context,
                    fq_user_count what, size_t max, fq_user **puser)
{
    *puser = NULL;
    if (is_nobody(context))
        return FQ_OK;
    fq_user *user;
    fq_status status = table_find_or_add(table, context, &user);
    if (status != FQ_OK)
        return status;
    if (max != 0 && user->counts[what] >= max)
        return FQ_ERR_LIMIT;
    user->counts[what]++;
    *puser = user;
    return FQ_OK;
}

fq_status
fq_user_table_move(fq_user_table *table, const fq_security_context *context,
                   fq_user_count what, size_t max, fq_user **puser)
{
    fq_user *old = *puser, *user = NULL;
    fq_status status = FQ_OK;
    if (!is_nobody(context))
        status = table_find_or_add(table, context, &user);
    if (status != FQ_OK || user == old)
        return status;
    if (user != NULL && max != 0 && user->counts[what] >= max)
        return FQ_ERR_LIMIT;
    if (user != NULL)
        user->counts[what]++;
    *puser = user;
    fq_user_table_leave(table, old, what);
    return FQ_OK;
}

void
fq_user_table_leave(fq_user_table *table, fq_user *user, fq_user_count what)
{
    if (user == NULL)
        return;
    FQ_CHECK(user->counts[what] > 0);
    user->counts[what]--;
    table_remove_idle(table, user);
}
