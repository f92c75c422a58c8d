// SPDX-License-Identifier: MIT
// Asks graphql-ws itself about the table of messages that the C tests use
// (tests/data/graphql_transport_ws_messages.inc), so that the table cannot
// drift from the reference. Prints each difference and exits 1, else a count.
//
//     node check_messages.mjs
import { readFileSync } from 'node:fs';

import { parseMessage } from 'graphql-ws';

const TABLE = new URL('../data/graphql_transport_ws_messages.inc', import.meta.url);
const SERVER_TYPES = ['connection_ack', 'next', 'error'];

// A C string literal with ' for ": the table uses the escapes \\ \t \n only.
function unescape(literal) {
  const escapes = { '\\\\': '\\', '\\t': '\t', '\\n': '\n' };
  return literal.replace(/\\./g, (escape) => escapes[escape]).replaceAll("'", '"');
}

function verdictOf(text) {
  try {
    return SERVER_TYPES.includes(parseMessage(text).type) ? 'server' : 'ok';
  } catch {
    return 'invalid';
  }
}

let count = 0;
let different = 0;
for (const line of readFileSync(TABLE, 'utf8').split('\n')) {
  if (!line.startsWith('MESSAGE(')) continue;
  const [, verdict, literal] = /^MESSAGE\((\w+), "(.*)"\)$/.exec(line);
  const text = unescape(literal);
  count++;
  if (verdictOf(text) === verdict) continue;
  different++;
  console.error(`${text}: the table says ${verdict}, graphql-ws ${verdictOf(text)}`);
}
console.log(`${count} messages, ${different} different`);
process.exitCode = count === 0 || different > 0 ? 1 : 0;
