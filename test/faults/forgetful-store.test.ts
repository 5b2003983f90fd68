import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { connectTo, expectBilledOnce, GROUP, STREAM, startRig, takes, used } from './rig.ts';

test.runIf(fullLength)(
  'a Redis that may forget, and does: what was billed stays, what comes is billed once, the bucket is full again',
  {
    timeout: 120_000,
  },
  async () => {
    const rig = await startRig({ appendonly: false });
    const environment = { ...rig.environment, ALLOW_VOLATILE_STORE: '1' };
    const sidecar = await startSidecar(environment);
    const worker = await startWorker(environment);
    const billed = await takes(sidecar.url, 'before', 30);
    await expectBilledOnce(rig, billed);

    await rig.redis.kill();
    await rig.redis.restart();
    const client = await connectTo(rig.redis);
    expect(await client.exists(STREAM)).toBe(0);
    await eventually(async () => expect((await ask(sidecar.url, { tenant_id: 'other' })).body.result).toBe(true), {
      timeoutMs: 20_000,
    });
    const after = await takes(sidecar.url, 'after', 10);
    // Nobody fills the buckets from the ledger: that is what the warning at the start is about.
    expect(await used(client)).toBe(after.length);
    await eventually(async () => expect(await client.xInfoGroups(STREAM)).toMatchObject([{ name: GROUP }]));
    await eventually(async () => {
      const rows = await rig.sql`select decision_id from usage_events where tenant_id = 'acme' order by 1`;
      expect(rows.map(({ decision_id }) => decision_id)).toEqual([...billed, ...after].toSorted());
    });
    expect(worker.process.stdout.join('\n')).toContain('created the consumer group of the usage stream');
  },
);
