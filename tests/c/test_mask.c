/* SPDX-License-Identifier: MIT */
/* Sets of fields, and what a plan bound under one shows, to whom it is shared
 * and what it tells a policy. */
#include "graphql_fixture.h"

#include "graphql/mask.h"

static const char schema_sdl[]
    = "type Query { order: Order node: Node } "
      "type Subscription { order(id: ID!): Order node: Node any: Any "
      "  strict: Order! alone: Lonely } "
      "interface Named { name: String } "
      "interface Node implements Named { name: String id: ID secret: Int } "
      "interface Lonely { name: String } "
      "union Any = Order | User "
      "type Order implements Node & Named { id: ID! name: String secret: Int "
      "  margin(in: Currency! = EUR): Float! cost(in: Currency! = EUR): Float "
      "  parts: [Part!] owner: User } "
      "type Part { sku: String! secret: Int } "
      "type User implements Node & Named { id: ID name: String secret: Int "
      "  friends: [Node!] } "
      "enum Currency { EUR USD }";

/* "A.b C.d" as coordinates; their number. */
static size_t
coordinates_of(const char *text, fq_field_coordinate *coordinates)
{
    size_t n = 0;
    while (*text != '\0') {
        const char *dot = strchr(text, '.');
        size_t len = strcspn(dot, " ");
        coordinates[n++] = (fq_field_coordinate){
            fq_str_make(text, (size_t)(dot - text)),
            fq_str_make(dot + 1, len - 1),
        };
        text = dot + len;
        if (*text == ' ')
            text++;
    }
    return n;
}

/* The mask of |fields|, as in coordinates_of(). */
static fq_status
mask_of(fq_schema *schema, const char *fields, const fq_field_mask **pmask)
{
    fq_field_coordinate coordinates[16];
    size_t bad;
    return fq_field_mask_new(schema, coordinates,
                             coordinates_of(fields, coordinates), pmask, &bad);
}

typedef struct fq_set_case {
    const char *fields;
    const char *resolved; /* NULL: not all are known */
    size_t bad;
    const char *non_null;
} fq_set_case;

typedef struct fq_set_arg {
    fq_schema *schema;
    const fq_set_case *it;
} fq_set_arg;

static void
assert_coordinate(fq_field_coordinate coordinate, const char *expected)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*s.%.*s",
                   FQ_STR_FMT(coordinate.type_name),
                   FQ_STR_FMT(coordinate.field_name));
    assert_string_equal(text, expected);
}

static fq_status
body_set(void *arg)
{
    const fq_set_case *it = ((fq_set_arg *)arg)->it;
    fq_field_coordinate coordinates[16];
    size_t n = coordinates_of(it->fields, coordinates);
    size_t bad;
    const fq_field_mask *mask;
    fq_status status = fq_field_mask_new(((fq_set_arg *)arg)->schema,
                                         coordinates, n, &mask, &bad);
    if (it->resolved == NULL) {
        assert_null(mask);
        assert_int_equal(status, FQ_ERR_NOT_FOUND);
        assert_int_equal(bad, it->bad);
        return FQ_OK;
    }
    TRY(status);
    n = coordinates_of(it->resolved, coordinates);
    assert_int_equal(fq_field_mask_n_fields(mask), n);
    for (size_t i = 0; i < n; i++) {
        fq_field_coordinate found = fq_field_mask_coordinate(mask, i);
        assert_true(fq_str_eq(found.type_name, coordinates[i].type_name));
        assert_true(fq_str_eq(found.field_name, coordinates[i].field_name));
    }
    fq_field_coordinate non_null;
    assert_int_equal(fq_field_mask_find_non_null(mask, &non_null),
                     it->non_null != NULL);
    if (it->non_null != NULL)
        assert_coordinate(non_null, it->non_null);
    assert_true(fq_field_mask_n_bytes(mask) > 0);
    fq_field_mask_unref(mask);
    return FQ_OK;
}

