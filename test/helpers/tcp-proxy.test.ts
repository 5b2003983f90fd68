import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { startRedis } from './redis-server.ts';
import { type FaultProxy, startProxy } from './tcp-proxy.ts';

/** Long enough for a byte to cross loopback many times over: what has not come after it was kept back. */
const QUIET_MS = 150;

describe('before an echo server', () => {
  let echo: Server;
  let port: number;
  let proxy: FaultProxy;
  let client: Client;
  let received: string;

  beforeAll(async () => {
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        received += chunk;
        socket.write(chunk);
      });
      socket.on('end', () => socket.end());
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    port = (echo.address() as AddressInfo).port;
  });
  afterAll(() => void echo.close());

  beforeEach(async () => {
    received = '';
    proxy = await startProxy({ target: { host: '127.0.0.1', port } });
    client = await open(proxy.port);
  });

  test('carries bytes both ways, also a megabyte, and the end of each direction', async () => {
    const text = 'x'.repeat(1_000_000);
    client.socket.end(text);
    await once(client.socket, 'end');
    expect(client.text).toBe(text);
    expect(received).toBe(text);
  });

  test('leads a URL through itself', () => {
    expect(proxy.url('postgres://user:word@127.0.0.1:5432/name')).toBe(
      `postgres://user:word@127.0.0.1:${proxy.port}/name`,
    );
  });

  test('holds what goes to the client while the server has it already, and releases it in order', async () => {
    proxy.hold('toClient');
    client.socket.write('one ');
    client.socket.write('two');
    await eventually(() => expect(received).toBe('one two'));
    await sleep(QUIET_MS);
    expect(client.text).toBe('');
    proxy.release();
    await eventually(() => expect(client.text).toBe('one two'));
  });

  test('holds what goes to the server', async () => {
    proxy.hold('toServer');
    client.socket.write('late');
    await sleep(QUIET_MS);
    expect(received).toBe('');
    proxy.release();
    await eventually(() => expect(client.text).toBe('late'));
  });

  test('delays each direction, so that an answer takes twice as long; what follows closely is no later', async () => {
    proxy.delay(100);
    const began = performance.now();
    for (const letter of 'abcdefghij') {
      client.socket.write(letter);
      await sleep(5);
    }
    await eventually(() => expect(client.text).toBe('abcdefghij'));
    const took = performance.now() - began;
    expect(took).toBeGreaterThanOrEqual(195);
    expect(took).toBeLessThan(900);
  });

  test('resets open connections, and takes new ones', async () => {
    const error = once(client.socket, 'error');
    proxy.reset();
    expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
    const next = await open(proxy.port);
    next.socket.write('again');
    await eventually(() => expect(next.text).toBe('again'));
  });

  test('a black hole keeps connections open and silent; healed, it breaks those that lost bytes and serves new ones', async () => {
    proxy.blackhole();
    const untouched = await open(proxy.port);
    client.socket.write('lost');
    await sleep(QUIET_MS);
    expect([received, client.text, client.socket.destroyed]).toEqual(['', '', false]);
    const broken = once(client.socket, 'error');
    proxy.heal();
    await broken;
    untouched.socket.write('found');
    await eventually(() => expect(untouched.text).toBe('found'));
    expect(received).toBe('found');
  });

  test('an end that fell into a black hole is told when it is healed', async () => {
    proxy.blackhole();
    client.socket.end();
    await sleep(QUIET_MS);
    expect(client.socket.destroyed).toBe(false);
    proxy.heal();
    await eventually(() => expect(client.socket.destroyed).toBe(true));
  });

  test('cuts what goes to the client after exactly so many bytes', async () => {
    proxy.cutAfter(4, 'toClient');
    client.socket.write('abcdef');
    await once(client.socket, 'close');
    expect([received, client.text]).toEqual(['abcdef', 'abcd']);
  });

  test('cuts what goes to the server after exactly so many bytes, over several writes', async () => {
    proxy.cutAfter(4, 'toServer');
    const error = once(client.socket, 'error');
    client.socket.write('abc');
    await eventually(() => expect(client.text).toBe('abc'));
    client.socket.write('def');
    expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
    await eventually(() => expect(received).toBe('abcd'));
  });

  test('closed, it accepts nothing, and a connection to a server that is not there is reset', async () => {
    await proxy.close();
    await proxy.close();
    await expect(open(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const nowhere = await startProxy({ target: { host: '127.0.0.1', port: 1 } });
    const lost = await open(nowhere.port);
    await eventually(() => expect(lost.socket.destroyed).toBe(true));
  });
});

describe('before a real Redis', () => {
  test('swallows one command of a name, and what follows it on that connection only', async () => {
    const redis = await startRedis();
    const proxy = await startProxy({ target: redis });
    const [direct, dropped, other] = await Promise.all(
      [redis.url, proxy.url(redis.url), proxy.url(redis.url)].map((url) =>
        createClient({ url })
          .on('error', () => {})
          .connect(),
      ),
    );
    if (!direct || !dropped || !other) throw new Error('not connected');
    await dropped.set('a', '1');
    const drop = proxy.dropCommand('INCR');
    const lost = Promise.allSettled([dropped.incr('a'), dropped.incr('b')]);
    expect(await drop.dropped).toEqual(['INCR', 'a']);
    await other.incr('c');
    await sleep(QUIET_MS);
    expect(await direct.mGet(['a', 'b', 'c'])).toEqual(['1', null, '1']);
    dropped.destroy();
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await Promise.all([direct.close(), other.close()]);
  });
});

test('shows commands of a name, and lets them pass when they have been looked at', async () => {
  const redis = await startRedis();
  const proxy = await startProxy({ target: redis });
  const [direct, watched] = await Promise.all(
    [redis.url, proxy.url(redis.url)].map((url) => createClient({ url }).connect()),
  );
  if (!direct || !watched) throw new Error('not connected');
  const seen: string[][] = [];
  let pass = () => {};
  const looked = new Promise<void>((resolve) => {
    pass = resolve;
  });
  proxy.watchCommand('SET', async (command) => {
    seen.push(command);
    await looked;
  });
  const set = watched.set('a', '1');
  await eventually(() => expect(seen).toEqual([['SET', 'a', '1']]));
  await sleep(QUIET_MS);
  expect(await direct.get('a')).toBe(null);
  pass();
  await set;
  expect(await direct.get('a')).toBe('1');
  await Promise.all([direct.close(), watched.close()]);
});

interface Client {
  socket: Socket;
  text: string;
}

async function open(port: number): Promise<Client> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const client = { socket, text: '' };
  socket.on('data', (chunk) => {
    client.text += chunk;
  });
  socket.on('error', () => undefined);
  return client;
}
