/* SPDX-License-Identifier: MIT */
/* A built schema: what is in it, in which order, and how it is found. */
#include "graphql/schema.h"

#include "graphql/parser.h"

#include "support.h"

static const char blog_sdl[]
    = "\"\"\"\n"
      "A blog\n"
      "\"\"\"\n"
      "schema { query: Root subscription: Live }\n"
      "directive @cost(\n"
      "  \"how much\" weight: Int! = 1, tags: [String!]\n"
      ") repeatable on FIELD_DEFINITION | OBJECT\n"
      "\"anything with an id\" interface Node { id: ID! }\n"
      "interface Named implements Node { id: ID! name: String }\n"
      "type Root { node(id: ID!): Node search(filter: Filter = {}): [Hit!]! "
      "}\n"
      "type Live @cost { posted(by: ID, size: Int = 10): Post }\n"
      "type User implements Node & Named { id: ID! name: String! }\n"
      "type Post implements Node {\n"
      "  id: ID! author: User body(format: Format! = TEXT): String\n"
      "  a: Int b: Int c: Int d: Int e: Int f: Int g: Int\n"
      "  old: Date @deprecated(reason: \"use body\") older: Date @deprecated\n"
      "}\n"
      "extend type Post implements Named { name: String }\n"
      "union Hit = User | Post\n"
      "enum Format { TEXT \"as sent\" HTML RAW @deprecated }\n"
      "scalar Date @specifiedBy(url: \"https://date.example\")\n"
      "input Filter { text: String = \"\\\"\" formats: [Format!] = TEXT\n"
      "  page: Page! = {at: 2} none: Int = null raw: Date = {a: [1, E, 1e2]} "
      "}\n"
      "input Page { at: Int! size: Int = 20 ratio: Float = 1 key: ID = 7 }\n"
      "input Either @oneOf { a: Int b: String }\n";

static fq_schema *
build(const char *sdl)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    fq_status status = fq_schema_build(fq_str_of(sdl), &schema, &errors);
    if (status != FQ_OK)
        fail_msg("%d: %.*s", status,
                 FQ_STR_FMT(errors.head != NULL ? errors.head->message
                                                : FQ_STR_LIT("")));
    fq_gql_errors_fini(&errors);
    return schema;
}

/* The type written as |text| in a document, or NULL. */
static const fq_type *
type_of(const fq_schema *schema, const char *text, fq_arena *arena)
{
    char query[128];
    snprintf(query, sizeof(query), "query ($v: %s) { a }", text);
    fq_gql_errors errors;
    fq_document document;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_parse(fq_str_of(query), NULL, &document, &errors),
                     FQ_OK);
    const fq_ast_operation *operation = (const fq_ast_operation *)
                                            document.definitions.first;
    const fq_ast_node *definition = operation->variable_definitions.first;
    const fq_type *type;
    fq_status status = fq_schema_type_of(
        schema, ((const fq_ast_variable_definition *)definition)->type, arena,
        &type);
    assert_int_equal(status, type != NULL ? FQ_OK : FQ_ERR_NOT_FOUND);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return type;
}

static void
test_schema_lists_types_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Node",
        "ID",
        "Named",
        "String",
        "Root",
        "Live",
        "Int",
        "User",
        "Post",
        "Hit",
        "Format",
        "Date",
        "Filter",
        "Page",
        "Float",
        "Either",
        "Boolean",
        "__Schema",
        "__Type",
        "__TypeKind",
        "__Field",
        "__InputValue",
        "__EnumValue",
        "__Directive",
        "__DirectiveLocation",
    };
    /* Boolean is first used by an argument of @include. */
    fq_schema *schema = build(blog_sdl);
    for (size_t i = 0; i < schema->n_types; i++) {
        assert_true(i < sizeof(names) / sizeof(names[0]));
        const fq_type *type = schema->types[i];
        fq_test_assert_str(type->name, names[i]);
        assert_int_equal(type->index, i);
        assert_ptr_equal(fq_schema_type(schema, type->name), type);
        assert_ptr_equal(type->named, type);
        assert_null(type->node);
    }
    assert_int_equal(schema->n_types, sizeof(names) / sizeof(names[0]));
    assert_null(fq_schema_type(schema, FQ_STR_LIT("Nodes")));
    assert_null(fq_schema_type(schema, FQ_STR_LIT("")));
    fq_test_assert_str(schema->description, "A blog");
    fq_schema_unref(schema);
}

