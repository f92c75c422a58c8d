// SPDX-License-Identifier: MIT
// Apollo Client over its GraphQLWsLink. Its results have `error` in place of `errors`.
import { ApolloClient, CombinedGraphQLErrors, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { from } from 'rxjs';
import WebSocket from 'ws';

import { makeClient } from './graphql_ws.mjs';

globalThis.WebSocket ??= WebSocket; // its link asks for the class

// What it throws, or has in `error`: GraphQL errors as they came.
function errorsOf(error) {
  return CombinedGraphQLErrors.is(error) ? error.errors : error;
}

// An error of the whole operation comes as a result without data, before the end.
function tellResult({ data, error, extensions }, sink) {
  if (error && (data == null || !CombinedGraphQLErrors.is(error))) sink.error(errorsOf(error));
  else sink.next({ data, ...(error && { errors: error.errors }), ...(extensions && { extensions }) });
}

export function subscribeWith(apollo, { query, variables, extensions }, sink) {
  const document = gql(query);
  const { operation } = document.definitions.find((each) => each.kind === 'OperationDefinition');
  const options = { variables, errorPolicy: 'all', fetchPolicy: 'no-cache' };
  const results = {
    query: () => from(apollo.query({ query: document, ...options })),
    mutation: () => from(apollo.mutate({ mutation: document, ...options })),
    subscription: () => apollo.subscribe({ query: document, extensions, ...options }),
  }[operation]();
  const subscription = results.subscribe({
    next: (result) => tellResult(result, sink),
    error: (error) => sink.error(errorsOf(error)),
    complete: () => sink.complete(),
  });
  return () => {
    subscription.unsubscribe();
    sink.complete(); // an observable that was left tells nothing
  };
}

export function connect(options, events) {
  const client = makeClient(options, events);
  const apollo = new ApolloClient({ link: new GraphQLWsLink(client), cache: new InMemoryCache() });
  return {
    subscribe: (request, sink) => subscribeWith(apollo, request, sink),
    terminate: () => client.terminate(),
    close() {
      apollo.stop();
      client.dispose();
    },
  };
}
