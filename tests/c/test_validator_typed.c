/* SPDX-License-Identifier: MIT */
/* Validation with a schema. The cases are data: a document and what
 * graphql-core 3.3.2 says about it, one line per error, its message and its
 * places. Hostile documents end with an error in bounded time and memory. */
#include "graphql_fixture.h"

#include <time.h>

#include "graphql/parser.h"
#include "graphql/type_info.h"
#include "graphql/validator.h"

typedef struct fq_typed_case {
    const char *document;
    const char *errors; /* NULL: valid */
} fq_typed_case;

static const char sdl[]
    = "directive @tag(name: String!, note: Note) repeatable on FIELD | QUERY "
      "| VARIABLE_DEFINITION\n"
      "directive @once(level: Int = 1) on FIELD | INLINE_FRAGMENT | "
      "FRAGMENT_SPREAD | FRAGMENT_DEFINITION | SUBSCRIPTION\n"
      "scalar Json\n"
      "enum State { OPEN SHIPPED CLOSED }\n"
      "input Note { text: String! state: State tags: [String!] more: Note "
      "extra: Json }\n"
      "input Key @oneOf { id: ID name: String note: Note }\n"
      "interface Entity { id: ID! label(lang: String): String }\n"
      "interface Priced implements Entity { id: ID! label(lang: String): "
      "String price: Float }\n"
      "type Order implements Entity & Priced { id: ID! label(lang: String): "
      "String price: Float state: State items: [Item!]! buyer: Person parts: "
      "[[Int]] }\n"
      "type Item implements Entity & Priced { id: ID! label(lang: String): "
      "String price: Float state: String! items: [Item] order: Order }\n"
      "type Person { id: ID! name: String orders(first: Int!, state: State = "
      "OPEN, after: ID): [Order!] found: Thing }\n"
      "union Thing = Order | Person\n"
      "interface Nobody { id: ID }\n"
      "type Query { order(key: Key!): Order entity(id: ID!): Entity thing: "
      "Thing priced: Priced find(key: Key, keys: [Key!]): Int nobody: Nobody "
      "note(note: Note, notes: [Note!], json: Json, ids: [ID!]! = []): Int "
      "numbers(i: Int, f: Float, s: String, b: Boolean, id: ID, state: "
      "State, grid: [[Int!]]): Int }\n"
      "type Subscription { orderPlaced(person: ID): Order tick: Int }";

