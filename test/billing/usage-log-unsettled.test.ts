import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { importLogs } from '../../billing-worker/usage-log/import/import-logs.ts';
import { reportOf, Settler } from '../../billing-worker/usage-log/import/settle.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES } from './databases.ts';
import { streamEntry, usageEvent } from './events.ts';
import { tenants } from './tenants.ts';
import { askOf, TOKEN, workerApp } from './usage-log-worker.ts';

const NOW = Date.parse('2026-10-21T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const id = (n: number) => `0192f0c1-0000-7000-8000-${String(n).padStart(12, '0')}.0`;
const event = (n: number, type: UsageEvent['type'], age: number) =>
  usageEvent({ decision_id: id(n), type, decided_at: NOW - age, at: NOW - age, team_id: 'data' });
const logged = (n: number, over: object = {}) => ({
  ...{ id: `request-${n}`, at: new Date(NOW - HOUR).toISOString(), gateway: 'nginx', status: 200, tenant_id: 'acme' },
  ...{ decision_id: id(n), bytes_in: 1_001, bytes_out: 400 },
  ...over,
});

/** 1 to 3 and 9 are to be found; each other has one reason not to be. */
const EVENTS = [
  event(1, 'reserved', 16 * MINUTE),
  ...[event(2, 'reserved', HOUR), event(2, 'expired', HOUR)],
  event(3, 'reserved', 22 * HOUR),
  event(4, 'reserved', 14 * MINUTE),
  event(5, 'reserved', 23 * HOUR + MINUTE),
  ...[event(6, 'reserved', HOUR), event(6, 'settled', HOUR)],
  ...[event(7, 'reserved', HOUR), event(7, 'expired', HOUR), event(7, 'voided', HOUR)],
  event(8, 'consumed', HOUR),
  event(9, 'reserved', 2 * HOUR),
  event(10, 'reserved', HOUR),
  event(11, 'reserved', HOUR),
  event(12, 'reserved', HOUR),
];
const REQUESTS = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => logged(n)),
  // Also by a second gateway behind the first.
  logged(9, { status: 502 }),
  logged(9, { id: 'behind', at: new Date(NOW - HOUR + 5).toISOString(), status: 200, bytes_in: 9 }),
  logged(10, { tenant_id: 'globex' }),
  logged(11, { bytes_out: undefined }),
  logged(99),
];
const found = (n: number, over: object = {}) => ({
  ...{ decision_id: id(n), tenant_id: 'acme', status: 200, bytes_in: 1_001, bytes_out: 400 },
  ...over,
});

