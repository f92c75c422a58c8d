/* SPDX-License-Identifier: MIT */
/* Type validation: what makes a schema an impossible one, although its
 * document is fine. */
#include "graphql/schema.h"

#include "sdl_cases.h"

static const fq_sdl_case cases[] = {
    {
        "fine",
        "type Query { a(b: I = {c: {}}): U } union U = Query input I { a: Int "
        "= 1 c: J } input J { d: [I!] = [] } interface X { a: U } type Y "
        "implements X { a: Query b(c: Int! = 1): Int }",
        "",
    },
    {
        "no_query",
        "type A { a: Int }",
        "Query root type must be provided.\n",
    },
    {
        "no_query_with_schema",
        "schema { mutation: A } type A { a: Int }",
        "Query root type must be provided. (1:1)\n",
    },
    {
        "roots_are_objects",
        "schema { query: I mutation: S subscription: E } interface I { a: Int "
        "} input S { a: Int } enum E { A }",
        "Query root type must be Object type, it cannot be I. (1:17)\n"
        "Mutation root type must be Object type if provided, it cannot be S. "
        "(1:29)\n"
        "Subscription root type must be Object type if provided, it cannot be "
        "E. (1:45)\n",
    },
    {
        "roots_are_objects_by_name",
        "interface Query { a: Int } input Mutation { a: Int } scalar "
        "Subscription",
        "Query root type must be Object type, it cannot be Query. (1:1)\n"
        "Mutation root type must be Object type if provided, it cannot be "
        "Mutation. (1:28)\n"
        "Subscription root type must be Object type if provided, it cannot be "
        "Subscription. (1:54)\n",
    },
    {
        "root_is_scalar",
        "schema { query: String }",
        "Query root type must be Object type, it cannot be String. (1:17)\n",
    },
    {
        "roots_differ_two",
        "schema { query: A mutation: A subscription: B } type A { a: Int } "
        "type B { a: Int }",
        "All root types must be different, 'A' type is used as query and "
        "mutation root types. (1:17) (1:29)\n",
    },
    {
        "roots_differ_three",
        "schema { query: A } extend schema { subscription: A } extend schema "
        "{ mutation: A } type A { a: Int }",
        "All root types must be different, 'A' type is used as query, "
        "mutation, and subscription root types. (1:17) (1:81) (1:51)\n",
    },
    {
        "root_by_extension",
        "extend schema { query: A } type A { a: Int }",
        "",
    },
    {
        "names",
        "type Query { __a(__b: Int): Int } enum __E { __A } input __I { __c: "
        "Int } directive @__d(__e: Int) on FIELD interface __J { a: Int } "
        "union __U = Query scalar __S type __T { a: Int }",
        "Name '__d' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:75)\n"
        "Name '__e' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:90)\n"
        "Name '__a' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:14)\n"
        "Name '__b' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:18)\n"
        "Name '__E' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:35)\n"
        "Name '__A' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:46)\n"
        "Name '__I' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:52)\n"
        "Name '__c' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:64)\n"
        "Name '__J' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:109)\n"
        "Name '__U' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:134)\n"
        "Name '__S' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:152)\n"
        "Name '__T' must not begin with '__', which is reserved by GraphQL "
        "introspection. (1:163)\n",
    },
    {
        "standard_names_are_standard",
        "type Query { a: Int b: __Type } scalar Int type __Type { x: Int } "
        "enum Boolean { A } type ID { a: Int }",
        "",
    },
    {
        "no_members",
        "type Query interface I enum E union U input N scalar S extend type "
        "Query @d directive @d on OBJECT",
        "Type Query must define one or more fields. (1:1) (1:56)\n"
        "Type I must define one or more fields. (1:12)\n"
        "Enum type E must define one or more values. (1:24)\n"
        "Union type U must define one or more member types. (1:31)\n"
        "Input Object type N must define one or more fields. (1:39)\n",
    },
    {
        "output_types",
        "type Query { a: I b: [I!]! c: E } input I { a: Int } enum E { A } "
        "interface J { d: I }",
        "The type of Query.a must be Output Type but got: I. (1:17)\n"
        "The type of Query.b must be Output Type but got: [I!]!. (1:22)\n"
        "The type of J.d must be Output Type but got: I. (1:84)\n",
    },
    {
        "input_types",
        "type Query { a(b: Query, c: [J!], d: U = null, e: E, f: S): Int } "
        "interface J { a: Int } union U = Query enum E { A } scalar S input I "
        "{ a: Query b: J! } directive @d(\"x\" a: Query) on FIELD",
        "The type of @d(a:) must be Input Type but got: Query. (1:168)\n"
        "The type of Query.a(b:) must be Input Type but got: Query. (1:19)\n"
        "The type of Query.a(c:) must be Input Type but got: [J!]. (1:29)\n"
        "The type of Query.a(d:) must be Input Type but got: U. (1:38)\n"
        "The type of I.a must be Input Type but got: Query. (1:141)\n"
        "The type of I.b must be Input Type but got: J!. (1:150)\n",
    },
    {
        "required_deprecated",
        "type Query { a(b: Int! @deprecated, c: Int! = 1 @deprecated, d: Int "
        "@deprecated): Int } input I { a: Int! @deprecated(reason: \"\") b: "
        "Int! = 1 @deprecated } directive @d(e: Int! @deprecated) on FIELD",
        "Required argument @d(e:) cannot be deprecated. (1:178) (1:173)\n"
        "Required argument Query.a(b:) cannot be deprecated. (1:24) (1:19)\n"
        "Required input field I.a cannot be deprecated. (1:107) (1:102)\n",
    },
    {
        "implements_other_kinds",
        "type Query implements S & Query & U & E & I { a: Int } scalar S "
        "union U = Query enum E { A } input I { a: Int } interface J "
        "implements Query & J { a: Int } extend type Query implements S",
        "Type Query must only implement Interface types, it cannot implement "
        "S. (1:23) (1:186)\n"
        "Type Query must only implement Interface types, it cannot implement "
        "Query. (1:27)\n"
        "Type Query must only implement Interface types, it cannot implement "
        "U. (1:35)\n"
        "Type Query must only implement Interface types, it cannot implement "
        "E. (1:39)\n"
        "Type Query must only implement Interface types, it cannot implement "
        "I. (1:43)\n"
        "Type Query must only implement Interface types, it cannot implement "
        "S. (1:23) (1:186)\n"
        "Type J must only implement Interface types, it cannot implement "
        "Query. (1:136)\n"
        "Type J cannot implement itself because it would create a circular "
        "reference. (1:144)\n",
    },
    {
        "implements_itself",
        "interface A implements A { a: Int } type Query { a: A }",
        "Type A cannot implement itself because it would create a circular "
        "reference. (1:24)\n",
    },
    {
        "implements_in_circle",
        "interface A implements B { a: Int } interface B implements A { a: "
        "Int } interface C implements D { a: Int } interface D implements E { "
        "a: Int } interface E implements C { a: Int } type Query { a: A }",
        "Type A cannot implement B because it would create a circular "
        "reference. (1:60) (1:24)\n"
        "Type B cannot implement A because it would create a circular "
        "reference. (1:24) (1:60)\n"
        "Type C must implement E because it is implemented by D. (1:132) "
        "(1:96)\n"
        "Type D must implement C because it is implemented by E. (1:168) "
        "(1:132)\n"
        "Type E must implement D because it is implemented by C. (1:96) "
        "(1:168)\n",
    },
    {
        "implements_twice",
        "type Query implements A & A { a: Int } extend type Query implements "
        "A interface A { a: Int }",
        "Type Query can only implement A once. (1:23) (1:27) (1:69)\n"
        "Type Query can only implement A once. (1:23) (1:27) (1:69)\n",
    },
    {
        "implements_ancestors",
        "interface A { a: Int } interface B implements A { a: Int } interface "
        "C implements B { a: Int } type Query implements C { a: Int } type D "
        "implements C & B { a: Int } type E implements A & B & C { a: Int }",
        "Type C must implement A because it is implemented by B. (1:47) "
        "(1:83)\n"
        "Type Query must implement B because it is implemented by C. (1:83) "
        "(1:118)\n"
        "Type D must implement A because it is implemented by B. (1:47) "
        "(1:153)\n",
    },
    {
        "interface_field_missing",
        "interface A { a: Int b: Int } type Query implements A { a: Int } "
        "extend type Query { c: Int } interface B implements A { b: Int }",
        "Interface field A.b expected but Query does not provide it. (1:22) "
        "(1:31) (1:66)\n"
        "Interface field A.a expected but B does not provide it. (1:15) "
        "(1:95)\n",
    },
    {
        "interface_field_type",
        "interface A { a: Int b: [Int] c: A d: U e: [A!] f: Int } union U = "
        "Query type Query implements A { a: Int! b: [Int!]! c: Query d: Query "
        "e: [Query!]! f: Float } type B implements A { a: [Int] b: Int c: U "
        "d: B e: [A]! f: Int } interface C implements A { a: Int b: [Int!] c: "
        "C d: A e: [C!] f: Int! }",
        "Interface field A.f expects type Int but Query.f is type Float. "
        "(1:52) (1:153)\n"
        "Interface field A.a expects type Int but B.a is type [Int]. (1:18) "
        "(1:186)\n"
        "Interface field A.b expects type [Int] but B.b is type Int. (1:25) "
        "(1:195)\n"
        "Interface field A.c expects type A but B.c is type U. (1:34) "
        "(1:202)\n"
        "Interface field A.d expects type U but B.d is type B. (1:39) "
        "(1:207)\n"
        "Interface field A.e expects type [A!] but B.e is type [A]!. (1:44) "
        "(1:212)\n"
        "Interface field A.d expects type U but C.d is type A. (1:39) "
        "(1:278)\n",
    },
    {
        "interface_argument",
        "interface A { a(b: Int, c: Int!, d: [Int]): Int } type Query "
        "implements A { a(b: Int!, d: [Int!], e: Int, f: Int!, g: Int! = 1): "
        "Int }",
        "Interface field argument A.a(b:) expects type Int but Query.a(b:) is "
        "type Int!. (1:20) (1:82)\n"
        "Interface field argument A.a(c:) expected but Query.a does not "
        "provide it. (1:25) (1:77)\n"
        "Interface field argument A.a(d:) expects type [Int] but Query.a(d:) "
        "is type [Int!]. (1:37) (1:91)\n"
        "Argument 'Query.a(f:)' must not be required type 'Int!' if not "
        "provided by the Interface field 'A.a'. (1:107) (1:15)\n",
    },
    {
        "interface_deprecated",
        "interface A { a: Int b: Int @deprecated c: Int } type Query "
        "implements A { a: Int @deprecated b: Int @deprecated c: Int }",
        "Interface field A.a is not deprecated, so implementation field "
        "Query.a must not be deprecated. (1:83) (1:79)\n",
    },
    {
        "union_members",
        "union U = Query | Query | I | Int | N extend union U = Query | E "
        "interface I { a: Int } input N { a: Int } enum E { A } type Query { "
        "a: U }",
        "Union type U can only include type Query once. (1:11) (1:19) (1:56)\n"
        "Union type U can only include Object types, it cannot include I. "
        "(1:27)\n"
        "Union type U can only include Object types, it cannot include Int. "
        "(1:31)\n"
        "Union type U can only include Object types, it cannot include N. "
        "(1:37)\n"
        "Union type U can only include type Query once. (1:11) (1:19) (1:56)\n"
        "Union type U can only include Object types, it cannot include E. "
        "(1:64)\n",
    },
    {
        "default_scalars",
        "type Query { a(i: Int = 1.0, j: Int = 2147483648, k: Int = "
        "-2147483648, l: Int = \"1\", m: Float = \"1\", n: Float = 1, o: "
        "String = 1, p: String = A, q: Boolean = 1, r: Boolean = false, s: ID "
        "= 1, t: ID = 1.0, u: ID = true, v: S = {a: [1, A]}): Int } scalar S",
        "Query.a(i:) has invalid default value: Int cannot represent "
        "non-integer value: 1.0 (1:25)\n"
        "Query.a(j:) has invalid default value: Int cannot represent non "
        "32-bit signed integer value: 2147483648 (1:39)\n"
        "Query.a(l:) has invalid default value: Int cannot represent "
        "non-integer value: \"1\" (1:82)\n"
        "Query.a(m:) has invalid default value: Float cannot represent non "
        "numeric value: \"1\" (1:98)\n"
        "Query.a(o:) has invalid default value: String cannot represent a non "
        "string value: 1 (1:129)\n"
        "Query.a(p:) has invalid default value: String cannot represent a non "
        "string value: A (1:144)\n"
        "Query.a(q:) has invalid default value: Boolean cannot represent a "
        "non boolean value: 1 (1:160)\n"
        "Query.a(t:) has invalid default value: ID cannot represent a "
        "non-string and non-integer value: 1.0 (1:202)\n"
        "Query.a(u:) has invalid default value: ID cannot represent a "
        "non-string and non-integer value: true (1:215)\n",
    },
    {
        "default_null",
        "type Query { a(i: Int! = null, j: Int = null, k: [Int!] = [1, null], "
        "l: [Int]! = [null], m: [[Int!]!] = [[null], null], n: I = null): Int "
        "} input I { a: Int }",
        "Query.a(i:) has invalid default value: Expected value of non-null "
        "type 'Int!' not to be None. (1:26)\n"
        "Query.a(k:) has invalid default value at [1]: Expected value of "
        "non-null type 'Int!' not to be None. (1:63)\n"
        "Query.a(m:) has invalid default value at [0][0]: Expected value of "
        "non-null type 'Int!' not to be None. (1:107)\n"
        "Query.a(m:) has invalid default value at [1]: Expected value of "
        "non-null type '[Int!]!' not to be None. (1:114)\n",
    },
    {
        "default_lists",
        "type Query { a(i: [Int] = 1, j: [[Int]] = 1, k: [[Int]] = [1, [2]], "
        "l: [Int] = [1, \"2\", [3]], m: [I] = {a: \"x\"}, n: Int = [1], o: E "
        "= [A]): Int } input I { a: Int } enum E { A }",
        "Query.a(l:) has invalid default value at [1]: Int cannot represent "
        "non-integer value: \"2\" (1:84)\n"
        "Query.a(l:) has invalid default value at [2]: Int cannot represent "
        "non-integer value: [3]\n"
        "Query.a(m:) has invalid default value at .a: Int cannot represent "
        "non-integer value: \"x\" (1:108)\n"
        "Query.a(n:) has invalid default value: Int cannot represent "
        "non-integer value: [1]\n"
        "Query.a(o:) has invalid default value: Enum 'E' cannot represent "
        "non-enum value: [A]. Did you mean the enum value 'A'?\n",
    },
    {
        "default_enums",
        "type Query { a(i: Color = RED, j: Color = REDD, k: Color = \"RED\", "
        "l: Color = 1, m: [Color!] = [GREEN, GREN, BLU]): Int } enum Color { "
        "RED GREEN BLUE }",
        "Query.a(j:) has invalid default value: Value 'REDD' does not exist "
        "in 'Color' enum. Did you mean the enum value 'RED'? (1:43)\n"
        "Query.a(k:) has invalid default value: Enum 'Color' cannot represent "
        "non-enum value: \"RED\". Did you mean the enum value 'RED' or "
        "'GREEN'? (1:60)\n"
        "Query.a(l:) has invalid default value: Enum 'Color' cannot represent "
        "non-enum value: 1. (1:78)\n"
        "Query.a(m:) has invalid default value at [1]: Value 'GREN' does not "
        "exist in 'Color' enum. Did you mean the enum value 'GREEN' or 'RED'? "
        "(1:103)\n"
        "Query.a(m:) has invalid default value at [2]: Value 'BLU' does not "
        "exist in 'Color' enum. Did you mean the enum value 'BLUE'? (1:109)\n",
    },
    {
        "default_objects",
        "type Query { a(i: I = {}, j: I = {first: 1}, k: I = {first: \"1\", "
        "frist: 2, xyz: 3, nested: {first: null}}, l: I = 1, m: I = [{first: "
        "1}], n: I = {first: 1, nested: {first: 1, tags: [\"a\", 1]}}): Int } "
        "input I { first: Int! second: Int! = 2 nested: I tags: [String!] }",
        "Query.a(i:) has invalid default value: Expected value of type 'I' to "
        "include required field 'first', found: {  }. (1:23)\n"
        "Query.a(k:) has invalid default value at .first: Int cannot "
        "represent non-integer value: \"1\" (1:61)\n"
        "Query.a(k:) has invalid default value at .nested.first: Expected "
        "value of non-null type 'Int!' not to be None. (1:100)\n"
        "Query.a(k:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'frist'. Did you mean 'first'? Found: { "
        "first: \"1\", frist: 2, xyz: 3, nested: { first: null } }. (1:66)\n"
        "Query.a(k:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'xyz', found: { first: \"1\", frist: 2, "
        "xyz: 3, nested: { first: null } }. (1:76)\n"
        "Query.a(l:) has invalid default value: Expected value of type 'I' to "
        "be an object, found: 1. (1:115)\n"
        "Query.a(m:) has invalid default value: Expected value of type 'I' to "
        "be an object, found: [{ first: 1 }]. (1:125)\n"
        "Query.a(n:) has invalid default value at .nested.tags[1]: String "
        "cannot represent a non string value: 1 (1:188)\n",
    },
    {
        "default_long_object",
        "type Query { a(i: I = {aLongNameOfAField: \"a long text that fills "
        "the line\", anotherLongName: [1, 2, 3, 4, 5]}): Int } input I { a: "
        "Int }",
        "Query.a(i:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'aLongNameOfAField', found: {\n"
        "  aLongNameOfAField: \"a long text that fills the line\"\n"
        "  anotherLongName: [1, 2, 3, 4, 5]\n"
        "}. (1:24)\n"
        "Query.a(i:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'anotherLongName', found: {\n"
        "  aLongNameOfAField: \"a long text that fills the line\"\n"
        "  anotherLongName: [1, 2, 3, 4, 5]\n"
        "}. (1:78)\n",
    },
    {
        "default_one_of",
        "type Query { a(i: I = {}, j: I = {a: 1, b: \"x\"}, k: I = {a: null}, "
        "l: I = {a: 1}, m: I = {c: 1}, n: I = {a: 1, c: 2}): Int } input I "
        "@oneOf { a: Int b: String }",
        "Query.a(i:) has invalid default value: Within OneOf Input Object "
        "type 'I', exactly one field must be specified, and the value for "
        "that field must be non-null. (1:23)\n"
        "Query.a(j:) has invalid default value: Within OneOf Input Object "
        "type 'I', exactly one field must be specified, and the value for "
        "that field must be non-null. (1:34)\n"
        "Query.a(k:) has invalid default value at .a: Within OneOf Input "
        "Object type 'I', exactly one field must be specified, and the value "
        "for that field must be non-null. (1:57)\n"
        "Query.a(m:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'c'. Did you mean 'a' or 'b'? Found: { "
        "c: 1 }. (1:91)\n"
        "Query.a(m:) has invalid default value: Within OneOf Input Object "
        "type 'I', exactly one field must be specified, and the value for "
        "that field must be non-null. (1:90)\n"
        "Query.a(n:) has invalid default value: Expected value of type 'I' "
        "not to include unknown field 'c'. Did you mean 'a' or 'b'? Found: { "
        "a: 1, c: 2 }. (1:112)\n",
    },
    {
        "default_of_directive",
        "directive @d(a: Int = \"x\", b: I = {c: 1}) on FIELD input I { a: "
        "Int = [1] } type Query { a: Int }",
        "@d(a:) has invalid default value: Int cannot represent non-integer "
        "value: \"x\" (1:23)\n"
        "@d(b:) has invalid default value: Expected value of type 'I' not to "
        "include unknown field 'c'. Did you mean 'a'? Found: { c: 1 }. "
        "(1:36)\n"
        "I.a has invalid default value: Int cannot represent non-integer "
        "value: [1]\n",
    },
    {
        "one_of_fields",
        "input I @oneOf { a: Int! b: Int = 1 c: [Int!] \"d\" d: Int! = 1 } "
        "type Query { a: Int }",
        "OneOf input field I.a must be nullable. (1:21)\n"
        "OneOf input field I.b cannot have a default value. (1:26)\n"
        "OneOf input field I.d must be nullable. (1:54)\n"
        "OneOf input field I.d cannot have a default value. (1:47)\n",
    },
    {
        "one_of_by_extension_is_none",
        "input I { a: Int! } extend input I @oneOf type Query { a: Int }",
        "",
    },
    {
        "cycle_required",
        "input A { a: A! } input B { c: C! x: Int } input C { d: D! } input D "
        "{ b: B! e: E! } input E { e: [E!]! f: F } input F { e: E! } type "
        "Query { a: Int }",
        "Input Object A cannot be provided a finite value because it "
        "references itself through fields: A.a. (1:11)\n"
        "Input Object B cannot be provided a finite value because it "
        "references itself through fields: B.c, C.d, D.b. (1:29) (1:54) "
        "(1:72)\n",
    },
    {
        "cycle_required_two_ways",
        "input A { b: B! c: C! } input B { a: A! } input C { a: A! } input D "
        "{ a: A! } type Query { a: Int }",
        "Input Object A cannot be provided a finite value because it "
        "references itself through fields: A.b, B.a. (1:11) (1:35)\n"
        "Input Object A cannot be provided a finite value because it "
        "references itself through fields: A.c, C.a. (1:17) (1:53)\n",
    },
    {
        "cycle_one_of",
        "input A @oneOf { a: A } input B @oneOf { b: B c: Int } input C "
        "@oneOf { d: D } input D { c: C! } input E @oneOf { e: [E] } input F "
        "@oneOf { b: B } type Query { a: Int }",
        "Input Object A cannot be provided a finite value because it "
        "references itself through fields: A.a. (1:18)\n"
        "Input Object C cannot be provided a finite value because it "
        "references itself through fields: C.d, D.c. (1:73) (1:90)\n",
    },
    {
        "cycle_default",
        "input A { a: A = {} } input B { c: C = {} } input C { b: B = {c: {}} "
        "d: D = {} } input D { c: C = {b: null} } input E { e: E = {e: null} "
        "} input F { f: [F!] = [{}] g: F } input G { h: H = {} i: Int } input "
        "H { g: G! = {i: 1} } type Query { a: Int }",
        "Invalid circular reference. The default value of Input Object field "
        "A.a references itself. (1:18)\n"
        "Invalid circular reference. The default value of Input Object field "
        "C.b references itself. (1:62)\n"
        "Invalid circular reference. The default value of Input Object field "
        "C.d references itself via the default values of: D.c. (1:77) (1:99)\n"
        "Invalid circular reference. The default value of Input Object field "
        "F.f references itself. (1:160)\n"
        "Invalid circular reference. The default value of Input Object field "
        "G.h references itself via the default values of: H.g. (1:189) "
        "(1:219)\n",
    },
    {
        "deprecated_reason",
        "type Query { a: Int @deprecated(reason: null) }",
        "Query fields cannot be resolved. Argument 'reason' has invalid "
        "value: Expected value of non-null type 'String!' not to be None. "
        "(1:41)\n",
    },
    {
        "specified_by_url",
        "scalar A @specifiedBy(url: 1) type Query { a: Int "
        "@deprecated(reason: 1) }",
        "Argument 'url' has invalid value: String cannot represent a non "
        "string value: 1 (1:28)\n",
    },
    {
        "specified_by_url_list",
        "scalar A @specifiedBy(url: [\"u\"]) type Query { a: Int }",
        "Argument 'url' has invalid value: String cannot represent a non "
        "string value: [\"u\"]\n",
    },
    {
        "specified_by_redefined",
        "directive @specifiedBy(url: String) on SCALAR scalar A @specifiedBy "
        "type Query { a: Int }",
        "Argument 'url' of required type 'String!' was not provided. (1:56)\n",
    },
    {
        "enum_reason",
        "enum E { A @deprecated(reason: 1) } type Query { __a: Int }",
        "Argument 'reason' has invalid value: String cannot represent a non "
        "string value: 1 (1:32)\n",
    },
    {
        "directive_reason",
        "directive @d @deprecated(reason: 1) on FIELD type Query { a: Int "
        "@deprecated(reason: 1) }",
        "Argument 'reason' has invalid value: String cannot represent a non "
        "string value: 1 (1:34)\n",
    },
};

