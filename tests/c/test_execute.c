/* SPDX-License-Identifier: MIT */
/* Execution with a schema, from text to text. Every response is what
 * graphql-core 3.3.2 gives when the value of a root field is the event's data
 * and that of any other field the member of its name. The cases are data. */
#include "graphql_fixture.h"

#include "graphql/execute.h"

static const char schema_sdl[]
    = "type Query { user: User users: [User!] hit: Hit node: Node search(of: "
      "Filter by: Either n: Int! = 5 tags: [String!]): Int strict: User! } "
      "type Mutation { add: Int touch: Int! } "
      "type Subscription { userChanged(id: ID! depth: Int! = 1): User post: "
      "Post! counts: [Int!] matrix: [[Int]!] raw: JSON } "
      "interface Node { id: ID! size(unit: Unit! = CM): Int } "
      "type User implements Node { id: ID! size(unit: Unit! = CM): Int name: "
      "String age: Int score: Float on: Boolean unit: Unit extra: JSON "
      "friends: [User] best: User! posts: [Post!]! } "
      "type Post implements Node { id: ID! size(unit: Unit! = M scale: Int = "
      "2): Int title: String! author: User! } "
      "union Hit = User | Post "
      "enum Unit { CM M } "
      "scalar JSON "
      "input Filter { text: String! limit: Int = 10 unit: Unit = CM inner: "
      "Filter any: JSON } "
      "input Either @oneOf { id: ID name: String } ";

typedef struct fq_execute_case {
    const char *document;
    const char *data;      /* JSON; NULL: no value */
    const char *variables; /* JSON; NULL: none */
    const char *operation_name;
    const char *response;
} fq_execute_case;

typedef struct fq_execute_arg {
    fq_schema *schema;
    const fq_execute_case *it;
} fq_execute_arg;

static fq_status
body_case(void *arg)
{
    const fq_execute_case *it = ((fq_execute_arg *)arg)->it;
    yyjson_doc *variables = NULL;
    yyjson_doc *data = NULL;
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = FQ_OK;
    if (it->variables != NULL)
        status = fq_json_read(fq_str_of(it->variables), FQ_JSON_STRICT,
                              &variables, NULL);
    if (status == FQ_OK && it->data != NULL)
        status = fq_json_read(fq_str_of(it->data), FQ_JSON_STRICT, &data,
                              NULL);
    if (status == FQ_OK) {
        fq_execution execution = {
            .schema = ((fq_execute_arg *)arg)->schema,
            .document = fq_str_of(it->document),
            .operation_name = it->operation_name != NULL
                                  ? fq_str_of(it->operation_name)
                                  : no_name(),
            .variables = yyjson_doc_get_root(variables),
            .data = yyjson_doc_get_root(data),
        };
        status = fq_execute(&execution, &buf, &errors);
    }
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), it->response);
    else if (status != FQ_ERR_NOMEM)
        fail_msg("%s: %s", it->document, fq_status_str(status));
    fq_json_free(variables);
    fq_json_free(data);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
run(const fq_execute_case *cases, size_t n_cases)
{
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < n_cases; i++) {
        fq_execute_arg arg = {schema, &cases[i]};
        fq_test_body(body_case, &arg);
    }
    fq_schema_unref(schema);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

static void
test_execute_completes_values(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"subscription { userChanged(id: 1) { id name age score on unit extra "
         "} }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":{\"id\":\"1\",\"name\":\"Ann\",\"age\":7,"
         "\"score\":1.5,\"on\":true,\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":"
         "null}]}}}}"},
        {"subscription { userChanged(id: 1) { name } }", NULL, NULL, NULL,
         "{\"data\":{\"userChanged\":null}}"},
        {"subscription { userChanged(id: 1) { name age friends { id } } }",
         "{}", NULL, NULL,
         "{\"data\":{\"userChanged\":{\"name\":null,\"age\":null,\"friends\":"
         "null}}}"},
        {"subscription { userChanged(id: 1) { name age } }", "\"text\"", NULL,
         NULL, "{\"data\":{\"userChanged\":{\"name\":null,\"age\":null}}}"},
        {"subscription { userChanged(id: 1) { name } }", "[1]", NULL, NULL,
         "{\"data\":{\"userChanged\":{\"name\":null}}}"},
        {"subscription { counts }", "[1,2.0,true,\"4\"]", NULL, NULL,
         "{\"data\":{\"counts\":[1,2,1,4]}}"},
        {"subscription { matrix }", "[[1,null],[]]", NULL, NULL,
         "{\"data\":{\"matrix\":[[1,null],[]]}}"},
        {"subscription { raw }",
         "{\"b\":18446744073709551616123,\"a\":[1.50,\"\\u00e9\",null]}", NULL,
         NULL,
         "{\"data\":{\"raw\":{\"b\":18446744073709551616123,\"a\":[1.5,\"é\","
         "null]}}}"},
        {"{ users { id best { id } } }",
         "[{\"id\":\"a\",\"best\":{\"id\":2}}]", NULL, NULL,
         "{\"data\":{\"users\":[{\"id\":\"a\",\"best\":{\"id\":\"2\"}}]}}"},
    };
    RUN(cases);
}

