import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { LineIds } from '../../billing-worker/usage-log/import/line-ids.ts';
import { readLine } from '../../billing-worker/usage-log/import/read-line.ts';
import { BRING_TIMEOUT_MS, bringCaddy, bringHaproxy, bringNginx } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Behind, startShippedCaddy, startShippedHaproxy, startShippedNginx } from '../helpers/shipped-gateways.ts';
import { forwardAuthStage } from '../integration/forward-auth.suite.ts';

const CLAIMS = {
  'X-Tenant-ID': 'claimed-tenant',
  'X-Team-ID': 'claimed-team',
  'X-User-ID': 'claimed-user',
  'X-Credential-ID': 'claimed-credential',
  'X-Decision-ID': 'claimed-decision',
};
const SECRETS = ['ak_alice_1', 'ak_bob_123', 'query-secret', 'claimed-', 'header-secret', 'body-secret'];
const DECISION = expect.stringMatching(/^[0-9a-f-]{36}\.0$/);
const TIME = expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const COUNT = expect.any(Number);

/** What the importer makes of lines that a gateway has written, told by itself which one that is. */
function rowsOf(lines: string[]) {
  const ids = new LineIds();
  return lines.map((line) => {
    const read = readLine(Buffer.from(line), 'auto', ids);
    expect(read).toHaveProperty('request');
    return 'request' in read ? read.request : expect.fail();
  });
}

const linesOf = async (log: string, count: number) =>
  eventually(async () => {
    const lines = (await readFile(log, 'utf8')).split('\n').filter(Boolean);
    expect(lines).toHaveLength(count);
    return lines;
  });

interface Kind {
  name: 'nginx' | 'caddy';
  bring(): Promise<unknown>;
  start(behind: Behind): Promise<{ url: string; log: string }>;
  /** How long the id of a request is. */
  id: RegExp;
  /** Of headers: nginx counts them, Caddy does not. */
  most: number;
  /** Caddy passes on a refusal before it takes over who it is. */
  knowsWhoIsRefused: object;
}

const KINDS: Kind[] = [
  {
    name: 'nginx',
    bring: bringNginx,
    start: startShippedNginx,
    id: /^[0-9a-f]{32}$/,
    most: 1_000,
    knowsWhoIsRefused: { tenant_id: 'acme', team_id: 'data', decision_id: DECISION },
  },
  { name: 'caddy', bring: bringCaddy, start: startShippedCaddy, id: /^[0-9a-f-]{36}$/, most: 0, knowsWhoIsRefused: {} },
];

