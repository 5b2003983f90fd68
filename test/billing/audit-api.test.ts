import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Hono } from 'hono';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { listen } from '../../runtime/listen.ts';
import type { AuditEvent } from '../../schemas/audit-event.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { TestClock } from '../helpers/clock.ts';
import { startProcess } from '../helpers/process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { apiKey, auditEvent, keyEvent } from './audit-events.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { billed, chunks, shuffled, streamEntry, usageEvent } from './events.ts';
import { tenants, workerTerms } from './tenants.ts';

const TOKEN = 'admin-token';
const HEADERS = { Authorization: `Bearer ${TOKEN}` };

// biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
type Body = any;

const minute = (n: number) => Date.parse('2026-10-01T00:00:00Z') + n * 60_000;
const instant = (n: number) => new Date(minute(n)).toISOString();
const shortLimit = { ...billed(0), before: 10_000, after: 10_000 };

const denied = (n: number, over: Partial<UsageEvent>) =>
  usageEvent({
    type: 'denied',
    limits: [],
    outcome: { granted: false, reason: 'rate_limited' },
    decided_at: minute(n),
    at: minute(n),
    ...over,
  });

const key = apiKey({ id: 'k0_auditaudit12', user_id: 'alice', created_at: minute(1), expires_at: minute(90) });
const rotated = { ...key, revision: 2, rotated_to: 'k0_nextnextnext' };
const next = apiKey({ id: 'k0_nextnextnext', user_id: 'alice', created_at: minute(4), rotated_from: key.id });
const grant = { tokens: 500, expires_at: minute(60), reason: 'a release', by: 'admin' };
const granted = (n: number, over: Partial<UsageEvent>) =>
  usageEvent({
    type: 'adjusted',
    decision_id: 'grant-1',
    user_id: 'bob',
    limits: [],
    decided_at: minute(5),
    at: minute(n),
    ...over,
  });

/** What happened, by the minute; beside it requests that were allowed. */
const EVENTS: (AuditEvent | UsageEvent)[] = [
  auditEvent({ id: 'a-0', action: 'policy.activated', actor: 'sidecar:s1', target: 'rev-1', at: minute(0) }),
  keyEvent(key, { id: 'a-1', source_ip: '192.0.2.1', reason: 'for CI', at: minute(1) }),
  denied(2, {
    decision_id: 'd-2',
    user_id: 'alice',
    credential_id: `key:${key.id}`,
    source_ip: '192.0.2.7',
    limits: [shortLimit],
  }),
  denied(3, { decision_id: 'd-3', user_id: 'alice', credential_id: `key:${key.id}`, count: 250 }),
  auditEvent({
    id: 'a-4',
    action: 'key.rotated',
    tenant_id: 'acme',
    target: key.id,
    api_keys: [rotated, next],
    at: minute(4),
  }),
  granted(5, { grant }),
  granted(6, { id: 'grant-1:revoked:adjusted', grant: { ...grant, tokens: -500 } }),
  denied(7, { decision_id: 'd-7', tenant_id: 'globex', user_id: '=cmd|alice', credential_id: 'jwt' }),
  denied(8, { decision_id: 'd-8', tenant_id: '', outcome: { granted: false, reason: 'unidentified' } }),
  auditEvent({
    id: 'a-9',
    action: 'config.refused',
    actor: 'sidecar:s1',
    target: 'budgets.yaml',
    reason: '+1: line 3',
    at: minute(9),
  }),
];
const ALLOWED = Array.from({ length: 50 }, (_, n) =>
  usageEvent({ user_id: 'alice', decided_at: minute(n / 5), at: minute(n / 5) }),
);

