import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Hono } from 'hono';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import type { GatewayRequest } from '../../billing-worker/usage-log/gateway-request.ts';
import { storeRequests } from '../../billing-worker/usage-log/store.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { listen } from '../../runtime/listen.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { TestClock } from '../helpers/clock.ts';
import { freePort } from '../helpers/free-port.ts';
import { startProcess } from '../helpers/process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { billed, chunks, streamEntry, usageEvent } from './events.ts';
import { tenants, workerTerms } from './tenants.ts';

const TOKEN = 'admin-token';
const INVOICE_CENTS = 240_000n;
const METHODS = ['requests', 'bytes', 'tokens', 'llm_tokens', 'cost'] as const;
type Method = (typeof METHODS)[number];

// biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
type Body = any;

const at = (instant: string, over: Partial<UsageEvent>) =>
  usageEvent({ decided_at: Date.parse(instant), at: Date.parse(instant), ...over });

/** One that is asked for and never there, one that is only ever denied, and names that are hard to write in a CSV. */
const HARD_NAMES = ['Data, Platform', 'the "A" team', 'two\nlines', '=HYPERLINK("http://evil")', '@sum', "'quoted"];
const TEAMS = [undefined, 'engineering', 'engineering', 'data', 'product', '', ...HARD_NAMES];

/** 10,000 in October, of two tenants with prices of their own, teams and none. */
const october = Array.from({ length: 10_000 }, (_, i): UsageEvent => {
  const team_id = TEAMS[(i * 7 + (i >> 5)) % TEAMS.length];
  return usageEvent({
    type: (['consumed', 'reserved', 'settled'] as const)[i % 3] as UsageEvent['type'],
    tenant_id: i % 4 ? 'acme' : 'berlin',
    limits: [billed(i % 3 === 2 ? -(i % 5) : 10 + (i % 97))],
    decided_at: Date.parse('2026-10-01T00:00:00Z') + i * 267_839,
    ...(team_id !== undefined && { team_id }),
    ...(i % 3 === 2 && { usage: { input: i, output: 2 * i, cache_read: i % 11, cache_write: 3, reasoning: i } }),
  });
});

const OTHERS: UsageEvent[] = [
  at('2026-10-20T00:00:00Z', { type: 'denied', team_id: 'denied', count: 12, limits: [] }),
  at('2026-09-30T23:59:59.999Z', { team_id: 'september', limits: [billed(5)] }),
  at('2026-11-01T00:00:00.000Z', { team_id: 'november', limits: [billed(5)] }),
  // The clocks of Berlin go forward on March 29: its March begins at 23:00 UTC and ends at 22:00 UTC.
  at('2026-02-28T22:59:59.999Z', { tenant_id: 'weekly', team_id: 'february' }),
  at('2026-02-28T23:00:00.000Z', { tenant_id: 'weekly', team_id: 'first' }),
  at('2026-03-31T21:59:59.999Z', { tenant_id: 'weekly', team_id: 'last' }),
  at('2026-03-31T22:00:00.000Z', { tenant_id: 'weekly', team_id: 'april' }),
  // A correction without what it corrects.
  at('2026-05-05T00:00:00Z', { type: 'settled', team_id: 'odd', limits: [billed(-5)] }),
  at('2026-05-05T00:00:00Z', { team_id: 'even', limits: [billed(7)] }),
  at('2026-06-05T00:00:00Z', { limits: [billed(7)] }),
];

/** What a gateway has logged of each: some refused, some without all bytes. */
const gatewayLog = october.map(({ decided_at, team_id, tenant_id }, i) => ({
  id: `request-${i}`,
  at: new Date(decided_at).toISOString(),
  tenant_id,
  ...(team_id && { team_id }),
  status: [200, 200, 429, 401, 500, 413, 403][i % 7] ?? 0,
  ...(i % 11 && { bytes_in: (i * 31) % 5_000 }),
  ...(i % 13 && { bytes_out: i * 2 ** 33 }),
  gateway: 'nginx' as const,
}));
const OTHER_REQUESTS = [
  ['denied', '2026-10-20T00:00:00.000Z', 429] as const,
  ['september', '2026-09-30T23:59:59.999Z', 200] as const,
  ['november', '2026-11-01T00:00:00.000Z', 200] as const,
].map(([team_id, at, status]) => ({
  ...{ id: 'same', at, tenant_id: 'acme', team_id, status, bytes_in: 5, bytes_out: 5, gateway: 'nginx' as const },
}));

