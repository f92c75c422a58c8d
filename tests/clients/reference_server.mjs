// SPDX-License-Identifier: MIT
// The application of tests/conformance_app.py on the reference server,
// graphql-ws over ws. Prints the address it listens on, and serves until it is
// killed.
//
//     node reference_server.mjs
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { buildSchema, GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const SDL = new URL('../data/conformance/schema.graphql', import.meta.url);
const FAULT = 'a fault of the application';

// Promise.withResolvers, which came with Node 22.
function withResolvers() {
  let resolve;
  const promise = new Promise((resolveIt) => (resolve = resolveIt));
  return { promise, resolve };
}

// What the conversations of one key know of each other.
class Room {
  started = 0;
  released = 0;
  listeners = new Set();
  #mayGo = withResolvers();
  #news = withResolvers();

  go = () => this.#mayGo.resolve();
  wait = () => this.#mayGo.promise;

  count(name) {
    this[name]++;
    this.#news.resolve();
    this.#news = withResolvers();
  }

  async until(condition) {
    while (!condition()) await this.#news.promise;
  }
}

const rooms = new Map();
function room(key) {
  if (!rooms.has(key)) rooms.set(key, new Room());
  return rooms.get(key);
}

// An async iterator of what is pushed, until it is returned.
class Stream {
  #items = [];
  #waiting = null;
  #isOver = false;
  #onReturn;

  constructor(onReturn) {
    this.#onReturn = onReturn;
  }

  push(value) {
    if (this.#waiting === null) this.#items.push(value);
    else this.#waiting.resolve({ value, done: false });
    this.#waiting = null;
  }

  next() {
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true });
    if (this.#items.length > 0) {
      return Promise.resolve({ value: this.#items.shift(), done: false });
    }
    this.#waiting = withResolvers();
    return this.#waiting.promise;
  }

  return() {
    if (!this.#isOver) this.#onReturn();
    this.#isOver = true;
    this.#waiting?.resolve({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

function listen(key, name) {
  const { listeners } = room(key);
  const listener = (item) => stream.push({ [name]: item });
  const stream = new Stream(() => listeners.delete(listener));
  listeners.add(listener);
  return stream;
}

const schema = buildSchema(readFileSync(SDL, 'utf8'));
const fieldsOf = (name) => schema.getType(name).getFields();

Object.assign(fieldsOf('Query').hello, { resolve: () => 'world' });
Object.assign(fieldsOf('Query').echo, { resolve: (_, { text }) => text });
Object.assign(fieldsOf('Query').fails, {
  resolve() {
    throw new Error(FAULT);
  },
});
Object.assign(fieldsOf('Query').slow, {
  async resolve(_, { key }) {
    await room(key).wait();
    return 1;
  },
});
Object.assign(fieldsOf('Query').sources, {
  async resolve(_, { key, released }) {
    await room(key).until(() => room(key).released >= released);
    return room(key);
  },
});
Object.assign(fieldsOf('Mutation').go, {
  resolve(_, { key }) {
    room(key).go();
    return true;
  },
});
Object.assign(fieldsOf('Mutation').publish, {
  resolve(_, { key, json, times }) {
    for (let n = 0; n < times; n++) {
      for (const listener of room(key).listeners) listener(JSON.parse(json));
    }
    return times;
  },
});
Object.assign(fieldsOf('Subscription').item, {
  subscribe: (_, { key }) => listen(key, 'item'),
});
Object.assign(fieldsOf('Subscription').raises, {
  subscribe: (_, { key }) => listen(key, 'raises'),
  resolve() {
    throw new Error(FAULT);
  },
});
Object.assign(fieldsOf('Subscription').count, {
  async *subscribe(_, { to }) {
    for (let count = 0; count < to; count++) yield { count };
  },
});
Object.assign(fieldsOf('Subscription').forever, {
  subscribe(_, { key }) {
    room(key).count('started');
    const stream = new Stream(() => room(key).count('released'));
    stream.push({ forever: 0 });
    return stream;
  },
});
Object.assign(fieldsOf('Subscription').breaks, {
  async *subscribe() {
    yield { breaks: 0 };
    throw new Error(FAULT);
  },
});

async function onConnect({ connectionParams, extra }) {
  const asked = connectionParams ?? {};
  if (asked.hold !== undefined) await room(asked.hold).wait();
  if (asked.refuse === 'close') extra.socket.close(asked.code, asked.reason);
  if (asked.refuse !== undefined) return false;
  return asked.ack;
}

async function onSubscribe(_, id, { extensions }) {
  if (extensions?.hold !== undefined) await room(extensions.hold).wait();
  if (extensions?.refuse) return [new GraphQLError('refused')];
}

// Patience in milliseconds, as in conformance_app.py.
function makeServer(connectionInitWaitTimeout) {
  const server = new WebSocketServer({ noServer: true });
  useServer({ schema, connectionInitWaitTimeout, onConnect, onSubscribe }, server);
  return server;
}

const usual = makeServer(60_000);
const impatient = makeServer(1_000);
const http = createServer();
http.on('upgrade', (request, socket, head) => {
  const server = request.url === '/impatient' ? impatient : usual;
  server.handleUpgrade(request, socket, head, (made) => server.emit('connection', made, request));
});
http.listen(0, '127.0.0.1', () => console.log(`running on http://127.0.0.1:${http.address().port}`));
