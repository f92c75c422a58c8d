/* SPDX-License-Identifier: MIT */
/* The schema that documents, variables and data of the fuzz targets are for:
 * small, with every kind of type, argument and directive in it. Built once. */
#ifndef FQ_TESTS_FUZZ_SHOP_H
#define FQ_TESTS_FUZZ_SHOP_H

#include "fuzz.h"

#include "graphql/schema.h"

static const char shop_sdl[]
    = "type Query { order(id: ID!): Order node(id: ID!): Node count: Int } "
      "type Mutation { close(id: ID!): Boolean } "
      "type Subscription { "
      "  order(filter: Filter = {total: 1.5}, limit: Int = 10, ids: [ID!]): "
      "    Order! "
      "  orders(by: By, at: DateTime): [[Order!]] "
      "  node: Node any: Any count(i: Int!, f: Float, b: Boolean): Int } "
      "interface Node { id: ID! next: Node } "
      "interface Priced implements Node "
      "  { id: ID! next: Node total(in: Currency! = EUR): Float } "
      "type Order implements Node & Priced { id: ID! next: Node "
      "  total(in: Currency! = EUR, extra: Int): Float! currency: Currency "
      "  items: [Item!]! owner: Person note(max: Int): String open: Boolean } "
      "type Item implements Node "
      "  { id: ID! next: Item! sku: String! quantity: Int at: DateTime } "
      "type Person { name: String! orders: [Order] any: Any } "
      "union Any = Order | Item | Person "
      "enum Currency { EUR USD GBP } "
      "input Filter { total: Float by: By deeper: Filter tags: [String!] "
      "  currency: Currency! = USD limits: [[Int!]] open: Boolean! = true } "
      "input By @oneOf { id: ID name: String filter: Filter } "
      "scalar DateTime "
      "directive @log(level: Int! = 1, by: By) repeatable on FIELD | QUERY "
      "  | SUBSCRIPTION | FRAGMENT_SPREAD | VARIABLE_DEFINITION "
      "directive @live on SUBSCRIPTION";

static inline fq_schema *
shop_schema(void)
{
    static fq_schema *schema;
    if (schema == NULL) {
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        FUZZ_REQUIRE(fq_schema_build(fq_str_of(shop_sdl), &schema, &errors)
                     == FQ_OK);
        fq_gql_errors_fini(&errors);
    }
    return schema;
}

static void
fuzz_start(void)
{
    shop_schema();
}

#endif
