// SPDX-License-Identifier: MIT
// The graphql-js side of bench_graphql.py. Each line of standard input is a
// job, {"work", "schema", "document", "data", "seconds"}; each line of output
// is {"n", "ns"}: how often it was done and how long that took in all.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../tests/clients/package.json", import.meta.url));
const { buildSchema, executeSync, parse, validate } = require("graphql");

const schemas = new Map();
const schemaOf = (sdl) => {
  if (!schemas.has(sdl)) schemas.set(sdl, buildSchema(sdl));
  return schemas.get(sdl);
};

const works = {
  validate(job) {
    const schema = schemaOf(job.schema);
    return () => {
      if (validate(schema, parse(job.document)).length !== 0) throw new Error("not valid");
    };
  },
  execute(job) {
    const schema = schemaOf(job.schema);
    const document = parse(job.document);
    const name = schema.getSubscriptionType();
    const root = Object.keys(name.getFields())[0];
    return () => {
      const rootValue = { [root]: JSON.parse(job.data) };
      const result = JSON.stringify(executeSync({ schema, document, rootValue }));
      if (!result.startsWith('{"data"')) throw new Error(result);
    };
  },
};

const measure = (once, seconds) => {
  const end = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
  const start = process.hrtime.bigint();
  let n = 0;
  let now = start;
  while (now < end) {
    for (let i = 0; i < 10; i++) once();
    n += 10;
    now = process.hrtime.bigint();
  }
  return { n, ns: Number(now - start) };
};

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  process.stdout.write(JSON.stringify(measure(works[job.work](job), job.seconds)) + "\n");
}
