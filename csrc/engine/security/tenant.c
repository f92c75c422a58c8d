/* SPDX-License-Identifier: MIT */
/* Finding the tenant of an event: in its envelope, and where a policy says so,
 * in its data. Thread: any. */
#include "engine/security/tenant.h"

#include "json/reader.h"

fq_status
fq_tenant_read_policy(yyjson_val *text, fq_tenant_policy *policy,
                      fq_error *error)
{
    *policy = (fq_tenant_policy){0};
    yyjson_val *multi = fq_json_get(text, FQ_STR_LIT("multi_tenant"));
    if (multi != NULL && !yyjson_is_bool(multi))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "multi_tenant must be true or false");
    policy->is_multi_tenant = yyjson_is_true(multi);
    yyjson_val *path = fq_json_get(text, FQ_STR_LIT("tenant_path"));
    if (path == NULL || yyjson_is_null(path))
        return FQ_OK;
    size_t n_steps = yyjson_arr_size(path);
    if (n_steps > FQ_TENANT_STEPS_MAX)
        return fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "tenant_path has %zu steps; at most %d are "
                            "allowed",
                            n_steps, FQ_TENANT_STEPS_MAX);
    for (size_t i = 0; i < n_steps; i++)
        policy->steps[i] = fq_json_str(yyjson_arr_get(path, i));
    policy->n_steps = n_steps;
    policy->is_multi_tenant = true;
    for (size_t i = 0; i < n_steps; i++) {
        if (policy->steps[i].len == 0)
            n_steps = 0;
    }
    if (n_steps == 0)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "tenant_path must be a list of keys");
    return FQ_OK;
}

static fq_event_tenant
tenant_of_data(const fq_tenant_policy *policy, const fq_event *event)
{
    static const fq_event_tenant none = {.kind = FQ_TENANT_NONE};
    static const fq_event_tenant unclear = {.kind = FQ_TENANT_UNCLEAR};
    yyjson_val *val = yyjson_doc_get_root(event->doc);
    for (size_t i = 0; i < policy->n_steps; i++) {
        if (val == NULL || yyjson_is_null(val))
            return none;
        if (!yyjson_is_obj(val))
            return unclear;
        val = fq_json_get(val, policy->steps[i]);
    }
    if (val == NULL || yyjson_is_null(val))
        return none;
    if (!yyjson_is_str(val))
        return unclear;
    fq_str name = fq_json_str(val);
    if (name.len == 0)
        return none;
    return (fq_event_tenant){.kind = FQ_TENANT_NAMED, .name = name};
}

fq_event_tenant
fq_tenant_of_event(const fq_tenant_policy *policy, const fq_event *event)
{
    fq_event_tenant in_data = {.kind = FQ_TENANT_NONE};
    if (policy->n_steps > 0)
        in_data = tenant_of_data(policy, event);
    if (event->tenant_id == NULL || in_data.kind == FQ_TENANT_UNCLEAR)
        return in_data;
    fq_event_tenant in_envelope = {
        .kind = FQ_TENANT_NAMED,
        .name = fq_rcbuf_str(event->tenant_id),
    };
    if (in_data.kind == FQ_TENANT_NAMED
        && !fq_str_eq(in_data.name, in_envelope.name))
        in_envelope.kind = FQ_TENANT_UNCLEAR;
    return in_envelope;
}
