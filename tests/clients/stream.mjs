// SPDX-License-Identifier: MIT
// Drives the real clients of subscriptions over http for tests in other languages: options as
// JSON in the first argument, commands as lines on stdin, events as lines of JSON on stdout.
//
//     node stream.mjs '{"client": "sse", "url": "http://127.0.0.1:8000/", "query": "subscription { tick }"}'
//
// Options (client, url and query are required):
//   client             "sse": graphql-sse, "apollo": HttpLink of @apollo/client
//   single             true: graphql-sse with one connection for all
//   variables, headers
//   retryAttempts      of graphql-sse, 0; it waits 100 ms between them
//   count              end after so many results
//   timeout            seconds until it gives up with exit code 3, 30
//
// Commands:
//   dispose            end the operation
//
// Events:
//   {"type": "connected", "retry"}          graphql-sse alone
//   {"type": "next", "payload"}             a result
//   {"type": "complete"}
//   {"type": "error", "message", "status"?, "protocol"?}
//                                           status: of an http response;
//                                           protocol: errors of the transport itself
import { createInterface } from 'node:readline';

import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { CombinedGraphQLErrors, CombinedProtocolErrors } from '@apollo/client/errors';
import { createClient } from 'graphql-sse';

const options = JSON.parse(process.argv[2]);

function print(type, members = {}) {
  process.stdout.write(`${JSON.stringify({ type, ...members })}\n`);
}

function fail(error) {
  print('error', {
    message: error.message,
    status: error.response?.status ?? error.statusCode,
    protocol: CombinedProtocolErrors.is(error) ? error.errors.map((e) => e.message) : undefined,
  });
}

function subscribeSse(sink) {
  const client = createClient({
    url: options.url,
    headers: options.headers,
    singleConnection: options.single === true,
    retryAttempts: options.retryAttempts ?? 0,
    retry: () => new Promise((resolve) => setTimeout(resolve, 100)),
    on: { connected: (retry) => print('connected', { retry: Boolean(retry) }) },
  });
  const { query, variables } = options;
  return client.subscribe({ query, variables }, sink);
}

// The client of applications, whose link chooses by the operation what it accepts.
function subscribeApollo(sink) {
  const client = new ApolloClient({
    link: new HttpLink({ uri: options.url, headers: options.headers }),
    cache: new InMemoryCache(),
  });
  const document = gql(options.query);
  const { variables } = options;
  const tell = ({ data, error }) => {
    if (error && !CombinedGraphQLErrors.is(error)) sink.error(error);
    else sink.next(error ? { data, errors: error.errors } : { data });
  };
  if (!options.query.startsWith('subscription')) {
    client.query({ query: document, variables, errorPolicy: 'all' }).then((result) => {
      tell(result);
      sink.complete();
    }, sink.error);
    return () => {};
  }
  const settings = { query: document, variables, errorPolicy: 'all', fetchPolicy: 'no-cache' };
  const subscription = client.subscribe(settings).subscribe({
    next: tell,
    error: sink.error,
    complete: sink.complete,
  });
  return () => subscription.unsubscribe();
}

let n = 0;
let isOver = false;
function end() {
  isOver = true;
  process.stdin.destroy();
  clearTimeout(timer);
}
const sink = {
  next(payload) {
    if (isOver) return;
    print('next', { payload });
    n += 1;
    if (n < (options.count ?? Infinity)) return;
    end();
    dispose();
  },
  error(error) {
    if (isOver) return;
    fail(error);
    end();
  },
  complete() {
    if (isOver) return;
    print('complete');
    end();
  },
};
const timer = setTimeout(() => process.exit(3), (options.timeout ?? 30) * 1000);
const dispose = options.client === 'apollo' ? subscribeApollo(sink) : subscribeSse(sink);
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line !== 'dispose') return;
  end();
  dispose();
});
