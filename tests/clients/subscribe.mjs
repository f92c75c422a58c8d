// SPDX-License-Identifier: MIT
// Drives the real graphql-ws client for tests in other languages: options as JSON in the
// first argument, commands as lines on stdin, events as lines of JSON on stdout.
//
//     node subscribe.mjs '{"url": "ws://127.0.0.1:8000/", "query": "subscription { tick }", "count": 3}'
//
// Options (only url is required):
//   query, variables, operationName, extensions, count
//                      one operation, started at once under the key "1"; after `count`
//                      next messages it is disposed
//   operations         [{key, query, ..., count}]: several, instead of the former
//   connectionParams   payload of connection_init
//   lazy               true: connect for the first operation, close after the last
//   keepAlive          ms between pings of the client, 0 = none
//   retryAttempts      reconnects in a row, 0;  retryWait: ms before each, 100;
//                      also while nobody listens, unlike the client's own default
//   ws                 options of the WebSocket: {headers, origin, perMessageDeflate, ...}
//   stay               true: do not end when all operations have ended, wait for `close`
//   verbose            true: print connecting, opened, ping and pong as well
//   timeout            seconds until it gives up with exit code 3, 30
//
// Commands:
//   subscribe {"key": "2", "query": ...}    start another operation
//   dispose [key]                           end one, "1" if not named
//   terminate                               drop the socket, as a frozen one is dropped
//   close                                   end the client (normal closure)
//
// Events, in the order in which the client tells them:
//   {"type": "connected", "payload"?, "retry"}   connection_ack came
//   {"type": "next", "key", "payload"}
//   {"type": "error", "key", "errors"}           an error message: GraphQL errors
//   {"type": "error", "key", "code", "reason"}   the socket closed and it gave up
//   {"type": "error", "key", "message"}          anything else
//   {"type": "complete", "key"}                  from the server, or after dispose
//   {"type": "closed", "code", "reason"}
//   {"type": "fatal", ...}                       as error, for a client that is not lazy
//
// Exit code 0 when everything has ended, 2 for wrong use, 3 for the timeout.
import { createInterface } from 'node:readline';

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const options = readOptions();
const disposers = new Map(); // key -> what ends the operation
let isConnected = false; // from the upgrade to the close
let isEager = options.lazy === false; // still wants a socket of its own

function readOptions() {
  try {
    const read = JSON.parse(process.argv[2]);
    if (typeof read.url !== 'string') throw new Error('url is missing');
    return read;
  } catch (error) {
    console.error(`subscribe.mjs: the first argument must be options in JSON: ${error.message}`);
    process.exit(2);
  }
}

function print(type, members) {
  console.log(JSON.stringify({ type, ...members }));
}

function printIfVerbose(type, members) {
  if (options.verbose) print(type, members);
}

// What graphql-ws throws or hands to a sink is one of three kinds.
function describe(error) {
  if (Array.isArray(error)) return { errors: error };
  if (error && 'code' in error && 'reason' in error) {
    return { code: error.code, reason: error.reason };
  }
  return { message: String(error?.message ?? error) };
}

function exitIfDone() {
  if (disposers.size > 0 || isConnected || isEager || options.stay) return;
  process.exit(0);
}

function subscribe({ key = '1', count = Infinity, ...rest }) {
  const { query, variables, operationName, extensions } = rest;
  let received = 0;
  function end(type, members) {
    disposers.delete(key);
    print(type, { key, ...members });
    exitIfDone();
  }
  const dispose = client.subscribe(
    { query, variables, operationName, extensions },
    {
      next(payload) {
        print('next', { key, payload });
        if (++received === count) dispose();
      },
      error: (error) => end('error', describe(error)),
      complete: () => end('complete'),
    },
  );
  disposers.set(key, dispose);
}

function close() {
  isEager = false;
  options.stay = false;
  for (const dispose of disposers.values()) dispose();
  client.dispose();
  exitIfDone();
}

const commands = {
  subscribe: (rest) => subscribe(JSON.parse(rest)),
  dispose: (rest) => disposers.get(rest || '1')?.(),
  terminate: () => client.terminate(),
  close,
};

function runCommand(line) {
  const [, name, rest] = /^(\w+) *(.*)$/.exec(line) ?? [];
  if (name in commands) {
    commands[name](rest);
  } else {
    console.error(`subscribe.mjs: unknown command: ${line}`);
    process.exit(2);
  }
}

class WebSocketWithOptions extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, options.ws);
  }
}

const client = createClient({
  url: options.url,
  webSocketImpl: WebSocketWithOptions,
  connectionParams: options.connectionParams,
  lazy: options.lazy ?? true,
  keepAlive: options.keepAlive ?? 0,
  retryAttempts: options.retryAttempts ?? 0,
  shouldRetry: () => true,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, options.retryWait ?? 100)),
  onNonLazyError(error) {
    isEager = false;
    print('fatal', describe(error));
    exitIfDone();
  },
  on: {
    connecting: (retry) => printIfVerbose('connecting', { retry }),
    opened() {
      isConnected = true;
      printIfVerbose('opened');
    },
    connected: (_socket, payload, retry) => print('connected', { payload, retry }),
    ping: (received, payload) => printIfVerbose('ping', { received, payload }),
    pong: (received, payload) => printIfVerbose('pong', { received, payload }),
    closed({ code, reason }) {
      isConnected = false;
      print('closed', { code, reason });
      // The operations hear of it after this.
      setImmediate(exitIfDone);
    },
  },
});

setTimeout(() => {
  console.error('subscribe.mjs: timeout');
  process.exit(3);
}, (options.timeout ?? 30) * 1000);

createInterface({ input: process.stdin }).on('line', runCommand);
if (options.query !== undefined) subscribe(options);
for (const operation of options.operations ?? []) subscribe(operation);