/* A set has each field once, in the order of the schema, and those of
 * interfaces as what they stand for. */
static void
test_mask_resolves_coordinates(void **state)
{
    (void)state;
    static const fq_set_case typed[] = {
        {"", "", 0, NULL},
        {"Order.cost", "Order.cost", 0, NULL},
        {"User.name Order.cost Order.name User.name Order.cost",
         "Order.name Order.cost User.name", 0, NULL},
        {"Node.secret", "Order.secret User.secret", 0, NULL},
        {"Named.name Order.name", "Order.name User.name", 0, NULL},
        {"Node.id", "Order.id User.id", 0, "Order.id"},
        {"Order.cost Order.margin", "Order.margin Order.cost", 0,
         "Order.margin"},
        {"Lonely.name", "", 0, NULL},
        {"Subscription.strict Subscription.order",
         "Subscription.order Subscription.strict", 0, "Subscription.strict"},
        {"Order.cost Order.nope", NULL, 1, NULL},
        {"Nope.cost", NULL, 0, NULL},
        {"Any.name", NULL, 0, NULL},
        {"Order.cost Currency.EUR", NULL, 1, NULL},
        {"Order.__typename", NULL, 0, NULL},
        {"__Type.name", NULL, 0, NULL},
    };
    static const fq_set_case untyped[] = {
        {"", "", 0, NULL},
        {"Subscription.b Subscription.a Subscription.b",
         "Subscription.a Subscription.b", 0, NULL},
        {"Subscription.a Order.cost", NULL, 1, NULL},
    };
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        fq_set_arg arg = {schema, &typed[i]};
        fq_test_body(body_set, &arg);
    }
    for (size_t i = 0; i < sizeof(untyped) / sizeof(untyped[0]); i++) {
        fq_set_arg arg = {NULL, &untyped[i]};
        fq_test_body(body_set, &arg);
    }
    fq_schema_unref(schema);
}

/* Equal is what holds the same fields; a schema's twin is another one. */
static void
test_mask_compares_by_content(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Order.secret User.secret", "Node.secret", "Order.secret", "",
        "Order.secret User.name",
    };
    fq_schema *schema = build_schema(schema_sdl);
    fq_schema *twin = build_schema(schema_sdl);
    const fq_field_mask *masks[5];
    for (int i = 0; i < 5; i++)
        assert_int_equal(mask_of(schema, fields[i], &masks[i]), FQ_OK);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            assert_int_equal(fq_field_mask_eq(masks[i], masks[j]),
                             i == j || i + j == 1);
    assert_true(fq_field_mask_eq(NULL, NULL));
    assert_true(fq_field_mask_eq(NULL, masks[3]));
    assert_false(fq_field_mask_eq(NULL, masks[0]));
    const fq_field_mask *other;
    assert_int_equal(mask_of(twin, fields[0], &other), FQ_OK);
    assert_false(fq_field_mask_eq(masks[0], other));
    assert_false(fq_field_mask_suits(other, schema));
    assert_true(fq_field_mask_suits(other, twin));
    assert_true(fq_field_mask_suits(masks[3], twin));
    assert_true(fq_field_mask_suits(NULL, twin));
    fq_field_mask_unref(other);
    for (int i = 0; i < 5; i++)
        fq_field_mask_unref(masks[i]);
    fq_schema_unref(twin);
    fq_schema_unref(schema);
}

typedef struct fq_show_case {
    const char *query;
    const char *fields; /* of the mask */
    const char *data;
    const char *payload;
} fq_show_case;

typedef struct fq_show_arg {
    fq_schema *schema;
    const fq_show_case *it;
} fq_show_arg;