static void
test_execute_orders_and_merges_keys(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"subscription { userChanged(id: 1) { b: age a: name b: age ...F id } "
         "} fragment F on User { id a: name c: on }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":{\"b\":7,\"a\":\"Ann\",\"id\":\"1\","
         "\"c\":true}}}"},
        {"subscription { userChanged(id: 1) { best { id } ...F } } fragment F "
         "on User { best { id name: unit } }",
         "{\"best\":{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":"
         "true,\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}"
         "}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":{\"best\":{\"id\":\"1\",\"name\":\"M\"}}}"
         "}"},
        {"subscription { userChanged(id: 1) { friends { id } friends { name } "
         "} }",
         "{\"friends\":[{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,"
         "\"on\":true,\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},"
         "\"posts\":[]},null]}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":{\"friends\":[{\"id\":\"1\",\"name\":"
         "\"Ann\"},null]}}}"},
        {"query { a: user { name } b: user { name: id } __typename }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"data\":{\"a\":{\"name\":\"Ann\"},\"b\":{\"name\":\"1\"},\"__"
         "typename\":\"Query\"}}"},
        {"mutation { add touch }", "3", NULL, NULL,
         "{\"data\":{\"add\":3,\"touch\":3}}"},
    };
    RUN(cases);
}

static void
test_execute_resolves_abstract_types(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"{ node { __typename id ... on User { name } ... on Post { title } } "
         "}",
         "{\"__typename\":\"Post\",\"id\":1,\"title\":\"T\"}", NULL, NULL,
         "{\"data\":{\"node\":{\"__typename\":\"Post\",\"id\":\"1\",\"title\":"
         "\"T\"}}}"},
        {"{ hit { __typename ... on Node { id } ...F } } fragment F on Hit { "
         "... on User { n: name } }",
         "{\"__typename\":\"User\",\"id\":1,\"name\":\"Ann\"}", NULL, NULL,
         "{\"data\":{\"hit\":{\"__typename\":\"User\",\"id\":\"1\",\"n\":"
         "\"Ann\"}}}"},
        {"{ user { __typename t: __typename } }", "{\"__typename\":\"Post\"}",
         NULL, NULL,
         "{\"data\":{\"user\":{\"__typename\":\"User\",\"t\":\"User\"}}}"},
        {"{ node { id } }", "{\"id\":1}", NULL, NULL,
         "{\"data\":{\"node\":null},\"errors\":[{\"message\":\"Abstract type "
         "'Node' must resolve to an Object type at runtime for field "
         "'Query.node'. Either the 'Node' type should provide a "
         "'resolve_type' function or each possible type should provide an "
         "'is_type_of' "
         "function.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"node\"]}]}"},
        {"{ node { id } }", "{\"__typename\":5}", NULL, NULL,
         "{\"data\":{\"node\":null},\"errors\":[{\"message\":\"Abstract type "
         "'Node' must resolve to an Object type at runtime for field "
         "'Query.node'. Either the 'Node' type should provide a "
         "'resolve_type' function or each possible type should provide an "
         "'is_type_of' "
         "function.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"node\"]}]}"},
        {"{ node { id } }", "\"text\"", NULL, NULL,
         "{\"data\":{\"node\":null},\"errors\":[{\"message\":\"Abstract type "
         "'Node' must resolve to an Object type at runtime for field "
         "'Query.node'. Either the 'Node' type should provide a "
         "'resolve_type' function or each possible type should provide an "
         "'is_type_of' "
         "function.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"node\"]}]}"},
        {"{ hit { __typename } }", "{\"__typename\":\"Nobody\"}", NULL, NULL,
         "{\"data\":{\"hit\":null},\"errors\":[{\"message\":\"Abstract type "
         "'Hit' was resolved to a type 'Nobody' that does not exist inside "
         "the "
         "schema.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"hit\"]}]}"},
        {"{ hit { __typename } }", "{\"__typename\":\"Node\"}", NULL, NULL,
         "{\"data\":{\"hit\":null},\"errors\":[{\"message\":\"Abstract type "
         "'Hit' was resolved to a non-object type "
         "'Node'.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"hit\"]}]}"},
        {"{ node { id } }", "{\"__typename\":\"Query\"}", NULL, NULL,
         "{\"data\":{\"node\":null},\"errors\":[{\"message\":\"Runtime Object "
         "type 'Query' is not a possible type for "
         "'Node'.\",\"locations\":[{\"line\":1,\"column\":3}],\"path\":["
         "\"node\"]}]}"},
    };
    RUN(cases);
}

