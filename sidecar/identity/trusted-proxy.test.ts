import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { authSchema } from '../../schemas/config/auth.ts';
import { usersSchema } from '../../schemas/config/users.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { KnownUsers } from './known-users.ts';
import { trustedProxy } from './trusted-proxy.ts';

const users = new KnownUsers(
  usersSchema.parse({ users: [{ id: 'alice', email: 'Alice@Example.com', team: 'data', tenant: 'acme' }] }),
);
const alice = { type: 'user', credentialId: 'proxy', bound: { user_id: 'alice', team_id: 'data', tenant_id: 'acme' } };
const ADDRESSES = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::ffff:198.51.100.0/120', 'fe80::1'];

function proxy({ header, enabled = true }: { header?: string; enabled?: boolean } = {}) {
  const said: { address?: string; msg: string }[] = [];
  const clock = new TestClock();
  const trusted_proxy = { addresses: ADDRESSES, ...(header && { header }) };
  const { authentication: auth } = authSchema.parse({ authentication: { enabled, trusted_proxy } });
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const byProxy = trustedProxy({ auth, users, clock, log });
  const ask = (address: string | undefined, ...values: string[]) =>
    byProxy?.({ address, values: (name) => (name === (header ?? 'X-Forwarded-Email') ? values : []) });
  return { ask, byProxy, clock, said };
}

test.each([
  '10.0.0.1',
  '::ffff:10.255.0.1',
  '::ffff:a00:1',
  '192.0.2.7',
  '::ffff:192.0.2.7',
  '2001:db8:1::1',
  '198.51.100.9',
  'fe80::1%eth0',
])('believes %s', (address) => {
  const { ask, said } = proxy();
  expect(ask(address, 'alice@example.com')).toEqual(alice);
  expect(said).toEqual([]);
});

test.each([
  '11.0.0.1',
  '::ffff:11.0.0.1',
  '192.0.2.8',
  '2001:db9::1',
  '::1',
  '127.0.0.1',
  '::10.0.0.1',
  'fe80::2',
  '10.0.0.1, 10.0.0.2',
  'unknown',
  '',
  undefined,
])('does not believe %s', (address) => {
  const { ask, said } = proxy();
  expect(ask(address, 'alice@example.com')).toBeUndefined();
  expect(said).toHaveLength(1);
});

describe('of a proxy that is believed', () => {
  test('the e-mail address is compared without regard to case, and to blanks around it', () => {
    expect(proxy().ask('10.0.0.1', '  ALICE@EXAMPLE.COM ')).toEqual(alice);
  });

  test.each([
    ['none', []],
    ['an empty one', ['']],
    ['a blank one', [' ']],
    ['two', ['alice@example.com', 'alice@example.com']],
    ['two, of which one is empty', ['', 'alice@example.com']],
    ['a list', ['alice@example.com,mallory@example.com']],
    ['a list of one', ['alice@example.com,']],
    ['somebody who is not known', ['mallory@example.com']],
    ['an id instead of an address', ['alice']],
  ])('%s identifies nobody', (_, values) => {
    const { ask, said } = proxy();
    expect(ask('10.0.0.1', ...values)).toBeUndefined();
    expect(said).toEqual([]);
  });

  test('another header can be agreed on', () => {
    expect(proxy({ header: 'X-Auth-Request-Email' }).ask('10.0.0.1', 'alice@example.com')).toEqual(alice);
  });
});

test('who is not believed is logged once a minute, without the e-mail address', () => {
  const { ask, clock, said } = proxy();
  expect(ask('203.0.113.5')).toBeUndefined();
  expect(said).toEqual([]);
  for (let i = 0; i < 100; i++) ask('203.0.113.5', 'alice@example.com');
  expect(said).toEqual([expect.objectContaining({ address: '203.0.113.5', header: 'X-Forwarded-Email' })]);
  expect(JSON.stringify(said)).not.toMatch(/alice/i);
  clock.advance(59_999);
  ask('203.0.113.6', 'alice@example.com');
  expect(said).toHaveLength(1);
  clock.advance(1);
  ask('203.0.113.7', 'alice@example.com');
  expect(said.map(({ address }) => address)).toEqual(['203.0.113.5', '203.0.113.7']);
});

test('there is none where authentication is off, or no address is listed', () => {
  expect(proxy({ enabled: false }).byProxy).toBeUndefined();
  const { authentication: auth } = authSchema.parse({ authentication: { method: 'api_key' } });
  expect(trustedProxy({ auth, users, clock: new TestClock(), log: pino({ level: 'silent' }) })).toBeUndefined();
});

test('a header that comes twice on the wire is two values', async () => {
  const { ask } = proxy();
  const seen: unknown[] = [];
  const server = createServer((incoming, response) => {
    seen.push(ask('10.0.0.1', ...(incoming.headersDistinct['x-forwarded-email'] ?? [])));
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const values of [['alice@example.com'], ['alice@example.com', 'alice@example.com'], []]) {
    const headers = { 'X-Forwarded-Email': values };
    const [response] = await once(request({ port, host: '127.0.0.1', headers, agent: false }).end(), 'response');
    response.resume();
    await once(response, 'end');
  }
  server.close();
  await once(server, 'close');
  expect(seen).toEqual([alice, undefined, undefined]);
});
