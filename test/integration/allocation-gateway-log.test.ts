import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parse } from 'csv-parse/sync';
import { beforeAll, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringNginx } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fakeOpenClaw } from '../helpers/fake-openclaw.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { startShippedNginx } from '../helpers/shipped-gateways.ts';
import { get, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

const LINES = fullLength ? 10_000 : 1_000;
const CALLERS = 32;
const INVOICE = '2400';
const METHODS = ['requests', 'bytes', 'tokens', 'llm_tokens', 'cost'];
const ADMIN = { Authorization: 'Bearer admin' };
const BYTES_PER_TOKEN = 4;

/** Three teams, and who is of none. One of a hundred calls is by a user whose calls are charged by an estimate until they are reported. */
const USERS = [
  { id: 'alice', team: 'data' },
  { id: 'bob', team: 'engineering' },
  { id: 'carol', team: 'engineering' },
  { id: 'dave', team: 'product' },
  { id: 'erin', team: undefined },
  { id: 'metered', team: 'data' },
];
const keyOf = (id: string) => `ak_${id}_0123456789`;
const callerOf = (n: number) => (n % 100 === 99 ? 'metered' : (USERS[(n * 7 + (n >> 4)) % 5]?.id ?? ''));

async function configured(): Promise<string> {
  const dir = await tempDir('config');
  const users = USERS.map(({ id, team }) => ({ id, api_key: keyOf(id), tenant: 'acme', ...(team && { team }) }));
  await writeFile(join(dir, 'users.yaml'), JSON.stringify({ users }));
  await writeFile(join(dir, 'auth.yaml'), 'authentication: { method: api_key }\n');
  await writeFile(
    join(dir, 'budgets.yaml'),
    'per_user_budgets: { enabled: true, default_limits: {}, user_overrides: { metered: { daily_tokens: 100000000 } } }\n',
  );
  await writeFile(
    join(dir, 'tenants.yaml'),
    'defaults: { capacity: 1000000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n',
  );
  return dir;
}

async function stage() {
  const redis = await startRedis();
  const database = await createDatabase();
  atTestEnd(database.drop);
  const shared = { REDIS_URL: redis.url, CONFIG_DIR: await configured(), OPA_TOKEN: 'service', RESERVATION_TTL_S: '1' };
  const timeouts = { STORE_TIMEOUT_MS: '10000', POLICY_TIMEOUT_MS: '10000' };
  const [sidecar, worker, openclaw] = await Promise.all([
    startSidecar({ ...shared, ...timeouts, DATA_DIR: await tempDir('data') }),
    startWorker({ ...shared, ADMIN_TOKEN: 'admin', DATABASE_URL: database.url }),
    fakeOpenClaw(),
  ]);
  const nginx = await startShippedNginx({ openclaw: openclaw.address, sidecar: new URL(sidecar.url).host });
  const command = async (...args: string[]) => {
    const child = await startProcess({
      script: 'scripts/usage-log.mjs',
      args: ['--url', worker.url, '--file', nginx.log, ...args],
      env: { ADMIN_TOKEN: 'admin', OPA_TOKEN: 'service', RESERVATION_TTL_S: '1' },
    });
    const { code } = await child.exited;
    return { code, output: child.output.join('\n') };
  };
  return { nginx, sidecar, worker, command };
}

/** Asks the gateway as OpenClaw's clients do, over connections that are kept. */
function client(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
  atTestEnd(() => agent.destroy());
  return (path: string, headers: Record<string, string>, body: string) =>
    new Promise<number>((resolve, reject) => {
      const asked = request(url + path, { method: 'POST', headers, agent }, async (response) => {
        await text(response);
        resolve(response.statusCode ?? 0);
      });
      asked.on('error', reject);
      asked.end(body);
    });
}

/** A time zone in which it is day: no month ends while this runs. */
const timezone = new Date().getUTCHours() < 12 ? 'Etc/GMT-6' : 'Etc/GMT+6';
const month = new Date().toLocaleDateString('sv', { timeZone: timezone }).slice(0, 7);

interface Row {
  team: string;
  used: string;
  amount_usd: string;
}

async function allocation(worker: string, by: string): Promise<Row[]> {
  const query = new URLSearchParams({ invoice_usd: INVOICE, by, month, timezone, teams: 'legal', format: 'csv' });
  const { body, status } = await get(`${worker}/v1/allocation?${query}`, ADMIN);
  expect({ status, body: status === 200 ? '' : body }).toEqual({ status: 200, body: '' });
  return parse(body, { columns: true, record_delimiter: '\r\n' }) as Row[];
}

const cents = (usd: string) => BigInt(usd.replace('.', ''));

interface Logged {
  status: string;
  user_id: string;
  team_id: string;
  request_length: number;
  bytes_sent: number;
}

beforeAll(() => bringNginx(), BRING_TIMEOUT_MS);

test(`${LINES} lines of a real nginx: an invoice is divided by any method, and its parts sum to it to the cent`, {
  timeout: 180_000,
}, async () => {
  const { command, nginx, sidecar, worker } = await stage();
  const ask = client(nginx.url);
  const nobody = LINES / 100;
  const statuses = await inParallel(LINES, CALLERS, (n) =>
    n < nobody
      ? ask('/v1/chat?key=query-secret', {}, '')
      : ask('/v1/chat?key=query-secret', { 'X-API-Key': keyOf(callerOf(n)) }, 'x'.repeat((n * 37) % 1_500)),
  );
  expect(statuses.filter((status) => status === 401)).toHaveLength(nobody);
  expect(statuses.filter((status) => status === 200)).toHaveLength(LINES - nobody);

  const first = await command();
  expect(first.output).toContain(`${LINES} lines read: ${LINES} new, 0 known before, 0 unreadable`);
  const logged = (await readFile(nginx.log, 'utf8'))
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each) as Logged);
  expect(logged).toHaveLength(LINES);
  const used = async () => (await get(`${worker.url}/v1/usage?tenant_id=acme`, ADMIN)).body.data[0];
  await eventually(async () => expect(await used()).toMatchObject({ requests: LINES - nobody }), { timeoutMs: 60_000 });

  // Nobody has reported the calls of the metered user: their bytes settle them, once they are old enough.
  const metered = logged.filter(({ user_id }) => user_id === 'metered');
  expect(metered.length).toBeGreaterThan(LINES / 200);
  await eventually(
    async () => {
      const { body } = await get(`${worker.url}/v1/usage-log/unsettled?older_than_s=1&limit=1000`, ADMIN);
      expect(body.data).toHaveLength(metered.length);
    },
    { timeoutMs: 30_000 },
  );
  const second = await command('--settle', sidecar.url);
  expect(second.output).toContain(`${LINES} lines read: 0 new, ${LINES} known before, 0 unreadable`);
  expect(second.output).toContain(
    `${metered.length} calls settled by their bytes, 0 voided, 0 that the sidecar would not`,
  );
  const tokens = (bytes: (line: Logged) => number) =>
    metered.reduce((sum, line) => sum + Math.ceil(bytes(line) / BYTES_PER_TOKEN), 0);
  const estimate = {
    input_tokens: tokens((line) => line.request_length),
    output_tokens: tokens((line) => line.bytes_sent),
  };
  await eventually(async () => expect(await used()).toMatchObject(estimate), { timeoutMs: 30_000 });

  for (const by of METHODS) {
    const rows = await allocation(worker.url, by);
    expect(rows.reduce((sum, { amount_usd }) => sum + cents(amount_usd), 0n)).toBe(240_000n);
    expect(rows.find(({ team }) => team === 'legal')).toMatchObject({ amount_usd: '0.00' });
    expect(rows.at(-1)?.team).toBe('unattributed');
    if (by === 'llm_tokens') continue;
    expect(rows.map(({ team }) => team).toSorted()).toEqual([
      'data',
      'engineering',
      'legal',
      'product',
      'unattributed',
    ]);
    for (const { amount_usd, team } of rows) if (team !== 'legal') expect(cents(amount_usd)).toBeGreaterThan(0n);
  }

  // By the gateway's own lines, added up here: what was refused has used nothing.
  const usedBy = (rows: Row[]) => Object.fromEntries(rows.map(({ team, used: all }) => [team, Number(all)]));
  const sumBy = (amount: (line: Logged) => number) => {
    const sums: Record<string, number> = { legal: 0 };
    for (const line of logged.filter(({ status }) => status === '200')) {
      const team = line.team_id || 'unattributed';
      sums[team] = (sums[team] ?? 0) + amount(line);
    }
    return sums;
  };
  expect(usedBy(await allocation(worker.url, 'bytes'))).toEqual(sumBy((line) => line.request_length + line.bytes_sent));
  expect(usedBy(await allocation(worker.url, 'requests'))).toEqual(sumBy(() => 1));
});