static void
test_execute_spreads_null(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"subscription { post { title } }", "{}", NULL, NULL,
         "{\"data\":null,\"errors\":[{\"message\":\"Cannot return null for "
         "non-nullable field "
         "Post.title.\",\"locations\":[{\"line\":1,\"column\":23}],\"path\":["
         "\"post\",\"title\"]}]}"},
        {"subscription { post { id title } }", "{\"title\":\"T\"}", NULL, NULL,
         "{\"data\":null,\"errors\":[{\"message\":\"Cannot return null for "
         "non-nullable field "
         "Post.id.\",\"locations\":[{\"line\":1,\"column\":23}],\"path\":["
         "\"post\",\"id\"]}]}"},
        {"subscription { userChanged(id: 1) { age posts { title author { name "
         "best { id } } } } }",
         "{\"age\":\"x\",\"posts\":[{\"title\":\"T\",\"author\":{\"name\":"
         "\"N\",\"best\":{}}},{\"title\":\"never\"}]}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":null},\"errors\":[{\"message\":\"Int "
         "cannot represent non-integer value: "
         "'x'\",\"locations\":[{\"line\":1,\"column\":37}],\"path\":["
         "\"userChanged\",\"age\"]},{\"message\":\"Cannot return null for "
         "non-nullable field "
         "User.id.\",\"locations\":[{\"line\":1,\"column\":76}],\"path\":["
         "\"userChanged\",\"posts\",0,\"author\",\"best\",\"id\"]}]}"},
        {"subscription { counts }", "[1,null,\"x\"]", NULL, NULL,
         "{\"data\":{\"counts\":null},\"errors\":[{\"message\":\"Cannot "
         "return null for non-nullable field "
         "Subscription.counts.\",\"locations\":[{\"line\":1,\"column\":16}],"
         "\"path\":[\"counts\",1]}]}"},
        {"subscription { matrix }", "[[1,\"x\"],null,[2]]", NULL, NULL,
         "{\"data\":{\"matrix\":null},\"errors\":[{\"message\":\"Int cannot "
         "represent non-integer value: "
         "'x'\",\"locations\":[{\"line\":1,\"column\":16}],\"path\":["
         "\"matrix\",0,1]},{\"message\":\"Cannot return null for non-nullable "
         "field "
         "Subscription.matrix.\",\"locations\":[{\"line\":1,\"column\":16}],"
         "\"path\":[\"matrix\",1]}]}"},
        {"subscription { matrix }", "[[1],2]", NULL, NULL,
         "{\"data\":{\"matrix\":null},\"errors\":[{\"message\":\"Expected "
         "Iterable, but did not find one for field "
         "'Subscription.matrix'.\",\"locations\":[{\"line\":1,\"column\":16}],"
         "\"path\":[\"matrix\",1]}]}"},
        {"{ strict { friends { id } age name } user { id } }",
         "{\"friends\":[{\"id\":1},{\"id\":null},{\"id\":[]}],\"age\":1.5,"
         "\"name\":\"Ann\"}",
         NULL, NULL,
         "{\"data\":{\"strict\":{\"friends\":[{\"id\":\"1\"},null,null],"
         "\"age\":null,\"name\":\"Ann\"},\"user\":null},\"errors\":[{"
         "\"message\":\"Cannot return null for non-nullable field "
         "User.id.\",\"locations\":[{\"line\":1,\"column\":22}],\"path\":["
         "\"strict\",\"friends\",1,\"id\"]},{\"message\":\"ID cannot "
         "represent value: "
         "[]\",\"locations\":[{\"line\":1,\"column\":22}],\"path\":["
         "\"strict\",\"friends\",2,\"id\"]},{\"message\":\"Int cannot "
         "represent non-integer value: "
         "1.5\",\"locations\":[{\"line\":1,\"column\":27}],\"path\":["
         "\"strict\",\"age\"]},{\"message\":\"Cannot return null for "
         "non-nullable field "
         "User.id.\",\"locations\":[{\"line\":1,\"column\":45}],\"path\":["
         "\"user\",\"id\"]}]}"},
        {"{ users { b: best { i: id } } }",
         "[{\"best\":{\"id\":1}},{\"best\":null}]", NULL, NULL,
         "{\"data\":{\"users\":null},\"errors\":[{\"message\":\"Cannot return "
         "null for non-nullable field "
         "User.best.\",\"locations\":[{\"line\":1,\"column\":11}],\"path\":["
         "\"users\",1,\"b\"]}]}"},
        {"mutation { add touch }", NULL, NULL, NULL,
         "{\"data\":null,\"errors\":[{\"message\":\"Cannot return null for "
         "non-nullable field "
         "Mutation.touch.\",\"locations\":[{\"line\":1,\"column\":16}],"
         "\"path\":[\"touch\"]}]}"},
        {"mutation { add touch b: add }", "\"x\"", NULL, NULL,
         "{\"data\":null,\"errors\":[{\"message\":\"Int cannot represent "
         "non-integer value: "
         "'x'\",\"locations\":[{\"line\":1,\"column\":12}],\"path\":[\"add\"]}"
         ",{\"message\":\"Int cannot represent non-integer value: "
         "'x'\",\"locations\":[{\"line\":1,\"column\":16}],\"path\":["
         "\"touch\"]}]}"},
    };
    RUN(cases);
}

