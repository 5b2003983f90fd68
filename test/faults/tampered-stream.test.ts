import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { get } from '../helpers/sidecar-client.ts';
import { counterDrifts, expectBilledOnce, GROUP, type Rig, STREAM, startRig, takes } from './rig.ts';

/** What is done to the usage stream by hand, which nobody should: nothing is doubled, and what is lost is told. */
async function begun(): Promise<{ rig: Rig; sidecar: string; billed: string[] }> {
  const rig = await startRig();
  const { url } = await startSidecar(rig.environment);
  const worker = await startWorker(rig.environment);
  const billed = await takes(url, 'before', 20);
  await expectBilledOnce(rig, billed);
  await worker.process.stop();
  return { rig, sidecar: url, billed };
}

/** What `reconcile` says of the bucket: between two decisions it moved by so many tokens that the ledger does not have. */
async function missing({ sql }: Rig): Promise<number[]> {
  const drifts = await counterDrifts(sql);
  return drifts.map(({ counter, ledger }) => Number(counter) - Number(ledger));
}

describe.runIf(fullLength)('what is gone from the stream before the ledger had it', { timeout: 90_000 }, () => {
  test('trimmed before anybody read it: the rest is billed once, and reconcile names the gap', async () => {
    const { billed, rig, sidecar } = await begun();
    const lost = await takes(sidecar, 'lost', 30);
    await rig.client.xTrim(STREAM, 'MAXLEN', 0);
    const after = await takes(sidecar, 'after', 10);
    await startWorker(rig.environment);
    await expectBilledOnce(rig, [...billed, ...after]);
    expect(await missing(rig)).toEqual([lost.length]);
  });

  test('trimmed while a worker held it: counted as lost, said, and named by reconcile', async () => {
    const { billed, rig, sidecar } = await begun();
    const { client, environment } = rig;
    const lost = await takes(sidecar, 'lost', 30);
    const [consumer] = await client.xInfoConsumers(STREAM, GROUP);
    await client.xReadGroup(GROUP, String(consumer?.name), { key: STREAM, id: '>' }, { COUNT: 100 });
    await client.xTrim(STREAM, 'MAXLEN', 0);
    const after = await takes(sidecar, 'after', 10);
    const worker = await startWorker(environment);
    await expectBilledOnce(rig, [...billed, ...after]);
    const { body } = await get(`${worker.url}/metrics`);
    expect(body).toContain(`openclaw_usage_stream_lost_entries_total ${lost.length}`);
    expect(worker.process.stdout.join('\n')).toContain('usage events were deleted from the stream');
    expect(await missing(rig)).toEqual([lost.length]);
  });
});

describe.runIf(fullLength)('what is still in the stream', { timeout: 90_000 }, () => {
  test('a reader is deleted with what it held: another takes it again, and each event is there once', async () => {
    const { billed, rig, sidecar } = await begun();
    const { client, environment } = rig;
    const held = await takes(sidecar, 'held', 30);
    await client.xReadGroup(GROUP, 'dead', { key: STREAM, id: '>' }, { COUNT: 100 });
    expect(await client.xGroupDelConsumer(STREAM, GROUP, 'dead')).toBe(held.length);
    const after = await takes(sidecar, 'after', 10);
    const worker = await startWorker(environment);
    await expectBilledOnce(rig, [...billed, ...held, ...after]);
    expect(worker.process.stdout.join('\n')).toContain('usage events that no reader held are taken again');
    expect(await missing(rig)).toEqual([]);
  });

  test('its group is destroyed again and again under load: it is read anew, and each event is there once', async () => {
    const { billed, rig, sidecar } = await begun();
    await startWorker(rig.environment);
    const under = takes(sidecar, 'under', 400);
    for (let round = 0; round < 5; round++) {
      await rig.client.xGroupDestroy(STREAM, GROUP).catch(() => 0);
      await eventually(async () => expect(await rig.client.xInfoGroups(STREAM)).toHaveLength(1));
    }
    await expectBilledOnce(rig, [...billed, ...(await under)]);
    expect(await missing(rig)).toEqual([]);
  });
});
