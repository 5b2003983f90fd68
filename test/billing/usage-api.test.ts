import type { Hono } from 'hono';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { type BillingWorkerDeps, createBillingWorker } from '../../billing-worker/worker.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';
import { tenants, workerTerms } from './tenants.ts';

const TOKEN = 'admin-token';
const NOW = '2026-02-20T12:00:00Z';

// biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
type Body = any;

/** Only its lag is asked for here. */
const stream = { lag: async () => ({ entries: 7, oldestMs: 2_500 }) } as UsageStream;

const at = (instant: string, over: Partial<UsageEvent>) =>
  usageEvent({ decided_at: Date.parse(instant), at: Date.parse(instant), ...over });

const EVENTS: UsageEvent[] = [
  // acme: the calendar month in UTC, $0.0001 a token.
  at('2026-01-31T23:59:59.999Z', { limits: [billed(1_000)] }),
  at('2026-02-01T00:00:00.000Z', { user_id: 'alice', model: 'sonnet', limits: [billed(100)] }),
  at('2026-02-10T08:00:00.000Z', { user_id: 'alice', model: 'haiku', limits: [billed(20)] }),
  at('2026-02-10T09:00:00.000Z', { user_id: 'bob', model: 'sonnet', candidate: 'haiku', limits: [billed(3)] }),
  at('2026-02-10T10:00:00.000Z', { type: 'reserved', decision_id: 'd1', model: 'sonnet', limits: [billed(50)] }),
  at('2026-02-10T10:00:00.000Z', {
    type: 'settled',
    decision_id: 'd1',
    model: 'sonnet',
    limits: [billed(-10)],
    team_id: '=search',
    project_id: 'web',
    usage: { input: 30, output: 10, cache_read: 5, cache_write: 6, reasoning: 7 },
  }),
  at('2026-02-10T11:00:00.000Z', { type: 'reserved', decision_id: 'd2', user_id: 'bob', limits: [billed(7)] }),
  at('2026-02-10T11:00:00.000Z', { type: 'voided', decision_id: 'd2', user_id: 'bob', limits: [billed(-7)] }),
  at('2026-02-11T00:00:00.000Z', { type: 'denied', user_id: 'bob', count: 12, limits: [] }),
  // berlin: from the 31st, at $0.25; 23:30 UTC is the next day there.
  at('2026-01-30T22:59:59.999Z', { tenant_id: 'berlin', limits: [billed(1)] }),
  at('2026-01-30T23:00:00.000Z', { tenant_id: 'berlin', limits: [billed(2)] }),
  at('2026-02-10T23:30:00.000Z', { tenant_id: 'berlin', limits: [billed(4)] }),
  // weekly: from Wednesdays, at $10^-12.
  at('2026-02-17T23:59:59.999Z', { tenant_id: 'weekly', limits: [billed(5)] }),
  at('2026-02-18T00:00:00.000Z', { tenant_id: 'weekly', limits: [billed(Number.MAX_SAFE_INTEGER)] }),
  at('2026-02-19T00:00:00.000Z', { tenant_id: 'weekly', limits: [billed(Number.MAX_SAFE_INTEGER)] }),
];