static void
test_execute_decides_conditions(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"query ($s: Boolean! $i: Boolean = true) { user { id @skip(if: $s) "
         "name @include(if: $i) ... @include(if: $s) { age } ...F @skip(if: "
         "$i) } } fragment F on User { on }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         "{\"s\":true}", NULL,
         "{\"data\":{\"user\":{\"name\":\"Ann\",\"age\":7}}}"},
        {"query ($s: Boolean! $i: Boolean = true) { user { id @skip(if: $s) "
         "name @include(if: $i) ... @include(if: $s) { age } ...F @skip(if: "
         "$i) } } fragment F on User { on }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         "{\"s\":false,\"i\":false}", NULL,
         "{\"data\":{\"user\":{\"id\":\"1\",\"on\":true}}}"},
        {"query ($i: Boolean = true) { user { name } users { id @include(if: "
         "$i) } }",
         "[]", "{\"i\":null}", NULL,
         "{\"data\":{\"user\":{\"name\":null},\"users\":[]}}"},
        {"query ($i: Boolean = true) { user { best { name @skip(if: $i) } age "
         "} }",
         "{\"best\":{},\"age\":1}", "{\"i\":null}", NULL,
         "{\"data\":{\"user\":null},\"errors\":[{\"message\":\"Argument 'if' "
         "has invalid value: Expected variable '$i' provided to non-null type "
         "'Boolean!' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":59}],\"path\":["
         "\"user\",\"best\"]}]}"},
        {"query ($i: Boolean = true) { user @skip(if: $i) { name } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         "{\"i\":null}", NULL,
         "{\"errors\":[{\"message\":\"Argument 'if' has invalid value: "
         "Expected variable '$i' provided to non-null type 'Boolean!' not to "
         "be None.\",\"locations\":[{\"line\":1,\"column\":45}]}]}"},
        {"query ($i: Boolean) { user { name @include(if: $i) @skip(if: true) "
         "} }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL, "{\"data\":{\"user\":{}}}"},
        {"{ user { name @skip age @include(if: 5) } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"data\":{\"user\":null},\"errors\":[{\"message\":\"Argument 'if' "
         "of required type 'Boolean!' was not "
         "provided.\",\"locations\":[{\"line\":1,\"column\":15}],\"path\":["
         "\"user\"]}]}"},
    };
    RUN(cases);
}