static fq_status
build(fq_str sdl, fq_gql_errors *errors)
{
    fq_schema *schema;
    fq_status status = fq_schema_build(sdl, &schema, errors);
    assert_int_equal(status == FQ_OK, schema != NULL);
    fq_schema_unref(schema);
    return status;
}

static void
test_schema_validate_reports_as_the_reference(void **state)
{
    (void)state;
    FQ_TEST_SDL_CASES(cases, build);
}

/* Builds |n| input objects, each with a field whose default value or type
 * leads to the next one; the |last| stands for what the last field is. */
static fq_status
build_chain(size_t n, const char *format, const char *last,
            fq_gql_errors *errors)
{
    fq_buf sdl;
    fq_buf_init(&sdl);
    fq_buf_append_str(&sdl, FQ_STR_LIT("type Query { a: Int } "));
    for (size_t i = n; i-- > 0;) {
        fq_buf_append_format(&sdl, "input I%zu { a: ", i);
        if (i + 1 < n)
            fq_buf_append_format(&sdl, format, i + 1);
        else
            fq_buf_append_str(&sdl, fq_str_of(last));
        fq_buf_append_str(&sdl, FQ_STR_LIT(" } "));
    }
    fq_status status = build(fq_buf_str(&sdl), errors);
    fq_buf_fini(&sdl);
    return status;
}