const bytesOf = ({ bytes_in = 0, bytes_out = 0, status }: GatewayRequest) =>
  [401, 403, 413, 429].includes(status) ? 0n : BigInt(bytes_in) + BigInt(bytes_out);

/** In units of 10^-12, computed from the events and not by the database. */
function weightOf({ limits, tenant_id, type, usage }: UsageEvent, by: Exclude<Method, 'bytes'>): bigint {
  const tokens = BigInt(limits[0]?.amount ?? 0);
  if (by === 'cost') return tokens * (tenant_id === 'berlin' ? 250_000_000_000n : 100_000_000n);
  const { cache_read = 0, cache_write = 0, input = 0, output = 0 } = usage ?? {};
  const whole = {
    requests: type === 'settled' ? 0n : 1n,
    tokens,
    llm_tokens: BigInt(input + output + cache_read + cache_write),
  };
  return whole[by] * 10n ** 12n;
}

function expectedWeights(by: Method): Map<string, bigint> {
  const weights = new Map<string, bigint>();
  for (const [i, event] of october.entries()) {
    const name = JSON.stringify(event.team_id ? [event.tenant_id, event.team_id] : [null, null]);
    const bytes = bytesOf(gatewayLog[i] ?? expect.fail()) * 10n ** 12n;
    weights.set(name, (weights.get(name) ?? 0n) + (by === 'bytes' ? bytes : weightOf(event, by)));
  }
  return weights;
}

