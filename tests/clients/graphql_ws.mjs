// SPDX-License-Identifier: MIT
// The client of graphql-ws, by itself and as the link that Apollo and urql use.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

export function makeClient(options, events) {
  class WebSocketWithOptions extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, options.ws);
    }
  }
  return createClient({
    url: options.url,
    webSocketImpl: WebSocketWithOptions,
    connectionParams: options.connectionParams,
    lazy: options.lazy ?? true,
    keepAlive: options.keepAlive ?? 0,
    retryAttempts: options.retryAttempts ?? 0,
    shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, options.retryWait ?? 100)),
    onNonLazyError: events.fatal,
    on: {
      connecting: (retry) => events.tellIfVerbose('connecting', { retry }),
      opened: events.opened,
      connected: (_socket, payload, retry) => events.tell('connected', { payload, retry }),
      ping: (received, payload) => events.tellIfVerbose('ping', { received, payload }),
      pong: (received, payload) => events.tellIfVerbose('pong', { received, payload }),
      closed: ({ code, reason }) => events.closed({ code, reason }),
    },
  });
}

export function connect(options, events) {
  const client = makeClient(options, events);
  return {
    subscribe: (request, sink) => client.subscribe(request, sink),
    terminate: () => client.terminate(),
    close: () => client.dispose(),
  };
}