describe.each(SOME_DATABASES)('GET /v1/usage on $name', ({ open }) => {
  let database: Database;
  let app: Hono;

  const worker = (over: Partial<BillingWorkerDeps> = {}) =>
    createBillingWorker({
      sql: database.sql,
      stream,
      ...workerTerms,
      adminToken: TOKEN,
      registry: new Registry(),
      clock: new TestClock(Date.parse(NOW)),
      log: silent,
      ...over,
    });

  beforeAll(async () => {
    database = await open();
    app = worker().app;
    const ledger = new Ledger({
      sql: database.sql,
      terms: { tenants, calendar: new Calendar() },
      onCommit: () => {},
    });
    await ledger.append(EVENTS.map(streamEntry));
  });

  const get = async (path: string, headers: Record<string, string> = { Authorization: `Bearer ${TOKEN}` }) => {
    const response = await app.request(path, { headers });
    return { status: response.status, body: (await response.json()) as Body };
  };
  const usage = async (query: string) => (await get(`/v1/usage?${query}`)).body;
  const row = (over: object) => ({
    tenant_id: 'acme',
    requests: 0,
    denied: 0,
    tokens: 0,
    input_tokens: 0,
    output_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    reasoning_tokens: 0,
    cost_usd: '0.00',
    ...over,
  });
  const LLM = { input_tokens: 30, output_tokens: 10, cache_read_tokens: 5, cache_write_tokens: 6, reasoning_tokens: 7 };
  const february = { start: '2026-02-01T00:00:00.000Z', end: '2026-03-01T00:00:00.000Z' };

  describe('of the current cycle', () => {
    test('is one sum of a tenant, corrections included, and its cycle', async () => {
      expect(await usage('tenant_id=acme')).toEqual({
        data: [row({ requests: 5, denied: 12, tokens: 163, ...LLM, cost_usd: '0.0163' })],
        cycle: february,
      });
    });

    test("follows the tenant's own anchor, zone and price", async () => {
      expect(await usage('tenant_id=berlin')).toEqual({
        data: [row({ tenant_id: 'berlin', requests: 2, tokens: 6, cost_usd: '1.50' })],
        cycle: { start: '2026-01-30T23:00:00.000Z', end: '2026-02-27T23:00:00.000Z' },
      });
    });

    test('does not round beyond 2^53, neither money nor tokens', async () => {
      expect(await usage('tenant_id=weekly')).toEqual({
        data: [row({ tenant_id: 'weekly', requests: 2, tokens: '18014398509481982', cost_usd: '18014.398509481982' })],
        cycle: { start: '2026-02-18T00:00:00.000Z', end: '2026-02-25T00:00:00.000Z' },
      });
    });

    test('by user: what nobody is named for is null', async () => {
      expect((await usage('tenant_id=acme&group_by=user')).data).toEqual([
        row({ user_id: null, requests: 1, tokens: 40, ...LLM, cost_usd: '0.004' }),
        row({ user_id: 'alice', requests: 2, tokens: 120, cost_usd: '0.012' }),
        row({ user_id: 'bob', requests: 2, denied: 12, tokens: 3, cost_usd: '0.0003' }),
      ]);
    });

    test('by model: the one that was chosen, else the one asked for', async () => {
      expect((await usage('tenant_id=acme&group_by=model')).data).toEqual([
        row({ model: null, requests: 1, denied: 12 }),
        row({ model: 'haiku', requests: 2, tokens: 23, cost_usd: '0.0023' }),
        row({ model: 'sonnet', requests: 2, tokens: 140, ...LLM, cost_usd: '0.014' }),
      ]);
    });

    test('by team and by project', async () => {
      for (const [group, name] of [
        ['team', '=search'],
        ['project', 'web'],
      ]) {
        expect((await usage(`tenant_id=acme&group_by=${group}`)).data).toEqual([
          row({ [`${group}_id`]: null, requests: 5, denied: 12, tokens: 173, cost_usd: '0.0173' }),
          row({ [`${group}_id`]: name, tokens: -10, ...LLM, cost_usd: '-0.001' }),
        ]);
      }
    });

    test('as CSV, by the parameter or the header; a name that a spreadsheet would compute is quoted', async () => {
      const csv = async (query: string, headers: Record<string, string> = {}) => {
        const answer = await app.request(`/v1/usage?tenant_id=acme${query}`, {
          headers: { Authorization: `Bearer ${TOKEN}`, ...headers },
        });
        expect(answer.headers.get('Content-Type')).toContain('text/csv');
        return answer.text();
      };
      const header =
        'requests,denied,tokens,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,reasoning_tokens,cost_usd';
      expect(await csv('&group_by=team&format=csv')).toBe(
        [
          `tenant_id,team_id,${header}`,
          'acme,,5,12,173,0,0,0,0,0,0.0173',
          "acme,'=search,0,0,-10,30,10,5,6,7,-0.001",
          '',
        ].join('\r\n'),
      );
      expect(await csv('&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z', { Accept: 'text/csv' })).toBe(
        `tenant_id,${header}\r\n`,
      );
    });

    test('by day, in the zone of the tenant', async () => {
      expect((await usage('tenant_id=berlin&group_by=day')).data).toEqual([
        row({ tenant_id: 'berlin', day: '2026-01-31', requests: 1, tokens: 2, cost_usd: '0.50' }),
        row({ tenant_id: 'berlin', day: '2026-02-11', requests: 1, tokens: 4, cost_usd: '1.00' }),
      ]);
    });

    test('of all tenants: each in its own cycle, which is told only if it is the same one', async () => {
      const { cycle, data } = await usage('');
      expect(data.map(({ tenant_id, tokens }: Record<string, unknown>) => [tenant_id, tokens])).toEqual([
        ['acme', 163],
        ['berlin', 6],
        ['weekly', '18014398509481982'],
      ]);
      expect(cycle).toBeNull();
    });

    test('of a tenant that has used nothing is empty, and has a cycle', async () => {
      expect(await usage('tenant_id=__proto__')).toEqual({ data: [], cycle: february });
    });
  });

  describe('of a period of one’s own', () => {
    test('is half-open, exact to the millisecond', async () => {
      const tokens = async (from: string, to: string) =>
        (await usage(`tenant_id=acme&from=${from}&to=${to}`)).data[0]?.tokens;
      expect(await tokens('2026-01-31T23:59:59.999Z', '2026-02-01T00:00:00.000Z')).toBe(1_000);
      expect(await tokens('2026-02-01T00:00:00.000Z', '2026-02-01T00:00:00.001Z')).toBe(100);
      expect(await tokens('2026-02-01T00:00:00.001Z', '2026-02-10T08:00:00.000Z')).toBeUndefined();
    });

    test('may be given in any offset, and open at either end', async () => {
      expect((await usage('tenant_id=acme&from=2026-02-11T01:00:00%2B01:00')).data).toEqual([row({ denied: 12 })]);
      expect((await usage('tenant_id=acme&to=2026-01-31T19:00:00-05:00')).data[0].tokens).toBe(1_000);
    });

    test('sums to the same as the rollups over the same cycle, by everything', async () => {
      for (const group of ['tenant', 'team', 'project', 'user', 'model', 'day']) {
        const { cycle, data } = await usage(`tenant_id=acme&group_by=${group}`);
        const ledger = await usage(`tenant_id=acme&group_by=${group}&from=${cycle.start}&to=${cycle.end}`);
        expect(ledger).toEqual({ data, cycle: null });
      }
    });

    test('takes all tenants where none is named', async () => {
      const { data } = await usage('from=2026-01-30T00:00:00Z&to=2026-02-01T00:00:00Z');
      expect(data.map(({ tenant_id, tokens }: Record<string, unknown>) => [tenant_id, tokens])).toEqual([
        ['acme', 1_000],
        ['berlin', 3],
      ]);
    });
  });

  test.each([
    ['group_by=shoe', /"group_by" must be tenant, team, project, user, model or day/],
    ['groupby=user', /"groupby" is no parameter; known: tenant_id, from, to, group_by, format/],
    ['__proto__=1', /"__proto__" is no parameter/],
    ['format=xml', /"format" must be csv or json/],
    ['tenant_id=', /"tenant_id" must name a tenant, or be left out/],
    ['tenant_id=a%00b', /"tenant_id" must name a tenant/],
    ['tenant_id=a&tenant_id=b', /"tenant_id" is given 2 times/],
    ['from=yesterday', /"from" must be an RFC 3339 instant such as 2026-01-31T00:00:00Z/],
    ['from=2026-02-01', /"from" must be/],
    ['from=2026-02-01T00:00:00', /"from" must be/],
    ['from=2026-02-01T00:00:00+01:00', /a "\+" in a URL is written %2B/],
    ['from=2026-02-30T00:00:00Z', /"from" must be/],
    ['from=0000-01-01T00:00:00Z', /"from" must be/],
    ['to=', /"to" must be/],
    ['from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z', /"to" must be .* later than "from"/],
    ['from=2026-02-02T00:00:00Z&to=2026-02-02T00:00:00Z', /"to" must be .* later than "from"/],
  ])('%s is refused with what would be right', async (query, message) => {
    expect(await get(`/v1/usage?${query}`)).toEqual({
      status: 400,
      body: { code: 'invalid_parameter', message: expect.stringMatching(message) },
    });
  });

  describe('who may ask', () => {
    test.each([
      ['nobody', {}],
      ['another token', { Authorization: 'Bearer admin-tokem' }],
      ['a longer token', { Authorization: `Bearer ${TOKEN}x` }],
      ['no token', { Authorization: 'Bearer ' }],
      ['another scheme', { Authorization: `Basic ${TOKEN}` }],
    ])('%s is refused', async (_, headers: Record<string, string>) => {
      expect(await get('/v1/usage', headers)).toEqual({
        status: 401,
        body: { code: 'unauthorized', message: expect.stringContaining('admin token') },
      });
    });

    test('where no admin token is set, nobody may, and is told how to set one', async () => {
      const response = await worker({ adminToken: undefined }).app.request('/v1/usage', {
        headers: { Authorization: 'Bearer undefined' },
      });
      expect(response.status).toBe(403);
      expect(await response.json()).toEqual({
        code: 'unauthorized',
        message: expect.stringContaining('set ADMIN_TOKEN'),
      });
    });
  });

  describe('health and metrics', () => {
    test('say that all is well, to anyone', async () => {
      expect(await get('/health', {})).toEqual({ status: 200, body: { database: 'ok', stream: 'ok' } });
    });

    test('say what does not answer', async () => {
      const away = { lag: () => Promise.reject(new Error('away')) } as unknown as UsageStream;
      const { app } = worker({ stream: away });
      const health = await app.request('/health');
      expect([health.status, await health.json()]).toEqual([503, { database: 'ok', stream: 'unavailable' }]);
      expect(await (await app.request('/metrics')).text()).toMatch(/openclaw_usage_stream_lag_entries nan/i);
    });

    test('count entries and their age', async () => {
      const text = await (await app.request('/metrics')).text();
      expect(text).toContain('openclaw_usage_stream_lag_entries 7');
      expect(text).toContain('openclaw_usage_stream_oldest_seconds 2.5');
    });
  });

  test('another route is answered in the shape of every error', async () => {
    expect(await get('/nothing')).toEqual({
      status: 404,
      body: { code: 'resource_not_found', message: 'no such route' },
    });
  });
});
