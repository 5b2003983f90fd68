import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { upstashClient } from './client.ts';

const TIMEOUT_MS = 250;
const TOKEN = 'AXsecret-token';

/** The client of a server that answers so, reached as `host`; `path`: where below it the API is. */
async function client(listener: RequestListener, { host = '127.0.0.1', path = '' } = {}) {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { server, send: upstashClient({ url: `http://${host}:${port}${path}`, token: TOKEN }, TIMEOUT_MS) };
}

test('a command goes as it is, with the token, to where the API is', async () => {
  const asked: unknown[] = [];
  const { send } = await client(
    async (request, response) => {
      asked.push([request.method, request.url, request.headers.authorization, await text(request)]);
      response.end('{"result":["1",null,"true"]}');
    },
    { path: '/redis/' },
  );
  expect(await send(['HMGET', 'a "key"', '1'])).toEqual(['1', null, 'true']);
  expect(asked).toEqual([['POST', '/redis/', `Bearer ${TOKEN}`, '["HMGET","a \\"key\\"","1"]']]);
});

test('what the server says of how far it is goes with the next request, so that a replica does not answer with less', async () => {
  const shown: unknown[] = [];
  const { send } = await client((request, response) => {
    shown.push(request.headers['upstash-sync-token']);
    response.setHeader('Upstash-Sync-Token', `after ${shown.length}`).end('{"result":"OK"}');
  });
  for (const value of ['1', '2', '3']) await send(['SET', 'n', value]);
  expect(shown).toEqual(['', 'after 1', 'after 2']);
});

test.each(['null', '"a text"', '{}'])('an answer of another shape is an error: %s', async (answer) => {
  const { send } = await client((_, response) => void response.end(answer));
  await expect(send(['GET', 'n'])).rejects.toThrow('did not return a result');
});

test('an answer that begins and does not end is one that does not come', async () => {
  const { send } = await client((_, response) => void response.write('{"result":'));
  await expect(send(['GET', 'n'])).rejects.toThrow(`no answer within ${TIMEOUT_MS} ms`);
});

test('a name with several addresses that nobody listens at is told by what happened', async () => {
  const { send, server } = await client((_, response) => void response.end(), { host: 'localhost' });
  await once(server.close(), 'close');
  await expect(send(['GET', 'n'])).rejects.toThrow('ECONNREFUSED');
});
