/* SPDX-License-Identifier: MIT */
/* The rules for SDL documents, one case or more for each. */
#include "graphql/sdl_validator.h"

#include "graphql/parser.h"
#include "graphql/schema_internal.h"

#include "sdl_cases.h"

static const fq_sdl_case cases[] = {
    {
        "lone_schema",
        "schema { query: A } schema { mutation: A } type A { a: Int } schema "
        "{ subscription: A }",
        "Must provide only one schema definition. (1:21)\n"
        "Must provide only one schema definition. (1:62)\n",
    },
    {
        "operation_types",
        "schema { query: A query: B mutation: A } extend schema { mutation: B "
        "subscription: A } extend schema { subscription: B } type A { a: Int "
        "} type B { a: Int }",
        "There can be only one query type in schema. (1:10) (1:19)\n"
        "There can be only one mutation type in schema. (1:28) (1:58)\n"
        "There can be only one subscription type in schema. (1:70) (1:104)\n",
    },
    {
        "type_names",
        "type A { a: Int } scalar A union B = A enum B { C } input B { a: Int "
        "} interface A { a: Int } extend type A { b: Int }",
        "There can be only one type named 'A'. (1:6) (1:26)\n"
        "There can be only one type named 'B'. (1:34) (1:45)\n"
        "There can be only one type named 'B'. (1:34) (1:59)\n"
        "There can be only one type named 'A'. (1:6) (1:82)\n"
        "Field 'A.a' can only be defined once. (1:10) (1:86)\n"
        "Cannot extend non-object type 'A'. (1:72) (1:95)\n",
    },
    {
        "enum_values",
        "enum A { B C B } extend enum A { C D } enum E { B }",
        "Enum value 'A.B' can only be defined once. (1:10) (1:14)\n"
        "Enum value 'A.C' can only be defined once. (1:12) (1:34)\n",
    },
    {
        "fields",
        "type A { a: Int b: Int a: Int } extend type A { b: Int } interface B "
        "{ a: Int a: Int } input C { a: Int } extend input C { a: Int }",
        "Field 'A.a' can only be defined once. (1:10) (1:24)\n"
        "Field 'A.b' can only be defined once. (1:17) (1:49)\n"
        "Field 'B.a' can only be defined once. (1:72) (1:79)\n"
        "Field 'C.a' can only be defined once. (1:98) (1:124)\n",
    },
    {
        "arguments",
        "type A { a(b: Int, c: Int, b: Int, c: Int, b: Int): Int } interface "
        "B { a(b: Int b: Int): Int } extend type A { d(e: Int, e: Int): Int } "
        "directive @f(g: Int, g: Int) on FIELD input C { a: Int }",
        "Argument 'A.a(b:)' can only be defined once. (1:12) (1:28) (1:44)\n"
        "Argument 'A.a(c:)' can only be defined once. (1:20) (1:36)\n"
        "Argument 'B.a(b:)' can only be defined once. (1:75) (1:82)\n"
        "Argument 'A.d(e:)' can only be defined once. (1:115) (1:123)\n"
        "Argument '@f(g:)' can only be defined once. (1:151) (1:159)\n",
    },
    {
        "arguments_many",
        "type A { a(a1: Int, a2: Int, a3: Int, a4: Int, a5: Int, a6: Int, a7: "
        "Int, a8: Int, a9: Int, a2: Int, a9: Int): Int }",
        "Argument 'A.a(a2:)' can only be defined once. (1:21) (1:93)\n"
        "Argument 'A.a(a9:)' can only be defined once. (1:84) (1:102)\n",
    },
    {
        "directive_names",
        "directive @a on FIELD directive @b on FIELD directive @a on QUERY "
        "directive @skip on FIELD scalar a",
        "There can be only one directive named '@a'. (1:12) (1:56)\n",
    },
    {
        "type_names_known",
        "type A implements B & Node { a(b: Arg): C d: [Strnig!]! } union U = "
        "A | D scalar Node extend union U = E input I { a: J } schema { "
        "query: Quary } directive @d(a: Boolaen) on FIELD type Query { a: "
        "__Type b: __Typ }",
        "Unknown type 'B'. Did you mean 'A', 'I', or 'U'? (1:19)\n"
        "Unknown type 'Arg'. Did you mean 'A'? (1:35)\n"
        "Unknown type 'C'. Did you mean 'A', 'I', or 'U'? (1:41)\n"
        "Unknown type 'Strnig'. Did you mean 'String'? (1:47)\n"
        "Unknown type 'D'. Did you mean 'A', 'I', 'ID', or 'U'? (1:73)\n"
        "Unknown type 'E'. Did you mean 'A', 'I', or 'U'? (1:104)\n"
        "Unknown type 'J'. Did you mean 'A', 'I', or 'U'? (1:119)\n"
        "Unknown type 'Quary'. Did you mean 'Query'? (1:139)\n"
        "Unknown type 'Boolaen'. Did you mean 'Boolean'? (1:163)\n"
        "Unknown type '__Typ'. Did you mean '__Type'? (1:207)\n",
    },
    {
        "type_names_known_beside_operations",
        "query ($a: Int, $b: [A!]) { a ... on B { c } } fragment F on Strin { "
        "a } type A { a: String }",
        "Unknown type 'Int'. (1:12)\n"
        "Unknown type 'B'. Did you mean 'A'? (1:38)\n"
        "Unknown type 'Strin'. (1:62)\n",
    },
    {
        "directives_known",
        "type A @a @deprecated @skip(if: true) { a(b: Int @oneOf): Int "
        "@specifiedBy(url: \"\") } enum B @deprecated { C @deprecated D @d } "
        "input E @oneOf { a: Int @deprecated b: Int @oneOf } scalar F "
        "@specifiedBy(url: \"\") @b schema @c { query: A } extend schema "
        "@deprecated interface G @oneOf { a: Int } union H @deprecated = A "
        "directive @d on FIELD extend directive @d @skip(if: true) directive "
        "@e @deprecated @include(if: true) on FIELD",
        "Unknown directive '@a'. (1:8)\n"
        "Directive '@deprecated' may not be used on object. (1:11)\n"
        "Directive '@skip' may not be used on object. (1:23)\n"
        "Directive '@oneOf' may not be used on argument definition. (1:50)\n"
        "Directive '@specifiedBy' may not be used on field definition. "
        "(1:63)\n"
        "Directive '@deprecated' may not be used on enum. (1:94)\n"
        "Directive '@d' may not be used on enum value. (1:124)\n"
        "Directive '@oneOf' may not be used on input field definition. "
        "(1:172)\n"
        "Unknown directive '@b'. (1:212)\n"
        "Unknown directive '@c'. (1:222)\n"
        "Directive '@deprecated' may not be used on schema. (1:252)\n"
        "Directive '@oneOf' may not be used on interface. (1:276)\n"
        "Directive '@deprecated' may not be used on union. (1:302)\n"
        "Directive '@skip' may not be used on directive definition. (1:360)\n"
        "Directive '@include' may not be used on directive definition. "
        "(1:401)\n",
    },
    {
        "directives_known_beside_operations",
        "query ($a: Int @deprecated) @a { a @deprecated ...F @oneOf ... "
        "@deprecated { b } } fragment F on A @skip(if: true) { a } mutation "
        "@skip(if: true) { a } subscription @include(if: true) { a } type A { "
        "a: Int }",
        "Unknown type 'Int'. (1:12)\n"
        "Directive '@deprecated' may not be used on variable definition. "
        "(1:16)\n"
        "Unknown directive '@a'. (1:29)\n"
        "Directive '@deprecated' may not be used on field. (1:36)\n"
        "Directive '@oneOf' may not be used on fragment spread. (1:53)\n"
        "Directive '@deprecated' may not be used on inline fragment. (1:64)\n"
        "Directive '@skip' may not be used on fragment definition. (1:100)\n"
        "Directive '@skip' may not be used on mutation. (1:131)\n"
        "Directive '@include' may not be used on subscription. (1:166)\n",
    },
    {
        "directives_redefined",
        "directive @deprecated on SCALAR type A { a: Int @deprecated } scalar "
        "B @deprecated(reason: \"\")",
        "Directive '@deprecated' may not be used on field definition. (1:49)\n"
        "Unknown argument 'reason' on directive '@deprecated'. (1:84)\n",
    },
    {
        "directives_unique",
        "directive @a on OBJECT | FIELD_DEFINITION | SCHEMA | "
        "DIRECTIVE_DEFINITION | ENUM_VALUE | ARGUMENT_DEFINITION | "
        "INPUT_FIELD_DEFINITION directive @r repeatable on OBJECT type A @a "
        "@r @r { a(b: Int @a @a): Int @a @a @a c: Int @a } extend type A @a "
        "@r { d: Int } schema @a { query: A } extend schema @a directive @b "
        "@a on FIELD extend directive @b @a enum B { C @a @a } input D { a: "
        "Int @a @a } scalar E @unknown @unknown",
        "The directive '@a' can only be used once at this location. (1:208) "
        "(1:211)\n"
        "The directive '@a' can only be used once at this location. (1:208) "
        "(1:214)\n"
        "The directive '@a' can only be used once at this location. (1:196) "
        "(1:199)\n"
        "The directive '@a' can only be used once at this location. (1:176) "
        "(1:243)\n"
        "The directive '@a' can only be used once at this location. (1:267) "
        "(1:297)\n"
        "The directive '@a' can only be used once at this location. (1:313) "
        "(1:345)\n"
        "The directive '@a' can only be used once at this location. (1:359) "
        "(1:362)\n"
        "The directive '@a' can only be used once at this location. (1:384) "
        "(1:387)\n"
        "Unknown directive '@unknown'. (1:401)\n"
        "Unknown directive '@unknown'. (1:410)\n",
    },
    {
        "directives_unique_beside_operations",
        "{ a @skip(if: true) @skip(if: true) ...F @include(if: true) "
        "@include(if: false) ... @skip(if: true) @skip(if: false) { b } } "
        "fragment F on A { a } type A { a: Int }",
        "The directive '@skip' can only be used once at this location. (1:5) "
        "(1:21)\n"
        "The directive '@include' can only be used once at this location. "
        "(1:42) (1:61)\n"
        "The directive '@skip' can only be used once at this location. (1:85) "
        "(1:101)\n",
    },
    {
        "extensions_possible",
        "extend type A { b: Int } extend type Scalr @a extend scalar Obj @a "
        "extend union Obj = B extend enum B { C } extend input Obj { a: Int } "
        "extend interface Obj { a: Int } extend type Scalar { a: Int } type "
        "Obj { a: Int } scalar Scalar extend scalar Int @specifiedBy(url: "
        "\"\") directive @a on SCALAR | OBJECT",
        "Cannot extend type 'A' because it is not defined. (1:13)\n"
        "Cannot extend type 'Scalr' because it is not defined. Did you mean "
        "'Scalar'? (1:38)\n"
        "Cannot extend non-scalar type 'Obj'. (1:199) (1:47)\n"
        "Cannot extend non-union type 'Obj'. (1:199) (1:68)\n"
        "Unknown type 'B'. (1:87)\n"
        "Cannot extend type 'B' because it is not defined. (1:101)\n"
        "Cannot extend non-input object type 'Obj'. (1:199) (1:109)\n"
        "Field 'Obj.a' can only be defined once. (1:128) (1:160)\n"
        "Cannot extend non-interface type 'Obj'. (1:199) (1:137)\n"
        "Cannot extend non-object type 'Scalar'. (1:219) (1:169)\n"
        "Field 'Obj.a' can only be defined once. (1:128) (1:210)\n"
        "Cannot extend type 'Int' because it is not defined. (1:247)\n",
    },
    {
        "directive_arguments_known",
        "directive @a(first: Int, second: Int) on OBJECT directive @b on "
        "OBJECT type A @a(frist: 1, secnod: 2, x: 3) @b(a: 1) "
        "@deprecated(reson: \"\") @unknown(a: 1) { a: Int @deprecated(reson: "
        "\"\") }",
        "Unknown argument 'frist' on directive '@a'. Did you mean 'first'? "
        "(1:82)\n"
        "Unknown argument 'secnod' on directive '@a'. Did you mean 'second'? "
        "(1:92)\n"
        "Unknown argument 'x' on directive '@a'. (1:103)\n"
        "Unknown argument 'a' on directive '@b'. (1:112)\n"
        "Directive '@deprecated' may not be used on object. (1:118)\n"
        "Unknown argument 'reson' on directive '@deprecated'. Did you mean "
        "'reason'? (1:130)\n"
        "Unknown directive '@unknown'. (1:141)\n"
        "Unknown argument 'reson' on directive '@deprecated'. Did you mean "
        "'reason'? (1:177)\n",
    },
    {
        "arguments_unique",
        "directive @a(b: Int, c: Int) repeatable on OBJECT type A @a(b: 1, c: "
        "2, b: 3, c: 4, b: 5) { a: Int } { a(b: 1, b: 2) }",
        "There can be only one argument named 'b'. (1:61) (1:73) (1:85)\n"
        "There can be only one argument named 'c'. (1:67) (1:79)\n"
        "There can be only one argument named 'b'. (1:106) (1:112)\n",
    },
    {
        "input_fields_unique",
        "directive @a(b: X) on OBJECT scalar X type A @a(b: {c: 1, c: {d: 1, "
        "d: 2}, e: [{f: 1}, {f: 1, f: 2}], c: 3}) { a(b: X = {c: 1, c: 2}): "
        "Int } { a(b: {c: 1, c: 2}) } query ($a: X = {b: 1, b: 2}) { a }",
        "There can be only one input field named 'c'. (1:53) (1:59)\n"
        "There can be only one input field named 'd'. (1:63) (1:69)\n"
        "There can be only one input field named 'f'. (1:89) (1:95)\n"
        "There can be only one input field named 'c'. (1:53) (1:103)\n"
        "There can be only one input field named 'c'. (1:122) (1:128)\n"
        "There can be only one input field named 'c'. (1:150) (1:156)\n"
        "There can be only one input field named 'b'. (1:181) (1:187)\n",
    },
    {
        "arguments_required",
        "directive @a(b: Int!, c: [Int!]!, d: Int! = 1, e: Int) on OBJECT "
        "type A @a { a: Int } scalar B @specifiedBy type C @a(b: 1) { a: Int "
        "} { a @skip @include }",
        "Argument '@a(b:)' of type 'Int!' is required, but it was not "
        "provided. (1:73)\n"
        "Argument '@a(c:)' of type '[Int!]!' is required, but it was not "
        "provided. (1:73)\n"
        "Argument '@specifiedBy(url:)' of type 'String!' is required, but it "
        "was not provided. (1:96)\n"
        "Argument '@a(c:)' of type '[Int!]!' is required, but it was not "
        "provided. (1:116)\n"
        "Argument '@skip(if:)' of type 'Boolean!' is required, but it was not "
        "provided. (1:140)\n"
        "Argument '@include(if:)' of type 'Boolean!' is required, but it was "
        "not provided. (1:146)\n",
    },
    {
        "arguments_required_twice",
        "directive @a(b: Int!, c: Int, b: [Int]!, b: Int) on OBJECT type A @a "
        "{ a: Int }",
        "Argument '@a(b:)' can only be defined once. (1:14) (1:31) (1:42)\n"
        "Argument '@a(b:)' of type '[Int]!' is required, but it was not "
        "provided. (1:67)\n",
    },
    {
        "suggestions",
        "type Aardvark { a: Int } type Aardvarks { a: Aardvakr b: ardvark } "
        "extend type Aardvrk { a: Int }",
        "Unknown type 'Aardvakr'. Did you mean 'Aardvark' or 'Aardvarks'? "
        "(1:46)\n"
        "Unknown type 'ardvark'. Did you mean 'Aardvark' or 'Aardvarks'? "
        "(1:58)\n"
        "Cannot extend type 'Aardvrk' because it is not defined. Did you mean "
        "'Aardvark' or 'Aardvarks'? (1:80)\n",
    },
};

