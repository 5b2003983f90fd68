import { gunzipSync } from 'node:zlib';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { dataReply, reply } from './reply.ts';

const LONG = { result: 'é'.repeat(60) };

const app = new Hono()
  .get('/short', (c) => dataReply(c, { result: 1 }, 100))
  .get('/long', (c) => dataReply(c, LONG, 100, { headers: { 'X-Own': '1' } }))
  .get('/plain', (c) => reply(c, LONG, { status: 500 }));

const get = (path: string, encoding?: string) =>
  app.request(path, { headers: encoding === undefined ? {} : { 'Accept-Encoding': encoding } });

test.each(['gzip', 'GZIP', 'br, gzip', 'gzip;q=0.5', 'identity;q=0, *'])('is packed for %s', async (encoding) => {
  const response = await get('/long', encoding);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-encoding': 'gzip',
    'content-type': 'application/json',
    vary: 'Accept-Encoding',
    'x-own': '1',
  });
  expect(gunzipSync(await response.arrayBuffer()).toString()).toBe(`${JSON.stringify(LONG)}\n`);
});

test.each([undefined, '', 'br', 'identity', 'gzip;q=0', 'gzip; q=0.0', 'xgzip'])('is not for %s', async (encoding) => {
  const response = await get('/long', encoding);
  expect(response.headers.get('Content-Encoding')).toBeNull();
  expect(await response.json()).toEqual(LONG);
});

test('what is short is not, and what is not of the Data API is not', async () => {
  expect(await (await get('/short', 'gzip')).text()).toBe('{"result":1}\n');
  const response = await get('/plain', 'gzip');
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual(LONG);
});