static void
test_schema_validate_long_chains_of_input_objects(void **state)
{
    (void)state;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(build_chain(20000, "I%zu!", "Int", &errors), FQ_OK);
    assert_int_equal(build_chain(20000, "I%zu!", "I0!", &errors),
                     FQ_ERR_INVALID);
    assert_int_equal(errors.n_items, 1);
    assert_int_equal(errors.head->n_locations, 20000);
    fq_gql_errors_fini(&errors);
}

static void
test_schema_validate_bounds_nested_defaults(void **state)
{
    (void)state;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    /* From the last to the first each is known when it is met. */
    assert_int_equal(build_chain(1000, "I%zu = {}", "Int", &errors), FQ_OK);
    fq_gql_errors_fini(&errors);
    fq_buf sdl;
    fq_buf_init(&sdl);
    fq_buf_append_str(&sdl, FQ_STR_LIT("type Query { a: Int } "));
    for (int i = 0; i < 20000; i++)
        fq_buf_append_format(&sdl, "input I%d { a: I%d = {} } ", i, i + 1);
    fq_buf_append_str(&sdl, FQ_STR_LIT("input I20000 { a: Int }"));
    assert_int_equal(build(fq_buf_str(&sdl), &errors), FQ_ERR_LIMIT);
    fq_buf_fini(&sdl);
    fq_test_assert_str(errors.head->message,
                       "Default values are nested too deeply.");
    fq_gql_errors_fini(&errors);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_schema_validate_reports_as_the_reference),
        FQ_TEST(test_schema_validate_long_chains_of_input_objects),
        FQ_TEST(test_schema_validate_bounds_nested_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