/* clang-format off */
static const fq_typed_case reference_cases[] = {
    /* ExecutableDefinitions and what is in them */
    {"{ nobody { id } } type Extra { a: Int }",
     "The 'Extra' definition is not executable. 1:19"},
    {"extend schema @once { mutation: M } { nobody { id } }",
     "The schema definition is not executable. 1:1\n"
     "Directive '@once' may not be used on schema. 1:15\n"
     "Unknown type 'M'. 1:33"},
    {"directive @skip(a: Int!) on QUERY query @skip { nobody @once { id "
     "@skip(a: 1) } }",
     "The 'skip' definition is not executable. 1:1\n"
     "Argument '@skip(a:)' of type 'Int!' is required, but it was not "
     "provided. 1:41\n"
     "Directive '@skip' may not be used on field. 1:67"},
    {"input I { a: Intt b: Float = {c: 1, c: 2} @deprecated(reason: 3) } "
     "interface N implements Entyty @tag { f(a: Int @once): I } enum E @tag "
     "@once @once { A @no } union U = Order | I extend union U @once { "
     "nobody { id } }",
     "The 'I' definition is not executable. 1:1\n"
     "The 'N' definition is not executable. 1:68\n"
     "The 'E' definition is not executable. 1:126\n"
     "The 'U' definition is not executable. 1:160\n"
     "The 'U' definition is not executable. 1:180\n"
     "Unknown type 'Intt'. Did you mean 'Int'? 1:14\n"
     "There can be only one input field named 'c'. 1:31 1:37\n"
     "String cannot represent a non string value: 3 1:63\n"
     "Unknown type 'Entyty'. Did you mean 'Entity'? 1:91\n"
     "Directive '@tag' may not be used on interface. 1:98\n"
     "Argument '@tag(name:)' of type 'String!' is required, but it was not "
     "provided. 1:98\n"
     "Directive '@once' may not be used on argument definition. 1:114\n"
     "The directive '@once' can only be used once at this location. 1:138 "
     "1:144\n"
     "Directive '@tag' may not be used on enum. 1:133\n"
     "Argument '@tag(name:)' of type 'String!' is required, but it was not "
     "provided. 1:133\n"
     "Directive '@once' may not be used on enum. 1:138\n"
     "Directive '@once' may not be used on enum. 1:144\n"
     "Unknown directive '@no'. 1:154\n"
     "Directive '@once' may not be used on union. 1:195"},
    /* KnownOperationTypes */
    {"mutation { a }",
     "The mutation operation is not supported by the schema. 1:1"},
    {"mutation M { a } query { nobody { id } }",
     "The mutation operation is not supported by the schema. 1:1\n"
     "This anonymous operation must be the only defined operation. 1:18"},
    /* SingleFieldSubscriptions */
    {"subscription { tick orderPlaced { id } }",
     "Anonymous Subscription must select only one top level field. 1:21"},
    {"subscription { ...A ...B } fragment A on Query { nobody { id } } "
     "fragment B on Subscription { t: tick }",
     "Fragment 'A' cannot be spread here as objects of type 'Subscription' "
     "can never be of type 'Query'. 1:16"},
    {"subscription { ... on Subscription { tick } ... on Order { id } }",
     "Fragment cannot be spread here as objects of type 'Subscription' can "
     "never be of type 'Order'. 1:45"},
    {"subscription S { __typename }",
     "Subscription 'S' must not select an introspection top level field. 1:18"},
    {"subscription { ...A } fragment A on Nope { a }",
     "Anonymous Subscription must select one top level field. 1:14\n"
     "Unknown type 'Nope'. Did you mean 'Note'? 1:37"},
    /* KnownTypeNames */
    {"query($a: Sring, $b: [Note!]!, $c: [Ordr]) { nobody { ... on Nobdy { "
     "id } } note(notes: $b) }",
     "Variable '$a' is never used. 1:7\n"
     "Variable '$c' is never used. 1:32\n"
     "Unknown type 'Sring'. Did you mean 'String', 'Thing', or 'Int'? 1:11\n"
     "Unknown type 'Ordr'. Did you mean 'Order'? 1:37\n"
     "Unknown type 'Nobdy'. Did you mean 'Nobody' or 'Note'? 1:62"},
    {"{ ...F } fragment F on Qwery { nobody { id } }",
     "Unknown type 'Qwery'. Did you mean 'Query' or 'Key'? 1:24"},
    {"query($a: Float) { numbers(f: $a) }",
     NULL},
    /* FragmentsOnCompositeTypes */
    {"{ ...F ... on State { a } thing { ... on Json { a } } } fragment F on "
     "Note { text }",
     "Fragment cannot condition on non composite type 'State'. 1:15\n"
     "Fragment cannot condition on non composite type 'Json'. 1:42\n"
     "Fragment 'F' cannot condition on non composite type 'Note'. 1:71"},
    /* VariablesAreInputTypes */
    {"query($a: Order, $b: [Thing!]!, $c: Note) { note(note: $c) numbers(i: "
     "$a, f: $b) }",
     "Variable '$a' cannot be non-input type 'Order'. 1:11\n"
     "Variable '$b' cannot be non-input type '[Thing!]!'. 1:22\n"
     "Variable '$a' of type 'Order' used in position expecting type 'Int'. "
     "1:7 1:71\n"
     "Variable '$b' of type '[Thing!]!' used in position expecting type "
     "'Float'. 1:18 1:78"},
    /* ScalarLeafs */
    {"{ entity(id: 1) thing order(key: {id: 1}) { state { a } items parts { "
     "x } } }",
     "Field 'entity' of type 'Entity' must have a selection of subfields. "
     "Did you mean 'entity { ... }'? 1:3\n"
     "Field 'thing' of type 'Thing' must have a selection of subfields. Did "
     "you mean 'thing { ... }'? 1:17\n"
     "Field 'state' must not have a selection since type 'State' has no "
     "subfields. 1:51\n"
     "Field 'items' of type '[Item!]!' must have a selection of subfields. "
     "Did you mean 'items { ... }'? 1:57\n"
     "Field 'parts' must not have a selection since type '[[Int]]' has no "
     "subfields. 1:69"},
    /* FieldsOnCorrectType */
    {"{ thing { id } entity(id: 1) { price state naem } priced { order } "
     "nobody { i } order(key: {id: 1}) { idd stat buyer { nam } } }",
     "Cannot query field 'id' on type 'Thing'. Did you mean to use an inline "
     "fragment on 'Entity', 'Person', 'Priced', or 'Order'? 1:11\n"
     "Cannot query field 'price' on type 'Entity'. Did you mean to use an "
     "inline fragment on 'Priced', 'Item', or 'Order'? 1:32\n"
     "Cannot query field 'state' on type 'Entity'. Did you mean to use an "
     "inline fragment on 'Item' or 'Order'? 1:38\n"
     "Cannot query field 'naem' on type 'Entity'. 1:44\n"
     "Cannot query field 'order' on type 'Priced'. Did you mean to use an "
     "inline fragment on 'Item'? 1:60\n"
     "Cannot query field 'i' on type 'Nobody'. Did you mean 'id'? 1:77\n"
     "Cannot query field 'idd' on type 'Order'. Did you mean 'id'? 1:103\n"
     "Cannot query field 'stat' on type 'Order'. Did you mean 'state'? "
     "1:107\n"
     "Cannot query field 'nam' on type 'Person'. Did you mean 'name'? 1:120"},
    {"{ thing { __typename orders } ... on Unknown { a { b } } __type(name: "
     "\"A\") { nam } order(key: {id: 1}) { __schema { types { name } } } }",
     "Cannot query field 'orders' on type 'Thing'. Did you mean to use an "
     "inline fragment on 'Person'? 1:22\n"
     "Unknown type 'Unknown'. 1:38\n"
     "Cannot query field 'nam' on type '__Type'. Did you mean 'name'? 1:78\n"
     "Cannot query field '__schema' on type 'Order'. 1:106"},
    /* PossibleFragmentSpreads */
    {"{ thing { ...I ... on Item { id } ... on Entity { id } } entity(id: 1) "
     "{ ... on Person { id } ... on Thing { __typename } ... on Priced { id "
     "} } nobody { ... on Entity { id } } order(key: {id: 1}) { ... on Thing "
     "{ __typename } ... on Item { id } } } fragment I on Item { id }",
     "Fragment 'I' cannot be spread here as objects of type 'Thing' can "
     "never be of type 'Item'. 1:11\n"
     "Fragment cannot be spread here as objects of type 'Thing' can never be "
     "of type 'Item'. 1:16\n"
     "Fragment cannot be spread here as objects of type 'Entity' can never "
     "be of type 'Person'. 1:74\n"
     "Fragment cannot be spread here as objects of type 'Nobody' can never "
     "be of type 'Entity'. 1:155\n"
     "Fragment cannot be spread here as objects of type 'Order' can never be "
     "of type 'Item'. 1:228"},
    /* KnownDirectives and UniqueDirectivesPerLocation */
    {"query($a: Int @tag(name: \"a\") @once) @tag(name: \"a\") @tag(name: "
     "\"b\") @once { nobody @once @tag(name: \"c\") @once @skip(if: true) { "
     "id @deprecated @include(if: true) @include(if: false) } numbers(i: $a) "
     "...F @once } fragment F on Query @tag(name: \"d\") { nobody @nope { id "
     "} }",
     "Directive '@once' may not be used on variable definition. 1:31\n"
     "Directive '@once' may not be used on query. 1:70\n"
     "The directive '@once' can only be used once at this location. 1:85 "
     "1:107\n"
     "The directive '@include' can only be used once at this location. 1:146 "
     "1:165\n"
     "Directive '@deprecated' may not be used on field. 1:134\n"
     "Directive '@tag' may not be used on fragment definition. 1:235\n"
     "Unknown directive '@nope'. 1:260"},
    /* KnownArgumentNames */
    {"{ nobody(id: 1) { id(x: 2) @once(levl: 1) @tag(name: \"a\", nmae: "
     "\"b\") @nope(if: 1) } entity(id: 1, idd: 2) { label(lng: \"en\") } "
     "__type(nam: \"a\", name: \"b\") { name } }",
     "Unknown argument 'id' on field 'Query.nobody'. 1:10\n"
     "Unknown argument 'x' on field 'Nobody.id'. 1:22\n"
     "Unknown argument 'levl' on directive '@once'. Did you mean 'level'? "
     "1:34\n"
     "Unknown argument 'nmae' on directive '@tag'. Did you mean 'name' or "
     "'note'? 1:59\n"
     "Unknown directive '@nope'. 1:70\n"
     "Unknown argument 'idd' on field 'Query.entity'. Did you mean 'id'? "
     "1:99\n"
     "Unknown argument 'lng' on field 'Entity.label'. Did you mean 'lang'? "
     "1:115\n"
     "Unknown argument 'nam' on field 'Query.__type'. Did you mean 'name'? "
     "1:135"},
    /* UniqueArgumentNames */
    {"{ entity(id: 1, id: 2) { id @once(level: 1, level: 2) } }",
     "There can be only one argument named 'id'. 1:10 1:17\n"
     "There can be only one argument named 'level'. 1:35 1:45"},
    /* ValuesOfCorrectType */
    {"{ numbers(i: 1.5, f: \"a\", s: 1, b: 0, id: 1.5, state: OPENED, grid: "
     "[[1, \"a\"], 2, null]) }",
     "Int cannot represent non-integer value: 1.5 1:14\n"
     "Float cannot represent non numeric value: \"a\" 1:22\n"
     "String cannot represent a non string value: 1 1:30\n"
     "Boolean cannot represent a non boolean value: 0 1:36\n"
     "ID cannot represent a non-string and non-integer value: 1.5 1:43\n"
     "Value 'OPENED' does not exist in 'State' enum. Did you mean the enum "
     "value 'OPEN'? 1:55\n"
     "Int cannot represent non-integer value: \"a\" 1:74"},
    {"{ numbers(i: 2147483648, f: 1, s: \"\"\"b\"\"\", b: true, id: 7, "
     "state: \"OPEN\", grid: [null, [null]]) }",
     "Int cannot represent non 32-bit signed integer value: 2147483648 1:14\n"
     "Enum 'State' cannot represent non-enum value: \"OPEN\". Did you mean "
     "the enum value 'OPEN'? 1:67\n"
     "Expected value of non-null type 'Int!' not to be None. 1:89"},
    {"{ note(note: {state: SHIPED, tag: [], tags: \"a\", more: {text: null, "
     "more: 1}}, notes: {text: \"a\"}, json: {a: [1, {b: RED}]}, ids: null) }",
     "Expected value of type 'Note' to include required field 'text', found: "
     "{ state: SHIPED, tag: [], tags: \"a\", more: { text: null, more: 1 } "
     "}. 1:14\n"
     "Value 'SHIPED' does not exist in 'State' enum. Did you mean the enum "
     "value 'SHIPPED'? 1:22\n"
     "Expected value of non-null type 'String!' not to be None. 1:63\n"
     "Expected value of type 'Note' to be an object, found: 1. 1:75\n"
     "Expected value of type 'Note' not to include unknown field 'tag'. Did "
     "you mean 'tags'? Found: { state: SHIPED, tag: [], tags: \"a\", more: { "
     "text: null, more: 1 } }. 1:30\n"
     "Expected value of non-null type '[ID!]!' not to be None. 1:131"},
    {"query($a: Note = {text: 1}, $b: [Int!] = [1, null, A], $c: Int! = "
     "null, $d: State) { note(note: $a) numbers(i: $c, grid: [$b], state: "
     "$d) }",
     "String cannot represent a non string value: 1 1:25\n"
     "Expected value of non-null type 'Int!' not to be None. 1:46\n"
     "Int cannot represent non-integer value: A 1:52\n"
     "Expected value of non-null type 'Int!' not to be None. 1:67"},
    {"query($x: String) { note(note: {more: {tags: [$x]}}, notes: [{text: "
     "$x, nope: $x}, [$x]]) numbers(state: [$x]) }",
     "Expected value of type 'Note' to include required field 'text', found: "
     "{ more: { tags: [$x] } }. 1:32\n"
     "Expected value of type 'Note' to include required field 'text', found: "
     "{ tags: [$x] }. 1:39\n"
     "Expected value of type 'Note' not to include unknown field 'nope'. Did "
     "you mean 'more'? Found: { text: $x, nope: $x }. 1:73\n"
     "Expected value of type 'Note' to be an object, found: [$x]. 1:84\n"
     "Enum 'State' cannot represent non-enum value: [null].\n"
     "Variable '$x' of type 'String' used in position expecting type "
     "'String!'. 1:7 1:47\n"
     "Variable '$x' of type 'String' used in position expecting type "
     "'String!'. 1:7 1:69"},
    {"{ order(key: {}) { id } a: order(key: {id: 1, name: \"b\"}) { id } b: "
     "order(key: {name: null}) { id } c: order(key: {note: {text: 1}}) { id "
     "} d: order(key: {id: 1, nam: 2}) { id } }",
     "Within OneOf Input Object type 'Key', exactly one field must be "
     "specified, and the value for that field must be non-null. 1:14\n"
     "Within OneOf Input Object type 'Key', exactly one field must be "
     "specified, and the value for that field must be non-null. 1:39\n"
     "Within OneOf Input Object type 'Key', exactly one field must be "
     "specified, and the value for that field must be non-null. 1:80\n"
     "String cannot represent a non string value: 1 1:129\n"
     "Expected value of type 'Key' not to include unknown field 'nam'. Did "
     "you mean 'name'? Found: { id: 1, nam: 2 }. 1:163"},
    {"{ nobody { id @nope(level: \"a\") @once(level: \"b\") @tag(name: 1, "
     "note: {}) label } entity(id: 1) { label(lang: 2) @nope(lang: 3) } }",
     "Unknown directive '@nope'. 1:15\n"
     "Int cannot represent non-integer value: \"b\" 1:46\n"
     "String cannot represent a non string value: 1 1:62\n"
     "Expected value of type 'Note' to include required field 'text', found: "
     "{  }. 1:71\n"
     "Cannot query field 'label' on type 'Nobody'. 1:75\n"
     "String cannot represent a non string value: 2 1:111\n"
     "Unknown directive '@nope'. 1:114\n"
     "String cannot represent a non string value: 3 1:126"},
    /* ProvidedRequiredArguments */
    {"{ order { id } entity { id @tag @skip } __type { name } thing { ... on "
     "Person { orders { id } } } }",
     "Argument 'Query.order(key:)' of type 'Key!' is required, but it was "
     "not provided. 1:3\n"
     "Argument '@tag(name:)' of type 'String!' is required, but it was not "
     "provided. 1:28\n"
     "Argument '@skip(if:)' of type 'Boolean!' is required, but it was not "
     "provided. 1:33\n"
     "Argument 'Query.entity(id:)' of type 'ID!' is required, but it was not "
     "provided. 1:16\n"
     "Argument '<meta>.__type(name:)' of type 'String!' is required, but it "
     "was not provided. 1:41\n"
     "Argument 'Person.orders(first:)' of type 'Int!' is required, but it "
     "was not provided. 1:81"},
    /* VariablesInAllowedPosition */
    {"query($a: Int, $b: Int!, $c: [Int!], $d: [[Int]]!, $e: ID = 1) { "
     "numbers(i: $a, f: $a, grid: $c) n: numbers(i: $b, grid: [$c]) g: "
     "numbers(grid: $d) entity(id: $e) { label(lang: $b) } ...F } fragment F "
     "on Query { e: entity(id: $a) { id @skip(if: $c) @once(level: $b) } }",
     "Variable '$a' of type 'Int' used in position expecting type 'Float'. "
     "1:7 1:84\n"
     "Variable '$c' of type '[Int!]' used in position expecting type "
     "'[[Int!]]'. 1:26 1:94\n"
     "Variable '$d' of type '[[Int]]!' used in position expecting type "
     "'[[Int!]]'. 1:38 1:145\n"
     "Variable '$b' of type 'Int!' used in position expecting type 'String'. "
     "1:16 1:178\n"
     "Variable '$a' of type 'Int' used in position expecting type 'ID!'. 1:7 "
     "1:227\n"
     "Variable '$c' of type '[Int!]' used in position expecting type "
     "'Boolean!'. 1:26 1:246"},
    {"query($a: ID, $b: ID!, $n: Note) { order(key: {id: $a}) { id } o: "
     "order(key: {id: $b}) { id } p: order(key: {note: $n}) { id } "
     "note(note: {text: \"a\", more: $n, tags: $b, extra: $a}, notes: [$n]) }",
     "Variable '$b' of type 'ID!' used in position expecting type "
     "'[String!]'. 1:15 1:167\n"
     "Variable '$a' of type 'ID' used in position expecting type 'Json'. 1:7 "
     "1:178\n"
     "Variable '$n' of type 'Note' used in position expecting type 'Note!'. "
     "1:24 1:191"},
    {"query($a: ID, $n: Note = {text: \"a\"}, $b: String!) { find(key: {id: "
     "$a}, keys: [{note: $n}, {name: $b}]) }",
     "Variable '$a' is of type 'ID' but must be non-nullable to be used for "
     "OneOf Input Object 'Key'. 1:7 1:69"},
    {"query($k: Key, $s: State!, $i: [ID!]) { order(key: $k) { id } thing { "
     "... on Person { orders(first: 1, state: $s, after: $i) { id } } } "
     "note(ids: $i) }",
     "Variable '$k' of type 'Key' used in position expecting type 'Key!'. "
     "1:7 1:52\n"
     "Variable '$i' of type '[ID!]' used in position expecting type 'ID'. "
     "1:28 1:122"},
    /* OverlappingFieldsCanBeMerged */
    {"{ thing { ... on Order { x: id s: state } ... on Person { x: name s: "
     "id } } }",
     "Fields 'x' conflict because they return conflicting types 'ID!' and "
     "'String'. Use different aliases on the fields to fetch both if this "
     "was intentional. 1:26 1:59\n"
     "Fields 's' conflict because they return conflicting types 'State' and "
     "'ID!'. Use different aliases on the fields to fetch both if this was "
     "intentional. 1:32 1:67"},
    {"{ priced { ... on Order { state items { id } buyer { id } x: parts } "
     "... on Item { state items { id: price } buyer: order { id: price } x: "
     "items { id } } } }",
     "Fields 'state' conflict because they return conflicting types 'State' "
     "and 'String!'. Use different aliases on the fields to fetch both if "
     "this was intentional. 1:27 1:84\n"
     "Fields 'items' conflict because they return conflicting types "
     "'[Item!]!' and '[Item]'. Use different aliases on the fields to fetch "
     "both if this was intentional. 1:33 1:90\n"
     "Fields 'buyer' conflict because subfields 'id' conflict because they "
     "return conflicting types 'ID!' and 'Float'. Use different aliases on "
     "the fields to fetch both if this was intentional. 1:46 1:54 1:110 "
     "1:125\n"
     "Fields 'x' conflict because they return conflicting types '[[Int]]' "
     "and '[Item]'. Use different aliases on the fields to fetch both if "
     "this was intentional. 1:59 1:137"},
    {"{ priced { ... on Order { state } ... on Entity { id: label ... on "
     "Item { id } } ...P } } fragment P on Item { state id }",
     "Fields 'id' conflict because 'label' and 'id' are different fields. "
     "Use different aliases on the fields to fetch both if this was "
     "intentional. 1:51 1:75\n"
     "Fields 'state' conflict because they return conflicting types 'State' "
     "and 'String!'. Use different aliases on the fields to fetch both if "
     "this was intentional. 1:27 1:112\n"
     "Fields 'id' conflict because 'label' and 'id' are different fields. "
     "Use different aliases on the fields to fetch both if this was "
     "intentional. 1:51 1:118"},
    {"{ thing { ... on Order { id: state a: buyer { x: id } } ... on Person "
     "{ id a: found { ... on Person { x: orders(first: 1) { id } } } } } }",
     "Fields 'id' conflict because they return conflicting types 'State' and "
     "'ID!'. Use different aliases on the fields to fetch both if this was "
     "intentional. 1:26 1:73\n"
     "Fields 'a' conflict because subfields 'x' conflict because they return "
     "conflicting types 'ID!' and '[Order!]'. Use different aliases on the "
     "fields to fetch both if this was intentional. 1:36 1:47 1:76 1:103"},
    {"{ thing { ...A ...B } } fragment A on Order { label(lang: \"a\") k: "
     "items { x: id } } fragment B on Order { label k: items { x: price ...C "
     "} } fragment C on Item { x: state }",
     "Fields 'label' conflict because they have differing arguments. Use "
     "different aliases on the fields to fetch both if this was intentional. "
     "1:47 1:107\n"
     "Fields 'k' conflict because subfields 'x' conflict because 'id' and "
     "'price' are different fields and subfields 'x' conflict because 'id' "
     "and 'state' are different fields. Use different aliases on the fields "
     "to fetch both if this was intentional. 1:64 1:75 1:75 1:113 1:124 "
     "1:163\n"
     "Fields 'x' conflict because 'price' and 'state' are different fields. "
     "Use different aliases on the fields to fetch both if this was "
     "intentional. 1:124 1:163"},
    {"{ a: thing { __typename } a: thing { __typename: __typename } nobody { "
     "id } nobody { id: id } note(note: {text: \"a\", tags: [\"b\"]}) "
     "note(note: {tags: [\"b\"], text: \"a\"}) }",
     NULL},
    {"{ entity(id: 1, id: 2) { id } entity(id: 1, id: 2) { id } }",
     "Fields 'entity' conflict because they have differing arguments. Use "
     "different aliases on the fields to fetch both if this was intentional. "
     "1:3 1:31\n"
     "There can be only one argument named 'id'. 1:10 1:17\n"
     "There can be only one argument named 'id'. 1:38 1:45"},
    /* UniqueInputFieldNames */
    {"{ note(note: {text: \"a\", text: \"b\", more: {text: \"c\", text: 1}}, "
     "json: {a: 1, a: 2}) }",
     "String cannot represent a non string value: 1 1:61\n"
     "There can be only one input field named 'text'. 1:15 1:26\n"
     "There can be only one input field named 'text'. 1:44 1:55\n"
     "There can be only one input field named 'a'. 1:73 1:79"},
    /* MaxIntrospectionDepth */
    {"{ __schema { types { fields { type { fields { type { fields { name } } "
     "} } } } } }",
     "Maximum introspection depth exceeded 1:3"},
    {"{ __type(name: \"A\") { ...T } b: __type(name: \"B\") { fields { type "
     "{ ...T } } } } fragment T on __Type { fields { type { ofType { fields "
     "{ name } } } } }",
     "Maximum introspection depth exceeded 1:30"},
    /* all is well */
    {"subscription Placed($p: ID, $n: String!) { orderPlaced(person: $p) { "
     "__typename id label(lang: $n) items { ... on Priced { price } ...I "
     "@once } buyer { found { ... on Person { name } } } } } fragment I on "
     "Entity { id label(lang: $n) }",
     NULL},
    {"query Q($k: Key!, $n: [Note!], $j: Json, $g: [[Int!]!]) @tag(name: "
     "\"a\") { order(key: $k) { parts } note(notes: $n, json: {a: [$j]}, "
     "ids: \"one\") numbers(grid: $g, f: 3) __schema { queryType { name } } }",
     NULL},
};
/* clang-format on */