static fq_status
show(fq_plan *plan, const fq_field_mask *mask, const fq_show_case *it,
     fq_buf *buf, fq_gql_errors *errors)
{
    fq_binding binding;
    TRY(fq_plan_bind(plan, NULL, mask, &binding, errors));
    yyjson_doc *doc;
    fq_status status = fq_json_read(fq_str_of(it->data), FQ_JSON_STRICT, &doc,
                                    NULL);
    for (int i = 0; i < 2 && status == FQ_OK; i++) {
        fq_buf_clear(buf);
        status = fq_plan_variant_project(binding.variant,
                                         yyjson_doc_get_root(doc), buf);
    }
    fq_json_free(doc);
    fq_binding_fini(&binding);
    return status;
}

static fq_status
body_show(void *arg)
{
    const fq_show_case *it = ((fq_show_arg *)arg)->it;
    fq_plan_request request = {
        .schema = ((fq_show_arg *)arg)->schema,
        .query = fq_str_of(it->query),
    };
    fq_plan *plan = NULL;
    const fq_field_mask *mask = NULL;
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = mask_of(request.schema, it->fields, &mask);
    if (status == FQ_OK)
        status = fq_plan_compile(&request, NULL, &plan, &errors);
    if (status == FQ_OK)
        status = show(plan, mask, it, &buf, &errors);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), it->payload);
    else
        assert_int_equal(status, FQ_ERR_NOMEM);
    fq_field_mask_unref(mask);
    fq_plan_unref(plan);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

/* What is masked is null whatever it holds, however it is selected, by the
 * type of the object; nothing is said about it. */
static void
test_mask_hides_fields(void **state)
{
    (void)state;
    static const fq_show_case typed[] = {
        {"subscription { order(id: 1) { a: secret id b: secret name } }",
         "Order.secret", "{\"id\":1,\"secret\":7,\"name\":\"n\"}",
         "{\"data\":{\"order\":{\"a\":null,\"id\":\"1\",\"b\":null,\"name\":"
         "\"n\"}}"},
        /* Lists, fragments and interfaces; a value no Int could have. */
        {"subscription { node { ...F ... on Order { parts { secret } } "
         "secret } } fragment F on Named { name ... on Node { x: secret } }",
         "Node.secret",
         "{\"__typename\":\"Order\",\"name\":\"n\",\"secret\":\"bad\","
         "\"parts\":[{\"secret\":1},{\"secret\":2}]}",
         "{\"data\":{\"node\":{\"name\":\"n\",\"x\":null,\"parts\":[{\"secret"
         "\":1},{\"secret\":2}],\"secret\":null}}"},
        /* One type of two in a union and below. */
        {"subscription { any { ... on Node { secret } ... on User { friends { "
         "__typename secret } } } }",
         "User.secret",
         "{\"__typename\":\"User\",\"secret\":1,\"friends\":[{\"__typename\":"
         "\"Order\",\"secret\":2},{\"__typename\":\"User\",\"secret\":3}]}",
         "{\"data\":{\"any\":{\"secret\":null,\"friends\":[{\"__typename\":"
         "\"Order\",\"secret\":2},{\"__typename\":\"User\",\"secret\":null}]}"
         "}"},
        /* A selection below is not looked at, nor are bad items. */
        {"subscription { order(id: 1) { parts { sku } owner { id name } } }",
         "Order.parts Order.owner",
         "{\"parts\":[null,5],\"owner\":{\"id\":{}}}",
         "{\"data\":{\"order\":{\"parts\":null,\"owner\":null}}"},
        {"subscription ($c: Currency = EUR) { order(id: 1) { id cost(in: $c) "
         "} }",
         "Order.cost", "{\"id\":1,\"cost\":3}",
         "{\"data\":{\"order\":{\"id\":\"1\",\"cost\":null}}"},
        /* The root field, and all of an object's fields. */
        {"subscription { o: order(id: 1) { id } }", "Subscription.order",
         "{\"id\":null}", "{\"data\":{\"o\":null}"},
        {"subscription { order(id: 1) { secret } }", "Order.secret",
         "{\"secret\":7}", "{\"data\":{\"order\":{\"secret\":null}}"},
        {"subscription { order(id: 1) { secret } }", "User.secret Part.secret",
         "{\"secret\":7}", "{\"data\":{\"order\":{\"secret\":7}}"},
    };
    static const fq_show_case untyped[] = {
        {"subscription { a: order { id } }", "Subscription.order",
         "{\"id\":1}", "{\"data\":{\"a\":null}"},
        {"subscription { order: user { id } }", "Subscription.order",
         "{\"id\":1}", "{\"data\":{\"order\":{\"id\":1}}"},
    };
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        fq_show_arg arg = {schema, &typed[i]};
        fq_test_body(body_show, &arg);
    }
    for (size_t i = 0; i < sizeof(untyped) / sizeof(untyped[0]); i++) {
        fq_show_arg arg = {NULL, &untyped[i]};
        fq_test_body(body_show, &arg);
    }
    fq_schema_unref(schema);
}

