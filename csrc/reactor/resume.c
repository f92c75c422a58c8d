/* SPDX-License-Identifier: MIT */
/* `extensions.resume`. Thread: reactor. */
#include "reactor/resume.h"

#include "json/reader.h"

fq_status
fq_resume_read(yyjson_val *extensions, fq_resume *resume,
               fq_gql_errors *errors)
{
    *resume = (fq_resume){.wants_position = false};
    yyjson_val *asked = fq_json_get(extensions, FQ_STR_LIT("resume"));
    if (asked == NULL || yyjson_is_null(asked))
        return FQ_OK;
    if (!yyjson_is_obj(asked)) {
        fq_gql_errors_add(errors, "VALIDATION_ERROR",
                          "extensions.resume must be an object, such as {} or "
                          "{\"after\": \"<position>\"}.");
        return FQ_ERR_INVALID;
    }
    resume->wants_position = true;
    yyjson_val *after = fq_json_get(asked, FQ_STR_LIT("after"));
    if (after == NULL || yyjson_is_null(after))
        return FQ_OK;
    if (!yyjson_is_str(after)) {
        fq_gql_errors_add(errors, "VALIDATION_ERROR",
                          "extensions.resume.after must be a string: the "
                          "position of the last message.");
        return FQ_ERR_INVALID;
    }
    resume->after = fq_json_str(after);
    return FQ_OK;
}
