// SPDX-License-Identifier: MIT
// The client of graphql-ws with the recipe of docs/guide/resume.md, which the test has
// written to the file named by the option `recipe`. It tells {"type": "lost"}.
import { pathToFileURL } from 'node:url';

import { makeClient } from './graphql_ws.mjs';

const { recipe } = JSON.parse(process.argv[2]);
const { subscribeResuming } = await import(pathToFileURL(recipe));

export function connect(options, events) {
  const client = makeClient(options, events);
  return {
    subscribe: (request, sink) =>
      subscribeResuming(client, request, { ...sink, lost: () => events.tell('lost') }),
    terminate: () => client.terminate(),
    close: () => client.dispose(),
  };
}