/* Variants are shared by equal states and equal masks only. */
static void
test_mask_tells_variants_apart(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Order.secret",
        "Order.secret Order.secret",
        "Node.secret",
        "Order.name",
        "",
    };
    fq_schema *schema = build_schema(schema_sdl);
    fq_plan_request request = {
        .schema = schema,
        .query = FQ_STR("subscription { order(id: 1) { secret name } }"),
    };
    fq_plan *plan;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_plan_compile(&request, NULL, &plan, &errors), FQ_OK);
    fq_binding bindings[6];
    for (int i = 0; i < 6; i++) {
        const fq_field_mask *mask = NULL;
        if (i < 5)
            assert_int_equal(mask_of(schema, fields[i], &mask), FQ_OK);
        assert_int_equal(fq_plan_bind(plan, NULL, mask, &bindings[i], &errors),
                         FQ_OK);
        /* The variant keeps its own reference. */
        fq_field_mask_unref(mask);
    }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            bool is_same = i == j || i + j == 1 || i + j == 9;
            assert_int_equal(bindings[i].variant == bindings[j].variant,
                             is_same);
            assert_int_equal(fq_plan_variant_share(bindings[i].variant)
                                 == fq_plan_variant_share(bindings[j].variant),
                             is_same);
        }
    for (int i = 0; i < 6; i++)
        fq_binding_fini(&bindings[i]);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
}

/* A mask that cannot hold refuses the subscription: nothing is shown. */
static void
test_mask_refuses_what_it_cannot_hide(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_schema *twin = build_schema(schema_sdl);
    fq_plan_request request = {
        .schema = schema,
        .query = FQ_STR("subscription { order(id: 1) { name } }"),
    };
    fq_plan *plan;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_plan_compile(&request, NULL, &plan, &errors), FQ_OK);
    fq_schema *const schemas[] = {schema, twin};
    static const char *const fields[] = {"Node.id", "Order.name"};
    for (int i = 0; i < 2; i++) {
        const fq_field_mask *mask;
        fq_binding binding;
        assert_int_equal(mask_of(schemas[i], fields[i], &mask), FQ_OK);
        assert_int_equal(fq_plan_bind(plan, NULL, mask, &binding, &errors),
                         FQ_ERR_INVALID);
        assert_null(binding.variant);
        fq_field_mask_unref(mask);
    }
    assert_int_equal(
        assert_errors(
            &errors,
            "[{\"message\":\"Field 'Order.id' must not be null and cannot be "
            "masked.\",\"extensions\":{\"code\":\"FORBIDDEN\"}},"
            "{\"message\":\"The policy is one for another schema.\","
            "\"extensions\":{\"code\":\"FORBIDDEN\"}}]"),
        FQ_OK);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(twin);
    fq_schema_unref(schema);
}