/* That of |sdl|, built once, as only validation is of interest here. */
static fq_schema *schema;

static int
setup(void **state)
{
    (void)state;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = fq_schema_build(fq_str_of(sdl), &schema, &errors);
    fq_gql_errors_fini(&errors);
    return status == FQ_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    fq_schema_unref(schema);
    return 0;
}

/* `message line:column line:column`, a line per error. */
static void
write_errors(const fq_gql_errors *errors, fq_buf *buf)
{
    for (const fq_gql_error *it = errors->head; it != NULL; it = it->next) {
        if (it != errors->head)
            fq_buf_append_char(buf, '\n');
        fq_buf_append_str(buf, it->message);
        for (size_t i = 0; i < it->n_locations; i++)
            fq_buf_append_format(buf, " %u:%u",
                                 (unsigned)it->locations[i].line,
                                 (unsigned)it->locations[i].column);
    }
}

/* Documents beyond the memory they would get; what else bounds them is
 * tested. */
static const fq_document_limits unbounded = {.max_memory = SIZE_MAX};

static fq_status
validate(fq_str text, fq_rule_set rules, fq_gql_errors *errors)
{
    fq_document document;
    fq_status status = fq_parse(text, &unbounded, &document, errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, errors);
    if (status == FQ_OK)
        status = fq_validate(&document, schema, rules, errors);
    fq_document_fini(&document);
    return status;
}