static void
test_execute_checks_arguments(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"{ search(of: {text: \"a\", limit: null}, tags: \"t\") }", "3", NULL,
         NULL, "{\"data\":{\"search\":3}}"},
        {"query ($n: Int = 1) { search(n: $n) user { age } }", "3",
         "{\"n\":null}", NULL,
         "{\"data\":{\"search\":null,\"user\":{\"age\":null}},\"errors\":[{"
         "\"message\":\"Argument 'n' has invalid value: Expected variable "
         "'$n' provided to non-null type 'Int!' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":33}],\"path\":["
         "\"search\"]}]}"},
        {"query ($n: Int) { search(n: $n) }", "3", NULL, NULL,
         "{\"data\":{\"search\":3}}"},
        {"query ($u: Unit = CM) { node { size(unit: $u) } }",
         "{\"__typename\":\"Post\",\"size\":4}", "{\"u\":null}", NULL,
         "{\"data\":{\"node\":{\"size\":null}},\"errors\":[{\"message\":"
         "\"Argument 'unit' has invalid value: Expected variable '$u' "
         "provided to non-null type 'Unit!' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":43}],\"path\":["
         "\"node\",\"size\"]}]}"},
        {"query ($u: Unit = CM) { node { a: size(unit: $u) b: size(unit: M) "
         "id } }",
         "{\"__typename\":\"User\",\"size\":4,\"id\":1}", "{\"u\":null}", NULL,
         "{\"data\":{\"node\":{\"a\":null,\"b\":4,\"id\":\"1\"}},\"errors\":[{"
         "\"message\":\"Argument 'unit' has invalid value: Expected variable "
         "'$u' provided to non-null type 'Unit!' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":46}],\"path\":["
         "\"node\",\"a\"]}]}"},
        {"query ($i: ID) { search(by: {id: $i}) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'by' has invalid value: Expected variable '$i' provided to field "
         "'id' for OneOf Input Object type 'Either' to provide a runtime "
         "value.\",\"locations\":[{\"line\":1,\"column\":29}],\"path\":["
         "\"search\"]}]}"},
        {"query ($i: ID) { search(by: {id: $i}) }", "3", "{\"i\":null}", NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'by' has invalid value: Expected variable '$i' provided to field "
         "'id' for OneOf Input Object type 'Either' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":29}],\"path\":["
         "\"search\"]}]}"},
        {"query ($t: String) { search(of: {text: $t}) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'of' has invalid value at .text: Expected variable '$t' provided to "
         "type 'String!' to provide a runtime "
         "value.\",\"locations\":[{\"line\":1,\"column\":40}],\"path\":["
         "\"search\"]}]}"},
        {"query ($t: String) { search(tags: [\"a\", $t]) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'tags' has invalid value at [1]: Expected variable '$t' provided to "
         "type 'String!' to provide a runtime "
         "value.\",\"locations\":[{\"line\":1,\"column\":41}],\"path\":["
         "\"search\"]}]}"},
        {"subscription { userChanged { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"data\":{\"userChanged\":null},\"errors\":[{\"message\":"
         "\"Argument 'id' of required type 'ID!' was not "
         "provided.\",\"locations\":[{\"line\":1,\"column\":16}],\"path\":["
         "\"userChanged\"]}]}"},
        {"{ search(of: {limit: 1}, n: \"x\") }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'of' has invalid value: Expected value of type 'Filter' to include "
         "required field 'text', found: { limit: 1 "
         "}.\",\"locations\":[{\"line\":1,\"column\":14}],\"path\":["
         "\"search\"]}]}"},
        {"{ search(of: {text: 1, txt: 2}) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'of' has invalid value at .text: String cannot represent a non "
         "string value: "
         "1\",\"locations\":[{\"line\":1,\"column\":21}],\"path\":[\"search\"]"
         "}]}"},
        {"{ search(by: {id: 1, name: \"n\"}) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'by' has invalid value: Within OneOf Input Object type 'Either', "
         "exactly one field must be specified, and the value for that field "
         "must be "
         "non-null.\",\"locations\":[{\"line\":1,\"column\":14}],\"path\":["
         "\"search\"]}]}"},
        {"{ search(by: {id: null}) }", "3", NULL, NULL,
         "{\"data\":{\"search\":null},\"errors\":[{\"message\":\"Argument "
         "'by' has invalid value at .id: Within OneOf Input Object type "
         "'Either', exactly one field must be specified, and the value for "
         "that field must be "
         "non-null.\",\"locations\":[{\"line\":1,\"column\":14}],\"path\":["
         "\"search\"]}]}"},
        {"{ search(of: 5) a: search(of: {text: \"a\", unit: C}) b: search(n: "
         "null) }",
         "3", NULL, NULL,
         "{\"data\":{\"search\":null,\"a\":null,\"b\":null},\"errors\":[{"
         "\"message\":\"Argument 'of' has invalid value: Expected value of "
         "type 'Filter' to be an object, found: "
         "5.\",\"locations\":[{\"line\":1,\"column\":14}],\"path\":["
         "\"search\"]},{\"message\":\"Argument 'of' has invalid value at "
         ".unit: Value 'C' does not exist in 'Unit' enum. Did you mean the "
         "enum value 'CM' or "
         "'M'?\",\"locations\":[{\"line\":1,\"column\":49}],\"path\":[\"a\"]},"
         "{\"message\":\"Argument 'n' has invalid value: Expected value of "
         "non-null type 'Int!' not to be "
         "None.\",\"locations\":[{\"line\":1,\"column\":66}],\"path\":[\"b\"]}"
         "]}"},
    };
    RUN(cases);
}

