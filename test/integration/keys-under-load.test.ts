import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { startUpstash } from '../helpers/upstash-server.ts';

const ADMIN = { Authorization: 'Bearer admin' };
const CALLERS = 8;
const LOAD_MS = fullLength ? 20_000 : 1_800;

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const STORES: Record<string, () => Promise<Record<string, string>>> = {
  Redis: async () => ({ REDIS_URL: redis.url }),
  Upstash: async () => {
    const { token, url } = await startUpstash({ url: redis.url });
    return { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token };
  },
};

/** Two on one store, and no worker nor database beside them. */
async function twoSidecars(store: string): Promise<[Service, Service]> {
  const place = await STORES[store]?.();
  const start = async () =>
    startSidecar({
      ...place,
      DATA_DIR: await tempDir('data'),
      ADMIN_TOKEN: 'admin',
      OPA_TOKEN: 'service',
      STORE_TIMEOUT_MS: '5000',
    });
  return Promise.all([start(), start()]);
}

const admin = async ({ url }: Service, path: string, body: object = {}) => {
  const { body: answer, status } = await post(`${url}/api/admin/keys${path}`, body, ADMIN);
  expect(status).toBeLessThan(300);
  return answer;
};

interface Call {
  /** Milliseconds of the monotonic clock. */
  began: number;
  allowed: boolean;
  status: number;
}

/** Asks with whatever key `key` gives, one request after the other by each caller, until `isOver`. */
async function load(sidecars: Service[], key: (nth: number) => string, isOver: () => boolean): Promise<Call[]> {
  const calls: Call[] = [];
  const caller = async (index: number) => {
    for (let nth = index; !isOver(); nth++) {
      const began = performance.now();
      const { url } = sidecars[nth % sidecars.length] as Service;
      const { body, status } = await post(
        `${url}/v1/data/openclaw/rate_limit/allow`,
        { input: { user_id: `u${index}` } },
        { 'X-API-Key': key(nth) },
      );
      calls.push({ began, allowed: body.result === true, status });
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
  return calls;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe.for(Object.keys(STORES))('on %s, two sidecars under load', (store) => {
  test('rotation: no request fails with either key, and the old one dies when its grace ends', {
    timeout: 90_000,
  }, async () => {
    const sidecars = await twoSidecars(store);
    const old = await admin(sidecars[0], '', { tenant_id: `rotate-${store}` });
    let keys: string[] = [old.key];
    let isOver = false;
    const loading = load(
      sidecars,
      (nth) => keys[nth % keys.length] as string,
      () => isOver,
    );
    await pause(LOAD_MS / 3);
    const next = await admin(sidecars[1], `/${old.id}/rotate`, { grace: '60s' });
    keys = [old.key, next.key];
    await pause(LOAD_MS / 3);
    isOver = true;
    const calls = await loading;
    expect(calls.length).toBeGreaterThan(50);
    expect(calls.filter(({ allowed }) => !allowed)).toEqual([]);

    // Another rotation needs the old one out of the way; its own grace is short enough to wait for.
    await admin(sidecars[0], `/${old.id}/revoke`);
    const last = await admin(sidecars[0], `/${next.id}/rotate`, { grace: '2s' });
    const ends = performance.now() + Date.parse(last.replaces.expires_at) - Date.now();
    const until = ends + 1_500;
    const [dying, living] = await Promise.all([
      load(
        sidecars,
        () => next.key,
        () => performance.now() > until,
      ),
      load(
        sidecars,
        () => last.key,
        () => performance.now() > until,
      ),
    ]);
    expect(living.filter(({ allowed }) => !allowed)).toEqual([]);
    expect(dying.some(({ allowed }) => allowed)).toBe(true);
    const accepted = Math.max(...dying.filter(({ allowed }) => allowed).map(({ began }) => began));
    expect(accepted).toBeLessThan(ends + 1_000);
    expect(dying.filter(({ allowed, began }) => !allowed && began < ends - 1_000)).toEqual([]);
    expect(dying.at(-1)).toMatchObject({ allowed: false, status: 401 });
  });

  test('revocation: the last request that is let in began within a second of it', { timeout: 60_000 }, async () => {
    const sidecars = await twoSidecars(store);
    const { id, key } = await admin(sidecars[0], '', { tenant_id: `revoke-${store}` });
    let revokedAt = Number.POSITIVE_INFINITY;
    const loading = load(
      sidecars,
      () => key,
      () => performance.now() > revokedAt + 2_000,
    );
    await pause(LOAD_MS / 3);
    await admin(sidecars[0], `/${id}/revoke`);
    revokedAt = performance.now();
    const calls = await loading;
    const accepted = calls.filter(({ allowed }) => allowed);
    const last = Math.max(...accepted.map(({ began }) => began));
    console.log(
      `${store}: ${accepted.length} let in, the last one ${Math.round(last - revokedAt)} ms after the revocation`,
    );
    expect(accepted.length).toBeGreaterThan(20);
    expect(last).toBeLessThan(revokedAt + 1_000);
    // Whether by the store or by the sidecar itself: nobody is let in by mistake, and nothing else fails.
    expect(calls.filter(({ allowed, status }) => !allowed && status !== 401 && status !== 200)).toEqual([]);
    expect(calls.filter(({ allowed, began }) => !allowed && began < revokedAt - 1_000)).toEqual([]);
  });
});