/* |text| earns |expected| (NULL: nothing) by |rules|. */
static fq_status
assert_answer(fq_str text, fq_rule_set rules, const char *expected)
{
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = validate(text, rules, &errors);
    if (status == FQ_OK && expected != NULL)
        fail_msg("valid: %.*s", FQ_STR_FMT(text));
    if (status == FQ_ERR_INVALID) {
        write_errors(&errors, &buf);
        status = fq_buf_status(&buf);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&buf),
                               expected != NULL ? expected : "");
    }
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

static fq_status
body_case(void *arg)
{
    const fq_typed_case *it = arg;
    return assert_answer(fq_str_of(it->document), FQ_RULES_ALL, it->errors);
}

static void
test_validator_typed_answers_as_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0;
         i < sizeof(reference_cases) / sizeof(reference_cases[0]); i++)
        fq_test_body(body_case, (void *)&reference_cases[i]);
}

static fq_status
body_one_rule(void *arg)
{
    (void)arg;
    fq_rule_set rules = 0;
    assert_false(fq_rule_set_add(&rules, FQ_STR_LIT("ScalarLeaf")));
    assert_false(fq_rule_set_add(&rules, FQ_STR_LIT("")));
    assert_int_equal(rules, 0);
    fq_str text = FQ_STR_LIT("query($a: Int) { thing nope }");
    TRY(assert_answer(text, rules, NULL));
    assert_true(fq_rule_set_add(&rules, FQ_STR_LIT("FieldsOnCorrectType")));
    TRY(assert_answer(text, rules,
                      "Cannot query field 'nope' on type 'Query'. "
                      "Did you mean 'note'? 1:24"));
    assert_true(fq_rule_set_add(&rules, FQ_STR_LIT("NoUnusedVariables")));
    return assert_answer(text, rules,
                         "Variable '$a' is never used. 1:7\n"
                         "Cannot query field 'nope' on type 'Query'. "
                         "Did you mean 'note'? 1:24");
}