static void
test_schema_has_only_the_scalars_in_use(void **state)
{
    (void)state;
    fq_schema *schema = build("type Query { a: Boolean }");
    assert_null(fq_schema_type(schema, FQ_STR_LIT("Int")));
    assert_null(fq_schema_type(schema, FQ_STR_LIT("ID")));
    const fq_type *type = fq_schema_type(schema, FQ_STR_LIT("String"));
    assert_true(type->is_builtin);
    assert_int_equal(type->scalar, FQ_SCALAR_STRING);
    assert_ptr_equal(schema->roots[FQ_OPERATION_QUERY],
                     fq_schema_type(schema, FQ_STR_LIT("Query")));
    assert_null(schema->roots[FQ_OPERATION_MUTATION]);
    fq_schema_unref(schema);
}

static void
test_schema_finds_members(void **state)
{
    (void)state;
    fq_schema *schema = build(blog_sdl);
    const fq_type *post = fq_schema_type(schema, FQ_STR_LIT("Post"));
    assert_int_equal(post->n_members, 13);
    assert_non_null(post->member_index.slots);
    for (uint32_t i = 0; i < post->n_members; i++)
        assert_ptr_equal(fq_type_field(post, post->fields[i].name),
                         &post->fields[i]);
    assert_null(fq_type_field(post, FQ_STR_LIT("h")));
    assert_null(fq_type_field(post, FQ_STR_LIT("__typename")));
    fq_test_assert_str(
        fq_type_field(post, FQ_STR_LIT("old"))->deprecation_reason,
        "use body");
    fq_test_assert_str(
        fq_type_field(post, FQ_STR_LIT("older"))->deprecation_reason,
        "No longer supported");
    const fq_field_def *body = fq_type_field(post, FQ_STR_LIT("body"));
    assert_null(body->deprecation_reason.ptr);
    const fq_input_def *format = fq_field_arg(body, FQ_STR_LIT("format"));
    fq_test_assert_str(format->type->name, "Format!");
    assert_false(fq_input_def_is_required(format));
    assert_null(fq_field_arg(body, FQ_STR_LIT("formats")));
    assert_null(fq_type_input_field(post, FQ_STR_LIT("id")));
    assert_null(fq_type_enum_value(post, FQ_STR_LIT("id")));

    const fq_type *user = fq_schema_type(schema, FQ_STR_LIT("User"));
    assert_null(user->member_index.slots);
    assert_ptr_equal(fq_type_field(user, FQ_STR_LIT("name")),
                     &user->fields[1]);
    const fq_type *formats = fq_schema_type(schema, FQ_STR_LIT("Format"));
    const fq_enum_def *html = fq_type_enum_value(formats, FQ_STR_LIT("HTML"));
    fq_test_assert_str(html->description, "as sent");
    assert_null(fq_type_enum_value(formats, FQ_STR_LIT("html")));
    assert_null(fq_type_field(formats, FQ_STR_LIT("HTML")));
    fq_test_assert_str(
        fq_schema_type(schema, FQ_STR_LIT("Date"))->specified_by,
        "https://date.example");
    assert_true(fq_schema_type(schema, FQ_STR_LIT("Either"))->is_one_of);
    fq_schema_unref(schema);
}

static void
test_schema_finds_what_no_type_lists(void **state)
{
    (void)state;
    fq_schema *schema = build(blog_sdl);
    const fq_type *root = schema->roots[FQ_OPERATION_QUERY];
    const fq_type *live = schema->roots[FQ_OPERATION_SUBSCRIPTION];
    const fq_type *hit = fq_schema_type(schema, FQ_STR_LIT("Hit"));
    fq_str typename = FQ_STR_LIT("__typename");
    fq_test_assert_str(fq_schema_field(schema, root, typename)->type->name,
                       "String!");
    assert_non_null(fq_schema_field(schema, hit, typename));
    assert_null(fq_schema_field(
        schema, fq_schema_type(schema, FQ_STR_LIT("Date")), typename));
    assert_null(fq_schema_field(schema, hit, FQ_STR_LIT("id")));
    assert_ptr_equal(
        fq_schema_field(schema, root, FQ_STR_LIT("__schema"))->type->named,
        fq_schema_type(schema, FQ_STR_LIT("__Schema")));
    const fq_field_def *type = fq_schema_field(schema, root,
                                               FQ_STR_LIT("__type"));
    assert_true(
        fq_input_def_is_required(fq_field_arg(type, FQ_STR_LIT("name"))));
    assert_null(fq_schema_field(schema, live, FQ_STR_LIT("__schema")));
    assert_null(fq_schema_field(schema, live, FQ_STR_LIT("__type")));
    assert_null(fq_schema_field(schema, root, FQ_STR_LIT("__foo")));
    fq_schema_unref(schema);
}