const cents = (usd: string) => BigInt(usd.replace('.', ''));
const sum = (amounts: Iterable<bigint>) => [...amounts].reduce((all, each) => all + each, 0n);
/** Without the apostrophe that keeps a spreadsheet from computing it. */
const readName = (name: string) => name.replace(/^'(?=[=+\-@\t\r])/, '');

describe.each(SOME_DATABASES)('GET /v1/allocation on $name', ({ open }) => {
  let app: Hono;

  beforeAll(async () => {
    const database: Database = await open();
    const { sql } = database;
    ({ app } = createBillingWorker({
      sql,
      stream: {} as UsageStream,
      ...workerTerms,
      adminToken: TOKEN,
      registry: new Registry(),
      clock: new TestClock(Date.parse('2026-11-20T12:00:00Z')),
      log: silent,
    }));
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    for (const batch of chunks([...october, ...OTHERS].map(streamEntry), 1_000)) await ledger.append(batch);
    for (const batch of chunks<GatewayRequest>([...gatewayLog, ...OTHER_REQUESTS], 1_000))
      await storeRequests(batch, sql);
  });

  const ask = (query: string, headers: Record<string, string> = {}) =>
    app.request(`/v1/allocation?${query}`, { headers: { Authorization: `Bearer ${TOKEN}`, ...headers } });
  const get = async (query: string) => {
    const response = await ask(query);
    return { status: response.status, body: (await response.json()) as Body };
  };

  describe.each(METHODS)('by %s', (by) => {
    const query = `invoice_usd=2400&by=${by}&month=2026-10&teams=data,nobody`;

    test('10,000 rows of the ledger come to $2,400.00, and each team to its exact part but for a cent', async () => {
      const { body } = await get(query);
      expect(sum(body.data.map((row: Body) => cents(row.amount_usd)))).toBe(INVOICE_CENTS);
      const weights = expectedWeights(by);
      const total = sum(weights.values());
      for (const { amount_usd, share, team_id, tenant_id, used } of body.data) {
        const weight = weights.get(JSON.stringify([tenant_id, team_id])) ?? 0n;
        weights.delete(JSON.stringify([tenant_id, team_id]));
        const off = cents(amount_usd) * total - INVOICE_CENTS * weight;
        expect(-total < off && off < total).toBe(true);
        expect(Math.abs(Number(share) - Number(weight) / Number(total))).toBeLessThan(0.000_001);
        const [whole, fraction = ''] = used.split('.');
        expect(BigInt(whole + fraction.padEnd(12, '0'))).toBe(weight);
      }
      expect([...weights]).toEqual([]);
    });

    test('teams that have used nothing have a row of 0.00, and what has no team is the last row', async () => {
      const { data } = (await get(query)).body;
      const nothing = { used: by === 'cost' ? '0.00' : '0', share: '0.000000', amount_usd: '0.00' };
      expect(data).toContainEqual({ tenant_id: 'acme', team_id: 'denied', ...nothing });
      expect(data).toContainEqual({ tenant_id: null, team_id: 'nobody', ...nothing });
      expect(data.filter(({ team_id }: Body) => team_id === 'data')).toHaveLength(2);
      expect(data.at(-1)).toMatchObject({ tenant_id: null, team_id: null });
      expect(cents(data.at(-1).amount_usd)).toBeGreaterThan(0n);
      expect(data.filter(({ team_id }: Body) => team_id === null)).toHaveLength(1);
    });

    test('the CSV says the same, whatever is in a name', async () => {
      const response = await ask(query, { Accept: 'text/csv' });
      expect(response.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present');
      expect(response.headers.get('Content-Disposition')).toBe(
        `attachment; filename="allocation-2026-10-by-${by}.csv"`,
      );
      const text = await response.text();
      const rows = parse(text, { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[];
      const { data } = (await get(query)).body;
      expect(rows.map(({ team = '', ...row }) => ({ ...row, team: readName(team) }))).toEqual(
        data.map(({ team_id, tenant_id, ...row }: Body) => ({
          ...row,
          tenant: tenant_id ?? '',
          team: team_id ?? 'unattributed',
        })),
      );
      expect(sum(rows.map(({ amount_usd = '' }) => cents(amount_usd)))).toBe(INVOICE_CENTS);
      for (const name of HARD_NAMES) expect(rows.map(({ team = '' }) => readName(team))).toContain(name);
    });
  });

  test('a name that a spreadsheet would compute begins with an apostrophe in the CSV, and with none in JSON', async () => {
    const query = 'invoice_usd=2400&by=requests&month=2026-10&teams=%2B1,-1';
    const text = await (await ask(`${query}&format=csv`)).text();
    for (const field of [`"'=HYPERLINK(""http://evil"")"`, `,'@sum,`, `,'+1,`, `,'-1,`]) expect(text).toContain(field);
    expect(text).toMatch(/^tenant,team,used,share,amount_usd\r\n/);
    expect(text.endsWith('\r\n')).toBe(true);
    const teams = (await get(query)).body.data.map(({ team_id }: Body) => team_id);
    expect(teams).toEqual(expect.arrayContaining(['=HYPERLINK("http://evil")', '@sum', '+1', '-1']));
  });

  test('says what it divided, and of which instants', async () => {
    const { body } = await get('invoice_usd=0.5&by=cost&month=2026-10&timezone=Europe/Berlin');
    expect(body).toMatchObject({
      invoice_usd: '0.50',
      by: 'cost',
      month: '2026-10',
      timezone: 'Europe/Berlin',
      period: { start: '2026-09-30T22:00:00.000Z', end: '2026-10-31T23:00:00.000Z' },
    });
    expect(sum(body.data.map((row: Body) => cents(row.amount_usd)))).toBe(50n);
  });

  test.each([
    ['2026-02', 'Europe/Berlin', ['february']],
    ['2026-03', 'Europe/Berlin', ['first', 'last']],
    ['2026-04', 'Europe/Berlin', ['april']],
    ['2026-02', 'UTC', ['february', 'first']],
    ['2026-03', 'UTC', ['april', 'last']],
    ['2026-03', 'Pacific/Kiritimati', ['february', 'first']],
  ])('%s in %s is from midnight to midnight there', async (month, timezone, teams) => {
    const query = `invoice_usd=1&by=requests&month=${month}&timezone=${timezone}&tenant_id=weekly`;
    const { data } = (await get(query)).body;
    expect(data.map(({ team_id }: Body) => team_id)).toEqual([...teams, null]);
    const amounts = data.map(({ amount_usd }: Body) => amount_usd);
    expect(amounts).toEqual([...teams.map(() => (1 / teams.length).toFixed(2)), '0.00']);
  });

  test('of one tenant: its teams alone pay, also those that are asked for', async () => {
    const { data } = (await get('invoice_usd=2400&by=cost&month=2026-10&tenant_id=berlin&teams=nobody')).body;
    expect(new Set(data.map(({ tenant_id }: Body) => tenant_id))).toEqual(new Set(['berlin', null]));
    expect(data).toContainEqual(
      expect.objectContaining({ tenant_id: 'berlin', team_id: 'nobody', amount_usd: '0.00' }),
    );
    expect(sum(data.map((row: Body) => cents(row.amount_usd)))).toBe(INVOICE_CENTS);
  });

  test('usage that has no team at all is one row that bears it all', async () => {
    expect((await get('invoice_usd=12.3&by=tokens&month=2026-06')).body.data).toEqual([
      { tenant_id: null, team_id: null, used: '7', share: '1.000000', amount_usd: '12.30' },
    ]);
  });

  describe('what is answered', () => {
    const query = 'invoice_usd=2400&by=requests&month=2026-10';

    test.each([
      ['text/csv', 'text/csv'],
      ['text/csv, application/json;q=0.5', 'text/csv'],
      ['application/json, text/csv;q=0.5', 'application/json'],
      ['*/*', 'application/json'],
      ['text/html', 'application/json'],
    ])('to Accept: %s is %s', async (accept, type) => {
      const response = await ask(query, { Accept: accept });
      expect(response.headers.get('Content-Type')).toMatch(type);
      expect(response.headers.get('Vary')).toBe('Accept');
    });

    test('is what format says, whatever Accept says', async () => {
      expect((await ask(`${query}&format=json`, { Accept: 'text/csv' })).headers.get('Content-Type')).toMatch('json');
      expect((await ask(`${query}&format=csv`)).headers.get('Content-Type')).toMatch('text/csv');
    });

    test('needs the admin token', async () => {
      expect((await ask(query, { Authorization: 'Bearer other' })).status).toBe(401);
    });
  });

  test.each([
    ['by=requests&month=2026-10', /"invoice_usd" must be dollars and cents such as 2400 or 2400.50/],
    ['invoice_usd=2400.505&by=requests&month=2026-10', /"invoice_usd" must be/],
    ['invoice_usd=-1&by=requests&month=2026-10', /"invoice_usd" must be/],
    ['invoice_usd=1e3&by=requests&month=2026-10', /"invoice_usd" must be/],
    ['invoice_usd=2,400&by=requests&month=2026-10', /"invoice_usd" must be/],
    ['invoice_usd=1234567890123456&by=requests&month=2026-10', /"invoice_usd" must be/],
    ['invoice_usd=1&month=2026-10', /"by" must be requests, bytes, tokens, llm_tokens or cost/],
    ['invoice_usd=1&by=seats&month=2026-10', /"by" must be requests, bytes, tokens/],
    ['invoice_usd=1&by=cost', /"month" must be a month such as 2026-10/],
    ['invoice_usd=1&by=cost&month=2026-13', /"month" must be/],
    ['invoice_usd=1&by=cost&month=2026-1', /"month" must be/],
    ['invoice_usd=1&by=cost&month=9999-12', /"month" must be/],
    ['invoice_usd=1&by=cost&month=2026-10&timezone=Mars', /"timezone" must be a time zone such as Europe\/Berlin/],
    ['invoice_usd=1&by=cost&month=2026-10&timezone=', /"timezone" must be/],
    ['invoice_usd=1&by=cost&month=2026-10&tenant_id=', /"tenant_id" must name a tenant/],
    ['invoice_usd=1&by=cost&month=2026-10&teams=a,,b', /"teams" must name teams, separated by commas/],
    ['invoice_usd=1&by=cost&month=2026-10&teams=', /"teams" must name teams/],
    ['invoice_usd=1&by=cost&month=2026-10&teams=a%00', /"teams" must name teams/],
    ['invoice_usd=1&by=cost&month=2026-10&format=xml', /"format" must be csv or json/],
    ['invoice_usd=1&by=cost&by=cost&month=2026-10', /"by" is given 2 times/],
    ['invoice=1', /"invoice" is no parameter; known: invoice_usd, by, month, timezone, tenant_id, teams, format/],
  ])('%s is refused with what would be right', async (query, message) => {
    expect(await get(query)).toEqual({
      status: 400,
      body: { code: 'invalid_parameter', message: expect.stringMatching(message) },
    });
  });

  test.each([
    ['a month without usage', 'by=requests&month=2026-07', /no usage by requests in 2026-07 \(UTC\) to allocate by$/],
    ['a month to come', 'by=cost&month=2099-01&teams=a', /no usage by cost.*another measure, such as requests/],
    ['a tenant without usage', 'by=requests&month=2026-10&tenant_id=globex', /no usage by requests/],
    ['calls of which no usage was reported', 'by=llm_tokens&month=2026-06', /no usage by llm_tokens/],
    ['a month of which no log is imported', 'by=bytes&month=2026-06', /no usage by bytes in 2026-06/],
    ['a correction that stands alone', 'by=tokens&month=2026-05', /team "odd" has used -5 in 2026-05 by tokens/],
  ])('%s is refused, and not given to anyone', async (_, query, message) => {
    expect(await get(`invoice_usd=2400&${query}`)).toEqual({
      status: 422,
      body: { code: 'invalid_operation', message: expect.stringMatching(message) },
    });
  });

  describe('npm run allocation', () => {
    const ARGS = ['--invoice-usd', '2400', '--by', 'tokens', '--month', '2026-10'];

    const run = async (args: string[], env: Record<string, string> = { ADMIN_TOKEN: TOKEN }) => {
      const { close, url } = await listen(app, { host: '127.0.0.1', port: 0, variable: 'BILLING_PORT' });
      atTestEnd(close);
      const cwd = await tempDir('command');
      const child = await startProcess({ script: 'scripts/allocation.mjs', args: ['--url', url, ...args], cwd, env });
      const { code } = await child.exited;
      return { code, cwd, stdout: child.stdout.join('\n'), output: child.output.join('\n') };
    };

    test('writes the CSV into a file, as the worker gives it', async () => {
      const { code, cwd, output, stdout } = await run([...ARGS, '--output', 'october.csv']);
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      expect(output).toContain(join(cwd, 'october.csv'));
      const text = await (await ask('invoice_usd=2400&by=tokens&month=2026-10&format=csv')).text();
      expect(await readFile(join(cwd, 'october.csv'), 'utf8')).toBe(text);
    });

    test('prints JSON of what is asked for, with the token that a start has kept', async () => {
      const DATA_DIR = await tempDir('data');
      await writeFile(join(DATA_DIR, 'admin-token'), `${TOKEN}\n`);
      const more = ['--timezone', 'Europe/Berlin', '--tenant-id', 'acme', '--teams', 'a,b', '--format', 'json'];
      const { code, stdout } = await run([...ARGS, ...more], { DATA_DIR });
      expect(code).toBe(0);
      const query = 'invoice_usd=2400&by=tokens&month=2026-10&timezone=Europe/Berlin&tenant_id=acme&teams=a,b';
      expect(JSON.parse(stdout)).toEqual((await get(query)).body);
    });

    test.each([
      ['a wrong parameter', ['--month', 'October'], {}, /answered 400: "month" must be a month such as 2026-10/],
      ['a month without usage', ['--month', '2026-07'], {}, /answered 422: the ledger has no usage by tokens/],
      ['a wrong token', [], { ADMIN_TOKEN: 'other' }, /answered 401: this needs the admin token/],
      ['no token', [], { ADMIN_TOKEN: '', DATA_DIR: '/nonexistent' }, /set ADMIN_TOKEN/],
    ])('fails on %s, says why, and writes nothing', async (_, args, env, message) => {
      const { code, output, stdout } = await run([...ARGS, ...args], { ADMIN_TOKEN: TOKEN, ...env });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(output).toMatch(message);
      expect(output).not.toContain(TOKEN);
    });

    test('says that the worker cannot be reached', async () => {
      const { code, output } = await run([...ARGS, '--url', `http://127.0.0.1:${await freePort()}`]);
      expect(code).toBe(1);
      expect(output).toMatch(/billing worker at http:\/\/127.0.0.1:\d+ cannot be reached: .*ECONNREFUSED/);
    });
  });
});
