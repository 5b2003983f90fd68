import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringFaketime } from '../helpers/bring.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type Rig, STREAM, startRig, used } from './rig.ts';

/** The wall clocks of real processes are set: a bucket of five that is full again an hour after its first use. */
const CAPACITY = 5;
const HOUR_S = 3_600;
const TEN_YEARS_S = 3_650 * 24 * HOUR_S;

beforeAll(() => bringFaketime(), BRING_TIMEOUT_MS);

async function configured(rig: Rig): Promise<Record<string, string>> {
  const config = await tempDir('config');
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: hourly, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return { ...rig.environment, CONFIG_DIR: config };
}

/** Asks until it is refused for want of tokens; gives how often it was allowed, and the wait that the refusal names. */
async function untilRefused(url: string): Promise<{ allowed: number; waitS: number }> {
  let late = 0;
  for (let allowed = 0; ; ) {
    const { body, headers } = await ask(url, { tenant_id: 'acme' }, 'decision');
    if (body.result.allow) allowed++;
    else if (body.result.reason === 'rate_limited') return { allowed, waitS: Number(headers.get('Retry-After')) };
    // What was on its way when the store's clock jumped was too late by it.
    else expect([body.result.reason, ++late]).toEqual(['counters_unavailable', 1]);
  }
}

describe.runIf(fullLength)('the clock of a sidecar is wrong', { timeout: 90_000 }, () => {
  test('a day ahead or an hour behind: buckets and events go by the clock of Redis', async () => {
    const rig = await startRig();
    const environment = await configured(rig);
    const began = Date.now();
    const [ahead, behind] = await Promise.all(
      [24 * HOUR_S, -HOUR_S].map(async (seconds) =>
        startSidecar({ ...environment, ...(await fakeClock(seconds)).env, DATA_DIR: await tempDir('data') }),
      ),
    );
    for (const sidecar of [ahead, behind]) {
      const { body } = await ask(sidecar?.url ?? '', { tenant_id: 'acme' });
      expect(body.result).toBe(true);
    }
    const first = await untilRefused(behind?.url ?? '');
    expect(first.allowed).toBe(CAPACITY - 2);
    const second = await untilRefused(ahead?.url ?? '');
    expect(second.allowed).toBe(0);
    for (const { waitS } of [first, second]) {
      expect(waitS).toBeGreaterThan(HOUR_S - 120);
      expect(waitS).toBeLessThanOrEqual(HOUR_S);
    }
    const entries = (await rig.client.xRange(STREAM, '-', '+')) ?? [];
    const events = entries.map(({ message }) => JSON.parse(message.e ?? '')).filter(({ type }) => type === 'consumed');
    expect(events).toHaveLength(CAPACITY);
    for (const { at, decided_at } of events) {
      expect(at).toBe(decided_at);
      expect(at).toBeGreaterThanOrEqual(began - 1_000);
      expect(at).toBeLessThanOrEqual(Date.now() + 1_000);
    }
    expect(await used(rig.client)).toBe(CAPACITY);
  });
});

describe('the clock of Redis is set', { timeout: 90_000 }, () => {
  async function onSetClock() {
    const clock = await fakeClock();
    const rig = await startRig({ env: clock.env });
    const { url } = await startSidecar(await configured(rig));
    return { clock, url };
  }

  test('back: nothing is given twice, and nobody waits for longer than the jump and the refill', async () => {
    const { clock, url } = await onSetClock();
    expect(await untilRefused(url)).toMatchObject({ allowed: CAPACITY });
    await clock.set(-HOUR_S);
    const { allowed, waitS } = await untilRefused(url);
    expect(allowed).toBe(0);
    expect(waitS).toBeLessThanOrEqual(2 * HOUR_S);
    await clock.set(0);
    expect(await untilRefused(url)).toMatchObject({ allowed: 0 });
    await clock.set(HOUR_S + 1);
    expect(await untilRefused(url)).toMatchObject({ allowed: CAPACITY });
    for (const again of [0, HOUR_S + 1]) {
      await clock.set(again);
      expect(await untilRefused(url)).toMatchObject({ allowed: 0 });
    }
    await clock.set(2 * HOUR_S + 2);
    expect(await untilRefused(url)).toMatchObject({ allowed: CAPACITY });
  });

  test.runIf(fullLength)('ten years ahead, and back again: one full bucket and no more', async () => {
    const { clock, url } = await onSetClock();
    expect(await untilRefused(url)).toMatchObject({ allowed: CAPACITY });
    await clock.set(TEN_YEARS_S);
    expect(await untilRefused(url)).toMatchObject({ allowed: CAPACITY });
    await clock.set(0);
    expect(await untilRefused(url)).toMatchObject({ allowed: 0 });
  });
});