static void
test_schema_knows_directives(void **state)
{
    (void)state;
    static const char *const names[] = {"cost",       "include",     "skip",
                                        "deprecated", "specifiedBy", "oneOf"};
    fq_schema *schema = build(blog_sdl);
    assert_int_equal(schema->n_directives, 6);
    for (size_t i = 0; i < 6; i++) {
        fq_test_assert_str(schema->directives[i].name, names[i]);
        assert_ptr_equal(fq_schema_directive(schema, fq_str_of(names[i])),
                         &schema->directives[i]);
    }
    assert_null(fq_schema_directive(schema, FQ_STR_LIT("defer")));
    const fq_directive_def *cost = &schema->directives[0];
    assert_true(cost->is_repeatable);
    assert_int_equal(cost->n_locations, 2);
    assert_int_equal(cost->locations[0], FQ_LOCATION_FIELD_DEFINITION);
    assert_int_equal(cost->location_mask, 1 << FQ_LOCATION_FIELD_DEFINITION
                                              | 1 << FQ_LOCATION_OBJECT);
    const fq_input_def *weight = fq_directive_arg(cost, FQ_STR_LIT("weight"));
    fq_test_assert_str(weight->description, "how much");
    fq_test_assert_str(weight->default_json, "1");
    assert_null(fq_directive_arg(cost, FQ_STR_LIT("height")));
    fq_schema_unref(schema);
}

static void
test_schema_keeps_a_redefined_directive(void **state)
{
    (void)state;
    fq_schema *schema = build("directive @skip(a: Int) on FIELD\n"
                              "directive @old on FIELD\n"
                              "extend directive @old @deprecated\n"
                              "type Query { a: Int }");
    assert_int_equal(schema->n_directives, 6);
    const fq_directive_def *skip = fq_schema_directive(schema,
                                                       FQ_STR_LIT("skip"));
    assert_ptr_equal(skip, &schema->directives[0]);
    assert_non_null(fq_directive_arg(skip, FQ_STR_LIT("a")));
    assert_null(fq_directive_arg(skip, FQ_STR_LIT("if")));
    fq_test_assert_str(schema->directives[1].deprecation_reason,
                       "No longer supported");
    fq_schema_unref(schema);
}

static void
test_schema_has_one_object_per_type(void **state)
{
    (void)state;
    fq_schema *schema = build(blog_sdl);
    fq_arena arena;
    fq_arena_init(&arena, 0);
    const fq_type *hits = fq_type_field(schema->roots[FQ_OPERATION_QUERY],
                                        FQ_STR_LIT("search"))
                              ->type;
    assert_int_equal(hits->kind, FQ_TYPE_NON_NULL);
    assert_int_equal(hits->of->kind, FQ_TYPE_LIST);
    assert_ptr_equal(hits->named, fq_schema_type(schema, FQ_STR_LIT("Hit")));
    assert_ptr_equal(type_of(schema, "[Hit!]!", &arena), hits);
    assert_ptr_equal(type_of(schema, "Hit", &arena), hits->named);
    assert_ptr_equal(fq_type_nullable(hits), hits->of);
    assert_ptr_equal(fq_type_nullable(hits->of), hits->of);
    assert_null(type_of(schema, "[Hits]", &arena));
    const fq_type *other = type_of(schema, "[[Hit]!]!", &arena);
    fq_test_assert_str(other->name, "[[Hit]!]!");
    assert_ptr_equal(other->named, hits->named);
    assert_true(fq_type_is_wrapper(other));
    fq_arena_fini(&arena);
    fq_schema_unref(schema);
}