static void
test_validator_typed_runs_chosen_rules(void **state)
{
    (void)state;
    fq_test_body(body_one_rule, NULL);
}

/* What rules and those after them find in the nodes. */
static void
assert_entered(const fq_document *document)
{
    const fq_ast_operation *operation = (const fq_ast_operation *)
                                            document->definitions.first;
    const fq_type *query = fq_schema_type(schema, FQ_STR_LIT("Query"));
    assert_ptr_equal(operation->selection_set->parent_type, query);
    const fq_ast_field *field = (const fq_ast_field *)
                                    operation->selection_set->selections.first;
    assert_ptr_equal(field->def, fq_type_field(query, FQ_STR_LIT("note")));
    const fq_ast_argument *argument = (const fq_ast_argument *)
                                          field->arguments.first;
    assert_ptr_equal(argument->def,
                     fq_field_arg(field->def, FQ_STR_LIT("note")));
    const fq_type *note = fq_schema_type(schema, FQ_STR_LIT("Note"));
    const fq_ast_argument *text = (const fq_ast_argument *)
                                      argument->value->items.first;
    assert_ptr_equal(text->def, fq_type_input_field(note, FQ_STR_LIT("text")));
    assert_ptr_equal(text->value->position->type, text->def->type);
    assert_false(text->value->position->has_default);
    assert_null(text->value->position->one_of);
    const fq_ast_directive *skip = (const fq_ast_directive *)
                                       field->directives.first;
    assert_ptr_equal(skip->def,
                     fq_schema_directive(schema, FQ_STR_LIT("skip")));
}

