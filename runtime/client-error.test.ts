import { once } from 'node:events';
import { connect } from 'node:net';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Listening, listen } from './listen.ts';

let listening: Listening;

beforeAll(async () => {
  const app = new Hono().all('/', (c) => c.text('done'));
  listening = await listen(app, { host: '127.0.0.1', port: 0, variable: 'PORT' });
});

afterAll(() => listening.close());

/** The status line of what comes back, the connection being ended after it. */
async function send(request: string): Promise<string> {
  const socket = connect(listening.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  socket.write(request);
  await once(socket, 'close');
  return answer.split('\r\n', 1)[0] ?? '';
}

const HOST = 'Host: a\r\nConnection: close\r\n';

test.each([
  ['a request as it should be', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`, '200 OK'],
  ['a method that Node knows', `PROPFIND / HTTP/1.1\r\n${HOST}\r\n`, '200 OK'],
  ['a method that it does not know', `BREW / HTTP/1.1\r\n${HOST}\r\n`, '405 Method Not Allowed'],
  [
    'headers too long',
    `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(20_000)}\r\n\r\n`,
    '431 Request Header Fields Too Large',
  ],
  ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, '400 Bad Request'],
  [
    'a length and chunks',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    '400 Bad Request',
  ],
  ['a length that is no number', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1e1\r\n\r\n`, '400 Bad Request'],
  ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', '400 Bad Request'],
  ['a host that is none', 'GET / HTTP/1.1\r\nHost: 1.2.3.4.5\r\nConnection: close\r\n\r\n', '400 Bad Request'],
  ['a space before a colon', `GET / HTTP/1.1\r\n${HOST}X : 1\r\n\r\n`, '400 Bad Request'],
  ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '405 Method Not Allowed'],
])('%s', async (_, request, status) => {
  expect(await send(request)).toBe(`HTTP/1.1 ${status}`);
});
