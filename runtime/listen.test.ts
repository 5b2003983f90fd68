import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import { expect, test, vi } from 'vitest';
import { listen } from './listen.ts';

const app = new Hono().get('/', async (c) => {
  await sleep(20);
  return c.text('done');
});

const open = () => listen(app, { host: '127.0.0.1', port: 0, variable: 'PORT' });

/** The body of the answer, or what went wrong. */
const ask = (url: string, agent: Agent): Promise<string> =>
  new Promise((resolve) => {
    get(url, { agent }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

test('closing ends although clients keep their connections busy', async () => {
  const { close, url } = await open();
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const answers: string[] = [];
  let asking = true;
  const clients = Array.from({ length: 4 }, async () => {
    while (asking) answers.push(await ask(url, agent));
  });
  await sleep(100);
  await close();
  asking = false;
  await Promise.all(clients);
  agent.destroy();
  // On a connection of its own: a kept one may not have heard yet that it is closed.
  expect(await ask(url, new Agent())).toBe('ECONNREFUSED');
  expect(answers).toContain('done');
});

test('an address in use is said with the variable that changes it', async () => {
  const first = await open();
  await expect(listen(app, { host: '127.0.0.1', port: first.port, variable: 'BILLING_PORT' })).rejects.toThrow(
    `127.0.0.1:${first.port} is in use; set BILLING_PORT to a free port, or to 0 to pick one`,
  );
  await first.close();
});

test('who waits to be told to go on is told so, but not in the middle of an answer', async () => {
  const bytes = new Hono()
    .get('/', async (c) => {
      await sleep(50);
      return c.text('slow');
    })
    .post('/', async (c) => {
      await c.req.arrayBuffer();
      return c.body(new TextEncoder().encode('abc'));
    });
  const { close, port } = await listen(bytes, { host: '127.0.0.1', port: 0, variable: 'PORT' });
  const request = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n';
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (data) => {
    said += data.toString('latin1');
  });
  socket.write(request);
  await vi.waitFor(() => expect(said).toBe('HTTP/1.1 100 Continue\r\n\r\n'));
  socket.write(`xGET / HTTP/1.1\r\nHost: a\r\n\r\n${request}x`);
  await once(socket, 'close');
  const bodies = said.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n/).slice(1);
  expect(bodies).toEqual(['abc', 'slow', 'abc']);
  await close();
});
