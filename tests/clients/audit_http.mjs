// SPDX-License-Identifier: MIT
// The audit of GraphQL over HTTP that the specification's reference implementation brings, of the
// server at the URL in the first argument: a line of JSON for each thing it looks at.
//
//     node audit_http.mjs http://127.0.0.1:8000/
import { auditServer } from 'graphql-http';

for (const { id, name, status, reason } of await auditServer({ url: process.argv[2] }))
  process.stdout.write(`${JSON.stringify({ id, name, status, reason })}\n`);
