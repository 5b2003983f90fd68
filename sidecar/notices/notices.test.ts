import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { atTestEnd } from '../../test/helpers/test-end.ts';
import type { Notice } from './notice.ts';
import { Notices } from './notices.ts';
import { slack, type Target, webhook } from './target.ts';

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers with these statuses, one after the other, the last for ever; 0: it hangs up. */
async function receiver(...statuses: number[]): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: await text(request) });
    const status = statuses.length > 1 ? statuses.shift() : statuses[0];
    if (status === 0) request.socket.destroy();
    else response.writeHead(status ?? 200, { Location: '/elsewhere' }).end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received };
}

const notice = (n = 1): Notice => ({
  id: `d${n}:budget:user:alice:tokens:day:75`,
  kind: 'budget',
  tenant_id: 'acme',
  user_id: 'alice',
  decision_id: `d${n}`,
  at: '2026-01-01T12:00:00.000Z',
  limit: 'user:alice:tokens:day',
  percent: 75,
  used: 38_000,
  capacity: 50_000,
});

function open(target: Target, more: Partial<ConstructorParameters<typeof Notices>[0]> = {}) {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const notices = new Notices({ targets: [target], log, retries: { minTimeout: 5, maxTimeout: 20 }, ...more });
  atTestEnd(() => notices.close());
  return { notices, lines };
}

test('a channel is told in a sentence', async () => {
  const { received, url } = await receiver(200);
  const { notices } = open(slack(url));
  notices.send([notice(), { ...notice(2), kind: 'over_limit', message: 'Over budget.' }]);
  await eventually(() => expect(received).toHaveLength(2));
  expect(received.map(({ body }) => JSON.parse(body).text)).toEqual([
    'alice (acme): user:alice:tokens:day has reached 75 %: 38000 of 50000 used.',
    'alice (acme): user:alice:tokens:day has reached 75 %: 38000 of 50000 used. Over budget.',
  ]);
});

test('a webhook is told all, signed so that whoever has the secret can tell it from a forged one', async () => {
  const { received, url } = await receiver(204);
  const { notices } = open(webhook(url, 'whsec of ours', systemClock));
  notices.send([notice()]);
  const { body, headers } = await eventually(() => {
    expect(received).toHaveLength(1);
    return received[0] as Received;
  });
  const verifier = new Webhook(Buffer.from('whsec of ours').toString('base64'));
  expect(verifier.verify(body, headers as Record<string, string>)).toEqual({
    type: 'notice',
    timestamp: '2026-01-01T12:00:00.000Z',
    data: notice(),
  });
  expect(headers['webhook-id']).toBe(notice().id);
  expect(() => verifier.verify(body.replace('75', '90'), headers as Record<string, string>)).toThrow();
  const other = new Webhook(Buffer.from('another').toString('base64'));
  expect(() => other.verify(body, headers as Record<string, string>)).toThrow();
});

test('what is not accepted is sent again, with the same id', async () => {
  const { received, url } = await receiver(503, 0, 429, 200);
  const { notices } = open(webhook(url, 'secret', systemClock));
  notices.send([notice()]);
  await eventually(() => expect(notices.counts.webhook).toEqual({ sent: 1, dropped: 0, failed: 0 }));
  expect(received.map(({ headers }) => headers['webhook-id'])).toEqual(Array.from({ length: 4 }, () => notice().id));
});

test('what the receiver refuses for good, or for too long, is given up and said; no address is in the log', async () => {
  for (const [status, tries] of [
    [404, 1],
    [302, 4],
    [500, 4],
  ] as const) {
    const { received, url } = await receiver(status);
    const { lines, notices } = open(slack(url), { retries: { retries: 3, minTimeout: 2, maxTimeout: 5 } });
    notices.send([notice()]);
    await eventually(() => expect(notices.counts.slack).toEqual({ sent: 0, dropped: 0, failed: 1 }));
    expect(received).toHaveLength(tries);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 50, target: 'slack', notice: notice().id }]);
    expect(lines.join()).not.toContain('/hook');
  }
});

test('those that would wait without bound are dropped, and counted', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { notices } = open({ name: 'held', send: () => held }, { maxWaiting: 5 });
  notices.send(Array.from({ length: 20 }, (_, n) => notice(n)));
  release();
  await eventually(() => expect(notices.counts.held).toEqual({ sent: 7, dropped: 13, failed: 0 }));
});

test('an end waits a while for what is on its way, and no longer', async () => {
  const { url } = await receiver(503);
  const { lines, notices } = open(slack(url), { retries: { minTimeout: 60_000, maxTimeout: 60_000 } });
  notices.send([notice(1), notice(2), notice(3)]);
  await notices.close();
  expect(lines.join('\n')).toContain('notices were not sent');
});