/** The ids of what happened in these minutes. */
const minutes = (...wanted: number[]) => wanted.map((n) => EVENTS[n]?.id);
const ALL = minutes(9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

describe.each(SOME_DATABASES)('GET /v1/audit on $name', ({ open }) => {
  let app: Hono;

  beforeAll(async () => {
    const { sql } = await open();
    ({ app } = createBillingWorker({
      sql,
      stream: {} as UsageStream,
      ...workerTerms,
      adminToken: TOKEN,
      registry: new Registry(),
      clock: new TestClock(minute(100)),
      log: silent,
    }));
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    const entries = shuffled([...EVENTS, ...ALLOWED].map(streamEntry), 11);
    for (const batch of chunks(entries, 7)) await ledger.append(batch);
  });

  const ask = (query: string, headers: Record<string, string> = {}) =>
    app.request(`/v1/audit?${query}`, { headers: { ...HEADERS, ...headers } });
  const get = async (query: string) => {
    const response = await ask(query);
    return { status: response.status, body: (await response.json()) as Body };
  };
  const ids = async (query: string) => (await get(query)).body.data.map(({ id }: Body) => id);

  test('one timeline of all that was done and refused, the newest first, and nothing that was allowed', async () => {
    expect(await ids('')).toEqual(ALL);
  });

  test('a denied request says who asked, from where, why not, how often, and by which limits', async () => {
    const { data } = (await get('action=request.denied&tenant_id=acme')).body;
    const common = { action: 'request.denied', actor: null, tenant_id: 'acme', user_id: 'alice', target: null };
    const who = { ...common, credential_id: `key:${key.id}`, reason: 'rate_limited' };
    expect(data).toEqual([
      { ...who, id: 'd-3:denied', at: instant(3), source_ip: null, count: 250, limits: [] },
      { ...who, id: 'd-2:denied', at: instant(2), source_ip: '192.0.2.7', count: 1, limits: [shortLimit] },
    ]);
  });

  test('a key change says by whom and why, what came of it, and nothing of the key itself', async () => {
    const response = await ask('target=k0_auditaudit12');
    const text = await response.text();
    const { digest: _, v: __, ...shown } = key;
    const [rotation, issue] = JSON.parse(text).data;
    expect(issue).toEqual({
      id: 'a-1',
      at: instant(1),
      action: 'key.issued',
      actor: 'admin',
      source_ip: '192.0.2.1',
      tenant_id: 'acme',
      user_id: null,
      credential_id: null,
      target: key.id,
      reason: 'for CI',
      count: 1,
      api_keys: [{ ...shown, created_at: instant(1), expires_at: instant(90) }],
    });
    expect(rotation.api_keys.map(({ id, revision }: Body) => [id, revision])).toEqual([
      [key.id, 2],
      [next.id, 1],
    ]);
    for (const { digest } of [key, next]) expect(text).not.toContain(digest);
  });

  test('a grant that was given and taken back says by whom, why, how much and until when', async () => {
    const common = {
      actor: 'admin',
      source_ip: null,
      tenant_id: 'acme',
      user_id: 'bob',
      credential_id: null,
      count: 1,
    };
    const about = { ...common, target: 'grant-1', reason: 'a release' };
    expect((await get('target=grant-1')).body.data).toEqual([
      {
        ...about,
        id: EVENTS[6]?.id,
        at: instant(6),
        action: 'budget.revoked',
        grant: { tokens: -500, expires_at: instant(60) },
      },
      {
        ...about,
        id: EVENTS[5]?.id,
        at: instant(5),
        action: 'budget.granted',
        grant: { tokens: 500, expires_at: instant(60) },
      },
    ]);
  });

  test('a denial that nobody is named for has no tenant', async () => {
    expect((await get(`from=${instant(8)}&to=${instant(9)}`)).body.data).toMatchObject([
      { tenant_id: null, reason: 'unidentified' },
    ]);
  });

  test.each([
    [`from=${instant(7)}`, minutes(9, 8, 7)],
    [`to=${instant(2)}`, minutes(1, 0)],
    [`from=${instant(2)}&to=${instant(4)}`, minutes(3, 2)],
    ['from=2026-10-01T02:07:00%2B02:00', minutes(9, 8, 7)],
    ['tenant_id=globex', minutes(7)],
    ['tenant_id=acme', minutes(6, 5, 4, 3, 2, 1)],
    ['user_id=alice', minutes(4, 3, 2, 1)],
    ['user_id=bob', minutes(6, 5)],
    ['user_id=alice&tenant_id=globex', []],
    ['actor=admin', minutes(6, 5, 4, 1)],
    ['actor=sidecar:s1', minutes(9, 0)],
    ['actor=admin&user_id=bob', minutes(6, 5)],
    ['action=request.denied', minutes(8, 7, 3, 2)],
    ['action=budget.granted', minutes(5)],
    ['action=budget.revoked', minutes(6)],
    ['action=key.rotated', minutes(4)],
    ['action=policy.refused', []],
    ['action=request.denied&actor=admin', []],
    [`credential_id=key:${key.id}`, minutes(4, 3, 2, 1)],
    [`credential_id=key:${next.id}`, minutes(4)],
    ['credential_id=jwt', minutes(7)],
    ['credential_id=jwt&action=key.issued', []],
    [`credential_id=key:${key.id}&action=key.issued&tenant_id=acme&user_id=alice&actor=admin`, minutes(1)],
    ['target=budgets.yaml', minutes(9)],
    ['target=budgets.yaml&tenant_id=acme', []],
  ])('%s', async (query, expected) => {
    expect(await ids(query)).toEqual(expected);
  });

  test.each([1, 2, 3, 9, 10])('pages of %i are the whole, each row once', async (limit) => {
    const seen: string[] = [];
    let after = '';
    for (let pages = 0; pages < 11; pages++) {
      const { body } = await get(`limit=${limit}${after}`);
      expect(body.data.length).toBeLessThanOrEqual(limit);
      seen.push(...body.data.map(({ id }: Body) => id));
      if (body.next === null) break;
      after = `&after=${body.next}`;
    }
    expect(seen).toEqual(ALL);
  });

  test('the next page is in the header Link too, with the same question', async () => {
    const first = await ask(`limit=2&tenant_id=acme&from=${instant(0)}&format=csv`);
    const [, link] = /^<(.+)>; rel="next"$/.exec(first.headers.get('Link') ?? '') ?? [];
    expect(new URL(link ?? '', 'http://x').searchParams.get('from')).toBe(instant(0));
    const second = await (await app.request(link ?? '', { headers: HEADERS })).text();
    expect(parse(second, { columns: true }).map(({ id }: Body) => id)).toEqual(minutes(4, 3));
    expect((await ask('limit=1000')).headers.get('Link')).toBeNull();
  });

  test('the CSV says the same, and a spreadsheet computes none of it', async () => {
    const response = await ask('', { Accept: 'text/csv' });
    expect(response.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present');
    const text = await response.text();
    const rows = parse(text, { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[];
    const read = rows.map(({ count, details = '', reason = '', user_id = '', ...row }) => ({
      ...row,
      ...JSON.parse(details),
      count: Number(count),
      reason: reason.replace(/^'(?=\+)/, ''),
      user_id: user_id.replace(/^'(?==)/, ''),
    }));
    const blank = (value: unknown) => value ?? '';
    const { data } = (await get('')).body;
    expect(read).toEqual(
      data.map((row: Body) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, blank(value)]))),
    );
    for (const cell of [",'=cmd|alice,", ",'+1: line 3,"]) expect(text).toContain(cell);
    for (const { digest } of [key, next]) expect(text).not.toContain(digest);
  });

  test('needs the admin token', async () => {
    expect((await ask('', { Authorization: 'Bearer other' })).status).toBe(401);
    expect((await app.request('/v1/audit')).status).toBe(401);
  });

  test.each([
    ['from=yesterday', /"from" must be an RFC 3339 instant such as/],
    ['from=2026-10-01', /"from" must be an RFC 3339 instant/],
    ['from=2026-10-01T00:00:00%2B02:00&to=2026-09-30T22:00:00Z', /"to" must be .* later than "from"/],
    ['tenant_id=', /"tenant_id" must name a tenant/],
    ['user_id=a%00', /"user_id" must name a user/],
    ['actor=', /"actor" must say who did it, such as admin/],
    ['action=key.sold', /"action" must be key.issued, .*, request.denied, budget.granted or budget.revoked$/],
    ['credential_id=', /"credential_id" must name a credential/],
    ['target=', /"target" must say what it was done to/],
    ['limit=0', /"limit" must be a whole number from 1 to 1000/],
    ['limit=1001', /"limit" must be/],
    ['limit=1e2', /"limit" must be/],
    ['after=1', /"after" must be the "next" of the page before/],
    ['format=xml', /"format" must be csv or json/],
    ['actor=a&actor=b', /"actor" is given 2 times/],
    ['tenant=acme', /"tenant" is no parameter; known: from, to, tenant_id, user_id, actor, action, credential_id/],
  ])('%s is refused with what would be right', async (query, message) => {
    expect(await get(query)).toEqual({
      status: 400,
      body: { code: 'invalid_parameter', message: expect.stringMatching(message) },
    });
  });

  describe('npm run audit', () => {
    const run = async (args: string[], env: Record<string, string> = { ADMIN_TOKEN: TOKEN }) => {
      const { close, url } = await listen(app, { host: '127.0.0.1', port: 0, variable: 'BILLING_PORT' });
      atTestEnd(close);
      const cwd = await tempDir('command');
      const child = await startProcess({ script: 'scripts/audit.mjs', args: ['--url', url, ...args], cwd, env });
      const { code } = await child.exited;
      return { code, cwd, stdout: child.stdout.join('\n'), output: child.output.join('\n') };
    };

    test('writes the CSV into a file, as the worker gives it', async () => {
      const query = ['--from', instant(1), '--to', instant(9), '--tenant-id', 'acme', '--user-id', 'alice'];
      const { code, cwd, output, stdout } = await run([...query, '--output', 'audit.csv']);
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      expect(output).toContain(join(cwd, 'audit.csv'));
      const text = await (
        await ask(`from=${instant(1)}&to=${instant(9)}&tenant_id=acme&user_id=alice&format=csv`)
      ).text();
      expect(await readFile(join(cwd, 'audit.csv'), 'utf8')).toBe(text);
    });

    test('prints JSON of what is asked for, with the token that a start has kept, and says that there is more', async () => {
      const DATA_DIR = await tempDir('data');
      await writeFile(join(DATA_DIR, 'admin-token'), `${TOKEN}\n`);
      const { code, output, stdout } = await run(['--actor', 'admin', '--limit', '3', '--format', 'json'], {
        DATA_DIR,
      });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({ data: (await get('actor=admin&limit=3')).body.data });
      expect(output).toContain('there is more than these 3 rows');
    });

    test.each([
      ['a wrong parameter', ['--action', 'key.sold'], {}, /answered 400: "action" must be key.issued/],
      ['a wrong number', ['--limit', '1.5'], {}, /--limit.*whole number/],
      ['a wrong token', [], { ADMIN_TOKEN: 'other' }, /answered 401: this needs the admin token/],
    ])('fails on %s, says why, and writes nothing', async (_, args, env, message) => {
      const { code, output, stdout } = await run(args, { ADMIN_TOKEN: TOKEN, ...env });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(output).toMatch(message);
      expect(output).not.toContain(TOKEN);
    });
  });
});