static void
test_schema_knows_subtypes(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *super;
        bool is_subtype;
    } cases[] = {
        {"Post", "Post", true},          {"Post", "Node", true},
        {"Post", "Named", true},         {"Post", "Hit", true},
        {"Named", "Node", true},         {"Node", "Named", false},
        {"Node", "Node", true},          {"Hit", "Node", false},
        {"Root", "Node", false},         {"Root", "Hit", false},
        {"Post!", "Node", true},         {"Post", "Node!", false},
        {"Post!", "Node!", true},        {"[Post]", "[Node]", true},
        {"[Post!]!", "[Node]", true},    {"[Post]", "Node", false},
        {"Post", "[Node]", false},       {"[Post]", "[Node!]", false},
        {"[[Post!]]", "[[Node]]", true}, {"Int", "ID", false},
        {"Date", "Date", true},          {"[Int!]!", "[Int]!", true},
    };
    fq_schema *schema = build(blog_sdl);
    fq_arena arena;
    fq_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const fq_type *type = type_of(schema, cases[i].type, &arena);
        const fq_type *super = type_of(schema, cases[i].super, &arena);
        if (fq_type_is_subtype_of(type, super) != cases[i].is_subtype)
            fail_msg("%s in %s", cases[i].type, cases[i].super);
    }
    fq_arena_fini(&arena);
    fq_schema_unref(schema);
}

static void
test_schema_knows_possible_types(void **state)
{
    (void)state;
    fq_schema *schema = build("interface A { a: Int } interface B { a: Int } "
                              "interface C { a: Int }\n"
                              "interface D implements B { a: Int }\n"
                              "type Query implements A { a: Int }\n"
                              "type E implements B & D & A { a: Int } type F "
                              "implements B { a: Int }\n"
                              "union U = Query | F");
    static const struct {
        const char *a;
        const char *b;
        bool overlap;
    } cases[] = {
        {"A", "B", true}, {"A", "C", false},    {"C", "C", true},
        {"A", "U", true}, {"B", "U", true},     {"D", "U", false},
        {"A", "E", true}, {"A", "F", false},    {"E", "F", false},
        {"E", "E", true}, {"U", "Query", true}, {"U", "E", false},
        {"D", "B", true}, {"D", "A", true},     {"C", "U", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const fq_type *a = fq_schema_type(schema, fq_str_of(cases[i].a));
        const fq_type *b = fq_schema_type(schema, fq_str_of(cases[i].b));
        if (fq_type_overlaps(a, b) != cases[i].overlap
            || fq_type_overlaps(b, a) != cases[i].overlap)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
    const fq_type *b = fq_schema_type(schema, FQ_STR_LIT("B"));
    assert_int_equal(b->n_possible_types, 2);
    fq_test_assert_str(b->possible_types[0]->name, "E");
    fq_test_assert_str(b->possible_types[1]->name, "F");
    assert_true(
        fq_type_has_subtype(b, fq_schema_type(schema, FQ_STR_LIT("D"))));
    fq_schema_unref(schema);
}

static void
test_schema_sorts_types_by_use(void **state)
{
    (void)state;
    fq_schema *schema = build(blog_sdl);
    fq_arena arena;
    fq_arena_init(&arena, 0);
    static const struct {
        const char *type;
        bool is_input, is_output, is_leaf, is_composite, is_abstract;
    } cases[] = {
        {"Int", true, true, true, false, false},
        {"[Int!]!", true, true, false, false, false},
        {"Format", true, true, true, false, false},
        {"Filter", true, false, false, false, false},
        {"[Filter]", true, false, false, false, false},
        {"Post", false, true, false, true, false},
        {"[Post]", false, true, false, false, false},
        {"Hit", false, true, false, true, true},
        {"Node", false, true, false, true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const fq_type *type = type_of(schema, cases[i].type, &arena);
        assert_int_equal(fq_type_is_input(type), cases[i].is_input);
        assert_int_equal(fq_type_is_output(type), cases[i].is_output);
        assert_int_equal(fq_type_is_leaf(type), cases[i].is_leaf);
        assert_int_equal(fq_type_is_composite(type), cases[i].is_composite);
        assert_int_equal(fq_type_is_abstract(type), cases[i].is_abstract);
    }
    fq_arena_fini(&arena);
    fq_schema_unref(schema);
}

static void
test_schema_coerces_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *field;
        const char *json; /* NULL: no default */
    } cases[] = {
        {"Filter", "text", "\"\\\"\""},
        {"Filter", "formats", "[\"TEXT\"]"},
        {"Filter", "page",
         "{\"at\":2,\"size\":20,\"ratio\":1.0,\"key\":\"7\"}"},
        {"Filter", "none", "null"},
        {"Filter", "raw", "{\"a\":[1,\"E\",1e2]}"},
        {"Page", "at", NULL},
        {"Page", "ratio", "1.0"},
    };
    fq_schema *schema = build(blog_sdl);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const fq_input_def *field = fq_type_input_field(
            fq_schema_type(schema, fq_str_of(cases[i].type)),
            fq_str_of(cases[i].field));
        assert_int_equal(field->default_value != NULL, cases[i].json != NULL);
        if (cases[i].json == NULL)
            assert_null(field->default_json.ptr);
        else
            fq_test_assert_str(field->default_json, cases[i].json);
    }
    const fq_field_def *search = fq_type_field(
        schema->roots[FQ_OPERATION_QUERY], FQ_STR_LIT("search"));
    fq_test_assert_str(
        search->args[0].default_json,
        "{\"text\":\"\\\"\",\"formats\":[\"TEXT\"],\"page\":{\"at\":2,"
        "\"size\":20,\"ratio\":1.0,\"key\":\"7\"},\"none\":null,"
        "\"raw\":{\"a\":[1,\"E\",1e2]}}");
    fq_schema_unref(schema);
}

