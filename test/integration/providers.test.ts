import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const SONNET = 'anthropic/claude-sonnet-4-5';
const OPUS = 'anthropic/claude-opus-4-5';
const GPT = 'openai/gpt-5';
const MINUTE = 60_000;

const PROVIDERS = `
accounts:
  anthropic-main: { provider: anthropic, limits: { requests_per_minute: 1000 } }
  openai-main: { provider: openai, limits: { requests_per_minute: 2, requests_per_day: 3 } }
models:
  ${SONNET}: { fallback: [${OPUS}, ${GPT}] }
  ${OPUS}: { fallback: { models: [${GPT}], on: [rate_limit], maxAttempts: 2 } }
circuit_breaker: { failures: 3, within_seconds: 60, open_seconds: 1, probe_seconds: 30 }
`;

let redis: RedisServer;
let services: Service[];

beforeAll(async () => {
  redis = await startRedis();
  services = await started();
}, BRING_TIMEOUT_MS);

const sidecars = (tenant: string) => services.map((service) => new Caller(service, tenant));

async function started(): Promise<Service[]> {
  const folder = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), folder, { recursive: true });
  await writeFile(join(folder, 'providers.yaml'), PROVIDERS);
  await writeFile(join(folder, 'users.yaml'), 'users: [{ id: sam, api_key: ak_sam_123, tenant: keys }]\n');
  await writeFile(
    join(folder, 'tenants.yaml'),
    'defaults: { capacity: 1000000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n',
  );
  const environment = { CONFIG_DIR: folder, REDIS_URL: redis.url, STORE_TIMEOUT_MS: '5000', ADMIN_TOKEN: 'admin' };
  return Promise.all([startSidecar(environment), startSidecar(environment)]);
}

/** Who asks one of the sidecars. */
class Caller {
  readonly #service: Service;
  readonly #tenant: string;

  constructor(service: Service, tenant: string) {
    this.#service = service;
    this.#tenant = tenant;
  }