static void
test_execute_refuses_requests(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"query A { user { id } } query B { user { name } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"errors\":[{\"message\":\"Must provide operation name if query "
         "contains multiple "
         "operations.\",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]}"},
        {"query A { user { id } } query B { user { name } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, "B", "{\"data\":{\"user\":{\"name\":\"Ann\"}}}"},
        {"query A { user { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, "C",
         "{\"errors\":[{\"message\":\"Unknown operation named "
         "'C'.\",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]}"},
        {"query A { user { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, "",
         "{\"errors\":[{\"message\":\"Unknown operation named "
         "''.\",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]}"},
        {"fragment F on User { id }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"errors\":[{\"message\":\"Must provide an "
         "operation.\",\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]}"},
        {"query ($n: Int!, $m: [Int]) { user { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         "{\"m\":[\"x\",1,null,2.5]}", NULL,
         "{\"errors\":[{\"message\":\"Variable '$n' has invalid value: "
         "Expected a value of non-null type 'Int!' to be "
         "provided.\",\"locations\":[{\"line\":1,\"column\":8}]},{\"message\":"
         "\"Variable '$m' has invalid value at [0]: Int cannot represent "
         "non-integer value: "
         "'x'\",\"locations\":[{\"line\":1,\"column\":18}]},{\"message\":"
         "\"Variable '$m' has invalid value at [3]: Int cannot represent "
         "non-integer value: "
         "2.5\",\"locations\":[{\"line\":1,\"column\":18}]}]}"},
        {"query ($u: User, $x: Nobody!) { user { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"errors\":[{\"message\":\"Variable '$u' expected value of type "
         "'User' which cannot be used as an input "
         "type.\",\"locations\":[{\"line\":1,\"column\":12}]},{\"message\":"
         "\"Variable '$x' expected value of type 'Nobody!' which cannot be "
         "used as an input "
         "type.\",\"locations\":[{\"line\":1,\"column\":22}]}]}"},
        {"query ($n: Int = \"x\") { user { id } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL,
         "{\"errors\":[{\"message\":\"Variable '$n' has invalid default "
         "value: Int cannot represent non-integer value: "
         "\\\"x\\\"\",\"locations\":[{\"line\":1,\"column\":8}]}]}"},
    };
    RUN(cases);
}

