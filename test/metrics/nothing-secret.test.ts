import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { createClient } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { metricsOf, type Observed, startObserved } from './observed-services.ts';
import { OtlpReceiver } from './otlp-receiver.ts';

/** Whatever must not be found has this in it. */
const MARK = 'xyzzy-secret';
let marks = 0;
/** Each is another one, so that a finding says where it came from. */
const marked = (where: string) => `${MARK}-${where}-${++marks}`;

const TOKEN = marked('opa-token');
const ADMIN = marked('admin-token');
const KEY = `ak_${marked('user-key')}`;

const USERS = `users:
  - { id: alice, api_key: ${KEY}, tenant: acme }
`;

let receiver: OtlpReceiver;
let services: Observed;
let issued: string;

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  services = await startObserved(
    {
      OPA_TOKEN: TOKEN,
      ADMIN_TOKEN: ADMIN,
      LOG_LEVEL: 'trace',
      DECISION_LOGS: 'console,file',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${marked('collector')}`,
    },
    { 'users.yaml': USERS },
  );
  issued = await issue();
  await sayEverything();
  await arrived();
}, 90_000);

const admin = { Authorization: `Bearer ${ADMIN}` };

async function issue(): Promise<string> {
  const { body, status } = await post(
    `${services.sidecar.url}/api/admin/keys`,
    { tenant_id: 'acme', user_id: 'bob' },
    admin,
  );
  expect(status).toBe(201);
  return body.key;
}

/** Headers that a client may send along. */
const headers = () => ({
  Cookie: `session=${marked('cookie')}`,
  'X-Prompt': marked('header'),
  'User-Agent': marked('agent'),
  Referer: `http://example.test/${marked('referer')}`,
  baggage: `prompt=${marked('baggage')}`,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
});

/** All fields that no name of somebody or something is expected in. */
const said = () => ({
  prompt: marked('prompt'),
  messages: [{ role: 'user', content: marked('message') }],
  answer: { text: marked('answer') },
  metadata: { api_key: marked('metadata'), [marked('field-name')]: 1 },
});

async function sayEverything(): Promise<void> {
  const { sidecar, worker } = services;
  const input = { tenant_id: 'acme', user_id: 'alice', model: 'anthropic/claude-sonnet-4-5', estimated_tokens: 10 };
  const bearer = (token: string) => ({ ...headers(), Authorization: `Bearer ${token}` });
  const data = `${sidecar.url}/v1/data/openclaw/rate_limit`;
  const query = `?q=${marked('query')}`;
  const first = await post(
    `${data}/decision${query}`,
    { input: { ...input, ...said(), request_id: 'r1' } },
    bearer(TOKEN),
  );
  expect(first.body.result).toMatchObject({ allow: true });
  const id = first.body.decision_id;
  const answers = await Promise.all([
    post(`${data}/allow`, { input: { ...input, ...said() } }, { ...headers(), 'X-API-Key': KEY }),
    post(`${data}/allow`, { input: said() }, { ...headers(), 'X-API-Key': issued }),
    post(`${data}/allow`, { input: { ...input, tenant_id: 'small', ...said() } }, bearer(marked('wrong-token'))),
    post(`${data}/allow`, { input }, { 'X-API-Key': marked('wrong-key') }),
    post(`${data}/allow`, { input: { ...input, max_output_tokens: marked('wrong-type') } }, bearer(TOKEN)),
    post(`${data}/allow`, `{"input": {"prompt": "${marked('broken-json')}`, bearer(TOKEN)),
    post(
      `${sidecar.url}/v1/batch/data/openclaw/rate_limit/allow`,
      { inputs: { a: { ...input, ...said() }, [marked('batch-id')]: said() } },
      bearer(TOKEN),
    ),
    get(`${data}/allow?input=${encodeURIComponent(JSON.stringify({ ...input, ...said() }))}`, bearer(TOKEN)),
    get(`${sidecar.url}/authz?prompt=${marked('authz')}`, {
      ...headers(),
      'X-API-Key': KEY,
      'X-Forwarded-Email': marked('proxy'),
    }),
    post(
      `${sidecar.url}/v1/usage`,
      { decision_id: id, outcome: 'succeeded', usage: { input: 5 }, prompt: marked('report') },
      bearer(TOKEN),
    ),
    post(`${sidecar.url}/v1/usage`, { decision_id: marked('no-decision'), outcome: 'failed' }, bearer(TOKEN)),
    get(`${sidecar.url}/v1/decisions/${marked('no-decision')}`, bearer(TOKEN)),
    get(`${worker.url}/v1/usage?tenant_id=${marked('tenant')}`, bearer(ADMIN)),
    get(`${worker.url}/v1/usage`, bearer(marked('wrong-admin'))),
    get(`${worker.url}/v1/${marked('worker-path')}`, bearer(ADMIN)),
    post(`${worker.url}/v1/invoices/${marked('invoice')}/adjust`, said(), bearer(ADMIN)),
    post(`${worker.url}/v1/dead-letters/replay`, said(), bearer(ADMIN)),
  ]);
  expect(answers.map(({ status }) => status).slice(0, 3)).toEqual([200, 200, 401]);
  const report = await post(
    `${sidecar.url}/v1/usage`,
    { decision_id: id, outcome: 'succeeded', usage: { input: 5, output: 7 } },
    bearer(TOKEN),
  );
  expect(report.status).toBe(200);
}