  async post(path: string, body: object, headers: Record<string, string> = {}) {
    const response = await fetch(new URL(path, this.#service.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: tests read answers of any shape
    return { headers: response.headers, status: response.status, body: (await response.json()) as any };
  }

  async decide(model: string, more: object = {}) {
    const { body, headers } = await this.post('/v1/data/openclaw/routing/decision', {
      input: { tenant_id: this.#tenant, user_id: 'u', model, ...more },
    });
    return { id: body.decision_id as string, headers, ...body.result };
  }

  /** Decides, and reports how the call went. Gives the model that was to be called. */
  async call(model: string, report: object = {}, more: object = {}): Promise<string> {
    const { allow, id, message, obligations } = await this.decide(model, more);
    if (!allow) throw new Error(`denied: ${message}`);
    const { body, status } = await this.post('/v1/usage', { decision_id: id, tenant_id: this.#tenant, ...report });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return obligations.force_model ?? model;
  }

  fail(model: string, error: object, more: object = {}): Promise<string> {
    return this.call(model, { outcome: 'failed', error }, more);
  }

  async status() {
    const response = await fetch(new URL('/v1/status/providers', this.#service.url));
    const { accounts } = (await response.json()) as {
      accounts: { account: string; models: Status[]; limits: Limit[] }[];
    };
    return new Map(accounts.flatMap(({ models }) => models.map((each) => [each.model, each])));
  }

  clear(body: object) {
    return this.post('/api/admin/cooldowns/clear', body, { Authorization: 'Bearer admin' });
  }
}

interface Status {
  model: string;
  state: string;
  until?: string;
  why?: string;
  nth?: number;
}

interface Limit {
  id: string;
  remaining: number;
}

const left = ({ until = '' }: Status) => Date.parse(until) - Date.now();

describe('two sidecars on one Redis', () => {
  test('a rate limit of Sonnet’s cools Sonnet down, by the provider’s word, and Opus goes on', async () => {
    const [one, other] = sidecars('one') as [Caller, Caller];
    expect(await one.fail(SONNET, { status: 429, retry_after: 30 })).toBe(SONNET);
    const routed = await other.decide(SONNET);
    expect(routed).toMatchObject({ allow: true, reason: 'ok', obligations: { force_model: OPUS } });
    expect(routed.message).toContain(SONNET);
    const status = await other.status();
    expect(status.get(OPUS)).toMatchObject({ state: 'available' });
    const sonnet = status.get(SONNET) as Status;
    expect(sonnet).toMatchObject({ state: 'cooldown', nth: 1 });
    expect(left(sonnet)).toBeGreaterThan(20_000);
    expect(left(sonnet)).toBeLessThanOrEqual(30_000);

    expect((await other.clear({ account: 'anthropic-main', model: SONNET })).body).toEqual({
      account: 'anthropic-main',
      cleared: [SONNET],
    });
    expect((await one.decide(SONNET)).obligations).not.toHaveProperty('force_model');
    expect((await other.clear({ account: 'nobody' })).status).toBe(404);
    expect((await one.post('/api/admin/cooldowns/clear', { account: 'anthropic-main' })).status).toBe(401);

    // Without the provider's word it is a minute the first time.
    await one.fail(SONNET, { status: 429 });
    const again = (await one.status()).get(SONNET) as Status;
    expect(left(again)).toBeGreaterThan(0.85 * MINUTE);
    expect(left(again)).toBeLessThanOrEqual(1.1 * MINUTE);
    await one.clear({ account: 'anthropic-main' });
  });

  test('a tenant’s own report keeps nobody else from the account', async () => {
    const [one] = sidecars('keys') as [Caller, Caller];
    const { allow, id } = await one.decide(SONNET);
    expect(allow).toBe(true);
    const report = { decision_id: id, outcome: 'failed', error: { status: 429, retry_after: 600 } };
    const key = { 'X-API-Key': 'ak_sam_123' };
    expect((await one.post('/v1/usage', report, key)).body).toMatchObject({ state: 'voided' });
    expect((await one.status()).get(SONNET)).toMatchObject({ state: 'available' });
  });

  test('a run goes down its chain, as far as it may and for what the chain names', async () => {
    const [one, other] = sidecars('chain') as [Caller, Caller];
    const run = { run_id: 'run-1' };
    expect(await one.fail(OPUS, { status: 401 }, run)).toBe(OPUS);
    expect(await other.decide(OPUS, run)).toMatchObject({ allow: false, reason: 'provider_unavailable' });
    const second = { run_id: 'run-2' };
    expect(await one.fail(OPUS, { status: 429, retry_after: 20 }, second)).toBe(OPUS);
    expect(await other.fail(OPUS, { status: 500 }, second)).toBe(GPT);
    const third = await one.decide(OPUS, second);
    expect(third).toMatchObject({ allow: false, reason: 'provider_unavailable' });
    await one.clear({ account: 'anthropic-main' });
    await one.clear({ account: 'openai-main' });
  });

  test('all are out: the earliest that one is back', async () => {
    const [one] = sidecars('out') as [Caller, Caller];
    await one.fail(SONNET, { status: 429, retry_after: 300 });
    await one.fail(OPUS, { status: 429, retry_after: 60 });
    await one.fail(GPT, { status: 429, retry_after: 600 });
    const denied = await one.decide(SONNET);
    expect(denied).toMatchObject({ allow: false, reason: 'provider_unavailable', status: 429 });
    const wait = Number(denied.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(45);
    expect(wait).toBeLessThanOrEqual(60);
    await one.clear({ account: 'anthropic-main' });
    await one.clear({ account: 'openai-main' });
  });

  test('a circuit opens, one probe of many goes through, and a success closes it', async () => {
    const [one, other] = sidecars('circuit') as [Caller, Caller];
    for (let i = 0; i < 3; i++) await one.fail(OPUS, { type: 'timeout' });
    expect((await other.status()).get(OPUS)).toMatchObject({ state: 'circuit_open' });
    expect(await other.decide(OPUS)).toMatchObject({ allow: false, reason: 'provider_unavailable' });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await other.status()).get(OPUS)).toMatchObject({ state: 'half_open' });
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, i) => ((i % 2 ? one : other) as Caller).decide(OPUS, { user_id: `u${i}` })),
    );
    const probes = all.filter(({ allow }) => allow);
    expect(probes).toHaveLength(1);
    await one.post('/v1/usage', { decision_id: probes[0]?.id, outcome: 'succeeded', usage: { input: 1, output: 1 } });
    expect((await one.decide(OPUS)).allow).toBe(true);
    expect((await other.status()).get(OPUS)).toMatchObject({ state: 'available' });
  });

  test('a quota that is used up is told from a cooldown; it survives a restart of Redis; and the provider’s own numbers count', async () => {
    const [one, other] = sidecars('quota') as [Caller, Caller];
    await one.clear({ account: 'openai-main' });
    await one.fail(OPUS, { status: 429, retry_after: 600 });
    await redis.restart();
    await eventually(async () => expect((await other.status()).get(OPUS)).toMatchObject({ state: 'cooldown' }));
    await one.call(GPT, { outcome: 'succeeded', usage: { input: 5, output: 5 } });
    const headers = {
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '8h',
    };
    await one.call(GPT, { outcome: 'succeeded', usage: { input: 5 }, headers });
    const gpt = (await other.status()).get(GPT);
    expect(gpt).toMatchObject({ state: 'quota_exhausted', why: 'provider:openai-main:requests:day is used up' });
    expect(await other.decide(GPT)).toMatchObject({ allow: false, reason: 'provider_unavailable' });
    await other.fail(SONNET, { status: 429, type: 'quota', retry_after: 3_600 });
    expect((await one.status()).get(SONNET)).toMatchObject({ state: 'quota_exhausted' });
  });
});
