import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { Admission, admitting } from './admission.ts';

/** As much of a request as is looked at, on a connection of its own unless another is given. */
class Incoming extends EventEmitter {
  readonly headers: Record<string, string>;
  readonly url: string;
  readonly socket: object;

  constructor({
    headers = {},
    socket = {},
    url = '/v1/data',
  }: Partial<Pick<Incoming, 'headers' | 'url' | 'socket'>> = {}) {
    super();
    this.headers = headers;
    this.url = url;
    this.socket = socket;
  }
}

const BODY = { headers: { 'content-length': '9' } };
const request = new Request('http://a/');
const env = (incoming = new Incoming()) => ({ incoming: incoming as unknown as IncomingMessage });

/** Requests that are answered when they are told to be. */
function open(requests: number) {
  const answers: (() => void)[] = [];
  let refused = 0;
  const onRefused = () => {
    refused += 1;
  };
  const pending = () => new Promise<Response>((resolve) => answers.push(() => resolve(new Response('done'))));
  const fetch = admitting(pending, new Admission(requests), onRefused);
  return {
    ask: async (incoming?: Incoming) => fetch(request, env(incoming)),
    answerAll: () => {
      for (const answer of answers.splice(0)) answer();
    },
    refused: () => refused,
  };
}

test('so many at once are looked at, the others are told to come again; an answer makes room', async () => {
  const { answerAll, ask, refused } = open(2);
  const [first, second, third] = [ask(), ask(), await ask()];
  expect([third.status, third.headers.get('Retry-After')]).toEqual([503, '1']);
  expect(await third.json()).toMatchObject({ code: 'internal_error' });
  expect(refused()).toBe(1);
  answerAll();
  expect(await Promise.all([first, second].map(async (each) => (await each).status))).toEqual([200, 200]);
  const fourth = ask();
  answerAll();
  expect((await fourth).status).toBe(200);
});

test('a request that fails makes room too', async () => {
  const failing = admitting(() => Promise.reject(new Error('x')), new Admission(1));
  const throwing = admitting(() => {
    throw new Error('x');
  }, new Admission(1));
  for (let i = 0; i < 3; i++) {
    await expect(failing(request, env())).rejects.toThrow('x');
    expect(() => throwing(request, env())).toThrow('x');
  }
});

test('who sends a body slowly takes no place; when the body has come, it does', async () => {
  const { answerAll, ask } = open(1);
  const slow = Array.from({ length: 5 }, () => new Incoming(BODY));
  const asked = slow.map((incoming) => ask(incoming));
  const other = ask();
  answerAll();
  expect((await other).status).toBe(200);
  for (const each of asked) expect((await each).status).toBe(200);
  const late = new Incoming(BODY);
  const answer = ask(late);
  late.emit('end');
  expect((await ask()).status).toBe(503);
  answerAll();
  expect((await answer).status).toBe(200);
});

test('of many on one connection, all but the last have come in whole', async () => {
  const { answerAll, ask } = open(2);
  const socket = {};
  const asked = Array.from({ length: 4 }, () => ask(new Incoming({ ...BODY, socket })));
  answerAll();
  expect(await Promise.all(asked.map(async (each) => (await each).status))).toEqual([200, 200, 503, 503]);
});

test('health and metrics have places of their own, and no more than those', async () => {
  const { answerAll, ask } = open(0);
  const asked = ['/health', '/health/live?x', '/metrics'].map((url) => ask(new Incoming({ url })));
  answerAll();
  for (const answer of asked) expect((await answer).status).toBe(200);
  expect((await ask(new Incoming({ url: '/healthy' }))).status).toBe(503);
  const many = Array.from({ length: 65 }, () => ask(new Incoming({ url: '/metrics' })));
  expect((await many.at(-1))?.status).toBe(503);
  answerAll();
});
