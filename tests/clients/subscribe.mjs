// SPDX-License-Identifier: MIT
// Drives a real client for tests in other languages: options as JSON in the first argument,
// commands as lines on stdin, events as lines of JSON on stdout.
//
//     node subscribe.mjs '{"url": "ws://127.0.0.1:8000/", "query": "subscription { tick }", "count": 3}'
//
// Options (only url is required):
//   client             graphql_ws, or another file of this folder that exports connect()
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
//   verbose            true: print connecting, opened, ping, pong and ka as well
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
//   {"type": "refused", "error"}                 connection_error came (legacy)
//   {"type": "fatal", ...}                       as error, for a client that is not lazy
//
// Exit code 0 when everything has ended, 2 for wrong use, 3 for the timeout.
import { createInterface } from 'node:readline';

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

function tell(type, members) {
  console.log(JSON.stringify({ type, ...members }));
}

function tellIfVerbose(type, members) {
  if (options.verbose) tell(type, members);
}

// What clients throw or hand to a sink is one of three kinds.
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
  let hasEnded = false;
  function end(type, members) {
    if (hasEnded) return;
    hasEnded = true;
    disposers.delete(key);
    tell(type, { key, ...members });
    exitIfDone();
  }
  const dispose = client.subscribe(
    { query, variables, operationName, extensions },
    {
      next(payload) {
        tell('next', { key, payload });
        if (++received === count) dispose();
      },
      error: (error) => end('error', describe(error)),
      complete: () => end('complete'),
    },
  );
  if (!hasEnded) disposers.set(key, dispose);
}

function close() {
  isEager = false;
  options.stay = false;
  for (const dispose of disposers.values()) dispose();
  client.close();
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

const { connect } = await import(`./${options.client ?? 'graphql_ws'}.mjs`);
const client = connect(options, {
  tell,
  tellIfVerbose,
  opened() {
    isConnected = true;
    tellIfVerbose('opened');
  },
  closed({ code, reason }) {
    isConnected = false;
    tell('closed', { code, reason });
    // The operations hear of it after this.
    setImmediate(exitIfDone);
  },
  fatal(error) {
    isEager = false;
    tell('fatal', describe(error));
    exitIfDone();
  },
});

setTimeout(() => {
  console.error('subscribe.mjs: timeout');
  process.exit(3);
}, (options.timeout ?? 30) * 1000);

createInterface({ input: process.stdin }).on('line', runCommand);
if (options.query !== undefined) subscribe(options);
for (const operation of options.operations ?? []) subscribe(operation);