/** In the ledger, and with the collector. */
async function arrived(): Promise<void> {
  await eventually(
    async () => {
      expect(await metricsOf(services.worker)).toMatch(/openclaw_ledger_events_total\{type="settled"\} 1\n/);
      expect(receiver.spans.map(({ name }) => name)).toContain('POST /v1/usage');
      expect(receiver.spans.map(({ name }) => name)).toContain('GET /v1/usage');
    },
    { timeoutMs: 20_000 },
  );
}

/** The issued key counts as one that must not be found; so does its secret part alone. */
const expectNothing = (where: string, text: string) => {
  const found = [...text.matchAll(/.{0,60}xyzzy-secret[\w-]*/g)].map(([each]) => each);
  expect(found, where).toEqual([]);
  expect(text.includes(issued), `${where}: the issued key`).toBe(false);
  expect(text.includes(issued.split('_').at(-1) ?? issued), `${where}: the secret of the issued key`).toBe(false);
};

describe('no prompt, answer, key or token', () => {
  test('in the logs of either service', () => {
    for (const { process } of [services.sidecar, services.worker]) {
      expect(process.output.length).toBeGreaterThan(2);
      expectNothing('log', process.output.join('\n'));
    }
    expect(services.sidecar.process.output.join('\n')).toContain('"Decision Log"');
  });

  test('in the metrics', async () => {
    for (const each of [services.sidecar, services.worker]) expectNothing('metrics', await metricsOf(each));
    expect(await metricsOf(services.worker)).toContain('end_user="alice"');
  });

  test('in the traces', () => {
    expect(receiver.spans.length).toBeGreaterThan(20);
    for (const body of receiver.bodies) expectNothing('traces', body);
  });

  test('in Redis', async () => {
    const client = await createClient({ url: services.redisUrl }).connect();
    const values: string[] = [];
    for (const key of await client.keys('*')) {
      values.push(key, (await client.dump(key))?.toString() ?? '');
      const type = await client.type(key);
      if (type === 'hash') values.push(JSON.stringify(await client.hGetAll(key)));
      if (type === 'string') values.push(String(await client.get(key)));
      if (type === 'stream') values.push(JSON.stringify(await client.xRange(key, '-', '+')));
      if (type === 'zset') values.push(JSON.stringify(await client.zRange(key, 0, -1)));
    }
    client.destroy();
    expect(values.length).toBeGreaterThan(5);
    expectNothing('Redis', values.join('\n'));
  });

  test('in PostgreSQL', async () => {
    const sql = postgres(services.databaseUrl, { max: 1, onnotice: () => undefined });
    const tables = await sql`select table_name from information_schema.tables where table_schema = 'public'`;
    const rows = await Promise.all(
      tables.map(({ table_name }) => sql`select row_to_json(t)::text as row from ${sql(table_name)} as t`),
    );
    await sql.end();
    const text = rows
      .flat()
      .map(({ row }) => row)
      .join('\n');
    expect(text).toContain('"user_id":"alice"');
    expectNothing('PostgreSQL', text);
  });

  test('in the files of DATA_DIR', async () => {
    const names = await readdir(services.dataDir, { recursive: true, withFileTypes: true });
    const files = names.filter((each) => each.isFile());
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expectNothing(file.name, await readFile(join(file.parentPath, file.name), 'latin1'));
  });
});