static fq_status
body_entered(void *arg)
{
    (void)arg;
    fq_document document;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = fq_parse(
        FQ_STR_LIT("query($t: String!) {"
                   " note(note: {text: $t}) @skip(if: true) }"),
        NULL, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    if (status == FQ_OK)
        status = fq_validate(&document, schema, FQ_RULES_ALL, &errors);
    if (status == FQ_OK)
        assert_entered(&document);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_validator_typed_enters_definitions(void **state)
{
    (void)state;
    fq_test_body(body_entered, NULL);
}

typedef struct fq_hostile_case {
    const char *head, *item;
    int n;
    const char *tail;
    const char *first_error; /* NULL: none, or any */
} fq_hostile_case;

static const fq_hostile_case hostile_cases[] = {
    {"{", "a%d:__typename ", 3000, "}", NULL},
    {"{", "a:thing{...on Order{x:id}} ", 2300, "}", "Validation aborted."},
    {"{thing{", "...on Order{x:id}...on Person{x:name}", 1500, "}}",
     "Validation aborted."},
    {"{", "zz%d ", 8000, "}", "Cannot query field 'zz0' on type 'Query'."},
    {"{nobody{", "...on Entity{a%d:id}", 3000, "}}",
     "Fragment cannot be spread here as objects of type 'Nobody' can never be "
     "of type 'Entity'."},
    {"query(", "$a%d:Ordr ", 4500, "){tick}", "Variable '$a0' is never used."},
    {"query(", "$a%d:[[[[Int!]!]]!]! ", 2000, "){tick}",
     "Variable '$a0' is never used."},
    {"{note(notes:[", "{} ", 20000, "])}",
     "Expected value of type 'Note' to include required field 'text', "
     "found: {  }."},
    {"{note(note:{text:\"a\" ", "x%d:1 ", 6500, "})}", NULL},
    {"{numbers(i:[", "\"x\" ", 16000, "])}", NULL},
    {"{", "numbers(state:OPE) ", 3000, "}", "Validation aborted."},
    {"query($v:ID!){", "entity(id:$v){id}", 3500, "}", "Validation aborted."},
    {"{", "a%d:__schema{...F}", 3000,
     "}fragment F on __Schema{types{fields{type{fields{name}}}}}", NULL},
    {"{nobody", "@once(level:1)", 4500, "{id}}",
     "The directive '@once' can only be used once at this location."},
    {"query", "@tag(name:\"x\")", 4500, "{nobody{id}}", NULL},
    {"{...F0}fragment F5000 on Query{nobody{id}}",
     "fragment F%d on Query{nobody{id}...F1 ...F2}", 1200, "",
     "Cannot spread fragment 'F1' within itself."},
    {"{nobody{id}}", "type T%d @once @once{a:B}", 2300, "",
     "The 'T0' definition is not executable."},
};

/* Sanitizers slow everything down, and the machine may be busy: the figures
 * are checked by the bench, here only that nothing explodes. */
#define HOSTILE_SECONDS_MAX 5

static fq_status
body_hostile(void *arg)
{
    const fq_hostile_case *it = arg;
    fq_buf text;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    /* A document of this size asks for memory too often to refuse each
     * request in turn: a small one takes the same paths. */
    bool is_small = fq_test_is_failing_alloc();
    fq_status status = repeat(&text, it->head, it->item,
                              is_small ? it->n / 200 + 1 : it->n, it->tail);
    clock_t start = clock();
    if (status == FQ_OK) {
        assert_true(text.len < 68000);
        status = validate(fq_buf_str(&text), FQ_RULES_ALL, &errors);
    }
    assert_true(clock() - start < HOSTILE_SECONDS_MAX * CLOCKS_PER_SEC);
    if (status == FQ_ERR_INVALID) {
        if (!is_small && it->first_error != NULL)
            fq_test_assert_str(errors.head->message, it->first_error);
        assert_true(errors.arena.n_bytes <= 1024 * 1024);
        status = FQ_OK;
    } else if (status == FQ_OK && !is_small) {
        assert_null(it->first_error);
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_validator_typed_survives_hostile_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile_cases) / sizeof(hostile_cases[0]);
         i++)
        fq_test_body(body_hostile, (void *)&hostile_cases[i]);
}

/* Types of variables that the schema does not use, no two alike. */
static fq_status
body_wrappers(void *arg)
{
    (void)arg;
    bool is_small = fq_test_is_failing_alloc();
    int n_variables = is_small ? 2 : 160, n_lists = is_small ? 3 : 150;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf text = FQ_BUF_INIT;
    fq_buf_append_str(&text, FQ_STR_LIT("query("));
    for (int i = 0; i < n_variables; i++) {
        fq_buf_append_format(&text, "$v%d:", i);
        for (int j = 0; j < n_lists; j++)
            fq_buf_append_char(&text, '[');
        fq_buf_append_str(&text, FQ_STR_LIT("Int"));
        for (int j = 0; j < n_lists; j++)
            fq_buf_append_str(&text, (i >> j % 8 & 1) != 0 ? FQ_STR_LIT("]!")
                                                           : FQ_STR_LIT("]"));
        fq_buf_append_char(&text, ' ');
    }
    fq_buf_append_str(&text, FQ_STR_LIT("){nobody{id}}"));
    fq_document document = {.node = {.kind = FQ_AST_DOCUMENT}};
    fq_status status = fq_buf_status(&text);
    if (status == FQ_OK)
        status = fq_parse(fq_buf_str(&text), &unbounded, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    size_t n_bytes = document.arena.n_bytes;
    if (status == FQ_OK)
        status = fq_validate(&document, schema, FQ_RULES_ALL, &errors);
    if (status == FQ_ERR_INVALID) {
        if (!is_small)
            fq_test_assert_str(errors.head->message, "Validation aborted.");
        assert_true(document.arena.n_bytes - n_bytes <= 1024 * 1024);
        status = FQ_OK;
    }
    fq_document_fini(&document);
    fq_buf_fini(&text);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_validator_typed_makes_few_types(void **state)
{
    (void)state;
    fq_test_body(body_wrappers, NULL);
}

/* `{note(note:{more:{more:...}})}` as deep as the parser goes. */
static fq_status
body_deep(void *arg)
{
    (void)arg;
    int depth = fq_test_is_failing_alloc() ? 4 : 190;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf text = FQ_BUF_INIT;
    fq_buf_append_str(&text, FQ_STR_LIT("{note(note:"));
    for (int i = 0; i < depth; i++)
        fq_buf_append_str(&text, FQ_STR_LIT("{text:\"a\" more:"));
    fq_buf_append_str(&text, FQ_STR_LIT("1"));
    for (int i = 0; i < depth; i++)
        fq_buf_append_char(&text, '}');
    fq_buf_append_str(&text, FQ_STR_LIT(")}"));
    fq_status status = fq_buf_status(&text);
    if (status == FQ_OK)
        status = validate(fq_buf_str(&text), FQ_RULES_ALL, &errors);
    if (status == FQ_ERR_INVALID) {
        fq_test_assert_str(
            errors.head->message,
            "Expected value of type 'Note' to be an object, found: 1.");
        status = FQ_OK;
    }
    fq_buf_fini(&text);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_validator_typed_goes_deep(void **state)
{
    (void)state;
    fq_test_body(body_deep, NULL);
}

static fq_status
body_error_limit(void *arg)
{
    (void)arg;
    fq_buf text;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = repeat(&text, "{", "f%d ", 150, "}");
    if (status == FQ_OK)
        status = validate(fq_buf_str(&text), FQ_RULES_ALL, &errors);
    if (status == FQ_ERR_INVALID) {
        assert_int_equal(errors.n_items, FQ_GQL_ERRORS_MAX);
        const fq_gql_error *last = errors.head;
        while (last->next != NULL)
            last = last->next;
        fq_test_assert_str(last->message,
                           "Too many validation errors, error limit reached. "
                           "Validation aborted.");
        status = FQ_OK;
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_validator_typed_stops_after_100_errors(void **state)
{
    (void)state;
    fq_test_body(body_error_limit, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_validator_typed_answers_as_the_reference),
        FQ_TEST(test_validator_typed_runs_chosen_rules),
        FQ_TEST(test_validator_typed_enters_definitions),
        FQ_TEST(test_validator_typed_survives_hostile_documents),
        FQ_TEST(test_validator_typed_makes_few_types),
        FQ_TEST(test_validator_typed_goes_deep),
        FQ_TEST(test_validator_typed_stops_after_100_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
