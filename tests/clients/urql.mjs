// SPDX-License-Identifier: MIT
// urql's core over graphql-ws, with its subscriptionExchange for every kind of operation. Its
// results have `error` in place of `errors`.
import { Client, createRequest, subscriptionExchange } from '@urql/core';
import { onEnd, pipe, subscribe, take } from 'wonka';

import { makeClient } from './graphql_ws.mjs';

function kindOf({ query }) {
  const { operation } = query.definitions.find((each) => each.kind === 'OperationDefinition');
  return operation;
}

// False: it was the last thing there is to tell.
function tellResult({ data, error, extensions }, sink) {
  const errors = error?.graphQLErrors ?? [];
  if (error?.networkError || (data == null && errors.length > 0)) {
    sink.error(error.networkError ?? errors);
    return false;
  }
  sink.next({ data, ...(error && { errors }), ...(extensions && { extensions }) });
  return true;
}

export function connect(options, events) {
  const client = makeClient(options, events);
  const urql = new Client({
    url: 'http://127.0.0.1/', // of no request
    preferGetMethod: false,
    exchanges: [
      subscriptionExchange({
        enableAllOperations: true,
        forwardSubscription: ({ query, variables, extensions }) => ({
          subscribe: (sink) => ({
            unsubscribe: client.subscribe({ query: query ?? '', variables, extensions }, sink),
          }),
        }),
      }),
    ],
  });
  // What has no end of its own: the next result is it.
  function ask(request, sink) {
    const results = { query: () => urql.executeQuery(request), mutation: () => urql.executeMutation(request) };
    const { unsubscribe } = pipe(
      results[kindOf(request)](),
      take(1),
      subscribe((result) => {
        if (tellResult(result, sink)) sink.complete();
      }),
    );
    return unsubscribe;
  }
  // The end is told by the last result, again.
  function listen(request, sink) {
    const { unsubscribe } = pipe(
      urql.executeSubscription(request),
      onEnd(() => sink.complete()),
      subscribe((result) => {
        if (result.hasNext || result.error) tellResult(result, sink);
        else sink.complete();
      }),
    );
    return unsubscribe;
  }
  return {
    subscribe({ query, variables, extensions }, sink) {
      const request = createRequest(query, variables, extensions);
      return (kindOf(request) === 'subscription' ? listen : ask)(request, sink);
    },
    terminate: () => client.terminate(),
    close: () => client.dispose(),
  };
}