static void
test_execute_does_not_validate(void **state)
{
    (void)state;
    static const fq_execute_case cases[] = {
        {"{ user { nope id { x } best friends } nobody ...Gone }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[],"
         "\"best\":{\"id\":1},\"friends\":[{\"id\":1,\"name\":\"Ann\",\"age\":"
         "7,\"score\":1.5,\"on\":true,\"unit\":\"M\",\"extra\":{\"b\":[1,{"
         "\"a\":null}]},\"posts\":[]}]}",
         NULL, NULL,
         "{\"data\":{\"user\":{\"id\":\"1\",\"best\":{},\"friends\":[{}]}}}"},
        {"{ user { ...A } } fragment A on User { id ...B } fragment B on User "
         "{ name ...A best { ...A } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[],"
         "\"best\":{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":"
         "true,\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[],"
         "\"best\":{}}}",
         NULL, NULL,
         "{\"data\":{\"user\":null},\"errors\":[{\"message\":\"Cannot return "
         "null for non-nullable field "
         "User.id.\",\"locations\":[{\"line\":1,\"column\":40}],\"path\":["
         "\"user\",\"best\",\"best\",\"id\"]}]}"},
        {"{ user { ... on Nobody { id } ... on Unit { id } ... on Hit { name "
         "} } }",
         "{\"id\":1,\"name\":\"Ann\",\"age\":7,\"score\":1.5,\"on\":true,"
         "\"unit\":\"M\",\"extra\":{\"b\":[1,{\"a\":null}]},\"posts\":[]}",
         NULL, NULL, "{\"data\":{\"user\":{\"name\":\"Ann\"}}}"},
        {"subscription { counts userChanged(id: 2) { id } }", "[1]", NULL,
         NULL,
         "{\"data\":{\"counts\":[1],\"userChanged\":null},\"errors\":[{"
         "\"message\":\"Cannot return null for non-nullable field "
         "User.id.\",\"locations\":[{\"line\":1,\"column\":44}],\"path\":["
         "\"userChanged\",\"id\"]}]}"},
        {"{ a: user { id } a: node { id } }",
         "{\"__typename\":\"User\",\"id\":1,\"name\":\"n\"}", NULL, NULL,
         "{\"data\":{\"a\":{\"id\":\"1\"}}}"},
    };
    RUN(cases);
}

/* Errors beyond the maximum are not told of, but are null all the same. */
static void
test_execute_bounds_errors(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_buf data, buf;
    assert_int_equal(repeat(&data, "[[0", ",\"x\"", 3000, ",0]]"), FQ_OK);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(fq_buf_str(&data), FQ_JSON_STRICT, &doc, NULL), FQ_OK);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_execution execution = {
        .schema = schema,
        .document = FQ_STR_LIT("subscription { matrix }"),
        .data = yyjson_doc_get_root(doc),
    };
    assert_int_equal(fq_execute(&execution, &buf, &errors), FQ_OK);
    fq_buf_append_char(&buf, '\0');
    size_t n_told = 0;
    for (const char *s = buf.ptr; (s = strstr(s, "\"message\"")) != NULL; s++)
        n_told++;
    assert_int_equal(n_told, 1000);
    size_t n_null = 0;
    for (const char *s = buf.ptr; (s = strstr(s, "null,")) != NULL; s++)
        n_null++;
    assert_int_equal(n_null, 3000);
    fq_json_free(doc);
    fq_buf_fini(&data);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
}

/* Fragments nested beyond all reason, and in cycles, come to an end. */
static void
test_execute_bounds_nesting(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_buf document, buf;
    fq_buf_init(&document);
    fq_buf_append_str(&document, FQ_STR_LIT("{ user { ...F0 } }"));
    for (int i = 0; i < 20000; i++)
        fq_buf_append_format(&document, " fragment F%d on User { ...F%d }", i,
                             i + 1);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(FQ_STR_LIT("{}"), FQ_JSON_STRICT, &doc, NULL), FQ_OK);
    fq_execution execution = {
        .schema = schema,
        .document = fq_buf_str(&document),
        .data = yyjson_doc_get_root(doc),
    };
    assert_int_equal(fq_execute(&execution, &buf, &errors), FQ_OK);
    fq_test_assert_str(fq_buf_str(&buf),
                       "{\"data\":{\"user\":null},\"errors\":[{\"message\":"
                       "\"Selections are nested too deeply.\",\"path\":["
                       "\"user\"]}]}");
    fq_json_free(doc);
    fq_buf_fini(&document);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
}

/* A text that cannot be read is the caller's business. */
static void
test_execute_refuses_syntax(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf buf;
    fq_buf_init(&buf);
    fq_execution execution = {.schema = schema, .document = FQ_STR_LIT("{")};
    assert_int_equal(fq_execute(&execution, &buf, &errors), FQ_ERR_SYNTAX);
    assert_int_equal(errors.n_items, 1);
    assert_int_equal(buf.len, 0);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_execute_completes_values),
        FQ_TEST(test_execute_orders_and_merges_keys),
        FQ_TEST(test_execute_resolves_abstract_types),
        FQ_TEST(test_execute_spreads_null),
        FQ_TEST(test_execute_decides_conditions),
        FQ_TEST(test_execute_checks_arguments),
        FQ_TEST(test_execute_refuses_requests),
        FQ_TEST(test_execute_does_not_validate),
        FQ_TEST(test_execute_bounds_errors),
        FQ_TEST(test_execute_bounds_nesting),
        FQ_TEST(test_execute_refuses_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
