// SPDX-License-Identifier: MIT
// The client of subscriptions-transport-ws, which speaks the older graphql-ws.
import transport from 'subscriptions-transport-ws';
import WebSocket from 'ws';

export function connect(options, events) {
  // Its own events say nothing of codes: the socket does.
  class TellingWebSocket extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, options.ws);
      this.on('open', events.opened);
      this.on('message', (text) => {
        const { type } = JSON.parse(text);
        if (type === 'ka') events.tellIfVerbose('ka');
      });
      this.on('close', (code, reason) => events.closed({ code, reason: String(reason) }));
    }
  }
  const client = new transport.SubscriptionClient(
    options.url,
    {
      lazy: options.lazy ?? true,
      reconnect: (options.retryAttempts ?? 0) > 0,
      reconnectionAttempts: options.retryAttempts ?? 0,
      connectionParams: options.connectionParams,
      connectionCallback: (error) => error && events.tell('refused', { error }),
      inactivityTimeout: 1, // as graphql-ws closes when it is lazy
    },
    TellingWebSocket,
  );
  client.onConnected((payload) => events.tell('connected', { payload, retry: false }));
  client.onReconnected((payload) => events.tell('connected', { payload, retry: true }));
  client.onError(() => {}); // a socket that cannot be opened; it is closed, too
  return {
    subscribe({ query, variables, operationName }, sink) {
      const { unsubscribe } = client
        .request({ query, variables, operationName })
        .subscribe({ next: sink.next, error: (error) => sink.error([error]), complete: sink.complete });
      return () => {
        unsubscribe();
        sink.complete(); // what was left tells nothing
      };
    },
    terminate: () => client.client.terminate(),
    close: () => client.close(),
  };
}
