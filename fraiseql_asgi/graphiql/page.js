// SPDX-License-Identifier: MIT
// GraphiQL against the endpoint that served this page: requests by POST, subscriptions over a
// WebSocket or as server-sent events. What stands in the editor of headers goes along, over a
// WebSocket as the payload of connection_init.
'use strict';

(() => {
  const endpoint = location.pathname;
  let transport = 'websocket';
  let client = null; // of graphql-ws, for `clientKey`
  let clientKey = null;

  function lowered(headers) {
    return Object.fromEntries(
      Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    );
  }

  function operationOf(params, document) {
    const operations = (document?.definitions ?? []).filter(
      (definition) => definition.kind === 'OperationDefinition',
    );
    const named = operations.find(
      (operation) => operation.name?.value === params.operationName,
    );
    return (named ?? operations[0])?.operation ?? 'query';
  }

  function websocketClient(headers) {
    const key = JSON.stringify(headers);
    if (client === null || clientKey !== key) {
      client?.dispose();
      clientKey = key;
      client = graphqlWs.createClient({
        url: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${endpoint}`,
        connectionParams: headers,
      });
    }
    return client;
  }

  async function* read(params, headers) {
    const abort = new AbortController();
    try {
      const response = await post(params, headers, 'text/event-stream', abort.signal);
      const type = response.headers.get('content-type') ?? '';
      if (!type.startsWith('text/event-stream')) {
        yield await response.json();
        return;
      }
      let text = '';
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const events = (text + value).split('\n\n');
        text = events.pop();
        for (const event of events) {
          const lines = event.split('\n');
          if (lines.includes('event: complete')) return;
          const data = lines.find((line) => line.startsWith('data: '));
          if (lines.includes('event: next') && data) yield JSON.parse(data.slice(6));
        }
      }
    } finally {
      abort.abort();
    }
  }

  function post(params, headers, accept, signal) {
    return fetch(endpoint, {
      method: 'POST',
      headers: { ...headers, accept, 'content-type': 'application/json' },
      body: JSON.stringify(params),
      signal,
    });
  }

  function fetcher(params, options) {
    const headers = lowered(options?.headers);
    if (operationOf(params, options?.documentAST) !== 'subscription') {
      return post(params, headers, 'application/json').then((response) => response.json());
    }
    return transport === 'sse' ? read(params, headers) : websocketClient(headers).iterate(params);
  }

  function Transport() {
    const [chosen, choose] = React.useState(transport);
    const option = (value, text) => React.createElement('option', { value, key: value }, text);
    return React.createElement(
      'label',
      { className: 'transport' },
      'Subscribe over ',
      React.createElement(
        'select',
        {
          id: 'transport',
          value: chosen,
          onChange: (event) => choose((transport = event.target.value)),
        },
        [option('websocket', 'WebSocket'), option('sse', 'SSE')],
      ),
    );
  }

  const root = document.getElementById('graphiql');
  root.textContent = '';
  ReactDOM.createRoot(root).render(
    React.createElement(
      GraphiQL,
      {
        fetcher,
        shouldPersistHeaders: false,
        defaultQuery: '# Write a subscription, and run it with Ctrl-Enter:\n#\n# subscription {\n#   tick { n }\n# }\n',
      },
      React.createElement(GraphiQL.Logo, null, React.createElement(Transport)),
    ),
  );
})();
