import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { STREAM, startRig } from './rig.ts';

const CALM = 40;
const TIMES = 50;
const CAPACITY = 100;

test.runIf(fullLength)(
  'a tenant that asks 50 times as much as another takes nothing of it: the other has each of its answers in time',
  {
    timeout: 90_000,
  },
  async () => {
    const { client, environment } = await startRig();
    const config = await tempDir('config');
    await writeFile(
      join(config, 'tenants.yaml'),
      `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
    );
    const { url } = await startSidecar({ ...environment, CONFIG_DIR: config });
    let calmIsDone = false;
    const hot = inParallel(CALM * TIMES, 64, async (index) => {
      const reply = await ask(url, { tenant_id: 'hot', user_id: `hot-${index % 7}` }, 'decision');
      return { ...reply, during: !calmIsDone };
    });
    const calm = await inParallel(CALM, 1, async () => {
      const began = performance.now();
      const reply = await ask(url, { tenant_id: 'calm' }, 'decision');
      return { ...reply, inTime: performance.now() - began < 5_000 };
    });
    calmIsDone = true;
    const flood = await hot;

    expect(flood.filter(({ during }) => during).length).toBeGreaterThan(CALM);
    expect(calm.filter(({ body, inTime }) => !body.result.allow || !inTime)).toEqual([]);
    expect(flood.filter(({ body }) => body.result.allow)).toHaveLength(CAPACITY);
    expect(new Set(flood.map(({ body }) => body.result.reason))).toEqual(new Set(['ok', 'rate_limited']));
    expect(JSON.stringify(calm.map(({ body }) => body))).not.toContain('hot');

    const events = ((await client.xRange(STREAM, '-', '+')) ?? []).map(({ message }) => JSON.parse(message.e ?? '{}'));
    const granted = (tenant: string) =>
      events
        .filter(({ tenant_id, type }) => tenant_id === tenant && type === 'consumed')
        .map((each) => each.decision_id);
    expect(granted('calm').toSorted()).toEqual(calm.map(({ body }) => body.decision_id).toSorted());
    expect(granted('hot')).toHaveLength(CAPACITY);
  },
);
