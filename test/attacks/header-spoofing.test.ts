import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { RawSocket } from './raw-socket.ts';

const PROXY = '127.0.0.2';
const STRANGER = '127.0.0.3';

const AUTH = `authentication:
  enabled: true
  method: api_key
  trusted_proxy: { addresses: ["${PROXY}"] }
`;
const USERS = `users:
  - { id: alice, email: alice@example.com, tenant: acme, team: data, api_key: ak_alice }
  - { id: mallory, email: mallory@example.com, tenant: globex, api_key: ak_mallory }
`;

let sidecar: Service;

beforeAll(async () => {
  const redis = await startRedis();
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(join(configDir, 'auth.yaml'), AUTH);
  await writeFile(join(configDir, 'users.yaml'), USERS);
  const env = {
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    OPA_TOKEN: 'service-token',
  };
  sidecar = await startSidecar({ ...env, STORE_TIMEOUT_MS: '10000', POLICY_TIMEOUT_MS: '10000' });
}, 60_000);

interface Seen {
  status: number | undefined;
  user: string | undefined;
  tenant: string | undefined;
}

/** Who `/authz` takes a request with these headers for, that comes from this address. */
async function seen(from: string, headers: string[]): Promise<Seen> {
  const lines = ['GET /authz HTTP/1.1', 'Host: a', 'Connection: close', ...headers];
  const socket = await RawSocket.open(sidecar.url, from);
  await socket.write(`${lines.join('\r\n')}\r\n\r\n`).over();
  const value = (name: string) => new RegExp(`^${name}: (.*)\r$`, 'im').exec(socket.said)?.[1];
  return { status: socket.statuses[0], user: value('X-User-ID'), tenant: value('X-Tenant-ID') };
}

const ALICE = { status: 200, user: 'alice', tenant: 'acme' };
const NOBODY = { status: 401, user: undefined, tenant: undefined };
const EMAIL = 'X-Forwarded-Email: alice@example.com';

test('the proxy is believed', async () => {
  expect(await seen(PROXY, [EMAIL])).toEqual(ALICE);
  // Headers may be many: the proxy's own come last.
  expect(await seen(PROXY, [...Array.from({ length: 2_500 }, () => 'a:'), EMAIL])).toEqual(ALICE);
});

describe('nobody is let in by', () => {
  test.each<[string, string, string[]]>([
    ['the header of a stranger', STRANGER, [EMAIL]],
    [
      'a stranger who says where it comes from',
      STRANGER,
      [EMAIL, `X-Forwarded-For: ${PROXY}`, `X-Real-IP: ${PROXY}`, `Forwarded: for=${PROXY}`],
    ],
    ['two of them', PROXY, [EMAIL, EMAIL]],
    ['two that differ', PROXY, ['X-Forwarded-Email: mallory@example.com', EMAIL]],
    ['a list', PROXY, ['X-Forwarded-Email: alice@example.com, mallory@example.com']],
    ['underscores', PROXY, ['X_Forwarded_Email: alice@example.com']],
    [
      'both ways to write it, the real one being nobody’s',
      PROXY,
      ['X_Forwarded_Email: alice@example.com', 'X-Forwarded-Email: x@example.com'],
    ],
    [
      'its neighbours',
      PROXY,
      [
        'X-Forwarded-User: alice',
        'X-Forwarded-Preferred-Username: alice',
        'X-Email: alice@example.com',
        'Remote-User: alice',
      ],
    ],
    [
      'the header beyond a thousand others, behind one that is nobody’s',
      PROXY,
      ['X-Forwarded-Email: x@example.com', ...Array.from({ length: 2_000 }, () => 'a:'), EMAIL],
    ],
    ['names that a gateway would send', STRANGER, ['X-Tenant-ID: acme', 'X-User-ID: alice', 'X-Team-ID: data']],
    ['names behind a proxy, without an e-mail address', PROXY, ['X-Tenant-ID: acme', 'X-User-ID: alice']],
    ['another bearer', STRANGER, ['Authorization: Bearer service-tokem']],
    ['a second bearer', STRANGER, ['Authorization: Bearer x', 'Authorization: Bearer service-token']],
    ['a token as a proxy’s credential', STRANGER, ['Proxy-Authorization: Bearer service-token']],
    ['a token in the address', STRANGER, ['Cookie: token=service-token', 'X-Original-URL: /authz?token=service-token']],
  ])('%s', async (_, from, headers) => {
    expect(await seen(from, headers)).toEqual(NOBODY);
  });
});

describe('who shows a key is its holder, whatever else it sends', () => {
  const KEY = 'X-API-Key: ak_mallory';

  test.each<[string, string, string[]]>([
    ['names of others', STRANGER, [KEY, 'X-Tenant-ID: acme', 'X-User-ID: alice', 'X-Team-ID: data']],
    ['names of others with underscores', STRANGER, [KEY, 'X_Tenant_ID: acme', 'X_User_ID: alice']],
    ['an e-mail address of another, from the proxy', PROXY, [KEY, EMAIL]],
    [
      'the method that it would rather use',
      STRANGER,
      [KEY, 'X-HTTP-Method-Override: DELETE', 'X-Original-Method: PUT'],
    ],
  ])('%s', async (_, from, headers) => {
    expect(await seen(from, headers)).toEqual({ status: 200, user: 'mallory', tenant: 'globex' });
  });

  test('two keys are none', async () => {
    expect(await seen(STRANGER, ['X-API-Key: ak_mallory', 'X-API-Key: ak_alice'])).toEqual(NOBODY);
  });
});
