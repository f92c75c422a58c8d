/* SPDX-License-Identifier: MIT */
/* A policy, a plan and a context made from texts, for the tests of the modules
 * of security. Header only; one thread at a time. */
#ifndef FQ_TESTS_SECURITY_FIXTURE_H
#define FQ_TESTS_SECURITY_FIXTURE_H

#include "engine/security/policy.h"
#include "json/reader.h"

#include "support.h"

static const char security_sdl[]
    = "type Query { a: Int }\n"
      "type Subscription {\n"
      "  order(userId: ID = \"ada\", filter: Filter): Order\n"
      "  item: Item\n"
      "  found: Result\n"
      "}\n"
      "interface Item { id: ID note: String }\n"
      "type Order implements Item {\n"
      "  id: ID note: String margin: Float customer(userId: ID): Customer\n"
      "}\n"
      "type Gift implements Item { id: ID note: String }\n"
      "type Customer { id: ID! email: String }\n"
      "union Result = Order | Customer\n"
      "input Filter { userId: ID and: [Filter!] range: Range }\n"
      "input Range { userId: ID }\n";

typedef struct security_fixture {
    fq_schema *schema;
    yyjson_doc *text;
    fq_policy *policy;
    fq_security_context *context;
    fq_plan *plan;
    yyjson_doc *variables;
    fq_binding binding;
    fq_gql_errors errors;
    fq_error error;
} security_fixture;

static inline void
security_fini(security_fixture *self)
{
    fq_binding_fini(&self->binding);
    fq_plan_unref(self->plan);
    fq_json_free(self->variables);
    fq_policy_free(self->policy);
    fq_json_free(self->text);
    fq_schema_unref(self->schema);
    fq_security_context_unref(self->context);
    fq_gql_errors_fini(&self->errors);
}

/* Compiles |policy|; with |sdl| NULL there is no schema. security_fini() is
 * due on every path. */
static inline fq_status
security_init(security_fixture *self, const char *sdl, const char *policy)
{
    memset(self, 0, sizeof(*self));
    fq_gql_errors_init(&self->errors);
    fq_status status = FQ_OK;
    if (sdl != NULL)
        status = fq_schema_build(fq_str_of(sdl), &self->schema, &self->errors);
    if (status == FQ_OK)
        status = fq_json_read(fq_str_of(policy), FQ_JSON_STRICT, &self->text,
                              NULL);
    if (status == FQ_OK)
        status = fq_policy_new(yyjson_doc_get_root(self->text), self->schema,
                               &self->policy, &self->error);
    return status;
}

/* Makes the context of |args|, which asks |query| with |variables| (a JSON
 * object, or NULL), and binds that without a mask. */
static inline fq_status
security_ask(security_fixture *self, const fq_security_context_args *args,
             const char *query, const char *variables)
{
    fq_plan_request request = {
        .schema = self->schema,
        .query = fq_str_of(query),
    };
    fq_document_limits limits = {0};
    fq_binding_fini(&self->binding);
    fq_plan_unref(self->plan);
    fq_json_free(self->variables);
    fq_security_context_unref(self->context);
    self->plan = NULL;
    self->variables = NULL;
    fq_gql_errors_fini(&self->errors);
    fq_gql_errors_init(&self->errors);
    fq_status status = fq_security_context_new(args, &self->context);
    if (status == FQ_OK)
        status = fq_plan_compile(&request, &limits, &self->plan,
                                 &self->errors);
    if (status == FQ_OK && variables != NULL)
        status = fq_json_read(fq_str_of(variables), FQ_JSON_STRICT,
                              &self->variables, NULL);
    if (status == FQ_OK)
        status = fq_plan_bind(self->plan, yyjson_doc_get_root(self->variables),
                              NULL, &self->binding, &self->errors);
    return status;
}

/* Asserts that |policy| is refused with |message|. */
static inline void
security_assert_bad(const char *sdl, const char *policy, const char *message)
{
    security_fixture fx;
    fq_status status = security_init(&fx, sdl, policy);
    assert_true(status == FQ_ERR_INVALID || status == FQ_ERR_LIMIT);
    assert_null(fx.policy);
    assert_string_equal(fx.error.message, message);
    security_fini(&fx);
}

/* Asserts one error with code FORBIDDEN, |message| and |column|; none of it
 * for NULL. */
static inline void
security_assert_told(const security_fixture *self, const char *message,
                     uint32_t column)
{
    assert_int_equal(self->errors.n_items, message == NULL ? 0 : 1);
    if (message == NULL)
        return;
    fq_test_assert_str(self->errors.head->message, message);
    assert_string_equal(self->errors.head->code, "FORBIDDEN");
    assert_int_equal(self->errors.head->locations[0].column, column);
}

#endif