/* An error of the resolver tells nothing about a root field that is masked. */
static void
test_mask_hides_errors_of_the_root(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    for (int is_typed = 0; is_typed < 2; is_typed++) {
        fq_plan_request request = {
            .schema = is_typed ? schema : NULL,
            .query = FQ_STR("subscription { o: order(id: 1) { name } }"),
        };
        fq_plan *plan;
        fq_binding binding;
        fq_gql_errors errors;
        const fq_field_mask *mask;
        fq_buf buf;
        fq_gql_errors_init(&errors);
        fq_buf_init(&buf);
        assert_int_equal(mask_of(request.schema, "Subscription.order", &mask),
                         FQ_OK);
        assert_int_equal(fq_plan_compile(&request, NULL, &plan, &errors),
                         FQ_OK);
        assert_int_equal(fq_plan_bind(plan, NULL, mask, &binding, &errors),
                         FQ_OK);
        fq_plan_variant_write_root_error(binding.variant, FQ_STR_LIT("no"),
                                         "RESOLVER_ERROR", &buf);
        fq_test_assert_str(fq_buf_str(&buf), "{\"data\":{\"o\":null}");
        fq_binding_fini(&binding);
        fq_field_mask_unref(mask);
        fq_plan_unref(plan);
        fq_buf_fini(&buf);
        fq_gql_errors_fini(&errors);
    }
    fq_schema_unref(schema);
}

typedef struct fq_find_case {
    const char *query;
    const char *fields;
    const char *found; /* coordinate; NULL: none */
    const char *name;  /* of the field's node */
    size_t start;      /* likewise */
} fq_find_case;

/* The first node that can give a field of a set, conditions or not. */
static void
test_mask_is_found_in_plans(void **state)
{
    (void)state;
    static const fq_find_case cases[] = {
        {"subscription { order(id: 1) { id x: secret } }", "Order.secret",
         "Order.secret", "secret", 33},
        {"subscription { order(id: 1) { id secret } }", "User.secret", NULL,
         NULL, 0},
        {"subscription { node { id secret } }", "User.secret", "User.secret",
         "secret", 25},
        {"subscription { node { ... on Order { secret } } }", "User.secret",
         NULL, NULL, 0},
        {"subscription { node { ...F } } fragment F on Named { ... on User { "
         "secret } }",
         "User.secret", "User.secret", "secret", 67},
        {"subscription { any { ... on Node { secret @skip(if: true) } } }",
         "Node.secret", "Order.secret", "secret", 35},
        {"query Q { order { ...F } } subscription S { node { id } } "
         "fragment F on Order { secret }",
         "Order.secret", NULL, NULL, 0},
        {"subscription { order(id: 1) { id } }", "Subscription.order",
         "Subscription.order", "order", 15},
        {"subscription { order(id: 1) { id } }", "", NULL, NULL, 0},
    };
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const fq_find_case *it = &cases[i];
        bool has_names = strncmp(it->query, "query", 5) == 0;
        fq_plan_request request = {
            .schema = schema,
            .query = fq_str_of(it->query),
            .operation_name = has_names ? FQ_STR_LIT("S") : no_name(),
        };
        fq_plan *plan;
        fq_gql_errors errors;
        const fq_field_mask *mask;
        fq_gql_errors_init(&errors);
        assert_int_equal(mask_of(schema, it->fields, &mask), FQ_OK);
        assert_int_equal(fq_plan_compile(&request, NULL, &plan, &errors),
                         FQ_OK);
        fq_plan_selection selection;
        assert_int_equal(fq_plan_selects(plan, mask, &selection),
                         it->found != NULL);
        assert_false(fq_plan_selects(plan, NULL, &selection));
        if (fq_plan_selects(plan, mask, &selection)) {
            assert_coordinate(selection.coordinate, it->found);
            fq_test_assert_str(selection.name, it->name);
            assert_int_equal(selection.start, it->start);
        }
        fq_field_mask_unref(mask);
        fq_plan_unref(plan);
        fq_gql_errors_fini(&errors);
    }
    fq_schema_unref(schema);
}