/* Documents beyond the memory they would get; what else bounds them is
 * tested. */
static const fq_document_limits unbounded = {.max_memory = SIZE_MAX};

static fq_status
validate(fq_str sdl, fq_gql_errors *errors)
{
    fq_document document, standard;
    fq_status status = fq_parse(sdl, &unbounded, &document, errors);
    fq_status standard_status = fq_parse(fq_schema_standard_sdl, NULL,
                                         &standard, errors);
    if (status == FQ_OK)
        status = standard_status;
    if (status == FQ_OK)
        status = fq_sdl_validate(&document, &standard, errors);
    fq_document_fini(&standard);
    fq_document_fini(&document);
    return status;
}

static void
test_sdl_validator_reports_as_the_reference(void **state)
{
    (void)state;
    FQ_TEST_SDL_CASES(cases, validate);
}

/* A document of many faults ends at the maximum, in little time. */
static void
test_sdl_validator_stops_at_the_maximum(void **state)
{
    (void)state;
    fq_buf sdl;
    fq_buf_init(&sdl);
    fq_buf_append_str(&sdl, FQ_STR_LIT("type A { "));
    for (int i = 0; i < 20000; i++)
        fq_buf_append_format(&sdl, "a%d(b: X%d, b: Y): Z @c(d: 1, d: 2) ",
                             i % 1000, i);
    fq_buf_append_char(&sdl, '}');
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(validate(fq_buf_str(&sdl), &errors), FQ_ERR_INVALID);
    assert_int_equal(errors.n_items, FQ_GQL_ERRORS_MAX);
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&sdl);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_sdl_validator_reports_as_the_reference),
        FQ_TEST(test_sdl_validator_stops_at_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
