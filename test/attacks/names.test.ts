import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { get, inParallel, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { PROBED, standingOf } from './fuzz/standing.ts';
import { signInAsAdmin } from './sign-in.ts';

const SERVICE = { Authorization: 'Bearer service-token' };
const ADMIN = { Authorization: 'Bearer admin-token' };
/** Beside these a hundred models have series of their own. */
const LABEL_SETS = 40;

/** Names as an attacker may choose them: each is a tenant, a user, a model, and whatever else has a name. */
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'a\r\n{"level":"error","msg":"forged"}',
  'a\nopenclaw_forged_total{tenant="x"} 1\n',
  '\u001b[2J\u001b[31mred',
  '\u009b31mred',
  'a"} 1\n#',
  'a\\',
  'a,b="c"',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  'javascript:alert(1)',
  "=cmd|'/C calc'!A1",
  '+1+1',
  '-1+1',
  '@SUM(A1)',
  '\t=1+1',
  '\r=1+1',
  '\u202egnp.exe',
  '../../../etc/passwd',
  "'; drop table usage_events; --",
];

let sidecar: Service;
let worker: Service;

beforeAll(async () => {
  const [redis, database, dataDir] = await Promise.all([startRedis(), createDatabase(), tempDir('names')]);
  atTestEnd(database.drop);
  const configDir = join(dataDir, 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(
    join(configDir, 'budgets.yaml'),
    'per_user_budgets: { enabled: true, default_limits: { daily_tokens: 100000 } }\n',
  );
  const shared = {
    ...PROBED,
    CONFIG_DIR: configDir,
    DATA_DIR: dataDir,
    REDIS_URL: redis.url,
    OPA_TOKEN: 'service-token',
    ADMIN_TOKEN: 'admin-token',
    METRICS_MAX_LABEL_SETS: String(LABEL_SETS),
    STORE_TIMEOUT_MS: '10000',
    POLICY_TIMEOUT_MS: '10000',
    LOG_LEVEL: 'debug',
  };
  sidecar = await startSidecar(shared);
  worker = await startWorker({ ...shared, DATABASE_URL: database.url, SIDECAR_URL: sidecar.url });
  await inParallel(NAMES.length, 8, (index) => use(NAMES[index] as string));
  for (const name of NAMES) {
    const key = { tenant_id: name, user_id: name, name, reason: name };
    expect((await post(`${sidecar.url}/api/admin/keys`, key, ADMIN)).status).toBe(201);
  }
  await inParallel(120, 8, (index) => use(`many ${index}`));
  const total = NAMES.length + 120;
  await eventually(
    async () => {
      const { body } = await get(`${worker.url}/v1/usage`, ADMIN);
      expect(body.data.length).toBe(total);
    },
    { timeoutMs: 30_000 },
  );
}, 120_000);

/** A decision and its report, with one name wherever there is room for one. */
async function use(name: string): Promise<void> {
  const ids = Object.fromEntries(
    ['tenant_id', 'user_id', 'team_id', 'project_id', 'agent_id', 'channel', 'model', 'run_id', 'request_id', name].map(
      (key) => [key, name],
    ),
  );
  const { body, status } = await post(`${sidecar.url}/v1/data/openclaw/rate_limit/decision`, { input: ids }, SERVICE);
  if (status !== 200 || !body.decision_id) throw new Error(`${JSON.stringify(name)}: ${JSON.stringify(body)}`);
  const report = {
    decision_id: body.decision_id,
    outcome: 'succeeded',
    usage: { input: 10 },
    model: name,
    headers: { [name]: name },
  };
  await post(`${sidecar.url}/v1/usage`, report, SERVICE);
  const why = { id: name, name, gated: false, why: name, on_failure: 'deny' };
  await post(`${sidecar.url}/v1/peps`, why, SERVICE);
}

test('no object has what none should have', async () => {
  for (const { process } of [sidecar, worker]) expect((await standingOf(process)).polluted).toEqual([]);
});

test('every line of the logs is one JSON object, and holds no control character', () => {
  for (const { process } of [sidecar, worker]) {
    expect(process.stdout.length).toBeGreaterThan(2);
    for (const line of process.stdout) {
      expect(() => JSON.parse(line), line).not.toThrow();
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
      expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
      expect(JSON.parse(line).msg).not.toBe('forged');
    }
  }
  expect(sidecar.process.stdout.some((line) => line.includes('\\u001b[2J'))).toBe(true);
});

describe('metrics', () => {
  const SAMPLE = /^[a-z_:][\w:]*(\{([a-z_]\w*="([^"\\\n]|\\[\\"n])*",?)*\})? (-?[\d.e+-]+|NaN|[+-]Inf)$/i;
  const linesOf = async ({ url }: Service) => (await (await fetch(`${url}/metrics`)).text()).split('\n');

  test('are well-formed, whatever the names', async () => {
    for (const service of [sidecar, worker]) {
      for (const line of await linesOf(service)) {
        if (line !== '' && !/^# (HELP|TYPE) \w+ /.test(line)) expect(line).toMatch(SAMPLE);
        expect(line).not.toMatch(/^openclaw_forged/);
      }
    }
  });

  test('have a bounded number of series', async () => {
    const before = await linesOf(worker);
    await inParallel(30, 8, (index) => use(`more ${index}`));
    await eventually(async () => {
      const { body } = await get(`${worker.url}/v1/usage?tenant_id=more+29`, ADMIN);
      expect(body.data).toHaveLength(1);
    });
    const after = await linesOf(worker);
    expect(after.length).toBeLessThan(before.length + 50);
    const tenants = new Set(after.map((line) => /tenant="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]));
    expect(tenants.size).toBeLessThanOrEqual(LABEL_SETS + 2);
    expect((await linesOf(sidecar)).length).toBeLessThan(2_000);
  });
});

describe('CSV', () => {
  test.each([
    '/v1/usage?format=csv&group_by=user',
    '/v1/usage?format=csv&group_by=model',
    '/v1/audit?format=csv&limit=1000',
    '/v1/allocation?format=csv&invoice_usd=10.00&by=requests&month=',
  ])('has no cell that a spreadsheet computes: %s', async (path) => {
    const month = new Date().toISOString().slice(0, 7);
    const answer = await fetch(`${worker.url}${path}${path.endsWith('=') ? month : ''}`, { headers: ADMIN });
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(text).toContain('cmd|');
    for (const cell of cellsOf(text)) if (!/^-?\d+(\.\d+)?$/.test(cell)) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
  });
});

describe('pages', () => {
  const MARKUP = NAMES.filter((name) => /[<>'"]/.test(name));
  const PATHS = [
    '',
    '/tenants',
    '/audit',
    '/ledger',
    '/keys',
    '/user?tenant_id=',
    '/tenant?tenant_id=',
    '/?q=',
    '/keys/new?tenant_id=',
  ];

  test('hold names as text, and no markup of an attacker', { timeout: 60_000 }, async () => {
    const cookie = await signInAsAdmin(worker.url, 'admin-token');
    const headers = { Cookie: cookie };
    let shown = 0;
    for (const path of PATHS) {
      const names = path.endsWith('=') ? MARKUP : [''];
      for (const name of names) {
        const url = `${worker.url}/admin${path}${encodeURIComponent(name)}${path.startsWith('/user') ? `&user_id=${encodeURIComponent(name)}` : ''}`;
        const text = await (await fetch(url, { headers })).text();
        expect(text, url).not.toMatch(/<script>|<img|onerror=alert\(1\)>|onmouseover='|href="javascript:/i);
        if (text.includes('&lt;script&gt;alert(1)')) shown += 1;
      }
    }
    expect(shown).toBeGreaterThan(3);
  });
});

/** The cells of a CSV as RFC 4180 has it. */
const cellsOf = (text: string): string[] =>
  [...text.matchAll(/(?:^|,|\r\n)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g)].map(([, quoted, plain]) =>
    (quoted ?? plain ?? '').replaceAll('""', '"'),
  );