describe.each(KINDS)(
  'the access log of a real $name, as it is shipped,',
  ({ bring, id, knowsWhoIsRefused, most, name, start }) => {
    beforeAll(async () => void (await bring()), BRING_TIMEOUT_MS);
    const stage = forwardAuthStage();

    test('says who asked for what and how much it was, and is read as that; it has no secret', async () => {
      const { log, url } = await start({
        openclaw: stage.openclaw.address,
        sidecar: new URL(stage.sidecar.url).host,
      });
      const ask = async (path: string, headers: Record<string, string>, body?: string) => {
        const method = body === undefined ? 'GET' : 'POST';
        const all = { ...CLAIMS, Cookie: 'a=header-secret', ...headers };
        const response = await fetch(url + path, { method, headers: all, ...(body !== undefined && { body }) });
        await response.arrayBuffer();
        return response.status;
      };
      const body = 'body-secret'.padEnd(1_000, '.');
      expect(await ask('/v1/chat?api_key=query-secret', { 'X-API-Key': 'ak_alice_1' }, body)).toBe(200);
      expect(await ask('/v1/models', { Authorization: 'Bearer ak_bob_123' })).toBe(200);
      expect(await ask('/v1/nobody?x=query-secret', {})).toBe(401);
      expect(await ask('/v1/large', { 'X-API-Key': 'ak_alice_1' }, 'x'.repeat(1_100_000))).toBe(413);

      const alice = { 'X-API-Key': 'ak_alice_1' };
      expect([await ask('/v1/models', alice), await ask('/v1/models', alice)]).toEqual([200, 200]);
      expect(await ask('/v1/limited', alice)).toBe(429);

      const lines = await linesOf(log, 7);
      for (const secret of SECRETS) expect(lines.join('\n')).not.toContain(secret);
      const [chat, models, nobody, large, , , limited] = rowsOf(lines);
      const all = { id: expect.stringMatching(id), at: TIME, gateway: name, duration_ms: COUNT };
      const sent = 'answered by OpenClaw'.length;
      expect(chat).toMatchObject({
        ...all,
        ...{ tenant_id: 'acme', team_id: 'data', user_id: 'alice', decision_id: DECISION },
        ...{ method: 'POST', path: '/v1/chat', status: 200 },
      });
      expect(chat?.bytes_in).toBeGreaterThanOrEqual(1_000);
      expect(chat?.bytes_in).toBeLessThanOrEqual(1_000 + most);
      expect(chat?.bytes_out).toBeGreaterThanOrEqual(sent);
      expect(chat?.bytes_out).toBeLessThanOrEqual(sent + most);
      expect(Math.abs(Date.parse(chat?.at ?? '') - Date.now())).toBeLessThan(60_000);
      expect(chat?.decision_id).toBe(stage.openclaw.asked[0]?.headers['x-decision-id']);
      expect(chat?.credential_id).toBe(stage.openclaw.asked[0]?.headers['x-credential-id']);
      expect(chat?.credential_id).not.toBe('claimed-credential');
      expect(models).toMatchObject({
        ...all,
        tenant_id: 'glöbex & co',
        user_id: 'bob',
        decision_id: DECISION,
        method: 'GET',
      });
      expect(models).not.toHaveProperty('team_id');
      for (const [refused, status] of [
        [nobody, 401],
        [large, 413],
      ] as const) {
        expect(refused).toMatchObject({ ...all, status });
        for (const field of ['tenant_id', 'team_id', 'user_id', 'credential_id', 'decision_id']) {
          expect(refused).not.toHaveProperty(field);
        }
      }
      expect(limited).toMatchObject({ ...all, status: 429, path: '/v1/limited', ...knowsWhoIsRefused });
      expect(new Set([chat, models, nobody, large].map((row) => row?.id)).size).toBe(4);
    });
  },
);

describe('the log of a real HAProxy, as it is shipped,', () => {
  beforeAll(async () => void (await bringHaproxy()), BRING_TIMEOUT_MS);
  const stage = forwardAuthStage();

  test('says who the sidecar said it is, and is read as that; it has no secret', async () => {
    const sidecar = new URL(stage.sidecar.url).host;
    const { lines, url } = await startShippedHaproxy(sidecar, sidecar);
    const ask = async (path: string, headers: Record<string, string>) =>
      (await fetch(url + path, { headers: { ...CLAIMS, Cookie: 'a=header-secret', ...headers } })).status;
    expect(await ask('/authz?x=query-secret', { 'X-API-Key': 'ak_alice_1' })).toBe(200);
    expect(await ask('/authz?"\\', { Authorization: 'Bearer ak_bob_123' })).toBe(200);
    expect(await ask('/authz', {})).toBe(401);

    const logged = await eventually(() => {
      const found = lines().filter((line) => line.includes('authz'));
      expect(found).toHaveLength(3);
      return found;
    });
    for (const secret of SECRETS) expect(logged.join('\n')).not.toContain(secret);
    const all = {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      at: TIME,
      gateway: 'haproxy',
      path: '/authz',
      method: 'GET',
    };
    expect(rowsOf(logged)).toEqual([
      expect.objectContaining({
        ...all,
        tenant_id: 'acme',
        team_id: 'data',
        user_id: 'alice',
        decision_id: DECISION,
        status: 200,
      }),
      expect.objectContaining({
        ...all,
        tenant_id: 'glöbex & co',
        user_id: 'bob',
        decision_id: DECISION,
        bytes_in: COUNT,
      }),
      { ...all, status: 401, duration_ms: COUNT, bytes_in: COUNT, bytes_out: COUNT },
    ]);
  });
});