/* Without a schema only the root field counts. */
static void
test_mask_is_found_without_a_schema(void **state)
{
    (void)state;
    fq_plan *plan;
    fq_gql_errors errors;
    const fq_field_mask *mask;
    fq_gql_errors_init(&errors);
    assert_int_equal(mask_of(NULL, "Subscription.a Subscription.b", &mask),
                     FQ_OK);
    assert_int_equal(compile_plan(FQ_STR_LIT("subscription { x: b { a } }"),
                                  no_name(), false, NULL, &plan, &errors),
                     FQ_OK);
    fq_plan_selection selection;
    assert_true(fq_plan_selects(plan, mask, &selection));
    assert_coordinate(selection.coordinate, "Subscription.b");
    fq_test_assert_str(selection.name, "b");
    fq_test_assert_str(selection.key, "x");
    assert_int_equal(selection.start, 15);
    assert_int_equal(fq_plan_root_start(plan), 15);
    fq_test_assert_str(fq_plan_source(plan), "subscription { x: b { a } }");
    const fq_plan_type *types;
    size_t n_types;
    assert_int_equal(fq_plan_types(plan, &types, &n_types), FQ_OK);
    assert_int_equal(n_types, 0);
    fq_field_mask_unref(mask);
    fq_plan_unref(plan);
    fq_gql_errors_fini(&errors);
}

typedef struct fq_types_case {
    const char *query;
    const char *types; /* in order, with the place of each; ? is: maybe */
} fq_types_case;

typedef struct fq_types_arg {
    fq_schema *schema;
    const fq_types_case *it;
} fq_types_arg;

static fq_status
body_types(void *arg)
{
    const fq_types_case *it = ((fq_types_arg *)arg)->it;
    fq_plan_request request = {
        .schema = ((fq_types_arg *)arg)->schema,
        .query = fq_str_of(it->query),
    };
    fq_plan *plan;
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = fq_plan_compile(&request, NULL, &plan, &errors);
    const fq_plan_type *types = NULL;
    const fq_plan_type *again = NULL;
    size_t n_types = 0;
    if (status == FQ_OK)
        status = fq_plan_types(plan, &types, &n_types);
    if (status == FQ_OK)
        status = fq_plan_types(plan, &again, &n_types);
    assert_ptr_equal(types, again);
    for (size_t i = 0; i < n_types; i++) {
        fq_buf_append_str(&buf, types[i].type->name);
        if (!types[i].is_certain)
            fq_buf_append_char(&buf, '?');
        fq_buf_append_format(&buf, "%zu ", types[i].start);
    }
    if (status == FQ_OK)
        status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), it->types);
    fq_plan_unref(plan);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

/* The types a plan can return, each once, with a place. */
static void
test_mask_lists_the_types_of_plans(void **state)
{
    (void)state;
    static const fq_types_case cases[] = {
        {"subscription { order(id: 1) { id } }", "Order15 "},
        {"subscription { order(id: 1) { owner { name } parts { sku } owner { "
         "id } } }",
         "Order15 User30 Part45 "},
        {"subscription { node { id } }", "Node?15 Order?15 User?15 "},
        {"subscription { node { ... on Order { owner { id } } ...F } } "
         "fragment F on User { friends { id } }",
         "Node?15 Order?15 User37 "},
        {"subscription { any { __typename } }", "Any?15 Order?15 User?15 "},
        {"subscription { alone { name } }", "Lonely?15 "},
    };
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_types_arg arg = {schema, &cases[i]};
        fq_test_body(body_types, &arg);
    }
    fq_schema_unref(schema);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_mask_resolves_coordinates),
        FQ_TEST(test_mask_compares_by_content),
        FQ_TEST(test_mask_hides_fields),
        FQ_TEST(test_mask_tells_variants_apart),
        FQ_TEST(test_mask_refuses_what_it_cannot_hide),
        FQ_TEST(test_mask_hides_errors_of_the_root),
        FQ_TEST(test_mask_is_found_in_plans),
        FQ_TEST(test_mask_is_found_without_a_schema),
        FQ_TEST(test_mask_lists_the_types_of_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