static void
test_schema_is_counted(void **state)
{
    (void)state;
    fq_schema *schema = build("type Query { a: Int }");
    assert_true(fq_schema_n_bytes(schema) > 0);
    assert_ptr_equal(fq_schema_ref(schema), schema);
    fq_schema_unref(schema);
    assert_non_null(fq_schema_type(schema, FQ_STR_LIT("Query")));
    fq_schema_unref(schema);
    fq_schema_unref(NULL);
}

/* The status and the only message for |sdl|. */
static void
assert_refused(fq_str sdl, fq_status expected, const char *message)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    assert_int_equal(fq_schema_build(sdl, &schema, &errors), expected);
    assert_null(schema);
    assert_int_equal(errors.n_items, 1);
    fq_test_assert_str(errors.head->message, message);
    fq_gql_errors_fini(&errors);
}

static void
test_schema_bounds_its_text(void **state)
{
    (void)state;
    size_t len = FQ_SCHEMA_SDL_MAX + 1;
    char *sdl = calloc(1, len);
    assert_non_null(sdl);
    memset(sdl, ' ', len);
    assert_refused(fq_str_make(sdl, len), FQ_ERR_LIMIT,
                   "Document is larger than 16777216 bytes.");
    free(sdl);
}

/* Each type has its default twice in the next one's. */
static void
test_schema_bounds_its_defaults(void **state)
{
    (void)state;
    fq_buf sdl;
    fq_buf_init(&sdl);
    fq_buf_append_str(&sdl, FQ_STR_LIT("type Query { a: Int } "
                                       "input I0 { a: Int = 1 } "));
    for (int i = 1; i < 60; i++)
        fq_buf_append_format(&sdl, "input I%d { a: I%d = {} b: I%d = {} } ", i,
                             i - 1, i - 1);
    assert_refused(fq_buf_str(&sdl), FQ_ERR_LIMIT,
                   "Default values are too large.");
    fq_buf_fini(&sdl);
}

static void
test_schema_bounds_nesting(void **state)
{
    (void)state;
    fq_buf sdl;
    fq_buf_init(&sdl);
    fq_buf_append_str(&sdl, FQ_STR_LIT("type Query { a: "));
    for (int i = 0; i < 100000; i++)
        fq_buf_append_char(&sdl, '[');
    assert_refused(fq_buf_str(&sdl), FQ_ERR_SYNTAX,
                   "Syntax Error: Document is nested too deeply. Parsing "
                   "aborted.");
    fq_buf_fini(&sdl);
}

static fq_status
build_body(void *arg)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    fq_status status = fq_schema_build(fq_str_of(arg), &schema, &errors);
    fq_schema_unref(schema);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_schema_survives_failing_allocations(void **state)
{
    (void)state;
    fq_test_body(build_body, (void *)blog_sdl);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_schema_lists_types_in_order),
        FQ_TEST(test_schema_has_only_the_scalars_in_use),
        FQ_TEST(test_schema_finds_members),
        FQ_TEST(test_schema_finds_what_no_type_lists),
        FQ_TEST(test_schema_knows_directives),
        FQ_TEST(test_schema_keeps_a_redefined_directive),
        FQ_TEST(test_schema_has_one_object_per_type),
        FQ_TEST(test_schema_knows_subtypes),
        FQ_TEST(test_schema_knows_possible_types),
        FQ_TEST(test_schema_sorts_types_by_use),
        FQ_TEST(test_schema_coerces_defaults),
        FQ_TEST(test_schema_is_counted),
        FQ_TEST(test_schema_bounds_its_text),
        FQ_TEST(test_schema_bounds_its_defaults),
        FQ_TEST(test_schema_bounds_nesting),
        FQ_TEST(test_schema_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