describe.each(SOME_DATABASES)('calls that nobody has reported, on $name,', ({ open }) => {
  let sql: Sql;
  let app: Hono;
  const clock = new TestClock(NOW);

  beforeAll(async () => {
    ({ sql } = await open());
    app = workerApp(sql, clock);
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    await ledger.append(EVENTS.map(streamEntry));
    const body = REQUESTS.map((row) => JSON.stringify(row)).join('\n');
    await askOf(app)('/v1/usage-log', { method: 'POST', body });
  });

  const get = async (query: string) => {
    const answer = await app.request(`/v1/usage-log/unsettled?${query}`, {
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
    return { status: answer.status, body: (await answer.json()) as { data: unknown[]; next: string | null } };
  };

  test('are those that are logged, old enough for a report to have come, and young enough for one to be taken', async () => {
    expect(await get('')).toEqual({
      status: 200,
      body: { data: [found(3), found(9, { status: 502 }), found(2), found(1)], next: null },
    });
    expect((await get('older_than_s=780')).body.data).toContainEqual(found(4));
    expect((await get('older_than_s=7200')).body.data).toEqual([found(3)]);
  });

  test('come page by page', async () => {
    const first = (await get('limit=2')).body;
    expect(first).toEqual({ data: [found(3), found(9, { status: 502 })], next: expect.any(String) });
    const second = (await get(`limit=1&after=${first.next}`)).body;
    expect(second).toEqual({ data: [found(2)], next: expect.any(String) });
    expect((await get(`limit=3&after=${second.next}`)).body).toEqual({ data: [found(1)], next: null });
  });

  test.each([
    ['limit=0', /"limit" must be a whole number from 1 to 1000/],
    ['limit=x', /"limit" must be/],
    ['older_than_s=0', /"older_than_s" must be .* no less than RESERVATION_TTL_S/],
    ['older_than_s=82801', /"older_than_s" must be/],
    ['after=%00', /"after" must be "next" of the page before/],
    ['before=1', /"before" is no parameter/],
  ])('%s is refused with what would be right', async (query, message) => {
    expect(await get(query)).toEqual({
      status: 400,
      body: { code: 'invalid_parameter', message: expect.stringMatching(message) },
    });
  });

  test('need the admin token to be listed', async () => {
    expect((await app.request('/v1/usage-log/unsettled')).status).toBe(401);
  });

  test('are reported to the sidecar by their bytes; what it refuses is counted, and not asked again', async () => {
    const asked: unknown[] = [];
    const answers = new Map([
      [id(2), 404],
      [id(3), 409],
      [id(9), 410],
    ]);
    let away = true;
    const sidecar = async (path: string, init?: RequestInit) => {
      expect(path).toBe('/v1/usage');
      const report = JSON.parse(String(init?.body));
      asked.push(report);
      if (away) {
        away = false;
        throw Object.assign(new Error('away'), { status: 503 });
      }
      const status = answers.get(report.decision_id);
      if (status) throw Object.assign(new Error('refused'), { status });
      return JSON.stringify({ state: 'settled' });
    };
    const signal = new AbortController().signal;
    const patience = { endless: false, signal, say: () => {} };
    const settler = new Settler({ worker: askOf(app), sidecar, bytesPerToken: 4, olderThanS: 900, patience });
    expect(await settler.run()).toEqual({ settled: 1, voided: 0, refused: 3 });
    const used = { tenant_id: 'acme', outcome: 'succeeded', usage: { input: 251, output: 100 } };
    expect(asked).toEqual([
      { decision_id: id(3), ...used },
      { decision_id: id(3), ...used },
      { decision_id: id(9), tenant_id: 'acme', outcome: 'failed' },
      { decision_id: id(2), ...used },
      { decision_id: id(1), ...used },
    ]);
    // One was too young before.
    clock.advance(2 * MINUTE);
    expect(await settler.run()).toEqual({ settled: 1, voided: 0, refused: 0 });
    clock.advance(-2 * MINUTE);
    expect(asked.slice(5)).toEqual([{ decision_id: id(4), ...used }]);
  });

  test('end a run where the sidecar refuses the token, and say so', async () => {
    const refused = Object.assign(new Error('the sidecar answered 401'), { status: 401 });
    const options = { files: [], format: 'auto', everyMs: undefined, signal: new AbortController().signal } as const;
    const settle = { sidecar: () => Promise.reject(refused), bytesPerToken: 4, olderThanS: 900 };
    const run = importLogs({ ...options, files: [], worker: askOf(app), settle, report: () => {}, say: () => {} });
    await expect(run).rejects.toThrow('the sidecar answered 401');
  });
});

test.each([
  [4, 1_000, 400, { input: 250, output: 100 }],
  [4, 1, 0, { input: 1, output: 0 }],
  [3.5, 7, 8, { input: 2, output: 3 }],
])('at %d bytes a token, %d and %d bytes are %j', (bytesPerToken, bytes_in, bytes_out, usage) => {
  const call = { decision_id: 'a', tenant_id: 'acme', status: 499, bytes_in, bytes_out };
  expect(reportOf(call, bytesPerToken)).toEqual({ decision_id: 'a', tenant_id: 'acme', outcome: 'succeeded', usage });
});
